// What the machine allows: a minimal matcher with nothing but limit, IOC, market, cancel, modify.
//
// No accounts, no risk, no other order types, no bounds it was not told beforehand: one array cell
// a tick (prices are dense between limits known up front), a bitmap for the next occupied price,
// a pool of 32-byte orders reused last-in-first-out, FIFO by 32-bit links. `Ids` chooses the id
// table (ids.hpp), `Ahead` how many commands ahead memory is prefetched (0: not at all).
#pragma once
#include "ids.hpp"

namespace alt {

template <class Ids, int Ahead>
class Minimal {
    struct Order {
        uint64_t id;
        int32_t cell;
        uint32_t qty, next, prev, instrument_id;
        uint8_t side;
    };
    static_assert(sizeof(Order) == 32, "two orders a cache line");
    struct Level { uint32_t head, tail; };
    // All bids lie below all asks, so one array and one bitmap serve both sides.
    struct Book {
        Level* levels;
        uint64_t *bits, *words;  // one bit a cell; one bit a non-zero word of `bits`
        int64_t low_px;
        int32_t cells, bid = -1, ask;  // bid = -1, ask = cells: that side is empty
    };

  public:
    explicit Minimal(const Limits& limits) : ids_(limits), orders_(limits.live + 2) {
        size_t cells = 0, bits = 0;
        for (size_t i = 0; i < limits.instruments; ++i) {
            const size_t n = size_t(limits.high_px[i] - limits.low_px[i] + 1);
            cells += n, bits += (n / 64 + 1) + (n / 4096 + 1);
        }
        levels_.assign(cells, Level{0, 0}), bits_.assign(bits, 0), books_.resize(limits.instruments);
        Level* level = levels_.data();
        uint64_t* word = bits_.data();
        for (size_t i = 0; i < limits.instruments; ++i) {
            Book& b = books_[i];
            const size_t n = size_t(limits.high_px[i] - limits.low_px[i] + 1);
            b.levels = level, b.bits = word, b.words = word + n / 64 + 1;
            b.low_px = limits.low_px[i], b.cells = b.ask = int32_t(n);
            level += n, word += (n / 64 + 1) + (n / 4096 + 1);
        }
        for (uint32_t s = 1; s + 1 < orders_.size(); ++s) orders_[s].next = s + 1;
    }

    void apply(const Record* batch, size_t n, Ring& out) {
        for (size_t i = 0; i < n; ++i) {
            if (Ahead && i + Ahead < n) ids_.prefetch(batch[i + Ahead].order_id);
            if (Ahead && i + Ahead / 2 < n) prefetch_order(batch[i + Ahead / 2]);
            if (Ahead && i + Ahead / 4 < n) prefetch_level(batch[i + Ahead / 4]);
            const Record& r = batch[i];
            const uint32_t slot = ids_.find(r.order_id);
            if (r.kind == NEW) {
                if (slot == kNone) place(r, out);
            } else if (slot == kNone) {
                out.put(r.kind == CANCEL ? CANCEL_REFUSED : MODIFY_REFUSED, r.side, r.seq,
                        r.order_id, 0, 0, 0, 0, 0);
            } else if (r.kind == CANCEL) {
                const Order& o = orders_[slot];
                Book& b = books_[o.instrument_id];
                out.put(CANCELLED, o.side, r.seq, o.id, 0, b.low_px + o.cell, o.qty, 0,
                        o.instrument_id);
                unlink(b, slot), ids_.erase(o.id), release(slot);
            } else {
                modify(r, slot, out);
            }
        }
    }

  private:
    void prefetch_order(const Record& r) {
        if (r.kind != NEW) __builtin_prefetch(&orders_[ids_.peek(r.order_id)], 1);
        else __builtin_prefetch(&books_[r.instrument_id]);
    }
    void prefetch_level(const Record& r) {
        if (r.kind == NEW) {
            const Book& b = books_[r.instrument_id];
            if (r.tif == REST) __builtin_prefetch(&b.levels[r.px - b.low_px], 1);
            return;
        }
        const Order& o = orders_[ids_.peek(r.order_id)];
        const Book& b = books_[o.instrument_id];
        __builtin_prefetch(&orders_[o.next], 1), __builtin_prefetch(&orders_[o.prev], 1);
        __builtin_prefetch(&b.levels[o.cell], 1);
        if (r.kind == MODIFY) __builtin_prefetch(&b.levels[r.px - b.low_px], 1);
    }

    void place(const Record& r, Ring& out) {
        const auto instrument = uint32_t(r.instrument_id);
        Book& b = books_[instrument];
        out.put(ACCEPTED, r.side, r.seq, r.order_id, 0, r.px, r.qty, r.qty, instrument);
        const int32_t limit = r.tif == MARKET ? (r.side ? 0 : b.cells - 1) : int32_t(r.px - b.low_px);
        const uint32_t left = match(b, r, r.side, limit, instrument, out);
        if (left == 0) return;
        if (r.tif != REST) {
            out.put(CANCELLED, r.side, r.seq, r.order_id, 0, r.px, left, 0, instrument);
            return;
        }
        const uint32_t slot = free_;
        free_ = orders_[slot].next;
        orders_[slot] = Order{r.order_id, limit, left, 0, 0, instrument, r.side};
        link(b, slot), ids_.insert(r.order_id, slot);
    }

    void modify(const Record& r, uint32_t slot, Ring& out) {
        Order& o = orders_[slot];
        Book& b = books_[o.instrument_id];
        unlink(b, slot);
        out.put(MODIFIED, o.side, r.seq, o.id, 0, r.px, r.qty, r.qty, o.instrument_id);
        o.cell = int32_t(r.px - b.low_px);
        o.qty = match(b, r, o.side, o.cell, o.instrument_id, out);
        if (o.qty) link(b, slot);
        else ids_.erase(o.id), release(slot);
    }

    uint32_t match(Book& b, const Record& r, uint8_t side, int32_t limit, uint32_t instrument,
                   Ring& out) {
        uint32_t left = r.qty;
        while (left && (side == 0 ? b.ask <= limit && b.ask < b.cells : b.bid >= limit && b.bid >= 0)) {
            const int32_t cell = side == 0 ? b.ask : b.bid;
            const uint32_t slot = b.levels[cell].head;
            Order& maker = orders_[slot];
            const uint32_t qty = left < maker.qty ? left : maker.qty;
            left -= qty, maker.qty -= qty;
            out.put(FILL, side, r.seq, r.order_id, maker.id, b.low_px + cell, qty, left, instrument);
            if (maker.qty == 0) unlink(b, slot), ids_.erase(maker.id), release(slot);
        }
        return left;
    }

    void link(Book& b, uint32_t slot) {
        Order& o = orders_[slot];
        Level& level = b.levels[o.cell];
        o.prev = level.tail, o.next = 0;
        if (level.tail) {
            orders_[level.tail].next = slot;
        } else {
            level.head = slot;
            b.bits[o.cell >> 6] |= 1ULL << (o.cell & 63);
            b.words[o.cell >> 12] |= 1ULL << (o.cell >> 6 & 63);
            if (o.side == 0 && o.cell > b.bid) b.bid = o.cell;
            if (o.side == 1 && o.cell < b.ask) b.ask = o.cell;
        }
        level.tail = slot;
    }

    void unlink(Book& b, uint32_t slot) {
        const Order& o = orders_[slot];
        Level& level = b.levels[o.cell];
        (o.prev ? orders_[o.prev].next : level.head) = o.next;
        (o.next ? orders_[o.next].prev : level.tail) = o.prev;
        if (level.head) return;
        uint64_t& word = b.bits[o.cell >> 6];
        word &= ~(1ULL << (o.cell & 63));
        if (!word) b.words[o.cell >> 12] &= ~(1ULL << (o.cell >> 6 & 63));
        if (o.cell == b.bid) b.bid = below(b, o.cell);
        if (o.cell == b.ask) b.ask = above(b, o.cell);
    }

    void release(uint32_t slot) { orders_[slot].next = free_, free_ = slot; }

    // Next occupied cell: within the word, then within the word of words, then word by word.
    static int32_t above(const Book& b, int32_t cell) {
        int32_t w = cell >> 6;
        if (const uint64_t in = b.bits[w] & (~1ULL << (cell & 63))) return w << 6 | __builtin_ctzll(in);
        const int32_t last = b.cells >> 12;
        uint64_t in = b.words[w >> 6] & (~1ULL << (w & 63));
        for (int32_t s = w >> 6;; in = b.words[++s]) {
            if (in) return w = s << 6 | __builtin_ctzll(in), w << 6 | __builtin_ctzll(b.bits[w]);
            if (s == last) return b.cells;
        }
    }
    static int32_t below(const Book& b, int32_t cell) {
        int32_t w = cell >> 6;
        if (const uint64_t in = b.bits[w] & ((1ULL << (cell & 63)) - 1))
            return w << 6 | (63 - __builtin_clzll(in));
        uint64_t in = b.words[w >> 6] & ((1ULL << (w & 63)) - 1);
        for (int32_t s = w >> 6;; in = b.words[--s]) {
            if (in) return w = s << 6 | (63 - __builtin_clzll(in)),
                           w << 6 | (63 - __builtin_clzll(b.bits[w]));
            if (s == 0) return -1;
        }
    }

    Ids ids_;
    std::vector<Order> orders_;
    std::vector<Level> levels_;
    std::vector<uint64_t> bits_;
    std::vector<Book> books_;
    uint32_t free_ = 1;
};

}  // namespace alt
