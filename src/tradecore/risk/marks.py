"""Mark prices from quotes, in integers.

What a mark should be depends on when quotes were read, so it is an observation and not a function
of the commands before it; it becomes one by being sent. From then on it is a fact of the log, and
everything else that risk decides follows from facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tradecore import dtypes
from tradecore.codes import MAX_PX, CellKind, Phase
from tradecore.portfolio.fold import group_by
from tradecore.portfolio.marks import mid_px
from tradecore.risk.facts import Facts, Mark
from tradecore.risk.frames import Wish, mark_price
from tradecore.risk.policy import MarkPolicy

__all__ = ["Quote", "Quotes", "bounded_step", "quoted_px"]

_MS: Final = 1_000_000
_MILLION: Final = 1_000_000


class Quote(NamedTuple):
    """Best prices in ticks and visible lots; 0 lots = nobody there."""

    bid_px: int
    bid_qty: int
    ask_px: int
    ask_qty: int


def quoted_px(quote: Quote, last_px: int, max_spread_ppm: int) -> int:
    """Return what a quote says an instrument is worth, in ticks; 0 = nothing.

    The middle, rounded down. In a quote wider than `max_spread_ppm` of the middle: the last trade,
    brought inside the quote, or the middle where there never was one. Nothing while a side is empty
    or the sides are crossed.
    """
    middle = mid_px(*quote)
    if not middle or quote.bid_px > quote.ask_px:
        return 0
    wide = (quote.ask_px - quote.bid_px) * _MILLION > max_spread_ppm * middle
    if wide and last_px:
        return min(max(last_px, quote.bid_px), quote.ask_px)
    return middle


def bounded_step(before_px: int, goal_px: int, step_ppm: int) -> int:
    """Return the next mark on the way to a goal: at most `step_ppm` from the one before.

    At least one tick, so that it always arrives; without a mark before, the goal itself.
    """
    if not before_px:
        return min(goal_px, MAX_PX)
    most = max(before_px * step_ppm // _MILLION, 1)
    return max(1, min(max(goal_px, before_px - most), before_px + most, MAX_PX))


class Quotes:
    """The newest quote of each instrument, and shocks that somebody ordered."""

    def __init__(self) -> None:
        self._by_instrument: dict[int, Quote] = {}
        self._shocks: dict[int, tuple[int, int]] = {}

    def note_frames(self, frames: npt.NDArray[np.void]) -> None:
        """Take over the quotes among market frames. O(frames)."""
        rows = frames[frames["kind"] == CellKind.QUOTE].view(dtypes.QUOTE_EVENT)
        order, _, last = group_by(rows["instrument_id"])
        for row in rows[order[last]]:
            self._by_instrument[int(row["instrument_id"])] = Quote(
                *(int(row[name]) for name in Quote._fields)
            )

    def forget(self) -> None:
        """Believe nothing any more: market data was interrupted."""
        self._by_instrument.clear()

    def shock(self, instrument_id: int, px: int, until_ns: int) -> None:
        """Mark an instrument at `px`, in one step, and hold that until a moment of log time."""
        self._shocks[instrument_id] = (px, until_ns)

    def wishes(
        self,
        policy: MarkPolicy,
        facts: Facts,
        last_px: Mapping[int, int],
        instruments: Iterable[int],
    ) -> list[Wish]:
        """Return the marks that are due.

        Parameters
        ----------
        policy : MarkPolicy
        facts : Facts
            With log time, the marks in force and the phases: only what trades continuously is
            marked.
        last_px : mapping of int to int
            Last trades, ticks.
        instruments : iterable of int
            Those that need marks.
        """
        now = facts.now_ns
        due: list[Wish] = []
        for instrument in instruments:
            if facts.phases.get(instrument) != Phase.CONTINUOUS:
                continue
            before = facts.marks.get(instrument, Mark(0, 0))
            age = now - before.ts_ns
            if before.px and age < policy.interval_ms * _MS:
                continue
            px = self._next(policy, instrument, before.px, last_px.get(instrument, 0), now)
            if px and (px != before.px or age >= policy.refresh_ms * _MS):
                due.append(mark_price(instrument, px))
        return due

    def _next(self, policy: MarkPolicy, instrument: int, before: int, last: int, now: int) -> int:
        shocked, until_ns = self._shocks.get(instrument, (0, 0))
        if shocked and now < until_ns:
            return shocked
        self._shocks.pop(instrument, None)
        quote = self._by_instrument.get(instrument)
        goal = quoted_px(quote, last, policy.max_spread_ppm) if quote else 0
        return bounded_step(before, goal, policy.step_ppm) if goal else 0
