"""What an instrument lets through: tick, lot, sizes, notional, price band, parts of an iceberg.

Owner of: checks 7 of docs/reference/semantics.md, and the bounds of the price band, which are computed when the
definition or the reference price changes, not for every order.
"""
from libc.stdint cimport int64_t, uint16_t

from tradecore_ext.mathx cimport I64_MAX, PPM, int128, mul128
from tradecore_ext.state cimport Book, Verdict

cdef enum:
    SI_TICK = 202
    SI_LOT = 203
    SI_MIN_QTY = 204
    SI_MAX_QTY = 205
    SI_MIN_NOTIONAL = 206
    SI_PRICE_BAND = 207
    SI_ICEBERG_PARTS = 208


cdef inline void derive_band(Book* b) noexcept nogil:
    """Bounds of the band around spec.band_ref_px; a side without one is open."""
    cdef int64_t r = b.spec.band_ref_px
    cdef int128 hi = <int128>r + mul128(r, b.spec.band_up_ppm) / PPM
    b.band_lo_px = 0
    b.band_hi_px = I64_MAX
    if r and b.spec.band_up_ppm and hi < I64_MAX:
        b.band_hi_px = <int64_t>hi
    if r and b.spec.band_down_ppm:
        b.band_lo_px = r - <int64_t>(mul128(r, b.spec.band_down_ppm) / PPM)


cdef inline void set_band_ref(Book* b, int64_t px) noexcept nogil:
    """A new reference price for band and static breaker."""
    b.spec.band_ref_px = px
    derive_band(b)


cdef inline uint16_t check_filters(
    const Book* b, int64_t px, int64_t stop_px, int64_t order_qty, int64_t display, int64_t min_qty,
    int64_t cash, Verdict* v
) noexcept nogil:
    """Checks 7: tick, lot, quantity, notional, band, iceberg parts. Divides only where tick or lot is not 1."""
    cdef int128 notional
    cdef int64_t at
    if b.spec.tick != 1 and (px % b.spec.tick or stop_px % b.spec.tick):
        v.observed = px if px % b.spec.tick else stop_px
        v.limit = b.spec.tick
        return SI_TICK
    if b.spec.lot != 1 and (order_qty % b.spec.lot or display % b.spec.lot or min_qty % b.spec.lot):
        v.observed = order_qty if order_qty % b.spec.lot else (display if display % b.spec.lot else min_qty)
        v.limit = b.spec.lot
        return SI_LOT
    if cash == 0 and order_qty < b.spec.min_order_qty:
        v.observed = order_qty
        v.limit = b.spec.min_order_qty
        return SI_MIN_QTY
    if order_qty > b.max_order_qty:
        v.observed = order_qty
        v.limit = b.max_order_qty
        return SI_MAX_QTY
    if b.spec.min_notional:
        at = px if px else b.last_px
        if cash:
            notional = cash
        elif at:
            notional = mul128(at, order_qty)
            if notional >> 63 == 0:
                notional *= b.multiplier  # at most 2^62; what is 2^63 or more passes any minimum already
        else:
            notional = b.spec.min_notional
        if notional < b.spec.min_notional:
            v.observed = <int64_t>notional  # below min_notional, so it fits
            v.limit = b.spec.min_notional
            return SI_MIN_NOTIONAL
    if px > b.band_hi_px:
        v.observed = px
        v.limit = b.band_hi_px
        return SI_PRICE_BAND
    if px and px < b.band_lo_px:
        v.observed = px
        v.limit = b.band_lo_px
        return SI_PRICE_BAND
    if display:
        at = (order_qty - 1) / display + 1
        if at > b.spec.max_iceberg_parts:
            v.observed = at
            v.limit = b.spec.max_iceberg_parts
            return SI_ICEBERG_PARTS
    return 0
