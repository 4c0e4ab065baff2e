"""What clients and operators say, one Struct a message; and the bus envelope that carries frames.

These are the words of people: symbols instead of ids, decimal text instead of ticks, names instead
of codes. They are strict: unknown fields, floats, wrong types and wrong names are refused by the
decoder. `tradecore.edge` turns them into frames and back; only frames are ever journaled.

On the wire a message is a JSON object (or a msgpack map) whose ``type`` names it:
``{"type": "new_order", "order_id": 7, "account_id": 1, "instrument": "BTC-USD", "side": "buy",
"px": "101.25", "order_qty": "0.3"}``.

Fields common to many messages:

ts_ns : int
    Log time, Unix ns; engine time is the largest seen. 0 leaves the engine's time as it is.
sent_ts_ns : int
    Client's time, for the account's stale rule; 0 = not checked.
px, stop_px, order_qty, display_qty, min_qty : str or int
    Decimal text in natural notation; an int means that whole number. 0 or absent = none.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from tradecore.envelope import Envelope
from tradecore.instruments import AssetSpec, InstrumentSpec, MarginTier, PhaseName

__all__ = [
    "Admin",
    "AssetSpec",
    "CancelOrder",
    "DefineInstrument",
    "Deposit",
    "Envelope",
    "Epoch",
    "Funding",
    "InstrumentSpec",
    "KillSwitch",
    "LastPrice",
    "MarginMode",
    "MarginTier",
    "MarginTransfer",
    "MarkPrice",
    "MassCancel",
    "Message",
    "NewOrder",
    "NewOrderList",
    "OpenAccount",
    "Rate",
    "ReplaceOrder",
    "Restrict",
    "SetLimits",
    "SetPhase",
    "Time",
    "Transfer",
    "Uncross",
    "Withdraw",
]

Amount: TypeAlias = str | int
U32 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
AccountId = U32
# 2**62 - 1 is the engine's bound of any time; ids above 2**63 are the engine's own.
Ns = Annotated[int, msgspec.Meta(ge=0, le=(1 << 62) - 1)]
OrderId = Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]
Cash = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
Bps = Annotated[int, msgspec.Meta(ge=0, le=9_999)]
Symbol = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
AssetCode = Annotated[str, msgspec.Meta(min_length=1, max_length=16)]

SideName = Literal["buy", "sell"]
OrdTypeName = Literal["market", "limit", "stop", "stop_limit", "take_profit", "take_profit_limit"]
TifName = Literal["day", "gtc", "ioc", "fok", "gtd"]
StpName = Literal["none", "expire_taker", "expire_maker", "expire_both", "decrement"]


class _Message(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="type",
):
    """What all messages have in common: strict, and when they happen."""

    ts_ns: Ns = 0


class NewOrder(_Message, tag="new_order", frozen=True, kw_only=True):
    """A new order.

    Parameters
    ----------
    order_id : int
        Chosen by the sender, unique among live orders, 1 to 2**63 - 1.
    account_id : int
    instrument : str
        Symbol.
    side : {'buy', 'sell'}
    order_qty : str or int
        Absent only with `cash_order_qty`.
    px : str or int
        Limit price; for market types the protective price.
    ord_type, tif, stp : str
        See the Literals of this module.
    stop_px : str or int
        Trigger of stop types; activation price of a trailing stop.
    trailing_bps : int
        Trailing distance in hundredths of a percent.
    display_qty, min_qty : str or int
        Iceberg tip; least quantity to fill on entry.
    cash_order_qty : str or int
        Market orders: spend (or receive) at most this much of the quote asset.
    expire_ts_ns : int
        With tif 'gtd'.
    post_only, reduce_only, top : bool
        `top`: the top-order right of pro-rata instruments.
    session_id : int
        Trading session, carried for the record.
    """

    order_id: OrderId
    account_id: AccountId
    instrument: Symbol
    side: SideName
    order_qty: Amount = 0
    px: Amount = 0
    ord_type: OrdTypeName = "limit"
    tif: TifName = "gtc"
    stp: StpName = "none"
    stop_px: Amount = 0
    trailing_bps: Bps = 0
    display_qty: Amount = 0
    min_qty: Amount = 0
    cash_order_qty: Amount = 0
    expire_ts_ns: Ns = 0
    post_only: bool = False
    reduce_only: bool = False
    top: bool = False
    sent_ts_ns: Ns = 0
    session_id: U32 = 0


class CancelOrder(_Message, tag="cancel_order", frozen=True, kw_only=True):
    """Cancel an order, resting, dormant or pending."""

    order_id: OrderId
    account_id: AccountId
    sent_ts_ns: Ns = 0
    session_id: U32 = 0


class ReplaceOrder(_Message, tag="replace_order", frozen=True, kw_only=True):
    """Change an order; 0 or absent keeps a value.

    Parameters
    ----------
    order_qty : str or int
        New total; with `leaves`, new open quantity.
    leaves : bool
    requeue : bool
        Give up time priority even where the rule would keep it.
    """

    order_id: OrderId
    account_id: AccountId
    instrument: Symbol
    px: Amount = 0
    order_qty: Amount = 0
    stop_px: Amount = 0
    display_qty: Amount = 0
    leaves: bool = False
    requeue: bool = False
    sent_ts_ns: Ns = 0
    session_id: U32 = 0


class NewOrderList(_Message, tag="new_order_list", frozen=True, kw_only=True):
    """Linked orders: OCO (2), OTO (working, pending), OTOCO (working, two pending legs).

    Members name the same account and instrument; their own times are not read and must be 0.
    """

    list_id: OrderId
    account_id: AccountId
    instrument: Symbol
    contingency: Literal["oco", "oto", "otoco"]
    members: Annotated[tuple[NewOrder, ...], msgspec.Meta(min_length=2, max_length=3)]
    sent_ts_ns: Ns = 0
    session_id: U32 = 0


class MassCancel(_Message, tag="mass_cancel", frozen=True, kw_only=True):
    """Cancel all live orders of a scope; None = any."""

    account_id: AccountId | None = None
    instrument: Symbol | None = None
    side: SideName | None = None


class Time(_Message, tag="time", frozen=True, kw_only=True):
    """Move log time; due timers fire."""


class SetPhase(_Message, tag="set_phase", frozen=True, kw_only=True):
    """Set a trading phase; `ref_px` becomes the auction and breaker reference when given."""

    instrument: Symbol
    phase: PhaseName
    ref_px: Amount = 0


class Uncross(_Message, tag="uncross", frozen=True, kw_only=True):
    """Uncross an auction; `phase` is the phase afterwards, None = continuous."""

    instrument: Symbol
    ref_px: Amount = 0
    phase: PhaseName | None = None


class MarkPrice(_Message, tag="mark_price", frozen=True, kw_only=True):
    """A new mark price."""

    instrument: Symbol
    px: Amount


class LastPrice(_Message, tag="last_price", frozen=True, kw_only=True):
    """A trade print from outside, for triggers."""

    instrument: Symbol
    px: Amount


class DefineInstrument(_Message, tag="define_instrument", frozen=True, kw_only=True):
    """Create an instrument, or change what may change."""

    spec: InstrumentSpec


class OpenAccount(_Message, tag="open_account", frozen=True, kw_only=True):
    """Open an account, or move it: risk group, and trade group of self-trade prevention."""

    account_id: AccountId
    group_id: U32 = 0
    trade_group: U32 = 0


class SetLimits(_Message, tag="set_limits", frozen=True, kw_only=True):
    """Set limits of an account, a group or the firm. None keeps a limit, 0 switches it off.

    Quantities are in lots and notionals in the smallest quote unit, because one limit covers all
    instruments. `rate_per_s` goes with `rate_burst`, `duplicate_window_ns` with `duplicate_count`.
    """

    scope: Literal["account", "group", "firm"]
    account_id: AccountId = 0
    group_id: U32 = 0
    max_order_qty: Cash | None = None
    max_order_notional: Cash | None = None
    max_position_qty: Cash | None = None
    max_gross_notional: Cash | None = None
    max_open_orders: Cash | None = None
    rate_per_s: U32 | None = None
    rate_burst: U32 | None = None
    duplicate_window_ns: Ns | None = None
    duplicate_count: U32 | None = None
    collar_ppm: U32 | None = None
    stale_ns: Ns | None = None


class Deposit(_Message, tag="deposit", frozen=True, kw_only=True):
    """Credit an account; `amount` in natural notation of the asset."""

    account_id: AccountId
    asset: AssetCode
    amount: Amount


class Withdraw(_Message, tag="withdraw", frozen=True, kw_only=True):
    """Debit an account, up to what is available."""

    account_id: AccountId
    asset: AssetCode
    amount: Amount


class Transfer(_Message, tag="transfer", frozen=True, kw_only=True):
    """Move cash from one account to another."""

    account_id: AccountId
    to_account_id: AccountId
    asset: AssetCode
    amount: Amount


class KillSwitch(_Message, tag="kill_switch", frozen=True, kw_only=True):
    """Stop an account, a group or the firm (cancels everything), or let it trade again."""

    scope: Literal["account", "group", "firm"]
    on: bool
    account_id: AccountId = 0
    group_id: U32 = 0


class Restrict(_Message, tag="restrict", frozen=True, kw_only=True):
    """Close an instrument for an account (None: for everybody), or open it again."""

    instrument: Symbol
    on: bool
    account_id: AccountId | None = None


class Funding(_Message, tag="funding", frozen=True, kw_only=True):
    """A funding payment: every long position pays `amount` of the quote asset per lot."""

    instrument: Symbol
    amount: Amount


class Epoch(_Message, tag="epoch", frozen=True, kw_only=True):
    """Switch semantics; a build older than the epoch stops itself."""

    epoch: U32


class Rate(_Message, tag="rate", frozen=True, kw_only=True):
    """Value of an asset in the base currency, for reports; at most 9 decimals."""

    asset: AssetCode
    rate: Amount


class MarginMode(_Message, tag="margin_mode", frozen=True, kw_only=True):
    """Cross or isolated margin of one position, while it is flat."""

    account_id: AccountId
    instrument: Symbol
    mode: Literal["cross", "isolated"]


class MarginTransfer(_Message, tag="margin_transfer", frozen=True, kw_only=True):
    """Add margin to an isolated position, or take it out (negative `amount`)."""

    account_id: AccountId
    instrument: Symbol
    amount: Amount


Admin: TypeAlias = (
    MassCancel
    | Time
    | SetPhase
    | Uncross
    | MarkPrice
    | LastPrice
    | DefineInstrument
    | OpenAccount
    | SetLimits
    | Deposit
    | Withdraw
    | Transfer
    | KillSwitch
    | Restrict
    | Funding
    | Epoch
    | Rate
    | MarginMode
    | MarginTransfer
)
"""Everything that is not an order."""

Message: TypeAlias = NewOrder | CancelOrder | ReplaceOrder | NewOrderList | Admin
"""Every message; the ``type`` field tells them apart."""

MAX_MESSAGE_BYTES: Final = 16 * 1024
"""Longest message that the edge looks at."""
