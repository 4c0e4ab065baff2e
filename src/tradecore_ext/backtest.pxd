"""The C surface of a backtest: plain functions over an opaque handle, for Numba and Cython strategies.

`tradecore.research.compiled` wraps them for Numba.  A handle is `Backtest.handle`; one thread drives it.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tradecore_ext.bt_state cimport Notice

cdef int32_t bt_wait(void* handle, int64_t until_ns) noexcept nogil
cdef const Notice* bt_note(void* handle) noexcept nogil
cdef int64_t bt_now(void* handle) noexcept nogil
cdef uint64_t bt_submit(
    void* handle, uint32_t instrument_id, uint8_t side, int64_t px, int64_t qty, uint8_t ord_type, uint8_t tif,
    uint32_t flags,
) noexcept nogil
cdef int32_t bt_cancel(void* handle, uint64_t order_id) noexcept nogil
cdef int32_t bt_replace(void* handle, uint64_t order_id, int64_t px, int64_t qty, uint32_t flags) noexcept nogil
cdef int64_t bt_best_px(void* handle, uint32_t instrument_id, uint8_t side) noexcept nogil
cdef int64_t bt_best_qty(void* handle, uint32_t instrument_id, uint8_t side) noexcept nogil
cdef int64_t bt_position(void* handle, uint32_t instrument_id) noexcept nogil
cdef int64_t bt_ahead(void* handle, uint64_t order_id) noexcept nogil
cdef int64_t bt_leaves(void* handle, uint64_t order_id) noexcept nogil
