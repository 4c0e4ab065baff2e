"""Arguments of all commands, and help that teaches.

argparse does the work; what is added: one-line errors, help that keeps its examples as they are
typed, and types that say what they want.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import textwrap
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, NoReturn

import tradecore

__all__ = ["Commands", "build_parser", "int_in", "new_command"]

Commands = Any
"""What `add_subparsers` returns; argparse gives it no public name."""

# In the order in which help shows them. `bench` is there when its module is installed.
_MODULES = (
    *("demo", "replay", "verify", "bench", "plan", "journal", "snapshot", "audit", "parity"),
    "status",
)

# Other packages add commands under this group of entry points: NAME = "package.module", a module
# with `add` and `run` like those here. Ours are in `tradecore_shells.cli`.
_GROUP = "tradecore.commands"
_CHECKOUT = "tradecore_shells.cli"

_DESCRIPTION = "A deterministic trading core: matching, pre-trade risk, accounts and PnL."
_EPILOG = """\
start here:
  tradecore up                        a whole exchange on this machine
  tradecore demo                      a simulated market through the engine alone
  tradecore replay DAY.zip            a real trading day, order by order
  tradecore verify vectors/ data/     judge this build against independent data
  tradecore status 313                what a status code means

Every command has --help with examples, and --json for programs. Exit codes: 0 all well, 1 what was
judged is not well, 2 bad request, 3 the engine stopped itself, 130 interrupted."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to look, in one line."""
        self.exit(2, f"{self.prog}: {message}; see '{self.prog} --help'\n")


def _formatter(prog: str) -> argparse.HelpFormatter:
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=width)


def int_in(low: int, high: int) -> Callable[[str], int]:
    """Return an argparse type: a whole number within low..high, with a message that says so."""

    def convert(text: str) -> int:
        try:
            value = int(text.replace("_", ""))
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{value} is not within {low}..{high}")
        return value

    return convert


def new_command(
    commands: Commands, name: str, summary: str, description: str, examples: str = ""
) -> argparse.ArgumentParser:
    """Add a command with the options that all have.

    Parameters
    ----------
    commands
        What `build_parser` hands to a module's `add`.
    name, summary : str
        As shown in the list of commands.
    description : str
        What it does and what its output means.
    examples : str
        Shown as typed, below the options.
    """
    epilog = f"examples:\n{examples}" if examples else None
    if "\n" not in description:
        description = textwrap.fill(description, 98)
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=description, epilog=epilog, formatter_class=_formatter
    )
    # Suppressed, so that an action's default does not undo what was said before its name.
    parser.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print one JSON document, nothing else",
    )
    return parser


def build_parser(argv: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """Return the parser of the whole program.

    Parameters
    ----------
    argv : sequence of str, optional
        What will be parsed. Where it names a command of the library, commands of other packages are
        not looked for, and where it names one of those, the others are not imported: each brings
        its own modules with it.
    """
    parser = _Parser(
        prog="tradecore", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=_formatter
    )
    version = f"tradecore {tradecore.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_Parser
    )
    for name in _MODULES:
        module = f"tradecore.cli.{name}"
        if importlib.util.find_spec(module) is not None:
            import_module(module).add(commands)
    if not argv or argv[0] not in _MODULES:
        others = dict(_other_commands())
        if argv and argv[0] in others:
            others = {argv[0]: others[argv[0]]}
        for name, module in others.items():
            try:
                import_module(module).add(commands)
            except ModuleNotFoundError as error:
                _add_incomplete(commands, name, error)
    return parser


def _other_commands() -> Iterator[tuple[str, str]]:
    """Yield name and module of the commands that other packages bring."""
    from importlib.metadata import entry_points

    found = sorted((entry.name, entry.value) for entry in entry_points(group=_GROUP))
    if not found and importlib.util.find_spec(_CHECKOUT.partition(".")[0]) is not None:
        # A checkout on the path that was never installed declares nothing.
        found = [(name, f"{_CHECKOUT}.{name}") for name in import_module(_CHECKOUT).COMMANDS]
    yield from found


def _add_incomplete(commands: Commands, name: str, error: ModuleNotFoundError) -> None:
    """Add a command that says what has to be installed before it can be used."""

    def run(args: argparse.Namespace, screen: Any) -> int:
        raise error

    parser = commands.add_parser(name, help=f"(needs {error.name})")
    parser.set_defaults(run=run)
