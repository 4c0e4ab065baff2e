"""A real day, order by order: the recorded book, the published counts, and own orders in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tradecore as tc
from shared_data import shared
from tradecore.data.flows import instrument_frames
from tradecore.data.lobster import read_lobster
from tradecore.research import Recording, Strategy, backtest
from tradecore.research.convert import from_lobster, record

pytestmark = pytest.mark.shared

DAY = "data/lobster/LOBSTER_SampleFile_AMZN_2012-06-21_5.zip"
ROWS = 20_000


@pytest.fixture(scope="module")
def day_file() -> Path:
    return shared(DAY)


@pytest.fixture(scope="module")
def recording(day_file: Path) -> Recording:
    return record(from_lobster(day_file))


def test_engine_holds_the_recorded_book_after_every_time_stamp(
    day_file: Path, recording: Recording
) -> None:
    """Without own orders a replay is the recorded market: price and size, five levels."""
    day = read_lobster(day_file)
    engine = tc.Engine(max_instruments=1, max_orders=1 << 17)
    engine.apply(instrument_frames(1))
    frames = np.concatenate(recording.chunks)
    frames = frames[frames["session_id"] < 2]  # repairs and hidden executions concern own orders
    times = frames["ts_ns"].astype(np.int64)
    last_rows = np.flatnonzero(np.diff(day.messages["ts_ns"][:ROWS]) > 0)
    at = compared = 0
    for row in last_rows.tolist():
        upto = int(np.searchsorted(times, day.messages["ts_ns"][row], side="right"))
        if upto > at:
            engine.apply(frames[at:upto])
            at = upto
        for side, column in ((2, 0), (1, 2)):
            levels = day.book[row, :, column : column + 2]
            wanted = [(int(px) // 100, int(qty)) for px, qty in levels if qty > 0]
            have = [(px, qty) for px, qty, _ in engine.depth(0, side, day.levels)]
            assert have == wanted, f"row {row}, side {side}"
        compared += 1
    assert compared > 10_000


def test_room_for_orders_is_that_of_the_moment_not_of_the_day(recording: Recording) -> None:
    new = sum(int((chunk["kind"] == 1).sum()) for chunk in recording.chunks)
    assert new > 100_000
    assert 1_024 < recording.max_orders < new // 4
    backtest(recording, Strategy())  # the engine would refuse orders if there was too little


def test_executions_agree_with_the_published_replay(day_file: Path, recording: Recording) -> None:
    """The published exceptions are the ones that are not in price-time priority here."""
    entry = json.loads(day_file.with_name("expected_replay.json").read_text())["AMZN_5"]
    words = recording.notes[0].split()
    in_priority, executions = (int(words[at].replace(",", "")) for at in (0, 2))
    assert executions == entry["fills"]
    # Ours counts a run with an execution of an order that the file never submits as one in
    # priority only when it stands first, which the published count leaves open: within 0.1 %.
    assert abs(in_priority - entry["fills_ok"]) <= executions // 1_000


def test_strategy_that_does_nothing_leaves_the_market_as_it_was(recording: Recording) -> None:
    class Idle(Strategy):
        pass

    class Watches(Strategy):
        def on_book(self, book: object) -> None: ...

        def on_trade(self, trade: object) -> None: ...

    idle, watches = backtest(recording, Idle()), backtest(recording, Watches())
    assert idle.info.state_hash == watches.info.state_hash
    assert idle.info.counts["repaired"] == idle.info.counts["hidden"] == 0
    assert len(idle.orders) == 0


class Joins(Strategy):
    """Joins both sides at the touch and stays until it is filled or left behind."""

    bid = ask = bid_px = ask_px = 0

    def on_book(self, book: object) -> None:
        _, _, bid_px, _, ask_px, _ = book  # type: ignore[misc]
        if self.bid and not self.leaves(self.bid):
            self.bid = 0
        if self.ask and not self.leaves(self.ask):
            self.ask = 0
        if self.bid and self.bid_px != bid_px:
            self.cancel(self.bid)
            self.bid = 0
        if self.ask and self.ask_px != ask_px:
            self.cancel(self.ask)
            self.ask = 0
        if not self.bid and bid_px and self.position() < 500:
            self.bid, self.bid_px = self.buy(bid_px, 100, post_only=1), bid_px
        if not self.ask and ask_px and self.position() > -500:
            self.ask, self.ask_px = self.sell(ask_px, 100, post_only=1), ask_px


def test_same_run_twice_is_equal_row_by_row(recording: Recording) -> None:
    first = backtest(recording, Joins(), sample_ns=60_000_000_000, sample_levels=3)
    second = backtest(recording, Joins(), sample_ns=60_000_000_000, sample_levels=3)
    assert first.hash() == second.hash()
    assert first.info == second.info
    assert len(first.fills) > 100


def test_books_of_the_run_add_up(recording: Recording) -> None:
    result = backtest(recording, Joins(), sample_ns=60_000_000_000, terms={"maker_fee_ppm": -20})
    fills, orders = result.fills, result.orders
    sign = np.where(fills["side"] == 1, 1, -1)
    notional = fills["last_px"] * fills["last_qty"]
    assert (fills["cash_delta"] == -sign * notional - fills["fee"]).all()
    assert (np.cumsum(sign * fills["last_qty"]) == fills["position_qty"]).all()
    by_order = {
        int(o): int(fills["last_qty"][fills["order_id"] == o].sum()) for o in orders["order_id"]
    }
    assert all(by_order[int(o["order_id"])] == o["cum_qty"] for o in orders)
    leaves = orders["order_qty"] - orders["cum_qty"] - orders["canceled_qty"]
    assert (leaves[orders["ended_ns"] >= 0] == 0).all()
    last = result.equity[-1]
    assert last["equity"] == last["cash"] + last["value"]
    assert (np.diff(result.equity["ts_ns"]) == 60_000_000_000).all()
