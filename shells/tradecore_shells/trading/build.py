"""From settings to a running trading service: the one place that makes its adapters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import cast

from tradecore import cell as cells
from tradecore.errors import ConfigError
from tradecore.storage import SnapshotStore
from tradecore_shells.plumbing.adapters import open_log
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.config import load_settings
from tradecore_shells.plumbing.logserver import LogServer, ServedLog
from tradecore_shells.plumbing.observe import Metrics, MetricsPort
from tradecore_shells.plumbing.ports import Clock, Log
from tradecore_shells.plumbing.runtime import Application, run
from tradecore_shells.plumbing.snapshots import ForkedSnapshots
from tradecore_shells.trading.config import TradingConfig
from tradecore_shells.trading.service import TradingService

__all__ = ["main", "make_service"]


def make_service(
    config: TradingConfig, *, log: Log, clock: Clock, metrics: MetricsPort
) -> TradingService:
    """Return the service on a given log, with its snapshots in the folder of the settings."""
    partition = config.log.partition
    folder = Path(config.trading.snapshots)
    folder.mkdir(parents=True, exist_ok=True)
    store = SnapshotStore(folder, source=cells.source_of(partition))
    return TradingService(
        config.trading,
        config.cell,
        partition=partition,
        log=log,
        snapshots=ForkedSnapshots(store),
        clock=clock,
        metrics=metrics,
    )


def main(argv: Sequence[str]) -> int:
    """Run the service with the settings of a TOML file (and the environment); the exit code."""
    config = load_settings(TradingConfig, argv[0] if argv else None)
    clock = SystemClock()

    async def build(metrics: Metrics) -> Application:
        log = open_log(config.log.url, clock)
        closers: list[Callable[[], Awaitable[None]]] = [log.close]
        if config.log.serve:
            if not config.log.url.startswith("file:"):
                raise ConfigError("[log] serve: only a log of this process (file:) can be served")
            server = LogServer(cast("ServedLog", log), config.log.serve)
            await server.start()
            closers.insert(0, server.close)
        service = make_service(config, log=log, clock=clock, metrics=metrics)
        return Application([service], closers)

    return run(f"trading-{config.log.partition}", config.observe, build)
