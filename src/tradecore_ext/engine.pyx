"""The kernel as Python sees it: one object that owns the memory, one call for a batch of frames.

Owner of: memory, the Python border, the exported C functions.  What a command does is decided in the .pxd
modules, which are all compiled into this one translation unit.
Called by: tradecore.engine.Engine, Cython users (cimport), Numba users (exported addresses).
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.ref cimport Py_DECREF
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

cimport cython

from tradecore_ext.accounts_audit cimport accounts_audit
from tradecore_ext.bookaudit cimport book_audit
from tradecore_ext.dispatch cimport run_batch
from tradecore_ext.emit cimport STATUS_FAULT, order_px
from tradecore_ext.ids cimport id_find, id_tag
from tradecore_ext.image cimport image_save
from tradecore_ext.records cimport Image
from tradecore_ext.restore cimport image_restore
from tradecore_ext.ladder cimport ladder_find, ladder_next, orders_of, rank_of
from tradecore_ext.layout cimport lay_out
from tradecore_ext.mathx cimport fold_mul
from tradecore_ext.memory cimport map_memory, unmap_memory
from tradecore_ext.scalars cimport signed64, unsigned8, unsigned16, unsigned32, unsigned64
from tradecore_ext.state cimport *
from tradecore_ext.types cimport *

cdef extern from "numpy/arrayobject.h":
    ctypedef class numpy.ndarray [object PyArrayObject, check_size ignore]:
        pass
    int _import_array() except -1
    bint PyArray_CheckExact(object o)
    bint PyArray_IS_C_CONTIGUOUS(ndarray a)
    void* PyArray_DATA(ndarray a)
    void* PyArray_DESCR(ndarray a)
    Py_ssize_t PyArray_NBYTES(ndarray a)

_import_array()

cdef enum:
    FIRST_EVENTS = 16384   # events the buffer holds at construction
    SMALL_BATCH = 16       # frames up to which releasing the GIL costs more than it gives


class KernelFault(RuntimeError):
    """The engine has stopped: `status` (9xx) and the kernel line that latched it."""

    def __init__(self, status: int, line: int, in_seq: int) -> None:
        super().__init__(status, line, in_seq)
        self.status = status
        self.line = line
        self.in_seq = in_seq

    def __str__(self) -> str:
        return f"engine stopped with status {self.status} (check {self.line}) at command {self.in_seq}"


cdef object fault_type = KernelFault
cdef object frame_error = ValueError
cdef object config_error = ValueError


def register_errors(fault, frame, config) -> None:
    """Let the library above put its own exceptions in place: fault(status, line, in_seq), the others (text)."""
    global fault_type, frame_error, config_error
    fault_type = fault
    frame_error = frame
    config_error = config


cdef uint8_t side_code(side) except 0:
    """1 or 2 from "buy", "sell", 1 or 2."""
    cdef str text
    if isinstance(side, str):
        text = <str>side
        if text == "buy":
            return 1
        if text == "sell":
            return 2
    elif side == 1:
        return 1
    elif side == 2:
        return 2
    raise config_error(f"side is {side!r}; use 'buy' or 'sell'")


cdef object dtype_of_frames(commands):
    """The array's dtype, where its bytes can be command frames: records of whole frames, or their bytes or words."""
    dtype = commands.dtype
    names = dtype.names or ()
    if "in_seq" in names:
        what = "of events"
    elif dtype.hasobject or dtype.kind not in "Viu":
        what = f"of {dtype}"
    elif dtype != dtype.newbyteorder("<"):
        what = "with the bytes of its numbers the other way round"
    elif names and dtype.itemsize % TC_FRAME_BYTES:
        what = f"of records of {dtype.itemsize} bytes"
    else:
        return dtype
    raise frame_error(f"an array {what} does not hold command frames; use an array of tradecore.COMMAND, or bytes")


cdef int64_t visible_qty(const Engine* e, uint32_t lv) noexcept nogil:
    """Quantity of a level without what icebergs hide; O(orders) where there are any, else O(1)."""
    cdef int64_t qty = e.level[lv].qty
    cdef uint32_t n
    if e.level[lv].icebergs:
        n = e.level[lv].head
        while n != NIL:
            if e.order[n].flags & OF_ICEBERG:
                qty -= e.order[n].leaves_qty - e.terms[e.order[n].terms].visible_qty
            n = e.order[n].next
    return qty


cdef class EventBatch


@cython.final
@cython.freelist(64)
cdef class OrderResult:
    """What became of one order sent by a helper call: status, quantities, number of events."""
    cdef readonly uint64_t order_id
    cdef readonly int status
    cdef readonly int64_t cum_qty
    cdef readonly int64_t leaves_qty
    cdef readonly int events

    @property
    def ok(self) -> bool:
        """True unless the command was refused."""
        return self.status < 100 or self.status >= 404 and self.status < 500 and self.events > 1

    def __repr__(self) -> str:
        return (
            f"OrderResult(order_id={self.order_id}, status={self.status}, cum_qty={self.cum_qty}, "
            f"leaves_qty={self.leaves_qty}, events={self.events})"
        )


cdef class Kernel:
    """One engine. Not thread-safe: one owner at a time; apply releases the GIL for large batches."""
    cdef Engine e
    cdef char* region          # one mapping: every arena, in the order of lay_out
    cdef uint64_t region_bytes
    cdef uint64_t next_id
    cdef object frames_dtype   # of the arrays that were accepted last: asked once, compared by address

    def __cinit__(
        self, *, bint accounts, int prefetch, bint prefault, uint64_t id_seed, uint32_t max_instruments,
        uint32_t max_orders, uint32_t max_levels, uint32_t max_pages, uint32_t max_terms,
        uint32_t max_accounts, uint32_t max_groups, uint32_t max_assets, uint32_t max_wallets,
        uint32_t max_positions,
    ):
        cdef Engine* e = &self.e
        cdef uint32_t i
        memset(e, 0, sizeof(Engine))
        e.accounts = accounts
        e.prefetch = prefetch
        e.epoch = 1
        e.max_instruments = max_instruments
        e.max_orders = max_orders
        e.max_levels = max_levels
        e.max_pages = max_pages
        e.max_terms = max_terms
        e.max_timers = max_terms + max_instruments + 8
        e.order_free = e.terms_free = e.level_free = NIL
        e.page_fresh = 1
        e.parents_head = e.parents_tail = NIL
        if accounts:
            e.max_accounts = max_accounts
            e.max_groups = max_groups
            e.max_assets = max_assets
            e.max_wallets = max_wallets
            e.max_positions = max_positions
            e.max_group_positions = 2 * max_positions
            e.cap_dirty = max_wallets + max_positions
        self.region_bytes = lay_out(e, NULL, prefault)
        self.region = <char*>map_memory(self.region_bytes, prefault)
        if self.region == NULL:
            raise MemoryError(f"cannot map {self.region_bytes} bytes for the engine")
        lay_out(e, self.region, prefault)
        # Two keys out of one seed; the second is odd, so that multiplying by it loses nothing.
        e.ids.key0 = fold_mul(id_seed ^ <uint64_t>0x9E3779B97F4A7C15, <uint64_t>0xD6E8FEB86659FD93)
        e.ids.key1 = fold_mul(id_seed ^ <uint64_t>0xC2B2AE3D27D4EB4F, <uint64_t>0x9FB21C651E98DF25) | 1
        if accounts:
            for i in range(max_accounts + 1):
                e.account[i].wallets_head = e.account[i].positions_head = NIL
        e.cap_out = FIRST_EVENTS
        e.out = <tc_event*>malloc(e.cap_out * sizeof(tc_event))
        if e.out == NULL:
            raise MemoryError("no memory for the event buffer")

    def __dealloc__(self):
        cdef uint32_t i
        free(self.e.out)
        for i in range(self.e.n_retired):
            free(self.e.retired[i])
        unmap_memory(self.region, self.region_bytes)

    # ---- the hot call -------------------------------------------------------------------------------

    cdef inline int run(self, const tc_command* c, uint64_t n) except -1:
        cdef Engine* e = &self.e
        cdef uint32_t i
        if e.fault:
            raise fault_type(e.fault, e.fault_line, e.in_seq)
        if e.n_retired and e.out_pinned == 0:
            for i in range(e.n_retired):
                free(e.retired[i])
            e.n_retired = 0
        if n <= SMALL_BATCH:
            run_batch(e, c, n)
        else:
            with nogil:
                run_batch(e, c, n)
        if e.fault == STATUS_FAULT:
            raise fault_type(e.fault, e.fault_line, e.in_seq)
        return 0

    def apply(self, commands) -> EventBatch:
        """Run a buffer of whole command frames; see tradecore.Engine.apply."""
        cdef Py_buffer view
        if PyArray_CheckExact(commands) and PyArray_IS_C_CONTIGUOUS(commands):
            if PyArray_DESCR(commands) != <void*>self.frames_dtype:
                self.frames_dtype = dtype_of_frames(commands)
            self.run_bytes(PyArray_DATA(commands), PyArray_NBYTES(commands))
            return self.batch()
        if PyArray_CheckExact(commands):
            raise frame_error("an array with gaps holds no frames in a row; pass numpy.ascontiguousarray(commands)")
        PyObject_GetBuffer(commands, &view, PyBUF_SIMPLE)
        try:
            self.run_bytes(view.buf, view.len)
        finally:
            PyBuffer_Release(&view)
        return self.batch()

    cdef EventBatch batch(self):
        """The events of the call just made. A new object each time: one that the kernel kept would keep the kernel
        too, and an engine's memory would wait for the cycle collector, which does not know how much it is."""
        cdef EventBatch events = EventBatch.__new__(EventBatch)
        events.kernel = self
        events.n = <Py_ssize_t>self.e.n_out
        return events

    cdef int run_bytes(self, const void* p, Py_ssize_t nbytes) except -1:
        cdef void* aligned
        if nbytes & (TC_FRAME_BYTES - 1):
            raise frame_error(
                f"a command buffer holds whole frames of {TC_FRAME_BYTES} bytes; this one has {nbytes} bytes"
            )
        if not (<uintptr_t>p & 7):
            return self.run(<const tc_command*>p, <uint64_t>nbytes // TC_FRAME_BYTES)
        # msgpack puts a payload at any offset: one copy gives the frames the alignment of their fields.
        aligned = malloc(nbytes)
        if aligned == NULL:
            raise MemoryError(f"no memory to align {nbytes} bytes of frames")
        memcpy(aligned, p, nbytes)
        try:
            return self.run(<const tc_command*>aligned, <uint64_t>nbytes // TC_FRAME_BYTES)
        finally:
            free(aligned)

    # ---- one call per order ---------------------------------------------------------------------------

    cdef OrderResult result_of(self, uint64_t order_id):
        """Read the outcome of the command just run out of its events."""
        cdef OrderResult r = OrderResult.__new__(OrderResult)
        cdef tc_event* v = self.e.out
        cdef tc_order_event* o
        cdef tc_fill_event* f
        cdef uint64_t i
        r.order_id = order_id
        r.events = <int>self.e.n_out
        for i in range(self.e.n_out):
            if v[i].kind == TC_EVT_FILL:
                f = <tc_fill_event*>(v + i)
                if f.order_id == order_id:
                    r.cum_qty += f.last_qty
                    r.leaves_qty -= f.last_qty
                elif f.maker_order_id == order_id:
                    r.cum_qty += f.last_qty
                    r.leaves_qty -= f.last_qty
            elif v[i].order_id == order_id and v[i].kind != TC_EVT_SETTLED:
                r.status = v[i].status
                if v[i].kind != TC_EVT_REJECTED and v[i].kind != TC_EVT_CANCEL_REJECTED and (
                    v[i].kind != TC_EVT_REPLACE_REJECTED
                ):
                    o = <tc_order_event*>(v + i)
                    r.cum_qty = o.cum_qty
                    r.leaves_qty = o.leaves_qty
        return r

    cdef uint64_t free_id(self) noexcept:
        """The next id of the helpers' own sequence that is not live."""
        self.next_id += 1
        while id_find(&self.e, self.next_id, id_tag(&self.e.ids, self.next_id)) != NIL:
            self.next_id += 1
        return self.next_id

    def new_order(
        self, account_id, instrument_id, side, order_qty, px=0, ord_type=2, tif=1, flags=0, stp=0, order_id=0,
        stop_px=0, display_qty=0, min_qty=0, expire_ts_ns=0, cash_order_qty=0, trailing_bps=0, ts_ns=0,
    ) -> OrderResult:
        """One NEW_ORDER command; ts_ns 0 keeps the engine's time. Returns what became of the order."""
        return self.send(
            unsigned32(<void*>config_error, account_id, "account_id"),
            unsigned32(<void*>config_error, instrument_id, "instrument_id"),
            unsigned8(<void*>config_error, side, "side"),
            signed64(<void*>config_error, order_qty, "order_qty"),
            signed64(<void*>config_error, px, "px"),
            unsigned8(<void*>config_error, ord_type, "ord_type"),
            unsigned8(<void*>config_error, tif, "tif"),
            unsigned32(<void*>config_error, flags, "flags"),
            unsigned8(<void*>config_error, stp, "stp"),
            unsigned64(<void*>config_error, order_id, "order_id"),
            signed64(<void*>config_error, stop_px, "stop_px"),
            signed64(<void*>config_error, display_qty, "display_qty"),
            signed64(<void*>config_error, min_qty, "min_qty"),
            unsigned64(<void*>config_error, expire_ts_ns, "expire_ts_ns"),
            signed64(<void*>config_error, cash_order_qty, "cash_order_qty"),
            unsigned16(<void*>config_error, trailing_bps, "trailing_bps"),
            unsigned64(<void*>config_error, ts_ns, "ts_ns"),
        )

    cdef OrderResult send(
        self, uint32_t account_id, uint32_t instrument_id, uint8_t side, int64_t order_qty, int64_t px,
        uint8_t ord_type, uint8_t tif, uint32_t flags, uint8_t stp, uint64_t order_id, int64_t stop_px,
        int64_t display_qty, int64_t min_qty, uint64_t expire_ts_ns, int64_t cash_order_qty,
        uint16_t trailing_bps, uint64_t ts_ns,
    ):
        """Build the frame on the stack, run it, read its events."""
        cdef tc_command c[2]
        cdef tc_terms* t = <tc_terms*>&c[1]
        memset(c, 0, sizeof(c))
        c[0].ts_ns = ts_ns
        c[0].kind = TC_CMD_NEW_ORDER
        c[0].side = side
        c[0].ord_type = ord_type
        c[0].tif = tif
        c[0].stp = stp
        c[0].account_id = account_id
        c[0].instrument_id = instrument_id
        c[0].order_id = order_id if order_id else self.free_id()
        c[0].px = px
        c[0].order_qty = order_qty
        c[0].flags = flags
        if stop_px or display_qty or min_qty or expire_ts_ns or cash_order_qty or trailing_bps:
            c[0].cont = 1
            t.kind = TC_CMD_TERMS
            t.stop_px = stop_px
            t.display_qty = display_qty
            t.min_qty = min_qty
            t.expire_ts_ns = expire_ts_ns
            t.cash_order_qty = cash_order_qty
            t.trailing_bps = trailing_bps
        self.run(c, 1 + c[0].cont)
        return self.result_of(c[0].order_id)

    def limit(
        self, account_id, instrument_id, side, px, qty, tif=1, flags=0, stp=0, order_id=0, display_qty=0, min_qty=0,
        expire_ts_ns=0, ts_ns=0,
    ) -> OrderResult:
        """Send a limit order: side "buy" or "sell", px in ticks, qty in lots. Returns what became of it."""
        return self.send(
            unsigned32(<void*>config_error, account_id, "account_id"),
            unsigned32(<void*>config_error, instrument_id, "instrument_id"),
            side_code(side),
            signed64(<void*>config_error, qty, "qty"),
            signed64(<void*>config_error, px, "px"),
            TC_ORD_LIMIT,
            unsigned8(<void*>config_error, tif, "tif"),
            unsigned32(<void*>config_error, flags, "flags"),
            unsigned8(<void*>config_error, stp, "stp"),
            unsigned64(<void*>config_error, order_id, "order_id"),
            0,
            signed64(<void*>config_error, display_qty, "display_qty"),
            signed64(<void*>config_error, min_qty, "min_qty"),
            unsigned64(<void*>config_error, expire_ts_ns, "expire_ts_ns"),
            0,
            0,
            unsigned64(<void*>config_error, ts_ns, "ts_ns"),
        )

    def market(
        self, account_id, instrument_id, side, qty=0, px=0, tif=3, flags=0, stp=0, order_id=0, min_qty=0,
        cash_order_qty=0, ts_ns=0,
    ) -> OrderResult:
        """Send a market order by qty (lots) or by cash_order_qty (quote units); px is its protective price."""
        return self.send(
            unsigned32(<void*>config_error, account_id, "account_id"),
            unsigned32(<void*>config_error, instrument_id, "instrument_id"),
            side_code(side),
            signed64(<void*>config_error, qty, "qty"),
            signed64(<void*>config_error, px, "px"),
            TC_ORD_MARKET,
            unsigned8(<void*>config_error, tif, "tif"),
            unsigned32(<void*>config_error, flags, "flags"),
            unsigned8(<void*>config_error, stp, "stp"),
            unsigned64(<void*>config_error, order_id, "order_id"),
            0,
            0,
            signed64(<void*>config_error, min_qty, "min_qty"),
            0,
            signed64(<void*>config_error, cash_order_qty, "cash_order_qty"),
            0,
            unsigned64(<void*>config_error, ts_ns, "ts_ns"),
        )

    def stop(
        self, account_id, instrument_id, side, stop_px, qty, px=0, tif=1, flags=0, stp=0, order_id=0, trailing_bps=0,
        expire_ts_ns=0, ts_ns=0,
    ) -> OrderResult:
        """Send a stop order, with px a stop-limit; with trailing_bps, stop_px is its activation price."""
        return self.send(
            unsigned32(<void*>config_error, account_id, "account_id"),
            unsigned32(<void*>config_error, instrument_id, "instrument_id"),
            side_code(side),
            signed64(<void*>config_error, qty, "qty"),
            signed64(<void*>config_error, px, "px"),
            TC_ORD_STOP_LIMIT if signed64(<void*>config_error, px, "px") else TC_ORD_STOP,
            unsigned8(<void*>config_error, tif, "tif"),
            unsigned32(<void*>config_error, flags, "flags"),
            unsigned8(<void*>config_error, stp, "stp"),
            unsigned64(<void*>config_error, order_id, "order_id"),
            signed64(<void*>config_error, stop_px, "stop_px"),
            0,
            0,
            unsigned64(<void*>config_error, expire_ts_ns, "expire_ts_ns"),
            0,
            unsigned16(<void*>config_error, trailing_bps, "trailing_bps"),
            unsigned64(<void*>config_error, ts_ns, "ts_ns"),
        )

    def cancel(self, account_id, order_id, ts_ns=0) -> OrderResult:
        """One CANCEL_ORDER command."""
        cdef tc_command c
        memset(&c, 0, sizeof(c))
        c.ts_ns = unsigned64(<void*>config_error, ts_ns, "ts_ns")
        c.kind = TC_CMD_CANCEL_ORDER
        c.account_id = <uint32_t>unsigned32(<void*>config_error, account_id, "account_id")
        c.order_id = unsigned64(<void*>config_error, order_id, "order_id")
        self.run(&c, 1)
        return self.result_of(c.order_id)

    def replace(
        self, account_id, order_id, px=0, order_qty=0, flags=0, ts_ns=0,
    ) -> OrderResult:
        """One REPLACE_ORDER command; 0 keeps a value."""
        cdef tc_command c
        memset(&c, 0, sizeof(c))
        c.ts_ns = unsigned64(<void*>config_error, ts_ns, "ts_ns")
        c.kind = TC_CMD_REPLACE_ORDER
        c.account_id = <uint32_t>unsigned32(<void*>config_error, account_id, "account_id")
        c.order_id = unsigned64(<void*>config_error, order_id, "order_id")
        c.px = signed64(<void*>config_error, px, "px")
        c.order_qty = signed64(<void*>config_error, order_qty, "order_qty")
        c.flags = <uint32_t>unsigned32(<void*>config_error, flags, "flags")
        self.run(&c, 1)
        return self.result_of(c.order_id)

    # ---- looking inside ---------------------------------------------------------------------------------

    cdef Book* book_or_raise(self, uint32_t instrument_id) except NULL:
        if instrument_id >= self.e.max_instruments or not self.e.book[instrument_id].exists:
            raise KeyError(f"no instrument {instrument_id}")
        return self.e.book + instrument_id

    def best(self, instrument_id) -> tuple:
        """(best bid, best ask) in ticks, None for an empty side."""
        cdef uint32_t instrument_id_ = <uint32_t>unsigned32(<void*>config_error, instrument_id, "instrument_id")
        cdef Book* b = self.book_or_raise(instrument_id_)
        bid = self.e.level[b.ladder[L_BID].best_level].px if b.ladder[L_BID].n_levels else None
        ask = self.e.level[b.ladder[L_ASK].best_level].px if b.ladder[L_ASK].n_levels else None
        return bid, ask

    def depth(self, instrument_id, side, levels=0) -> list:
        """Levels of a side, best first: (px, visible qty, number of orders). levels 0 = all."""
        cdef uint32_t instrument_id_ = <uint32_t>unsigned32(<void*>config_error, instrument_id, "instrument_id")
        cdef uint64_t levels_ = unsigned64(<void*>config_error, levels, "levels")
        cdef Book* b = self.book_or_raise(instrument_id_)
        cdef int which = side_code(side) - 1
        cdef uint32_t lv = b.ladder[which].best_level
        out = []
        while lv != NIL and (levels_ == 0 or <uint64_t>len(out) < levels_):
            out.append((self.e.level[lv].px, visible_qty(&self.e, lv), self.e.level[lv].count))
            lv = ladder_next(&self.e, &b.ladder[which], rank_of(which, self.e.level[lv].px))
        return out

    def queue(self, instrument_id, side, px) -> list:
        """Orders at a price in queue order: (order_id, visible qty, leaves_qty, account_id)."""
        cdef uint32_t instrument_id_ = <uint32_t>unsigned32(<void*>config_error, instrument_id, "instrument_id")
        cdef int64_t px_ = signed64(<void*>config_error, px, "px")
        cdef Book* b = self.book_or_raise(instrument_id_)
        cdef int which = side_code(side) - 1
        cdef uint32_t lv = ladder_find(&self.e, &b.ladder[which], rank_of(which, px_))
        cdef uint32_t n
        out = []
        if lv != NIL:
            n = self.e.level[lv].head
            while n != NIL:
                out.append((
                    self.e.order[n].order_id,
                    self.e.terms[self.e.order[n].terms].visible_qty if self.e.order[n].flags & OF_ICEBERG
                    else self.e.order[n].leaves_qty,
                    self.e.order[n].leaves_qty, self.e.order[n].account_id,
                ))
                n = self.e.order[n].next
        return out

    def market_state(self, instrument_id) -> dict:
        """Phase, last and mark price, counts of one instrument. O(levels)."""
        cdef uint32_t instrument_id_ = <uint32_t>unsigned32(<void*>config_error, instrument_id, "instrument_id")
        cdef Book* b = self.book_or_raise(instrument_id_)
        return {
            "phase": b.phase, "last_px": b.last_px, "mark_px": b.mark_px, "live_orders": b.n_live,
            "bid_levels": b.ladder[L_BID].n_levels, "ask_levels": b.ladder[L_ASK].n_levels,
            "bid_orders": orders_of(&self.e, &b.ladder[L_BID]), "ask_orders": orders_of(&self.e, &b.ladder[L_ASK]),
            "bid_qty": b.ladder[L_BID].qty, "ask_qty": b.ladder[L_ASK].qty,
            "stops": b.n_stops, "trailing": b.n_trailing, "band_ref_px": b.spec.band_ref_px,
        }

    def order(self, order_id):
        """A live order as a dict, None where there is none."""
        cdef uint64_t order_id_ = unsigned64(<void*>config_error, order_id, "order_id")
        cdef uint32_t slot = id_find(&self.e, order_id_, id_tag(&self.e.ids, order_id_))
        cdef Order* o
        if slot == NIL:
            return None
        o = self.e.order + slot
        return {
            "order_id": o.order_id, "account_id": o.account_id, "instrument_id": o.instrument_id,
            "side": o.side, "ord_type": o.ord_type, "tif": o.tif, "stp": o.stp, "flags": o.flags & 0xFF,
            "px": order_px(&self.e, o), "order_qty": o.order_qty, "cum_qty": o.cum_qty,
            "leaves_qty": o.leaves_qty, "state": o.state,
            "stop_px": 0 if o.terms == NIL else self.e.terms[o.terms].stop_px,
        }

    def wallets(self, account_id) -> list:
        """(asset_id, total, hold, upnl, initial_margin, maintenance_margin, state), by asset id."""
        cdef uint32_t account_id_ = <uint32_t>unsigned32(<void*>config_error, account_id, "account_id")
        cdef uint32_t w
        if not self.e.accounts or account_id_ >= self.e.max_accounts or not self.e.account[account_id_].exists:
            raise KeyError(f"no account {account_id_}")
        out = []
        w = self.e.account[account_id_].wallets_head
        while w != NIL:
            out.append((
                self.e.wallet[w].asset_id, self.e.wallet[w].total, self.e.wallet[w].hold, self.e.wallet[w].upnl,
                self.e.wallet[w].initial_margin, self.e.wallet[w].maintenance_margin, self.e.wallet[w].state,
            ))
            w = self.e.wallet[w].acct_next
        return sorted(out)

    def positions_of(self, account_id) -> list:
        """(instrument_id, qty, cost, realised, fees, open_buy, open_sell, initial_margin, maintenance_margin,
        upnl, iso_margin, mode, state), by instrument id."""
        cdef uint32_t account_id_ = <uint32_t>unsigned32(<void*>config_error, account_id, "account_id")
        cdef uint32_t p
        if not self.e.accounts or account_id_ >= self.e.max_accounts or not self.e.account[account_id_].exists:
            raise KeyError(f"no account {account_id_}")
        out = []
        p = self.e.account[account_id_].positions_head
        while p != NIL:
            out.append((
                self.e.position[p].instrument_id, self.e.position[p].qty, self.e.position[p].cost,
                self.e.position[p].realised, self.e.position[p].fees, self.e.position[p].open_buy,
                self.e.position[p].open_sell, self.e.position[p].initial_margin,
                self.e.position[p].maintenance_margin, self.e.position[p].upnl, self.e.position[p].iso_margin,
                self.e.position[p].mode, self.e.position[p].state,
            ))
            p = self.e.position[p].acct_next
        return sorted(out)

    def ledger(self, asset_id) -> dict:
        """The engine's own accounts of one asset."""
        cdef uint32_t asset_id_ = <uint32_t>unsigned32(<void*>config_error, asset_id, "asset_id")
        if not self.e.accounts or asset_id_ >= self.e.max_assets:
            raise KeyError(f"no asset {asset_id_}")
        return {
            "fees": self.e.fees[asset_id_], "deposits": self.e.deposits[asset_id_],
            "clearing": self.e.clearing[asset_id_],
        }

    def counters(self) -> dict:
        """Clock, sequence numbers and how full the arenas are."""
        cdef Engine* e = &self.e
        return {
            "now": e.now, "in_seq": e.in_seq, "out_seq": e.out_seq, "epoch": e.epoch, "fault": e.fault,
            "live_orders": e.live, "max_orders": e.max_orders, "levels": e.n_levels, "max_levels": e.max_levels,
            "pages": e.n_pages, "max_pages": e.max_pages, "terms": e.n_terms, "max_terms": e.max_terms,
            "timers": e.n_timers, "wallets": e.n_wallets, "positions": e.n_positions,
            "event_capacity": e.cap_out,
        }

    def bytes_per_order(self) -> dict:
        """Bytes that one open plain order takes, by part (capacity-independent)."""
        return {
            "order": sizeof(Order), "money": sizeof(Money) if self.e.accounts else 0, "id_bucket": 16,
            "scratch": 4, "level": sizeof(Level), "page": sizeof(Page), "terms": sizeof(Terms),
        }

    def audit(self) -> tuple:
        """(0, ...) when every identity holds, else (code, observed, expected, where). O(state)."""
        cdef AuditResult r
        memset(&r, 0, sizeof(r))
        book_audit(&self.e, &r)
        if r.code == 0 and self.e.accounts:
            accounts_audit(&self.e, &r)
        return r.code, r.observed, r.expected, r.where

    # ---- state out and in ---------------------------------------------------------------------------------

    def export_state(self) -> list:
        """The whole state as named canonical sections, (name, bytes); no slot number is in them. O(state)."""
        cdef Image im
        cdef int i
        memset(&im, 0, sizeof(im))
        failed = image_save(&self.e, &im) != 0
        out = []
        for i in range(im.count):
            if im.owner[i] != NULL:
                out.append(((<bytes>im.name[i]).decode(), <bytes>im.owner[i]))
                Py_DECREF(<object>im.owner[i])  # the list holds it now
        if failed:
            raise MemoryError("no memory for the state image")
        return out

    def import_state(self, sections) -> None:
        """Fill this new, empty kernel from export_state()'s sections; ValueError names what is wrong."""
        cdef Image im
        cdef int i = 0
        cdef int code
        memset(&im, 0, sizeof(im))
        if self.e.in_seq or self.e.live:
            raise ValueError("a state image goes into a new kernel only")
        keep = []
        for name, data in sections:
            if i == 16:
                raise ValueError("too many sections in the state image")
            raw = bytes(data)
            label = name.encode()
            keep.append((raw, label))
            im.name[i] = label
            im.data[i] = <void*><char*>raw
            im.size[i] = len(raw)
            i += 1
        im.count = i
        code = image_restore(&self.e, &im)
        if code != 0:
            raise ValueError(f"state image refused: {(<bytes>im.error).decode()}")

    @property
    def now(self) -> int:
        return self.e.now

    @property
    def in_seq(self) -> int:
        return self.e.in_seq

    @property
    def out_seq(self) -> int:
        return self.e.out_seq

    @property
    def handle(self) -> int:
        """Address of the engine for the exported C functions; valid while this object lives."""
        return <uintptr_t>&self.e


@cython.final
@cython.no_gc
@cython.freelist(16)
cdef class EventBatch:
    """Events of the last apply: a buffer of 64-byte frames, valid until the next apply.

    Supports the buffer protocol (`np.frombuffer(batch, dtype=tradecore.EVENT)` copies nothing), `len()`,
    `bytes()`.  Keep a copy where events must outlive the next call.
    """
    cdef Kernel kernel
    cdef Py_ssize_t n

    def __len__(self) -> int:
        return self.n

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.kernel.e.out, self.n * TC_FRAME_BYTES, 1, flags)
        self.kernel.e.out_pinned += 1

    def __releasebuffer__(self, Py_buffer* view):
        self.kernel.e.out_pinned -= 1

    def __bytes__(self) -> bytes:
        return (<char*>self.kernel.e.out)[: self.n * TC_FRAME_BYTES]

    @property
    def nbytes(self) -> int:
        return self.n * TC_FRAME_BYTES


# ---- exported C functions: the surface for Cython and Numba ---------------------------------------------


cdef uint64_t tc_apply(void* handle, const tc_command* commands, uint64_t n_frames) noexcept nogil:
    cdef Engine* e = <Engine*>handle
    if e.fault:
        return 0
    return run_batch(e, commands, n_frames)


cdef const tc_event* tc_events(void* handle) noexcept nogil:
    return (<Engine*>handle).out


cdef uint64_t tc_event_count(void* handle) noexcept nogil:
    return (<Engine*>handle).n_out


cdef uint32_t tc_fault(void* handle) noexcept nogil:
    return (<Engine*>handle).fault


cdef int64_t tc_best_px(void* handle, uint32_t instrument_id, uint8_t side) noexcept nogil:
    cdef Engine* e = <Engine*>handle
    cdef Book* b
    if instrument_id >= e.max_instruments or side < 1 or side > 2 or not e.book[instrument_id].exists:
        return 0
    b = e.book + instrument_id
    return 0 if b.ladder[side - 1].n_levels == 0 else e.level[b.ladder[side - 1].best_level].px


cdef int64_t tc_best_qty(void* handle, uint32_t instrument_id, uint8_t side) noexcept nogil:
    cdef Engine* e = <Engine*>handle
    cdef Book* b
    if instrument_id >= e.max_instruments or side < 1 or side > 2 or not e.book[instrument_id].exists:
        return 0
    b = e.book + instrument_id
    return 0 if b.ladder[side - 1].n_levels == 0 else e.level[b.ladder[side - 1].best_level].qty


cdef uint32_t tc_abi() noexcept nogil:
    return TC_ABI


cdef uint64_t tc_now(void* handle) noexcept nogil:
    return (<Engine*>handle).now


cdef uint64_t tc_in_seq(void* handle) noexcept nogil:
    return (<Engine*>handle).in_seq


cdef uint64_t tc_depth(
    void* handle, uint32_t instrument_id, uint8_t side, uint64_t levels, tc_level_event* out
) noexcept nogil:
    """Write px, visible qty, orders and index of at most `levels` levels, best first; return how many."""
    cdef Engine* e = <Engine*>handle
    cdef Book* b
    cdef uint32_t lv
    cdef uint32_t index = 0
    if instrument_id >= e.max_instruments or side < 1 or side > 2 or not e.book[instrument_id].exists:
        return 0
    b = e.book + instrument_id
    lv = NIL if b.ladder[side - 1].n_levels == 0 else b.ladder[side - 1].best_level
    while lv != NIL and index < levels:
        memset(out + index, 0, sizeof(tc_level_event))
        out[index].px = e.level[lv].px
        out[index].qty = visible_qty(e, lv)
        out[index].orders = e.level[lv].count
        out[index].index = index
        index += 1
        if index < levels:
            lv = ladder_next(e, &b.ladder[side - 1], rank_of(side - 1, e.level[lv].px))
    return index
