"""A LOBSTER day as commands: followed once with all its book-keeping, recorded, replayed at speed.

What a day's file leaves out (levels beyond its view, orders from before it begins) is decided row
by row against its snapshots, in Python. The commands that come out of this are recorded, and they
alone are what the measured engine gets.
"""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterator
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from tradecore.cli.feeds import BATCH, Batch, Feed, Frames, Until
from tradecore.codes import CommandKind, OrdType, Tif
from tradecore.data.flows import instrument_frames
from tradecore.data.flows_lobster import Execution, Row
from tradecore.data.lobster import EXECUTE, EXECUTE_HIDDEN, LobsterDay, read_lobster
from tradecore.dtypes import COMMAND
from tradecore.engine import Engine, EngineConfig
from tradecore.errors import DataError
from tradecore.verify.lobster import DayResult, FlowCheck, follow
from tradecore.verify.report import Progress

__all__ = ["lobster_feed"]

_PX_DECIMALS: Final = 4
_COLUMNS: Final = ("kind", "side", "ord_type", "tif", "order_id", "px", "order_qty", "flags")


class _Recorder:
    """An engine's commands, noted on their way to it; everything else goes straight through."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.commands: list[tuple[int, ...]] = []
        self.rows: list[int] = []
        self.row = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def _note(self, *command: int) -> None:
        self.commands.append(command)
        self.rows.append(self.row)

    def new_order(
        self, account: int, instrument: int, side: int, qty: int, px: int, kind: int, **more: int
    ) -> Any:
        """Note and send a resting order."""
        order_id = more["order_id"]
        self._note(CommandKind.NEW_ORDER, side, kind, Tif.GTC, order_id, px, qty, 0)
        return self._engine.new_order(account, instrument, side, qty, px, kind, **more)

    def replace(self, account: int, order_id: int, **more: int) -> Any:
        """Note and send a change of the open quantity."""
        qty, flags = more["order_qty"], more["flags"]
        self._note(CommandKind.REPLACE_ORDER, 0, 0, 0, order_id, 0, qty, flags)
        return self._engine.replace(account, order_id, **more)

    def cancel(self, account: int, order_id: int) -> Any:
        """Note and send a cancel."""
        self._note(CommandKind.CANCEL_ORDER, 0, 0, 0, order_id, 0, 0, 0)
        return self._engine.cancel(account, order_id)

    def apply(self, frames: Frames) -> Any:
        """Note and send an aggressive order."""
        for frame in frames:
            self._note(*(int(frame[name]) for name in _COLUMNS))
        return self._engine.apply(frames)


class _RecordedFlow(FlowCheck):
    """Follows a day and notes at which row each command was sent."""

    def __init__(self, day: LobsterDay) -> None:
        super().__init__(day.levels, DayResult())
        self.recorder = _Recorder(self.book.engine)
        self.book.engine = cast("Engine", self.recorder)
        plain = (day.messages["type"] != EXECUTE) & (day.messages["type"] != EXECUTE_HIDDEN)
        plain[0] = False  # the first row seeds the book
        self._plain_rows = iter(np.flatnonzero(plain).tolist())

    def message(self, m: Any, i: int, snapshot: Row) -> None:
        """Follow a message that is not an execution."""
        self.recorder.row = next(self._plain_rows)
        super().message(m, i, snapshot)

    def aggressor(self, number: int, side: int, recorded: list[Execution], snapshot: Row) -> None:
        """Follow an execution."""
        self.recorder.row = number
        super().aggressor(number, side, recorded, snapshot)


def _symbol(path: str) -> str:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if "message" in name]
    return names[0].rpartition("/")[2].partition("_")[0] if names else "book"


def _record(
    day: LobsterDay, progress: Progress | None
) -> tuple[Frames, npt.NDArray[np.int64], DayResult]:
    """Return the commands of a day, the row of each, and what the following found."""
    flow = _RecordedFlow(day)
    follow(day, flow, progress=progress)
    table = np.array(flow.recorder.commands, np.int64).reshape(-1, len(_COLUMNS))
    rows = np.array(flow.recorder.rows, np.int64)
    frames = np.zeros(len(table), COMMAND)
    for column, name in enumerate(_COLUMNS):
        frames[name] = table[:, column]
    frames["ord_type"][frames["kind"] != CommandKind.NEW_ORDER] = 0
    assert not len(frames) or int(frames["ord_type"].max()) <= OrdType.LIMIT
    frames["ts_ns"] = day.messages["ts_ns"][rows]
    return frames, rows, flow.result


def lobster_feed(path: str, until: Until, progress: Progress | None = None) -> Feed:
    """Return the feed of a LOBSTER day.

    Raises
    ------
    DataError
        The archive is damaged, or `until` leaves no row.
    """
    begin = time.perf_counter()
    day = read_lobster(path)
    last = len(day.messages) if until.rows is None else min(until.rows, len(day.messages))
    if until.ts_ns is not None:
        last = int(np.searchsorted(day.messages["ts_ns"][:last], until.ts_ns, side="right"))
    if last == 0:
        raise DataError("--until leaves no row to replay", path)
    day = day._replace(messages=day.messages[:last], book=day.book[:last])
    frames, rows, result = _record(day, progress)

    def batches() -> Iterator[Batch]:
        done = 0
        for first in range(0, len(frames), BATCH):
            part = frames[first : first + BATCH]
            at_end = first + BATCH >= len(frames)
            reached = last if at_end else int(rows[first + len(part) - 1])
            yield Batch(part, reached - done)
            done = reached

    return Feed(
        path=path,
        kind="lobster",
        rows=last,
        config=EngineConfig(max_instruments=1, max_orders=1 << 16),
        setup=instrument_frames(1),
        batches=batches,
        names={0: _symbol(path)},
        px_decimals=_PX_DECIMALS,
        since_midnight=True,
        prepare_s=time.perf_counter() - begin,
        notes=[
            f"{result.aggressors_equal:,} of {result.aggressors:,} recorded aggressive orders fill "
            f"as recorded ({result.fills_equal:,} of {result.fills:,} executions)"
        ],
    )
