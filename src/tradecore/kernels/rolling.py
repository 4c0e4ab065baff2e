"""Rolling statistics of a return series, one value per period.

A value is NaN until a full window without NaN is behind it.

Mean and variance slide by Welford's update (one observation in, one out), and are computed afresh
from the window once every window length. The cost stays O(n) and the rounding error stays that of
at most one window of updates, instead of growing with the length of the series as running sums do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tradecore.errors import ConfigError
from tradecore.kernels._arrays import FloatArray, as_f64
from tradecore.kernels._jit import jit

__all__ = ["rolling_max_drawdown", "rolling_return", "rolling_sharpe", "rolling_vol"]


@jit
def _rolling_moments(
    values: FloatArray, window: int, out_mean: FloatArray, out_m2: FloatArray
) -> None:
    """Mean and sum of squared deviations of the last `window` values; NaN if one is NaN."""
    run = 0
    age = 0
    mean = 0.0
    m2 = 0.0
    for row in range(len(values)):
        new = values[row]
        run = run + 1 if new == new else 0
        if run < window:
            out_mean[row] = np.nan
            out_m2[row] = np.nan
            continue
        if run == window or age >= window:
            age = 0
            mean = 0.0
            for k in range(row - window + 1, row + 1):
                mean += values[k]
            mean /= window
            m2 = 0.0
            for k in range(row - window + 1, row + 1):
                m2 += (values[k] - mean) ** 2
        else:
            age += 1
            old = values[row - window]
            next_mean = mean + (new - old) / window
            m2 += (new - old) * (new - next_mean + old - mean)
            mean = next_mean
        out_mean[row] = mean
        # A constant window must not come out as the square root of a negative rounding error.
        out_m2[row] = max(m2, 0.0)


@jit
def _rolling_product(values: FloatArray, window: int, out: FloatArray) -> None:
    """Compounded return of the last `window` values, from two half products.

    The window is cut at multiples of its length: the product up to the cut is read from a suffix
    product computed once per block, the product after it grows by one factor a row. No division, so
    a return of -100 % does no harm.
    """
    n = len(values)
    suffix = np.empty(window)
    run = 0
    prefix = 1.0
    for row in range(n):
        at = row % window
        if at == 0:
            prefix = 1.0
            if row >= window:
                product = 1.0
                for k in range(window - 1, -1, -1):
                    product *= 1.0 + values[row - window + k]
                    suffix[k] = product
        prefix *= 1.0 + values[row]
        run = run + 1 if values[row] == values[row] else 0
        if run < window:
            out[row] = np.nan
        elif at == window - 1:
            out[row] = prefix - 1.0
        else:
            out[row] = suffix[at + 1] * prefix - 1.0


@jit
def _rolling_drawdown(values: FloatArray, window: int, out: FloatArray) -> None:
    """Deepest drawdown within the last `window` values, each window starting at 1."""
    run = 0
    for row in range(len(values)):
        run = run + 1 if values[row] == values[row] else 0
        if run < window:
            out[row] = np.nan
            continue
        value = 1.0
        peak = 1.0
        deepest = 0.0
        for k in range(row - window + 1, row + 1):
            value *= 1.0 + values[k]
            peak = max(peak, value)
            deepest = min(deepest, value / peak - 1.0)
        out[row] = deepest


def _prepare(returns: npt.ArrayLike, window: int, least: int = 1) -> FloatArray:
    """Check the window against its least sensible length and coerce the series."""
    if window < least:
        raise ConfigError(f"window: at least {least} periods are needed, not {window}")
    return as_f64("returns", returns)


def rolling_return(returns: npt.ArrayLike, window: int) -> FloatArray:
    """Return the compounded return of the last `window` periods.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        Simple returns per period.
    window : int
        Periods.

    Returns
    -------
    ndarray of float64, shape (n,)

    Notes
    -----
    O(n), at any window.
    """
    array = _prepare(returns, window)
    out = np.empty(len(array))
    _rolling_product(array, window, out)
    return out


def rolling_vol(
    returns: npt.ArrayLike, window: int, *, periods: float = 252, ddof: int = 1
) -> FloatArray:
    """Return the annualised standard deviation of the last `window` periods.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        Simple returns per period.
    window : int
        Periods, more than `ddof`.
    periods : float
        Periods per year; 1 for the figure per period.
    ddof : int
        1 for the sample standard deviation, 0 for the population one.

    Returns
    -------
    ndarray of float64, shape (n,)

    Notes
    -----
    O(n), at any window.
    """
    array = _prepare(returns, window, ddof + 1)
    mean = np.empty(len(array))
    m2 = np.empty(len(array))
    _rolling_moments(array, window, mean, m2)
    result: FloatArray = np.sqrt(m2 / (window - ddof) * periods)
    return result


def rolling_sharpe(
    returns: npt.ArrayLike,
    window: int,
    *,
    risk_free: float | npt.ArrayLike = 0.0,
    periods: float = 252,
    ddof: int = 1,
) -> FloatArray:
    """Return the annualised Sharpe ratio of the last `window` periods.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        Simple returns per period.
    window : int
        Periods, more than `ddof`.
    risk_free : float or array_like, shape (n,)
        Return per period that is subtracted.
    periods : float
        Periods per year.
    ddof : int
        1 for the sample standard deviation, 0 for the population one.

    Returns
    -------
    ndarray of float64, shape (n,)
        Infinite where the window does not vary but its mean is not 0, NaN where both are 0.

    Notes
    -----
    O(n), at any window.
    """
    array = _prepare(returns, window, ddof + 1)
    excess = np.ascontiguousarray(array - np.asarray(risk_free, dtype=np.float64))
    mean = np.empty(len(excess))
    m2 = np.empty(len(excess))
    _rolling_moments(excess, window, mean, m2)
    with np.errstate(divide="ignore", invalid="ignore"):
        result: FloatArray = mean / np.sqrt(m2 / (window - ddof)) * np.sqrt(periods)
    return result


def rolling_max_drawdown(returns: npt.ArrayLike, window: int) -> FloatArray:
    """Return the deepest drawdown within the last `window` periods.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        Simple returns per period.
    window : int
        Periods; each window starts at its own peak.

    Returns
    -------
    ndarray of float64, shape (n,)

    Notes
    -----
    O(n * window): the path inside the window decides, nothing of the previous window can be kept.
    """
    array = _prepare(returns, window)
    out = np.empty(len(array))
    _rolling_drawdown(array, window, out)
    return out
