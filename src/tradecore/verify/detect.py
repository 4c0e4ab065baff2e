"""What a file is, by its content: names and suffixes play no part.

A kind is recognised by the first object of a case file, the magic of a binary one, or the shape of
its first lines. Recognition reads a bounded piece of the file.
"""

from __future__ import annotations

import re
from typing import Any, Final

from tradecore.data.binance import is_capture
from tradecore.data.itch_framing import detect_framing
from tradecore.data.lobster import is_lobster_zip
from tradecore.data.source import open_source, open_zip
from tradecore.data.workload import is_workload
from tradecore.verify.jsonl import first_object

__all__ = ["COMPANIONS", "KINDS", "detect"]

_HEAD: Final = 1 << 20
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_REPORT: Final = re.compile(rb"[0-5](,-?[0-9]{1,20}){2,5}")

# Kind -> what its first object has.
_OBJECTS: Final[dict[str, tuple[str, ...]]] = {
    "matching": ("commands", "expect"),
    "pnl": ("inputs", "expected"),
    "cointossx": ("init", "aggressor", "expected_book"),
    "manifest": ("file", "sha256_reports"),
    "lots": ("input", "golden"),
}

KINDS: Final = (
    *("matching", "pnl", "edge", "cointossx", "workload", "lobster", "captures", "itch", "lots"),
)
"""Kinds that can be judged."""

COMPANIONS: Final = ("manifest", "reports", "replay")
"""Files of expectations about another file; they are judged with it."""


def _kind_of_object(value: dict[str, Any]) -> str | None:
    for kind, keys in _OBJECTS.items():
        if all(key in value for key in keys):
            return kind
    if "messages" in value and {"reports", "reports_sha256", "bbo_after_each"} & value.keys():
        return "edge"
    entries = [entry for entry in value.values() if isinstance(entry, dict)]
    if entries and all({"groups", "groups_ok"} <= entry.keys() for entry in entries):
        return "replay"
    return None


def detect(path: str) -> str | None:
    """Return the kind of a file, or None where no judge knows it.

    Returns
    -------
    str or None
        One of `KINDS` or `COMPANIONS`.

    Raises
    ------
    DataError
        The file cannot be read, or its compression or archive is damaged.
    """
    with open_source(path) as source:
        head = source.peek(64)
        if head.startswith(_ZIP):
            # A damaged archive is an error here, and not merely an unknown file.
            open_zip(path).close()
            return "lobster" if is_lobster_zip(path) else None
        if is_workload(head) or head[:8] == b"MEBW_001":
            return "workload"
        head = source.peek(_HEAD)
    if not head:
        return None
    if is_capture(head):
        return "captures"
    value = first_object(head)
    if value is not None and (kind := _kind_of_object(value)):
        return kind
    if _REPORT.fullmatch(head.partition(b"\n")[0].rstrip(b"\r")):
        return "reports"
    return "itch" if detect_framing(head[:4096]) else None
