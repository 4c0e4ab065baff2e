"""A log of another process of this machine: the Log port over the socket of a `LogServer`.

One connection, made when it is first needed and again after it broke; everything overlaps on it.
Readers that go on where they stopped are read ahead: while one answer is worked on, the next is
asked for, so neither side waits for the other. At most two answers wait for a reader.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from tradecore.buffers import BytesLike, byte_view
from tradecore_shells.plumbing import logwire as wire
from tradecore_shells.plumbing.ports import Bounds, FatalError, Record, RetryableError

__all__ = ["LogClient"]

_LONG_POLL_S: Final = 20.0
_READ_AHEAD: Final = 2

_Answer = tuple[wire.Reply, memoryview]


class LogClient:
    """The Log port over a socket.

    Parameters
    ----------
    address : str
        ``unix:PATH`` or ``tcp://127.0.0.1:PORT``, as the server was given it.
    timeout_s : float
        After so long without an answer, appends and questions raise RetryableError.
    """

    def __init__(self, address: str, *, timeout_s: float = 30.0) -> None:
        self._address = address
        self._place = wire.parse_address(address)
        self._timeout_s = timeout_s
        self._numbers = itertools.count()
        self._session: _Session | None = None
        self._readers: dict[tuple[str, int], _Reader] = {}
        self._closed = False

    async def append(self, topic: str, partition: int, payloads: Sequence[BytesLike]) -> int:
        """See `Log.append`."""
        views = [byte_view(payload) for payload in payloads]
        sizes = [view.nbytes for view in views]
        # Sent before anything waits: the order is that of the calls.
        answer = self.ask(lambda number: wire.Append(number, topic, partition, sizes), views)
        reply, _ = await self._answered(answer)
        assert isinstance(reply, wire.Done)
        return reply.offset

    async def fetch(
        self, topic: str, partition: int, offset: int, *, max_bytes: int, wait_s: float
    ) -> list[Record]:
        """See `Log.fetch`."""
        reader = self._readers.get((topic, partition))
        if reader is None:
            reader = self._readers[topic, partition] = _Reader(self, topic, partition)
        return await reader.fetch(offset, max_bytes, wait_s)

    async def bounds(self, topic: str, partition: int) -> Bounds:
        """See `Log.bounds`."""
        reply, _ = await self._answered(
            self.ask(lambda number: wire.BoundsOf(number, topic, partition))
        )
        assert isinstance(reply, wire.Bounds)
        return Bounds(reply.start, reply.end)

    async def topics(self) -> dict[str, int]:
        """Return topics and their numbers of partitions. Raises as `bounds`."""
        reply, _ = await self._answered(self.ask(wire.TopicsOf))
        assert isinstance(reply, wire.Topics)
        return reply.topics

    async def close(self) -> None:
        """Drop the connection; who waits for an answer gets a FatalError. May be repeated."""
        self._closed = True
        if self._session is not None:
            self._session.fail(FatalError(f"{self._address}: the log is closed"))
            await self._session.end()
            self._session = None

    # ------------------------------------------------------------------------------- asking
    def ask(
        self, make: Callable[[int], wire.Request], payloads: Sequence[memoryview] = ()
    ) -> asyncio.Future[_Answer]:
        """Send a request; the future has the answer, or raises what the server raised."""
        if self._closed:
            raise FatalError(f"{self._address}: the log is closed")
        if self._session is None or self._session.error is not None:
            self._session = _Session(self._address, self._place)
        return self._session.ask(make(next(self._numbers)), payloads)

    async def _answered(self, answer: asyncio.Future[_Answer]) -> _Answer:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await answer
        except TimeoutError:
            raise RetryableError(
                f"the log at {self._address} has not answered for {self._timeout_s:g} s"
            ) from None


class _Session:
    """One connection: requests by number, until the first error."""

    def __init__(self, address: str, place: tuple[str, int] | str) -> None:
        self._address = address
        self._waiting: dict[int, asyncio.Future[_Answer]] = {}
        self._connection: wire.Connection[wire.Reply] = wire.Connection(
            wire.Reply, self._take, self._lost
        )
        self.error: RetryableError | FatalError | None = None
        self._connecting = asyncio.create_task(self._connect(place))

    async def _connect(self, place: tuple[str, int] | str) -> None:
        loop = asyncio.get_running_loop()
        try:
            if isinstance(place, str):
                await loop.create_unix_connection(lambda: self._connection, place)
            else:
                await loop.create_connection(lambda: self._connection, *place)
        except OSError as error:
            self.fail(
                RetryableError(
                    f"no log answers at {self._address} ({error.strerror or error}); is "
                    "`tradecore up` running?"
                )
            )

    def ask(self, request: wire.Request, payloads: Sequence[memoryview]) -> asyncio.Future[_Answer]:
        """Send, or queue until connected."""
        self._connection.send(request, payloads)
        answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._waiting[request.request] = answer
        # An answer that nobody waits for any more may be an error too.
        answer.add_done_callback(_look_at)
        return answer

    def _take(self, reply: wire.Reply, data: memoryview) -> None:
        answer = self._waiting.pop(reply.request, None)
        if answer is None:
            raise wire.WireError(f"an answer to request {reply.request}, which is not open")
        sizes = sum(size for *_, size in reply.records) if isinstance(reply, wire.Fetched) else 0
        if sizes != len(data):
            raise wire.WireError(f"records of {sizes} bytes in {len(data)} bytes of data")
        if answer.done():
            return
        if isinstance(reply, wire.Failed):
            kind = RetryableError if reply.retryable else FatalError
            answer.set_exception(kind(reply.reason))
        else:
            answer.set_result((reply, data))

    def _lost(self, error: Exception | None) -> None:
        why = str(error) if error is not None else "closed by the other side"
        self.fail(RetryableError(f"the connection to the log at {self._address} is lost: {why}"))

    def fail(self, error: RetryableError | FatalError) -> None:
        """Answer everything with an error; the first one counts."""
        if self.error is None:
            self.error = error
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(self.error)
        self._waiting.clear()

    async def end(self) -> None:
        """Stop connecting, or close."""
        self._connecting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._connecting
        self._connection.close()


def _look_at(answer: asyncio.Future[_Answer]) -> None:
    if not answer.cancelled():
        answer.exception()


class _Reader:
    """One partition as it is read: what was asked for and not handed out yet."""

    def __init__(self, client: LogClient, topic: str, partition: int) -> None:
        self._client = client
        self._place = topic, partition
        self._asked: deque[tuple[int, asyncio.Future[_Answer]]] = deque()
        self._left: list[Record] = []
        self._next = -1
        self._max_bytes = 0
        self._reads_on = False

    async def fetch(self, offset: int, max_bytes: int, wait_s: float) -> list[Record]:
        """See `Log.fetch`."""
        self._reads_on = offset == self._next
        self._max_bytes = max_bytes
        if not self._reads_on:
            self._asked.clear()
            self._left = []
        self._next = offset
        if not self._left:
            try:
                self._left = await self._receive(offset, wait_s)
            except BaseException:
                self._asked.clear()
                self._next = -1
                raise
        taken, self._left = _part(self._left, max_bytes)
        if taken:
            self._next = taken[-1].offset + 1
            self._read_ahead()
        return taken

    async def _receive(self, offset: int, wait_s: float) -> list[Record]:
        """Return the next answer that has records, or none when there is none in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            if not self._asked:
                self._ask(offset)
            answer = self._asked[0][1]
            left = deadline - loop.time()
            if not answer.done() and left > 0:
                await asyncio.wait((answer,), timeout=left)
            if not answer.done():
                # The answer may be on its way: "nothing" must be what the log says.
                if (await self._client.bounds(*self._place)).end == offset:
                    return []
                await asyncio.wait((answer,))
            self._asked.popleft()
            reply, data = answer.result()
            assert isinstance(reply, wire.Fetched)
            if reply.records:
                payloads = wire.split(data, [size for *_, size in reply.records])
                return [
                    Record(at, ts_ns, payload)
                    for (at, ts_ns, _), payload in zip(reply.records, payloads, strict=True)
                ]
            if loop.time() >= deadline:
                return []

    def _ask(self, offset: int) -> None:
        answer = self._client.ask(
            lambda number: wire.Fetch(
                *(number, *self._place, offset, self._max_bytes, _LONG_POLL_S),
            )
        )
        self._asked.append((offset, answer))
        answer.add_done_callback(self._arrived)

    def _arrived(self, answer: asyncio.Future[_Answer]) -> None:
        if self._asked and self._asked[-1][1] is answer:
            self._read_ahead()

    def _read_ahead(self) -> None:
        """Ask for what follows the last answer, if the reader is one that reads on."""
        if not self._reads_on or len(self._asked) >= _READ_AHEAD:
            return
        following = self._left[-1].offset + 1 if self._left else self._next
        if self._asked:
            answer = self._asked[-1][1]
            if not answer.done() or answer.cancelled() or answer.exception() is not None:
                return
            reply = answer.result()[0]
            if not isinstance(reply, wire.Fetched) or not reply.records:
                return
            following = reply.records[-1][0] + 1
        with contextlib.suppress(FatalError):  # closed: the next fetch says so
            self._ask(following)


def _part(records: list[Record], max_bytes: int) -> tuple[list[Record], list[Record]]:
    """Split records: as many as fit, at least one; and the rest."""
    size = 0
    for number, each in enumerate(records):
        size += each.payload.nbytes
        if number and size > max_bytes:
            return records[:number], records[number:]
    return records, []
