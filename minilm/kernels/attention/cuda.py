"""Attention on a GPU: the launchers of cuda.cu and backward.cu (Numba: cuda_readable.py)."""

import numpy as np

from minilm.backend import Array, is_half, xp_of
from minilm.kernels.attention import products, reference
from minilm.kernels.cuda_tools.arrays import (
    address,
    blocks,
    dense,
    empty,
    floats,
    integers,
    or_reference,
)
from minilm.kernels.cuda_tools.launch import c_type, launch
from minilm.kernels.decode_attention.cuda import with_logsumexp

HEAD_SIZES = (64, 128)
ROWS = 128  # queries of a block of cuda.cu
KEYS = 64  # rows of a block of backward.cu
TILE = {64: 64, 128: 32}  # keys per tile of cuda.cu, by head size


def _heads(array: Array, like: Array | None = None) -> Array:
    """(B, H, T, D) as the kernels take it: D dense, everything else a multiple of 16 bytes."""
    fine = array.strides[-1] == array.itemsize and all(s % 16 == 0 for s in array.strides[:-1])
    if fine and (like is None or array.dtype == like.dtype):
        if address(array) % 16 == 0:
            return array
    return dense(array, like)


def _steps(*arrays: Array) -> list[int]:
    """Batch, head and row strides of each array, in elements."""
    return [step // a.itemsize for a in arrays for step in a.strides[:3]]


def _suits(q: Array, v: Array, mask: Array | None, bias: Array | None, causal: bool) -> bool:
    half = str(q.dtype) in ("bfloat16", "float16")
    return half and mask is bias is None and q.shape[-1] == v.shape[-1] in HEAD_SIZES


def side_by_side(like: Array, b: int, h: int, t: int, d: int) -> Array:
    """A new (B, H, T, D) with heads side by side in memory, so that joining them is free."""
    return empty(like, (b, t, h, d)).transpose(0, 2, 1, 3)


@or_reference(reference)
def attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    bias: Array | None,
    causal: bool,
    window: int | None,
    scale: float,
) -> tuple[Array, Array]:
    """See `reference.attention`; float16 and bfloat16, head sizes 64 and 128, no mask or bias.

    Everything else runs as products on cuBLAS, which keep the scores in memory.
    """
    if not _suits(q, v, mask, bias, causal):
        if is_half(q) and not isinstance(q, np.ndarray):
            return products.attention(q, k, v, mask, bias, causal, window, scale)
        return reference.attention(q, k, v, mask, bias, causal, window, scale)
    b, h, t, d = q.shape
    g, s = k.shape[1:3]
    if t == 1:  # a tile of queries would hold a single one
        lengths = xp_of(q).full(b, s, dtype=np.int32)
        out, lse = with_logsumexp(q[:, :, 0], k, v, lengths, None, scale, window)
        return out[:, :, None], lse[:, :, None]
    q, k, v = _heads(q), _heads(k, q), _heads(v, q)
    out, lse = side_by_side(q, b, h, t, d), empty(q, (b, h, t), np.float32)
    _forward(
        (blocks(t, ROWS), h, b), q, k, v, out, lse, None, None, t, s, h, g,
        *_steps(q, k, v, out), h * t, t, scale, int(causal), window or 0,
    )  # fmt: skip
    return out, lse


def _forward(grid: tuple[int, int, int], q: Array, *rest) -> None:
    d = q.shape[-1]
    launch(
        "attention/cuda", "attention_forward", grid, (128,), q, *rest,
        shared=2 * d * (ROWS + 4 * TILE[d]), DTYPE=c_type(q, "q"), HEAD=d,
    )  # fmt: skip


@or_reference(reference)
def attention_backward(
    g: Array,
    q: Array,
    k: Array,
    v: Array,
    out: Array,
    lse: Array,
    mask: Array | None,
    bias: Array | None,
    causal: bool,
    window: int | None,
    scale: float,
    into: tuple[Array, Array, Array] | None = None,
) -> tuple[Array, Array, Array, Array | None]:
    """See `reference.attention_backward`."""
    if not _suits(q, v, mask, bias, causal):
        half = is_half(q) and not isinstance(q, np.ndarray)
        by_formula = (products if half else reference).attention_backward
        return by_formula(g, q, k, v, out, lse, mask, bias, causal, window, scale, into)
    b, h, t, d = q.shape
    groups, s = k.shape[1:3]
    g, q, k, v, out = _heads(g, q), _heads(q), _heads(k, q), _heads(v, q), _heads(out, q)
    lse = floats(lse)
    wanted = into or tuple(
        side_by_side(q, b, n, rows, d) for n, rows in ((h, t), (groups, s), (groups, s))
    )
    # A target that the kernel cannot write in place gets a stand-in, which is copied at the end.
    dq, dk, dv = (a if _heads(a, q) is a else side_by_side(q, *a.shape) for a in wanted)
    delta = empty(q, (b, h, t), np.float32)
    names = {"DTYPE": c_type(q, "q"), "HEAD": d}
    launch(
        "attention/backward", "attention_delta", (blocks(b * h * t, 4),), (128,),
        g, out, delta, t, h, *_steps(g, out), b * h * t, **names,
    )  # fmt: skip
    tail = (h * t, t, scale, int(causal), window or 0)
    _gradients(
        (blocks(s, KEYS), groups, b), (blocks(t, KEYS), h, b), (g, q, k, v, lse, delta),
        (dq, dk, dv), (None, None, t, s, h, groups), tail,
    )  # fmt: skip
    for target, value in zip(wanted, (dq, dk, dv)):
        if target is not value:
            target[...] = value
    return *wanted, None


def _gradients(key_grid, query_grid, inputs, outputs, sizes, tail) -> None:
    g, q, k, v, *_ = inputs
    dq, dk, dv = outputs
    d = q.shape[-1]
    names = {"DTYPE": c_type(q, "q"), "HEAD": d, "shared": 2 * d * 6 * KEYS}
    launch(
        "attention/backward", "attention_backward_kv", key_grid, (128,),
        *inputs, dk, dv, *sizes, *_steps(g, q, k, v, dk, dv), *tail, **names,
    )  # fmt: skip
    launch(
        "attention/backward", "attention_backward_q", query_grid, (128,),
        *inputs, dq, *sizes, *_steps(g, q, k, v, dq), *tail, **names,
    )  # fmt: skip


# --- packed sequences ---------------------------------------------------------------------------


def attention_packed(
    q: Array,
    k: Array,
    v: Array,
    starts_q: Array,
    starts_k: Array,
    longest_q: int,
    longest_k: int,
    causal: bool,
    window: int | None,
    scale: float,
) -> tuple[Array, Array]:
    """Attention inside each of many sequences of different lengths, laid end to end.

    Args:
        q: (N, H, D); k, v: (M, G, D); float16 or bfloat16, D 64 or 128.
        starts_q, starts_k: (B + 1,) integers: sequence b has rows starts[b] to starts[b + 1] - 1.
        longest_q, longest_k: lengths of the longest sequence.
        causal, window, scale: as for `attention`.

    Returns:
        (N, H, D), and the logsumexp (H, N) in float32.
    """
    q, k, v = dense(q), dense(k, q), dense(v, q)
    n, h, d = q.shape
    out, lse = xp_of(q).empty_like(q), empty(q, (h, n), np.float32)
    steps = _packed_steps(q, k, v, out)
    _forward(
        (blocks(longest_q, ROWS), h, len(starts_q) - 1), q, k, v, out, lse,
        integers(starts_q), integers(starts_k), longest_q, longest_k, h, k.shape[1],
        *steps, 0, n, scale, int(causal), window or 0,
    )  # fmt: skip
    return out, lse


def _packed_steps(*arrays: Array) -> list[int]:
    return [step for a in arrays for step in (0, a.shape[2], a.shape[1] * a.shape[2])]


def attention_packed_backward(
    g: Array,
    q: Array,
    k: Array,
    v: Array,
    out: Array,
    lse: Array,
    starts_q: Array,
    starts_k: Array,
    longest_q: int,
    longest_k: int,
    causal: bool,
    window: int | None,
    scale: float,
) -> tuple[Array, Array, Array]:
    """dq (N, H, D), dk and dv (M, G, D) of `attention_packed`."""
    q, k, v = dense(q), dense(k, q), dense(v, q)
    g, out, lse = dense(g, q), dense(out, q), floats(lse)
    xp, (n, h, d), groups = xp_of(q), q.shape, k.shape[1]
    dq, dk, dv = xp.empty_like(q), xp.empty_like(k), xp.empty_like(v)
    delta = empty(q, (h, n), np.float32)
    names = {"DTYPE": c_type(q, "q"), "HEAD": d}
    launch(
        "attention/backward", "attention_delta", (blocks(h * n, 4),), (128,),
        g, out, delta, n, h, *_packed_steps(g, out), h * n, **names,
    )  # fmt: skip
    names["shared"] = 2 * d * 6 * KEYS
    starts = (integers(starts_q), integers(starts_k), longest_q, longest_k, h, groups)
    tail, batch = (0, n, scale, int(causal), window or 0), len(starts_q) - 1
    launch(
        "attention/backward", "attention_backward_kv", (blocks(longest_k, KEYS), groups, batch),
        (128,), g, q, k, v, lse, delta, dk, dv, *starts,
        *_packed_steps(g, q, k, v, dk, dv), *tail, **names,
    )  # fmt: skip
    launch(
        "attention/backward", "attention_backward_q", (blocks(longest_q, KEYS), h, batch),
        (128,), g, q, k, v, lse, delta, dq, *starts, *_packed_steps(g, q, k, v, dq),
        *tail, **names,
    )  # fmt: skip
    return dq, dk, dv
