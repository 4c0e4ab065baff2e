"""The views of `tradecore risk`: figures at a sequence number, stress, what risk has said."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any, Final

import msgspec

from tradecore.catalog import Catalog
from tradecore.cell import FrameReader, Position, StreamError
from tradecore.cli.parser import Commands, int_in, new_command
from tradecore.cli.screen import Screen
from tradecore.cli.words import clock_text, status_name
from tradecore.codes import ANY, AccountState, CommandKind, EventKind, FillFlag, Phase
from tradecore.dtypes import ACCOUNT_EVENT, FILL_EVENT, MARKET_EVENT, REJECT_EVENT
from tradecore.errors import ConfigError
from tradecore_shells.cli.place import add_place

__all__ = ["add_views"]

_MOST: Final = 100_000


def add_views(parts: Commands) -> None:
    """Add `show`, `stress` and `events`."""
    part = new_command(
        parts,
        "show",
        "exposure, profit, VaR and ES",
        "Reads the log as the risk service does, so the figures are exact at a stated sequence "
        "number: the newest, or --at any earlier frame of the executions. Amounts are in the "
        "reporting asset; VaR and ES are losses over one sample of the recorded returns.",
        "  tradecore risk show\n  tradecore risk show --account 17 --at 250000",
    )
    _add_moment(part)
    part.set_defaults(run=_show)
    part = new_command(
        parts,
        "stress",
        "what named shocks of prices would gain or lose",
        "Values every position under the scenarios of the settings, and under --shock.",
        "  tradecore risk stress\n"
        "  tradecore risk stress --shock BTC-PERP=-20 --shock ETH-PERP=-35",
    )
    part.add_argument(
        "--shock",
        action="append",
        default=[],
        metavar="SYMBOL=PERCENT",
        help="one more scenario, made of all of these",
    )
    _add_moment(part)
    part.set_defaults(run=_stress)
    part = new_command(
        parts,
        "events",
        "the newest events of risk",
        "Refusals by risk checks, account states, phases, forced closures, and what the rules of "
        "the risk service found, oldest first.",
        "  tradecore risk events\n  tradecore risk events -n 100 --json",
    )
    part.add_argument("-n", type=int_in(1, _MOST), default=20, metavar="N", help="how many (20)")
    add_place(part)
    part.set_defaults(run=_events)


def _add_moment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--account",
        type=int_in(0, 0xFFFFFFFF),
        action="append",
        default=[],
        metavar="ID",
        help="this account too; may be repeated",
    )
    parser.add_argument(
        "--at", type=int_in(1, 1 << 62), metavar="SEQ", help="before this frame of executions"
    )
    add_place(parser)


def _settings(args: argparse.Namespace) -> Any:
    from tradecore_shells.plumbing.config import load_settings
    from tradecore_shells.risk.config import RiskConfig

    if args.config:
        return load_settings(RiskConfig, args.config)
    from tradecore_shells.up.place import Place

    folder = Path(args.data)
    return load_settings(RiskConfig, folder / Place.read(folder).settings)


def _figures(args: argparse.Namespace, scenario: Any = None) -> tuple[Any, Catalog]:
    """Return the figures that are asked for, and the catalog."""
    from tradecore.risk import risk_source
    from tradecore.storage import SnapshotStore
    from tradecore_shells.plumbing.adapters import open_log
    from tradecore_shells.plumbing.catalogs import load_catalog
    from tradecore_shells.risk.replay import replay_state

    config = _settings(args)
    catalog = load_catalog(config.catalog.file)
    settings = config.risk
    if scenario is not None:
        stress = (*settings.figures.stress, scenario)
        figures = msgspec.structs.replace(settings.figures, stress=stress)
        settings = msgspec.structs.replace(settings, figures=figures)
    partition = config.log.partition
    folder = Path(settings.snapshots)
    store = SnapshotStore(folder, source=risk_source(partition)) if folder.is_dir() else None

    async def read() -> Any:
        log = open_log(config.log.url)
        try:
            return await replay_state(
                settings,
                catalog=catalog,
                partition=partition,
                log=log,
                snapshots=store,
                before_seq=args.at,
            )
        finally:
            await log.close()

    return asyncio.run(read()).figures(args.account), catalog


def _head(screen: Screen, figures: Any, catalog: Catalog) -> None:
    asset = catalog.asset(figures.asset_id).code
    screen.heading(
        f"before frame {figures.seq:,} of the executions, {clock_text(figures.ts_ns)} UTC, in "
        f"{asset}"
    )
    if figures.unpriced:
        screen.line(f"{figures.unpriced} positions have no price and are left out")


def _text(catalog: Catalog, figures: Any, amount: float) -> str:
    """Write an amount in the reporting asset, to two decimals where it has them."""
    text = f"{amount / 10 ** catalog.asset(figures.asset_id).decimals:,.2f}"
    return text.removeprefix("-") if text.strip("-0.,") == "" else text


def _node(node: Any) -> str:
    return "firm" if node.scope == "firm" else f"{node.scope} {node.id}"


def _show(args: argparse.Namespace, screen: Screen) -> int:
    figures, catalog = _figures(args)
    screen.result(msgspec.to_builtins(figures))
    _head(screen, figures, catalog)

    def text(amount: float) -> str:
        return _text(catalog, figures, amount)

    screen.table(
        ("node", "gross", "net", "profit"),
        [(_node(one), text(one.gross), text(one.net), text(one.profit)) for one in figures.nodes],
    )
    rows = [
        (
            *(_node(one), f"{tail.level:.1%}", text(tail.historical_var), text(tail.historical_es)),
            *(text(tail.gaussian_var), text(tail.modified_var)),
            *("" if x is None else text(x) for x in (tail.simulated_var, tail.simulated_es)),
        )
        for one in figures.nodes
        for tail in one.tails
    ]
    if rows:
        screen.line()
        screen.table(
            ("node", "level", "VaR", "ES", "Gaussian", "Cornish-Fisher", "Monte Carlo", "its ES"),
            rows,
        )
        screen.line(f"\n{figures.returns} recorded returns")
    else:
        screen.line("\nno VaR yet: fewer than two recorded returns")
    return 0


def _stress(args: argparse.Namespace, screen: Screen) -> int:
    figures, catalog = _figures(args, _scenario(args.shock))
    screen.result(
        {
            "seq": figures.seq,
            "ts_ns": figures.ts_ns,
            "nodes": [{"node": _node(one), "stress": one.stress} for one in figures.nodes],
        }
    )
    _head(screen, figures, catalog)
    names = list(figures.nodes[0].stress)
    screen.table(
        ("node", *names),
        [
            (_node(one), *(_text(catalog, figures, one.stress[name]) for name in names))
            for one in figures.nodes
        ],
    )
    return 0


def _scenario(shocks: list[str]) -> Any:
    """Return the scenario of the command line; None without one."""
    from tradecore.risk.policy import Scenario

    if not shocks:
        return None
    by_symbol = {}
    for shock in shocks:
        symbol, _, percent = shock.partition("=")
        try:
            ppm = round(float(percent) * 10_000)
        except ValueError:
            raise ConfigError(f"--shock {shock!r}: SYMBOL=PERCENT, such as BTC-PERP=-20") from None
        if not -1_000_000 <= ppm <= 1_000_000_000:
            raise ConfigError(f"--shock {shock!r}: a price cannot fall by more than 100 %")
        by_symbol[symbol] = ppm
    return Scenario(name=", ".join(shocks), by_symbol=by_symbol)


# ------------------------------------------------------------------------------------------- events
def _events(args: argparse.Namespace, screen: Screen) -> int:
    from tradecore.risk import risk_source
    from tradecore_shells.plumbing.adapters import open_log
    from tradecore_shells.plumbing.ports import RISK_EVENTS, Log

    config = _settings(args)
    partition = config.log.partition
    source = risk_source(partition)

    async def read(log: Log) -> list[dict[str, Any]]:
        bounds = await log.bounds(RISK_EVENTS, partition)
        offset = max(bounds.start, bounds.end - args.n)
        reader = FrameReader(source, Position(offset, 0))
        found: list[dict[str, Any]] = []
        while offset < bounds.end:
            for record in await log.fetch(
                RISK_EVENTS, partition, offset, max_bytes=1 << 22, wait_s=0.5
            ):
                offset = record.offset + 1
                try:
                    batches = reader.read(record.offset, record.payload)
                except StreamError:
                    reader = FrameReader(source, Position(offset, 0))
                    continue
                for batch in batches:
                    found += [
                        _describe(row, batch.ts_ns) for row in batch.events.view(REJECT_EVENT)
                    ]
        return found[-args.n :]

    async def main() -> list[dict[str, Any]]:
        log = open_log(config.log.url)
        try:
            return await read(log)
        finally:
            await log.close()

    events = asyncio.run(main())
    screen.result({"events": events})
    columns = ("event", "reason", "account_id", "group_id", "instrument_id", "observed", "limit")
    screen.table(
        ("time", *(name.replace("_id", "") for name in columns)),
        [
            (
                clock_text(one["ts_ns"]),
                *("-" if one[name] is None else str(one[name]) for name in columns),
            )
            for one in events
        ],
    )
    return 0


def _describe(row: Any, ts_ns: int) -> dict[str, Any]:
    """Return an event as people read it."""
    from tradecore.risk import FINDING, Rule

    kind, status, instrument = (int(row[name]) for name in ("kind", "status", "instrument_id"))
    is_finding = kind == FINDING
    with_values = is_finding or kind == EventKind.REJECTED
    one = row.reshape(1)
    if is_finding:
        reason = Rule(status).name
    elif kind == EventKind.ACCOUNT_STATE:
        reason = AccountState(int(one.view(ACCOUNT_EVENT)["state"][0])).name
    elif kind == EventKind.PHASE:
        reason = Phase(int(one.view(MARKET_EVENT)["phase"][0])).name
    elif kind == EventKind.FILL:
        forced = int(one.view(FILL_EVENT)["flags"][0])
        reason = "ADL" if forced & FillFlag.ADL else "LIQUIDATION"
    elif kind == EventKind.DONE:
        reason = CommandKind(int(row["command_kind"])).name
    else:
        reason = status_name(status)
    return {
        "ts_ns": ts_ns,
        "event": "FOUND" if is_finding else EventKind(kind).name,
        "reason": reason,
        "account_id": int(row["account_id"]),
        "group_id": int(row["order_id"]) if is_finding else 0,
        "instrument_id": None if instrument == ANY else instrument,
        "observed": int(row["observed"]) if with_values else None,
        "limit": int(row["limit"]) if with_values else None,
    }
