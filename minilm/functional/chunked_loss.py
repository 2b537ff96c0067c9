"""The loss of a language model without all its logits at once."""

from collections.abc import Iterator

import numpy as np

from minilm import kernels
from minilm.backend import IGNORE, Array, is_half, matmul, xp_of
from minilm.functional.meeting import array_like, as_rows, meet
from minilm.functional.probability import check_terms, check_weights, marked_targets, shares_of
from minilm.functional.products import check_map
from minilm.tensor import is_grad_enabled, primitive

_CHUNK = 1 << 21  # logits computed at a time: 8 MB in float32
_CHUNK_GPU = 1 << 28  # a GPU needs thousands of rows at once: 512 MB in 16 bits


@primitive
def linear_cross_entropy(
    x: Array,
    w: Array,
    targets: Array,
    ignore_index: int = IGNORE,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "mean",
    weights: Array | None = None,
):
    """cross_entropy(linear(x, w), targets) without ever holding all the logits.

    Logits are made and used up a chunk of rows at a time: 8 MB in place of N * V numbers. Where the
    loss is one number, their gradient is taken in the same visit, and backward only scales what is
    there. Losses by the row are weighed by whatever comes after them, so backward makes the logits
    again, which costs one product of four more.

    Args:
        x: (..., C) the last hidden states.
        w: (V, C) the output embedding.
        targets, ignore_index, label_smoothing, z_loss, reduction, weights: as for `cross_entropy`.

    Returns:
        a number, or (...) losses; float32 beside 16-bit x.

    Raises:
        InputError: as `cross_entropy`; widths of x and w that differ.
    """
    check_terms(label_smoothing, z_loss)
    check_map("linear_cross_entropy", x, w)
    x, w = meet(x, w)
    rows = as_rows(x)  # (..., C) -> (N, C)
    targets = array_like(targets, x)
    ids = marked_targets(targets, x.shape[:-1], len(w), ignore_index)
    kind = np.dtype(np.float32) if is_half(x) else x.dtype  # of the losses
    weights = check_weights(weights, targets.shape, x)
    share, factors = shares_of(ids, reduction, weights, kind)
    if reduction == "none":
        return _each(x, rows, w, ids, factors, (label_smoothing, z_loss), kind)
    return _total(x, rows, w, ids, share, factors, (label_smoothing, z_loss), kind)


def _chunks(rows: Array, w: Array) -> Iterator[slice]:
    """Slices of rows whose logits are made at a time."""
    most = _CHUNK if type(rows) is np.ndarray else _CHUNK_GPU
    step = max(1, min(len(rows), most // len(w)))
    return (slice(i, i + step) for i in range(0, len(rows), step))


def _total(
    x: Array,
    rows: Array,
    w: Array,
    ids: Array,
    share: float,
    factors: Array | None,
    terms: tuple[float, float],
    kind: np.dtype,
):
    """The sum of all losses, and a gradient that is there already."""
    xp, half, wants = xp_of(x), is_half(x), is_grad_enabled()
    # Logits of 16 bits become the gradient of a sum, not of a mean, which float16 might round to 0;
    # the share comes in backward, with the loss scale, in float32, which dw and the loss are too.
    inside, after = (1.0, share) if half else (share, 1.0)
    dx = xp.empty_like(rows) if wants else None
    dw = xp.zeros(w.shape, kind) if wants else None
    total = 0.0
    for part in _chunks(rows, w):
        logits = rows[part] @ w.T  # (n, C) @ (C, V)
        if wants:
            losses = kernels.cross_entropy_with_gradient(logits, ids[part], *terms, inside)
            if factors is not None:
                logits *= factors[part, None].astype(logits.dtype, copy=False)
            matmul(logits, w, out=dx[part])
            matmul(logits.T, rows[part], out=dw, add=True)  # (V, n) @ (n, C)
        else:
            losses, _ = kernels.cross_entropy(logits, ids[part], *terms)
        losses = losses if factors is None else losses * factors[part]
        total = total + losses.sum(dtype=xp.float64)

    def pullback(g: Array):
        if half:
            scale = g * np.float32(after)
            return (
                # (N, C) -> (..., C)
                lambda: (dx.astype(np.float32) * scale).astype(x.dtype).reshape(x.shape),
                lambda: (dw * scale).astype(w.dtype),
            )
        return lambda: (dx * g).reshape(x.shape), lambda: dw * g  # (N, C) -> (..., C)

    return xp.asarray(total * share, dtype=kind), pullback


def _each(
    x: Array,
    rows: Array,
    w: Array,
    ids: Array,
    factors: Array | None,
    terms: tuple[float, float],
    kind: np.dtype,
):
    """Every row's loss, and a gradient that makes the logits again."""
    xp = xp_of(x)
    losses = xp.empty(len(rows), kind)
    for part in _chunks(rows, w):
        losses[part] = kernels.cross_entropy(rows[part] @ w.T, ids[part], *terms)[0]
    if factors is not None:
        losses *= factors

    def pullback(g: Array):
        each = g.reshape(-1)  # (...) -> (N,)
        each = each if factors is None else each * factors
        dx, dw = xp.empty_like(rows), xp.zeros(w.shape, kind)
        for part in _chunks(rows, w):
            logits = rows[part] @ w.T  # (n, C) @ (C, V)
            _, top = kernels.cross_entropy(logits, ids[part], *terms)
            share = xp.ascontiguousarray(each[part])
            slope = kernels.cross_entropy_backward(share, logits, ids[part], top, *terms)
            matmul(slope, w, out=dx[part])
            matmul(slope.T, rows[part], out=dw, add=True)  # (V, n) @ (n, C)
        return dx.reshape(x.shape), dw.astype(w.dtype, copy=False)  # (N, C) -> (..., C)

    return losses.reshape(x.shape[:-1]), pullback  # (N,) -> (...)
