"""Fetching ahead: what the next commands of a batch will read is on its way while this one runs.

Owner of: the prefetch pipeline of a batch.  A command walks through five stages, each a few commands before the
next, and each stage only reads lines that the stage before has asked for: bucket -> order and position -> level,
neighbours and wallets -> the tail of the queue.  Nothing here changes state, so a wrong guess (a continuation frame,
an id that is gone by then) only fetches a line in vain.  Batching is what makes this possible.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tradecore_ext.arena cimport id_tag
from tradecore_ext.keytable cimport pair_hash
from tradecore_ext.mathx cimport prefetch
from tradecore_ext.state cimport NIL, ST_FREE, WINDOW, Book, Engine, Ladder, Level, Money, Order, Page, Position
from tradecore_ext.types cimport TC_CMD_NEW_ORDER, TC_CMD_REPLACE_ORDER, TC_SIDE_BUY, TC_SIDE_SELL, tc_command

cdef enum:
    AHEAD_LINE = 48        # the command's own line
    AHEAD_BUCKET = 22      # buckets of the id and of the position; the account
    AHEAD_ORDER = 16       # the order, its money; the position; the book
    AHEAD_NEAR = 11        # level, neighbours; price page; wallet buckets or wallets
    AHEAD_LEVEL = 7        # level of a new order; wallets
    AHEAD_TAIL = 3         # last order of that level
    RING = 64

cdef struct Ahead:         # what the stages have found out about one command
    uint32_t tag
    uint32_t slot          # order named by the id, NIL
    uint32_t position      # slot of (account, instrument), NIL
    uint32_t level
    uint64_t hash          # of (account, instrument)
    uint64_t quote_hash    # of (account, quote asset) where there is no position yet; 0 = not wanted
    uint64_t base_hash


cdef inline bint no_side(const tc_command* c) noexcept nogil:
    """Neither buy nor sell: raw bytes of a longer command can look like a new order. (An unsigned byte minus one
    is an int in C, so a range check by subtraction would let 0 through.)"""
    return c.side != TC_SIDE_BUY and c.side != TC_SIDE_SELL


cdef inline uint32_t page_guess(const Ladder* s, int64_t rank) noexcept nogil:
    """Page of the window for this rank, NIL outside it."""
    cdef uint64_t d = <uint64_t>((rank >> 6) - s.base)
    return s.window[d] if d < WINDOW else NIL


cdef inline void stage_bucket(Engine* e, const tc_command* c, Ahead* a) noexcept nogil:
    a.tag = id_tag(&e.ids, c.order_id)
    a.slot = NIL
    a.position = NIL
    a.level = NIL
    a.quote_hash = 0
    a.base_hash = 0
    prefetch(e.ids.entry + (a.tag >> e.ids.shift))
    if c.kind == TC_CMD_NEW_ORDER:
        if c.instrument_id < e.max_instruments:
            prefetch(e.book + c.instrument_id)
            prefetch(&e.book[c.instrument_id].ladder[0])
            prefetch(&e.book[c.instrument_id].ladder[1])
        if e.accounts and c.account_id < e.max_accounts:
            a.hash = pair_hash(e, c.account_id, c.instrument_id)
            prefetch(e.positions.entry + (a.hash >> e.positions.shift))
            prefetch(e.account + c.account_id)


cdef inline void stage_order(Engine* e, const tc_command* c, Ahead* a) noexcept nogil:
    cdef uint64_t i, x
    cdef const Book* b
    cdef int64_t rank
    cdef uint32_t pg
    if c.kind != TC_CMD_NEW_ORDER:
        i = a.tag >> e.ids.shift
        x = e.ids.entry[i]
        if x != 0 and <uint32_t>(x >> 32) != a.tag:
            x = e.ids.entry[(i + 1) & e.ids.mask]
        if x != 0 and <uint32_t>(x >> 32) == a.tag:
            a.slot = <uint32_t>x - 1
            prefetch(e.order + a.slot)
            if e.accounts:
                prefetch(e.money + a.slot)
                if c.account_id < e.max_accounts:
                    prefetch(e.account + c.account_id)
        return
    if c.instrument_id >= e.max_instruments or no_side(c):
        return
    b = e.book + c.instrument_id
    rank = -c.px if c.side == 1 else c.px
    pg = <uint32_t>((rank >> 6) - b.ladder[c.side - 1].base)
    prefetch(&b.ladder[c.side - 1].window[pg & (WINDOW - 1)])
    if e.accounts and c.account_id < e.max_accounts and b.exists:
        i = a.hash >> e.positions.shift
        x = e.positions.entry[i]
        if x != 0 and x >> 32 != a.hash >> 32:
            x = e.positions.entry[(i + 1) & e.positions.mask]
        if x != 0 and x >> 32 == a.hash >> 32:
            a.position = <uint32_t>x - 1
            prefetch(e.position + a.position)
        else:
            prefetch(&b.spec.base_asset)


cdef inline void stage_near(Engine* e, const tc_command* c, Ahead* a) noexcept nogil:
    cdef const Order* o
    cdef const Book* b
    cdef int64_t rank
    cdef uint32_t pg
    if a.slot != NIL:
        o = e.order + a.slot
        if o.state == ST_FREE or o.instrument_id >= e.max_instruments:
            a.slot = NIL
            return
        if o.level < e.max_levels:
            prefetch(e.level + o.level)
        if o.next < e.max_orders:
            prefetch(e.order + o.next)
        if o.prev < e.max_orders:
            prefetch(e.order + o.prev)
        prefetch(e.book + o.instrument_id)
        prefetch(&e.book[o.instrument_id].ladder[(o.side - 1) & 1])
        if e.accounts:
            near_money(e, a)
        return
    if c.kind != TC_CMD_NEW_ORDER or c.instrument_id >= e.max_instruments or no_side(c):
        return
    b = e.book + c.instrument_id
    if not b.exists:
        return
    rank = -c.px if c.side == 1 else c.px
    pg = page_guess(&b.ladder[c.side - 1], rank)
    if pg < e.max_pages:
        prefetch(e.page + pg)
        prefetch(&e.page[pg].level[rank & 63])
    if e.accounts and c.account_id < e.max_accounts:
        if a.position != NIL:
            prefetch(e.wallet + e.position[a.position].quote_wallet)
            if e.position[a.position].base_wallet != NIL:
                prefetch(e.wallet + e.position[a.position].base_wallet)
        else:
            # The account's first order here: its wallets are looked up by key.
            a.quote_hash = pair_hash(e, c.account_id, b.spec.quote_asset)
            prefetch(e.wallets.entry + (a.quote_hash >> e.wallets.shift))
            if not b.linear:
                a.base_hash = pair_hash(e, c.account_id, b.spec.base_asset)
                prefetch(e.wallets.entry + (a.base_hash >> e.wallets.shift))
        if e.account[c.account_id].orders_head < e.max_orders:
            prefetch(e.money + e.account[c.account_id].orders_head)


cdef inline void near_money(Engine* e, Ahead* a) noexcept nogil:
    cdef const Money* m = e.money + a.slot
    if m.position < e.max_positions:
        a.position = m.position
        prefetch(e.position + m.position)
    if m.acct_next < e.max_orders:
        prefetch(e.money + m.acct_next)
    if m.acct_prev < e.max_orders:
        prefetch(e.money + m.acct_prev)


cdef inline void fetch_wallet(const Engine* e, uint64_t hash) noexcept nogil:
    """The bucket is here: ask for the wallet it names, first or second place of the cluster."""
    cdef uint64_t i = hash >> e.wallets.shift
    cdef uint64_t x = e.wallets.entry[i]
    if x != 0 and x >> 32 != hash >> 32:
        x = e.wallets.entry[(i + 1) & e.wallets.mask]
    if x != 0:
        prefetch(e.wallet + (<uint32_t>x - 1))


cdef inline void stage_level(Engine* e, const tc_command* c, Ahead* a) noexcept nogil:
    cdef const Position* p
    cdef const Ladder* s
    cdef const Page* page
    cdef int64_t rank
    cdef uint32_t pg
    if a.slot != NIL:
        if a.position != NIL:
            p = e.position + a.position
            prefetch(e.wallet + p.quote_wallet)
            if p.base_wallet != NIL:
                prefetch(e.wallet + p.base_wallet)
        if c.kind != TC_CMD_REPLACE_ORDER or c.px == 0:
            return
        s = &e.book[e.order[a.slot].instrument_id].ladder[(e.order[a.slot].side - 1) & 1]
        rank = -c.px if e.order[a.slot].side == 1 else c.px
    else:
        if c.kind != TC_CMD_NEW_ORDER or c.instrument_id >= e.max_instruments or no_side(c):
            return
        if not e.book[c.instrument_id].exists:
            return
        if a.quote_hash:
            fetch_wallet(e, a.quote_hash)
        if a.base_hash:
            fetch_wallet(e, a.base_hash)
        s = &e.book[c.instrument_id].ladder[c.side - 1]
        rank = -c.px if c.side == 1 else c.px
    pg = page_guess(s, rank)
    if pg < e.max_pages:
        page = e.page + pg
        if (page.bits >> (rank & 63)) & 1:
            a.level = page.level[rank & 63]
            prefetch(e.level + a.level)


cdef inline void stage_tail(Engine* e, const Ahead* a) noexcept nogil:
    cdef uint32_t tail
    if a.level != NIL:
        tail = e.level[a.level].tail
        if tail < e.max_orders:
            prefetch(e.order + tail)


cdef inline void look_ahead(Engine* e, const tc_command* c, uint64_t i, uint64_t n, Ahead* ring) noexcept nogil:
    """All stages for the step of the batch at frame i."""
    cdef uint64_t j
    prefetch(c + (i + AHEAD_LINE if i + AHEAD_LINE < n else i))
    j = i + AHEAD_BUCKET
    if j < n:
        stage_bucket(e, c + j, ring + (j & (RING - 1)))
    j = i + AHEAD_ORDER
    if j < n:
        stage_order(e, c + j, ring + (j & (RING - 1)))
    j = i + AHEAD_NEAR
    if j < n:
        stage_near(e, c + j, ring + (j & (RING - 1)))
    j = i + AHEAD_LEVEL
    if j < n:
        stage_level(e, c + j, ring + (j & (RING - 1)))
    j = i + AHEAD_TAIL
    if j < n:
        stage_tail(e, ring + (j & (RING - 1)))
