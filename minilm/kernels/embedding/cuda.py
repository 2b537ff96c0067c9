"""The embedding's gradient on a GPU: a Numba CUDA kernel to read, and the launcher of cuda.cu."""

from numba import cuda

from minilm.backend import Array, xp_of
from minilm.kernels.cuda_tools.arrays import dense, integers, or_reference
from minilm.kernels.cuda_tools.launch import c_type, launch
from minilm.kernels.embedding import reference


@cuda.jit
def embedding_backward_atomic(g, ids, dw):
    """One thread per element of g (N, C); rung 1 of cuda.cu: equal ids queue for one address."""
    i, j = cuda.grid(2)
    if i < g.shape[0] and j < g.shape[1]:
        cuda.atomic.add(dw, (ids[i], j), g[i, j])


@or_reference(reference)
def embedding_backward(g: Array, ids: Array, rows: int) -> Array:
    """See `reference.embedding_backward`; lookups are sorted first, so no atomics."""
    xp = xp_of(g)
    g = dense(g)
    count, n = g.shape
    order = xp.argsort(ids, kind="stable")
    dw = xp.zeros((rows, n), g.dtype)
    launch(
        "embedding/cuda", "embedding_backward", (count,), (min(256, -(-n // 32) * 32),),
        g, integers(order), integers(ids[order]), dw, count, n, DTYPE=c_type(g, "g"),
    )  # fmt: skip
    return dw
