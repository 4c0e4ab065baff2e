"""Matching: what a taker does from its first look at the book until it is finished.

Owner of: section 3 of docs/reference/semantics.md.  The plain case (limit against limit, nothing special
on either side) is one short loop; everything rare is in rooms of its own behind one test (special.pxd, prorata.pxd).
Callers: intake (new orders), replace, stops, lists, liquidation.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from tradecore_ext.ending cimport end_order, filled
from tradecore_ext.fills cimport fill, taker_done
from tradecore_ext.ids cimport id_insert, id_tag
from tradecore_ext.ladder cimport (
    ladder_find,
    ladder_get,
    ladder_next,
    level_append,
    level_available,
    rank_of,
)
from tradecore_ext.mathx cimport I64_MAX, likely, min64, unlikely
from tradecore_ext.prorata cimport match_prorata_level
from tradecore_ext.special cimport M_ENDED, M_NEXT, M_STOP, breach, match_special, same_owner
from tradecore_ext.state cimport (
    NIL,
    OF_CASH,
    OF_ICEBERG,
    OF_LINKED,
    OF_TOP_BEST,
    ST_ACTIVE,
    ST_RESTING,
    Book,
    Engine,
    Ladder,
    Order,
)
from tradecore_ext.types cimport (
    TC_EVT_EXPIRED,
    TC_FLAG_LIQUIDATION,
    TC_FLAG_REDUCE_ONLY,
    TC_PHASE_CONTINUOUS,
    TC_SIDE_BUY,
    TC_STP_NONE,
    TC_TIF_DAY,
    TC_TIF_FOK,
    TC_TIF_GTC,
    TC_TIF_GTD,
    TC_TOP_BEST,
)

# Status codes used here; the sentence of each stands in tc_status.def.
cdef enum:
    S_FOK = 404
    S_MIN_QTY_UNMET = 405
    S_IOC_REMAINDER = 406
    S_NO_LIQUIDITY = 407
    S_BREAKER = 423
    S_CAPACITY_LEVELS = 501
    S_CAPACITY_QTY = 507


cdef inline bint is_market(const Order* o) noexcept nogil:
    """True for the types that never rest (MARKET, STOP, TAKE_PROFIT)."""
    return (o.ord_type & 1) == 1


cdef inline bint rests(uint8_t tif) noexcept nogil:
    return tif == TC_TIF_GTC or tif == TC_TIF_DAY or tif == TC_TIF_GTD


cdef inline int match(Engine* e, Book* b, uint32_t slot, int64_t limit_rank) noexcept nogil:
    """Trade the order in flight against the other side. O(fills), plus O(1) amortised a level."""
    cdef Order* o = e.order + slot
    cdef Ladder* opp = &b.ladder[2 - o.side]
    cdef Order* m
    cdef int64_t px
    cdef uint32_t m_slot, lv
    cdef int r
    cdef bint special = (
        b.breakers
        or o.stp != TC_STP_NONE
        or (o.flags & (TC_FLAG_REDUCE_ONLY | OF_LINKED | OF_CASH | TC_FLAG_LIQUIDATION)) != 0
    )
    cdef bint prorata = b.prorata
    while opp.best <= limit_rank:
        lv = opp.best_level
        px = e.level[lv].px
        if unlikely(prorata):
            r = match_prorata_level(e, b, opp, slot, px)
            if r != M_NEXT:
                return r
        else:
            m_slot = e.level[lv].head
            m = e.order + m_slot
            if likely(not special and not (m.flags & (TC_FLAG_REDUCE_ONLY | OF_LINKED | OF_ICEBERG))):
                fill(e, b, opp, slot, m_slot, px, min64(o.leaves_qty, m.leaves_qty), 0)
            else:
                r = match_special(e, b, opp, slot, m_slot, px)
                if r != M_NEXT:
                    return r
        if taker_done(e, o):
            return M_STOP
    return M_STOP


cdef inline bint can_fill(
    Engine* e, Book* b, const Order* o, int64_t limit_rank, int64_t need
) noexcept nogil:
    """Whether at least `need` lots stand at acceptable prices inside the breakers; own orders do not
    count under STP. O(levels), O(orders) only with STP."""
    cdef Ladder* opp = &b.ladder[2 - o.side]
    cdef uint32_t lv = opp.best_level
    cdef uint32_t n
    cdef int64_t rank
    while lv != NIL:
        rank = rank_of(2 - o.side, e.level[lv].px)
        if rank > limit_rank:
            return False
        if b.breakers and breach(b, e.level[lv].px):
            return False
        if o.stp == TC_STP_NONE:
            need -= e.level[lv].qty
            if need <= 0:
                return True
        else:
            n = e.level[lv].head
            while n != NIL:
                if not same_owner(e, o, e.order + n):
                    need -= e.order[n].leaves_qty
                    if need <= 0:
                        return True
                n = e.order[n].next
        lv = ladder_next(e, opp, rank)
    return False


cdef inline uint16_t can_rest(Engine* e, Book* b, uint8_t side, int64_t px, int64_t qty) noexcept nogil:
    """0, or the capacity that is missing for qty to rest at px."""
    cdef Ladder* s = &b.ladder[side - 1]
    if unlikely(not level_available(e)) and ladder_find(e, s, rank_of(side - 1, px)) == NIL:
        return S_CAPACITY_LEVELS
    if unlikely(s.qty > ((<int64_t>1) << 62) - qty):
        return S_CAPACITY_QTY
    return 0


cdef inline void rest_order(Engine* e, Book* b, uint32_t slot, int64_t px) noexcept nogil:
    """The order in flight comes to rest at the back of its price. Room has been checked (can_rest)."""
    cdef Order* o = e.order + slot
    cdef Ladder* s = &b.ladder[o.side - 1]
    cdef int64_t rank = rank_of(o.side - 1, px)
    cdef bint better = rank < s.best
    cdef uint32_t lv = ladder_get(e, s, rank, px)
    if unlikely(b.prorata):
        # Cleared whatever the allocation is now: an order that is requeued has lost the right for good.
        better = better and b.spec.alloc_top == TC_TOP_BEST
        o.flags = (o.flags | OF_TOP_BEST) if better else (o.flags & ~OF_TOP_BEST)
    o.state = ST_RESTING
    level_append(e, s, lv, slot)
    if unlikely(o.flags & OF_ICEBERG):
        e.level[lv].icebergs += 1
        e.terms[o.terms].visible_qty = min64(e.terms[o.terms].display_qty, o.leaves_qty)
    if not o.in_ids:
        id_insert(e, id_tag(&e.ids, o.order_id), slot)
        o.in_ids = 1


cdef inline int64_t limit_rank_of(const Order* o, int64_t px) noexcept nogil:
    """Worst rank on the other side that the order accepts; px 0 = any."""
    if px == 0:
        return I64_MAX - 1
    return px if o.side == TC_SIDE_BUY else -px


cdef inline void execute(Engine* e, Book* b, uint32_t slot, int64_t px, bint entry) noexcept nogil:
    """Run the order in flight to its end: traded, rested, expired. `entry`: FOK and min_qty apply.

    The caller has emitted ACCEPTED, TRIGGERED or REPLACED and taken the hold; afterwards it lets the
    breaker speak (phase.pxd) and the stops be elected.
    """
    cdef Order* o = e.order + slot
    cdef int64_t limit_rank = limit_rank_of(o, px)
    cdef int r = M_STOP
    cdef uint16_t status
    e.taker_px = px
    o.state = ST_ACTIVE
    if unlikely(b.breakers):
        b.dyn_ref_px = b.last_px
    if likely(b.phase == TC_PHASE_CONTINUOUS):
        if unlikely(entry):
            if o.tif == TC_TIF_FOK and not can_fill(e, b, o, limit_rank, o.order_qty):
                end_order(e, slot, TC_EVT_EXPIRED, S_FOK)
                return
            if o.terms != NIL and e.terms[o.terms].min_qty > 0:
                if not can_fill(e, b, o, limit_rank, e.terms[o.terms].min_qty):
                    end_order(e, slot, TC_EVT_EXPIRED, S_MIN_QTY_UNMET)
                    return
        r = match(e, b, slot, limit_rank)
        if r == M_ENDED:
            return
        if taker_done(e, o):
            filled(e, slot)
            return
    if unlikely(is_market(o) or not rests(o.tif)):
        if b.trip_status or b.phase != TC_PHASE_CONTINUOUS:
            status = S_BREAKER
        elif is_market(o):
            status = S_NO_LIQUIDITY
        else:
            status = S_FOK if o.tif == TC_TIF_FOK else S_IOC_REMAINDER
        end_order(e, slot, TC_EVT_EXPIRED, status)
        return
    status = can_rest(e, b, o.side, px, o.leaves_qty)
    if unlikely(status != 0):
        end_order(e, slot, TC_EVT_EXPIRED, status)
        return
    rest_order(e, b, slot, px)
