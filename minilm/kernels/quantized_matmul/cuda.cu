// y (M, N) = x (M, K) w (N, K)^T with w stored in 8 bits (int8) or 4 (NF4, arXiv 2305.14314, appendix
// E), times one float scale per `group` numbers of a row. BITS picks the format when compiling.
//
// The ladder.
//   1 expand w to 16 bits, then a matrix product   the expanded matrix is written and read again: 4
//                                                  times the traffic of int8, 8 times that of NF4
//   2 quantized_few, for M <= 8 (decoding)         w is read once, as stored, 16 bytes per lane, and
//                                                  expanded in registers; one warp per output column.
//                                                  Memory-bound: int8 costs half of bf16's time
//   3 quantized_matmul, for any M                  64 x 64 tiles: codes are fetched into registers
//                                                  while the previous tile is multiplied, expanded
//                                                  into shared memory and fed to the tensor cores
// K and group are multiples of 64.
#include "tensor_core.cuh"

__device__ const float NF4[16] = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
                                  -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
                                  0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
                                  0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};
#define PER_LOAD (128 / BITS)  // codes in 16 bytes

union Codes { uint4 raw; unsigned char bytes[16]; };
__device__ __forceinline__ Codes load_codes(const unsigned char *p) {
    Codes c;
    c.raw = *reinterpret_cast<const uint4 *>(p);
    return c;
}
__device__ __forceinline__ float decode(const Codes &c, int i, const float *levels) {
#if BITS == 8
    return (float)(signed char)c.bytes[i];
#else
    return levels[(c.bytes[i >> 1] >> ((i & 1) * 4)) & 15];
#endif
}

// Launch: grid (ceil(N / 4)), block 128. At most 8 rows.
extern "C" __global__ void __launch_bounds__(128)
quantized_few(const T *__restrict__ x, const unsigned char *__restrict__ w, const float *__restrict__ scales,
              T *__restrict__ y, int rows, int n, int depth, int group) {
    __shared__ float levels[16];
    if (threadIdx.x < 16) levels[threadIdx.x] = NF4[threadIdx.x];
    __syncthreads();
    int column = blockIdx.x * 4 + (threadIdx.x >> 5), lane = threadIdx.x & 31;
    if (column >= n) return;
    w += (size_t)column * depth * BITS / 8, scales += (size_t)column * (depth / group);
    float sum[8] = {0.0f};
    for (int j = lane * PER_LOAD; j < depth; j += 32 * PER_LOAD) {
        Codes c = load_codes(w + (size_t)j * BITS / 8);
        float scale = scales[j / group];
#pragma unroll
        for (int i = 0; i < PER_LOAD; i += WIDE) {
            float value[WIDE];
#pragma unroll
            for (int k = 0; k < WIDE; k++) value[k] = decode(c, i + k, levels) * scale;
#pragma unroll
            for (int m = 0; m < 8; m++) {
                if (m >= rows) break;
                Pack p = load(x + (size_t)m * depth + j + i);
#pragma unroll
                for (int k = 0; k < WIDE; k++) sum[m] += to_float(p.v[k]) * value[k];
            }
        }
    }
#pragma unroll
    for (int m = 0; m < 8; m++) {
        if (m >= rows) break;
        float total = warp_sum(sum[m]);
        if (lane == 0) set(y[(size_t)m * n + column], total);
    }
}

// Launch: grid (ceil(N / 64), ceil(M / 64)), block 128.
extern "C" __global__ void __launch_bounds__(128)
quantized_matmul(const T *__restrict__ x, const unsigned char *__restrict__ w, const float *__restrict__ scales,
                 T *__restrict__ y, int rows, int n, int depth, int group) {
    __shared__ __align__(128) T left_tiles[2 * 64 * 64], right_tile[64 * 64];
    __shared__ float levels[16];
    if (threadIdx.x < 16) levels[threadIdx.x] = NF4[threadIdx.x];
    int row0 = blockIdx.y * 64, column0 = blockIdx.x * 64, warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    // Each thread expands 32 codes of one column: half of a tile's depth.
    int column = threadIdx.x >> 1, half = threadIdx.x & 1;
    bool mine = column0 + column < n;
    const unsigned char *codes = w + ((size_t)(mine ? column0 + column : 0) * depth + half * 32) * BITS / 8;
    const float *factor = scales + (size_t)(mine ? column0 + column : 0) * (depth / group);
    const int LOADS = 32 / PER_LOAD;
    Codes held[LOADS];
    float scale;
    auto take = [&](int k) {
#pragma unroll
        for (int i = 0; i < LOADS; i++) held[i] = load_codes(codes + (size_t)(k + i * PER_LOAD) * BITS / 8);
        scale = mine ? factor[k / group] : 0.0f;
    };
    float sum[8][4];
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) sum[i][j] = 0.0f;
    fetch<64, 64, 128>(left_tiles, x, depth, row0, rows);
    cp_commit();
    take(0);
    for (int k = 0, stage = 0; k < depth; k += 64, stage ^= 1) {
        __syncthreads();  // the previous tiles have been used; the levels are there
#pragma unroll
        for (int piece = 0; piece < 4; piece++) {
            Pack p;
#pragma unroll
            for (int i = 0; i < WIDE; i++) {
                int at = piece * WIDE + i;
                set(p.v[i], decode(held[at / PER_LOAD], at % PER_LOAD, levels) * scale);
            }
            store(right_tile + swizzle<64>(column, half * 4 + piece), p);
        }
        if (k + 64 < depth) {
            fetch<64, 64, 128>(left_tiles + (stage ^ 1) * 4096, x + k + 64, depth, row0, rows);
            cp_commit();
            take(k + 64);
            cp_wait<1>();
        } else {
            cp_wait<0>();
        }
        __syncthreads();
#pragma unroll
        for (int d = 0; d < 4; d++) {
            unsigned a[4];
            left<64>(a, left_tiles + stage * 4096, warp * 16, d);
#pragma unroll
            for (int c = 0; c < 4; c++) {
                unsigned b[4];
                right_t<64>(b, right_tile, c * 16, d);
                mma(sum[2 * c], a, b[0], b[1]);
                mma(sum[2 * c + 1], a, b[2], b[3]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int r = row0 + warp * 16 + (lane >> 2) + 8 * (j >> 1), c = column0 + i * 8 + (lane & 3) * 2 + (j & 1);
            if (r < rows && c < n) set(y[(size_t)r * n + c], sum[i][j]);
        }
}
