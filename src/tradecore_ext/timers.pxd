"""Timers in log time: one binary heap over (deadline, kind, id).

Owner of: what fires next.  A timer knows where it stands (Terms.timer, Book.phase_timer), so cancelling an
order with an expiry is O(log n).  Kind 0 is the expiry of an order, kind 1 the next phase of an instrument.
"""
from libc.stdint cimport uint32_t, uint64_t

from tradecore_ext.state cimport NIL, Engine, Timer

cdef enum:
    TIMER_EXPIRY = 0
    TIMER_PHASE = 1


cdef inline bint timer_before(const Timer* a, const Timer* b) noexcept nogil:
    if a.deadline != b.deadline:
        return a.deadline < b.deadline
    if a.kind != b.kind:
        return a.kind < b.kind
    return a.tie < b.tie


cdef inline void timer_place(Engine* e, uint32_t i, const Timer* t) noexcept nogil:
    """Write a timer to heap position i and tell its owner."""
    e.timer[i] = t[0]
    if t.kind == TIMER_EXPIRY:
        e.terms[e.order[t.ref].terms].timer = i
    else:
        e.book[t.ref].phase_timer = i


cdef inline void timer_up(Engine* e, uint32_t i, Timer t) noexcept nogil:
    cdef uint32_t up
    while i > 0:
        up = (i - 1) >> 1
        if not timer_before(&t, e.timer + up):
            break
        timer_place(e, i, e.timer + up)
        i = up
    timer_place(e, i, &t)


cdef inline void timer_down(Engine* e, uint32_t i, Timer t) noexcept nogil:
    cdef uint32_t c
    while True:
        c = 2 * i + 1
        if c >= e.n_timers:
            break
        if c + 1 < e.n_timers and timer_before(e.timer + c + 1, e.timer + c):
            c += 1
        if not timer_before(e.timer + c, &t):
            break
        timer_place(e, i, e.timer + c)
        i = c
    timer_place(e, i, &t)


cdef inline bint timer_available(const Engine* e) noexcept nogil:
    """Room for one more order timer; one place per instrument is kept for phases."""
    return e.n_timers + e.max_instruments < e.max_timers


cdef inline void timer_set(Engine* e, uint64_t deadline, uint64_t tie, uint32_t kind, uint32_t ref) noexcept nogil:
    cdef Timer t
    t.deadline = deadline if deadline < (<uint64_t>1 << 63) - 1 else (<uint64_t>1 << 63) - 1
    t.tie = tie
    t.kind = kind
    t.ref = ref
    e.n_timers += 1
    timer_up(e, e.n_timers - 1, t)


cdef inline void timer_cancel(Engine* e, uint32_t i) noexcept nogil:
    """Remove the timer at heap position i."""
    cdef Timer last
    if e.timer[i].kind == TIMER_EXPIRY:
        e.terms[e.order[e.timer[i].ref].terms].timer = NIL
    else:
        e.book[e.timer[i].ref].phase_timer = NIL
    e.n_timers -= 1
    if i == e.n_timers:
        return
    last = e.timer[e.n_timers]
    if i > 0 and timer_before(&last, e.timer + ((i - 1) >> 1)):
        timer_up(e, i, last)
    else:
        timer_down(e, i, last)
