"""The Kafka log over a client library that is not there: order, packing, which error is fatal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tradecore_shells.plumbing.kafka import MAX_RECORD_BYTES, BackendReader, KafkaLog
from tradecore_shells.plumbing.ports import Bounds, FatalError, Record, RetryableError


class FakeReader:
    """Reads the backend's records in pieces of three."""

    def __init__(self, backend: FakeBackend) -> None:
        self._backend = backend
        self._at = 0

    async def seek(self, offset: int) -> None:
        self._backend.seeks.append(offset)
        if offset > len(self._backend.records):
            raise FatalError(f"t-0: offset {offset} is outside")
        self._at = offset

    async def poll(self, wait_s: float) -> list[Record]:
        if self._backend.poll_error is not None:
            error, self._backend.poll_error = self._backend.poll_error, None
            self._at += 3  # who knows where it stands now
            raise error
        if self._backend.slow_polls:
            self._backend.slow_polls -= 1
            return []
        found = self._backend.records[self._at : self._at + 3]
        begin, self._at = self._at, self._at + len(found)
        return [Record(begin + n, 1, memoryview(each)) for n, each in enumerate(found)]

    async def close(self) -> None:
        self._backend.closed.append("reader")


class FakeBackend:
    """One partition in memory; sends wait until they are let go."""

    where = "broker:9092"

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.batches: list[int] = []
        self.go = asyncio.Event()
        self.go.set()
        self.starts = 0
        self.down = 0
        self.hangs = False
        self.topics = {"t": 2}
        self.error: Exception | None = None
        self.seeks: list[int] = []
        self.slow_polls = 0
        self.poll_error: Exception | None = None
        self.closed: list[str] = []

    async def start(self) -> None:
        self.starts += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.starts <= self.down:
            raise RetryableError(f"no Kafka broker answers at {self.where}")

    async def partitions(self, topic: str) -> int:
        return self.topics.get(topic, 0)

    async def send(self, topic: str, partition: int, payloads: Sequence[memoryview]) -> int:
        await self.go.wait()
        if self.error is not None:
            raise self.error
        first = len(self.records)
        self.records += [bytes(payload) for payload in payloads]
        self.batches.append(len(payloads))
        return first

    async def bounds(self, topic: str, partition: int) -> Bounds:
        return Bounds(0, len(self.records))

    def reader(self, topic: str, partition: int) -> BackendReader:
        return FakeReader(self)

    async def close(self) -> None:
        self.closed.append("backend")


def play(body: Callable[[KafkaLog, FakeBackend], Awaitable[None]]) -> None:
    async def main() -> None:
        backend = FakeBackend()
        log = KafkaLog("", backend=backend)
        async with asyncio.timeout(30):
            await body(log, backend)
            await log.close()

    asyncio.run(main())


def test_kafka_packs_what_waits_and_keeps_its_order() -> None:
    async def body(log: KafkaLog, backend: FakeBackend) -> None:
        backend.go.clear()
        calls = [asyncio.create_task(log.append("t", 0, [b"%d" % n] * 2)) for n in range(100)]
        for _ in range(5):
            await asyncio.sleep(0)
        backend.go.set()
        assert await asyncio.gather(*calls) == list(range(0, 200, 2))
        assert backend.records == [b"%d" % n for n in range(100) for _ in range(2)]
        assert len(backend.batches) <= 2

    play(body)


def test_kafka_divides_what_one_request_cannot_hold() -> None:
    async def body(log: KafkaLog, backend: FakeBackend) -> None:
        part = bytes(3_000_000)
        assert await log.append("t", 0, [part] * 5 + [b"end"]) == 0
        assert backend.batches == [2, 2, 2]
        assert await log.append("t", 0, [b"next"]) == 6
        with pytest.raises(FatalError, match="Kafka takes up to 8000000"):
            await log.append("t", 0, [bytes(MAX_RECORD_BYTES + 1)])
        assert await log.append("t", 0, []) == 7
        assert await log.append("t", 0, [bytes(MAX_RECORD_BYTES)]) == 7

    play(body)


def test_kafka_that_is_down_is_tried_again_with_every_call() -> None:
    async def body(log: KafkaLog, backend: FakeBackend) -> None:
        backend.down = 2
        both = await asyncio.gather(
            log.append("t", 0, [b"a"]), log.append("t", 0, [b"b"]), return_exceptions=True
        )
        assert [type(each) for each in both] == [RetryableError] * 2
        with pytest.raises(RetryableError, match="broker:9092"):
            await log.bounds("t", 0)
        assert await log.append("t", 0, [b"c"]) == 0
        assert backend.starts == 3

    play(body)


def test_kafka_topic_that_is_missing_names_the_command_that_makes_it() -> None:
    async def body(log: KafkaLog, backend: FakeBackend) -> None:
        for call in (log.append("u", 0, [b"a"]), log.bounds("u", 0)):
            with pytest.raises(
                RetryableError, match=r"no topic 'u'.*tradecore admin topics --kafka broker:9092"
            ):
                await call
        backend.topics["u"] = 1
        assert await log.append("u", 0, [b"a"]) == 0
        with pytest.raises(FatalError, match="u has 1 partitions, 1 is none of them"):
            await log.fetch("u", 1, 0, max_bytes=1, wait_s=0)

    play(body)


def test_kafka_send_that_fails_ends_every_append_for_good() -> None:
    """What stands behind a lost batch must never be appended: it would leave a hole."""

    async def body(log: KafkaLog, backend: FakeBackend) -> None:
        backend.go.clear()
        calls = [asyncio.create_task(log.append("t", 0, [bytes(1 << 20)])) for _ in range(5)]
        for _ in range(5):
            await asyncio.sleep(0)
        backend.error = FatalError("the broker refuses")
        backend.go.set()
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(each) for each in done] == [FatalError] * 5
        backend.error = None
        for partition in (0, 1):
            with pytest.raises(FatalError, match="the broker refuses"):
                await log.append("t", partition, [b"x"])
        assert backend.records == []

    play(body)


def test_kafka_mistake_of_the_library_is_fatal_too() -> None:
    async def body(log: KafkaLog, backend: FakeBackend) -> None:
        backend.error = ZeroDivisionError("oops")
        with pytest.raises(FatalError, match="oops"):
            await log.append("t", 0, [b"x"])
        with pytest.raises(FatalError, match="oops"):
            await log.append("t", 0, [b"x"])

    play(body)


def test_kafka_reads_on_without_seeking_and_hands_out_what_fits() -> None:
    async def body(log: KafkaLog, backend: FakeBackend) -> None:
        backend.records = [b"%d" % n * 10 for n in range(10)]
        found: list[Record] = []
        while len(found) < 10:
            part = await log.fetch("t", 0, len(found), max_bytes=25, wait_s=5)
            assert 1 <= len(part) <= 2
            found += part
        assert [bytes(each.payload) for each in found] == backend.records
        assert backend.seeks == [0]
        await log.fetch("t", 0, 4, max_bytes=25, wait_s=5)
        assert backend.seeks == [0, 4]

    play(body)


def test_kafka_short_wait_is_not_taken_for_nothing() -> None:
    async def body(log: KafkaLog, backend: FakeBackend) -> None:
        backend.records = [b"a"]
        backend.slow_polls = 1
        assert len(await log.fetch("t", 0, 0, max_bytes=25, wait_s=0)) == 1
        assert await log.fetch("t", 0, 1, max_bytes=25, wait_s=0) == []
        backend.records.append(b"b")
        assert len(await log.fetch("t", 0, 1, max_bytes=25, wait_s=0)) == 1
        assert backend.seeks == [0]

    play(body)


def test_kafka_reader_whose_call_failed_seeks_again() -> None:
    async def body(log: KafkaLog, backend: FakeBackend) -> None:
        backend.records = [b"a"]
        await log.fetch("t", 0, 0, max_bytes=25, wait_s=5)
        with pytest.raises(FatalError, match="outside"):
            await log.fetch("t", 0, 5, max_bytes=25, wait_s=5)
        assert len(await log.fetch("t", 0, 0, max_bytes=25, wait_s=5)) == 1
        assert backend.seeks == [0, 5, 0]
        backend.records += [b"b", b"c"]
        backend.poll_error = RetryableError("the connection broke")
        with pytest.raises(RetryableError, match="broke"):
            await log.fetch("t", 0, 1, max_bytes=25, wait_s=5)
        found = await log.fetch("t", 0, 1, max_bytes=25, wait_s=5)
        assert [bytes(each.payload) for each in found] == [b"b", b"c"]
        assert backend.seeks == [0, 5, 0, 1]

    play(body)


def test_kafka_close_does_not_wait_for_a_broker_that_does_not_answer() -> None:
    async def body(log: KafkaLog, backend: FakeBackend) -> None:
        backend.hangs = True
        calls = [asyncio.create_task(log.append("t", 0, [b"x"])) for _ in range(2)]
        calls.append(asyncio.create_task(log.fetch("t", 0, 0, max_bytes=1, wait_s=1)))
        for _ in range(5):
            await asyncio.sleep(0)
        await log.close()
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(each) for each in done] == [FatalError] * 3

    play(body)


def test_kafka_close_finishes_what_was_queued() -> None:
    async def body(log: KafkaLog, backend: FakeBackend) -> None:
        backend.records = [b"0"]
        await log.fetch("t", 0, 0, max_bytes=25, wait_s=5)
        backend.go.clear()
        call = asyncio.create_task(log.append("t", 0, [b"1"]))
        await asyncio.sleep(0)
        closing = asyncio.create_task(log.close())
        await asyncio.sleep(0)
        backend.go.set()
        await closing
        assert await call == 1
        assert backend.closed == ["reader", "backend"]

    play(body)
