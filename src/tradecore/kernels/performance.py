"""Performance measures of one return series, per period in, annualised out.

Whole-sample measures are NumPy reductions: pairwise summation is more accurate than a plain
compiled loop and costs no compilation. NaN periods are left out. Two published conventions are
offered where they differ:

- annual return: compounded, ``(1 + total)^(periods / n) - 1``; a NaN period counts as time in
  empyrical and does not in PerformanceAnalytics.
- Sharpe: empyrical ``mean / sd * sqrt(periods)`` with n - 1 in the sd; PerformanceAnalytics the
  compounded annual excess return over the annual sd (``SharpeRatio.annualized``, geometric).
- downside risk: the root mean square under the threshold over *all* n; empyrical annualises it,
  PerformanceAnalytics (``DownsideDeviation``) does not.
- Sortino: mean excess over downside risk, annualised or not in the same way.
- Calmar: annual return over the depth of the deepest drawdown, in both.
- Omega: gains over a threshold divided by losses under it; empyrical de-compounds an annual
  threshold to one period, PerformanceAnalytics takes it per period.
- information ratio: empyrical ``mean / sd`` of the active return, not annualised;
  PerformanceAnalytics annual active premium over annual tracking error.

Sources: empyrical ``stats.py`` (Quantopian, 0.5.5 and the reloaded 0.7); R package
PerformanceAnalytics 2.0 (``SharpeRatio.annualized``, ``SortinoRatio``, ``CalmarRatio``, ``Omega``,
``InformationRatio``). `periods` is 252 for daily data, 52 weekly, 12 monthly.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from tradecore.errors import ConfigError
from tradecore.kernels._arrays import FloatArray, as_f64
from tradecore.kernels.drawdown import max_drawdown

__all__ = [
    "Convention",
    "alpha_beta",
    "annual_return",
    "annual_vol",
    "calmar",
    "cum_return",
    "downside_risk",
    "information_ratio",
    "omega",
    "sharpe",
    "sortino",
    "stability",
    "tail_ratio",
    "tracking_error",
]

Convention: TypeAlias = Literal["empyrical", "performanceanalytics"]
Scalar: TypeAlias = float | npt.ArrayLike


def _check(convention: str) -> bool:
    """Whether the convention is empyrical's; refuse an unknown one."""
    if convention not in get_args(Convention):
        raise ConfigError(f"convention: one of {', '.join(get_args(Convention))}")
    return convention == "empyrical"


def _excess(returns: npt.ArrayLike, other: Scalar) -> FloatArray:
    """Return ``returns - other`` without the periods where either is NaN."""
    array = as_f64("returns", returns)
    difference = array - np.asarray(other, dtype=np.float64)
    if difference.shape != array.shape:
        raise ConfigError("a series of the same length, or one number, is needed")
    kept: FloatArray = difference[~np.isnan(difference)]
    return kept


def _ratio(numerator: float, denominator: float) -> float:
    """Divide as IEEE does: x/0 is infinite, 0/0 is NaN."""
    if denominator == 0.0:
        return (
            math.nan
            if numerator == 0.0 or numerator != numerator
            else math.copysign(math.inf, numerator)
        )
    return numerator / denominator


def _sd(values: FloatArray, ddof: int) -> float:
    """Return the standard deviation; NaN where too few values are left."""
    return float(values.std(ddof=ddof)) if len(values) > ddof else math.nan


def cum_return(returns: npt.ArrayLike) -> float:
    """Return the compounded return of the whole series; NaN if it is empty.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        Simple returns per period.

    Returns
    -------
    float
    """
    kept = _excess(returns, 0.0)
    return float(np.prod(1.0 + kept)) - 1.0 if len(kept) else math.nan


def annual_return(
    returns: npt.ArrayLike, *, periods: float = 252, convention: Convention = "empyrical"
) -> float:
    """Return the compounded annual growth rate.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        Simple returns per period.
    periods : float
        Periods per year.
    convention : {"empyrical", "performanceanalytics"}
        Whether a NaN period counts as time in which nothing was earned, or not at all.

    Returns
    -------
    float
        NaN for an empty series or one that lost more than everything.
    """
    array = as_f64("returns", returns)
    count = len(array) if _check(convention) else int(np.count_nonzero(~np.isnan(array)))
    total = 1.0 + cum_return(returns)
    if count == 0 or not total >= 0.0:
        return math.nan
    return float(total ** (periods / count)) - 1.0


def annual_vol(returns: npt.ArrayLike, *, periods: float = 252, ddof: int = 1) -> float:
    """Return the standard deviation times the square root of `periods`.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
    periods : float
        Periods per year; 1 for the figure per period.
    ddof : int
        1 for the sample standard deviation, 0 for the population one.

    Returns
    -------
    float
    """
    return _sd(_excess(returns, 0.0), ddof) * math.sqrt(periods)


def sharpe(
    returns: npt.ArrayLike,
    *,
    risk_free: Scalar = 0.0,
    periods: float = 252,
    ddof: int = 1,
    convention: Convention = "empyrical",
) -> float:
    """Return the Sharpe ratio.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        Simple returns per period.
    risk_free : float or array_like, shape (n,)
        Risk-free return *per period*.
    periods : float
        Periods per year; 1 for the ratio per period.
    ddof : int
        Divisor of the standard deviation is n - ddof.
    convention : {"empyrical", "performanceanalytics"}
        See the table of the module.

    Returns
    -------
    float
        Infinite for a series that never varies around a mean other than 0, NaN with fewer than two
        periods.
    """
    excess = _excess(returns, risk_free)
    if len(excess) < 2:
        return math.nan
    if _check(convention):
        return _ratio(float(excess.mean()), _sd(excess, ddof)) * math.sqrt(periods)
    return _ratio(annual_return(excess, periods=periods), _sd(excess, ddof) * math.sqrt(periods))


def downside_risk(
    returns: npt.ArrayLike,
    *,
    required: Scalar = 0.0,
    periods: float = 252,
    convention: Convention = "empyrical",
) -> float:
    """Return the root mean square of the returns below `required`, over all periods.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
    required : float or array_like, shape (n,)
        Minimum acceptable return *per period*.
    periods : float
        Periods per year; used by the empyrical convention.
    convention : {"empyrical", "performanceanalytics"}
        The first annualises, the second does not.

    Returns
    -------
    float
    """
    below = np.minimum(_excess(returns, required), 0.0)
    if len(below) == 0:
        return math.nan
    risk = math.sqrt(float((below * below).mean()))
    return risk * math.sqrt(periods) if _check(convention) else risk


def sortino(
    returns: npt.ArrayLike,
    *,
    required: Scalar = 0.0,
    periods: float = 252,
    convention: Convention = "empyrical",
) -> float:
    """Return the Sortino ratio: excess over `required` per unit of downside risk.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
    required : float or array_like, shape (n,)
        Minimum acceptable return *per period*.
    periods : float
        Periods per year; used by the empyrical convention.
    convention : {"empyrical", "performanceanalytics"}
        See the table of the module.

    Returns
    -------
    float
        Infinite where no period is below `required`, NaN with fewer than two periods.
    """
    excess = _excess(returns, required)
    if len(excess) < 2:
        return math.nan
    risk = downside_risk(excess, periods=periods, convention=convention)
    scale = periods if _check(convention) else 1.0
    return _ratio(float(excess.mean()) * scale, risk)


def calmar(
    returns: npt.ArrayLike, *, periods: float = 252, convention: Convention = "empyrical"
) -> float:
    """Return the annual return over the depth of the deepest drawdown.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
    periods : float
        Periods per year.
    convention : {"empyrical", "performanceanalytics"}
        As in `annual_return`.

    Returns
    -------
    float
        NaN where there is no drawdown.
    """
    depth = max_drawdown(returns)
    if not depth < 0.0:
        return math.nan
    return annual_return(returns, periods=periods, convention=convention) / -depth


def omega(
    returns: npt.ArrayLike,
    *,
    risk_free: Scalar = 0.0,
    required: float = 0.0,
    periods: float = 252,
    convention: Convention = "empyrical",
) -> float:
    """Return the sum of gains over a threshold divided by the sum of losses under it.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
    risk_free : float or array_like, shape (n,)
        Return per period that is subtracted first.
    required : float
        Threshold: per year under empyrical (de-compounded to ``(1 + required)^(1/periods) - 1``),
        per period otherwise.
    periods : float
        Periods per year; 1 leaves `required` as it is.
    convention : {"empyrical", "performanceanalytics"}

    Returns
    -------
    float
        NaN where nothing is below the threshold, or the threshold is a loss of everything.
    """
    threshold = required
    if _check(convention) and periods != 1:
        if required <= -1.0:
            return math.nan
        threshold = float((1.0 + required) ** (1.0 / periods)) - 1.0
    excess = _excess(returns, risk_free)
    if len(excess) < 2:
        return math.nan
    over = excess - threshold
    losses = -float(over[over < 0.0].sum())
    return float(over[over > 0.0].sum()) / losses if losses > 0.0 else math.nan


def tracking_error(
    returns: npt.ArrayLike, benchmark: npt.ArrayLike, *, periods: float = 252, ddof: int = 1
) -> float:
    """Return the annualised standard deviation of the active return.

    Parameters
    ----------
    returns, benchmark : array_like of float, shape (n,)
    periods : float
        Periods per year.
    ddof : int
        Divisor is n - ddof.

    Returns
    -------
    float
    """
    return _sd(_excess(returns, benchmark), ddof) * math.sqrt(periods)


def information_ratio(
    returns: npt.ArrayLike,
    benchmark: Scalar,
    *,
    periods: float = 252,
    convention: Convention = "empyrical",
) -> float:
    """Return active return per unit of tracking error.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
    benchmark : float or array_like, shape (n,)
    periods : float
        Periods per year; used by the PerformanceAnalytics convention.
    convention : {"empyrical", "performanceanalytics"}
        See the table of the module.

    Returns
    -------
    float
        NaN with fewer than two common periods.
    """
    active = _excess(returns, benchmark)
    if len(active) < 2:
        return math.nan
    if _check(convention):
        return _ratio(float(active.mean()), _sd(active, 1))
    array = as_f64("returns", returns)
    both = ~np.isnan(array - np.asarray(benchmark, dtype=np.float64))
    other = np.broadcast_to(np.asarray(benchmark, dtype=np.float64), array.shape)[both]
    premium = annual_return(array[both], periods=periods) - annual_return(other, periods=periods)
    return _ratio(premium, _sd(active, 1) * math.sqrt(periods))


def alpha_beta(
    returns: npt.ArrayLike,
    benchmark: npt.ArrayLike,
    *,
    risk_free: Scalar = 0.0,
    periods: float = 252,
    compound: bool = True,
) -> tuple[float, float]:
    """Return (annual alpha, beta) of the regression of excess return on the benchmark's.

    Parameters
    ----------
    returns, benchmark : array_like of float, shape (n,)
    risk_free : float or array_like, shape (n,)
        Risk-free return per period.
    periods : float
        Periods per year.
    compound : bool
        Compound alpha to a year, ``(1 + alpha)^periods - 1`` (empyrical since 0.3.4), or multiply
        it by `periods` (before).

    Returns
    -------
    tuple of float
        NaN with fewer than two common periods or a benchmark that does not vary.
    """
    y = as_f64("returns", returns) - np.asarray(risk_free, dtype=np.float64)
    x = as_f64("benchmark", benchmark) - np.asarray(risk_free, dtype=np.float64)
    if x.shape != y.shape:
        raise ConfigError("returns and benchmark of one length are needed")
    both = ~np.isnan(x + y)
    x, y = x[both], y[both]
    if len(x) < 2:
        return math.nan, math.nan
    spread = x - x.mean()
    variance = float((spread * spread).mean())
    # A flat benchmark leaves only rounding noise as its variance.
    if variance < 1e-30:
        return math.nan, math.nan
    beta = float((spread * (y - y.mean())).mean()) / variance
    alpha = float((y - beta * x).mean())
    return (float((1.0 + alpha) ** periods) - 1.0 if compound else alpha * periods), beta


def tail_ratio(returns: npt.ArrayLike) -> float:
    """Return the 95th percentile over the absolute 5th percentile (linear interpolation).

    Parameters
    ----------
    returns : array_like of float, shape (n,)

    Returns
    -------
    float
    """
    kept = _excess(returns, 0.0)
    if len(kept) == 0:
        return math.nan
    low, high = np.quantile(kept, (0.05, 0.95))
    return _ratio(abs(float(high)), abs(float(low)))


def stability(returns: npt.ArrayLike) -> float:
    """Return R squared of a straight line through the cumulative log returns.

    Parameters
    ----------
    returns : array_like of float, shape (n,)

    Returns
    -------
    float
        NaN with fewer than two periods or a return of -100 % or worse.
    """
    kept = _excess(returns, 0.0)
    if len(kept) < 2 or bool(np.any(kept <= -1.0)):
        return math.nan
    y = np.log1p(kept).cumsum()
    x = np.arange(len(y), dtype=np.float64)
    x -= x.mean()
    y -= y.mean()
    return _ratio(float((x * y).sum()) ** 2, float((x * x).sum()) * float((y * y).sum()))
