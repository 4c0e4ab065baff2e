"""Nothing depends on where a recording is cut, nor on how many instruments it has beside others."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from research.flow_builder import BUY, SELL, Flow
from research.test_compiled import Quoter, market
from research.test_live import Restless
from tradecore.errors import ConfigError
from tradecore.research import InstrumentInfo, Latency, Recording, Strategy, StrategyError, backtest


def cut(recording: Recording, sizes: list[int]) -> Recording:
    (frames,) = recording.chunks
    edges = np.cumsum([0, *sizes])
    edges = np.append(edges[edges < len(frames)], len(frames))
    chunks = [frames[a:b] for a, b in pairwise(edges)]
    return Recording(
        name=recording.name,
        chunks=chunks,
        instruments=recording.instruments,
        max_orders=recording.max_orders,
    )


@pytest.mark.parametrize("size", [1, 2, 7, 499])
@pytest.mark.parametrize("latency", [0, 130])
def test_result_does_not_depend_on_the_cuts(size: int, latency: int) -> None:
    # Every third time stamp is shared by two frames, so that cuts fall inside stamps as well.
    recording = market(steps=1_000)
    frames = recording.chunks[0].copy()
    frames["ts_ns"] -= (np.arange(len(frames)) % 3 == 0).astype(np.uint64) * np.uint64(100)
    recording = Recording.of(frames, instruments=recording.instruments)
    delays = Latency.of(latency, latency, latency)
    for kind in (Quoter, Restless) if not latency else (Quoter,):
        whole, parts = kind(), kind()
        first = backtest(recording, whole, latency=delays, sample_ns=5_000)
        pieces = cut(recording, [size] * (len(recording) // size + 1))
        second = backtest(pieces, parts, latency=delays, sample_ns=5_000)
        assert first.hash() == second.hash()
        assert first.info.state_hash == second.info.state_hash
        if isinstance(whole, Restless):
            assert whole.heard == parts.heard  # type: ignore[attr-defined]


class Both(Strategy):
    """Buys in one instrument what is offered in the other."""

    def on_start(self) -> None:
        self.books: list[Any] = []
        self.trades: list[Any] = []

    def on_book(self, book: Any) -> None:
        self.books.append(tuple(book))
        if book.instrument_id == 1 and len(self.books) == 2:
            self.buy(60, 4, 0)
            self.buy(70, 2, 1)

    def on_trade(self, trade: Any) -> None:
        self.trades.append((trade.ts_ns, trade.instrument_id, trade.px, trade.qty))


def two() -> Flow:
    flow = Flow().new(10, 1, SELL, 60, 3).new(20, 2, SELL, 70, 5, instrument_id=1)
    return flow.new(30, 3, SELL, 61, 9).take(40, BUY, 61, 1).cancel(50, 2)


def test_instruments_are_told_and_traded_apart() -> None:
    recording = Recording.of(two().frames(), instruments={0: InstrumentInfo(), 1: InstrumentInfo()})
    strategy = Both()
    result = backtest(recording, strategy, sample_ns=25)
    assert [(b[0], b[1], b[4], b[5]) for b in strategy.books] == [
        (10, 0, 60, 3),
        (20, 1, 70, 5),
        (20, 0, 0, 0),  # we took all three lots; the fourth of ours rests at 60
        (20, 1, 70, 3),
        (30, 0, 61, 9),
        (40, 0, 61, 8),
        (50, 1, 0, 0),
    ]
    assert strategy.trades == [(20, 0, 60, 3), (20, 1, 70, 2), (40, 0, 61, 1)]
    assert (strategy.position(0), strategy.position(1)) == (3, 2)
    by_instrument = {int(r["instrument_id"]): int(r["position_qty"]) for r in result.quotes}
    assert by_instrument == {0: 3, 1: 2}


def test_strategy_that_names_no_instrument_of_several_is_told_so() -> None:
    class Vague(Strategy):
        def on_book(self, book: Any) -> None:
            self.buy(60, 1)

    recording = Recording.of(two().frames(), instruments={0: InstrumentInfo(), 1: InstrumentInfo()})
    with pytest.raises(StrategyError, match="the run has 2 instruments: name one"):
        backtest(recording, Vague())
    with pytest.raises(ConfigError, match="names no instrument"):
        backtest(Recording.of(two().frames(), instruments={}), Vague())
