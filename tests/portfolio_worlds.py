"""What portfolio tests run on: a log in memory, cells that fill it, and the service around it."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np

from tradecore import dtypes, envelope
from tradecore.catalog import Catalog
from tradecore.cell import Cell, CellConfig, FrameReader
from tradecore.codes import CellKind, CommandKind
from tradecore.engine import EngineConfig
from tradecore.envelope import encode, seal
from tradecore.instruments import AssetSpec, InstrumentSpec, MarginTier
from tradecore.portfolio.fold import Changes, fold_batches
from tradecore.portfolio.terms import Terms
from tradecore.testing import build
from tradecore_shells.plumbing.memory import MemoryCache
from tradecore_shells.plumbing.observe import NoMetrics
from tradecore_shells.plumbing.ports import (
    EXECUTIONS,
    MARKET_DATA,
    TRADING_COMMANDS,
    Bounds,
    Cache,
    FatalError,
    Payload,
    Record,
)
from tradecore_shells.portfolio.config import PortfolioSettings
from tradecore_shells.portfolio.service import PortfolioService
from tradecore_shells.portfolio.store import PORTFOLIO, PortfolioStore
from tradecore_shells.sim.store import DictStore

USD, BTC, EUR = AssetSpec("USD", 0, 8), AssetSpec("BTC", 1, 8), AssetSpec("EUR", 2, 8)
SPOT = InstrumentSpec(
    "BTC-USD", 1, BTC, USD, lot_size="0.001", maker_fee_ppm=100, taker_fee_ppm=500
)
PERP = InstrumentSpec(
    "BTC-PERP", 2, BTC, USD, lot_size="0.001", instrument_type="linear", taker_fee_ppm=300,
    tiers=(MarginTier("0", 100_000, 50_000),),
)  # fmt: skip
CATALOG = Catalog([SPOT, PERP], [EUR])
TERMS = Terms.of_catalog(CATALOG.instruments)
SIZES = EngineConfig(
    accounts=True, max_instruments=8, max_orders=4096, max_accounts=64, max_groups=8, max_assets=8
)
QUICK = PortfolioSettings(
    batch_events=12, idle_commit_s=0.01, equity_every_s=0, cache_every_s=0.001, mark_every_s=0.001,
    retry_s=5.0,
)  # fmt: skip
START_NS = 1_000_000_000


class ListLog:
    """The Log port over lists, with nothing to wait for but what is not there yet."""

    def __init__(self) -> None:
        self.topics: dict[tuple[str, int], list[tuple[int, bytes]]] = {}
        self.starts: dict[tuple[str, int], int] = {}

    def of(self, topic: str, partition: int = 0) -> list[tuple[int, bytes]]:
        return self.topics.setdefault((topic, partition), [])

    async def append(self, topic: str, partition: int, payloads: Sequence[Payload]) -> int:
        kept = self.of(topic, partition)
        first = len(kept)
        kept.extend((first + i, bytes(payload)) for i, payload in enumerate(payloads))
        return first

    async def fetch(
        self, topic: str, partition: int, offset: int, *, max_bytes: int, wait_s: float
    ) -> list[Record]:
        kept = self.of(topic, partition)
        if not self.starts.get((topic, partition), 0) <= offset <= len(kept):
            raise FatalError(f"{topic}-{partition} has no offset {offset}")
        if offset == len(kept):
            await asyncio.sleep(min(wait_s, 0.005))
        found, size = [], 0
        for at in range(offset, len(kept)):
            ts_ns, payload = kept[at]
            if found and size + len(payload) > max_bytes:
                break
            found.append(Record(at, ts_ns, memoryview(payload)))
            size += len(payload)
        return found

    async def bounds(self, topic: str, partition: int) -> Bounds:
        return Bounds(self.starts.get((topic, partition), 0), len(self.of(topic, partition)))

    async def close(self) -> None:
        """Nothing to close."""


class StillClock:
    """A clock that stands."""

    def now_ns(self) -> int:
        return START_NS


class Venue:
    """A cell whose outputs go into a log.

    Every command is an envelope of its own, `step_ns` of log time after the one before.
    """

    def __init__(
        self, log: ListLog | None = None, *, sessions: bool = True, record_bytes: int = 1000
    ) -> None:
        self.log = log or ListLog()
        config = CellConfig(engine=SIZES, recent_orders=1024, sessions=sessions)
        self.cell = Cell(config)
        self.now_ns = START_NS
        self._record_bytes = record_bytes
        self._ids = 0

    def send(self, commands: Iterable[bytes], step_ns: int = 1_000_000) -> None:
        for command in commands:
            payload = encode(seal(command, source=0, first_seq=1))
            offset = len(self.log.of(TRADING_COMMANDS))
            self.log.of(TRADING_COMMANDS).append((self.now_ns, payload))
            output = self.cell.apply(offset, self.now_ns, payload)
            for topic, records in (
                (EXECUTIONS, output.executions(self.cell, self._record_bytes)),
                (MARKET_DATA, output.market(self.cell, self._record_bytes)),
            ):
                self.log.of(topic).extend((self.now_ns, record) for record in records)
            self.now_ns += step_ns

    def open(self, funds: dict[int, dict[int, int]]) -> None:
        """Define the instruments of `CATALOG`, open accounts and fund them."""
        self.send(spec.to_frame() for spec in CATALOG.instruments)
        for account, amounts in funds.items():
            self.send([build.admin(CommandKind.ACCOUNT, account_id=account)])
            self.send(
                build.admin(CommandKind.DEPOSIT, account_id=account, asset_id=a, amount=amount)
                for a, amount in amounts.items()
            )

    def order(
        self, account: int, side: int, qty: int, px: int, instrument: int = 1, session: int = 1
    ) -> int:
        """Send a limit order of a session; return its id."""
        self._ids += 1
        order_id = session << 32 | self._ids
        self.send(
            [
                build.order(
                    order_id=order_id,
                    session_id=session,
                    account_id=account,
                    instrument_id=instrument,
                    side=side,
                    order_qty=qty,
                    px=px,
                    ord_type=2,
                    tif=1,
                )
            ]
        )
        return order_id

    def admin(self, kind: CommandKind, **fields: int) -> None:
        self.send([build.admin(kind, **fields)])

    def money(self) -> tuple[dict[tuple[int, int], int], dict[tuple[int, int], tuple[int, ...]]]:
        """Return all cash and all positions, as the engine has them; zeros left out.

        Cash of (account, asset) includes isolated margins; a position is (qty, cost, realised,
        fees).
        """
        cash: dict[tuple[int, int], int] = {}
        held: dict[tuple[int, int], tuple[int, ...]] = {}
        quote = {row.instrument_id: row.quote_asset for row in self.terms().rows}
        for account in range(SIZES.max_accounts):
            try:
                view = self.cell.engine.account(account)
            except KeyError:
                continue
            for w in view.wallets:
                cash[account, w.asset_id] = w.total
            for p in view.positions:
                if p.iso_margin:
                    cash[account, quote[p.instrument_id]] += p.iso_margin
                held[account, p.instrument_id] = (p.qty, p.cost, p.realised, p.fees)
        return (
            {key: value for key, value in cash.items() if value},
            {key: value for key, value in held.items() if any(value)},
        )

    def terms(self) -> Terms:
        """Return the terms that the log defines."""
        frames = b"".join(
            bytes(msgspec.msgpack.decode(payload)[5])
            for _, payload in self.log.of(TRADING_COMMANDS)
        )
        raw = np.frombuffer(frames, dtypes.COMMAND)
        heads = np.flatnonzero((raw["kind"] == CommandKind.INSTRUMENT) & (raw["cont"] == 3))
        whole = b"".join(frames[64 * at : 64 * at + 256] for at in heads)
        return Terms.of_frames(np.frombuffer(whole, dtypes.INSTRUMENT))


RICH = {USD.asset_id: 10**15, BTC.asset_id: 10**12}


def busy_venue(orders: int = 60, seed: int = 1) -> Venue:
    """Return a venue where five accounts have traded spot and perpetual."""
    venue = Venue()
    venue.open({account: RICH for account in range(1, 6)})
    venue.admin(CommandKind.MARK_PRICE, instrument_id=PERP.instrument_id, mark_px=10_000)
    trade(venue, orders, seed)
    return venue


def trade(venue: Venue, orders: int, seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(orders):
        venue.order(
            *(draw.randint(1, 5), draw.randint(1, 2), draw.randint(1, 50)),
            px=10_000 + draw.randint(-3, 3),
            instrument=draw.choice((SPOT, PERP)).instrument_id,
            session=draw.randint(1, 3),
        )


def packed(venue: Venue, batches: int) -> ListLog:
    """Return the venue's executions with so many batches in each record, as under load."""
    frames = b"".join(bytes(envelope.decode(p).frames) for _, p in venue.log.of(EXECUTIONS))
    kinds = np.frombuffer(frames, dtypes.EVENT)["kind"]
    heads = np.flatnonzero(kinds == CellKind.BATCH)[::batches].tolist()
    log = ListLog()
    for begin, end in itertools.pairwise([*heads, len(kinds)]):
        part = frames[64 * begin : 64 * end]
        sealed = envelope.seal_events(part, source=venue.cell.source, first_seq=begin + 1)
        log.of(EXECUTIONS).append((START_NS, envelope.encode(sealed)))
    return log


def changes_of(venue: Venue) -> Changes:
    """Return what all executions of a venue change."""
    reader = FrameReader(venue.cell.source)
    batches = [
        batch
        for offset, (_, payload) in enumerate(venue.log.of(EXECUTIONS))
        for batch in reader.read(offset, payload)
    ]
    return fold_batches(batches, venue.terms())


class Services:
    """Portfolio services over one log, one store and one cache.

    Parameters
    ----------
    log : ListLog
    store, cache
        Dictionaries where nothing else is given.
    settings : PortfolioSettings
    """

    def __init__(
        self,
        log: Any,
        store: PortfolioStore | None = None,
        cache: Cache | None = None,
        settings: PortfolioSettings = QUICK,
        catalog: Catalog = CATALOG,
    ) -> None:
        self.log = log
        self.store: PortfolioStore = store or DictStore()
        self.cache: Cache = cache or MemoryCache()
        self.settings = settings
        self.catalog = catalog

    def make(self, store: PortfolioStore | None = None) -> PortfolioService:
        return PortfolioService(
            self.settings,
            catalog=self.catalog,
            partition=0,
            log=self.log,
            store=store or self.store,
            cache=self.cache,
            clock=StillClock(),
            metrics=NoMetrics(),
        )

    async def catch_up(self, *services: PortfolioService) -> None:
        """Run services until the store has read all executions, then stop them."""
        tasks = [asyncio.create_task(one.run()) for one in services]
        try:
            await self.until(self.is_caught_up, tasks)
        finally:
            for one in services:
                one.stop()
            await asyncio.gather(*tasks)

    async def is_caught_up(self) -> bool:
        place = await self.store.place(PORTFOLIO, 0)
        return place.next_offset >= len(self.log.of(EXECUTIONS))

    @staticmethod
    async def until(
        condition: Callable[[], Awaitable[bool]], tasks: Sequence[asyncio.Task[None]] = ()
    ) -> None:
        """Wait for a condition; what a task raises is raised."""
        async with asyncio.timeout(20):
            while not await condition():
                for task in tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.001)


async def kept_money(
    store: PortfolioStore,
) -> tuple[dict[tuple[int, int], int], dict[tuple[int, int], tuple[int, ...]]]:
    """Return what a store has in the form of `Venue.money`."""
    balances, positions = await store.read("balances", "positions")
    cash = {(int(r["account_id"]), int(r["asset_id"])): int(r["amount"]) for r in balances}
    held = {
        (int(r["account_id"]), int(r["instrument_id"])): tuple(
            int(r[name]) for name in ("qty", "cost", "realised", "fees")
        )
        for r in positions
    }
    return (
        {key: value for key, value in cash.items() if value},
        {key: value for key, value in held.items() if any(value)},
    )
