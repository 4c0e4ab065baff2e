"""Reads a log (a journal of kind ``log``) from any place, for the process that writes it.

`FileJournal` appends, this reads what it has made durable, through mappings of the segments:
payloads are views into the page cache, no byte is copied. The caller says how far the log is
durable; nothing behind that is looked at, because the writer may still cut it off, and touching a
mapping behind the end of its file kills the process. For the same reason another process follows
with `Follower`, which reads instead of mapping.

Three steps find a place: the names of the segments, an index of one point per 64 KiB that grows as
a segment is walked, and the heads of the records from there. Reading on where the last call ended
needs none of them.
"""

from __future__ import annotations

import bisect
from pathlib import Path
from typing import Final, NamedTuple

from tradecore.errors import JournalError
from tradecore.journal_format import (
    ENTRY_HEAD_BYTES,
    LOG_ENTRY,
    RECORD_HEAD_BYTES,
    SEGMENT_HEAD_BYTES,
    Position,
    Record,
    decode_record_head,
)
from tradecore.storage.fileops import FileOps
from tradecore.storage.journal_reader import SegmentFile, list_segments, map_segment

__all__ = ["LogEntry", "LogReader"]

_INDEX_STEP: Final = 1 << 16
_CURSORS: Final = 32
_OPEN_SEGMENTS: Final = 4


class LogEntry(NamedTuple):
    """One payload of a log.

    Parameters
    ----------
    seq : int
        Its number, from 1.
    ts_ns : int
        When the log took it, Unix ns.
    payload : memoryview
        Its bytes, mapped; the mapping lives as long as somebody looks at it.
    """

    seq: int
    ts_ns: int
    payload: memoryview


class _Mapped:
    """A segment as far as it was long when it was mapped, and what is known of its inside."""

    def __init__(self, file: SegmentFile, ops: FileOps) -> None:
        segment = map_segment(file.path, ops)
        if segment.head.kind != "log":
            raise JournalError(f"a journal of {segment.head.kind}, not a log", str(file.path), 0)
        self.file, self.crc, self.data = file, segment.crc, segment.data
        self._ops = ops
        self._points: list[tuple[int, int, Position]] = [
            (segment.head.start.seq, SEGMENT_HEAD_BYTES, segment.head.start)
        ]

    def record_at(self, offset: int, due: Position) -> Record | None:
        """Return the record at an offset, fully checked; None where none stands.

        The segment is mapped again when it was shorter at the last look.
        """
        path = str(self.file.path)
        for fresh in (False, True):
            if fresh:
                self.data = self._ops.map(self.file.path)
            record = decode_record_head(self.data, offset, self.crc, path)
            if record is not None and len(record.body) == record.body_bytes:
                break
        else:
            return None
        if not record.body_holds():
            raise JournalError(
                f"record {due.record} was durable and is damaged now; restore the file from a "
                "replica",
                path,
                offset,
            )
        record.must_continue(due)
        if offset >= self._points[-1][1] + _INDEX_STEP:
            self._points.append((due.seq, offset, due))
        return record

    def point_before(self, seq: int) -> tuple[int, Position]:
        """Return offset and position of an indexed record at or before a sequence number."""
        number = bisect.bisect_right(self._points, seq, key=lambda point: point[0]) - 1
        _, offset, position = self._points[max(number, 0)]
        return offset, position


class _Cursor(NamedTuple):
    """Between two payloads: in which segment and mapping, where, and the record around it."""

    mapped: _Mapped
    data: memoryview
    at: int
    stop: int
    first_seq: int
    after: Position


class LogReader:
    """Reads payloads by their numbers.

    Parameters
    ----------
    folder : Path or str
        The log.
    ops : FileOps, optional
        The disk; for tests.

    Notes
    -----
    Any number of readers may share one object: it remembers the last 32 places where a call ended,
    so each of them reads on for the price of its payloads. For one thread.
    """

    def __init__(self, folder: Path | str, *, ops: FileOps | None = None) -> None:
        self._folder = Path(folder)
        self._ops = ops or FileOps()
        self._files: list[SegmentFile] = []
        self._mapped: dict[int, _Mapped] = {}
        self._cursors: dict[int, _Cursor] = {}

    @property
    def start_seq(self) -> int:
        """Number of the first payload that is kept.

        Raises
        ------
        JournalError
            There is no segment.
        """
        if not self._files:
            self.refresh()
        return self._files[0].first_seq

    def refresh(self) -> None:
        """Look at the folder again: segments were added or dropped.

        Raises
        ------
        JournalError
            There is no segment, or one in the middle is missing.
        """
        self._files = list_segments(self._folder)
        if not self._files:
            raise JournalError("no journal segment (*.tcj) in this folder", str(self._folder))

    def read(self, seq: int, *, end_seq: int, max_bytes: int) -> list[LogEntry]:
        """Return payloads from `seq` on, at least one unless ``seq == end_seq``.

        Parameters
        ----------
        seq : int
            Number of the first payload, from 1.
        end_seq : int
            One more than the last that is durable: ``FileJournal.durable_seq + 1``.
        max_bytes : int
            Payloads end before this size would be exceeded; the first is returned whatever it is.

        Raises
        ------
        JournalError
            `seq` is before the first segment, or the files are damaged.

        Notes
        -----
        About 0.5 us a payload, 10 GB/s of checksums for each record that is entered.
        """
        found: list[LogEntry] = []
        if seq >= end_seq:
            return found
        cursor = self._cursors.get(seq) or self._seek(seq)
        mapped, data, at, stop, first_seq, after = cursor
        room = max_bytes
        while seq < end_seq:
            if at == stop:
                mapped, data, at, stop, first_seq, after = self._enter(mapped, stop, after)
            size, _, ts_ns = LOG_ENTRY.unpack_from(data, at)
            if found and size > room:
                break
            begin = at + ENTRY_HEAD_BYTES
            end = begin + size
            at = end + -end % RECORD_HEAD_BYTES
            if at > stop or (at == stop) != (seq + 1 == after.seq):
                raise JournalError(
                    "the record's payloads do not add up to its head", str(mapped.file.path), begin
                )
            found.append(LogEntry(seq, ts_ns, data[begin:end]))
            room -= size
            seq += 1
        self._cursors[seq] = _Cursor(mapped, data, at, stop, first_seq, after)
        if len(self._cursors) > _CURSORS:
            del self._cursors[next(iter(self._cursors))]
        return found

    def _seek(self, seq: int) -> _Cursor:
        self.refresh()
        number = bisect.bisect_right(self._files, seq, key=lambda file: file.first_seq) - 1
        if number < 0:
            raise JournalError(
                f"the log begins at payload {self._files[0].first_seq}, {seq} was asked for",
                str(self._files[0].path),
            )
        mapped = self._open(self._files[number])
        offset, due = mapped.point_before(seq)
        cursor = self._enter(mapped, offset, due)
        while cursor.after.seq <= seq:
            cursor = self._enter(cursor.mapped, cursor.stop, cursor.after)
        at = cursor.at
        for _ in range(seq - cursor.first_seq):
            size, _, _ = LOG_ENTRY.unpack_from(cursor.data, at)
            at += ENTRY_HEAD_BYTES + size
            at += -at % RECORD_HEAD_BYTES
        return cursor._replace(at=at)

    def _enter(self, mapped: _Mapped, offset: int, due: Position) -> _Cursor:
        """Go to the record that continues `due`: at this offset, or first in the next segment."""
        record = mapped.record_at(offset, due)
        if record is None:
            self.refresh()
            index = mapped.file.index + 1
            following = next((each for each in self._files if each.index == index), None)
            if following is not None and following.first_seq == due.seq:
                mapped = self._open(following)
                record = mapped.record_at(SEGMENT_HEAD_BYTES, due)
        if record is None:
            raise JournalError(
                f"payload {due.seq} was durable and is missing now; restore the file from a "
                "replica",
                str(mapped.file.path),
                offset,
            )
        begin = record.offset + RECORD_HEAD_BYTES
        return _Cursor(mapped, mapped.data, begin, record.end, record.first_seq, record.after)

    def _open(self, file: SegmentFile) -> _Mapped:
        mapped = self._mapped.get(file.index)
        if mapped is None:
            mapped = self._mapped[file.index] = _Mapped(file, self._ops)
            if len(self._mapped) > _OPEN_SEGMENTS:
                del self._mapped[next(iter(self._mapped))]
        return mapped
