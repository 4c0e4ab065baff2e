"""Messages to frames: names become codes and ids, decimal text becomes ticks and lots.

Each function takes one message and returns the bytes of its command, or raises ConfigError with the
field's name; `tradecore.edge` is the public face.
"""

from __future__ import annotations

from typing import Any, Final

from tradecore import frames as _frames
from tradecore import messages as m
from tradecore.catalog import Catalog
from tradecore.codes import (
    ANY,
    MAX_CASH,
    CommandKind,
    Contingency,
    LimitField,
    OrderFlag,
    OrdType,
    Scope,
    Side,
    Stp,
    Tif,
)
from tradecore.edge_plan import ADMIN, LIMITS, NAMES, NEEDS_PX, RATE, SCOPED, TERMS
from tradecore.envelope import FRAME_BYTES
from tradecore.errors import ConfigError, FrameError
from tradecore.instruments import InstrumentSpec
from tradecore.messages import Message

__all__ = ["to_frames"]


def to_frames(message: Message, catalog: Catalog) -> bytes:
    """Return the frames of one command.

    Parameters
    ----------
    message : Message
        Decoded, or made in the program.
    catalog : Catalog
        Instruments and assets by name. A `DefineInstrument` message does not change it.

    Returns
    -------
    bytes
        One command: 64 bytes and its continuations.

    Raises
    ------
    FrameError
        An unknown instrument or asset, an amount that is malformed, not a multiple of its step or
        out of range, a combination that no engine accepts.
    """
    try:
        packed: bytes = _TO_FRAMES[type(message)](message, catalog)
        return packed
    except ConfigError as error:
        raise FrameError(f"{message.__struct_config__.tag}: {error}") from None


def _terms(message: m.NewOrder | m.ReplaceOrder, spec: InstrumentSpec) -> bytes:
    values: dict[str, int] = {}
    for name in TERMS:
        value = getattr(message, name, 0)
        if name == "stop_px":
            value = spec.to_ticks(value, name)
        elif name in {"display_qty", "min_qty"}:
            value = spec.to_lots(value, name)
        elif name == "cash_order_qty":
            value = spec.quote.unit.to_units(value, name)
        values[name] = value
    if not any(values.values()):
        return b""
    return _frames.pack("tc_terms", kind=CommandKind.TERMS, **values)


def _new_order(message: m.NewOrder, catalog: Catalog) -> bytes:
    spec = catalog.instrument(message.instrument)
    terms = _terms(message, spec)
    qty = spec.to_lots(message.order_qty)
    cash = spec.quote.unit.to_units(message.cash_order_qty)
    if bool(qty) == bool(cash):
        raise ConfigError("order_qty: give either order_qty or cash_order_qty, above 0")
    flags = OrderFlag(0)
    flags |= OrderFlag.POST_ONLY if message.post_only else 0
    flags |= OrderFlag.REDUCE_ONLY if message.reduce_only else 0
    flags |= OrderFlag.TOP if message.top else 0
    head = _frames.pack(
        "tc_command",
        ts_ns=message.ts_ns,
        kind=CommandKind.NEW_ORDER,
        cont=int(bool(terms)),
        side=Side[message.side.upper()],
        ord_type=OrdType[message.ord_type.upper()],
        tif=Tif[message.tif.upper()],
        stp=Stp[message.stp.upper()],
        account_id=message.account_id,
        instrument_id=spec.instrument_id,
        order_id=message.order_id,
        px=spec.to_ticks(message.px),
        order_qty=qty,
        sent_ts_ns=message.sent_ts_ns,
        flags=flags,
        session_id=message.session_id,
    )
    return head + terms


def _cancel_order(message: m.CancelOrder, catalog: Catalog) -> bytes:
    return _frames.pack(
        "tc_command",
        ts_ns=message.ts_ns,
        kind=CommandKind.CANCEL_ORDER,
        account_id=message.account_id,
        order_id=message.order_id,
        sent_ts_ns=message.sent_ts_ns,
        session_id=message.session_id,
    )


def _replace_order(message: m.ReplaceOrder, catalog: Catalog) -> bytes:
    spec = catalog.instrument(message.instrument)
    terms = _terms(message, spec)
    flags = OrderFlag(0)
    flags |= OrderFlag.LEAVES if message.leaves else 0
    flags |= OrderFlag.REQUEUE if message.requeue else 0
    head = _frames.pack(
        "tc_command",
        ts_ns=message.ts_ns,
        kind=CommandKind.REPLACE_ORDER,
        cont=int(bool(terms)),
        account_id=message.account_id,
        instrument_id=spec.instrument_id,
        order_id=message.order_id,
        px=spec.to_ticks(message.px),
        order_qty=spec.to_lots(message.order_qty),
        sent_ts_ns=message.sent_ts_ns,
        flags=flags,
        session_id=message.session_id,
    )
    return head + terms


def _order_list(message: m.NewOrderList, catalog: Catalog) -> bytes:
    spec = catalog.instrument(message.instrument)
    wanted = 3 if message.contingency == "otoco" else 2
    if len(message.members) != wanted:
        raise ConfigError(
            f"members: {message.contingency} has {wanted}, not {len(message.members)}"
        )
    body = b""
    for number, member in enumerate(message.members):
        where = f"members[{number}]"
        if (member.account_id, member.instrument) != (message.account_id, message.instrument):
            raise ConfigError(f"{where}: account and instrument must be those of the list")
        if member.ts_ns or member.sent_ts_ns:
            raise ConfigError(f"{where}: only the list has times")
        try:
            body += _new_order(member, catalog)
        except ConfigError as error:
            raise ConfigError(f"{where}.{error}") from None
    head = _frames.pack(
        "tc_list",
        ts_ns=message.ts_ns,
        kind=CommandKind.NEW_ORDER_LIST,
        cont=len(body) // FRAME_BYTES,
        contingency=Contingency[message.contingency.upper()],
        account_id=message.account_id,
        instrument_id=spec.instrument_id,
        list_id=message.list_id,
        sent_ts_ns=message.sent_ts_ns,
        session_id=message.session_id,
    )
    return head + body


def _define(message: m.DefineInstrument, catalog: Catalog) -> bytes:
    return message.spec.to_frame(message.ts_ns)


def _set_limits(message: m.SetLimits, catalog: Catalog) -> bytes:
    mask = LimitField(0)
    values: dict[str, int] = {}
    for name, field in LIMITS.items():
        value = getattr(message, name)
        if value is not None:
            mask |= field
            values[name] = value
    for pair in (("rate_per_s", "rate_burst"), ("duplicate_window_ns", "duplicate_count")):
        if len({name in values for name in pair}) == 2:
            raise ConfigError(f"{pair[0]} and {pair[1]} are set together")
    if not mask:
        raise ConfigError("no limit is named; leave out what shall stay, give at least one")
    return _frames.pack(
        "tc_limits",
        ts_ns=message.ts_ns,
        kind=CommandKind.LIMITS,
        cont=1,
        scope=_scope(message),
        account_id=message.account_id,
        group_id=message.group_id,
        mask=mask,
        **values,
    )


def _scope(message: m.SetLimits | m.KillSwitch) -> Scope:
    """Return the scope's code; ids that the scope does not name must be absent."""
    names = {"account": "account_id", "group": "group_id"}
    for scope, name in names.items():
        if message.scope != scope and getattr(message, name):
            raise ConfigError(f"{name}: the scope is {message.scope}, leave it out")
    if message.scope == "group" and not message.group_id:
        raise ConfigError("group_id: groups count from 1")
    return Scope[message.scope.upper()]


def _admin(kind: CommandKind, message: Message, **fields: int) -> bytes:
    return _frames.pack("tc_admin", ts_ns=message.ts_ns, kind=kind, **fields)


def _simple(message: Any, catalog: Catalog) -> bytes:
    """Messages of one ADMIN frame, field by field."""
    kind, plan = ADMIN[type(message)]
    spec = None
    if getattr(message, "instrument", None) is not None:
        spec = catalog.instrument(message.instrument)
    fields: dict[str, int] = {}
    for name, (field, how) in plan.items():
        value = getattr(message, name)
        if how == "int":
            fields[field] = int(value)
        elif how == "any":
            fields[field] = ANY if value is None else value
        elif how == "instrument":
            fields[field] = ANY if spec is None else spec.instrument_id
        elif how == "asset":
            fields[field] = catalog.asset(value).asset_id
        elif how == "px":
            assert spec is not None
            fields[field] = spec.to_ticks(value, name)
        elif how == "cash":
            unit = catalog.asset(message.asset).unit
            fields[field] = unit.to_units(value, name, low=1)
        elif how == "quote":
            assert spec is not None
            fields[field] = spec.quote.unit.to_units(value, name, low=-MAX_CASH)
        elif how == "rate":
            fields[field] = RATE.to_units(value, name)
        else:
            fields[field] = 0 if value is None else int(NAMES[how][value.upper()])
    if message.__class__ in SCOPED:
        fields["scope"] = _scope(message)
    if message.__class__ in NEEDS_PX and not fields["mark_px"]:
        raise ConfigError("px: a price above 0 is needed")
    return _admin(kind, message, **fields)


_TO_FRAMES: Final[dict[type, Any]] = {
    m.NewOrder: _new_order,
    m.CancelOrder: _cancel_order,
    m.ReplaceOrder: _replace_order,
    m.NewOrderList: _order_list,
    m.DefineInstrument: _define,
    m.SetLimits: _set_limits,
    **dict.fromkeys(ADMIN, _simple),
}
