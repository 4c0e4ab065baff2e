"""Files as streams of command frames: what `tradecore replay` replays, whatever the format.

The content decides which feed reads a file, never its name. A feed knows how large an engine it
needs, what to send first, and how prices and times of its source are written for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.cli.journal_files import is_journal, load_config
from tradecore.data.flows import workload_flow
from tradecore.data.source import open_source
from tradecore.data.workload import is_workload, read_workload
from tradecore.dtypes import COMMAND
from tradecore.engine import EngineConfig
from tradecore.errors import ConfigError, DataError
from tradecore.journal import records, verify
from tradecore.storage import read_segments

__all__ = ["BATCH", "Batch", "Feed", "Until", "open_feed"]

BATCH: Final = 4_096
"""Commands of one call of `Engine.apply`."""

Frames = npt.NDArray[np.void]


class Until(NamedTuple):
    """Where to stop: after so many rows, or at a time. Neither: at the end."""

    rows: int | None = None
    ts_ns: int | None = None


class Batch(NamedTuple):
    """Commands for one call, and how many rows of the source they complete."""

    frames: Frames
    rows: int


class Feed(msgspec.Struct, kw_only=True):
    """A file ready to be replayed.

    Attributes
    ----------
    path, kind : str
        As named by the user; `lobster`, `workload`, `itch` or `journal`.
    rows : int
        Rows of the source that will be replayed; 0 where only reading tells.
    config : EngineConfig
        Of an engine that is large enough.
    setup : ndarray or None
        Frames to apply first.
    batches : callable
        Returns an iterator of `Batch`; may be called once.
    names : dict of int to str
        Symbols of instruments, where known.
    px_decimals : int
        Decimals of a price in the source's currency; 0: prices are ticks.
    timed : bool
        Whether commands carry times.
    since_midnight : bool
        Whether those count from midnight instead of 1970.
    prepare_s : float
        Seconds spent turning the file into commands beforehand.
    notes : list of str
        What a reader of the result should know.
    """

    path: str
    kind: str
    rows: int
    config: EngineConfig
    batches: Callable[[], Iterator[Batch]]
    setup: Frames | None = None
    names: dict[int, str] = {}
    px_decimals: int = 0
    timed: bool = True
    since_midnight: bool = False
    prepare_s: float = 0.0
    notes: list[str] = []

    def name(self, instrument_id: int) -> str:
        """Return the symbol of an instrument, or its number."""
        return self.names.get(instrument_id, f"instrument {instrument_id}")

    def px_text(self, px: float) -> str:
        """Return a price for people."""
        if not self.px_decimals:
            return f"{px:,.0f}"
        text = f"{px / 10**self.px_decimals:,.{self.px_decimals}f}"
        whole, _, decimals = text.partition(".")
        return f"{whole}.{decimals[:2]}{decimals[2:].rstrip('0')}"


def _workload(path: str, until: Until) -> Feed:
    """Return the feed of a binary order workload."""
    if until.ts_ns is not None:
        raise ConfigError(f"{path}: a workload has no times; --until takes a number of rows here")
    records_ = read_workload(path)[: until.rows]
    flow = workload_flow(records_)
    count = len(records_)

    def batches() -> Iterator[Batch]:
        for first in range(0, count, BATCH):
            frames = flow.commands(first, min(first + BATCH, count))
            yield Batch(frames, len(frames))

    return Feed(
        path=path,
        kind="workload",
        rows=count,
        config=EngineConfig(
            max_instruments=max(len(flow.instruments), 1), max_orders=max(flow.max_orders, 64)
        ),
        setup=flow.definitions(),
        batches=batches,
        timed=False,
        notes=[f"prices are raised by {flow.px_shift} ticks"] if flow.px_shift else [],
    )


def _journal(path: str, until: Until, config: str | None) -> Feed:
    """Return the feed of one of our own journals."""
    place = Path(path)
    engine_config = load_config(place, config)
    total = verify(read_segments(place), accept="torn")
    count = total.last_seq - total.first_seq + 1
    rows = count if until.rows is None else min(count, until.rows)
    if total.first_seq != 1:
        raise ConfigError(
            f"{path}: the journal begins at command {total.first_seq}; to go on from a snapshot, "
            "use 'tradecore journal replay --after FOLDER'"
        )

    def batches() -> Iterator[Batch]:
        left = rows
        for record in records(read_segments(place)):
            for envelope in record.envelopes():
                frames = np.frombuffer(envelope.frames, COMMAND)
                n = envelope.count
                if n > left or until.ts_ns is not None:
                    frames, n = _cut(frames, n, left, until.ts_ns)
                yield Batch(frames, n)
                left -= n
                if left <= 0 or n < envelope.count:
                    return

    tail = total.tail
    return Feed(
        path=path,
        kind="journal",
        rows=rows,
        config=engine_config,
        batches=batches,
        notes=[] if tail.kind == "clean" else [f"torn tail left out: {tail.reason}"],
    )


def _cut(frames: Frames, count: int, most: int, ts_ns: int | None) -> tuple[Frames, int]:
    """Return the first commands of an envelope: at most so many, none later than a time."""
    from tradecore_ext.framing import command_offset

    n = min(count, most)
    if ts_ns is not None:
        # Every command's first frame begins with its time; continuations are skipped by offset.
        for index in range(n):
            at = command_offset(frames, index) // COMMAND.itemsize
            if int(frames["ts_ns"][at]) > ts_ns:
                n = index
                break
    end = len(frames) if n == count else command_offset(frames, n) // COMMAND.itemsize
    return frames[:end], n


def open_feed(
    path: str,
    until: Until,
    config: str | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Feed:
    """Recognise a file by its content and prepare it.

    Parameters
    ----------
    path : str
        File, or folder of a journal.
    until : Until
    config : str, optional
        A journal's engine configuration, where it does not lie beside it.
    progress : callable, optional
        Called as ``progress(path, done, total)`` where preparing takes long.

    Raises
    ------
    DataError, JournalError, ConfigError
        Not there, damaged, of no kind that can be replayed, or an option does not fit the kind.
    """
    place = Path(path)
    if is_journal(place):
        return _journal(path, until, config)
    if config is not None:
        raise ConfigError(f"{path}: --config is for journals, and this is none")
    if place.is_dir():
        raise DataError("no journal in this folder, and other folders cannot be replayed", path)
    from tradecore.data.itch_framing import detect_framing
    from tradecore.data.lobster import is_lobster_zip

    with open_source(path) as source:
        head = source.peek(4096)
    if head.startswith(b"PK"):
        if not is_lobster_zip(path):
            raise DataError("an archive, but not a LOBSTER day (message and orderbook files)", path)
        from tradecore.cli.feed_lobster import lobster_feed

        return lobster_feed(path, until, progress)
    if is_workload(head) or head[:8] == b"MEBW_001":
        return _workload(path, until)
    if detect_framing(head) is not None:
        from tradecore.cli.feed_itch import itch_feed

        return itch_feed(path, until)
    raise DataError(
        "not a LOBSTER archive, binary workload, ITCH 5.0 stream or journal: nothing to replay",
        path,
        0,
    )
