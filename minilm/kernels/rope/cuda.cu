// Rotary position embedding: rotate pairs (a, b) of coordinates by an angle that grows with the
// position. The gradient is the same kernel with -sin.
//
// As array operations: four products, two sums and two strided writes, twelve passes. Here: one read,
// one write, 16 bytes per load; the tables are small and stay in the cache.
// x and y are (B, H, T, D); cos and sin (T, D / 2), or one such table per batch entry if
// table_batch is T D / 2 instead of 0.
#include "common.cuh"

#if INTERLEAVED  // pairs (0, 1), (2, 3), ...: 16 bytes hold WIDE / 2 whole pairs
extern "C" __global__ void rope(const T *__restrict__ x, T *__restrict__ y, const float *__restrict__ cos,
                                const float *__restrict__ sin, long long n, int heads, int length, int size,
                                long long table_batch) {
    long long i = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * WIDE;
    if (i >= n) return;
    long long row = i / size;
    int column = (int)(i % size);
    long long at = row / ((long long)heads * length) * table_batch + row % length * (size / 2) + column / 2;
    Pack p = load(x + i), q;
#pragma unroll
    for (int k = 0; k < WIDE / 2; k++) {
        float a = to_float(p.v[2 * k]), b = to_float(p.v[2 * k + 1]), c = cos[at + k], s = sin[at + k];
        set(q.v[2 * k], a * c - b * s);
        set(q.v[2 * k + 1], a * s + b * c);
    }
    store(y + i, q);
}
#else  // pairs (i, i + D / 2): a thread takes 16 bytes of either half
extern "C" __global__ void rope(const T *__restrict__ x, T *__restrict__ y, const float *__restrict__ cos,
                                const float *__restrict__ sin, long long n, int heads, int length, int size,
                                long long table_batch) {
    int half = size / 2;
    long long i = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * WIDE;  // counts pairs
    if (i >= n / 2) return;
    long long row = i / half;
    int column = (int)(i % half);
    long long at = row / ((long long)heads * length) * table_batch + row % length * half + column;
    const T *from = x + row * size + column;
    Pack p = load(from), q = load(from + half);
#pragma unroll
    for (int k = 0; k < WIDE; k++) {
        float a = to_float(p.v[k]), b = to_float(q.v[k]), c = cos[at + k], s = sin[at + k];
        set(p.v[k], a * c - b * s);
        set(q.v[k], a * s + b * c);
    }
    store(y + row * size + column, p);
    store(y + row * size + column + half, q);
}
#endif
