"""Stops, icebergs and expiry of own orders: what the recorded flow does to them is seen."""

from __future__ import annotations

from typing import Any

from research.flow_builder import BUY, SELL, Flow
from tradecore import EventKind, Tif
from tradecore.research import OrderState, Strategy, backtest


class Sends(Strategy):
    """Sends at 25 and notes everything it is told."""

    def on_start(self) -> None:
        self.call_at(25)
        self.told: list[Any] = []

    def on_order(self, update: Any) -> None:
        self.told.append((update.ts_ns, EventKind(update.event).name))

    def on_fill(self, fill: Any) -> None:
        self.told.append((fill.ts_ns, fill.last_px, fill.last_qty))


def market() -> Flow:
    flow = Flow().new(10, 1, BUY, 50, 10).new(20, 2, SELL, 60, 10)
    return flow.take(22, BUY, 60, 1)  # the last trade is 60


def test_stop_that_waits_is_triggered_by_a_recorded_trade() -> None:
    class Stops(Sends):
        def on_timer(self, now_ns: int) -> None:
            self.order = self.context.submit(0, SELL, 0, 3, ord_type=3, tif=1, stop_px=50)

    strategy = Stops()
    result = backtest(market().take(40, SELL, 50, 4).new(50, 3, BUY, 49, 1).recording(), strategy)
    assert strategy.told == [(25, "ACCEPTED"), (40, "TRIGGERED"), (40, 50, 3)]
    assert strategy.position() == -3
    assert result.orders["state"].tolist() == [OrderState.FILLED]


def test_stop_limit_rests_where_it_is_put_and_is_left_out_of_the_prices() -> None:
    class Stops(Sends):
        def on_timer(self, now_ns: int) -> None:
            self.order = self.context.submit(0, SELL, 55, 3, ord_type=4, tif=1, stop_px=50)

        def on_book(self, book: Any) -> None:
            self.asks = [*getattr(self, "asks", []), (book.ts_ns, book.ask_px)]

    strategy = Stops()
    flow = market().take(40, SELL, 50, 4).take(50, BUY, 55, 2).new(60, 4, SELL, 54, 1)
    result = backtest(flow.recording(), strategy)
    assert strategy.told == [(25, "ACCEPTED"), (40, "TRIGGERED"), (50, 55, 2)]
    assert result.orders["rested_ns"].tolist() == [40]
    assert all(px == 60 for ts, px in strategy.asks if 40 <= ts < 60)


def test_order_with_an_end_expires_with_log_time() -> None:
    class Ends(Sends):
        def on_timer(self, now_ns: int) -> None:
            self.buy(49, 2, tif=Tif.GTD, expire_ts_ns=35)

    strategy = Ends()
    result = backtest(market().new(40, 5, BUY, 30, 1).recording(), strategy)
    assert strategy.told == [(25, "ACCEPTED"), (40, "EXPIRED")]
    assert result.orders["state"].tolist() == [OrderState.EXPIRED]


def test_own_iceberg_goes_to_the_back_with_every_new_tip() -> None:
    class Hides(Sends):
        def on_timer(self, now_ns: int) -> None:
            self.order = self.buy(50, 6, display_qty=2)

    # 10 in front, then our tip of 2, then 5 of order 3, then our next tip behind them.
    flow = market().new(30, 3, BUY, 50, 5).take(40, SELL, 50, 13).take(50, SELL, 50, 5)
    strategy = Hides()
    backtest(flow.recording(), strategy)
    fills = [row for row in strategy.told if isinstance(row[1], int)]
    # At 40: 10 + our 2 + 1 of order 3; at 50: 4 of order 3 + 1 of our second tip.
    assert fills == [(40, 50, 2), (50, 50, 1)]


def test_own_order_that_would_cross_is_refused_as_post_only() -> None:
    class Posts(Sends):
        def on_timer(self, now_ns: int) -> None:
            self.buy(60, 1, post_only=1)

    strategy = Posts()
    result = backtest(market().new(40, 5, BUY, 30, 1).recording(), strategy)
    assert strategy.told == [(25, "REJECTED")]
    assert result.orders["state"].tolist() == [OrderState.REJECTED]


def test_own_orders_do_not_trade_with_each_other_where_prevention_is_asked_for() -> None:
    class Crosses(Sends):
        def on_timer(self, now_ns: int) -> None:
            self.buy(55, 2)
            self.sell(55, 2, stp=1)

    strategy = Crosses()
    result = backtest(market().new(40, 5, BUY, 30, 1).recording(), strategy)
    assert result.orders["state"].tolist() == [OrderState.LIVE, OrderState.EXPIRED]
    assert len(result.fills) == 0


def test_own_orders_that_meet_leave_two_rows_and_no_position() -> None:
    class Crosses(Sends):
        def on_timer(self, now_ns: int) -> None:
            self.buy(55, 2)
            self.sell(55, 2)

    strategy = Crosses()
    result = backtest(market().new(40, 5, BUY, 30, 1).recording(), strategy)
    assert result.fills["maker"].tolist() == [0, 1]
    assert result.fills["side"].tolist() == [SELL, BUY]
    assert strategy.position() == 0
