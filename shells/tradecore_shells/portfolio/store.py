"""The store port: what the portfolio service asks of its database, in its own words.

Semantic, so that the simulator can fake it with dictionaries: places in the log that move by
compare-and-set together with what was applied up to them, tables read as they stood at one moment.
The errors are those of `plumbing.ports`: after RetryableError an `apply` may or may not have
happened, and `place` says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np

from tradecore.catalog import Catalog
from tradecore.portfolio.book import Book
from tradecore.portfolio.columns import (
    BALANCE,
    EQUITY,
    FILL,
    LEDGER,
    POSITION,
    PRINT,
    Table,
    empty,
)
from tradecore.portfolio.fold import Changes, Owners
from tradecore.portfolio.sessions import Session

__all__ = [
    "KEYS",
    "PORTFOLIO",
    "SESSIONS",
    "START",
    "TABLES",
    "Batch",
    "Place",
    "PortfolioStore",
    "TableName",
]

PORTFOLIO: Final = "portfolio"
"""Consumer of `executions`."""
SESSIONS: Final = "sessions"
"""Consumer of `user-events`."""

TableName = Literal["fills", "ledger", "positions", "balances", "equity", "marks"]
TABLES: Final[dict[TableName, np.dtype[np.void]]] = {
    "fills": FILL,
    "ledger": LEDGER,
    "positions": POSITION,
    "balances": BALANCE,
    "equity": EQUITY,
    "marks": PRINT,
}
"""Tables that can be read as arrays, with their columns."""

KEYS: Final[dict[TableName, tuple[str, ...]]] = {
    "fills": ("user_id", "cell", "seq"),
    "ledger": ("user_id", "cell", "seq"),
    "positions": ("user_id", "cell", "account_id", "instrument_id"),
    "balances": ("user_id", "cell", "account_id", "asset_id"),
    "equity": ("user_id", "cell", "ts_ns"),
    "marks": ("cell", "instrument_id"),
}
"""Primary keys; tables are read in this order."""


class Place(NamedTuple):
    """How far a consumer has come.

    Parameters
    ----------
    next_offset : int
        Record of the topic from which to read on. A hint: a cell that was restarted writes frames
        again, so two consumers may know different records with the same frame.
    next_seq : int
        Number of the first frame that was not applied; frames before it are passed over. This is
        what is compared. For `user-events`, whose records have no numbers, one more than the
        offset.
    ts_ns : int
        Log time of the last batch that was applied.
    """

    next_offset: int
    next_seq: int
    ts_ns: int


START: Final = Place(0, 1, 0)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one statement does: a consumer moves, and everything between both places is written.

    Attributes
    ----------
    partition : int
        Of `executions`; also the cell.
    before, after : Place
        Nothing happens unless the consumer stands at the `next_seq` of `before`.
    changes : Changes
    equity : Table
        Samples due at `before`; see `tradecore.portfolio.marks`.
    """

    partition: int
    before: Place
    after: Place
    changes: Changes
    equity: Table = field(default_factory=lambda: empty(EQUITY))


class PortfolioStore(Protocol):
    """Tables of positions, and how far they reach."""

    async def open(self, catalog: Catalog) -> None:
        """Bring the schema up to date and keep a copy of the catalog.

        Raises
        ------
        ConfigError
            The database is at another migration, or holds another catalog.
        """

    async def place(self, consumer: str, partition: int) -> Place:
        """Return where a consumer stands; `START` for a new one."""

    async def owners(self) -> Owners:
        """Return which accounts belong to another user than themselves."""

    async def load(self, partition: int) -> tuple[Place, Book]:
        """Return where `PORTFOLIO` stands and the book of the cell at that place."""

    async def everything(self, partition: int) -> tuple[Place, dict[TableName, Table]]:
        """Return where `PORTFOLIO` stands and all tables of the cell at that place, for proofs."""

    async def apply(self, batch: Batch) -> bool:
        """Write a batch and move `PORTFOLIO`, all or nothing.

        Returns
        -------
        bool
            False, and nothing changed, when the consumer does not stand at `batch.before`.
        """

    async def apply_sessions(
        self, partition: int, before: Place, after: Place, sessions: Sequence[Session]
    ) -> bool:
        """Merge sessions and move `SESSIONS`, all or nothing; as `apply`."""

    async def read(
        self,
        *tables: TableName,
        cell: int | None = None,
        user_id: int | None = None,
        since_ns: int | None = None,
        before_ns: int | None = None,
    ) -> list[Table]:
        """Return tables as they stood at one moment, each by its key.

        Parameters
        ----------
        *tables : str
        cell, user_id : int, optional
            Only these rows. `marks` knows no users.
        since_ns, before_ns : int, optional
            Only rows with ``since_ns <= ts_ns < before_ns``.
        """

    async def sessions(self, user_id: int | None = None) -> list[Session]:
        """Return the trading sessions, of one user or of all, by user and session."""

    async def close(self) -> None:
        """Let go of the connection."""
