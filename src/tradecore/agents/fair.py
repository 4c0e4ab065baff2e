"""The price that nobody sees: what each instrument is worth, step by step.

Informed traders know it, makers have an idea of it, momentum traders see only prices. It is a
random walk whose pace changes between calm and storm, in fixed point, so that it is the same on
every machine.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tradecore.agents.chance import Chance, Ints
from tradecore.agents.spec import MarketSpec

__all__ = ["SCALE", "FairPrices"]

SCALE: Final = 256
"""Fractions of a tick in which fair prices are kept."""

# Standard deviation of a step in millionths of the price, by regime; and how likely a regime ends.
_CALM, _BUSY, _STORM = 150, 350, 900
_LEAVE_PPM: Final = 12_000
_BASIS_STEP: Final = 60  # millionths of the price
_CRASH_PPM: Final = 40_000


class FairPrices:
    """Fair prices of all instruments.

    Parameters
    ----------
    spec : MarketSpec
    chance : Chance

    Attributes
    ----------
    value : ndarray of int64, shape (instruments,)
        Ticks times `SCALE`. A perpetual is worth its index plus a small basis that comes back to 0.
    """

    def __init__(self, spec: MarketSpec, chance: Chance) -> None:
        self._chance = chance
        plans = spec.plans
        self._first: Ints = np.array([plan.first_px for plan in plans], np.int64) * SCALE
        self._index: Ints = np.array([plan.index_of for plan in plans], np.int64)
        self._follows = self._index != np.arange(len(plans))
        self._basis: Ints = np.zeros(len(plans), np.int64)
        self._own: Ints = self._first.copy()
        self._pace = _BUSY
        self.value: Ints = self._first.copy()

    def start_at(self, instrument: int, px: int) -> None:
        """Let one index begin at a price (ticks), as in a market that existed before."""
        self._own[instrument] = max(px * SCALE, int(self._first[instrument]) // 8)
        self.value[self._index == instrument] = self._own[instrument]

    def step(self) -> None:
        """Move everything by one step."""
        chance, n = self._chance, len(self._own)
        if bool(chance.chance(1, _LEAVE_PPM)[0]):
            self._pace = (_CALM, _CALM, _BUSY, _STORM)[int(chance.below(1, 4)[0])]
        # A shared part moves all coins together, as in the market; the rest is their own.
        shared = chance.bell(1, self._pace)
        own = chance.bell(n, self._pace)
        move = (2 * shared + own) // 2
        self._own += self._own * move // 1_000_000
        np.maximum(self._own, self._first // 8, out=self._own)
        self._basis += chance.bell(n, _BASIS_STEP) - self._basis // 32
        index = self._own[self._index]
        self.value = np.where(self._follows, index + index * self._basis // 1_000_000, self._own)

    def shock(self, instrument: int) -> None:
        """Let one index (and what follows it) lose value at once, as news does."""
        self._own[self._index[instrument]] -= (
            self._own[self._index[instrument]] * _CRASH_PPM // 1_000_000
        )

    def marks(self) -> Ints:
        """Return the index price of every instrument in whole ticks: the mark of the perpetuals."""
        return self._own[self._index] // SCALE
