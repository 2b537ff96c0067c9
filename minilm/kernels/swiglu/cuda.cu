// swiglu(gate, up) = silu(gate) up, geglu with GELU instead, and both gradients at once.
//
// The ladder, forward and backward.
//   1 array operations         5 and 12 passes, and the gate's activation is kept for backward
//   2 one thread per element   2 reads and 1 write, 3 reads and 2 writes; 4 bytes per lane. See cuda.py
//   3 gated, gated_backward    the same traffic, 16 bytes per load
// Nothing is saved but the two inputs: silu(gate) is computed again, arithmetic being free here.
#include "activations.cuh"

extern "C" __global__ void gated(const T *__restrict__ gate, const T *__restrict__ up, T *__restrict__ y, long long n) {
    elementwise(n, wide_rows(0, gate, up, y),
                [&](long long i) { set(y[i], act(to_float(gate[i])) * to_float(up[i])); },
                [&](long long i) {
                    Pack p = load(gate + i), q = load(up + i);
#pragma unroll
                    for (int k = 0; k < WIDE; k++) set(q.v[k], act(to_float(p.v[k])) * to_float(q.v[k]));
                    store(y + i, q);
                });
}

extern "C" __global__ void gated_backward(const T *__restrict__ g, const T *__restrict__ gate, const T *__restrict__ up,
                                          T *__restrict__ dgate, T *__restrict__ dup, long long n) {
    elementwise(n, wide_rows(0, gate, up, dgate) && wide_rows(0, g, dup),
                [&](long long i) {
                    float gi = to_float(g[i]), a = to_float(gate[i]), u = to_float(up[i]);
                    set(dgate[i], gi * u * slope(a));
                    set(dup[i], gi * act(a));
                },
                [&](long long i) {
                    Pack pg = load(g + i), pa = load(gate + i), pu = load(up + i);
#pragma unroll
                    for (int k = 0; k < WIDE; k++) {
                        float gi = to_float(pg.v[k]), a = to_float(pa.v[k]), u = to_float(pu.v[k]);
                        set(pa.v[k], gi * u * slope(a));
                        set(pu.v[k], gi * act(a));
                    }
                    store(dgate + i, pa);
                    store(dup + i, pu);
                });
}
