"""Executions into the store, each frame once, whatever dies and however many do it.

The book in memory is a function of the executions up to `place`; the store is at that place or,
when a twin of this service was faster or an acknowledgement was lost, ahead of it. Ahead is no
trouble: what the store has already is only folded into the book. Behind is: then it is another
database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from tradecore.cell import Batch as ExecutionBatch
from tradecore.cell import FrameReader, Position, StreamError, source_of
from tradecore.portfolio.book import Book
from tradecore.portfolio.columns import EQUITY, Table, empty
from tradecore.portfolio.equity import sample_times, value_book
from tradecore.portfolio.fold import IDENTITY, Changes, Owners, fold_batches
from tradecore.portfolio.terms import Terms
from tradecore_shells.plumbing.observe import MetricsPort
from tradecore_shells.plumbing.ports import EXECUTIONS, Clock, FatalError, Log, RetryableError
from tradecore_shells.plumbing.retry import retrying
from tradecore_shells.portfolio.config import PortfolioSettings
from tradecore_shells.portfolio.store import PORTFOLIO, START, Batch, Place, PortfolioStore

__all__ = ["Writer"]

_IDLE_S: Final = 0.25  # longest wait of one fetch, so that a stop is noticed
_PAUSE_S: Final = 0.05


class _Read(NamedTuple):
    """A batch of the log, and the place behind it."""

    batch: ExecutionBatch
    place: Place


class Writer:
    """One partition of executions into one store.

    Parameters
    ----------
    settings : PortfolioSettings
    partition : int
    log, store, clock, metrics
        Ports.
    terms : Terms
    equity_asset : int
        What samples are valued in.
    on_change : callable
        Called with the users whose rows changed, after the store has them.
    """

    def __init__(
        self,
        settings: PortfolioSettings,
        *,
        partition: int,
        log: Log,
        store: PortfolioStore,
        clock: Clock,
        metrics: MetricsPort,
        terms: Terms,
        equity_asset: int,
        on_change: Callable[[Iterable[int]], None],
    ) -> None:
        self._settings = settings
        self._partition = partition
        self._log = log
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._terms = terms
        self._asset = equity_asset
        self._on_change = on_change
        self._owners: Owners = IDENTITY
        self._waiting: list[_Read] = []
        self._committed_at = 0.0
        self.place = START
        self.book = Book(partition)

    async def load(self) -> None:
        """Read the book from the store. Raises FatalError when that fails for too long."""
        budget = self._settings.retry_s
        self._owners = await retrying(self._store.owners, "reading accounts", budget_s=budget)
        self.place, self.book = await retrying(
            lambda: self._store.load(self._partition), "reading positions", budget_s=budget
        )

    # ------------------------------------------------------------------------------------ the loop
    async def run(self, stopping: asyncio.Event) -> None:
        """Read and write until stopped.

        Raises
        ------
        FatalError
            Log or store refuse or are away for too long, the log has a gap, or the store went back.
        """
        reader = FrameReader(
            source_of(self._partition), Position(self.place.next_offset, self.place.next_seq)
        )
        while not stopping.is_set():
            await self._read_some(reader)
            await self._write_what_is_due()
        await self._write(self._waiting)

    async def _read_some(self, reader: FrameReader) -> None:
        settings = self._settings
        records = await retrying(
            lambda: self._log.fetch(
                *(EXECUTIONS, self._partition, reader.position.offset),
                max_bytes=settings.fetch_bytes,
                wait_s=_IDLE_S,
            ),
            f"reading {EXECUTIONS}-{self._partition}",
            budget_s=settings.retry_s,
        )
        for record in records:
            try:
                found = reader.read(record.offset, record.payload)
            except StreamError as error:
                raise FatalError(f"{EXECUTIONS}-{self._partition}: {error}") from error
            for batch in found:
                offset = reader.position.offset if batch is found[-1] else record.offset
                self._waiting.append(_Read(batch, Place(offset, batch.end_seq, batch.ts_ns)))
        if records:
            self._metrics.count("records_total", len(records), topic=EXECUTIONS, direction="in")

    async def _write_what_is_due(self) -> None:
        groups = self._groups(self._waiting)
        self._waiting = []
        for number, group in enumerate(groups):
            if number + 1 == len(groups) and not self._is_due(group):
                self._waiting = group
            else:
                await self._write(group)

    def _is_due(self, group: Sequence[_Read]) -> bool:
        """Tell whether a group is worth a statement now: a quiet one may wait and grow."""
        if any(len(read.batch.events) for read in group) or self._sample_ns(group[0]):
            return True
        quiet_s = asyncio.get_running_loop().time() - self._committed_at
        return quiet_s > self._settings.idle_commit_s

    def _groups(self, reads: Sequence[_Read]) -> list[list[_Read]]:
        """Cut what was read into statements: of a limited size, and at every equity sample."""
        every = self._every_ns
        groups: list[list[_Read]] = []
        size = 0
        before_ns = self.place.ts_ns
        for read in reads:
            samples = sample_times(before_ns, read.batch.ts_ns, every) if before_ns else 0
            if not groups or samples or size >= self._settings.batch_events:
                groups.append([])
                size = 0
            groups[-1].append(read)
            size += len(read.batch.events)
            before_ns = read.batch.ts_ns
        return groups

    # ----------------------------------------------------------------------------------- one group
    async def _write(self, group: Sequence[_Read]) -> None:
        """Bring store and book behind a group of batches."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.retry_s
        while group:
            changes = self._fold(group)
            if await self._apply(group, changes):
                self._pass(group, changes)
                return
            place = await retrying(
                lambda: self._store.place(PORTFOLIO, self._partition),
                "asking the store where it stands",
                budget_s=self._settings.retry_s,
            )
            if place.next_seq < self.place.next_seq:
                raise FatalError(
                    f"the store went back to frame {place.next_seq} of {EXECUTIONS}-"
                    f"{self._partition}, it had {self.place.next_seq}: it was restored or is "
                    "another one; start again to continue from what it has"
                )
            passed = [read for read in group if read.place.next_seq <= place.next_seq]
            if passed:
                self._pass(passed, self._fold(passed))
                group = group[len(passed) :]
                self._metrics.count("duplicates_total", len(passed), topic=EXECUTIONS)
            elif loop.time() > deadline:
                raise FatalError(
                    f"the store took nothing for {self._settings.retry_s:g} s; start again when it "
                    "is well, nothing is lost"
                )
            else:
                await asyncio.sleep(_PAUSE_S)

    async def _apply(self, group: Sequence[_Read], changes: Changes) -> bool:
        """Write one statement; False when it is not known to have happened now."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        equity = self._sample(group[0])
        try:
            won = await self._store.apply(
                Batch(self._partition, self.place, group[-1].place, changes, equity)
            )
        except RetryableError:
            return False
        if won:
            self._metrics.observe("commit_seconds", loop.time() - begun)
            self._metrics.count("portfolio_fill_rows_total", len(changes.fills))
        return won

    def _fold(self, group: Sequence[_Read]) -> Changes:
        batches = [read.batch for read in group]
        return fold_batches(batches, self._terms, cell=self._partition, owners=self._owners)

    def _pass(self, group: Sequence[_Read], changes: Changes) -> None:
        """Take over what the store has."""
        self.book.apply(changes)
        self.place = group[-1].place
        self._committed_at = asyncio.get_running_loop().time()
        behind_s = max(0, self._clock.now_ns() - self.place.ts_ns) / 1e9
        self._metrics.set("lag_seconds", behind_s, topic=EXECUTIONS, partition=str(self._partition))
        if not changes.is_empty:
            users = np.concatenate((changes.positions["user_id"], changes.balances["user_id"]))
            self._on_change(np.unique(users).tolist())

    # -------------------------------------------------------------------------------------- equity
    @property
    def _every_ns(self) -> int:
        return int(self._settings.equity_every_s * 1e9)

    def _sample_ns(self, first: _Read) -> int:
        before = self.place.ts_ns
        return sample_times(before, first.batch.ts_ns, self._every_ns) if before else 0

    def _sample(self, first: _Read) -> Table:
        """Return everybody's equity as it stood before a batch, when a sample lies there."""
        at = self._sample_ns(first)
        if not at:
            return empty(EQUITY)
        prices = self.book.last_px
        return value_book(self.book, self._terms, prices, asset_id=self._asset, ts_ns=at)
