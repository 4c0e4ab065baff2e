"""How far a log has got, for an operator."""

from __future__ import annotations

from typing import cast

import msgspec

from tradecore_shells.plumbing.adapters import open_log
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.logserver import ServedLog
from tradecore_shells.plumbing.ports import FatalError

__all__ = ["PlaceStatus", "look"]


class PlaceStatus(msgspec.Struct, frozen=True):
    """One partition.

    Parameters
    ----------
    topic, partition : str, int
    start, end : int
        First offset kept, and the next one.
    age_s : float or None
        Seconds since the newest record by this machine's clock; None without records.
    """

    topic: str
    partition: int
    start: int
    end: int
    age_s: float | None


async def look(url: str) -> list[PlaceStatus]:
    """Return the state of every partition of the log at an address.

    Raises
    ------
    ConfigError, RetryableError, FatalError
        No such address, nobody answers, or the files belong to another process.
    """
    log = cast("ServedLog", open_log(url))  # all of them can list their topics
    clock = SystemClock()
    places = []
    try:
        topics = await log.topics()
        for topic, count in topics.items():
            for partition in range(count):
                start, end = await log.bounds(topic, partition)
                age = None
                if end > start:
                    newest = await log.fetch(topic, partition, end - 1, max_bytes=1, wait_s=1.0)
                    age = (clock.now_ns() - newest[-1].ts_ns) / 1e9 if newest else None
                places.append(PlaceStatus(topic, partition, start, end, age))
    finally:
        await log.close()
    if not places:
        raise FatalError(f"{url}: there is no topic; `tradecore up` or `tradecore admin topics`")
    return places
