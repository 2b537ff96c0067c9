"""Softmax, its logarithm, and the cross-entropy."""

import numpy as np

from minilm import kernels
from minilm.backend import IGNORE, Array, xp_of
from minilm.errors import InputError
from minilm.functional.meeting import array_like, as_rows, floats
from minilm.tensor import primitive


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


def marked_targets(
    targets: Array, lead: tuple[int, ...], vocabulary: int, ignore_index: int
) -> Array:
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


def check_terms(label_smoothing: float, z_loss: float) -> None:
    if not 0 <= label_smoothing <= 1:
        raise InputError(f"label_smoothing is {label_smoothing}; it must be from 0 to 1")
    if not z_loss >= 0:
        raise InputError(f"z_loss is {z_loss}; it must be 0 or more")


def shares_of(
    targets: Array, reduction: str, weights: Array | None, dtype: np.dtype
) -> tuple[float, Array | None]:
    """What the sum of all losses is multiplied by, and before that each row's loss, or None.

    Args:
        targets: (N,), ignored ones below 0.
        weights: of the rows, in the shape of the targets as they were given, or None.

    Raises:
        InputError: an unknown reduction; weights of another shape, or below 0 in a mean.
    """
    if reduction not in ("mean", "sum", "none"):
        raise InputError(f"reduction is {reduction!r}; allowed are 'mean', 'sum' and 'none'")
    if weights is None:
        kept = int((targets >= 0).sum()) if reduction == "mean" else 1
        return 1.0 / max(kept, 1), None
    rows = weights.reshape(-1).astype(dtype, copy=False)  # (...) -> (N,)
    if reduction != "mean":
        return 1.0, rows
    xp = xp_of(rows)
    if rows.size and float(rows.min()) < 0:
        raise InputError(
            f"weights go down to {float(rows.min()):g}; in a mean they must be 0 or more, and "
            "reduction 'sum' takes any"
        )
    total = float(xp.where(targets >= 0, rows, rows.dtype.type(0)).sum())
    return (1.0 / total if total else 0.0), rows


def check_weights(weights: Array | None, shape: tuple[int, ...], like: Array) -> Array | None:
    """Weights as an array beside `like`; None stays None.

    Raises:
        InputError: another shape than that of the targets.
    """
    if weights is None:
        return None
    weights = array_like(weights, like)
    if weights.shape != shape:
        raise InputError(f"weights has shape {weights.shape}; the targets have {shape}")
    return weights


@primitive
def cross_entropy(
    logits: Array,
    targets: Array,
    ignore_index: int = IGNORE,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "mean",
    weights: Array | None = None,
):
    """-log softmax(logits)[target], in nats.

    Args:
        logits: (..., V).
        targets: (...) integers; those equal to `ignore_index` count for nothing.
        label_smoothing: e of the target (1 - e) onehot + e / V.
        z_loss: weight of logsumexp(logits) squared.
        reduction: "mean" over the kept targets, "sum", or "none" for (...) losses.
        weights: (...) factors on the losses, constants; a mean is divided by their sum over the
            kept targets.

    Raises:
        InputError: targets or weights that do not fit; a number out of range; an unknown reduction;
            an empty vocabulary.
    """
    check_terms(label_smoothing, z_loss)
    logits, targets = floats(logits), array_like(targets, logits)
    if not logits.ndim:
        raise InputError("cross_entropy: logits have shape (); they must be (..., V)")
    ids = marked_targets(targets, logits.shape[:-1], logits.shape[-1], ignore_index)
    rows = as_rows(logits)  # (..., V) -> (N, V)
    weights = check_weights(weights, targets.shape, logits)
    share, factors = shares_of(ids, reduction, weights, logits.dtype)
    losses, top = kernels.cross_entropy(rows, ids, label_smoothing, z_loss)
    if factors is not None:
        losses = losses * factors

    def pullback(g: Array):
        each = g.reshape(-1) * g.dtype.type(share)  # () or (...) -> (1,) or (N,)
        each = each if factors is None else each * factors
        each = xp_of(g).ascontiguousarray(xp_of(g).broadcast_to(each, losses.shape))
        back = kernels.cross_entropy_backward(each, rows, ids, top, label_smoothing, z_loss)
        return (back.reshape(logits.shape),)  # (N, V) -> (..., V)

    if reduction == "none":
        return losses.reshape(targets.shape), pullback  # (N,) -> (...)
    return losses.sum() * losses.dtype.type(share), pullback
