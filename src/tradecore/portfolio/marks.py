"""Prices of instruments as the portfolio sees them, by integer rules.

``mid``   floor((best bid + best ask) / 2) while both sides have orders, else the last trade
``last``  the last trade

0 stands for no price: nobody can say what an instrument is worth that has not traded and lacks a
side. Quotes come from `market-data` and are for what people look at; the equity curve uses last
trades out of `executions`, so that it is a function of the log.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tradecore import dtypes
from tradecore.codes import CellKind
from tradecore.portfolio.fold import group_by

__all__ = ["MarkRule", "Marks", "mid_px"]

MarkRule: TypeAlias = Literal["mid", "last"]


def mid_px(bid_px: int, bid_qty: int, ask_px: int, ask_qty: int) -> int:
    """Return the middle of a quote in ticks, rounded down; 0 while a side is empty."""
    return (bid_px + ask_px) // 2 if bid_qty and ask_qty else 0


class Marks:
    """The newest price of each instrument.

    Parameters
    ----------
    rule : {'mid', 'last'}
    last : dict of int to int, optional
        Last trades known at the start, by instrument.
    """

    def __init__(self, rule: MarkRule = "mid", last: dict[int, int] | None = None) -> None:
        self._rule = rule
        self._printed = dict(last or {})
        self._last: dict[int, int] = {}
        self._mid: dict[int, int] = {}

    def px(self, instrument_id: int) -> int:
        """Return the mark of an instrument in ticks, 0 when there is none."""
        middle = self._mid.get(instrument_id, 0) if self._rule == "mid" else 0
        last = self._last.get(instrument_id) or self._printed.get(instrument_id, 0)
        return middle or last

    def note_last(self, last: dict[int, int]) -> None:
        """Take over last trades as the executions say them; market data, once seen, is newer."""
        self._printed.update(last)

    def note_frames(self, frames: npt.NDArray[np.void]) -> set[int]:
        """Take over quotes and trades of market data; return the instruments whose mark moved.

        Parameters
        ----------
        frames : ndarray of `tradecore.EVENT`
            Market frames in their order; other kinds are passed over. O(frames).
        """
        kinds = frames["kind"]
        touched: dict[int, int] = {}

        def newest(kind: int) -> npt.NDArray[np.void]:
            rows = frames[kinds == kind]
            order, _, last = group_by(rows["instrument_id"])
            found: npt.NDArray[np.void] = rows[order[last]]
            for instrument in found["instrument_id"].tolist():
                touched.setdefault(instrument, self.px(instrument))
            return found

        for trade in newest(CellKind.TRADE).view(dtypes.TRADE_EVENT):
            self._last[int(trade["instrument_id"])] = int(trade["last_px"])
        for quote in newest(CellKind.QUOTE).view(dtypes.QUOTE_EVENT):
            sides = (int(quote[x]) for x in ("bid_px", "bid_qty", "ask_px", "ask_qty"))
            self._mid[int(quote["instrument_id"])] = mid_px(*sides)
        return {
            instrument for instrument, before in touched.items() if self.px(instrument) != before
        }
