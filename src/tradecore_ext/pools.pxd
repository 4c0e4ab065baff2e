"""What a margin pool is worth, and which pools have to be looked at.

Owner of: margin rates, valuation of linear positions at the mark, the sums a wallet keeps of them, and the queue of
touched pools (docs/reference/margin.md sections 1 and 5).  A pool is either a wallet (all cross positions settled in
its asset) or one isolated position.  Everything here is incremental: a valuation changes the wallet by the difference.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tradecore_ext.emit cimport tc_check
from tradecore_ext.mathx cimport PPM, abs64, ceil_div128, int128, likely, max64, mul128, unlikely
from tradecore_ext.state cimport Book, Engine, Position, Wallet
from tradecore_ext.types cimport TC_MARGIN_ISOLATED, tc_margin_tier

cdef enum:
    POOL_KIND_BIT = 31       # of a queue key: 0 wallet, 1 isolated position
    TIERS = 4

cdef struct Pool:            # one margin pool, read from wherever it lives
    int64_t equity
    int64_t initial
    int64_t maintenance


cdef inline int64_t valuation_max() noexcept nogil:
    """2^56: valuations stop here, so that sums over positions stay far from the ends of 64 bits."""
    return (<int64_t>1) << 56


# ---- valuation ----------------------------------------------------------------------------------------


cdef inline int64_t notional_at(const Book* b, int64_t lots, int64_t px) noexcept nogil:
    """lots * px * multiplier for lots, px >= 0, at most 2^56."""
    cdef int128 a = mul128(lots, px)
    if unlikely(a > valuation_max()):
        return valuation_max()
    a *= b.multiplier
    return valuation_max() if a > valuation_max() else <int64_t>a


cdef inline int64_t unrealised(const Book* b, int64_t qty, int64_t cost) noexcept nogil:
    """Value of the position at the mark minus its cost, at most 2^56 either way."""
    cdef int128 a
    if b.mark_px == 0:
        return 0
    a = mul128(qty, b.mark_px)
    # Beyond 2^64 the cost (below 2^63) cannot bring it back; below, the product fits 128 bits.
    if unlikely(a >= (<int128>1) << 64):
        return valuation_max()
    if unlikely(a <= -((<int128>1) << 64)):
        return -valuation_max()
    a = a * b.multiplier - cost
    if unlikely(a > valuation_max()):
        return valuation_max()
    if unlikely(a < -valuation_max()):
        return -valuation_max()
    return <int64_t>a


cdef inline int64_t ceil_ppm(int128 x) noexcept nogil:
    """Ceiling of x / 1e6 for x >= 0; the usual case needs no 128-bit division."""
    if likely(x < (<int128>1) << 62):
        return <int64_t>((<uint64_t>x + PPM - 1) // <uint64_t>PPM)
    return <int64_t>ceil_div128(x, PPM)


cdef inline int64_t margin_of(const Book* b, int64_t lots, bint maintenance) noexcept nogil:
    """Margin of so many lots at the mark: each slice of the notional at its tier's rate, rounded up once.

    O(tiers). Source: the tier tables of derivatives venues (ORACLES.md, tiered maintenance)."""
    cdef const tc_margin_tier* t
    cdef int64_t n = notional_at(b, lots, b.mark_px)
    cdef int64_t lower = 0
    cdef int64_t rate = 0
    cdef int128 sum = 0
    cdef int i
    for i in range(TIERS):
        t = &b.spec.tiers[i]
        if i > 0 and t.max_notional == 0 and t.im_ppm == 0 and t.mm_ppm == 0:
            break  # an unused row: the tier before it has no upper bound
        rate = t.mm_ppm if maintenance else t.im_ppm
        if t.max_notional == 0 or n <= t.max_notional:
            break
        sum += mul128(t.max_notional - lower, rate)
        lower = t.max_notional
    return ceil_ppm(sum + mul128(n - lower, rate))


cdef inline int64_t worst_qty(int64_t qty, int64_t open_buy, int64_t open_sell) noexcept nogil:
    """Largest absolute position that the working orders could lead to."""
    return max64(abs64(qty + open_buy), abs64(qty - open_sell))


cdef inline int64_t held_margin(const Book* b, const Position* p, int64_t open_buy, int64_t open_sell) noexcept nogil:
    """What the wallet must hold for the position with so many working lots."""
    cdef int64_t held = margin_of(b, worst_qty(p.qty, open_buy, open_sell), False)
    if p.mode == TC_MARGIN_ISOLATED:
        held -= margin_of(b, abs64(p.qty), False)
    return held


# ---- pools --------------------------------------------------------------------------------------------


cdef inline void pool_of_wallet(const Wallet* w, Pool* x) noexcept nogil:
    x.equity = w.total + w.upnl
    x.initial = w.initial_margin
    x.maintenance = w.maintenance_margin


cdef inline void pool_of_position(const Position* p, Pool* x) noexcept nogil:
    x.equity = p.iso_margin + p.upnl
    x.initial = p.initial_margin
    x.maintenance = p.maintenance_margin


cdef inline bint below_warning(const Pool* x) noexcept nogil:
    """Equity under 1.2 times the maintenance margin."""
    return <int128>x.equity * 5 < <int128>x.maintenance * 6


cdef inline bint recovered(const Pool* x) noexcept nogil:
    """Equity at 1.05 times the initial margin: the end of a liquidation."""
    return <int128>x.equity * 100 >= <int128>x.initial * 105


# ---- the queue of touched pools: a heap by (account, kind, id) from the pool evaluated last on ------------


cdef inline uint64_t wallet_key(const Wallet* w) noexcept nogil:
    return (<uint64_t>w.account_id << 32) | w.asset_id


cdef inline uint64_t position_key(const Position* p) noexcept nogil:
    return (<uint64_t>p.account_id << 32) | (<uint64_t>1 << POOL_KIND_BIT) | p.instrument_id


cdef inline void queue_push(Engine* e, uint64_t key) noexcept nogil:
    """O(log touched). Each pool stands in the queue once (dirty flags), so there is room."""
    cdef uint64_t at = e.n_dirty
    cdef uint64_t up
    cdef uint64_t rank = key - e.dirty_base
    tc_check(e, e.n_dirty < e.cap_dirty, 4001)
    e.n_dirty += 1
    while at > 0:
        up = (at - 1) >> 1
        if e.dirty[up] - e.dirty_base <= rank:
            break
        e.dirty[at] = e.dirty[up]
        at = up
    e.dirty[at] = key


cdef inline uint64_t queue_pop(Engine* e) noexcept nogil:
    """The next pool in order, starting behind the one evaluated last and going round.

    Moving the base to the popped key keeps the heap's order: every other key lies behind it."""
    cdef uint64_t key = e.dirty[0]
    cdef uint64_t last, at, c
    e.n_dirty -= 1
    last = e.dirty[e.n_dirty]
    at = 0
    while True:
        c = 2 * at + 1
        if c >= e.n_dirty:
            break
        if c + 1 < e.n_dirty and e.dirty[c + 1] - e.dirty_base < e.dirty[c] - e.dirty_base:
            c += 1
        if last - e.dirty_base <= e.dirty[c] - e.dirty_base:
            break
        e.dirty[at] = e.dirty[c]
        at = c
    e.dirty[at] = last
    e.dirty_base = key + 1
    return key


cdef inline void touch_wallet(Engine* e, uint32_t wallet) noexcept nogil:
    """The cross pool's equity or margin has changed: queue it unless nothing can follow from it."""
    cdef Wallet* w = e.wallet + wallet
    cdef Pool x
    if w.dirty:
        return
    if likely(w.state == 0):
        pool_of_wallet(w, &x)
        if likely(not below_warning(&x)):
            return
    w.dirty = 1
    queue_push(e, wallet_key(w))


cdef inline void touch_position(Engine* e, Position* p) noexcept nogil:
    """The same for the pool that a linear position belongs to."""
    cdef Pool x
    if p.mode != TC_MARGIN_ISOLATED:
        touch_wallet(e, p.quote_wallet)
        return
    if p.dirty:
        return
    if likely(p.state == 0):
        pool_of_position(p, &x)
        if likely(not below_warning(&x)):
            return
    p.dirty = 1
    queue_push(e, position_key(p))


# ---- keeping the sums -----------------------------------------------------------------------------------


cdef inline void revalue(Engine* e, const Book* b, Position* p) noexcept nogil:
    """Value the position at the present mark and carry the differences to its wallet. O(1)."""
    cdef Wallet* w = e.wallet + p.quote_wallet
    cdef int64_t upnl = unrealised(b, p.qty, p.cost)
    cdef int64_t maintenance = margin_of(b, abs64(p.qty), True)
    cdef int64_t initial = margin_of(b, worst_qty(p.qty, p.open_buy, p.open_sell), False)
    cdef int64_t held = initial
    if unlikely(p.mode == TC_MARGIN_ISOLATED):
        initial = margin_of(b, abs64(p.qty), False)
        held -= initial
    else:
        w.upnl += upnl - p.upnl
        w.initial_margin += initial - p.initial_margin
        w.maintenance_margin += maintenance - p.maintenance_margin
    w.hold += held - p.held_im
    p.upnl = upnl
    p.initial_margin = initial
    p.maintenance_margin = maintenance
    p.held_im = held
    touch_position(e, p)
