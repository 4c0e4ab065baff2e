"""The border between what people send and what the engine reads: messages to frames and back.

All validation of untrusted input that needs no engine state happens here; what needs state (funds,
phases, duplicate ids) is the engine's and comes back as an event. A message either becomes frames
that pass the engine's frame check, or one `FrameError` that names the field, what stands there and
what to write instead. Nothing is guessed, rounded or cut off.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from tradecore.edge_read import from_frames
from tradecore.edge_write import to_frames
from tradecore.errors import ConfigError, FrameError
from tradecore.messages import MAX_MESSAGE_BYTES, Message

__all__ = ["decode_message", "encode_message", "from_frames", "to_frames"]

_DECODER: Final = msgspec.json.Decoder(Message)
_ENCODER: Final = msgspec.json.Encoder()


def decode_message(data: bytes | bytearray | memoryview | str) -> Message:
    """Read one JSON message from outside.

    Parameters
    ----------
    data : bytes-like or str
        At most 16 KiB.

    Raises
    ------
    FrameError
        Too long, not JSON, a key twice, an unknown type or field, a wrong type (floats, booleans
        for numbers), a number out of range.
    """
    raw = data.encode() if isinstance(data, str) else bytes(data)
    if len(raw) > MAX_MESSAGE_BYTES:
        raise FrameError(f"the message has {len(raw)} bytes, at most {MAX_MESSAGE_BYTES} are read")
    try:
        message: Message = _DECODER.decode(raw)
        # msgspec lets the last of two equal keys win, which hides a message inside another.
        json.loads(raw, object_pairs_hook=_no_duplicates)
    except (msgspec.DecodeError, ConfigError, RecursionError, ValueError) as error:
        raise FrameError(f"message: {error}") from None
    return message


def _no_duplicates(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the key {ascii(name)[:40]} stands there twice")


def encode_message(message: Message) -> bytes:
    """Return a message as JSON; defaults are left out."""
    return _ENCODER.encode(message)
