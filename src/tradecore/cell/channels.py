"""Who sent what so far: the numbers of every source that numbers its envelopes.

A sender that did not hear an answer sends again, so the same envelope may lie in the log twice. Its
numbers say so: `Channels.judge` lets exactly the next one through.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from typing import Final

from tradecore.errors import SnapshotError
from tradecore.status import Status

__all__ = ["REMEMBERED", "Channels"]

REMEMBERED: Final = 4096
"""Applied envelopes, of all sources together, whose checksums are remembered."""

# source, zero, high-water mark | first_seq, source, count, crc, zero
_SOURCE: Final = struct.Struct("<IIQ")
_APPLIED: Final = struct.Struct("<QIIII")


class Channels:
    """High-water marks by source, and the checksums of what was applied last.

    Parameters
    ----------
    max_sources : int
        Sources there is room for.
    """

    def __init__(self, max_sources: int) -> None:
        self._max_sources = max_sources
        self._applied_to: dict[int, int] = {}
        self._recent: dict[tuple[int, int], tuple[int, int]] = {}
        self._order: deque[tuple[int, int]] = deque()

    def judge(self, source: int, first_seq: int, count: int, crc: int) -> Status:
        """Say whether an envelope is the next of its source; if it is (OK) it counts as applied.

        Parameters
        ----------
        source : int
            Not 0.
        first_seq, count, crc : int
            As in the envelope.

        Returns
        -------
        Status
            OK, REPETITION, DIVERGED, GAP or CAPACITY_SOURCES. O(1).
        """
        hwm = self._applied_to.get(source, 0)
        if first_seq == hwm + 1:
            if hwm == 0 and len(self._applied_to) >= self._max_sources:
                return Status.CAPACITY_SOURCES
            self._applied_to[source] = hwm + count
            self._note((source, first_seq), (count, crc))
            return Status.OK
        if first_seq + count - 1 <= hwm:
            known = self._recent.get((source, first_seq), (count, crc))
            return Status.REPETITION if known == (count, crc) else Status.DIVERGED
        return Status.GAP

    def applied_to(self, source: int) -> int:
        """Return the number of the last command of a source that was applied, 0 if none was."""
        return self._applied_to.get(source, 0)

    def _note(self, key: tuple[int, int], what: tuple[int, int]) -> None:
        if len(self._order) == REMEMBERED:
            del self._recent[self._order.popleft()]
        self._order.append(key)
        self._recent[key] = what

    def sections(self) -> list[tuple[str, bytes]]:
        """Return the state as snapshot sections: sources by number, envelopes oldest first."""
        sources = b"".join(_SOURCE.pack(s, 0, hwm) for s, hwm in sorted(self._applied_to.items()))
        applied = b"".join(
            _APPLIED.pack(first_seq, source, *self._recent[source, first_seq], 0)
            for source, first_seq in self._order
        )
        return [("cell.sources", sources), ("cell.applied", applied)]

    def restore(self, sources: Sequence[int] | bytes, applied: Sequence[int] | bytes) -> None:
        """Fill a new object from its two sections.

        Raises
        ------
        SnapshotError
            They cannot have been written by `sections`.
        """
        try:
            marks = list(_SOURCE.iter_unpack(bytes(sources)))
            envelopes = list(_APPLIED.iter_unpack(bytes(applied)))
        except struct.error:
            raise SnapshotError("cell.sources or cell.applied is cut short") from None
        numbers = [mark[0] for mark in marks]
        if numbers != sorted(set(numbers)) or len(marks) > self._max_sources or 0 in numbers:
            raise SnapshotError("cell.sources is not a list of sources in order")
        if len(envelopes) > REMEMBERED:
            raise SnapshotError("cell.applied holds more envelopes than are remembered")
        self._applied_to = {source: hwm for source, _, hwm in marks}
        for first_seq, source, count, crc, _ in envelopes:
            self._note((source, first_seq), (count, crc))
        if len(self._recent) != len(self._order):
            raise SnapshotError("cell.applied holds an envelope twice")
