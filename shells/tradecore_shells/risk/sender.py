"""Commands into the log, each number once: one envelope under way, the next after its echo.

Numbers continue from what the cell has applied, so a process that starts, or a second one beside
it, needs no memory of its own: whatever reaches the cell second under a number is dropped there,
and what was wanted and is done is wanted no more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from tradecore.cell import Batch
from tradecore.codes import CommandKind, EventKind
from tradecore.dtypes import REJECT_EVENT
from tradecore.envelope import encode, seal
from tradecore.risk import Wish
from tradecore_shells.plumbing.observe import MetricsPort, event
from tradecore_shells.plumbing.ports import TRADING_COMMANDS, Log, RetryableError

__all__ = ["Sender"]

_log = logging.getLogger("tradecore.risk")
_MOST: Final = 4096  # commands in one envelope


class Sender:
    """The one writer of a source of `trading-commands`.

    Parameters
    ----------
    log : Log
    partition, source : int
    metrics : MetricsPort
    resend_s : float
        After this without an echo the same bytes are sent again.
    refused_ns : int
        Log time during which a refused command is not tried again.
    """

    def __init__(
        self,
        log: Log,
        *,
        partition: int,
        source: int,
        metrics: MetricsPort,
        resend_s: float,
        refused_ns: int,
    ) -> None:
        self._log = log
        self._partition = partition
        self._source = source
        self._metrics = metrics
        self._resend_s = resend_s
        self._refused_ns = refused_ns
        self._payload = b""
        self._first = 0
        self._sent_at = 0.0
        self._refused: dict[tuple[int, int], int] = {}
        self._under_way: list[Wish] = []

    def hear(self, batches: Sequence[Batch]) -> None:
        """Note what became of our commands: the engine may have refused some."""
        for batch in batches:
            if batch.in_source != self._source:
                continue
            if not batch.applied:
                self._metrics.count("duplicates_total", topic=TRADING_COMMANDS)
            elif len(batch.events) and batch.in_first_seq == self._first:
                self._note_refusals(batch)

    def _note_refusals(self, batch: Batch) -> None:
        rows = batch.events.view(REJECT_EVENT)
        rows = rows[rows["kind"] == EventKind.REJECTED]
        for row in rows:
            event(
                *(_log, "command refused"),
                level=logging.WARNING,
                command=CommandKind(int(row["command_kind"])).name,
                status=int(row["status"]),
                account=int(row["account_id"]),
                instrument=int(row["instrument_id"]),
            )
        # An answer does not name a group: all of the kind wait, and the log says which it was.
        kinds = set(rows["command_kind"].tolist())
        for wish in self._under_way:
            if wish.kind in kinds:
                self._refused[wish.kind, wish.subject] = batch.ts_ns + self._refused_ns

    async def act(self, applied: int, now_ns: int, wishes: Callable[[], list[Wish]]) -> None:
        """Send what is wanted, unless something is still under way.

        Parameters
        ----------
        applied : int
            Newest of our numbers that the cell has applied.
        now_ns : int
            Log time.
        wishes : callable
            Asked only when something can be sent.
        """
        loop = asyncio.get_running_loop()
        if self._payload and applied >= self._first:
            self._payload, self._under_way = b"", []
        if not self._payload:
            wanted = [one for one in wishes() if self._may(one, now_ns)][:_MOST]
            if not wanted:
                return
            frames = b"".join(one.frames for one in wanted)
            self._first = applied + 1
            self._payload = encode(seal(frames, source=self._source, first_seq=self._first))
            self._under_way = wanted
            for kind, number in Counter(one.kind for one in wanted).items():
                name = CommandKind(kind).name.lower()
                self._metrics.count("risk_commands_total", number, kind=name)
        elif loop.time() - self._sent_at < self._resend_s:
            return
        self._sent_at = loop.time()
        try:
            await self._log.append(TRADING_COMMANDS, self._partition, [self._payload])
        except RetryableError as error:
            # It may have arrived all the same; the same bytes follow after `resend_s`.
            event(_log, "not sent", level=logging.WARNING, reason=str(error))

    def _may(self, wish: Wish, now_ns: int) -> bool:
        return now_ns >= self._refused.get((wish.kind, wish.subject), 0)
