"""`tradecore verify`: verdicts as lines, failures with expected and actual, exit codes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cli.command import Command
from shared_data import shared

# One rule typed by hand: a fill happens at the maker's price.
CASE = {
    "name": "maker_price",
    "category": "basic",
    "source": "price-time priority",
    "config": {},
    "commands": [
        {"op": "new", "id": 1, "acct": 1, "side": "S", "type": "LIMIT", "px": 100, "qty": 5},
        {"op": "new", "id": 2, "acct": 2, "side": "B", "type": "LIMIT", "px": 102, "qty": 5},
    ],
    "expect": {"trades": [{"taker": 2, "maker": 1, "px": 100, "qty": 5}]},
    "ambiguity": None,
}


def _write(path: Path, *cases: object) -> Path:
    path.write_bytes(b"\n".join(msgspec.json.encode(case) for case in cases) + b"\n")
    return path


def test_passing_and_failing_cases_are_counted(tradecore: Command, tmp_path: Path) -> None:
    wrong = msgspec.json.decode(msgspec.json.encode(CASE))
    wrong["name"] = "taker_price"
    wrong["expect"]["trades"][0]["px"] = 102
    good = tradecore("verify", _write(tmp_path / "good.jsonl", CASE))
    assert good.code == 0
    assert "matching: 1 passed, 0 failed" in good.out.splitlines()
    bad = tradecore("verify", _write(tmp_path / "bad.jsonl", CASE, wrong))
    assert bad.code == 1
    assert "matching: 1 passed, 1 failed" in bad.out.splitlines()
    assert "taker_price" in bad.out
    assert "102" in bad.out
    assert "expected" in bad.out
    assert "actual" in bad.out


def test_workload_prints_the_digest_of_its_reports(tradecore: Command, workload: Path) -> None:
    """The report lines of the four messages, by the grammar of the suite."""
    import hashlib

    lines = ["0,0,1,1,101,5", "0,1,0,2,101,3", "1,1,101,3,1,2", "0,2,0,3,99,1", "4,3,77"]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    done = tradecore("verify", workload, "--expect", digest)
    assert done.code == 0
    assert f"sha256 {digest} {workload}" in done.out.splitlines()
    assert tradecore("verify", workload, "--expect", "0" * 64).code == 1


@pytest.mark.shared
def test_shared_vectors_hold(tradecore: Command) -> None:
    done = tradecore("verify", shared("vectors/matching.jsonl"))
    assert done.code == 0
    assert any(line.endswith(" passed, 0 failed") for line in done.out.splitlines())
