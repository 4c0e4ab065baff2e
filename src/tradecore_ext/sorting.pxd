"""Heap sort of order slots: in place, no allocation, O(n log n) whatever the input.

Owner of: the orders in which several orders are handled by one command.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tradecore_ext.mathx cimport abs64
from tradecore_ext.state cimport Book, Engine
from tradecore_ext.stopbook cimport source_px

cdef enum:
    BY_ENTRY = 0      # order of acceptance among stops
    BY_DISTANCE = 1   # trigger price farthest from the source price, then order of acceptance
    BY_ID = 2         # order id


cdef inline bint slot_before(const Engine* e, const Book* b, int key, uint32_t x, uint32_t y) noexcept nogil:
    cdef int64_t dx, dy
    if key == BY_ID:
        return e.order[x].order_id < e.order[y].order_id
    if key == BY_DISTANCE:
        dx = abs64(e.terms[e.order[x].terms].stop_px - source_px(e, b, e.order[x].side))
        dy = abs64(e.terms[e.order[y].terms].stop_px - source_px(e, b, e.order[y].side))
        if dx != dy:
            return dx > dy
    return e.terms[e.order[x].terms].entry < e.terms[e.order[y].terms].entry


cdef inline void sift(
    const Engine* e, const Book* b, int key, uint32_t* a, uint32_t i, uint32_t n
) noexcept nogil:
    cdef uint32_t c
    cdef uint32_t x = a[i]
    while True:
        c = 2 * i + 1
        if c >= n:
            break
        if c + 1 < n and slot_before(e, b, key, a[c], a[c + 1]):
            c += 1
        if not slot_before(e, b, key, x, a[c]):
            break
        a[i] = a[c]
        i = c
    a[i] = x


cdef inline void sort_slots(const Engine* e, const Book* b, int key, uint32_t* a, uint32_t n) noexcept nogil:
    """Sort n order slots ascending; b may be NULL for BY_ID and BY_ENTRY."""
    cdef uint32_t i, x
    if n < 2:
        return
    i = n // 2
    while i > 0:
        i -= 1
        sift(e, b, key, a, i, n)
    i = n - 1
    while i > 0:
        x = a[0]
        a[0] = a[i]
        a[i] = x
        sift(e, b, key, a, 0, i)
        i -= 1
