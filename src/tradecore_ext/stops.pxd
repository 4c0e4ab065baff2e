"""Election of stops: who is triggered after a command, in which order, until nobody is.

Owner of: section 6 of docs/reference/semantics.md.
"""
from libc.stdint cimport int64_t, uint32_t

from tradecore_ext.book cimport execute
from tradecore_ext.emit cimport emit_order
from tradecore_ext.ending cimport cancel_sibling
from tradecore_ext.ladder cimport ladder_next, level_unlink, rank_of
from tradecore_ext.lists cimport taker_finished
from tradecore_ext.mathx cimport I64_MAX
from tradecore_ext.sorting cimport BY_DISTANCE, BY_ENTRY, sort_slots
from tradecore_ext.state cimport (
    L_DOWN,
    L_UP,
    NIL,
    OF_LINKED,
    ST_ACTIVE,
    ST_ELECTED,
    Book,
    Engine,
    Order,
    Terms,
)
from tradecore_ext.stopbook cimport (
    source_px,
    stop_ladder,
    trailing_look,
    trailing_threshold,
    trailing_unlink,
)
from tradecore_ext.types cimport (
    TC_ELECT_DISTANCE,
    TC_EVT_TRIGGERED,
    TC_PHASE_CONTINUOUS,
    TC_TRIGGER_QUOTE,
)


cdef inline void forget_prints(Book* b) noexcept nogil:
    b.lo_px = I64_MAX
    b.hi_px = 0


cdef inline void collect_range(Engine* e, Book* b) noexcept nogil:
    """Stops whose trigger lies inside the prices seen since the last round (sources LAST and MARK)."""
    cdef uint32_t n
    while b.ladder[L_UP].n_levels and e.level[b.ladder[L_UP].best_level].px <= b.hi_px:
        n = e.level[b.ladder[L_UP].best_level].head
        elect_one(e, b, n)
    while b.ladder[L_DOWN].n_levels and e.level[b.ladder[L_DOWN].best_level].px >= b.lo_px:
        n = e.level[b.ladder[L_DOWN].best_level].head
        elect_one(e, b, n)


cdef inline void collect_quotes(Engine* e, Book* b) noexcept nogil:
    """Source QUOTE: buys look at the best ask, sells at the best bid. O(stops between the two)."""
    cdef int which
    cdef uint32_t lv, nxt_lv, n, nxt
    cdef int64_t px, stop, bid, ask
    bid = source_px(e, b, 2)
    ask = source_px(e, b, 1)
    n = b.trailing_head
    while n != NIL:
        px = source_px(e, b, e.order[n].side)
        if px:
            trailing_look(e, n, px)
        n = e.terms[e.order[n].terms].trail_next
    for which in range(L_UP, L_DOWN + 1):
        lv = b.ladder[which].best_level
        while lv != NIL:
            stop = e.level[lv].px
            if which == L_UP and stop > bid and stop > ask:
                break
            if which == L_DOWN and (bid == 0 or stop < bid) and (ask == 0 or stop < ask):
                break
            nxt_lv = ladder_next(e, &b.ladder[which], rank_of(which, stop))
            n = e.level[lv].head
            while n != NIL:
                nxt = e.order[n].next
                px = source_px(e, b, e.order[n].side)
                if px and (px >= stop if which == L_UP else px <= stop):
                    elect_one(e, b, n)
                n = nxt
            lv = nxt_lv


cdef inline void elect_one(Engine* e, Book* b, uint32_t slot) noexcept nogil:
    cdef Order* o = e.order + slot
    cdef int which = stop_ladder(o)
    level_unlink(e, &b.ladder[which], slot, which)
    b.n_stops -= 1
    o.state = ST_ELECTED
    e.scratch[e.n_scratch] = slot
    e.n_scratch += 1


cdef inline void collect_trailing(Engine* e, Book* b) noexcept nogil:
    cdef uint32_t n = b.trailing_head
    cdef uint32_t nxt
    cdef Terms* t
    while n != NIL:
        t = e.terms + e.order[n].terms
        nxt = t.trail_next
        if t.trail_hit:
            t.stop_px = trailing_threshold(t, e.order + n)
            trailing_unlink(e, b, n)
            e.order[n].state = ST_ELECTED
            e.scratch[e.n_scratch] = n
            e.n_scratch += 1
        n = nxt


cdef inline void elect(Engine* e, Book* b) noexcept nogil:
    """Rounds of election to the fixed point. Each round costs its stops; every stop is elected once."""
    cdef uint32_t i, n, slot
    cdef int64_t px
    while b.phase == TC_PHASE_CONTINUOUS and (b.n_stops or b.n_trailing):
        e.n_scratch = 0
        if b.spec.trigger == TC_TRIGGER_QUOTE:
            collect_quotes(e, b)
        elif b.lo_px <= b.hi_px:
            collect_range(e, b)
        collect_trailing(e, b)
        forget_prints(b)
        n = e.n_scratch
        if n == 0:
            return
        sort_slots(e, b, BY_DISTANCE if b.spec.stop_election == TC_ELECT_DISTANCE else BY_ENTRY, e.scratch, n)
        for i in range(n):
            slot = e.scratch[i]
            if e.order[slot].state != ST_ELECTED:
                continue  # a sibling in the same round executed first
            px = e.terms[e.order[slot].terms].px
            e.order[slot].state = ST_ACTIVE
            e.taker_px = px
            if e.order[slot].flags & OF_LINKED:
                cancel_sibling(e, slot)
            emit_order(e, TC_EVT_TRIGGERED, 0, e.order + slot, px)
            execute(e, b, slot, px, False)
            taker_finished(e, b)
    if b.phase == TC_PHASE_CONTINUOUS:
        forget_prints(b)
