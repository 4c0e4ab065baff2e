"""The state of risk at any frame of `executions`, for those who look: the log read once more."""

from __future__ import annotations

from tradecore.catalog import Catalog
from tradecore.cell import Batch, FrameReader, Position, StreamError, source_of
from tradecore.errors import SnapshotError
from tradecore.risk import RiskState
from tradecore.storage import SnapshotStore
from tradecore_shells.plumbing.ports import EXECUTIONS, FatalError, Log
from tradecore_shells.risk.commands import CommandRecords
from tradecore_shells.risk.config import RiskSettings, policy_of

__all__ = ["replay_state"]

_FETCH_BYTES = 4 << 20


async def replay_state(
    settings: RiskSettings,
    *,
    catalog: Catalog,
    partition: int,
    log: Log,
    snapshots: SnapshotStore | None = None,
    before_seq: int | None = None,
) -> RiskState:
    """Return the state behind all frames before one, or behind all there are.

    Parameters
    ----------
    settings : RiskSettings
        As the service has them.
    catalog : Catalog
    partition : int
    log : Log
    snapshots : SnapshotStore, optional
        The newest one that is not too new shortens the way; nothing in it is changed.
    before_seq : int, optional
        Number of a frame of `executions`; the batch that holds it is left out.

    Raises
    ------
    FatalError
        The log no longer holds what is needed.
    RetryableError
        The log cannot be reached.
    """
    state = RiskState(policy_of(settings, catalog), catalog, partition)
    limit = before_seq or 1 << 63
    if snapshots is not None:
        _load(snapshots, state, limit)
    end = (await log.bounds(EXECUTIONS, partition)).end
    reader = FrameReader(source_of(partition), Position(state.offset, state.seq))
    commands = CommandRecords(log, partition, 5.0)
    offset = state.offset
    while offset < end:
        records = await log.fetch(EXECUTIONS, partition, offset, max_bytes=_FETCH_BYTES, wait_s=0.5)
        batches: list[Batch] = []
        for record in records:
            offset = record.offset + 1
            try:
                batches += reader.read(record.offset, record.payload)
            except StreamError as error:
                raise FatalError(f"{EXECUTIONS}-{partition}: {error}") from error
        wanted = [batch for batch in batches if batch.end_seq <= limit]
        state.take(wanted, await commands.of(wanted))
        if len(wanted) < len(batches):
            break
    return state


def _load(store: SnapshotStore, state: RiskState, limit: int) -> None:
    for path in store.list():
        try:
            snapshot = store.load(path)
        except SnapshotError:
            continue
        if snapshot.info.in_seq < limit:
            state.restore(snapshot.sections)
            return
