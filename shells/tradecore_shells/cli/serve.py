"""`tradecore serve`: one service as its own process, on the servers its settings name."""

from __future__ import annotations

import argparse
import importlib

from tradecore.cli.parser import Commands, new_command
from tradecore.cli.screen import Screen

__all__ = ["add", "run"]

_DESCRIPTION = """\
Runs one service until SIGTERM or Ctrl-C, which drain it: it stops reading, finishes what it has
begun, saves, and ends with 0. One file serves all services; each reads its own tables, and the
environment overrides any key (TRADECORE_LOG__URL=kafka://...). Logs are JSON lines on standard
error; /metrics, /healthz and /readyz are at [observe] port. Exit codes: 2 the settings or the world
at the start are not as needed, 70 halted (something that must not be skipped), 75 a newer build is
needed."""

_SERVICES = {
    "log": "tradecore_shells.logd",
    "trading": "tradecore_shells.trading.build",
    "portfolio": "tradecore_shells.portfolio.build",
    "risk": "tradecore_shells.risk.build",
}


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parser = new_command(
        commands,
        "serve",
        "run one service as a process",
        _DESCRIPTION,
        "  tradecore serve trading --config tradecore.toml\n"
        "  TRADECORE_LOG__PARTITION=3 tradecore serve trading --config tradecore.toml\n"
        "  tradecore serve log --config tradecore.toml      an embedded log for other processes",
    )
    parser.add_argument("service", choices=sorted(_SERVICES))
    parser.add_argument("--config", required=True, metavar="FILE", help="settings, TOML")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Run the service; its exit code."""
    module = importlib.import_module(_SERVICES[args.service])
    code: int = module.main([args.config])
    return code
