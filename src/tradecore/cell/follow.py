"""Reading what a cell said: every frame once, in order, whole batches only.

A cell that was restarted, and a second one that runs beside it, write frames again, packed
otherwise. Their numbers say which are new. `FrameReader` skips what it has had, compares it where
it still remembers it, and stops at a gap.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tradecore import dtypes, envelope
from tradecore.codes import CellKind
from tradecore.errors import FrameError, TradecoreError
from tradecore.status import Status

if TYPE_CHECKING:
    import numpy.typing as npt

    from tradecore.buffers import BytesLike

__all__ = ["Batch", "FrameReader", "Position", "StreamError", "newest_answer"]

_FRAME: Final = envelope.FRAME_BYTES
_KIND: Final = 24
# tc_batch_event: seq, three zeros skipped, kind, side, status, in_seq, ts_ns, in_offset,
# in_first_seq, in_source, count. A row of a numpy array costs ten times as much to take apart.
_HEAD: Final = struct.Struct("<Q16xBBHIQQQII")


def newest_answer(payload: BytesLike) -> tuple[int, int]:
    """Return whose record of `executions` this is, and the newest input that it answers.

    Returns
    -------
    source : int
        Who wrote it: `tradecore.cell.source_of` of a cell.
    in_offset : int
        Newest offset of the input log that a BATCH frame in it names; -1 in the middle of a long
        answer, where no such frame stands.

    Raises
    ------
    FrameError
        Not an envelope. The checksum is not looked at.
    """
    found = envelope.decode(payload, check_crc=False)
    frames = np.frombuffer(found.frames, dtypes.BATCH_EVENT)
    heads = frames[frames["kind"] == CellKind.BATCH]
    return found.source, int(heads["in_offset"].max()) if len(heads) else -1


class StreamError(TradecoreError):
    """The stream has a gap, differs from what it said before, or is not this stream at all.

    Going on would lose or double something: a service ends here and starts again.
    """


class Position(NamedTuple):
    """Where a reader goes on: fetch from `offset`, the first frame it wants is number `seq`."""

    offset: int
    seq: int


class Batch(NamedTuple):
    """Everything a cell said about one record of the input log.

    Parameters
    ----------
    seq : int
        Number of the BATCH frame in its stream; the events behind it follow without gaps.
    ts_ns : int
        Engine time after the record, Unix ns.
    in_offset, in_source, in_first_seq : int
        The record, and the source and first number of its envelope.
    status : int
        OK, or why nothing was applied (`tradecore.Status`).
    events : numpy array of `tradecore.EVENT`
        Read-only, shape (count,). Valid as long as it is referenced.
    """

    seq: int
    ts_ns: int
    in_offset: int
    in_source: int
    in_first_seq: int
    status: int
    events: npt.NDArray[np.void]

    @property
    def end_seq(self) -> int:
        """Number behind the last frame of the batch."""
        return self.seq + 1 + len(self.events)

    @property
    def applied(self) -> bool:
        """Whether the record reached the engine."""
        return self.status == Status.OK


class FrameReader:
    """Reader of one partition of `executions` or `market-data`.

    Parameters
    ----------
    source : int
        Who numbers the frames: `tradecore.cell.source_of` of the cell.
    position : Position
        As `position` was when what came before had been dealt with; by default the beginning.
        ``seq`` 0 = wherever the record at ``offset`` begins its first whole batch. That record
        may be a late repetition of what lies before it; so until `remember` frames were read,
        frames that seem to be missing are taken for ones from before the beginning.
    remember : int
        Frames kept to compare repetitions with.
    """

    def __init__(
        self, source: int, position: Position | None = None, *, remember: int = 4096
    ) -> None:
        position = position or Position(0, 1)
        self._source = source
        self._next = position.seq  # number of the frame that comes next; 0 = not known yet
        self._pending = b""  # frames of a batch whose rest is in later records
        self._pending_offset = position.offset
        self._offset = position.offset
        self._remember = remember
        self._unsure = 0 if position.seq else remember  # frames to read until a gap is a gap
        self._tail = bytearray()  # the frames before `_next`, at most `remember`

    @property
    def position(self) -> Position:
        """Where to go on after the batches returned so far; save it with what they changed."""
        if self._pending:
            return Position(self._pending_offset, self._next - len(self._pending) // _FRAME)
        return Position(self._offset, self._next)

    def read(self, offset: int, payload: BytesLike) -> list[Batch]:
        """Return the batches that a record completes, without those returned before.

        Parameters
        ----------
        offset : int
            Of the record in its log; for `position`.
        payload : bytes-like
            The record; must stay unchanged as long as a batch's events are used.

        Raises
        ------
        StreamError
            A gap, frames that differ from those read before under the same numbers, a record of
            another source, or one that cannot be read. The reader is not moved.

        Notes
        -----
        O(frames), nothing is copied but frames of divided batches and the last `remember` ones.
        """
        try:
            found = envelope.decode(payload)
        except FrameError as error:
            raise StreamError(f"record {offset} is not an envelope: {error}") from None
        if found.source != self._source:
            raise StreamError(
                f"record {offset} is of source {found.source:#x}, not {self._source:#x}"
            )
        if found.count * _FRAME != found.frames.nbytes:
            raise StreamError(f"record {offset} holds commands, not events")
        fresh = self._fresh(offset, found.first_seq, found.frames)
        if not self._pending:
            self._pending_offset = offset
        data = self._pending + bytes(fresh) if self._pending else fresh
        batches, used = self._split(offset, data, self._next - len(self._pending) // _FRAME)
        self._next += len(fresh) // _FRAME
        self._unsure -= len(fresh) // _FRAME
        self._keep(fresh)
        if used or not self._pending:
            self._pending_offset = offset
        self._pending = bytes(data[used:])
        self._offset = offset + 1
        return batches

    def _fresh(self, offset: int, first_seq: int, frames: memoryview) -> memoryview:
        """Return the frames that were not read before; the others must be what they were."""
        if self._unsure > 0 and 0 < self._next < first_seq:
            self._next, self._pending = 0, b""
            self._tail.clear()
        if self._next == 0:
            start = 0
            while start < len(frames) and frames[start + _KIND] != CellKind.BATCH:
                start += _FRAME
            if start == len(frames):
                return frames[:0]
            self._next = first_seq + start // _FRAME
        known = self._next - first_seq
        if known < 0:
            raise StreamError(
                f"record {offset} begins with frame {first_seq}, {self._next} was expected: "
                f"{-known} frames are missing"
            )
        size = known * _FRAME
        # Compare what overlaps the frames still remembered: number self._next - 1 is the last one.
        begin = max(first_seq, self._next - len(self._tail) // _FRAME)
        end = min(self._next, first_seq + len(frames) // _FRAME)
        if begin < end:
            mine = len(self._tail) - (self._next - begin) * _FRAME
            theirs = frames[(begin - first_seq) * _FRAME : (end - first_seq) * _FRAME]
            if self._tail[mine : mine + len(theirs)] != theirs:
                raise StreamError(
                    f"record {offset} says frames {begin} to {end - 1} otherwise than before: "
                    "two cells disagree about one log"
                )
        return frames[size:]

    def _split(self, offset: int, data: memoryview | bytes, seq: int) -> tuple[list[Batch], int]:
        """Return the whole batches in front of `data`, and their length in bytes."""
        batches: list[Batch] = []
        if not data:
            return batches, 0
        events = np.frombuffer(data, dtypes.EVENT)
        at, count = 0, len(events)
        while at < count:
            own, kind, _, status, _, ts_ns, in_offset, in_first, in_source, n = _HEAD.unpack_from(
                data, at * _FRAME
            )
            if kind != CellKind.BATCH:
                raise StreamError(
                    f"record {offset}: frame {seq + at} is of kind {kind}, not a BATCH: "
                    "the reader was not placed at the beginning of a batch"
                )
            if own != seq + at:
                raise StreamError(f"record {offset}: frame {seq + at} calls itself {own}")
            behind = at + 1 + n
            if behind > count:
                break
            batches.append(
                Batch(own, ts_ns, in_offset, in_source, in_first, status, events[at + 1 : behind])
            )
            at = behind
        return batches, at * _FRAME

    def _keep(self, fresh: memoryview) -> None:
        room = self._remember * _FRAME
        if len(fresh) >= room:
            self._tail = bytearray(fresh[len(fresh) - room :])
            return
        self._tail += fresh
        # Cut rarely: cutting moves what stays.
        if len(self._tail) > 2 * room:
            del self._tail[:-room]
