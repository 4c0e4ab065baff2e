"""Frames to messages: a journal's commands in the words they were sent in.

Strict: what comes out gives exactly the same frames again, or there is an error. For a look at
frames that may be malformed there is `tradecore.describe`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tradecore import frames as _frames
from tradecore import messages as m
from tradecore.buffers import BytesLike
from tradecore.catalog import Catalog
from tradecore.codes import ANY, CommandKind, Contingency, OrderFlag, OrdType, Scope, Side, Stp, Tif
from tradecore.edge_plan import ADMIN, LIMITS, NAMES, RATE, SCOPED, TERMS
from tradecore.edge_write import to_frames
from tradecore.envelope import FRAME_BYTES, frames_view
from tradecore.errors import ConfigError, FrameError
from tradecore.instruments import InstrumentSpec
from tradecore.messages import Message

__all__ = ["from_frames"]


def from_frames(frames: BytesLike, catalog: Catalog) -> Iterator[Message]:
    """Yield the messages that a buffer of command frames stands for.

    Definitions of instruments on the way are read with the names and units the catalog has for
    their id, and the catalog is not changed.

    Parameters
    ----------
    frames : bytes-like
        Whole commands.
    catalog : Catalog
        Must know every instrument and asset that is named.

    Raises
    ------
    FrameError
        A frame the engine would refuse as malformed, or an id the catalog does not know; with its
        byte offset.
    """
    view = frames_view(frames)
    at = 0
    while at < len(view):
        end = at + FRAME_BYTES * (1 + view[at + 10])
        if end > len(view):
            raise FrameError(
                f"the command has {view[at + 10]} continuation frames, the buffer ends before",
                offset=at,
            )
        try:
            yield _from_command(view[at:end], catalog)
        except (ConfigError, ValueError, KeyError) as error:
            raise FrameError(f"not a well-formed command: {error}", offset=at) from None
        except FrameError as error:
            raise FrameError(error.reason, offset=at + (error.offset or 0)) from None
        at = end


def _from_command(view: memoryview, catalog: Catalog) -> Message:
    kind = int.from_bytes(view[8:10], "little")
    struct = _frames.COMMAND_STRUCTS.get(kind)
    if struct is None:
        raise ConfigError(f"kind {kind} is not a command")
    raw = _frames.unpack(struct, view)
    if any(value for name, value in raw.items() if name.startswith("reserved")):
        raise ConfigError("reserved bytes are not zero")
    message: Message
    if kind == CommandKind.NEW_ORDER_LIST:
        message = _read_list(raw, view, catalog)
    elif kind == CommandKind.INSTRUMENT:
        message = _read_instrument(raw, view, catalog)
    elif kind == CommandKind.LIMITS:
        message = _read_limits(raw)
    elif struct == "tc_command":
        message = _read_order(raw, view, catalog)
    else:
        message = _read_admin(raw, catalog)
    if to_frames(message, catalog) != view:
        raise ConfigError("it uses fields or values that its kind does not have")
    return message


def _read_order(raw: dict[str, Any], view: memoryview, catalog: Catalog) -> Message:
    common = {
        name: raw[name] for name in ("ts_ns", "order_id", "account_id", "sent_ts_ns", "session_id")
    }
    if raw["kind"] == CommandKind.CANCEL_ORDER:
        return m.CancelOrder(**common)
    spec = catalog.instrument(raw["instrument_id"])
    flags = raw["flags"]
    values: dict[str, Any] = common | {
        "instrument": spec.symbol,
        "px": spec.from_ticks(raw["px"]) if raw["px"] else 0,
        "order_qty": spec.from_lots(raw["order_qty"]) if raw["order_qty"] else 0,
    }
    if raw["cont"]:
        values |= _read_terms(view, spec)
    if raw["kind"] == CommandKind.REPLACE_ORDER:
        names = {name: values.pop(name) for name in tuple(values) if name in TERMS}
        kept = {name: value for name, value in names.items() if value}
        if extra := kept.keys() - {"stop_px", "display_qty"}:
            raise ConfigError(f"a replace has no {', '.join(sorted(extra))}")
        values["leaves"] = bool(flags & OrderFlag.LEAVES)
        values["requeue"] = bool(flags & OrderFlag.REQUEUE)
        return m.ReplaceOrder(**values, **kept)
    values |= {
        "side": Side(raw["side"]).name.lower(),
        "ord_type": OrdType(raw["ord_type"]).name.lower(),
        "tif": Tif(raw["tif"]).name.lower(),
        "stp": Stp(raw["stp"]).name.lower(),
        "post_only": bool(flags & OrderFlag.POST_ONLY),
        "reduce_only": bool(flags & OrderFlag.REDUCE_ONLY),
        "top": bool(flags & OrderFlag.TOP),
    }
    return m.NewOrder(**values)


def _read_terms(view: memoryview, spec: InstrumentSpec) -> dict[str, Any]:
    raw = _frames.unpack("tc_terms", view, FRAME_BYTES)
    if raw["kind"] != CommandKind.TERMS:
        raise ConfigError("the continuation frame is not TERMS")
    values: dict[str, Any] = {name: raw[name] for name in ("trailing_bps", "expire_ts_ns")}
    values["stop_px"] = spec.from_ticks(raw["stop_px"]) if raw["stop_px"] else 0
    for name in ("display_qty", "min_qty"):
        values[name] = spec.from_lots(raw[name]) if raw[name] else 0
    cash = raw["cash_order_qty"]
    values["cash_order_qty"] = spec.quote.unit.to_text(cash) if cash else 0
    return values


def _read_list(raw: dict[str, Any], view: memoryview, catalog: Catalog) -> m.NewOrderList:
    members = tuple(from_frames(view[FRAME_BYTES:], catalog)) if raw["cont"] else ()
    if not all(isinstance(member, m.NewOrder) for member in members):
        raise ConfigError("members of a list are new orders")
    return m.NewOrderList(
        ts_ns=raw["ts_ns"],
        list_id=raw["list_id"],
        account_id=raw["account_id"],
        instrument=catalog.instrument(raw["instrument_id"]).symbol,
        contingency=Contingency(raw["contingency"]).name.lower(),  # type: ignore[arg-type]
        members=members,  # type: ignore[arg-type]
        sent_ts_ns=raw["sent_ts_ns"],
        session_id=raw["session_id"],
    )


def _read_instrument(raw: dict[str, Any], view: memoryview, catalog: Catalog) -> Message:
    known = catalog.instrument(raw["instrument_id"])
    spec = InstrumentSpec.from_frame(
        view,
        symbol=known.symbol,
        base=known.base,
        quote=known.quote,
        px_unit=known.px_unit or known.tick_size,
        qty_unit=known.qty_unit or known.lot_size,
    )
    return m.DefineInstrument(ts_ns=raw["ts_ns"], spec=spec)


def _read_limits(raw: dict[str, Any]) -> m.SetLimits:
    named = {name: raw[name] for name, field in LIMITS.items() if raw["mask"] & field}
    return m.SetLimits(
        ts_ns=raw["ts_ns"],
        scope=Scope(raw["scope"]).name.lower(),  # type: ignore[arg-type]
        account_id=raw["account_id"],
        group_id=raw["group_id"],
        **named,
    )


_BY_KIND: Final = {kind: (message, plan) for message, (kind, plan) in ADMIN.items()}


def _read_admin(raw: dict[str, Any], catalog: Catalog) -> Message:
    message, plan = _BY_KIND[CommandKind(raw["kind"])]
    spec = None
    if "instrument" in plan and raw["instrument_id"] != ANY:
        spec = catalog.instrument(raw["instrument_id"])
    values: dict[str, Any] = {"ts_ns": raw["ts_ns"]}
    for name, (field, how) in plan.items():
        value = raw[field]
        if how == "any":
            values[name] = None if value == ANY else value
        elif how == "instrument":
            values[name] = None if spec is None else spec.symbol
        elif how == "asset":
            values[name] = catalog.asset(value).code
        elif how == "px":
            assert spec is not None
            values[name] = spec.from_ticks(value) if value else 0
        elif how == "cash":
            values[name] = catalog.asset(raw["asset_id"]).unit.to_text(value)
        elif how == "quote":
            assert spec is not None
            values[name] = spec.quote.unit.to_text(value)
        elif how == "rate":
            values[name] = RATE.to_text(value)
        elif how == "int":
            values[name] = bool(value) if name == "on" else value
        else:
            none = how != "mode" and not value
            values[name] = None if none else NAMES[how](value).name.lower()
    if message in SCOPED:
        values["scope"] = Scope(raw["scope"]).name.lower()
    found: Message = message(**values)
    return found
