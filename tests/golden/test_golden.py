"""Bytes of every version that was ever released: they must stay readable, and be written the same.

frames.txt was typed from the header's comments; the .hex files were made by a program that shares
nothing with the library (struct, hashlib, a bitwise CRC) from the pages of docs/reference.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tradecore import dtypes, envelope, frames, snapshot
from tradecore.journal import verify
from tradecore.journal_format import Position, SegmentHead, encode_segment_head
from tradecore.journal_group import Group
from tradecore.journal_segment import Segment

V1 = Path(__file__).parent / "v1"
LINE = re.compile(r"((?:[0-9a-f]{2} )+) *(\w[\w.]*) +(-?\w+)$")


def hex_file(name: str) -> bytes:
    lines = (V1 / f"{name}.hex").read_text("ascii").splitlines()
    return bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


def typed_frames() -> dict[str, tuple[bytes, dict[str, int]]]:
    found: dict[str, tuple[bytes, dict[str, int]]] = {}
    for section in (V1 / "frames.txt").read_text("ascii").split("\n[")[1:]:
        name, _, body = section.partition("]\n")
        data, fields = b"", {}
        for line in body.strip().splitlines():
            match = LINE.fullmatch(line)
            assert match, line
            data += bytes.fromhex(match[1])
            fields[match[2]] = int(match[3], 0)
        found[name] = data, fields
    return found


TYPED = typed_frames()


def test_every_struct_was_typed() -> None:
    assert set(TYPED) == set(frames.STRUCT_BYTES) - {"tc_event", "tc_margin_tier"}
    assert {name: len(data) for name, (data, _) in TYPED.items()} == {
        name: frames.STRUCT_BYTES[name] for name in TYPED
    }


def flat(fields: dict[str, object]) -> dict[str, object]:
    """Rows of tiers as ``tiers.0.im_ppm`` and so on."""
    rows = fields.pop("tiers", [])
    assert isinstance(rows, list)
    tiers = {f"tiers.{n}.{name}": row[name] for n, row in enumerate(rows) for name in row}
    return fields | tiers


@pytest.mark.parametrize("name", TYPED)
def test_typed_frame_reads_as_typed(name: str) -> None:
    data, fields = TYPED[name]
    assert flat(frames.unpack(name, data)) == fields


@pytest.mark.parametrize("name", TYPED)
def test_typed_frame_reads_as_typed_through_numpy(name: str) -> None:
    data, fields = TYPED[name]
    (row,) = np.frombuffer(data, getattr(dtypes, name.removeprefix("tc_").upper()))
    for field, value in fields.items():
        at = row
        for part in field.split("."):
            at = at[int(part) if part.isdigit() else part]
        assert int(at) == value, field


@pytest.mark.parametrize("name", TYPED)
def test_typed_frame_is_written_as_typed(name: str) -> None:
    data, fields = TYPED[name]
    plain = {field: value for field, value in fields.items() if "." not in field}
    if name == "tc_instrument":
        parts = ("max_notional", "im_ppm", "mm_ppm")
        rows = [[fields[f"tiers.{n}.{part}"] for part in parts] for n in range(4)]
        assert frames.pack(name, tiers=rows, **plain) == data
    else:
        assert frames.pack(name, **plain) == data


FRAMES = hex_file("envelope_aligned")[48:]


def test_envelope_of_version_1() -> None:
    sealed = envelope.seal(FRAMES, source=7, first_seq=1000)
    aligned, compact = hex_file("envelope_aligned"), hex_file("envelope_compact")
    assert envelope.decode(aligned) == envelope.decode(compact) == sealed
    assert envelope.encode(sealed) == aligned
    assert envelope.encode_compact(sealed) == compact
    assert sealed.count == 2


def test_journal_of_version_1() -> None:
    data = hex_file("journal_segment")
    segment = Segment(data)
    assert segment.head == SegmentHead(
        index=0,
        start=Position(0, 1000, 0),
        schema=1,
        source=7,
        config_digest=bytes(range(32)),
        build="tradecore golden",
    )
    found = [[bytes(e.frames) for e in record.envelopes(check_crc=True)] for record in segment]
    assert found == [[FRAMES], [FRAMES[128:], FRAMES]]
    summary = verify([segment])
    assert (summary.records, summary.envelopes, summary.last_seq) == (2, 3, 1004)
    written = encode_segment_head(segment.head)
    position, crc = segment.head.start, int.from_bytes(written[-4:], "little")
    for batches in found:
        group = Group()
        seq = position.seq
        for batch in batches:
            sealed = envelope.seal(batch, source=7, first_seq=seq)
            group.add(sealed)
            seq += sealed.count
        record, position = group.finish(position, len(written), crc)
        written += bytes(record)
    assert written == data


def test_snapshot_of_version_1() -> None:
    data = hex_file("snapshot")
    found = snapshot.decode(data)
    info = found.info
    numbers = (info.source, info.in_seq, info.out_seq, info.now_ns, info.epoch, info.schema)
    assert numbers == (7, 1004, 9, 1_700_000_001_000_000_000, 1, 1)
    journal = Segment(hex_file("journal_segment"))
    assert journal.tail.kind == "clean"
    assert info.journal == journal.end
    assert [(name, bytes(part)) for name, part in found.sections] == [
        ("accounts", bytes(range(40))),
        ("orders", b"\x11" * 64),
    ]
    assert found.config == b"\x81\xa1a\x01"
    assert snapshot.encode(info, found.sections, found.config) == data
