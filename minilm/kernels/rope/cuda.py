"""Rotary positions on a GPU: a Numba CUDA kernel to read, and the launchers of cuda.cu."""

from numba import cuda

from minilm.backend import Array, xp_of
from minilm.kernels.cuda_tools.arrays import address, blocks, dense, floats, or_reference
from minilm.kernels.cuda_tools.launch import c_type, launch
from minilm.kernels.rope import reference


@cuda.jit
def rope_pairs(x, cos, sin, y):
    """One thread per pair of x (N, T, D), paired by halves; rung 2 of cuda.cu."""
    half = cos.shape[1]
    i = cuda.grid(1)
    if i < x.shape[0] * x.shape[1] * half:
        n, t, j = i // half // x.shape[1], i // half % x.shape[1], i % half
        a, b = x[n, t, j], x[n, t, j + half]
        y[n, t, j] = a * cos[t, j] - b * sin[t, j]
        y[n, t, j + half] = a * sin[t, j] + b * cos[t, j]


def _fits(size: int, itemsize: int, interleaved: bool) -> bool:
    """Whether 16-byte loads cover a head exactly."""
    return size * itemsize % (16 if interleaved else 32) == 0


def _rotate(
    x: Array,
    y: Array,
    cos: Array,
    sin: Array,
    interleaved: bool,
    tokens: int,
    heads: int,
    steps: tuple[int, int],
    share: int,
    table_step: int,
) -> None:
    size = 2 * cos.shape[-1]
    threads = tokens * heads * size * x.itemsize // (16 if interleaved else 32)
    launch(
        "rope/cuda", "rope", (blocks(threads, 256),), (256,),
        x, y, floats(cos), floats(sin), tokens, heads, size, *steps, cos.shape[-2], share,
        table_step, DTYPE=c_type(x, "x"), INTERLEAVED=int(interleaved),
    )  # fmt: skip


@or_reference(reference)
def rope(x: Array, cos: Array, sin: Array, interleaved: bool) -> Array:
    """See `reference.rope`; tables (T, D/2), or (B, 1, T, D/2) for x (B, H, T, D)."""
    t, size = x.shape[-2:]
    per_batch = cos.ndim == 4 and x.ndim == 4 and cos.shape[:2] == (len(x), 1)
    if not _fits(size, x.itemsize, interleaved) or not (cos.ndim == 2 or per_batch):
        return reference.rope(x, cos, sin, interleaved)
    x = dense(x)
    y = xp_of(x).empty_like(x)
    tokens = x.size // size
    share, step = (x.shape[1] * t, t * size // 2) if per_batch else (tokens, 0)
    _rotate(x, y, cos, sin, interleaved, tokens, 1, (size, size), share, step)
    return y


@or_reference(reference)
def rope_rows(
    rows: Array, out: Array, heads: int, cos: Array, sin: Array, interleaved: bool
) -> None:
    """See `reference.rope_rows`."""
    whole = all(
        a.strides[-1] == a.itemsize and a.strides[0] % 16 == 0 and address(a) % 16 == 0
        for a in (rows, out)
    )
    if (
        not whole
        or rows.dtype != out.dtype
        or not _fits(2 * cos.shape[-1], rows.itemsize, interleaved)
    ):
        reference.rope_rows(rows, out, heads, cos, sin, interleaved)
        return
    steps = rows.strides[0] // rows.itemsize, out.strides[0] // out.itemsize
    _rotate(rows, out, cos, sin, interleaved, len(rows), heads, steps, len(rows), 0)
