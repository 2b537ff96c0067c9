// gelu(x) = x Phi(x), by erf or by the tanh formula; silu(x) = x sigmoid(x); and their gradients.
//
// One rung is enough to reach the speed of a copy: 16 bytes per load and a grid that covers the
// array once. As array operations the tanh formula is eight kernels and sixteen passes; fusion
// makes it one read and one write. TANH picks the formula when compiling.
#include "activations.cuh"

extern "C" __global__ void activation(const T *__restrict__ x, T *__restrict__ y, long long n) {
    elementwise(n, wide_rows(0, x, y), [&](long long i) { set(y[i], act(to_float(x[i]))); },
                [&](long long i) {
                    Pack p = load(x + i), q;
#pragma unroll
                    for (int k = 0; k < WIDE; k++) set(q.v[k], act(to_float(p.v[k])));
                    store(y + i, q);
                });
}

extern "C" __global__ void activation_backward(const T *__restrict__ g, const T *__restrict__ x, T *__restrict__ dx,
                                               long long n) {
    elementwise(n, wide_rows(0, g, x, dx), [&](long long i) { set(dx[i], to_float(g[i]) * slope(to_float(x[i]))); },
                [&](long long i) {
                    Pack p = load(g + i), q = load(x + i);
#pragma unroll
                    for (int k = 0; k < WIDE; k++) set(q.v[k], to_float(p.v[k]) * slope(to_float(q.v[k])));
                    store(dx + i, q);
                });
}
