"""One step of matching with every rule looked at: breakers, self-trade prevention, cash and reduce-only orders.

Owner of: the rules behind the one test of the matching loop (book.pxd), in the order of docs/reference/semantics.md.
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t

from tradecore_ext.emit cimport emit_order
from tradecore_ext.ending cimport cancel_sibling, end_order
from tradecore_ext.fills cimport fill_any
from tradecore_ext.held cimport risk_reduce, risk_reduce_cap
from tradecore_ext.ladder cimport level_reduce
from tradecore_ext.mathx cimport PPM, abs64, int128, min64, mul128
from tradecore_ext.state cimport OF_CASH, OF_ICEBERG, OF_LINKED, Book, Engine, Ladder, Order, Terms
from tradecore_ext.types cimport (
    TC_EVT_EXPIRED,
    TC_EVT_RESTATED,
    TC_FLAG_REDUCE_ONLY,
    TC_STP_EXPIRE_BOTH,
    TC_STP_EXPIRE_MAKER,
    TC_STP_EXPIRE_TAKER,
    TC_STP_NONE,
)

cdef enum:
    M_STOP = 0     # nothing acceptable is left, or the taker is filled
    M_ENDED = 1    # the taker was ended by a rule and its slot is free
    M_TRIPPED = 2  # a breaker stopped the matching
    M_NEXT = 3     # go on with the loop

# Status codes used here; the sentence of each stands in tc_status.def.
cdef enum:
    S_BREAKER_STATIC = 209
    S_BREAKER_DYNAMIC = 210
    S_REDUCE_ONLY = 315
    S_CASH_SPENT = 408
    S_STP = 409


cdef inline uint16_t breach(const Book* b, int64_t px) noexcept nogil:
    """Status of the breaker a trade at px would trip, 0 none."""
    cdef int64_t r = b.spec.band_ref_px
    if b.spec.static_band_ppm and r > 0:
        if mul128(abs64(px - r), PPM) > mul128(r, b.spec.static_band_ppm):
            return S_BREAKER_STATIC
    r = b.dyn_ref_px
    if b.spec.dynamic_band_ppm and r > 0:
        if mul128(abs64(px - r), PPM) > mul128(r, b.spec.dynamic_band_ppm):
            return S_BREAKER_DYNAMIC
    return 0


cdef inline bint same_owner(const Engine* e, const Order* a, const Order* c) noexcept nogil:
    """STP scope: one account, or one non-zero trade group."""
    if a.account_id == c.account_id:
        return True
    if not e.accounts or e.account[a.account_id].trade_group == 0:
        return False
    return e.account[a.account_id].trade_group == e.account[c.account_id].trade_group


cdef inline int64_t affordable(const Engine* e, const Book* b, const Order* o, int64_t px) noexcept nogil:
    """Lots that the rest of a cash order buys or sells at px, a multiple of the instrument's lot."""
    cdef int128 price = mul128(px, b.multiplier)
    cdef int64_t lots = <int64_t>(<int128>e.terms[o.terms].cash_left / price)
    return lots - lots % b.spec.lot


cdef inline int64_t shown(const Engine* e, const Order* m) noexcept nogil:
    return e.terms[m.terms].visible_qty if m.flags & OF_ICEBERG else m.leaves_qty


cdef inline int prevent_self_trade(
    Engine* e, Book* b, Ladder* opp, uint32_t slot, uint32_t m_slot, int64_t px
) noexcept nogil:
    """Apply the taker's STP mode to a pair of one owner."""
    cdef Order* o = e.order + slot
    cdef Order* m = e.order + m_slot
    cdef Terms* t
    cdef int64_t d, mine
    cdef int mode = o.stp
    if mode == TC_STP_EXPIRE_TAKER:
        end_order(e, slot, TC_EVT_EXPIRED, S_STP)
        return M_ENDED
    if mode == TC_STP_EXPIRE_MAKER or mode == TC_STP_EXPIRE_BOTH:
        end_order(e, m_slot, TC_EVT_EXPIRED, S_STP)
        if mode == TC_STP_EXPIRE_MAKER:
            return M_NEXT
        end_order(e, slot, TC_EVT_EXPIRED, S_STP)
        return M_ENDED
    mine = affordable(e, b, o, px) if o.flags & OF_CASH else o.leaves_qty
    if mine == 0:
        end_order(e, slot, TC_EVT_EXPIRED, S_CASH_SPENT)
        return M_ENDED
    d = min64(mine, m.leaves_qty)
    if d == m.leaves_qty:
        end_order(e, m_slot, TC_EVT_EXPIRED, S_STP)
    else:
        level_reduce(e, opp, m.level, d)
        m.leaves_qty -= d
        if m.flags & OF_ICEBERG:
            t = e.terms + m.terms
            t.visible_qty = min64(t.visible_qty, m.leaves_qty)
        if e.accounts:
            risk_reduce(e, m_slot, m.leaves_qty + d, m.leaves_qty, px)
        emit_order(e, TC_EVT_RESTATED, S_STP, m, px)
    if o.flags & OF_CASH:
        e.terms[o.terms].cash_left -= d * px * b.multiplier
        o.order_qty += d
        if e.terms[o.terms].cash_left == 0:
            end_order(e, slot, TC_EVT_EXPIRED, S_STP)
            return M_ENDED
        if e.accounts:
            # The rest may still sell down to the protective price: that is what its hold has to cover.
            risk_reduce(e, slot, d, 0, e.taker_px)
        emit_order(e, TC_EVT_RESTATED, S_STP, o, e.taker_px)
        return M_NEXT
    if d == o.leaves_qty:
        end_order(e, slot, TC_EVT_EXPIRED, S_STP)
        return M_ENDED
    o.leaves_qty -= d
    if e.accounts:
        risk_reduce(e, slot, o.leaves_qty + d, o.leaves_qty, e.taker_px)
    emit_order(e, TC_EVT_RESTATED, S_STP, o, e.taker_px)
    return M_NEXT


cdef inline int match_special(
    Engine* e, Book* b, Ladder* opp, uint32_t slot, uint32_t m_slot, int64_t px
) noexcept nogil:
    """One step of the loop with every rule looked at, in the order of the reference page."""
    cdef Order* o = e.order + slot
    cdef Order* m = e.order + m_slot
    cdef int64_t qty, cap
    cdef uint16_t status
    if b.breakers:
        status = breach(b, px)
        if status:
            b.trip_status = status
            return M_TRIPPED
    if o.stp != TC_STP_NONE and same_owner(e, o, m):
        return prevent_self_trade(e, b, opp, slot, m_slot, px)
    if o.flags & OF_CASH:
        qty = affordable(e, b, o, px)
        if qty == 0:
            end_order(e, slot, TC_EVT_EXPIRED, S_CASH_SPENT)
            return M_ENDED
        qty = min64(qty, shown(e, m))
    else:
        qty = min64(o.leaves_qty, shown(e, m))
    if e.accounts:
        if o.flags & TC_FLAG_REDUCE_ONLY:
            cap = risk_reduce_cap(e, slot)
            if cap == 0:
                end_order(e, slot, TC_EVT_EXPIRED, S_REDUCE_ONLY)
                return M_ENDED
            qty = min64(qty, cap)
        if m.flags & TC_FLAG_REDUCE_ONLY:
            cap = risk_reduce_cap(e, m_slot)
            if cap == 0:
                end_order(e, m_slot, TC_EVT_EXPIRED, S_REDUCE_ONLY)
                return M_NEXT
            qty = min64(qty, cap)
    if m.flags & OF_LINKED:
        cancel_sibling(e, m_slot)
    if o.flags & OF_LINKED:
        cancel_sibling(e, slot)
    fill_any(e, b, opp, slot, m_slot, px, qty)
    return M_NEXT
