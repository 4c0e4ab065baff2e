"""`tradecore top`: an exchange, live on the terminal."""

from __future__ import annotations

import argparse
import asyncio

from tradecore.cli.parser import Commands, new_command
from tradecore.cli.screen import Screen, rate_text
from tradecore.cli.words import clock_text
from tradecore_shells.cli.place import Found, add_place, find_place

__all__ = ["add", "run"]

_DRAW_S = 0.25
_LINE_S = 2.0


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "top",
        "an exchange, live: pace, lag, books, trades, risk",
        "Watches a running exchange through its logs until Ctrl-C. Without a terminal it prints a "
        "line every two seconds; with --json one document after --seconds.",
        "  tradecore top\n  tradecore top --config tradecore.toml --seconds 10",
    )
    parser.add_argument("--seconds", type=float, metavar="S", help="end after this time")
    parser.add_argument("--plain", action="store_true", help="lines instead of the live view")
    add_place(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Watch."""
    found = find_place(args)
    seconds = args.seconds
    if seconds is None and screen.json:
        seconds = 2.0
    asyncio.run(_watch(found, screen, seconds))
    return 0


async def _watch(found: Found, screen: Screen, seconds: float | None) -> None:
    from tradecore_shells.plumbing.adapters import open_log
    from tradecore_shells.plumbing.catalogs import load_catalog
    from tradecore_shells.portfolio.build import open_store
    from tradecore_shells.portfolio.store import PORTFOLIO
    from tradecore_shells.watch import Watch

    cell = found.config.log.partition
    catalog = load_catalog(found.config.catalog.file)
    log = open_log(found.config.log.url)
    store = await open_store(found.config.store)

    async def written() -> int:
        return (await store.place(PORTFOLIO, cell)).next_seq

    await log.bounds("executions", cell)  # says at once when nobody is there
    watch = Watch(log, partition=cell, written=written)
    tasks = [asyncio.create_task(watch.run())]
    tasks.append(asyncio.create_task(_show(watch, catalog, screen, found)))
    try:
        async with asyncio.timeout(seconds):
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    except TimeoutError:
        pass
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()
        await log.close()
    screen.result(
        {
            "log_time_ns": watch.now_ns,
            "records": watch.records,
            "events": watch.events,
            "fills": watch.fills,
            "unanswered_records": watch.command_lag,
            "portfolio_lag_frames": watch.portfolio_lag,
            "quotes": {
                catalog.instrument(key).symbol: quote._asdict()
                for key, quote in sorted(watch.quotes.items())
            },
        }
    )


async def _show(watch: object, catalog: object, screen: Screen, found: Found) -> None:
    from tradecore.catalog import Catalog
    from tradecore_shells.view import ExchangeView
    from tradecore_shells.watch import Watch

    assert isinstance(watch, Watch)
    assert isinstance(catalog, Catalog)
    loop = asyncio.get_running_loop()
    if screen.is_rich:
        with ExchangeView(screen.console, watch, catalog, found.config.log.url) as view:
            while True:
                view.show(loop.time())
                await asyncio.sleep(_DRAW_S)
    before = watch.events
    while True:
        await asyncio.sleep(_LINE_S)
        rate = (watch.events - before) / _LINE_S
        before = watch.events
        screen.line(
            f"{clock_text(watch.now_ns)}  {rate_text(rate)} events, {watch.command_lag:,} records "
            f"unanswered, portfolio {watch.portfolio_lag:,} frames behind"
        )
