"""Single frames from and to named integers, laid out as the C header says.

For messages one at a time: client edges, command line, tests. Batches go through the numpy dtypes
(`tradecore.dtypes`), which cost a nanosecond a frame instead of a microsecond. Nothing is judged
here but whether a number fits its field; `tradecore.edge` builds meaning on top.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tradecore.codes import CellKind, CommandKind, EventKind
from tradecore.errors import ConfigError, FrameError
from tradecore_ext import _abi

__all__ = ["COMMAND_STRUCTS", "EVENT_STRUCTS", "STRUCT_BYTES", "event_struct", "pack", "unpack"]

_LETTERS: Final = {"<i8": "q", "<u8": "Q", "<i4": "i", "<u4": "I", "<u2": "H", "u1": "B"}


class _Plan(msgspec.Struct, frozen=True):
    packer: Any
    fields: list[str]
    nested: tuple[str, str, int] | None  # field, struct, count; at most one, and packed flat


def _letters(name: str) -> str:
    fields = _abi.STRUCTS[name]["fields"].values()
    return "".join(
        _LETTERS[code] if code in _LETTERS else _letters(code) * count
        for code, _, count, _ in fields
    )


def _plan(name: str) -> _Plan:
    fields = _abi.STRUCTS[name]["fields"]
    nested = [(field, code, n) for field, (code, _, n, _) in fields.items() if code not in _LETTERS]
    packer = struct.Struct("<" + _letters(name))
    assert packer.size == _abi.STRUCTS[name]["itemsize"]
    return _Plan(packer, list(fields), nested[0] if nested else None)


_PLANS: Final = {name: _plan(name) for name in _abi.STRUCTS}

STRUCT_BYTES: Final[dict[str, int]] = {
    name: layout["itemsize"] for name, layout in _abi.STRUCTS.items()
}
"""Size of every struct of the header."""

_NOT_ADMIN: Final[dict[int, str]] = {
    CommandKind.NEW_ORDER: "tc_command",
    CommandKind.CANCEL_ORDER: "tc_command",
    CommandKind.REPLACE_ORDER: "tc_command",
    CommandKind.NEW_ORDER_LIST: "tc_list",
    CommandKind.INSTRUMENT: "tc_instrument",
    CommandKind.LIMITS: "tc_limits",
}

COMMAND_STRUCTS: Final[dict[int, str]] = {
    int(kind): _NOT_ADMIN.get(kind, "tc_admin")
    for kind in CommandKind
    if kind is not CommandKind.TERMS
}
"""Struct of the first frame of every kind of command."""

_ORDER_EVENTS: Final = ("ACCEPTED", "CANCELED", "EXPIRED", "REPLACED", "TRIGGERED", "RESTATED")
_REJECT_EVENTS: Final = ("REJECTED", "CANCEL_REJECTED", "REPLACE_REJECTED", "DONE")

EVENT_STRUCTS: Final[dict[int, str]] = {
    EventKind.FILL: "tc_fill_event",
    EventKind.SETTLED: "tc_settle_event",
    EventKind.PHASE: "tc_market_event",
    EventKind.AUCTION: "tc_market_event",
    EventKind.BALANCE: "tc_balance_event",
    EventKind.ACCOUNT_STATE: "tc_account_event",
    **{EventKind[name]: "tc_order_event" for name in _ORDER_EVENTS},
    **{EventKind[name]: "tc_reject_event" for name in _REJECT_EVENTS},
    CellKind.BATCH: "tc_batch_event",
    CellKind.REPEATED: "tc_repeat_event",
    CellKind.TRADE: "tc_trade_event",
    CellKind.QUOTE: "tc_quote_event",
    CellKind.LEVEL: "tc_level_event",
    CellKind.AUDIT: "tc_audit_event",
}
"""Struct of every kind of event, a cell's own included."""


def pack(name: str, /, **fields: int | Sequence[Sequence[int]]) -> bytes:
    """Return one struct of the header as bytes; fields that are not named are zero.

    Parameters
    ----------
    name : str
        Name in the header: ``"tc_command"``.
    **fields : int
        By name; ``tiers`` of an instrument as a sequence of at most 4 triples.

    Raises
    ------
    ConfigError
        No such field, or a number that does not fit it.
    """
    plan = _PLANS[name]
    values: list[Any] = []
    for field in plan.fields:
        value = fields.pop(field, 0)
        if plan.nested is not None and field == plan.nested[0]:
            rows = [] if isinstance(value, int) else [tuple(row) for row in value]
            if len(rows) > plan.nested[2]:
                raise ConfigError(f"{name}.{field}: {len(rows)} rows, at most {plan.nested[2]} fit")
            width = len(_PLANS[plan.nested[1]].fields)
            for row in rows + [(0,) * width] * (plan.nested[2] - len(rows)):
                values += row
        else:
            values.append(value)
    if fields:
        raise ConfigError(f"{name} has no field {', '.join(sorted(fields))}")
    try:
        packed: bytes = plan.packer.pack(*values)
    except struct.error as error:
        named = zip(plan.fields, values, strict=False)
        shown = ", ".join(f"{field}={value}" for field, value in named if value)
        raise ConfigError(f"{name}: {error} (in {shown})") from None
    return packed


def unpack(name: str, data: memoryview | bytes, offset: int = 0) -> dict[str, Any]:
    """Return the fields of one struct, reserved ones included; `tiers` as a list of dicts.

    Raises
    ------
    FrameError
        The data ends inside the struct.
    """
    plan = _PLANS[name]
    size = plan.packer.size
    if len(data) < offset + size:
        raise FrameError(f"{name} needs {size} bytes, {len(data) - offset} are left", "", offset)
    values = list(plan.packer.unpack_from(data, offset))
    found: dict[str, Any] = {}
    for field in plan.fields:
        if plan.nested is not None and field == plan.nested[0]:
            inner = _PLANS[plan.nested[1]].fields
            rows = [dict(zip(inner, _take(values, len(inner)), strict=True)) for _ in range(4)]
            found[field] = rows
        else:
            found[field] = values.pop(0)
    return found


def _take(values: list[int], count: int) -> list[int]:
    taken = values[:count]
    del values[:count]
    return taken


def event_struct(kind: int) -> str:
    """Return the struct of an event kind; unknown kinds show as the common head, `tc_event`."""
    return EVENT_STRUCTS.get(kind, "tc_event")
