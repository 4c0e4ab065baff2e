"""The judge of PnL cases: it passes what holds, and names what it cannot or will not pass."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_data import shared
from tradecore.errors import DataError
from tradecore.verify.pnl import PnlCase, _judge, run
from tradecore.verify.pnl import judge as judge_file
from tradecore.verify.pnl_case import Inputs, matches

LOTS = [
    {"date": "2015-10-01", "qty": 4, "px": 100.0},
    {"date": "2015-10-03", "qty": 6, "px": 122.22},
    {"date": "2015-10-02", "qty": 5, "px": 111.11},
]
BUY = {"side": "B", "qty": 10, "px": 100}
SELL = {"side": "S", "qty": 10, "px": 105}
TABLE = "date,A,B\n2020-01-31,0.01,-0.02\n2020-02-29,-0.03,NA\n2020-03-31,0.02,0.01\n"


def judge(tmp_path: Path, *cases: dict[str, Any]) -> list[PnlCase]:
    """Write cases to a file beside a folder of tables, and judge it."""
    (tmp_path / "vectors").mkdir(exist_ok=True)
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "table.csv").write_text(TABLE, encoding="utf-8")
    file = tmp_path / "vectors" / "cases.jsonl"
    file.write_text("\n".join(json.dumps(case) for case in cases) + "\n\n", encoding="utf-8")
    return run(file).cases


def case(inputs: dict[str, Any], expected: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "one", "category": "any", "inputs": inputs, "expected": expected, **more}


@pytest.mark.shared
def test_every_published_case_holds() -> None:
    report = run(shared("vectors/pnl_risk.jsonl"))
    assert [(one.name, one.expected, one.actual) for one in report.failures] == []
    assert report.passed == len(report.cases) >= 36


@pytest.mark.shared
def test_every_published_case_fails_when_its_expectation_is_moved(tmp_path: Path) -> None:
    source = shared("vectors/pnl_risk.jsonl")
    tampered = []
    for line in source.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        step = 1.5 * float(one["abs_tol"]) + 1e-9

        def move(value: Any, step: float = step) -> Any:
            if isinstance(value, dict):
                return {key: move(item) for key, item in value.items()}
            if isinstance(value, list):
                return [move(item) for item in value]
            if isinstance(value, str):
                return value + "?"
            return value if value is None else value + 2 * step * (1 + abs(value) * 1e-9)

        one["expected"] = move(one["expected"])
        tampered.append(json.dumps(one))
    file = tmp_path / "vectors" / "moved.jsonl"
    file.parent.mkdir()
    file.write_text("\n".join(tampered), encoding="utf-8")
    report = run(file, roots=[source.parent.parent])
    assert [one.name for one in report.cases if one.passed] == []


HOLDING = {
    "flat_round_trip": (
        {"fills": [BUY, SELL], "fees": [1, 2], "mark": 1},
        {"realized": 47, "realized_gross": 50, "fees": 3, "qty": 0, "total": 47, "side": "FLAT"},
    ),
    "aliases": ({"fills": [BUY], "mark": 101}, {"unrealized_pnl": 10, "avg_entry": 100}),
    "averages_of_a_leg": (
        {"fills": [BUY, SELL]},
        {"avg_px_open": 100, "avg_px_close": 105, "realized_return": 0.05, "peak_qty": 10},
    ),
    "hifo": (
        {"method": "HIFO", "lots": LOTS, "sell": 7, "sell_px": 130},
        {
            "matched": [{"qty": 6, "px": 122.22}, {"qty": 1, "px": 111.11}],
            "gain": 6 * (130 - 122.22) + 130 - 111.11,
            "remaining_qty": 8,
            "error": None,
        },
    ),
    "lots_are_ordered_by_date": (
        {"method": "LIFO", "lots": LOTS, "sell": 7},
        {"matched": [{"qty": 6, "px": 122.22}, {"qty": 1, "px": 111.11}], "cost_removed": 844.43},
    ),
    "average_method": (
        {"method": "AVERAGE", "lots": [{"qty": 1, "px": 10}, {"qty": 3, "px": 14}], "sell": 2},
        {"cost_removed": 26, "remaining_cost": 26},
    ),
    "oversell_opens_a_short": (
        {"method": "FIFO", "lots": LOTS, "sell": 16, "oversell": "short"},
        {"qty_closed": 15, "short": 1},
    ),
    "fills_under_a_method": (
        {"method": "LIFO", "fills": [BUY, {"side": "B", "qty": 10, "px": 103}, SELL]},
        {"realized": 20, "remaining_qty": 10},
    ),
    "isolated_linear": (
        {"side": "long", "entry": 20000, "leverage": 50, "mmr": 0.005},
        {"liq_px": 19700, "bankruptcy_px": 19600},
    ),
    "cross_linear_on_the_mark": (
        {"qty": -2, "entry": 100, "balance": 50, "mmr": 0.01},
        {"liquidation_price": 250 / 2.02},
    ),
    "never_liquidated": ({"qty": 1, "entry": 100, "balance": 500, "mmr": 0.01}, {"liq_px": None}),
    "funding": ({"qty": 10, "mark": 8000, "funding_rate": 0.0001}, {"funding_paid": 8}),
    "ranking": (
        {
            "mark": 110,
            "positions": [
                {"account": "a", "qty": 1, "entry": 100, "leverage": 5},
                {"account": "b", "qty": 1, "entry": 100, "leverage": 20},
                {"account": "c", "side": "short", "qty": 1, "entry": 100, "leverage": 20},
            ],
        },
        {"order": ["b", "a", "c"]},
    ),
    "not_a_number": ({"returns": [0.1, 0.1], "risk_free": 0.1}, {"sharpe": "nan"}),
    "infinite": ({"returns": [0.01, 0.02]}, {"sortino": "inf"}),
    "deflated": (
        {"sharpe": 2.5, "periods": 250, "n": 1250, "skew": -3, "kurt": 10, "trials": 100,
         "variance": 0.5},
        {"dsr": 0.9004},
    ),
    "covariance_and_split": (
        {"positions": [100, 100], "cov": [[0.04, 0], [0, 0.09]], "z": 1, "days": 4},
        {"sd": math.sqrt(1300), "var_4d": 2 * math.sqrt(1300),
         "component_pct": [400 / 1300, 900 / 1300]},
    ),
    "sets_of_series": (
        {
            "periods": 1,
            "sets": [{"returns": [0.1, -0.5]}, {"returns": [0.1, 0.3], "risk_free": 0.1}],
        },
        {"max_drawdown": [-0.5, 0.0], "sharpe": [None, math.sqrt(0.5)]},
    ),
    "prices": (
        {"prices": [100, 50, 75], "symbol": "X"},
        {"cum_return": -0.25, "max_drawdown": -0.5},
    ),
    "one_position": (
        {"position": 1000, "sigma": 0.02, "z": 2, "days": 4},
        {"var_4d": 80, "var_1d": 40, "sd": 20},
    ),
    "unsigned_quantity": ({"fills": [SELL]}, {"qty_after": [10], "qty": -10}),
    "flat_average_is_zero_or_nothing": (
        {"fills": [BUY, SELL]},
        {"avg_px_after": [100, 0], "avg_px": None},
    ),
    "funding_list_and_one_fee": (
        {"fills": [BUY, SELL], "fees": 4, "funding_paid": [1, 2]},
        {"closed_pnl": 43},
    ),
    "margin_account": (
        {"market_value": 10000, "loan": 8000, "maintenance": 0.3},
        {"equity": 2000, "margin_call": 1000, "equity_pct": 0.2},
    ),
    "single_fee": ({"px": 100, "qty": 3, "fee_rate": 0.001}, {"fee": 0.3, "notional": 300}),
    "initial_margin": (
        {"side": "short", "entry": 20000, "leverage": 50, "mmr": 0.005, "fee": 0.001, "qty": 2},
        {"initial_margin": 800, "maintenance": 200},
    ),
    "table_named_in_words": ({"csv": "data/table.csv"}, {"values": {"A": 0.03}}),
    "table_column": (
        {"csv": "data/table.csv", "column": "A", "convention": "empyrical"},
        {"max_drawdown": -0.03},
    ),
    "table_metric": (
        {"csv": "data/table.csv", "metric": "max_drawdown"},
        {"values": {"A": 0.03, "B": 0.02}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HOLDING))
def test_cases_of_neighbouring_shapes_are_judged(name: str, tmp_path: Path) -> None:
    inputs, expected = HOLDING[name]
    one = case(inputs, expected, abs_tol=5e-5, note="maxDrawdown" if "words" in name else "")
    (verdict,) = judge(tmp_path, one)
    assert verdict.passed, verdict.actual


@pytest.mark.parametrize(
    ("inputs", "expected", "reason"),
    [
        ({"colour": 1}, {"px": 1}, "no rule for the inputs colour"),
        ({}, {"px": 1}, "no rule"),
        ({"fills": [BUY], "colour": 1}, {"qty": 10}, "'colour' is not understood"),
        ({"fills": [{**BUY, "colour": 1}]}, {"qty": 10}, "'colour' is not known"),
        ({"fills": [{**BUY, "side": "X"}]}, {"qty": 10}, "side 'X'"),
        ({"fills": [{**BUY, "qty": "10"}]}, {"qty": 10}, "a number is needed"),
        ({"fills": [BUY], "fees": [1, 2]}, {"qty": 10}, "one fee per fill"),
        ({"fills": [BUY]}, {"unrealized": 0}, "'mark' is needed"),
        ({"fills": [BUY]}, {"colour": 0}, "'colour' cannot be computed"),
        ({"fills": [BUY], "inverse": 1}, {"qty": 10}, "true or false"),
        ({"method": "BEST", "lots": LOTS, "sell": 1}, {"cost_removed": 1}, "'best' is not known"),
        ({"method": "FIFO", "lots": LOTS, "sell": 1}, {"gain": 1}, "'sell_px' is needed"),
        ({"losses_desc": [5, 4], "n": 250, "level": 0.98}, {"es": 4.5}, "refused: ConfigError"),
        ({"csv": "data/none.csv", "column": "A"}, {"sharpe": 1}, "was not found"),
        ({"csv": "../data/table.csv", "column": "A"}, {"sharpe": 1}, "inside the shared folder"),
        ({"csv": "data/table.csv", "column": "Z"}, {"sharpe": 1}, "no column 'Z'"),
        ({"csv": "data/table.csv", "method": "magic", "level": 0.9}, {"values": {"A": 1}}, "magic"),
        ({"csv": "data/table.csv", "method": "tail", "level": 0.9}, {"values": {"A": 1}}, "family"),
        ({"position": 9, "tiers": [[1, 2]]}, {"maintenance": 1}, "exceeds the last tier"),
        ({"returns": [0.1], "period": "hourly"}, {"sharpe": 1}, "'hourly' is not known"),
        ({"returns": [0.1, 0.2]}, {"beta": 1}, "'benchmark' is needed"),
    ],
)
def test_what_cannot_be_expressed_fails_with_its_reason(
    inputs: dict[str, Any], expected: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    (verdict,) = judge(tmp_path, case(inputs, expected))
    assert not verdict.passed
    assert reason in verdict.actual


def test_cases_without_inputs_or_expectations_fail(tmp_path: Path) -> None:
    verdicts = judge(
        tmp_path,
        {"name": "a"},
        case({"fills": [BUY]}, {}),
        {"name": "c", "inputs": [], "expected": {"qty": 1}},
        {},
    )
    assert [one.passed for one in verdicts] == [False] * 4
    assert [one.name for one in verdicts] == ["a", "one", "c", "line 4"]


def test_tolerance_is_inclusive_and_exact(tmp_path: Path) -> None:
    fills = {"fills": [BUY]}
    at, beyond = judge(
        tmp_path,
        case(fills, {"avg_px": 100.1}, abs_tol=0.1),
        case(fills, {"avg_px": 100.1000001}, abs_tol=0.1),
    )
    assert (at.passed, beyond.passed) == (True, False)
    assert (beyond.expected, beyond.actual) == ("{avg_px: 100.1000001}", "{avg_px: 100}")


def test_convention_named_in_words_is_taken_from_name_then_source_then_note(tmp_path: Path) -> None:
    losses = {"losses_desc": [5, 4, 3], "n": 100, "level": 0.97}
    verdicts = judge(
        tmp_path,
        case(losses, {"es": 4}),
        case(losses, {"es": 4.5}, source="Hull, chapter 12", note="conflicts with prmia_es"),
        case(losses, {"es": 4}, source="a book", note="INCLUSIVE, unlike hull_es"),
        case({**losses, "convention": "hull"}, {"es": 4.5}),
    )
    assert [one.passed for one in verdicts] == [True] * 4


@pytest.mark.parametrize("line", [b"{", b"[1]", b"\xff", b'"x"', b"[" * 100_000])
def test_broken_lines_name_file_and_offset(line: bytes, tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    first = json.dumps(case({"fills": [BUY]}, {"qty": 10})).encode() + b"\n"
    file.write_bytes(first + line + b"\n")
    with pytest.raises(DataError) as caught:
        run(file)
    assert caught.value.file == str(file)
    assert caught.value.offset == len(first)


def test_judge_gives_the_shared_verdict(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    holds, fails = case({"fills": [BUY]}, {"qty": 10}), case({"fills": [BUY]}, {"qty": 11})
    judge(tmp_path, holds, fails)
    path = str(tmp_path / "vectors" / "cases.jsonl")
    result = judge_file(path, lambda *told: seen.append(told))
    assert (result.kind, result.lines) == ("pnl", ["pnl: 1 passed, 1 failed"])
    assert [(one.expected, one.actual) for one in result.failures] == [("{qty: 11}", "{qty: 10}")]
    assert not result.ok
    assert seen == [(path, 2, 2)]
    assert judge_file(path, None) == result


def test_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        run(tmp_path / "none.jsonl")


def test_comparison_of_special_values() -> None:
    tol = Fraction(1, 1000)
    assert matches([None, 1], [5, 1], tol)
    assert not matches([1], [1, 2], tol)
    assert matches(None, math.nan, tol)
    assert not matches(None, 1.0, tol)
    assert matches(Decimal("NaN"), math.nan, tol)
    assert matches("-inf", -math.inf, tol)
    assert not matches("inf", None, tol)
    assert not matches(1, math.nan, tol)
    assert not matches(1, None, tol)
    assert not matches({"a": 1}, {"b": 1}, tol)
    assert matches(True, True, tol)
    assert not matches(1, True, tol)
    assert matches("Not_Enough", "NOT_ENOUGH", tol)


ODD = st.recursive(
    st.sampled_from([None, True, "x", "", "short", 0, -1, 3, 10**40, 2**63, Decimal("1e300")])
    | st.sampled_from([Decimal("NaN"), Decimal("Infinity"), Decimal("0.5")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("qty"), inner, max_size=1),
    max_leaves=4,
)


def replaced(value: Any, odd: Any, path: list[int]) -> Any:
    """Replace one part of nested lists and objects, chosen by `path`."""
    if path and isinstance(value, dict) and value:
        key = sorted(value)[path[0] % len(value)]
        return {**value, key: replaced(value[key], odd, path[1:])}
    if path and isinstance(value, list) and value:
        at = path[0] % len(value)
        return [*value[:at], replaced(value[at], odd, path[1:]), *value[at + 1 :]]
    return odd


@settings(max_examples=500)
@given(st.sampled_from(sorted(HOLDING)), ODD, st.lists(st.integers(0, 20), min_size=1, max_size=4))
def test_no_input_makes_the_judge_itself_fail(name: str, odd: Any, path: list[int]) -> None:
    inputs, expected = json.loads(json.dumps(HOLDING[name]), parse_float=Decimal)
    one = replaced({"inputs": inputs, "expected": expected, "abs_tol": 1}, odd, path)

    def find(_: str) -> Path:
        raise FileNotFoundError

    verdict = _judge(one, find, 1)
    assert isinstance(verdict.actual, str)


def test_inputs_remember_what_was_read() -> None:
    inputs = Inputs({"a": 1, "b": None, "c": 2})
    assert inputs.number("a") == 1
    assert inputs.unread == ["b", "c"]
    assert not inputs.has("b")
