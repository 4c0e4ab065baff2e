"""One segment of a journal: its records in order, and what kind of end it has.

The questions answered here: which records are there, is every bit of them right, and if the end is
damaged, is it what a crash leaves behind or something worse? The answer is one of

- **clean**: the segment ends behind a whole record (zeros of a preallocated file may follow);
- **torn**: the last record is incomplete in a way that an interrupted write explains. It was never
  acknowledged, since acknowledgement waits for the disk; cutting it loses nothing;
- **corrupt**: the last record is complete in length but its bytes are wrong. No interrupted write
  does that, and the record may have been acknowledged: only a person may decide to cut it;
- an **error**, `JournalError`: damage with intact records behind it, or records that do not
  continue each other. Nothing is skipped over, ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from tradecore.buffers import BytesLike, byte_view
from tradecore.errors import JournalError
from tradecore.journal_format import (
    RECORD_HEAD_BYTES,
    RECORD_MAGIC,
    SEGMENT_HEAD_BYTES,
    Position,
    Record,
    SegmentHead,
    blank_sectors,
    decode_record_head,
    decode_segment_head,
)

__all__ = ["Accept", "Segment", "Tail"]

_CHUNK: Final = 1 << 20

Accept: TypeAlias = Literal["clean", "torn", "corrupt"]
"""The worst end of a journal that a caller is ready to take."""


class Tail(msgspec.Struct, frozen=True):
    """How a segment ends.

    Parameters
    ----------
    kind : {'clean', 'torn', 'corrupt'}
        See the module.
    offset : int
        First byte that is not part of an intact record: where the next record goes, and where a
        cut would be made.
    size : int
        Length of the segment in bytes; the difference is preallocated zeros or damage.
    reason : str
        What is wrong, empty when clean.
    """

    kind: Accept
    offset: int
    size: int
    reason: str = ""

    def as_error(self, file: str, *, is_last: bool = True) -> JournalError:
        """Return the error to raise where this tail is not acceptable.

        Parameters
        ----------
        file : str
            Name of the segment.
        is_last : bool
            False when a newer segment exists, which no crash explains.
        """
        if not is_last:
            advice = "yet a newer segment exists: restore the file from a replica"
        elif self.kind == "torn":
            advice = "`tradecore journal cut` removes it; nothing acknowledged is lost"
        else:
            advice = (
                "restore the file from a replica, or cut it by force if its last group of commands "
                "may be lost"
            )
        return JournalError(f"{self.kind} tail: {self.reason}; {advice}", file, self.offset)


def _first_nonzero(data: memoryview, begin: int) -> int:
    """Return the offset of the first byte that is not zero, or the length."""
    for at in range(begin, len(data), _CHUNK):
        chunk = bytes(data[at : at + _CHUNK])
        rest = chunk.lstrip(b"\0")
        if rest:
            return at + len(chunk) - len(rest)
    return len(data)


def _find_record(data: memoryview, begin: int, segment_crc: int) -> Record | None:
    """Return the first intact record head at or behind `begin` (a multiple of 64), or None."""
    magic = RECORD_MAGIC.to_bytes(4, "little")
    for base in range(begin, len(data), _CHUNK):
        chunk = bytes(data[base : base + _CHUNK])
        at = chunk.find(magic)
        while at >= 0:
            if at % RECORD_HEAD_BYTES == 0:
                found = decode_record_head(data, base + at, segment_crc)
                if found is not None:
                    return found
            at = chunk.find(magic, at + 1)
    return None


class Segment:
    """One segment: its head, its records in order, and how it ends.

    Parameters
    ----------
    data : bytes-like
        The whole segment. Views into it are handed out; keep it unchanged meanwhile.
    file : str
        Its name, for errors.

    Attributes
    ----------
    head : SegmentHead
        Checked at construction.
    end : Position
        Behind the last record that was read; complete after `tail` or a full iteration.

    Raises
    ------
    JournalError
        The head is not one of a journal that this build reads.
    """

    def __init__(self, data: BytesLike, file: str = "") -> None:
        self.file = file
        self.data = byte_view(data)
        self.head: SegmentHead = decode_segment_head(self.data, file)
        self.crc = int.from_bytes(self.data[SEGMENT_HEAD_BYTES - 4 : SEGMENT_HEAD_BYTES], "little")
        self.end: Position = self.head.start
        self._offset = SEGMENT_HEAD_BYTES
        self._tail: Tail | None = None

    def __iter__(self) -> Iterator[Record]:
        """Yield the intact records in order, each fully checked, and then settle the tail.

        Raises
        ------
        JournalError
            Damage that is not at the end.
        """
        position, offset = self.head.start, SEGMENT_HEAD_BYTES
        while (record := self._read(position, offset)) is not None:
            yield record
            position, offset = record.after, record.end
            if offset > self._offset:
                self.end, self._offset = position, offset
        self._tail = self._classify(position, offset)

    @property
    def tail(self) -> Tail:
        """How the segment ends; reads on to the end where that has not happened yet."""
        if self._tail is None:
            position, offset = self.end, self._offset
            while (record := self._read(position, offset)) is not None:
                position, offset = record.after, record.end
            self.end, self._offset = position, offset
            self._tail = self._classify(position, offset)
        return self._tail

    def _head_at(self, offset: int) -> Record | None:
        record = decode_record_head(self.data, offset, self.crc, self.file)
        if record is not None and record.blanks and self.head.kind != "log":
            return None  # only payloads may be zeros for so long
        return record

    def _read(self, due: Position, offset: int) -> Record | None:
        record = self._head_at(offset)
        if record is None or not record.body_holds():
            return None
        record.must_continue(due)
        return record

    def _classify(self, due: Position, offset: int) -> Tail:
        """Judge what stands at `offset`, where no intact record does."""
        data, size = self.data, len(self.data)
        nonzero = _first_nonzero(data, offset)
        if nonzero == size:
            return Tail("clean", offset, size)
        later = _find_record(data, offset + RECORD_HEAD_BYTES, self.crc)
        if later is not None:
            raise JournalError(
                f"record {due.record} is damaged, but record {later.number} at offset "
                f"{later.offset} was written after it had become durable: this is corruption, not "
                "a torn write; restore the file from a replica",
                self.file,
                offset,
            )
        if size - offset < RECORD_HEAD_BYTES:
            reason = f"{size - offset} bytes of a record head"
            return Tail("torn", offset, size, reason)
        record = self._head_at(offset)
        if record is None:
            if nonzero >= offset + RECORD_HEAD_BYTES:
                return Tail("torn", offset, size, "the record head was never written")
            return Tail("corrupt", offset, size, "the record head is damaged")
        if record.end > size:
            reason = f"the record ends {record.end - size} bytes behind the file"
            return Tail("torn", offset, size, reason)
        blank = list(blank_sectors(record.body, offset + RECORD_HEAD_BYTES))
        if len(blank) > record.blanks:
            reason = f"the sector at offset {blank[0]} was never written"
            return Tail("torn", offset, size, reason)
        return Tail("corrupt", offset, size, "the record is complete but its checksum is wrong")
