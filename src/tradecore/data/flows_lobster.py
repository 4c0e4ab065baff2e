"""A LOBSTER day as orders on an engine: seed, follow the messages, cut and adopt levels.

The files hold only what happens inside the best L levels, and orders that rested before the file
begins have no submission. So the book is seeded from a snapshot row, one *unknown* order per level
for what cannot be named; a message about an order never seen is about the unknown order of its
level, which stands first in its queue because it is older than everything the file shows. Levels
beyond L are cut, and a level that comes into view is adopted from the snapshot. Source: the LOBSTER
read-me, and the rule that makes the book comparable in the description of the shared data.

Prices are dollars x 10,000 and are ticks here; sizes are lots.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from tradecore.buffers import byte_view
from tradecore.codes import CommandKind, EventKind, OrderFlag, OrdType, Phase, Side, Tif
from tradecore.data.flows import instrument_frames
from tradecore.data.lobster import ABSENT_PX
from tradecore.dtypes import COMMAND, EVENT, FILL_EVENT
from tradecore.engine import Engine

__all__ = ["Execution", "LobsterBook", "Row", "side_levels"]

_UNKNOWN_IDS: Final = 1 << 62
_INSTRUMENT: Final = 0

Row = list[list[int]]
"""One snapshot row: per level ask price, ask size, bid price, bid size; best level first."""

Level = tuple[int, int]


class Execution(NamedTuple):
    """A resting order and what was taken of it. `maker` is 0 for the unknown order of the level."""

    maker: int
    px: int
    qty: int


def side_levels(row: Row, side: int) -> list[Level]:
    """Return one side of a snapshot row as (px, qty), best first, without absent levels."""
    at = 0 if side == Side.SELL else 2
    return [(lv[at], lv[at + 1]) for lv in row if abs(lv[at]) != ABSENT_PX and lv[at + 1] > 0]


class LobsterBook:
    """One day's book, held by an engine as orders.

    Parameters
    ----------
    levels : int
        L, the levels per side that the files show.
    phase : Phase
        AUCTION: messages are book-keeping, nothing trades. CONTINUOUS: orders match.
    max_orders : int
        Orders alive at once, at most.
    """

    def __init__(self, levels: int, phase: Phase, max_orders: int = 1 << 18) -> None:
        self.depth = levels
        self.engine = Engine(max_instruments=1, max_orders=max_orders)
        definition = instrument_frames(1)
        definition["phase"] = phase
        self.engine.apply(definition)
        self._open: dict[int, int] = {}
        self._unknown: dict[tuple[int, int], int] = {}
        self._next_unknown = _UNKNOWN_IDS

    # ---- looking ------------------------------------------------------------------------------

    def levels(self, side: int) -> list[tuple[int, int, int]]:
        """Return (px, qty, orders) of one side, best first, one level more than the files show."""
        levels: list[tuple[int, int, int]] = self.engine.depth(_INSTRUMENT, side, self.depth + 1)
        return levels

    def knows(self, order_id: int) -> bool:
        """Tell whether the order is alive under its own id."""
        return order_id in self._open

    def queue(self, side: int, px: int) -> list[Level]:
        """Return (engine order id, open quantity) at a price, in queue order."""
        return [(o, qty) for o, _, qty, _ in self.engine.queue(_INSTRUMENT, side, px)]

    # ---- following the messages ---------------------------------------------------------------

    def submit(self, order_id: int, side: int, px: int, qty: int) -> None:
        """Add a resting order."""
        self.engine.new_order(0, _INSTRUMENT, side, qty, px, OrdType.LIMIT, order_id=order_id)
        self._open[order_id] = qty

    def take(self, order_id: int, side: int, px: int, qty: int) -> None:
        """Take `qty` off an order, or off the unknown order of its level; all of it removes it."""
        number = order_id
        if order_id not in self._open:
            number = self._unknown.get((side, px), 0)
            if not number:
                return
        left = self._open[number] - qty
        if left > 0:
            self.engine.replace(0, number, order_qty=left, flags=OrderFlag.LEAVES)
            self._open[number] = left
        else:
            self._remove(number, side, px)

    def aggress(self, side: int, px: int, qty: int) -> list[Execution]:
        """Send one immediate order of `side` and return what it executed, in print order."""
        frame = np.zeros(1, COMMAND)
        frame["kind"], frame["ord_type"], frame["tif"] = (
            CommandKind.NEW_ORDER,
            OrdType.LIMIT,
            Tif.IOC,
        )
        frame["order_id"], frame["side"] = self._fresh(), side
        frame["px"], frame["order_qty"] = px, qty
        events = np.frombuffer(byte_view(self.engine.apply(frame)), EVENT)
        fills = events[events["kind"] == EventKind.FILL].view(FILL_EVENT)
        columns = (fills[name].tolist() for name in ("maker_order_id", "last_px", "last_qty"))
        found = []
        for maker, last_px, last_qty in zip(*columns, strict=True):
            left = self._open[maker] - last_qty
            self._open[maker] = left
            if not left:
                self._forget(maker, Side.BUY if side == Side.SELL else Side.SELL, last_px)
            found.append(Execution(maker if maker < _UNKNOWN_IDS else 0, last_px, last_qty))
        return found

    # ---- fitting the book to what the files show ------------------------------------------------

    def cut(self, side: int) -> list[tuple[int, int, int]]:
        """Remove what lies beyond the levels that the files show; return the levels that stay."""
        levels = self.levels(side)
        while len(levels) > self.depth:
            for px, _, _ in levels[self.depth :]:
                self.clear(side, px)
            levels = self.levels(side)
        return levels

    def adopt(self, side: int, wanted: list[Level], have: list[tuple[int, int, int]]) -> None:
        """Add the levels at the far end of a snapshot that the book has not seen.

        Parameters
        ----------
        wanted : list of (px, qty)
            The snapshot's side.
        have : list of (px, qty, orders)
            The book's side; only where it is shorter is anything adopted.
        """
        known = {px for px, _, _ in have}
        for px, qty in wanted[len(have) :]:
            if px not in known:
                self.add_unknown(side, px, qty)

    def add_unknown(self, side: int, px: int, qty: int) -> None:
        """Rest the unknown order of a level."""
        number = self._fresh()
        self.submit(number, side, px, qty)
        self._unknown[side, px] = number

    def clear(self, side: int, px: int) -> None:
        """Remove every order of a level."""
        for number, _ in self.queue(side, px):
            self._remove(number, side, px)

    def _fresh(self) -> int:
        self._next_unknown += 1
        return self._next_unknown

    def _remove(self, number: int, side: int, px: int) -> None:
        self.engine.cancel(0, number)
        self._forget(number, side, px)

    def _forget(self, number: int, side: int, px: int) -> None:
        del self._open[number]
        if number >= _UNKNOWN_IDS:
            self._unknown.pop((side, px), None)
