// tensor_core.cuh: all inline PTX of the package. Each primitive has two bodies, one for the GPU and
// one for the emulator (minilm/emulator/tensor_ops.h).
#pragma once
#include "common.cuh"
#define BF16 (sizeof(T) == 2 && is_bf16((T *)nullptr))
__device__ __forceinline__ constexpr bool is_bf16(__nv_bfloat16 *) { return true; }
__device__ __forceinline__ constexpr bool is_bf16(__half *) { return false; }
__device__ __forceinline__ constexpr bool is_bf16(float *) { return false; }

// Two values as one register, the first in the low half.
__device__ __forceinline__ unsigned pack2(float low, float high) {
    union { T v[2]; unsigned bits; } u;
    set(u.v[0], low), set(u.v[1], high);
    return u.bits;
}

#ifdef CUDA_EMU
__device__ __forceinline__ float ex2(float x) { return exp2f(x); }
// c (16, 8) += a (16, 16) b (16, 8), one tile per warp: lane l holds rows l / 4 and l / 4 + 8.
__device__ __forceinline__ void mma(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, int line = __builtin_LINE()) {
    unsigned b[2] = {b0, b1};
    emu::mma_m16n8k16(c, a, b, BF16, line);
}
// Four 8 x 8 tiles of 16-bit numbers from shared memory; lane l gives the address of row l % 8 of tile l / 8.
__device__ __forceinline__ void ldmatrix(unsigned (&d)[4], const T *p, int line = __builtin_LINE()) { emu::ldmatrix_x4(d, p, false, line); }
__device__ __forceinline__ void ldmatrix_t(unsigned (&d)[4], const T *p, int line = __builtin_LINE()) { emu::ldmatrix_x4(d, p, true, line); }
// 16 bytes from device to shared memory in the background; zeros where ok is false.
__attribute__((noinline)) static void cp_async(void *d, const void *s, bool ok) { emu::async_copy(d, s, 16, ok ? 16 : 0, (char *)__builtin_return_address(0) - 1); }
__device__ __forceinline__ void cp_commit() { emu::async_commit(); }
template <int N> __device__ __forceinline__ void cp_wait() { emu::async_wait(N, __builtin_LINE()); }
#else
__device__ __forceinline__ float ex2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
__device__ __forceinline__ unsigned shared_address(const void *p) { return (unsigned)__cvta_generic_to_shared(p); }
__device__ __forceinline__ void mma(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    if constexpr (BF16)
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    else
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ __forceinline__ void ldmatrix(unsigned (&d)[4], const T *p) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3]) : "r"(shared_address(p)) : "memory");
}
__device__ __forceinline__ void ldmatrix_t(unsigned (&d)[4], const T *p) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3]) : "r"(shared_address(p)) : "memory");
}
__device__ __forceinline__ void cp_async(void *d, const void *s, bool ok) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(d)), "l"(s), "r"(ok ? 16 : 0) : "memory");
}
__device__ __forceinline__ void cp_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> __device__ __forceinline__ void cp_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }
#endif

// A tile in shared memory: rows of COLUMNS 16-bit numbers. The 16-byte pieces of a row are stored in
// an order that depends on the row (XOR), so that the eight rows ldmatrix reads at once are in eight
// different groups of four banks. Without it they would be in one, and take eight rounds.
template <int COLUMNS> __device__ __forceinline__ int swizzle(int row, int piece) {
    return row * COLUMNS + ((piece ^ (row & 7)) << 3);
}
// Starts copying rows first .. first + ROWS - 1 of a matrix with `rows` rows; zeros beyond them.
template <int ROWS, int COLUMNS, int THREADS>
__device__ __forceinline__ void fetch(T *tile, const T *matrix, long long stride, int first, int rows) {
    const int PIECES = COLUMNS / 8, STEP = THREADS / PIECES;  // STEP is a multiple of 8: the order stays
    int r = threadIdx.x / PIECES, piece = threadIdx.x % PIECES;
    const T *from = matrix + (first + r) * stride + piece * 8;
    tile += swizzle<COLUMNS>(r, piece);
#pragma unroll
    for (int i = 0; i < ROWS / STEP; i++, from += STEP * stride) {
        bool ok = first + r + i * STEP < rows;
        cp_async(tile + i * STEP * COLUMNS, ok ? from : matrix, ok);
    }
}
// Writes 16 rows of a warp's sums, times a factor per row of eight, to rows row0.. of a matrix with `rows`
// rows. They go through 16 rows of shared memory that only this warp uses, so that each lane can store
// 16 bytes: straight from the registers a store would fill half sectors.
template <int COLUMNS>
__device__ __forceinline__ void store_rows(T *to, long long stride, int row0, int rows, T *tile, int tile_row,
                                           const float (&sum)[COLUMNS / 8][4], float upper, float lower) {
    const int PIECES = COLUMNS / 8;
    int lane = threadIdx.x & 31;
#pragma unroll
    for (int h = 0; h < 2; h++)
#pragma unroll
        for (int i = 0; i < PIECES; i++) {
            float factor = h ? lower : upper;
            T *at = tile + swizzle<COLUMNS>(tile_row + (lane >> 2) + 8 * h, i) + (lane & 3) * 2;
            *(unsigned *)at = pack2(sum[i][2 * h] * factor, sum[i][2 * h + 1] * factor);
        }
    __syncwarp();
#pragma unroll
    for (int id = lane; id < 16 * PIECES; id += 32) {
        int r = id / PIECES, piece = id % PIECES;
        if (row0 + r < rows) store(to + (row0 + r) * stride + piece * 8, load(tile + swizzle<COLUMNS>(tile_row + r, piece)));
    }
}
// The 16 x 16 left operand at rows row.., columns 16 k.. of a tile.
template <int COLUMNS> __device__ __forceinline__ void left(unsigned (&a)[4], const T *tile, int row, int k) {
    int lane = threadIdx.x & 31;
    ldmatrix(a, tile + swizzle<COLUMNS>(row + (lane & 15), k * 2 + (lane >> 4)));
}
// Right operand of tile^T: columns row.. row + 15 (two products' worth), depth 16 k..
template <int COLUMNS> __device__ __forceinline__ void right_t(unsigned (&b)[4], const T *tile, int row, int k) {
    int lane = threadIdx.x & 31;
    ldmatrix(b, tile + swizzle<COLUMNS>(row + (lane & 7) + (lane >> 4) * 8, k * 2 + ((lane >> 3) & 1)));
}
// Right operand of the tile itself: depth row.. row + 15, columns 16 k.. (two products' worth).
template <int COLUMNS> __device__ __forceinline__ void right(unsigned (&b)[4], const T *tile, int row, int k) {
    int lane = threadIdx.x & 31;
    ldmatrix_t(b, tile + swizzle<COLUMNS>(row + (lane & 15), k * 2 + (lane >> 4)));
}
