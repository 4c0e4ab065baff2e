"""A simulated session: the market of `tradecore.agents` through one engine, measured as it goes.

Time is measured in three parts, because only one of them is the engine: making commands (numpy),
`Engine.apply`, and looking at events (numpy). What happens depends on the seed alone; the clock is
read, but nothing is decided by it.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tradecore.agents import Market, MarketSpec, Scoreboard
from tradecore.agents.seen import Seen
from tradecore.dtypes import EVENT
from tradecore.engine import Engine
from tradecore_ext.framing import count_commands

__all__ = ["History", "Session", "Trade"]

_TRADES_KEPT = 32
_DEPTH_SAMPLES = 240
_DEPTH_LEVELS = 60

Frames = npt.NDArray[np.void]


class Trade(NamedTuple):
    """One fill as the tape shows it. `side` is the taker's; `at_ns` is log time."""

    at_ns: int
    instrument: int
    side: int
    px: int
    qty: int


class History:
    """What the plots are made of, one entry a step (depth: less often).

    Attributes
    ----------
    at_ns : list of int
        Log time.
    px : list of ndarray of int64, shape (instruments,)
        Last prices, ticks.
    pnl : list of ndarray of int64, shape (classes + 1,)
        Result of every class, quote units.
    depth : list of (int, bids, asks)
        Number of the step, and levels (px, qty, orders) of the first instrument.
    halts : list of (int, int, int)
        Number of the step, instrument, phase: when a breaker or a timer changed the phase.
    """

    def __init__(self) -> None:
        self.at_ns: list[int] = []
        self.px: list[npt.NDArray[np.int64]] = []
        self.pnl: list[npt.NDArray[np.int64]] = []
        self.depth: list[tuple[int, list[Any], list[Any]]] = []
        self.halts: list[tuple[int, int, int]] = []


class Session:
    """One run of a market.

    Parameters
    ----------
    spec : MarketSpec
    seed : int
    steps : int
        Steps of continuous trading between the auctions.
    journal : callable, optional
        Called with every batch of commands before the engine sees it.

    Attributes
    ----------
    engine : Engine
    market : Market
    score : Scoreboard
    commands, events : int
    make_s, engine_s, look_s : float
        Seconds spent making commands, in the engine, looking at events.
    kinds : ndarray of int64
        Events by kind.
    refusals : Counter
        Refusals by status.
    trades : deque of Trade
        The last ones.
    """

    def __init__(
        self,
        spec: MarketSpec,
        seed: int,
        steps: int,
        journal: Callable[[Frames], object] | None = None,
    ) -> None:
        self.spec, self.steps = spec, steps
        self.market = Market(spec, np.random.Generator(np.random.PCG64(seed)))
        self.engine = Engine(self.market.engine_config())
        self.score = Scoreboard(self.market.people)
        self.history = History()
        self.commands = self.events = 0
        self.make_s = self.engine_s = self.look_s = 0.0
        self.kinds: npt.NDArray[np.int64] = np.zeros(32, np.int64)
        self.refusals: Counter[int] = Counter()
        self.liquidated: set[int] = set()
        self.trades: deque[Trade] = deque(maxlen=_TRADES_KEPT)
        self.step = 0
        self._journal = journal
        self._depth_every = max(1, steps // _DEPTH_SAMPLES)

    def run(self) -> Iterator[int]:
        """Open the market and trade; yield the number of steps done after each.

        The books are full when this ends: `close` ends the session.
        """
        engine, market = self.engine, self.market
        for frames in market.opening():
            self._apply(frames)
        ids = self.spec.ids
        for step in range(self.steps):
            self.step = step
            begin = time.perf_counter()
            frames = market.batch([engine.best(i) for i in ids])
            self.make_s += time.perf_counter() - begin
            self._apply(frames)
            self._note()
            yield step + 1

    def close(self) -> None:
        """Run the closing auction and the close, then cancel every order that is left."""
        for frames in self.market.closing():
            self._apply(frames)
        self._apply(self.market.drain())

    def _apply(self, frames: Frames) -> None:
        if self._journal is not None:
            self._journal(frames)
        begin = time.perf_counter()
        batch = self.engine.apply(frames)
        done = time.perf_counter()
        self.engine_s += done - begin
        seen = Seen(np.frombuffer(memoryview(batch), EVENT))
        self.market.observe(seen)
        self.score.observe(seen)
        self.commands += count_commands(frames)
        self.events += seen.count
        self.kinds += seen.counts
        if len(seen.refused):
            self.refusals.update(seen.refused.tolist())
        self.liquidated.update(seen.states[seen.states[:, 1] >= 3, 0].tolist())
        self._read_tape(seen)
        self.look_s += time.perf_counter() - done

    def _read_tape(self, seen: Seen) -> None:
        now = self.market.view.now_ns
        for fill in seen.fills[-_TRADES_KEPT:]:
            self.trades.append(
                Trade(
                    now,
                    int(fill["instrument_id"]) - 1,
                    int(fill["side"]),
                    int(fill["last_px"]),
                    int(fill["last_qty"]),
                )
            )
        for event in seen.phases:
            at = int(event["instrument_id"]) - 1
            self.history.halts.append((self.step, at, int(event["phase"])))

    def _note(self) -> None:
        begin = time.perf_counter()
        history, score = self.history, self.score
        history.at_ns.append(self.market.view.now_ns)
        history.px.append(score.last_px.copy())
        history.pnl.append(score.by_class(score.pnl()))
        if self.step % self._depth_every == 0:
            first = self.spec.ids[0]
            bids = self.engine.depth(first, 1, _DEPTH_LEVELS)
            asks = self.engine.depth(first, 2, _DEPTH_LEVELS)
            history.depth.append((self.step, bids, asks))
        self.look_s += time.perf_counter() - begin
