"""Numpy dtypes of every frame, built from the layout that the C compiler reports.

Nothing is written down twice: field names, offsets and sizes come from ``tradecore_ext._abi``, so
an array of these dtypes over a buffer *is* the array of C structs. All dtypes are packed,
little-endian and carry their reserved fields, which must stay zero.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tradecore_ext import _abi

__all__ = [
    "ACCOUNT_EVENT",
    "ADMIN",
    "AUDIT_EVENT",
    "BALANCE_EVENT",
    "BATCH_EVENT",
    "COMMAND",
    "EVENT",
    "FILL_EVENT",
    "INSTRUMENT",
    "LEVEL_EVENT",
    "LIMITS",
    "LIST",
    "MARGIN_TIER",
    "MARKET_EVENT",
    "ORDER_EVENT",
    "QUOTE_EVENT",
    "REJECT_EVENT",
    "REPEAT_EVENT",
    "SETTLE_EVENT",
    "TERMS",
    "TRADE_EVENT",
]


def _dtype(struct: str) -> np.dtype[np.void]:
    """Return the dtype of one C struct of ``tc_frame.h``, nested structs included."""
    layout = _abi.STRUCTS[struct]
    names: list[str] = []
    formats: list[object] = []
    offsets: list[int] = []
    for name, (kind, offset, count, _size) in layout["fields"].items():
        element: object = _dtype(kind) if kind in _abi.STRUCTS else np.dtype(kind)
        names.append(name)
        formats.append(element if count == 1 else (element, (count,)))
        offsets.append(offset)
    return np.dtype(
        {"names": names, "formats": formats, "offsets": offsets, "itemsize": layout["itemsize"]}
    )


COMMAND: Final = _dtype("tc_command")
TERMS: Final = _dtype("tc_terms")
LIST: Final = _dtype("tc_list")
ADMIN: Final = _dtype("tc_admin")
MARGIN_TIER: Final = _dtype("tc_margin_tier")
INSTRUMENT: Final = _dtype("tc_instrument")
LIMITS: Final = _dtype("tc_limits")
EVENT: Final = _dtype("tc_event")
ORDER_EVENT: Final = _dtype("tc_order_event")
FILL_EVENT: Final = _dtype("tc_fill_event")
SETTLE_EVENT: Final = _dtype("tc_settle_event")
REJECT_EVENT: Final = _dtype("tc_reject_event")
MARKET_EVENT: Final = _dtype("tc_market_event")
BALANCE_EVENT: Final = _dtype("tc_balance_event")
ACCOUNT_EVENT: Final = _dtype("tc_account_event")
BATCH_EVENT: Final = _dtype("tc_batch_event")
REPEAT_EVENT: Final = _dtype("tc_repeat_event")
TRADE_EVENT: Final = _dtype("tc_trade_event")
QUOTE_EVENT: Final = _dtype("tc_quote_event")
LEVEL_EVENT: Final = _dtype("tc_level_event")
AUDIT_EVENT: Final = _dtype("tc_audit_event")
