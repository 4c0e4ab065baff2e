"""The embedded log as a process of its own: `tradecore serve log`.

For more than one process on one machine without Kafka, a trading cell and its standby for instance.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from tradecore.errors import ConfigError
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.config import LogSettings, ObserveSettings, Settings, load_settings
from tradecore_shells.plumbing.filelog import FileLog
from tradecore_shells.plumbing.logserver import LogServer
from tradecore_shells.plumbing.observe import Metrics
from tradecore_shells.plumbing.runtime import Application, run

__all__ = ["LogConfig", "LogService", "ServerSettings", "main"]


class ServerSettings(Settings, frozen=True, kw_only=True):
    """Where the log's files are; `[log] url` says where it listens."""

    folder: str = "data/log"


class LogConfig(Settings, frozen=True, kw_only=True):
    """All tables that the log server reads."""

    log: LogSettings = LogSettings(url="unix:data/log.sock")
    log_server: ServerSettings = ServerSettings()
    observe: ObserveSettings = ObserveSettings()


class LogService:
    """A log server as a service of the runtime."""

    name = "log"

    def __init__(self, server: LogServer) -> None:
        self._server = server
        self._stopping = asyncio.Event()
        self._started = False

    def stop(self) -> None:
        """End; clients find the log gone and try again."""
        self._stopping.set()

    def trouble(self) -> str:
        """Why it does not serve; empty when it does."""
        return "" if self._started else "the log is not open yet"

    async def run(self) -> None:
        """Serve until stopped."""
        await self._server.start()
        self._started = True
        await self._stopping.wait()
        await self._server.close()


def main(argv: Sequence[str]) -> int:
    """Run the log server with the settings of a TOML file; the exit code."""
    config = load_settings(LogConfig, argv[0] if argv else None)
    if not config.log.url.startswith(("unix:", "tcp:")):
        raise ConfigError(
            f"[log] url {config.log.url!r}: a log is served at unix:PATH or tcp://..."
        )

    async def build(metrics: Metrics) -> Application:
        log = FileLog(config.log_server.folder, SystemClock())
        return Application([LogService(LogServer(log, config.log.url))], [log.close])

    return run("log", config.observe, build)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
