"""Decoding attention on a GPU: a Numba CUDA kernel to read, and the launcher of cuda.cu."""

import math

import numpy as np
from numba import cuda, float32

from minilm.backend import Array
from minilm.kernels.cuda_tools.arrays import address, dense, empty, floats, integers, or_reference
from minilm.kernels.cuda_tools.launch import c_type, launch
from minilm.kernels.decode_attention import reference

HEAD_SIZES = (64, 128)
BUSY = 264  # blocks that keep a large GPU occupied: two for each of 132 processors


@cuda.jit
def decode_rows(q, k, v, lengths, out, scale):
    """One warp per (sequence, head) of q (B, H, D); keys k, v (B, G, S, D); rung 1 of cuda.cu.

    The warp takes its keys one after another: lanes share the D numbers of each.
    """
    b, h, lane = cuda.blockIdx.x, cuda.blockIdx.y, cuda.threadIdx.x
    group = h // (q.shape[1] // k.shape[1])
    size = q.shape[2]
    top, total = float32(-math.inf), float32(0)
    for d in range(lane, size, 32):
        out[b, h, d] = 0
    for j in range(lengths[b]):
        s = float32(0)
        for d in range(lane, size, 32):
            s += q[b, h, d] * k[b, group, j, d]
        step = 16
        while step > 0:
            s += cuda.shfl_xor_sync(0xFFFFFFFF, s, step)
            step //= 2
        s *= scale
        highest = max(top, s)
        fade, weight = math.exp(top - highest), math.exp(s - highest)
        total = total * fade + weight
        for d in range(lane, size, 32):
            out[b, h, d] = out[b, h, d] * fade + weight * v[b, group, j, d]
        top = highest
    for d in range(lane, size, 32):
        out[b, h, d] /= total


def _cache(array: Array, like: Array) -> Array:
    """A cache with contiguous rows; a view of a longer cache is taken as it is."""
    item = array.itemsize
    rows = array.strides[2:] == (array.shape[3] * item, item) and array.dtype == like.dtype
    aligned = all(s % 16 == 0 for s in (*array.strides[:2], address(array)))
    return array if rows and aligned else dense(array, like)


def plan(q: Array, groups: int, room: int) -> tuple[int, int]:
    """(heads per block, blocks that share a sequence's keys) for q (B, H, D) and a key count."""
    b, h = q.shape[:2]
    share = math.gcd(h // groups, 8)
    return share, max(1, min(-(-BUSY * share // (b * h)), room // 256))


@or_reference(reference)
def decode_attention(
    q: Array,
    k: Array,
    v: Array,
    lengths: Array,
    table: Array | None,
    scale: float,
    window: int | None = None,
    begins: Array | None = None,
    distance: Array | None = None,
    rolling: bool = False,
    splits: int | None = None,
) -> Array:
    """See `reference.decode_attention`; `splits` is how many blocks share a sequence's keys."""
    if q.shape[-1] not in HEAD_SIZES:
        return reference.decode_attention(
            q, k, v, lengths, table, scale, window, begins, distance, rolling
        )
    return with_logsumexp(
        q, k, v, lengths, table, scale, window, begins, distance, rolling, splits
    )[0]


def with_logsumexp(
    q: Array,
    k: Array,
    v: Array,
    lengths: Array,
    table: Array | None,
    scale: float,
    window: int | None = None,
    begins: Array | None = None,
    distance: Array | None = None,
    rolling: bool = False,
    splits: int | None = None,
) -> tuple[Array, Array]:
    """`decode_attention` and the logsumexp (B, H) of the scores; head sizes 64 and 128."""
    b, h, d = q.shape
    groups = k.shape[1]
    q, k, v = dense(q), _cache(k, q), _cache(v, q)
    if k.strides != v.strides:
        k, v = dense(k), dense(v)
    pages, page = (0, k.shape[2] if rolling else 0)
    if table is not None:
        pages, page = table.shape[1], k.shape[2]
    share, usual = plan(q, groups, k.shape[2] if table is None else pages * page)
    splits = usual if splits is None else splits
    part = empty(q, (b * h, splits, d), np.float32)
    tops, sums = (empty(q, (b * h, splits), np.float32) for _ in range(2))
    out, lse = empty(q, (b, h, d)), empty(q, (b, h), np.float32)
    attend(
        q, k, v, integers(lengths), None if begins is None else integers(begins),
        None if table is None else integers(table), None if distance is None else floats(distance),
        (part, tops, sums), out, lse, (page, pages), share, scale, window,
    )  # fmt: skip
    return out, lse


def attend(
    q: Array,
    k: Array,
    v: Array,
    lengths: Array,
    begins: Array | None,
    table: Array | None,
    distance: Array | None,
    parts: tuple[Array, Array, Array],
    out: Array,
    lse: Array | None,
    pages: tuple[int, int],
    share: int,
    scale: float,
    window: int | None,
) -> None:
    """Launches the two kernels on arrays made earlier: nothing is allocated or copied.

    Args:
        parts: float32 scratch (B H, splits, D), (B H, splits) and (B H, splits).
        out: (B, H, D) in q's type or float32.
        pages: (keys per page, pages per sequence); (slots, 0) for a rolling cache, (0, 0) without.
    """
    b, h, d = q.shape
    groups, splits = k.shape[1], parts[0].shape[1]
    names = {"DTYPE": c_type(q, "q"), "HEAD": d, "SHARE": share}
    span = 0 if distance is None else distance.shape[1]
    launch(
        "decode_attention/cuda", "decode_attention", (splits, h // share, b), (128,),
        q, k, v, lengths, begins, table, distance, *parts, h, groups,
        k.strides[0] // k.itemsize, k.strides[1] // k.itemsize, *pages, span, scale, window or 0,
        **names,
    )  # fmt: skip
    if out.dtype != q.dtype:
        names["OUT"] = "float"
    launch(
        "decode_attention/cuda", "decode_combine", (b * h,), (d,), *parts, out, lse, splits,
        **names,
    )  # fmt: skip
