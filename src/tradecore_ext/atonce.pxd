"""Fetching for a batch too small to look ahead in: all that its frames lead to, as early as the addresses are known.

Owner of: the stages of small batches.  There is nothing to run meanwhile, so what counts is how many lines stand in a
row, each naming the next; one from memory costs as much as a whole command computes.  A new order, and a replace
that names its instrument, say in the frame where everything is but the order itself: position and wallet are asked for
through their tables, not one through the other, and the price while the id is still being looked up.  A cancel says
only its id, and there the row is bucket, order, wallet.  As everywhere here, a wrong guess fetches a line in vain and
changes nothing (docs/decisions/0005-fetching-ahead.md).
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tradecore_ext.ahead cimport (
    BLOCK,
    Ahead,
    fetch_wallet,
    money_fresh,
    money_line,
    money_named,
    near_named,
    order_line,
    order_named,
    split,
    wallets_fresh,
)
from tradecore_ext.keytable cimport pair_hash
from tradecore_ext.mathx cimport buy_mask, likely, mask_of, pick64, prefetch
from tradecore_ext.state cimport NIL, WINDOW, Book, Engine, Ladder, Money, Order, Page, Position
from tradecore_ext.types cimport TC_CMD_NEW_ORDER, TC_CMD_REPLACE_ORDER, TC_ORD_LIMIT, tc_command

cdef struct Priced:          # a frame that names its instrument and a price
    const tc_command* c
    const Ladder* side
    int64_t rank
    uint64_t position        # hash of (account, instrument)
    uint64_t wallet          # hash of (account, the asset it pays with)
    uint32_t k               # which frame of the batch it is
    uint32_t page            # of its price, 0 where it has none


cdef inline uint32_t books(
    const Engine* e, const tc_command* c, uint64_t n, Priced* f, Ahead* ring, bint accounts
) noexcept nogil:
    """Find the frames with a price; ask for their books, the buckets of their positions, the accounts that some rule
    will look at. Returns how many there are."""
    cdef const Book* b
    cdef uint32_t k
    cdef uint32_t count = 0
    for k in range(<uint32_t>n):
        ring[k // BLOCK].found[k & (BLOCK - 1)] = NIL
        if c[k].instrument_id >= e.max_instruments:
            continue
        if c[k].kind != TC_CMD_NEW_ORDER and (c[k].kind != TC_CMD_REPLACE_ORDER or c[k].instrument_id == 0):
            continue
        f[count].c = c + k
        f[count].k = k
        b = e.book + c[k].instrument_id
        prefetch(b)
        prefetch(&b.ladder[0])
        prefetch(&b.ladder[1])
        if accounts:
            prefetch(&b.multiplier)
            f[count].position = pair_hash(e, c[k].account_id, c[k].instrument_id)
            prefetch(e.positions.entry + (f[count].position >> e.positions.shift))
            if e.limited_any or c[k].ord_type > TC_ORD_LIMIT:
                prefetch(e.account + (c[k].account_id if c[k].account_id < e.max_accounts else 0))
        count += 1
    return count


cdef inline void sides(const Engine* e, Priced* f, uint32_t count, bint accounts) noexcept nogil:
    """The side, the place of the price in its window, the bucket of the wallet that pays.

    A replace need not say its side: it is taken for that of the nearer best price."""
    cdef const Book* b
    cdef uint64_t buy, px
    cdef uint32_t i
    for i in range(count):
        b = e.book + f[i].c.instrument_id
        px = <uint64_t>f[i].c.px
        buy = <uint64_t>mask_of(<int64_t>(2 * px - (<uint64_t>b.ladder[1].best - <uint64_t>b.ladder[0].best)) < 0)
        buy = <uint64_t>pick64(mask_of(f[i].c.side == 0), <int64_t>buy, buy_mask(f[i].c.side))
        f[i].side = &b.ladder[1] + <int64_t>buy
        f[i].rank = <int64_t>((px ^ buy) - buy)
        prefetch(f[i].side.window + (((f[i].rank >> 6) - f[i].side.base) & (WINDOW - 1)))
        if accounts and likely(not b.linear):
            f[i].wallet = pair_hash(
                e, f[i].c.account_id, <uint32_t>pick64(<int64_t>buy, b.quote_asset, b.base_asset)
            )
            prefetch(e.wallets.entry + (f[i].wallet >> e.wallets.shift))


cdef inline void pages(const Engine* e, Priced* f, uint32_t count) noexcept nogil:
    """The page of the price, page 0 where it lies outside of the window or has no page yet."""
    cdef uint64_t d
    cdef uint32_t i
    for i in range(count):
        d = <uint64_t>((f[i].rank >> 6) - f[i].side.base)
        f[i].page = f[i].side.window[d & (WINDOW - 1)] & <uint32_t>mask_of(d < WINDOW)
        prefetch(e.page + f[i].page)
        prefetch(&e.page[f[i].page].level[f[i].rank & 63])


cdef inline void money(const Engine* e, const Priced* f, uint32_t count, Ahead* ring) noexcept nogil:
    """The position, and the wallet that pays."""
    cdef uint64_t h, x, y, j
    cdef uint32_t i, found
    for i in range(count):
        h = f[i].position
        j = h >> e.positions.shift
        x = e.positions.entry[j]
        y = e.positions.entry[(j + 1) & e.positions.mask]
        x = <uint64_t>pick64(mask_of(x >> 32 == h >> 32), <int64_t>x, <int64_t>y)
        found = <uint32_t>x - 1 if likely(x >> 32 == h >> 32) else NIL
        prefetch(e.position + (found if found != NIL else 0))
        if f[i].c.kind == TC_CMD_NEW_ORDER:
            ring[f[i].k // BLOCK].found[f[i].k & (BLOCK - 1)] = found
        if likely(not e.book[f[i].c.instrument_id].linear):
            fetch_wallet(e, f[i].wallet)


cdef inline void levels(const Engine* e, const Priced* f, uint32_t count) noexcept nogil:
    """The level of the price, level 0 where it has none."""
    cdef const Page* p
    cdef uint32_t i, lv
    for i in range(count):
        p = e.page + f[i].page
        lv = p.level[f[i].rank & 63] & <uint32_t>mask_of((p.bits >> (f[i].rank & 63)) & 1)
        prefetch(e.level + (lv & <uint32_t>mask_of(lv < e.max_levels)))


cdef inline const Ladder* crossed(const Engine* e, const Priced* f) noexcept nogil:
    """The other side of the book, if the price meets its best."""
    cdef const Book* b = e.book + f.c.instrument_id
    cdef const Ladder* s = &b.ladder[0] + <int64_t>(f.side == &b.ladder[0])
    # Unsigned: the price is what stands in the frame.
    return s if s.best <= <int64_t>(0 - <uint64_t>f.rank) and s.best_level < e.max_levels else NULL


cdef inline void meetings(const Engine* e, const Priced* f, uint32_t count) noexcept nogil:
    """The level that a price meets on the other side."""
    cdef const Ladder* s
    cdef uint32_t i
    for i in range(count):
        s = crossed(e, f + i)
        if s != NULL:
            prefetch(e.level + s.best_level)


cdef inline void makers(const Engine* e, const Priced* f, uint32_t count, bint accounts) noexcept nogil:
    """The first maker at that level: order, money, position, wallets, and the order behind it."""
    cdef const Ladder* s
    cdef const Order* o
    cdef const Money* m
    cdef const Position* p
    cdef uint32_t i, head
    for i in range(count):
        s = crossed(e, f + i)
        if likely(s == NULL):
            continue
        head = e.level[s.best_level].head
        if head >= e.max_orders:
            continue  # a book that does not exist has a best level too, level 0
        o = e.order + head
        prefetch(o)
        if accounts:
            m = e.money + head
            prefetch(m)
            prefetch(order_line(e, o.next))
            prefetch(money_line(e, o.next))
            p = e.position + (m.position if m.position < e.max_positions else 0)
            prefetch(p)
            prefetch(e.wallet + (m.own.wallet if m.own.wallet < e.max_wallets else 0))
            prefetch(e.wallet + (p.quote_wallet if p.quote_wallet < e.max_wallets else 0))
            prefetch(e.wallet + (p.base_wallet if p.base_wallet < e.max_wallets else 0))


cdef inline void look_at_once(
    const Engine* e, const tc_command* c, uint64_t n, Ahead* ring, bint accounts
) noexcept nogil:
    """All stages, for n < AHEAD frames; fills in the tags and slots that the commands are run with. O(n)."""
    cdef Priced priced[16]
    cdef uint64_t blocks = (n + BLOCK - 1) // BLOCK
    cdef uint64_t q
    cdef uint32_t count
    for q in range(blocks):
        split(e, c, q, n, ring + q)
    count = books(e, c, n, priced, ring, accounts)
    for q in range(blocks):
        order_named(e, c + q * BLOCK, ring + q, accounts)
    sides(e, priced, count, accounts)
    pages(e, priced, count)
    meetings(e, priced, count)
    if accounts:
        money(e, priced, count, ring)
    for q in range(blocks):
        near_named(e, c + q * BLOCK, ring + q, accounts)
    levels(e, priced, count)
    makers(e, priced, count, accounts)
    if accounts:
        for q in range(blocks):
            money_fresh(e, c + q * BLOCK, ring + q)
            money_named(e, ring + q)
            wallets_fresh(e, c + q * BLOCK, ring + q)
