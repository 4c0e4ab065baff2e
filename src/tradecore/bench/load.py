"""Open-loop load on anything that takes commands and tells how many it has finished.

The sender keeps to its schedule whatever the system does, and the latency of a command runs from
the time it was *scheduled*, so that a system which stands still is charged for everything that
should have been sent meanwhile. `openloop.open_loop` does the same for a plain function with less
between the clock readings; here sending and finishing are two things, as they are for a service.

The clock is a parameter: tests drive this with a virtual one and inject stalls.
"""

from __future__ import annotations

import gc
import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tradecore.bench.hdr import Histogram

__all__ = ["Load", "Target", "drive"]

Frames = npt.NDArray[np.void]


class Target(Protocol):
    """What load is put on: the engine in process, a journal in front of it, a service.

    Commands are finished in the order in which they were sent.
    """

    def send(self, frames: Frames) -> None:
        """Hand over commands; they need not be finished when this returns."""

    def poll(self) -> int:
        """Return how many commands of all that were sent are finished; may do work for it."""


@dataclass(frozen=True)
class Load:
    """What one open-loop run saw.

    Parameters
    ----------
    histogram : Histogram
        Latencies in nanoseconds of the finished commands behind the warm-up.
    rate : int
        Commands a second that were due.
    sent, finished : int
        Commands, the warm-up included.
    elapsed_ns : int
        First scheduled time to last completion.
    gave_up : bool
        The run was cut short because a command waited longer than was allowed.
    throughput : float
        Commands a second from the first completion to the last: what the system does, without the
        latency of a short run. Infinite where everything was finished at once.
    """

    histogram: Histogram
    rate: int
    sent: int
    finished: int
    elapsed_ns: int
    gave_up: bool
    throughput: float = math.inf

    @property
    def achieved(self) -> float:
        """Commands a second that were finished."""
        return self.finished / self.elapsed_ns * 1e9 if self.elapsed_ns else 0.0


def drive(
    target: Target,
    frames: Frames,
    rate: int,
    *,
    warm_up: int = 0,
    burst: int = 256,
    give_up_ns: int = 1_000_000_000,
    clock: Callable[[], int] = perf_counter_ns,
) -> Load:
    """Send commands at `rate` a second and measure each from its scheduled time.

    Parameters
    ----------
    target : Target
    frames : ndarray of tradecore.COMMAND, shape (n,)
        One frame a command.
    rate : int
        Commands a second; command i is due at ``start + i * 1e9 / rate``.
    warm_up : int
        First commands, sent at the same rate, that are not counted in the histogram.
    burst : int
        Most commands of one `Target.send`.
    give_up_ns : int
        A command that is this late ends the run: nothing useful comes after it, and a search must
        not wait for a backlog to drain. The unfinished commands count with the lateness they have
        reached, so that cutting short never makes a run look better.
    clock : callable
        Nanoseconds, monotonic.

    Returns
    -------
    Load
    """
    count = len(frames)
    upto, at_ns = array("q"), array("q")  # first unfinished command after a completion, its time
    sent = done = 0
    gave_up = False
    collected = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        start = now = clock()
        while done < count:
            due = min((now - start) * rate // 1_000_000_000 + 1, count)
            if due > sent:
                due = min(due, sent + burst)
                target.send(frames[sent:due])
                sent = due
            finished = target.poll()
            now = clock()
            if finished > done:
                done = finished
                upto.append(done)
                at_ns.append(now)
            if done < count and now - start - done * 1_000_000_000 // rate > give_up_ns:
                gave_up = True
                break
    finally:
        if collected:
            gc.enable()
    histogram = Histogram()
    ends = np.frombuffer(upto, np.int64) if len(upto) else np.zeros(0, np.int64)
    times = np.frombuffer(at_ns, np.int64) if len(at_ns) else np.zeros(0, np.int64)
    completed = np.repeat(times, np.diff(ends, prepend=0))
    last = int((now - start) * rate // 1_000_000_000 + 1) if gave_up else count
    due_count = min(max(last, done), count)
    scheduled = start + np.arange(due_count, dtype=np.int64) * 1_000_000_000 // rate
    # What was due and is not finished has waited at least until now.
    waited = np.concatenate([completed, np.full(due_count - done, now, np.int64)]) - scheduled
    histogram.record(waited[warm_up:])
    span = int(times[-1] - times[0]) if len(times) else 0
    throughput = (done - int(ends[0])) / span * 1e9 if span else math.inf
    return Load(histogram, rate, sent, done, int(now - start), gave_up, throughput)
