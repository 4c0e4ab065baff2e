"""Phases, breakers and the call auction."""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

from tradecore.testing.oracle import matching, stops
from tradecore.testing.oracle.layout import FF, PH, TIF, TRIGGER, E, S
from tradecore.testing.oracle.records import BUY, SELL, Instrument

if TYPE_CHECKING:
    from tradecore.testing.oracle.engine import OracleEngine

PHASE_TIMER = 1
MAX_DEADLINE = (1 << 63) - 1


def set_timer(e: OracleEngine, inst: Instrument, deadline: int | None) -> None:
    """Replace the instrument's phase timer; None takes it away."""
    if inst.timer is not None and (inst.timer, PHASE_TIMER, inst.id) in e.timers:
        e.timers.remove((inst.timer, PHASE_TIMER, inst.id))
    inst.timer = None if deadline is None else min(deadline, MAX_DEADLINE)
    if inst.timer is not None:
        insort(e.timers, (inst.timer, PHASE_TIMER, inst.id))


def phase_event(e: OracleEngine, inst: Instrument, status: int) -> None:
    """Say the phase from now on, with the last trade price."""
    e.market_event(E.PHASE, inst, status, inst.last or 0, 0, 0)
    e.touched.add(inst.id)


def end_of_day(e: OracleEngine, inst: Instrument) -> None:
    """Entering CLOSED ends DAY orders in id order."""
    day = [o for o in e.live.values() if o.inst is inst and o.tif == TIF.DAY]
    for o in sorted(day, key=lambda o: o.id):
        if o.status != "gone":
            e.end(o, E.EXPIRED, S.DAY)


def enter(e: OracleEngine, inst: Instrument, phase: int, status: int) -> None:
    """Change the phase, report it, and do what entering it means."""
    before, inst.phase = inst.phase, phase
    phase_event(e, inst, status)
    if phase == PH.CLOSED and before != PH.CLOSED:
        end_of_day(e, inst)


def set_phase(e: OracleEngine, inst: Instrument, phase: int, ref: int) -> None:
    """Carry out SET_PHASE."""
    set_timer(e, inst, None)
    if ref:
        inst.auction_ref = inst.static_ref = ref
    if phase == PH.CONTINUOUS and (inst.phase == PH.AUCTION or crossed(inst)):
        uncross(e, inst, ref, phase, S.PHASE_COMMAND)
        return
    enter(e, inst, phase, S.PHASE_COMMAND)


def crossed(inst: Instrument) -> bool:
    """Return whether the book would trade: it may cross in every phase but CONTINUOUS."""
    bid, ask = inst.best(BUY), inst.best(SELL)
    return bid is not None and ask is not None and bid >= ask


def trip(e: OracleEngine, inst: Instrument, status: int) -> None:
    """Halt after a breaker tripped and the aggressor was dealt with; reopen by auction."""
    if inst.halt_ns:
        phase, wait = PH.HALTED, inst.halt_ns
    else:
        phase, wait = PH.AUCTION, inst.auction_ns
    set_timer(e, inst, e.now + wait if wait else None)
    enter(e, inst, phase, status)


def phase_timer(e: OracleEngine, inst: Instrument, deadline: int) -> None:
    """Let a halt become an auction, or an auction uncross, when the timer fires."""
    inst.timer = None
    if inst.phase == PH.HALTED:
        enter(e, inst, PH.AUCTION, S.PHASE_TIMER)
        set_timer(e, inst, deadline + inst.auction_ns if inst.auction_ns else None)
    elif inst.phase == PH.AUCTION:
        uncross(e, inst, 0, PH.CONTINUOUS, S.PHASE_TIMER)


def uncross(e: OracleEngine, inst: Instrument, ref: int, phase: int, status: int) -> None:
    """Find one price, trade everything that can trade at it, go to the next phase."""
    ref = ref or inst.auction_ref or inst.last or 0
    inst.auction_ref = 0
    changed = inst.phase != phase
    again = True
    while again:
        price, volume, surplus = auction_price(inst, ref)
        done = trade_at(e, inst, price, volume) if volume else 0
        if done:
            inst.last = price
            if inst.trigger == TRIGGER.LAST:
                stops.print_price(inst, price)
            if inst.static_band_ppm:
                inst.static_ref = price
        before, inst.phase = inst.phase, phase
        e.market_event(E.AUCTION, inst, S.OK, price, done, surplus)
        inst.phase = before
        again = crossed(inst)
    inst.phase = phase
    e.touched.add(inst.id)
    if changed:
        phase_event(e, inst, status)
    e.drain()
    if changed and phase == PH.CLOSED:
        end_of_day(e, inst)


def auction_price(inst: Instrument, ref: int) -> tuple[int, int, int]:
    """Return (price, volume, surplus): most volume, least surplus, pressure, then the reference."""
    bid, ask = inst.best(BUY), inst.best(SELL)
    if bid is None or ask is None or ask > bid:
        return 0, 0, 0
    table: list[tuple[int, int, int]] = []
    for p in sorted({*inst.bids, *inst.asks}):
        if ask <= p <= bid:
            buy = sum(o.leaves for px, level in inst.bids.items() if px >= p for o in level)
            sell = sum(o.leaves for px, level in inst.asks.items() if px <= p for o in level)
            table.append((p, min(buy, sell), buy - sell))
    most = max(volume for _, volume, _ in table)
    table = [row for row in table if row[1] == most]
    least = min(abs(surplus) for _, _, surplus in table)
    table = [row for row in table if abs(row[2]) == least]
    if all(surplus > 0 for _, _, surplus in table):
        return table[-1]
    if all(surplus < 0 for _, _, surplus in table) or not ref:
        return table[0]
    return min(table, key=lambda row: (abs(row[0] - ref), -row[0]))


def trade_at(e: OracleEngine, inst: Instrument, price: int, volume: int) -> int:
    """Pair best bid with best ask at one price until the volume is done; return lots executed."""
    done = 0
    while done < volume:
        bid, ask = inst.best(BUY), inst.best(SELL)
        if bid is None or ask is None or bid < price or ask > price:
            break
        buy, sell = inst.bids[bid][0], inst.asks[ask][0]
        qty = min(buy.tip, sell.tip, volume - done)
        matching.fill(e, buy, sell, price, qty, FF.AUCTION)
        done += qty
    return done
