"""Tables come out of a result file as they are, met or missed, newest first."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.report import main

from tradecore.bench.setting import Setting
from tradecore.testing.results import Result, append_results

SETTING = Setting(commit="test", time_utc="2026-01-01T00:00:00Z")


def results() -> list[Result]:
    rows = [
        SETTING.result(
            "matching/busy", "ns/command", [value], conditions={"engine": engine, "batch": 4096}
        )
        for engine, value in (("tradecore", 99.0), ("tradecore", 25.0), ("stdmap", 100.0))
    ]
    rows.append(SETTING.result("import", "ms", [200.0]))
    for view in ("", "repeatable-", "machine-"):
        rows += [
            SETTING.result(f"latency/{view}{p}", "ns", [700.0], conditions={"rate": 1_000_000})
            for p in ("p50", "p99", "p99.9", "max")
        ]
    return rows


def test_report_shows_newest_results_with_goals_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "r.jsonl"
    append_results(path, results())
    assert main([str(path), "--img", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "| `matching/busy` | 25.0 |" in out
    assert "99.0" not in out
    assert "| `import` | 200.0 | " in out
    assert out.count("**missed**") == 2  # import, and the p50 of 700 ns
    assert "| `busy` | 25.0 | 100.0 |" in out
    for name in ("bench-matching.png", "bench-latency.png"):
        assert (tmp_path / name).stat().st_size > 10_000


def test_report_file_that_is_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("nonsense\n")
    assert main([str(path)]) == 2
    assert "r.jsonl" in capsys.readouterr().err
