"""What the recorded book says: which orders a message means, and whether an execution was in priority.

Owner of: the runs of executions that one aggressor made (docs/concepts/backtesting.md, "Data").
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport realloc

from tradecore_ext.bt_state cimport TAG_REDUCTION, TAG_REPAIR, UNKNOWN_BASE
from tradecore_ext.ids cimport id_find, id_tag
from tradecore_ext.ladder cimport ladder_find, ladder_next, rank_of
from tradecore_ext.state cimport L_ASK, L_BID, NIL, ST_RESTING, Engine
from tradecore_ext.tr_frames cimport Execution, Tr, put_cancel, put_hidden, put_left, put_taker, run
from tradecore_ext.types cimport TC_SIDE_BUY, TC_SIDE_SELL


cdef inline uint32_t slot_of(Tr* t, uint64_t order_id) noexcept nogil:
    cdef uint32_t slot = id_find(t.e, order_id, id_tag(&t.e.ids, order_id))
    if slot == NIL or t.e.order[slot].state != ST_RESTING:
        return NIL
    return slot


cdef inline uint64_t unknown_id(uint8_t side, int64_t px) noexcept nogil:
    """The one order of a level that stands for what the recording cannot name."""
    return UNKNOWN_BASE | (<uint64_t>(side - 1) << 58) | <uint64_t>px


cdef inline uint32_t slot_or_unknown(Tr* t, uint64_t order_id, uint8_t side, int64_t px) noexcept nogil:
    cdef uint32_t slot = slot_of(t, order_id)
    return slot if slot != NIL else slot_of(t, unknown_id(side, px))


cdef inline uint8_t other(uint8_t side) noexcept nogil:
    return TC_SIDE_SELL if side == TC_SIDE_BUY else TC_SIDE_BUY


cdef inline void reduce_by(Tr* t, uint32_t slot, int64_t qty) noexcept nogil:
    cdef Engine* e = t.e
    put_left(t, e.order[slot].instrument_id, e.order[slot].order_id, e.order[slot].leaves_qty - qty, TAG_REDUCTION)


cdef inline void clear_level(Tr* t, int which, uint32_t i, uint32_t lv) noexcept nogil:
    """Cancel every order of a level."""
    cdef Engine* e = t.e
    cdef int64_t px = e.level[lv].px
    while lv != NIL and e.level[lv].px == px:
        put_cancel(t, e.order[e.level[lv].head].order_id)
        if t.no_memory or t.stopped:
            return
        lv = ladder_find(e, &e.book[i].ladder[which], rank_of(which, px))


cdef inline uint32_t best_level(Tr* t, int which, uint32_t i) noexcept nogil:
    return t.e.book[i].ladder[which].best_level if t.e.book[i].ladder[which].n_levels else NIL


cdef inline void clear_crossed(Tr* t, uint32_t i, uint8_t side, int64_t px) noexcept nogil:
    """A displayed order cannot cross: what stands in its way is in our book only."""
    cdef int which = L_ASK if side == TC_SIDE_BUY else L_BID
    cdef uint32_t lv = best_level(t, which, i)
    while lv != NIL and ((t.e.level[lv].px <= px) if side == TC_SIDE_BUY else (t.e.level[lv].px >= px)):
        t.crossing += 1
        clear_level(t, which, i, lv)
        if t.no_memory or t.stopped:
            return
        lv = best_level(t, which, i)


cdef inline bint is_in_priority(Tr* t, uint32_t i) noexcept nogil:
    """Whether one aggressive order would have executed exactly this run, by price and time."""
    cdef Engine* e = t.e
    cdef int which = L_BID if t.run_side == TC_SIDE_BUY else L_ASK
    cdef uint32_t lv = best_level(t, which, i)
    cdef uint32_t slot, k
    cdef int64_t left
    if lv == NIL:
        return False
    slot = e.level[lv].head
    left = e.order[slot].leaves_qty
    for k in range(t.n_run):
        if left == 0:
            slot = e.order[slot].next
            if slot == NIL:
                lv = ladder_next(e, &e.book[i].ladder[which], rank_of(which, e.level[lv].px))
                if lv == NIL:
                    return False
                slot = e.level[lv].head
            left = e.order[slot].leaves_qty
        if e.order[slot].order_id != t.run[k].order_id or e.level[lv].px != t.run[k].px or left < t.run[k].qty:
            return False
        left -= t.run[k].qty
    return True


cdef inline void finish_run(Tr* t, uint32_t i) noexcept nogil:
    """Write the executions of one aggressor."""
    cdef uint32_t k
    cdef uint32_t slot
    cdef int64_t total = 0
    cdef int64_t worst
    cdef int64_t now_ns = t.ts_ns
    cdef bint fits
    if t.n_run == 0:
        return
    t.ts_ns = t.run_ns
    worst = t.run[0].px
    for k in range(t.n_run):
        # What cannot be named is the unknown order of its level, if that exists.
        if slot_of(t, t.run[k].order_id) == NIL:
            t.run[k].order_id = unknown_id(t.run_side, t.run[k].px)
        total += t.run[k].qty
        if (t.run[k].px < worst) if t.run_side == TC_SIDE_BUY else (t.run[k].px > worst):
            worst = t.run[k].px
    fits = is_in_priority(t, i)
    t.executions += t.n_run
    if fits:
        t.in_priority += t.n_run
        run(t, put_taker(t, i, other(t.run_side), worst, total))
    else:
        put_hidden(t, i, other(t.run_side), worst, total)
    for k in range(t.n_run):
        slot = slot_of(t, t.run[k].order_id)
        if not fits:
            if slot != NIL:
                reduce_by(t, slot, t.run[k].qty)
            else:
                t.unknown += 1
        elif k + 1 == t.n_run or t.run[k + 1].order_id != t.run[k].order_id:
            put_left(
                t, i, t.run[k].order_id, t.e.order[slot].leaves_qty if slot != NIL else 0, TAG_REPAIR
            )
    t.n_run = 0
    t.ts_ns = now_ns


cdef inline void add_execution(Tr* t, uint64_t order_id, uint8_t side, int64_t px, int64_t qty) noexcept nogil:
    cdef void* p
    if t.n_run == t.cap_run:
        p = realloc(t.run, (2 * t.cap_run + 64) * sizeof(Execution))
        if p == NULL:
            t.no_memory = 1
            return
        t.run = <Execution*>p
        t.cap_run = 2 * t.cap_run + 64
    if t.n_run == 0:
        t.run_ns = t.ts_ns
        t.run_side = side
    t.run[t.n_run].order_id = order_id
    t.run[t.n_run].px = px
    t.run[t.n_run].qty = qty
    t.n_run += 1
