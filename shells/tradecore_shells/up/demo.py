"""The demonstration on top of the exchange: first the venue itself, then participants who trade."""

from __future__ import annotations

import asyncio
import logging

from tradecore.agents import MarketSpec
from tradecore.cell import Position
from tradecore.codes import CellKind
from tradecore.dtypes import QUOTE_EVENT
from tradecore.envelope import seal
from tradecore_shells.client import Client, follow
from tradecore_shells.plumbing.observe import event
from tradecore_shells.plumbing.ports import MARKET_DATA, Clock, Log
from tradecore_shells.trading.service import TradingService
from tradecore_shells.up.participants import Participants
from tradecore_shells.up.venue import GENESIS_SOURCE, genesis, own_account

__all__ = ["Demo", "found_venue"]

_log = logging.getLogger("tradecore.up")


async def found_venue(participants: Participants, trading: TradingService, log: Log) -> int:
    """Send what is missing of the venue's first commands; return how many were sent."""
    await trading.serving.wait()
    assert trading.cell is not None
    done = trading.cell.applied_to(GENESIS_SOURCE)
    spec = participants.market.spec
    sent = 0
    client = Client(
        log,
        account_id=own_account(spec),
        session_id=1,
        source=GENESIS_SOURCE,
        first_seq=done + 1,
    )
    await client.start()
    try:
        number = 0
        for batch in genesis(participants.market):
            count = seal(batch, source=GENESIS_SOURCE, first_seq=1).count
            number += count
            if number <= done:
                continue
            await client.outcome(await client.submit(batch))
            sent += count
    finally:
        await client.close()
    return sent


class Demo:
    """Founds the venue where it is new, and lets participants trade if there are to be any.

    Parameters
    ----------
    participants : Participants
    trading : TradingService
        Waited for; nothing of it is touched.
    log : Log
    clock : Clock
    trade : bool
        False: only the venue.
    """

    name = "demo"

    def __init__(
        self,
        participants: Participants,
        trading: TradingService,
        *,
        log: Log,
        clock: Clock,
        trade: bool,
    ) -> None:
        self.participants = participants
        self._trading = trading
        self._log = log
        self._clock = clock
        self._trade = trade
        self._stopping = asyncio.Event()
        self.ready = asyncio.Event()

    @property
    def spec(self) -> MarketSpec:
        """The market."""
        return self.participants.market.spec

    def stop(self) -> None:
        """Let the participants leave."""
        self._stopping.set()
        self.participants.stop()

    def trouble(self) -> str:
        """Why the venue is not there yet; empty when it is."""
        return "" if self.ready.is_set() else "the venue is not founded yet"

    async def run(self) -> None:
        """Work until stopped."""
        founding = asyncio.create_task(found_venue(self.participants, self._trading, self._log))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([founding, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not founding.done():
                return
            event(_log, "venue", commands=founding.result())
            self.ready.set()
            if not self._trade:
                await stopping
                return
            assert self._trading.cell is not None
            engine = self._trading.cell.engine
            self.participants.begin_at(
                {one: engine.market_state(one)["last_px"] for one in self.spec.ids}
            )
            quotes = asyncio.create_task(self._follow_quotes())
            try:
                await self.participants.run()
            finally:
                quotes.cancel()
                await asyncio.gather(quotes, return_exceptions=True)
        finally:
            founding.cancel()
            stopping.cancel()
            await asyncio.gather(founding, stopping, return_exceptions=True)

    async def _follow_quotes(self) -> None:
        """Tell the participants what market data says, from about now on."""
        end = (await self._log.bounds(MARKET_DATA, self._trading.partition)).end
        stream = follow(
            self._log,
            partition=self._trading.partition,
            topic=MARKET_DATA,
            position=Position(end, 0),
        )
        async for batches in stream:
            for batch in batches:
                events = batch.events
                for quote in events[events["kind"] == CellKind.QUOTE].view(QUOTE_EVENT):
                    bid = int(quote["bid_px"]) if quote["bid_qty"] else None
                    ask = int(quote["ask_px"]) if quote["ask_qty"] else None
                    self.participants.quote(int(quote["instrument_id"]), bid, ask)
