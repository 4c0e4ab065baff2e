"""Journals of kind ``log``: opaque payloads with their times. Damage is found as in the others."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from durability import batch
from tradecore.envelope import encode, seal
from tradecore.errors import CapacityError, JournalError
from tradecore.journal import records, replay, verify
from tradecore.journal_format import (
    Position,
    SegmentHead,
    blank_sectors,
    encode_segment_head,
)
from tradecore.journal_group import Group
from tradecore.journal_segment import Segment, Tail
from tradecore.storage import FileJournal, Follower, cut_tail, read_segments
from tradecore_ext.crc import crc32c

Entry = tuple[int, bytes]


def log_segment(
    groups: list[list[Entry]], *, index: int = 0, start: Position | None = None
) -> tuple[bytes, list[int], Position]:
    """A segment of a log: its bytes, the offset of each record and of the end, the position."""
    position = start or Position(0, 1, 0)
    head = encode_segment_head(SegmentHead(index, position, 1, 0, "log"))
    data, offsets = bytearray(head), []
    for entries in groups:
        group = Group()
        for ts_ns, payload in entries:
            group.add_payload(payload, ts_ns)
        offsets.append(len(data))
        record, position = group.finish(position, len(data), int.from_bytes(head[-4:], "little"))
        data += record
    offsets.append(len(data))
    return bytes(data), offsets, position


ENVELOPE = encode(seal(batch(1, 2), source=0, first_seq=1))
GROUPS: list[list[Entry]] = [
    [(10, b""), (10, b"x")],
    [(20, ENVELOPE)],
    [(30, b"y" * 47), (30, b"z" * 48), (30, b"w" * 49)],
]
DATA, OFFSETS, END = log_segment(GROUPS)


def entries(data: bytes) -> tuple[list[list[Entry]], Segment]:
    whole = Segment(data, "a.tcj")
    return [[(ts, bytes(payload)) for ts, payload in each.payloads()] for each in whole], whole


def outcome(data: bytes) -> tuple[JournalError | None, Tail | None]:
    try:
        found, whole = entries(data)
        assert found == GROUPS[: len(found)]
        return None, whole.tail
    except JournalError as error:
        return error, None


def test_log_reads_back_every_payload_with_its_time() -> None:
    found, whole = entries(DATA)
    assert found == GROUPS
    assert whole.end == END == Position(3, 7, END.chain)
    assert whole.head.kind == "log"
    assert [(each.first_seq, each.count, each.entries) for each in whole] == [
        *((1, 2, 2), (3, 1, 1), (4, 3, 3))
    ]


def test_log_frames_of_an_aligned_envelope_lie_on_cache_lines_of_the_file() -> None:
    at = DATA.index(ENVELOPE)
    assert at % 64 == 16
    assert (at + 48) % 64 == 0


def test_log_layout_is_the_one_the_page_describes() -> None:
    """docs/reference/journal.md: u32 size, u32 zero, u64 time, payload, zeros to 64 bytes."""
    begin = OFFSETS[2] + 64
    body = DATA[begin : OFFSETS[3]]
    assert struct.unpack_from("<IIQ", body, 0) == (47, 0, 30)
    assert body[16:64] == b"y" * 47 + b"\0"
    assert struct.unpack_from("<IIQ", body, 64) == (48, 0, 30)
    assert body[80:128] == b"z" * 48
    assert struct.unpack_from("<IIQ", body, 128) == (49, 0, 30)
    assert body[144:] == b"w" * 49 + bytes(63)


def test_log_every_truncation_point_is_recovered_or_refused() -> None:
    for size in range(256, len(DATA)):
        found, whole = entries(DATA[:size])
        intact = sum(end <= size for end in OFFSETS[1:])
        assert found == GROUPS[:intact]
        assert whole.tail.offset == OFFSETS[intact]
        assert whole.tail.kind == ("clean" if size == OFFSETS[intact] else "torn")


def test_log_every_bit_flip_is_refused_or_named_as_corrupt_tail() -> None:
    last = OFFSETS[-2]
    flipped = bytearray(DATA)
    for at in range(len(DATA)):
        for bit in range(8):
            flipped[at] ^= 1 << bit
            error, tail = outcome(bytes(flipped))
            if at < last:
                assert error is not None, f"bit {bit} of byte {at} went unnoticed"
            else:
                assert tail is not None, error
                assert (tail.kind, tail.offset) == ("corrupt", last), f"bit {bit} of byte {at}"
            flipped[at] ^= 1 << bit


# ------------------------------------------------------------------------ payloads that are zeros
ZEROS: list[list[Entry]] = [[(1, b"a" * 100)], [(2, bytes(3000)), (2, b"b" * 700), (2, bytes(999))]]
ZERO_DATA, ZERO_OFFSETS, _ = log_segment(ZEROS)


def test_log_payloads_of_zeros_are_data_and_not_sectors_that_were_lost() -> None:
    """A flipped bit of an acknowledged record must not be cut away as a torn write."""
    assert entries(ZERO_DATA)[1].tail.kind == "clean"
    flipped = bytearray(ZERO_DATA)
    for at in range(ZERO_OFFSETS[1], len(ZERO_DATA)):
        flipped[at] ^= 8
        whole = Segment(bytes(flipped), "a.tcj")
        assert (whole.tail.kind, whole.tail.offset) == ("corrupt", ZERO_OFFSETS[1]), at
        flipped[at] ^= 8


def test_log_every_lost_sector_beside_zeros_is_a_torn_tail() -> None:
    lost = 0
    for begin in range(ZERO_OFFSETS[1] // 512 * 512 + 512, len(ZERO_DATA), 512):
        data = bytearray(ZERO_DATA)
        end = min(begin + 512, len(data))
        if not any(data[begin:end]) or end - begin < 256:
            continue
        data[begin:end] = bytes(end - begin)
        whole = Segment(bytes(data), "a.tcj")
        assert (whole.tail.kind, whole.tail.offset) == ("torn", ZERO_OFFSETS[1])
        lost += 1
    assert lost >= 3


def test_log_blank_sectors_are_those_a_slow_count_finds() -> None:
    chance = random.Random(4)
    for _ in range(300):
        offset = 64 * chance.randrange(32)
        body = bytearray(64 * chance.randrange(1, 60))
        for _ in range(chance.randrange(8)):
            body[chance.randrange(len(body))] = 1
        expected = []
        at = 0
        while at < len(body):
            stop = min(len(body), at + 512 - (offset + at) % 512)
            if stop - at >= 256 and not any(body[at:stop]):
                expected.append(offset + at)
            at = stop
        assert list(blank_sectors(memoryview(bytes(body)), offset)) == expected


def test_commands_may_not_claim_blank_sectors() -> None:
    """In a journal of frames the field must be zero, as it always was."""
    head = encode_segment_head(SegmentHead(0, Position(0, 1, 0), 1, 7))
    group = Group()
    group.add(seal(batch(1, 1), source=7, first_seq=1))
    crc = int.from_bytes(head[-4:], "little")
    record = bytearray(group.finish(Position(0, 1, 0), 256, crc)[0])
    record[56] = 1
    record[4:8] = crc32c(bytes(record[8:64])).to_bytes(4, "little")
    assert Segment(head + bytes(record)).tail.kind == "corrupt"


# ------------------------------------------------------------------------------ what is no log
@pytest.mark.parametrize(
    ("at", "value"),
    [(0, b"\x31"), (0, b"\xff\xff\xff\x7f"), (4, b"\1"), (63, b"\1")],
    ids=["size too large", "size huge", "reserved", "padding"],
)
def test_log_body_that_this_format_never_writes_is_refused(at: int, value: bytes) -> None:
    data = bytearray(DATA)
    begin = OFFSETS[2]
    data[begin + 64 + at : begin + 64 + at + len(value)] = value
    data[begin + 36 : begin + 40] = crc32c(bytes(data[begin + 64 :])).to_bytes(4, "little")
    data[begin + 4 : begin + 8] = crc32c(bytes(data[begin + 8 : begin + 64])).to_bytes(4, "little")
    *_, last = Segment(bytes(data), "a.tcj")
    with pytest.raises(JournalError, match=r"a\.tcj: offset"):
        list(last.payloads())


def test_verify_counts_payloads_and_refuses_what_does_not_belong_together() -> None:
    more, _, end = log_segment([[(40, b"more")]], index=1, start=END)
    summary = verify([Segment(DATA, "a"), Segment(more, "b")])
    assert (summary.segments, summary.records, summary.envelopes, summary.frames) == (2, 4, 7, 0)
    assert (summary.last_seq, summary.end) == (7, end)
    events = encode_segment_head(SegmentHead(1, END, 1, 0, "events"))
    with pytest.raises(JournalError, match="belongs to another journal"):
        list(records([Segment(DATA, "a"), Segment(events, "b")]))


def test_replay_of_a_log_is_refused() -> None:
    with pytest.raises(JournalError, match="a log cannot be replayed"):
        replay([Segment(DATA)], lambda view: None)


def test_group_cannot_exceed_what_a_record_can_name() -> None:
    group = Group()
    with pytest.raises(CapacityError, match="4 GiB"):
        group._reserve((1 << 32) - 64)
    assert group.entries == 0


# ------------------------------------------------------------------------------------ the writer
def test_file_journal_keeps_a_log(tmp_path: Path) -> None:
    with FileJournal.open(tmp_path, source=0, kind="log", segment_bytes=4096) as log:
        assert log.append_payloads([b"a", b"b"], 5) == 2
        assert log.durable_seq == 0
        assert log.commit() == 2
        assert log.append_payloads([], 6) == 2
        assert log.append_payloads([b"c" * 5000], 6) == 3
    found = [list(each.payloads()) for each in records(read_segments(tmp_path))]
    assert found == [[(5, b"a"), (5, b"b")], [(6, b"c" * 5000)]]
    with FileJournal.open(tmp_path, source=0, kind="log") as log:
        assert log.next_seq == 4


def test_file_journal_refuses_frames_in_a_log_and_payloads_elsewhere(tmp_path: Path) -> None:
    with FileJournal.open(tmp_path / "log", source=0, kind="log") as log:
        with pytest.raises(JournalError, match="a journal of log takes no frames"):
            log.append(batch(1, 1))
        with pytest.raises(JournalError, match="takes no frames"):
            log.append_envelope(seal(batch(1, 1), source=0, first_seq=1))
        assert log.pending_bytes == 0
    with FileJournal.open(tmp_path / "commands", source=0) as commands:
        with pytest.raises(JournalError, match="a journal of commands takes no payloads"):
            commands.append_payloads([b"a"], 1)
        assert commands.next_seq == 1
    with pytest.raises(JournalError, match="kind is log"):
        FileJournal.open(tmp_path / "log", source=0)


def test_file_journal_torn_log_is_cut_and_goes_on(tmp_path: Path) -> None:
    with FileJournal.open(tmp_path, source=0, kind="log") as log:
        for n in range(3):
            log.append_payloads([b"%d" % n * 300], n)
            log.commit()
    (path,) = tmp_path.glob("*.tcj")
    path.write_bytes(path.read_bytes()[:-100])
    tail, saved = cut_tail(tmp_path)
    assert tail.kind == "torn"
    assert saved is not None
    with FileJournal.open(tmp_path, source=0, kind="log") as log:
        assert log.next_seq == 3
        log.append_payloads([b"again"], 9)
    texts = [bytes(p) for each in records(read_segments(tmp_path)) for _, p in each.payloads()]
    assert texts == [b"0" * 300, b"1" * 300, b"again"]


def test_follower_reads_a_log_that_is_being_written(tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    seen = []
    with FileJournal.open(tmp_path, source=0, kind="log", segment_bytes=4096) as log:
        for n in range(40):
            log.append_payloads([b"%d" % n * 200], n)
            log.commit()
            seen += [ts for record in follower.poll() for ts, _ in record.payloads()]
    assert seen == list(range(40))
    assert len(list(tmp_path.glob("*.tcj"))) > 2
