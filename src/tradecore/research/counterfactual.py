"""What would have happened: a recorded market continued from any point with something changed.

A fork is an engine in the state behind one command of a journal, and the rest of the journal. Send
it orders, leave recorded commands out, and run on; a fork that nothing was done to ends in the very
state of the original, event for event, because it is the same function of the same log. The log of
an exchange is forked between its records (`tradecore.research.counterfactual_log`).

Recorded commands stay what they were: a participant who would have reacted does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import numpy as np
import numpy.typing as npt

from tradecore import journal
from tradecore.buffers import byte_view
from tradecore.cell import CellConfig
from tradecore.cli.journal_files import load_config
from tradecore.codes import CommandKind, OrdType, Tif
from tradecore.dtypes import COMMAND, EVENT
from tradecore.engine import Engine, EngineConfig
from tradecore.errors import ConfigError, DataError
from tradecore.research.counterfactual_log import CellEar, LogMarket, nothing
from tradecore.research.service_log import is_log
from tradecore.storage import read_segments
from tradecore_ext.framing import command_offset, count_commands

__all__ = ["Fork", "Outcome", "Replay", "replay"]

Frames = npt.NDArray[np.void]
Drop = Callable[[Frames], npt.NDArray[np.bool_]]
Rule = Callable[[Frames], Frames]

_BATCH: Final = 4_096
_FORK_IDS: Final = 0x6000_0000_0000_0000


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Where a market ended.

    Attributes
    ----------
    commands, events : int
        Of the whole life of the engine.
    event_hash : str
        BLAKE2b-256 of all event frames, from the first.
    state_hash : str
    added, dropped : int
        Commands that the fork added and left out.
    """

    commands: int
    events: int
    event_hash: str
    state_hash: str
    added: int = 0
    dropped: int = 0


def replay(
    source: str | Path | Frames | Iterable[Frames],
    config: EngineConfig | CellConfig | None = None,
) -> Replay:
    """Open a recorded market for forking.

    Parameters
    ----------
    source : path, array of COMMAND, or iterable of them
        A journal's folder or segment; the folder ``trading-commands-N`` of an exchange's log; or
        frames, whole commands each.
    config : EngineConfig or CellConfig, optional
        Of the engine; a journal has its own beside it (``engine.json``), the log of an exchange
        that of its cell in the snapshots beside it.

    Raises
    ------
    JournalError, ConfigError
        No journal, or its configuration cannot be found.
    DataError
        Frames that are not 64 bytes.
    """
    if isinstance(source, str | Path):
        place = Path(source)
        if is_log(place):
            if isinstance(config, EngineConfig):
                raise ConfigError(f"{place}: the log of a cell needs a CellConfig")
            return Replay(LogMarket(place, config), str(place))
        config = _of_engine(config) or load_config(place, None)
        return Replay(_Commands(_Folder(place), config), str(place))
    arrays = [source] if isinstance(source, np.ndarray) else list(source)
    for array in arrays:
        if array.dtype.itemsize != COMMAND.itemsize:
            raise DataError("frames of 64 bytes are needed", "frames")
    return Replay(_Commands(_Arrays(arrays), _of_engine(config) or EngineConfig()), "frames")


def _of_engine(config: EngineConfig | CellConfig | None) -> EngineConfig | None:
    return config.engine if isinstance(config, CellConfig) else config


class _Folder:
    """The commands of a journal in files."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def feed(self, apply: Callable[[memoryview], object], first: int, last: int | None) -> int:
        """Feed commands `first` to `last`; return the number of the last one fed."""
        segments = read_segments(self._place)
        return journal.replay(segments, apply, from_seq=first, to_seq=last).last_seq


class _Arrays:
    """The commands of arrays in memory."""

    def __init__(self, arrays: list[Frames]) -> None:
        self._views = [byte_view(np.ascontiguousarray(array)) for array in arrays]

    def feed(self, apply: Callable[[memoryview], object], first: int, last: int | None) -> int:
        """Feed commands `first` to `last`; return the number of the last one fed."""
        done = 0
        for view in self._views:
            count = count_commands(view)
            low = max(first - done - 1, 0)
            high = count if last is None else min(last - done, count)
            if low < high:
                apply(view[command_offset(view, low) : command_offset(view, high)])
            done += max(min(high, count), 0) if last is not None else count
            if last is not None and done >= last:
                break
        return done


class _Ear:
    """Applies frames to an engine and hashes the events."""

    def __init__(self, engine: Engine, digest: Any = None) -> None:
        self.engine = engine
        self.digest = digest or hashlib.blake2b(digest_size=32)
        self.listeners: list[Callable[[Frames], object]] = []

    def apply(self, frames: Any) -> None:
        """Apply whole commands, in batches of a bounded size."""
        view = memoryview(frames) if not isinstance(frames, np.ndarray) else byte_view(frames)
        total = count_commands(view)
        for low in range(0, total, _BATCH):
            high = min(low + _BATCH, total)
            part = view[command_offset(view, low) : command_offset(view, high)]
            with memoryview(self.engine.apply(part)) as events:
                self.digest.update(events)
                for listener in self.listeners:
                    listener(np.frombuffer(bytes(events), EVENT))


class _Commands:
    """Plain commands and the engine that applies them; `LogMarket` is the same for a cell."""

    def __init__(self, frames: _Folder | _Arrays, config: EngineConfig) -> None:
        self._frames = frames
        self.config = config

    def ear(self) -> _Ear:
        """Return a new engine in front of the first command."""
        return _Ear(Engine(self.config))

    def image(self, ear: _Ear) -> bytes:
        """Return the state of an engine as bytes. O(state)."""
        return ear.engine.snapshot()

    def restored(self, image: bytes, digest: Any) -> _Ear:
        """Return the engine of an image."""
        return _Ear(Engine.restore(image), digest)

    def feed(self, ear: _Ear, first: int, last: int | None, change: Rule | None = None) -> int:
        """Apply commands `first` to `last`, changed by a rule; return the last one's number."""

        def apply(view: memoryview) -> None:
            frames = view if change is None else change(np.frombuffer(view, COMMAND))
            if len(frames):
                ear.apply(frames)

        return self._frames.feed(apply, first, last)


class Replay:
    """A recorded market that can be forked at any command, the log of an exchange at any record.

    Attributes
    ----------
    config : EngineConfig or CellConfig
    name : str
    """

    def __init__(self, market: Any, name: str) -> None:
        # _Commands or LogMarket: the ears that one makes are its own business.
        self._market = market
        self.config: EngineConfig | CellConfig = market.config
        self.name = name
        # The place of the last fork, so that forks further on do not begin at the beginning.
        self._mark: tuple[int, bytes, Any] | None = None

    def fork(self, seq: int) -> Fork:
        """Return the market as it was behind command or record `seq` (0: before the first).

        Notes
        -----
        O(commands up to there); a later fork at the same place or further on starts from a
        snapshot of this one.

        Raises
        ------
        ConfigError
            There are not so many.
        """
        if seq < 0:
            raise ConfigError(f"a fork at command {seq}")
        done = 0
        if self._mark is not None and self._mark[0] <= seq:
            done, image, known = self._mark
            ear = self._market.restored(image, known.copy())
        else:
            ear = self._market.ear()
        reached = self._market.feed(ear, done + 1, seq) if seq > done else done
        if reached < seq:
            what = "record" if isinstance(self._market, LogMarket) else "command"
            raise ConfigError(f"{self.name}: there are {reached} {what}s, no {what} {seq}")
        self._mark = (seq, self._market.image(ear), ear.digest.copy())
        return Fork(self, ear, seq)

    def outcome(self) -> Outcome:
        """Return where the market ended as it was recorded. O(commands)."""
        return self.fork(0).run()

    def rest(self, ear: _Ear | CellEar, first: int, last: int | None, change: Rule | None) -> int:
        """Apply what was recorded from `first` on, changed by a rule; return the last number."""
        reached: int = self._market.feed(ear, first, last, change)
        return reached


class Fork:
    """A market at one point of a recording, to be changed and continued.

    Attributes
    ----------
    engine : Engine
        As it stands; looking is free, and what is sent to it directly is not counted.
    seq : int
        Recorded commands (of an exchange's log: records) applied so far.
    """

    def __init__(self, origin: Replay, ear: _Ear | CellEar, seq: int) -> None:
        self._origin = origin
        self._ear = ear
        self._drops: list[Drop] = []
        self._next_id = _FORK_IDS
        self.engine = ear.engine
        self.seq = seq
        self.added = 0
        self.dropped = 0

    def submit(self, order: Frames | None = None, **fields: int) -> int:
        """Send a new order (or any frames of whole commands) now; return the order's id.

        Parameters
        ----------
        order : ndarray of COMMAND, optional
            Sent as it is.
        **fields : int
            Fields of `tradecore.COMMAND` instead: ``account_id``, ``instrument_id``, ``side``,
            ``px``, ``order_qty`` and whatever else is wanted. By default a limit order, good till
            canceled, with an id of its own; its time is that of the market.
        """
        if order is None:
            order = np.zeros(1, COMMAND)
            self._next_id += 1
            defaults = {
                "kind": int(CommandKind.NEW_ORDER),
                "ord_type": int(OrdType.LIMIT),
                "tif": int(Tif.GTC),
                "order_id": self._next_id,
            }
            for name, value in (defaults | fields).items():
                if name not in (COMMAND.names or ()):
                    raise ConfigError(f"an order has no field {name!r}")
                order[name] = value
        self._ear.apply(order)
        self.added += count_commands(byte_view(order))
        return int(order["order_id"][0])

    def cancel(self, account_id: int, order_id: int) -> Self:
        """Send a cancel now."""
        frame = np.zeros(1, COMMAND)
        frame["kind"] = CommandKind.CANCEL_ORDER
        frame["account_id"], frame["order_id"] = account_id, order_id
        self.submit(frame)
        return self

    def without(self, drop: Drop) -> Self:
        """Leave recorded commands out from here on.

        Parameters
        ----------
        drop : callable
            ``drop(frames)`` gets recorded frames and returns a mask; commands whose first frame is
            True are left out, with their continuations.
        """
        self._drops.append(drop)
        return self

    def listen(self, listener: Callable[[Frames], object]) -> Self:
        """Call a function with the events of every batch from here on, copies of EVENT rows."""
        self._ear.listeners.append(listener)
        return self

    def run(self, to_seq: int | None = None) -> Outcome:
        """Continue the recording, to its end or to command `to_seq` of it.

        Returns
        -------
        Outcome
        """
        if to_seq is None or to_seq > self.seq:
            change = self._change if self._drops else None
            self.seq = self._origin.rest(self._ear, self.seq + 1, to_seq, change)
        return self.outcome()

    def _change(self, frames: Frames) -> Frames:
        """Leave out what the rules say, continuations with their commands."""
        starts = _command_starts(frames)
        drop = np.zeros(len(frames), bool)
        for rule in self._drops:
            drop |= rule(frames)
        out = drop[starts]
        if not bool(out.any()):
            return frames
        self.dropped += int(np.count_nonzero(out))
        gone = np.repeat(out, np.diff(np.append(starts, len(frames))))
        if isinstance(self._ear, CellEar):
            begins = np.zeros(len(frames), bool)
            begins[starts] = True
            return nothing(begins, frames, gone)
        rest: Frames = frames[~gone]
        return rest

    def outcome(self) -> Outcome:
        """Return where the market stands. O(state)."""
        return Outcome(
            commands=self.engine.in_seq,
            events=self.engine.out_seq,
            event_hash=self._ear.digest.copy().hexdigest(),
            state_hash=self.engine.state_hash(),
            added=self.added,
            dropped=self.dropped,
        )


def _command_starts(frames: Frames) -> npt.NDArray[np.int64]:
    """Return the positions of the first frames of commands."""
    counts = frames["cont"]
    if not bool(counts.any()):
        return np.arange(len(frames))
    starts, at = [], 0
    while at < len(frames):
        starts.append(at)
        at += 1 + int(counts[at])
    return np.array(starts, np.int64)
