"""The risk service: reads what the cell says, tells what is news about risk, and steps in.

One loop reads `executions` and the commands behind them into `tradecore.risk.RiskState`, puts what
it tells into `risk-events`, and, once it has caught up, sends what the state wants. Beside it:
quotes, figures, snapshots. Nothing here decides; a second process beside this one does the same and
the cell takes each number once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Final

from tradecore.catalog import Catalog
from tradecore.cell import Batch, FrameReader, Position, StreamError, source_of
from tradecore.risk import RiskState, Wish
from tradecore.risk.figures import Figures
from tradecore.storage import SnapshotStore
from tradecore_shells.plumbing.observe import MetricsPort, event
from tradecore_shells.plumbing.outbox import Outbox
from tradecore_shells.plumbing.ports import (
    EXECUTIONS,
    RISK_EVENTS,
    Clock,
    FatalError,
    Log,
    RetryableError,
)
from tradecore_shells.plumbing.retry import retrying
from tradecore_shells.risk.commands import CommandRecords
from tradecore_shells.risk.config import RiskSettings, policy_of
from tradecore_shells.risk.market import Market
from tradecore_shells.risk.saved import info_of, load_state, save_state
from tradecore_shells.risk.sender import Sender
from tradecore_shells.risk.told import Told, find_told, seal_told

__all__ = ["RiskService"]

_log = logging.getLogger("tradecore.risk")
_IDLE_S: Final = 0.25  # longest wait of one fetch, so that a stop is noticed
_SHOCK_NS: Final = 10_000_000_000


class RiskService:
    """Risk of one partition.

    Parameters
    ----------
    settings : RiskSettings
    catalog : Catalog
        Every instrument that the cell trades.
    partition : int
        Of all topics; also the number of the cell.
    log, clock, metrics
        Ports.
    snapshots : SnapshotStore, optional
        Where its state is kept; without one every start reads all executions.

    Raises
    ------
    ConfigError
        The settings and the catalog do not fit.
    """

    def __init__(
        self,
        settings: RiskSettings,
        *,
        catalog: Catalog,
        partition: int,
        log: Log,
        clock: Clock,
        metrics: MetricsPort,
        snapshots: SnapshotStore | None = None,
    ) -> None:
        self.name = f"risk-{partition}"
        self._settings = settings
        self._catalog = catalog
        self._partition = partition
        self._log = log
        self._clock = clock
        self._metrics = metrics
        self._snapshots = snapshots
        self._stopping = asyncio.Event()
        self.status = "starting"
        self.state = RiskState(policy_of(settings, catalog), catalog, partition)
        self.figures: Figures | None = None
        """The newest figures of firm and groups; None before the first."""
        self._market = Market(log, partition, settings.retry_s)
        self._records = CommandRecords(log, partition, settings.retry_s)
        self._told = Told(-1, 0)
        self._box = Outbox(
            log,
            RISK_EVENTS,
            partition,
            max_bytes=settings.queue_bytes,
            budget_s=settings.retry_s,
        )
        self._sender = Sender(
            log,
            partition=partition,
            source=self.state.source,
            metrics=metrics,
            resend_s=settings.resend_s,
            refused_ns=int(settings.refused_s * 1e9),
        )

    # ------------------------------------------------------------------------------- from outside
    def stop(self) -> None:
        """Finish what was read, write `risk-events`, save, return from `run`."""
        self._stopping.set()

    def trouble(self) -> str:
        """Why it does not serve; empty when it does."""
        return "" if self.status == "running" else f"{self.name} is {self.status}"

    def price_shock(self, instrument_id: int, ppm: int, hold_s: float = 10.0) -> int:
        """Mark a linear instrument away from its quotes, in one step: for drills and demos.

        Parameters
        ----------
        instrument_id : int
        ppm : int
            Change of the present mark, parts per million; -200_000 = 20 % down.
        hold_s : float
            Log time during which quotes are not listened to; then the mark walks back to them.

        Returns
        -------
        int
            The mark that will be sent, ticks; 0 when there is none to change.
        """
        mark = self.state.facts.marks.get(instrument_id)
        if mark is None:
            return 0
        px = max(mark.px + mark.px * ppm // 1_000_000, 1)
        until_ns = self.state.facts.now_ns + int(hold_s * 1e9)
        self._market.quotes.shock(instrument_id, px, until_ns)
        return px

    async def run(self) -> None:
        """Work until stopped.

        Raises
        ------
        FatalError
            The log has a gap, lost records or is away for too long; the sentence says which. A new
            start reads it again.
        """
        reader, end = await self._begin()
        helpers = [self._box.run(), self._market.run(), self._report()]
        if self._snapshots is not None:
            helpers.append(self._save_now_and_then())
        try:
            await self._beside(self._follow(reader, end), helpers)
        finally:
            self.status = "stopped"

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
            for one in (task, *others):
                one.cancel()
            await asyncio.gather(task, *others, return_exceptions=True)

    # ------------------------------------------------------------------------------------ the loop
    async def _begin(self) -> tuple[FrameReader, int]:
        """Return the reader, and the offset from which on it has caught up."""
        state, budget = self.state, self._settings.retry_s
        name = f"{EXECUTIONS}-{self._partition}"
        bounds = await retrying(
            lambda: self._log.bounds(EXECUTIONS, self._partition),
            f"reading {name}",
            budget_s=budget,
        )
        saved = self._snapshots is not None and load_state(self._snapshots, state)
        if not bounds.start <= state.offset <= bounds.end:
            what = "the saved state ends" if saved else "without a saved state it would begin"
            raise FatalError(
                f"{name} holds {bounds.start} to {bounds.end}, {what} at {state.offset}: the "
                "log lost records or is another one; give [risk] snapshots a state of this log"
            )
        self._told = await find_told(self._log, self._partition, state.source, budget)
        self._box.put([], state.seq)
        event(_log, "loaded", seq=state.seq, told=self._told._asdict(), log_end=bounds.end)
        self.status = "catching up"
        position = Position(state.offset, state.seq)
        return FrameReader(source_of(self._partition), position), bounds.end

    async def _follow(self, reader: FrameReader, end: int) -> None:
        settings, state = self._settings, self.state
        while not self._stopping.is_set():
            await self._box.room()
            fetch = partial(
                self._log.fetch,
                *(EXECUTIONS, self._partition, reader.position.offset),
                max_bytes=settings.fetch_bytes,
                wait_s=_IDLE_S,
            )
            records = await retrying(
                fetch, f"reading {EXECUTIONS}-{self._partition}", budget_s=settings.retry_s
            )
            batches: list[Batch] = []
            for record in records:
                try:
                    batches += reader.read(record.offset, record.payload)
                except StreamError as error:
                    raise FatalError(f"{EXECUTIONS}-{self._partition}: {error}") from error
            payloads = await self._records.of(batches)
            self._take(batches, payloads)
            state.offset, state.seq = reader.position
            if records:
                self._metrics.count("records_total", len(records), topic=EXECUTIONS, direction="in")
                # Under load a fetch may return without ever waiting: let the others run.
                await asyncio.sleep(0)
            if self.status != "running" and state.offset >= end:
                self.status = "running"
                event(_log, "running", seq=state.seq, positions=len(state.book.positions))
            if self.status == "running":
                await self._sender.act(state.facts.applied, state.facts.now_ns, self._wishes)
        await self._drain()

    def _take(self, batches: Sequence[Batch], payloads: Sequence[Any]) -> None:
        """Bring the state behind some batches; what the topic holds already is not told again."""
        state = self.state
        known = sum(1 for batch in batches if batch.in_offset <= self._told.in_offset)
        state.take(batches[:known], payloads[:known])
        if known < len(batches):
            if self._told.next_seq:
                state.out_seq = self._told.next_seq
                self._told = Told(self._told.in_offset, 0)
            frames = state.take(batches[known:], payloads[known:])
            self._box.put(seal_told(frames, state.source) if frames else [], state.seq)
        self._sender.hear(batches)

    def _wishes(self) -> list[Wish]:
        state, market = self.state, self._market
        wanted = state.wishes()
        marks = state.policy.marks
        if marks.on and market.is_fresh(state.facts.now_ns, marks.stale_ms / 1e3):
            wanted += market.quotes.wishes(marks, state.facts, state.book.last_px, state.linear)
        return wanted

    # -------------------------------------------------------------------------------------- saving
    async def _save(self, saved: int) -> int:
        """Save the state behind everything told so far; returns what is saved now."""
        state = self.state
        if self._snapshots is None or state.seq == saved:
            return saved
        info, sections, seq = info_of(state), state.sections(), state.seq
        # A state that were newer than what is told would never tell it.
        await self._box.drained(seq if self._box.marked >= seq else None)
        if await save_state(self._snapshots, info, sections):
            event(_log, "snapshot", seq=seq)
            return seq
        return saved

    async def _save_now_and_then(self) -> None:
        saved = self.state.seq
        while True:
            await asyncio.sleep(self._settings.snapshot_every_s)
            saved = await self._save(saved)

    async def _drain(self) -> None:
        await self._box.drained()
        await self._save(0)
        event(_log, "drained", seq=self.state.seq)

    # ------------------------------------------------------------------------------------- metrics
    async def _report(self) -> None:
        """Publish lag and figures."""
        while True:
            await asyncio.sleep(self._settings.report_s)
            if self.status == "running":
                self._publish(self.state.figures(simulate=False))
            try:
                bounds = await self._log.bounds(EXECUTIONS, self._partition)
            except RetryableError:
                continue
            labels = {"topic": EXECUTIONS, "partition": str(self._partition)}
            self._metrics.set("lag_records", max(0, bounds.end - self.state.offset), **labels)
            behind_s = max(0, self._clock.now_ns() - self.state.facts.now_ns) / 1e9
            self._metrics.set("lag_seconds", behind_s, **labels)
            self._metrics.set("queue_bytes", self._box.queued_bytes, part="risk")

    def _publish(self, figures: Figures) -> None:
        self.figures = figures
        scale = 10.0 ** -self._catalog.asset(figures.asset_id).decimals
        for node in figures.nodes:
            name = "firm" if node.scope == "firm" else str(node.id)
            self._metrics.set("risk_gross", node.gross * scale, group=name)
            self._metrics.set("risk_net", node.net * scale, group=name)
            self._metrics.set("risk_profit", node.profit * scale, group=name)
            for tail in node.tails:
                level = f"{tail.level:g}"
                self._metrics.set("risk_var", tail.historical_var * scale, group=name, level=level)
                self._metrics.set("risk_es", tail.historical_es * scale, group=name, level=level)
