"""`tradecore verify`: judge the installed build against independent files."""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING, Any, Final

from tradecore.cli.parser import Commands, new_command
from tradecore.cli.screen import FileProgress, Screen

if TYPE_CHECKING:
    from tradecore.verify import FileResult

__all__ = ["add", "run"]

_SHOWN_FAILURES: Final = 20

_DESCRIPTION = """\
Judge this build against files that somebody else made. Folders are walked; the kind of a file is
recognised by its content:

  matching scenarios    matching: P passed, F failed     commands, expected trades and orders
  PnL and risk cases    pnl: P passed, F failed          lots, margin, VaR, performance
  binary workloads      sha256 HEX FILE                  digest of the canonical report stream
  edge cases            edge: P passed, F failed
  LOBSTER days          rows EQUAL/TOTAL                 the book against every snapshot row
                        aggressors E/T fills E/T         reported only
  CoinTossX scenarios   cointossx: P passed, F failed, N not applicable
  captures, ITCH        captures: ..., itch: ...         rebuilt books; bytes after a round trip
  lot reports           lots: P passed, F failed         gains by FIFO, LIFO, HIFO, LOFO

Every failure is named with what was expected and what came out. The exit code is 0 only if
everything holds."""

_EXAMPLES = """\
  tradecore verify vectors/ data/
  tradecore verify matching.jsonl
  tradecore verify orders.bin.zst --expect "$(cat orders.sha256)"
"""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands, "verify", "judge this build against independent data", _DESCRIPTION, _EXAMPLES
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files and folders")
    parser.add_argument(
        "--expect", metavar="SHA256", help="digest that the one workload among them must have"
    )
    parser.add_argument(
        "--all", action="store_true", help=f"name every failure, not the first {_SHOWN_FAILURES}"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Judge the files and print the verdicts."""
    from tradecore import verify

    with screen.progress("judging", 1) as bar:
        results = verify.run(args.paths, args.expect, FileProgress(bar, "judging"))
    screen.result([_document(result) for result in results])
    for result in results:
        _describe(result, screen, len(result.failures) if args.all else _SHOWN_FAILURES)
    return 0 if all(result.ok for result in results) else 1


def _document(result: FileResult) -> dict[str, Any]:
    return {
        "path": result.path,
        "kind": result.kind,
        "ok": result.ok,
        "passed": result.passed,
        "failed": result.failed,
        "sha256": result.sha256,
        "lines": result.lines,
        "failures": result.failures,
        "not_applicable": result.not_applicable,
    }


def _describe(result: FileResult, screen: Screen, most: int) -> None:
    screen.line(f"{'ok  ' if result.ok else 'FAIL'} {result.path}")
    for line in result.lines:
        screen.line(line)
    for failure in result.failures[:most]:
        screen.line(f"  {failure}".replace("\n", "\n  "))
    hidden = result.failed - min(most, len(result.failures))
    if result.failures and hidden > 0:
        screen.line(f"  and {hidden:,} more (--all names those that were kept)")
    reasons: dict[str, list[str]] = {}
    for case in result.not_applicable:
        reasons.setdefault(case.actual, []).append(case.name)
    for reason, names in reasons.items():
        screen.line(f"  not applicable, {len(names)}: {reason}:")
        for line in textwrap.wrap(", ".join(names), 92):
            screen.line(f"    {line}")
