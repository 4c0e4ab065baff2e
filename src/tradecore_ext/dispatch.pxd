"""The pump: frames in, events out, one call for a whole batch.

Owner of: section 1 of docs/reference/semantics.md (frame check, time, order of steps) and the prefetching.
While command i executes, the id bucket of command i+16 and the order of command i+8 are fetched, and the
lines around that order at i+4; where the state fits the second-level cache this costs a little and brings
nothing, so it is switched on by size.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.accounts_admin cimport accounts_command
from tradecore_ext.arena cimport id_tag
from tradecore_ext.emit cimport emit_done, emit_refused, emit_reject
from tradecore_ext.framecheck cimport check_frame
from tradecore_ext.instrument cimport define_instrument
from tradecore_ext.intake cimport (
    SI_PHASE,
    SI_UNKNOWN_ACCOUNT,
    SI_UNKNOWN_INSTRUMENT,
    cancel_order,
    mass_cancel,
    new_list,
    new_order,
)
from tradecore_ext.ledger cimport ledger_prefetch
from tradecore_ext.mathx cimport likely, prefetch, unlikely
from tradecore_ext.margin cimport margin_mark
from tradecore_ext.phase cimport after_all, after_book, fire_timers, set_phase, uncross_command
from tradecore_ext.book cimport note_print
from tradecore_ext.replace cimport replace_order
from tradecore_ext.state cimport NIL, Book, Engine, Order
from tradecore_ext.stopbook cimport trailing_print
from tradecore_ext.types cimport *

cdef enum:
    SD_BAD_FIELD = 103
    SD_EPOCH_UNKNOWN = 105
    SD_FENCED = 901
    MAX_EPOCH = 1          # newest semantics this build knows
    AHEAD_BUCKET = 16
    AHEAD_ORDER = 8
    AHEAD_NEAR = 4
    PREFETCH_FROM = 20000  # live orders from which the state no longer fits the second-level cache

cdef inline void bad_frame(Engine* e, const tc_command* c, uint16_t status) noexcept nogil:
    """A frame that cannot be read: said with the ids as sent, where the kind has them."""
    cdef uint64_t order_id = 0
    cdef uint8_t side = 0
    if 1 <= c.kind <= TC_CMD_NEW_ORDER_LIST:
        order_id = c.order_id  # a list's id stands at the same place
    if 1 <= c.kind <= TC_CMD_REPLACE_ORDER or c.kind == TC_CMD_MASS_CANCEL:
        side = c.side
    emit_reject(e, TC_EVT_REJECTED, status, c.kind, order_id, c.account_id, c.instrument_id, side, 0, 0, 0)


cdef inline Book* book_at(Engine* e, uint32_t instrument_id) noexcept nogil:
    if instrument_id >= e.max_instruments or not e.book[instrument_id].exists:
        return NULL
    return e.book + instrument_id


cdef inline void market_command(Engine* e, const tc_admin* a) noexcept nogil:
    """SET_PHASE, UNCROSS, MARK_PRICE, LAST_PRICE, MASS_CANCEL, EPOCH."""
    cdef Book* b = NULL
    cdef uint16_t kind = a.kind
    cdef uint16_t status = 0
    if kind == TC_CMD_EPOCH:
        if a.epoch < e.epoch:
            emit_refused(e, SD_BAD_FIELD, kind, 0, 0, 0, 0)
        elif a.epoch > MAX_EPOCH:
            emit_refused(e, SD_EPOCH_UNKNOWN, kind, 0, 0, a.epoch, MAX_EPOCH)
            e.fault = SD_FENCED
        else:
            e.epoch = a.epoch
            emit_done(e, kind, 0, 0)
        return
    if not (kind == TC_CMD_MASS_CANCEL and a.instrument_id == TC_ANY):
        b = book_at(e, a.instrument_id)
        if b == NULL:
            status = SI_UNKNOWN_INSTRUMENT
    if status == 0 and kind == TC_CMD_MASS_CANCEL and e.accounts and a.account_id != TC_ANY:
        if a.account_id >= e.max_accounts or not e.account[a.account_id].exists:
            status = SI_UNKNOWN_ACCOUNT
    if status == 0 and kind == TC_CMD_UNCROSS and b.phase != TC_PHASE_AUCTION:
        emit_refused(e, SI_PHASE, kind, a.account_id, a.instrument_id, b.phase, 0)
        return
    if status:
        emit_reject(e, TC_EVT_REJECTED, status, kind, 0, a.account_id, a.instrument_id, a.side, 0, 0, 0)
        return
    if kind == TC_CMD_MASS_CANCEL:
        mass_cancel(e, a)
    elif kind == TC_CMD_SET_PHASE:
        set_phase(e, a.instrument_id, a.phase, a.ref_px)
    elif kind == TC_CMD_UNCROSS:
        uncross_command(e, a.instrument_id, a.phase if a.phase else TC_PHASE_CONTINUOUS, a.ref_px)
    elif kind == TC_CMD_LAST_PRICE:
        note_print(e, b, a.mark_px)
        after_book(e, b)
    else:
        b.mark_px = a.mark_px
        b.mark_ts_ns = e.now
        if b.spec.trigger == TC_TRIGGER_MARK:
            if a.mark_px < b.lo_px:
                b.lo_px = a.mark_px
            if a.mark_px > b.hi_px:
                b.hi_px = a.mark_px
            if b.n_trailing:
                trailing_print(e, b, a.mark_px)
        if e.accounts:
            margin_mark(e, a.instrument_id)
        after_book(e, b)


cdef inline void run_command(Engine* e, const tc_command* c, uint64_t room, uint32_t tag) noexcept nogil:
    """One command whose frames have been counted: check, time, timers, execution."""
    cdef uint16_t status = check_frame(c, room)
    cdef uint16_t kind = c.kind
    if unlikely(status != 0):
        bad_frame(e, c, status)
        return
    if c.ts_ns > e.now:
        e.now = c.ts_ns
        if unlikely(e.n_timers and e.timer[0].deadline <= e.now):
            fire_timers(e)
    if likely(kind == TC_CMD_NEW_ORDER):
        new_order(e, c, <const tc_terms*>(c + 1) if c.cont else NULL, tag)
    elif kind == TC_CMD_CANCEL_ORDER:
        cancel_order(e, c, tag)
    elif kind == TC_CMD_REPLACE_ORDER:
        replace_order(e, c, <const tc_terms*>(c + 1) if c.cont else NULL, tag)
    elif kind == TC_CMD_NEW_ORDER_LIST:
        new_list(e, <const tc_list*>c)
    elif kind == TC_CMD_TIME:
        return
    elif kind == TC_CMD_INSTRUMENT:
        define_instrument(e, <const tc_instrument*>c)
    elif kind <= TC_CMD_LAST_PRICE or kind == TC_CMD_EPOCH:
        market_command(e, <const tc_admin*>c)
    elif e.accounts:
        accounts_command(e, c)
        after_all(e)
    else:
        emit_refused(e, SI_UNKNOWN_ACCOUNT, kind, c.account_id, c.instrument_id, 0, 0)


cdef inline void fetch_order(Engine* e, const tc_command* c, uint32_t tag, uint32_t* slot) noexcept nogil:
    """Second stage: the bucket is here, so fetch the order it names, and the book."""
    cdef uint64_t i = tag >> e.ids.shift
    cdef uint64_t x = e.ids.entry[i]
    slot[0] = NIL
    if x != 0 and <uint32_t>(x >> 32) != tag:
        x = e.ids.entry[(i + 1) & e.ids.mask]
    if x != 0 and <uint32_t>(x >> 32) == tag:
        slot[0] = <uint32_t>x - 1
        prefetch(e.order + slot[0])
        if e.accounts:
            prefetch(e.money + slot[0])
    if c.instrument_id < e.max_instruments:
        prefetch(e.book + c.instrument_id)
        prefetch(&e.book[c.instrument_id].ladder[0])
        prefetch(&e.book[c.instrument_id].ladder[1])


cdef inline void fetch_near(Engine* e, const tc_command* c, uint32_t slot) noexcept nogil:
    """Third stage: the order is here, so fetch its level and its neighbours in the queue."""
    cdef const Order* o
    cdef Book* b
    cdef int64_t rank
    cdef uint32_t pg
    if slot != NIL:
        o = e.order + slot
        if o.level < e.max_levels:
            prefetch(e.level + o.level)
        if o.next < e.max_orders:
            prefetch(e.order + o.next)
        if o.prev < e.max_orders:
            prefetch(e.order + o.prev)
    elif c.kind == TC_CMD_NEW_ORDER and c.instrument_id < e.max_instruments:
        b = e.book + c.instrument_id
        if b.exists and (c.side == 1 or c.side == 2):
            rank = -c.px if c.side == 1 else c.px
            pg = b.ladder[c.side - 1].cache[(rank >> 6) & 31]
            if pg != NIL:
                prefetch(&e.page[pg])
                prefetch(&e.page[pg].level[rank & 63])


cdef inline uint64_t run_batch(Engine* e, const tc_command* c, uint64_t n) noexcept nogil:
    """Run n frames; returns the frames consumed (all, unless a fault stops the engine)."""
    cdef uint64_t i = 0
    cdef uint64_t k, j
    cdef uint64_t ahead = 0
    cdef uint32_t tags[32]
    cdef uint32_t slots[32]
    cdef uint32_t tag
    cdef bint fetch = n >= 32 and (e.prefetch == 1 or (e.prefetch == 2 and e.live > PREFETCH_FROM))
    e.n_out = 0
    if fetch:
        for k in range(<uint64_t>AHEAD_BUCKET):
            tags[k] = id_tag(&e.ids, c[k].order_id)
            prefetch(e.ids.entry + (tags[k] >> e.ids.shift))
            slots[k] = NIL
    while i < n:
        if fetch:
            # Frames are looked at by position: a continuation frame only fetches a line in vain.
            while ahead <= i:
                j = ahead + AHEAD_BUCKET
                if j < n:
                    tag = id_tag(&e.ids, c[j].order_id)
                    tags[j & 31] = tag
                    slots[j & 31] = NIL
                    prefetch(e.ids.entry + (tag >> e.ids.shift))
                j = ahead + AHEAD_ORDER
                if j < n:
                    fetch_order(e, c + j, tags[j & 31], &slots[j & 31])
                    if e.accounts:
                        ledger_prefetch(e, c[j].account_id, c[j].instrument_id, 0)
                j = ahead + AHEAD_NEAR
                if j < n:
                    fetch_near(e, c + j, slots[j & 31])
                    if e.accounts:
                        ledger_prefetch(e, c[j].account_id, c[j].instrument_id, 1)
                ahead += 1
            tag = tags[i & 31]
        else:
            tag = id_tag(&e.ids, c[i].order_id)
        e.in_seq += 1
        run_command(e, c + i, n - i, tag)
        i += 1 + <uint64_t>c[i].cont
        if unlikely(e.fault != 0):
            break
    return i if i < n else n
