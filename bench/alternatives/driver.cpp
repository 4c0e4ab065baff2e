// One driver for every engine of this folder: reads a workload, feeds batches of 4,096 commands,
// prints one JSON object a line and engine: nanoseconds a command (median, minimum, maximum of
// interleaved runs), events, and the checksum of its event stream, taken in a run of its own.
//
//   driver FILE [--engines a,b] [--repeats 7] [--batch 4096] [--capacity ORDERS] [--shape]
//   driver FILE --engines one --reports OUT
//
// Construction, loading and the checksum are outside the timed part. Runs are interleaved (one of
// each engine, then again) so that a disturbance of the machine meets all of them.
#include <chrono>
#include <functional>
#include <memory>
#include <sstream>
#include <unordered_set>

#include "minimal.hpp"
#include "stdmap.hpp"

namespace {
using namespace alt;

Limits survey(const std::vector<Record>& records, size_t capacity) {
    Limits l;
    for (const Record& r : records) {
        l.max_order_id = std::max(l.max_order_id, r.order_id);
        if (r.instrument_id < 0 || r.instrument_id > 1'000'000) fail("instrument out of range");
        l.instruments = std::max(l.instruments, size_t(r.instrument_id) + 1);
    }
    l.low_px.assign(l.instruments, INT64_MAX), l.high_px.assign(l.instruments, INT64_MIN);
    for (const Record& r : records) {
        if (r.kind == CANCEL || r.tif == MARKET) continue;
        int64_t &low = l.low_px[r.instrument_id], &high = l.high_px[r.instrument_id];
        low = std::min(low, r.px), high = std::max(high, r.px);
    }
    for (size_t i = 0; i < l.instruments; ++i) {
        if (l.low_px[i] > l.high_px[i]) l.low_px[i] = l.high_px[i] = 0;
        if (l.high_px[i] - l.low_px[i] > 1'000'000) fail("prices too far apart for a dense book");
    }
    // Tables are as small as the workload allows: the limit of the machine, not of a capacity plan.
    StdMap engine(l);
    Ring ring;
    for (const Record& r : records) {
        engine.apply(&r, 1, ring);
        l.live = std::max(l.live, engine.resting());
    }
    l.live = std::max(l.live, capacity);
    return l;
}

struct Engine {
    std::string name;
    std::function<double(const std::vector<Record>&, const Limits&, size_t, Ring&)> run;
};

template <class E>
Engine make(std::string name) {
    return {std::move(name), [](const std::vector<Record>& records, const Limits& limits,
                                size_t batch, Ring& ring) {
                auto engine = std::make_unique<E>(limits);
                const auto start = std::chrono::steady_clock::now();
                for (size_t i = 0; i < records.size(); i += batch) {
                    engine->apply(records.data() + i, std::min(batch, records.size() - i), ring);
                    ring.flush();
                }
                const std::chrono::duration<double, std::nano> ns =
                    std::chrono::steady_clock::now() - start;
                return ns.count() / double(records.size());
            }};
}

std::vector<Engine> engines() {
    return {make<StdMap>("stdmap"),
            make<Minimal<DirectIds, 0>>("minimal-direct"),
            make<Minimal<DirectIds, 16>>("minimal-direct-prefetch"),
            make<Minimal<HashedIds, 0>>("minimal-hashed"),
            make<Minimal<HashedIds, 16>>("minimal-hashed-prefetch")};
}

// FNV-1a over 64-bit words of every event.
struct Checksum {
    uint64_t value = 0xCBF29CE484222325ULL;
    static void take(void* self, const Event* events, size_t n) {
        uint64_t h = static_cast<Checksum*>(self)->value;
        for (size_t i = 0; i < n; ++i) {
            uint64_t words[8];
            std::memcpy(words, &events[i], sizeof words);
            for (uint64_t w : words) h = (h ^ w) * 0x100000001B3ULL, h ^= h >> 29;
        }
        static_cast<Checksum*>(self)->value = h;
    }
};

struct Collector {
    std::vector<Event> events;
    static void take(void* self, const Event* events, size_t n) {
        auto& all = static_cast<Collector*>(self)->events;
        all.insert(all.end(), events, events + n);
    }
};

void write_reports(const std::vector<Event>& events, const std::string& path) {
    // Pointers are sorted, not events: the library's merge buffer ignores their alignment.
    std::vector<const Event*> sorted;
    for (const Event& e : events) sorted.push_back(&e);
    std::stable_sort(sorted.begin(), sorted.end(), [](const Event* a, const Event* b) {
        return a->seq != b->seq ? a->seq < b->seq : a->kind < b->kind;
    });
    std::ostringstream text;
    const char* line = "";
    for (const Event* p : sorted) {
        const Event& e = *p;
        text << line << int(e.kind) << ',' << e.seq;
        if (e.kind == FILL)
            text << ',' << e.px << ',' << e.qty << ',' << e.maker_id << ',' << e.order_id;
        else if (e.kind == CANCEL_REFUSED || e.kind == MODIFY_REFUSED)
            text << ',' << e.order_id;
        else
            text << ',' << int(e.side) << ',' << e.order_id << ',' << e.px;
        if (e.kind == ACCEPTED || e.kind == MODIFIED) text << ',' << e.qty;
        line = "\n";
    }
    FILE* f = path == "-" ? stdout : std::fopen(path.c_str(), "wb");
    if (!f) fail(path + ": cannot create");
    const std::string s = text.str();
    if (std::fwrite(s.data(), 1, s.size(), f) != s.size()) fail(path + ": short write");
    if (f != stdout) std::fclose(f);
}

// What a workload looks like to a book: measured with the std::map engine, sampled every 1,000.
void print_shape(const std::vector<Record>& records, const Limits& limits) {
    StdMap engine(limits);
    Ring ring;
    Collector c;
    ring.listen(Collector::take, &c);
    double resting = 0, levels = 0, samples = 0;
    size_t resting_peak = 0, levels_peak = 0;
    uint64_t count[6] = {}, kinds[3] = {}, tifs[3] = {};
    std::unordered_set<uint64_t> traded;
    for (size_t i = 0; i < records.size(); ++i) {
        const Record& r = records[i];
        ++kinds[r.kind];
        if (r.kind == NEW) ++tifs[r.tif];
        engine.apply(&r, 1, ring);
        ring.flush();
        for (const Event& e : c.events) {
            ++count[e.kind];
            if (e.kind == FILL) traded.insert(e.maker_id), traded.insert(e.order_id);
        }
        c.events.clear();
        if (i % 1000) continue;
        const size_t n = engine.resting(), l = engine.levels();
        resting += double(n), levels += double(l), ++samples;
        resting_peak = std::max(resting_peak, n), levels_peak = std::max(levels_peak, l);
    }
    std::printf(
        "{\"commands\":%zu,\"new\":%llu,\"cancel\":%llu,\"modify\":%llu,\"ioc\":%llu,"
        "\"market\":%llu,\"fills\":%llu,\"orders_traded\":%zu,\"cancel_refused\":%llu,"
        "\"modify_refused\":%llu,\"resting_mean\":%.0f,\"resting_peak\":%zu,\"levels_mean\":%.0f,"
        "\"levels_peak\":%zu,\"instruments\":%zu}\n",
        records.size(), (unsigned long long)kinds[0], (unsigned long long)kinds[1],
        (unsigned long long)kinds[2], (unsigned long long)tifs[1], (unsigned long long)tifs[2],
        (unsigned long long)count[FILL], traded.size(), (unsigned long long)count[CANCEL_REFUSED],
        (unsigned long long)count[MODIFY_REFUSED], resting / samples, resting_peak,
        levels / samples, levels_peak, limits.instruments);
}

}  // namespace

int main(int argc, char** argv) {
    std::string file, only, reports;
    int repeats = 7;
    size_t batch = 4096, capacity = 0;
    bool shape = false;
    for (int i = 1; i < argc; ++i) {
        const std::string a = argv[i];
        const auto value = [&] { return ++i < argc ? std::string(argv[i]) : (fail(a + " needs a value"), ""); };
        if (a == "--engines") only = "," + value() + ",";
        else if (a == "--reports") reports = value();
        else if (a == "--repeats") repeats = std::atoi(value().c_str());
        else if (a == "--batch") batch = size_t(std::atoll(value().c_str()));
        else if (a == "--capacity") capacity = size_t(std::atoll(value().c_str()));
        else if (a == "--shape") shape = true;
        else if (file.empty() && a[0] != '-') file = a;
        else fail("unknown argument " + a);
    }
    if (file.empty() || repeats < 1 || batch < 1)
        fail("usage: driver FILE [--engines a,b] [--repeats N] [--batch N] [--capacity N] "
             "[--reports OUT] [--shape]");
    const std::vector<Record> records = load(file);
    const Limits limits = survey(records, capacity);
    if (shape) return print_shape(records, limits), 0;

    std::vector<Engine> chosen;
    for (Engine& e : engines()) {
        if (!only.empty() && only.find("," + e.name + ",") == std::string::npos) continue;
        if (e.name.find("direct") != std::string::npos && !DirectIds::suits(limits)) continue;
        chosen.push_back(std::move(e));
    }
    if (chosen.empty()) fail("no engine of that name suits this workload");
    if (!reports.empty()) {
        if (chosen.size() != 1) fail("--reports needs one engine");
        Ring ring;
        Collector c;
        ring.listen(Collector::take, &c);
        chosen[0].run(records, limits, batch, ring);
        write_reports(c.events, reports);
        return 0;
    }
    std::vector<std::vector<double>> ns(chosen.size());
    for (int r = 0; r < repeats; ++r) {
        for (size_t e = 0; e < chosen.size(); ++e) {
            Ring ring;
            ns[e].push_back(chosen[e].run(records, limits, batch, ring));
        }
    }
    for (size_t e = 0; e < chosen.size(); ++e) {
        Ring ring;
        Checksum sum;
        ring.listen(Checksum::take, &sum);
        chosen[e].run(records, limits, batch, ring);
        std::sort(ns[e].begin(), ns[e].end());
        std::printf("{\"engine\":\"%s\",\"unit\":\"ns/command\",\"median\":%.2f,\"min\":%.2f,"
                    "\"max\":%.2f,\"repeats\":%d,\"commands\":%zu,\"batch\":%zu,\"events\":%llu,"
                    "\"checksum\":\"%016llx\"}\n",
                    chosen[e].name.c_str(), ns[e][ns[e].size() / 2], ns[e].front(), ns[e].back(),
                    repeats, records.size(), batch, (unsigned long long)ring.total(),
                    (unsigned long long)sum.value);
    }
    return 0;
}
