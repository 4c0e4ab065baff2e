"""How an order ends: out of its list, its hold given back, its pair and its children told, the slot free.

Owner of: the terminal states of section 3 of docs/reference/semantics.md.  Callers: matching, cancels, timers, phases,
kill switches.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from tradecore_ext.arena cimport order_release, terms_release
from tradecore_ext.emit cimport emit_order, order_px
from tradecore_ext.held cimport risk_release, risk_take_over
from tradecore_ext.ids cimport id_erase, id_tag
from tradecore_ext.ladder cimport level_unlink
from tradecore_ext.mathx cimport unlikely
from tradecore_ext.state cimport (
    NIL,
    OF_HELD,
    OF_ICEBERG,
    OF_LINKED,
    OF_TRAILING,
    ST_ACTIVE,
    ST_DORMANT,
    ST_PENDING,
    ST_RESTING,
    Book,
    Engine,
    Order,
    Terms,
)
from tradecore_ext.stopbook cimport stop_ladder, trailing_unlink
from tradecore_ext.timers cimport timer_cancel
from tradecore_ext.types cimport TC_EVT_CANCELED

# Status codes used here; the sentence of each stands in tc_status.def.
cdef enum:
    S_OCO_SIBLING = 415
    S_PARENT_GONE = 416


cdef inline void leave_pending(Engine* e, Book* b, uint32_t slot) noexcept nogil:
    """A pending list member begins to work, or dies."""
    e.order[slot].state = ST_ACTIVE
    if e.order[slot].flags & OF_TRAILING:
        b.pending_trailing -= 1


cdef inline void take_out(Engine* e, uint32_t slot) noexcept nogil:
    """Remove a live order from the list its state says it stands in."""
    cdef Order* o = e.order + slot
    cdef Book* b = e.book + o.instrument_id
    cdef uint32_t n, which
    cdef Terms* t
    if o.state == ST_RESTING:
        if o.flags & OF_ICEBERG:
            e.level[o.level].icebergs -= 1
        level_unlink(e, &b.ladder[o.side - 1], slot, o.side - 1)
    elif o.state == ST_DORMANT:
        if o.flags & OF_TRAILING:
            trailing_unlink(e, b, slot)
        else:
            which = stop_ladder(o)
            level_unlink(e, &b.ladder[which], slot, which)
            b.n_stops -= 1
    elif o.state == ST_PENDING:
        t = e.terms + o.terms
        if t.parent != NIL:
            n = e.terms[e.order[t.parent].terms].child
            if n == slot:
                e.terms[e.order[t.parent].terms].child = t.next_child
            else:
                while e.terms[e.order[n].terms].next_child != slot:
                    n = e.terms[e.order[n].terms].next_child
                e.terms[e.order[n].terms].next_child = t.next_child
            t.parent = NIL
        leave_pending(e, b, slot)
    o.state = ST_ACTIVE


cdef inline void order_gone(Engine* e, uint32_t slot) noexcept nogil:
    """Give back everything of an order that stands in no list any more."""
    cdef Order* o = e.order + slot
    if o.flags & OF_HELD:
        risk_release(e, slot, 0)
    if o.terms != NIL:
        if e.terms[o.terms].timer != NIL:
            timer_cancel(e, e.terms[o.terms].timer)
        terms_release(e, o.terms)
    if o.in_ids:
        id_erase(e, id_tag(&e.ids, o.order_id), slot)
    e.book[o.instrument_id].n_live -= 1
    order_release(e, slot)


cdef inline void end_order_at(Engine* e, uint32_t slot, int64_t px, uint8_t kind, uint16_t status) noexcept nogil:
    """CANCELED or EXPIRED, then whatever hangs on the order: its OCO sibling, its pending children."""
    cdef Order* o = e.order + slot
    cdef uint32_t sibling = NIL
    cdef uint32_t child = NIL
    cdef uint32_t c, nxt
    if o.flags & OF_HELD:
        # While leaves and price still say what is counted.
        risk_release(e, slot, px)
        o.flags &= ~OF_HELD
    take_out(e, slot)
    o.leaves_qty = 0
    emit_order(e, kind, status, o, px)
    if unlikely(o.flags & OF_LINKED):
        sibling = e.terms[o.terms].sibling
        child = e.terms[o.terms].child
        if sibling != NIL:
            e.terms[e.order[sibling].terms].sibling = NIL
        c = child
        while c != NIL:
            e.terms[e.order[c].terms].parent = NIL
            e.terms[e.order[c].terms].sibling = NIL
            c = e.terms[e.order[c].terms].next_child
    order_gone(e, slot)
    if sibling != NIL:
        end_order_at(e, sibling, order_px(e, e.order + sibling), TC_EVT_CANCELED, S_OCO_SIBLING)
    while child != NIL:
        nxt = e.terms[e.order[child].terms].next_child
        end_order_at(e, child, order_px(e, e.order + child), TC_EVT_CANCELED, S_PARENT_GONE)
        child = nxt


cdef inline void end_order(Engine* e, uint32_t slot, uint8_t kind, uint16_t status) noexcept nogil:
    end_order_at(e, slot, order_px(e, e.order + slot), kind, status)


cdef inline void cancel_sibling(Engine* e, uint32_t slot) noexcept nogil:
    """An OCO leg is about to execute: its sibling dies first, its hold passes over."""
    cdef Order* o = e.order + slot
    cdef uint32_t sibling = e.terms[o.terms].sibling
    if sibling == NIL:
        return
    e.terms[o.terms].sibling = NIL
    e.terms[e.order[sibling].terms].sibling = NIL
    if e.accounts:
        risk_take_over(e, sibling, slot)
    end_order(e, sibling, TC_EVT_CANCELED, S_OCO_SIBLING)


cdef inline void filled(Engine* e, uint32_t slot) noexcept nogil:
    """A completely filled order that stands in no list: queue its children, free it."""
    cdef Order* o = e.order + slot
    cdef uint32_t child, c
    if unlikely(o.flags & OF_LINKED):
        child = e.terms[o.terms].child
        if child != NIL:
            c = child
            while c != NIL:
                e.terms[e.order[c].terms].parent = NIL
                c = e.terms[e.order[c].terms].next_child
            e.terms[e.order[child].terms].trail_next = NIL
            if e.parents_tail == NIL:
                e.parents_head = child
            else:
                e.terms[e.order[e.parents_tail].terms].trail_next = child
            e.parents_tail = child
    order_gone(e, slot)
