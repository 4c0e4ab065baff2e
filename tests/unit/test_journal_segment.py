"""Every way a segment can be cut short or altered: recovered or refused, never silently wrong."""

from __future__ import annotations

import struct

import pytest

from durability import batch, command, segment
from tradecore.envelope import seal
from tradecore.errors import JournalError
from tradecore.journal_format import (
    Position,
    SegmentHead,
    decode_segment_head,
    encode_segment_head,
)
from tradecore.journal_group import Group
from tradecore.journal_segment import Segment, Tail
from tradecore_ext.crc import crc32c

GROUPS = [[batch(1, 2)], [batch(2, 1), batch(3, 3)], [batch(4, 2)]]
DATA, OFFSETS, END = segment(GROUPS)
BODIES = [bytes(record.body) for record in Segment(DATA)]


def read(data: bytes) -> tuple[list[bytes], Segment]:
    whole = Segment(data, "a.tcj")
    return [bytes(record.body) for record in whole], whole


def outcome(data: bytes) -> tuple[JournalError | None, Tail | None, list[bytes]]:
    """What reading to the end gives: an error, or a tail and the records before it."""
    try:
        bodies, whole = read(data)
        return None, whole.tail, bodies
    except JournalError as error:
        return error, None, []


def test_segment_intact_reads_back_every_frame() -> None:
    bodies, whole = read(DATA)
    assert whole.tail.kind == "clean"
    assert whole.tail.offset == len(DATA)
    assert whole.end == END
    frames = [[bytes(e.frames) for e in record.envelopes(check_crc=True)] for record in whole]
    assert frames == GROUPS
    assert len(bodies) == 3


def test_segment_frames_lie_on_cache_lines_of_the_file() -> None:
    for record in Segment(DATA):
        at = record.offset + 64
        for envelope in record.envelopes():
            frames_at = at + 64
            assert frames_at % 64 == 0
            assert DATA[frames_at : frames_at + envelope.frames.nbytes] == envelope.frames
            at = frames_at + envelope.frames.nbytes


def test_segment_every_truncation_point_is_recovered_or_refused() -> None:
    for size in range(len(DATA)):
        if size < 256:
            with pytest.raises(JournalError, match=r"empty|cut short"):
                Segment(DATA[:size], "a.tcj")
            continue
        bodies, whole = read(DATA[:size])
        intact = sum(end <= size for end in OFFSETS[1:])
        assert bodies == BODIES[:intact]
        assert whole.tail.offset == OFFSETS[intact]
        assert whole.tail.kind == ("clean" if size == OFFSETS[intact] else "torn")


def test_segment_every_bit_flip_is_refused_or_named_as_corrupt_tail() -> None:
    last = OFFSETS[-2]
    flipped = bytearray(DATA)
    for at in range(len(DATA)):
        for bit in range(8):
            flipped[at] ^= 1 << bit
            error, tail, bodies = outcome(bytes(flipped))
            if at < last:
                assert error is not None, f"bit {bit} of byte {at} went unnoticed"
                assert error.file == "a.tcj"
                # The offset names the damaged record, or a byte of the damaged head.
                assert error.offset is not None
                assert error.offset < 256 if at < 256 else error.offset <= at
            else:
                # Not "torn": that would be cut without asking, and it may have been acknowledged.
                assert tail is not None, error
                assert (tail.kind, tail.offset) == ("corrupt", last), f"bit {bit} of byte {at}"
                assert bodies == BODIES[:-1]
            flipped[at] ^= 1 << bit


def test_segment_every_bit_flip_of_a_torn_journal_is_noticed() -> None:
    torn = bytearray(DATA[: OFFSETS[-2] + 200])
    for at in range(256, len(torn)):
        torn[at] ^= 1
        error, tail, bodies = outcome(bytes(torn))
        if at < OFFSETS[-2]:
            assert error is not None, f"byte {at}"
        else:
            assert tail is not None
            assert tail.kind in {"torn", "corrupt"}
            assert bodies == BODIES[:-1]
        torn[at] ^= 1


def test_segment_preallocated_zeros_are_a_clean_end() -> None:
    for zeros in (1, 63, 64, 4096, 3 << 20):
        _, whole = read(DATA + bytes(zeros))
        assert (whole.tail.kind, whole.tail.offset) == ("clean", len(DATA))


def test_segment_every_bit_flip_in_preallocated_zeros_is_noticed() -> None:
    data = bytearray(DATA + bytes(256))
    for at in range(len(DATA), len(data)):
        data[at] ^= 4
        bodies, whole = read(bytes(data))
        assert whole.tail.kind != "clean"
        assert whole.tail.offset == len(DATA)
        assert bodies == BODIES
        data[at] ^= 4


BIG, BIG_OFFSETS, _ = segment([[batch(5, 2)], [batch(6, 90)]])


@pytest.mark.parametrize("sector", range(BIG_OFFSETS[1] // 512 + 1, (len(BIG) - 256) // 512 + 1))
def test_segment_sector_lost_by_a_crash_is_a_torn_tail(sector: int) -> None:
    data = bytearray(BIG)
    end = min(512 * sector + 512, len(data))
    data[512 * sector : end] = bytes(end - 512 * sector)
    _, whole = read(bytes(data))
    assert (whole.tail.kind, whole.tail.offset) == ("torn", BIG_OFFSETS[1])
    assert str(512 * sector) in whole.tail.reason


def test_segment_record_head_lost_by_a_crash_is_a_torn_tail() -> None:
    data = bytearray(BIG)
    begin = BIG_OFFSETS[1]
    data[begin : begin + 100] = bytes(100)
    _, whole = read(bytes(data))
    assert (whole.tail.kind, whole.tail.offset) == ("torn", begin)


def test_segment_damage_before_a_torn_record_is_corruption_not_a_tear() -> None:
    data = bytearray(DATA[:-10])  # the last record is torn ...
    data[OFFSETS[1] + 100] ^= 1  # ... and the one before it altered
    with pytest.raises(JournalError, match=f"offset {OFFSETS[1]}: record 1 is damaged, but record"):
        read(bytes(data))


def test_segment_copy_of_a_record_inside_a_payload_is_not_taken_for_one() -> None:
    stray = DATA[OFFSETS[0] : OFFSETS[1]]
    data, offsets, _ = segment([[stray + batch(9, 1)]])
    flipped = bytearray(data)
    flipped[-1] ^= 1
    _, whole = read(bytes(flipped))
    assert (whole.tail.kind, whole.tail.offset) == ("corrupt", offsets[0])


def test_segment_record_of_another_history_is_refused() -> None:
    """Same head, same offsets, same numbers: only the chain tells the two journals apart."""
    ours, offsets, _ = segment([[command(order_id=1)], [command(order_id=2)]])
    theirs, _, _ = segment([[command(order_id=9)], [command(order_id=2)]])
    with pytest.raises(JournalError, match=r"record 1 at sequence 2 with chain .* was due"):
        read(ours[: offsets[1]] + theirs[offsets[1] :])


# ----------------------------------------------------------------------------------- the head
HEAD = SegmentHead(3, Position(9, 100, 0xABCD), 1, 7, "events", bytes(range(32)), "tradecore 0.1")


def patched(at: int, value: bytes) -> memoryview:
    """The head with other bytes and a right checksum: a head that a later version might write."""
    data = bytearray(encode_segment_head(HEAD))
    data[at : at + len(value)] = value
    data[-4:] = crc32c(data[:-4]).to_bytes(4, "little")
    return memoryview(data)


def test_segment_head_round_trips() -> None:
    assert decode_segment_head(memoryview(encode_segment_head(HEAD))) == HEAD


@pytest.mark.parametrize(
    ("at", "value", "says", "offset"),
    [
        (0, b"PK\x03\x04", "not a journal", 0),
        (6, b"\n\n", "not a journal", 0),
        (8, struct.pack("<H", 2), "format version 2, this build reads version 1", 8),
        (12, struct.pack(">I", 0x01020304), "big-endian", 12),
        (10, struct.pack("<H", 512), "features that this build does not know", 8),
        (16, struct.pack("<I", 9), "kind 9", 8),
        (20, struct.pack("<I", 2), "schema 2", 8),
        (200, b"\1", "features", 8),
    ],
)
def test_segment_head_of_another_kind_is_refused(
    at: int, value: bytes, says: str, offset: int
) -> None:
    with pytest.raises(JournalError, match=says) as caught:
        decode_segment_head(patched(at, value), "b.tcj")
    assert (caught.value.file, caught.value.offset) == ("b.tcj", offset)


def test_segment_record_inconsistent_with_itself_is_refused() -> None:
    """A writer's bug: checksums hold, contents do not."""
    data = bytearray(DATA)
    begin = OFFSETS[-2]
    body = begin + 64
    data[body : body + 4] = struct.pack("<I", 64)  # entry size: one frame too few
    data[begin + 36 : begin + 40] = crc32c(data[body:]).to_bytes(4, "little")
    data[begin + 4 : begin + 8] = crc32c(data[begin + 8 : begin + 64]).to_bytes(4, "little")
    *_, last = Segment(bytes(data), "a.tcj")
    with pytest.raises(JournalError, match=r"a\.tcj: offset"):
        list(last.envelopes())


def sealed_head(position: Position, offset: int, segment_crc: int) -> bytes:
    group = Group()
    group.add(seal(command(order_id=1), source=7, first_seq=position.seq))
    record, _ = group.finish(position, offset, segment_crc)
    return bytes(record[:64])


def test_segment_record_head_of_another_segment_is_not_taken_for_one() -> None:
    """A head that fits its place in all but the segment: left over, or sent by somebody."""
    frames_at = 256 + 64 + 64
    ours = int.from_bytes(DATA[252:256], "little")
    for crc, expected in ((ours ^ 1, "corrupt"), (ours, "error")):
        data, offsets, _ = segment([[sealed_head(Position(5, 50, 0), frames_at, crc)]])
        flipped = bytearray(data)
        flipped[offsets[0] + 64] ^= 1
        error, tail, _ = outcome(bytes(flipped))
        assert (tail.kind if tail else "error") == expected, error


@pytest.mark.parametrize(
    ("at", "value"),
    [(56, 1), (32, 100), (32, 0), (40, 0), (44, 0)],
    ids=["reserved", "size not a multiple", "no body", "no entries", "no commands"],
)
def test_segment_record_head_that_this_format_never_writes_is_refused(at: int, value: int) -> None:
    data = bytearray(DATA)
    begin = OFFSETS[-2]
    data[begin + at : begin + at + 4] = struct.pack("<I", value)
    data[begin + 4 : begin + 8] = crc32c(data[begin + 8 : begin + 64]).to_bytes(4, "little")
    bodies, whole = read(bytes(data))
    assert bodies == BODIES[:-1]
    assert (whole.tail.kind, whole.tail.offset) == ("corrupt", begin)


def test_segment_envelopes_that_do_not_continue_each_other_are_refused() -> None:
    group = Group()
    for seq in (1, 3):
        group.add(seal(command(order_id=1), source=7, first_seq=seq))
    head = DATA[:256]
    record, _ = group.finish(Position(0, 1, 0), 256, int.from_bytes(head[-4:], "little"))
    (only,) = Segment(head + bytes(record), "a.tcj")
    with pytest.raises(JournalError, match="starts at sequence 3, 2 was due"):
        list(only.envelopes())


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_segment_zeros_that_are_data_are_not_taken_for_a_lost_sector(lines: int) -> None:
    """An instrument's last frames may be all zeros, and alone in the record's last sector."""
    for n_before in range(8):
        frames = [command(order_id=n + 1) for n in range(n_before)]
        frames.append(command(21, cont=3) + b"\1" * (64 * (3 - lines)) + bytes(64 * lines))
        data, offsets, _ = segment([[b"".join(frames)]])
        flipped = bytearray(data)
        flipped[offsets[0] + 140] ^= 1
        _, whole = read(bytes(flipped))
        assert (whole.tail.kind, whole.tail.offset) == ("corrupt", offsets[0])
