"""Event files: recorded markets as memory-mapped Arrow, 64-byte frames inside.

An event file is an Arrow IPC file ("Feather 2") with a column ``frame`` of 64-byte values, which
are `tradecore.COMMAND` or `tradecore.research.MARKET` frames in ascending time, and a column
``received_ns`` where the source said when each was received. Schema metadata say what it is; what
is known only at the end (instruments, counts) stands in the metadata of a last, empty batch. Any
Arrow reader can open it; reading it here copies nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from tradecore.dtypes import COMMAND
from tradecore.errors import DataError
from tradecore.research.convert import Part, Source
from tradecore.research.recording import (
    InstrumentInfo,
    Recording,
    Times,
    check_order,
    resting_bound,
)

__all__ = ["open_events", "write_events"]

_KEY: Final = b"tradecore.events"
_VERSION: Final = 1
_BATCH: Final = 1 << 16


class _Head(msgspec.Struct):
    version: int
    name: str
    fidelity: str
    received: bool


class _Tail(msgspec.Struct):
    frames: int
    first_ns: int
    last_ns: int
    max_orders: int
    instruments: dict[int, InstrumentInfo]
    notes: list[str]


def _parts(source: Source | Recording) -> Iterator[Part]:
    if isinstance(source, Source):
        yield from source.parts
        return
    for number, chunk in enumerate(source.chunks):
        yield Part(chunk, source.received[number] if source.received is not None else None)


def write_events(path: str | os.PathLike[str], source: Source | Recording) -> int:
    """Write a source or a recording as an event file, streaming; return the number of frames.

    The file appears under its name only when it is complete.

    Raises
    ------
    DataError
        The source is damaged, its times descend, or some of its parts lack arrival times.
    ImportError
        Without pyarrow.
    """
    import pyarrow as pa

    target = Path(path)
    if target.exists() and not target.is_file():
        raise DataError("is no regular file and would be replaced; name a new one", str(target))
    partial = target.with_name(target.name + ".partial")
    parts = _parts(source)
    first = next((part for part in parts if len(part.frames)), None)
    with_times = first is not None and first.received_ns is not None
    head = _Head(_VERSION, source.name, source.fidelity, with_times)
    fields = [pa.field("frame", pa.binary(64), nullable=False)]
    if with_times:
        fields.append(pa.field("received_ns", pa.int64(), nullable=False))
    schema = pa.schema(fields, metadata={_KEY: msgspec.json.encode(head)})
    frames, resting, span = 0, 1, [0, 0]
    try:
        with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for part in _all(first, parts):
                if not len(part.frames):
                    continue
                if (part.received_ns is not None) != with_times:
                    raise DataError("only some frames say when they were received", source.name)
                times = part.frames["ts_ns"]
                if frames and int(times[0]) < span[1]:
                    raise DataError(
                        f"frame {frames} is stamped {times[0]} ns, the one before it {span[1]} ns",
                        source.name,
                    )
                check_order([part.frames], source.name)
                span = [span[0] if frames else int(times[0]), int(times[-1])]
                resting += resting_bound([part.frames]) - 1
                frames += len(part.frames)
                for at in range(0, len(part.frames), _BATCH):
                    writer.write_batch(_batch(pa, part, at, schema))
            tail = _Tail(
                frames,
                span[0],
                span[1],
                source.max_orders or (resting if source.fidelity == "L3" else 0),
                source.instruments,
                source.notes,
            )
            empty = pa.record_batch([pa.array([], f.type) for f in schema], schema=schema)
            writer.write_batch(empty, custom_metadata={_KEY: msgspec.json.encode(tail)})
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return frames


def _all(first: Part | None, rest: Iterator[Part]) -> Iterator[Part]:
    if first is not None:
        yield first
        yield from rest


def _batch(pa: Any, part: Part, at: int, schema: Any) -> Any:
    frames = np.ascontiguousarray(part.frames[at : at + _BATCH])
    buffers = [None, pa.py_buffer(frames.view(np.uint8))]
    columns = [pa.FixedSizeBinaryArray.from_buffers(pa.binary(64), len(frames), buffers)]
    if part.received_ns is not None:
        columns.append(pa.array(part.received_ns[at : at + _BATCH], pa.int64()))
    return pa.record_batch(columns, schema=schema)


def open_events(path: str | os.PathLike[str]) -> Recording:
    """Open an event file: a recording whose chunks are views of the mapped file.

    O(batches), independent of the size of the file; the mapping lives as long as the recording.

    Raises
    ------
    DataError
        Not an event file, of another version, or cut short.
    ImportError
        Without pyarrow.
    """
    import pyarrow as pa

    name = os.fspath(path)
    try:
        mapped = pa.memory_map(name, "r")
        reader = pa.ipc.open_file(mapped)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"not a complete Arrow file: {error}", name) from error
    head = _decode(reader.schema.metadata, _Head, name)
    if head.version != _VERSION:
        raise DataError(f"event file version {head.version}; this build reads {_VERSION}", name)
    wanted = ["frame", "received_ns"] if head.received else ["frame"]
    if reader.schema.names != wanted or reader.schema.field("frame").type != pa.binary(64):
        raise DataError(f"columns {reader.schema.names}; {wanted} of frames expected", name)
    count = reader.num_record_batches
    if count == 0:
        raise DataError("no batches: the file was not finished", name)
    _, custom = reader.get_batch_with_custom_metadata(count - 1)
    tail = _decode(custom, _Tail, name)
    chunks, received = [], []
    for number in range(count - 1):
        batch = reader.get_batch(number)
        column = batch.column(0)
        rows = np.frombuffer(column.buffers()[1], COMMAND, len(column), column.offset * 64)
        chunks.append(rows)
        if head.received:
            times: Times = batch.column(1).to_numpy()
            received.append(times)
    if sum(map(len, chunks)) != tail.frames:
        raise DataError(f"{sum(map(len, chunks))} frames; {tail.frames} were written", name)
    return Recording(
        name=name,
        chunks=chunks,
        instruments=tail.instruments,
        received=received if head.received else None,
        fidelity=head.fidelity,
        max_orders=tail.max_orders,
        notes=tail.notes,
        mapped=True,
        keep=(mapped, reader),
    )


def _decode(metadata: Any, kind: Any, name: str) -> Any:
    if not metadata or _KEY not in metadata:
        raise DataError("an Arrow file, but not an event file: no tradecore metadata", name)
    try:
        return msgspec.json.decode(metadata[_KEY], type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"the tradecore metadata are damaged: {error}", name) from error
