"""The embedded log: the Log port over folders of files, for one process that owns them.

``FOLDER/TOPIC-PARTITION/`` is a journal of kind ``log`` (docs/reference/journal.md). Topics and
partitions come into being when they are first used. `tradecore_shells.plumbing.logserver` offers
one to other processes.

Group commit: whatever tasks append while the disk is busy becomes one record, by one write and one
fdatasync, in a thread of its own; there is never more than one such call for a partition, and the
event loop never waits for the disk. So the wait of an append is at most two of these calls, and
the throughput does not depend on how small the appends are.

The newest records stay in memory, so readers that keep up are served without a look at the files.
Others get views into mapped segments (`tradecore.storage.LogReader`), on the event loop. Cold pages
are read there too: a reader that is far behind shares the loop with everybody else.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import tradecore
from tradecore.buffers import BytesLike, byte_view
from tradecore.errors import JournalError
from tradecore.storage import FileJournal, FileOps, FolderLock, LogReader, drop_before
from tradecore_shells.plumbing.ports import Bounds, Clock, FatalError, Record

__all__ = ["MAX_RECORD_BYTES", "FileLog", "check_place"]

MAX_RECORD_BYTES: Final = (1 << 26) + (1 << 16)
"""Largest record that is taken: the largest envelope (64 MiB of frames) and then some."""

_RECENT_BYTES: Final = 2 << 20  # kept of a partition in memory; twice that at most
_RECENT_GROUP: Final = 1 << 17  # a larger group is not kept
_TOPIC: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_MAX_PARTITION: Final = 9999


def check_place(topic: str, partition: int) -> None:
    """Raise FatalError unless these can name a partition."""
    if not _TOPIC.fullmatch(topic) or not 0 <= partition <= _MAX_PARTITION:
        raise FatalError(f"{topic[:100]!r} partition {partition} is no place in a log")


class FileLog:
    """The Log port over a folder that this process owns.

    Parameters
    ----------
    folder : Path or str
        Created with its parents; one process at a time.
    clock : Clock
        Stamps records when they are committed, never before the last; called in a thread.
    segment_bytes, group_bytes : int
        A file of this size is followed by a new one; so many bytes become durable at once at most
        (and one append always does).
    ops : FileOps, optional
        The disk; for tests.

    Raises
    ------
    FatalError
        Another process has the folder, or the system refuses.

    Notes
    -----
    The first error of a disk ends a partition: every later append raises FatalError, what was
    acknowledged stays readable, and the next process that opens the folder recovers. An append that
    is cancelled may still happen.
    """

    def __init__(
        self,
        folder: Path | str,
        clock: Clock,
        *,
        segment_bytes: int = 256 << 20,
        group_bytes: int = 8 << 20,
        ops: FileOps | None = None,
    ) -> None:
        self._folder = Path(folder)
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._group_bytes = group_bytes
        self._ops = ops or FileOps()
        self._closed = False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(self._folder, "log")
        except JournalError as error:
            raise FatalError(str(error)) from error
        except OSError as error:
            raise FatalError(f"{folder}: cannot be opened: {error.strerror}") from error
        self._threads = ThreadPoolExecutor(16, thread_name_prefix="filelog")
        self._partitions: dict[tuple[str, int], _Partition] = {}

    async def append(self, topic: str, partition: int, payloads: Sequence[BytesLike]) -> int:
        """See `Log.append`; raises FatalError only."""
        views = [byte_view(payload) for payload in payloads]
        for view in views:
            if view.nbytes > MAX_RECORD_BYTES:
                raise FatalError(
                    f"a record of {view.nbytes} bytes for {topic}-{partition}; the log takes up to "
                    f"{MAX_RECORD_BYTES}"
                )
        # Nothing may wait before the payloads stand in the queue: their order is that of the calls.
        return await self._at(topic, partition).append(views)

    async def fetch(
        self, topic: str, partition: int, offset: int, *, max_bytes: int, wait_s: float
    ) -> list[Record]:
        """See `Log.fetch`; raises FatalError only. Any number of readers at a time."""
        place = self._at(topic, partition)
        await place.ready()
        if offset == place.end and wait_s > 0:
            await place.wait(wait_s)
            self._must_work()
        return place.read(offset, max_bytes)

    async def bounds(self, topic: str, partition: int) -> Bounds:
        """See `Log.bounds`; raises FatalError only."""
        place = self._at(topic, partition)
        await place.ready()
        return Bounds(place.start, place.end)

    async def drop_before(self, topic: str, partition: int, offset: int) -> int:
        """Remove the files that hold only records before an offset; return how many.

        The one that holds `offset` stays, and always the newest.

        Raises
        ------
        FatalError
            The system refuses.
        """
        place = self._at(topic, partition)
        await place.ready()
        return await place.drop_before(offset)

    async def topics(self) -> dict[str, int]:
        """Return the topics that exist and their numbers of partitions (the highest one + 1)."""
        found: dict[str, int] = {}
        for path in self._folder.iterdir():
            topic, _, number = path.name.rpartition("-")
            if path.is_dir() and _TOPIC.fullmatch(topic) and number.isdecimal():
                found[topic] = max(found.get(topic, 0), int(number) + 1)
        return dict(sorted(found.items()))

    async def close(self) -> None:
        """Finish what was appended, close the files, let the next process in. May be repeated."""
        if self._closed:
            return
        self._closed = True
        for place in self._partitions.values():
            await place.close()
        self._threads.shutdown()
        self._lock.release()

    def _must_work(self) -> None:
        if self._closed:
            raise FatalError(f"{self._folder}: the log is closed")

    def _at(self, topic: str, partition: int) -> _Partition:
        self._must_work()
        place = self._partitions.get((topic, partition))
        if place is None:
            check_place(topic, partition)
            place = _Partition(
                *(self._folder / f"{topic}-{partition}", self._clock, self._threads, self._ops),
                *(self._segment_bytes, self._group_bytes),
            )
            self._partitions[topic, partition] = place
        return place


class _Partition:
    """One folder: a queue of appends, the task that commits them, and who waits for records.

    Everything runs on the loop but `_open` and `_commit`, of which at most one runs at a time since
    the committing task awaits them, and the removal of old files.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        threads: ThreadPoolExecutor,
        ops: FileOps,
        segment_bytes: int,
        group_bytes: int,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._threads = threads
        self._ops = ops
        self._segment_bytes = segment_bytes
        self._group_bytes = group_bytes
        self._queue: deque[tuple[list[memoryview], asyncio.Future[int]]] = deque()
        self._opening: asyncio.Future[None] | None = None
        self._committing: asyncio.Task[None] | None = None
        self._failure: str = ""
        self._waiting: set[asyncio.Future[None]] = set()
        self._journal: FileJournal
        self._reader: LogReader
        self._last_ts = 0
        self._recent = _Recent()
        self.end = 0

    # ------------------------------------------------------------------------------- opening
    async def ready(self) -> None:
        """Return when the folder is open; the first call opens it. Raises FatalError."""
        if self._opening is None:
            loop = asyncio.get_running_loop()
            self._opening = loop.run_in_executor(self._threads, self._open)
        # Shielded: one of those who wait may be cancelled without the others.
        await asyncio.shield(self._opening)

    def _open(self) -> None:
        try:
            journal = FileJournal.open(
                self._folder,
                source=0,
                kind="log",
                build=f"tradecore {tradecore.__version__}",
                segment_bytes=self._segment_bytes,
                group_bytes=self._group_bytes,
                ops=self._ops,
            )
            try:
                reader = LogReader(self._folder, ops=self._ops)
                self._last_ts = _newest_time(reader, journal.next_seq)
            except BaseException:
                journal.abandon()
                raise
        except (JournalError, OSError) as error:
            self._failure = str(error)
            raise FatalError(self._failure) from error
        self._journal, self._reader, self.end = journal, reader, journal.durable_seq

    # ------------------------------------------------------------------------------ appending
    def append(self, payloads: list[memoryview]) -> asyncio.Future[int]:
        """Queue records; the future has the offset of the first when they are durable."""
        if self._failure:
            raise FatalError(self._failure)
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._queue.append((payloads, done))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        return done

    async def _commit_all(self) -> None:
        loop = asyncio.get_running_loop()
        group: list[tuple[list[memoryview], asyncio.Future[int]]] = []
        try:
            await self.ready()
            while self._queue:
                group = self._next_group()
                payloads = [payload for each, _ in group for payload in each]
                offset, ts_ns = await loop.run_in_executor(self._threads, self._commit, payloads)
                self._recent.add(offset, ts_ns, payloads)
                self.end = offset + len(payloads)
                for each, done in group:
                    if not done.done():
                        done.set_result(offset)
                    offset += len(each)
                self._wake()
        except Exception as error:
            self._failure = self._failure or str(error) or type(error).__name__
            for _, done in (*group, *self._queue):
                if not done.done():
                    done.set_exception(FatalError(self._failure))
            self._queue.clear()
            if not isinstance(error, (JournalError, FatalError)):
                raise
        finally:
            self._committing = None

    def _next_group(self) -> list[tuple[list[memoryview], asyncio.Future[int]]]:
        group: list[tuple[list[memoryview], asyncio.Future[int]]] = []
        size = 0
        while self._queue and (not group or size < self._group_bytes):
            group.append(self._queue.popleft())
            size += sum(payload.nbytes for payload in group[-1][0])
        return group

    def _commit(self, payloads: list[memoryview]) -> tuple[int, int]:
        """Make records durable, in a thread; return the offset of the first and their time."""
        journal = self._journal
        self._last_ts = ts_ns = max(self._last_ts, self._clock.now_ns())
        offset = journal.next_seq - 1
        journal.append_payloads(payloads, ts_ns)
        journal.commit()
        return offset, ts_ns

    # -------------------------------------------------------------------------------- reading
    @property
    def start(self) -> int:
        """First offset that is kept."""
        return self._reader.start_seq - 1

    async def wait(self, seconds: float) -> None:
        """Return when records were appended, or after a time."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _finish, woken)
        self._waiting.add(woken)
        try:
            await woken
        finally:
            timer.cancel()
            self._waiting.discard(woken)

    def _wake(self) -> None:
        for each in self._waiting:
            _finish(each)

    def read(self, offset: int, max_bytes: int) -> list[Record]:
        """Return durable records from an offset on; none at the end. Raises FatalError."""
        if not self.start <= offset <= self.end:
            raise FatalError(
                f"{self._folder}: offset {offset} is outside of what the log keeps, "
                f"{self.start}..{self.end}: records were truncated or dropped; restore the log, or "
                "start from a newer snapshot"
            )
        if (recent := self._recent.read(offset, max_bytes)) is not None:
            return recent
        try:
            found = self._reader.read(offset + 1, end_seq=self.end + 1, max_bytes=max_bytes)
        except (JournalError, OSError) as error:
            raise FatalError(str(error)) from error
        return [Record(seq - 1, ts_ns, payload) for seq, ts_ns, payload in found]

    async def drop_before(self, offset: int) -> int:
        """Remove old files, in a thread. Raises FatalError."""

        def drop() -> int:
            return drop_before(self._folder, offset + 1, ops=self._ops)

        try:
            dropped = await asyncio.get_running_loop().run_in_executor(self._threads, drop)
            self._reader.refresh()
        except (JournalError, OSError) as error:
            raise FatalError(str(error)) from error
        return dropped

    async def close(self) -> None:
        """Finish what was queued and close the files."""
        if self._committing is not None:
            await self._committing
        self._wake()
        if self._opening is not None and not self._opening.cancelled():
            try:
                await self.ready()
            except FatalError:
                return
            self._journal.abandon()


class _Recent:
    """The newest records of a partition, in memory: readers that keep up never touch the files.

    Whatever is here has been committed by this process; other records are read from the files. So
    is a group of large ones: entering it there costs less than the copy here.
    """

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._bytes = 0

    def add(self, offset: int, ts_ns: int, payloads: list[memoryview]) -> None:
        """Take a copy of a group; forget the oldest beyond twice `_RECENT_BYTES`."""
        size = sum(payload.nbytes for payload in payloads)
        if size > _RECENT_GROUP:
            self._records.clear()
            self._bytes = 0
            return
        copy = memoryview(b"".join(payloads))
        end = 0
        for number, payload in enumerate(payloads):
            begin, end = end, end + payload.nbytes
            self._records.append(Record(offset + number, ts_ns, copy[begin:end]))
        self._bytes += size
        if self._bytes > 2 * _RECENT_BYTES:
            # Half of it at once, so that forgetting costs nothing a record.
            gone = 0
            while self._bytes > _RECENT_BYTES:
                self._bytes -= self._records[gone].payload.nbytes
                gone += 1
            del self._records[:gone]

    def read(self, offset: int, max_bytes: int) -> list[Record] | None:
        """Return records from an offset on as `Log.fetch` does; None where it is not here."""
        first = offset - self._records[0].offset if self._records else -1
        if first < 0 or first >= len(self._records):
            return None
        room = max_bytes
        end = first
        while end < len(self._records):
            room -= self._records[end].payload.nbytes
            if room < 0 and end > first:
                break
            end += 1
        return self._records[first:end]


def _newest_time(reader: LogReader, next_seq: int) -> int:
    """Return the time of the newest record, 0 without one."""
    if next_seq == reader.start_seq:
        return 0
    (newest,) = reader.read(next_seq - 1, end_seq=next_seq, max_bytes=0)
    return newest.ts_ns


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
