"""Scenario files: commands and the events they must cause, one rule a file, as plain text.

A file is lines. ``#`` starts a comment, the first comment lines say the rule. ``accounts on``
keeps accounts. A line with ``>`` is a command, the lines after it with ``<`` are all its events in
order::

    > NEW 1 A1 buy 10@100
    <   ACCEPTED #1 A1 i0 buy px 100 qty 10 cum 0 leaves 10 OK

A command is either its kind and fields (``CANCEL_ORDER order_id=1 account_id=1``, members and terms
joined by `` + ``), ``RAW`` and hex, or one of the short forms of `SHORT`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tradecore.codes import (
    ANY,
    CommandKind,
    Contingency,
    OrderFlag,
    OrdType,
    Phase,
    Stp,
    Tif,
)
from tradecore.testing import build
from tradecore.testing.oracle.layout import FRAME, fields_of
from tradecore.testing.show import FIELD_CODES, event_line, frames_of


@dataclass
class Step:
    """One command with the events it must cause, as normalised lines."""

    line: str
    command: bytes
    events: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Scenario:
    """A parsed file."""

    name: str
    comments: list[str]
    accounts: bool
    steps: list[Step]


def _number(name: str, text: str) -> int:
    if name == "side" and text in ("buy", "sell"):
        return 1 if text == "buy" else 2
    if name == "flags" and not text.lstrip("-").isdigit():
        return sum(OrderFlag[part] for part in text.split("|"))
    if name in FIELD_CODES and not text.lstrip("-").isdigit():
        return int(FIELD_CODES[name][text])
    return ANY if text == "ANY" else int(text, 0)


def _named(parts: list[str]) -> dict[str, int]:
    pairs = [part.split("=", 1) for part in parts]
    return {name: _number(name, text) for name, text in pairs}


def _long(text: str) -> bytes:
    """Read the form that `show.command_line` writes."""
    pieces = [piece.split() for piece in text.split(" + ")]
    kind = CommandKind[pieces[0][0]]
    own = _named(pieces[0][1:])
    if kind == CommandKind.INSTRUMENT:
        return build.frame("tc_instrument", kind=kind, cont=3, **own)
    if kind == CommandKind.LIMITS:
        return build.limits(**own)
    tail = b""
    for i, piece in enumerate(pieces[1:], 1):
        if piece[0] == "TERMS":
            tail += build.frame("tc_terms", kind=CommandKind.TERMS, **_named(piece[1:]))
        else:
            has_terms = i + 1 < len(pieces) and pieces[i + 1][0] == "TERMS"
            fields = _named(piece[1:])
            tail += build.frame(
                "tc_command", kind=CommandKind.NEW_ORDER, cont=int(has_terms), **fields
            )
    struct = {
        CommandKind.NEW_ORDER: "tc_command",
        CommandKind.CANCEL_ORDER: "tc_command",
        CommandKind.REPLACE_ORDER: "tc_command",
        CommandKind.NEW_ORDER_LIST: "tc_list",
    }.get(kind, "tc_admin")
    return build.frame(struct, kind=kind, cont=len(tail) // FRAME, **own) + tail


# ---- short forms --------------------------------------------------------------------------------

_TERM_NAMES: Final = {
    "stop": "stop_px",
    "trail": "trailing_bps",
    "display": "display_qty",
    "min": "min_qty",
    "expire": "expire_ts_ns",
    "cash": "cash_order_qty",
}
_FIELD_NAMES: Final = {
    "qty": "order_qty",
    "ts": "ts_ns",
    "i": "instrument_id",
    "sent": "sent_ts_ns",
    "session": "session_id",
    "ref": "ref_px",
}


def _order_words(words: list[str], fields: dict[str, int]) -> dict[str, int]:
    """Read the free words of an order: type, time in force, flags, STP and name=value pairs."""
    flags = 0
    for word in words:
        name, equals, text = word.partition("=")
        upper = name.upper()
        if equals:
            field_name = _TERM_NAMES.get(name) or _FIELD_NAMES.get(name, name)
            if name == "stp":
                fields["stp"] = Stp[text.upper()]
            else:
                fields[field_name] = _number(field_name, text)
        elif upper in OrdType.__members__:
            fields["ord_type"] = OrdType[upper]
        elif upper in Tif.__members__:
            fields["tif"] = Tif[upper]
        elif upper in OrderFlag.__members__:
            flags |= OrderFlag[upper]
        else:
            raise ValueError(f"unknown word {word!r}")
    if flags:
        fields["flags"] = flags
    return fields


def _order_fields(words: list[str]) -> dict[str, int]:
    """``ID ACCOUNT SIDE QTY[@PX] word...``; LIMIT GTC unless the words say otherwise."""
    number, account, side, size, *rest = words
    qty, _, px = size.partition("@")
    fields = {
        "order_id": int(number),
        "account_id": int(account.removeprefix("A")),
        "side": _number("side", side),
        "order_qty": int(qty),
        "px": int(px or 0),
        "ord_type": int(OrdType.LIMIT if px else OrdType.MARKET),
    }
    fields = _order_words(rest, fields)
    fields.setdefault("tif", Tif.IOC if fields["ord_type"] == OrdType.MARKET else 1)
    return fields


def _new(words: list[str]) -> bytes:
    return build.order(**_order_fields(words))


def _cancel(words: list[str]) -> bytes:
    return build.cancel(
        order_id=int(words[0]),
        account_id=int(words[1].removeprefix("A")),
        **_order_words(words[2:], {}),
    )


def _replace(words: list[str]) -> bytes:
    start = {"order_id": int(words[0]), "account_id": int(words[1].removeprefix("A"))}
    return build.replace(**_order_words(words[2:], start))


def _list(words: list[str]) -> bytes:
    """``CONTINGENCY LIST_ID ACCOUNT [name=value...] | order | order [| order]``."""
    head, *members = " ".join(words).split("|")
    contingency, number, account, *rest = head.split()
    fields = _order_words(rest, {})
    return build.order_list(
        [_new(member.split()) for member in members],
        contingency=Contingency[contingency.upper()],
        list_id=int(number),
        account_id=int(account.removeprefix("A")),
        **fields,
    )


def _instrument(words: list[str]) -> bytes:
    return build.instrument(**_named(words))


def _price(kind: int) -> Callable[[list[str]], bytes]:
    def read(words: list[str]) -> bytes:
        fields = _order_words(words[1:], {})
        return build.admin(kind, mark_px=int(words[0]), **fields)

    return read


def _phase(words: list[str]) -> bytes:
    fields = _order_words(words[1:], {})
    return build.admin(CommandKind.SET_PHASE, phase=Phase[words[0].upper()], **fields)


def _admin(kind: int) -> Callable[[list[str]], bytes]:
    return lambda words: build.admin(kind, **_named(words))


SHORT: Final[dict[str, Callable[[list[str]], bytes]]] = {
    "NEW": _new,
    "CANCEL": _cancel,
    "REPLACE": _replace,
    "LIST": _list,
    "DEFINE": _instrument,
    "LAST": _price(CommandKind.LAST_PRICE),
    "MARK": _price(CommandKind.MARK_PRICE),
    "TO": _phase,
    "AT": lambda words: build.admin(CommandKind.TIME, ts_ns=int(words[0])),
    "RAW": lambda words: bytes.fromhex(words[0]),
}


def command_of(text: str) -> bytes:
    """Return the frames of one command line (without its ``>``).

    Raises
    ------
    ValueError, KeyError
        The line is not a command.
    """
    words = text.split()
    if words[0] in SHORT:
        return SHORT[words[0]](words[1:])
    return _long(text)


def parse(name: str, text: str) -> Scenario:
    """Read a scenario file.

    Raises
    ------
    ValueError
        A line is neither comment, setting, command nor event; the message names the line.
    """
    out = Scenario(name, [], False, [])
    notes: list[str] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line:
            continue
        if line.startswith("#"):
            (notes if out.steps or notes else out.comments).append(line)
        elif line == "accounts on":
            out.accounts = True
        elif line.startswith(">"):
            body = line[1:].strip()
            try:
                out.steps.append(Step(body, command_of(body), notes=notes))
                notes = []
            except (ValueError, KeyError, IndexError) as error:
                raise ValueError(f"{name}:{number}: {body!r}: {error}") from error
        elif line.startswith("<") and out.steps:
            out.steps[-1].events.append(" ".join(line[1:].split()))
        else:
            raise ValueError(f"{name}:{number}: neither command nor event: {line!r}")
    return out


def run(scenario: Scenario, engine: Any) -> list[list[str]]:
    """Carry a scenario out, command by command; return each command's events as lines.

    Raises
    ------
    AssertionError
        `seq` is not dense, or an event does not carry the `in_seq` of its command.
    """
    told: list[list[str]] = []
    seq = 0
    for number, step in enumerate(scenario.steps, 1):
        lines: list[str] = []
        for frame in frames_of(bytes(engine.apply(step.command))):
            seq += 1
            if int.from_bytes(frame[:8], "little") != seq:
                raise AssertionError(f"command {number}: seq is not {seq}")
            if int.from_bytes(frame[28:32], "little") != number:
                raise AssertionError(f"command {number}: wrong in_seq")
            lines.append(event_line(frame))
        told.append(lines)
    return told


def render(scenario: Scenario, events: list[list[str]]) -> str:
    """Return the file's text with these events in place of the expected ones."""
    lines = list(scenario.comments)
    if scenario.accounts:
        lines.append("accounts on")
    for step, told in zip(scenario.steps, events, strict=True):
        lines += ["", *step.notes, f"> {step.line}"]
        lines += [f"<   {line}" for line in told]
    return "\n".join(lines) + "\n"


__all__ = ["SHORT", "Scenario", "Step", "command_of", "fields_of", "parse", "render", "run"]
