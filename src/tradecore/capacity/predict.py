"""From the cost of parts to the speed of the whole, and how wrong that is on the machine at hand.

The same arithmetic that a plan uses for other loads is first asked for something that was also
measured: the saturation of the engine and of the engine behind a durable journal. The difference is
shown with every plan; who reads it knows how far to trust the rest.
"""

from __future__ import annotations

import msgspec

from tradecore.capacity.coefficients import Coefficients
from tradecore.errors import ConfigError

__all__ = ["REFERENCE_MIX", "Check", "durable_rate", "engine_rate", "self_check", "sustained_rate"]

REFERENCE_MIX = "pipeline"
"""The stream whose saturation is measured; other mixes are scaled from it."""

_LATE_SHARE = 0.001  # what p99.9 lets pass


class Check(msgspec.Struct, frozen=True):
    """A prediction beside the measurement.

    Attributes
    ----------
    target : str
    predicted, measured : float
        Commands a second with p99.9 within the limit.
    error : float
        predicted / measured - 1; None where nothing was sustained.
    how : str
        The arithmetic, in words and numbers.
    """

    target: str
    predicted: float
    measured: float
    error: float | None
    how: str


def _busy(coefficients: Coefficients) -> float:
    """Return the utilisation at which stalls of the machine alone use up what p99.9 lets pass.

    A stall of S delays the commands of ``(S - limit) / (1 - utilisation)`` beyond the limit; with a
    share f of the time in such stalls, the late share is ``f / (1 - utilisation)``.
    """
    lost = coefficients.value("capacity/stalls")
    return max(1 - lost / _LATE_SHARE, 0.0)


def engine_rate(coefficients: Coefficients, mix: str) -> float:
    """Predict the saturation of the engine in process: one over the cost of a command.

    Parameters
    ----------
    coefficients : Coefficients
    mix : str

    Returns
    -------
    float
        Commands a second.

    Raises
    ------
    ConfigError
        The mix was not measured.
    """
    return 1e9 / _cost(coefficients, mix) * _busy(coefficients)


def durable_rate(
    coefficients: Coefficients, mix: str, *, limit_ms: float | None = None, burst: int = 4_096
) -> float:
    """Predict the saturation of the engine behind a journal with group commit.

    Notes
    -----
    While a group of b commands takes ``T = flush + b c`` (c: journal and engine, CPU a command),
    the next one gathers. A command waits for the group before it and for its own, at most 2 T, so
    with ``b = rate T`` the limit allows ``rate = (1 - 2 flush / limit) / c``; and a group holds no
    more than `burst`, so ``rate <= burst / (flush + burst c)``. The smaller one counts.
    """
    limit = (coefficients.limit_ms if limit_ms is None else limit_ms) / 1e3
    each = (_cost(coefficients, mix) + coefficients.value("capacity/log-cpu")) / 1e9
    flush = coefficients.value("capacity/log-flush")
    by_limit = max(1 - 2 * flush / limit, 0.0) / each
    by_burst = burst / (flush + burst * each)
    return min(by_limit, by_burst) * _busy(coefficients)


def sustained_rate(coefficients: Coefficients, target: str, mix: str) -> float:
    """Scale a measured saturation to another mix by what a command of each costs.

    Parameters
    ----------
    coefficients : Coefficients
    target : str
        ``engine``, or anything that commits to a log before it answers.
    mix : str

    Returns
    -------
    float
        Commands a second.

    Raises
    ------
    ConfigError
        The target was not measured, or sustained nothing.
    """
    measured = coefficients.saturation[target].value if target in coefficients.saturation else 0.0
    if measured <= 0:
        raise ConfigError(
            f"saturation/{target} is not in the coefficients, or no rate held p99.9 within "
            f"{coefficients.limit_ms:g} ms; measure on a quieter machine or with a higher limit"
        )
    log = 0.0 if target == "engine" else coefficients.value("capacity/log-cpu")
    reference = _cost(coefficients, REFERENCE_MIX) + log
    return measured * reference / (_cost(coefficients, mix) + log)


def _cost(coefficients: Coefficients, mix: str) -> float:
    if mix not in coefficients.mixes:
        known = ", ".join(coefficients.mixes)
        raise ConfigError(f"no coefficients of mix {mix!r}; measured are: {known}")
    return coefficients.value(f"capacity/cpu:{mix}")


def self_check(coefficients: Coefficients, mix: str = REFERENCE_MIX) -> list[Check]:
    """Predict what was measured, from parts that were measured alone.

    Returns
    -------
    list of Check
        Of the engine, and of the journal where its saturation was measured.
    """
    checks = []
    c = coefficients
    cpu = c.value(f"capacity/cpu:{mix}") if mix in c.mixes else 0.0
    if "engine" in c.saturation:
        how = f"1 / {cpu:.0f} ns a command, machine usable to {_busy(c):.1%}"
        checks.append(_check("engine", engine_rate(c, mix), c.saturation["engine"].value, how))
    if "journal" in c.saturation:
        log, flush = c.value("capacity/log-cpu"), c.value("capacity/log-flush") * 1e3
        late = c.value("capacity/log-flush-p99.9") * 1e3
        how = (
            f"groups of {cpu:.0f} + {log:.0f} ns a command and a flush of {flush:.2f} ms "
            f"(p99.9 {late:.2f}), two within {c.limit_ms:g} ms"
        )
        checks.append(_check("journal", durable_rate(c, mix), c.saturation["journal"].value, how))
    return checks


def _check(target: str, predicted: float, measured: float, how: str) -> Check:
    error = predicted / measured - 1 if measured > 0 else None
    return Check(target, predicted, measured, error, how)
