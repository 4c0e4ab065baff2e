"""A budget of wall time for one call of a strategy.

A strategy that never returns would hang a sweep for ever. A second thread looks now and then; when
the same call has been running for longer than the budget, an exception is raised inside it. That
works for Python code; a call that is stuck inside a C function is interrupted when that returns.
"""

from __future__ import annotations

import ctypes
import threading
import time
from types import TracebackType

__all__ = ["OverdueError", "Watchdog"]


class OverdueError(Exception):
    """The strategy did not return within its budget."""


class Watchdog:
    """Watch the calls made between `begin` and `end` by the thread that enters the context.

    Parameters
    ----------
    budget_s : float
        Longest a call may take; 0 switches the watchdog off.
    """

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._owner = 0
        self.call_no = 0
        self.running = False

    def begin(self) -> None:
        """Start watching a call."""
        self.call_no += 1
        self.running = True

    def end(self) -> None:
        """Stop watching it."""
        self.running = False

    def __enter__(self) -> Watchdog:
        """Start the second thread."""
        if self._budget_s > 0:
            self._owner = threading.get_ident()
            self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the second thread."""
        if self._thread is not None:
            self._done.set()
            self._thread.join()

    def _watch(self) -> None:
        seen, since = 0, time.monotonic()
        while not self._done.wait(self._budget_s / 4):
            if not self.running or self.call_no != seen:
                seen, since = self.call_no, time.monotonic()
                continue
            if time.monotonic() - since > self._budget_s:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._owner), ctypes.py_object(OverdueError)
                )
                # Raised once for a call: it may take a while to be noticed.
                seen, since = self.call_no, time.monotonic() + 3600.0
