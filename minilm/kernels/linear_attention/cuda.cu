// y_t = sum over s <= t of (q_t k_s) v_s, and what q_t reads of the state, for one head.
//
// The ladder.
//   1 one thread per column of v   the state's column in registers, token after token: M threads of a
//                                  head work, and every token waits for the one before. See cuda.py.
//   2 linear_attention             one block per head, 32 tokens at a time in shared memory: masked
//                                  products inside the chunk, the state between chunks. Queries, keys
//                                  and values are read once and y is written once.
//   3 on tensor cores              the four products of a chunk in tiles of 16 x 16, and chunks of
//                                  different blocks side by side: not done here.
// The gradients are three more calls, see reference.py.
// Launch: one block per head; shared memory of 32 (2 D + M + 32) + D M floats.
#include "common.cuh"

static const int CHUNK = 32;

__device__ __forceinline__ void fetch(float *into, const T *from, int count, int limit) {
    for (int i = threadIdx.x; i < count; i += blockDim.x) into[i] = i < limit ? to_float(from[i]) : 0.0f;
}

extern "C" __global__ void linear_attention(const T *__restrict__ q, const T *__restrict__ k, const T *__restrict__ v,
                                            const float *__restrict__ before, T *__restrict__ y, float *after,
                                            int time, int size, int width) {
    extern __shared__ float shared[];
    float *qs = shared, *ks = qs + CHUNK * size, *vs = ks + CHUNK * size;
    float *weights = vs + CHUNK * width, *state = weights + CHUNK * CHUNK;
    size_t head = blockIdx.x;
    q += head * time * size, k += head * time * size;
    v += head * time * width, y += head * time * width;
    before += head * size * width, after += head * size * width;
    for (int i = threadIdx.x; i < size * width; i += blockDim.x) state[i] = before[i];
    for (int first = 0; first < time; first += CHUNK) {
        int left = time - first;
        __syncthreads();
        fetch(qs, q + (size_t)first * size, CHUNK * size, left * size);
        fetch(ks, k + (size_t)first * size, CHUNK * size, left * size);
        fetch(vs, v + (size_t)first * width, CHUNK * width, left * width);
        __syncthreads();
        for (int i = threadIdx.x; i < CHUNK * CHUNK; i += blockDim.x) {
            int t = i / CHUNK, s = i % CHUNK;
            float dot = 0.0f;
            if (s <= t)
                for (int d = 0; d < size; d++) dot += qs[t * size + d] * ks[s * size + d];
            weights[i] = dot;
        }
        __syncthreads();
        for (int i = threadIdx.x; i < CHUNK * width; i += blockDim.x) {
            int t = i / width, m = i % width;
            if (t >= left) break;
            float sum = 0.0f;
            for (int s = 0; s <= t; s++) sum += weights[t * CHUNK + s] * vs[s * width + m];
            for (int d = 0; d < size; d++) sum += qs[t * size + d] * state[d * width + m];
            set(y[(size_t)(first + t) * width + m], sum);
        }
        __syncthreads();
        for (int i = threadIdx.x; i < size * width; i += blockDim.x) {
            int d = i / width, m = i % width;
            float sum = state[i];
            for (int s = 0; s < CHUNK; s++) sum += ks[s * size + d] * vs[s * width + m];
            state[i] = sum;
        }
    }
    for (int i = threadIdx.x; i < size * width; i += blockDim.x) after[i] = state[i];
}
