"""Speculative decoding: a cheap guess at the next tokens, checked by the model all at once.

The model reads several guessed tokens for about the price of one, because its weights are read once
for all of them. Guesses are kept with a probability that makes what is written exactly as likely as
if the model had written alone (Leviathan et al., arXiv 2211.17192, section 2.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from minilm import backend
from minilm.errors import InputError
from minilm.inference.batch import as_rows
from minilm.inference.drafts import Reader, draw_one
from minilm.inference.rules import Rules
from minilm.inference.stopping import Stops


class Draft(Protocol):
    """Whoever guesses what comes next."""

    def propose(
        self, ids: list[int], count: int, rng: np.random.Generator
    ) -> tuple[list[int], np.ndarray | None]:
        """At most `count` guesses after `ids`, and the distributions (k, V) they were drawn from.

        None in place of the distributions: each guess was certain.
        """


class Target(Protocol):
    """Whoever decides."""

    def probabilities(self, ids: list[int], guessed: list[int]) -> np.ndarray:
        """What follows `ids`, and each of the k guesses: (k + 1, V), rows that sum to 1."""


@dataclass
class Speculated:
    """What was written, and how the guesses did.

    Attributes:
        ids: the new tokens.
        rounds: times that the model was asked.
        guessed: tokens that it was asked about.
        kept: of these, how many it kept.
        refused: rounds in which it kept not all.
    """

    ids: list[int]
    rounds: int = 0
    guessed: int = 0
    kept: int = 0
    refused: int = 0

    @property
    def acceptance(self) -> float:
        """Kept of all guesses that were looked at: those after a refused one are not."""
        looked = self.kept + self.refused
        return self.kept / looked if looked else 0.0


def accept(
    guessed: Sequence[int],
    q: np.ndarray | None,
    p: np.ndarray,
    rng: np.random.Generator,
) -> list[int]:
    """Which guesses are kept, and one more token: the first that differs, or what follows them.

    A guess x is kept with probability min(1, p(x) / q(x)); in place of the first that is not, a
    token is drawn from max(0, p - q), normalised.

    Args:
        guessed: k tokens.
        q: (k, V) distributions that they were drawn from; None: each was certain.
        p: (k + 1, V) the target's distributions at these places and the next.
        rng: what the draws come from.

    Returns:
        1 to k + 1 tokens, all but the last of them guesses.
    """
    for i, token in enumerate(guessed):
        sure = 1.0 if q is None else float(q[i, token])
        if rng.random() * sure < p[i, token]:
            continue
        left = p[i].copy()
        if q is None:
            left[token] = 0
        else:
            left = np.maximum(left - q[i], 0)
        return [*guessed[:i], draw_one(left, rng)]
    return [*guessed, draw_one(p[len(guessed)], rng)]


def speculate(
    model: Any,
    ids: Sequence[int],
    tokens: int,
    draft: Draft,
    rules: Rules | None = None,
    stop: Sequence[int | str] | str = (),
    seed: int = 0,
    guesses: int = 4,
    tokenizer: Any = None,
    weights: str = "float32",
) -> Speculated:
    """Continue a prompt, with a draft's guesses.

    With a temperature of 0 the text is the one that `generate` gives; otherwise each text has the
    same probability, though a seed gives another one.

    Args:
        model: a decoder on the CPU.
        ids: the prompt's tokens.
        tokens: how many to write at most.
        draft: who guesses, with the same rules.
        rules: how the next token is chosen; None: greedy.
        stop: ids and texts that end it; the token that completes one is kept.
        seed: of the draws.
        guesses: at a time, at most.
        tokenizer: the model's, where `stop` holds texts.
        weights: "float32" or "int8".

    Raises:
        InputError: a value out of range; a text that does not fit into the model's context.
    """
    rows, single = as_rows(list(ids), model.config.vocab_size)
    if not single:
        raise InputError("ids holds several prompts; speculate takes one")
    whole, context = len(rows[0]) + tokens, model.config.context
    if whole > context:
        raise InputError(
            f"the prompt has {len(rows[0])} tokens and tokens is {tokens}; together they must fit "
            f"into the model's context of {context}"
        )
    target = Reader(model, Rules(0.0) if rules is None else rules, weights)
    stops, rng = Stops(stop, tokenizer, 1), backend.rng(seed, "speculate")
    return write(target, draft, rows[0].tolist(), tokens, stops, rng, guesses)


def write(
    target: Target,
    draft: Draft,
    ids: list[int],
    tokens: int,
    stops: Stops | None,
    rng: np.random.Generator,
    guesses: int = 4,
) -> Speculated:
    """The loop of `speculate`, for any target and draft.

    Raises:
        InputError: tokens below 1, or guesses below 0.
    """
    for name, value, least in (("tokens", tokens, 1), ("guesses", guesses, 0)):
        if value < least:
            raise InputError(f"{name} is {value}; it must be {least} or more")
    text, result = list(ids), Speculated([])
    while len(result.ids) < tokens:
        room = min(guesses, tokens - len(result.ids) - 1)
        guessed, q = draft.propose(text, room, rng) if room else ([], None)
        new = accept(guessed, q, target.probabilities(text, guessed), rng)
        result.rounds += 1
        result.guessed += len(guessed)
        result.kept += len(new) - 1
        result.refused += len(new) <= len(guessed)
        for token in new:
            text.append(token)
            result.ids.append(token)
            if stops and stops.ends(0, token):
                return result
    return result


def overlap(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The probability that a guess is kept: the sum of min(p, q) over tokens (theorem 3.5).

    Args:
        p, q: (..., V) distributions.

    Returns:
        (...).
    """
    return np.minimum(p, q).sum(axis=-1)


def expected_tokens(acceptance: float, guesses: int) -> float:
    """Tokens per round where each guess is kept with the same probability (equation 1)."""
    if acceptance == 1:
        return guesses + 1.0
    return (1 - acceptance ** (guesses + 1)) / (1 - acceptance)


def expected_speedup(acceptance: float, guesses: int, cost: float) -> float:
    """How many times as fast as alone (theorem 3.8), if checking k guesses costs one step.

    Args:
        acceptance: the probability that a guess is kept.
        guesses: k.
        cost: of one guess, in steps of the target.
    """
    return expected_tokens(acceptance, guesses) / (guesses * cost + 1)
