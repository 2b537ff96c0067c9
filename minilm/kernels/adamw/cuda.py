"""AdamW on a GPU: a Numba CUDA kernel to read, and the launchers of cuda.cu, which runs."""

import math
from collections.abc import Sequence
from functools import lru_cache
from types import ModuleType

import numpy as np
from numba import cuda

from minilm.backend import Array, xp_of
from minilm.kernels.adamw import reference
from minilm.kernels.cuda_tools.arrays import dense, empty, or_reference
from minilm.kernels.cuda_tools.launch import C_TYPES, c_type, launch

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
    """Which tensor and which chunk each block owns; the same in every step of a run."""
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
    copies: Sequence[Array] | None = None,
    factor: float = 1.0,
) -> None:
    """See `reference.adamw_many`: one launch for all tensors."""
    whole = all(a.dtype == np.float32 and a.flags.c_contiguous for a in (*p, *m, *v))
    if not whole or str(g[0].dtype) not in C_TYPES or (copies and not _is_alike(copies)):
        settings = (lr, beta1, beta2, eps, weight_decay, step)
        reference.adamw_many(p, g, m, v, *settings, copies, factor)
        return
    tensors, chunks, sizes = _table(xp_of(p[0]), tuple(a.size for a in p))
    launch(
        "adamw/cuda", "adamw", (len(tensors),), (256,),
        list(p), [dense(a, g[0]) for a in g], list(m), list(v), copies and list(copies),
        tensors, chunks, sizes, lr, beta1, beta2, eps, weight_decay,
        1 / (1 - beta1**step), 1 / (1 - beta2**step), factor,
        DTYPE=c_type(g[0], "g"), **({"COPY": c_type(copies[0], "copies")} if copies else {}),
    )  # fmt: skip


def _is_alike(arrays: Sequence[Array]) -> bool:
    """Whether a kernel can write them: contiguous, and of a single type that it supports."""
    one = arrays[0].dtype
    return str(one) in C_TYPES and all(a.dtype == one and a.flags.c_contiguous for a in arrays)


def sum_squares(arrays: Sequence[Array]) -> float:
    """See `reference.sum_squares`: one launch and one wait for all arrays."""
    if str(arrays[0].dtype) not in C_TYPES:
        return reference.sum_squares(arrays)
    arrays = [dense(a, arrays[0]) for a in arrays]
    xp = xp_of(arrays[0])
    tensors, chunks, sizes = _table(xp, tuple(a.size for a in arrays))
    sums = empty(arrays[0], (len(tensors),), np.float32)
    launch(
        "adamw/cuda", "sum_squares", (len(tensors),), (256,), arrays, tensors, chunks, sizes, sums,
        DTYPE=c_type(arrays[0], "g"),
    )  # fmt: skip
    return float(sums.sum(dtype=np.float64))


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
    """See `reference.adamw`."""
    if any(a.dtype != np.float32 or not a.flags.c_contiguous for a in (p, m, v)):
        reference.adamw(p, g, m, v, lr, beta1, beta2, eps, weight_decay, step)
        return
    g = g if g.flags.c_contiguous else g.copy(order="C")
    adamw_many([p], [g], [m], [v], lr, beta1, beta2, eps, weight_decay, step)
