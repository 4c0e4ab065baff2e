// Binary workloads, 64-byte events and the ring they are written to: what every engine here shares.
//
// File: u64 magic "MEBW_001", u32 version, u32 count, then 40-byte records. Two extensions of ours:
// the last word of a record holds the instrument (0 in the public files), and ioc = 2 means a
// market order.
// Assumes a little-endian machine. Used by driver.cpp and by the engines in this folder.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace alt {

enum Kind : uint8_t { NEW = 0, CANCEL = 1, MODIFY = 2 };
enum Tif : uint8_t { REST = 0, IOC = 1, MARKET = 2 };

struct Record {
    uint8_t kind, side, tif, pad;  // side: 0 buy, 1 sell
    uint32_t qty;
    uint64_t seq, order_id;
    int64_t px, instrument_id;
};
static_assert(sizeof(Record) == 40, "the record is the file format");

// The event kinds are the line numbers of the canonical report stream.
enum EventKind : uint8_t { ACCEPTED, FILL, CANCELLED, MODIFIED, CANCEL_REFUSED, MODIFY_REFUSED };

struct alignas(64) Event {
    uint64_t seq, order_id;  // order_id: the taker's in a fill
    uint64_t maker_id;
    int64_t px, qty, leaves_qty;
    uint32_t instrument_id;
    uint8_t kind, side;
    uint8_t reserved[10];
};
static_assert(sizeof(Event) == 64, "one event is one cache line");

// 8,192 events are 512 KiB: a batch of 4,096 commands fits several times over the usual number of
// events, and the ring stays in a 1 or 2 MiB L2. A reader that wants the events takes them batch by
// batch; a batch larger than the ring is taken in pieces through `spill`.
class Ring {
  public:
    static constexpr size_t kSize = 8192;
    using Spill = void (*)(void*, const Event*, size_t);

    Ring() : events_(kSize) {}
    void listen(Spill spill, void* context) { spill_ = spill, context_ = context; }

    Event& next() {
        if (__builtin_expect(used_ == kSize, 0)) flush();
        return events_[used_++];
    }
    // Every event is written whole, as one full cache line.
    void put(EventKind kind, uint8_t side, uint64_t seq, uint64_t order_id, uint64_t maker_id,
             int64_t px, int64_t qty, int64_t leaves_qty, uint32_t instrument_id) {
        Event& e = next();
        e.seq = seq, e.order_id = order_id, e.maker_id = maker_id;
        e.px = px, e.qty = qty, e.leaves_qty = leaves_qty;
        e.instrument_id = instrument_id, e.kind = kind, e.side = side;
        std::memset(e.reserved, 0, sizeof e.reserved);
    }
    void flush() {
        if (spill_) spill_(context_, events_.data(), used_);
        total_ += used_;
        used_ = 0;
    }
    uint64_t total() const { return total_ + used_; }

  private:
    std::vector<Event> events_;
    size_t used_ = 0;
    uint64_t total_ = 0;
    Spill spill_ = nullptr;
    void* context_ = nullptr;
};

// What an engine may know before the first command: it sizes memory outside the timed part.
struct Limits {
    uint64_t max_order_id = 0;
    size_t live = 0;  // most orders that rest at once
    size_t instruments = 1;
    std::vector<int64_t> low_px, high_px;  // by instrument
};

[[noreturn]] inline void fail(const std::string& what) {
    std::fprintf(stderr, "error: %s\n", what.c_str());
    std::exit(2);
}

inline std::vector<Record> load(const std::string& path) {
    FILE* f = std::fopen(path.c_str(), "rb");
    if (!f) fail(path + ": cannot open");
    struct { uint64_t magic; uint32_t version, count; } head;
    if (std::fread(&head, sizeof head, 1, f) != 1) fail(path + ": shorter than its 16-byte header");
    if (head.magic != 0x4D4542575F303031ULL) fail(path + ": no MEBW_001 magic at offset 0");
    if (head.version != 1) fail(path + ": unknown version at offset 8");
    std::vector<Record> records(head.count);
    if (std::fread(records.data(), sizeof(Record), head.count, f) != head.count)
        fail(path + ": truncated, " + std::to_string(head.count) + " records announced");
    std::fclose(f);
    return records;
}

}  // namespace alt
