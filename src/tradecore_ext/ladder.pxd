"""Price levels of one side of a book, and the FIFO queue inside each level.

Owner of: which level is best, which is next.  A page covers 64 neighbouring prices with one bitmap
word, so near the touch finding, inserting and erasing a level are a cached page look-up and a bit
operation, and the next price is one count-trailing-zeros.  Pages hang in a threaded AVL tree by key:
the next page is one link away, an unknown page costs O(log pages), so prices 1 and 2^40 in one book, or
a million levels, cost what their number costs and no command pays for a reorganisation.
A direct-mapped cache of pages stands in front of the tree.

Ranks: smaller is better; rank = px (asks, UP stops) or -px (bids, DOWN stops).
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from tradecore_ext.mathx cimport I64_MAX, clz64, ctz64, likely, unlikely
from tradecore_ext.state cimport (
    L_ASK,
    L_BID,
    L_DOWN,
    L_UP,
    NIL,
    PAGE_CACHE,
    Engine,
    Ladder,
    Level,
    Order,
    Page,
)


cdef inline int64_t rank_of(int which, int64_t px) noexcept nogil:
    """Rank of a price in ladder L_BID, L_ASK, L_UP or L_DOWN."""
    return px if (which == L_ASK or which == L_UP) else -px


# ---- arena of pages and levels ------------------------------------------------------------------


cdef inline bint level_available(const Engine* e) noexcept nogil:
    """Room for one more level and the page it might need."""
    return (e.level_free != NIL or e.level_fresh < e.max_levels) and (
        e.page_free != NIL or e.page_fresh < e.max_pages
    )


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


cdef inline uint32_t page_alloc(Engine* e) noexcept nogil:
    cdef uint32_t pg = e.page_free
    if likely(pg != NIL):
        e.page_free = e.page[pg].next
    else:
        pg = e.page_fresh
        e.page_fresh += 1
    e.n_pages += 1
    return pg


# ---- threaded AVL tree of pages -------------------------------------------------------------------


cdef inline int height_of(const Engine* e, uint32_t n) noexcept nogil:
    return 0 if n == NIL else e.page[n].height


cdef inline void fix_height(Engine* e, uint32_t n) noexcept nogil:
    cdef int a = height_of(e, e.page[n].left)
    cdef int b = height_of(e, e.page[n].right)
    e.page[n].height = <uint8_t>((a if a > b else b) + 1)


cdef inline void replace_child(Engine* e, Ladder* s, uint32_t parent, uint32_t old, uint32_t new) noexcept nogil:
    if parent == NIL:
        s.root = new
    elif e.page[parent].left == old:
        e.page[parent].left = new
    else:
        e.page[parent].right = new
    if new != NIL:
        e.page[new].parent = parent


cdef inline uint32_t rotate_left(Engine* e, Ladder* s, uint32_t x) noexcept nogil:
    cdef uint32_t y = e.page[x].right
    cdef uint32_t m = e.page[y].left
    replace_child(e, s, e.page[x].parent, x, y)
    e.page[y].left = x
    e.page[x].parent = y
    e.page[x].right = m
    if m != NIL:
        e.page[m].parent = x
    fix_height(e, x)
    fix_height(e, y)
    return y


cdef inline uint32_t rotate_right(Engine* e, Ladder* s, uint32_t x) noexcept nogil:
    cdef uint32_t y = e.page[x].left
    cdef uint32_t m = e.page[y].right
    replace_child(e, s, e.page[x].parent, x, y)
    e.page[y].right = x
    e.page[x].parent = y
    e.page[x].left = m
    if m != NIL:
        e.page[m].parent = x
    fix_height(e, x)
    fix_height(e, y)
    return y


cdef inline void rebalance(Engine* e, Ladder* s, uint32_t n) noexcept nogil:
    """Walk up from n, restoring heights and balance; at most the height of the tree."""
    cdef int diff, before
    cdef uint32_t c
    while n != NIL:
        before = e.page[n].height
        diff = height_of(e, e.page[n].left) - height_of(e, e.page[n].right)
        if diff > 1:
            c = e.page[n].left
            if height_of(e, e.page[c].left) < height_of(e, e.page[c].right):
                rotate_left(e, s, c)
            n = rotate_right(e, s, n)
        elif diff < -1:
            c = e.page[n].right
            if height_of(e, e.page[c].right) < height_of(e, e.page[c].left):
                rotate_right(e, s, c)
            n = rotate_left(e, s, n)
        else:
            fix_height(e, n)
        if e.page[n].height == before:
            break
        n = e.page[n].parent


cdef inline uint32_t page_insert(Engine* e, Ladder* s, int64_t key) noexcept nogil:
    """New empty page; key is not in the tree."""
    cdef uint32_t pg = page_alloc(e)
    cdef Page* p = e.page + pg
    cdef uint32_t n = s.root
    cdef uint32_t parent = NIL
    cdef uint32_t before = NIL
    cdef uint32_t after = NIL
    while n != NIL:
        parent = n
        if key < e.page[n].key:
            after = n
            n = e.page[n].left
        else:
            before = n
            n = e.page[n].right
    p.bits = 0
    p.key = key
    p.left = NIL
    p.right = NIL
    p.parent = parent
    p.height = 1
    p.prev = before
    p.next = after
    if before != NIL:
        e.page[before].next = pg
    else:
        s.best_page = pg
    if after != NIL:
        e.page[after].prev = pg
    if parent == NIL:
        s.root = pg
    elif key < e.page[parent].key:
        e.page[parent].left = pg
    else:
        e.page[parent].right = pg
    rebalance(e, s, parent)
    return pg


cdef inline void page_erase(Engine* e, Ladder* s, uint32_t pg) noexcept nogil:
    """Take an empty page out of the tree, the thread and the cache."""
    cdef Page* p = e.page + pg
    cdef uint32_t up = p.parent
    cdef uint32_t m, c
    cdef uint32_t slot = <uint32_t>(p.key & (PAGE_CACHE - 1))
    if p.prev != NIL:
        e.page[p.prev].next = p.next
    else:
        s.best_page = p.next
    if p.next != NIL:
        e.page[p.next].prev = p.prev
    if s.cache[slot] == pg:
        s.cache[slot] = NIL
    if p.left == NIL or p.right == NIL:
        c = p.left if p.left != NIL else p.right
        replace_child(e, s, up, pg, c)
    else:
        # The successor in the right subtree takes this node's place.
        m = p.next
        up = e.page[m].parent
        if up == pg:
            up = m
        else:
            replace_child(e, s, up, m, e.page[m].right)
            e.page[m].right = p.right
            e.page[p.right].parent = m
        replace_child(e, s, p.parent, pg, m)
        e.page[m].left = p.left
        e.page[p.left].parent = m
        e.page[m].height = p.height
    rebalance(e, s, up)
    p.next = e.page_free
    e.page_free = pg
    e.n_pages -= 1


cdef inline uint32_t page_find(Engine* e, Ladder* s, int64_t key) noexcept nogil:
    """Page with this key, NIL if there is none. O(1) from the cache, else O(log pages)."""
    cdef uint32_t slot = <uint32_t>(key & (PAGE_CACHE - 1))
    cdef uint32_t n = s.cache[slot]
    if likely(n != NIL and e.page[n].key == key):
        return n
    n = s.root
    while n != NIL:
        if e.page[n].key == key:
            s.cache[slot] = n
            return n
        n = e.page[n].left if key < e.page[n].key else e.page[n].right
    return NIL


# ---- levels ---------------------------------------------------------------------------------------


cdef inline void ladder_init(Ladder* s, uint32_t instrument_id) noexcept nogil:
    memset(s, 0, sizeof(Ladder))
    s.best = I64_MAX
    s.best_level = NIL
    s.best_page = NIL
    s.root = NIL
    s.book = instrument_id
    memset(s.cache, 0xFF, sizeof(s.cache))


cdef inline uint32_t ladder_find(Engine* e, Ladder* s, int64_t rank) noexcept nogil:
    """Level at this rank, NIL if there is none."""
    cdef uint32_t pg
    if rank == s.best:
        return s.best_level
    pg = page_find(e, s, rank >> 6)
    if pg == NIL or not (e.page[pg].bits >> (rank & 63)) & 1:
        return NIL
    return e.page[pg].level[rank & 63]


cdef inline uint32_t ladder_get(Engine* e, Ladder* s, int64_t rank, int64_t px) noexcept nogil:
    """Level at this rank, made where it is missing; the caller has checked level_available."""
    cdef uint32_t pg, lv
    cdef Page* p
    cdef Level* l
    if rank == s.best:
        return s.best_level
    pg = page_find(e, s, rank >> 6)
    if unlikely(pg == NIL):
        pg = page_insert(e, s, rank >> 6)
        s.cache[(rank >> 6) & (PAGE_CACHE - 1)] = pg
    p = e.page + pg
    if (p.bits >> (rank & 63)) & 1:
        return p.level[rank & 63]
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
    s.n_levels += 1
    if rank < s.best:
        s.best = rank
        s.best_level = lv
    return lv


cdef inline void ladder_drop(Engine* e, Ladder* s, uint32_t lv, int64_t rank) noexcept nogil:
    """Erase an empty level."""
    cdef uint32_t pg = page_find(e, s, rank >> 6)
    cdef Page* p = e.page + pg
    cdef uint32_t b
    p.bits &= ~(<uint64_t>1 << (rank & 63))
    level_release(e, lv)
    s.n_levels -= 1
    if p.bits == 0:
        page_erase(e, s, pg)
    if rank == s.best:
        if s.best_page == NIL:
            s.best = I64_MAX
            s.best_level = NIL
        else:
            p = e.page + s.best_page
            b = ctz64(p.bits)
            s.best = p.key * 64 + b
            s.best_level = p.level[b]


cdef inline uint32_t ladder_next(Engine* e, Ladder* s, int64_t rank) noexcept nogil:
    """Level with the smallest rank above `rank` (which must have a level), NIL at the end."""
    cdef uint32_t pg = page_find(e, s, rank >> 6)
    cdef uint64_t bits = e.page[pg].bits
    # Two shifts: a single shift by 64 would be undefined.
    bits = (bits >> (rank & 63)) >> 1
    if bits != 0:
        return e.page[pg].level[(rank & 63) + 1 + ctz64(bits)]
    pg = e.page[pg].next
    if pg == NIL:
        return NIL
    return e.page[pg].level[ctz64(e.page[pg].bits)]


cdef inline uint32_t ladder_prev(Engine* e, Ladder* s, int64_t rank) noexcept nogil:
    """Level with the largest rank below `rank` (which must have a level), NIL at the start."""
    cdef uint32_t pg = page_find(e, s, rank >> 6)
    cdef uint64_t bits = e.page[pg].bits & ((<uint64_t>1 << (rank & 63)) - 1)
    if bits == 0:
        pg = e.page[pg].prev
        if pg == NIL:
            return NIL
        bits = e.page[pg].bits
    return e.page[pg].level[63 - clz64(bits)]


# ---- queue inside a level -------------------------------------------------------------------------


cdef inline void level_append(Engine* e, Ladder* s, uint32_t lv, uint32_t slot) noexcept nogil:
    """Put an order at the back of a level; its leaves_qty counts from now on."""
    cdef Level* l = e.level + lv
    cdef Order* o = e.order + slot
    o.level = lv
    o.next = NIL
    o.prev = l.tail
    if l.tail != NIL:
        e.order[l.tail].next = slot
    else:
        l.head = slot
    l.tail = slot
    l.count += 1
    l.qty += o.leaves_qty
    s.qty += o.leaves_qty
    s.n_orders += 1


cdef inline void level_unlink(Engine* e, Ladder* s, uint32_t slot, int which) noexcept nogil:
    """Take an order out of its level, and the level out of the ladder when it was the last one."""
    cdef Order* o = e.order + slot
    cdef Level* l = e.level + o.level
    if o.prev != NIL:
        e.order[o.prev].next = o.next
    else:
        l.head = o.next
    if o.next != NIL:
        e.order[o.next].prev = o.prev
    else:
        l.tail = o.prev
    l.qty -= o.leaves_qty
    s.qty -= o.leaves_qty
    l.count -= 1
    s.n_orders -= 1
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
