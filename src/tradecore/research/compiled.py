"""Run a compiled strategy: an ``@njit`` function that drives the loop itself.

The function takes the loop's handle and its parameters, and calls the functions of
`tradecore.kernels.backtest`::

    @njit
    def quoter(handle, params):
        while bt.wait(handle, bt.FOREVER) > bt.END:
            ...

Between its first and its last line no Python object is touched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tradecore.errors import ConfigError
from tradecore.research.errors import StrategyError
from tradecore.research.market import Market, Setup
from tradecore.research.recording import Recording
from tradecore.research.results import Result

__all__ = ["run_compiled"]

_BITS = {"book": 1, "trade": 2, "order": 4}


def run_compiled(
    recording: Recording,
    strategy: Callable[[int, Any], Any],
    params: Any = None,
    *,
    subscribe: tuple[str, ...] = (),
    setup: Setup | None = None,
    **settings: Any,
) -> Result:
    """Run a compiled strategy against a recorded market.

    Parameters
    ----------
    recording : Recording
    strategy : callable
        ``strategy(handle, params)``, compiled by Numba (plain Python works too, slower by far). It
        returns when `wait` answers END or less, or when it has seen enough.
    params : array, number or tuple, optional
        Handed over as it is; an array may carry results back.
    subscribe : tuple of {"book", "trade", "order"}
        What `wait` returns for, besides its time.
    setup : Setup, optional
        Or its fields as keyword arguments. ``max_call_s`` has no effect: compiled code cannot be
        interrupted.

    Returns
    -------
    Result

    Raises
    ------
    StrategyError, DataError, EngineFault
        As `backtest`.
    """
    if setup is None:
        setup = Setup(**settings)
    elif settings:
        raise ConfigError("give a Setup or keyword settings, not both")
    wanted = 0
    for name in subscribe:
        if name not in _BITS:
            raise ConfigError(f"nothing to subscribe to is called {name!r}: {', '.join(_BITS)}")
        wanted |= _BITS[name]
    market = Market(recording, setup, wanted)
    name = getattr(strategy, "__name__", type(strategy).__name__)
    # What the function gets as `params` stays the caller's; the record of the run says its values.
    said = np.asarray(params).ravel().tolist()[:32] if params is not None else []
    try:
        strategy(market.loop.handle, params if params is not None else 0)
    except Exception as error:
        counters = market.loop.counters()
        raise StrategyError(
            f"{type(error).__name__}: {error}",
            method=name,
            now_ns=counters["now_ns"],
            frame=counters["frame"],
            result=market.result(name, {"params": said}, str(error)),
        ) from error
    failed = market.loop.counters()["failed"]
    if failed:
        failure = market.explain(failed, name)
        if isinstance(failure, StrategyError):
            failure.result = market.result(name, {"params": said}, str(failure))
        raise failure
    at_end = market.loop.counters()["frame"] == len(recording)
    return market.result(name, {"params": said}, "end of data" if at_end else "stopped")
