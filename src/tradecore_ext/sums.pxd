"""Sums over accounts that limits of groups and of the firm need, and gross notional.

Owner of: Engine.track, GroupPosition, gross_notional and the open orders of groups and firm.  Nothing is kept
before the first such limit is set: then everything is added up once from the orders and positions, and kept
from there on (Engine.track is one byte that every order tests).
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from tradecore_ext.emit cimport order_px
from tradecore_ext.keytable cimport firm_get, group_get
from tradecore_ext.mathx cimport int128, likely, mul_over, unlikely
from tradecore_ext.state cimport NIL, OF_CASH, Engine, GroupPosition, Order, Position, RiskNode


cdef inline int128 wide_notional(int64_t px, int64_t qty, int64_t multiplier) noexcept nogil:
    """px * qty * multiplier for non-negative operands; beyond 2^125 it stays there (only ever compared)."""
    cdef int128 p = <int128>px * multiplier
    if p > <int128>1 << 63 and qty > 1:
        return <int128>1 << 125
    return p * qty


cdef inline int128 notional(int64_t px, int64_t qty, int64_t multiplier) noexcept nogil:
    """wide_notional, quicker where 64 bits are enough."""
    cdef int64_t one, value
    if likely(not mul_over(px, multiplier, &one) and not mul_over(one, qty, &value)):
        return value
    return wide_notional(px, qty, multiplier)


cdef inline int128 order_gross(Engine* e, const Order* o, int64_t px, int64_t leaves) noexcept nogil:
    """What an order adds to gross notional: orders without a price and cash orders count nothing."""
    if px <= 0 or o.flags & OF_CASH:
        return 0
    return notional(px, leaves, e.book[o.instrument_id].multiplier)


cdef inline void add_position(Engine* e, uint32_t group_id, const Position* p) noexcept nogil:
    """Add a whole position to the sums; a fresh arena has room for every position twice."""
    cdef GroupPosition* g = e.group_position + group_get(e, group_id, p.instrument_id)
    g.qty += p.qty
    g.open_buy += p.open_buy
    g.open_sell += p.open_sell


cdef inline void rebuild_positions(Engine* e) noexcept nogil:
    """Add up the positions of every group and of the firm. O(accounts + positions)."""
    cdef uint32_t i
    cdef const Position* p
    memset(e.group_positions.entry, 0, (e.group_positions.mask + 1) * sizeof(uint64_t))
    memset(e.group_position, 0, e.n_group_positions * sizeof(GroupPosition))
    e.group_positions.used = 0
    e.n_group_positions = 0
    for i in range(e.max_instruments):
        e.book[i].firm_sums = 0
    for i in range(e.n_positions):
        p = e.position + i
        if p.qty or p.open_buy or p.open_sell:
            if e.account[p.account_id].group_id:
                add_position(e, e.account[p.account_id].group_id, p)
            add_position(e, 0, p)


cdef inline bint add_change(
    Engine* e, uint32_t group_id, uint32_t instrument_id, int64_t qty, int64_t buy, int64_t sell
) noexcept nogil:
    """Add a change; True where the arena was full of sums that nobody belongs to any more (accounts had changed
    their group): then everything has been added up afresh, this change included."""
    cdef uint32_t slot = group_get(e, group_id, instrument_id) if group_id else firm_get(e, instrument_id)
    cdef GroupPosition* g
    if unlikely(slot == NIL):
        rebuild_positions(e)
        return True
    g = e.group_position + slot
    g.qty += qty
    g.open_buy += buy
    g.open_sell += sell
    return False


cdef inline void sums_position(
    Engine* e, uint32_t account_id, uint32_t instrument_id, int64_t qty, int64_t buy, int64_t sell
) noexcept nogil:
    """The position has just changed by so much (already written). Only while Engine.track is on."""
    cdef uint32_t group_id = e.account[account_id].group_id
    if group_id and add_change(e, group_id, instrument_id, qty, buy, sell):
        return
    add_change(e, 0, instrument_id, qty, buy, sell)


cdef inline void sums_working(
    Engine* e, uint32_t account_id, uint32_t instrument_id, int64_t buy, int64_t sell
) noexcept nogil:
    """sums_position of working lots alone: what every order asks for, most of them for the firm and no group."""
    cdef uint32_t known = e.book[instrument_id].firm_sums
    cdef GroupPosition* g
    if unlikely(known == 0 or e.account[account_id].group_id != 0):
        sums_position(e, account_id, instrument_id, 0, buy, sell)
        return
    g = e.group_position + known - 1
    g.open_buy += buy
    g.open_sell += sell


cdef inline void sums_order(Engine* e, uint32_t account_id, int orders, int128 gross) noexcept nogil:
    """Orders of the account have come or gone, their notional has changed. Only while Engine.track is on."""
    cdef RiskNode* a = e.account + account_id
    a.gross_notional += gross
    e.firm.gross_notional += gross
    e.firm.open_orders += orders
    if a.group_id:
        e.group[a.group_id].gross_notional += gross
        e.group[a.group_id].open_orders += orders


cdef inline void sums_start(Engine* e) noexcept nogil:
    """From now on the sums are kept: add everything up once. O(accounts + positions + orders)."""
    cdef uint32_t i, n, p
    cdef RiskNode* a
    if e.track:
        return
    e.track = 1
    rebuild_positions(e)
    e.firm.gross_notional = 0
    e.firm.open_orders = 0
    for i in range(e.max_groups):
        e.group[i].gross_notional = 0
        e.group[i].open_orders = 0
    for i in range(e.max_accounts):
        a = e.account + i
        a.gross_notional = 0
        if not a.exists:
            continue
        p = a.positions_head
        while p != NIL:
            n = e.position[p].orders_head
            while n != NIL:
                sums_order(e, i, 1, order_gross(e, e.order + n, order_px(e, e.order + n), e.order[n].leaves_qty))
                n = e.money[n].held_next
            p = e.position[p].acct_next
