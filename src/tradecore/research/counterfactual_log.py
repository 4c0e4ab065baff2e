"""Forks of an exchange's log: the market of a cell, continued with something changed.

A log is applied by a cell, which drops repetitions and gaps before its engine sees anything, so a
fork of a log is a cell too. It is cut between records, because that is what a cell applies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tradecore.cell import Batch, Cell, CellConfig, FrameReader, Position, time_command
from tradecore.codes import CellKind
from tradecore.dtypes import COMMAND, EVENT
from tradecore.envelope import decode, encode, seal
from tradecore.errors import ConfigError, FrameError
from tradecore.research.service_log import cell_config, entries, partition_of
from tradecore.snapshot import decode as decode_snapshot
from tradecore.snapshot import encode as encode_snapshot

__all__ = ["CellEar", "LogMarket", "nothing"]

Frames = npt.NDArray[np.void]
Rule = Callable[[Frames], Frames]

_TIME: Final = np.frombuffer(time_command(), COMMAND)


class CellEar:
    """Applies records to a cell and hashes the events of its engine.

    Parameters
    ----------
    cell : Cell
    digest : hash object
        Of what was said before.
    """

    def __init__(self, cell: Cell, digest: Any = None) -> None:
        self.cell = cell
        self.engine = cell.engine
        self.digest = digest or hashlib.blake2b(digest_size=32)
        self.listeners: list[Callable[[Frames], object]] = []

    def record(self, offset: int, ts_ns: int, payload: memoryview | bytes) -> None:
        """Apply one record of the log."""
        reader = FrameReader(self.cell.source, Position(offset, self.cell.exec_seq))
        output = self.cell.apply(offset, ts_ns, payload)
        for made in output.executions(self.cell):
            for batch in reader.read(offset, made):
                self._hear(_engine_events(batch))

    def apply(self, frames: Any) -> None:
        """Apply commands that are in no log: the engine sees them, the cell's gate does not."""
        self._hear(self.engine.events(frames))

    def _hear(self, events: Frames) -> None:
        self.digest.update(np.ascontiguousarray(events).view(np.uint8).data)
        for listener in self.listeners:
            listener(events)


def _engine_events(batch: Batch) -> Frames:
    """Return the engine's own events of a batch; answers of the gate are no events."""
    found: Frames = batch.events[batch.events["kind"] < CellKind.BATCH]
    return found.view(EVENT)


class LogMarket:
    """The records of a partition of `trading-commands`, and the cell that applies them.

    Parameters
    ----------
    place : Path
    config : CellConfig, optional
        By default the one in the newest snapshot beside the log.

    Raises
    ------
    ConfigError
        Nothing says how the cell was configured.
    """

    def __init__(self, place: Path, config: CellConfig | None) -> None:
        self._place = place
        self._cell_id = partition_of(place)
        self.config = config or cell_config(None, place)

    def ear(self) -> CellEar:
        """Return a new cell in front of the first record."""
        return CellEar(Cell(self.config, cell_id=self._cell_id))

    def image(self, ear: CellEar) -> bytes:
        """Return the state of a cell as bytes. O(state)."""
        info, sections, own = ear.cell.snapshot_parts()
        return bytes(encode_snapshot(info, sections, own))

    def restored(self, image: bytes, digest: Any) -> CellEar:
        """Return the cell of an image."""
        return CellEar(Cell.from_snapshot(self.config, decode_snapshot(image)), digest)

    def feed(self, ear: CellEar, first: int, last: int | None, change: Rule | None = None) -> int:
        """Apply records number `first` to `last`, counted from 1; return the last one's number.

        Parameters
        ----------
        change : callable, optional
            Gets the command frames of a record and returns those that happen instead.
        """
        number = first - 1
        for at, (offset, ts_ns, payload) in enumerate(entries(self._place), 1):
            if last is not None and at > last:
                break
            number = at
            if at >= first:
                ear.record(offset, ts_ns, payload if change is None else _changed(payload, change))
        return number


def _changed(payload: memoryview, change: Rule) -> memoryview | bytes:
    """Return a record with other commands but as many, so that numbers of a source stay whole."""
    try:
        found = decode(payload)
    except FrameError:
        return payload  # the cell answers why it cannot be read
    frames = change(np.frombuffer(found.frames, COMMAND))
    again = seal(frames.tobytes(), source=found.source, first_seq=found.first_seq)
    if again.count != found.count:
        raise ConfigError(f"{found.count} commands became {again.count}: numbers would not fit")
    return encode(again)


def nothing(starts: npt.NDArray[np.bool_], frames: Frames, out: npt.NDArray[np.bool_]) -> Frames:
    """Return frames with some commands replaced by ones that do nothing.

    Parameters
    ----------
    starts : array of bool
        Which frames begin a command.
    frames : array of COMMAND
    out : array of bool
        Which frames are to go, continuations with their command.
    """
    kept = frames.copy()
    kept[starts & out] = _TIME[0]
    return kept[~(out & ~starts)]
