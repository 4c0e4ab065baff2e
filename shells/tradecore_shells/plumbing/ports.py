"""The ports: what a service asks of the world, as Protocols.

Every port has an embedded adapter (no server), a distributed one, and a fake on virtual time in
`tradecore_shells.sim`; all of them pass the same suite in tests/contract. A service is given its
ports and makes none, so the simulator runs the services as they are.

Rules that hold for every adapter:

* a call that returned has happened, durably; a call that raised may or may not have happened;
* `RetryableError`: the same call may be made again, as often as the caller's budget allows;
  any other error is fatal: the process ends with a sentence and a non-zero exit code;
* nothing here interprets payloads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tradecore.errors import TradecoreError

__all__ = [
    "AUDIT_LOGS",
    "EXECUTIONS",
    "MARKET_DATA",
    "RISK_EVENTS",
    "TOPICS",
    "TRADING_COMMANDS",
    "USER_EVENTS",
    "Bounds",
    "Cache",
    "Clock",
    "FatalError",
    "Log",
    "Payload",
    "Record",
    "RetryableError",
    "dead_letters",
]

Payload = bytes | bytearray | memoryview
"""Bytes of one record; the length is that of the bytes."""

TRADING_COMMANDS = "trading-commands"
EXECUTIONS = "executions"
MARKET_DATA = "market-data"
USER_EVENTS = "user-events"
RISK_EVENTS = "risk-events"
AUDIT_LOGS = "audit-logs"
TOPICS = (TRADING_COMMANDS, EXECUTIONS, MARKET_DATA, USER_EVENTS, RISK_EVENTS, AUDIT_LOGS)


def dead_letters(topic: str) -> str:
    """Name of the topic that keeps what could not be read from `topic`."""
    return f"{topic}.dlq"


class RetryableError(TradecoreError):
    """The world is not ready (a server is down, a connection broke): try again."""


class FatalError(TradecoreError):
    """Going on could lose or double something: the process must end and start again."""


class Record(NamedTuple):
    """One record of a log partition.

    Parameters
    ----------
    offset : int
        Its number in the partition, from 0. Dense in the embedded log; Kafka may skip numbers.
    ts_ns : int
        When the log took it, Unix ns by the log's clock. May step back; readers take the maximum.
    payload : memoryview
        Its bytes; valid as long as the record is referenced.
    """

    offset: int
    ts_ns: int
    payload: memoryview


class Bounds(NamedTuple):
    """First offset that is still there, and the offset that the next record will get."""

    start: int
    end: int


class Clock(Protocol):
    """Wall time, for what is stamped and shown; never for what is decided."""

    def now_ns(self) -> int:
        """Return Unix time in nanoseconds."""


class Log(Protocol):
    """Partitions of records, appended in order, read from any offset."""

    async def append(self, topic: str, partition: int, payloads: Sequence[Payload]) -> int:
        """Append records, in order and next to each other, and wait until they are durable.

        Calls for one partition that are made one after the other (also without waiting in between)
        are appended in that order. The buffers must stay unchanged until the call returns.

        Returns
        -------
        int
            Offset of the first of them.

        Raises
        ------
        RetryableError
            Not appended as far as is known; it may still appear later (a lost acknowledgement).
        FatalError
            The log refuses this writer for good.
        """

    async def fetch(
        self, topic: str, partition: int, offset: int, *, max_bytes: int, wait_s: float
    ) -> list[Record]:
        """Return records from `offset` on, at least one when there is one.

        Waits up to `wait_s` for the first record and returns an empty list after that. One reader
        of a partition at a time per adapter object; reading on where the last call ended is cheap,
        any other offset is a seek.

        Raises
        ------
        RetryableError
            The log cannot be reached.
        FatalError
            `offset` is outside what the log keeps: records were truncated or expired.
        """

    async def bounds(self, topic: str, partition: int) -> Bounds:
        """Return the first offset kept and the offset of the next record."""

    async def close(self) -> None:
        """Let go of connections and files. What was acknowledged stays."""


class Cache(Protocol):
    """Real-time copies for readers; everything in it can be rebuilt from elsewhere."""

    async def put(self, items: dict[str, bytes]) -> None:
        """Set keys; one round trip. Raises RetryableError."""

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values, None where there is none; one round trip. Raises RetryableError."""

    async def keys(self, prefix: str) -> list[str]:
        """Return all keys that begin with `prefix`, sorted. O(keys); for reconciling."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove keys; absent ones are no error."""

    async def close(self) -> None:
        """Let go of the connection."""
