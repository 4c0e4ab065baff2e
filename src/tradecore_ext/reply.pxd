"""How a command on accounts answers: refused with the ids as sent, or done."""
from libc.stdint cimport int64_t, uint16_t, uint32_t

from tradecore_ext.emit cimport emit_done, emit_refused
from tradecore_ext.state cimport Engine
from tradecore_ext.types cimport tc_admin

cdef enum:
    SA_BAD_FIELD = 103
    SA_UNKNOWN_INSTRUMENT = 200
    SA_UNKNOWN_ACCOUNT = 300
    SA_INSUFFICIENT_FUNDS = 313
    SA_BALANCE_OVERFLOW = 320
    SA_KILL_SWITCH = 322
    SA_CAPACITY_ACCOUNTS = 504
    SA_CAPACITY_POSITIONS = 505
    SA_CAPACITY_GROUPS = 509
    SA_CAPACITY_ASSETS = 510
    SA_CAPACITY_WALLETS = 511


cdef inline bint known(const Engine* e, uint32_t account_id) noexcept nogil:
    return account_id < e.max_accounts and e.account[account_id].exists


cdef inline void refuse(Engine* e, const tc_admin* a, uint16_t status, int64_t observed, int64_t limit) noexcept nogil:
    emit_refused(e, status, a.kind, a.account_id, a.instrument_id, observed, limit)


cdef inline void done(Engine* e, const tc_admin* a) noexcept nogil:
    emit_done(e, a.kind, a.account_id, a.instrument_id)
