"""The judge of matching scenarios: agrees with hand-written rules, notices every wrong answer."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

import verify_cases as by_hand
from shared_data import shared
from tradecore.errors import DataError
from tradecore.status import Status
from tradecore.verify import matching
from tradecore.verify.reasons import allowed_statuses


@pytest.mark.parametrize("name", [case[0] for case in by_hand.CASES])
def test_case_written_from_the_rule_holds(name: str, tmp_path: Path) -> None:
    path = by_hand.write_jsonl(tmp_path / "cases", [by_hand.as_case(name)])
    result = matching.judge(path)
    assert result.ok, "\n".join(map(str, result.failures))
    assert result.lines == ["matching: 1 passed, 0 failed"]


def _set(path: str, value: Any) -> Any:
    def change(case: dict[str, Any]) -> None:
        *way, last = path.split("/")
        target: Any = case
        for step in way:
            target = target[int(step) if isinstance(target, list) else step]
        target[int(last) if isinstance(target, list) else last] = value

    return change


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("market_remainder", _set("expect/trades/0/qty", 4), "trades"),
        ("market_remainder", _set("expect/trades", []), "trades"),
        ("market_remainder", _set("expect/final/2/cum", 4), "order 2"),
        ("market_remainder", _set("expect/final/2/status", "CANCELLED"), "order 2"),
        ("market_remainder", _set("expect/final/2/reason", "STP"), "STP"),
        ("market_remainder", _set("expect/final/3", {"status": "NEW", "cum": 0}), "never seen"),
        ("iceberg_refresh", _set("expect/book/asks/0/1/0", [1, 10]), "asks"),
        ("iceberg_refresh", _set("expect/book/bids", [[1, [[1, 1]]]]), "bids"),
        ("iceberg_prints_merged", _set("expect/trades/0/qty", 19), "trades"),
        ("iceberg_prints_merged", _set("ambiguity", None), "trades"),
        ("stop_dormant", _set("expect/dormant_stops", []), "dormant"),
        ("stp_decrement_partial", _set("expect/prevented/2", 4), "prevented"),
        ("auction_then_continuous", _set("expect/auction/surplus", -50), "surplus"),
        ("auction_then_continuous", _set("expect/auction/price", None), "price"),
        ("auction_then_continuous", _set("expect/fills_per_order/3", 9), "fills per order"),
        ("unknown_ids", _set("expect/command_rejects/0/index", 2), "not refused"),
        ("unknown_ids", _set("expect/command_rejects/1/reason", "TICK"), "UNKNOWN_ORDER"),
        ("trailing_buy", _set("expect/trigger_command_index", 3), "trigger"),
        ("trailing_buy", _set("expect/trigger_px", 44099), "trigger price"),
        ("stop_through_refused", _set("config/stop_immediate", "accept"), "trades"),
        ("stops_by_distance", _set("config/stop_election", "entry"), "trades"),
        ("tick", _set("config/tick", 1), "order 1"),
    ],
)
def test_wrong_expectation_is_a_named_failure(
    name: str, change: Any, told: str, tmp_path: Path
) -> None:
    case = copy.deepcopy(by_hand.as_case(name))
    change(case)
    result = matching.judge(by_hand.write_jsonl(tmp_path / "cases", [case]))
    assert (result.passed, result.failed) == (0, 1)
    assert result.lines == ["matching: 0 passed, 1 failed"]
    assert result.failures[0].name == name
    assert told in str(result.failures[0])


@pytest.mark.parametrize(
    "change",
    [
        _set("config/colour", "blue"),
        _set("config/algo", "lottery"),
        _set("config/stop_immediate", "perhaps"),
        _set("commands/0/op", "amnd"),
        _set("commands/0/urgent", True),
        _set("commands/0/type", "PEGGED"),
        _set("commands/0/qty", None),
        _set("commands/0/px", "1e400x"),
        _set("expect/mood", "good"),
        _set("expect", {}),
        _set("expect/final/1/reason", "BECAUSE"),
        _set("commands", None),
    ],
)
def test_case_that_is_not_understood_fails(change: Any, tmp_path: Path) -> None:
    case = copy.deepcopy(by_hand.as_case("tick"))
    change(case)
    result = matching.judge(by_hand.write_jsonl(tmp_path / "cases", [case]))
    assert result.failed == 1


def test_damaged_line_is_one_error_with_its_offset(tmp_path: Path) -> None:
    path = tmp_path / "cases"
    by_hand.write_jsonl(path, [by_hand.as_case("tick")])
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b'{"name": ')
    with pytest.raises(DataError) as error:
        matching.judge(str(path))
    assert error.value.offset == size


def test_array_of_cases_is_read_like_lines(tmp_path: Path) -> None:
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([by_hand.as_case("tick"), by_hand.as_case("fractions")], indent=1))
    assert matching.judge(str(path)).passed == 2


def test_every_status_name_is_a_reason() -> None:
    for status in Status:
        assert status in allowed_statuses(status.name)
    assert allowed_statuses("post-only") == {Status.WOULD_CROSS}
    assert allowed_statuses("Price band (upper)") == {Status.PRICE_BAND}
    assert Status.STP in allowed_statuses(["TICK", "STP_TAKER"])
    assert Status.UNKNOWN_ORDER not in allowed_statuses("STP_TAKER")
    with pytest.raises(ValueError, match="not understood"):
        allowed_statuses("BECAUSE")


@pytest.mark.shared
def test_shared_scenarios_hold() -> None:
    result = matching.judge(str(shared("vectors/matching.jsonl")))
    assert result.ok, "\n".join(map(str, result.failures))
    assert result.passed >= 50
