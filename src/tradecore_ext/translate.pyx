"""Recorded messages become order flow: what happened to resting orders turned back into what was asked.

Owner of: the rules of docs/concepts/backtesting.md, "Data".  Beside every translation runs an engine that holds the
recorded book, so that whether an execution was in priority is looked up and not guessed, and so that a market
replayed without own orders is the recorded one by construction.  Formats are decoded to columns or known offsets by
tradecore.research.convert_*; here are only their meanings.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uintptr_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

cimport cython

from tradecore_ext.state cimport Engine
from tradecore_ext.tr_book cimport finish_run
from tradecore_ext.tr_frames cimport Tr
from tradecore_ext.tr_itch cimport itch_message
from tradecore_ext.tr_lobster cimport fit, lobster_row
from tradecore_ext.tr_mbo cimport Mbo, mbo_record
from tradecore_ext.types cimport tc_command


@cython.final
cdef class Translator:
    """Turns decoded messages into frames; `owner` is the engine whose `handle` is given, empty but for instruments."""
    cdef Tr t
    cdef object owner
    cdef object kept         # LOBSTER: the last snapshots, which the next call goes on from
    cdef uintptr_t last_row

    def __cinit__(self, owner, uintptr_t handle):
        memset(&self.t, 0, sizeof(Tr))
        self.owner = owner
        self.t.e = <Engine*>handle

    def __dealloc__(self):
        free(self.t.out)
        free(self.t.received)
        free(self.t.run)

    cdef int check(self) except -1:
        if self.t.no_memory:
            raise MemoryError("no memory for the translated frames")
        if self.t.stopped:
            raise RuntimeError("the engine beside the translation has stopped")
        return 0

    def lobster(self, messages, book, int64_t levels) -> None:
        """Translate rows of a day, in order over all calls.

        `messages` is int64 (n, 6): ts_ns, type, order_id, qty, px, direction; `book` int64 (n, 4 * levels), the
        snapshot behind each message. The first row of all seeds the book.
        """
        cdef const int64_t* m = <const int64_t*><uintptr_t>messages.ctypes.data
        cdef const int64_t* row = <const int64_t*><uintptr_t>book.ctypes.data
        cdef int64_t n = len(messages)
        cdef int64_t k
        cdef int64_t width = 4 * levels
        cdef const int64_t* before = <const int64_t*><uintptr_t>self.last_row
        if messages.shape[1] != 6 or book.shape[0] != n or book.shape[1] != width or not (
            messages.flags.c_contiguous and book.flags.c_contiguous
        ):
            raise ValueError("messages (n, 6) and book (n, 4 * levels) of int64 are needed")
        if n == 0:
            return
        with nogil:
            for k in range(n):
                if not self.t.seeded:
                    self.t.seeded = 1
                    self.t.ts_ns = m[0]
                    fit(&self.t, row, levels)
                else:
                    lobster_row(&self.t, m + 6 * k, before, row + width * k, levels)
                before = row + width * k
                if self.t.no_memory or self.t.stopped:
                    break
        self.kept = book
        self.last_row = <uintptr_t>(row + width * (n - 1))
        self.check()

    def lobster_end(self, int64_t levels) -> None:
        """Write the executions that the last rows may have left."""
        if self.t.n_run:
            finish_run(&self.t, 0)
            fit(&self.t, <const int64_t*>self.last_row, levels)
        self.check()

    def itch(self, data, starts, instrument_of) -> None:
        """Translate ITCH 5.0 messages.

        `data` uint8 array, `starts` int64: where each message's type letter is, `instrument_of` int32 (65536,): the
        instrument of each locate code, -1 to leave it out.
        """
        cdef const uint8_t* p = <const uint8_t*><uintptr_t>data.ctypes.data
        cdef const int64_t* at = <const int64_t*><uintptr_t>starts.ctypes.data
        cdef const int32_t* instrument = <const int32_t*><uintptr_t>instrument_of.ctypes.data
        cdef int64_t n = len(starts)
        cdef int64_t k
        with nogil:
            for k in range(n):
                itch_message(&self.t, p + at[k], instrument)
                if self.t.no_memory or self.t.stopped:
                    break
        self.check()

    def mbo(self, records, instruments, int64_t divisor) -> int:
        """Translate DBN market-by-order records (56 bytes each); the number of those translated.

        `instruments` int32 (n,): the instrument of each record, -1 to leave it out. Fewer than n: the next one has a
        price that is no multiple of `divisor`, or an order id or price out of range.
        """
        cdef const Mbo* r = <const Mbo*><uintptr_t>records.ctypes.data
        cdef const int32_t* instrument = <const int32_t*><uintptr_t>instruments.ctypes.data
        cdef int64_t n = len(instruments)
        cdef int64_t k = 0
        with nogil:
            for k in range(n):
                if instrument[k] >= 0:
                    if mbo_record(&self.t, r + k, <uint32_t>instrument[k], divisor) != 0:
                        break
                    if r[k].flags & 128:  # the last record of what happened at once
                        self.t.n_announced = 0
                if self.t.no_memory or self.t.stopped:
                    break
            else:
                k = n
        self.check()
        return k

    @property
    def pending(self) -> int:
        """Frames written and not yet taken."""
        return self.t.n

    def take_received(self) -> bytearray:
        """Return when each frame written since the last `take` was received, int64; call it before that."""
        if not self.t.n:
            return bytearray()
        return bytearray((<char*>self.t.received)[: self.t.n * sizeof(int64_t)])

    def take(self) -> bytearray:
        """Return the frames written since the last call."""
        out = bytearray((<char*>self.t.out)[: self.t.n * sizeof(tc_command)]) if self.t.n else bytearray()
        self.t.n = 0
        return out

    def counters(self) -> dict:
        """How the recording agreed with price-time priority."""
        cdef Tr* t = &self.t
        return {
            "executions": t.executions, "in_priority": t.in_priority, "hidden": t.hidden, "unknown": t.unknown,
            "adopted": t.adopted, "corrected": t.corrected, "crossing": t.crossing, "clamped": t.clamped,
        }


def scan_lengths(data, Py_ssize_t size, bytes length_of_type):
    """Find the messages of a stream with 2-byte lengths; (offsets of the type letters as bytes of int64, bytes used).

    Stops in front of the first message that is incomplete or whose length is not that of its type. O(messages).
    """
    cdef Py_buffer view
    cdef const uint8_t* p
    cdef const uint8_t* lengths = length_of_type
    cdef int64_t* starts = NULL
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t n = 0
    cdef Py_ssize_t length
    if len(length_of_type) != 256:
        raise ValueError("length_of_type has 256 entries")
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if size > view.len:
            raise ValueError("size is beyond the data")
        p = <const uint8_t*>view.buf
        # The shortest message has 12 bytes and 2 of length.
        starts = <int64_t*>realloc(NULL, (size // 14 + 1) * sizeof(int64_t))
        if starts == NULL:
            raise MemoryError("no memory to find messages")
        with nogil:
            while at + 2 < size:
                length = p[at] << 8 | p[at + 1]
                if length < 12 or length != lengths[p[at + 2]] or at + 2 + length > size:
                    break
                starts[n] = at + 2
                n += 1
                at += 2 + length
        return (<char*>starts)[: n * sizeof(int64_t)], at
    finally:
        free(starts)
        PyBuffer_Release(&view)
