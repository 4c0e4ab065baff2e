"""From settings to a running portfolio service: the one place that makes its adapters."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from tradecore.errors import ConfigError
from tradecore_shells.plumbing.adapters import open_cache, open_log
from tradecore_shells.plumbing.catalogs import load_catalog
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.config import StoreSettings, load_settings
from tradecore_shells.plumbing.observe import Metrics
from tradecore_shells.plumbing.runtime import EXIT_USAGE, Application, run
from tradecore_shells.portfolio.config import PortfolioConfig
from tradecore_shells.portfolio.service import PortfolioService
from tradecore_shells.portfolio.store import PortfolioStore

__all__ = ["main", "open_store"]


async def open_store(settings: StoreSettings, *, timeout_s: float = 30.0) -> PortfolioStore:
    """Return the store of the settings; an embedded cluster is started when there is no DSN.

    The embedded cluster stays when this process ends: the next start adopts it.

    Raises
    ------
    ConfigError
        The driver is not installed, or no Postgres can be had here.
    """
    try:
        from tradecore_shells.plumbing.postgres import Postgres
    except ImportError as error:
        raise ConfigError(f"{error.name} is missing; install tradecore[services]") from None
    from tradecore_shells.portfolio.pgstore import PostgresStore

    dsn = settings.dsn
    if not dsn:
        from tradecore_shells.plumbing.cluster import ClusterError, EmbeddedPostgres

        cluster = EmbeddedPostgres(Path(settings.folder))
        try:
            await asyncio.to_thread(cluster.start)
        except ClusterError as error:
            raise ConfigError(str(error)) from error
        dsn = cluster.dsn
    return PostgresStore(Postgres(dsn, timeout_s=timeout_s))


def main(argv: Sequence[str]) -> int:
    """Run the service with the settings of a TOML file (and the environment); the exit code."""
    try:
        config = load_settings(PortfolioConfig, argv[0] if argv else None)
        catalog = load_catalog(config.catalog.file)
    except ConfigError as error:
        print(f"tradecore: {error}", file=sys.stderr)
        return EXIT_USAGE
    clock = SystemClock()

    async def build(metrics: Metrics) -> Application:
        log = open_log(config.log.url, clock)
        store = await open_store(config.store)
        cache = open_cache(config.cache.url)
        service = PortfolioService(
            config.portfolio,
            catalog=catalog,
            partition=config.log.partition,
            log=log,
            store=store,
            cache=cache,
            clock=clock,
            metrics=metrics,
        )
        return Application([service], [cache.close, store.close, log.close])

    return run(f"portfolio-{config.log.partition}", config.observe, build)
