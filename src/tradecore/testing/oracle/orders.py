"""New, cancel, replace: sections 2, 4 and 5 for single orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradecore.testing.oracle import checks, lists, matching, stops
from tradecore.testing.oracle.checks import Refusal, refusal
from tradecore.testing.oracle.layout import MAX_SIDE_QTY, PH, E, F, K, S
from tradecore.testing.oracle.records import Order

if TYPE_CHECKING:
    from tradecore.testing.oracle.engine import OracleEngine


def new(e: OracleEngine, o: Order, head: bytes) -> None:
    """Carry out NEW_ORDER."""
    why = checks.before_risk(e, o) or lists.entry(e, o) or checks.capacity(e, o, [])
    if why:
        e.reject(head, K.NEW_ORDER, why)
        return
    if e.accounts is not None:
        e.accounts.hold(o)
    e.admit(o, S.DORMANT if o.is_stop else S.OK)
    lists.start(e, o)
    e.drain()


def cancel_request(e: OracleEngine, wish: Order, head: bytes) -> None:
    """Carry out CANCEL_ORDER."""
    o = e.live.get(wish.id)
    if o is None or o.account != wish.account:
        e.reject(head, K.CANCEL_ORDER, refusal(S.UNKNOWN_ORDER), E.CANCEL_REJECTED)
    else:
        e.end(o, E.CANCELED, S.CANCEL_REQUEST)


def mass_cancel(e: OracleEngine, chosen: list[Order], status: int) -> None:
    """Cancel orders in id order; those that went with an earlier one are not reported again."""
    for o in sorted(chosen, key=lambda o: o.id):
        if o.status != "gone":
            e.end(o, E.CANCELED, status)


class _Change:
    """The values an order would have after a replace."""

    def __init__(self, o: Order, wish: Order) -> None:
        self.px = wish.px or o.px
        self.qty = o.qty
        if wish.qty:
            self.qty = wish.qty + (o.cum + o.canceled if wish.flags & F.LEAVES else 0)
        self.leaves = self.qty - o.cum - o.canceled
        self.stop_px = wish.stop_px or o.stop_px
        self.display = wish.display or o.display
        self.requeue = bool(wish.flags & F.REQUEUE)
        self.nothing = (self.px, self.qty, self.stop_px, self.display) == (
            o.px, o.qty, o.stop_px, o.display,
        ) and not self.requeue  # fmt: skip
        self.rechecked = False
        self.keeps_place = self.px == o.px and self.leaves <= o.leaves and not self.requeue

    def put(self, o: Order) -> None:
        """Write the values into the order."""
        o.px, o.qty, o.leaves = self.px, self.qty, self.leaves
        o.stop_px, o.display = self.stop_px, self.display
        o.tip = min(o.tip, o.leaves) if o.display else o.leaves


def replace(e: OracleEngine, wish: Order, head: bytes) -> None:
    """Carry out REPLACE_ORDER."""
    o = e.live.get(wish.id)
    change = None
    why: Refusal | None
    if o is None or o.account != wish.account or wish.inst_id not in (0, o.inst.id):
        why = refusal(S.UNKNOWN_ORDER)
    else:
        change = _Change(o, wish)
        why = _may_replace(o, wish, change)
        if why is None and change.leaves > 0 and not change.nothing:
            why = _may_change(e, o, change)
    if why or o is None or change is None:
        e.reject(head, K.REPLACE_ORDER, why or refusal(S.FAULT), E.REPLACE_REJECTED)
    elif change.leaves <= 0:
        e.end(o, E.CANCELED, S.BELOW_CUM)
    elif change.nothing:
        e.order_event(E.REPLACED, o, S.NO_CHANGE)
    elif o.status == "dormant":
        _change_dormant(e, o, change)
    else:
        _change_resting(e, o, change)
        e.drain()


def _may_replace(o: Order, wish: Order, change: _Change) -> Refusal | None:
    """Everything that does not depend on whether priority is lost."""
    inst = o.inst
    if o.linked:
        return refusal(S.LINKED_ORDER)
    if inst.phase not in (PH.AUCTION, PH.CONTINUOUS):
        return refusal(S.PHASE, inst.phase)
    if (
        (wish.px and not o.px)
        or (wish.stop_px and (o.status != "dormant" or o.trail))
        or (wish.display and not o.display)
    ):
        return refusal(S.REPLACE_FIELD)
    if wish.display > change.qty:
        return refusal(S.BAD_COMBINATION)
    return checks.filters(inst, change.px, change.qty, change.stop_px, change.display, o.min_qty, 0)


def _may_change(e: OracleEngine, o: Order, change: _Change) -> Refusal | None:
    """Risk, post-only, triggers and room for the new values."""
    inst = o.inst
    if o.status == "dormant" and change.stop_px != o.stop_px:
        price = inst.source(o.side)
        up_to = change.stop_px
        if price is not None and (price >= up_to if o.up else price <= up_to):
            return refusal(S.WOULD_TRIGGER, price, up_to)
    if e.accounts is not None:
        found: Refusal | None = e.accounts.check_replace(o, change)
        if found:
            return found
    if o.status == "resting" and not change.keeps_place:
        cross = checks.would_cross(o, change.px)
        if cross:
            return cross
    grown = e.side_leaves(inst, o.side) + change.leaves - o.leaves
    if change.leaves > o.leaves and grown > MAX_SIDE_QTY:
        return refusal(S.CAPACITY_QTY)
    return None


def _change_dormant(e: OracleEngine, o: Order, change: _Change) -> None:
    if change.requeue or change.stop_px != o.stop_px:
        e.entry += 1
        o.entry = e.entry
    change.put(o)
    if e.accounts is not None:
        e.accounts.replaced(o, change)
    e.order_event(E.REPLACED, o)


def _change_resting(e: OracleEngine, o: Order, change: _Change) -> None:
    if change.keeps_place:
        change.put(o)
        if e.accounts is not None:
            e.accounts.replaced(o, change)
        e.order_event(E.REPLACED, o)
        return
    e.unplace(o)
    o.status = "taker"
    change.put(o)
    if e.accounts is not None:
        e.accounts.replaced(o, change)
    e.order_event(E.REPLACED, o)
    matching.execute(e, o, entering=False)


__all__ = ["cancel_request", "mass_cancel", "new", "replace", "stops"]
