"""One Redis (or Valkey) on loopback, without persistence: everything in it can be rebuilt."""

from __future__ import annotations

from services import install
from services.server import Server, ask
from tradecore_shells.plumbing.processes import ProcessRef, spawn

__all__ = ["RedisServer"]


class RedisServer(Server):
    """A Redis in a folder."""

    name = "redis"

    @property
    def url(self) -> str:
        """Address of database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def launch(self) -> ProcessRef:
        """Start it in the foreground of a session of its own."""
        program = install.redis_server(self.say)
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
        }
        argv = [str(program)]
        for name, value in options.items():
            argv += [f"--{name}", value]
        return spawn(argv, log=self.log)

    def answers(self) -> bool:
        """Ping it."""
        return ask(self.port, b"PING\r\n").startswith(b"+PONG")
