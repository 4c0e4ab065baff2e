"""Frames as short readable lines: events for reports and scenario files, commands for both.

The line of an event leaves out `seq` and `in_seq` (a scenario shows them by position) and nothing
else, so two events with the same line, seq and in_seq are the same event. The line of a command can
be read back by `tradecore.testing.scenario`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tradecore.codes import (
    ANY,
    AccountState,
    CommandKind,
    Contingency,
    EventKind,
    FillFlag,
    MarginMode,
    OrderFlag,
    OrdType,
    Phase,
    Scope,
    Stp,
    Tif,
)
from tradecore.status import Status
from tradecore.testing.oracle.layout import FRAME, fields_of, packer, record

SIDES: Final = {0: "-", 1: "buy", 2: "sell"}
EVENT_STRUCTS: Final = {
    EventKind.FILL: "tc_fill_event",
    EventKind.SETTLED: "tc_settle_event",
    EventKind.PHASE: "tc_market_event",
    EventKind.AUCTION: "tc_market_event",
    EventKind.BALANCE: "tc_balance_event",
    EventKind.ACCOUNT_STATE: "tc_account_event",
    EventKind.REJECTED: "tc_reject_event",
    EventKind.CANCEL_REJECTED: "tc_reject_event",
    EventKind.REPLACE_REJECTED: "tc_reject_event",
    EventKind.DONE: "tc_reject_event",
}
_COMMANDS: Final = {
    CommandKind.NEW_ORDER: "tc_command",
    CommandKind.CANCEL_ORDER: "tc_command",
    CommandKind.REPLACE_ORDER: "tc_command",
    CommandKind.NEW_ORDER_LIST: "tc_list",
    CommandKind.INSTRUMENT: "tc_instrument",
    CommandKind.LIMITS: "tc_limits",
    CommandKind.TERMS: "tc_terms",
}
FIELD_CODES: Final[dict[str, Any]] = {
    "ord_type": OrdType,
    "tif": Tif,
    "stp": Stp,
    "phase": Phase,
    "scope": Scope,
    "contingency": Contingency,
}
_PACK: Final = {
    name: (packer(name), record(name))
    for name in sorted({*EVENT_STRUCTS.values(), *_COMMANDS.values(), "tc_order_event", "tc_admin"})
}


def name_of(enum: Any, code: int) -> str:
    """Return the name of a code, or the number where there is none."""
    try:
        return str(enum(code).name)
    except ValueError:
        return str(code)


def unpack(struct_name: str, buffer: bytes, at: int = 0) -> Any:
    """Return one struct of the header as a namedtuple."""
    plan, make = _PACK[struct_name]
    return make(*plan.unpack_from(buffer, at))


def decode_event(frame: bytes) -> Any:
    """Return one event frame as the namedtuple of its kind's struct."""
    return unpack(EVENT_STRUCTS.get(frame[24], "tc_order_event"), frame)  # type: ignore[call-overload]


def _account(number: int) -> str:
    return "A*" if number == ANY else f"A{number}"


def _instrument(number: int) -> str:
    return "i*" if number == ANY else f"i{number}"


def event_line(frame: bytes) -> str:
    """Return one event as text.

    Parameters
    ----------
    frame : bytes
        One 64-byte event.
    """
    e = decode_event(frame)
    kind = name_of(EventKind, e.kind)
    status = name_of(Status, e.status)
    side = SIDES.get(e.side, str(e.side))
    who = f"#{e.order_id} {_account(e.account_id)} {_instrument(e.instrument_id)} {side}"
    if hasattr(e, "leaves_qty"):
        body = f"{who} px {e.px} qty {e.order_qty} cum {e.cum_qty} leaves {e.leaves_qty}"
    elif hasattr(e, "maker_order_id"):
        flags = [f.name or "" for f in FillFlag if e.flags & f]
        maker = f"x #{e.maker_order_id} {_account(e.maker_account_id)}"
        body = " ".join([who, maker, f"px {e.last_px} qty {e.last_qty}", *flags])
    elif hasattr(e, "cash_delta"):
        body = (
            f"{who} cash {e.cash_delta} fee {e.fee} position {e.position_qty} pnl {e.realised_pnl}"
        )
    elif hasattr(e, "volume"):
        body = f"{_instrument(e.instrument_id)} {name_of(Phase, e.phase)} px {e.last_px}"
        if e.kind == EventKind.AUCTION:
            body += f" volume {e.volume} surplus {e.surplus}"
    elif hasattr(e, "balance"):
        cause = name_of(CommandKind, e.command_kind)
        body = (
            f"{_account(e.account_id)} {_instrument(e.instrument_id)} {cause} "
            f"asset {e.asset_id} amount {e.amount} balance {e.balance}"
        )
    elif hasattr(e, "equity"):
        states = [name_of(AccountState, s) for s in (e.previous_state, e.state)]
        body = (
            f"{_account(e.account_id)} {_instrument(e.instrument_id)} asset {e.asset_id} "
            f"{states[0]} -> {states[1]} equity {e.equity} im {e.initial_margin} "
            f"mm {e.maintenance_margin}"
        )
    else:
        body = f"{name_of(CommandKind, e.command_kind)} {who}"
        if e.observed or e.limit:
            body += f" observed {e.observed} limit {e.limit}"
        if e.scope:
            body += f" scope {name_of(Scope, e.scope)}"
    return f"{kind} {body} {status}"


def frames_of(command: bytes) -> Iterator[bytes]:
    """Return the 64-byte frames of a command, one by one."""
    for at in range(0, len(command), FRAME):
        yield command[at : at + FRAME]


def _value(field: str, value: int) -> str:
    if field == "side" and value in SIDES and value:
        return SIDES[value]
    if field in FIELD_CODES:
        return name_of(FIELD_CODES[field], value)
    if field == "flags":
        known = [f.name or "" for f in OrderFlag if value & f]
        if sum(OrderFlag[name] for name in known) == value:
            return "|".join(known)
    if field == "state" and value in (0, 1):
        return str(value)
    return "ANY" if value == ANY and field.endswith("_id") else str(value)


def _fields(struct_name: str, frame: bytes, skip: tuple[str, ...]) -> str:
    values = unpack(struct_name, frame)
    return " ".join(
        f"{field}={_value(field, getattr(values, field))}"
        for field, _ in fields_of(struct_name)
        if field not in skip and getattr(values, field)
    )


def command_line(command: bytes) -> str:
    """Return one command as text: kind and its fields that are not zero.

    A command that field names cannot express (unknown kind, odd continuation) is ``RAW`` and hex.
    """
    kind = int.from_bytes(command[8:10], "little")
    cont = command[10]
    own = len(command) // FRAME - 1
    if kind not in CommandKind.__members__.values() or cont != own or len(command) % FRAME:
        return f"RAW {command.hex()}"
    name = CommandKind(kind).name
    struct_name = _COMMANDS.get(CommandKind(kind), "tc_admin")
    skip = ("kind", "cont")
    if kind in (CommandKind.INSTRUMENT, CommandKind.LIMITS):
        want = 3 if kind == CommandKind.INSTRUMENT else 1
        return f"{name} {_fields(struct_name, command, skip)}" if own == want else _raw(command)
    parts = [f"{name} {_fields(struct_name, command[:FRAME], skip)}"]
    for frame in list(frames_of(command))[1:]:
        inner = int.from_bytes(frame[8:10], "little")
        if inner == CommandKind.TERMS:
            parts.append(f"TERMS {_fields('tc_terms', frame, ('kind',))}")
        elif inner == CommandKind.NEW_ORDER and kind == CommandKind.NEW_ORDER_LIST:
            parts.append(f"NEW_ORDER {_fields('tc_command', frame, ('kind', 'cont'))}")
        else:
            return _raw(command)
    return " + ".join(part.strip() for part in parts)


def _raw(command: bytes) -> str:
    return f"RAW {command.hex()}"


__all__ = ["MarginMode", "command_line", "decode_event", "event_line", "frames_of", "unpack"]
