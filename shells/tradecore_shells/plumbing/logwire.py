"""The bytes between `LogServer` and `LogClient`: frames, messages, and a protocol that moves them.

A frame is a head of 12 bytes (magic ``TCL1``, u32 size of the message, u32 size of the data, both
little-endian), a msgpack message, and data: the payloads of records, one behind the other, whose
sizes the message names. Either side answers by number, so requests overlap freely on one
connection. Nothing here knows what a log is.

What is sent is not copied here and waits here while the peer reads slowly; the caller bounds it by
waiting for answers. What is received arrives in memory of its own, one piece for each frame.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Annotated, Final, Generic, TypeVar, cast

import msgspec

from tradecore_shells.plumbing.ports import FatalError

__all__ = [
    "MAX_DATA_BYTES",
    "Append",
    "Bounds",
    "BoundsOf",
    "Connection",
    "Done",
    "Failed",
    "Fetch",
    "Fetched",
    "Reply",
    "Request",
    "Topics",
    "TopicsOf",
    "WireError",
    "parse_address",
    "split",
]

HEAD: Final = struct.Struct("<4sII")
MAGIC: Final = b"TCL1"
MAX_MESSAGE_BYTES: Final = 1 << 22
MAX_DATA_BYTES: Final = 1 << 28
"""Most payload bytes of one append."""

_BUFFER_BYTES: Final = 1 << 18
# A frame that only claims to be large must not cost what it claims.
_FIRST_BYTES: Final = 1 << 20
_JOIN_BYTES: Final = 1 << 15

_Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_Topic = Annotated[str, msgspec.Meta(max_length=100)]


class WireError(Exception):
    """The peer sent what this protocol does not."""


class _Message(msgspec.Struct, array_like=True, frozen=True, gc=False):
    request: _Number


class Append(_Message, tag=1, frozen=True):
    """Append records; the data are their payloads. Answered by `Done` with the first offset."""

    topic: _Topic
    partition: _Number
    sizes: list[_Number]


class Fetch(_Message, tag=2, frozen=True):
    """Ask for records from an offset on, waiting up to a time. Answered by `Fetched`."""

    topic: _Topic
    partition: _Number
    offset: _Number
    max_bytes: _Number
    wait_s: Annotated[float, msgspec.Meta(ge=0, le=3600)]


class BoundsOf(_Message, tag=3, frozen=True):
    """Ask for the bounds of a partition. Answered by `Bounds`."""

    topic: _Topic
    partition: _Number


class TopicsOf(_Message, tag=4, frozen=True):
    """Ask for the topics. Answered by `Topics`."""


class Done(_Message, tag=16, frozen=True):
    """An append is durable."""

    offset: _Number


class Fetched(_Message, tag=17, frozen=True):
    """Records: offset, time and size of each; the data are their payloads."""

    records: list[tuple[int, int, int]]


class Bounds(_Message, tag=18, frozen=True):
    """First offset kept, and the next one."""

    start: int
    end: int


class Topics(_Message, tag=19, frozen=True):
    """Topics and their numbers of partitions."""

    topics: dict[str, int]


class Failed(_Message, tag=20, frozen=True):
    """The request raised: RetryableError or FatalError, with its sentence."""

    retryable: bool
    reason: str


Request = Append | Fetch | BoundsOf | TopicsOf
Reply = Done | Fetched | Bounds | Topics | Failed

_In = TypeVar("_In")
_ENCODER: Final = msgspec.msgpack.Encoder()


def split(data: memoryview, sizes: Sequence[int]) -> list[memoryview]:
    """Cut data into the payloads whose sizes a message names.

    Raises
    ------
    WireError
        The sizes do not add up to the data.
    """
    if sum(sizes) != len(data):
        raise WireError(f"payloads of {sum(sizes)} bytes in {len(data)} bytes of data")
    parts, at = [], 0
    for size in sizes:
        parts.append(data[at : at + size])
        at += size
    return parts


def parse_address(address: str) -> tuple[str, int] | str:
    """Read ``unix:PATH`` or ``tcp://127.0.0.1:PORT``: a path, or host and port.

    Raises
    ------
    FatalError
        Anything else; hosts that are not this machine included.
    """
    kind, _, rest = address.partition(":")
    if kind == "unix" and rest:
        if len(rest.encode()) > 100:
            raise FatalError(f"{address}: a socket's path has at most 100 bytes; use a shorter one")
        return rest
    host, _, port = rest.removeprefix("//").rpartition(":")
    if kind == "tcp" and port.isdecimal() and int(port) < 1 << 16:
        if host in ("127.0.0.1", "localhost", "[::1]"):
            return host.strip("[]"), int(port)
        raise FatalError(f"{address}: the embedded log is for one machine; use 127.0.0.1, or Kafka")
    raise FatalError(f"{address!r} is not unix:PATH or tcp://127.0.0.1:PORT")


class Connection(asyncio.BufferedProtocol, Generic[_In]):
    """One connection: frames in, frames out.

    Parameters
    ----------
    messages : type
        What may arrive: `Request` or `Reply`.
    on_message : callable
        Called with each message and its data, in order. May raise WireError.
    on_close : callable
        Called once with what ended the connection: None, OSError, or WireError.
    """

    def __init__(
        self,
        messages: object,
        on_message: Callable[[_In, memoryview], None],
        on_close: Callable[[Exception | None], None],
    ) -> None:
        self._decoder: msgspec.msgpack.Decoder[_In] = msgspec.msgpack.Decoder(messages)
        self._on_message = on_message
        self._on_close = on_close
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(_BUFFER_BYTES)
        self._large: bytearray | None = None
        self._large_bytes = 0
        self._filled = 0
        self._outgoing: deque[memoryview | bytes] = deque()
        self._paused = False
        self._error: WireError | None = None

    # ---------------------------------------------------------------------------- receiving
    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go: a frame's own memory once it is known to be large."""
        return memoryview(self._buffer if self._large is None else self._large)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes that arrived."""
        self._filled += nbytes
        try:
            if self._large is None:
                self._take_frames()
            elif self._filled == self._large_bytes:
                frame, self._large, self._filled = self._large, None, 0
                self._deliver(memoryview(frame))
            elif self._filled == len(self._large):
                # Copied, not resized: the transport still looks at the old one.
                self._large, old = self._room(2 * self._filled), self._large
                self._large[: self._filled] = old
        except WireError as error:
            self.fail(error)

    def _take_frames(self) -> None:
        at, filled = 0, self._filled
        view = memoryview(self._buffer)
        while filled - at >= HEAD.size:
            magic, message, data = HEAD.unpack_from(view, at)
            if magic != MAGIC or message > MAX_MESSAGE_BYTES or data > MAX_DATA_BYTES:
                raise WireError(f"{bytes(view[at : at + HEAD.size])!r} is no head of a frame")
            size = HEAD.size + message + data
            if size > len(view):
                self._large_bytes = size
                self._large = self._room(_FIRST_BYTES)
                self._large[: filled - at] = view[at:filled]
                self._filled = filled - at
                return
            if filled - at < size:
                break
            # Copied: the buffer is used again while somebody may keep the payloads.
            self._deliver(memoryview(bytes(view[at : at + size])))
            at += size
        view[: filled - at] = view[at:filled]
        self._filled = filled - at

    def _room(self, size: int) -> bytearray:
        return bytearray(min(size, self._large_bytes))

    def _deliver(self, frame: memoryview) -> None:
        if self._error is not None:
            return
        _, message, _ = HEAD.unpack_from(frame)
        data_at = HEAD.size + message
        try:
            decoded = self._decoder.decode(frame[HEAD.size : data_at])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise WireError(f"not a message: {error}") from None
        self._on_message(decoded, frame[data_at:].toreadonly())

    # ------------------------------------------------------------------------------ sending
    def send(self, message: Request | Reply, payloads: Sequence[memoryview] = ()) -> None:
        """Send a frame; the payloads must stay unchanged until it was answered, or was an answer.

        Raises
        ------
        FatalError
            The frame is larger than the peer would take; nothing was sent.
        """
        encoded = _ENCODER.encode(message)
        size = sum(payload.nbytes for payload in payloads)
        if len(encoded) > MAX_MESSAGE_BYTES or size > MAX_DATA_BYTES:
            raise FatalError(
                f"{len(payloads)} records of {size} bytes are too much for one call; at most "
                f"{MAX_DATA_BYTES} bytes and about a million records"
            )
        head = HEAD.pack(MAGIC, len(encoded), size) + encoded
        if size <= _JOIN_BYTES:
            self._outgoing.append(b"".join((head, *payloads)))
        else:
            # Large payloads are sent from where they are; runs of small ones in one piece.
            small: list[memoryview | bytes] = [head]
            for payload in payloads:
                if payload.nbytes < _JOIN_BYTES:
                    small.append(payload)
                    continue
                self._outgoing.append(b"".join(small))
                self._outgoing.append(payload)
                small.clear()
            if small:
                self._outgoing.append(b"".join(small))
        self._flush()

    def _flush(self) -> None:
        while self._outgoing and not self._paused and self._transport is not None:
            self._transport.write(self._outgoing.popleft())

    def pause_writing(self) -> None:
        """Keep what is sent here: the transport has enough."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on sending."""
        self._paused = False
        self._flush()

    def pause_reading(self) -> None:
        """Stop taking messages; the peer will have to wait."""
        if self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take messages again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # ---------------------------------------------------------------------- begin and end
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; send what was queued before."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's do not derive from it
        self._transport.set_write_buffer_limits(high=1 << 20)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; what was not sent is dropped."""
        self._transport = None
        self._outgoing.clear()
        self._on_close(self._error or exc)

    def eof_received(self) -> bool:
        """Close when the peer does."""
        return False

    def fail(self, error: WireError) -> None:
        """Drop the connection because of what the peer sent."""
        self._error = error
        if self._transport is not None:
            self._transport.abort()

    def abort(self) -> None:
        """Close now; what was not sent is dropped."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close when everything was sent."""
        if self._transport is not None:
            self._transport.close()
