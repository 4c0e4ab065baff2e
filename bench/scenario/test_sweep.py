"""The rate sweep runs on a small input and says the same in both forms."""

from __future__ import annotations

import msgspec
import pytest
from bench.scenario.sweep import main

from tradecore.testing.results import Result


@pytest.mark.slow
def test_scenario_runs_on_a_small_input(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--rates", "50000,100000", "--commands", "3000", "--repeats", "1"]
    assert main([*small, "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    results = [msgspec.json.decode(line, type=Result) for line in lines]
    assert {each.conditions["rate"] for each in results} == {50_000, 100_000}
    assert len({each.result_sha256 for each in results}) == 1
    assert main(small) == 0
    assert "p99.99" in capsys.readouterr().out
