"""The liquidation state machine, step by step, with numbers worked out by hand.

Rules: docs/reference/margin.md section 5. Unless said otherwise account 1 is long 100 lots at 1000
with 20,000 in cash, 10 % initial and 5 % maintenance margin: its equity at mark p is 100 p - 80000,
its maintenance margin 5 p, so that liquidation starts below 842.1.
"""

from __future__ import annotations

from linear_venue import CASH, COIN, INSURANCE, OTHER, PERP, Venue
from tradecore.codes import CommandKind, MarginMode, Phase

BUY, SELL = 1, 2
REDUCE_ONLY = 2
RICH = 10_000_000


def long_venue(cash: int = 20_000, insurance: int = RICH, **fields: int) -> Venue:
    insurer = INSURANCE if insurance else 0
    v = Venue(
        {1: cash, 2: RICH, 3: RICH, INSURANCE: insurance}, insurance_account=insurer, **fields
    )
    v.mark(1000)
    v.trade(1, 2, 100, 1000)
    return v


def test_warning_then_reduce_only_then_back() -> None:
    # Initial margin 5.5 %, so that the warning (1.2 times maintenance) comes first.
    v = Venue({1: 10_000, 2: RICH}, tiers=[(0, 55_000, 50_000)])
    v.mark(1000)
    v.trade(1, 2, 100, 1000)
    assert v.mark(960) == []
    assert v.mark(957) == [
        "ACCOUNT_STATE 1 cross NORMAL > WARN eq 5700 im 5264 mm 4785 STATE_EQUITY"
    ]
    assert v.mark(956) == []
    assert v.mark(952) == [
        "ACCOUNT_STATE 1 cross WARN > REDUCE_ONLY eq 5200 im 5236 mm 4760 STATE_EQUITY"
    ]
    # Equity 5500 covers the initial margin again, but not 1.2 times maintenance.
    assert v.mark(955) == []
    assert v.mark(958) == [
        "ACCOUNT_STATE 1 cross REDUCE_ONLY > NORMAL eq 5800 im 5269 mm 4790 STATE_EQUITY"
    ]


def test_reduce_only_state_lets_only_reduce_only_orders_in() -> None:
    v = long_venue()
    assert v.mark(850)[-1] == (
        "ACCOUNT_STATE 1 cross WARN > REDUCE_ONLY eq 5000 im 8500 mm 4250 STATE_EQUITY"
    )
    assert v.order(1, SELL, 10, 850) == ["REJECTED NEW_ORDER ACCOUNT_REDUCE_ONLY 2/0"]
    assert v.order(1, BUY, 10, 850, flags=REDUCE_ONLY) == ["REJECTED NEW_ORDER REDUCE_ONLY 10/0"]
    assert v.order(1, SELL, 10, 850, flags=REDUCE_ONLY) == ["ACCEPTED 1 sell 10@850 OK"]


def test_deposit_ends_the_restriction() -> None:
    v = long_venue()
    v.mark(850)
    deposit = {"account_id": 1, "asset_id": CASH}
    assert v.admin(CommandKind.DEPOSIT, **deposit, amount=3499) == ["BALANCE 1 +3499 = 23499 OK"]
    assert v.admin(CommandKind.DEPOSIT, **deposit, amount=1) == [
        "BALANCE 1 +1 = 23500 OK",
        "ACCOUNT_STATE 1 cross REDUCE_ONLY > NORMAL eq 8500 im 8500 mm 4250 STATE_EQUITY",
    ]


def test_cancel_of_an_order_can_end_the_restriction() -> None:
    v = long_venue()
    v.order(1, BUY, 50, 800)
    # 15,000 of equity against 14,250 with the order; at 890: 9000 against 13,350.
    v.linear(PERP, insurance_account=INSURANCE, tiers=[(0, 100_000, 90_000)])
    assert v.mark(890)[-1] == (
        "ACCOUNT_STATE 1 cross WARN > REDUCE_ONLY eq 9000 im 13350 mm 8010 STATE_EQUITY"
    )
    v.admin(CommandKind.DEPOSIT, account_id=1, asset_id=CASH, amount=612)
    assert v.state(1) == "REDUCE_ONLY"
    cancel = {"kind": CommandKind.CANCEL_ORDER, "account_id": 1, "order_id": 3}
    assert v.send(**cancel) == [
        "CANCELED 1 buy 0@800 CANCEL_REQUEST",
        "ACCOUNT_STATE 1 cross REDUCE_ONLY > NORMAL eq 9612 im 8900 mm 8010 STATE_EQUITY",
    ]


def test_price_shock_is_closed_in_the_market() -> None:
    v = long_venue(liq_fee_ppm=10_000)
    v.order(1, BUY, 30, 830)
    v.order(1, SELL, 20, 1100)
    v.order(3, BUY, 60, 835)
    # Equity 4000 carries an initial margin of 3809, which is 45 lots: 55 must go, at 832 or better.
    # The fee is 1 % of 55 * 835 = 45,925.
    assert v.mark(840) == [
        "ACCOUNT_STATE 1 cross NORMAL > WARN eq 4000 im 10920 mm 4200 STATE_EQUITY",
        "ACCOUNT_STATE 1 cross WARN > REDUCE_ONLY eq 4000 im 10920 mm 4200 STATE_EQUITY",
        "ACCOUNT_STATE 1 cross REDUCE_ONLY > LIQ_CANCEL eq 4000 im 10920 mm 4200 STATE_EQUITY",
        "CANCELED 1 buy 0@830 LIQUIDATION_CLOSE",
        "CANCELED 1 sell 0@1100 LIQUIDATION_CLOSE",
        "ACCOUNT_STATE 1 cross LIQ_CANCEL > LIQ_REDUCE eq 4000 im 8400 mm 4200 STATE_DONE",
        "ACCEPTED 1 sell 55@832 OK",
        "FILL 1/3 sell 55@835 tL",
        "SETTLED 1 sell cash -9075 fee 0 qty 45 realised -9075",
        "SETTLED 3 buy cash 0 fee 0 qty 55 realised 0",
        "BALANCE 1 -459 = 10466 LIQUIDATION_FEE",
        "BALANCE 9 +459 = 10000459 LIQUIDATION_FEE",
    ]
    # 4000 - 55 * 5 - 459 = 3266 is less than 1.05 * 3780: the next mark brings a second round.
    assert v.state(1) == "LIQ_REDUCE"
    assert v.order(1, SELL, 1, 840, flags=REDUCE_ONLY) == ["REJECTED NEW_ORDER LIQUIDATION 4/0"]
    v.order(3, BUY, 100, 840)
    assert v.mark(840) == [
        "ACCEPTED 1 sell 8@824 OK",
        "FILL 1/3 sell 8@840 tL",
        "SETTLED 1 sell cash -1280 fee 0 qty 37 realised -1280",
        "SETTLED 3 buy cash 0 fee 0 qty 63 realised 0",
        "BALANCE 1 -67 = 9119 LIQUIDATION_FEE",
        "BALANCE 9 +67 = 10000526 LIQUIDATION_FEE",
    ]
    # 3199 against 1.05 * 3108 = 3263: a third round closes 1 lot (fee 8).
    assert v.mark(840)[-1] == (
        "ACCOUNT_STATE 1 cross LIQ_REDUCE > NORMAL eq 3191 im 3024 mm 1512 STATE_EQUITY"
    )


def test_five_rounds_in_a_widening_band_then_insurance() -> None:
    v = long_venue()
    v.order(3, BUY, 10, 820)
    assert v.mark(840)[-2:] == ["ACCEPTED 1 sell 55@832 OK", "EXPIRED 1 sell 0@832 IOC_REMAINDER"]
    assert v.mark(840) == ["ACCEPTED 1 sell 55@824 OK", "EXPIRED 1 sell 0@824 IOC_REMAINDER"]
    assert v.mark(840) == [
        "ACCEPTED 1 sell 55@815 OK",
        "FILL 1/3 sell 10@820 mL",
        "SETTLED 1 sell cash -1800 fee 0 qty 90 realised -1800",
        "SETTLED 3 buy cash 0 fee 0 qty 10 realised 0",
        "EXPIRED 1 sell 0@815 IOC_REMAINDER",
    ]
    # Equity 3800 carries 43 of the 90 lots.
    assert v.mark(840) == ["ACCEPTED 1 sell 47@807 OK", "EXPIRED 1 sell 0@807 IOC_REMAINDER"]
    assert v.mark(840) == [
        "ACCEPTED 1 sell 47@798 OK",
        "EXPIRED 1 sell 0@798 IOC_REMAINDER",
        "ACCOUNT_STATE 1 cross LIQ_REDUCE > BACKSTOP eq 3800 im 7560 mm 3780 STATE_DONE",
        "FILL 1/9 sell 90@840 L BACKSTOP",
        "SETTLED 1 sell cash -14400 fee 0 qty 0 realised -14400",
        "SETTLED 9 buy cash 0 fee 0 qty 90 realised 0",
        "BALANCE 1 -3800 = 0 BACKSTOP",
        "BALANCE 9 +3800 = 10003800 BACKSTOP",
        "ACCOUNT_STATE 1 cross BACKSTOP > NORMAL eq 0 im 0 mm 0 STATE_DONE",
    ]
    # What was given away is history: the account can begin again.
    v.admin(CommandKind.DEPOSIT, account_id=1, asset_id=CASH, amount=100)
    assert v.order(1, BUY, 1, 840) == ["ACCEPTED 1 buy 1@840 OK"]


def test_recovering_mark_ends_the_liquidation() -> None:
    v = long_venue()
    v.mark(840)
    assert v.mark(890) == ["ACCEPTED 1 sell 4@873 OK", "EXPIRED 1 sell 0@873 IOC_REMAINDER"]
    # 1.05 * im is 9408 at 896; equity 9600.
    assert v.mark(896) == [
        "ACCOUNT_STATE 1 cross LIQ_REDUCE > NORMAL eq 9600 im 8960 mm 4480 STATE_EQUITY"
    ]
    # A new liquidation starts again with the first band.
    assert v.mark(840)[-2] == "ACCEPTED 1 sell 55@832 OK"


def test_only_a_mark_brings_the_next_round() -> None:
    v = long_venue()
    v.mark(840)
    assert v.order(3, BUY, 60, 840) == ["ACCEPTED 3 buy 60@840 OK"]
    assert v.admin(CommandKind.TIME, ts_ns=10**9) == []
    assert v.mark(50, OTHER) == ["REJECTED MARK_PRICE UNKNOWN_INSTRUMENT 0/0"]
    assert v.mark(840)[1] == "FILL 1/3 sell 55@840 tL"


def test_halted_instrument_does_not_use_up_rounds() -> None:
    v = long_venue()
    v.engine.set_phase(PERP, Phase.HALTED)
    assert v.mark(840)[-1] == (
        "ACCOUNT_STATE 1 cross LIQ_CANCEL > LIQ_REDUCE eq 4000 im 8400 mm 4200 STATE_DONE"
    )
    for _ in range(6):
        assert v.mark(840) == []
    v.engine.set_phase(PERP, Phase.CONTINUOUS)
    assert v.mark(840) == ["ACCEPTED 1 sell 55@832 OK", "EXPIRED 1 sell 0@832 IOC_REMAINDER"]


def test_stale_mark_of_another_position_suspends_and_says_so_once() -> None:
    v = Venue({1: 20_000, 2: RICH, INSURANCE: RICH}, insurance_account=INSURANCE)
    v.linear(OTHER, mark_max_age_ms=1000)
    v.mark(1000)
    v.mark(100, OTHER, ts_ns=1)
    v.trade(1, 2, 100, 1000)
    v.trade(1, 2, 1, 100, OTHER)
    late = 1_000_000_002
    assert v.mark(840, ts_ns=late)[-1] == (
        "ACCOUNT_STATE 1 cross REDUCE_ONLY > REDUCE_ONLY eq 4000 im 8410 mm 4205 MARK_STALE"
    )
    assert v.mark(839) == []
    assert v.mark(100, OTHER)[0] == (
        "ACCOUNT_STATE 1 cross REDUCE_ONLY > LIQ_CANCEL eq 3900 im 8400 mm 4200 STATE_EQUITY"
    )
    # The exact age is still fresh.
    assert v.mark(839, ts_ns=late + 10**9)[0].startswith("ACCEPTED 1 sell")
    assert v.mark(839, ts_ns=late + 10**9 + 1) == [
        "ACCOUNT_STATE 1 cross LIQ_REDUCE > LIQ_REDUCE eq 3900 im 8400 mm 4200 MARK_STALE"
    ]


def test_fee_takes_no_more_than_the_pool_has() -> None:
    v = long_venue(liq_fee_ppm=100_000)
    v.order(3, BUY, 100, 805)
    # Equity 500 at 805 carries 5 lots (1.05 * 403 = 423.15). 10 % of 95 * 805 would be 7647.
    assert v.mark(805)[-3:] == [
        "SETTLED 3 buy cash 0 fee 0 qty 95 realised 0",
        "BALANCE 1 -500 = 975 LIQUIDATION_FEE",
        "BALANCE 9 +500 = 10000500 LIQUIDATION_FEE",
    ]
    assert v.state(1) == "LIQ_REDUCE"


def test_debt_after_a_close_in_the_market_goes_to_insurance() -> None:
    v = long_venue()
    v.order(3, BUY, 100, 789)
    # Bought back 11 below bankruptcy: 1100 are missing.
    assert v.mark(789)[-5:] == [
        "SETTLED 3 buy cash 0 fee 0 qty 100 realised 0",
        "ACCOUNT_STATE 1 cross LIQ_REDUCE > BACKSTOP eq -1100 im 0 mm 0 STATE_DONE",
        "BALANCE 1 +1100 = 0 BACKSTOP",
        "BALANCE 9 -1100 = 9998900 BACKSTOP",
        "ACCOUNT_STATE 1 cross BACKSTOP > NORMAL eq 0 im 0 mm 0 STATE_DONE",
    ]


def test_debt_that_nobody_takes_stays_until_it_is_paid() -> None:
    v = long_venue(insurance=0)
    v.order(3, BUY, 100, 789)
    assert v.mark(789)[-1] == (
        "ACCOUNT_STATE 1 cross LIQ_REDUCE > BACKSTOP eq -1100 im 0 mm 0 STATE_DONE"
    )
    assert v.order(1, BUY, 1, 789) == ["REJECTED NEW_ORDER LIQUIDATION 5/0"]
    deposit = {"account_id": 1, "asset_id": CASH}
    assert v.admin(CommandKind.DEPOSIT, **deposit, amount=1099) == ["BALANCE 1 +1099 = -1 OK"]
    assert v.admin(CommandKind.DEPOSIT, **deposit, amount=1)[1] == (
        "ACCOUNT_STATE 1 cross BACKSTOP > NORMAL eq 0 im 0 mm 0 STATE_EQUITY"
    )


def test_isolated_liquidation_leaves_wallet_and_other_orders_alone() -> None:
    v = Venue({1: 50_000, 2: RICH, 3: RICH, INSURANCE: RICH}, insurance_account=INSURANCE)
    v.linear(OTHER)
    v.mark(1000)
    v.mark(100, OTHER)
    v.admin(CommandKind.MARGIN_MODE, account_id=1, instrument_id=PERP, state=MarginMode.ISOLATED)
    v.trade(1, 2, 100, 1000)
    v.order(1, BUY, 5, 100, OTHER)
    v.order(1, BUY, 5, 940)
    assert (v.wallet(1).total, v.position(1).iso_margin) == (40_000, 10_000)
    # Inside: 10,000 + 100 (p - 1000); maintenance 5 p; liquidation below 947.4.
    lines = v.mark(945)
    assert lines[:5] == [
        "ACCOUNT_STATE 1 isolated 1 NORMAL > WARN eq 4500 im 9450 mm 4725 STATE_EQUITY",
        "ACCOUNT_STATE 1 isolated 1 WARN > REDUCE_ONLY eq 4500 im 9450 mm 4725 STATE_EQUITY",
        "ACCOUNT_STATE 1 isolated 1 REDUCE_ONLY > LIQ_CANCEL eq 4500 im 9450 mm 4725 STATE_EQUITY",
        "CANCELED 1 buy 0@940 LIQUIDATION_CLOSE",
        "ACCOUNT_STATE 1 isolated 1 LIQ_CANCEL > LIQ_REDUCE eq 4500 im 9450 mm 4725 STATE_DONE",
    ]
    for _ in range(3):
        v.mark(890)
    assert v.mark(890)[2:] == [
        "ACCOUNT_STATE 1 isolated 1 LIQ_REDUCE > BACKSTOP eq -1000 im 8900 mm 4450 STATE_DONE",
        "FILL 1/9 sell 100@890 L BACKSTOP",
        "SETTLED 1 sell cash -11000 fee 0 qty 0 realised -11000",
        "SETTLED 9 buy cash 0 fee 0 qty 100 realised 0",
        "BALANCE 1 +1000 = 0 BACKSTOP",
        "BALANCE 9 -1000 = 9999000 BACKSTOP",
        "ACCOUNT_STATE 1 isolated 1 BACKSTOP > NORMAL eq 0 im 0 mm 0 STATE_DONE",
    ]
    # The wallet lost the position's margin and nothing else; the other instrument's order lives.
    assert (v.wallet(1).total, v.state(1), v.position(1, OTHER).open_buy) == (40_000, "NORMAL", 5)


def test_isolated_close_in_the_market_returns_what_is_left() -> None:
    v = Venue({1: 50_000, 2: RICH, 3: RICH, INSURANCE: RICH}, insurance_account=INSURANCE)
    v.mark(1000)
    v.admin(CommandKind.MARGIN_MODE, account_id=1, instrument_id=PERP, state=MarginMode.ISOLATED)
    v.trade(1, 2, 100, 1000)
    v.order(3, BUY, 100, 905)
    # Equity 500 carries no more than 5 of the 100 lots (1.05 * 453 = 475.65): 95 go at 905.
    assert v.mark(905)[-4:] == [
        "FILL 1/3 sell 95@905 tL",
        "SETTLED 1 sell cash -9025 fee 0 qty 5 realised -9025",
        "SETTLED 3 buy cash 0 fee 0 qty 95 realised 0",
        "ACCOUNT_STATE 1 isolated 1 LIQ_REDUCE > NORMAL eq 500 im 453 mm 227 STATE_EQUITY",
    ]
    assert (v.wallet(1).total, v.position(1).iso_margin) == (40_000, 975)
    v.order(1, SELL, 5, 905)
    assert (v.wallet(1).total, v.position(1).iso_margin) == (40_500, 0)


def test_victims_go_in_account_order_cross_before_isolated() -> None:
    v = Venue({4: 20_000, 1: 20_000, 3: 20_000, 2: RICH}, tiers=[(0, 100_000, 50_000)])
    v.linear(OTHER)
    v.mark(1000)
    v.mark(1000, OTHER)
    v.admin(CommandKind.MARGIN_MODE, account_id=3, instrument_id=PERP, state=MarginMode.ISOLATED)
    for account in (4, 3, 1):
        v.trade(account, 2, 50, 1000)
        v.trade(account, 2, 50, 1000, OTHER)
    v.mark(870, OTHER)
    lines = [x.split(" eq ")[0] for x in v.mark(800) if "NORMAL > WARN" in x]
    assert lines == [
        "ACCOUNT_STATE 1 cross NORMAL > WARN",
        "ACCOUNT_STATE 3 isolated 1 NORMAL > WARN",
        "ACCOUNT_STATE 4 cross NORMAL > WARN",
    ]


def test_insurance_account_is_never_liquidated() -> None:
    v = long_venue(insurance=1000)
    v.order(3, BUY, 1, 1)
    for _ in range(5):
        v.mark(805)
    assert (v.position(INSURANCE).qty, v.wallet(INSURANCE).total) == (100, 1500)
    assert v.mark(700) == []
    assert (v.wallet(INSURANCE).total + v.wallet(INSURANCE).upnl, v.state(INSURANCE)) == (
        -9000,
        "NORMAL",
    )


def test_stops_that_the_liquidation_triggers_trade_after_its_fee() -> None:
    v = long_venue(liq_fee_ppm=10_000)
    v.trade(3, 2, 5, 1000)
    v.engine.stop(3, PERP, SELL, 835, 5, px=830)
    v.order(2, BUY, 100, 835)
    assert v.mark(840)[-9:] == [
        "FILL 1/2 sell 55@835 tL",
        "SETTLED 1 sell cash -9075 fee 0 qty 45 realised -9075",
        "SETTLED 2 buy cash 9075 fee 0 qty -50 realised 9075",
        "BALANCE 1 -459 = 10466 LIQUIDATION_FEE",
        "BALANCE 9 +459 = 10000459 LIQUIDATION_FEE",
        "TRIGGERED 3 sell 5@830 OK",
        "FILL 3/2 sell 5@835 t",
        "SETTLED 3 sell cash -825 fee 0 qty 0 realised -825",
        "SETTLED 2 buy cash 825 fee 0 qty -45 realised 825",
    ]


def test_closing_orders_have_engine_ids_and_are_unreachable() -> None:
    v = long_venue()
    v.mark(840)
    events = v.engine.admin(CommandKind.MARK_PRICE, instrument_id=PERP, mark_px=840)
    assert int(events[0]["order_id"]) == (1 << 63) + 2
    assert v.send(kind=CommandKind.CANCEL_ORDER, account_id=1, order_id=(1 << 63) + 2)[
        0
    ].startswith("REJECTED CANCEL_ORDER BAD_FIELD")


def test_liquidation_takes_spot_purchases_back_but_not_sales() -> None:
    v = long_venue()
    v.engine.define_instrument(3, base_asset=COIN, quote_asset=CASH)
    v.engine.deposit(1, COIN, 10)
    v.order(1, BUY, 10, 10, 3)
    v.order(1, SELL, 10, 12, 3)
    lines = v.mark(840)
    assert [x for x in lines if x.startswith("CANCELED")] == [
        "CANCELED 1 buy 0@10 LIQUIDATION_CLOSE"
    ]
    assert v.wallet(1).hold == 8400
    assert len(v.engine.book(3).asks) == 1


def test_kill_switch_does_not_stop_a_liquidation() -> None:
    v = long_venue()
    v.order(3, BUY, 60, 840)
    v.admin(CommandKind.KILL_SWITCH, scope=1, account_id=1, state=1)
    assert v.mark(840)[-1] == (
        "ACCOUNT_STATE 1 cross LIQ_REDUCE > NORMAL eq 4000 im 3780 mm 1890 STATE_EQUITY"
    )
    assert v.order(1, BUY, 1, 840, instrument_id=PERP) == ["REJECTED NEW_ORDER KILLED_ACCOUNT 0/0"]
