"""Pre-trade limits: the order of the checks, what each counts, who is asked (account, group, firm).

Rules: docs/reference/accounts.md section 3. Limits are set on log time, so no test waits.
"""

from __future__ import annotations

import pytest

from spot_venue import BUY, CASH, SELL, SPOT, SpotVenue
from tradecore import frames
from tradecore.codes import CommandKind as K
from tradecore.codes import OrdType, Tif
from tradecore.testing import build

QTY, NOTIONAL, POSITION, GROSS, OPEN, RATE, DUPLICATE, COLLAR, STALE = (1 << i for i in range(9))
FREE = {"maker_fee_ppm": 0, "taker_fee_ppm": 0}
SECOND = 1_000_000_000


def venue(**fields: int) -> SpotVenue:
    """Three rich accounts: 1 and 2 in group 1, 3 alone."""
    rich = (10_000_000, 100_000)
    return SpotVenue({1: rich, 2: rich, 3: rich}, groups={1: 1, 2: 1}, **(FREE | fields))


def refused(v: SpotVenue, account: int, side: int, qty: int, px: int, **terms: int) -> list[int]:
    """Send an order that must be refused; return status, observed, limit, scope."""
    order = build.order(
        **(
            {
                "order_id": 1 << 40,
                "account_id": account,
                "instrument_id": SPOT,
                "side": side,
                "order_qty": qty,
                "px": px,
                "ord_type": OrdType.LIMIT,
                "tif": Tif.GTC,
            }
            | terms
        )
    )
    raw = bytes(v.engine.apply(order))
    v.check()
    assert raw[24] == 2, "the order was accepted"
    event = frames.unpack("tc_reject_event", raw)
    return [event[name] for name in ("status", "observed", "limit", "scope")]


def accepted(lines: list[str]) -> bool:
    return lines[0].startswith("ACCEPTED")


LEVELS = [
    pytest.param({"scope": 1, "account_id": 1}, 1, id="account"),
    pytest.param({"scope": 2, "group_id": 1}, 2, id="group"),
    pytest.param({"scope": 3}, 3, id="firm"),
]


@pytest.mark.parametrize(("node", "scope"), LEVELS)
def test_every_level_names_itself(node: dict[str, int], scope: int) -> None:
    v = venue()
    v.limits(QTY, max_order_qty=10, **node)
    assert accepted(v.order(1, BUY, 10, 90))
    assert refused(v, 1, BUY, 11, 90) == [305, 11, 10, scope]
    v.limits(QTY, max_order_qty=0, **node)
    v.limits(NOTIONAL, max_order_notional=900, **node)
    assert accepted(v.order(1, BUY, 10, 90))
    assert refused(v, 1, BUY, 10, 91) == [306, 910, 900, scope]
    v.limits(NOTIONAL, **node)
    v.limits(POSITION, max_position_qty=25, **node)
    assert accepted(v.order(1, BUY, 5, 90))  # 25 lots are working now
    assert refused(v, 1, BUY, 1, 90) == [311, 26, 25, scope]
    v.limits(POSITION, **node)
    v.limits(GROSS, max_gross_notional=2_400, **node)
    assert accepted(v.order(1, SELL, 1, 150))  # 2250 + 150
    assert refused(v, 1, SELL, 1, 200) == [312, 2_600, 2_400, scope]
    v.limits(GROSS, **node)
    v.limits(OPEN, max_open_orders=4, **node)
    assert refused(v, 1, BUY, 1, 90) == [310, 5, 4, scope]
    v.cancel(1, 1)
    assert accepted(v.order(1, BUY, 1, 90))


def test_the_account_is_asked_before_the_group_and_the_group_before_the_firm() -> None:
    v = venue()
    v.limits(QTY, scope=3, max_order_qty=5)
    v.limits(QTY, scope=2, group_id=1, max_order_qty=6)
    v.limits(QTY, account_id=1, max_order_qty=7)
    assert refused(v, 1, BUY, 8, 90) == [305, 8, 7, 1]
    assert refused(v, 1, BUY, 7, 90) == [305, 7, 6, 2]
    assert refused(v, 1, BUY, 6, 90) == [305, 6, 5, 3]
    assert refused(v, 3, BUY, 8, 90) == [305, 8, 5, 3]


def test_sums_of_a_group_count_all_its_accounts_also_from_before_the_limit() -> None:
    v = venue()
    v.order(1, BUY, 10, 90)
    v.order(2, BUY, 10, 90)
    v.order(3, SELL, 4, 90)  # account 1 holds 4 now
    v.limits(POSITION | GROSS, scope=2, group_id=1, max_position_qty=25, max_gross_notional=10_000)
    # 4 held + 6 + 10 working + 6 = 26.
    assert refused(v, 2, BUY, 6, 90) == [311, 26, 25, 2]
    assert accepted(v.order(2, BUY, 5, 90))
    # 21 working lots at 90 are 1890.
    assert refused(v, 1, SELL, 1, 8_111) == [312, 10_001, 10_000, 2]
    assert accepted(v.order(1, SELL, 1, 8_110))
    assert accepted(v.order(3, BUY, 90, 90))  # another group's business
    v.limits(OPEN, scope=2, group_id=1, max_open_orders=5)
    assert accepted(v.order(1, BUY, 1, 1)) is False
    v.cancel(2, 2)
    assert accepted(v.order(2, SELL, 1, 200))


def test_sums_follow_an_account_that_changes_its_group() -> None:
    v = venue()
    v.limits(POSITION, scope=2, group_id=2, max_position_qty=5)
    v.account(3, group=2)
    assert refused(v, 3, BUY, 6, 90) == [311, 6, 5, 2]
    assert accepted(v.order(3, BUY, 5, 90))
    v.cancel(3, 1)
    v.account(3)
    assert accepted(v.order(3, BUY, 6, 90))


def test_selling_what_is_held_is_no_new_position() -> None:
    v = venue()
    v.order(2, SELL, 10, 90)
    v.order(1, BUY, 10, 90)
    v.limits(POSITION, account_id=1, max_position_qty=4)
    assert refused(v, 1, BUY, 1, 90) == [311, 11, 4, 1]
    assert accepted(v.order(1, SELL, 14, 95))  # -10 + 14 = 4 short at most
    assert refused(v, 1, SELL, 1, 95) == [311, 5, 4, 1]


def test_the_collar_looks_at_the_losing_side_only() -> None:
    v = venue()
    v.limits(COLLAR, account_id=1, collar_ppm=50_000)
    assert accepted(v.order(1, BUY, 1, 5_000))  # no reference yet
    v.cancel(1, 1)
    v.admin(K.LAST_PRICE, instrument_id=SPOT, mark_px=101)
    # 5 % of 101 rounds down to 5.
    assert refused(v, 1, BUY, 1, 107) == [307, 107, 106, 1]
    assert refused(v, 1, SELL, 1, 95) == [307, 95, 96, 1]
    assert accepted(v.order(1, BUY, 1, 1))
    assert accepted(v.order(1, SELL, 1, 900))
    v.admin(K.MARK_PRICE, instrument_id=SPOT, mark_px=200)
    assert refused(v, 1, SELL, 1, 189) == [307, 189, 190, 1]


def test_identical_orders_are_counted_inside_the_window() -> None:
    v = venue()
    v.limits(DUPLICATE, account_id=1, duplicate_window_ns=100, duplicate_count=2)
    v.admin(K.TIME, ts_ns=1_000)
    assert accepted(v.order(1, BUY, 1, 90))
    assert accepted(v.order(1, BUY, 1, 90, ts_ns=1_050))
    assert refused(v, 1, BUY, 1, 90, ts_ns=1_099) == [308, 3, 2, 1]
    # Another order is remembered in its place, then the first one is new again.
    assert accepted(v.order(1, BUY, 1, 91))
    assert accepted(v.order(1, BUY, 1, 90))
    assert accepted(v.order(1, BUY, 1, 90, ts_ns=1_198))
    assert refused(v, 1, BUY, 1, 90) == [308, 3, 2, 1]
    # The window is over 100 ns after the first of the run, and refusals did not prolong it.
    assert accepted(v.order(1, BUY, 1, 90, ts_ns=1_199))


def test_messages_are_counted_by_a_token_bucket_on_log_time() -> None:
    v = venue()
    v.limits(RATE, account_id=1, rate_per_s=2, rate_burst=3, ts_ns=SECOND)
    for px in (90, 91, 92):
        assert accepted(v.order(1, BUY, 1, px))
    assert refused(v, 1, BUY, 1, 93) == [309, 0, SECOND, 1]
    # 0.4 s bring 0.8 messages.
    assert refused(v, 1, BUY, 1, 93, ts_ns=1_400_000_000) == [309, 800_000_000, SECOND, 1]
    assert accepted(v.order(1, BUY, 1, 93, ts_ns=1_500_000_000))
    # A replace that asks for more is a message, one that keeps its place is not, a cancel never.
    keep = build.replace(order_id=1, account_id=1, px=90)
    move = build.replace(order_id=1, account_id=1, px=95)
    assert v.send(keep) == ["REPLACED 1 buy 1@90 NO_CHANGE"]
    assert v.send(move) == [f"REPLACE_REJECTED REPLACE_ORDER MESSAGE_RATE 0/{SECOND}"]
    assert v.cancel(1, 2) == ["CANCELED 1 buy 0@91 CANCEL_REQUEST"]
    v.admin(K.TIME, ts_ns=2 * SECOND)
    assert v.send(move) == ["REPLACED 1 buy 1@95 OK"]
    assert refused(v, 1, BUY, 1, 93) == [309, 0, SECOND, 1]


def test_a_refused_order_takes_no_token() -> None:
    v = venue()
    v.limits(RATE | QTY, account_id=1, rate_per_s=1, rate_burst=1, max_order_qty=5)
    for _ in range(3):
        assert refused(v, 1, BUY, 6, 90)[0] == 305
    assert accepted(v.order(1, BUY, 5, 90))
    assert refused(v, 1, BUY, 5, 90)[0] == 309


def test_old_commands_are_stale() -> None:
    v = venue()
    v.limits(STALE, scope=3, stale_ns=50)
    v.admin(K.TIME, ts_ns=1_000)
    assert accepted(v.order(1, BUY, 1, 90, sent_ts_ns=950))
    assert refused(v, 1, BUY, 1, 90, sent_ts_ns=949) == [106, 51, 50, 3]
    assert accepted(v.order(1, BUY, 1, 90, sent_ts_ns=2_000))
    assert accepted(v.order(1, BUY, 1, 90))


def test_checks_come_in_the_order_of_the_table() -> None:
    """An order that breaks everything is refused for the first reason that is left."""
    v = venue()
    v.admin(K.LAST_PRICE, instrument_id=SPOT, mark_px=100)
    v.limits(RATE | DUPLICATE, account_id=1, rate_per_s=1, duplicate_window_ns=9, duplicate_count=1)
    huge = 200_000
    assert accepted(v.order(1, BUY, huge // 100_000, 101))  # takes the message
    v.limits(
        QTY | NOTIONAL | COLLAR | OPEN | POSITION | GROSS, account_id=1, max_order_qty=1,
        max_order_notional=1, collar_ppm=1, max_open_orders=1, max_position_qty=1,
        max_gross_notional=1,
    )  # fmt: skip
    steps = (
        (305, QTY), (306, NOTIONAL), (307, COLLAR), (309, RATE), (310, OPEN), (311, POSITION),
        (312, GROSS),
    )  # fmt: skip
    v.admin(K.KILL_SWITCH, scope=1, state=1, account_id=2)
    v.admin(K.RESTRICT, account_id=1, instrument_id=SPOT, state=1)
    assert refused(v, 1, BUY, huge, 101)[0] == 304
    v.admin(K.RESTRICT, account_id=1, instrument_id=SPOT, state=0)
    for status, mask in steps:
        assert refused(v, 1, BUY, huge, 101)[0] == status
        v.limits(mask, account_id=1)
    assert refused(v, 1, BUY, huge, 101)[0] == 313
    assert v.money(1, CASH)[1] == 202


def test_malformed_limits_change_nothing() -> None:
    v = venue()
    v.limits(QTY, account_id=1, max_order_qty=5)
    bad = (
        {"scope": 0}, {"scope": 4}, {"mask": 512}, {"max_order_qty": -1},
        {"max_gross_notional": (1 << 62) + 1}, {"stale_ns": 1 << 62}, {"scope": 2},
        {"scope": 3}, {"group_id": 1},
    )  # fmt: skip
    for fields in bad:
        given = {"account_id": 1, "mask": QTY, "max_order_qty": 9} | fields
        lines = v.limits(given.pop("mask"), **given)
        assert lines == ["REJECTED LIMITS BAD_FIELD 0/0"], fields
    assert v.limits(QTY, scope=2, group_id=4)[0] == "REJECTED LIMITS CAPACITY_GROUPS 4/4"
    assert v.limits(QTY, account_id=9)[0] == "REJECTED LIMITS UNKNOWN_ACCOUNT 0/0"
    assert refused(v, 1, BUY, 6, 90) == [305, 6, 5, 1]


def test_a_replace_counts_as_if_the_old_order_were_gone() -> None:
    v = venue()
    v.order(1, BUY, 10, 90)
    v.order(1, BUY, 5, 80)
    both = POSITION | GROSS
    v.limits(both, account_id=1, max_position_qty=20, max_gross_notional=1_400)

    def replace(**fields: int) -> list[str]:
        return v.send(build.replace(order_id=1, account_id=1, **fields))

    # 15 + 5 lots stay within 20; 15 at 67 are 1005, 400 work beside it.
    assert replace(order_qty=16, px=10) == ["REPLACE_REJECTED REPLACE_ORDER LIMIT_POSITION 21/20"]
    assert replace(order_qty=15, px=67) == [
        "REPLACE_REJECTED REPLACE_ORDER LIMIT_GROSS_NOTIONAL 1405/1400"
    ]
    assert replace(order_qty=15, px=66) == ["REPLACED 1 buy 15@66 OK"]
    v.limits(QTY | NOTIONAL, account_id=1, max_order_qty=15, max_order_notional=975)
    assert replace(px=65) == ["REPLACED 1 buy 15@65 OK"]
    assert replace(px=66) == ["REPLACE_REJECTED REPLACE_ORDER LIMIT_ORDER_NOTIONAL 990/975"]
    v.limits(both | QTY, account_id=1, max_order_qty=14)
    assert replace(px=64) == ["REPLACE_REJECTED REPLACE_ORDER LIMIT_ORDER_QTY 15/14"]
    # Less at the same price needs no permission.
    assert replace(order_qty=3) == ["REPLACED 1 buy 3@65 OK"]


@pytest.mark.parametrize("first", [1, 2])
def test_sums_survive_more_groups_than_the_engine_has_room_for(first: int) -> None:
    """Accounts that wander through groups leave empty sums; the full arena is added up anew.

    Whose position comes first decides where the firm's sums stand afterwards.
    """
    rich = (10_000, 100)
    v = SpotVenue(
        {1: rich, 2: rich}, capacities={"max_groups": 16, "max_positions": 2, "max_wallets": 9}
    )
    v.limits(POSITION, scope=3, max_position_qty=30)
    v.order(first, BUY, 1, 70)
    v.cancel(first, v.next_id)
    v.order(2, BUY, 7, 80)
    for group in range(1, 16):
        v.account(1, group=group)
        v.limits(POSITION, scope=2, group_id=group, max_position_qty=4)
        assert refused(v, 1, BUY, 5, 90) == [311, 5, 4, 2]
        assert accepted(v.order(1, BUY, 4, 90))
        assert refused(v, 2, BUY, 20, 90) == [311, 31, 30, 3]
        v.cancel(1, v.next_id)
