"""The liquidation state machine: one look at every touched margin pool after every command.

Owner of: section 5 of docs/reference/margin.md up to the closing out, which is deleverage.pxd's.  While no pool is
below its warning level the step costs one comparison.  Positions never grow in here, and every closing order is
finished before the next one is made.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.arena cimport order_alloc, order_available
from tradecore_ext.book cimport execute
from tradecore_ext.deleverage cimport (
    Victim,
    account_there,
    close_out,
    next_position,
    pay_insurer,
    pool_of,
    victim_of_position,
    victim_of_wallet,
)
from tradecore_ext.emit cimport emit_next, emit_order, tc_check
from tradecore_ext.gather cimport Scope, end_gathered, gather
from tradecore_ext.held cimport risk_adopt
from tradecore_ext.keytable cimport position_find, wallet_find
from tradecore_ext.lists cimport taker_finished
from tradecore_ext.mathx cimport PPM, abs64, int128, min64, mul128, unlikely
from tradecore_ext.pools cimport (
    POOL_KIND_BIT,
    Pool,
    below_warning,
    margin_of,
    queue_pop,
    recovered,
    touch_position,
    touch_wallet,
)
from tradecore_ext.state cimport NIL, Book, Engine, Order, Position
from tradecore_ext.stops cimport elect
from tradecore_ext.types cimport (
    TC_ANY,
    TC_EVT_ACCEPTED,
    TC_EVT_ACCOUNT_STATE,
    TC_EVT_CANCELED,
    TC_FLAG_LIQUIDATION,
    TC_FLAG_REDUCE_ONLY,
    TC_MAX_PX,
    TC_ORD_LIMIT,
    TC_PHASE_CONTINUOUS,
    TC_SIDE_BUY,
    TC_SIDE_SELL,
    TC_STATE_BACKSTOP,
    TC_STATE_LIQ_CANCEL,
    TC_STATE_LIQ_REDUCE,
    TC_STATE_NORMAL,
    TC_STATE_REDUCE_ONLY,
    TC_STATE_WARN,
    TC_STP_NONE,
    TC_TIF_IOC,
    tc_account_event,
)

cdef enum:
    SW_LIQUIDATION_CLOSE = 323
    SW_LIQUIDATION_FEE = 324
    SW_STATE_EQUITY = 329
    SW_STATE_DONE = 330
    SW_MARK_STALE = 331
    LIQUIDATION_ROUNDS = 5


cdef inline void emit_state(
    Engine* e, const Victim* v, uint8_t state, uint8_t previous, uint16_t status
) noexcept nogil:
    cdef tc_account_event* x = <tc_account_event*>emit_next(e)
    cdef Pool pool
    pool_of(e, v, &pool)
    x.account_id = v.account_id
    x.instrument_id = TC_ANY if v.position == NIL else e.position[v.position].instrument_id
    x.kind = TC_EVT_ACCOUNT_STATE
    x.status = status
    x.equity = pool.equity
    x.initial_margin = pool.initial
    x.maintenance_margin = pool.maintenance
    x.state = state
    x.previous_state = previous
    x.asset_id = v.asset_id


cdef inline void enter(Engine* e, const Victim* v, uint8_t state, uint16_t status) noexcept nogil:
    """Move the pool to a state and say so."""
    cdef Position* p
    emit_state(e, v, state, v.state[0], status)
    v.state[0] = state
    if state == TC_STATE_NORMAL:
        v.marked[0] = 0
        v.round[0] = 0
        if v.position != NIL:
            p = e.position + v.position
            if p.qty == 0:
                # The market closed it with something left: an empty position keeps no cash.
                e.wallet[v.wallet].total += p.iso_margin
                p.iso_margin = 0
                touch_wallet(e, v.wallet)
            touch_position(e, p)
        else:
            # 1.05 times a low initial margin can be less than the warning level: the next pass looks again.
            touch_wallet(e, v.wallet)


# ---- may the step go on ---------------------------------------------------------------------------------------


cdef inline bint exempt(Engine* e, const Victim* v) noexcept nogil:
    """Insurance accounts are never liquidated: there is nobody behind them."""
    return e.account[v.account_id].insures != 0


cdef inline bint stale(Engine* e, const Victim* v) noexcept nogil:
    """Whether the mark of one of the pool's open positions is older than its instrument allows."""
    cdef uint32_t n = next_position(e, v, -1, False)
    cdef Book* b
    while n != NIL:
        b = e.book + e.position[n].instrument_id
        if b.spec.mark_max_age_ms and e.now - b.mark_ts_ns > <uint64_t>b.spec.mark_max_age_ms * 1000000:
            return True
        n = next_position(e, v, e.position[n].instrument_id, False)
    return False


cdef inline bint suspended(Engine* e, const Victim* v) noexcept nogil:
    """True where a stale mark stops the step here; said once."""
    if not stale(e, v):
        v.suspended[0] = 0
        return False
    if not v.suspended[0]:
        v.suspended[0] = 1
        emit_state(e, v, v.state[0], v.state[0], SW_MARK_STALE)
    return True


# ---- LIQ_CANCEL ---------------------------------------------------------------------------------------------------


cdef inline bint drains(Engine* e, const Victim* v, const Order* o) noexcept nogil:
    """Whether the order could take cash out of the pool or grow one of its positions."""
    cdef Book* b = e.book + o.instrument_id
    if v.position != NIL:
        return o.instrument_id == e.position[v.position].instrument_id
    return b.quote_asset == v.asset_id and (b.linear or o.side == TC_SIDE_BUY)


cdef inline uint32_t next_instrument(Engine* e, uint32_t account_id, uint32_t first) noexcept nogil:
    """Lowest instrument from `first` on that the account has ever had an order on, NIL none. O(its positions)."""
    cdef uint32_t best = NIL
    cdef uint32_t n = e.account[account_id].positions_head
    while n != NIL:
        if first <= e.position[n].instrument_id < best:
            best = e.position[n].instrument_id
        n = e.position[n].acct_next
    return best


cdef inline void cancel_pool_orders(Engine* e, const Victim* v) noexcept nogil:
    """All live orders that could cost the pool something, in order-id order; then the stops that look at quotes."""
    cdef Scope s
    cdef uint32_t i, n
    s.account_id = v.account_id
    s.instrument_id = TC_ANY if v.position == NIL else e.position[v.position].instrument_id
    s.side = 0
    s.day_only = 0
    gather(e, &s)
    n = 0
    for i in range(e.n_scratch):
        if drains(e, v, e.order + e.scratch[i]):
            e.scratch[n] = e.scratch[i]
            n += 1
    e.n_scratch = n
    end_gathered(e, TC_EVT_CANCELED, SW_LIQUIDATION_CLOSE)
    n = next_instrument(e, v.account_id, 0)
    while n != NIL:
        elect(e, e.book + n)
        n = next_instrument(e, v.account_id, n + 1)


# ---- LIQ_REDUCE: one round ----------------------------------------------------------------------------------------


cdef inline int64_t needed_qty(Engine* e, const Book* b, const Position* p, const Pool* x) noexcept nogil:
    """Least multiple of the lot whose close at the mark brings the pool to 1.05 of its initial margin.

    Binary search: margin never grows with less quantity. O(log qty)."""
    cdef int64_t held = abs64(p.qty)
    cdef int64_t rest = x.initial - margin_of(b, held, False)
    cdef int64_t low = 1
    cdef int64_t high = (held - 1) / b.spec.lot + 1
    cdef int64_t mid, q
    cdef Pool after
    after.equity = x.equity
    after.maintenance = 0
    while low < high:
        mid = low + (high - low) / 2
        q = min64(mid * b.spec.lot, held)
        after.initial = rest + margin_of(b, held - q, False)
        if recovered(&after):
            high = mid
        else:
            low = mid + 1
    return min64(low * b.spec.lot, held)


cdef inline int64_t closing_px(const Book* b, uint8_t side, int64_t round) noexcept nogil:
    """Limit of a closing order: round + 1 bands beyond the mark, inside it by rounding to the tick."""
    cdef int128 d = mul128(b.mark_px, (round + 1) * <int64_t>b.spec.liq_band_ppm) / PPM
    cdef int128 px
    cdef int64_t top = TC_MAX_PX - TC_MAX_PX % b.spec.tick
    if side == TC_SIDE_SELL:
        px = b.mark_px - d
        if px < 1:
            px = 1
        px += b.spec.tick - 1
    else:
        px = b.mark_px + d
        if px < b.spec.tick:
            px = b.spec.tick
    px -= px % b.spec.tick
    return top if px > top else <int64_t>px


cdef inline void liquidation_fee(Engine* e, const Victim* v, const Book* b) noexcept nogil:
    """Part of what the closing order traded, as far as the pool still has it, to the insurance account."""
    cdef Pool x
    cdef int128 fee
    if b.spec.liq_fee_ppm == 0 or e.liq_notional == 0 or not account_there(e, b.spec.insurance_account):
        return
    fee = e.liq_notional * b.spec.liq_fee_ppm / PPM
    pool_of(e, v, &x)
    if fee > x.equity:
        fee = x.equity
    if fee > 0:
        pay_insurer(e, v, b.spec.insurance_account, <int64_t>fee, SW_LIQUIDATION_FEE)


cdef inline void close_some(Engine* e, const Victim* v, uint32_t pos, const Pool* x) noexcept nogil:
    """One closing order of one instrument, from its birth to its end and what follows from it."""
    cdef Position* p = e.position + pos
    cdef Book* b = e.book + p.instrument_id
    cdef int64_t before = p.qty
    cdef uint32_t slot = order_alloc(e)
    cdef Order* o = e.order + slot
    cdef int64_t px
    e.liq_counter += 1
    o.order_id = (<uint64_t>1 << 63) | e.liq_counter
    o.order_qty = needed_qty(e, b, p, x)
    o.leaves_qty = o.order_qty
    o.cum_qty = 0
    o.account_id = p.account_id
    o.instrument_id = p.instrument_id
    o.terms = NIL
    o.side = TC_SIDE_SELL if before > 0 else TC_SIDE_BUY
    o.ord_type = TC_ORD_LIMIT
    o.tif = TC_TIF_IOC
    o.stp = TC_STP_NONE
    o.flags = TC_FLAG_REDUCE_ONLY | TC_FLAG_LIQUIDATION
    o.in_ids = 0
    b.n_live += 1
    risk_adopt(e, slot)
    px = closing_px(b, o.side, v.round[0])
    e.liq_notional = 0
    emit_order(e, TC_EVT_ACCEPTED, 0, o, px)
    execute(e, b, slot, px, True)
    # A closing order never turns or grows the position.
    tc_check(e, abs64(p.qty) <= abs64(before), 4041)
    tc_check(e, p.qty == 0 or (p.qty > 0) == (before > 0), 4042)
    taker_finished(e, b)
    liquidation_fee(e, v, b)
    elect(e, b)


cdef inline bint run_round(Engine* e, const Victim* v) noexcept nogil:
    """Closing orders, instrument by instrument, as long as the pool needs them. True if one was sent."""
    cdef bint sent = False
    cdef int64_t after = -1
    cdef uint32_t n
    cdef Pool x
    while True:
        n = next_position(e, v, after, False)
        if n == NIL:
            return sent
        after = e.position[n].instrument_id
        if e.book[e.position[n].instrument_id].phase != TC_PHASE_CONTINUOUS or not order_available(e):
            continue
        pool_of(e, v, &x)
        if recovered(&x):
            return sent
        close_some(e, v, n, &x)
        sent = True


# ---- the machine ----------------------------------------------------------------------------------------------------


cdef inline void close_out_pool(Engine* e, const Victim* v) noexcept nogil:
    """BACKSTOP: the pool is emptied at once; a debt that nobody takes stays, and with it the state."""
    cdef Pool x
    enter(e, v, TC_STATE_BACKSTOP, SW_STATE_DONE)
    close_out(e, v)
    pool_of(e, v, &x)
    if recovered(&x):
        enter(e, v, TC_STATE_NORMAL, SW_STATE_DONE)


cdef inline void reduce_pool(Engine* e, const Victim* v) noexcept nogil:
    """State LIQ_REDUCE: recovered, closed by the market, due for a round, or at its end."""
    cdef Pool x
    pool_of(e, v, &x)
    if recovered(&x):
        v.suspended[0] = 0
        enter(e, v, TC_STATE_NORMAL, SW_STATE_EQUITY)
        return
    if next_position(e, v, -1, False) == NIL:
        v.suspended[0] = 0
        close_out_pool(e, v)
        return
    if not v.marked[0]:
        return
    if suspended(e, v):
        return
    v.marked[0] = 0
    if not run_round(e, v):
        return
    v.round[0] += 1
    pool_of(e, v, &x)
    if recovered(&x):
        enter(e, v, TC_STATE_NORMAL, SW_STATE_EQUITY)
    elif v.round[0] >= LIQUIDATION_ROUNDS or next_position(e, v, -1, False) == NIL:
        close_out_pool(e, v)


cdef inline bint healthy(const Pool* x) noexcept nogil:
    """Back to NORMAL from WARN and REDUCE_ONLY."""
    return x.equity >= x.initial and not below_warning(x)


cdef inline void evaluate(Engine* e, const Victim* v) noexcept nogil:
    """One evaluation of one pool; the rows of the reference page from the present state down."""
    cdef Pool x
    if exempt(e, v):
        return
    pool_of(e, v, &x)
    if v.state[0] == TC_STATE_NORMAL:
        if not below_warning(&x):
            return
        enter(e, v, TC_STATE_WARN, SW_STATE_EQUITY)
    if v.state[0] == TC_STATE_WARN:
        if healthy(&x):
            enter(e, v, TC_STATE_NORMAL, SW_STATE_EQUITY)
            return
        if x.equity >= x.initial:
            return
        enter(e, v, TC_STATE_REDUCE_ONLY, SW_STATE_EQUITY)
    if v.state[0] == TC_STATE_REDUCE_ONLY:
        if x.equity >= x.maintenance:
            v.suspended[0] = 0
            if healthy(&x):
                enter(e, v, TC_STATE_NORMAL, SW_STATE_EQUITY)
            return
        if suspended(e, v):
            return
        v.round[0] = 0
        enter(e, v, TC_STATE_LIQ_CANCEL, SW_STATE_EQUITY)
        cancel_pool_orders(e, v)
        v.marked[0] = 1
        enter(e, v, TC_STATE_LIQ_REDUCE, SW_STATE_DONE)
    if v.state[0] == TC_STATE_LIQ_REDUCE:
        reduce_pool(e, v)
    elif v.state[0] == TC_STATE_BACKSTOP:
        if recovered(&x):
            enter(e, v, TC_STATE_NORMAL, SW_STATE_EQUITY)


cdef inline void evaluate_touched(Engine* e) noexcept nogil:
    """Every touched pool in order, those touched meanwhile at their turn, until nothing moves."""
    cdef uint64_t key
    cdef uint32_t account_id, slot
    cdef Victim v
    while e.n_dirty and e.fault == 0:
        key = queue_pop(e)
        account_id = <uint32_t>(key >> 32)
        if key >> POOL_KIND_BIT & 1:
            slot = position_find(e, account_id, <uint32_t>key & 0x7FFFFFFF)
            e.position[slot].dirty = 0
            victim_of_position(e, slot, &v)
        else:
            slot = wallet_find(e, account_id, <uint32_t>key & 0x7FFFFFFF)
            e.wallet[slot].dirty = 0
            victim_of_wallet(e, slot, &v)
        evaluate(e, &v)
    e.dirty_base = 0


cdef inline void liquidation_step(Engine* e) noexcept nogil:
    """Last part of step 5 of a command. One comparison while nothing is near its limit."""
    if unlikely(e.n_dirty != 0):
        evaluate_touched(e)
