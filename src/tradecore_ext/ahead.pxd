"""Fetching ahead: what the next commands of a batch will read is on its way while this one runs.

Owner of: the prefetch pipeline of a batch.  Blocks of eight frames walk through stages, each some steps before the
next, and each stage only reads lines that the stage before has asked for: bucket -> order, position -> level,
neighbours, wallets -> page and level of the price.  Nothing here changes state, so a wrong guess (a continuation frame,
an id that is gone by then) only fetches a line in vain.

Questions that no branch predictor can answer are not asked: a block is split once into new orders and commands on known
ones, and the stages that only one of the two needs run over a short list; all others run over the whole block, with
masks; a missing neighbour's line is the one before the array (docs/decisions/0005-fetching-ahead.md).
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tradecore_ext.ids cimport id_guess, id_line, id_tag
from tradecore_ext.keytable cimport pair_hash
from tradecore_ext.mathx cimport buy_mask, likely, mask_of, pick64, prefetch, unlikely
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
    uint64_t hash[8]       # of a new order's (account, instrument)
    const Ladder* side[8]  # where the price of a new or replaced order belongs
    int64_t rank[8]        # that price; of a cancel 0
    uint32_t page[8]       # its page in the window, 0 where it has none
    uint32_t level[8]      # its level, 0 where it has none
    uint8_t fresh[8]       # frames with new orders
    uint8_t named[8]       # all others
    uint32_t n_fresh
    uint32_t n_named
    uint32_t count
    uint32_t cont          # some frame is followed by others of the same command


cdef inline void split(const Engine* e, const tc_command* all, uint64_t block, uint64_t n, Ahead* a) noexcept nogil:
    """Hash the ids of a block, ask for their buckets, tell new orders from the rest."""
    cdef const tc_command* c = all + block * BLOCK
    cdef uint32_t count = BLOCK if (block + 1) * BLOCK <= n else <uint32_t>(n - block * BLOCK)
    cdef uint32_t k
    # Here and not in the struct: bytes that are written there could, for all a compiler knows, change the numbers.
    cdef uint32_t n_fresh = 0
    cdef uint32_t cont = 0
    for k in range(count):
        prefetch(c + k + LINES_AHEAD)
        a.tag[k] = id_tag(&e.ids, c[k].order_id)
        prefetch(id_line(&e.ids, a.tag[k]))
        a.fresh[n_fresh] = <uint8_t>k
        a.named[k - n_fresh] = <uint8_t>k
        n_fresh += c[k].kind == TC_CMD_NEW_ORDER
        cont |= c[k].cont
    a.n_fresh = n_fresh
    a.n_named = count - n_fresh
    a.count = count
    a.cont = cont


cdef inline const Order* order_line(const Engine* e, uint32_t slot) noexcept nogil:
    """An order's line; for NIL the one before the first, without asking which."""
    return e.order + <int64_t><uint32_t>(slot + 1) - 1


cdef inline const Money* money_line(const Engine* e, uint32_t slot) noexcept nogil:
    return e.money + <int64_t><uint32_t>(slot + 1) - 1


cdef inline int64_t rank_at(uint8_t side, int64_t px) noexcept nogil:
    """Rank of a price: -px for a buy."""
    cdef uint64_t buy = <uint64_t>buy_mask(side)
    return <int64_t>((<uint64_t>px ^ buy) - buy)  # unsigned: what stands in a continuation frame may be anything


# ---- commands on known orders -------------------------------------------------------------------------------


cdef inline void order_named(const Engine* e, const tc_command* c, Ahead* a, bint accounts) noexcept nogil:
    """The order, with its money; the account where limits will look at it."""
    cdef uint32_t k, i
    for i in range(a.n_named):
        k = a.named[i]
        a.found[k] = id_guess(&e.ids, a.tag[k])
        if likely(a.found[k] != NIL):
            prefetch(e.order + a.found[k])
            if accounts:
                prefetch(e.money + a.found[k])
                if unlikely(e.limited_any):
                    prefetch(e.account + (c[k].account_id if c[k].account_id < e.max_accounts else 0))


cdef inline void near_named(const Engine* e, const tc_command* c, Ahead* a, bint accounts) noexcept nogil:
    """Book, level and neighbours of an order; its position, its wallet, its neighbours in the position's list."""
    cdef const Order* o
    cdef const Book* b
    cdef const Money* m
    cdef uint32_t k, i
    for i in range(a.n_named):
        k = a.named[i]
        a.side[k] = &e.book[0].ladder[0]
        a.rank[k] = 0
        if unlikely(a.found[k] == NIL):
            continue
        o = e.order + a.found[k]
        if unlikely(o.state == ST_FREE or o.level >= e.max_levels):
            a.found[k] = NIL
            continue
        b = e.book + o.instrument_id
        a.side[k] = &b.ladder[(o.side - 1) & 1]
        a.rank[k] = rank_at(o.side, c[k].px)
        prefetch(b)
        prefetch(a.side[k])
        prefetch(e.level + o.level)
        prefetch(order_line(e, o.next))
        prefetch(order_line(e, o.prev))
        if accounts:
            m = e.money + a.found[k]
            prefetch(e.position + (m.position if m.position < e.max_positions else 0))
            if likely(not e.linear_any):
                prefetch(e.wallet + (m.own.wallet if m.own.wallet < e.max_wallets else 0))
            prefetch(money_line(e, m.held_next))
            prefetch(money_line(e, m.held_prev))


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


# ---- new orders ------------------------------------------------------------------------------------------


cdef inline void book_fresh(const Engine* e, const tc_command* c, Ahead* a, bint accounts) noexcept nogil:
    """Of new orders: the book and the position's bucket; the account where some rule will look at it."""
    cdef const Book* b
    cdef uint32_t k, i
    for i in range(a.n_fresh):
        k = a.fresh[i]
        b = e.book + (c[k].instrument_id if c[k].instrument_id < e.max_instruments else 0)
        a.side[k] = &b.ladder[(c[k].side - 1) & 1]
        a.rank[k] = rank_at(c[k].side, c[k].px)
        prefetch(b)
        prefetch(&b.ladder[0])
        prefetch(&b.ladder[1])
        if not accounts:
            continue
        prefetch(&b.multiplier)
        a.hash[k] = pair_hash(e, c[k].account_id, c[k].instrument_id)
        prefetch(e.positions.entry + (a.hash[k] >> e.positions.shift))
        if unlikely(e.limited_any or c[k].ord_type != TC_ORD_LIMIT):
            prefetch(e.account + (c[k].account_id if c[k].account_id < e.max_accounts else 0))


cdef inline void position_fresh(const Engine* e, Ahead* a) noexcept nogil:
    """Of new orders: the position."""
    cdef uint64_t x, y, j
    cdef uint32_t k, i
    for i in range(a.n_fresh):
        k = a.fresh[i]
        j = a.hash[k] >> e.positions.shift
        x = e.positions.entry[j]
        y = e.positions.entry[(j + 1) & e.positions.mask]
        x = <uint64_t>pick64(mask_of(x >> 32 == a.hash[k] >> 32), <int64_t>x, <int64_t>y)
        a.found[k] = <uint32_t>x - 1 if likely(x >> 32 == a.hash[k] >> 32) else NIL
        prefetch(e.position + (a.found[k] if a.found[k] != NIL else 0))


cdef inline void money_fresh(const Engine* e, const tc_command* c, Ahead* a) noexcept nogil:
    """Of new orders: the wallet that pays, the money of the order they come before in the position's list. Of an
    account's first order in an instrument: the account, the record that the position will take, the buckets of its
    wallets."""
    cdef const Position* p
    cdef const Book* b
    cdef uint32_t k, i, wallet
    for i in range(a.n_fresh):
        k = a.fresh[i]
        if likely(a.found[k] != NIL):
            p = e.position + a.found[k]
            wallet = <uint32_t>pick64(buy_mask(c[k].side), p.quote_wallet, p.base_wallet)
            prefetch(e.wallet + (wallet if likely(wallet != NIL) else p.quote_wallet))
            prefetch(money_line(e, p.orders_head))
        elif c[k].account_id < e.max_accounts and c[k].instrument_id < e.max_instruments:
            prefetch(e.account + c[k].account_id)
            prefetch(e.position + e.n_positions + i)
            prefetch(&e.position[e.n_positions + i].fees)
            b = e.book + c[k].instrument_id
            prefetch(e.wallets.entry + (pair_hash(e, c[k].account_id, b.quote_asset) >> e.wallets.shift))
            if not b.linear:
                prefetch(e.wallets.entry + (pair_hash(e, c[k].account_id, b.base_asset) >> e.wallets.shift))


cdef inline void fetch_wallet(const Engine* e, uint64_t hash) noexcept nogil:
    """The bucket is here: ask for the wallet it names, first or second place of the cluster."""
    cdef uint64_t i = hash >> e.wallets.shift
    cdef uint64_t x = e.wallets.entry[i]
    if x != 0 and x >> 32 != hash >> 32:
        x = e.wallets.entry[(i + 1) & e.wallets.mask]
    if x != 0:
        prefetch(e.wallet + (<uint32_t>x - 1))


cdef inline void wallets_fresh(const Engine* e, const tc_command* c, Ahead* a) noexcept nogil:
    """Of an account's first order in an instrument: the wallets."""
    cdef const Book* b
    cdef uint32_t k, i
    for i in range(a.n_fresh):
        k = a.fresh[i]
        if unlikely(a.found[k] == NIL) and c[k].account_id < e.max_accounts and c[k].instrument_id < e.max_instruments:
            b = e.book + c[k].instrument_id
            fetch_wallet(e, pair_hash(e, c[k].account_id, b.quote_asset))
            if not b.linear:
                fetch_wallet(e, pair_hash(e, c[k].account_id, b.base_asset))


# ---- where a price belongs -----------------------------------------------------------------------------


cdef inline void windows(Ahead* a, uint32_t count) noexcept nogil:
    """The place of the window that names the page of the price."""
    cdef uint32_t k
    for k in range(count):
        prefetch(a.side[k].window + (((a.rank[k] >> 6) - a.side[k].base) & (WINDOW - 1)))


cdef inline void pages(const Engine* e, Ahead* a, uint32_t count) noexcept nogil:
    """The page, page 0 where the price lies outside of the window or has no page yet."""
    cdef uint64_t d
    cdef uint32_t k, pg
    for k in range(count):
        d = <uint64_t>((a.rank[k] >> 6) - a.side[k].base)
        pg = a.side[k].window[d & (WINDOW - 1)] & <uint32_t>mask_of(d < WINDOW)
        a.page[k] = pg
        prefetch(e.page + pg)
        prefetch(&e.page[pg].level[a.rank[k] & 63])


cdef inline void levels(const Engine* e, Ahead* a, uint32_t count) noexcept nogil:
    """The level, level 0 where the price has none."""
    cdef const Page* p
    cdef uint32_t k, lv
    for k in range(count):
        p = e.page + a.page[k]
        lv = p.level[a.rank[k] & 63] & <uint32_t>mask_of((p.bits >> (a.rank[k] & 63)) & 1)
        lv &= <uint32_t>mask_of(lv < e.max_levels)
        a.level[k] = lv
        prefetch(e.level + lv)


cdef inline void tails(const Engine* e, const Ahead* a, uint32_t count) noexcept nogil:
    """The last order of the level."""
    cdef uint32_t k
    for k in range(count):
        prefetch(order_line(e, e.level[a.level[k]].tail))


# ---- timetables ----------------------------------------------------------------------------------------


cdef inline void early(
    Engine* e, const tc_command* all, uint64_t block, uint32_t part, uint64_t n, Ahead* a, bint accounts
) noexcept nogil:
    """The timetable: what is done for the block after next in which eighth of the time a block runs.

    A stage each, because a core can wait for some sixteen lines at a time and a burst of more would stop it; two or
    three parts between stages, in which the lines of the first have time to come. Inlined: `part` is a constant."""
    cdef const tc_command* c = all + block * BLOCK
    if part == 0:
        split(e, all, block, n, a)
    if part == 3:
        order_named(e, c, a, accounts)
    if part == 6:
        near_named(e, c, a, accounts)
    if part == 1:
        book_fresh(e, c, a, accounts)
    if not accounts:
        return
    if part == 4:
        position_fresh(e, a)
    if part == 7:
        money_fresh(e, c, a)


cdef inline void late(
    Engine* e, const tc_command* c, uint32_t part, Ahead* a, bint accounts, uint32_t count
) noexcept nogil:
    """The same for the next block, whose frames begin at `c`."""
    if part == 0:
        windows(a, count)
    if part == 2:
        pages(e, a, count)
    if part == 4:
        levels(e, a, count)
    if part == 6:
        tails(e, a, count)
    if not accounts:
        return
    if part == 1:
        money_named(e, a)
    if part == 3:
        wallets_fresh(e, c, a)


cdef inline void look_ahead(
    Engine* e, const tc_command* c, uint64_t block, uint32_t part, uint64_t n, Ahead* ring, bint accounts
) noexcept nogil:
    """Part of the timetable for a block and the one before it, as far as there are such."""
    cdef Ahead* a
    if block * BLOCK < n:
        early(e, c, block, part, n, ring + (block & (BLOCKS - 1)), accounts)
    if block != 0 and (block - 1) * BLOCK < n:
        a = ring + ((block - 1) & (BLOCKS - 1))
        late(e, c + (block - 1) * BLOCK, part, a, accounts, a.count)
