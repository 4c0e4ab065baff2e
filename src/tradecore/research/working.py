"""Open lots out of events: what every account still has working, from what was published."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tradecore.codes import EventKind, FillFlag
from tradecore.dtypes import FILL_EVENT, ORDER_EVENT
from tradecore.status import Status

__all__ = ["Working"]

Table = npt.NDArray[np.void]

_ENGINE_IDS: Final = 1 << 63
_ORDER_KINDS: Final = np.array(
    [
        EventKind.ACCEPTED,
        EventKind.CANCELED,
        EventKind.EXPIRED,
        EventKind.REPLACED,
        EventKind.TRIGGERED,
        EventKind.RESTATED,
    ],
    np.uint8,
)


class Working:
    """Open quantity of every live order, from ACCEPTED on; sums are what position limits see.

    Pending members of lists are not held, orders by cash and the engine's own count nothing, as
    docs/reference/accounts.md section 1 says.
    """

    def __init__(self) -> None:
        # order id: [account, instrument, side, open lots]
        self._open: dict[int, list[int]] = {}

    def feed(self, events: Table) -> None:
        """Take over the events of whole commands. O(order events and fills), in Python."""
        of_order = np.isin(events["kind"], _ORDER_KINDS)
        wanted = np.flatnonzero(of_order | (events["kind"] == EventKind.FILL))
        rows = np.ascontiguousarray(events[wanted])
        orders = rows.view(ORDER_EVENT)
        fills = rows.view(FILL_EVENT)
        for at, kind in enumerate(rows["kind"].tolist()):
            if kind == EventKind.FILL:
                fill = fills[at]
                if not int(fill["flags"]) & FillFlag.ADL:
                    self._less(int(fill["order_id"]), int(fill["last_qty"]))
                    self._less(int(fill["maker_order_id"]), int(fill["last_qty"]))
            else:
                self._order(kind, orders[at])

    def _less(self, order_id: int, qty: int) -> None:
        known = self._open.get(order_id)
        if known is not None:
            known[3] -= qty
            if known[3] <= 0:
                del self._open[order_id]

    def _order(self, kind: int, row: Table) -> None:
        order_id = int(row["order_id"])
        leaves = int(row["leaves_qty"])
        if order_id >= _ENGINE_IDS:
            return
        pending = kind == EventKind.ACCEPTED and int(row["status"]) == Status.PENDING
        if kind in (EventKind.CANCELED, EventKind.EXPIRED) or leaves == 0 or pending:
            self._open.pop(order_id, None)
            return
        who = int(row["account_id"]), int(row["instrument_id"]), int(row["side"])
        self._open[order_id] = [*who, leaves]

    def totals(self) -> dict[tuple[int, ...], int]:
        """Return the open lots by (account, instrument, side)."""
        sums: dict[tuple[int, ...], int] = {}
        for account, instrument, side, leaves in self._open.values():
            key = account, instrument, side
            sums[key] = sums.get(key, 0) + leaves
        return sums
