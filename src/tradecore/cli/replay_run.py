"""One file through one engine: apply, count, sample. Printing is `tradecore.cli.replay`'s part."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore.cli.feeds import Batch, Feed
from tradecore.cli.words import status_name
from tradecore.codes import EventKind
from tradecore.dtypes import EVENT, FILL_EVENT
from tradecore.engine import Engine
from tradecore_ext.framing import count_commands

__all__ = ["Pace", "Replay"]

_SAMPLES: Final = 1_000
_DEPTH_LEVELS: Final = 60
_LONGEST_SLEEP_S: Final = 0.25
_PACED_COMMANDS: Final = 64

Frames = npt.NDArray[np.void]


class Pace:
    """Holds a replay back to a multiple of the speed at which things happened.

    Parameters
    ----------
    factor : float
        10 means ten seconds of the file in one second.
    """

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._begin_ns = -1
        self._began = 0.0

    def due(self, ts_ns: int) -> float:
        """Return how many seconds are left until the moment of this log time."""
        if self._begin_ns < 0:
            self._begin_ns, self._began = ts_ns, time.perf_counter()
        wanted = (ts_ns - self._begin_ns) / 1e9 / self._factor
        return wanted - (time.perf_counter() - self._began)


class Replay:
    """A replay in progress and its result.

    Parameters
    ----------
    feed : Feed
    pace : Pace, optional
        Real time in multiples; as fast as possible without.
    sampling : bool
        Keep samples of depth and price for a picture.

    Attributes
    ----------
    engine : Engine
    rows, commands, events, fills : int
    refused : Counter
        Refusals by status.
    engine_s, elapsed_s : float
        Seconds inside `Engine.apply`; seconds of the whole replay, reading included.
    focus : int
        Instrument whose depth and price are sampled: that of the first new order.
    samples : list of (ts_ns or row, last_px, bids, asks)
    """

    def __init__(self, feed: Feed, pace: Pace | None = None, *, sampling: bool = False) -> None:
        self.feed = feed
        self.engine = Engine(feed.config)
        self._pace = pace
        self.rows = self.commands = self.events = self.fills = 0
        self.traded: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        self.engine_s = self.elapsed_s = 0.0
        self.focus = -1
        self.samples: list[tuple[int, int, list[Any], list[Any]]] = []
        self.ts_ns = 0
        self.recent: list[tuple[int, int, int, int]] = []
        self._sampling = sampling
        self._every = max(1, feed.rows // _SAMPLES) if feed.rows else _PACED_COMMANDS
        self._next_sample = 0

    def run(self, shown: Callable[[Replay], None]) -> None:
        """Replay the whole feed; `shown` is called after every batch."""
        begin = time.perf_counter()
        if self.feed.setup is not None:
            self._apply(self.feed.setup)
        self.commands = self.events = 0
        self.refused.clear()
        self.engine_s = 0.0
        for batch in self.feed.batches():
            before, parts = self.rows, self._parts(batch)
            for number, frames in enumerate(parts, 1):
                self._wait(frames, shown)
                self._apply(frames)
                self.rows = before + batch.rows * number // len(parts)
                shown(self)
                self._sample()
        self._next_sample = 0
        self._sample()  # the end is always among the samples
        self.elapsed_s = time.perf_counter() - begin

    def _parts(self, batch: Batch) -> list[Frames]:
        """Split a batch where a paced replay or a picture should not jump; commands stay whole."""
        plain = self._pace is None and not self._sampling
        if plain or len(batch.frames) <= _PACED_COMMANDS:
            return [batch.frames]
        from tradecore_ext.framing import command_offset

        count = count_commands(batch.frames)
        cuts = [
            command_offset(batch.frames, at) // EVENT.itemsize
            for at in range(_PACED_COMMANDS, count, _PACED_COMMANDS)
        ]
        return np.split(batch.frames, cuts)

    def _wait(self, frames: Frames, shown: Callable[[Replay], None]) -> None:
        if self._pace is None or not len(frames):
            return
        while (left := self._pace.due(int(frames["ts_ns"][0]))) > 0:
            time.sleep(min(left, _LONGEST_SLEEP_S))
            shown(self)

    def _apply(self, frames: Frames) -> None:
        if not len(frames):
            return
        begin = time.perf_counter()
        batch = self.engine.apply(frames)
        self.engine_s += time.perf_counter() - begin
        events = np.frombuffer(memoryview(batch), EVENT)
        self.commands += count_commands(frames)
        self.events += len(events)
        self.ts_ns = self.engine.now
        kind = events["kind"]
        refused = (
            (kind == EventKind.REJECTED)
            | (kind == EventKind.CANCEL_REJECTED)
            | (kind == EventKind.REPLACE_REJECTED)
        )
        if refused.any():
            self.refused.update(events["status"][refused].tolist())
        fills = events[kind == EventKind.FILL].view(FILL_EVENT)
        if self.focus < 0:
            accepted = events["instrument_id"][kind == EventKind.ACCEPTED]
            self.focus = int(accepted[0]) if len(accepted) else -1
        if len(fills):
            self.fills += len(fills)
            which, how_many = np.unique(fills["instrument_id"], return_counts=True)
            self.traded.update(dict(zip(which.tolist(), how_many.tolist(), strict=True)))
            last = fills[-16:]
            columns = (last[name].tolist() for name in ("instrument_id", "side", "last_px"))
            new = list(zip(*columns, last["last_qty"].tolist(), strict=True))
            self.recent = (self.recent + new)[-32:]

    def _sample(self) -> None:
        if not self._sampling or self.focus < 0 or self.rows < self._next_sample:
            return
        self._next_sample = self.rows + self._every
        market = self.engine.market_state(self.focus)
        bids = self.engine.depth(self.focus, 1, _DEPTH_LEVELS)
        asks = self.engine.depth(self.focus, 2, _DEPTH_LEVELS)
        at = self.ts_ns if self.feed.timed else self.rows
        self.samples.append((at, int(market["last_px"]), bids, asks))
        if len(self.samples) > 4 * _SAMPLES:
            # The number of rows was not known: halve the samples, double the distance.
            self.samples = self.samples[::2]
            self._every *= 2

    # ---- the result ----------------------------------------------------------------------------
    @property
    def shown_instrument(self) -> int:
        """The instrument worth showing: the one that traded most, else the first seen."""
        return self.traded.most_common(1)[0][0] if self.traded else self.focus

    def document(self) -> dict[str, Any]:
        """Return the result as plain data; prices in ticks, times in seconds."""
        feed, engine = self.feed, self.engine
        document: dict[str, Any] = {
            "file": feed.path,
            "kind": feed.kind,
            "rows": self.rows,
            "commands": self.commands,
            "events": self.events,
            "fills": self.fills,
            "refused": {status_name(code): n for code, n in self.refused.most_common()},
            "prepare_s": feed.prepare_s,
            "engine_s": self.engine_s,
            "elapsed_s": self.elapsed_s,
            "commands_per_s": self.commands / max(self.engine_s, 1e-9),
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "open_orders": engine.counters()["live_orders"],
            "notes": list(feed.notes),
            "book": None,
            "state_hash": engine.state_hash(),
        }
        shown = self.shown_instrument
        if shown >= 0:
            book = engine.book(shown)
            document["book"] = {
                "instrument": shown,
                "symbol": feed.name(shown),
                "last_px": book.last_px,
                "bids": [list(level) for level in book.bids[:10]],
                "asks": [list(level) for level in book.asks[:10]],
            }
        # Checked to be encodable here, where a mistake can still be seen.
        msgspec.json.encode(document)
        return document
