"""LOAD and VERIFY: from the newest snapshot that belongs to this log to a cell that may go on."""

from __future__ import annotations

import logging

from tradecore import cell as cells
from tradecore_shells.plumbing.observe import event
from tradecore_shells.plumbing.ports import TRADING_COMMANDS, FatalError, Log
from tradecore_shells.plumbing.retry import retrying
from tradecore_shells.plumbing.snapshots import Snapshots

__all__ = ["boot"]

_log = logging.getLogger("tradecore.trading")


async def boot(
    config: cells.CellConfig, *, log: Log, snapshots: Snapshots, partition: int, budget_s: float
) -> tuple[cells.Cell, int]:
    """Return the cell, and what the log held before we began.

    Returns
    -------
    cell : Cell
    log_end : int
        The offset behind the last command: from there on the cell has caught up.

    Raises
    ------
    FatalError
        The log begins after what is needed, ends before what the snapshot saw, or holds another
        record there: acknowledged commands are gone, and going on would rewrite history.
    """
    name = f"{TRADING_COMMANDS}-{partition}"
    bounds = await retrying(
        lambda: log.bounds(TRADING_COMMANDS, partition), f"reading {name}", budget_s=budget_s
    )
    loaded = snapshots.store.load_newest(config_digest=config.digest())
    for bad in loaded.rejected:
        event(_log, "damaged snapshot set aside", level=logging.ERROR, reason=bad.reason)
    if loaded.snapshot is None:
        if bounds.start != 0:
            raise FatalError(
                f"{name} begins at offset {bounds.start} and there is no valid snapshot: the state "
                "before it is unrecoverable from here; copy a snapshot of this cell into "
                "[trading] snapshots"
            )
        cell = cells.Cell(config, cell_id=partition)
    else:
        cell = cells.Cell.from_snapshot(config, loaded.snapshot, cell_id=partition)
        await _verify(cell, log, partition, bounds.start, bounds.end, budget_s)
    event(_log, "loaded", seq=cell.next_offset, log_start=bounds.start, log_end=bounds.end)
    return cell, bounds.end


async def _verify(
    cell: cells.Cell, log: Log, partition: int, start: int, end: int, budget_s: float
) -> None:
    name = f"{TRADING_COMMANDS}-{partition}"
    offset = cell.next_offset
    if end < offset:
        raise FatalError(
            f"{name} ends at offset {end}, the snapshot has seen offset {offset - 1}: the log lost "
            "acknowledged commands; restore it from a replica, do not delete the snapshot"
        )
    if start > offset:
        raise FatalError(
            f"{name} begins at offset {start}, the snapshot ends at {offset}: what lies between is "
            "gone; use a newer snapshot"
        )
    last = cell.last_offset
    if last is None or last < start:
        return  # nothing applied yet, or the log has dropped the record that could be compared
    records = await retrying(
        lambda: log.fetch(TRADING_COMMANDS, partition, last, max_bytes=1, wait_s=0.5),
        f"reading {name}",
        budget_s=budget_s,
    )
    if not records or records[0].offset != last or not cell.recognises(records[0]):
        raise FatalError(
            f"{name} holds another record at offset {last} than the snapshot saw: the snapshot and "
            "the log do not belong together; point [log] url or [trading] snapshots right"
        )
