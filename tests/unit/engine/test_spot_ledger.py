"""Holds, fees and settlement of spot orders; every number is worked out by hand.

Rules: docs/reference/accounts.md sections 4 to 6. The usual venue charges 0.1 % to makers and 0.3 %
to takers, so an order reserves 0.3 % on top of its notional.
"""

from __future__ import annotations

from spot_venue import BUY, CASH, COIN, SELL, SPOT, SpotVenue
from tradecore.codes import CommandKind, OrdType, Tif
from tradecore.testing import build

IOC = int(Tif.IOC)
MARKET = int(OrdType.MARKET)
REDUCE_ONLY = 2


def test_a_buy_holds_its_notional_and_the_highest_fee() -> None:
    v = SpotVenue({1: (5_000, 0)})
    v.order(1, BUY, 10, 100)
    assert v.money(1) == (5_000, 1_003)  # 1000 + floor(1000 * 0.003)
    v.order(1, BUY, 1, 100)
    assert v.money(1) == (5_000, 1_103)  # 100 + floor(0.3)
    assert v.cancel(1, 1) == ["CANCELED 1 buy 0@100 CANCEL_REQUEST"]
    assert v.money(1) == (5_000, 100)


def test_fills_pay_from_the_hold_and_the_rest_comes_back() -> None:
    v = SpotVenue({1: (1_003, 0), 2: (0, 10)})
    v.order(2, SELL, 4, 90)
    assert v.money(2, COIN) == (10, 4)
    # 4 @ 90 as taker: fee floor(1.08) = 1, remainder 0.08; 6 @ 100 may still cost
    # 600 + floor(0.08 + 1.8) = 601.
    assert v.order(1, BUY, 10, 100) == [
        "ACCEPTED 1 buy 10@100 OK",
        "FILL 1/2 buy 4@90 m",
        "SETTLED 1 buy cash -361 fee 1 qty 4 realised 0",
        "SETTLED 2 sell cash 360 fee 0 qty -4 realised 0",
    ]
    assert v.money(1) == (642, 601)
    assert v.money(2) == (360, 0)
    # 6 @ 100 as maker: 0.08 + 0.6 = 0.68, no fee yet; the taker pays floor(1.8).
    assert v.order(2, SELL, 6, 95)[1:] == [
        "FILL 2/1 sell 6@100 tm",
        "SETTLED 2 sell cash 599 fee 1 qty -10 realised 0",
        "SETTLED 1 buy cash -600 fee 0 qty 10 realised 0",
    ]
    assert v.money(1) == (42, 0)
    assert v.money(1, COIN) == (10, 0)
    assert v.money(2) == (959, 0)
    assert v.money(2, COIN) == (0, 0)
    assert v.engine.ledger(CASH)["fees"] == 2


def test_an_order_in_pieces_pays_what_it_pays_at_once() -> None:
    v = SpotVenue({1: (10_000, 0), 2: (0, 100)})
    v.order(1, BUY, 10, 100)
    fees = []
    for _ in range(10):
        settled = [x for x in v.order(2, SELL, 1, 100) if x.startswith("SETTLED 1 ")]
        fees.append(int(settled[0].split()[6]))
    assert fees == [0] * 9 + [1]  # floor(1000 * 0.001), due with the last piece


def test_a_rebate_is_rounded_once_per_order() -> None:
    v = SpotVenue({1: (10_000, 0), 2: (0, 100)}, maker_fee_ppm=-500, taker_fee_ppm=1_000)
    v.order(1, BUY, 20, 100)
    first = v.order(2, SELL, 10, 100)
    second = v.order(2, SELL, 10, 100)
    # -0.5 rounds to -1 and leaves 0.5 with the order; the second -0.5 uses it up.
    assert "SETTLED 1 buy cash -999 fee -1 qty 10 realised 0" in first
    assert "SETTLED 1 buy cash -1000 fee 0 qty 20 realised 0" in second
    assert v.engine.ledger(CASH)["fees"] == -1 + 0 + 1 + 1


def test_in_an_auction_both_pay_the_maker_and_nobody_is_rewarded() -> None:
    for maker, fee in ((1_000, 1), (-1_000, 0)):
        v = SpotVenue({1: (5_000, 0), 2: (0, 10)}, phase=1, maker_fee_ppm=maker)
        v.order(1, BUY, 10, 100)
        v.order(2, SELL, 10, 100)
        lines = v.admin(CommandKind.UNCROSS, instrument_id=SPOT)
        assert lines[:3] == [
            "FILL 1/2 buy 10@100 tmU",
            f"SETTLED 1 buy cash {-1000 - fee} fee {fee} qty 10 realised 0",
            f"SETTLED 2 sell cash {1000 - fee} fee {fee} qty -10 realised 0",
        ]


def test_funds_must_cover_the_hold_exactly() -> None:
    v = SpotVenue({1: (1_002, 9)})
    assert v.order(1, BUY, 10, 100) == ["REJECTED NEW_ORDER INSUFFICIENT_FUNDS 1003/1002"]
    assert v.order(1, SELL, 10, 100) == ["REJECTED NEW_ORDER INSUFFICIENT_POSITION 10/9"]
    v.deposit(1, CASH, 1)
    v.deposit(1, COIN, 1)
    assert v.order(1, BUY, 10, 100) == ["ACCEPTED 1 buy 10@100 OK"]
    assert v.order(1, SELL, 10, 101) == ["ACCEPTED 1 sell 10@101 OK"]
    assert v.money(1) == (1_003, 1_003)
    assert v.money(1, COIN) == (10, 10)


def test_market_buys_need_a_price_or_an_amount() -> None:
    v = SpotVenue({1: (1_002, 0), 2: (0, 100)})
    assert v.order(1, BUY, 5, 0, ord_type=MARKET, tif=IOC) == ["REJECTED NEW_ORDER NEEDS_PRICE 0/0"]
    # By amount: 1000 + floor(3) are held before the first lot is bought.
    cash = {"ord_type": MARKET, "tif": IOC, "cash_order_qty": 1_000}
    assert v.order(1, BUY, 0, 0, **cash) == ["REJECTED NEW_ORDER INSUFFICIENT_FUNDS 1003/1002"]
    v.deposit(1, CASH, 1)
    v.order(2, SELL, 100, 300)
    # 3 lots cost 900, 100 are left over: fee floor(2.7).
    assert v.order(1, BUY, 0, 0, **cash) == [
        "ACCEPTED 1 buy 0@0 OK",
        "FILL 1/2 buy 3@300 ",
        "SETTLED 1 buy cash -902 fee 2 qty 3 realised 0",
        "SETTLED 2 sell cash 900 fee 0 qty -3 realised 0",
        "EXPIRED 1 buy 0@0 CASH_SPENT",
    ]
    assert v.money(1) == (101, 0)
    # A sale by amount could need any number of coins, so it needs the least price.
    assert v.order(2, SELL, 0, 0, **cash) == ["REJECTED NEW_ORDER NEEDS_PRICE 0/0"]
    assert v.order(2, SELL, 0, 10, **cash) == ["REJECTED NEW_ORDER INSUFFICIENT_POSITION 100/0"]


def test_cost_is_averaged_in_integers_and_a_flip_starts_anew() -> None:
    free = {"maker_fee_ppm": 0, "taker_fee_ppm": 0}
    v = SpotVenue({1: (10_000, 100), 2: (10_000, 100)}, **free)

    def trade(side: int, qty: int, px: int) -> tuple[int, int, int]:
        v.order(2, 3 - side, qty, px)
        settled = v.order(1, side, qty, px)[2].split()
        p = v.position(1)
        assert p.qty == int(settled[8])
        return p.qty, p.cost, int(settled[10])

    assert trade(BUY, 10, 100) == (10, 1_000, 0)
    assert trade(SELL, 4, 110) == (6, 600, 40)
    assert trade(SELL, 10, 90) == (-4, -360, -60)
    assert trade(BUY, 1, 80) == (-3, -270, 10)
    assert trade(BUY, 3, 95) == (0, 0, -15)
    assert v.position(1).realised == 40 - 60 + 10 - 15
    # 100 over three lots: 33 go with the first (towards zero), 33 with the second, 34 remain.
    assert trade(BUY, 1, 34) == (1, 34, 0)
    assert trade(BUY, 2, 33) == (3, 100, 0)
    assert trade(SELL, 1, 40) == (2, 67, 7)
    assert trade(SELL, 1, 40) == (1, 34, 7)
    assert trade(SELL, 1, 40) == (0, 0, 6)


def test_replace_holds_the_difference_or_is_refused() -> None:
    v = SpotVenue({1: (2_000, 0)})
    v.order(1, BUY, 10, 100)

    def replace(**fields: int) -> list[str]:
        return v.send(build.replace(order_id=1, account_id=1, **fields))

    assert replace(px=200) == ["REPLACE_REJECTED REPLACE_ORDER INSUFFICIENT_FUNDS 2006/2000"]
    assert v.money(1) == (2_000, 1_003)
    assert replace(px=150) == ["REPLACED 1 buy 10@150 OK"]
    assert v.money(1) == (2_000, 1_504)  # floor(4.5)
    assert replace(order_qty=4) == ["REPLACED 1 buy 4@150 OK"]
    assert v.money(1) == (2_000, 601)  # floor(1.8)
    assert v.position(1).open_buy == 4


def test_a_pair_holds_the_larger_need_and_passes_it_on() -> None:
    v = SpotVenue({1: (1_003, 0), 2: (0, 100)}, taker_fee_ppm=1_000)
    legs = [
        build.order(
            order_id=number, account_id=1, instrument_id=SPOT, side=BUY, ord_type=kind, tif=1,
            order_qty=qty, px=px, **terms,
        )
        for number, kind, qty, px, terms in (
            (11, 2, 5, 100, {}),  # 500
            (12, 4, 10, 100, {"stop_px": 120}),  # 1001
        )
    ]  # fmt: skip
    both = build.order_list(legs, contingency=1, account_id=1, instrument_id=SPOT, list_id=5)
    assert v.send(both)[:2] == ["ACCEPTED 1 buy 5@100 OK", "ACCEPTED 1 buy 10@100 DORMANT"]
    assert v.money(1) == (1_003, 1_001)
    # The small leg trades one lot: the large one is cancelled first, its part of the hold freed.
    lines = v.order(2, SELL, 1, 100)
    assert lines[1:3] == ["CANCELED 1 buy 0@100 OCO_SIBLING", "FILL 2/1 sell 1@100 t"]
    assert v.money(1) == (903, 400)

    v = SpotVenue({1: (1_003, 0), 2: (0, 100)}, taker_fee_ppm=1_000)
    v.send(both)
    v.admin(CommandKind.LAST_PRICE, instrument_id=SPOT, mark_px=120)
    # The large leg triggered: it owns the whole hold now, the small one is gone.
    assert v.money(1) == (1_003, 1_001)
    assert v.order(2, SELL, 10, 100)[1] == "FILL 2/1 sell 10@100 tm"
    assert v.money(1) == (2, 0)  # 1000 and a fee of 1
    assert v.cancel(1, 11) == ["CANCEL_REJECTED CANCEL_ORDER UNKNOWN_ORDER 0/0"]


def test_a_pair_that_a_fill_sets_to_work_holds_the_larger_need() -> None:
    v = SpotVenue({1: (1_000, 0), 2: (1_000, 0)}, maker_fee_ppm=0, taker_fee_ppm=0)
    members = [
        build.order(
            order_id=number, account_id=1, instrument_id=SPOT, side=side, ord_type=kind, tif=1,
            order_qty=qty, px=px, **terms,
        )
        for number, side, kind, qty, px, terms in (
            (11, BUY, 2, 6, 100, {}),
            (12, SELL, 2, 5, 120, {}),
            (13, SELL, 4, 6, 80, {"stop_px": 90}),
        )
    ]  # fmt: skip
    v.send(build.order_list(members, contingency=3, account_id=1, instrument_id=SPOT, list_id=5))
    v.deposit(2, COIN, 6)
    v.order(2, SELL, 6, 100)
    # One of the two legs will execute: six coins are held, not eleven.
    assert v.money(1, COIN) == (6, 6)
    # Five of the six go at 120; the other leg ends with them.
    assert "CANCELED 1 sell 0@80 OCO_SIBLING" in v.order(2, BUY, 5, 120)
    assert v.money(1, COIN) == (1, 0)


def test_an_iceberg_amended_below_its_tip_shows_what_is_left() -> None:
    v = SpotVenue({1: (0, 100), 2: (10_000, 0)}, maker_fee_ppm=0, taker_fee_ppm=0)
    v.order(1, SELL, 100, 100, display_qty=10)
    v.order(2, BUY, 10, 100)
    assert v.send(build.replace(order_id=1, account_id=1, order_qty=12))[0].startswith("REPLACED")
    # Two are left of a tip that would have shown ten.
    assert any(one.startswith("FILL 2/1 buy 2@100") for one in v.order(2, BUY, 5, 100))
    assert v.money(1, COIN) == (88, 0)


def test_a_stop_is_not_moved_through_the_market() -> None:
    v = SpotVenue({1: (10_000, 0), 2: (10_000, 10)}, maker_fee_ppm=0, taker_fee_ppm=0)
    v.admin(CommandKind.LAST_PRICE, instrument_id=SPOT, mark_px=100)
    v.order(1, BUY, 1, 120, ord_type=4, stop_px=110)
    through = v.send(build.replace(order_id=1, account_id=1, stop_px=95))
    assert through == ["REPLACE_REJECTED REPLACE_ORDER WOULD_TRIGGER 100/95"]
    assert v.send(build.replace(order_id=1, account_id=1, stop_px=105))[0].startswith("REPLACED")


def test_reduce_only_trades_what_closes_and_no_more() -> None:
    v = SpotVenue({1: (10_000, 10), 2: (10_000, 10)})
    flags = {"flags": REDUCE_ONLY}
    assert v.order(1, SELL, 5, 100, **flags) == ["REJECTED NEW_ORDER REDUCE_ONLY 5/0"]
    v.order(2, SELL, 3, 100)
    v.order(1, BUY, 3, 100)
    v.order(2, BUY, 9, 100)
    assert v.order(1, SELL, 5, 100, **flags) == [
        "ACCEPTED 1 sell 5@100 OK",
        "FILL 1/2 sell 3@100 ",
        "SETTLED 1 sell cash 300 fee 0 qty 0 realised 0",
        "SETTLED 2 buy cash -300 fee 0 qty 0 realised 0",
        "EXPIRED 1 sell 0@100 REDUCE_ONLY",
    ]


def test_everything_is_free_when_the_book_is_empty() -> None:
    v = SpotVenue({1: (100_000, 50), 2: (100_000, 50)})
    for px in range(90, 100):
        v.order(1, BUY, 2, px)
        v.order(2, SELL, 1, px + 12)
    v.admin(CommandKind.MASS_CANCEL, account_id=0xFFFFFFFF, instrument_id=0xFFFFFFFF)
    for account in (1, 2):
        assert v.money(account) == (100_000, 0)
        assert v.money(account, COIN) == (50, 0)
