// gelu(x) = x Phi(x), by erf or by the tanh formula; silu(x) = x sigmoid(x); and their gradients.
//
// The ladder.
//   1 array operations        the tanh formula is eight kernels: sixteen passes over the array
//   2 one thread per element  one read and one write, the least possible, but 4 bytes (2 in bf16) per
//                             lane: too few in flight to keep the memory busy. See cuda.py
//   3 activation              the same traffic, 16 bytes per load: the speed of a copy
// Nothing is multiplied twice, so there is no tile to keep and no use for tensor cores. KIND picks the
// formula when compiling.
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
