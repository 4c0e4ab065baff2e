"""Sizes and switches of a cell."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from tradecore.engine import EngineConfig
from tradecore.errors import ConfigError
from tradecore.journal import digest_config

__all__ = ["MOST_CELLS", "CellConfig", "source_of"]

MOST_CELLS: Final = 1 << 28
"""Cells are numbered 0 to this minus 1: a source is ``kind << 28 | index``."""

_CELL_KIND: Final = 1
_CAPACITIES: Final = {"recent_orders": 1 << 30, "max_sources": 1 << 24, "depth_levels": 64}


def source_of(cell_id: int) -> int:
    """Return the source number under which a cell's outputs are numbered.

    Raises
    ------
    ConfigError
        `cell_id` is not 0 to 2**28 - 1.
    """
    if not 0 <= cell_id < MOST_CELLS:
        raise ConfigError(f"cell {cell_id}: cells are numbered 0 to {MOST_CELLS - 1}")
    return _CELL_KIND << 28 | cell_id


class CellConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What decides a cell's answers besides its log; fixed for its life.

    Attributes
    ----------
    engine : EngineConfig
        The engine inside, with accounts unless said otherwise.
    recent_orders : int
        Order ids remembered, newest first; about 60 bytes each when they are used. A repetition of
        one that is forgotten is only caught by the stale rule, so size it to the account's window
        times the rate of orders.
    max_sources : int
        Sources that number their envelopes; an envelope of one more is dropped (status 512).
    sessions : bool
        Order ids carry their trading session, and a command that names another is refused.
    depth_levels : int
        Levels of each side in a depth picture, 1 to 64.
    depth_ns : int
        A picture of every touched book is sent when log time enters a new interval of this length;
        0 = never.
    """

    engine: EngineConfig = EngineConfig(accounts=True)
    recent_orders: int = 1 << 20
    max_sources: int = 1 << 16
    sessions: bool = True
    depth_levels: int = 10
    depth_ns: int = 100_000_000

    def __post_init__(self) -> None:
        """Refuse what no cell could run with."""
        for name, top in _CAPACITIES.items():
            value = getattr(self, name)
            if not 1 <= value <= top:
                raise ConfigError(f"CellConfig.{name} is {value}; it must be 1..{top}")
        if not 0 <= self.depth_ns < 1 << 63:
            raise ConfigError(f"CellConfig.depth_ns is {self.depth_ns}; it must be 0..2**63 - 1")

    def digest(self) -> bytes:
        """Return the 32 bytes by which a snapshot recognises the configuration it was made with.

        Settings of the engine that change speed but no answer are left out, as in
        `tradecore.journal.digest_config`.
        """
        counted: dict[str, Any] = msgspec.structs.asdict(self)
        counted["engine"] = digest_config(self.engine)
        encoded = msgspec.msgpack.encode(counted, order="deterministic")
        return hashlib.blake2b(encoded, digest_size=32).digest()
