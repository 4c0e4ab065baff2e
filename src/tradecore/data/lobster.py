"""LOBSTER days: the message and order-book CSV files inside one zip archive.

Owns finding the two members, parsing them in step, and the meaning of the columns. Message row *i*
turned the book into order-book row *i*; both files have the same number of rows. Source: the
LOBSTER read-me inside the archives.

Units: times are nanoseconds after midnight of the exchange, prices are dollars times 10,000, sizes
are shares. A level that does not exist is written by the format as price +-9999999999 and size 0;
it is kept as it is, and `ABSENT_PX` names it.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradecore.data.source import ByteSource, PathLike, open_member, open_zip
from tradecore.data.textcols import integer_table
from tradecore.errors import DataError

__all__ = [
    "ABSENT_PX",
    "CROSS_TRADE",
    "DELETE",
    "EXECUTE",
    "EXECUTE_HIDDEN",
    "HALT",
    "LOBSTER_MESSAGE",
    "REDUCE",
    "SUBMIT",
    "LobsterBlock",
    "LobsterDay",
    "aggressor_runs",
    "is_lobster_zip",
    "iter_lobster",
    "read_lobster",
]

SUBMIT = 1  # a new limit order
REDUCE = 2  # partial cancellation: `size` is what goes away
DELETE = 3  # total deletion
EXECUTE = 4  # execution of a visible resting order, at most its size
EXECUTE_HIDDEN = 5  # execution against a hidden order: the visible book does not change
CROSS_TRADE = 6
HALT = 7  # price -1 halted, 0 quoting resumes, 1 trading resumes

ABSENT_PX = 9_999_999_999

LOBSTER_MESSAGE = np.dtype(
    [
        ("ts_ns", "<i8"),
        ("order_id", "<i8"),
        ("order_qty", "<i8"),
        ("px", "<i8"),
        ("type", "i1"),
        ("direction", "i1"),  # of the *resting* order: 1 buy, -1 sell
    ]
)
"""One row of the message file. `direction` is the side of the order the message is about."""

Messages = npt.NDArray[np.void]
Book = npt.NDArray[np.int64]

_MESSAGE_COLUMNS = 6
_BLOCK_BYTES = 1 << 20
_DAY_NS = 86_400 * 1_000_000_000
_MAX_LINE = 1 << 16


class LobsterBlock(NamedTuple):
    """Consecutive rows of one day.

    Attributes
    ----------
    first_row : int
        Row number, from 0, of ``messages[0]`` within the day.
    messages : numpy.ndarray of LOBSTER_MESSAGE, shape (n,)
    book : numpy.ndarray of int64, shape (n, levels, 4)
        The book after each message: per level ask price, ask size, bid price, bid size; best level
        first.
    """

    first_row: int
    messages: Messages
    book: Book


class LobsterDay(NamedTuple):
    """A whole day in memory.

    Attributes
    ----------
    name : str
        The archive as the caller named it.
    levels : int
        Price levels per side in the book rows.
    messages : numpy.ndarray of LOBSTER_MESSAGE, shape (n,)
    book : numpy.ndarray of int64, shape (n, levels, 4)
        As in `LobsterBlock`.
    """

    name: str
    levels: int
    messages: Messages
    book: Book


def _members(archive: zipfile.ZipFile, name: str) -> tuple[str, str]:
    """Return the names of the message and the order-book member."""
    found = {}
    for kind in ("message", "orderbook"):
        matches = [
            member
            for member in archive.namelist()
            if kind in os.path.basename(member).lower() and member.lower().endswith(".csv")
        ]
        if len(matches) != 1:
            reason = (
                f"not a LOBSTER archive: {len(matches)} members named '*{kind}*.csv', 1 expected"
            )
            raise DataError(reason, name)
        found[kind] = matches[0]
    return found["message"], found["orderbook"]


def is_lobster_zip(path: PathLike) -> bool:
    """Tell whether a zip archive holds a LOBSTER day; anything unreadable is not one."""
    try:
        with open_zip(path) as archive:
            _members(archive, os.fspath(path))
    except DataError:
        return False
    return True


class _Table:
    """A member read block by block, whole lines at a time, handing out a chosen number of rows."""

    def __init__(self, source: ByteSource, columns: int, fixed_point: int) -> None:
        self._source = source
        self._columns = columns
        self._fixed_point = fixed_point
        self._rest = b""
        self._rows = np.empty((0, columns), np.int64)
        self.name = source.name
        self.ended = False

    @property
    def ready(self) -> int:
        """Rows parsed and not yet taken."""
        return len(self._rows)

    def fill(self) -> None:
        """Parse one more block."""
        at = self._source.offset - len(self._rest)
        data = self._source.read(_BLOCK_BYTES)
        block = self._rest + data
        if len(data) < _BLOCK_BYTES:
            self.ended = True
            # The last line of a hand-made file may lack its line end; the parser wants whole lines.
            whole = block if not block or block.endswith(b"\n") else block + b"\n"
            self._rest = b""
        else:
            cut = block.rfind(b"\n") + 1
            whole, self._rest = block[:cut], block[cut:]
            if len(self._rest) > _MAX_LINE:
                raise DataError(f"no line end within {_MAX_LINE} bytes", self.name, at + cut)
        fresh = integer_table(whole, self._columns, self.name, at, fixed_point=self._fixed_point)
        self._rows = np.concatenate((self._rows, fresh)) if self.ready else fresh

    def take(self, rows: int) -> npt.NDArray[np.int64]:
        """Remove and return the first `rows` parsed rows."""
        taken, self._rows = self._rows[:rows], self._rows[rows:]
        return taken

    @property
    def offset(self) -> int:
        """Decompressed bytes read so far, for errors."""
        return self._source.offset


class _BadRowError(Exception):
    """A row that parses but cannot be; the caller turns its number into a byte offset."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(row, reason)
        self.row = row
        self.reason = reason


def _to_messages(rows: npt.NDArray[np.int64], first_row: int, last_ns: int) -> Messages:
    """Check the codes and times of raw message rows and give the columns their types."""
    kind, direction = rows[:, 1], rows[:, 5]
    wrong = (
        (kind < SUBMIT)
        | (kind > HALT)
        | (np.abs(direction) != 1)
        | (rows[:, 3] < 0)
        | (rows[:, 0] >= _DAY_NS)
    )
    if wrong.any():
        index = int(wrong.argmax())
        time, code, _, size, _, side = (int(value) for value in rows[index])
        reason = f"impossible message: type {code}, size {size}, direction {side}, time {time} ns"
        raise _BadRowError(first_row + index, reason)
    backwards = np.flatnonzero(np.diff(rows[:, 0], prepend=last_ns) < 0)
    if len(backwards):
        raise _BadRowError(first_row + int(backwards[0]), "time runs backwards")
    messages = np.empty(len(rows), LOBSTER_MESSAGE)
    columns = ("ts_ns", "type", "order_id", "order_qty", "px", "direction")
    for column, field in enumerate(columns):
        messages[field] = rows[:, column]
    return messages


def _locate(archive: zipfile.ZipFile, member: str, error: _BadRowError) -> DataError:
    """Turn a row number into the byte offset of its line, by reading the member once more."""
    with open_member(archive, member) as source:
        offset = next((at for row, (at, _) in enumerate(source.lines()) if row == error.row), None)
        return DataError(f"row {error.row}: {error.reason}", source.name, offset)


def _levels_of(source: ByteSource) -> int:
    """Read the number of levels off the first line of the order-book file."""
    head = source.peek(_MAX_LINE)
    line = head.partition(b"\n")[0]
    fields = line.count(b",") + 1 if line else 0
    if fields == 0 or fields % 4:
        reason = f"the first order-book line has {fields} fields, a multiple of 4 expected"
        raise DataError(reason, source.name, 0)
    return fields // 4


def iter_lobster(path: PathLike) -> Iterator[LobsterBlock]:
    """Stream a LOBSTER day; memory is bounded by a block of about 1 MiB of text per file.

    Parameters
    ----------
    path : str or path-like
        A zip archive with one ``*message*.csv`` and one ``*orderbook*.csv`` member.

    Yields
    ------
    LobsterBlock
        In order, without gaps, until both members end together.

    Raises
    ------
    DataError
        The archive is damaged, a field is not a number, a code is impossible, time runs backwards,
        or the two files have different numbers of rows. Names member, decompressed offset and
        reason.
    """
    name = os.fspath(path)
    with open_zip(path) as archive:
        message_member, book_member = _members(archive, name)
        with (
            open_member(archive, message_member) as left,
            open_member(archive, book_member) as right,
        ):
            levels = _levels_of(right)
            messages = _Table(left, _MESSAGE_COLUMNS, fixed_point=9)
            book = _Table(right, 4 * levels, fixed_point=0)
            row = 0
            last_ns = 0
            while True:
                for table in (messages, book):
                    if not table.ready and not table.ended:
                        table.fill()
                count = min(messages.ready, book.ready)
                if count == 0:
                    break
                try:
                    block = _to_messages(messages.take(count), row, last_ns)
                except _BadRowError as error:
                    raise _locate(archive, message_member, error) from None
                last_ns = int(block["ts_ns"][-1])
                yield LobsterBlock(row, block, book.take(count).reshape(count, levels, 4))
                row += count
            for longer, shorter in ((messages, book), (book, messages)):
                if longer.ready:
                    reason = f"ends after {row} rows, but {longer.name} has more"
                    raise DataError(reason, shorter.name, shorter.offset)


def read_lobster(path: PathLike) -> LobsterDay:
    """Read a whole LOBSTER day into memory (about ``42 + 32 * levels`` bytes a row).

    Raises
    ------
    DataError
        As `iter_lobster`; also when the day holds no row at all.
    """
    name = os.fspath(path)
    blocks = list(iter_lobster(path))
    if not blocks:
        raise DataError("the day holds no messages", name, 0)
    messages = np.concatenate([block.messages for block in blocks])
    book = np.concatenate([block.book for block in blocks])
    return LobsterDay(name, book.shape[1], messages, book)


def aggressor_runs(messages: Messages) -> npt.NDArray[np.int64]:
    """Group visible executions into aggressive orders.

    One incoming order that sweeps several resting orders is recorded as a run of `EXECUTE` rows
    with one time stamp and one direction. Hidden executions of the same order may stand between
    them; they do not end the run.

    Parameters
    ----------
    messages : numpy.ndarray of LOBSTER_MESSAGE, shape (n,)

    Returns
    -------
    numpy.ndarray of int64, shape (n,)
        For each row the number of its run, counted from 0 in order of appearance; -1 where the row
        is not an `EXECUTE`.
    """
    run = np.full(len(messages), -1, np.int64)
    # Every row except hidden executions takes part, so that a submission between two executions
    # separates them.
    seen = np.flatnonzero(messages["type"] != EXECUTE_HIDDEN)
    if not len(seen):
        return run
    part = messages[seen]
    execute = part["type"] == EXECUTE
    same = np.zeros(len(part), bool)
    same[1:] = (
        execute[1:]
        & execute[:-1]
        & (part["ts_ns"][1:] == part["ts_ns"][:-1])
        & (part["direction"][1:] == part["direction"][:-1])
    )
    numbers = np.cumsum(execute & ~same) - 1
    run[seen[execute]] = numbers[execute]
    return run
