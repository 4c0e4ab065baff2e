"""An ordered queue in front of one partition: bounded in bytes, one append in flight, never a gap.

A sender that skipped a failed batch would leave a hole in its numbers that no reader can cross. So
a batch that failed is sent again until the log takes it or the budget is used up, and then the
process ends: the next one replays and sends it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from tradecore_shells.plumbing.ports import FatalError, Log, Payload, RetryableError

__all__ = ["Outbox"]

_MAX_RECORDS = 256  # records merged into one append
_FIRST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 1.0


class Outbox:
    """Payloads on their way to one partition.

    Parameters
    ----------
    log : Log
    topic, partition
        Where to.
    max_bytes : int
        `has_room` is False from here on; `put` still takes what one input batch made.
    max_append_bytes : int
        Most bytes merged into one append.
    budget_s : float
        How long one batch may be retried before the outbox fails.
    on_durable : callable, optional
        Called with (mark, records, bytes) after each append.
    """

    def __init__(
        self,
        log: Log,
        topic: str,
        partition: int,
        *,
        max_bytes: int = 8 << 20,
        max_append_bytes: int = 4 << 20,
        budget_s: float = 30.0,
        on_durable: Callable[[int, int, int], None] | None = None,
    ) -> None:
        self._log = log
        self._topic = topic
        self._partition = partition
        self._max_bytes = max_bytes
        self._max_append = max_append_bytes
        self._budget_s = budget_s
        self._on_durable = on_durable
        self._queue: deque[tuple[Payload, int, int]] = deque()
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self.queued_bytes = 0
        self.marked = 0
        """Highest mark that was put."""
        self.durable = 0
        """Highest mark everything up to which is durable."""

    @property
    def has_room(self) -> bool:
        """Whether another input batch may be worked on."""
        return self.queued_bytes < self._max_bytes

    def put(self, payloads: Sequence[Payload], mark: int) -> None:
        """Queue what the input up to `mark` made; an empty list only moves the mark."""
        for payload in payloads:
            size = len(payload)
            self._queue.append((payload, size, mark))
            self.queued_bytes += size
        self.marked = mark
        if not self._queue:
            self.durable = mark
            self._moved.set()
        self._wake.set()

    async def room(self) -> None:
        """Wait until there is room."""
        while not self.has_room:
            await self._next_move()

    async def drained(self, mark: int | None = None) -> None:
        """Wait until everything up to `mark` (default: all that was put) is durable."""
        goal = self.marked if mark is None else mark
        while self.durable < goal:
            await self._next_move()

    async def _next_move(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    async def run(self) -> None:
        """Send, until cancelled. Raises FatalError when the log refuses or the budget is over."""
        while True:
            while not self._queue:
                self._wake.clear()
                await self._wake.wait()
            batch: list[Payload] = []
            size = 0
            for payload, length, _ in self._queue:
                if batch and (size + length > self._max_append or len(batch) == _MAX_RECORDS):
                    break
                batch.append(payload)
                size += length
            await self._send(batch)
            for _ in batch:
                mark = self._queue.popleft()[2]
            self.queued_bytes -= size
            # The last payload's mark is complete when no other payload of it waits.
            if not self._queue:
                self.durable = self.marked
            elif self._queue[0][2] > mark:
                self.durable = mark
            else:
                self.durable = max(self.durable, mark - 1)
            if self._on_durable is not None:
                self._on_durable(self.durable, len(batch), size)
            self._moved.set()

    async def _send(self, batch: list[Payload]) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._budget_s
        pause = _FIRST_PAUSE_S
        while True:
            try:
                await self._log.append(self._topic, self._partition, batch)
                return
            except RetryableError as error:
                if loop.time() + pause > deadline:
                    raise FatalError(
                        f"{self._topic}-{self._partition}: not written for {self._budget_s:g} s "
                        f"({error}); start again when the log is back, nothing is lost"
                    ) from error
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
