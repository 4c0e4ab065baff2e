"""Event output and the fault latch.

Owner of: the out buffer of the engine.  Events are written in place into memory the engine keeps; the
buffer only grows when one command produces more than any before it (reserve_events), never per event.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport malloc, realloc
from libc.string cimport memcpy, memset

from tradecore_ext.mathx cimport unlikely
from tradecore_ext.state cimport NIL, Engine, Order, ST_ACTIVE, ST_RESTING
from tradecore_ext.types cimport (
    TC_EVT_DONE,
    TC_EVT_REJECTED,
    tc_event,
    tc_order_event,
    tc_reject_event,
)

cdef enum:
    STATUS_OK = 0
    STATUS_FAULT = 900


cdef inline void tc_check(Engine* e, bint cond, uint32_t line) noexcept nogil:
    """Latch a fault when an O(1) invariant fails; on in production. The engine stops after the command."""
    if unlikely(not cond):
        if e.fault == 0:
            e.fault = STATUS_FAULT
            e.fault_line = line


cdef inline int grow_events(Engine* e) noexcept nogil:
    """Double the buffer; realloc of a large block moves pages, it does not copy them.

    While somebody outside still views the old buffer it is not moved but kept until the next command
    batch finds no view of it (Engine.out_pinned); there is room for every doubling of 64 bits.
    """
    cdef uint64_t cap = e.cap_out * 2
    cdef tc_event* p
    if e.out_pinned and e.n_retired < 64:
        p = <tc_event*>malloc(cap * sizeof(tc_event))
        if p != NULL:
            memcpy(p, e.out, e.n_out * sizeof(tc_event))
            e.retired[e.n_retired] = e.out
            e.n_retired += 1
    else:
        p = <tc_event*>realloc(e.out, cap * sizeof(tc_event))
    if p == NULL:
        # Out of memory: stop this engine; the events so far stay readable, later ones overwrite the last.
        e.fault = STATUS_FAULT
        e.fault_line = 2
        e.n_out -= 1
        return -1
    e.out = p
    e.cap_out = cap
    return 0


cdef inline tc_event* emit_next(Engine* e) noexcept nogil:
    """Next event frame, zeroed, stamped with seq and in_seq."""
    cdef tc_event* v
    if unlikely(e.n_out >= e.cap_out):
        grow_events(e)
    v = e.out + e.n_out
    e.n_out += 1
    e.out_seq += 1
    memset(v, 0, sizeof(tc_event))
    v.seq = e.out_seq
    v.in_seq = <uint32_t>e.in_seq
    return v


cdef inline int64_t order_px(Engine* e, const Order* o) noexcept nogil:
    """Limit (or protective) price of a live order: its level's while it rests, the engine's for the order
    in flight, else its terms'; 0 = none."""
    if o.state == ST_RESTING:
        return e.level[o.level].px
    if o.state == ST_ACTIVE:
        return e.taker_px
    if o.terms != NIL:
        return e.terms[o.terms].px
    return 0


cdef inline void emit_order_here(
    Engine* e, uint8_t kind, uint16_t status, const Order* o, int64_t px
) noexcept nogil:
    """emit_order without a call, for the few places that nearly every command passes (dispatch.pxd inlines it)."""
    cdef tc_order_event* v
    if unlikely(e.n_out >= e.cap_out):
        grow_events(e)
    v = <tc_order_event*>(e.out + e.n_out)
    e.n_out += 1
    e.out_seq += 1
    v.seq = e.out_seq
    v.order_id = o.order_id
    v.account_id = o.account_id
    v.instrument_id = o.instrument_id
    v.kind = kind
    v.side = o.side
    v.status = status
    v.in_seq = <uint32_t>e.in_seq
    v.px = px
    v.order_qty = o.order_qty
    v.cum_qty = o.cum_qty
    v.leaves_qty = o.leaves_qty


cdef inline void emit_order(Engine* e, uint8_t kind, uint16_t status, const Order* o, int64_t px) noexcept nogil:
    """ACCEPTED, CANCELED, EXPIRED, REPLACED, TRIGGERED, RESTATED."""
    emit_order_here(e, kind, status, o, px)


cdef inline void emit_reject(
    Engine* e,
    uint8_t kind,
    uint16_t status,
    uint16_t command_kind,
    uint64_t order_id,
    uint32_t account_id,
    uint32_t instrument_id,
    uint8_t side,
    int64_t observed,
    int64_t limit,
    uint8_t scope,
) noexcept nogil:
    """REJECTED, CANCEL_REJECTED, REPLACE_REJECTED and DONE."""
    cdef tc_reject_event* v = <tc_reject_event*>emit_next(e)
    v.order_id = order_id
    v.account_id = account_id
    v.instrument_id = instrument_id
    v.kind = kind
    v.side = side
    v.status = status
    v.observed = observed
    v.limit = limit
    v.command_kind = command_kind
    v.scope = scope


cdef inline void emit_done(
    Engine* e, uint16_t command_kind, uint32_t account_id, uint32_t instrument_id
) noexcept nogil:
    emit_reject(e, TC_EVT_DONE, STATUS_OK, command_kind, 0, account_id, instrument_id, 0, 0, 0, 0)


cdef inline void emit_refused(
    Engine* e, uint16_t status, uint16_t command_kind, uint32_t account_id, uint32_t instrument_id,
    int64_t observed, int64_t limit
) noexcept nogil:
    """An admin command that was refused."""
    emit_reject(e, TC_EVT_REJECTED, status, command_kind, 0, account_id, instrument_id, 0, observed, limit, 0)
