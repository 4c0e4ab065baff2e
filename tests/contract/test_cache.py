"""The contract of the Cache port: in this process, and in a real Redis."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable

import pytest
from services.testing import real_servers  # noqa: F401 (fixture)

from tradecore.errors import ConfigError
from tradecore_shells.plumbing.memory import MemoryCache
from tradecore_shells.plumbing.ports import Cache, RetryableError
from tradecore_shells.plumbing.redis import RedisCache

Body = Callable[[Cache, str], Awaitable[None]]
_numbers = itertools.count()


@pytest.fixture(params=["memory", "redis"])
def play(request: pytest.FixtureRequest) -> Callable[[Body], None]:
    """Run a body with a cache and a prefix that nobody else uses."""
    url = "" if request.param == "memory" else request.getfixturevalue("real_servers").redis
    prefix = f"test-{os.getpid()}-{next(_numbers)}:"

    def run(body: Body) -> None:
        async def main() -> None:
            cache: Cache = RedisCache(url) if url else MemoryCache()
            try:
                await body(cache, prefix)
            finally:
                await cache.delete(await cache.keys(prefix))
                await cache.close()

        asyncio.run(main())

    return run


def test_values_come_back_in_the_order_of_the_keys(play: Callable[[Body], None]) -> None:
    async def body(cache: Cache, p: str) -> None:
        await cache.put({f"{p}a": b"1", f"{p}b": bytes(range(256))})
        assert await cache.get([f"{p}b", f"{p}none", f"{p}a"]) == [bytes(range(256)), None, b"1"]

    play(body)


def test_last_value_counts(play: Callable[[Body], None]) -> None:
    async def body(cache: Cache, p: str) -> None:
        await cache.put({f"{p}a": b"1"})
        await cache.put({f"{p}a": b""})
        assert await cache.get([f"{p}a"]) == [b""]

    play(body)


def test_keys_are_found_by_prefix_and_sorted(play: Callable[[Body], None]) -> None:
    async def body(cache: Cache, p: str) -> None:
        await cache.put({f"{p}x*{n}": b"v" for n in (3, 1, 2)} | {f"{p}xy": b"v"})
        assert await cache.keys(f"{p}x*") == [f"{p}x*1", f"{p}x*2", f"{p}x*3"]
        assert await cache.keys(f"{p}none") == []

    play(body)


def test_deleted_keys_are_gone_and_absent_ones_no_error(play: Callable[[Body], None]) -> None:
    async def body(cache: Cache, p: str) -> None:
        await cache.put({f"{p}a": b"1", f"{p}b": b"2"})
        await cache.delete([f"{p}a", f"{p}none"])
        assert await cache.keys(p) == [f"{p}b"]

    play(body)


def test_thousands_of_keys_at_once(play: Callable[[Body], None]) -> None:
    async def body(cache: Cache, p: str) -> None:
        items = {f"{p}{n:05d}": str(n).encode() for n in range(4321)}
        await cache.put(items)
        assert await cache.get(list(items)) == list(items.values())
        assert await cache.keys(p) == sorted(items)
        await cache.delete(list(items))
        assert await cache.keys(p) == []

    play(body)


def test_nothing_is_no_error(play: Callable[[Body], None]) -> None:
    async def body(cache: Cache, p: str) -> None:
        await cache.put({})
        await cache.delete([])
        assert await cache.get([]) == []

    play(body)


def test_absent_server_is_retryable_and_named() -> None:
    async def main() -> None:
        cache = RedisCache("redis://:secret@127.0.0.1:9/0", timeout_s=2)
        with pytest.raises(RetryableError, match=r"redis://127\.0\.0\.1:9") as caught:
            await cache.put({"a": b"1"})
        assert "secret" not in str(caught.value)
        await cache.close()

    asyncio.run(main())


def test_wrong_address_is_refused() -> None:
    with pytest.raises(ConfigError):
        RedisCache("http://127.0.0.1")
