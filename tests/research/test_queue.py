"""An own order fills exactly when the queue in front of it is gone: computed by hand."""

from __future__ import annotations

import pytest

from research.flow_builder import BUY, SELL, Flow
from tradecore.research import OrderState, Strategy, backtest


class Joins(Strategy):
    """Sends one order at a time stamp and notes the queue in front of it at every stamp."""

    at = 25
    side = BUY
    px = 50
    qty = 5

    def on_start(self) -> None:
        self.order = 0
        self.seen: list[tuple[int, int]] = []
        self.call_at(self.at)
        self.fills: list[tuple[int, int, int]] = []

    def on_timer(self, now_ns: int) -> None:
        send = self.buy if self.side == BUY else self.sell
        self.order = send(self.px, self.qty)

    def on_book(self, book: object) -> None:
        if self.order:
            self.seen.append((self.now_ns, self.ahead(self.order)))

    def on_fill(self, fill: object) -> None:
        self.fills.append((fill.ts_ns, fill.last_px, fill.last_qty))  # type: ignore[attr-defined]


def market() -> Flow:
    """Bid 50: order 1 with 10, order 2 with 6; then we join; then order 3 with 7."""
    return Flow().new(10, 1, BUY, 50, 10).new(20, 2, BUY, 50, 6).new(20, 9, SELL, 60, 40)


def test_order_behind_sixteen_lots_fills_with_the_seventeenth() -> None:
    flow = market().new(30, 3, BUY, 50, 7)
    flow.cancel(40, 1)  # 6 ahead
    flow.take(50, SELL, 50, 4)  # 2 ahead
    flow.take(60, SELL, 50, 3)  # 2 of order 2, 1 of ours
    flow.take(70, SELL, 50, 10)  # 4 of ours, 6 of order 3
    strategy = Joins()
    result = backtest(flow.recording(), strategy)
    assert strategy.fills == [(60, 50, 1), (70, 50, 4)]
    (order,) = result.orders
    assert (order["ahead_qty"], order["ahead_orders"]) == (16, 2)
    assert (order["rested_ns"], order["first_fill_ns"], order["ended_ns"]) == (25, 60, 70)
    assert order["state"] == OrderState.FILLED
    assert dict(strategy.seen)[40] == 6
    assert dict(strategy.seen)[50] == 2
    assert result.queue["wait_ns"].tolist() == [35]


def test_cancel_behind_an_own_order_does_not_move_it() -> None:
    flow = market().new(30, 3, BUY, 50, 7).cancel(40, 3).left(50, 2, 1)
    strategy = Joins()
    backtest(flow.recording(), strategy)
    assert dict(strategy.seen)[40] == 16
    assert dict(strategy.seen)[50] == 11


def test_two_own_orders_at_one_price_share_one_queue() -> None:
    class Twice(Joins):
        def on_timer(self, now_ns: int) -> None:
            self.first = self.buy(50, 5)
            self.order = self.buy(50, 3)

    flow = market().take(40, SELL, 50, 22)
    strategy = Twice()
    result = backtest(flow.recording(), strategy)
    # 16 lots of others, 5 of the first, 1 of the second.
    assert strategy.fills == [(40, 50, 5), (40, 50, 1)]
    assert result.orders["ahead_qty"].tolist() == [16, 21]


def test_liquidity_that_was_taken_is_gone_for_good() -> None:
    class Lifts(Joins):
        side, px, qty = BUY, 60, 40

    # The recording executes order 9 later; there is nothing left to execute it against.
    flow = market().take(40, BUY, 60, 15).repair(40, 9, 25).left(50, 9, 20).cancel(60, 9)
    strategy = Lifts()
    result = backtest(flow.recording(), strategy)
    assert strategy.fills == [(25, 60, 40)]
    assert result.info.counts["gone"] == 1


def test_a_reduction_never_gives_back_what_an_own_order_took() -> None:
    class Lifts(Joins):
        side, px, qty = BUY, 60, 30

        def on_book(self, book: object) -> None:
            self.asks = [*getattr(self, "asks", []), book.ask_qty]  # type: ignore[attr-defined]

    # We leave 10 of 40; the recording says 35 are left, then 4.
    flow = market().left(40, 9, 35).left(50, 9, 4)
    strategy = Lifts()
    backtest(flow.recording(), strategy)
    assert strategy.asks[-2:] == [10, 4]


@pytest.mark.parametrize(("displaced", "left"), [("leave", 0), ("stay", 5)])
def test_who_was_displaced_leaves_or_stays(displaced: str, left: int) -> None:
    # The recording: 16 lots execute, orders 1 and 2 are filled. With us in front of order 3...
    flow = Flow().new(10, 1, BUY, 50, 10).new(20, 9, SELL, 60, 40)
    flow.new(30, 2, BUY, 50, 6)  # behind us
    flow.take(40, SELL, 50, 16).repair(40, 1, 0).repair(40, 2, 0)
    flow.new(50, 4, BUY, 40, 1)

    class Watches(Joins):
        def on_book(self, book: object) -> None:
            self.last = (book.bid_px, book.bid_qty)  # type: ignore[attr-defined]

    strategy = Watches()
    result = backtest(flow.recording(), strategy, displaced=displaced)
    assert strategy.fills == [(40, 50, 5)]
    assert strategy.last == ((50, left) if left else (40, 1))
    assert result.info.counts["repaired"] == (1 if displaced == "leave" else 0)


def test_hidden_execution_reaches_an_own_order_and_nobody_else() -> None:
    class Inside(Joins):
        px, qty = 55, 5

    flow = market().hidden(40, SELL, 55, 3).hidden(50, SELL, 50, 10).cancel(60, 1)
    strategy = Inside()
    result = backtest(flow.recording(), strategy)
    # At 55 we stand alone; at 50 our last two lots stand in front of the recorded orders.
    assert strategy.fills == [(40, 55, 3), (50, 55, 2)]
    assert result.info.counts["hidden"] == 2


def test_hidden_execution_behind_recorded_orders_does_nothing() -> None:
    strategy = Joins()
    result = backtest(market().hidden(40, SELL, 50, 30).recording(), strategy)
    assert strategy.fills == []
    assert result.info.counts["hidden"] == 0


def test_own_order_that_improves_the_price_is_hit_at_its_own_price() -> None:
    class Inside(Joins):
        px, qty = 52, 5

    strategy = Inside()
    backtest(market().take(40, SELL, 50, 8).recording(), strategy)
    assert strategy.fills == [(40, 52, 5)]


def test_recorded_order_that_crosses_an_own_quote_trades_with_it() -> None:
    class Inside(Joins):
        px, qty = 55, 5

    strategy = Inside()
    result = backtest(market().new(40, 7, SELL, 54, 8).recording(), strategy)
    assert strategy.fills == [(40, 55, 5)]
    assert result.fills["maker"].tolist() == [1]


def test_best_prices_are_those_of_others_unless_own_ones_are_wanted() -> None:
    class Looks(Joins):
        px, qty = 52, 5

        def on_fill(self, fill: object) -> None: ...

        def on_book(self, book: object) -> None:
            self.last = (book.bid_px, book.bid_qty)  # type: ignore[attr-defined]

    flow = market().left(40, 2, 5)
    without, with_own = Looks(), Looks()
    backtest(flow.recording(), without)
    backtest(flow.recording(), with_own, own_in_book=True)
    assert without.last == (50, 15)
    assert with_own.last == (52, 5)
