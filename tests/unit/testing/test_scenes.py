"""Scenes: the same bytes everywhere, the shape they promise, and what an engine makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from tradecore.bench.inputs import generated
from tradecore.bench.published import shape
from tradecore.codes import CommandKind, EventKind, Phase
from tradecore.dtypes import ADMIN
from tradecore.engine import Engine
from tradecore.errors import ConfigError
from tradecore.testing import workloads
from tradecore.testing.oracle import OracleConfig, OracleEngine

# SHA-256 at 10,000 commands and the canonical seed; see test_workloads.PINNED.
PINNED = {
    "retail-day": "fff218832118086408948446eb0173e26aa574fe87b2a967f18f0f662f4551f1",
    "news-burst": "8a6e1aa6cbc8efabf4c5e750dbecc4a765b7fde3ae81eaf9cc0c6a07443478e7",
    "quote-stuffing": "31ce4f464c2d5b1fee18e94dfa94fce091f2fea9c2c8d2d40b3d5226991dbca0",
    "auction-open": "ee877b3bee79b9efdf97f562b38a4d673694f24fd2671e92c572ff47432c1459",
}
COUNT = 40_000


@pytest.fixture(scope="module", params=workloads.SCENES)
def scene(request: pytest.FixtureRequest) -> workloads.Workload:
    return workloads.make(request.param, COUNT)


def test_make_pinned_seed_gives_the_published_bytes() -> None:
    assert {name: workloads.make(name, 10_000).sha256 for name in workloads.SCENES} == PINNED


def test_make_other_seed_gives_other_bytes(scene: workloads.Workload) -> None:
    assert workloads.make(scene.name, COUNT, seed=3).sha256 != scene.sha256


@pytest.mark.parametrize("commands", [1, 2, 199, 200])
@pytest.mark.parametrize("name", workloads.SCENES)
def test_make_short_lengths_are_exact(name: str, commands: int) -> None:
    assert len(workloads.make(name, commands).commands()) == commands


def test_time_never_goes_back(scene: workloads.Workload) -> None:
    assert (np.diff(scene.commands()["ts_ns"].astype(np.int64)) >= 0).all()


def test_orders_have_one_account_instrument_and_life(scene: workloads.Workload) -> None:
    m = scene.messages
    seen: dict[int, tuple[int, int, int]] = {}
    columns = (m.kind, m.order_id, m.side, m.instrument_id, m.account_id)
    for kind, order_id, *rest in zip(*(c.tolist() for c in columns), strict=True):
        if kind == 3:
            continue
        assert (kind == 0) == (order_id not in seen), "placed twice, or named before"
        assert seen.setdefault(order_id, tuple(rest)) == tuple(rest)
    assert max(seen) < 2**63


def test_engine_refuses_nothing_for_money_or_capacity(scene: workloads.Workload) -> None:
    work = generated(scene.name, COUNT)
    engine = work.engine()
    events = engine.events(work.commands)
    assert not (events["kind"] == EventKind.REJECTED).any()
    engine.check()


def test_retail_day_is_a_session_with_a_rush_at_both_ends() -> None:
    ts = workloads.make("retail-day", COUNT).commands()["ts_ns"].astype(np.int64)
    assert (ts[-1] - ts[0]) / 1e9 == pytest.approx(6.5 * 3_600, rel=0.001)
    hours = np.bincount((ts - ts[0]) * 13 // (ts[-1] - ts[0] + 1), minlength=13)
    assert hours[0] > 2.5 * hours[6]
    assert hours[12] > 1.8 * hours[6]
    assert hours[0] > hours[12]
    # The densities the minutes were given: 6.0 at the open, 1.0 at noon.
    minutes = np.bincount((ts - ts[0]) // 60_000_000_000, minlength=391)
    assert minutes[0] / minutes[190:200].mean() == pytest.approx(5.9, rel=0.15)


def test_retail_day_has_few_cancels_and_no_replace() -> None:
    found = shape("retail-day", 200_000)  # the first 40,000 orders build the book
    assert found.replace == 0
    assert found.cancel < 0.3
    assert found.fills > 0.3 * found.commands


def test_news_burst_multiplies_the_load_on_one_instrument() -> None:
    work = workloads.make("news-burst", COUNT)
    frames, m = work.commands(), work.messages
    step = np.diff(frames["ts_ns"].astype(np.int64))
    assert set(step.tolist()) == {10_000, 500}
    rush = np.flatnonzero(step == 500)
    assert len(rush) == pytest.approx(0.4 * COUNT, abs=1)
    assert (m.instrument_id[rush + 1] == 0).all()
    before = m.px[: rush[0]][(m.instrument_id[: rush[0]] == 0) & (m.px[: rush[0]] > 0)]
    after = m.px[rush[0] + 1 : rush[0] + 200]
    assert np.median(after[after > 0]) / before[-1] == pytest.approx(1.08, abs=0.01)


def test_quote_stuffing_never_trades_with_what_is_stuffed() -> None:
    work = generated("quote-stuffing", COUNT)
    frames = work.commands
    mine = frames["account_id"] == 1
    assert mine.mean() > 0.6
    ids = set(frames["order_id"][mine].tolist())
    events = work.engine().events(frames)
    stuffed = {i for i in ids if i > 0}
    own = frames[mine]
    placed = own[own["kind"] == CommandKind.NEW_ORDER]["order_id"]
    followed = own[own["kind"] == CommandKind.CANCEL_ORDER]["order_id"]
    pairs = set(placed.tolist()) & set(followed.tolist())
    assert len(pairs) >= 8 * (COUNT * 3 // 10 // 8)
    fills = events[events["kind"] == EventKind.FILL]
    filled = set(fills["order_id"].tolist())
    # Account 1 also trades as anybody else does; of its paired orders hardly one was reached.
    assert len(filled & stuffed) < 0.01 * len(pairs)


def test_auction_open_uncrosses_every_instrument_once() -> None:
    work = generated("auction-open", COUNT)
    admin = work.commands.view(ADMIN)
    phases = admin[admin["kind"] == CommandKind.SET_PHASE]
    assert phases["phase"].tolist() == [Phase.AUCTION] * 50 + [Phase.CONTINUOUS] * 50
    events = work.engine().events(work.commands)
    auctions = events[events["kind"] == EventKind.AUCTION]
    assert len(auctions) == 50
    first = int(np.flatnonzero(admin["phase"] == Phase.CONTINUOUS)[0])
    head = work.engine().events(work.commands[:first])
    assert not (head["kind"] == EventKind.FILL).any()


def test_records_of_a_scene_with_phases_are_refused() -> None:
    with pytest.raises(ConfigError, match="phases"):
        workloads.make("auction-open", 1_000).records()


@pytest.mark.parametrize("name", ["quote-stuffing", "auction-open"])
def test_engine_and_naive_engine_agree(name: str) -> None:
    work = generated(name, 600)
    # The naive engine opens an account in a millisecond: only those that trade are set up.
    instruments = 4 * work.config.max_instruments
    admin = work.setup[instruments:].view(ADMIN)
    used = np.isin(admin["account_id"], np.unique(work.commands["account_id"]))
    setup = np.concatenate([work.setup[:instruments], work.setup[instruments:][used]])
    oracle, engine = OracleEngine(OracleConfig.like(work.config)), Engine(work.config)
    assert bytes(engine.apply(setup)) == bytes(oracle.apply(setup.tobytes()))
    for batch in work.batches(100):
        assert bytes(engine.apply(batch)) == bytes(oracle.apply(batch.tobytes()))
