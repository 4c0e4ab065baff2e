"""The envelope: zero copy, alignment, every writer's form accepted, every damage refused."""

from __future__ import annotations

import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from durability import batch, command
from tradecore.dtypes import COMMAND
from tradecore.envelope import (
    HEAD_BYTES,
    Envelope,
    decode,
    encode,
    encode_compact,
    encode_head,
    frames_view,
    seal,
    seal_events,
)
from tradecore.errors import ConfigError, FrameError
from tradecore_ext.crc import crc32c

FRAMES = batch(1, 5)
SEALED = seal(FRAMES, source=7, first_seq=100)
MESSAGE = encode(SEALED)


def test_envelope_counts_commands_not_frames() -> None:
    frames = command(order_id=1, cont=1) + bytes(64) + command(order_id=2)
    assert seal(frames, source=1, first_seq=1).count == 2
    assert seal_events(frames, source=1, first_seq=1).count == 3


def test_envelope_checksum_covers_numbers_and_frames() -> None:
    numbers = struct.pack("<IIQI", 1, 7, 100, SEALED.count)
    assert SEALED.crc == crc32c(numbers + FRAMES)


def test_envelope_decodes_without_copying() -> None:
    found = decode(MESSAGE)
    assert found == SEALED
    assert found.frames.obj is MESSAGE
    assert found.frames.readonly
    array = np.frombuffer(found.frames, COMMAND)
    assert not array.flags.owndata
    assert array["order_id"][0] == np.frombuffer(FRAMES, COMMAND)["order_id"][0]


def test_envelope_frames_stand_at_byte_48_in_the_aligned_form() -> None:
    assert len(encode_head(SEALED)) == HEAD_BYTES == 48
    assert MESSAGE[48:] == FRAMES
    address = np.frombuffer(decode(MESSAGE).frames, np.uint8).ctypes.data
    assert address % 16 == 0


@pytest.mark.parametrize("start", range(0, 17))
def test_envelope_is_read_at_any_alignment(start: int) -> None:
    room = bytearray(64 + len(MESSAGE))
    room[start : start + len(MESSAGE)] = MESSAGE
    assert decode(memoryview(room)[start : start + len(MESSAGE)]) == SEALED


def test_envelope_every_writers_form_is_read() -> None:
    compact = encode_compact(SEALED)
    assert len(compact) < len(MESSAGE)
    assert decode(compact) == SEALED
    plain = msgspec.msgpack.encode([1, 7, 100, SEALED.count, SEALED.crc, FRAMES])
    assert plain == compact
    assert msgspec.msgpack.decode(MESSAGE) == msgspec.msgpack.decode(compact)


def test_envelope_every_bit_flip_is_refused() -> None:
    message = bytearray(encode(seal(command(order_id=1), source=3, first_seq=9)))
    for at in range(len(message)):
        for bit in range(8):
            message[at] ^= 1 << bit
            with pytest.raises(FrameError):
                decode(bytes(message))
            message[at] ^= 1 << bit


def test_envelope_every_truncation_and_extension_is_refused() -> None:
    for size in range(len(MESSAGE)):
        with pytest.raises(FrameError, match=r"^topic-3: offset 512: "):
            decode(MESSAGE[:size], file="topic-3", offset=512)
    with pytest.raises(FrameError):
        decode(MESSAGE + b"\0")


def message(**change: object) -> bytes:
    values = {name: getattr(SEALED, name) for name in SEALED.__struct_fields__} | change
    values["frames"] = bytes(values["frames"])
    return msgspec.msgpack.encode(list(values.values()))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": 2}, "envelope of schema 2, this build reads up to 1; use a newer build"),
        ({"schema": 0}, ">= 1"),
        ({"source": -1}, "not an envelope"),
        ({"source": 1 << 32}, "not an envelope"),
        ({"first_seq": 0}, "not an envelope"),
        ({"count": 0}, "not an envelope"),
        ({"count": 1000}, "says 1000 items in"),
        ({"crc": 1}, "checksum of the envelope is"),
        ({"frames": b""}, "carries 0 bytes"),
        ({"frames": bytes(65)}, "carries 65 bytes"),
        ({"schema": 1.0}, "not an envelope"),
        ({"schema": True}, "not an envelope"),
        ({"extra": 1}, "not an envelope"),
    ],
)
def test_envelope_that_cannot_be_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(FrameError) as caught:
        decode(message(**change))
    assert says in str(caught.value)


def test_envelope_frames_of_another_type_are_refused() -> None:
    bodies: list[object] = ["text", [1], None, {}]
    for body in bodies:
        with pytest.raises(FrameError):
            decode(msgspec.msgpack.encode([1, 7, 100, 1, 0, body]))


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        (b"", "0 bytes are not a positive multiple of 64"),
        (bytes(63), "63 bytes"),
        (np.zeros((4, 64), np.uint8)[:, ::2], "not contiguous"),
    ],
)
def test_frames_that_are_none_are_refused(frames: bytes, says: str) -> None:
    for act in (frames_view, lambda f: seal(f, source=1, first_seq=1)):
        with pytest.raises(FrameError, match=says):
            act(frames)


@pytest.mark.parametrize(
    "change",
    [{"schema": 0}, {"schema": 2}, {"source": -1}, {"source": 1 << 32}, {"first_seq": 0},
     {"first_seq": (1 << 63) - 1}],
)  # fmt: skip
def test_seal_refuses_numbers_out_of_range(change: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        seal(FRAMES, **({"source": 1, "first_seq": 1} | change))


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**62), st.integers(0, 50), st.integers(1, 40))
def test_envelope_round_trips(source: int, first_seq: int, seed: int, n: int) -> None:
    sealed = seal(batch(seed, n), source=source, first_seq=first_seq)
    assert sealed.count == n
    assert decode(encode(sealed)) == decode(encode_compact(sealed)) == sealed


def test_envelope_is_frozen_and_not_tracked_by_the_collector() -> None:
    assert Envelope.__struct_config__.frozen
    assert Envelope.__struct_config__.array_like
    assert not Envelope.__struct_config__.gc
