"""The cache in Redis: pipelined, without transactions, nothing in it that cannot be rebuilt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from tradecore.errors import ConfigError
from tradecore_shells.plumbing.ports import FatalError, RetryableError

__all__ = ["RedisCache"]

T = TypeVar("T")
# Keys of one command: long enough to be cheap, short enough not to hold the server up.
_CHUNK = 1000


class RedisCache:
    """The Cache port over one Redis database.

    Parameters
    ----------
    url : str
        ``redis://host:port/database``.
    timeout_s : float
        Longest time for connecting and for one reply.

    Raises
    ------
    ConfigError
        Not such an address.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        import redis.asyncio
        import redis.exceptions

        self._errors = redis.exceptions
        self._away = (
            OSError,
            redis.exceptions.ConnectionError,
            redis.exceptions.TimeoutError,
            redis.exceptions.BusyLoadingError,
            redis.exceptions.OutOfMemoryError,
        )
        self._where = f"redis://{url.partition('//')[2].rpartition('@')[2]}"
        try:
            self._redis: Any = redis.asyncio.Redis.from_url(
                url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s
            )
        except ValueError as error:
            raise ConfigError(f"{self._where}: {error}") from None

    async def _call(self, what: Callable[[], Awaitable[T]]) -> T:
        try:
            return await what()
        except self._errors.AuthenticationError as error:
            raise FatalError(f"Redis at {self._where} refuses us: {error}") from error
        except self._away as error:
            raise RetryableError(f"Redis at {self._where}: {error}") from error
        except self._errors.RedisError as error:
            raise FatalError(f"Redis at {self._where}: {error}") from error

    async def put(self, items: dict[str, bytes]) -> None:
        """Set keys, a thousand a command; one round trip. Raises RetryableError."""
        if not items:
            return
        pairs = list(items.items())
        pipeline = self._redis.pipeline(transaction=False)
        for at in range(0, len(pairs), _CHUNK):
            pipeline.mset(dict(pairs[at : at + _CHUNK]))
        await self._call(pipeline.execute)

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values, None where there is none; one round trip. Raises RetryableError."""
        if not keys:
            return []
        pipeline = self._redis.pipeline(transaction=False)
        for at in range(0, len(keys), _CHUNK):
            pipeline.mget(keys[at : at + _CHUNK])
        parts: list[list[bytes | None]] = await self._call(pipeline.execute)
        return [value for part in parts for value in part]

    async def keys(self, prefix: str) -> list[str]:
        """Return all keys that begin with `prefix`, sorted. O(keys of the database)."""
        pattern = "".join(f"\\{c}" if c in "*?[]\\^" else c for c in prefix) + "*"

        async def scan() -> set[str]:
            return {k.decode() async for k in self._redis.scan_iter(pattern, count=_CHUNK)}

        return sorted(await self._call(scan))

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove keys; absent ones are no error."""
        if not keys:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for at in range(0, len(keys), _CHUNK):
            pipeline.delete(*keys[at : at + _CHUNK])
        await self._call(pipeline.execute)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._call(self._redis.aclose)
