"""Case files: JSON objects one a line, or one JSON array of them, with the place of every object.

The one reader of the judges of scenarios; damaged text is one `DataError` with the byte offset.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tradecore.data.source import ByteSource, open_source
from tradecore.errors import DataError

__all__ = ["Case", "first_object", "read_cases", "read_document"]

_MAX_ARRAY = 1 << 28


class Case(NamedTuple):
    """One object of a case file.

    Attributes
    ----------
    number : int
        Which object of the file, from 1.
    offset : int
        Byte offset of its line, or of the array it stands in.
    value : dict
        The object; numbers with a point are kept as text-exact floats of the json module.
    """

    number: int
    offset: int
    value: dict[str, Any]

    @property
    def name(self) -> str:
        """The case's own name, else its number."""
        return str(self.value.get("name") or f"case {self.number}")


def _parse(text: bytes, name: str, offset: int) -> Any:
    try:
        return json.loads(text.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise DataError(f"not JSON: {error}", name, offset) from error


def _objects(source: ByteSource) -> Iterator[tuple[int, Any]]:
    start = source.peek(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start == b"[":
        text = source.read(_MAX_ARRAY)
        if source.read(1):
            raise DataError(f"an array of more than {_MAX_ARRAY} bytes", source.name, 0)
        values = _parse(text.removeprefix(b"\xef\xbb\xbf"), source.name, 0)
        yield from ((0, value) for value in values)
        return
    for offset, line in source.lines():
        text = line.removeprefix(b"\xef\xbb\xbf") if offset == 0 else line
        if text.strip():
            yield offset, _parse(text, source.name, offset)


def read_cases(path: str) -> Iterator[Case]:
    """Yield the objects of a case file; plain, gzip or zstd, JSON lines or one array.

    Raises
    ------
    DataError
        A line is no JSON, or no object.
    """
    with open_source(path) as source:
        for number, (offset, value) in enumerate(_objects(source), start=1):
            if not isinstance(value, dict):
                raise DataError("a JSON object is needed here", source.name, offset)
            yield Case(number, offset, value)


def read_document(path: str) -> dict[str, Any]:
    """Return a file that is one JSON object; plain, gzip or zstd.

    Raises
    ------
    DataError
        No JSON, no object, or larger than a quarter of a gigabyte.
    """
    with open_source(path) as source:
        text = source.read(_MAX_ARRAY)
        if source.read(1):
            raise DataError(f"more than {_MAX_ARRAY} bytes", source.name, 0)
        value = _parse(text.removeprefix(b"\xef\xbb\xbf"), source.name, 0)
    if not isinstance(value, dict):
        raise DataError("a JSON object is needed here", path, 0)
    return value


def first_object(head: bytes) -> dict[str, Any] | None:
    """Return the first object of a case file, judging by its first bytes; None if it is none."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    text = text[1:].lstrip() if text.startswith(b"[") else text
    if not text.startswith(b"{"):
        return None
    # What follows the first object may be damaged, or be cut off with the head: a decoder that
    # stops after one object does not mind. It gives up where the object itself is cut.
    try:
        value, _ = json.JSONDecoder().raw_decode(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
