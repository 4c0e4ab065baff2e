"""What risk tests run on: a cell on a log in memory, a clock that is moved by hand, the service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from portfolio_worlds import CATALOG, PERP, SIZES, USD, ListLog, StillClock
from tradecore import dtypes
from tradecore.catalog import Catalog
from tradecore.cell import Batch, Cell, CellConfig, FrameReader, Position, time_command
from tradecore.codes import CommandKind
from tradecore.envelope import decode, encode, seal
from tradecore.risk import RiskState, risk_source
from tradecore.risk.policy import MarkPolicy
from tradecore.storage import SnapshotStore
from tradecore.testing import build
from tradecore_shells.plumbing.observe import NoMetrics
from tradecore_shells.plumbing.ports import (
    EXECUTIONS,
    MARKET_DATA,
    RISK_EVENTS,
    TRADING_COMMANDS,
    Payload,
)
from tradecore_shells.risk.config import RiskSettings
from tradecore_shells.risk.service import RiskService

START_NS = 1_000_000_000_000
MS = 1_000_000
SOURCE = risk_source(0)
QUIET = RiskSettings(marks=MarkPolicy(on=False), resend_s=0.02, snapshot_every_s=3600.0)


class TimedLog(ListLog):
    """A log whose records carry the time that somebody has set."""

    now_ns = START_NS

    async def append(self, topic: str, partition: int, payloads: Sequence[Payload]) -> int:
        kept = self.of(topic, partition)
        first = len(kept)
        kept.extend((self.now_ns, bytes(payload)) for payload in payloads)
        return first


class Metered(NoMetrics):
    """Metrics that remember counters and gauges."""

    def __init__(self) -> None:
        self.counters: dict[str, float] = {}
        self.gauges: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        key = f"{name}:{labels.get('kind', '')}"
        self.counters[key] = self.counters.get(key, 0) + amount

    def set(self, name: str, value: float, **labels: str) -> None:
        self.gauges[name, tuple(sorted(labels.items()))] = value


class RiskWorld:
    """A cell that applies whatever stands in the log, as soon as somebody says so."""

    def __init__(self, catalog: Catalog = CATALOG) -> None:
        self.catalog = catalog
        self.log = TimedLog()
        self.cell = Cell(CellConfig(engine=SIZES, recent_orders=1024))
        self._ids = 0

    # ------------------------------------------------------------------------------ the venue
    def send(self, *frames: bytes) -> None:
        """Append commands as one record of no source, and apply everything."""
        self.log.of(TRADING_COMMANDS).append(
            (self.log.now_ns, encode(seal(b"".join(frames), source=0, first_seq=1)))
        )
        self.pump()

    def pump(self) -> int:
        """Apply what the log holds; return the number of records."""
        records = self.log.of(TRADING_COMMANDS)[self.cell.next_offset :]
        for ts_ns, payload in records:
            output = self.cell.apply(self.cell.next_offset, ts_ns, payload)
            for topic, found in (
                (EXECUTIONS, output.executions(self.cell)),
                (MARKET_DATA, output.market(self.cell)),
            ):
                self.log.of(topic).extend((ts_ns, one) for one in found)
        return len(records)

    def open(self, groups: dict[int, int], cash: int = 10**15) -> None:
        """Define the instruments, open accounts with their groups and the same money for each."""
        self.send(*(spec.to_frame() for spec in self.catalog.instruments))
        for account, group in groups.items():
            self.send(
                build.admin(CommandKind.ACCOUNT, account_id=account, group_id=group),
                build.admin(
                    CommandKind.DEPOSIT, account_id=account, asset_id=USD.asset_id, amount=cash
                ),
            )

    def mark(self, px: int, instrument: int = PERP.instrument_id) -> None:
        self.send(build.admin(CommandKind.MARK_PRICE, instrument_id=instrument, mark_px=px))

    def order(
        self, account: int, side: int, qty: int, px: int, instrument: int = PERP.instrument_id
    ) -> None:
        self._ids += 1
        self.send(
            build.order(
                order_id=1 << 32 | self._ids, session_id=1, account_id=account,
                instrument_id=instrument, side=side, order_qty=qty, px=px, ord_type=2, tif=1,
            )
        )  # fmt: skip

    def trade(self, buyer: int, seller: int, qty: int, px: int) -> None:
        """Let two accounts trade the perpetual."""
        self.order(seller, 2, qty, px)
        self.order(buyer, 1, qty, px)

    def tick(self, ms: int = 100) -> None:
        """Let log time pass."""
        self.log.now_ns += ms * MS
        self.send(time_command())

    # --------------------------------------------------------------------------------- reading
    def own_commands(self) -> list[np.void]:
        """Return the first frames of all commands that risk has sent and the log holds."""
        found = []
        for _, payload in self.log.of(TRADING_COMMANDS):
            sealed = decode(payload)
            if sealed.source == SOURCE:
                heads = np.frombuffer(sealed.frames, dtypes.ADMIN)
                at = 0
                while at < len(heads):
                    found.append(heads[at])
                    at += 1 + int(heads[at]["cont"])
        return found

    def applied(self) -> list[tuple[int, int]]:
        """Return (first number, commands) of what the cell applied of risk, in order."""
        records = self.log.of(TRADING_COMMANDS)
        return [
            (batch.in_first_seq, decode(records[batch.in_offset][1]).count)
            for batch in self.read(EXECUTIONS, self.cell.source)
            if batch.in_source == SOURCE and batch.applied
        ]

    def read(self, topic: str, source: int) -> list[Batch]:
        """Return everything that a topic says, each frame once."""
        reader = FrameReader(source, Position(0, 1))
        return [
            batch
            for offset, (_, payload) in enumerate(self.log.of(topic))
            for batch in reader.read(offset, payload)
        ]

    def told(self) -> list[np.void]:
        """Return all events of `risk-events`, as refusals are laid out."""
        batches = self.read(RISK_EVENTS, SOURCE)
        return [row for batch in batches for row in batch.events.view(dtypes.REJECT_EVENT)]

    def findings(self) -> list[tuple[int, int, int]]:
        """Return (rule, observed, limit) of what risk itself found."""
        return [
            (int(row["status"]), int(row["observed"]), int(row["limit"]))
            for row in self.told()
            if row["kind"] == 80
        ]

    def state(self, settings: RiskSettings = QUIET) -> RiskState:
        """Return the state of a service that has never been started."""
        return self.make(settings).state

    def make(
        self, settings: RiskSettings = QUIET, *, log: Any = None, folder: Path | None = None,
        metrics: NoMetrics | None = None,
    ) -> RiskService:  # fmt: skip
        store = SnapshotStore(folder, source=SOURCE) if folder else None
        return RiskService(
            settings,
            catalog=self.catalog,
            partition=0,
            log=log or self.log,
            clock=StillClock(),
            metrics=metrics or NoMetrics(),
            snapshots=store,
        )

    async def settle(self, *services: RiskService) -> None:
        """Wait until every service has read everything and nobody sends any more."""
        async with asyncio.timeout(5):
            quiet = 0
            while quiet < 5:
                for one in services:
                    if (task := Running.tasks[one]).done():
                        task.result()
                behind = any(
                    one.state.offset < len(self.log.of(EXECUTIONS)) or one.status != "running"
                    for one in services
                )
                quiet = 0 if self.pump() or behind else quiet + 1
                await asyncio.sleep(0.002)

    async def settle_after(self, services: Sequence[RiskService], ms: int, times: int = 1) -> None:
        """Let log time pass in steps, and everybody finish after each."""
        for _ in range(times):
            self.tick(ms)
            await self.settle(*services)


class Running:
    """Services that run while a block does."""

    tasks: ClassVar[dict[RiskService, asyncio.Task[None]]] = {}

    def __init__(self, *services: RiskService) -> None:
        self.services = services

    async def __aenter__(self) -> tuple[RiskService, ...]:
        self.tasks.update({one: asyncio.create_task(one.run()) for one in self.services})
        return self.services

    async def __aexit__(self, *error: object) -> None:
        for one in self.services:
            one.stop()
        tasks = [self.tasks.pop(one) for one in self.services]
        await asyncio.gather(*tasks, return_exceptions=error[0] is not None)
