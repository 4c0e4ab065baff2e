"""What a command of a backtest does to the strategy's knowledge: events read, best prices compared, notices sent.

Owner of: the one way in which the loop lets the engine run (`execute`), and what is told because of it.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from tradecore_ext.bt_own cimport *
from tradecore_ext.bt_state cimport *
from tradecore_ext.engine cimport tc_apply
from tradecore_ext.mathx cimport likely, unlikely
from tradecore_ext.state cimport NIL, Engine
from tradecore_ext.types cimport *


cdef inline Notice* show(Bt* b, uint8_t kind, uint32_t instrument_id, int64_t ts_ns) noexcept nogil:
    """A notice of the public feed, on its way to the strategy."""
    cdef Notice* n = ring_push(b, &b.feed)
    if n == NULL:
        return NULL
    n.ts_ns = ts_ns
    n.instrument_id = instrument_id
    n.kind = kind
    if b.feed_delay.kind == DELAY_ARRIVAL:
        n.seen_ns = b.arrival_ns if b.arrival_ns > b.feed_last_ns else b.feed_last_ns
        b.feed_last_ns = n.seen_ns
    else:
        n.seen_ns = delayed(&b.feed_delay, ts_ns)
    b.pushed = 1
    return n


cdef inline void compare_top(Bt* b, uint32_t instrument_id) noexcept nogil:
    """Tell of new best prices, if they are new."""
    cdef Quote q = quote_of(b, instrument_id)
    cdef Notice* n
    if memcmp(&q, b.top + instrument_id, sizeof(Quote)) != 0:
        b.top[instrument_id] = q
        n = show(b, BT_BOOK, instrument_id, b.last_ns)
        if n != NULL:
            n.quote = q


cdef inline void close_stamp(Bt* b) noexcept nogil:
    """All frames of a time stamp have been applied: look at the best prices of what they touched."""
    cdef uint32_t i
    b.open_stamp = 0
    if not (b.subscribed & (SUB_BOOK | SUB_VIEW)):
        return
    if b.only >= 0:
        compare_top(b, <uint32_t>b.only)
    elif b.n_touched > 64:
        for i in range(b.n_instruments):
            if b.e.book[i].exists:
                compare_top(b, i)
    else:
        for i in range(b.n_touched):
            compare_top(b, b.touched[i])
    b.n_touched = 0


cdef inline void touch(Bt* b, uint32_t instrument_id) noexcept nogil:
    cdef uint32_t i
    if b.n_touched > 64 or instrument_id >= b.n_instruments:
        return
    for i in range(b.n_touched):
        if b.touched[i] == instrument_id:
            return
    if b.n_touched < 64:
        b.touched[b.n_touched] = instrument_id
    b.n_touched += 1


cdef inline void read_events(Bt* b, bint own, bint public) noexcept nogil:
    """Go over the events of the last call: own orders, trades, which instruments were touched."""
    cdef Engine* e = b.e
    cdef const tc_event* v
    cdef const tc_fill_event* f
    cdef Notice* n
    cdef uint64_t i
    cdef uint32_t slot, maker
    cdef int64_t ts_ns = b.last_ns
    for i in range(e.n_out):
        v = e.out + i
        if v.kind == TC_EVT_FILL:
            f = <const tc_fill_event*>v
            if public and b.subscribed & SUB_TRADE:
                n = show(b, BT_TRADE, v.instrument_id, ts_ns)
                if n != NULL:
                    n.px = f.last_px
                    n.qty = f.last_qty
                    n.side = v.side
            if own:
                slot = own_slot(b, f.order_id)
                maker = own_slot(b, f.maker_order_id)
                if slot != NIL:
                    own_fill(b, slot, f, <const tc_settle_event*>(v + 1) if e.accounts else NULL, True, ts_ns)
                if maker != NIL:
                    own_fill(b, maker, f, <const tc_settle_event*>(v + 2) if e.accounts else NULL, False, ts_ns)
        elif own and v.order_id >= OWN_BASE and v.order_id < (<uint64_t>1 << 63):
            own_event(b, own_slot(b, v.order_id), v, ts_ns)
        if b.only < 0:
            touch(b, v.instrument_id)
    if own and b.exotic and b.n_alive > b.n_resting:
        look_at_all(b, ts_ns)


cdef inline bint execute(Bt* b, const tc_command* c, uint64_t n, bint own, bint public) noexcept nogil:
    """Let the engine run frames; False when it has stopped."""
    cdef uint64_t done = tc_apply(<void*>b.e, c, n)
    b.n_events += b.e.n_out
    if unlikely(done < n):
        b.failed = BT_FAULT
        return False
    if unlikely(b.e.live >= b.e.max_orders):
        # The engine would refuse the next recorded order, and the market would no longer be the recorded one.
        b.failed = BT_NO_ROOM
        return False
    if own or (public and (b.only < 0 or b.subscribed & SUB_TRADE)):
        read_events(b, own, public)
    if public:
        b.open_stamp = 1
    return b.failed == 0
