"""A recorded market: frames in chunks, what they are, and which instruments they are about.

A recording is what a run reads. It is made from arrays (`Recording.of`), from an event file
(`tradecore.research.events`), or by a converter. Chunks are read-only arrays; those of a file are
views of its mapping, so that a day larger than memory costs no more than a small one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.codes import CommandKind, OrdType, Tif
from tradecore.dtypes import COMMAND
from tradecore.errors import ConfigError, DataError

__all__ = [
    "OWN_IDS",
    "RECORDED_ACCOUNT",
    "STRATEGY_ACCOUNT",
    "TAG_HIDDEN",
    "TAG_REDUCTION",
    "TAG_REPAIR",
    "TAKER_IDS",
    "UNKNOWN_IDS",
    "InstrumentInfo",
    "Recording",
    "check_order",
]

Frames = npt.NDArray[np.void]
Times = npt.NDArray[np.int64]

UNKNOWN_IDS: Final = 0x4000_0000_0000_0000
"""From here: orders that a converter had to invent. Ids of a recording are below."""
TAKER_IDS: Final = 0x5000_0000_0000_0000
"""From here: aggressive orders that a recording shows by their executions only."""
OWN_IDS: Final = 0x6000_0000_0000_0000
"""From here: orders of the strategy."""

TAG_REDUCTION: Final = 1
"""``session_id`` of a frame: at most this much is left of the order."""
TAG_REPAIR: Final = 2
"""``session_id`` of a frame behind an execution: what the recording left of the order hit."""
TAG_HIDDEN: Final = 3
"""``session_id`` of an execution against hidden liquidity: it reaches own orders only."""

RECORDED_ACCOUNT: Final = 0
STRATEGY_ACCOUNT: Final = 1


class InstrumentInfo(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a recording knows about one instrument.

    Attributes
    ----------
    symbol : str
    px_decimals, qty_decimals : int
        Decimals of the units: a price in ticks is ``px / 10**px_decimals`` in money.
    terms : dict of str to int
        Fields of `tradecore.INSTRUMENT` for the engine: tick, lot, multiplier, fees in ppm.
    """

    symbol: str = ""
    px_decimals: int = 0
    qty_decimals: int = 0
    terms: dict[str, int] = {}


@dataclass
class Recording:
    """Frames of one or several instruments, ascending in time.

    Attributes
    ----------
    name : str
        Where it comes from, for messages and results.
    chunks : sequence of numpy.ndarray of COMMAND
        In order. Frames of `fidelity` other than L3 are `tradecore.research.MARKET`, whose size
        and first fields are the same.
    received : sequence of numpy.ndarray of int64, or None
        When each frame arrived at the recorder, parallel to `chunks`.
    instruments : dict of int to InstrumentInfo
    fidelity : str
        ``L3``, ``L2``, ``L1`` or ``bars``.
    max_orders : int
        Recorded orders alive at once, at most.
    notes : list of str
        What the converter wants people to know.
    mapped : bool
        The chunks lie in a file that is mapped for reading.
    keep : object
        Whatever must live as long as the chunks.
    """

    name: str
    chunks: list[Frames]
    instruments: dict[int, InstrumentInfo] = field(default_factory=dict)
    received: list[Times] | None = None
    fidelity: str = "L3"
    max_orders: int = 0
    notes: list[str] = field(default_factory=list)
    mapped: bool = False
    keep: Any = None

    @classmethod
    def of(
        cls, frames: Frames, name: str = "frames", instrument_id: int = 0, **more: Any
    ) -> Recording:
        """Wrap frames in memory; all of one instrument unless `instruments` says otherwise.

        Raises
        ------
        DataError
            The frames are not COMMAND frames, or their times descend.
        """
        array = np.ascontiguousarray(frames)
        if array.dtype.itemsize != COMMAND.itemsize:
            raise DataError("frames of 64 bytes are needed", name)
        check_order([array], name)
        more.setdefault("instruments", {instrument_id: InstrumentInfo()})
        recording = cls(name=name, chunks=[array], **more)
        if not recording.max_orders:
            recording.max_orders = resting_bound([array])
        return recording

    def __len__(self) -> int:
        """Return the number of frames."""
        return sum(len(chunk) for chunk in self.chunks)

    @property
    def first_ns(self) -> int:
        """Time of the first frame, 0 if there is none."""
        return int(self.chunks[0]["ts_ns"][0]) if len(self) else 0

    @property
    def last_ns(self) -> int:
        """Time of the last frame, 0 if there is none."""
        return int(self.chunks[-1]["ts_ns"][-1]) if len(self) else 0

    @property
    def max_instruments(self) -> int:
        """Ids run below this number."""
        if not self.instruments:
            raise ConfigError(f"{self.name}: the recording names no instrument")
        return max(self.instruments) + 1


def resting_bound(chunks: Iterable[Frames]) -> int:
    """Return how many recorded orders can be alive at once, at most. O(n)."""
    resting = 1
    for chunk in chunks:
        frames = chunk.view(COMMAND)
        new = frames["kind"] == CommandKind.NEW_ORDER
        waits = (frames["tif"] != Tif.IOC) & (frames["tif"] != Tif.FOK)
        resting += int(np.count_nonzero(new & waits & (frames["ord_type"] != OrdType.MARKET)))
    return resting


def check_order(chunks: Iterable[Frames], name: str) -> None:
    """Raise DataError at the first frame whose time is before that of the one before it. O(n)."""
    before = np.uint64(0)
    number = 0
    for chunk in chunks:
        times = chunk["ts_ns"]
        if not len(times):
            continue
        wrong = np.flatnonzero(times[1:] < times[:-1])
        if times[0] < before or len(wrong):
            at = 0 if times[0] < before else int(wrong[0]) + 1
            earlier = before if at == 0 else times[at - 1]
            raise DataError(
                f"frame {number + at} is stamped {times[at]} ns, the one before it {earlier} ns: "
                "frames must ascend in time",
                name,
                (number + at) * COMMAND.itemsize,
            )
        before = times[-1]
        number += len(times)
