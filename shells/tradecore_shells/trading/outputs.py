"""What a cell says, on its way to three topics: sent by a primary, held by a standby.

A kill may come between any two appends, so each topic is looked at for itself: how far it reaches
is read from its last record, and what it holds already is not sent again. Executions and market
data are numbered by frames, dead letters by the offset of the record they copy.

The last record of a topic may be a late repetition of an earlier one. Then its end is taken for
less than it is, and a little is sent twice: readers drop it. It is never taken for more, because no
sender leaves a gap.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import Final

from tradecore import cell as cells
from tradecore_shells.plumbing.outbox import Outbox
from tradecore_shells.plumbing.ports import (
    AUDIT_LOGS,
    EXECUTIONS,
    MARKET_DATA,
    TRADING_COMMANDS,
    FatalError,
    Log,
    Payload,
    Record,
    RetryableError,
    dead_letters,
)
from tradecore_shells.plumbing.retry import retrying
from tradecore_shells.trading.config import TradingSettings
from tradecore_shells.trading.standby import Held

__all__ = ["TOPICS", "Outputs"]

LETTERS: Final = dead_letters(TRADING_COMMANDS)
TOPICS: Final = (EXECUTIONS, MARKET_DATA, LETTERS)


def _end_of(topic: str, payload: Payload) -> int:
    """Return the number behind what a record of a topic holds."""
    if topic == LETTERS:
        return cells.read_dead_letter(payload)[1].offset + 1
    return cells.end_seq(payload)


class Outputs:
    """The three topics of a cell, and its audit log.

    Parameters
    ----------
    log : Log
    partition : int
    settings : TradingSettings
    on_durable : callable, optional
        Called with (mark, records, bytes) when executions have become durable.
    """

    def __init__(
        self,
        log: Log,
        partition: int,
        settings: TradingSettings,
        on_durable: Callable[[int, int, int], None] | None = None,
    ) -> None:
        self._log = log
        self._partition = partition
        self._budget_s = settings.retry_s
        self._held = {topic: Held() for topic in TOPICS}
        self._boxes = {
            topic: Outbox(
                log,
                topic,
                partition,
                max_bytes=settings.queue_bytes,
                budget_s=settings.retry_s,
                on_durable=on_durable if topic == EXECUTIONS else None,
            )
            for topic in (*TOPICS, AUDIT_LOGS)
        }

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait to be sent or to be seen."""
        return sum(box.queued_bytes for box in self._boxes.values()) + sum(
            held.bytes for held in self._held.values()
        )

    def start(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Begin to send whatever is put."""
        return [group.create_task(box.run()) for box in self._boxes.values()]

    async def begin(self, cell: cells.Cell) -> None:
        """Find out how far every topic reaches; `cell` is as its snapshot left it.

        Raises
        ------
        FatalError
            `executions` is another cell's, or answers a command that the log does not hold.
        """
        # A snapshot exists only when everything before it is durable.
        reached = {EXECUTIONS: cell.exec_seq, MARKET_DATA: cell.market_seq, LETTERS: 0}
        for topic in TOPICS:
            end = await retrying(
                functools.partial(self._end, topic),
                f"reading {topic}-{self._partition}",
                budget_s=self._budget_s,
            )
            self._held[topic].begin(reached[topic], end)
        await self._verify(cell.source)
        for box in self._boxes.values():
            box.put([], cell.next_offset)

    async def _verify(self, source: int) -> None:
        """Halt when `executions` is another cell's, or answers what the log does not hold any more.

        Snapshots tell a log that lost its end too, but only of what the newest of them has seen.
        """
        records = await retrying(
            functools.partial(self._newest, EXECUTIONS),
            f"reading {EXECUTIONS}-{self._partition}",
            budget_s=self._budget_s,
        )
        if not records:
            return
        its_source, answered = cells.newest_answer(records[-1].payload)
        if its_source != source:
            raise FatalError(
                f"{EXECUTIONS}-{self._partition} was written by source {its_source:#x}, this cell "
                f"is {source:#x}: it is the partition of another cell; set [log] partition right"
            )
        # Read behind the answers: another primary may be at work meanwhile.
        bounds = await retrying(
            functools.partial(self._log.bounds, TRADING_COMMANDS, self._partition),
            f"reading {TRADING_COMMANDS}-{self._partition}",
            budget_s=self._budget_s,
        )
        if answered >= bounds.end:
            raise FatalError(
                f"{TRADING_COMMANDS}-{self._partition} ends at offset {bounds.end}, "
                f"{EXECUTIONS}-{self._partition} answers offset {answered}: the log lost "
                "acknowledged commands; restore it from a replica, do not delete the executions"
            )

    async def _newest(self, topic: str) -> list[Record]:
        """Return the last record of a topic; none when it is empty."""
        bounds = await self._log.bounds(topic, self._partition)
        if bounds.end == bounds.start:
            return []
        return await self._log.fetch(
            topic, self._partition, bounds.end - 1, max_bytes=1, wait_s=0.5
        )

    async def _end(self, topic: str) -> int:
        records = await self._newest(topic)
        return max((_end_of(topic, record.payload) for record in records), default=0)

    # ---- a primary's -----------------------------------------------------------------------------
    def send(self, cell: cells.Cell, output: cells.Output) -> bool:
        """Send what the topics do not hold yet; True when executions were among it."""
        mark, sent = cell.next_offset, False
        for topic, payloads, end in self._of(cell, output):
            fresh = self._held[topic].fresh(payloads, end)
            self._boxes[topic].put(fresh, mark)
            sent = sent or (topic == EXECUTIONS and bool(fresh))
        return sent

    async def room(self) -> None:
        """Wait until no topic has too much waiting."""
        for topic in TOPICS:
            await self._boxes[topic].room()

    async def durable(self, mark: int) -> None:
        """Wait until all topics hold everything that the records before `mark` made."""
        for topic in TOPICS:
            await self._boxes[topic].drained(mark)

    def audit(self, payload: bytes, mark: int) -> None:
        """Send a record to the audit log."""
        self._boxes[AUDIT_LOGS].put([payload], mark)

    async def drained(self) -> None:
        """Wait until nothing waits."""
        for box in self._boxes.values():
            await box.drained()

    # ---- a standby's -----------------------------------------------------------------------------
    def hold(self, cell: cells.Cell, output: cells.Output) -> None:
        """Keep what the topics do not show yet."""
        now = asyncio.get_running_loop().time()
        for topic, payloads, end in self._of(cell, output):
            self._held[topic].keep(payloads, end, now)

    async def watch(self, idle_s: float) -> None:
        """Follow `executions`, look at the end of the others now and then; drop what they show."""
        others = [topic for topic in TOPICS if topic != EXECUTIONS]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(idle_s))
            for topic in others:
                group.create_task(self._look(topic, idle_s))

    async def _follow(self, idle_s: float) -> None:
        offset = -1
        while True:
            try:
                if offset < 0:
                    bounds = await self._log.bounds(EXECUTIONS, self._partition)
                    offset = max(bounds.start, bounds.end - 1)
                records = await self._log.fetch(
                    EXECUTIONS, self._partition, offset, max_bytes=1 << 20, wait_s=idle_s
                )
            except RetryableError:
                await asyncio.sleep(idle_s)
                continue
            for record in records:
                self._held[EXECUTIONS].seen(cells.end_seq(record.payload))
                offset = record.offset + 1

    async def _look(self, topic: str, idle_s: float) -> None:
        while True:
            await asyncio.sleep(idle_s)
            try:
                self._held[topic].seen(await self._end(topic))
            except RetryableError:
                continue

    async def seen(self) -> bool:
        """Wait until the topics show everything made so far; False: taken over before that."""
        goals = [(held, held.made) for held in self._held.values()]
        for held, made in goals:
            if not await held.until_seen(made):
                return False
        return True

    def waiting_s(self) -> float:
        """How long the oldest held execution has been waiting; 0 when none is held."""
        return self._held[EXECUTIONS].waiting_s(asyncio.get_running_loop().time())

    def release(self, mark: int) -> int:
        """Send everything that is held, because this is the primary now; returns payloads."""
        count = 0
        for topic in TOPICS:
            payloads = self._held[topic].release()
            self._boxes[topic].put(payloads, mark)
            count += len(payloads)
        return count

    def _of(
        self, cell: cells.Cell, output: cells.Output
    ) -> list[tuple[str, Sequence[Payload], int]]:
        letters = output.dead_letters
        return [
            (EXECUTIONS, output.executions(cell), output.end_exec_seq),
            (MARKET_DATA, output.market(cell), output.end_market_seq),
            (
                LETTERS,
                [letter.encode(self._partition) for letter in letters],
                letters[-1].offset + 1 if letters else 0,
            ),
        ]
