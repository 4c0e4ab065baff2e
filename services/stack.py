"""The three servers together: one state file, one lock, and who asked for them.

    .services/
      state.json        who started what, where it answers (readable by its owner only: passwords)
      lock              held while anything is started or stopped
      kafka/libs-*      jars; wheels/: programs from Python packages
      up/NAME           folders of the servers that `make services-up` started
      tests/NAME        those that tests started: empty at the start, removed at the end
      leases/PID        one file for each test process that uses them

Servers outlive the process that started them. `up` is idempotent: what runs and answers is kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from services import install
from services.errors import ServiceError
from services.kafka.broker import Broker
from services.postgres_server import PostgresServer
from services.redis_server import RedisServer
from services.server import Server, quiet

__all__ = ["PORTS", "Stack"]

# Below the ports that the system gives to outgoing connections.
PORTS = {"kafka": 19092, "postgres": 15432, "redis": 16379}
KINDS: dict[str, type[Server]] = {
    "kafka": Broker,
    "postgres": PostgresServer,
    "redis": RedisServer,
}
State = dict[str, Any]


class Stack:
    """The servers of one checkout.

    Parameters
    ----------
    root : Path
        Folder of state and data.
    say : callable
        Told what takes long.
    kinds : mapping of str to type
        Which servers; all three by default.
    """

    def __init__(
        self,
        root: Path = install.STATE_DIR,
        *,
        say: Callable[[str], None] = quiet,
        kinds: dict[str, type[Server]] | None = None,
    ) -> None:
        self.root = root
        self.say = say
        self.kinds = KINDS if kinds is None else kinds
        self.state_file = root / "state.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock: one process starts or stops at a time, the others wait."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    # ---------------------------------------------------------------------------------- state
    def read(self) -> State:
        """Return the state file's content; an empty state when there is none."""
        try:
            state: State = json.loads(self.state_file.read_text("utf-8"))
        except FileNotFoundError:
            return {"owner": "", "servers": {}}
        except ValueError as error:
            raise ServiceError(
                f"{self.state_file} is damaged ({error}): end the servers it names and remove it"
            ) from error
        return state

    def _write(self, owner: str, servers: dict[str, Server]) -> State:
        state: State = {"owner": owner, "servers": {}}
        for name, server in sorted(servers.items()):
            assert server.process is not None
            state["servers"][name] = {
                "url": server.url,
                "port": server.port,
                "pid": server.process.pid,
                "born": server.process.born,
                "folder": str(server.folder),
                "log": str(server.log),
            }
        staging = self.state_file.with_suffix(".new")
        with contextlib.suppress(FileNotFoundError):
            staging.unlink()
        descriptor = os.open(staging, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(json.dumps(state, indent=2) + "\n")
        staging.replace(self.state_file)
        return state

    def servers(self) -> dict[str, Server]:
        """Return the servers that the state file names, whether they run or not."""
        found: dict[str, Server] = {}
        for name, entry in self.read()["servers"].items():
            if name in self.kinds:
                folder = Path(entry["folder"])
                found[name] = self.kinds[name](folder, port=entry["port"], say=self.say)
        return found

    # ------------------------------------------------------------------------------ up, down
    def up(self, owner: str = "up") -> State:
        """Start what does not run; call with the lock held.

        Parameters
        ----------
        owner : str
            "up": a person, the servers stay until `down`. "tests": until the last lease ends.

        Returns
        -------
        dict
            The state file's content.

        Raises
        ------
        ServiceError
            One of them cannot be had; what this call has started is stopped again.
        """
        before = self.read()
        known = self.servers()
        if before["owner"] == "up":
            owner = "up"
        running = {name for name, server in known.items() if server.alive()}
        if owner == "tests" and not running:
            shutil.rmtree(self.root / "tests", ignore_errors=True)
        servers = {
            name: known.get(name)
            or kind(self.root / owner / name, port=PORTS.get(name, 0), say=self.say)
            for name, kind in self.kinds.items()
        }
        with ThreadPoolExecutor(len(servers)) as pool:
            starts = {name: pool.submit(server.start) for name, server in servers.items()}
        errors = [error for one in starts.values() if (error := one.exception()) is not None]
        if errors:
            for name, server in servers.items():
                if name not in running:
                    server.stop()
            for error in errors:
                if not isinstance(error, ServiceError):
                    raise error
            raise ServiceError("\n".join(map(str, errors)))
        return self._write(owner, servers)

    def down(self) -> list[str]:
        """Stop everything that the state file names; return the names. Call with the lock held."""
        owner = self.read()["owner"]
        servers = self.servers()
        stopped = [name for name, server in servers.items() if server.alive()]
        if servers:
            with ThreadPoolExecutor(len(servers)) as pool:
                list(pool.map(Server.stop, servers.values()))
        self.state_file.unlink(missing_ok=True)
        if owner == "tests":
            shutil.rmtree(self.root / "tests", ignore_errors=True)
        return stopped

    def status(self) -> dict[str, tuple[Server, bool]]:
        """Return every known server and whether it answers."""
        return {
            name: (server, server.alive() and server.answers())
            for name, server in self.servers().items()
        }

    def wipe(self) -> None:
        """Stop everything and remove the data; jars and wheels stay. Call with the lock held."""
        self.down()
        for folder in ("up", "tests", "leases"):
            shutil.rmtree(self.root / folder, ignore_errors=True)
