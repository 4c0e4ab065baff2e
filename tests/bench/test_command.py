"""`tradecore bench` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tradecore.cli import main
from tradecore.testing.results import read_results
from tradecore.testing.workloads import make


def test_list_names_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--list"]) == 0
    out = capsys.readouterr().out
    assert "matching-regimes" in out
    assert "adversarial" in out


def test_unknown_name_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "nosuch"]) == 2
    assert "no benchmark 'nosuch'" in capsys.readouterr().err


def test_workload_file_prints_json_and_appends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, kept = tmp_path / "w.bin.gz", tmp_path / "kept.jsonl"
    import gzip

    path.write_bytes(gzip.compress(make("normal", 2_000).encode()))
    arguments = ["bench", "--workload", str(path), "--repeats", "2", "--json"]
    assert main([*arguments, "--append", str(kept)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in document["results"]] == ["file/w.bin.gz"]
    assert document["invalid"] == []
    assert [each.name for each in read_results(kept)] == ["file/w.bin.gz"]


def test_workload_that_is_none_names_file_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.bin"
    path.write_bytes(b"not a workload, certainly")
    assert main(["bench", "--workload", str(path)]) == 2
    assert "bad.bin" in capsys.readouterr().err


def test_quick_import_shows_goal_and_load(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "import", "--quick", "--repeats", "1"]) == 0
    captured = capsys.readouterr()
    assert "< 150" in captured.out
    assert "load" in captured.out
    assert "--quick" in captured.err
