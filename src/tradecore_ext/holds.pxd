"""What a spot order reserves: one formula for entry, fills, reductions, replaces and the audit.

Owner of: the hold of spot orders (docs/reference/accounts.md section 5).
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from tradecore_ext.emit cimport order_px
from tradecore_ext.fees cimport fee_bound, fee_on
from tradecore_ext.mathx cimport int128, likely
from tradecore_ext.state cimport OF_CASH, Book, Engine, Money, Order, Position
from tradecore_ext.sums cimport notional
from tradecore_ext.types cimport TC_SIDE_BUY

cdef enum:
    HOLD_BITS = 62   # holds and balances stay within 2^62


cdef inline int128 spot_need(
    const Book* b, uint8_t side, int64_t px, int64_t leaves, bint is_cash, int64_t cash_left, uint32_t fee_rem
) noexcept nogil:
    """Most that the order can still take from its wallet: quote units of a buy, base units of a sale."""
    cdef int128 n
    if side == TC_SIDE_BUY:
        n = cash_left if is_cash else notional(px, leaves, b.spec.multiplier)
        if n > <int128>1 << HOLD_BITS:
            return n
        if n == 0:
            return 0
        return n + fee_on(fee_rem, n, fee_bound(b))
    if likely(not is_cash):
        return <int128>leaves * b.spec.base_per_lot
    return <int128>cash_left / (<int128>px * b.spec.multiplier) * b.spec.base_per_lot


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
    return p.quote_wallet if side == TC_SIDE_BUY else p.base_wallet
