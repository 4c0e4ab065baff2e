"""A price-level book rebuilt from a snapshot and absolute level updates, without gaps.

Owns two things: `DepthBook`, the plain aggregated book, and `DepthRebuild`, which decides which
updates apply. The rules are those of Binance, "How to manage a local order book correctly":
updates that end at or before the snapshot are dropped, the first one applied must contain the
first update after the snapshot, and each later one must continue the one before. A gap is an
error, never a silently wrong book.
"""

from __future__ import annotations

import bisect
from collections import deque
from typing import NamedTuple

from tradecore.data.binance import DepthSnapshot, DepthUpdate, Levels
from tradecore.errors import TradecoreError

__all__ = ["DepthBook", "DepthGapError", "DepthRebuild", "Quote"]


class DepthGapError(TradecoreError):
    """An update does not continue the book; the rebuild must start over from a new snapshot."""


class Quote(NamedTuple):
    """Best bid and ask with their quantities; 0 and 0 where a side is empty."""

    bid_px: int
    bid_qty: int
    ask_px: int
    ask_qty: int


class DepthBook:
    """Aggregated quantities per price on two sides, integers in the units of the source.

    Setting a level costs O(log n) to find plus the shift of an array for a new price.
    """

    def __init__(self) -> None:
        self._qty: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._prices: tuple[list[int], list[int]] = ([], [])

    def set_level(self, side: int, px: int, qty: int) -> None:
        """Set the total quantity at a price; 0 removes the level, which may be absent.

        Parameters
        ----------
        side : int
            1 buy, 2 sell.
        px, qty : int
            Non-negative, in the units of the source.
        """
        table, prices = self._qty[side - 1], self._prices[side - 1]
        if qty:
            if px not in table:
                bisect.insort(prices, px)
            table[px] = qty
        elif table.pop(px, None) is not None:
            del prices[bisect.bisect_left(prices, px)]

    def levels(self, side: int, count: int | None = None) -> Levels:
        """Return the best `count` levels (all by default) as (price, quantity), best first."""
        table, prices = self._qty[side - 1], self._prices[side - 1]
        wanted = len(prices) if count is None else min(count, len(prices))
        if side == 1:
            return [(px, table[px]) for px in reversed(prices[len(prices) - wanted :])]
        return [(px, table[px]) for px in prices[:wanted]]

    def quote(self) -> Quote:
        """Return the best bid and ask."""
        bid = self.levels(1, 1) or [(0, 0)]
        ask = self.levels(2, 1) or [(0, 0)]
        return Quote(*bid[0], *ask[0])


class DepthRebuild:
    """A book that follows a stream of updates exactly.

    Updates that arrive before the snapshot are kept and sorted out when it comes; at most `buffer`
    of them, since a stream whose snapshot never comes must not fill the memory.

    Attributes
    ----------
    book : DepthBook
    last_id : int or None
        Update id that the book corresponds to; None until the snapshot has been applied.
    """

    def __init__(self, buffer: int = 100_000) -> None:
        self.book = DepthBook()
        self.last_id: int | None = None
        self._started = False
        self._waiting: deque[DepthUpdate] = deque()
        self._buffer = buffer

    def snapshot(self, snapshot: DepthSnapshot) -> None:
        """Start over from a snapshot and apply the updates that waited for it.

        Raises
        ------
        DepthGapError
            The updates received since do not continue the snapshot.
        """
        self.book = DepthBook()
        for side, levels in ((1, snapshot.bids), (2, snapshot.asks)):
            for px, qty in levels:
                self.book.set_level(side, px, qty)
        self.last_id = snapshot.last_id
        self._started = False
        while self._waiting:
            self.update(self._waiting.popleft())

    def update(self, update: DepthUpdate) -> bool:
        """Apply one update if it belongs.

        Returns
        -------
        bool
            True when the book changed to `update.last_id`; False when the update is older than the
            snapshot or waits for it.

        Raises
        ------
        DepthGapError
            Updates are missing in between, or too many wait for a snapshot. The book is unchanged.
        """
        if self.last_id is None:
            if len(self._waiting) >= self._buffer:
                raise DepthGapError(f"{self._buffer} updates and no snapshot")
            self._waiting.append(update)
            return False
        if update.last_id <= self.last_id:
            return False
        if self._started and update.previous_id is not None:
            continues = update.previous_id == self.last_id
        elif self._started:
            continues = update.first_id == self.last_id + 1
        else:
            continues = update.first_id <= self.last_id + 1
        if not continues:
            raise DepthGapError(
                f"update {update.first_id}..{update.last_id} does not continue {self.last_id}"
            )
        for side, levels in ((1, update.bids), (2, update.asks)):
            for px, qty in levels:
                self.book.set_level(side, px, qty)
        self.last_id = update.last_id
        self._started = True
        return True
