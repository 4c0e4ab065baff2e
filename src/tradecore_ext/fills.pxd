"""One fill: both orders, the level, the print, the money, and what the maker does afterwards.

Owner of: Book.last_px and the price source of stops where that is the last trade.
"""
from libc.stdint cimport int64_t, uint32_t

from tradecore_ext.emit cimport emit_order, grow_events
from tradecore_ext.ending cimport filled, take_out
from tradecore_ext.ladder cimport level_reduce, level_requeue
from tradecore_ext.ledger cimport ledger_fill
from tradecore_ext.mathx cimport likely, min64, unlikely
from tradecore_ext.state cimport OF_CASH, OF_ICEBERG, Book, Engine, Ladder, Order, Terms
from tradecore_ext.stopbook cimport trailing_print
from tradecore_ext.types cimport (
    TC_EVT_FILL,
    TC_EVT_RESTATED,
    TC_FILL_LIQUIDATION,
    TC_FILL_MAKER_DONE,
    TC_FILL_TAKER_DONE,
    TC_FLAG_LIQUIDATION,
    TC_TRIGGER_LAST,
    tc_fill_event,
)

# Status codes used here; the sentence of each stands in tc_status.def.
cdef enum:
    S_ICEBERG_REFRESH = 418


cdef inline void note_print(Engine* e, Book* b, int64_t px) noexcept nogil:
    """A trade at px: last price, and the price source of stops where that is the last trade."""
    b.last_px = px
    if likely(b.trigger == TC_TRIGGER_LAST):
        if px < b.lo_px:
            b.lo_px = px
        if px > b.hi_px:
            b.hi_px = px
        if unlikely(b.n_trailing != 0):
            trailing_print(e, b, px)


cdef inline void emit_fill(
    Engine* e, const Order* o, const Order* m, int64_t px, int64_t qty, uint32_t flags
) noexcept nogil:
    cdef tc_fill_event* v
    if unlikely(e.n_out >= e.cap_out):
        grow_events(e)
    v = <tc_fill_event*>(e.out + e.n_out)
    e.n_out += 1
    e.out_seq += 1
    v.seq = e.out_seq
    v.order_id = o.order_id
    v.account_id = o.account_id
    v.instrument_id = o.instrument_id
    v.kind = TC_EVT_FILL
    v.side = o.side
    v.status = 0
    v.in_seq = <uint32_t>e.in_seq
    v.last_px = px
    v.last_qty = qty
    v.maker_order_id = m.order_id
    v.maker_account_id = m.account_id
    v.flags = flags


cdef inline void refresh_tip(Engine* e, uint32_t slot) noexcept nogil:
    """The displayed part is gone: show the next one, behind the queue."""
    cdef Order* o = e.order + slot
    cdef Terms* t = e.terms + o.terms
    t.visible_qty = min64(t.display_qty, o.leaves_qty)
    level_requeue(e, slot)
    emit_order(e, TC_EVT_RESTATED, S_ICEBERG_REFRESH, o, e.level[o.level].px)


cdef inline void resting_after_fill(Engine* e, Book* b, uint32_t slot, int64_t qty) noexcept nogil:
    """A resting order lost qty to a fill: gone, refreshed, or in its place with less."""
    cdef Order* m = e.order + slot
    cdef Terms* t
    if m.leaves_qty == 0:
        take_out(e, slot)
        filled(e, slot)
    elif unlikely(m.flags & OF_ICEBERG):
        t = e.terms + m.terms
        t.visible_qty -= qty
        if t.visible_qty == 0:
            refresh_tip(e, slot)


cdef inline bint taker_done(const Engine* e, const Order* o) noexcept nogil:
    """Nothing left to trade: no leaves, or no cash of a cash order."""
    if unlikely(o.flags & OF_CASH):
        return e.terms[o.terms].cash_left == 0
    return o.leaves_qty == 0


cdef inline void fill(
    Engine* e, Book* b, Ladder* opp, uint32_t slot, uint32_t m_slot, int64_t px, int64_t qty, uint32_t flags
) noexcept nogil:
    """One pairing of the taker `slot` with the resting order `m_slot`."""
    cdef Order* o = e.order + slot
    cdef Order* m = e.order + m_slot
    o.leaves_qty -= qty
    o.cum_qty += qty
    m.leaves_qty -= qty
    m.cum_qty += qty
    level_reduce(e, opp, m.level, qty)
    if taker_done(e, o):
        flags |= TC_FILL_TAKER_DONE
    if m.leaves_qty == 0:
        flags |= TC_FILL_MAKER_DONE
    emit_fill(e, o, m, px, qty, flags)
    if e.accounts:
        ledger_fill(e, slot, m_slot, px, qty, flags)
    note_print(e, b, px)
    resting_after_fill(e, b, m_slot, qty)


cdef inline void fill_any(
    Engine* e, Book* b, Ladder* opp, uint32_t slot, uint32_t m_slot, int64_t px, int64_t qty
) noexcept nogil:
    """A fill of any taker: a cash order's quantity comes into being as it is bought."""
    cdef Order* o = e.order + slot
    if o.flags & OF_CASH:
        o.order_qty += qty
        o.leaves_qty += qty
        e.terms[o.terms].cash_left -= qty * px * b.multiplier
    fill(e, b, opp, slot, m_slot, px, qty, TC_FILL_LIQUIDATION if o.flags & TC_FLAG_LIQUIDATION else 0)
