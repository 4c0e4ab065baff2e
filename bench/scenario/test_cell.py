"""The cell scenario runs, compares the engine inside with one outside, and prints both forms."""

from __future__ import annotations

import msgspec
import pytest
from bench.scenario.cell import ROWS, main

from tradecore.testing.results import Result


@pytest.mark.parametrize("workload", ["busy", "pipeline"])
def test_scenario_runs_on_a_small_input(workload: str, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--commands", "2000", "--batches", "64", "--repeats", "1", "--workload", workload]
    if workload == "pipeline":
        small[1] = "200"
    assert main([*small, "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    results = [msgspec.json.decode(line, type=Result) for line in lines]
    assert [result.name for result in results] == [f"cell/{row}" for row in ROWS]
    assert all(result.median > 0 for result in results)
    assert main(small) == 0
    assert "million commands/s" in capsys.readouterr().out
