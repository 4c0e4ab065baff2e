"""Beginning a round when the second-level cache is our own.

The cores of a rented machine are halves of real ones, and whoever runs on the other half shares
the second-level cache. A busy book of 30 ns takes 45 to 57 while that neighbour works, for whole
rounds, and nothing inside the guest shows it: no page fault, no switch, no stolen time. A walk
through a ring of three quarters of that cache does: 11 ns a step become 28. So every round begins
behind such a walk, and where the walk is slow it waits, a bounded time. Rounds are never dropped
for what they measured.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

__all__ = ["QuietCache", "cache_walk"]

SLOW = 1.6  # a walk this much longer than the quickest one says that somebody else is there
PATIENCE_S = 5.0
_PAUSE_S = 0.05
_STEPS = 200_000
_FIRST = 5  # walks before the first round: one alone may be the slow one
_LINE = 8  # int64 in a cache line
_LEVEL_2 = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")


def _cache_bytes() -> int:
    """Size of the second-level cache, one megabyte where the system does not tell."""
    try:
        return int(_LEVEL_2.read_text().strip().removesuffix("K")) * 1024
    except (OSError, ValueError):
        return 1 << 20


def cache_walk() -> Callable[[], float]:
    """Return a function that walks the ring and tells nanoseconds a step, the best of three walks.

    Every step needs the one before; the lines' order is random: nothing can be fetched ahead.
    """
    from tradecore.kernels._jit import jit

    @jit
    def walk(ring: np.ndarray, steps: int) -> int:
        at = 0
        for _ in range(steps):
            at = ring[at]
        return at

    lines = _cache_bytes() * 3 // 4 // (8 * _LINE)
    order = np.random.default_rng(1).permutation(lines)
    ring = np.zeros(lines * _LINE, np.int64)
    ring[order * _LINE] = np.roll(order, -1) * _LINE
    walk(ring, lines)

    def measure() -> float:
        best = float("inf")
        for _ in range(3):
            begin = time.perf_counter_ns()
            walk(ring, _STEPS)
            best = min(best, (time.perf_counter_ns() - begin) / _STEPS)
        return best

    return measure


class QuietCache:
    """Wait until the walk is about as quick as it has ever been in this process.

    Parameters
    ----------
    walk : callable
        Returns a duration; see `cache_walk`.
    now, pause : callable
        Seconds of a clock that never goes back, and what lets time pass.

    Attributes
    ----------
    waited_s : float
        Seconds waited so far, over all rounds.
    unquiet : int
        Rounds that began though it stayed slow for `PATIENCE_S`.
    """

    def __init__(
        self,
        walk: Callable[[], float],
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._walk = walk
        self._now = now
        self._pause = pause
        self._best = float("inf")
        self.waited_s = 0.0
        self.unquiet = 0

    @classmethod
    def here(cls) -> QuietCache | None:
        """Watch this machine's cache; None without Numba, whose compiled loop the walk is."""
        if importlib.util.find_spec("numba") is None:
            return None
        quiet = cls(cache_walk())
        for _ in range(_FIRST):
            quiet.wait()
        return quiet

    def wait(self) -> None:
        """Return when it is quiet, or after `PATIENCE_S`."""
        begin = self._now()
        while True:
            took = self._walk()
            self._best = min(self._best, took)
            waited = self._now() - begin
            if took <= SLOW * self._best:
                break
            if waited >= PATIENCE_S:
                self.unquiet += 1
                break
            self._pause(_PAUSE_S)
        self.waited_s += waited
