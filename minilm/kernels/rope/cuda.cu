// Rotary position embedding: rotate pairs (a, b) of coordinates by an angle that grows with the
// position. The gradient is the same kernel with -sin.
//
// The ladder.
//   1 array operations      two tables repeated, four products, two sums, two strided writes: twelve
//                           passes
//   2 one thread per pair   one read and one write, but 4 bytes (2 in bf16) per lane. See cuda.py
//   3 rope                  the same traffic, 16 bytes per load; the tables stay in the cache
//
// Token n, head h, coordinate d of x is at n x_row + h size + d, y likewise; y may be x. Its position
// is n % length; the tables (length, size / 2) of n start at cos + n / share table_step.
#include "common.cuh"

extern "C" __global__ void rope(const T *x, T *y, const float *__restrict__ cos, const float *__restrict__ sin,
                                long long tokens, int heads, int size, long long x_row, long long y_row, int length,
                                long long share, long long table_step) {
    int half = size / 2;
#if INTERLEAVED  // pairs (0, 1), (2, 3), ...: 16 bytes hold WIDE / 2 whole pairs
    int per_head = size / WIDE;
#else  // pairs (i, i + D / 2): a thread takes 16 bytes of either half
    int per_head = half / WIDE;
#endif
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= tokens * heads * per_head) return;
    int piece = (int)(i % per_head);
    long long head = i / per_head % heads, token = i / per_head / heads;
    long long table = token / share * table_step + token % length * half;
    long long from = token * x_row + head * size, to = token * y_row + head * size;
#if INTERLEAVED
    Pack p = load(x + from + piece * WIDE);
    table += piece * (WIDE / 2);
#pragma unroll
    for (int k = 0; k < WIDE / 2; k++) {
        float a = to_float(p.v[2 * k]), b = to_float(p.v[2 * k + 1]), c = cos[table + k], s = sin[table + k];
        set(p.v[2 * k], a * c - b * s);
        set(p.v[2 * k + 1], a * s + b * c);
    }
    store(y + to + piece * WIDE, p);
#else
    Pack p = load(x + from + piece * WIDE), q = load(x + from + half + piece * WIDE);
    table += piece * WIDE;
#pragma unroll
    for (int k = 0; k < WIDE; k++) {
        float a = to_float(p.v[k]), b = to_float(q.v[k]), c = cos[table + k], s = sin[table + k];
        set(p.v[k], a * c - b * s);
        set(q.v[k], a * s + b * c);
    }
    store(y + to + piece * WIDE, p);
    store(y + to + half + piece * WIDE, q);
#endif
}
