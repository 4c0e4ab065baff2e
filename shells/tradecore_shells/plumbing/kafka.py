"""Apache Kafka as the log: the Log port over a small backend.

Two halves. Here is what does not depend on a client library: the order of appends, packing what
waits into one request, reading on and seeking, and what is retryable. `Backend` is all that is
needed of a library; `tradecore_shells.plumbing.kafka_aio` fills it with aiokafka, and one made of
confluent-kafka would stand beside it.

Topics are made on purpose (`tradecore admin topics`): a misspelt name is an error, not a new log.
The broker stamps the records (LogAppendTime, milliseconds).

An append whose acknowledgement stays out cannot be repeated safely by this process: the producer
is idempotent, it repeats by itself for as long as `Backend.send` lets it, and an error that it
gives up on leaves a hole. So every error of a send but "not reached yet" is fatal for the whole
object, and the process starts again from what the log holds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from tradecore.buffers import BytesLike, byte_view
from tradecore_shells.plumbing.ports import (
    TOPICS,
    TRADING_COMMANDS,
    Bounds,
    FatalError,
    Record,
    RetryableError,
    dead_letters,
)

__all__ = ["MAX_RECORD_BYTES", "Backend", "BackendReader", "KafkaLog"]

MAX_RECORD_BYTES: Final = 8_000_000
"""Largest record; with its frame it fits ``max.message.bytes`` = 8 MiB of the topics."""

_GROUP_BYTES: Final = 1 << 20
_CERTAIN_S: Final = 1.0


class BackendReader(Protocol):
    """One partition as a client library reads it."""

    async def seek(self, offset: int) -> None:
        """Go to an offset. Raises RetryableError, or FatalError if the log does not keep it."""

    async def poll(self, wait_s: float) -> list[Record]:
        """Return what has arrived from the position on, waiting for the first record."""

    async def close(self) -> None:
        """Let go of the connection."""


class Backend(Protocol):
    """What is asked of a client library. Every call raises RetryableError or FatalError only."""

    where: str
    """Host and port, for sentences."""

    async def start(self) -> None:
        """Connect; RetryableError when no broker answers."""

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has, 0 without one."""

    async def send(self, topic: str, partition: int, payloads: Sequence[memoryview]) -> int:
        """Append up to `MAX_RECORD_BYTES` of records as one batch; return the first offset."""

    async def bounds(self, topic: str, partition: int) -> Bounds:
        """Return the first offset kept and the next one."""

    def reader(self, topic: str, partition: int) -> BackendReader:
        """Return a reader of its own connection."""

    async def close(self) -> None:
        """Let go of connections, whatever state they are in."""


class KafkaLog:
    """The Log port over Apache Kafka.

    Parameters
    ----------
    bootstrap : str
        ``HOST:PORT`` or several, separated by commas.
    topic_prefix : str
        Put before every topic's name, for several exchanges on one cluster.
    watchdog_s : float
        An append that is not acknowledged for so long is a FatalError. A broker that restarts
        needs less.
    options : mapping, optional
        More settings of the client library: TLS, SASL.
    backend : Backend, optional
        Another client library; the settings above are then its own matter.

    Notes
    -----
    Records of one append stand next to each other as long as they have less than 8 MB together.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        topic_prefix: str = "",
        watchdog_s: float = 30.0,
        options: Mapping[str, Any] | None = None,
        backend: Backend | None = None,
    ) -> None:
        if backend is None:
            from tradecore_shells.plumbing.kafka_aio import AioKafka

            backend = AioKafka(bootstrap, watchdog_s=watchdog_s, options=options or {})
        self.backend = backend
        self._prefix = topic_prefix
        self._starting: asyncio.Task[None] | None = None
        self._writers: dict[tuple[str, int], _Writer] = {}
        self._readers: dict[tuple[str, int], _Reader] = {}
        self._known: dict[str, int] = {}
        self._closed = False
        self.failure = ""

    async def append(self, topic: str, partition: int, payloads: Sequence[BytesLike]) -> int:
        """See `Log.append`. RetryableError only while no broker or no topic has been reached."""
        views = [byte_view(payload) for payload in payloads]
        for view in views:
            if view.nbytes > MAX_RECORD_BYTES:
                raise FatalError(
                    f"a record of {view.nbytes} bytes for {topic}-{partition}; Kafka takes up to "
                    f"{MAX_RECORD_BYTES}: send smaller envelopes"
                )
        self._must_work()
        if self.failure:
            raise FatalError(self.failure)
        place = self._prefix + topic, partition
        writer = self._writers.get(place)
        if writer is None:
            writer = self._writers[place] = _Writer(self, *place)
        # Nothing may wait before the payloads stand in the queue: their order is that of the calls.
        return await writer.append(views)

    async def fetch(
        self, topic: str, partition: int, offset: int, *, max_bytes: int, wait_s: float
    ) -> list[Record]:
        """See `Log.fetch`."""
        self._must_work()
        place = self._prefix + topic, partition
        await self.reach(*place)
        reader = self._readers.get(place)
        if reader is None:
            reader = self._readers[place] = _Reader(self.backend, *place)
        return await reader.fetch(offset, max_bytes, wait_s)

    async def bounds(self, topic: str, partition: int) -> Bounds:
        """See `Log.bounds`."""
        self._must_work()
        place = self._prefix + topic, partition
        await self.reach(*place)
        return await self.backend.bounds(*place)

    async def topics(self) -> dict[str, int]:
        """Return those of our topics that exist and their numbers of partitions. As `bounds`."""
        self._must_work()
        await self._started()
        found = {}
        for topic in (*TOPICS, dead_letters(TRADING_COMMANDS)):
            if count := await self.backend.partitions(self._prefix + topic):
                found[topic] = count
        return found

    async def close(self) -> None:
        """Finish what was appended as far as the broker lets us, and disconnect. Repeatable."""
        if self._closed:
            return
        self._closed = True
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()  # a broker that does not answer must not hold up the end
        for writer in self._writers.values():
            await writer.finish()
        for reader in self._readers.values():
            await reader.close()
        await self.backend.close()

    # ----------------------------------------------------------------------------- connecting
    def _must_work(self) -> None:
        if self._closed:
            raise FatalError(f"{self.backend.where}: the log is closed")

    async def _started(self) -> None:
        if self._starting is None or (self._starting.done() and _failed(self._starting)):
            self._starting = asyncio.create_task(self.backend.start())
        try:
            await asyncio.shield(self._starting)
        except asyncio.CancelledError:
            if self._closed and self._starting.cancelled():
                raise FatalError(f"{self.backend.where}: the log is closed") from None
            raise

    async def reach(self, topic: str, partition: int) -> None:
        """Return when the broker answers and has the partition.

        Raises
        ------
        RetryableError
            No broker answers, or there is no such topic (yet).
        FatalError
            The topic has fewer partitions.
        """
        await self._started()
        if topic not in self._known:
            count = await self.backend.partitions(topic)
            if not count:
                raise RetryableError(
                    f"{self.backend.where} has no topic {topic!r}; make it: "
                    f"tradecore admin topics --kafka {self.backend.where}"
                )
            self._known[topic] = count
        if partition >= self._known[topic]:
            raise FatalError(
                f"{topic} has {self._known[topic]} partitions, {partition} is none of them"
            )


def _failed(task: asyncio.Task[None]) -> bool:
    return task.cancelled() or task.exception() is not None


class _Writer:
    """Appends of one partition, in the order of the calls, packed into as few requests."""

    def __init__(self, log: KafkaLog, topic: str, partition: int) -> None:
        self._log = log
        self._place = topic, partition
        self._queue: deque[tuple[list[memoryview], asyncio.Future[int]]] = deque()
        self._sending: asyncio.Task[None] | None = None

    def append(self, payloads: list[memoryview]) -> asyncio.Future[int]:
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._queue.append((payloads, done))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())
        return done

    async def _send_all(self) -> None:
        group: list[tuple[list[memoryview], asyncio.Future[int]]] = []
        try:
            await self._log.reach(*self._place)
            while self._queue:
                group = self._next_group()
                offsets = await self._send([payload for each, _ in group for payload in each])
                at = 0
                for each, done in group:
                    if not done.done():
                        done.set_result(offsets[at])
                    at += len(each)
                group = []
        except Exception as error:
            if not isinstance(error, RetryableError):
                self._log.failure = str(error) or type(error).__name__
            again = isinstance(error, RetryableError)
            for _, done in (*group, *self._queue):
                if not done.done():
                    done.set_exception((RetryableError if again else FatalError)(str(error)))
            self._queue.clear()
        finally:
            self._sending = None

    def _next_group(self) -> list[tuple[list[memoryview], asyncio.Future[int]]]:
        """Take appends up to a megabyte, one at least."""
        group: list[tuple[list[memoryview], asyncio.Future[int]]] = []
        size = 0
        while self._queue and (not group or size < _GROUP_BYTES):
            group.append(self._queue.popleft())
            size += sum(payload.nbytes for payload in group[-1][0])
        return group

    async def _send(self, payloads: list[memoryview]) -> list[int]:
        """Send batches as large as the broker takes; return the offset of every payload and end."""
        offsets: list[int] = []
        batch: list[memoryview] = []
        size = 0
        for payload in [*payloads, None]:
            if payload is None or (batch and size + payload.nbytes > MAX_RECORD_BYTES):
                first = await self._log.backend.send(*self._place, batch) if batch else 0
                offsets += range(first, first + len(batch))
                batch, size = [], 0
            if payload is not None:
                batch.append(payload)
                size += payload.nbytes + 64
        # An append of nothing has the offset behind what went before it.
        offsets.append(offsets[-1] + 1 if offsets else (await self._end()))
        return offsets

    async def _end(self) -> int:
        return (await self._log.backend.bounds(*self._place)).end

    async def finish(self) -> None:
        """Wait for what was queued."""
        if self._sending is not None:
            await self._sending


class _Reader:
    """One partition as it is read: where it stands, and what has arrived and was not handed out."""

    def __init__(self, backend: Backend, topic: str, partition: int) -> None:
        self._backend = backend
        self._place = topic, partition
        self._reader = backend.reader(topic, partition)
        self._left: list[Record] = []
        self._next = -1

    async def fetch(self, offset: int, max_bytes: int, wait_s: float) -> list[Record]:
        """See `Log.fetch`."""
        expected, self._next = self._next, -1  # unknown, if this call does not get to its end
        if offset != expected:
            self._left = []
            await self._reader.seek(offset)
        if not self._left:
            self._left = await self._reader.poll(wait_s)
        if not self._left and wait_s < _CERTAIN_S and await self._end() > offset:
            # The wait was too short to tell "nothing" from "on its way".
            self._left = await self._reader.poll(_CERTAIN_S)
        taken, self._left = _part(self._left, max_bytes)
        self._next = taken[-1].offset + 1 if taken else offset
        return taken

    async def _end(self) -> int:
        return (await self._backend.bounds(*self._place)).end

    async def close(self) -> None:
        await self._reader.close()


def _part(records: list[Record], max_bytes: int) -> tuple[list[Record], list[Record]]:
    """Split records: as many as fit, at least one; and the rest."""
    size = 0
    for number, each in enumerate(records):
        size += each.payload.nbytes
        if number and size > max_bytes:
            return records[:number], records[number:]
    return records, []
