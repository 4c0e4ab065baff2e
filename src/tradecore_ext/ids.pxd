"""Which slot an order id has: a hash table whose buckets are lines of memory.

Owner of: Engine.ids.  The hash is keyed, because ids are chosen outside and collisions must not be choosable.  A
line holds eight ids, of each 32 bits of the hash and the slot (the full id stands in the order, which is read
anyway).  An id belongs to one line and stands anywhere in it, at its own place if that is free.  A line is looked
through at once, so that neither a free place nor an id takes a branch that nobody can predict; the own place is
asked first, because what a predicted branch finds is not waited for.  Only where a line is full do ids go on to the
next one; the table is at most half full, so that is 2 % of the lines at worst.  Erasing from a full line brings
back what has gone on, so there are no tombstones and a full day of churn costs nothing.  The part in use doubles
with the live orders (a prefaulted engine begins with all of it).  docs/decisions/0003-id-table.md
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from tradecore_ext.mathx cimport ctz32, fold_mul, likely, unlikely
from tradecore_ext.state cimport NIL, Engine, IdLine, IdTable

cdef extern from *:
    """
    /* tc_look: bits 0 to 7 are the places of a line that have the tag, bits 8 to 15 the free ones. */
    #if defined(__SSE2__)
    #include <emmintrin.h>
    __attribute__((always_inline)) static inline uint32_t tc_look(const uint32_t *tags, uint32_t tag)
    {
        __m128i low = _mm_load_si128((const __m128i *)tags), high = _mm_load_si128((const __m128i *)tags + 1);
        __m128i none = _mm_setzero_si128(), want = _mm_set1_epi32((int)tag);
        __m128i same = _mm_packs_epi32(_mm_cmpeq_epi32(low, want), _mm_cmpeq_epi32(high, want));
        __m128i vacant = _mm_packs_epi32(_mm_cmpeq_epi32(low, none), _mm_cmpeq_epi32(high, none));
        return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(same, vacant));
    }
    __attribute__((always_inline)) static inline int tc_is_full(const uint32_t *tags)
    {
        __m128i low = _mm_load_si128((const __m128i *)tags), high = _mm_load_si128((const __m128i *)tags + 1);
        __m128i none = _mm_setzero_si128();
        return _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi32(low, none), _mm_cmpeq_epi32(high, none))) == 0;
    }
    #else
    static inline uint32_t tc_look(const uint32_t *tags, uint32_t tag)
    {
        uint32_t found = 0, i;
        for (i = 0; i < 8; i++)
            found |= (uint32_t)(tags[i] == tag) << i | (uint32_t)(tags[i] == 0) << (8 + i);
        return found;
    }
    static inline int tc_is_full(const uint32_t *tags) { return tc_look(tags, 1) >> 8 == 0; }
    #endif
    """
    uint32_t look "tc_look"(const uint32_t* tags, uint32_t tag) noexcept nogil
    bint is_full "tc_is_full"(const uint32_t* tags) noexcept nogil

cdef enum:
    PER_LINE = 8
    SAME = 0xFF            # of what `look` returns: places with the tag


cdef inline uint32_t id_tag(const IdTable* t, uint64_t order_id) noexcept nogil:
    """32 bits of the keyed hash, never 0; the upper ones are the index of the line."""
    return <uint32_t>(fold_mul(order_id ^ t.key0, t.key1) >> 16) | 1


cdef inline IdLine* id_line(const IdTable* t, uint32_t tag) noexcept nogil:
    """The line that ids with this tag belong to."""
    return t.line + (<uint64_t>tag >> t.shift)


cdef inline uint32_t own_place(const IdTable* t, uint32_t tag) noexcept nogil:
    return (tag >> (t.shift - 3)) & (PER_LINE - 1)


cdef inline IdLine* next_line(const IdTable* t, const IdLine* at) noexcept nogil:
    return t.line + ((<uint64_t>(at - t.line) + 1) & t.mask)


cdef inline bint half_full(const IdTable* t, uint64_t ids) noexcept nogil:
    return ids >> 2 > t.mask


cdef inline uint32_t first_free(const IdTable* t, uint32_t tag, uint32_t m) noexcept nogil:
    """Free place of a line at or behind the id's own, else the first. There is one."""
    cdef uint32_t at = own_place(t, tag)
    cdef uint32_t free = m >> PER_LINE
    return (at + ctz32((free | free << PER_LINE) >> at)) & (PER_LINE - 1)


cdef inline uint32_t id_guess(const IdTable* t, uint32_t tag) noexcept nogil:
    """A slot whose id has this tag, NIL if there is none; whether it is the id, the order says. Expected O(1)."""
    cdef const IdLine* at = id_line(t, tag)
    cdef uint32_t m = look(at.tag, tag)
    while unlikely(m & SAME == 0):
        if m != 0:
            return NIL
        at = next_line(t, at)
        m = look(at.tag, tag)
    return at.slot[ctz32(m)]


cdef inline uint32_t id_find(Engine* e, uint64_t order_id, uint32_t tag) noexcept nogil:
    """Slot of a live order, NIL if there is none. Expected O(1)."""
    cdef const IdTable* t = &e.ids
    cdef const IdLine* at = id_line(t, tag)
    cdef uint32_t own = own_place(t, tag)
    cdef uint32_t m, hits, slot
    if likely(at.tag[own] == tag):
        slot = at.slot[own]
        if likely(e.order[slot].order_id == order_id):
            return slot
    while True:
        m = look(at.tag, tag)
        hits = m & SAME
        while hits != 0:
            slot = at.slot[ctz32(hits)]
            if likely(e.order[slot].order_id == order_id):
                return slot
            hits &= hits - 1
        if m >> PER_LINE:
            return NIL
        at = next_line(t, at)


cdef inline uint32_t id_near(Engine* e, uint64_t order_id, uint32_t tag, uint32_t hint) noexcept nogil:
    """id_find, with a slot that was found ahead and may have been wrong even then.

    The slot may have been freed since: its id still stands there, so the caller looks at the state."""
    if likely(hint < e.max_orders and e.order[hint].order_id == order_id):
        return hint
    return id_find(e, order_id, tag)


cdef inline uint32_t id_probe(Engine* e, uint64_t order_id, uint32_t tag, uint32_t** place) noexcept nogil:
    """id_find that also tells the place of the tag that the id would take, until the table changes."""
    cdef const IdTable* t = &e.ids
    cdef IdLine* at = id_line(t, tag)
    cdef uint32_t m, hits, slot
    while True:
        m = look(at.tag, tag)
        hits = m & SAME
        while unlikely(hits != 0):
            slot = at.slot[ctz32(hits)]
            if e.order[slot].order_id == order_id:
                return slot
            hits &= hits - 1
        if likely(m >> PER_LINE != 0):
            place[0] = at.tag + first_free(t, tag, m)
            return NIL
        at = next_line(t, at)


cdef inline uint32_t* free_place(const IdTable* t, uint32_t tag) noexcept nogil:
    """The place that a new id takes: there is one, the table is at most half full."""
    cdef IdLine* at = id_line(t, tag)
    cdef uint32_t m = look(at.tag, tag)
    while unlikely(m >> PER_LINE == 0):
        at = next_line(t, at)
        m = look(at.tag, tag)
    return at.tag + first_free(t, tag, m)


cdef inline void put(uint32_t* place, uint32_t tag, uint32_t slot) noexcept nogil:
    place[0] = tag
    place[PER_LINE] = slot  # of the same place: IdLine.slot stands behind IdLine.tag


cdef inline void id_grow(IdTable* t) noexcept nogil:
    """Double the part of the table that is in use, into the other half of its memory. O(live orders).

    A table far larger than the live orders need misses the cache at every id; one that fits does not."""
    cdef uint64_t lines = t.mask + 1
    cdef uint64_t i
    cdef uint32_t k
    cdef IdLine* old = t.line
    t.shift -= 1
    t.mask = 2 * lines - 1
    t.line = t.spare
    t.spare = old
    memset(t.line, 0, 2 * lines * sizeof(IdLine))
    for i in range(lines):
        for k in range(<uint32_t>PER_LINE):
            if old[i].tag[k] != 0:
                put(free_place(t, old[i].tag[k]), old[i].tag[k], old[i].slot[k])


cdef inline void id_insert(Engine* e, uint32_t tag, uint32_t slot) noexcept nogil:
    """Enter an id that the table does not have. Expected O(1); O(live orders) where the table grows."""
    cdef IdTable* t = &e.ids
    t.used += 1
    if unlikely(half_full(t, t.used) and t.mask < t.max_mask):
        id_grow(t)
    put(free_place(t, tag), tag, slot)


cdef inline void id_place(Engine* e, uint32_t tag, uint32_t slot, uint32_t* place) noexcept nogil:
    """id_insert at the place that id_probe found; nothing has been entered or erased since."""
    cdef IdTable* t = &e.ids
    if unlikely(half_full(t, t.used + 1) and t.mask < t.max_mask):
        id_insert(e, tag, slot)
        return
    t.used += 1
    put(place, tag, slot)


cdef inline void fill_hole(IdTable* t, IdLine* full, uint32_t hole) noexcept nogil:
    """A place of a line that was full has become free: an id that passed the line by comes back into it.

    Every id stands behind nothing but full lines, seen from its own. Those that passed by stand in the lines behind, as
    far as these are full, and one line further; where one of them came from, the same is to be done again."""
    cdef IdLine* at = full
    cdef IdLine* from_
    cdef uint32_t i, moved
    cdef bint was_full
    while True:
        at = next_line(t, at)
        was_full = is_full(at.tag)
        moved = PER_LINE
        for i in range(<uint32_t>PER_LINE):
            if at.tag[i] != 0:
                from_ = id_line(t, at.tag[i])
                if (<uint64_t>(at - from_) & t.mask) >= (<uint64_t>(at - full) & t.mask):
                    moved = i
        if moved != PER_LINE:
            put(full.tag + hole, at.tag[moved], at.slot[moved])
            at.tag[moved] = 0
            full = at
            hole = moved
        if not was_full:
            return


cdef inline void id_erase(Engine* e, uint32_t tag, uint32_t slot) noexcept nogil:
    """Remove the id of `slot`, which is there. Expected O(1)."""
    cdef IdTable* t = &e.ids
    cdef IdLine* at = id_line(t, tag)
    cdef uint32_t place = own_place(t, tag)
    cdef uint32_t hits
    t.used -= 1
    if unlikely(at.tag[place] != tag or at.slot[place] != slot):
        hits = look(at.tag, tag) & SAME
        while unlikely(hits == 0 or at.slot[ctz32(hits)] != slot):
            hits &= hits - 1
            if hits == 0:
                at = next_line(t, at)
                hits = look(at.tag, tag) & SAME
        place = ctz32(hits)
    if likely(not is_full(at.tag)):
        at.tag[place] = 0
        return
    at.tag[place] = 0
    fill_hole(t, at, place)
