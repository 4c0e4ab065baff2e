"""Converter of the log that an exchange left behind: its commands, and what became of them.

The commands say what was asked, the `executions` beside them what of it was done, so nothing that
the exchange refused or saw twice comes into the recording, and orders that left the book without a
command of their own (expiry, mass cancel, kill switch) are taken out when they left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from tradecore.cell import Batch
from tradecore.codes import CellKind, CommandKind, EventKind, OrdType, Tif
from tradecore.dtypes import COMMAND, TERMS
from tradecore.envelope import decode
from tradecore.errors import ConfigError, DataError
from tradecore.research.recording import Frames
from tradecore.research.service_log import batches_of, entries, partition_of, sibling

__all__ = ["log_frames"]

Keep = Callable[[Frames], npt.NDArray[np.bool_]]
_Ids = npt.NDArray[np.uint64]

_ORDERS: Final = (CommandKind.NEW_ORDER, CommandKind.CANCEL_ORDER, CommandKind.REPLACE_ORDER)
# What a stop becomes when its price is reached.
_TRIGGERED: Final = {
    OrdType.STOP: OrdType.MARKET,
    OrdType.STOP_LIMIT: OrdType.LIMIT,
    OrdType.TAKE_PROFIT: OrdType.MARKET,
    OrdType.TAKE_PROFIT_LIMIT: OrdType.LIMIT,
}
# They define and feed the venue and say nothing about its book.
_SILENT: Final = {
    *(CommandKind.TIME, CommandKind.INSTRUMENT, CommandKind.ACCOUNT, CommandKind.LIMITS),
    *(CommandKind.DEPOSIT, CommandKind.WITHDRAW, CommandKind.TRANSFER, CommandKind.RATE),
    *(CommandKind.MARK_PRICE, CommandKind.FUNDING, CommandKind.EPOCH),
    # What these two take out of the book is taken from the events.
    *(CommandKind.MASS_CANCEL, CommandKind.KILL_SWITCH),
}


def log_frames(
    place: Path,
    keep: Keep | None,
    define: Callable[[Frames], object],
    notes: list[str],
) -> Iterator[Frames]:
    """Yield recorded order commands of a log, one array for each record that has some.

    Parameters
    ----------
    place : Path
        Partition of `trading-commands`; its `executions` stand beside it.
    keep : callable, optional
        ``keep(frames)`` says which to keep, as a mask; it sees the original ids and accounts.
    define : callable
        Called with all frames of every applied record: where instruments are defined.
    notes : list of str
        Gets what the recording leaves out, when everything has been read.

    Raises
    ------
    ConfigError
        There are no `executions`.
    DataError
        They are about another log.
    JournalError, StreamError
        A file is damaged.

    Notes
    -----
    Ids keep their order within a session; sessions are renumbered in order of appearance, because
    a recording has room for 2**30 of them. What a record's events take out of the book is taken
    out behind its commands. O(commands + events) time, O(stops that wait) memory.
    """
    executions = sibling(place, "executions")
    if executions is None:
        raise ConfigError(f"{place}: no executions beside it say what became of the commands")
    reader = _Reader(keep, define)
    said = batches_of(executions, partition_of(place))
    for entry in entries(place):
        batch = next(said, None)
        if batch is None:
            notes.append(f"records from {entry.offset} on were never answered: left out")
            break
        if batch.in_offset != entry.offset:
            raise DataError(
                f"record {entry.offset} is answered as {batch.in_offset}: not its executions",
                str(place),
            )
        if batch.applied:
            frames = reader.read(decode(entry.payload).frames, batch)
            if len(frames):
                yield frames
    notes += reader.notes()


class _Reader:
    """Makes recorded frames of records and their events."""

    def __init__(self, keep: Keep | None, define: Callable[[Frames], object]) -> None:
        self._keep = keep
        self._define = define
        self._sessions: dict[int, int] = {}
        self._stops: dict[int, Frames] = {}  # waiting for their price, by order id
        self._latest = 0
        self._plain_terms = self._by_cash = self._lists = self._auctions = self._prevented = 0

    def notes(self) -> list[str]:
        """Return what is not in the recording as it was on the exchange."""
        counts = {
            "orders with display or minimum quantity came in as plain ones": (self._plain_terms),
            "orders for an amount of cash were left out": self._by_cash,
            "order lists were left out": self._lists,
            "changes of phase and uncrossings were left out: trading is continuous": (
                self._auctions
            ),
            "orders asked for self-trade prevention, which needs accounts: it is off": (
                self._prevented
            ),
        }
        return [f"{count:,} {what}" for what, count in counts.items() if count]

    def read(self, view: memoryview, batch: Batch) -> Frames:
        """Return the frames of one record, ready for a recording."""
        whole = np.frombuffer(view, COMMAND)
        self._define(whole)
        starts = _starts(whole)
        events = batch.events
        frames = self._orders(whole, starts, events)
        self._count(whole[starts])
        tail = [self._released(events), _cancels(frames, events)]
        frames = np.concatenate([frames, *tail])
        if self._keep is not None:
            frames = frames[self._keep(frames)]
        self._latest = max(self._latest, batch.ts_ns)
        frames["ts_ns"] = self._latest
        frames["order_id"] = self._renumbered(frames["order_id"])
        for name in ("account_id", "session_id", "sent_ts_ns", "stp", "cont"):
            frames[name] = 0
        return frames

    def _orders(self, whole: Frames, starts: _Ids, events: Frames) -> Frames:
        """Return the order commands that were done; stops begin to wait."""
        heads = whole[starts]
        kinds, ids = heads["kind"], heads["order_id"]
        refused = _ids(events, EventKind.REJECTED, CellKind.REPEATED)
        new = (kinds == CommandKind.NEW_ORDER) & ~np.isin(ids, refused)
        # In a recording all accounts are one, so what was refused because the order is somebody
        # else's would be done. A record that holds a replace that was done and one that was not
        # keeps both: the engine tells them apart again.
        replaces = kinds == CommandKind.REPLACE_ORDER
        done = np.isin(ids, _ids(events, EventKind.REPLACED))
        wrong = _asked(heads, events, EventKind.CANCEL_REJECTED, EventKind.REPLACE_REJECTED)
        other = ((kinds == CommandKind.CANCEL_ORDER) | replaces) & ~(wrong & ~(replaces & done))
        for at in np.flatnonzero(new & (heads["cont"] > 0)).tolist():
            terms = whole[starts[at] + 1 : starts[at] + 2].view(TERMS)[0]
            if terms["stop_px"] or terms["trailing_bps"]:
                new[at] = False
                self._stops[int(ids[at])] = heads[at : at + 1].copy()
            elif terms["cash_order_qty"]:
                new[at] = False
                self._by_cash += 1
            elif terms["display_qty"] or terms["min_qty"]:
                self._plain_terms += 1
        self._prevented += int(np.count_nonzero(new & (heads["stp"] != 0)))
        kept: Frames = heads[new | other]
        return kept

    def _released(self, events: Frames) -> Frames:
        """Return the stops whose price was reached, as what they have become."""
        out = []
        for number in _ids(events, EventKind.TRIGGERED).tolist():
            stop = self._stops.pop(number, None)
            if stop is not None:
                kind = int(stop["ord_type"][0])
                stop["ord_type"] = _TRIGGERED.get(OrdType(kind), kind)
                out.append(stop)
        for number in _ids(events, EventKind.CANCELED, EventKind.EXPIRED).tolist():
            self._stops.pop(number, None)
        return np.concatenate(out) if out else np.zeros(0, COMMAND)

    def _count(self, heads: Frames) -> None:
        for kind, count in zip(*np.unique(heads["kind"], return_counts=True), strict=True):
            if kind == CommandKind.NEW_ORDER_LIST:
                self._lists += int(count)
            elif kind not in _SILENT and kind not in _ORDERS:
                self._auctions += int(count)

    def _renumbered(self, ids: _Ids) -> _Ids:
        high = ids >> np.uint64(32)
        for session in np.unique(high).tolist():
            self._sessions.setdefault(session, len(self._sessions))
        found = np.array([self._sessions[one] for one in high.tolist()], np.uint64)
        return found << np.uint64(32) | ids & np.uint64(0xFFFF_FFFF)


def _starts(frames: Frames) -> _Ids:
    """Return where commands begin: continuation frames are passed over."""
    counts = frames["cont"]
    if not bool(counts.any()):
        return np.arange(len(frames), dtype=np.uint64)
    starts, at = [], 0
    while at < len(frames):
        starts.append(at)
        at += 1 + int(counts[at])
    return np.array(starts, np.uint64)


def _ids(events: Frames, *kinds: int) -> _Ids:
    """Return the order ids of events of some kinds."""
    found: _Ids = events["order_id"][np.isin(events["kind"], kinds)]
    return found


def _asked(heads: Frames, events: Frames, *kinds: int) -> npt.NDArray[np.bool_]:
    """Return which commands are of an order and an account that events of some kinds name."""
    rows = events[np.isin(events["kind"], kinds)]
    named = set(zip(rows["order_id"].tolist(), rows["account_id"].tolist(), strict=True))
    pairs = zip(heads["order_id"].tolist(), heads["account_id"].tolist(), strict=True)
    if not named:
        return np.zeros(len(heads), bool)
    return np.fromiter((pair in named for pair in pairs), bool, len(heads))


def _cancels(frames: Frames, events: Frames) -> Frames:
    """Return cancels of the orders that left the book without a command that says so."""
    gone = np.unique(_ids(events, EventKind.CANCELED, EventKind.EXPIRED))
    at_once = np.isin(frames["tif"], (Tif.IOC, Tif.FOK)) | (frames["ord_type"] == OrdType.MARKET)
    told = (frames["kind"] == CommandKind.CANCEL_ORDER) | at_once
    gone = gone[~np.isin(gone, frames["order_id"][told])]
    out = np.zeros(len(gone), COMMAND)
    out["kind"], out["order_id"] = CommandKind.CANCEL_ORDER, gone
    return out
