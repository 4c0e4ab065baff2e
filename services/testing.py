"""Lend the real servers to tests.

In a `conftest.py`:

    from services.testing import real_database, real_servers  # noqa: F401

`real_servers` is a session fixture. The first test process that asks starts what does not run, the
others wait for it at the lock, and the last one to end stops what tests have started; servers that
`make services-up` started stay. A machine where one cannot be had *fails* these tests with a
sentence; they are never skipped. Tests that kill servers make their own:
`Broker(tmp_path / "kafka")`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from services.stack import Stack, State
from tradecore_shells.plumbing.processes import ProcessRef

__all__ = ["Lease", "Servers", "new_database", "real_database", "real_servers"]

_numbers = itertools.count()


@dataclass(frozen=True)
class Servers:
    """Where the servers are.

    Parameters
    ----------
    kafka : str
        Bootstrap server, HOST:PORT.
    postgres : str
        DSN of a database that all tests share; see `real_database` for one of one's own.
    redis : str
        redis://HOST:PORT/0, shared as well: prefix the keys.
    """

    kafka: str
    postgres: str
    redis: str

    @classmethod
    def of(cls, state: State) -> Servers:
        """Read the addresses from the content of the state file."""
        return cls(**{name: entry["url"] for name, entry in state["servers"].items()})


class Lease:
    """One process's use of the servers.

    Parameters
    ----------
    stack : Stack
        Which servers.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._folder = stack.root / "leases"
        self._file = self._folder / f"{os.getpid()}-{next(_numbers)}"

    def take(self) -> State:
        """Start what does not run and say that we use it. Raises ServiceError."""
        with self._stack.locked():
            self._drop_dead()
            state = self._stack.up("tests")
            self._folder.mkdir(exist_ok=True)
            me = ProcessRef.of(os.getpid())
            assert me is not None
            self._file.write_text(json.dumps({"pid": me.pid, "born": me.born}), "ascii")
        return state

    def end(self) -> None:
        """Stop the servers if tests have started them and nobody else uses them."""
        with self._stack.locked():
            self._file.unlink(missing_ok=True)
            self._drop_dead()
            others = list(self._folder.glob("*"))
            if not others and self._stack.read()["owner"] == "tests":
                self._stack.down()

    def _drop_dead(self) -> None:
        """Forget the leases of processes that ended without saying so."""
        for file in self._folder.glob("*"):
            note = json.loads(file.read_text("ascii") or "{}")
            if not note or not ProcessRef(note["pid"], note["born"]).alive():
                file.unlink(missing_ok=True)


@contextlib.contextmanager
def new_database(dsn: str, name: str) -> Iterator[str]:
    """Make an empty database, yield its DSN, drop it.

    Parameters
    ----------
    dsn : str
        A database of a user who may make others.
    name : str
        Lower case letters, digits, underscores.
    """
    import asyncpg

    assert name.replace("_", "a").isalnum(), name

    async def run(*statements: str) -> None:
        connection = await asyncpg.connect(dsn)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    drop = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
    asyncio.run(run(drop, f"CREATE DATABASE {name}"))
    base, _, _ = dsn.rpartition("/")
    try:
        yield f"{base}/{name}"
    finally:
        asyncio.run(run(drop))


@pytest.fixture(scope="session")
def real_servers() -> Iterator[Servers]:
    """Lend Kafka, Postgres and Redis for this test process; fails when one cannot be had."""
    lease = Lease(Stack(say=lambda text: print(f"services: {text}")))
    state = lease.take()
    try:
        yield Servers.of(state)
    finally:
        lease.end()


@pytest.fixture
def real_database(real_servers: Servers) -> Iterator[str]:
    """Lend the DSN of an empty database of the test's own."""
    with new_database(real_servers.postgres, f"test_{os.getpid()}_{next(_numbers)}") as dsn:
        yield dsn
