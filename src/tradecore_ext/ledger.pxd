"""What a fill does to money: both sides of it, exactly, in the order of the event stream.

Owner of: settlement of spot fills and the position record (docs/reference/accounts.md section 6).  Linear sides go to
margin.pxd.  Every unit that leaves one wallet arrives in another or in the fee account of its asset.
"""
from libc.stdint cimport int64_t, uint32_t

from tradecore_ext.emit cimport grow_events, order_px, tc_check
from tradecore_ext.fees cimport fee_rate, take_fee
from tradecore_ext.held cimport count_working
from tradecore_ext.holds cimport HOLD_BITS, spot_hold
from tradecore_ext.margin cimport margin_cash_changed, margin_settle
from tradecore_ext.mathx cimport abs64, int128, likely, min64, mul128, prefetch, unlikely
from tradecore_ext.state cimport OF_HELD, Book, Engine, Money, Order, Position, Wallet
from tradecore_ext.sums cimport order_gross, sums_order, sums_position
from tradecore_ext.types cimport TC_EVT_SETTLED, TC_FILL_AUCTION, TC_SIDE_BUY, tc_settle_event


cdef inline int64_t clamped_add(int64_t a, int64_t b) noexcept nogil:
    """Running records stop at +-2^62; both operands are within it."""
    cdef int64_t x = a + b
    if unlikely(x > <int64_t>1 << HOLD_BITS):
        return <int64_t>1 << HOLD_BITS
    if unlikely(x < -(<int64_t>1 << HOLD_BITS)):
        return -(<int64_t>1 << HOLD_BITS)
    return x


cdef inline int64_t part_of_cost(int64_t cost, int64_t closed, int64_t qty) noexcept nogil:
    """Cost that closed of qty lots take with them: trunc(cost * closed / qty), all of it when all close."""
    if closed == qty:
        return cost
    return <int64_t>(mul128(cost, closed) / qty)


cdef inline int64_t move_position(Position* p, bint buy, int64_t px, int64_t qty, int64_t multiplier) noexcept nogil:
    """Average cost with an exact integer cost basis; returns the realised result of the closed part."""
    cdef int64_t sign = 1 if buy else -1
    cdef int64_t held = abs64(p.qty)
    cdef int64_t closed, removed, realised
    if likely(p.qty == 0 or (p.qty > 0) == buy):
        p.qty += sign * qty
        p.cost = clamped_add(p.cost, sign * (px * qty * multiplier))
        return 0
    closed = min64(qty, held)
    removed = part_of_cost(p.cost, closed, held)
    realised = -sign * (px * closed * multiplier) - removed
    p.cost -= removed
    p.qty += sign * qty
    if qty > closed:
        p.cost = sign * (px * (qty - closed) * multiplier)
    p.realised = clamped_add(p.realised, realised)
    return realised


cdef inline void emit_settled(
    Engine* e, const Order* o, int64_t cash_delta, int64_t fee, int64_t position_qty, int64_t realised
) noexcept nogil:
    cdef tc_settle_event* v
    if unlikely(e.n_out >= e.cap_out):
        grow_events(e)
    v = <tc_settle_event*>(e.out + e.n_out)
    e.n_out += 1
    e.out_seq += 1
    v.seq = e.out_seq
    v.order_id = o.order_id
    v.account_id = o.account_id
    v.instrument_id = o.instrument_id
    v.kind = TC_EVT_SETTLED
    v.side = o.side
    v.status = 0
    v.in_seq = <uint32_t>e.in_seq
    v.cash_delta = cash_delta
    v.fee = fee
    v.position_qty = position_qty
    v.realised_pnl = realised


cdef inline void settle_spot(
    Engine* e, const Book* b, uint32_t slot, bint is_taker, int64_t px, int64_t qty, uint32_t flags
) noexcept nogil:
    """One side of a spot fill. The hold falls by at least what is paid, so available funds never do."""
    cdef Order* o = e.order + slot
    cdef Money* m = e.money + slot
    cdef Position* p = e.position + m.position
    cdef Wallet* quote = e.wallet + p.quote_wallet
    cdef Wallet* base = e.wallet + p.base_wallet
    cdef int64_t value = px * qty * b.multiplier
    cdef int64_t units = qty * b.base_per_lot
    cdef int64_t fee = take_fee(m, value, fee_rate(b, is_taker, flags))
    cdef int64_t quote_free = quote.total - quote.hold
    cdef int64_t base_free = base.total - base.hold
    cdef int64_t hold = spot_hold(e, slot, order_px(e, o), o.leaves_qty)
    cdef int64_t cash_delta, realised
    if o.side == TC_SIDE_BUY:
        cash_delta = -value - fee
        base.total += units
        quote.hold += hold - m.hold
    else:
        cash_delta = value - fee
        base.total -= units
        base.hold += hold - m.hold
    m.hold = hold
    quote.total += cash_delta
    e.fees[b.quote_asset] += fee
    tc_check(e, quote.total - quote.hold >= quote_free, 3101)
    tc_check(e, base.total - base.hold >= base_free, 3102)
    tc_check(e, quote.hold >= 0 and base.hold >= 0, 3103)
    realised = move_position(p, o.side == TC_SIDE_BUY, px, qty, b.multiplier)
    p.fees = clamped_add(p.fees, fee)
    margin_cash_changed(e, p.quote_wallet)
    margin_cash_changed(e, p.base_wallet)
    emit_settled(e, o, cash_delta, fee, p.qty, realised)


cdef inline void settle_side(
    Engine* e, const Book* b, uint32_t slot, bint is_taker, int64_t px, int64_t qty, uint32_t flags
) noexcept nogil:
    """Counters first (working lots, gross), then the money."""
    cdef Order* o = e.order + slot
    cdef int64_t at
    if likely(o.flags & OF_HELD):
        count_working(e, o, e.position + e.money[slot].position, -qty)
        if unlikely(e.track):
            at = order_px(e, o)
            sums_order(
                e, o.account_id, 0, order_gross(e, o, at, o.leaves_qty) - order_gross(e, o, at, o.leaves_qty + qty)
            )
    if likely(not b.linear):
        settle_spot(e, b, slot, is_taker, px, qty, flags)
    else:
        margin_settle(e, slot, is_taker, px, qty, flags)
    if unlikely(e.track):
        sums_position(e, o.account_id, o.instrument_id, qty if o.side == TC_SIDE_BUY else -qty, 0, 0)


cdef inline void ledger_fill(
    Engine* e, uint32_t taker, uint32_t maker, int64_t px, int64_t qty, uint32_t flags
) noexcept nogil:
    """Settle both sides of a fill, taker first; leaves and cum of both orders are new already. O(1)."""
    cdef const Book* b = e.book + e.order[taker].instrument_id
    # The taker's records were fetched with its command, the maker's are far away: on their way meanwhile.
    prefetch(e.position + e.money[maker].position)
    settle_side(e, b, taker, True, px, qty, flags)
    settle_side(e, b, maker, False, px, qty, flags)
