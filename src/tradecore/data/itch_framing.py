"""How ITCH 5.0 messages are separated in a file: the known framings, told apart and walked.

Owned apart from the messages themselves because every framing carries the same messages. Four are
known, and recognised by content:

- ``length``: a 2-byte big-endian length before each message, as in the historical files of NASDAQ;
  a zero length may end the file.
- ``zero``: two zero bytes before each message, as some converters write.
- ``bare``: nothing between messages; the type letter determines the length.
- ``jsonl``: one JSON object a line with the message as hexadecimal text in ``hex``.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tradecore.data.itch_spec import ITCH_MESSAGES, LENGTH_OF_TYPE
from tradecore.errors import DataError

__all__ = ["FRAME_BYTES", "Framing", "HexLine", "detect_framing", "explain_bad", "scan_frames"]

Framing = Literal["length", "zero", "bare", "jsonl"]

FRAME_BYTES: dict[str, int] = {"length": 2, "zero": 2, "bare": 0}
"""Bytes in front of a message, by binary framing."""

_DAY_NS = 86_400 * 1_000_000_000


class HexLine(msgspec.Struct):
    """A line of the jsonl framing; other keys are ignored."""

    hex: str
    type: str | None = None


def _plausible_message(raw: bytes) -> bool:
    """Tell whether a whole message has a time within a day and printable text."""
    message = ITCH_MESSAGES[chr(raw[0])]
    if int.from_bytes(raw[5:11], "big") >= _DAY_NS:
        return False
    text = b"".join(
        raw[offset : offset + form.itemsize]
        for form, offset, *_ in (message.wire.fields or {}).values()
        if form.kind == "S"
    )
    return all(0x20 <= byte < 0x7F for byte in text)


def _plausible_chain(head: bytes, framing: str) -> bool:
    """Tell whether a few messages in a row at the start of a file make sense under a framing."""
    gap = FRAME_BYTES[framing]
    at = found = 0
    while at < len(head) and found < 8:
        if framing == "length" and found and head[at : at + 2] == b"\0\0":
            break
        start = at + gap
        if start >= len(head):
            return found > 0 and gap > 0
        size = LENGTH_OF_TYPE[head[start]]
        prefix = int.from_bytes(head[at:start], "big")
        if size == 0 or (framing == "length" and prefix != size) or (framing == "zero" and prefix):
            return False
        if start + size <= len(head) and not _plausible_message(head[start : start + size]):
            return False
        at = start + size
        found += 1
    return found > 0


def detect_framing(head: bytes) -> Framing | None:
    """Recognise the framing of an ITCH 5.0 stream.

    Parameters
    ----------
    head : bytes
        The first bytes of the file, a few kilobytes or the whole of a smaller file.

    Returns
    -------
    str or None
        None when this does not look like ITCH 5.0 at all: no type letter, lengths that disagree
        with the types, or times beyond a day.
    """
    text = head.lstrip()
    if text.startswith(b"{"):
        line = text.partition(b"\n")[0]
        try:
            raw = bytes.fromhex(msgspec.json.decode(line, type=HexLine).hex)
        except (msgspec.DecodeError, ValueError):
            return None
        return "jsonl" if raw and LENGTH_OF_TYPE[raw[0]] == len(raw) else None
    candidates: tuple[Framing, ...] = ("length", "zero", "bare")
    return next((kind for kind in candidates if _plausible_chain(head, kind)), None)


def explain_bad(data: bytes, start: int, size: int) -> str:
    """Say why a message of announced length `size` at `start` is refused."""
    letter = data[start : start + 1].decode("latin-1")
    want = LENGTH_OF_TYPE[data[start]]
    if want == 0:
        return f"unknown message type {letter!r}"
    return f"message type {letter!r} is {want} bytes long, the frame announces {size}"


def scan_frames(
    data: bytes, framing: Framing, ended: bool, name: str, offset: int
) -> tuple[list[int], int]:
    """Find the complete messages in `data`.

    Returns
    -------
    tuple of (list of int, int)
        Start of each message, and the number of bytes they and their frames use up.
    """
    gap = FRAME_BYTES[framing]
    lengths = LENGTH_OF_TYPE
    starts: list[int] = []
    at, end = 0, len(data)
    while at + gap < end:
        start = at + gap
        if framing == "bare":
            size = lengths[data[start]]
            wrong = size == 0
        else:
            size = data[at] << 8 | data[at + 1]
            if framing == "zero":
                wrong = size != 0 or lengths[data[start]] == 0
                size = lengths[data[start]]
            else:
                wrong = size == 0 or size != lengths[data[start]]
        if wrong:
            if framing == "zero" and data[at : at + 2] != b"\0\0":
                raise DataError(
                    "the two zero bytes before a message are missing", name, offset + at
                )
            if framing == "length" and size == 0:
                raise DataError(
                    "data follows the zero length that ends the file", name, offset + start
                )
            raise DataError(explain_bad(data, start, size), name, offset + start)
        if start + size > end:
            break
        starts.append(start)
        at = start + size
    if ended and at < end:
        if framing == "length" and data[at:] == b"\0\0":
            return starts, end
        raise DataError(
            f"truncated: the last message is incomplete ({end - at} bytes)", name, offset + at
        )
    return starts, at
