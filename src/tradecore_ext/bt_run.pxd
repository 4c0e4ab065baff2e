"""The loop of a backtest: recorded frames, own commands and notices in the order of their time.

Owner of: where a batch is cut.  Frames go to the engine in batches as long as nothing can happen that anybody would
look at; a batch ends before the arrival of an own command, at a notice, a sample or a timer, behind a frame that could
trade with an own order, and behind each time stamp where somebody follows the best prices.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from tradecore_ext.bt_events cimport *
from tradecore_ext.bt_levels cimport run_market, stand_behind
from tradecore_ext.bt_own cimport *
from tradecore_ext.bt_state cimport *
from tradecore_ext.ids cimport id_find, id_tag
from tradecore_ext.ladder cimport ladder_next, rank_of
from tradecore_ext.mathx cimport I64_MAX, floor_div128, int128, likely, min64, unlikely
from tradecore_ext.state cimport L_ASK, L_BID, NIL, Engine
from tradecore_ext.types cimport *

cdef enum:
    MOST_FRAMES = 4096       # of one call of the engine


# ---- recorded frames ------------------------------------------------------------------------------------------------


cdef inline bint may_trade(const Bt* b, const tc_command* c) noexcept nogil:
    """Whether a plain frame could trade with an own order that rests. Only new orders and new prices can."""
    cdef int64_t px = c.px
    if c.kind == TC_CMD_CANCEL_ORDER:
        return False
    if c.kind == TC_CMD_REPLACE_ORDER:
        return px != 0  # its side stands in the order: rather look once too often
    if c.instrument_id >= b.n_instruments:
        return False
    if c.side == TC_SIDE_SELL:
        if c.ord_type == TC_ORD_MARKET and px == 0:
            px = 1
        return px <= b.resting_best[queue_no(c.instrument_id, TC_SIDE_BUY)]
    if c.ord_type == TC_ORD_MARKET and px == 0:
        return b.resting_head[queue_no(c.instrument_id, TC_SIDE_SELL)] != NIL
    return px >= b.resting_best[queue_no(c.instrument_id, TC_SIDE_SELL)]


cdef inline bint is_plain(const tc_command* c) noexcept nogil:
    """A frame that goes into a batch: one-frame order, cancel or replace of an order flow."""
    return (
        1 <= c.kind <= TC_CMD_REPLACE_ORDER and c.cont == 0 and c.session_id == 0 and c.ord_type <= TC_ORD_LIMIT
    )


cdef inline void run_hidden(Bt* b, const tc_command* c) noexcept nogil:
    """An execution against hidden liquidity: it meets own orders that stand first at its price or better."""
    cdef Engine* e = b.e
    cdef tc_command part = c[0]
    cdef int which = L_ASK if c.side == TC_SIDE_BUY else L_BID
    cdef int64_t left = c.order_qty
    cdef uint32_t lv, slot
    if b.n_resting == 0 or c.instrument_id >= b.n_instruments:
        return
    while left > 0 and e.book[c.instrument_id].ladder[which].n_levels:
        lv = e.book[c.instrument_id].ladder[which].best_level
        if (e.level[lv].px > c.px) if which == L_ASK else (e.level[lv].px < c.px):
            return
        slot = e.level[lv].head
        if e.order[slot].account_id != b.account_id or e.order[slot].order_id < OWN_BASE:
            return
        part.order_qty = min64(left, e.order[slot].leaves_qty)
        part.session_id = 0
        left -= part.order_qty
        b.n_hidden += 1
        if not execute(b, &part, 1, True, True):
            return


cdef inline void run_reported(Bt* b, const tc_command* c) noexcept nogil:
    """A frame that reports what became of an order: it only ever takes away (docs/concepts/backtesting.md)."""
    cdef Engine* e = b.e
    cdef uint32_t slot
    if c.session_id == TAG_HIDDEN:
        run_hidden(b, c)
        return
    if c.session_id == TAG_REPAIR and b.keep_displaced:
        return
    slot = id_find(e, c.order_id, id_tag(&e.ids, c.order_id))
    if slot == NIL:
        b.n_gone += 1 if c.session_id == TAG_REDUCTION else 0
        return
    if c.kind == TC_CMD_REPLACE_ORDER and e.order[slot].leaves_qty <= c.order_qty:
        return
    if c.session_id == TAG_REPAIR:
        b.n_repaired += 1
    else:
        b.n_reduced += 1
    execute(b, c, 1, False, True)


cdef inline int64_t run_special(Bt* b, const tc_command* c, int64_t n) noexcept nogil:
    """One command that does not go into a batch; returns the frames it takes, 0 if the recording is wrong."""
    cdef int64_t frames = 1 + c.cont
    if frames > n:
        b.failed = BT_BAD_FRAME
        return 0
    b.n_commands += 1
    if c.kind >= MARKET_KINDS and c.kind != TC_CMD_TERMS:
        run_market(b, c)
        return 0 if b.failed else 1
    if 1 <= c.kind <= TC_CMD_REPLACE_ORDER and c.session_id != 0:
        if c.session_id > TAG_HIDDEN or c.cont != 0:
            b.failed = BT_BAD_FRAME
            return 0
        run_reported(b, c)
        return frames
    if c.kind == TC_CMD_NEW_ORDER_LIST or c.kind == TC_CMD_SET_PHASE or c.kind <= TC_CMD_REPLACE_ORDER:
        b.exotic = 1
    execute(b, c, <uint64_t>frames, b.n_alive > 0, True)
    return frames


cdef inline int64_t span(Bt* b, const tc_command* c, int64_t n, int64_t bound, bint* look) noexcept nogil:
    """How many frames go into the next batch, 0 if the first is special; `look`: the last may concern own orders."""
    cdef bint per_stamp = b.subscribed & (SUB_BOOK | SUB_TRADE | SUB_VIEW)
    cdef bint resting = b.n_resting > 0 or (b.exotic and b.n_alive > 0)
    cdef int64_t first = <int64_t>c.ts_ns
    cdef int64_t before = b.last_ns
    cdef int64_t ts, k
    look[0] = False
    if n > MOST_FRAMES:
        n = MOST_FRAMES
    for k in range(n):
        ts = <int64_t>c[k].ts_ns
        if ts > bound or ts < before or (per_stamp and ts != first) or not is_plain(c + k):
            return k
        before = ts
        if resting and (b.exotic or may_trade(b, c + k)):
            look[0] = True
            return k + 1
    return n


cdef inline void run_recorded(Bt* b, int64_t bound) noexcept nogil:
    """Apply the next recorded frames, at least one command, none stamped later than `bound`."""
    cdef Chunk* chunk = b.chunk + b.cur
    cdef const tc_command* c = chunk.frame + b.at
    cdef bint look
    cdef int64_t n
    if unlikely(<int64_t>c.ts_ns < b.last_ns):
        b.failed = BT_BAD_TIME
        return
    n = span(b, c, chunk.n - b.at, bound, &look)
    if b.feed_delay.kind == DELAY_ARRIVAL:
        b.arrival_ns = chunk.received_ns[b.at]
    if n == 0:
        b.last_ns = <int64_t>c.ts_ns
        n = run_special(b, c, chunk.n - b.at)
    else:
        b.last_ns = <int64_t>c[n - 1].ts_ns
        b.n_commands += <uint64_t>n
        execute(b, c, <uint64_t>n, look, True)
    b.at += n
    b.frame_no += n


# ---- own commands, samples ------------------------------------------------------------------------------------------


cdef inline void run_own(Bt* b) noexcept nogil:
    """The own command that arrives next reaches the engine."""
    cdef Flight* f = b.flight + (b.flight_head & b.flight_mask)
    cdef uint64_t order_id = f.command.order_id
    b.flight_head += 1
    f.command.ts_ns = <uint64_t>f.arrive_ns
    if f.arrive_ns > b.last_ns:
        b.last_ns = f.arrive_ns
    if b.fidelity >= TIER_L1 and f.command.kind != TC_CMD_CANCEL_ORDER:
        stand_behind(b, &f.command)
    if not execute(b, &f.command, f.frames, True, True):
        return
    if b.only < 0:
        touch(b, f.command.instrument_id)
    if f.command.kind != TC_CMD_CANCEL_ORDER and own_slot(b, order_id) != NIL:
        look_at_rest(b, own_slot(b, order_id), b.last_ns)


cdef inline int64_t value_of(const Bt* b, uint32_t i) noexcept nogil:
    """Value of a holding at the middle of the best prices, at the last trade where a side is empty; floor."""
    cdef Quote q = quote_of(b, i)
    cdef int64_t twice = q.bid_px + q.ask_px if q.bid_px and q.ask_px else 2 * b.e.book[i].last_px
    return <int64_t>floor_div128(<int128>b.holding[i].qty * twice * b.e.book[i].multiplier, 2)


cdef inline void sample_depth(Bt* b, uint32_t i, int64_t ts_ns) noexcept nogil:
    cdef Engine* e = b.e
    cdef DepthRow* row
    cdef int which
    cdef uint32_t lv, k
    for which in range(2):
        lv = e.book[i].ladder[which].best_level if e.book[i].ladder[which].n_levels else NIL
        k = 0
        while lv != NIL and k < b.sample_levels:
            row = <DepthRow*>rows_push(b, &b.depth)
            if row == NULL:
                return
            row.ts_ns = ts_ns
            row.instrument_id = i
            row.side = <uint8_t>(which + 1)
            row.level = <uint8_t>k
            row.px = e.level[lv].px
            row.qty = e.level[lv].qty
            lv = ladder_next(e, &e.book[i].ladder[which], rank_of(which, e.level[lv].px))
            k += 1


cdef inline void sample(Bt* b, int64_t ts_ns) noexcept nogil:
    """One row of best prices per instrument, one of the whole account, some levels."""
    cdef QuoteRow* q
    cdef EquityRow* v
    cdef uint32_t i
    cdef int64_t value = 0
    for i in range(b.n_instruments):
        if not b.e.book[i].exists:
            continue
        q = <QuoteRow*>rows_push(b, &b.quotes)
        if q == NULL:
            return
        q.ts_ns = ts_ns
        q.instrument_id = i
        q.quote = quote_of(b, i)
        q.last_px = b.e.book[i].last_px
        q.position_qty = b.holding[i].qty
        if b.holding[i].qty:
            value += value_of(b, i)
        if b.sample_levels:
            sample_depth(b, i, ts_ns)
    v = <EquityRow*>rows_push(b, &b.equity)
    if v != NULL:
        v.ts_ns = ts_ns
        v.cash = b.cash
        v.value = value
        v.equity = b.cash + value
        v.realised = b.realised
        v.fees = b.fees


cdef inline void learn(Bt* b) noexcept nogil:
    """The strategy is being told about an own order: from now on it knows."""
    cdef Notice* n = &b.note
    cdef uint32_t slot = own_slot(b, n.order_id)
    if n.event == TC_EVT_FILL:
        b.holding[n.instrument_id].known_qty += n.qty if n.side == TC_SIDE_BUY else -n.qty
    if slot == NIL or n.event == TC_EVT_CANCEL_REJECTED or n.event == TC_EVT_REPLACE_REJECTED:
        return
    b.own[slot].known_qty = n.leaves_qty
    if n.over:
        own_forget(b, slot)


# ---- the loop -------------------------------------------------------------------------------------------------------


cdef inline int64_t next_recorded(Bt* b) noexcept nogil:
    """Time of the next recorded frame; I64_MAX at the end, -1 when the caller must bring more."""
    while b.cur < b.n_chunks and b.at >= b.chunk[b.cur].n:
        if b.chunk[b.cur].mapped:
            forget_pages(b.chunk[b.cur].frame, <uint64_t>b.chunk[b.cur].n * sizeof(tc_command))
        b.cur += 1
        b.at = 0
    if b.cur < b.n_chunks:
        return <int64_t>b.chunk[b.cur].frame[b.at].ts_ns
    if b.more:
        return -1
    b.ended = 1
    return I64_MAX


cdef inline int32_t run_exchange(Bt* b, int64_t until_ns) noexcept nogil:
    """Do what happens at the exchange up to `until_ns`: BT_TIMER all done, BT_BOOK a notice came up first."""
    cdef int64_t recorded, own, sampled, bound
    b.pushed = 0
    while True:
        recorded = next_recorded(b)
        if recorded == -1:
            return BT_NEED_DATA
        if b.open_stamp and recorded != b.last_ns:
            close_stamp(b)
        if b.failed:
            return b.failed
        if b.pushed:
            return BT_BOOK
        own = b.flight[b.flight_head & b.flight_mask].arrive_ns if b.flight_head != b.flight_tail else I64_MAX
        sampled = b.sample_next_ns
        if b.ended:
            # The market ends with its last frame; what would come later does not happen.
            own = I64_MAX if own > b.last_ns else own
            sampled = I64_MAX if sampled > b.last_ns else sampled
        bound = min64(until_ns, min64(own, sampled))
        if recorded <= bound:
            run_recorded(b, bound)
        elif own <= bound:
            run_own(b)
        elif sampled <= bound:
            sample(b, sampled)
            b.sample_next_ns += b.sample_every_ns
        elif b.ended and until_ns > b.last_ns:
            return BT_END
        else:
            return BT_TIMER


cdef inline int32_t wait(Bt* b, int64_t until_ns) noexcept nogil:
    """Go on to the next notice the strategy has subscribed to, or to `until_ns`; returns which it is."""
    cdef int64_t at
    cdef int32_t what, r
    cdef Ring* ring
    b.sent = 0
    if until_ns < b.now_ns:
        until_ns = b.now_ns
    while True:
        if b.failed:
            return b.failed
        at = until_ns
        what = BT_TIMER
        ring = NULL
        if b.feed.head != b.feed.tail and b.feed.item[b.feed.head & b.feed.mask].seen_ns <= at:
            ring = &b.feed
            at = ring.item[ring.head & ring.mask].seen_ns
        if b.reply.head != b.reply.tail and b.reply.item[b.reply.head & b.reply.mask].seen_ns <= at:
            ring = &b.reply
            at = ring.item[ring.head & ring.mask].seen_ns
        r = run_exchange(b, at)
        if r == BT_BOOK:
            continue
        if r == BT_END:
            b.now_ns = b.last_ns if b.last_ns > b.now_ns else b.now_ns
        if r != BT_TIMER:
            return r
        b.now_ns = at
        if ring != NULL:
            b.note = ring.item[ring.head & ring.mask]
            ring.head += 1
            what = b.note.kind
            if what == BT_BOOK:
                b.view[b.note.instrument_id] = b.note.quote
                if not (b.subscribed & SUB_BOOK):
                    continue
            elif what == BT_ORDER:
                learn(b)
                if not (b.subscribed & SUB_ORDER):
                    continue
        else:
            memset(&b.note, 0, sizeof(Notice))
            b.note.kind = BT_TIMER
            b.note.ts_ns = b.note.seen_ns = at
        b.n_calls[what] += 1
        return what
