// tensor_ops.h: what mma.sync, ldmatrix and cp.async do, lane by lane (PTX ISA, section 9.7).
#pragma once
namespace emu {
struct Fragments {
    float a[2][16][16], b[2][8][16];  // two copies in turn, as for shuffles; b is stored by column
    const void *rows[2][32];
};
static std::vector<Fragments> fragments;

static float half_bits(unsigned v, bool is_bf16) {
    if (is_bf16) return __uint_as_float(v << 16);
    __half h = {(uint16_t)v};
    return __half2float(h);
}
void mma_m16n8k16(float *c, const unsigned *a, const unsigned *b, bool is_bf16, int line) {
    Fiber &f = fibers[current];
    unsigned p = f.parity ^= 1;
    Fragments &w = fragments[current / 32];
    int l = current & 31, row = l / 4, col = l % 4 * 2;
    if (threads % 32) report_error("mma.sync needs whole warps: the block has " + count_of(threads, "thread"), nullptr, line);
    for (int i = 0; i < 4; i++)
        for (int h = 0; h < 2; h++)
            w.a[p][row + 8 * (i & 1)][col + 8 * (i >> 1) + h] = half_bits(a[i] >> (16 * h) & 0xffff, is_bf16);
    for (int i = 0; i < 2; i++)
        for (int h = 0; h < 2; h++)
            w.b[p][row][col + 8 * i + h] = half_bits(b[i] >> (16 * h) & 0xffff, is_bf16);
    wait(AT_WARP, line, 0xffffffffu);
    for (int i = 0; i < 4; i++) {
        const float *x = w.a[p][row + 8 * (i >> 1)], *y = w.b[p][col + (i & 1)];
        float s = 0;
        for (int k = 0; k < 16; k++) s += x[k] * y[k];
        c[i] += s;
    }
}
void ldmatrix_x4(unsigned *d, const void *address, bool transposed, int line) {
    Fiber &f = fibers[current];
    unsigned p = f.parity ^= 1;
    Fragments &w = fragments[current / 32];
    int l = current & 31;
    const void *pc = __builtin_return_address(0);
    if ((uintptr_t)address & 15) report_error("ldmatrix needs row addresses that are multiples of 16 bytes", pc, line);
    if (!is_shared(address)) report_error("ldmatrix reads shared memory only", pc, line);
    memory_access(address, 16, READ, pc, true);
    w.rows[p][l] = address;
    wait(AT_WARP, line, 0xffffffffu);
    for (int j = 0; j < 4; j++) {
        unsigned e[2];
        for (int h = 0; h < 2; h++)
            e[h] = transposed ? ((const uint16_t *)w.rows[p][j * 8 + l % 4 * 2 + h])[l / 4]
                              : ((const uint16_t *)w.rows[p][j * 8 + l / 4])[l % 4 * 2 + h];
        d[j] = e[0] | e[1] << 16;
    }
}

// cp.async. Schedules with early copies move the bytes at once (a missing barrier before the next
// copy shows), the others at the wait (a forgotten wait reads poison).
struct Copy { void *d; const void *s; size_t size, bytes; int group; const void *pc; };
static std::vector<std::vector<Copy>> copies;
static std::vector<int> copy_group;

static void move_bytes(const Copy &c) {
    memcpy(c.d, c.s, c.bytes);
    memset((char *)c.d + c.bytes, 0, c.size - c.bytes);
}
void async_copy(void *d, const void *s, size_t size, size_t bytes, const void *pc) {
    if ((uintptr_t)d % size || (bytes && (uintptr_t)s % size))
        report_error("cp.async of " + std::to_string(size) + " bytes needs addresses that are multiples of as many", pc, 0);
    if (!is_shared(d)) report_error("cp.async writes shared memory only", pc, 0);
    if (bytes) memory_access(s, bytes, READ, pc, false);
    memory_access(d, size, COPY, pc, false);
    Copy c = {d, s, size, bytes, copy_group[current], pc};
    if (early_copies) move_bytes(c);
    copies[current].push_back(c);
}
void async_commit() { copy_group[current]++; }
void async_wait(int pending, int) {
    auto &queue = copies[current];
    size_t kept = 0;
    for (auto &c : queue) {
        if (c.group >= copy_group[current] - pending) { queue[kept++] = c; continue; }
        if (!early_copies) move_bytes(c);
        copy_landed(c.d, c.size, c.pc);
    }
    queue.resize(kept);
}
static void finish_copies() {
    for (int i = 0; i < threads; i++) copies[i].clear(), copy_group[i] = 0;
}
}  // namespace emu
