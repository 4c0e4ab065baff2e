"""A list of orders comes in, all of its members or none.

Owner of: the entry of lists, section 7 of docs/reference/semantics.md; what a list does afterwards is lists.pxd's.  The
rules of each member are those of a single order (intake.pxd).
"""
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from tradecore_ext.book cimport rests
from tradecore_ext.breaker cimport breaker_speak
from tradecore_ext.emit cimport emit_order, emit_reject
from tradecore_ext.ending cimport leave_pending
from tradecore_ext.ids cimport id_insert, id_tag
from tradecore_ext.intake cimport (
    SI_DORMANT,
    SI_DUPLICATE_ORDER_ID,
    check_capacity,
    check_order,
    check_working,
    create_order,
)
from tradecore_ext.lists cimport place
from tradecore_ext.mathx cimport min64
from tradecore_ext.phase cimport after_book
from tradecore_ext.risk cimport NewOrder, RiskResult, risk_accept
from tradecore_ext.state cimport OF_HELD, OF_LINKED, OF_TRAILING, ST_PENDING, Book, Engine, Order, Verdict
from tradecore_ext.stopbook cimport is_stop_type
from tradecore_ext.types cimport (
    TC_CMD_NEW_ORDER_LIST,
    TC_EVT_ACCEPTED,
    TC_EVT_REJECTED,
    TC_LIST_OCO,
    TC_LIST_OTO,
    tc_command,
    tc_list,
    tc_terms,
)

cdef enum:
    SI_BAD_LIST = 420
    SI_PENDING = 421

cdef struct Member:
    const tc_command* c
    const tc_terms* t
    uint32_t slot
    NewOrder n
    RiskResult res


cdef inline uint32_t split_members(const tc_list* h, Member* m) noexcept nogil:
    """Point at the members behind the header, whose structure the frame check has seen; returns their number."""
    cdef const tc_command* f = <const tc_command*>(h + 1)
    cdef uint32_t i = 0
    cdef uint32_t count = 0
    while i < h.cont:
        m[count].c = f + i
        m[count].t = <const tc_terms*>(f + i + 1) if f[i].cont else NULL
        count += 1
        i += 1 + f[i].cont
    return count


cdef inline uint16_t check_members(const tc_list* h, const Member* m, uint32_t count) noexcept nogil:
    """The form of the list: sameness, sides, who waits, distinct ids."""
    cdef uint32_t i, k
    cdef uint32_t working = 2 if h.contingency == TC_LIST_OCO else 1
    for i in range(count):
        if m[i].c.account_id != h.account_id or m[i].c.instrument_id != h.instrument_id:
            return SI_BAD_LIST
    if h.contingency != TC_LIST_OTO:
        if m[count - 2].c.side != m[count - 1].c.side:
            return SI_BAD_LIST
        if not rests(m[count - 2].c.tif) and not rests(m[count - 1].c.tif):
            return SI_BAD_LIST
    for i in range(working, count):
        if m[i].t != NULL and m[i].t.cash_order_qty:
            return SI_BAD_LIST
    for i in range(count):
        for k in range(i):
            if m[k].c.order_id == m[i].c.order_id:
                return SI_DUPLICATE_ORDER_ID
    return 0


cdef inline void emit_accepted_member(Engine* e, const Member* m, bint pending) noexcept nogil:
    cdef uint16_t status = SI_PENDING if pending else 0
    if not pending and is_stop_type(m.c.ord_type):
        status = SI_DORMANT
    emit_order(e, TC_EVT_ACCEPTED, status, e.order + m.slot, m.c.px)


cdef inline void link_pair(Engine* e, uint32_t a, uint32_t c) noexcept nogil:
    e.terms[e.order[a].terms].sibling = c
    e.terms[e.order[c].terms].sibling = a
    e.order[a].flags |= OF_LINKED
    e.order[c].flags |= OF_LINKED


cdef inline void enter_ids(Engine* e, uint32_t slot) noexcept nogil:
    cdef Order* o = e.order + slot
    if not o.in_ids:
        id_insert(e, id_tag(&e.ids, o.order_id), slot)
        o.in_ids = 1


cdef inline void new_list(Engine* e, const tc_list* h) noexcept nogil:
    """NEW_ORDER_LIST: all members or none."""
    cdef Member m[3]
    cdef uint32_t count, i
    cdef uint32_t working
    cdef uint16_t status
    cdef Verdict v
    cdef Book* b
    cdef uint64_t second_id
    cdef uint32_t trailing = 0
    v.observed = 0
    v.limit = 0
    v.scope = 0
    count = split_members(h, m)
    working = 2 if h.contingency == TC_LIST_OCO else 1
    status = check_members(h, m, count)
    if status == 0:
        for i in range(count):
            status = check_order(e, m[i].c, m[i].t, h.sent_ts_ns, id_tag(&e.ids, m[i].c.order_id), &v)
            if status == 0:
                status = check_capacity(e, e.book + h.instrument_id, m[i].c, m[i].t, i + 1, i + 1, trailing)
            if m[i].t != NULL and m[i].t.trailing_bps:
                trailing += 1
            if status:
                break
    if status == 0:
        for i in range(working):
            status = check_working(e, m[i].c, m[i].t, &m[i].n, &m[i].res, &v)
            if status:
                break
    if status:
        emit_reject(
            e, TC_EVT_REJECTED, status, TC_CMD_NEW_ORDER_LIST, h.list_id, h.account_id, h.instrument_id, 0,
            v.observed, v.limit, v.scope
        )
        return
    # From here on this must succeed.
    b = e.book + h.instrument_id
    for i in range(count):
        m[i].slot = create_order(e, m[i].c, m[i].t, True)
        enter_ids(e, m[i].slot)
        e.order[m[i].slot].state = ST_PENDING
        if e.order[m[i].slot].flags & OF_TRAILING:
            b.pending_trailing += 1
    if h.contingency != TC_LIST_OTO:
        link_pair(e, m[count - 2].slot, m[count - 1].slot)
    if working == 1:
        e.order[m[0].slot].flags |= OF_LINKED
        e.terms[e.order[m[0].slot].terms].child = m[1].slot
        for i in range(1, count):
            e.order[m[i].slot].flags |= OF_LINKED
            e.terms[e.order[m[i].slot].terms].parent = m[0].slot
            if i + 1 < count:
                e.terms[e.order[m[i].slot].terms].next_child = m[i + 1].slot
    if e.accounts:
        for i in range(working):
            if i == 1:
                # One of two legs will execute: the pair holds the larger need, not the sum.
                m[1].res.need -= min64(m[0].res.need, m[1].res.need)
            e.order[m[i].slot].flags |= OF_HELD
            risk_accept(e, m[i].slot, &m[i].n, &m[i].res)
    for i in range(count):
        emit_accepted_member(e, &m[i], i >= working)
    second_id = m[1].c.order_id
    leave_pending(e, b, m[0].slot)
    place(e, b, m[0].slot, m[0].c.px)
    breaker_speak(e, b, h.instrument_id)
    if working == 2 and e.order[m[1].slot].state == ST_PENDING and e.order[m[1].slot].order_id == second_id:
        leave_pending(e, b, m[1].slot)
        place(e, b, m[1].slot, m[1].c.px)
    after_book(e, b)
