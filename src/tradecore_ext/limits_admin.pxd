"""LIMITS: change the limits of an account, a group or the firm.

Owner of: the ranges of limits, which of them are on, and when sums over accounts begin to be kept.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tradecore_ext.limits cimport bucket_cap
from tradecore_ext.reply cimport SA_BAD_FIELD, SA_CAPACITY_GROUPS, SA_UNKNOWN_ACCOUNT, done, known, refuse
from tradecore_ext.state cimport Engine, Limits, RiskNode, Rules
from tradecore_ext.sums cimport sums_start
from tradecore_ext.types cimport *
from tradecore_ext.watch cimport watch_account

cdef enum:
    ALL_LIMITS = 511
    GROUP_LIMITS_NEED_SUMS = 4 | 8 | 16   # position, gross, open orders


cdef inline bint limit_in_range(int64_t x) noexcept nogil:
    return 0 <= x <= TC_MAX_CASH


cdef inline bint limits_in_range(const tc_limits* l) noexcept nogil:
    """Ranges of the fields that the mask names."""
    if l.scope < TC_SCOPE_ACCOUNT or l.scope > TC_SCOPE_FIRM or l.mask > ALL_LIMITS:
        return False
    if (l.scope != TC_SCOPE_ACCOUNT and l.account_id) or (l.scope != TC_SCOPE_GROUP and l.group_id):
        return False
    return (
        limit_in_range(l.max_order_qty) and limit_in_range(l.max_order_notional)
        and limit_in_range(l.max_position_qty) and limit_in_range(l.max_gross_notional)
        and limit_in_range(l.max_open_orders)
        and l.duplicate_window_ns >> 62 == 0 and l.stale_ns >> 62 == 0
    )


cdef inline void limits_on(Limits* x) noexcept nogil:
    """Derive which limits are on."""
    x.any = (
        (TC_LIM_ORDER_QTY if x.max_order_qty else 0)
        | (TC_LIM_ORDER_NOTIONAL if x.max_order_notional else 0)
        | (TC_LIM_POSITION if x.max_position_qty else 0)
        | (TC_LIM_GROSS_NOTIONAL if x.max_gross_notional else 0)
        | (TC_LIM_OPEN_ORDERS if x.max_open_orders else 0)
        | (TC_LIM_RATE if x.rate_per_s else 0)
        | (TC_LIM_DUPLICATE if x.duplicate_window_ns and x.duplicate_count else 0)
        | (TC_LIM_COLLAR if x.collar_ppm else 0)
        | (TC_LIM_STALE if x.stale_ns else 0)
    )


cdef inline void write_limits(Engine* e, Rules* r, const tc_limits* l) noexcept nogil:
    cdef Limits* x = &r.limits
    if l.mask & TC_LIM_ORDER_QTY:
        x.max_order_qty = l.max_order_qty
    if l.mask & TC_LIM_ORDER_NOTIONAL:
        x.max_order_notional = l.max_order_notional
    if l.mask & TC_LIM_POSITION:
        x.max_position_qty = l.max_position_qty
    if l.mask & TC_LIM_GROSS_NOTIONAL:
        x.max_gross_notional = l.max_gross_notional
    if l.mask & TC_LIM_OPEN_ORDERS:
        x.max_open_orders = l.max_open_orders
    if l.mask & TC_LIM_COLLAR:
        x.collar_ppm = l.collar_ppm
    if l.mask & TC_LIM_STALE:
        x.stale_ns = l.stale_ns
    if l.mask & TC_LIM_RATE:
        x.rate_per_s = l.rate_per_s
        x.rate_burst = l.rate_burst
        r.bucket.tokens = bucket_cap(x)
        r.bucket.refilled_ns = e.now
    if l.mask & TC_LIM_DUPLICATE:
        x.duplicate_window_ns = l.duplicate_window_ns
        x.duplicate_count = l.duplicate_count
        r.bucket.dup_seen = 0
    limits_on(x)


cdef inline void set_limits(Engine* e, const tc_limits* l) noexcept nogil:
    """LIMITS: change the named limits of an account, a group or the firm. O(1); O(state) when a limit starts the
    sums over accounts."""
    cdef const tc_admin* a = <const tc_admin*>l
    cdef RiskNode* node = &e.firm
    cdef Rules* rules = &e.firm_rules
    cdef uint32_t i
    if not limits_in_range(l):
        refuse(e, a, SA_BAD_FIELD, 0, 0)
        return
    if l.scope == TC_SCOPE_ACCOUNT:
        if not known(e, l.account_id):
            refuse(e, a, SA_UNKNOWN_ACCOUNT, 0, 0)
            return
        node = e.account + l.account_id
        rules = e.account_rules + l.account_id
    elif l.scope == TC_SCOPE_GROUP:
        if l.group_id == 0 or l.group_id >= e.max_groups:
            refuse(e, a, SA_CAPACITY_GROUPS, l.group_id, e.max_groups)
            return
        node = e.group + l.group_id
        rules = e.group_rules + l.group_id
    write_limits(e, rules, l)
    node.limited = rules.limits.any
    if l.scope == TC_SCOPE_ACCOUNT:
        watch_account(e, l.account_id)
    if node.limited & (TC_LIM_GROSS_NOTIONAL if l.scope == TC_SCOPE_ACCOUNT else GROUP_LIMITS_NEED_SUMS):
        sums_start(e)
    e.limited_any = e.firm.limited != 0
    for i in range(e.max_groups):
        e.limited_any |= e.group[i].limited != 0
    done(e, a)
