"""Softmax, its logarithm, and the cross-entropy losses."""

import numpy as np

from minilm import kernels
from minilm.backend import IGNORE, Array, is_half, matmul, xp_of
from minilm.errors import InputError
from minilm.functional.meeting import array_like, as_rows, floats, meet
from minilm.functional.products import check_map
from minilm.tensor import is_grad_enabled, primitive

_CHUNK = 1 << 21  # logits computed at a time by linear_cross_entropy: 8 MB in float32
_CHUNK_GPU = 1 << 28  # a GPU needs thousands of rows at once: 512 MB in 16 bits


def _is_last(name: str, x: Array, axis: int) -> bool:
    """Whether `axis` is the last one of x."""
    if not -x.ndim <= axis < x.ndim:
        raise InputError(f"{name}: axis is {axis}; x of shape {x.shape} has {x.ndim} axes")
    if not x.shape[axis]:
        raise InputError(f"{name}: x of shape {x.shape} is empty along axis {axis}")
    return axis % x.ndim == x.ndim - 1


@primitive
def softmax(x: Array, axis: int = -1):
    """exp(x) / sum(exp(x)) along one axis.

    Raises:
        InputError: an axis that x does not have or that is empty.
    """
    x, last = floats(x), _is_last("softmax", x, axis)
    # elsewhere the axis changes places with the last one: (.., V, .., C) <-> (.., C, .., V)
    y = kernels.softmax(x) if last else kernels.softmax(x.swapaxes(axis, -1)).swapaxes(axis, -1)

    def pullback(g: Array):
        if last:
            return (kernels.softmax_backward(g, y),)
        # (.., V, .., C) -> (.., C, .., V) each
        back = kernels.softmax_backward(g.swapaxes(axis, -1), y.swapaxes(axis, -1))
        return (back.swapaxes(axis, -1),)  # (.., C, .., V) -> (.., V, .., C)

    return y, pullback


@primitive
def log_softmax(x: Array, axis: int = -1):
    """x - log(sum(exp(x))) along one axis.

    Raises:
        InputError: as `softmax`.
    """
    x, last = floats(x), _is_last("log_softmax", x, axis)
    # elsewhere the axis changes places with the last one: (.., V, .., C) <-> (.., C, .., V)
    y = kernels.log_softmax(x if last else x.swapaxes(axis, -1))

    def pullback(g: Array):
        # (.., V, .., C) -> (.., C, .., V)
        back = kernels.log_softmax_backward(g if last else g.swapaxes(axis, -1), y)
        return (back if last else back.swapaxes(axis, -1),)  # (.., C, .., V) -> (.., V, .., C)

    # (.., C, .., V) -> (.., V, .., C)
    return (y if last else y.swapaxes(axis, -1)), pullback


def _targets(targets: Array, lead: tuple[int, ...], vocabulary: int, ignore_index: int) -> Array:
    """Targets as (N,) integers in which every ignored one is -1.

    Args:
        lead: the shape that they must have, that of the logits without the last axis.

    Raises:
        InputError: a shape or an id that does not fit the logits; a vocabulary of nothing.
    """
    if not vocabulary:
        raise InputError("the vocabulary is empty; logits must be (..., V) with V at least 1")
    if targets.dtype.kind not in "iu":
        raise InputError(f"targets are {targets.dtype}; they must be integers")
    if targets.shape != lead:
        raise InputError(f"targets has shape {targets.shape}; the logits have {lead} rows")
    flat = targets.reshape(-1)  # (...) -> (N,)
    xp = xp_of(flat)
    marked = xp.where(flat == ignore_index, -1, flat).astype(xp.int64)
    if marked.size and xp.__name__ == "numpy":
        outside = (marked >= vocabulary) | ((marked < 0) & (flat != ignore_index))
        if outside.any():
            raise InputError(
                f"target {int(flat[outside][0])} is outside the vocabulary 0 .. {vocabulary - 1} "
                f"and is not ignore_index ({ignore_index})"
            )
    return marked


def _check_terms(label_smoothing: float, z_loss: float) -> None:
    if not 0 <= label_smoothing <= 1:
        raise InputError(f"label_smoothing is {label_smoothing}; it must be from 0 to 1")
    if not z_loss >= 0:
        raise InputError(f"z_loss is {z_loss}; it must be 0 or more")


def _weight(targets: Array, reduction: str) -> float:
    """What each kept row's loss is multiplied by."""
    if reduction not in ("mean", "sum", "none"):
        raise InputError(f"reduction is {reduction!r}; allowed are 'mean', 'sum' and 'none'")
    kept = int((targets >= 0).sum())
    return 1.0 / max(kept, 1) if reduction == "mean" else 1.0


@primitive
def cross_entropy(
    logits: Array,
    targets: Array,
    ignore_index: int = IGNORE,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "mean",
):
    """-log softmax(logits)[target], in nats.

    Args:
        logits: (..., V).
        targets: (...) integers; those equal to `ignore_index` count for nothing.
        label_smoothing: e of the target (1 - e) onehot + e / V.
        z_loss: weight of logsumexp(logits) squared.
        reduction: "mean" over the kept targets, "sum", or "none" for (...) losses.

    Raises:
        InputError: targets that do not fit; a number out of range; an unknown reduction; an
            empty vocabulary.
    """
    _check_terms(label_smoothing, z_loss)
    logits, targets = floats(logits), array_like(targets, logits)
    if not logits.ndim:
        raise InputError("cross_entropy: logits have shape (); they must be (..., V)")
    ids = _targets(targets, logits.shape[:-1], logits.shape[-1], ignore_index)
    rows = as_rows(logits)  # (..., V) -> (N, V)
    weight = _weight(ids, reduction)
    losses, top = kernels.cross_entropy(rows, ids, label_smoothing, z_loss)

    def pullback(g: Array):
        each = g.reshape(-1) * g.dtype.type(weight)  # () or (...) -> (1,) or (N,)
        each = xp_of(g).ascontiguousarray(xp_of(g).broadcast_to(each, losses.shape))
        back = kernels.cross_entropy_backward(each, rows, ids, top, label_smoothing, z_loss)
        return (back.reshape(logits.shape),)  # (N, V) -> (..., V)

    if reduction == "none":
        return losses.reshape(targets.shape), pullback  # (N,) -> (...)
    return losses.sum() * losses.dtype.type(weight), pullback


@primitive
def linear_cross_entropy(
    x: Array,
    w: Array,
    targets: Array,
    ignore_index: int = IGNORE,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "mean",
):
    """cross_entropy(linear(x, w), targets) without ever holding all the logits.

    Logits are made and used up a chunk of rows at a time; their gradient is taken in the same
    visit, so that backward only scales what is there. Memory: 8 MB in place of N * V numbers.

    Args:
        x: (..., C) the last hidden states.
        w: (V, C) the output embedding.
        targets, ignore_index, label_smoothing, z_loss: as for `cross_entropy`.
        reduction: "mean" or "sum".

    Raises:
        InputError: as `cross_entropy`; widths of x and w that differ.
    """
    _check_terms(label_smoothing, z_loss)
    check_map("linear_cross_entropy", x, w)
    x, w = meet(x, w)
    xp = xp_of(x)
    rows = as_rows(x)  # (..., C) -> (N, C)
    ids = _targets(array_like(targets, x), x.shape[:-1], len(w), ignore_index)
    if reduction not in ("mean", "sum"):
        raise InputError(f"reduction is {reduction!r}; allowed are 'mean' and 'sum'")
    weight = _weight(ids, reduction)
    step = max(1, min(len(rows), (_CHUNK if type(x) is np.ndarray else _CHUNK_GPU) // len(w)))
    wants = is_grad_enabled()
    half = is_half(x)
    # Logits of 16 bits become the gradient of a sum, not of a mean, which float16 might round to 0;
    # the weight comes in backward, with the loss scale, in float32, which dw and the loss are too.
    inside, after = (1.0, weight) if half else (weight, 1.0)
    dx = xp.empty_like(rows) if wants else None
    dw = xp.zeros(w.shape, np.float32 if half else w.dtype) if wants else None
    total = 0.0
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        logits = rows[part] @ w.T  # (n, C) @ (C, V)
        if wants:
            losses = kernels.cross_entropy_with_gradient(
                logits, ids[part], label_smoothing, z_loss, inside
            )
            matmul(logits, w, out=dx[part])
            matmul(logits.T, rows[part], out=dw, add=True)  # (V, n) @ (n, C)
        else:
            losses, _ = kernels.cross_entropy(logits, ids[part], label_smoothing, z_loss)
        total = total + losses.sum(dtype=xp.float64)

    def pullback(g: Array):
        if half:
            share = g * np.float32(after)
            return (
                # (N, C) -> (..., C)
                lambda: (dx.astype(np.float32) * share).astype(x.dtype).reshape(x.shape),
                lambda: (dw * share).astype(w.dtype),
            )
        return lambda: (dx * g).reshape(x.shape), lambda: dw * g  # (N, C) -> (..., C)

    return xp.asarray(total * weight, dtype=np.float32 if half else x.dtype), pullback
