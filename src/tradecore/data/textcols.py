"""Columns of integers out of delimited text, vectorised: the parser under the LOBSTER reader.

A table of a few hundred thousand rows and twenty columns has to be parsed exactly (nanosecond
times and prices do not go through a float) and fast, with nothing beyond numpy. The idea: find all
separators at once, then add up the digits of all fields together, one decimal place per pass.
Cost: O(bytes), about one gather per digit.

The fast path only decides *whether* a block is well formed. When it is not, a slow walk over the
lines finds the first bad field, so that the error names its exact position.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from tradecore.errors import DataError

__all__ = ["MAX_DIGITS", "integer_table"]

MAX_DIGITS = 18
"""Longest accepted digit run: every 18-digit number fits an int64, with its sign."""

Int64Array = npt.NDArray[np.int64]

_COMMA, _NEWLINE, _MINUS, _ZERO, _POINT = (ord(char) for char in ",\n-0.")
_INTEGER = re.compile(rb"-?[0-9]{1,18}")


def _sum_digits(
    text: npt.NDArray[np.uint8], starts: Int64Array, ends: Int64Array
) -> tuple[Int64Array, bool]:
    """Return the unsigned integers in ``text[starts:ends]``, and whether all were digits only."""
    lengths = ends - starts
    values = np.zeros(len(starts), np.int64)
    if not len(starts):
        return values, True
    longest = int(lengths.max())
    if int(lengths.min()) < 1 or longest > MAX_DIGITS:
        return values, False
    power = 1
    live = np.arange(len(starts))
    for place in range(longest):
        # Fields shorter than `place` digits have dropped out: the passes together touch each digit
        # once.
        digit = text[ends[live] - 1 - place] - np.uint8(
            _ZERO
        )  # a non-digit wraps round to more than 9
        if digit.max() > 9:
            return values, False
        values[live] += digit * np.int64(power)
        power *= 10
        live = live[lengths[live] > place + 1]
    return values, True


def _fixed_point(
    text: npt.NDArray[np.uint8], starts: Int64Array, ends: Int64Array, decimals: int
) -> tuple[Int64Array, bool]:
    """Return non-negative decimals (``34200.01746``) scaled by ``10**decimals`` and rounded."""
    points = np.flatnonzero(text == _POINT)
    slot = np.searchsorted(points, starts)
    inside = slot < len(points)
    where = np.where(
        inside, points[np.minimum(slot, len(points) - 1)] if len(points) else ends, ends
    )
    where = np.minimum(where, ends)
    whole, good = _sum_digits(text, starts, where)
    fraction_length = np.maximum(ends - where - 1, 0)
    if not good or int(whole.max(initial=0)) >= 10 ** (MAX_DIGITS - decimals):
        return whole, False
    has = where < ends
    values = whole * np.int64(10**decimals)
    part, good = _sum_digits(text, where[has] + 1, ends[has])
    if good:
        places = fraction_length[has]
        power = np.power(np.int64(10), np.abs(decimals - places))
        # More digits than wanted are printing artefacts of somebody's float: round to nearest,
        # half up.
        values[has] += np.where(places <= decimals, part * power, (part + power // 2) // power)
    return values, good


def integer_table(
    block: bytes, columns: int, name: str, offset: int, *, fixed_point: int = 0
) -> Int64Array:
    r"""Parse a block of complete lines of comma-separated integers.

    Parameters
    ----------
    block : bytes
        Whole lines, each ended by ``\n`` or ``\r\n``.
    columns : int
        Fields per line.
    name : str
        The file, for errors.
    offset : int
        Byte position of the block in the file, for errors.
    fixed_point : int, optional
        When not 0, the first column is a non-negative decimal number and is returned multiplied by
        ``10**fixed_point``. No float is involved: up to this many decimals are exact, further ones
        (at most 18) are rounded half up.

    Returns
    -------
    numpy.ndarray of int64, shape (lines, columns)

    Raises
    ------
    DataError
        At the first line with another number of fields, or the first field that is not such a
        number or has more than 18 digits.
    """
    plain = block.replace(b"\r\n", b"\n") if b"\r" in block else block
    if not plain:
        return np.empty((0, columns), np.int64)
    text = np.frombuffer(plain, np.uint8)
    ends = np.flatnonzero((text == _COMMA) | (text == _NEWLINE))
    rows, extra = divmod(len(ends), columns)
    lined = (
        extra == 0
        and text[-1] == _NEWLINE
        and bool((text[ends[columns - 1 :: columns]] == _NEWLINE).all())
        and int(np.count_nonzero(text == _NEWLINE)) == rows
    )
    if not lined:
        raise _first_fault(block, columns, name, offset, fixed_point)
    starts = np.empty_like(ends)
    starts[0] = 0
    starts[1:] = ends[:-1] + 1
    negative = text[starts] == _MINUS
    table = np.empty((rows, columns), np.int64)
    first = 0
    if fixed_point:
        table[:, 0], good = _fixed_point(text, starts[::columns], ends[::columns], fixed_point)
        if not good:
            raise _first_fault(block, columns, name, offset, fixed_point)
        first = 1
    select = np.ones((rows, columns), bool)
    select[:, :first] = False
    chosen = select.ravel()
    minus = negative[chosen]
    values, good = _sum_digits(text, starts[chosen] + minus, ends[chosen])
    if not good:
        raise _first_fault(block, columns, name, offset, fixed_point)
    np.negative(values, out=values, where=minus)
    table[:, first:] = values.reshape(rows, columns - first)
    return table


def _first_fault(block: bytes, columns: int, name: str, offset: int, fixed_point: int) -> DataError:
    """Find the first bad field of a block that the fast path refused."""
    decimal = re.compile(rb"[0-9]{1,%d}(\.[0-9]{1,%d})?" % (MAX_DIGITS - fixed_point, MAX_DIGITS))
    at = offset
    for raw in block.split(b"\n"):
        line = raw.removesuffix(b"\r")
        fields = line.split(b",")
        if len(fields) != columns and at < offset + len(block):
            return DataError(f"{len(fields)} fields in a line, {columns} expected", name, at)
        place = at
        for index, field in enumerate(fields):
            pattern = decimal if fixed_point and index == 0 else _INTEGER
            if not pattern.fullmatch(field) and at < offset + len(block):
                kind = "a number of seconds" if pattern is decimal else "an integer"
                shown = field[:40].decode("ascii", "backslashreplace")
                return DataError(f"field {index + 1} is not {kind}: '{shown}'", name, place)
            place += len(field) + 1
        at += len(raw) + 1
    return DataError("the last line has no line end", name, offset + len(block))
