"""The journal scenario runs, checks the replayed state itself and prints both forms."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from bench.scenario.journal import main

from tradecore.testing.results import Result


def test_scenario_runs_on_a_small_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--workload", "busy", "--commands", "3000", "--batch", "64", "--repeats", "1"]
    small += ["--folder", str(tmp_path)]
    assert main([*small, "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    results = [msgspec.json.decode(line, type=Result) for line in lines]
    assert [result.name for result in results] == [
        f"journal/{row}" for row in ("append-1-client", "append", "read", "read-cached", "replay")
    ]
    assert all(result.median > 0 for result in results)
    assert not list(tmp_path.iterdir())
    assert main(small) == 0
    assert "million/s" in capsys.readouterr().out
