"""A small cell as a service on a log of files, and its settings as `tradecore serve` reads them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tradecore.cell import CellConfig, newest_answer
from tradecore.engine import EngineConfig
from tradecore.envelope import encode, seal
from tradecore.testing import build
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.config import LogSettings
from tradecore_shells.plumbing.filelog import FileLog
from tradecore_shells.plumbing.observe import MetricsPort, NoMetrics
from tradecore_shells.plumbing.ports import EXECUTIONS, TRADING_COMMANDS, Log, Record
from tradecore_shells.trading.build import make_service
from tradecore_shells.trading.config import TradingConfig, TradingSettings
from tradecore_shells.trading.service import TradingService

PATIENCE_S = 30.0
CELL = CellConfig(
    engine=EngineConfig(accounts=True, max_orders=1024, max_instruments=4, max_accounts=16),
    recent_orders=1024,
)


def settings(folder: Path, *, partition: int = 0, **trading: Any) -> TradingConfig:
    """Return settings with everything in one folder, and no ticks that would move offsets."""
    return TradingConfig(
        log=LogSettings(url=f"file:{folder / 'log'}", partition=partition),
        cell=CELL,
        trading=TradingSettings(
            snapshots=str(folder / "snapshots"), **{"tick_s": 3600.0, "retry_s": 0.5} | trading
        ),
    )


def toml(config: TradingConfig, *, observe_port: int = 0) -> str:
    """Return the settings as the text of a file."""
    engine = config.cell.engine
    log = msgspec.structs.asdict(config.log)
    trading = msgspec.structs.asdict(config.trading)
    words = [
        *("[log]", *(f"{key} = {_toml(value)}" for key, value in log.items())),
        *("[trading]", *(f"{key} = {_toml(value)}" for key, value in trading.items())),
        *("[observe]", f"port = {observe_port}"),
        *("[cell]", f"recent_orders = {config.cell.recent_orders}"),
        *("[cell.engine]", "accounts = true", f"max_orders = {engine.max_orders}"),
        *(f"max_instruments = {engine.max_instruments}", f"max_accounts = {engine.max_accounts}"),
    ]
    return "\n".join(words) + "\n"


def _toml(value: object) -> str:
    return msgspec.json.encode(value).decode()


def command(*frames: bytes, source: int = 0, first_seq: int = 1) -> bytes:
    """Return one record of commands; by default a LIMITS of the firm that changes nothing."""
    body = b"".join(frames) or build.limits(scope=3)
    return encode(seal(body, source=source, first_seq=first_seq))


@contextlib.asynccontextmanager
async def running(
    config: TradingConfig, log: Log, metrics: MetricsPort | None = None
) -> AsyncIterator[TradingService]:
    """Run the service until the block ends, then drain it."""
    service = make_service(config, log=log, clock=SystemClock(), metrics=metrics or NoMetrics())
    task = asyncio.create_task(service.run())
    serving = asyncio.create_task(service.serving.wait())
    await asyncio.wait([task, serving], return_when=asyncio.FIRST_COMPLETED)
    try:
        if not task.done():
            yield service
    finally:
        serving.cancel()
        service.stop()
        await asyncio.wait_for(task, PATIENCE_S)


async def answer_to(log: Log, offset: int, partition: int = 0) -> None:
    """Return when `executions` answers the record at an offset."""
    at = 0
    async with asyncio.timeout(PATIENCE_S):
        while True:
            records = await log.fetch(EXECUTIONS, partition, at, max_bytes=1 << 20, wait_s=1.0)
            if any(newest_answer(record.payload)[1] >= offset for record in records):
                return
            at += len(records)


def run_once(config: TradingConfig, payloads: Sequence[bytes]) -> None:
    """Start a cell, let it answer these records, drain: its snapshot has seen all of them."""

    async def main() -> None:
        log = FileLog(config.log.url.removeprefix("file:"), SystemClock())
        partition = config.log.partition
        async with running(config, log):
            first = await log.append(TRADING_COMMANDS, partition, payloads)
            await answer_to(log, first + len(payloads) - 1, partition)
        await log.close()

    asyncio.run(main())


def everything(config: TradingConfig, topic: str) -> list[Record]:
    """Return all records of a topic of the log that a cell has left behind."""

    async def main() -> list[Record]:
        log = FileLog(config.log.url.removeprefix("file:"), SystemClock())
        try:
            return await log.fetch(topic, config.log.partition, 0, max_bytes=1 << 30, wait_s=0)
        finally:
            await log.close()

    return asyncio.run(main())
