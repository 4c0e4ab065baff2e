"""One class, two runners: the orders of the live runner are those of the backtest."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import tradecore as tc
from research.test_compiled import Quoter, market
from tradecore.research import Recording, Strategy, StrategyError, backtest
from tradecore.research.event_book import EventBook
from tradecore.research.live import LiveRunner
from tradecore.research.recording import STRATEGY_ACCOUNT


class Restless(Strategy):
    """Uses everything: timers, fills, trades, updates, amends, the queue, market orders."""

    def on_start(self) -> None:
        self.call_every(7_000)
        self.call_at(50_000)
        self.heard: list[Any] = []
        self.order = 0

    def on_timer(self, now_ns: int) -> None:
        self.heard.append(("timer", now_ns, self.position()))
        if now_ns % 3 == 0 and self.position():
            self.market(2 if self.position() > 0 else 1, 1)

    def on_trade(self, trade: Any) -> None:
        self.heard.append(tuple(trade))
        if trade.qty > 12:
            self.sell(trade.px + 2, 2)

    def on_fill(self, fill: Any) -> None:
        self.heard.append((fill.ts_ns, fill.last_px, fill.last_qty, fill.leaves_qty, fill.maker))

    def on_order(self, update: Any) -> None:
        at = self.ahead(update.order_id)
        self.heard.append((update.event, update.status, update.leaves_qty, update.px, at))

    def on_book(self, book: Any) -> None:
        self.heard.append(tuple(book))
        if self.order and self.leaves(self.order) == 5:
            self.amend(self.order, qty=3)
        if not self.order or not self.leaves(self.order):
            self.order = self.buy(book.bid_px or 1, 5)
        elif len(self.heard) % 10 == 0:
            self.amend(self.order, px=book.bid_px or 1)


def run_live(recording: Recording, strategy: Strategy) -> tuple[list[Any], tc.Engine]:
    """A recording played into an engine, with a live runner beside it that hears its events."""
    engine = tc.Engine(max_instruments=1, max_orders=1 << 14)
    terms = {"base_asset": 1, "quote_asset": 0} | recording.instruments[0].terms
    engine.define_instrument(0, **terms)
    runner = LiveRunner(strategy, account_id=STRATEGY_ACCOUNT, session_id=9, instruments=(0,))
    orders: list[Any] = []

    def pump() -> None:
        while runner.deliver():
            frames = runner.take()
            if len(frames):
                frames["ts_ns"] = max(engine.now, runner.now_ns)
                new = frames[frames["kind"] == 1]
                orders.extend(new[["ts_ns", "side", "px", "order_qty"]].tolist())
                runner.feed(engine.events(frames), engine.now)

    (frames,) = recording.chunks
    runner.start(recording.first_ns - 1)
    cuts = [0, *(np.flatnonzero(np.diff(frames["ts_ns"])) + 1).tolist(), len(frames)]
    for first, last in pairwise(cuts):
        ts = int(frames["ts_ns"][first])
        while runner.next_timer_ns is not None and runner.next_timer_ns < ts:
            runner.tick(runner.next_timer_ns)
            pump()
        runner.feed(engine.events(frames[first:last]), ts)
        pump()
    return orders, engine


@pytest.mark.parametrize("kind", [Quoter, Restless])
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_same_orders_come_out_of_backtest_and_live_runner(kind: type[Strategy], seed: int) -> None:
    recording = market(seed=seed, steps=1_500)
    past, present = kind(), kind()
    result = backtest(recording, past)
    orders, engine = run_live(recording, present)
    rows = result.orders[["sent_ns", "side", "px", "order_qty"]].tolist()
    # The table of a backtest says quantity and price as they were in the end; compare what was
    # amended by what was told, everything else by the table.
    amended = kind is Restless
    assert [row[:2] for row in orders] == [row[:2] for row in rows]
    assert amended or orders == rows
    assert len(orders) > 30
    if amended:
        assert past.heard == present.heard  # type: ignore[attr-defined]
        assert len(past.heard) > 500  # type: ignore[attr-defined]
    assert int(result.fills["last_qty"].sum()) > 0
    position = int(result.fills["position_qty"][-1])
    assert present.position() == past.position() == position
    del engine


def test_book_out_of_events_equals_the_engines() -> None:
    (frames,) = market(seed=8).chunks
    engine = tc.Engine(max_instruments=1, max_orders=1 << 14)
    engine.define_instrument(0)
    book = EventBook()
    for first in range(0, len(frames), 50):
        book.feed(engine.events(frames[first : first + 50]))
        bids, asks = engine.depth(0, "buy", 1), engine.depth(0, "sell", 1)
        wanted = (*(bids[0][:2] if bids else (0, 0)), *(asks[0][:2] if asks else (0, 0)))
        assert book.quote() == wanted


def test_strategy_that_raises_in_a_live_run_is_named() -> None:
    class Raises(Strategy):
        def on_book(self, book: Any) -> None:
            raise ValueError("no")

    with pytest.raises(StrategyError, match=r"Raises\.on_book at 100 ns"):
        run_live(market(steps=10), Raises())
