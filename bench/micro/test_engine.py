"""Single operations of the engine. `pytest bench/micro --benchmark-enable` measures.

Without the option every benchmark runs once, as a test of its own result. The whole-stream numbers
are `tradecore bench`'s; these here find which operation moved.
"""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tradecore import COMMAND, EVENT, Engine, EventKind, Side, Tif
from tradecore.bench.hostile import cancels, orders
from tradecore.bench.inputs import generated

COUNT = 4_096


def venue(resting: int = 0) -> Engine:
    engine = Engine(max_instruments=1, max_orders=4 * COUNT, prefault=True)
    engine.define_instrument(0)
    if resting:
        step = np.arange(resting)
        ids = 10_000_000 + step
        engine.apply(
            orders(ids, 1 + step % 2, np.where(step % 2, 1_001 + step % 300, 1_000 - step % 300))
        )
    return engine


def test_place_and_cancel_at_one_price(benchmark: BenchmarkFixture) -> None:
    engine = venue(resting=2_000)
    ids = np.arange(1, COUNT // 2 + 1)
    batch = np.empty(2 * len(ids), COMMAND)
    batch[0::2], batch[1::2] = orders(ids, Side.BUY, 999), cancels(ids)
    events = np.frombuffer(bytes(benchmark(engine.apply, batch)), np.uint8)
    assert len(events) == 64 * len(batch)
    assert engine.counters()["live_orders"] == 2_000


def test_place_far_apart_and_cancel(benchmark: BenchmarkFixture) -> None:
    engine = venue()
    ids = np.arange(1, COUNT // 2 + 1)
    batch = np.concatenate([orders(ids, Side.BUY, 1 + 1_000_003 * ids), cancels(ids)])
    benchmark(engine.apply, batch)
    assert engine.counters()["levels"] == engine.counters()["live_orders"] == 0


def test_maker_and_taker_meet(benchmark: BenchmarkFixture) -> None:
    engine = venue(resting=2_000)
    ids = np.arange(1, COUNT + 1)
    # Odd ids sell and rest one tick inside the spread, even ones take them at once.
    batch = orders(ids, np.where(ids % 2, Side.SELL, Side.BUY), 1_001)
    batch["tif"][ids % 2 == 0] = Tif.IOC
    events = np.frombuffer(bytes(benchmark(engine.apply, batch)), EVENT)
    assert int((events["kind"] == EventKind.FILL).sum()) == COUNT // 2


def test_replace_moves_an_order_back_and_forth(benchmark: BenchmarkFixture) -> None:
    engine = venue(resting=2_000)
    engine.apply(orders([1], Side.BUY, [990], 5))
    batch = np.zeros(COUNT, COMMAND)
    batch["kind"], batch["order_id"] = 3, 1
    batch["px"] = 990 - np.arange(COUNT) % 2
    benchmark(engine.apply, batch)
    assert engine.order(1)["px"] == 989


@pytest.mark.parametrize("size", [1, 16, 64, 4_096])
def test_busy_book_in_batches(benchmark: BenchmarkFixture, size: int) -> None:
    work = generated("busy", 20_000)
    batches = work.batches(size)

    def setup() -> tuple[tuple[Engine], dict[str, object]]:
        return (work.engine(),), {}

    def whole(engine: Engine) -> Engine:
        for batch in batches:
            engine.apply(batch)
        return engine

    engine = benchmark.pedantic(whole, setup=setup, rounds=3)
    assert engine.in_seq == 20_000 + 1


def test_book_view(benchmark: BenchmarkFixture) -> None:
    engine = venue(resting=2_000)
    book = benchmark(engine.book, 0, 10)
    assert len(book.bids) == len(book.asks) == 10


def test_state_hash(benchmark: BenchmarkFixture) -> None:
    engine = venue(resting=2_000)
    assert benchmark(engine.state_hash) == engine.state_hash()


def test_event_kinds_of_a_cross(benchmark: BenchmarkFixture) -> None:
    engine = venue()
    pair = orders([1, 2], [Side.SELL, Side.BUY], 100)
    events = benchmark(engine.events, pair)
    assert EventKind.FILL in events["kind"].tolist()
