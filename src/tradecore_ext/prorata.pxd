"""Pro-rata allocation: who of a level gets how much, and what a taker does at such a level.

Owner of: Engine.maker and Engine.share.
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t

from tradecore_ext.ending cimport cancel_sibling, end_order
from tradecore_ext.fills cimport fill_any
from tradecore_ext.held cimport risk_reduce_cap
from tradecore_ext.mathx cimport min64, mul128
from tradecore_ext.special cimport (
    M_ENDED,
    M_NEXT,
    M_TRIPPED,
    S_CASH_SPENT,
    S_REDUCE_ONLY,
    affordable,
    breach,
    prevent_self_trade,
    same_owner,
)
from tradecore_ext.state cimport (
    NIL,
    OF_CASH,
    OF_LINKED,
    OF_TOP_BEST,
    ST_RESTING,
    Book,
    Engine,
    Ladder,
    Level,
    Order,
)
from tradecore_ext.types cimport (
    TC_EVT_EXPIRED,
    TC_FLAG_REDUCE_ONLY,
    TC_FLAG_TOP,
    TC_STP_NONE,
    TC_TOP_FLAG,
)


cdef inline uint32_t top_order(Engine* e, const Book* b, const Level* l) noexcept nogil:
    """The level's order with the top-order right, NIL none."""
    cdef uint32_t n = l.head
    cdef uint16_t want = TC_FLAG_TOP if b.spec.alloc_top == TC_TOP_FLAG else OF_TOP_BEST
    if b.spec.alloc_top == 0:
        return NIL
    while n != NIL:
        if e.order[n].flags & want:
            return n
        n = e.order[n].next
    return NIL


cdef inline void allocate(Engine* e, const Book* b, uint32_t lv, int64_t qty) noexcept nogil:
    """Who of a level gets how much of qty: top order, shares, then first come, first served.

    Fills Engine.maker and Engine.share; top order first, then FIFO. O(orders of the level)."""
    cdef Level* l = e.level + lv
    cdef uint32_t top = NIL
    cdef uint32_t n = l.head
    cdef uint32_t i, first
    cdef int64_t total, rest, share, extra
    e.n_makers = 0
    if qty >= l.qty:
        while n != NIL:
            e.maker[e.n_makers] = n
            e.share[e.n_makers] = e.order[n].leaves_qty
            e.n_makers += 1
            n = e.order[n].next
        return
    total = l.qty
    top = top_order(e, b, l)
    if top != NIL:
        share = min64(qty, e.order[top].leaves_qty)
        e.maker[0] = top
        e.share[0] = share
        e.n_makers = 1
        qty -= share
        total -= e.order[top].leaves_qty
        if qty == 0:
            return
    first = e.n_makers
    rest = qty
    while n != NIL:
        if n != top:
            share = <int64_t>(mul128(qty, e.order[n].leaves_qty) / total)
            if share < b.spec.min_alloc:
                share = 0
            e.maker[e.n_makers] = n
            e.share[e.n_makers] = share
            e.n_makers += 1
            rest -= share
        n = e.order[n].next
    for i in range(first, e.n_makers):
        extra = min64(rest, e.order[e.maker[i]].leaves_qty - e.share[i])
        e.share[i] += extra
        rest -= extra


cdef inline int match_prorata_level(
    Engine* e, Book* b, Ladder* opp, uint32_t slot, int64_t px
) noexcept nogil:
    """Everything the taker does at the best level of a pro-rata instrument."""
    cdef Order* o = e.order + slot
    cdef uint32_t lv = opp.best_level
    cdef uint32_t i, n, other
    cdef int64_t best = opp.best
    cdef int64_t q, cap
    cdef int r
    cdef uint16_t status
    if b.breakers:
        status = breach(b, px)
        if status:
            b.trip_status = status
            return M_TRIPPED
    if o.stp != TC_STP_NONE:
        # An own maker can take its sibling along, which may be the next in the queue: go on from the last
        # order of somebody else, who stays.
        other = NIL
        n = e.level[lv].head
        while n != NIL:
            if same_owner(e, o, e.order + n):
                r = prevent_self_trade(e, b, opp, slot, n, px)
                if r == M_ENDED:
                    return r
                if opp.best != best:
                    return M_NEXT
                n = e.level[lv].head if other == NIL else e.order[other].next
            else:
                other = n
                n = e.order[n].next
    if o.flags & OF_CASH:
        q = affordable(e, b, o, px)
        if q == 0:
            end_order(e, slot, TC_EVT_EXPIRED, S_CASH_SPENT)
            return M_ENDED
    else:
        q = o.leaves_qty
    if e.accounts and o.flags & TC_FLAG_REDUCE_ONLY:
        cap = risk_reduce_cap(e, slot)
        if cap == 0:
            end_order(e, slot, TC_EVT_EXPIRED, S_REDUCE_ONLY)
            return M_ENDED
        q = min64(q, cap)
    allocate(e, b, lv, q)
    # What was allocated is filled in that order; a maker that dies meanwhile as somebody's sibling is
    # passed over, and the loop looks at the level again.
    for i in range(e.n_makers):
        n = e.maker[i]
        if e.order[n].state == ST_RESTING and e.order[n].level == lv and e.share[i] > 0:
            if e.order[n].flags & OF_LINKED:
                cancel_sibling(e, n)
            if o.flags & OF_LINKED:
                cancel_sibling(e, slot)
            fill_any(e, b, opp, slot, n, px, e.share[i])
    return M_NEXT
