"""The scenario runs, checks the sums of the database itself and prints both forms."""

from __future__ import annotations

import msgspec
import pytest
from bench.scenario.portfolio_postgres import main
from services.testing import real_database, real_servers  # noqa: F401 (fixtures)

from tradecore.testing.results import Result

ROWS = ("copy", "fold", "service", "statement", "upsert")


def test_scenario_runs_on_a_small_input(
    real_database: str,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = ["--users", "100", "--instruments", "4", "--rows", "2000", "--repeats", "1"]
    small += ["--batch-events", "500", "--dsn", real_database]
    assert main([*small, "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    results = [msgspec.json.decode(line, type=Result) for line in lines]
    assert sorted(result.name for result in results) == [f"portfolio/{row}" for row in ROWS]
    assert all(result.median > 0 for result in results)
    assert results[0].conditions["fsync"] == "on"
    assert main(small) == 0
    assert "rows/s" in capsys.readouterr().out
