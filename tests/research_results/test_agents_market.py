"""Simulated traders: their books balance, a seed repeats, and what they sent is what was traded."""

from __future__ import annotations

import numpy as np
import pytest

import tradecore as tc
from tradecore.data.flows import instrument_frames
from tradecore.errors import ConfigError
from tradecore.research import Strategy, backtest
from tradecore.research.agents_market import AgentMarket, Traders

pytest.importorskip("numba")

SMALL = {"zero_intelligence": 140, "makers": 12, "momentum": 28, "informed": 20}


@pytest.fixture(scope="module")
def market() -> AgentMarket:
    made = AgentMarket(Traders(seed=5, outsiders=1, **SMALL), keep=True)
    made.run(seconds=120)
    return made


def test_same_seed_is_the_same_market_however_it_is_stepped(market: AgentMarket) -> None:
    again = AgentMarket(Traders(seed=5, outsiders=1, **SMALL), keep=True)
    for _ in range(120):
        again.run(seconds=1)
    assert again.engine.state_hash() == market.engine.state_hash()
    assert again.agents.tobytes() == market.agents.tobytes()
    other = AgentMarket(Traders(seed=6, outsiders=1, **SMALL))
    other.run(seconds=120)
    assert other.engine.state_hash() != market.engine.state_hash()


def test_positions_and_cash_add_up_to_nothing(market: AgentMarket) -> None:
    market.engine.check()
    assert market.agents["position"].sum() == 0
    assert market.agents["cash"].sum() == 0
    assert abs(sum(market.profits().values())) < 1e-6
    assert market.agents["traded"].sum() == 2 * market.world["volume"][0]
    assert market.world["fills"][0] > 1_000


def test_their_books_are_those_of_the_engines_events(market: AgentMarket) -> None:
    """Replayed through another engine, the fills give everybody's position and cash."""
    market._flush()
    frames = np.concatenate(market._kept)
    engine = tc.Engine(max_instruments=1, max_orders=1 << 12)
    engine.apply(instrument_frames(1))
    events = engine.events(frames).view(tc.FILL_EVENT)
    assert engine.state_hash() == market.engine.state_hash()
    fills = events[events["kind"] == tc.EventKind.FILL]
    signed = np.where(fills["side"] == 1, fills["last_qty"], -fills["last_qty"])
    position = np.zeros(len(market.agents), np.int64)
    cash = np.zeros(len(market.agents), np.int64)
    for side, who in ((1, fills["account_id"]), (-1, fills["maker_account_id"])):
        np.add.at(position, who, side * signed)
        np.add.at(cash, who, -side * signed * fills["last_px"])
    assert (position == market.agents["position"]).all()
    assert (cash == market.agents["cash"]).all()
    rejected = events["kind"] == tc.EventKind.REJECTED
    assert not rejected.any(), "traders know which of their orders are alive"


def test_open_orders_are_those_of_the_book(market: AgentMarket) -> None:
    for side, left in ((1, "bid_left"), (2, "ask_left")):
        standing = sum(qty for _, qty, _ in market.engine.depth(0, side, 10_000))
        assert standing == market.agents[left].sum()


def test_wakeups_come_at_the_stated_rate(market: AgentMarket) -> None:
    """188 traders once a second and 12 makers four times: 236 a second, Poisson."""
    expected = 120 * (188 + 4 * 12)
    assert abs(market.wakeups - expected) < 5 * expected**0.5


def test_prices_follow_the_fair_value_and_the_informed_earn() -> None:
    """Glosten and Milgrom: those who know take from those who do not, and prices learn."""
    market = AgentMarket(Traders(seed=1, fair_step=16))
    gaps = []
    for _ in range(60):
        market.run(seconds=5)
        gaps.append(abs(market.middle() - market.fair_px))
    earned = market.profits()
    assert earned["informed"] > 0 > earned["zero_intelligence"]
    moved = abs(market.fair_px - 10_000)
    assert np.median(gaps) < max(6, moved)


def test_recording_runs_in_a_backtest(market: AgentMarket) -> None:
    class Idle(Strategy):
        pass

    result = backtest(market.recording(), Idle())
    assert result.info.commands == market.world["commands"][0]


def test_outsider_trades_like_everybody() -> None:
    market = AgentMarket(Traders(seed=5, outsiders=1, **SMALL))
    market.run(seconds=5)
    me = market.traders.total - 1
    _, ask = market.engine.best(0)
    assert ask is not None
    market.take(me, 1, ask, 1)
    assert market.agents[me]["position"] == 1
    assert market.agents[me]["cash"] == -ask
    market.quote(me, 1, 5, 7)
    market.quote(me, 1, 6, 7)
    assert (6, 7, 1) in market.engine.depth(0, 1, 1_000)
    market.quote(me, 1, 0, 7)
    assert all(px != 6 for px, _, _ in market.engine.depth(0, 1, 1_000))


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"makers": -1}, "million"), ({"mean_ns": 1}, "mean_ns"), ({"first_px": 0}, "first_px")],
)
def test_impossible_markets_are_refused(fields: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Traders(**fields)
