"""One backtest as Python sees it: its memory, its settings, and the compiled loop behind them.

Owner of: memory and the Python border.  The loop is bt_run.pxd, own orders bt_own.pxd, the structs bt_state.pxd; the
Python face is tradecore.research.  Nothing here is part of the engine: it drives one through the exported functions
and reads its books.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.number cimport PyNumber_Index
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

cimport cython

from tradecore_ext.bt_own cimport (
    best_of,
    lots_ahead,
    own_id,
    own_slot,
    own_take,
    quote_of,
    rows_push,
    delayed,
    queue_no,
    worst_px,
)
from tradecore_ext.bt_run cimport wait
from tradecore_ext.bt_state cimport *
from tradecore_ext.engine cimport tc_abi
from tradecore_ext.state cimport NIL, Engine
from tradecore_ext.types cimport *

if tc_abi() != TC_ABI:
    raise ImportError("tradecore_ext.backtest and tradecore_ext.engine are of different builds")


# ---- exported C functions -------------------------------------------------------------------------------------------


cdef int32_t bt_wait(void* handle, int64_t until_ns) noexcept nogil:
    """Go on to the next notice or to `until_ns`; what came (BT_*)."""
    return wait(<Bt*>handle, until_ns)


cdef const Notice* bt_note(void* handle) noexcept nogil:
    """The notice that the last wait returned for; valid until the next."""
    return &(<Bt*>handle).note


cdef int64_t bt_now(void* handle) noexcept nogil:
    return (<Bt*>handle).now_ns


cdef Flight* depart(Bt* b, Delay* d) noexcept nogil:
    """A zeroed command at the end of those under way; NULL over the budget of a call or without memory."""
    cdef uint64_t size = b.flight_mask + 1
    cdef uint64_t k
    cdef Flight* f
    if b.sent >= b.max_sent or b.sent_ever >= b.max_ever:
        b.failed = BT_TOO_MANY
        return NULL
    if b.flight_tail - b.flight_head == size:
        f = <Flight*>realloc(b.flight, 2 * size * sizeof(Flight))
        if f == NULL:
            b.failed = BT_NO_MEMORY
            return NULL
        for k in range(b.flight_tail & b.flight_mask):
            f[size + k] = f[k]
        b.flight = f
        b.flight_head = b.flight_head & b.flight_mask
        b.flight_tail = b.flight_head + size
        b.flight_mask = 2 * size - 1
    f = b.flight + (b.flight_tail & b.flight_mask)
    memset(f, 0, sizeof(Flight))
    b.flight_tail += 1
    b.sent += 1
    b.sent_ever += 1
    f.frames = 1
    f.slot = NIL
    f.arrive_ns = delayed(d, b.now_ns)
    f.command.account_id = b.account_id
    return f


cdef bint sees_directly(const Bt* b) noexcept nogil:
    """Whether what stands in the engine's book now is what the strategy may know."""
    return b.feed_delay.kind == DELAY_CONSTANT and b.feed_delay.constant_ns == 0


cdef inline void seen_side(const Bt* b, uint32_t i, uint8_t side, int64_t* px, int64_t* qty) noexcept nogil:
    """One side of `seen`."""
    px[0] = qty[0] = 0
    if i >= b.n_instruments or side < 1 or side > 2 or not b.e.book[i].exists:
        return
    if sees_directly(b):
        best_of(b, i, side - 1, px, qty)
    elif side == TC_SIDE_BUY:
        px[0] = b.view[i].bid_px
        qty[0] = b.view[i].bid_qty
    else:
        px[0] = b.view[i].ask_px
        qty[0] = b.view[i].ask_qty


cdef Quote seen(const Bt* b, uint32_t instrument_id) noexcept nogil:
    """Best prices as the strategy knows them: as they are without feed delay, else as last told."""
    cdef Quote q
    if instrument_id >= b.n_instruments or not b.e.book[instrument_id].exists:
        memset(&q, 0, sizeof(q))
        return q
    if sees_directly(b):
        return quote_of(b, instrument_id)
    return b.view[instrument_id]


cdef uint64_t bt_submit(
    void* handle, uint32_t instrument_id, uint8_t side, int64_t px, int64_t qty, uint8_t ord_type, uint8_t tif,
    uint32_t flags,
) noexcept nogil:
    """Send a new order; its id, 0 if it cannot even be sent (see bt_wait's answer)."""
    cdef Bt* b = <Bt*>handle
    cdef Own* o
    cdef OrderRow* row
    cdef Flight* f
    cdef Quote q
    cdef uint32_t slot, generation
    if instrument_id >= b.n_instruments or side < 1 or side > 2:
        return 0
    slot = own_take(b)
    if slot == NIL:
        return 0
    f = depart(b, &b.new_delay)
    if f == NULL:
        b.own[slot].next = b.own_free
        b.own_free = slot
        return 0
    o = b.own + slot
    generation = o.generation
    memset(o, 0, sizeof(Own))
    o.generation = generation
    o.row.order_id = own_id(b, slot)
    o.leaves_qty = o.known_qty = qty
    o.row.instrument_id = instrument_id
    o.row.side = side
    o.row.ord_type = ord_type
    o.row.tif = tif
    o.row.flags = <uint16_t>flags
    o.row.ahead_orders = NEVER
    o.row.ahead_qty = NEVER
    o.row.px = px
    o.row.order_qty = qty
    o.row.sent_ns = b.now_ns
    o.row.arrived_ns = o.row.rested_ns = o.row.first_fill_ns = o.row.ended_ns = NEVER
    q = seen(b, instrument_id)
    o.row.bid_px = q.bid_px
    o.row.ask_px = q.ask_px
    if b.record & 1:
        o.row_no = b.orders.n
        row = <OrderRow*>rows_push(b, &b.orders)
        if row == NULL:
            return 0
        row[0] = o.row
    f.slot = slot
    f.command.kind = TC_CMD_NEW_ORDER
    f.command.order_id = o.row.order_id
    f.command.instrument_id = instrument_id
    f.command.side = side
    f.command.ord_type = ord_type
    f.command.tif = tif
    f.command.px = px
    f.command.order_qty = qty
    f.command.flags = flags
    return o.row.order_id


cdef int32_t bt_cancel(void* handle, uint64_t order_id) noexcept nogil:
    """Send a cancel; 1 if it was sent. An order that is already gone is refused by the engine, as in production."""
    cdef Bt* b = <Bt*>handle
    cdef Flight* f
    if order_id < OWN_BASE:
        return 0
    f = depart(b, &b.cancel_delay)
    if f == NULL:
        return 0
    f.command.kind = TC_CMD_CANCEL_ORDER
    f.command.order_id = order_id
    return 1


cdef int32_t bt_replace(void* handle, uint64_t order_id, int64_t px, int64_t qty, uint32_t flags) noexcept nogil:
    """Send a replace (0 keeps a value); 1 if it was sent."""
    cdef Bt* b = <Bt*>handle
    cdef Flight* f
    if order_id < OWN_BASE:
        return 0
    f = depart(b, &b.replace_delay)
    if f == NULL:
        return 0
    f.command.kind = TC_CMD_REPLACE_ORDER
    f.command.order_id = order_id
    f.command.px = px
    f.command.order_qty = qty
    f.command.flags = flags
    return 1


cdef int64_t bt_best_px(void* handle, uint32_t instrument_id, uint8_t side) noexcept nogil:
    """Best price of a side as the strategy knows it, 0 none."""
    cdef int64_t px, qty
    seen_side(<Bt*>handle, instrument_id, side, &px, &qty)
    return px


cdef int64_t bt_best_qty(void* handle, uint32_t instrument_id, uint8_t side) noexcept nogil:
    cdef int64_t px, qty
    seen_side(<Bt*>handle, instrument_id, side, &px, &qty)
    return qty


cdef int64_t bt_position(void* handle, uint32_t instrument_id) noexcept nogil:
    """Lots held, signed, as far as the strategy has been told."""
    cdef Bt* b = <Bt*>handle
    return b.holding[instrument_id].known_qty if instrument_id < b.n_instruments else 0


cdef int64_t bt_ahead(void* handle, uint64_t order_id) noexcept nogil:
    """Lots in front of a resting own order, -1 if it does not rest, -2 with a feed delay. O(orders ahead)."""
    cdef int64_t orders
    cdef Bt* b = <Bt*>handle
    return lots_ahead(b, order_id, &orders) if sees_directly(b) else -2


cdef int64_t bt_leaves(void* handle, uint64_t order_id) noexcept nogil:
    """Open lots of an own order as far as the strategy knows, one in flight included; 0 if it is over."""
    cdef Bt* b = <Bt*>handle
    cdef uint32_t slot = own_slot(b, order_id)
    return b.own[slot].known_qty if slot != NIL else 0


# ---- Python ---------------------------------------------------------------------------------------------------------


cdef dict _ROWS = {
    "orders": sizeof(OrderRow), "fills": sizeof(FillRow), "positions": sizeof(PositionRow),
    "quotes": sizeof(QuoteRow), "equity": sizeof(EquityRow), "depth": sizeof(DepthRow), "notice": sizeof(Notice),
}


@cython.final
cdef class Backtest:
    """Drive one engine with recorded frames and own orders.

    `owner` is the object whose `handle` is given; it is kept alive. See tradecore.research.market for the meaning of
    the settings.
    """
    cdef Bt b
    cdef object owner
    cdef list held
    cdef Py_buffer* views
    cdef uint32_t n_views

    def __cinit__(
        self, owner, uintptr_t handle, *, uint32_t account_id, uint32_t n_instruments, uint32_t record=3,
        uint32_t subscribed=0, uint64_t max_sent=10000, int64_t sample_every_ns=0, uint32_t sample_levels=0,
        bint keep_displaced=False, bint own_in_book=False, uint64_t max_ever=100000000, bint more=False,
    ):
        cdef Bt* b = &self.b
        cdef uint32_t i
        memset(b, 0, sizeof(Bt))
        self.owner = owner
        self.held = []
        b.e = <Engine*>handle
        b.account_id = account_id
        b.n_instruments = n_instruments
        b.record = record
        b.subscribed = subscribed
        b.max_sent = max_sent
        b.keep_displaced = keep_displaced
        b.own_in_book = own_in_book
        b.max_ever = max_ever
        b.more = more
        b.only = -1
        b.own_free = NIL
        b.sample_every_ns = sample_every_ns
        b.sample_next_ns = 0x7FFFFFFFFFFFFFFF
        b.sample_levels = sample_levels
        b.orders.size = sizeof(OrderRow)
        b.fills.size = sizeof(FillRow)
        b.positions.size = sizeof(PositionRow)
        b.quotes.size = sizeof(QuoteRow)
        b.equity.size = sizeof(EquityRow)
        b.depth.size = sizeof(DepthRow)
        b.view = <Quote*>calloc(n_instruments + 1, sizeof(Quote))
        b.top = <Quote*>calloc(n_instruments + 1, sizeof(Quote))
        b.holding = <Holding*>calloc(n_instruments + 1, sizeof(Holding))
        b.resting_head = <uint32_t*>calloc(2 * n_instruments + 2, sizeof(uint32_t))
        b.resting_best = <int64_t*>calloc(2 * n_instruments + 2, sizeof(int64_t))
        b.flight_mask = 63
        b.flight = <Flight*>calloc(64, sizeof(Flight))
        if (
            b.view == NULL or b.top == NULL or b.holding == NULL or b.resting_head == NULL or b.resting_best == NULL
            or b.flight == NULL
        ):
            raise MemoryError("no memory for the backtest")
        for i in range(n_instruments):
            b.resting_head[queue_no(i, 1)] = b.resting_head[queue_no(i, 2)] = NIL
            b.resting_best[queue_no(i, 1)] = worst_px(1)
            b.resting_best[queue_no(i, 2)] = worst_px(2)
        b.feed_delay.last_ns = &b.feed_last_ns
        b.new_delay.last_ns = b.cancel_delay.last_ns = b.replace_delay.last_ns = &b.session_last_ns
        b.reply_delay.last_ns = &b.reply_last_ns

    def __dealloc__(self):
        cdef Bt* b = &self.b
        cdef uint32_t i
        for i in range(self.n_views):
            PyBuffer_Release(self.views + i)
        free(self.views)
        free(b.chunk)
        free(b.view)
        free(b.top)
        free(b.holding)
        free(b.resting_head)
        free(b.resting_best)
        free(b.flight)
        free(b.feed.item)
        free(b.reply.item)
        free(b.own)
        free(b.orders.data)
        free(b.fills.data)
        free(b.positions.data)
        free(b.quotes.data)
        free(b.equity.data)
        free(b.depth.data)

    cdef const void* hold(self, data) except? NULL:
        """Keep a buffer until the end; its address."""
        cdef Py_buffer* views
        if data is None:
            return NULL
        views = <Py_buffer*>realloc(self.views, (self.n_views + 1) * sizeof(Py_buffer))
        if views == NULL:
            raise MemoryError("no memory for the backtest")
        self.views = views
        PyObject_GetBuffer(data, self.views + self.n_views, PyBUF_SIMPLE)
        self.n_views += 1
        if <uintptr_t>self.views[self.n_views - 1].buf & 7:
            raise ValueError("a buffer must be aligned to 8 bytes")
        return self.views[self.n_views - 1].buf

    def add_chunk(self, frames, received_ns=None, bint mapped=False) -> None:
        """Append recorded frames (64 bytes each); with `received_ns` (int64) one arrival time a frame.

        `mapped`: the frames lie in a file mapped for reading, and their pages are given back behind the loop. Never
        say so of other memory: it would read as zeros afterwards.
        """
        cdef Bt* b = &self.b
        cdef const void* p = self.hold(frames)
        cdef int64_t n = self.views[self.n_views - 1].len // TC_FRAME_BYTES
        cdef Chunk* chunk
        if self.views[self.n_views - 1].len % TC_FRAME_BYTES:
            raise ValueError("recorded frames are 64 bytes each")
        if n == 0:
            return
        chunk = <Chunk*>realloc(b.chunk, (b.n_chunks + 1) * sizeof(Chunk))
        if chunk == NULL:
            raise MemoryError("no memory for the backtest")
        b.chunk = chunk
        chunk += b.n_chunks
        chunk.frame = <const tc_command*>p
        chunk.n = n
        chunk.mapped = mapped
        chunk.received_ns = <const int64_t*>self.hold(received_ns)
        if received_ns is not None and self.views[self.n_views - 1].len != n * 8:
            raise ValueError("received_ns holds one int64 for every frame")
        b.n_chunks += 1
        if b.frame_no == 0 and b.n_chunks == 1:
            # Before anything has happened the strategy stands just in front of the first frame.
            b.now_ns = <int64_t>chunk.frame[0].ts_ns - 1
        if b.frame_no == 0 and b.n_chunks == 1 and b.sample_every_ns > 0:
            b.sample_next_ns = (
                <int64_t>chunk.frame[0].ts_ns // b.sample_every_ns + 1
            ) * b.sample_every_ns

    def drop_chunks(self) -> None:
        """Let go of the chunks that have been applied; those that wait stay."""
        cdef Bt* b = &self.b
        cdef uint32_t i
        if b.cur < b.n_chunks:
            return
        b.n_chunks = b.cur = 0
        for i in range(self.n_views):
            PyBuffer_Release(self.views + i)
        self.n_views = 0

    def end_data(self) -> None:
        """No further chunk will come."""
        self.b.more = 0

    def set_delay(self, str kind, int how, int64_t constant_ns=0, at_ns=None, value_ns=None, uint64_t seed=0) -> None:
        """Set the delay of "feed", "new", "cancel", "replace" or "reply"; arrays are kept."""
        cdef Bt* b = &self.b
        cdef Delay* d
        if kind == "feed":
            d = &b.feed_delay
        elif kind == "new":
            d = &b.new_delay
        elif kind == "cancel":
            d = &b.cancel_delay
        elif kind == "replace":
            d = &b.replace_delay
        else:
            d = &b.reply_delay
        d.kind = how
        d.constant_ns = constant_ns
        d.seed = seed
        self.held.append((at_ns, value_ns))
        if at_ns is not None:
            d.at_ns = <const int64_t*><uintptr_t>at_ns.ctypes.data
        if value_ns is not None:
            d.value_ns = <const int64_t*><uintptr_t>value_ns.ctypes.data
            d.n = len(value_ns)

    def set_queue(self, int tier, int model, int power, int64_t participation_ppm) -> None:
        """Set the kind of data (1 L2, 2 L1, 3 bars) and its queue model (tradecore.research.fidelity)."""
        self.b.fidelity = tier
        self.b.queue_model = model
        self.b.queue_power = power
        self.b.participation_ppm = participation_ppm

    def begin(self) -> None:
        """After the instruments have been defined: which there are, and whether their rules need a closer look."""
        cdef Bt* b = &self.b
        cdef uint32_t i
        cdef uint32_t found = 0
        for i in range(b.n_instruments):
            if b.e.book[i].exists:
                found += 1
                b.only = i
                if b.e.book[i].breakers or b.e.book[i].n_stops or b.e.book[i].phase != TC_PHASE_CONTINUOUS:
                    b.exotic = 1
        if found != 1:
            b.only = -1

    def wait(self, int64_t until_ns) -> int:
        """Go on to the next notice or to `until_ns`; what came."""
        cdef int32_t what
        with nogil:
            what = wait(&self.b, until_ns)
        return what

    def submit(
        self, uint32_t instrument_id, uint8_t side, px, qty, uint8_t ord_type=2, uint8_t tif=1,
        uint32_t flags=0, uint8_t stp=0, int64_t stop_px=0, int64_t display_qty=0, int64_t min_qty=0,
        uint64_t expire_ts_ns=0, uint16_t trailing_bps=0,
    ) -> int:
        """Send a new order and return its id; 0 if it cannot be sent. A price that is no integer is a TypeError."""
        cdef Bt* b = &self.b
        cdef Flight* f
        cdef uint64_t order_id = bt_submit(
            <void*>b, instrument_id, side, PyNumber_Index(px), PyNumber_Index(qty), ord_type, tif, flags
        )
        if order_id:
            f = b.flight + ((b.flight_tail - 1) & b.flight_mask)
            f.command.stp = stp
            if stop_px or display_qty or min_qty or expire_ts_ns or trailing_bps:
                f.frames = 2
                f.command.cont = 1
                f.terms.kind = TC_CMD_TERMS
                f.terms.stop_px = stop_px
                f.terms.display_qty = display_qty
                f.terms.min_qty = min_qty
                f.terms.expire_ts_ns = expire_ts_ns
                f.terms.trailing_bps = trailing_bps
                b.exotic = 1
        return order_id

    def cancel(self, uint64_t order_id) -> bool:
        """Send a cancel; False if the id is not that of an own order."""
        return bt_cancel(<void*>&self.b, order_id) == 1

    def replace(self, uint64_t order_id, px=0, qty=0, uint32_t flags=0) -> bool:
        """Send a replace (0 keeps a value); False if the id is not that of an own order."""
        return bt_replace(<void*>&self.b, order_id, PyNumber_Index(px), PyNumber_Index(qty), flags) == 1

    def quote(self, uint32_t instrument_id) -> tuple:
        """(bid_px, bid_qty, ask_px, ask_qty) as the strategy knows them, 0 for an empty side."""
        cdef Quote q = seen(&self.b, instrument_id)
        return q.bid_px, q.bid_qty, q.ask_px, q.ask_qty

    def position(self, uint32_t instrument_id) -> int:
        """Lots held, signed."""
        return bt_position(<void*>&self.b, instrument_id)

    def ahead(self, uint64_t order_id) -> tuple:
        """(lots, orders) in front of a resting own order, (-1, 0) if it does not rest, (-2, 0) with a feed delay."""
        cdef int64_t orders = 0
        cdef int64_t lots = lots_ahead(&self.b, order_id, &orders) if sees_directly(&self.b) else -2
        return lots, orders

    def leaves(self, uint64_t order_id) -> int:
        """Open lots of an own order; 0 if it is over."""
        return bt_leaves(<void*>&self.b, order_id)

    def live(self) -> list:
        """Ids of the own orders that are not over as far as the strategy knows, in slot order."""
        cdef uint32_t i
        return [self.b.own[i].row.order_id for i in range(self.b.n_own) if self.b.own[i].row.order_id]

    def note(self) -> tuple:
        """The notice of the last wait as a tuple, in the order of the fields of Notice."""
        cdef const Notice* n = &self.b.note
        return (
            n.ts_ns, n.seen_ns, n.order_id, n.px, n.qty, n.leaves_qty, n.cum_qty, n.quote.bid_px, n.quote.bid_qty,
            n.quote.ask_px, n.quote.ask_qty, n.instrument_id, n.status, n.kind, n.side, n.event, n.maker, n.over,
        )

    def book_note(self) -> tuple:
        """A BOOK notice as (ts_ns, instrument_id, bid_px, bid_qty, ask_px, ask_qty)."""
        cdef const Notice* n = &self.b.note
        return n.ts_ns, n.instrument_id, n.quote.bid_px, n.quote.bid_qty, n.quote.ask_px, n.quote.ask_qty

    def trade_note(self) -> tuple:
        """A TRADE notice as (ts_ns, instrument_id, side, px, qty)."""
        cdef const Notice* n = &self.b.note
        return n.ts_ns, n.instrument_id, n.side, n.px, n.qty

    def rows(self, str name) -> bytes:
        """A copy of one table of rows; orders that are still alive show as they are."""
        cdef Bt* b = &self.b
        cdef Rows* r
        cdef uint32_t i
        if name == "orders":
            r = &b.orders
            for i in range(b.n_own):
                if b.own[i].row.order_id and b.record & 1:
                    (<OrderRow*>(r.data + b.own[i].row_no * r.size))[0] = b.own[i].row
        elif name == "fills":
            r = &b.fills
        elif name == "positions":
            r = &b.positions
        elif name == "quotes":
            r = &b.quotes
        elif name == "equity":
            r = &b.equity
        elif name == "depth":
            r = &b.depth
        else:
            raise KeyError(name)
        return r.data[: r.n * r.size] if r.n else b""

    def counters(self) -> dict:
        """What happened so far, by name."""
        cdef Bt* b = &self.b
        return {
            "commands": b.n_commands, "events": b.n_events, "gone": b.n_gone, "reduced": b.n_reduced,
            "repaired": b.n_repaired, "hidden": b.n_hidden, "frame": b.frame_no, "now_ns": b.now_ns,
            "last_ns": b.last_ns, "failed": b.failed, "cash": b.cash, "realised": b.realised, "fees": b.fees,
            "timer_calls": b.n_calls[BT_TIMER], "book_calls": b.n_calls[BT_BOOK],
            "trade_calls": b.n_calls[BT_TRADE], "order_calls": b.n_calls[BT_ORDER],
        }

    @property
    def now_ns(self) -> int:
        return self.b.now_ns

    @property
    def handle(self) -> int:
        """Address for the exported functions; valid while this object lives."""
        return <uintptr_t>&self.b


def row_sizes() -> dict:
    """Return the size of every row struct, so that the dtypes can be compared with it."""
    return dict(_ROWS)
