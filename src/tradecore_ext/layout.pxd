"""Where every arena of an engine stands in its one region of memory.

Owner of: the order of the arenas, and so of what lies close together.  The region itself is memory.pxd's.
Caller: engine.pyx, once to count and once to place.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t, uintptr_t

from tradecore_ext.state cimport (
    Book,
    Engine,
    GroupPosition,
    IdLine,
    KeyTable,
    Level,
    Money,
    Order,
    Page,
    Position,
    RiskNode,
    Rules,
    Terms,
    Timer,
    Wallet,
)

cdef enum:
    FIRST_ID_BITS = 10     # id table at construction: 1,024 lines for 4,096 orders, an L2-friendly 64 KiB


cdef inline uint32_t pow2_shift(uint64_t n) noexcept nogil:
    """Bits of the smallest power of two >= n."""
    cdef uint32_t k = 0
    while (<uint64_t>1 << k) < n:
        k += 1
    return k


cdef inline void* take(char* region, uint64_t* at, uint64_t count, uint64_t size) noexcept nogil:
    """The next arena of the region: on a line of its own, with one line between it and the next."""
    cdef uint64_t begin = at[0]
    at[0] = begin + ((count * size + 63) // 64 + 1) * 64
    return <void*>(<uintptr_t>region + begin)


cdef inline void take_table(char* region, uint64_t* at, KeyTable* t, uint64_t count) noexcept nogil:
    t.shift = 64 - pow2_shift(2 * count)
    t.mask = (<uint64_t>1 << (64 - t.shift)) - 1
    t.entry = <uint64_t*>take(region, at, t.mask + 1, sizeof(uint64_t))


cdef inline uint64_t lay_out(Engine* e, char* region, bint whole_ids) noexcept nogil:
    """Give every arena its place in the region and return how many bytes that takes; region NULL only counts.

    What a busy market reads stands first and close together, what only rare commands touch behind it."""
    cdef uint64_t at = 0
    cdef uint32_t bits = pow2_shift((<uint64_t>e.max_orders + 3) // 4)
    e.ids.max_mask = (<uint64_t>1 << bits) - 1
    e.book = <Book*>take(region, &at, e.max_instruments, sizeof(Book))
    e.ids.line = <IdLine*>take(region, &at, e.ids.max_mask + 1, sizeof(IdLine))
    e.order = <Order*>take(region, &at, e.max_orders, sizeof(Order))
    e.level = <Level*>take(region, &at, e.max_levels, sizeof(Level))
    e.page = <Page*>take(region, &at, <uint64_t>e.max_pages + 1, sizeof(Page))
    if e.accounts:
        e.money = <Money*>take(region, &at, e.max_orders, sizeof(Money))
        e.account = <RiskNode*>take(region, &at, e.max_accounts + 1, sizeof(RiskNode))
        e.wallet = <Wallet*>take(region, &at, e.max_wallets + 1, sizeof(Wallet))
        e.position = <Position*>take(region, &at, e.max_positions + 1, sizeof(Position))
        take_table(region, &at, &e.positions, e.max_positions)
        take_table(region, &at, &e.wallets, e.max_wallets)
        take_table(region, &at, &e.group_positions, e.max_group_positions)
        e.group_position = <GroupPosition*>take(region, &at, e.max_group_positions + 1, sizeof(GroupPosition))
        e.group = <RiskNode*>take(region, &at, e.max_groups + 1, sizeof(RiskNode))
        e.fees = <int64_t*>take(region, &at, e.max_assets, sizeof(int64_t))
        e.deposits = <int64_t*>take(region, &at, e.max_assets, sizeof(int64_t))
        e.clearing = <int64_t*>take(region, &at, e.max_assets, sizeof(int64_t))
        e.rate = <int64_t*>take(region, &at, e.max_assets, sizeof(int64_t))
        e.account_rules = <Rules*>take(region, &at, e.max_accounts + 1, sizeof(Rules))
        e.group_rules = <Rules*>take(region, &at, e.max_groups + 1, sizeof(Rules))
        e.dirty = <uint64_t*>take(region, &at, e.cap_dirty + 1, sizeof(uint64_t))
        e.rank = <uint32_t*>take(region, &at, e.max_positions + 1, sizeof(uint32_t))
    e.terms = <Terms*>take(region, &at, e.max_terms + 1, sizeof(Terms))
    e.timer = <Timer*>take(region, &at, e.max_timers, sizeof(Timer))
    e.scratch = <uint32_t*>take(region, &at, e.max_orders + 1, sizeof(uint32_t))
    e.maker = <uint32_t*>take(region, &at, e.max_orders + 1, sizeof(uint32_t))
    e.share = <int64_t*>take(region, &at, e.max_orders + 1, sizeof(int64_t))
    if not whole_ids and bits > FIRST_ID_BITS:
        e.ids.spare = <IdLine*>take(region, &at, e.ids.max_mask + 1, sizeof(IdLine))
        bits = FIRST_ID_BITS
    e.ids.shift = 32 - bits
    e.ids.mask = (<uint64_t>1 << bits) - 1
    return at
