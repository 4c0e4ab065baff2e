"""The backtest loop for compiled strategies: wait, look, send, without a Python object in between.

A compiled strategy is an ``@njit`` function that takes the handle of a loop and calls these. Each
costs what a C call costs. They need Numba (extra ``research``). `tradecore.research.run_compiled`
prepares the market and hands out the handle; the loop is driven by one thread.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

import numba
import numpy as np
from numba.extending import get_cython_function_address

from tradecore.kernels._jit import jit
from tradecore.kernels.native import pointer

__all__ = [
    "BOOK",
    "END",
    "FOREVER",
    "NOTICE",
    "ORDER",
    "TIMER",
    "TRADE",
    "ahead",
    "ask_px",
    "ask_qty",
    "bid_px",
    "bid_qty",
    "cancel",
    "leaves",
    "note",
    "now_ns",
    "position",
    "replace",
    "submit",
    "wait",
]

END: Final = 0
TIMER: Final = 1
BOOK: Final = 2
TRADE: Final = 3
ORDER: Final = 4

FOREVER: Final = (1 << 62) - 1
"""A time that never comes."""

NOTICE: Final = np.dtype(
    [
        ("ts_ns", "<i8"),
        ("seen_ns", "<i8"),
        ("order_id", "<u8"),
        ("px", "<i8"),
        ("qty", "<i8"),
        ("leaves_qty", "<i8"),
        ("cum_qty", "<i8"),
        ("bid_px", "<i8"),
        ("bid_qty", "<i8"),
        ("ask_px", "<i8"),
        ("ask_qty", "<i8"),
        ("instrument_id", "<u4"),
        ("status", "<u2"),
        ("kind", "u1"),
        ("side", "u1"),
        ("event", "u1"),
        ("maker", "u1"),
        ("over", "u1"),
        ("reserved", "u1", (5,)),
    ]
)
"""What the strategy is told: TRADE and fills have ``px`` and ``qty`` of the trade, BOOK the four
prices and quantities, ORDER events the order's own values; ``over`` says that it is the last."""

_POINTER: Final = ctypes.c_size_t
_I32, _U8, _U32, _I64 = ctypes.c_int32, ctypes.c_uint8, ctypes.c_uint32, ctypes.c_int64


def _exported(name: str, result: Any, *arguments: Any) -> Any:
    address = get_cython_function_address("tradecore_ext.backtest", name)
    return ctypes.CFUNCTYPE(result, *arguments)(address)


_wait = _exported("bt_wait", _I32, _POINTER, _I64)
_note = _exported("bt_note", _POINTER, _POINTER)
_now = _exported("bt_now", _I64, _POINTER)
# Order ids stay below 2^63, so they travel as signed numbers: Numba mixes the two into floats.
_submit = _exported("bt_submit", _I64, _POINTER, _U32, _U8, _I64, _I64, _U8, _U8, _U32)
_cancel = _exported("bt_cancel", _I32, _POINTER, _I64)
_replace = _exported("bt_replace", _I32, _POINTER, _I64, _I64, _I64, _U32)
_best_px = _exported("bt_best_px", _I64, _POINTER, _U32, _U8)
_best_qty = _exported("bt_best_qty", _I64, _POINTER, _U32, _U8)
_position = _exported("bt_position", _I64, _POINTER, _U32)
_ahead = _exported("bt_ahead", _I64, _POINTER, _I64)
_leaves = _exported("bt_leaves", _I64, _POINTER, _I64)

_carray: Any = getattr(numba, "carray")  # noqa: B009 - its annotations lack what it accepts


@jit
def wait(handle: int, until_ns: int) -> int:
    """Go on to the next notice that was subscribed to, or to `until_ns`, whichever is first.

    Returns
    -------
    int
        BOOK, TRADE, ORDER: see `note`. TIMER: `until_ns` has come. END or below: return from the
        strategy; the caller turns a negative value into an exception.
    """
    what: int = _wait(handle, until_ns)
    return what


@jit
def note(handle: int) -> Any:
    """Return the notice of the last `wait`, a record of `NOTICE` that the next one overwrites."""
    return _carray(pointer(_note(handle)), (1,), NOTICE)[0]


@jit
def now_ns(handle: int) -> int:
    """Return the strategy's time."""
    value: int = _now(handle)
    return value


@jit
def submit(
    handle: int,
    instrument_id: int,
    side: int,
    px: int,
    qty: int,
    ord_type: int = 2,
    tif: int = 1,
    flags: int = 0,
) -> int:
    """Send a new order (1 buy, 2 sell; ticks, lots) and return its id; 0 if it cannot be sent."""
    order_id: int = _submit(handle, instrument_id, side, px, qty, ord_type, tif, flags)
    return order_id


@jit
def cancel(handle: int, order_id: int) -> int:
    """Send a cancel; 0 if the id is not that of an own order."""
    sent: int = _cancel(handle, order_id)
    return sent


@jit
def replace(handle: int, order_id: int, px: int, qty: int, flags: int = 0) -> int:
    """Send a replace (0 keeps a value); 0 if the id is not that of an own order."""
    sent: int = _replace(handle, order_id, px, qty, flags)
    return sent


@jit
def bid_px(handle: int, instrument_id: int) -> int:
    """Return the best bid in ticks as the strategy knows it, 0 for an empty side."""
    px: int = _best_px(handle, instrument_id, 1)
    return px


@jit
def ask_px(handle: int, instrument_id: int) -> int:
    """Return the best ask in ticks as the strategy knows it, 0 for an empty side."""
    px: int = _best_px(handle, instrument_id, 2)
    return px


@jit
def bid_qty(handle: int, instrument_id: int) -> int:
    """Return the lots at the best bid."""
    qty: int = _best_qty(handle, instrument_id, 1)
    return qty


@jit
def ask_qty(handle: int, instrument_id: int) -> int:
    """Return the lots at the best ask."""
    qty: int = _best_qty(handle, instrument_id, 2)
    return qty


@jit
def position(handle: int, instrument_id: int) -> int:
    """Return the lots held, signed, as far as the strategy has been told."""
    qty: int = _position(handle, instrument_id)
    return qty


@jit
def ahead(handle: int, order_id: int) -> int:
    """Return the lots in front of an own resting order, -1 if it does not rest, -2 if unknowable.

    With a feed latency the queue as it stands now is not known. O(orders ahead).
    """
    lots: int = _ahead(handle, order_id)
    return lots


@jit
def leaves(handle: int, order_id: int) -> int:
    """Return the open lots of an own order as far as the strategy knows, 0 if it is over."""
    lots: int = _leaves(handle, order_id)
    return lots
