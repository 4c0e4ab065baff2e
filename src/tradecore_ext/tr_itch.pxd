"""Messages of Nasdaq ITCH 5.0 become frames.

Owner of: the meaning of ITCH messages in docs/concepts/backtesting.md, "Data".
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tradecore_ext.state cimport L_ASK, L_BID, NIL
from tradecore_ext.tr_book cimport add_execution, best_level, finish_run, reduce_by, slot_of
from tradecore_ext.tr_frames cimport Tr, put_cancel, put_hidden, put_new
from tradecore_ext.types cimport TC_SIDE_BUY, TC_SIDE_SELL


cdef inline uint64_t big(const uint8_t* p, int n) noexcept nogil:
    """A big-endian number of n bytes."""
    cdef uint64_t x = 0
    cdef int k
    for k in range(n):
        x = x << 8 | p[k]
    return x


cdef inline void itch_message(Tr* t, const uint8_t* m, const int32_t* instrument_of) noexcept nogil:
    """One message at its type letter. Offsets: NASDAQ TotalView-ITCH 5.0, section 1.3 and following."""
    cdef uint8_t kind = m[0]
    cdef int32_t i
    cdef uint64_t order_id
    cdef uint8_t side
    cdef uint32_t slot
    cdef int64_t px, qty, bid, ask
    if kind not in (65, 70, 69, 67, 88, 68, 85, 80):  # A F E C X D U P
        return
    i = instrument_of[big(m + 1, 2)]
    if i < 0:
        return
    t.ts_ns = <int64_t>big(m + 5, 6)
    order_id = big(m + 11, 8)
    if kind == 65 or kind == 70:
        side = TC_SIDE_BUY if m[19] == 66 else TC_SIDE_SELL
        put_new(t, <uint32_t>i, order_id, side, <int64_t>big(m + 32, 4), <int64_t>big(m + 20, 4))
        return
    if kind == 80:
        # Its side is always B since 2014: the aggressor is told by the nearer touch.
        px = <int64_t>big(m + 32, 4)
        bid = t.e.level[best_level(t, L_BID, <uint32_t>i)].px if best_level(t, L_BID, <uint32_t>i) != NIL else 0
        ask = t.e.level[best_level(t, L_ASK, <uint32_t>i)].px if best_level(t, L_ASK, <uint32_t>i) != NIL else 0
        if bid and ask and 2 * px != bid + ask:
            side = TC_SIDE_BUY if 2 * px > bid + ask else TC_SIDE_SELL
            put_hidden(t, <uint32_t>i, side, px, <int64_t>big(m + 20, 4))
        return
    slot = slot_of(t, order_id)
    if slot == NIL:
        t.unknown += 1
        return
    side = t.e.order[slot].side
    if kind == 69 or kind == 67:
        qty = <int64_t>big(m + 19, 4)
        add_execution(t, order_id, side, t.e.level[t.e.order[slot].level].px, qty)
        finish_run(t, <uint32_t>i)
    elif kind == 88:
        reduce_by(t, slot, <int64_t>big(m + 19, 4))
    else:
        put_cancel(t, order_id)
        if kind == 85:
            put_new(t, <uint32_t>i, big(m + 19, 8), side, <int64_t>big(m + 31, 4), <int64_t>big(m + 27, 4))
