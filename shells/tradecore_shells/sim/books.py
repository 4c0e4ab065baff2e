"""O8: what the portfolio wrote is what the executions say, counted here with plain sums.

Three independent ways to the same numbers: the engine of the replay (wallets, positions), sums over
the event frames, and the rows of the database. The cache must then hold the database.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tradecore.codes import EventKind
from tradecore.portfolio.document import decode_document, portfolio_key
from tradecore_shells.plumbing.ports import EXECUTIONS
from tradecore_shells.portfolio.store import PORTFOLIO

if TYPE_CHECKING:
    from tradecore_shells.sim.facts import Facts
    from tradecore_shells.sim.replayed import Replay
    from tradecore_shells.sim.store import DictStore
    from tradecore_shells.sim.world import World

__all__ = ["books_differ", "cache_differs"]

_ENGINE_IDS = 1 << 63


def books_differ(world: World, facts: Facts, replay: Replay) -> list[str]:
    """Compare the database with the executions, and with the engine where they end."""
    store: Any = world.database.store
    wrong = _fills(store, facts) + _ledger(store, facts) + _positions(store, facts)
    place = store.places.get((PORTFOLIO, world.partition))
    if place is None or place.next_seq != len(facts.events) + 1:
        wrong.append(f"O8 the database is at {place}, executions end at {len(facts.events)}")
    if len(facts.events) == replay.needed[EXECUTIONS] and not wrong:
        wrong += _engine(store, replay)
    wrong += _sessions(world, store)
    return wrong[:4]


def _fills(store: DictStore, facts: Facts) -> list[str]:
    """Judge that the rows of fills are the SETTLED events, each once."""
    expected = {
        event.seq: (
            event.account_id,
            event.instrument_id,
            _signed(event.order_id),
            event.body[0],
            event.body[1],
            event.body[3],
            event.body[2],
        )
        for event in facts.events
        if event.kind == EventKind.SETTLED
    }
    names = ("account_id", "instrument_id", "order_id", "cash_delta", "fee", "realised",
             "position_qty")  # fmt: skip
    found = {row["seq"]: tuple(row[name] for name in names) for row in store.rows["fills"].values()}
    return _first_difference("fills", found, expected)


def _ledger(store: DictStore, facts: Facts) -> list[str]:
    """Judge that the rows of the ledger are the BALANCE events, each once."""
    expected = {
        event.seq: (event.account_id, event.body[2] & 0xFFFFFFFF, event.body[0])
        for event in facts.events
        if event.kind == EventKind.BALANCE
    }
    found = {
        row["seq"]: (row["account_id"], row["asset_id"], row["cash_delta"])
        for row in store.rows["ledger"].values()
    }
    return _first_difference("ledger", found, expected)


def _positions(store: DictStore, facts: Facts) -> list[str]:
    """Judge quantity, realised result and fees of every position."""
    expected: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for event in facts.events:
        if event.kind == EventKind.SETTLED:
            sums = expected[event.account_id, event.instrument_id]
            sums[0] = event.body[2]
            sums[1] += event.body[3]
            sums[2] += event.body[1]
            sums[3] += 1
    found = {
        (row["account_id"], row["instrument_id"]): (
            row["qty"], row["realised"], row["fees"], row["fills"],
        )
        for row in store.rows["positions"].values()
    }  # fmt: skip
    return _first_difference(
        "positions", found, {key: tuple(sums) for key, sums in expected.items()}
    )


def _engine(store: DictStore, replay: Replay) -> list[str]:
    """Judge that every balance is the engine's wallet."""
    wrong = []
    for row in store.rows["balances"].values():
        total = replay.wallets.get((row["account_id"], row["asset_id"]), 0)
        if total != row["amount"]:
            wrong.append(
                f"O8 account {row['account_id']} asset {row['asset_id']}: the database has "
                f"{row['amount']}, the engine {total}"
            )
    return wrong


def _sessions(world: World, store: Any) -> list[str]:
    known = {key[1] for key in store._sessions}
    missing = sorted(set(world.journal.sessions) - known)
    return [f"O6 trading sessions {missing} were acknowledged and are not kept"] if missing else []


def cache_differs(world: World) -> list[str]:
    """Compare the documents in the cache with the rows of the database."""
    store: Any = world.database.store
    expected: dict[int, dict[tuple[int, int], int]] = defaultdict(dict)
    balances: dict[int, dict[tuple[int, int], int]] = defaultdict(dict)
    for row in store.rows["positions"].values():
        expected[row["user_id"]][row["account_id"], row["instrument_id"]] = row["qty"]
    for row in store.rows["balances"].values():
        balances[row["user_id"]][row["account_id"], row["asset_id"]] = row["amount"]
    wrong = []
    for user in sorted({*expected, *balances}):
        held = world.cache._items.get(portfolio_key(user, world.partition))
        if held is None:
            wrong.append(f"the cache has no document of user {user}")
            continue
        document = decode_document(held)
        positions = {(p.account_id, p.instrument_id): p.qty for p in document.positions}
        cash = {(b.account_id, b.asset_id): b.amount for b in document.balances}
        if _nonzero(positions) != _nonzero(expected[user]):
            wrong.append(f"the cache has other positions of user {user} than the database")
        if _nonzero(cash) != _nonzero(balances[user]):
            wrong.append(f"the cache has other balances of user {user} than the database")
    return wrong[:3]


def _nonzero(rows: dict[tuple[int, int], int]) -> dict[tuple[int, int], int]:
    return {key: value for key, value in rows.items() if value}


def _signed(order_id: int) -> int:
    return order_id - (1 << 64) if order_id >= _ENGINE_IDS else order_id


def _first_difference(table: str, found: dict[Any, Any], expected: dict[Any, Any]) -> list[str]:
    for key in sorted(set(found) | set(expected)):
        if found.get(key) != expected.get(key):
            return [
                f"O8 {table} {key}: the database has {found.get(key)}, "
                f"the executions say {expected.get(key)}"
            ]
    return []
