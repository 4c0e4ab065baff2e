"""Everybody's positions and balances of one cell in memory: a function of the executions so far.

Columns that grow by doubling, an index from (account, instrument or asset) to the row, and a chain
of rows for each user, so that a batch costs a dictionary look-up per row that it touches and a
user's document costs as many steps as the user has rows. The database holds the same rows; the book
exists because marks move every position many times between two of its fills.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tradecore.portfolio.columns import BALANCE, POSITION, PRINT, Table, empty
from tradecore.portfolio.fold import Changes
from tradecore.portfolio.terms import IntArray

__all__ = ["Book", "Rows"]

_FIRST = 1024


class Rows:
    """A growing table with a key of two columns and a chain of rows for each user.

    Parameters
    ----------
    dtype : dtype
        `POSITION` or `BALANCE`.
    key : str
        The column that, with `account_id`, names a row.
    added : tuple of str
        Columns to which a change is added; the others take the newest value.
    """

    def __init__(self, dtype: np.dtype[np.void], key: str, added: tuple[str, ...]) -> None:
        self._key = key
        self._added = added
        self._replaced = tuple(name for name in dtype.names or () if name not in added)
        self._table = np.zeros(_FIRST, dtype)
        self._older = np.full(_FIRST, -1, dtype=np.int64)
        self._newest: dict[int, int] = {}
        self._at: dict[int, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def table(self) -> Table:
        """All rows, oldest first; a view, valid until the next change."""
        return self._table[: self._count]

    def _keys(self, rows: Table) -> list[int]:
        keys: list[int] = ((rows["account_id"] << 32) | rows[self._key]).tolist()
        return keys

    def _grow(self, need: int) -> None:
        if need <= len(self._table):
            return
        size = max(need, 2 * len(self._table))
        table = np.zeros(size, self._table.dtype)
        table[: self._count] = self.table
        older = np.full(size, -1, dtype=np.int64)
        older[: self._count] = self._older[: self._count]
        self._table, self._older = table, older

    def apply(self, changes: Table) -> None:
        """Take changes over; each row at most once in them. O(rows)."""
        if not len(changes):
            return
        known = self._at
        keys = self._keys(changes)
        at = [known.get(key, -1) for key in keys]
        if -1 in at:
            self._grow(self._count + at.count(-1))
            users = changes["user_id"].tolist()
            for i, row in enumerate(at):
                if row < 0:
                    row = self._count
                    self._count += 1
                    known[keys[i]] = row
                    at[i] = row
                    self._older[row] = self._newest.get(users[i], -1)
                    self._newest[users[i]] = row
        rows = np.array(at, dtype=np.int64)
        for name in self._added:
            self._table[name][rows] += changes[name]
        for name in self._replaced:
            self._table[name][rows] = changes[name]

    def of_user(self, user_id: int) -> IntArray:
        """Return the rows of a user, oldest first."""
        found = []
        row = self._newest.get(user_id, -1)
        while row >= 0:
            found.append(row)
            row = int(self._older[row])
        return np.array(found[::-1], dtype=np.int64)

    def users(self) -> Iterator[int]:
        """Yield every user that has a row, in the order of their first rows."""
        return iter(self._newest)


class Book:
    """Positions, balances and last prints of one cell.

    Parameters
    ----------
    cell : int
        Its number.

    Attributes
    ----------
    positions, balances : Rows
    last_px : dict of int to int
        Last trade of each instrument, ticks; kept as `prints` too.
    """

    def __init__(self, cell: int = 0) -> None:
        self.cell = cell
        added = ("cost", "realised", "fees", "bought", "sold", "fills")
        self.positions = Rows(POSITION, "instrument_id", added)
        self.balances = Rows(BALANCE, "asset_id", ("amount",))
        self._prints: dict[int, tuple[int, int, int]] = {}

    @classmethod
    def of_tables(cls, cell: int, positions: Table, balances: Table, prints: Table) -> Book:
        """Return the book that these rows describe, as they are kept in the database."""
        book = cls(cell)
        book.positions.apply(positions)
        book.balances.apply(balances)
        book._note(prints)
        return book

    @property
    def last_px(self) -> dict[int, int]:
        """Last trade of each instrument, ticks."""
        return {instrument: px for instrument, (px, _, _) in self._prints.items()}

    @property
    def prints(self) -> Table:
        """Last trades as rows, by instrument."""
        rows = empty(PRINT)
        if self._prints:
            rows = np.array(
                [(self.cell, i, *self._prints[i]) for i in sorted(self._prints)], dtype=PRINT
            )
        return rows

    def _note(self, prints: Table) -> None:
        for _, instrument, px, seq, ts_ns in prints.tolist():
            self._prints[instrument] = (px, seq, ts_ns)

    def apply(self, changes: Changes) -> None:
        """Take over what a batch changed. O(rows of the batch)."""
        self.positions.apply(changes.positions)
        self.balances.apply(changes.balances)
        self._note(changes.prints)

    def users(self) -> list[int]:
        """Return all users with a row, ascending."""
        return sorted({*self.positions.users(), *self.balances.users()})

    def rows_of(self, user_id: int) -> tuple[Table, Table]:
        """Return a user's positions and balances, copied."""
        return (
            self.positions.table[self.positions.of_user(user_id)],
            self.balances.table[self.balances.of_user(user_id)],
        )
