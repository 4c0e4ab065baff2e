# cython: language_level=3
"""Drive a tradecore engine from Cython: commands are built and run without the GIL.

Compile it against `tradecore.get_include()` with the installed package on Cython's include path; see
README.md beside this file. Called with the `handle` of a `tradecore.Engine` that outlives the call.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memset

from tradecore_ext.engine cimport tc_abi, tc_apply, tc_best_px, tc_event_count, tc_fault
from tradecore_ext.types cimport (
    TC_ABI,
    TC_CMD_NEW_ORDER,
    TC_ORD_LIMIT,
    TC_SIDE_BUY,
    TC_SIDE_SELL,
    TC_TIF_GTC,
    tc_command,
)

# Structs were laid out when this file was compiled; an engine of another layout must not be called.
if tc_abi() != TC_ABI:
    raise ImportError(f"compiled for tradecore ABI {TC_ABI}, found {tc_abi()}: compile again")


def quote(
    uintptr_t handle, uint32_t account_id, uint32_t instrument_id, int64_t mid_px, uint32_t levels,
    uint64_t first_order_id,
):
    """Place `levels` bids and asks of 10 lots around a price, one tick apart, in one batch a level.

    Returns (best bid, best ask, events of all batches).
    """
    cdef void* engine = <void*>handle
    cdef tc_command pair[2]
    cdef uint64_t events = 0
    cdef int64_t bid, ask
    cdef uint32_t i
    memset(pair, 0, sizeof(pair))
    for i in range(2):
        pair[i].kind = TC_CMD_NEW_ORDER
        pair[i].ord_type = TC_ORD_LIMIT
        pair[i].tif = TC_TIF_GTC
        pair[i].account_id = account_id
        pair[i].instrument_id = instrument_id
        pair[i].order_qty = 10
    pair[0].side = TC_SIDE_BUY
    pair[1].side = TC_SIDE_SELL
    with nogil:
        for i in range(levels):
            pair[0].px = mid_px - 1 - i
            pair[1].px = mid_px + 1 + i
            pair[0].order_id = first_order_id + 2 * i
            pair[1].order_id = first_order_id + 2 * i + 1
            tc_apply(engine, pair, 2)
            events += tc_event_count(engine)
        bid = tc_best_px(engine, instrument_id, TC_SIDE_BUY)
        ask = tc_best_px(engine, instrument_id, TC_SIDE_SELL)
    if tc_fault(engine):
        raise RuntimeError(f"the engine stopped with status {tc_fault(engine)}")
    return bid, ask, events
