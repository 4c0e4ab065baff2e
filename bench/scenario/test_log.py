"""The log scenario runs on both embedded forms, compares what it reads, and prints both forms."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from bench.scenario.log import main

from tradecore.testing.results import Result


def test_scenario_runs_on_a_small_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--orders", "2000", "--frames", "50", "--clients", "3", "--appends", "10"]
    small += ["--repeats", "2", "--folder", str(tmp_path)]
    assert main([*small, "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    results = [msgspec.json.decode(line, type=Result) for line in lines]
    assert [result.name for result in results] == [
        f"log/{kind}/{row}" for kind in ("files", "socket") for row in ("through", "p50", "p99")
    ]
    assert all(result.median > 0 for result in results)
    assert len({result.result_sha256 for result in results}) == 1
    assert not list(tmp_path.iterdir())
    assert main(small) == 0
    assert "million orders/s" in capsys.readouterr().out
