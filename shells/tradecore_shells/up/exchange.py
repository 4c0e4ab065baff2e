"""The exchange on one machine: every service and every server in one process and one folder.

    DIR/log        the log, group commits with fdatasync; served to other processes on DIR/log.sock
    DIR/postgres   a Postgres of our own, on a socket
    DIR/snapshots  of the cell
    DIR/catalog.json   what the integers mean
    DIR/exchange.json, DIR/tradecore.toml   what the folder was made with; how others reach it

The adapters are the embedded ones, the services are the same objects as on Kafka and Postgres.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from tradecore.agents import Market, MarketSpec
from tradecore.errors import ConfigError
from tradecore_shells.plumbing.catalogs import load_catalog, save_catalog
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.cluster import ClusterError, EmbeddedPostgres
from tradecore_shells.plumbing.config import LogSettings
from tradecore_shells.plumbing.filelog import FileLog
from tradecore_shells.plumbing.logserver import LogServer
from tradecore_shells.plumbing.memory import MemoryCache
from tradecore_shells.plumbing.observe import MetricsPort
from tradecore_shells.plumbing.ports import TRADING_COMMANDS
from tradecore_shells.plumbing.postgres import Postgres
from tradecore_shells.plumbing.runtime import Application
from tradecore_shells.portfolio.config import PortfolioSettings
from tradecore_shells.portfolio.pgstore import PostgresStore
from tradecore_shells.portfolio.service import PortfolioService
from tradecore_shells.risk.build import make_service as make_risk
from tradecore_shells.risk.config import RiskConfig, RiskSettings
from tradecore_shells.trading.build import make_service
from tradecore_shells.trading.config import TradingConfig, TradingSettings
from tradecore_shells.trading.service import TradingService
from tradecore_shells.up.demo import Demo
from tradecore_shells.up.participants import Participants
from tradecore_shells.up.place import FORMAT, Place
from tradecore_shells.up.venue import cell_config, own_account, specs

__all__ = ["Exchange", "UpOptions", "market_spec", "open_exchange"]

_PARTITION: Final = 0
_CATALOG: Final = "catalog.json"


class UpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `tradecore up` was asked for."""

    data: str = "data"
    demo: bool = True
    accounts: int = 1_000
    instruments: int = 4
    seed: int = 1
    step_s: float = 0.2
    step_commands: int = 1_024


class Exchange:
    """A running exchange and its parts.

    Attributes
    ----------
    application : Application
        For `runtime.serve` or `runtime.run`.
    trading, portfolio, risk, demo
        The services.
    log, store, cache
        The adapters.
    resumed_at : int
        Offset of the log when it was opened; 0 in a new folder.
    """

    def __init__(
        self,
        options: UpOptions,
        place: Place,
        *,
        log: FileLog,
        server: LogServer,
        cluster: EmbeddedPostgres,
        metrics: MetricsPort,
        clock: SystemClock,
    ) -> None:
        folder = Path(options.data)
        self.options, self.place = options, place
        self.resumed_at = 0
        self.log, self.server, self.cluster = log, server, cluster
        spec = market_spec(options, place.accounts, place.instruments)
        self.catalog = load_catalog(folder / _CATALOG)
        self.store = PostgresStore(Postgres(cluster.dsn))
        self.cache = MemoryCache()
        config = TradingConfig(
            log=LogSettings(partition=_PARTITION),
            cell=place.cell,
            trading=TradingSettings(snapshots=str(folder / "snapshots"), snapshot_every_s=20.0),
        )
        self.trading: TradingService = make_service(config, log=log, clock=clock, metrics=metrics)
        self.portfolio_settings = PortfolioSettings()
        self.portfolio = PortfolioService(
            self.portfolio_settings,
            catalog=self.catalog,
            partition=_PARTITION,
            log=log,
            store=self.store,
            cache=self.cache,
            clock=clock,
            metrics=metrics,
        )
        self.risk = make_risk(
            RiskConfig(
                log=LogSettings(partition=_PARTITION),
                risk=RiskSettings(snapshots=str(folder / "risk")),
            ),
            catalog=self.catalog,
            log=log,
            clock=clock,
            metrics=metrics,
        )
        participants = Participants(
            spec,
            options.seed,
            log=log,
            clock=clock,
            # Sessions are never used twice; two starts within a second do not happen.
            session_id=clock.now_ns() // 1_000_000_000 & 0x7FFFFFFF,
            account_id=0,
            step_s=options.step_s,
            marks=False,
        )
        self.demo = Demo(participants, self.trading, log=log, clock=clock, trade=options.demo)
        # Stopped in this order: who makes work first, who must have seen all of it last.
        self.application = Application(
            [self.demo, self.risk, self.trading, self.portfolio],
            [server.close, self.cache.close, self.store.close, log.close, self._stop_cluster],
        )

    async def ready(self) -> None:
        """Wait until the cell serves and the venue stands."""
        await self.trading.serving.wait()
        await self.demo.ready.wait()

    async def _stop_cluster(self) -> None:
        await asyncio.to_thread(self.cluster.stop)


def market_spec(options: UpOptions, accounts: int, instruments: int) -> MarketSpec:
    """Return the market of a folder, at the pace that was asked for."""
    return MarketSpec(
        accounts=accounts,
        instruments=instruments,
        batch_commands=options.step_commands,
        step_ns=int(options.step_s * 1e9),
    )


def _place(options: UpOptions, folder: Path) -> Place:
    """Return what the folder was made with, making it when it is new."""
    if Place.is_in(folder):
        return Place.read(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if any(path.name != "up.log" for path in folder.iterdir()):
        raise ConfigError(f"{folder} is not empty and holds no exchange; choose another --data")
    spec = market_spec(options, options.accounts, options.instruments)
    place = Place(
        format=FORMAT,
        accounts=options.accounts,
        instruments=options.instruments,
        own_account=own_account(spec),
        cell=cell_config(spec),
    )
    market = Market(spec, np.random.Generator(np.random.PCG64(options.seed)))
    save_catalog(folder / _CATALOG, specs(market))
    place.write(folder)
    return place


async def open_exchange(options: UpOptions, metrics: MetricsPort) -> Exchange:
    """Open the folder, start its servers, and put the exchange together.

    Raises
    ------
    ConfigError, FatalError, TradecoreError
        The folder is another's, in use, or of another version; Postgres cannot be had.
    """
    folder = Path(options.data)
    place = _place(options, folder)
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as undo:
        log = FileLog(folder / "log", clock)
        undo.push_async_callback(log.close)
        server = LogServer(log, log_address(folder))
        await server.start()
        undo.push_async_callback(server.close)
        cluster = EmbeddedPostgres(folder / "postgres")
        await start_cluster(cluster)
        undo.push_async_callback(_stopper(cluster))
        exchange = Exchange(
            options,
            place,
            log=log,
            server=server,
            cluster=cluster,
            metrics=metrics,
            clock=clock,
        )
        exchange.resumed_at = (await log.bounds(TRADING_COMMANDS, _PARTITION)).end
        undo.pop_all()
        return exchange


def log_address(folder: Path) -> str:
    """Return where other processes reach the log of a folder."""
    return f"unix:{folder.absolute()}/log.sock"


async def start_cluster(cluster: EmbeddedPostgres) -> None:
    """Start a cluster; ConfigError when none can be had."""
    try:
        await asyncio.to_thread(cluster.start)
    except ClusterError as error:
        raise ConfigError(str(error)) from None


def _stopper(cluster: EmbeddedPostgres) -> Any:
    async def stop() -> None:
        await asyncio.to_thread(cluster.stop)

    return stop
