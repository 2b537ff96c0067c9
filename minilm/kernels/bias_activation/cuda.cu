// The middle of a feed-forward layer: h += b and a = f(h) in one pass, and its gradient.
//
// The ladder.
//   1 array operations         h + b (1 read, 1 write), then f (1 read, 1 write and its temporaries)
//   2 one thread per element   1 read and 2 writes in one kernel, 4 bytes per lane. See cuda.py
//   3 bias_activation          the same, 16 bytes per load; backward 2 reads and 2 writes, computing
//                              f(h) again instead of having kept it: a third array of width F is saved
#include "activations.cuh"

extern "C" __global__ void bias_activation(T *__restrict__ h, const T *__restrict__ b, T *__restrict__ a, long long n,
                                           int width) {
    elementwise(n, wide_rows(width, h, a, b),
                [&](long long i) {
                    set(h[i], to_float(h[i]) + (b ? to_float(b[i % width]) : 0.0f));
                    set(a[i], act(to_float(h[i])));
                },
                [&](long long i) {
                    Pack p = load(h + i), q;
                    if (b) {
                        q = load(b + i % width);
#pragma unroll
                        for (int k = 0; k < WIDE; k++) set(p.v[k], to_float(p.v[k]) + to_float(q.v[k]));
                        store(h + i, p);
                    }
#pragma unroll
                    for (int k = 0; k < WIDE; k++) set(q.v[k], act(to_float(p.v[k])));
                    store(a + i, q);
                });
}

// g becomes the gradient of h, h becomes f(h).
extern "C" __global__ void bias_activation_backward(T *__restrict__ g, T *__restrict__ h, long long n) {
    elementwise(n, wide_rows(0, g, h),
                [&](long long i) {
                    float v = to_float(h[i]);
                    set(g[i], to_float(g[i]) * slope(v));
                    set(h[i], act(v));
                },
                [&](long long i) {
                    Pack p = load(g + i), q = load(h + i);
#pragma unroll
                    for (int k = 0; k < WIDE; k++) {
                        float v = to_float(q.v[k]);
                        set(p.v[k], to_float(p.v[k]) * slope(v));
                        set(q.v[k], act(v));
                    }
                    store(g + i, p);
                    store(h + i, q);
                });
}
