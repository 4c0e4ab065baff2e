"""Data that a strategy brings along, readable only up to the strategy's time.

A backtest that reads tomorrow's number is the most common mistake of all, and it looks like skill.
So attached data has a time for every value, and asking for a later one is an error, not a value.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tradecore.errors import DataError
from tradecore.research.errors import LookaheadError

__all__ = ["Series"]


class Series:
    """Values with the time from which they were known.

    Parameters
    ----------
    ts_ns : array_like of int, shape (n,)
        When each value became known, ascending, nanoseconds of the recording's clock.
    values : array_like, shape (n, ...)
    name : str, optional
        For messages.

    Raises
    ------
    DataError
        Times descend, or there are not as many as values.
    """

    def __init__(self, ts_ns: npt.ArrayLike, values: npt.ArrayLike, name: str = "series") -> None:
        self.ts_ns = np.ascontiguousarray(ts_ns, np.int64)
        self.values = np.asarray(values)
        self.name = name
        if self.ts_ns.ndim != 1 or len(self.ts_ns) != len(self.values):
            raise DataError(f"{len(self.ts_ns)} times for {len(self.values)} values", name)
        wrong = np.flatnonzero(np.diff(self.ts_ns) < 0)
        if len(wrong):
            raise DataError(f"value {int(wrong[0]) + 1} is stamped before the one before it", name)

    def _known(self, now_ns: int) -> int:
        return int(np.searchsorted(self.ts_ns, now_ns, side="right"))

    def latest(self, now_ns: int) -> object:
        """Return the newest value known at `now_ns`. O(log n).

        Raises
        ------
        LookaheadError
            There is none yet.
        """
        count = self._known(now_ns)
        if count == 0:
            first = f"the first is stamped {self.ts_ns[0]} ns" if len(self.ts_ns) else "it is empty"
            raise LookaheadError(f"{self.name}: nothing is known at {now_ns} ns, {first}")
        value: object = self.values[count - 1]
        return value

    def up_to(self, now_ns: int) -> npt.NDArray[np.generic]:
        """Return all values known at `now_ns`, as a view. O(log n)."""
        return self.values[: self._known(now_ns)]

    def at(self, ts_ns: int, now_ns: int) -> object:
        """Return the value known at a time in the past.

        Raises
        ------
        LookaheadError
            `ts_ns` is later than `now_ns`.
        """
        if ts_ns > now_ns:
            raise LookaheadError(
                f"{self.name}: asked for {ts_ns} ns at {now_ns} ns, {ts_ns - now_ns} ns too early"
            )
        return self.latest(ts_ns)
