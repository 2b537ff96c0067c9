"""Every metric on the same answers of one model, and the sub-skills behind the U.

A model is any function from ids (n, T) to logits (n, T, V) whose position t predicts token t + 1.
"""

import math
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from minilm.analysis import metrics
from minilm.errors import InputError

Predict = Callable[[np.ndarray], np.ndarray]


class ProbeLike(Protocol):
    """What `minilm.data.worlds.world.Probe` has."""

    name: str
    tokens: np.ndarray
    scored: np.ndarray
    choices: tuple[int, ...] | None
    other: np.ndarray | None


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log probabilities over the last axis, float64."""
    logits = np.asarray(logits, dtype=np.float64)
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def answer_logp(predict: Predict, probe: ProbeLike, batch: int = 64) -> np.ndarray:
    """Log probabilities (n, k, V) at the k scored tokens of every prompt, given the true prefix.

    With `probe.choices`, all other tokens get minus infinity and the rest is normalised again.

    Raises:
        InputError: the probe scores a first token.
    """
    n = len(probe.tokens)
    if probe.scored[:, 0].any():
        raise InputError(f"probe {probe.name!r} scores its first token, which nothing can predict")
    rows = []
    for start in range(0, n, batch):
        part = slice(start, start + batch)
        logits = np.asarray(predict(probe.tokens[part, :-1]))
        rows.append(logits[probe.scored[part, 1:]])
    logits = np.concatenate(rows).reshape(n, -1, rows[0].shape[-1])  # (n k, V) -> (n, k, V)
    if probe.choices is not None:
        allowed = np.zeros(logits.shape[-1], dtype=bool)
        allowed[list(probe.choices)] = True
        logits = np.where(allowed, logits, -np.inf)
    return log_softmax(logits)


def score(predict: Predict, probe: ProbeLike, batch: int = 64) -> dict[str, float]:
    """All metrics on the same answers.

    Returns:
        `cross_entropy` (nats per scored token), `accuracy` (per token), `exact_match`,
        `if_independent` (the product of the accuracies by position), `brier`, `edit_distance`
        (tokens per answer).
    """
    logp = answer_logp(predict, probe, batch)
    target = probe.tokens[probe.scored].reshape(len(probe.tokens), -1)  # (n k,) -> (n, k)
    predicted = logp.argmax(axis=-1)
    right = np.take_along_axis(logp, target[..., None].astype(np.int64), axis=-1)
    by_place = metrics.position_accuracy(predicted, target)
    return {
        "cross_entropy": float(-right.mean()),
        "accuracy": metrics.token_accuracy(predicted, target),
        "exact_match": metrics.exact_match(predicted, target),
        "if_independent": metrics.exact_match_if_independent(by_place),
        "brier": metrics.brier(np.exp(logp), target),
        "edit_distance": metrics.mean_edit_distance(predicted, target),
    }


def misquote_skills(
    predict: Predict, probes: Mapping[str, ProbeLike], batch: int = 64
) -> dict[str, float]:
    """The sub-skills of repeating a misquote, from the probes of a `QuoteWorld`.

    Returns:
        Probabilities by name:
        `repeat`, of the right word when copying random words;
        `memory`, of the last word of a plain proverb;
        `fix`, of the true word of a misquoted proverb under a common header;
        `suppress`, 1 - P(wrong word, common header) / repeat: how far copying is given up, which
        happens before the true word is known;
        `instruction`, how far the literal header brings the wrong word back, on the odd proverbs;
        nan while the common header suppresses less than a fifth of the copying, so that there is
        nothing to bring back;
        `literal`, of the wrong word under the literal header (the task itself), even proverbs;
        `literal_accuracy`, the share of prompts where that word comes first;
        `composed`, repeat (1 - fix (1 - instruction)), the talk's composition, with the
        instruction's effect on the true word as its `instruction`;
        `composed_suppress`, the same with `suppress` instead of `fix`.
    """

    def mean(name: str, other: bool = False) -> tuple[float, float]:
        probe = probes[name]
        logp = answer_logp(predict, probe, batch)[:, -1]
        answer = probe.tokens[probe.scored].reshape(len(probe.tokens), -1)[:, -1]  # (n k,) -> (n,)
        answer = probe.other if other else answer
        p = np.exp(logp[np.arange(len(answer)), answer])
        return float(p.mean()), float((logp.argmax(-1) == answer).mean())

    repeat, fix, memory = mean("repeat")[0], mean("fix")[0], mean("memory")[0]
    literal, accuracy = mean("literal")
    common_wrong, fix_odd = mean("fix", other=True)[0], mean("fix odd")[0]
    wrong_odd, literal_odd = mean("fix odd", other=True)[0], mean("literal odd")[0]
    still_fixed = mean("literal odd", other=True)[0]
    suppress = max(0.0, 1 - common_wrong / max(repeat, 1e-9))
    gap = repeat - wrong_odd
    held_back = gap > max(0.05, 0.2 * repeat)
    back = min(1.0, max(0.0, (literal_odd - wrong_odd) / gap)) if held_back else math.nan
    followed = max(0.0, 1 - still_fixed / fix_odd) if fix_odd > 0.1 else 0.0
    return {
        "repeat": repeat,
        "memory": memory,
        "fix": fix,
        "suppress": suppress,
        "instruction": back,
        "literal": literal,
        "literal_accuracy": accuracy,
        "composed": repeat * (1 - fix * (1 - followed)),
        "composed_suppress": repeat * (1 - suppress * (1 - (back if held_back else 0.0))),
    }


def chance(probe: ProbeLike, vocab_size: int) -> float:
    """Accuracy of a uniform guess: 1 / number of answers that compete."""
    return 1 / (len(probe.choices) if probe.choices else vocab_size)


def standard_error(share: float, count: int) -> float:
    """The standard error of a share of `count` independent answers, sqrt(p (1 - p) / n).

    Raises:
        InputError: no answers, or a share that is not from 0 to 1.
    """
    if count < 1:
        raise InputError(f"count is {count}; it must be 1 or more")
    if not 0 <= share <= 1:
        raise InputError(f"share is {share}; it must be from 0 to 1")
    return math.sqrt(share * (1 - share) / count)
