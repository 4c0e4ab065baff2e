"""The embedded log: what it writes when, and what it does when the disk refuses."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tradecore.journal import verify
from tradecore.storage import FileOps, LogReader, read_segments
from tradecore_shells.plumbing import filelog
from tradecore_shells.plumbing.filelog import MAX_RECORD_BYTES, FileLog
from tradecore_shells.plumbing.logserver import LogServer
from tradecore_shells.plumbing.ports import FatalError


class StepClock:
    """A clock that says what it is told, in order, and then the last again."""

    def __init__(self, *times: int) -> None:
        self.times = list(times)

    def now_ns(self) -> int:
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


def play(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await main()

    asyncio.run(bounded())


async def texts(log: FileLog, offset: int = 0) -> list[bytes]:
    found = await log.fetch("t", 0, offset, max_bytes=1 << 30, wait_s=0)
    return [bytes(record.payload) for record in found]


class HeldDisk(FileOps):
    """Counts syncs, and holds them until told to go on."""

    def __init__(self) -> None:
        self.syncs = 0
        self.at_once = 0
        self.most_at_once = 0
        self.go = threading.Event()
        self.go.set()

    def sync_data(self, fd: int) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.go.wait()
        super().sync_data(fd)
        self.syncs += 1
        self.at_once -= 1


def test_filelog_merges_what_comes_while_the_disk_is_busy(tmp_path: Path) -> None:
    async def main() -> None:
        disk = HeldDisk()
        log = FileLog(tmp_path, StepClock(1), ops=disk)
        await log.append("t", 0, [b"first"])
        disk.syncs = 0
        disk.go.clear()
        waiting = [asyncio.create_task(log.append("t", 0, [b"%d" % n])) for n in range(500)]
        # The loop goes on although the disk does not.
        for _ in range(20):
            await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        disk.go.set()
        assert await asyncio.gather(*waiting) == list(range(1, 501))
        assert disk.syncs <= 2
        assert disk.most_at_once == 1
        await log.close()
        assert verify(read_segments(tmp_path / "t-0")).records <= 3

    play(main)


def test_filelog_group_is_bounded_but_for_one_append(tmp_path: Path) -> None:
    async def main() -> None:
        log = FileLog(tmp_path, StepClock(1), group_bytes=10_000)
        await asyncio.gather(*(log.append("t", 0, [b"x" * 999]) for _ in range(100)))
        await log.append("t", 0, [b"y" * 50_000] * 3)
        await log.close()
        sizes = [
            record.body_bytes for segment in read_segments(tmp_path / "t-0") for record in segment
        ]
        assert max(sizes[:-1]) <= 12_000
        assert sizes[-1] > 150_000

    play(main)


def test_filelog_reads_the_same_from_memory_and_from_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small limits, so that records are forgotten and large groups pass by what is remembered."""
    monkeypatch.setattr(filelog, "_RECENT_BYTES", 300)
    monkeypatch.setattr(filelog, "_RECENT_GROUP", 90)
    sizes = random.Random(5)

    async def main() -> None:
        log = FileLog(tmp_path, StepClock(7, 8, 9))
        for number in range(60):
            group = [bytes([number]) * sizes.randrange(1, 40) for _ in range(1 + number % 4)]
            await log.append("t", 0, group)
        end = (await log.bounds("t", 0)).end
        fresh = LogReader(tmp_path / "t-0")
        from_memory = 0
        for offset in range(end):
            from_memory += log._partitions["t", 0]._recent.read(offset, 1) is not None
            for most in (0, 1, 60, 61, 1 << 20):
                files = fresh.read(offset + 1, end_seq=end + 1, max_bytes=most)
                found = await log.fetch("t", 0, offset, max_bytes=most, wait_s=0)
                seen = [(each.offset, each.ts_ns, bytes(each.payload)) for each in found]
                wanted = [(each.seq - 1, each.ts_ns, bytes(each.payload)) for each in files]
                assert seen == wanted
        assert 0 < from_memory < end
        await log.close()

    play(main)


def test_filelog_time_never_goes_back_also_over_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        log = FileLog(tmp_path, StepClock(100, 50, 120, 90))
        for n in range(4):
            await log.append("t", 0, [b"%d" % n])
        await log.close()
        log = FileLog(tmp_path, StepClock(7, 130))
        await log.append("t", 0, [b"4"])
        await log.append("t", 0, [b"5"])
        found = await log.fetch("t", 0, 0, max_bytes=1000, wait_s=0)
        assert [record.ts_ns for record in found] == [100, 100, 120, 120, 120, 130]
        await log.close()

    play(main)


def test_filelog_belongs_to_one_process(tmp_path: Path) -> None:
    async def main() -> None:
        log = FileLog(tmp_path, StepClock(1))
        with pytest.raises(FatalError, match="has the log open"):
            FileLog(tmp_path, StepClock(1))
        await log.close()
        await FileLog(tmp_path, StepClock(1)).close()

    play(main)


def test_filelog_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FatalError, match="file/log: cannot be opened: Not a directory"):
        FileLog(tmp_path / "file" / "log", StepClock(1))


def test_filelog_refuses_places_and_records_that_cannot_be(tmp_path: Path) -> None:
    async def main() -> None:
        log = FileLog(tmp_path, StepClock(1))
        for topic, partition in (
            ("../up", 0),
            ("", 0),
            ("T", 0),
            ("t/x", 0),
            ("t", -1),
            ("t", 10_000),
        ):
            with pytest.raises(FatalError, match="no place in a log"):
                await log.bounds(topic, partition)
        large = memoryview(bytearray(MAX_RECORD_BYTES + 1))
        with pytest.raises(FatalError, match="the log takes up to"):
            await log.append("t", 0, [b"a", large])
        with pytest.raises(TypeError):
            await log.append("t", 0, ["text"])  # type: ignore[list-item]
        assert await log.append("t", 0, [b"still works"]) == 0
        assert await log.append("t", 0, []) == 1
        assert await log.topics() == {"t": 1}
        await log.close()

    play(main)


def test_filelog_topics_are_what_the_folder_holds(tmp_path: Path) -> None:
    async def main() -> None:
        log = FileLog(tmp_path, StepClock(1))
        for place in (("b", 0), ("a-b", 3), ("a-b", 1)):
            await log.append(*place, [b"x"])
        (tmp_path / "not a topic").mkdir()
        assert await log.topics() == {"a-b": 4, "b": 1}
        await log.close()

    play(main)


def test_filelog_cancelled_append_may_happen_and_harms_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        disk = HeldDisk()
        log = FileLog(tmp_path, StepClock(1), ops=disk)
        await log.append("t", 0, [b"0"])
        disk.go.clear()
        calls = [asyncio.create_task(log.append("t", 0, [b"%d" % n])) for n in range(1, 6)]
        for _ in range(5):
            await asyncio.sleep(0)
        calls[0].cancel()
        calls[3].cancel()
        disk.go.set()
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert [done[1], done[2], done[4]] == [2, 3, 5]
        assert await texts(log) == [b"%d" % n for n in range(6)]
        await log.close()

    play(main)


# ------------------------------------------------------------------------------ the disk refuses
class SickDisk(FileOps):
    """Real files; one chosen operation fails, the last write of it half done."""

    def __init__(self, fail_at: int, code: int) -> None:
        self.fail_at = fail_at
        self.code = code
        self.happened = ""
        self._count = 0

    def _step(self, what: str) -> None:
        self._count += 1
        if self._count == self.fail_at:
            self.happened = what
            raise OSError(self.code, os.strerror(self.code))

    def create(self, path: Path) -> int:
        self._step("create")
        return super().create(path)

    def write(self, fd: int, data: memoryview | bytes, offset: int) -> None:
        if self._count + 1 == self.fail_at:
            super().write(fd, memoryview(data)[: len(data) // 2], offset)
        self._step("write")
        super().write(fd, data, offset)

    def sync_data(self, fd: int) -> None:
        self._step("sync")

    def sync_folder(self, path: Path) -> None:
        self._step("sync folder")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_filelog_stops_at_the_first_error_and_loses_nothing_acknowledged(
    tmp_path: Path, code: int
) -> None:
    async def main() -> None:
        seen = set()
        for fail_at in range(1, 40):
            folder = tmp_path / str(fail_at)
            disk = SickDisk(fail_at, code)
            log = FileLog(folder, StepClock(1), ops=disk, segment_bytes=4096)
            acknowledged: list[bytes] = []
            chance = random.Random(fail_at)
            with contextlib.suppress(FatalError):
                for n in range(15):
                    payload = b"%d " % n + chance.randbytes(900)
                    assert await log.append("t", 0, [payload]) == n
                    acknowledged.append(payload)
            if disk.happened:
                for _ in range(2):
                    with pytest.raises(FatalError, match=os.strerror(code)):
                        await log.append("t", 0, [b"more"])
                if acknowledged:  # what is durable stays readable
                    assert await texts(log) == acknowledged
                seen.add(disk.happened)
            await log.close()
            # The next process, when there is space again.
            log = FileLog(folder, StepClock(1), segment_bytes=4096)
            found = []
            end = (await log.bounds("t", 0)).end
            while len(found) < end:
                found += await texts(log, len(found))
            assert found[: len(acknowledged)] == acknowledged
            assert len(found) <= len(acknowledged) + 1
            assert await log.append("t", 0, [b"goes on"]) == end
            await log.close()
        assert seen == {"create", "write", "sync", "sync folder"}

    play(main)


def test_filelog_error_reaches_everybody_who_waits(tmp_path: Path) -> None:
    async def main() -> None:
        disk = SickDisk(5, errno.EIO)  # create, write, sync, folder; then the record's write
        log = FileLog(tmp_path, StepClock(1), ops=disk, group_bytes=2048)
        calls = [log.append("t", 0, [b"%d" % n * 1000]) for n in range(20)]
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert disk.happened == "write"
        assert all(isinstance(each, FatalError) for each in done)
        await log.close()

    play(main)


def test_filelog_damaged_folder_is_refused_and_others_go_on(tmp_path: Path) -> None:
    async def main() -> None:
        log = FileLog(tmp_path, StepClock(1))
        await log.append("t", 0, [b"x" * 100])
        await log.append("u", 0, [b"y"])
        await log.close()
        (path,) = (tmp_path / "t-0").glob("*.tcj")
        data = bytearray(path.read_bytes())
        data[400] ^= 1
        path.write_bytes(data)
        log = FileLog(tmp_path, StepClock(1))
        for _ in range(2):
            with pytest.raises(FatalError, match="corrupt tail"):
                await log.append("t", 0, [b"x"])
            with pytest.raises(FatalError, match="corrupt tail"):
                await log.fetch("t", 0, 0, max_bytes=1, wait_s=0)
        assert await log.append("u", 0, [b"z"]) == 1
        await log.close()

    play(main)


KILLED = """
import asyncio, os, sys
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.filelog import FileLog

async def main():
    log = FileLog(sys.argv[1], SystemClock())
    async def writer(name):
        n = 0
        while True:
            offset = await log.append("t", 0, [b"%d %d" % (name, n)] * 3)
            os.write(1, b"%d %d %d\\n" % (offset, name, n))
            n += 1
    await asyncio.gather(*(writer(name) for name in range(8)))

asyncio.run(main())
"""


def test_filelog_of_a_killed_process_holds_all_it_acknowledged(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(400)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.read().splitlines()

    async def main() -> None:
        log = FileLog(tmp_path, StepClock(1))
        found = await texts(log)
        assert len(found) % 3 == 0
        for line in lines:
            if len(fields := line.split()) == 3:
                offset, name, n = map(int, fields)
                assert found[offset : offset + 3] == [b"%d %d" % (name, n)] * 3
        await log.close()

    play(main)


SNAPSHOT = """
import asyncio, os, sys, threading
from tradecore.storage import SnapshotStore
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.filelog import FileLog
from tradecore_shells.plumbing.logserver import LogServer
from tradecore_shells.plumbing.snapshots import ForkedSnapshots

class Slow:
    def snapshot_parts(self):
        print("capturing", flush=True)
        open("gate").read()  # until somebody opens the other end
        raise SystemExit

async def main():
    log = FileLog("log", SystemClock())
    await log.append("t", 0, [b"x"])
    await LogServer(log, "unix:s").start()
    ForkedSnapshots(SnapshotStore(".", source=1)).capture(Slow())
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_filelog_is_free_when_its_process_is_killed_in_the_middle_of_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child that writes the snapshot must not hold on to the lock and to the socket."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("gate")
    here = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", SNAPSHOT], stdout=subprocess.PIPE, env=here
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"capturing\n"
        process.send_signal(signal.SIGKILL)
        process.wait()

        async def main() -> None:
            log = FileLog("log", StepClock(1))
            server = LogServer(log, "unix:s")
            await server.start()
            assert await texts(log) == [b"x"]
            await server.close()
            await log.close()

        try:
            play(main)
        finally:
            Path("gate").write_text("")


# ------------------------------------------------------------------------------------- retention
def test_filelog_drops_old_files_under_readers_that_are_beyond(tmp_path: Path) -> None:
    async def main() -> None:
        log = FileLog(tmp_path, StepClock(1), segment_bytes=4096)
        for n in range(60):
            await log.append("t", 0, [b"%d" % n * 200])
        early = await log.fetch("t", 0, 0, max_bytes=1000, wait_s=0)
        assert await log.drop_before("t", 0, 30) > 2
        start = (await log.bounds("t", 0)).start
        assert 0 < start <= 30
        with pytest.raises(FatalError, match=rf"offset {start - 1} is outside .* {start}\.\.60"):
            await log.fetch("t", 0, start - 1, max_bytes=1000, wait_s=0)
        assert bytes(early[0].payload) == b"0" * 200
        assert (await texts(log, start))[0] == b"%d" % start * 200
        assert await log.drop_before("t", 0, 0) == 0
        await log.close()

    play(main)
