"""The pump: frames in, events out, one call for a whole batch.

Owner of: section 1 of docs/reference/semantics.md (frame check, time, order of steps).  Fetching ahead is ahead.pxd's,
for small batches atonce.pxd's; where the state fits the second-level cache it costs a little and brings nothing, so it
is switched on by size.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.accounts_admin cimport accounts_command
from tradecore_ext.ahead cimport AHEAD, BLOCK, BLOCKS, LINES_AHEAD, Ahead, early, late, look_ahead
from tradecore_ext.atonce cimport look_at_once
from tradecore_ext.cancel cimport cancel_order, mass_cancel
from tradecore_ext.emit cimport emit_done, emit_refused, emit_reject
from tradecore_ext.fills cimport note_print
from tradecore_ext.framecheck cimport check_frame
from tradecore_ext.ids cimport id_line, id_tag
from tradecore_ext.instrument cimport define_instrument
from tradecore_ext.intake cimport SI_PHASE, SI_UNKNOWN_ACCOUNT, SI_UNKNOWN_INSTRUMENT, new_order
from tradecore_ext.liquidation cimport liquidation_step
from tradecore_ext.mathx cimport likely, prefetch, unlikely
from tradecore_ext.margin cimport margin_mark
from tradecore_ext.newlist cimport new_list
from tradecore_ext.phase cimport after_all, after_book, fire_timers, set_phase, uncross_command
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

# What stays out of line: gcc inlines what is called from one place or is small, and a rare function inside a hot one
# costs the hot one its registers (six saved and restored around every event). And what must be inlined: what nearly
# every command passes, and what a constant among its arguments decides. These declarations only add an attribute
# to the functions that Cython defines; gcc passes over a name that is not there.
cdef extern from *:
    """
    #include "tc_frame.h"
    #pragma GCC diagnostic ignored "-Wattributes" /* inline by Cython's template, out of line by our wish */
    #define TC_COLD __attribute__((cold, noinline)) static
    struct __pyx_t_13tradecore_ext_5state_Engine;
    struct __pyx_t_13tradecore_ext_5state_Ladder;
    struct __pyx_t_13tradecore_ext_5state_IdTable;
    struct __pyx_t_13tradecore_ext_5state_IdLine;
    TC_COLD int __pyx_f_13tradecore_ext_4emit_grow_events(struct __pyx_t_13tradecore_ext_5state_Engine *);
    TC_COLD void __pyx_f_13tradecore_ext_3ids_id_grow(struct __pyx_t_13tradecore_ext_5state_IdTable *);
    TC_COLD void __pyx_f_13tradecore_ext_3ids_fill_hole(
        struct __pyx_t_13tradecore_ext_5state_IdTable *, struct __pyx_t_13tradecore_ext_5state_IdLine *, uint32_t);
    TC_COLD void __pyx_f_13tradecore_ext_5pages_window_move(
        struct __pyx_t_13tradecore_ext_5state_Engine *, struct __pyx_t_13tradecore_ext_5state_Ladder *, int64_t);
    TC_COLD void __pyx_f_13tradecore_ext_8pagetree_far_unlink(
        struct __pyx_t_13tradecore_ext_5state_Engine *, struct __pyx_t_13tradecore_ext_5state_Ladder *, uint32_t);
    TC_COLD void __pyx_f_13tradecore_ext_5phase_fire_timers(struct __pyx_t_13tradecore_ext_5state_Engine *);
    TC_COLD tc_i128 __pyx_f_13tradecore_ext_4sums_wide_notional(int64_t, int64_t, int64_t);
    #define TC_HERE __attribute__((always_inline)) static inline
    struct __pyx_t_13tradecore_ext_5state_Order;
    TC_HERE void __pyx_f_13tradecore_ext_4emit_emit_order_here(
        struct __pyx_t_13tradecore_ext_5state_Engine *, uint8_t, uint16_t,
        struct __pyx_t_13tradecore_ext_5state_Order const *, int64_t);
    TC_HERE void __pyx_f_13tradecore_ext_6ladder_level_append(
        struct __pyx_t_13tradecore_ext_5state_Engine *, struct __pyx_t_13tradecore_ext_5state_Ladder *, uint32_t,
        uint32_t);
    TC_HERE void __pyx_f_13tradecore_ext_6ladder_level_unlink(
        struct __pyx_t_13tradecore_ext_5state_Engine *, struct __pyx_t_13tradecore_ext_5state_Ladder *, uint32_t, int);
    TC_HERE uint32_t __pyx_f_13tradecore_ext_6ladder_ladder_get(
        struct __pyx_t_13tradecore_ext_5state_Engine *, struct __pyx_t_13tradecore_ext_5state_Ladder *, int64_t,
        int64_t);
    TC_HERE int __pyx_f_13tradecore_ext_5plain_plain_new(
        struct __pyx_t_13tradecore_ext_5state_Engine *, tc_command const *, uint32_t, uint32_t, int);
    struct __pyx_t_13tradecore_ext_5state_Book;
    TC_HERE tc_i128 __pyx_f_13tradecore_ext_5holds_spot_need(
        struct __pyx_t_13tradecore_ext_5state_Book const *, uint8_t, int64_t, int64_t, int, int64_t, uint32_t);
    struct __pyx_t_13tradecore_ext_5ahead_Ahead;
    TC_HERE void __pyx_f_13tradecore_ext_5ahead_look_ahead(
        struct __pyx_t_13tradecore_ext_5state_Engine *, tc_command const *, uint64_t, uint32_t, uint64_t,
        struct __pyx_t_13tradecore_ext_5ahead_Ahead *, int);
    TC_HERE void __pyx_f_13tradecore_ext_5ahead_early(
        struct __pyx_t_13tradecore_ext_5state_Engine *, tc_command const *, uint64_t, uint32_t, uint64_t,
        struct __pyx_t_13tradecore_ext_5ahead_Ahead *, int);
    TC_HERE void __pyx_f_13tradecore_ext_5ahead_late(
        struct __pyx_t_13tradecore_ext_5state_Engine *, tc_command const *, uint32_t,
        struct __pyx_t_13tradecore_ext_5ahead_Ahead *, int, uint32_t);
    TC_HERE int __pyx_f_13tradecore_ext_8dispatch_far_one(
        struct __pyx_t_13tradecore_ext_5state_Engine *, tc_command const *, uint64_t, uint32_t, uint64_t,
        struct __pyx_t_13tradecore_ext_5ahead_Ahead *, int, int);
    #define TC_APART __attribute__((noinline)) static
    TC_APART uint32_t __pyx_f_13tradecore_ext_5pages_page_make(
        struct __pyx_t_13tradecore_ext_5state_Engine *, struct __pyx_t_13tradecore_ext_5state_Ladder *, int64_t);
    struct __pyx_t_13tradecore_ext_5state_Book;
    TC_APART int __pyx_f_13tradecore_ext_5plain_passes_range(
        struct __pyx_t_13tradecore_ext_5state_Book const *, int64_t, int64_t);
    struct __pyx_t_13tradecore_ext_6limits_Ask;
    struct __pyx_t_13tradecore_ext_5state_Position;
    TC_APART uint16_t __pyx_f_13tradecore_ext_6limits_limits_check(
        struct __pyx_t_13tradecore_ext_5state_Engine *, struct __pyx_t_13tradecore_ext_6limits_Ask const *,
        struct __pyx_t_13tradecore_ext_5state_Position const *, int64_t *, int64_t *, uint8_t *);
    struct __pyx_t_13tradecore_ext_4spot_SpotHold;
    struct __pyx_t_13tradecore_ext_4risk_RiskResult;
    TC_APART void __pyx_f_13tradecore_ext_4held_risk_release(
        struct __pyx_t_13tradecore_ext_5state_Engine *, uint32_t, int64_t);
    TC_APART int __pyx_f_13tradecore_ext_4spot_spot_check(
        struct __pyx_t_13tradecore_ext_5state_Engine *, struct __pyx_t_13tradecore_ext_5state_Book *,
        tc_command const *, uint32_t, struct __pyx_t_13tradecore_ext_4spot_SpotHold *);
    TC_APART void __pyx_f_13tradecore_ext_4spot_spot_accept(
        struct __pyx_t_13tradecore_ext_5state_Engine *, uint32_t, int64_t,
        struct __pyx_t_13tradecore_ext_4spot_SpotHold const *);
    TC_APART void __pyx_f_13tradecore_ext_6revise_risk_replace(
        struct __pyx_t_13tradecore_ext_5state_Engine *, uint32_t, int64_t, int64_t,
        struct __pyx_t_13tradecore_ext_4risk_RiskResult const *);
    TC_APART uint16_t __pyx_f_13tradecore_ext_6revise_risk_check_replace(
        struct __pyx_t_13tradecore_ext_5state_Engine *, uint32_t, int64_t, int64_t,
        struct __pyx_t_13tradecore_ext_4risk_RiskResult *);
    """
    pass

cdef enum:
    SD_BAD_FIELD = 103
    SD_EPOCH_UNKNOWN = 105
    SD_FENCED = 901
    MAX_EPOCH = 1          # newest semantics this build knows
    HASH_AHEAD = 8         # frames between the hash of an id and its use
    TAGS = 16
    FETCH_FROM = 20000     # live orders or positions from which on it pays to look ahead, accounts on
    FETCH_FROM_BARE = 40000  # live orders, accounts off: there is less to wait for, and it costs the same

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


cdef inline void tick(Engine* e, const tc_command* c) noexcept nogil:
    """Log time moves on, and timers that are due by then fire first."""
    if c.ts_ns > e.now:
        e.now = c.ts_ns
        if unlikely(e.n_timers and e.timer[0].deadline <= e.now):
            fire_timers(e)


cdef inline void run_any(Engine* e, const tc_command* c, uint64_t room, uint32_t tag) noexcept nogil:
    """One command whose frames have been counted: check, time, timers, execution."""
    cdef uint16_t kind = c.kind
    cdef uint16_t status = check_frame(c, room)
    if unlikely(status != 0):
        bad_frame(e, c, status)
        return
    tick(e, c)
    if kind == TC_CMD_NEW_ORDER:
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


cdef inline void run_command(
    Engine* e, const tc_command* c, uint64_t room, uint32_t tag, uint32_t hint, bint accounts
) noexcept nogil:
    """The plain kinds straight through, everything else the general way. Each plain kind is looked at once, so
    that the one branch nobody can predict is taken once."""
    if is_plain_new(c):
        tick(e, c)
        if not plain_new(e, c, tag, hint, accounts):
            new_order(e, c, NULL, tag)
    elif is_plain_cancel(c):
        tick(e, c)
        if not plain_cancel(e, c, tag, hint, accounts):
            cancel_order(e, c, tag)
    elif is_plain_replace(c):
        tick(e, c)
        if not plain_replace(e, c, tag, hint, accounts):
            replace_order(e, c, NULL, tag)
    else:
        run_any(e, c, room, tag)


# ---- a batch ------------------------------------------------------------------------------------------------


cdef inline void hash_id(const Engine* e, const tc_command* c, uint64_t i, uint32_t* tags) noexcept nogil:
    """Hash the id of frame i and ask for its line of the table; ask for a frame much further on."""
    cdef uint32_t tag = id_tag(&e.ids, c[i].order_id)
    prefetch(c + i + LINES_AHEAD)
    prefetch(id_line(&e.ids, tag))
    tags[i & (TAGS - 1)] = tag


cdef inline uint64_t run_near(Engine* e, const tc_command* c, uint64_t n, bint accounts) noexcept nogil:
    """A batch on a state that fits the second-level cache: only the lines of the ids are fetched ahead."""
    cdef uint64_t i = 0
    cdef uint64_t hashed = 0
    cdef uint64_t want
    cdef uint32_t tags[16]
    while i < n:
        # At the start, and after frames that were skipped.
        want = i + HASH_AHEAD if i + HASH_AHEAD < n else n
        while hashed < want:
            hash_id(e, c, hashed, tags)
            hashed += 1
        # One hash a command, until frames are skipped or there are no more to hash.
        while hashed < n and hashed == i + HASH_AHEAD:
            hash_id(e, c, hashed, tags)
            hashed += 1
            e.in_seq += 1
            run_command(e, c + i, n - i, tags[i & (TAGS - 1)], NIL, accounts)
            i += 1 + <uint64_t>c[i].cont
            if unlikely(e.fault != 0):
                return i if i < n else n
        if i < n and i < hashed:
            e.in_seq += 1
            run_command(e, c + i, n - i, tags[i & (TAGS - 1)], NIL, accounts)
            i += 1 + <uint64_t>c[i].cont
            if unlikely(e.fault != 0):
                break
    return i if i < n else n


cdef inline bint worth_fetching(const Engine* e, uint64_t n) noexcept nogil:
    """Whether the state is larger than the caches near the core."""
    if e.prefetch == 0:
        return False
    if e.prefetch == 1:
        return True
    if e.accounts:
        return e.live > FETCH_FROM or e.n_positions > FETCH_FROM
    return e.live > FETCH_FROM_BARE


cdef inline bint far_one(
    Engine* e, const tc_command* c, uint64_t block, uint32_t k, uint64_t n, Ahead* ring, bint accounts, bint whole
) noexcept nogil:
    """Frame k of a block, and the part k of what is done for the blocks behind it. True when the engine has stopped."""
    cdef const Ahead* a = ring + (block & (BLOCKS - 1))
    cdef uint64_t i = block * BLOCK + k
    if whole:
        early(e, c, block + 2, k, n, ring + ((block + 2) & (BLOCKS - 1)), accounts)
        late(e, c + (block + 1) * BLOCK, k, ring + ((block + 1) & (BLOCKS - 1)), accounts, BLOCK)
    else:
        look_ahead(e, c, block + 2, k, n, ring, accounts)
    e.in_seq += 1
    run_command(e, c + i, n - i, a.tag[k], a.found[k], accounts)
    return e.fault != 0


cdef inline uint64_t far_block(
    Engine* e, const tc_command* c, uint64_t block, uint64_t n, Ahead* ring, bint accounts, bint whole
) noexcept nogil:
    """A whole block of single frames; returns how many ran. Written out, so that every part of the timetable is at a
    place of its own: asked for in a loop, the part is one more branch that nobody can predict between the others.
    `whole`: the next two blocks are whole too."""
    if far_one(e, c, block, 0, n, ring, accounts, whole):
        return 1
    if far_one(e, c, block, 1, n, ring, accounts, whole):
        return 2
    if far_one(e, c, block, 2, n, ring, accounts, whole):
        return 3
    if far_one(e, c, block, 3, n, ring, accounts, whole):
        return 4
    if far_one(e, c, block, 4, n, ring, accounts, whole):
        return 5
    if far_one(e, c, block, 5, n, ring, accounts, whole):
        return 6
    if far_one(e, c, block, 6, n, ring, accounts, whole):
        return 7
    far_one(e, c, block, 7, n, ring, accounts, whole)
    return 8


cdef inline uint64_t run_far(Engine* e, const tc_command* c, uint64_t n, bint accounts) noexcept nogil:
    """A batch on a state larger than the caches near the core."""
    cdef uint64_t i = 0
    cdef uint64_t step = 0  # of the timetable: frame i runs after step i + ahead
    cdef uint64_t ahead = AHEAD
    cdef uint64_t block
    cdef uint32_t k
    cdef Ahead ring[4]
    cdef const Ahead* a
    if n < AHEAD:
        look_at_once(e, c, n, ring, accounts)
        ahead = 0
        step = n
    while i < n:
        block = i // BLOCK
        k = i & (BLOCK - 1)
        if k == 0 and step == i + AHEAD and i + BLOCK <= n and not ring[block & (BLOCKS - 1)].cont:
            if likely((block + 3) * BLOCK <= n):
                i += far_block(e, c, block, n, ring, accounts, True)
            else:
                i += far_block(e, c, block, n, ring, accounts, False)
            step += BLOCK
        else:
            # One frame: at the start, at the end, and where commands of several frames stand. Catching up first,
            # because those frames were skipped.
            while step <= i + ahead:
                look_ahead(e, c, step // BLOCK, step & (BLOCK - 1), n, ring, accounts)
                step += 1
            a = ring + (block & (BLOCKS - 1))
            e.in_seq += 1
            run_command(e, c + i, n - i, a.tag[k], a.found[k], accounts)
            i += 1 + <uint64_t>c[i].cont
        if unlikely(e.fault != 0):
            break
    return i if i < n else n


cdef inline uint64_t run_batch(Engine* e, const tc_command* c, uint64_t n) noexcept nogil:
    """Run n frames; returns the frames consumed (all, unless a fault stops the engine)."""
    e.n_out = 0
    if e.accounts:
        return run_far(e, c, n, True) if worth_fetching(e, n) else run_near(e, c, n, True)
    return run_far(e, c, n, False) if worth_fetching(e, n) else run_near(e, c, n, False)
