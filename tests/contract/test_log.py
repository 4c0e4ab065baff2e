"""The contract of the Log port: one suite for every adapter.

Files, a socket in front of files (unix and TCP), the simulator's broker, Apache Kafka. What is
promised in `tradecore_shells.plumbing.ports.Log` is tried here, and nothing else.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.log_worlds import FileWorld, KafkaWorld, SimulatedWorld, SocketWorld, World, insist
from tradecore_shells.plumbing.ports import Bounds, FatalError, Log, Record

WORLDS = ("files", "unix", "tcp", "simulated", "kafka")
LONG_S = 60.0
Body = Callable[[World, Log], Awaitable[None]]


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    if request.param == "files":
        return FileWorld(tmp_path)
    if request.param == "unix":
        monkeypatch.chdir(tmp_path)  # a socket's path must be short
        return SocketWorld(tmp_path, "unix:s")
    if request.param == "tcp":
        return SocketWorld(tmp_path, "tcp://127.0.0.1:0")
    if request.param == "simulated":
        return SimulatedWorld()
    return KafkaWorld(request.getfixturevalue("real_servers").kafka)


def play(world: World, body: Body) -> None:
    """Run a test's coroutine with an open log, and close everything behind it."""

    async def main() -> None:
        log = await world.open()
        try:
            await insist(lambda: log.bounds("one", 0))
            await body(world, log)
        finally:
            await log.close()
            await world.end()

    world.run(main())


async def read_all(
    log: Log, topic: str = "one", partition: int = 0, *, start: int = 0, max_bytes: int = 1 << 20
) -> list[Record]:
    """Read from an offset to what is the end now, as a reader does."""
    end = (await insist(lambda: log.bounds(topic, partition))).end
    found: list[Record] = []
    while start < end:
        part = await log.fetch(topic, partition, start, max_bytes=max_bytes, wait_s=LONG_S)
        found += part
        start = part[-1].offset + 1
    return found


def texts(records: Sequence[Record]) -> list[bytes]:
    return [bytes(record.payload) for record in records]


def test_log_empty_has_equal_bounds_and_nothing_to_fetch(world: World) -> None:
    async def body(_: World, log: Log) -> None:
        assert await log.bounds("one", 0) == Bounds(0, 0)
        assert await log.fetch("one", 0, 0, max_bytes=1000, wait_s=0) == []
        assert await log.fetch("one", 0, 0, max_bytes=1000, wait_s=0.01) == []

    play(world, body)


def test_log_append_returns_the_first_offset_and_fetch_the_records(world: World) -> None:
    async def body(_: World, log: Log) -> None:
        assert await log.append("one", 0, [b"a", b"bb", b"ccc"]) == 0
        assert await log.append("one", 0, [b"d"]) == 3
        assert await log.bounds("one", 0) == Bounds(0, 4)
        found = await read_all(log)
        assert texts(found) == [b"a", b"bb", b"ccc", b"d"]
        assert [record.offset for record in found] == [0, 1, 2, 3]
        assert all(record.ts_ns > 1_000_000_000 * 10**9 for record in found)
        assert all(record.payload.readonly for record in found)

    play(world, body)


def test_log_takes_every_kind_of_buffer_and_size(world: World) -> None:
    async def body(_: World, log: Log) -> None:
        frames = np.arange(64, dtype=np.uint64)
        large = random.Random(1).randbytes(900_000)
        await log.append("one", 0, [b"", bytearray(b"x"), memoryview(b"xyz")[1:], frames])
        await log.append("one", 0, [large])
        found = texts(await read_all(log))
        assert found == [b"", b"x", b"yz", frames.tobytes(), large]

    play(world, body)


def test_log_partitions_and_topics_are_apart(world: World) -> None:
    async def body(_: World, log: Log) -> None:
        await asyncio.gather(
            log.append("one", 0, [b"1-0"]), insist(lambda: log.append("one", 1, [b"1-1"] * 2))
        )
        await insist(lambda: log.append("two", 0, [b"2-0"] * 3))
        assert (await log.bounds("one", 0)).end == 1
        assert texts(await read_all(log, "one", 1)) == [b"1-1"] * 2
        assert texts(await read_all(log, "two", 0)) == [b"2-0"] * 3

    play(world, body)


def test_log_appends_made_without_waiting_keep_their_order(world: World) -> None:
    async def body(_: World, log: Log) -> None:
        calls = [
            log.append("one", 0, [b"%d.%d" % (n, k) for k in range(n % 4 + 1)]) for n in range(200)
        ]
        offsets = await asyncio.gather(*calls)
        expected = [b"%d.%d" % (n, k) for n in range(200) for k in range(n % 4 + 1)]
        assert texts(await read_all(log)) == expected
        due = 0
        for n, offset in enumerate(offsets):
            assert offset == due
            due += n % 4 + 1

    play(world, body)


def test_log_records_of_one_append_stand_next_to_each_other(world: World) -> None:
    async def body(_: World, log: Log) -> None:
        async def writer(name: int) -> None:
            for n in range(20):
                await log.append("one", 0, [b"%d %d %d" % (name, n, k) for k in range(3)])

        await asyncio.gather(*(writer(name) for name in range(5)))
        found = [tuple(map(int, text.split())) for text in texts(await read_all(log))]
        assert len(found) == 300
        for at in range(0, 300, 3):
            name, n, _ = found[at]
            assert found[at : at + 3] == [(name, n, 0), (name, n, 1), (name, n, 2)]
        for name in range(5):
            assert [n for who, n, k in found if who == name and k == 0] == list(range(20))

    play(world, body)


def test_log_fetch_waits_for_the_first_record(world: World) -> None:
    async def body(_: World, log: Log) -> None:
        await log.append("one", 0, [b"old"])
        waiting = asyncio.create_task(log.fetch("one", 0, 1, max_bytes=1000, wait_s=LONG_S))
        await asyncio.sleep(0)
        await log.append("one", 0, [b"new"])
        async with asyncio.timeout(LONG_S / 2):
            assert texts(await waiting) == [b"new"]

    play(world, body)


def test_log_reader_that_follows_sees_everything_once(world: World) -> None:
    async def body(_: World, log: Log) -> None:
        chance = random.Random(5)
        written = [chance.randbytes(chance.randrange(3000)) for _ in range(300)]

        async def write() -> None:
            at = 0
            while at < len(written):
                step = chance.randrange(1, 20)
                await log.append("one", 0, written[at : at + step])
                at += step

        writing = asyncio.create_task(write())
        found: list[Record] = []
        while len(found) < len(written):
            found += await log.fetch(
                *("one", 0, len(found)), max_bytes=chance.choice((1, 5_000, 1 << 20)), wait_s=LONG_S
            )
        await writing
        assert texts(found) == written
        assert [record.offset for record in found] == list(range(300))

    play(world, body)


def test_log_any_offset_can_be_read_from(world: World) -> None:
    async def body(_: World, log: Log) -> None:
        written = [b"%d" % n * (1 + n % 700) for n in range(400)]
        for at in range(0, 400, 7):
            await log.append("one", 0, written[at : at + 7])
        chance = random.Random(3)
        for _n in range(20):
            offset = chance.randrange(400)
            part = await log.fetch("one", 0, offset, max_bytes=2_000, wait_s=LONG_S)
            assert part[0].offset == offset
            assert texts(part) == written[offset : offset + len(part)]
        assert texts(await read_all(log, max_bytes=5_000)) == written

    play(world, body)


def test_log_max_bytes_is_kept_but_for_a_single_record(world: World) -> None:
    async def body(_: World, log: Log) -> None:
        await log.append("one", 0, [b"x" * 400] * 10)
        offset = 0
        while offset < 10:
            part = await log.fetch("one", 0, offset, max_bytes=1_000, wait_s=LONG_S)
            assert 1 <= len(part) <= 2
            offset += len(part)
        assert len(await log.fetch("one", 0, 0, max_bytes=1, wait_s=LONG_S)) == 1

    play(world, body)


@pytest.mark.parametrize("offset", [3, 1_000_000])
def test_log_offset_behind_the_end_is_fatal(world: World, offset: int) -> None:
    """The log lost records that somebody has seen: going on would be another history."""

    async def body(_: World, log: Log) -> None:
        await log.append("one", 0, [b"a", b"b"])
        with pytest.raises(FatalError, match=rf"one.*{offset}"):
            await log.fetch("one", 0, offset, max_bytes=1000, wait_s=0)
        assert texts(await read_all(log)) == [b"a", b"b"]

    play(world, body)


def test_log_offset_before_the_start_is_fatal(world: World) -> None:
    async def body(surroundings: World, log: Log) -> None:
        for n in range(100):
            await log.append("one", 0, [b"%d" % n * 3000])
        await surroundings.forget(log, "one", 0, 90)
        bounds = await log.bounds("one", 0)
        assert 0 < bounds.start <= 90
        assert bounds.end == 100
        with pytest.raises(FatalError, match=r"one.*0"):
            await log.fetch("one", 0, 0, max_bytes=1000, wait_s=0)
        found = await read_all(log, start=bounds.start)
        assert [record.offset for record in found] == list(range(bounds.start, 100))
        assert bytes(found[-1].payload[:2]) == b"99"

    play(world, body)


def test_log_opened_again_has_everything_and_goes_on(world: World) -> None:
    async def body(surroundings: World, log: Log) -> None:
        chance = random.Random(7)
        written: list[bytes] = []
        for _ in range(4):
            more = [chance.randbytes(chance.randrange(9_000)) for _ in range(30)]
            assert await log.append("one", 0, more) == len(written)
            written += more
            await log.close()
            log = await surroundings.open()
            assert (await log.bounds("one", 0)).end == len(written)
            assert texts(await read_all(log)) == written
        await log.close()

    play(world, body)


def test_log_payloads_outlive_the_log(world: World) -> None:
    async def body(_: World, log: Log) -> None:
        written = [b"%d" % n * 2000 for n in range(50)]
        await log.append("one", 0, written)
        found = await read_all(log)
        await log.close()
        assert texts(found) == written

    play(world, body)


def test_log_cancelled_fetch_does_not_disturb_the_next(world: World) -> None:
    async def body(_: World, log: Log) -> None:
        for n in range(5):
            waiting = asyncio.create_task(log.fetch("one", 0, n, max_bytes=1000, wait_s=LONG_S))
            await asyncio.sleep(0.001)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await log.append("one", 0, [b"%d" % n])
            found = await log.fetch("one", 0, n, max_bytes=1000, wait_s=LONG_S)
            assert texts(found) == [b"%d" % n]

    play(world, body)


def test_log_times_do_not_precede_what_was_written_before(world: World) -> None:
    """One writer's next append is stamped later; between leaders of Kafka clocks may step back."""

    async def body(_: World, log: Log) -> None:
        for n in range(20):
            await log.append("one", 0, [b"%d" % n])
        times = [record.ts_ns for record in await read_all(log)]
        assert times == sorted(times)

    play(world, body)


def test_log_closed_refuses_everything(world: World) -> None:
    async def body(_: World, log: Log) -> None:
        await log.append("one", 0, [b"a"])
        await log.close()
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: log.append("one", 0, [b"b"]),
            lambda: log.fetch("one", 0, 0, max_bytes=10, wait_s=0),
            lambda: log.bounds("one", 0),
        ]
        for call in calls:
            with pytest.raises(FatalError, match="closed"):
                await call()
        await log.close()

    play(world, body)


def test_log_two_adapters_share_the_records(world: World) -> None:
    if not getattr(world, "is_shared", False):
        pytest.skip("one process owns the files; others come through the server")

    async def body(surroundings: World, log: Log) -> None:
        other = await surroundings.open()
        waiting = asyncio.create_task(other.fetch("one", 0, 0, max_bytes=1000, wait_s=LONG_S))
        await asyncio.gather(log.append("one", 0, [b"a"]), log.append("one", 0, [b"b"]))
        assert texts(await waiting)[0] == b"a"
        await other.append("one", 0, [b"c"])
        assert texts(await read_all(log)) == texts(await read_all(other)) == [b"a", b"b", b"c"]
        await other.close()

    play(world, body)
