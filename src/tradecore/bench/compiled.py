"""The open loop of `openloop` for a compiled caller: Numba code that drives the kernel directly.

What a service author gets who embeds the kernel from compiled code; the loop in Python beside it
costs two clock readings, a slice and a call of the interpreter on top. Importing this module
imports Numba (extra ``research``).
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradecore.bench.openloop import STALL_NS, Run
from tradecore.kernels._jit import jit
from tradecore.kernels.native import apply

__all__ = ["compiled_open_loop"]

_MONOTONIC: Final = 1
# The argument travels as an integer, as the kernel's handles do.
_gettime: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_size_t)(
    ("clock_gettime", ctypes.CDLL(None))
)
_GAPS: Final = 4_096  # stalls kept apart, at most


@jit
def _now(seconds_and_ns: npt.NDArray[np.int64]) -> int:
    """Read the monotonic clock; the array is where the system puts it."""
    _gettime(_MONOTONIC, seconds_and_ns.ctypes.data)
    ns: int = seconds_and_ns[0] * 1_000_000_000 + seconds_and_ns[1]
    return ns


@jit
def _loop(
    handle: int,
    frames: Any,
    rate: int,
    burst: int,
    latency: npt.NDArray[np.int64],
    gaps: npt.NDArray[np.int64],
) -> tuple[int, int, int]:
    """Fill `latency` and `gaps`; return calls, gaps and nanoseconds."""
    buffer = np.zeros(2, np.int64)
    count = len(frames)
    at, calls, n_gaps = 0, 0, 0
    start = _now(buffer)
    now = start
    while at < count:
        due = (now - start) * rate // 1_000_000_000 + 1
        if due <= at:
            seen = _now(buffer)
            if seen - now > STALL_NS and n_gaps < len(gaps):
                gaps[n_gaps] = seen - now
                n_gaps += 1
            now = seen
            continue
        due = min(due, at + burst, count)
        apply(handle, frames[at:due])
        now = _now(buffer)
        for i in range(at, due):
            latency[i] = now - (start + i * 1_000_000_000 // rate)
        at = due
        calls += 1
    return calls, n_gaps, now - start


def compiled_open_loop(
    handle: int, frames: npt.NDArray[np.void], rate: int, *, burst: int = 64
) -> Run:
    """Hand commands to the engine at `rate` a second from compiled code; see `openloop.open_loop`.

    Parameters
    ----------
    handle : int
        `tradecore.Engine.handle`.
    frames : ndarray of tradecore.COMMAND, shape (n,)
    rate, burst : int
        Commands a second, and most commands of one call.
    """
    # Filled, not zeroed: the first touch of a large page costs 100 us and must not be measured.
    latency, gaps = np.full(len(frames), -1, np.int64), np.full(_GAPS, -1, np.int64)
    _loop(handle, frames[:0], rate, burst, latency[:0], gaps)  # compiles
    calls, n_gaps, elapsed = _loop(handle, frames, rate, burst, latency, gaps)
    return Run(latency, calls, elapsed, gaps[:n_gaps].copy())
