"""Matching: fills, cancels, what a taker does until it is finished.

Owner of: section 3 of docs/reference/semantics.md.  The plain case (limit against limit, nothing special
on either side) is one short loop; everything rare is in functions of its own behind one test.
Callers: intake (new orders), replace, stops, lists, liquidation.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.arena cimport order_release, terms_release
from tradecore_ext.emit cimport emit_order, grow_events, order_px, tc_check
from tradecore_ext.held cimport risk_reduce, risk_reduce_cap, risk_release, risk_take_over
from tradecore_ext.ids cimport id_erase, id_insert, id_tag
from tradecore_ext.ladder cimport (
    ladder_find,
    ladder_get,
    ladder_next,
    level_append,
    level_available,
    level_reduce,
    level_requeue,
    level_unlink,
    rank_of,
)
from tradecore_ext.ledger cimport ledger_fill
from tradecore_ext.mathx cimport I64_MAX, PPM, abs64, int128, likely, min64, mul128, unlikely
from tradecore_ext.state cimport (
    L_DOWN,
    L_UP,
    NIL,
    OF_CASH,
    OF_HELD,
    OF_ICEBERG,
    OF_LINKED,
    OF_TIMED,
    OF_TOP_BEST,
    OF_TRAILING,
    ST_ACTIVE,
    ST_DORMANT,
    ST_PENDING,
    ST_RESTING,
    Book,
    Engine,
    Ladder,
    Level,
    Order,
    Terms,
)
from tradecore_ext.stopbook cimport stop_ladder, trailing_print, trailing_unlink
from tradecore_ext.timers cimport timer_cancel
from tradecore_ext.types cimport (
    TC_EVT_CANCELED,
    TC_EVT_EXPIRED,
    TC_EVT_FILL,
    TC_EVT_RESTATED,
    TC_FILL_LIQUIDATION,
    TC_FILL_MAKER_DONE,
    TC_FILL_TAKER_DONE,
    TC_FLAG_LIQUIDATION,
    TC_FLAG_REDUCE_ONLY,
    TC_FLAG_TOP,
    TC_ORD_LIMIT,
    TC_ORD_STOP_LIMIT,
    TC_ORD_TAKE_PROFIT_LIMIT,
    TC_PHASE_CONTINUOUS,
    TC_SIDE_BUY,
    TC_STP_DECREMENT,
    TC_STP_EXPIRE_BOTH,
    TC_STP_EXPIRE_MAKER,
    TC_STP_EXPIRE_TAKER,
    TC_STP_NONE,
    TC_TIF_DAY,
    TC_TIF_FOK,
    TC_TIF_GTC,
    TC_TIF_GTD,
    TC_TIF_IOC,
    TC_TOP_BEST,
    TC_TOP_FLAG,
    TC_TRIGGER_LAST,
    tc_fill_event,
)

cdef enum:
    M_STOP = 0     # nothing acceptable is left, or the taker is filled
    M_ENDED = 1    # the taker was ended by a rule and its slot is free
    M_TRIPPED = 2  # a breaker stopped the matching
    M_NEXT = 3     # go on with the loop

# Status codes used here; the sentence of each stands in tc_status.def.
cdef enum:
    S_BREAKER_STATIC = 209
    S_BREAKER_DYNAMIC = 210
    S_REDUCE_ONLY = 315
    S_FOK = 404
    S_MIN_QTY_UNMET = 405
    S_IOC_REMAINDER = 406
    S_NO_LIQUIDITY = 407
    S_CASH_SPENT = 408
    S_STP = 409
    S_OCO_SIBLING = 415
    S_PARENT_GONE = 416
    S_ICEBERG_REFRESH = 418
    S_BREAKER = 423
    S_CAPACITY_LEVELS = 501
    S_CAPACITY_QTY = 507


cdef inline bint is_market(const Order* o) noexcept nogil:
    """True for the types that never rest (MARKET, STOP, TAKE_PROFIT)."""
    return (o.ord_type & 1) == 1


cdef inline bint rests(uint8_t tif) noexcept nogil:
    return tif == TC_TIF_GTC or tif == TC_TIF_DAY or tif == TC_TIF_GTD


# ---- the end of an order ----------------------------------------------------------------------------


cdef inline void leave_pending(Engine* e, Book* b, uint32_t slot) noexcept nogil:
    """A pending list member begins to work, or dies."""
    e.order[slot].state = ST_ACTIVE
    if e.order[slot].flags & OF_TRAILING:
        b.pending_trailing -= 1


cdef inline void take_out(Engine* e, uint32_t slot) noexcept nogil:
    """Remove a live order from the list its state says it stands in."""
    cdef Order* o = e.order + slot
    cdef Book* b = e.book + o.instrument_id
    cdef uint32_t n, which
    cdef Terms* t
    if o.state == ST_RESTING:
        if o.flags & OF_ICEBERG:
            e.level[o.level].icebergs -= 1
        level_unlink(e, &b.ladder[o.side - 1], slot, o.side - 1)
    elif o.state == ST_DORMANT:
        if o.flags & OF_TRAILING:
            trailing_unlink(e, b, slot)
        else:
            which = stop_ladder(o)
            level_unlink(e, &b.ladder[which], slot, which)
            b.n_stops -= 1
    elif o.state == ST_PENDING:
        t = e.terms + o.terms
        if t.parent != NIL:
            n = e.terms[e.order[t.parent].terms].child
            if n == slot:
                e.terms[e.order[t.parent].terms].child = t.next_child
            else:
                while e.terms[e.order[n].terms].next_child != slot:
                    n = e.terms[e.order[n].terms].next_child
                e.terms[e.order[n].terms].next_child = t.next_child
            t.parent = NIL
        leave_pending(e, b, slot)
    o.state = ST_ACTIVE


cdef inline void order_gone(Engine* e, uint32_t slot) noexcept nogil:
    """Give back everything of an order that stands in no list any more."""
    cdef Order* o = e.order + slot
    if o.flags & OF_HELD:
        risk_release(e, slot, 0)
    if o.terms != NIL:
        if e.terms[o.terms].timer != NIL:
            timer_cancel(e, e.terms[o.terms].timer)
        terms_release(e, o.terms)
    if o.in_ids:
        id_erase(e, id_tag(&e.ids, o.order_id), slot)
    e.book[o.instrument_id].n_live -= 1
    order_release(e, slot)


cdef inline void end_order_at(Engine* e, uint32_t slot, int64_t px, uint8_t kind, uint16_t status) noexcept nogil:
    """CANCELED or EXPIRED, then whatever hangs on the order: its OCO sibling, its pending children."""
    cdef Order* o = e.order + slot
    cdef uint32_t sibling = NIL
    cdef uint32_t child = NIL
    cdef uint32_t c, nxt
    if o.flags & OF_HELD:
        # While leaves and price still say what is counted.
        risk_release(e, slot, px)
        o.flags &= ~OF_HELD
    take_out(e, slot)
    o.leaves_qty = 0
    emit_order(e, kind, status, o, px)
    if unlikely(o.flags & OF_LINKED):
        sibling = e.terms[o.terms].sibling
        child = e.terms[o.terms].child
        if sibling != NIL:
            e.terms[e.order[sibling].terms].sibling = NIL
        c = child
        while c != NIL:
            e.terms[e.order[c].terms].parent = NIL
            e.terms[e.order[c].terms].sibling = NIL
            c = e.terms[e.order[c].terms].next_child
    order_gone(e, slot)
    if sibling != NIL:
        end_order_at(e, sibling, order_px(e, e.order + sibling), TC_EVT_CANCELED, S_OCO_SIBLING)
    while child != NIL:
        nxt = e.terms[e.order[child].terms].next_child
        end_order_at(e, child, order_px(e, e.order + child), TC_EVT_CANCELED, S_PARENT_GONE)
        child = nxt


cdef inline void end_order(Engine* e, uint32_t slot, uint8_t kind, uint16_t status) noexcept nogil:
    end_order_at(e, slot, order_px(e, e.order + slot), kind, status)


cdef inline void cancel_sibling(Engine* e, uint32_t slot) noexcept nogil:
    """An OCO leg is about to execute: its sibling dies first, its hold passes over."""
    cdef Order* o = e.order + slot
    cdef uint32_t sibling = e.terms[o.terms].sibling
    if sibling == NIL:
        return
    e.terms[o.terms].sibling = NIL
    e.terms[e.order[sibling].terms].sibling = NIL
    if e.accounts:
        risk_take_over(e, sibling, slot)
    end_order(e, sibling, TC_EVT_CANCELED, S_OCO_SIBLING)


cdef inline void filled(Engine* e, uint32_t slot) noexcept nogil:
    """A completely filled order that stands in no list: queue its children, free it."""
    cdef Order* o = e.order + slot
    cdef uint32_t child, c
    if unlikely(o.flags & OF_LINKED):
        child = e.terms[o.terms].child
        if child != NIL:
            c = child
            while c != NIL:
                e.terms[e.order[c].terms].parent = NIL
                c = e.terms[e.order[c].terms].next_child
            e.terms[e.order[child].terms].trail_next = NIL
            if e.parents_tail == NIL:
                e.parents_head = child
            else:
                e.terms[e.order[e.parents_tail].terms].trail_next = child
            e.parents_tail = child
    order_gone(e, slot)


# ---- one fill ---------------------------------------------------------------------------------------


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


# ---- the rules behind the one test ------------------------------------------------------------------


cdef inline uint16_t breach(const Book* b, int64_t px) noexcept nogil:
    """Status of the breaker a trade at px would trip, 0 none."""
    cdef int64_t r = b.spec.band_ref_px
    if b.spec.static_band_ppm and r > 0:
        if mul128(abs64(px - r), PPM) > mul128(r, b.spec.static_band_ppm):
            return S_BREAKER_STATIC
    r = b.dyn_ref_px
    if b.spec.dynamic_band_ppm and r > 0:
        if mul128(abs64(px - r), PPM) > mul128(r, b.spec.dynamic_band_ppm):
            return S_BREAKER_DYNAMIC
    return 0


cdef inline bint same_owner(const Engine* e, const Order* a, const Order* c) noexcept nogil:
    """STP scope: one account, or one non-zero trade group."""
    if a.account_id == c.account_id:
        return True
    if not e.accounts or e.account[a.account_id].trade_group == 0:
        return False
    return e.account[a.account_id].trade_group == e.account[c.account_id].trade_group


cdef inline int64_t affordable(const Engine* e, const Book* b, const Order* o, int64_t px) noexcept nogil:
    """Lots that the rest of a cash order buys or sells at px, a multiple of the instrument's lot."""
    cdef int128 price = mul128(px, b.multiplier)
    cdef int64_t lots = <int64_t>(<int128>e.terms[o.terms].cash_left / price)
    return lots - lots % b.spec.lot


cdef inline int64_t shown(const Engine* e, const Order* m) noexcept nogil:
    return e.terms[m.terms].visible_qty if m.flags & OF_ICEBERG else m.leaves_qty


cdef inline int prevent_self_trade(
    Engine* e, Book* b, Ladder* opp, uint32_t slot, uint32_t m_slot, int64_t px
) noexcept nogil:
    """Apply the taker's STP mode to a pair of one owner."""
    cdef Order* o = e.order + slot
    cdef Order* m = e.order + m_slot
    cdef Terms* t
    cdef int64_t d, mine
    cdef int mode = o.stp
    if mode == TC_STP_EXPIRE_TAKER:
        end_order(e, slot, TC_EVT_EXPIRED, S_STP)
        return M_ENDED
    if mode == TC_STP_EXPIRE_MAKER or mode == TC_STP_EXPIRE_BOTH:
        end_order(e, m_slot, TC_EVT_EXPIRED, S_STP)
        if mode == TC_STP_EXPIRE_MAKER:
            return M_NEXT
        end_order(e, slot, TC_EVT_EXPIRED, S_STP)
        return M_ENDED
    mine = affordable(e, b, o, px) if o.flags & OF_CASH else o.leaves_qty
    if mine == 0:
        end_order(e, slot, TC_EVT_EXPIRED, S_CASH_SPENT)
        return M_ENDED
    d = min64(mine, m.leaves_qty)
    if d == m.leaves_qty:
        end_order(e, m_slot, TC_EVT_EXPIRED, S_STP)
    else:
        level_reduce(e, opp, m.level, d)
        m.leaves_qty -= d
        if m.flags & OF_ICEBERG:
            t = e.terms + m.terms
            t.visible_qty = min64(t.visible_qty, m.leaves_qty)
        if e.accounts:
            risk_reduce(e, m_slot, m.leaves_qty + d, m.leaves_qty, px)
        emit_order(e, TC_EVT_RESTATED, S_STP, m, px)
    if o.flags & OF_CASH:
        e.terms[o.terms].cash_left -= d * px * b.multiplier
        o.order_qty += d
        if e.terms[o.terms].cash_left == 0:
            end_order(e, slot, TC_EVT_EXPIRED, S_STP)
            return M_ENDED
        if e.accounts:
            # The rest may still sell down to the protective price: that is what its hold has to cover.
            risk_reduce(e, slot, d, 0, e.taker_px)
        emit_order(e, TC_EVT_RESTATED, S_STP, o, e.taker_px)
        return M_NEXT
    if d == o.leaves_qty:
        end_order(e, slot, TC_EVT_EXPIRED, S_STP)
        return M_ENDED
    o.leaves_qty -= d
    if e.accounts:
        risk_reduce(e, slot, o.leaves_qty + d, o.leaves_qty, e.taker_px)
    emit_order(e, TC_EVT_RESTATED, S_STP, o, e.taker_px)
    return M_NEXT


cdef inline int match_special(
    Engine* e, Book* b, Ladder* opp, uint32_t slot, uint32_t m_slot, int64_t px
) noexcept nogil:
    """One step of the loop with every rule looked at, in the order of the reference page."""
    cdef Order* o = e.order + slot
    cdef Order* m = e.order + m_slot
    cdef int64_t qty, cap
    cdef uint16_t status
    if b.breakers:
        status = breach(b, px)
        if status:
            b.trip_status = status
            return M_TRIPPED
    if o.stp != TC_STP_NONE and same_owner(e, o, m):
        return prevent_self_trade(e, b, opp, slot, m_slot, px)
    if o.flags & OF_CASH:
        qty = affordable(e, b, o, px)
        if qty == 0:
            end_order(e, slot, TC_EVT_EXPIRED, S_CASH_SPENT)
            return M_ENDED
        qty = min64(qty, shown(e, m))
    else:
        qty = min64(o.leaves_qty, shown(e, m))
    if e.accounts:
        if o.flags & TC_FLAG_REDUCE_ONLY:
            cap = risk_reduce_cap(e, slot)
            if cap == 0:
                end_order(e, slot, TC_EVT_EXPIRED, S_REDUCE_ONLY)
                return M_ENDED
            qty = min64(qty, cap)
        if m.flags & TC_FLAG_REDUCE_ONLY:
            cap = risk_reduce_cap(e, m_slot)
            if cap == 0:
                end_order(e, m_slot, TC_EVT_EXPIRED, S_REDUCE_ONLY)
                return M_NEXT
            qty = min64(qty, cap)
    if m.flags & OF_LINKED:
        cancel_sibling(e, m_slot)
    if o.flags & OF_LINKED:
        cancel_sibling(e, slot)
    fill_any(e, b, opp, slot, m_slot, px, qty)
    return M_NEXT


cdef inline uint32_t top_order(Engine* e, const Book* b, const Level* l) noexcept nogil:
    """The level's order with the top-order right, NIL none."""
    cdef uint32_t n = l.head
    cdef uint16_t want = TC_FLAG_TOP if b.spec.alloc_top == TC_TOP_FLAG else OF_TOP_BEST
    if b.spec.alloc_top == 0:
        return NIL
    while n != NIL:
        if e.order[n].flags & want:
            return n
        n = e.order[n].next
    return NIL


cdef inline void allocate(Engine* e, const Book* b, uint32_t lv, int64_t qty) noexcept nogil:
    """Who of a level gets how much of qty: top order, shares, then first come, first served.

    Fills Engine.maker and Engine.share; top order first, then FIFO. O(orders of the level)."""
    cdef Level* l = e.level + lv
    cdef uint32_t top = NIL
    cdef uint32_t n = l.head
    cdef uint32_t i, first
    cdef int64_t total, rest, share, extra
    e.n_makers = 0
    if qty >= l.qty:
        while n != NIL:
            e.maker[e.n_makers] = n
            e.share[e.n_makers] = e.order[n].leaves_qty
            e.n_makers += 1
            n = e.order[n].next
        return
    total = l.qty
    top = top_order(e, b, l)
    if top != NIL:
        share = min64(qty, e.order[top].leaves_qty)
        e.maker[0] = top
        e.share[0] = share
        e.n_makers = 1
        qty -= share
        total -= e.order[top].leaves_qty
        if qty == 0:
            return
    first = e.n_makers
    rest = qty
    while n != NIL:
        if n != top:
            share = <int64_t>(mul128(qty, e.order[n].leaves_qty) / total)
            if share < b.spec.min_alloc:
                share = 0
            e.maker[e.n_makers] = n
            e.share[e.n_makers] = share
            e.n_makers += 1
            rest -= share
        n = e.order[n].next
    for i in range(first, e.n_makers):
        extra = min64(rest, e.order[e.maker[i]].leaves_qty - e.share[i])
        e.share[i] += extra
        rest -= extra


cdef inline int match_prorata_level(
    Engine* e, Book* b, Ladder* opp, uint32_t slot, int64_t px
) noexcept nogil:
    """Everything the taker does at the best level of a pro-rata instrument."""
    cdef Order* o = e.order + slot
    cdef uint32_t lv = opp.best_level
    cdef uint32_t i, n, other
    cdef int64_t best = opp.best
    cdef int64_t q, cap
    cdef int r
    cdef uint16_t status
    if b.breakers:
        status = breach(b, px)
        if status:
            b.trip_status = status
            return M_TRIPPED
    if o.stp != TC_STP_NONE:
        # An own maker can take its sibling along, which may be the next in the queue: go on from the last
        # order of somebody else, who stays.
        other = NIL
        n = e.level[lv].head
        while n != NIL:
            if same_owner(e, o, e.order + n):
                r = prevent_self_trade(e, b, opp, slot, n, px)
                if r == M_ENDED:
                    return r
                if opp.best != best:
                    return M_NEXT
                n = e.level[lv].head if other == NIL else e.order[other].next
            else:
                other = n
                n = e.order[n].next
    if o.flags & OF_CASH:
        q = affordable(e, b, o, px)
        if q == 0:
            end_order(e, slot, TC_EVT_EXPIRED, S_CASH_SPENT)
            return M_ENDED
    else:
        q = o.leaves_qty
    if e.accounts and o.flags & TC_FLAG_REDUCE_ONLY:
        cap = risk_reduce_cap(e, slot)
        if cap == 0:
            end_order(e, slot, TC_EVT_EXPIRED, S_REDUCE_ONLY)
            return M_ENDED
        q = min64(q, cap)
    allocate(e, b, lv, q)
    # What was allocated is filled in that order; a maker that dies meanwhile as somebody's sibling is
    # passed over, and the loop looks at the level again.
    for i in range(e.n_makers):
        n = e.maker[i]
        if e.order[n].state == ST_RESTING and e.order[n].level == lv and e.share[i] > 0:
            if e.order[n].flags & OF_LINKED:
                cancel_sibling(e, n)
            if o.flags & OF_LINKED:
                cancel_sibling(e, slot)
            fill_any(e, b, opp, slot, n, px, e.share[i])
    return M_NEXT


# ---- a taker from its first look at the book to its end ----------------------------------------------


cdef inline int match(Engine* e, Book* b, uint32_t slot, int64_t limit_rank) noexcept nogil:
    """Trade the order in flight against the other side. O(fills), plus O(1) amortised a level."""
    cdef Order* o = e.order + slot
    cdef Ladder* opp = &b.ladder[2 - o.side]
    cdef Order* m
    cdef int64_t px
    cdef uint32_t m_slot, lv
    cdef int r
    cdef bint special = (
        b.breakers
        or o.stp != TC_STP_NONE
        or (o.flags & (TC_FLAG_REDUCE_ONLY | OF_LINKED | OF_CASH | TC_FLAG_LIQUIDATION)) != 0
    )
    cdef bint prorata = b.prorata
    while opp.best <= limit_rank:
        lv = opp.best_level
        px = e.level[lv].px
        if unlikely(prorata):
            r = match_prorata_level(e, b, opp, slot, px)
            if r != M_NEXT:
                return r
        else:
            m_slot = e.level[lv].head
            m = e.order + m_slot
            if likely(not special and not (m.flags & (TC_FLAG_REDUCE_ONLY | OF_LINKED | OF_ICEBERG))):
                fill(e, b, opp, slot, m_slot, px, min64(o.leaves_qty, m.leaves_qty), 0)
            else:
                r = match_special(e, b, opp, slot, m_slot, px)
                if r != M_NEXT:
                    return r
        if taker_done(e, o):
            return M_STOP
    return M_STOP


cdef inline bint can_fill(
    Engine* e, Book* b, const Order* o, int64_t limit_rank, int64_t need
) noexcept nogil:
    """Whether at least `need` lots stand at acceptable prices inside the breakers; own orders do not
    count under STP. O(levels), O(orders) only with STP."""
    cdef Ladder* opp = &b.ladder[2 - o.side]
    cdef uint32_t lv = opp.best_level
    cdef uint32_t n
    cdef int64_t rank
    while lv != NIL:
        rank = rank_of(2 - o.side, e.level[lv].px)
        if rank > limit_rank:
            return False
        if b.breakers and breach(b, e.level[lv].px):
            return False
        if o.stp == TC_STP_NONE:
            need -= e.level[lv].qty
            if need <= 0:
                return True
        else:
            n = e.level[lv].head
            while n != NIL:
                if not same_owner(e, o, e.order + n):
                    need -= e.order[n].leaves_qty
                    if need <= 0:
                        return True
                n = e.order[n].next
        lv = ladder_next(e, opp, rank)
    return False


cdef inline uint16_t can_rest(Engine* e, Book* b, uint8_t side, int64_t px, int64_t qty) noexcept nogil:
    """0, or the capacity that is missing for qty to rest at px."""
    cdef Ladder* s = &b.ladder[side - 1]
    if unlikely(not level_available(e)) and ladder_find(e, s, rank_of(side - 1, px)) == NIL:
        return S_CAPACITY_LEVELS
    if unlikely(s.qty > ((<int64_t>1) << 62) - qty):
        return S_CAPACITY_QTY
    return 0


cdef inline void rest_order(Engine* e, Book* b, uint32_t slot, int64_t px) noexcept nogil:
    """The order in flight comes to rest at the back of its price. Room has been checked (can_rest)."""
    cdef Order* o = e.order + slot
    cdef Ladder* s = &b.ladder[o.side - 1]
    cdef int64_t rank = rank_of(o.side - 1, px)
    cdef bint better = rank < s.best
    cdef uint32_t lv = ladder_get(e, s, rank, px)
    if unlikely(b.prorata):
        # Cleared whatever the allocation is now: an order that is requeued has lost the right for good.
        better = better and b.spec.alloc_top == TC_TOP_BEST
        o.flags = (o.flags | OF_TOP_BEST) if better else (o.flags & ~OF_TOP_BEST)
    o.state = ST_RESTING
    level_append(e, s, lv, slot)
    if unlikely(o.flags & OF_ICEBERG):
        e.level[lv].icebergs += 1
        e.terms[o.terms].visible_qty = min64(e.terms[o.terms].display_qty, o.leaves_qty)
    if not o.in_ids:
        id_insert(e, id_tag(&e.ids, o.order_id), slot)
        o.in_ids = 1


cdef inline int64_t limit_rank_of(const Order* o, int64_t px) noexcept nogil:
    """Worst rank on the other side that the order accepts; px 0 = any."""
    if px == 0:
        return I64_MAX - 1
    return px if o.side == TC_SIDE_BUY else -px


cdef inline void execute(Engine* e, Book* b, uint32_t slot, int64_t px, bint entry) noexcept nogil:
    """Run the order in flight to its end: traded, rested, expired. `entry`: FOK and min_qty apply.

    The caller has emitted ACCEPTED, TRIGGERED or REPLACED and taken the hold; afterwards it lets the
    breaker speak (phase.pxd) and the stops be elected.
    """
    cdef Order* o = e.order + slot
    cdef int64_t limit_rank = limit_rank_of(o, px)
    cdef int r = M_STOP
    cdef uint16_t status
    e.taker_px = px
    o.state = ST_ACTIVE
    b.dyn_ref_px = b.last_px
    if likely(b.phase == TC_PHASE_CONTINUOUS):
        if unlikely(entry):
            if o.tif == TC_TIF_FOK and not can_fill(e, b, o, limit_rank, o.order_qty):
                end_order(e, slot, TC_EVT_EXPIRED, S_FOK)
                return
            if o.terms != NIL and e.terms[o.terms].min_qty > 0:
                if not can_fill(e, b, o, limit_rank, e.terms[o.terms].min_qty):
                    end_order(e, slot, TC_EVT_EXPIRED, S_MIN_QTY_UNMET)
                    return
        r = match(e, b, slot, limit_rank)
        if r == M_ENDED:
            return
        if taker_done(e, o):
            filled(e, slot)
            return
    if unlikely(is_market(o) or not rests(o.tif)):
        if b.trip_status or b.phase != TC_PHASE_CONTINUOUS:
            status = S_BREAKER
        elif is_market(o):
            status = S_NO_LIQUIDITY
        else:
            status = S_FOK if o.tif == TC_TIF_FOK else S_IOC_REMAINDER
        end_order(e, slot, TC_EVT_EXPIRED, status)
        return
    status = can_rest(e, b, o.side, px, o.leaves_qty)
    if unlikely(status != 0):
        end_order(e, slot, TC_EVT_EXPIRED, status)
        return
    rest_order(e, b, slot, px)
