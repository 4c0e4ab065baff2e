"""Outputs that were made and not sent: held until it is known that somebody sent them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from tradecore_shells.plumbing.ports import Payload

__all__ = ["Held"]


class Held:
    """Execution payloads in order, with the number behind the last frame of each.

    `durable` is the number behind the last frame that the own topic is known to hold.
    """

    def __init__(self) -> None:
        self.durable = 1
        self.bytes = 0
        self._queue: deque[tuple[Sequence[Payload], int, int, float]] = deque()
        self._moved = asyncio.Event()
        self._released = False

    def fresh(self, payloads: Sequence[Payload], end_seq: int) -> Sequence[Payload]:
        """Return `payloads` unless the topic holds all of them already.

        A batch it holds in part is sent whole: readers skip what they have seen.
        """
        if end_seq <= self.durable:
            return []
        return payloads

    def keep(self, payloads: Sequence[Payload], end_seq: int, mark: int, now: float) -> None:
        """Hold what one input batch made."""
        if end_seq <= self.durable:
            return
        self._queue.append((payloads, end_seq, mark, now))
        self.bytes += sum(len(payload) for payload in payloads)

    def seen(self, end_seq: int) -> None:
        """Note that the topic holds everything before `end_seq`; what was held for it goes."""
        if end_seq <= self.durable:
            return
        self.durable = end_seq
        while self._queue and self._queue[0][1] <= end_seq:
            self.bytes -= sum(len(payload) for payload in self._queue.popleft()[0])
        self._moved.set()

    def waiting_s(self, now: float) -> float:
        """How long the oldest held output has been waiting; 0 when nothing is held."""
        return now - self._queue[0][3] if self._queue else 0.0

    def release(self, now: float) -> tuple[Sequence[Payload], float]:
        """Hand over everything that is held, and how long the oldest has waited."""
        waited = self.waiting_s(now)
        payloads = [payload for held in self._queue for payload in held[0]]
        self._queue.clear()
        self.bytes = 0
        self._released = True
        self._moved.set()
        return payloads, waited

    async def until_seen(self, end_seq: int) -> bool:
        """Wait until the topic holds everything before `end_seq`; False: released before that."""
        while self.durable < end_seq and not self._released:
            self._moved.clear()
            await self._moved.wait()
        return self.durable >= end_seq
