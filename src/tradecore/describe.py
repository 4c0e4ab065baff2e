"""Events and commands for human eyes: codes by name, ids by symbol, prices in natural notation.

Never fails on content: an unknown code stays a number, an unknown instrument an id. For the command
line, for tests that print, for a first look in a notebook; arrays are read with `tradecore.dtypes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Final

from tradecore import frames as _frames
from tradecore.buffers import BytesLike
from tradecore.catalog import Catalog
from tradecore.codes import (
    ANY,
    AccountState,
    CellKind,
    CommandKind,
    Contingency,
    EventKind,
    FillFlag,
    OrderFlag,
    OrdType,
    Phase,
    Scope,
    Side,
    Stp,
    Tif,
)
from tradecore.envelope import FRAME_BYTES, frames_view
from tradecore.errors import ConfigError
from tradecore.instruments import AssetSpec, InstrumentSpec
from tradecore.status import Status

__all__ = ["describe", "describe_commands", "describe_events", "to_line"]

_NAMES: Final[dict[str, type[IntEnum]]] = {
    "side": Side,
    "ord_type": OrdType,
    "tif": Tif,
    "stp": Stp,
    "phase": Phase,
    "scope": Scope,
    "contingency": Contingency,
    "previous_state": AccountState,
    "command_kind": CommandKind,
}
# Commands without an instrument: an instrument_id of 0 in their events names nothing.
_NO_INSTRUMENT: Final = {
    *(CommandKind.TIME, CommandKind.ACCOUNT, CommandKind.LIMITS, CommandKind.DEPOSIT),
    *(CommandKind.WITHDRAW, CommandKind.TRANSFER, CommandKind.KILL_SWITCH, CommandKind.EPOCH),
    CommandKind.RATE,
}
_CELL_KINDS: Final = {int(kind) for kind in CellKind}
_PX: Final = {
    *("px", "last_px", "stop_px", "mark_px", "ref_px", "band_ref_px", "bid_px", "ask_px"),
}
_QTY: Final = {
    *("order_qty", "cum_qty", "leaves_qty", "last_qty", "display_qty", "min_qty", "volume"),
    *("surplus", "position_qty", "qty", "bid_qty", "ask_qty"),
}
_QUOTE: Final = {"cash_delta", "fee", "realised_pnl", "cash_order_qty"}
_ASSET_CASH: Final = {"amount", "balance", "equity", "initial_margin", "maintenance_margin"}


def describe(event: BytesLike, catalog: Catalog | None = None) -> dict[str, Any]:
    """Return one event as a dict.

    Parameters
    ----------
    event : bytes-like
        64 bytes; a row of an `EVENT` array is one.
    catalog : Catalog, optional
        With it, known instruments show their symbol, and amounts natural notation.

    Returns
    -------
    dict
        ``kind`` first, then the fields of the kind's struct as the header names them, without
        reserved ones; ``status`` by name.

    Raises
    ------
    FrameError
        Not 64 bytes.
    """
    view = frames_view(event, "event")[:FRAME_BYTES]
    kind = view[24]
    raw = _frames.unpack(_frames.event_struct(kind), view)
    shown: dict[str, Any] = {"kind": _name(CellKind if kind in _CELL_KINDS else EventKind, kind)}
    shown |= _readable(raw, catalog, raw.get("command_kind"))
    shown["status"] = _name(Status, raw["status"])
    if kind in {EventKind.FILL, CellKind.TRADE}:
        shown["flags"] = _flags(FillFlag, raw["flags"])
    if kind == CellKind.REPEATED:
        shown["answer_kind"] = _name(EventKind, raw["answer_kind"])
        shown["answer_status"] = _name(Status, raw["answer_status"])
    if "state" in raw:
        shown["state"] = _name(AccountState, raw["state"])
    return shown


def describe_events(events: BytesLike, catalog: Catalog | None = None) -> Iterator[dict[str, Any]]:
    """Yield `describe` of every event of a buffer; an empty one yields nothing."""
    if not memoryview(events).nbytes:  # type: ignore[arg-type]
        return
    view = frames_view(events, "events")
    for at in range(0, len(view), FRAME_BYTES):
        yield describe(view[at : at + FRAME_BYTES], catalog)


def describe_commands(
    frames: BytesLike, catalog: Catalog | None = None
) -> Iterator[dict[str, Any]]:
    """Yield every command of a buffer as a dict, malformed ones too.

    Continuations stand inside: ``terms`` of an order, ``members`` of a list.
    """
    if not memoryview(frames).nbytes:  # type: ignore[arg-type]
        return
    view = frames_view(frames)
    at = 0
    while at < len(view):
        end = min(at + FRAME_BYTES * (1 + view[at + 10]), len(view))
        yield _command(view[at:end], catalog)
        at = end


def _command(view: memoryview, catalog: Catalog | None) -> dict[str, Any]:
    kind = int.from_bytes(view[8:10], "little")
    struct = _frames.COMMAND_STRUCTS.get(kind, "tc_command")
    if _frames.STRUCT_BYTES[struct] > len(view):
        struct = "tc_command"  # cut short: show what the common head says
    raw = _frames.unpack(struct, view)
    shown: dict[str, Any] = {"kind": _name(CommandKind, kind)}
    shown |= _readable(raw, catalog, kind)
    if struct == "tc_command":
        shown["flags"] = _flags(OrderFlag, raw["flags"])
        if len(view) >= 2 * FRAME_BYTES:
            terms = _frames.unpack("tc_terms", view, FRAME_BYTES)
            readable = _readable(terms, catalog, kind, raw["instrument_id"])
            shown["terms"] = {name: value for name, value in readable.items() if terms[name]}
    elif struct == "tc_list":
        shown["members"] = list(describe_commands(view[FRAME_BYTES:], catalog))
    return shown


def _readable(
    raw: dict[str, Any],
    catalog: Catalog | None,
    command_kind: int | None,
    instrument_id: int | None = None,
) -> dict[str, Any]:
    known = raw.get("instrument_id", instrument_id)
    nameless = known == 0 and command_kind in _NO_INSTRUMENT
    spec = None if nameless else _spec(catalog, known)
    asset = _asset(catalog, raw.get("asset_id"))
    shown: dict[str, Any] = {}
    for name, value in raw.items():
        if name == "kind" or name.startswith("reserved"):
            continue
        if name in _NAMES:
            shown[name] = _name(_NAMES[name], value)
        elif name == "instrument_id" and spec is not None:
            shown["instrument"] = spec.symbol
        elif name == "asset_id" and asset is not None:
            shown["asset"] = asset.code
        elif name in _ASSET_CASH and asset is not None:
            shown[name] = asset.unit.to_text(value)
        elif name in {"instrument_id", "account_id"} and value == ANY:
            shown[name] = "any"
        elif spec is not None and name in _PX:
            shown[name] = spec.from_ticks(value)
        elif spec is not None and name in _QTY:
            shown[name] = spec.from_lots(value)
        elif spec is not None and name in _QUOTE:
            shown[name] = spec.quote.unit.to_text(value)
        else:
            shown[name] = value
    return shown


def _spec(catalog: Catalog | None, instrument_id: int | None) -> InstrumentSpec | None:
    if catalog is None or instrument_id is None:
        return None
    try:
        return catalog.instrument(instrument_id)
    except ConfigError:
        return None


def _asset(catalog: Catalog | None, asset_id: int | None) -> AssetSpec | None:
    if catalog is None or asset_id is None:
        return None
    try:
        return catalog.asset(asset_id)
    except ConfigError:
        return None


def _name(enum: type[IntEnum], value: int) -> str | int:
    try:
        return enum(value).name
    except ValueError:
        return value


def _flags(enum: Any, value: int) -> str:
    known = [member.name for member in enum if value & member]
    rest = value & ~sum(member for member in enum)
    return "|".join([*known, *([hex(rest)] if rest else [])])


def to_line(shown: dict[str, Any]) -> str:
    """Return a description as one line, ``FILL seq=7 side=BUY last_px=101.25``, without zeros."""
    parts = [str(shown["kind"])]
    for name, value in shown.items():
        if name == "kind" or value in (0, "", "NONE", "OK"):
            continue
        parts.append(f"{name}={value}")
    return " ".join(parts)
