"""Drawdowns of a return series: how far below its own peak the value stood, and how long.

The value starts at 1 before the first return, and that start counts as a peak: a first return of
-10 % is a drawdown of 10 %. NaN returns count as 0 (nothing happened). Drawdowns carry the sign of
empyrical: -0.2 for 20 % below the peak; PerformanceAnalytics prints the same number as positive
depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradecore.kernels._arrays import FloatArray, IntArray, as_f64
from tradecore.kernels._jit import jit

__all__ = ["Drawdown", "drawdown_series", "max_drawdown", "worst_drawdown"]


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest drawdown of a series and the longest one.

    Attributes
    ----------
    depth : float
        Deepest drawdown, 0 or negative.
    peak, trough : int
        Periods of the deepest drawdown: the last period at its peak (-1: before the first return)
        and its lowest period.
    recovery : int
        First period back at or above the peak, or -1 while it has not recovered.
    longest : int
        Most periods in a row spent below a peak, over all drawdowns.
    """

    depth: float
    peak: int
    trough: int
    recovery: int
    longest: int


@jit
def _drawdown(returns: FloatArray, out: FloatArray, where: IntArray) -> float:
    """Fill `out` with the drawdowns, `where` with peak, trough, recovery and longest."""
    value = 1.0
    peak = 1.0
    peak_row = -1
    deepest = 0.0
    deepest_peak = -1
    trough = -1
    recovery = -1
    underwater = 0
    longest = 0
    for row in range(len(returns)):
        step = returns[row]
        if step == step:  # not NaN
            value *= 1.0 + step
        if value >= peak:
            peak = value
            if recovery < 0 and trough > deepest_peak:
                recovery = row
            peak_row = row
            underwater = 0
        else:
            underwater += 1
            longest = max(longest, underwater)
        depth = value / peak - 1.0
        out[row] = depth
        if depth < deepest:
            deepest = depth
            deepest_peak = peak_row
            trough = row
            recovery = -1
    where[0] = deepest_peak
    where[1] = trough
    where[2] = recovery
    where[3] = longest
    return deepest


def drawdown_series(returns: npt.ArrayLike) -> FloatArray:
    """Return the drawdown after every period.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        Simple returns per period.

    Returns
    -------
    ndarray of float64, shape (n,)
        0 at a peak, negative below it.

    Notes
    -----
    O(n).
    """
    array = as_f64("returns", returns)
    out = np.empty(len(array))
    _drawdown(array, out, np.empty(4, dtype=np.int64))
    return out


def worst_drawdown(returns: npt.ArrayLike) -> Drawdown:
    """Return the deepest drawdown with its dates, and the length of the longest one.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        Simple returns per period.

    Returns
    -------
    Drawdown
        Depth 0 with peak, trough and recovery -1 for a series that never falls.

    Notes
    -----
    O(n).
    """
    array = as_f64("returns", returns)
    where = np.empty(4, dtype=np.int64)
    depth = _drawdown(array, np.empty(len(array)), where)
    return Drawdown(float(depth), int(where[0]), int(where[1]), int(where[2]), int(where[3]))


def max_drawdown(returns: npt.ArrayLike) -> float:
    """Return the deepest drawdown, 0 or negative; NaN for an empty series.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        Simple returns per period.

    Returns
    -------
    float

    Notes
    -----
    O(n). empyrical's ``max_drawdown``; PerformanceAnalytics' ``maxDrawdown`` is the negative.
    """
    if len(as_f64("returns", returns)) == 0:
        return float("nan")
    return worst_drawdown(returns).depth
