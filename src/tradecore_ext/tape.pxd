"""Market data out of the events of one record: trades, quotes that changed, depth pictures.

Owner of: the quote last said of every instrument, and which instruments were touched since the last picture. Both are
state: a cell that is restored says nothing twice and leaves nothing out.
Called by: gate.pyx, behind every record that reached the engine.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from tradecore_ext.engine cimport tc_depth
from tradecore_ext.framebuf cimport Frames, frames_next, frames_reserve
from tradecore_ext.mathx cimport ctz64
from tradecore_ext.types cimport *

cdef enum:
    IN_RECORD = 1           # touched by the record at hand
    SINCE_PICTURE = 2       # touched since the last picture
    DEPTH_MOST = 64         # levels of a side in one picture, at most


cdef struct Quote:
    int64_t bid_px
    int64_t bid_qty
    int64_t ask_px
    int64_t ask_qty


cdef struct Tape:
    Quote* quote
    uint8_t* mark
    uint32_t* touched       # by the record at hand
    uint32_t n_touched
    uint32_t n_pending      # instruments with SINCE_PICTURE
    uint32_t max_instruments
    uint32_t levels
    uint64_t depth_ns       # 0 = no pictures
    uint64_t period         # of the last picture: log time // depth_ns


cdef inline void tape_mark(Tape* t, uint32_t instrument_id) noexcept nogil:
    """Its book changed somewhere: the next picture shows it."""
    if t.depth_ns and not t.mark[instrument_id] & SINCE_PICTURE:
        t.n_pending += 1
        t.mark[instrument_id] |= SINCE_PICTURE


cdef inline void tape_touch(Tape* t, uint32_t instrument_id) noexcept nogil:
    """Its best prices may have changed: they are looked up behind the record."""
    if instrument_id >= t.max_instruments:
        return
    tape_mark(t, instrument_id)
    if not t.mark[instrument_id] & IN_RECORD:
        t.mark[instrument_id] |= IN_RECORD
        t.touched[t.n_touched] = instrument_id
        t.n_touched += 1


cdef inline void tape_order(Tape* t, const tc_order_event* v) noexcept nogil:
    """An order that came or went behind the best price of its side changes no quote.

    The quote said last is the present one until the record touches the instrument, so the comparison holds; it saves
    a walk into a book that nothing else made warm.
    """
    cdef const Quote* said
    if v.instrument_id >= t.max_instruments:
        return
    said = t.quote + v.instrument_id
    if (
        (v.side == TC_SIDE_BUY and said.bid_qty and v.px < said.bid_px)
        or (v.side == TC_SIDE_SELL and said.ask_qty and v.px > said.ask_px)
    ):
        tape_mark(t, v.instrument_id)
    else:
        tape_touch(t, v.instrument_id)


cdef inline void tape_read(Tape* t, const tc_event* v, uint64_t n, uint64_t ts_ns, Frames* out) noexcept nogil:
    """One TRADE for each fill; remember whose book may have changed. A kind not named here changes no book."""
    cdef const tc_fill_event* f
    cdef tc_trade_event* x
    cdef uint64_t i
    cdef uint8_t kind
    for i in range(n):
        kind = v[i].kind
        if kind == TC_EVT_SETTLED or kind == TC_EVT_REJECTED:
            continue
        if kind == TC_EVT_FILL:
            f = <const tc_fill_event*>(v + i)
            x = <tc_trade_event*>frames_next(out)
            if x == NULL:
                return
            x.instrument_id = f.instrument_id
            x.kind = TC_CELL_TRADE
            x.side = f.side
            x.in_seq = f.in_seq
            x.last_px = f.last_px
            x.last_qty = f.last_qty
            x.ts_ns = ts_ns
            x.flags = f.flags & (TC_FILL_AUCTION | TC_FILL_LIQUIDATION | TC_FILL_ADL)
            tape_touch(t, f.instrument_id)
        elif kind == TC_EVT_ACCEPTED or kind == TC_EVT_CANCELED or kind == TC_EVT_EXPIRED:
            tape_order(t, <const tc_order_event*>(v + i))
        elif TC_EVT_REPLACED <= kind <= TC_EVT_RESTATED or kind == TC_EVT_PHASE or kind == TC_EVT_AUCTION:
            # A replaced order's event does not tell the price it had.
            tape_touch(t, v[i].instrument_id)


cdef inline void by_id(Tape* t) noexcept nogil:
    """Put the touched instruments into the order of their ids.

    Which events touch is a matter of speed (tape_order); what is said in which order must not be. Few are inserted in
    place; many are read off the marks, eight instruments at a time.
    """
    cdef uint32_t n = t.n_touched
    cdef uint32_t i
    cdef uint32_t k
    cdef uint32_t id
    cdef uint64_t word
    if n < 16 or <uint64_t>n * n < t.max_instruments:
        for i in range(1, n):
            id = t.touched[i]
            k = i
            while k > 0 and t.touched[k - 1] > id:
                t.touched[k] = t.touched[k - 1]
                k -= 1
            t.touched[k] = id
        return
    k = 0
    i = 0
    while i < t.max_instruments and k < n:
        memcpy(&word, t.mark + i, 8)
        word &= <uint64_t>0x0101010101010101
        while word:
            t.touched[k] = i + (ctz64(word) >> 3)
            k += 1
            word &= word - 1
        i += 8


cdef inline void best_of(void* engine, uint32_t instrument_id, uint8_t side, int64_t* px, int64_t* qty) noexcept nogil:
    cdef tc_level_event best
    if tc_depth(engine, instrument_id, side, 1, &best):
        px[0] = best.px
        qty[0] = best.qty
    else:
        px[0] = 0
        qty[0] = 0


cdef inline void tape_quotes(Tape* t, void* engine, uint32_t in_seq, Frames* out) noexcept nogil:
    """QUOTE of every touched instrument whose best prices or visible quantities are not the ones said last, by id."""
    cdef uint32_t i
    cdef uint32_t id
    cdef Quote now
    cdef Quote* said
    cdef tc_quote_event* x
    by_id(t)
    for i in range(t.n_touched):
        id = t.touched[i]
        t.mark[id] &= ~<uint8_t>IN_RECORD
        best_of(engine, id, TC_SIDE_BUY, &now.bid_px, &now.bid_qty)
        best_of(engine, id, TC_SIDE_SELL, &now.ask_px, &now.ask_qty)
        said = t.quote + id
        if (
            now.bid_px == said.bid_px and now.bid_qty == said.bid_qty
            and now.ask_px == said.ask_px and now.ask_qty == said.ask_qty
        ):
            continue
        x = <tc_quote_event*>frames_next(out)
        if x == NULL:
            return
        x.instrument_id = id
        x.kind = TC_CELL_QUOTE
        x.in_seq = in_seq
        x.bid_px = now.bid_px
        x.bid_qty = now.bid_qty
        x.ask_px = now.ask_px
        x.ask_qty = now.ask_qty
        said[0] = now
    t.n_touched = 0


cdef inline void tape_side(
    Tape* t, void* engine, uint32_t id, uint8_t side, uint64_t ts_ns, uint32_t in_seq, Frames* out
) noexcept nogil:
    """One side of one picture; a side without orders is one empty level."""
    cdef tc_level_event* x = <tc_level_event*>frames_reserve(out, t.levels)
    cdef uint64_t n
    cdef uint64_t k
    if x == NULL:
        return
    n = tc_depth(engine, id, side, t.levels, x)
    if n == 0:
        memset(x, 0, sizeof(tc_level_event))
        n = 1
    for k in range(n):
        x[k].instrument_id = id
        x[k].kind = TC_CELL_LEVEL
        x[k].side = side
        x[k].in_seq = in_seq
        x[k].ts_ns = ts_ns
    out.count += n


cdef inline void tape_pictures(Tape* t, void* engine, uint64_t ts_ns, uint32_t in_seq, Frames* out) noexcept nogil:
    """Depth of every instrument touched since the last picture, by id, when log time has entered a new interval."""
    cdef uint32_t id
    if t.depth_ns == 0 or ts_ns // t.depth_ns <= t.period:
        return
    t.period = ts_ns // t.depth_ns
    id = 0
    while t.n_pending:
        if t.mark[id] & SINCE_PICTURE:
            t.mark[id] &= ~<uint8_t>SINCE_PICTURE
            t.n_pending -= 1
            tape_side(t, engine, id, TC_SIDE_BUY, ts_ns, in_seq, out)
            tape_side(t, engine, id, TC_SIDE_SELL, ts_ns, in_seq, out)
        id += 1
