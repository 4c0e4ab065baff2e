"""Price levels of one side of a book, and the FIFO queue inside each level.

Owner of: which level is best, which is next.  A page covers 64 neighbouring prices with one bitmap word.  A window
of 64 pages (4,096 prices) lies around the touch, with one word that says which of them are occupied: inside it
finding, inserting, erasing and the next price are a few bit operations, and nothing is allocated or freed.
Pages outside hang in a threaded AVL tree by key, so prices 1 and 2^40 in one book, or a million levels, cost
O(log pages) and no command pays for a reorganisation: the window moves at once when the side is empty, otherwise
after 16,384 far pages, or after the best price was made outside of it 64 times (a first order at a wild price had
drawn it there); a move costs 64 tree steps.

Ranks: smaller is better; rank = px (asks, UP stops) or -px (bids, DOWN stops).
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from tradecore_ext.mathx cimport I64_MAX, clz64, ctz64, likely, place_of, unlikely
from tradecore_ext.state cimport (
    L_ASK,
    L_BID,
    L_DOWN,
    L_UP,
    NIL,
    WINDOW,
    Engine,
    Ladder,
    Level,
    Order,
    Page,
)


cdef enum:
    MOVE_AFTER = 16384   # far_ops at which the window moves
    FAR_BEST = 256       # far_ops of a new best price outside of the window; a far page made counts 1


cdef inline int64_t rank_of(int which, int64_t px) noexcept nogil:
    """Rank of a price in ladder L_BID, L_ASK, L_UP or L_DOWN."""
    return px if (which == L_ASK or which == L_UP) else -px


# ---- arena of pages and levels ------------------------------------------------------------------


cdef inline bint level_available(const Engine* e) noexcept nogil:
    """Room for one more level and the page it might need (pages kept empty do not count as room)."""
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


cdef inline void page_release(Engine* e, uint32_t pg) noexcept nogil:
    e.page[pg].next = e.page_free
    e.page_free = pg
    e.n_pages -= 1


# ---- threaded AVL tree of far pages ---------------------------------------------------------------


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


cdef inline void far_link(Engine* e, Ladder* s, uint32_t pg) noexcept nogil:
    """Enter a page with its key into the tree and the thread. O(log far pages)."""
    cdef Page* p = e.page + pg
    cdef int64_t key = p.key
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
    p.left = NIL
    p.right = NIL
    p.parent = parent
    p.height = 1
    p.prev = before
    p.next = after
    if before != NIL:
        e.page[before].next = pg
    else:
        s.far_first = pg
    if after != NIL:
        e.page[after].prev = pg
    if parent == NIL:
        s.root = pg
    elif key < e.page[parent].key:
        e.page[parent].left = pg
    else:
        e.page[parent].right = pg
    rebalance(e, s, parent)


cdef inline void far_unlink(Engine* e, Ladder* s, uint32_t pg) noexcept nogil:
    """Take a page out of the tree and the thread. O(log far pages)."""
    cdef Page* p = e.page + pg
    cdef uint32_t up = p.parent
    cdef uint32_t m, c
    if p.prev != NIL:
        e.page[p.prev].next = p.next
    else:
        s.far_first = p.next
    if p.next != NIL:
        e.page[p.next].prev = p.prev
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


cdef inline uint32_t far_find(const Engine* e, const Ladder* s, int64_t key) noexcept nogil:
    """Far page with this key, NIL if there is none."""
    cdef uint32_t n = s.root
    while n != NIL and e.page[n].key != key:
        n = e.page[n].left if key < e.page[n].key else e.page[n].right
    return n


cdef inline uint32_t far_from(const Engine* e, const Ladder* s, int64_t key) noexcept nogil:
    """First far page with at least this key, NIL if there is none."""
    cdef uint32_t n = s.root
    cdef uint32_t found = NIL
    while n != NIL:
        if e.page[n].key >= key:
            found = n
            n = e.page[n].left
        else:
            n = e.page[n].right
    return found


cdef inline uint32_t far_before(const Engine* e, const Ladder* s, int64_t key) noexcept nogil:
    """Last far page with a smaller key, NIL if there is none."""
    cdef uint32_t n = s.root
    cdef uint32_t found = NIL
    while n != NIL:
        if e.page[n].key < key:
            found = n
            n = e.page[n].right
        else:
            n = e.page[n].left
    return found


# ---- the window ---------------------------------------------------------------------------------------------


cdef inline bint in_window(const Ladder* s, int64_t key) noexcept nogil:
    return <uint64_t>(key - s.base) < WINDOW


cdef inline void window_move(Engine* e, Ladder* s, int64_t base) noexcept nogil:
    """Let the window begin at another page: at most 64 pages leave it, at most 64 come in."""
    cdef uint32_t old[64]
    cdef uint32_t i, pg, nxt
    cdef int64_t key
    for i in range(<uint32_t>WINDOW):
        old[i] = s.window[i]
        s.window[i] = NIL
    s.occupied = 0
    key = s.base
    s.base = base
    s.far_ops = 0
    for i in range(<uint32_t>WINDOW):
        pg = old[i]
        if pg == NIL:
            continue
        if e.page[pg].bits == 0:
            page_release(e, pg)
        elif in_window(s, key + i):
            s.window[key + i - base] = pg
            s.occupied |= <uint64_t>1 << (key + i - base)
        else:
            e.page[pg].key = key + i
            far_link(e, s, pg)
    pg = far_from(e, s, base)
    while pg != NIL and in_window(s, e.page[pg].key):
        nxt = e.page[pg].next
        far_unlink(e, s, pg)
        s.window[e.page[pg].key - base] = pg
        s.occupied |= <uint64_t>1 << (e.page[pg].key - base)
        pg = nxt


cdef inline uint32_t page_find(const Engine* e, const Ladder* s, int64_t key) noexcept nogil:
    """Page with this key, NIL if there is none; a page of the window may be empty."""
    if likely(in_window(s, key)):
        return s.window[key - s.base]
    return far_find(e, s, key)


cdef inline void far_use(Engine* e, Ladder* s, uint32_t weight) noexcept nogil:
    """Something was done outside of the window; when there has been enough of it, the window goes to the touch."""
    s.far_ops += weight
    if s.far_ops >= MOVE_AFTER:
        window_move(e, s, (s.best >> 6) - WINDOW // 4)


cdef inline uint32_t page_make(Engine* e, Ladder* s, int64_t key) noexcept nogil:
    """New empty page for a key that has none."""
    cdef uint32_t pg
    if not in_window(s, key):
        if s.n_levels == 0:
            # Nothing is anywhere: the window goes where the price is, its empty pages come along.
            s.base = key - WINDOW // 2
            pg = s.window[WINDOW // 2]
            if pg != NIL:
                return pg
        else:
            far_use(e, s, 1)
    pg = page_alloc(e)
    e.page[pg].bits = 0
    if in_window(s, key):
        s.window[key - s.base] = pg
    else:
        e.page[pg].key = key
        far_link(e, s, pg)
    return pg


# ---- levels ---------------------------------------------------------------------------------------


cdef inline void ladder_init(Ladder* s, uint32_t instrument_id) noexcept nogil:
    memset(s, 0, sizeof(Ladder))
    s.best = I64_MAX
    s.best_level = NIL
    s.far_first = NIL
    s.root = NIL
    s.book = instrument_id
    memset(s.window, 0xFF, sizeof(s.window))


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
    cdef int64_t key = rank >> 6
    cdef uint32_t pg, lv
    cdef Page* p
    cdef Level* l
    if rank == s.best:
        return s.best_level
    pg = page_find(e, s, key)
    if unlikely(pg == NIL):
        pg = page_make(e, s, key)
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
    if likely(in_window(s, key)):
        s.occupied |= <uint64_t>1 << (key - s.base)
    s.n_levels += 1
    if rank < s.best:
        s.best = rank
        s.best_level = lv
        if unlikely(not in_window(s, key)):
            far_use(e, s, FAR_BEST)
    return lv


cdef inline uint32_t first_level(const Engine* e, const Ladder* s, int64_t* rank) noexcept nogil:
    """Best level by looking at the pages; the ladder is not empty."""
    cdef uint32_t pg = s.far_first
    cdef uint32_t d, b
    cdef int64_t key
    if likely(s.occupied != 0) and (likely(pg == NIL) or e.page[pg].key > s.base):
        d = ctz64(s.occupied)
        key = s.base + d
        pg = s.window[d]
    else:
        key = e.page[pg].key
    b = ctz64(e.page[pg].bits)
    rank[0] = key * 64 + b
    return e.page[pg].level[b]


cdef inline void ladder_drop(Engine* e, Ladder* s, uint32_t lv, int64_t rank) noexcept nogil:
    """Erase an empty level."""
    cdef int64_t key = rank >> 6
    cdef uint32_t pg = page_find(e, s, key)
    cdef Page* p = e.page + pg
    p.bits &= ~(<uint64_t>1 << (rank & 63))
    level_release(e, lv)
    s.n_levels -= 1
    if p.bits == 0:
        if likely(in_window(s, key)):
            s.occupied &= ~(<uint64_t>1 << (key - s.base))
        else:
            far_unlink(e, s, pg)
            page_release(e, pg)
    if rank == s.best:
        if s.n_levels == 0:
            s.best = I64_MAX
            s.best_level = NIL
        else:
            s.best_level = first_level(e, s, &s.best)


cdef inline uint32_t ladder_next(Engine* e, Ladder* s, int64_t rank) noexcept nogil:
    """Level with the smallest rank above `rank` (which must have a level), NIL at the end."""
    cdef int64_t key = rank >> 6
    cdef uint32_t pg = page_find(e, s, key)
    cdef uint64_t bits
    cdef uint32_t d
    # Two shifts: a single shift by 64 would be undefined.
    bits = (e.page[pg].bits >> (rank & 63)) >> 1
    if bits != 0:
        return e.page[pg].level[(rank & 63) + 1 + ctz64(bits)]
    if in_window(s, key):
        d = <uint32_t>(key - s.base)
        bits = (s.occupied >> d) >> 1
        if bits != 0:
            pg = s.window[d + 1 + ctz64(bits)]
        else:
            pg = far_from(e, s, s.base + WINDOW)
    else:
        pg = e.page[pg].next
        if key < s.base and s.occupied != 0 and (pg == NIL or e.page[pg].key > s.base):
            pg = s.window[ctz64(s.occupied)]
    if pg == NIL:
        return NIL
    return e.page[pg].level[ctz64(e.page[pg].bits)]


cdef inline uint32_t ladder_prev(Engine* e, Ladder* s, int64_t rank) noexcept nogil:
    """Level with the largest rank below `rank` (which must have a level), NIL at the start."""
    cdef int64_t key = rank >> 6
    cdef uint32_t pg = page_find(e, s, key)
    cdef uint64_t bits = e.page[pg].bits & ((<uint64_t>1 << (rank & 63)) - 1)
    if bits != 0:
        return e.page[pg].level[63 - clz64(bits)]
    if in_window(s, key):
        bits = s.occupied & ((<uint64_t>1 << (key - s.base)) - 1)
        if bits != 0:
            pg = s.window[63 - clz64(bits)]
        else:
            pg = far_before(e, s, s.base)
    else:
        pg = e.page[pg].prev
        if key > s.base and s.occupied != 0 and (pg == NIL or e.page[pg].key < s.base):
            pg = s.window[63 - clz64(s.occupied)]
    if pg == NIL:
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
    s.n_orders += 1


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
