"""The portfolio service: what executions mean for people, in Postgres exactly, in the cache soon.

Four loops that share nothing but the book: executions into the store (`writer`), documents into the
cache (`publisher`), `user-events` into trading sessions (`sessions`), market data into marks. Only
the first can hold anything up, and only itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any, Final

from tradecore.catalog import Catalog
from tradecore.cell import FrameReader, Position, StreamError, source_of
from tradecore.portfolio.document import document_of, encode_document, portfolio_key
from tradecore.portfolio.equity import BULK_ROWS, warm_up
from tradecore.portfolio.marks import Marks
from tradecore.portfolio.terms import Terms
from tradecore_shells.plumbing.observe import MetricsPort, event
from tradecore_shells.plumbing.ports import (
    EXECUTIONS,
    MARKET_DATA,
    Cache,
    Clock,
    FatalError,
    Log,
    RetryableError,
)
from tradecore_shells.plumbing.retry import retrying
from tradecore_shells.portfolio.config import PortfolioSettings, equity_asset_of
from tradecore_shells.portfolio.publisher import Publisher
from tradecore_shells.portfolio.sessions import SessionKeeper
from tradecore_shells.portfolio.store import PortfolioStore
from tradecore_shells.portfolio.writer import Writer

__all__ = ["PortfolioService"]

_log = logging.getLogger("tradecore.portfolio")
_IDLE_S: Final = 0.25
_FETCH_BYTES: Final = 1 << 20
_MARKS_BACK: Final = 1000  # records of market data read at the start, to know today's quotes


class PortfolioService:
    """One partition's portfolio.

    Parameters
    ----------
    settings : PortfolioSettings
    catalog : Catalog
        Every instrument that the cell trades.
    partition : int
        Of all topics; also the number of the cell.
    log, store, cache, clock, metrics
        Ports.

    Raises
    ------
    ConfigError
        The catalog lacks the asset that equity is to be valued in.
    """

    def __init__(
        self,
        settings: PortfolioSettings,
        *,
        catalog: Catalog,
        partition: int,
        log: Log,
        store: PortfolioStore,
        cache: Cache,
        clock: Clock,
        metrics: MetricsPort,
    ) -> None:
        self.name = f"portfolio-{partition}"
        self._settings = settings
        self._catalog = catalog
        self._partition = partition
        self._log = log
        self._store = store
        self._metrics = metrics
        self._terms = Terms.of_catalog(catalog.instruments)
        self._marks = Marks(settings.mark)
        self._stopping = asyncio.Event()
        self.state = "starting"
        self._sessions = SessionKeeper(
            partition=partition,
            log=log,
            store=store,
            cache=cache,
            metrics=metrics,
            budget_s=settings.retry_s,
        )
        self.publisher = Publisher(
            settings,
            cell=partition,
            cache=cache,
            metrics=metrics,
            document=self._document,
            everybody=lambda: self.writer.book.users(),
            others=self._sessions.documents,
        )
        self.writer = Writer(
            settings,
            partition=partition,
            log=log,
            store=store,
            clock=clock,
            metrics=metrics,
            terms=self._terms,
            equity_asset=equity_asset_of(settings, catalog),
            on_change=self._on_change,
        )

    # ------------------------------------------------------------------------------- from outside
    def stop(self) -> None:
        """Finish the statement that is under way, write the cache, return from `run`."""
        self._stopping.set()

    def trouble(self) -> str:
        """Why it does not serve; empty when it does. A cache that is away is no reason."""
        return "" if self.state == "running" else f"{self.name} is {self.state}"

    async def run(self) -> None:
        """Work until stopped.

        Raises
        ------
        ConfigError, FatalError
            The sentence says why; a new start continues where the store stands.
        """
        budget = self._settings.retry_s
        await retrying(
            lambda: self._store.open(self._catalog), "opening the database", budget_s=budget
        )
        await self.writer.load()
        if self._settings.equity_every_s and len(self.writer.book.positions) >= BULK_ROWS:
            await asyncio.to_thread(warm_up)
        self._marks.note_last(self.writer.book.last_px)
        self.state = "running"
        event(
            _log, "running", place=self.writer.place._asdict(), users=len(self.writer.book.users())
        )
        helpers = [self._follow_marks(), self._sessions.run(), self.publisher.run()]
        try:
            await self._beside(self.writer.run(self._stopping), [*helpers, self._report()])
        finally:
            self.state = "stopped"
        await self.publisher.drain()

    async def _beside(
        self, main: Coroutine[Any, Any, None], helpers: list[Coroutine[Any, Any, None]]
    ) -> None:
        """Run helpers until the main one ends; what any of them raises is raised."""
        task = asyncio.ensure_future(main)
        others = [asyncio.ensure_future(helper) for helper in helpers]
        try:
            done, _ = await asyncio.wait([task, *others], return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
            await task
        finally:
            await _end([task, *others])

    # --------------------------------------------------------------------------------------- cache
    def _on_change(self, users: Iterable[int]) -> None:
        self._marks.note_last(self.writer.book.last_px)
        self.publisher.change(users)

    def _document(self, user_id: int) -> tuple[str, bytes]:
        document = document_of(self.writer.book, user_id, self._terms, self._marks)
        return portfolio_key(user_id, self._partition), encode_document(document)

    # --------------------------------------------------------------------------------------- marks
    async def _follow_marks(self) -> None:
        """Keep marks, from a little before now on; what is lost here is only freshness."""
        bounds = await self._patiently_bounds()
        start = max(bounds.start, bounds.end - _MARKS_BACK)
        reader = self._market_reader(start)
        loop = asyncio.get_running_loop()
        moved: set[int] = set()
        shown_at = loop.time()
        while True:
            at = reader.position.offset
            try:
                records = await retrying(
                    lambda at=at: self._log.fetch(  # type: ignore[misc]
                        *(MARKET_DATA, self._partition, at),
                        max_bytes=_FETCH_BYTES,
                        wait_s=_IDLE_S,
                    ),
                    f"reading {MARKET_DATA}-{self._partition}",
                    budget_s=self._settings.retry_s,
                )
            except FatalError:
                # What we wanted has expired: go on with what there is.
                reader = self._market_reader((await self._patiently_bounds()).start)
                await asyncio.sleep(_IDLE_S)
                continue
            for record in records:
                try:
                    for batch in reader.read(record.offset, record.payload):
                        moved |= self._marks.note_frames(batch.events)
                except StreamError as error:
                    event(_log, "market data skipped", level=logging.WARNING, reason=str(error))
                    reader = self._market_reader(record.offset + 1)
            if moved and loop.time() - shown_at >= self._settings.mark_every_s:
                shown_at = loop.time()
                rows = self.writer.book.positions.table
                for instrument in moved:
                    held = (rows["instrument_id"] == instrument) & (rows["qty"] != 0)
                    self.publisher.age(rows["user_id"][held].tolist())
                moved = set()

    def _market_reader(self, offset: int) -> FrameReader:
        return FrameReader(source_of(self._partition), Position(offset, 0))

    async def _patiently_bounds(self) -> Any:
        return await retrying(
            lambda: self._log.bounds(MARKET_DATA, self._partition),
            f"asking for the bounds of {MARKET_DATA}",
            budget_s=self._settings.retry_s,
        )

    # ------------------------------------------------------------------------------------- metrics
    async def _report(self) -> None:
        """Say once a second how far behind we are."""
        while True:
            await asyncio.sleep(1.0)
            try:
                bounds = await self._log.bounds(EXECUTIONS, self._partition)
            except RetryableError:
                continue
            behind = max(0, bounds.end - self.writer.place.next_offset)
            labels = {"topic": EXECUTIONS, "partition": str(self._partition)}
            self._metrics.set("lag_records", behind, **labels)
            self._metrics.set("portfolio_positions", len(self.writer.book.positions))


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: a driver may turn a cancel into an error."""
    pending = {one for one in tasks if not one.done()}
    while pending:
        for one in pending:
            one.cancel()
        ended, pending = await asyncio.wait(pending, timeout=_IDLE_S)
        for one in ended:
            if not one.cancelled():
                one.exception()
