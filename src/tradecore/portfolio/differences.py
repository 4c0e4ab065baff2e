"""Two states of the books compared: every difference named, none explained away.

`tradecore reconcile` computes what should be from the executions and asks what is. A difference is
one field of one row (or one document), with both values, or a row that only one side has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tradecore.errors import DataError
from tradecore.portfolio.columns import Table
from tradecore.portfolio.document import PortfolioDocument, decode_document

__all__ = ["Difference", "compare_documents", "compare_tables"]


class Difference(NamedTuple):
    """One thing that is not as it should be.

    Parameters
    ----------
    where : str
        Table or kind of document.
    key : str
        The row: ``user_id 7, cell 0, seq 12``.
    field : str
        The column; empty when the whole row is missing or too much.
    expected, found : str
        By the log, and as it is; ``none`` for a row that is not there.
    """

    where: str
    key: str
    field: str
    expected: str
    found: str

    def __str__(self) -> str:
        """Return one line for people."""
        what = f" {self.field}" if self.field else ""
        return f"{self.where}: {self.key}:{what} should be {self.expected}, is {self.found}"


def _rows(table: Table, key: Sequence[str]) -> dict[tuple[int, ...], tuple[int, ...]]:
    names = list(table.dtype.names or ())
    places = [names.index(name) for name in key]
    return {tuple(row[at] for at in places): row for row in table.tolist()}


def compare_tables(
    where: str, expected: Table, found: Table, key: Sequence[str]
) -> Iterator[Difference]:
    """Yield how two tables of the same columns differ, by key. O(rows)."""
    if len(expected) == len(found) and (expected == found).all():
        return
    names = expected.dtype.names or ()
    want, have = _rows(expected, key), _rows(found, key)
    for row in sorted({*want, *have}):
        title = ", ".join(f"{name} {value}" for name, value in zip(key, row, strict=True))
        if row not in have:
            yield Difference(where, title, "", _text(names, want[row]), "none")
        elif row not in want:
            yield Difference(where, title, "", "none", _text(names, have[row]))
        else:
            for name, a, b in zip(names, want[row], have[row], strict=True):
                if a != b:
                    yield Difference(where, title, name, str(a), str(b))


def _text(names: Iterable[str], row: tuple[int, ...]) -> str:
    return " ".join(f"{name}={value}" for name, value in zip(names, row, strict=True))


def compare_documents(
    expected: Mapping[str, PortfolioDocument], found: Mapping[str, bytes | None]
) -> Iterator[Difference]:
    """Yield how cached documents differ from what they should be; marks are not compared.

    Parameters
    ----------
    expected : mapping of str to PortfolioDocument
        By key.
    found : mapping of str to bytes or None
        What the cache has, keys without a user included.
    """
    for key in sorted({*expected, *found}):
        data = found.get(key)
        if key not in expected:
            yield Difference("cache", key, "", "none", "a document")
            continue
        if data is None:
            yield Difference("cache", key, "", "a document", "none")
            continue
        try:
            have = decode_document(data).without_marks()
        except DataError as error:
            yield Difference("cache", key, "", "a document", str(error))
            continue
        yield from _fields(key, expected[key].without_marks(), have)


def _fields(key: str, want: Any, have: Any) -> Iterator[Difference]:
    for name in want.__struct_fields__:
        a, b = getattr(want, name), getattr(have, name)
        if a == b:
            continue
        if isinstance(a, list) and len(a) == len(b):
            for at, (one, other) in enumerate(zip(a, b, strict=True)):
                if one != other:
                    yield from _nested(key, f"{name}[{at}]", one, other)
        else:
            yield Difference("cache", key, name, _short(a), _short(b))


def _nested(key: str, path: str, want: Any, have: Any) -> Iterator[Difference]:
    for name in want.__struct_fields__:
        a, b = getattr(want, name), getattr(have, name)
        if a != b:
            yield Difference("cache", key, f"{path}.{name}", str(a), str(b))


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else f"{text[:197]}..."
