// Mixture of experts: bring the tokens of one expert together, and add the experts' answers up.
//
// With K experts per token there are N K assignments, sorted by expert. `order[i]` is the assignment
// (token K + choice) in place i, `place` its inverse. The matrix products between the two are grouped.cu.
//
// The ladder. Copies with hardly any arithmetic: only passes and their width count.
//   1 one-hot products        dispatch as a matrix product with an (N K, N) matrix of zeros and ones:
//                             2 N^2 K C operations to move N K C numbers
//   2 one thread per element  1 read and 1 write, but an index looked up and divided per element. See cuda.py
//   3 moe_permute             a block per row: one look-up, 16 bytes per load. moe_combine reads a token's K
//                             rows in place and writes once; gathered first it would be 2 K + 1 passes
#include "common.cuh"

// out[i] = x[order[i] / choices]. Launch: one block per assignment.
extern "C" __global__ void moe_permute(const T *__restrict__ x, const int *__restrict__ order, T *__restrict__ out,
                                       int choices, int n) {
    const T *from = x + (size_t)(order[blockIdx.x] / choices) * n;
    T *to = out + (size_t)blockIdx.x * n;
    map(to, n, wide_rows(n, from, to), [](int, float v) { return v; }, from);
}

// out[t] = sum over k of weights[t, k] y[place[t K + k]]. Launch: one block per token.
// weights null: a plain sum, which is the gradient of moe_permute.
extern "C" __global__ void moe_combine(const T *__restrict__ y, const int *__restrict__ place,
                                       const float *__restrict__ weights, T *__restrict__ out, int choices, int n) {
    int token = blockIdx.x;
    for (int j = threadIdx.x; j < n; j += blockDim.x) {
        float sum = 0.0f;
        for (int k = 0; k < choices; k++) {
            int a = token * choices + k;
            sum += (weights ? weights[a] : 1.0f) * to_float(y[(size_t)place[a] * n + j]);
        }
        set(out[(size_t)token * n + j], sum);
    }
}

// The two gradients of moe_combine: dy[i] = weights[a] g[a / K] and dweights[a] = g[a / K] . y[i], with
// a = order[i]. Launch: one block per assignment.
extern "C" __global__ void moe_combine_backward(const T *__restrict__ g, const T *__restrict__ y,
                                                const int *__restrict__ order, const float *__restrict__ weights,
                                                T *__restrict__ dy, float *__restrict__ dweights, int choices, int n) {
    __shared__ float scratch[32];
    int a = order[blockIdx.x];
    float w = weights[a], dot = 0.0f;
    g += (size_t)(a / choices) * n, y += (size_t)blockIdx.x * n, dy += (size_t)blockIdx.x * n;
    for (int j = threadIdx.x; j < n; j += blockDim.x) {
        float gj = to_float(g[j]);
        dot += gj * to_float(y[j]);
        set(dy[j], w * gj);
    }
    dot = block_sum(dot, scratch);
    if (threadIdx.x == 0) dweights[a] = dot;
}
