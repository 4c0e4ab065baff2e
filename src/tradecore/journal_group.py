"""Puts the bytes of a journal record together: the writer's half of `tradecore.journal_format`."""

from __future__ import annotations

from tradecore import envelope as _envelope
from tradecore.buffers import BytesLike, byte_view
from tradecore.envelope import HEAD_BYTES, Envelope
from tradecore.errors import CapacityError
from tradecore.journal_format import (
    ENTRY,
    ENTRY_HEAD_BYTES,
    LOG_ENTRY,
    MAX_BODY,
    RECORD,
    RECORD_HEAD_BYTES,
    RECORD_MAGIC,
    Position,
    blank_sectors,
)
from tradecore_ext.crc import crc32c

__all__ = ["Group"]


class Group:
    """Collects envelopes, or the payloads of a log, for one record and finishes its bytes.

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
        self._is_log = False
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
        begin, end = self._reserve(HEAD_BYTES + envelope.frames.nbytes)
        view = memoryview(self._buffer)
        ENTRY.pack_into(view, begin, end - begin - ENTRY_HEAD_BYTES, bytes(12))
        frames_at = begin + ENTRY_HEAD_BYTES + HEAD_BYTES
        view[begin + ENTRY_HEAD_BYTES : frames_at] = _envelope.encode_head(envelope)
        view[frames_at:end] = envelope.frames
        self._take(begin, end, envelope.count)

    def add_payload(self, payload: BytesLike, ts_ns: int) -> None:
        """Append one payload of a log; it is copied and padded with zeros to the next 64 bytes.

        Parameters
        ----------
        payload : bytes-like
            Any bytes, none included. An aligned envelope gets its frames onto cache lines.
        ts_ns : int
            When the log took it, Unix ns.

        Raises
        ------
        CapacityError
            The group would exceed 4 GiB; it is unchanged.
        """
        data = byte_view(payload)
        begin, written = self._reserve(data.nbytes)
        end = written + -written % RECORD_HEAD_BYTES
        view = memoryview(self._buffer)
        LOG_ENTRY.pack_into(view, begin, data.nbytes, bytes(4), ts_ns)
        view[begin + ENTRY_HEAD_BYTES : written] = data
        view[written:end] = bytes(end - written)
        self._is_log = True
        self._take(begin, end, 1)

    def _reserve(self, size: int) -> tuple[int, int]:
        """Make room for an entry of `size` bytes and its padding; return where it begins, ends."""
        begin = self._end
        end = begin + ENTRY_HEAD_BYTES + size
        whole = end + -end % RECORD_HEAD_BYTES
        if whole - RECORD_HEAD_BYTES > MAX_BODY:
            raise CapacityError("a commit group cannot exceed 4 GiB; commit more often")
        if whole > len(self._buffer):
            # A fresh buffer: the old one cannot be resized while somebody looks at a record in it.
            larger = bytearray(max(whole, 2 * len(self._buffer)))
            larger[:begin] = memoryview(self._buffer)[:begin]
            self._buffer = larger
        return begin, end

    def _take(self, begin: int, end: int, count: int) -> None:
        self._body_crc = crc32c(memoryview(self._buffer)[begin:end], self._body_crc)
        self._end = end
        self.entries += 1
        self.count += count

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
        view = memoryview(self._buffer)[: self._end]
        body = view[RECORD_HEAD_BYTES:]
        # Frames are never zeros for so long, payloads may be.
        blanks = (
            sum(1 for _ in blank_sectors(body, offset + RECORD_HEAD_BYTES)) if self._is_log else 0
        )
        RECORD.pack_into(
            *(view, 0, RECORD_MAGIC, 0, start.record, offset, start.seq, len(body)),
            *(self._body_crc, self.entries, self.count, start.chain, segment_crc, blanks, bytes(4)),
        )
        crc = crc32c(view[8:RECORD_HEAD_BYTES])
        view[4:8] = crc.to_bytes(4, "little")
        after = Position(start.record + 1, start.seq + self.count, crc)
        return view.toreadonly(), after
