"""The services as targets of `tradecore bench capacity`: load into the log, answers out of it.

- ``embedded``: `tradecore serve trading` on a log in files that it serves on a socket; a command is
  finished when what the cell said about it was read back, after it was forced to the disk.
- ``kafka``: the same on an Apache Kafka whose topics exist (``tradecore admin topics``); option
  ``log=kafka://HOST:PORT``. Every opening takes the first partition that is still empty.
- ``embedded-postgres``, ``kafka-postgres``: `tradecore serve portfolio` beside it, on a Postgres
  cluster of its own; a command is finished when its rows are committed, too.

The services are the processes an operator would start. They share the machine with the sender and
with each other: what is measured is all of them together.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from tradecore.bench.load import Target
from tradecore.bench.targets import TargetSpec
from tradecore.cell import CellConfig
from tradecore.errors import ConfigError
from tradecore.instruments import AssetSpec, InstrumentSpec
from tradecore_shells.plumbing.adapters import open_log
from tradecore_shells.plumbing.catalogs import save_catalog
from tradecore_shells.plumbing.cluster import ClusterError, EmbeddedPostgres
from tradecore_shells.plumbing.ports import TRADING_COMMANDS, FatalError
from tradecore_shells.under_load import Stored, UnderLoad, running

__all__ = ["embedded", "embedded_postgres", "kafka", "kafka_postgres"]

_PARTITIONS: Final = 4_096


def embedded(spec: TargetSpec) -> AbstractContextManager[Target]:
    """Open the embedded exchange in a folder of its own; the folder goes when it is closed."""
    return _opened(spec, kafka=False, postgres=False)


def embedded_postgres(spec: TargetSpec) -> AbstractContextManager[Target]:
    """Open the embedded exchange with its portfolio and a Postgres in that folder."""
    return _opened(spec, kafka=False, postgres=True)


def kafka(spec: TargetSpec) -> AbstractContextManager[Target]:
    """Open a cell on the first empty partition of a Kafka, see the option in the module's text."""
    return _opened(spec, kafka=True, postgres=False)


def kafka_postgres(spec: TargetSpec) -> AbstractContextManager[Target]:
    """Open a cell on a Kafka, with a portfolio that writes to a Postgres of its own."""
    return _opened(spec, kafka=True, postgres=True)


@contextmanager
def _opened(spec: TargetSpec, *, kafka: bool, postgres: bool) -> Iterator[Target]:
    with ExitStack() as stack:
        name = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="tradecore-", dir=spec.folder)
        )
        place = Path(name)
        if kafka:
            url = spec.options.get("log", "")
            if not url.startswith("kafka://"):
                raise ConfigError("target kafka: say where with --option log=kafka://HOST:PORT")
            with asyncio.Runner() as runner:
                partition = runner.run(_empty_partition(url))
            own: dict[str, Any] = {"url": url, "partition": partition}
        else:
            url, partition = f"unix:{place}/log.sock", 0
            own = {"url": f"file:{place}/log", "serve": url}
        settings = _settings(spec, place, own)
        _write(place / "trading.toml", settings)
        stack.enter_context(running("trading", place / "trading.toml"))
        stored: Stored | None = None
        if postgres:
            dsn = stack.enter_context(_cluster(place / "postgres"))
            reader = {"url": url, "partition": partition}
            _write(place / "portfolio.toml", settings | {"log": reader, "store": {"dsn": dsn}})
            stack.enter_context(running("portfolio", place / "portfolio.toml"))
            stored = Stored(dsn, partition)
        yield stack.enter_context(UnderLoad(url, partition, spec.work.setup, stored))


async def _empty_partition(url: str) -> int:
    log = open_log(url)
    try:
        for partition in range(_PARTITIONS):
            if (await log.bounds(TRADING_COMMANDS, partition)).end == 0:
                return partition
    except FatalError as error:
        raise ConfigError(
            f"target kafka: no empty partition of {TRADING_COMMANDS} is left ({error}); "
            "'tradecore admin topics --partitions N' makes some"
        ) from error
    finally:
        await log.close()
    raise ConfigError(f"target kafka: no empty partition among {_PARTITIONS}")


@contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    cluster = EmbeddedPostgres(folder)
    try:
        cluster.start()
    except ClusterError as error:
        raise ConfigError(str(error)) from error
    try:
        yield cluster.dsn
    finally:
        cluster.stop()


def _settings(spec: TargetSpec, place: Path, log: dict[str, Any]) -> dict[str, Any]:
    """Return the tables of both services; each passes over what is not its own."""
    engine = msgspec.structs.replace(spec.work.config, accounts=True)
    # Ids of workloads carry no sessions; all of them are remembered, as a venue would.
    cell = CellConfig(engine=engine, recent_orders=len(spec.work) + 1, sessions=False)
    catalog = place / "catalog.json"
    save_catalog(catalog, _instruments(engine.max_instruments))
    return {
        "log": log,
        "cell": msgspec.to_builtins(cell),
        "trading": {"snapshots": str(place / "snapshots"), "snapshot_every_s": 3_600.0},
        "catalog": {"file": str(catalog)},
        # The place moves with every batch, also where nobody's rows changed: it is what is watched.
        "portfolio": {"idle_commit_s": 0.002, "equity_every_s": 0.0},
        "observe": {"log_level": "warning"},
    }


def _instruments(count: int) -> list[InstrumentSpec]:
    """Describe the instruments of a workload: everything counts in whole units."""
    quote = AssetSpec("QUOTE", 0, 0)
    return [
        InstrumentSpec(f"I{n}", n, AssetSpec(f"B{n}", n + 1, 0), quote, tick_size="1", lot_size="1")
        for n in range(count)
    ]


def _write(path: Path, tables: dict[str, Any]) -> None:
    path.write_text(_toml(tables), "utf-8")


def _toml(tables: dict[str, Any], prefix: str = "") -> str:
    """Return tables as TOML; text and numbers are written as in JSON, which TOML reads."""
    plain = {key: value for key, value in tables.items() if not isinstance(value, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    for key, value in tables.items():
        if isinstance(value, dict):
            lines += [f"[{prefix}{key}]", _toml(value, f"{prefix}{key}.")]
    return "\n".join(lines)
