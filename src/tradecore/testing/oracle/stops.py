"""Dormant stops: which prices they see, when a round elects them, and in which order they act."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradecore.testing.oracle import lists, matching
from tradecore.testing.oracle.layout import PH, TRIGGER, E, S
from tradecore.testing.oracle.records import BUY, SELL, Instrument, Order

if TYPE_CHECKING:
    from tradecore.testing.oracle.engine import OracleEngine

DISTANCE = 1


def wait(e: OracleEngine, o: Order) -> None:
    """Enter the stop book and look at the current price once."""
    inst = o.inst
    e.entry += 1
    o.entry = e.entry
    o.status = "dormant"
    inst.dormant.append(o)
    e.touched.add(inst.id)
    price = inst.source(o.side)
    if price is None:
        return
    if o.trail:
        look(o, price)
    elif o.touched_by(price) and inst.trigger != TRIGGER.QUOTE:
        seen(inst, BUY, price)
        seen(inst, SELL, price)


def look(o: Order, price: int) -> None:
    """Show one price to one trailing stop."""
    if not o.active:
        if o.stop_px == 0 or o.touched_by(price):
            o.active, o.extreme = True, price
    elif o.side == SELL:
        if price > o.extreme:
            o.extreme = price
        elif price * 10_000 <= o.extreme * (10_000 - o.trail):
            o.hit = True
    elif price < o.extreme:
        o.extreme = price
    elif price * 10_000 >= o.extreme * (10_000 + o.trail):
        o.hit = True


def seen(inst: Instrument, side: int, price: int) -> None:
    """Widen the range of prices seen since the last round by the stops of one side."""
    inst.low[side] = min(inst.low.get(side, price), price)
    inst.high[side] = max(inst.high.get(side, price), price)


def show(inst: Instrument, side: int, price: int) -> None:
    """Show one source price to every stop of a side."""
    seen(inst, side, price)
    for o in inst.dormant:
        if o.trail and o.side == side and not o.hit:
            look(o, price)


def print_price(inst: Instrument, price: int) -> None:
    """One print of the source price (a trade, or a mark)."""
    show(inst, BUY, price)
    show(inst, SELL, price)


def elect(e: OracleEngine, inst: Instrument) -> None:
    """Run rounds until no stop is elected; only a continuous market elects."""
    while inst.phase == PH.CONTINUOUS:
        if inst.trigger == TRIGGER.QUOTE:
            for side in (BUY, SELL):
                price = inst.source(side)
                if price is not None:
                    show(inst, side, price)
        chosen = [o for o in inst.dormant if elected(inst, o)]
        inst.forget_prices()
        if not chosen:
            return
        chosen.sort(key=lambda o: o.entry)
        if inst.stop_election == DISTANCE:
            chosen.sort(key=lambda o: -distance(inst, o))
        for o in chosen:
            inst.dormant.remove(o)
            o.status = "round"
        for o in chosen:
            if o.status == "round":
                lists.executes(e, o)
                e.order_event(E.TRIGGERED, o, S.OK)
                matching.execute(e, o)
                e.drain()


def elected(inst: Instrument, o: Order) -> bool:
    """Return whether the prices seen since the last round trigger this stop."""
    if o.trail:
        return bool(o.hit)
    if o.up:
        high = inst.high.get(o.side)
        return high is not None and high >= o.stop_px
    low = inst.low.get(o.side)
    return low is not None and low <= o.stop_px


def distance(inst: Instrument, o: Order) -> int:
    """Return how far the stop's trigger is from the source price at the beginning of the round."""
    if not o.trail:
        trigger = o.stop_px
    elif o.side == SELL:
        trigger = o.extreme * (10_000 - o.trail) // 10_000
    else:
        trigger = -(-o.extreme * (10_000 + o.trail) // 10_000)
    price = inst.source(o.side)
    return abs(trigger - price) if price is not None else 0
