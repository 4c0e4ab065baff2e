"""O(state) audit of accounts: every hold, sum and list recomputed from the orders and positions.

Owner of: audit codes 101-129 (docs/reference/accounts.md section 7).  Called by Engine.audit(), and after every
command in the audit build.  Nothing is allocated and nothing is changed.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tradecore_ext.bookaudit cimport broken
from tradecore_ext.emit cimport order_px
from tradecore_ext.held cimport held_sibling, own_need
from tradecore_ext.holds cimport hold_wallet
from tradecore_ext.keytable cimport group_find, position_find, wallet_find
from tradecore_ext.limits cimport clip
from tradecore_ext.margin_audit cimport margin_audit
from tradecore_ext.mathx cimport PPM, abs64, int128, max64
from tradecore_ext.pools cimport held_margin, margin_of, unrealised, worst_qty
from tradecore_ext.state cimport (
    NIL,
    OF_CASH,
    OF_HELD,
    ST_FREE,
    AuditResult,
    Book,
    Engine,
    GroupPosition,
    Money,
    Order,
    Position,
    RiskNode,
    Wallet,
)
from tradecore_ext.sums cimport order_gross
from tradecore_ext.types cimport TC_MARGIN_ISOLATED, TC_SIDE_BUY
from tradecore_ext.watch cimport account_watched, count_orders

cdef enum:
    AA_WALLET_HOLD = 101
    AA_ORDER_HOLD = 102
    AA_PAIR_HOLD = 103
    AA_WORKING = 104
    AA_ORDER_LIST = 105
    AA_CONSERVATION = 106
    AA_WALLET_RANGE = 107
    AA_FEE_REM = 108
    AA_LOTS = 109
    AA_SUMS = 110
    AA_RECORDS = 111
    AA_VALUATION = 120
    AA_POOL = 121
    AA_CLEARING = 122


cdef inline bint audit_held(Engine* e, uint32_t slot, AuditResult* r) noexcept nogil:
    """One held order: its remainder, its hold, its record."""
    cdef Order* o = e.order + slot
    cdef Money* m = e.money + slot
    cdef Position* p = e.position + m.position
    cdef int64_t need = own_need(e, slot, order_px(e, o), o.leaves_qty)
    cdef uint32_t sibling = held_sibling(e, o)
    cdef int64_t other
    if broken(r, m.fee_rem < PPM, AA_FEE_REM, slot, m.fee_rem, PPM):
        return True
    if broken(r, p.account_id == o.account_id and p.instrument_id == o.instrument_id, AA_RECORDS, slot, m.position, 0):
        return True
    if not e.book[o.instrument_id].linear and broken(
        r, m.own.wallet == hold_wallet(p, o.side), AA_RECORDS, slot, m.own.wallet, hold_wallet(p, o.side)
    ):
        return True
    if sibling != NIL:
        other = own_need(e, sibling, order_px(e, e.order + sibling), e.order[sibling].leaves_qty)
        return not e.book[o.instrument_id].linear and broken(
            r, m.hold + e.money[sibling].hold >= max64(need, other), AA_PAIR_HOLD, slot,
            m.hold + e.money[sibling].hold, max64(need, other)
        )
    if e.book[o.instrument_id].linear:
        # A rebate can raise the formula by a unit; a linear hold never grows (margin.md section 2).
        return broken(r, 0 <= m.hold <= need, AA_ORDER_HOLD, slot, m.hold, need)
    return broken(r, m.hold == need, AA_ORDER_HOLD, slot, m.hold, need)


cdef inline bint audit_position(Engine* e, uint32_t slot, AuditResult* r) noexcept nogil:
    """One position: working lots from the account's orders, valuation at the mark, its links."""
    cdef Position* p = e.position + slot
    cdef Book* b = e.book + p.instrument_id
    cdef int64_t buy = 0
    cdef int64_t sell = 0
    cdef int64_t mm
    cdef uint32_t n = p.orders_head
    while n != NIL:
        if not (e.order[n].flags & OF_CASH):
            if e.order[n].side == TC_SIDE_BUY:
                buy += e.order[n].leaves_qty
            else:
                sell += e.order[n].leaves_qty
        n = e.money[n].held_next
    if broken(r, p.open_buy == buy, AA_WORKING, slot, p.open_buy, buy):
        return True
    if broken(r, p.open_sell == sell, AA_WORKING, slot, p.open_sell, sell):
        return True
    if broken(
        r,
        position_find(e, p.account_id, p.instrument_id) == slot
        and wallet_find(e, p.account_id, b.quote_asset) == p.quote_wallet
        and (p.base_wallet == NIL if b.linear else wallet_find(e, p.account_id, b.base_asset) == p.base_wallet),
        AA_RECORDS, slot, p.quote_wallet, p.base_wallet
    ):
        return True
    if not b.linear:
        return False
    mm = margin_of(b, abs64(p.qty), True)
    return (
        broken(r, p.upnl == unrealised(b, p.qty, p.cost), AA_VALUATION, slot, p.upnl, unrealised(b, p.qty, p.cost))
        or broken(r, p.maintenance_margin == mm, AA_VALUATION, slot, p.maintenance_margin, mm)
        or broken(
            r, p.held_im == held_margin(b, p, buy, sell), AA_VALUATION, slot, p.held_im, held_margin(b, p, buy, sell)
        )
    )


cdef inline bint audit_wallet(Engine* e, uint32_t slot, AuditResult* r) noexcept nogil:
    """One wallet: its hold and its pool's sums, from the account's orders and positions. O(both)."""
    cdef Wallet* w = e.wallet + slot
    cdef Position* p
    cdef int128 hold = 0
    cdef int64_t upnl = 0
    cdef int64_t im = 0
    cdef int64_t mm = 0
    cdef uint32_t n = e.account[w.account_id].positions_head
    cdef uint32_t at, m
    cdef bint linear = False
    while n != NIL:
        p = e.position + n
        m = p.orders_head
        while m != NIL:
            at = p.quote_wallet if e.book[p.instrument_id].linear else hold_wallet(p, e.order[m].side)
            if at == slot:
                hold += e.money[m].hold
            m = e.money[m].held_next
        if p.quote_wallet == slot and e.book[p.instrument_id].linear:
            linear = True
            hold += p.held_im
            if p.mode != TC_MARGIN_ISOLATED:
                upnl += p.upnl
                im += p.initial_margin
                mm += p.maintenance_margin
        n = p.acct_next
    return (
        broken(r, w.hold == hold, AA_WALLET_HOLD, slot, w.hold, clip(hold))
        or broken(r, w.hold >= 0 and (linear or w.total >= w.hold), AA_WALLET_RANGE, slot, w.total, w.hold)
        or broken(r, w.upnl == upnl, AA_POOL, slot, w.upnl, upnl)
        or broken(r, w.initial_margin == im, AA_POOL, slot, w.initial_margin, im)
        or broken(r, w.maintenance_margin == mm, AA_POOL, slot, w.maintenance_margin, mm)
        or broken(r, wallet_find(e, w.account_id, w.asset_id) == slot, AA_RECORDS, slot, w.asset_id, 0)
    )


cdef inline bint audit_orders(
    Engine* e, uint32_t position, uint32_t* count, int128* gross, AuditResult* r
) noexcept nogil:
    """The held orders of one position: linked both ways, its own; adds their number and gross notional."""
    cdef const Position* p = e.position + position
    cdef uint32_t n = p.orders_head
    cdef uint32_t before = NIL
    cdef Order* o
    while n != NIL:
        o = e.order + n
        if broken(
            r,
            o.account_id == p.account_id and o.state != ST_FREE and (o.flags & OF_HELD)
            and e.money[n].position == position and e.money[n].held_prev == before,
            AA_ORDER_LIST, p.account_id, n, before
        ):
            return True
        gross[0] += order_gross(e, o, order_px(e, o), o.leaves_qty)
        before = n
        count[0] += 1
        if audit_held(e, n, r):
            return True
        n = e.money[n].held_next
    return False


cdef inline bint audit_account(Engine* e, uint32_t account_id, AuditResult* r) noexcept nogil:
    """The account's lists: positions, their orders, and wallets its own; gross notional while it is kept."""
    cdef RiskNode* a = e.account + account_id
    cdef uint32_t n = a.positions_head
    cdef uint32_t count = 0
    cdef int128 gross = 0
    while n != NIL:
        if audit_orders(e, n, &count, &gross, r):
            return True
        n = e.position[n].acct_next
    if broken(
        r, a.open_orders == (count if account_watched(e, account_id) else 0), AA_ORDER_LIST, account_id, a.open_orders,
        count
    ):
        return True
    if e.track and broken(r, a.gross_notional == gross, AA_SUMS, account_id, clip(a.gross_notional), clip(gross)):
        return True
    n = a.positions_head
    while n != NIL:
        if broken(r, e.position[n].account_id == account_id, AA_RECORDS, n, e.position[n].account_id, account_id):
            return True
        if broken(
            r, e.position[n].watched == account_watched(e, account_id), AA_RECORDS, n, e.position[n].watched, account_id
        ):
            return True
        if audit_position(e, n, r):
            return True
        n = e.position[n].acct_next
    n = a.wallets_head
    while n != NIL:
        if broken(r, e.wallet[n].account_id == account_id, AA_RECORDS, n, e.wallet[n].account_id, account_id):
            return True
        if audit_wallet(e, n, r):
            return True
        n = e.wallet[n].acct_next
    return False


# ---- sums over everybody -----------------------------------------------------------------------------------


cdef inline bint audit_asset(Engine* e, uint32_t asset_id, AuditResult* r) noexcept nogil:
    """Nothing comes from nowhere: wallets + isolated margins + fees + clearing = deposits, per asset."""
    cdef int128 x = <int128>e.fees[asset_id] + e.clearing[asset_id]
    cdef int128 realised = 0
    cdef uint32_t i
    cdef Book* b
    for i in range(e.n_wallets):
        if e.wallet[i].asset_id == asset_id:
            x += e.wallet[i].total
    for i in range(e.n_positions):
        b = e.book + e.position[i].instrument_id
        if b.linear and b.quote_asset == asset_id:
            x += e.position[i].iso_margin
            realised += e.position[i].realised
    return broken(r, x == e.deposits[asset_id], AA_CONSERVATION, asset_id, clip(x), e.deposits[asset_id]) or broken(
        r, realised == -e.clearing[asset_id], AA_CLEARING, asset_id, clip(realised), -e.clearing[asset_id]
    )


cdef inline bint audit_instrument(Engine* e, uint32_t instrument_id, AuditResult* r) noexcept nogil:
    """Lots bought = lots sold; every position of the instrument stands in its list; held orders in accounts."""
    cdef uint32_t n = e.book[instrument_id].positions_head
    cdef int128 lots = 0
    cdef int128 buy = 0
    cdef int128 sell = 0
    cdef uint32_t count = 0
    while n != NIL:
        if broken(
            r, e.position[n].instrument_id == instrument_id and count <= e.n_positions, AA_RECORDS, n, instrument_id,
            e.position[n].instrument_id
        ):
            return True
        lots += e.position[n].qty
        buy += e.position[n].open_buy
        sell += e.position[n].open_sell
        count += 1
        n = e.position[n].inst_next
    if broken(r, lots == 0, AA_LOTS, instrument_id, clip(lots), 0):
        return True
    if not e.track or group_find(e, 0, instrument_id) != NIL:
        return False
    return broken(r, buy == 0 and sell == 0, AA_SUMS, 0, 0, clip(buy + sell))


cdef inline bint audit_group_position(Engine* e, uint32_t slot, AuditResult* r) noexcept nogil:
    """Sums of one (group, instrument) from the positions of the instrument."""
    cdef GroupPosition* g = e.group_position + slot
    cdef const Position* p
    cdef uint32_t n = e.book[g.instrument_id].positions_head
    cdef int128 lots = 0
    cdef int128 buy = 0
    cdef int128 sell = 0
    while n != NIL:
        p = e.position + n
        if g.group_id == 0 or e.account[p.account_id].group_id == g.group_id:
            lots += p.qty
            buy += p.open_buy
            sell += p.open_sell
        n = p.inst_next
    return (
        broken(r, group_find(e, g.group_id, g.instrument_id) == slot, AA_SUMS, g.group_id, slot, g.instrument_id)
        or broken(
            r, g.group_id != 0 or e.book[g.instrument_id].firm_sums in (0, slot + 1), AA_SUMS, 0, slot,
            e.book[g.instrument_id].firm_sums
        )
        or broken(r, g.qty == lots, AA_SUMS, g.group_id, clip(g.qty), clip(lots))
        or broken(r, g.open_buy == buy, AA_SUMS, g.group_id, clip(g.open_buy), clip(buy))
        or broken(r, g.open_sell == sell, AA_SUMS, g.group_id, clip(g.open_sell), clip(sell))
    )


cdef inline bint audit_node(
    AuditResult* r, const RiskNode* node, uint32_t where, uint32_t orders, int128 gross
) noexcept nogil:
    return broken(r, node.open_orders == orders, AA_SUMS, where, node.open_orders, orders) or broken(
        r, node.gross_notional == gross, AA_SUMS, where, clip(node.gross_notional), clip(gross)
    )


cdef inline bint audit_groups(Engine* e, AuditResult* r) noexcept nogil:
    """Sums of groups and of the firm. O(groups in use * (accounts + positions)), only while they are kept."""
    cdef uint32_t g, i
    cdef uint32_t orders = 0
    cdef int128 gross = 0
    for i in range(e.n_group_positions):
        if audit_group_position(e, i, r):
            return True
    for i in range(e.max_accounts):
        orders += count_orders(e, i)
        gross += e.account[i].gross_notional
    if audit_node(r, &e.firm, 0, orders, gross):
        return True
    for g in range(1, e.max_groups):
        if not e.group[g].limited and e.group[g].open_orders == 0:
            continue
        orders = 0
        gross = 0
        for i in range(e.max_accounts):
            if e.account[i].group_id == g:
                orders += count_orders(e, i)
                gross += e.account[i].gross_notional
        if audit_node(r, e.group + g, g, orders, gross):
            return True
    return False


cdef inline void accounts_audit(Engine* e, AuditResult* r) noexcept nogil:
    """Note the first identity that does not hold. O(accounts + wallets * orders of an account + assets * wallets)."""
    cdef uint32_t i
    for i in range(e.max_accounts):
        if e.account[i].exists and audit_account(e, i, r):
            return
    for i in range(e.max_assets):
        if audit_asset(e, i, r):
            return
    for i in range(e.max_instruments):
        if e.book[i].exists and audit_instrument(e, i, r):
            return
    if margin_audit(e, r):
        return
    if e.track:
        audit_groups(e, r)
