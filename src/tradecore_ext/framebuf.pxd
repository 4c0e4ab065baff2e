"""A growing array of event frames in C memory: what a cell says, before somebody sends it.

Owner of: growth.  A buffer that could not grow says so once (`failed`) and takes no more frames; its user must stop.
Called by: gate.pyx, tape.pxd.
"""
from libc.stdint cimport uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memset

from tradecore_ext.mathx cimport unlikely
from tradecore_ext.types cimport tc_event


cdef struct Frames:
    tc_event* data
    uint64_t count
    uint64_t capacity
    uint64_t pinned         # views held outside: the memory may not move
    bint failed


cdef inline tc_event* frames_reserve(Frames* f, uint64_t n) noexcept nogil:
    """Room for n more frames behind the last one, NULL if there is no memory (or somebody is looking)."""
    cdef uint64_t capacity = f.capacity if f.capacity else 64
    cdef tc_event* p
    if unlikely(f.count + n > f.capacity):
        while capacity < f.count + n:
            capacity *= 2
        p = NULL if f.pinned else <tc_event*>realloc(f.data, capacity * sizeof(tc_event))
        if p == NULL:
            f.failed = True
            return NULL
        f.data = p
        f.capacity = capacity
    return f.data + f.count


cdef inline tc_event* frames_next(Frames* f) noexcept nogil:
    """One more frame, zeroed; NULL as in frames_reserve."""
    cdef tc_event* v = frames_reserve(f, 1)
    if v != NULL:
        memset(v, 0, sizeof(tc_event))
        f.count += 1
    return v
