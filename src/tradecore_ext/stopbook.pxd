"""Where dormant stops wait: two price ladders and a trailing list per instrument.

Owner of: who is triggered by a price.  Plain stops stand in ladders ordered by trigger price and, inside a
price, by acceptance; trailing stops stand in a short list (bounded per instrument) that looks at every print.
Electing and executing them is stops.pxd's.
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.ids cimport id_insert, id_tag
from tradecore_ext.ladder cimport ladder_get, level_append, rank_of
from tradecore_ext.mathx cimport I64_MAX, max64, min64, mul128
from tradecore_ext.state cimport (
    L_DOWN,
    L_UP,
    NIL,
    OF_TRAIL_ACTIVE,
    OF_TRAILING,
    ST_DORMANT,
    Book,
    Engine,
    Order,
    Terms,
)
from tradecore_ext.types cimport (
    TC_ORD_STOP,
    TC_ORD_STOP_LIMIT,
    TC_ORD_TAKE_PROFIT,
    TC_ORD_TAKE_PROFIT_LIMIT,
    TC_PHASE_CONTINUOUS,
    TC_SIDE_BUY,
    TC_SIDE_SELL,
    TC_TRIGGER_LAST,
    TC_TRIGGER_MARK,
)


cdef inline bint is_stop_type(uint16_t ord_type) noexcept nogil:
    return ord_type >= TC_ORD_STOP


cdef inline int stop_ladder(const Order* o) noexcept nogil:
    """L_UP: triggers at price >= stop_px (buy stops, sell take-profits); L_DOWN: at price <= stop_px."""
    cdef bint take_profit = o.ord_type >= TC_ORD_TAKE_PROFIT
    return L_UP if (o.side == TC_SIDE_BUY) != take_profit else L_DOWN


cdef inline int64_t source_px(const Engine* e, const Book* b, uint16_t side) noexcept nogil:
    """Current price of the instrument's trigger source for an order of this side, 0 none.

    Quotes are a source only while they can trade."""
    if b.trigger == TC_TRIGGER_LAST:
        return b.last_px
    if b.trigger == TC_TRIGGER_MARK:
        return b.mark_px
    if b.phase != TC_PHASE_CONTINUOUS:
        return 0
    if side == TC_SIDE_BUY:
        return 0 if b.ladder[1].n_levels == 0 else e.level[b.ladder[1].best_level].px
    return 0 if b.ladder[0].n_levels == 0 else e.level[b.ladder[0].best_level].px


cdef inline bint stop_through(const Order* o, int64_t stop_px, int64_t px) noexcept nogil:
    """Whether the source price px (0 none) triggers a stop at stop_px."""
    if px == 0:
        return False
    return px >= stop_px if stop_ladder(o) == L_UP else px <= stop_px


cdef inline void trailing_link(Engine* e, Book* b, uint32_t slot) noexcept nogil:
    cdef Terms* t = e.terms + e.order[slot].terms
    t.trail_prev = NIL
    t.trail_next = b.trailing_head
    if b.trailing_head != NIL:
        e.terms[e.order[b.trailing_head].terms].trail_prev = slot
    b.trailing_head = slot
    b.n_trailing += 1
    b.quiet_lo = I64_MAX  # the next print is looked at by all


cdef inline void trailing_unlink(Engine* e, Book* b, uint32_t slot) noexcept nogil:
    cdef Terms* t = e.terms + e.order[slot].terms
    if t.trail_prev != NIL:
        e.terms[e.order[t.trail_prev].terms].trail_next = t.trail_next
    else:
        b.trailing_head = t.trail_next
    if t.trail_next != NIL:
        e.terms[e.order[t.trail_next].terms].trail_prev = t.trail_prev
    t.trail_next = NIL
    t.trail_prev = NIL
    b.n_trailing -= 1


cdef inline int64_t trailing_threshold(const Terms* t, const Order* o) noexcept nogil:
    """Price at which an active trailing stop triggers, rounded towards the market: floor for a sell
    (it triggers at or below), ceiling for a buy. Exact for the comparison of integers."""
    if o.side == TC_SIDE_SELL:
        return <int64_t>(mul128(t.extreme_px, 10000 - t.trailing_bps) / 10000)
    return <int64_t>((mul128(t.extreme_px, 10000 + t.trailing_bps) + 9999) / 10000)


cdef inline void trailing_look(Engine* e, uint32_t slot, int64_t px) noexcept nogil:
    """One source price for one trailing stop: activate, move the extreme, or hit."""
    cdef Order* o = e.order + slot
    cdef Terms* t = e.terms + o.terms
    if t.trail_hit:
        return
    if not (o.flags & OF_TRAIL_ACTIVE):
        if t.stop_px == 0 or stop_through(o, t.stop_px, px):
            o.flags |= OF_TRAIL_ACTIVE
            t.extreme_px = px
        return
    if o.side == TC_SIDE_SELL:
        if px > t.extreme_px:
            t.extreme_px = px
        elif px <= trailing_threshold(t, o):
            t.trail_hit = 1
    else:
        if px < t.extreme_px:
            t.extreme_px = px
        elif px >= trailing_threshold(t, o):
            t.trail_hit = 1


cdef inline void trailing_interest(Book* b, const Order* o, const Terms* t) noexcept nogil:
    """Narrow the quiet range to the prices that this stop need not look at."""
    if t.trail_hit:
        return
    if o.flags & OF_TRAIL_ACTIVE:
        if o.side == TC_SIDE_SELL:
            b.quiet_lo = max64(b.quiet_lo, trailing_threshold(t, o))
            b.quiet_hi = min64(b.quiet_hi, t.extreme_px + 1)
        else:
            b.quiet_lo = max64(b.quiet_lo, t.extreme_px - 1)
            b.quiet_hi = min64(b.quiet_hi, trailing_threshold(t, o))
    elif t.stop_px == 0:
        b.quiet_lo = I64_MAX
    elif stop_ladder(o) == L_UP:
        b.quiet_hi = min64(b.quiet_hi, t.stop_px)
    else:
        b.quiet_lo = max64(b.quiet_lo, t.stop_px)


cdef inline void trailing_print(Engine* e, Book* b, int64_t px) noexcept nogil:
    """A print of the trigger source: every trailing stop looks at it, unless it stays where none of them
    would activate, move or trigger. O(trailing stops), bounded; O(1) for most prints."""
    cdef uint32_t n = b.trailing_head
    if b.quiet_lo < px < b.quiet_hi:
        return
    b.quiet_lo = 0
    b.quiet_hi = I64_MAX
    while n != NIL:
        trailing_look(e, n, px)
        trailing_interest(b, e.order + n, e.terms + e.order[n].terms)
        n = e.terms[e.order[n].terms].trail_next


cdef inline void stop_wait(Engine* e, Book* b, uint32_t slot) noexcept nogil:
    """An accepted stop goes dormant. Room for a level has been checked by the caller.

    A stop that is already through (the instrument accepts those) widens the range of prices seen, so
    that the election of this very command takes it.
    """
    cdef Order* o = e.order + slot
    cdef Terms* t = e.terms + o.terms
    cdef int64_t px = source_px(e, b, o.side)
    cdef int which
    o.state = ST_DORMANT
    e.entry += 1
    t.entry = e.entry
    if o.flags & OF_TRAILING:
        trailing_link(e, b, slot)
        if px != 0 and not (o.flags & OF_TRAIL_ACTIVE):
            trailing_look(e, slot, px)
    else:
        which = stop_ladder(o)
        level_append(e, &b.ladder[which], ladder_get(e, &b.ladder[which], rank_of(which, t.stop_px), t.stop_px), slot)
        b.n_stops += 1
        if stop_through(o, t.stop_px, px):
            if px < b.lo_px:
                b.lo_px = px
            if px > b.hi_px:
                b.hi_px = px
    if not o.in_ids:
        id_insert(e, id_tag(&e.ids, o.order_id), slot)
        o.in_ids = 1
