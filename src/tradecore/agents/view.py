"""What a participant may know when it decides: prices, phases, its positions; no order book."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tradecore.agents.chance import Chance, Ints
from tradecore.agents.rows import Rows
from tradecore.agents.slots import Slots
from tradecore.agents.spec import InstrumentPlan
from tradecore.codes import Phase

__all__ = ["Part", "View"]


class View:
    """The market as everybody sees it at the beginning of a step.

    Parameters
    ----------
    plans : list of InstrumentPlan
    accounts : int

    Attributes
    ----------
    ids : ndarray of int64, shape (instruments,)
        Instrument ids; everywhere else an instrument is its position in this array.
    linear : ndarray of bool, shape (instruments,)
        Margined: can be sold without having it.
    bid, ask, mid : ndarray of int64, shape (instruments,)
        Ticks. Without orders on a side: what the other side and the last mid suggest.
    fast, slow : ndarray of int64, shape (instruments,)
        Moving averages of the mid over about 8 and 64 steps, ticks times 256.
    open, accepts : ndarray of bool, shape (instruments,)
        In continuous trading; in a phase that takes new resting orders (a call auction too).
    fair : ndarray of int64, shape (instruments,)
        Fair value in ticks: what informed traders know.
    position : ndarray of int64, shape (accounts, instruments)
        Lots bought minus lots sold here, counted from fills.
    now_ns : int
        Log time at the beginning of the step.
    """

    def __init__(self, plans: list[InstrumentPlan], accounts: int) -> None:
        ids: Ints = np.array([plan.instrument_id for plan in plans], np.int64)
        first_px: Ints = np.array([plan.first_px for plan in plans], np.int64)
        self.ids = ids
        self.linear: npt.NDArray[np.bool_] = np.array([plan.is_linear for plan in plans])
        self.bid, self.ask, self.mid = first_px - 1, first_px + 1, first_px.copy()
        self.fast, self.slow = first_px * 256, first_px * 256
        self.open: npt.NDArray[np.bool_] = np.zeros(len(ids), np.bool_)
        self.accepts: npt.NDArray[np.bool_] = np.ones(len(ids), np.bool_)
        self.fair = first_px.copy()
        self.position: Ints = np.zeros((accounts, len(ids)), np.int64)
        self.now_ns = 0

    def phase(self, instrument: int, phase: int) -> None:
        """Take over a change of trading phase."""
        self.open[instrument] = phase == Phase.CONTINUOUS
        self.accepts[instrument] = phase in (Phase.AUCTION, Phase.CONTINUOUS)

    def quote(self, quotes: list[tuple[int | None, int | None]]) -> None:
        """Take over the best prices, (bid, ask) of each instrument, None where a side is empty."""
        for i, (bid, ask) in enumerate(quotes):
            before = int(self.mid[i])
            if bid is None:
                bid = min(before, ask) - 1 if ask is not None else before - 1
            if ask is None:
                ask = max(before, bid) + 1
            self.bid[i], self.ask[i] = max(bid, 1), ask
        np.add(self.bid, self.ask, out=self.mid)
        self.mid //= 2
        self.fast += (self.mid * 256 - self.fast) // 8
        self.slow += (self.mid * 256 - self.slow) // 64


class Part:
    """A trader class's share of a step: the rows it may fill, and what it fills them from.

    Parameters
    ----------
    rows : Rows
    span : slice
        Its rows.
    """

    def __init__(self, rows: Rows, span: slice, view: View, slots: Slots, chance: Chance) -> None:
        self.n = span.stop - span.start
        self.view, self.slots, self.chance = view, slots, chance
        self._rows, self._span = rows, span

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return this part of a field, to be written."""
        return self._rows[name][self._span]
