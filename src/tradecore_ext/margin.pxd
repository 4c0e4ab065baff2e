"""Linear instruments in the ledger: what an order must hold, what a fill does, what the mark changes.

Owner of: sections 2 and 3 of docs/reference/margin.md and MARK_PRICE's part in the ledger.  Commands of section 4 are
in margin_admin.pxd, valuation in pools.pxd, the state machine in liquidation.pxd.
The caller (risk, ledger) owns open_buy/open_sell and the lists; it changes them first and then calls in here.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.emit cimport emit_next, order_px, tc_check
from tradecore_ext.fees cimport fee_bound, fee_on, fee_rate, take_fee
from tradecore_ext.mathx cimport I64_MAX, I64_MIN, abs64, int128, likely, max64, min64, mul128, unlikely
from tradecore_ext.pools cimport (
    held_margin,
    margin_of,
    revalue,
    touch_position,
    touch_wallet,
    valuation_max,
    worst_qty,
)
from tradecore_ext.state cimport NIL, Book, Engine, Money, Order, Position, Wallet
from tradecore_ext.types cimport (
    TC_EVT_BALANCE,
    TC_EVT_SETTLED,
    TC_FLAG_LIQUIDATION,
    TC_FLAG_REDUCE_ONLY,
    TC_MARGIN_ISOLATED,
    TC_SIDE_BUY,
    TC_STATE_LIQ_REDUCE,
    tc_balance_event,
    tc_settle_event,
)

cdef enum:
    SG_INSUFFICIENT_FUNDS = 313
    SG_NEEDS_PRICE = 318
    SG_NOTIONAL_OVERFLOW = 319
    SG_NO_MARK = 321

cdef struct MarginNeed:
    int64_t need             # hold of the order: fees and loss against the mark, quote units
    int64_t adverse          # loss against the mark per lot
    int64_t observed         # of a refusal
    int64_t limit


# ---- what may be spent -----------------------------------------------------------------------------------


cdef inline int64_t margin_available(Engine* e, uint32_t wallet) noexcept nogil:
    """For orders of cross positions: cash and open profit that nothing holds."""
    cdef Wallet* w = e.wallet + wallet
    return w.total - w.hold + w.upnl


cdef inline int64_t margin_free(Engine* e, uint32_t wallet) noexcept nogil:
    """For cash that leaves the pool: open profit cannot be taken out, open loss must stay covered."""
    cdef Wallet* w = e.wallet + wallet
    return w.total - w.hold + min64(w.upnl, 0)


cdef inline uint8_t margin_state(Engine* e, uint32_t wallet, uint32_t pos) noexcept nogil:
    """tc_account_state of the pool that an order of the position (NIL: a new cross one) belongs to."""
    if pos != NIL and e.position[pos].mode == TC_MARGIN_ISOLATED:
        return e.position[pos].state
    return e.wallet[wallet].state if wallet != NIL else 0


cdef inline void margin_cash_changed(Engine* e, uint32_t wallet) noexcept nogil:
    """A movement outside this file changed the wallet's total."""
    cdef Wallet* w = e.wallet + wallet
    if unlikely(w.total < 0 or w.upnl != 0 or w.maintenance_margin != 0 or w.state != 0):
        touch_wallet(e, wallet)


# ---- holds of orders -------------------------------------------------------------------------------------


cdef inline int64_t adverse_per_lot(const Book* b, uint8_t side, int64_t px) noexcept nogil:
    """What a lot traded at px would lose at once against the mark, quote units."""
    cdef int64_t d = px - b.mark_px if side == TC_SIDE_BUY else b.mark_px - px
    return d * b.multiplier if d > 0 else 0


cdef inline int64_t hold_of(
    const Book* b, uint32_t fee_rem, int64_t adverse, int64_t px, int64_t leaves
) noexcept nogil:
    """Hold of a linear order: the most its fees can still cost, and its loss against the mark at entry."""
    return fee_on(fee_rem, mul128(px, leaves) * b.multiplier, fee_bound(b)) + adverse * leaves


cdef inline uint16_t check_terms(
    const Book* b, int64_t worst, int64_t order_qty, int64_t px, MarginNeed* need
) noexcept nogil:
    """Price, mark and size: 318, 321, 319."""
    cdef int128 product
    need.observed = px
    need.limit = 0
    if px == 0:
        return SG_NEEDS_PRICE
    if b.mark_px == 0:
        return SG_NO_MARK
    product = mul128(max64(worst, order_qty), max64(px, b.mark_px))
    if product <= valuation_max():
        product *= b.multiplier
    elif product <= I64_MAX:
        # The factor is at most 2^62, so this still fits 128 bits.
        product *= b.multiplier
    else:
        product = I64_MAX
    if product > valuation_max():
        need.observed = I64_MAX if product > I64_MAX else <int64_t>product
        need.limit = valuation_max()
        return SG_NOTIONAL_OVERFLOW
    return 0


cdef inline uint16_t check_credit(
    Engine* e, const Book* b, uint32_t wallet, const Position* p, uint16_t flags, int64_t order_qty,
    int64_t more, MarginNeed* need
) noexcept nogil:
    """313 where the additional hold (order and margin) exceeds what the pool can spend. p may be NULL."""
    cdef int64_t limit = 0
    cdef int64_t q
    if more <= 0:
        return 0
    if wallet != NIL:
        if p != NULL and p.mode == TC_MARGIN_ISOLATED:
            limit = margin_free(e, wallet)
        else:
            limit = margin_available(e, wallet)
    if flags & TC_FLAG_REDUCE_ONLY and p != NULL:
        # The margin that the close sets free pays for it, or nobody without free funds could close.
        q = abs64(p.qty)
        limit += margin_of(b, q, False) - margin_of(b, q - min64(order_qty, q), False)
    if more > limit:
        need.observed = more
        need.limit = limit
        return SG_INSUFFICIENT_FUNDS
    return 0


cdef inline uint16_t margin_check_new(
    Engine* e, Book* b, uint32_t wallet, uint32_t pos, uint8_t side, int64_t px, int64_t order_qty,
    uint16_t flags, MarginNeed* need
) noexcept nogil:
    """Credit check of a new order. wallet and pos may be NIL (nothing there yet). Changes nothing."""
    cdef Position* p = NULL
    cdef int64_t buy = order_qty if side == TC_SIDE_BUY else 0
    cdef int64_t sell = order_qty - buy
    cdef int64_t delta
    cdef uint16_t status
    if likely(pos != NIL):
        p = e.position + pos
        buy += p.open_buy
        sell += p.open_sell
        status = check_terms(b, worst_qty(p.qty, buy, sell), order_qty, px, need)
        if unlikely(status != 0):
            return status
        delta = held_margin(b, p, buy, sell) - p.held_im
    else:
        status = check_terms(b, order_qty, order_qty, px, need)
        if unlikely(status != 0):
            return status
        delta = margin_of(b, order_qty, False)
    need.adverse = adverse_per_lot(b, side, px)
    need.need = hold_of(b, 0, need.adverse, px, order_qty)
    return check_credit(e, b, wallet, p, flags, order_qty, need.need + delta, need)


cdef inline uint16_t margin_check_replace(
    Engine* e, uint32_t slot, int64_t px, int64_t leaves, MarginNeed* need
) noexcept nogil:
    """Credit check of a replace that keeps the order alive with new px and leaves. Changes nothing."""
    cdef Order* o = e.order + slot
    cdef Money* m = e.money + slot
    cdef Book* b = e.book + o.instrument_id
    cdef Position* p = e.position + m.position
    cdef int64_t more = leaves - o.leaves_qty
    cdef int64_t buy = p.open_buy + (more if o.side == TC_SIDE_BUY else 0)
    cdef int64_t sell = p.open_sell + (0 if o.side == TC_SIDE_BUY else more)
    cdef uint16_t status = check_terms(b, worst_qty(p.qty, buy, sell), leaves, px, need)
    if status:
        return status
    need.adverse = adverse_per_lot(b, o.side, px)
    need.need = hold_of(b, m.fee_rem, need.adverse, px, leaves)
    return check_credit(
        e, b, p.quote_wallet, p, o.flags, leaves, need.need - m.hold + held_margin(b, p, buy, sell) - p.held_im, need
    )


cdef inline void margin_working_changed(Engine* e, uint32_t pos) noexcept nogil:
    """open_buy or open_sell have changed: the margin that the wallet holds follows."""
    cdef Position* p = e.position + pos
    revalue(e, e.book + p.instrument_id, p)


cdef inline void margin_accept(Engine* e, uint32_t slot, int64_t need, int64_t adverse) noexcept nogil:
    """Take the order's hold; it is linked and counted already, its position's margin follows here."""
    cdef Money* m = e.money + slot
    m.hold = need
    m.own.adverse = adverse
    e.wallet[e.position[m.position].quote_wallet].hold += need
    margin_working_changed(e, m.position)


cdef inline void set_hold(Engine* e, uint32_t slot, int64_t hold) noexcept nogil:
    cdef Money* m = e.money + slot
    e.wallet[e.position[m.position].quote_wallet].hold += hold - m.hold
    m.hold = hold


cdef inline void margin_release(Engine* e, uint32_t slot) noexcept nogil:
    """The order is gone: its whole hold comes back. Its lots have left open_buy/open_sell."""
    set_hold(e, slot, 0)
    margin_working_changed(e, e.money[slot].position)


cdef inline void shrink_hold(Engine* e, uint32_t slot, int64_t leaves) noexcept nogil:
    """The hold never grows: one leg of a pair may hold less than its own need."""
    cdef Order* o = e.order + slot
    cdef Money* m = e.money + slot
    cdef int64_t hold = hold_of(e.book + o.instrument_id, m.fee_rem, m.own.adverse, order_px(e, o), leaves)
    if hold < m.hold:
        set_hold(e, slot, hold)


cdef inline void margin_reduce(Engine* e, uint32_t slot, int64_t new_leaves) noexcept nogil:
    """The order has lost quantity without trading. Its lots have left open_buy/open_sell."""
    shrink_hold(e, slot, new_leaves)
    margin_working_changed(e, e.money[slot].position)


cdef inline void margin_replace(Engine* e, uint32_t slot, int64_t need, int64_t adverse) noexcept nogil:
    """A checked replace: new hold; the change of lots is in open_buy/open_sell already."""
    e.money[slot].own.adverse = adverse
    set_hold(e, slot, need)
    margin_working_changed(e, e.money[slot].position)


# ---- cash and its events ----------------------------------------------------------------------------------


cdef inline void add_cash(Engine* e, int64_t* cash, int128 amount, uint32_t line) noexcept nogil:
    """Funds bound every balance long before 2^63; if one would wrap the engine stops instead."""
    cdef int128 x = amount + cash[0]
    tc_check(e, I64_MIN < x <= I64_MAX, line)
    cash[0] = <int64_t>x


cdef inline void emit_balance(
    Engine* e, uint32_t account_id, uint32_t instrument_id, uint32_t asset_id, int64_t amount, int64_t balance,
    uint16_t command_kind, uint16_t status
) noexcept nogil:
    cdef tc_balance_event* v = <tc_balance_event*>emit_next(e)
    v.account_id = account_id
    v.instrument_id = instrument_id
    v.kind = TC_EVT_BALANCE
    v.status = status
    v.amount = amount
    v.balance = balance
    v.asset_id = asset_id
    v.command_kind = command_kind


# ---- one side of a fill ----------------------------------------------------------------------------------


cdef inline void isolated_give_back(Engine* e, Position* p, int64_t before, int64_t closed) noexcept nogil:
    """The share of the closed lots returns to the wallet. `before`: the quantity before the fill."""
    cdef int64_t share = p.iso_margin
    if closed < abs64(before):
        share = <int64_t>(mul128(p.iso_margin, closed) / abs64(before))
    p.iso_margin -= share
    e.wallet[p.quote_wallet].total += share


cdef inline void isolated_take_in(
    Engine* e, const Book* b, Position* p, int64_t had, int64_t opened, int64_t loss_per_lot
) noexcept nogil:
    """Margin for the opened lots, and their loss against the mark, leave the wallet for the position.

    had: absolute quantity that the opened lots came on top of. A wallet that cannot give it all leaves the
    position thin; it never goes into debt for it."""
    cdef Wallet* w = e.wallet + p.quote_wallet
    cdef int128 x = margin_of(b, abs64(p.qty), False) - margin_of(b, had, False)
    if loss_per_lot > 0:
        x += mul128(loss_per_lot, opened)
    if x > w.total:
        x = w.total
    if x > 0:
        w.total -= <int64_t>x
        p.iso_margin += <int64_t>x


cdef inline void settle_side(
    Engine* e, Book* b, uint32_t pos, uint64_t order_id, uint8_t side, int64_t px, int64_t qty, int64_t fee,
    bint forced, uint16_t status
) noexcept nogil:
    """Quantity, cost, realised profit, cash and SETTLED of one side. `forced`: the liquidated side, whose cash stays
    inside an isolated position. open_buy and open_sell are up to date already. O(1)."""
    cdef Position* p = e.position + pos
    cdef Wallet* w = e.wallet + p.quote_wallet
    cdef tc_settle_event* v
    cdef int64_t s = 1 if side == TC_SIDE_BUY else -1
    cdef int64_t before = p.qty
    cdef int64_t closed = 0
    cdef int64_t opened, removed, realised
    cdef int128 x
    if before * s < 0:
        closed = min64(qty, abs64(before))
    opened = qty - closed
    removed = 0
    if closed > 0:
        removed = p.cost
        if closed < abs64(before):
            removed = <int64_t>(mul128(p.cost, closed) / abs64(before))
    x = mul128(-s * closed, px) * b.multiplier - removed
    tc_check(e, I64_MIN < x <= I64_MAX, 4011)
    realised = <int64_t>x
    add_cash(e, &p.cost, mul128(s * opened, px) * b.multiplier - removed, 4012)
    p.qty = before + s * qty
    p.realised += realised
    p.fees += fee
    e.clearing[b.quote_asset] -= realised
    e.fees[b.quote_asset] += fee
    if unlikely(p.mode == TC_MARGIN_ISOLATED):
        if forced:
            add_cash(e, &p.iso_margin, <int128>realised - fee, 4013)
        else:
            # Shares first, then the result, then the new margin: a share pays for its own loss.
            if closed > 0:
                isolated_give_back(e, p, before, closed)
            add_cash(e, &w.total, <int128>realised - fee, 4014)
            if opened > 0:
                isolated_take_in(
                    e, b, p, 0 if closed > 0 else abs64(before), opened, adverse_per_lot(b, side, px)
                )
            touch_wallet(e, p.quote_wallet)
    else:
        add_cash(e, &w.total, <int128>realised - fee, 4014)
    revalue(e, b, p)
    v = <tc_settle_event*>emit_next(e)
    v.order_id = order_id
    v.account_id = p.account_id
    v.instrument_id = p.instrument_id
    v.kind = TC_EVT_SETTLED
    v.side = side
    v.status = status
    v.cash_delta = realised - fee
    v.fee = fee
    v.position_qty = p.qty
    v.realised_pnl = realised


cdef inline void margin_settle(
    Engine* e, uint32_t slot, bint is_taker, int64_t px, int64_t qty, uint32_t fill_flags
) noexcept nogil:
    """One side of a fill of a linear instrument; leaves_qty, open_buy and open_sell are up to date already."""
    cdef Order* o = e.order + slot
    cdef Money* m = e.money + slot
    cdef Book* b = e.book + o.instrument_id
    cdef int128 notional = mul128(px, qty) * b.multiplier
    cdef int64_t fee = take_fee(m, notional, fee_rate(b, is_taker, fill_flags))
    cdef bint forced = (o.flags & TC_FLAG_LIQUIDATION) != 0
    if unlikely(forced):
        e.liq_notional += notional
    else:
        shrink_hold(e, slot, o.leaves_qty)
    settle_side(e, b, m.position, o.order_id, o.side, px, qty, fee, forced, 0)


# ---- the mark ----------------------------------------------------------------------------------------------


cdef inline void margin_revalue(Engine* e, uint32_t instrument_id) noexcept nogil:
    """The mark or the tiers of an instrument have changed. O(its positions)."""
    cdef Book* b = e.book + instrument_id
    cdef Position* p
    cdef uint32_t n
    if not b.linear:
        return
    n = b.positions_head
    while n != NIL:
        p = e.position + n
        if p.qty != 0 or p.open_buy != 0 or p.open_sell != 0:
            revalue(e, b, p)
        n = p.inst_next


cdef inline void margin_insurer(Engine* e, uint32_t account_id, int change) noexcept nogil:
    """An instrument names the account as its insurance account, or does so no longer. Only without any such
    instrument are its pools evaluated, so the last one that goes makes them all due."""
    cdef uint32_t n
    if not e.accounts or account_id == 0 or account_id >= e.max_accounts:
        return
    e.account[account_id].insures += change
    if e.account[account_id].insures == 0:
        n = e.account[account_id].wallets_head
        while n != NIL:
            touch_wallet(e, n)
            n = e.wallet[n].acct_next
        n = e.account[account_id].positions_head
        while n != NIL:
            if e.position[n].mode == TC_MARGIN_ISOLATED:
                touch_position(e, e.position + n)
            n = e.position[n].acct_next


cdef inline void margin_mark(Engine* e, uint32_t instrument_id) noexcept nogil:
    """MARK_PRICE: new values, and a round is due for every pool in liquidation that holds the instrument."""
    cdef Book* b = e.book + instrument_id
    cdef Position* p
    cdef Wallet* w
    cdef uint32_t n
    if not b.linear:
        return
    n = b.positions_head
    while n != NIL:
        p = e.position + n
        if p.qty != 0 or p.open_buy != 0 or p.open_sell != 0:
            if unlikely(p.qty != 0):
                # Pools in liquidation are queued by revalue, because their state is not NORMAL.
                if p.mode == TC_MARGIN_ISOLATED:
                    p.marked = p.state == TC_STATE_LIQ_REDUCE
                else:
                    w = e.wallet + p.quote_wallet
                    w.marked = w.marked or w.state == TC_STATE_LIQ_REDUCE
            revalue(e, b, p)
        n = p.inst_next
