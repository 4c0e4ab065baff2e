"""What stands between the log and the engine: one pass over a record in, one pass over its events out.

Owner of: memory, the numbers of execution and market-data frames, the saved form.  What is admitted is admission.pxd's,
market data tape.pxd's.  All memory but the output buffers is mapped at construction.
Called by: tradecore.cell.Cell, which owns envelopes, sources and snapshots.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport cython

from tradecore_ext.admission cimport *
from tradecore_ext.engine cimport tc_apply, tc_event_count, tc_events, tc_fault, tc_in_seq, tc_now
from tradecore_ext.framebuf cimport Frames, frames_next, frames_reserve
from tradecore_ext.mathx cimport fold_mul
from tradecore_ext.memory cimport map_memory, unmap_memory
from tradecore_ext.recents cimport *
from tradecore_ext.tape cimport *
from tradecore_ext.types cimport *

from tradecore_ext.engine import Kernel

cdef enum:
    MOST_FRAMES = 1 << 20   # in one record: envelope.MAX_FRAMES
    MAPS = 12


@cython.final
cdef class FrameBuffer:
    """Event frames in the order they were written; a buffer of bytes, unchanged while it is viewed."""
    cdef Frames f

    def __dealloc__(self):
        free(self.f.data)

    def __len__(self) -> int:
        return <Py_ssize_t>self.f.count

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.f.data, <Py_ssize_t>(self.f.count * TC_FRAME_BYTES), 1, flags)
        self.f.pinned += 1

    def __releasebuffer__(self, Py_buffer* view):
        self.f.pinned -= 1

    def __bytes__(self) -> bytes:
        return (<char*>self.f.data)[: self.f.count * TC_FRAME_BYTES]

    @property
    def nbytes(self) -> int:
        return self.f.count * TC_FRAME_BYTES

    def cuts(self, uint64_t most) -> list:
        """Where to divide the frames into pieces of at most `most`: (first frame, frames), whole batches if they fit.

        Raises ValueError when `most` is 0. O(batches).
        """
        cdef uint64_t at = 0
        cdef uint64_t begin = 0
        cdef uint64_t size
        if most == 0:
            raise ValueError("a piece holds at least one frame")
        out = []
        while at < self.f.count:
            size = 1
            if self.f.data[at].kind == TC_CELL_BATCH:
                size += (<tc_batch_event*>(self.f.data + at)).count
            if at + size - begin > most and at > begin:
                out.append((begin, at - begin))
                begin = at
            at += size
            while at - begin > most:
                out.append((begin, most))
                begin += most
        if at > begin:
            out.append((begin, at - begin))
        return out


cdef uint64_t table_bits(uint64_t n) noexcept nogil:
    """Bits of the smallest power of two >= 2n."""
    cdef uint64_t k = 1
    while (<uint64_t>1 << k) < 2 * n:
        k += 1
    return k


@cython.final
cdef class Gate:
    """The gate of one engine.

    Parameters
    ----------
    engine : Kernel
        Kept alive; nobody else may send it commands.
    recent_orders : int
        Order ids remembered, 1 to 2**30.
    max_instruments : int
        The engine's.
    sessions : bool
        Whether order ids carry their session, and commands that name another one are refused.
    id_seed : int
        Key of the table of ids; shows in no output.
    depth_levels, depth_ns : int
        Levels of a side in a depth picture (1 to 64), and the interval of log time; 0 ns = no pictures.
    """
    cdef Admission a
    cdef Tape t
    cdef uint64_t n_events
    cdef void* handle
    cdef object engine
    cdef bint broken
    cdef void* maps[MAPS]
    cdef uint64_t map_bytes[MAPS]
    cdef uint32_t n_maps
    cdef public uint64_t exec_seq
    cdef public uint64_t market_seq
    cdef readonly uint64_t events
    cdef readonly uint32_t fenced

    def __cinit__(
        self, engine, *, uint32_t recent_orders, uint32_t max_instruments, bint sessions, uint64_t id_seed,
        uint32_t depth_levels, uint64_t depth_ns
    ):
        cdef uint64_t bits
        if not isinstance(engine, Kernel):
            raise TypeError("a gate needs an engine")
        if not 1 <= recent_orders <= 1 << 30:
            raise ValueError(f"recent_orders is {recent_orders}; it must be 1 to 2**30")
        if not 1 <= depth_levels <= DEPTH_MOST:
            raise ValueError(f"depth_levels is {depth_levels}; it must be 1 to {DEPTH_MOST}")
        self.engine = engine
        self.handle = <void*><uintptr_t>engine.handle
        self.a.sessions = sessions
        self.exec_seq = 1
        self.market_seq = 1
        bits = table_bits(recent_orders)
        self.a.r.capacity = recent_orders
        self.a.r.mask = <uint32_t>((<uint64_t>1 << bits) - 1)
        self.a.r.shift = <uint32_t>(32 - bits)
        self.a.r.key0 = fold_mul(id_seed ^ <uint64_t>0xA5A3564E27C7B8D1, <uint64_t>0xE7037ED1A0B428DB)
        self.a.r.key1 = fold_mul(id_seed ^ <uint64_t>0x8EBC6AF09C88C6E3, <uint64_t>0x589965CC75374CC3)
        self.a.r.entry = <Recent*>self.take(recent_orders, sizeof(Recent))
        self.a.r.bucket = <uint64_t*>self.take(<uint64_t>self.a.r.mask + 1, sizeof(uint64_t))
        self.t.max_instruments = max_instruments
        self.t.levels = depth_levels
        self.t.depth_ns = depth_ns
        self.t.quote = <Quote*>self.take(max_instruments, sizeof(Quote))
        self.t.mark = <uint8_t*>self.take(max_instruments, 1)
        self.t.touched = <uint32_t*>self.take(max_instruments, sizeof(uint32_t))
        self.a.commands = <tc_command*>self.take(MOST_FRAMES, sizeof(tc_command))
        self.a.answer = <tc_repeat_event*>self.take(MOST_FRAMES, sizeof(tc_repeat_event))
        self.a.answer_of = <uint32_t*>self.take(MOST_FRAMES, sizeof(uint32_t))
        self.a.turn = <uint32_t*>self.take(recent_orders, sizeof(uint32_t))
        self.a.added = <Added*>self.take(MOST_FRAMES, sizeof(Added))

    cdef void* take(self, uint64_t count, uint64_t size) except NULL:
        """Map memory for as long as the gate lives; the system commits it on first touch."""
        cdef uint64_t nbytes = ((count * size + 4095) // 4096 + 1) * 4096
        cdef void* p = map_memory(nbytes, False)
        if p == NULL:
            raise MemoryError(f"cannot map {nbytes} bytes for the gate")
        self.maps[self.n_maps] = p
        self.map_bytes[self.n_maps] = nbytes
        self.n_maps += 1
        return p

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.n_maps):
            unmap_memory(self.maps[i], self.map_bytes[i])

    # ---- out ----------------------------------------------------------------------------------------

    cdef tc_batch_event* head(
        self, Frames* out, uint16_t status, uint64_t offset, uint32_t source, uint64_t first_seq
    ) noexcept nogil:
        cdef tc_batch_event* b = <tc_batch_event*>frames_next(out)
        if b == NULL:
            return NULL
        b.kind = TC_CELL_BATCH
        b.status = status
        b.in_seq = <uint32_t>tc_in_seq(self.handle)
        b.ts_ns = tc_now(self.handle)
        b.in_offset = offset
        b.in_first_seq = first_seq
        b.in_source = source
        return b

    cdef void speak(
        self, Frames* out, Frames* market, uint64_t offset, uint32_t source, uint64_t first_seq, const tc_event* v
    ) noexcept nogil:
        """Write what one applied record made into both streams."""
        cdef tc_batch_event* b
        cdef tc_event* x
        cdef uint64_t count = self.a.n_answers + self.n_events
        cdef uint64_t at
        cdef uint64_t k
        cdef uint64_t now = tc_now(self.handle)
        b = self.head(out, TC_STATUS_OK, offset, source, first_seq)
        if b == NULL:
            return
        b.seq = self.exec_seq
        b.count = <uint32_t>count
        x = frames_reserve(out, count)
        if x == NULL:
            return
        memcpy(x, self.a.answer, self.a.n_answers * sizeof(tc_event))
        memcpy(x + self.a.n_answers, v, self.n_events * sizeof(tc_event))
        out.count += count
        self.exec_seq += 1 + count
        at = market.count
        if self.head(market, TC_STATUS_OK, offset, source, first_seq) == NULL:
            return
        tape_read(&self.t, v, self.n_events, now, market)
        tape_quotes(&self.t, self.handle, <uint32_t>tc_in_seq(self.handle), market)
        tape_pictures(&self.t, self.handle, now, <uint32_t>tc_in_seq(self.handle), market)
        count = market.count - at
        if count == 1:
            market.count = at
            return
        for k in range(count):
            market.data[at + k].seq = self.market_seq + k
        (<tc_batch_event*>(market.data + at)).count = <uint32_t>(count - 1)
        self.market_seq += count

    cdef int ready(self) except -1:
        if tc_fault(self.handle):
            self.engine.apply(b"")  # raises what the engine stopped with
        if self.broken:
            raise MemoryError("the gate ran out of memory in the middle of a record; restore a snapshot")
        return 0

    cdef int check_memory(self, FrameBuffer executions, FrameBuffer market) except -1:
        if executions.f.failed or market.f.failed:
            self.broken = True
            raise MemoryError("no memory for the output of a record, or its buffer is being viewed")
        return 0

    def run(
        self, frames, uint64_t ts_ns, uint64_t offset, uint32_t source, uint64_t first_seq,
        FrameBuffer executions not None, FrameBuffer market not None
    ) -> None:
        """Apply the command frames of one record and append what it made to both buffers.

        Parameters
        ----------
        frames : bytes-like
            Whole command frames at any alignment, at most 2**20; copied.
        ts_ns : int
            The log's time of the record, Unix ns.
        offset, source, first_seq : int
            For the head of the batch.
        executions, market : FrameBuffer
            A record that makes no market data adds nothing to the second.

        Raises
        ------
        EngineFault
            The engine stopped, now or before; nothing of the record was written.
        MemoryError
            As it says; the gate is unusable from then on.
        ValueError
            Not whole frames, or too many.

        Notes
        -----
        O(frames + events), and O(levels) for every instrument in a depth picture.
        """
        cdef Py_buffer view
        cdef uint64_t n
        cdef uint32_t before
        cdef const tc_event* v
        self.ready()
        PyObject_GetBuffer(frames, &view, PyBUF_SIMPLE)
        try:
            if view.len % TC_FRAME_BYTES or view.len > <Py_ssize_t>MOST_FRAMES * TC_FRAME_BYTES:
                raise ValueError(f"{view.len} bytes are not 0 to {MOST_FRAMES} whole frames")
            n = <uint64_t>view.len // TC_FRAME_BYTES
            memcpy(self.a.commands, view.buf, <size_t>view.len)
        finally:
            PyBuffer_Release(&view)
        with nogil:
            n = take_in(&self.a, n, ts_ns)
            before = <uint32_t>tc_in_seq(self.handle)
            self.n_events = 0
            if n:
                tc_apply(self.handle, self.a.commands, n)
                self.n_events = tc_event_count(self.handle)
            v = tc_events(self.handle)
        if tc_fault(self.handle) == TC_STATUS_FAULT:
            self.ready()
        if tc_fault(self.handle):
            self.fenced = self.epoch_asked(v)
        with nogil:
            settle_answers(&self.a, before, v, self.n_events, tc_now(self.handle))
            self.speak(&executions.f, &market.f, offset, source, first_seq, v)
        self.events += self.n_events
        self.check_memory(executions, market)

    cdef uint32_t epoch_asked(self, const tc_event* v) noexcept nogil:
        """The epoch that stopped the engine: said by the last event of its kind."""
        cdef uint64_t i = self.n_events
        while i > 0:
            i -= 1
            if v[i].kind == TC_EVT_REJECTED and v[i].status == TC_STATUS_EPOCH_UNKNOWN:
                return <uint32_t>(<const tc_reject_event*>(v + i)).observed
        return 1

    def skip(
        self, uint16_t status, uint64_t offset, uint32_t source, uint64_t first_seq, FrameBuffer executions not None
    ) -> None:
        """Append the head of a record of which nothing was applied. Raises as `run`."""
        cdef tc_batch_event* b
        self.ready()
        b = self.head(&executions.f, status, offset, source, first_seq)
        if b != NULL:
            b.seq = self.exec_seq
            self.exec_seq += 1
        self.check_memory(executions, executions)

    @property
    def repeated(self) -> int:
        """Orders that came again, since this object exists."""
        return self.a.repeated

    @property
    def refused(self) -> int:
        """Commands of another session than their order id's, since this object exists."""
        return self.a.refused

    # ---- state --------------------------------------------------------------------------------------

    def export_state(self) -> list:
        """The gate's state as (name, bytes) sections in canonical order; numbers are the caller's. O(state)."""
        cdef uint32_t i
        cdef Quote* q
        cdef Recents* r = &self.a.r
        cdef uint32_t first = r.capacity - r.oldest
        if first > r.count:
            first = r.count
        recents = (
            (<char*>(r.entry + r.oldest))[: first * sizeof(Recent)]
            + (<char*>r.entry)[: (r.count - first) * sizeof(Recent)]
        )
        quotes = bytearray()
        touched = bytearray()
        for i in range(self.t.max_instruments):
            q = self.t.quote + i
            if q.bid_px or q.bid_qty or q.ask_px or q.ask_qty:
                quotes += (<char*>&i)[:4] + bytes(4) + (<char*>q)[: sizeof(Quote)]
            if self.t.mark[i] & SINCE_PICTURE:
                touched += (<char*>&i)[:4]
        return [
            ("cell.recents", recents), ("cell.quotes", bytes(quotes)), ("cell.touched", bytes(touched)),
            ("cell.period", (<char*>&self.t.period)[:8]),
        ]

    def import_state(self, sections) -> None:
        """Fill a new gate from export_state's sections; ValueError names what is wrong. O(state)."""
        if self.a.r.count or self.t.period:
            raise ValueError("a state goes into a new gate only")
        parts = dict(sections)
        self.import_recents(parts["cell.recents"])
        self.import_tape(parts["cell.quotes"], parts["cell.touched"], parts["cell.period"])

    cdef int import_recents(self, bytes data) except -1:
        cdef const Recent* e = <const Recent*><const char*>data
        cdef uint64_t n = <uint64_t>len(data) // sizeof(Recent)
        cdef uint64_t i
        cdef uint32_t tag
        cdef uint32_t end = 0
        cdef uint32_t at
        if len(data) % sizeof(Recent) or n > self.a.r.capacity:
            raise ValueError("cell.recents: not a whole number of entries, or more than fit")
        for i in range(n):
            if e[i].reserved0 or e[i].answer_kind > TC_EVT_REJECTED or not numbered(e[i].order_id):
                raise ValueError(f"cell.recents: entry {i} is malformed")
            tag = recent_tag(&self.a.r, e[i].account_id, e[i].order_id)
            if recent_find(&self.a.r, tag, e[i].account_id, e[i].order_id, &end) != <uint32_t>NO_RECENT:
                raise ValueError(f"cell.recents: entry {i} is there twice")
            at = recent_add(&self.a.r, tag, e[i].account_id, e[i].order_id, e[i].terms, end)
            self.a.r.entry[at] = e[i]
        return 0

    cdef int import_tape(self, bytes quotes, bytes touched, bytes period) except -1:
        cdef const unsigned char* p = quotes
        cdef const uint32_t* ids = <const uint32_t*><const char*>touched
        cdef uint32_t row = 8 + sizeof(Quote)
        cdef uint32_t id
        cdef int64_t last = -1
        cdef Py_ssize_t i
        if len(quotes) % row or len(touched) % 4 or len(period) != 8:
            raise ValueError("cell.quotes, cell.touched or cell.period: wrong length")
        for i in range(len(quotes) // row):
            memcpy(&id, p + i * row, 4)
            if id >= self.t.max_instruments or <int64_t>id <= last:
                raise ValueError(f"cell.quotes: instrument {id} is out of order or range")
            last = id
            memcpy(self.t.quote + id, p + i * row + 8, sizeof(Quote))
        last = -1
        for i in range(len(touched) // 4):
            if ids[i] >= self.t.max_instruments or <int64_t>ids[i] <= last:
                raise ValueError(f"cell.touched: instrument {ids[i]} is out of order or range")
            last = ids[i]
            self.t.mark[ids[i]] = SINCE_PICTURE
            self.t.n_pending += 1
        memcpy(&self.t.period, <const char*>period, 8)
        return 0
