"""What comes in: the checks of a new order and its way into the engine.

Owner of: sections 2 and 4 of docs/reference/semantics.md.  Everything is validated before anything changes; the first
rule that fails gives the status.  Lists of orders are newlist.pxd's, cancels cancel.pxd's.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from tradecore_ext.arena cimport order_alloc, terms_alloc, terms_available
from tradecore_ext.book cimport can_rest, rests
from tradecore_ext.emit cimport emit_order, emit_reject
from tradecore_ext.filters cimport SI_MAX_QTY, check_filters
from tradecore_ext.ids cimport id_find
from tradecore_ext.ladder cimport level_available
from tradecore_ext.lists cimport entry_rules, place
from tradecore_ext.mathx cimport likely, min64, unlikely
from tradecore_ext.phase cimport after_book
from tradecore_ext.risk cimport NewOrder, RiskResult, risk_accept, risk_check_new
from tradecore_ext.state cimport (
    FILTER_QTY,
    NIL,
    OF_CASH,
    OF_HELD,
    OF_ICEBERG,
    OF_TIMED,
    OF_TRAILING,
    Book,
    Engine,
    Limits,
    Order,
    Terms,
    Verdict,
)
from tradecore_ext.stopbook cimport is_stop_type
from tradecore_ext.timers cimport TIMER_EXPIRY, timer_available, timer_set
from tradecore_ext.types cimport (
    TC_CMD_NEW_ORDER,
    TC_EVT_ACCEPTED,
    TC_EVT_REJECTED,
    TC_FLAG_POST_ONLY,
    TC_FLAG_REDUCE_ONLY,
    TC_FLAG_TOP,
    TC_ORD_LIMIT,
    TC_ORD_MARKET,
    TC_PHASE_AUCTION,
    TC_PHASE_CONTINUOUS,
    TC_SCOPE_ACCOUNT,
    TC_SCOPE_FIRM,
    TC_SCOPE_GROUP,
    TC_TIF_FOK,
    TC_TIF_GTD,
    TC_TIF_IOC,
    tc_command,
    tc_terms,
)

cdef enum:
    SI_BAD_COMBINATION = 104
    SI_STALE = 106
    SI_UNKNOWN_INSTRUMENT = 200
    SI_PHASE = 201
    SI_UNKNOWN_ACCOUNT = 300
    SI_DUPLICATE_ORDER_ID = 400
    SI_EXPIRE_PAST = 412
    SI_DORMANT = 422
    SI_CAPACITY_ORDERS = 500
    SI_CAPACITY_LEVELS = 501
    SI_CAPACITY_TERMS = 502
    SI_CAPACITY_TIMERS = 503
    SI_CAPACITY_TRAILING = 508


cdef inline uint16_t check_combination(const tc_command* c, const tc_terms* t) noexcept nogil:
    """Checks 2: what goes together."""
    cdef bint market = (c.ord_type & 1) == 1
    cdef bint stop = is_stop_type(c.ord_type)
    cdef int64_t stop_px = 0
    cdef int64_t display = 0
    cdef int64_t min_qty = 0
    cdef int64_t cash = 0
    cdef uint64_t expire = 0
    cdef uint16_t bps = 0
    if likely(t == NULL and c.ord_type == TC_ORD_LIMIT and c.flags == 0 and c.tif != TC_TIF_GTD):
        return 0 if c.px != 0 else SI_BAD_COMBINATION
    if t != NULL:
        stop_px = t.stop_px
        display = t.display_qty
        min_qty = t.min_qty
        cash = t.cash_order_qty
        expire = t.expire_ts_ns
        bps = t.trailing_bps
    if c.ord_type == TC_ORD_MARKET:
        if c.tif != TC_TIF_IOC and c.tif != TC_TIF_FOK:
            return SI_BAD_COMBINATION
    elif stop and not rests(c.tif):
        return SI_BAD_COMBINATION
    if not market and c.px == 0:
        return SI_BAD_COMBINATION
    if stop:
        if stop_px == 0 and bps == 0:
            return SI_BAD_COMBINATION
    elif stop_px != 0 or bps != 0:
        return SI_BAD_COMBINATION
    if c.flags & TC_FLAG_POST_ONLY and (c.ord_type != TC_ORD_LIMIT or not rests(c.tif)):
        return SI_BAD_COMBINATION
    if display != 0 and (market or not rests(c.tif) or display > c.order_qty):
        return SI_BAD_COMBINATION
    if min_qty != 0:
        if stop or c.tif == TC_TIF_FOK or c.flags & TC_FLAG_POST_ONLY or min_qty > c.order_qty:
            return SI_BAD_COMBINATION
    if (expire != 0) != (c.tif == TC_TIF_GTD):
        return SI_BAD_COMBINATION
    if cash != 0:
        if c.ord_type != TC_ORD_MARKET or c.tif != TC_TIF_IOC or c.order_qty != 0 or c.flags & TC_FLAG_TOP:
            return SI_BAD_COMBINATION
    return 0


cdef inline uint16_t check_algo(const Book* b, const tc_command* c, const tc_terms* t) noexcept nogil:
    """What the instrument's allocation does not go with: looked at right behind check 3."""
    if likely(not b.prorata):
        return SI_BAD_COMBINATION if c.flags & TC_FLAG_TOP else 0
    if t != NULL and t.display_qty:
        return SI_BAD_COMBINATION
    if c.flags & TC_FLAG_REDUCE_ONLY and (c.ord_type & 1) == 0 and rests(c.tif):
        return SI_BAD_COMBINATION
    return 0


cdef inline uint16_t check_capacity(
    Engine* e, Book* b, const tc_command* c, const tc_terms* t, uint32_t orders, uint32_t terms,
    uint32_t trailing
) noexcept nogil:
    """Checks 12, for a command that needs so many slots in all and has brought so many trailing stops."""
    if unlikely(e.live + orders > e.max_orders):
        return SI_CAPACITY_ORDERS
    if terms and not terms_available(e, terms):
        return SI_CAPACITY_TERMS
    if c.tif == TC_TIF_GTD and not timer_available(e):
        return SI_CAPACITY_TIMERS
    if is_stop_type(c.ord_type):
        if t.trailing_bps:
            if b.n_trailing + b.pending_trailing + trailing >= b.spec.max_trailing:
                return SI_CAPACITY_TRAILING
        elif not level_available(e):
            return SI_CAPACITY_LEVELS
    elif c.ord_type == TC_ORD_LIMIT and rests(c.tif):
        return can_rest(e, b, c.side, c.px, c.order_qty)
    return 0


cdef inline uint16_t too_old(
    const Engine* e, const Limits* l, uint64_t sent_ts_ns, uint8_t scope, Verdict* v
) noexcept nogil:
    if l.stale_ns == 0 or e.now <= sent_ts_ns or e.now - sent_ts_ns <= l.stale_ns:
        return 0
    v.observed = <int64_t>(e.now - sent_ts_ns)
    v.limit = <int64_t>l.stale_ns
    v.scope = scope
    return SI_STALE


cdef inline uint16_t check_known(Engine* e, uint32_t account_id, uint64_t sent_ts_ns, Verdict* v) noexcept nogil:
    """Check 4: the account exists, and the command is not older than any level allows."""
    cdef uint16_t status
    if account_id >= e.max_accounts or not e.account[account_id].exists:
        return SI_UNKNOWN_ACCOUNT
    if likely(sent_ts_ns == 0 or not (e.account[account_id].limited | e.limited_any)):
        return 0
    status = too_old(e, &e.account_rules[account_id].limits, sent_ts_ns, TC_SCOPE_ACCOUNT, v)
    if status == 0 and e.account[account_id].group_id:
        status = too_old(e, &e.group_rules[e.account[account_id].group_id].limits, sent_ts_ns, TC_SCOPE_GROUP, v)
    if status == 0:
        status = too_old(e, &e.firm_rules.limits, sent_ts_ns, TC_SCOPE_FIRM, v)
    return status


cdef inline uint16_t check_order(
    Engine* e, const tc_command* c, const tc_terms* t, uint64_t sent_ts_ns, uint32_t tag, Verdict* v
) noexcept nogil:
    """Checks 2 to 8; 9 to 12 follow in the caller, because list members make them at another time."""
    cdef Book* b
    cdef uint16_t status = check_combination(c, t)
    if status:
        return status
    if c.instrument_id >= e.max_instruments or not e.book[c.instrument_id].exists:
        return SI_UNKNOWN_INSTRUMENT
    b = e.book + c.instrument_id
    status = check_algo(b, c, t)
    if status:
        return status
    if e.accounts:
        status = check_known(e, c.account_id, sent_ts_ns, v)
        if status:
            return status
    if id_find(e, c.order_id, tag) != NIL:
        return SI_DUPLICATE_ORDER_ID
    if b.phase != TC_PHASE_CONTINUOUS:
        if b.phase != TC_PHASE_AUCTION or c.ord_type == TC_ORD_MARKET or not rests(c.tif):
            v.observed = b.phase
            return SI_PHASE
    if b.plain != FILTER_QTY or t != NULL:
        status = check_filters(
            b, c.px, 0 if t == NULL else t.stop_px, c.order_qty, 0 if t == NULL else t.display_qty,
            0 if t == NULL else t.min_qty, 0 if t == NULL else t.cash_order_qty, v
        )
        if status:
            return status
    elif c.order_qty > b.max_order_qty:
        v.observed = c.order_qty
        v.limit = b.max_order_qty
        return SI_MAX_QTY
    if c.tif == TC_TIF_GTD and t.expire_ts_ns <= e.now:
        v.observed = <int64_t>t.expire_ts_ns
        v.limit = <int64_t>e.now
        return SI_EXPIRE_PAST
    return 0


cdef inline void describe(const tc_command* c, const tc_terms* t, NewOrder* n) noexcept nogil:
    """What the risk checks need to know of an order."""
    n.account_id = c.account_id
    n.instrument_id = c.instrument_id
    n.side = c.side
    n.ord_type = c.ord_type
    n.tif = c.tif
    n.flags = <uint16_t>c.flags
    n.px = c.px
    n.order_qty = c.order_qty
    n.cash_order_qty = 0 if t == NULL else t.cash_order_qty
    n.sent_ts_ns = c.sent_ts_ns


cdef inline uint16_t check_working(
    Engine* e, const tc_command* c, const tc_terms* t, NewOrder* n, RiskResult* res, Verdict* v
) noexcept nogil:
    """Checks 9 to 11 of an order that begins to work at once."""
    cdef Book* b = e.book + c.instrument_id
    cdef uint16_t status
    cdef Order probe
    if e.accounts:
        memset(n, 0, sizeof(NewOrder))
        memset(res, 0, sizeof(RiskResult))
        describe(c, t, n)
        status = risk_check_new(e, n, res)
        if status:
            v.observed = res.observed
            v.limit = res.limit
            v.scope = res.scope
            return status
    if unlikely(c.flags & TC_FLAG_POST_ONLY or is_stop_type(c.ord_type)):
        probe.side = c.side
        probe.ord_type = c.ord_type
        probe.flags = <uint16_t>c.flags
        if t != NULL and t.trailing_bps:
            probe.flags |= OF_TRAILING
        return entry_rules(e, b, &probe, c.px, 0 if t == NULL else t.stop_px, &v.observed, &v.limit)
    return 0


cdef inline uint32_t create_order(
    Engine* e, const tc_command* c, const tc_terms* t, bint with_terms
) noexcept nogil:
    """A slot with everything of the command in it, in no list yet. All checks have passed."""
    cdef uint32_t slot = order_alloc(e)
    cdef Order* o = e.order + slot
    cdef Terms* x
    o.order_id = c.order_id
    o.leaves_qty = c.order_qty
    o.order_qty = c.order_qty
    o.cum_qty = 0
    o.account_id = c.account_id
    o.instrument_id = c.instrument_id
    o.terms = NIL
    o.side = c.side
    o.ord_type = c.ord_type
    o.tif = c.tif
    o.stp = c.stp
    o.flags = <uint16_t>c.flags
    o.in_ids = 0
    e.book[c.instrument_id].n_live += 1
    if unlikely(t != NULL or with_terms):
        o.terms = terms_alloc(e)
        x = e.terms + o.terms
        x.px = c.px
        if t != NULL:
            x.stop_px = t.stop_px
            x.display_qty = t.display_qty
            x.visible_qty = min64(t.display_qty, c.order_qty)
            x.min_qty = t.min_qty
            x.expire_ts_ns = t.expire_ts_ns
            x.cash_left = t.cash_order_qty
            x.trailing_bps = t.trailing_bps
            if t.display_qty:
                o.flags |= OF_ICEBERG
            if t.trailing_bps:
                o.flags |= OF_TRAILING
            if t.cash_order_qty:
                o.flags |= OF_CASH
            if t.expire_ts_ns:
                o.flags |= OF_TIMED
                timer_set(e, t.expire_ts_ns, c.order_id, TIMER_EXPIRY, slot)
    return slot


cdef inline void new_order(Engine* e, const tc_command* c, const tc_terms* t, uint32_t tag) noexcept nogil:
    """NEW_ORDER, frame already checked. O(1) plus fills; O(log levels) far from the touch."""
    cdef Verdict v
    cdef NewOrder n
    cdef RiskResult res
    cdef Book* b
    cdef uint32_t slot
    cdef uint16_t status
    v.observed = 0
    v.limit = 0
    v.scope = 0
    status = check_order(e, c, t, c.sent_ts_ns, tag, &v)
    if likely(status == 0):
        status = check_working(e, c, t, &n, &res, &v)
        if likely(status == 0):
            status = check_capacity(e, e.book + c.instrument_id, c, t, 1, 1 if t != NULL else 0, 0)
    if unlikely(status != 0):
        emit_reject(
            e, TC_EVT_REJECTED, status, TC_CMD_NEW_ORDER, c.order_id, c.account_id, c.instrument_id, c.side,
            v.observed, v.limit, v.scope
        )
        return
    # From here on this must succeed.
    b = e.book + c.instrument_id
    slot = create_order(e, c, t, False)
    if e.accounts:
        e.order[slot].flags |= OF_HELD
        risk_accept(e, slot, &n, &res)
    emit_order(
        e, TC_EVT_ACCEPTED, SI_DORMANT if is_stop_type(c.ord_type) else 0, e.order + slot, c.px
    )
    place(e, b, slot, c.px)
    after_book(e, b)
