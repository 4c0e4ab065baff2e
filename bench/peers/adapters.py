"""One class per peer: the calls a user of that package would write, timed as plain loops.

Runs inside the peers' own environment (see run.py), one peer a process:

    python adapters.py PEER FLOW.json      prints one JSON object

Each loop makes exactly one call of the peer's API per order (plus what the API needs for it: an
order object where it takes one). What the peer reports is compared with the reference flow.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

BUY = 0


@dataclass
class Timing:
    """Nanoseconds a call of the three phases, and what was checked afterwards."""

    add: float | None
    match: float | None
    cancel: float | None
    checked: str


def timed(loop: Callable[[], None], calls: int) -> float:
    """Return nanoseconds a call of a loop of `calls` calls."""
    start = time.perf_counter_ns()
    loop()
    return (time.perf_counter_ns() - start) / calls


def expect(what: str, got: object, want: object) -> str:
    """Return one line saying whether the peer agrees with the reference."""
    return f"{what} agree" if got == want else f"{what} DIFFER: {got}, expected {want}"


def empty_loop(flow: dict[str, Any]) -> Timing:
    """Measure the loop itself: a call of a Python function that does nothing."""

    def call(order_id: int, qty: int, px: int) -> None:
        pass

    def adds() -> None:
        for order_id, _side, px, qty in flow["adds"]:
            call(order_id, qty, px)

    ns = timed(adds, len(flow["adds"]))
    return Timing(ns, ns, ns, "")


def limit_order_book(flow: dict[str, Any]) -> Timing:
    """`limit-order-book`: C++ through ctypes."""
    from limit_order_book import LimitOrderBook

    book = LimitOrderBook()

    def place(rows: list[tuple[int, int, int, int]]) -> None:
        for order_id, side, px, qty in rows:
            if side == BUY:
                book.limit_buy(order_id, qty, px)
            else:
                book.limit_sell(order_id, qty, px)

    def cancels() -> None:
        for order_id in flow["cancels"]:
            book.cancel(order_id)

    add = timed(lambda: place(flow["adds"]), len(flow["adds"]))
    match = timed(lambda: place(flow["takers"]), len(flow["takers"]))
    checked = expect("resting orders", book.count(), len(flow["cancels"]))
    cancel = timed(cancels, len(flow["cancels"]))
    return Timing(add, match, cancel, checked)


def cython_orderbook(flow: dict[str, Any]) -> Timing:
    """`cython-orderbook`: order objects with decimal prices; the book gives the ids."""
    from cython_orderbook import Order, OrderBook, OrderSide

    book = OrderBook()
    # Decimals are made beforehand, in the peer's favour; the order object is part of the call.
    prices = {px: Decimal(px) for _, _, px, _ in flow["adds"] + flow["takers"]}
    orders: dict[int, Any] = {}

    def place(rows: list[tuple[int, int, int, int]]) -> None:
        for order_id, side, px, qty in rows:
            order = Order(OrderSide.BID if side == BUY else OrderSide.ASK, qty, prices[px])
            book.add_limit_order(order)
            orders[order_id] = order

    def cancels() -> None:
        for order_id in flow["cancels"]:
            book.cancel_order(orders[order_id].order_id)

    add = timed(lambda: place(flow["adds"]), len(flow["adds"]))
    match = timed(lambda: place(flow["takers"]), len(flow["takers"]))
    traded = sum(o.original_quantity - o.remaining_quantity for o in orders.values())
    checked = expect("volume", traded, 2 * flow["volume"])
    cancel = timed(cancels, len(flow["cancels"]))
    return Timing(add, match, cancel, checked)


def lightmatchingengine(flow: dict[str, Any]) -> Timing:
    """`lightmatchingengine`: Python dicts of lists; the engine gives the ids."""
    from lightmatchingengine.lightmatchingengine import LightMatchingEngine, Side

    engine = LightMatchingEngine()
    ids: dict[int, int] = {}
    volume = 0

    def place(rows: list[tuple[int, int, int, int]]) -> None:
        nonlocal volume
        for order_id, side, px, qty in rows:
            order, _trades = engine.add_order("X", px, qty, Side.BUY if side == BUY else Side.SELL)
            ids[order_id] = order.order_id
            volume += order.cum_qty

    def cancels() -> None:
        for order_id in flow["cancels"]:
            engine.cancel_order(ids[order_id], "X")

    add = timed(lambda: place(flow["adds"]), len(flow["adds"]))
    match = timed(lambda: place(flow["takers"]), len(flow["takers"]))
    checked = expect("volume", volume, flow["volume"])
    cancel = timed(cancels, len(flow["cancels"]))
    return Timing(add, match, cancel, checked)


def order_book(flow: dict[str, Any]) -> Timing:
    """`order-book`: a sorted mapping price -> whatever the user stores; here the level total."""
    from order_book import OrderBook

    book = OrderBook()
    sides = (book.bids, book.asks)

    def change(rows: list[tuple[int, int, int]]) -> None:
        for side, px, total in rows:
            if total:
                sides[side][px] = total
            else:
                del sides[side][px]

    add, match, cancel = [timed(partial(change, rows), len(rows)) for rows in flow["levels"]]
    checked = expect("levels left", len(book.bids) + len(book.asks), 0)
    return Timing(add, match, cancel, checked)


def nautilus_book(flow: dict[str, Any]) -> Timing:
    """`nautilus_trader` order book (L3): keeps orders, does not match them."""
    from nautilus_trader.model.book import OrderBook
    from nautilus_trader.model.data import BookOrder
    from nautilus_trader.model.enums import BookType, OrderSide
    from nautilus_trader.model.identifiers import InstrumentId
    from nautilus_trader.model.objects import Price, Quantity

    book = OrderBook(InstrumentId.from_str("X.Y"), BookType.L3_MBO)
    made: dict[int, Any] = {}

    def adds() -> None:
        for order_id, side, px, qty in flow["adds"]:
            order_side = OrderSide.BUY if side == BUY else OrderSide.SELL
            order = BookOrder(order_side, Price(px, 0), Quantity(qty, 0), order_id)
            book.add(order, 0)
            made[order_id] = order

    def cancels() -> None:
        for order_id in flow["cancels"]:
            book.delete(made[order_id], 0)

    add = timed(adds, len(flow["adds"]))
    left = len(flow["adds"]) - len(flow["cancels"])
    cancel = timed(cancels, len(flow["cancels"]))
    resting = sum(len(level.orders()) for level in [*book.bids(), *book.asks()])
    return Timing(add, None, cancel, expect("resting orders", resting, left))


def nautilus_engine(flow: dict[str, Any]) -> Timing:
    """`nautilus_trader` simulated exchange: own orders against recorded market data."""
    from nautilus_trader.backtest.engine import OrderMatchingEngine
    from nautilus_trader.backtest.models import FillModel, MakerTakerFeeModel
    from nautilus_trader.cache.cache import Cache
    from nautilus_trader.common.component import MessageBus, TestClock
    from nautilus_trader.common.factories import OrderFactory
    from nautilus_trader.core.uuid import UUID4
    from nautilus_trader.execution.messages import CancelOrder
    from nautilus_trader.model.data import BookOrder, OrderBookDelta
    from nautilus_trader.model.enums import AccountType, BookAction, BookType, OmsType, OrderSide
    from nautilus_trader.model.events import OrderFilled, OrderSubmitted
    from nautilus_trader.model.identifiers import AccountId, StrategyId, TraderId
    from nautilus_trader.model.objects import Price, Quantity
    from nautilus_trader.test_kit.providers import TestInstrumentProvider

    instrument = TestInstrumentProvider.equity(symbol="TST", venue="XNAS")
    trader, strategy, account = TraderId("T-1"), StrategyId("S-1"), AccountId("XNAS-1")
    clock, cache = TestClock(), Cache()
    bus = MessageBus(trader_id=trader, clock=clock)
    cache.add_instrument(instrument)
    engine = OrderMatchingEngine(
        instrument=instrument,
        raw_id=0,
        fill_model=FillModel(),
        fee_model=MakerTakerFeeModel(),
        book_type=BookType.L3_MBO,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        msgbus=bus,
        cache=cache,
        clock=clock,
    )
    orders: dict[Any, Any] = {}
    by_number: dict[int, Any] = {}
    volume = 0

    def on_event(event: Any) -> None:
        nonlocal volume
        orders[event.client_order_id].apply(event)
        if isinstance(event, OrderFilled):
            volume += int(event.last_qty)

    bus.register("ExecEngine.process", on_event)
    factory = OrderFactory(trader_id=trader, strategy_id=strategy, clock=clock, cache=cache)
    low = min(px for _, _, px, _ in flow["adds"])
    high = max(px for _, _, px, _ in flow["adds"])
    # Own orders never meet each other here: the market is one level below and one above them all.
    for number, side, px in ((1, OrderSide.BUY, low - 10), (2, OrderSide.SELL, high + 10)):
        quote = BookOrder(side, Price(px / 100, 2), Quantity.from_int(10**9), number)
        delta = OrderBookDelta(instrument.id, BookAction.ADD, quote, 0, 0, 0, 0)
        engine.process_order_book_delta(delta)

    def place(rows: list[tuple[int, int, int, int]], *, marketable: bool) -> None:
        for order_id, side, px, qty in rows:
            buy = side == BUY
            if marketable:
                px = high + 10 if buy else low - 10
            order = factory.limit(
                instrument.id,
                OrderSide.BUY if buy else OrderSide.SELL,
                Quantity.from_int(qty),
                Price(px / 100, 2),
            )
            cache.add_order(order)
            orders[order.client_order_id] = by_number[order_id] = order
            order.apply(
                OrderSubmitted(
                    trader, strategy, instrument.id, order.client_order_id, account, UUID4(), 0, 0
                )
            )
            engine.process_order(order, account)

    def cancels(ids: list[int]) -> None:
        for order_id in ids:
            order = by_number[order_id]
            command = CancelOrder(
                trader,
                strategy,
                instrument.id,
                order.client_order_id,
                order.venue_order_id,
                UUID4(),
                0,
            )
            engine.process_cancel(command, account)

    # Tens of microseconds a call: a part of the flow is enough.
    some, ids = flow["adds"][:2_000], {row[0] for row in flow["adds"][:2_000]}
    gone = [order_id for order_id in flow["cancels"] if order_id in ids]
    takers = flow["takers"][:1_000]
    add = timed(lambda: place(some, marketable=False), len(some))
    match = timed(lambda: place(takers, marketable=True), len(takers))
    cancel = timed(lambda: cancels(gone), len(gone))
    checked = expect("volume", volume, sum(qty for *_, qty in takers))
    return Timing(add, match, cancel, checked)


def _hftbacktest(flow: dict[str, Any], *, jit: bool) -> Timing:
    """Run the flow against a recorded market of one deep level a side."""
    import numpy as np
    from hftbacktest import (
        BUY_EVENT,
        DEPTH_EVENT,
        EXCH_EVENT,
        GTC,
        LIMIT,
        LOCAL_EVENT,
        SELL_EVENT,
        BacktestAsset,
        ROIVectorMarketDepthBacktest,
    )
    from hftbacktest.types import event_dtype
    from numba import njit

    low = min(px for _, _, px, _ in flow["adds"]) - 10
    high = max(px for _, _, px, _ in flow["adds"]) + 10
    both = DEPTH_EVENT | EXCH_EVENT | LOCAL_EVENT
    rows = [
        (both | BUY_EVENT, 1_000, 1_000, low, 1e9, 0, 0, 0.0),
        (both | SELL_EVENT, 1_000, 1_000, high, 1e9, 0, 0, 0.0),
    ]
    rows += [(both | BUY_EVENT, t, t, low, 1e9, 0, 0, 0.0) for t in range(2_000, 10**9, 10**6)]
    market = np.array(rows, dtype=event_dtype)  # the backtester keeps a pointer, not a reference
    asset = (
        BacktestAsset()
        .data(market)
        .linear_asset(1.0)
        .constant_order_latency(0, 0)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .tick_size(1.0)
        .lot_size(1.0)
        .roi_lb(0)
        .roi_ub(high + 100)
    )
    backtest = ROIVectorMarketDepthBacktest([asset])
    backtest.elapse(2_000)

    # The time must move for an order to reach the simulated exchange: part of every call.
    def place(hbt: Any, orders: Any) -> None:
        for k in range(len(orders)):
            if orders[k, 1] == 0:
                hbt.submit_buy_order(0, orders[k, 0], orders[k, 2], orders[k, 3], GTC, LIMIT, False)
            else:
                hbt.submit_sell_order(
                    0, orders[k, 0], orders[k, 2], orders[k, 3], GTC, LIMIT, False
                )
            hbt.elapse(1)

    def cancel(hbt: Any, ids: Any) -> None:
        for k in range(len(ids)):
            hbt.cancel(0, ids[k], False)
            hbt.elapse(1)

    if jit:
        place, cancel = njit(place), njit(cancel)
    adds = np.array(flow["adds"], dtype=np.int64)
    takers = np.array(flow["takers"], dtype=np.int64)
    takers[:, 2] = np.where(takers[:, 1] == BUY, high, low)
    cancels = np.array(flow["cancels"], dtype=np.int64)
    # Compile everything on one order a side, far from the market and gone again.
    warm = np.array([[10**9, 0, low, 1], [10**9 + 1, 1, high, 1]], dtype=np.int64)
    place(backtest, warm)
    cancel(backtest, warm[:, 0].copy())
    add_ns = timed(lambda: place(backtest, adds), len(adds))
    match_ns = timed(lambda: place(backtest, takers), len(takers))
    position = backtest.position(0)
    cancel_ns = timed(lambda: cancel(backtest, cancels), len(cancels))
    signed = sum(qty if side == BUY else -qty for _, side, _, qty in flow["takers"])
    backtest.close()
    return Timing(add_ns, match_ns, cancel_ns, expect("position", position, float(signed)))


def hftbacktest_python(flow: dict[str, Any]) -> Timing:
    """`hftbacktest` driven from Python."""
    return _hftbacktest(flow, jit=False)


def hftbacktest_jit(flow: dict[str, Any]) -> Timing:
    """`hftbacktest` driven from a Numba-compiled function, as its authors intend."""
    return _hftbacktest(flow, jit=True)


def _tradecore(flow: dict[str, Any], *, accounts: bool) -> Timing:
    """Run the flow through the notebook helpers, which return what became of the order."""
    import tradecore

    engine = tradecore.Engine(
        accounts=accounts, max_instruments=2, max_orders=1 << 15, max_accounts=4, max_assets=4
    )
    engine.define_instrument(0, base_asset=1, quote_asset=0, maker_fee_ppm=100, taker_fee_ppm=300)
    if accounts:
        engine.open_account(1)
        engine.deposit(1, 0, 10**12)
        engine.deposit(1, 1, 10**12)
    fills = 0

    def place(rows: list[tuple[int, int, int, int]]) -> None:
        nonlocal fills
        for order_id, side, px, qty in rows:
            result = engine.limit(1, 0, "sell" if side else "buy", px, qty, order_id=order_id)
            fills += result.cum_qty

    def cancels() -> None:
        for order_id in flow["cancels"]:
            engine.cancel(1, order_id)

    add = timed(lambda: place(flow["adds"]), len(flow["adds"]))
    match = timed(lambda: place(flow["takers"]), len(flow["takers"]))
    checked = expect("volume", fills, flow["volume"])
    cancel = timed(cancels, len(flow["cancels"]))
    return Timing(add, match, cancel, checked)


def tradecore_matching(flow: dict[str, Any]) -> Timing:
    """`tradecore`, matching only."""
    return _tradecore(flow, accounts=False)


def tradecore_pipeline(flow: dict[str, Any]) -> Timing:
    """`tradecore` with accounts, risk, holds, fees and settlement."""
    return _tradecore(flow, accounts=True)


PEERS: dict[str, Callable[[dict[str, Any]], Timing]] = {
    "empty-loop": empty_loop,
    "tradecore (matching)": tradecore_matching,
    "tradecore (pipeline)": tradecore_pipeline,
    "limit-order-book": limit_order_book,
    "cython-orderbook": cython_orderbook,
    "lightmatchingengine": lightmatchingengine,
    "order-book": order_book,
    "nautilus_trader book": nautilus_book,
    "nautilus_trader exchange": nautilus_engine,
    "hftbacktest (python)": hftbacktest_python,
    "hftbacktest (njit)": hftbacktest_jit,
}


def main() -> None:
    """Run one peer once, in a process of its own."""
    name, path = sys.argv[1:]
    with open(path, encoding="utf-8") as f:
        flow = json.load(f)
    timing = PEERS[name](flow)
    print(json.dumps(timing.__dict__))


if __name__ == "__main__":
    main()
