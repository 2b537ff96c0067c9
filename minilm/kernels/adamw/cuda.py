"""AdamW on a GPU: a Numba CUDA kernel to read, and the launchers of cuda.cu, which runs."""

import math
from collections.abc import Sequence
from functools import lru_cache
from types import ModuleType

import numpy as np
from numba import cuda

from minilm.backend import Array, xp_of
from minilm.kernels.adamw import reference
from minilm.kernels.cuda_arrays import or_reference
from minilm.kernels.cuda_launch import c_type, launch

CHUNK = 4096  # as in cuda.cu


@cuda.jit
def adamw_elements(p, g, m, v, lr, beta1, beta2, eps, decay, correct1, correct2):
    """One thread per element of one tensor; rung 2 of cuda.cu."""
    i = cuda.grid(1)
    if i < p.size:
        m[i] = beta1 * m[i] + (1 - beta1) * g[i]
        v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i]
        step = m[i] * correct1 / (math.sqrt(v[i] * correct2) + eps)
        p[i] = p[i] * (1 - lr * decay) - lr * step


@lru_cache(16)
def _table(xp: ModuleType, sizes: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """Which tensor and which chunk each block owns; the same in every step of a training."""
    tensors = [i for i, n in enumerate(sizes) for _ in range(-(-n // CHUNK))]
    chunks = [c for n in sizes for c in range(-(-n // CHUNK))]
    arrays = np.array(tensors, np.int32), np.array(chunks, np.int32), np.array(sizes, np.int64)
    return tuple(xp.asarray(a) for a in arrays)


def adamw_many(
    p: Sequence[Array],
    g: Sequence[Array],
    m: Sequence[Array],
    v: Sequence[Array],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    step: int,
    low: Sequence[Array] | None = None,
    inverse_scale: float = 1.0,
) -> None:
    """One step of AdamW for many tensors in one launch; p, m, v (and low) change in place.

    Args:
        p, m, v: contiguous float32 arrays.
        g: gradients, all of one type (float32, bfloat16 or float16).
        low: copies of p in the gradients' type, refreshed; or None.
        inverse_scale: what the gradients are multiplied by (1 / loss scale).
        lr, beta1, beta2, eps, weight_decay, step: as for one tensor.
    """
    tensors, chunks, sizes = _table(xp_of(p[0]), tuple(a.size for a in p))
    launch(
        "adamw/cuda", "adamw", (len(tensors),), (256,),
        list(p), list(g), list(m), list(v), None if low is None else list(low),
        tensors, chunks, sizes, lr, beta1, beta2, eps, weight_decay,
        1 / (1 - beta1**step), 1 / (1 - beta2**step), inverse_scale,
        DTYPE=c_type(g[0], "g"), LOW=int(low is not None),
    )  # fmt: skip


@or_reference(reference)
def adamw(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    step: int,
) -> None:
    """See ``reference.adamw``."""
    if any(a.dtype != np.float32 or not a.flags.c_contiguous for a in (p, m, v)):
        reference.adamw(p, g, m, v, lr, beta1, beta2, eps, weight_decay, step)
        return
    g = g if g.flags.c_contiguous else g.copy(order="C")
    adamw_many([p], [g], [m], [v], lr, beta1, beta2, eps, weight_decay, step)
