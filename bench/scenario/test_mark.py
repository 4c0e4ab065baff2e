"""The marking scenario runs, checks its own results and prints both forms."""

from __future__ import annotations

import msgspec
import pytest
from bench.scenario.mark import main

from tradecore.testing.results import Result


@pytest.mark.parametrize("extra", [[], ["--threads"]])
def test_scenario_runs_on_a_small_input(
    extra: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--positions", "50000", "--repeats", "2", "--json", *extra]) == 0
    lines = capsys.readouterr().out.splitlines()
    results = [msgspec.json.decode(line, type=Result) for line in lines]
    assert {"mark/triad", "mark/mark"} <= {result.name for result in results}
    assert all(result.median > 0 and result.workload is not None for result in results)
    assert len({result.result_sha256 for result in results}) == 1
    assert main(["--positions", "50000", "--repeats", "2", *extra]) == 0
    assert "x memory" in capsys.readouterr().out
