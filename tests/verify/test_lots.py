"""The judge of lot reports, on a portfolio worked out by hand and on the shared reports."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from shared_data import shared_files
from tradecore import verify

IN = {"table": "IN", "Transaction Type": "Buy", "USD Fee": 1}
PORTFOLIO = [
    IN | {"Timestamp": "2020-01-01T00:00Z", "Crypto In": 2, "Spot Price": 10},
    IN | {"Timestamp": "2020-02-01T00:00Z", "Crypto In": 2, "Spot Price": 20},
    {
        **{"table": "OUT", "Timestamp": "2020-03-01T00:00Z", "Transaction Type": "Sell"},
        **{"Crypto Out": 1, "Crypto Fee": 0, "Spot Price": 30},
    },
]


def gain(acquired: str, cost: float) -> dict[str, Any]:
    row = {"type": "OUT / SELL", "asset": "A", "acquired": acquired, "qty": 1}
    row |= {"ts": "2020-03-01 00:00:00+00:00", "proceeds": 30, "cost": cost, "gain": 30 - cost}
    return row | {"lot": "1/1: 1.00000000 of 2.00000000 A"}


# The old lot cost 2 x 10 + 1 = 21, half of it is 10.5; the new one 41, half of it 20.5.
REPORT = {
    "input": {"A": PORTFOLIO},
    "golden": {"fifo": [gain("01/01/2020", 10.5)], "lifo": [gain("02/01/2020", 20.5)]},
}


def judge(tmp_path: Path, report: dict[str, Any]) -> Any:
    path = tmp_path / "report"
    path.write_text(json.dumps(report))
    return verify.run([path])[0]


def test_report_worked_out_by_hand_holds(tmp_path: Path) -> None:
    result = judge(tmp_path, REPORT)
    assert result.ok
    assert result.lines == ["lots: 2 passed, 0 failed (2 gains)"]


def test_wrong_cost_fails(tmp_path: Path) -> None:
    report = copy.deepcopy(REPORT)
    report["golden"]["lifo"][0]["cost"] = 20.4  # type: ignore[index]
    result = judge(tmp_path, report)
    assert (result.passed, result.failed) == (1, 1)
    assert result.failures[0].name == "A lifo"


def test_report_that_closes_another_lot_than_its_method_is_a_contradiction(tmp_path: Path) -> None:
    report = copy.deepcopy(REPORT)
    report["golden"]["lifo"] = report["golden"]["fifo"]  # type: ignore[index]
    result = judge(tmp_path, report)
    assert (result.passed, result.failed, len(result.not_applicable)) == (1, 0, 1)
    assert "not the first by lifo" in result.not_applicable[0].actual


def test_lot_that_is_used_up_is_ranked_no_more(tmp_path: Path) -> None:
    second = PORTFOLIO[2] | {"Timestamp": "2020-04-01T00:00Z"}
    report = {"input": {"A": [*PORTFOLIO, PORTFOLIO[2], second]}, "golden": {}}
    first, third = gain("02/01/2020", 20.5), gain("01/01/2020", 10.5)
    third["ts"], third["disposed"] = "2020-04-01 00:00:00+00:00", ""
    wrong = third | {"cost": 10.4}
    # The new lot is gone after two sales; the third closes the old one and so keeps to its method.
    report["golden"] = {"lifo": [first, first, third], "hifo": [first, first, wrong]}
    result = judge(tmp_path, report)
    assert (result.passed, result.failed, len(result.not_applicable)) == (1, 1, 0)


def test_portfolio_that_is_not_understood_fails(tmp_path: Path) -> None:
    report = copy.deepcopy(REPORT)
    report["golden"]["best"] = []  # type: ignore[index]
    report["input"]["A"][0].pop("Timestamp")  # type: ignore[index]
    assert judge(tmp_path, report).failed == 3


@pytest.mark.shared
def test_shared_reports_hold() -> None:
    results = [verify.run([path])[0] for path in shared_files("data/lots", "*.json")]
    assert all(result.ok for result in results), [result.failures for result in results]
    assert sum(result.passed for result in results) >= 63
