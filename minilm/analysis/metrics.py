"""Scores of the same answers: loss split over tasks, exact match, per token, Brier, edit distance.

An ability that seems to jump under one score may grow smoothly under another (Schaeffer, Miranda
and Koyejo 2023, arXiv 2304.15004), so every score here takes the same answers.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minilm.errors import InputError


class TaskLoss(NamedTuple):
    """A mean loss and its exact split over tasks.

    `total` equals the sum over tasks of `weights[k] * losses[k]`, up to rounding in float64.
    """

    losses: dict[Any, float]  # nats per token, one for each task that occurs
    weights: dict[Any, float]  # share of the tokens; they sum to 1
    total: float  # nats per token over all tokens


def per_task_loss(
    logp: np.ndarray, labels: np.ndarray, names: Sequence[str] | None = None
) -> TaskLoss:
    """Split the mean loss over the tasks that the tokens belong to: L = sum of w_k L_k.

    Args:
        logp: log probability of each true token, nats, any shape and float dtype.
        labels: the task of each token, integers, same shape.
        names: `names[label]` is used as the key of a task instead of its integer.

    Raises:
        InputError: shapes differ, there is no token, or a label has no name.
    """
    logp, labels = np.asarray(logp, dtype=np.float64), np.asarray(labels)
    if logp.shape != labels.shape:
        raise InputError(f"labels has shape {labels.shape}; it must be logp's, {logp.shape}")
    if logp.size == 0:
        raise InputError("logp is empty; a loss needs at least one token")
    present, inverse = np.unique(labels.ravel(), return_inverse=True)
    if names is not None and (present[0] < 0 or present[-1] >= len(names)):
        raise InputError(
            f"labels run from {present[0]} to {present[-1]}; names has {len(names)} entries"
        )
    counts = np.bincount(inverse)
    sums = np.bincount(inverse, weights=-logp.ravel())
    keys = [k.item() if names is None else names[k] for k in present]
    losses = dict(zip(keys, (sums / counts).tolist(), strict=True))
    weights = dict(zip(keys, (counts / logp.size).tolist(), strict=True))
    return TaskLoss(losses, weights, float(-logp.mean()))


def _check_answers(predicted: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted, target = np.asarray(predicted), np.asarray(target)
    if predicted.shape != target.shape:
        raise InputError(f"predicted has shape {predicted.shape}; it must be {target.shape}")
    if target.ndim == 0 or target.size == 0:
        raise InputError(f"target has shape {target.shape}; it must hold at least one token")
    return predicted, target


def exact_match(predicted: np.ndarray, target: np.ndarray) -> float:
    """The share of answers (rows) that are right in every token; arrays (N, L) of ids.

    Raises:
        InputError: shapes differ, or there is no token.
    """
    predicted, target = _check_answers(predicted, target)
    right = (predicted == target).reshape(len(target), -1)  # (N, ...) -> (N, L)
    return float(right.all(axis=1).mean())


def token_accuracy(predicted: np.ndarray, target: np.ndarray) -> float:
    """The share of tokens that are right; arrays (N, L) of ids.

    Raises:
        InputError: shapes differ, or there is no token.
    """
    predicted, target = _check_answers(predicted, target)
    return float((predicted == target).mean())


def position_accuracy(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The share that is right at each position of the answer: (N, L) ids -> (L,) float64.

    Raises:
        InputError: shapes differ, or there is no token.
    """
    predicted, target = _check_answers(predicted, target)
    return (predicted == target).mean(axis=0)


def exact_match_if_independent(accuracies: np.ndarray | Sequence[float]) -> float:
    """Exact match if errors at different positions were independent: the product over positions.

    The difference from the measured exact match tells how correlated the errors are.

    Raises:
        InputError: no accuracies, or one that is not from 0 to 1.
    """
    p = np.asarray(accuracies, dtype=np.float64)
    if p.size == 0 or not ((p >= 0) & (p <= 1)).all():
        raise InputError(
            f"accuracies are {accuracies!r}; there must be at least one, each from 0 to 1"
        )
    return float(p.prod())


def power_match(accuracy: float | np.ndarray, length: int) -> float | np.ndarray:
    """Exact match of `length` equally hard, independent tokens: p ** length (2304.15004).

    Raises:
        InputError: a number out of range.
    """
    p = np.asarray(accuracy, dtype=np.float64)
    if length < 1:
        raise InputError(f"length is {length}; it must be 1 or more")
    if not ((p >= 0) & (p <= 1)).all():
        raise InputError(f"accuracy is {accuracy}; it must be from 0 to 1")
    result = p**length
    return float(result) if result.ndim == 0 else result


def accuracy_needed(match: float, length: int) -> float:
    """The per-token accuracy at which `length` independent tokens are all right this often.

    Raises:
        InputError: a number out of range.
    """
    if length < 1:
        raise InputError(f"length is {length}; it must be 1 or more")
    if not 0 <= match <= 1:
        raise InputError(f"match is {match}; it must be from 0 to 1")
    return float(match ** (1 / length))


def mirage_accuracy(
    size: float | np.ndarray, scale: float = 1e9, exponent: float = 0.5
) -> np.ndarray:
    """Per-token probability exp(-(N/c)^-a) of a model whose loss is the power law (N/c)^-a.

    Schaeffer et al. 2023 (2304.15004), section 2.

    Returns:
        float64, the shape of `size`.

    Raises:
        InputError: a size or scale that is not above 0.
    """
    size = np.asarray(size, dtype=np.float64)
    if not (size > 0).all() or scale <= 0:
        raise InputError(f"size is {size} and scale is {scale}; both must be above 0")
    return np.exp(-((size / scale) ** -exponent))


def brier(probabilities: np.ndarray, target: np.ndarray) -> float:
    """Mean squared distance to the one-hot truth, 0 (sure and right) to 2 (sure and wrong).

    Args:
        probabilities: (..., V), rows that sum to 1.
        target: (...) integer ids from 0 to V - 1.

    Raises:
        InputError: shapes that do not fit, ids out of range, or rows that do not sum to 1.
    """
    p, target = np.asarray(probabilities, dtype=np.float64), np.asarray(target)
    if p.shape[:-1] != target.shape or target.size == 0:
        raise InputError(
            f"probabilities has shape {p.shape} and target {target.shape}; "
            "they must agree except for a last axis of classes"
        )
    if target.min() < 0 or target.max() >= p.shape[-1]:
        raise InputError(
            f"target holds {target.min()} to {target.max()}; classes are 0 to {p.shape[-1] - 1}"
        )
    if not np.allclose(p.sum(-1), 1, atol=1e-3):
        raise InputError(
            "probabilities do not sum to 1 over the last axis; they must, as softmax's outputs do"
        )
    right = np.take_along_axis(p, target[..., None], axis=-1)[..., 0]
    return float(((p * p).sum(-1) - 2 * right + 1).mean())


def edit_distance(first: Sequence[Any], second: Sequence[Any]) -> int:
    """Fewest insertions, deletions and substitutions between two sequences (Levenshtein 1966).

    Dynamic programming over one row, O(len(first) * len(second)) time, O(len(second)) memory.
    """
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        corner, row[0] = row[0], i
        for j, b in enumerate(second, start=1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (a != b))
    return row[-1]


def mean_edit_distance(predicted: np.ndarray, target: np.ndarray) -> float:
    """The mean `edit_distance` over the rows of two (N, L) arrays of ids, in tokens.

    Raises:
        InputError: shapes differ, or there is no token.
    """
    predicted, target = _check_answers(predicted, target)
    pairs = zip(predicted.tolist(), target.tolist(), strict=True)
    return float(np.mean([edit_distance(a, b) for a, b in pairs]))


def perplexity(loss: float) -> float:
    """e to the loss in nats: the number of equally likely words that would be as hard to guess."""
    return math.exp(loss)


def bits_per_byte(loss: float, tokens: int, size: int) -> float:
    """The loss in a unit that does not depend on the tokenizer.

    Args:
        loss: mean nats per token.
        tokens: number of tokens that the mean is taken over.
        size: number of bytes of UTF-8 text that those tokens stand for.

    Raises:
        InputError: no tokens or no bytes.
    """
    if tokens < 1 or size < 1:
        raise InputError(f"tokens is {tokens} and size is {size}; both must be 1 or more")
    return loss * tokens / (size * math.log(2))


def gap_recovered(weak: float, between: float, strong: float) -> float:
    """PGR: the share of the gap from weak to strong that was recovered (Burns et al. 2023).

    Args:
        weak: how good the teacher is (arXiv 2312.09390, section 3).
        between: how good the student is that learnt from the teacher's labels.
        strong: how good the same student is after learning from true labels.

    Returns:
        0 at weak, 1 at strong; below 0 or above 1 outside.

    Raises:
        InputError: no gap: strong is not above weak.
    """
    if not strong > weak:
        raise InputError(f"strong is {strong} and weak {weak}; without a gap nothing is recovered")
    return (between - weak) / (strong - weak)
