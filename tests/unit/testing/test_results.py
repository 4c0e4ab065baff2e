"""Result files and their comparison: what is comparable, what counts as worse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench import compare
from tradecore.errors import DataError
from tradecore.testing import results

MACHINE = results.Machine(cpu="Test", cores=2, kernel="Linux", compiler="gcc -O3", python="3.11")


def result(values: Sequence[float], **changes: Any) -> results.Result:
    fields: dict[str, Any] = {
        "name": "matching/busy",
        "unit": "ns/command",
        "machine": MACHINE,
        "commit": "abc",
        "time_utc": "2026-01-01T00:00:00Z",
        "result_sha256": "f00",
    }
    return results.summarise(values, **(fields | changes))


def write(path: Path, *rows: results.Result) -> str:
    results.append_results(path, rows)
    return str(path)


def test_summarise_takes_median_and_extremes() -> None:
    r = result([5.0, 1.0, 9.0])
    assert (r.median, r.min, r.max, r.repeats) == (5.0, 1.0, 9.0, 3)


def test_summarise_no_values_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        result([])


def test_append_then_read_gives_the_same_results(tmp_path: Path) -> None:
    ref = results.WorkloadRef("busy", 2, "00")
    rows = [result([1.0]), result([2.0], workload=ref, conditions={"batch": 64, "risk": True})]
    path = write(tmp_path / "r.jsonl", rows[0])
    write(Path(path), rows[1])
    assert results.read_results(path) == rows
    assert json.loads(Path(path).read_text().splitlines()[1])["workload"]["name"] == "busy"


@pytest.mark.parametrize(
    ("line", "reason"),
    [("{}", "missing required field"), ("nonsense", "not a result line"), ("", "")],
)
def test_read_bad_line_names_file_and_offset(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "r.jsonl"
    first = write(path, result([1.0])) and path.stat().st_size
    with path.open("a") as f:
        f.write(line + "\n")
    if not line:
        assert len(results.read_results(path)) == 1
        return
    with pytest.raises(DataError, match=reason) as caught:
        results.read_results(path)
    assert (caught.value.file, caught.value.offset) == (str(path), first)


def test_read_other_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    line = json.loads(write(path, result([1.0])) and path.read_text())
    path.write_text(json.dumps(line | {"schema": 2}) + "\n")
    with pytest.raises(DataError, match="schema 2"):
        results.read_results(path)


def test_machine_describes_this_one() -> None:
    here = results.machine("cc -O3")
    assert here.cpu
    assert here.cores >= 1
    assert here.compiler == "cc -O3"


@pytest.mark.parametrize(
    ("old", "new", "changes", "status"),
    [
        ([10.0], [10.7], {}, 0),
        ([10.0], [10.9], {}, 1),
        ([10.0], [5.0], {}, 0),
        ([10.0], [9.0], {"unit": "commands/s"}, 1),  # a lower rate costs more
        ([10.0], [20.0], {"unit": "commands/s"}, 0),
    ],
)
def test_compare_threshold_decides_the_exit_status(
    tmp_path: Path, old: list[float], new: list[float], changes: dict[str, Any], status: int
) -> None:
    a = write(tmp_path / "a.jsonl", result(old, **changes))
    b = write(tmp_path / "b.jsonl", result(new, **changes))
    assert compare.main([a, b, "--fail-above", "8"]) == status
    assert compare.main([a, b]) == 0


def test_compare_other_machine_is_not_judged(tmp_path: Path) -> None:
    other = results.Machine(cpu="Other", cores=2, kernel="L", compiler="", python="")
    a = write(tmp_path / "a.jsonl", result([10.0]))
    b = write(tmp_path / "b.jsonl", result([99.0], machine=other))
    assert compare.main([a, b, "--fail-above", "8"]) == 0


def test_compare_different_work_fails_even_when_faster(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", result([10.0]))
    b = write(tmp_path / "b.jsonl", result([1.0], result_sha256="bad"))
    assert compare.main([a, b, "--fail-above", "8"]) == 1


def test_compare_other_conditions_are_other_benchmarks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = write(tmp_path / "a.jsonl", result([10.0], conditions={"batch": 1}))
    b = write(tmp_path / "b.jsonl", result([99.0], conditions={"batch": 64}))
    assert compare.main([a, b, "--fail-above", "8", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["note"] for row in rows] == ["gone", "new"]


def test_compare_newest_line_of_a_key_counts(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", result([10.0]))
    b = write(tmp_path / "b.jsonl", result([99.0]), result([10.0]))
    assert compare.main([a, b, "--fail-above", "8"]) == 0


def test_compare_missing_file_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main([str(tmp_path / "no.jsonl"), str(tmp_path / "no.jsonl")]) == 2
    assert "no.jsonl" in capsys.readouterr().err
