"""Checked integer arithmetic: products in 128 bits, divisions with a named rounding.

Owner of: every rule of rounding in the kernel.  Pure inline functions, no state.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef extern from *:
    """
    #define tc_likely(x) __builtin_expect(!!(x), 1)
    #define tc_unlikely(x) __builtin_expect(!!(x), 0)
    /* gcc holds a function that only prefetches for one without effect and drops its calls; assembler stays. */
    #if defined(__x86_64__)
    #define tc_prefetch(p) __asm__ volatile("prefetcht0 %0" : : "m"(*(const char *)(p)))
    #else
    #define tc_prefetch(p) __builtin_prefetch((const void *)(p), 1, 3)
    #endif
    #define tc_ctz32(x) ((uint32_t)__builtin_ctz(x))
    #define tc_ctz64(x) ((uint32_t)__builtin_ctzll(x))
    #define tc_clz64(x) ((uint32_t)__builtin_clzll(x))
    /* All ones where `first` (0 or 1) is 1. Opaque: gcc turns `c ? a : b` and what it recognises as that back into
       branches, and whether the next order buys is a toss that no branch predictor wins. */
    static inline int64_t tc_mask(int first)
    {
        int64_t mask = -(int64_t)first;
        __asm__("" : "+r"(mask));
        return mask;
    }
    static inline uint32_t *tc_place(int first, uint32_t *a, uint32_t *b)
    {
        return (uint32_t *)((uintptr_t)b ^ (((uintptr_t)a ^ (uintptr_t)b) & (uintptr_t)tc_mask(first)));
    }
    /* Both halves of a 128-bit product folded together. In C, gcc takes the product through memory. */
    static inline uint64_t tc_fold_mul(uint64_t a, uint64_t b)
    {
    #if defined(__x86_64__)
        uint64_t high;
        __asm__("mulq %2" : "+a"(a), "=d"(high) : "rm"(b) : "cc");
        return a ^ high;
    #else
        unsigned __int128 p = (unsigned __int128)a * b;
        return (uint64_t)p ^ (uint64_t)(p >> 64);
    #endif
    }
    typedef __int128 tc_i128;
    typedef unsigned __int128 tc_u128;
    #define TC_I64_MAX INT64_MAX
    #define TC_I64_MIN INT64_MIN
    """
    ctypedef long long int128 "tc_i128"
    ctypedef unsigned long long uint128 "tc_u128"
    bint likely "tc_likely"(bint x) noexcept nogil
    bint unlikely "tc_unlikely"(bint x) noexcept nogil
    void prefetch "tc_prefetch"(const void* p) noexcept nogil
    int64_t mask_of "tc_mask"(bint first) noexcept nogil
    uint64_t fold_mul "tc_fold_mul"(uint64_t a, uint64_t b) noexcept nogil  # the mixer of the keyed hashes
    uint32_t* place_of "tc_place"(bint first, uint32_t* a, uint32_t* b) noexcept nogil  # a or b, without a branch
    bint mul_over "__builtin_mul_overflow"(int64_t a, int64_t b, int64_t* product) noexcept nogil
    uint32_t ctz32 "tc_ctz32"(uint32_t x) noexcept nogil
    uint32_t ctz64 "tc_ctz64"(uint64_t x) noexcept nogil
    uint32_t clz64 "tc_clz64"(uint64_t x) noexcept nogil
    const int64_t I64_MAX "TC_I64_MAX"
    const int64_t I64_MIN "TC_I64_MIN"

cdef enum:
    PPM = 1000000


cdef inline int64_t min64(int64_t a, int64_t b) noexcept nogil:
    return a if a < b else b


cdef inline int64_t max64(int64_t a, int64_t b) noexcept nogil:
    return a if a > b else b


cdef inline int64_t abs64(int64_t a) noexcept nogil:
    return -a if a < 0 else a


cdef inline int64_t pick64(int64_t mask, int64_t a, int64_t b) noexcept nogil:
    """a where the mask is all ones, b where it is zero, without a branch."""
    return b ^ ((a ^ b) & mask)


cdef inline int128 pick128(int64_t mask, int128 a, int128 b) noexcept nogil:
    """The same of wider numbers: the mask's sign fills the upper half."""
    return b ^ ((a ^ b) & mask)


cdef inline int64_t buy_mask(uint8_t side) noexcept nogil:
    """All ones for a buy: BUY is 1, SELL 2."""
    return mask_of(side & 1)


cdef inline int128 mul128(int64_t a, int64_t b) noexcept nogil:
    return <int128>a * b


cdef inline int128 floor_div128(int128 a, int128 b) noexcept nogil:
    """Floor of a / b for b > 0 (C truncates towards zero)."""
    cdef int128 q = a / b
    if a % b < 0:
        q -= 1
    return q


cdef inline int128 ceil_div128(int128 a, int128 b) noexcept nogil:
    """Ceiling of a / b for b > 0."""
    cdef int128 q = a / b
    if a % b > 0:
        q += 1
    return q


cdef inline bint fits_cash(int128 a) noexcept nogil:
    """True where |a| fits the ledger's range of 2^62."""
    return -((<int128>1) << 62) <= a <= ((<int128>1) << 62)
