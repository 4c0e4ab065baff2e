"""Risk of a portfolio: parametric VaR with its split by position, and Monte Carlo.

Amounts are in one currency. Figures here are positive losses (the usual way to quote a portfolio's
VaR in money); the series functions of `tradecore.kernels.tail_risk` keep the sign of returns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradecore.errors import ConfigError
from tradecore.kernels._arrays import FloatArray, as_f64
from tradecore.kernels.normal import norm_pdf, norm_ppf
from tradecore.kernels.tail_risk import TailConvention, historical_es, historical_var

__all__ = ["MonteCarloRisk", "ParametricRisk", "covariance", "monte_carlo", "parametric"]


@dataclass(frozen=True, slots=True)
class ParametricRisk:
    """Delta-normal risk of a portfolio.

    Attributes
    ----------
    sd : float
        Standard deviation of the portfolio's gain over one period.
    var, es : float
        Value at risk and expected shortfall over the horizon, positive losses.
    marginal : ndarray, shape (n,)
        Change of `var` per unit of each position.
    component : ndarray, shape (n,)
        ``positions * marginal``: adds up to `var` (Euler's rule).
    undiversified : float
        Sum of the stand-alone VaRs: `var` if everything moved together.
    """

    sd: float
    var: float
    es: float
    marginal: FloatArray
    component: FloatArray
    undiversified: float


def covariance(sigmas: npt.ArrayLike, correlation: float | npt.ArrayLike) -> FloatArray:
    """Return the covariance matrix of given volatilities and correlations.

    Parameters
    ----------
    sigmas : array_like of float, shape (n,)
        Volatility per period of each asset.
    correlation : float or array_like, shape (n, n)
        One number for every pair, or the matrix.

    Returns
    -------
    ndarray of float64, shape (n, n)

    Raises
    ------
    ConfigError
        If the matrix has another shape, is not symmetric, or holds something outside [-1, 1].
    """
    sd = as_f64("sigmas", sigmas)
    matrix = np.asarray(correlation, dtype=np.float64)
    if matrix.ndim == 0:
        matrix = np.full((len(sd), len(sd)), float(matrix))
        np.fill_diagonal(matrix, 1.0)
    if matrix.shape != (len(sd), len(sd)):
        raise ConfigError(f"correlation: shape {(len(sd), len(sd))} is needed, not {matrix.shape}")
    if not np.array_equal(matrix, matrix.T) or bool(np.any(np.abs(matrix) > 1.0)):
        raise ConfigError("correlation: a symmetric matrix of numbers in [-1, 1] is needed")
    result: FloatArray = matrix * np.outer(sd, sd)
    return result


def _matrix(cov: npt.ArrayLike, count: int) -> FloatArray:
    """Check a covariance matrix against the number of positions."""
    matrix = np.asarray(cov, dtype=np.float64)
    if matrix.shape != (count, count):
        raise ConfigError(f"cov: shape {(count, count)} is needed, not {matrix.shape}")
    return matrix


def parametric(
    positions: npt.ArrayLike,
    cov: npt.ArrayLike,
    *,
    level: float = 0.99,
    z: float | None = None,
    days: float = 1.0,
) -> ParametricRisk:
    """Return the delta-normal (variance-covariance) risk of a portfolio with mean zero.

    Parameters
    ----------
    positions : array_like of float, shape (n,)
        Signed market values.
    cov : array_like of float, shape (n, n)
        Covariance of the returns over one period.
    level : float
        Confidence level.
    z : float, optional
        Number of standard deviations, instead of the normal quantile of `level`.
    days : float
        Horizon in periods; the VaR grows with its square root.

    Returns
    -------
    ParametricRisk
        ``var = z sqrt(x' C x) sqrt(days)``, ``marginal = z C x / sqrt(x' C x) sqrt(days)``.

    Raises
    ------
    ConfigError
        For shapes that do not fit, or a matrix under which the portfolio has a negative variance.
    """
    x = as_f64("positions", positions)
    matrix = _matrix(cov, len(x))
    quantile = norm_ppf(level) if z is None else z
    horizon = math.sqrt(days)
    exposure = matrix @ x
    variance = float(x @ exposure)
    if variance < 0.0:
        raise ConfigError("cov: the portfolio would have a negative variance")
    sd = math.sqrt(variance)
    marginal = exposure * (quantile * horizon / sd) if sd > 0.0 else np.zeros(len(x))
    tail = (
        norm_pdf(quantile) / (1.0 - level)
        if z is None
        else norm_pdf(z) / (0.5 * math.erfc(z / math.sqrt(2.0)))
    )
    alone = float(np.abs(x) @ np.sqrt(np.diag(matrix)))
    return ParametricRisk(
        sd=sd,
        var=quantile * sd * horizon,
        es=tail * sd * horizon,
        marginal=marginal,
        component=x * marginal,
        undiversified=quantile * alone * horizon,
    )


@dataclass(frozen=True, slots=True)
class MonteCarloRisk:
    """Simulated risk of a portfolio.

    Attributes
    ----------
    var, es : float
        Positive losses over the horizon.
    gains : ndarray, shape (scenarios,)
        Every simulated gain, in the order of the generator.
    """

    var: float
    es: float
    gains: FloatArray


def monte_carlo(
    rng: np.random.Generator,
    positions: npt.ArrayLike,
    cov: npt.ArrayLike,
    *,
    mean: npt.ArrayLike | None = None,
    scenarios: int = 100_000,
    level: float = 0.99,
    days: float = 1.0,
    df: float | None = None,
    convention: TailConvention = "acerbi",
) -> MonteCarloRisk:
    """Return the risk of a portfolio over simulated, jointly normal or Student-t returns.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness: the same seed gives the same figures.
    positions : array_like of float, shape (n,)
        Signed market values.
    cov : array_like of float, shape (n, n)
        Covariance of the returns over one period; may be singular.
    mean : array_like of float, shape (n,), optional
        Mean return over one period; zero by default.
    scenarios : int
        Number of draws.
    level : float
        Confidence level.
    days : float
        Horizon in periods.
    df : float, optional
        Degrees of freedom (more than 2) of a multivariate t distribution with the same covariance;
        normal by default.
    convention : str
        How VaR and ES are read off the simulated gains; see `tradecore.kernels.tail_risk`.

    Returns
    -------
    MonteCarloRisk

    Raises
    ------
    ConfigError
        For shapes that do not fit, a matrix that is no covariance, or too few degrees of freedom.

    Notes
    -----
    O(scenarios * n^2) time, O(scenarios * n) memory.
    """
    x = as_f64("positions", positions)
    matrix = _matrix(cov, len(x))
    values, vectors = np.linalg.eigh(matrix)
    if len(values) and float(values.min()) < -1e-12 * max(float(np.abs(values).max()), 1e-300):
        raise ConfigError("cov: the matrix has a negative eigenvalue")
    # The eigenvectors' root instead of Cholesky's: it also exists where positions are perfectly
    # correlated.
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    shocks = rng.standard_normal((scenarios, len(x))) @ (root.T @ x) * math.sqrt(days)
    if df is not None:
        if df <= 2.0:
            raise ConfigError(
                "df: more than 2 degrees of freedom are needed for a covariance to exist"
            )
        shocks *= np.sqrt((df - 2.0) / rng.chisquare(df, scenarios))
    drift = 0.0 if mean is None else float(as_f64("mean", mean) @ x) * days
    gains: FloatArray = shocks + drift
    return MonteCarloRisk(
        var=-historical_var(gains, level, convention=convention),
        es=-historical_es(gains, level, convention=convention),
        gains=gains,
    )
