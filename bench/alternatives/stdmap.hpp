// The engine a competent engineer writes first: an ordered map of price levels a side, a linked
// list of orders a level, and a hash map from id to the order's place. Correct, clear, no tricks.
//
// It keeps what such an engine gets right: reserve() on the id map, erasing by iterator (a cancel
// never searches the map), and no copying of orders. Every rest and removal costs allocations, and
// every step is a dependent pointer: that is what it is here to show.
#pragma once
#include <functional>
#include <list>
#include <map>
#include <unordered_map>

#include "mebw.hpp"

namespace alt {

class StdMap {
    struct Order {
        uint64_t id;
        int64_t qty;
    };
    using Level = std::list<Order>;
    using Bids = std::map<int64_t, Level, std::greater<int64_t>>;
    using Asks = std::map<int64_t, Level, std::less<int64_t>>;
    struct Book {
        Bids bids;
        Asks asks;
    };
    struct Place {
        uint32_t instrument_id;
        uint8_t side;
        Bids::iterator bid;  // the one of its side is valid
        Asks::iterator ask;
        Level::iterator order;
    };

  public:
    static constexpr const char* kName = "stdmap";
    explicit StdMap(const Limits& limits) : books_(limits.instruments) {
        places_.reserve(limits.live);
    }

    void apply(const Record* batch, size_t n, Ring& out) {
        for (size_t i = 0; i < n; ++i) {
            const Record& r = batch[i];
            if (r.kind == NEW)
                place(r, out);
            else if (r.kind == CANCEL)
                cancel(r, out);
            else
                modify(r, out);
        }
    }

    size_t resting() const { return places_.size(); }
    size_t levels() const {
        size_t n = 0;
        for (const Book& b : books_) n += b.bids.size() + b.asks.size();
        return n;
    }

  private:
    void place(const Record& r, Ring& out) {
        if (places_.count(r.order_id)) return;  // a live id is never taken twice
        const auto instrument = static_cast<uint32_t>(r.instrument_id);
        out.put(ACCEPTED, r.side, r.seq, r.order_id, 0, r.px, r.qty, r.qty, instrument);
        const int64_t left = match(r, instrument, r.side, r.px, r.tif == MARKET, out);
        if (left == 0) return;
        if (r.tif == REST)
            rest(r.order_id, instrument, r.side, r.px, left);
        else
            out.put(CANCELLED, r.side, r.seq, r.order_id, 0, r.px, left, 0, instrument);
    }

    void cancel(const Record& r, Ring& out) {
        const auto it = places_.find(r.order_id);
        if (it == places_.end()) {
            out.put(CANCEL_REFUSED, r.side, r.seq, r.order_id, 0, 0, 0, 0, 0);
            return;
        }
        const Place& p = it->second;
        const int64_t px = p.side == 0 ? p.bid->first : p.ask->first;
        out.put(CANCELLED, p.side, r.seq, r.order_id, 0, px, p.order->qty, 0, p.instrument_id);
        remove(it);
    }

    void modify(const Record& r, Ring& out) {
        const auto it = places_.find(r.order_id);
        if (it == places_.end()) {
            out.put(MODIFY_REFUSED, r.side, r.seq, r.order_id, 0, 0, 0, 0, 0);
            return;
        }
        const uint8_t side = it->second.side;
        const uint32_t instrument = it->second.instrument_id;
        remove(it);
        out.put(MODIFIED, side, r.seq, r.order_id, 0, r.px, r.qty, r.qty, instrument);
        const int64_t left = match(r, instrument, side, r.px, false, out);
        if (left > 0) rest(r.order_id, instrument, side, r.px, left);
    }

    int64_t match(const Record& r, uint32_t instrument, uint8_t side, int64_t px, bool any_px,
                  Ring& out) {
        Book& book = books_[instrument];
        if (side == 0) return sweep(book.asks, r, instrument, side, px, any_px, out);
        return sweep(book.bids, r, instrument, side, px, any_px, out);
    }

    template <class Side>
    int64_t sweep(Side& makers, const Record& r, uint32_t instrument, uint8_t side, int64_t px,
                  bool any_px, Ring& out) {
        int64_t left = r.qty;
        while (left > 0 && !makers.empty()) {
            const auto level = makers.begin();
            // The map's own order says whether our price lies short of the best one.
            if (!any_px && makers.key_comp()(px, level->first)) break;
            Level& queue = level->second;
            while (left > 0 && !queue.empty()) {
                Order& maker = queue.front();
                const int64_t qty = std::min(left, maker.qty);
                left -= qty, maker.qty -= qty;
                out.put(FILL, side, r.seq, r.order_id, maker.id, level->first, qty, left,
                        instrument);
                if (maker.qty == 0) {
                    places_.erase(maker.id);
                    queue.pop_front();
                }
            }
            if (queue.empty()) makers.erase(level);
        }
        return left;
    }

    void rest(uint64_t id, uint32_t instrument, uint8_t side, int64_t px, int64_t qty) {
        Place p{instrument, side, {}, {}, {}};
        Level* queue;
        if (side == 0) {
            p.bid = books_[instrument].bids.try_emplace(px).first;
            queue = &p.bid->second;
        } else {
            p.ask = books_[instrument].asks.try_emplace(px).first;
            queue = &p.ask->second;
        }
        p.order = queue->insert(queue->end(), Order{id, qty});
        places_.emplace(id, p);
    }

    void remove(std::unordered_map<uint64_t, Place>::iterator it) {
        const Place& p = it->second;
        Book& book = books_[p.instrument_id];
        Level& queue = p.side == 0 ? p.bid->second : p.ask->second;
        queue.erase(p.order);
        if (queue.empty()) {
            if (p.side == 0)
                book.bids.erase(p.bid);
            else
                book.asks.erase(p.ask);
        }
        places_.erase(it);
    }

    std::vector<Book> books_;
    std::unordered_map<uint64_t, Place> places_;
};

}  // namespace alt
