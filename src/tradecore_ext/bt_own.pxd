"""Own orders of a backtest: their life, their money, and the rows they leave.

Owner of: what an event of the engine means to the strategy's orders and holdings.  Fees, cost and realised PnL follow
docs/reference/accounts.md sections 4 and 6, in the same integers; with the engine's accounts on they are taken from its
SETTLED events instead, so there is never a second opinion about money that the engine has booked.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memset

from tradecore_ext.bt_state cimport *
from tradecore_ext.ids cimport id_find, id_tag
from tradecore_ext.ladder cimport ladder_next, rank_of
from tradecore_ext.mathx cimport I64_MAX, PPM, abs64, floor_div128, int128, likely, max64, unlikely
from tradecore_ext.state cimport L_ASK, L_BID, NIL, ST_RESTING, Engine
from tradecore_ext.types cimport *


cdef inline void* rows_push(Bt* b, Rows* r) noexcept nogil:
    """A zeroed row at the end, NULL when memory is out (the run then ends with BT_NO_MEMORY)."""
    cdef uint64_t cap
    cdef void* p
    if unlikely(r.n == r.cap):
        cap = 2 * r.cap if r.cap else 256
        p = realloc(r.data, cap * r.size)
        if p == NULL:
            b.failed = BT_NO_MEMORY
            return NULL
        r.data = <char*>p
        r.cap = cap
    p = r.data + r.n * r.size
    memset(p, 0, r.size)
    r.n += 1
    return p


cdef inline Notice* ring_push(Bt* b, Ring* r) noexcept nogil:
    """A zeroed notice at the end of a ring, which doubles when it is full."""
    cdef uint64_t size = r.mask + 1
    cdef uint64_t k
    cdef Notice* item
    if unlikely(r.item == NULL or r.tail - r.head == size):
        size = 2 * size if r.item != NULL else 64
        item = <Notice*>realloc(r.item, size * sizeof(Notice))
        if item == NULL:
            b.failed = BT_NO_MEMORY
            return NULL
        if r.item != NULL:
            # The older part continues behind the newer one: move what had wrapped round.
            for k in range(size / 2):
                if k < (r.tail & r.mask):
                    item[size / 2 + k] = item[k]
            r.head = r.head & r.mask
            r.tail = r.head + size / 2
        r.item = item
        r.mask = size - 1
    item = r.item + (r.tail & r.mask)
    memset(item, 0, sizeof(Notice))
    r.tail += 1
    return item


cdef inline uint64_t mixed(uint64_t x) noexcept nogil:
    """The finaliser of splitmix64: a counter becomes 64 well-mixed bits."""
    x += <uint64_t>0x9E3779B97F4A7C15
    x = (x ^ (x >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * <uint64_t>0x94D049BB133111EB
    return x ^ (x >> 31)


cdef inline int64_t delayed(Delay* d, int64_t from_ns) noexcept nogil:
    """When a message that leaves at `from_ns` arrives; never before one that left earlier."""
    cdef int64_t at = from_ns
    if d.kind == DELAY_CONSTANT:
        at += d.constant_ns
    elif d.kind == DELAY_RECORDED:
        while d.cursor + 1 < d.n and d.at_ns[d.cursor + 1] <= from_ns:
            d.cursor += 1
        at += d.value_ns[d.cursor]
    else:
        at += d.value_ns[mixed(d.seed + d.drawn) & <uint64_t>(d.n - 1)]
        d.drawn += 1
    if at < d.last_ns[0]:
        at = d.last_ns[0]
    d.last_ns[0] = at
    return at


cdef inline void best_of(const Bt* b, uint32_t instrument_id, int which, int64_t* px, int64_t* qty) noexcept nogil:
    """Best price of a side and its lots, 0 for an empty one; without own orders unless they are asked for.

    Hidden parts of icebergs count.  A strategy that takes its own quote for the market's chases itself."""
    cdef Engine* e = b.e
    cdef uint32_t lv = NIL
    cdef uint32_t own
    px[0] = qty[0] = 0
    if e.book[instrument_id].ladder[which].n_levels:
        lv = e.book[instrument_id].ladder[which].best_level
    while lv != NIL:
        px[0] = e.level[lv].px
        qty[0] = e.level[lv].qty
        own = NIL if b.own_in_book else b.resting_head[2 * instrument_id + which]
        while own != NIL:
            if b.own[own].row.px == px[0]:
                qty[0] -= b.own[own].leaves_qty
            own = b.own[own].next
        if qty[0] > 0:
            return
        lv = ladder_next(e, &e.book[instrument_id].ladder[which], rank_of(which, px[0]))
        px[0] = qty[0] = 0


cdef inline Quote quote_of(const Bt* b, uint32_t instrument_id) noexcept nogil:
    """Best prices of the exchange's book now."""
    cdef Quote q
    best_of(b, instrument_id, L_BID, &q.bid_px, &q.bid_qty)
    best_of(b, instrument_id, L_ASK, &q.ask_px, &q.ask_qty)
    return q


# ---- slots ----------------------------------------------------------------------------------------------------------


cdef inline uint64_t own_id(const Bt* b, uint32_t slot) noexcept nogil:
    return OWN_BASE | (<uint64_t>b.own[slot].generation << 24) | slot


cdef inline uint32_t own_slot(const Bt* b, uint64_t order_id) noexcept nogil:
    """Slot of an own order that is in flight or alive, NIL otherwise."""
    cdef uint32_t slot = <uint32_t>(order_id & 0xFFFFFF)
    if order_id < OWN_BASE or slot >= b.n_own or b.own[slot].row.order_id != order_id:
        return NIL
    return slot


cdef inline uint32_t own_take(Bt* b) noexcept nogil:
    """A free slot; NIL when 2^24 orders are alive or memory is out."""
    cdef uint32_t slot = b.own_free
    cdef uint32_t cap
    cdef void* p
    if slot != NIL:
        b.own_free = b.own[slot].next
        return slot
    if b.n_own == b.cap_own:
        if b.cap_own >= (1 << 24):
            return NIL
        cap = 2 * b.cap_own if b.cap_own else 64
        p = realloc(b.own, cap * sizeof(Own))
        if p == NULL:
            b.failed = BT_NO_MEMORY
            return NIL
        b.own = <Own*>p
        b.cap_own = cap
    slot = b.n_own
    b.n_own += 1
    memset(b.own + slot, 0, sizeof(Own))
    return slot


# ---- which own orders rest, and where -------------------------------------------------------------------------------


cdef inline uint32_t queue_no(uint32_t instrument_id, uint8_t side) noexcept nogil:
    return 2 * instrument_id + side - 1


cdef inline bint better(uint8_t side, int64_t px, int64_t than) noexcept nogil:
    return px > than if side == TC_SIDE_BUY else px < than


cdef inline int64_t worst_px(uint8_t side) noexcept nogil:
    return 0 if side == TC_SIDE_BUY else I64_MAX


cdef inline void rest_unlink(Bt* b, uint32_t slot) noexcept nogil:
    """Take an own order out of the list of those that rest; the best of the rest is looked for if it was the best."""
    cdef Own* o = b.own + slot
    cdef uint32_t q = queue_no(o.row.instrument_id, o.row.side)
    cdef uint32_t n
    if not o.resting:
        return
    o.resting = 0
    b.n_resting -= 1
    if o.prev != NIL:
        b.own[o.prev].next = o.next
    else:
        b.resting_head[q] = o.next
    if o.next != NIL:
        b.own[o.next].prev = o.prev
    if o.row.px == b.resting_best[q]:
        b.resting_best[q] = worst_px(o.row.side)
        n = b.resting_head[q]
        while n != NIL:
            if better(o.row.side, b.own[n].row.px, b.resting_best[q]):
                b.resting_best[q] = b.own[n].row.px
            n = b.own[n].next


cdef inline void rest_link(Bt* b, uint32_t slot) noexcept nogil:
    cdef Own* o = b.own + slot
    cdef uint32_t q = queue_no(o.row.instrument_id, o.row.side)
    o.resting = 1
    b.n_resting += 1
    o.prev = NIL
    o.next = b.resting_head[q]
    if o.next != NIL:
        b.own[o.next].prev = slot
    b.resting_head[q] = slot
    if better(o.row.side, o.row.px, b.resting_best[q]):
        b.resting_best[q] = o.row.px


cdef inline void look_at_rest(Bt* b, uint32_t slot, int64_t ts_ns) noexcept nogil:
    """After a command of its own: note where the order came to rest. It has just joined the back of its level."""
    cdef Engine* e = b.e
    cdef Own* o = b.own + slot
    cdef uint32_t s = id_find(e, o.row.order_id, id_tag(&e.ids, o.row.order_id))
    cdef uint32_t lv
    if s == NIL or e.order[s].state != ST_RESTING:
        return
    lv = e.order[s].level
    if not o.resting:
        rest_link(b, slot)
    if o.row.rested_ns == NEVER:
        o.row.rested_ns = ts_ns
        o.row.ahead_qty = e.level[lv].qty - e.order[s].leaves_qty
        o.row.ahead_orders = <int32_t>(e.level[lv].count - 1)


cdef inline void look_at_all(Bt* b, int64_t ts_ns) noexcept nogil:
    """Orders with rare terms come to rest by somebody else's command: look which do. O(own orders)."""
    cdef uint32_t slot
    for slot in range(b.n_own):
        if b.own[slot].row.order_id and b.own[slot].row.state == OS_LIVE and not b.own[slot].resting:
            look_at_rest(b, slot, ts_ns)


cdef inline int64_t lots_ahead(const Bt* b, uint64_t order_id, int64_t* orders) noexcept nogil:
    """Lots in front of a resting order in its queue, hidden parts included; NEVER if it does not rest. O(ahead)."""
    cdef Engine* e = b.e
    cdef uint32_t n = id_find(e, order_id, id_tag(&e.ids, order_id))
    cdef int64_t ahead = 0
    orders[0] = 0
    if n == NIL or e.order[n].state != ST_RESTING:
        return NEVER
    n = e.order[n].prev
    while n != NIL:
        ahead += e.order[n].leaves_qty
        orders[0] += 1
        n = e.order[n].prev
    return ahead


# ---- money ----------------------------------------------------------------------------------------------------------


cdef inline void book_fill(Bt* b, Own* o, FillRow* f, bint is_taker) noexcept nogil:
    """Fee, cost, realised PnL and cash of one side of a fill, as accounts.md says (accounts off)."""
    cdef Engine* e = b.e
    cdef Holding* h = b.holding + o.row.instrument_id
    cdef int64_t multiplier = e.book[o.row.instrument_id].multiplier
    cdef int64_t rate = (
        e.book[o.row.instrument_id].taker_fee_ppm if is_taker
        else e.book[o.row.instrument_id].maker_fee_ppm
    )
    cdef int128 n = <int128>f.last_px * f.last_qty * multiplier
    cdef int128 x = n * rate + o.fee_rem
    cdef int64_t fee = <int64_t>floor_div128(x, PPM)
    cdef int64_t sign = 1 if o.row.side == TC_SIDE_BUY else -1
    cdef int64_t d = sign * f.last_qty
    cdef int64_t closed
    cdef int128 removed
    o.fee_rem = <uint32_t>(x - <int128>fee * PPM)
    f.fee = fee
    f.cash_delta = <int64_t>(-sign * n) - fee
    if h.qty == 0 or (h.qty > 0) == (d > 0):
        h.cost += <int64_t>(sign * n)
    else:
        closed = abs64(h.qty) if abs64(d) > abs64(h.qty) else abs64(d)
        if closed == abs64(h.qty):
            removed = h.cost
        else:
            removed = <int128>h.cost * closed / abs64(h.qty)
        f.realised_pnl = <int64_t>(-sign * (<int128>f.last_px * closed * multiplier) - removed)
        h.cost = <int64_t>(h.cost - removed) + <int64_t>(
            sign * (<int128>f.last_px * (abs64(d) - closed) * multiplier)
        )
    h.qty += d
    f.position_qty = h.qty


cdef inline void add_up(Bt* b, Own* o, FillRow* f) noexcept nogil:
    """Running sums after a fill, and the row of the position."""
    cdef Holding* h = b.holding + o.row.instrument_id
    cdef PositionRow* p
    h.qty = f.position_qty
    h.realised += f.realised_pnl
    h.fees += f.fee
    b.cash += f.cash_delta
    b.realised += f.realised_pnl
    b.fees += f.fee
    if b.record & 2:
        p = <PositionRow*>rows_push(b, &b.positions)
        if p != NULL:
            p.ts_ns = f.ts_ns
            p.instrument_id = o.row.instrument_id
            p.qty = h.qty
            p.cost = h.cost
            p.realised = h.realised
            p.fees = h.fees


# ---- events of the engine about own orders --------------------------------------------------------------------------


cdef inline Notice* tell(Bt* b, Own* o, const tc_event* v, int64_t ts_ns) noexcept nogil:
    """A notice about an own order, on its way to the strategy."""
    cdef Notice* n = ring_push(b, &b.reply)
    if n == NULL:
        return NULL
    n.ts_ns = ts_ns
    n.seen_ns = delayed(&b.reply_delay, ts_ns)
    n.order_id = v.order_id
    n.instrument_id = v.instrument_id
    n.status = v.status
    n.kind = BT_ORDER
    n.side = v.side
    n.event = v.kind
    if o != NULL:
        n.order_id = o.row.order_id
        n.side = o.row.side
        n.instrument_id = o.row.instrument_id
        n.px = o.row.px
        n.qty = o.row.order_qty
        n.leaves_qty = o.leaves_qty
        n.cum_qty = o.row.cum_qty
    b.pushed = 1
    return n


cdef inline void last(Notice* n) noexcept nogil:
    if n != NULL:
        n.over = 1


cdef inline void own_end(Bt* b, uint32_t slot, uint8_t state, int64_t ts_ns) noexcept nogil:
    """The life of an own order is over: write its row. The slot stays until the strategy knows."""
    cdef Own* o = b.own + slot
    rest_unlink(b, slot)
    if o.row.state == OS_LIVE:
        b.n_alive -= 1
    o.row.state = state
    o.row.ended_ns = ts_ns
    if b.record & 1:
        (<OrderRow*>(b.orders.data + o.row_no * b.orders.size))[0] = o.row


cdef inline void own_forget(Bt* b, uint32_t slot) noexcept nogil:
    """The strategy has been told: nobody will ask for the order again."""
    cdef Own* o = b.own + slot
    o.row.order_id = 0
    o.generation += 1
    o.next = b.own_free
    b.own_free = slot


cdef inline void own_fill(
    Bt* b, uint32_t slot, const tc_fill_event* v, const tc_settle_event* settled, bint is_taker, int64_t ts_ns
) noexcept nogil:
    """One side of a fill is an own order."""
    cdef Own* o = b.own + slot
    cdef FillRow f
    cdef FillRow* row
    cdef Notice* n
    cdef int64_t lots
    memset(&f, 0, sizeof(f))
    f.seq = v.seq
    f.ts_ns = ts_ns
    f.order_id = o.row.order_id
    f.contra_order_id = v.maker_order_id if is_taker else v.order_id
    f.instrument_id = o.row.instrument_id
    f.side = o.row.side
    f.maker = 0 if is_taker else 1
    f.flags = <uint16_t>v.flags
    f.last_px = v.last_px
    f.last_qty = v.last_qty
    book_fill(b, o, &f, is_taker)
    if settled != NULL:
        f.fee = settled.fee
        f.cash_delta = settled.cash_delta
        f.realised_pnl = settled.realised_pnl
        f.position_qty = settled.position_qty
    add_up(b, o, &f)
    o.row.cum_qty += v.last_qty
    o.leaves_qty -= v.last_qty
    o.row.filled_ticks += v.last_px * v.last_qty
    if o.row.first_fill_ns == NEVER:
        o.row.first_fill_ns = ts_ns
    n = tell(b, o, <const tc_event*>v, ts_ns)
    if n != NULL:
        f.seen_ns = n.seen_ns
        n.px = v.last_px
        n.qty = v.last_qty
        n.maker = f.maker
        n.status = 0
        n.over = 1 if v.flags & (TC_FILL_TAKER_DONE if is_taker else TC_FILL_MAKER_DONE) else 0
    if b.record & 2:
        row = <FillRow*>rows_push(b, &b.fills)
        if row != NULL:
            best_of(b, f.instrument_id, L_BID, &f.bid_px, &lots)
            best_of(b, f.instrument_id, L_ASK, &f.ask_px, &lots)
            row[0] = f
    if v.flags & (TC_FILL_TAKER_DONE if is_taker else TC_FILL_MAKER_DONE):
        own_end(b, slot, OS_FILLED, ts_ns)


cdef inline void own_event(Bt* b, uint32_t slot, const tc_event* v, int64_t ts_ns) noexcept nogil:
    """An event about an own order that is not a fill."""
    cdef Own* o = b.own + slot if slot != NIL else NULL
    cdef const tc_order_event* x = <const tc_order_event*>v
    cdef uint8_t kind = v.kind
    cdef Notice* told
    if kind == TC_EVT_SETTLED:
        return
    if o == NULL:
        tell(b, NULL, v, ts_ns)
        return
    if kind == TC_EVT_REJECTED:
        o.row.status = v.status
        o.row.arrived_ns = ts_ns
        o.row.canceled_qty = o.row.order_qty
        o.leaves_qty = 0
        last(tell(b, o, v, ts_ns))
        own_end(b, slot, OS_REJECTED, ts_ns)
        return
    if kind == TC_EVT_CANCEL_REJECTED or kind == TC_EVT_REPLACE_REJECTED:
        tell(b, o, v, ts_ns)
        return
    o.row.status = v.status
    o.leaves_qty = x.leaves_qty
    if kind == TC_EVT_ACCEPTED:
        o.row.arrived_ns = ts_ns
        o.row.state = OS_LIVE
        b.n_alive += 1
    elif kind == TC_EVT_REPLACED:
        # The list of resting orders knows it by its old price; look_at_rest puts it back.
        rest_unlink(b, slot)
        o.row.px = x.px
        o.row.order_qty = x.order_qty
    o.row.canceled_qty = o.row.order_qty - o.row.cum_qty - x.leaves_qty
    told = tell(b, o, v, ts_ns)
    if kind == TC_EVT_CANCELED or kind == TC_EVT_EXPIRED:
        last(told)
        own_end(b, slot, OS_CANCELED if kind == TC_EVT_CANCELED else OS_EXPIRED, ts_ns)
