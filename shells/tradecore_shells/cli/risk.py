"""`tradecore risk`: what an operator does about risk, and what there is to see.

Every action is an ordinary command of no numbered source, appended to the log like everybody's; the
risk service sees it there and lets go of what it wanted itself.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any, Literal

from tradecore.cell import Batch
from tradecore.cli.parser import Commands, int_in, new_command
from tradecore.cli.screen import Screen
from tradecore.cli.words import status_name
from tradecore.codes import CommandKind, EventKind, Phase
from tradecore.dtypes import MARKET_EVENT, REJECT_EVENT
from tradecore.errors import ConfigError
from tradecore.messages import KillSwitch, Message, Restrict, SetLimits, SetPhase
from tradecore_shells.cli.place import add_place, find_place
from tradecore_shells.cli.risk_show import add_views

__all__ = ["add"]

_ID = int_in(0, 0xFFFFFFFF)
_LIMITS = {
    "order-qty": ("max_order_qty", "lots of one order"),
    "order-notional": ("max_order_notional", "worth of one order, smallest quote units"),
    "position": ("max_position_qty", "lots held, working orders included"),
    "gross": ("max_gross_notional", "worth of all working orders, smallest quote units"),
    "open-orders": ("max_open_orders", "orders alive at once"),
    "collar-ppm": ("collar_ppm", "distance of a limit price from the mark, on the losing side"),
}


def add(commands: Commands) -> None:
    """Add the command and its actions to the parser."""
    parser = new_command(
        commands,
        "risk",
        "kill switches, halts, limits, VaR and stress",
        "What an operator does about risk on a running exchange, and what there is to see. Exit "
        "code 1 if the engine refused.",
    )
    parts = parser.add_subparsers(title="what to do", metavar="ACTION", required=True)
    _add_switches(parts)
    _add_phases(parts)
    _add_limits(parts)
    add_views(parts)


# ----------------------------------------------------------------------------------------- switches
def _add_switches(parts: Commands) -> None:
    for name, summary, text in (
        ("kill", "stop an account, a group or everybody", "Cancels all orders and refuses new ones;"
         " cancels are still accepted. Without --account and --group: the whole firm."),
        ("release", "let them trade again", "Switches the kill switch off. Nothing is restored. A "
         "loss that risk has seen so far is forgiven."),
    ):  # fmt: skip
        part = new_command(
            parts,
            name,
            summary,
            text,
            f"  tradecore risk {name} --account 17\n  tradecore risk {name} --group 3\n"
            f"  tradecore risk {name}",
        )
        _add_node(part)
        add_place(part)
        part.set_defaults(run=_switch, on=name == "kill")


def _switch(args: argparse.Namespace, screen: Screen) -> int:
    node = _node(args)
    batch = _ask(args, KillSwitch(**node, on=args.on))
    canceled = int((batch.events["kind"] == EventKind.CANCELED).sum())
    word = "stopped" if args.on else "released"
    answer = f"{_name(node)} {word}; {canceled} orders cancelled"
    return _show(screen, batch, CommandKind.KILL_SWITCH, answer, canceled=canceled)


# ------------------------------------------------------------------------------------------- phases
def _add_phases(parts: Commands) -> None:
    part = new_command(
        parts,
        "halt",
        "stop trading of an instrument",
        "No new orders are accepted and nothing trades; cancels are accepted.",
        "  tradecore risk halt BTC-PERP",
    )
    part.add_argument("instrument", metavar="SYMBOL")
    add_place(part)
    part.set_defaults(run=_phase, phase="halted")
    part = new_command(
        parts,
        "resume",
        "let an instrument trade again",
        "Opens at once, or with --auction by a call auction that a second 'resume' ends.",
        "  tradecore risk resume BTC-PERP --auction\n  tradecore risk resume BTC-PERP",
    )
    part.add_argument("instrument", metavar="SYMBOL")
    part.add_argument("--auction", action="store_true", help="collect orders first")
    add_place(part)
    part.set_defaults(run=_phase, phase="continuous")


def _phase(args: argparse.Namespace, screen: Screen) -> int:
    phase: Literal["auction", "continuous", "halted"]
    phase = "auction" if getattr(args, "auction", False) else args.phase
    batch = _ask(args, SetPhase(instrument=args.instrument, phase=phase))
    rows = batch.events[batch.events["kind"] == EventKind.PHASE].view(MARKET_EVENT)
    now = Phase(int(rows["phase"][-1])).name.lower() if len(rows) else "as it was"
    text = f"{args.instrument} is {now}"
    return _show(screen, batch, CommandKind.SET_PHASE, text, phase=now)


# ------------------------------------------------------------------------------------------- limits
def _add_limits(parts: Commands) -> None:
    part = new_command(
        parts,
        "limit",
        "change limits of an account, a group or the firm",
        "Changes the limits that are named and no others; 0 switches one off.",
        "  tradecore risk limit --account 17 --position 5000 --open-orders 100\n"
        "  tradecore risk limit --group 3 --order-qty 100 --rate 50 --burst 100",
    )
    for option, (_, text) in _LIMITS.items():
        part.add_argument(f"--{option}", type=int_in(0, 1 << 62), metavar="N", help=text)
    part.add_argument("--rate", type=_ID, metavar="N", help="messages a second")
    part.add_argument("--burst", type=_ID, metavar="N", help="messages at once, with --rate")
    _add_node(part)
    add_place(part)
    part.set_defaults(run=_limit)

    part = new_command(
        parts,
        "reduce-only",
        "let an account, a group or the firm only reduce positions",
        "Sets the position limit to one lot, so whatever would enlarge a position is refused. "
        "--off takes the limit away.",
        "  tradecore risk reduce-only --account 17\n"
        "  tradecore risk reduce-only --account 17 --off",
    )
    part.add_argument("--off", action="store_true", help="positions may grow again")
    _add_node(part)
    add_place(part)
    part.set_defaults(run=_reduce_only)

    part = new_command(
        parts,
        "restrict",
        "close an instrument for an account or for everybody",
        "New orders in the instrument are refused; orders that are alive stay alive.",
        "  tradecore risk restrict BTC-PERP --account 17\n  tradecore risk restrict BTC-PERP --off",
    )
    part.add_argument("instrument", metavar="SYMBOL")
    part.add_argument("--account", type=_ID, metavar="ID", help="only this account")
    part.add_argument("--off", action="store_true", help="open it again")
    add_place(part)
    part.set_defaults(run=_restrict)


def _limit(args: argparse.Namespace, screen: Screen) -> int:
    terms = {
        field: getattr(args, option.replace("-", "_")) for option, (field, _) in _LIMITS.items()
    }
    terms = {field: value for field, value in terms.items() if value is not None}
    if args.rate is not None:
        terms |= {"rate_per_s": args.rate, "rate_burst": args.burst or args.rate}
    elif args.burst is not None:
        raise ConfigError("--burst goes with --rate")
    if not terms:
        raise ConfigError("which limit? --position, --order-qty, --rate ...")
    node = _node(args)
    batch = _ask(args, SetLimits(**node, **terms))
    text = ", ".join(f"{field} {value:,}" for field, value in terms.items())
    return _show(screen, batch, CommandKind.LIMITS, f"{_name(node)}: {text}", **terms)


def _reduce_only(args: argparse.Namespace, screen: Screen) -> int:
    node = _node(args)
    limit = 0 if args.off else 1
    batch = _ask(args, SetLimits(**node, max_position_qty=limit))
    text = f"{_name(node)}: {'positions may grow' if args.off else 'positions only shrink'}"
    return _show(screen, batch, CommandKind.LIMITS, text, max_position_qty=limit)


def _restrict(args: argparse.Namespace, screen: Screen) -> int:
    message = Restrict(instrument=args.instrument, on=not args.off, account_id=args.account)
    whom = "everybody" if args.account is None else f"account {args.account}"
    text = f"{args.instrument} is {'open' if args.off else 'closed'} for {whom}"
    return _show(screen, _ask(args, message), CommandKind.RESTRICT, text)


# ------------------------------------------------------------------------------------------- common
def _add_node(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--account", type=_ID, metavar="ID")
    which.add_argument("--group", type=int_in(1, 0xFFFFFFFF), metavar="ID", help="risk group")


def _node(args: argparse.Namespace) -> dict[str, Any]:
    if args.account is not None:
        return {"scope": "account", "account_id": args.account}
    if args.group is not None:
        return {"scope": "group", "group_id": args.group}
    return {"scope": "firm"}


def _name(node: dict[str, Any]) -> str:
    number = node.get("account_id", node.get("group_id"))
    return str(node["scope"]) if number is None else f"{node['scope']} {number}"


def _ask(args: argparse.Namespace, message: Message) -> Batch:
    """Send a command and return what the cell made of it."""
    from tradecore_shells.client import connect
    from tradecore_shells.plumbing.catalogs import load_catalog

    config = find_place(args).config

    async def send() -> Batch:
        async with connect(
            config.log.url,
            account_id=0,
            catalog=load_catalog(config.catalog.file),
            partition=config.log.partition,
            patience_s=5.0,
        ) as client:
            return await asyncio.wait_for(client.ask(message), 10.0)

    return asyncio.run(send())


def _show(screen: Screen, batch: Batch, kind: CommandKind, text: str, **fields: Any) -> int:
    """Show the engine's answer; the exit code."""
    rows = batch.events.view(REJECT_EVENT)
    refused = rows[(rows["kind"] == EventKind.REJECTED) & (rows["command_kind"] == kind)]
    status = status_name(int(refused["status"][0])) if len(refused) else status_name(batch.status)
    done = batch.applied and not len(refused)
    screen.result({"done": done, "status": status, "offset": batch.in_offset, **fields})
    screen.line(text if done else f"refused: {status}")
    if done:
        screen.line(f"applied at offset {batch.in_offset}")
    return int(not done)
