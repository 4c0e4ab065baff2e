"""Rows of a LOBSTER day become frames; the snapshot behind each row says what the messages do not.

Owner of: the meaning of LOBSTER messages in docs/concepts/backtesting.md, "Data".
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tradecore_ext.ladder cimport ladder_next, rank_of
from tradecore_ext.state cimport L_ASK, L_BID, NIL, Engine
from tradecore_ext.tr_book cimport (
    add_execution,
    best_level,
    clear_crossed,
    clear_level,
    finish_run,
    other,
    reduce_by,
    slot_or_unknown,
    unknown_id,
)
from tradecore_ext.tr_frames cimport Tr, put_cancel, put_hidden, put_new
from tradecore_ext.types cimport TC_SIDE_BUY, TC_SIDE_SELL

cdef extern from *:
    """
    #define TC_ABSENT_PX ((int64_t)9999999999)
    """
    const int64_t ABSENT_PX "TC_ABSENT_PX"   # a level that a LOBSTER row does not have


cdef inline void fit_side(Tr* t, uint8_t side, const int64_t* row, int64_t levels) noexcept nogil:
    """Make a side show what the snapshot row shows: cut what left the view, adopt what came into it."""
    cdef Engine* e = t.e
    cdef int which = L_BID if side == TC_SIDE_BUY else L_ASK
    cdef const int64_t* cell = row + (2 if side == TC_SIDE_BUY else 0)
    cdef uint32_t lv = best_level(t, which, 0)
    cdef uint32_t after
    cdef int64_t k = 0
    cdef int64_t px, qty
    while True:
        px = qty = 0
        while k < levels:
            px = cell[4 * k]
            qty = cell[4 * k + 1]
            if qty > 0 and px > 0 and px != ABSENT_PX:
                break
            k += 1
        if lv == NIL and k >= levels:
            return
        if k < levels and lv != NIL and e.level[lv].px == px:
            after = ladder_next(e, &e.book[0].ladder[which], rank_of(which, px))
            if e.level[lv].qty != qty:
                # Somebody stands in the queue who is gone in the file: only the total is known.
                t.corrected += 1
                clear_level(t, which, 0, lv)
                put_new(t, 0, unknown_id(side, px), side, px, qty)
            lv = after
            k += 1
        elif k < levels and (lv == NIL or rank_of(which, px) < rank_of(which, e.level[lv].px)):
            t.adopted += 1
            clear_crossed(t, 0, side, px)
            put_new(t, 0, unknown_id(side, px), side, px, qty)
            k += 1
        else:
            # A price that has no level has no next one: look before it goes.
            after = ladder_next(e, &e.book[0].ladder[which], rank_of(which, e.level[lv].px))
            clear_level(t, which, 0, lv)
            lv = after
        if t.no_memory or t.stopped:
            return


cdef inline void fit(Tr* t, const int64_t* row, int64_t levels) noexcept nogil:
    fit_side(t, TC_SIDE_SELL, row, levels)
    fit_side(t, TC_SIDE_BUY, row, levels)


cdef inline void lobster_row(
    Tr* t, const int64_t* m, const int64_t* before, const int64_t* row, int64_t levels
) noexcept nogil:
    """One message: (ts_ns, type, order_id, qty, px, direction); `before` is the snapshot of the row before."""
    cdef int64_t kind = m[1]
    cdef uint8_t side = TC_SIDE_BUY if m[5] > 0 else TC_SIDE_SELL
    cdef uint32_t slot
    if t.n_run and (m[0] != t.run_ns or (kind != 5 and (kind != 4 or side != t.run_side))):
        finish_run(t, 0)
        fit(t, before, levels)
    t.ts_ns = m[0]
    if kind == 1:
        clear_crossed(t, 0, side, m[4])
        put_new(t, 0, <uint64_t>m[2], side, m[4], m[3])
    elif kind == 2 or kind == 3:
        slot = slot_or_unknown(t, <uint64_t>m[2], side, m[4])
        if slot == NIL:
            t.unknown += 1
        elif kind == 3 and t.e.order[slot].order_id == <uint64_t>m[2]:
            put_cancel(t, <uint64_t>m[2])
        else:
            reduce_by(t, slot, m[3])
    elif kind == 4:
        add_execution(t, <uint64_t>m[2], side, m[4], m[3])
        return
    elif kind == 5:
        put_hidden(t, 0, other(side), m[4], m[3])
        return
    fit(t, row, levels)
