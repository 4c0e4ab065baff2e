"""Outputs that were made and not sent: held until it is known that somebody sent them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from tradecore_shells.plumbing.ports import Payload

__all__ = ["Held"]


class Held:
    """Payloads of one topic in order, with the number behind each.

    Attributes
    ----------
    durable : int
        The number behind what the topic is known to hold.
    made : int
        The number behind what the cell has made.
    bytes : int
        Bytes that are held.
    """

    def __init__(self) -> None:
        self.durable = 0
        self.made = 0
        self.bytes = 0
        self._queue: deque[tuple[Sequence[Payload], int, float]] = deque()
        self._moved = asyncio.Event()
        self._released = False

    def begin(self, made: int, end: int) -> None:
        """Start behind a snapshot, whose outputs are durable, with what the topic's end shows."""
        self.made = made
        self.durable = max(made, end)

    def fresh(self, payloads: Sequence[Payload], end: int) -> Sequence[Payload]:
        """Return `payloads` unless the topic holds all of them already.

        A batch it holds in part is sent whole: readers skip what they have seen.
        """
        self.made = max(self.made, end)
        return payloads if end > self.durable else []

    def keep(self, payloads: Sequence[Payload], end: int, now: float) -> None:
        """Hold what one input batch made; `now` is the loop's time."""
        self.made = max(self.made, end)
        if not payloads or end <= self.durable:
            return
        self._queue.append((payloads, end, now))
        self.bytes += sum(len(payload) for payload in payloads)

    def seen(self, end: int) -> None:
        """Note that the topic holds everything before `end`; what was held for it goes."""
        if end <= self.durable:
            return
        self.durable = end
        while self._queue and self._queue[0][1] <= end:
            self.bytes -= sum(len(payload) for payload in self._queue.popleft()[0])
        self._moved.set()

    def waiting_s(self, now: float) -> float:
        """How long the oldest held output has been waiting; 0 when nothing is held."""
        return now - self._queue[0][2] if self._queue else 0.0

    def release(self) -> list[Payload]:
        """Hand over everything that is held."""
        payloads = [payload for held in self._queue for payload in held[0]]
        self._queue.clear()
        self.bytes = 0
        self._released = True
        self._moved.set()
        return payloads

    async def until_seen(self, end: int) -> bool:
        """Wait until the topic holds everything before `end`; False: released before that."""
        while self.durable < end and not self._released:
            self._moved.clear()
            await self._moved.wait()
        return self.durable >= end
