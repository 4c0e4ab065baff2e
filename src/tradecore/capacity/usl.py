"""The Universal Scalability Law: throughput over the number of workers, and where it ends.

    X(N) = gamma N / (1 + alpha (N - 1) + beta N (N - 1))

`gamma` is the throughput of one, `alpha` the share of the work that waits for something shared
(contention), `beta` the cost of agreeing pairwise (coherency). With beta > 0 more workers make it
slower beyond ``sqrt((1 - alpha) / beta)``.

Source: N. J. Gunther, Guerrilla Capacity Planning, Springer 2007, chapter 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.errors import ConfigError

__all__ = ["Fit", "fit_usl"]

Floats = npt.NDArray[np.float64]

_ROUNDS = 200
_CLOSE = 1e-12
# Which of alpha and beta may differ from 0, the simplest law first.
_CHOICES = ((False, False), (True, False), (False, True), (True, True))


class Fit(msgspec.Struct, frozen=True):
    """A fitted law.

    Attributes
    ----------
    gamma, alpha, beta : float
        Coefficients; gamma in the unit of the throughput, the others without unit, never negative.
    gamma_error, alpha_error, beta_error : float or None
        Standard errors; None where the coefficient lies on its bound of 0 or no degree of freedom
        is left.
    workers, measured, residuals : tuple of float
        What was fitted, and measured minus fitted.
    r_squared : float
        Share of the variance that the law explains.
    """

    gamma: float
    alpha: float
    beta: float
    gamma_error: float | None
    alpha_error: float | None
    beta_error: float | None
    workers: tuple[float, ...]
    measured: tuple[float, ...]
    residuals: tuple[float, ...]
    r_squared: float

    def at(self, workers: float) -> float:
        """Return the predicted throughput of so many workers."""
        n = workers
        return self.gamma * n / (1 + self.alpha * (n - 1) + self.beta * n * (n - 1))

    @property
    def peak(self) -> float | None:
        """Return the number of workers with the highest throughput, None where more always help."""
        if self.beta <= 0 or self.alpha >= 1:
            return None if self.beta <= 0 and self.alpha < 1 else 1.0
        return max(math.sqrt((1 - self.alpha) / self.beta), 1.0)

    @property
    def limit(self) -> float | None:
        """Return the highest throughput any number of workers reaches, None where it grows on."""
        if self.peak is not None:
            return self.at(self.peak)
        return self.gamma / self.alpha if self.alpha > 0 else None

    def workers_for(self, throughput: float) -> int | None:
        """Return the fewest whole workers that reach a throughput, None where none do.

        Notes
        -----
        The law is a quadratic in N; its smaller root, rounded up. O(1).
        """
        if throughput <= self.at(1):
            return 1
        a = throughput * self.beta
        b = throughput * (self.alpha - self.beta) - self.gamma
        c = throughput * (1 - self.alpha)
        if a <= 0:
            return math.ceil(-c / b - _CLOSE) if b < 0 else None
        inside = b * b - 4 * a * c
        if b >= 0 or inside < 0:
            return None
        # The stable form of (-b - sqrt(inside)) / (2 a).
        found = math.ceil(2 * c / (-b + math.sqrt(inside)) - _CLOSE)
        return found if self.at(found) >= throughput * (1 - 1e-9) else None


def fit_usl(
    workers: Sequence[float], throughput: Sequence[float], *, relative: bool = False
) -> Fit:
    """Fit the law by least squares.

    Parameters
    ----------
    workers : sequence of float
        Numbers of workers, >= 1; repeated where a number was measured several times.
    throughput : sequence of float
        What they reached together, > 0, in any unit.
    relative : bool
        Minimise errors as shares of what was measured instead of in its unit. Right where the
        noise grows with the throughput, as it does when that spans decades; else the largest
        throughput decides alone.

    Raises
    ------
    ConfigError
        Lengths differ, a value is not positive, or fewer than three distinct numbers of workers.

    Notes
    -----
    Levenberg-Marquardt from the solution of the linear form ``N / X``; alpha and beta are bounded
    by 0, which is done by fitting all four choices of bounds and keeping the best allowed one.
    Standard errors from ``s^2 (J'J)^-1``. O(points) a round, at most 200 rounds.
    """
    n, x = np.asarray(workers, np.float64), np.asarray(throughput, np.float64)
    if n.shape != x.shape or n.ndim != 1:
        raise ConfigError("a scaling law needs one throughput a number of workers")
    if len(n) == 0 or not (np.isfinite(n).all() and np.isfinite(x).all()):
        raise ConfigError("a scaling law needs finite numbers")
    if n.min() < 1 or x.min() <= 0:
        raise ConfigError("a scaling law needs workers >= 1 and throughputs > 0")
    if len(np.unique(n)) < 3:
        raise ConfigError("a scaling law of three coefficients needs 3 different worker counts")
    best: tuple[float, Floats, tuple[bool, bool]] | None = None
    w = 1 / x if relative else np.ones_like(x)
    noise = float(((w * x) ** 2).sum()) * 1e-20  # rounding: no reason for another coefficient
    for free in _CHOICES:
        found = _fit(n, x, w, free)
        if found.min() < 0:
            continue
        error = _sum_of_squares(w * (x - _law(n, found)))
        # A coefficient more must buy something, otherwise the simpler law is kept.
        if best is None or error < best[0] * (1 - 1e-9) - noise:
            best = error, found, free
    assert best is not None  # with both at 0 the law is a line, which fits with gamma > 0
    error, found, free = best
    errors = _errors(n, w, found, free, error)
    residuals = x - _law(n, found)
    middle = float((w**2 * x).sum() / (w**2).sum())
    spread = _sum_of_squares(w * (x - middle))
    gamma, alpha, beta = found.tolist()
    return Fit(
        gamma,
        alpha,
        beta,
        *errors,
        workers=tuple(n.tolist()),
        measured=tuple(x.tolist()),
        residuals=tuple(residuals.tolist()),
        r_squared=1 - error / spread if spread > 0 else 1.0,
    )


def _law(n: Floats, p: Floats) -> Floats:
    gamma, alpha, beta = p
    values: Floats = gamma * n / (1 + alpha * (n - 1) + beta * n * (n - 1))
    return values


def _sum_of_squares(values: Floats) -> float:
    return float((values**2).sum())


def _slopes(n: Floats, p: Floats) -> Floats:
    """Return the Jacobian of the law by (gamma, alpha, beta)."""
    gamma, alpha, beta = p
    under = 1 + alpha * (n - 1) + beta * n * (n - 1)
    by_alpha = -gamma * n * (n - 1) / under**2
    return np.stack([n / under, by_alpha, by_alpha * n], axis=1)


def _columns(free: tuple[bool, bool]) -> list[int]:
    return [0, *(i + 1 for i, is_free in enumerate(free) if is_free)]


def _fit(n: Floats, x: Floats, w: Floats, free: tuple[bool, bool]) -> Floats:
    columns = _columns(free)
    # N / X = (1 + alpha (N-1) + beta N (N-1)) / gamma is linear in (1, alpha, beta) / gamma.
    design = np.stack([np.ones_like(n), n - 1, n * (n - 1)], axis=1)[:, columns]
    first = np.linalg.lstsq(design, n / x, rcond=None)[0]
    p = np.zeros(3)
    if first[0] > 0:
        p[columns] = first / first[0]
        p[0] = 1 / first[0]
    else:
        p[0] = float((x / n).max())
    damping, error = 1e-3, _sum_of_squares(w * (x - _law(n, p)))
    for _ in range(_ROUNDS):
        slopes = w[:, None] * _slopes(n, p)[:, columns]
        normal, gradient = slopes.T @ slopes, slopes.T @ (w * (x - _law(n, p)))
        step = np.zeros(3)
        damped = normal + damping * np.diag(np.diag(normal))
        step[columns] = np.linalg.lstsq(damped, gradient, rcond=None)[0]
        under = 1 + (p + step)[1] * (n - 1) + (p + step)[2] * n * (n - 1)
        tried = _sum_of_squares(w * (x - _law(n, p + step))) if under.min() > 0 else math.inf
        if tried < error:
            done = error - tried <= _CLOSE * error
            p, error, damping = p + step, tried, max(damping / 10, 1e-12)
            if done:
                break
        elif damping > 1e12:
            break
        else:
            damping *= 10
    return p


def _errors(
    n: Floats, w: Floats, p: Floats, free: tuple[bool, bool], error: float
) -> tuple[float | None, float | None, float | None]:
    columns = _columns(free)
    found: list[float | None] = [None, None, None]
    freedom = len(n) - len(columns)
    if freedom > 0:
        slopes = w[:, None] * _slopes(n, p)[:, columns]
        covariance = np.linalg.pinv(slopes.T @ slopes) * error / freedom
        for column, variance in zip(columns, np.diag(covariance), strict=True):
            found[column] = float(math.sqrt(max(variance, 0.0)))
    return found[0], found[1], found[2]
