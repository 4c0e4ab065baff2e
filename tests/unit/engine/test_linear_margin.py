"""Margin and settlement of linear instruments: every number below is worked out by hand.

Rules: docs/reference/margin.md. The usual venue has 10 % initial and 5 % maintenance margin,
multiplier 1 and no fees, so that one lot at mark 100 needs 10.
"""

from __future__ import annotations

import pytest

from linear_venue import ANY, CASH, COIN, OTHER, PERP, Venue
from tradecore.codes import CommandKind, MarginMode

BUY, SELL = 1, 2
REDUCE_ONLY = 2


def test_order_without_mark_is_refused() -> None:
    v = Venue({1: 1000})
    assert v.order(1, BUY, 1, 100) == ["REJECTED NEW_ORDER NO_MARK 100/0"]


def test_market_order_needs_a_protective_price() -> None:
    v = Venue({1: 1000})
    v.mark(100)
    assert v.order(1, BUY, 1, 0, ord_type=1, tif=3) == ["REJECTED NEW_ORDER NEEDS_PRICE 0/0"]


def test_notional_beyond_2_56_is_refused() -> None:
    v = Venue({1: 1000})
    v.mark(1 << 30)
    assert v.order(1, BUY, (1 << 26) + 1, 1) == [
        f"REJECTED NEW_ORDER NOTIONAL_OVERFLOW {(1 << 56) + (1 << 30)}/{1 << 56}"
    ]
    # The extreme corner of every field is answered, not wrapped.
    assert v.order(1, SELL, 1 << 56, 1 << 56) == [
        f"REJECTED NEW_ORDER NOTIONAL_OVERFLOW {(1 << 63) - 1}/{1 << 56}"
    ]


def test_initial_margin_must_be_covered_exactly() -> None:
    v = Venue({1: 1000})
    v.mark(100)
    assert v.order(1, BUY, 101, 100) == ["REJECTED NEW_ORDER INSUFFICIENT_FUNDS 1010/1000"]
    assert v.order(1, BUY, 100, 100) == ["ACCEPTED 1 buy 100@100 OK"]
    assert v.wallet(1).hold == 1000
    # The other side needs nothing more: only the worse of the two can become a position.
    assert v.order(1, SELL, 100, 120) == ["ACCEPTED 1 sell 100@120 OK"]
    assert v.wallet(1).hold == 1000


def test_hold_counts_fees_and_the_loss_against_the_mark() -> None:
    v = Venue({1: 1000}, maker_fee_ppm=-100, taker_fee_ppm=2500)
    v.mark(100)
    # 10 lots at 104: fee bound floor(1040 * 0.25 %) = 2, adverse 4 a lot = 40, margin 100.
    v.order(1, BUY, 10, 104)
    assert v.wallet(1).hold == 142
    # A sale above the mark: fee bound floor(1050 * 0.25 %) = 2, nothing adverse, no more margin.
    v.order(1, SELL, 10, 105)
    assert v.wallet(1).hold == 142 + 2
    v.admin(CommandKind.MASS_CANCEL, account_id=ANY, instrument_id=ANY)
    assert v.wallet(1).hold == 0


def test_tiers_charge_each_slice_at_its_own_rate() -> None:
    # The published example: 25 units in slices of 10, 10 and 5 at 1 %, 2 % and 3 % need 0.45.
    tiers = [(10_000, 20_000, 10_000), (20_000, 40_000, 20_000), (30_000, 60_000, 30_000)]
    v = Venue({1: 10_000, 2: 10_000}, tiers=tiers)
    v.mark(100)
    v.trade(1, 2, 250, 100)
    assert (v.position(1).maintenance_margin, v.position(1).initial_margin) == (450, 900)
    assert v.position(2).maintenance_margin == 450
    # Above the last bound its rates go on: 30,000 give 600, another 5,000 at 3 % make 750.
    v.mark(140)
    assert v.position(1).maintenance_margin == 750


def test_margin_is_rounded_up_once() -> None:
    tiers = [(1000, 1, 1), (0, 2, 1)]
    v = Venue({1: 10_000, 2: 10_000}, tiers=tiers)
    v.mark(1001)
    v.trade(1, 2, 1, 1001)
    # 1000 * 1 ppm + 1 * 2 ppm = 0.001002: one unit, not two.
    assert v.position(1).initial_margin == 1


def test_average_cost_realised_and_the_turn_through_zero() -> None:
    v = Venue({1: 100_000, 2: 100_000, 3: 100_000})
    v.mark(100)
    v.trade(1, 2, 3, 100)
    v.trade(1, 2, 4, 101)
    assert v.position(1).cost == 704
    # Closing 2 of 7 removes trunc(704 * 2 / 7) = 201 and realises 2 * 99 - 201 = -3.
    v.order(3, BUY, 2, 99)
    assert v.order(1, SELL, 2, 99)[2] == "SETTLED 1 sell cash -3 fee 0 qty 5 realised -3"
    assert v.position(1).cost == 503
    # Selling 8 closes 5 (cost 503) at 102 and opens 3 short at 102.
    v.order(3, BUY, 8, 102)
    assert v.order(1, SELL, 8, 102)[2] == "SETTLED 1 sell cash 7 fee 0 qty -3 realised 7"
    assert (v.position(1).qty, v.position(1).cost, v.position(1).realised) == (-3, -306, 4)
    assert v.wallet(1).total == 100_004
    # A short that is bought back higher loses.
    v.order(3, SELL, 3, 110)
    assert v.order(1, BUY, 3, 110)[2] == "SETTLED 1 buy cash -24 fee 0 qty 0 realised -24"
    assert v.position(1).cost == 0


def test_multiplier_scales_cash() -> None:
    v = Venue({1: 100_000, 2: 100_000}, multiplier=7)
    v.mark(100)
    v.trade(1, 2, 3, 100)
    assert (v.position(1).cost, v.position(1).initial_margin) == (2100, 210)
    v.mark(110)
    assert (v.position(1).upnl, v.position(2).upnl) == (210, -210)
    assert v.wallet(1).available == 100_000 + 210 - 231


def test_fees_of_an_order_are_one_floor() -> None:
    v = Venue({1: 100_000, 2: 100_000}, maker_fee_ppm=500, taker_fee_ppm=500)
    v.mark(100)
    v.order(2, SELL, 3, 100)
    # 3 fills of 100 at 0.05 %: 0.05 each, so the first 19 cost nothing and the 20th one unit.
    lines = []
    for _ in range(3):
        lines += [x for x in v.order(1, BUY, 1, 100) if x.startswith("SETTLED 2")]
    assert [x.split(" fee ")[1].split()[0] for x in lines] == ["0", "0", "0"]
    v.order(2, SELL, 40, 100)
    fee = [v.order(1, BUY, 10, 100) for _ in range(4)]
    # The maker's order: 0.5 a fill, carried over: 0, 1, 0, 1. Each taker is an order of its own: 0.
    assert [f[3].split(" fee ")[1].split()[0] for f in fee] == ["0", "1", "0", "1"]
    assert [f[2].split(" fee ")[1].split()[0] for f in fee] == ["0", "0", "0", "0"]


def test_mark_moves_unrealised_and_margin() -> None:
    v = Venue({1: 1000, 2: 10_000})
    v.mark(100)
    v.trade(1, 2, 50, 100)
    v.mark(120)
    w = v.wallet(1)
    assert (w.upnl, w.hold, w.maintenance_margin, w.available) == (1000, 600, 300, 1400)
    # Open profit may carry new positions, but cannot be taken out.
    assert v.admin(CommandKind.WITHDRAW, account_id=1, asset_id=CASH, amount=401) == [
        "REJECTED WITHDRAW INSUFFICIENT_FUNDS 401/400"
    ]
    assert v.order(1, BUY, 117, 120) == ["REJECTED NEW_ORDER INSUFFICIENT_FUNDS 1404/1400"]
    assert v.order(1, BUY, 116, 120)[0] == "ACCEPTED 1 buy 116@120 OK"


def test_change_of_tiers_revalues_positions_at_once() -> None:
    v = Venue({1: 1000, 2: 10_000})
    v.mark(100)
    v.trade(1, 2, 50, 100)
    assert v.linear(PERP, tiers=[(0, 200_000, 190_000)])[0] == "DONE INSTRUMENT OK 0/0"
    assert (v.wallet(1).hold, v.wallet(1).maintenance_margin) == (1000, 950)
    assert v.state(1) == "WARN"


@pytest.mark.parametrize(("qty", "px", "fine"), [(50, 80, True), (50, 79, False), (10, 40, True)])
def test_reduce_only_order_is_paid_by_the_margin_it_frees(qty: int, px: int, fine: bool) -> None:
    v = Venue({1: 1000, 2: 10_000})
    v.mark(100)
    v.trade(1, 2, 50, 100)
    v.order(1, BUY, 50, 100)
    assert v.wallet(1).available == 0
    # 50 lots at 80 lose 1000 against the mark; closing frees 500; available is 0: refused.
    lines = v.order(1, SELL, qty, px, flags=REDUCE_ONLY)
    assert lines == [f"REJECTED NEW_ORDER INSUFFICIENT_FUNDS {qty * (100 - px)}/{qty * 10}"]
    v.admin(CommandKind.MASS_CANCEL, account_id=1, instrument_id=ANY)
    # Now 500 are available as well: a full close may lose all of the equity and no more.
    lines = v.order(1, SELL, qty, px, flags=REDUCE_ONLY)
    if fine:
        assert lines == [f"ACCEPTED 1 sell {qty}@{px} OK"]
    else:
        assert lines == [
            f"REJECTED NEW_ORDER INSUFFICIENT_FUNDS {qty * (100 - px)}/{500 + qty * 10}"
        ]


def test_replace_is_checked_against_what_the_order_holds() -> None:
    v = Venue({1: 1000})
    v.mark(100)
    v.order(1, BUY, 60, 100)
    replace = CommandKind.REPLACE_ORDER
    lines = v.send(kind=replace, account_id=1, order_id=1, order_qty=101)
    assert lines == ["REPLACE_REJECTED REPLACE_ORDER INSUFFICIENT_FUNDS 410/400"]
    assert v.send(kind=replace, account_id=1, order_id=1, order_qty=100) == [
        "REPLACED 1 buy 100@100 OK"
    ]
    assert v.wallet(1).hold == 1000
    assert v.send(kind=replace, account_id=1, order_id=1, order_qty=50, px=101) == [
        "REPLACED 1 buy 50@101 OK"
    ]
    assert v.wallet(1).hold == 550
    v.mark(110)
    # The margin follows the mark, the order's own hold does not.
    assert v.wallet(1).hold == 550 + 50


def test_two_instruments_share_one_cross_pool() -> None:
    v = Venue({1: 1000, 2: 10_000})
    v.linear(OTHER, base_asset=COIN)
    v.mark(100)
    v.mark(50, OTHER)
    v.trade(1, 2, 50, 100)
    v.trade(1, 2, 100, 50, OTHER)
    assert v.wallet(1).available == 0
    v.mark(104)
    v.mark(49, OTHER)
    # Profit 200 on one, loss 100 on the other; margins 520 and 490.
    w = v.wallet(1)
    assert (w.upnl, w.initial_margin, w.maintenance_margin) == (100, 1010, 505)
    assert w.available == 90


def test_isolated_mode_needs_a_flat_position() -> None:
    v = Venue({1: 1000, 2: 10_000})
    v.mark(100)
    mode = {"account_id": 1, "instrument_id": PERP, "state": MarginMode.ISOLATED}
    v.order(1, BUY, 10, 100)
    assert v.admin(CommandKind.MARGIN_MODE, **mode) == ["REJECTED MARGIN_MODE MARGIN_CHANGE 0/0"]
    v.admin(CommandKind.MASS_CANCEL, account_id=1, instrument_id=ANY)
    assert v.admin(CommandKind.MARGIN_MODE, **mode) == ["DONE MARGIN_MODE OK 0/0"]
    assert v.admin(CommandKind.MARGIN_MODE, **mode) == ["DONE MARGIN_MODE OK 0/0"]
    v.trade(1, 2, 10, 100)
    mode["state"] = MarginMode.CROSS
    assert v.admin(CommandKind.MARGIN_MODE, **mode) == ["REJECTED MARGIN_MODE MARGIN_CHANGE 0/0"]


def isolated_venue(cash: int = 1000, **fields: int) -> Venue:
    """Account 1 isolated on PERP, account 2 rich, mark 100."""
    v = Venue({1: cash, 2: 100_000, 3: 100_000}, **fields)
    v.mark(100)
    v.admin(CommandKind.MARGIN_MODE, account_id=1, instrument_id=PERP, state=MarginMode.ISOLATED)
    return v


def test_isolated_margin_moves_at_the_fill_and_returns_by_share() -> None:
    v = isolated_venue()
    v.order(1, BUY, 30, 100)
    assert (v.wallet(1).total, v.wallet(1).hold) == (1000, 300)
    v.order(2, SELL, 10, 100)
    w = v.wallet(1)
    assert (w.total, w.hold, v.position(1).iso_margin) == (900, 200, 100)
    assert (w.upnl, w.initial_margin, w.maintenance_margin) == (0, 0, 0)
    v.order(2, SELL, 20, 100)
    assert (v.wallet(1).total, v.wallet(1).hold, v.position(1).iso_margin) == (700, 0, 300)
    # Closing 7 of 30 at 104 gives back trunc(300 * 7 / 30) = 70 and 28 of profit.
    v.order(2, BUY, 7, 104)
    assert v.order(1, SELL, 7, 104)[2] == "SETTLED 1 sell cash 28 fee 0 qty 23 realised 28"
    assert (v.wallet(1).total, v.position(1).iso_margin) == (798, 230)
    # Turning through zero gives everything back and takes the margin of the 2 new lots.
    v.order(2, BUY, 25, 100)
    v.order(1, SELL, 25, 100)
    assert (v.position(1).qty, v.position(1).iso_margin, v.wallet(1).total) == (-2, 20, 1008)


def test_isolated_position_takes_its_entry_loss_along() -> None:
    v = isolated_venue()
    v.order(2, SELL, 10, 103)
    v.order(1, BUY, 10, 103)
    # Margin 100 and 30 below the entry price, so that its equity is the initial margin.
    p = v.position(1)
    assert (p.iso_margin, p.upnl, v.wallet(1).total) == (130, -30, 870)


def test_isolated_fill_never_puts_the_wallet_into_debt() -> None:
    v = isolated_venue(cash=100)
    v.order(1, BUY, 10, 100)
    v.mark(300)
    assert (v.wallet(1).total, v.wallet(1).hold) == (100, 300)
    v.order(2, SELL, 10, 100)
    assert (v.wallet(1).total, v.position(1).iso_margin) == (0, 100)


def test_margin_transfer_both_ways() -> None:
    v = isolated_venue()
    v.trade(1, 2, 20, 100)
    move = {"account_id": 1, "instrument_id": PERP}
    kind = CommandKind.MARGIN_TRANSFER
    assert v.admin(kind, **move, amount=801) == [
        "REJECTED MARGIN_TRANSFER INSUFFICIENT_FUNDS 801/800"
    ]
    assert v.admin(kind, **move, amount=300) == [
        "BALANCE 1 -300 = 500 OK",
        "DONE MARGIN_TRANSFER OK 0/0",
    ]
    v.mark(95)
    # 500 inside, 100 of open loss, 190 initial margin: 210 may leave.
    assert v.admin(kind, **move, amount=-211) == [
        "REJECTED MARGIN_TRANSFER INSUFFICIENT_FUNDS 211/210"
    ]
    v.mark(105)
    # Open profit stays: 500 - 210 may leave.
    assert v.admin(kind, **move, amount=-290)[0] == "BALANCE 1 +290 = 790 OK"
    assert v.position(1).iso_margin == 210
    assert v.admin(kind, **move, amount=0) == ["REJECTED MARGIN_TRANSFER BAD_FIELD 0/0"]
    assert v.admin(kind, account_id=2, instrument_id=PERP, amount=1) == [
        "REJECTED MARGIN_TRANSFER MARGIN_CHANGE 0/0"
    ]


def test_funding_is_paid_in_account_order_and_sums_to_zero() -> None:
    v = isolated_venue()
    v.trade(3, 2, 10, 100)
    v.trade(1, 2, 20, 100)
    assert v.admin(CommandKind.FUNDING, instrument_id=PERP, amount=4) == [
        "BALANCE 1 -80 = 120 FUNDING",
        "BALANCE 2 +120 = 100120 FUNDING",
        "BALANCE 3 -40 = 99960 FUNDING",
        "DONE FUNDING OK 0/0",
    ]
    assert (v.wallet(1).total, v.position(1).iso_margin) == (800, 120)
    assert v.admin(CommandKind.FUNDING, instrument_id=PERP, amount=-1)[0] == (
        "BALANCE 1 +20 = 140 FUNDING"
    )


def test_funding_that_would_overflow_changes_nothing() -> None:
    v = Venue({1: 1000, 2: 1000})
    v.mark(100)
    v.trade(1, 2, 20, 100)
    refused = ["REJECTED FUNDING BALANCE_OVERFLOW 0/0"]
    assert v.admin(CommandKind.FUNDING, instrument_id=PERP, amount=1 << 62) == refused
    assert v.admin(CommandKind.FUNDING, instrument_id=PERP, amount=(1 << 62) // 20) == refused
    assert (v.wallet(1).total, v.wallet(2).total) == (1000, 1000)
    assert v.admin(CommandKind.FUNDING, instrument_id=3, amount=1) == [
        "REJECTED FUNDING UNKNOWN_INSTRUMENT 0/0"
    ]


def test_working_orders_count_in_initial_margin_only() -> None:
    v = Venue({1: 1000, 2: 10_000})
    v.mark(100)
    v.trade(1, 2, 20, 100)
    v.order(1, BUY, 30, 90)
    v.order(1, SELL, 60, 110)
    # Worst is the larger of |20 + 30| and |20 - 60|.
    w = v.wallet(1)
    assert (w.initial_margin, w.maintenance_margin) == (500, 100)
    v.order(2, BUY, 55, 110)
    # Now -35 with 5 more to sell, or -5 with the purchase.
    w = v.wallet(1)
    assert (w.initial_margin, w.maintenance_margin, w.total) == (400, 175, 1200)
