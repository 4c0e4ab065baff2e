"""Typed settings: a TOML file, overridden by the environment, checked once at the start.

One table per block. A key of the environment is ``TRADECORE_TABLE__KEY`` (double underscore between
the parts), its value TOML where it parses as such and text otherwise; secrets (a DSN with a
password) belong there and not into the file. Unknown keys are errors: a misspelt limit must not be
a missing limit.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from tradecore.errors import ConfigError

__all__ = [
    "CacheSettings",
    "CatalogSettings",
    "LogSettings",
    "ObserveSettings",
    "Settings",
    "StoreSettings",
    "load_settings",
    "show_settings",
]

_PREFIX = "TRADECORE_"
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
T = TypeVar("T", bound=msgspec.Struct)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all blocks: keywords only, unknown keys refused."""


class LogSettings(Settings, frozen=True, kw_only=True):
    """Where the log is.

    Parameters
    ----------
    url : str
        ``file:FOLDER`` (embedded, this process is its only writer), ``unix:PATH`` or
        ``tcp://127.0.0.1:PORT`` (an embedded log served by another process), ``kafka://HOST:PORT``.
    partition : int
        Which partition of the topics; one cell each.
    serve : str
        With ``file:``: offer the log to other processes at ``unix:PATH`` or ``tcp://127.0.0.1:PORT``;
        empty = not.
    """

    url: str = "file:data/log"
    serve: str = ""
    partition: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFF)] = 0


class StoreSettings(Settings, frozen=True, kw_only=True):
    """Where Postgres is: a DSN, or empty for the embedded cluster in `folder`."""

    dsn: str = ""
    folder: str = "data/postgres"


class CacheSettings(Settings, frozen=True, kw_only=True):
    """Where the cache is: ``memory:`` or ``redis://HOST:PORT/DB``."""

    url: str = "memory:"


class CatalogSettings(Settings, frozen=True, kw_only=True):
    """Which file explains the instruments; see `plumbing.catalogs`."""

    file: str = "data/catalog.json"


class ObserveSettings(Settings, frozen=True, kw_only=True):
    """Metrics, health and logs.

    Parameters
    ----------
    host, port
        Where `/metrics`, `/healthz` and `/readyz` are served; port 0 = not at all.
    log_level : str
        debug, info, warning or error.
    """

    host: str = "127.0.0.1"
    port: Port = 0
    log_level: str = "info"


def _overrides(environ: Mapping[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name in sorted(environ):
        if not name.startswith(_PREFIX) or "__" not in name:
            continue
        *path, key = name.removeprefix(_PREFIX).lower().split("__")
        text = environ[name]
        try:
            value = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            value = text
        at = tree
        for part in path:
            at = at.setdefault(part, {})
        at[key] = value
    return tree


def _merge(into: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def load_settings(
    kind: type[T], path: Path | str | None, environ: Mapping[str, str] | None = None
) -> T:
    """Read a service's settings.

    Parameters
    ----------
    kind : type
        The service's Struct; its fields are the tables.
    path : Path or str, optional
        The TOML file; without one everything has its default or comes from the environment. Tables
        that belong to other services are passed over, so that one file can serve them all.
    environ : mapping, optional
        Instead of the process's environment; for tests.

    Raises
    ------
    ConfigError
        No such file, not TOML, an unknown or misplaced key, or a value out of range: with the file
        and the key.
    """
    where = str(path) if path is not None else "environment"
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = tomllib.loads(Path(path).read_text("utf-8"))
        except OSError as error:
            raise ConfigError(f"{where}: {error.strerror}; --config names a TOML file") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{where}: not TOML: {error}") from None
    _merge(tree, _overrides(os.environ if environ is None else environ))
    fields = {field.encode_name for field in msgspec.structs.fields(kind)}
    known = {key: value for key, value in tree.items() if key in fields}
    for key, value in tree.items():
        if key not in fields and not isinstance(value, dict):
            raise ConfigError(f"{where}: unknown key {key!r} outside of any table")
    try:
        return msgspec.convert(known, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from None


def show_settings(settings: msgspec.Struct) -> dict[str, Any]:
    """Return the settings as shown in logs: passwords of URLs and DSNs blotted out."""
    shown: dict[str, Any] = msgspec.to_builtins(settings)
    for block in shown.values():
        if isinstance(block, dict):
            for key in ("url", "dsn"):
                if isinstance(block.get(key), str):
                    block[key] = _without_password(block[key])
    return shown


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    if not at:
        return url
    scheme, slashes, user = head.rpartition("//")
    return f"{scheme}{slashes}{user.partition(':')[0]}:***@{tail}"
