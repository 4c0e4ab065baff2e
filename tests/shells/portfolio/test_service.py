"""The service on ports in memory: exact through kills, twins and lost answers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from portfolio_worlds import (
    PERP,
    QUICK,
    RICH,
    SPOT,
    START_NS,
    ListLog,
    Services,
    Venue,
    busy_venue,
    kept_money,
    packed,
    trade,
)
from tradecore.codes import CommandKind
from tradecore.errors import ConfigError
from tradecore.portfolio.document import decode_document, decode_session, portfolio_key, session_key
from tradecore.portfolio.sessions import Session, SessionClosed, SessionOpened, encode_user_event
from tradecore_shells.plumbing.memory import MemoryCache
from tradecore_shells.plumbing.ports import (
    EXECUTIONS,
    MARKET_DATA,
    USER_EVENTS,
    FatalError,
    RetryableError,
)
from tradecore_shells.portfolio.publisher import marker_key
from tradecore_shells.portfolio.store import PORTFOLIO, SESSIONS, Batch, Place
from tradecore_shells.sim.store import DictStore


def test_store_is_what_the_engine_has() -> None:
    venue = busy_venue()
    world = Services(venue.log)
    asyncio.run(world.catch_up(world.make()))
    assert asyncio.run(kept_money(world.store)) == venue.money()
    (fills,) = asyncio.run(world.store.read("fills"))
    assert len(fills) > 40
    assert set(fills["session_id"].tolist()) == {1, 2, 3}


def test_small_records_that_divide_batches_change_nothing() -> None:
    """Whole batches are written, however the cell has cut them."""
    venue = Venue(record_bytes=48 + 64)
    venue.open({account: RICH for account in range(1, 6)})
    venue.admin(CommandKind.MARK_PRICE, instrument_id=PERP.instrument_id, mark_px=10_000)
    trade(venue, 40, 3)
    world = Services(venue.log)
    asyncio.run(world.catch_up(world.make()))
    assert asyncio.run(kept_money(world.store)) == venue.money()


def test_restart_goes_on_where_the_store_stands() -> None:
    venue = busy_venue(20)
    world = Services(venue.log)
    asyncio.run(world.catch_up(world.make()))
    trade(venue, 30, 2)
    asyncio.run(world.catch_up(world.make()))
    assert asyncio.run(kept_money(world.store)) == venue.money()


class Stopper(DictStore):
    """A store whose user is killed, or loses the answer, at chosen calls of `apply`."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.before: Callable[[int], None] = lambda call: None
        self.behind: Callable[[int], None] = lambda call: None

    async def apply(self, batch: Batch) -> bool:
        self.calls += 1
        self.before(self.calls)
        done = await super().apply(batch)
        self.behind(self.calls)
        return done


class Killed(BaseException):
    """The end of a process, as its event loop sees it."""


@pytest.mark.parametrize("moment", ["before", "behind"])
def test_kill_around_every_statement_loses_and_doubles_nothing(moment: str) -> None:
    venue = busy_venue()
    store, cache = Stopper(), MemoryCache()
    world = Services(venue.log, store, cache)
    asyncio.run(world.catch_up(world.make()))
    statements = store.calls
    assert statements > 5
    for kill_at in range(1, statements + 1):
        store, cache = Stopper(), MemoryCache()
        world = Services(venue.log, store, cache)

        def kill(call: int, kill_at: int = kill_at) -> None:
            if call == kill_at:
                raise Killed

        setattr(store, moment, kill)
        with pytest.raises(Killed):
            asyncio.run(world.make().run())
        asyncio.run(world.catch_up(world.make()))
        assert asyncio.run(kept_money(store)) == venue.money()
        assert_cache_is_the_store(world, venue)


def test_kill_between_batches_of_one_record_goes_on_inside_it() -> None:
    venue = busy_venue()
    log = packed(venue, batches=30)
    for kill_at in range(2, 8):
        store = Stopper()
        world = Services(log, store)

        def kill(call: int, kill_at: int = kill_at) -> None:
            if call == kill_at:
                raise Killed

        store.behind = kill
        with pytest.raises(Killed):
            asyncio.run(world.make().run())
        asyncio.run(world.catch_up(world.make()))
        assert asyncio.run(kept_money(store)) == venue.money()


@pytest.mark.parametrize("moment", ["before", "behind"])
def test_lost_answers_of_the_store_are_asked_for_again(moment: str) -> None:
    venue = busy_venue()
    store = Stopper()
    world = Services(venue.log, store)

    def lose(call: int) -> None:
        if call % 2:
            raise RetryableError("the connection broke")

    setattr(store, moment, lose)
    asyncio.run(world.catch_up(world.make()))
    assert asyncio.run(kept_money(store)) == venue.money()
    assert_cache_is_the_store(world, venue)


class Slow(DictStore):
    """Another view of a store, whose answers take chosen times."""

    def __init__(self, shared: DictStore, seed: int) -> None:
        super().__init__()
        self.rows, self.places, self.users = shared.rows, shared.places, shared.users
        self._draw = random.Random(seed)

    async def apply(self, batch: Batch) -> bool:
        for _ in range(self._draw.randint(0, 4)):
            await asyncio.sleep(0)
        done = await super().apply(batch)
        for _ in range(self._draw.randint(0, 4)):
            await asyncio.sleep(0)
        return done


@pytest.mark.parametrize("seed", range(8))
def test_twins_write_everything_once_and_end_with_the_same_book(seed: int) -> None:
    venue = busy_venue()
    shared = DictStore()
    world = Services(venue.log, shared)
    settings = [msgspec.structs.replace(QUICK, batch_events=size) for size in (7, 40)]
    twins = []
    for number, one in enumerate(settings):
        world.settings = one
        twins.append(world.make(Slow(shared, 10 * seed + number)))
    asyncio.run(world.catch_up(*twins))
    assert asyncio.run(kept_money(shared)) == venue.money()
    assert_cache_is_the_store(world, venue)
    first, second = (twin.writer for twin in twins)
    if first.place.next_seq == second.place.next_seq:
        for rows in ("positions", "balances"):
            tables = [getattr(twin.book, rows).table.tolist() for twin in (first, second)]
            assert sorted(tables[0]) == sorted(tables[1])


def test_store_that_went_back_is_fatal() -> None:
    venue = busy_venue(30)
    store = Stopper()
    world = Services(venue.log, store)

    def go_back(call: int) -> None:
        if call == 4:
            store.places[PORTFOLIO, 0] = Place(0, 1, 0)

    store.before = go_back
    with pytest.raises(FatalError, match="the store went back to frame 1"):
        asyncio.run(world.make().run())


def test_store_that_takes_nothing_ends_within_the_budget() -> None:
    venue = busy_venue(5)
    store = Stopper()
    world = Services(venue.log, store, settings=msgspec.structs.replace(QUICK, retry_s=0.2))

    def refuse(call: int) -> None:
        raise RetryableError("shut down")

    store.before = refuse
    with pytest.raises(FatalError, match="nothing is lost"):
        asyncio.run(world.make().run())


def test_missing_record_is_fatal_and_named() -> None:
    venue = busy_venue(10)
    del venue.log.of(EXECUTIONS)[8]
    world = Services(venue.log)
    with pytest.raises(FatalError, match="frames are missing"):
        asyncio.run(world.make().run())


def test_instrument_that_the_catalog_lacks_is_named() -> None:
    venue = Venue()
    venue.open({1: RICH, 2: RICH})
    other = msgspec.structs.replace(SPOT, instrument_id=4, symbol="X-USD")
    venue.send([other.to_frame()])
    venue.order(1, 1, 5, 100, instrument=4)
    venue.order(2, 2, 5, 100, instrument=4)
    world = Services(venue.log)
    with pytest.raises(Exception, match="instrument 4, which is not in the catalog"):
        asyncio.run(world.make().run())


def test_records_that_a_restarted_cell_wrote_again_are_passed_over() -> None:
    venue = busy_venue(20)
    executions = venue.log.of(EXECUTIONS)
    executions[-3:-3] = executions[-9:-3]
    executions[10:10] = executions[3:10]
    world = Services(venue.log)
    asyncio.run(world.catch_up(world.make()))
    assert asyncio.run(kept_money(world.store)) == venue.money()


# --------------------------------------------------------------------------------------- the cache


def assert_cache_is_the_store(world: Services, venue: Venue) -> None:
    """Compare what readers see with the engine itself."""
    cash, held = venue.money()
    users = {account for account, _ in (*cash, *held)}

    async def read() -> list[bytes | None]:
        return await world.cache.get([portfolio_key(user) for user in sorted(users)])

    seen_cash, seen_held = {}, {}
    for value in asyncio.run(read()):
        assert value is not None
        document = decode_document(value)
        for balance in document.balances:
            seen_cash[balance.account_id, balance.asset_id] = balance.amount
        for p in document.positions:
            seen_held[p.account_id, p.instrument_id] = (p.qty, p.cost, p.realised, p.fees)
    assert {key: value for key, value in seen_cash.items() if value} == cash
    assert seen_held == held


class Moody(MemoryCache):
    """A cache that is away for a while, or forgets everything."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.lost_puts = 0

    async def put(self, items: dict[str, bytes]) -> None:
        if self.away:
            raise RetryableError("no cache")
        if self.lost_puts:
            self.lost_puts -= 1
            raise RetryableError("the connection broke")
        await super().put(items)

    async def get(self, keys: Any) -> list[bytes | None]:
        if self.away:
            raise RetryableError("no cache")
        return await super().get(keys)

    def forget(self) -> None:
        self._items.clear()


def test_cache_that_is_away_delays_only_itself() -> None:
    venue = busy_venue(30)
    cache = Moody()
    world = Services(venue.log, cache=cache)

    async def main() -> None:
        service = world.make()
        task = asyncio.create_task(service.run())
        cache.away = True
        await world.until(world.is_caught_up, [task])
        assert await cache.keys("") == []
        assert service.trouble() == ""
        cache.away = False

        async def complete() -> bool:
            return len(await cache.keys("pf:")) == 5

        await world.until(complete, [task])
        service.stop()
        await task

    asyncio.run(main())
    assert_cache_is_the_store(world, venue)


def test_documents_of_a_failed_write_are_written_again() -> None:
    venue = busy_venue(30)
    cache = Moody()
    world = Services(venue.log, cache=cache)

    async def main() -> None:
        service = world.make()
        cache.lost_puts = 3
        task = asyncio.create_task(service.run())

        async def written() -> bool:
            return await world.is_caught_up() and not service.publisher.waiting

        await world.until(written, [task])
        service.publisher.change([2])
        cache.lost_puts = 1
        await cache.delete([portfolio_key(2)])
        await world.until(written, [task])
        service.stop()
        await task

    asyncio.run(main())
    assert_cache_is_the_store(world, venue)


def test_cache_that_forgot_everything_is_filled_again() -> None:
    venue = busy_venue(30)
    cache = Moody()
    world = Services(venue.log, cache=cache)

    async def main() -> None:
        service = world.make()
        task = asyncio.create_task(service.run())
        await world.until(world.is_caught_up, [task])
        cache.forget()

        async def complete() -> bool:
            return len(await cache.keys("pf:")) == 5 and await cache.get([marker_key(0)]) != [None]

        await world.until(complete, [task])
        service.stop()
        await task

    asyncio.run(main())
    assert_cache_is_the_store(world, venue)


def test_late_write_of_a_slow_twin_is_healed_by_the_round() -> None:
    venue = busy_venue(30)
    settings = msgspec.structs.replace(QUICK, cache_refresh_s=0.3, mark_every_s=1e6)
    world = Services(venue.log, settings=settings)

    async def main() -> None:
        service = world.make()
        task = asyncio.create_task(service.run())

        async def quiet() -> bool:
            return await world.is_caught_up() and not service.publisher.waiting

        await world.until(quiet, [task])
        await world.cache.put({portfolio_key(1): b"something old"})

        async def healed() -> bool:
            return await world.cache.get([portfolio_key(1)]) != [b"something old"]

        await world.until(healed, [task])
        service.stop()
        await task

    asyncio.run(main())
    assert_cache_is_the_store(world, venue)


def test_documents_follow_the_quotes() -> None:
    """A long position of 10 lots from 10,000: at a middle of floor((10,010 + 10,021) / 2)."""
    venue = Venue()
    venue.open({1: RICH, 2: RICH, 3: RICH})
    venue.admin(CommandKind.MARK_PRICE, instrument_id=PERP.instrument_id, mark_px=10_000)
    venue.order(2, 2, 10, 10_000, instrument=PERP.instrument_id)
    venue.order(1, 1, 10, 10_000, instrument=PERP.instrument_id)
    venue.order(3, 1, 1, 10_010, instrument=PERP.instrument_id)
    venue.order(2, 2, 1, 10_021, instrument=PERP.instrument_id)
    world = Services(venue.log)

    async def main() -> None:
        service = world.make()
        task = asyncio.create_task(service.run())

        async def marked() -> bool:
            (value,) = await world.cache.get([portfolio_key(1)])
            return value is not None and decode_document(value).positions[0].mark_px == 10_015

        await world.until(marked, [task])
        service.stop()
        await task

    asyncio.run(main())
    value = asyncio.run(world.cache.get([portfolio_key(1)]))[0]
    assert value is not None
    document = decode_document(value)
    # One tick times one lot is 0.01 * 0.001 = 1e-5 USD, 1,000 units of 1e-8.
    assert document.positions[0].upnl == 10 * 15 * 1_000
    assert document.pnl[0].upnl == 10 * 15 * 1_000
    assert document.without_marks().positions[0].upnl == 0


def test_documents_are_marked_by_last_trades_where_no_quotes_come() -> None:
    venue = Venue()
    venue.open({1: RICH, 2: RICH})
    venue.admin(CommandKind.MARK_PRICE, instrument_id=PERP.instrument_id, mark_px=10_000)
    for px in (10_000, 10_030):
        venue.order(2, 2, 10, px, instrument=PERP.instrument_id)
        venue.order(1, 1, 10, px, instrument=PERP.instrument_id)
    venue.log.of(MARKET_DATA).clear()
    world = Services(venue.log)
    asyncio.run(world.catch_up(world.make()))
    (value,) = asyncio.run(world.cache.get([portfolio_key(2)]))
    assert value is not None
    position = decode_document(value).positions[0]
    assert (position.qty, position.mark_px) == (-20, 10_030)
    assert position.upnl == -10 * 30 * 1_000


def test_expired_market_data_is_no_trouble() -> None:
    venue = busy_venue(20)
    venue.log.starts[MARKET_DATA, 0] = len(venue.log.of(MARKET_DATA)) - 2
    world = Services(venue.log)
    asyncio.run(world.catch_up(world.make()))
    assert asyncio.run(kept_money(world.store)) == venue.money()


# ------------------------------------------------------------------------------------ equity, time


def test_equity_is_sampled_at_multiples_of_log_time_by_last_trades() -> None:
    """Two people, one spot trade at 10,000 of 100 lots; fees 500 and 100 ppm of 10**9 units."""
    venue = Venue()
    venue.open({1: RICH, 2: RICH})
    venue.order(2, 2, 100, 10_000)
    venue.order(1, 1, 100, 10_000)
    venue.now_ns = START_NS + 25_000_000_000
    venue.order(2, 2, 1, 10_100)
    venue.order(1, 1, 1, 10_100)
    settings = msgspec.structs.replace(QUICK, equity_every_s=10.0)
    world = Services(venue.log, settings=settings)
    asyncio.run(world.catch_up(world.make()))
    (equity,) = asyncio.run(world.store.read("equity"))
    assert equity["ts_ns"].tolist() == [20_000_000_000] * 2
    assert equity["user_id"].tolist() == [1, 2]
    notional = 100 * 10_000 * 1_000
    # 10**12 units of bitcoin are 10**7 lots; at 10,000 ticks of 1,000 units each.
    coins = 10**7 * 10_000 * 1_000
    assert equity["cash"].tolist() == [
        10**15 + coins - notional * 500 // 10**6,
        10**15 + coins - notional * 100 // 10**6,
    ]
    assert equity["equity"].tolist() == equity["cash"].tolist()
    assert equity["unpriced"].tolist() == [0, 0]


def test_equity_does_not_depend_on_batches_kills_or_twins() -> None:
    venue = busy_venue(60)
    seen = []
    for batch_events, restarts in ((7, 0), (1000, 0), (20, 3)):
        settings = msgspec.structs.replace(QUICK, batch_events=batch_events, equity_every_s=0.01)
        log = ListLog()
        world = Services(log, settings=settings)
        whole = venue.log.of(EXECUTIONS)
        for part in range(restarts + 1):
            log.topics[EXECUTIONS, 0] = whole[: len(whole) * (part + 1) // (restarts + 1)]
            asyncio.run(world.catch_up(world.make()))
        seen.append(asyncio.run(world.store.read("equity"))[0].tolist())
    assert len(seen[0]) > 20
    assert seen[0] == seen[1] == seen[2]


# ---------------------------------------------------------------------------------------- sessions


def test_sessions_of_user_events_reach_store_and_cache() -> None:
    venue = busy_venue(3)
    events = [
        SessionOpened(session_id=1, account_id=2, label="maker v3", ts_ns=50),
        SessionOpened(session_id=2, account_id=2),
        SessionClosed(session_id=1, account_id=2, ts_ns=90),
        SessionOpened(session_id=1, account_id=2, label="again", ts_ns=99),
    ]
    log = venue.log.of(USER_EVENTS)
    log.extend((77, encode_user_event(one)) for one in events)
    log.insert(1, (77, b"\xff not a message"))
    world = Services(venue.log)

    async def main() -> None:
        service = world.make()
        task = asyncio.create_task(service.run())

        async def read() -> bool:
            return (await world.store.place(SESSIONS, 0)).next_offset == len(log)

        await world.until(read, [task])

        async def shown() -> bool:
            return await world.cache.get([session_key(1)]) != [None]

        await world.until(shown, [task])
        service.stop()
        await task
        first, second = Session(2, 1, 2, "maker v3", 50, 90), Session(2, 2, 2, "", 77, 0)
        assert await world.store.sessions() == [first, second]
        kept = await world.cache.get([session_key(1), session_key(2)])
        assert [decode_session(value) for value in kept if value] == [first, second]

    asyncio.run(main())


def test_unknown_equity_asset_is_refused() -> None:
    world = Services(ListLog(), settings=msgspec.structs.replace(QUICK, equity_asset="XAU"))
    with pytest.raises(ConfigError, match="XAU"):
        world.make()
