"""Documents into the cache, behind the store and never in its way.

What changed is written first; marks and the slow round over everybody fill the rest of a round. A
cache that is away costs nothing but freshness: when it answers again, or comes back empty (its
marker is gone), everybody's document is written again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from tradecore_shells.plumbing.observe import MetricsPort, event
from tradecore_shells.plumbing.ports import Cache, RetryableError
from tradecore_shells.portfolio.config import PortfolioSettings

__all__ = ["Publisher", "marker_key"]

_log = logging.getLogger("tradecore.portfolio")
_LONGEST_PAUSE_S: Final = 1.0


def marker_key(cell: int) -> str:
    """Return the key whose absence says that the cache has forgotten everything."""
    return f"pf!{cell}"


class Publisher:
    """Keeps the cache like the book.

    Parameters
    ----------
    settings : PortfolioSettings
    cell : int
    cache : Cache
    metrics : MetricsPort
    document : callable
        ``user_id -> (key, value)``, from the book of now.
    everybody : callable
        All users, for rebuilding.
    others : callable
        Coroutine function: what else belongs into an empty cache.
    """

    def __init__(
        self,
        settings: PortfolioSettings,
        *,
        cell: int,
        cache: Cache,
        metrics: MetricsPort,
        document: Callable[[int], tuple[str, bytes]],
        everybody: Callable[[], list[int]],
        others: Callable[[], Awaitable[dict[str, bytes]]],
    ) -> None:
        self._settings = settings
        self._marker = marker_key(cell)
        self._cache = cache
        self._metrics = metrics
        self._document = document
        self._everybody = everybody
        self._others = others
        # Dictionaries, because they keep their order and forget repetitions.
        self._changed: dict[int, None] = {}
        self._stale: dict[int, None] = {}
        self._round_at: float | None = None
        self.trouble = ""

    @property
    def waiting(self) -> int:
        """How many documents are still to be written, changed and old ones."""
        return len({*self._changed, *self._stale})

    def change(self, users: Iterable[int]) -> None:
        """Say whose rows changed."""
        self._changed.update(dict.fromkeys(users))

    def age(self, users: Iterable[int]) -> None:
        """Say whose marks moved."""
        self._stale.update(dict.fromkeys(users))

    async def run(self) -> None:
        """Write until cancelled; a cache that is away is waited for."""
        pause = self._settings.cache_every_s
        while True:
            try:
                await self._round()
            except RetryableError as error:
                if not self.trouble:
                    event(_log, "cache is away", level=logging.WARNING, reason=str(error))
                self.trouble = str(error)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
            else:
                self.trouble = ""
                pause = self._settings.cache_every_s
            await asyncio.sleep(pause)

    async def drain(self) -> None:
        """Write what changed. When the cache is away it is left to the next start."""
        try:
            while self._changed:
                await self._round()
        except RetryableError as error:
            event(_log, "cache not drained", level=logging.WARNING, reason=str(error))

    async def _round(self) -> None:
        """Write one batch of documents."""
        (marker,) = await self._cache.get([self._marker])
        if marker is None:
            self.age(self._everybody())
            await self._cache.put({**await self._others(), self._marker: b"1"})
        self._begin_refresh()
        users = [*self._take(self._changed, self._settings.cache_batch)]
        users += self._take(self._stale, self._settings.cache_batch - len(users))
        if not users:
            return
        try:
            await self._cache.put(dict(self._document(user) for user in users))
        except BaseException:
            # Not known to be there. Newer changes of the same users are in front of them already.
            self.change(users)
            raise
        self._metrics.count("cache_documents_total", len(users))
        self._metrics.set("cache_waiting", len(self._changed))

    def _begin_refresh(self) -> None:
        every = self._settings.cache_refresh_s
        now = asyncio.get_running_loop().time()
        if self._round_at is None:
            # The first round belongs to the start: what an earlier life left unwritten.
            self._round_at = now
            self.age(self._everybody())
        elif every and now - self._round_at > every:
            self._round_at = now
            self.age(self._everybody())

    @staticmethod
    def _take(queue: dict[int, None], count: int) -> list[int]:
        taken: list[int] = []
        while queue and len(taken) < count:
            user = next(iter(queue))
            del queue[user]
            taken.append(user)
        return taken
