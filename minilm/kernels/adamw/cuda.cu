// AdamW (arXiv 1711.05101) over all parameters of a model in one launch.
//
// The ladder.
//   1 array operations       ten kernels per tensor, about 20 passes
//   2 one kernel per tensor  4 reads and 3 writes, the least possible; but a model has hundreds of
//                            tensors, most of them too small to fill a GPU, each paying a launch
//   3 adamw                  the same traffic in one launch: a table tells each block which tensor,
//                            and which CHUNK of it, is its own
// Parameters and both moments are float; gradients are T. Where COPY names a type, the updated parameter
// is also written in that type: mixed precision needs no extra pass. `factor` is what the gradients are
// multiplied by, for clipping and to undo loss scaling: that needs no pass either.
//
// sum_squares is what clipping needs first, in two steps instead of one vdot (and one wait of the
// host) per tensor: each block adds up its chunk, the few thousand sums are added by the caller.
#include "common.cuh"
#define CHUNK 4096
#ifdef COPY
typedef COPY Copy;
#else
typedef T Copy;
#endif

// Launch: one block of 256 threads per chunk.
extern "C" __global__ void sum_squares(const T *const *g, const int *block_tensor, const int *block_chunk,
                                       const long long *sizes, float *sums) {
    __shared__ float scratch[32];
    int tensor = block_tensor[blockIdx.x];
    long long start = (long long)block_chunk[blockIdx.x] * CHUNK;
    long long end = start + CHUNK < sizes[tensor] ? start + CHUNK : sizes[tensor];
    const T *gt = g[tensor];
    float sum = 0.0f;
    for (long long i = start + threadIdx.x; i < end; i += blockDim.x) sum += to_float(gt[i]) * to_float(gt[i]);
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

extern "C" __global__ void adamw(float *const *p, const T *const *g, float *const *m, float *const *v, Copy *const *low,
                                 const int *block_tensor, const int *block_chunk, const long long *sizes, float lr,
                                 float beta1, float beta2, float eps, float decay, float correct1, float correct2,
                                 float factor) {
    int tensor = block_tensor[blockIdx.x];
    long long start = (long long)block_chunk[blockIdx.x] * CHUNK;
    long long end = start + CHUNK < sizes[tensor] ? start + CHUNK : sizes[tensor];
    float *pt = p[tensor], *mt = m[tensor], *vt = v[tensor];
    const T *gt = g[tensor];
    for (long long i = start + threadIdx.x; i < end; i += blockDim.x) {
        float gi = to_float(gt[i]) * factor;
        float mi = beta1 * mt[i] + (1.0f - beta1) * gi;
        float vi = beta2 * vt[i] + (1.0f - beta2) * gi * gi;
        float pi = pt[i] * (1.0f - lr * decay) - lr * (mi * correct1) / (sqrtf(vi * correct2) + eps);
        mt[i] = mi, vt[i] = vi, pt[i] = pi;
#ifdef COPY
        set(low[tensor][i], pi);
#endif
    }
}
