"""A reader has every batch once, however the frames were packed and how often they were written."""

from __future__ import annotations

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cell_logs import LogSource
from tradecore.cell import Batch, Cell, CellConfig, FrameReader, Position, StreamError, source_of
from tradecore.cell.output import Output
from tradecore.engine import EngineConfig
from tradecore.envelope import decode, encode, seal, seal_events
from tradecore.status import Status

CONFIG = CellConfig(
    engine=EngineConfig(max_orders=4096, max_instruments=8), sessions=False, depth_ns=1000
)
SOURCE = source_of(0)


@cache
def outputs(seed: int, count: int = 40) -> list[Output]:
    cell = Cell(CONFIG)
    records = LogSource(random.Random(seed), False).records(count)
    return [cell.apply(*record) for record in records]


def packed(seed: int, outs: list[Output]) -> list[bytes]:
    """The frames of a run in records of random sizes, cut anywhere."""
    rng = random.Random(seed)
    frames = b"".join(bytes(out.frames) for out in outs)
    payloads, at = [], 0
    while at < len(frames):
        size = 64 * rng.choice((1, 2, 5, 30))
        part = frames[at : at + size]
        payloads.append(encode(seal_events(part, source=SOURCE, first_seq=1 + at // 64)))
        at += len(part)
    return payloads


def plain(outs: list[Output]) -> list[tuple[int, int, bytes]]:
    """Number, input offset and frames of every batch, read off the outputs."""
    return [
        (
            out.first_exec_seq,
            int.from_bytes(bytes(out.frames)[40:48], "little"),
            bytes(out.frames)[64:],
        )
        for out in outs
    ]


def shown(batches: list[Batch]) -> list[tuple[int, int, bytes]]:
    return [(b.seq, b.in_offset, b.events.tobytes()) for b in batches]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 5), packing=st.integers(), rng=st.randoms(use_true_random=False))
def test_two_writers_that_pack_differently_are_read_once(
    seed: int, packing: int, rng: random.Random
) -> None:
    outs = outputs(seed)
    queues = [packed(packing, outs), packed(packing + 1, outs)]
    reader = FrameReader(SOURCE, remember=rng.choice((0, 7, 4096)))
    found: list[Batch] = []
    offset = 0
    while any(queues):
        queue = rng.choice([q for q in queues if q])
        ahead = min((q for q in queues if q), key=lambda q: decode(q[0]).first_seq)
        queue = queue if decode(queue[0]).first_seq <= reader.position.seq else ahead
        found += reader.read(offset, queue.pop(0))
        offset += 1
    assert shown(found) == plain(outs)


@pytest.mark.parametrize("seed", range(6))
def test_reader_goes_on_from_any_saved_position(seed: int) -> None:
    outs = outputs(seed)
    payloads = packed(seed, outs)
    whole = plain(outs)
    reader = FrameReader(SOURCE)
    had = 0
    for offset, payload in enumerate(payloads):
        had += len(reader.read(offset, payload))
        at = reader.position
        again = FrameReader(SOURCE, at)
        rest = [b for n in range(at.offset, len(payloads)) for b in again.read(n, payloads[n])]
        assert shown(rest) == whole[had:]
    assert reader.position == Position(len(payloads), outs[-1].end_exec_seq)


def test_batch_tells_what_its_head_says() -> None:
    cell = Cell(CONFIG)
    first = cell.apply(0, 500, encode(seal(bytes(64), source=9, first_seq=1)))
    second = cell.apply(4, 600, b"junk")
    reader = FrameReader(SOURCE)
    (one,) = reader.read(0, first.executions(cell)[0])
    (two,) = reader.read(1, second.executions(cell)[0])
    assert (one.seq, one.in_offset, one.in_source, one.in_first_seq, one.applied) == (
        1,
        0,
        9,
        1,
        True,
    )
    assert one.end_seq == two.seq == 3
    assert (two.in_offset, two.status, two.applied) == (4, Status.UNREADABLE, False)


def test_market_data_reads_the_same_way() -> None:
    outs = outputs(3)
    reader = FrameReader(SOURCE)
    frames = [bytes(out.market_frames) for out in outs]
    cell = Cell(CONFIG)
    payloads = [payload for out in outs for payload in out.market(cell)]
    found = [b for n, payload in enumerate(payloads) for b in reader.read(n, payload)]
    assert b"".join(b.events.tobytes() for b in found) == b"".join(f[64:] for f in frames)
    assert len(found) == sum(bool(f) for f in frames)


def fed(count: int = 12) -> tuple[FrameReader, list[bytes], list[Output]]:
    outs = outputs(1)
    payloads = packed(4, outs)
    reader = FrameReader(SOURCE)
    for offset, payload in enumerate(payloads[:count]):
        reader.read(offset, payload)
    return reader, payloads, outs


def test_gap_stops_the_reader_where_it_is() -> None:
    reader, payloads, _ = fed()
    at = reader.position
    with pytest.raises(StreamError, match="frames are missing"):
        reader.read(13, payloads[13])
    assert reader.position == at
    assert reader.read(12, payloads[12]) is not None


def test_repetition_that_says_something_else_stops_the_reader() -> None:
    reader, payloads, _ = fed()
    found = decode(payloads[11])
    frames = bytearray(found.frames)
    frames[50] ^= 1
    other = encode(seal_events(frames, source=SOURCE, first_seq=found.first_seq))
    with pytest.raises(StreamError, match="otherwise than before"):
        reader.read(12, other)


def test_frames_beyond_the_memory_are_not_compared() -> None:
    outs = outputs(1)
    payloads = packed(4, outs)
    reader = FrameReader(SOURCE, remember=0)
    for offset, payload in enumerate(payloads):
        reader.read(offset, payload)
    found = decode(payloads[0])
    frames = bytearray(found.frames)
    frames[50] ^= 1
    assert reader.read(99, encode(seal_events(frames, source=SOURCE, first_seq=1))) == []


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"junk", "not an envelope"),
        (encode(seal_events(bytes(64), source=SOURCE + 1, first_seq=1)), "is of source"),
        (
            encode(seal(bytes(10) + b"\1" + bytes(117), source=SOURCE, first_seq=1)),
            "commands, not events",
        ),
        (encode(seal_events(bytes(64), source=SOURCE, first_seq=1)), "not a BATCH"),
        (encode(seal_events(bytes(24) + b"\x20" + bytes(39), source=SOURCE, first_seq=1)),
         "calls itself 0"),
    ],
)  # fmt: skip
def test_record_of_another_stream_stops_the_reader(payload: bytes, message: str) -> None:
    with pytest.raises(StreamError, match=message):
        FrameReader(SOURCE).read(0, payload)


def test_reader_may_begin_wherever_a_batch_begins() -> None:
    outs = outputs(2)
    payloads = packed(5, outs)
    reader = FrameReader(SOURCE, Position(7, 0))
    found = [b for n in range(7, len(payloads)) for b in reader.read(n, payloads[n])]
    assert shown(found) == plain(outs)[-len(found) :]
    assert found[0].seq >= decode(payloads[7]).first_seq


def test_reader_without_a_place_that_meets_a_late_repetition_goes_on_behind_it() -> None:
    outs = outputs(3)
    records = [payload for out in outs for payload in out.executions(Cell(CONFIG))]
    # It begins behind record 9, where something from long ago is written again first.
    late = records[2], records[5], *records[10:]
    reader = FrameReader(SOURCE, Position(10, 0))
    found = [batch for at, payload in enumerate(late, 10) for batch in reader.read(at, payload)]
    assert shown(found) == plain([outs[2], outs[5], *outs[10:]])


def test_reader_without_a_place_sees_a_gap_when_it_has_read_enough() -> None:
    outs = outputs(3)
    records = [payload for out in outs for payload in out.executions(Cell(CONFIG))]
    reader = FrameReader(SOURCE, Position(0, 0), remember=2)
    for at in range(3):
        reader.read(at, records[at])
    with pytest.raises(StreamError, match="missing"):
        reader.read(3, records[4])
