"""From settings to a running risk service: the one place that makes its adapters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tradecore.catalog import Catalog
from tradecore.risk import risk_source
from tradecore.storage import SnapshotStore
from tradecore_shells.plumbing.adapters import open_log
from tradecore_shells.plumbing.catalogs import load_catalog
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.config import load_settings
from tradecore_shells.plumbing.observe import Metrics, MetricsPort
from tradecore_shells.plumbing.ports import Clock, Log
from tradecore_shells.plumbing.runtime import Application, run
from tradecore_shells.risk.config import RiskConfig
from tradecore_shells.risk.service import RiskService

__all__ = ["main", "make_service"]


def make_service(
    config: RiskConfig, *, catalog: Catalog, log: Log, clock: Clock, metrics: MetricsPort
) -> RiskService:
    """Return the service on a given log, with its state in the folder of the settings."""
    partition = config.log.partition
    folder = Path(config.risk.snapshots)
    folder.mkdir(parents=True, exist_ok=True)
    return RiskService(
        config.risk,
        catalog=catalog,
        partition=partition,
        log=log,
        clock=clock,
        metrics=metrics,
        snapshots=SnapshotStore(folder, source=risk_source(partition)),
    )


def main(argv: Sequence[str]) -> int:
    """Run the service with the settings of a TOML file (and the environment); the exit code."""
    config = load_settings(RiskConfig, argv[0] if argv else None)
    catalog = load_catalog(config.catalog.file)
    clock = SystemClock()

    async def build(metrics: Metrics) -> Application:
        log = open_log(config.log.url, clock)
        service = make_service(config, catalog=catalog, log=log, clock=clock, metrics=metrics)
        return Application([service], [log.close])

    return run(f"risk-{config.log.partition}", config.observe, build)
