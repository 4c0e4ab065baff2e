"""Numba code drives the engine by the kernel's exported functions, with the result Python gets."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import tradecore as tc

pytest.importorskip("numba", reason="needs the extra `research`")

from tradecore.kernels import native

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "numba" / "market_maker.py"


def _engine() -> tc.Engine:
    engine = tc.Engine(max_instruments=2, max_orders=64)
    engine.define_instrument(1)
    return engine


def _pair() -> np.ndarray:
    """A resting sell of 5 at 101 and a buy of 3 at 102: one fill of 3 at the maker's 101."""
    commands = np.zeros(2, dtype=tc.COMMAND)
    commands["kind"], commands["ord_type"], commands["tif"] = 1, 2, 1
    commands["account_id"] = 1, 2
    commands["instrument_id"] = 1
    commands["order_id"] = 1, 2
    commands["side"] = 2, 1
    commands["px"] = 101, 102
    commands["order_qty"] = 5, 3
    return commands


def test_native_apply_gives_the_events_of_engine_apply() -> None:
    numba_engine, python_engine = _engine(), _engine()
    expected = bytes(python_engine.apply(_pair()))
    assert native.apply(numba_engine.handle, _pair()) == len(expected) // 64
    assert native.events(numba_engine.handle).tobytes() == expected
    fills = native.events_as_fills(numba_engine.handle)
    fills = fills[fills["kind"] == tc.EventKind.FILL]
    assert fills[["last_px", "last_qty"]].tolist() == [(101, 3)]


def test_native_quotes_read_the_book() -> None:
    engine = _engine()
    assert native.best_px(engine.handle, 1, 2) == 0
    native.apply(engine.handle, _pair())
    assert native.best_px(engine.handle, 1, 2) == 101
    assert native.best_qty(engine.handle, 1, 2) == 2
    assert native.best_px(engine.handle, 1, 1) == 0
    assert native.best_px(engine.handle, 99, 1) == 0


def test_native_apply_stops_with_a_stopped_engine() -> None:
    engine = _engine()
    fence = np.zeros(1, dtype=tc.dtypes.ADMIN)
    fence["kind"], fence["epoch"] = tc.CommandKind.EPOCH, 1_000
    engine.apply(fence)
    assert native.fault(engine.handle) == tc.Status.FENCED
    assert native.apply(engine.handle, _pair()) == 0
    with pytest.raises(tc.EngineFault, match="FENCED"):
        engine.apply(_pair())


def _example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("market_maker", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_numba_example_trades_the_same_twice() -> None:
    market_maker = _example()
    first = market_maker.main(steps=2_000)
    events, traded, _ = first
    assert traded > 0
    # Every step: two cancels, two quotes, one taker and at least its fill.
    assert events >= 6 * 2_000 - 10
    assert market_maker.main(steps=2_000) == first
