"""INSTRUMENT commands: create a book, or change what may change.

Owner of: which fields of an instrument are fixed once it exists; their ranges are framecheck.pxd's.
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t

from tradecore_ext.emit cimport emit_done, emit_refused
from tradecore_ext.filters cimport derive_band
from tradecore_ext.ladder cimport ladder_init
from tradecore_ext.liquidation cimport liquidation_step
from tradecore_ext.margin cimport margin_insurer, margin_revalue
from tradecore_ext.mathx cimport I64_MAX
from tradecore_ext.state cimport FILTER_ALL, FILTER_QTY, FILTER_RANGE, NIL, Book, Engine
from tradecore_ext.types cimport *

cdef enum:
    SX_INSTRUMENT_CHANGE = 213
    SX_CAPACITY_INSTRUMENTS = 506
    SX_CAPACITY_ASSETS = 510


cdef inline bint fixed_fields_differ(const Engine* e, const Book* b, const tc_instrument* d) noexcept nogil:
    """Fields that give stored quantities their meaning, and fees while orders hold funds for them."""
    if (
        b.spec.instrument_type != d.instrument_type or b.spec.base_asset != d.base_asset
        or b.spec.quote_asset != d.quote_asset or b.spec.tick != d.tick or b.spec.lot != d.lot
        or b.spec.multiplier != d.multiplier or b.spec.base_per_lot != d.base_per_lot or b.spec.algo != d.algo
    ):
        return True
    if b.spec.trigger != d.trigger and (b.n_stops or b.n_trailing):
        return True
    return e.accounts and b.n_live != 0 and (
        b.spec.maker_fee_ppm != d.maker_fee_ppm or b.spec.taker_fee_ppm != d.taker_fee_ppm
    )


cdef inline void adopt_spec(Book* b, const tc_instrument* d) noexcept nogil:
    """Copy the definition and derive what the hot path reads."""
    b.spec = d[0]
    b.spec.ts_ns = 0
    if b.spec.max_iceberg_parts == 0:
        b.spec.max_iceberg_parts = 100
    if b.spec.max_trailing == 0:
        b.spec.max_trailing = 256
    b.multiplier = d.multiplier
    b.base_per_lot = d.base_per_lot
    b.maker_fee_ppm = d.maker_fee_ppm
    b.taker_fee_ppm = d.taker_fee_ppm
    b.quote_asset = d.quote_asset
    b.base_asset = d.base_asset
    b.max_order_qty = d.max_order_qty if d.max_order_qty else TC_MAX_QTY
    b.linear = d.instrument_type == TC_TYPE_LINEAR
    b.breakers = d.static_band_ppm != 0 or d.dynamic_band_ppm != 0
    b.prorata = d.algo == TC_ALGO_PRORATA
    b.trigger = d.trigger
    derive_band(b)
    b.plain = FILTER_ALL
    if d.tick == 1 and d.lot == 1:
        b.plain = FILTER_RANGE
        if d.min_order_qty <= 1 and d.min_notional == 0 and d.band_up_ppm == 0 and d.band_down_ppm == 0:
            b.plain = FILTER_QTY


cdef inline void open_book(Engine* e, uint32_t instrument_id, const tc_instrument* d) noexcept nogil:
    """Make the book of a new instrument; all of Book is zero before."""
    cdef Book* b = e.book + instrument_id
    cdef int i
    for i in range(4):
        ladder_init(&b.ladder[i], instrument_id)
    b.trailing_head = NIL
    b.positions_head = NIL
    b.phase_timer = NIL
    b.lo_px = I64_MAX
    b.phase = d.phase if d.phase else TC_PHASE_CONTINUOUS
    b.exists = 1
    adopt_spec(b, d)
    if b.linear:
        e.linear_any = 1
        margin_insurer(e, d.insurance_account, 1)


cdef inline void define_instrument(Engine* e, const tc_instrument* d) noexcept nogil:
    """INSTRUMENT, frames already checked."""
    cdef Book* b
    if d.instrument_id >= e.max_instruments:
        emit_refused(e, SX_CAPACITY_INSTRUMENTS, d.kind, 0, d.instrument_id, 0, 0)
        return
    if e.accounts and (d.base_asset >= e.max_assets or d.quote_asset >= e.max_assets):
        emit_refused(e, SX_CAPACITY_ASSETS, d.kind, 0, d.instrument_id, 0, 0)
        return
    b = e.book + d.instrument_id
    if not b.exists:
        open_book(e, d.instrument_id, d)
    elif fixed_fields_differ(e, b, d):
        emit_refused(e, SX_INSTRUMENT_CHANGE, d.kind, 0, d.instrument_id, 0, 0)
        return
    else:
        if b.spec.trigger != d.trigger:
            b.lo_px = I64_MAX
            b.hi_px = 0
        if b.linear:
            margin_insurer(e, b.spec.insurance_account, -1)
            margin_insurer(e, d.insurance_account, 1)
        adopt_spec(b, d)
        if e.accounts:
            margin_revalue(e, d.instrument_id)
    emit_done(e, d.kind, 0, d.instrument_id)
    if e.accounts:
        liquidation_step(e)
