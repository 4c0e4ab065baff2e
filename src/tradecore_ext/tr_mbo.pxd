"""Databento market-by-order records become frames.

Owner of: the meaning of MBO records in docs/concepts/backtesting.md, "Data".
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.bt_state cimport TAG_REDUCTION, UNKNOWN_BASE
from tradecore_ext.state cimport NIL
from tradecore_ext.tr_book cimport add_execution, finish_run, other, reduce_by, slot_of
from tradecore_ext.tr_frames cimport MOST_ANNOUNCED, Tr, put, put_cancel, put_hidden, put_left, put_new, run
from tradecore_ext.types cimport (
    TC_CMD_MASS_CANCEL,
    TC_CMD_REPLACE_ORDER,
    TC_FLAG_LEAVES,
    TC_MAX_PX,
    TC_SIDE_BUY,
    TC_SIDE_SELL,
    tc_command,
)

cdef packed struct Mbo:      # 56 bytes; DBN versions 1 to 3 share it
    uint8_t length           # in words of 4 bytes
    uint8_t rtype            # 0xA0
    uint16_t publisher_id
    uint32_t instrument_id
    uint64_t ts_event
    uint64_t order_id
    int64_t price
    uint32_t size
    uint8_t flags
    uint8_t channel_id
    uint8_t action
    uint8_t side
    uint64_t ts_recv
    int32_t ts_in_delta
    uint32_t sequence


cdef inline int mbo_record(Tr* t, const Mbo* r, uint32_t i, int64_t divisor) noexcept nogil:
    """One record; 1 where its price is no multiple of the unit, 2 where a number is out of range."""
    cdef uint8_t side = TC_SIDE_BUY if r.side == 66 else TC_SIDE_SELL
    cdef uint32_t slot
    cdef int64_t px = 0
    cdef tc_command* c
    cdef bint priced = r.action in (65, 77, 84, 70)  # A M T F
    if priced:
        if r.price % divisor:
            return 1
        px = r.price / divisor
        if px < 1 or px > TC_MAX_PX or r.order_id >= UNKNOWN_BASE:
            return 2
    if <int64_t>r.ts_recv > t.received_ns:
        t.received_ns = <int64_t>r.ts_recv
    if <int64_t>r.ts_event < t.ts_ns:
        t.clamped += 1
    else:
        t.ts_ns = <int64_t>r.ts_event
    if r.action == 82:  # R: the book is cleared
        t.n_announced = 0
        c = put(t, TC_CMD_MASS_CANCEL, i, 0)
        run(t, c)
        return 0
    slot = slot_of(t, r.order_id)
    if r.action == 70:  # F: a resting order was filled; the book changes with the C or M behind it
        if slot == NIL:
            t.unknown += 1
            put_hidden(t, i, other(side), px, r.size)
        else:
            add_execution(t, r.order_id, t.e.order[slot].side, px, r.size)
            finish_run(t, i)
            # The record that takes the fill out of the book must not take it out again: see take_back.
            if t.n_announced < MOST_ANNOUNCED:
                t.announced[t.n_announced].order_id = r.order_id
                t.announced[t.n_announced].qty = r.size
                t.n_announced += 1
        return 0
    if (r.action == 67 or r.action == 77) and take_back(t, r.order_id, r.size if r.action == 67 else -1):
        if r.action == 67 or slot == NIL or t.e.order[slot].leaves_qty == r.size:
            return 0
    if r.action == 65:
        if r.size and slot == NIL and (side == TC_SIDE_BUY or r.side == 65):
            put_new(t, i, r.order_id, side, px, r.size)
    elif r.action == 67:
        if slot == NIL:
            t.unknown += 1
        elif r.size >= t.e.order[slot].leaves_qty:
            put_cancel(t, r.order_id)
        else:
            reduce_by(t, slot, r.size)
    elif r.action == 77:
        if slot == NIL:
            put_new(t, i, r.order_id, side, px, r.size)
        elif r.size == 0:
            put_cancel(t, r.order_id)
        elif t.e.level[t.e.order[slot].level].px == px and r.size <= t.e.order[slot].leaves_qty:
            put_left(t, i, r.order_id, r.size, TAG_REDUCTION)
        else:
            c = put(t, TC_CMD_REPLACE_ORDER, i, r.order_id)
            c.px = px
            c.order_qty = r.size
            c.flags = TC_FLAG_LEAVES
            run(t, c)
    return 0


cdef inline bint take_back(Tr* t, uint64_t order_id, int64_t qty) noexcept nogil:
    """Whether a fill of the order was announced that this record now takes out of the book; -1: whatever it was."""
    cdef uint32_t k
    for k in range(t.n_announced):
        if t.announced[k].order_id == order_id and (qty < 0 or t.announced[k].qty == qty):
            t.n_announced -= 1
            t.announced[k] = t.announced[t.n_announced]
            return True
    return False
