"""May this order come in, and what is reserved for it: check 9 of a new order, and its acceptance.

Owner of: the order of risk checks and the credit check of spot (docs/reference/accounts.md sections 3 and 5).  A check
never changes anything; acceptance never fails.  Limits are limits.pxd's, the credit of linear instruments margin.pxd's,
the hold formula of spot holds.pxd's, what follows until the order's end held.pxd's.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.emit cimport tc_check
from tradecore_ext.held cimport closable, count_working, link_order
from tradecore_ext.holds cimport HOLD_BITS, hold_wallet, small_notional, spot_need
from tradecore_ext.keytable cimport position_find, position_get, position_room, wallet_find, wallets_missing
from tradecore_ext.limits cimport Ask, clip, limits_check, limits_consume
from tradecore_ext.margin cimport MarginNeed, margin_accept, margin_check_new, margin_free, margin_state
from tradecore_ext.mathx cimport abs64, int128, likely, unlikely
from tradecore_ext.state cimport NIL, Book, Engine, Money, Order, Position, RiskNode
from tradecore_ext.sums cimport notional, order_gross, sums_order, wide_notional
from tradecore_ext.types cimport TC_FLAG_REDUCE_ONLY, TC_SIDE_BUY, TC_STATE_LIQ_CANCEL, TC_STATE_REDUCE_ONLY

cdef enum:
    SQ_BAD_COMBINATION = 104
    SQ_KILLED_FIRM = 301
    SQ_KILLED_GROUP = 302
    SQ_KILLED_ACCOUNT = 303
    SQ_RESTRICTED = 304
    SQ_INSUFFICIENT_FUNDS = 313
    SQ_INSUFFICIENT_POSITION = 314
    SQ_REDUCE_ONLY = 315
    SQ_ACCOUNT_REDUCE_ONLY = 316
    SQ_LIQUIDATION = 317
    SQ_NEEDS_PRICE = 318
    SQ_NOTIONAL_OVERFLOW = 319
    SQ_CAPACITY_POSITIONS = 505
    SQ_CAPACITY_WALLETS = 511

cdef struct NewOrder:        # what the checks need to know of an order
    uint32_t account_id
    uint32_t instrument_id
    uint8_t side
    uint8_t ord_type
    uint8_t tif
    uint16_t flags
    int64_t px
    int64_t order_qty
    int64_t cash_order_qty
    uint64_t sent_ts_ns

cdef struct RiskResult:
    int64_t need             # hold to take, in the units of its wallet
    int64_t adverse          # linear: loss against the mark per lot, kept with the order
    int64_t observed         # of a refusal
    int64_t limit
    uint8_t scope
    uint8_t checked          # risk_check_replace has passed: the replace may take more than the order has
    uint32_t position        # NIL: comes into being with acceptance


# ---- small parts --------------------------------------------------------------------------------------


cdef inline uint16_t check_switches(
    const Engine* e, const RiskNode* a, const Book* b, const Position* p
) noexcept nogil:
    """Checks 1 and 2: kill switches and restrictions."""
    if unlikely(e.firm.killed):
        return SQ_KILLED_FIRM
    if unlikely(p == NULL or p.watched):
        if a.group_id and e.group[a.group_id].killed:
            return SQ_KILLED_GROUP
        if a.killed:
            return SQ_KILLED_ACCOUNT
    if unlikely(e.restricted_any and b.restricted):
        return SQ_RESTRICTED
    if unlikely(p != NULL and p.restricted):
        return SQ_RESTRICTED
    return 0


cdef inline bint is_limited(const Engine* e, const RiskNode* a, const Position* p) noexcept nogil:
    """Whether some limit of the account, its group or the firm is on."""
    return e.limited_any or ((p == NULL or p.watched) and a.limited != 0)


cdef inline uint16_t check_state(
    Engine* e, const Book* b, uint32_t wallet, uint32_t pos, uint16_t flags, RiskResult* r
) noexcept nogil:
    """Check 4: what the state of the margin pool allows. Spot asks the wallet only: a position's own state
    stands on its second line, which spot orders never touch."""
    cdef uint8_t state = 0
    if likely(not b.linear):
        if likely(wallet != NIL):
            state = e.wallet[wallet].state
    else:
        state = margin_state(e, wallet, pos)
    if likely(state < TC_STATE_REDUCE_ONLY):
        return 0
    r.observed = state
    if state >= TC_STATE_LIQ_CANCEL:
        return SQ_LIQUIDATION
    if not (flags & TC_FLAG_REDUCE_ONLY):
        return SQ_ACCOUNT_REDUCE_ONLY
    r.observed = 0
    return 0


cdef inline int64_t lots_of(const Engine* e, const Book* b, const NewOrder* n) noexcept nogil:
    """Q: the order's quantity; of a cash order the most lots that it can trade."""
    cdef int64_t px = n.px
    if likely(n.cash_order_qty == 0):
        return n.order_qty
    if n.side == TC_SIDE_BUY:
        px = e.level[b.ladder[1].best_level].px if b.ladder[1].n_levels else 0
    if px == 0:
        return 0
    return <int64_t>(n.cash_order_qty / (<int128>px * b.multiplier))


# ---- a new order -------------------------------------------------------------------------------------------


cdef inline void ask_of(Engine* e, const Book* b, const NewOrder* n, Ask* q) noexcept nogil:
    """The order as limits see it."""
    cdef int64_t px = n.px
    q.book = b
    q.account_id = n.account_id
    q.instrument_id = n.instrument_id
    q.side = n.side
    q.ord_type = n.ord_type
    q.replace = False
    q.px = n.px
    q.order_qty = n.order_qty
    q.cash_order_qty = n.cash_order_qty
    q.old_lots = 0
    q.old_gross = 0
    q.lots = lots_of(e, b, n)
    if n.cash_order_qty:
        q.value = n.cash_order_qty
        return
    if px == 0:
        px = b.mark_px if b.linear and b.mark_px else b.last_px
    q.value = notional(px, q.lots, b.multiplier)


cdef inline uint16_t check_reach(const Position* p, int64_t lots, RiskResult* r) noexcept nogil:
    """Position counters stay within 2^62 whatever fills."""
    cdef uint64_t x = <uint64_t>lots
    if likely(p != NULL):
        # Together the three stay below 2^63: within 2^62 by this check, and one cash order, whose lots nobody counts,
        # may add as much. lots is within 2^62. So 64 bits do, also where a replace asks for less.
        x += <uint64_t>abs64(p.qty) + <uint64_t>p.open_buy + <uint64_t>p.open_sell
    if unlikely(x > <uint64_t>1 << HOLD_BITS):
        r.observed = clip(x)
        r.limit = <int64_t>1 << HOLD_BITS
        return SQ_NOTIONAL_OVERFLOW
    return 0


cdef inline uint16_t cover(
    Engine* e, uint8_t side, uint32_t wallet, int128 need, int64_t freed, RiskResult* r
) noexcept nogil:
    """313 or 314 where what the wallet has free, and what is freed with it, does not cover need."""
    cdef int64_t have = freed
    if likely(wallet != NIL):
        have += margin_free(e, wallet)
    if unlikely(need > have):
        r.observed = clip(need)
        r.limit = have
        return SQ_INSUFFICIENT_FUNDS if side == TC_SIDE_BUY else SQ_INSUFFICIENT_POSITION
    r.need = <int64_t>need
    return 0


cdef inline uint16_t check_spot_values(
    const Book* b, uint8_t side, int64_t px, int64_t lots, bint is_cash, int128 need, RiskResult* r
) noexcept nogil:
    """319: values that the ledger could not hold."""
    cdef int128 n
    cdef int64_t value
    if likely(not is_cash and small_notional(b, px, lots, &value)):
        return 0
    if likely(px > 0 and not is_cash):
        n = wide_notional(px, lots, b.multiplier)
        if unlikely(n > <int128>1 << HOLD_BITS):
            r.observed = clip(n)
            r.limit = <int64_t>1 << HOLD_BITS
            return SQ_NOTIONAL_OVERFLOW
    if unlikely(need > <int128>1 << HOLD_BITS and (side == TC_SIDE_BUY or is_cash)):
        r.observed = clip(need)
        r.limit = <int64_t>1 << HOLD_BITS
        return SQ_NOTIONAL_OVERFLOW
    return 0


cdef inline uint16_t check_spot_credit(
    Engine* e, const Book* b, const Position* p, uint32_t wallet, const NewOrder* n, RiskResult* r
) noexcept nogil:
    """Credit of a spot order: 318, 319, 313, 314."""
    cdef bint is_cash = n.cash_order_qty != 0
    cdef int128 need
    cdef uint16_t status
    if unlikely(n.px == 0 and is_cash != (n.side == TC_SIDE_BUY)):
        return SQ_NEEDS_PRICE
    need = spot_need(b, n.side, n.px, n.order_qty, is_cash, n.cash_order_qty, 0)
    status = check_spot_values(b, n.side, n.px, n.order_qty, is_cash, need, r)
    if unlikely(status != 0):
        return status
    return cover(e, n.side, wallet, need, 0, r)


cdef inline uint16_t check_room(Engine* e, const Book* b, uint32_t account_id, RiskResult* r) noexcept nogil:
    """505, 511 where the order's position and its wallets have to come into being."""
    if not position_room(e):
        r.observed = e.n_positions
        r.limit = e.max_positions
        return SQ_CAPACITY_POSITIONS
    if e.n_wallets + wallets_missing(e, b, account_id) > e.max_wallets:
        r.observed = e.n_wallets
        r.limit = e.max_wallets
        return SQ_CAPACITY_WALLETS
    return 0


cdef inline uint32_t wallet_of(
    Engine* e, const Book* b, const Position* p, uint32_t account_id, uint8_t side
) noexcept nogil:
    """The wallet that pays: of linear instruments and buys the quote asset's, of sales the base asset's."""
    if likely(p != NULL):
        return p.quote_wallet if b.linear else hold_wallet(p, side)
    if b.linear or side == TC_SIDE_BUY:
        return wallet_find(e, account_id, b.quote_asset)
    return wallet_find(e, account_id, b.base_asset)


cdef inline uint16_t risk_check_new(Engine* e, const NewOrder* n, RiskResult* r) noexcept nogil:
    """All risk checks of a new order; 0 with r filled for risk_accept, or the status of the refusal. O(1)."""
    cdef RiskNode* a = e.account + n.account_id
    cdef Book* b = e.book + n.instrument_id
    cdef Position* p = NULL
    cdef uint32_t pos = position_find(e, n.account_id, n.instrument_id)
    cdef uint32_t wallet
    cdef uint16_t status
    cdef MarginNeed mn
    cdef Ask q
    if likely(pos != NIL):
        p = e.position + pos
    r.position = pos
    r.need = 0
    r.adverse = 0
    r.observed = 0
    r.limit = 0
    r.scope = 0
    status = check_switches(e, a, b, p)
    if unlikely(status != 0):
        return status
    if unlikely(n.cash_order_qty != 0 and b.linear):
        return SQ_BAD_COMBINATION
    wallet = wallet_of(e, b, p, n.account_id, n.side)
    status = check_state(e, b, wallet, pos, n.flags, r)
    if unlikely(status != 0):
        return status
    if unlikely(n.flags & TC_FLAG_REDUCE_ONLY):
        if closable(p, n.side) == 0:
            r.observed = n.order_qty
            return SQ_REDUCE_ONLY
    if unlikely(is_limited(e, a, p)):
        ask_of(e, b, n, &q)
        status = limits_check(e, &q, p, &r.observed, &r.limit, &r.scope)
        if status:
            return status
    status = check_reach(p, n.order_qty if likely(n.cash_order_qty == 0) else lots_of(e, b, n), r)
    if unlikely(status != 0):
        return status
    if not b.linear:
        status = check_spot_credit(e, b, p, wallet, n, r)
    else:
        status = margin_check_new(e, b, wallet, pos, n.side, n.px, n.order_qty, n.flags, &mn)
        if status == 0:
            r.need = mn.need
            r.adverse = mn.adverse
        else:
            r.observed = mn.observed
            r.limit = mn.limit
    if unlikely(status != 0):
        return status
    if unlikely(pos == NIL):
        return check_room(e, b, n.account_id, r)
    return 0


cdef inline void risk_accept(Engine* e, uint32_t slot, const NewOrder* n, const RiskResult* r) noexcept nogil:
    """The order was accepted: hold, list, counters, messages. Everything it needs has been checked. O(1)."""
    cdef RiskNode* a = e.account + n.account_id
    cdef Order* o = e.order + slot
    cdef Money* m = e.money + slot
    cdef Position* p
    cdef Ask q
    m.position = r.position
    if unlikely(m.position == NIL):
        m.position = position_get(e, n.account_id, n.instrument_id)
        tc_check(e, m.position != NIL, 3001)
        if m.position == NIL:
            return
    p = e.position + m.position
    m.hold = 0
    m.own.adverse = 0
    m.fee_rem = 0
    link_order(e, slot)
    count_working(e, o, p, o.leaves_qty)
    if unlikely(e.track):
        sums_order(e, n.account_id, 1, order_gross(e, o, n.px, o.leaves_qty))
    if likely(not e.book[n.instrument_id].linear):
        m.hold = r.need
        m.own.wallet = hold_wallet(p, n.side)
        e.wallet[m.own.wallet].hold += r.need
    else:
        margin_accept(e, slot, r.need, r.adverse)
    if unlikely(is_limited(e, a, p)):
        ask_of(e, e.book + n.instrument_id, n, &q)
        limits_consume(e, &q)
