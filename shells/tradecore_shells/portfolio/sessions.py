"""`user-events` into trading sessions: each record once, shown in the cache."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Final

from tradecore.errors import DataError
from tradecore.portfolio.document import encode_session, session_key
from tradecore.portfolio.fold import Owners
from tradecore.portfolio.sessions import Session, decode_user_event
from tradecore_shells.plumbing.observe import MetricsPort, event
from tradecore_shells.plumbing.ports import USER_EVENTS, Cache, Log, Record, RetryableError
from tradecore_shells.plumbing.retry import retrying
from tradecore_shells.portfolio.store import SESSIONS, START, Place, PortfolioStore

__all__ = ["SessionKeeper"]

_log = logging.getLogger("tradecore.portfolio")
_IDLE_S: Final = 0.25
_FETCH_BYTES: Final = 1 << 20


class SessionKeeper:
    """One partition of `user-events` into the store and the cache.

    Parameters
    ----------
    partition : int
    log, store, cache, metrics
        Ports.
    budget_s : float
        How long log and store may be away.
    """

    def __init__(
        self,
        *,
        partition: int,
        log: Log,
        store: PortfolioStore,
        cache: Cache,
        metrics: MetricsPort,
        budget_s: float,
    ) -> None:
        self._partition = partition
        self._log = log
        self._store = store
        self._cache = cache
        self._metrics = metrics
        self._budget_s = budget_s

    async def documents(self) -> dict[str, bytes]:
        """Return what the cache should hold of sessions."""
        return _documents(await self._store.sessions())

    async def run(self) -> None:
        """Merge until cancelled.

        Raises
        ------
        FatalError
            Log or store refuse, or are away for too long.
        """
        owners = await retrying(self._store.owners, "reading accounts", budget_s=self._budget_s)
        place = await self._place()
        while True:
            at = place.next_offset
            records = await retrying(
                lambda at=at: self._log.fetch(  # type: ignore[misc]
                    *(USER_EVENTS, self._partition, at), max_bytes=_FETCH_BYTES, wait_s=_IDLE_S
                ),
                f"reading {USER_EVENTS}-{self._partition}",
                budget_s=self._budget_s,
            )
            if not records:
                continue
            news = self._read(records, owners)
            offset = records[-1].offset + 1
            after = Place(offset, offset + 1, records[-1].ts_ns)
            try:
                await self._store.apply_sessions(self._partition, place, after, news)
                await self._show({one.user_id for one in news})
            except RetryableError as error:
                event(_log, "sessions wait", level=logging.WARNING, reason=str(error))
                await asyncio.sleep(_IDLE_S)
            # Whoever wrote it, this says how far the store is.
            place = await self._place()

    def _read(self, records: Sequence[Record], owners: Owners) -> list[Session]:
        """Return what records say of each session; what cannot be read is counted and passed."""
        news: dict[tuple[int, int], Session] = {}
        for record in records:
            try:
                told = decode_user_event(record.payload)
            except DataError as error:
                self._metrics.count("dead_letters_total", topic=USER_EVENTS)
                event(_log, "user event skipped", offset=record.offset, reason=str(error))
                continue
            user = owners.of(told.account_id)
            new = Session(user, told.session_id, told.account_id, "", 0, 0)
            known = news.get((user, told.session_id), new)
            news[user, told.session_id] = known.with_event(told, record.ts_ns)
        return list(news.values())

    async def _place(self) -> Place:
        place = await retrying(
            lambda: self._store.place(SESSIONS, self._partition),
            "asking the store for its sessions",
            budget_s=self._budget_s,
        )
        if place != START:
            return place
        # The topic may have lost its first records to time; sessions are for people, not money.
        bounds = await retrying(
            lambda: self._log.bounds(USER_EVENTS, self._partition),
            f"asking for the bounds of {USER_EVENTS}",
            budget_s=self._budget_s,
        )
        return START._replace(next_offset=bounds.start)

    async def _show(self, users: set[int]) -> None:
        try:
            for user in sorted(users):
                await self._cache.put(_documents(await self._store.sessions(user)))
        except RetryableError as error:
            event(_log, "sessions not shown", level=logging.WARNING, reason=str(error))


def _documents(sessions: Iterable[Session]) -> dict[str, bytes]:
    return {session_key(one.session_id): encode_session(one) for one in sessions}
