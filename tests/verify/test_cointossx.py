"""The judge of CoinTossX scenarios: what is passed, what fails, what cannot be judged and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared_data import shared
from tradecore.verify import cointossx
from verify_cases import write_jsonl


def order(
    side: str, number: int, kind: int, qty: int, px: int | str, **more: str
) -> dict[str, str]:
    row = {"Side": side, "OrderID": str(number), "Type": str(kind), "Size": str(qty)}
    return row | {"Price": str(px), "MES": "", "Time": "10:00"} | more


def trade(qty: int, px: int) -> dict[str, str]:
    return {"TradeId": "1", "Price": str(px), "Quantity": str(qty)}


def scenario(suite: str = "LimitOrder", **parts: Any) -> dict[str, Any]:
    empty = {"init": [], "aggressor": [], "expected_book": [], "expected_trades": []}
    stock = [{"StockCode": "1", "MRS": "15000", "TickSize": "1"}]
    return {"suite": suite, "n": 1, "description": "", "stock": stock} | empty | parts


CROSS = scenario(
    init=[order("O", 1, 2, 10, 100)],
    aggressor=[order("B", 2, 2, 15, 101)],
    expected_book=[order("B", 2, 2, 5, 101)],
    expected_trades=[trade(10, 100)],
)


def judge(tmp_path: Path, *cases: dict[str, Any]) -> Any:
    return cointossx.judge(write_jsonl(tmp_path / "cases", list(cases)))


def outcome(tmp_path: Path, case: dict[str, Any]) -> str:
    result = judge(tmp_path, case)
    if result.not_applicable:
        return str(result.not_applicable[0].actual)
    return "passed" if result.ok else str(result.failures[0])


def test_scenario_that_holds_passes(tmp_path: Path) -> None:
    assert judge(tmp_path, CROSS, CROSS).lines == ["cointossx: 2 passed, 0 failed"]


@pytest.mark.parametrize(
    "change",
    [
        {"expected_trades": [trade(10, 101)]},
        {"aggressor": [order("B", 2, 1, 15, "")], "expected_book": [order("B", 2, 2, 5, 101)]},
        {"aggressor": [order("B", 3, 2, 15, 101)]},
    ],
)
def test_wrong_expectation_fails(change: dict[str, Any], tmp_path: Path) -> None:
    result = judge(tmp_path, CROSS | change)
    assert result.lines == ["cointossx: 0 passed, 1 failed"]
    assert result.failures[0].name == "LimitOrder 1"


def test_quantities_that_do_not_add_up_are_a_contradiction(tmp_path: Path) -> None:
    assert "15 were entered to buy" in outcome(tmp_path, CROSS | {"expected_book": []})


def test_untouched_order_at_another_price_is_a_contradiction(tmp_path: Path) -> None:
    case = scenario(
        init=[order("B", 1, 2, 10, 90)],
        aggressor=[order("B", 2, 2, 5, 91)],
        expected_book=[order("B", 1, 2, 10, 89), order("B", 2, 2, 5, 91)],
    )
    assert "nothing touches" in outcome(tmp_path, case)


def test_scenario_without_data_is_not_applicable(tmp_path: Path) -> None:
    assert "no data" in outcome(tmp_path, scenario("UnCross", missing_file=True))


def test_cancel_suite_cancels(tmp_path: Path) -> None:
    case = scenario(
        "CancelOrder", init=[order("B", 1, 2, 10, 90)], aggressor=[order("B", 1, 2, 0, 90)]
    )
    assert outcome(tmp_path, case) == "passed"


def test_replaced_expiry_is_checked_by_log_time(tmp_path: Path) -> None:
    first, second = "2015-12-01 10:00:00", "2015-12-02 10:00:00"

    def dated(expire: str) -> dict[str, str]:
        return order("B", 1, 2, 10, 90, TimeInForce="6", ExpireTime=expire)

    case = scenario("ReplaceOrder", init=[dated(first)], aggressor=[dated(second)])
    assert outcome(tmp_path, case | {"expected_book": [dated(second)]}) == "passed"
    assert "expires at" in outcome(tmp_path, case | {"expected_book": [dated(first)]})


def test_hidden_order_out_of_reach_is_judged_and_within_reach_is_not(tmp_path: Path) -> None:
    hidden = order("B", 1, 5, 10, 90, MES="5")
    away = scenario(init=[hidden], aggressor=[order("O", 2, 2, 3, 91)])
    away["expected_book"] = [hidden, order("O", 2, 2, 3, 91)]
    assert outcome(tmp_path, away) == "passed"
    near = scenario(init=[hidden], aggressor=[order("O", 2, 2, 3, 90)])
    near["expected_book"] = [hidden, order("O", 2, 2, 3, 90)]
    assert "hidden orders" in outcome(tmp_path, near)


def test_hidden_taker_below_its_minimum_is_not_judged(tmp_path: Path) -> None:
    resting, taker = order("O", 1, 2, 3, 90), order("B", 2, 5, 10, 90, MES="5")
    case = scenario(init=[resting], aggressor=[taker], expected_book=[resting, taker])
    assert "hidden orders" in outcome(tmp_path, case)


def test_most_distant_stop_is_elected_first(tmp_path: Path) -> None:
    stops = {
        "init": [
            *(order("O", 1, 2, 10, 100), order("O", 2, 2, 30, 110)),
            *(order("B", 3, 3, 10, 90), order("B", 4, 3, 5, 80)),
        ],
        "aggressor": [order("B", 5, 2, 10, 100)],
        "expected_book": [order("O", 2, 2, 15, 110)],
        "description": "Stops with greatest difference to the last price are elected first",
    }
    far_first = [trade(10, 100), trade(5, 110), trade(10, 110)]
    old_first = [trade(10, 100), trade(10, 110), trade(5, 110)]
    case = scenario("StopOrder", **stops)
    assert outcome(tmp_path, case | {"expected_trades": far_first}) == "passed"
    told = outcome(tmp_path, case | {"expected_trades": old_first})
    assert "contradicts itself: the text elects the most distant" in told
    silent = case | {"expected_trades": old_first, "description": ""}
    assert "trades" in outcome(tmp_path, silent)


def test_living_orders_id_used_again_is_another_order(tmp_path: Path) -> None:
    case = scenario(
        init=[order("B", 1, 2, 10, 90), order("B", 1, 2, 5, 91)],
        aggressor=[order("O", 2, 2, 5, 91)],
        expected_book=[order("B", 1, 2, 10, 90)],
        expected_trades=[trade(5, 91)],
    )
    assert outcome(tmp_path, case) == "passed"


def test_market_order_in_an_auction_trades_at_its_price(tmp_path: Path) -> None:
    case = scenario(
        "Auction",
        init=[
            *(order("B", 1, 2, 10, 105), order("B", 2, 2, 10, 104)),
            *(order("O", 3, 2, 5, 100), order("O", 4, 1, 10, "")),
        ],
        expected_book=[order("B", 2, 2, 5, 104)],
        expected_trades=[trade(10, 104), trade(5, 104)],
    )
    assert outcome(tmp_path, case) == "passed"


@pytest.mark.shared
def test_shared_scenarios_hold_where_they_can_be_judged() -> None:
    result = cointossx.judge(str(shared("data/cointossx/vectors.jsonl")))
    assert result.failed == 0, "\n".join(map(str, result.failures))
    assert result.passed >= 76
    assert all(entry.actual for entry in result.not_applicable)
