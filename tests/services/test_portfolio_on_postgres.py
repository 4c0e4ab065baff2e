"""The portfolio on a real Postgres and a real Redis: exact through broken connections and twins."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest
from services.testing import Servers

from portfolio_worlds import CATALOG, QUICK, Services, busy_venue, kept_money
from tradecore_shells.plumbing.cluster import EmbeddedPostgres
from tradecore_shells.plumbing.memory import MemoryCache
from tradecore_shells.plumbing.postgres import Postgres
from tradecore_shells.plumbing.redis import RedisCache
from tradecore_shells.portfolio.pgstore import PostgresStore
from tradecore_shells.portfolio.reconcile import reconcile

SETTINGS = msgspec.structs.replace(QUICK, equity_every_s=0.01, batch_events=6, retry_s=60.0)


async def differences(world: Services, store: PostgresStore) -> list[str]:
    """Return what reconciling finds."""
    findings = await reconcile(
        SETTINGS, CATALOG, 0, partition=0, log=world.log, store=store, cache=world.cache
    )
    return [str(one) for one in findings.differences]


def test_postgres_and_redis_hold_what_the_engine_has(
    real_database: str, real_servers: Servers
) -> None:
    venue = busy_venue(80)

    async def main() -> None:
        store = PostgresStore(Postgres(real_database))
        await store.open(CATALOG)
        base = real_servers.redis.rpartition("/")[0]
        cache = RedisCache(f"{base}/{1 + os.getpid() % 15}")
        await cache.delete(await cache.keys("pf"))
        world = Services(venue.log, store, cache, SETTINGS)
        await world.catch_up(world.make())
        assert await kept_money(store) == venue.money()
        assert await differences(world, store) == []
        await cache.delete(await cache.keys("pf"))
        await cache.close()
        await store.close()

    asyncio.run(main())


def test_twins_whose_connections_are_cut_write_everything_once(real_database: str) -> None:
    venue = busy_venue(240)

    async def main() -> None:
        stores = [PostgresStore(Postgres(real_database)) for _ in range(2)]
        watching = PostgresStore(Postgres(real_database))
        axe = Postgres(real_database)
        await watching.open(CATALOG)
        await axe.fetch("SELECT 1")  # connected before there is something to cut
        world = Services(venue.log, watching, settings=SETTINGS)
        twins = [world.make(store) for store in stores]
        tasks = [asyncio.create_task(twin.run()) for twin in twins]
        cuts = 0
        async with asyncio.timeout(60):
            while not await world.is_caught_up():
                rows = await axe.fetch(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE (query LIKE 'WITH%' OR query LIKE 'COPY%') "
                    "AND datname = current_database() AND pid <> pg_backend_pid()"
                )
                cuts += len(rows)
                await asyncio.sleep(0.02)
                for task in tasks:
                    assert not task.done(), task.result()
        for twin in twins:
            twin.stop()
        await asyncio.gather(*tasks)
        assert cuts
        assert await kept_money(watching) == venue.money()
        assert await differences(world, watching) == []
        for one in (*stores, watching, axe):
            await one.close()

    asyncio.run(main())


@pytest.mark.slow
def test_server_that_is_killed_again_and_again_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """The server's own crash: immediate stops and SIGKILL in the middle of statements."""
    venue = busy_venue(150)
    cluster = EmbeddedPostgres(tmp_path / "postgres")
    cluster.start()

    async def main() -> None:
        store = PostgresStore(Postgres(cluster.dsn))
        world = Services(venue.log, store, MemoryCache(), SETTINGS)
        service = world.make()
        task = asyncio.create_task(service.run())
        kills = 0
        async with asyncio.timeout(90):
            while service.writer.place.next_offset < len(venue.log.of("executions")):
                await asyncio.sleep(0.02)
                if kills < 4 and service.state == "running":
                    await asyncio.to_thread(cluster.stop_immediately if kills % 2 else cluster.kill)
                    await asyncio.to_thread(cluster.start)
                    kills += 1
                assert not task.done(), task.result()
        service.stop()
        await task
        assert kills == 4
        assert await kept_money(store) == venue.money()
        assert await differences(world, store) == []
        await store.close()

    try:
        asyncio.run(main())
    finally:
        cluster.stop_immediately()
