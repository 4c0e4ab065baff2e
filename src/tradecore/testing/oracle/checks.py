"""May this order come in?  Checks 2-8 and 10-12 of a new order, one refusal at a time.

A refusal is a tuple (status, observed, limit, scope); None means passed. No state changes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradecore.testing.oracle.layout import MAX_I64, MAX_SIDE_QTY, PH, TIF, F, S, T
from tradecore.testing.oracle.records import RESTING_TIFS, SELL, Instrument, Order

if TYPE_CHECKING:
    from tradecore.testing.oracle.engine import OracleEngine

Refusal = tuple[int, int, int, int]


def refusal(status: int, observed: int = 0, limit: int = 0, scope: int = 0) -> Refusal:
    """Return one refusal; values beyond int64 are shown as its maximum."""
    return status, min(observed, MAX_I64), min(limit, MAX_I64), scope


def combination(o: Order) -> bool:
    """Return whether type, time in force, flags and terms go together (instrument aside)."""
    resting = o.tif in RESTING_TIFS
    if o.ord_type == T.MARKET:
        if resting:
            return False
    elif o.is_stop and not resting:
        return False
    if o.is_limit and not o.px:
        return False
    if o.is_stop:
        if not o.stop_px and not o.trail:
            return False
    elif o.stop_px or o.trail:
        return False
    if o.flags & F.POST_ONLY and not (o.ord_type == T.LIMIT and resting):
        return False
    if o.display and not (o.is_limit and resting and o.display <= o.qty):
        return False
    if o.min_qty and not (
        o.ord_type in (T.LIMIT, T.MARKET)
        and o.tif != TIF.FOK
        and not o.flags & F.POST_ONLY
        and (o.min_qty <= o.qty or o.is_cash)
    ):
        return False
    if (o.expire != 0) != (o.tif == TIF.GTD):
        return False
    if not o.is_cash:
        return True
    return (
        o.ord_type == T.MARKET
        and o.tif == TIF.IOC
        and not o.qty
        and not o.flags & F.TOP
        and not o.min_qty
        and not o.display
    )


def combination_here(o: Order, inst: Instrument) -> bool:
    """Return whether the order goes together with this instrument's allocation algorithm."""
    if inst.algo:
        return not o.display and not (o.flags & F.REDUCE_ONLY and o.can_rest)
    return not o.flags & F.TOP


def phase(o: Order, inst: Instrument) -> Refusal | None:
    """Check 6: the trading phase."""
    fine = inst.phase == PH.CONTINUOUS or (
        inst.phase == PH.AUCTION and o.ord_type != T.MARKET and o.tif in RESTING_TIFS
    )
    return None if fine else refusal(S.PHASE, inst.phase)


def filters(
    inst: Instrument, px: int, qty: int, stop_px: int, display: int, min_qty: int, cash: int
) -> Refusal | None:
    """Check 7: tick, lot, sizes, notional, band, iceberg parts, on the given values."""
    for value in (px, stop_px):
        if value % inst.tick:
            return refusal(S.TICK, value, inst.tick)
    for value in (qty, display, min_qty):
        if value % inst.lot:
            return refusal(S.LOT, value, inst.lot)
    if not cash:
        if qty < inst.min_order_qty:
            return refusal(S.MIN_QTY, qty, inst.min_order_qty)
        if qty > inst.max_qty:
            return refusal(S.MAX_QTY, qty, inst.max_qty)
    if inst.min_notional:
        price = px or inst.last
        notional = cash or (price and price * qty * inst.multiplier)
        if notional and notional < inst.min_notional:
            return refusal(S.MIN_NOTIONAL, notional, inst.min_notional)
    ref = inst.static_ref
    if px and ref:
        high = ref + ref * inst.band_up_ppm // 1_000_000
        low = ref - ref * inst.band_down_ppm // 1_000_000
        if inst.band_up_ppm and px > high:
            return refusal(S.PRICE_BAND, px, high)
        if inst.band_down_ppm and px < low:
            return refusal(S.PRICE_BAND, px, low)
    if display:
        parts = -(-qty // display)
        if parts > inst.parts:
            return refusal(S.ICEBERG_PARTS, parts, inst.parts)
    return None


def before_risk(e: OracleEngine, o: Order) -> Refusal | None:
    """Make checks 2-8; set `o.inst`."""
    if not combination(o):
        return refusal(S.BAD_COMBINATION)
    inst = e.instruments.get(o.inst_id)
    if inst is None:
        return refusal(S.UNKNOWN_INSTRUMENT)
    if not combination_here(o, inst):
        return refusal(S.BAD_COMBINATION)
    o.inst = inst
    if e.accounts is not None:
        found: Refusal | None = e.accounts.known_and_fresh(o)
        if found:
            return found
    if o.id in e.live:
        return refusal(S.DUPLICATE_ORDER_ID)
    return (
        phase(o, inst)
        or filters(inst, o.px, o.qty, o.stop_px, o.display, o.min_qty, o.cash)
        or (refusal(S.EXPIRE_PAST, o.expire, e.now) if o.expire and o.expire <= e.now else None)
    )


def would_cross(o: Order, px: int) -> Refusal | None:
    """Check 10: a post-only order must not take."""
    if not o.flags & F.POST_ONLY or o.inst.phase != PH.CONTINUOUS:
        return None
    best = o.inst.best(3 - o.side)
    if best is None or (best < px if o.side == SELL else best > px):
        return None
    return refusal(S.WOULD_CROSS, px, best)


def would_trigger(o: Order) -> Refusal | None:
    """Check 11: a stop that is already through, where the instrument refuses it."""
    if not o.is_stop or o.trail or o.inst.stop_policy:
        return None
    price = o.inst.source(o.side)
    if price is not None and o.touched_by(price):
        return refusal(S.WOULD_TRIGGER, price, o.stop_px)
    return None


def capacity(e: OracleEngine, o: Order, earlier: list[Order]) -> Refusal | None:
    """Check 12, with the members of the same list that passed before counted in."""
    if len(e.live) + len(earlier) >= e.config.max_orders:
        return refusal(S.CAPACITY_ORDERS)
    mates = [m for m in earlier if m.inst_id == o.inst_id]
    alive = e.side_leaves(o.inst, o.side) + sum(m.leaves for m in mates if m.side == o.side)
    if alive + o.leaves > MAX_SIDE_QTY:
        return refusal(S.CAPACITY_QTY)
    if o.trail:
        trailing = sum(
            1
            for d in e.live.values()
            if d.trail and d.inst is o.inst and d.status in ("pending", "dormant", "round")
        )
        if trailing + sum(1 for m in mates if m.trail) >= o.inst.trailing_room:
            return refusal(S.CAPACITY_TRAILING)
    return None
