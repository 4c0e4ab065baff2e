"""`tradecore plan` and the verbs of `tradecore bench` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from capacity_rows import line, rows
from tradecore.cli import main
from tradecore.testing.results import append_results


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the lines of a machine of round numbers, and the program started in it."""
    append_results(tmp_path / "capacity.jsonl", rows())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    seen = capsys.readouterr()
    return code, seen.out, seen.err


def test_plan_takes_the_coefficients_of_the_folder(
    measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "plan", "--users", "1000000", "--profile", "retail")
    assert code == 0
    for words in ("trading cells", "Kafka brokers", "NSE (India)", "Nasdaq", "Binance"):
        assert words in out
    assert "assumed" in out
    assert "self-check" in out


def test_plan_json_is_the_whole_plan(measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "plan", "--users", "1000000", "--json")
    plan = json.loads(out)
    assert code == 0
    assert plan["coefficients"] == "capacity.jsonl"
    # 1,000,000 x 0.3 x 15 commands over 6.5 hours, 50 times that in the worst second.
    assert plan["demand"]["peak_per_s"] == pytest.approx(4.5e6 / 23_400 * 50)
    assert {each["name"] for each in plan["components"]} >= {"trading cells", "Postgres shards"}
    assert plan["checks"][0]["error"] == pytest.approx(5 / 4.5 - 1)


def test_plan_profile_file_with_a_negative_rate_is_one_clear_error(
    measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (measured / "bad.json").write_text(
        '{"mix": "pipeline", "active_share": 0.1, "commands_per_active_user": -5,'
        '"session_hours": 8, "peak_to_mean": 2, "open_orders_per_user": 0,'
        '"holdings_per_user": 1}'
    )
    code, out, err = run(capsys, "plan", "--users", "10", "--profile", "bad.json")
    assert (code, out) == (2, "")
    assert "bad.json" in err
    assert "commands_per_active_user is -5" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plan",), "--users"),
        (("plan", "--users", "10", "--profile", "nosuch"), "retail, bots, makers"),
        (("plan", "--users", "10", "--from", "missing.jsonl"), "missing.jsonl"),
        (("plan", "--users", "10", "--html", "page.pdf"), "must end with .html"),
        (("bench", "compare", "one.jsonl"), "two result files"),
        (("bench", "compare", "no.jsonl", "no.jsonl"), "no.jsonl"),
        (("bench", "report", "capacity.jsonl"), "--html"),
        (("bench", "workloads", "nosuch"), "retail-day"),
        (("bench", "capacity", "surplus"), "options only"),
        (("bench", "capacity", "--quick", "--option", "broken"), "KEY=VALUE"),
        (("bench", "capacity", "--quick", "--target", "nosuch"), "no target 'nosuch'"),
    ],
)
def test_bad_request_is_one_clear_error(
    measured: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert words in err
    assert len(err.splitlines()) == 1
    assert "s  coefficients" not in out, "measured before the request was looked at"


def test_plan_list_shows_profiles(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "plan", "--list", "--json")
    assert code == 0
    assert [each["name"] for each in json.loads(out)] == ["retail", "bots", "makers"]


def test_plan_without_coefficients_uses_the_example_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for profile in ("retail", "bots", "makers"):
        code, out, err = run(capsys, "plan", "--users", "1000000", "--profile", profile)
        assert code == 0
        assert "another machine" in err
        assert "trading cells" in out


def test_report_and_plan_write_a_page(measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="the page needs matplotlib (extra research)")
    assert run(capsys, "bench", "report", "capacity.jsonl", "--html", "a.html")[0] == 0
    assert run(capsys, "plan", "--users", "10", "--html", "b.html")[0] == 0
    assert "Benchmark report" in (measured / "a.html").read_text("utf-8")
    assert "Capacity plan for 10 users" in (measured / "b.html").read_text("utf-8")


def test_compare_gate_fails_on_what_grew(
    measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    append_results(measured / "new.jsonl", [*rows(), line("capacity/log-cpu", "ns/command", 60)])
    code, out, _ = run(capsys, "bench", "compare", "capacity.jsonl", "new.jsonl")
    assert code == 0
    assert "+20.0%" in out
    gate = ("bench", "compare", "capacity.jsonl", "new.jsonl", "--fail-above", "8", "--json")
    code, out, _ = run(capsys, *gate)
    assert code == 1
    assert [each["name"] for each in json.loads(out)["failures"]] == ["capacity/log-cpu"]


def test_workloads_show_published_hashes_and_shapes(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("busy", "quote-stuffing")
    code, out, _ = run(capsys, "bench", "workloads", *names, "--commands", "2000", "--json")
    assert code == 0
    document = json.loads(out)
    assert [each["name"] for each in document] == list(names)
    assert all(len(each["published"]["sha256"]) == 64 for each in document)
    assert document[0]["shape"]["commands"] == 2_000
