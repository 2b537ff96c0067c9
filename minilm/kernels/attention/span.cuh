// span.cuh: which keys a query sees, and the pieces forward and backward share. KEYS, the keys per
// tile, is the includer's.
#pragma once
#include "tensor_core.cuh"

struct Span {
    int length_q, length_k;
    bool causal;
    int window;  // with causal: keys a query sees, itself included; 0 for all
    // The last query is aligned with the last key: query i is at key i + shift.
    __device__ __forceinline__ int shift() const { return length_k - length_q; }
    __device__ __forceinline__ bool seen(int i, int j) const {
        if (i >= length_q || j >= length_k) return false;
        if (!causal) return true;
        int ahead = j - i - shift();
        return ahead <= 0 && (window == 0 || ahead > -window);
    }
    // Whether a rectangle of rows and columns (ends included) is seen whole.
    __device__ __forceinline__ bool all_seen(int i0, int i1, int j0, int j1) const {
        if (i1 >= length_q || j1 >= length_k) return false;
        if (!causal) return true;
        return j1 - i0 - shift() <= 0 && (window == 0 || j0 - i1 - shift() > -window);
    }
    // Keys that rows i.. may see start here; keys that rows up to `end` (excluded) may see end here.
    __device__ __forceinline__ int first_key(int i) const {
        if (!causal || window == 0) return 0;
        int j = i + shift() - window + 1;
        return j < 0 ? 0 : j;
    }
    __device__ __forceinline__ int end_key(int end) const {
        if (!causal) return length_k;
        int j = (end < length_q ? end : length_q) + shift();
        return j < 0 ? 0 : j < length_k ? j : length_k;
    }
    // Queries that see some key of j.. start here; queries that see keys up to `end` (excluded) end here.
    __device__ __forceinline__ int first_query(int j) const {
        if (!causal) return 0;
        int i = j - shift();
        return i < 0 ? 0 : i;
    }
    __device__ __forceinline__ int end_query(int end) const {
        if (!causal || window == 0) return length_q;
        int i = (end < length_k ? end : length_k) - 1 - shift() + window;
        return i < length_q ? i : length_q;
    }
};

// Columns 16 n.. of a row of accumulator tiles as a left operand: the layouts agree, so the weights go
// from one product to the next without leaving the registers.
__device__ __forceinline__ void weights(unsigned (&a)[4], const float (&s)[KEYS / 8][4], int n) {
    a[0] = pack2(s[2 * n][0], s[2 * n][1]);
    a[1] = pack2(s[2 * n][2], s[2 * n][3]);
    a[2] = pack2(s[2 * n + 1][0], s[2 * n + 1][1]);
    a[3] = pack2(s[2 * n + 1][2], s[2 * n + 1][3]);
}
