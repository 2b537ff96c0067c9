"""Linear attention on a GPU: a Numba CUDA kernel to read, and the launchers of cuda.cu."""

import numpy as np
from numba import cuda, float32

from minilm.backend import Array, xp_of
from minilm.kernels.cuda_tools.arrays import dense, empty, floats, or_reference
from minilm.kernels.cuda_tools.launch import c_type, launch
from minilm.kernels.linear_attention import reference
from minilm.kernels.linear_attention.reference import CHUNK, backward_by

MOST = 128  # channels of a key that the readable kernel has room for
_THREADS = 128
_SHARED = 96 * 1024  # bytes of shared memory that every GPU of the last years gives a block


@cuda.jit
def linear_attention_columns(q, k, v, y):
    """One block per head of q, k (N, T, D) and v (N, T, M), one thread per column of v."""
    head, m = cuda.blockIdx.x, cuda.threadIdx.x
    if m < v.shape[2]:
        state = cuda.local.array(MOST, float32)
        for d in range(q.shape[2]):
            state[d] = 0
        for t in range(q.shape[1]):
            total = float32(0)
            for d in range(q.shape[2]):
                state[d] += k[head, t, d] * v[head, t, m]
                total += q[head, t, d] * state[d]
            y[head, t, m] = total


@or_reference(reference)
def linear_attention(q: Array, k: Array, v: Array, state: Array) -> tuple[Array, Array]:
    """See `reference.linear_attention`; the state is float32, as are all sums."""
    *heads, time, size = q.shape
    width = v.shape[3]
    shared = 4 * (CHUNK * (2 * size + width + CHUNK) + size * width)
    if shared > _SHARED:  # heads of more than 100 channels
        return reference.linear_attention(q, k, v, state)
    q = dense(q)
    k, v = dense(k, q), dense(v, q)
    y, after = xp_of(q).empty_like(v), empty(q, state.shape, np.float32)
    launch(
        "linear_attention/cuda", "linear_attention", (heads[0] * heads[1],), (_THREADS,),
        q, k, v, floats(state), y, after, time, size, width,
        shared=shared, DTYPE=c_type(q, "q"),
    )  # fmt: skip
    return y, after


@or_reference(reference)
def linear_attention_backward(
    g: Array, q: Array, k: Array, v: Array, state: Array
) -> tuple[Array, Array, Array, Array]:
    """See `reference.linear_attention_backward`."""
    return backward_by(linear_attention, g, q, k, v, state)
