"""Commands on accounts: who exists, money in and out, switches, restrictions.

Rules: docs/reference/accounts.md section 2; every refusal names what it saw and what the rule says.
"""

from __future__ import annotations

from spot_venue import ANY, BUY, CASH, COIN, SELL, SPOT, SpotVenue
from tradecore.codes import CommandKind as K
from tradecore.engine import Engine
from tradecore.testing import build

TOP = 1 << 62


def test_accounts_open_once_and_change_groups_only_while_idle() -> None:
    v = SpotVenue({1: (1_000, 10), 2: (1_000, 10)})
    assert v.account(31) == ["DONE ACCOUNT OK 0/0"]
    assert v.admin(K.ACCOUNT, account_id=32) == ["REJECTED ACCOUNT CAPACITY_ACCOUNTS 32/32"]
    assert v.admin(K.ACCOUNT, account_id=1, group_id=4) == ["REJECTED ACCOUNT CAPACITY_GROUPS 4/4"]
    assert v.account(1, group=3) == ["DONE ACCOUNT OK 0/0"]
    v.order(1, SELL, 2, 100)
    assert v.account(1, group=2) == ["REJECTED ACCOUNT BAD_FIELD 3/2"]
    assert v.account(1, group=3, trade_group=7) == ["DONE ACCOUNT OK 0/0"]
    v.order(2, BUY, 2, 100)
    # No order is left, but the account is short two lots now.
    assert v.account(1, group=2) == ["REJECTED ACCOUNT BAD_FIELD 3/2"]
    v.order(2, SELL, 2, 100)
    v.order(1, BUY, 2, 100)
    assert v.account(1, group=2) == ["DONE ACCOUNT OK 0/0"]


def test_deposits_have_a_ceiling_and_withdrawals_stop_at_the_hold() -> None:
    v = SpotVenue({1: (0, 0), 2: (0, 0)})
    assert v.deposit(1, CASH, 1_500) == ["BALANCE 1 +1500 = 1500 OK"]
    assert v.deposit(1, CASH, 0) == ["REJECTED DEPOSIT BAD_FIELD 0/0"]
    assert v.deposit(1, CASH, TOP) == [f"REJECTED DEPOSIT BALANCE_OVERFLOW {TOP}/{TOP}"]
    assert v.deposit(2, CASH, TOP) == [f"REJECTED DEPOSIT BALANCE_OVERFLOW {TOP}/{TOP}"]
    assert v.deposit(2, CASH, TOP - 1_500) == [f"BALANCE 2 +{TOP - 1500} = {TOP - 1500} OK"]
    assert v.admin(K.DEPOSIT, account_id=9, amount=1) == ["REJECTED DEPOSIT UNKNOWN_ACCOUNT 0/0"]
    assert v.deposit(1, 3, 1) == ["REJECTED DEPOSIT CAPACITY_ASSETS 3/3"]
    v.order(1, BUY, 10, 100)  # holds 1003
    assert v.admin(K.WITHDRAW, account_id=1, amount=498) == [
        "REJECTED WITHDRAW INSUFFICIENT_FUNDS 498/497"
    ]
    assert v.admin(K.WITHDRAW, account_id=1, amount=497) == ["BALANCE 1 -497 = 1003 OK"]
    assert v.admin(K.WITHDRAW, account_id=1, asset_id=2, amount=1) == [
        "REJECTED WITHDRAW INSUFFICIENT_FUNDS 1/0"
    ]


def test_a_transfer_is_two_movements_or_none() -> None:
    v = SpotVenue({1: (100, 0), 2: (0, 0)})
    move = {"account_id": 1, "contra_account_id": 2}
    assert v.admin(K.TRANSFER, amount=101, **move) == [
        "REJECTED TRANSFER INSUFFICIENT_FUNDS 101/100"
    ]
    assert v.admin(K.TRANSFER, amount=40, **move) == [
        "BALANCE 1 -40 = 60 OK",
        "BALANCE 2 +40 = 40 OK",
    ]
    assert v.admin(K.TRANSFER, amount=1, account_id=1, contra_account_id=1) == [
        "REJECTED TRANSFER BAD_FIELD 0/0"
    ]
    assert v.admin(K.TRANSFER, amount=1, account_id=1, contra_account_id=5) == [
        "REJECTED TRANSFER UNKNOWN_ACCOUNT 0/0"
    ]


def test_kill_switches_cancel_their_scope_and_keep_it_out() -> None:
    v = SpotVenue({1: (9_000, 50), 2: (9_000, 50), 3: (9_000, 50)}, groups={1: 1, 2: 1})

    def quotes() -> None:
        for account in (3, 1, 2):
            v.order(account, BUY, 1, 90)

    quotes()  # ids 1 (account 3), 2, 3
    assert v.admin(K.KILL_SWITCH, scope=1, state=1, account_id=2) == [
        "CANCELED 2 buy 0@90 KILL_SWITCH",
        "DONE KILL_SWITCH OK 0/0",
    ]
    assert v.order(2, BUY, 1, 90) == ["REJECTED NEW_ORDER KILLED_ACCOUNT 0/0"]
    v.admin(K.KILL_SWITCH, scope=1, state=0, account_id=2)
    v.order(2, BUY, 1, 91)
    assert v.admin(K.KILL_SWITCH, scope=2, state=1, group_id=1) == [
        "CANCELED 1 buy 0@90 KILL_SWITCH",
        "CANCELED 2 buy 0@91 KILL_SWITCH",
        "DONE KILL_SWITCH OK 0/0",
    ]
    assert v.order(1, BUY, 1, 90) == ["REJECTED NEW_ORDER KILLED_GROUP 0/0"]
    assert v.admin(K.KILL_SWITCH, scope=3, state=1) == [
        "CANCELED 3 buy 0@90 KILL_SWITCH",
        "DONE KILL_SWITCH OK 0/0",
    ]
    # The firm comes first, whatever else is off.
    assert v.order(1, BUY, 1, 90) == ["REJECTED NEW_ORDER KILLED_FIRM 0/0"]
    v.admin(K.KILL_SWITCH, scope=3, state=0)
    v.admin(K.KILL_SWITCH, scope=2, state=0, group_id=1)
    assert v.order(1, BUY, 1, 90) == ["ACCEPTED 1 buy 1@90 OK"]
    for bad in ({"scope": 4}, {"scope": 3, "account_id": 1}, {"scope": 1, "group_id": 1}):
        assert v.admin(K.KILL_SWITCH, state=1, **bad)[-1] == "REJECTED KILL_SWITCH BAD_FIELD 0/0"
    assert v.admin(K.KILL_SWITCH, scope=2, state=1) == ["REJECTED KILL_SWITCH CAPACITY_GROUPS 0/4"]


def test_an_account_that_joins_a_killed_group_is_out_and_back_in_when_it_leaves() -> None:
    v = SpotVenue({1: (9_000, 50), 2: (9_000, 50)}, groups={2: 1})
    v.order(1, BUY, 1, 90)  # account 1 has a position from here on
    v.send(build.cancel(order_id=1, account_id=1))
    v.admin(K.KILL_SWITCH, scope=2, state=1, group_id=1)
    assert v.order(1, BUY, 1, 90) == ["ACCEPTED 1 buy 1@90 OK"]
    v.send(build.cancel(order_id=2, account_id=1))
    assert v.admin(K.ACCOUNT, account_id=1, group_id=1) == ["DONE ACCOUNT OK 0/0"]
    assert v.order(1, BUY, 1, 90) == ["REJECTED NEW_ORDER KILLED_GROUP 0/0"]
    assert v.admin(K.ACCOUNT, account_id=1) == ["DONE ACCOUNT OK 0/0"]
    assert v.order(1, BUY, 1, 90) == ["ACCEPTED 1 buy 1@90 OK"]


def test_restrictions_are_of_one_account_or_of_all() -> None:
    v = SpotVenue({1: (9_000, 50), 2: (9_000, 50)})
    v.order(1, BUY, 1, 90)
    here = {"instrument_id": SPOT}
    assert v.admin(K.RESTRICT, account_id=1, state=1, **here) == ["DONE RESTRICT OK 0/0"]
    assert v.order(1, BUY, 1, 90) == ["REJECTED NEW_ORDER RESTRICTED 0/0"]
    assert v.send(build.replace(order_id=1, account_id=1, px=91)) == [
        "REPLACE_REJECTED REPLACE_ORDER RESTRICTED 0/0"
    ]
    assert v.order(2, BUY, 1, 90) == ["ACCEPTED 2 buy 1@90 OK"]
    assert v.admin(K.RESTRICT, account_id=ANY, state=1, **here) == ["DONE RESTRICT OK 0/0"]
    v.admin(K.RESTRICT, account_id=1, state=0, **here)
    assert v.order(2, BUY, 1, 90) == ["REJECTED NEW_ORDER RESTRICTED 0/0"]
    assert v.cancel(1, 1) == ["CANCELED 1 buy 0@90 CANCEL_REQUEST"]
    v.admin(K.RESTRICT, account_id=ANY, state=0, **here)
    assert v.order(1, BUY, 1, 90) == ["ACCEPTED 1 buy 1@90 OK"]
    assert v.admin(K.RESTRICT, account_id=1, instrument_id=3, state=1) == [
        "REJECTED RESTRICT UNKNOWN_INSTRUMENT 0/0"
    ]


def test_a_trade_group_is_one_owner_for_self_trade_prevention() -> None:
    v = SpotVenue({1: (9_000, 50), 2: (9_000, 50), 3: (9_000, 50)})
    v.account(1, trade_group=8)
    v.account(2, trade_group=8)
    v.order(1, SELL, 1, 100)
    v.order(3, SELL, 1, 100)
    assert v.order(2, BUY, 1, 100, stp=2)[1:3] == [
        "EXPIRED 1 sell 0@100 STP",
        "FILL 2/3 buy 1@100 tm",
    ]


def test_slots_run_out_with_a_status_and_without_a_trace() -> None:
    v = SpotVenue({1: (0, 0)}, capacities={"max_wallets": 1, "max_positions": 1})
    v.account(2)
    v.deposit(1, CASH, 1_000)
    assert v.deposit(2, CASH, 5) == ["REJECTED DEPOSIT CAPACITY_WALLETS 1/1"]
    assert v.admin(K.TRANSFER, account_id=1, contra_account_id=2, amount=5) == [
        "REJECTED TRANSFER CAPACITY_WALLETS 1/1"
    ]
    # The coin's wallet would have to come into being with the order.
    assert v.order(1, BUY, 1, 100) == ["REJECTED NEW_ORDER CAPACITY_WALLETS 1/1"]
    v = SpotVenue({1: (500, 0), 2: (500, 0)}, capacities={"max_wallets": 9, "max_positions": 1})
    assert v.order(1, BUY, 1, 100) == ["ACCEPTED 1 buy 1@100 OK"]
    assert v.order(2, BUY, 1, 100) == ["REJECTED NEW_ORDER CAPACITY_POSITIONS 1/1"]
    assert v.money(2) == (500, 0)


def test_rates_are_state_for_reports() -> None:
    v = SpotVenue({1: (0, 0)})
    assert v.admin(K.RATE, asset_id=COIN, amount=5 * 10**9) == ["DONE RATE OK 0/0"]
    assert v.admin(K.RATE, asset_id=3, amount=1) == ["REJECTED RATE CAPACITY_ASSETS 3/3"]


def test_without_accounts_money_is_refused() -> None:
    engine = Engine(max_instruments=2, max_orders=16)
    for kind in (K.DEPOSIT, K.ACCOUNT, K.KILL_SWITCH):
        event = engine.admin(kind)[0]
        assert (int(event["kind"]), int(event["status"])) == (2, 300)
