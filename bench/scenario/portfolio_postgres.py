"""How fast executions become rows in Postgres, and what the database itself could take.

    python bench/scenario/portfolio_postgres.py                 the table, on a cluster of its own
    python bench/scenario/portfolio_postgres.py --users 100000 --dsn postgresql://...

A cell lets funded accounts trade spot instruments with each other at random. Its executions, whole
records as in the log, are read by the portfolio's writer into a database over one connection, fsync
on, one statement a batch. Rows, all in fill rows a second (a fill has two), over the same fills:

- service: read, decode, fold, write, keep the book in memory: what the portfolio service does;
- statement: the writing alone, batches folded before;
- copy: plain binary COPY of the fill rows into an empty table like `fills`: roofline of inserts;
- upsert: plain INSERT ... ON CONFLICT of the position and balance rows behind the same fills, and
  nothing else: roofline of updates;
- fold: events to rows in numpy, without a database.

Every run ends with the sum over all accounts compared with the engine's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import numpy as np
from bench.scenario.mark import commit

from tradecore import dtypes
from tradecore.catalog import Catalog
from tradecore.cell import Batch, Cell, CellConfig, FrameReader
from tradecore.codes import CommandKind
from tradecore.engine import EngineConfig
from tradecore.envelope import encode, seal
from tradecore.instruments import AssetSpec, InstrumentSpec
from tradecore.portfolio.fold import Changes, fold_batches
from tradecore.portfolio.terms import Terms
from tradecore.testing.results import Result, append_results, machine, summarise
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.cluster import EmbeddedPostgres
from tradecore_shells.plumbing.observe import NoMetrics
from tradecore_shells.plumbing.ports import Bounds, Record
from tradecore_shells.plumbing.postgres import Postgres, encode_copy
from tradecore_shells.portfolio import store as stores
from tradecore_shells.portfolio.config import PortfolioSettings
from tradecore_shells.portfolio.pgstore import PostgresStore
from tradecore_shells.portfolio.writer import Writer

SEED = 20_261_122
RECORD_COMMANDS = 1024


class Executions:
    """The executions of a cell between `users` accounts, as a log that is read once.

    Everybody trades two instruments, against others who trade them too.

    Parameters
    ----------
    users, instruments, rows : int
        Accounts, spot instruments, and about how many fill rows to make.

    Attributes
    ----------
    records : list of Record
    opening : int
        How many of them open and fund the accounts; they are not measured.
    """

    def __init__(self, users: int, instruments: int, rows: int) -> None:
        usd = AssetSpec("USD", 0, 8)
        specs = [
            InstrumentSpec(
                f"C{n}-USD", n, AssetSpec(f"C{n}", 1 + n, 8), usd, lot_size="0.001",
                maker_fee_ppm=100, taker_fee_ppm=300,
            )
            for n in range(instruments)
        ]  # fmt: skip
        self.catalog = Catalog(specs)
        self.terms = Terms.of_catalog(specs)
        sizes = EngineConfig(
            accounts=True,
            max_instruments=instruments,
            max_orders=1 << 16,
            max_accounts=users,
            max_assets=instruments + 1,
            max_wallets=3 * users + 1024,
            max_positions=2 * users + 1024,
        )
        self.cell = Cell(CellConfig(engine=sizes, recent_orders=1 << 12, depth_ns=0))
        self.records: list[Record] = []
        self._offset = 0
        self._open(specs, users)
        self.opening = len(self.records)
        self._trade(users, instruments, rows // 2)

    def _open(self, specs: Sequence[InstrumentSpec], users: int) -> None:
        self._send(b"".join(spec.to_frame() for spec in specs))
        for begin in range(0, users, RECORD_COMMANDS):
            who = np.arange(begin, min(begin + RECORD_COMMANDS, users))
            frames = np.zeros(len(who), dtypes.ADMIN)
            frames["kind"], frames["account_id"] = CommandKind.ACCOUNT, who
            self._send(frames.tobytes())
            for asset in (who * 0, 1 + who % len(specs), 1 + (who + 1) % len(specs)):
                frames["kind"], frames["asset_id"] = CommandKind.DEPOSIT, asset
                frames["amount"] = 10**13
                self._send(frames.tobytes())

    def _trade(self, users: int, instruments: int, fills: int) -> None:
        """Let random people trade: one sells at a price, the next buys at it."""
        draw = np.random.default_rng(SEED)
        pairs = RECORD_COMMANDS // 2
        for made in range(0, fills, pairs):
            frames = np.zeros(2 * pairs, dtypes.COMMAND)
            where = draw.integers(0, instruments, pairs)
            qty = draw.integers(1, 50, pairs)
            for at, side in ((0, 2), (1, 1)):
                orders = frames[at::2]
                # Those whose first or second instrument it is: number n or n - 1 of a round.
                round_ = draw.integers(0, users // instruments, pairs) * instruments
                who = round_ + (where - draw.integers(0, 2, pairs)) % instruments
                orders["kind"], orders["side"] = CommandKind.NEW_ORDER, side
                ids = np.arange(2 * made + at, 2 * (made + pairs), 2, dtype=np.uint64)
                orders["order_id"] = (np.uint64(1) << np.uint64(32)) | (ids + np.uint64(1))
                orders["session_id"], orders["account_id"] = 1, who
                orders["instrument_id"], orders["order_qty"] = where, qty
                orders["px"], orders["ord_type"], orders["tif"] = 10_000, 2, 1
            self._send(frames.tobytes())

    def _send(self, commands: bytes) -> None:
        now = 1_000_000_000 + self._offset * 1_000_000
        payload = encode(seal(commands, source=0, first_seq=1))
        output = self.cell.apply(self._offset, now, payload)
        self._offset += 1
        for made in output.executions(self.cell):
            self.records.append(Record(len(self.records), now, memoryview(made)))

    def batches(self) -> tuple[list[Batch], list[Batch]]:
        """Return everything that the cell said: the opening, and the trading."""
        reader = FrameReader(self.cell.source)
        read = [reader.read(record.offset, record.payload) for record in self.records]
        opening, trading = read[: self.opening], read[self.opening :]
        return [b for one in opening for b in one], [b for one in trading for b in one]

    def cash(self) -> int:
        """Return the sum of everybody's dollars."""
        users = range(self.cell.config.engine.max_accounts)
        views = (self.cell.engine.account(n).wallets for n in users)
        return sum(w.total for view in views for w in view if w.asset_id == 0)

    # The Log port, as far as the writer uses it.
    async def fetch(
        self, topic: str, partition: int, offset: int, *, max_bytes: int, wait_s: float
    ) -> list[Record]:
        """Return records from an offset on."""
        found, size = [], 0
        for record in self.records[offset:]:
            found.append(record)
            size += len(record.payload)
            if size > max_bytes:
                break
        if not found:
            await asyncio.sleep(wait_s)
        return found

    async def bounds(self, topic: str, partition: int) -> Bounds:
        """Return where the records begin and end."""
        return Bounds(0, len(self.records))


def groups_of(batches: Sequence[Batch], events: int) -> list[list[Batch]]:
    """Cut batches into groups as the writer does."""
    groups: list[list[Batch]] = [[]]
    size = 0
    for batch in batches:
        if size >= events:
            groups.append([])
            size = 0
        groups[-1].append(batch)
        size += len(batch.events)
    return groups


class Bench:
    """One database and the executions that go into it; every method returns seconds."""

    def __init__(self, dsn: str, source: Executions, settings: PortfolioSettings) -> None:
        self.dsn = dsn
        self.source = source
        self.settings = settings
        opening, trading = source.batches()
        self._opening = groups_of(opening, 8 * settings.batch_events)
        self._trading = groups_of(trading, settings.batch_events)
        self._folded = [fold_batches(group, source.terms) for group in self._trading]
        self.rows = sum(len(one.fills) for one in self._folded)

    async def _fresh(self) -> tuple[PostgresStore, stores.Place]:
        """Empty the tables, then open and fund the accounts."""
        store = PostgresStore(Postgres(self.dsn, timeout_s=120))
        await store.open(self.source.catalog)
        connection = await asyncpg.connect(self.dsn)
        await connection.execute(
            "TRUNCATE fills, ledger, positions, balances, marks, equity, consumer_offset"
        )
        folded = [fold_batches(group, self.source.terms) for group in self._opening]
        place = await self._write(store, stores.START, self._opening, folded)
        await connection.execute("CHECKPOINT")
        await connection.close()
        return store, place

    async def _write(
        self,
        store: PostgresStore,
        place: stores.Place,
        groups: Sequence[Sequence[Batch]],
        folded: Sequence[Changes],
    ) -> stores.Place:
        for group, changes in zip(groups, folded, strict=True):
            offset = self.source.opening if groups is self._opening else 0
            after = stores.Place(offset, group[-1].end_seq, group[-1].ts_ns)
            assert await store.apply(stores.Batch(0, place, after, changes))
            place = after
        return place

    async def service(self) -> float:
        """Run the service's writer over everything behind the opening."""
        store, _ = await self._fresh()
        writer = Writer(
            self.settings,
            partition=0,
            log=self.source,  # type: ignore[arg-type]
            store=store,
            clock=SystemClock(),
            metrics=NoMetrics(),
            terms=self.source.terms,
            equity_asset=0,
            on_change=lambda users: None,
        )
        await writer.load()
        stopping = asyncio.Event()
        end = self._trading[-1][-1].end_seq
        start = time.perf_counter()
        task = asyncio.create_task(writer.run(stopping))
        while writer.place.next_seq < end and not task.done():  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.005)
        seconds = time.perf_counter() - start
        stopping.set()
        await task
        await self._check(store)
        return seconds

    async def statement(self) -> float:
        """Write what was folded before."""
        store, place = await self._fresh()
        start = time.perf_counter()
        await self._write(store, place, self._trading, self._folded)
        seconds = time.perf_counter() - start
        await self._check(store)
        return seconds

    async def _check(self, store: PostgresStore) -> None:
        fills, balances = await store.read("fills", "balances")
        assert len(fills) == self.rows
        dollars = balances["amount"][balances["asset_id"] == 0].sum()
        assert int(dollars) == self.source.cash(), "cash differs from the engine's"
        await store.close()

    async def copy(self) -> float:
        """Copy the fill rows into a table like theirs, one COPY a batch."""
        connection = await asyncpg.connect(self.dsn)
        names = self._folded[0].fills.dtype.names or ()
        columns = ", ".join(f"{name} bigint NOT NULL" for name in names)
        await connection.execute(
            f"DROP TABLE IF EXISTS plain; CREATE TABLE plain ({columns}, "
            "PRIMARY KEY (user_id, cell, seq)) PARTITION BY HASH (user_id)"
        )
        for part in range(8):
            await connection.execute(
                f"CREATE TABLE plain_{part} PARTITION OF plain "
                f"FOR VALUES WITH (MODULUS 8, REMAINDER {part})"
            )
        await connection.execute("CHECKPOINT")
        start = time.perf_counter()
        for one in self._folded:
            data = io.BytesIO(encode_copy(one.fills))
            await connection.copy_to_table("plain", source=data, format="binary")
        seconds = time.perf_counter() - start
        kept = await connection.fetchval("SELECT count(*) FROM plain")
        assert kept == self.rows
        await connection.execute("DROP TABLE plain")
        await connection.close()
        return seconds

    async def upsert(self) -> float:
        """Update positions and balances behind the fills, and nothing else."""
        store, place = await self._fresh()
        only = [
            Changes(one.fills[:0], one.ledger[:0], one.positions, one.balances, one.prints)
            for one in self._folded
        ]
        start = time.perf_counter()
        await self._write(store, place, self._trading, only)
        seconds = time.perf_counter() - start
        await store.close()
        return seconds

    async def fold(self) -> float:
        """Turn events into rows, without a database."""
        start = time.perf_counter()
        for group in self._trading:
            fold_batches(group, self.source.terms)
        return time.perf_counter() - start


async def measure(bench: Bench, repeats: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Run all rows in rounds; rates in fill rows a second, and what the server is."""
    runs: dict[str, Callable[[], Awaitable[float]]] = {
        "service": bench.service,
        "statement": bench.statement,
        "copy": bench.copy,
        "upsert": bench.upsert,
        "fold": bench.fold,
    }
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            rates[name].append(bench.rows / await run())
    connection = await asyncpg.connect(bench.dsn)
    server = {
        name: await connection.fetchval(f"SHOW {name}")
        for name in ("server_version", "fsync", "synchronous_commit", "shared_buffers")
    }
    await connection.close()
    return rates, server


@contextlib.contextmanager
def database(dsn: str) -> Iterator[str]:
    """Yield the given DSN, or that of a cluster in a temporary folder."""
    if dsn:
        yield dsn
        return
    with (
        tempfile.TemporaryDirectory(prefix="tradecore-", ignore_cleanup_errors=True) as folder,
        EmbeddedPostgres(Path(folder) / "postgres") as cluster,
    ):
        yield cluster.dsn


def main(argv: list[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--instruments", type=int, default=20)
    parser.add_argument("--rows", type=int, default=200_000, help="about so many fill rows")
    parser.add_argument("--batch-events", type=int, default=PortfolioSettings().batch_events)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dsn", default="", help="another database; its tables are emptied")
    parser.add_argument("--json", action="store_true", help="print result lines instead of a table")
    parser.add_argument("--append", type=Path, metavar="FILE")
    parser.add_argument("--time-utc", default="", help="ISO 8601 time for the result lines")
    options = parser.parse_args(argv)
    settings = PortfolioSettings(batch_events=options.batch_events, equity_every_s=0)
    source = Executions(options.users, options.instruments, options.rows)
    with database(options.dsn) as dsn:
        bench = Bench(dsn, source, settings)
        rates, server = asyncio.run(measure(bench, options.repeats))
    here = machine("cython")
    conditions = {
        "users": options.users,
        "instruments": options.instruments,
        "rows": bench.rows,
        "batch_events": options.batch_events,
        **server,
    }
    results: list[Result] = [
        summarise(
            values,
            name=f"portfolio/{row}",
            unit="rows/s",
            machine=here,
            commit=commit(),
            time_utc=options.time_utc,
            conditions=conditions,
            result_sha256=source.cell.state_hash(),
        )
        for row, values in rates.items()
    ]
    if options.json:
        for result in results:
            print(msgspec.json.encode(result).decode())
    else:
        print(
            f"{bench.rows:,} fill rows, {options.users:,} users, {options.instruments} instruments,"
            f" PostgreSQL {server['server_version']}, fsync {server['fsync']}, one connection, "
            f"{here.cpu}, medians of {options.repeats}"
        )
        for result in results:
            print(f"{result.name:<24} {result.median:12,.0f} rows/s")
    if options.append is not None:
        append_results(options.append, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
