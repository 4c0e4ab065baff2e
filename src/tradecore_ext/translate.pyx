"""Recorded messages become order flow: what happened to resting orders turned back into what was asked.

Owner of: the rules of docs/concepts/backtesting.md, "Data".  Beside every translation runs an engine that holds the
recorded book, so that whether an execution was in priority is looked up and not guessed, and so that a market
replayed without own orders is the recorded one by construction.  Formats are decoded to columns or known offsets by
tradecore.research.convert_*; here are only their meanings.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

cimport cython

from tradecore_ext.bt_state cimport TAG_HIDDEN, TAG_REDUCTION, TAG_REPAIR, TAKER_BASE, UNKNOWN_BASE
from tradecore_ext.engine cimport tc_apply
from tradecore_ext.ids cimport id_find, id_tag
from tradecore_ext.ladder cimport ladder_find, ladder_next, rank_of
from tradecore_ext.state cimport L_ASK, L_BID, NIL, ST_RESTING, Engine
from tradecore_ext.types cimport *

cdef extern from *:
    """
    #define TC_ABSENT_PX ((int64_t)9999999999)
    """
    const int64_t ABSENT_PX "TC_ABSENT_PX"   # a level that a LOBSTER row does not have

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


# ---- writing frames -------------------------------------------------------------------------------------------------


cdef tc_command* put(Tr* t, uint16_t kind, uint32_t instrument_id, uint64_t order_id) noexcept nogil:
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


cdef void run(Tr* t, const tc_command* c) noexcept nogil:
    """Let the engine beside the translation follow."""
    if tc_apply(<void*>t.e, c, 1) == 0:
        t.stopped = 1


cdef void put_new(Tr* t, uint32_t i, uint64_t order_id, uint8_t side, int64_t px, int64_t qty) noexcept nogil:
    cdef tc_command* c = put(t, TC_CMD_NEW_ORDER, i, order_id)
    c.side = side
    c.ord_type = TC_ORD_LIMIT
    c.tif = TC_TIF_GTC
    c.px = px
    c.order_qty = qty
    run(t, c)


cdef void put_cancel(Tr* t, uint64_t order_id) noexcept nogil:
    run(t, put(t, TC_CMD_CANCEL_ORDER, 0, order_id))


cdef void put_left(Tr* t, uint32_t i, uint64_t order_id, int64_t left, uint32_t tag) noexcept nogil:
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


cdef tc_command* put_taker(Tr* t, uint32_t i, uint8_t side, int64_t px, int64_t qty) noexcept nogil:
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


cdef void put_hidden(Tr* t, uint32_t i, uint8_t side, int64_t px, int64_t qty) noexcept nogil:
    """An execution that no displayed order explains."""
    if px > 0 and qty > 0:
        put_taker(t, i, side, px, qty).session_id = TAG_HIDDEN
        t.hidden += 1


# ---- looking at the recorded book -----------------------------------------------------------------------------------


cdef uint32_t slot_of(Tr* t, uint64_t order_id) noexcept nogil:
    cdef uint32_t slot = id_find(t.e, order_id, id_tag(&t.e.ids, order_id))
    if slot == NIL or t.e.order[slot].state != ST_RESTING:
        return NIL
    return slot


cdef uint64_t unknown_id(uint8_t side, int64_t px) noexcept nogil:
    """The one order of a level that stands for what the recording cannot name."""
    return UNKNOWN_BASE | (<uint64_t>(side - 1) << 58) | <uint64_t>px


cdef uint32_t slot_or_unknown(Tr* t, uint64_t order_id, uint8_t side, int64_t px) noexcept nogil:
    cdef uint32_t slot = slot_of(t, order_id)
    return slot if slot != NIL else slot_of(t, unknown_id(side, px))


cdef uint8_t other(uint8_t side) noexcept nogil:
    return TC_SIDE_SELL if side == TC_SIDE_BUY else TC_SIDE_BUY


cdef void reduce_by(Tr* t, uint32_t slot, int64_t qty) noexcept nogil:
    cdef Engine* e = t.e
    put_left(t, e.order[slot].instrument_id, e.order[slot].order_id, e.order[slot].leaves_qty - qty, TAG_REDUCTION)


cdef void clear_level(Tr* t, int which, uint32_t i, uint32_t lv) noexcept nogil:
    """Cancel every order of a level."""
    cdef Engine* e = t.e
    cdef int64_t px = e.level[lv].px
    while lv != NIL and e.level[lv].px == px:
        put_cancel(t, e.order[e.level[lv].head].order_id)
        if t.no_memory or t.stopped:
            return
        lv = ladder_find(e, &e.book[i].ladder[which], rank_of(which, px))


cdef uint32_t best_level(Tr* t, int which, uint32_t i) noexcept nogil:
    return t.e.book[i].ladder[which].best_level if t.e.book[i].ladder[which].n_levels else NIL


cdef void clear_crossed(Tr* t, uint32_t i, uint8_t side, int64_t px) noexcept nogil:
    """A displayed order cannot cross: what stands in its way is in our book only."""
    cdef int which = L_ASK if side == TC_SIDE_BUY else L_BID
    cdef uint32_t lv = best_level(t, which, i)
    while lv != NIL and ((t.e.level[lv].px <= px) if side == TC_SIDE_BUY else (t.e.level[lv].px >= px)):
        t.crossing += 1
        clear_level(t, which, i, lv)
        if t.no_memory or t.stopped:
            return
        lv = best_level(t, which, i)


# ---- executions -----------------------------------------------------------------------------------------------------


cdef bint is_in_priority(Tr* t, uint32_t i) noexcept nogil:
    """Whether one aggressive order would have executed exactly this run, by price and time."""
    cdef Engine* e = t.e
    cdef int which = L_BID if t.run_side == TC_SIDE_BUY else L_ASK
    cdef uint32_t lv = best_level(t, which, i)
    cdef uint32_t slot, k
    cdef int64_t left
    if lv == NIL:
        return False
    slot = e.level[lv].head
    left = e.order[slot].leaves_qty
    for k in range(t.n_run):
        if left == 0:
            slot = e.order[slot].next
            if slot == NIL:
                lv = ladder_next(e, &e.book[i].ladder[which], rank_of(which, e.level[lv].px))
                if lv == NIL:
                    return False
                slot = e.level[lv].head
            left = e.order[slot].leaves_qty
        if e.order[slot].order_id != t.run[k].order_id or e.level[lv].px != t.run[k].px or left < t.run[k].qty:
            return False
        left -= t.run[k].qty
    return True


cdef void finish_run(Tr* t, uint32_t i) noexcept nogil:
    """Write the executions of one aggressor."""
    cdef uint32_t k
    cdef uint32_t slot
    cdef int64_t total = 0
    cdef int64_t worst
    cdef int64_t now_ns = t.ts_ns
    cdef bint fits
    if t.n_run == 0:
        return
    t.ts_ns = t.run_ns
    worst = t.run[0].px
    for k in range(t.n_run):
        # What cannot be named is the unknown order of its level, if that exists.
        if slot_of(t, t.run[k].order_id) == NIL:
            t.run[k].order_id = unknown_id(t.run_side, t.run[k].px)
        total += t.run[k].qty
        if (t.run[k].px < worst) if t.run_side == TC_SIDE_BUY else (t.run[k].px > worst):
            worst = t.run[k].px
    fits = is_in_priority(t, i)
    t.executions += t.n_run
    if fits:
        t.in_priority += t.n_run
        run(t, put_taker(t, i, other(t.run_side), worst, total))
    else:
        put_hidden(t, i, other(t.run_side), worst, total)
    for k in range(t.n_run):
        slot = slot_of(t, t.run[k].order_id)
        if not fits:
            if slot != NIL:
                reduce_by(t, slot, t.run[k].qty)
            else:
                t.unknown += 1
        elif k + 1 == t.n_run or t.run[k + 1].order_id != t.run[k].order_id:
            put_left(
                t, i, t.run[k].order_id, t.e.order[slot].leaves_qty if slot != NIL else 0, TAG_REPAIR
            )
    t.n_run = 0
    t.ts_ns = now_ns


cdef void add_execution(Tr* t, uint64_t order_id, uint8_t side, int64_t px, int64_t qty) noexcept nogil:
    cdef void* p
    if t.n_run == t.cap_run:
        p = realloc(t.run, (2 * t.cap_run + 64) * sizeof(Execution))
        if p == NULL:
            t.no_memory = 1
            return
        t.run = <Execution*>p
        t.cap_run = 2 * t.cap_run + 64
    if t.n_run == 0:
        t.run_ns = t.ts_ns
        t.run_side = side
    t.run[t.n_run].order_id = order_id
    t.run[t.n_run].px = px
    t.run[t.n_run].qty = qty
    t.n_run += 1


# ---- LOBSTER --------------------------------------------------------------------------------------------------------


cdef void fit_side(Tr* t, uint8_t side, const int64_t* row, int64_t levels) noexcept nogil:
    """Make a side show what the snapshot row shows: cut what left the view, adopt what came into it."""
    cdef Engine* e = t.e
    cdef int which = L_BID if side == TC_SIDE_BUY else L_ASK
    cdef const int64_t* cell = row + (2 if side == TC_SIDE_BUY else 0)
    cdef uint32_t lv = best_level(t, which, 0)
    cdef uint32_t after
    cdef int64_t k = 0
    cdef int64_t px, qty
    while True:
        px = qty = 0
        while k < levels:
            px = cell[4 * k]
            qty = cell[4 * k + 1]
            if qty > 0 and px > 0 and px != ABSENT_PX:
                break
            k += 1
        if lv == NIL and k >= levels:
            return
        if k < levels and lv != NIL and e.level[lv].px == px:
            after = ladder_next(e, &e.book[0].ladder[which], rank_of(which, px))
            if e.level[lv].qty != qty:
                # Somebody stands in the queue who is gone in the file: only the total is known.
                t.corrected += 1
                clear_level(t, which, 0, lv)
                put_new(t, 0, unknown_id(side, px), side, px, qty)
            lv = after
            k += 1
        elif k < levels and (lv == NIL or rank_of(which, px) < rank_of(which, e.level[lv].px)):
            t.adopted += 1
            clear_crossed(t, 0, side, px)
            put_new(t, 0, unknown_id(side, px), side, px, qty)
            k += 1
        else:
            # A price that has no level has no next one: look before it goes.
            after = ladder_next(e, &e.book[0].ladder[which], rank_of(which, e.level[lv].px))
            clear_level(t, which, 0, lv)
            lv = after
        if t.no_memory or t.stopped:
            return


cdef void fit(Tr* t, const int64_t* row, int64_t levels) noexcept nogil:
    fit_side(t, TC_SIDE_SELL, row, levels)
    fit_side(t, TC_SIDE_BUY, row, levels)


cdef void lobster_row(
    Tr* t, const int64_t* m, const int64_t* before, const int64_t* row, int64_t levels
) noexcept nogil:
    """One message: (ts_ns, type, order_id, qty, px, direction); `before` is the snapshot of the row before."""
    cdef int64_t kind = m[1]
    cdef uint8_t side = TC_SIDE_BUY if m[5] > 0 else TC_SIDE_SELL
    cdef uint32_t slot
    if t.n_run and (m[0] != t.run_ns or (kind != 5 and (kind != 4 or side != t.run_side))):
        finish_run(t, 0)
        fit(t, before, levels)
    t.ts_ns = m[0]
    if kind == 1:
        clear_crossed(t, 0, side, m[4])
        put_new(t, 0, <uint64_t>m[2], side, m[4], m[3])
    elif kind == 2 or kind == 3:
        slot = slot_or_unknown(t, <uint64_t>m[2], side, m[4])
        if slot == NIL:
            t.unknown += 1
        elif kind == 3 and t.e.order[slot].order_id == <uint64_t>m[2]:
            put_cancel(t, <uint64_t>m[2])
        else:
            reduce_by(t, slot, m[3])
    elif kind == 4:
        add_execution(t, <uint64_t>m[2], side, m[4], m[3])
        return
    elif kind == 5:
        put_hidden(t, 0, other(side), m[4], m[3])
        return
    fit(t, row, levels)


# ---- ITCH 5.0 -------------------------------------------------------------------------------------------------------


cdef uint64_t big(const uint8_t* p, int n) noexcept nogil:
    """A big-endian number of n bytes."""
    cdef uint64_t x = 0
    cdef int k
    for k in range(n):
        x = x << 8 | p[k]
    return x


cdef void itch_message(Tr* t, const uint8_t* m, const int32_t* instrument_of) noexcept nogil:
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


# ---- Databento market by order --------------------------------------------------------------------------------------


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


cdef int mbo_record(Tr* t, const Mbo* r, uint32_t i, int64_t divisor) noexcept nogil:
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


cdef bint take_back(Tr* t, uint64_t order_id, int64_t qty) noexcept nogil:
    """Whether a fill of the order was announced that this record now takes out of the book; -1: whatever it was."""
    cdef uint32_t k
    for k in range(t.n_announced):
        if t.announced[k].order_id == order_id and (qty < 0 or t.announced[k].qty == qty):
            t.n_announced -= 1
            t.announced[k] = t.announced[t.n_announced]
            return True
    return False


# ---- Python ---------------------------------------------------------------------------------------------------------


@cython.final
cdef class Translator:
    """Turns decoded messages into frames; `owner` is the engine whose `handle` is given, empty but for instruments."""
    cdef Tr t
    cdef object owner

    def __cinit__(self, owner, uintptr_t handle):
        memset(&self.t, 0, sizeof(Tr))
        self.owner = owner
        self.t.e = <Engine*>handle

    def __dealloc__(self):
        free(self.t.out)
        free(self.t.received)
        free(self.t.run)

    cdef int check(self) except -1:
        if self.t.no_memory:
            raise MemoryError("no memory for the translated frames")
        if self.t.stopped:
            raise RuntimeError("the engine beside the translation has stopped")
        return 0

    def lobster(self, messages, book, int64_t levels) -> None:
        """Translate rows of a day, in order over all calls.

        `messages` is int64 (n, 6): ts_ns, type, order_id, qty, px, direction; `book` int64 (n, 4 * levels), the
        snapshot behind each message. The first row of all seeds the book.
        """
        cdef const int64_t* m = <const int64_t*><uintptr_t>messages.ctypes.data
        cdef const int64_t* row = <const int64_t*><uintptr_t>book.ctypes.data
        cdef int64_t n = len(messages)
        cdef int64_t k
        cdef int64_t width = 4 * levels
        cdef const int64_t* before = <const int64_t*><uintptr_t>self.last_row
        if messages.shape[1] != 6 or book.shape[0] != n or book.shape[1] != width or not (
            messages.flags.c_contiguous and book.flags.c_contiguous
        ):
            raise ValueError("messages (n, 6) and book (n, 4 * levels) of int64 are needed")
        if n == 0:
            return
        with nogil:
            for k in range(n):
                if not self.t.seeded:
                    self.t.seeded = 1
                    self.t.ts_ns = m[0]
                    fit(&self.t, row, levels)
                else:
                    lobster_row(&self.t, m + 6 * k, before, row + width * k, levels)
                before = row + width * k
                if self.t.no_memory or self.t.stopped:
                    break
        self.kept = book
        self.last_row = <uintptr_t>(row + width * (n - 1))
        self.check()

    cdef object kept
    cdef uintptr_t last_row

    def lobster_end(self, int64_t levels) -> None:
        """Write the executions that the last rows may have left."""
        if self.t.n_run:
            finish_run(&self.t, 0)
            fit(&self.t, <const int64_t*>self.last_row, levels)
        self.check()

    def itch(self, data, starts, instrument_of) -> None:
        """Translate ITCH 5.0 messages.

        `data` uint8 array, `starts` int64: where each message's type letter is, `instrument_of` int32 (65536,): the
        instrument of each locate code, -1 to leave it out.
        """
        cdef const uint8_t* p = <const uint8_t*><uintptr_t>data.ctypes.data
        cdef const int64_t* at = <const int64_t*><uintptr_t>starts.ctypes.data
        cdef const int32_t* instrument = <const int32_t*><uintptr_t>instrument_of.ctypes.data
        cdef int64_t n = len(starts)
        cdef int64_t k
        with nogil:
            for k in range(n):
                itch_message(&self.t, p + at[k], instrument)
                if self.t.no_memory or self.t.stopped:
                    break
        self.check()

    def mbo(self, records, instruments, int64_t divisor) -> int:
        """Translate DBN market-by-order records (56 bytes each); the number of those translated.

        `instruments` int32 (n,): the instrument of each record, -1 to leave it out. Fewer than n: the next one has a
        price that is no multiple of `divisor`, or an order id or price out of range.
        """
        cdef const Mbo* r = <const Mbo*><uintptr_t>records.ctypes.data
        cdef const int32_t* instrument = <const int32_t*><uintptr_t>instruments.ctypes.data
        cdef int64_t n = len(instruments)
        cdef int64_t k = 0
        with nogil:
            for k in range(n):
                if instrument[k] >= 0:
                    if mbo_record(&self.t, r + k, <uint32_t>instrument[k], divisor) != 0:
                        break
                    if r[k].flags & 128:  # the last record of what happened at once
                        self.t.n_announced = 0
                if self.t.no_memory or self.t.stopped:
                    break
            else:
                k = n
        self.check()
        return k

    @property
    def pending(self) -> int:
        """Frames written and not yet taken."""
        return self.t.n

    def take_received(self) -> bytearray:
        """Return when each frame written since the last `take` was received, int64; call it before that."""
        if not self.t.n:
            return bytearray()
        return bytearray((<char*>self.t.received)[: self.t.n * sizeof(int64_t)])

    def take(self) -> bytearray:
        """Return the frames written since the last call."""
        out = bytearray((<char*>self.t.out)[: self.t.n * sizeof(tc_command)]) if self.t.n else bytearray()
        self.t.n = 0
        return out

    def counters(self) -> dict:
        """How the recording agreed with price-time priority."""
        cdef Tr* t = &self.t
        return {
            "executions": t.executions, "in_priority": t.in_priority, "hidden": t.hidden, "unknown": t.unknown,
            "adopted": t.adopted, "corrected": t.corrected, "crossing": t.crossing, "clamped": t.clamped,
        }


def scan_lengths(data, Py_ssize_t size, bytes length_of_type):
    """Find the messages of a stream with 2-byte lengths; (offsets of the type letters as bytes of int64, bytes used).

    Stops in front of the first message that is incomplete or whose length is not that of its type. O(messages).
    """
    cdef Py_buffer view
    cdef const uint8_t* p
    cdef const uint8_t* lengths = length_of_type
    cdef int64_t* starts = NULL
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t n = 0
    cdef Py_ssize_t length
    if len(length_of_type) != 256:
        raise ValueError("length_of_type has 256 entries")
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if size > view.len:
            raise ValueError("size is beyond the data")
        p = <const uint8_t*>view.buf
        # The shortest message has 12 bytes and 2 of length.
        starts = <int64_t*>realloc(NULL, (size // 14 + 1) * sizeof(int64_t))
        if starts == NULL:
            raise MemoryError("no memory to find messages")
        with nogil:
            while at + 2 < size:
                length = p[at] << 8 | p[at + 1]
                if length < 12 or length != lengths[p[at + 2]] or at + 2 + length > size:
                    break
                starts[n] = at + 2
                n += 1
                at += 2 + length
        return (<char*>starts)[: n * sizeof(int64_t)], at
    finally:
        free(starts)
        PyBuffer_Release(&view)
