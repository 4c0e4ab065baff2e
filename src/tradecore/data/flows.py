"""Order flow of data files as command frames: the adapters between the readers and the engine.

Owns the translation of foreign order messages into `tradecore.COMMAND` frames, vectorised, without
judging the orders. Who uses it: ``tradecore replay``, ``tradecore verify`` and the benchmarks.

Foreign order ids are arbitrary 64-bit numbers, foreign instruments arbitrary 31-bit ones and
foreign prices may be 0 or negative, none of which an engine takes as it is. `WorkloadFlow`
therefore keeps how it renamed them, so that events can be told in the file's own terms.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradecore.codes import CommandKind, OrderFlag, OrdType, Phase, Tif
from tradecore.data.workload import CANCEL, MODIFY, NEW, Records
from tradecore.dtypes import COMMAND, INSTRUMENT

__all__ = ["WorkloadFlow", "instrument_frames", "workload_commands", "workload_flow"]

Frames = npt.NDArray[np.void]
Ids = npt.NDArray[np.uint64]

_MAX_ID = (1 << 63) - 1
_KIND = np.array(
    [CommandKind.NEW_ORDER, CommandKind.CANCEL_ORDER, CommandKind.REPLACE_ORDER], np.uint16
)


class WorkloadFlow(NamedTuple):
    """A workload's records in the terms of an engine.

    Attributes
    ----------
    records : numpy.ndarray of WORKLOAD_RECORD, shape (n,)
        The file's own records; command i is made of record i.
    order_ids : numpy.ndarray of uint64, or None
        Engine id of every record where the file's ids had to be renamed, None where they stand.
    instruments : numpy.ndarray of int64, shape (k,)
        The file's instruments, ascending; the engine's id is the position.
    px_shift : int
        Ticks added to every price, so that the lowest is at least 1. Matching by price and time
        does not see it.
    max_orders : int
        Orders that can be alive at once, at most: the size an engine needs.
    """

    records: Records
    order_ids: Ids | None
    instruments: npt.NDArray[np.int64]
    px_shift: int
    max_orders: int

    def commands(self, first: int = 0, last: int | None = None) -> Frames:
        """Return the frames of records `first` to `last`, one each, in file order."""
        part = slice(first, last)
        ids = None if self.order_ids is None else self.order_ids[part]
        instrument = np.searchsorted(self.instruments, self.records["instrument_id"][part])
        return workload_commands(
            self.records[part], order_ids=ids, instrument_ids=instrument, px_shift=self.px_shift
        )

    def definitions(self) -> Frames:
        """Return the frames that define the instruments, tick 1 and lot 1, trading."""
        return instrument_frames(len(self.instruments))


def instrument_frames(count: int) -> Frames:
    """Return INSTRUMENT commands for ids 0 to `count` - 1: tick, lot and multiplier 1, no limits.

    Returns
    -------
    numpy.ndarray of INSTRUMENT, shape (count,)
    """
    frames = np.zeros(count, INSTRUMENT)
    frames["kind"] = CommandKind.INSTRUMENT
    frames["cont"] = 3
    frames["instrument_id"] = np.arange(count)
    for field in ("tick", "lot", "multiplier", "base_per_lot"):
        frames[field] = 1
    frames["phase"] = Phase.CONTINUOUS
    return frames


def workload_commands(
    records: Records,
    *,
    order_ids: Ids | None = None,
    instrument_ids: npt.NDArray[np.int64] | None = None,
    px_shift: int = 0,
) -> Frames:
    """Translate workload records into command frames, one each. O(n), vectorised.

    A record's `modify` is, in this format, cancel and reinsert with a new *open* quantity: a
    REPLACE with the flags LEAVES and REQUEUE. All orders belong to account 0.

    Parameters
    ----------
    records : numpy.ndarray of WORKLOAD_RECORD, shape (n,)
    order_ids, instrument_ids : numpy.ndarray, shape (n,), optional
        Ids to use instead of the records' own.
    px_shift : int
        Ticks added to the price of new orders and modifies.

    Returns
    -------
    numpy.ndarray of COMMAND, shape (n,)
    """
    kind = records["type"]
    frames = np.zeros(len(records), COMMAND)
    frames["kind"] = _KIND[kind]
    frames["order_id"] = records["order_id"] if order_ids is None else order_ids
    is_new, is_modify = kind == NEW, kind == MODIFY
    priced = is_new | is_modify
    frames["px"][priced] = records["px"][priced] + px_shift
    frames["order_qty"][priced] = records["order_qty"][priced]
    frames["side"][is_new] = records["side"][is_new] + 1
    frames["ord_type"][is_new] = OrdType.LIMIT
    frames["tif"][is_new] = np.where(records["ioc"][is_new] == 1, Tif.IOC, Tif.GTC)
    frames["flags"][is_modify] = OrderFlag.LEAVES | OrderFlag.REQUEUE
    instrument = records["instrument_id"] if instrument_ids is None else instrument_ids
    # A cancel names its order only; the instrument is not read and must be 0.
    frames["instrument_id"] = np.where(kind == CANCEL, 0, instrument)
    return frames


def workload_flow(records: Records) -> WorkloadFlow:
    """Prepare a whole workload for an engine.

    Renames order ids only where one of them is 0 or above 2**63 - 1, and shifts prices only where
    one is below 1. O(n), or O(n log n) where ids are renamed.

    Parameters
    ----------
    records : numpy.ndarray of WORKLOAD_RECORD, shape (n,)
    """
    given = records["order_id"]
    order_ids: Ids | None = None
    if len(given) and (int(given.min()) == 0 or int(given.max()) > _MAX_ID):
        order_ids = np.unique(given, return_inverse=True)[1].astype(np.uint64) + np.uint64(1)
    priced = records["px"][records["type"] != CANCEL]
    lowest = int(priced.min()) if len(priced) else 1
    # Orders that wait never outnumber the new orders that are not immediate; one more is executing.
    waiting = int(np.count_nonzero((records["type"] == NEW) & (records["ioc"] == 0)))
    return WorkloadFlow(
        records,
        order_ids,
        np.unique(records["instrument_id"]),
        max(0, 1 - lowest),
        waiting + 1,
    )
