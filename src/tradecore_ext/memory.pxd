"""Where the arenas come from: zeroed memory, committed by the system on first touch (or at once: prefault).

Owner of: allocation.  An engine maps one region at construction, lays its arenas out in it and unmaps it at the end.
A large region begins on a boundary of huge pages and asks for them, because random access over many small pages
costs a page-table walk each; arenas mapped one by one would leave small pages at both ends of every one of them,
which is most of an id table or of a thousand books.
"""
from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #include <sys/mman.h>
    #define TC_HUGE ((uint64_t)1 << 21)
    static uint64_t tc_whole_pages(uint64_t bytes) {
        uint64_t page = bytes >= 2 * TC_HUGE ? TC_HUGE : 4096;
        return (bytes + page - 1) / page * page;
    }
    static void *tc_map(uint64_t bytes, int prefault) {
        uint64_t size = tc_whole_pages(bytes), slack = bytes >= 2 * TC_HUGE ? TC_HUGE : 0, head, i;
        char *p = mmap(NULL, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) return NULL;
        if (slack) {
            head = (slack - ((uint64_t)p & (TC_HUGE - 1))) & (TC_HUGE - 1);
            if (head) munmap(p, head);
            p += head;
            if (slack > head) munmap(p + size, slack - head);
    #ifdef MADV_HUGEPAGE
            madvise(p, size, MADV_HUGEPAGE);
    #endif
        }
        if (prefault)
            for (i = 0; i < size; i += 4096) ((volatile char *)p)[i] = 0;
        return p;
    }
    static void tc_unmap(void *p, uint64_t bytes) { if (p) munmap(p, tc_whole_pages(bytes)); }
    """
    void* map_memory "tc_map"(uint64_t bytes, int prefault) noexcept nogil
    void unmap_memory "tc_unmap"(void* p, uint64_t bytes) noexcept nogil
