"""Journals of several segments: verify counts every bit, replay gives every command once."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from durability import batch, command, segment
from tradecore.envelope import Envelope, _checksum, seal, seal_events
from tradecore.errors import JournalError
from tradecore.journal import digest_config, records, replay, verify
from tradecore.journal_format import Position, SegmentHead, encode_segment_head
from tradecore.journal_group import Group
from tradecore.journal_segment import Segment
from tradecore_ext.framing import command_offset, count_commands

BATCHES = [batch(seed, 1 + seed % 4) for seed in range(8)]
ALL = b"".join(BATCHES)
N_COMMANDS = sum(map(count_commands, BATCHES))
FIRST, _, MIDDLE = segment([BATCHES[:2], BATCHES[2:3]])
SECOND, SECOND_OFFSETS, LATE = segment([BATCHES[3:6]], index=1, start=MIDDLE)
THIRD, THIRD_OFFSETS, END = segment([BATCHES[6:7], BATCHES[7:]], index=2, start=LATE)


def journal(*parts: bytes) -> Iterator[Segment]:
    return (Segment(part, f"{number}.tcj") for number, part in enumerate(parts))


class Collector:
    """An engine that only remembers what it was given."""

    def __init__(self) -> None:
        self.batches: list[bytes] = []

    def apply(self, frames: memoryview) -> None:
        self.batches.append(bytes(frames))


def commands(first: int, last: int) -> bytes:
    """Frames of the commands first..last of the whole journal, by the rule of `cont`."""
    starts, at = [], 0
    while at < len(ALL):
        starts.append(at)
        at += 64 * (1 + ALL[at + 10])
    starts.append(len(ALL))
    return ALL[starts[first - 1] : starts[last]] if first <= last else b""


def test_verify_counts_what_was_written() -> None:
    summary = verify(journal(FIRST, SECOND, THIRD))
    assert (summary.segments, summary.records, summary.envelopes) == (3, 5, 8)
    assert summary.frames == len(ALL) // 64
    assert (summary.first_seq, summary.last_seq) == (1, N_COMMANDS)
    assert summary.end == END
    assert summary.tail.kind == "clean"


def test_records_are_dense_over_segments() -> None:
    found = list(records(journal(FIRST, SECOND, THIRD)))
    assert [record.number for record in found] == [0, 1, 2, 3, 4]
    assert sum(record.count for record in found) == N_COMMANDS


def test_replay_gives_every_batch_once_in_order() -> None:
    engine = Collector()
    done = replay(journal(FIRST, SECOND, THIRD), engine.apply)
    assert engine.batches == BATCHES
    assert (done.first_seq, done.last_seq) == (1, N_COMMANDS)
    assert (done.commands, done.frames, done.batches) == (N_COMMANDS, len(ALL) // 64, 8)


def test_replay_of_every_range_gives_exactly_its_commands() -> None:
    for first in range(1, N_COMMANDS + 2):
        for last in range(first - 1, N_COMMANDS + 1):
            engine = Collector()
            done = replay(journal(FIRST, SECOND, THIRD), engine.apply, from_seq=first, to_seq=last)
            assert b"".join(engine.batches) == commands(first, last)
            assert (done.commands, done.last_seq) == (last - first + 1, last)


def test_replay_from_the_end_on_has_nothing_to_do() -> None:
    engine = Collector()
    done = replay(journal(FIRST, SECOND, THIRD), engine.apply, from_seq=N_COMMANDS + 1)
    assert (done.commands, done.last_seq, engine.batches) == (0, N_COMMANDS, [])


@pytest.mark.parametrize("parts", [(FIRST, SECOND), (FIRST, SECOND, THIRD[:256]), ()])
def test_replay_shorter_than_the_snapshot_is_refused(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(JournalError, match="acknowledged commands are lost"):
        replay(journal(*parts), Collector().apply, from_seq=N_COMMANDS + 1)


def test_replay_beginning_too_late_is_refused() -> None:
    with pytest.raises(JournalError, match="an older segment is missing"):
        replay(journal(SECOND, THIRD), Collector().apply, from_seq=1)


def test_replay_may_begin_with_the_segment_that_holds_the_first_command() -> None:
    engine = Collector()
    replay(journal(SECOND, THIRD), engine.apply, from_seq=MIDDLE.seq)
    assert engine.batches == BATCHES[3:]


def test_replay_of_events_is_refused() -> None:
    head = SegmentHead(0, Position(0, 1, 0), 1, 7, "events")
    data = encode_segment_head(head)
    group = Group()
    group.add(seal_events(bytes(64), source=7, first_seq=1))
    record, _ = group.finish(head.start, 256, int.from_bytes(data[-4:], "little"))
    whole = data + bytes(record)
    assert verify([Segment(whole)]).last_seq == 1
    with pytest.raises(JournalError, match="journal of events"):
        replay([Segment(whole)], Collector().apply)


# ------------------------------------------------------------------------------------- refusals
def test_segment_missing_in_the_middle_is_refused() -> None:
    with pytest.raises(JournalError, match=r"1\.tcj: offset 0: segment 2 starts at record"):
        verify(journal(FIRST, THIRD))


def test_segments_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(JournalError, match="segment is missing, or belongs to another"):
        verify(journal(SECOND, FIRST))


def test_segment_of_another_source_is_refused() -> None:
    other, _, _ = segment([BATCHES[3:6]], index=1, start=MIDDLE, source=8)
    with pytest.raises(JournalError, match="belongs to another journal"):
        verify(journal(FIRST, other))


def test_segment_of_another_history_is_refused() -> None:
    start = Position(MIDDLE.record, MIDDLE.seq, MIDDLE.chain ^ 1)
    other, _, _ = segment([BATCHES[3:6]], index=1, start=start)
    with pytest.raises(JournalError, match="belongs to another journal"):
        verify(journal(FIRST, other))


@pytest.mark.parametrize("accept", ["torn", "corrupt"])
def test_torn_tail_of_an_inner_segment_is_refused(accept: str) -> None:
    for cut in range(SECOND_OFFSETS[0], len(SECOND)):
        with pytest.raises(JournalError) as caught:
            verify(journal(FIRST, SECOND[:cut], THIRD), accept=accept)  # type: ignore[arg-type]
        assert caught.value.file in {"1.tcj", "2.tcj"}


def test_torn_tail_is_an_error_only_where_not_accepted() -> None:
    parts = (FIRST, SECOND, THIRD[:-1])
    with pytest.raises(JournalError, match=r"2\.tcj: offset .* torn tail: .* nothing acknowledged"):
        verify(journal(*parts))
    summary = verify(journal(*parts), accept="torn")
    assert summary.tail.kind == "torn"
    assert summary.tail.offset == THIRD_OFFSETS[1]
    engine = Collector()
    replay(journal(*parts), engine.apply)
    assert engine.batches == BATCHES[:-1]


def test_corrupt_tail_is_an_error_unless_accepted() -> None:
    damaged = bytearray(THIRD)
    damaged[-5] ^= 1
    parts = (FIRST, SECOND, bytes(damaged))
    for accept in ("clean", "torn"):
        with pytest.raises(JournalError, match="corrupt tail"):
            verify(journal(*parts), accept=accept)
    with pytest.raises(JournalError, match="corrupt tail"):
        replay(journal(*parts), Collector().apply)
    assert verify(journal(*parts), accept="corrupt").tail.kind == "corrupt"


def test_verify_of_nothing_is_refused() -> None:
    with pytest.raises(JournalError, match="no segment"):
        verify([])


@pytest.mark.parametrize("field", ["count", "source", "crc"])
def test_verify_finds_an_envelope_that_contradicts_itself(field: str) -> None:
    """The record's checksums hold: a writer's bug, not damage."""
    two = command(order_id=1, cont=1) + command(order_id=2)
    good = seal(two, source=7, first_seq=1)
    values = {name: getattr(good, name) for name in good.__struct_fields__}
    wrong = {"count": 2, "source": 8, "crc": good.crc ^ 1}[field]
    bad = Envelope(**(values | {field: wrong}))
    if field != "crc":
        resealed = seal(two, source=bad.source, first_seq=1)
        crc = _checksum(1, bad.source, 1, bad.count, resealed.frames)
        bad = Envelope(1, bad.source, 1, bad.count, crc, resealed.frames)
    head = encode_segment_head(SegmentHead(0, Position(0, 1, 0), 1, 7))
    group = Group()
    group.add(bad)
    record, _ = group.finish(Position(0, 1, 0), 256, int.from_bytes(head[-4:], "little"))
    with pytest.raises(JournalError, match=r"x\.tcj: offset"):
        verify([Segment(head + bytes(record), "x.tcj")])


def test_group_larger_than_its_buffer_grows() -> None:
    frames = batch(1, 400)
    data, _, _ = segment([[frames, frames]])
    engine = Collector()
    replay(journal(data), engine.apply)
    assert engine.batches == [frames, frames]


def test_command_offset_helper_agrees_with_the_reference_here() -> None:
    assert command_offset(ALL, N_COMMANDS) == len(commands(1, N_COMMANDS))


class _Config(msgspec.Struct, frozen=True):
    max_orders: int = 10
    name: str = "a"


def test_digest_config_depends_on_every_field() -> None:
    digests = {digest_config(c) for c in (_Config(), _Config(11), _Config(name="b"))}
    assert len(digests) == 3
    assert {len(digest) for digest in digests} == {32}
    assert digest_config(_Config()) == digest_config(_Config(10, "a"))


def test_segment_with_another_index_is_refused() -> None:
    other, _, _ = segment([BATCHES[3:6]], index=5, start=MIDDLE)
    with pytest.raises(JournalError, match="segment 5 starts at record"):
        verify(journal(FIRST, other))


def test_garbage_behind_an_inner_segment_is_refused() -> None:
    with pytest.raises(JournalError, match=r"torn tail: .* yet a newer segment exists"):
        verify(journal(FIRST + b"TJCR" + bytes(20), SECOND), accept="torn")


def test_replay_from_a_position_checks_the_history_before_it() -> None:
    positions = [Position(0, 1, 0)]
    positions += [record.after for record in records(journal(FIRST, SECOND, THIRD))]
    for position in positions:
        engine = Collector()
        done = replay(journal(FIRST, SECOND, THIRD), engine.apply, start=position)
        assert (done.first_seq, done.last_seq) == (position.seq, N_COMMANDS)
        assert b"".join(engine.batches) == commands(position.seq, N_COMMANDS)
        for wrong in (
            Position(position.record, position.seq, position.chain ^ 1),
            Position(position.record + 1, position.seq, position.chain),
        ):
            with pytest.raises(JournalError, match="they do not belong together"):
                replay(journal(FIRST, SECOND, THIRD), Collector().apply, start=wrong)
