"""The file journal: commit, roll, recover, refuse; with a disk that fails at every single step."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from durability import batch
from tradecore.envelope import seal
from tradecore.errors import ConfigError, FrameError, JournalError
from tradecore.journal import replay, verify
from tradecore.storage import (
    FileJournal,
    FileOps,
    Follower,
    cut_tail,
    list_segments,
    map_segment,
    read_segments,
)
from tradecore_ext.framing import count_commands

SOURCE = 3
BATCHES = [batch(seed, 1 + seed % 3) for seed in range(12)]


class FastDisk(FileOps):
    """Waits for nothing: what is written is read back from memory within a test anyway."""

    def sync_data(self, fd: int) -> None:
        pass

    def sync_folder(self, path: Path) -> None:
        pass


def contents(folder: Path, from_seq: int = 1) -> bytes:
    parts: list[bytes] = []
    whole = read_segments(folder, from_seq=from_seq)
    replay(whole, lambda frames: parts.append(bytes(frames)), from_seq=from_seq)
    return b"".join(parts)


def segments(folder: Path) -> list[Path]:
    return [each.path for each in list_segments(folder)]


def write(folder: Path, batches: list[bytes], **options: object) -> int:
    options = {"source": SOURCE, "ops": FastDisk()} | options
    with FileJournal.open(folder, **options) as journal:  # type: ignore[arg-type]
        for frames in batches:
            journal.append(frames)
            journal.commit()
        return journal.durable_seq


def test_journal_new_folder_is_created_and_empty(tmp_path: Path) -> None:
    with FileJournal.open(tmp_path / "j", source=SOURCE) as journal:
        assert (journal.next_seq, journal.durable_seq) == (1, 0)
    assert contents(tmp_path / "j") == b""
    assert verify(read_segments(tmp_path / "j")).last_seq == 0


def test_journal_append_numbers_and_commit_makes_durable(tmp_path: Path) -> None:
    with FileJournal.open(tmp_path, source=SOURCE) as journal:
        seq = 0
        for frames in BATCHES:
            seq += count_commands(frames)
            assert journal.append(frames) == seq
            assert journal.durable_seq == 0
        assert journal.pending_bytes > 0
        assert contents(tmp_path) == b""
        assert journal.commit() == seq
        assert journal.pending_bytes == 0
        assert journal.commit() == seq
    assert contents(tmp_path) == b"".join(BATCHES)
    assert verify(read_segments(tmp_path)).records == 1


def test_journal_close_commits_and_an_exception_does_not(tmp_path: Path) -> None:
    with FileJournal.open(tmp_path, source=SOURCE) as journal:
        journal.append(BATCHES[0])
    with contextlib.suppress(KeyError), FileJournal.open(tmp_path, source=SOURCE) as journal:
        journal.append(BATCHES[1])
        raise KeyError
    assert contents(tmp_path) == BATCHES[0]


def test_journal_reopened_continues(tmp_path: Path) -> None:
    for frames in BATCHES:
        write(tmp_path, [frames])
    assert contents(tmp_path) == b"".join(BATCHES)
    assert verify(read_segments(tmp_path)).records == len(BATCHES)


@pytest.mark.parametrize("preallocate", [False, True])
def test_journal_rolls_by_size_and_reads_as_one(tmp_path: Path, preallocate: bool) -> None:
    for frames in BATCHES * 4:
        write(tmp_path, [frames], segment_bytes=4096, preallocate=preallocate)
    summary = verify(read_segments(tmp_path))
    assert summary.segments > 3
    assert contents(tmp_path) == b"".join(BATCHES * 4)
    for first in (1, 5, 20, summary.last_seq):
        whole = list(read_segments(tmp_path, from_seq=first))
        assert whole[0].head.start.seq <= first
        assert len(whole) == 1 or whole[1].head.start.seq > first
        assert contents(tmp_path, first) == contents(tmp_path)[-len(contents(tmp_path, first)) :]
    if preallocate:
        assert {path.stat().st_size for path in segments(tmp_path)} == {4096}


def test_journal_group_larger_than_a_segment_gets_its_own(tmp_path: Path) -> None:
    large = batch(1, 200)
    write(tmp_path, [BATCHES[0], large, large, BATCHES[1]], segment_bytes=4096)
    assert contents(tmp_path) == BATCHES[0] + large + large + BATCHES[1]
    assert verify(read_segments(tmp_path)).segments == 4


def test_journal_full_group_commits_by_itself(tmp_path: Path) -> None:
    with FileJournal.open(tmp_path, source=SOURCE, group_bytes=1024) as journal:
        while not journal.durable_seq:
            last = journal.append(BATCHES[0])
        assert journal.durable_seq == last
        assert journal.pending_bytes == 0


def test_journal_standby_appends_what_it_received(tmp_path: Path) -> None:
    with FileJournal.open(tmp_path, source=SOURCE, first_seq=100) as journal:
        journal.append_envelope(seal(BATCHES[0], source=SOURCE, first_seq=100))
        for source, seq in ((SOURCE, 100), (SOURCE, 200), (9, journal.next_seq)):
            with pytest.raises(JournalError, match="is due"):
                journal.append_envelope(seal(BATCHES[1], source=source, first_seq=seq))
    assert contents(tmp_path, 100) == BATCHES[0]


def test_journal_bad_frames_are_refused_and_change_nothing(tmp_path: Path) -> None:
    with FileJournal.open(tmp_path, source=SOURCE) as journal:
        for frames in (b"", bytes(63), bytes(65)):
            with pytest.raises(FrameError):
                journal.append(frames)
        assert journal.next_seq == 1
        journal.append(BATCHES[0])
    assert contents(tmp_path) == BATCHES[0]


# --------------------------------------------------------------------------------- refusals
def test_journal_second_writer_is_refused(tmp_path: Path) -> None:
    with FileJournal.open(tmp_path, source=SOURCE):
        with pytest.raises(JournalError, match="open for writing"):
            FileJournal.open(tmp_path, source=SOURCE)
        with pytest.raises(JournalError, match="open for writing"):
            cut_tail(tmp_path)
    write(tmp_path, [BATCHES[0]])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"source": 4}, "source is 3, this engine's 4"),
        ({"source": SOURCE, "kind": "events"}, "kind is commands"),
        ({"source": SOURCE, "config_digest": b"b" * 32}, "config digest is 6161616161616161, this"),
    ],
)
def test_journal_of_somebody_else_is_refused(
    tmp_path: Path, options: dict[str, object], says: str
) -> None:
    write(tmp_path, [BATCHES[0]], config_digest=b"a" * 32)
    with pytest.raises(JournalError, match=says):
        FileJournal.open(tmp_path, **options)  # type: ignore[arg-type]
    write(tmp_path, [BATCHES[1]])
    assert contents(tmp_path) == BATCHES[0] + BATCHES[1]


@pytest.mark.parametrize(
    "options",
    [{"segment_bytes": 100}, {"group_bytes": 1}, {"source": -1}, {"build": "x" * 65}],
)
def test_journal_options_out_of_range_create_nothing(
    tmp_path: Path, options: dict[str, object]
) -> None:
    with pytest.raises(ConfigError):
        FileJournal.open(tmp_path / "j", **({"source": 1} | options))  # type: ignore[arg-type]
    assert not (tmp_path / "j").exists()


def test_journal_closed_refuses_and_close_may_be_repeated(tmp_path: Path) -> None:
    journal = FileJournal.open(tmp_path, source=SOURCE)
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="is closed"):
        journal.append(BATCHES[0])
    with pytest.raises(JournalError, match="is closed"):
        journal.commit()


def test_journal_missing_segment_is_refused(tmp_path: Path) -> None:
    write(tmp_path, BATCHES * 4, segment_bytes=4096)
    segments(tmp_path)[1].unlink()
    with pytest.raises(JournalError, match="segment 1 is missing between"):
        FileJournal.open(tmp_path, source=SOURCE)


def test_journal_renamed_segment_is_refused(tmp_path: Path) -> None:
    write(tmp_path, BATCHES)
    (path,) = segments(tmp_path)
    path.rename(path.with_name(path.name.replace("0000000000-", "0000000001-", 1)))
    with pytest.raises(JournalError, match="the name does not fit the head"):
        list(read_segments(tmp_path))


@pytest.mark.parametrize("what", ["folder", "missing", "empty", "text"])
def test_reading_what_is_no_segment_is_one_clear_error(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x.tcj"
    if what == "folder":
        path.mkdir()
        with pytest.raises(JournalError, match=r"x\.tcj: cannot be read: Is a directory"):
            map_segment(path)
        with pytest.raises(JournalError, match=r"no journal segment \(\*\.tcj\) in this folder"):
            list(read_segments(path))
        return
    if what != "missing":
        path.write_bytes(b"" if what == "empty" else b"hello")
    says = {"missing": "No such file", "empty": "is empty", "text": "not a journal"}[what]
    with pytest.raises(JournalError, match=says):
        list(read_segments(path))


def test_opening_a_file_as_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    with pytest.raises(JournalError, match="cannot be opened: File exists"):
        FileJournal.open(path, source=SOURCE)


# ---------------------------------------------------------------------------------- recovery
def test_journal_torn_at_every_byte_recovers_what_was_committed(tmp_path: Path) -> None:
    write(tmp_path / "whole", BATCHES[:3])
    (path,) = segments(tmp_path / "whole")
    data = path.read_bytes()
    ends = [256, *(record.end for record in map_segment(path))]
    for size in range(256, len(data), 11):
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / path.name).write_bytes(data[:size])
        intact = sum(end <= size for end in ends) - 1
        with FileJournal.open(folder, source=SOURCE, ops=FastDisk()) as journal:
            assert (journal.cut is None) == (size in ends)
            journal.append(BATCHES[5])
        assert contents(folder) == b"".join(BATCHES[:intact]) + BATCHES[5]
        saved = list(folder.glob("*.torn-*"))
        assert [each.read_bytes() for each in saved] == [data[ends[intact] : size]] * len(saved)
        assert len(saved) == (size not in ends)


def test_journal_with_corrupt_tail_is_refused_and_untouched(tmp_path: Path) -> None:
    write(tmp_path, BATCHES[:3])
    (path,) = segments(tmp_path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    for act in (lambda: FileJournal.open(tmp_path, source=SOURCE), lambda: cut_tail(tmp_path)):
        with pytest.raises(JournalError, match="corrupt tail"):
            act()
        assert path.read_bytes() == data
    tail, saved = cut_tail(tmp_path, force=True)
    assert tail.kind == "corrupt"
    assert saved is not None
    assert saved.read_bytes() == data[tail.offset :]
    assert contents(tmp_path) == BATCHES[0] + BATCHES[1]
    assert cut_tail(tmp_path)[1] is None


def test_cut_twice_at_one_offset_keeps_both_copies(tmp_path: Path) -> None:
    write(tmp_path, BATCHES[:1])
    (path,) = segments(tmp_path)
    for _ in range(2):
        with path.open("ab") as file:
            file.write(b"TJCR" + bytes(20))
        cut_tail(tmp_path)
    assert len(list(tmp_path.glob("*.torn-*"))) == 2


def test_journal_corrupt_in_the_middle_is_refused(tmp_path: Path) -> None:
    write(tmp_path, BATCHES[:3])
    (path,) = segments(tmp_path)
    data = bytearray(path.read_bytes())
    data[400] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalError, match="this is corruption, not a torn write"):
        FileJournal.open(tmp_path, source=SOURCE)


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from durability import batch
from tradecore.storage import FileJournal
journal = FileJournal.open(sys.argv[1], source=3, segment_bytes=8192)
n = 0
while True:
    journal.append(batch(n, 3))
    print(journal.commit(), flush=True)
    n += 1
    if n == 60:
        journal.append(batch(n, 3))
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_journal_of_a_killed_process_holds_all_it_acknowledged(tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", KILLED, str(tmp_path), tests]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    acknowledged = int(done.stdout.split()[-1])
    assert verify(read_segments(tmp_path)).last_seq == acknowledged == 180
    assert contents(tmp_path) == b"".join(batch(n, 3) for n in range(60))


# -------------------------------------------------------------------------------- sick disks
class SickDisk(FastDisk):
    """Fails at the n-th operation that matters, after tearing a write in the middle."""

    def __init__(self, fail_at: int, code: int) -> None:
        self.left = fail_at
        self.code = code
        self.happened = ""

    def _tick(self, what: str) -> bool:
        self.left -= 1
        if self.left == 0:
            self.happened = what
        return self.left == 0

    def _fail(self) -> OSError:
        return OSError(self.code, os.strerror(self.code))

    def create(self, path: Path) -> int:
        if self._tick("create"):
            raise self._fail()
        return super().create(path)

    def write(self, fd: int, data: memoryview | bytes, offset: int) -> None:
        if self._tick("write"):
            super().write(fd, memoryview(data)[: len(data) // 2], offset)
            raise self._fail()
        super().write(fd, data, offset)

    def sync_data(self, fd: int) -> None:
        if self._tick("sync_data"):
            raise self._fail()
        super().sync_data(fd)

    def sync_folder(self, path: Path) -> None:
        if self._tick("sync_folder"):
            raise self._fail()
        super().sync_folder(path)

    def rename(self, source: Path, target: Path) -> None:
        if self._tick("rename"):
            raise self._fail()
        super().rename(source, target)

    def truncate(self, fd: int, size: int) -> None:
        if self.happened and self.code == errno.EIO:
            raise self._fail()  # a dead disk refuses the repair as well
        super().truncate(fd, size)


class WatchedDisk(FileOps):
    """Notes what is asked of it, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def create(self, path: Path) -> int:
        self.calls.append("create")
        return super().create(path)

    def write(self, fd: int, data: memoryview | bytes, offset: int) -> None:
        self.calls.append("write")
        super().write(fd, data, offset)

    def sync_data(self, fd: int) -> None:
        self.calls.append("sync")
        super().sync_data(fd)

    def sync_folder(self, path: Path) -> None:
        self.calls.append("sync folder")
        super().sync_folder(path)

    def rename(self, source: Path, target: Path) -> None:
        self.calls.append("rename")
        super().rename(source, target)


def test_journal_waits_for_the_disk_in_the_order_that_makes_it_safe(tmp_path: Path) -> None:
    disk = WatchedDisk()
    new_segment = ["create", "write", "sync", "rename", "sync folder"]
    with FileJournal.open(tmp_path, source=SOURCE, segment_bytes=4096, ops=disk) as journal:
        assert disk.calls == new_segment
        disk.calls.clear()
        for frames in BATCHES[:3]:
            journal.append(frames)
        assert disk.calls == []
        journal.commit()
        assert disk.calls == ["write", "sync"]
        disk.calls.clear()
        journal.commit()
        assert disk.calls == []
        journal.append(batch(1, 60))
        journal.commit()
        assert disk.calls == [*new_segment, "write", "sync"]
    disk.calls.clear()
    # What a killed process wrote without waiting is made durable before it counts as such.
    with FileJournal.open(tmp_path, source=SOURCE, ops=disk):
        assert disk.calls == ["sync", "sync folder"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_journal_disk_failing_at_every_step_loses_nothing_acknowledged(
    tmp_path: Path, code: int
) -> None:
    seen = set()
    for fail_at in range(1, 60):
        folder = tmp_path / str(fail_at)
        disk = SickDisk(fail_at, code)
        durable = write_on(disk, folder)
        seen.add(disk.happened)
        # The next process has a healthy disk, finds every acknowledged command and goes on.
        with FileJournal.open(folder, source=SOURCE, ops=FastDisk()) as journal:
            assert journal.next_seq > durable
            journal.append(BATCHES[0])
        verify(read_segments(folder))
        whole = contents(folder)
        assert whole.startswith(prefix(durable))
        assert whole.endswith(BATCHES[0])
        assert not list(folder.glob("*.new"))
    assert seen >= {"create", "write", "sync_data", "sync_folder", "rename"}


def write_on(disk: SickDisk, folder: Path) -> int:
    """Write until the disk refuses; return the last command that was acknowledged."""
    durable = 0
    journal = None
    try:
        journal = FileJournal.open(folder, source=SOURCE, segment_bytes=4096, ops=disk)
        for frames in BATCHES * 2:
            journal.append(frames)
            durable = journal.commit()
    except JournalError as error:
        if os.strerror(disk.code) not in str(error) or not disk.happened:
            raise
    if journal is not None:
        if disk.happened:
            must_stay_stopped(journal)
        if journal.durable_seq != durable:
            raise AssertionError(journal.durable_seq)
        journal.abandon()
    return durable


def must_stay_stopped(journal: FileJournal) -> None:
    attempts: list[Callable[[], object]] = [journal.commit, lambda: journal.append(BATCHES[0])]
    for attempt in attempts:
        with pytest.raises(JournalError, match="the journal has stopped"):
            attempt()


def prefix(n_commands: int) -> bytes:
    frames = b""
    for each in BATCHES * 2:
        if count_commands(frames) == n_commands:
            break
        frames += each
    return frames


FULL = """
import resource, sys
sys.path.insert(0, sys.argv[2])
from durability import batch
from tradecore.errors import JournalError
from tradecore.storage import FileJournal
resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
journal = FileJournal.open(sys.argv[1], source=3)
try:
    while True:
        journal.append(batch(1, 5))
        durable = journal.commit()
except JournalError as error:
    print(durable, error)
"""


def test_journal_real_refusal_of_the_system_leaves_a_valid_file(tmp_path: Path) -> None:
    """The system writes a part and refuses the rest, as on a full disk."""
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", FULL, str(tmp_path), tests]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    durable = int(done.stdout.split()[0])
    assert "File too large" in done.stdout
    summary = verify(read_segments(tmp_path))
    assert summary.last_seq == durable > 0
    assert summary.tail.kind == "clean"


# --------------------------------------------------------------------------------- following
@pytest.mark.parametrize("preallocate", [False, True])
def test_follower_sees_every_commit_once(tmp_path: Path, preallocate: bool) -> None:
    follower = Follower(tmp_path)
    assert follower.poll() == []
    seen: list[bytes] = []
    options = {"segment_bytes": 4096, "preallocate": preallocate, "ops": FastDisk()}
    with FileJournal.open(tmp_path, source=SOURCE, **options) as journal:  # type: ignore[arg-type]
        for n, frames in enumerate(BATCHES * 5):
            journal.append(frames)
            journal.commit()
            if n % 3 == 0:
                found = follower.poll()
                seen += [bytes(e.frames) for record in found for e in record.envelopes()]
    seen += [bytes(e.frames) for record in follower.poll() for e in record.envelopes()]
    assert seen == BATCHES * 5
    assert follower.poll() == []


def test_follower_waits_for_a_record_that_is_being_written(tmp_path: Path) -> None:
    write(tmp_path / "whole", BATCHES[:2])
    (path,) = segments(tmp_path / "whole")
    data = path.read_bytes()
    folder = tmp_path / "growing"
    folder.mkdir()
    follower = Follower(folder)
    counts = []
    for size in range(256, len(data) + 1, 5):
        (folder / path.name).write_bytes(data[:size])
        counts.append(len(follower.poll()))
    (folder / path.name).write_bytes(data)
    counts.append(len(follower.poll()))
    assert sum(counts) == 2
    assert max(counts) == 1


def test_follower_starts_where_asked(tmp_path: Path) -> None:
    write(tmp_path, BATCHES * 4, segment_bytes=4096)
    (first, *_) = Follower(tmp_path, from_seq=30).poll()
    assert first.first_seq <= 30 < first.after.seq
    segments(tmp_path)[0].unlink()
    with pytest.raises(JournalError, match="an older segment is missing"):
        Follower(tmp_path).poll()


def test_follower_refuses_a_segment_that_does_not_continue(tmp_path: Path) -> None:
    write(tmp_path, BATCHES * 4, segment_bytes=4096)
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalError, match="verify the journal"):
        Follower(tmp_path).poll()
