"""Reading a log by number while it grows, and giving up its old part."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tradecore.errors import JournalError
from tradecore.journal import verify
from tradecore.storage import (
    FileJournal,
    FileOps,
    LogReader,
    drop_before,
    list_segments,
    read_segments,
)


class FastDisk(FileOps):
    """Real files without waiting for the disk: what is tested here is not durability."""

    def sync_data(self, fd: int) -> None:
        pass

    def sync_folder(self, path: Path) -> None:
        pass


def open_log(folder: Path, segment_bytes: int = 1 << 14) -> FileJournal:
    return FileJournal.open(
        folder, source=0, kind="log", segment_bytes=segment_bytes, ops=FastDisk()
    )


def write(folder: Path, seed: int = 1, commits: int = 120) -> list[bytes]:
    """Write commits of a few payloads of many sizes; return the payloads."""
    chance = random.Random(seed)
    written: list[bytes] = []
    with open_log(folder) as log:
        for n in range(commits):
            group = [chance.randbytes(chance.choice((0, 3, 48, 300, 2000))) for _ in range(n % 5)]
            log.append_payloads(group, 1000 + n)
            log.commit()
            written += group
    return written


def test_log_reader_reads_everything_from_every_number(tmp_path: Path) -> None:
    written = write(tmp_path)
    end = len(written) + 1
    assert len(list_segments(tmp_path)) > 5
    reader = LogReader(tmp_path)
    for first in range(1, end):
        part = reader.read(first, end_seq=end, max_bytes=5_000)
        assert part
        assert [bytes(entry.payload) for entry in part] == written[first - 1 :][: len(part)]
        assert [entry.seq for entry in part] == list(range(first, first + len(part)))
        size = sum(len(entry.payload) for entry in part)
        assert size <= 5_000 or len(part) == 1
        if first + len(part) < end:
            assert size + len(written[first - 1 + len(part)]) > 5_000
    assert reader.read(end, end_seq=end, max_bytes=1) == []


def test_log_reader_goes_on_without_looking_for_its_place(tmp_path: Path) -> None:
    written = write(tmp_path)
    reader = LogReader(tmp_path)
    found = reader.read(1, end_seq=len(written) + 1, max_bytes=1)
    seeks = []
    look = reader._seek
    reader._seek = lambda seq: seeks.append(seq) or look(seq)  # type: ignore[method-assign]
    while len(found) < len(written):
        found += reader.read(len(found) + 1, end_seq=len(written) + 1, max_bytes=700)
    assert [bytes(entry.payload) for entry in found] == written
    assert seeks == []


def test_log_reader_serves_many_readers_at_different_places(tmp_path: Path) -> None:
    written = write(tmp_path)
    reader = LogReader(tmp_path)
    chance = random.Random(3)
    places = [0] * 10
    while min(places) < len(written):
        who = chance.randrange(10)
        part = reader.read(places[who] + 1, end_seq=len(written) + 1, max_bytes=400)
        begin = places[who]
        assert [bytes(entry.payload) for entry in part] == written[begin : begin + len(part)]
        places[who] += len(part)


def test_log_reader_follows_the_writer_over_segments(tmp_path: Path) -> None:
    chance = random.Random(9)
    with open_log(tmp_path) as log:
        reader = LogReader(tmp_path)
        written: list[bytes] = []
        seen: list[bytes] = []
        for n in range(300):
            group = [chance.randbytes(chance.randrange(600)) for _ in range(chance.randrange(1, 4))]
            log.append_payloads(group, n)
            written += group
            # Not durable: not seen.
            end = log.durable_seq + 1
            assert end == len(seen) + 1
            assert reader.read(len(seen) + 1, end_seq=end, max_bytes=1 << 20) == []
            log.commit()
            while len(seen) < len(written):
                part = reader.read(len(seen) + 1, end_seq=log.durable_seq + 1, max_bytes=1 << 20)
                seen += [bytes(entry.payload) for entry in part]
            assert seen == written
        assert len(list_segments(tmp_path)) > 5


def test_log_reader_index_makes_a_late_place_cheap(tmp_path: Path) -> None:
    with open_log(tmp_path, segment_bytes=64 << 20) as log:
        for n in range(3000):
            log.append_payloads([b"%d" % n * 100], n)
            log.commit()
    reader = LogReader(tmp_path)
    assert reader.read(2990, end_seq=3001, max_bytes=1)[0].ts_ns == 2989
    mapped = reader._mapped[0]
    heads = 0
    look = mapped.record_at

    def counted(*args: object) -> object:
        nonlocal heads
        heads += 1
        return look(*args)  # type: ignore[arg-type]

    mapped.record_at = counted  # type: ignore[assignment,method-assign]
    assert reader.read(2500, end_seq=3001, max_bytes=1)[0].ts_ns == 2499
    assert heads < 400


def test_log_reader_payloads_live_as_long_as_they_are_held(tmp_path: Path) -> None:
    written = write(tmp_path)
    reader = LogReader(tmp_path)
    found = reader.read(1, end_seq=len(written) + 1, max_bytes=1 << 30)
    for file in list_segments(tmp_path):
        os.unlink(file.path)
    del reader
    assert [bytes(entry.payload) for entry in found] == written


# --------------------------------------------------------------------------------------- damage
def test_log_reader_finds_every_flipped_byte_of_what_it_reads(tmp_path: Path) -> None:
    with open_log(tmp_path) as log:
        for n in range(3):
            log.append_payloads([b"%d" % n * 20], n)
            log.commit()
    (file,) = list_segments(tmp_path)
    whole = file.path.read_bytes()
    for at in range(256, len(whole)):
        file.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(JournalError):
            LogReader(tmp_path).read(1, end_seq=4, max_bytes=1 << 20)


def test_log_reader_names_what_is_missing(tmp_path: Path) -> None:
    written = write(tmp_path)
    end = len(written) + 1
    with pytest.raises(JournalError, match=f"payload {end} was durable and is missing now"):
        LogReader(tmp_path).read(1, end_seq=end + 1, max_bytes=1 << 30)
    files = list_segments(tmp_path)
    os.unlink(files[-1].path)
    with pytest.raises(JournalError, match="was durable and is missing now"):
        LogReader(tmp_path).read(1, end_seq=end, max_bytes=1 << 30)
    os.unlink(files[0].path)
    with pytest.raises(JournalError, match=f"begins at payload {files[1].first_seq}, 1 was asked"):
        LogReader(tmp_path).read(1, end_seq=end, max_bytes=1)
    os.unlink(files[2].path)
    with pytest.raises(JournalError, match="segment 2 is missing"):
        LogReader(tmp_path).read(files[1].first_seq, end_seq=end, max_bytes=1)


def test_log_reader_refuses_a_segment_of_another_history(tmp_path: Path) -> None:
    """Same sizes, same numbers, every checksum right: only the chain tells the logs apart."""
    for name in ("ours", "theirs"):
        with open_log(tmp_path / name, segment_bytes=4096) as log:
            for n in range(8):
                log.append_payloads([name[:1].encode() * 1500], n)
                log.commit()
    ours, theirs = list_segments(tmp_path / "ours"), list_segments(tmp_path / "theirs")
    os.replace(theirs[1].path, ours[1].path)
    reader = LogReader(tmp_path / "ours")
    assert len(reader.read(1, end_seq=3, max_bytes=1 << 20)) == 2
    with pytest.raises(JournalError, match="with chain"):
        reader.read(1, end_seq=9, max_bytes=1 << 20)


def test_log_reader_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no journal segment"):
        _ = LogReader(tmp_path).start_seq
    FileJournal.open(tmp_path / "commands", source=0, ops=FastDisk()).close()
    with pytest.raises(JournalError, match="a journal of commands, not a log"):
        LogReader(tmp_path / "commands").read(1, end_seq=2, max_bytes=1)


# ------------------------------------------------------------------------------------ retention
def test_drop_before_removes_whole_old_segments_and_never_the_one_that_holds_it(
    tmp_path: Path,
) -> None:
    written = write(tmp_path)
    files = list_segments(tmp_path)
    assert drop_before(tmp_path, 1) == 0
    assert drop_before(tmp_path, files[2].first_seq - 1) == 1
    assert drop_before(tmp_path, files[2].first_seq) == 1
    assert [file.index for file in list_segments(tmp_path)] == [file.index for file in files[2:]]
    assert drop_before(tmp_path, len(written) * 10) == len(files) - 3
    assert [file.index for file in list_segments(tmp_path)] == [files[-1].index]
    verify(read_segments(tmp_path))
    with open_log(tmp_path) as log:
        assert log.next_seq == len(written) + 1


def test_drop_before_does_not_disturb_readers_behind_it(tmp_path: Path) -> None:
    written = write(tmp_path)
    end = len(written) + 1
    reader = LogReader(tmp_path)
    middle = list_segments(tmp_path)[3].first_seq
    found = reader.read(middle, end_seq=end, max_bytes=1)
    drop_before(tmp_path, middle)
    reader.refresh()
    assert reader.start_seq == middle
    found += reader.read(middle + 1, end_seq=end, max_bytes=1 << 30)
    assert [bytes(entry.payload) for entry in found] == written[middle - 1 :]
    with pytest.raises(JournalError, match="begins at payload"):
        reader.read(middle - 1, end_seq=end, max_bytes=1)


def test_drop_before_syncs_the_folder_after_the_oldest_went_first(tmp_path: Path) -> None:
    write(tmp_path)
    calls: list[str] = []

    class Watched(FastDisk):
        def remove(self, path: Path) -> None:
            calls.append(path.name[:10])
            super().remove(path)

        def sync_folder(self, path: Path) -> None:
            calls.append("sync")

    files = list_segments(tmp_path)
    drop_before(tmp_path, files[3].first_seq, ops=Watched())
    assert calls == ["0000000000", "0000000001", "0000000002", "sync"]
