"""The records of `trading-commands` behind what the cell says: read beside `executions`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Final

from tradecore.cell import Batch
from tradecore_shells.plumbing.ports import (
    TRADING_COMMANDS,
    FatalError,
    Log,
    Payload,
    Record,
)
from tradecore_shells.plumbing.retry import retrying

__all__ = ["CommandRecords"]

_FETCH_BYTES: Final = 4 << 20
_WAIT_S: Final = 0.25


class CommandRecords:
    """Forward reading of one partition of `trading-commands`.

    Parameters
    ----------
    log : Log
        Nobody else reads this partition through it.
    partition : int
    budget_s : float
        How long a record that the cell has read may be out of reach.
    """

    def __init__(self, log: Log, partition: int, budget_s: float) -> None:
        self._log = log
        self._partition = partition
        self._budget_s = budget_s
        self._waiting: deque[Record] = deque()

    async def of(self, batches: Iterable[Batch]) -> list[Payload]:
        """Return the record behind each batch; empty where the cell did not apply it.

        Raises
        ------
        FatalError
            The log no longer has a record, or could not be reached for too long.
        """
        return [await self._at(batch.in_offset) if batch.applied else b"" for batch in batches]

    async def _at(self, offset: int) -> Payload:
        waiting = self._waiting
        while waiting and waiting[0].offset < offset:
            waiting.popleft()
        deadline = asyncio.get_running_loop().time() + self._budget_s
        while not waiting:
            fetch = partial(
                self._log.fetch,
                *(TRADING_COMMANDS, self._partition, offset),
                max_bytes=_FETCH_BYTES,
                wait_s=_WAIT_S,
            )
            name = f"{TRADING_COMMANDS}-{self._partition}"
            waiting.extend(await retrying(fetch, f"reading {name}", budget_s=self._budget_s))
            if not waiting and asyncio.get_running_loop().time() > deadline:
                break
        if not waiting or waiting[0].offset != offset:
            raise FatalError(
                f"{TRADING_COMMANDS}-{self._partition} has no record {offset}, which the cell has "
                "applied: the log lost acknowledged commands, or is not the cell's"
            )
        return waiting[0].payload
