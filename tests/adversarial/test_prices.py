"""Prices as far apart as the rules allow, and a level for every order.

What is expected comes from a sorted dictionary of prices, kept beside the engine.
"""

from __future__ import annotations

import numpy as np
import pytest

from tradecore import EVENT, FILL_EVENT, Engine, EventKind, Side, Tif
from tradecore.bench.hostile import cancels, hostile, orders

MAX_PX = 1 << 56
BIDS = [1, 2, 63, 64, 65, 1 << 20, (1 << 40) - 1]
ASKS = [1 << 40, (1 << 40) + 1, (1 << 40) + 64, 1 << 55, MAX_PX - 64, MAX_PX - 1, MAX_PX]


def levels(engine: Engine, side: Side) -> list[tuple[int, int, int]]:
    return [tuple(row) for row in engine.depth(0, side)]


def venue(max_orders: int) -> Engine:
    engine = Engine(max_instruments=1, max_orders=max_orders, max_pages=max_orders + 64)
    engine.define_instrument(0)
    return engine


def fills(events: np.ndarray) -> list[tuple[int, int]]:
    found = events[events["kind"] == EventKind.FILL].view(FILL_EVENT)
    return list(zip(found["last_px"].tolist(), found["last_qty"].tolist(), strict=True))


def test_prices_at_both_ends_of_the_range_stand_in_one_book() -> None:
    engine = venue(64)
    prices = BIDS + ASKS
    sides = [Side.BUY] * len(BIDS) + [Side.SELL] * len(ASKS)
    engine.apply(orders(np.arange(1, len(prices) + 1), sides, prices, 3))
    assert levels(engine, Side.BUY) == [(px, 3, 1) for px in sorted(BIDS, reverse=True)]
    assert levels(engine, Side.SELL) == [(px, 3, 1) for px in sorted(ASKS)]
    assert engine.best(0) == ((1 << 40) - 1, 1 << 40)
    engine.check()


def test_sweep_from_one_end_of_the_range_to_the_other_fills_at_every_makers_price() -> None:
    engine = venue(64)
    engine.apply(orders(np.arange(1, len(ASKS) + 1), Side.SELL, ASKS, 2))
    taker = orders([100], Side.BUY, [MAX_PX], 2 * len(ASKS))
    assert fills(engine.events(taker)) == [(px, 2) for px in sorted(ASKS)]
    engine.apply(orders(np.arange(201, 201 + len(BIDS)), Side.BUY, BIDS, 2))
    taker = orders([300], Side.SELL, [1], 2 * len(BIDS))
    assert fills(engine.events(taker)) == [(px, 2) for px in sorted(BIDS, reverse=True)]
    assert engine.best(0) == (None, None)
    engine.check()


def test_best_price_jumps_between_the_ends_as_orders_come_and_go() -> None:
    stream = hostile("far-prices", 4_000)
    engine = stream.engine()
    engine.apply(stream.warm_up)
    book: dict[int, tuple[int, int]] = {}
    for frame in np.concatenate([stream.warm_up, stream.timed]):
        if int(frame["kind"]) == 1:
            book[int(frame["order_id"])] = (int(frame["side"]), int(frame["px"]))
        else:
            del book[int(frame["order_id"])]
    for at in range(0, len(stream.timed), 999):
        engine.apply(stream.timed[at : at + 999])
    for side, backwards in ((Side.BUY, True), (Side.SELL, False)):
        prices = [px for its_side, px in book.values() if its_side == side]
        expected = [
            (px, prices.count(px), prices.count(px))
            for px in sorted(set(prices), reverse=backwards)
        ]
        assert levels(engine, side) == expected
    assert engine.counters()["live_orders"] == len(book)
    engine.check()


def run_many_levels(count: int) -> None:
    """A level an order; cancel half anywhere, come back, sweep one side away in one command."""
    stream = hostile("many-levels", count)
    engine = stream.engine()
    engine.apply(stream.warm_up)
    assert engine.counters()["levels"] == count
    engine.apply(stream.timed)
    # Every cancel was followed by an order at the same price: the same levels stand.
    middle = 64 * count // 2
    prices = 1 + 64 * np.arange(count)
    asks = prices[prices >= middle]
    bids = prices[prices < middle][::-1]
    assert [row[0] for row in engine.depth(0, Side.SELL)] == asks.tolist()
    assert [row[0] for row in engine.depth(0, Side.BUY)] == bids.tolist()
    sweep = orders([1 << 50], Side.BUY, [MAX_PX], len(asks))
    sweep["tif"] = Tif.IOC
    assert fills(engine.events(sweep)) == [(px, 1) for px in asks.tolist()]
    assert engine.best(0) == (int(bids[0]), None)
    gone = engine.mass_cancel()
    assert int((gone["kind"] == EventKind.CANCELED).sum()) == len(bids)
    assert engine.counters()["levels"] == engine.counters()["live_orders"] == 0
    engine.check()


@pytest.mark.slow
def test_a_hundred_thousand_levels() -> None:
    run_many_levels(100_000)


@pytest.mark.nightly
def test_a_million_levels() -> None:
    run_many_levels(1_000_000)


def run_open_orders(count: int) -> None:
    """Rest them all, replace some anywhere, and cancel everything in order-id order."""
    stream = hostile("open-orders", count)
    engine = stream.engine()
    for at in range(0, count, 65_536):
        engine.apply(stream.warm_up[at : at + 65_536])
    assert engine.counters()["live_orders"] == count
    assert sum(row[2] for row in engine.depth(0, Side.BUY)) == (count + 1) // 2
    refused = 0
    for at in range(0, len(stream.timed), 65_536):
        events = np.frombuffer(engine.apply(stream.timed[at : at + 65_536]), EVENT)
        refused += int(np.isin(events["kind"], (2, 8, 9)).sum())
        del events
    assert refused == 0
    assert engine.counters()["live_orders"] == count
    again = int(stream.timed["order_id"][1])
    unknown = engine.events(cancels([again - 1]))
    assert unknown["status"].tolist() == [401]
    gone = np.frombuffer(bytes(engine.mass_cancel(instrument_id=0)), EVENT)
    canceled = gone[gone["kind"] == EventKind.CANCELED]["order_id"]
    assert len(canceled) == count
    assert (np.diff(canceled.astype(np.int64)) > 0).all()
    assert engine.counters()["live_orders"] == 0
    engine.check()


@pytest.mark.slow
def test_two_hundred_thousand_open_orders() -> None:
    run_open_orders(200_000)


@pytest.mark.nightly
def test_ten_million_open_orders() -> None:
    run_open_orders(10_000_000)
