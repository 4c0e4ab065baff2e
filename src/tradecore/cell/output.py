"""What applying records makes: two streams of frames, and what could not be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

import msgspec

from tradecore.buffers import byte_view
from tradecore.envelope import FRAME_BYTES, HEAD_BYTES, encode, seal_events
from tradecore.errors import ConfigError, FrameError
from tradecore.status import Status
from tradecore_ext.gate import FrameBuffer

if TYPE_CHECKING:
    from tradecore.buffers import BytesLike
    from tradecore.cell.cell import Cell

__all__ = ["PAYLOAD_BYTES", "Alarm", "DeadLetter", "Output", "read_dead_letter", "seal_frames"]

PAYLOAD_BYTES: Final = 1 << 19
"""Default bound of one output record: half of what Kafka takes without being asked."""

_LETTER_VERSION: Final = 1


class Alarm(NamedTuple):
    """A record that was dropped and should not be there: gap, diverged, no room, unreadable."""

    offset: int
    status: Status
    source: int


class DeadLetter(NamedTuple):
    """A record that could not be read.

    Parameters
    ----------
    offset, ts_ns : int
        Where and when it stood in trading-commands.
    status : Status
        Why it could not be read.
    payload : bytes-like
        Its bytes.
    """

    offset: int
    ts_ns: int
    status: Status
    payload: BytesLike

    @property
    def reason(self) -> str:
        """The status as a sentence."""
        return self.status.sentence

    def encode(self, partition: int) -> bytes:
        """Return the record for the dead-letter topic.

        msgpack ``[version, partition, offset, ts_ns, status, payload]``; the same bytes in every
        process that reads the same log.
        """
        return msgspec.msgpack.encode(
            (
                *(_LETTER_VERSION, partition, self.offset, self.ts_ns, int(self.status)),
                bytes(byte_view(self.payload)),
            )
        )


_LETTER: Final = msgspec.msgpack.Decoder(tuple[int, int, int, int, int, bytes])


def read_dead_letter(record: BytesLike) -> tuple[int, DeadLetter]:
    """Return partition and content of a record of the dead-letter topic.

    Raises
    ------
    FrameError
        It is none, or of another version.
    """
    try:
        found = _LETTER.decode(cast("bytes", record))
        version, partition, offset, ts_ns, status, payload = found
        letter = DeadLetter(offset, ts_ns, Status(status), payload)
    except (msgspec.DecodeError, ValueError) as error:
        raise FrameError(f"not a dead letter: {error}") from None
    if version != _LETTER_VERSION:
        raise FrameError(f"dead letter of version {version}; this build reads {_LETTER_VERSION}")
    return partition, letter


def seal_frames(
    frames: FrameBuffer, *, source: int, first_seq: int, max_bytes: int = PAYLOAD_BYTES
) -> list[bytes]:
    """Return frames as records of envelopes, divided between batches where that is possible.

    Parameters
    ----------
    frames : FrameBuffer
    source : int
        Who numbers them.
    first_seq : int
        Number of the first frame.
    max_bytes : int
        Bound of one record. A batch that is larger is divided inside.

    Raises
    ------
    ConfigError
        `max_bytes` has no room for one frame.
    """
    most = (max_bytes - HEAD_BYTES) // FRAME_BYTES
    if most < 1:
        raise ConfigError(f"max_bytes {max_bytes}: one frame needs {HEAD_BYTES + FRAME_BYTES}")
    view = memoryview(frames)
    return [
        encode(
            seal_events(
                view[begin * FRAME_BYTES : (begin + count) * FRAME_BYTES],
                source=source,
                first_seq=first_seq + begin,
            )
        )
        for begin, count in frames.cuts(most)
    ]


class Output:
    """What one call of `Cell.apply` or `Cell.apply_many` made.

    Attributes
    ----------
    frames, market_frames : FrameBuffer
        For `executions` and `market-data`: 64-byte frames, every record's behind its BATCH frame.
        Owned by this object; nothing later overwrites them.
    first_exec_seq, end_exec_seq, first_market_seq, end_market_seq : int
        Number of the first frame, and the number behind the last one.
    events : int
        Events of the engine among them.
    repeated : int
        Envelopes and orders that had been applied before.
    refused : int
        Commands of another session than their order id's.
    dead_letters : list of DeadLetter
        Records that could not be read.
    alarms : list of Alarm
        Every dropped record that an operator should look at, unreadable ones included.
    fenced : int
        The epoch that stopped the engine because this build does not know it; 0 normally.
    """

    __slots__ = (
        *("alarms", "dead_letters", "end_exec_seq", "end_market_seq", "events", "fenced"),
        *("first_exec_seq", "first_market_seq", "frames", "market_frames", "refused", "repeated"),
    )

    def __init__(self, first_exec_seq: int, first_market_seq: int) -> None:
        self.frames = FrameBuffer()
        self.market_frames = FrameBuffer()
        self.first_exec_seq = self.end_exec_seq = first_exec_seq
        self.first_market_seq = self.end_market_seq = first_market_seq
        self.events = 0
        self.repeated = 0
        self.refused = 0
        self.dead_letters: list[DeadLetter] = []
        self.alarms: list[Alarm] = []
        self.fenced = 0

    def executions(self, cell: Cell, max_bytes: int = PAYLOAD_BYTES) -> list[bytes]:
        """Return the records for `executions`, sealed in the cell's name. O(bytes)."""
        return seal_frames(
            self.frames, source=cell.source, first_seq=self.first_exec_seq, max_bytes=max_bytes
        )

    def market(self, cell: Cell, max_bytes: int = PAYLOAD_BYTES) -> list[bytes]:
        """Return the records for `market-data`, sealed in the cell's name. O(bytes)."""
        return seal_frames(
            self.market_frames,
            source=cell.source,
            first_seq=self.first_market_seq,
            max_bytes=max_bytes,
        )
