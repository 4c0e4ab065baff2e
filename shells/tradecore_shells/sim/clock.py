"""Wall clocks of simulated machines: each is wrong in its own way."""

from __future__ import annotations

from typing import Final

from tradecore_shells.sim.loop import SimLoop

__all__ = ["EPOCH_NS", "SimClock"]

EPOCH_NS: Final = 1_700_000_000_000_000_000
"""Unix time at which every simulated world begins."""


class SimClock:
    """A Clock port: true time, wrong by a constant and a drift.

    Parameters
    ----------
    loop : SimLoop
    skew_ns : int
        How far it is ahead of true time (negative: behind).
    drift : float
        How much faster it runs, as a fraction.
    """

    def __init__(self, loop: SimLoop, skew_ns: int = 0, drift: float = 0.0) -> None:
        self._loop = loop
        self._skew_ns = skew_ns
        self._drift = drift

    def now_ns(self) -> int:
        """Return what this machine believes the time to be, Unix ns."""
        return EPOCH_NS + int(self._loop.now * (1.0 + self._drift) * 1e9) + self._skew_ns
