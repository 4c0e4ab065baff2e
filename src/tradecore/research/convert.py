"""Converters of order-by-order recordings: LOBSTER, ITCH 5.0, workloads, our own journals.

Each is a generator of `Part`: frames, and when they were received where the source says so. Parts
stream with bounded memory; `record` collects them into a `Recording`, `events.write` puts them into
an event file. What messages mean is decided in `tradecore_ext.translate`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.codes import CommandKind
from tradecore.data.flows import instrument_frames, workload_flow
from tradecore.data.itch import iter_itch
from tradecore.data.itch_spec import LENGTH_OF_TYPE
from tradecore.data.lobster import EXECUTE, iter_lobster
from tradecore.data.source import PathLike, open_source
from tradecore.data.workload import read_workload
from tradecore.dtypes import COMMAND
from tradecore.engine import Engine
from tradecore.errors import ConfigError, DataError
from tradecore.journal import records
from tradecore.research.convert_log import log_frames
from tradecore.research.recording import (
    UNKNOWN_IDS,
    Frames,
    InstrumentInfo,
    Recording,
    Times,
    resting_bound,
)
from tradecore.research.service_log import is_log
from tradecore.storage import read_segments
from tradecore_ext.translate import Translator, scan_lengths

__all__ = [
    "Part",
    "Source",
    "from_itch",
    "from_journal",
    "from_lobster",
    "from_workload",
    "itch_batches",
    "itch_named",
    "record",
]

_CHUNK: Final = 1 << 22
_LOCATES: Final = 1 << 16
_LOBSTER_DECIMALS: Final = 4
_LENGTHS: Final = bytes(LENGTH_OF_TYPE)


class Part(msgspec.Struct):
    """Frames of one step, and when each was received (None: the source does not say)."""

    frames: Frames
    received_ns: Times | None = None


class Source(msgspec.Struct, kw_only=True):
    """A converter ready to be read once.

    Attributes
    ----------
    name : str
    fidelity : str
    parts : iterator of Part
    instruments : dict of int to InstrumentInfo
        Complete when `parts` is exhausted: streams name their instruments on the way.
    notes : list of str
        Likewise.
    max_orders : int
        Orders that a run needs room for; 0 = as many as the frames bring. Likewise.
    """

    name: str
    parts: Iterator[Part]
    fidelity: str = "L3"
    instruments: dict[int, InstrumentInfo] = {}
    notes: list[str] = []
    max_orders: int = 0

    def saw(self, alive: int, frames: Frames) -> None:
        """Note that `alive` orders met these frames: what a run needs room for, with a margin.

        Own orders keep recorded ones alive that the recording saw filled, hence a quarter more.
        """
        peak = alive + resting_bound([frames])
        self.max_orders = max(self.max_orders, peak + peak // 4 + 1_024)


def record(source: Source) -> Recording:
    """Collect a whole source in memory."""
    parts = [part for part in source.parts if len(part.frames)]
    received = [part.received_ns for part in parts if part.received_ns is not None]
    chunks = [part.frames for part in parts]
    return Recording(
        name=source.name,
        chunks=chunks,
        instruments=source.instruments,
        received=received if parts and len(received) == len(parts) else None,
        fidelity=source.fidelity,
        max_orders=source.max_orders or (resting_bound(chunks) if source.fidelity == "L3" else 0),
        notes=source.notes,
    )


def _taken(translator: Translator) -> Frames:
    return np.frombuffer(translator.take(), COMMAND)


def _said(source: Source, translator: Translator) -> None:
    """Add what the translation found out to the notes of a source."""
    found = translator.counters()
    source.notes.append(
        f"{found['in_priority']:,} of {found['executions']:,} executions in price-time priority; "
        f"{found['hidden']:,} hidden; {found['unknown']:,} messages about orders never seen; "
        f"{found['adopted']:,} levels adopted, {found['corrected']:,} corrected"
    )


# ---- LOBSTER -----------------------------------------------------------------------------------


def from_lobster(path: PathLike, px_decimals: int = 2, max_orders: int = 1 << 18) -> Source:
    """Convert a LOBSTER day; times are nanoseconds after midnight.

    Parameters
    ----------
    path : str or path-like
        The zip archive.
    px_decimals : int
        Decimals of a tick: 2 makes ticks of a cent, 4 keeps the file's own unit. Hidden executions
        between two ticks reach own orders at the next better one.
    max_orders : int
        Orders alive at once, at most.

    Raises
    ------
    DataError
        While it is read: the archive is damaged, or a displayed price is no multiple of the tick.

    Notes
    -----
    Reading the text is most of the work; the translation costs about 0.2 us a row.
    """
    name = os.fspath(path)
    symbol = Path(name).name.removeprefix("LOBSTER_SampleFile_").partition("_")[0]
    if not 0 <= px_decimals <= _LOBSTER_DECIMALS:
        raise ConfigError(f"px_decimals is {px_decimals}; it must be 0..{_LOBSTER_DECIMALS}")
    about = InstrumentInfo(symbol=symbol, px_decimals=px_decimals)
    source = Source(name=name, parts=iter(()), instruments={0: about}, notes=[])
    divisor = 10 ** (_LOBSTER_DECIMALS - px_decimals)
    source.parts = _lobster_parts(path, divisor, max_orders, source)
    return source


def _in_ticks(table: Times, book: Times, divisor: int, first_row: int, name: str) -> None:
    """Turn the prices of a block into ticks, in place."""
    kind, px, resting = table[:, 1], table[:, 4], table[:, 5]
    wrong = np.flatnonzero((kind <= EXECUTE) & (px % divisor != 0))
    if len(wrong):
        at = int(wrong[0])
        raise DataError(
            f"row {first_row + at}: price {px[at]} is no multiple of {divisor}; px_decimals="
            f"{_LOBSTER_DECIMALS} keeps every price",
            name,
        )
    # A seller who met a hidden bid between two ticks would have met ours at the tick above it.
    table[:, 4] = np.where(resting > 0, -(-px // divisor), px // divisor)
    book[:, 0::2] //= divisor


def _lobster_parts(path: PathLike, divisor: int, max_orders: int, source: Source) -> Iterator[Part]:
    engine = Engine(max_instruments=1, max_orders=max_orders)
    engine.apply(instrument_frames(1))
    translator = Translator(engine, engine.handle)
    levels = 0
    for block in iter_lobster(path):
        m = block.messages
        levels = block.book.shape[1]
        table = np.empty((len(m), 6), np.int64)
        columns = ("ts_ns", "type", "order_id", "order_qty", "px", "direction")
        for column, field in enumerate(columns):
            table[:, column] = m[field]
        book = np.ascontiguousarray(block.book.reshape(len(m), 4 * levels))
        if divisor > 1:
            book = book.copy()
            _in_ticks(table, book, divisor, block.first_row, source.name)
        alive = engine.counters()["live_orders"]
        translator.lobster(table, book, levels)
        frames = _taken(translator)
        source.saw(alive, frames)
        yield Part(frames)
    translator.lobster_end(levels)
    yield Part(_taken(translator))
    _said(source, translator)


# ---- ITCH --------------------------------------------------------------------------------------


def from_itch(
    path: PathLike, symbols: Iterable[str] | None = None, max_orders: int = 1 << 21
) -> Source:
    """Convert an ITCH 5.0 stream: prices in dollars x 10,000, times in ns after midnight.

    Parameters
    ----------
    path : str or path-like
    symbols : iterable of str, optional
        Only these; their instrument ids count from 0 in this order. Without it every instrument is
        kept under its locate code.
    max_orders : int
        Orders alive at once, at most.
    """
    source = Source(name=os.fspath(path), parts=iter(()), instruments={}, notes=[])
    wanted = None if symbols is None else {symbol: n for n, symbol in enumerate(symbols)}
    source.parts = _itch_parts(path, wanted, max_orders, source)
    return source


def itch_batches(path: PathLike) -> Iterator[tuple[npt.NDArray[np.uint8], Times]]:
    """Yield (bytes, starts of messages); streams with lengths by the compiled scanner."""
    with open_source(path) as file:
        head = file.peek(3)
        fast = len(head) == 3 and int.from_bytes(head[:2], "big") == _LENGTHS[head[2]] > 0
        rest = b""
        while fast:
            data = rest + file.read(_CHUNK)
            found, used = scan_lengths(data, len(data), _LENGTHS)
            if not used:
                # The end, the zero length that marks it, or damage, which the reader explains.
                if data not in (b"", b"\0\0"):
                    break
                return
            yield np.frombuffer(data, np.uint8), np.frombuffer(found, np.int64)
            rest = data[used:]
        if fast:
            offset = file.offset - len(rest)
            raise DataError("a message is cut short or has another length", file.name, offset)
    for batch in iter_itch(path):
        yield batch.data, np.ascontiguousarray(batch.starts, np.int64)


def itch_named(
    data: npt.NDArray[np.uint8], starts: Times, instrument_of: npt.NDArray[np.int32]
) -> Iterator[tuple[int, str]]:
    """Yield (locate code, symbol) of instruments that a chunk names and that are not known yet."""
    kinds = data[starts]
    naming = starts[np.isin(kinds, np.frombuffer(b"RAF", np.uint8))]
    locates = data[naming + 1].astype(np.int64) << 8 | data[naming + 2]
    fresh, first = np.unique(locates[instrument_of[locates] < 0], return_index=True)
    places = naming[instrument_of[locates] < 0][first]
    for locate, at in zip(fresh.tolist(), places.tolist(), strict=True):
        begin = at + (11 if data[at] == ord("R") else 24)
        yield locate, data[begin : begin + 8].tobytes().decode("ascii", "replace").strip()


def _itch_parts(
    path: PathLike, wanted: dict[str, int] | None, max_orders: int, source: Source
) -> Iterator[Part]:
    count = _LOCATES if wanted is None else max(len(wanted), 1)
    engine = Engine(max_instruments=count, max_orders=max_orders)
    translator = Translator(engine, engine.handle)
    instrument_of = np.full(_LOCATES, -1, np.int32)
    before = 0
    for data, starts in itch_batches(path):
        for locate, symbol in itch_named(data, starts, instrument_of):
            number = locate if wanted is None else wanted.get(symbol, -1)
            if number >= 0:
                instrument_of[locate] = number
                source.instruments[number] = InstrumentInfo(symbol=symbol, px_decimals=4)
                engine.define_instrument(number)
        alive = engine.counters()["live_orders"]
        translator.itch(data, starts, instrument_of)
        frames = _taken(translator)
        source.saw(alive, frames)
        before = _ascending(frames, before, source.name)
        yield Part(frames)
    _said(source, translator)


def _ascending(frames: Frames, before: int, name: str) -> int:
    """Check that times do not descend and return the last."""
    if not len(frames):
        return before
    times = frames["ts_ns"].astype(np.int64)
    wrong = np.flatnonzero(np.diff(times, prepend=before) < 0)
    if len(wrong):
        raise DataError(f"a message is stamped {times[wrong[0]]} ns, time runs backwards", name)
    return int(times[-1])


# ---- what is order flow already ------------------------------------------------------------------


def from_workload(path: PathLike, step_ns: int = 1_000) -> Source:
    """Convert a binary workload, whose records have no time: one every `step_ns`."""
    name = os.fspath(path)
    flow = workload_flow(read_workload(path))

    def parts() -> Iterator[Part]:
        for first in range(0, len(flow.records), 1 << 16):
            frames = flow.commands(first, first + (1 << 16))
            frames["ts_ns"] = (np.arange(first, first + len(frames)) + 1) * step_ns
            yield Part(frames)

    instruments = {n: InstrumentInfo(symbol=str(i)) for n, i in enumerate(flow.instruments)}
    return Source(name=name, parts=parts(), instruments=instruments)


def from_journal(
    folder: PathLike, keep: Callable[[Frames], npt.NDArray[np.bool_]] | None = None
) -> Source:
    """Convert a journal of commands: the flow of a market that ran on this engine.

    Instruments keep their terms; accounts are not taken over, because the recorded flow of a
    backtest belongs to one account. Order ids of a plain journal must be below 2**62.

    Parameters
    ----------
    folder : str or path-like
        Journal folder or one segment; or the folder ``trading-commands-N`` of an exchange's log,
        with its ``executions-N`` beside it (`tradecore.research.convert_log` says what of it is
        recorded; `Source.notes`, how that differs from the exchange).
    keep : callable, optional
        ``keep(frames)`` says which of the plain order commands to keep, as a mask.

    Raises
    ------
    DataError
        An order id is too large, or a command has continuation frames (stops, lists and icebergs:
        fork the journal instead, which replays everything).
    ConfigError
        The log of an exchange without its executions.
    """
    name = os.fspath(folder)
    source = Source(name=name, parts=iter(()), instruments={}, notes=[])
    source.parts = _journal_parts(Path(folder), keep, source)
    return source


def _journal_parts(
    place: Path, keep: Callable[[Frames], npt.NDArray[np.bool_]] | None, source: Source
) -> Iterator[Part]:
    if is_log(place):
        take = partial(_define, source=source)
        yield from map(Part, log_frames(place, keep, take, source.notes))
        return
    latest = 0
    left_out = 0
    for record_ in records(read_segments(place)):
        for envelope in record_.envelopes():
            whole = np.frombuffer(envelope.frames, COMMAND)
            left_out += _define(whole, source)
            plain = (whole["kind"] >= 1) & (whole["kind"] <= 3)
            # Continuation frames have their own kind field at the same place: never 1, 2 or 3
            # behind an INSTRUMENT, whose tail is raw bytes, so those are masked by their counts.
            plain &= ~_continuations(whole)
            frames = whole[plain].copy()
            if bool((frames["cont"] != 0).any()):
                raise DataError("orders with rare terms: fork the journal instead", source.name)
            if len(frames) and int(frames["order_id"].max()) >= UNKNOWN_IDS:
                raise DataError(f"an order id of {UNKNOWN_IDS} or more", source.name)
            if keep is not None:
                frames = frames[keep(frames)]
            if not len(frames):
                continue
            frames["account_id"] = 0
            frames["session_id"] = 0
            frames["sent_ts_ns"] = 0
            times = np.maximum.accumulate(np.maximum(frames["ts_ns"].astype(np.int64), latest))
            frames["ts_ns"] = times
            latest = int(times[-1])
            yield Part(frames)
    if left_out:
        source.notes.append(f"{left_out:,} commands that are not orders were left out")


def _continuations(frames: Frames) -> npt.NDArray[np.bool_]:
    """Return which frames belong to the command before them."""
    inside = np.zeros(len(frames), bool)
    for at in np.flatnonzero(frames["cont"]).tolist():
        if not inside[at]:
            inside[at + 1 : at + 1 + int(frames["cont"][at])] = True
    return inside


_TERMS: Final = (
    *("base_asset", "quote_asset", "tick", "lot", "min_order_qty", "max_order_qty"),
    *("min_notional", "multiplier", "base_per_lot", "maker_fee_ppm", "taker_fee_ppm"),
)


def _define(frames: Frames, source: Source) -> int:
    """Take over the instruments that a batch defines; return how many commands are neither."""
    inside = _continuations(frames)
    kinds = frames["kind"]
    for at in np.flatnonzero((kinds == CommandKind.INSTRUMENT) & ~inside).tolist():
        from tradecore.dtypes import INSTRUMENT

        row = frames[at : at + 4].view(INSTRUMENT)[0]
        terms = {field: int(row[field]) for field in _TERMS}
        # A contract delivers nothing; a recording keeps its price and its multiplier.
        terms["base_per_lot"] = max(terms["base_per_lot"], 1)
        source.instruments[int(row["instrument_id"])] = InstrumentInfo(terms=terms)
    orders = (kinds >= 1) & (kinds <= 3)
    return int(np.count_nonzero(~inside & ~orders & (kinds != CommandKind.INSTRUMENT)))
