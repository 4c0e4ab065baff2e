"""Order ids chosen to collide, with the key of the hash and without it."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tradecore import Engine, EngineConfig, EventKind, Side
from tradecore.bench.hostile import cancels, colliding_ids, hostile, orders
from tradecore.testing import build
from tradecore.testing.oracle import OracleConfig, OracleEngine

SEED = EngineConfig().id_seed
BITS = 13  # 4,096 orders at most make a table of 8,192 buckets, all of it in use from the start
CONFIG = EngineConfig(max_instruments=1, max_orders=4_096)
WORD = (1 << 64) - 1


def tag(order_id: int, seed: int) -> int:
    """Return the 32 bits of an id that a bucket holds, from the description of the hash."""

    def fold(a: int, b: int) -> int:
        product = a * b
        return (product ^ product >> 64) & WORD

    key0 = fold(seed ^ 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93)
    key1 = fold(seed ^ 0xC2B2AE3D27D4EB4F, 0x9FB21C651E98DF25) | 1
    return fold(order_id ^ key0, key1) >> 16 & 0xFFFFFFFF


def home(order_id: int, seed: int) -> int:
    return tag(order_id, seed) >> 32 - BITS


def test_two_ids_of_one_tag_are_two_orders() -> None:
    """A bucket holds only a part of the hash: what it names must be asked for its id."""
    seen: dict[int, int] = {}
    pairs = []
    chosen = random.Random(1)
    for _ in range(300_000):
        order_id = chosen.getrandbits(62) + 1
        other = seen.setdefault(tag(order_id, SEED), order_id)
        if other != order_id:
            pairs.append((other, order_id))
    assert pairs
    for one, other in pairs:
        engine = Engine(CONFIG)
        engine.define_instrument(0)
        engine.apply(orders(np.array([one]), Side.BUY, 100))
        assert kinds(engine.events(cancels(np.array([other]))))[0][0] == EventKind.CANCEL_REJECTED
        assert engine.book(0).bids[0].orders == 1
        engine.apply(orders(np.array([other]), Side.BUY, 100))
        assert kinds(engine.events(cancels(np.array([one]))))[0][0] == EventKind.CANCELED
        assert kinds(engine.events(cancels(np.array([other]))))[0][0] == EventKind.CANCELED


@pytest.mark.parametrize("bucket", [0, 4_711, (1 << BITS) - 1])
def test_colliding_ids_share_their_bucket(bucket: int) -> None:
    ids = colliding_ids(60, BITS, SEED, bucket).tolist()
    assert len(set(ids)) == 60
    assert {home(order_id, SEED) for order_id in ids} == {bucket}


def test_another_key_scatters_them() -> None:
    ids = colliding_ids(100, BITS, SEED).tolist()
    assert len({home(order_id, SEED + 1) for order_id in ids}) > 90


def kinds(events: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(events["kind"].tolist(), events["status"].tolist(), strict=True))


# What goes on from the last line wraps around the end of the table.
@pytest.mark.parametrize("bucket", [0, 4_711, (1 << BITS) - 1])
def test_cluster_survives_every_order_of_leaving(bucket: int) -> None:
    ids = colliding_ids(200, BITS, SEED, bucket)
    for number in range(6):
        engine = Engine(CONFIG)
        engine.define_instrument(0)
        engine.apply(orders(ids, Side.BUY, 100))
        leaving = ids.copy()
        random.Random(number).shuffle(leaving)
        alive = set(ids.tolist())
        for part in np.array_split(leaving, 10):
            events = engine.events(cancels(part))
            assert set(kinds(events)) == {(EventKind.CANCELED, 413)}
            alive -= set(part.tolist())
            found = {i for i in ids.tolist() if engine.order(i) is not None}
            assert found == alive
            engine.check()
        assert kinds(engine.events(cancels(ids[:5]))) == [(EventKind.CANCEL_REJECTED, 401)] * 5


@pytest.mark.parametrize("bucket", [17, (1 << BITS) - 1])
def test_random_life_over_colliding_ids_is_that_of_the_naive_engine(bucket: int) -> None:
    draw = random.Random(bucket)
    ids = colliding_ids(60, BITS, SEED, bucket).tolist()
    # Ids of the same line, and of the line behind it, where those of this one go on to.
    ids += colliding_ids(30, BITS, SEED, bucket ^ 1).tolist()
    ids += colliding_ids(20, BITS, SEED, (bucket + 9) % (1 << BITS)).tolist()
    commands = []
    for _ in range(4_000):
        order_id = draw.choice(ids)
        what = draw.random()
        if what < 0.55:
            side, px = draw.choice(((1, 98), (1, 99), (1, 101), (2, 100), (2, 101), (2, 97)))
            commands.append(
                build.order(
                    order_id=order_id,
                    side=side,
                    px=px,
                    order_qty=draw.randint(1, 5),
                    ord_type=2,
                    tif=1,
                )
            )
        elif what < 0.85:
            commands.append(build.cancel(order_id=order_id))
        else:
            commands.append(
                build.replace(order_id=order_id, px=draw.choice((0, 98, 101)), order_qty=4)
            )
    engine, oracle = Engine(CONFIG), OracleEngine(OracleConfig.like(CONFIG))
    setup = build.instrument(instrument_id=0)
    assert bytes(engine.apply(setup)) == bytes(oracle.apply(setup))
    for at in range(0, len(commands), 7):
        part = b"".join(commands[at : at + 7])
        assert bytes(engine.apply(part)) == bytes(oracle.apply(part))
    engine.check()


def test_duplicate_of_a_colliding_id_is_refused_and_changes_nothing() -> None:
    engine = Engine(CONFIG)
    engine.define_instrument(0)
    ids = colliding_ids(50, BITS, SEED)
    engine.apply(orders(ids, Side.BUY, 100))
    before = dict(engine.export_state())
    assert kinds(engine.events(orders(ids, Side.SELL, 100))) == [(EventKind.REJECTED, 400)] * 50
    after = dict(engine.export_state())
    assert {name for name in before if before[name] != after[name]} == {"engine"}


def test_patterned_ids_all_work() -> None:
    stream = hostile("patterned-ids", 20_000)
    engine = stream.engine()
    engine.apply(stream.warm_up)
    events = engine.events(stream.timed)
    # A cancel and a new order in turn, none of them refused.
    assert kinds(events) == [(EventKind.CANCELED, 413), (EventKind.ACCEPTED, 0)] * (
        len(events) // 2
    )
    engine.check()


def test_ids_at_the_ends_of_the_range() -> None:
    engine = Engine(CONFIG)
    engine.define_instrument(0)
    ids = np.array([1, 2, (1 << 63) - 1, (1 << 63) - 2], np.uint64)
    assert kinds(engine.events(orders(ids, Side.BUY, 100))) == [(EventKind.ACCEPTED, 0)] * 4
    outside = np.array([0, 1 << 63, WORD], np.uint64)
    assert kinds(engine.events(orders(outside, Side.BUY, 100))) == [(EventKind.REJECTED, 103)] * 3
