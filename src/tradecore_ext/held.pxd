"""An accepted order until its end: who counts it, what it holds, what is given back.

Owner of: a position's list of live orders, working lots, and every change of a hold after acceptance
(docs/reference/accounts.md section 5).  Nothing here can fail.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from tradecore_ext.emit cimport order_px, tc_check
from tradecore_ext.holds cimport spot_hold
from tradecore_ext.keytable cimport position_find
from tradecore_ext.margin cimport hold_of, margin_reduce, margin_release
from tradecore_ext.mathx cimport buy_mask, likely, max64, min64, place_of, unlikely
from tradecore_ext.state cimport (
    NIL,
    OF_CASH,
    OF_HELD,
    OF_LINKED,
    Engine,
    Money,
    Order,
    Position,
)
from tradecore_ext.sums cimport order_gross, sums_order, sums_working
from tradecore_ext.types cimport TC_SIDE_BUY


# ---- counting --------------------------------------------------------------------------------------------


cdef inline void link_order(Engine* e, uint32_t slot) noexcept nogil:
    """Enter a held order, whose position is known, into the position's list."""
    cdef Money* m = e.money + slot
    cdef Position* p = e.position + m.position
    m.held_next = p.orders_head
    # Through a chosen address: whether there is another order is a coin toss. Where there is none, its own record.
    place_of(p.orders_head != NIL, &e.money[p.orders_head].held_prev, &m.held_prev)[0] = slot
    m.held_prev = NIL
    p.orders_head = slot
    if unlikely(p.watched):
        e.account[p.account_id].open_orders += 1


cdef inline void unlink_order(Engine* e, uint32_t slot) noexcept nogil:
    cdef Money* m = e.money + slot
    cdef Position* p = e.position + m.position
    place_of(m.held_prev != NIL, &e.money[m.held_prev].held_next, &p.orders_head)[0] = m.held_next
    place_of(m.held_next != NIL, &e.money[m.held_next].held_prev, &m.held_prev)[0] = m.held_prev
    if unlikely(p.watched):
        e.account[p.account_id].open_orders -= 1


cdef inline void count_working(Engine* e, const Order* o, Position* p, int64_t lots) noexcept nogil:
    """The order's working lots change by so much; a cash order's are not counted."""
    if unlikely(o.flags & OF_CASH):
        return
    p.open_buy += lots & buy_mask(o.side)
    p.open_sell += lots & ~buy_mask(o.side)
    if unlikely(e.track):
        sums_working(e, o.account_id, o.instrument_id, lots & buy_mask(o.side), lots & ~buy_mask(o.side))


cdef inline int64_t closable(const Position* p, uint8_t side) noexcept nogil:
    """Lots of the position that an order of this side would close."""
    if p == NULL:
        return 0
    return max64(-p.qty, 0) if side == TC_SIDE_BUY else max64(p.qty, 0)


cdef inline int64_t risk_reduce_cap(Engine* e, uint32_t slot) noexcept nogil:
    """Lots that a reduce-only order may trade now."""
    return closable(e.position + e.money[slot].position, e.order[slot].side)


# ---- holds ------------------------------------------------------------------------------------------------


cdef inline void set_hold(Engine* e, uint32_t slot, int64_t hold) noexcept nogil:
    """The order's hold becomes `hold`, in the wallet that it stands in."""
    cdef Money* m = e.money + slot
    cdef Position* p = e.position + m.position
    cdef uint32_t wallet = p.quote_wallet if e.book[p.instrument_id].linear else m.own.wallet
    e.wallet[wallet].hold += hold - m.hold
    m.hold = hold


cdef inline void set_spot_hold(Engine* e, uint32_t slot, int64_t hold) noexcept nogil:
    cdef Money* m = e.money + slot
    e.wallet[m.own.wallet].hold += hold - m.hold
    m.hold = hold


cdef inline void risk_release(Engine* e, uint32_t slot, int64_t px) noexcept nogil:
    """Terminal event of a held order: leaves and px are still what was counted. O(1)."""
    cdef Order* o = e.order + slot
    cdef Money* m = e.money + slot
    unlink_order(e, slot)
    if o.leaves_qty:
        count_working(e, o, e.position + m.position, -o.leaves_qty)
    if unlikely(e.track):
        sums_order(e, o.account_id, -1, -order_gross(e, o, px, o.leaves_qty))
    if likely(not e.book[o.instrument_id].linear):
        set_spot_hold(e, slot, 0)
    else:
        margin_release(e, slot)


cdef inline int64_t own_need(Engine* e, uint32_t slot, int64_t px, int64_t leaves) noexcept nogil:
    """The hold formula of a live order, spot or linear."""
    cdef Order* o = e.order + slot
    if likely(not e.book[o.instrument_id].linear):
        return spot_hold(e, slot, px, leaves)
    return hold_of(e.book + o.instrument_id, e.money[slot].fee_rem, e.money[slot].own.adverse, px, leaves)


cdef inline uint32_t held_sibling(const Engine* e, const Order* o) noexcept nogil:
    """The other leg of an OCO pair while both are held, else NIL."""
    cdef uint32_t s
    if likely(not (o.flags & OF_LINKED)):
        return NIL
    s = e.terms[o.terms].sibling
    if s == NIL or not (e.order[s].flags & OF_HELD):
        return NIL
    return s


cdef inline void risk_reduce(
    Engine* e, uint32_t slot, int64_t old_leaves, int64_t new_leaves, int64_t px
) noexcept nogil:
    """The order lost quantity (a cash order: cash) without trading; leaves_qty is new already. O(1)."""
    cdef Order* o = e.order + slot
    cdef Money* m = e.money + slot
    cdef uint32_t sibling
    cdef int64_t hold
    if not (o.flags & OF_HELD):
        return
    count_working(e, o, e.position + m.position, new_leaves - old_leaves)
    if unlikely(e.track):
        sums_order(e, o.account_id, 0, order_gross(e, o, px, new_leaves) - order_gross(e, o, px, old_leaves))
    sibling = held_sibling(e, o)
    if e.book[o.instrument_id].linear:
        margin_reduce(e, slot, new_leaves)
    if likely(sibling == NIL):
        if not e.book[o.instrument_id].linear:
            set_spot_hold(e, slot, spot_hold(e, slot, px, new_leaves))
        return
    # Together the pair must still cover whichever leg executes.
    hold = max64(
        own_need(e, slot, px, new_leaves),
        own_need(e, sibling, order_px(e, e.order + sibling), e.order[sibling].leaves_qty),
    )
    set_hold(e, slot, max64(hold - e.money[sibling].hold, 0))


cdef inline void risk_take_over(Engine* e, uint32_t giver, uint32_t taker) noexcept nogil:
    """The leg `taker` of a pair executes, `giver` is about to die: what taker lacks passes over from giver's hold."""
    cdef int64_t lack
    if not (e.order[giver].flags & OF_HELD and e.order[taker].flags & OF_HELD):
        return
    lack = own_need(e, taker, order_px(e, e.order + taker), e.order[taker].leaves_qty) - e.money[taker].hold
    if lack > 0:
        lack = min64(lack, e.money[giver].hold)
        e.money[giver].hold -= lack
        e.money[taker].hold += lack


cdef inline void risk_adopt(Engine* e, uint32_t slot) noexcept nogil:
    """An order made by the engine to close a position: no hold, counted nowhere, the position exists."""
    cdef Money* m = e.money + slot
    m.hold = 0
    m.own.adverse = 0
    m.fee_rem = 0
    m.held_next = NIL
    m.held_prev = NIL
    m.position = position_find(e, e.order[slot].account_id, e.order[slot].instrument_id)
    tc_check(e, m.position != NIL, 3002)
