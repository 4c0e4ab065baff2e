"""FUNDING, MARGIN_MODE, MARGIN_TRANSFER.

Owner of: section 4 of docs/reference/margin.md.  Everything is checked before anything changes.
"""
from libc.stdint cimport int64_t, uint32_t

from tradecore_ext.emit cimport emit_done, emit_refused
from tradecore_ext.keytable cimport position_find, position_get, position_room
from tradecore_ext.margin cimport emit_balance, margin_free
from tradecore_ext.mathx cimport abs64, fits_cash, int128, max64, min64, mul128
from tradecore_ext.pools cimport margin_of, touch_position, touch_wallet
from tradecore_ext.state cimport NIL, Book, Engine, Position, Wallet
from tradecore_ext.types cimport (
    TC_CMD_FUNDING,
    TC_CMD_MARGIN_MODE,
    TC_MARGIN_ISOLATED,
    tc_admin,
    tc_command,
)

cdef enum:
    SM_BAD_FIELD = 103
    SM_UNKNOWN_INSTRUMENT = 200
    SM_UNKNOWN_ACCOUNT = 300
    SM_INSUFFICIENT_FUNDS = 313
    SM_BALANCE_OVERFLOW = 320
    SM_MARGIN_CHANGE = 327
    SM_FUNDING = 328
    SM_CAPACITY_POSITIONS = 505
    SM_CAPACITY_WALLETS = 511


# ---- funding ----------------------------------------------------------------------------------------------


cdef inline int64_t* cash_of(Engine* e, Position* p) noexcept nogil:
    """Where the position's cash flows go: into itself when isolated, else into its wallet."""
    return &p.iso_margin if p.mode == TC_MARGIN_ISOLATED else &e.wallet[p.quote_wallet].total


cdef inline void sift_accounts(Engine* e, uint32_t at, uint32_t n) noexcept nogil:
    """Heap step over Engine.rank, highest account first."""
    cdef uint32_t c
    cdef uint32_t x = e.rank[at]
    while True:
        c = 2 * at + 1
        if c >= n:
            break
        if c + 1 < n and e.position[e.rank[c + 1]].account_id > e.position[e.rank[c]].account_id:
            c += 1
        if e.position[e.rank[c]].account_id <= e.position[x].account_id:
            break
        e.rank[at] = e.rank[c]
        at = c
    e.rank[at] = x


cdef inline uint32_t holders(Engine* e, const Book* b) noexcept nogil:
    """Fill Engine.rank with the instrument's open positions in account order. O(n log n)."""
    cdef uint32_t count = 0
    cdef uint32_t n = b.positions_head
    cdef uint32_t i, x
    while n != NIL:
        if e.position[n].qty != 0:
            e.rank[count] = n
            count += 1
        n = e.position[n].inst_next
    i = count // 2
    while i > 0:
        i -= 1
        sift_accounts(e, i, count)
    i = count
    while i > 1:
        i -= 1
        x = e.rank[0]
        e.rank[0] = e.rank[i]
        e.rank[i] = x
        sift_accounts(e, 0, i)
    return count


cdef inline void funding(Engine* e, const tc_admin* a, Book* b) noexcept nogil:
    """Every long pays `amount` a lot, every short receives it; the sum is zero because quantities sum to zero."""
    cdef uint32_t n = holders(e, b)
    cdef uint32_t i
    cdef Position* p
    cdef int64_t* cash
    cdef int128 x
    if not fits_cash(a.amount):
        emit_refused(e, SM_BAD_FIELD, a.kind, a.account_id, a.instrument_id, 0, 0)
        return
    for i in range(n):
        p = e.position + e.rank[i]
        x = mul128(p.qty, a.amount)
        if not fits_cash(x) or not fits_cash(cash_of(e, p)[0] - x):
            emit_refused(e, SM_BALANCE_OVERFLOW, a.kind, a.account_id, a.instrument_id, 0, 0)
            return
    # From here on this must succeed.
    for i in range(n):
        p = e.position + e.rank[i]
        cash = cash_of(e, p)
        cash[0] -= p.qty * a.amount
        emit_balance(
            e, p.account_id, p.instrument_id, b.quote_asset, -p.qty * a.amount, cash[0], TC_CMD_FUNDING, SM_FUNDING
        )
        touch_position(e, p)
    emit_done(e, a.kind, a.account_id, a.instrument_id)


# ---- margin mode and isolated margin ---------------------------------------------------------------------------


cdef inline void margin_mode(Engine* e, const tc_admin* a) noexcept nogil:
    """MARGIN_MODE: only while nothing of the account depends on it."""
    cdef uint32_t pos = position_find(e, a.account_id, a.instrument_id)
    cdef Position* p
    if a.state > TC_MARGIN_ISOLATED:
        emit_refused(e, SM_BAD_FIELD, a.kind, a.account_id, a.instrument_id, 0, 0)
        return
    if pos == NIL:
        if not position_room(e):
            emit_refused(e, SM_CAPACITY_POSITIONS, a.kind, a.account_id, a.instrument_id, 0, 0)
            return
        pos = position_get(e, a.account_id, a.instrument_id)
        if pos == NIL:
            emit_refused(e, SM_CAPACITY_WALLETS, a.kind, a.account_id, a.instrument_id, 0, 0)
            return
    p = e.position + pos
    if p.qty != 0 or p.open_buy != 0 or p.open_sell != 0 or p.iso_margin != 0 or p.state != 0:
        emit_refused(e, SM_MARGIN_CHANGE, a.kind, a.account_id, a.instrument_id, 0, 0)
        return
    p.mode = a.state
    emit_done(e, a.kind, a.account_id, a.instrument_id)


cdef inline void margin_transfer(Engine* e, const tc_admin* a, Book* b) noexcept nogil:
    """MARGIN_TRANSFER: cash between the wallet and an isolated position, down to its initial margin."""
    cdef uint32_t pos = position_find(e, a.account_id, a.instrument_id)
    cdef Position* p
    cdef Wallet* w
    cdef int64_t limit, asked
    if a.amount == 0 or not fits_cash(a.amount):
        emit_refused(e, SM_BAD_FIELD, a.kind, a.account_id, a.instrument_id, 0, 0)
        return
    if pos == NIL or e.position[pos].mode != TC_MARGIN_ISOLATED or e.position[pos].qty == 0:
        emit_refused(e, SM_MARGIN_CHANGE, a.kind, a.account_id, a.instrument_id, 0, 0)
        return
    p = e.position + pos
    w = e.wallet + p.quote_wallet
    asked = abs64(a.amount)
    if a.amount > 0:
        limit = margin_free(e, p.quote_wallet)
    else:
        limit = max64(0, p.iso_margin + min64(p.upnl, 0) - margin_of(b, abs64(p.qty), False))
    if asked > limit:
        emit_refused(e, SM_INSUFFICIENT_FUNDS, a.kind, a.account_id, a.instrument_id, asked, limit)
        return
    w.total -= a.amount
    p.iso_margin += a.amount
    emit_balance(e, a.account_id, a.instrument_id, b.quote_asset, -a.amount, w.total, a.kind, 0)
    touch_position(e, p)
    touch_wallet(e, p.quote_wallet)
    emit_done(e, a.kind, a.account_id, a.instrument_id)


cdef inline void margin_command(Engine* e, const tc_command* c) noexcept nogil:
    """FUNDING, MARGIN_MODE, MARGIN_TRANSFER; frame already checked."""
    cdef const tc_admin* a = <const tc_admin*>c
    cdef Book* b
    if a.kind != TC_CMD_FUNDING:
        if a.account_id >= e.max_accounts or not e.account[a.account_id].exists:
            emit_refused(e, SM_UNKNOWN_ACCOUNT, a.kind, a.account_id, a.instrument_id, 0, 0)
            return
    if a.instrument_id >= e.max_instruments or not e.book[a.instrument_id].exists:
        emit_refused(e, SM_UNKNOWN_INSTRUMENT, a.kind, a.account_id, a.instrument_id, 0, 0)
        return
    b = e.book + a.instrument_id
    if not b.linear:
        emit_refused(e, SM_BAD_FIELD, a.kind, a.account_id, a.instrument_id, 0, 0)
    elif a.kind == TC_CMD_FUNDING:
        funding(e, a, b)
    elif a.kind == TC_CMD_MARGIN_MODE:
        margin_mode(e, a)
    else:
        margin_transfer(e, a, b)
