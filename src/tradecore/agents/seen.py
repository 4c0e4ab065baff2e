"""One step's events, sorted by what participants and score keepers want to know."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tradecore.codes import EventKind, FillFlag
from tradecore.dtypes import ACCOUNT_EVENT, BALANCE_EVENT, FILL_EVENT, MARKET_EVENT, SETTLE_EVENT

__all__ = ["Seen"]

Events = npt.NDArray[np.void]


class Seen:
    """Events taken apart once, for several readers.

    Parameters
    ----------
    events : ndarray of `tradecore.EVENT`, shape (n,)
        Only read during construction; what is kept are copies.

    Attributes
    ----------
    count : int
        n.
    counts : ndarray of int64, shape (32,)
        Events by kind.
    fills : ndarray of `tradecore.FILL_EVENT`
        In order.
    settled : ndarray of `tradecore.SETTLE_EVENT`
        In order; taker before maker of each fill. Empty with accounts off.
    transfers : ndarray of `tradecore.BALANCE_EVENT`
        Movements of cash with a reason of the engine's own: funding, liquidation.
    states : ndarray of int64, shape (n, 2)
        Account and new state of every step of a liquidation.
    phases : ndarray of `tradecore.MARKET_EVENT`
        Changes of trading phase.
    came, gone : ndarray of uint64
        Ids of orders that were accepted; that ended (filled, cancelled or expired).
    refused : ndarray of int64
        Statuses of refusals of every kind.
    """

    def __init__(self, events: Events) -> None:
        kind = np.ascontiguousarray(events["kind"])
        self.count = len(kind)
        self.counts = np.bincount(kind, minlength=32)
        self.fills: Events = events[kind == EventKind.FILL].view(FILL_EVENT)
        self.settled: Events = events[kind == EventKind.SETTLED].view(SETTLE_EVENT)
        balances = events[kind == EventKind.BALANCE].view(BALANCE_EVENT)
        self.transfers: Events = balances[balances["status"] != 0]
        states = events[kind == EventKind.ACCOUNT_STATE].view(ACCOUNT_EVENT)
        self.states = np.stack((states["account_id"], states["state"]), axis=1).astype(np.int64)
        self.phases: Events = events[kind == EventKind.PHASE].view(MARKET_EVENT)
        self.came = events["order_id"][kind == EventKind.ACCEPTED]
        ended = (kind == EventKind.CANCELED) | (kind == EventKind.EXPIRED)
        flags = self.fills["flags"]
        self.gone = np.concatenate(
            (
                events["order_id"][ended],
                self.fills["order_id"][(flags & FillFlag.TAKER_DONE) != 0],
                self.fills["maker_order_id"][(flags & FillFlag.MAKER_DONE) != 0],
            )
        )
        refused = (
            (kind == EventKind.REJECTED)
            | (kind == EventKind.CANCEL_REJECTED)
            | (kind == EventKind.REPLACE_REJECTED)
        )
        self.refused = events["status"][refused].astype(np.int64)
