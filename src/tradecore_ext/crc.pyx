"""CRC32C (Castagnoli) of any buffer: the checksum of envelopes, journal records and snapshots.

Owns one idea: polynomial 0x1EDC6F41, reflected, initial value and final xor 0xFFFFFFFF, as in
RFC 3720 appendix B.4. Two implementations give the same number: the SSE4.2 instruction, chosen at
import when the processor has it, and slicing-by-8 in portable C. Called by `tradecore.envelope`,
`tradecore.journal` and `tradecore.snapshot`; knows nothing about what the bytes mean.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>

    /* Reflected polynomial; all registers below are reflected and not yet inverted. */
    #define TC_CRC_POLY 0x82F63B78u
    /* The instruction has a latency of three cycles and starts every cycle, so three independent
     * streams run side by side. Long blocks for megabytes, short ones for an envelope of a few
     * frames; each pair of joins costs eight table reads. */
    #define TC_CRC_LONG ((size_t)4096)
    #define TC_CRC_SHORT ((size_t)256)

    static uint32_t tc_crc_slice[8][256];
    static uint32_t tc_crc_shift_long[4][256];
    static uint32_t tc_crc_shift_short[4][256];
    static int tc_crc_fast;

    static uint64_t tc_crc_load(const unsigned char* p) {
        uint64_t word;
        memcpy(&word, p, 8);
        return word;
    }

    /* Tables of the linear map "append `zeros` zero bytes to the message" on a register. */
    static void tc_crc_make_shift(uint32_t table[4][256], size_t zeros) {
        uint32_t image[32];
        for (int bit = 0; bit < 32; bit++) {
            uint32_t value = (uint32_t)1 << bit;
            for (size_t i = 0; i < zeros; i++)
                value = tc_crc_slice[0][value & 255u] ^ (value >> 8);
            image[bit] = value;
        }
        for (int byte = 0; byte < 4; byte++)
            for (int value = 0; value < 256; value++) {
                uint32_t sum = 0;
                for (int bit = 0; bit < 8; bit++)
                    if (value >> bit & 1)
                        sum ^= image[8 * byte + bit];
                table[byte][value] = sum;
            }
    }

    static void tc_crc_init(void) {
        for (int value = 0; value < 256; value++) {
            uint32_t rest = (uint32_t)value;
            for (int bit = 0; bit < 8; bit++)
                rest = rest & 1u ? rest >> 1 ^ TC_CRC_POLY : rest >> 1;
            tc_crc_slice[0][value] = rest;
        }
        for (int value = 0; value < 256; value++)
            for (int k = 1; k < 8; k++) {
                uint32_t before = tc_crc_slice[k - 1][value];
                tc_crc_slice[k][value] = tc_crc_slice[0][before & 255u] ^ (before >> 8);
            }
        tc_crc_make_shift(tc_crc_shift_long, TC_CRC_LONG);
        tc_crc_make_shift(tc_crc_shift_short, TC_CRC_SHORT);
    #if defined(__x86_64__)
        __builtin_cpu_init();
        tc_crc_fast = __builtin_cpu_supports("sse4.2") != 0;
    #endif
    }

    /* Eight bytes a step through eight tables. Bytes are assembled by hand, so the result does not
     * depend on the byte order of the machine; compilers turn it into one load where they can. */
    static uint32_t tc_crc_portable(uint32_t crc, const unsigned char* p, size_t n) {
        while (n >= 8) {
            uint32_t low = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8
                                  | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
            crc = tc_crc_slice[7][low & 255u] ^ tc_crc_slice[6][low >> 8 & 255u]
                ^ tc_crc_slice[5][low >> 16 & 255u] ^ tc_crc_slice[4][low >> 24]
                ^ tc_crc_slice[3][p[4]] ^ tc_crc_slice[2][p[5]]
                ^ tc_crc_slice[1][p[6]] ^ tc_crc_slice[0][p[7]];
            p += 8;
            n -= 8;
        }
        while (n--)
            crc = tc_crc_slice[0][(crc ^ *p++) & 255u] ^ (crc >> 8);
        return crc;
    }

    #if defined(__x86_64__)
    static inline uint32_t tc_crc_apply(const uint32_t table[4][256], uint32_t crc) {
        return table[0][crc & 255u] ^ table[1][crc >> 8 & 255u]
             ^ table[2][crc >> 16 & 255u] ^ table[3][crc >> 24];
    }

    /* Three neighbouring blocks at once; the register of the whole is joined from the three. */
    __attribute__((target("sse4.2"), always_inline))
    static inline uint32_t tc_crc_three(const uint32_t shift[4][256], uint32_t crc,
                                        const unsigned char* p, size_t block) {
        uint64_t a = crc, b = 0, c = 0;
        for (size_t i = 0; i < block; i += 8) {
            a = __builtin_ia32_crc32di(a, tc_crc_load(p + i));
            b = __builtin_ia32_crc32di(b, tc_crc_load(p + block + i));
            c = __builtin_ia32_crc32di(c, tc_crc_load(p + 2 * block + i));
        }
        crc = tc_crc_apply(shift, (uint32_t)a) ^ (uint32_t)b;
        return tc_crc_apply(shift, crc) ^ (uint32_t)c;
    }

    __attribute__((target("sse4.2")))
    static uint32_t tc_crc_sse42(uint32_t crc, const unsigned char* p, size_t n) {
        for (; n >= 3 * TC_CRC_LONG; p += 3 * TC_CRC_LONG, n -= 3 * TC_CRC_LONG)
            crc = tc_crc_three(tc_crc_shift_long, crc, p, TC_CRC_LONG);
        for (; n >= 3 * TC_CRC_SHORT; p += 3 * TC_CRC_SHORT, n -= 3 * TC_CRC_SHORT)
            crc = tc_crc_three(tc_crc_shift_short, crc, p, TC_CRC_SHORT);
        uint64_t wide = crc;
        for (; n >= 8; p += 8, n -= 8)
            wide = __builtin_ia32_crc32di(wide, tc_crc_load(p));
        crc = (uint32_t)wide;
        for (; n; n--)
            crc = __builtin_ia32_crc32qi(crc, *p++);
        return crc;
    }
    #endif

    static uint32_t tc_crc32c(uint32_t crc, const void* data, size_t n, int portable) {
        const unsigned char* p = (const unsigned char*)data;
    #if defined(__x86_64__)
        if (tc_crc_fast && !portable)
            return ~tc_crc_sse42(~crc, p, n);
    #endif
        (void)portable;
        return ~tc_crc_portable(~crc, p, n);
    }
    """
    const int tc_crc_fast
    void tc_crc_init() noexcept nogil
    uint32_t tc_crc32c(uint32_t crc, const void* data, size_t n, int portable) noexcept nogil

tc_crc_init()

# How the checksum is computed on this machine.
IMPLEMENTATION = "sse4.2" if tc_crc_fast else "portable"

# Above this many bytes other threads may run meanwhile; below it the switch would cost more.
cdef Py_ssize_t RELEASE_BYTES = 65536


cdef uint32_t _checksum(object data, uint32_t crc, int portable) except? 0:
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    if view.len >= RELEASE_BYTES:
        with nogil:
            crc = tc_crc32c(crc, view.buf, <size_t>view.len, portable)
    else:
        crc = tc_crc32c(crc, view.buf, <size_t>view.len, portable)
    PyBuffer_Release(&view)
    return crc


def crc32c(data, uint32_t crc=0):
    """Return the CRC32C of a buffer, continuing from `crc`.

    Parameters
    ----------
    data : bytes-like
        Any contiguous buffer: bytes, bytearray, memoryview, mmap, numpy array. Not modified and
        not kept.
    crc : int, default 0
        CRC32C of what came before: ``crc32c(a + b) == crc32c(b, crc32c(a))``.

    Returns
    -------
    int
        0 to 2**32 - 1.

    Raises
    ------
    TypeError, BufferError
        `data` is not a buffer, or not a contiguous one.

    Notes
    -----
    O(n); more than 5 GB/s with SSE4.2. Source: RFC 3720 section 12.1 and appendix B.4.
    """
    return _checksum(data, crc, 0)


def crc32c_portable(data, uint32_t crc=0):
    """Return what `crc32c` returns, without the processor's instruction.

    For processors without SSE4.2, which `crc32c` recognises by itself, and for the test that
    compares both.
    """
    return _checksum(data, crc, 1)
