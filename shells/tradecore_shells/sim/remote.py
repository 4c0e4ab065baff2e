"""Connections of a process to the database and to the cache: slow, lossy, sometimes late.

Behind them are the dictionaries of `DictStore` and `MemoryCache`, which do everything at once. A
statement that was sent is carried out by the world, not by the process: it may happen after the
process has died, or after it was told that nobody answers.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from tradecore.catalog import Catalog
from tradecore.portfolio.book import Book
from tradecore.portfolio.columns import Table
from tradecore.portfolio.fold import Owners
from tradecore.portfolio.sessions import Session
from tradecore_shells.plumbing.memory import MemoryCache
from tradecore_shells.plumbing.ports import RetryableError
from tradecore_shells.portfolio.store import Batch, Place, PortfolioStore, TableName
from tradecore_shells.sim.faults import Faults
from tradecore_shells.sim.loop import Process, SimLoop
from tradecore_shells.sim.store import DictStore

__all__ = ["Database", "SimCache", "SimStore", "Wire"]

T = TypeVar("T")


class Database:
    """The database of a world, and until when it is down."""

    def __init__(self) -> None:
        self.store: PortfolioStore = DictStore()
        self.down_until = 0.0


class Wire:
    """Requests of one process to a server that answers at once or not at all.

    Parameters
    ----------
    loop : SimLoop
    faults : Faults
    process : Process
    seed : str
    """

    def __init__(self, loop: SimLoop, faults: Faults, process: Process, seed: str) -> None:
        self.loop = loop
        self.faults = faults
        self._process = process
        self._rng = random.Random(f"wire-{seed}")

    async def ask(
        self,
        statement: Callable[[], Coroutine[Any, Any, T]],
        *,
        lost: str,
        ack_lost: str,
        late: str = "",
    ) -> T:
        """Send a statement and wait for its answer.

        Parameters
        ----------
        statement : callable
            Makes the coroutine of what the server does; it must not wait for anything.
        lost, ack_lost, late : str
            Classes of faults: it never arrives; it is carried out and the answer lost; it is
            carried out after the caller was told that it timed out.

        Raises
        ------
        RetryableError
            Nobody knows whether it happened.
        """
        self._process.check()
        rng = self._rng
        there, back = rng.uniform(0.0002, 0.004), rng.uniform(0.0002, 0.002)
        answer: asyncio.Future[T] = self.loop.create_future()
        if self.faults.strikes(lost):
            self.loop.in_world(there + 0.1, _fail, answer)
        elif late and self.faults.strikes(late):
            self.loop.in_world(there + rng.uniform(0.1, 1.0), _carry_out, statement)
            self.loop.in_world(there + 0.1, _fail, answer)
        else:
            silent = self.faults.strikes(ack_lost)

            def arrive() -> None:
                outcome = _carry_out(statement)
                if silent:
                    self.loop.in_world(0.1, _fail, answer)
                else:
                    self.loop.in_world(back, _deliver, answer, *outcome)

            self.loop.in_world(there, arrive)
        return await answer


def _carry_out(statement: Callable[[], Coroutine[Any, Any, T]]) -> tuple[Any, Exception | None]:
    """Run a coroutine that never waits; returns its result or its error."""
    try:
        statement().send(None)
    except StopIteration as done:
        return done.value, None
    except Exception as error:
        return None, error
    raise AssertionError("a statement of a simulated server has waited")


def _fail(answer: asyncio.Future[Any]) -> None:
    _deliver(answer, None, RetryableError("connection lost"))


def _deliver(answer: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
        answer.exception()  # the caller may be dead: nobody need look


class SimStore:
    """A PortfolioStore: the connection of one process to the database.

    Parameters
    ----------
    database : Database
    wire : Wire
    """

    def __init__(self, database: Database, wire: Wire) -> None:
        self._database = database
        self._wire = wire

    async def _ask(self, statement: Callable[[], Coroutine[Any, Any, T]], late: str = "") -> T:
        if self._database.down_until > self._wire.loop.now:
            await asyncio.sleep(0.02)
            raise RetryableError("the database does not accept connections")
        return await self._wire.ask(
            statement, lost="store_lost", ack_lost="store_ack_lost", late=late
        )

    async def open(self, catalog: Catalog) -> None:
        """See `PortfolioStore`."""
        await self._ask(partial(self._database.store.open, catalog))

    async def place(self, consumer: str, partition: int) -> Place:
        """See `PortfolioStore`."""
        return await self._ask(partial(self._database.store.place, consumer, partition))

    async def owners(self) -> Owners:
        """See `PortfolioStore`."""
        return await self._ask(partial(self._database.store.owners))

    async def load(self, partition: int) -> tuple[Place, Book]:
        """See `PortfolioStore`."""
        return await self._ask(partial(self._database.store.load, partition))

    async def everything(self, partition: int) -> tuple[Place, dict[TableName, Table]]:
        """See `PortfolioStore`."""
        return await self._ask(partial(self._database.store.everything, partition))

    async def apply(self, batch: Batch) -> bool:
        """See `PortfolioStore`."""
        return await self._ask(partial(self._database.store.apply, batch), "store_late")

    async def apply_sessions(
        self, partition: int, before: Place, after: Place, sessions: Sequence[Session]
    ) -> bool:
        """See `PortfolioStore`."""
        return await self._ask(
            partial(self._database.store.apply_sessions, partition, before, after, sessions),
            "store_late",
        )

    async def read(self, *tables: TableName, **which: int | None) -> list[Table]:
        """See `PortfolioStore`."""
        return await self._ask(partial(self._database.store.read, *tables, **which))

    async def sessions(self, user_id: int | None = None) -> list[Session]:
        """See `PortfolioStore`."""
        return await self._ask(partial(self._database.store.sessions, user_id))

    async def close(self) -> None:
        """Nothing to let go of."""


class SimCache:
    """A Cache: the connection of one process to the cache.

    Parameters
    ----------
    cache : MemoryCache
    wire : Wire
    """

    def __init__(self, cache: MemoryCache, wire: Wire) -> None:
        self._cache = cache
        self._wire = wire

    async def _ask(self, statement: Callable[[], Coroutine[Any, Any, T]], late: str = "") -> T:
        return await self._wire.ask(
            statement, lost="cache_failed", ack_lost="cache_failed", late=late
        )

    async def put(self, items: dict[str, bytes]) -> None:
        """See `Cache`."""
        await self._ask(partial(self._cache.put, dict(items)), "cache_late")

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `Cache`."""
        return await self._ask(partial(self._cache.get, list(keys)))

    async def keys(self, prefix: str) -> list[str]:
        """See `Cache`."""
        return await self._ask(partial(self._cache.keys, prefix))

    async def delete(self, keys: Sequence[str]) -> None:
        """See `Cache`."""
        await self._ask(partial(self._cache.delete, list(keys)), "cache_late")

    async def close(self) -> None:
        """Nothing to let go of."""
