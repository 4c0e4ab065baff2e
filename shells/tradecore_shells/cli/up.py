"""`tradecore up`: the whole exchange on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
from pathlib import Path

from tradecore.cli.parser import Commands, int_in, new_command
from tradecore.cli.screen import Screen
from tradecore_shells.cli.place import DATA

__all__ = ["add", "run"]

_DESCRIPTION = """\
Starts everything in one process and one folder: a log on disk, a Postgres of its own, the trading,
portfolio and risk services, and simulated participants. Other terminals can use it meanwhile:
tradecore order, positions, top, sessions, reconcile. Ctrl-C (or SIGTERM) drains and saves; the next
start goes on where this one ended. Nothing listens but a socket in the folder, and one loopback
port when --port is given."""


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "up",
        "the whole exchange on this machine",
        _DESCRIPTION,
        "  tradecore up\n"
        "  tradecore up --no-demo --data /var/tmp/exchange\n"
        "  tradecore up --seconds 20 --shock 10       bad news after 10 s, then the end\n"
        "  tradecore order buy BTC-USD 0.01           from another terminal",
    )
    parser.add_argument("--data", default=DATA, metavar="DIR", help=f"its folder (default {DATA})")
    parser.add_argument(
        "--no-demo", action="store_true", help="no participants: the venue and nobody else"
    )
    parser.add_argument(
        "--accounts",
        type=int_in(20, 100_000),
        default=1_000,
        metavar="N",
        help="participants of a new folder (default 1,000)",
    )
    parser.add_argument(
        "--instruments",
        type=int_in(1, 64),
        default=4,
        metavar="N",
        help="instruments of a new folder, spot and perpetual in turn (default 4)",
    )
    parser.add_argument("--seed", type=int_in(0, (1 << 63) - 1), default=1, metavar="N")
    parser.add_argument(
        "--pace",
        type=int_in(64, 65536),
        default=1_024,
        metavar="N",
        help="commands of one step of the participants, five steps a second (default 1,024)",
    )
    parser.add_argument(
        "--port",
        type=int_in(0, 65535),
        default=0,
        metavar="N",
        help="serve /metrics, /healthz and /readyz on 127.0.0.1 (default: not)",
    )
    parser.add_argument("--seconds", type=float, metavar="S", help="end by itself after this time")
    parser.add_argument(
        "--shock", type=float, metavar="S", help="bad news about the first coin after this time"
    )
    parser.add_argument("--plain", action="store_true", help="plain lines instead of the live view")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Run the exchange; the exit code of the runtime."""
    from tradecore_shells.plumbing.config import ObserveSettings
    from tradecore_shells.plumbing.runtime import run as run_services
    from tradecore_shells.up.exchange import UpOptions
    from tradecore_shells.up.session import UpSession

    options = UpOptions(
        data=args.data,
        demo=not args.no_demo,
        accounts=args.accounts,
        instruments=args.instruments,
        seed=args.seed,
        step_commands=args.pace,
    )
    folder = Path(args.data)
    session = UpSession(options, screen, seconds=args.seconds, shock=args.shock)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "up.log").open("a", encoding="utf-8") as stream:
        code = run_services(
            "exchange",
            ObserveSettings(port=args.port),
            session.build,
            log_stream=stream,
            on_error=screen.error,
        )
    return session.conclude(code)
