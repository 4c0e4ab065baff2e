"""The store in Postgres: one statement for a batch.

`apply` is a single SQL statement: the compare-and-set of the consumer's place, and inserts and
upserts that select nothing unless it succeeded. The rows of a small batch travel with it as arrays,
and a batch costs one round trip and one commit. Those of a large one are copied into temporary
tables first, in the statement's own transaction, because the server reads them there three times
faster than out of arrays.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tradecore.catalog import Catalog
from tradecore.errors import ConfigError
from tradecore.portfolio.book import Book
from tradecore.portfolio.columns import Table
from tradecore.portfolio.fold import Owners
from tradecore.portfolio.sessions import Session
from tradecore_shells.plumbing.postgres import Postgres, migrations_in
from tradecore_shells.portfolio.store import (
    KEYS,
    PORTFOLIO,
    SESSIONS,
    START,
    TABLES,
    Batch,
    Place,
    TableName,
)

__all__ = ["STAGE_ROWS", "PostgresStore"]

STAGE_ROWS: Final = 1000
"""Rows of a batch from which two more round trips cost less than arrays do."""

_MIGRATIONS: Final = Path(__file__).parent / "sql"
# Columns that a change adds to a row that exists; the others take the newest value.
_ADDED: Final[dict[TableName, tuple[str, ...]]] = {
    "positions": ("cost", "realised", "fees", "bought", "sold", "fills"),
    "balances": ("amount",),
    "marks": (),
}
_WRITTEN: Final[tuple[TableName, ...]] = (
    "fills", "ledger", "positions", "balances", "marks", "equity",
)  # fmt: skip

# The consumer's row is locked by the update; whoever comes second sees another place and does
# nothing. A new consumer's row is made in the same way: of two makers one meets the key.
_MOVE: Final = """
WITH moved AS (
    UPDATE consumer_offset SET next_offset = $4, next_seq = $5, ts_ns = $6
    WHERE consumer = $1 AND partition = $2 AND next_seq = $3 RETURNING 1
), made AS (
    INSERT INTO consumer_offset
    SELECT $1::text, $2::integer, $4::bigint, $5::bigint, $6::bigint
    WHERE $3::bigint = 1 AND NOT EXISTS (SELECT 1 FROM moved)
    ON CONFLICT DO NOTHING RETURNING 1
), won AS (SELECT 1 FROM moved UNION ALL SELECT 1 FROM made)"""
_MOVE_ARGS: Final = 6


def _arrays(table: TableName, first: int) -> str:
    """Return a table's rows as arrays in the parameters from `first` on."""
    names = TABLES[table].names or ()
    arrays = ", ".join(f"${first + i}::bigint[]" for i in range(len(names)))
    return f"unnest({arrays}) AS t({', '.join(names)})"


def _stage(table: TableName) -> str:
    return f"stage_{table}"


def _insert(table: TableName, rows: str) -> str:
    """Return one table's part of a batch."""
    names = TABLES[table].names or ()
    columns = ", ".join(names)
    sql = (
        f", {table}_in AS (INSERT INTO {table} ({columns}) SELECT {columns} "
        f"FROM {rows} WHERE EXISTS (SELECT 1 FROM won)"
    )
    if table in _ADDED:
        key = KEYS[table]
        changes = ", ".join(
            f"{name} = {table}.{name} + excluded.{name}"
            if name in _ADDED[table]
            else f"{name} = excluded.{name}"
            for name in names
            if name not in key
        )
        sql += f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"
    return sql + ")"


@functools.cache
def _statement(tables: tuple[TableName, ...], *, staged: bool) -> str:
    """Return the statement of a batch that has rows for these tables."""
    sql, first = _MOVE, _MOVE_ARGS + 1
    for table in tables:
        sql += _insert(table, _stage(table) if staged else _arrays(table, first))
        first += len(TABLES[table].names or ())
    return sql + " SELECT count(*) FROM won"


def _columns(table: Table) -> list[list[int]]:
    return [table[name].tolist() for name in table.dtype.names or ()]


class PostgresStore:
    """The store port over one database.

    Parameters
    ----------
    database : Postgres
        Its connection; closed by `close`.
    stage_rows : int
        From so many rows on a batch goes through temporary tables.
    """

    def __init__(self, database: Postgres, *, stage_rows: int = STAGE_ROWS) -> None:
        self._db = database
        self._stage_rows = stage_rows

    async def open(self, catalog: Catalog) -> None:
        """Migrate, and make or compare the copy of the catalog; ConfigError where they differ."""
        await self._db.migrate(migrations_in(_MIGRATIONS))
        assets = {
            (a.asset_id, a.code, a.decimals) for s in catalog.instruments for a in (s.base, s.quote)
        }
        instruments = {
            (
                *(s.instrument_id, s.symbol, s.base.asset_id, s.quote.asset_id, s.multiplier),
                *(s.base_per_lot, s.px_unit or s.tick_size, s.qty_unit or s.lot_size),
            )
            for s in catalog.instruments
        }
        await self._keep("assets", sorted(assets))
        await self._keep("instruments", sorted(instruments))

    async def _keep(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        for row in rows:
            slots = ", ".join(f"${i + 1}" for i in range(len(row)))
            await self._db.fetch(
                f"INSERT INTO {table} VALUES ({slots}) ON CONFLICT DO NOTHING",
                *row,
            )
        kept = {row[0]: row for row in await self._db.fetch(f"SELECT * FROM {table}")}
        for row in rows:
            if kept[row[0]] != row:
                raise ConfigError(
                    f"{table} {row[0]} is {kept[row[0]]} in the database and {row} in the "
                    "settings: positions would change their meaning; use the old definition"
                )

    async def place(self, consumer: str, partition: int) -> Place:
        """Return where a consumer stands; `START` for a new one."""
        rows = await self._db.fetch(
            "SELECT next_offset, next_seq, ts_ns FROM consumer_offset "
            "WHERE consumer = $1 AND partition = $2",
            *(consumer, partition),
        )
        return Place(*rows[0]) if rows else START

    async def owners(self) -> Owners:
        """Return which accounts belong to another user than themselves."""
        rows = await self._db.fetch("SELECT account_id, user_id FROM accounts")
        return Owners({account: user for account, user in rows if account != user})

    async def load(self, partition: int) -> tuple[Place, Book]:
        """Return where `PORTFOLIO` stands and the book at that place, read at one moment."""
        place, tables = await self._at_place(partition, ("positions", "balances", "marks"))
        return place, Book.of_tables(
            partition, tables["positions"], tables["balances"], tables["marks"]
        )

    async def everything(self, partition: int) -> tuple[Place, dict[TableName, Table]]:
        """Return where `PORTFOLIO` stands and all tables of the cell at that place."""
        return await self._at_place(partition, tuple(TABLES))

    async def _at_place(
        self, partition: int, wanted: Sequence[TableName]
    ) -> tuple[Place, dict[TableName, Table]]:
        """Read tables of a cell and the place that they are at, at one moment."""
        place = (
            "SELECT coalesce(max(next_offset), $3), coalesce(max(next_seq), $4), "
            "coalesce(max(ts_ns), $5) FROM consumer_offset WHERE consumer = $1 AND partition = $2"
        )
        found, *tables = await self._db.read_tables(
            [
                (place, _PLACE, (PORTFOLIO, partition, *START)),
                *(_query(table, cell=partition) for table in wanted),
            ]
        )
        return Place(*found[0].item()), dict(zip(wanted, tables, strict=True))

    async def apply(self, batch: Batch) -> bool:
        """Write a batch and move `PORTFOLIO`; False when it does not stand at `batch.before`."""
        changes = batch.changes
        parts = {
            "fills": changes.fills,
            "ledger": changes.ledger,
            "positions": changes.positions,
            "balances": changes.balances,
            "marks": changes.prints,
            "equity": batch.equity,
        }
        tables = tuple(name for name in _WRITTEN if len(parts[name]))
        moves = _move_args(PORTFOLIO, batch.partition, batch.before, batch.after)
        if sum(len(parts[name]) for name in tables) >= self._stage_rows:
            won = await self._db.fetch_staged(
                [(_stage(name), parts[name]) for name in tables],
                _statement(tables, staged=True),
                *moves,
            )
        else:
            arrays = [column for name in tables for column in _columns(parts[name])]
            won = await self._db.fetch(_statement(tables, staged=False), *moves, *arrays)
        return bool(won[0][0])

    async def apply_sessions(
        self, partition: int, before: Place, after: Place, sessions: Sequence[Session]
    ) -> bool:
        """Merge sessions and move `SESSIONS`; False when it does not stand at `before`."""
        columns = [list(column) for column in zip(*sessions, strict=True)] or [[]] * 6
        won = await self._db.fetch(
            _SESSIONS_SQL, *_move_args(SESSIONS, partition, before, after), *columns
        )
        return bool(won[0][0])

    async def read(
        self,
        *tables: TableName,
        cell: int | None = None,
        user_id: int | None = None,
        since_ns: int | None = None,
        before_ns: int | None = None,
    ) -> list[Table]:
        """Return tables as they stood at one moment, each by its key."""
        return await self._db.read_tables(
            [_query(t, cell, user_id, since_ns, before_ns) for t in tables]
        )

    async def sessions(self, user_id: int | None = None) -> list[Session]:
        """Return the trading sessions, of one user or of all, by user and session."""
        rows = await self._db.fetch(
            "SELECT user_id, session_id, account_id, label, opened_ts_ns, closed_ts_ns "
            "FROM sessions WHERE user_id = coalesce($1, user_id) ORDER BY user_id, session_id",
            user_id,
        )
        return [Session(*row) for row in rows]

    async def close(self) -> None:
        """Let go of the connection."""
        await self._db.close()


_PLACE: Final = np.dtype([(name, np.int64) for name in Place._fields])
_SESSIONS_SQL: Final = (
    _MOVE
    + """, sessions_in AS (
    INSERT INTO sessions (user_id, session_id, account_id, label, opened_ts_ns, closed_ts_ns)
    SELECT * FROM unnest($7::bigint[], $8::bigint[], $9::bigint[], $10::text[], $11::bigint[],
                         $12::bigint[])
    WHERE EXISTS (SELECT 1 FROM won)
    ON CONFLICT (user_id, session_id) DO UPDATE SET
        label = CASE WHEN sessions.opened_ts_ns = 0 THEN excluded.label ELSE sessions.label END,
        opened_ts_ns = CASE WHEN sessions.opened_ts_ns = 0 THEN excluded.opened_ts_ns
                            ELSE sessions.opened_ts_ns END,
        closed_ts_ns = CASE WHEN sessions.closed_ts_ns = 0 THEN excluded.closed_ts_ns
                            ELSE sessions.closed_ts_ns END
) SELECT count(*) FROM won"""
)


def _move_args(consumer: str, partition: int, before: Place, after: Place) -> list[Any]:
    return [consumer, partition, before.next_seq, *after]


def _query(
    table: TableName,
    cell: int | None = None,
    user_id: int | None = None,
    since_ns: int | None = None,
    before_ns: int | None = None,
) -> tuple[str, np.dtype[np.void], tuple[int, ...]]:
    """Return a query of whole rows, its columns and its arguments."""
    columns = ", ".join(f"{name}::bigint" for name in TABLES[table].names or ())
    tests = [
        ("cell = ", cell),
        ("user_id = ", None if table == "marks" else user_id),
        ("ts_ns >= ", since_ns),
        ("ts_ns < ", before_ns),
    ]
    used = [(test, value) for test, value in tests if value is not None]
    where = " AND ".join(f"{test}{int(value)}" for test, value in used) or "true"
    order = ", ".join(KEYS[table])
    sql = f"SELECT {columns} FROM {table} WHERE {where} ORDER BY {order}"
    return sql, TABLES[table], ()
