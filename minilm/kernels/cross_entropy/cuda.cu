// loss = logsumexp(x) - (1 - smoothing) x[target] - smoothing mean(x) + z logsumexp(x)^2, and its
// gradient, per row of V logits. A negative target is ignored: loss 0, gradient 0. Losses and their
// gradients are float whatever the logits are. The logsumexp is kept as two numbers, the largest logit
// and log(sum(exp(x - largest))): added up they would have no room for the second where logits are
// large.
//
// The ladder, for N rows of V (16384 x 50257 in bf16 is 1.6 GB; nothing else in a GPT-2 step is so
// large, so passes over it are what matters).
//   1 log_softmax, gather, and their gradients   5 reads and 3 writes of N x V
//   2 cross_entropy + cross_entropy_backward     2 reads and 1 write; the log-probabilities never exist
//   3 cross_entropy_fused                        1 read from device memory, 1 read from the L2 cache
//                                                and 1 write: the logits become their own gradient
#include "common.cuh"

// The row's maximum and sum of exponentials; `below` is mean(x) - max(x), summed from the first logit.
__device__ __forceinline__ Online statistics(const T *x, int n, bool wide, float smoothing, float &below, float *scratch) {
    Online o = {-INFINITY, 0.0f};
    float total = 0.0f, first = fmaxf(to_float(x[0]), -1e30f);  // finite, whatever is masked
    each(n, wide, [&](int, float v) { online_add(o, v), total += v - first; }, x);
    o = online_block(o, scratch);
    below = smoothing > 0.0f ? block_sum(total, scratch) / n + (first - o.max) : 0.0f;
    return o;
}
__device__ __forceinline__ float loss_of(Online o, float rest, float picked, float below, float smoothing, float z) {
    float lse = o.max + rest;
    return rest - (1.0f - smoothing) * (picked - o.max) - smoothing * below + z * lse * lse;
}

extern "C" __global__ void cross_entropy(const T *__restrict__ x, const int *targets, float *losses, float *lse, int n,
                                         float smoothing, float z) {
    __shared__ float scratch[32];
    x += (size_t)blockIdx.x * n;
    int target = targets[blockIdx.x];
    float below;
    Online o = statistics(x, n, wide_rows(n, x), smoothing, below, scratch);
    if (threadIdx.x == 0) {
        float rest = __logf(o.sum);
        lse[blockIdx.x] = o.max, lse[gridDim.x + blockIdx.x] = rest;
        losses[blockIdx.x] = target < 0 ? 0.0f : loss_of(o, rest, to_float(x[target]), below, smoothing, z);
    }
}

// dx_j = g (exp(x_j - lse) (1 + 2 z lse) - smoothing / V - (1 - smoothing) [j = target]), lse = top + rest
__device__ __forceinline__ void gradient(T *dx, const T *x, int target, float top, float rest, float g, int n, bool wide,
                                         float smoothing, float z) {
    float boost = g * (1.0f + 2.0f * z * (top + rest)) * __expf(-rest), floor = g * smoothing / n, peak = g * (1.0f - smoothing);
    if (target < 0) boost = floor = 0.0f;
    map(dx, n, wide, [&](int j, float v) {
        float d = target < 0 ? 0.0f : boost * __expf(v - top) - floor;
        return j == target ? d - peak : d;
    }, x);
}

extern "C" __global__ void cross_entropy_backward(const float *__restrict__ g, const T *__restrict__ x, const int *targets,
                                                  const float *lse, T *__restrict__ dx, int n, float smoothing, float z) {
    size_t at = (size_t)blockIdx.x * n;
    gradient(dx + at, x + at, targets[blockIdx.x], lse[blockIdx.x], lse[gridDim.x + blockIdx.x], g[blockIdx.x], n,
             wide_rows(n, x + at, dx + at), smoothing, z);
}

extern "C" __global__ void cross_entropy_fused(T *x, const int *targets, float *losses, int n, float smoothing, float z,
                                               float scale) {
    __shared__ float scratch[32];
    x += (size_t)blockIdx.x * n;
    int target = targets[blockIdx.x];
    bool wide = wide_rows(n, x);
    float below;
    Online o = statistics(x, n, wide, smoothing, below, scratch);
    float rest = __logf(o.sum);
    if (threadIdx.x == 0)
        losses[blockIdx.x] = target < 0 ? 0.0f : loss_of(o, rest, to_float(x[target]), below, smoothing, z);
    __syncthreads();  // the target's logit is read before it is overwritten
    gradient(x, x, target, o.max, rest, scale, n, wide, smoothing, z);
}
