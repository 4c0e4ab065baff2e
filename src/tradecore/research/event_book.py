"""The book of a market out of its events: what a reader of `executions` knows.

Keeps every resting order, so best prices can leave out one account's own orders, and an order's
place in its queue can be counted. Hidden parts of icebergs count, as in a backtest.
"""

from __future__ import annotations

import heapq
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradecore.codes import EventKind
from tradecore.dtypes import FILL_EVENT, ORDER_EVENT
from tradecore.status import Status

__all__ = ["EventBook"]

Table = npt.NDArray[np.void]

_BUY: Final = 1
_WORKING: Final = (EventKind.ACCEPTED, EventKind.REPLACED, EventKind.TRIGGERED, EventKind.RESTATED)
_ENDED: Final = (EventKind.CANCELED, EventKind.EXPIRED)


class _Side:
    """Open lots by price; stale entries of the heap are dropped when they surface."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._heap: list[int] = []
        self.lots: dict[int, int] = {}

    def add(self, px: int, qty: int) -> None:
        """Change the lots of a price."""
        have = self.lots.get(px)
        if have is None:
            heapq.heappush(self._heap, self._sign * px)
        left = (have or 0) + qty
        if left > 0:
            self.lots[px] = left
        else:
            self.lots.pop(px, None)

    def best(self) -> tuple[int, int]:
        """Return (px, lots), zeros for an empty side. Amortised O(log n)."""
        while self._heap:
            px = self._sign * self._heap[0]
            if px in self.lots:
                return px, self.lots[px]
            heapq.heappop(self._heap)
        return 0, 0


class EventBook:
    """The book of one instrument.

    Parameters
    ----------
    account_id : int or None
        Whose orders are left out of the best prices; None: nobody's.
    """

    def __init__(self, account_id: int | None = None) -> None:
        self._account = account_id
        self._sides = (_Side(-1), _Side(1))
        # order id: [side, px, open lots, rank in time, counted in the levels]
        self._orders: dict[int, list[int]] = {}
        self._rank = 0

    def quote(self) -> tuple[int, int, int, int]:
        """Return (bid_px, bid_qty, ask_px, ask_qty)."""
        return (*self._sides[0].best(), *self._sides[1].best())

    def ahead(self, order_id: int) -> tuple[int, int]:
        """Return (lots, orders) in front of an order, (-1, 0) if it does not rest. O(orders)."""
        mine = self._orders.get(order_id)
        if mine is None:
            return -1, 0
        front = [o[2] for o in self._orders.values() if o[:2] == mine[:2] and o[3] < mine[3]]
        return sum(front), len(front)

    def order(self, row: Table) -> None:
        """Take over an order event."""
        kind, order_id = int(row["kind"]), int(row["order_id"])
        leaves, px = int(row["leaves_qty"]), int(row["px"])
        waiting = kind == EventKind.ACCEPTED and row["status"] in (Status.DORMANT, Status.PENDING)
        if kind in _ENDED or leaves == 0 or px == 0 or waiting:
            self._remove(order_id)
            return
        if kind not in _WORKING:
            return
        known = self._orders.get(order_id)
        kept = known is not None and known[1] == px and leaves <= known[2]
        if kept and not (kind == EventKind.RESTATED and row["status"] == Status.ICEBERG_REFRESH):
            assert known is not None
            self._lots(known, leaves - known[2])
            known[2] = leaves
            return
        self._remove(order_id)
        self._rank += 1
        counted = self._account is None or int(row["account_id"]) != self._account
        self._orders[order_id] = fresh = [int(row["side"]), px, leaves, self._rank, int(counted)]
        self._lots(fresh, leaves)

    def fill(self, row: Table) -> None:
        """Take over a fill: both orders have less."""
        qty = int(row["last_qty"])
        for order_id in (int(row["order_id"]), int(row["maker_order_id"])):
            known = self._orders.get(order_id)
            if known is None:
                continue
            if known[2] > qty:
                self._lots(known, -qty)
                known[2] -= qty
            else:
                self._remove(order_id)

    def _lots(self, order: list[int], change: int) -> None:
        if order[4]:
            self._sides[order[0] - _BUY].add(order[1], change)

    def _remove(self, order_id: int) -> None:
        known = self._orders.pop(order_id, None)
        if known is not None:
            self._lots(known, -known[2])

    def feed(self, events: Any) -> None:
        """Take over events in their order; those of other kinds are passed over."""
        orders, fills = events.view(ORDER_EVENT), events.view(FILL_EVENT)
        for at, kind in enumerate(events["kind"].tolist()):
            if kind == EventKind.FILL:
                self.fill(fills[at])
            elif kind in _WORKING or kind in _ENDED:
                self.order(orders[at])
