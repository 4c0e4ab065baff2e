"""The nodes of a simulated world: machines, and what runs on them with which settings.

Settings are part of what a seed draws: batches of one record, queues of one byte, snapshots every
tenth of a second. They change when things happen, never what comes out.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tradecore.cell import CellConfig
from tradecore.engine import EngineConfig
from tradecore.risk import risk_source
from tradecore.risk.policy import BreakerPolicy, MarkPolicy
from tradecore.storage import SnapshotStore
from tradecore_shells.plumbing.memory import MemoryCache
from tradecore_shells.plumbing.observe import NoMetrics
from tradecore_shells.plumbing.snapshots import DirectSnapshots
from tradecore_shells.portfolio.config import PortfolioSettings
from tradecore_shells.portfolio.service import PortfolioService
from tradecore_shells.risk.config import LimitSettings, RiskSettings
from tradecore_shells.risk.service import RiskService
from tradecore_shells.sim.builds import OldBuildLog
from tradecore_shells.sim.clock import SimClock
from tradecore_shells.sim.disk import Disk, SimFiles
from tradecore_shells.sim.faults import Faults
from tradecore_shells.sim.log import Broker, SimLog
from tradecore_shells.sim.loop import Process, SimLoop
from tradecore_shells.sim.nodes import Node, Supervisor
from tradecore_shells.sim.remote import Database, SimCache, SimStore, Wire
from tradecore_shells.sim.venue import CATALOG
from tradecore_shells.trading.config import TradingSettings
from tradecore_shells.trading.service import TradingService

__all__ = ["CELL_SOURCE", "PARTITION", "Fleet"]

PARTITION: Final = 0
CELL_SOURCE: Final = 1 << 28 | PARTITION
SNAPSHOTS: Final = Path("/snapshots")


class _Store(SnapshotStore):
    """The store of snapshots, with a memory of what it has promised."""

    def __init__(self, source: int, disk: Disk, process: Process) -> None:
        super().__init__(SNAPSHOTS, source=source, ops=SimFiles(disk, process))
        self._disk = disk

    def save(self, *args: Any, **named: Any) -> Path:
        """Write a snapshot and note that it was acknowledged."""
        path = super().save(*args, **named)
        self._disk.acknowledged.add(path)
        return path


class Fleet:
    """Machines and nodes of one seed; nothing runs yet.

    Parameters
    ----------
    seed : int
    hits : Counter, optional
        Where strikes of faults are counted.
    differently : dict, optional
        Settings of a planted design bug; see `planted_cell`.

    Attributes
    ----------
    disks : list of Disk
        Of the trading nodes: one machine or two.
    connections : dict
        By process: its connections to the log.
    """

    def __init__(
        self, seed: int, hits: Counter[str] | None, differently: dict[str, Any] | None
    ) -> None:
        self.seed = seed
        self.differently = differently or {}
        self.partition, self.source = PARTITION, CELL_SOURCE
        self.rng = random.Random(f"world-{seed}")
        self.loop = SimLoop(seed)
        self.faults = Faults(seed, hits)
        self.broker = Broker(self.loop, self.faults)
        self.supervisor = Supervisor(self.loop)
        shared = self.rng.random() < 0.3
        first = Disk(self.loop, self.faults, seed)
        self.disks = [first] if shared else [first, Disk(self.loop, self.faults, ~seed)]
        # An old build and its snapshots have a machine of their own: nobody else may read those.
        self.old_disk = Disk(self.loop, self.faults, seed + 1_000_003)
        self.risk_disk = Disk(self.loop, self.faults, seed + 2_000_003)
        self.config = CellConfig(
            engine=EngineConfig(
                accounts=True, max_instruments=4, max_orders=1024, max_accounts=64,
                max_groups=8, max_assets=8, prefetch="off",
            ),
            recent_orders=self.differently.get("recent_orders", 2048),
            max_sources=16,
        )  # fmt: skip
        self.settings = self._draw_settings()
        self.database = Database()
        self.cache = MemoryCache()
        self.connections: dict[str, list[SimLog]] = {}
        self.risk_settings: RiskSettings | None = None
        self._serial = 0
        self._add_trading()
        self._add_portfolio()
        self._add_risk()

    def _draw_settings(self) -> TradingSettings:
        rng = self.rng
        return TradingSettings(
            snapshot_every_s=rng.uniform(0.1, 0.6),
            fetch_bytes=rng.choice((1, 700, 4 << 20)),
            queue_bytes=rng.choice((1, 3_000, 8 << 20)),
            tick_s=rng.choice((0.1, 0.2, 0.4)),
            takeover_s=rng.uniform(0.3, 1.0),
            retry_s=rng.choice((2.0, 10.0, 30.0)),
        )

    def next_seed(self) -> str:
        """Return a seed for another part of the world; no two are the same."""
        self._serial += 1
        return f"{self.seed}-{self._serial}"

    def connect(
        self, process: Process | None = None, *, pace: float = 1.0, old_build: bool = False
    ) -> SimLog:
        """Return a connection to the log; `pace` is how slow its reads are."""
        if old_build:
            goes_on = "old_build_goes_on" in self.differently
            made: SimLog = OldBuildLog(self.broker, process, self.next_seed(), goes_on=goes_on)
        else:
            made = SimLog(self.broker, process, self.next_seed(), pace)
        if process is not None:
            self.connections.setdefault(process.name, []).append(made)
        return made

    def clock(self) -> SimClock:
        """Return the clock of some machine."""
        skew = self.rng.choice((0, 0, self.rng.randint(-2_000_000_000, 2_000_000_000)))
        return SimClock(self.loop, skew, self.rng.uniform(-1e-4, 1e-4))

    def _add_trading(self) -> None:
        self.primary = self.trading_node("trading-a", "primary", self.disks[0])
        self.supervisor.add(self.primary)
        self.standby = self.trading_node("trading-b", "standby", self.disks[-1])
        self.supervisor.add(self.standby)

    def trading_node(self, name: str, role: str, disk: Disk, *, old_build: bool = False) -> Node:
        """Return a node that runs the trading service; nobody looks after it yet."""
        settings = TradingSettings(
            **{field: getattr(self.settings, field) for field in self.settings.__struct_fields__}
            | {"role": role}
        )

        def build(process: Process, life: int) -> Any:
            store = _Store(CELL_SOURCE, disk, process)
            return TradingService(
                settings,
                self.config,
                partition=PARTITION,
                log=self.connect(process, old_build=old_build),
                snapshots=DirectSnapshots(store),
                clock=self.clock(),
                metrics=NoMetrics(),
            )

        return Node(name, build, disk)

    def _add_portfolio(self) -> None:
        rng = self.rng
        settings = PortfolioSettings(
            batch_events=rng.choice((1, 30, 8192, 8192, 8192)),
            fetch_bytes=rng.choice((1, 5_000, 4 << 20, 4 << 20)),
            idle_commit_s=rng.choice((0.05, 1.0)),
            equity_every_s=0.0,
            mark=rng.choice(("mid", "last")),
            cache_every_s=rng.choice((0.02, 0.1, 0.3)),
            cache_batch=rng.choice((1, 3, 2000)),
            cache_refresh_s=2.0,
            retry_s=rng.choice((3.0, 30.0)),
        )
        for name in ("portfolio-a", "portfolio-b")[: rng.choice((1, 2))]:
            self.supervisor.add(self._portfolio_node(name, settings))

    def _portfolio_node(self, name: str, settings: PortfolioSettings) -> Node:
        pace = self.rng.choice((1.0, 15.0, 40.0))

        def build(process: Process, life: int) -> Any:
            return PortfolioService(
                settings,
                catalog=CATALOG,
                partition=PARTITION,
                log=self.connect(process, pace=pace),
                store=SimStore(self.database, self._wire(process)),
                cache=SimCache(self.cache, self._wire(process)),
                clock=self.clock(),
                metrics=NoMetrics(),
            )

        return Node(name, build)

    def _add_risk(self) -> None:
        rng = self.rng
        if rng.random() < 0.4:
            return
        self.risk_settings = RiskSettings(
            snapshot_every_s=rng.uniform(0.05, 0.5),
            fetch_bytes=rng.choice((1, 5_000, 4 << 20, 4 << 20)),
            queue_bytes=rng.choice((1, 8 << 20)),
            resend_s=rng.choice((0.2, 0.6)),
            refused_s=0.5,
            report_s=1e9,
            retry_s=rng.choice((3.0, 30.0)),
            evaluate_ms=rng.choice((20, 100, 400)),
            marks=MarkPolicy(step_ppm=rng.choice((5_000, 100_000)), refresh_ms=300),
            breakers=BreakerPolicy(
                move_ppm=rng.choice((0, 8_000, 50_000)), window_ms=500, halt_ms=200, auction_ms=200
            ),
            limits=LimitSettings(
                group_drawdown=rng.choice(("0", "100", "500")),
                firm_drawdown=rng.choice(("0", "0", "5000")),
                window_s=1,
                account_gross=rng.choice(("0", "3000", "20000")),
                firm_gross=rng.choice(("0", "0", "100000")),
            ),
        )
        for name in ("risk-a", "risk-b")[: rng.choice((1, 1, 2))]:
            self.supervisor.add(self._risk_node(name, self.risk_settings))

    def _risk_node(self, name: str, settings: RiskSettings) -> Node:
        pace = self.rng.choice((1.0, 15.0))

        def build(process: Process, life: int) -> Any:
            return RiskService(
                settings,
                catalog=CATALOG,
                partition=PARTITION,
                log=self.connect(process, pace=pace),
                clock=self.clock(),
                metrics=NoMetrics(),
                snapshots=_Store(risk_source(PARTITION), self.risk_disk, process),
            )

        return Node(name, build, self.risk_disk)

    def _wire(self, process: Process) -> Wire:
        return Wire(self.loop, self.faults, process, self.next_seed())

    @property
    def portfolio(self) -> list[Node]:
        """The nodes that keep positions."""
        return [node for node in self.supervisor.nodes if node.name.startswith("portfolio")]

    @property
    def risk(self) -> list[Node]:
        """The nodes that watch."""
        return [node for node in self.supervisor.nodes if node.name.startswith("risk")]

    @property
    def trading(self) -> list[Node]:
        """The nodes that run the cell."""
        return [node for node in self.supervisor.nodes if node.name.startswith("trading")]
