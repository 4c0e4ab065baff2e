"""The frame check: is this a command at all?

Owner of: statuses 100 to 103, in the order kind, structure, unread fields, ranges.  A command that fails here is a
normal outcome of the log: one event, nothing else.  Rules of meaning (104 and later) are not looked at.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tradecore_ext.mathx cimport PPM, likely
from tradecore_ext.types cimport *

cdef enum:
    SC_BAD_KIND = 100
    SC_BAD_RESERVED = 101
    SC_BAD_CONTINUATION = 102
    SC_BAD_FIELD = 103

# Fields of tc_admin, for the rule that a kind's unused fields are zero.
cdef enum:
    F_SIDE = 1
    F_PHASE = 2
    F_STATE = 4
    F_SCOPE = 8
    F_ACCOUNT = 16
    F_INSTRUMENT = 32
    F_ASSET = 64
    F_GROUP = 128
    F_AMOUNT = 256
    F_MARK = 512
    F_REF = 1024
    F_EPOCH = 2048
    F_CONTRA = 4096


cdef inline bint is_admin(uint16_t kind) noexcept nogil:
    """Kinds of one tc_admin frame."""
    return (
        TC_CMD_TIME <= kind <= TC_CMD_LAST_PRICE or kind == TC_CMD_ACCOUNT
        or TC_CMD_DEPOSIT <= kind <= TC_CMD_RATE or kind == TC_CMD_MARGIN_MODE or kind == TC_CMD_MARGIN_TRANSFER
    )


cdef inline uint32_t admin_fields(uint16_t kind) noexcept nogil:
    """Fields that a kind reads."""
    if kind == TC_CMD_MASS_CANCEL:
        return F_ACCOUNT | F_INSTRUMENT | F_SIDE
    if kind == TC_CMD_SET_PHASE or kind == TC_CMD_UNCROSS:
        return F_INSTRUMENT | F_PHASE | F_REF
    if kind == TC_CMD_MARK_PRICE or kind == TC_CMD_LAST_PRICE:
        return F_INSTRUMENT | F_MARK
    if kind == TC_CMD_ACCOUNT:
        return F_ACCOUNT | F_GROUP | F_CONTRA
    if kind == TC_CMD_DEPOSIT or kind == TC_CMD_WITHDRAW:
        return F_ACCOUNT | F_ASSET | F_AMOUNT
    if kind == TC_CMD_TRANSFER:
        return F_ACCOUNT | F_CONTRA | F_ASSET | F_AMOUNT
    if kind == TC_CMD_KILL_SWITCH:
        return F_SCOPE | F_STATE | F_ACCOUNT | F_GROUP
    if kind == TC_CMD_RESTRICT:
        return F_ACCOUNT | F_INSTRUMENT | F_STATE
    if kind == TC_CMD_FUNDING:
        return F_INSTRUMENT | F_AMOUNT
    if kind == TC_CMD_EPOCH:
        return F_EPOCH
    if kind == TC_CMD_RATE:
        return F_ASSET | F_AMOUNT
    if kind == TC_CMD_MARGIN_MODE:
        return F_ACCOUNT | F_INSTRUMENT | F_STATE
    if kind == TC_CMD_MARGIN_TRANSFER:
        return F_ACCOUNT | F_INSTRUMENT | F_AMOUNT
    return 0


cdef inline uint32_t fields_set(const tc_admin* a) noexcept nogil:
    return (
        (F_SIDE if a.side else 0) | (F_PHASE if a.phase else 0) | (F_STATE if a.state else 0)
        | (F_SCOPE if a.scope else 0) | (F_ACCOUNT if a.account_id else 0)
        | (F_INSTRUMENT if a.instrument_id else 0) | (F_ASSET if a.asset_id else 0)
        | (F_GROUP if a.group_id else 0) | (F_AMOUNT if a.amount else 0) | (F_MARK if a.mark_px else 0)
        | (F_REF if a.ref_px else 0) | (F_EPOCH if a.epoch else 0) | (F_CONTRA if a.contra_account_id else 0)
    )


cdef inline bint bad_px(int64_t px) noexcept nogil:
    """Outside 0..2^56; prices and quantities share the bound."""
    return <uint64_t>px > <uint64_t>TC_MAX_PX


cdef inline bint bad_ns(uint64_t ns) noexcept nogil:
    return ns >> 62 != 0


cdef inline bint order_in_range(const tc_command* c, const tc_terms* t) noexcept nogil:
    """Codes and ranges of NEW_ORDER; its time is the caller's, because a list member's is not read."""
    cdef bint cash = t != NULL and t.cash_order_qty != 0
    if c.side < 1 or c.side > 2 or c.ord_type < 1 or c.ord_type > 6 or c.stp > 4:
        return False
    if c.tif > TC_TIF_GTD or c.tif == 2 or c.tif == 5:
        return False
    if c.flags & ~<uint32_t>(TC_FLAG_POST_ONLY | TC_FLAG_REDUCE_ONLY | TC_FLAG_TOP):
        return False
    if c.order_id == 0 or c.order_id >> 63 or bad_px(c.px) or bad_px(c.order_qty):
        return False
    if c.order_qty == 0 and not cash:
        return False
    if t != NULL:
        if bad_px(t.stop_px) or bad_px(t.display_qty) or bad_px(t.min_qty) or bad_ns(t.expire_ts_ns):
            return False
        if t.cash_order_qty < 0 or t.cash_order_qty > TC_MAX_CASH or t.trailing_bps > 9999:
            return False
    return True


cdef inline uint16_t check_new(const tc_command* c, uint64_t room) noexcept nogil:
    cdef const tc_terms* t = NULL
    if c.cont:
        t = <const tc_terms*>(c + 1)
        if c.cont != 1 or room < 2 or t.kind != TC_CMD_TERMS:
            return SC_BAD_CONTINUATION
        if t.reserved0 or t.reserved1 or t.reserved2:
            return SC_BAD_RESERVED
    if c.reserved0:
        return SC_BAD_RESERVED
    return SC_BAD_FIELD if bad_ns(c.ts_ns) or not order_in_range(c, t) else 0


cdef inline uint16_t check_cancel(const tc_command* c) noexcept nogil:
    if c.cont:
        return SC_BAD_CONTINUATION
    if (
        c.side or c.ord_type or c.tif or c.stp or c.reserved0 or c.instrument_id or c.px or c.order_qty or c.flags
    ):
        return SC_BAD_RESERVED
    return SC_BAD_FIELD if c.order_id == 0 or c.order_id >> 63 or bad_ns(c.ts_ns) else 0


cdef inline uint16_t check_replace(const tc_command* c, uint64_t room) noexcept nogil:
    cdef const tc_terms* t = NULL
    if c.cont:
        t = <const tc_terms*>(c + 1)
        if c.cont != 1 or room < 2 or t.kind != TC_CMD_TERMS:
            return SC_BAD_CONTINUATION
        if t.reserved0 or t.reserved1 or t.reserved2:
            return SC_BAD_RESERVED
        if t.trailing_bps or t.min_qty or t.expire_ts_ns or t.cash_order_qty:
            return SC_BAD_RESERVED
    if c.reserved0 or c.side or c.ord_type or c.tif or c.stp:
        return SC_BAD_RESERVED
    if c.flags & ~<uint32_t>(TC_FLAG_LEAVES | TC_FLAG_REQUEUE):
        return SC_BAD_FIELD
    if c.order_id == 0 or c.order_id >> 63 or bad_ns(c.ts_ns) or bad_px(c.px) or bad_px(c.order_qty):
        return SC_BAD_FIELD
    if t != NULL and (bad_px(t.stop_px) or bad_px(t.display_qty)):
        return SC_BAD_FIELD
    return 0


cdef inline uint16_t check_list(const tc_list* h, uint64_t room) noexcept nogil:
    """Header, then each member with its terms: structure of all, then reserved of all, then ranges of all."""
    cdef const tc_command* f = <const tc_command*>(h + 1)
    cdef const tc_terms* t
    cdef uint32_t members = 3 if h.contingency == TC_LIST_OTOCO else 2
    cdef uint32_t i = 0
    cdef uint32_t _k
    if room < <uint64_t>h.cont + 1:
        return SC_BAD_CONTINUATION
    for _k in range(members):
        if i >= h.cont or f[i].kind != TC_CMD_NEW_ORDER or f[i].cont > 1 or i + f[i].cont >= h.cont:
            return SC_BAD_CONTINUATION
        if f[i].cont and (<const tc_terms*>(f + i + 1)).kind != TC_CMD_TERMS:
            return SC_BAD_CONTINUATION
        i += 1 + f[i].cont
    if i != h.cont:
        return SC_BAD_CONTINUATION
    if h.reserved0 or h.reserved1 or h.reserved2 or h.reserved3:
        return SC_BAD_RESERVED
    i = 0
    for _k in range(members):
        if f[i].reserved0:
            return SC_BAD_RESERVED
        if f[i].cont:
            t = <const tc_terms*>(f + i + 1)
            if t.reserved0 or t.reserved1 or t.reserved2:
                return SC_BAD_RESERVED
        i += 1 + f[i].cont
    if h.contingency < TC_LIST_OCO or h.contingency > TC_LIST_OTOCO or bad_ns(h.ts_ns):
        return SC_BAD_FIELD
    i = 0
    for _k in range(members):
        if not order_in_range(f + i, <const tc_terms*>(f + i + 1) if f[i].cont else NULL):
            return SC_BAD_FIELD
        i += 1 + f[i].cont
    return 0


cdef inline bint tiers_ascend(const tc_instrument* d) noexcept nogil:
    """Margin tiers ascend, the last may be open; a maintenance rate is never above its initial one."""
    cdef int i
    cdef int64_t bound = 0
    for i in range(4):
        if d.tiers[i].im_ppm > PPM or d.tiers[i].mm_ppm > d.tiers[i].im_ppm or d.tiers[i].max_notional < 0:
            return False
        if d.tiers[i].max_notional != 0 and ((i > 0 and bound == 0) or d.tiers[i].max_notional <= bound):
            return False
        bound = d.tiers[i].max_notional
    return True


cdef inline bint instrument_in_range(const tc_instrument* d) noexcept nogil:
    if bad_px(d.tick) or d.tick == 0 or bad_px(d.lot) or d.lot == 0:
        return False
    if d.multiplier < 1 or d.multiplier > TC_MAX_CASH or d.base_per_lot < 0 or d.base_per_lot > TC_MAX_CASH:
        return False
    if d.base_per_lot == 0 and d.instrument_type == TC_TYPE_SPOT:
        return False
    if bad_px(d.max_order_qty) or bad_px(d.band_ref_px):
        return False
    if d.min_order_qty < 0 or d.min_alloc < 0 or d.min_notional < 0 or d.band_down_ppm > PPM:
        return False
    if d.maker_fee_ppm <= -PPM or d.maker_fee_ppm >= PPM or d.taker_fee_ppm <= -PPM or d.taker_fee_ppm >= PPM:
        return False
    if d.algo > TC_ALGO_PRORATA or d.alloc_top > TC_TOP_BEST or d.stop_election > TC_ELECT_DISTANCE:
        return False
    if d.stop_policy > TC_STOP_ACCEPT or d.trigger > TC_TRIGGER_QUOTE or d.phase > TC_PHASE_CLOSED:
        return False
    return d.instrument_type <= TC_TYPE_LINEAR and tiers_ascend(d)


cdef inline uint16_t check_instrument(const tc_instrument* d, uint64_t room) noexcept nogil:
    if d.cont != 3 or room < 4:
        return SC_BAD_CONTINUATION
    if d.reserved0 or d.reserved1 or d.reserved2 or d.reserved3 or d.reserved4 or d.reserved5:
        return SC_BAD_RESERVED
    if bad_ns(d.ts_ns) or bad_ns(d.halt_ns) or bad_ns(d.auction_ns):
        return SC_BAD_FIELD
    return 0 if instrument_in_range(d) else SC_BAD_FIELD


cdef inline uint16_t check_limits(const tc_limits* l, uint64_t room) noexcept nogil:
    if l.cont != 1 or room < 2:
        return SC_BAD_CONTINUATION
    if l.reserved0 or l.reserved1 or l.reserved2 or l.reserved3 or l.reserved4 or l.reserved5 or l.reserved6:
        return SC_BAD_RESERVED
    if l.instrument_id:
        return SC_BAD_RESERVED
    return SC_BAD_FIELD if bad_ns(l.ts_ns) else 0


cdef inline uint16_t check_admin(const tc_admin* a) noexcept nogil:
    """One-frame kinds; ranges of the accounts' kinds are accounts_admin.pxd's (accounts_range)."""
    cdef uint16_t kind = a.kind
    if a.cont:
        return SC_BAD_CONTINUATION
    if a.reserved0 or fields_set(a) & ~admin_fields(kind):
        return SC_BAD_RESERVED
    if bad_ns(a.ts_ns):
        return SC_BAD_FIELD
    if kind == TC_CMD_MASS_CANCEL:
        return SC_BAD_FIELD if a.side > 2 else 0
    if kind == TC_CMD_SET_PHASE or kind == TC_CMD_UNCROSS:
        if a.phase > TC_PHASE_CLOSED or bad_px(a.ref_px) or (a.phase == 0 and kind == TC_CMD_SET_PHASE):
            return SC_BAD_FIELD
        return 0
    if kind == TC_CMD_MARK_PRICE or kind == TC_CMD_LAST_PRICE:
        return SC_BAD_FIELD if bad_px(a.mark_px) or a.mark_px == 0 else 0
    return 0


cdef inline uint16_t check_frame(const tc_command* c, uint64_t room) noexcept nogil:
    """0, or the status of a frame that is no command. `room`: frames from here to the end of the buffer."""
    cdef uint16_t kind = c.kind
    if likely(kind == TC_CMD_NEW_ORDER):
        return check_new(c, room)
    if kind == TC_CMD_CANCEL_ORDER:
        return check_cancel(c)
    if kind == TC_CMD_REPLACE_ORDER:
        return check_replace(c, room)
    if kind == TC_CMD_NEW_ORDER_LIST:
        return check_list(<const tc_list*>c, room)
    if kind == TC_CMD_INSTRUMENT:
        return check_instrument(<const tc_instrument*>c, room)
    if kind == TC_CMD_LIMITS:
        return check_limits(<const tc_limits*>c, room)
    return check_admin(<const tc_admin*>c) if is_admin(kind) else SC_BAD_KIND
