"""An order meets the book: the loop of section 3, FIFO and pro-rata, and what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradecore.testing.oracle import lists, market, stops
from tradecore.testing.oracle.layout import FF, MAX_SIDE_QTY, PH, STP, TIF, TRIGGER, E, F, S, T
from tradecore.testing.oracle.records import BUY, SELL, Instrument, Order

if TYPE_CHECKING:
    from tradecore.testing.oracle.engine import OracleEngine

TOP_FLAG, TOP_BEST = 1, 2


def execute(e: OracleEngine, o: Order, entering: bool = True) -> None:
    """Let an order act now: trade, then rest or end.

    `entering` is False for a replaced order: fill-or-kill and minimum quantity belong to the entry.
    """
    inst = o.inst
    waited = o.status in ("round", "pending")
    e.touched.add(inst.id)
    o.status = "taker"
    if waited and e.side_leaves(inst, o.side) + o.leaves > MAX_SIDE_QTY:
        return e.end(o, E.EXPIRED, S.CAPACITY_QTY)
    if inst.phase != PH.CONTINUOUS:
        rest(o) if o.can_rest else e.end(o, E.EXPIRED, S.BREAKER)
        return
    reference = inst.last
    if entering and (o.tif == TIF.FOK or o.min_qty):
        there = available(e, o, reference)
        if o.tif == TIF.FOK and there < o.leaves:
            return e.end(o, E.EXPIRED, S.FOK)
        if there < o.min_qty:
            return e.end(o, E.EXPIRED, S.MIN_QTY_UNMET)
    trip = match(e, o, reference)
    if o.status == "taker":
        remainder(e, o, trip)
    if trip:
        market.trip(e, inst, trip)
    return None


def remainder(e: OracleEngine, o: Order, trip: int) -> None:
    """Deal with what a taker could not trade."""
    if not o.leaves and not (o.is_cash and o.cash):
        return done(e, o)
    if o.can_rest:
        return rest(o)
    if trip:
        why = S.BREAKER
    elif not o.is_limit:
        why = S.NO_LIQUIDITY
    else:
        why = S.FOK if o.tif == TIF.FOK else S.IOC_REMAINDER
    return e.end(o, E.EXPIRED, why)


def done(e: OracleEngine, o: Order) -> None:
    """Remove a completely filled order; its children are due."""
    e.forget(o)
    lists.completed(e, o)


def rest(o: Order) -> None:
    """Join the back of the level."""
    best = o.inst.best(o.side)
    better = best is None or (o.px > best if o.side == BUY else o.px < best)
    o.new_best = better and o.inst.alloc_top == TOP_BEST
    o.inst.own(o.side).setdefault(o.px, []).append(o)
    o.tip = min(o.display, o.leaves) if o.display else o.leaves
    o.status = "resting"


def acceptable(o: Order, px: int) -> bool:
    """Return whether a taker may trade at this price."""
    if not o.is_limit and not o.px:
        return True
    return px <= o.px if o.side == BUY else px >= o.px


def breach(inst: Instrument, px: int, reference: int | None) -> int:
    """Return the breaker's status that a trade at this price would trip, or 0."""
    ref = inst.static_ref
    if inst.static_band_ppm and ref and abs(px - ref) * 1_000_000 > ref * inst.static_band_ppm:
        return S.BREAKER_STATIC
    if (
        inst.dynamic_band_ppm
        and reference
        and abs(px - reference) * 1_000_000 > reference * inst.dynamic_band_ppm
    ):
        return S.BREAKER_DYNAMIC
    return 0


def same_owner(e: OracleEngine, a: Order, b: Order) -> bool:
    """Return whether self-trade prevention sees one owner."""
    if a.account == b.account:
        return True
    return e.accounts is not None and e.accounts.same_trade_group(a.account, b.account)


def available(e: OracleEngine, o: Order, reference: int | None) -> int:
    """Count lots at acceptable prices before the breaker, own orders left out under STP."""
    total = 0
    for px in o.inst.outward(SELL if o.side == BUY else BUY):
        if not acceptable(o, px) or breach(o.inst, px, reference):
            break
        for maker in o.inst.opposite(o.side)[px]:
            if not (o.stp and same_owner(e, o, maker)):
                total += maker.leaves
    return total


def affordable(o: Order, px: int) -> int:
    """Return the whole lots that the rest of a cash order pays for at a price."""
    lots = o.cash // (px * o.inst.multiplier)
    return lots - lots % o.inst.lot


def match(e: OracleEngine, o: Order, reference: int | None) -> int:
    """Trade until nothing acceptable is left; return the breaker's status if it tripped, else 0."""
    inst = o.inst
    levels = inst.opposite(o.side)
    far = SELL if o.side == BUY else BUY
    while o.status == "taker" and (o.leaves or (o.is_cash and o.cash)):
        px = inst.best(far)
        if px is None or not acceptable(o, px):
            return 0
        trip = breach(inst, px, reference)
        if trip:
            return trip
        if inst.algo:
            prorata_level(e, o, px)
            continue
        maker = levels[px][0]
        if o.stp and same_owner(e, o, maker):
            prevent(e, o, maker, px)
            continue
        if o.is_cash and not affordable(o, px):
            e.end(o, E.EXPIRED, S.CASH_SPENT)
            return 0
        own = closable(e, o)
        if own == 0:
            e.end(o, E.EXPIRED, S.REDUCE_ONLY)
            return 0
        cap = closable(e, maker)
        if cap == 0:
            e.end(maker, E.EXPIRED, S.REDUCE_ONLY)
            continue
        qty = min(maker.tip, cap, own, affordable(o, px) if o.is_cash else o.leaves)
        fill(e, o, maker, px, qty)
    return 0


def closable(e: OracleEngine, o: Order) -> int:
    """Return the most lots an order may trade now; only reduce-only orders are bounded."""
    if e.accounts is None or not o.flags & F.REDUCE_ONLY:
        return 1 << 62
    return int(e.accounts.closable(o))


def prevent(e: OracleEngine, o: Order, maker: Order, px: int) -> None:
    """Self-trade prevention between a taker and one maker of the same owner; the taker's mode."""
    if o.stp == STP.EXPIRE_MAKER or o.stp == STP.EXPIRE_BOTH:
        e.end(maker, E.EXPIRED, S.STP)
    if o.stp == STP.EXPIRE_TAKER or o.stp == STP.EXPIRE_BOTH:
        e.end(o, E.EXPIRED, S.STP)
    if o.stp != STP.DECREMENT:
        return
    mine = affordable(o, px) if o.is_cash else o.leaves
    lots = min(mine, maker.leaves)
    if lots == 0:
        e.end(o, E.EXPIRED, S.CASH_SPENT)
        return
    if lots == maker.leaves:
        e.end(maker, E.EXPIRED, S.STP)
    else:
        maker.leaves -= lots
        maker.canceled += lots
        maker.tip = min(maker.tip, maker.leaves)
        if e.accounts is not None:
            e.accounts.shrunk(maker)
        e.order_event(E.RESTATED, maker, S.STP)
    o.canceled += lots
    if o.is_cash:
        o.cash -= lots * px * o.inst.multiplier
    else:
        o.leaves -= lots
    if o.cash if o.is_cash else o.leaves:
        if e.accounts is not None:
            e.accounts.shrunk(o)
        e.order_event(E.RESTATED, o, S.STP)
    else:
        e.end(o, E.EXPIRED, S.STP)


def fill(e: OracleEngine, taker: Order, maker: Order, px: int, qty: int, flags: int = 0) -> None:
    """One pairing: siblings go first, then the trade, its settlement, and the maker's fate."""
    lists.executes(e, maker)
    lists.executes(e, taker)
    for o in (maker, taker):
        o.cum += qty
        if not o.is_cash:
            o.leaves -= qty
    maker.tip -= qty
    if flags & FF.AUCTION:
        taker.tip -= qty
    if taker.is_cash:
        taker.cash -= qty * px * taker.inst.multiplier
    inst = taker.inst
    inst.last = px
    if not (taker.cash if taker.is_cash else taker.leaves):
        flags |= FF.TAKER_DONE
    if not maker.leaves:
        flags |= FF.MAKER_DONE
    if taker.liquidation:
        flags |= FF.LIQUIDATION
    e.fill_event(taker, maker, px, qty, flags)
    if e.accounts is not None:
        e.accounts.settle(taker, maker, px, qty, bool(flags & FF.AUCTION))
    if inst.trigger == TRIGGER.LAST and not flags & FF.AUCTION:
        stops.print_price(inst, px)
    after_fill(e, maker)
    if flags & FF.AUCTION:
        after_fill(e, taker)


def after_fill(e: OracleEngine, o: Order) -> None:
    """Remove a resting order that is filled, or show the next tip of an iceberg."""
    if not o.leaves:
        done(e, o)
    elif not o.tip:
        level = o.inst.own(o.side)[o.px]
        level.remove(o)
        level.append(o)
        o.tip = min(o.display, o.leaves)
        e.order_event(E.RESTATED, o, S.ICEBERG_REFRESH)


def prorata_level(e: OracleEngine, o: Order, px: int) -> None:
    """One pass of a taker over one level of a pro-rata instrument."""
    inst = o.inst
    level = inst.opposite(o.side)[px]
    while o.stp:
        own = [m for m in level if same_owner(e, o, m)]
        if not own:
            break
        prevent(e, o, own[0], px)
        if o.status != "taker":
            return
    if not level:
        return
    if o.is_cash and not affordable(o, px):
        e.end(o, E.EXPIRED, S.CASH_SPENT)
        return
    cap = closable(e, o)
    if cap == 0:
        e.end(o, E.EXPIRED, S.REDUCE_ONLY)
        return
    want = min(cap, affordable(o, px) if o.is_cash else o.leaves)
    for maker, qty in allocate(inst, level, want):
        if maker.status == "resting" and qty:
            fill(e, o, maker, px, qty)


def allocate(inst: Instrument, level: list[Order], want: int) -> list[tuple[Order, int]]:
    """Divide a taker's quantity over a level: everything, or top order, shares, then FIFO."""
    total = sum(m.leaves for m in level)
    if want >= total:
        return [(m, m.leaves) for m in level]
    head: list[tuple[Order, int]] = []
    others = list(level)
    top = [m for m in level if top_right(inst, m)]
    if top:
        head = [(top[0], min(want, top[0].leaves))]
        want -= head[0][1]
        others.remove(top[0])
    room = sum(m.leaves for m in others)
    shares = [want * m.leaves // room for m in others]
    shares = [share if share >= inst.min_alloc else 0 for share in shares]
    left = want - sum(shares)
    for i, m in enumerate(others):
        extra = min(left, m.leaves - shares[i])
        shares[i] += extra
        left -= extra
    return head + list(zip(others, shares, strict=True))


def top_right(inst: Instrument, o: Order) -> bool:
    """Return whether an order is served before the shares are computed."""
    if inst.alloc_top == TOP_FLAG:
        return bool(o.flags & F.TOP)
    return inst.alloc_top == TOP_BEST and o.new_best


__all__ = ["T", "done", "execute", "fill", "rest"]
