"""What a spot order reserves: one formula for entry, fills, reductions, replaces and the audit.

Owner of: the hold of spot orders (docs/reference/accounts.md section 5).
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tradecore_ext.emit cimport order_px
from tradecore_ext.fees cimport SMALL_BITS, fee_bound, fee_on
from tradecore_ext.mathx cimport buy_mask, int128, likely, mul_over, pick64
from tradecore_ext.state cimport OF_CASH, Book, Engine, Money, Order, Position
from tradecore_ext.sums cimport wide_notional
from tradecore_ext.types cimport TC_SIDE_BUY

cdef enum:
    HOLD_BITS = 62   # holds and balances stay within 2^62


cdef inline bint small_notional(const Book* b, int64_t px, int64_t lots, int64_t* value) noexcept nogil:
    """px * lots * multiplier into value; False where that is 2^42 or more and 128 bits have to be asked."""
    cdef int64_t one
    return (
        not mul_over(px, b.multiplier, &one) and not mul_over(one, lots, value)
        and <uint64_t>value[0] >> SMALL_BITS == 0
    )


cdef inline int128 spot_need(
    const Book* b, uint8_t side, int64_t px, int64_t leaves, bint is_cash, int64_t cash_left, uint32_t fee_rem
) noexcept nogil:
    """Most that the order can still take from its wallet: quote units of a buy, base units of a sale."""
    cdef int128 n
    cdef int64_t value
    if likely(not is_cash and small_notional(b, px, leaves, &value)):
        # Both sides at once: which of them is asked for is a coin toss.
        value += fee_on(fee_rem, value, fee_bound(b))
        n = <int128>leaves * b.base_per_lot
        return n ^ ((value ^ n) & buy_mask(side))
    if side == TC_SIDE_BUY:
        n = cash_left if is_cash else wide_notional(px, leaves, b.multiplier)
        if n > <int128>1 << HOLD_BITS:
            return n
        if n == 0:
            return 0
        return n + fee_on(fee_rem, n, fee_bound(b))
    if likely(not is_cash):
        return <int128>leaves * b.base_per_lot
    return <int128>cash_left / (<int128>px * b.multiplier) * b.base_per_lot


cdef inline int64_t spot_hold(Engine* e, uint32_t slot, int64_t px, int64_t leaves) noexcept nogil:
    """The formula for a live order with these values; it never exceeds what was checked at entry."""
    cdef const Order* o = e.order + slot
    cdef bint is_cash = (o.flags & OF_CASH) != 0
    return <int64_t>spot_need(
        e.book + o.instrument_id, o.side, px, leaves, is_cash, e.terms[o.terms].cash_left if is_cash else 0,
        e.money[slot].fee_rem
    )


cdef inline uint32_t hold_wallet(const Position* p, uint8_t side) noexcept nogil:
    """The wallet that a spot order's hold stands in."""
    return <uint32_t>pick64(buy_mask(side), p.quote_wallet, p.base_wallet)
