"""A market of simulated traders on one book: reproducible order flow, and a place to try things in.

The traders themselves are compiled (`tradecore.kernels.agents`); here are their numbers, the engine
they trade on, and what a run leaves behind. The commands of a market can be kept as a `Recording`,
so that everything that reads a recorded day reads a simulated one.

>>> market = AgentMarket(Traders(seed=7))
>>> market.run(seconds=10)
>>> market.wakeups == int(market.agents["wakeups"].sum())
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.dtypes import COMMAND
from tradecore.engine import Engine, EngineConfig
from tradecore.errors import ConfigError, EngineFault

if TYPE_CHECKING:
    from tradecore.research.recording import Recording

__all__ = ["FOREVER", "AgentMarket", "Traders"]

FOREVER: Final = (1 << 62) - 1
_QUANTILES: Final = 4_096
_BUFFER: Final = 1 << 16
_INSTRUMENT: Final = 0


class Traders(msgspec.Struct, frozen=True, kw_only=True):
    """Who is in the market, and what its fair value does.

    Attributes
    ----------
    zero_intelligence, makers, momentum, informed : int
        How many of each.
    mean_ns : int
        Mean gap between two wake-ups of one trader; makers look four times as often.
    first_px : int
        Fair value at the beginning, ticks.
    fair_step_ns, fair_step : int
        How often the fair value moves, and the most it moves then, in sixteenths of a tick.
    outsiders : int
        Accounts that do not wake up: somebody else decides for them.
    seed : int
    """

    zero_intelligence: int = 700
    makers: int = 60
    momentum: int = 140
    informed: int = 100
    mean_ns: int = 1_000_000_000
    first_px: int = 10_000
    fair_step_ns: int = 100_000_000
    fair_step: int = 8
    outsiders: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (self.zero_intelligence, self.makers, self.momentum, self.informed, self.outsiders)
        if min(counts) < 0 or not 1 <= sum(counts) <= 1_000_000:
            raise ConfigError("one to a million traders are needed, of no kind fewer than none")
        if not 1_000 <= self.mean_ns <= 10**12:
            raise ConfigError(f"mean_ns is {self.mean_ns}; it must be 1,000..10**12")
        if not 100 <= self.first_px <= 1 << 40:
            raise ConfigError(f"first_px is {self.first_px}; it must be 100..2**40 ticks")
        if self.fair_step_ns < 1_000 or not 0 <= self.fair_step <= 1 << 20:
            raise ConfigError("fair_step_ns >= 1,000 and fair_step 0..2**20 are needed")
        if not 0 <= self.seed < 1 << 63:
            raise ConfigError("a seed is a number of 63 bits")

    @property
    def total(self) -> int:
        """How many accounts there are."""
        return self.zero_intelligence + self.makers + self.momentum + self.informed + self.outsiders


class AgentMarket:
    """A running market; time stands still between two calls of `run`.

    Parameters
    ----------
    traders : Traders
    keep : bool
        Keep every command, for `recording`; 64 bytes each.

    Attributes
    ----------
    engine : Engine
        The book, of instrument 0. Everybody's orders, accounts off.
    agents : ndarray of tradecore.kernels.agents.AGENT, shape (traders,)
        In the order zero intelligence, makers, momentum, informed, outsiders.
    world : ndarray of tradecore.kernels.agents.WORLD, shape (1,)
    """

    def __init__(self, traders: Traders | None = None, *, keep: bool = False) -> None:
        from tradecore.kernels import agents as compiled

        self._compiled = compiled
        self.traders = traders = traders or Traders()
        self.keep = keep
        self._kept: list[npt.NDArray[np.void]] = []
        self._frame = np.zeros(1, COMMAND)
        self._frames = np.zeros(_BUFFER if keep else 0, COMMAND)
        self.engine = Engine(
            EngineConfig(
                max_instruments=1, max_orders=1 << (4 * traders.total).bit_length(), max_groups=2
            )
        )
        self.engine.define_instrument(_INSTRUMENT)
        draw = np.random.Generator(np.random.PCG64(traders.seed))
        self.agents = _people(traders, draw)
        self.world = _world(traders)
        self._gaps = _exponential_gaps()
        self._at_ns = np.full(traders.total, FOREVER, np.int64)
        waking = traders.total - traders.outsiders
        means = self.agents["mean_ns"][:waking]
        self._at_ns[:waking] = (draw.integers(0, 1 << 20, waking) * (means >> 10) >> 10) + 1
        self._heap = np.arange(waking, dtype=np.int64)
        compiled.heapify(self._at_ns, self._heap)

    def run(self, *, seconds: float | None = None, wakeups: int | None = None) -> None:
        """Go on for so many seconds of the market's time, or so many wake-ups.

        Raises
        ------
        ConfigError
            Not exactly one of the two.
        EngineFault
            The engine stopped.
        """
        if (seconds is None) == (wakeups is None):
            raise ConfigError("say either seconds or wakeups")
        if wakeups is None:
            self.run_until(self.now_ns + round((seconds or 0) * 1e9))
        else:
            self._go(FOREVER, wakeups)

    def run_until(self, ts_ns: int) -> None:
        """Go on to a time of the market. O(wake-ups log traders)."""
        self._go(ts_ns, FOREVER >> 1)

    def _go(self, until_ns: int, wakeups: int) -> None:
        compiled = self._compiled
        end = self.wakeups + wakeups
        while True:
            why = compiled.run(
                *(self.engine.handle, self.agents, self._at_ns, self._heap, self.world),
                *(self._gaps, self._frame, self._frames),
                *(until_ns, end - self.wakeups, _INSTRUMENT),
            )
            if why == compiled.FULL:
                self._flush()
                continue
            if why == compiled.FAULT:
                raise EngineFault(f"the engine stopped at {self.now_ns} ns")
            return

    def _flush(self) -> None:
        n = int(self.world["recorded"][0])
        if n:
            self._kept.append(self._frames[:n].copy())
            self.world["recorded"] = 0

    def quote(self, who: int, side: int, px: int, qty: int) -> None:
        """Let an account's one order of a side (1 buy, 2 sell) stand at a price; 0 cancels it."""
        self._outside(self._compiled.quote, who, side, px, qty)

    def take(self, who: int, side: int, px: int, qty: int) -> None:
        """Let an account take what stands up to a price."""
        self._outside(self._compiled.take, who, side, px, qty)

    def _outside(self, act: Any, who: int, side: int, px: int, qty: int) -> None:
        if not 0 <= who < self.traders.total or side not in (1, 2) or px < 0 or qty < 1:
            raise ConfigError("a known account, side 1 or 2, px >= 0 and qty >= 1 are needed")
        if self.keep and int(self.world["recorded"][0]) + 1 >= len(self._frames):
            self._flush()
        self._frame["instrument_id"] = _INSTRUMENT
        act(
            *(self.engine.handle, self.agents, self.world[0], self._frame, self._frames),
            *(who, side, px, qty),
        )

    @property
    def now_ns(self) -> int:
        """The market's time."""
        return int(self.world["now_ns"][0])

    @property
    def wakeups(self) -> int:
        """Decisions taken so far."""
        return int(self.world["wakeups"][0])

    @property
    def fair_px(self) -> float:
        """The value that only the informed see, in ticks."""
        return float(self.world["fair"][0]) / self._compiled.SCALE

    def middle(self) -> float:
        """Return the middle of the best prices; the last trade's where a side is empty."""
        bid, ask = self.engine.best(_INSTRUMENT)
        if bid is None or ask is None:
            return float(self.world["last_px"][0])
        return (bid + ask) / 2

    def profits(self) -> dict[str, float]:
        """Return what each kind of trader has made in sum, ticks x lots, positions at the middle.

        They add up to zero: nobody pays a fee, and what one makes another loses.
        """
        worth = self.agents["cash"] + self.agents["position"] * self.middle()
        names = {1: "zero_intelligence", 2: "makers", 3: "momentum", 4: "informed", 0: "outsiders"}
        kinds = self.agents["kind"]
        return {name: float(worth[kinds == kind].sum()) for kind, name in names.items()}

    def recording(self, symbol: str = "SIM") -> Recording:
        """Return everything that was sent so far as recorded flow, one account's.

        Raises
        ------
        ConfigError
            The market was made without ``keep=True``.
        """
        from tradecore.research.recording import InstrumentInfo, Recording

        if not self.keep:
            raise ConfigError("nothing was kept: AgentMarket(..., keep=True)")
        self._flush()
        frames = np.concatenate(self._kept) if self._kept else np.zeros(0, COMMAND)
        # The flow of a recording is everybody else's, and belongs to one account.
        frames["account_id"] = 0
        about = {_INSTRUMENT: InstrumentInfo(symbol=symbol, px_decimals=2)}
        name = f"agents, seed {self.traders.seed}"
        made = Recording.of(frames, name, instruments=about)
        made.max_orders = 4 * self.traders.total
        return made


def _people(traders: Traders, draw: np.random.Generator) -> npt.NDArray[np.void]:
    """Return everybody, with sizes and widths of their own."""
    from tradecore.kernels import agents as compiled

    # kind, how many, mean gap, sizes, widths, most lots held
    classes = (
        (compiled.ZERO, traders.zero_intelligence, traders.mean_ns, (1, 8), (4, 20), 200),
        (compiled.MAKER, traders.makers, max(traders.mean_ns // 4, 1_000), (5, 20), (2, 8), 100),
        (compiled.MOMENTUM, traders.momentum, traders.mean_ns, (1, 5), (2, 6), 20),
        (compiled.INFORMED, traders.informed, traders.mean_ns, (1, 8), (1, 4), 400),
        (compiled.EXTERNAL, traders.outsiders, traders.mean_ns, (1, 1), (1, 1), 1),
    )
    rows = []
    for kind, count, mean_ns, sizes, widths, most in classes:
        part = np.zeros(count, compiled.AGENT)
        part["kind"], part["mean_ns"], part["most"] = kind, mean_ns, most
        part["size"] = draw.integers(sizes[0], sizes[1] + 1, count)
        part["width"] = draw.integers(widths[0], widths[1] + 1, count)
        part["memory"] = traders.first_px * compiled.SCALE
        rows.append(part)
    return np.concatenate(rows)


def _world(traders: Traders) -> npt.NDArray[np.void]:
    from tradecore.kernels import agents as compiled

    world = np.zeros(1, compiled.WORLD)
    world["rng"] = traders.seed
    world["fair"] = traders.first_px * compiled.SCALE
    world["fair_step_ns"] = world["fair_at_ns"] = traders.fair_step_ns
    world["fair_step"], world["last_px"] = traders.fair_step, traders.first_px
    world["floor_px"] = 1
    return world


def _exponential_gaps() -> npt.NDArray[np.int64]:
    """Return the middles of 4,096 equal steps of probability of an exponential of mean 2**16."""
    steps = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    gaps: npt.NDArray[np.int64] = np.rint(-65_536 * np.log1p(-steps)).astype(np.int64)
    return gaps
