"""Cross-entropy on a GPU: a Numba CUDA kernel to read, and the launchers of cuda.cu, which runs."""

import math

import numpy as np
from numba import cuda, float32

from minilm.backend import Array, xp_of
from minilm.kernels.cross_entropy import reference
from minilm.kernels.cuda_tools.arrays import (
    dense,
    empty,
    floats,
    integers,
    or_reference,
    row_threads,
)
from minilm.kernels.cuda_tools.launch import c_type, launch


@cuda.jit
def cross_entropy_rows(x, targets, losses, scale):
    """One warp per row of logits x (N, V), which becomes its own gradient times scale."""
    row, lane = cuda.blockIdx.x, cuda.threadIdx.x
    target = targets[row]
    top, total = float32(-math.inf), float32(0)
    for j in range(lane, x.shape[1], 32):  # maximum and sum in one pass
        v = x[row, j]
        if v > top:
            total = total * math.exp(top - v) + float32(1)
            top = v
        else:
            total += math.exp(v - top)
    step = 16
    while step > 0:
        other_top = cuda.shfl_xor_sync(0xFFFFFFFF, top, step)
        other = cuda.shfl_xor_sync(0xFFFFFFFF, total, step)
        both = max(top, other_top)
        if both > -math.inf:
            total = total * math.exp(top - both) + other * math.exp(other_top - both)
        top = both
        step //= 2
    lse = top + math.log(total)
    if lane == 0:
        losses[row] = lse - x[row, target] if target >= 0 else float32(0)
    cuda.syncwarp()  # the target's logit is read before it is overwritten
    for j in range(lane, x.shape[1], 32):
        d = math.exp(x[row, j] - lse)
        if j == target:
            d -= 1
        x[row, j] = d * scale if target >= 0 else float32(0)


def _threads(n: int, itemsize: int) -> tuple[int]:
    return (min(512, row_threads(n, itemsize)),)


@or_reference(reference)
def cross_entropy(
    logits: Array, targets: Array, smoothing: float = 0.0, z_loss: float = 0.0
) -> tuple[Array, Array]:
    """See `reference.cross_entropy`; losses and logsumexp are float32."""
    x = dense(logits)
    rows, n = x.shape
    losses, lse = (empty(x, (rows,), np.float32) for _ in range(2))
    launch(
        "cross_entropy/cuda", "cross_entropy", (rows,), _threads(n, x.itemsize),
        x, integers(targets), losses, lse, n, smoothing, z_loss, DTYPE=c_type(x, "logits"),
    )  # fmt: skip
    return losses, lse


@or_reference(reference)
def cross_entropy_backward(
    g: Array,
    logits: Array,
    targets: Array,
    lse: Array,
    smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> Array:
    """See `reference.cross_entropy_backward`."""
    x = dense(logits)
    rows, n = x.shape
    dx = xp_of(x).empty_like(x)
    launch(
        "cross_entropy/cuda", "cross_entropy_backward", (rows,), _threads(n, x.itemsize),
        floats(g), x, integers(targets), floats(lse), dx, n, smoothing, z_loss,
        DTYPE=c_type(x, "logits"),
    )  # fmt: skip
    return dx


@or_reference(reference)
def cross_entropy_with_gradient(
    logits: Array, targets: Array, smoothing: float, z_loss: float, scale: float
) -> Array:
    """See `reference.cross_entropy_with_gradient`."""
    x = dense(logits)
    rows, n = x.shape
    losses = empty(x, (rows,), np.float32)
    launch(
        "cross_entropy/cuda", "cross_entropy_fused", (rows,), _threads(n, x.itemsize),
        x, integers(targets), losses, n, smoothing, z_loss, scale, DTYPE=c_type(x, "logits"),
    )  # fmt: skip
    if x is not logits:
        logits[...] = x
    return losses
