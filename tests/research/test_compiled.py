"""A compiled strategy and its Python twin do the same: row by row, with every latency."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from research.flow_builder import BUY, SELL, Flow
from tradecore.errors import ConfigError
from tradecore.research import Latency, Recording, Strategy, StrategyError, backtest, run_compiled
from tradecore_ext.backtest import row_sizes

numba = pytest.importorskip("numba")

from tradecore.kernels import backtest as bt  # noqa: E402 - needs Numba
from tradecore.research.records import TABLES  # noqa: E402


@cache
def market(seed: int = 3, steps: int = 3_000) -> Recording:
    """A seeded random flow around a wandering price."""
    draw = np.random.default_rng(seed)
    flow = Flow()
    mid, alive = 1_000, []
    for number in range(steps):
        ts = 100 * (number + 1)
        mid += int(draw.integers(-1, 2))
        what = draw.random()
        side = int(draw.integers(1, 3))
        if what < 0.55 or not alive:
            px = mid - int(draw.integers(1, 6)) if side == BUY else mid + int(draw.integers(1, 6))
            flow.new(ts, number + 1, side, px, int(draw.integers(1, 20)))
            alive.append(number + 1)
        elif what < 0.85:
            flow.cancel(ts, alive.pop(int(draw.integers(0, len(alive)))))
        else:
            px = mid + 8 if side == BUY else mid - 8
            flow.take(ts, side, px, int(draw.integers(1, 15)))
    return flow.recording(maker_fee_ppm=-10, taker_fee_ppm=30)


@numba.njit  # type: ignore[misc]
def quoter(handle, params):  # type: ignore[no-untyped-def]
    bid = ask = bid_px = ask_px = 0
    while bt.wait(handle, bt.FOREVER) > bt.END:
        b, a = bt.bid_px(handle, 0), bt.ask_px(handle, 0)
        if b == 0 or a == 0:
            continue
        position = bt.position(handle, 0)
        if bid != 0 and bt.leaves(handle, bid) == 0:
            bid = 0
        if ask != 0 and bt.leaves(handle, ask) == 0:
            ask = 0
        if bid != 0 and bid_px != b:
            bt.cancel(handle, bid)
            bid = 0
        if ask != 0 and ask_px != a:
            bt.cancel(handle, ask)
            ask = 0
        if bid == 0 and position < params[0]:
            bid, bid_px = bt.submit(handle, 0, BUY, b, 3), b
        if ask == 0 and position > -params[0]:
            ask, ask_px = bt.submit(handle, 0, SELL, a, 3), a


class Quoter(Strategy):
    most = 9
    bid = ask = bid_px = ask_px = 0

    def on_book(self, book: object) -> None:
        _, _, b, _, a, _ = book  # type: ignore[misc]
        if not b or not a:
            return
        if self.bid and not self.leaves(self.bid):
            self.bid = 0
        if self.ask and not self.leaves(self.ask):
            self.ask = 0
        if self.bid and self.bid_px != b:
            self.cancel(self.bid)
            self.bid = 0
        if self.ask and self.ask_px != a:
            self.cancel(self.ask)
            self.ask = 0
        if not self.bid and self.position() < self.most:
            self.bid, self.bid_px = self.buy(b, 3), b
        if not self.ask and self.position() > -self.most:
            self.ask, self.ask_px = self.sell(a, 3), a


@pytest.mark.parametrize("latency", [(0, 0, 0), (150, 0, 0), (0, 250, 70), (320, 110, 90)])
def test_compiled_strategy_equals_its_python_twin(latency: tuple[int, int, int]) -> None:
    recording = market()
    delays = Latency.of(*latency)
    ours = backtest(recording, Quoter(), latency=delays, sample_ns=10_000)
    theirs = run_compiled(
        recording, quoter, np.array([9]), subscribe=("book",), latency=delays, sample_ns=10_000
    )
    assert ours.hash() == theirs.hash()
    assert ours.info.state_hash == theirs.info.state_hash
    assert len(ours.fills) > 20


def test_own_cancels_and_fills_are_told_to_compiled_strategies() -> None:
    @numba.njit  # type: ignore[misc]
    def counts(handle, seen):  # type: ignore[no-untyped-def]
        order = bt.submit(handle, 0, BUY, 990, 5)
        while True:
            what = bt.wait(handle, bt.FOREVER)
            if what <= bt.END:
                return
            if what == bt.ORDER:
                note = bt.note(handle)
                seen[note.event] += 1
                if note.event == 1:
                    bt.cancel(handle, order)

    seen = np.zeros(20, np.int64)
    run_compiled(market(), counts, seen, subscribe=("order",))
    assert seen[1] == 1
    assert seen[4] + seen[3] >= 1


def test_runaway_compiled_strategy_is_stopped() -> None:
    @numba.njit  # type: ignore[misc]
    def floods(handle, params):  # type: ignore[no-untyped-def]
        while bt.wait(handle, bt.FOREVER) > bt.END:
            for _ in range(1_000):
                bt.submit(handle, 0, BUY, 1, 1)

    with pytest.raises(StrategyError, match="more than 500 commands in one call") as caught:
        run_compiled(market(), floods, subscribe=("book",), max_sent=500)
    assert caught.value.result is not None


def test_unknown_subscription_is_refused() -> None:
    with pytest.raises(ConfigError, match="books"):
        run_compiled(market(), quoter, np.array([9]), subscribe=("books",))


def test_rows_have_the_layout_of_the_compiled_structs() -> None:
    sizes = row_sizes()
    assert sizes.pop("notice") == bt.NOTICE.itemsize
    assert sizes == {name: dtype.itemsize for name, dtype in TABLES.items()}
