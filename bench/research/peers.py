"""The peers' side: runs inside their own environment, one peer a process, prints one JSON line.

    python peers.py PEER DATA.npz [SETTINGS.json]

Only the run itself is timed: data is loaded, strategies are compiled and engines built before.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np


def flags() -> dict[str, int]:
    """Return hftbacktest's event flags, which our exporter needs."""
    import hftbacktest

    names = (
        *("EXCH_EVENT", "LOCAL_EVENT", "BUY_EVENT", "SELL_EVENT", "TRADE_EVENT"),
        *("ADD_ORDER_EVENT", "CANCEL_ORDER_EVENT", "MODIFY_ORDER_EVENT", "FILL_EVENT"),
    )
    return {name: int(getattr(hftbacktest, name)) for name in names}


def hftbacktest(data: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """L3 data, FIFO queue model, constant order latency; a Numba strategy on a timer or a feed."""
    from hftbacktest import GTX, LIMIT, BacktestAsset, ROIVectorMarketDepthBacktest
    from numba import njit

    events = data["events"]
    low, high = float(events["px"].min()), float(events["px"].max())

    @njit
    def quote(hbt: Any, state: Any, qty: float, most: float) -> None:
        depth = hbt.depth(0)
        b, a = depth.best_bid_tick, depth.best_ask_tick
        if b < 0 or a > 1 << 40 or depth.best_bid_qty <= 0 or depth.best_ask_qty <= 0:
            return
        hbt.clear_inactive_orders(0)
        orders = hbt.orders(0)
        position = hbt.position(0)
        if state[0] != 0 and state[0] not in orders:
            state[0] = 0
        if state[2] != 0 and state[2] not in orders:
            state[2] = 0
        if state[0] != 0 and state[1] != b:
            order = orders.get(state[0])
            if order.cancellable:
                hbt.cancel(0, state[0], False)
            state[0] = 0
        if state[2] != 0 and state[3] != a:
            order = orders.get(state[2])
            if order.cancellable:
                hbt.cancel(0, state[2], False)
            state[2] = 0
        if state[0] == 0 and position < most:
            state[4] += 1
            state[0], state[1] = state[4], b
            hbt.submit_buy_order(0, state[0], depth.best_bid, qty, GTX, LIMIT, False)
        if state[2] == 0 and position > -most:
            state[4] += 1
            state[2], state[3] = state[4], a
            hbt.submit_sell_order(0, state[2], depth.best_ask, qty, GTX, LIMIT, False)

    @njit
    def on_timer(hbt: Any, state: Any, interval: int, qty: float, most: float) -> int:
        calls = 0
        while hbt.elapse(interval) == 0:
            calls += 1
            quote(hbt, state, qty, most)
        return calls

    @njit
    def per_feed(hbt: Any, state: Any, qty: float, most: float) -> int:
        calls = 0
        while hbt.wait_next_feed(False, 1 << 60) == 2:
            calls += 1
            quote(hbt, state, qty, most)
        return calls

    def engine(rows: Any) -> Any:
        latency = settings["order_latency_ns"]
        asset = (
            BacktestAsset()
            .data(rows)
            .linear_asset(1.0)
            .constant_order_latency(latency, latency)
            .l3_fifo_queue_model()
            .no_partial_fill_exchange()  # the only one there is for L3
            .trading_value_fee_model(0.0, 0.0)
            .tick_size(1.0)
            .lot_size(1.0)
            .roi_lb(low - 10)
            .roi_ub(high + 10)
        )
        return ROIVectorMarketDepthBacktest([asset])

    def run(rows: Any) -> tuple[float, int, float, int]:
        hbt = engine(rows)
        state = np.zeros(8, np.int64)
        begin = time.process_time()
        if settings["mode"] == "timer":
            calls = on_timer(hbt, state, settings["interval_ns"], settings["qty"], settings["most"])
        else:
            calls = per_feed(hbt, state, settings["qty"], settings["most"])
        seconds = time.process_time() - begin
        value = hbt.state_values(0)
        trades = int(value.num_trades)
        hbt.close()
        return seconds, calls, trades, int(state[4])

    begin = time.process_time()
    run(events[:2_000].copy())
    compiled = time.process_time() - begin
    best = min((run(events.copy()) for _ in range(settings["repeats"])), key=lambda r: r[0])
    seconds, calls, trades, orders = best
    return {
        "peer": "hftbacktest",
        "events": len(events),
        "seconds": seconds,
        "compile_s": compiled,
        "calls": calls,
        "fills": trades,
        "orders": orders,
    }


def nautilus(data: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Order-book deltas of single orders; a Strategy subscribed to them that quotes both sides."""
    from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
    from nautilus_trader.config import LoggingConfig
    from nautilus_trader.model.currencies import USD
    from nautilus_trader.model.data import BookOrder, OrderBookDelta
    from nautilus_trader.model.enums import (
        AccountType,
        BookAction,
        BookType,
        OmsType,
        OrderSide,
        TimeInForce,
    )
    from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
    from nautilus_trader.model.instruments import Equity
    from nautilus_trader.model.objects import Money, Price, Quantity
    from nautilus_trader.trading.strategy import Strategy

    instrument_id = InstrumentId(Symbol("DAY"), Venue("SIM"))
    instrument = Equity(
        instrument_id, Symbol("DAY"), USD, 2, Price(0.01, 2), Quantity.from_int(1), 0, 0
    )
    rows = data["events"][: settings["deltas"]]
    flag = settings["flags"]
    actions = {
        flag["ADD_ORDER_EVENT"]: BookAction.ADD,
        flag["MODIFY_ORDER_EVENT"]: BookAction.UPDATE,
        flag["CANCEL_ORDER_EVENT"]: BookAction.DELETE,
    }
    deltas = []
    for row in rows:
        ev, ts = int(row["ev"]), int(row["exch_ts"])
        # The kind stands in the low byte of the flags.
        action = actions.get(ev & 0xFF)
        if action is None:
            continue
        side = OrderSide.BUY if ev & flag["BUY_EVENT"] else OrderSide.SELL
        order = BookOrder(
            side,
            Price(row["px"] / 1e2, 2),
            Quantity.from_int(int(row["qty"])),
            int(row["order_id"]),
        )
        deltas.append(OrderBookDelta(instrument_id, action, order, 0, len(deltas), ts, ts))

    class Quoter(Strategy):  # type: ignore[misc]
        def on_start(self) -> None:
            self.calls = 0
            self.bid: Any = None
            self.ask: Any = None
            self.subscribe_order_book_deltas(instrument_id, book_type=BookType.L3_MBO)

        def on_order_book_deltas(self, deltas: Any) -> None:
            self.calls += 1
            if not settings["trade"]:
                return
            book = self.cache.order_book(instrument_id)
            b, a = book.best_bid_price(), book.best_ask_price()
            if b is None or a is None:
                return
            for name, px, side in (("bid", b, OrderSide.BUY), ("ask", a, OrderSide.SELL)):
                order = getattr(self, name)
                if order is not None and order.is_closed:
                    order = None
                if order is not None and order.price != px:
                    if order.is_open:
                        self.cancel_order(order)
                    order = None
                if order is None:
                    order = self.order_factory.limit(
                        instrument_id,
                        side,
                        Quantity.from_int(100),
                        px,
                        time_in_force=TimeInForce.GTC,
                        post_only=True,
                    )
                    self.submit_order(order)
                setattr(self, name, order)

    logging = LoggingConfig(log_level="ERROR", bypass_logging=True)
    engine = BacktestEngine(BacktestEngineConfig(logging=logging))
    engine.add_venue(
        Venue("SIM"),
        OmsType.NETTING,
        AccountType.MARGIN,
        [Money(1_000_000_000, USD)],
        book_type=BookType.L3_MBO,
    )
    engine.add_instrument(instrument)
    engine.add_data(deltas)
    strategy = Quoter()
    engine.add_strategy(strategy)
    begin = time.process_time()
    engine.run()
    seconds = time.process_time() - begin
    orders = len(engine.cache.orders())
    return {
        "peer": "nautilus_trader",
        "events": len(deltas),
        "seconds": seconds,
        "calls": strategy.calls,
        "orders": orders,
        "fills": sum(1 for order in engine.cache.orders() if order.filled_qty > 0),
    }


def backtrader(data: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Bars; two moving averages, long or flat, market orders."""
    import backtrader as bt
    import pandas as pd

    bars = data["bars"]
    frame = pd.DataFrame(
        {name: bars[f"{name}_px"] / 1e5 for name in ("open", "high", "low", "close")}
        | {"volume": bars["volume"]},
        index=pd.to_datetime(bars["ts_ns"].astype("int64")),
    )

    class Crossover(bt.Strategy):  # type: ignore[misc]
        def __init__(self) -> None:
            self.fast = bt.ind.SMA(period=10)
            self.slow = bt.ind.SMA(period=30)
            self.sent = 0

        def next(self) -> None:
            above = self.fast[0] > self.slow[0]
            if above and not self.position:
                self.buy(size=1)
                self.sent += 1
            elif not above and self.position:
                self.sell(size=1)
                self.sent += 1

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame))
    cerebro.addstrategy(Crossover)
    begin = time.process_time()
    (ran,) = cerebro.run()
    seconds = time.process_time() - begin
    return {
        "peer": "backtrader",
        "events": len(bars),
        "seconds": seconds,
        "calls": len(bars),
        "orders": ran.sent,
        "fills": ran.sent,
    }


PEERS = {"hftbacktest": hftbacktest, "nautilus": nautilus, "backtrader": backtrader}

if __name__ == "__main__":
    if sys.argv[1] == "flags":
        print(json.dumps(flags()))
    else:
        found = PEERS[sys.argv[1]](np.load(sys.argv[2]), json.loads(sys.argv[3]))
        print(json.dumps(found))
