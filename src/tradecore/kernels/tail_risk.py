"""Value at risk and expected shortfall of one series of returns.

**Sign.** Functions over returns keep the sign of the returns: a loss of 2 % is -0.02, and ES <= VaR
<= 0 in the usual case. Functions over losses (`tail_losses`) take and give positive losses.

**Conventions that differ**, each under its published name, at level c with n
returns and k = n(1 - c):

- ``empyrical``: VaR by linear interpolation between order statistics; ES is the mean of the worst
  ``int((n - 1)(1 - c)) + 1`` returns.
- ``performanceanalytics``: the same VaR (R's quantile type 7); ES is the mean of the returns at or
  below it.
- ``hull``: VaR is the k-th worst return; ES is the mean of the k - 1 returns *worse* than it.
- ``prmia``: VaR is the k-th worst return; ES is the mean of the k worst returns, it included.
- ``acerbi``: VaR is the ceil(k)-th worst return; ES is the mean of the worst k, the last one taken
  in part.

Sources: empyrical ``stats.value_at_risk``, ``conditional_value_at_risk``; R package
PerformanceAnalytics ``VaR``, ``ES``; J. Hull, *Risk Management and Financial Institutions*, chapter
on historical simulation (500 scenarios); PRMIA 8008 sample question; C. Acerbi and D. Tasche, *On
the coherence of expected shortfall* (2002). Cornish-Fisher: P. Zangari (1996); its ES: K. Boudt, B.
Peterson, C. Croux, *Estimation and decomposition of downside risk for portfolios with non-normal
returns* (2008).
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from tradecore.errors import ConfigError
from tradecore.kernels._arrays import FloatArray, as_f64
from tradecore.kernels.normal import Moments, moments, norm_cdf, norm_pdf, norm_ppf

__all__ = [
    "TailConvention",
    "gaussian_es",
    "gaussian_var",
    "historical_es",
    "historical_var",
    "modified_es",
    "modified_var",
    "tail_losses",
]

TailConvention: TypeAlias = Literal["empyrical", "performanceanalytics", "hull", "prmia", "acerbi"]


def _check(level: float, convention: str = "empyrical") -> float:
    """Return the tail probability ``1 - level`` after checking level and convention."""
    if not 0.0 < level < 1.0:
        raise ConfigError(f"level: a number strictly between 0 and 1 is needed, not {level}")
    if convention not in get_args(TailConvention):
        raise ConfigError(f"convention: one of {', '.join(get_args(TailConvention))}")
    return 1.0 - level


def _kept(returns: npt.ArrayLike) -> FloatArray:
    """Return the series without NaN, in its own order."""
    array = as_f64("returns", returns)
    return array[~np.isnan(array)]


def _tail_count(count: int, alpha: float) -> float:
    """Return k = n * alpha without the noise of ``1 - 0.98``: 250 * 2 % is 5, not 5 + 4e-15."""
    k = count * alpha
    nearest = round(k)
    return float(nearest) if abs(k - nearest) < 1e-9 * max(1, count) else k


def historical_var(
    returns: npt.ArrayLike, level: float = 0.95, *, convention: TailConvention = "empyrical"
) -> float:
    """Return the historical value at risk, with the sign of the returns.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        Simple returns or amounts; NaN are left out.
    level : float
        Confidence level, such as 0.95. (empyrical's ``cutoff`` is ``1 - level``.)
    convention : str
        See the table of the module.

    Returns
    -------
    float
        NaN for an empty series, or where the tail holds less than one observation (``hull``,
        ``prmia``).

    Raises
    ------
    ConfigError
        For a level outside (0, 1) or an unknown convention.

    Notes
    -----
    O(n log n).
    """
    alpha = _check(level, convention)
    kept = _kept(returns)
    if len(kept) == 0:
        return math.nan
    if convention in ("empyrical", "performanceanalytics"):
        return float(np.quantile(kept, alpha))
    value, _ = tail_losses(-kept, level, convention=convention)
    return -value


def historical_es(
    returns: npt.ArrayLike, level: float = 0.95, *, convention: TailConvention = "empyrical"
) -> float:
    """Return the historical expected shortfall, with the sign of the returns.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        Simple returns or amounts; NaN are left out.
    level : float
        Confidence level.
    convention : str
        See the table of the module.

    Returns
    -------
    float
        NaN for an empty series or an empty tail.

    Raises
    ------
    ConfigError
        For a level outside (0, 1) or an unknown convention.

    Notes
    -----
    O(n log n).
    """
    alpha = _check(level, convention)
    kept = _kept(returns)
    if len(kept) == 0:
        return math.nan
    if convention == "empyrical":
        worst = int((len(kept) - 1) * alpha + 1e-9) + 1
        return float(np.partition(kept, worst - 1)[:worst].mean())
    if convention == "performanceanalytics":
        return float(kept[kept <= np.quantile(kept, alpha)].mean())
    _, shortfall = tail_losses(-kept, level, convention=convention)
    return -shortfall


def tail_losses(
    losses: npt.ArrayLike,
    level: float,
    *,
    count: int | None = None,
    convention: TailConvention = "prmia",
) -> tuple[float, float]:
    """Return (VaR, ES) as positive losses, from all losses or only the largest ones.

    Parameters
    ----------
    losses : array_like of float, shape (m,)
        Losses in any order, positive when money was lost.
    level : float
        Confidence level.
    count : int, optional
        Number of observations behind the losses, where only the largest are given. ``len(losses)``
        by default.
    convention : {"hull", "prmia", "acerbi"}
        See the table of the module.

    Returns
    -------
    tuple of float
        NaN where the tail is empty: fewer than one observation for the VaR, fewer than two for
        Hull's ES.

    Raises
    ------
    ConfigError
        If more losses are in the tail than were given, or for an interpolating convention.
    """
    alpha = _check(level, convention)
    if convention not in ("hull", "prmia", "acerbi"):
        raise ConfigError("tail_losses: the convention is one of hull, prmia, acerbi")
    ranked = np.sort(as_f64("losses", losses))[::-1]
    total = len(ranked) if count is None else count
    k = _tail_count(total, alpha)
    whole = math.floor(k)
    last = math.ceil(k) if convention == "acerbi" else whole
    if last > len(ranked):
        raise ConfigError(f"the tail holds {last} losses, only {len(ranked)} were given")
    if last == 0:
        return math.nan, math.nan
    value = float(ranked[last - 1])
    if convention == "hull":
        return value, float(ranked[: whole - 1].mean()) if whole > 1 else math.nan
    if convention == "prmia":
        return value, float(ranked[:whole].mean())
    partial = (k - whole) * float(ranked[last - 1]) if last > whole else 0.0
    return value, (float(ranked[:whole].sum()) + partial) / k


def gaussian_var(returns: npt.ArrayLike, level: float = 0.95, *, ddof: int = 0) -> float:
    """Return mean + z(1 - level) * sd, with the sign of the returns.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        NaN are left out.
    level : float
        Confidence level.
    ddof : int
        0 for the population standard deviation (PerformanceAnalytics), 1 for the sample one.

    Returns
    -------
    float
    """
    alpha = _check(level)
    m = moments(as_f64("returns", returns), ddof)
    return m.mean + norm_ppf(alpha) * m.sd


def gaussian_es(returns: npt.ArrayLike, level: float = 0.95, *, ddof: int = 0) -> float:
    """Return mean - sd * pdf(z) / (1 - level), with the sign of the returns.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        NaN are left out.
    level : float
        Confidence level.
    ddof : int
        As in `gaussian_var`.

    Returns
    -------
    float
    """
    alpha = _check(level)
    m = moments(as_f64("returns", returns), ddof)
    return m.mean - m.sd * norm_pdf(norm_ppf(alpha)) / alpha


def _cornish_fisher(z: float, m: Moments) -> float:
    """Return the Cornish-Fisher expansion of the normal quantile `z`, to second order."""
    excess = m.kurt - 3.0
    return (
        z
        + (z * z - 1.0) * m.skew / 6.0
        + (z**3 - 3.0 * z) * excess / 24.0
        - (2.0 * z**3 - 5.0 * z) * m.skew**2 / 36.0
    )


def modified_var(returns: npt.ArrayLike, level: float = 0.95, *, ddof: int = 0) -> float:
    """Return the Cornish-Fisher (modified) value at risk, with the sign of the returns.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        NaN are left out.
    level : float
        Confidence level.
    ddof : int
        Divisor of the standard deviation; skewness and kurtosis are the population ones.

    Returns
    -------
    float
        ``mean + sd * (z + (z^2-1) S/6 + (z^3-3z) K/24 - (2z^3-5z) S^2/36)``, K in excess of 3.
    """
    alpha = _check(level)
    m = moments(as_f64("returns", returns), ddof)
    return m.mean + m.sd * _cornish_fisher(norm_ppf(alpha), m)


def _truncated_moment(power: int, h: float) -> float:
    """Return the integral of x^power over the standard normal density from minus infinity to `h`.

    By parts: I(0) = cdf, I(1) = -pdf, I(p) = (p - 1) I(p - 2) - h^(p-1) pdf. Boudt et al. (2008)
    write the same quantity with the opposite sign and closed forms.
    """
    density = norm_pdf(h)
    value = norm_cdf(h) if power % 2 == 0 else -density
    for p in range(2 + power % 2, power + 1, 2):
        value = (p - 1) * value - h ** (p - 1) * density
    return value


def modified_es(
    returns: npt.ArrayLike, level: float = 0.95, *, ddof: int = 0, operational: bool = True
) -> float:
    """Return the modified expected shortfall, with the sign of the returns.

    The mean of the Edgeworth density (second order) below the Cornish-Fisher quantile h. With phi
    the normal density, S the skewness and K the excess kurtosis, the standardised shortfall is the
    integral of ``x (1 + S/6 He3 + K/24 He4 + S^2/72 He6) phi`` below h, divided by ``1 - level``.

    Parameters
    ----------
    returns : array_like of float, shape (n,)
        NaN are left out.
    level : float
        Confidence level.
    ddof : int
        As in `modified_var`.
    operational : bool
        Never report less than the modified VaR, which the expansion can do far from normality (the
        default of PerformanceAnalytics).

    Returns
    -------
    float
    """
    alpha = _check(level)
    m = moments(as_f64("returns", returns), ddof)
    h = _cornish_fisher(norm_ppf(alpha), m)
    # Hermite polynomials times x, so that the integrals are the truncated moments above.
    i = [_truncated_moment(power, h) for power in range(8)]
    third = i[4] - 3.0 * i[2]
    fourth = i[5] - 6.0 * i[3] + 3.0 * i[1]
    sixth = i[7] - 15.0 * i[5] + 45.0 * i[3] - 15.0 * i[1]
    tail = i[1] + m.skew / 6.0 * third + (m.kurt - 3.0) / 24.0 * fourth + m.skew**2 / 72.0 * sixth
    standardised = tail / alpha
    if operational:
        standardised = min(standardised, h)
    return m.mean + m.sd * standardised
