"""An ITCH 5.0 stream as commands.

ITCH tells what became of resting orders. `tradecore.research.convert` turns that back into the
orders that caused it: an execution of the order that stands first is an immediate order of the
other side, one out of priority a reduction of the order it names. What concerns only the own orders
of a backtest is left out here. Trades without a displayed order (P), crosses (Q) and administrative
messages do not touch the book and are counted only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from tradecore.cli.feeds import BATCH, Batch, Feed, Frames, Until
from tradecore.data.flows import instrument_frames
from tradecore.data.source import compression_of
from tradecore.dtypes import COMMAND
from tradecore.engine import Engine, EngineConfig
from tradecore.research.convert import itch_batches, itch_named
from tradecore.research.recording import TAG_REDUCTION
from tradecore_ext.translate import Translator

__all__ = ["itch_feed"]

_PX_DECIMALS: Final = 4
_INSTRUMENTS: Final = 1 << 16
_MOST_ORDERS: Final = 1 << 22
# An order needs an add message of at least 36 bytes and two of framing.
_BYTES_PER_ORDER: Final = 38
_TS_AT: Final = 5  # a 6-byte number behind the type letter and two codes

Starts = npt.NDArray[np.int64]


def _capacity(path: str) -> int:
    """Return how many orders can be alive at once, at most."""
    with open(path, "rb") as file:
        if compression_of(file.read(4)):
            return _MOST_ORDERS
    return min(_MOST_ORDERS, max(64, os.path.getsize(path) // _BYTES_PER_ORDER))


def _until(data: npt.NDArray[np.uint8], starts: Starts, until: Until, done: int) -> Starts:
    """Return the messages that are to be replayed."""
    if until.rows is not None:
        starts = starts[: max(until.rows - done, 0)]
    if until.ts_ns is not None and len(starts):
        times = np.zeros(len(starts), np.int64)
        for byte in range(6):
            times = times << 8 | data[starts + _TS_AT + byte]
        late = np.flatnonzero(times > until.ts_ns)
        starts = starts[: late[0]] if len(late) else starts
    return starts


def _for_replay(translator: Translator, fresh: list[int]) -> Frames:
    """Return the translated frames without those for own orders, new instruments defined first."""
    frames = np.frombuffer(translator.take(), COMMAND)
    frames = frames[frames["session_id"] <= TAG_REDUCTION]
    frames["session_id"] = 0
    if not fresh:
        return frames
    definitions = instrument_frames(len(fresh))
    definitions["instrument_id"] = fresh
    fresh.clear()
    return np.concatenate([definitions.view(COMMAND), frames])


def itch_feed(path: str, until: Until) -> Feed:
    """Return the feed of an ITCH stream; memory is bounded by the orders that are open.

    Raises
    ------
    DataError
        While it is read: a message is malformed or cut short.
    """
    names: dict[int, str] = {}
    notes: list[str] = []
    capacity = _capacity(path)

    def batches() -> Iterator[Batch]:
        beside = Engine(max_instruments=_INSTRUMENTS, max_orders=capacity)
        translator = Translator(beside, beside.handle)
        known = np.full(_INSTRUMENTS, -1, np.int32)
        fresh: list[int] = []
        done = 0
        for data, every in itch_batches(path):
            starts = _until(data, every, until, done)
            for locate, symbol in itch_named(data, starts, known):
                known[locate] = locate
                names[locate] = symbol
                beside.define_instrument(locate)
                fresh.append(locate)
            for first in range(0, len(starts), BATCH):
                part = np.ascontiguousarray(starts[first : first + BATCH])
                translator.itch(data, part, known)
                yield Batch(_for_replay(translator, fresh), len(part))
            done += len(starts)
            if len(starts) < len(every):
                break
        unknown = translator.counters()["unknown"]
        if unknown:
            notes.append(f"{unknown:,} messages name orders that the stream never added")

    return Feed(
        path=path,
        kind="itch",
        rows=0,
        config=EngineConfig(max_instruments=_INSTRUMENTS, max_orders=capacity),
        batches=batches,
        names=names,
        px_decimals=_PX_DECIMALS,
        since_midnight=True,
        notes=notes,
    )
