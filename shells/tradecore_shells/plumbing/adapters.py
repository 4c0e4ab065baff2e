"""From an address in the settings to the adapter behind it; here all of them are known."""

from __future__ import annotations

from tradecore.errors import ConfigError
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.ports import Cache, Clock, Log

__all__ = ["open_cache", "open_log"]


def open_log(url: str, clock: Clock | None = None) -> Log:
    """Return the log at an address; nothing is connected before the first call.

    Parameters
    ----------
    url : str
        ``file:FOLDER``, ``unix:PATH``, ``tcp://127.0.0.1:PORT`` or ``kafka://HOST:PORT[,HOST:PORT]``.
    clock : Clock, optional
        Stamps the records of ``file:``; the system's when not given.

    Raises
    ------
    ConfigError
        Not such an address, or its client is not installed.
    """
    kind, _, rest = url.partition(":")
    if kind == "file" and rest:
        from tradecore_shells.plumbing.filelog import FileLog

        return FileLog(rest, clock or SystemClock())
    if kind in {"unix", "tcp"} and rest:
        from tradecore_shells.plumbing.logclient import LogClient

        return LogClient(url)
    if kind == "kafka" and rest.startswith("//") and len(rest) > 2:
        try:
            from tradecore_shells.plumbing.kafka import KafkaLog
        except ImportError as error:
            raise ConfigError(f"{url}: {error.name} is missing; {_EXTRA}") from None

        return KafkaLog(rest[2:])
    raise ConfigError(
        f"[log] url {url!r}: file:FOLDER, unix:PATH, tcp://127.0.0.1:PORT or kafka://HOST:PORT"
    )


_EXTRA = "install tradecore[services]"


def open_cache(url: str) -> Cache:
    """Return the cache at ``memory:`` or ``redis://HOST:PORT/DB``. Raises ConfigError."""
    if url == "memory:":
        from tradecore_shells.plumbing.memory import MemoryCache

        return MemoryCache()
    if url.startswith(("redis://", "rediss://", "unix://")):
        try:
            from tradecore_shells.plumbing.redis import RedisCache

            return RedisCache(url)
        except ImportError as error:
            raise ConfigError(f"[cache] url: {error.name} is missing; {_EXTRA}") from None
    raise ConfigError(f"[cache] url {url!r}: memory: or redis://HOST:PORT/DB")
