"""Reading what a cell says, for programs that only listen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from tradecore.cell import Batch, FrameReader, Position, source_of
from tradecore_shells.plumbing.ports import EXECUTIONS, Log
from tradecore_shells.plumbing.retry import retrying

__all__ = ["follow"]

_FETCH_BYTES: Final = 4 << 20
_BEGINNING: Final = Position(0, 1)


async def follow(
    log: Log,
    *,
    partition: int = 0,
    topic: str = EXECUTIONS,
    position: Position = _BEGINNING,
    wait_s: float = 1.0,
    patience_s: float = 60.0,
) -> AsyncIterator[list[Batch]]:
    """Yield what a cell says, batch by batch, each once, for ever.

    Parameters
    ----------
    log : Log
        Nobody else may read this partition through the same object meanwhile.
    partition : int
        Of the topic, and number of the cell.
    topic : str
        ``executions`` or ``market-data``.
    position : Position
        Where to begin; by default with the first record of the topic.
    wait_s : float
        Longest wait of one fetch.
    patience_s : float
        How long the log may be out of reach.

    Raises
    ------
    FatalError
        The log no longer has the position, or was out of reach for too long.
    StreamError
        A gap, or two cells that disagree.
    """
    reader = FrameReader(source_of(partition), position)
    offset = position.offset
    what = f"{topic}-{partition}"
    while True:
        fetch = partial(log.fetch, topic, partition, offset, max_bytes=_FETCH_BYTES, wait_s=wait_s)
        records = await retrying(fetch, what, budget_s=patience_s)
        batches: list[Batch] = []
        for record in records:
            batches += reader.read(record.offset, record.payload)
            offset = record.offset + 1
        if batches:
            yield batches
