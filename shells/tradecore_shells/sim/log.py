"""The log of a simulated world: one broker that is always right, and connections that are not.

The broker keeps every record for ever (`Partition.all`), also those that readers can no longer
get, because the oracles replay from the beginning. A connection belongs to one process: it loses
requests and answers, lets appends arrive late, stalls, and reads in pieces of any size.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tradecore.buffers import BytesLike
from tradecore_shells.plumbing.ports import Bounds, FatalError, Record, RetryableError
from tradecore_shells.sim.clock import EPOCH_NS
from tradecore_shells.sim.faults import Faults
from tradecore_shells.sim.loop import Process, SimLoop, current_process

__all__ = ["Broker", "Partition", "SimLog"]

_BETWEEN_S: Final = 1e-6
"""Between two requests of one connection: events of the same moment have no order."""


@dataclass
class Partition:
    """One partition: every record it ever took, and the window that readers see."""

    all: list[tuple[int, bytes]] = field(default_factory=list)
    start: int = 0
    waiting: list[asyncio.Future[None]] = field(default_factory=list)

    @property
    def end(self) -> int:
        """Offset of the next record."""
        return len(self.all)


class Broker:
    """Partitions, and the one clock that stamps records.

    Parameters
    ----------
    loop : SimLoop
    faults : Faults
    """

    def __init__(self, loop: SimLoop, faults: Faults) -> None:
        self.loop = loop
        self.faults = faults
        self.partitions: dict[tuple[str, int], Partition] = {}
        self.clock_step_ns = 0
        self.stalled_until = 0.0

    def partition(self, topic: str, number: int) -> Partition:
        """Return a partition; it exists as soon as somebody asks for it."""
        return self.partitions.setdefault((topic, number), Partition())

    def take(self, topic: str, number: int, payloads: Sequence[bytes]) -> int:
        """Append records durably and wake their readers; return the first offset."""
        partition = self.partition(topic, number)
        first = partition.end
        now = EPOCH_NS + int(self.loop.now * 1e9) + self.clock_step_ns
        partition.all.extend((now, payload) for payload in payloads)
        waiting, partition.waiting = partition.waiting, []
        for reader in waiting:
            _wake(reader)
        return first

    def forget(self, topic: str, number: int, before: int) -> None:
        """Drop the records before an offset, as retention does."""
        partition = self.partition(topic, number)
        partition.start = max(partition.start, min(before, partition.end))

    def cut(self, topic: str, number: int, end: int) -> None:
        """Lose the newest records, as an unclean failover of a real log can."""
        del self.partition(topic, number).all[end:]


def _wake(reader: asyncio.Future[None]) -> None:
    if not reader.done():
        reader.set_result(None)


class SimLog:
    """A Log port: the connection of one process to the broker.

    Parameters
    ----------
    broker : Broker
    process : Process, optional
        Whose it is; none for tools of the world.
    seed : str
        Of delays and sizes.
    slow : float
        Factor on the delay of reads: a slow reader.

    Attributes
    ----------
    slow : float
        May be changed; `pace` is what it was at first.
    """

    def __init__(
        self, broker: Broker, process: Process | None = None, seed: str = "", slow: float = 1.0
    ) -> None:
        self._broker = broker
        self._loop = broker.loop
        self._faults = broker.faults
        self._process = process
        self._rng = random.Random(f"log-{seed}")
        self.slow = self.pace = slow
        self._last: dict[tuple[str, int], float] = {}
        self._closed = False

    def _check(self) -> None:
        process = self._process or current_process()
        if process is not None:
            process.check()
        if self._closed:
            raise FatalError("the log is closed")

    async def append(self, topic: str, partition: int, payloads: Sequence[BytesLike]) -> int:
        """Append records; the request, the answer or both may be lost on the way."""
        self._check()
        taken = [bytes(payload) for payload in payloads]
        answer: asyncio.Future[int] = self._loop.create_future()
        # One connection keeps the order of its requests, however long each is under way.
        due = self._loop.now + self._rng.uniform(0.0002, 0.003)
        behind = self._last.get((topic, partition), 0.0) + _BETWEEN_S
        due = max(due, behind, self._broker.stalled_until)
        self._last[topic, partition] = due
        faults, slack = self._faults, self._rng.uniform(0.05, 0.4)
        lost = None
        if due - self._loop.now > 0.5:
            lost = RetryableError(f"{topic}-{partition}: no answer from the log")
            slack = due - self._loop.now
        if faults.strikes("append_lost"):
            self._later(slack, self._answer, answer, 0, lost or RetryableError("request timed out"))
        elif faults.strikes("late_append"):
            late = self._rng.uniform(slack, 1.2)
            self._later(late, self._broker.take, topic, partition, taken)
            self._later(slack, self._answer, answer, 0, RetryableError("request timed out"))
        else:
            if faults.strikes("ack_lost"):
                lost = RetryableError("answer lost")
            delay = due - self._loop.now
            self._later(delay, self._arrive, topic, partition, taken, answer, lost, slack)
        return await answer

    def _later(self, delay: float, what: object, *args: object) -> None:
        self._loop.in_world(delay, what, *args)  # type: ignore[arg-type]

    def _arrive(
        self,
        topic: str,
        partition: int,
        taken: list[bytes],
        answer: asyncio.Future[int],
        lost: Exception | None,
        slack: float,
    ) -> None:
        first = self._broker.take(topic, partition, taken)
        back = slack if lost else self._rng.uniform(0.0002, 0.002)
        self._later(back, self._answer, answer, first, lost)

    @staticmethod
    def _answer(answer: asyncio.Future[int], first: int, lost: Exception | None) -> None:
        if answer.done():
            return
        if lost is not None:
            answer.set_exception(lost)
            answer.exception()  # the caller may be dead: nobody need look
        else:
            answer.set_result(first)

    async def fetch(
        self, topic: str, partition: int, offset: int, *, max_bytes: int, wait_s: float
    ) -> list[Record]:
        """Return records from `offset` on, in pieces of any size."""
        self._check()
        await asyncio.sleep(self.slow * self._rng.uniform(0.0001, 0.002))
        if self._faults.strikes("fetch_failed"):
            raise RetryableError(f"{topic}-{partition}: connection lost")
        if self._broker.stalled_until > self._loop.now:
            await asyncio.sleep(min(wait_s, self._broker.stalled_until - self._loop.now))
            if self._broker.stalled_until > self._loop.now:
                raise RetryableError(f"{topic}-{partition}: the log cannot be reached")
        found = self._broker.partition(topic, partition)
        self._within(found, topic, partition, offset)
        if offset == found.end:
            if wait_s <= 0:
                return []
            reader: asyncio.Future[None] = self._loop.create_future()
            found.waiting.append(reader)
            timer = self._loop.in_world(wait_s, _wake, reader)
            await reader
            timer.cancel()
            self._check()
            if offset == found.end:
                if reader in found.waiting:
                    found.waiting.remove(reader)
                return []
            self._within(found, topic, partition, offset)
        limit = self._rng.choice((1, 3, 16, 64, 64, 64))
        records: list[Record] = []
        for number in range(offset, min(found.end, offset + limit)):
            ts_ns, payload = found.all[number]
            if records and len(payload) > max_bytes:
                break
            max_bytes -= len(payload)
            records.append(Record(number, ts_ns, memoryview(payload)))
        return records

    @staticmethod
    def _within(found: Partition, topic: str, partition: int, offset: int) -> None:
        if not found.start <= offset <= found.end:
            raise FatalError(
                f"{topic}-{partition}: offset {offset} is outside of what the log keeps, "
                f"{found.start} to {found.end}"
            )

    async def bounds(self, topic: str, partition: int) -> Bounds:
        """Return the first offset kept and the next offset."""
        self._check()
        await asyncio.sleep(self._rng.uniform(0.0001, 0.001))
        if self._broker.stalled_until > self._loop.now:
            raise RetryableError(f"{topic}-{partition}: the log cannot be reached")
        found = self._broker.partition(topic, partition)
        return Bounds(found.start, found.end)

    async def close(self) -> None:
        """Refuse everything from now on."""
        self._closed = True
