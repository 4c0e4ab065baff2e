"""`tradecore positions` and `tradecore sessions`: what an account has, and who traded for it."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from tradecore.catalog import Catalog
from tradecore.cli.parser import Commands, new_command
from tradecore.cli.screen import Screen
from tradecore.cli.words import clock_text, short_text
from tradecore_shells.cli.place import Found, add_place, find_place, needs

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add both commands to the parser."""
    parser = new_command(
        commands,
        "positions",
        "cash, positions and PnL of an account",
        "Shows balances, positions, realised and unrealised PnL and fees as the portfolio service "
        "has written them, marked at the middle of the best prices now.",
        "  tradecore positions\n  tradecore positions --account 17 --json",
    )
    add_place(parser, account=True)
    parser.set_defaults(run=_positions)
    parser = new_command(
        commands,
        "sessions",
        "trading sessions of an account",
        "A trading session is one run of one bot or one login; every order belongs to one.",
        "  tradecore sessions\n  tradecore sessions --account 0",
    )
    add_place(parser, account=True)
    parser.set_defaults(run=_sessions)


def _positions(args: argparse.Namespace, screen: Screen) -> int:
    from tradecore_shells.plumbing.catalogs import load_catalog

    found = find_place(args)
    account_id = needs(found.account_id)
    catalog = load_catalog(found.config.catalog.file)
    document = asyncio.run(_read(found, catalog, account_id))
    screen.result(document)
    if not document["balances"]:
        screen.line(f"account {account_id} has nothing")
        return 0
    screen.heading(f"account {account_id}")
    screen.table(
        ("asset", "balance"), [(one["asset"], one["amount"]) for one in document["balances"]]
    )
    if document["positions"]:
        screen.line()
        columns = ("instrument", "quantity", "mark", "realised", "unrealised", "fees")
        screen.table(
            columns, [tuple(str(one[name]) for name in columns) for one in document["positions"]]
        )
    screen.line(f"\nas of event {document['seq']}, {clock_text(document['ts_ns'])} UTC")
    return 0


async def _read(found: Found, catalog: Catalog, account_id: int) -> dict[str, Any]:
    from tradecore.portfolio.marks import mid_px
    from tradecore_shells.plumbing.adapters import open_log
    from tradecore_shells.portfolio.build import open_store
    from tradecore_shells.quotes import last_quotes

    cell = found.config.log.partition
    store = await open_store(found.config.store)
    log = open_log(found.config.log.url)
    try:
        positions, balances = await store.read("positions", "balances", cell=cell)
        mine = positions[positions["account_id"] == account_id]
        cash = balances[balances["account_id"] == account_id]
        quotes = await last_quotes(log, cell, {int(one["instrument_id"]) for one in mine})
    finally:
        await log.close()
        await store.close()
    rows = []
    for row in mine:
        spec = catalog.instrument(int(row["instrument_id"]))
        unit = spec.quote.unit
        quote = quotes.get(spec.instrument_id)
        mark = 0 if quote is None else mid_px(*quote)
        upnl = int(row["qty"]) * mark * spec.multiplier - int(row["cost"]) if mark else 0
        rows.append(
            {
                "instrument": spec.symbol,
                "quantity": short_text(spec.from_lots(int(row["qty"]))),
                "mark": short_text(spec.from_ticks(mark)) if mark else "-",
                "realised": unit.to_text(int(row["realised"])),
                "unrealised": unit.to_text(upnl) if mark else "-",
                "fees": unit.to_text(int(row["fees"])),
            }
        )
    newest = max((int(row["seq"]) for table in (mine, cash) for row in table), default=0)
    return {
        "account_id": account_id,
        "seq": newest,
        "ts_ns": max((int(row["ts_ns"]) for table in (mine, cash) for row in table), default=0),
        "balances": [
            {
                "asset": catalog.asset(int(row["asset_id"])).code,
                "amount": catalog.asset(int(row["asset_id"])).unit.to_text(int(row["amount"])),
            }
            for row in cash
        ],
        "positions": rows,
    }


def _sessions(args: argparse.Namespace, screen: Screen) -> int:
    found = find_place(args)
    account_id = needs(found.account_id)

    async def read() -> list[Any]:
        from tradecore_shells.portfolio.build import open_store

        store = await open_store(found.config.store)
        try:
            return [one for one in await store.sessions() if one.account_id == account_id]
        finally:
            await store.close()

    sessions = asyncio.run(read())
    screen.result([one._asdict() for one in sessions])
    screen.table(
        ("session", "label", "opened", "closed"),
        [
            (
                str(one.session_id),
                one.label,
                clock_text(one.opened_ts_ns) if one.opened_ts_ns else "-",
                clock_text(one.closed_ts_ns) if one.closed_ts_ns else "open",
            )
            for one in sessions
        ],
    )
    return 0
