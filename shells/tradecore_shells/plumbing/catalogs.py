"""The catalog as a file: what instruments and assets are called, and what their integers mean.

A JSON list of `tradecore.InstrumentSpec`; the same file defines the instruments to the cell and
explains the cell's numbers to portfolio, risk and people.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tradecore.catalog import Catalog
from tradecore.errors import ConfigError
from tradecore.instruments import InstrumentSpec

__all__ = ["load_catalog", "save_catalog"]


def load_catalog(path: Path | str) -> Catalog:
    """Read a catalog; ConfigError naming the file when there is none or it is wrong."""
    try:
        specs = msgspec.json.decode(Path(path).read_bytes(), type=list[InstrumentSpec])
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; [catalog] file is needed") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a list of instruments: {error}") from None
    return Catalog(specs)


def save_catalog(path: Path | str, specs: Sequence[InstrumentSpec]) -> None:
    """Write a catalog; the file is whole or not there."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(list(specs)), indent=2) + b"\n")
    part.replace(target)
