"""Raw captures of Binance websocket streams: one line per message, with the time of its arrival.

A line is ``<local time in ns> <JSON>``. Four kinds of message are understood (combined-stream book
ticker, depth update and trade, and the REST depth snapshot), for spot and for USD-margined
futures. Others are passed over, as a consumer of the live streams must do. Source: Binance Spot
API, "Web Socket Streams".

Prices and quantities arrive as decimal text and leave as integers in units of ``10**-8``, the
finest step the venue quotes. No float is involved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from tradecore.data.source import PathLike, open_source
from tradecore.errors import ConfigError, DataError
from tradecore.units import Unit

__all__ = [
    "DECIMALS",
    "BookTicker",
    "CaptureEvent",
    "DepthSnapshot",
    "DepthUpdate",
    "Levels",
    "TradePrint",
    "is_capture",
    "iter_capture",
]

DECIMALS = 8
"""Decimals kept: every price and quantity is an integer number of ``10**-8``."""

Levels = list[tuple[int, int]]
"""Pairs of price and quantity."""

_LINE = re.compile(rb"([0-9]{1,19}) (\{.*\})")
_UNIT = Unit(1, DECIMALS)


class BookTicker(NamedTuple):
    """Best bid and ask right after update `update_id`."""

    ts_ns: int
    symbol: str
    update_id: int
    bid_px: int
    bid_qty: int
    ask_px: int
    ask_qty: int


class DepthUpdate(NamedTuple):
    """New absolute quantities of some levels; 0 removes a level.

    Covers the updates `first_id` to `last_id`. `previous_id` is the `last_id` of the update
    before, which only the futures stream tells; None for spot.
    """

    ts_ns: int
    symbol: str
    first_id: int
    last_id: int
    previous_id: int | None
    bids: Levels
    asks: Levels


class DepthSnapshot(NamedTuple):
    """The book of the REST interface as of `last_id`, best level first."""

    ts_ns: int
    last_id: int
    bids: Levels
    asks: Levels


class TradePrint(NamedTuple):
    """One public trade; `buyer_is_maker` means that a seller arrived."""

    ts_ns: int
    symbol: str
    trade_id: int
    px: int
    qty: int
    buyer_is_maker: bool


CaptureEvent = BookTicker | DepthUpdate | DepthSnapshot | TradePrint

_TextLevels = list[tuple[str, str]]


class _Ticker(msgspec.Struct):
    u: int
    s: str
    b: str
    B: str
    a: str
    A: str


class _Depth(msgspec.Struct):
    s: str
    U: int
    u: int
    b: _TextLevels
    a: _TextLevels
    pu: int | None = None


class _Trade(msgspec.Struct):
    s: str
    t: int
    p: str
    q: str
    m: bool


class _Snapshot(msgspec.Struct):
    lastUpdateId: int
    bids: _TextLevels
    asks: _TextLevels


class _Outer(msgspec.Struct):
    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    lastUpdateId: int | None = None


def _fixed(text: str) -> int:
    """Return a plain non-negative decimal number in units of ``10**-DECIMALS``."""
    return _UNIT.to_units(text)


def _levels(pairs: _TextLevels) -> Levels:
    return [(_fixed(px), _fixed(qty)) for px, qty in pairs]


class _Decoder:
    """Turns the JSON of one line into an event; decoders are built once."""

    def __init__(self) -> None:
        self._outer: msgspec.json.Decoder[_Outer] = msgspec.json.Decoder(_Outer)
        self._snapshot: msgspec.json.Decoder[_Snapshot] = msgspec.json.Decoder(_Snapshot)
        self._ticker: msgspec.json.Decoder[_Ticker] = msgspec.json.Decoder(_Ticker)
        self._depth: msgspec.json.Decoder[_Depth] = msgspec.json.Decoder(_Depth)
        self._trade: msgspec.json.Decoder[_Trade] = msgspec.json.Decoder(_Trade)

    def event(self, ts_ns: int, text: bytes) -> CaptureEvent | None:
        """Return the event of one line, or None for a message of another kind."""
        outer = self._outer.decode(text)
        if outer.stream is None:
            if outer.lastUpdateId is None:
                return None
            book = self._snapshot.decode(text)
            bids, asks = _levels(book.bids), _levels(book.asks)
            return DepthSnapshot(ts_ns, book.lastUpdateId, bids, asks)
        kind = outer.stream.partition("@")[2]
        return self._stream_event(ts_ns, kind, outer.data)

    def _stream_event(self, ts_ns: int, kind: str, data: Any) -> CaptureEvent | None:
        if kind == "bookTicker":
            best = self._ticker.decode(data)
            quote = (_fixed(best.b), _fixed(best.B), _fixed(best.a), _fixed(best.A))
            return BookTicker(ts_ns, best.s, best.u, *quote)
        if kind == "depth" or kind.startswith("depth@"):
            depth = self._depth.decode(data)
            bids, asks = _levels(depth.b), _levels(depth.a)
            return DepthUpdate(ts_ns, depth.s, depth.U, depth.u, depth.pu, bids, asks)
        if kind == "trade":
            trade = self._trade.decode(data)
            return TradePrint(ts_ns, trade.s, trade.t, _fixed(trade.p), _fixed(trade.q), trade.m)
        return None


def is_capture(head: bytes) -> bool:
    """Tell whether the first bytes of a file look like a capture: a time and a JSON object."""
    match = re.match(rb'[0-9]{1,19} \{"', head)
    return match is not None and any(
        key in head[:400] for key in (b'"stream":', b'"lastUpdateId":')
    )


def iter_capture(path: PathLike) -> Iterator[CaptureEvent]:
    """Stream a capture; plain, gzip or zstd.

    Parameters
    ----------
    path : str or path-like

    Yields
    ------
    BookTicker, DepthUpdate, DepthSnapshot or TradePrint
        In file order. `ts_ns` is the local arrival time; it is not required to be monotonic.

    Raises
    ------
    DataError
        A line that is not a time and a JSON object, a message without its fields, or a number that
        is not plain decimal text with at most 8 decimals. The offset is that of the line.
    """
    decoder = _Decoder()
    with open_source(path) as source:
        for at, line in source.lines():
            if not line:
                continue
            match = _LINE.fullmatch(line)
            if match is None:
                reason = "not a line of '<time in ns> <JSON object>'"
                raise DataError(reason, source.name, at)
            try:
                event = decoder.event(int(match[1]), match[2])
            except (msgspec.DecodeError, ConfigError, UnicodeDecodeError) as error:
                raise DataError(f"bad message: {error}", source.name, at) from error
            if event is not None:
                yield event
