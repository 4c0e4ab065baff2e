"""Frames of market data that shows no orders: levels, quotes, trades, bars; 64 bytes each.

They share the first 24 bytes with `tradecore.COMMAND` (time, kind, side, instrument), so that one
event file and one loop carry both, but the engine knows none of their kinds: the loop turns them
into commands while it runs, because what a level's decrease means depends on where own orders are.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradecore.dtypes import COMMAND

__all__ = ["BAR_FRAME", "LEVEL_FRAME", "QUOTE_FRAME", "MarketKind", "market_frames", "merged"]


class MarketKind(IntEnum):
    """What a frame of market data says."""

    LEVEL = 0x4001
    QUOTE = 0x4002
    TRADE = 0x4003
    BAR = 0x4004
    CLEAR = 0x4005


_HEAD: Final[list[Any]] = [
    ("ts_ns", "<u8"),
    ("kind", "<u2"),
    ("cont", "u1"),
    ("side", "u1"),
    ("reserved0", "<u4"),
    ("reserved1", "<u4"),
    ("instrument_id", "<u4"),
]

LEVEL_FRAME: Final = np.dtype(
    [
        *_HEAD,
        ("px", "<i8"),
        ("qty", "<i8"),
        ("reserved2", "<i8"),
        ("reserved3", "<i8"),
        ("r4", "<i8"),
    ]
)
"""LEVEL: the lots of a price from now on, 0 removes it. TRADE: the lots traded; ``side`` is the
aggressor's, 0 where it is not known. CLEAR: nothing else."""

QUOTE_FRAME: Final = np.dtype(
    [
        *_HEAD,
        ("bid_px", "<i8"),
        ("bid_qty", "<i8"),
        ("ask_px", "<i8"),
        ("ask_qty", "<i8"),
        ("reserved2", "<i8"),
    ]
)
"""QUOTE: best prices from now on; a quantity of 0 is an empty side."""

BAR_FRAME: Final = np.dtype(
    [
        *_HEAD,
        ("open_px", "<i8"),
        ("high_px", "<i8"),
        ("low_px", "<i8"),
        ("close_px", "<i8"),
        ("volume", "<i8"),
    ]
)
"""BAR: stamped with the time at which the bar is complete."""

_DTYPES: Final = {MarketKind.QUOTE: QUOTE_FRAME, MarketKind.BAR: BAR_FRAME}


def market_frames(kind: MarketKind, count: int) -> npt.NDArray[np.void]:
    """Return `count` zeroed frames of a kind, with its own fields."""
    frames = np.zeros(count, _DTYPES.get(kind, LEVEL_FRAME))
    frames["kind"] = kind
    return frames


def merged(*parts: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Return frames of several kinds as one array in the order of time; ties keep their order."""
    whole = np.concatenate([part.view(COMMAND) for part in parts])
    return whole[np.argsort(whole["ts_ns"], kind="stable")]
