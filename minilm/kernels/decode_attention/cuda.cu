// Attention of one new query per sequence over its cached keys and values, contiguous or paged.
//
// The work is reading the cache once: 2 numbers read per 2 multiply-adds, so tensor cores are of no
// use and memory speed is all. The ladder:
//   1 one block per (sequence, head)    batch 1 with 12 heads keeps 12 of 132 processors busy, and
//                                       grouped heads read the same keys again and again
//   2 one block per (sequence, key      grouped queries share every key that is read
//     head)
//   3 decode_attention: split-K         the keys of a sequence are cut into gridDim.x pieces, each
//     (arXiv 2311.01282, section 3)     block keeps its own maximum and sum; decode_combine merges
// A key of HEAD numbers is read by LANES lanes, 16 bytes each, so a warp reads 512 bytes at a time.
//
// Key j of sequence b, key head h starts at k + b batch_step + h head_step + j HEAD; with a page
// table at k + table[b pages + j / page] batch_step + h head_step + (j % page) HEAD; without one but with
// a page, the cache rolls: key j is in slot j % page, where it has taken the place of key j - page.
// Sequence b has keys begins[b] .. lengths[b] - 1 (from 0 where begins is null). distance, (H, span) or
// null, is added to the scores: its last column to the newest key's, the one before to the key's before.
// SHARE query heads (of one key head) per block. Launch: grid (splits, H / SHARE, B), block 128.
#include "common.cuh"
#ifndef OUT
#define OUT T  // of the answer; float for a kernel that continues with it
#endif
#define LANES (HEAD / WIDE)
#define TEAMS (128 / LANES)  // teams of lanes, each with its own keys
#ifndef SHARE
#define SHARE 1
#endif
// Blocks per processor, at least: what the sums of SHARE heads leave room for. The compiler's own choice
// of registers spilled up to 32 bytes.
#define RESIDENT (SHARE > 4 ? 2 : 4)

extern "C" __global__ void __launch_bounds__(128, RESIDENT)
decode_attention(const T *__restrict__ q, const T *__restrict__ k, const T *__restrict__ v, const int *lengths,
                 const int *begins, const int *table, const float *__restrict__ distance, float *__restrict__ part,
                 float *__restrict__ part_max, float *__restrict__ part_sum, int heads, int groups, long long batch_step,
                 long long head_step, int page, int pages, int span, float scale, int window) {
    __shared__ float merge[SHARE][TEAMS][HEAD];
    __shared__ float merge_max[SHARE][TEAMS], merge_sum[SHARE][TEAMS];
    int head0 = blockIdx.y * SHARE, b = blockIdx.z, group = head0 / (heads / groups);
    int team = threadIdx.x / LANES, lane = threadIdx.x % LANES, length = lengths[b];
    int oldest = begins ? begins[b] : 0;
    if (window > 0 && length - window > oldest) oldest = length - window;
    if (!table && page > 0 && length - page > oldest) oldest = length - page;
    int piece = (length - oldest + gridDim.x - 1) / gridDim.x;
    int begin = oldest + blockIdx.x * piece, end = begin + piece < length ? begin + piece : length;
    k += group * head_step + lane * WIDE, v += group * head_step + lane * WIDE;

    float query[SHARE][WIDE], o[SHARE][WIDE], top[SHARE], sum[SHARE];
#pragma unroll
    for (int h = 0; h < SHARE; h++) {
        Pack p = load(q + ((size_t)b * heads + head0 + h) * HEAD + lane * WIDE);
#pragma unroll
        for (int i = 0; i < WIDE; i++) query[h][i] = to_float(p.v[i]) * scale, o[h][i] = 0.0f;
        top[h] = -INFINITY, sum[h] = 0.0f;
    }
    // All lanes of a warp take the same number of turns: shuffles need every one of them.
    for (int turn = begin; turn < end; turn += TEAMS) {
        int j = turn + team;
        bool mine = j < end;
        int slot = page > 0 ? j % page : j;
        size_t at = mine ? (table ? table[b * pages + j / page] : b) * batch_step + (size_t)slot * HEAD : 0;
        Pack pk = load(k + at), pv = load(v + at);
#pragma unroll
        for (int h = 0; h < SHARE; h++) {
            float s = 0.0f;
#pragma unroll
            for (int i = 0; i < WIDE; i++) s += query[h][i] * to_float(pk.v[i]);
#pragma unroll
            for (int step = LANES / 2; step; step >>= 1) s += __shfl_xor_sync(0xffffffffu, s, step);
            if (!mine) continue;
            if (distance) s += distance[(head0 + h) * span + span - length + j];
            float highest = fmaxf(top[h], s), fade = __expf(top[h] - highest), weight = __expf(s - highest);
            top[h] = highest;
            sum[h] = sum[h] * fade + weight;
#pragma unroll
            for (int i = 0; i < WIDE; i++) o[h][i] = o[h][i] * fade + weight * to_float(pv.v[i]);
        }
    }
#pragma unroll
    for (int h = 0; h < SHARE; h++) {
#pragma unroll
        for (int i = 0; i < WIDE; i++) merge[h][team][lane * WIDE + i] = o[h][i];
        if (lane == 0) merge_max[h][team] = top[h], merge_sum[h][team] = sum[h];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < SHARE * HEAD; i += 128) {
        int h = i / HEAD, d = i % HEAD;
        float highest = -INFINITY, total = 0.0f, value = 0.0f;
        for (int t = 0; t < TEAMS; t++) highest = fmaxf(highest, merge_max[h][t]);
        for (int t = 0; t < TEAMS; t++) {
            float fade = merge_max[h][t] == -INFINITY ? 0.0f : __expf(merge_max[h][t] - highest);
            total += merge_sum[h][t] * fade;
            value += merge[h][t][d] * fade;
        }
        size_t at = ((size_t)b * heads + head0 + h) * gridDim.x + blockIdx.x;
        part[at * HEAD + d] = value;
        if (d == 0) part_max[at] = highest, part_sum[at] = total;
    }
}

// lse, the logsumexp of the scores, where it is not null. Launch: grid (B H), block HEAD.
extern "C" __global__ void decode_combine(const float *__restrict__ part, const float *__restrict__ part_max,
                                          const float *__restrict__ part_sum, OUT *__restrict__ out,
                                          float *__restrict__ lse, int splits) {
    size_t row = blockIdx.x;
    float highest = -INFINITY, total = 0.0f, value = 0.0f;
    for (int i = 0; i < splits; i++) highest = fmaxf(highest, part_max[row * splits + i]);
    for (int i = 0; i < splits; i++) {
        float top = part_max[row * splits + i], fade = top == -INFINITY ? 0.0f : __expf(top - highest);
        total += part_sum[row * splits + i] * fade;
        value += part[(row * splits + i) * HEAD + threadIdx.x] * fade;
    }
    set(out[row * HEAD + threadIdx.x], total > 0.0f ? value / total : 0.0f);
    if (lse && threadIdx.x == 0) lse[row] = total > 0.0f ? highest + __logf(total) : 0.0f;
}
