"""The pages of a price ladder in the order of their prices: a window around the touch, a tree for all others.

Owner of: Ladder.base, used and window; when the window moves.  A window has 256 pages (16,384 prices), with four words
that say which of them have a level: inside it finding, entering, taking out and the next page are a few bit
operations.  The pages of the core, the word in which the touch lies, stay when they are empty; others are given back.
Pages outside hang in a tree (pagetree.pxd), so prices 1 and 2^40 in one book, or a million levels, cost O(log pages)
and no command pays for a reorganisation: the window moves at once when the side is empty, otherwise after 16,384 pages
were made outside of its core, or after the best price was made outside of the window 64 times (a first order at a wild
price had drawn it there); a move costs a tree step for each page that crosses its edge.  docs/decisions/0002-ladder.md
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from tradecore_ext.mathx cimport clz64, ctz64, likely, unlikely
from tradecore_ext.pagetree cimport (
    NO_PAGE,
    far_before,
    far_find,
    far_from,
    far_link,
    far_unlink,
    page_alloc,
    page_release,
)
from tradecore_ext.state cimport CORE, LEAD, WINDOW, Engine, Ladder

cdef enum:
    MOVE_AFTER = 16384   # far_ops at which the window moves
    FAR_BEST = 256       # far_ops of a new best price outside of the window; a page made outside of the core counts 1


# ---- inside the window ----------------------------------------------------------------------------------------


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


# ---- pages wherever they are ----------------------------------------------------------------------------------


cdef inline uint32_t page_find(const Engine* e, const Ladder* s, int64_t key) noexcept nogil:
    """Page with this key, 0 if there is none; a page of the core may be empty."""
    if likely(in_window(s, key)):
        return page_at(s, key)
    return far_find(e, s, key)


cdef inline uint32_t page_after(const Engine* e, const Ladder* s, int64_t key, uint32_t pg) noexcept nogil:
    """The next page with a level behind page `pg` of this key, 0 at the end."""
    if in_window(s, key):
        key = used_after(s, key)
        return page_at(s, key) if likely(in_window(s, key)) else far_from(e, s, key)
    pg = e.page[pg].next
    if key < s.base and window_used(s) and (pg == NO_PAGE or e.page[pg].key > s.base):
        return page_at(s, used_first(s))
    return pg


cdef inline uint32_t page_before(const Engine* e, const Ladder* s, int64_t key, uint32_t pg) noexcept nogil:
    """The last page with a level before page `pg` of this key, 0 at the start."""
    if in_window(s, key):
        key = used_before(s, key)
        return page_at(s, key) if likely(in_window(s, key)) else far_before(e, s, s.base)
    pg = e.page[pg].prev
    if key > s.base and window_used(s) and (pg == NO_PAGE or e.page[pg].key < s.base):
        return page_at(s, used_last(s))
    return pg


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
