"""When messages arrive: computed by hand for every model."""

from __future__ import annotations

import numpy as np
import pytest

from research.flow_builder import BUY, SELL, Flow
from tradecore.errors import ConfigError
from tradecore.research import (
    Latency,
    LookaheadError,
    OrderState,
    Strategy,
    StrategyError,
    backtest,
)
from tradecore.research import latency as models


def market() -> Flow:
    flow = Flow().new(1_000, 1, BUY, 50, 10).new(1_000, 2, SELL, 60, 10)
    for number, ts in enumerate(range(2_000, 12_000, 1_000)):
        flow.new(ts, 10 + number, BUY, 40, 1)
    return flow


class Sends(Strategy):
    def on_start(self) -> None:
        self.heard: list[tuple[int, int, int]] = []
        self.sent = 0

    def on_book(self, book: object) -> None:
        if not self.sent:
            self.sent = self.now_ns
            self.order = self.buy(51, 5)

    def on_order(self, update: object) -> None:
        row = (update.event, update.ts_ns, self.now_ns)  # type: ignore[attr-defined]
        self.heard.append(row)


def test_constant_delays_add_up() -> None:
    strategy = Sends()
    result = backtest(market().recording(), strategy, latency=Latency.of(100, 30, 7))
    assert strategy.sent == 1_100
    assert strategy.heard[0] == (1, 1_130, 1_137)
    (order,) = result.orders
    assert (order["sent_ns"], order["arrived_ns"]) == (1_100, 1_130)


def test_cancel_and_replace_have_their_own_delay() -> None:
    class Amends(Sends):
        def on_order(self, update: object) -> None:
            super().on_order(update)
            if update.event == 1:  # type: ignore[attr-defined]
                self.amend(self.order, qty=3)
            if update.event == 6:  # type: ignore[attr-defined]
                self.cancel(self.order)

    strategy = Amends()
    delays = Latency(
        order=models.constant(10), cancel=models.constant(200), replace=models.constant(40)
    )
    backtest(market().recording(), strategy, latency=delays)
    assert [(event, ts) for event, ts, _ in strategy.heard] == [(1, 1_010), (6, 1_050), (4, 1_250)]


def test_recorded_delay_takes_the_value_of_its_time() -> None:
    strategy = Sends()
    delays = Latency(order=models.recorded([0, 1_000, 2_000], [5, 70, 900]))
    backtest(market().recording(), strategy, latency=delays)
    assert strategy.heard[0][1] == 1_070


def test_messages_of_a_session_keep_their_order() -> None:
    class Two(Sends):
        def on_timer(self, now_ns: int) -> None:
            self.buy(52, 1)

        def on_start(self) -> None:
            super().on_start()
            self.call_at(1_500)

    # The second is sent when the line is fast again, and must wait for the first.
    delays = Latency(order=models.recorded([0, 1_400], [3_000, 10]))
    result = backtest(market().recording(), Two(), latency=delays)
    assert result.orders["arrived_ns"].tolist() == [4_000, 4_000]


def test_messages_of_a_feed_keep_their_order() -> None:
    class Looks(Strategy):
        def on_book(self, book: object) -> None:
            self.note(f"{book.bid_px} of {book.ts_ns}")  # type: ignore[attr-defined]

    flow = Flow().new(1_000, 1, BUY, 50, 10).new(1_500, 2, BUY, 51, 10).new(9_000, 3, BUY, 40, 1)
    delays = Latency(feed=models.recorded([0, 1_400], [3_000, 10]))
    result = backtest(flow.recording(), Looks(), latency=delays)
    assert result.log == ["4000 50 of 1000", "4000 51 of 1500"]


def test_drawn_delays_repeat_and_depend_on_the_seed() -> None:
    class Many(Strategy):
        def on_start(self) -> None:
            self.call_every(100)

        def on_timer(self, now_ns: int) -> None:
            self.buy(30, 1)

    def arrivals(seed: int, run: int = 0) -> list[int]:
        delays = Latency(order=models.lognormal(5_000, 1.0, seed))
        result = backtest(market().recording(), Many(), latency=delays, seed=run)
        return result.orders["arrived_ns"].tolist()  # type: ignore[no-any-return]

    assert arrivals(1) == arrivals(1)
    assert arrivals(1) != arrivals(2)
    assert arrivals(1, 7) == arrivals(1, 7) != arrivals(1)


@pytest.mark.parametrize(
    ("model", "mean", "median"),
    [
        (models.uniform(100, 300), 200, 200),
        (models.exponential(50, 1_000), 1_050, 50 + 693),
        (models.lognormal(1_000, 0.5), 1_000 * np.exp(0.125), 1_000),
        (models.empirical([1, 2, 3, 4, 100]), 22, 3),
    ],
)
def test_quantiles_of_a_distribution_have_its_mean_and_median(
    model: models.Delay, mean: float, median: float
) -> None:
    values = model.value_ns
    assert np.mean(values) == pytest.approx(mean, rel=0.01)
    assert np.median(values) == pytest.approx(median, rel=0.01, abs=1)


def test_delayed_feed_shows_the_book_as_it_was() -> None:
    class Looks(Strategy):
        def on_start(self) -> None:
            self.call_at(2_050)
            self.call_at(2_100)

        def on_timer(self, now_ns: int) -> None:
            self.note(f"{self.quote().bid_qty}")

    flow = market().add(0, kind=10)
    flow.rows = [r for r in flow.rows if r["kind"] != 10]
    flow.rows.insert(2, {"ts_ns": 2_000, "kind": 3, "order_id": 1, "order_qty": 4, "flags": 8})
    result = backtest(flow.recording(), Looks(), latency=Latency.of(feed_ns=100))
    assert result.log == ["2050 10", "2100 4"]


def test_queue_of_now_is_not_known_with_a_delayed_feed() -> None:
    class Peeks(Sends):
        def on_order(self, update: object) -> None:
            self.ahead(self.order)

    with pytest.raises(StrategyError) as caught:
        backtest(market().recording(), Peeks(), latency=Latency.of(feed_ns=1))
    assert isinstance(caught.value.__cause__, LookaheadError)


def test_position_is_what_the_strategy_was_told_not_what_happened() -> None:
    class Lifts(Strategy):
        def on_start(self) -> None:
            self.call_at(1_500)
            self.call_at(1_550)
            self.call_at(1_600)

        def on_timer(self, now_ns: int) -> None:
            self.note(str(self.position()))
            if now_ns == 1_500:
                self.buy(60, 3)

    result = backtest(market().recording(), Lifts(), latency=Latency.of(0, 20, 60))
    assert result.log == ["1500 0", "1550 0", "1600 3"]
    assert result.fills["ts_ns"].tolist() == [1_520]
    assert result.fills["seen_ns"].tolist() == [1_580]


def test_what_would_arrive_after_the_last_frame_does_not_happen() -> None:
    class Late(Strategy):
        def on_start(self) -> None:
            self.call_at(10_500)

        def on_timer(self, now_ns: int) -> None:
            self.early = self.buy(60, 1)
            self.late = self.buy(60, 1)

    # The market ends at 11,000.
    delays = Latency(order=models.recorded([0, 10_500], [0, 500]))
    result = backtest(market().recording(), Late(), latency=delays)
    assert result.orders["state"].tolist() == [OrderState.FILLED, OrderState.FILLED]
    delays = Latency(order=models.constant(501))
    result = backtest(market().recording(), Late(), latency=delays)
    assert result.orders["state"].tolist() == [OrderState.IN_FLIGHT, OrderState.IN_FLIGHT]
    assert result.orders["arrived_ns"].tolist() == [-1, -1]
    assert result.info.last_ns == 11_000


def test_impossible_delays_are_refused() -> None:
    with pytest.raises(ConfigError):
        models.constant(-1)
    with pytest.raises(ConfigError):
        models.recorded([2, 1], [1, 1])
    with pytest.raises(ConfigError):
        backtest(market().recording(), Sends(), latency=Latency(order=models.arrival()))
    with pytest.raises(ConfigError):
        backtest(market().recording(), Sends(), latency=Latency(feed=models.arrival()))
