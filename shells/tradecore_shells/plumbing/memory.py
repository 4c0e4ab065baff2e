"""The cache in this process: what `tradecore up` uses where no Redis is."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["MemoryCache"]


class MemoryCache:
    """A dictionary behind the Cache port; gone with the process, as a cache may be."""

    def __init__(self) -> None:
        self._items: dict[str, bytes] = {}

    async def put(self, items: dict[str, bytes]) -> None:
        """Set keys."""
        self._items.update(items)

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values, None where there is none."""
        return [self._items.get(key) for key in keys]

    async def keys(self, prefix: str) -> list[str]:
        """Return all keys that begin with `prefix`, sorted."""
        return sorted(key for key in self._items if key.startswith(prefix))

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove keys."""
        for key in keys:
            self._items.pop(key, None)

    async def close(self) -> None:
        """Nothing to let go of."""
