// common.cuh: what most kernels share. T, the type of the arrays, is chosen when compiling
// (-DDTYPE=float, __nv_bfloat16 or __half); arithmetic is always float.
#pragma once
#ifndef CUDA_EMU
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#ifdef __CUDACC_RTC__
typedef unsigned char uint8_t;
typedef signed char int8_t;
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif
#endif
#endif
#ifndef DTYPE
#define DTYPE float
#endif
typedef DTYPE T;

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ __forceinline__ float to_float(__half x) { return __half2float(x); }
__device__ __forceinline__ void set(float &y, float x) { y = x; }
__device__ __forceinline__ void set(__nv_bfloat16 &y, float x) { y = __float2bfloat16(x); }
__device__ __forceinline__ void set(__half &y, float x) { y = __float2half(x); }

// 16 bytes: the widest load of a thread. A warp of them moves 512 bytes, 16 full sectors.
static const int WIDE = 16 / sizeof(T);
struct __align__(16) Pack { T v[WIDE]; };
__device__ __forceinline__ Pack load(const T *p) {
    union { uint4 raw; Pack pack; } u;
    u.raw = *reinterpret_cast<const uint4 *>(p);
    return u.pack;
}
__device__ __forceinline__ void store(T *p, const Pack &pack) {
    union { uint4 raw; Pack pack; } u;
    u.pack = pack;
    *reinterpret_cast<uint4 *>(p) = u.raw;
}
// Whether rows of n elements can be read 16 bytes at a time.
template <class... P> __device__ __forceinline__ bool wide_rows(int n, const P *...p) {
    return n % WIDE == 0 && ((... | (size_t)p) & 15) == 0;
}

__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
    for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
    return v;
}
__device__ __forceinline__ float warp_max(float v) {
#pragma unroll
    for (int o = 16; o; o >>= 1) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, o));
    return v;
}
// Sum over a block of whole warps; every thread gets it. `scratch` holds 32 floats; the barrier in
// front lets it be used again at once.
__device__ __forceinline__ float block_sum(float v, float *scratch) {
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    v = warp_sum(v);
    if (warps == 1) return v;
    __syncthreads();
    if (lane == 0) scratch[warp] = v;
    __syncthreads();
    return warp_sum(lane < warps ? scratch[lane] : 0.0f);
}
__device__ __forceinline__ float block_max(float v, float *scratch) {
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    v = warp_max(v);
    if (warps == 1) return v;
    __syncthreads();
    if (lane == 0) scratch[warp] = v;
    __syncthreads();
    return warp_max(lane < warps ? scratch[lane] : -INFINITY);
}

// f(j, a[j], b[j], ...) for every element j of a row that this thread owns, 16 bytes of each array at
// a time where the row allows it.
template <class F, class... Packs> __device__ __forceinline__ void each_in(F &f, int j, const Packs &...p) {
#pragma unroll
    for (int i = 0; i < WIDE; i++) f(j + i, to_float(p.v[i])...);
}
template <class F, class... A> __device__ __forceinline__ void each(int n, bool wide, F f, const A *...a) {
    if (wide) {
        for (int j = threadIdx.x * WIDE; j < n; j += blockDim.x * WIDE) each_in(f, j, load(a + j)...);
    } else {
        for (int j = threadIdx.x; j < n; j += blockDim.x) f(j, to_float(a[j])...);
    }
}
// y[j] = f(j, a[j], b[j], ...) over a row. y may be one of the others.
template <class F, class... Packs> __device__ __forceinline__ Pack map_in(F &f, int j, const Packs &...p) {
    Pack y;
#pragma unroll
    for (int i = 0; i < WIDE; i++) set(y.v[i], f(j + i, to_float(p.v[i])...));
    return y;
}
template <class F, class... A> __device__ __forceinline__ void map(T *y, int n, bool wide, F f, const A *...a) {
    if (wide) {
        for (int j = threadIdx.x * WIDE; j < n; j += blockDim.x * WIDE) store(y + j, map_in(f, j, load(a + j)...));
    } else {
        for (int j = threadIdx.x; j < n; j += blockDim.x) set(y[j], f(j, to_float(a[j])...));
    }
}

// The largest value and the sum of exponentials below it, together: reading one more element x turns
// (m, s) into (max(m, x), s exp(m - max) + exp(x - max)). One pass instead of two.
struct Online { float max, sum; };
__device__ __forceinline__ void online_add(Online &o, float x) {
    if (x > o.max) {
        o.sum = o.sum * __expf(o.max - x) + 1.0f;
        o.max = x;
    } else if (x > -INFINITY) {
        o.sum += __expf(x - o.max);
    }
}
__device__ __forceinline__ Online online_block(Online o, float *scratch) {
    float top = block_max(o.max, scratch);
    float sum = block_sum(o.max > -INFINITY ? o.sum * __expf(o.max - top) : 0.0f, scratch);
    return {top, sum};
}
