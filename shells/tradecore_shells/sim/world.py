"""A whole exchange in one process on virtual time: machines, nodes, people.

A world is a function of its seed. It opens a venue, lets people trade while faults strike, heals,
starts every node anew, waits until all work has drained, stops the nodes politely and hands itself
to the oracles.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tradecore.cell import CellConfig, end_seq
from tradecore.engine import EngineConfig
from tradecore.risk import risk_source
from tradecore.risk.policy import BreakerPolicy, MarkPolicy
from tradecore.storage import SnapshotStore
from tradecore_shells.plumbing.memory import MemoryCache
from tradecore_shells.plumbing.observe import NoMetrics
from tradecore_shells.plumbing.ports import EXECUTIONS, TRADING_COMMANDS
from tradecore_shells.plumbing.snapshots import DirectSnapshots
from tradecore_shells.portfolio.config import PortfolioSettings
from tradecore_shells.portfolio.service import PortfolioService
from tradecore_shells.portfolio.store import PORTFOLIO
from tradecore_shells.risk.config import LimitSettings, RiskSettings
from tradecore_shells.risk.service import RiskService
from tradecore_shells.sim.books import cache_differs
from tradecore_shells.sim.builds import OldBuildLog
from tradecore_shells.sim.chaos import Chaos
from tradecore_shells.sim.clients import Journal, Operator, Trader
from tradecore_shells.sim.clock import SimClock
from tradecore_shells.sim.disk import Disk, SimFiles
from tradecore_shells.sim.facts import BATCH, read_event
from tradecore_shells.sim.faults import Faults
from tradecore_shells.sim.log import Broker, SimLog
from tradecore_shells.sim.loop import Process, SimLoop, Stuck
from tradecore_shells.sim.nodes import Node, Supervisor
from tradecore_shells.sim.numbered import numbered_frames
from tradecore_shells.sim.remote import Database, SimCache, SimStore, Wire
from tradecore_shells.sim.venue import CATALOG
from tradecore_shells.trading.config import TradingSettings
from tradecore_shells.trading.service import TradingService

__all__ = ["PARTITION", "SNAPSHOTS", "World"]

PARTITION: Final = 0
SNAPSHOTS: Final = Path("/snapshots")
CELL_SOURCE: Final = 1 << 28 | PARTITION
_SETTLE_S: Final = 1.3
"""Longer than any request of before the healing is under way."""
_DRAIN_S: Final = 60.0


class World:
    """One seed.

    Parameters
    ----------
    seed : int
    hits : Counter, optional
        Where strikes of faults are counted.
    load_s : float, optional
        Virtual seconds of trading under faults; drawn from the seed by default.
    differently : dict, optional
        Settings of a planted design bug; see `planted_cell`.

    Attributes
    ----------
    violations : list of str
        What must not be; the oracles add theirs.
    """

    def __init__(
        self,
        seed: int,
        hits: Counter[str] | None = None,
        load_s: float | None = None,
        *,
        differently: dict[str, Any] | None = None,
    ) -> None:
        self.seed = seed
        self.differently = differently or {}
        self.partition, self.source = PARTITION, CELL_SOURCE
        self.rng = random.Random(f"world-{seed}")
        self.loop = SimLoop(seed)
        self.faults = Faults(seed, hits)
        self.broker = Broker(self.loop, self.faults)
        self.supervisor = Supervisor(self.loop)
        self.journal = Journal()
        self.violations: list[str] = []
        self.load_s = self.rng.uniform(0.6, 2.0) if load_s is None else load_s
        self.target = -1
        shared = self.rng.random() < 0.3
        first = Disk(self.loop, self.faults, seed)
        self.disks = [first] if shared else [first, Disk(self.loop, self.faults, ~seed)]
        self.config = CellConfig(
            engine=EngineConfig(
                accounts=True, max_instruments=4, max_orders=1024, max_accounts=64,
                max_groups=8, max_assets=8, prefetch="off",
            ),
            recent_orders=self.differently.get("recent_orders", 2048),
            max_sources=16,
        )  # fmt: skip
        self.settings = self._draw_settings()
        # An old build and its snapshots have a machine of their own: nobody else may read those.
        self.old_disk = Disk(self.loop, self.faults, seed + 1_000_003)
        self.connections: dict[str, list[SimLog]] = {}
        self.drained_to = 0
        self.fills = self.liquidations = 0
        self._serial = 0
        self._states: list[tuple[int, str, str]] = []
        self._add_trading()
        self.database = Database()
        self.cache = MemoryCache()
        self._add_portfolio()
        self.risk_disk = Disk(self.loop, self.faults, seed + 2_000_003)
        self.risk_settings: RiskSettings | None = None
        self._add_risk()
        self.traders: list[Trader] = []
        self.operator: Operator | None = None
        self.chaos = Chaos(self)

    # ------------------------------------------------------------------------------- construction
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
            store = SnapshotStore(SNAPSHOTS, source=CELL_SOURCE, ops=SimFiles(disk, process))
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
            snapshot_every_s=rng.uniform(0.2, 1.0),
            fetch_bytes=rng.choice((1, 5_000, 4 << 20, 4 << 20)),
            queue_bytes=rng.choice((1, 8 << 20)),
            resend_s=rng.choice((0.2, 0.6)),
            refused_s=0.5,
            report_s=1e9,
            retry_s=rng.choice((3.0, 30.0)),
            evaluate_ms=rng.choice((20, 100)),
            marks=MarkPolicy(step_ppm=rng.choice((5_000, 100_000)), refresh_ms=300),
            breakers=BreakerPolicy(
                move_ppm=rng.choice((0, 8_000, 50_000)), window_ms=500, halt_ms=200, auction_ms=200
            ),
            limits=LimitSettings(
                group_drawdown=rng.choice(("0", "500")),
                firm_drawdown=rng.choice(("0", "0", "5000")),
                window_s=1,
                account_gross=rng.choice(("0", "20000")),
                firm_gross=rng.choice(("0", "0", "100000")),
            ),
        )
        for name in ("risk-a", "risk-b")[: rng.choice((1, 1, 2))]:
            self.supervisor.add(self._risk_node(name, self.risk_settings))

    def _risk_node(self, name: str, settings: RiskSettings) -> Node:
        pace = self.rng.choice((1.0, 15.0))

        def build(process: Process, life: int) -> Any:
            files = SimFiles(self.risk_disk, process)
            return RiskService(
                settings,
                catalog=CATALOG,
                partition=PARTITION,
                log=self.connect(process, pace=pace),
                clock=self.clock(),
                metrics=NoMetrics(),
                snapshots=SnapshotStore(SNAPSHOTS, source=risk_source(PARTITION), ops=files),
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

    # ---------------------------------------------------------------------------------------- run
    def run(self) -> list[str]:
        """Live through the seed; returns what the oracles found, nothing when all is well."""
        from tradecore_shells.sim.last_acts import last_acts
        from tradecore_shells.sim.oracles import judge

        try:
            self.loop.run_until_complete(self._live())
            self.violations += self.supervisor.violations
            if not self.violations:
                self.violations += judge(self)
            if not self.violations:
                self.violations += self.loop.run_until_complete(last_acts(self))
        except Stuck as stuck:
            self.violations.append(f"liveness: {stuck}")
        finally:
            self._close()
        return self.violations

    async def _live(self) -> None:
        for node in self.supervisor.nodes:
            self.supervisor.start(node)
        people = self._open()
        assert self.operator is not None
        self.chaos.start()
        try:
            async with asyncio.timeout(_DRAIN_S):
                await self.operator.ready.wait()
        except TimeoutError:
            self.violations.append("liveness: the venue did not open")
            return
        people += [
            self.loop.spawn(Process(f"trader-{one.account}"), one.run()) for one in self.traders
        ]
        await asyncio.sleep(self.load_s)
        await self._heal(people)
        self._let_go_of_the_old_build()
        for node in self.supervisor.nodes:
            self.supervisor.kill(node, again_s=0.1)
        if not await self._drained():
            return
        await self._stop()

    def _open(self) -> list[asyncio.Task[None]]:
        rng = self.rng
        accounts = list(range(1, 1 + rng.choice((3, 5, 8))))
        self.operator = Operator(
            accounts, log=self.connect(), faults=self.faults, journal=self.journal,
            rng=random.Random(f"operator-{self.seed}"), partition=PARTITION,
        )  # fmt: skip
        self.traders = [
            Trader(
                account, 100 + account, log=self.connect(), clock=self.clock(), faults=self.faults,
                journal=self.journal, rng=random.Random(f"trader-{self.seed}-{account}"),
                partition=PARTITION,
            )
            for account in accounts
        ]  # fmt: skip
        return [self.loop.spawn(Process("operator"), self.operator.run())]

    async def _heal(self, people: list[asyncio.Task[None]]) -> None:
        """End the faults and the load, and let what is under way arrive."""
        self.faults.active = False
        self.chaos.stop()
        self.broker.stalled_until = self.loop.now
        assert self.operator is not None
        self.operator.stopping = True
        for trader in self.traders:
            trader.stopping = True
        await asyncio.wait(people)
        for task in people:
            task.result()
        await asyncio.sleep(_SETTLE_S)
        self.target = self.broker.partition(TRADING_COMMANDS, PARTITION).end

    async def _drained(self) -> bool:
        """Wait until every node has worked on everything; False after 60 virtual seconds."""
        self.supervisor.strict = True
        deadline = self.loop.now + _DRAIN_S
        while self.loop.now < deadline:
            await asyncio.sleep(0.1)
            if not self._behind():
                return True
            if self.supervisor.violations:
                return False
        self.violations.append("liveness: " + "; ".join(self._behind()))
        return False

    def _let_go_of_the_old_build(self) -> None:
        """End the node of the older build; had it met the epoch, it must have fenced itself."""
        node = self.chaos.old
        if node is None:
            return
        self.supervisor.kill(node, again_s=None)
        self.supervisor.nodes.remove(node)

    def _behind(self) -> list[str]:
        behind = []
        for node in self.trading:
            if node.fenced:
                continue
            cell = node.service.cell if node.running and node.service is not None else None
            at = -1 if cell is None else cell.next_offset
            if at < self.target:
                behind.append(f"{node.name} is at {at} of {self.target}; {node.last_words}")
        return behind

    async def _stop(self) -> None:
        """Drain the nodes in the order of the data: the cell first, then who reads it."""
        await self._stop_these(self.trading)
        if not await self._books_are_written():
            return
        await self._stop_these([n for n in self.supervisor.nodes if n not in self.trading])

    async def _books_are_written(self) -> bool:
        """Wait until database and cache hold everything; False after 60 virtual seconds."""
        deadline = self.loop.now + _DRAIN_S
        records = self.broker.partition(EXECUTIONS, PARTITION).all
        end = max((end_seq(payload) for _, payload in records), default=1)
        while self.loop.now < deadline:
            await asyncio.sleep(0.1)
            place = await self.database.store.place(PORTFOLIO, PARTITION)
            if self.supervisor.violations:
                return False
            behind = [node.name for node in self.risk if node.service.state.seq < end]
            if place.next_seq >= end and not behind and not cache_differs(self):
                return True
        self.violations.append(
            f"liveness: the database is at {place.next_seq} of {end}; behind: {behind}"
        )
        self.violations += cache_differs(self)
        return False

    async def _stop_these(self, nodes: list[Node]) -> None:
        for node in nodes:
            self.supervisor.stop(node)
            tasks = [node.task] if node.task is not None else []
            if tasks and not node.fenced:
                await asyncio.wait(tasks, timeout=_DRAIN_S)
            if node.running:
                self.violations.append(f"liveness: {node.name} does not drain")
            if node in self.trading and node.service is not None and node.service.cell is not None:
                cell = node.service.cell
                self._states.append((cell.next_offset, cell.state_hash(), node.name))
                if node is self.primary:
                    self.drained_to = cell.next_offset

    def offset_of_execution(self, seq: int) -> int:
        """Return the offset of the command record whose batch holds a frame of executions."""
        frames, _ = numbered_frames(self.broker, EXECUTIONS, PARTITION, CELL_SOURCE)
        heads = [read_event(frame) for frame in frames[:seq]]
        return max((head.body[1] for head in heads if head.kind == BATCH), default=0)

    def states(self) -> list[tuple[int, str, str]]:
        """Return every state that is known: (offset behind it, hash, whose)."""
        return self._states

    def counts(self) -> dict[str, float]:
        """Return how much happened."""
        commands = self.broker.partition(TRADING_COMMANDS, PARTITION).end
        return {
            "commands records": commands,
            "orders": len(self.journal.offered),
            "acknowledged orders": len(self.journal.orders),
            "garbage records": self.journal.garbage,
            "lives of nodes": self.supervisor.lives,
            "takeovers by standbys": self.supervisor.takeovers,
            "fills": self.fills,
            "steps of liquidations": self.liquidations,
            "torn files": sum(disk.torn for disk in self.disks),
            "steps": self.loop.steps,
            "virtual seconds": self.loop.now,
        } | {f"ended with {name}": times for name, times in self.supervisor.ends.items()}

    def _close(self) -> None:
        for node in self.supervisor.nodes:
            node.wanted = False
            if node.process is not None:
                self.loop.kill(node.process)
        self.loop.bury()
        self.loop.close()
