"""The records of a state image, and how one is found in it.

Owner of: the section layouts of docs/reference/snapshot.md.  No slot number, capacity or table seed is in them, so two
engines with the same history write the same bytes whatever their memory looks like (image.pxd); what may stand in them
is checked on the way back (restore.pxd).
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport strcmp

from tradecore_ext.types cimport TC_MAX_QTY, tc_instrument

cdef enum:
    IMAGE_VERSION = 1

cdef struct Image:
    int count
    const char* name[16]
    void* data[16]
    void* owner[16]          # saving: the bytes object that data lies in
    uint64_t size[16]
    const char* error        # static text: why a restore was refused

cdef struct EngineRecord:
    uint64_t version
    uint64_t accounts
    uint64_t now
    uint64_t in_seq
    uint64_t out_seq
    uint64_t entry
    uint64_t epoch
    uint64_t liq_counter
    uint64_t dirty_base
    uint64_t firm_killed

cdef struct InstrumentRecord:
    tc_instrument spec
    int64_t last_px
    int64_t mark_px
    int64_t lo_px
    int64_t hi_px
    uint64_t mark_ts_ns
    int64_t auction_ref_px
    uint64_t phase_deadline  # 0 = no timer
    uint8_t phase
    uint8_t restricted
    uint8_t reserved[6]

cdef struct OrderRecord:
    uint64_t order_id
    int64_t px
    int64_t order_qty
    int64_t cum_qty
    int64_t leaves_qty
    int64_t hold
    int64_t adverse
    uint32_t fee_rem
    uint32_t account_id
    uint32_t instrument_id
    uint16_t flags
    uint8_t side
    uint8_t ord_type
    uint8_t tif
    uint8_t stp
    uint8_t state
    uint8_t has_terms
    uint32_t reserved

cdef struct TermsRecord:     # one for each order with has_terms, in the order of the orders
    int64_t px
    int64_t stop_px
    int64_t display_qty
    int64_t visible_qty
    int64_t min_qty
    uint64_t expire_ts_ns
    int64_t cash_left
    int64_t extreme_px
    uint64_t entry
    uint64_t sibling_id      # 0 = none
    uint64_t parent_id
    uint32_t trailing_bps
    uint32_t trail_hit

cdef struct NodeRecord:      # account, group or firm
    uint32_t scope
    uint32_t id
    uint32_t group_id
    uint32_t trade_group
    uint8_t killed
    uint8_t has_rules
    uint8_t reserved[6]

cdef struct WalletRecord:
    uint32_t account_id
    uint32_t asset_id
    int64_t total
    int64_t hold
    int64_t upnl
    int64_t initial_margin
    int64_t maintenance_margin
    uint8_t state
    uint8_t round
    uint8_t marked
    uint8_t suspended
    uint8_t reserved[4]

cdef struct PositionRecord:
    uint32_t account_id
    uint32_t instrument_id
    int64_t qty
    int64_t cost
    int64_t realised
    int64_t fees
    int64_t open_buy
    int64_t open_sell
    int64_t initial_margin
    int64_t maintenance_margin
    int64_t upnl
    int64_t iso_margin
    int64_t held_im
    uint8_t mode
    uint8_t state
    uint8_t round
    uint8_t restricted
    uint8_t marked
    uint8_t suspended
    uint8_t reserved[2]

cdef struct AssetRecord:
    uint64_t asset_id
    int64_t fees
    int64_t deposits
    int64_t clearing
    int64_t rate


cdef inline const void* find_section(
    const Image* im, const char* name, uint64_t record, uint64_t* count
) noexcept nogil:
    """Section by name; count is -1 (as unsigned) where its size is no multiple of the record."""
    cdef int i
    count[0] = 0
    for i in range(im.count):
        if strcmp(im.name[i], name) == 0:
            count[0] = im.size[i] // record if im.size[i] % record == 0 else <uint64_t>-1
            return im.data[i]
    return NULL


cdef inline int refuse(Image* im, const char* why) noexcept nogil:
    im.error = why
    return -1


cdef inline bint in_lots(int64_t x) noexcept nogil:
    return 0 <= x <= TC_MAX_QTY
