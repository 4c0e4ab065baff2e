"""Where the pages of price ladders come from, and the threaded AVL tree of those outside of a ladder's window.

Owner of: Engine.page and its free list, Page.key and the links of far pages, Ladder.root and far_first.  A page covers
64 neighbouring prices; a far page is found, entered and taken out in O(log far pages); it knows its neighbours.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t

from tradecore_ext.mathx cimport likely
from tradecore_ext.state cimport Engine, Ladder, Page

cdef enum:
    NO_PAGE = 0          # the first page of the arena is never used and has no level


# ---- arena ------------------------------------------------------------------------------------------------


cdef inline bint page_available(const Engine* e) noexcept nogil:
    """Pages that are kept empty do not count as room."""
    return e.page_free != NO_PAGE or e.page_fresh <= e.max_pages


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


# ---- the tree -----------------------------------------------------------------------------------------------


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
