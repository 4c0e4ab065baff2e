"""Participants: draws, order ids, frames, and a market that behaves."""

from __future__ import annotations

import numpy as np
import pytest

import tradecore as tc
from tradecore.agents import CLASSES, Chance, Market, MarketSpec, Population
from tradecore.agents.rows import Rows
from tradecore.agents.seen import Seen
from tradecore.agents.slots import Slots
from tradecore.agents.spec import default_plans
from tradecore.codes import CommandKind, EventKind


def _chance(seed: int = 1) -> Chance:
    return Chance(np.random.Generator(np.random.PCG64(seed)))


# ---------------------------------------------------------------------------------------- draws
def test_draws_come_from_the_raw_words_alone() -> None:
    """The words of PCG64 are a published sequence; the mapping to a range is multiply and shift."""
    words = np.random.PCG64(5).random_raw(4)
    expected = [int(word >> np.uint64(32)) * 10 >> 32 for word in words]
    assert _chance(5).below(4, 10).tolist() == expected


def test_draws_have_the_shape_they_promise() -> None:
    chance, n = _chance(), 200_000
    uniform = chance.between(n, -3, 3)
    assert (uniform.min(), uniform.max()) == (-3, 3)
    assert abs(uniform.mean()) < 0.03
    bell = chance.bell(n, 1_000)
    assert abs(bell.mean()) < 15
    assert abs(bell.std() - 1_000) < 15
    far = chance.far(n, 12)
    assert 11 <= np.median(far) <= 13
    assert far.max() == 64 * 12
    assert abs(chance.chance(n, 250_000).mean() - 0.25) < 0.01


# ------------------------------------------------------------------------------- ids and frames
def test_slot_ids_lead_back_and_are_never_reused() -> None:
    slots = Slots(100)
    places = np.array([3, 7])
    first, second = slots.fresh(places), slots.fresh(places)
    passing = slots.passing(5)
    every = np.concatenate([first, second, passing])
    assert len(np.unique(every)) == len(every)
    assert every.min() > 0
    assert int(every.max()) < 1 << 63
    assert (slots.ids(places) == second).all()


def test_late_event_of_an_old_order_does_not_touch_the_new_one() -> None:
    slots = Slots(10)
    place = np.array([4])
    old, new = slots.fresh(place)[0], slots.fresh(place)[0]
    events = np.zeros(2, tc.EVENT)
    events["kind"] = [EventKind.ACCEPTED, EventKind.CANCELED]
    events["order_id"] = [new, old]
    slots.observe(Seen(events))
    assert slots.live[4]


def test_rows_become_frames_with_their_terms_behind() -> None:
    rows = Rows(4)
    rows["kind"][:] = [CommandKind.NEW_ORDER, 0, CommandKind.NEW_ORDER, CommandKind.CANCEL_ORDER]
    rows["order_id"][:] = [11, 0, 13, 14]
    rows["instrument_id"][:] = 5
    rows["display_qty"][2] = 9
    frames = rows.frames(np.array([3, 2, 1, 0]), first_ts_ns=1_000, step_ns=300)
    assert frames["order_id"][[0, 1, 3]].tolist() == [14, 13, 11]
    assert frames["cont"].tolist()[:2] == [0, 1]
    assert frames["ts_ns"][[0, 1, 3]].tolist() == [1_000, 1_100, 1_200]
    terms = frames[2:3].view(tc.TERMS)[0]
    assert (int(terms["kind"]), int(terms["display_qty"])) == (CommandKind.TERMS, 9)
    # A cancel names its order by the id alone; anything else would be refused.
    assert frames["instrument_id"][[0, 1, 3]].tolist() == [0, 5, 5]


# ------------------------------------------------------------------------------------ the market
def test_every_account_has_a_class() -> None:
    people = Population(MarketSpec(accounts=1_000), _chance())
    sizes = [people.size(index) for index in range(len(CLASSES))]
    assert sizes == [60, 240, 200, 500]
    assert np.bincount(people.class_of).tolist() == [*sizes, 1]


def test_perpetuals_follow_the_spot_before_them() -> None:
    plans = default_plans(6)
    assert [plan.symbol for plan in plans[:4]] == ["BTC-USD", "BTC-PERP", "ETH-USD", "ETH-PERP"]
    assert [plan.index_of for plan in plans] == [0, 0, 2, 2, 4, 4]
    assert len({plan.symbol for plan in default_plans(64)}) == 64
    assert all(plan.multiplier > 0 for plan in default_plans(64))
    assert plans[0].px_text(12_000) == "60,000.00"


@pytest.mark.parametrize("field", ["accounts", "instruments", "batch_commands", "step_ns"])
def test_impossible_market_is_refused(field: str) -> None:
    with pytest.raises(tc.ConfigError, match=f"{field} is 0"):
        MarketSpec(**{field: 0})


def _run(seed: int, steps: int = 12) -> tuple[tc.Engine, Market, np.ndarray]:
    market = Market(MarketSpec(accounts=100), np.random.Generator(np.random.PCG64(seed)))
    engine = tc.Engine(market.engine_config())
    kinds = np.zeros(32, np.int64)
    bad = 0
    for frames in market.opening():
        market.observe(engine.events(frames))
    for _ in range(steps):
        events = engine.events(market.batch([engine.best(i) for i in market.spec.ids]))
        seen = Seen(events)
        market.observe(seen)
        kinds += seen.counts
        bad += int(((seen.refused >= 100) & (seen.refused < 106)).sum())
    assert bad == 0, "a participant sent a malformed command"
    return engine, market, kinds


def test_market_uses_every_kind_of_event_of_trading() -> None:
    engine, market, kinds = _run(1, steps=60)
    for kind in (
        *(EventKind.ACCEPTED, EventKind.REJECTED, EventKind.FILL, EventKind.CANCELED),
        *(EventKind.EXPIRED, EventKind.REPLACED, EventKind.RESTATED, EventKind.SETTLED),
    ):
        assert kinds[kind] > 0, kind
    for instrument_id in market.spec.ids:
        bid, ask = engine.best(instrument_id)
        assert bid < ask
        plan = market.plans[instrument_id - 1]
        assert 0.5 < bid / plan.first_px < 2
    engine.check()


def test_seed_decides_everything() -> None:
    assert _run(2)[0].state_hash() == _run(2)[0].state_hash()
    assert _run(2)[0].state_hash() != _run(3)[0].state_hash()


def test_commands_are_within_the_size_of_a_step() -> None:
    market = Market(MarketSpec(accounts=100), np.random.Generator(np.random.PCG64(1)))
    for frames in list(market.opening())[3:6]:
        commands = frames.view(tc.COMMAND)
        orders = commands["kind"] != CommandKind.TERMS
        assert int(orders.sum()) <= market.spec.batch_commands
        times = commands["ts_ns"][orders]
        assert (np.diff(times.astype(np.int64)) >= 0).all()
