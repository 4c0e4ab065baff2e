"""The file journal: appends commands, makes them durable in groups, survives what a disk does.

State machine: *open* -> (any error of the disk) -> *failed*. A failed journal refuses everything:
the process reports, stops, and recovers by opening the folder again, which judges the last segment
and cuts what a crash left torn. Nothing is retried on a file that has failed once.

Only `commit` promises anything: what it returns is on the disk. Between commits, appended commands
are in memory only, so a group reaches the file by one write and is one record (see
`tradecore.journal_format` for why that matters).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

from tradecore import envelope as _envelope
from tradecore.buffers import BytesLike
from tradecore.envelope import Envelope
from tradecore.errors import ConfigError, JournalError
from tradecore.journal_format import (
    SEGMENT_HEAD_BYTES,
    Kind,
    Position,
    SegmentHead,
    encode_segment_head,
)
from tradecore.journal_group import Group
from tradecore.journal_segment import Segment, Tail
from tradecore.storage.fileops import FileOps, FolderLock
from tradecore.storage.journal_reader import list_segments, map_segment, segment_name
from tradecore.storage.journal_repair import save_and_cut

__all__ = ["FileJournal"]

_NO_DIGEST: Final = bytes(32)
_UNFINISHED: Final = ".new"


def _segment_crc(head: bytes | memoryview) -> int:
    return int.from_bytes(head[SEGMENT_HEAD_BYTES - 4 : SEGMENT_HEAD_BYTES], "little")


class _Options(msgspec.Struct, frozen=True):
    segment_bytes: int
    group_bytes: int
    preallocate: bool


class FileJournal:
    """A journal in a folder, open for appending. Make one with `FileJournal.open`.

    For one thread; a service gives it a thread of its own or calls it between batches.

    Attributes
    ----------
    next_seq : int
        Sequence number the next appended command gets.
    durable_seq : int
        Last command that is known to be on the disk.
    cut : Tail or None
        The torn tail that opening found and cut, if there was one; its bytes were saved beside the
        segment, in a file whose name ends with ``.torn-OFFSET``.
    """

    def __init__(
        self, folder: Path, lock: FolderLock, template: SegmentHead, options: _Options, ops: FileOps
    ) -> None:
        self._folder = folder
        self._lock = lock
        self._template = template
        self._options = options
        self._ops = ops
        self._fd = -1
        self._path = folder
        self._crc = 0
        self._offset = 0
        self._index = -1
        self._group = Group()
        self._end = Position(0, 1, 0)
        self._failure: str = ""
        self.next_seq = 1
        self.cut: Tail | None = None

    @classmethod
    def open(
        cls,
        folder: Path | str,
        *,
        source: int,
        kind: Kind = "commands",
        first_seq: int = 1,
        config_digest: bytes = _NO_DIGEST,
        build: str = "",
        segment_bytes: int = 256 << 20,
        group_bytes: int = 4 << 20,
        preallocate: bool = False,
        ops: FileOps | None = None,
    ) -> FileJournal:
        """Open a journal for appending, creating it in an empty or missing folder.

        Reads the newest segment completely, verifies it and cuts a torn tail.

        Parameters
        ----------
        folder : Path or str
            Created if its parent exists. One writer at a time.
        source : int
            Who numbers the commands; must be that of an existing journal.
        kind : {'commands', 'events', 'log'}
            What is appended: frames with `append`, or the payloads of a log with `append_payloads`.
        first_seq : int
            Where a new journal begins; ignored when there is one.
        config_digest : bytes
            `tradecore.journal.digest_config` of the engine's configuration. An existing journal
            with another digest is refused, because its replay would give another state. Zeros
            (the default) compare with nothing.
        build : str
            Version of the program, for people who look at the file.
        segment_bytes : int
            A segment that reaches this size is followed by a new one.
        group_bytes : int
            A group that reaches this size is committed by `append` itself.
        preallocate : bool
            Reserve the blocks of a segment when it is created: commits then never change the size
            of the file, which some file systems make durable faster.
        ops : FileOps, optional
            The disk; for tests.

        Raises
        ------
        JournalError
            Locked by another writer, damaged beyond a torn tail, of another version, source, kind
            or configuration, or the disk refuses.
        ConfigError
            An argument is out of range.
        """
        options = _Options(segment_bytes, group_bytes, preallocate)
        if segment_bytes < 1 << 12 or group_bytes < 1 << 10:
            raise ConfigError("a journal needs segment_bytes >= 4096 and group_bytes >= 1024")
        folder, ops = Path(folder), ops or FileOps()
        start = Position(0, first_seq, 0)
        template = SegmentHead(0, start, _envelope.SCHEMA, source, kind, config_digest, build)
        encode_segment_head(template)  # refuses what does not fit, before anything is created
        try:
            folder.mkdir(exist_ok=True)
            lock = FolderLock(folder, "journal")
        except OSError as error:
            raise JournalError(f"cannot be opened: {error.strerror}", str(folder)) from error
        journal = cls(folder, lock, template, options, ops)
        try:
            journal._recover()
        except OSError as error:
            journal._release()
            raise JournalError(f"cannot be opened: {error.strerror}", str(folder)) from error
        except BaseException:
            journal._release()
            raise
        return journal

    # ------------------------------------------------------------------------------- opening
    def _recover(self) -> None:
        # A segment gets its name when its head is on the disk; without it, it never began.
        for leftover in sorted(self._folder.glob("*" + _UNFINISHED)):
            self._ops.remove(leftover)
        files = list_segments(self._folder)
        if not files:
            self._create_segment(0, self._template.start)
            return
        path = files[-1].path
        segment = map_segment(path, self._ops)
        self._must_fit(segment)
        tail = segment.tail
        if tail.kind == "corrupt":
            raise tail.as_error(str(path))
        if tail.kind == "torn":
            save_and_cut(path, segment, self._ops)
            self.cut = tail
        self._fd = self._ops.open(path)
        # What a killed process wrote and did not wait for is read back from memory, so far.
        self._ops.sync_data(self._fd)
        self._ops.sync_folder(self._folder)
        self._path, self._crc, self._index = path, segment.crc, segment.head.index
        self._offset, self._end = tail.offset, segment.end
        self.next_seq = segment.end.seq

    def _must_fit(self, segment: Segment) -> None:
        found, wanted = segment.head, self._template
        for what in ("source", "kind", "config_digest"):
            theirs, ours = getattr(found, what), getattr(wanted, what)
            if theirs == ours or (what == "config_digest" and _NO_DIGEST in (theirs, ours)):
                continue
            shown = (
                (theirs.hex()[:16], ours.hex()[:16]) if isinstance(ours, bytes) else (theirs, ours)
            )
            raise JournalError(
                f"the journal's {what.replace('_', ' ')} is {shown[0]}, this engine's {shown[1]}; "
                "they do not belong together",
                segment.file,
                0,
            )

    def _create_segment(self, index: int, start: Position) -> None:
        """Create and enter a segment: head on disk first, then the name."""
        template = self._template
        head = encode_segment_head(
            SegmentHead(
                *(index, start, template.schema, template.source, template.kind),
                *(template.config_digest, template.build),
            )
        )
        path = self._folder / segment_name(index, start.seq)
        unfinished = path.with_name(path.name + _UNFINISHED)
        fd = self._ops.create(unfinished)
        try:
            if self._options.preallocate:
                self._ops.preallocate(fd, self._options.segment_bytes)
            self._ops.write(fd, head, 0)
            self._ops.sync_data(fd)
            self._ops.rename(unfinished, path)
            self._ops.sync_folder(self._folder)
        except BaseException:
            self._ops.close(fd)
            raise
        if self._fd >= 0:
            self._ops.close(self._fd)
        self._fd, self._path, self._crc = fd, path, _segment_crc(head)
        self._index, self._offset, self._end = index, SEGMENT_HEAD_BYTES, start
        self.next_seq = start.seq

    # ----------------------------------------------------------------------------- appending
    @property
    def durable_seq(self) -> int:
        """Last command or event that is known to be on the disk; ``first_seq - 1`` at the start."""
        return self._end.seq - 1

    @property
    def source(self) -> int:
        """Who numbers the commands."""
        return self._template.source

    @property
    def end(self) -> Position:
        """Where the durable part ends: record, sequence number and chain, as snapshots keep it."""
        return self._end

    @property
    def pending_bytes(self) -> int:
        """Size of what was appended and not committed."""
        return len(self._group) if self._group.entries else 0

    def append(self, frames: BytesLike) -> int:
        """Append whole frames as one envelope; they are copied.

        Parameters
        ----------
        frames : bytes-like
            Command frames (or event frames, for a journal of events), 64 bytes each.

        Returns
        -------
        int
            Sequence number of the last command in `frames`. It is durable when `commit` returned
            this number or a higher one.

        Raises
        ------
        FrameError
            Not a positive number of whole frames; nothing was appended.
        JournalError
            The journal has failed, or fails now because the group was full and its commit failed.
        """
        self._must_take(is_log=False)
        is_commands = self._template.kind == "commands"
        make = _envelope.seal if is_commands else _envelope.seal_events
        return self.append_envelope(
            make(frames, source=self._template.source, first_seq=self.next_seq)
        )

    def append_envelope(self, envelope: Envelope) -> int:
        """Append an envelope that is already numbered, as a standby does with what it received.

        Raises
        ------
        JournalError
            It is of another source, does not start at `next_seq`, or the journal has failed.
        """
        self._must_work()
        self._must_take(is_log=False)
        if (envelope.source, envelope.first_seq) != (self._template.source, self.next_seq):
            raise JournalError(
                f"an envelope of source {envelope.source} from sequence {envelope.first_seq} "
                f"cannot follow: source {self._template.source}, sequence {self.next_seq} is due",
                str(self._path),
            )
        self._group.add(envelope)
        self.next_seq += envelope.count
        last = self.next_seq - 1
        if len(self._group) >= self._options.group_bytes:
            self.commit()
        return last

    def append_payloads(self, payloads: Sequence[BytesLike], ts_ns: int) -> int:
        """Append payloads to a log, each with the time of the log; they are copied.

        Never commits by itself: what is appended between two commits becomes durable together.

        Returns
        -------
        int
            Sequence number of the last one; an offset counts from 0 and is one less.

        Raises
        ------
        JournalError
            The journal is none of kind ``log``, or has failed.
        CapacityError
            The group would exceed 4 GiB; payloads before the one that did not fit are in it.
        """
        self._must_work()
        self._must_take(is_log=True)
        for payload in payloads:
            self._group.add_payload(payload, ts_ns)
            self.next_seq += 1
        return self.next_seq - 1

    def commit(self) -> int:
        """Write what was appended as one record and wait until it is on the disk.

        Returns
        -------
        int
            `durable_seq`: the last command that is safe now.

        Raises
        ------
        JournalError
            The disk refused. The journal has failed and stays so; commands after `durable_seq` may
            or may not survive, and the files are valid: opening the folder again decides.
        """
        self._must_work()
        group = self._group
        if not group.entries:
            return self.durable_seq
        full = self._offset + len(group) > self._options.segment_bytes
        try:
            if full and self._offset > SEGMENT_HEAD_BYTES:
                due = self.next_seq
                self._create_segment(self._index + 1, self._end)
                self.next_seq = due
            record, after = group.finish(self._end, self._offset, self._crc)
            self._ops.write(self._fd, record, self._offset)
            self._ops.sync_data(self._fd)
        except OSError as error:
            raise self._fail(error) from error
        self._offset += len(record)
        self._end = after
        group.clear()
        return self.durable_seq

    # --------------------------------------------------------------------------- ending well
    def _must_work(self) -> None:
        if self._failure:
            raise JournalError(self._failure, str(self._path))
        if self._fd < 0:
            raise JournalError("the journal is closed", str(self._path))

    def _must_take(self, *, is_log: bool) -> None:
        if (self._template.kind == "log") != is_log:
            what = "payloads" if is_log else "frames"
            raise JournalError(f"a journal of {self._template.kind} takes no {what}")

    def _fail(self, error: OSError) -> JournalError:
        """Latch the failure and leave a file that opens: without the half-written record."""
        self._failure = (
            f"the disk refused ({error.strerror or error}); the journal has stopped, commands up "
            f"to sequence {self.durable_seq} are durable; free or repair the disk and open it again"
        )
        # Best effort: where this fails too, opening finds a torn tail and cuts it.
        with contextlib.suppress(OSError):
            self._ops.truncate(self._fd, self._offset)
        return JournalError(self._failure, str(self._path), self._offset)

    def close(self) -> None:
        """Commit what is pending, close the file and let the next writer in. May be repeated."""
        try:
            if self._fd >= 0 and not self._failure:
                self.commit()
        finally:
            self._release()

    def abandon(self) -> None:
        """Close without committing: what was appended since the last commit is dropped."""
        self._release()

    def _release(self) -> None:
        if self._fd >= 0:
            self._ops.close(self._fd)
            self._fd = -1
        self._lock.release()

    def __enter__(self) -> FileJournal:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close; after an exception without committing what is pending."""
        if kind is None:
            self.close()
        else:
            self.abandon()
