"""The standard normal distribution and sample moments, as the risk measures need them.

The quantile is the standard library's (Wichura's algorithm AS 241, about 1e-16), so no SciPy is
needed at run time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from tradecore.errors import ConfigError
from tradecore.kernels._arrays import FloatArray

__all__ = ["Moments", "moments", "norm_cdf", "norm_pdf", "norm_ppf"]

_NORMAL = NormalDist()
_SQRT_2PI = math.sqrt(2.0 * math.pi)


def norm_pdf(x: float) -> float:
    """Return the standard normal density at `x`."""
    return math.exp(-0.5 * x * x) / _SQRT_2PI


def norm_cdf(x: float) -> float:
    """Return the standard normal distribution function at `x`, accurate in both tails."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def norm_ppf(p: float) -> float:
    """Return the standard normal quantile of `p`, which lies strictly between 0 and 1.

    Raises
    ------
    ConfigError
        If `p` does not.
    """
    if not 0.0 < p < 1.0:
        raise ConfigError(f"a probability strictly between 0 and 1 is needed, not {p}")
    return _NORMAL.inv_cdf(p)


@dataclass(frozen=True, slots=True)
class Moments:
    """Sample moments of a series without its NaN.

    Attributes
    ----------
    count : int
    mean : float
    sd : float
        Standard deviation with the divisor that was asked for.
    skew : float
        Population skewness m3 / m2**1.5 (0 for a constant series).
    kurt : float
        Population kurtosis m4 / m2**2, *not* in excess of 3 (3 for a constant series).
    """

    count: int
    mean: float
    sd: float
    skew: float
    kurt: float


def moments(values: FloatArray, ddof: int = 0) -> Moments:
    """Return the moments of a series, leaving out NaN.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
    ddof : int
        0 divides the variance by n, 1 by n - 1.

    Returns
    -------
    Moments
        All NaN where fewer than ``1 + ddof`` values are left.
    """
    kept = values[~np.isnan(values)]
    count = len(kept)
    if count <= ddof:
        return Moments(count, math.nan, math.nan, math.nan, math.nan)
    mean = float(kept.mean())
    centred = kept - mean
    square = centred * centred
    m2 = float(square.mean())
    sd = math.sqrt(float(square.sum()) / (count - ddof))
    if m2 == 0.0:
        return Moments(count, mean, sd, 0.0, 3.0)
    skew = float((square * centred).mean()) / m2**1.5
    kurt = float((square * square).mean()) / (m2 * m2)
    return Moments(count, mean, sd, skew, kurt)
