"""The folder of a one-machine exchange: what it was made with, and how others reach it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from tradecore.cell import CellConfig
from tradecore.errors import ConfigError

__all__ = ["FORMAT", "Place", "settings_text"]

FORMAT: Final = 1
_FILE: Final = "exchange.json"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder was made with; written once, read by everybody who uses the folder.

    Parameters
    ----------
    format : int
        Version of the folder's layout.
    accounts, instruments : int
        Size of the venue.
    own_account : int
        The account of the person at the keyboard.
    cell : CellConfig
        Sizes of the cell: other ones would be another cell, which could not read these snapshots.
    settings : str
        The settings file by which the other commands find everything, in the folder.
    """

    format: int
    accounts: int
    instruments: int
    own_account: int
    cell: CellConfig
    settings: str = "tradecore.toml"

    @classmethod
    def is_in(cls, folder: Path) -> bool:
        """Whether the folder holds an exchange."""
        return (folder / _FILE).exists()

    @classmethod
    def read(cls, folder: Path) -> Place:
        """Read it. ConfigError when the folder holds no exchange, or one of another version."""
        path = folder / _FILE
        try:
            data = path.read_bytes()
        except OSError:
            raise ConfigError(
                f"{folder} holds no exchange: start one with 'tradecore up --data {folder}', or "
                "name its folder with --data"
            ) from None
        try:
            found = msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from None
        if found.format != FORMAT:
            raise ConfigError(
                f"{path}: written by another version (format {found.format}, this build has "
                f"{FORMAT}); use that version, or another folder"
            )
        return found

    def write(self, folder: Path) -> None:
        """Write it, and the settings file; the folder is an exchange from here on."""
        (folder / self.settings).write_text(settings_text(folder), "utf-8")
        part = folder / f"{_FILE}.part"
        part.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")
        part.replace(folder / _FILE)


def settings_text(folder: Path) -> str:
    """Return the settings by which other processes use the exchange in a folder."""
    at = folder.absolute()
    quoted = {name: msgspec.json.encode(str(at / name)).decode() for name in _NAMES}
    return (
        "# Written by 'tradecore up'. For the commands beside it: --config THIS FILE, or --data.\n"
        f"[log]\nurl = {msgspec.json.encode(f'unix:{at}/log.sock').decode()}\n\n"
        f"[store]\nfolder = {quoted['postgres']}\n\n"
        f"[catalog]\nfile = {quoted['catalog.json']}\n\n"
        f"[trading]\nsnapshots = {quoted['snapshots']}\n\n"
        f"[risk]\nsnapshots = {quoted['risk']}\n"
    )


_NAMES: Final = ("postgres", "catalog.json", "snapshots", "risk")
