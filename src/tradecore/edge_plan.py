"""Which field of which message is which field of which frame: the table both directions share."""

from __future__ import annotations

from typing import Any, Final

from tradecore import messages as m
from tradecore.codes import CommandKind, LimitField, MarginMode, Phase, Side
from tradecore.units import Unit

__all__ = ["ADMIN", "LIMITS", "NAMES", "NEEDS_PX", "RATE", "SCOPED", "TERMS"]

RATE: Final = Unit(1, 9)
TERMS: Final = (
    *("stop_px", "trailing_bps", "display_qty", "min_qty", "expire_ts_ns", "cash_order_qty"),
)
LIMITS: Final[dict[str, LimitField]] = {
    "max_order_qty": LimitField.ORDER_QTY,
    "max_order_notional": LimitField.ORDER_NOTIONAL,
    "max_position_qty": LimitField.POSITION,
    "max_gross_notional": LimitField.GROSS_NOTIONAL,
    "max_open_orders": LimitField.OPEN_ORDERS,
    "rate_per_s": LimitField.RATE,
    "rate_burst": LimitField.RATE,
    "duplicate_window_ns": LimitField.DUPLICATE,
    "duplicate_count": LimitField.DUPLICATE,
    "collar_ppm": LimitField.COLLAR,
    "stale_ns": LimitField.STALE,
}
NAMES: Final[dict[str, Any]] = {"side": Side, "phase": Phase, "mode": MarginMode}
SCOPED: Final = (m.KillSwitch,)
NEEDS_PX: Final = (m.MarkPrice, m.LastPrice)
_Plan = dict[str, tuple[str, str]]
_ACCOUNT: Final[_Plan] = {"account_id": ("account_id", "int")}
_INSTRUMENT: Final[_Plan] = {"instrument": ("instrument_id", "instrument")}
_CASH: Final[_Plan] = {"asset": ("asset_id", "asset"), "amount": ("amount", "cash")}
# message -> command, and for each of its fields the frame's field and how to convert it.
ADMIN: Final[dict[type, tuple[CommandKind, _Plan]]] = {
    m.Time: (CommandKind.TIME, {}),
    m.MassCancel: (
        CommandKind.MASS_CANCEL,
        {"account_id": ("account_id", "any"), **_INSTRUMENT, "side": ("side", "side")},
    ),
    m.SetPhase: (
        CommandKind.SET_PHASE,
        {**_INSTRUMENT, "phase": ("phase", "phase"), "ref_px": ("ref_px", "px")},
    ),
    m.Uncross: (
        CommandKind.UNCROSS,
        {**_INSTRUMENT, "phase": ("phase", "phase"), "ref_px": ("ref_px", "px")},
    ),
    m.MarkPrice: (CommandKind.MARK_PRICE, {**_INSTRUMENT, "px": ("mark_px", "px")}),
    m.LastPrice: (CommandKind.LAST_PRICE, {**_INSTRUMENT, "px": ("mark_px", "px")}),
    m.OpenAccount: (
        CommandKind.ACCOUNT,
        {
            **_ACCOUNT,
            "group_id": ("group_id", "int"),
            "trade_group": ("contra_account_id", "int"),
        },
    ),
    m.Deposit: (CommandKind.DEPOSIT, _ACCOUNT | _CASH),
    m.Withdraw: (CommandKind.WITHDRAW, _ACCOUNT | _CASH),
    m.Transfer: (
        CommandKind.TRANSFER,
        _ACCOUNT | _CASH | {"to_account_id": ("contra_account_id", "int")},
    ),
    m.KillSwitch: (
        CommandKind.KILL_SWITCH,
        {**_ACCOUNT, "group_id": ("group_id", "int"), "on": ("state", "int")},
    ),
    m.Restrict: (
        CommandKind.RESTRICT,
        {"account_id": ("account_id", "any"), **_INSTRUMENT, "on": ("state", "int")},
    ),
    m.Funding: (CommandKind.FUNDING, {**_INSTRUMENT, "amount": ("amount", "quote")}),
    m.Epoch: (CommandKind.EPOCH, {"epoch": ("epoch", "int")}),
    m.Rate: (CommandKind.RATE, {"asset": ("asset_id", "asset"), "rate": ("amount", "rate")}),
    m.MarginMode: (
        CommandKind.MARGIN_MODE,
        {**_ACCOUNT, **_INSTRUMENT, "mode": ("state", "mode")},
    ),
    m.MarginTransfer: (
        CommandKind.MARGIN_TRANSFER,
        {**_ACCOUNT, **_INSTRUMENT, "amount": ("amount", "quote")},
    ),
}
