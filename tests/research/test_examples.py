"""The examples run, and say something true."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(folder: str, name: str) -> ModuleType:
    path = ROOT / folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{folder}_{name}".replace("/", "_"), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_first_strategy_trades(capsys: pytest.CaptureFixture[str]) -> None:
    summary = load("examples", "research_first_strategy").main()
    assert summary["fills"] > 0
    assert summary["fills"] == summary["maker_fills"]
    assert "median wait" in capsys.readouterr().out


def test_counterfactual_differs_only_where_something_was_done() -> None:
    recorded, same, changed = load("examples", "research_counterfactual").main()
    assert same == recorded
    assert changed.state_hash != recorded.state_hash
    assert changed.commands == recorded.commands + 1


def test_benchmark_runs_on_a_small_market(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our side of the comparison, tiny: both strategies quote and trade."""
    pytest.importorskip("numba")
    monkeypatch.syspath_prepend(str(ROOT))
    from research.test_compiled import market

    run = load("bench/research", "run")
    day = market(steps=2_000)
    long = run.flows.repeated(day, 2, gap_ns=10_000)
    assert len(long) >= 2 * len(day)
    for strategy, bits in ((run.ours.quoter, 0), (run.ours.eager, 1)):
        run.INTERVAL_NS = 1_000
        row = run.compiled(long, strategy, bits, 1)
        assert row["orders"] > 0
        assert row["events"] == len(long)
    python = run.interpreted(day, run.ours.Eager, 1)
    assert python["orders"] > 0
