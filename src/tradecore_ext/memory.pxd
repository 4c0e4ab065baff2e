"""Where the arenas come from: zeroed, page-aligned, committed by the system on first touch (or at once: prefault).

Owner of: allocation.  Everything is mapped at construction and unmapped with the engine; large arenas ask
for huge pages, because random access over many small pages costs a page-table walk each.
"""
from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #include <sys/mman.h>
    static void *tc_map(uint64_t bytes, int prefault) {
        void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        uint64_t i;
        if (p == MAP_FAILED) return NULL;
    #ifdef MADV_HUGEPAGE
        if (bytes >= (1u << 20)) madvise(p, bytes, MADV_HUGEPAGE);
    #endif
        if (prefault)
            for (i = 0; i < bytes; i += 4096) ((volatile char *)p)[i] = 0;
        return p;
    }
    static void tc_unmap(void *p, uint64_t bytes) { if (p) munmap(p, bytes); }
    """
    void* map_memory "tc_map"(uint64_t bytes, int prefault) noexcept nogil
    void unmap_memory "tc_unmap"(void* p, uint64_t bytes) noexcept nogil
