// softmax(x)_i = exp(x_i - max) / sum_j exp(x_j - max), over rows of n; and its gradient.
//
// The ladder. Every rung moves the same numbers; what changes is how often, and how well packed.
//   1 softmax_naive   one thread per row. Three passes, and the lanes of a warp read addresses n
//                     apart: a request of 32 lanes touches 32 sectors where 4 would hold the bytes.
//   2 softmax_shared  one block per row, a tree in shared memory. Coalesced, but three passes and a
//                     barrier per level of the tree.
//   3 softmax         one block per row, maximum and sum in one pass (arXiv 1805.02867, algorithm
//                     3), shuffles instead of a tree, 16 bytes per load. Device memory is read once
//                     and written once; the second look at the row finds it in the L2 cache.
// On a GPU rung 3 should run at the speed of a copy; nothing is left to gain but fusion.
#include "common.cuh"

extern "C" __global__ void softmax_naive(const T *x, T *y, int rows, int n) {
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= rows) return;
    x += (size_t)row * n, y += (size_t)row * n;
    float top = -INFINITY, sum = 0.0f;
    for (int j = 0; j < n; j++) top = fmaxf(top, to_float(x[j]));
    if (top == -INFINITY) top = 0.0f;
    for (int j = 0; j < n; j++) sum += __expf(to_float(x[j]) - top);
    float scale = sum > 0.0f ? 1.0f / sum : 0.0f;
    for (int j = 0; j < n; j++) set(y[j], __expf(to_float(x[j]) - top) * scale);
}

extern "C" __global__ void softmax_shared(const T *x, T *y, int n) {
    extern __shared__ float tree[];
    int t = threadIdx.x;
    x += (size_t)blockIdx.x * n, y += (size_t)blockIdx.x * n;
    float top = -INFINITY, sum = 0.0f;
    for (int j = t; j < n; j += blockDim.x) top = fmaxf(top, to_float(x[j]));
    tree[t] = top;
    __syncthreads();
    for (int half = blockDim.x / 2; half; half /= 2) {
        if (t < half) tree[t] = fmaxf(tree[t], tree[t + half]);
        __syncthreads();
    }
    top = tree[0] == -INFINITY ? 0.0f : tree[0];
    __syncthreads();
    for (int j = t; j < n; j += blockDim.x) sum += __expf(to_float(x[j]) - top);
    tree[t] = sum;
    __syncthreads();
    for (int half = blockDim.x / 2; half; half /= 2) {
        if (t < half) tree[t] += tree[t + half];
        __syncthreads();
    }
    float scale = tree[0] > 0.0f ? 1.0f / tree[0] : 0.0f;
    for (int j = t; j < n; j += blockDim.x) set(y[j], __expf(to_float(x[j]) - top) * scale);
}

__device__ __forceinline__ Online row_online(const T *x, int n, bool wide, float *scratch) {
    Online o = {-INFINITY, 0.0f};
    each(n, wide, [&](int, float v) { online_add(o, v); }, x);
    return online_block(o, scratch);
}

extern "C" __global__ void softmax(const T *__restrict__ x, T *__restrict__ y, int n) {
    __shared__ float scratch[32];
    x += (size_t)blockIdx.x * n, y += (size_t)blockIdx.x * n;
    bool wide = wide_rows(n, x, y);
    Online o = row_online(x, n, wide, scratch);
    float top = o.sum > 0.0f ? o.max : 0.0f, scale = o.sum > 0.0f ? 1.0f / o.sum : 0.0f;
    map(y, n, wide, [&](int, float v) { return __expf(v - top) * scale; }, x);
}

extern "C" __global__ void log_softmax(const T *__restrict__ x, T *__restrict__ y, int n) {
    __shared__ float scratch[32];
    x += (size_t)blockIdx.x * n, y += (size_t)blockIdx.x * n;
    bool wide = wide_rows(n, x, y);
    Online o = row_online(x, n, wide, scratch);
    float rest = __logf(o.sum);  // apart from the maximum, which would have no room for it where it is large
    map(y, n, wide, [&](int, float v) { return (v - o.max) - rest; }, x);
}

// dx = y (g - sum(g y)), from the output y.
extern "C" __global__ void softmax_backward(const T *__restrict__ g, const T *__restrict__ y,
                                            T *__restrict__ dx, int n) {
    __shared__ float scratch[32];
    size_t at = (size_t)blockIdx.x * n;
    g += at, y += at, dx += at;
    bool wide = wide_rows(n, g, y, dx);
    float dot = 0.0f;
    each(n, wide, [&](int, float gj, float yj) { dot += gj * yj; }, g, y);
    dot = block_sum(dot, scratch);
    map(dx, n, wide, [&](int, float gj, float yj) { return yj * (gj - dot); }, g, y);
}

// dx = g - exp(y) sum(g), from the output y = log softmax(x).
extern "C" __global__ void log_softmax_backward(const T *__restrict__ g, const T *__restrict__ y,
                                                T *__restrict__ dx, int n) {
    __shared__ float scratch[32];
    size_t at = (size_t)blockIdx.x * n;
    g += at, y += at, dx += at;
    bool wide = wide_rows(n, g, y, dx);
    float total = 0.0f;
    each(n, wide, [&](int, float v) { total += v; }, g);
    total = block_sum(total, scratch);
    map(dx, n, wide, [&](int, float gj, float yj) { return gj - __expf(yj) * total; }, g, y);
}
