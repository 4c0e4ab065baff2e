"""How long messages travel: models per kind of message, exact and repeatable.

A model is data, not a function: a constant, a recorded series, or 4,096 quantiles from which a
counter-based generator draws. The compiled loop therefore needs no floats and no callback, and the
n-th message of a kind has the same delay in every run, whatever else happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.errors import ConfigError
from tradecore.kernels.normal import norm_ppf

if TYPE_CHECKING:
    from tradecore_ext.backtest import Backtest

__all__ = [
    "Delay",
    "Latency",
    "arrival",
    "constant",
    "empirical",
    "exponential",
    "lognormal",
    "recorded",
    "uniform",
]

_QUANTILES: Final = 4096
_MOST_NS: Final = 10**15  # eleven days: longer is a mistake of units
_CONSTANT, _RECORDED, _DRAWN, _ARRIVAL = range(4)


class Delay(msgspec.Struct, frozen=True, kw_only=True):
    """One model; build it with the functions of this module.

    Attributes
    ----------
    words : str
        What it is, for the record of a run.
    how : int
        Code of the compiled loop.
    constant_ns : int
    at_ns, value_ns : numpy.ndarray of int64, or None
    seed : int
    """

    words: str
    how: int
    constant_ns: int = 0
    at_ns: Any = None
    value_ns: Any = None
    seed: int = 0


def _checked(values: npt.ArrayLike, what: str) -> npt.NDArray[np.int64]:
    array = np.ascontiguousarray(values)
    if array.ndim != 1 or not len(array):
        raise ConfigError(f"{what}: a series of at least one value is needed")
    if array.dtype.kind not in "iuf" or not bool(np.isfinite(array).all()):
        raise ConfigError(f"{what}: numbers of nanoseconds are needed")
    if float(array.min()) < 0 or float(array.max()) > _MOST_NS:
        raise ConfigError(f"{what}: a delay must be within 0..{_MOST_NS} ns")
    return np.ascontiguousarray(np.rint(array) if array.dtype.kind == "f" else array, np.int64)


def constant(ns: int) -> Delay:
    """Return a delay that is always the same, in nanoseconds."""
    value = int(_checked([ns], "constant")[0])
    return Delay(words=f"constant {value} ns", how=_CONSTANT, constant_ns=value)


def recorded(at_ns: npt.ArrayLike, value_ns: npt.ArrayLike) -> Delay:
    """Return a delay that was measured: a message that leaves at t takes the last value up to t.

    Parameters
    ----------
    at_ns : array_like of int, shape (n,)
        When each value was measured, ascending.
    value_ns : array_like of int, shape (n,)
        Nanoseconds. Before the first time the first value holds.
    """
    times = np.ascontiguousarray(at_ns, np.int64)
    values = _checked(value_ns, "recorded")
    if times.shape != values.shape or bool((np.diff(times) < 0).any()):
        raise ConfigError("recorded: as many times as values are needed, ascending")
    words = f"recorded, {len(values)} values"
    return Delay(words=words, how=_RECORDED, at_ns=times, value_ns=values)


def arrival() -> Delay:
    """Return the feed delay that the recording itself holds: when each frame was received."""
    return Delay(words="as recorded", how=_ARRIVAL)


def _drawn(words: str, quantiles: npt.ArrayLike, seed: int) -> Delay:
    if not 0 <= seed < 1 << 63:
        raise ConfigError("a seed is a number of 63 bits")
    values = _checked(quantiles, words)
    return Delay(words=f"{words}, seed {seed}", how=_DRAWN, value_ns=values, seed=seed)


def _steps() -> npt.NDArray[np.float64]:
    """Return the middles of 4,096 equal steps of probability."""
    return (np.arange(_QUANTILES) + 0.5) / _QUANTILES


def uniform(low_ns: int, high_ns: int, seed: int = 0) -> Delay:
    """Return a delay drawn evenly between two values."""
    if low_ns > high_ns:
        raise ConfigError("uniform: the low end is above the high end")
    quantiles = low_ns + (high_ns - low_ns) * _steps()
    return _drawn(f"uniform {low_ns}..{high_ns} ns", quantiles, seed)


def exponential(floor_ns: int, mean_ns: int, seed: int = 0) -> Delay:
    """Return a delay of a floor plus an exponential tail; `mean_ns` is the mean of the tail."""
    quantiles = floor_ns - mean_ns * np.log1p(-_steps())
    return _drawn(f"{floor_ns} ns + exponential, mean {mean_ns} ns", quantiles, seed)


def lognormal(median_ns: int, sigma: float, seed: int = 0) -> Delay:
    """Return a log-normal delay: `sigma` is the standard deviation of its logarithm."""
    normal = np.array([norm_ppf(p) for p in _steps().tolist()])
    quantiles = median_ns * np.exp(sigma * normal)
    return _drawn(f"log-normal, median {median_ns} ns, sigma {sigma}", quantiles, seed)


def empirical(sample_ns: npt.ArrayLike, seed: int = 0) -> Delay:
    """Return a delay drawn from a measured sample: its own quantiles."""
    sample = np.sort(_checked(sample_ns, "empirical"))
    quantiles = sample[(_steps() * len(sample)).astype(np.int64)]
    return _drawn(f"empirical, {len(sample)} measurements", quantiles, seed)


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """The delays of one session.

    Attributes
    ----------
    feed : Delay
        From the exchange's stamp to the strategy: best prices and trades.
    order, cancel, replace : Delay
        From the strategy's decision to the engine. Messages of the session keep their order.
    response : Delay
        From the engine to the strategy: acknowledgements, fills, refusals.
    """

    feed: Delay = constant(0)
    order: Delay = constant(0)
    cancel: Delay | None = None
    replace: Delay | None = None
    response: Delay = constant(0)

    @classmethod
    def of(cls, feed_ns: int = 0, order_ns: int = 0, response_ns: int = 0) -> Latency:
        """Return constant delays; cancels and replaces travel like orders."""
        return cls(feed=constant(feed_ns), order=constant(order_ns), response=constant(response_ns))

    def parts(self) -> dict[str, Delay]:
        """Return the model of every kind of message, by the name the loop knows it by."""
        return {
            "feed": self.feed,
            "new": self.order,
            "cancel": self.cancel or self.order,
            "replace": self.replace or self.order,
            "reply": self.response,
        }

    def words(self) -> dict[str, str]:
        """Return every model in words."""
        return {name: delay.words for name, delay in self.parts().items()}

    def apply(self, loop: Backtest, run_seed: int = 0) -> None:
        """Set the delays of a compiled loop; `run_seed` moves what every model draws."""
        for number, (name, delay) in enumerate(self.parts().items()):
            if delay.how == _ARRIVAL and name != "feed":
                raise ConfigError("only the feed of a recording says when it arrived")
            # Kinds that share a model must not draw the same numbers.
            own = (delay.seed * 8 + number) * 0x9E3779B97F4A7C15
            seed = (own + run_seed * 0xBF58476D1CE4E5B9) % (1 << 64)
            loop.set_delay(name, delay.how, delay.constant_ns, delay.at_ns, delay.value_ns, seed)
