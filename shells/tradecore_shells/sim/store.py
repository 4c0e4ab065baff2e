"""The portfolio's store in dictionaries: what Postgres promises, without Postgres.

Every call does all of its work between two awaits, so it is atomic by construction, and what it
keeps survives its user, as a database server survives its clients. The same contract suite runs on
this and on the real database.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tradecore.catalog import Catalog
from tradecore.errors import ConfigError
from tradecore.portfolio.book import Book
from tradecore.portfolio.columns import Table
from tradecore.portfolio.fold import Owners
from tradecore.portfolio.sessions import Session, merge_sessions
from tradecore_shells.plumbing.ports import FatalError
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

__all__ = ["DictStore"]

_ADDED = {
    "positions": ("cost", "realised", "fees", "bought", "sold", "fills"),
    "balances": ("amount",),
    "marks": (),
}


class DictStore:
    """The store port in memory.

    Attributes
    ----------
    rows : dict
        For each table the rows by primary key, each a dict of columns.
    places : dict
        ``(consumer, partition) -> Place``.
    users : dict
        ``account_id -> user_id`` of the accounts that are not their own user.
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict[tuple[int, ...], dict[str, int]]] = {t: {} for t in TABLES}
        self.places: dict[tuple[str, int], Place] = {}
        self.users: dict[int, int] = {}
        self._sessions: dict[tuple[int, int], Session] = {}
        self._catalog: dict[int, Any] = {}

    async def open(self, catalog: Catalog) -> None:
        """Keep the catalog; ConfigError when an instrument is known differently."""
        for spec in catalog.instruments:
            known = self._catalog.setdefault(spec.instrument_id, spec)
            if (known.multiplier, known.base_per_lot) != (spec.multiplier, spec.base_per_lot):
                raise ConfigError(f"instruments {spec.instrument_id} is kept with other units")

    async def place(self, consumer: str, partition: int) -> Place:
        """Return where a consumer stands; `START` for a new one."""
        return self.places.get((consumer, partition), START)

    async def owners(self) -> Owners:
        """Return which accounts belong to another user than themselves."""
        return Owners(dict(self.users))

    async def load(self, partition: int) -> tuple[Place, Book]:
        """Return where `PORTFOLIO` stands and the book at that place."""
        positions, balances, prints = (
            self._table(name, partition) for name in ("positions", "balances", "marks")
        )
        place = self.places.get((PORTFOLIO, partition), START)
        return place, Book.of_tables(partition, positions, balances, prints)

    async def everything(self, partition: int) -> tuple[Place, dict[TableName, Table]]:
        """Return where `PORTFOLIO` stands and all tables of the cell at that place."""
        place = self.places.get((PORTFOLIO, partition), START)
        return place, {name: self._table(name, partition) for name in TABLES}

    async def apply(self, batch: Batch) -> bool:
        """Write a batch and move `PORTFOLIO`; False when it does not stand at `batch.before`."""
        if not self._move(PORTFOLIO, batch.partition, batch.before, batch.after):
            return False
        changes = batch.changes
        self._insert("fills", changes.fills)
        self._insert("ledger", changes.ledger)
        self._insert("equity", batch.equity)
        self._upsert("positions", changes.positions)
        self._upsert("balances", changes.balances)
        self._upsert("marks", changes.prints)
        return True

    async def apply_sessions(
        self, partition: int, before: Place, after: Place, sessions: Sequence[Session]
    ) -> bool:
        """Merge sessions and move `SESSIONS`; False when it does not stand at `before`."""
        if not self._move(SESSIONS, partition, before, after):
            return False
        self._sessions = merge_sessions(self._sessions.values(), sessions)
        return True

    async def read(
        self,
        *tables: TableName,
        cell: int | None = None,
        user_id: int | None = None,
        since_ns: int | None = None,
        before_ns: int | None = None,
    ) -> list[Table]:
        """Return tables as they stand, each by its key."""
        found = []
        for name in tables:
            table = self._table(name, cell)
            keep = np.ones(len(table), dtype=np.bool_)
            if user_id is not None and name != "marks":
                keep &= table["user_id"] == user_id
            if since_ns is not None:
                keep &= table["ts_ns"] >= since_ns
            if before_ns is not None:
                keep &= table["ts_ns"] < before_ns
            found.append(table[keep])
        return found

    async def sessions(self, user_id: int | None = None) -> list[Session]:
        """Return the trading sessions, of one user or of all, by user and session."""
        return [one for _, one in sorted(self._sessions.items()) if user_id in (None, one.user_id)]

    async def close(self) -> None:
        """Nothing to let go of."""

    # ------------------------------------------------------------------------------------ inside
    def _move(self, consumer: str, partition: int, before: Place, after: Place) -> bool:
        at = self.places.get((consumer, partition), START)
        if at.next_seq != before.next_seq:
            return False
        self.places[consumer, partition] = after
        return True

    def _insert(self, table: str, rows: Table) -> None:
        kept = self.rows[table]
        for row in _dicts(rows):
            key = _key(table, row)
            if key in kept:
                raise FatalError(f"{table} holds a row {key} already")
            kept[key] = row

    def _upsert(self, table: str, rows: Table) -> None:
        kept = self.rows[table]
        for row in _dicts(rows):
            key = _key(table, row)
            if key in kept:
                for name in _ADDED[table]:
                    row[name] += kept[key][name]
            kept[key] = row

    def _table(self, name: TableName | str, cell: int | None) -> Table:
        dtype = TABLES[name]  # type: ignore[index]
        rows = [row for _, row in sorted(self.rows[name].items()) if cell in (None, row["cell"])]
        return np.array([tuple(row.values()) for row in rows], dtype=dtype)


def _dicts(rows: Table) -> list[dict[str, int]]:
    names = rows.dtype.names or ()
    return [dict(zip(names, row, strict=True)) for row in rows.tolist()]


def _key(table: str, row: dict[str, int]) -> tuple[int, ...]:
    return tuple(row[name] for name in KEYS[table])  # type: ignore[index]
