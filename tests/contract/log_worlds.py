"""The worlds in which the contract of the Log port is tried: one for each adapter.

A world opens logs that share their records, as two processes or two lives of one process would,
runs coroutines on the loop that fits, and can do to the log what only its owner can.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.filelog import FileLog
from tradecore_shells.plumbing.logclient import LogClient
from tradecore_shells.plumbing.logserver import LogServer
from tradecore_shells.plumbing.ports import Log, RetryableError

T = TypeVar("T")
SEGMENT_BYTES = 1 << 16


class World(Protocol):
    """What the suite needs of an adapter's surroundings."""

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run to the end."""

    async def open(self) -> Log:
        """Open the log; the suite closes it. One at a time, unless `is_shared`."""

    async def forget(self, log: Log, topic: str, partition: int, offset: int) -> None:
        """Make the log forget records before an offset (not necessarily all of them)."""

    async def end(self) -> None:
        """Stop what `open` has started."""


class FileWorld:
    """Files of this process."""

    is_shared = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(main)

    async def open(self) -> Log:
        return FileLog(self._folder / "log", SystemClock(), segment_bytes=SEGMENT_BYTES)

    async def forget(self, log: Log, topic: str, partition: int, offset: int) -> None:
        assert isinstance(log, FileLog)
        await log.drop_before(topic, partition, offset)

    async def end(self) -> None:
        pass


class SocketWorld:
    """Files behind a server; the log that is opened is a client's."""

    is_shared = True

    def __init__(self, folder: Path, address: str) -> None:
        self._folder = folder
        self._address = address
        self._log: FileLog | None = None
        self._server: LogServer

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(main)

    async def open(self) -> Log:
        if self._log is None:
            folder = self._folder / "log"
            self._log = FileLog(folder, SystemClock(), segment_bytes=SEGMENT_BYTES)
            self._server = LogServer(self._log, self._address)
            await self._server.start()
        return LogClient(self._server.address)

    async def forget(self, log: Log, topic: str, partition: int, offset: int) -> None:
        assert self._log is not None
        await self._log.drop_before(topic, partition, offset)

    async def end(self) -> None:
        if self._log is not None:
            await self._server.close()
            await self._log.close()
            self._log = None


class SimulatedWorld:
    """The simulator's broker, without faults, on virtual time."""

    is_shared = True

    def __init__(self) -> None:
        from tradecore_shells.sim.faults import Faults
        from tradecore_shells.sim.log import Broker
        from tradecore_shells.sim.loop import SimLoop

        self._loop = SimLoop()
        faults = Faults(0)
        faults.rates = dict.fromkeys(faults.rates, 0.0)
        self._broker = Broker(self._loop, faults)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        asyncio.set_event_loop(None)
        try:
            return self._loop.run_until_complete(main)
        finally:
            self._loop.close()

    async def open(self) -> Log:
        from tradecore_shells.sim.log import SimLog

        return SimLog(self._broker)

    async def forget(self, log: Log, topic: str, partition: int, offset: int) -> None:
        self._broker.forget(topic, partition, offset)

    async def end(self) -> None:
        pass


_topics = itertools.count()


class KafkaWorld:
    """A real broker; topics of this test's own."""

    is_shared = True

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._prefix = f"contract-{os.getpid()}-{next(_topics)}-"

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(main)

    async def open(self) -> Log:
        from tradecore_shells.admin.topics import TopicPlan, create_topics
        from tradecore_shells.plumbing.kafka import KafkaLog

        names = ("one", "two")
        plans = [TopicPlan(self._prefix + name, partitions=2) for name in names]
        await create_topics(self._bootstrap, plans)
        return KafkaLog(self._bootstrap, topic_prefix=self._prefix)

    async def forget(self, log: Log, topic: str, partition: int, offset: int) -> None:
        from aiokafka import TopicPartition
        from aiokafka.admin import AIOKafkaAdminClient
        from aiokafka.admin.records_to_delete import RecordsToDelete

        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            place = TopicPartition(self._prefix + topic, partition)
            await admin.delete_records({place: RecordsToDelete(before_offset=offset)})
        finally:
            await admin.close()

    async def end(self) -> None:
        pass


async def insist(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call that may be repeated: a new topic of a real broker is not there at once."""
    for _ in range(50):
        try:
            return await call()
        except RetryableError:
            await asyncio.sleep(0.1)
    return await call()
