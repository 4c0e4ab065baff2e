"""The account that a price shock will close: it buys twelve times what it owns."""

from __future__ import annotations

from tradecore.agents import MarketSpec
from tradecore.catalog import Catalog
from tradecore.instruments import InstrumentSpec
from tradecore_shells.client import Client
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.ports import Log
from tradecore_shells.quotes import last_quote
from tradecore_shells.up.venue import BOLD_CASH, bold_account

__all__ = ["go_bold"]

_LEVERAGE = 12


async def go_bold(spec: MarketSpec, log: Log, catalog: Catalog, perpetual: InstrumentSpec) -> str:
    """Buy the perpetual with the bold account's leverage; return a sentence about it."""
    account = bold_account(spec)
    quote = await last_quote(log, 0, perpetual.instrument_id)
    if quote is None or not quote.ask_qty:
        return f"account {account} finds no offer for {perpetual.symbol}"
    lots = _LEVERAGE * BOLD_CASH // (quote.ask_px * perpetual.multiplier)
    # Sessions are numbered by the second they began in; this one is beside the participants'.
    session = (SystemClock().now_ns() // 1_000_000_000 & 0x3FFFFFFF) | 0x40000000
    client = Client(log, account_id=account, session_id=session, catalog=catalog)
    await client.start()
    try:
        await client.open_session("bold")
        order = await client.place(
            instrument=perpetual.symbol,
            side="buy",
            order_qty=perpetual.from_lots(lots),
            px=perpetual.from_ticks(quote.ask_px + quote.ask_px // 100),
            tif="ioc",
        )
        await order.ended()
        cash = perpetual.quote.unit.to_text(BOLD_CASH)
        return (
            f"account {account} with {cash} {perpetual.quote.code} buys "
            f"{perpetual.from_lots(order.cum_qty)} {perpetual.symbol} at "
            f"{perpetual.from_ticks(quote.ask_px)}"
        )
    finally:
        await client.close()
