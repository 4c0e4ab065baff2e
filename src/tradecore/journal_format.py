"""The bytes of a journal segment: its head, and the records behind it. Pure; no files here.

A segment is a 256-byte head and then records, each a multiple of 64 bytes. One record is one
*commit group*: everything that became durable by one fdatasync, written by one write. That is what
makes a torn write recognisable: nothing is ever written behind a record before the record itself
is on disk, so whatever a crash leaves damaged is the last record, and damage with a record behind
it is not a crash but corruption.

Every bit of the file is under a checksum (segment head; record head; record body), or is padding
that must be zero. Record heads are chained: each carries the checksum of the head before it, and
so of the whole journal up to there. docs/reference/journal.md shows the layout byte by byte.

A journal of commands or events holds envelopes; a *log* holds opaque payloads, each with the time
at which the log took it, and numbers the payloads.

`tradecore.journal` reads with these functions, `tradecore.journal_group` puts records together.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np

from tradecore import envelope as _envelope
from tradecore.envelope import Envelope
from tradecore.errors import ConfigError, FrameError, JournalError
from tradecore_ext.crc import crc32c

__all__ = [
    "ENTRY",
    "ENTRY_HEAD_BYTES",
    "FORMAT_VERSION",
    "LOG_ENTRY",
    "MAX_BODY",
    "RECORD",
    "RECORD_HEAD_BYTES",
    "RECORD_MAGIC",
    "SEGMENT_HEAD_BYTES",
    "Kind",
    "Position",
    "Record",
    "SegmentHead",
    "blank_sectors",
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
Kind: TypeAlias = Literal["commands", "events", "log"]
"""What a journal holds: envelopes of command frames, of event frames, or payloads of any kind."""
_KINDS: Final[dict[int, Kind]] = {1: "commands", 2: "events", 3: "log"}

# The unit in which a disk writes: after a crash a sector holds the new bytes or the old ones, which
# in a file that grew are zeros. A record head never straddles one, because records are 64-aligned.
_SECTOR: Final = 512
# A lost sector shows as at least this many zeros. Fewer may be data: an instrument definition has
# up to 192 bytes of zeros in a row.
_LOST_BYTES: Final = 256

# magic, version, head bytes, endian mark, kind, schema, source, index, first_seq, first_record,
# chain, digest, build
_SEGMENT: Final = struct.Struct("<8sHHIIIIQQQI32s64s")
_SEGMENT_PAD: Final = SEGMENT_HEAD_BYTES - 4 - _SEGMENT.size
# magic, head crc | number, offset, first_seq, body bytes, body crc, entries, count, chain, segment,
# blank sectors
RECORD: Final = struct.Struct("<IIQQQIIIIIII4s")
_CRC: Final = struct.Struct("<I")
ENTRY: Final = struct.Struct("<I12s")
# size, zero, ts_ns: the entry of a log
LOG_ENTRY: Final = struct.Struct("<I4sQ")
MAX_BODY: Final = (1 << 32) - 64


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
    kind : {'commands', 'events', 'log'}
        What the entries are: envelopes of commands (which may have continuation frames) or of
        events, or the payloads of a log.
    config_digest : bytes
        32 bytes; BLAKE2b-256 of the engine's configuration, zeros where none is meant.
    build : str
        Version of the program that created it, at most 64 bytes of UTF-8. For people.
    """

    index: int
    start: Position
    schema: int
    source: int
    kind: Kind = "commands"
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
        In a log both counts are those of the payloads.
    blanks : int
        How many sectors of the body were zeros when it was written; see `blank_sectors`.
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
    blanks: int
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
            size, reserved = ENTRY.unpack_from(self.body, at)
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

    def payloads(self) -> Iterator[tuple[int, memoryview]]:
        """Yield (ts_ns, payload) of a record of a log; payloads are views into the segment.

        Raises
        ------
        JournalError
            The body holds its checksum but is not what this format writes.
        """
        body, size = self.body, len(self.body)
        at = 0
        for _ in range(self.entries):
            begin = at + ENTRY_HEAD_BYTES
            if begin > size:
                raise self._malformed("the record ends before its last payload", at)
            length, reserved, ts_ns = LOG_ENTRY.unpack_from(body, at)
            end = begin + length
            at = end + -end % RECORD_HEAD_BYTES
            if reserved != bytes(4) or at > size or any(body[end:at]):
                raise self._malformed("malformed entry head", begin - ENTRY_HEAD_BYTES)
            yield ts_ns, body[begin:end]
        if at != size or self.entries != self.count:
            raise self._malformed("the record's payloads do not add up to its head", at)

    def _malformed(self, reason: str, at: int) -> JournalError:
        return JournalError(reason, self.file, self.offset + RECORD_HEAD_BYTES + at)


def blank_sectors(body: memoryview, offset: int) -> Iterator[int]:
    """Yield the places of a record's body where a whole sector, or most of one, is zeros.

    A sector that a crash kept from being written looks like that; so does a payload of zeros. A
    record says how many it had when it was written, and with more of them it is torn.

    Parameters
    ----------
    body : memoryview
        Complete; a multiple of 64 bytes.
    offset : int
        Where it stands in its segment.

    Notes
    -----
    O(sectors), 1 us for 512 of them: only sectors that begin with a zero word are looked at.
    """
    first = -offset % _SECTOR
    if first >= _LOST_BYTES and body[: min(first, len(body))] == bytes(min(first, len(body))):
        yield offset
    words = np.frombuffer(body, np.uint64)[first // 8 :: _SECTOR // 8]
    for number in np.flatnonzero(words == 0):
        begin = first + int(number) * _SECTOR
        part = body[begin : begin + _SECTOR]
        if len(part) >= _LOST_BYTES and part == bytes(len(part)):
            yield offset + begin


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
    fields = RECORD.unpack(head)
    magic, crc, number, own, seq, size, body_crc, entries, count = fields[:9]
    chain, segment, blanks, reserved = fields[9:]
    if magic != RECORD_MAGIC or crc != crc32c(head[8:]) or own != offset or segment != segment_crc:
        return None
    if size == 0 or size % 64 or not entries or count < entries or reserved != bytes(4):
        return None
    begin = at + RECORD_HEAD_BYTES
    return Record(
        *(offset, number, seq, count, entries, body_crc, chain, crc, blanks),
        *(data[begin : begin + size], size, file),
    )
