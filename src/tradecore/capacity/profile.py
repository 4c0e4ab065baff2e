"""How users behave, as numbers: the profile of a plan.

Three profiles ship with the library; anybody's own is a TOML or JSON file with the same fields. A
profile describes the busiest day that the platform must survive, not the average one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Final

import msgspec

from tradecore.errors import ConfigError

__all__ = ["PROFILES", "Profile", "parse_profile"]


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Users on the busiest day.

    Attributes
    ----------
    name : str
    mix : str
        Which measured stream their commands resemble: ``retail-day`` (people), ``pipeline``
        (robots, many instruments) or ``moves`` (market makers, mostly price moves).
    active_share : float
        Share of all users that send commands that day, 0..1.
    commands_per_active_user : float
        Commands of one of them that day: orders, cancels and replaces.
    session_hours : float
        Hours of trading, up to 24.
    peak_to_mean : float
        Busiest second over the mean of the session, at least 1.
    open_orders_per_user, holdings_per_user : float
        Kept at any time by one of all users: resting orders; assets beside the currency.
    utilisation : float
        Share of a component's capacity that the busiest second may take, 0..1; the rest is
        head-room.
    replicas : int
        Copies of each log record, the first included.
    log_days : float
        How long brokers keep records.
    history_days : float
        How long the database keeps fills.
    snapshot_minutes : float
        Between two snapshots of a cell; a restart replays at most that much.
    broker_disk_gb, shard_disk_gb : float
        Usable disk of a broker and of a database shard.
    description : str
        For the reader.
    """

    name: str
    mix: str
    active_share: float
    commands_per_active_user: float
    session_hours: float
    peak_to_mean: float
    open_orders_per_user: float
    holdings_per_user: float
    utilisation: float = 0.5
    replicas: int = 3
    log_days: float = 7
    history_days: float = 365
    snapshot_minutes: float = 5
    broker_disk_gb: float = 2_000
    shard_disk_gb: float = 2_000
    description: str = ""

    def __post_init__(self) -> None:
        for name, (good, wanted) in _RULES.items():
            value = getattr(self, name)
            if not good(value):
                raise ConfigError(f"profile {self.name!r}: {name} is {value}; it must be {wanted}")


_Rule = tuple[Callable[[float], bool], str]
_SHARE: Final[_Rule] = (lambda v: 0 < v <= 1, "above 0 and at most 1")
_SOME: Final[_Rule] = (lambda v: 0 < v < 1e12, "above 0")
_ANY: Final[_Rule] = (lambda v: 0 <= v < 1e12, "0 or more")
_RULES: Final[dict[str, _Rule]] = {
    "active_share": _SHARE,
    "commands_per_active_user": _SOME,
    "session_hours": (lambda v: 0 < v <= 24, "above 0 and at most 24"),
    "peak_to_mean": (lambda v: 1 <= v < 1e9, "1 or more"),
    "open_orders_per_user": _ANY,
    "holdings_per_user": _ANY,
    "utilisation": _SHARE,
    "replicas": (lambda v: 1 <= v <= 16, "1 to 16"),
    "log_days": _ANY,
    "history_days": _ANY,
    "snapshot_minutes": _SOME,
    "broker_disk_gb": _SOME,
    "shard_disk_gb": _SOME,
}

PROFILES: Final[dict[str, Profile]] = {
    profile.name: profile
    for profile in (
        Profile(
            name="retail",
            mix="retail-day",
            active_share=0.3,
            commands_per_active_user=15,
            session_hours=6.5,
            peak_to_mean=50,
            open_orders_per_user=0.5,
            holdings_per_user=4,
            description="people on a day of panic: a third of all users trade, 15 commands each; "
            "the first minute has six times the mean, its worst second eight times that",
        ),
        Profile(
            name="bots",
            mix="pipeline",
            active_share=0.05,
            commands_per_active_user=20_000,
            session_hours=24,
            peak_to_mean=20,
            open_orders_per_user=1,
            holdings_per_user=4,
            description="one user in twenty runs a robot around the clock that sends 20,000 "
            "commands a day, a tenth of what large venues allow an account",
        ),
        Profile(
            name="makers",
            mix="moves",
            active_share=0.001,
            commands_per_active_user=2_000_000,
            session_hours=24,
            peak_to_mean=40,
            open_orders_per_user=1,
            holdings_per_user=4,
            description="one user in a thousand quotes for a living: 2,000,000 price moves a day",
        ),
    )
}


def parse_profile(text: str | bytes, name: str) -> Profile:
    """Read a profile from TOML or JSON.

    Parameters
    ----------
    text : str or bytes
        JSON where it begins with a brace, else TOML.
    name : str
        Of the file, for errors and for a profile that does not name itself.

    Raises
    ------
    ConfigError
        Not TOML or JSON, an unknown, missing or impossible field; one sentence with the place.
    """
    data = text.encode() if isinstance(text, str) else text
    try:
        if data.lstrip().startswith(b"{"):
            fields = msgspec.json.decode(data)
        else:
            fields = tomllib.loads(data.decode())
        if isinstance(fields, dict):
            fields = {"name": name} | fields
        # strict: a number in quotes is a mistake, not a number.
        return msgspec.convert(fields, Profile)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {_plain(error)}") from error
    except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: not a profile, neither TOML nor JSON: {error}") from error


def _plain(error: msgspec.ValidationError) -> str:
    """Return the first line of a message; errors of `Profile` itself come wrapped."""
    cause = error.__cause__
    return str(cause) if isinstance(cause, ConfigError) else str(error)
