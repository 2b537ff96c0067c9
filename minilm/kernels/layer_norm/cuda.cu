// y = (x - mean) * rstd * w + b over rows of n, and the gradients of x, w and b.
//
// The ladder.
//   1 as array operations   nine passes over device memory: mean, centre, square, mean, ... each a
//                           kernel of its own that reads and writes the whole array.
//   2 one thread per row    one kernel, but uncoalesced as in softmax/cuda.cu. See cuda.py.
//   3 layer_norm            one block per row; the row is read from device memory once (the second
//                           and third look hit the cache), written once. The variance is taken
//                           around the mean, in a second look: sum(x^2) - mean^2 would cancel.
// w null: a norm without weights, then b is null too.
// Backward of the weights sums over rows: weight_gradients gives each block a strip of 32 columns and
// a share of the rows, so lanes read neighbours; sum_parts adds the shares. No atomics: the result
// does not depend on the order in which blocks run.
#include "common.cuh"

extern "C" __global__ void layer_norm(const T *__restrict__ x, const T *__restrict__ w, const T *__restrict__ b,
                                      T *__restrict__ y, float *mean, float *rstd, int n, float eps) {
    __shared__ float scratch[32];
    size_t at = (size_t)blockIdx.x * n;
    x += at, y += at;
    bool wide = wide_rows(n, x, y, w, b);
    float sum = 0.0f, square = 0.0f;
    each(n, wide, [&](int, float v) { sum += v; }, x);
    float m = block_sum(sum, scratch) / n;
    each(n, wide, [&](int, float v) { square += (v - m) * (v - m); }, x);
    float r = rsqrtf(block_sum(square, scratch) / n + eps);
    if (!w) map(y, n, wide, [&](int, float v) { return (v - m) * r; }, x);
    else if (b) map(y, n, wide, [&](int, float v, float wj, float bj) { return (v - m) * r * wj + bj; }, x, w, b);
    else map(y, n, wide, [&](int, float v, float wj) { return (v - m) * r * wj; }, x, w);
    if (threadIdx.x == 0) mean[blockIdx.x] = m, rstd[blockIdx.x] = r;
}

// With z = (x - mean) rstd and h = g w: dx = rstd (h - mean(h) - z mean(h z)).
extern "C" __global__ void layer_norm_backward(const T *__restrict__ g, const T *__restrict__ x, const T *__restrict__ w,
                                               const float *mean, const float *rstd, T *__restrict__ dx, int n) {
    __shared__ float scratch[32];
    size_t at = (size_t)blockIdx.x * n;
    g += at, x += at, dx += at;
    bool wide = wide_rows(n, g, x, w, dx);
    float m = mean[blockIdx.x], r = rstd[blockIdx.x], sum = 0.0f, dot = 0.0f;
    if (w) each(n, wide, [&](int, float gj, float v, float wj) { sum += gj * wj, dot += gj * wj * (v - m) * r; }, g, x, w);
    else each(n, wide, [&](int, float gj, float v) { sum += gj, dot += gj * (v - m) * r; }, g, x);
    sum = block_sum(sum, scratch) / n;
    dot = block_sum(dot, scratch) / n;
    if (w) map(dx, n, wide, [&](int, float gj, float v, float wj) { return (gj * wj - sum - (v - m) * r * dot) * r; }, g, x, w);
    else map(dx, n, wide, [&](int, float gj, float v) { return (gj - sum - (v - m) * r * dot) * r; }, g, x);
}

// parts[0][share][column] = sum of g z, parts[1][share][column] = sum of g over the rows of a share.
// mean null counts as 0, rstd null as 1. Launch: grid (columns / 32, shares), block (32, 8).
extern "C" __global__ void weight_gradients(const T *__restrict__ g, const T *__restrict__ x, const float *mean,
                                            const float *rstd, float *parts, int rows, int n) {
    __shared__ float dw[8][32], db[8][32];
    int column = blockIdx.x * 32 + threadIdx.x, shares = gridDim.y;
    float a = 0.0f, s = 0.0f;
    if (column < n)
        for (int row = blockIdx.y * 8 + threadIdx.y; row < rows; row += shares * 8) {
            size_t at = (size_t)row * n + column;
            float v = to_float(g[at]);
            a += v * (to_float(x[at]) - (mean ? mean[row] : 0.0f)) * (rstd ? rstd[row] : 1.0f);
            s += v;
        }
    dw[threadIdx.y][threadIdx.x] = a, db[threadIdx.y][threadIdx.x] = s;
    __syncthreads();
    if (threadIdx.y == 0 && column < n) {
        for (int i = 1; i < 8; i++) a += dw[i][threadIdx.x], s += db[i][threadIdx.x];
        parts[(size_t)blockIdx.y * n + column] = a;
        parts[(size_t)(shares + blockIdx.y) * n + column] = s;
    }
}

extern "C" __global__ void sum_parts(const float *parts, T *dw, T *db, int shares, int n) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= n) return;
    float a = 0.0f, s = 0.0f;
    for (int i = 0; i < shares; i++) {
        a += parts[(size_t)i * n + column];
        s += parts[(size_t)(shares + i) * n + column];
    }
    set(dw[column], a);
    if (db) set(db[column], s);
}
