"""What must be true of margin pools between commands, beyond the sums that accounts_audit.pxd recomputes.

Owner of: audit codes 123 and 124 (docs/reference/margin.md section 7).  Called by accounts_audit.
O(positions + wallets).
"""
from libc.stdint cimport uint32_t

from tradecore_ext.bookaudit cimport broken
from tradecore_ext.state cimport AuditResult, Engine, Position
from tradecore_ext.types cimport TC_MARGIN_ISOLATED, TC_STATE_LIQ_REDUCE

cdef enum:
    AM_TOUCHED = 123
    AM_FLAT = 124


cdef inline bint audit_flat(Engine* e, uint32_t n, AuditResult* r) noexcept nogil:
    """A position without lots has no cost; only an isolated one, or the debt of one, holds cash."""
    cdef const Position* p = e.position + n
    if p.qty == 0 and broken(r, p.cost == 0, AM_FLAT, n, p.cost, 0):
        return True
    if p.mode != TC_MARGIN_ISOLATED or (p.qty == 0 and p.state < TC_STATE_LIQ_REDUCE):
        return broken(r, p.iso_margin == 0, AM_FLAT, n, p.iso_margin, 0)
    return False


cdef inline bint margin_audit(Engine* e, AuditResult* r) noexcept nogil:
    """True, with the finding in r, where a pool still waits for its evaluation or a flat position keeps something."""
    cdef uint32_t i
    for i in range(e.n_positions):
        if e.book[e.position[i].instrument_id].linear and audit_flat(e, i, r):
            return True
        if broken(r, e.position[i].dirty == 0, AM_TOUCHED, i, 1, 0):
            return True
    for i in range(e.n_wallets):
        if broken(r, e.wallet[i].dirty == 0, AM_TOUCHED, i, 1, 0):
            return True
    return broken(r, e.n_dirty == 0, AM_TOUCHED, 0, e.n_dirty, 0)
