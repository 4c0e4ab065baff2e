"""How far `risk-events` reaches: what it holds already is not written again.

What is told is a function of the log and of the settings, so a process that reads the log again
makes the same frames again, and readers would drop them by their numbers. It is still better not to
write them; and where the settings have changed meanwhile, what was told stays told: the numbers go
on behind it.
"""

from __future__ import annotations

from functools import partial
from typing import Final, NamedTuple

import numpy as np

from tradecore import envelope
from tradecore.cell import FrameReader, Position, StreamError
from tradecore.codes import CellKind
from tradecore.dtypes import BATCH_EVENT
from tradecore.envelope import FRAME_BYTES
from tradecore_shells.plumbing.ports import RISK_EVENTS, Log
from tradecore_shells.plumbing.retry import retrying

__all__ = ["Told", "find_told", "seal_told"]

_BACK: Final = 64  # records from the end; the last ones may be late repetitions of earlier ones
_MOST: Final = 8192  # frames of one record


class Told(NamedTuple):
    """The end of `risk-events`.

    Parameters
    ----------
    in_offset : int
        The newest record of `trading-commands` that was told about; -1 = none.
    next_seq : int
        Number of the next frame; 0 = the topic is empty.
    """

    in_offset: int
    next_seq: int


async def find_told(log: Log, partition: int, source: int, budget_s: float) -> Told:
    """Read the end of the topic. Raises FatalError when it cannot be reached."""
    name = f"{RISK_EVENTS}-{partition}"
    bounds = await retrying(
        lambda: log.bounds(RISK_EVENTS, partition), f"reading {name}", budget_s=budget_s
    )
    told = Told(-1, 0)
    offset = max(bounds.start, bounds.end - _BACK)
    reader = FrameReader(source, Position(offset, 0))
    while offset < bounds.end:
        fetch = partial(log.fetch, RISK_EVENTS, partition, offset, max_bytes=1 << 20, wait_s=0.5)
        for record in await retrying(fetch, f"reading {name}", budget_s=budget_s):
            offset = record.offset + 1
            try:
                batches = reader.read(record.offset, record.payload)
            except StreamError:
                reader = FrameReader(source, Position(offset, 0))
                continue
            for batch in batches:
                told = max(told, Told(batch.in_offset, batch.end_seq))
    return told


def seal_told(frames: bytes, source: int) -> list[bytes]:
    """Return frames as records of envelopes, divided between batches where that is possible."""
    heads = np.frombuffer(frames, BATCH_EVENT)
    begins = np.flatnonzero(heads["kind"] == CellKind.BATCH).tolist()
    cuts = [0]
    for begin in begins:
        if begin - cuts[-1] >= _MOST:
            cuts.append(begin)
    records = []
    for begin, end in zip(cuts, [*cuts[1:], len(heads)], strict=True):
        if begin == end:
            continue
        part = memoryview(frames)[begin * FRAME_BYTES : end * FRAME_BYTES]
        first = int(heads["seq"][begin])
        records.append(envelope.encode(envelope.seal_events(part, source=source, first_seq=first)))
    return records
