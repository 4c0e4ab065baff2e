"""O(n) audit of the books: every order counted once, every sum and every link as it should be.

Owner of: audit codes 1-39.  Compiled into every step by the audit build, called by Engine.audit() elsewhere.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tradecore_ext.ids cimport id_find, id_tag
from tradecore_ext.ladder cimport ladder_next, rank_of
from tradecore_ext.state cimport (
    L_ASK,
    L_BID,
    NIL,
    OF_ICEBERG,
    OF_LINKED,
    ST_DORMANT,
    ST_FREE,
    ST_PENDING,
    ST_RESTING,
    AuditResult,
    Book,
    Engine,
    Ladder,
    Level,
    Order,
)
from tradecore_ext.stopbook cimport stop_ladder
from tradecore_ext.timers cimport timer_before
from tradecore_ext.types cimport TC_PHASE_CONTINUOUS


cdef inline bint broken(
    AuditResult* r, bint ok, uint32_t code, uint32_t where, int64_t observed, int64_t expected
) noexcept nogil:
    """Note the first violated identity; True when there is one."""
    if not ok and r.code == 0:
        r.code = code
        r.where = where
        r.observed = observed
        r.expected = expected
    return r.code != 0


cdef inline bint audit_order(Engine* e, uint32_t slot, AuditResult* r) noexcept nogil:
    cdef Order* o = e.order + slot
    if broken(r, o.leaves_qty >= 0 and o.cum_qty >= 0, 1, slot, o.leaves_qty, 0):
        return True
    if broken(r, o.cum_qty + o.leaves_qty <= o.order_qty, 2, slot, o.cum_qty + o.leaves_qty, o.order_qty):
        return True
    if broken(r, o.in_ids and id_find(e, o.order_id, id_tag(&e.ids, o.order_id)) == slot, 3, slot, 0, slot):
        return True
    if o.flags & OF_ICEBERG and o.state == ST_RESTING:
        if broken(
            r, 0 < e.terms[o.terms].visible_qty <= o.leaves_qty, 4, slot, e.terms[o.terms].visible_qty, o.leaves_qty
        ):
            return True
    return False


cdef inline uint64_t audit_ladder(Engine* e, Book* b, int which, AuditResult* r) noexcept nogil:
    """Walk one ladder; returns its orders."""
    cdef Ladder* s = &b.ladder[which]
    cdef Level* l
    cdef uint32_t lv = s.best_level
    cdef uint32_t n, prev
    cdef uint32_t levels = 0
    cdef uint64_t orders = 0
    cdef uint64_t here, icebergs
    cdef int64_t qty, total, last
    total = 0
    last = 0
    if lv != NIL and broken(r, s.best == rank_of(which, e.level[lv].px), 10, lv, s.best, 0):
        return 0
    while lv != NIL:
        l = e.level + lv
        if levels and broken(r, rank_of(which, l.px) > last, 11, lv, l.px, last):
            return 0
        last = rank_of(which, l.px)
        levels += 1
        here = 0
        icebergs = 0
        qty = 0
        prev = NIL
        n = l.head
        while n != NIL:
            if broken(r, e.order[n].prev == prev and e.order[n].level == lv, 12, n, e.order[n].prev, prev):
                return 0
            if which <= L_ASK:
                if broken(
                    r, e.order[n].state == ST_RESTING and e.order[n].side == which + 1, 13, n,
                    e.order[n].state, ST_RESTING
                ):
                    return 0
            elif broken(
                r, e.order[n].state == ST_DORMANT and stop_ladder(e.order + n) == which, 14, n,
                e.order[n].state, ST_DORMANT
            ):
                return 0
            if audit_order(e, n, r):
                return 0
            here += 1
            icebergs += 1 if e.order[n].flags & OF_ICEBERG and which <= L_ASK else 0
            qty += e.order[n].leaves_qty
            prev = n
            n = e.order[n].next
        if broken(r, here > 0 and here == l.count and l.tail == prev, 15, lv, l.count, here):
            return 0
        if broken(r, qty == l.qty and icebergs == l.icebergs, 16, lv, l.qty, qty):
            return 0
        orders += here
        total += qty
        lv = ladder_next(e, s, last)
    if broken(r, levels == s.n_levels, 17, s.book, s.n_levels, levels):
        return 0
    if broken(r, total == s.qty, 18, s.book, s.qty, total):
        return 0
    return orders


cdef inline void book_audit(Engine* e, AuditResult* r) noexcept nogil:
    """Every live order stands in exactly one list; no book is crossed while it trades. O(orders)."""
    cdef uint32_t i, slot, n
    cdef uint64_t found, live, pending, in_book, here, stops
    cdef Book* b
    found = 0
    pending = 0
    live = 0
    for slot in range(e.order_fresh):
        if e.order[slot].state != ST_FREE:
            live += 1
            if e.order[slot].state == ST_PENDING:
                pending += 1
    if broken(r, live == e.live, 20, 0, e.live, live):
        return
    for i in range(e.max_instruments):
        b = e.book + i
        if not b.exists:
            continue
        in_book = 0
        stops = 0
        for n in range(4):
            here = audit_ladder(e, b, n, r)
            if r.code:
                return
            in_book += here
            stops += here if n > L_ASK else 0
        if broken(r, stops == b.n_stops, 21, i, b.n_stops, stops):
            return
        slot = b.trailing_head
        n = 0
        while slot != NIL:
            n += 1
            slot = e.terms[e.order[slot].terms].trail_next
        if broken(r, n == b.n_trailing, 22, i, b.n_trailing, n):
            return
        in_book += n
        if b.phase == TC_PHASE_CONTINUOUS and b.ladder[L_BID].n_levels and b.ladder[L_ASK].n_levels:
            if broken(
                r, e.level[b.ladder[L_BID].best_level].px < e.level[b.ladder[L_ASK].best_level].px, 23, i,
                e.level[b.ladder[L_BID].best_level].px, e.level[b.ladder[L_ASK].best_level].px
            ):
                return
        found += in_book
    if broken(r, found + pending == e.live, 24, 0, found + pending, e.live):
        return
    for i in range(1, e.n_timers):
        if broken(r, not timer_before(e.timer + i, e.timer + ((i - 1) >> 1)), 25, i, 0, 0):
            return
