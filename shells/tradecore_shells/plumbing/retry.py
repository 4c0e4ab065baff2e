"""Asking again, within a budget."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tradecore_shells.plumbing.observe import event
from tradecore_shells.plumbing.ports import FatalError, RetryableError

__all__ = ["retrying"]

T = TypeVar("T")
_log = logging.getLogger("tradecore.retry")


async def retrying(
    call: Callable[[], Awaitable[T]],
    what: str,
    *,
    budget_s: float = 30.0,
    first_pause_s: float = 0.02,
) -> T:
    """Call until it works; RetryableError is tried again with growing pauses, all else passes.

    The first failure is logged, so that somebody who looks sees what is waited for.

    Raises
    ------
    FatalError
        It has not worked for `budget_s` seconds; with `what` and the last reason.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + budget_s
    pause = first_pause_s
    told = False
    while True:
        try:
            return await call()
        except RetryableError as error:
            if loop.time() + pause > deadline:
                raise FatalError(f"{what}: gave up after {budget_s:g} s: {error}") from error
            if not told:
                event(_log, "waiting", what=what, reason=str(error), at_most_s=budget_s)
                told = True
        await asyncio.sleep(pause)
        pause = min(pause * 2, 1.0)
