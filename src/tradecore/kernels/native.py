"""Drive an engine from compiled Numba code: no Python object and no interpreter in the loop.

A strategy that is itself an ``@njit`` function builds command frames in a structured array, calls
`apply` and reads the events in place. The functions here are the kernel's exported C functions,
called by address, so a call costs what a C call costs. They need Numba (extra ``research``); unlike
the other kernels there is nothing they could fall back to.

Handles are plain integers (`tradecore.Engine.handle`). The engine must outlive every call, and one
engine is driven by one thread at a time: these functions do not hold the GIL and check nothing.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

import numba
import numpy as np
from numba.extending import get_cython_function_address, intrinsic

from tradecore import dtypes
from tradecore.kernels._jit import jit
from tradecore_ext import _abi

__all__ = ["apply", "best_px", "best_qty", "events", "events_as_fills", "fault", "pointer"]

# Pointers travel as integers: the machine sees no difference, and Numba has no untyped pointers.
_POINTER: Final = ctypes.c_size_t


def _exported(name: str, result: Any, *arguments: Any) -> Any:
    """Return an exported kernel function as something compiled code can call."""
    address = get_cython_function_address("tradecore_ext.engine", name)
    return ctypes.CFUNCTYPE(result, *arguments)(address)


_U8, _U32, _I64, _U64 = ctypes.c_uint8, ctypes.c_uint32, ctypes.c_int64, ctypes.c_uint64
_abi_number = _exported("tc_abi", _U32)
_apply = _exported("tc_apply", _U64, _POINTER, _POINTER, _U64)
# A signed count: Numba makes a float of a sum of signed and unsigned 64-bit integers.
_event_count = _exported("tc_event_count", _I64, _POINTER)
_events = _exported("tc_events", _POINTER, _POINTER)
_fault = _exported("tc_fault", _U32, _POINTER)
_best_px = _exported("tc_best_px", _I64, _POINTER, _U32, _U8)
_best_qty = _exported("tc_best_qty", _I64, _POINTER, _U32, _U8)

if _abi_number() != _abi.ABI:
    raise ImportError(
        f"tradecore_ext.engine has ABI {_abi_number()}, tradecore_ext._abi {_abi.ABI}: "
        "the installation is mixed, install tradecore again"
    )

_EVENT: Final = dtypes.EVENT
_FILL_EVENT: Final = dtypes.FILL_EVENT
# Numba's own annotations do not know what its compiler accepts.
_carray: Any = getattr(numba, "carray")  # noqa: B009


def _to_pointer(_context: Any, address: Any) -> Any:
    """Turn an address into a pointer for `numba.carray`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return numba.types.voidptr(address), generate


pointer: Any = intrinsic(_to_pointer)
"""Inside compiled code: an address as a pointer for `numba.carray`."""


@jit
def apply(handle: int, commands: np.ndarray[Any, Any]) -> int:
    """Run whole command frames and return the number of events they caused.

    Parameters
    ----------
    handle : int
        `tradecore.Engine.handle`.
    commands : ndarray of tradecore.COMMAND, C-contiguous, shape (n,)
        Frames in order; continuation frames are views of the same memory.

    Returns
    -------
    int
        Events of this call, to be read with `events`; 0 when the engine has stopped (see `fault`).

    Notes
    -----
    O(frames + fills).
    """
    if _apply(handle, commands.ctypes.data, commands.size) < commands.size:
        return 0
    count: int = _event_count(handle)
    return count


@jit
def events(handle: int) -> np.ndarray[Any, Any]:
    """Return the events of the last `apply` without copying them.

    Parameters
    ----------
    handle : int
        `tradecore.Engine.handle`.

    Returns
    -------
    ndarray of tradecore.EVENT, shape (n,)
        A view of the engine's own buffer, valid until the next call that runs commands.
    """
    shape = (_event_count(handle),)
    view: np.ndarray[Any, Any] = _carray(pointer(_events(handle)), shape, _EVENT)
    return view


@jit
def events_as_fills(handle: int) -> np.ndarray[Any, Any]:
    """Return the events of the last `apply` seen as fills; look at ``kind`` before anything else.

    Parameters
    ----------
    handle : int
        `tradecore.Engine.handle`.

    Returns
    -------
    ndarray of tradecore.FILL_EVENT, shape (n,)
        The same memory as `events`; ``last_px`` and what follows it mean something only in frames
        whose ``kind`` is ``EventKind.FILL``.
    """
    shape = (_event_count(handle),)
    view: np.ndarray[Any, Any] = _carray(pointer(_events(handle)), shape, _FILL_EVENT)
    return view


@jit
def fault(handle: int) -> int:
    """Return the status that stopped the engine (9xx), 0 while it runs. O(1)."""
    status: int = _fault(handle)
    return status


@jit
def best_px(handle: int, instrument_id: int, side: int) -> int:
    """Return the best price of a side (1 buy, 2 sell) in ticks, 0 when it is empty. O(1)."""
    px: int = _best_px(handle, instrument_id, side)
    return px


@jit
def best_qty(handle: int, instrument_id: int, side: int) -> int:
    """Return the lots standing at the best price of a side, 0 when it is empty. O(1)."""
    qty: int = _best_qty(handle, instrument_id, side)
    return qty
