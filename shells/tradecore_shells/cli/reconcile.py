"""`tradecore reconcile`: prove that log, database and cache say the same, or name what does not."""

from __future__ import annotations

import argparse
import asyncio

from tradecore.cli.parser import Commands, int_in, new_command
from tradecore.cli.screen import Screen
from tradecore_shells.plumbing.config import load_settings
from tradecore_shells.portfolio.config import PortfolioConfig, equity_asset_of
from tradecore_shells.portfolio.reconcile import Findings, reconcile

__all__ = ["add", "run"]

_DESCRIPTION = """\
Computes fills, ledger, positions, balances, equity samples and cached documents anew from the
executions of a cell, from the first record on, and compares them with what database and cache hold.
Every difference is named with its row and field. The database is read at one moment, so a running
service does not disturb; its cache follows moments later. Exit code 1 if anything differs."""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "reconcile",
        "prove that log, database and cache agree",
        _DESCRIPTION,
        "  tradecore reconcile --config exchange.toml\n"
        "  TRADECORE_STORE__DSN=postgresql://... tradecore reconcile --config exchange.toml",
    )
    parser.add_argument("--config", metavar="FILE", help="settings of the portfolio service")
    parser.add_argument(
        "--show", type=int_in(0, 10**9), default=50, metavar="N", help="differences to print"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Compare and tell; 0 when everything agrees."""
    config = load_settings(PortfolioConfig, args.config)
    findings = asyncio.run(_reconcile(config))
    screen.result(
        {
            "next_offset": findings.place.next_offset,
            "next_seq": findings.place.next_seq,
            "log_end": findings.log_end,
            "rows": findings.rows,
            "differences": [one._asdict() for one in findings.differences],
        }
    )
    screen.pairs([(name, f"{count:,} rows") for name, count in findings.rows.items()])
    place = findings.place
    screen.line(
        f"executions: read to record {place.next_offset:,} of {findings.log_end:,}, "
        f"frame {place.next_seq:,}"
    )
    if not findings.differences:
        screen.line("everything agrees")
        return 0
    for one in findings.differences[: args.show]:
        screen.line(f"  {one}")
    hidden = len(findings.differences) - args.show
    if hidden > 0:
        screen.line(f"  and {hidden:,} more")
    count = len(findings.differences)
    screen.error(f"{count:,} difference{'s' if count > 1 else ''}")
    return 1


async def _reconcile(config: PortfolioConfig) -> Findings:
    from tradecore_shells.plumbing.adapters import open_cache, open_log
    from tradecore_shells.plumbing.catalogs import load_catalog
    from tradecore_shells.portfolio.build import open_store

    catalog = load_catalog(config.catalog.file)
    log = open_log(config.log.url)
    store = await open_store(config.store, timeout_s=600.0)
    # A cache in another process's memory cannot be looked into.
    cache = None if config.cache.url == "memory:" else open_cache(config.cache.url)
    try:
        return await reconcile(
            config.portfolio,
            catalog,
            equity_asset_of(config.portfolio, catalog),
            partition=config.log.partition,
            log=log,
            store=store,
            cache=cache,
        )
    finally:
        if cache is not None:
            await cache.close()
        await store.close()
        await log.close()
