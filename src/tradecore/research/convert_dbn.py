"""Databento market-by-order files (DBN versions 1 to 3, plain or zstd) as order flow.

Layout, from the public description of the format: ``DBN``, a version byte, the length of the
metadata, the metadata, then records. A record begins with its length in words of 4 bytes and a
type; market by order is type 0xA0, 56 bytes, prices in units of 10**-9.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from tradecore.data.source import ByteSource, PathLike, open_source
from tradecore.dtypes import COMMAND
from tradecore.engine import Engine
from tradecore.errors import ConfigError, DataError
from tradecore.research.convert import Part, Source
from tradecore.research.recording import Frames, InstrumentInfo
from tradecore_ext.translate import Translator

__all__ = ["MBO", "from_dbn"]

MBO: Final = np.dtype(
    [
        ("length", "u1"),
        ("rtype", "u1"),
        ("publisher_id", "<u2"),
        ("instrument_id", "<u4"),
        ("ts_event", "<u8"),
        ("order_id", "<u8"),
        ("price", "<i8"),
        ("size", "<u4"),
        ("flags", "u1"),
        ("channel_id", "u1"),
        ("action", "S1"),
        ("side", "S1"),
        ("ts_recv", "<u8"),
        ("ts_in_delta", "<i4"),
        ("sequence", "<u4"),
    ]
)
"""One market-by-order record."""

_DECIMALS: Final = 9
_FIXED: Final = 100  # bytes of the metadata before its lists
_SCHEMA_MBO: Final = 0
_SCHEMA_MIXED: Final = 0xFFFF
_RECORDS: Final = 1 << 16
_RTYPE: Final = 0xA0


def from_dbn(
    path: PathLike,
    instruments: Iterable[int] | None = None,
    px_decimals: int = _DECIMALS,
    max_orders: int = 1 << 21,
    max_instruments: int = 1024,
) -> Source:
    """Convert a DBN file of market-by-order records.

    Parameters
    ----------
    path : str or path-like
    instruments : iterable of int, optional
        The file's instrument ids to keep; ours count from 0 in this order. Without it ids are given
        in the order of appearance.
    px_decimals : int
        Decimals of a tick: 2 makes ticks of 0.01. A price that is no multiple is an error.
    max_orders, max_instruments : int
        Alive at once, at most.

    Raises
    ------
    DataError
        Not DBN, another schema, a record cut short, or a price that is no multiple of the tick.
    """
    if not 0 <= px_decimals <= _DECIMALS:
        raise ConfigError(f"px_decimals is {px_decimals}; it must be 0..{_DECIMALS}")
    source = Source(name=os.fspath(path), parts=iter(()), instruments={}, notes=[])
    ids = None if instruments is None else {number: at for at, number in enumerate(instruments)}
    source.parts = _parts(path, ids, px_decimals, max_orders, max_instruments, source)
    return source


def _header(file: ByteSource) -> dict[int, str]:
    """Read past the metadata; return the symbols of instrument ids, where they are told."""
    head = file.read_exact(8, "the DBN header")
    if head[:3] != b"DBN" or not 1 <= head[3] <= 3:
        raise DataError("not DBN of version 1 to 3", file.name, 0)
    length = int.from_bytes(head[4:], "little")
    if not _FIXED <= length <= 1 << 26:
        raise DataError(f"metadata of {length} bytes", file.name, 4)
    data = file.read_exact(length, "the DBN metadata")
    schema = int.from_bytes(data[16:18], "little")
    if schema not in (_SCHEMA_MBO, _SCHEMA_MIXED):
        raise DataError(f"schema {schema}; market by order is {_SCHEMA_MBO}", file.name, 24)
    width = 22 if head[3] == 1 else int.from_bytes(data[45:47], "little")
    try:
        return _symbols(data, width)
    except (IndexError, struct.error, ValueError) as error:
        raise DataError(f"damaged metadata: {error}", file.name, 8 + _FIXED) from error


def _symbols(data: bytes, width: int) -> dict[int, str]:
    at = _FIXED + 4 + struct.unpack_from("<I", data, _FIXED)[0]

    def number() -> int:
        nonlocal at
        (value,) = struct.unpack_from("<I", data, at)
        at += 4
        return int(value)

    def text() -> str:
        nonlocal at
        value = data[at : at + width].rstrip(b"\0").decode("ascii", "replace")
        if len(data) < at + width:
            raise ValueError("a symbol is cut short")
        at += width
        return value

    for _ in range(3):  # symbols, partial, not found
        for _ in range(number()):
            text()
    found: dict[int, str] = {}
    for _ in range(number()):
        symbol = text()
        for _ in range(number()):
            number(), number()  # first and last date
            mapped = text()
            if mapped.isdigit():
                found[int(mapped)] = symbol
    return found


def _blocks(file: ByteSource) -> Iterator[Frames]:
    """Yield market-by-order records; records of other types are passed over."""
    rest = b""
    while data := rest + file.read(MBO.itemsize * _RECORDS):
        start = file.offset - len(data)
        count = len(data) // MBO.itemsize
        rows = np.frombuffer(data, MBO, count)
        if count and bool(((rows["length"] == 14) & (rows["rtype"] == _RTYPE)).all()):
            rest = data[count * MBO.itemsize :]
            yield rows
        else:
            found, used = _walk(data)
            rest = data[used:]
            if not used:
                raise DataError("a record of no length, or one cut short", file.name, start)
            if found:
                yield np.frombuffer(b"".join(found), MBO)
        if rest and len(rest) == len(data):
            raise DataError("the last record is cut short", file.name, start)


def _walk(data: bytes) -> tuple[list[bytes], int]:
    """Go over records of mixed types; return those of market by order, and the bytes used."""
    found, at = [], 0
    while at + 2 <= len(data):
        size = 4 * data[at]
        if size == 0 or at + size > len(data):
            break
        if data[at + 1] == _RTYPE and size >= MBO.itemsize:
            # With `ts_out` a record has 8 more bytes behind it.
            found.append(data[at : at + MBO.itemsize])
        at += size
    return found, at


def _parts(
    path: PathLike,
    ids: dict[int, int] | None,
    px_decimals: int,
    max_orders: int,
    max_instruments: int,
    source: Source,
) -> Iterator[Part]:
    engine = Engine(max_instruments=max_instruments, max_orders=max_orders)
    translator = Translator(engine, engine.handle)
    known: dict[int, int] = {} if ids is None else dict(ids)
    with open_source(path) as file:
        symbols = _header(file)

        def define(number: int, at: int) -> None:
            about = InstrumentInfo(symbol=symbols.get(number, str(number)), px_decimals=px_decimals)
            source.instruments[at] = about
            engine.define_instrument(at)

        for number, at in known.items():
            define(number, at)
        for rows in _blocks(file):
            present, inverse = np.unique(rows["instrument_id"], return_inverse=True)
            if ids is None:
                first = np.full(len(present), len(rows), np.int64)
                np.minimum.at(first, inverse, np.arange(len(rows)))
                for at in np.argsort(first).tolist():
                    number = int(present[at])
                    if number not in known:
                        if len(known) == max_instruments:
                            raise DataError("more than max_instruments instruments", source.name)
                        known[number] = len(known)
                        define(number, known[number])
            ours = np.array([known.get(int(number), -1) for number in present], np.int32)
            mapped = np.ascontiguousarray(ours[inverse])
            alive = engine.counters()["live_orders"]
            for part in _translate(
                translator, rows, mapped, 10 ** (_DECIMALS - px_decimals), source.name
            ):
                source.saw(alive, part.frames)
                yield part
    found = translator.counters()
    source.notes.append(
        f"{found['in_priority']:,} of {found['executions']:,} executions in price-time priority; "
        f"{found['unknown']:,} messages about orders never seen; {found['clamped']:,} records "
        "stamped before the one in front of them"
    )


def _translate(
    translator: Translator,
    rows: Frames,
    mapped: npt.NDArray[np.int32],
    divisor: int,
    name: str,
) -> Iterator[Part]:
    records = np.ascontiguousarray(rows)
    done = translator.mbo(records, mapped, divisor)
    if done < len(records):
        row = records[done]
        raise DataError(
            f"record with sequence {row['sequence']}: price {row['price']} is no multiple of "
            f"{divisor}, or price or order id {row['order_id']} are out of range",
            name,
        )
    received = np.frombuffer(translator.take_received(), np.int64)
    yield Part(np.frombuffer(translator.take(), COMMAND), received)
