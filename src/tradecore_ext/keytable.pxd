"""Which slot belongs to (account, asset), (account, instrument), (group, instrument).

Owner of: creation of wallets and positions.  Neither is ever erased, so a slot found once may be kept by
orders and by other records (Position.quote_wallet, Money.position), and the hot path hashes once per command.
The tables are open addressing with the engine's keyed hash; an entry is 8 bytes (upper half of the hash and
the slot), the full key stands in the record itself, which the caller reads anyway.
"""
from libc.stdint cimport uint32_t, uint64_t

from tradecore_ext.mathx cimport fold_mul, likely, prefetch, unlikely
from tradecore_ext.state cimport NIL, Book, Engine, GroupPosition, KeyTable, Position, Wallet
from tradecore_ext.watch cimport account_watched


cdef inline uint64_t pair_hash(const Engine* e, uint32_t a, uint32_t b) noexcept nogil:
    """64 bits of the keyed hash of a pair of ids; its upper bits index every table."""
    cdef uint64_t h = fold_mul(((<uint64_t>a << 32) | b) ^ e.ids.key0, e.ids.key1)
    return fold_mul(h ^ <uint64_t>0x9E3779B97F4A7C15, <uint64_t>0xD6E8FEB86659FD93)


cdef inline void table_insert(KeyTable* t, uint64_t h, uint32_t slot) noexcept nogil:
    """Enter a new slot; the tables are twice as large as their arenas, so there is room."""
    cdef uint64_t i = h >> t.shift
    while t.entry[i] != 0:
        i = (i + 1) & t.mask
    t.entry[i] = (h & <uint64_t>0xFFFFFFFF00000000) | (slot + 1)
    t.used += 1


cdef inline uint32_t wallet_find(const Engine* e, uint32_t account_id, uint32_t asset_id) noexcept nogil:
    """Slot of (account, asset), NIL if there is none. Expected O(1)."""
    cdef uint64_t h = pair_hash(e, account_id, asset_id)
    cdef uint64_t i = h >> e.wallets.shift
    cdef uint64_t x
    cdef const Wallet* w
    while True:
        x = e.wallets.entry[i]
        if x == 0:
            return NIL
        if x >> 32 == h >> 32:
            w = e.wallet + (<uint32_t>x - 1)
            if likely(w.account_id == account_id and w.asset_id == asset_id):
                return <uint32_t>x - 1
        i = (i + 1) & e.wallets.mask


cdef inline uint32_t wallet_get(Engine* e, uint32_t account_id, uint32_t asset_id) noexcept nogil:
    """Slot of (account, asset), created empty if need be; NIL when all slots are taken."""
    cdef uint32_t slot = wallet_find(e, account_id, asset_id)
    cdef Wallet* w
    if slot != NIL:
        return slot
    if e.n_wallets >= e.max_wallets:
        return NIL
    slot = e.n_wallets
    e.n_wallets += 1
    w = e.wallet + slot
    w.account_id = account_id
    w.asset_id = asset_id
    w.acct_next = e.account[account_id].wallets_head
    w.next = NIL
    e.account[account_id].wallets_head = slot
    table_insert(&e.wallets, pair_hash(e, account_id, asset_id), slot)
    return slot


cdef inline uint32_t position_find(const Engine* e, uint32_t account_id, uint32_t instrument_id) noexcept nogil:
    """Slot of (account, instrument), NIL if there is none. Expected O(1)."""
    cdef uint64_t h = pair_hash(e, account_id, instrument_id)
    cdef uint64_t i = h >> e.positions.shift
    cdef uint64_t x
    cdef const Position* p
    while True:
        x = e.positions.entry[i]
        if x == 0:
            return NIL
        if x >> 32 == h >> 32:
            p = e.position + (<uint32_t>x - 1)
            if likely(p.account_id == account_id and p.instrument_id == instrument_id):
                return <uint32_t>x - 1
        i = (i + 1) & e.positions.mask


cdef inline bint position_room(const Engine* e) noexcept nogil:
    return e.n_positions < e.max_positions


cdef inline uint32_t wallets_missing(const Engine* e, const Book* b, uint32_t account_id) noexcept nogil:
    """How many of the wallets that a position of the instrument needs do not exist yet.

    0 also where there is room for all of them: then nobody needs to know, and two look-ups are saved."""
    cdef uint32_t n
    if likely(e.n_wallets + 2 <= e.max_wallets):
        return 0
    n = 1 if wallet_find(e, account_id, b.quote_asset) == NIL else 0
    if not b.linear and b.base_asset != b.quote_asset:
        if wallet_find(e, account_id, b.base_asset) == NIL:
            n += 1
    return n


cdef inline uint32_t position_get(Engine* e, uint32_t account_id, uint32_t instrument_id) noexcept nogil:
    """Slot of (account, instrument), created flat with its wallets if need be.

    NIL when positions or wallets are all taken; then nothing has been created.
    """
    cdef uint32_t slot = position_find(e, account_id, instrument_id)
    cdef Position* p
    cdef Book* b
    if likely(slot != NIL):
        return slot
    b = e.book + instrument_id
    if not position_room(e) or e.n_wallets + wallets_missing(e, b, account_id) > e.max_wallets:
        return NIL
    slot = e.n_positions
    e.n_positions += 1
    p = e.position + slot
    p.account_id = account_id
    p.instrument_id = instrument_id
    p.quote_wallet = wallet_get(e, account_id, b.quote_asset)
    p.base_wallet = NIL if b.linear else wallet_get(e, account_id, b.base_asset)
    p.orders_head = NIL
    p.watched = account_watched(e, account_id)
    p.acct_next = e.account[account_id].positions_head
    e.account[account_id].positions_head = slot
    p.inst_next = b.positions_head
    b.positions_head = slot
    table_insert(&e.positions, pair_hash(e, account_id, instrument_id), slot)
    return slot


cdef inline uint32_t group_find(const Engine* e, uint32_t group_id, uint32_t instrument_id) noexcept nogil:
    """Slot of the sums of (group, instrument), NIL if there are none."""
    cdef uint64_t h = pair_hash(e, group_id, instrument_id)
    cdef uint64_t i = h >> e.group_positions.shift
    cdef uint64_t x
    cdef const GroupPosition* g
    while True:
        x = e.group_positions.entry[i]
        if x == 0:
            return NIL
        if x >> 32 == h >> 32:
            g = e.group_position + (<uint32_t>x - 1)
            if g.group_id == group_id and g.instrument_id == instrument_id:
                return <uint32_t>x - 1
        i = (i + 1) & e.group_positions.mask


cdef inline uint32_t group_get(Engine* e, uint32_t group_id, uint32_t instrument_id) noexcept nogil:
    """Slot of the sums of (group, instrument), created if need be; NIL when the arena is full, then the caller
    rebuilds it (accounts that changed their group leave empty sums behind; a fresh build always fits)."""
    cdef uint32_t slot = group_find(e, group_id, instrument_id)
    if slot != NIL:
        return slot
    if unlikely(e.n_group_positions >= e.max_group_positions):
        return NIL
    slot = e.n_group_positions
    e.n_group_positions += 1
    e.group_position[slot].group_id = group_id
    e.group_position[slot].instrument_id = instrument_id
    table_insert(&e.group_positions, pair_hash(e, group_id, instrument_id), slot)
    return slot


cdef inline uint32_t firm_find(Engine* e, uint32_t instrument_id) noexcept nogil:
    """group_find for the firm; the book remembers the slot."""
    cdef uint32_t known = e.book[instrument_id].firm_sums
    if likely(known != 0):
        return known - 1
    return group_find(e, 0, instrument_id)


cdef inline uint32_t firm_get(Engine* e, uint32_t instrument_id) noexcept nogil:
    """group_get for the firm; the book remembers the slot."""
    cdef uint32_t slot
    if likely(e.book[instrument_id].firm_sums != 0):
        return e.book[instrument_id].firm_sums - 1
    slot = group_get(e, 0, instrument_id)
    if slot != NIL:
        e.book[instrument_id].firm_sums = slot + 1
    return slot
