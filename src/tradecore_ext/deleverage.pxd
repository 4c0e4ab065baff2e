"""Closing out: what happens to a pool that the market could not save.

Owner of: "Closing out" in section 5 of docs/reference/margin.md: takeover by the insurance account, and auto-deleverage
against the positions on the other side where insurance cannot pay.  Value only moves: every lot and every unit of cash
that leaves the victim arrives at somebody.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.emit cimport emit_next, tc_check
from tradecore_ext.keytable cimport position_find, position_get, wallet_find, wallet_get
from tradecore_ext.margin cimport add_cash, emit_balance, settle_side
from tradecore_ext.mathx cimport (
    abs64,
    ceil_div128,
    fits_cash,
    floor_div128,
    int128,
    max64,
    min64,
    mul128,
    uint128,
)
from tradecore_ext.pools cimport (
    Pool,
    notional_at,
    pool_of_position,
    pool_of_wallet,
    touch_position,
    touch_wallet,
)
from tradecore_ext.state cimport NIL, Book, Engine, Position, Wallet
from tradecore_ext.sums cimport sums_position
from tradecore_ext.types cimport (
    TC_CMD_MARK_PRICE,
    TC_EVT_FILL,
    TC_FILL_ADL,
    TC_FILL_LIQUIDATION,
    TC_MARGIN_CROSS,
    TC_MARGIN_ISOLATED,
    TC_MAX_PX,
    TC_SIDE_BUY,
    TC_SIDE_SELL,
    tc_fill_event,
)

cdef enum:
    SV_BACKSTOP = 325
    SV_ADL = 326

cdef struct Victim:          # a pool in liquidation; the pointers lead to the wallet's or the position's own fields
    uint8_t* state
    uint8_t* round
    uint8_t* marked
    uint8_t* suspended
    uint32_t account_id
    uint32_t asset_id
    uint32_t wallet
    uint32_t position        # NIL: cross


# ---- the pool as a set of positions ------------------------------------------------------------------------


cdef inline void victim_of_wallet(Engine* e, uint32_t wallet, Victim* v) noexcept nogil:
    cdef Wallet* w = e.wallet + wallet
    v.state = &w.state
    v.round = &w.round
    v.marked = &w.marked
    v.suspended = &w.suspended
    v.account_id = w.account_id
    v.asset_id = w.asset_id
    v.wallet = wallet
    v.position = NIL


cdef inline void victim_of_position(Engine* e, uint32_t pos, Victim* v) noexcept nogil:
    cdef Position* p = e.position + pos
    v.state = &p.state
    v.round = &p.round
    v.marked = &p.marked
    v.suspended = &p.suspended
    v.account_id = p.account_id
    v.asset_id = e.wallet[p.quote_wallet].asset_id
    v.wallet = p.quote_wallet
    v.position = pos


cdef inline void pool_of(Engine* e, const Victim* v, Pool* x) noexcept nogil:
    if v.position != NIL:
        pool_of_position(e.position + v.position, x)
    else:
        pool_of_wallet(e.wallet + v.wallet, x)


cdef inline bint belongs(Engine* e, const Victim* v, const Position* p) noexcept nogil:
    """True where a position of the victim's account is part of the pool."""
    if v.position != NIL:
        return p == e.position + v.position
    return e.book[p.instrument_id].linear and p.quote_wallet == v.wallet and p.mode == TC_MARGIN_CROSS


cdef inline uint32_t next_position(Engine* e, const Victim* v, int64_t after, bint flat_too) noexcept nogil:
    """The pool's position with the lowest instrument_id above `after`, NIL if there is none.

    O(positions of the account); only pools in liquidation are walked in order."""
    cdef uint32_t best = NIL
    cdef uint32_t n = v.position
    cdef Position* p
    if n != NIL:
        p = e.position + n
        return n if p.instrument_id > after and (flat_too or p.qty != 0) else NIL
    n = e.account[v.account_id].positions_head
    while n != NIL:
        p = e.position + n
        if p.instrument_id > after and (flat_too or p.qty != 0) and belongs(e, v, p):
            if best == NIL or p.instrument_id < e.position[best].instrument_id:
                best = n
        n = p.acct_next
    return best


cdef inline bint account_there(const Engine* e, uint32_t account_id) noexcept nogil:
    return account_id != 0 and account_id < e.max_accounts and e.account[account_id].exists


cdef inline uint32_t insurer_of(Engine* e, const Victim* v) noexcept nogil:
    """The insurance account of the pool's first instrument that names one; 0 = none."""
    cdef uint32_t n = next_position(e, v, -1, True)
    cdef uint32_t x
    while n != NIL:
        x = e.book[e.position[n].instrument_id].spec.insurance_account
        if account_there(e, x):
            return x
        n = next_position(e, v, e.position[n].instrument_id, True)
    return 0


# ---- moving cash ---------------------------------------------------------------------------------------------


cdef inline void pool_cash(Engine* e, const Victim* v, int64_t amount, uint16_t status) noexcept nogil:
    """Change the pool's cash, with its BALANCE event."""
    cdef Position* p
    if v.position != NIL:
        p = e.position + v.position
        add_cash(e, &p.iso_margin, amount, 4021)
        emit_balance(
            e, v.account_id, p.instrument_id, v.asset_id, amount, p.iso_margin, TC_CMD_MARK_PRICE, status
        )
        touch_position(e, p)
    else:
        add_cash(e, &e.wallet[v.wallet].total, amount, 4022)
        emit_balance(
            e, v.account_id, 0, v.asset_id, amount, e.wallet[v.wallet].total, TC_CMD_MARK_PRICE, status
        )
        touch_wallet(e, v.wallet)


cdef inline bint pay_insurer(Engine* e, const Victim* v, uint32_t x, int64_t amount, uint16_t status) noexcept nogil:
    """Move `amount` of the pool's cash (negative: a debt) to the insurance account. False: it has no wallet."""
    cdef uint32_t w = wallet_get(e, x, v.asset_id)
    if w == NIL:
        return False
    pool_cash(e, v, -amount, status)
    add_cash(e, &e.wallet[w].total, amount, 4023)
    emit_balance(
        e, x, 0 if v.position == NIL else e.position[v.position].instrument_id, v.asset_id, amount,
        e.wallet[w].total, TC_CMD_MARK_PRICE, status
    )
    touch_wallet(e, w)
    return True


cdef inline void emit_forced_fill(
    Engine* e, const Position* p, uint32_t other, uint8_t side, int64_t px, int64_t qty, uint32_t flags, uint16_t status
) noexcept nogil:
    cdef tc_fill_event* v = <tc_fill_event*>emit_next(e)
    v.account_id = p.account_id
    v.instrument_id = p.instrument_id
    v.kind = TC_EVT_FILL
    v.side = side
    v.status = status
    v.last_px = px
    v.last_qty = qty
    v.maker_account_id = other
    v.flags = flags


cdef inline void hand_over(
    Engine* e, uint32_t pos, uint32_t other, int64_t px, int64_t qty, uint32_t flags, uint16_t status
) noexcept nogil:
    """Lots of the victim's position `pos` go to the position `other` at px: no orders, no fees, no print."""
    cdef Position* p = e.position + pos
    cdef Book* b = e.book + p.instrument_id
    cdef uint8_t side = TC_SIDE_SELL if p.qty > 0 else TC_SIDE_BUY
    emit_forced_fill(e, p, e.position[other].account_id, side, px, qty, flags, status)
    settle_side(e, b, pos, 0, side, px, qty, 0, True, status)
    if e.track:  # each change directly after it is written, see sums.pxd
        sums_position(e, p.account_id, p.instrument_id, -qty if side == TC_SIDE_SELL else qty, 0, 0)
    settle_side(e, b, other, 0, 3 - side, px, qty, 0, False, status)
    if e.track:
        sums_position(
            e, e.position[other].account_id, p.instrument_id, qty if side == TC_SIDE_SELL else -qty, 0, 0
        )


# ---- the insurance account ---------------------------------------------------------------------------------


cdef inline bint can_take_over(Engine* e, const Victim* v, uint32_t x) noexcept nogil:
    """Whether the insurance account has room for the pool and can pay what it is short of.

    The pool is valued exactly here, not up to 2^56: what is moved is money."""
    cdef uint32_t w, n, theirs
    cdef uint32_t missing = 0
    cdef Position* p
    cdef Book* b
    cdef int128 value
    cdef int128 equity = 0
    cdef int128 owed = e.wallet[v.wallet].total if v.position == NIL else e.position[v.position].iso_margin
    if x == 0 or x == v.account_id:
        return False
    w = wallet_find(e, x, v.asset_id)
    if w == NIL:
        if e.n_wallets >= e.max_wallets:
            return False
    else:
        equity = <int128>e.wallet[w].total + e.wallet[w].upnl
    n = next_position(e, v, -1, False)
    while n != NIL:
        p = e.position + n
        b = e.book + p.instrument_id
        theirs = position_find(e, x, p.instrument_id)
        if theirs == NIL:
            missing += 1
        elif e.position[theirs].mode == TC_MARGIN_ISOLATED:
            return False
        value = mul128(p.qty, b.mark_px)
        if not fits_cash(value) or not fits_cash(value * b.multiplier):
            return False
        owed += value * b.multiplier - p.cost
        n = next_position(e, v, p.instrument_id, False)
    if e.n_positions + missing > e.max_positions:
        return False
    return fits_cash(owed) and equity + owed >= 0


cdef inline void take_over(Engine* e, const Victim* v, uint32_t x) noexcept nogil:
    """The insurance account takes every position at the mark, then what cash is left, or is owed."""
    cdef uint32_t n = next_position(e, v, -1, False)
    cdef uint32_t theirs
    cdef Pool pool
    while n != NIL:
        theirs = position_get(e, x, e.position[n].instrument_id)
        hand_over(
            e, n, theirs, e.book[e.position[n].instrument_id].mark_px, abs64(e.position[n].qty),
            TC_FILL_LIQUIDATION, SV_BACKSTOP
        )
        n = next_position(e, v, e.position[n].instrument_id, False)
    pool_of(e, v, &pool)
    if pool.equity != 0:
        pay_insurer(e, v, x, pool.equity, SV_BACKSTOP)


# ---- auto-deleverage ----------------------------------------------------------------------------------------


cdef inline void mul_wide(uint128 a, uint128 b, uint128* high, uint128* low) noexcept nogil:
    """Both halves of a 128 by 128 bit product."""
    cdef uint128 mask = <uint64_t>0xFFFFFFFFFFFFFFFF
    cdef uint128 a0 = a & mask
    cdef uint128 a1 = a >> 64
    cdef uint128 b0 = b & mask
    cdef uint128 b1 = b >> 64
    cdef uint128 t0 = a0 * b0
    cdef uint128 t1 = a1 * b0 + (t0 >> 64)
    cdef uint128 t2 = a0 * b1 + (t1 & mask)
    high[0] = a1 * b1 + (t1 >> 64) + (t2 >> 64)
    low[0] = (t2 << 64) | (t0 & mask)


cdef inline int128 equity_behind(Engine* e, const Position* p) noexcept nogil:
    """Equity of the pool of a position, at least 1: a bankrupt pool counts as infinitely leveraged, almost."""
    cdef Pool x
    if p.mode == TC_MARGIN_ISOLATED:
        pool_of_position(p, &x)
    else:
        pool_of_wallet(e.wallet + p.quote_wallet, &x)
    return x.equity if x.equity > 1 else 1


cdef inline int sign_of(int64_t x) noexcept nogil:
    return (1 if x > 0 else 0) - (1 if x < 0 else 0)


cdef inline bint ranks_before(Engine* e, const Book* b, uint32_t i, uint32_t j) noexcept nogil:
    """Whether position i is deleveraged before j: higher profit ratio times leverage, then lower account.

    (upnl / |cost|) * (notional / equity), compared by cross multiplication in 256 bits."""
    cdef const Position* p = e.position + i
    cdef const Position* q = e.position + j
    cdef int sp = sign_of(p.upnl)
    cdef int sq = sign_of(q.upnl)
    cdef uint128 ph, pl, qh, ql
    if sp != sq:
        return sp > sq
    if sp != 0:
        mul_wide(
            <uint128>mul128(abs64(p.upnl), notional_at(b, abs64(p.qty), b.mark_px)),
            <uint128>max64(abs64(q.cost), 1) * <uint128>equity_behind(e, q), &ph, &pl
        )
        mul_wide(
            <uint128>mul128(abs64(q.upnl), notional_at(b, abs64(q.qty), b.mark_px)),
            <uint128>max64(abs64(p.cost), 1) * <uint128>equity_behind(e, p), &qh, &ql
        )
        if ph != qh:
            return (ph > qh) == (sp > 0)
        if pl != ql:
            return (pl > ql) == (sp > 0)
    return p.account_id < q.account_id


cdef inline void rank_sift(Engine* e, const Book* b, uint32_t at, uint32_t n) noexcept nogil:
    """Restore the heap in Engine.rank (best first) below `at`."""
    cdef uint32_t c
    cdef uint32_t x = e.rank[at]
    while True:
        c = 2 * at + 1
        if c >= n:
            break
        if c + 1 < n and ranks_before(e, b, e.rank[c + 1], e.rank[c]):
            c += 1
        if not ranks_before(e, b, e.rank[c], x):
            break
        e.rank[at] = e.rank[c]
        at = c
    e.rank[at] = x


cdef inline uint32_t rank_opposite(Engine* e, const Book* b, const Position* p) noexcept nogil:
    """Fill Engine.rank with the positions on the other side, as a heap. Returns their number. O(positions)."""
    cdef uint32_t count = 0
    cdef uint32_t n = b.positions_head
    cdef uint32_t i
    while n != NIL:
        if sign_of(e.position[n].qty) == -sign_of(p.qty):
            e.rank[count] = n
            count += 1
        n = e.position[n].inst_next
    i = count // 2
    while i > 0:
        i -= 1
        rank_sift(e, b, i, count)
    return count


cdef inline int64_t bankruptcy_px(const Book* b, const Position* p, int128 rest) noexcept nogil:
    """Price that leaves the pool with nothing, rounded so that it is not left short.

    rest: the pool's equity without this position. Limited to 0..2^56."""
    cdef int128 scale = mul128(abs64(p.qty), b.multiplier)
    cdef int128 px
    if p.qty > 0:
        px = ceil_div128(p.cost - rest, scale)
    else:
        px = floor_div128(rest - p.cost, scale)
    if px < 0:
        return 0
    return TC_MAX_PX if px > TC_MAX_PX else <int64_t>px


cdef inline void deleverage(Engine* e, const Victim* v, uint32_t x) noexcept nogil:
    """Close every position against the other side at the bankruptcy price; the rounding goes to insurance.

    O(positions of the instrument) to rank, O(log) for each position that is cut."""
    cdef uint32_t n = next_position(e, v, -1, False)
    cdef uint32_t count, other
    cdef int64_t px, qty, d
    cdef Position* p
    cdef Book* b
    cdef Pool pool
    while n != NIL:
        p = e.position + n
        b = e.book + p.instrument_id
        pool_of(e, v, &pool)
        px = bankruptcy_px(b, p, <int128>pool.equity - p.upnl)
        qty = abs64(p.qty)
        count = rank_opposite(e, b, p)
        while qty > 0 and count > 0:
            other = e.rank[0]
            count -= 1
            e.rank[0] = e.rank[count]
            if count > 0:
                rank_sift(e, b, 0, count)
            d = min64(qty, abs64(e.position[other].qty))
            hand_over(e, n, other, px, d, TC_FILL_ADL, SV_ADL)
            qty -= d
        # The quantities of an instrument sum to zero, so the other side always suffices.
        tc_check(e, qty == 0, 4031)
        n = next_position(e, v, p.instrument_id, False)
    pool_of(e, v, &pool)
    if pool.equity > 0:
        if x == 0 or not pay_insurer(e, v, x, pool.equity, SV_ADL):
            e.fees[v.asset_id] += pool.equity
            pool_cash(e, v, -pool.equity, SV_ADL)


cdef inline void close_out(Engine* e, const Victim* v) noexcept nogil:
    """The pool's positions leave it, one way or the other."""
    cdef uint32_t x = insurer_of(e, v)
    if can_take_over(e, v, x):
        take_over(e, v, x)
    else:
        deleverage(e, v, x)
