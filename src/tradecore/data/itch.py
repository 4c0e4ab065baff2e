"""NASDAQ TotalView-ITCH 5.0 streams: framing, decoding to columns and back to the same bytes.

A stream is decoded in batches. Within a batch the messages of one type form one structured array
(columnar work), and `ItchBatch.messages` walks them in stream order (one at a time). Encoding is
the exact inverse: columns plus the order of the types give back every byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.data.itch_framing import (
    FRAME_BYTES,
    Framing,
    HexLine,
    detect_framing,
    explain_bad,
    scan_frames,
)
from tradecore.data.itch_spec import ITCH_MESSAGES, LENGTH_OF_TYPE
from tradecore.data.source import ByteSource, PathLike, open_source
from tradecore.errors import DataError

__all__ = [
    "Columns",
    "Framing",
    "ItchBatch",
    "decode_itch",
    "detect_framing",
    "encode_columns",
    "encode_itch",
    "encode_message",
    "iter_itch",
    "iter_itch_messages",
]

Columns = npt.NDArray[np.void]

_CHUNK = 1 << 20
_HEAD = 4096


class ItchBatch(NamedTuple):
    """Consecutive messages of a stream.

    Attributes
    ----------
    first : int
        Number, from 0, of the first message within the stream.
    data : numpy.ndarray of uint8
        The bytes the messages stand in.
    starts : numpy.ndarray of int64, shape (n,)
        Where each message's type letter is within `data`.
    kinds : numpy.ndarray of uint8, shape (n,)
        The type letters, in stream order.
    """

    first: int
    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.uint8]

    def rows(self, kind: str) -> npt.NDArray[np.int64]:
        """Return the positions in this batch of the messages of one type, ascending."""
        return np.flatnonzero(self.kinds == ord(kind))

    def columns(self, kind: str) -> Columns:
        """Decode all messages of one type.

        Parameters
        ----------
        kind : str
            A type letter of the specification.

        Returns
        -------
        numpy.ndarray of ``ITCH_MESSAGES[kind].columns``, shape (messages of that type,)
            A copy in the machine's byte order; entry *i* is the message at ``rows(kind)[i]``.
            Cost: O(its bytes).
        """
        message = ITCH_MESSAGES[kind]
        places = self.starts[self.rows(kind)]
        raw = self.data[places[:, None] + np.arange(message.size)]
        wire = raw.view(message.wire).reshape(-1)
        columns = np.empty(len(wire), message.columns)
        for field in message.fields:
            if field == "ts_ns":
                columns[field] = (wire["ts_high"].astype(np.uint64) << np.uint64(32)) | wire[
                    "ts_low"
                ]
            else:
                columns[field] = wire[field]
        return columns

    def present(self) -> tuple[str, ...]:
        """Return the type letters that occur in this batch, sorted."""
        return tuple(map(chr, np.unique(self.kinds)))

    def messages(self) -> Iterator[tuple[str, Any]]:
        """Yield ``(type letter, named tuple of its fields)`` in stream order."""
        walkers = {
            kind: map(ITCH_MESSAGES[kind].record._make, self.columns(kind).tolist())
            for kind in self.present()
        }
        for code in self.kinds.tolist():
            kind = chr(code)
            yield kind, next(walkers[kind])

    def encode(self, framing: Framing = "length") -> bytes:
        """Decode every message and encode it again.

        The result equals the bytes that were read, which is what the verification of a file
        asserts: the bytes pass through the columns, not around them.
        """
        return encode_itch(
            self.kinds, {kind: self.columns(kind) for kind in self.present()}, framing
        )


def _batch(first: int, data: bytes, starts: list[int]) -> ItchBatch:
    raw = np.frombuffer(data, np.uint8)
    places = np.array(starts, np.int64)
    return ItchBatch(first, raw, places, raw[places])


def _iter_hex(source: ByteSource, limit: int) -> Iterator[ItchBatch]:
    """Batches of the jsonl framing."""
    decoder = msgspec.json.Decoder(HexLine)
    parts: list[bytes] = []
    first = 0
    for at, line in source.lines():
        if not line.strip():
            continue
        try:
            entry = decoder.decode(line)
            raw = bytes.fromhex(entry.hex)
        except (msgspec.DecodeError, ValueError) as error:
            raise DataError(
                f"not a line with a hexadecimal message: {error}", source.name, at
            ) from error
        if not raw or LENGTH_OF_TYPE[raw[0]] != len(raw):
            reason = explain_bad(raw, 0, len(raw)) if raw else "the message is empty"
            raise DataError(reason, source.name, at)
        if entry.type is not None and entry.type != chr(raw[0]):
            reason = f"the line says type {entry.type!r}, its bytes say {chr(raw[0])!r}"
            raise DataError(reason, source.name, at)
        parts.append(raw)
        if len(parts) == limit:
            yield _join(first, parts)
            first += len(parts)
            parts = []
    if parts:
        yield _join(first, parts)


def _join(first: int, parts: list[bytes]) -> ItchBatch:
    """Make a batch of separate messages."""
    sizes = np.array([len(part) for part in parts], np.int64)
    starts = np.cumsum(sizes) - sizes
    return _batch(first, b"".join(parts), starts.tolist())


def _iter_source(source: ByteSource, framing: Framing | None) -> Iterator[ItchBatch]:
    chosen = framing or detect_framing(source.peek(_HEAD))
    if chosen is None:
        raise DataError("not an ITCH 5.0 stream in any known framing", source.name, source.offset)
    if chosen == "jsonl":
        yield from _iter_hex(source, _CHUNK // 40)
        return
    rest = b""
    first = 0
    ended = False
    while not ended:
        offset = source.offset - len(rest)
        chunk = source.read(_CHUNK)
        ended = len(chunk) < _CHUNK
        data = rest + chunk
        starts, used = scan_frames(data, chosen, ended, source.name, offset)
        rest = data[used:]
        if starts:
            yield _batch(first, data, starts)
            first += len(starts)


def iter_itch(path: PathLike, framing: Framing | None = None) -> Iterator[ItchBatch]:
    """Stream an ITCH 5.0 file in batches of about 1 MiB; plain, gzip or zstd.

    Parameters
    ----------
    path : str or path-like
    framing : {'length', 'zero', 'bare', 'jsonl'}, optional
        Recognised by content when not given.

    Yields
    ------
    ItchBatch

    Raises
    ------
    DataError
        Unknown type, a length that disagrees with the type, or a truncated end; with the offset of
        the message. Messages of earlier batches have been yielded.
    """
    with open_source(path) as source:
        yield from _iter_source(source, framing)


def iter_itch_messages(path: PathLike, framing: Framing | None = None) -> Iterator[tuple[str, Any]]:
    """Stream an ITCH 5.0 file message by message: ``(type letter, named tuple)``, in order."""
    for batch in iter_itch(path, framing):
        yield from batch.messages()


def decode_itch(data: bytes, framing: Framing | None = None, name: str = "") -> ItchBatch:
    """Decode a stream held in memory as one batch.

    Raises
    ------
    DataError
        As `iter_itch`.
    """
    chosen = framing or detect_framing(data[:_HEAD])
    if chosen is None or chosen == "jsonl":
        raise DataError("not an ITCH 5.0 stream in a binary framing", name, 0)
    starts, _ = scan_frames(data, chosen, True, name, 0)
    return _batch(0, data, starts)


def encode_columns(kind: str, columns: Columns) -> npt.NDArray[np.uint8]:
    """Encode messages of one type.

    Parameters
    ----------
    kind : str
        A type letter of the specification.
    columns : numpy.ndarray of ``ITCH_MESSAGES[kind].columns``, shape (n,)

    Returns
    -------
    numpy.ndarray of uint8, shape (n, message length)
        The wire form, type letter included, without framing.

    Raises
    ------
    DataError
        A time does not fit the 48 bits of the wire.
    """
    message = ITCH_MESSAGES[kind]
    wire = np.empty(len(columns), message.wire)
    wire["kind"] = kind.encode("latin-1")
    for field in message.fields:
        if field == "ts_ns":
            time = columns[field]
            if len(time) and int(time.max()) >> 48:
                raise DataError(f"time {int(time.max())} does not fit 48 bits")
            wire["ts_high"] = time >> np.uint64(32)
            wire["ts_low"] = time & np.uint64(0xFFFF_FFFF)
        else:
            wire[field] = columns[field]
    return wire.view(np.uint8).reshape(len(columns), message.size)


def encode_message(kind: str, **fields: int | bytes) -> bytes:
    """Encode one message from its fields; absent numbers are 0 and absent text is spaces.

    Text shorter than its field is padded with spaces.

    Raises
    ------
    DataError
        The type or a field does not exist, text is too long, or a number does not fit.
    """
    if kind not in ITCH_MESSAGES:
        raise DataError(f"unknown message type {kind!r}")
    message = ITCH_MESSAGES[kind]
    unknown = sorted(set(fields) - set(message.fields))
    if unknown:
        raise DataError(f"message type {kind!r} has no field {unknown[0]!r}")
    columns = np.zeros(1, message.columns)
    for field in message.fields:
        form = message.columns[field]
        value = fields.get(field, b"" if form.kind == "S" else 0)
        if isinstance(value, bytes) != (form.kind == "S"):
            raise DataError(f"field {field!r} wants {'text' if form.kind == 'S' else 'a number'}")
        if isinstance(value, bytes):
            if len(value) > form.itemsize:
                raise DataError(f"field {field!r} holds {form.itemsize} bytes, got {len(value)}")
            columns[field] = value.ljust(form.itemsize)
        elif 0 <= value < 1 << 8 * form.itemsize:
            columns[field] = value
        else:
            raise DataError(f"field {field!r} cannot hold {value}")
    return encode_columns(kind, columns).tobytes()


def encode_itch(
    kinds: npt.NDArray[np.uint8] | Iterable[int],
    columns: Mapping[str, Columns],
    framing: Framing = "length",
) -> bytes:
    """Encode a stream of mixed types.

    Parameters
    ----------
    kinds : array of uint8, shape (n,)
        The type letters in stream order, as in `ItchBatch.kinds`.
    columns : mapping of type letter to columns
        Per type as many entries as `kinds` has of it, in stream order.
    framing : {'length', 'zero', 'bare', 'jsonl'}

    Returns
    -------
    bytes

    Raises
    ------
    DataError
        `columns` does not hold exactly the messages that `kinds` asks for.
    """
    order = np.asarray(kinds if isinstance(kinds, np.ndarray) else list(kinds), np.uint8)
    if framing == "jsonl":
        return _encode_hex(order, columns)
    gap = FRAME_BYTES[framing]
    sizes = np.array(LENGTH_OF_TYPE, np.int64)[order]
    ends = np.cumsum(sizes + gap)
    out = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    starts = ends - sizes
    if framing == "length":
        out[starts - 2] = sizes >> 8
        out[starts - 1] = sizes & 0xFF
    for code in np.unique(order).tolist():
        kind = chr(code)
        rows = starts[order == code]
        have = len(columns[kind]) if kind in columns else 0
        if kind not in ITCH_MESSAGES or have != len(rows):
            raise DataError(f"{len(rows)} messages of type {kind!r} expected, {have} given")
        out[rows[:, None] + np.arange(ITCH_MESSAGES[kind].size)] = encode_columns(
            kind, columns[kind]
        )
    return out.tobytes()


def _encode_hex(order: npt.NDArray[np.uint8], columns: Mapping[str, Columns]) -> bytes:
    """Encode the jsonl framing: ``{"type": ..., "hex": ...}`` a line."""
    batch = decode_itch(encode_itch(order, columns, "bare"), "bare")
    raw = batch.data.tobytes()
    lines = [
        b'{"type": "%c", "hex": "%s"}\n'
        % (code, raw[at : at + LENGTH_OF_TYPE[code]].hex().encode())
        for at, code in zip(batch.starts.tolist(), order.tolist(), strict=True)
    ]
    return b"".join(lines)
