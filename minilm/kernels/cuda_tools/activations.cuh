// activations.cuh: GELU (erf and tanh), SiLU and ReLU with their derivatives; KIND, where it is defined, picks one when compiling.
#pragma once
#include "common.cuh"
#define GELU_ERF 0
#define GELU_TANH 1
#define SILU 2
#define RELU 3

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + __expf(-x)); }
// 2 sigmoid(2 x) - 1: exp overflows to infinity at the worst, and the quotient is then exact.
__device__ __forceinline__ float fast_tanh(float x) { return 2.0f * sigmoid(2.0f * x) - 1.0f; }

__device__ __forceinline__ float activate(int kind, float x) {
    if (kind == GELU_ERF) return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    if (kind == GELU_TANH) return 0.5f * x * (1.0f + fast_tanh(0.79788456f * (x + 0.044715f * x * x * x)));
    return kind == RELU ? fmaxf(x, 0.0f) : x * sigmoid(x);
}
#ifdef KIND
__device__ __forceinline__ float act(float x) { return activate(KIND, x); }
__device__ __forceinline__ float slope(float x) {
#if KIND == GELU_ERF
    return 0.5f * (1.0f + erff(x * 0.70710678f)) + x * 0.39894228f * __expf(-0.5f * x * x);
#elif KIND == GELU_TANH
    float t = fast_tanh(0.79788456f * (x + 0.044715f * x * x * x));
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * 0.79788456f * (1.0f + 0.134145f * x * x);
#elif KIND == RELU
    return x > 0.0f ? 1.0f : 0.0f;
#else
    float s = sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
#endif
}
#endif

// Each thread takes 16 bytes; the few elements after the last whole 16 bytes go one by one.
template <class One, class Many>
__device__ __forceinline__ void elementwise(long long n, bool aligned, One one, Many many) {
    long long i = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * WIDE;
    if (i >= n) return;
    if (aligned && i + WIDE <= n) {
        many(i);
    } else {
        for (long long k = i; k < n && k < i + WIDE; k++) one(k);
    }
}
