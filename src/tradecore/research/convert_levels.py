"""Converters of data that shows no orders: Binance captures, quotes, trades, OHLCV bars.

Also `coarser`, which makes such data out of an order-by-order recording, so that what each fidelity
hides can be measured on the same market with the same strategy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from tradecore.data.binance import (
    DECIMALS,
    BookTicker,
    DepthSnapshot,
    DepthUpdate,
    TradePrint,
    iter_capture,
)
from tradecore.data.source import PathLike
from tradecore.dtypes import COMMAND, FILL_EVENT
from tradecore.engine import Engine
from tradecore.errors import ConfigError, DataError
from tradecore.research.convert import Part, Source
from tradecore.research.frames import MarketKind, market_frames, merged
from tradecore.research.market import Setup, new_engine
from tradecore.research.recording import TAG_HIDDEN, TAG_REPAIR, InstrumentInfo, Recording

__all__ = ["coarser", "from_bars", "from_binance", "from_quotes"]

_ROWS: Final = 1 << 14
_BUY, _SELL = 1, 2
Row = tuple[int, int, int, int, int]  # ts_ns, kind, side, px, qty


def _level_part(rows: list[Row]) -> Part:
    table = np.array(rows, np.int64).reshape(-1, 5)
    frames = market_frames(MarketKind.LEVEL, len(table))
    for column, name in enumerate(("ts_ns", "kind", "side", "px", "qty")):
        frames[name] = table[:, column]
    return Part(frames)


# ---- Binance -------------------------------------------------------------------------------------


def from_binance(path: PathLike, px_decimals: int = 2, qty_decimals: int = 8) -> Source:
    """Convert a capture of Binance streams (depth, trades, snapshot) of one symbol to L2 frames.

    Times are those of arrival at the recorder, the only ones that all messages have. The book
    begins with the REST snapshot; depth updates before it are left out.

    Parameters
    ----------
    path : str or path-like
    px_decimals, qty_decimals : int
        Decimals of a tick and of a lot, at most 8.

    Raises
    ------
    DataError
        A line is damaged, a price is no multiple of the tick, or updates are missing.
    """
    if not (0 <= px_decimals <= DECIMALS and 0 <= qty_decimals <= DECIMALS):
        raise ConfigError(f"decimals must be 0..{DECIMALS}")
    about = InstrumentInfo(px_decimals=px_decimals, qty_decimals=qty_decimals)
    source = Source(
        name=os.fspath(path), parts=iter(()), fidelity="L2", instruments={0: about}, notes=[]
    )
    source.parts = _Binance(source, px_decimals, qty_decimals).parts(path)
    return source


class _Binance:
    """Follows one capture."""

    def __init__(self, source: Source, px_decimals: int, qty_decimals: int) -> None:
        self._source = source
        self._px = 10 ** (DECIMALS - px_decimals)
        self._qty = 10 ** (DECIMALS - qty_decimals)
        self._rows: list[Row] = []
        self._latest = 0
        self._last_id: int | None = None
        self._waiting: list[DepthUpdate] = []

    def parts(self, path: PathLike) -> Iterator[Part]:
        """Yield the frames of the capture."""
        for event in iter_capture(path):
            self._latest = max(self._latest, event.ts_ns)
            if isinstance(event, DepthUpdate):
                if self._last_id is None:
                    self._waiting.append(event)
                else:
                    self._update(event)
            elif isinstance(event, DepthSnapshot):
                self._snapshot(event)
            elif isinstance(event, TradePrint) and self._last_id is not None:
                side = _SELL if event.buyer_is_maker else _BUY
                self._add(MarketKind.TRADE, side, event.px, event.qty)
            if not isinstance(event, BookTicker | DepthSnapshot):
                self._source.instruments[0] = InstrumentInfo(
                    symbol=event.symbol,
                    px_decimals=self._source.instruments[0].px_decimals,
                    qty_decimals=self._source.instruments[0].qty_decimals,
                )
            if len(self._rows) >= _ROWS:
                yield _level_part(self._rows)
                self._rows.clear()
        if self._rows:
            yield _level_part(self._rows)

    def _add(self, kind: int, side: int, px: int, qty: int) -> None:
        if px % self._px:
            tick = f"{self._px} * 10**-{DECIMALS}"
            raise DataError(f"price {px} * 10**-{DECIMALS} is no multiple of {tick}")
        self._rows.append((self._latest, kind, side, px // self._px, qty // self._qty))

    def _levels(self, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
        # What goes makes room for what comes: otherwise a book that moves would seem to cross.
        for gone in (True, False):
            for side, levels in ((_BUY, bids), (_SELL, asks)):
                for px, qty in levels:
                    if (qty == 0) == gone:
                        self._add(MarketKind.LEVEL, side, px, qty)

    def _snapshot(self, event: DepthSnapshot) -> None:
        self._rows.append((self._latest, MarketKind.CLEAR, 0, 0, 0))
        self._levels(event.bids, event.asks)
        self._last_id = event.last_id
        for update in self._waiting:
            self._update(update)
        self._waiting.clear()

    def _update(self, event: DepthUpdate) -> None:
        assert self._last_id is not None
        if event.last_id <= self._last_id:
            return
        expected = event.previous_id if event.previous_id is not None else event.first_id - 1
        if expected > self._last_id:
            raise DataError(
                f"depth update {event.first_id} follows {self._last_id}: updates are missing",
                self._source.name,
            )
        self._levels(event.bids, event.asks)
        self._last_id = event.last_id


# ---- tables: quotes and bars ---------------------------------------------------------------------


def _integers(values: npt.ArrayLike, decimals: int, what: str, name: str) -> npt.NDArray[np.int64]:
    """Return decimal numbers as integers in units of 10**-decimals; they must be whole units."""
    scaled = np.asarray(values, np.float64) * 10.0**decimals
    whole = np.rint(scaled)
    # Tables carry floats: a price counts as whole when it is one to within the float's own error.
    wrong = ~np.isfinite(scaled) | (np.abs(scaled - whole) > 1e-6 * np.maximum(np.abs(scaled), 1))
    if bool(wrong.any()):
        at = int(wrong.argmax())
        shown = np.asarray(values)[at]
        raise DataError(f"row {at}: {what} {shown} is no multiple of 10**-{decimals}", name)
    return whole.astype(np.int64)


def _times(values: Any, name: str) -> npt.NDArray[np.int64]:
    array = np.asarray(values)
    times = array.astype("datetime64[ns]").astype(np.int64) if array.dtype.kind in "MUO" else array
    times = np.ascontiguousarray(times, np.int64)
    wrong = np.flatnonzero(np.diff(times) < 0)
    if len(wrong):
        raise DataError(f"row {int(wrong[0]) + 1} is stamped before the row above it", name)
    return times


def _table(path: PathLike, names: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Read columns of a CSV (plain or gzip) or Parquet file, under any of their usual names."""
    import pyarrow as pa
    import pyarrow.csv as csv
    import pyarrow.parquet as pq

    name = os.fspath(path)
    try:
        table = pq.read_table(path) if name.endswith(".parquet") else csv.read_csv(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"not a table: {error}", name) from error
    present = {column.lower(): column for column in table.column_names}
    found = {}
    for wanted, spellings in names.items():
        column = next((present[s] for s in spellings if s in present), None)
        if column is None:
            raise DataError(f"no column {' or '.join(spellings)}: {table.column_names}", name)
        found[wanted] = table[column].to_numpy()
    return found


def from_bars(
    path: PathLike, interval_ns: int, px_decimals: int, qty_decimals: int = 0, symbol: str = ""
) -> Source:
    """Convert OHLCV bars of one instrument: CSV (plain or gzip) or Parquet.

    Parameters
    ----------
    path : str or path-like
        Columns: a time (``timestamp``, ``timestamp_utc``, ``time``, ``date``), ``open``, ``high``,
        ``low``, ``close``, ``volume``; any case.
    interval_ns : int
        Length of a bar. Rows carry the time at which a bar *begins*, frames that at which it is
        complete: before, nobody knows it.
    px_decimals, qty_decimals : int
        Decimals of a tick and of a lot.

    Raises
    ------
    DataError
        A column is missing, times descend, a price is no multiple of the tick, or a bar whose low
        is not its lowest.
    """
    name = os.fspath(path)
    times = ("timestamp", "timestamp_utc", "time", "datetime", "date", "ts_ns")
    columns = {"time": times} | {c: (c,) for c in ("open", "high", "low", "close", "volume")}
    table = _table(path, columns)
    frames = market_frames(MarketKind.BAR, len(table["time"]))
    frames["ts_ns"] = _times(table["time"], name) + interval_ns
    for column in ("open", "high", "low", "close"):
        frames[f"{column}_px"] = _integers(table[column], px_decimals, column, name)
    frames["volume"] = _integers(table["volume"], qty_decimals, "volume", name)
    low = np.minimum(frames["open_px"], frames["close_px"])
    high = np.maximum(frames["open_px"], frames["close_px"])
    wrong = np.flatnonzero((frames["low_px"] > low) | (frames["high_px"] < high))
    if len(wrong):
        raise DataError(f"row {int(wrong[0])}: open or close is outside low..high", name)
    about = InstrumentInfo(symbol=symbol, px_decimals=px_decimals, qty_decimals=qty_decimals)
    parts = iter([Part(frames)])
    return Source(name=name, parts=parts, fidelity="bars", instruments={0: about})


def from_quotes(
    ts_ns: npt.ArrayLike,
    bid: npt.ArrayLike,
    bid_size: npt.ArrayLike,
    ask: npt.ArrayLike,
    ask_size: npt.ArrayLike,
    px_decimals: int,
    qty_decimals: int = 0,
    name: str = "quotes",
) -> Source:
    """Convert columns of quotes of one instrument to L1 frames."""
    times = _times(ts_ns, name)
    frames = market_frames(MarketKind.QUOTE, len(times))
    frames["ts_ns"] = times
    frames["bid_px"] = _integers(bid, px_decimals, "bid", name)
    frames["ask_px"] = _integers(ask, px_decimals, "ask", name)
    frames["bid_qty"] = _integers(bid_size, qty_decimals, "bid size", name)
    frames["ask_qty"] = _integers(ask_size, qty_decimals, "ask size", name)
    about = InstrumentInfo(symbol=name, px_decimals=px_decimals, qty_decimals=qty_decimals)
    parts = iter([Part(frames)])
    return Source(name=name, parts=parts, fidelity="L1", instruments={0: about})


# ---- what a coarser recording of the same market would have shown --------------------------------


def coarser(
    recording: Recording,
    fidelity: Literal["L2", "L1", "bars"],
    *,
    levels: int = 5,
    bar_ns: int = 60_000_000_000,
) -> Recording:
    """Return what a coarser recording of an order-by-order market would hold.

    Parameters
    ----------
    recording : Recording
        Of one instrument, fidelity L3.
    fidelity : {"L2", "L1", "bars"}
    levels : int
        Depth of L2.
    bar_ns : int
        Length of a bar.

    Notes
    -----
    One look at the book for every time stamp: about 10 us a stamp.
    """
    if recording.fidelity != "L3" or len(recording.instruments) != 1:
        raise ConfigError("an order-by-order recording of one instrument is needed")
    (instrument,) = recording.instruments
    watcher = _Watcher(new_engine(recording, Setup()), instrument, levels)
    for chunk in recording.chunks:
        watcher.run(chunk)
    if fidelity == "bars":
        frames = _bars(np.array(watcher.trades, np.int64).reshape(-1, 4), bar_ns)
    elif fidelity == "L1":
        trades = _level_part([(t, MarketKind.TRADE, s, p, q) for t, s, p, q in watcher.trades])
        frames = merged(trades.frames, _quotes(watcher.quotes))
    else:
        frames = _level_part(watcher.levels).frames.view(COMMAND)
    frames["instrument_id"] = instrument
    return Recording(
        name=f"{recording.name} as {fidelity}",
        chunks=[frames.view(COMMAND)],
        instruments=recording.instruments,
        fidelity=fidelity,
    )


class _Watcher:
    """Runs a recorded market without own orders and notes what a coarser feed would show."""

    def __init__(self, engine: Engine, instrument: int, depth: int) -> None:
        self._engine = engine
        self._instrument = instrument
        self._depth = depth
        self._shown: dict[int, dict[int, int]] = {_BUY: {}, _SELL: {}}
        self._quote = (0, 0, 0, 0)
        self.levels: list[Row] = []
        self.quotes: list[tuple[int, ...]] = []
        self.trades: list[tuple[int, int, int, int]] = []

    def run(self, frames: npt.NDArray[np.void]) -> None:
        """Apply a chunk, stamp by stamp."""
        tags = frames["session_id"]
        hidden = frames[tags == TAG_HIDDEN]
        prints: dict[int, list[tuple[int, int, int]]] = {}
        for row in hidden:
            prints.setdefault(int(row["ts_ns"]), []).append(
                (int(row["side"]), int(row["px"]), int(row["order_qty"]))
            )
        frames = frames[(tags != TAG_HIDDEN) & (tags != TAG_REPAIR)]
        if not len(frames):
            return
        times = frames["ts_ns"]
        cuts = np.flatnonzero(np.diff(times)) + 1
        for first, last in zip([0, *cuts.tolist()], [*cuts.tolist(), len(frames)], strict=True):
            ts = int(times[first])
            events = self._engine.events(frames[first:last])
            for fill in events[events["kind"] == 3].view(FILL_EVENT):
                self._trade(ts, int(fill["side"]), int(fill["last_px"]), int(fill["last_qty"]))
            for side, px, qty in prints.get(ts, ()):
                self._trade(ts, side, px, qty)
            self._look(ts)

    def _trade(self, ts: int, side: int, px: int, qty: int) -> None:
        self.trades.append((ts, side, px, qty))
        self.levels.append((ts, MarketKind.TRADE, side, px, qty))

    def _look(self, ts: int) -> None:
        best: list[int] = []
        coming: list[Row] = []
        for side in (_BUY, _SELL):
            rows = self._engine.depth(self._instrument, side, self._depth)
            best += rows[0][:2] if rows else (0, 0)
            now = {px: qty for px, qty, _ in rows}
            before = self._shown[side]
            if now == before:
                continue
            for px in before.keys() - now.keys():
                self.levels.append((ts, MarketKind.LEVEL, side, px, 0))
            for px, qty in now.items():
                if before.get(px) != qty:
                    coming.append((ts, MarketKind.LEVEL, side, px, qty))
            self._shown[side] = now
        self.levels += coming
        quote = (best[0], best[1], best[2], best[3])
        if quote != self._quote:
            self._quote = quote
            self.quotes.append((ts, *quote))


def _quotes(rows: list[tuple[int, ...]]) -> npt.NDArray[np.void]:
    table = np.array(rows, np.int64).reshape(-1, 5)
    frames = market_frames(MarketKind.QUOTE, len(table))
    for column, name in enumerate(("ts_ns", "bid_px", "bid_qty", "ask_px", "ask_qty")):
        frames[name] = table[:, column]
    return frames


def _bars(trades: npt.NDArray[np.int64], bar_ns: int) -> npt.NDArray[np.void]:
    """Return bars of (ts_ns, side, px, qty) rows; intervals without a trade have none."""
    number = trades[:, 0] // bar_ns
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    frames = market_frames(MarketKind.BAR, len(starts))
    if len(starts):
        ends = np.append(starts[1:], len(trades)) - 1
        px, qty = trades[:, 2], trades[:, 3]
        frames["ts_ns"] = (number[starts] + 1) * bar_ns
        frames["open_px"], frames["close_px"] = px[starts], px[ends]
        frames["high_px"] = np.maximum.reduceat(px, starts)
        frames["low_px"] = np.minimum.reduceat(px, starts)
        frames["volume"] = np.add.reduceat(qty, starts)
    return frames
