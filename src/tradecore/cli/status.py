"""`tradecore status`: what a status code means."""

from __future__ import annotations

import argparse
from typing import Any

from tradecore.cli.parser import Commands, new_command
from tradecore.cli.screen import Screen
from tradecore.errors import ConfigError
from tradecore.status import Status

__all__ = ["add", "run"]

_EXAMPLES = """\
  tradecore status                    all of them
  tradecore status 313                one code
  tradecore status insufficient       every status whose name or sentence says so
  tradecore status 3xx                one family"""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "status",
        "explain the status codes of events",
        "Explain status codes: why a command was refused, or why an event happened. Codes are "
        "families by hundred: 1xx frame, 2xx instrument and phase, 3xx risk and ledger, 4xx order, "
        "5xx capacity, 9xx fault. A code is never reused.",
        _EXAMPLES,
    )
    parser.add_argument("what", nargs="?", default="", metavar="CODE", help="code, family or word")
    parser.set_defaults(run=run)


def _find(what: str) -> list[Status]:
    word = what.strip().lower()
    if word.isascii() and word.isdigit():
        return [status for status in Status if status.value == int(word)]
    if len(word) == 3 and word.endswith("xx") and word[0].isdigit():
        return [status for status in Status if status.value // 100 == int(word[0])]
    return [s for s in Status if word in s.name.lower() or word in s.sentence.lower()]


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Print the statuses that fit."""
    found = _find(args.what)
    if not found:
        raise ConfigError(
            f"no status {args.what!r}; 'tradecore status' lists all {len(Status)} of them"
        )
    entries: list[dict[str, Any]] = [
        {"code": int(s), "name": s.name, "family": s.family, "sentence": s.sentence} for s in found
    ]
    screen.result(entries)
    width = max(len(entry["name"]) for entry in entries)
    for entry in entries:
        screen.line(f"{entry['code']:>3}  {entry['name']:<{width}}  {entry['sentence']}")
    return 0
