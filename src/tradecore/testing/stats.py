"""How sure a measured number is: confidence intervals over repeated runs.

Runs of one benchmark differ because the machine does other things too. A mean without its interval
invites comparing noise with noise, so every result line carries one. Pure functions of the given
values; the bootstrap draws from a seeded generator of its own, so it gives the same interval twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tradecore.testing._draws import Draws

__all__ = ["bootstrap_interval", "mean_interval", "overlap", "t_975"]

# Two-sided 95 % quantiles of Student's t for 1 to 10 degrees of freedom (any statistics textbook);
# beyond them the expansion below is exact to three digits.
_T: Final = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
_Z: Final = 1.959963984540054


def t_975(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t distribution.

    Parameters
    ----------
    freedom : int
        Degrees of freedom, at least 1.

    Raises
    ------
    ValueError
        No degree of freedom.

    Notes
    -----
    Source: a table up to 10, then the Cornish-Fisher expansion in 1/freedom (Abramowitz and Stegun
    26.7.5), whose error stays below 2e-4 there.
    """
    if freedom < 1:
        raise ValueError("Student's t needs at least one degree of freedom")
    if freedom <= len(_T):
        return _T[freedom - 1]
    z, n = _Z, float(freedom)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / n + second / n**2 + third / n**3


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return where the mean lies with 95 % confidence, None for fewer than two values.

    Notes
    -----
    Student's t over the runs: right for means of runs that do not influence each other. O(n).
    """
    n = len(values)
    if n < 2:
        return None
    mean = math.fsum(values) / n
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = t_975(n - 1) * spread / math.sqrt(n)
    return mean - half, mean + half


def bootstrap_interval(
    values: Sequence[float],
    statistic: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
    *,
    draws: int = 2_000,
    seed: int = 1,
) -> tuple[float, float]:
    """Return the 95 % percentile-bootstrap interval of a statistic.

    Parameters
    ----------
    values : sequence of float
        At least one.
    statistic : callable
        Takes an array of shape (draws, n), returns one number a row, e.g. a median along axis 1.
    draws : int
        Resamples.
    seed : int
        The same seed gives the same interval.

    Notes
    -----
    Needs no shape of the distribution, unlike `mean_interval`; with fewer than about five values it
    is too narrow. O(draws * n). Source: Efron and Tibshirani, An Introduction to the Bootstrap.
    """
    given = np.asarray(values, np.float64)
    if not len(given):
        raise ValueError("a bootstrap needs at least one value")
    chosen = Draws(seed).below(draws * len(given), len(given)).reshape(draws, len(given))
    found = np.sort(statistic(given[chosen]))
    low, high = found[int(0.025 * draws)], found[min(int(0.975 * draws), draws - 1)]
    return float(low), float(high)


def overlap(a: tuple[float, float] | None, b: tuple[float, float] | None) -> bool:
    """Tell whether two intervals share a point; an unknown one shares with every other."""
    return a is None or b is None or (a[0] <= b[1] and b[0] <= a[1])
