"""Phase changes that matching itself causes.

Owner of: how a phase is entered and announced, and what a tripped breaker does.  Phase commands and phase
timers are phase.pxd's; it stands above the matching, this file below.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.emit cimport emit_next
from tradecore_ext.state cimport NIL, Book, Engine
from tradecore_ext.timers cimport TIMER_PHASE, timer_cancel, timer_set
from tradecore_ext.types cimport (
    TC_EVT_PHASE,
    TC_PHASE_AUCTION,
    TC_PHASE_HALTED,
    tc_market_event,
)


cdef inline void enter_phase(
    Engine* e, Book* b, uint32_t instrument_id, uint8_t phase, uint16_t status
) noexcept nogil:
    """Set the phase, drop the instrument's phase timer, say so."""
    cdef tc_market_event* v
    if b.phase_timer != NIL:
        timer_cancel(e, b.phase_timer)
    b.phase = phase
    v = <tc_market_event*>emit_next(e)
    v.instrument_id = instrument_id
    v.kind = TC_EVT_PHASE
    v.status = status
    v.last_px = b.last_px
    v.phase = phase


cdef inline void breaker_speak(Engine* e, Book* b, uint32_t instrument_id) noexcept nogil:
    """A taker has tripped a breaker and is finished: halt, or reopen by auction at once."""
    cdef uint16_t status = b.trip_status
    if status == 0:
        return
    b.trip_status = 0
    if b.spec.halt_ns:
        enter_phase(e, b, instrument_id, TC_PHASE_HALTED, status)
        timer_set(e, e.now + b.spec.halt_ns, instrument_id, TIMER_PHASE, instrument_id)
    else:
        enter_phase(e, b, instrument_id, TC_PHASE_AUCTION, status)
        if b.spec.auction_ns:
            timer_set(e, e.now + b.spec.auction_ns, instrument_id, TIMER_PHASE, instrument_id)
