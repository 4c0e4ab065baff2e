"""Asking again, within a budget."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tradecore_shells.plumbing.ports import FatalError, RetryableError

__all__ = ["retrying"]

T = TypeVar("T")


async def retrying(
    call: Callable[[], Awaitable[T]],
    what: str,
    *,
    budget_s: float = 30.0,
    first_pause_s: float = 0.02,
) -> T:
    """Call until it works; RetryableError is tried again with growing pauses, all else passes.

    Raises
    ------
    FatalError
        It has not worked for `budget_s` seconds; with `what` and the last reason.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + budget_s
    pause = first_pause_s
    while True:
        try:
            return await call()
        except RetryableError as error:
            if loop.time() + pause > deadline:
                raise FatalError(f"{what}: gave up after {budget_s:g} s: {error}") from error
        await asyncio.sleep(pause)
        pause = min(pause * 2, 1.0)
