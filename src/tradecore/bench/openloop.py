"""Latency in open loop: commands are due at scheduled times, whether or not the last one is done.

A closed loop (send, wait, send) stops sending while the system stands still, so a stall of 100 ms
counts as one slow command instead of the 100,000 that should have been sent meanwhile. Here the
latency of a command is its completion minus the time it was *scheduled*, so a stall shows as a ramp
(coordinated omission, in the words of Gil Tene). Whatever is due is handed over in one call, at
most `burst` commands, and all of a call complete together.

The clock is a parameter: tests drive this with a virtual one and inject a stall.
"""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["PERCENTILES", "STALL_NS", "Run", "control", "open_loop", "percentiles"]

PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99, 99.999, 100.0)
STALL_NS = 50_000
"""The machine stood still: two readings of the clock, nothing between them, lie further apart."""

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Run:
    """One open-loop run.

    Parameters
    ----------
    latency_ns : ndarray of int64, shape (n,)
        Completion minus scheduled time, in command order.
    calls : int
        Calls that the n commands were handed over in.
    elapsed_ns : int
        First scheduled time to last completion.
    stalls_ns : ndarray of int64
        Lengths of the machine's stalls seen while nothing was due.
    """

    latency_ns: Int64s
    calls: int
    elapsed_ns: int
    stalls_ns: Int64s


def open_loop(
    apply: Callable[[Any], Any],
    frames: npt.NDArray[np.void],
    rate: int,
    *,
    burst: int = 64,
    clock: Callable[[], int] = perf_counter_ns,
) -> Run:
    """Hand commands to `apply` at `rate` a second and measure each from its scheduled time.

    Parameters
    ----------
    apply : callable
        Takes a slice of `frames`; when it returns, the slice's commands are complete.
    frames : ndarray, shape (n,)
    rate : int
        Commands a second; command i is due at ``start + i * 1e9 / rate``.
    burst : int
        Most commands of one call.
    clock : callable
        Nanoseconds, monotonic.

    Returns
    -------
    Run

    Notes
    -----
    Two clock readings and a slice a call are part of what is measured, as they are of any caller.
    """
    count = len(frames)
    # Full-sized and touched beforehand: growing would show as slow commands.
    upto, done = array("q", bytes(8 * count)), array("q", bytes(8 * count))
    stalls = array("q")
    calls = 0
    collected = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        at = 0
        start = now = clock()
        while at < count:
            due = (now - start) * rate // 1_000_000_000 + 1
            if due <= at:
                # Nothing to do: only the clock is read, so a gap is not the engine's.
                seen = clock()
                if seen - now > STALL_NS:
                    stalls.append(seen - now)
                now = seen
                continue
            if due > at + burst:
                due = at + burst
            if due > count:
                due = count
            apply(frames[at:due])
            now = clock()
            at = due
            upto[calls] = at
            done[calls] = now
            calls += 1
    finally:
        if collected:
            gc.enable()
    ends = np.frombuffer(upto, np.int64)[:calls]
    sizes = np.diff(ends, prepend=0)
    completed = np.repeat(np.frombuffer(done, np.int64)[:calls], sizes)
    scheduled = start + np.arange(count, dtype=np.int64) * 1_000_000_000 // rate
    return Run(completed - scheduled, calls, int(now - start), np.array(stalls, np.int64))


def control(duration_ns: int, clock: Callable[[], int] = perf_counter_ns) -> Int64s:
    """Read the clock for a while and do nothing else; return the gaps between readings.

    What this shows (other processes, interrupts, a hypervisor) would be in any program's latency.
    """
    readings = array("q")
    stamp = readings.append
    start = now = clock()
    while now - start < duration_ns:
        now = clock()
        stamp(now)
    read = np.frombuffer(readings, np.int64)
    return read[1:] - read[:-1]


def percentiles(values: Int64s) -> dict[float, int]:
    """Return the `PERCENTILES` of integers: the smallest value that at least p % do not exceed."""
    if not len(values):
        return dict.fromkeys(PERCENTILES, 0)
    ordered = np.sort(values)
    # Exact, in integers: p as thousandths of a per cent, rank rounded up.
    ranks = {p: -(-len(ordered) * round(p * 1000) // 100_000) for p in PERCENTILES}
    return {p: int(ordered[max(rank, 1) - 1]) for p, rank in ranks.items()}
