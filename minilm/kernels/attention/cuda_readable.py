"""Attention as Numba CUDA kernels to read: rung 2 of cuda.cu, one thread per query or key.

Head size and tile are fixed when the kernel is written, as local arrays need. float32.
"""

import math

from numba import cuda, float32

HEAD = 16
TILE = 16  # queries per block, and keys per tile


@cuda.jit
def attention_rows(q, k, v, out, lse, scale, causal):
    """q, k, v, out (N, T, HEAD), lse (N, T); grid (ceil(T / TILE), N), block TILE.

    A thread keeps its query, its output so far, and the running maximum and sum of the online
    softmax (arXiv 1805.02867); keys and values pass through shared memory, tile by tile.
    """
    keys = cuda.shared.array((TILE, HEAD), float32)
    values = cuda.shared.array((TILE, HEAD), float32)
    query = cuda.local.array(HEAD, float32)
    sums = cuda.local.array(HEAD, float32)
    n, t = cuda.blockIdx.y, cuda.threadIdx.x
    i, length = cuda.blockIdx.x * TILE + t, q.shape[1]
    for d in range(HEAD):
        query[d] = q[n, i, d] if i < length else float32(0)
        sums[d] = float32(0)
    top, total = float32(-math.inf), float32(0)
    for first in range(0, length, TILE):
        for d in range(HEAD):
            inside = first + t < length
            keys[t, d] = k[n, first + t, d] if inside else float32(0)
            values[t, d] = v[n, first + t, d] if inside else float32(0)
        cuda.syncthreads()
        for j in range(min(TILE, length - first)):
            if not causal or first + j <= i:
                s = float32(0)
                for d in range(HEAD):
                    s += query[d] * keys[j, d]
                s *= scale
                highest = max(top, s)
                fade, weight = math.exp(top - highest), math.exp(s - highest)
                total = total * fade + weight
                for d in range(HEAD):
                    sums[d] = sums[d] * fade + weight * values[j, d]
                top = highest
        cuda.syncthreads()  # no thread still reads this tile when the next one is written
    if i < length:
        for d in range(HEAD):
            out[n, i, d] = sums[d] / total
        lse[n, i] = top + math.log(total)


@cuda.jit
def attention_query_gradient(g, q, k, v, out, lse, dq, scale, causal):
    """dq (N, T, HEAD), one thread per query: dq = scale sum_j P_j (g . v_j - g . out) k_j."""
    keys = cuda.shared.array((TILE, HEAD), float32)
    values = cuda.shared.array((TILE, HEAD), float32)
    sums = cuda.local.array(HEAD, float32)
    n, t = cuda.blockIdx.y, cuda.threadIdx.x
    i, length = cuda.blockIdx.x * TILE + t, q.shape[1]
    delta = float32(0)
    for d in range(HEAD):
        sums[d] = float32(0)
        if i < length:
            delta += g[n, i, d] * out[n, i, d]
    for first in range(0, length, TILE):
        for d in range(HEAD):
            inside = first + t < length
            keys[t, d] = k[n, first + t, d] if inside else float32(0)
            values[t, d] = v[n, first + t, d] if inside else float32(0)
        cuda.syncthreads()
        for j in range(min(TILE, length - first)):
            if i < length and (not causal or first + j <= i):
                s, dp = float32(0), float32(0)
                for d in range(HEAD):
                    s += q[n, i, d] * keys[j, d]
                    dp += g[n, i, d] * values[j, d]
                ds = math.exp(s * scale - lse[n, i]) * (dp - delta) * scale
                for d in range(HEAD):
                    sums[d] += ds * keys[j, d]
        cuda.syncthreads()
    if i < length:
        for d in range(HEAD):
            dq[n, i, d] = sums[d]


@cuda.jit
def attention_key_gradient(g, q, k, v, out, lse, dk, dv, scale, causal):
    """dk and dv (N, T, HEAD), one thread per key, which walks over the queries that see it."""
    sums_k = cuda.local.array(HEAD, float32)
    sums_v = cuda.local.array(HEAD, float32)
    n, j = cuda.blockIdx.y, cuda.blockIdx.x * TILE + cuda.threadIdx.x
    length = q.shape[1]
    if j < length:
        for d in range(HEAD):
            sums_k[d], sums_v[d] = float32(0), float32(0)
        for i in range(j if causal else 0, length):
            s, dp, delta = float32(0), float32(0), float32(0)
            for d in range(HEAD):
                s += q[n, i, d] * k[n, j, d]
                dp += g[n, i, d] * v[n, j, d]
                delta += g[n, i, d] * out[n, i, d]
            weight = math.exp(s * scale - lse[n, i])
            ds = weight * (dp - delta) * scale
            for d in range(HEAD):
                sums_k[d] += ds * q[n, i, d]
                sums_v[d] += weight * g[n, i, d]
        for d in range(HEAD):
            dk[n, j, d], dv[n, j, d] = sums_k[d], sums_v[d]
