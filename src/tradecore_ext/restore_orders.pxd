"""The orders of a state image back into their books, with their terms, links and timers.

Owner of: what an image may say about orders.  Every id, code and count is checked before it is used as an index.
Caller: restore.pxd, when instruments, accounts and positions are there.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tradecore_ext.arena cimport order_alloc, terms_alloc, terms_available
from tradecore_ext.held cimport link_order
from tradecore_ext.holds cimport hold_wallet
from tradecore_ext.ids cimport id_find, id_insert, id_tag
from tradecore_ext.keytable cimport position_find
from tradecore_ext.ladder cimport ladder_find, ladder_get, level_append, level_available, rank_of
from tradecore_ext.mathx cimport likely
from tradecore_ext.pages cimport page_find
from tradecore_ext.pagetree cimport NO_PAGE
from tradecore_ext.records cimport Image, OrderRecord, TermsRecord, find_section, in_lots, refuse
from tradecore_ext.state cimport (
    NIL,
    OF_HELD,
    OF_ICEBERG,
    OF_LINKED,
    OF_TIMED,
    OF_TRAILING,
    ST_DORMANT,
    ST_PENDING,
    ST_RESTING,
    Book,
    Engine,
    Ladder,
    Order,
    Terms,
)
from tradecore_ext.stopbook cimport is_stop_type, stop_ladder, trailing_link
from tradecore_ext.timers cimport TIMER_EXPIRY, timer_set
from tradecore_ext.types cimport TC_MAX_PX


cdef inline bint order_sound(const Engine* e, const OrderRecord* r) noexcept nogil:
    """Codes and quantities that the kernel relies on without looking again."""
    if r.instrument_id >= e.max_instruments or not e.book[r.instrument_id].exists or r.order_id == 0:
        return False
    if r.order_id >> 63 or r.side < 1 or r.side > 2 or r.ord_type < 1 or r.ord_type > 6:
        return False
    if r.tif > 6 or r.stp > 4 or r.has_terms > 1:
        return False
    if not in_lots(r.order_qty) or not in_lots(r.cum_qty) or r.leaves_qty < 1 or not in_lots(r.leaves_qty):
        return False
    if r.px < 0 or r.px > TC_MAX_PX or (r.px == 0 and r.state == ST_RESTING):
        return False
    if r.state != ST_RESTING and r.state != ST_DORMANT and r.state != ST_PENDING:
        return False
    if not r.has_terms and (r.state != ST_RESTING or r.flags & (OF_ICEBERG | OF_LINKED | OF_TIMED | OF_TRAILING)):
        return False
    if r.state == ST_DORMANT and not is_stop_type(r.ord_type):
        return False
    if e.accounts and (r.account_id >= e.max_accounts or not e.account[r.account_id].exists):
        return False
    return True


cdef inline void fill_terms(Engine* e, uint32_t slot, const TermsRecord* x) noexcept nogil:
    cdef Order* o = e.order + slot
    cdef Terms* t
    o.terms = terms_alloc(e)
    t = e.terms + o.terms
    t.px = x.px
    t.stop_px = x.stop_px
    t.display_qty = x.display_qty
    t.visible_qty = x.visible_qty
    t.min_qty = x.min_qty
    t.expire_ts_ns = x.expire_ts_ns
    t.cash_left = x.cash_left
    t.extreme_px = x.extreme_px
    t.entry = x.entry
    t.trailing_bps = x.trailing_bps
    t.trail_hit = x.trail_hit != 0
    if o.flags & OF_TIMED:
        timer_set(e, t.expire_ts_ns, o.order_id, TIMER_EXPIRY, slot)


cdef inline bint terms_sound(const OrderRecord* r, const TermsRecord* x) noexcept nogil:
    if x.stop_px < 0 or x.stop_px > TC_MAX_PX or x.px < 0 or x.px > TC_MAX_PX or x.trailing_bps > 9999:
        return False
    if r.flags & OF_ICEBERG and (x.display_qty < 1 or x.visible_qty < 1 or x.visible_qty > r.leaves_qty):
        return False
    return r.state != ST_DORMANT or x.stop_px > 0 or (r.flags & OF_TRAILING) != 0


cdef inline bint level_fits(Engine* e, Ladder* s, int64_t rank) noexcept nogil:
    """Room for a level at this rank. Exact, unlike level_available: an engine that was full must come back."""
    if likely(level_available(e)) or ladder_find(e, s, rank) != NIL:
        return True
    return (e.level_free != NIL or e.level_fresh < e.max_levels) and page_find(e, s, rank >> 6) != NO_PAGE


cdef inline bint place_restored(Engine* e, Book* b, uint32_t slot, int64_t px) noexcept nogil:
    """Put the order where its state says it stands; records come in queue order. False without a level for it."""
    cdef Order* o = e.order + slot
    cdef int which
    if o.state == ST_PENDING:
        if o.flags & OF_TRAILING:
            b.pending_trailing += 1
    elif o.state == ST_RESTING:
        which = o.side - 1
        if not level_fits(e, &b.ladder[which], rank_of(which, px)):
            return False
        level_append(e, &b.ladder[which], ladder_get(e, &b.ladder[which], rank_of(which, px), px), slot)
        if o.flags & OF_ICEBERG:
            e.level[o.level].icebergs += 1
    elif o.state == ST_DORMANT and o.flags & OF_TRAILING:
        trailing_link(e, b, slot)
    elif o.state == ST_DORMANT:
        which = stop_ladder(o)
        px = e.terms[o.terms].stop_px
        if not level_fits(e, &b.ladder[which], rank_of(which, px)):
            return False
        level_append(e, &b.ladder[which], ladder_get(e, &b.ladder[which], rank_of(which, px), px), slot)
        b.n_stops += 1
    return True


cdef inline int restore_order(Engine* e, Image* im, const OrderRecord* r, const TermsRecord* x) noexcept nogil:
    cdef uint32_t tag = id_tag(&e.ids, r.order_id)
    cdef uint32_t slot, position
    cdef Order* o
    if id_find(e, r.order_id, tag) != NIL:
        return refuse(im, b"an order id stands twice")
    if e.live >= e.max_orders or (x != NULL and not terms_available(e, 1)):
        return refuse(im, b"the orders need more slots or terms than this engine has")
    slot = order_alloc(e)
    o = e.order + slot
    o.order_id = r.order_id
    o.order_qty = r.order_qty
    o.cum_qty = r.cum_qty
    o.leaves_qty = r.leaves_qty
    o.account_id = r.account_id
    o.instrument_id = r.instrument_id
    o.terms = NIL
    o.side = r.side
    o.ord_type = r.ord_type
    o.tif = r.tif
    o.stp = r.stp
    o.flags = r.flags
    o.state = r.state
    o.in_ids = 1
    id_insert(e, tag, slot)
    e.book[r.instrument_id].n_live += 1
    if x != NULL:
        fill_terms(e, slot, x)
    if e.accounts:
        e.money[slot].hold = r.hold
        e.money[slot].own.adverse = r.adverse
        e.money[slot].fee_rem = r.fee_rem
        e.money[slot].position = NIL
        if r.flags & OF_HELD:
            position = position_find(e, r.account_id, r.instrument_id)
            if position == NIL:
                return refuse(im, b"a held order finds no position")
            e.money[slot].position = position
            if not e.book[r.instrument_id].linear:
                e.money[slot].own.wallet = hold_wallet(e.position + position, r.side)
            link_order(e, slot)
    if not place_restored(e, e.book + r.instrument_id, slot, r.px):
        return refuse(im, b"the orders need more levels or pages than this engine has")
    return 0


cdef inline int link_members(Engine* e, Image* im, const OrderRecord* r, const TermsRecord* x) noexcept nogil:
    """Second pass: siblings and children find each other by id."""
    cdef uint32_t slot = id_find(e, r.order_id, id_tag(&e.ids, r.order_id))
    cdef Terms* t = e.terms + e.order[slot].terms
    cdef uint32_t other, last
    if x.sibling_id:
        other = id_find(e, x.sibling_id, id_tag(&e.ids, x.sibling_id))
        if other == NIL or other == slot or e.order[other].terms == NIL or not r.flags & OF_LINKED:
            return refuse(im, b"an order's sibling is not alive")
        t.sibling = other
    if x.parent_id:
        other = id_find(e, x.parent_id, id_tag(&e.ids, x.parent_id))
        if other == NIL or other == slot or e.order[other].terms == NIL or not e.order[other].flags & OF_LINKED:
            return refuse(im, b"a pending order's working order is not alive")
        if r.state != ST_PENDING or e.order[other].state == ST_PENDING:
            return refuse(im, b"an order that works has a working order")
        t.parent = other
        last = e.terms[e.order[other].terms].child
        if last == NIL:
            e.terms[e.order[other].terms].child = slot
        else:
            while e.terms[e.order[last].terms].next_child != NIL:
                last = e.terms[e.order[last].terms].next_child
            e.terms[e.order[last].terms].next_child = slot
    elif r.state == ST_PENDING:
        return refuse(im, b"a pending order has no working order")
    return 0


cdef inline int check_links(Engine* e, Image* im, const OrderRecord* r, uint64_t n) noexcept nogil:
    """Third pass: siblings name each other. (Children cannot form a ring: a working order never waits.)"""
    cdef uint64_t i
    cdef uint32_t slot
    cdef uint32_t sibling
    for i in range(n):
        if not r[i].flags & OF_LINKED:
            continue
        slot = id_find(e, r[i].order_id, id_tag(&e.ids, r[i].order_id))
        sibling = e.terms[e.order[slot].terms].sibling
        if sibling != NIL and e.terms[e.order[sibling].terms].sibling != slot:
            return refuse(im, b"an order's sibling does not name it back")
    return 0


cdef inline int restore_orders(Engine* e, Image* im) noexcept nogil:
    cdef uint64_t n, n_terms, i
    cdef uint64_t k = 0
    cdef const OrderRecord* r = <const OrderRecord*>find_section(im, b"orders", sizeof(OrderRecord), &n)
    cdef const TermsRecord* x = <const TermsRecord*>find_section(im, b"terms", sizeof(TermsRecord), &n_terms)
    if r == NULL or x == NULL or n == <uint64_t>-1 or n_terms == <uint64_t>-1:
        return refuse(im, b"sections orders and terms are missing or torn")
    for i in range(n):
        if not order_sound(e, r + i):
            return refuse(im, b"an order is out of range for this engine")
        if r[i].has_terms:
            if k == n_terms or not terms_sound(r + i, x + k):
                return refuse(im, b"an order's terms are missing or out of range")
            if restore_order(e, im, r + i, x + k):
                return -1
            k += 1
        elif restore_order(e, im, r + i, NULL):
            return -1
    if k != n_terms:
        return refuse(im, b"section terms is too long")
    k = 0
    for i in range(n):
        if r[i].has_terms:
            if link_members(e, im, r + i, x + k):
                return -1
            k += 1
    return check_links(e, im, r, n)
