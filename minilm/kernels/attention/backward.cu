// FlashAttention-2 backward (arXiv 2307.08691, algorithm 2) on tensor cores: the weights are computed
// again, tile by tile, from q, k and the saved logsumexp.
//
// With P the weights and D_i = sum(g_i out_i):  dv = P^T g,  dP = g v^T,  dS = P (dP - D),
// dq = scale dS k,  dk = scale dS^T q.
//
// The ladder.
//   1 by the formula (reference.py)       stores P, dP and dS: 3 T^2 numbers, written and read
//   2 one pass over key tiles (paper)     5 products per tile pair; dq is added up in memory with
//                                         atomics, in an order that changes from run to run
//   3 this file: two kernels              7 products per tile pair (P and dP are computed in both),
//                                         no atomics, the same result every run, fewer registers
// Rung 3 costs 2 / 5 more arithmetic and saves the float dq array and its traffic.
#define KEYS 64  // keys per tile
#include "span.cuh"
#define QUERIES 64
// Steps along the head that product_t has in flight. With heads of 128 numbers dk and dv take 128 of a
// lane's 255 registers and two tiles of scores 64: unrolled, 92 bytes were spilled.
#if HEAD == 128
#define IN_FLIGHT 1
#else
#define IN_FLIGHT 4
#endif

// D_i = sum over the head of g out, one warp per row. Rows are numbered (batch, head, row).
extern "C" __global__ void attention_delta(const T *__restrict__ g, const T *__restrict__ out, float *delta, int length,
                                           int heads, long long g_batch, long long g_head, long long g_row,
                                           long long out_batch, long long out_head, long long out_row,
                                           long long total) {
    long long row = (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (row >= total) return;
    int lane = threadIdx.x & 31;
    long long b = row / ((long long)heads * length), h = row / length % heads, t = row % length;
    g += b * g_batch + h * g_head + t * g_row, out += b * out_batch + h * out_head + t * out_row;
    float sum = 0.0f;
    for (int j = lane; j < HEAD; j += 32) sum += to_float(g[j]) * to_float(out[j]);
    sum = warp_sum(sum);
    if (lane == 0) delta[row] = sum;
}

__device__ __forceinline__ void clear(float (&s)[KEYS / 8][4]) {
#pragma unroll
    for (int i = 0; i < KEYS / 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) s[i][j] = 0.0f;
}
// s (16, 64) = rows row.. of tile a times b^T
__device__ __forceinline__ void product_t(float (&s)[KEYS / 8][4], const T *a, int row, const T *b) {
    clear(s);
#pragma unroll IN_FLIGHT
    for (int d = 0; d < HEAD / 16; d++) {
        unsigned x[4];
        left<HEAD>(x, a, row, d);
#pragma unroll
        for (int n = 0; n < KEYS / 16; n++) {
            unsigned y[4];
            right_t<HEAD>(y, b, n * 16, d);
            mma(s[2 * n], x, y[0], y[1]);
            mma(s[2 * n + 1], x, y[2], y[3]);
        }
    }
}
// sum (16, HEAD) += s (16, 64) times tile b
__device__ __forceinline__ void product(float (&sum)[HEAD / 8][4], const float (&s)[KEYS / 8][4], const T *b) {
#pragma unroll
    for (int n = 0; n < KEYS / 16; n++) {
        unsigned x[4];
        weights(x, s, n);
#pragma unroll
        for (int d = 0; d < HEAD / 16; d++) {
            unsigned y[4];
            right<HEAD>(y, b, n * 16, d);
            mma(sum[2 * d], x, y[0], y[1]);
            mma(sum[2 * d + 1], x, y[2], y[3]);
        }
    }
}
// dk and dv: a block owns 64 keys of one key head, each warp 16; it walks over the queries of all the
// heads that share the key head, so sums over a group need no atomics either. Scores are transposed
// (keys are rows), which puts P^T and dS^T where the next product wants its left operand.
// Launch: grid (key tiles, groups, batch), block 128.
extern "C" __global__ void __launch_bounds__(128)
attention_backward_kv(const T *__restrict__ g, const T *__restrict__ q, const T *__restrict__ k, const T *__restrict__ v,
                      const float *__restrict__ lse, const float *__restrict__ delta, T *__restrict__ dk,
                      T *__restrict__ dv, const int *starts_q, const int *starts_k, int length_q, int length_k, int heads,
                      int groups, long long g_batch, long long g_head, long long g_row, long long q_batch,
                      long long q_head, long long q_row, long long k_batch, long long k_head, long long k_row,
                      long long v_batch, long long v_head, long long v_row, long long dk_batch, long long dk_head,
                      long long dk_row, long long dv_batch, long long dv_head, long long dv_row, long long lse_batch,
                      long long lse_head, float scale, int causal, int window) {
    extern __shared__ __align__(128) T memory[];
    T *keys = memory, *values = keys + KEYS * HEAD, *queries = values + KEYS * HEAD, *grads = queries + 2 * QUERIES * HEAD;
    __shared__ float rows[2][2][QUERIES];  // [buffer][lse, delta][query]
    int group = blockIdx.y, batch = blockIdx.z, warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    int from_q = starts_q ? starts_q[batch] : 0, from_k = starts_k ? starts_k[batch] : 0;
    if (starts_q) length_q = starts_q[batch + 1] - from_q, length_k = starts_k[batch + 1] - from_k;
    int key0 = blockIdx.x * KEYS, share = heads / groups;
    if (key0 >= length_k) return;
    g += batch * g_batch + from_q * g_row, q += batch * q_batch + from_q * q_row;
    k += batch * k_batch + group * k_head + from_k * k_row, v += batch * v_batch + group * v_head + from_k * v_row;
    dk += batch * dk_batch + group * dk_head + from_k * dk_row;
    dv += batch * dv_batch + group * dv_head + from_k * dv_row;
    lse += batch * lse_batch + from_q, delta += batch * lse_batch + from_q;

    Span span = {length_q, length_k, causal != 0, window};
    int first = span.first_query(key0) / QUERIES, end = (span.end_query(key0 + KEYS) + QUERIES - 1) / QUERIES;
    int tiles = end > first ? end - first : 0, steps = tiles * share;
    const float to_bits = scale * 1.44269504f;

    // Step number -> head and query tile; the copies of one step make up one group of cp.async.
    auto start = [&](int step, int buffer) {
        long long head = group * share + step / tiles;
        int row = (first + step % tiles) * QUERIES;
        fetch<QUERIES, HEAD, 128>(queries + buffer * QUERIES * HEAD, q + head * q_head, q_row, row, length_q);
        fetch<QUERIES, HEAD, 128>(grads + buffer * QUERIES * HEAD, g + head * g_head, g_row, row, length_q);
        int i = row + (threadIdx.x & 63);
        const float *from = (threadIdx.x < 64 ? lse : delta) + head * lse_head;
        rows[buffer][threadIdx.x >> 6][threadIdx.x & 63] = i < length_q ? from[i] : 0.0f;
        cp_commit();
    };
    float sum_k[HEAD / 8][4], sum_v[HEAD / 8][4];
#pragma unroll
    for (int i = 0; i < HEAD / 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) sum_k[i][j] = sum_v[i][j] = 0.0f;
    fetch<KEYS, HEAD, 128>(keys, k, k_row, key0, length_k);
    fetch<KEYS, HEAD, 128>(values, v, v_row, key0, length_k);
    if (steps) start(0, 0);
    for (int step = 0; step < steps; step++) {
        int buffer = step & 1, row0 = (first + step % tiles) * QUERIES, key = key0 + warp * 16;
        if (step + 1 < steps) {
            start(step + 1, buffer ^ 1);
            cp_wait<1>();
        } else {
            cp_wait<0>();
        }
        __syncthreads();
        const T *qt = queries + buffer * QUERIES * HEAD, *gt = grads + buffer * QUERIES * HEAD;
        float p[KEYS / 8][4], s[KEYS / 8][4];
        product_t(p, keys, warp * 16, qt);
        bool whole = span.all_seen(row0, row0 + QUERIES - 1, key, key + 15);
#pragma unroll
        for (int i = 0; i < KEYS / 8; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) {
                int column = i * 8 + (lane & 3) * 2 + (j & 1);
                bool seen = whole || span.seen(row0 + column, key + (lane >> 2) + 8 * (j >> 1));
                p[i][j] = seen ? ex2(p[i][j] * to_bits - rows[buffer][0][column] * 1.44269504f) : 0.0f;
            }
        product(sum_v, p, gt);
        product_t(s, values, warp * 16, gt);
#pragma unroll
        for (int i = 0; i < KEYS / 8; i++)
#pragma unroll
            for (int j = 0; j < 4; j++)
                s[i][j] = p[i][j] * (s[i][j] - rows[buffer][1][i * 8 + (lane & 3) * 2 + (j & 1)]);
        product(sum_k, s, qt);
        __syncthreads();
    }
    cp_wait<0>();
    __syncthreads();
    store_rows<HEAD>(dk, dk_row, key0 + warp * 16, length_k, keys, warp * 16, sum_k, scale, scale);
    store_rows<HEAD>(dv, dv_row, key0 + warp * 16, length_k, values, warp * 16, sum_v, 1.0f, 1.0f);
}

// dq: a block owns 64 queries of one head, each warp 16, and walks over the keys as the forward does.
// Launch: grid (query tiles, heads, batch), block 128.
extern "C" __global__ void __launch_bounds__(128)
attention_backward_q(const T *__restrict__ g, const T *__restrict__ q, const T *__restrict__ k, const T *__restrict__ v,
                     const float *__restrict__ lse, const float *__restrict__ delta, T *__restrict__ dq,
                     const int *starts_q, const int *starts_k, int length_q, int length_k, int heads, int groups,
                     long long g_batch, long long g_head, long long g_row, long long q_batch, long long q_head,
                     long long q_row, long long k_batch, long long k_head, long long k_row, long long v_batch,
                     long long v_head, long long v_row, long long dq_batch, long long dq_head, long long dq_row,
                     long long lse_batch, long long lse_head, float scale, int causal, int window) {
    extern __shared__ __align__(128) T memory[];
    T *queries = memory, *grads = queries + QUERIES * HEAD, *keys = grads + QUERIES * HEAD, *values = keys + 2 * KEYS * HEAD;
    int head = blockIdx.y, batch = blockIdx.z, warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    int from_q = starts_q ? starts_q[batch] : 0, from_k = starts_k ? starts_k[batch] : 0;
    if (starts_q) length_q = starts_q[batch + 1] - from_q, length_k = starts_k[batch + 1] - from_k;
    int first = (gridDim.x - 1 - blockIdx.x) * QUERIES;
    if (first >= length_q) return;
    int group = head / (heads / groups);
    g += batch * g_batch + head * g_head + from_q * g_row, q += batch * q_batch + head * q_head + from_q * q_row;
    k += batch * k_batch + group * k_head + from_k * k_row, v += batch * v_batch + group * v_head + from_k * v_row;
    dq += batch * dq_batch + head * dq_head + from_q * dq_row;
    lse += batch * lse_batch + head * lse_head + from_q, delta += batch * lse_batch + head * lse_head + from_q;

    Span span = {length_q, length_k, causal != 0, window};
    int tile = span.first_key(first) / KEYS, end = (span.end_key(first + QUERIES) + KEYS - 1) / KEYS;
    const float to_bits = scale * 1.44269504f;
    int row0 = first + warp * 16;
    float row_lse[2], row_delta[2], sum[HEAD / 8][4];
#pragma unroll
    for (int h = 0; h < 2; h++) {
        int row = row0 + (lane >> 2) + 8 * h;
        row_lse[h] = row < length_q ? lse[row] * 1.44269504f : 0.0f;
        row_delta[h] = row < length_q ? delta[row] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < HEAD / 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) sum[i][j] = 0.0f;
    fetch<QUERIES, HEAD, 128>(queries, q, q_row, first, length_q);
    fetch<QUERIES, HEAD, 128>(grads, g, g_row, first, length_q);
    if (tile < end) {
        fetch<KEYS, HEAD, 128>(keys, k, k_row, tile * KEYS, length_k);
        fetch<KEYS, HEAD, 128>(values, v, v_row, tile * KEYS, length_k);
    }
    cp_commit();
    for (int stage = 0; tile < end; tile++, stage ^= 1) {
        if (tile + 1 < end) {
            fetch<KEYS, HEAD, 128>(keys + (stage ^ 1) * KEYS * HEAD, k, k_row, (tile + 1) * KEYS, length_k);
            fetch<KEYS, HEAD, 128>(values + (stage ^ 1) * KEYS * HEAD, v, v_row, (tile + 1) * KEYS, length_k);
            cp_commit();
            cp_wait<1>();
        } else {
            cp_wait<0>();
        }
        __syncthreads();
        const T *kt = keys + stage * KEYS * HEAD, *vt = values + stage * KEYS * HEAD;
        float p[KEYS / 8][4], s[KEYS / 8][4];
        product_t(p, queries, warp * 16, kt);
        product_t(s, grads, warp * 16, vt);
        bool whole = span.all_seen(row0, row0 + 15, tile * KEYS, tile * KEYS + KEYS - 1);
#pragma unroll
        for (int i = 0; i < KEYS / 8; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) {
                int h = j >> 1;
                bool seen = whole || span.seen(row0 + (lane >> 2) + 8 * h, tile * KEYS + i * 8 + (lane & 3) * 2 + (j & 1));
                float weight = seen ? ex2(p[i][j] * to_bits - row_lse[h]) : 0.0f;
                s[i][j] = weight * (s[i][j] - row_delta[h]);
            }
        product(sum, s, kt);
        __syncthreads();
    }
    cp_wait<0>();
    __syncthreads();
    store_rows<HEAD>(dq, dq_row, row0, length_q, queries, warp * 16, sum, scale, scale);
}
