"""The judge of edge cases: reports, digests, best prices, and cases written as a sentence."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from shared_data import shared
from tradecore.verify import edge
from verify_cases import write_jsonl


def message(kind: str, number: int, side: int = 0, qty: int = 0, px: int = 0) -> dict[str, Any]:
    return {"type": kind, "side": side, "ioc": 0, "qty": qty, "id": number, "px": px}


CROSS = {
    "name": "cross",
    "messages": [message("new", 1, 1, 10, 100), message("new", 2, 0, 4, 105)],
    "reports": ["0,0,1,1,100,10", "0,1,0,2,105,4", "1,1,100,4,1,2"],
    "bbo_after_each": [[None, 100], [None, 100]],
}


def judge(tmp_path: Path, *cases: dict[str, Any]) -> Any:
    return edge.judge(write_jsonl(tmp_path / "cases", list(cases)))


def test_case_worked_out_by_hand_holds(tmp_path: Path) -> None:
    digest = hashlib.sha256("\n".join(CROSS["reports"]).encode()).hexdigest()  # type: ignore[arg-type]
    result = judge(tmp_path, CROSS, CROSS | {"reports_sha256": digest})
    assert result.lines == ["edge: 2 passed, 0 failed"]


@pytest.mark.parametrize(
    "change",
    [
        {"reports": ["0,0,1,1,100,10", "0,1,0,2,105,4", "1,1,105,4,1,2"]},
        {"reports": ["0,0,1,1,100,10", "0,1,0,2,105,4"]},
        {"reports": [], "reports_sha256": "0" * 64},
        {"bbo_after_each": [[None, 100], [105, None]]},
        {"bbo_after_each": [[None, 100]]},
        {"messages": [{"type": "newer"}]},
        {"messages": [message("new", 1, 1, -1, 100)]},
        {"messages": "three orders"},
        {"messages": None},
    ],
)
def test_wrong_expectation_or_case_fails(change: dict[str, Any], tmp_path: Path) -> None:
    result = judge(tmp_path, CROSS | change)
    assert result.lines == ["edge: 0 passed, 1 failed"]
    assert result.failures[0].name == "cross"


def test_case_without_any_expectation_fails(tmp_path: Path) -> None:
    assert judge(tmp_path, {"name": "empty", "messages": CROSS["messages"]}).failed == 1


def test_sentence_stands_for_its_messages(tmp_path: Path) -> None:
    sentence = "3 x new(i,sell,1@100) i=1..3, then new(9,buy,3@100,ioc), then cancel(9)"
    reports = [
        *(f"0,{n - 1},1,{n},100,1" for n in (1, 2, 3)),
        "0,3,0,9,100,3",
        *(f"1,3,100,1,{n},9" for n in (1, 2, 3)),
        "4,4,9",
    ]
    result = judge(tmp_path, {"name": "sentence", "messages": sentence, "reports": reports})
    assert result.ok, str(result.failures)


def test_sentence_with_a_wrong_count_is_not_understood(tmp_path: Path) -> None:
    sentence = "4 x new(i,sell,1@100) i=1..3"
    result = judge(tmp_path, {"name": "sentence", "messages": sentence, "reports": []})
    assert "cannot be judged" in result.failures[0].actual


@pytest.mark.shared
def test_shared_edge_cases_hold() -> None:
    result = edge.judge(str(shared("data/matching_workloads/edge_cases_34.jsonl")))
    assert result.ok, "\n".join(map(str, result.failures))
    assert result.passed >= 34
