"""`python -m tradecore_shells.sim`: one line with seed and commit, a story, a record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tradecore_shells.sim.__main__ import main
from tradecore_shells.sim.faults import CLASSES
from tradecore_shells.sim.mutants import planted
from tradecore_shells.sim.run import Outcome, Total, run_seed


def test_seed_that_passes_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("seed 3 passed, commit ")


def test_seed_that_fails_tells_its_story(capsys: pytest.CaptureFixture[str]) -> None:
    with planted("poison_record_raises"):
        seed = next(seed for seed in range(40) if run_seed(seed).violations)
        assert main(["--seed", str(seed)]) == 1
    *story, last = capsys.readouterr().out.splitlines()
    assert last.startswith(f"seed {seed} FAILED, commit ")
    assert any("trading-a#1" in line and "state=primary" in line for line in story)
    assert any("cannot read the record" in line for line in story)


def test_many_seeds_leave_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "record.jsonl"
    assert main(["--seeds", "10:13", "--record", str(path)]) == 0
    row = json.loads(path.read_text("utf-8"))
    assert (row["first_seed"], row["last_seed"], row["seeds"], row["failed"]) == (10, 12, 3, [])
    assert row["happened"]["orders"] > 0
    assert "3 seeds (10 to 12)" in capsys.readouterr().out


def test_class_of_faults_that_never_struck_is_named() -> None:
    total = Total()
    hits = dict.fromkeys(CLASSES, 1)
    del hits["sync_failed"]
    total.add(Outcome(1, [], hits, {}, ""))
    assert total.silent() == ["sync_failed"]
    total.add(Outcome(2, [], {"sync_failed": 3}, {}, ""))
    assert total.silent() == []


def test_planted_bug_is_taken_out_again() -> None:
    from tradecore_shells.plumbing.outbox import Outbox

    before = Outbox._send
    with planted("sender_drops_failed_batch"):
        assert Outbox._send is not before
    assert Outbox._send is before
