"""A recorded market ready to run: an engine of the right size, the loop, and what comes out.

Here is everything that the Python runner and compiled strategies share: settings, the engine with
its instruments (and accounts, where they are wanted), the compiled loop over the recording, and the
tables of the result.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
import numpy as np

from tradecore.codes import CommandKind
from tradecore.dtypes import LIMITS
from tradecore.engine import Engine, EngineConfig
from tradecore.errors import CapacityError, ConfigError, DataError, EngineFault
from tradecore.research.errors import StrategyError
from tradecore.research.fidelity import QueueModel
from tradecore.research.latency import Latency
from tradecore.research.recording import (
    RECORDED_ACCOUNT,
    STRATEGY_ACCOUNT,
    Recording,
)
from tradecore.research.records import NEVER, TABLES
from tradecore.research.results import Result, RunInfo
from tradecore_ext.backtest import Backtest

__all__ = ["Market", "Setup", "new_engine"]

_OWN_ORDERS: Final = 1 << 16
_PLENTY: Final = 1 << 58
_LARGE_FILE: Final = 256 << 20

FAULT, BAD_TIME, BAD_FRAME, NO_MEMORY, TOO_MANY, NO_ROOM = -1, -2, -3, -4, -5, -6


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """How a recording is run.

    Attributes
    ----------
    latency : Latency
    terms : dict of str to int
        Fields of `tradecore.INSTRUMENT` that replace the recording's for every instrument:
        ``maker_fee_ppm``, ``taker_fee_ppm``, ``tick``, ``multiplier``, bands, and so on.
    accounts : bool
        The engine's accounts, holds and limits, for everybody; the recorded flow gets plenty.
    deposits : dict of int to int
        Accounts on: what the strategy starts with, by asset. Plenty of everything when empty.
    limits : dict of str to int
        Accounts on: fields of `tradecore.LIMITS` for the strategy's account.
    displaced : {"leave", "stay"}
        What recorded orders do that own fills left unfilled (docs/concepts/backtesting.md).
    queue : QueueModel, optional
        For data without orders: where an own order is taken to stand.
    sample_ns, sample_levels : int
        Interval and depth of the samples of prices and equity; 0 = none.
    record : bool
        Keep a row for every own order and fill. Off for sweeps that need only the sums.
    seed : int
        Moves what the latencies draw, on top of their own seeds: one number for the whole run.
    max_sent : int
        Most commands a strategy may send in one call.
    max_commands : int
        Most it may send in the whole run: two of its own orders can chase each other for ever.
    own_in_book : bool
        Best prices as told include own orders, as a public feed does. Without it they are those of
        everybody else, so that a strategy cannot take its own quote for the market's.
    max_call_s : float
        Longest a Python strategy may take in one call, wall time; 0 = no limit.
    """

    latency: Latency = Latency()
    terms: dict[str, int] = {}
    accounts: bool = False
    deposits: dict[int, int] = {}
    limits: dict[str, int] = {}
    displaced: Literal["leave", "stay"] = "leave"
    queue: QueueModel | None = None
    own_in_book: bool = False
    sample_ns: int = 0
    sample_levels: int = 0
    record: bool = True
    seed: int = 0
    max_sent: int = 10_000
    max_commands: int = 100_000_000
    max_call_s: float = 30.0

    def __post_init__(self) -> None:
        if self.sample_ns < 0 or not 0 <= self.sample_levels < 256 or self.max_sent < 1:
            raise ConfigError("sample_ns >= 0, sample_levels 0..255, max_sent >= 1 are needed")
        if (self.deposits or self.limits) and not self.accounts:
            raise ConfigError("deposits and limits need accounts=True")


class Market:
    """One run of one recording; build a new one for the next.

    Parameters
    ----------
    recording : Recording
    setup : Setup
    subscribed : int
        Bits of what the strategy wants to be told.

    Attributes
    ----------
    engine : tradecore.Engine
    loop : tradecore_ext.backtest.Backtest
    """

    def __init__(self, recording: Recording, setup: Setup, subscribed: int = 0) -> None:
        self.recording = recording
        self.setup = setup
        self.engine = new_engine(recording, setup)
        delayed_feed = setup.latency.feed.how != 0 or setup.latency.feed.constant_ns != 0
        # With a delayed feed the best prices have to travel, whether anybody is told or not.
        self.loop = Backtest(
            self.engine,
            self.engine.handle,
            account_id=STRATEGY_ACCOUNT,
            n_instruments=recording.max_instruments,
            record=3 if setup.record else 0,
            subscribed=subscribed | (8 if delayed_feed else 0),
            max_sent=setup.max_sent,
            sample_every_ns=setup.sample_ns,
            sample_levels=setup.sample_levels,
            keep_displaced=setup.displaced == "stay",
            own_in_book=setup.own_in_book,
            max_ever=setup.max_commands,
        )
        setup.latency.apply(self.loop, setup.seed)
        if recording.fidelity != "L3":
            (setup.queue or QueueModel()).apply(self.loop, recording.fidelity)
        if setup.latency.feed.words == "as recorded" and recording.received is None:
            raise ConfigError(f"{recording.name}: the recording does not say when frames arrived")
        # Of a file that could fill the memory only what is being read stays in it.
        mapped = recording.mapped and 64 * len(recording) > _LARGE_FILE
        for number, chunk in enumerate(recording.chunks):
            received = recording.received[number] if recording.received is not None else None
            self.loop.add_chunk(chunk, received, mapped)
        self.loop.begin()

    def explain(self, what: int, method: str) -> Exception:
        """Return the exception that belongs to a negative answer of the loop."""
        counters = self.loop.counters()
        frame, now = counters["frame"], counters["now_ns"]
        name, offset = self.recording.name, frame * 64
        if what == BAD_TIME:
            return DataError(
                f"frame {frame} is stamped before {counters['last_ns']} ns, which has been "
                "reached: recorded frames must ascend in time",
                name,
                offset,
            )
        if what == BAD_FRAME:
            return DataError(f"frame {frame} is not a frame of a recording", name, offset)
        if what == NO_MEMORY:
            return MemoryError("no memory for the rows of the run")
        if what == TOO_MANY:
            return StrategyError(
                f"more than {self.setup.max_sent} commands in one call, "
                f"or {self.setup.max_commands} in the run",
                method=method,
                now_ns=now,
                frame=frame,
            )
        if what == NO_ROOM:
            room = self.engine.config.max_orders
            return CapacityError(
                f"{name}: {room} orders are alive at frame {frame}, more than was said; raise "
                "Recording.max_orders"
            )
        if what == FAULT:
            return EngineFault(f"the engine stopped at recorded frame {frame} ({now} ns)")
        return AssertionError(f"the loop answered {what}")

    def result(self, strategy: str, params: dict[str, Any], ended: str) -> Result:
        """Return the tables of the run so far. O(rows)."""
        counters = self.loop.counters()
        counts = ("gone", "reduced", "repaired", "hidden", "cash", "realised", "fees")
        calls = ("timer", "book", "trade", "order")
        info = RunInfo(
            strategy=strategy,
            params=params,
            data=[self.recording.name],
            fidelity=self.recording.fidelity,
            queue_model=(
                "exact"
                if self.recording.fidelity == "L3"
                else (self.setup.queue or QueueModel()).words()
            ),
            latency=self.setup.latency.words(),
            instruments={
                number: {
                    "symbol": about.symbol,
                    "px_decimals": about.px_decimals,
                    "qty_decimals": about.qty_decimals,
                    "multiplier": (about.terms | self.setup.terms).get("multiplier", 1),
                    "maker_fee_ppm": (about.terms | self.setup.terms).get("maker_fee_ppm", 0),
                    "taker_fee_ppm": (about.terms | self.setup.terms).get("taker_fee_ppm", 0),
                }
                for number, about in sorted(self.recording.instruments.items())
            },
            seed=self.setup.seed,
            accounts=self.setup.accounts,
            first_ns=self.recording.first_ns,
            last_ns=max(counters["last_ns"], 0),
            commands=counters["commands"],
            events=counters["events"],
            calls={name: counters[f"{name}_calls"] for name in calls},
            counts={name: counters[name] for name in counts},
            state_hash=self.engine.state_hash() if counters["failed"] != FAULT else "",
            ended=ended,
        )
        result = Result(info)
        for name, dtype in TABLES.items():
            setattr(result, name, np.frombuffer(bytearray(self.loop.rows(name)), dtype))
        # What would have been told after the last frame was never told.
        late = result.fills["seen_ns"] > info.last_ns
        result.fills["seen_ns"][late] = NEVER
        return result


def new_engine(recording: Recording, setup: Setup) -> Engine:
    """Return an engine of the right size with the recording's instruments and the accounts."""
    engine = Engine(
        EngineConfig(
            accounts=setup.accounts,
            max_instruments=recording.max_instruments,
            max_orders=(recording.max_orders or 1 << 20) + _OWN_ORDERS,
            max_accounts=2,
            max_groups=2,
            max_assets=max(256, 2 * recording.max_instruments),
            max_wallets=4 * recording.max_instruments + 8,
            max_positions=2 * recording.max_instruments + 8,
        )
    )
    assets: dict[int, None] = {}
    for number, about in sorted(recording.instruments.items()):
        terms = {"base_asset": number + 1, "quote_asset": 0, **about.terms, **setup.terms}
        _accepted(engine.define_instrument(number, tiers=(), **terms), recording.name, number)
        assets |= {terms["base_asset"]: None, terms["quote_asset"]: None}
    if setup.accounts:
        for account in (RECORDED_ACCOUNT, STRATEGY_ACCOUNT):
            engine.open_account(account)
            for asset in sorted(assets):
                own = account == STRATEGY_ACCOUNT and setup.deposits
                amount = setup.deposits.get(asset, 0) if own else _PLENTY
                if amount:
                    engine.deposit(account, asset, amount)
        if setup.limits:
            _limit(engine, setup.limits)
    return engine


def _accepted(events: Any, name: str, number: int) -> None:
    if len(events) != 1 or events["kind"][0] != 16:
        status = int(events["status"][0]) if len(events) else 0
        raise ConfigError(f"{name}: instrument {number} is refused with status {status}")


def _limit(engine: Engine, limits: dict[str, int]) -> None:
    """Set limits of the strategy's account."""
    names = {
        "max_order_qty": 1,
        "max_order_notional": 2,
        "max_position_qty": 4,
        "max_gross_notional": 8,
        "max_open_orders": 16,
        "rate_per_s": 32,
        "rate_burst": 32,
        "duplicate_window_ns": 64,
        "duplicate_count": 64,
        "collar_ppm": 128,
        "stale_ns": 256,
    }
    frame = np.zeros(1, LIMITS)
    frame["kind"], frame["cont"], frame["scope"] = CommandKind.LIMITS, 1, 1
    frame["account_id"] = STRATEGY_ACCOUNT
    for name, value in limits.items():
        if name not in names:
            raise ConfigError(f"no limit {name!r}; there are {', '.join(names)}")
        frame[name] = value
        frame["mask"] |= names[name]
    events = engine.events(frame)
    if len(events) != 1 or events["kind"][0] != 16:
        raise ConfigError(f"the limits are refused with status {int(events['status'][0])}")
