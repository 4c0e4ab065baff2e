"""Cancels that a client asks for: one order, or all of a scope.

Owner of: CANCEL_ORDER and MASS_CANCEL of docs/reference/semantics.md; how an order ends is ending.pxd's.
"""
from libc.stdint cimport uint32_t

from tradecore_ext.emit cimport emit_reject
from tradecore_ext.ending cimport end_order
from tradecore_ext.gather cimport Scope, end_gathered, gather
from tradecore_ext.ids cimport id_find
from tradecore_ext.mathx cimport unlikely
from tradecore_ext.phase cimport after_all, after_book
from tradecore_ext.state cimport NIL, Book, Engine
from tradecore_ext.types cimport (
    TC_CMD_MASS_CANCEL,
    TC_EVT_CANCELED,
    TC_EVT_CANCEL_REJECTED,
    TC_EVT_DONE,
    tc_admin,
    tc_command,
)

cdef enum:
    SI_UNKNOWN_ORDER = 401
    SI_CANCEL_REQUEST = 413
    SI_MASS_CANCEL = 414


cdef inline void cancel_order(Engine* e, const tc_command* c, uint32_t tag) noexcept nogil:
    """CANCEL_ORDER. O(1); O(log levels) when a far level empties."""
    cdef uint32_t slot = id_find(e, c.order_id, tag)
    cdef Book* b
    if unlikely(slot == NIL or e.order[slot].account_id != c.account_id):
        emit_reject(
            e, TC_EVT_CANCEL_REJECTED, SI_UNKNOWN_ORDER, c.kind, c.order_id, c.account_id, c.instrument_id, 0, 0, 0, 0
        )
        return
    b = e.book + e.order[slot].instrument_id
    end_order(e, slot, TC_EVT_CANCELED, SI_CANCEL_REQUEST)
    if unlikely(b.n_stops | b.n_trailing | e.n_dirty):
        after_book(e, b)


cdef inline void mass_cancel(Engine* e, const tc_admin* a) noexcept nogil:
    """MASS_CANCEL, validated: one CANCELED each in order-id order, then DONE."""
    cdef Scope s
    s.account_id = a.account_id
    s.instrument_id = a.instrument_id
    s.side = a.side
    s.day_only = 0
    gather(e, &s)
    end_gathered(e, TC_EVT_CANCELED, SI_MASS_CANCEL)
    emit_reject(e, TC_EVT_DONE, 0, TC_CMD_MASS_CANCEL, 0, a.account_id, a.instrument_id, a.side, 0, 0, 0)
    after_all(e)
