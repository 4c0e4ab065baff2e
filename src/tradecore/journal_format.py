"""The bytes of a journal segment: its head, and the records behind it. Pure; no files here.

A segment is a 256-byte head and then records, each a multiple of 64 bytes. One record is one
*commit group*: everything that became durable by one fdatasync, written by one write. That is what
makes a torn write recognisable: nothing is ever written behind a record before the record itself
is on disk, so whatever a crash leaves damaged is the last record, and damage with a record behind
it is not a crash but corruption.

Every bit of the file is under a checksum (segment head; record head; record body), or is padding
that must be zero. Record heads are chained: each carries the checksum of the head before it, and
so of the whole journal up to there. docs/reference/journal.md shows the layout byte by byte.

`tradecore.journal` reads with these functions, `tradecore.journal_file` writes with them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from tradecore import envelope as _envelope
from tradecore.envelope import HEAD_BYTES, Envelope
from tradecore.errors import CapacityError, ConfigError, FrameError, JournalError
from tradecore_ext.crc import crc32c

__all__ = [
    "ENTRY_HEAD_BYTES",
    "FORMAT_VERSION",
    "RECORD_HEAD_BYTES",
    "SEGMENT_HEAD_BYTES",
    "Group",
    "Position",
    "Record",
    "SegmentHead",
    "decode_record_head",
    "decode_segment_head",
    "encode_segment_head",
]

FORMAT_VERSION: Final = 1
SEGMENT_HEAD_BYTES: Final = 256
RECORD_HEAD_BYTES: Final = 64
ENTRY_HEAD_BYTES: Final = 16

# The second half catches transfers that rewrite line ends, as in PNG.
SEGMENT_MAGIC: Final = b"TCJRNL\r\n"
RECORD_MAGIC: Final = 0x52434A54  # "TJCR" in the file
_ENDIAN_MARK: Final = 0x01020304
_KINDS: Final[dict[int, Literal["commands", "events"]]] = {1: "commands", 2: "events"}

# magic, version, head bytes, endian mark, kind, schema, source, index, first_seq, first_record,
# chain, digest, build
_SEGMENT: Final = struct.Struct("<8sHHIIIIQQQI32s64s")
_SEGMENT_PAD: Final = SEGMENT_HEAD_BYTES - 4 - _SEGMENT.size
# magic, head crc | number, offset, first_seq, body bytes, body crc, entries, count, chain, segment
_RECORD: Final = struct.Struct("<IIQQQIIIIII8s")
_CRC: Final = struct.Struct("<I")
_ENTRY: Final = struct.Struct("<I12s")
_MAX_BODY: Final = (1 << 32) - 64


class Position(msgspec.Struct, frozen=True):
    """A place between two records of a journal: what the next record must continue.

    Parameters
    ----------
    record : int
        Number of the next record, from 0 over all segments.
    seq : int
        Sequence number of its first command or event, from 1.
    chain : int
        Checksum of the head of the record before (0 at the start of a journal). Two journals with
        equal chains at equal positions hold the same bytes up to there, as far as 32 bits tell;
        snapshots keep it as their fingerprint.
    """

    record: int
    seq: int
    chain: int


class SegmentHead(msgspec.Struct, frozen=True):
    """What the head of a segment says.

    Parameters
    ----------
    index : int
        Number of the segment, from 0.
    start : Position
        Where the segment continues the journal.
    schema : int
        Version of the frames of the writer that created it.
    source : int
        Who numbers the commands: the ``source`` of every envelope inside.
    kind : {'commands', 'events'}
        What the frames are; commands may have continuation frames.
    config_digest : bytes
        32 bytes; BLAKE2b-256 of the engine's configuration, zeros where none is meant.
    build : str
        Version of the program that created it, at most 64 bytes of UTF-8. For people.
    """

    index: int
    start: Position
    schema: int
    source: int
    kind: Literal["commands", "events"] = "commands"
    config_digest: bytes = bytes(32)
    build: str = ""


def encode_segment_head(head: SegmentHead) -> bytes:
    """Return the 256 bytes at the start of a segment.

    Raises
    ------
    ConfigError
        A field does not fit its place.
    """
    build = head.build.encode()
    if len(build) > 64 or "\0" in head.build:
        raise ConfigError("journal build: at most 64 bytes of text without NUL")
    if len(head.config_digest) != 32:
        raise ConfigError(f"journal config digest: {len(head.config_digest)} bytes, 32 wanted")
    code = next(code for code, name in _KINDS.items() if name == head.kind)
    start = head.start
    try:
        packed = _SEGMENT.pack(
            *(SEGMENT_MAGIC, FORMAT_VERSION, SEGMENT_HEAD_BYTES, _ENDIAN_MARK, code, head.schema),
            *(head.source, head.index, start.seq, start.record, start.chain),
            *(head.config_digest, build),
        )
    except struct.error as error:
        raise ConfigError(f"journal segment head: {error}") from None
    packed += bytes(_SEGMENT_PAD)
    return packed + _CRC.pack(crc32c(packed))


def decode_segment_head(data: memoryview, file: str = "") -> SegmentHead:
    """Read and check the head of a segment.

    Parameters
    ----------
    data : memoryview
        The segment, or at least its first 256 bytes.
    file : str
        Its name, for the error.

    Raises
    ------
    JournalError
        Empty, too short, not a journal, of the other byte order, of another version, damaged.
    """
    if not len(data):
        raise JournalError("the file is empty, not a journal segment", file, 0)
    head = bytes(data[:SEGMENT_HEAD_BYTES])
    if head[: len(SEGMENT_MAGIC)] != SEGMENT_MAGIC[: len(head)]:
        raise JournalError("not a journal: it does not start with the magic 'TCJRNL'", file, 0)
    if len(head) < SEGMENT_HEAD_BYTES:
        raise JournalError(
            f"the segment head is cut short: {len(head)} of {SEGMENT_HEAD_BYTES} bytes; restore "
            "the file from a replica",
            file,
            len(head),
        )
    # The byte order is looked at first: with the wrong one nothing else can be read.
    mark = head[12:16]
    if mark == _ENDIAN_MARK.to_bytes(4, "big"):
        raise JournalError(
            "written in big-endian byte order; journals are little-endian on every machine",
            file,
            12,
        )
    if (version := int.from_bytes(head[8:10], "little")) != FORMAT_VERSION:
        raise JournalError(
            f"journal format version {version}, this build reads version {FORMAT_VERSION}; "
            "use the build that wrote it",
            file,
            8,
        )
    (stored,) = _CRC.unpack_from(head, SEGMENT_HEAD_BYTES - 4)
    if (crc := crc32c(head[:-4])) != stored:
        raise JournalError(
            f"the segment head is damaged: checksum {crc:08x}, stored {stored:08x}; restore the "
            "file from a replica",
            file,
            0,
        )
    fields = _SEGMENT.unpack_from(head)
    kind, schema, source, index, seq, record, chain = fields[4:11]
    digest, build = fields[11:]
    ok = fields[2] == SEGMENT_HEAD_BYTES and fields[3] == _ENDIAN_MARK and kind in _KINDS
    if not ok or any(head[_SEGMENT.size : -4]) or not 1 <= schema <= _envelope.SCHEMA:
        raise JournalError(
            "the segment head is intact but uses features that this build does not know (schema "
            f"{schema}, kind {kind}); use the build that wrote it",
            file,
            8,
        )
    text = build.rstrip(b"\0").decode("utf-8", "replace")
    return SegmentHead(
        index, Position(record, seq, chain), schema, source, _KINDS[kind], digest, text
    )


class Record(msgspec.Struct, frozen=True, gc=False):
    """One commit group of a segment, its head checked.

    Parameters
    ----------
    offset : int
        Byte offset of its head in the segment.
    number, first_seq, count, entries : int
        Its number in the journal; first sequence number, commands (or events) and envelopes inside.
    body_crc, chain, crc : int
        Checksum of the body; of the head before it; of its own head, which covers both.
    body : memoryview
        The envelopes, each behind an entry head of 16 bytes; may end early in a torn segment.
    body_bytes : int
        Length the body should have.
    file : str
        For errors.
    """

    offset: int
    number: int
    first_seq: int
    count: int
    entries: int
    body_crc: int
    chain: int
    crc: int
    body: memoryview
    body_bytes: int
    file: str

    @property
    def end(self) -> int:
        """Offset of the first byte behind the record."""
        return self.offset + RECORD_HEAD_BYTES + self.body_bytes

    @property
    def after(self) -> Position:
        """What the next record must continue."""
        return Position(self.number + 1, self.first_seq + self.count, self.crc)

    def must_continue(self, due: Position) -> None:
        """Raise JournalError unless the record stands where it was written to stand."""
        found = Position(self.number, self.first_seq, self.chain)
        if found != due:
            raise JournalError(
                f"record {found.record} at sequence {found.seq} with chain {found.chain:08x} "
                f"stands where record {due.record} at sequence {due.seq} with chain "
                f"{due.chain:08x} was due; the file is not what was written: restore it",
                self.file,
                self.offset,
            )

    def body_holds(self) -> bool:
        """Tell whether the whole body is there and its checksum right. O(bytes)."""
        return len(self.body) == self.body_bytes and crc32c(self.body) == self.body_crc

    def envelopes(self, *, check_crc: bool = False) -> Iterator[Envelope]:
        """Yield the envelopes; their frames are views into the segment.

        Parameters
        ----------
        check_crc : bool
            Verify each envelope's own checksum too; the record's covers the same bytes.

        Raises
        ------
        JournalError
            The body holds its checksum but is not what this format writes.
        """
        at = 0
        base = self.offset + RECORD_HEAD_BYTES
        seq = self.first_seq
        for _ in range(self.entries):
            if at + ENTRY_HEAD_BYTES > len(self.body):
                raise JournalError("the record ends before its last envelope", self.file, base + at)
            size, reserved = _ENTRY.unpack_from(self.body, at)
            begin = at + ENTRY_HEAD_BYTES
            at = begin + size
            if reserved != bytes(12) or at % 64 or at > len(self.body):
                raise JournalError("malformed entry head", self.file, base + begin - 16)
            try:
                envelope = _envelope.decode(self.body[begin:at], check_crc=check_crc)
            except FrameError as error:
                raise JournalError(error.reason, self.file, base + begin) from None
            if envelope.first_seq != seq:
                raise JournalError(
                    f"the envelope starts at sequence {envelope.first_seq}, {seq} was due",
                    self.file,
                    base + begin,
                )
            seq += envelope.count
            yield envelope
        if at != len(self.body) or seq != self.first_seq + self.count:
            raise JournalError(
                "the record's envelopes do not add up to its head", self.file, base + at
            )


def decode_record_head(
    data: memoryview, offset: int, segment_crc: int, file: str = "", base: int = 0
) -> Record | None:
    """Read a record head at an offset of a segment; None where no valid one stands.

    Valid means: complete, checksum right, written for this offset of this segment. A stray copy of
    a head, in a payload or left over from another file, is therefore none.

    Parameters
    ----------
    data : memoryview
        The segment, or a part of it.
    offset : int
        Where to look, in the segment.
    segment_crc : int
        Checksum of the segment's head: the last 4 bytes of it.
    file : str
        For errors of the record.
    base : int
        Where in the segment `data` begins.
    """
    at = offset - base
    head = data[at : at + RECORD_HEAD_BYTES]
    if len(head) < RECORD_HEAD_BYTES:
        return None
    magic, crc, number, own, seq, size, body_crc, entries, count, chain, segment, reserved = (
        _RECORD.unpack(head)
    )
    if magic != RECORD_MAGIC or crc != crc32c(head[8:]) or own != offset or segment != segment_crc:
        return None
    if size == 0 or size % 64 or not entries or count < entries or reserved != bytes(8):
        return None
    begin = at + RECORD_HEAD_BYTES
    return Record(
        *(offset, number, seq, count, entries, body_crc, chain, crc),
        *(data[begin : begin + size], size, file),
    )


class Group:
    """Collects envelopes for one record and finishes its bytes; the writer's half of the format.

    Parameters
    ----------
    capacity : int
        Bytes to take at once; grows when a group needs more.

    Notes
    -----
    `add` copies the frames once and checksums them twice while they are in the cache (once for the
    envelope, once for the record): about 15 ns a frame together.
    """

    def __init__(self, capacity: int = 1 << 20) -> None:
        self._buffer = bytearray(max(capacity, 1024))
        self.clear()

    def clear(self) -> None:
        """Forget what was collected; the memory stays."""
        self._end = RECORD_HEAD_BYTES
        self._body_crc = 0
        self.entries = 0
        self.count = 0

    def __len__(self) -> int:
        """Return the bytes the record would have now."""
        return self._end

    def add(self, envelope: Envelope) -> None:
        """Append one envelope; its frames are copied.

        Raises
        ------
        CapacityError
            The group would exceed 4 GiB; it is unchanged.
        """
        size = HEAD_BYTES + envelope.frames.nbytes
        begin = self._end
        end = begin + ENTRY_HEAD_BYTES + size
        if end - RECORD_HEAD_BYTES > _MAX_BODY:
            raise CapacityError("a commit group cannot exceed 4 GiB; commit more often")
        if end > len(self._buffer):
            # A fresh buffer: the old one cannot be resized while somebody looks at a record in it.
            larger = bytearray(max(end, 2 * len(self._buffer)))
            larger[:begin] = memoryview(self._buffer)[:begin]
            self._buffer = larger
        view = memoryview(self._buffer)
        _ENTRY.pack_into(self._buffer, begin, size, bytes(12))
        frames_at = begin + ENTRY_HEAD_BYTES + HEAD_BYTES
        view[begin + ENTRY_HEAD_BYTES : frames_at] = _envelope.encode_head(envelope)
        view[frames_at:end] = envelope.frames
        self._body_crc = crc32c(view[begin:end], self._body_crc)
        self._end = end
        self.entries += 1
        self.count += envelope.count

    def finish(self, start: Position, offset: int, segment_crc: int) -> tuple[memoryview, Position]:
        """Return the record's bytes and the position behind it.

        Parameters
        ----------
        start : Position
            What the record continues.
        offset : int
            Where in the segment it will stand.
        segment_crc : int
            Checksum of that segment's head.

        Returns
        -------
        record : memoryview
            Valid until the next `add` or `clear`.
        after : Position
        """
        struct_args = (start.record, offset, start.seq, self._end - RECORD_HEAD_BYTES)
        tail = (self._body_crc, self.entries, self.count, start.chain, segment_crc, bytes(8))
        _RECORD.pack_into(self._buffer, 0, RECORD_MAGIC, 0, *struct_args, *tail)
        view = memoryview(self._buffer)
        crc = crc32c(view[8:RECORD_HEAD_BYTES])
        _CRC.pack_into(self._buffer, 4, crc)
        after = Position(start.record + 1, start.seq + self.count, crc)
        return view[: self._end].toreadonly(), after
