"""Slot arenas and the order-id table.

Owner of: which slot is free.  Arenas hand out the slot freed last (it is still in cache), then slots
never used; nothing is allocated after construction, and an empty arena is a status, not an error.
The id table is open addressing with a keyed hash: ids are chosen outside, so collisions must not be
choosable.  A bucket is 8 bytes (hash tag and slot), so a probe touches one line; erasing shifts the
cluster back, so there are no tombstones and a full day of churn costs nothing.  The part in use doubles with the
live orders (a prefaulted engine begins with all of it).
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from tradecore_ext.mathx cimport fold_mul, likely, unlikely
from tradecore_ext.state cimport (
    NIL,
    ST_ACTIVE,
    ST_FREE,
    Engine,
    IdTable,
    Order,
    Terms,
)


cdef inline uint32_t id_tag(const IdTable* t, uint64_t order_id) noexcept nogil:
    """32 bits of the keyed hash; the table index is its upper part."""
    return <uint32_t>(fold_mul(order_id ^ t.key0, t.key1) >> 16)


cdef inline uint32_t id_find(Engine* e, uint64_t order_id, uint32_t tag) noexcept nogil:
    """Slot of a live order, NIL if there is none. Expected O(1)."""
    cdef IdTable* t = &e.ids
    cdef uint64_t i = tag >> t.shift
    cdef uint64_t x
    cdef uint32_t slot
    while True:
        x = t.entry[i]
        if x == 0:
            return NIL
        if <uint32_t>(x >> 32) == tag:
            slot = <uint32_t>x - 1
            if likely(e.order[slot].order_id == order_id):
                return slot
        i = (i + 1) & t.mask


cdef inline uint32_t id_near(Engine* e, uint64_t order_id, uint32_t tag, uint32_t hint) noexcept nogil:
    """id_find, with a slot that was found ahead and may have been wrong even then.

    The slot may have been freed since: its id still stands there, so the caller looks at the state."""
    if likely(hint < e.max_orders and e.order[hint].order_id == order_id):
        return hint
    return id_find(e, order_id, tag)


cdef inline void id_grow(IdTable* t) noexcept nogil:
    """Double the part of the table that is in use, into the other half of its memory. O(live orders).

    A table far larger than the live orders need misses the cache at every id; one that fits does not."""
    cdef uint64_t size = t.mask + 1
    cdef uint64_t i, j, x
    cdef uint64_t* old = t.entry
    t.shift -= 1
    t.mask = 2 * size - 1
    t.entry = t.spare
    t.spare = old
    memset(t.entry, 0, 2 * size * sizeof(uint64_t))
    for i in range(size):
        x = old[i]
        if x != 0:
            j = <uint64_t>(x >> 32) >> t.shift
            while t.entry[j] != 0:
                j = (j + 1) & t.mask
            t.entry[j] = x


cdef inline void id_insert(Engine* e, uint32_t tag, uint32_t slot) noexcept nogil:
    cdef IdTable* t = &e.ids
    cdef uint64_t i
    t.used += 1
    if unlikely(2 * t.used > t.mask and t.mask < t.max_mask):
        id_grow(t)
    i = tag >> t.shift
    while t.entry[i] != 0:
        i = (i + 1) & t.mask
    t.entry[i] = (<uint64_t>tag << 32) | (slot + 1)


cdef inline uint32_t id_probe(Engine* e, uint64_t order_id, uint32_t tag, uint64_t* place) noexcept nogil:
    """id_find that also tells the empty bucket it ended at: where id_place enters the id unless the table has
    changed meanwhile."""
    cdef IdTable* t = &e.ids
    cdef uint64_t i = tag >> t.shift
    cdef uint64_t x
    cdef uint32_t slot
    while True:
        x = t.entry[i]
        if likely(x == 0):
            place[0] = i
            return NIL
        if unlikely(<uint32_t>(x >> 32) == tag):
            slot = <uint32_t>x - 1
            if e.order[slot].order_id == order_id:
                return slot
        i = (i + 1) & t.mask


cdef inline void id_place(Engine* e, uint32_t tag, uint32_t slot, uint64_t place) noexcept nogil:
    """id_insert at the bucket that id_probe found; nothing has been entered or erased since."""
    cdef IdTable* t = &e.ids
    if unlikely(2 * t.used + 2 > t.mask and t.mask < t.max_mask):
        id_insert(e, tag, slot)
        return
    t.used += 1
    t.entry[place] = (<uint64_t>tag << 32) | (slot + 1)


cdef inline void id_erase(Engine* e, uint32_t tag, uint32_t slot) noexcept nogil:
    """Remove the entry of `slot` and close the gap behind it."""
    cdef IdTable* t = &e.ids
    cdef uint64_t i = tag >> t.shift
    cdef uint64_t x, j, home
    cdef uint64_t want = (<uint64_t>tag << 32) | (slot + 1)
    t.used -= 1
    while t.entry[i] != want:
        i = (i + 1) & t.mask
    j = i
    while True:
        j = (j + 1) & t.mask
        x = t.entry[j]
        if x == 0:
            break
        home = <uint64_t>(x >> 32) >> t.shift
        # x may move to the gap i if its home is not inside (i, j].
        if ((j - home) & t.mask) >= ((j - i) & t.mask):
            t.entry[i] = x
            i = j
    t.entry[i] = 0


cdef inline bint order_available(const Engine* e) noexcept nogil:
    return e.order_free != NIL or e.order_fresh < e.max_orders


cdef inline uint32_t order_alloc(Engine* e) noexcept nogil:
    """A slot in state ACTIVE; the caller has checked that there is one."""
    cdef uint32_t slot = e.order_free
    if likely(slot != NIL):
        e.order_free = e.order[slot].next
    else:
        slot = e.order_fresh
        e.order_fresh += 1
    e.live += 1
    e.order[slot].state = ST_ACTIVE
    return slot


cdef inline void order_release(Engine* e, uint32_t slot) noexcept nogil:
    cdef Order* o = e.order + slot
    o.state = ST_FREE
    o.next = e.order_free
    e.order_free = slot
    e.live -= 1


cdef inline bint terms_available(const Engine* e, uint32_t count) noexcept nogil:
    return e.n_terms + count <= e.max_terms


cdef inline uint32_t terms_alloc(Engine* e) noexcept nogil:
    cdef uint32_t slot = e.terms_free
    cdef Terms* t
    if slot != NIL:
        e.terms_free = e.terms[slot].next_child
    else:
        slot = e.terms_fresh
        e.terms_fresh += 1
    e.n_terms += 1
    t = e.terms + slot
    memset(t, 0, sizeof(Terms))
    t.timer = NIL
    t.sibling = NIL
    t.parent = NIL
    t.child = NIL
    t.next_child = NIL
    t.trail_next = NIL
    t.trail_prev = NIL
    return slot


cdef inline void terms_release(Engine* e, uint32_t slot) noexcept nogil:
    e.terms[slot].next_child = e.terms_free
    e.terms_free = slot
    e.n_terms -= 1
