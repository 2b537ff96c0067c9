// One token of a decoder, in seven kernels per layer. With one row per matrix product there is nothing to
// reuse: every weight is read once for 2 multiply-adds, so the time is that of reading them, and that of
// starting kernels.
//
// The ladder, for GPT-2 124M at batch 1 (248 MB of bf16 weights: 74 us at 3.35 TB/s).
//   1 the model's own forward           some 25 kernels per layer through the tape and cuBLAS: 300 launches
//                                       of 10 us each, 3 ms
//   2 these kernels                     7 per layer: norms go into the product that follows, bias, activation,
//                                       gate and residual sum into the one before; activations stay float.
//                                       88 launches, about 1 ms, still paid by the host
//   3 the same in a CUDA graph          place, ids and lengths live on the device and are advanced there, so a
//                                       token is one launch that can be repeated: 88 starts of 2 us
// Not done: one kernel for all layers, whose blocks wait for each other.
//
// int8 weights (WEIGHT) are read as they are, one float scale per row: half of bf16's bytes.
#include "activations.cuh"
#ifndef WEIGHT
#define WEIGHT T
#endif
#ifndef ROWS
#define ROWS 1  // rows of x per launch, at most
#endif
#define NO_ACTIVATION 4
#define LAYER_NORM 1
#define RMS_NORM 2
static const int CHUNK = 16 / sizeof(WEIGHT);  // weights of a 16-byte load

__device__ __forceinline__ float to_float(signed char x) { return (float)x; }
// sum[r] += w . xs[r] over what a lane takes of a row of `depth` weights.
__device__ __forceinline__ void row_sums(float (&sum)[ROWS], const WEIGHT *w, const float *xs, int depth, int lane, bool wide) {
    if (wide) {
        for (int j = lane * CHUNK; j < depth; j += 32 * CHUNK) {
            union { uint4 raw; WEIGHT v[CHUNK]; } u;
            u.raw = *reinterpret_cast<const uint4 *>(w + j);
#pragma unroll
            for (int r = 0; r < ROWS; r++)
#pragma unroll
                for (int i = 0; i < CHUNK; i++) sum[r] += to_float(u.v[i]) * xs[r * depth + j + i];
        }
    } else {
        for (int j = lane; j < depth; j += 32)
#pragma unroll
            for (int r = 0; r < ROWS; r++) sum[r] += to_float(w[j]) * xs[r * depth + j];
    }
}

// y = residual + f(norm(x) w^T + bias), or with a gate f(norm(x) gate^T + gate_bias) (norm(x) w^T + bias). x
// (rows, depth), y (rows, width), w (width, depth); what is null is left out. One warp per column of y.
// Launch: grid (up to ceil(width / 4)), block 128, 4 ROWS depth bytes of shared memory.
// At least 4 blocks per processor: 128 registers. Left to itself the compiler took 64, for 8 blocks, and
// spilled 48 bytes where a launch takes 8 rows.
extern "C" __global__ void __launch_bounds__(128, 4)
decode_linear(const float *__restrict__ x, const T *__restrict__ norm_weight, const T *__restrict__ norm_bias,
              const WEIGHT *__restrict__ w, const float *__restrict__ scales, const T *__restrict__ bias,
              const WEIGHT *__restrict__ gate, const float *__restrict__ gate_scales, const T *__restrict__ gate_bias,
              const float *residual, float *y, int rows, int depth, int width, int norm, int kind, float eps,
              float factor) {
    extern __shared__ __align__(16) float xs[];
    __shared__ float scratch[32];
    int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    for (int r = 0; r < ROWS; r++) {
        float *to = xs + r * depth, sum = 0.0f, square = 0.0f;
        for (int j = threadIdx.x; j < depth; j += 128) {
            to[j] = r < rows ? x[(size_t)r * depth + j] : 0.0f;
            sum += to[j];
        }
        if (norm == 0) continue;
        float mean = norm == LAYER_NORM ? block_sum(sum, scratch) / depth : 0.0f;
        for (int j = threadIdx.x; j < depth; j += 128) square += (to[j] - mean) * (to[j] - mean);
        float scale = rsqrtf(block_sum(square, scratch) / depth + eps);
        for (int j = threadIdx.x; j < depth; j += 128) {
            float v = (to[j] - mean) * scale;
            if (norm_weight) v *= to_float(norm_weight[j]);
            if (norm_bias) v += to_float(norm_bias[j]);
            to[j] = v * factor;
        }
    }
    __syncthreads();
    bool wide = depth % CHUNK == 0 && (((size_t)w | (size_t)gate) & 15) == 0;
    for (int n = blockIdx.x * 4 + warp; n < width; n += gridDim.x * 4) {
        float sum[ROWS] = {0.0f}, other[ROWS] = {0.0f};
        row_sums(sum, w + (size_t)n * depth, xs, depth, lane, wide);
        if (gate) row_sums(other, gate + (size_t)n * depth, xs, depth, lane, wide);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            float v = warp_sum(sum[r]) * (scales ? scales[n] : 1.0f) + (bias ? to_float(bias[n]) : 0.0f);
            if (gate) {
                float g = warp_sum(other[r]) * (gate_scales ? gate_scales[n] : 1.0f);
                v *= activate(kind, g + (gate_bias ? to_float(gate_bias[n]) : 0.0f));
            } else if (kind != NO_ACTIVATION) {
                v = activate(kind, v);
            }
            size_t at = (size_t)r * width + n;
            if (lane == 0 && r < rows) y[at] = residual ? residual[at] + v : v;
        }
    }
}

// x[b] = scale tokens[ids[b]] + learned or fixed [place of b's token in its text]. Launch: grid (B), block 256.
extern "C" __global__ void decode_embed(const T *__restrict__ tokens, const T *__restrict__ learned,
                                        const float *__restrict__ fixed, const int *ids, const int *lengths,
                                        const int *begins, float *__restrict__ x, int n, float scale) {
    int b = blockIdx.x;
    size_t id = ids[b], place = lengths[b] - 1 - begins[b];
    for (int j = threadIdx.x; j < n; j += blockDim.x) {
        float v = to_float(tokens[id * n + j]) * scale;
        if (learned) v += to_float(learned[place * n + j]);
        if (fixed) v += fixed[place * n + j];
        x[(size_t)b * n + j] = v;
    }
}

// Queries turned by their position to q (B, H, HEAD); keys, turned too, and values to their slot of the cache.
// packed (B, (H + 2 G) HEAD). rope: 0 none, 1 pairs by halves, 2 neighbours. Launch: grid (H + 2 G, B), block HEAD.
extern "C" __global__ void decode_turn(const float *__restrict__ packed, const float *__restrict__ cosines,
                                       const float *__restrict__ sines, const int *lengths, const int *begins,
                                       T *__restrict__ q, T *__restrict__ keys, T *__restrict__ values, int heads,
                                       int groups, int slots, long long batch_step, long long head_step, int rope) {
    int head = blockIdx.x, b = blockIdx.y, d = threadIdx.x, size = blockDim.x, half = size / 2;
    int place = lengths[b] - 1;
    const float *from = packed + ((size_t)b * (heads + 2 * groups) + head) * size;
    float v = from[d];
    if (rope && head < heads + groups) {
        bool first = rope == 1 ? d < half : d % 2 == 0;
        float other = from[rope == 1 ? (first ? d + half : d - half) : d ^ 1];
        size_t at = (size_t)(place - begins[b]) * half + (rope == 1 ? d % half : d / 2);
        v = v * cosines[at] + (first ? -other : other) * sines[at];
    }
    if (head < heads) {
        set(q[((size_t)b * heads + head) * size + d], v);
    } else {
        T *to = (head < heads + groups ? keys : values) + b * batch_step + (head - heads) % groups * head_step;
        set(to[(size_t)(place % slots) * size + d], v);
    }
}

// The likeliest token of each row, among equals the lowest: the next to be fed. Advances the row by one place.
// history (ring, B). Launch: grid (B), block 512.
extern "C" __global__ void decode_choose(const float *__restrict__ logits, int *ids, int *lengths, int *history, int n,
                                         int ring) {
    __shared__ float best_of[512];
    __shared__ int at_of[512];
    const float *row = logits + (size_t)blockIdx.x * n;
    int b = blockIdx.x, me = threadIdx.x, at = n;
    float best = -INFINITY;
    for (int j = me; j < n; j += 512)
        if (row[j] > best || at == n) best = row[j], at = j;
    best_of[me] = best, at_of[me] = at;
    for (int step = 256; step; step >>= 1) {
        __syncthreads();
        if (me < step) {
            float other = best_of[me + step];
            int there = at_of[me + step];
            if (there < n && (other > best || at == n || (other == best && there < at))) best = other, at = there;
            best_of[me] = best, at_of[me] = at;
        }
    }
    if (me == 0) {
        int place = lengths[b] - 1;
        history[(size_t)(place % ring) * gridDim.x + b] = at;
        ids[b] = at, lengths[b] = place + 2;
    }
}
