"""Read journals from files: one segment, a whole folder, or a folder that is being written to."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from tradecore.errors import JournalError
from tradecore.journal_format import (
    RECORD_HEAD_BYTES,
    SEGMENT_HEAD_BYTES,
    Position,
    Record,
    decode_record_head,
    decode_segment_head,
)
from tradecore.journal_segment import Segment
from tradecore.storage.fileops import FileOps

__all__ = ["Follower", "SegmentFile", "list_segments", "map_segment", "read_segments"]

_NAME: Final = re.compile(r"(\d{10})-(\d{20})\.tcj")


class SegmentFile(msgspec.Struct, frozen=True):
    """A segment by its name: index, first sequence number, path."""

    index: int
    first_seq: int
    path: Path


def segment_name(index: int, first_seq: int) -> str:
    """Return the file name of a segment; names sort as segments follow each other."""
    return f"{index:010d}-{first_seq:020d}.tcj"


def list_segments(folder: Path) -> list[SegmentFile]:
    """Return the segments of a folder in order; other files are not looked at.

    Raises
    ------
    JournalError
        The folder cannot be read, or a segment in the middle is missing.
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise JournalError(f"cannot be listed: {error.strerror}", str(folder)) from error
    found = [
        SegmentFile(int(match[1]), int(match[2]), folder / match[0])
        for match in map(_NAME.fullmatch, names)
        if match
    ]
    for before, after in itertools.pairwise(found):
        if after.index != before.index + 1:
            raise JournalError(
                f"segment {before.index + 1} is missing between {before.path.name} and "
                f"{after.path.name}; restore it from a replica",
                str(folder),
            )
    return found


def map_segment(path: Path, ops: FileOps | None = None) -> Segment:
    """Map one file as a segment; its pages are read as they are looked at.

    Raises
    ------
    JournalError
        The file cannot be opened (it does not exist, is a folder, is not readable), or its head is
        not one of a journal that this build reads.
    """
    try:
        data = (ops or FileOps()).map(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise JournalError(f"cannot be read: {reason}", str(path)) from error
    return Segment(data, str(path))


def read_segments(
    path: Path | str, *, from_seq: int = 1, ops: FileOps | None = None
) -> Iterator[Segment]:
    """Yield the segments of a journal, mapped one after the other.

    Parameters
    ----------
    path : Path or str
        A folder of segments, or one segment file.
    from_seq : int
        Segments that end before this sequence number are left out.

    Raises
    ------
    JournalError
        See `list_segments` and `map_segment`; or there is no segment in the folder.
    """
    path = Path(path)
    if not path.is_dir():
        yield map_segment(path, ops)
        return
    files = list_segments(path)
    if not files:
        raise JournalError("no journal segment (*.tcj) in this folder", str(path))
    needed = max((i for i, each in enumerate(files) if each.first_seq <= from_seq), default=0)
    for each in files[needed:]:
        segment = map_segment(each.path, ops)
        head = segment.head
        if (head.index, head.start.seq) != (each.index, each.first_seq):
            raise JournalError(
                f"the name does not fit the head, which says segment {head.index} from sequence "
                f"{head.start.seq}; it was renamed or copied by mistake",
                str(each.path),
                0,
            )
        yield segment


class Follower:
    """Reads a journal while another process writes it: a standby, a feed, a test.

    Parameters
    ----------
    folder : Path or str
        Where the segments are or will be.
    from_seq : int
        The first record handed out is the one that holds this sequence number.

    Notes
    -----
    What `poll` returns is complete and its checksums hold, but it may not be durable yet: only the
    writer knows. A record that is not complete is looked at again at the next poll; the follower
    does not judge damage, `tradecore.journal.verify` does. Bytes are read, not mapped: the writer
    may cut a torn tail, and touching a mapping behind the end of its file kills the process.
    """

    def __init__(
        self, folder: Path | str, *, from_seq: int = 1, ops: FileOps | None = None
    ) -> None:
        self._folder = Path(folder)
        self._from_seq = from_seq
        self._ops = ops or FileOps()
        self._file: SegmentFile | None = None
        self._offset = SEGMENT_HEAD_BYTES
        self._crc = 0
        self._due: Position | None = None

    def poll(self) -> list[Record]:
        """Return the records that were completed since the last call, in order.

        Raises
        ------
        JournalError
            A segment is missing, cannot be read or does not continue the one before.
        """
        found: list[Record] = []
        if self._file is None and not self._open_first():
            return found
        while True:
            # Asked before reading: a segment that exists now was created behind a finished one, so
            # the reading that follows sees all of the current one.
            following = self._following()
            while (record := self._read()) is not None:
                self._due, self._offset = record.after, record.end
                if record.after.seq > self._from_seq:
                    found.append(record)
            if following is None:
                return found
            self._enter(following)

    def _open_first(self) -> bool:
        files = list_segments(self._folder)
        if not files:
            return False
        fitting = [each for each in files if each.first_seq <= self._from_seq]
        if not fitting:
            raise JournalError(
                f"the journal begins at sequence {files[0].first_seq}, {self._from_seq} is "
                "needed; an older segment is missing",
                str(files[0].path),
            )
        self._enter(fitting[-1])
        return True

    def _following(self) -> SegmentFile | None:
        assert self._file is not None
        index = self._file.index + 1
        return next((each for each in list_segments(self._folder) if each.index == index), None)

    def _enter(self, file: SegmentFile) -> None:
        data = memoryview(self._ops.read(file.path, 0, SEGMENT_HEAD_BYTES))
        head = decode_segment_head(data, str(file.path))
        if self._due is not None and head.start != self._due:
            raise JournalError(
                f"starts at sequence {head.start.seq}, but the segment before it ends at "
                f"{self._due.seq - 1}; verify the journal",
                str(file.path),
                0,
            )
        self._file, self._due = file, head.start
        self._offset = SEGMENT_HEAD_BYTES
        self._crc = int.from_bytes(data[-4:], "little")

    def _read(self) -> Record | None:
        assert self._file is not None
        assert self._due is not None
        path, offset = self._file.path, self._offset
        head = memoryview(self._ops.read(path, offset, RECORD_HEAD_BYTES))
        record = decode_record_head(head, offset, self._crc, str(path), offset)
        if record is None:
            return None
        size = RECORD_HEAD_BYTES + record.body_bytes
        data = memoryview(self._ops.read(path, offset, size))
        record = decode_record_head(data, offset, self._crc, str(path), offset)
        if record is None or not record.body_holds():
            return None
        record.must_continue(self._due)
        return record
