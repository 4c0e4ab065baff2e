"""aiokafka behind the Kafka log: an idempotent producer, and one consumer for each partition read.

Partitions are assigned by hand and offsets are the caller's: no consumer groups. Written for
aiokafka 0.12 and later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    CorruptRecordException,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    OffsetOutOfRangeError,
)

from tradecore_shells.plumbing.kafka import MAX_RECORD_BYTES
from tradecore_shells.plumbing.ports import Bounds, FatalError, Record, RetryableError

__all__ = ["AioKafka", "start_admin"]

# Where nobody has set up logging, the library's warnings do not belong onto the terminal: what
# matters is raised.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())

_FETCH_BYTES: Final = 8 << 20
# What the broker holds a question for; a seek has to wait for the end of it.
_POLL_MS: Final = 100
_ANSWER_S: Final = 10.0
_STOP_S: Final = 5.0
_FRAME_BYTES: Final = 1 << 16


class AioKafka:
    """`tradecore_shells.plumbing.kafka.Backend` made of aiokafka.

    Parameters
    ----------
    bootstrap : str
        ``HOST:PORT`` or several, separated by commas.
    watchdog_s : float
        How long a send may be repeated before it is fatal.
    options : mapping
        Further settings of all clients: ``security_protocol``, ``ssl_context``, ``sasl_*``.
    """

    def __init__(self, bootstrap: str, *, watchdog_s: float, options: Mapping[str, Any]) -> None:
        self.where = bootstrap
        self._watchdog_s = watchdog_s
        self._options = {**options, "bootstrap_servers": bootstrap}
        self._producer: Any = None
        self._asker: Any = None
        self._admin: Any = None

    async def start(self) -> None:
        """See `Backend.start`."""
        timeout = int(_ANSWER_S * 1000)
        self._admin = await start_admin(self.where, self._options)
        self._producer = AIOKafkaProducer(
            enable_idempotence=True,
            acks="all",
            max_batch_size=MAX_RECORD_BYTES + _FRAME_BYTES,
            linger_ms=0,
            **self._options,
        )
        self._asker = AIOKafkaConsumer(
            enable_auto_commit=False, request_timeout_ms=timeout, **self._options
        )
        try:
            await self._producer.start()
            await self._asker.start()
        except KafkaError as error:
            await self.close()
            raise _nobody(self.where) from error
        except BaseException:
            await self.close()
            raise

    async def partitions(self, topic: str) -> int:
        """See `Backend.partitions`."""
        try:
            (found,) = await self._admin.describe_topics([topic])
        except KafkaError as error:
            raise RetryableError(f"{self.where}: {error}") from error
        return len(found["partitions"])

    async def send(self, topic: str, partition: int, payloads: Sequence[memoryview]) -> int:
        """See `Backend.send`."""
        batch = self._producer.create_batch()
        for payload in payloads:
            if batch.append(timestamp=None, key=None, value=payload) is None:
                raise FatalError(f"{topic}-{partition}: {len(payloads)} records exceed a batch")
        batch.close()
        try:
            async with asyncio.timeout(self._watchdog_s):
                future = await self._producer.send_batch(batch, topic, partition=partition)
                done = await future
        except (TimeoutError, KafkaTimeoutError):
            raise FatalError(
                f"{self.where} has not acknowledged an append to {topic}-{partition} for "
                f"{self._watchdog_s:g} s; it may still appear, so this process has to start again "
                "from what the log holds"
            ) from None
        except KafkaError as error:
            raise FatalError(
                f"{self.where} refuses an append to {topic}-{partition}: {error!r}"
            ) from error
        if done.offset < 0:
            raise RetryableError(
                f"{self.where}: {topic}-{partition} took an append twice and forgot its offset"
            )
        return int(done.offset)

    async def bounds(self, topic: str, partition: int) -> Bounds:
        """See `Backend.bounds`."""
        place = TopicPartition(topic, partition)
        try:
            # The end last: a record that was there when we asked is within it.
            start = await self._asker.beginning_offsets([place])
            end = await self._asker.end_offsets([place])
        except KafkaError as error:
            raise RetryableError(
                f"{self.where} does not tell the bounds of {topic}-{partition}: {error!r}"
            ) from error
        return Bounds(start[place], end[place])

    def reader(self, topic: str, partition: int) -> _AioReader:
        """See `Backend.reader`."""
        return _AioReader(self, self._options, topic, partition)

    async def close(self) -> None:
        """See `Backend.close`."""
        clients = (self._producer, self._asker)
        self._producer = self._asker = None
        for client in clients:
            if client is not None:
                await _stop(client.stop())
        if self._admin is not None:
            await _stop(self._admin.close())
            self._admin = None


async def start_admin(bootstrap: str, options: Mapping[str, Any]) -> Any:
    """Return a connected admin client. Raises RetryableError when no broker answers."""
    client = AIOKafkaAdminClient(
        **{**options, "bootstrap_servers": bootstrap}, request_timeout_ms=int(_ANSWER_S * 1000)
    )
    try:
        await client.start()
    except KafkaError as error:
        await _stop(client.close())
        raise _nobody(bootstrap) from error
    return client


def _nobody(where: str) -> RetryableError:
    return RetryableError(f"no Kafka broker answers at {where}; start it, or correct the address")


class _AioReader:
    """One consumer of one partition."""

    def __init__(
        self, backend: AioKafka, options: Mapping[str, Any], topic: str, partition: int
    ) -> None:
        self._backend = backend
        self._options = options
        self._place = TopicPartition(topic, partition)
        self._consumer: Any = None

    async def seek(self, offset: int) -> None:
        """See `BackendReader.seek`."""
        start, end = await self._backend.bounds(*self._place)
        if not start <= offset <= end:
            raise self._outside(offset, f", it keeps {start}..{end}")
        if self._consumer is None:
            self._consumer = await self._connect()
        self._consumer.seek(self._place, offset)

    async def _connect(self) -> Any:
        consumer: Any = AIOKafkaConsumer(
            enable_auto_commit=False,
            auto_offset_reset="none",
            check_crcs=True,
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=_POLL_MS,
            **self._options,
        )
        try:
            await consumer.start()
        except KafkaError as error:
            await _stop(consumer.stop())
            raise _nobody(self._backend.where) from error
        consumer.assign([self._place])
        return consumer

    async def poll(self, wait_s: float) -> list[Record]:
        """See `BackendReader.poll`."""
        topic, partition = self._place
        try:
            found = await self._consumer.getmany(self._place, timeout_ms=int(wait_s * 1000))
        except OffsetOutOfRangeError as error:
            (offset,) = set(error.args[0].values()) if error.args else ("its position",)
            raise self._outside(offset) from error
        except CorruptRecordException as error:
            raise FatalError(
                f"{topic}-{partition} at {self._backend.where} has a damaged record: {error}"
            ) from error
        except KafkaConnectionError as error:
            raise RetryableError(f"{self._backend.where}: {error!r}") from error
        except KafkaError as error:
            kind = RetryableError if error.retriable else FatalError
            raise kind(f"{topic}-{partition} at {self._backend.where}: {error!r}") from error
        return [
            Record(each.offset, each.timestamp * 1_000_000, memoryview(each.value or b""))
            for each in found.get(self._place, ())
        ]

    def _outside(self, offset: object, what: str = "") -> FatalError:
        topic, partition = self._place
        return FatalError(
            f"{topic}-{partition} at {self._backend.where}: offset {offset} is outside of what the "
            f"log keeps{what}: records were truncated or expired; restore the topic, or start from "
            "a newer snapshot"
        )

    async def close(self) -> None:
        """See `BackendReader.close`."""
        if self._consumer is not None:
            await _stop(self._consumer.stop())
            self._consumer = None


async def _stop(stopping: Any) -> None:
    """Wait a while for a client to stop: one that has lost its broker may not."""
    with contextlib.suppress(TimeoutError, KafkaError):
        async with asyncio.timeout(_STOP_S):
            await stopping
