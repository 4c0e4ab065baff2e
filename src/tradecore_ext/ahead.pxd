"""Fetching ahead: what the next commands of a batch will read is on its way while this one runs.

Owner of: the prefetch pipeline of a batch.  Blocks of eight frames walk through stages, each some steps before the
next, and each stage only reads lines that the stage before has asked for: bucket -> order, position -> level,
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
from tradecore_ext.types cimport TC_CMD_NEW_ORDER, TC_ORD_LIMIT, TC_SIDE_BUY, tc_command

cdef enum:
    BLOCK = 8              # frames of a block
    BLOCKS = 4             # blocks in the ring
    AHEAD = 16             # frames between the first stage of a block and the run of its first: two blocks
    LINES_AHEAD = 48       # frames whose own lines are on their way

cdef struct Ahead:         # what the stages have found out about the frames of one block
    uint32_t tag[8]        # hash of the id
    uint32_t found[8]      # of a new order the slot of its position, of others that of the order; NIL
    uint32_t level[8]      # of a new order, NIL
    uint64_t hash[8]       # of (account, instrument)
    uint8_t fresh[8]       # frames with new orders
    uint8_t named[8]       # all others
    uint32_t n_fresh
    uint32_t n_named
    uint32_t cont           # some frame is followed by others of the same command


cdef inline void split(const Engine* e, const tc_command* all, uint64_t block, uint64_t n, Ahead* a) noexcept nogil:
    """Hash the ids of a block, ask for their buckets, tell new orders from the rest."""
    cdef const tc_command* c = all + block * BLOCK
    cdef uint32_t k
    cdef bint fresh
    cdef uint32_t count = BLOCK if (block + 1) * BLOCK <= n else <uint32_t>(n - block * BLOCK)
    a.n_fresh = 0
    a.n_named = 0
    a.cont = 0
    for k in range(count):
        prefetch(c + k + LINES_AHEAD)
        a.tag[k] = id_tag(&e.ids, c[k].order_id)
        prefetch(e.ids.entry + (a.tag[k] >> e.ids.shift))
        fresh = c[k].kind == TC_CMD_NEW_ORDER
        a.fresh[a.n_fresh] = <uint8_t>k
        a.named[a.n_named] = <uint8_t>k
        a.n_fresh += fresh
        a.cont |= c[k].cont
        a.n_named += not fresh


cdef inline uint32_t named_order(const Engine* e, uint32_t tag) noexcept nogil:
    """Slot that the first two buckets name, NIL if none of them does."""
    cdef uint64_t i = tag >> e.ids.shift
    cdef uint64_t x = e.ids.entry[i]
    cdef uint64_t y = e.ids.entry[(i + 1) & e.ids.mask]
    x = x if <uint32_t>(x >> 32) == tag else y
    return <uint32_t>x - 1 if <uint32_t>(x >> 32) == tag else NIL


cdef inline void order_named(const Engine* e, const tc_command* c, Ahead* a) noexcept nogil:
    """The order, with its money; the account where limits will look at it."""
    cdef uint32_t k, i
    for i in range(a.n_named):
        k = a.named[i]
        a.found[k] = named_order(e, a.tag[k])
        if likely(a.found[k] != NIL):
            prefetch(e.order + a.found[k])
            if e.accounts:
                prefetch(e.money + a.found[k])
                if unlikely(e.limited_any):
                    prefetch(e.account + (c[k].account_id if c[k].account_id < e.max_accounts else 0))


cdef inline void near_named(const Engine* e, Ahead* a) noexcept nogil:
    """Book, level and neighbours of an order; its position, its wallet, its neighbours in the position's list."""
    cdef const Order* o
    cdef const Book* b
    cdef const Money* m
    cdef uint32_t k, i
    for i in range(a.n_named):
        k = a.named[i]
        if unlikely(a.found[k] == NIL):
            continue
        o = e.order + a.found[k]
        if unlikely(o.state == ST_FREE or o.level >= e.max_levels):
            a.found[k] = NIL
            continue
        b = e.book + o.instrument_id
        prefetch(b)
        prefetch(&b.ladder[(o.side - 1) & 1])
        prefetch(e.level + o.level)
        prefetch(e.order + (o.next if o.next != NIL else a.found[k]))
        prefetch(e.order + (o.prev if o.prev != NIL else a.found[k]))
        if e.accounts:
            m = e.money + a.found[k]
            prefetch(e.position + (m.position if m.position < e.max_positions else 0))
            if likely(not e.linear_any):
                prefetch(e.wallet + (m.own.wallet if m.own.wallet < e.max_wallets else 0))
            prefetch(e.money + (m.held_next if m.held_next != NIL else a.found[k]))
            prefetch(e.money + (m.held_prev if m.held_prev != NIL else a.found[k]))


cdef inline const Page* page_guess(const Engine* e, const tc_command* c) noexcept nogil:
    """Page of a new order's price in the window of its side, any page where it lies outside."""
    cdef const Ladder* s = &e.book[c.instrument_id].ladder[(c.side - 1) & 1]
    cdef uint64_t d = <uint64_t>((rank_at(c) >> 6) - s.base)
    cdef uint32_t pg = s.window[d & (WINDOW - 1)]
    return e.page + (pg if d < WINDOW and pg < e.max_pages else 0)


cdef inline int64_t rank_at(const tc_command* c) noexcept nogil:
    return -c.px if c.side == TC_SIDE_BUY else c.px


cdef inline void money_named(const Engine* e, Ahead* a) noexcept nogil:
    """The wallet that an order's hold stands in, where orders of linear instruments do not say it themselves."""
    cdef const Position* p
    cdef uint32_t k, i, position, wallet
    if likely(not e.linear_any):
        return
    for i in range(a.n_named):
        k = a.named[i]
        if unlikely(a.found[k] == NIL):
            continue
        position = e.money[a.found[k]].position
        if position < e.max_positions:
            p = e.position + position
            wallet = p.quote_wallet if e.order[a.found[k]].side == TC_SIDE_BUY else p.base_wallet
            prefetch(e.wallet + (wallet if wallet != NIL else p.quote_wallet))


cdef inline void bucket_fresh(const Engine* e, const tc_command* c, Ahead* a) noexcept nogil:
    """Of new orders: the book and the position's bucket; the account where some rule will look at it."""
    cdef const Book* b
    cdef uint32_t k, i
    for i in range(a.n_fresh):
        k = a.fresh[i]
        b = e.book + (c[k].instrument_id if c[k].instrument_id < e.max_instruments else 0)
        prefetch(b)
        prefetch(&b.multiplier)
        prefetch(&b.ladder[0])
        prefetch(&b.ladder[1])
        a.hash[k] = pair_hash(e, c[k].account_id, c[k].instrument_id)
        prefetch(e.positions.entry + (a.hash[k] >> e.positions.shift))
        if unlikely(e.limited_any or c[k].ord_type != TC_ORD_LIMIT):
            prefetch(e.account + (c[k].account_id if c[k].account_id < e.max_accounts else 0))


cdef inline void position_fresh(const Engine* e, const tc_command* c, Ahead* a) noexcept nogil:
    """Of new orders: the position, and the place of the window that names the page of the price."""
    cdef uint64_t x, y, j, d
    cdef const Ladder* s
    cdef uint32_t k, i
    for i in range(a.n_fresh):
        k = a.fresh[i]
        j = a.hash[k] >> e.positions.shift
        x = e.positions.entry[j]
        y = e.positions.entry[(j + 1) & e.positions.mask]
        x = x if x >> 32 == a.hash[k] >> 32 else y
        a.found[k] = <uint32_t>x - 1 if x >> 32 == a.hash[k] >> 32 else NIL
        prefetch(e.position + (a.found[k] if a.found[k] != NIL else 0))
        s = &e.book[c[k].instrument_id if c[k].instrument_id < e.max_instruments else 0].ladder[(c[k].side - 1) & 1]
        d = <uint64_t>((rank_at(c + k) >> 6) - s.base)
        prefetch(s.window + (d & (WINDOW - 1)))


cdef inline void page_fresh(const Engine* e, const tc_command* c, Ahead* a) noexcept nogil:
    """Of new orders: the page of the price; the wallet that pays. Of an account's first order in an instrument: the
    account, the record that the position will take, the buckets of its wallets."""
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
        if likely(a.found[k] != NIL):
            p = e.position + a.found[k]
            wallet = p.quote_wallet if c[k].side == TC_SIDE_BUY else p.base_wallet
            prefetch(e.wallet + (wallet if wallet != NIL else p.quote_wallet))
        else:
            prefetch(e.account + c[k].account_id)
            prefetch(e.position + e.n_positions + i)
            prefetch(&e.position[e.n_positions + i].fees)
            b = e.book + c[k].instrument_id
            prefetch(e.wallets.entry + (pair_hash(e, c[k].account_id, b.quote_asset) >> e.wallets.shift))
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


cdef inline void level_fresh(const Engine* e, const tc_command* c, Ahead* a) noexcept nogil:
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
        if unlikely(a.found[k] == NIL):
            b = e.book + c[k].instrument_id
            fetch_wallet(e, pair_hash(e, c[k].account_id, b.quote_asset))
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
            position_fresh(e, c + q * BLOCK, ring + q)
    for q in range(blocks):
        near_named(e, ring + q)
        if accounts:
            page_fresh(e, c + q * BLOCK, ring + q)
    if accounts:
        for q in range(blocks):
            money_named(e, ring + q)
            level_fresh(e, c + q * BLOCK, ring + q)


cdef inline void look_ahead(
    Engine* e, const tc_command* c, uint64_t block, uint32_t part, uint64_t n, Ahead* ring, bint accounts
) noexcept nogil:
    """The timetable: what is done for `block`, and for the one before it, in which eighth of the time a block runs.

    A stage each, because a core can wait for some sixteen lines at a time and a burst of more would stop it; three
    parts between stages, in which the lines of the first have time to come. Inlined where `part` is a constant."""
    cdef uint64_t blocks = (n + BLOCK - 1) // BLOCK
    cdef uint64_t late = block - 1  # huge before the first block, so that one comparison keeps both ends
    cdef Ahead* a = ring + (block & (BLOCKS - 1))
    cdef Ahead* b = ring + (late & (BLOCKS - 1))
    if part == 0 and block < blocks:
        split(e, c, block, n, a)
    if part == 3 and block < blocks:
        order_named(e, c + block * BLOCK, a)
    if part == 6 and block < blocks:
        near_named(e, a)
    if not accounts:
        return
    if part == 1 and block < blocks:
        bucket_fresh(e, c + block * BLOCK, a)
    if part == 2 and late < blocks:
        money_named(e, b)
    if part == 4 and block < blocks:
        position_fresh(e, c + block * BLOCK, a)
    if part == 5 and late < blocks:
        level_fresh(e, c + late * BLOCK, b)
    if part == 7:
        if block < blocks:
            page_fresh(e, c + block * BLOCK, a)
        if late < blocks:
            tail_fresh(e, b)
