// Order id -> slot, two ways: an array for dense ids, open addressing for arbitrary 64-bit ids.
#pragma once
#include "mebw.hpp"

namespace alt {

constexpr uint32_t kNone = 0;  // slot 0 is never handed out

// Ids are dense numbers given by the venue: one load.
class DirectIds {
  public:
    static constexpr const char* kName = "direct";
    explicit DirectIds(const Limits& limits) : slots_(limits.max_order_id + 1, kNone) {}
    uint32_t find(uint64_t id) const { return slots_[id]; }
    void insert(uint64_t id, uint32_t slot) { slots_[id] = slot; }
    void erase(uint64_t id) { slots_[id] = kNone; }
    void prefetch(uint64_t id) const { __builtin_prefetch(&slots_[id], 1); }
    uint32_t peek(uint64_t id) const { return slots_[id]; }
    static bool suits(const Limits& limits) { return limits.max_order_id < (1u << 26); }

  private:
    std::vector<uint32_t> slots_;
};

// Ids are chosen outside: linear probing from a multiplicative hash, load at most 1/4, deletion by
// shifting back, so the table needs neither tombstones nor rebuilding. Slot 0 marks a free bucket.
class HashedIds {
    struct Bucket {
        uint64_t id;
        uint32_t slot;
    };

  public:
    static constexpr const char* kName = "hashed";
    explicit HashedIds(const Limits& limits) {
        size_t size = 64;
        while (size < limits.live * 4) size *= 2, --shift_;
        buckets_.assign(size, Bucket{0, kNone});
        mask_ = size - 1;
    }
    uint32_t find(uint64_t id) const {
        for (size_t i = home(id);; i = (i + 1) & mask_) {
            if (buckets_[i].slot == kNone || buckets_[i].id == id) return buckets_[i].slot;
        }
    }
    void insert(uint64_t id, uint32_t slot) {
        size_t i = home(id);
        while (buckets_[i].slot != kNone) i = (i + 1) & mask_;
        buckets_[i] = {id, slot};
    }
    void erase(uint64_t id) {
        size_t hole = home(id);
        while (buckets_[hole].id != id || buckets_[hole].slot == kNone) hole = (hole + 1) & mask_;
        for (size_t i = (hole + 1) & mask_; buckets_[i].slot != kNone; i = (i + 1) & mask_) {
            // An entry may move back only if its home does not lie behind the hole.
            if (((i - home(buckets_[i].id)) & mask_) >= ((i - hole) & mask_)) {
                buckets_[hole] = buckets_[i];
                hole = i;
            }
        }
        buckets_[hole].slot = kNone;
    }
    void prefetch(uint64_t id) const { __builtin_prefetch(&buckets_[home(id)], 1); }
    // A guess for prefetching: the home bucket's slot, which is the right one three times in four.
    uint32_t peek(uint64_t id) const { return buckets_[home(id)].slot; }
    static bool suits(const Limits&) { return true; }

  private:
    size_t home(uint64_t id) const { return (id * 0x9E3779B97F4A7C15ULL) >> shift_; }
    std::vector<Bucket> buckets_;
    size_t mask_ = 0;
    int shift_ = 58;  // 64 - log2(64)
};

}  // namespace alt
