"""Slot arenas: which order and which terms record is free.

Owner of: which slot is free.  Arenas hand out the slot freed last (it is still in cache), then slots
never used; nothing is allocated after construction, and an empty arena is a status, not an error.
"""
from libc.stdint cimport uint32_t
from libc.string cimport memset

from tradecore_ext.mathx cimport likely
from tradecore_ext.state cimport (
    NIL,
    ST_ACTIVE,
    ST_FREE,
    Engine,
    Order,
    Terms,
)


cdef inline bint order_available(const Engine* e) noexcept nogil:
    return e.order_free != NIL or e.order_fresh < e.max_orders


cdef inline uint32_t order_alloc(Engine* e) noexcept nogil:
    """A slot in state ACTIVE; the caller has checked that there is one."""
    cdef uint32_t slot = e.order_free
    if likely(slot != NIL):
        e.order_free = e.order[slot].next
    else:
        slot = e.order_fresh
        e.order_fresh += 1
    e.live += 1
    e.order[slot].state = ST_ACTIVE
    return slot


cdef inline void order_release(Engine* e, uint32_t slot) noexcept nogil:
    cdef Order* o = e.order + slot
    o.state = ST_FREE
    o.next = e.order_free
    e.order_free = slot
    e.live -= 1


cdef inline bint terms_available(const Engine* e, uint32_t count) noexcept nogil:
    return e.n_terms + count <= e.max_terms


cdef inline uint32_t terms_alloc(Engine* e) noexcept nogil:
    cdef uint32_t slot = e.terms_free
    cdef Terms* t
    if slot != NIL:
        e.terms_free = e.terms[slot].next_child
    else:
        slot = e.terms_fresh
        e.terms_fresh += 1
    e.n_terms += 1
    t = e.terms + slot
    memset(t, 0, sizeof(Terms))
    t.timer = NIL
    t.sibling = NIL
    t.parent = NIL
    t.child = NIL
    t.next_child = NIL
    t.trail_next = NIL
    t.trail_prev = NIL
    return slot


cdef inline void terms_release(Engine* e, uint32_t slot) noexcept nogil:
    e.terms[slot].next_child = e.terms_free
    e.terms_free = slot
    e.n_terms -= 1
