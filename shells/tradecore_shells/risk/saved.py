"""The state of risk in its folder: written beside the running service, checked when it is read."""

from __future__ import annotations

import asyncio
import logging

from tradecore.errors import SnapshotError
from tradecore.risk import RiskState
from tradecore.snapshot import SnapshotInfo
from tradecore.storage import SnapshotStore
from tradecore_shells.plumbing.observe import event

__all__ = ["load_state", "save_state"]

_log = logging.getLogger("tradecore.risk")


def load_state(store: SnapshotStore, state: RiskState, *, up_to_seq: int | None = None) -> bool:
    """Bring a new state to the newest saved one; False when there is none.

    Parameters
    ----------
    up_to_seq : int, optional
        Not behind this frame of `executions`: to look at the past.

    Raises
    ------
    SnapshotError
        A snapshot is intact, but not of this build.
    """
    loaded = store.load_newest(up_to_seq=up_to_seq)
    for bad in loaded.rejected:
        event(_log, "damaged snapshot set aside", level=logging.ERROR, reason=bad.reason)
    if loaded.snapshot is None:
        return False
    state.restore(loaded.snapshot.sections)
    return True


async def save_state(
    store: SnapshotStore,
    info: SnapshotInfo,
    sections: list[tuple[str, bytes]],
) -> bool:
    """Write a state in a thread; False, and a line in the log, when the disk refuses."""
    loop = asyncio.get_running_loop()
    try:
        await loop.run_in_executor(None, store.save, info, sections)
    except SnapshotError as error:
        # The older ones are untouched and the log has everything: going on is safe.
        event(_log, "no snapshot", level=logging.ERROR, reason=str(error))
        return False
    return True


def info_of(state: RiskState) -> SnapshotInfo:
    """Return the head of a snapshot of the present state."""
    return SnapshotInfo(
        source=state.source,
        in_seq=state.seq - 1,
        out_seq=state.out_seq - 1,
        now_ns=state.facts.now_ns,
    )
