"""What is fuzzed, and what must hold for any bytes at all: one function a target.

A target takes bytes from outside and raises only what the library promises for bad ones. Everything
else (another exception, a crash, a wrong answer) is a finding. The seeded mutator of
test_mutations.py and the coverage-guided runner of coverage_guided.py both call these.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tradecore import Engine, EngineConfig
from tradecore.catalog import Catalog
from tradecore.cell import Cell, CellConfig
from tradecore.describe import describe_commands, describe_events, to_line
from tradecore.edge import decode_message, encode_message, from_frames, to_frames
from tradecore.envelope import FRAME_BYTES, decode, encode, encode_compact, seal
from tradecore.errors import FrameError, JournalError, SnapshotError
from tradecore.instruments import AssetSpec, InstrumentSpec
from tradecore.journal import verify
from tradecore.journal_segment import Segment
from tradecore.snapshot import Snapshot, decode_engine
from tradecore.snapshot import decode as decode_snapshot
from tradecore.snapshot import encode as encode_snapshot
from tradecore.testing.cell_oracle import NaiveCell
from tradecore.testing.compare import compare
from tradecore.testing.oracle import OracleConfig, OracleEngine
from tradecore_ext.framing import count_commands

CORPUS: Final = Path(__file__).parent / "corpus"

_CONFIG: Final = EngineConfig(
    accounts=True, max_instruments=4, max_orders=64, max_accounts=8, max_groups=4, max_assets=4
)
_CELL: Final = CellConfig(engine=_CONFIG, recent_orders=4, max_sources=2, depth_ns=2048)
_CATALOG: Final = Catalog(
    InstrumentSpec(f"I{n}", n, AssetSpec("A", 1), AssetSpec("B", 0), tick_size="1")
    for n in range(4)
)


def frames(data: bytes) -> None:
    """Engine and oracle give the same events for any frames, and the audit holds afterwards."""
    whole = data[: len(data) // FRAME_BYTES * FRAME_BYTES]
    if len(whole) != len(data):
        with contextlib.suppress(FrameError):
            Engine(_CONFIG).apply(data)
            raise AssertionError("part of a frame was accepted")
    engine, oracle = Engine(_CONFIG), OracleEngine(OracleConfig.like(_CONFIG))
    found = compare([whole], engine, oracle)
    if found is not None:
        raise AssertionError(str(found))
    if not oracle.fenced:
        engine.check()
        if engine.in_seq != count_commands(whole):
            raise AssertionError(f"{engine.in_seq} commands, {count_commands(whole)} counted")


def edge(data: bytes) -> None:
    """Frames become messages and the same frames again, or one error; everything can be shown."""
    whole = data[: len(data) // FRAME_BYTES * FRAME_BYTES]
    for shown in [*describe_commands(whole, _CATALOG), *describe_events(whole, _CATALOG)]:
        to_line(shown)
    with contextlib.suppress(FrameError):
        messages = list(from_frames(data, _CATALOG))
        if b"".join(to_frames(message, _CATALOG) for message in messages) != data:
            raise AssertionError("frames came back as others")


def message(data: bytes) -> None:
    """Text is a message that survives being written and read, or one error."""
    with contextlib.suppress(FrameError):
        found = decode_message(data)
        if decode_message(encode_message(found)) != found:
            raise AssertionError("the message came back as another")
        to_frames(found, _CATALOG)


def envelope(data: bytes) -> None:
    """Bytes are an envelope, the same in every form, or one error."""
    with contextlib.suppress(FrameError):
        found = decode(data, file="fuzz", offset=0)
        if decode(encode(found)) != found or decode(encode_compact(found)) != found:
            raise AssertionError("the envelope came back as another")


def journal(data: bytes) -> None:
    """Bytes are a segment with a judged end, or one error; reading twice gives the same."""
    with contextlib.suppress(JournalError):
        segment = Segment(data, "fuzz")
        once = [(record.offset, bytes(record.body)) for record in segment]
        again = [(record.offset, bytes(record.body)) for record in segment]
        tail = segment.tail
        if (
            once != again
            or tail.offset > len(data)
            or tail.kind not in {"clean", "torn", "corrupt"}
        ):
            raise AssertionError(f"read twice, found two things: {tail}")
        verify([segment], accept="corrupt")


def snapshot(data: bytes) -> None:
    """Bytes are a snapshot that is written the same again, or one error."""
    with contextlib.suppress(SnapshotError):
        found: Snapshot = decode_snapshot(data, "fuzz")
        if encode_snapshot(found.info, found.sections, found.config) != data:
            raise AssertionError("the snapshot would be written otherwise")
        decode_engine(Engine, data, "fuzz")


def state(data: bytes) -> None:
    """A state image behind right checksums, with any contents, is refused or can be audited.

    Only a writer with a fault could seal such an image; what it restores to need not be sound, but
    reading it must not crash, and the audit must come to an end.
    """
    with contextlib.suppress(SnapshotError):
        Engine.from_state(_CONFIG, _unpack(data)).audit()


def pack_state(sections: list[tuple[str, bytes]]) -> bytes:
    """Return sections as one string: name, length, bytes, for the `state` target."""
    parts = [
        bytes([len(name)]) + name.encode() + len(data).to_bytes(4, "little") + data
        for name, data in sections
    ]
    return b"".join(parts)


def _unpack(data: bytes) -> list[tuple[str, bytes]]:
    sections: list[tuple[str, bytes]] = []
    at = 0
    while at < len(data) and len(sections) < 16:
        name = data[at + 1 : at + 1 + data[at]].decode("latin-1")
        at += 1 + data[at]
        size = int.from_bytes(data[at : at + 4], "little")
        sections.append((name, data[at + 4 : at + 4 + size]))
        at += 4 + size
    return sections


def cell(data: bytes) -> None:
    """A cell and a naive one say the same about any records; then it can be saved and loaded."""
    one, naive = Cell(_CELL), NaiveCell(_CELL)
    for offset, payload in enumerate(cell_records(data)):
        output = one.apply(offset, offset << 10, payload)
        if (bytes(output.frames), bytes(output.market_frames)) != naive.apply(
            offset, offset << 10, payload
        ):
            raise AssertionError(f"record {offset}: the naive cell says something else")
        if output.fenced:
            return
    saved = decode_snapshot(encode_snapshot(*one.snapshot_parts()))
    if Cell.from_snapshot(None, saved).state_hash() != one.state_hash():
        raise AssertionError("the cell came back as another")


def cell_records(data: bytes) -> Iterator[bytes]:
    """Cut a string into records: flags, length, bytes.

    With an odd flag the bytes are frames, which are sealed as the next of one of four sources, so
    that changes reach what lies behind the checksum; else they are the record itself.
    """
    following = [1, 1, 1, 1]
    at = 0
    while at + 3 <= len(data):
        flags, size = data[at], int.from_bytes(data[at + 1 : at + 3], "little")
        body = data[at + 3 : at + 3 + size]
        at += 3 + size
        whole = body[: len(body) // FRAME_BYTES * FRAME_BYTES]
        if flags & 1 and whole:
            source = flags >> 1 & 3
            sealed = seal(whole, source=source, first_seq=following[source])
            following[source] += sealed.count
            body = encode(sealed)
        yield body


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "frames": frames,
    "edge": edge,
    "message": message,
    "envelope": envelope,
    "journal": journal,
    "snapshot": snapshot,
    "state": state,
    "cell": cell,
}


def corpus(target: str) -> list[bytes]:
    """Return the saved inputs of a target, in name order."""
    return [path.read_bytes() for path in sorted((CORPUS / target).glob("*.bin"))]
