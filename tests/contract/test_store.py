"""The contract of the portfolio's store: one suite for the dictionaries and for real Postgres."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from services.testing import new_database, real_database, real_servers  # noqa: F401 (fixtures)

from tradecore.catalog import Catalog
from tradecore.errors import ConfigError
from tradecore.instruments import AssetSpec, InstrumentSpec
from tradecore.portfolio.columns import (
    BALANCE,
    EQUITY,
    FILL,
    LEDGER,
    POSITION,
    PRINT,
    Table,
    empty,
    table_of,
)
from tradecore.portfolio.fold import Changes
from tradecore.portfolio.sessions import Session
from tradecore_shells.plumbing.ports import FatalError, RetryableError
from tradecore_shells.plumbing.postgres import Migration, Postgres
from tradecore_shells.portfolio.pgstore import STAGE_ROWS, PostgresStore
from tradecore_shells.portfolio.store import (
    PORTFOLIO,
    SESSIONS,
    START,
    TABLES,
    Batch,
    Place,
    PortfolioStore,
)
from tradecore_shells.sim.store import DictStore

BTC, USD = AssetSpec("BTC", 1), AssetSpec("USD", 0)
CATALOG = Catalog([InstrumentSpec("BTC-USD", 5, BTC, USD, lot_size="0.001")])


@dataclass
class World:
    """Where stores come from: all that `make` returns see the same data."""

    make: Callable[[], PortfolioStore]
    dsn: str = ""


@pytest.fixture(scope="module")
def migrated_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Lend a database with all tables to this file: making them takes longer than the tests."""
    servers = request.getfixturevalue("real_servers")
    with new_database(servers.postgres, f"test_store_{os.getpid()}") as dsn:
        yield dsn


@pytest.fixture
def emptied_database(migrated_database: str) -> str:
    async def empty_tables() -> None:
        db = Postgres(migrated_database)
        await PostgresStore(db).open(CATALOG)
        await db.fetch(f"TRUNCATE {', '.join(TABLES)}, consumer_offset, accounts, sessions")
        await db.close()

    asyncio.run(empty_tables())
    return migrated_database


@pytest.fixture(params=["dictionaries", "postgres", "postgres-staged"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "dictionaries":
        store = DictStore()
        yield World(lambda: store)
    else:
        dsn = request.getfixturevalue("emptied_database")
        rows = 0 if request.param == "postgres-staged" else STAGE_ROWS
        yield World(lambda: PostgresStore(Postgres(dsn), stage_rows=rows), dsn)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    dsn: str = request.getfixturevalue("real_database")
    return dsn


def play(world: World, *bodies: Callable[[PortfolioStore], Awaitable[Any]]) -> list[Any]:
    """Run coroutines one after the other, each with a store of its own."""

    async def main() -> list[Any]:
        results = []
        for body in bodies:
            store = world.make()
            await store.open(CATALOG)
            results.append(await body(store))
            await store.close()
        return results

    return asyncio.run(main())


def rows(dtype: np.dtype[np.void], *given: dict[str, int]) -> Table:
    """Return rows of which only some columns are named; the others are 0."""
    table = np.zeros(len(given), dtype)
    for at, row in enumerate(given):
        for name, value in row.items():
            table[at][name] = value
    return table


def changes(seq: int = 1, user: int = 7, amount: int = 100, qty: int = 3) -> Changes:
    """Return one fill of one user, a deposit, and what they change."""
    who = {"user_id": user, "account_id": user}
    return Changes(
        fills=rows(FILL, {**who, "seq": seq, "instrument_id": 5, "px": 1 << 55, "qty": qty}),
        ledger=rows(LEDGER, {**who, "seq": seq + 1, "cash_delta": amount}),
        positions=rows(
            POSITION,
            {**who, "instrument_id": 5, "qty": qty, "cost": -9, "realised": 2, "fees": 1,
             "bought": qty, "fills": 1, "seq": seq, "ts_ns": seq},
        ),
        balances=rows(BALANCE, {**who, "asset_id": 0, "amount": amount, "seq": seq + 1}),
        prints=rows(PRINT, {"instrument_id": 5, "px": 100 + seq, "seq": seq}),
    )  # fmt: skip


def batch(
    before: Place, after: Place, what: Changes | None = None, equity: Table | None = None
) -> Batch:
    nothing = Changes(*(empty(kind) for kind in (FILL, LEDGER, POSITION, BALANCE, PRINT)))
    return Batch(0, before, after, what or nothing, empty(EQUITY) if equity is None else equity)


ONE, TWO = Place(1, 10, 5), Place(2, 20, 6)


def test_new_consumer_stands_at_the_start(world: World) -> None:
    assert play(world, lambda s: s.place(PORTFOLIO, 0)) == [START]


def test_batch_writes_rows_and_moves_the_consumer(world: World) -> None:
    async def body(store: PortfolioStore) -> None:
        assert await store.apply(batch(START, ONE, changes()))

    async def look(store: PortfolioStore) -> None:
        assert await store.place(PORTFOLIO, 0) == ONE
        fills, ledger, positions = await store.read("fills", "ledger", "positions")
        assert fills.tolist() == changes().fills.tolist()
        assert ledger.tolist() == changes().ledger.tolist()
        assert positions.tolist() == changes().positions.tolist()

    play(world, body, look)


def test_batch_without_rows_moves_the_consumer(world: World) -> None:
    async def body(store: PortfolioStore) -> None:
        assert await store.apply(batch(START, ONE))
        assert await store.apply(batch(ONE, TWO))
        assert await store.place(PORTFOLIO, 0) == TWO

    play(world, body)


def test_batch_from_another_place_changes_nothing(world: World) -> None:
    async def body(store: PortfolioStore) -> None:
        assert await store.apply(batch(START, ONE, changes()))
        for wrong in (START, Place(1, 11, 5), Place(1, 9, 5)):
            assert not await store.apply(batch(wrong, TWO, changes(seq=50)))
        assert await store.place(PORTFOLIO, 0) == ONE
        (fills,) = await store.read("fills")
        assert fills["seq"].tolist() == [1]
        place, book = await store.load(0)
        assert place == ONE
        assert book.balances.table["amount"].tolist() == [100]

    play(world, body)


def test_place_is_known_by_its_number_whatever_record_it_was_read_from(world: World) -> None:
    async def body(store: PortfolioStore) -> None:
        assert await store.apply(batch(START, ONE))
        assert await store.apply(batch(ONE._replace(next_offset=99), TWO))
        assert await store.place(PORTFOLIO, 0) == TWO

    play(world, body)


def test_positions_and_balances_add_up_and_take_the_newest_values(world: World) -> None:
    async def body(store: PortfolioStore) -> None:
        assert await store.apply(batch(START, ONE, changes(1)))
        assert await store.apply(batch(ONE, TWO, changes(4, amount=-30, qty=-2)))
        place, book = await store.load(0)
        assert place == TWO
        position = dict(zip(POSITION.names or (), book.positions.table[0].item(), strict=True))
        assert position | {"user_id": 7} == {
            "user_id": 7, "cell": 0, "account_id": 7, "instrument_id": 5, "qty": -2, "cost": -18,
            "realised": 4, "fees": 2, "bought": 1, "sold": 0, "fills": 2, "seq": 4, "ts_ns": 4,
        }  # fmt: skip
        assert book.balances.table["amount"].tolist() == [70]
        assert book.last_px == {5: 104}

    play(world, body)


def test_fill_that_is_there_already_is_an_error_and_changes_nothing(world: World) -> None:
    """The second line of defence behind the place."""

    async def body(store: PortfolioStore) -> None:
        assert await store.apply(batch(START, ONE, changes(1)))
        with pytest.raises(FatalError):
            await store.apply(batch(ONE, TWO, changes(1)))

    play(world, body)


def test_two_workers_write_each_batch_once(world: World) -> None:
    places = [Place(n, 10 * n + 1, n) for n in range(21)]

    async def worker(store: PortfolioStore) -> int:
        won = 0
        for before, after in itertools.pairwise(places):
            first = START if before == places[0] else before
            won += await store.apply(batch(first, after, changes(seq=10 * after.next_offset)))
        return won

    async def main() -> None:
        stores = [world.make() for _ in range(2)]
        for store in stores:
            await store.open(CATALOG)
        won = await asyncio.gather(*(worker(store) for store in stores))
        assert sum(won) == 20
        (fills,) = await stores[0].read("fills")
        assert fills["seq"].tolist() == [10 * n for n in range(1, 21)]
        _, book = await stores[1].load(0)
        assert book.balances.table["amount"].tolist() == [2000]
        for store in stores:
            await store.close()

    asyncio.run(main())


def test_largest_amounts_come_back_as_they_went(world: World) -> None:
    big = (1 << 62) - 1

    async def body(store: PortfolioStore) -> None:
        fill = changes(amount=-big)
        fill.fills["order_id"] = -(1 << 63)
        assert await store.apply(batch(START, ONE, fill))
        fills, balances = await store.read("fills", "balances")
        assert fills["order_id"].tolist() == [-(1 << 63)]
        assert balances["amount"].tolist() == [-big]

    play(world, body)


def test_reading_narrows_by_user_cell_and_time(world: World) -> None:
    async def body(store: PortfolioStore) -> None:
        assert await store.apply(batch(START, ONE, changes(1)))
        other = changes(5, user=8)
        other.fills["ts_ns"] = 1000
        assert await store.apply(batch(ONE, TWO, other))
        (fills,) = await store.read("fills", user_id=8)
        assert fills["seq"].tolist() == [5]
        assert len((await store.read("fills", cell=1))[0]) == 0
        (fills,) = await store.read("fills", since_ns=1000)
        assert fills["user_id"].tolist() == [8]
        (fills,) = await store.read("fills", before_ns=1000)
        assert fills["user_id"].tolist() == [7]

    play(world, body)


def test_equity_samples_travel_with_the_batch(world: World) -> None:
    sample = table_of(
        EQUITY,
        **{"user_id": [7], "cell": 0, "ts_ns": 60, "asset_id": 0, "cash": 5},
        **{"upnl": -1, "equity": 4, "unpriced": 0, "seq": 1},
    )

    async def body(store: PortfolioStore) -> None:
        assert await store.apply(batch(START, ONE, equity=sample))
        assert (await store.read("equity"))[0].tolist() == sample.tolist()

    play(world, body)


def test_sessions_are_merged_in_any_order_and_repeats_change_nothing(world: World) -> None:
    opened, closed = Session(7, 3, 7, "bot", 10, 0), Session(7, 3, 7, "", 0, 20)

    async def body(store: PortfolioStore) -> None:
        assert await store.apply_sessions(0, START, ONE, [closed])
        assert await store.apply_sessions(0, ONE, TWO, [opened])
        again = opened._replace(label="other", opened_ts_ns=99)
        assert await store.apply_sessions(0, TWO, Place(3, 30, 0), [again])
        assert not await store.apply_sessions(0, TWO, Place(4, 40, 0), [Session(9, 4, 9, "", 1, 0)])
        whole = Session(7, 3, 7, "bot", 10, 20)
        assert await store.sessions() == [whole]
        assert await store.sessions(7) == [whole]
        assert await store.sessions(8) == []
        assert (await store.place(SESSIONS, 0)).next_offset == 3
        assert await store.place(PORTFOLIO, 0) == START

    play(world, body)


def test_another_definition_of_an_instrument_is_refused(world: World) -> None:
    other = Catalog([InstrumentSpec("BTC-USD", 5, BTC, USD, lot_size="0.1")])

    async def body(store: PortfolioStore) -> None:
        with pytest.raises(ConfigError, match="instruments 5"):
            await store.open(other)

    play(world, body)


# ------------------------------------------------------------------------------- only real servers


def test_opening_twice_at_once_migrates_once(database: str) -> None:
    async def main() -> None:
        stores = [PostgresStore(Postgres(database)) for _ in range(3)]
        await asyncio.gather(*(store.open(CATALOG) for store in stores))
        for store in stores:
            assert await store.place(PORTFOLIO, 0) == START
            await store.close()

    asyncio.run(main())


def test_database_at_another_migration_is_refused_with_a_sentence(database: str) -> None:
    async def main() -> None:
        ours = [Migration(1, "001_a", "CREATE TABLE a (x bigint)")]
        newer = [*ours, Migration(2, "002_b", "CREATE TABLE b (x bigint)")]
        changed = [Migration(1, "001_a", "CREATE TABLE a (y bigint)")]
        db = Postgres(database)
        await db.migrate(newer)
        await db.migrate(newer)
        with pytest.raises(
            ConfigError, match=r"at migration 2 \(002_b\), this build knows up to 1"
        ):
            await db.migrate(ours)
        with pytest.raises(ConfigError, match=r"migration 1 .* is not the one of this build"):
            await db.migrate([*changed, newer[1]])
        await db.close()

    asyncio.run(main())


def test_broken_migration_leaves_nothing_behind(database: str) -> None:
    async def main() -> None:
        db = Postgres(database)
        with pytest.raises(FatalError, match="syntax"):
            await db.migrate([Migration(1, "001_a", "CREATE TABLE a (x bigint); CREATE TABEL b;")])
        await db.migrate([Migration(1, "001_a", "CREATE TABLE a (x bigint)")])
        await db.close()

    asyncio.run(main())


def test_broken_connection_is_retryable_and_comes_back(database: str) -> None:
    async def main() -> None:
        one, other = Postgres(database), Postgres(database)
        sleeping = asyncio.create_task(one.fetch("SELECT pg_sleep(60)"))
        kill = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query LIKE '%sleep(60)' AND state = 'active'"
        )
        while not await other.fetch(kill):  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.01)
        with pytest.raises(RetryableError, match="PostgreSQL at"):
            await sleeping
        assert await one.fetch("SELECT 1") == [(1,)]
        await one.close()
        await other.close()

    asyncio.run(main())


def test_statement_that_takes_too_long_is_retryable(database: str) -> None:
    async def main() -> None:
        db = Postgres(database, timeout_s=0.2)
        with pytest.raises(RetryableError):
            await db.fetch("SELECT pg_sleep(10)")
        assert await db.fetch("SELECT 1") == [(1,)]
        await db.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("dsn", "error"),
    [
        ("postgresql://nobody@127.0.0.1:9/x", RetryableError),
        ("what is this", ConfigError),
    ],
)
def test_wrong_address_is_one_sentence(dsn: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        asyncio.run(Postgres(dsn, timeout_s=5).fetch("SELECT 1"))


def test_password_never_shows(database: str) -> None:
    db = Postgres("postgresql://me:secret@127.0.0.1:9/x", timeout_s=5)
    with pytest.raises(RetryableError) as caught:
        asyncio.run(db.fetch("SELECT 1"))
    assert "secret" not in str(caught.value)
