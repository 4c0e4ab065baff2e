"""Which slot an order id has: a hash table whose buckets are lines of memory.

Owner of: Engine.ids.  The hash is keyed, because ids are chosen outside and collisions must not be choosable.  An entry
is 8 bytes (hash tag and slot; the full id stands in the order, which is read anyway), and eight of them are a line.  An
id belongs to one line and stands anywhere in it, so a line is looked through at once: where an id is, or where a free
place is, takes no branch that nobody can predict.  Only where a line is full do ids go on to the next one; the table is
at most half full, so that is 3 % of the lines at worst.  Erasing from a full line brings back what has gone on, so there
are no tombstones and a full day of churn costs nothing.  The part in use doubles with the live orders (a prefaulted
engine begins with all of it).  docs/decisions/0003-id-table.md
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from tradecore_ext.mathx cimport ctz32, fold_mul, likely, unlikely
from tradecore_ext.state cimport NIL, Engine, IdTable

cdef extern from *:
    """
    /* Bits 0 to 7: entries of the line with this tag. Bits 8 to 15: free ones. An entry is tag << 32 | slot + 1, so a
       free one is known by its lower half; a tag of 0 is no sign of it. */
    #if defined(__SSE2__)
    #include <emmintrin.h>
    __attribute__((always_inline)) static inline uint32_t tc_look(const uint64_t *line, uint32_t tag)
    {
        const __m128 *p = (const __m128 *)line;
        __m128 a = p[0], b = p[1], c = p[2], d = p[3];
        __m128i none = _mm_setzero_si128(), want = _mm_set1_epi32((int)tag);
        __m128i free0 = _mm_cmpeq_epi32(_mm_castps_si128(_mm_shuffle_ps(a, b, 0x88)), none);
        __m128i free1 = _mm_cmpeq_epi32(_mm_castps_si128(_mm_shuffle_ps(c, d, 0x88)), none);
        __m128i same0 = _mm_cmpeq_epi32(_mm_castps_si128(_mm_shuffle_ps(a, b, 0xDD)), want);
        __m128i same1 = _mm_cmpeq_epi32(_mm_castps_si128(_mm_shuffle_ps(c, d, 0xDD)), want);
        uint32_t m = (uint32_t)_mm_movemask_epi8(
            _mm_packs_epi16(_mm_packs_epi32(same0, same1), _mm_packs_epi32(free0, free1)));
        return m & ~(m >> 8);
    }
    __attribute__((always_inline)) static inline int tc_is_full(const uint64_t *line)
    {
        const __m128 *p = (const __m128 *)line;
        __m128i none = _mm_setzero_si128();
        __m128i free0 = _mm_cmpeq_epi32(_mm_castps_si128(_mm_shuffle_ps(p[0], p[1], 0x88)), none);
        __m128i free1 = _mm_cmpeq_epi32(_mm_castps_si128(_mm_shuffle_ps(p[2], p[3], 0x88)), none);
        return _mm_movemask_epi8(_mm_or_si128(free0, free1)) == 0;
    }
    #else
    static inline int tc_is_full(const uint64_t *line)
    {
        uint32_t i;
        for (i = 0; i < 8; i++)
            if (line[i] == 0) return 0;
        return 1;
    }
    __attribute__((always_inline)) static inline uint32_t tc_look(const uint64_t *line, uint32_t tag)
    {
        uint32_t same = 0, vacant = 0, i;
        for (i = 0; i < 8; i++) {
            same |= (uint32_t)((uint32_t)(line[i] >> 32) == tag) << i;
            vacant |= (uint32_t)((uint32_t)line[i] == 0) << i;
        }
        return (same & ~vacant) | vacant << 8;
    }
    #endif
    """
    bint is_full "tc_is_full"(const uint64_t* line) noexcept nogil
    uint32_t look "tc_look"(const uint64_t* line, uint32_t tag) noexcept nogil

cdef enum:
    PER_LINE = 8
    SAME = 0xFF            # of what `look` returns: entries with the tag


cdef inline uint32_t id_tag(const IdTable* t, uint64_t order_id) noexcept nogil:
    """32 bits of the keyed hash; the table index is its upper part."""
    return <uint32_t>(fold_mul(order_id ^ t.key0, t.key1) >> 16)


cdef inline uint64_t id_line(const IdTable* t, uint32_t tag) noexcept nogil:
    """First entry of the line that ids with this tag belong to."""
    return <uint64_t>(tag >> t.shift) & ~<uint64_t>(PER_LINE - 1)


cdef inline uint64_t next_line(const IdTable* t, uint64_t line) noexcept nogil:
    return (line + PER_LINE) & t.mask


cdef inline uint64_t first_free(const IdTable* t, uint32_t tag, uint32_t m) noexcept nogil:
    """Free entry of a line at or behind the id's own place in it, else the first. There is one."""
    cdef uint32_t at = (tag >> t.shift) & (PER_LINE - 1)
    cdef uint32_t free = m >> PER_LINE
    return (at + ctz32((free | free << PER_LINE) >> at)) & (PER_LINE - 1)


cdef inline uint32_t id_guess(const IdTable* t, uint32_t tag) noexcept nogil:
    """A slot whose id has this tag, NIL if there is none; whether it is the id, the order says. Expected O(1)."""
    cdef uint64_t line = id_line(t, tag)
    cdef uint32_t m = look(t.entry + line, tag)
    while unlikely(m & SAME == 0):
        if m != 0:
            return NIL
        line = next_line(t, line)
        m = look(t.entry + line, tag)
    return <uint32_t>t.entry[line + ctz32(m)] - 1


cdef inline uint32_t id_probe(Engine* e, uint64_t order_id, uint32_t tag, uint64_t* place) noexcept nogil:
    """id_find that also tells the free entry that the id would take, until the table changes."""
    cdef IdTable* t = &e.ids
    cdef uint64_t line = id_line(t, tag)
    cdef uint32_t m, hits, slot
    while True:
        m = look(t.entry + line, tag)
        hits = m & SAME
        while unlikely(hits != 0):
            slot = <uint32_t>t.entry[line + ctz32(hits)] - 1
            if e.order[slot].order_id == order_id:
                return slot
            hits &= hits - 1
        if likely(m >> PER_LINE != 0):
            place[0] = line + first_free(t, tag, m)
            return NIL
        line = next_line(t, line)


cdef inline uint32_t id_find(Engine* e, uint64_t order_id, uint32_t tag) noexcept nogil:
    """Slot of a live order, NIL if there is none. Expected O(1)."""
    cdef IdTable* t = &e.ids
    cdef uint64_t line = id_line(t, tag)
    cdef uint32_t m, hits, slot
    cdef uint64_t x = t.entry[tag >> t.shift]
    if likely(<uint32_t>(x >> 32) == tag and x != 0):
        slot = <uint32_t>x - 1
        if likely(e.order[slot].order_id == order_id):
            return slot
    while True:
        m = look(t.entry + line, tag)
        hits = m & SAME
        while hits != 0:
            slot = <uint32_t>t.entry[line + ctz32(hits)] - 1
            if likely(e.order[slot].order_id == order_id):
                return slot
            hits &= hits - 1
        if m >> PER_LINE:
            return NIL
        line = next_line(t, line)


cdef inline uint32_t id_near(Engine* e, uint64_t order_id, uint32_t tag, uint32_t hint) noexcept nogil:
    """id_find, with a slot that was found ahead and may have been wrong even then.

    The slot may have been freed since: its id still stands there, so the caller looks at the state."""
    if likely(hint < e.max_orders and e.order[hint].order_id == order_id):
        return hint
    return id_find(e, order_id, tag)


cdef inline uint64_t free_place(const IdTable* t, uint32_t tag) noexcept nogil:
    """The free entry that a new id takes: there is one, the table is at most half full."""
    cdef uint64_t line = id_line(t, tag)
    cdef uint32_t m = look(t.entry + line, 0)
    while unlikely(m >> PER_LINE == 0):
        line = next_line(t, line)
        m = look(t.entry + line, 0)
    return line + first_free(t, tag, m)


cdef inline void id_grow(IdTable* t) noexcept nogil:
    """Double the part of the table that is in use, into the other half of its memory. O(live orders).

    A table far larger than the live orders need misses the cache at every id; one that fits does not."""
    cdef uint64_t size = t.mask + 1
    cdef uint64_t i, x
    cdef uint64_t* old = t.entry
    t.shift -= 1
    t.mask = 2 * size - 1
    t.entry = t.spare
    t.spare = old
    memset(t.entry, 0, 2 * size * sizeof(uint64_t))
    for i in range(size):
        x = old[i]
        if x != 0:
            t.entry[free_place(t, <uint32_t>(x >> 32))] = x


cdef inline void id_insert(Engine* e, uint32_t tag, uint32_t slot) noexcept nogil:
    """Enter an id that the table does not have. Expected O(1); O(live orders) where the table grows."""
    cdef IdTable* t = &e.ids
    t.used += 1
    if unlikely(2 * t.used > t.mask and t.mask < t.max_mask):
        id_grow(t)
    t.entry[free_place(t, tag)] = (<uint64_t>tag << 32) | (slot + 1)


cdef inline void id_place(Engine* e, uint32_t tag, uint32_t slot, uint64_t place) noexcept nogil:
    """id_insert at the entry that id_probe found; nothing has been entered or erased since."""
    cdef IdTable* t = &e.ids
    if unlikely(2 * t.used + 2 > t.mask and t.mask < t.max_mask):
        id_insert(e, tag, slot)
        return
    t.used += 1
    t.entry[place] = (<uint64_t>tag << 32) | (slot + 1)


cdef inline void fill_hole(IdTable* t, uint64_t line, uint64_t hole) noexcept nogil:
    """An entry of a line that was full has become free: an id that passed the line by comes back into it.

    Every id stands behind nothing but full lines, seen from its own. Those that passed by stand in the lines behind, as
    far as these are full, and one line further; where one of them came from, the same is to be done again."""
    cdef uint64_t at = line
    cdef uint64_t x, moved
    cdef uint32_t i
    cdef bint was_full
    while True:
        at = next_line(t, at)
        was_full = True
        moved = PER_LINE
        for i in range(<uint32_t>PER_LINE):
            x = t.entry[at + i]
            if x == 0:
                was_full = False
            elif ((at - id_line(t, <uint32_t>(x >> 32))) & t.mask) >= ((at - line) & t.mask):
                moved = i
        if moved != PER_LINE:
            t.entry[hole] = t.entry[at + moved]
            t.entry[at + moved] = 0
            line = at
            hole = at + moved
        if not was_full:
            return


cdef inline void id_erase(Engine* e, uint32_t tag, uint32_t slot) noexcept nogil:
    """Remove the entry of `slot`, which is there. Expected O(1)."""
    cdef IdTable* t = &e.ids
    cdef uint64_t line = id_line(t, tag)
    cdef uint64_t want = (<uint64_t>tag << 32) | (slot + 1)
    cdef uint64_t at = tag >> t.shift
    cdef uint32_t hits
    t.used -= 1
    if unlikely(t.entry[at] != want):
        hits = look(t.entry + line, tag) & SAME
        while unlikely(hits == 0 or t.entry[line + ctz32(hits)] != want):
            hits &= hits - 1
            if hits == 0:
                line = next_line(t, line)
                hits = look(t.entry + line, tag) & SAME
        at = line + ctz32(hits)
    if likely(not is_full(t.entry + line)):
        t.entry[at] = 0
        return
    t.entry[at] = 0
    fill_hole(t, line, at)
