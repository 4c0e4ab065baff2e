"""The log's server and client: garbage, limits, broken connections, and who may connect."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from fuzz.mutators import mutate
from tradecore.buffers import BytesLike
from tradecore_shells.plumbing import logserver
from tradecore_shells.plumbing import logwire as wire
from tradecore_shells.plumbing.clock import SystemClock
from tradecore_shells.plumbing.filelog import FileLog
from tradecore_shells.plumbing.logclient import LogClient
from tradecore_shells.plumbing.logserver import LogServer
from tradecore_shells.plumbing.ports import Bounds, FatalError, Record, RetryableError

Body = Callable[[LogServer, LogClient], Awaitable[None]]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of a socket must be short, that of a test's folder may be long."""
    monkeypatch.chdir(tmp_path)


class HeldLog:
    """A log in memory whose appends wait until they are let go; counts what it is asked."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.go = asyncio.Event()
        self.go.set()
        self.appends = 0
        self.fetches: list[int] = []
        self.error: Exception | None = None

    async def append(self, topic: str, partition: int, payloads: Sequence[BytesLike]) -> int:
        if self.error is not None:
            raise self.error
        self.appends += 1
        first = len(self.records)
        self.records += [bytes(memoryview(payload)) for payload in payloads]  # type: ignore[arg-type]
        await self.go.wait()
        return first

    async def fetch(
        self, topic: str, partition: int, offset: int, *, max_bytes: int, wait_s: float
    ) -> list[Record]:
        self.fetches.append(offset)
        found = self.records[offset : offset + 10]
        if not found:
            await asyncio.Event().wait()
        return [Record(offset + n, 1, memoryview(each)) for n, each in enumerate(found)]

    async def bounds(self, topic: str, partition: int) -> Bounds:
        return Bounds(0, len(self.records))

    async def topics(self) -> dict[str, int]:
        return {"t": 1}

    async def close(self) -> None:
        """Nothing is open."""


def play(folder: Path, body: Body, *, log: Callable[[], HeldLog] | None = None) -> None:
    async def main() -> None:
        served = log() if log else FileLog(folder / "log", SystemClock())
        server = LogServer(served, "unix:s")
        await server.start()
        client = LogClient(server.address)
        try:
            async with asyncio.timeout(60):
                await body(server, client)
        finally:
            await client.close()
            await server.close()
            await served.close()

    asyncio.run(main())


def frame(message: bytes, data: bytes = b"", magic: bytes = b"TCL1") -> bytes:
    return struct.pack("<4sII", magic, len(message), len(data)) + message + data


GARBAGE = {
    "another protocol": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a message too large": struct.pack("<4sII", b"TCL1", 1 << 30, 0),
    "data too large": struct.pack("<4sII", b"TCL1", 5, (1 << 28) + 1),
    "no msgpack": frame(b"\xc1\xc1\xc1"),
    "another message": frame(msgspec.msgpack.encode([99, 1])),
    "an answer": frame(msgspec.msgpack.encode([16, 1, 5])),
    "a negative number": frame(msgspec.msgpack.encode([2, 1, "t", 0, -1, 100, 0.0])),
    "too long a topic": frame(msgspec.msgpack.encode([3, 1, "t" * 101, 0])),
    "sizes that do not add up": frame(msgspec.msgpack.encode([1, 1, "t", 0, [3, 4]]), b"12345"),
}


@pytest.mark.parametrize("what", sorted(GARBAGE))
def test_server_closes_a_connection_that_sends_garbage_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    async def body(server: LogServer, client: LogClient) -> None:
        assert await client.append("t", 0, [b"before"]) == 0
        reader, writer = await asyncio.open_unix_connection("s")
        writer.write(GARBAGE[what])
        with caplog.at_level(logging.WARNING, "tradecore.logserver"):
            assert await reader.read() == b""
        writer.close()
        # Everybody else goes on.
        assert await client.append("t", 0, [b"after"]) == 1

    play(tmp_path, body)
    lines = [each.getMessage() for each in caplog.records]
    assert len(lines) == 1, lines
    assert "does not speak the log's protocol" in lines[0]


def test_server_takes_frames_in_any_pieces(tmp_path: Path) -> None:
    """What a connection delivers has no boundaries: bytes, halves of heads, many frames at once."""
    chance = random.Random(2)
    payloads = [
        chance.randbytes(chance.choice((0, 10, 5_000, 300_000, 600_000))) for _ in range(30)
    ]
    messages = b"".join(
        frame(msgspec.msgpack.encode([1, n, "t", 0, [len(each)]]), each)
        for n, each in enumerate(payloads)
    )

    async def body(server: LogServer, client: LogClient) -> None:
        reader, writer = await asyncio.open_unix_connection("s")
        at = 0
        while at < len(messages):
            size = chance.choice((1, 7, 12, 1000, 200_000, 2_000_000))
            writer.write(messages[at : at + size])
            await writer.drain()
            at += size
        for n in range(len(payloads)):
            _, size, _ = struct.unpack("<4sII", await reader.readexactly(12))
            assert msgspec.msgpack.decode(await reader.readexactly(size)) == [16, n, n]
        writer.close()
        found = []
        while len(found) < len(payloads):
            found += await client.fetch("t", 0, len(found), max_bytes=1 << 20, wait_s=30)
        assert [bytes(each.payload) for each in found] == payloads

    play(tmp_path, body)


@pytest.mark.parametrize("side", ["requests", "replies"])
def test_any_bytes_are_messages_or_one_error(side: str) -> None:
    """Mutated streams in pieces of any size: nothing but WireError, and no memory for claims."""
    whole = {
        "requests": [
            frame(msgspec.msgpack.encode([1, 1, "t", 0, [3, 2]]), b"abcde"),
            frame(msgspec.msgpack.encode([2, 2, "t", 0, 5, 1000, 1.5])),
            frame(msgspec.msgpack.encode([3, 3, "t", 0])) + frame(msgspec.msgpack.encode([4, 4])),
        ],
        "replies": [
            frame(msgspec.msgpack.encode([16, 1, 7])),
            frame(msgspec.msgpack.encode([17, 2, [[5, 6, 2], [6, 6, 1]]]), b"xyz"),
            frame(msgspec.msgpack.encode([20, 3, True, "no"])),
        ],
    }[side]
    kind = wire.Request if side == "requests" else wire.Reply
    messages = failures = 0

    def take(message: object, data: memoryview) -> None:
        nonlocal messages
        messages += 1
        sizes = getattr(message, "sizes", None) or [n for *_, n in getattr(message, "records", ())]
        assert sum(map(len, wire.split(data, sizes))) == len(data)

    for number in range(2000):
        chance = random.Random(f"wire {side} {number}")
        stream = mutate(whole, chance) + whole[0]
        connection: wire.Connection[object] = wire.Connection(kind, take, lambda error: None)
        while stream and connection._error is None:
            room = connection.get_buffer(-1)
            assert 0 < len(room) <= 1 << 20
            piece = stream[: chance.choice((1, 5, 64, 1 << 20))][: len(room)]
            room[: len(piece)] = piece
            room.release()
            connection.buffer_updated(len(piece))
            stream = stream[len(piece) :]
        failures += connection._error is not None
    assert messages > 500
    assert 100 < failures < 2000


def test_server_stops_reading_who_asks_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logserver, "_MAX_PENDING_BYTES", 1 << 20)
    held = HeldLog()

    async def body(server: LogServer, client: LogClient) -> None:
        held.go.clear()
        calls = [asyncio.create_task(client.append("t", 0, [bytes(300_000)])) for _ in range(40)]
        other = LogClient(server.address)
        for _ in range(50):  # each is a round trip: the server has had time to read more
            await other.bounds("t", 0)
        assert 4 <= held.appends <= 6
        held.go.set()
        assert await asyncio.gather(*calls) == list(range(40))
        await other.close()

    play(tmp_path, body, log=lambda: held)


def test_client_reads_ahead_only_when_somebody_reads_on(tmp_path: Path) -> None:
    held = HeldLog()

    async def body(server: LogServer, client: LogClient) -> None:
        await client.append("t", 0, [b"%d" % n for n in range(100)])
        await client.fetch("t", 0, 50, max_bytes=100, wait_s=1)
        await client.bounds("t", 0)
        assert held.fetches == [50]
        held.fetches.clear()
        found = await client.fetch("t", 0, 0, max_bytes=100, wait_s=1)
        found += await client.fetch("t", 0, 10, max_bytes=100, wait_s=1)
        for _ in range(5):
            await client.bounds("t", 0)
        assert held.fetches[:2] == [0, 10]
        assert 3 <= len(held.fetches) <= 4  # 20, perhaps 30: never without end
        while len(found) < 100:
            found += await client.fetch("t", 0, len(found), max_bytes=100, wait_s=1)
        assert [bytes(each.payload) for each in found] == held.records

    play(tmp_path, body, log=lambda: held)


# ---------------------------------------------------------------------------- errors on the way
@pytest.mark.parametrize("kind", [RetryableError, FatalError])
def test_errors_of_the_log_reach_the_client_as_they_are(
    tmp_path: Path, kind: type[Exception]
) -> None:
    held = HeldLog()

    async def body(server: LogServer, client: LogClient) -> None:
        held.error = kind("the disk has gone")
        with pytest.raises(kind, match="the disk has gone"):
            await client.append("t", 0, [b"x"])
        held.error = None
        assert await client.append("t", 0, [b"x"]) == 0

    play(tmp_path, body, log=lambda: held)


def test_a_mistake_in_the_log_closes_the_connection_and_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    held = HeldLog()

    async def body(server: LogServer, client: LogClient) -> None:
        held.error = ZeroDivisionError("oops")
        with pytest.raises(RetryableError, match="is lost"):
            await client.append("t", 0, [b"x"])

    play(tmp_path, body, log=lambda: held)
    assert "ZeroDivisionError: oops" in caplog.text


def test_client_without_a_server_says_where_and_tries_again(tmp_path: Path) -> None:
    async def main() -> None:
        client = LogClient("unix:s")
        for _ in range(2):
            with pytest.raises(RetryableError, match=r"no log answers at unix:.*tradecore up"):
                await client.append("t", 0, [b"x"])
        log = FileLog(tmp_path / "log", SystemClock())
        server = LogServer(log, "unix:s")
        await server.start()
        assert await client.append("t", 0, [b"x"]) == 0
        waiting = asyncio.create_task(client.fetch("t", 0, 1, max_bytes=10, wait_s=60))
        await client.bounds("t", 0)
        await server.close()
        with pytest.raises(RetryableError, match="is lost"):
            await waiting
        server = LogServer(log, "unix:s")
        await server.start()
        # A reader finds its place again: the one it had, and any other.
        waiting = asyncio.create_task(client.fetch("t", 0, 1, max_bytes=10, wait_s=60))
        await client.append("t", 0, [b"y"])
        assert [bytes(each.payload) for each in await waiting] == [b"y"]
        found = await client.fetch("t", 0, 0, max_bytes=9, wait_s=9)
        assert [each.offset for each in found] == [0, 1]
        await client.close()
        await server.close()
        await log.close()

    asyncio.run(main())


def test_client_gives_up_on_a_server_that_does_not_answer(tmp_path: Path) -> None:
    held = HeldLog()

    async def body(server: LogServer, client: LogClient) -> None:
        held.go.clear()
        hasty = LogClient(server.address, timeout_s=0.01)
        with pytest.raises(RetryableError, match=r"has not answered for 0\.01 s"):
            await hasty.append("t", 0, [b"x"])
        held.go.set()
        assert await hasty.bounds("t", 0) == Bounds(0, 1)  # it happened all the same
        await hasty.close()

    play(tmp_path, body, log=lambda: held)


def test_client_does_not_believe_a_server_that_answers_what_was_not_asked(tmp_path: Path) -> None:
    async def main() -> None:
        async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(frame(msgspec.msgpack.encode([16, 12345, 0])))
            await writer.drain()
            await reader.read()
            writer.close()

        server = await asyncio.start_unix_server(lie, "s")
        client = LogClient("unix:s")
        with pytest.raises(RetryableError, match="request 12345, which is not open"):
            await client.bounds("t", 0)
        await client.close()
        server.close()
        await server.wait_closed()

    asyncio.run(main())


class StubTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is buffered."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))


def test_connection_gives_the_transport_no_more_than_it_wants() -> None:
    """A slow peer must not fill this process's memory: payloads wait where they are."""
    connection: wire.Connection[wire.Reply] = wire.Connection(
        wire.Reply, lambda message, data: None, lambda error: None
    )
    transport = StubTransport()
    connection.send(wire.BoundsOf(1, "t", 0))
    assert transport.written == []
    connection.connection_made(transport)
    assert len(transport.written) == 1
    connection.pause_writing()
    large = memoryview(bytes(100_000))
    connection.send(wire.Append(2, "t", 0, [len(large)]), [large])
    assert len(transport.written) == 1
    connection.resume_writing()
    assert sum(map(len, transport.written[1:])) > len(large)
    assert transport.written[-1] == large


def test_client_refuses_an_append_that_no_server_would_take(tmp_path: Path) -> None:
    async def body(server: LogServer, client: LogClient) -> None:
        part = bytes(1 << 20)
        with pytest.raises(FatalError, match="too much for one call"):
            await client.append("t", 0, [part] * 257)
        assert await client.append("t", 0, [b"x"]) == 0

    play(tmp_path, body)


# ------------------------------------------------------------------------------------ addresses
def test_server_socket_is_for_its_owner_only(tmp_path: Path) -> None:
    async def body(server: LogServer, client: LogClient) -> None:
        mode = os.stat(tmp_path / "s").st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600

    play(tmp_path, body)
    assert not (tmp_path / "s").exists()


def test_server_takes_over_a_socket_that_a_killed_process_left(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind("s")

    async def body(server: LogServer, client: LogClient) -> None:
        assert await client.append("t", 0, [b"x"]) == 0
        with pytest.raises(FatalError, match="another process serves a log there"):
            await LogServer(HeldLog(), server.address).start()

    play(tmp_path, body)


def test_server_does_not_remove_what_is_no_socket(tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / "s").write_text("precious")
        with pytest.raises(FatalError, match="exists and is no socket"):
            await LogServer(HeldLog(), "unix:s").start()
        assert (tmp_path / "s").read_text() == "precious"
        with pytest.raises(FatalError, match="cannot listen"):
            await LogServer(HeldLog(), "unix:no/s").start()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://0.0.0.0:5", "for one machine"),
        ("tcp://10.0.0.1:5", "for one machine"),
        ("tcp://127.0.0.1:99999", "is not unix:PATH"),
        ("tcp://127.0.0.1", "is not unix:PATH"),
        ("unix:", "is not unix:PATH"),
        ("unix:" + "x" * 101, "at most 100 bytes"),
        ("http://x", "is not unix:PATH"),
    ],
)
def test_address_that_cannot_be_is_refused(address: str, words: str) -> None:
    with pytest.raises(FatalError, match=words):
        LogClient(address)
    with pytest.raises(FatalError, match=words):
        wire.parse_address(address)


def test_server_on_a_port_in_use_is_one_sentence() -> None:
    async def main() -> None:
        first = LogServer(HeldLog(), "tcp://127.0.0.1:0")
        await first.start()
        assert first.address != "tcp://127.0.0.1:0"
        with pytest.raises(FatalError, match=r"cannot listen.*choose another address"):
            await LogServer(HeldLog(), first.address).start()
        await first.close()
        await first.close()

    asyncio.run(main())
