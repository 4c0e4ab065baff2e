"""Where a command finds its exchange: a folder made by `tradecore up`, or a settings file."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from tradecore.cli.parser import int_in
from tradecore.errors import ConfigError
from tradecore_shells.plumbing.config import load_settings
from tradecore_shells.portfolio.config import PortfolioConfig

__all__ = ["DATA", "Found", "add_place", "find_place", "needs"]

DATA = "data"


class Found(msgspec.Struct, frozen=True):
    """An exchange: its settings, and the account that is meant when none is named."""

    config: PortfolioConfig
    account_id: int


def add_place(parser: argparse.ArgumentParser, *, account: bool = False) -> None:
    """Add the options that name an exchange."""
    parser.add_argument(
        "--data", default=DATA, metavar="DIR", help=f"folder of 'tradecore up' (default {DATA})"
    )
    parser.add_argument("--config", metavar="FILE", help="settings instead: an exchange on servers")
    if account:
        parser.add_argument(
            "--account",
            type=int_in(0, 0xFFFFFFFF),
            metavar="ID",
            help="default with --data: the account that is yours",
        )


def find_place(args: argparse.Namespace) -> Found:
    """Return what the options name.

    Raises
    ------
    ConfigError
        The folder holds no exchange, or the settings are wrong.
    """
    account = getattr(args, "account", None)
    if args.config:
        config = load_settings(PortfolioConfig, args.config)
        return Found(config, -1 if account is None else account)
    from tradecore_shells.up.place import Place

    folder = Path(args.data)
    place = Place.read(folder)
    config = load_settings(PortfolioConfig, folder / place.settings)
    return Found(config, place.own_account if account is None else account)


def needs(account_id: int) -> int:
    """Return an account id; ConfigError when none was given where none is the obvious one."""
    if account_id < 0:
        raise ConfigError("--account is needed with --config: whose?")
    return account_id
