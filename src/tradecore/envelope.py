"""The bus envelope: one msgpack message that carries a batch of frames of one source.

``[schema, source, first_seq, count, crc, frames]``, in this order; the page
docs/reference/envelope.md has every byte. Decoding slices the frames out of the message without
copying them, so the array that numpy or the engine sees lies inside the Kafka record, the mapped
journal or whatever the bytes came from.

Alignment is a matter of the writer. msgpack writes integers as short as it can, so an ordinary
encoder puts the frames at any odd offset. `encode` chooses the long forms, which every msgpack
reader accepts, and so makes the head exactly 48 bytes: a message in fresh `bytes` (16-byte aligned)
has its frames 16-byte aligned, and a message that starts 16 bytes into a cache line, as in a
journal record, has them on cache lines. A reader must still accept every alignment, because
messages of other writers are valid too.
"""

from __future__ import annotations

import struct
from typing import Annotated, Final, cast

import msgspec

from tradecore.buffers import BytesLike, byte_view
from tradecore.errors import ConfigError, FrameError
from tradecore_ext import _abi
from tradecore_ext.crc import crc32c
from tradecore_ext.framing import count_commands

__all__ = [
    "FRAME_BYTES",
    "HEAD_BYTES",
    "MAX_FRAMES",
    "SCHEMA",
    "Envelope",
    "decode",
    "encode",
    "encode_compact",
    "encode_head",
    "frames_view",
    "seal",
    "seal_events",
]

SCHEMA: Final = _abi.CONSTANTS["TC_SCHEMA"]
"""Newest version of the frames that this build writes and reads; it reads all older ones."""

FRAME_BYTES: Final = _abi.CONSTANTS["TC_FRAME_BYTES"]
HEAD_BYTES: Final = 48
"""Bytes of an aligned message before its frames."""

MAX_FRAMES: Final = 1 << 20
"""Most frames in one envelope: 64 MiB, so that a damaged length never asks for gigabytes."""

# array32 of 6 | uint8 | uint64 x 4 | bin32. Tags stand in the text of the layout, once.
_HEAD: Final = struct.Struct(">BIBBBQBQBQBQBI")
_SUM: Final = struct.Struct("<IIQI")

_U8 = Annotated[int, msgspec.Meta(ge=1, le=0xFF)]
_U32 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
_COUNT = Annotated[int, msgspec.Meta(ge=1, le=MAX_FRAMES)]
_SEQ = Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]


class Envelope(msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    """A batch of frames of one source.

    Parameters
    ----------
    schema : int
        Version of the frames, 1 to 255.
    source : int
        Who numbered the batch: a cell, a gateway, a shell; uint32.
    first_seq : int
        Sequence number, within the source, of the first command (or event) of the batch. Numbers
        are dense: the next envelope of the source starts at ``first_seq + count``.
    count : int
        Commands (or events) in the batch. Continuation frames belong to their command, so there
        may be more frames than commands.
    crc : int
        CRC32C of ``schema, source, first_seq, count`` as little-endian u32, u32, u64, u32, followed
        by the frames.
    frames : memoryview
        The frames, 64 bytes each. After `decode` a view into the message: keep the message
        unchanged as long as it is used.
    """

    schema: _U8
    source: _U32
    first_seq: _SEQ
    count: _COUNT
    crc: _U32
    frames: memoryview


_DECODER: Final = msgspec.msgpack.Decoder(Envelope)
_ENCODER: Final = msgspec.msgpack.Encoder()


def frames_view(frames: BytesLike, where: str = "frames") -> memoryview:
    """Return a flat read-only byte view of whole frames, without copying.

    Parameters
    ----------
    frames : bytes-like
        bytes, memoryview or a contiguous numpy array of any dtype.
    where : str
        What the buffer is, for the error.

    Raises
    ------
    FrameError
        Empty, not a whole number of 64-byte frames, more than `MAX_FRAMES`, or not contiguous.
    """
    try:
        view = byte_view(frames)
    except ValueError as error:
        raise FrameError(f"{where}: {error}") from None
    if view.nbytes == 0 or view.nbytes % FRAME_BYTES:
        raise FrameError(
            f"{where}: {view.nbytes} bytes are not a positive multiple of {FRAME_BYTES}",
            offset=view.nbytes - view.nbytes % FRAME_BYTES,
        )
    if view.nbytes > MAX_FRAMES * FRAME_BYTES:
        raise FrameError(f"{where}: more than {MAX_FRAMES} frames; send several envelopes")
    return view


def _checksum(schema: int, source: int, first_seq: int, count: int, frames: memoryview) -> int:
    return crc32c(frames, crc32c(_SUM.pack(schema, source, first_seq, count)))


def _seal(view: memoryview, count: int, source: int, first_seq: int, schema: int) -> Envelope:
    if not 1 <= schema <= SCHEMA:
        raise ConfigError(f"schema {schema}: this build writes schemas 1 to {SCHEMA}")
    if not 0 <= source <= 0xFFFFFFFF:
        raise ConfigError(f"source {source}: it must fit 32 bits")
    if not 1 <= first_seq <= (1 << 63) - 1 - count:
        raise ConfigError(f"first_seq {first_seq}: sequence numbers run from 1 to 2**63 - 1")
    crc = _checksum(schema, source, first_seq, count, view)
    return Envelope(schema, source, first_seq, count, crc, view)


def seal(frames: BytesLike, *, source: int, first_seq: int, schema: int = SCHEMA) -> Envelope:
    """Wrap command frames: count the commands and compute the checksum. Copies nothing.

    Parameters
    ----------
    frames : bytes-like
        Whole command frames; must stay unchanged as long as the envelope is used.
    source, first_seq, schema : int
        See `Envelope`.

    Raises
    ------
    FrameError
        `frames` is not a positive number of whole frames.
    ConfigError
        A number is out of range.
    """
    view = frames_view(frames)
    return _seal(view, count_commands(view), source, first_seq, schema)


def seal_events(
    frames: BytesLike, *, source: int, first_seq: int, schema: int = SCHEMA
) -> Envelope:
    """Wrap event frames, of which each counts. Otherwise as `seal`."""
    view = frames_view(frames)
    return _seal(view, len(view) // FRAME_BYTES, source, first_seq, schema)


def encode_head(envelope: Envelope) -> bytes:
    """Return the 48 bytes that stand before the frames in an aligned message.

    For writers that send head and frames as two pieces and so never copy the frames.
    """
    e = envelope
    return _HEAD.pack(
        0xDD, 6, 0xCC, e.schema, 0xCF, e.source, 0xCF, e.first_seq, 0xCF, e.count, 0xCF, e.crc,
        0xC6, e.frames.nbytes,
    )  # fmt: skip


def encode(envelope: Envelope) -> bytes:
    """Return the message with its frames at byte 48; one copy of the frames."""
    return b"".join((encode_head(envelope), envelope.frames))


def encode_compact(envelope: Envelope) -> bytes:
    """Return the shortest message, as any msgpack writer would make it: frames at any offset.

    About 35 bytes shorter than `encode`, for links where that counts more than alignment.
    """
    return _ENCODER.encode(envelope)


def decode(
    message: BytesLike, *, file: str = "", offset: int = 0, check_crc: bool = True
) -> Envelope:
    """Read a message, in whichever form its writer chose, and check everything but the frames.

    Parameters
    ----------
    message : bytes-like
        Exactly one message. The frames of the result are a view into it.
    file, offset : str, int
        Where the message lies, for the error.
    check_crc : bool
        False only where another checksum over the same bytes has just been verified.

    Returns
    -------
    Envelope
        With a checksum that holds. What the frames say is for the engine to judge.

    Raises
    ------
    FrameError
        Not msgpack, other fields, bytes behind the end, a schema newer than this build, a length
        that is not a whole number of frames, more commands than frames, or a wrong checksum.
    """
    try:
        envelope = _DECODER.decode(cast("bytes", message))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # ValidationError included. msgspec's text may quote the path but never the payload.
        raise FrameError(f"not an envelope: {error}", file, offset) from None
    if envelope.schema > SCHEMA:
        raise FrameError(
            f"envelope of schema {envelope.schema}, this build reads up to {SCHEMA}; "
            "use a newer build",
            file,
            offset,
        )
    size = envelope.frames.nbytes
    if not size or size % FRAME_BYTES:
        raise FrameError(
            f"the envelope carries {size} bytes, not a positive multiple of {FRAME_BYTES}",
            file,
            offset,
        )
    if envelope.count > size // FRAME_BYTES:
        raise FrameError(
            f"the envelope says {envelope.count} items in {size // FRAME_BYTES} frames",
            file,
            offset,
        )
    if check_crc:
        crc = _checksum(
            envelope.schema, envelope.source, envelope.first_seq, envelope.count, envelope.frames
        )
        if crc != envelope.crc:
            raise FrameError(
                f"checksum of the envelope is {crc:08x}, it says {envelope.crc:08x}", file, offset
            )
    return envelope
