"""Rows of the tables that a run leaves behind, as numpy structured dtypes.

One owner of the field names, so that the runner, the ledger, the tear sheets and the files agree.
Units: ``*_ns`` are nanoseconds on the exchange clock of the recording (``seen_ns`` and ``sent_ns``
are read where the strategy stands), ``*_px`` ticks, ``*_qty`` lots, money in the smallest unit of
the quote asset. A price of 0 means "none", a time of -1 "never".
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

__all__ = [
    "DEPTH_ROW",
    "EQUITY_ROW",
    "FILL_ROW",
    "NEVER",
    "ORDER_ROW",
    "POSITION_ROW",
    "QUEUE_ROW",
    "QUOTE_ROW",
    "TABLES",
    "OrderState",
]

NEVER: Final = -1
"""The time of something that did not happen."""


class OrderState(IntEnum):
    """Where an own order was when the run ended."""

    IN_FLIGHT = 0
    LIVE = 1
    FILLED = 2
    CANCELED = 3
    EXPIRED = 4
    REJECTED = 5


ORDER_ROW: Final = np.dtype(
    [
        ("order_id", "<u8"),
        ("instrument_id", "<u4"),
        ("side", "u1"),  # 1 buy, 2 sell
        ("ord_type", "u1"),
        ("tif", "u1"),
        ("state", "u1"),  # OrderState
        ("status", "<u2"),  # of the last event about it; a refusal's reason
        ("flags", "<u2"),
        ("ahead_orders", "<i4"),  # orders in front of it when it came to rest, -1 never rested
        ("ahead_qty", "<i8"),  # lots in front of it then, hidden parts included, -1 never rested
        ("px", "<i8"),  # as last accepted
        ("order_qty", "<i8"),
        ("cum_qty", "<i8"),
        ("canceled_qty", "<i8"),  # leaves = order_qty - cum_qty - canceled_qty
        ("filled_ticks", "<i8"),  # sum of price x lots of its fills: / cum_qty is avg_px
        ("sent_ns", "<i8"),  # the strategy decided
        ("arrived_ns", "<i8"),  # the exchange executed the command
        ("rested_ns", "<i8"),
        ("first_fill_ns", "<i8"),
        ("ended_ns", "<i8"),
        ("bid_px", "<i8"),  # what the strategy saw when it decided
        ("ask_px", "<i8"),
    ]
)
"""One own order."""

FILL_ROW: Final = np.dtype(
    [
        ("seq", "<u8"),  # of the engine's FILL event
        ("ts_ns", "<i8"),
        ("seen_ns", "<i8"),  # when the strategy learnt of it; -1 not before the end
        ("order_id", "<u8"),
        ("contra_order_id", "<u8"),
        ("instrument_id", "<u4"),
        ("side", "u1"),
        ("maker", "u1"),  # 1: the own order was resting
        ("flags", "<u2"),  # tradecore.FillFlag
        ("last_px", "<i8"),
        ("last_qty", "<i8"),
        ("fee", "<i8"),
        ("cash_delta", "<i8"),
        ("realised_pnl", "<i8"),  # fee not included
        ("position_qty", "<i8"),  # after it
        ("bid_px", "<i8"),  # of the exchange's book, right after the command that caused it
        ("ask_px", "<i8"),
    ]
)
"""One fill of an own order. Where both sides are own orders there are two rows."""

POSITION_ROW: Final = np.dtype(
    [
        ("ts_ns", "<i8"),
        ("instrument_id", "<u4"),
        ("reserved", "<u4"),
        ("qty", "<i8"),  # signed lots
        ("cost", "<i8"),  # signed cost basis, average cost
        ("realised", "<i8"),  # running, fees not included
        ("fees", "<i8"),  # running
    ]
)
"""The position of one instrument after a fill."""

QUOTE_ROW: Final = np.dtype(
    [
        ("ts_ns", "<i8"),
        ("instrument_id", "<u4"),
        ("reserved", "<u4"),
        ("bid_px", "<i8"),
        ("bid_qty", "<i8"),
        ("ask_px", "<i8"),
        ("ask_qty", "<i8"),
        ("last_px", "<i8"),
        ("position_qty", "<i8"),
    ]
)
"""A sample of the exchange's best prices and of the own position."""

EQUITY_ROW: Final = np.dtype(
    [
        ("ts_ns", "<i8"),
        ("cash", "<i8"),  # all fills so far, fees paid
        ("value", "<i8"),  # positions at the middle price, floor
        ("equity", "<i8"),
        ("realised", "<i8"),
        ("fees", "<i8"),
    ]
)
"""A sample of the account over all instruments; starts from 0 unless cash was given."""

DEPTH_ROW: Final = np.dtype(
    [
        ("ts_ns", "<i8"),
        ("instrument_id", "<u4"),
        ("side", "u1"),
        ("level", "u1"),  # 0 = best
        ("reserved", "<u2"),
        ("px", "<i8"),
        ("qty", "<i8"),
    ]
)
"""A sample of one price level of the exchange's book."""

QUEUE_ROW: Final = np.dtype(
    [
        ("order_id", "<u8"),
        ("instrument_id", "<u4"),
        ("side", "u1"),
        ("state", "u1"),
        ("reserved", "<u2"),
        ("px", "<i8"),
        ("order_qty", "<i8"),
        ("cum_qty", "<i8"),
        ("ahead_orders", "<i8"),
        ("ahead_qty", "<i8"),
        ("rested_ns", "<i8"),
        ("wait_ns", "<i8"),  # from rest to the first fill, -1 never filled
        ("life_ns", "<i8"),  # from rest to the end, -1 still alive
    ]
)
"""How long an own order stood in its queue; derived from the orders table."""

TABLES: Final = {
    "orders": ORDER_ROW,
    "fills": FILL_ROW,
    "positions": POSITION_ROW,
    "quotes": QUOTE_ROW,
    "equity": EQUITY_ROW,
    "depth": DEPTH_ROW,
}
"""The tables of a `Result`, by name."""
