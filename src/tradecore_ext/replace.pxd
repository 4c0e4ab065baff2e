"""REPLACE_ORDER: new price, new quantity, and what becomes of the place in the queue.

Owner of: section 5 of docs/reference/semantics.md.
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from tradecore_ext.book cimport can_rest, execute
from tradecore_ext.cancel cimport SI_UNKNOWN_ORDER
from tradecore_ext.emit cimport emit_order, emit_reject, order_px
from tradecore_ext.ending cimport end_order, take_out
from tradecore_ext.filters cimport check_filters
from tradecore_ext.ids cimport id_find
from tradecore_ext.intake cimport SI_BAD_COMBINATION, SI_PHASE
from tradecore_ext.ladder cimport level_available, level_reduce, level_requeue
from tradecore_ext.lists cimport entry_rules
from tradecore_ext.mathx cimport min64, unlikely
from tradecore_ext.phase cimport after_book
from tradecore_ext.revise cimport risk_check_replace, risk_replace
from tradecore_ext.risk cimport RiskResult
from tradecore_ext.state cimport (
    NIL,
    OF_HELD,
    OF_ICEBERG,
    OF_LINKED,
    OF_TRAILING,
    ST_DORMANT,
    ST_RESTING,
    Book,
    Engine,
    Ladder,
    Order,
    Terms,
    Verdict,
)
from tradecore_ext.stopbook cimport source_px, stop_ladder, stop_through, stop_wait
from tradecore_ext.types cimport (
    TC_CMD_REPLACE_ORDER,
    TC_EVT_CANCELED,
    TC_EVT_REPLACED,
    TC_EVT_REPLACE_REJECTED,
    TC_FLAG_LEAVES,
    TC_FLAG_POST_ONLY,
    TC_FLAG_REQUEUE,
    TC_PHASE_AUCTION,
    TC_PHASE_CONTINUOUS,
    tc_command,
    tc_terms,
)

cdef enum:
    SR_WOULD_TRIGGER = 403
    SR_BELOW_CUM = 417
    SR_LINKED_ORDER = 419
    SR_NO_CHANGE = 424
    SR_REPLACE_FIELD = 425
    SR_CAPACITY_LEVELS = 501

cdef struct Change:
    int64_t px           # limit or protective price from now on
    int64_t leaves
    int64_t total
    int64_t stop_px
    int64_t display
    bint requeue         # leaves its place in the queue


cdef inline uint16_t check_replace(
    Engine* e, const tc_command* c, const tc_terms* t, uint32_t slot, Change* x, Verdict* v, RiskResult* res
) noexcept nogil:
    """All rules behind the frame check, in the order of the reference page; fills in what the order will be."""
    cdef Order* o
    cdef Book* b
    cdef Terms* ot
    cdef int64_t old_px
    cdef uint16_t status
    if slot == NIL or e.order[slot].account_id != c.account_id:
        return SI_UNKNOWN_ORDER
    o = e.order + slot
    if c.instrument_id != 0 and c.instrument_id != o.instrument_id:
        return SI_UNKNOWN_ORDER
    if o.flags & OF_LINKED:
        ot = e.terms + o.terms
        if ot.sibling != NIL or ot.child != NIL or ot.parent != NIL:
            return SR_LINKED_ORDER
    b = e.book + o.instrument_id
    if b.phase != TC_PHASE_CONTINUOUS and b.phase != TC_PHASE_AUCTION:
        v.observed = b.phase
        return SI_PHASE
    ot = NULL if o.terms == NIL else e.terms + o.terms
    old_px = order_px(e, o)
    if c.px != 0 and old_px == 0:
        return SR_REPLACE_FIELD
    if t != NULL:
        if t.stop_px != 0 and (o.state != ST_DORMANT or o.flags & OF_TRAILING):
            return SR_REPLACE_FIELD
        if t.display_qty != 0 and not (o.flags & OF_ICEBERG):
            return SR_REPLACE_FIELD
    x.px = c.px if c.px else old_px
    x.total = o.order_qty
    if c.order_qty:
        x.total = c.order_qty + (o.order_qty - o.leaves_qty if c.flags & TC_FLAG_LEAVES else 0)
    x.leaves = x.total - (o.order_qty - o.leaves_qty)
    x.stop_px = 0 if ot == NULL or o.state != ST_DORMANT else ot.stop_px
    if t != NULL and t.stop_px:
        x.stop_px = t.stop_px
    x.display = 0 if ot == NULL else ot.display_qty
    if t != NULL and t.display_qty:
        x.display = t.display_qty
    if t != NULL and t.display_qty > x.total:
        return SI_BAD_COMBINATION
    status = check_filters(b, x.px, x.stop_px, x.total, x.display, 0, 0, v)
    if status or x.leaves <= 0:
        return status
    if o.state == ST_DORMANT:
        x.requeue = (c.flags & TC_FLAG_REQUEUE) != 0 or (ot.stop_px != x.stop_px and not (o.flags & OF_TRAILING))
        if ot.stop_px != x.stop_px and stop_through(o, x.stop_px, source_px(e, b, o.side)):
            v.observed = source_px(e, b, o.side)
            v.limit = x.stop_px
            return SR_WOULD_TRIGGER
    else:
        x.requeue = (c.flags & TC_FLAG_REQUEUE) != 0 or x.px != old_px or x.leaves > o.leaves_qty
    if o.flags & OF_HELD and (x.requeue or x.px != old_px or x.leaves > o.leaves_qty):
        status = risk_check_replace(e, slot, x.px, x.leaves, res)
        if status:
            v.observed = res.observed
            v.limit = res.limit
            v.scope = res.scope
            return status
    if o.state == ST_RESTING:
        if x.requeue and o.flags & TC_FLAG_POST_ONLY:
            status = entry_rules(e, b, o, x.px, 0, &v.observed, &v.limit)
            if status:
                return status
        if x.px != old_px:
            return can_rest(e, b, o.side, x.px, x.leaves)
        return 0
    if x.requeue and not (o.flags & OF_TRAILING) and ot.stop_px != x.stop_px and not level_available(e):
        return SR_CAPACITY_LEVELS
    return 0


cdef inline void replace_order(Engine* e, const tc_command* c, const tc_terms* t, uint32_t tag) noexcept nogil:
    """REPLACE_ORDER, frame already checked. O(1) plus fills."""
    cdef Verdict v
    cdef Change x
    cdef RiskResult res
    cdef uint32_t slot = id_find(e, c.order_id, tag)
    cdef Order* o
    cdef Terms* ot
    cdef Book* b
    cdef int64_t old_leaves, old_px, old_display
    cdef uint16_t status
    v.observed = 0
    v.limit = 0
    v.scope = 0
    x.requeue = False
    if e.accounts:
        memset(&res, 0, sizeof(res))
    status = check_replace(e, c, t, slot, &x, &v, &res)
    if unlikely(status != 0):
        emit_reject(
            e, TC_EVT_REPLACE_REJECTED, status, TC_CMD_REPLACE_ORDER, c.order_id, c.account_id, c.instrument_id, 0,
            v.observed, v.limit, v.scope
        )
        return
    # From here on this must succeed.
    o = e.order + slot
    b = e.book + o.instrument_id
    if x.leaves <= 0:
        end_order(e, slot, TC_EVT_CANCELED, SR_BELOW_CUM)
        after_book(e, b)
        return
    ot = NULL if o.terms == NIL else e.terms + o.terms
    old_leaves = o.leaves_qty
    old_px = order_px(e, o)
    old_display = 0 if ot == NULL else ot.display_qty
    if (
        not x.requeue and x.px == old_px and x.leaves == old_leaves and x.display == old_display
        and x.total == o.order_qty
    ):
        emit_order(e, TC_EVT_REPLACED, SR_NO_CHANGE, o, old_px)
        return
    if o.flags & OF_HELD:
        risk_replace(e, slot, x.px, x.leaves, &res)
    if ot != NULL:
        ot.display_qty = x.display
    if o.state == ST_RESTING and not x.requeue:
        level_reduce(e, &b.ladder[o.side - 1], o.level, old_leaves - x.leaves)
        o.order_qty = x.total
        o.leaves_qty = x.leaves
        if o.flags & OF_ICEBERG:
            ot.visible_qty = min64(ot.visible_qty, x.leaves)
        emit_order(e, TC_EVT_REPLACED, 0, o, x.px)
        return
    if o.state == ST_DORMANT and not x.requeue:
        if not (o.flags & OF_TRAILING):
            level_reduce(e, &b.ladder[stop_ladder(o)], o.level, old_leaves - x.leaves)
        o.order_qty = x.total
        o.leaves_qty = x.leaves
        ot.px = x.px
        emit_order(e, TC_EVT_REPLACED, 0, o, x.px)
        return
    if o.state == ST_DORMANT:
        take_out(e, slot)
        o.order_qty = x.total
        o.leaves_qty = x.leaves
        ot.px = x.px
        if not (o.flags & OF_TRAILING):
            ot.stop_px = x.stop_px
        emit_order(e, TC_EVT_REPLACED, 0, o, x.px)
        stop_wait(e, b, slot)
    else:
        take_out(e, slot)
        o.order_qty = x.total
        o.leaves_qty = x.leaves
        e.taker_px = x.px
        emit_order(e, TC_EVT_REPLACED, 0, o, x.px)
        execute(e, b, slot, x.px, False)
    after_book(e, b)
