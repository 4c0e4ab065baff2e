"""Binary order workloads: the "MEBW" format of a public benchmark, read and written.

Layout, little-endian: a 16-byte header (magic ``MEBW_001`` as a u64, version, record count) and
40-byte records. Source: flash1-dev/matching-engine-benchmark. A plain file is mapped and *is* the
record array; a gzip or zstd file is decoded in batches. The last word of a record is zero in the
original format; generated multi-instrument workloads keep the instrument there, so a
single-instrument file is the special case of instrument 0.

Only the structure is judged here (magic, count, codes, padding). Whether an order makes sense is
the engine's business.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tradecore.data.source import ByteSource, PathLike, compression_of, load_zstandard, open_source
from tradecore.errors import DataError

__all__ = [
    "CANCEL",
    "MODIFY",
    "NEW",
    "WORKLOAD_HEADER",
    "WORKLOAD_MAGIC",
    "WORKLOAD_RECORD",
    "Records",
    "decode_workload",
    "encode_workload",
    "is_workload",
    "iter_workload",
    "read_workload",
    "write_workload",
]

NEW, CANCEL, MODIFY = 0, 1, 2

WORKLOAD_MAGIC = int.from_bytes(b"MEBW_001", "big")
WORKLOAD_VERSION = 1

WORKLOAD_HEADER = np.dtype([("magic", "<u8"), ("version", "<u4"), ("count", "<u4")])
"""File header, 16 bytes."""

WORKLOAD_RECORD = np.dtype(
    [
        ("type", "u1"),  # 0 new, 1 cancel, 2 modify
        ("side", "u1"),  # 0 buy, 1 sell: the format's own codes, not FIX
        ("ioc", "u1"),  # 1: the unfilled rest is cancelled
        ("reserved", "u1"),
        ("order_qty", "<u4"),
        ("seq", "<u8"),
        ("order_id", "<u8"),
        ("px", "<i8"),
        ("instrument_id", "<i8"),
    ]
)
"""One message, 40 bytes."""

Records = npt.NDArray[np.void]

_MAX_INSTRUMENT = (1 << 31) - 1


def is_workload(head: bytes) -> bool:
    """Tell whether the first 8 (decompressed) bytes of a file announce this format."""
    return head[:8] == WORKLOAD_MAGIC.to_bytes(8, "little")


def _count_from_header(head: bytes, name: str) -> int:
    """Check the 16 header bytes and return the number of records they announce."""
    if len(head) < WORKLOAD_HEADER.itemsize:
        reason = (
            f"truncated: the header needs {WORKLOAD_HEADER.itemsize} bytes, {len(head)} present"
        )
        raise DataError(reason, name, 0)
    header = np.frombuffer(head, WORKLOAD_HEADER, 1)[0]
    if int(header["magic"]) != WORKLOAD_MAGIC:
        if head[:8] == WORKLOAD_MAGIC.to_bytes(8, "big"):
            raise DataError(
                "the order workload is big-endian; this format is little-endian", name, 0
            )
        raise DataError("not an order workload (the magic number MEBW_001 is missing)", name, 0)
    if int(header["version"]) != WORKLOAD_VERSION:
        reason = f"workload version {header['version']} is not supported, only {WORKLOAD_VERSION}"
        raise DataError(reason, name, 8)
    return int(header["count"])


def _check_records(records: Records, name: str, offset: int) -> None:
    """Refuse the first record whose codes or padding the format does not allow.

    Parameters
    ----------
    offset : int
        Position of ``records[0]`` in the decompressed file, for the error.
    """
    instrument = records["instrument_id"]
    wrong = (
        (records["type"] > MODIFY)
        | (records["side"] > 1)
        | (records["ioc"] > 1)
        | (records["reserved"] != 0)
        | (instrument < 0)
        | (instrument > _MAX_INSTRUMENT)
    )
    if not wrong.any():
        return
    index = int(wrong.argmax())
    record = records[index]
    at = offset + index * WORKLOAD_RECORD.itemsize
    for field, limit in (("type", MODIFY), ("side", 1), ("ioc", 1), ("reserved", 0)):
        if record[field] > limit:
            at += WORKLOAD_RECORD.fields[field][1] if WORKLOAD_RECORD.fields else 0
            raise DataError(
                f"record field '{field}' is {record[field]}, at most {limit} allowed", name, at
            )
    reason = (
        f"record field 'instrument_id' is {record['instrument_id']}, outside 0..{_MAX_INSTRUMENT}"
    )
    raise DataError(reason, name, at + 32)


def decode_workload(buffer: Any, name: str = "") -> Records:
    """Interpret a whole uncompressed workload held in memory, without copying it.

    Parameters
    ----------
    buffer : bytes-like
        Header and records. The result is a view of it and keeps it alive.
    name : str, optional
        How errors should call the buffer.

    Returns
    -------
    numpy.ndarray of WORKLOAD_RECORD, shape (count,)

    Raises
    ------
    DataError
        Wrong magic, version, length or field codes.
    """
    view = memoryview(buffer).cast("B")
    head = WORKLOAD_HEADER.itemsize
    count = _count_from_header(bytes(view[:head]), name)
    want = head + count * WORKLOAD_RECORD.itemsize
    if len(view) < want:
        whole = head + (len(view) - head) // WORKLOAD_RECORD.itemsize * WORKLOAD_RECORD.itemsize
        reason = (
            f"truncated: the header announces {count} records ({want} bytes), {len(view)} present"
        )
        raise DataError(reason, name, whole)
    if len(view) > want:
        raise DataError(f"{len(view) - want} bytes follow the last of {count} records", name, want)
    records = np.frombuffer(view, WORKLOAD_RECORD, count, head)
    _check_records(records, name, head)
    return records


def _iter_stream(source: ByteSource, batch: int) -> Iterator[Records]:
    """Yield checked batches of a stream positioned at its header."""
    count = _count_from_header(source.read(WORKLOAD_HEADER.itemsize), source.name)
    size = WORKLOAD_RECORD.itemsize
    done = 0
    while done < count:
        # The announced count is a claim: never allocate by it, only by what was really read.
        at = source.offset
        data = source.read(min(batch, count - done) * size)
        whole = len(data) // size
        if whole == 0 or len(data) % size:
            reason = f"truncated: the header announces {count} records, {done + whole} are complete"
            raise DataError(reason, source.name, at + whole * size)
        records = np.frombuffer(data, WORKLOAD_RECORD)
        _check_records(records, source.name, at)
        yield records
        done += whole
    at = source.offset
    if source.read(1):
        raise DataError(f"data follows the last of {count} records", source.name, at)


def iter_workload(path: PathLike, batch: int = 65_536) -> Iterator[Records]:
    """Stream a workload in batches; memory is bounded by the batch, not by the file.

    Parameters
    ----------
    path : str or path-like
        A ``.bin`` file, plain or compressed with gzip or zstd (recognised by content).
    batch : int
        Records per batch.

    Yields
    ------
    numpy.ndarray of WORKLOAD_RECORD, shape (<= batch,), read-only

    Raises
    ------
    DataError
        Naming file, offset and reason; batches before the bad record have been yielded already.
    """
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
    with open_source(path) as source:
        yield from _iter_stream(source, batch)


def read_workload(path: PathLike) -> Records:
    """Read a whole workload.

    An uncompressed file is memory-mapped: no byte is copied, and the pages are read when they are
    first used.

    Returns
    -------
    numpy.ndarray of WORKLOAD_RECORD, shape (count,), read-only

    Raises
    ------
    DataError
        Naming file, offset and reason.
    """
    name = os.fspath(path)
    with open_source(path) as source:
        head = source.peek(WORKLOAD_HEADER.itemsize)
        _count_from_header(head, name)
        with open(path, "rb") as raw:
            compressed = compression_of(raw.read(4)) != ""
        if compressed:
            batches = list(_iter_stream(source, 65_536))
            records = np.concatenate(batches) if batches else np.empty(0, WORKLOAD_RECORD)
            records.flags.writeable = False
            return records
    return decode_workload(np.memmap(path, np.uint8, mode="r"), name)


def encode_workload(records: Records) -> bytes:
    """Return header and records as the bytes of an uncompressed file.

    Parameters
    ----------
    records : numpy.ndarray of WORKLOAD_RECORD, shape (n,), n < 2**32

    Raises
    ------
    DataError
        A record holds a code the format does not allow, so that nothing is written that could not
        be read back.
    """
    plain = np.ascontiguousarray(records, WORKLOAD_RECORD)
    _check_records(plain, "", WORKLOAD_HEADER.itemsize)
    header = np.array((WORKLOAD_MAGIC, WORKLOAD_VERSION, len(plain)), WORKLOAD_HEADER)
    return header.tobytes() + plain.tobytes()


def write_workload(path: PathLike, records: Records) -> None:
    """Write a workload; the suffix ``.gz`` or ``.zst`` chooses the compression.

    The same records give the same bytes on every run: no time stamp goes into the gzip header.
    """
    name = os.fspath(path)
    data = encode_workload(records)
    if name.endswith(".gz"):
        data = gzip.compress(data, compresslevel=6, mtime=0)
    elif name.endswith(".zst"):
        data = load_zstandard(name).ZstdCompressor(level=6).compress(data)
    with open(path, "wb") as out:
        out.write(data)
