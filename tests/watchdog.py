"""A hang is a failure with a name: the process ends with a traceback instead of waiting."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ends_within(seconds: float) -> Iterator[None]:
    """Run a block; after so many seconds dump all stacks and end this process.

    The compiled engine holds no lock that Python could take back, so nothing gentler reaches it.
    """
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
