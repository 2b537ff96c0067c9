// FlashAttention-2 forward (arXiv 2307.08691, algorithm 1) on tensor cores: out = softmax(q k^T) v
// without ever storing the scores. bf16 or fp16 in and out, float sums. HEAD is the head size.
//
// The ladder, for T queries and keys of head size D:
//   1 two matrix products with a softmax between    writes and reads T x T scores: 4 T^2 numbers of
//     (products.py)                                 traffic where q, k, v, out are 4 T D
//   2 one thread per query, keys in shared memory,  no scores in memory, but one multiply-add per
//     online softmax (cuda_readable.py)             shared-memory read and no tensor cores
//   3 this file                                     tensor cores (mma.sync m16n8k16); each warp
//                                                   keeps 32 queries, their sums and their output in
//                                                   registers; keys and values stream through two
//                                                   buffers that cp.async fills while the previous
//                                                   pair is used; swizzled, so no bank conflicts
// Per block: 128 queries, 4 warps. Per key tile of 64 a block does 2 x 128 x 64 x D multiply-adds and
// fetches 2 x 64 x D numbers: 64 multiply-adds per byte.
// A lane of a warp holds 32 x D / 32 sums of the output and 32 x KEYS / 32 scores. With D = 128 and
// KEYS = 64 that is 192 of its 255 registers, and what is left was too few: 68 bytes were spilled. Tiles
// of 32 keys need 160 and cost two barriers more per 64 keys.
// Not done: wgmma, TMA and warp specialisation (FlashAttention-3).
//
// Row t of batch b, head h is at q + b q_batch + h q_head + t q_row, and so for k, v and out, so that
// heads can be read where a linear map wrote them. If starts_q is given, sequences are packed: batch
// b's rows are starts_q[b] .. starts_q[b + 1] - 1.
// lse (logsumexp of the scaled scores) at lse + b lse_batch + h lse_head + t.
#if HEAD == 128
#define KEYS 32  // keys per tile
#else
#define KEYS 64
#endif
#include "span.cuh"
#define TILES 2  // m16 tiles per warp
#define ROWS (64 * TILES)

extern "C" __global__ void __launch_bounds__(128)
attention_forward(const T *__restrict__ q, const T *__restrict__ k, const T *__restrict__ v, T *__restrict__ out,
                  float *__restrict__ lse, const int *starts_q, const int *starts_k, int length_q, int length_k,
                  int heads, int groups, long long q_batch, long long q_head, long long q_row, long long k_batch,
                  long long k_head, long long k_row, long long v_batch, long long v_head, long long v_row,
                  long long out_batch, long long out_head, long long out_row, long long lse_batch, long long lse_head,
                  float scale, int causal, int window) {
    extern __shared__ __align__(128) T memory[];
    T *queries = memory, *keys = queries + ROWS * HEAD, *values = keys + 2 * KEYS * HEAD;
    int head = blockIdx.y, batch = blockIdx.z, warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    int from_q = starts_q ? starts_q[batch] : 0, from_k = starts_k ? starts_k[batch] : 0;
    if (starts_q) length_q = starts_q[batch + 1] - from_q, length_k = starts_k[batch + 1] - from_k;
    int first = (gridDim.x - 1 - blockIdx.x) * ROWS;  // the longest causal rows start first
    if (first >= length_q) return;
    int group = head / (heads / groups);
    q += batch * q_batch + head * q_head + from_q * q_row;
    k += batch * k_batch + group * k_head + from_k * k_row;
    v += batch * v_batch + group * v_head + from_k * v_row;
    out += batch * out_batch + head * out_head + from_q * out_row;
    lse += batch * lse_batch + head * lse_head + from_q;

    Span span = {length_q, length_k, causal != 0, window};
    int tile = span.first_key(first) / KEYS, end = (span.end_key(first + ROWS) + KEYS - 1) / KEYS;
    float o[TILES][HEAD / 8][4], top[TILES][2], sum[TILES][2];
#pragma unroll
    for (int m = 0; m < TILES; m++) {
#pragma unroll
        for (int i = 0; i < HEAD / 8; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) o[m][i][j] = 0.0f;
        top[m][0] = top[m][1] = -INFINITY, sum[m][0] = sum[m][1] = 0.0f;
    }
    fetch<ROWS, HEAD, 128>(queries, q, q_row, first, length_q);
    if (tile < end) {
        fetch<KEYS, HEAD, 128>(keys, k, k_row, tile * KEYS, length_k);
        fetch<KEYS, HEAD, 128>(values, v, v_row, tile * KEYS, length_k);
    }
    cp_commit();
    const float to_bits = scale * 1.44269504f;  // exp(x) = 2^(x log2 e)

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
        float s[TILES][KEYS / 8][4];
#pragma unroll
        for (int m = 0; m < TILES; m++)
#pragma unroll
            for (int i = 0; i < KEYS / 8; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) s[m][i][j] = 0.0f;
#pragma unroll
        for (int d = 0; d < HEAD / 16; d++) {
            unsigned a[TILES][4];
#pragma unroll
            for (int m = 0; m < TILES; m++) left<HEAD>(a[m], queries, (warp * TILES + m) * 16, d);
#pragma unroll
            for (int n = 0; n < KEYS / 16; n++) {
                unsigned b[4];
                right_t<HEAD>(b, kt, n * 16, d);
#pragma unroll
                for (int m = 0; m < TILES; m++) {
                    mma(s[m][2 * n], a[m], b[0], b[1]);
                    mma(s[m][2 * n + 1], a[m], b[2], b[3]);
                }
            }
        }
#pragma unroll
        for (int m = 0; m < TILES; m++) {
            int row0 = first + (warp * TILES + m) * 16, column0 = tile * KEYS;
            if (!span.all_seen(row0, row0 + 15, column0, column0 + KEYS - 1)) {
#pragma unroll
                for (int i = 0; i < KEYS / 8; i++)
#pragma unroll
                    for (int j = 0; j < 4; j++)
                        if (!span.seen(row0 + (lane >> 2) + 8 * (j >> 1), column0 + i * 8 + (lane & 3) * 2 + (j & 1)))
                            s[m][i][j] = -INFINITY;
            }
#pragma unroll
            for (int h = 0; h < 2; h++) {  // a lane holds parts of two rows; four lanes share a row
                float highest = top[m][h];
#pragma unroll
                for (int i = 0; i < KEYS / 8; i++) highest = fmaxf(highest, fmaxf(s[m][i][2 * h], s[m][i][2 * h + 1]));
                highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 1));
                highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 2));
                float base = highest == -INFINITY ? 0.0f : highest * to_bits, total = 0.0f;
                float fade = ex2(top[m][h] * to_bits - base);
                top[m][h] = highest;
#pragma unroll
                for (int i = 0; i < KEYS / 8; i++) {
                    s[m][i][2 * h] = ex2(s[m][i][2 * h] * to_bits - base);
                    s[m][i][2 * h + 1] = ex2(s[m][i][2 * h + 1] * to_bits - base);
                    total += s[m][i][2 * h] + s[m][i][2 * h + 1];
                }
                sum[m][h] = sum[m][h] * fade + total;
#pragma unroll
                for (int i = 0; i < HEAD / 8; i++) o[m][i][2 * h] *= fade, o[m][i][2 * h + 1] *= fade;
            }
        }
#pragma unroll
        for (int n = 0; n < KEYS / 16; n++) {
            unsigned a[TILES][4];
#pragma unroll
            for (int m = 0; m < TILES; m++) weights(a[m], s[m], n);
#pragma unroll
            for (int d = 0; d < HEAD / 16; d++) {
                unsigned b[4];
                right<HEAD>(b, vt, n * 16, d);
#pragma unroll
                for (int m = 0; m < TILES; m++) {
                    mma(o[m][2 * d], a[m], b[0], b[1]);
                    mma(o[m][2 * d + 1], a[m], b[2], b[3]);
                }
            }
        }
        __syncthreads();  // the next copies overwrite what this tile was read from
    }
    cp_wait<0>();
    __syncthreads();  // where no key was seen, others' copies of queries may still have been landing
#pragma unroll
    for (int m = 0; m < TILES; m++) {
        int tile_row = (warp * TILES + m) * 16;
        float inverse[2];
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float total = sum[m][h];
            total += __shfl_xor_sync(0xffffffffu, total, 1);
            total += __shfl_xor_sync(0xffffffffu, total, 2);
            inverse[h] = total > 0.0f ? 1.0f / total : 0.0f;  // a query that sees nothing gets zeros
            int row = first + tile_row + (lane >> 2) + 8 * h;
            if ((lane & 3) == 0 && row < length_q) lse[row] = total > 0.0f ? top[m][h] * scale + __logf(total) : 0.0f;
        }
        store_rows<HEAD>(out, out_row, first + tile_row, length_q, queries, tile_row, o[m], inverse[0], inverse[1]);
    }
}
