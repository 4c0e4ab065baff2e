"""Small journals and snapshots in memory, for every test of durable bytes."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

from tradecore.envelope import seal
from tradecore.journal_format import Position, SegmentHead, encode_segment_head
from tradecore.journal_group import Group

SOURCE = 7


def command(kind: int = 1, cont: int = 0, **fields: int) -> bytes:
    """One 64-byte command frame, packed by hand from the layout of tc_frame.h."""
    names = ("account_id", "instrument_id", "order_id", "px", "order_qty", "sent_ts_ns", "flags")
    values = [fields.get(name, 0) for name in names]
    return struct.pack(
        "<QHBBBBBBIIQqqQII",
        *(fields.get("ts_ns", 0), kind, cont, fields.get("side", 0), fields.get("ord_type", 0)),
        *(fields.get("tif", 0), fields.get("stp", 0), 0, *values, fields.get("session_id", 0)),
    )


def batch(seed: int, n_commands: int) -> bytes:
    """Commands with seeded contents, some with a continuation frame of noise."""
    chance = random.Random(seed)
    frames = []
    for _ in range(n_commands):
        with_terms = chance.random() < 0.2
        order_id = chance.randrange(1, 1 << 62)
        frames.append(command(1, int(with_terms), order_id=order_id, px=chance.randrange(1 << 40)))
        if with_terms:
            frames.append(chance.randbytes(64))
    return b"".join(frames)


def segment(
    groups: Sequence[Sequence[bytes]],
    *,
    index: int = 0,
    start: Position | None = None,
    source: int = SOURCE,
    zeros: int = 0,
) -> tuple[bytes, list[int], Position]:
    """A whole segment: its bytes, the offset of each record and of the end, the position behind."""
    position = start or Position(0, 1, 0)
    head = encode_segment_head(SegmentHead(index, position, 1, source))
    data, offsets = bytearray(head), []
    for batches in groups:
        group = Group()
        seq = position.seq
        for frames in batches:
            envelope = seal(frames, source=source, first_seq=seq)
            group.add(envelope)
            seq += envelope.count
        offsets.append(len(data))
        record, position = group.finish(position, len(data), int.from_bytes(head[-4:], "little"))
        data += record
    offsets.append(len(data))
    return bytes(data) + bytes(zeros), offsets, position
