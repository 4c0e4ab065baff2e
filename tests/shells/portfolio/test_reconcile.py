"""Reconciling finds nothing where nothing is wrong, and each thing that is made wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from portfolio_worlds import CATALOG, QUICK, TERMS, Services, Venue, busy_venue
from tradecore.errors import DataError
from tradecore.portfolio.document import decode_document, encode_document, portfolio_key
from tradecore.portfolio.statement import Period
from tradecore_shells.plumbing.memory import MemoryCache
from tradecore_shells.plumbing.ports import EXECUTIONS, FatalError
from tradecore_shells.portfolio.reconcile import Findings, reconcile
from tradecore_shells.portfolio.statements import statement_of
from tradecore_shells.portfolio.store import PORTFOLIO
from tradecore_shells.sim.store import DictStore

SETTINGS = msgspec.structs.replace(QUICK, equity_every_s=0.01)


def settled(orders: int = 60) -> tuple[Venue, Services, DictStore]:
    """Return a world whose service has read everything."""
    venue, store = busy_venue(orders), DictStore()
    world = Services(venue.log, store, settings=SETTINGS)
    asyncio.run(world.catch_up(world.make()))
    return venue, world, store


def look(world: Services) -> Findings:
    return asyncio.run(
        reconcile(
            SETTINGS, CATALOG, 0, partition=0, log=world.log, store=world.store, cache=world.cache
        )
    )


def test_everything_agrees_after_an_ordinary_day() -> None:
    _, world, _ = settled()
    findings = look(world)
    assert findings.differences == []
    assert findings.place.next_offset == findings.log_end
    assert findings.rows["fills"] > 40
    assert findings.rows["equity"] > 20
    assert findings.rows["cache"] == 5


def test_store_that_is_behind_the_log_agrees_with_its_place() -> None:
    venue, world, _ = settled()
    venue.order(1, 1, 5, 10_000)
    findings = look(world)
    assert findings.differences == []
    assert findings.place.next_offset < findings.log_end


def _change(table: str, field: str, by: int = 1) -> Callable[[DictStore], tuple[str, str]]:
    def spoil(store: DictStore) -> tuple[str, str]:
        key = sorted(store.rows[table])[3]
        store.rows[table][key][field] += by
        return table, field

    return spoil


def _lose(table: str) -> Callable[[DictStore], tuple[str, str]]:
    def spoil(store: DictStore) -> tuple[str, str]:
        del store.rows[table][sorted(store.rows[table])[3]]
        return table, ""

    return spoil


def _double(table: str) -> Callable[[DictStore], tuple[str, str]]:
    """Put a row in twice: the second under a number of its own."""

    def spoil(store: DictStore) -> tuple[str, str]:
        key = sorted(store.rows[table])[3]
        row = dict(store.rows[table][key])
        row["seq"] = 1 << 40
        store.rows[table][*key[:-1], 1 << 40] = row
        return table, ""

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        *(
            _change("fills", name)
            for name in ("px", "qty", "fee", "cash_delta", "realised", "ts_ns")
        ),
        *(_change("positions", name) for name in ("qty", "cost", "realised", "fees", "bought")),
        *(_change("balances", name) for name in ("amount", "seq")),
        _change("ledger", "cash_delta", -5),
        _change("equity", "cash"),
        *(_lose(name) for name in ("fills", "ledger", "positions", "balances", "equity")),
        *(_double(name) for name in ("fills", "ledger")),
    ],
)
def test_each_change_of_the_store_is_named(spoil: Callable[[DictStore], tuple[str, str]]) -> None:
    _, world, store = settled(30)
    table, field = spoil(store)
    found = look(world).differences
    assert [(one.where, one.field) for one in found] == [(table, field)]


def test_moved_offset_is_named() -> None:
    _, world, store = settled(10)
    place = store.places[PORTFOLIO, 0]
    store.places[PORTFOLIO, 0] = place._replace(next_seq=place.next_seq + 1)
    assert [one.where for one in look(world).differences] == ["offset"]


def test_offset_that_was_put_back_shows_every_row_behind_it() -> None:
    _, world, store = settled(30)
    before = store.places[PORTFOLIO, 0]
    venue_end = before.next_seq
    store.places[PORTFOLIO, 0] = before._replace(next_seq=1, ts_ns=0)
    found = look(world).differences
    assert {one.where for one in found} >= {"fills", "positions", "balances", "ledger", "cache"}
    assert venue_end > 1


def test_lost_record_of_the_log_is_named() -> None:
    venue, world, _ = settled(10)
    del venue.log.of(EXECUTIONS)[9]
    with pytest.raises(FatalError, match="frames are missing"):
        look(world)


def test_expired_beginning_of_the_log_is_a_sentence() -> None:
    venue, world, _ = settled(10)
    venue.log.starts[EXECUTIONS, 0] = 3
    with pytest.raises(FatalError, match="have expired"):
        look(world)


def test_each_change_of_the_cache_is_named() -> None:
    _, world, _ = settled(30)
    cache = world.cache
    assert isinstance(cache, MemoryCache)

    async def spoil() -> None:
        (data,) = await cache.get([portfolio_key(2)])
        assert data is not None
        document = decode_document(data)
        row = msgspec.structs.replace(document.balances[0], amount=1)
        wrong = msgspec.structs.replace(document, balances=[row, *document.balances[1:]], seq=3)
        await cache.put({portfolio_key(2): encode_document(wrong), portfolio_key(3): b"junk"})
        await cache.put({"pf:77": encode_document(wrong)})
        await cache.delete([portfolio_key(4)])

    asyncio.run(spoil())
    found = {(one.key, one.field) for one in look(world).differences}
    assert found == {
        ("pf:2", "seq"), ("pf:2", "balances[0].amount"), ("pf:3", ""), ("pf:4", ""), ("pf:77", ""),
    }  # fmt: skip


def test_marks_in_documents_are_no_differences() -> None:
    _, world, _ = settled(30)

    async def move() -> None:
        (data,) = await world.cache.get([portfolio_key(2)])
        assert data is not None
        document = decode_document(data)
        rows = [msgspec.structs.replace(p, mark_px=7, upnl=9) for p in document.positions]
        other = msgspec.structs.replace(document, positions=rows)
        await world.cache.put({portfolio_key(2): encode_document(other)})

    asyncio.run(move())
    assert look(world).differences == []


# -------------------------------------------------------------------------------------- statements


def test_statement_of_the_day_ends_at_the_engines_cash() -> None:
    venue, world, _ = settled()
    cash, _ = venue.money()
    found = asyncio.run(statement_of(world.store, TERMS, 2, Period.parse("1970-01-01")))
    assert {one.asset_id: one.closing for one in found} == {
        asset: amount for (account, asset), amount in cash.items() if account == 2
    }
    assert sum(len(one.lines) for one in found) > 10
    later = asyncio.run(statement_of(world.store, TERMS, 2, Period.parse("1970-02")))
    assert [(one.opening, one.lines, one.closing) for one in later] == [
        (one.closing, [], one.closing) for one in found
    ]


def test_statement_of_a_spoilt_store_is_refused() -> None:
    _, world, store = settled()
    _change("fills", "cash_delta")(store)
    user = sorted(store.rows["fills"])[3][0]
    with pytest.raises(DataError, match="unexplained"):
        asyncio.run(statement_of(world.store, TERMS, user, Period.parse("1970-01-01")))
