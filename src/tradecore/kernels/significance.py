"""Is this Sharpe ratio real? Probabilistic and deflated Sharpe ratios.

All ratios are *per period* (not annualised): the formulas need the number of observations the ratio
was estimated from.

Sources: D. Bailey and M. Lopez de Prado, *The Sharpe ratio efficient frontier* (2012); the same,
*The deflated Sharpe ratio* (2014).
"""

from __future__ import annotations

import math

import numpy.typing as npt

from tradecore.errors import ConfigError
from tradecore.kernels._arrays import as_f64
from tradecore.kernels.normal import moments, norm_cdf, norm_ppf

__all__ = [
    "deflated_sharpe",
    "expected_max_sharpe",
    "min_track_record",
    "probabilistic_sharpe",
    "sharpe_confidence",
]

_EULER = 0.57721566490153286060651209008240243


def _variance_term(sharpe: float, skew: float, kurt: float) -> float:
    """Return ``1 - skew SR + (kurt - 1)/4 SR^2``, the variance of the estimate times n - 1."""
    term = 1.0 - skew * sharpe + (kurt - 1.0) / 4.0 * sharpe * sharpe
    if not term > 0.0:
        raise ConfigError("skew and kurt do not belong to one distribution")
    return term


def sharpe_confidence(
    sharpe: float, count: int, *, benchmark: float = 0.0, skew: float = 0.0, kurt: float = 3.0
) -> float:
    """Return the probability that the true Sharpe ratio exceeds `benchmark`, from summary figures.

    Parameters
    ----------
    sharpe : float
        Estimated ratio per period.
    count : int
        Observations it was estimated from.
    benchmark : float
        Ratio per period to beat.
    skew, kurt : float
        Of the returns; kurt is not in excess (3 for normal returns).

    Returns
    -------
    float
        ``cdf((SR - SR*) sqrt(n - 1) / sqrt(1 - skew SR + (kurt - 1)/4 SR^2))``.

    Raises
    ------
    ConfigError
        For fewer than two observations or impossible moments.
    """
    if count < 2:
        raise ConfigError("at least two observations are needed")
    spread = math.sqrt(_variance_term(sharpe, skew, kurt))
    return norm_cdf((sharpe - benchmark) * math.sqrt(count - 1) / spread)


def probabilistic_sharpe(returns: npt.ArrayLike, *, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio of a series exceeds `benchmark`.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        Excess returns per period; NaN are left out.
    benchmark : float
        Ratio per period to beat.

    Returns
    -------
    float
        NaN for a series that does not vary.
    """
    m = moments(as_f64("returns", returns), 1)
    if not m.sd > 0.0:
        return math.nan
    return sharpe_confidence(m.mean / m.sd, m.count, benchmark=benchmark, skew=m.skew, kurt=m.kurt)


def expected_max_sharpe(trials: int, variance: float) -> float:
    """Return the largest Sharpe ratio expected among `trials` strategies that have none.

    Parameters
    ----------
    trials : int
        Number of independent strategies tried.
    variance : float
        Variance of their estimated ratios, per period.

    Returns
    -------
    float
        ``sqrt(V) ((1 - g) q(1 - 1/N) + g q(1 - 1/(N e)))``, g Euler's constant, q the normal
        quantile; 0 for one trial.
    """
    if trials < 1 or variance < 0.0:
        raise ConfigError("at least one trial and a variance that is not negative are needed")
    if trials == 1:
        return 0.0
    first = norm_ppf(1.0 - 1.0 / trials)
    second = norm_ppf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - _EULER) * first + _EULER * second)


def deflated_sharpe(
    sharpe: float,
    count: int,
    *,
    trials: int,
    variance: float,
    skew: float = 0.0,
    kurt: float = 3.0,
) -> float:
    """Return the probability that the best of `trials` strategies is better than luck.

    Parameters
    ----------
    sharpe : float
        Ratio per period of the strategy that was selected.
    count : int
        Observations it was estimated from.
    trials : int
        Independent strategies among which it was selected.
    variance : float
        Variance of their estimated ratios, per period.
    skew, kurt : float
        Of the selected strategy's returns; kurt is not in excess.

    Returns
    -------
    float
        `sharpe_confidence` against `expected_max_sharpe`.
    """
    benchmark = expected_max_sharpe(trials, variance)
    return sharpe_confidence(sharpe, count, benchmark=benchmark, skew=skew, kurt=kurt)


def min_track_record(
    sharpe: float,
    *,
    benchmark: float = 0.0,
    level: float = 0.95,
    skew: float = 0.0,
    kurt: float = 3.0,
) -> float:
    """Return how many observations prove the ratio above `benchmark` at confidence `level`.

    Parameters
    ----------
    sharpe, benchmark : float
        Ratios per period.
    level : float
        Confidence.
    skew, kurt : float
        Of the returns; kurt is not in excess.

    Returns
    -------
    float
        ``1 + (1 - skew SR + (kurt - 1)/4 SR^2) (q(level) / (SR - SR*))^2``; infinite where the
        estimate is not above the benchmark.
    """
    if sharpe <= benchmark:
        return math.inf
    quantile = norm_ppf(level) / (sharpe - benchmark)
    return 1.0 + _variance_term(sharpe, skew, kurt) * quantile * quantile
