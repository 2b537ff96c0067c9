"""Mixture of experts on a GPU: Numba CUDA kernels to read, and the launchers of the .cu files."""

import numpy as np
from numba import cuda, float32

from minilm.backend import Array, xp_of
from minilm.kernels.cuda_tools.arrays import (
    dense,
    empty,
    floats,
    integers,
    or_reference,
    row_threads,
)
from minilm.kernels.cuda_tools.launch import c_type, launch
from minilm.kernels.moe import reference
from minilm.kernels.moe.reference import sort_by_expert  # noqa: F401


@cuda.jit
def permute_elements(x, order, choices, out):
    """One thread per element: row i of out (N K, C) is the token of assignment order[i]."""
    j, i = cuda.grid(2)
    if i < out.shape[0] and j < out.shape[1]:
        out[i, j] = x[order[i] // choices, j]


@cuda.jit
def grouped_matmul_elements(x, w, offsets, y):
    """One thread per element of y (M, N): a row finds its expert in offsets (E + 1,)."""
    n, m = cuda.grid(2)
    if m < y.shape[0] and n < y.shape[1]:
        e = 0
        while offsets[e + 1] <= m:
            e += 1
        total = float32(0)
        for k in range(x.shape[1]):
            total += x[m, k] * w[e, n, k]
        y[m, n] = total


def _rows(file_kernel: str, rows: int, like: Array, *arguments) -> None:
    block = (min(256, row_threads(like.shape[-1], like.itemsize)),)
    launch("moe/cuda", file_kernel, (rows,), block, *arguments, DTYPE=c_type(like, "x"))


@or_reference(reference)
def moe_permute(x: Array, order: Array, choices: int) -> Array:
    """See `reference.moe_permute`."""
    x, n = dense(x), x.shape[1]
    out = empty(x, (len(order), n))
    _rows("moe_permute", len(order), x, x, integers(order), out, choices, n)
    return out


@or_reference(reference)
def moe_permute_backward(g: Array, place: Array, choices: int) -> Array:
    """See `reference.moe_permute_backward`."""
    g, n = dense(g), g.shape[1]
    dx = empty(g, (len(g) // choices, n))
    _rows("moe_combine", len(dx), g, g, integers(place), None, dx, choices, n)
    return dx


@or_reference(reference)
def moe_combine(y: Array, place: Array, weights: Array) -> Array:
    """See `reference.moe_combine`."""
    y, n = dense(y), y.shape[1]
    out = empty(y, (len(weights), n))
    _rows(
        "moe_combine", len(weights), y, y, integers(place), floats(weights), out,
        weights.shape[1], n,
    )  # fmt: skip
    return out


@or_reference(reference)
def moe_combine_backward(
    g: Array, y: Array, order: Array, place: Array, weights: Array
) -> tuple[Array, Array]:
    """See `reference.moe_combine_backward`."""
    y, n = dense(y), y.shape[1]
    dy, dweights = xp_of(y).empty_like(y), empty(y, weights.shape, np.float32)
    _rows(
        "moe_combine_backward", len(y), y, dense(g, y), y, integers(order), floats(weights),
        dy, dweights, weights.shape[1], n,
    )  # fmt: skip
    return dy, dweights.astype(weights.dtype, copy=False)


def _fits(width: int, depth: int, array: Array) -> bool:
    return str(array.dtype) != "float32" and width % 64 == 0 and depth % 64 == 0


@or_reference(reference)
def grouped_matmul(x: Array, w: Array, offsets: Array) -> Array:
    """See `reference.grouped_matmul`; float16 and bfloat16, sizes multiples of 64."""
    experts, width, depth = w.shape
    if not _fits(width, depth, x):
        return reference.grouped_matmul(x, w, offsets)
    x, y = dense(x), empty(x, (len(x), width))
    launch(
        "moe/grouped", "grouped_matmul", (width // 64, len(x) // 64 + experts), (128,),
        x, dense(w, x), integers(offsets), y, experts, width, depth, 0, DTYPE=c_type(x, "x"),
    )  # fmt: skip
    return y


@or_reference(reference)
def grouped_matmul_backward(g: Array, x: Array, w: Array, offsets: Array) -> tuple[Array, Array]:
    """See `reference.grouped_matmul_backward`."""
    experts, width, depth = w.shape
    if not _fits(width, depth, x):
        return reference.grouped_matmul_backward(g, x, w, offsets)
    x, g, w, offsets = dense(x), dense(g, x), dense(w, x), integers(offsets)
    dx, dw = xp_of(x).empty_like(x), xp_of(x).empty_like(w)
    kind = c_type(x, "x")
    launch(
        "moe/grouped", "grouped_matmul", (depth // 64, len(x) // 64 + experts), (128,),
        g, w, offsets, dx, experts, depth, width, 1, DTYPE=kind,
    )  # fmt: skip
    launch(
        "moe/grouped", "grouped_weight_gradient", (depth // 64, width // 64, experts), (128,),
        g, x, offsets, dw, width, depth, DTYPE=kind,
    )  # fmt: skip
    return dx, dw
