"""The plain case, straight through: limit orders, cancels and replaces of them, without terms and flags.

Owner of: speed only, no rule.  `accounts` is Engine.accounts as a constant: gcc makes one copy of each function with
accounts and one without.  Nine commands of ten in a busy market are these; here they run without the
questions that only rare terms need.  Everything that is not plain returns False untouched and takes the general way
(intake.pxd, book.pxd), which gives the same events: the property tests drive both.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tradecore_ext.arena cimport order_alloc, order_release
from tradecore_ext.book cimport S_IOC_REMAINDER, execute, match
from tradecore_ext.emit cimport emit_order_here
from tradecore_ext.ending cimport end_order, filled
from tradecore_ext.filters cimport check_filters
from tradecore_ext.held cimport risk_release
from tradecore_ext.holds cimport small_notional
from tradecore_ext.ids cimport id_erase, id_insert, id_near, id_place, id_probe
from tradecore_ext.ladder cimport (
    ladder_drop,
    ladder_get,
    level_append,
    level_available,
    level_reduce,
    level_unlink,
)
from tradecore_ext.mathx cimport likely, place_of, unlikely
from tradecore_ext.phase cimport after_book
from tradecore_ext.revise cimport risk_check_replace, risk_replace
from tradecore_ext.risk cimport RiskResult
from tradecore_ext.special cimport M_ENDED
from tradecore_ext.spot cimport SpotHold, spot_accept, spot_check
from tradecore_ext.state cimport (
    FILTER_QTY,
    FILTER_RANGE,
    NIL,
    OF_HELD,
    ST_RESTING,
    Book,
    Engine,
    Ladder,
    Level,
    Order,
    Verdict,
)
from tradecore_ext.types cimport (
    TC_EVT_ACCEPTED,
    TC_EVT_CANCELED,
    TC_EVT_EXPIRED,
    TC_EVT_REPLACED,
    TC_MAX_PX,
    TC_MAX_QTY,
    TC_PHASE_CONTINUOUS,
    TC_SIDE_BUY,
    TC_TIF_DAY,
    TC_TIF_GTC,
    TC_TIF_IOC,
    TC_TRIGGER_QUOTE,
    tc_command,
)

cdef enum:
    SP_CANCEL_REQUEST = 413

# The eight bytes at offset 8: kind, cont, side, ord_type, tif, stp, reserved0, lowest first.
cdef extern from *:
    """
    #define TC_PLAIN_MASK 0xFFFF00FF00FFFFFFull /* all but side and tif */
    #define TC_PLAIN_NEW 0x0000000200000001ull  /* NEW_ORDER, LIMIT, nothing else */
    #define TC_PLAIN_CANCEL 0x0000000000000002ull
    #define TC_PLAIN_REPLACE 0x0000000000000003ull
    #define TC_PLAIN_IDS 0x7FFFFFFFFFFFFFFFull  /* ids of clients are 1 to 2^63 - 1 */
    """
    const uint64_t PLAIN_MASK "TC_PLAIN_MASK"
    const uint64_t PLAIN_NEW "TC_PLAIN_NEW"
    const uint64_t PLAIN_CANCEL "TC_PLAIN_CANCEL"
    const uint64_t PLAIN_REPLACE "TC_PLAIN_REPLACE"
    const uint64_t PLAIN_IDS "TC_PLAIN_IDS"


cdef inline uint64_t code_word(const tc_command* c) noexcept nogil:
    return (<const uint64_t*>c)[1]


cdef inline bint is_plain_new(const tc_command* c) noexcept nogil:
    """A limit order, GTC, DAY or IOC, without flags or terms, that passes the frame check."""
    cdef uint64_t w = code_word(c)
    cdef uint8_t tif = <uint8_t>(w >> 40)
    return (
        w & PLAIN_MASK == PLAIN_NEW and <uint8_t>((w >> 24) - 1) <= 1
        and (tif == TC_TIF_GTC or tif == TC_TIF_IOC or tif == TC_TIF_DAY)
        and c.flags == 0 and c.order_id - 1 < PLAIN_IDS and c.ts_ns >> 62 == 0
        and <uint64_t>(c.px - 1) < <uint64_t>TC_MAX_PX and <uint64_t>(c.order_qty - 1) < <uint64_t>TC_MAX_QTY
    )


cdef inline bint is_plain_cancel(const tc_command* c) noexcept nogil:
    """A cancel that passes the frame check."""
    return (
        code_word(c) == PLAIN_CANCEL and c.order_id - 1 < PLAIN_IDS and c.ts_ns >> 62 == 0
        and (<uint64_t>c.px | <uint64_t>c.order_qty | c.flags | c.instrument_id) == 0
    )


cdef inline bint is_plain_replace(const tc_command* c) noexcept nogil:
    """A replace without terms or flags that passes the frame check."""
    return (
        code_word(c) == PLAIN_REPLACE and c.order_id - 1 < PLAIN_IDS and c.ts_ns >> 62 == 0
        and c.flags == 0 and <uint64_t>c.px <= <uint64_t>TC_MAX_PX and <uint64_t>c.order_qty <= <uint64_t>TC_MAX_QTY
    )


cdef inline int64_t side_rank(uint8_t side, int64_t px) noexcept nogil:
    """Rank of a price on its side, -px for a buy, without a branch: the side of the next order is a coin toss."""
    cdef int64_t buy = side & TC_SIDE_BUY  # BUY is 1, SELL 2
    return (px ^ -buy) + buy


cdef inline bint quiet_stops(const Book* b) noexcept nogil:
    """No stop can be elected by a command that does not trade: there is none, or their source is not the quotes
    and no price has come since they last looked."""
    return likely((b.n_stops | b.n_trailing) == 0) or (b.trigger != TC_TRIGGER_QUOTE and b.lo_px > b.hi_px)


cdef inline bint plain_book(const Book* b) noexcept nogil:
    """Continuous FIFO trading, no stop to look after. (The phase of a book that does not exist is 0.)"""
    return b.phase == TC_PHASE_CONTINUOUS and not b.prorata and quiet_stops(b)


cdef inline bint passes_range(const Book* b, int64_t px, int64_t order_qty) noexcept nogil:
    """`passes` where there is more to look at than the largest quantity."""
    cdef Verdict v
    cdef int64_t value
    if likely(b.plain == FILTER_RANGE and small_notional(b, px, order_qty, &value)):
        return (
            b.spec.min_order_qty <= order_qty <= b.max_order_qty and b.band_lo_px <= px <= b.band_hi_px
            and value >= b.spec.min_notional
        )
    return check_filters(b, px, 0, order_qty, 0, 0, 0, &v) == 0


cdef inline bint passes(const Book* b, int64_t px, int64_t order_qty) noexcept nogil:
    """Whether the instrument's filters let these values through; who refuses says why (intake.pxd)."""
    if likely(b.plain == FILTER_QTY):
        return order_qty <= b.max_order_qty
    return passes_range(b, px, order_qty)


cdef inline bint plain_cross(Engine* e, Book* b, uint32_t slot, const tc_command* c, int64_t worst) noexcept nogil:
    """The accepted order trades. True when it is finished, False when a rest of it has to be placed."""
    e.taker_px = c.px
    if unlikely(b.breakers):
        execute(e, b, slot, c.px, False)
        return True
    if match(e, b, slot, worst) == M_ENDED:
        return True
    if e.order[slot].leaves_qty == 0:
        filled(e, slot)
        return True
    return False


cdef inline bint plain_new(
    Engine* e, const tc_command* c, uint32_t tag, uint32_t hint, bint accounts
) noexcept nogil:
    """NEW_ORDER with is_plain_new; `hint` may be its position's slot. O(1) plus fills."""
    cdef Book* b = e.book + c.instrument_id
    cdef Ladder* s
    cdef Order* o
    cdef int64_t rank
    cdef uint32_t* place = NULL
    cdef uint32_t slot
    cdef SpotHold money
    if unlikely(c.instrument_id >= e.max_instruments or not plain_book(b) or not passes(b, c.px, c.order_qty)):
        return False
    s = &b.ladder[c.side - 1]
    if unlikely(id_probe(e, c.order_id, tag, &place) != NIL or e.live >= e.max_orders or not level_available(e)):
        return False
    if unlikely(s.qty > ((<int64_t>1) << 62) - c.order_qty):
        return False
    if accounts and not spot_check(e, b, c, hint, &money):
        return False
    slot = order_alloc(e)
    o = e.order + slot
    o.order_id = c.order_id
    o.leaves_qty = c.order_qty
    o.order_qty = c.order_qty
    o.cum_qty = 0
    o.account_id = c.account_id
    o.instrument_id = c.instrument_id
    o.terms = NIL
    o.side = c.side
    o.ord_type = c.ord_type
    o.tif = c.tif
    o.stp = 0
    o.flags = 0
    o.in_ids = 0
    b.n_live += 1
    if accounts:
        spot_accept(e, slot, c.px, &money)
    emit_order_here(e, TC_EVT_ACCEPTED, 0, o, c.px)
    rank = side_rank(c.side, c.px)
    # Ranks of the two sides have opposite signs: the other side's best trades with us up to -rank.
    if likely(b.ladder[2 - c.side].best > -rank and c.tif != TC_TIF_IOC):
        o.state = ST_RESTING
        o.in_ids = 1
        level_append(e, s, ladder_get(e, s, rank, c.px), slot)
        id_place(e, tag, slot, place)
        return True
    if b.ladder[2 - c.side].best <= -rank and plain_cross(e, b, slot, c, -rank):
        after_book(e, b)
        return True
    if c.tif == TC_TIF_IOC:
        e.taker_px = c.px
        end_order(e, slot, TC_EVT_EXPIRED, S_IOC_REMAINDER)
    else:
        o.state = ST_RESTING
        o.in_ids = 1
        level_append(e, s, ladder_get(e, s, rank, c.px), slot)
        id_insert(e, tag, slot)
    after_book(e, b)
    return True


cdef inline bint plain_cancel(
    Engine* e, const tc_command* c, uint32_t tag, uint32_t hint, bint accounts
) noexcept nogil:
    """CANCEL_ORDER of a plain resting order; `hint` may be its slot. O(1)."""
    cdef uint32_t slot = id_near(e, c.order_id, tag, hint)
    cdef Order* o
    cdef Level* l
    cdef Ladder* s
    cdef Book* b
    if unlikely(slot == NIL):
        return False
    o = e.order + slot
    b = e.book + o.instrument_id
    if unlikely(
        o.account_id != c.account_id or o.state != ST_RESTING or o.terms != NIL or not quiet_stops(b)
    ):
        return False
    l = e.level + o.level
    s = &b.ladder[o.side - 1]
    if accounts:
        risk_release(e, slot, l.px)  # a resting order is held
    # Two stores through chosen addresses, as in level_unlink.
    place_of(o.prev != NIL, &e.order[o.prev].next, &l.head)[0] = o.next
    place_of(o.next != NIL, &e.order[o.next].prev, &l.tail)[0] = o.prev
    l.qty -= o.leaves_qty
    s.qty -= o.leaves_qty
    l.count -= 1
    o.leaves_qty = 0
    emit_order_here(e, TC_EVT_CANCELED, SP_CANCEL_REQUEST, o, l.px)
    if l.count == 0:
        ladder_drop(e, s, o.level, side_rank(o.side, l.px))
    id_erase(e, tag, slot)
    b.n_live -= 1
    order_release(e, slot)
    if accounts and unlikely(e.n_dirty != 0):
        after_book(e, b)
    return True


cdef inline bint plain_replace(
    Engine* e, const tc_command* c, uint32_t tag, uint32_t hint, bint accounts
) noexcept nogil:
    """REPLACE_ORDER of a plain resting order that keeps its place or moves without crossing. O(1)."""
    cdef uint32_t slot = id_near(e, c.order_id, tag, hint)
    cdef Order* o
    cdef Level* l
    cdef Ladder* s
    cdef Book* b
    cdef int64_t total, leaves, px, rank
    cdef RiskResult money
    if unlikely(slot == NIL):
        return False
    o = e.order + slot
    b = e.book + o.instrument_id
    if o.account_id != c.account_id or o.state != ST_RESTING or o.terms != NIL or not plain_book(b):
        return False
    if o.flags & ~OF_HELD or (accounts and b.linear):
        return False
    if c.instrument_id != 0 and c.instrument_id != o.instrument_id:
        return False
    l = e.level + o.level
    s = &b.ladder[o.side - 1]
    total = c.order_qty if c.order_qty else o.order_qty
    leaves = total - (o.order_qty - o.leaves_qty)
    px = c.px if c.px else l.px
    if leaves <= 0 or not passes(b, px, total):
        return False
    if px == l.px and leaves <= o.leaves_qty:
        if leaves == o.leaves_qty:
            return False
        if accounts:
            money.checked = 0
            risk_replace(e, slot, px, leaves, &money)
        level_reduce(e, s, o.level, o.leaves_qty - leaves)
        o.order_qty = total
        o.leaves_qty = leaves
        emit_order_here(e, TC_EVT_REPLACED, 0, o, px)
        return True
    rank = side_rank(o.side, px)
    if b.ladder[2 - o.side].best <= -rank or not level_available(e):
        return False
    if s.qty > ((<int64_t>1) << 62) - leaves:
        return False
    if accounts:
        if risk_check_replace(e, slot, px, leaves, &money) != 0:
            return False
        risk_replace(e, slot, px, leaves, &money)
    level_unlink(e, s, slot, o.side - 1)
    o.order_qty = total
    o.leaves_qty = leaves
    emit_order_here(e, TC_EVT_REPLACED, 0, o, px)
    level_append(e, s, ladder_get(e, s, rank, px), slot)
    return True
