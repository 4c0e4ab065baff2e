"""Design bugs of the portfolio service, of its statement and of the readers of executions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tradecore.cell import FrameReader
from tradecore_shells.portfolio.publisher import Publisher
from tradecore_shells.portfolio.store import PORTFOLIO, START
from tradecore_shells.sim.patches import Patches
from tradecore_shells.sim.remote import SimStore
from tradecore_shells.sim.store import DictStore

__all__ = ["BUGS"]


def _replace_rows(store: Any, table: str, rows: Any) -> None:
    """Insert rows as ON CONFLICT DO NOTHING would: what is there stays."""
    from tradecore_shells.sim import store as module

    for row in module._dicts(rows):
        store.rows[table].setdefault(module._key(table, row), row)


def offset_in_another_transaction(patches: Patches) -> None:
    """Plant: the place of the consumer moves in a second transaction, behind the rows."""
    patches.set(DictStore, "_insert", _replace_rows)

    async def apply(self: Any, batch: Any) -> bool:
        store: Any = self._database.store
        place = await self.place(PORTFOLIO, batch.partition)
        if place.next_seq != batch.before.next_seq:
            return False

        async def rows() -> None:
            changes = batch.changes
            store._insert("fills", changes.fills)
            store._insert("ledger", changes.ledger)
            for table, made in (("positions", changes.positions), ("balances", changes.balances)):
                store._upsert(table, made)
            store._upsert("marks", changes.prints)

        async def move() -> bool:
            store.places[PORTFOLIO, batch.partition] = batch.after
            return True

        await self._ask(rows)
        moved: bool = await self._ask(move)
        return moved

    patches.set(SimStore, "apply", apply)


def no_compare_and_set(patches: Patches) -> None:
    """Plant: a batch is written wherever the consumer stands."""
    patches.set(DictStore, "_insert", _replace_rows)

    def move(self: Any, consumer: str, partition: int, before: Any, after: Any) -> bool:
        self.places[consumer, partition] = after
        return True

    patches.set(DictStore, "_move", move)


def place_is_kept_in_memory(patches: Patches) -> None:
    """Plant: a restarted writer begins with the executions' first record."""
    original = DictStore.load

    async def load(self: Any, partition: int) -> Any:
        _, book = await original(self, partition)
        return START, book

    patches.set(DictStore, "load", load)
    no_compare_and_set(patches)


def reader_does_not_skip_what_it_has_seen(patches: Patches) -> None:
    """Plant: a record of executions that comes again is read again."""
    original = FrameReader._fresh

    def fresh(self: Any, offset: int, first_seq: int, frames: memoryview) -> memoryview:
        if first_seq >= self._next:
            return original(self, offset, first_seq, frames)
        self._next, self._pending = first_seq, b""
        self._tail.clear()
        return frames

    patches.set(FrameReader, "_fresh", fresh)


def reader_without_a_place_believes_the_first_record(patches: Patches) -> None:
    """Plant: who listens from now on takes a late repetition for the present."""
    original = FrameReader.__init__

    def init(self: Any, *args: Any, **named: Any) -> None:
        original(self, *args, **named)
        self._unsure = 0

    patches.set(FrameReader, "__init__", init)


def cache_is_written_once(patches: Patches) -> None:
    """Plant: a document that did not reach the cache is not written again, nor when it is lost."""

    async def round_(self: Any) -> None:
        users = [*self._take(self._changed, self._settings.cache_batch)]
        if users:
            await self._cache.put(dict(self._document(user) for user in users))

    patches.set(Publisher, "_round", round_)


BUGS: Final[dict[str, Callable[[Patches], None]]] = {
    plant.__name__: plant
    for plant in (
        offset_in_another_transaction,
        no_compare_and_set,
        place_is_kept_in_memory,
        reader_does_not_skip_what_it_has_seen,
        reader_without_a_place_believes_the_first_record,
        cache_is_written_once,
    )
}
