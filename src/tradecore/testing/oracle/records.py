"""What the oracle remembers: orders and instruments, as plain objects with plain attributes.

A book side is a dict from price to a list of orders, oldest first; the best price is `min` or
`max` of its keys. Nothing is indexed twice and nothing is intrusive: it must be readable.
"""

from __future__ import annotations

from typing import Any

from tradecore.testing.oracle.layout import PH, TIF, TRIGGER, F, InstrumentFrame, T

LIMIT_TYPES = frozenset((T.LIMIT, T.STOP_LIMIT, T.TAKE_PROFIT_LIMIT))
STOP_TYPES = frozenset((T.STOP, T.STOP_LIMIT, T.TAKE_PROFIT, T.TAKE_PROFIT_LIMIT))
RESTING_TIFS = frozenset((TIF.DAY, TIF.GTC, TIF.GTD))
BUY, SELL = 1, 2


class Order:
    """One order from decoding to its end.

    Attributes
    ----------
    status : str
        ``new``, ``pending`` (waits for its working order), ``dormant`` (waits for a trigger),
        ``round`` (taken out of the stop book), ``taker`` (executing), ``resting``, ``gone``.
    qty, cum, leaves, canceled : int
        Lots; ``qty == cum + leaves + canceled`` except that a cash order counts only what happened.
    tip : int
        Visible lots while resting; equal to `leaves` unless `display` is set.
    cash : int
        What a cash order may still spend, quote units.
    sibling, parent, children
        Live links of an order list.
    held : Any
        What the accounts part keeps with the order.
    """

    __slots__ = (
        "account",
        "active",
        "canceled",
        "cash",
        "children",
        "cum",
        "display",
        "entry",
        "expire",
        "extreme",
        "flags",
        "held",
        "hit",
        "id",
        "inst",
        "inst_id",
        "is_cash",
        "is_limit",
        "leaves",
        "min_qty",
        "new_best",
        "ord_type",
        "parent",
        "px",
        "qty",
        "sent",
        "session",
        "sibling",
        "side",
        "status",
        "stop_px",
        "stp",
        "tif",
        "tip",
        "trail",
    )

    inst: Instrument
    sibling: Order | None
    parent: Order | None
    children: list[Order]
    held: Any

    def __init__(self, frame: tuple[int, ...], terms: tuple[int, ...] | None = None) -> None:
        (_, _, _, self.side, self.ord_type, self.tif, self.stp, _, self.account, self.inst_id,
         self.id, self.px, self.qty, self.sent, self.flags, self.session) = frame  # fmt: skip
        if terms is None:
            self.stop_px = self.trail = self.display = self.min_qty = self.expire = self.cash = 0
        else:
            (self.stop_px, _, self.trail, _, self.display, self.min_qty, self.expire, self.cash,
             _, _) = terms  # fmt: skip
        self.leaves = self.qty
        self.cum = self.canceled = self.tip = self.entry = 0
        self.is_cash = self.cash > 0
        self.is_limit = self.ord_type in LIMIT_TYPES
        self.active = self.hit = self.new_best = False
        self.extreme = 0
        self.sibling = self.parent = None
        self.children = []
        self.held = None
        self.status = "new"

    @property
    def is_stop(self) -> bool:
        """Whether the order waits for a trigger before it executes."""
        return self.ord_type in STOP_TYPES

    @property
    def can_rest(self) -> bool:
        """Whether a remainder stays in the book."""
        return self.is_limit and self.tif in RESTING_TIFS

    @property
    def can_wait(self) -> bool:
        """Whether the order can be alive after its own command (an OCO pair needs one such leg)."""
        return self.tif in RESTING_TIFS

    @property
    def up(self) -> bool:
        """Whether the stop triggers at prices at or above `stop_px`."""
        rising = self.ord_type in (T.STOP, T.STOP_LIMIT)
        return rising if self.side == BUY else not rising

    @property
    def linked(self) -> bool:
        """Whether another live order hangs on this one."""
        return bool(self.sibling or self.parent or self.children)

    def touched_by(self, price: int) -> bool:
        """Return whether a price reaches `stop_px`."""
        return price >= self.stop_px if self.up else price <= self.stop_px

    @property
    def liquidation(self) -> bool:
        """Whether the engine made this order to close a position."""
        return bool(self.flags & F.LIQUIDATION)


class Instrument:
    """One instrument: its definition, phase, references, book and stop book."""

    def __init__(self, frame: Any, number: int) -> None:
        self.id = number
        self.phase: int = frame.phase or PH.CONTINUOUS
        self.last: int | None = None
        self.mark: int | None = None
        self.mark_ts = 0
        self.auction_ref = 0
        self.timer: int | None = None
        self.bids: dict[int, list[Order]] = {}
        self.asks: dict[int, list[Order]] = {}
        self.dormant: list[Order] = []
        self.forget_prices()
        self.define(frame)

    def define(self, frame: Any) -> None:
        """Take over every field of an INSTRUMENT frame but the phase."""
        for name in InstrumentFrame._fields[6:]:
            if name != "phase":
                setattr(self, name, getattr(frame, name))
        self.static_ref: int = frame.band_ref_px
        self.max_qty = frame.max_order_qty or (1 << 56)
        self.parts = frame.max_iceberg_parts or 100
        self.trailing_room = frame.max_trailing or 256
        first = InstrumentFrame._fields.index("tiers0_max_notional")
        tiers = [tuple(frame[at : at + 3]) for at in range(first, first + 12, 3)]
        last = next((i for i, tier in enumerate(tiers) if not tier[0]), 3)
        if last and tiers[last] == (0, 0, 0):
            last -= 1
        self.tiers = tiers[: last + 1]

    def __getattr__(self, name: str) -> int:  # a field of the frame, set by `define`
        raise AttributeError(name)

    def forget_prices(self) -> None:
        """Start a new round: no source price has been seen for either side's stops."""
        self.low: dict[int, int] = {}
        self.high: dict[int, int] = {}

    def own(self, side: int) -> dict[int, list[Order]]:
        """Return the levels on which orders of this side rest."""
        return self.bids if side == BUY else self.asks

    def opposite(self, side: int) -> dict[int, list[Order]]:
        """Return the levels that a taker of this side meets."""
        return self.asks if side == BUY else self.bids

    def best(self, side: int) -> int | None:
        """Return the best price at which orders of `side` rest."""
        if side == BUY:
            return max(self.bids) if self.bids else None
        return min(self.asks) if self.asks else None

    def outward(self, side: int) -> list[int]:
        """Return the prices of one side, best first."""
        return sorted(self.own(side), reverse=side == BUY)

    def source(self, side: int) -> int | None:
        """Return the current price that triggers stops of this side, if there is one."""
        if self.trigger == TRIGGER.LAST:
            return self.last
        if self.trigger == TRIGGER.MARK:
            return self.mark
        if self.phase != PH.CONTINUOUS:
            return None
        return self.best(SELL if side == BUY else BUY)

    def resting(self) -> list[Order]:
        """Return every resting order, bids first, best first, oldest first."""
        return [
            order
            for side in (BUY, SELL)
            for px in self.outward(side)
            for order in self.own(side)[px]
        ]
