"""Everything about linear positions, computed again from scratch.

Owner of: audit codes 120-129 (docs/reference/margin.md section 7).  Called by accounts_audit; O(positions + wallets).
"""
from libc.stdint cimport int64_t, uint32_t

from tradecore_ext.mathx cimport abs64, int128
from tradecore_ext.pools cimport margin_of, unrealised, worst_qty
from tradecore_ext.state cimport NIL, AuditResult, Book, Engine, Position, Wallet
from tradecore_ext.types cimport TC_MARGIN_ISOLATED, TC_STATE_LIQ_REDUCE

cdef enum:
    AM_UPNL = 120
    AM_INITIAL = 121
    AM_MAINTENANCE = 122
    AM_HELD = 123
    AM_WALLET_UPNL = 124
    AM_WALLET_INITIAL = 125
    AM_WALLET_MAINTENANCE = 126
    AM_CLEARING = 127
    AM_TOUCHED = 128
    AM_FLAT = 129


cdef inline bint differs(
    AuditResult* r, uint32_t code, uint32_t where, int128 observed, int128 expected
) noexcept nogil:
    """Write the finding down. True where the two values differ."""
    if observed == expected:
        return False
    r.code = code
    r.where = where
    r.observed = <int64_t>observed
    r.expected = <int64_t>expected
    return True


cdef inline bint audit_position(Engine* e, uint32_t n, AuditResult* r) noexcept nogil:
    """Valuation of one position, and what a flat one must not have."""
    cdef const Position* p = e.position + n
    cdef const Book* b = e.book + p.instrument_id
    cdef int64_t own = margin_of(b, abs64(p.qty), False)
    cdef int64_t initial = margin_of(b, worst_qty(p.qty, p.open_buy, p.open_sell), False)
    cdef int64_t held = initial
    if p.mode == TC_MARGIN_ISOLATED:
        initial = own
        held -= own
    if differs(r, AM_UPNL, n, p.upnl, unrealised(b, p.qty, p.cost)):
        return True
    if differs(r, AM_INITIAL, n, p.initial_margin, initial):
        return True
    if differs(r, AM_MAINTENANCE, n, p.maintenance_margin, margin_of(b, abs64(p.qty), True)):
        return True
    if differs(r, AM_HELD, n, p.held_im, held):
        return True
    if p.qty == 0 and differs(r, AM_FLAT, n, p.cost, 0):
        return True
    if p.mode != TC_MARGIN_ISOLATED or (p.qty == 0 and p.state < TC_STATE_LIQ_REDUCE):
        if differs(r, AM_FLAT, n, p.iso_margin, 0):
            return True
    return differs(r, AM_TOUCHED, n, p.dirty, 0)


cdef inline bint audit_pool_sums(Engine* e, uint32_t n, AuditResult* r) noexcept nogil:
    """What a wallet says about its cross positions."""
    cdef const Wallet* w = e.wallet + n
    cdef const Position* p
    cdef uint32_t i = e.account[w.account_id].positions_head
    cdef int128 upnl = 0
    cdef int128 initial = 0
    cdef int128 maintenance = 0
    while i != NIL:
        p = e.position + i
        if e.book[p.instrument_id].linear and p.quote_wallet == n and p.mode != TC_MARGIN_ISOLATED:
            upnl += p.upnl
            initial += p.initial_margin
            maintenance += p.maintenance_margin
        i = p.acct_next
    if differs(r, AM_WALLET_UPNL, n, w.upnl, upnl):
        return True
    if differs(r, AM_WALLET_INITIAL, n, w.initial_margin, initial):
        return True
    if differs(r, AM_WALLET_MAINTENANCE, n, w.maintenance_margin, maintenance):
        return True
    return differs(r, AM_TOUCHED, n, w.dirty, 0)


cdef inline bint audit_clearing(Engine* e, uint32_t asset, AuditResult* r) noexcept nogil:
    """Clearing is minus everything that linear positions have realised in the asset."""
    cdef const Position* p
    cdef int128 sum = 0
    cdef uint32_t i
    for i in range(e.n_positions):
        p = e.position + i
        if e.book[p.instrument_id].linear and e.book[p.instrument_id].spec.quote_asset == asset:
            sum -= p.realised
    return differs(r, AM_CLEARING, asset, e.clearing[asset], sum)


cdef inline bint margin_audit(Engine* e, AuditResult* r) noexcept nogil:
    """True, with the finding in r, where an identity of linear instruments does not hold."""
    cdef uint32_t i
    for i in range(e.n_positions):
        if e.book[e.position[i].instrument_id].linear and audit_position(e, i, r):
            return True
    for i in range(e.n_wallets):
        if audit_pool_sums(e, i, r):
            return True
    for i in range(e.max_instruments):
        if e.book[i].exists and e.book[i].linear and audit_clearing(e, e.book[i].spec.quote_asset, r):
            return True
    return False
