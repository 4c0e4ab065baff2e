"""Recorded prices: one row of all instruments at every multiple of the sampling time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tradecore.portfolio.terms import IntArray

__all__ = ["History"]


class History:
    """The newest prices of all instruments, oldest first.

    Parameters
    ----------
    instruments : ndarray of int64, shape (n,)
        Their ids, ascending.
    samples : int
        Returns that are remembered: one price row more.
    """

    def __init__(self, instruments: IntArray, samples: int) -> None:
        self.instruments = instruments
        self._rows = np.zeros((samples + 1, len(instruments)), dtype=np.int64)
        self._count = 0
        self._next = 0
        self._period = 0

    def note(self, now_ns: int, sample_ns: int, prices: Mapping[int, int]) -> None:
        """Record prices if log time has entered another sampling period; 0 = no price."""
        period = now_ns // sample_ns
        if period == self._period:
            return
        self._period = period
        self._rows[self._next] = [prices.get(key, 0) for key in self.instruments.tolist()]
        self._next = (self._next + 1) % len(self._rows)
        self._count = min(self._count + 1, len(self._rows))

    @property
    def prices(self) -> IntArray:
        """Recorded prices in ticks, shape (rows, n), oldest first."""
        if self._count < len(self._rows):
            return self._rows[: self._count].copy()
        return np.roll(self._rows, -self._next, axis=0)

    def returns(self) -> npt.NDArray[np.float64]:
        """Return simple returns between neighbours, shape (rows - 1, n); 0 beside a missing one."""
        prices = self.prices.astype(np.float64)
        before, after = prices[:-1], prices[1:]
        known = (before > 0) & (after > 0)
        return np.where(known, after / np.where(known, before, 1.0) - 1.0, 0.0)

    # ------------------------------------------------------------------------------------- saving
    def save(self) -> tuple[int, bytes]:
        """Return period and rows."""
        return self._period, self.prices.tobytes()

    def load(self, period: int, instruments: list[int], rows: bytes | memoryview) -> None:
        """Take over what `save` returned, for the instruments of that time."""
        table = np.frombuffer(rows, dtype=np.int64).reshape(-1, max(len(instruments), 1))
        kept = table[-len(self._rows) :]
        mine = self.instruments.tolist()
        for column, instrument in enumerate(instruments):
            if instrument in mine:
                self._rows[: len(kept), mine.index(instrument)] = kept[:, column]
        self._period, self._count = period, len(kept)
        self._next = len(kept) % len(self._rows)
