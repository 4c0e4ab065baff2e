"""The pump: frames in, events out, one call for a whole batch.

Owner of: section 1 of docs/reference/semantics.md (frame check, time, order of steps).  Fetching ahead is ahead.pxd's;
where the state fits the second-level cache it costs a little and brings nothing, so it is switched on by size.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.accounts_admin cimport accounts_command
from tradecore_ext.ahead cimport (
    AHEAD_BUCKET,
    AHEAD_LEVEL,
    AHEAD_LINE,
    AHEAD_NEAR,
    AHEAD_ORDER,
    RING,
    Ahead,
    look_ahead,
    stage_bucket,
    stage_level,
    stage_near,
    stage_order,
)
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
from tradecore_ext.liquidation cimport liquidation_step
from tradecore_ext.mathx cimport likely, prefetch, unlikely
from tradecore_ext.margin cimport margin_mark
from tradecore_ext.phase cimport after_all, after_book, fire_timers, set_phase, uncross_command
from tradecore_ext.book cimport note_print
from tradecore_ext.plain cimport (
    is_plain_cancel,
    is_plain_new,
    is_plain_replace,
    plain_cancel,
    plain_new,
    plain_replace,
)
from tradecore_ext.replace cimport replace_order
from tradecore_ext.state cimport NIL, Book, Engine, Order
from tradecore_ext.stopbook cimport trailing_print
from tradecore_ext.types cimport *

cdef enum:
    SD_BAD_FIELD = 103
    SD_EPOCH_UNKNOWN = 105
    SD_FENCED = 901
    MAX_EPOCH = 1          # newest semantics this build knows
    AHEAD_TAG = 8
    AHEAD_NAMED = 4
    TAGS = 16
    PREFETCH_FROM = 20000  # live orders or positions that no longer fit the second-level cache

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
    cdef uint16_t kind = c.kind
    cdef uint16_t status
    cdef bint plain
    if kind == TC_CMD_NEW_ORDER:
        plain = is_plain_new(c)
    elif kind == TC_CMD_CANCEL_ORDER:
        plain = is_plain_cancel(c)
    else:
        plain = is_plain_replace(c)
    if not plain:
        status = check_frame(c, room)
        if unlikely(status != 0):
            bad_frame(e, c, status)
            return
    if c.ts_ns > e.now:
        e.now = c.ts_ns
        if unlikely(e.n_timers and e.timer[0].deadline <= e.now):
            fire_timers(e)
    if likely(plain and not e.accounts):
        if kind == TC_CMD_NEW_ORDER:
            if plain_new(e, c, tag):
                return
        elif plain_cancel(e, c, tag) if kind == TC_CMD_CANCEL_ORDER else plain_replace(e, c, tag):
            return
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
        if kind == TC_CMD_KILL_SWITCH:
            after_all(e)  # it cancels anywhere; the other kinds touch no book
        else:
            liquidation_step(e)
    else:
        emit_refused(e, SI_UNKNOWN_ACCOUNT, kind, c.account_id, c.instrument_id, 0, 0)


cdef inline void fetch_tag(const Engine* e, const tc_command* c, uint32_t* tag) noexcept nogil:
    """The least of fetching ahead, cheap enough to be always on: hash the id, ask for its bucket."""
    tag[0] = id_tag(&e.ids, c.order_id)
    prefetch(e.ids.entry + (tag[0] >> e.ids.shift))


cdef inline void fetch_named(const Engine* e, const tc_command* c, uint32_t tag) noexcept nogil:
    """The bucket is here: ask for the order it names first. A new order's bucket is empty."""
    cdef uint32_t slot
    if c.kind != TC_CMD_NEW_ORDER:
        slot = <uint32_t>e.ids.entry[tag >> e.ids.shift] - 1
        if slot != NIL:
            prefetch(e.order + slot)


cdef inline bint worth_fetching(const Engine* e, uint64_t n) noexcept nogil:
    """Whether the state is larger than the caches near the core, and the batch long enough to look ahead."""
    if n < 32 or e.prefetch == 0:
        return False
    return e.prefetch == 1 or e.live > PREFETCH_FROM or e.n_positions > PREFETCH_FROM


cdef inline uint64_t run_batch(Engine* e, const tc_command* c, uint64_t n) noexcept nogil:
    """Run n frames; returns the frames consumed (all, unless a fault stops the engine)."""
    cdef uint64_t i = 0
    cdef uint64_t k
    cdef uint64_t ahead = 0
    cdef Ahead ring[64]
    cdef uint32_t tags[16]
    cdef uint32_t tag
    cdef bint fetch = worth_fetching(e, n)
    e.n_out = 0
    if fetch:
        for k in range(<uint64_t>AHEAD_BUCKET):
            stage_bucket(e, c + k, ring + k)
        for k in range(<uint64_t>AHEAD_ORDER):
            stage_order(e, c + k, ring + k)
        for k in range(<uint64_t>AHEAD_NEAR):
            stage_near(e, c + k, ring + k)
        for k in range(<uint64_t>AHEAD_LEVEL):
            stage_level(e, c + k, ring + k)
    else:
        for k in range(n if n < AHEAD_TAG else <uint64_t>AHEAD_TAG):
            fetch_tag(e, c + k, tags + k)
    while i < n:
        if fetch:
            while ahead <= i:
                look_ahead(e, c, ahead, n, ring)
                ahead += 1
            tag = ring[i & (RING - 1)].tag
        else:
            while ahead <= i:
                prefetch(c + (ahead + AHEAD_LINE if ahead + AHEAD_LINE < n else i))
                if ahead + AHEAD_TAG < n:
                    fetch_tag(e, c + ahead + AHEAD_TAG, tags + ((ahead + AHEAD_TAG) & (TAGS - 1)))
                    fetch_named(e, c + ahead + AHEAD_NAMED, tags[(ahead + AHEAD_NAMED) & (TAGS - 1)])
                ahead += 1
            # Only now: a bad frame may skip more commands than were hashed ahead.
            tag = tags[i & (TAGS - 1)]
        e.in_seq += 1
        run_command(e, c + i, n - i, tag)
        i += 1 + <uint64_t>c[i].cont
        if unlikely(e.fault != 0):
            break
    return i if i < n else n
