"""Postgres by asyncpg: one connection that comes back, statements, migrations, tables as arrays.

The only module that knows the driver. What a server that is away looks like (refused, reset, shut
down, a statement that took too long) becomes RetryableError and drops the connection; the next call
makes a new one. After such an error a statement may or may not have happened: its caller must be
able to find out. Everything else that the server says is an error of ours and fatal.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import asyncpg
import numpy as np

from tradecore.errors import ConfigError
from tradecore_shells.plumbing.ports import FatalError, RetryableError

__all__ = ["Migration", "Postgres", "encode_copy", "migrations_in"]

T = TypeVar("T")
_AWAY: Final = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what the driver says when a connection dies under it
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutdown, crash, starting up, cancelled
    asyncpg.InsufficientResourcesError,  # disk full, memory, connections
    asyncpg.TransactionRollbackError,  # deadlock, serialisation
    asyncpg.PostgresIOError,
)
_REFUSED: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
_COPY_SIGN: Final = b"PGCOPY\n\xff\r\n\0"
_COPY_HEAD: Final = len(_COPY_SIGN) + 8
# Any number will do, as long as all of our programs take the same.
_MIGRATION_LOCK: Final = 0x7472616465


class Migration(NamedTuple):
    """One step of a schema: its number, its name and its SQL."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, as the database remembers it."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def migrations_in(folder: Path) -> list[Migration]:
    """Read the files ``NNN_name.sql`` of a folder; once applied somewhere they never change."""
    return [
        Migration(int(file.name[:3]), file.stem, file.read_text("utf-8"))
        for file in sorted(folder.glob("[0-9][0-9][0-9]_*.sql"))
    ]


class Postgres:
    """One connection to one database, made when needed and made anew when it broke.

    Parameters
    ----------
    dsn : str
        ``postgresql://user:password@host:port/database``.
    timeout_s : float
        Longest time for connecting and for one statement.

    Notes
    -----
    Calls wait for each other: a connection does one thing at a time. Not for several event loops.
    """

    def __init__(self, dsn: str, *, timeout_s: float = 30.0) -> None:
        self._dsn = dsn
        self._timeout_s = timeout_s
        self._connection: Any = None
        self._lock = asyncio.Lock()
        self._staged: set[str] = set()

    @property
    def where(self) -> str:
        """The address without the password, for sentences."""
        scheme, _, rest = self._dsn.partition("//")
        return f"{scheme}//{rest.rpartition('@')[2]}"

    async def _connected(self) -> Any:
        if self._connection is None or self._connection.is_closed():
            self._staged = set()
            try:
                self._connection = await asyncpg.connect(
                    self._dsn,
                    timeout=self._timeout_s,
                    command_timeout=self._timeout_s,
                    server_settings={"application_name": "tradecore", "jit": "off"},
                )
            except _REFUSED as error:
                raise ConfigError(f"PostgreSQL at {self.where} refuses us: {error}") from None
            except ValueError as error:
                raise ConfigError(f"not the address of a database: {error}") from None
        return self._connection

    async def _call(self, what: Callable[[Any], Awaitable[T]]) -> T:
        async with self._lock:
            try:
                return await what(await self._connected())
            except asyncio.CancelledError:
                self._drop()
                raise
            except _AWAY as error:
                self._drop()
                reason = str(error) or type(error).__name__
                raise RetryableError(f"PostgreSQL at {self.where}: {reason}") from error
            except asyncpg.PostgresError as error:
                self._drop()
                raise FatalError(f"PostgreSQL at {self.where}: {error}") from error

    def _drop(self) -> None:
        """Close without asking the server: what was under way is then its own affair."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def fetch(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows.

        Raises
        ------
        RetryableError
            The server is away; a statement that writes may or may not have happened.
        FatalError
            The server understood and refused.
        """

        async def run(connection: Any) -> list[tuple[Any, ...]]:
            statement = await connection.prepare(sql)
            return [tuple(row) for row in await statement.fetch(*args)]

        return await self._call(run)

    async def fetch_staged(
        self,
        stages: Sequence[tuple[str, np.ndarray[Any, np.dtype[np.void]]]],
        sql: str,
        *args: Any,
    ) -> list[tuple[Any, ...]]:
        """Run one statement over temporary tables that are filled for it; all or nothing.

        Parameters
        ----------
        stages : sequence of (name, table)
            Temporary tables of bigint columns, made when the connection does not have them yet,
            empty again afterwards. Rows travel by binary COPY: a fifth of the cost of arrays.
        sql, *args
            The statement.

        Raises
        ------
        RetryableError, FatalError
            As `fetch`.
        """

        async def run(connection: Any) -> list[tuple[Any, ...]]:
            for name, table in stages:
                if name not in self._staged:
                    columns = ", ".join(f"{column} bigint" for column in table.dtype.names or ())
                    await connection.execute(
                        f"CREATE TEMPORARY TABLE {name} ({columns}) ON COMMIT DELETE ROWS"
                    )
                    self._staged.add(name)
            async with connection.transaction():
                for name, table in stages:
                    data = io.BytesIO(encode_copy(table))
                    await connection.copy_to_table(name, source=data, format="binary")
                return [tuple(row) for row in await connection.fetch(sql, *args)]

        return await self._call(run)

    async def read_tables(
        self, queries: Sequence[tuple[str, np.dtype[np.void], tuple[Any, ...]]]
    ) -> list[np.ndarray[Any, np.dtype[np.void]]]:
        """Read several tables as they stood at one moment.

        Parameters
        ----------
        queries : sequence of (sql, dtype, args)
            Each selects exactly the columns of its dtype, all of them bigint and never null.

        Returns
        -------
        list of ndarray
            Read through binary COPY: about a million rows a second.
        """

        async def run(connection: Any) -> list[np.ndarray[Any, np.dtype[np.void]]]:
            tables = []
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                for sql, dtype, args in queries:
                    out = io.BytesIO()
                    await connection.copy_from_query(sql, *args, output=out, format="binary")
                    tables.append(_decode(out.getvalue(), dtype))
            return tables

        return await self._call(run)

    async def migrate(self, migrations: Sequence[Migration]) -> int:
        """Bring the schema to the newest migration and return its number.

        All that are missing are applied in one transaction, by one program at a time.

        Raises
        ------
        ConfigError
            The database is at a migration that this build does not have, or has another form of.
        """

        async def run(connection: Any) -> None:
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
                await connection.execute(
                    "CREATE TABLE IF NOT EXISTS schema_migrations ("
                    "version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL)"
                )
                applied = await connection.fetch("SELECT * FROM schema_migrations ORDER BY version")
                for step in self._missing([tuple(row) for row in applied], migrations):
                    await connection.execute(step.text)
                    await connection.execute(
                        "INSERT INTO schema_migrations VALUES ($1, $2, $3)",
                        *(step.version, step.name, step.checksum),
                    )

        await self._call(run)
        return max((step.version for step in migrations), default=0)

    def _missing(
        self, applied: list[tuple[int, str, str]], migrations: Sequence[Migration]
    ) -> list[Migration]:
        ours = {step.version: step for step in migrations}
        for version, name, checksum in applied:
            if version not in ours:
                raise ConfigError(
                    f"the database at {self.where} is at migration {version} ({name}), this build "
                    f"knows up to {max(ours, default=0)}: use the newer build, or another database"
                )
            if checksum != ours[version].checksum:
                raise ConfigError(
                    f"migration {version} ({name}) of the database at {self.where} is not the one "
                    "of this build: it belongs to another version of tradecore; use that build, or "
                    "another database"
                )
        done = {version for version, _, _ in applied}
        return [ours[version] for version in sorted(ours.keys() - done)]

    async def close(self) -> None:
        """End the connection."""
        if self._connection is not None and not self._connection.is_closed():
            try:
                await self._connection.close(timeout=2.0)
            except _AWAY:
                self._drop()
        self._connection = None


def _wire(dtype: np.dtype[np.void]) -> np.dtype[np.void]:
    """Return the layout of a row of bigints in a binary COPY."""
    fields: list[tuple[str, str]] = [("columns", ">i2")]
    for name in dtype.names or ():
        fields += [(f"{name} size", ">i4"), (name, ">i8")]
    return np.dtype(fields)


def encode_copy(table: np.ndarray[Any, np.dtype[np.void]]) -> bytes:
    """Return a table of int64 columns as a binary COPY."""
    names = table.dtype.names or ()
    rows = np.empty(len(table), _wire(table.dtype))
    rows["columns"] = len(names)
    for name in names:
        rows[f"{name} size"] = 8
        rows[name] = table[name]
    return _COPY_SIGN + bytes(8) + rows.tobytes() + b"\xff\xff"


def _decode(data: bytes, dtype: np.dtype[np.void]) -> np.ndarray[Any, np.dtype[np.void]]:
    """Read rows of not-null bigints out of a binary COPY."""
    wire = _wire(dtype)
    extension = int.from_bytes(data[_COPY_HEAD - 4 : _COPY_HEAD], "big")
    start = _COPY_HEAD + extension
    rows = np.frombuffer(data, wire, count=(len(data) - start - 2) // wire.itemsize, offset=start)
    if len(data) != start + rows.nbytes + 2 or (rows["columns"] != len(dtype.names or ())).any():
        raise FatalError("a query did not return the columns that were asked for")
    table = np.empty(len(rows), dtype)
    for name in dtype.names or ():
        table[name] = rows[name]
    return table
