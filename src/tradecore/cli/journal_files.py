"""Journals as the command line meets them: segments, and the engine's configuration beside them.

A journal knows its engine's configuration by digest only. The programs that write one leave the
configuration itself in `engine.json` in the same folder, so that replay needs no argument; the
digest proves that the file is the right one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

import tradecore
from tradecore.cli.screen import Progress
from tradecore.dtypes import COMMAND
from tradecore.engine import EngineConfig
from tradecore.errors import ConfigError, JournalError
from tradecore.journal import Segment, digest_config, records
from tradecore.journal_format import SEGMENT_HEAD_BYTES, SegmentHead, decode_segment_head
from tradecore.storage import FileJournal, list_segments, read_segments

__all__ = [
    "CONFIG_NAME",
    "create_journal",
    "first_time",
    "followed_segments",
    "is_journal",
    "load_config",
    "segment_head",
]

CONFIG_NAME: Final = "engine.json"
_SOURCE: Final = 1


def create_journal(folder: str, config: EngineConfig) -> FileJournal:
    """Create a journal in a new or empty folder and write the configuration beside it.

    Raises
    ------
    ConfigError
        There is a journal already.
    JournalError
        The disk refuses.
    """
    path = Path(folder)
    if path.is_dir() and list_segments(path):
        raise ConfigError(f"{folder}: holds a journal already; choose a folder that does not exist")
    journal = FileJournal.open(
        path,
        source=_SOURCE,
        config_digest=digest_config(config),
        build=f"tradecore {tradecore.__version__}",
    )
    try:
        fields = msgspec.structs.asdict(config)
        del fields["id_seed"]  # a secret of the process, without effect on any result
        text = msgspec.json.format(msgspec.json.encode(fields), indent=2)
        (path / CONFIG_NAME).write_bytes(text + b"\n")
    except OSError:
        journal.abandon()
        raise
    return journal


def is_journal(path: Path) -> bool:
    """Tell whether a path is a journal: a folder with segments, or one segment file."""
    try:
        if path.is_dir():
            return bool(list_segments(path))
        with path.open("rb") as file:
            return file.read(6) == b"TCJRNL"
    except (OSError, JournalError):
        return False


def segment_head(path: Path) -> SegmentHead:
    """Return the head of a journal's first segment."""
    first = path
    if path.is_dir():
        files = list_segments(path)
        if not files:
            raise JournalError("no journal segment (*.tcj) in this folder", str(path))
        first = files[0].path
    try:
        with first.open("rb") as file:
            data = file.read(SEGMENT_HEAD_BYTES)
    except OSError as error:
        raise JournalError(f"cannot be read: {error.strerror}", str(first)) from error
    return decode_segment_head(memoryview(data), str(first))


def load_config(path: Path, named: str | None) -> EngineConfig:
    """Return the configuration of a journal's engine and prove that it is the right one.

    Parameters
    ----------
    path : Path
        Journal folder or segment.
    named : str or None
        A file that the user named; else `engine.json` beside the segments.

    Raises
    ------
    ConfigError
        There is none, it cannot be read, or its digest is not the journal's.
    """
    head = segment_head(path)
    folder = path if path.is_dir() else path.parent
    file = Path(named) if named else folder / CONFIG_NAME
    if named is None and not file.exists():
        if head.config_digest == bytes(32):
            return EngineConfig()
        raise ConfigError(
            f"{path}: the journal belongs to an engine whose configuration is not here; name it "
            f"with --config FILE (the JSON that stands as {CONFIG_NAME} beside a journal)"
        )
    try:
        config = msgspec.json.decode(file.read_bytes(), type=EngineConfig)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, ConfigError) as error:
        raise ConfigError(f"{file}: not an engine configuration: {error}") from error
    if head.config_digest not in (bytes(32), digest_config(config)):
        raise ConfigError(
            f"{file}: this is not the configuration that the journal was written with (digest "
            f"{digest_config(config).hex()[:16]}, the journal says {head.config_digest.hex()[:16]})"
        )
    return config


def followed_segments(place: Path, bar: Progress) -> Iterator[Segment]:
    """Yield the segments of a journal, moving a bar on by the share of each that was read."""
    count = len(list_segments(place)) if place.is_dir() else 1
    for segment in read_segments(place):
        yield segment
        bar.advance(1 / max(count, 1))


def first_time(path: Path) -> int:
    """Return the log time of a journal's first command that carries one, 0 if none does."""
    for record in records(read_segments(path)):
        for envelope in record.envelopes():
            times = np.frombuffer(envelope.frames, COMMAND)["ts_ns"][:1]
            if len(times) and int(times[0]):
                return int(times[0])
    return 0
