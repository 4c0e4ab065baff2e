"""Order lists: what happens to the other members (OCO, OTO, OTOCO), and the end of every taker.

Owner of: section 7 of the reference page from activation on.  Cancelling members together is ending.pxd's, because it
happens inside matching; putting a list into the engine is newlist.pxd's.
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from tradecore_ext.book cimport execute, limit_rank_of
from tradecore_ext.breaker cimport breaker_speak
from tradecore_ext.emit cimport emit_order
from tradecore_ext.ending cimport end_order_at, leave_pending
from tradecore_ext.ladder cimport level_available
from tradecore_ext.mathx cimport min64, unlikely
from tradecore_ext.risk cimport NewOrder, RiskResult, risk_accept, risk_check_new
from tradecore_ext.state cimport NIL, OF_HELD, OF_TRAILING, ST_ACTIVE, ST_PENDING, Book, Engine, Ladder, Order, Terms
from tradecore_ext.stopbook cimport is_stop_type, source_px, stop_through, stop_wait
from tradecore_ext.types cimport (
    TC_EVT_EXPIRED,
    TC_EVT_TRIGGERED,
    TC_FLAG_POST_ONLY,
    TC_PHASE_CONTINUOUS,
    TC_STOP_REFUSE,
)

cdef enum:
    SL_WOULD_CROSS = 402
    SL_WOULD_TRIGGER = 403
    SL_PENDING = 421
    SL_CAPACITY_LEVELS = 501


cdef inline uint16_t entry_rules(
    Engine* e, Book* b, const Order* o, int64_t px, int64_t stop_px, int64_t* observed, int64_t* limit
) noexcept nogil:
    """Checks 10 and 11: a post-only order that would cross, a plain stop that is already through.

    Of the order only side, ord_type and flags are read. """
    cdef Ladder* opp
    if o.flags & TC_FLAG_POST_ONLY and b.phase == TC_PHASE_CONTINUOUS:
        opp = &b.ladder[2 - o.side]
        if opp.best <= limit_rank_of(o, px):
            observed[0] = px
            limit[0] = e.level[opp.best_level].px
            return SL_WOULD_CROSS
    if is_stop_type(o.ord_type) and not (o.flags & OF_TRAILING) and b.spec.stop_policy == TC_STOP_REFUSE:
        if stop_through(o, stop_px, source_px(e, b, o.side)):
            observed[0] = source_px(e, b, o.side)
            limit[0] = stop_px
            return SL_WOULD_TRIGGER
    return 0


cdef inline void place(Engine* e, Book* b, uint32_t slot, int64_t px) noexcept nogil:
    """An accepted order begins to work: a stop goes dormant, everything else executes."""
    cdef Order* o = e.order + slot
    if unlikely(is_stop_type(o.ord_type)):
        if not (o.flags & OF_TRAILING) and not level_available(e):
            end_order_at(e, slot, px, TC_EVT_EXPIRED, SL_CAPACITY_LEVELS)
            return
        stop_wait(e, b, slot)
        return
    execute(e, b, slot, px, True)


cdef inline uint16_t check_member(Engine* e, Book* b, uint32_t slot, NewOrder* n, RiskResult* res) noexcept nogil:
    """Checks 9 to 11 for a pending member that is about to work."""
    cdef Order* o = e.order + slot
    cdef Terms* t = e.terms + o.terms
    cdef uint16_t status = 0
    memset(n, 0, sizeof(NewOrder))
    memset(res, 0, sizeof(RiskResult))
    if e.accounts:
        n.account_id = o.account_id
        n.instrument_id = o.instrument_id
        n.side = o.side
        n.ord_type = o.ord_type
        n.tif = o.tif
        n.flags = o.flags
        n.px = t.px
        n.order_qty = o.order_qty
        status = risk_check_new(e, n, res)
        if status:
            return status
    return entry_rules(e, b, o, t.px, t.stop_px, &res.observed, &res.limit)


cdef inline void activate(Engine* e, uint32_t first) noexcept nogil:
    """The working order of a list is filled: its pending members begin to work, in member order."""
    cdef Book* b = e.book + e.order[first].instrument_id
    cdef uint32_t second = e.terms[e.order[first].terms].next_child
    cdef NewOrder n1, n2
    cdef RiskResult r1, r2
    cdef uint16_t status
    cdef uint64_t second_id = 0
    e.terms[e.order[first].terms].next_child = NIL
    e.terms[e.order[first].terms].trail_next = NIL
    emit_order(e, TC_EVT_TRIGGERED, SL_PENDING, e.order + first, e.terms[e.order[first].terms].px)
    if second != NIL:
        second_id = e.order[second].order_id
        emit_order(e, TC_EVT_TRIGGERED, SL_PENDING, e.order + second, e.terms[e.order[second].terms].px)
    status = check_member(e, b, first, &n1, &r1)
    if status:
        end_order_at(e, first, e.terms[e.order[first].terms].px, TC_EVT_EXPIRED, status)
        return
    if second != NIL:
        status = check_member(e, b, second, &n2, &r2)
        if status:
            end_order_at(e, second, e.terms[e.order[second].terms].px, TC_EVT_EXPIRED, status)
            return
    if e.accounts:
        e.order[first].flags |= OF_HELD
        risk_accept(e, first, &n1, &r1)
        if second != NIL:
            # One of two legs will execute: the pair holds the larger need, not the sum.
            r2.need -= min64(r1.need, r2.need)
            e.order[second].flags |= OF_HELD
            risk_accept(e, second, &n2, &r2)
    leave_pending(e, b, first)
    place(e, b, first, e.terms[e.order[first].terms].px)
    breaker_speak(e, b, b.ladder[0].book)
    if second != NIL and e.order[second].state == ST_PENDING and e.order[second].order_id == second_id:
        leave_pending(e, b, second)
        place(e, b, second, e.terms[e.order[second].terms].px)
        breaker_speak(e, b, b.ladder[0].book)


cdef inline void taker_finished(Engine* e, Book* b) noexcept nogil:
    """Every taker ends here: a tripped breaker speaks, then filled working orders release their lists."""
    cdef uint32_t first
    if unlikely(b.trip_status != 0):
        breaker_speak(e, b, b.ladder[0].book)
    while unlikely(e.parents_head != NIL):
        first = e.parents_head
        e.parents_head = e.terms[e.order[first].terms].trail_next
        if e.parents_head == NIL:
            e.parents_tail = NIL
        activate(e, first)
