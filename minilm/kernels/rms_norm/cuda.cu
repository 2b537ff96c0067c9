// y = x * rstd * w with rstd = 1 / sqrt(mean(x^2) + eps), over rows of n, and the gradient of x.
//
// Layer norm's ladder (layer_norm/cuda.cu) with one reduction less: the row is read from device
// memory once and written once. The gradient of w is layer_norm's weight_gradients without a mean.
// w null: a norm without weights.
#include "common.cuh"

extern "C" __global__ void rms_norm(const T *__restrict__ x, const T *__restrict__ w, T *__restrict__ y, float *rstd,
                                    int n, float eps) {
    __shared__ float scratch[32];
    size_t at = (size_t)blockIdx.x * n;
    x += at, y += at;
    bool wide = wide_rows(n, x, y, w);
    float square = 0.0f;
    each(n, wide, [&](int, float v) { square += v * v; }, x);
    float r = rsqrtf(block_sum(square, scratch) / n + eps);
    if (w) map(y, n, wide, [&](int, float v, float wj) { return v * r * wj; }, x, w);
    else map(y, n, wide, [&](int, float v) { return v * r; }, x);
    if (threadIdx.x == 0) rstd[blockIdx.x] = r;
}

// With z = x rstd and h = g w: dx = rstd (h - z mean(h z)).
extern "C" __global__ void rms_norm_backward(const T *__restrict__ g, const T *__restrict__ x, const T *__restrict__ w,
                                             const float *rstd, T *__restrict__ dx, int n) {
    __shared__ float scratch[32];
    size_t at = (size_t)blockIdx.x * n;
    g += at, x += at, dx += at;
    bool wide = wide_rows(n, g, x, w, dx);
    float r = rstd[blockIdx.x], dot = 0.0f;
    if (w) each(n, wide, [&](int, float gj, float v, float wj) { dot += gj * wj * v * r; }, g, x, w);
    else each(n, wide, [&](int, float gj, float v) { dot += gj * v * r; }, g, x);
    dot = block_sum(dot, scratch) / n;
    if (w) map(dx, n, wide, [&](int, float gj, float v, float wj) { return (gj * wj - v * r * dot) * r; }, g, x, w);
    else map(dx, n, wide, [&](int, float gj, float v) { return (gj - v * r * dot) * r; }, g, x);
}
