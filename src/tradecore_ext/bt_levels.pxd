"""Data without orders on the engine: every level is held by orders of the recorded account, own orders among them.

Owner of: what a level, a quote, a trade or a bar does to the book, and where an own order is taken to stand
(docs/concepts/backtesting.md, "Coarser data").  All changes are ordinary commands; what an own order owns of a level is
its real place in the engine's queue, and only the share of a decrease that falls in front of it is a model.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from tradecore_ext.bt_events cimport execute
from tradecore_ext.bt_state cimport *
from tradecore_ext.ladder cimport ladder_find, ladder_next, rank_of
from tradecore_ext.mathx cimport int128, min64
from tradecore_ext.state cimport L_ASK, L_BID, NIL, Engine
from tradecore_ext.types cimport *


cdef inline bint is_own(const Bt* b, uint32_t slot) noexcept nogil:
    return b.e.order[slot].order_id >= OWN_BASE


cdef inline void set_up(Bt* b, tc_command* c, uint16_t kind, uint32_t i, uint64_t order_id) noexcept nogil:
    memset(c, 0, sizeof(tc_command))
    c.ts_ns = <uint64_t>b.last_ns
    c.kind = kind
    c.instrument_id = i if kind != TC_CMD_CANCEL_ORDER else 0
    c.order_id = order_id


cdef inline void leave(Bt* b, uint32_t slot, int64_t qty) noexcept nogil:
    """Set the open quantity of a synthetic order; 0 cancels it."""
    cdef tc_command c
    cdef uint64_t order_id = b.e.order[slot].order_id
    set_up(b, &c, TC_CMD_REPLACE_ORDER if qty > 0 else TC_CMD_CANCEL_ORDER, b.e.order[slot].instrument_id, order_id)
    if qty > 0:
        c.order_qty = qty
        c.flags = TC_FLAG_LEAVES
    execute(b, &c, 1, False, True)


cdef inline void join(Bt* b, uint32_t i, uint8_t side, int64_t px, int64_t qty, uint8_t tif) noexcept nogil:
    """A new synthetic order: at the back of its level, or against what it crosses, own orders included."""
    cdef tc_command c
    b.synthetic += 1
    set_up(b, &c, TC_CMD_NEW_ORDER, i, UNKNOWN_BASE + b.synthetic)
    c.side = side
    c.ord_type = TC_ORD_LIMIT
    c.tif = tif
    c.px = px
    c.order_qty = qty
    execute(b, &c, 1, b.n_resting > 0, True)


cdef inline int64_t take_from(Bt* b, uint32_t slot, bint forwards, uint32_t end, int64_t qty) noexcept nogil:
    """Take up to `qty` off synthetic orders, walking from `slot` until `end`; what could not be taken."""
    cdef Engine* e = b.e
    cdef uint32_t after
    cdef int64_t part
    while slot != NIL and slot != end and qty > 0:
        after = e.order[slot].next if forwards else e.order[slot].prev
        if not is_own(b, slot):
            part = min64(qty, e.order[slot].leaves_qty)
            qty -= part
            leave(b, slot, e.order[slot].leaves_qty - part)
        slot = after
    return qty


cdef inline int64_t front_share(const Bt* b, int64_t front, int64_t back, int64_t qty) noexcept nogil:
    """How much of a decrease leaves from in front of the own order."""
    cdef int128 f = front
    cdef int128 k = back
    cdef int128 fp, kp
    cdef int32_t _n
    if b.queue_model == QUEUE_OPTIMISTIC or back == 0:
        return min64(qty, front)
    if b.queue_model == QUEUE_RISK_AVERSE or front == 0:
        return qty - min64(qty, back)
    while f > (1 << 20) or k > (1 << 20):
        f >>= 1
        k >>= 1
    fp = f
    kp = k
    if b.queue_model == QUEUE_POWER:
        for _n in range(b.queue_power - 1):
            fp *= f
            kp *= k
    if fp + kp == 0:
        return qty - min64(qty, back)
    return <int64_t>(<int128>qty * fp / (fp + kp))


cdef inline void shrink(Bt* b, uint32_t lv, int64_t qty) noexcept nogil:
    """A level loses `qty` lots that did not trade: share them out around the first own order."""
    cdef Engine* e = b.e
    cdef uint32_t own = e.level[lv].head
    cdef uint32_t slot
    cdef uint32_t tail = e.level[lv].tail
    cdef int64_t front = 0
    cdef int64_t back = 0
    cdef int64_t share
    while own != NIL and not is_own(b, own):
        front += e.order[own].leaves_qty
        own = e.order[own].next
    if own == NIL:
        take_from(b, tail, False, NIL, qty)
        return
    slot = own
    while slot != NIL:
        if not is_own(b, slot):
            back += e.order[slot].leaves_qty
        slot = e.order[slot].next
    share = front_share(b, front, back, qty)
    # Rounding and limits: what one side cannot give the other does.
    if share > front:
        share = front
    if qty - share > back:
        share = qty - back
    take_from(b, tail, False, own, qty - share)
    take_from(b, e.level[lv].head, True, own, share)


cdef inline uint32_t level_at(Bt* b, uint32_t i, int which, int64_t px) noexcept nogil:
    return ladder_find(b.e, &b.e.book[i].ladder[which], rank_of(which, px))


cdef inline int64_t synthetic_at(const Bt* b, uint32_t lv, bint* own) noexcept nogil:
    """Synthetic lots of a level, and whether own orders stand there."""
    cdef Engine* e = b.e
    cdef uint32_t slot = e.level[lv].head
    cdef int64_t total = 0
    own[0] = False
    while slot != NIL:
        if is_own(b, slot):
            own[0] = True
        else:
            total += e.order[slot].leaves_qty
        slot = e.order[slot].next
    return total


cdef inline void empty_level(Bt* b, uint32_t i, int which, int64_t px) noexcept nogil:
    cdef uint32_t lv = level_at(b, i, which, px)
    if lv != NIL:
        take_from(b, b.e.level[lv].tail, False, NIL, TC_MAX_QTY)


cdef inline uint32_t first_at(Bt* b, uint32_t i, int which) noexcept nogil:
    return b.e.book[i].ladder[which].best_level if b.e.book[i].ladder[which].n_levels else NIL


cdef inline void set_level(Bt* b, uint32_t i, uint8_t side, int64_t px, int64_t qty) noexcept nogil:
    """From now on a level holds `qty` lots of others."""
    cdef Engine* e = b.e
    cdef int which = side - 1
    cdef int against = L_ASK if side == TC_SIDE_BUY else L_BID
    cdef uint32_t lv, tail
    cdef int64_t have = 0
    cdef bint own
    if qty > 0:
        # Others do not stand in each other's way: what is crossed has gone, and its own message is still to come.
        lv = first_at(b, i, against)
        while lv != NIL and ((e.level[lv].px <= px) if side == TC_SIDE_BUY else (e.level[lv].px >= px)):
            have = e.level[lv].px
            lv = ladder_next(e, &e.book[i].ladder[against], rank_of(against, have))
            empty_level(b, i, against, have)
        have = 0
    lv = level_at(b, i, which, px)
    if lv != NIL:
        have = synthetic_at(b, lv, &own)
    if qty > have:
        tail = e.level[lv].tail if lv != NIL else NIL
        if tail != NIL and not is_own(b, tail):
            # More at the back of the last in the queue is where newcomers stand: no priority is lost.
            leave(b, tail, e.order[tail].leaves_qty + qty - have)
        else:
            join(b, i, side, px, qty - have, TC_TIF_GTC)
    elif qty < have:
        shrink(b, lv, have - qty)


cdef inline void set_best(Bt* b, uint32_t i, uint8_t side, int64_t px, int64_t qty) noexcept nogil:
    """A quote: this is the best level of others; what they have elsewhere is not known."""
    cdef Engine* e = b.e
    cdef int which = side - 1
    cdef uint32_t lv = first_at(b, i, which)
    cdef uint32_t after
    cdef int64_t at
    cdef bint own
    while lv != NIL:
        at = e.level[lv].px
        after = ladder_next(e, &e.book[i].ladder[which], rank_of(which, at))
        synthetic_at(b, lv, &own)
        # Deeper levels with own orders keep what was assumed to stand there.
        if at != px and (not own or px == 0 or rank_of(which, at) < rank_of(which, px)):
            empty_level(b, i, which, at)
        lv = after
    if px > 0:
        set_level(b, i, side, px, qty)


cdef inline void trade_print(Bt* b, uint32_t i, uint8_t side, int64_t px, int64_t qty) noexcept nogil:
    """Somebody traded: an immediate order of the aggressor. Without a side the nearer touch tells it."""
    cdef uint32_t bid = first_at(b, i, L_BID)
    cdef uint32_t ask = first_at(b, i, L_ASK)
    if px < 1 or qty < 1:
        return
    if side == TC_SIDE_NONE:
        if bid == NIL or ask == NIL:
            return
        side = TC_SIDE_BUY if 2 * px > b.e.level[bid].px + b.e.level[ask].px else TC_SIDE_SELL
    join(b, i, side, px, qty, TC_TIF_IOC)


cdef inline int64_t lots_traded(const Bt* b) noexcept nogil:
    """Lots of the fills of the last call of the engine."""
    cdef uint64_t k
    cdef int64_t lots = 0
    for k in range(b.e.n_out):
        if b.e.out[k].kind == TC_EVT_FILL:
            lots += (<const tc_fill_event*>(b.e.out + k)).last_qty
    return lots


cdef inline void bar_point(Bt* b, uint32_t i, int64_t px, int64_t qty) noexcept nogil:
    """The price is at `px`: own orders that it went through trade; then others quote one tick around it."""
    cdef int64_t tick = b.e.book[i].spec.tick
    cdef int64_t through = 0 if b.queue_model == QUEUE_OPTIMISTIC else tick
    cdef int64_t sold, bought
    set_best(b, i, TC_SIDE_BUY, 0, 0)
    set_best(b, i, TC_SIDE_SELL, 0, 0)
    if qty < 1:
        return
    sold = bought = 0
    if b.n_resting:
        join(b, i, TC_SIDE_SELL, px + through, qty, TC_TIF_IOC)
        sold = lots_traded(b)
        if px > through:
            join(b, i, TC_SIDE_BUY, px - through, qty, TC_TIF_IOC)
            bought = lots_traded(b)
    # What went to own orders is not offered once more.
    if px > tick and qty > bought:
        join(b, i, TC_SIDE_BUY, px - tick, qty - bought, TC_TIF_GTC)
    if qty > sold:
        join(b, i, TC_SIDE_SELL, px + tick, qty - sold, TC_TIF_GTC)


cdef inline void run_bar(Bt* b, const BarFrame* f) noexcept nogil:
    """Open, the extreme nearer to it in direction, the other, close: four points with a quarter of the share each."""
    cdef int64_t qty = <int64_t>(<int128>f.volume * b.participation_ppm / 4000000)
    cdef bint up = f.close_px >= f.open_px
    bar_point(b, f.instrument_id, f.open_px, qty)
    bar_point(b, f.instrument_id, f.low_px if up else f.high_px, qty)
    bar_point(b, f.instrument_id, f.high_px if up else f.low_px, qty)
    bar_point(b, f.instrument_id, f.close_px, qty)


cdef inline bint bad_market(const Bt* b, const tc_command* c) noexcept nogil:
    """Numbers that no market data can have."""
    cdef const LevelFrame* f = <const LevelFrame*>c
    cdef const QuoteFrame* q = <const QuoteFrame*>c
    cdef const BarFrame* k = <const BarFrame*>c
    if c.instrument_id >= b.n_instruments or not b.e.book[c.instrument_id].exists or c.side > 2:
        return True
    if c.kind == MARKET_LEVEL or c.kind == MARKET_TRADE:
        return (
            f.px < 1 or f.px > TC_MAX_PX or f.qty < 0 or f.qty > TC_MAX_QTY
            or (c.kind == MARKET_LEVEL and c.side == 0)
        )
    if c.kind == MARKET_QUOTE:
        return (
            q.bid_px < 0 or q.ask_px < 0 or q.bid_qty < 0 or q.ask_qty < 0 or q.bid_px > TC_MAX_PX
            or q.ask_px > TC_MAX_PX or q.bid_qty > TC_MAX_QTY or q.ask_qty > TC_MAX_QTY
        )
    if c.kind == MARKET_BAR:
        return (
            k.low_px < 1 or k.low_px > k.open_px or k.low_px > k.close_px or k.high_px < k.open_px
            or k.high_px < k.close_px or k.high_px > TC_MAX_PX or k.volume < 0 or k.volume > TC_MAX_QTY
        )
    return c.kind != MARKET_CLEAR


cdef inline void run_market(Bt* b, const tc_command* c) noexcept nogil:
    """One frame of market data."""
    cdef const LevelFrame* f = <const LevelFrame*>c
    cdef const QuoteFrame* q = <const QuoteFrame*>c
    if b.fidelity == TIER_L3 or bad_market(b, c):
        b.failed = BT_BAD_FRAME
        return
    b.open_stamp = 1
    if c.kind == MARKET_LEVEL:
        set_level(b, c.instrument_id, c.side, f.px, f.qty)
    elif c.kind == MARKET_QUOTE:
        set_best(b, c.instrument_id, TC_SIDE_BUY, q.bid_px if q.bid_qty else 0, q.bid_qty)
        set_best(b, c.instrument_id, TC_SIDE_SELL, q.ask_px if q.ask_qty else 0, q.ask_qty)
    elif c.kind == MARKET_TRADE:
        trade_print(b, c.instrument_id, c.side, f.px, f.qty)
    elif c.kind == MARKET_BAR:
        run_bar(b, <const BarFrame*>c)
    else:
        set_best(b, c.instrument_id, TC_SIDE_BUY, 0, 0)
        set_best(b, c.instrument_id, TC_SIDE_SELL, 0, 0)


cdef inline void stand_behind(Bt* b, const tc_command* c) noexcept nogil:
    """Quotes and bars show one level: an own order at a deeper one stands behind as much as the best one shows."""
    cdef Engine* e = b.e
    cdef uint32_t i = c.instrument_id
    cdef int which = c.side - 1
    cdef uint32_t lv
    cdef bint own
    if c.kind != TC_CMD_NEW_ORDER or i >= b.n_instruments or c.side < 1 or c.side > 2 or c.px < 1:
        return
    lv = first_at(b, i, which)
    if lv == NIL or rank_of(which, c.px) <= rank_of(which, e.level[lv].px) or level_at(b, i, which, c.px) != NIL:
        return
    join(b, i, c.side, c.px, synthetic_at(b, lv, &own), TC_TIF_GTC)
