"""Fetching ahead: what the next commands of a batch will read is on its way while this one runs.

Owner of: the prefetch pipeline of a batch.  Blocks of sixteen frames walk through stages, each some steps before
the next, and each stage only reads lines that the stage before has asked for: bucket -> order, position -> level,
neighbours, wallets.  Nothing here changes state, so a wrong guess (a continuation frame, an id that is gone by then)
only fetches a line in vain.  A block is split once into new orders and commands on known ones; the stages then run over
two short lists instead of asking every frame for its kind at every stage, which no branch predictor can answer.  What a
new order reads of its book is fetched only with accounts on, whose records push the books out of the caches; without
them asking costs more than it brings (docs/decisions/0005-fetching-ahead.md).
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tradecore_ext.arena cimport id_tag
from tradecore_ext.keytable cimport pair_hash
from tradecore_ext.mathx cimport likely, prefetch, unlikely
from tradecore_ext.state cimport NIL, ST_FREE, WINDOW, Book, Engine, Ladder, Money, Order, Page, Position
from tradecore_ext.types cimport TC_CMD_NEW_ORDER, TC_SIDE_BUY, tc_command

cdef enum:
    BLOCK = 16             # frames of a block
    BLOCKS = 4             # blocks in the ring
    AHEAD = 26             # steps between the first stage of a block and the run of its first frame
    LINES_AHEAD = 48       # frames whose own lines are on their way

cdef struct Ahead:         # what the stages have found out about the frames of one block
    uint32_t tag[16]        # hash of the id
    uint32_t slot[16]       # order named by the id, NIL
    uint32_t position[16]   # slot of (account, instrument), NIL
    uint32_t level[16]      # of a new order, NIL
    uint64_t hash[16]       # of (account, instrument)
    uint8_t fresh[16]       # frames with new orders
    uint8_t named[16]       # all others
    uint32_t n_fresh
    uint32_t n_named


cdef inline void split(const Engine* e, const tc_command* all, uint64_t block, uint64_t n, Ahead* a) noexcept nogil:
    """Hash the ids of a block, ask for their buckets, tell new orders from the rest."""
    cdef const tc_command* c = all + block * BLOCK
    cdef uint32_t k
    cdef bint fresh
    cdef uint32_t count = BLOCK if (block + 1) * BLOCK <= n else <uint32_t>(n - block * BLOCK)
    a.n_fresh = 0
    a.n_named = 0
    for k in range(count):
        prefetch(c + k + LINES_AHEAD)
        a.tag[k] = id_tag(&e.ids, c[k].order_id)
        prefetch(e.ids.entry + (a.tag[k] >> e.ids.shift))
        fresh = c[k].kind == TC_CMD_NEW_ORDER
        a.fresh[a.n_fresh] = <uint8_t>k
        a.named[a.n_named] = <uint8_t>k
        a.n_fresh += fresh
        a.n_named += not fresh


cdef inline uint32_t named_order(const Engine* e, uint32_t tag) noexcept nogil:
    """Slot that the first two buckets name, NIL if none of them does."""
    cdef uint64_t i = tag >> e.ids.shift
    cdef uint64_t x = e.ids.entry[i]
    cdef uint64_t y = e.ids.entry[(i + 1) & e.ids.mask]
    x = x if <uint32_t>(x >> 32) == tag else y
    return <uint32_t>x - 1 if <uint32_t>(x >> 32) == tag else NIL


cdef inline void order_named(const Engine* e, const tc_command* c, Ahead* a) noexcept nogil:
    """The order, with its money and account."""
    cdef uint32_t k, i
    for i in range(a.n_named):
        k = a.named[i]
        a.slot[k] = named_order(e, a.tag[k])
        if likely(a.slot[k] != NIL):
            prefetch(e.order + a.slot[k])
            if e.accounts:
                prefetch(e.money + a.slot[k])
                prefetch(e.account + (c[k].account_id if c[k].account_id < e.max_accounts else 0))


cdef inline void near_named(const Engine* e, Ahead* a) noexcept nogil:
    """Level and neighbours of an order, its position and its neighbours in the position's list."""
    cdef const Order* o
    cdef const Money* m
    cdef uint32_t k, i
    for i in range(a.n_named):
        k = a.named[i]
        if unlikely(a.slot[k] == NIL):
            continue
        o = e.order + a.slot[k]
        if unlikely(o.state == ST_FREE or o.level >= e.max_levels):
            a.slot[k] = NIL
            continue
        prefetch(e.level + o.level)
        prefetch(e.order + (o.next if o.next != NIL else a.slot[k]))
        prefetch(e.order + (o.prev if o.prev != NIL else a.slot[k]))
        if e.accounts:
            m = e.money + a.slot[k]
            prefetch(e.position + (m.position if m.position < e.max_positions else 0))
            prefetch(e.money + (m.held_next if m.held_next != NIL else a.slot[k]))
            prefetch(e.money + (m.held_prev if m.held_prev != NIL else a.slot[k]))


cdef inline const Page* page_guess(const Engine* e, const tc_command* c) noexcept nogil:
    """Page of a new order's price in the window of its side, any page where it lies outside."""
    cdef const Ladder* s = &e.book[c.instrument_id].ladder[(c.side - 1) & 1]
    cdef uint64_t d = <uint64_t>((rank_at(c) >> 6) - s.base)
    cdef uint32_t pg = s.window[d & (WINDOW - 1)]
    return e.page + (pg if d < WINDOW and pg < e.max_pages else 0)


cdef inline int64_t rank_at(const tc_command* c) noexcept nogil:
    return -c.px if c.side == TC_SIDE_BUY else c.px


cdef inline void money_named(const Engine* e, Ahead* a) noexcept nogil:
    """The wallet that an order's hold stands in."""
    cdef const Position* p
    cdef uint32_t k, i, position, wallet
    for i in range(a.n_named):
        k = a.named[i]
        if unlikely(a.slot[k] == NIL):
            continue
        position = e.money[a.slot[k]].position
        if position < e.max_positions:
            p = e.position + position
            wallet = p.quote_wallet if e.order[a.slot[k]].side == TC_SIDE_BUY else p.base_wallet
            prefetch(e.wallet + (wallet if wallet != NIL else p.quote_wallet))


cdef inline void bucket_fresh(const Engine* e, const tc_command* c, Ahead* a) noexcept nogil:
    """Of new orders: the book, the account and the position's bucket."""
    cdef const Book* b
    cdef uint32_t k, i
    for i in range(a.n_fresh):
        k = a.fresh[i]
        b = e.book + (c[k].instrument_id if c[k].instrument_id < e.max_instruments else 0)
        prefetch(b)
        prefetch(&b.ladder[0])
        prefetch(&b.ladder[1])
        a.hash[k] = pair_hash(e, c[k].account_id, c[k].instrument_id)
        prefetch(e.positions.entry + (a.hash[k] >> e.positions.shift))
        prefetch(e.account + (c[k].account_id if c[k].account_id < e.max_accounts else 0))


cdef inline void order_fresh(const Engine* e, Ahead* a) noexcept nogil:
    """Of new orders: the position."""
    cdef uint64_t x, y, j
    cdef uint32_t k, i
    for i in range(a.n_fresh):
        k = a.fresh[i]
        j = a.hash[k] >> e.positions.shift
        x = e.positions.entry[j]
        y = e.positions.entry[(j + 1) & e.positions.mask]
        x = x if x >> 32 == a.hash[k] >> 32 else y
        a.position[k] = <uint32_t>x - 1 if x >> 32 == a.hash[k] >> 32 else NIL
        prefetch(e.position + (a.position[k] if a.position[k] != NIL else 0))


cdef inline void near_fresh(const Engine* e, const tc_command* c, Ahead* a) noexcept nogil:
    """Of new orders: the page of the price; the wallet that pays, or its bucket."""
    cdef const Position* p
    cdef const Book* b
    cdef const Page* page
    cdef uint32_t k, i, wallet
    for i in range(a.n_fresh):
        k = a.fresh[i]
        if c[k].account_id >= e.max_accounts or c[k].instrument_id >= e.max_instruments:
            continue
        page = page_guess(e, c + k)
        prefetch(page)
        prefetch(&page.level[rank_at(c + k) & 63])
        if likely(a.position[k] != NIL):
            p = e.position + a.position[k]
            wallet = p.quote_wallet if c[k].side == TC_SIDE_BUY else p.base_wallet
            prefetch(e.wallet + (wallet if wallet != NIL else p.quote_wallet))
        else:
            # The account's first order here: its wallets are looked up by key.
            b = e.book + c[k].instrument_id
            prefetch(e.wallets.entry + (pair_hash(e, c[k].account_id, b.spec.quote_asset) >> e.wallets.shift))
            if not b.linear:
                prefetch(e.wallets.entry + (pair_hash(e, c[k].account_id, b.spec.base_asset) >> e.wallets.shift))


cdef inline void fetch_wallet(const Engine* e, uint64_t hash) noexcept nogil:
    """The bucket is here: ask for the wallet it names, first or second place of the cluster."""
    cdef uint64_t i = hash >> e.wallets.shift
    cdef uint64_t x = e.wallets.entry[i]
    if x != 0 and x >> 32 != hash >> 32:
        x = e.wallets.entry[(i + 1) & e.wallets.mask]
    if x != 0:
        prefetch(e.wallet + (<uint32_t>x - 1))


cdef inline void money_fresh(const Engine* e, const tc_command* c, Ahead* a) noexcept nogil:
    """Of new orders: the level they join; of an account's first order in an instrument: the wallets."""
    cdef const Book* b
    cdef const Page* page
    cdef uint32_t k, i
    for i in range(a.n_fresh):
        k = a.fresh[i]
        a.level[k] = NIL
        if c[k].account_id >= e.max_accounts or c[k].instrument_id >= e.max_instruments:
            continue
        page = page_guess(e, c + k)
        a.level[k] = page.level[rank_at(c + k) & 63] if (page.bits >> (rank_at(c + k) & 63)) & 1 else NIL
        prefetch(e.level + (a.level[k] if a.level[k] < e.max_levels else 0))
        if unlikely(a.position[k] == NIL):
            b = e.book + c[k].instrument_id
            fetch_wallet(e, pair_hash(e, c[k].account_id, b.spec.quote_asset))
            if not b.linear:
                fetch_wallet(e, pair_hash(e, c[k].account_id, b.spec.base_asset))


cdef inline void tail_fresh(const Engine* e, const Ahead* a) noexcept nogil:
    """Of new orders: the last order of their level."""
    cdef uint32_t k, i, tail
    for i in range(a.n_fresh):
        k = a.fresh[i]
        if a.level[k] < e.max_levels:
            tail = e.level[a.level[k]].tail
            prefetch(e.order + (tail if tail < e.max_orders else 0))


cdef inline void look_at_all(
    const Engine* e, const tc_command* c, uint64_t n, Ahead* ring, bint accounts
) noexcept nogil:
    """All stages for a batch of less than AHEAD frames at once. There is nothing to run meanwhile, but the lines of all
    its commands, and the independent lines of one, are waited for together instead of one after the other."""
    cdef uint64_t q
    cdef uint64_t blocks = (n + BLOCK - 1) // BLOCK
    for q in range(blocks):
        split(e, c, q, n, ring + q)
        if accounts:
            bucket_fresh(e, c + q * BLOCK, ring + q)
    for q in range(blocks):
        order_named(e, c + q * BLOCK, ring + q)
        if accounts:
            order_fresh(e, ring + q)
    for q in range(blocks):
        near_named(e, ring + q)
        if accounts:
            near_fresh(e, c + q * BLOCK, ring + q)
    if accounts:
        for q in range(blocks):
            money_named(e, ring + q)
            money_fresh(e, c + q * BLOCK, ring + q)


cdef inline void look_ahead(
    Engine* e, const tc_command* c, uint64_t step, uint64_t n, Ahead* ring, bint accounts
) noexcept nogil:
    """One step of the pipeline for every frame that is run: a part of the work of a block, because a core can wait
    for some sixteen lines at a time and a burst of more would stop it. Frame i runs after step i + AHEAD."""
    cdef uint64_t block = step // BLOCK
    cdef uint64_t blocks = (n + BLOCK - 1) // BLOCK
    cdef uint64_t late = block - 1  # huge before the first block, so that one comparison keeps both ends
    cdef Ahead* a = ring + (block & (BLOCKS - 1))
    cdef Ahead* b = ring + (late & (BLOCKS - 1))
    cdef uint32_t part = step & (BLOCK - 1)
    if part == 0:
        if block < blocks:
            split(e, c, block, n, a)
    elif part == 6:
        if block < blocks:
            order_named(e, c + block * BLOCK, a)
    elif part == 11:
        if block < blocks:
            near_named(e, a)
    elif not accounts:
        return
    elif part == 1:
        if block < blocks:
            bucket_fresh(e, c + block * BLOCK, a)
    elif part == 7:
        if block < blocks:
            order_fresh(e, a)
    elif part == 12:
        if block < blocks:
            near_fresh(e, c + block * BLOCK, a)
    elif part == 2:
        if late < blocks:
            money_named(e, b)
    elif part == 3:
        if late < blocks:
            money_fresh(e, c + late * BLOCK, b)
    elif part == 8:
        if late < blocks:
            tail_fresh(e, b)
