"""The wall clock: the only place of the services that reads it."""

from __future__ import annotations

import time

__all__ = ["SystemClock"]


class SystemClock:
    """The Clock port over the system's time. May step when somebody sets it; readers know."""

    def now_ns(self) -> int:
        """Return Unix time in nanoseconds."""
        return time.time_ns()
