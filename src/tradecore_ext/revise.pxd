"""A replace that may take more than the order has: checked like a new order, with the old one taken out.

Owner of: "Replace" in section 5 of docs/reference/accounts.md.
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t

from tradecore_ext.emit cimport order_px
from tradecore_ext.held cimport closable, count_working, set_spot_hold
from tradecore_ext.holds cimport spot_hold, spot_need
from tradecore_ext.limits cimport Ask, limits_check, limits_consume
from tradecore_ext.margin cimport MarginNeed, margin_check_replace, margin_reduce, margin_replace
from tradecore_ext.mathx cimport int128, unlikely
from tradecore_ext.risk cimport (
    SQ_REDUCE_ONLY,
    NewOrder,
    RiskResult,
    ask_of,
    check_reach,
    check_spot_values,
    check_state,
    check_switches,
    is_limited,
    cover,
    wallet_of,
)
from tradecore_ext.state cimport Book, Engine, Money, Order, Position, RiskNode
from tradecore_ext.sums cimport order_gross, sums_order
from tradecore_ext.types cimport TC_FLAG_REDUCE_ONLY


cdef inline void ask_of_replace(Engine* e, uint32_t slot, int64_t px, int64_t leaves, Ask* q) noexcept nogil:
    """The new values of an order, with what the order counts now taken out of the sums."""
    cdef Order* o = e.order + slot
    cdef NewOrder n
    n.account_id = o.account_id
    n.instrument_id = o.instrument_id
    n.side = o.side
    n.ord_type = o.ord_type
    n.px = px
    n.order_qty = leaves
    n.cash_order_qty = 0
    ask_of(e, e.book + o.instrument_id, &n, q)
    q.replace = True
    q.old_lots = o.leaves_qty
    q.old_gross = order_gross(e, o, order_px(e, o), o.leaves_qty)


cdef inline uint16_t check_spot_replace(
    Engine* e, const Book* b, uint32_t slot, int64_t px, int64_t leaves, RiskResult* r
) noexcept nogil:
    """318 cannot happen (a price cannot be taken away), 319, 313, 314."""
    cdef Order* o = e.order + slot
    cdef Money* m = e.money + slot
    cdef int128 need = spot_need(b, o.side, px, leaves, False, 0, m.fee_rem)
    cdef uint16_t status = check_spot_values(b, o.side, px, leaves, False, need, r)
    if unlikely(status != 0):
        return status
    r.need = <int64_t>need
    return cover(e, o.side, m.own.wallet, need, m.hold, r)


cdef inline uint16_t risk_check_replace(
    Engine* e, uint32_t slot, int64_t px, int64_t leaves, RiskResult* r
) noexcept nogil:
    """Risk checks of a replace that may take more than the order has. Changes nothing. O(1)."""
    cdef Order* o = e.order + slot
    cdef Money* m = e.money + slot
    cdef RiskNode* a = e.account + o.account_id
    cdef Book* b = e.book + o.instrument_id
    cdef Position* p = e.position + m.position
    cdef uint16_t status
    cdef MarginNeed mn
    cdef Ask q
    r.position = m.position
    r.checked = 1
    r.need = 0
    r.adverse = 0
    r.observed = 0
    r.limit = 0
    r.scope = 0
    status = check_switches(e, a, b, p)
    if unlikely(status != 0):
        return status
    status = check_state(e, b, wallet_of(e, b, p, o.account_id, o.side), m.position, o.flags, r)
    if unlikely(status != 0):
        return status
    if unlikely(o.flags & TC_FLAG_REDUCE_ONLY):
        if closable(p, o.side) == 0:
            r.observed = leaves
            return SQ_REDUCE_ONLY
    if unlikely(is_limited(e, a, p)):
        ask_of_replace(e, slot, px, leaves, &q)
        status = limits_check(e, &q, p, &r.observed, &r.limit, &r.scope)
        if status:
            return status
    status = check_reach(p, leaves - o.leaves_qty, r)
    if unlikely(status != 0):
        return status
    if not b.linear:
        return check_spot_replace(e, b, slot, px, leaves, r)
    status = margin_check_replace(e, slot, px, leaves, &mn)
    if status:
        r.observed = mn.observed
        r.limit = mn.limit
        return status
    r.need = mn.need
    r.adverse = mn.adverse
    return 0


cdef inline void risk_replace(
    Engine* e, uint32_t slot, int64_t px, int64_t leaves, const RiskResult* r
) noexcept nogil:
    """The replace happens; the order's own fields are still the old ones. Where no check has run (r.checked) the
    new values only take less and the hold falls to the formula. O(1)."""
    cdef Order* o = e.order + slot
    cdef RiskNode* a = e.account + o.account_id
    cdef Position* p = e.position + e.money[slot].position
    cdef int64_t old_px = order_px(e, o)
    cdef Ask q
    if unlikely(r.checked and is_limited(e, a, p)):
        ask_of_replace(e, slot, px, leaves, &q)
        limits_consume(e, &q)
    count_working(e, o, p, leaves - o.leaves_qty)
    if unlikely(e.track):
        sums_order(
            e, o.account_id, 0, order_gross(e, o, px, leaves) - order_gross(e, o, old_px, o.leaves_qty)
        )
    if not e.book[o.instrument_id].linear:
        set_spot_hold(e, slot, r.need if r.checked else spot_hold(e, slot, px, leaves))
    elif r.checked:
        margin_replace(e, slot, r.need, r.adverse)
    else:
        margin_reduce(e, slot, leaves)
