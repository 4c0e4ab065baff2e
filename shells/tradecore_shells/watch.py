"""An exchange as somebody sees it who only reads its logs: prices, books, trades, pace, lag."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradecore.cell import Batch, Position
from tradecore.codes import CellKind, EventKind, Side
from tradecore.dtypes import EVENT, LEVEL_EVENT, QUOTE_EVENT, TRADE_EVENT
from tradecore.envelope import decode
from tradecore.errors import FrameError
from tradecore_shells.following import follow
from tradecore_shells.plumbing.ports import (
    EXECUTIONS,
    MARKET_DATA,
    RISK_EVENTS,
    TRADING_COMMANDS,
    Log,
    RetryableError,
)
from tradecore_shells.quotes import Quote

__all__ = ["Alert", "Trade", "Watch"]

_TRADES = 64
_ALERTS = 64
_LAST_RECORDS = 200
_LOOK_S = 0.5
Levels = list[tuple[int, int, int]]


class Trade(NamedTuple):
    """One fill without names; ticks, lots, log time, side of the one who took."""

    ts_ns: int
    instrument_id: int
    side: int
    px: int
    qty: int


class Alert(NamedTuple):
    """One event of `risk-events`."""

    kind: int
    account_id: int
    instrument_id: int
    status: int


class Watch:
    """What can be seen of one cell from now on.

    Parameters
    ----------
    log : Log
        Nobody else may read through it where the adapter allows one reader only.
    partition : int
    written : callable, optional
        Returns the number of the next execution frame that the portfolio will write.

    Attributes
    ----------
    now_ns : int
        Log time, Unix ns.
    quotes : dict of int to Quote
    books : dict of int to (bids, asks)
        The last depth picture of each instrument, levels (px, qty, orders), best first.
    trades, alerts : deque
        Newest last.
    records, events, fills : int
        Seen since the beginning of the watch.
    end_seq : int
        Number behind the last execution frame that was seen.
    command_lag : int
        Records that the cell has not answered; `portfolio_lag` frames not written, -1 unknown.
    """

    def __init__(
        self,
        log: Log,
        *,
        partition: int = 0,
        written: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self._log = log
        self._partition = partition
        self._written = written
        self.now_ns = 0
        self.quotes: dict[int, Quote] = {}
        self.first_px: dict[int, int] = {}
        self.last_px: dict[int, int] = {}
        self.books: dict[int, tuple[Levels, Levels]] = {}
        self.trades: deque[Trade] = deque(maxlen=_TRADES)
        self.alerts: deque[Alert] = deque(maxlen=_ALERTS)
        self.records = self.events = self.fills = self.refused = 0
        self.end_seq = 0
        self.answered = -1
        self.command_lag = 0
        self.portfolio_lag = -1

    async def run(self) -> None:
        """Watch until cancelled. Raises as `follow` does."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._market())
            group.create_task(self._executions())
            group.create_task(self._alerts())
            group.create_task(self._lag())

    async def _start(self, topic: str, back: int) -> int:
        bounds = await self._log.bounds(topic, self._partition)
        return max(bounds.start, bounds.end - back)

    async def _market(self) -> None:
        place = Position(await self._start(MARKET_DATA, _LAST_RECORDS), 0)
        stream = follow(
            self._log, partition=self._partition, topic=MARKET_DATA, position=place, wait_s=0.2
        )
        async for batches in stream:
            for batch in batches:
                self._take_market(batch)

    def _take_market(self, batch: Batch) -> None:
        events = batch.events
        kinds = events["kind"]
        for one in events[kinds == CellKind.QUOTE].view(QUOTE_EVENT):
            names = ("bid_px", "bid_qty", "ask_px", "ask_qty")
            self.quotes[int(one["instrument_id"])] = Quote(*(int(one[name]) for name in names))
        trades = events[kinds == CellKind.TRADE].view(TRADE_EVENT)
        for one in trades[-_TRADES:]:
            trade = Trade(
                *(batch.ts_ns, int(one["instrument_id"]), int(one["side"])),
                *(int(one["last_px"]), int(one["last_qty"])),
            )
            self.trades.append(trade)
            self.first_px.setdefault(trade.instrument_id, trade.px)
            self.last_px[trade.instrument_id] = trade.px
        levels = events[kinds == CellKind.LEVEL].view(LEVEL_EVENT)
        for instrument in np.unique(levels["instrument_id"]):
            rows = levels[levels["instrument_id"] == instrument]
            self.books[int(instrument)] = (_side(rows, Side.BUY), _side(rows, Side.SELL))

    async def _executions(self) -> None:
        place = Position(await self._start(EXECUTIONS, 1), 0)
        stream = follow(self._log, partition=self._partition, position=place, wait_s=0.2)
        async for batches in stream:
            for batch in batches:
                kinds = np.bincount(batch.events["kind"], minlength=64)
                self.now_ns = batch.ts_ns
                self.records += 1
                self.events += len(batch.events)
                self.fills += int(kinds[EventKind.FILL])
                self.refused += int(kinds[EventKind.REJECTED])
                self.end_seq = batch.end_seq
                self.answered = batch.in_offset

    async def _alerts(self) -> None:
        offset = await self._start(RISK_EVENTS, _ALERTS)
        while True:
            records = await self._log.fetch(
                RISK_EVENTS, self._partition, offset, max_bytes=1 << 20, wait_s=1.0
            )
            for record in records:
                offset = record.offset + 1
                try:
                    frames: npt.NDArray[np.void] = np.frombuffer(
                        decode(record.payload).frames, EVENT
                    )
                except FrameError:
                    continue
                for one in frames[-_ALERTS:]:
                    names = ("kind", "account_id", "instrument_id", "status")
                    self.alerts.append(Alert(*(int(one[name]) for name in names)))

    async def _lag(self) -> None:
        while True:
            try:
                end = (await self._log.bounds(TRADING_COMMANDS, self._partition)).end
                if self.answered >= 0:
                    self.command_lag = max(end - 1 - self.answered, 0)
                if self._written is not None and self.end_seq:
                    self.portfolio_lag = max(self.end_seq - await self._written(), 0)
            except RetryableError:
                self.portfolio_lag = -1
            await asyncio.sleep(_LOOK_S)


def _side(rows: npt.NDArray[np.void], side: Side) -> Levels:
    own = rows[rows["side"] == side]
    own = own[np.argsort(own["index"], kind="stable")]
    return [(int(one["px"]), int(one["qty"]), int(one["orders"])) for one in own]
