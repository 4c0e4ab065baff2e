"""Design bugs of the trading service, of snapshots and of what lies between it and the log."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from tradecore import snapshot as snapshots
from tradecore.errors import SnapshotError
from tradecore.storage import SnapshotStore
from tradecore.storage.snapshot_store import Loaded
from tradecore_shells.plumbing.outbox import Outbox
from tradecore_shells.plumbing.ports import EXECUTIONS, MARKET_DATA, RetryableError
from tradecore_shells.sim.disk import SimFiles
from tradecore_shells.sim.patches import Patches
from tradecore_shells.trading import boot
from tradecore_shells.trading.outputs import Outputs
from tradecore_shells.trading.service import TradingService
from tradecore_shells.trading.standby import Held

__all__ = ["BUGS"]


class _Equal:
    """Equal to everything: a comparison that nobody makes."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True


def sender_drops_failed_batch(patches: Patches) -> None:
    """Plant: an append that failed is not repeated."""

    async def send(self: Any, batch: Any) -> None:
        try:
            await self._log.append(self._topic, self._partition, batch)
        except RetryableError:
            return

    patches.set(Outbox, "_send", send)


def sender_has_two_batches_under_way(patches: Patches) -> None:
    """Plant: a batch is sent before the one before it was acknowledged, and repeated behind it."""
    original = Outbox._send

    async def send(self: Any, batch: Any) -> None:
        if len(batch) < 2:
            await original(self, batch)
            return
        half = len(batch) // 2
        try:
            await self._log.append(self._topic, self._partition, batch[:half])
        except RetryableError:
            await original(self, batch[half:])
            await original(self, batch[:half])
        else:
            await original(self, batch[half:])

    patches.set(Outbox, "_send", send)


def snapshot_before_outputs_are_durable(patches: Patches) -> None:
    """Plant: a snapshot is published while outputs of its state are still under way."""

    async def durable(self: Any, mark: int) -> None:
        return

    patches.set(Outputs, "durable", durable)


def snapshot_waits_for_executions_only(patches: Patches) -> None:
    """Plant: a snapshot waits for executions, not for market data and dead letters."""

    async def durable(self: Any, mark: int) -> None:
        await self._boxes[EXECUTIONS].drained(mark)

    patches.set(Outputs, "durable", durable)


def market_data_as_far_as_executions(patches: Patches) -> None:
    """Plant: market data is not sent again when the executions of its record are there."""
    original = Outputs._of

    def of(self: Any, cell: Any, output: Any) -> Any:
        made = original(self, cell, output)
        if output.end_exec_seq <= self._held[EXECUTIONS].durable:
            return [(t, [] if t == MARKET_DATA else p, end) for t, p, end in made]
        return made

    patches.set(Outputs, "_of", of)


def no_checksum_on_load(patches: Patches) -> None:
    """Plant: a snapshot is taken as it is found."""
    original = snapshots.decode

    def trusting(data: Any, file: str = "") -> Any:
        with ExitStack() as stack:
            inside = Patches(stack)
            for check in ("crc32c", "state_hash", "_check_footer"):
                inside.set(snapshots, check, lambda *_: _Equal())
            return original(data, file)

    patches.set(snapshots, "decode", trusting)


def no_fsync_before_rename(patches: Patches) -> None:
    """Plant: a snapshot gets its name before its bytes are on the disk."""
    patches.set(SimFiles, "sync_data", lambda self, fd: None)


def no_fsync_of_the_folder(patches: Patches) -> None:
    """Plant: the name of a snapshot is never brought to the disk."""
    patches.set(SimFiles, "sync_folder", lambda self, path: None)


def no_fallback_to_an_older_snapshot(patches: Patches) -> None:
    """Plant: only the newest snapshot is looked at."""

    def newest(self: Any, **_: Any) -> Loaded:
        paths = self.list()
        found = self.load(paths[0]) if paths else None
        return Loaded(found, paths[0] if paths else None, [])

    patches.set(SnapshotStore, "load_newest", newest)


def damaged_snapshot_means_genesis(patches: Patches) -> None:
    """Plant: a damaged newest snapshot is taken for none."""
    original = SnapshotStore.load_newest

    def newest(self: Any, **wanted: Any) -> Loaded:
        paths = self.list()
        try:
            return original(self, **wanted) if not paths else Loaded(self.load(paths[0]), None, [])
        except SnapshotError:
            return Loaded(None, Path(), [])

    patches.set(SnapshotStore, "load_newest", newest)


def log_is_not_compared_with_the_snapshot(patches: Patches) -> None:
    """Plant: a log that lost its tail is taken for the one that the snapshot saw."""

    async def verify(*_: Any) -> None:
        return

    patches.set(boot, "_verify", verify)


def log_is_not_compared_with_the_answers(patches: Patches) -> None:
    """Plant: executions that answer what the log does not hold are taken for right."""

    async def verify(*_: Any) -> None:
        return

    patches.set(Outputs, "_verify", verify)


def standby_emits_from_the_wrong_number(patches: Patches) -> None:
    """Plant: a takeover forgets the first batch that was held."""
    original = Held.release

    def release(self: Any) -> Any:
        return original(self)[1:]

    patches.set(Held, "release", release)


def standby_takes_over_executions_only(patches: Patches) -> None:
    """Plant: a takeover sends executions and forgets market data."""
    original = Outputs.release

    def release(self: Any, mark: int) -> int:
        self._held[MARKET_DATA].release()
        return original(self, mark)

    patches.set(Outputs, "release", release)


def drain_does_not_wait(patches: Patches) -> None:
    """Plant: a process that is asked to end does not wait for its outputs."""

    async def drain(self: Any, cell: Any) -> None:
        return

    patches.set(TradingService, "_drain", drain)


BUGS: Final[dict[str, Callable[[Patches], None]]] = {
    plant.__name__: plant
    for plant in (
        sender_drops_failed_batch,
        sender_has_two_batches_under_way,
        snapshot_before_outputs_are_durable,
        snapshot_waits_for_executions_only,
        market_data_as_far_as_executions,
        no_checksum_on_load,
        no_fsync_before_rename,
        no_fsync_of_the_folder,
        no_fallback_to_an_older_snapshot,
        damaged_snapshot_means_genesis,
        log_is_not_compared_with_the_snapshot,
        log_is_not_compared_with_the_answers,
        standby_emits_from_the_wrong_number,
        standby_takes_over_executions_only,
        drain_does_not_wait,
    )
}
