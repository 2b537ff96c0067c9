// runtime.cpp: runs one kernel launch described in a job file, and writes what happened.
//
// Usage: program JOB RESULT. Built without instrumentation; the kernels are a second object file,
// built with -fsanitize=thread and -fsanitize-coverage=trace-pc, whose callbacks (memory.h) are
// defined here, so every load, store and basic block of a kernel passes through this file.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <unordered_map>
#include <tuple>
#include <vector>
#include "cuda_emu.h"
#include "fibers.h"

dim3 threadIdx, blockIdx, blockDim, gridDim;
extern "C" emu::Kernel emu_kernels[];
#ifdef __APPLE__
extern "C" char emu_begin[] __asm("section$start$__DATA$emu_shared");
extern "C" char emu_end[] __asm("section$end$__DATA$emu_shared");
#else
extern "C" char __start_emu_shared[] __attribute__((weak)), __stop_emu_shared[] __attribute__((weak));
#define emu_begin __start_emu_shared
#define emu_end __stop_emu_shared
#endif

namespace emu {
unsigned char *dynamic_shared;
static const size_t STACK = 128 * 1024;
enum State { RUN, AT_BLOCK, AT_WARP, DONE };
struct Fiber {
    void *sp;
    char *stack;
    State state;
    int line;
    unsigned mask;    // lanes this thread waits for
    bool orders;      // __syncwarp orders memory; shuffles and mma do not
    int vote;
    dim3 index;
    uint64_t slot[2];
    unsigned parity;
};
static std::vector<Fiber> fibers;
static void *hub;
static int current, threads;
static bool in_kernel = false, anonymous = false;  // anonymous: no one thread is to blame
static const void *last_access, *last_block;  // where the current thread was last seen
static long blocks_since_access;
static long block_barriers, warp_barriers, blocks_run;
static size_t dynamic_size;
static const char *result_path, *kernel_name;
static void (*kernel_call)(void **);
static std::vector<void *> kernel_arguments;
static bool tracing, recording, reverse_order, warp_ahead, early_copies;

[[noreturn]] static void report_error(const std::string &message, const void *pc, int line,
                                      const void *pc2 = nullptr) {
    FILE *f = fopen(result_path, "wb");
    fprintf(f, "error\n%d\n%u %u %u\n%u %u %u\n%d\n%llx\n%llx\n%s\n", !anonymous, blockIdx.x, blockIdx.y, blockIdx.z,
            threadIdx.x, threadIdx.y, threadIdx.z, line, (unsigned long long)(uintptr_t)pc,
            (unsigned long long)(uintptr_t)pc2, message.c_str());
    fclose(f);
    _exit(3);
}
static std::string thread_name(int i) {
    const dim3 &t = fibers[i].index;
    char s[64];
    snprintf(s, sizeof s, "(%u, %u, %u)", t.x, t.y, t.z);
    return s;
}
static std::string count_of(size_t n, const char *unit) {
    return std::to_string(n) + " " + unit + (n == 1 ? "" : "s");
}
[[noreturn]] void trap(const char *what, int line) { report_error(what, nullptr, line); }
}  // namespace emu
#include "memory.h"

namespace emu {
int lane() { return current & 31; }

static void enter() {
    kernel_call(kernel_arguments.data());
    fibers[current].state = DONE;
    for (;;) emu_switch(&fibers[current].sp, hub);
}
static void wait(State state, int line, unsigned mask = 0, bool orders = false) {
    Fiber &f = fibers[current];
    f.state = state, f.line = line, f.mask = mask, f.orders = orders;
    emu_switch(&f.sp, hub);
}
static void resume(int i) {
    current = i;
    threadIdx = fibers[i].index;
    in_kernel = true;
    emu_switch(&hub, fibers[i].sp);
    in_kernel = false;
}
static void blame(int i) { threadIdx = fibers[i].index; }

// Lets the lanes of a warp that have all reached the same meeting go on. True if some may run.
static bool meet(int low) {
    int high = std::min(threads, low + 32);
    bool any = false, orders = false;
    for (int i = low; i < high; i++) {
        Fiber &f = fibers[i];
        if (f.state != AT_WARP) continue;
        if (!(f.mask >> (i - low) & 1)) {
            blame(i);
            report_error("the mask of this warp operation leaves out the thread that calls it",
                         nullptr, f.line);
        }
        bool complete = true;
        for (int j = 0; j < 32; j++) {
            if (!(f.mask >> j & 1)) continue;
            int k = low + j;
            if (k >= high || fibers[k].state == DONE) {
                if (k >= high && f.mask == 0xffffffffu) continue;  // a block that ends mid-warp
                blame(i);
                report_error("this warp operation waits for lane " + std::to_string(j) +
                             ", which has already left the kernel", nullptr, f.line);
            }
            if (fibers[k].state != AT_WARP) { complete = false; break; }
        }
        if (!complete) continue;
        for (int j = 0; j < 32; j++) {
            int k = low + j;
            if (!(f.mask >> j & 1) || k >= high) continue;
            if (fibers[k].line != f.line || fibers[k].mask != f.mask) {
                blame(i);
                report_error("the warp diverged: this thread is at a warp operation here while thread " +
                             thread_name(k) + " is at line " + std::to_string(fibers[k].line),
                             nullptr, f.line);
            }
        }
        for (int j = 0; j < 32; j++)
            if ((f.mask >> j & 1) && low + j < high) fibers[low + j].state = RUN;
        any = true;
        orders |= f.orders;
        warp_barriers++;
    }
    if (any) end_warp_segment(low, high, orders);
    return any;
}

static void finish_copies();
static void run_block() {
    for (int i = 0; i < threads; i++) {
        Fiber &f = fibers[i];
        f.sp = emu_prepare(f.stack, STACK, enter);
        f.state = RUN;
        f.parity = 0;
        f.index = dim3(i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y));
    }
    int warps = (threads + 31) / 32;
    for (;;) {
        for (int k = 0; k < warps; k++) {
            int low = (reverse_order ? warps - 1 - k : k) * 32, high = std::min(threads, low + 32);
            do {
                for (int j = low; j < high; j++) {
                    int i = reverse_order ? high - 1 - (j - low) : j;
                    if (fibers[i].state == RUN) resume(i);
                }
            } while (warp_ahead && meet(low));
        }
        bool progress = false;
        for (int low = 0; low < threads; low += 32) progress |= meet(low);
        if (progress) continue;
        int live = 0, first = -1, odd = -1;
        for (int i = 0; i < threads; i++) {
            if (fibers[i].state == DONE) continue;
            live++;
            if (first < 0) first = i;
            else if (odd < 0 && (fibers[i].state != fibers[first].state || fibers[i].line != fibers[first].line)) odd = i;
        }
        if (!live) { end_block_segment(); finish_copies(); return; }
        blame(first);
        if (odd >= 0) {
            if (fibers[first].state == AT_WARP) std::swap(first, odd);
            blame(first);
            report_error(std::string(fibers[first].state == AT_BLOCK
                         ? "__syncthreads() in code that not all threads reach: this thread waits here while thread "
                         : "deadlock: this thread waits here for lanes that never come, while thread ") +
                         thread_name(odd) + " waits at line " + std::to_string(fibers[odd].line),
                         nullptr, fibers[first].line);
        }
        if (live != threads)
            report_error("__syncthreads() after " + count_of(threads - live, "thread") +
                         " of the block had left the kernel", nullptr, fibers[first].line);
        if (fibers[first].state == AT_WARP)
            report_error("deadlock: the lanes wait here for lanes that never come", nullptr, fibers[first].line);
        for (int i = 0; i < threads; i++) fibers[i].state = RUN;
        block_barriers++;
        end_block_segment();
    }
}

void block_barrier(int line) { wait(AT_BLOCK, line); }
int block_vote(int line, int predicate, int what) {
    fibers[current].vote = predicate;
    wait(AT_BLOCK, line);
    int sum = 0;
    for (int i = 0; i < threads; i++) sum += fibers[i].vote;
    wait(AT_BLOCK, line);
    return what == 0 ? sum : what == 1 ? sum > 0 : sum == threads;
}
void warp_barrier(int line, unsigned mask, bool orders_memory) { wait(AT_WARP, line, mask, orders_memory); }

// Two slots in turn: no lane can start the next exchange before all have read this one.
void exchange(void *value, size_t size, int source, int line, unsigned mask) {
    Fiber &f = fibers[current];
    unsigned p = f.parity ^= 1;
    memcpy(&f.slot[p], value, size);
    int base = current & ~31;
    wait(AT_WARP, line, mask);
    if (source < 0 || source > 31 || base + source >= threads) return;
    if (!(mask >> source & 1)) report_error("a shuffle reads lane " + std::to_string(source) + ", which its mask leaves out", nullptr, line);
    memcpy(value, &fibers[base + source].slot[p], size);
}
unsigned ballot(bool predicate, int line, unsigned mask) {
    Fiber &f = fibers[current];
    unsigned p = f.parity ^= 1, bits = 0;
    f.slot[p] = predicate;
    int base = current & ~31;
    wait(AT_WARP, line, mask);
    for (int j = 0; j < 32 && base + j < threads; j++)
        if (mask >> j & 1) bits |= (unsigned)fibers[base + j].slot[p] << j;
    return bits;
}
}  // namespace emu
#include "tensor_ops.h"
#include "job.h"
