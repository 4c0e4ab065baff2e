"""Price levels of one side of a book, and the FIFO queue inside each level.

Owner of: which level is best, which is next.  A page covers 64 neighbouring prices with one bitmap word.  A window
of 256 pages (16,384 prices) lies around the touch, with four words that say which of them have a level: inside it
finding, inserting, erasing and the next price are a few bit operations.  The pages of the core, the word in which the
touch lies, stay when they are empty; others are given back.  Pages outside of the window hang in a threaded AVL tree by
key, so prices 1 and 2^40 in one book, or a million levels, cost O(log pages) and no command pays for a
reorganisation: the window moves at once when the side is empty, otherwise after 16,384 pages were made outside of its
core, or after the best price was made outside of the window 64 times (a first order at a wild price had drawn it
there); a move costs a tree step for each page that crosses its edge.  docs/decisions/0002-ladder.md

Ranks: smaller is better; rank = px (asks, UP stops) or -px (bids, DOWN stops).
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from tradecore_ext.mathx cimport I64_MAX, clz64, ctz64, likely, place_of, unlikely
from tradecore_ext.state cimport (
    CORE,
    L_ASK,
    L_BID,
    L_DOWN,
    L_UP,
    LEAD,
    NIL,
    WINDOW,
    Engine,
    Ladder,
    Level,
    Order,
    Page,
)


cdef enum:
    NO_PAGE = 0          # the first page of the arena is never used and has no level
    MOVE_AFTER = 16384   # far_ops at which the window moves
    FAR_BEST = 256       # far_ops of a new best price outside of the window; a page made outside of the core counts 1


cdef inline int64_t rank_of(int which, int64_t px) noexcept nogil:
    """Rank of a price in ladder L_BID, L_ASK, L_UP or L_DOWN."""
    return px if (which == L_ASK or which == L_UP) else -px


# ---- arena of pages and levels ------------------------------------------------------------------


cdef inline bint level_available(const Engine* e) noexcept nogil:
    """Room for one more level and the page it might need (pages kept empty do not count as room)."""
    return (e.level_free != NIL or e.level_fresh < e.max_levels) and (
        e.page_free != NO_PAGE or e.page_fresh <= e.max_pages
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
    if likely(pg != NO_PAGE):
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
    return 0 if n == NO_PAGE else e.page[n].height


cdef inline void fix_height(Engine* e, uint32_t n) noexcept nogil:
    cdef int a = height_of(e, e.page[n].left)
    cdef int b = height_of(e, e.page[n].right)
    e.page[n].height = <uint8_t>((a if a > b else b) + 1)


cdef inline void replace_child(Engine* e, Ladder* s, uint32_t parent, uint32_t old, uint32_t new) noexcept nogil:
    if parent == NO_PAGE:
        s.root = new
    elif e.page[parent].left == old:
        e.page[parent].left = new
    else:
        e.page[parent].right = new
    if new != NO_PAGE:
        e.page[new].parent = parent


cdef inline uint32_t rotate_left(Engine* e, Ladder* s, uint32_t x) noexcept nogil:
    cdef uint32_t y = e.page[x].right
    cdef uint32_t m = e.page[y].left
    replace_child(e, s, e.page[x].parent, x, y)
    e.page[y].left = x
    e.page[x].parent = y
    e.page[x].right = m
    if m != NO_PAGE:
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
    if m != NO_PAGE:
        e.page[m].parent = x
    fix_height(e, x)
    fix_height(e, y)
    return y


cdef inline void rebalance(Engine* e, Ladder* s, uint32_t n) noexcept nogil:
    """Walk up from n, restoring heights and balance; at most the height of the tree."""
    cdef int diff, before
    cdef uint32_t c
    while n != NO_PAGE:
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
    cdef uint32_t parent = NO_PAGE
    cdef uint32_t before = NO_PAGE
    cdef uint32_t after = NO_PAGE
    while n != NO_PAGE:
        parent = n
        if key < e.page[n].key:
            after = n
            n = e.page[n].left
        else:
            before = n
            n = e.page[n].right
    p.left = NO_PAGE
    p.right = NO_PAGE
    p.parent = parent
    p.height = 1
    p.prev = before
    p.next = after
    if before != NO_PAGE:
        e.page[before].next = pg
    else:
        s.far_first = pg
    if after != NO_PAGE:
        e.page[after].prev = pg
    if parent == NO_PAGE:
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
    if p.prev != NO_PAGE:
        e.page[p.prev].next = p.next
    else:
        s.far_first = p.next
    if p.next != NO_PAGE:
        e.page[p.next].prev = p.prev
    if p.left == NO_PAGE or p.right == NO_PAGE:
        c = p.left if p.left != NO_PAGE else p.right
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
    """Far page with this key, 0 if there is none."""
    cdef uint32_t n = s.root
    while n != NO_PAGE and e.page[n].key != key:
        n = e.page[n].left if key < e.page[n].key else e.page[n].right
    return n


cdef inline uint32_t far_from(const Engine* e, const Ladder* s, int64_t key) noexcept nogil:
    """First far page with at least this key, 0 if there is none."""
    cdef uint32_t n = s.root
    cdef uint32_t found = NO_PAGE
    while n != NO_PAGE:
        if e.page[n].key >= key:
            found = n
            n = e.page[n].left
        else:
            n = e.page[n].right
    return found


cdef inline uint32_t far_before(const Engine* e, const Ladder* s, int64_t key) noexcept nogil:
    """Last far page with a smaller key, 0 if there is none."""
    cdef uint32_t n = s.root
    cdef uint32_t found = NO_PAGE
    while n != NO_PAGE:
        if e.page[n].key < key:
            found = n
            n = e.page[n].right
        else:
            n = e.page[n].left
    return found


# ---- the window ---------------------------------------------------------------------------------------------


cdef inline bint in_window(const Ladder* s, int64_t key) noexcept nogil:
    return <uint64_t>(key - s.base) < WINDOW


cdef inline bint in_core(const Ladder* s, int64_t key) noexcept nogil:
    return <uint64_t>(key - s.base) >> 6 == CORE


cdef inline uint32_t page_at(const Ladder* s, int64_t key) noexcept nogil:
    """Page of a key inside the window, 0 if there is none; it may be empty."""
    return s.window[<uint64_t>(key - s.base)]


cdef inline void enter_window(Ladder* s, int64_t key, uint32_t pg) noexcept nogil:
    """Put a page with levels into the window."""
    cdef uint64_t d = <uint64_t>(key - s.base)
    s.window[d] = pg
    s.used[d >> 6] |= <uint64_t>1 << (d & 63)


cdef inline bint window_used(const Ladder* s) noexcept nogil:
    return (s.used[0] | s.used[1] | s.used[2] | s.used[3]) != 0


cdef inline int64_t used_first(const Ladder* s) noexcept nogil:
    """First key of the window with a level; there is one."""
    cdef uint32_t w = 0
    while s.used[w] == 0:
        w += 1
    return s.base + w * 64 + ctz64(s.used[w])


cdef inline int64_t used_last(const Ladder* s) noexcept nogil:
    """Last key of the window with a level; there is one."""
    cdef uint32_t w = WINDOW // 64 - 1
    while s.used[w] == 0:
        w -= 1
    return s.base + w * 64 + 63 - clz64(s.used[w])


cdef inline int64_t used_after(const Ladder* s, int64_t key) noexcept nogil:
    """Next key of the window with a level, the first one behind the window if there is none."""
    cdef uint64_t d = <uint64_t>(key - s.base)
    cdef uint64_t w = d >> 6
    # Two shifts: a single shift by 64 would be undefined.
    cdef uint64_t bits = (s.used[w] >> (d & 63)) >> 1
    if likely(bits != 0):
        return key + 1 + ctz64(bits)
    for w in range(w + 1, <uint64_t>(WINDOW // 64)):
        if s.used[w] != 0:
            return s.base + <int64_t>(w * 64 + ctz64(s.used[w]))
    return s.base + WINDOW


cdef inline int64_t used_before(const Ladder* s, int64_t key) noexcept nogil:
    """Last key of the window with a level before this one, the last before the window if there is none."""
    cdef uint64_t d = <uint64_t>(key - s.base)
    cdef int64_t w = <int64_t>(d >> 6)
    cdef uint64_t bits = s.used[w] & ((<uint64_t>1 << (d & 63)) - 1)
    while bits == 0:
        w -= 1
        if w < 0:
            return s.base - 1
        bits = s.used[w]
    return s.base + w * 64 + 63 - clz64(bits)


cdef inline void window_move(Engine* e, Ladder* s, int64_t base) noexcept nogil:
    """Let the window begin at another page: at most 256 pages leave it, at most 256 come in."""
    cdef uint32_t old[256]
    cdef uint32_t i, pg, nxt
    cdef int64_t first = s.base
    cdef int64_t key
    memcpy(old, s.window, sizeof(old))
    memset(s.window, 0, sizeof(s.window))
    memset(s.used, 0, sizeof(s.used))
    s.base = base
    s.far_ops = 0
    for i in range(<uint32_t>WINDOW):
        pg = old[i]
        if pg == NO_PAGE:
            continue
        key = first + i
        if e.page[pg].bits == 0:
            page_release(e, pg)
        elif in_window(s, key):
            enter_window(s, key, pg)
        else:
            e.page[pg].key = key
            far_link(e, s, pg)
    pg = far_from(e, s, base)
    while pg != NO_PAGE and in_window(s, e.page[pg].key):
        nxt = e.page[pg].next
        far_unlink(e, s, pg)
        enter_window(s, e.page[pg].key, pg)
        pg = nxt


cdef inline uint32_t page_find(const Engine* e, const Ladder* s, int64_t key) noexcept nogil:
    """Page with this key, 0 if there is none; a page of the core may be empty."""
    if likely(in_window(s, key)):
        return page_at(s, key)
    return far_find(e, s, key)


cdef inline void far_use(Engine* e, Ladder* s, uint32_t weight) noexcept nogil:
    """Something was done outside of the core; when there has been enough of it, the window goes to the touch."""
    s.far_ops += weight
    if s.far_ops >= MOVE_AFTER:
        window_move(e, s, (s.best >> 6) - LEAD)


cdef inline uint32_t page_make(Engine* e, Ladder* s, int64_t key) noexcept nogil:
    """New empty page for a key that has none."""
    cdef uint32_t pg
    if unlikely(not in_core(s, key)):
        if s.n_levels == 0:
            # Nothing is anywhere: the window goes where the price is, the empty pages of its core come along.
            s.base = key - LEAD
            pg = page_at(s, key)
            if pg != NO_PAGE:
                return pg
        else:
            far_use(e, s, 1)
    pg = page_alloc(e)
    e.page[pg].bits = 0
    if likely(in_window(s, key)):
        s.window[key - s.base] = pg
    else:
        e.page[pg].key = key
        far_link(e, s, pg)
    return pg


cdef inline void page_empty(Engine* e, Ladder* s, int64_t key, uint32_t pg) noexcept nogil:
    """The last level of a page has gone, and unless it belongs to the core the page with it."""
    cdef uint64_t d
    if unlikely(not in_window(s, key)):
        far_unlink(e, s, pg)
        page_release(e, pg)
        return
    d = <uint64_t>(key - s.base)
    s.used[d >> 6] &= ~(<uint64_t>1 << (d & 63))
    if unlikely(d >> 6 != CORE):
        s.window[d] = NO_PAGE
        page_release(e, pg)


# ---- levels ---------------------------------------------------------------------------------------


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
    if in_window(s, key):
        key = used_after(s, key)
        pg = page_at(s, key) if likely(in_window(s, key)) else far_from(e, s, key)
    else:
        pg = e.page[pg].next
        if key < s.base and window_used(s) and (pg == NO_PAGE or e.page[pg].key > s.base):
            pg = page_at(s, used_first(s))
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
    if in_window(s, key):
        key = used_before(s, key)
        pg = page_at(s, key) if likely(in_window(s, key)) else far_before(e, s, s.base)
    else:
        pg = e.page[pg].prev
        if key > s.base and window_used(s) and (pg == NO_PAGE or e.page[pg].key < s.base):
            pg = page_at(s, used_last(s))
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
