"""Call auction: the uncrossing price and the execution at it.

Owner of: the uncross of section 8.  Price: maximum volume, then minimum surplus, then market pressure,
then the reference price.  Execution: price-time priority on both sides, all fills at the one price.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from tradecore_ext.breaker cimport enter_phase
from tradecore_ext.emit cimport emit_next
from tradecore_ext.ending cimport cancel_sibling
from tradecore_ext.fills cimport emit_fill, note_print, resting_after_fill
from tradecore_ext.filters cimport set_band_ref
from tradecore_ext.ladder cimport ladder_next, ladder_prev, level_reduce
from tradecore_ext.ledger cimport ledger_fill
from tradecore_ext.mathx cimport abs64, min64
from tradecore_ext.special cimport shown
from tradecore_ext.state cimport L_ASK, L_BID, NIL, OF_LINKED, Book, Engine, Ladder, Order
from tradecore_ext.types cimport (
    TC_EVT_AUCTION,
    TC_FILL_AUCTION,
    TC_FILL_MAKER_DONE,
    TC_FILL_TAKER_DONE,
    tc_market_event,
)

cdef struct Cross:
    int64_t px        # 0: nothing crosses
    int64_t volume
    int64_t surplus   # buy minus sell quantity executable at px


cdef inline Cross find_cross(Engine* e, Book* b, int64_t ref_px) noexcept nogil:
    """Walk the candidate prices of the crossed range upwards once. O(levels in the range)."""
    cdef Ladder* bids = &b.ladder[L_BID]
    cdef Ladder* asks = &b.ladder[L_ASK]
    cdef Cross best
    cdef uint32_t a, d, n
    cdef int64_t lo, hi, p, v, diff, low_px, low_surplus
    cdef int64_t buy = 0
    cdef int64_t sell = 0
    cdef int64_t near_px = 0
    cdef int64_t near_surplus = 0
    cdef bint any_buy = False
    cdef bint any_sell = False
    cdef bint any_even = False
    best.px = 0
    best.volume = 0
    best.surplus = 0
    low_px = 0
    low_surplus = 0
    if bids.n_levels == 0 or asks.n_levels == 0:
        return best
    lo = e.level[asks.best_level].px
    hi = e.level[bids.best_level].px
    if hi < lo:
        return best
    # Lowest bid level inside the range; every bid of the range counts at it.
    d = bids.best_level
    buy = e.level[d].qty
    while True:
        n = ladder_next(e, bids, -e.level[d].px)
        if n == NIL or e.level[n].px < lo:
            break
        d = n
        buy += e.level[d].qty
    a = asks.best_level
    while a != NIL or d != NIL:
        if a == NIL or (d != NIL and e.level[d].px < e.level[a].px):
            p = e.level[d].px
        else:
            p = e.level[a].px
        if p > hi:
            break
        if a != NIL and e.level[a].px == p:
            sell += e.level[a].qty
            a = ladder_next(e, asks, p)
        v = min64(buy, sell)
        diff = buy - sell
        if v > best.volume or (v == best.volume and abs64(diff) < abs64(best.surplus)):
            best.volume = v
            best.px = p
            best.surplus = diff
            low_px = p
            low_surplus = diff
            near_px = p
            near_surplus = diff
            any_buy = diff > 0
            any_sell = diff < 0
            any_even = diff == 0
        elif v == best.volume and abs64(diff) == abs64(best.surplus):
            # Equal so far; best keeps the highest, low the lowest, near the one next to the reference.
            best.px = p
            best.surplus = diff
            any_buy = any_buy or diff > 0
            any_sell = any_sell or diff < 0
            any_even = any_even or diff == 0
            if abs64(p - ref_px) <= abs64(near_px - ref_px):
                near_px = p
                near_surplus = diff
        if d != NIL and e.level[d].px == p:
            buy -= e.level[d].qty
            d = ladder_prev(e, bids, -p)
    if any_buy and not any_sell and not any_even:
        return best
    if (any_sell and not any_buy and not any_even) or ref_px == 0:
        best.px = low_px
        best.surplus = low_surplus
        return best
    best.px = near_px
    best.surplus = near_surplus
    return best


cdef inline void auction_fill(Engine* e, Book* b, uint32_t buy, uint32_t sell, int64_t px, int64_t qty) noexcept nogil:
    """One pairing at the uncross; the buy order stands in the taker's place."""
    cdef Order* o = e.order + buy
    cdef Order* m = e.order + sell
    cdef uint32_t flags = TC_FILL_AUCTION
    o.leaves_qty -= qty
    o.cum_qty += qty
    m.leaves_qty -= qty
    m.cum_qty += qty
    level_reduce(e, &b.ladder[L_BID], o.level, qty)
    level_reduce(e, &b.ladder[L_ASK], m.level, qty)
    if o.leaves_qty == 0:
        flags |= TC_FILL_TAKER_DONE
    if m.leaves_qty == 0:
        flags |= TC_FILL_MAKER_DONE
    emit_fill(e, o, m, px, qty, flags)
    if e.accounts:
        ledger_fill(e, buy, sell, px, qty, flags)
    resting_after_fill(e, b, sell, qty)
    resting_after_fill(e, b, buy, qty)


cdef inline void uncross_once(Engine* e, Book* b, uint32_t instrument_id, int64_t ref_px, uint8_t phase) noexcept nogil:
    """One price, its fills, its AUCTION event."""
    cdef Cross x = find_cross(e, b, ref_px)
    cdef Ladder* bids = &b.ladder[L_BID]
    cdef Ladder* asks = &b.ladder[L_ASK]
    cdef tc_market_event* v
    cdef uint32_t buy, sell
    cdef int64_t qty
    cdef int64_t done = 0
    while done < x.volume:
        # A cancelled OCO sibling can take quantity away that the price was found with.
        if bids.n_levels == 0 or asks.n_levels == 0:
            break
        if e.level[bids.best_level].px < x.px or e.level[asks.best_level].px > x.px:
            break
        buy = e.level[bids.best_level].head
        sell = e.level[asks.best_level].head
        if e.order[sell].flags & OF_LINKED:
            cancel_sibling(e, sell)
        if e.order[buy].flags & OF_LINKED:
            cancel_sibling(e, buy)
        qty = min64(min64(shown(e, e.order + buy), shown(e, e.order + sell)), x.volume - done)
        done += qty
        auction_fill(e, b, buy, sell, x.px, qty)
    if done > 0:
        note_print(e, b, x.px)
        if b.spec.static_band_ppm:
            set_band_ref(b, x.px)
    v = <tc_market_event*>emit_next(e)
    v.instrument_id = instrument_id
    v.kind = TC_EVT_AUCTION
    v.last_px = x.px
    v.volume = done
    v.surplus = x.surplus
    v.phase = phase


cdef inline bint crossed(const Engine* e, const Book* b) noexcept nogil:
    """Whether the book would trade: it may cross in every phase but CONTINUOUS (breaker, auction)."""
    if b.ladder[L_BID].n_levels == 0 or b.ladder[L_ASK].n_levels == 0:
        return False
    return e.level[b.ladder[L_BID].best_level].px >= e.level[b.ladder[L_ASK].best_level].px


cdef inline void uncross(
    Engine* e, Book* b, uint32_t instrument_id, int64_t ref_px, uint8_t phase, uint16_t status
) noexcept nogil:
    """Execute the auction and enter `phase`. O(levels in the crossed range + fills).

    Only where OCO siblings cancelled during the fills leave the book crossed is there a second price."""
    if ref_px == 0:
        ref_px = b.auction_ref_px if b.auction_ref_px else b.last_px
    b.auction_ref_px = 0
    uncross_once(e, b, instrument_id, ref_px, phase)
    while crossed(e, b):
        uncross_once(e, b, instrument_id, ref_px, phase)
    if phase != b.phase:
        enter_phase(e, b, instrument_id, phase, status)
