"""A cell: one partition of the log through one engine, as a pure function.

`Cell` applies records and says what they made, `follow` reads that again. Nothing here waits, reads
a file or knows a clock; the trading service and the simulator put the world around it.
docs/reference/cell.md has the rules.
"""

from __future__ import annotations

from tradecore.cell.cell import Cell, LogRecord, end_seq, time_command
from tradecore.cell.channels import Channels
from tradecore.cell.config import CellConfig, source_of
from tradecore.cell.follow import Batch, FrameReader, Position, StreamError, newest_answer
from tradecore.cell.output import (
    PAYLOAD_BYTES,
    Alarm,
    DeadLetter,
    Output,
    read_dead_letter,
    seal_frames,
)

__all__ = [
    "PAYLOAD_BYTES",
    "Alarm",
    "Batch",
    "Cell",
    "CellConfig",
    "Channels",
    "DeadLetter",
    "FrameReader",
    "LogRecord",
    "Output",
    "Position",
    "StreamError",
    "end_seq",
    "newest_answer",
    "read_dead_letter",
    "seal_frames",
    "source_of",
    "time_command",
]
