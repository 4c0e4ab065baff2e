"""The trading service: log -> Cell.apply -> log, through crashes.

States and their meaning: docs/concepts/services.md. Everything that decides what an order gets is
in `tradecore.cell`; here is only when to read, when to send, when to save and when to stop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from tradecore import cell as cells
from tradecore.envelope import encode, seal
from tradecore.errors import SnapshotError
from tradecore_shells.plumbing.observe import MetricsPort, event
from tradecore_shells.plumbing.ports import (
    EXECUTIONS,
    TRADING_COMMANDS,
    Clock,
    FatalError,
    Log,
    Record,
    RetryableError,
)
from tradecore_shells.plumbing.retry import retrying
from tradecore_shells.plumbing.runtime import FencedError
from tradecore_shells.plumbing.snapshots import Snapshots
from tradecore_shells.trading.boot import boot
from tradecore_shells.trading.config import TradingSettings
from tradecore_shells.trading.outputs import Outputs

__all__ = ["TradingService"]

_log = logging.getLogger("tradecore.trading")
_STATES: Final = ("boot", "catchup", "standby", "primary", "drain", "halt")
T = TypeVar("T")
_IDLE_S: Final = 0.25  # longest wait of one fetch, so that a stop is noticed


class TradingService:
    """One cell and its outputs.

    Parameters
    ----------
    settings : TradingSettings
    config : CellConfig
    partition : int
        Of all topics; also the cell's number.
    log : Log
    snapshots : Snapshots
    clock : Clock
    metrics : MetricsPort
    """

    def __init__(
        self,
        settings: TradingSettings,
        config: cells.CellConfig,
        *,
        partition: int,
        log: Log,
        snapshots: Snapshots,
        clock: Clock,
        metrics: MetricsPort,
    ) -> None:
        self.name = f"trading-{partition}"
        self._settings = settings
        self._config = config
        self.partition = partition
        self._log = log
        self._snapshots = snapshots
        self._clock = clock
        self._metrics = metrics
        self._stopping = asyncio.Event()
        self._outputs = Outputs(log, partition, settings, self._on_durable)
        # (offset behind, log time) of batches whose outputs are on their way.
        self._sent: deque[tuple[int, int]] = deque()
        self._took_over = False
        self.state = "boot"
        self.serving = asyncio.Event()
        """Set when the cell has become primary."""
        self.cell: cells.Cell | None = None

    # ------------------------------------------------------------------------------- from outside
    def stop(self) -> None:
        """Drain: finish what was fetched, wait for its outputs, save, return from `run`."""
        self._stopping.set()

    def trouble(self) -> str:
        """Why the cell does not serve; empty when it does."""
        return "" if self.state in {"primary", "standby"} else f"{self.name} is in {self.state}"

    async def run(self) -> None:
        """Work until stopped.

        Raises
        ------
        FatalError, EngineFault
            Halted; the sentence says why, nothing acknowledged is lost.
        FencedError
            The log asks for a newer build.
        """
        try:
            async with asyncio.TaskGroup() as group:
                helpers = self._outputs.start(group)
                await self._serve(group, helpers)
                for helper in helpers:
                    helper.cancel()
        except BaseExceptionGroup as error:
            self._enter("halt")
            raise _first(error) from None
        except BaseException:
            self._enter("halt")
            raise

    # ------------------------------------------------------------------------------------ the loop
    async def _serve(self, group: asyncio.TaskGroup, helpers: list[asyncio.Task[None]]) -> None:
        settings = self._settings
        booted = await self._unless_stopped(
            boot(
                self._config,
                log=self._log,
                snapshots=self._snapshots,
                partition=self.partition,
                budget_s=settings.retry_s,
            )
        )
        if booted is None:
            return
        cell, log_end = booted
        self.cell = cell
        await self._outputs.begin(cell)
        self._enter("catchup")
        helpers.append(group.create_task(self._tick()))
        helpers.append(group.create_task(self._save_now_and_then()))
        helpers.append(group.create_task(self._report()))
        if settings.role == "standby":
            helpers.append(group.create_task(self._watch(cell)))
        while not self._stopping.is_set():
            await self._outputs.room()
            records = await retrying(
                lambda: self._log.fetch(
                    TRADING_COMMANDS,
                    self.partition,
                    cell.next_offset,
                    max_bytes=settings.fetch_bytes,
                    wait_s=_IDLE_S,
                ),
                f"reading {TRADING_COMMANDS}-{self.partition}",
                budget_s=settings.retry_s,
            )
            if records:
                self._apply(cell, records)
                # Under load a fetch may return without ever waiting: let the senders run.
                await asyncio.sleep(0)
            if self.state == "catchup" and cell.next_offset >= log_end:
                self._enter(settings.role)
        await self._drain(cell)

    def _apply(self, cell: cells.Cell, records: list[Record]) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        before = cell.in_seq
        output = cell.apply_many(records)
        if output.fenced:
            raise FencedError(
                f"{self.name}: the log switches to epoch {output.fenced} at offset "
                f"{cell.next_offset - 1}, which this build does not know; start a newer build"
            )
        self._metrics.observe("apply_seconds", loop.time() - begin)
        self._metrics.count("records_total", len(records), topic=TRADING_COMMANDS, direction="in")
        self._metrics.count("commands_total", cell.in_seq - before)
        self._metrics.count("events_total", output.events)
        if output.repeated:
            self._metrics.count("duplicates_total", output.repeated, topic=TRADING_COMMANDS)
        if output.dead_letters:
            letters = len(output.dead_letters)
            self._metrics.count("dead_letters_total", letters, topic=TRADING_COMMANDS)
            for letter in output.dead_letters:
                event(_log, "unreadable record", level=logging.WARNING, seq=letter.offset,
                      reason=letter.reason)  # fmt: skip
        if self._standby:
            self._outputs.hold(cell, output)
        elif self._outputs.send(cell, output):
            self._sent.append((cell.next_offset, records[-1].ts_ns))

    def _on_durable(self, mark: int, records: int, size: int) -> None:
        self._metrics.count("records_total", records, topic=EXECUTIONS, direction="out")
        now = self._clock.now_ns()
        while self._sent and self._sent[0][0] <= mark:
            _, ts_ns = self._sent.popleft()
            self._metrics.observe("log_to_output_seconds", max(now - ts_ns, 0) / 1e9)

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return what comes of `work`, or None as soon as somebody wants us to stop."""
        doing = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait([doing, stopping], return_when=asyncio.FIRST_COMPLETED)
            return doing.result() if doing.done() else None
        finally:
            doing.cancel()
            stopping.cancel()
            await asyncio.gather(doing, stopping, return_exceptions=True)

    # ------------------------------------------------------------------------------------ helpers
    async def _tick(self) -> None:
        """Append TIME commands, so that timers fire and standbys see a heartbeat."""
        frames = cells.time_command()
        while True:
            await asyncio.sleep(self._settings.tick_s)
            payload = encode(seal(frames, source=0, first_seq=1))
            try:
                await self._log.append(TRADING_COMMANDS, self.partition, [payload])
            except RetryableError as error:
                event(_log, "no tick", level=logging.WARNING, reason=str(error))

    async def _watch(self, cell: cells.Cell) -> None:
        """Standby: drop what the own topics show, take over when `executions` stays silent."""
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._outputs.watch(_IDLE_S / 2))
            while self.state != "primary":
                await asyncio.sleep(_IDLE_S / 2)
                silent_s = self._outputs.waiting_s()
                if self.state == "standby" and silent_s > self._settings.takeover_s:
                    count = self._outputs.release(cell.next_offset)
                    self._took_over = True
                    self._enter("primary")
                    event(_log, "took over", level=logging.WARNING, seq=cell.in_seq,
                          outputs=count, silent_s=round(silent_s, 3))  # fmt: skip
            watching.cancel()

    async def _save_now_and_then(self) -> None:
        cell = self.cell
        assert cell is not None
        saved = cell.next_offset
        while True:
            await asyncio.sleep(self._settings.snapshot_every_s)
            if cell.next_offset - saved >= self._settings.snapshot_every_records:
                try:
                    saved = await self._save(cell, saved)
                except SnapshotError as error:
                    # The older ones are untouched and the log has everything: going on is safe.
                    event(_log, "no snapshot", level=logging.ERROR, reason=str(error))

    async def _save(self, cell: cells.Cell, saved: int) -> int:
        """Capture now, publish when all outputs up to here are durable (rule R4).

        Returns the offset behind the newest snapshot, `saved` when none was made.
        """
        loop = asyncio.get_running_loop()
        begin = loop.time()
        offset = cell.next_offset
        in_seq = cell.in_seq
        standby = self._standby
        capture = self._snapshots.capture(cell)
        self._metrics.observe("snapshot_pause_seconds", loop.time() - begin)
        try:
            if not standby:
                await self._outputs.durable(offset)
            elif not await self._outputs.seen():
                capture.drop()  # took over meanwhile: the next one goes the other way
                return saved
        except BaseException:
            capture.drop()
            raise
        state_hash = await capture.publish()
        self._metrics.observe("snapshot_seconds", loop.time() - begin)
        self._metrics.set("snapshot_offset", offset)
        event(_log, "snapshot", seq=offset, state_hash=state_hash.hex())
        if not standby:
            self._outputs.audit(cell.audit_of(state_hash, offset, in_seq), offset)
        return offset

    async def _report(self) -> None:
        """Publish lag and, when primary, the audit frame of the present state."""
        cell = self.cell
        assert cell is not None
        while True:
            await asyncio.sleep(1.0)
            try:
                bounds = await self._log.bounds(TRADING_COMMANDS, self.partition)
            except RetryableError:
                continue
            labels = {"topic": TRADING_COMMANDS, "partition": str(self.partition)}
            self._metrics.set("lag_records", max(bounds.end - cell.next_offset, 0), **labels)
            age = (self._clock.now_ns() - cell.last_ts_ns) / 1e9 if cell.last_ts_ns else 0.0
            self._metrics.set("lag_seconds", max(age, 0.0), **labels)
            self._metrics.set("queue_bytes", self._outputs.queued_bytes, part="trading")

    async def _drain(self, cell: cells.Cell) -> None:
        standby = self._standby
        self._enter("drain")
        if not standby:
            await self._outputs.drained()
            await self._save(cell, 0)
            await self._outputs.drained()
        event(_log, "drained", seq=cell.next_offset, state_hash=cell.state_hash())

    @property
    def _standby(self) -> bool:
        """Whether outputs are held: also while a standby is catching up or draining."""
        return self._settings.role == "standby" and not self._took_over

    def _enter(self, state: str) -> None:
        self.state = state
        if state == "primary":
            self.serving.set()
        for name in _STATES:
            self._metrics.set("state", float(name == state), state=name)
        event(_log, "state", state=state)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that matters most out of what a task group collected."""
    found: list[BaseException] = []
    stack: list[BaseException] = [group]
    while stack:
        one = stack.pop()
        if isinstance(one, BaseExceptionGroup):
            stack.extend(one.exceptions)
        else:
            found.append(one)
    fatal = [one for one in found if isinstance(one, (FencedError, FatalError))]
    return (fatal or found)[0]
