"""The log that a trading service left behind, read as files: records, the cell's configuration.

A partition is a folder of segments of kind ``log`` (`tradecore.journal_format`). Beside
``trading-commands-N`` stand ``executions-N`` and ``audit-logs-N``, and snapshots of the cell beside
the log. Used by whatever looks at an exchange from the library: parity, forks, recordings.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from tradecore.cell import Batch, CellConfig, FrameReader, source_of
from tradecore.cli.journal_files import segment_head
from tradecore.errors import ConfigError, SnapshotError
from tradecore.journal import records
from tradecore.snapshot import Snapshot
from tradecore.snapshot import decode as decode_snapshot
from tradecore.storage import read_segments

__all__ = [
    "LogEntry",
    "batches_of",
    "cell_config",
    "entries",
    "is_log",
    "partition_of",
    "sibling",
    "snapshot_folder",
    "snapshots",
]


_MADE: Final = "exchange.json"
"""What `tradecore up` writes beside its log."""


class _Made(msgspec.Struct):
    cell: CellConfig


class LogEntry(NamedTuple):
    """One record of a log; `payload` is a view that lives as long as the segment is mapped."""

    offset: int
    ts_ns: int
    payload: memoryview


def is_log(place: Path) -> bool:
    """Tell whether a journal's folder or segment is the partition of a log.

    Raises
    ------
    JournalError
        There is no segment, or it cannot be read.
    """
    return segment_head(place).kind == "log"


def partition_of(place: Path) -> int:
    """Return the number at the end of a partition's name; 0 where it has none."""
    number = (place if place.is_dir() else place.parent).name.rpartition("-")[2]
    return int(number) if number.isdigit() else 0


def sibling(place: Path, topic: str) -> Path | None:
    """Return the folder of another topic's partition beside that of `trading-commands`."""
    head, _, number = place.name.rpartition("-")
    if head != "trading-commands":
        return None
    beside = place.with_name(f"{topic}-{number}")
    return beside if beside.is_dir() else None


def entries(place: Path) -> Iterator[LogEntry]:
    """Yield the records of a log in order, streaming.

    Raises
    ------
    JournalError
        The log is damaged.
    """
    for record in records(read_segments(place)):
        for number, (ts_ns, payload) in enumerate(record.payloads()):
            yield LogEntry(record.first_seq - 1 + number, ts_ns, payload)


def batches_of(place: Path, partition: int) -> Iterator[Batch]:
    """Yield what a cell said in a partition of `executions`, every batch once.

    Raises
    ------
    StreamError
        Frames are missing, or say something else than before under the same numbers.
    """
    reader = FrameReader(source_of(partition))
    for offset, _, payload in entries(place):
        yield from reader.read(offset, payload)


def snapshot_folder(place: Path) -> Path | None:
    """Return the usual place of snapshots: inside a journal's folder, or beside a log's."""
    folder = place if place.is_dir() else place.parent
    for candidate in (folder / "snapshots", folder.parent / "snapshots", folder.parent.parent):
        if candidate.name == "snapshots" and candidate.is_dir():
            return candidate
    beside = folder.parent.parent / "snapshots"
    return beside if beside.is_dir() else None


def snapshots(folder: Path | None) -> list[Snapshot]:
    """Return the undamaged snapshots of a folder, by sequence number."""
    if folder is None:
        return []
    found = []
    for path in sorted(folder.rglob("*.tcsn")):
        try:
            found.append(decode_snapshot(path.read_bytes()))
        except (SnapshotError, OSError):
            continue  # a damaged one proves nothing; `tradecore snapshot` names what is wrong
    return sorted(found, key=lambda snapshot: snapshot.info.in_seq)


def cell_config(
    config: str | Path | None, place: Path, known: list[Snapshot] | None = None
) -> CellConfig:
    """Return the configuration of the cell that a log belongs to.

    Parameters
    ----------
    config : path or None
        JSON that a user named; else the one inside the newest snapshot of the cell; else, for an
        exchange of `tradecore up` that has none yet, the one in its folder.
    place : Path
        The partition of `trading-commands`.
    known : list of Snapshot, optional
        The cell's snapshots, if they have been read; by default those in `snapshot_folder`.

    Raises
    ------
    ConfigError
        The file is none, or there is neither a file nor a snapshot.
    """
    if config is not None:
        try:
            return msgspec.json.decode(Path(config).read_bytes(), type=CellConfig)
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigError(f"{config}: not a cell configuration: {error}") from error
    if known is None:
        source = source_of(partition_of(place))
        known = [s for s in snapshots(snapshot_folder(place)) if s.info.source == source]
    if not known:
        made = place.parent.parent / _MADE
        if made.is_file():
            try:
                return msgspec.json.decode(made.read_bytes(), type=_Made).cell
            except (OSError, msgspec.DecodeError) as error:
                raise ConfigError(f"{made}: no cell is configured there: {error}") from error
        raise ConfigError(
            f"{place}: no snapshot beside the log tells the cell's configuration; name it as JSON"
        )
    return msgspec.msgpack.decode(known[-1].config, type=CellConfig)
