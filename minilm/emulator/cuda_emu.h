// cuda_emu.h: the CUDA language as plain C++, for one CPU core.
//
// A .cu file is compiled by an ordinary C++ compiler with this header in front of it. Every CUDA
// thread becomes a fiber; blocks run one after another, so one copy of shared memory is enough.
// The real work (switching fibers, exchanging registers, watching memory) is in runtime.cpp, which
// is compiled without instrumentation; this header only names it.
#pragma once
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#define CUDA_EMU 1
#define EMU_UNWATCHED __attribute__((no_sanitize("thread")))
#define __global__ static
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __constant__ static
#define __restrict__
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_assume(x)
#ifdef __APPLE__
#define __shared__ static __attribute__((section("__DATA,emu_shared")))
#else
#define __shared__ static __attribute__((section("emu_shared")))
#endif

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct alignas(8) float2 { float x, y; };
struct float3 { float x, y, z; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline int2 make_int2(int x, int y) { return {x, y}; }
static inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

extern dim3 threadIdx, blockIdx, blockDim, gridDim;
static const int warpSize = 32;

namespace emu {
extern unsigned char *dynamic_shared;
int lane();
void block_barrier(int line);
int block_vote(int line, int predicate, int what);
void warp_barrier(int line, unsigned mask, bool orders_memory);
void exchange(void *value, size_t size, int source, int line, unsigned mask);
unsigned ballot(bool predicate, int line, unsigned mask);
void atomic_access(const void *p, size_t size, const void *pc);
void mma_m16n8k16(float *c, const unsigned *a, const unsigned *b, bool is_bf16, int line);
void ldmatrix_x4(unsigned *d, const void *p, bool transposed, int line);
void async_copy(void *d, const void *s, size_t size, size_t bytes, const void *pc);
void async_commit();
void async_wait(int pending, int line);
[[noreturn]] void trap(const char *what, int line);

template <class T> inline T shuffle(T v, int source, int line, unsigned mask) {
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    exchange(&v, sizeof(T), source, line, mask);
    return v;
}
// A shuffle that would leave its segment of `width` lanes returns the lane's own value.
inline int up(int d, int w) { int l = lane(); return (l & (w - 1)) < d ? l : l - d; }
inline int down(int d, int w) { int l = lane(); return (l & (w - 1)) + d >= w ? l : l + d; }
inline int across(int m, int w) { int l = lane(), s = l ^ m; return (s & ~(w - 1)) > l ? l : s; }
inline int from(int s, int w) { return (lane() & ~(w - 1)) + (s & (w - 1)); }
inline int up(int d) { return up(d, 32); }
inline int down(int d) { return down(d, 32); }
inline int across(int m) { return across(m, 32); }
inline int from(int s) { return from(s, 32); }

struct Kernel { const char *name; void (*call)(void **args); };
template <class... A, size_t... I>
EMU_UNWATCHED inline void apply(void (*k)(A...), void **a, std::index_sequence<I...>) { k(*(A *)a[I]...); }
template <class... A> inline void apply(void (*k)(A...), void **a) {
    apply(k, a, std::index_sequence_for<A...>{});
}
}  // namespace emu

#define __syncthreads() emu::block_barrier(__LINE__)
#define __syncthreads_or(p) emu::block_vote(__LINE__, (p) != 0, 1)
#define __syncthreads_and(p) emu::block_vote(__LINE__, (p) != 0, 2)
#define __syncthreads_count(p) emu::block_vote(__LINE__, (p) != 0, 0)
#define EMU_MASK(m, ...) (m)
#define __syncwarp(...) emu::warp_barrier(__LINE__, EMU_MASK(__VA_ARGS__ __VA_OPT__(,) 0xffffffffu), true)
#define __shfl_sync(m, v, ...) emu::shuffle(v, emu::from(__VA_ARGS__), __LINE__, m)
#define __shfl_xor_sync(m, v, ...) emu::shuffle(v, emu::across(__VA_ARGS__), __LINE__, m)
#define __shfl_down_sync(m, v, ...) emu::shuffle(v, emu::down(__VA_ARGS__), __LINE__, m)
#define __shfl_up_sync(m, v, ...) emu::shuffle(v, emu::up(__VA_ARGS__), __LINE__, m)
#define __ballot_sync(m, p) emu::ballot((p) != 0, __LINE__, m)
#define __any_sync(m, p) (emu::ballot((p) != 0, __LINE__, m) != 0)
#define __all_sync(m, p) (emu::ballot((p) != 0, __LINE__, m) == (m))
#define __trap() emu::trap("__trap() was called", __LINE__)
#define assert(x) ((x) ? (void)0 : emu::trap("assert(" #x ") failed", __LINE__))
static inline void __threadfence() {}
static inline void __threadfence_block() {}

// Floating point. The fast GPU functions differ from these in the last bits only.
#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __exp2f(x) exp2f(x)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __powf(x, y) powf(x, y)
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __saturatef(float x) { return x < 0 ? 0 : x > 1 ? 1 : x; }
static inline int __float2int_rn(float x) { return (int)rintf(x); }
static inline float __int_as_float(int i) { float f; memcpy(&f, &i, 4); return f; }
static inline int __float_as_int(float f) { int i; memcpy(&i, &f, 4); return i; }
static inline unsigned __float_as_uint(float f) { unsigned i; memcpy(&i, &f, 4); return i; }
static inline float __uint_as_float(unsigned i) { float f; memcpy(&f, &i, 4); return f; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
template <class A, class B> static inline auto min(A a, B b) -> decltype(a + b) { return a < b ? a : b; }
template <class A, class B> static inline auto max(A a, B b) -> decltype(a + b) { return a > b ? a : b; }

// Atomics: fibers never run at once, so plain arithmetic is atomic. The access is reported apart,
// which is why these functions carry no instrumentation of their own.
#define EMU_ATOMIC(name, expression)                                                             \
    template <class T, class U>                                                                  \
    __attribute__((no_sanitize("thread"), noinline)) static T name(T *p, U value) {              \
        emu::atomic_access(p, sizeof(T), __builtin_return_address(0));                           \
        T old = *p, v = (T)value;                                                                \
        *p = (expression);                                                                       \
        return old;                                                                              \
    }
EMU_ATOMIC(atomicAdd, old + v)
EMU_ATOMIC(atomicSub, old - v)
EMU_ATOMIC(atomicMax, old > v ? old : v)
EMU_ATOMIC(atomicMin, old < v ? old : v)
EMU_ATOMIC(atomicExch, v)
EMU_ATOMIC(atomicOr, old | v)
EMU_ATOMIC(atomicAnd, old & v)
template <class T>
__attribute__((no_sanitize("thread"), noinline)) static T atomicCAS(T *p, T expected, T v) {
    emu::atomic_access(p, sizeof(T), __builtin_return_address(0));
    T old = *p;
    if (old == expected) *p = v;
    return old;
}
template <class T> static inline T __ldg(const T *p) { return *p; }
template <class T> static inline T __ldcs(const T *p) { return *p; }
template <class T> static inline void __stcs(T *p, T v) { *p = v; }

// Half precision, rounded to nearest even as the hardware does.
struct __nv_bfloat16 { uint16_t bits; };
struct __half { uint16_t bits; };
struct alignas(4) __nv_bfloat162 { __nv_bfloat16 x, y; };
struct alignas(4) __half2 { __half x, y; };
static inline float __bfloat162float(__nv_bfloat16 h) { return __uint_as_float((unsigned)h.bits << 16); }
static inline __nv_bfloat16 __float2bfloat16(float f) {
    unsigned u = __float_as_uint(f);
    if ((u & 0x7fffffff) > 0x7f800000) return {(uint16_t)((u >> 16) | 64)};
    return {(uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16)};
}
static inline __half __float2half(float f) { _Float16 h = (_Float16)f; __half r; memcpy(&r, &h, 2); return r; }
static inline float __half2float(__half h) { _Float16 f; memcpy(&f, &h, 2); return (float)f; }
static inline __nv_bfloat16 __float2bfloat16_rn(float f) { return __float2bfloat16(f); }
static inline __half __float2half_rn(float f) { return __float2half(f); }
