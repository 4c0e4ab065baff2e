"""LOBSTER days: the book on every row, and the recorded executions as orders.

Two questions, two engines, one reading of the file:

- **rows**: every message is applied as an order operation; after each the book must equal the
  snapshot row, price and size of every level. Levels that come into view are adopted (see
  `tradecore.data.flows_lobster`), all others must be equal. All rows must hold.
- **aggressors and fills**: every run of executions with one time and side is sent as *one*
  immediate order into the matching engine, which must fill the recorded orders at the recorded
  prices and sizes in the recorded order. Reported only: hidden liquidity, priorities from before
  the file and sweeps beyond the levels shown make a few differ in real data. A file
  ``expected_replay.json`` beside the archive that names the day is compared, and reported, when it
  is there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from tradecore.codes import Phase, Side
from tradecore.data.flows_lobster import Execution, LobsterBook, Row, side_levels
from tradecore.data.lobster import (
    DELETE,
    EXECUTE,
    EXECUTE_HIDDEN,
    REDUCE,
    SUBMIT,
    LobsterDay,
    aggressor_runs,
    read_lobster,
)
from tradecore.verify.report import Failure, FileResult, Progress

__all__ = ["DayResult", "FlowCheck", "follow", "judge", "replay_day"]

_CHUNK: Final = 4096
_SHOWN: Final = 20
_SIDES: Final = (Side.SELL, Side.BUY)


class DayResult(msgspec.Struct):
    """Counts of one day.

    Attributes
    ----------
    rows, rows_equal : int
        Rows compared and equal; row 0 seeds the book and is compared with what was seeded.
    aggressors, aggressors_equal, fills, fills_equal : int
        Recorded aggressive orders and executions, and those that the engine reproduced; a fill
        counts as equal where its whole aggressor is.
    bad_rows, bad_aggressors : list of int
        Row numbers, from 0.
    differences : list of Failure
        The first rows that differ.
    """

    rows: int = 0
    rows_equal: int = 0
    aggressors: int = 0
    aggressors_equal: int = 0
    fills: int = 0
    fills_equal: int = 0
    bad_rows: list[int] = []
    bad_aggressors: list[int] = []
    differences: list[Failure] = []


class _Message:
    """The columns of a chunk of messages as plain lists."""

    def __init__(self, messages: Any) -> None:
        self.kind: list[int] = messages["type"].tolist()
        self.order_id: list[int] = messages["order_id"].tolist()
        self.px: list[int] = messages["px"].tolist()
        self.qty: list[int] = messages["order_qty"].tolist()
        sides = np.where(messages["direction"] == 1, Side.BUY, Side.SELL)
        self.side: list[int] = sides.tolist()


def _seed(book: LobsterBook, row: Row) -> None:
    for side in _SIDES:
        for px, qty in side_levels(row, side):
            book.add_unknown(side, px, qty)


def _show(levels: list[tuple[int, int]]) -> str:
    return " ".join(f"{qty}@{px}" for px, qty in levels) or "empty"


class _RowCheck:
    """The first question: book-keeping, compared on every row."""

    def __init__(self, levels: int, result: DayResult) -> None:
        self.book = LobsterBook(levels, Phase.AUCTION)
        self.result = result

    def row(self, number: int, m: _Message, i: int, snapshot: Row) -> None:
        """Apply message `i` of the chunk and compare the book with the row."""
        kind, side = m.kind[i], m.side[i]
        if kind == SUBMIT:
            self.book.submit(m.order_id[i], side, m.px[i], m.qty[i])
        elif kind in (REDUCE, DELETE, EXECUTE):
            self.book.take(m.order_id[i], side, m.px[i], m.qty[i])
        self.compare(number, snapshot)

    def compare(self, number: int, snapshot: Row) -> None:
        """Compare the book with a row, adopting levels that came into view."""
        self.result.rows += 1
        equal = True
        for which in _SIDES:
            wanted = side_levels(snapshot, which)
            have = self.book.cut(which)
            if len(have) < len(wanted):
                self.book.adopt(which, wanted, have)
                have = self.book.cut(which)
            if [(px, qty) for px, qty, _ in have] != wanted:
                equal = False
                self._differs(number, which, wanted, have)
        if equal:
            self.result.rows_equal += 1
        else:
            self.result.bad_rows.append(number)

    def _differs(
        self, number: int, side: int, wanted: list[tuple[int, int]], have: list[Any]
    ) -> None:
        if len(self.result.differences) < _SHOWN:
            name = f"row {number}, {'asks' if side == Side.SELL else 'bids'}"
            actual = _show([(px, qty) for px, qty, _ in have])
            self.result.differences.append(Failure(name, _show(wanted), actual))


def _merged(executions: list[Execution]) -> list[Execution]:
    """Join what was taken one after the other of the same order."""
    joined: list[Execution] = []
    for one in executions:
        if joined and joined[-1][:2] == one[:2]:
            joined[-1] = joined[-1]._replace(qty=joined[-1].qty + one.qty)
        else:
            joined.append(one)
    return joined


class FlowCheck:
    """The second question: recorded aggressors through the matching engine.

    Parameters
    ----------
    levels : int
        Levels per side of the day's snapshots.
    result : DayResult
        Receives the counts.

    Attributes
    ----------
    book : LobsterBook
        The book that the day is replayed into.
    """

    def __init__(self, levels: int, result: DayResult) -> None:
        self.book = LobsterBook(levels, Phase.CONTINUOUS)
        self.result = result

    def message(self, m: _Message, i: int, snapshot: Row) -> None:
        """Apply a message that is not an execution."""
        kind = m.kind[i]
        if kind == SUBMIT:
            self.book.submit(m.order_id[i], m.side[i], m.px[i], m.qty[i])
        elif kind in (REDUCE, DELETE):
            self.book.take(m.order_id[i], m.side[i], m.px[i], m.qty[i])
        self._fit(snapshot)

    def aggressor(self, number: int, side: int, recorded: list[Execution], snapshot: Row) -> None:
        """Send one recorded aggressor.

        Parameters
        ----------
        number : int
            Row of its first execution.
        side : int
            Of the *resting* orders.
        recorded : list of Execution
            In file order; makers by their own id.
        snapshot : Row
            The row after the last of its executions.
        """
        book = self.book
        wanted = [one if book.knows(one.maker) else one._replace(maker=0) for one in recorded]
        prices = [one.px for one in recorded]
        limit = min(prices) if side == Side.BUY else max(prices)
        taker = Side.SELL if side == Side.BUY else Side.BUY
        actual = book.aggress(taker, limit, sum(one.qty for one in recorded))
        self.result.aggressors += 1
        self.result.fills += len(recorded)
        if _merged(wanted) == _merged(actual):
            self.result.aggressors_equal += 1
            self.result.fills_equal += len(recorded)
        else:
            self.result.bad_aggressors.append(number)
        self._fit(snapshot)

    def _fit(self, snapshot: Row) -> None:
        """Adopt levels that came into view; forget who stands at a level whose total is wrong.

        After an execution that differs, somebody stands in the queue who is gone in the file. That
        shows when one of them leaves: then nothing is known about the level but its total.
        """
        for side in _SIDES:
            wanted = side_levels(snapshot, side)
            have = self.book.cut(side)
            if len(have) < len(wanted):
                self.book.adopt(side, wanted, have)
                have = self.book.cut(side)
            if [(px, qty) for px, qty, _ in have] == wanted:
                continue
            totals = {px: qty for px, qty, _ in have}
            for px in totals.keys() - dict(wanted).keys():
                self.book.clear(side, px)
            for px, qty in wanted:
                if totals.get(px) != qty:
                    self.book.clear(side, px)
                    self.book.add_unknown(side, px, qty)


def replay_day(day: LobsterDay, progress: Progress | None = None) -> DayResult:
    """Answer both questions for a day in memory. O(rows x levels).

    Parameters
    ----------
    day : LobsterDay
    progress : callable, optional
    """
    result = DayResult()
    rows = _RowCheck(day.levels, result)
    _seed(rows.book, day.book[0].tolist())
    rows.compare(0, day.book[0].tolist())
    follow(day, FlowCheck(day.levels, result), rows=rows, progress=progress)
    return result


def follow(
    day: LobsterDay,
    flow: FlowCheck,
    *,
    rows: _RowCheck | None = None,
    progress: Progress | None = None,
) -> None:
    """Replay a day as orders: seed the book from its first row, then send message after message.

    Parameters
    ----------
    day : LobsterDay
    flow : FlowCheck
        A new one; receives the orders.
    rows : optional
        Compared on every row along the way.
    progress : callable, optional
    """
    runs = aggressor_runs(day.messages)
    total = len(day.messages)
    after: Row = day.book[0].tolist()
    _seed(flow.book, after)
    pending: list[Execution] = []
    start, run, side = 0, -1, int(Side.BUY)

    def finish() -> None:
        nonlocal run
        if run >= 0:
            flow.aggressor(start, side, pending, after)
        pending.clear()
        run = -1

    for begin in range(1, total, _CHUNK):
        part = slice(begin, min(begin + _CHUNK, total))
        m = _Message(day.messages[part])
        number_of = runs[part].tolist()
        for i, snapshot in enumerate(day.book[part].tolist()):
            row = begin + i
            if rows is not None:
                rows.row(row, m, i, snapshot)
            if m.kind[i] == EXECUTE_HIDDEN:
                continue
            if number_of[i] != run:
                finish()
            if m.kind[i] == EXECUTE:
                if run < 0:
                    start, run, side = row, number_of[i], m.side[i]
                pending.append(Execution(m.order_id[i], m.px[i], m.qty[i]))
                after = snapshot
            else:
                flow.message(m, i, snapshot)
        if progress:
            progress(day.name, min(begin + _CHUNK, total), total)
    finish()


def _replay_expectation(day: LobsterDay) -> dict[str, Any] | None:
    """Return what ``expected_replay.json`` beside the archive says about the day, if anything."""
    path = Path(day.name).with_name("expected_replay.json")
    if not path.is_file():
        return None
    try:
        table = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, Any]])
    except (OSError, ValueError, msgspec.DecodeError):
        return None  # somebody else's file of that name: it promises nothing about this day
    # A day is named by ticker and levels; the archive's name holds both.
    name = os.path.basename(day.name)
    for key, entry in table.items():
        ticker, _, levels = key.rpartition("_")
        if f"_{ticker}_" in name and levels == str(day.levels):
            return entry
    return None


def _compare_replay(result: DayResult, entry: dict[str, Any]) -> str:
    """Return a line that compares the counts and the exceptions with published ones."""
    pairs = (
        ("groups", result.aggressors),
        ("groups_ok", result.aggressors_equal),
        ("fills", result.fills),
        ("fills_ok", result.fills_equal),
        ("bad_group_start_rows_0based", result.bad_aggressors),
    )
    different = [
        f"{key} {actual} instead of {entry[key]}"
        for key, actual in pairs
        if key in entry and entry[key] != actual
    ]
    if different:
        return "replay differs from expected_replay.json: " + "; ".join(different)
    return "replay as in expected_replay.json"


def judge(path: str, progress: Progress | None = None) -> FileResult:
    """Judge one day.

    Raises
    ------
    DataError
        The archive is damaged.
    """
    day = read_lobster(path)
    result = replay_day(day, progress)
    lines = [
        f"rows {result.rows_equal}/{result.rows}",
        f"aggressors {result.aggressors_equal}/{result.aggressors} "
        f"fills {result.fills_equal}/{result.fills}",
    ]
    if entry := _replay_expectation(day):
        lines.append(_compare_replay(result, entry))
    return FileResult(
        path=path,
        kind="lobster",
        passed=result.rows_equal,
        failed=result.rows - result.rows_equal,
        lines=lines,
        failures=result.differences,
    )
