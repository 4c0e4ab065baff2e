"""The translator's memory, and how it writes frames: into its output and into the engine beside it.

Owner of: Tr.  Every frame that is written is run at once, so the engine always holds the recorded book.  Memory that
is not there is remembered and said by translate.pyx when the call ends.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memset

from tradecore_ext.bt_state cimport TAG_HIDDEN, TAG_REDUCTION, TAKER_BASE
from tradecore_ext.engine cimport tc_apply
from tradecore_ext.state cimport Engine
from tradecore_ext.types cimport (
    TC_CMD_CANCEL_ORDER,
    TC_CMD_NEW_ORDER,
    TC_CMD_REPLACE_ORDER,
    TC_FLAG_LEAVES,
    TC_ORD_LIMIT,
    TC_TIF_GTC,
    TC_TIF_IOC,
    tc_command,
)

cdef enum:
    MOST_ANNOUNCED = 1024

cdef struct Execution:
    uint64_t order_id
    int64_t px
    int64_t qty

cdef struct Tr:
    Engine* e
    tc_command* out
    int64_t* received        # parallel to `out`
    uint64_t n
    uint64_t cap
    uint64_t takers
    int64_t ts_ns            # of the message being translated; never goes back
    int64_t received_ns      # when it was received, where the source says so; never goes back either
    # executions of one aggressor, not yet written
    Execution* run
    uint32_t n_run
    uint32_t cap_run
    int64_t run_ns
    uint8_t run_side         # of the resting orders
    uint8_t seeded
    uint8_t no_memory
    uint8_t stopped
    # DBN: fills announced by F, whose orders the records behind them will reduce
    Execution announced[1024]
    uint32_t n_announced
    uint32_t reserved
    # counters
    int64_t executions
    int64_t in_priority
    int64_t hidden
    int64_t unknown
    int64_t adopted
    int64_t corrected
    int64_t crossing
    int64_t clamped


cdef inline tc_command* put(Tr* t, uint16_t kind, uint32_t instrument_id, uint64_t order_id) noexcept nogil:
    """A zeroed frame at the end. Without memory it is a frame that is written over: the caller sees `no_memory`."""
    cdef uint64_t cap
    cdef void* p
    cdef tc_command* c
    if t.n + 4 > t.cap:
        cap = 2 * t.cap + 4096
        p = realloc(t.out, cap * sizeof(tc_command))
        if p != NULL:
            t.out = <tc_command*>p
            p = realloc(t.received, cap * sizeof(int64_t))
        if p != NULL:
            t.received = <int64_t*>p
            t.cap = cap
        else:
            t.no_memory = 1
            t.n = 0
    c = t.out + t.n
    memset(c, 0, sizeof(tc_command))
    t.received[t.n] = t.received_ns
    t.n += 1
    c.ts_ns = <uint64_t>t.ts_ns
    c.kind = kind
    c.instrument_id = instrument_id
    c.order_id = order_id
    return c


cdef inline void run(Tr* t, const tc_command* c) noexcept nogil:
    """Let the engine beside the translation follow."""
    if tc_apply(<void*>t.e, c, 1) == 0:
        t.stopped = 1


cdef inline void put_new(Tr* t, uint32_t i, uint64_t order_id, uint8_t side, int64_t px, int64_t qty) noexcept nogil:
    cdef tc_command* c = put(t, TC_CMD_NEW_ORDER, i, order_id)
    c.side = side
    c.ord_type = TC_ORD_LIMIT
    c.tif = TC_TIF_GTC
    c.px = px
    c.order_qty = qty
    run(t, c)


cdef inline void put_cancel(Tr* t, uint64_t order_id) noexcept nogil:
    run(t, put(t, TC_CMD_CANCEL_ORDER, 0, order_id))


cdef inline void put_left(Tr* t, uint32_t i, uint64_t order_id, int64_t left, uint32_t tag) noexcept nogil:
    """At most `left` remains of an order. A repair changes nothing in the recorded book."""
    cdef tc_command* c
    if left > 0:
        c = put(t, TC_CMD_REPLACE_ORDER, i, order_id)
        c.order_qty = left
        c.flags = TC_FLAG_LEAVES
    else:
        c = put(t, TC_CMD_CANCEL_ORDER, 0, order_id)
    c.session_id = tag
    if tag == TAG_REDUCTION:
        run(t, c)


cdef inline tc_command* put_taker(Tr* t, uint32_t i, uint8_t side, int64_t px, int64_t qty) noexcept nogil:
    """An immediate order of `side`."""
    cdef tc_command* c
    t.takers += 1
    c = put(t, TC_CMD_NEW_ORDER, i, TAKER_BASE + t.takers)
    c.side = side
    c.ord_type = TC_ORD_LIMIT
    c.tif = TC_TIF_IOC
    c.px = px
    c.order_qty = qty
    return c


cdef inline void put_hidden(Tr* t, uint32_t i, uint8_t side, int64_t px, int64_t qty) noexcept nogil:
    """An execution that no displayed order explains."""
    if px > 0 and qty > 0:
        put_taker(t, i, side, px, qty).session_id = TAG_HIDDEN
        t.hidden += 1
