"""`tradecore statement`: everything that moved a person's cash in a day or a month."""

from __future__ import annotations

import argparse
import asyncio
import csv
import datetime
import sys
from typing import Any

from tradecore.catalog import Catalog
from tradecore.cli.parser import Commands, int_in, new_command
from tradecore.cli.screen import Screen
from tradecore.portfolio.statement import AssetStatement, Line, Period
from tradecore.portfolio.terms import Terms
from tradecore_shells.plumbing.catalogs import load_catalog
from tradecore_shells.plumbing.config import load_settings
from tradecore_shells.portfolio.config import PortfolioConfig

__all__ = ["add", "run"]

_COLUMNS = ("asset", "time", "what", "instrument", "quantity", "price", "amount", "balance")


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "statement",
        "a user's statement of a day or a month",
        "Shows opening balance, every movement and closing balance of each asset, and checks that "
        "they add up to the unit. Exit code 2 if they do not: then rows are missing.",
        "  tradecore statement --user 7 --day 2026-11-22\n"
        "  tradecore statement --user 7 --month 2026-11 --csv > november.csv",
    )
    parser.add_argument("--user", type=int_in(0, (1 << 63) - 1), required=True, metavar="ID")
    span = parser.add_mutually_exclusive_group(required=True)
    span.add_argument("--day", metavar="YYYY-MM-DD", dest="period", help="one day, UTC")
    span.add_argument("--month", metavar="YYYY-MM", dest="period", help="one month, UTC")
    parser.add_argument("--csv", action="store_true", help="comma-separated values, no table")
    parser.add_argument("--config", metavar="FILE", help="settings of the portfolio service")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Print the statement."""
    period = Period.parse(args.period)
    config = load_settings(PortfolioConfig, args.config)
    catalog = load_catalog(config.catalog.file)
    found = asyncio.run(_statement(config, catalog, args.user, period))
    screen.result(
        [
            {
                "asset": catalog.asset(one.asset_id).code,
                "opening": one.opening,
                "lines": [line._asdict() for line in one.lines],
                "closing": one.closing,
            }
            for one in found
        ]
    )
    rows = [row for one in found for row in _rows(one, catalog)]
    if args.csv and not screen.json:
        writer = csv.writer(sys.stdout)
        writer.writerow(_COLUMNS)
        writer.writerows(rows)
        return 0
    screen.heading(f"user {args.user}, {period.name} (UTC)")
    if rows:
        screen.table(_COLUMNS, rows)
    else:
        screen.line("nothing was held and nothing moved")
    return 0


def _rows(one: AssetStatement, catalog: Catalog) -> list[list[str]]:
    asset = catalog.asset(one.asset_id)
    text = asset.unit.to_text
    rows = [[asset.code, "", "opening", "", "", "", "", text(one.opening)]]
    balance = one.opening
    for line in one.lines:
        balance += line.amount
        rows.append([asset.code, *_words(line, catalog), text(line.amount), text(balance)])
    rows.append([asset.code, "", "closing", "", "", "", "", text(one.closing)])
    return rows


def _words(line: Line, catalog: Catalog) -> list[str]:
    at = datetime.datetime.fromtimestamp(line.ts_ns // 10**9, datetime.UTC)
    when = f"{at:%Y-%m-%d %H:%M:%S}.{line.ts_ns % 10**9:09d}"
    if not line.qty:
        return [when, line.what, "", "", ""]
    spec = catalog.instrument(line.instrument_id)
    return [when, line.what, spec.symbol, spec.from_lots(line.qty), spec.from_ticks(line.px)]


async def _statement(
    config: PortfolioConfig, catalog: Catalog, user_id: int, period: Period
) -> Any:
    from tradecore_shells.portfolio.build import open_store
    from tradecore_shells.portfolio.statements import statement_of

    store = await open_store(config.store)
    try:
        terms = Terms.of_catalog(catalog.instruments)
        return await statement_of(store, terms, user_id, period)
    finally:
        await store.close()
