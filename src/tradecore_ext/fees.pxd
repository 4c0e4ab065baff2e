"""What an order pays for its fills: one floor on the cumulative notional.

Owner of: the fee formula, the rate that applies, and the bound that a hold reserves for fees
(docs/reference/accounts.md section 4).  An order that fills in a thousand pieces pays the same as one that
fills at once, because the remainder of the division stays with the order; that is also what makes
"settlement never lowers available funds" provable.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from tradecore_ext.mathx cimport PPM, floor_div128, int128, likely
from tradecore_ext.state cimport Book, Money
from tradecore_ext.types cimport TC_FILL_AUCTION


cdef enum:
    SMALL_BITS = 42   # of a notional that times a rate, at most a million, fits 64 bits: nearly all do


cdef inline int64_t floor_ppm(int128 x) noexcept nogil:
    """Floor of x / 1e6. The usual case is one 64-bit multiplication, not a 128-bit division."""
    if likely(0 <= x < (<int128>1) << 63):
        return <int64_t>(<uint64_t>x / <uint64_t>PPM)
    return <int64_t>floor_div128(x, PPM)


cdef inline int32_t fee_rate(const Book* b, bint is_taker, uint32_t fill_flags) noexcept nogil:
    """Rate of one side of a fill, parts per million of the notional.

    In an auction both sides pay the maker's rate, and a rebate counts as 0 there: no taker pays for it, so the
    fee account of an asset could be drained without bound.
    """
    if likely(not (fill_flags & TC_FILL_AUCTION)):
        return b.taker_fee_ppm if is_taker else b.maker_fee_ppm
    return b.maker_fee_ppm if b.maker_fee_ppm > 0 else 0


cdef inline int32_t fee_bound(const Book* b) noexcept nogil:
    """Highest rate any fill of the instrument can be charged with, never negative."""
    cdef int32_t r = b.maker_fee_ppm
    if b.taker_fee_ppm > r:
        r = b.taker_fee_ppm
    return r if r > 0 else 0


cdef inline int64_t take_fee(Money* m, int128 notional, int32_t rate_ppm) noexcept nogil:
    """Fee of the next fill, quote units, negative for a rebate; moves the order's remainder.

    0 <= m.fee_rem < 1e6 before and after. |notional| <= 2^62 and |rate| <= 1e6 keep the product below 2^83.
    """
    cdef int128 x
    cdef int64_t fee
    cdef uint64_t y
    if likely(notional >> SMALL_BITS == 0 and rate_ppm >= 0):
        y = <uint64_t>notional * <uint32_t>rate_ppm + m.fee_rem
        m.fee_rem = <uint32_t>(y % <uint64_t>PPM)
        return <int64_t>(y / <uint64_t>PPM)
    x = notional * rate_ppm + m.fee_rem
    fee = floor_ppm(x)
    m.fee_rem = <uint32_t>(x - <int128>fee * PPM)
    return fee


cdef inline int64_t fee_on(uint32_t fee_rem, int128 notional, int32_t bound_ppm) noexcept nogil:
    """Most that a remaining notional can still cost, given the remainder: the fee part of a hold."""
    if likely(notional >> SMALL_BITS == 0):
        return <int64_t>((<uint64_t>notional * <uint32_t>bound_ppm + fee_rem) / <uint64_t>PPM)
    return floor_ppm(notional * bound_ppm + fee_rem)
