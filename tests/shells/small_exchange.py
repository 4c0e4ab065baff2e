"""A whole exchange in one loop: files as the log, a cell that reads them, nothing in between."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tradecore.catalog import Catalog
from tradecore.cell import Cell, CellConfig, seal_frames, source_of
from tradecore.engine import EngineConfig
from tradecore.instruments import AssetSpec, InstrumentSpec
from tradecore.messages import DefineInstrument, Deposit, OpenAccount
from tradecore_shells.client import Client
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.filelog import FileLog
from tradecore_shells.plumbing.ports import EXECUTIONS, TRADING_COMMANDS

BTC, USD = AssetSpec("BTC", 1), AssetSpec("USD", 0)
CATALOG = Catalog([InstrumentSpec("BTC-USD", 0, BTC, USD, tick_size="0.01", lot_size="0.0001")])
CONFIG = CellConfig(engine=EngineConfig(accounts=True, max_accounts=16, max_orders=4096))
OPERATOR = 3 << 28 | 9


async def serve_cell(log: FileLog, partition: int = 0) -> None:
    """Apply what comes, say what it made; until cancelled."""
    cell = Cell(CONFIG, cell_id=partition)
    while True:
        records = await log.fetch(
            TRADING_COMMANDS, partition, cell.next_offset, max_bytes=1 << 20, wait_s=60
        )
        if records:
            output = cell.apply_many(records)
            first = output.first_exec_seq
            payloads = seal_frames(output.frames, source=source_of(partition), first_seq=first)
            await log.append(EXECUTIONS, partition, payloads)


@contextlib.asynccontextmanager
async def exchange(folder: Path) -> AsyncIterator[FileLog]:
    """Open the exchange; accounts 1 and 2 hold 100,000 USD and 10 BTC each."""
    log = FileLog(folder, SystemClock())
    serving = asyncio.create_task(serve_cell(log))
    try:
        client = Client(
            log, account_id=0, session_id=1, catalog=CATALOG, source=OPERATOR, first_seq=1
        )
        await client.start()
        spec = CATALOG.instruments[0]
        assert (await client.ask(DefineInstrument(spec=spec))).applied
        for account in (1, 2):
            await client.ask(OpenAccount(account_id=account))
            await client.ask(Deposit(account_id=account, asset="USD", amount="100000"))
            await client.ask(Deposit(account_id=account, asset="BTC", amount="10"))
        await client.close()
        yield log
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await log.close()
