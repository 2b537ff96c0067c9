"""Answers to prompts as arrays of one shape, and how likely a model finds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minilm.backend import IGNORE, to_numpy
from minilm.errors import InputError
from minilm.tensor import Tensor, no_grad

_AT_ONCE = 256  # rows that are read together where no gradient is needed


class Answers(NamedTuple):
    """N prompts with their answers.

    Attributes:
        ids: (N, L) prompt, answer, and whatever fills the row up.
        said: (N, L) bool, True for the tokens of the answer, its end included.
    """

    ids: np.ndarray
    said: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """(N,) tokens of each answer."""
        return self.said.sum(1)

    def rows(self, which: Any) -> Answers:
        """Some of them."""
        return Answers(self.ids[which], self.said[which])


class Pairs(NamedTuple):
    """N prompts with two answers each.

    Attributes:
        better, worse: `Answers`; which is which is the label.
        doubt: (N,) how likely each label is wrong, as `smoothing` in `dpo_loss`.
    """

    better: Answers
    worse: Answers
    doubt: np.ndarray

    def rows(self, which: Any) -> Pairs:
        """Some of them."""
        return Pairs(self.better.rows(which), self.worse.rows(which), self.doubt[which])


def check_answers(answers: Answers) -> Answers:
    """The same, if every answer has a token.

    Raises:
        InputError: arrays of other shapes, or an answer that is empty.
    """
    ids, said = np.asarray(answers.ids), np.asarray(answers.said, bool)
    if ids.ndim != 2 or ids.shape != said.shape or ids.dtype.kind not in "iu":
        raise InputError(
            f"ids is {ids.dtype} of shape {ids.shape} and said of {said.shape}; both must be "
            "(N, L), and ids whole numbers"
        )
    empty = np.flatnonzero(~said[:, 1:].any(1))
    if len(empty) or not len(ids):
        what = f"answer {empty[0]} is empty" if len(empty) else "there are no answers"
        raise InputError(f"{what}; every answer needs a token that follows another")
    return Answers(ids, said)


def make_pairs(better: Answers, worse: Answers, doubt: Any = 0.0) -> Pairs:
    """Pairs for preference learning.

    Args:
        better, worse: N answers each, to the same prompts.
        doubt: how likely a label is wrong, from 0 to 1; a number or (N,).

    Raises:
        InputError: as `check_answers`; other shapes, two equal answers, or a doubt out of range.
    """
    better, worse = check_answers(better), check_answers(worse)
    if better.ids.shape != worse.ids.shape:
        raise InputError(
            f"better has shape {better.ids.shape} and worse {worse.ids.shape}; they must be alike"
        )
    same = np.flatnonzero(same_answers(better, worse))
    if len(same):
        raise InputError(
            f"pair {same[0]} holds the same answer twice, and {len(same) - 1} more do; a pair "
            "needs two different answers, for equal ones say nothing about what is better"
        )
    doubt = np.broadcast_to(np.asarray(doubt, np.float32), len(better.ids))
    if not ((doubt >= 0) & (doubt <= 1)).all():
        raise InputError("a doubt is not from 0 to 1; it is the probability of a wrong label")
    return Pairs(better, worse, doubt)


def same_answers(first: Answers, second: Answers) -> np.ndarray:
    """(N,) bool, where two answers are the same."""
    alike = (first.said == second.said) & ((first.ids == second.ids) | ~first.said)
    return alike.all(1)


def complete(prompts: Sequence[np.ndarray], written: Any, fill: int = 0) -> Answers:
    """Prompts of any lengths with what was written after each.

    Args:
        prompts: N rows of ids.
        written: `minilm.inference.Written`, N rows.
        fill: the id after an answer's end.
    """
    starts = np.array([len(prompt) for prompt in prompts])
    n, tokens = written.ids.shape
    ids = np.full((n, starts.max() + tokens), fill, np.int64)
    said = np.zeros(ids.shape, bool)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = prompt
    row, column = np.nonzero(written.alive)
    ids[row, starts[row] + column] = written.ids[row, column]
    said[row, starts[row] + column] = True
    return Answers(ids, said)


def next_tokens(answers: Answers) -> np.ndarray:
    """(N, L - 1) the token of the answer that follows each place; -100 where none does."""
    return np.where(answers.said[:, 1:], answers.ids[:, 1:], IGNORE)


def token_logp(model: Any, answers: Answers) -> Tensor:
    """log-probability of each token of the answers, 0 elsewhere: (N, L - 1)."""
    return -model.loss(answers.ids[:, :-1], next_tokens(answers), reduction="none")


def answer_logp(model: Any, answers: Answers) -> Tensor:
    """log-probability of each whole answer, (N,): the sum over its tokens, its end included."""
    return token_logp(model, answers).sum(1)


def known_logp(model: Any, answers: Answers) -> np.ndarray:
    """The same as `token_logp` as an array, without a tape, some rows at a time."""

    def part(first: int) -> np.ndarray:
        return to_numpy(token_logp(model, answers.rows(slice(first, first + _AT_ONCE))).data)

    with no_grad():
        return np.concatenate([part(i) for i in range(0, len(answers.ids), _AT_ONCE)])


def divergence(model: Any, ref: Any, answers: Answers) -> float:
    """KL(model || ref) in nats for an answer, estimated from answers that the model has drawn."""
    return float((known_logp(model, answers) - known_logp(ref, answers)).sum(1).mean())
