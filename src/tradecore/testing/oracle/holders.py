"""Who has what: accounts, groups, the firm, wallets, positions, holds. Data and simple sums only.

Nothing that can be summed is stored: open quantities, gross notional and holds of a wallet are
added up from the held orders every time they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tradecore.testing.oracle.layout import MAX_CASH
from tradecore.testing.oracle.records import BUY, Instrument, Order

LINEAR = 1
ISOLATED = 1
BILLION = 1_000_000_000
LIMIT_NAMES = (
    "max_order_qty", "max_order_notional", "max_position_qty", "max_gross_notional",
    "max_open_orders", "rate_per_s", "rate_burst", "duplicate_window_ns", "duplicate_count",
    "collar_ppm", "stale_ns",
)  # fmt: skip


@dataclass
class Node:
    """One level of the limit hierarchy: limits, kill switch, token bucket, duplicate memory."""

    scope: int
    killed: bool = False
    limits: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LIMIT_NAMES, 0))
    tokens: int = 0
    refilled: int = 0
    seen_key: tuple[int, ...] | None = None
    seen_since: int = 0
    seen_count: int = 0

    def tokens_at(self, now: int) -> int:
        """Return the nano-messages in the bucket now."""
        cap = max(self.limits["rate_burst"], 1) * BILLION
        return min(cap, self.tokens + (now - self.refilled) * self.limits["rate_per_s"])

    def identical(self, key: tuple[int, ...], now: int) -> bool:
        """Return whether an order is the one remembered, inside the window."""
        window = self.limits["duplicate_window_ns"]
        return self.seen_key == key and now - self.seen_since < window

    @property
    def watches_duplicates(self) -> bool:
        """Whether the duplicate window is on."""
        return self.limits["duplicate_window_ns"] > 0 and self.limits["duplicate_count"] > 0


@dataclass
class Carrier:
    """What a margin pool remembers: a wallet for cross margin, a position for isolated."""

    state: int = 0
    marked: bool = False
    suspended: bool = False
    round: int = 0


@dataclass
class Wallet(Carrier):
    """Cash of one account in one asset."""

    total: int = 0


@dataclass
class Position(Carrier):
    """Lots of one account in one instrument."""

    inst: Any = None
    qty: int = 0
    cost: int = 0
    realised: int = 0
    fees: int = 0
    mode: int = 0
    iso_margin: int = 0
    restricted: bool = False
    linear: bool = False

    @property
    def isolated(self) -> bool:
        """Whether the position carries its own margin."""
        return self.mode == ISOLATED


@dataclass
class Account(Node):
    """One account with everything it owns."""

    id: int = 0
    group: int = 0
    trade_group: int = 0
    wallets: dict[int, Wallet] = field(default_factory=dict)
    positions: dict[int, Position] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)

    def qty(self, inst: Instrument) -> int:
        """Return the position in lots, 0 where there is none."""
        position = self.positions.get(inst.id)
        return position.qty if position is not None else 0

    def open(self, inst: Instrument, side: int) -> int:
        """Return the leaves of held orders of one side."""
        return sum(o.leaves for o in self.orders.values() if o.inst is inst and o.side == side)

    def gross(self) -> int:
        """Return the notional of held orders that have a price."""
        return sum(o.px * o.leaves * o.inst.multiplier for o in self.orders.values())

    def order_holds(self, asset: int) -> int:
        """Return what the held orders hold of one asset."""
        return sum(o.held.hold for o in self.orders.values() if o.held.asset == asset)


@dataclass
class Hold:
    """Money side of one order."""

    asset: int
    hold: int = 0
    adverse: int = 0
    fee_rem: int = 0


def is_linear(inst: Instrument) -> bool:
    """Return whether the instrument is margined."""
    return inst.instrument_type == LINEAR


def hold_asset(o: Order) -> int:
    """Return the asset that an order holds."""
    if is_linear(o.inst) or o.side == BUY:
        return o.inst.quote_asset
    return o.inst.base_asset


def top_rate(inst: Instrument) -> int:
    """Return the highest fee rate an order can be charged."""
    return max(inst.maker_fee_ppm, inst.taker_fee_ppm, 0)


def notional(inst: Instrument, px: int, qty: int) -> int:
    """Return price times quantity in quote units."""
    return px * qty * inst.multiplier


def fee_on(inst: Instrument, amount: int, fee_rem: int) -> int:
    """Return the most fee that an amount can still cost, with the remainder carried so far."""
    return (fee_rem + amount * top_rate(inst)) // 1_000_000


def need_of(o: Order, px: int, leaves: int, fee_rem: int, adverse: int) -> int:
    """Return the hold of an order with these values: the formula of accounts.md and margin.md."""
    inst = o.inst
    if is_linear(inst):
        amount = notional(inst, px, leaves)
        return fee_on(inst, amount, fee_rem) + adverse * leaves if leaves else 0
    if o.side == BUY:
        if o.is_cash:
            return o.cash + fee_on(inst, o.cash, fee_rem) if o.cash else 0
        amount = notional(inst, px, leaves)
        return amount + fee_on(inst, amount, fee_rem) if leaves else 0
    if o.is_cash:
        return int(o.cash // (px * inst.multiplier) * inst.base_per_lot)
    return leaves * inst.base_per_lot


def clamp(value: int) -> int:
    """Return a running record limited to +-CASH."""
    return max(-MAX_CASH, min(MAX_CASH, value))


def trunc_div(a: int, b: int) -> int:
    """Divide towards zero."""
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q
