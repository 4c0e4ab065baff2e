"""`tradecore parity`: replay what a service wrote, and say what is equal."""

from __future__ import annotations

import argparse

import msgspec

from tradecore.cli.parser import Commands, new_command
from tradecore.cli.screen import Screen

__all__ = ["add", "run"]

_DESCRIPTION = """\
Replay a journal, or a service's log, in the library and compare everything that can be compared:

  events      byte for byte with what was published, or with another replay in other batches
  states      at every audit record and every snapshot
  ledger      balances made of the published events, with the engine's wallets
  positions, PnL   likewise: quantities, realised, fees, cost
  risk        the working lots that position limits count; open profit, initial and maintenance
              margin of every margin position, computed anew from what was published

Database and cache are compared with the same log by `tradecore reconcile`.
Exit code 0 only if all of it is equal."""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "parity",
        "prove that the library says what a service said",
        _DESCRIPTION,
        "  tradecore parity log\n  tradecore parity data/log/trading-commands-0",
    )
    parser.add_argument("journal", metavar="JOURNAL", help="folder of a journal or of a log")
    parser.add_argument("--config", metavar="FILE", help="engine or cell configuration (JSON)")
    parser.add_argument("--published", metavar="FOLDER", help="the executions, or event journal")
    parser.add_argument("--audits", metavar="FOLDER", help="the audit log")
    parser.add_argument("--snapshots", metavar="FOLDER", help="snapshots to compare states with")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Certify a journal; 0 when everything that was compared is equal."""
    # Not at the top: the command's help needs none of it.
    from tradecore.research.parity import certify

    found = certify(
        args.journal,
        config=args.config,
        published=args.published,
        audits=args.audits,
        snapshots=args.snapshots,
    )
    screen.result({**msgspec.to_builtins(found), "equal": found.equal})
    screen.line(
        f"{found.journal}: {found.records:,} records, {found.commands:,} commands, "
        f"{found.events:,} events"
    )
    screen.pairs(
        [
            (line.what, f"{'equal' if line.equal else 'UNEQUAL'}  {line.ours[:16]}")
            for line in found.lines
        ]
    )
    for line in found.lines:
        for difference in line.differences if not line.equal else ():
            screen.line(f"  {line.what}: {difference}")
    for note in found.notes:
        screen.line(f"note: {note}")
    screen.line("parity: equal" if found.equal else "parity: UNEQUAL")
    return 0 if found.equal else 1
