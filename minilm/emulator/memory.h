// memory.h: watches every load and store of a kernel.
//
// The compiler's thread-sanitizer instrumentation calls __tsan_readN / __tsan_writeN at each
// access. We define those names ourselves and use them for four things: bounds to the byte, races
// between threads, shared memory that is read before it is written, and the cost of each warp's access
// in memory sectors and bank conflicts.
#pragma once

namespace emu {
enum Kind { READ, WRITE, ATOMIC, COPY };

// Time is (epoch, warp epoch): the epoch moves at every block barrier and at every new block, the
// warp epoch of one warp at its __syncwarp. Two accesses of one epoch by different threads are
// unordered, unless a __syncwarp of their common warp lies between them.
struct Touch {
    unsigned block = 0, epoch = 0, warp_epoch = 0, pc = 0;
    int thread = -1;
};
struct Cell {
    Touch write, read, read2, other_block;  // two readers of this epoch, from two warps if possible
    bool atomic = false, pending = false;
};
struct Region {
    char *base = nullptr;
    size_t bytes = 0;
    int shift = 0;     // log2 of the bytes one shadow cell stands for
    int argument = 0;  // -1 shared, -2 dynamic shared
    std::vector<Cell> cells;
    size_t slack = 0;  // bytes between the array's end and its guard page
    char *mapping = nullptr;
    size_t mapped = 0;
};
static std::vector<Region> arrays;
static Region shared_regions[2];
static unsigned epoch = 0, block_number = 0;
static std::vector<unsigned> warp_epochs;

struct Access { unsigned pc; unsigned char kind, size; short region; size_t offset; };
enum { BLOCK_STEP = 9 };
static std::vector<std::vector<Access>> logs;  // one per thread, emptied when its warp meets
struct Record { unsigned block, thread; int argument; unsigned kind, size, pc; unsigned long long offset; };
static std::vector<Record> records;
struct Site { long requests = 0, cost = 0, ideal = 0; };
static std::map<std::pair<unsigned, int>, Site> sites;  // (pc, 0 global read 1 global write 2 shared 3 divergence)

bool is_shared(const void *p) {
    for (auto &r : shared_regions)
        if ((char *)p >= r.base && (char *)p < r.base + r.bytes) return true;
    return false;
}
static Region *region_of(const void *p, size_t size) {
    char *c = (char *)p;
    for (auto &r : shared_regions)
        if (c >= r.base && c + size <= r.base + r.bytes) return &r;
    static size_t last = 0;
    if (last < arrays.size() && c >= arrays[last].base && c + size <= arrays[last].base + arrays[last].bytes) return &arrays[last];
    for (size_t i = 0; i < arrays.size(); i++)
        if (c >= arrays[i].base && c + size <= arrays[i].base + arrays[i].bytes) return last = i, &arrays[i];
    return nullptr;
}
static std::string region_name(const Region &r) {
    if (r.argument == -1) return "shared memory";
    if (r.argument == -2) return "dynamic shared memory";
    return "{argument " + std::to_string(r.argument) + "}";
}
#ifdef __APPLE__
static bool in_program(const void *) { return true; }
#else
extern "C" char __executable_start, _end;
static bool in_program(const void *p) { return (char *)p >= &__executable_start && (char *)p < &_end; }
#endif

static std::string where_outside(const void *p, size_t size) {
    char *c = (char *)p;
    const Region *best = nullptr;
    size_t distance = ~(size_t)0;
    bool before = false;
    auto look = [&](const Region &r) {
        if (!r.base) return;
        size_t d = c < r.base ? r.base - c : c + size - (r.base + r.bytes);
        if (d < distance) distance = d, best = &r, before = c < r.base;
    };
    for (auto &r : arrays) look(r);
    for (auto &r : shared_regions) look(r);
    if (!best || distance > (1u << 24)) return "an address in no array";
    size_t over = before ? distance : c + size - (best->base + best->bytes);
    return count_of(over, "byte") + (before ? " before the start of " : " past the end of ") + region_name(*best);
}
static const char *verb(int kind) { return kind == READ ? "reads" : kind == ATOMIC ? "updates" : "writes"; }

[[noreturn]] static void race(const Region &r, size_t offset, int kind, const void *pc, const Touch &t, const char *earlier) {
    std::string who = t.block == block_number ? "thread " + thread_name(t.thread) : "another block";
    report_error("race: this thread " + std::string(verb(kind)) + " byte " + std::to_string(offset) + " of " +
                 region_name(r) + ", which " + who + " " + earlier + " at {line}" +
                 (t.block == block_number ? " with no barrier between" : " and blocks run in no order"),
                 pc, 0, (const void *)(uintptr_t)t.pc);
}
static bool unordered(const Touch &t, int me) {
    return t.block == block_number && t.thread != me && t.thread >= 0 && t.epoch == epoch &&
           (t.thread / 32 != me / 32 || t.warp_epoch == warp_epochs[me / 32]);
}
static bool foreign(const Touch &t) { return t.block && t.block != block_number; }

void memory_access(const void *p, size_t size, Kind kind, const void *pc, bool) {
    char *c = (char *)p;
    last_access = pc, blocks_since_access = 0;
    if (!in_kernel || !tracing) return;
    Fiber &f = fibers[current];
    if (c >= f.stack && c < f.stack + STACK) return;
    Region *r = region_of(p, size);
    if (!r) {
        if (in_program(p) && !is_shared(p)) return;
        report_error(std::string("out of bounds: this thread ") + verb(kind) + " " + count_of(size, "byte") + ", of which the outermost is " + where_outside(p, size), pc, 0);
    }
    size_t offset = c - r->base;
    bool on_chip = r->argument < 0;
    if (size <= 16 && (size & (size - 1)) == 0 && offset % size)
        report_error("misaligned: this thread " + std::string(verb(kind)) + " " + count_of(size, "byte") + " at byte " +
                     std::to_string(offset) + " of " + region_name(*r) + ", not a multiple of " + std::to_string(size), pc, 0);
    Touch now;
    now.block = block_number, now.epoch = epoch, now.warp_epoch = warp_epochs[current / 32];
    now.pc = (unsigned)(uintptr_t)pc, now.thread = current;
    for (size_t i = offset >> r->shift, e = (offset + size - 1) >> r->shift; i <= e; i++) {
        Cell &cell = r->cells[i];
        size_t at = i << r->shift;
        if (cell.pending && cell.write.block == block_number)
            report_error("this thread " + std::string(verb(kind)) + " byte " + std::to_string(at) + " of " + region_name(*r) +
                         " while the cp.async issued by thread " + thread_name(cell.write.thread) +
                         " at {line} is still on its way (no wait yet)", pc, 0, (const void *)(uintptr_t)cell.write.pc);
        if (on_chip && kind == READ && cell.write.block != block_number)
            report_error("this thread reads byte " + std::to_string(at) + " of " + region_name(*r) + ", which no thread has written yet", pc, 0);
        bool both_atomic = kind == ATOMIC && cell.atomic;
        if (!both_atomic) {
            if (unordered(cell.write, current)) race(*r, at, kind, pc, cell.write, cell.atomic ? "updates" : "writes");
            if (!on_chip && foreign(cell.write)) race(*r, at, kind, pc, cell.write, cell.atomic ? "updates" : "writes");
        }
        if (kind == READ) {
            if (foreign(cell.read)) cell.other_block = cell.read;
            if (cell.read.epoch != epoch || cell.read.thread == current) cell.read = now;
            else if (cell.read2.epoch != epoch || cell.read2.thread / 32 == cell.read.thread / 32) cell.read2 = now;
        } else {
            if (unordered(cell.read, current)) race(*r, at, kind, pc, cell.read, "reads");
            if (unordered(cell.read2, current)) race(*r, at, kind, pc, cell.read2, "reads");
            if (!on_chip && foreign(cell.read)) race(*r, at, kind, pc, cell.read, "reads");
            if (!on_chip && foreign(cell.other_block)) race(*r, at, kind, pc, cell.other_block, "reads");
            cell.write = now, cell.atomic = kind == ATOMIC, cell.pending = kind == COPY;
        }
    }
    short id = on_chip ? (short)(-r->argument) : (short)(100 + (r - arrays.data()));
    logs[current].push_back({(unsigned)(uintptr_t)pc, (unsigned char)kind, (unsigned char)std::min(size, (size_t)255), id, offset});
    if (recording && records.size() < 4000000)
        records.push_back({block_number - 1, (unsigned)current, r->argument, (unsigned)kind, (unsigned)size, now.pc, offset});
}
void atomic_access(const void *p, size_t size, const void *pc) { memory_access(p, size, ATOMIC, pc, false); }

static void copy_landed(const void *p, size_t size, const void *pc) {
    if (!tracing) return;
    Region *r = region_of(p, size);
    size_t offset = (char *)p - r->base;
    for (size_t i = offset >> r->shift, e = (offset + size - 1) >> r->shift; i <= e; i++) {
        Cell &cell = r->cells[i];
        if (!cell.pending || cell.write.thread != current) continue;
        cell.pending = false;
        cell.write.epoch = epoch, cell.write.warp_epoch = warp_epochs[current / 32];
        cell.write.pc = (unsigned)(uintptr_t)pc;
    }
}

// --- cost -------------------------------------------------------------------------------------
// Accesses of a warp belong together if they come from one instruction and are, for each lane, its
// k-th run of that instruction since the warp last met.
struct Member { const Access *a; int lane; };

static void cost_shared(Site &site, const std::vector<Member> &group, size_t size) {
    int lanes = size >= 16 ? 8 : size >= 8 ? 16 : 32;  // a wide access is served in phases
    for (int first = 0; first < 32; first += lanes) {
        std::vector<size_t> words;
        for (auto &m : group)
            if (m.lane >= first && m.lane < first + lanes)
                for (size_t b = 0; b < std::max(size, (size_t)4); b += 4) words.push_back((m.a->offset + b) / 4);
        if (words.empty()) continue;
        std::sort(words.begin(), words.end());
        words.erase(std::unique(words.begin(), words.end()), words.end());
        int banks[32] = {0}, worst = 0;
        for (size_t w : words) worst = std::max(worst, ++banks[w % 32]);
        site.cost += worst, site.ideal += 1;
    }
}
static void cost_global(Site &site, const std::vector<Member> &group) {
    std::vector<std::pair<size_t, size_t>> spans;
    std::vector<size_t> sectors;
    for (auto &m : group) {
        spans.push_back({m.a->offset, m.a->offset + m.a->size});
        for (size_t s = m.a->offset / 32; s <= (m.a->offset + m.a->size - 1) / 32; s++) sectors.push_back(s);
    }
    std::sort(spans.begin(), spans.end());
    size_t bytes = 0, end = 0;
    for (auto &s : spans) {
        size_t from = std::max(s.first, end);
        if (s.second > from) bytes += s.second - from, end = s.second;
    }
    std::sort(sectors.begin(), sectors.end());
    sectors.erase(std::unique(sectors.begin(), sectors.end()), sectors.end());
    site.cost += sectors.size();
    site.ideal += (bytes + 31) / 32;
}
static long uncoalesced = 0;

static void price_warp(int low, int high) {
    struct Key { unsigned pc, k; short region; unsigned char kind; Member m; };
    std::vector<Key> keys;
    int live = 0;
    for (int i = low; i < high; i++) {
        auto &log = logs[i];
        if (log.empty()) continue;
        live++;
        std::unordered_map<unsigned, unsigned> seen;
        for (auto &a : log) keys.push_back({a.pc, seen[a.pc * 2 + (a.region > 2)]++, a.region, a.kind, {&a, i - low}});
    }
    std::stable_sort(keys.begin(), keys.end(), [](const Key &x, const Key &y) {
        return std::tie(x.pc, x.k, x.kind, x.region) < std::tie(y.pc, y.k, y.kind, y.region);
    });
    std::vector<Member> group;
    for (size_t i = 0; i < keys.size();) {
        size_t j = i;
        group.clear();
        while (j < keys.size() && keys[j].pc == keys[i].pc && keys[j].k == keys[i].k && keys[j].kind == keys[i].kind &&
               keys[j].region == keys[i].region) group.push_back(keys[j++].m);
        const Access &a = *group[0].a;
        if (a.kind == BLOCK_STEP) {
            Site &s = sites[{a.pc, 3}];
            s.requests++, s.cost += (int)group.size() < live, s.ideal += group.size();
        } else if (a.region <= 2) {
            Site &s = sites[{a.pc, 2}];
            s.requests++;
            cost_shared(s, group, a.size);
        } else {
            Site &s = sites[{a.pc, a.kind == READ ? 0 : 1}];
            long before = s.cost - s.ideal;
            s.requests++;
            cost_global(s, group);
            uncoalesced += s.cost - s.ideal - before > 1;
        }
        i = j;
    }
    for (int i = low; i < high; i++) logs[i].clear();
}
static void end_warp_segment(int low, int high, bool orders_memory) {
    if (!tracing) return;
    if (orders_memory) warp_epochs[low / 32]++;
    price_warp(low, high);
}
static void end_block_segment() {
    epoch++;
    if (!tracing) return;
    for (int low = 0; low < threads; low += 32) price_warp(low, std::min(threads, low + 32));
}
}  // namespace emu

#define HERE ((char *)__builtin_return_address(0) - 1)
#define EMU_CALLBACKS(n)                                                                          \
    extern "C" void __tsan_read##n(void *p) { emu::memory_access(p, n, emu::READ, HERE, false); } \
    extern "C" void __tsan_write##n(void *p) { emu::memory_access(p, n, emu::WRITE, HERE, false); } \
    extern "C" void __tsan_unaligned_read##n(void *p) { emu::memory_access(p, n, emu::READ, HERE, false); } \
    extern "C" void __tsan_unaligned_write##n(void *p) { emu::memory_access(p, n, emu::WRITE, HERE, false); } \
    extern "C" void __tsan_volatile_read##n(void *p) { emu::memory_access(p, n, emu::READ, HERE, false); } \
    extern "C" void __tsan_volatile_write##n(void *p) { emu::memory_access(p, n, emu::WRITE, HERE, false); }
EMU_CALLBACKS(1) EMU_CALLBACKS(2) EMU_CALLBACKS(4) EMU_CALLBACKS(8) EMU_CALLBACKS(16)
extern "C" void __tsan_read_range(void *p, long n) { emu::memory_access(p, n, emu::READ, HERE, false); }
extern "C" void __tsan_write_range(void *p, long n) { emu::memory_access(p, n, emu::WRITE, HERE, false); }
extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void *) {}
extern "C" void __tsan_func_exit() {}
extern "C" void __sanitizer_cov_trace_pc() {
    using namespace emu;
    last_block = HERE, blocks_since_access++;
    if (tracing && in_kernel)
        logs[current].push_back({(unsigned)(uintptr_t)HERE, BLOCK_STEP, 0, 0, 0});
}
