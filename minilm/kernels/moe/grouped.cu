// Grouped matrix products on tensor cores: rows offsets[e] .. offsets[e + 1] - 1 of x meet expert e's
// own matrix. One launch for all experts, however unevenly they are loaded.
//
// The ladder.
//   1 one product per expert           E launches, and the host must know the counts: it waits for the GPU
//   2 pad every expert to the longest  one batched product, most of it zeros when the load is uneven
//   3 grouped (arXiv 2211.15841)       a tile of 64 rows belongs to one expert; a block finds its
//                                      expert in `offsets`. The grid covers the worst case, total / 64 + E
//                                      tiles, so the host need not know; spare blocks leave at once
// Depth and width are multiples of 64. Launch: grid (width / 64, total / 64 + E), block 128.
#include "tensor_core.cuh"

struct Tile { int expert, row0, end; };
__device__ __forceinline__ Tile find_tile(const int *offsets, int experts, int number) {
    for (int e = 0; e < experts; e++) {
        int tiles = (offsets[e + 1] - offsets[e] + 63) / 64;
        if (number < tiles) return {e, offsets[e] + number * 64, offsets[e + 1]};
        number -= tiles;
    }
    return {-1, 0, 0};
}
__device__ __forceinline__ void clear(float (&sum)[8][4]) {
#pragma unroll
    for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) sum[i][j] = 0.0f;
}

// y = x w[e]^T with w (E, width, depth); for the gradient of x, turned = 1: y = x w[e] with w (E, depth, width).
extern "C" __global__ void __launch_bounds__(128)
grouped_matmul(const T *__restrict__ x, const T *__restrict__ w, const int *__restrict__ offsets, T *__restrict__ y,
               int experts, int width, int depth, int turned) {
    __shared__ __align__(128) T a_tiles[2 * 4096], b_tiles[2 * 4096];
    Tile tile = find_tile(offsets, experts, blockIdx.y);
    if (tile.expert < 0) return;
    int column0 = blockIdx.x * 64, warp = threadIdx.x >> 5;
    w += (size_t)tile.expert * width * depth;
    auto start = [&](int k, int stage) {
        fetch<64, 64, 128>(a_tiles + stage * 4096, x + k, depth, tile.row0, tile.end);
        if (turned) fetch<64, 64, 128>(b_tiles + stage * 4096, w + column0, width, k, depth);
        else fetch<64, 64, 128>(b_tiles + stage * 4096, w + k, depth, column0, width);
        cp_commit();
    };
    float sum[8][4];
    clear(sum);
    start(0, 0);
    for (int k = 0, stage = 0; k < depth; k += 64, stage ^= 1) {
        if (k + 64 < depth) {
            start(k + 64, stage ^ 1);
            cp_wait<1>();
        } else {
            cp_wait<0>();
        }
        __syncthreads();
#pragma unroll
        for (int d = 0; d < 4; d++) {
            unsigned a[4];
            left<64>(a, a_tiles + stage * 4096, warp * 16, d);
#pragma unroll
            for (int c = 0; c < 4; c++) {
                unsigned b[4];
                if (turned) right<64>(b, b_tiles + stage * 4096, d * 16, c);
                else right_t<64>(b, b_tiles + stage * 4096, c * 16, d);
                mma(sum[2 * c], a, b[0], b[1]);
                mma(sum[2 * c + 1], a, b[2], b[3]);
            }
        }
        __syncthreads();
    }
    store_rows<64>(y + column0, width, tile.row0 + warp * 16, tile.end, a_tiles, warp * 16, sum, 1.0f, 1.0f);
}

// dw[e] (width, depth) = g_e^T x_e over the rows of expert e; zeros for an expert without rows.
// Launch: grid (depth / 64, width / 64, E), block 128.
extern "C" __global__ void __launch_bounds__(128)
grouped_weight_gradient(const T *__restrict__ g, const T *__restrict__ x, const int *__restrict__ offsets,
                        T *__restrict__ dw, int width, int depth) {
    __shared__ __align__(128) T a_tiles[2 * 4096], b_tiles[2 * 4096];
    int expert = blockIdx.z, begin = offsets[expert], end = offsets[expert + 1];
    int column0 = blockIdx.x * 64, row0 = blockIdx.y * 64, warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    auto start = [&](int r, int stage) {
        fetch<64, 64, 128>(a_tiles + stage * 4096, g + row0, width, r, end);
        fetch<64, 64, 128>(b_tiles + stage * 4096, x + column0, depth, r, end);
        cp_commit();
    };
    float sum[8][4];
    clear(sum);
    if (begin < end) start(begin, 0);
    for (int r = begin, stage = 0; r < end; r += 64, stage ^= 1) {
        if (r + 64 < end) {
            start(r + 64, stage ^ 1);
            cp_wait<1>();
        } else {
            cp_wait<0>();
        }
        __syncthreads();
#pragma unroll
        for (int d = 0; d < 4; d++) {
            unsigned a[4];  // the left operand lies transposed: rows of the tile are its depth
            ldmatrix_t(a, a_tiles + stage * 4096 + swizzle<64>(d * 16 + (lane & 7) + (lane >> 4) * 8, warp * 2 + ((lane >> 3) & 1)));
#pragma unroll
            for (int c = 0; c < 4; c++) {
                unsigned b[4];
                right<64>(b, b_tiles + stage * 4096, d * 16, c);
                mma(sum[2 * c], a, b[0], b[1]);
                mma(sum[2 * c + 1], a, b[2], b[3]);
            }
        }
        __syncthreads();
    }
    dw += (size_t)expert * width * depth + column0;
    store_rows<64>(dw, depth, row0 + warp * 16, width, a_tiles, warp * 16, sum, 1.0f, 1.0f);
}
