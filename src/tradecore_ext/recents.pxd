"""Order ids a cell remembers, newest `capacity` of them: an open-addressing table over a FIFO ring.

Owner of: which (account, order id) came before, with which terms, and how it was answered first.
Entries lie in the ring in the order they came, so the oldest is the one to forget and the saved form has no hash
order. The table holds ring positions; deleting moves later buckets back, so it never needs a rebuild.
Called by: gate.pyx.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.mathx cimport fold_mul
from tradecore_ext.types cimport tc_command

cdef enum:
    NO_RECENT = 0xFFFFFFFF


cdef struct Recent:
    uint64_t order_id
    uint64_t terms          # hash of the frames as sent, without times
    uint64_t answer_seq     # 0: not answered yet
    uint64_t answer_ts_ns
    uint32_t account_id
    uint16_t answer_status
    uint8_t answer_kind
    uint8_t reserved0


cdef struct Recents:
    Recent* entry           # ring
    uint64_t* bucket        # tag << 32 | ring position + 1; 0 empty
    uint64_t key0
    uint64_t key1
    uint32_t capacity
    uint32_t oldest
    uint32_t count
    uint32_t mask
    uint32_t shift


cdef inline uint32_t recent_tag(const Recents* r, uint32_t account_id, uint64_t order_id) noexcept nogil:
    """Keyed: ids are chosen outside, and whoever could make them collide could slow the cell down."""
    return <uint32_t>(fold_mul(order_id ^ r.key0, account_id ^ r.key1) >> 16)


cdef inline uint32_t recent_find(
    const Recents* r, uint32_t tag, uint32_t account_id, uint64_t order_id, uint32_t* end
) noexcept nogil:
    """Ring position of an id, NO_RECENT if it is not remembered; `end` is then the empty bucket that said so."""
    cdef uint32_t i = tag >> r.shift
    cdef uint64_t b = r.bucket[i]
    cdef uint32_t at
    while b:
        if <uint32_t>(b >> 32) == tag:
            at = <uint32_t>b - 1
            if r.entry[at].order_id == order_id and r.entry[at].account_id == account_id:
                return at
        i = (i + 1) & r.mask
        b = r.bucket[i]
    end[0] = i
    return <uint32_t>NO_RECENT


cdef inline uint32_t recent_unlink(Recents* r, uint32_t at) noexcept nogil:
    """Take a ring position out of the table and close the hole it leaves; return the bucket that is empty at last."""
    cdef uint32_t tag = recent_tag(r, r.entry[at].account_id, r.entry[at].order_id)
    cdef uint32_t hole = tag >> r.shift
    cdef uint32_t i
    cdef uint32_t home
    while <uint32_t>r.bucket[hole] != at + 1:
        hole = (hole + 1) & r.mask
    i = hole
    while True:
        i = (i + 1) & r.mask
        if r.bucket[i] == 0:
            break
        home = <uint32_t>(r.bucket[i] >> 32) >> r.shift
        # It may move back only as far as where its search begins.
        if ((i - home) & r.mask) >= ((i - hole) & r.mask):
            r.bucket[hole] = r.bucket[i]
            hole = i
    r.bucket[hole] = 0
    return hole


cdef inline uint32_t recent_step(const Recents* r, uint32_t at) noexcept nogil:
    """Ring position after `at`."""
    return at + 1 if at + 1 < r.capacity else 0


cdef inline uint32_t recent_place(const Recents* r) noexcept nogil:
    """Ring position that the next id gets: behind the newest, or the oldest's own."""
    cdef uint64_t at = <uint64_t>r.oldest + r.count
    return <uint32_t>(at if at < r.capacity else at - r.capacity)


cdef inline uint32_t recent_add(
    Recents* r, uint32_t tag, uint32_t account_id, uint64_t order_id, uint64_t terms, uint32_t end
) noexcept nogil:
    """Remember an id that recent_find has not found, forgetting the oldest if there is no room."""
    cdef uint32_t at
    cdef uint32_t hole
    cdef uint32_t home = tag >> r.shift
    cdef Recent* e
    if r.count == r.capacity:
        hole = recent_unlink(r, r.oldest)
        # Searches end at the first empty bucket: the hole, if it lies on the way to the one found.
        if ((hole - home) & r.mask) < ((end - home) & r.mask):
            end = hole
        r.oldest = recent_step(r, r.oldest)
        r.count -= 1
    at = recent_place(r)
    e = r.entry + at
    e.order_id = order_id
    e.terms = terms
    e.answer_seq = 0
    e.answer_ts_ns = 0
    e.account_id = account_id
    e.answer_status = 0
    e.answer_kind = 0
    e.reserved0 = 0
    r.bucket[end] = <uint64_t>tag << 32 | (at + 1)
    r.count += 1
    return at


# ---- what an order said --------------------------------------------------------------------------

# First digits of pi in 64-bit words: any constants do, as long as they never change, for hashes are saved.
cdef inline uint64_t head_terms(const tc_command* c) noexcept nogil:
    """Hash of NEW_ORDER's or a list header's frame without its times (ts_ns, sent_ts_ns).

    The two structs carry sent_ts_ns at different places, so that a list's header has a function of its own.
    """
    cdef const uint64_t* w = <const uint64_t*>c
    return (
        fold_mul(w[1] ^ <uint64_t>0x243F6A8885A308D3, w[2] ^ <uint64_t>0x13198A2E03707344)
        ^ fold_mul(w[3] ^ <uint64_t>0xA4093822299F31D0, w[4] ^ <uint64_t>0x082EFA98EC4E6C89)
        ^ fold_mul(w[5] ^ <uint64_t>0x452821E638D01377, w[7] ^ <uint64_t>0xBE5466CF34E90C6C)
    )


cdef inline uint64_t list_terms(const tc_command* c) noexcept nogil:
    """Hash of a list header's frame without its times: words 0 and 4."""
    cdef const uint64_t* w = <const uint64_t*>c
    return (
        fold_mul(w[1] ^ <uint64_t>0x243F6A8885A308D3, w[2] ^ <uint64_t>0x13198A2E03707344)
        ^ fold_mul(w[3] ^ <uint64_t>0xA4093822299F31D0, w[5] ^ <uint64_t>0x082EFA98EC4E6C89)
        ^ fold_mul(w[6] ^ <uint64_t>0x452821E638D01377, w[7] ^ <uint64_t>0xBE5466CF34E90C6C)
    )


cdef inline uint64_t more_terms(uint64_t h, const tc_command* c) noexcept nogil:
    """Add a continuation frame, all of it, to a hash."""
    cdef const uint64_t* w = <const uint64_t*>c
    h = fold_mul(h ^ w[0], <uint64_t>0xC0AC29B7C97C50DD) ^ fold_mul(w[1] ^ h, w[2] ^ <uint64_t>0x3F84D5B5B5470917)
    h = fold_mul(h ^ w[3], <uint64_t>0x9216D5D98979FB1B) ^ fold_mul(w[4] ^ h, w[5] ^ <uint64_t>0xD1310BA698DFB5AC)
    return fold_mul(h ^ w[6], <uint64_t>0x2FFD72DBD01ADFB7) ^ fold_mul(w[7] ^ h, <uint64_t>0xB8E1AFED6A267E96)


cdef inline uint64_t join_terms(uint64_t h, uint64_t member) noexcept nogil:
    """Add a whole member to a list's hash."""
    return fold_mul(h ^ <uint64_t>0xBA7C9045F12C7F99, member ^ <uint64_t>0x24A19947B3916CF7)
