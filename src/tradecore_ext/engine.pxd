"""The C surface of the kernel: plain functions over an opaque handle, and the structs of tc_frame.h.

Cython: `from tradecore_ext.engine cimport tc_apply, tc_abi`.  Numba: `tradecore.kernels.native`.
A consumer compares tc_abi() with the TC_ABI it was compiled against.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tradecore_ext.types cimport tc_command, tc_event, tc_level_event

cdef uint32_t tc_abi() noexcept nogil
cdef uint64_t tc_apply(void* handle, const tc_command* commands, uint64_t n_frames) noexcept nogil
cdef const tc_event* tc_events(void* handle) noexcept nogil
cdef uint64_t tc_event_count(void* handle) noexcept nogil
cdef uint32_t tc_fault(void* handle) noexcept nogil
cdef int64_t tc_best_px(void* handle, uint32_t instrument_id, uint8_t side) noexcept nogil
cdef int64_t tc_best_qty(void* handle, uint32_t instrument_id, uint8_t side) noexcept nogil
cdef uint64_t tc_now(void* handle) noexcept nogil
cdef uint64_t tc_in_seq(void* handle) noexcept nogil
cdef uint64_t tc_depth(
    void* handle, uint32_t instrument_id, uint8_t side, uint64_t levels, tc_level_event* out
) noexcept nogil
