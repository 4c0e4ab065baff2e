"""Price levels of one side of a book, and the FIFO queue inside each level.

Owner of: Engine.level, which level is best, which is next.  A page (pages.pxd) covers 64 neighbouring prices with one
bitmap word and names their levels.

Ranks: smaller is better; rank = px (asks, UP stops) or -px (bids, DOWN stops).
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tradecore_ext.mathx cimport I64_MAX, clz64, ctz64, likely, place_of, unlikely
from tradecore_ext.pages cimport (
    FAR_BEST,
    far_use,
    in_window,
    page_after,
    page_at,
    page_before,
    page_empty,
    page_find,
    page_make,
    used_first,
    window_used,
)
from tradecore_ext.pagetree cimport NO_PAGE, page_available
from tradecore_ext.state cimport CORE, L_ASK, L_UP, NIL, Engine, Ladder, Level, Order, Page


cdef inline int64_t rank_of(int which, int64_t px) noexcept nogil:
    """Rank of a price in ladder L_BID, L_ASK, L_UP or L_DOWN."""
    return px if (which == L_ASK or which == L_UP) else -px


# ---- arena of levels --------------------------------------------------------------------------------------


cdef inline bint level_available(const Engine* e) noexcept nogil:
    """Room for one more level and the page it might need."""
    return (e.level_free != NIL or e.level_fresh < e.max_levels) and page_available(e)


cdef inline uint32_t level_alloc(Engine* e) noexcept nogil:
    cdef uint32_t lv = e.level_free
    if likely(lv != NIL):
        e.level_free = e.level[lv].head
    else:
        lv = e.level_fresh
        e.level_fresh += 1
    e.n_levels += 1
    return lv


cdef inline void level_release(Engine* e, uint32_t lv) noexcept nogil:
    e.level[lv].head = e.level_free
    e.level_free = lv
    e.n_levels -= 1


# ---- levels -----------------------------------------------------------------------------------------------


cdef inline void ladder_init(Ladder* s, uint32_t instrument_id) noexcept nogil:
    """A ladder that is all zero becomes an empty one."""
    s.best = I64_MAX
    s.best_level = NIL
    s.book = instrument_id


cdef inline uint32_t ladder_find(Engine* e, Ladder* s, int64_t rank) noexcept nogil:
    """Level at this rank, NIL if there is none."""
    cdef const Page* p
    if rank == s.best:
        return s.best_level
    p = e.page + page_find(e, s, rank >> 6)
    return p.level[rank & 63] if (p.bits >> (rank & 63)) & 1 else NIL


cdef inline uint32_t ladder_get(Engine* e, Ladder* s, int64_t rank, int64_t px) noexcept nogil:
    """Level at this rank, made where it is missing; the caller has checked level_available."""
    cdef int64_t key = rank >> 6
    cdef uint32_t pg, lv
    cdef Page* p
    cdef Level* l
    if rank == s.best:
        return s.best_level
    pg = page_find(e, s, key)
    p = e.page + pg
    if (p.bits >> (rank & 63)) & 1:
        return p.level[rank & 63]
    if unlikely(pg == NO_PAGE):
        p = e.page + page_make(e, s, key)
    lv = level_alloc(e)
    l = e.level + lv
    l.px = px
    l.qty = 0
    l.head = NIL
    l.tail = NIL
    l.count = 0
    l.icebergs = 0
    p.bits |= <uint64_t>1 << (rank & 63)
    p.level[rank & 63] = lv
    if likely(in_window(s, key)):
        s.used[<uint64_t>(key - s.base) >> 6] |= <uint64_t>1 << ((key - s.base) & 63)
    s.n_levels += 1
    if rank < s.best:
        s.best = rank
        s.best_level = lv
        if unlikely(not in_window(s, key)):
            far_use(e, s, FAR_BEST)
    return lv


cdef inline void best_in(const Engine* e, Ladder* s, int64_t key, uint32_t pg) noexcept nogil:
    """The first level of this page is the best one."""
    cdef uint32_t b = ctz64(e.page[pg].bits)
    s.best = key * 64 + b
    s.best_level = e.page[pg].level[b]


cdef inline void best_behind(const Engine* e, Ladder* s, int64_t key) noexcept nogil:
    """The page that had the best level has gone: find the next one. The ladder is not empty.

    A page before the window would be better than the one that was best, if that lay inside."""
    if likely(s.used[0] == 0 and s.used[CORE] != 0 and in_window(s, key)):
        key = s.base + CORE * 64 + ctz64(s.used[CORE])
    elif not window_used(s) or (key < s.base and s.far_first != NO_PAGE and e.page[s.far_first].key < s.base):
        best_in(e, s, e.page[s.far_first].key, s.far_first)
        return
    else:
        key = used_first(s)
    best_in(e, s, key, page_at(s, key))


cdef inline void ladder_drop(Engine* e, Ladder* s, uint32_t lv, int64_t rank) noexcept nogil:
    """Erase an empty level."""
    cdef int64_t key = rank >> 6
    cdef uint32_t pg = page_find(e, s, key)
    cdef Page* p = e.page + pg
    p.bits &= ~(<uint64_t>1 << (rank & 63))
    level_release(e, lv)
    s.n_levels -= 1
    if p.bits != 0:
        if rank == s.best:
            best_in(e, s, key, pg)
        return
    page_empty(e, s, key, pg)
    if rank != s.best:
        return
    if unlikely(s.n_levels == 0):
        s.best = I64_MAX
        s.best_level = NIL
    else:
        best_behind(e, s, key)


cdef inline uint32_t ladder_next(Engine* e, Ladder* s, int64_t rank) noexcept nogil:
    """Level with the smallest rank above `rank` (which must have a level), NIL at the end."""
    cdef int64_t key = rank >> 6
    cdef uint32_t pg = page_find(e, s, key)
    cdef uint64_t bits = (e.page[pg].bits >> (rank & 63)) >> 1
    if bits != 0:
        return e.page[pg].level[(rank & 63) + 1 + ctz64(bits)]
    pg = page_after(e, s, key, pg)
    if pg == NO_PAGE:
        return NIL
    return e.page[pg].level[ctz64(e.page[pg].bits)]


cdef inline uint64_t orders_of(Engine* e, Ladder* s) noexcept nogil:
    """Orders of all levels. O(levels)."""
    cdef uint64_t n = 0
    cdef uint32_t lv = s.best_level
    cdef bint up = lv != NIL and s.best == e.level[lv].px
    while lv != NIL:
        n += e.level[lv].count
        lv = ladder_next(e, s, e.level[lv].px if up else -e.level[lv].px)
    return n


cdef inline uint32_t ladder_prev(Engine* e, Ladder* s, int64_t rank) noexcept nogil:
    """Level with the largest rank below `rank` (which must have a level), NIL at the start."""
    cdef int64_t key = rank >> 6
    cdef uint32_t pg = page_find(e, s, key)
    cdef uint64_t bits = e.page[pg].bits & ((<uint64_t>1 << (rank & 63)) - 1)
    if bits != 0:
        return e.page[pg].level[63 - clz64(bits)]
    pg = page_before(e, s, key, pg)
    if pg == NO_PAGE:
        return NIL
    return e.page[pg].level[63 - clz64(e.page[pg].bits)]


# ---- queue inside a level -------------------------------------------------------------------------


cdef inline void level_append(Engine* e, Ladder* s, uint32_t lv, uint32_t slot) noexcept nogil:
    """Put an order at the back of a level; its leaves_qty counts from now on."""
    cdef Level* l = e.level + lv
    cdef Order* o = e.order + slot
    o.level = lv
    o.next = NIL
    o.prev = l.tail
    place_of(l.tail != NIL, &e.order[l.tail].next, &l.head)[0] = slot
    l.tail = slot
    l.count += 1
    l.qty += o.leaves_qty
    s.qty += o.leaves_qty


cdef inline void level_unlink(Engine* e, Ladder* s, uint32_t slot, int which) noexcept nogil:
    """Take an order out of its level, and the level out of the ladder when it was the last one."""
    cdef Order* o = e.order + slot
    cdef Level* l = e.level + o.level
    # Two stores through chosen addresses: whether an order has neighbours is a coin toss, which branches lose.
    place_of(o.prev != NIL, &e.order[o.prev].next, &l.head)[0] = o.next
    place_of(o.next != NIL, &e.order[o.next].prev, &l.tail)[0] = o.prev
    l.qty -= o.leaves_qty
    s.qty -= o.leaves_qty
    l.count -= 1
    if l.count == 0:
        ladder_drop(e, s, o.level, rank_of(which, l.px))


cdef inline void level_reduce(Engine* e, Ladder* s, uint32_t lv, int64_t qty) noexcept nogil:
    """The level's orders together lost qty (a fill or a reduction); the order is changed by the caller."""
    e.level[lv].qty -= qty
    s.qty -= qty


cdef inline void level_requeue(Engine* e, uint32_t slot) noexcept nogil:
    """Move an order to the back of its own level."""
    cdef Order* o = e.order + slot
    cdef Level* l = e.level + o.level
    if o.next == NIL:
        return
    e.order[o.next].prev = o.prev
    if o.prev != NIL:
        e.order[o.prev].next = o.next
    else:
        l.head = o.next
    o.prev = l.tail
    o.next = NIL
    e.order[l.tail].next = slot
    l.tail = slot
