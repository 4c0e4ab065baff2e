"""Phase commands and timers.

Owner of: SET_PHASE, UNCROSS and what fires by log time before a command.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.auction cimport crossed, uncross
from tradecore_ext.breaker cimport enter_phase
from tradecore_ext.ending cimport end_order
from tradecore_ext.filters cimport set_band_ref
from tradecore_ext.gather cimport Scope, end_gathered, gather
from tradecore_ext.lists cimport taker_finished
from tradecore_ext.liquidation cimport liquidation_step
from tradecore_ext.mathx cimport likely
from tradecore_ext.state cimport NIL, Book, Engine, Timer
from tradecore_ext.stops cimport elect, forget_prints
from tradecore_ext.timers cimport TIMER_EXPIRY, TIMER_PHASE, timer_cancel, timer_set
from tradecore_ext.types cimport (
    TC_ANY,
    TC_EVT_EXPIRED,
    TC_PHASE_AUCTION,
    TC_PHASE_CLOSED,
    TC_PHASE_CONTINUOUS,
    TC_PHASE_HALTED,
)

cdef enum:
    SP_PHASE_COMMAND = 211
    SP_PHASE_TIMER = 212
    SP_GTD = 410
    SP_DAY = 411


cdef inline void after_book(Engine* e, Book* b) noexcept nogil:
    """Step 5 of a command for the instrument it touched."""
    if likely(e.parents_head == NIL and not (b.trip_status or b.n_stops or b.n_trailing)):
        if b.phase == TC_PHASE_CONTINUOUS:
            forget_prints(b)
    else:
        taker_finished(e, b)
        elect(e, b)
    if e.accounts:
        liquidation_step(e)


cdef inline void after_all(Engine* e) noexcept nogil:
    """Step 5 of a command that may have touched any instrument, in id order. O(instruments)."""
    cdef uint32_t i
    for i in range(e.max_instruments):
        if e.book[i].exists and (e.book[i].n_stops or e.book[i].n_trailing):
            elect(e, e.book + i)
    if e.accounts:
        liquidation_step(e)


cdef inline void expire_day(Engine* e, uint32_t instrument_id) noexcept nogil:
    """The day of the instrument is over: its DAY orders expire, in order-id order."""
    cdef Scope s
    s.account_id = TC_ANY
    s.instrument_id = instrument_id
    s.side = 0
    s.day_only = 1
    gather(e, &s)
    end_gathered(e, TC_EVT_EXPIRED, SP_DAY)


cdef inline void uncross_command(Engine* e, uint32_t instrument_id, uint8_t phase, int64_t ref_px) noexcept nogil:
    """UNCROSS, already validated; as every phase command it ends the instrument's timer."""
    if e.book[instrument_id].phase_timer != NIL:
        timer_cancel(e, e.book[instrument_id].phase_timer)
    uncross(e, e.book + instrument_id, instrument_id, ref_px, phase, SP_PHASE_COMMAND)
    taker_finished(e, e.book + instrument_id)
    if phase == TC_PHASE_CLOSED:
        expire_day(e, instrument_id)
    after_book(e, e.book + instrument_id)


cdef inline void set_phase(Engine* e, uint32_t instrument_id, uint8_t phase, int64_t ref_px) noexcept nogil:
    """SET_PHASE, already validated."""
    cdef Book* b = e.book + instrument_id
    if ref_px > 0:
        set_band_ref(b, ref_px)
        b.auction_ref_px = ref_px
    if phase == TC_PHASE_CONTINUOUS and (b.phase == TC_PHASE_AUCTION or crossed(e, b)):
        uncross(e, b, instrument_id, ref_px, phase, SP_PHASE_COMMAND)
    else:
        enter_phase(e, b, instrument_id, phase, SP_PHASE_COMMAND)
    if phase == TC_PHASE_CLOSED:
        expire_day(e, instrument_id)
    after_book(e, b)


cdef inline void phase_timer(Engine* e, uint32_t instrument_id, uint64_t deadline) noexcept nogil:
    cdef Book* b = e.book + instrument_id
    if b.phase == TC_PHASE_HALTED:
        enter_phase(e, b, instrument_id, TC_PHASE_AUCTION, SP_PHASE_TIMER)
        if b.spec.auction_ns:
            timer_set(e, deadline + b.spec.auction_ns, instrument_id, TIMER_PHASE, instrument_id)
    elif b.phase == TC_PHASE_AUCTION:
        uncross(e, b, instrument_id, 0, TC_PHASE_CONTINUOUS, SP_PHASE_TIMER)
    after_book(e, b)


cdef inline void fire_timers(Engine* e) noexcept nogil:
    """Everything due at Engine.now, in (deadline, kind, id) order. O(log timers) each."""
    cdef Timer t
    cdef Book* b
    while e.n_timers and e.timer[0].deadline <= e.now:
        t = e.timer[0]
        timer_cancel(e, 0)
        if t.kind == TIMER_EXPIRY:
            b = e.book + e.order[t.ref].instrument_id
            end_order(e, t.ref, TC_EVT_EXPIRED, SP_GTD)
            after_book(e, b)
        else:
            phase_timer(e, t.ref, t.deadline)
