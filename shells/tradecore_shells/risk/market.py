"""Quotes out of `market-data`, from a little before now on: what is lost here is only freshness."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any, Final

from tradecore.cell import FrameReader, Position, StreamError, source_of
from tradecore.risk import Quotes
from tradecore_shells.plumbing.observe import event
from tradecore_shells.plumbing.ports import MARKET_DATA, FatalError, Log
from tradecore_shells.plumbing.retry import retrying

__all__ = ["Market"]

_log = logging.getLogger("tradecore.risk")
_IDLE_S: Final = 0.25
_FETCH_BYTES: Final = 1 << 20
_BACK: Final = 1000  # records read at the start, to know today's quotes


class Market:
    """One partition of market data as quotes.

    Parameters
    ----------
    log : Log
        Nobody else reads this partition through it.
    partition : int
    budget_s : float
    """

    def __init__(self, log: Log, partition: int, budget_s: float) -> None:
        self._log = log
        self._partition = partition
        self._budget_s = budget_s
        self.quotes = Quotes()
        self._ts_ns = 0
        self._drained_at = float("-inf")

    def is_fresh(self, now_ns: int, stale_s: float) -> bool:
        """Whether quotes are those of now: read to the end lately, or up to log time."""
        silent_s = asyncio.get_running_loop().time() - self._drained_at
        return silent_s <= stale_s or self._ts_ns >= now_ns - int(stale_s * 1e9)

    async def run(self) -> None:
        """Follow, until cancelled. Raises FatalError when the log is away for too long."""
        loop = asyncio.get_running_loop()
        bounds = await self._bounds()
        reader = self._reader(max(bounds.start, bounds.end - _BACK))
        while True:
            fetch = partial(
                self._log.fetch,
                *(MARKET_DATA, self._partition, reader.position.offset),
                max_bytes=_FETCH_BYTES,
                wait_s=_IDLE_S,
            )
            try:
                name = f"reading {MARKET_DATA}-{self._partition}"
                records = await retrying(fetch, name, budget_s=self._budget_s)
            except FatalError:
                # What we wanted has expired: go on with what there is.
                reader = self._reader((await self._bounds()).start)
                self.quotes.forget()
                await asyncio.sleep(_IDLE_S)
                continue
            for record in records:
                try:
                    batches = reader.read(record.offset, record.payload)
                except StreamError as error:
                    event(_log, "market data skipped", level=logging.WARNING, reason=str(error))
                    reader = self._reader(record.offset + 1)
                    self.quotes.forget()
                    continue
                for batch in batches:
                    self.quotes.note_frames(batch.events)
                    self._ts_ns = batch.ts_ns
            if not records:
                self._drained_at = loop.time()
            # Under load a fetch may return without ever waiting: let the others run.
            await asyncio.sleep(0)

    def _reader(self, offset: int) -> FrameReader:
        return FrameReader(source_of(self._partition), Position(offset, 0))

    async def _bounds(self) -> Any:
        return await retrying(
            lambda: self._log.bounds(MARKET_DATA, self._partition),
            f"asking for the bounds of {MARKET_DATA}",
            budget_s=self._budget_s,
        )
