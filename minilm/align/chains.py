"""Answers through a chain of thought that nobody has written down: expectation-maximisation.

A language model writes question x, chain z, the stop, and answer y. Labels give x and y; z is
hidden, p(y | x) = sum over z of p(z | x) p(y | x, z). The E-step needs chains from the posterior
p(z | x, y), which a sampler q(z | x, y) learns with a GFlowNet objective; the M-step makes the
model likelier to write those chains and their answers (Hu et al. 2023, arXiv 2310.04363, section
3.4; Dempster, Laird and Rubin 1977).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm import functional as F
from minilm.align.gflownet import Behaviour, subtb_objective, tries
from minilm.align.policy import Drawn, TextPolicy
from minilm.analysis.enumerate import Texts
from minilm.errors import InputError
from minilm.optim import Optimizer
from minilm.tensor import Tensor, no_grad
from minilm.train import train

Array = np.ndarray


class Chains:
    """p(z, y | x) of a language model that writes x, z, the stop and y.

    Args:
        policy: writes the chains z after x, p(z | x).
        labels: ids of the answers; y is the place of one of them.
        first: the id that every x begins with; the sampler reads the label in its place.
        alone: the answer is read off the chain and not off the question, p(y | z): then no answer
            can go round the chain.

    Raises:
        InputError: fewer than two labels, or one that the model does not have.
    """

    def __init__(
        self, policy: TextPolicy, labels: Sequence[int], first: int, alone: bool = False
    ) -> None:
        size = policy.model.config.vocab_size
        if len(labels) < 2 or not 0 <= min(labels) <= max(labels) < size:
            raise InputError(
                f"labels are {list(labels)}; they must be two or more of the ids 0 to {size - 1}"
            )
        self.policy, self.labels = policy, np.asarray(labels)
        self.first, self.alone = first, alone

    def log_answers(self, x: Array, drawn: Drawn) -> Tensor:
        """log p(y | x, z) of every answer, (B, Y), on the tape."""
        x = x[:, :1] if self.alone else x
        count, asked = x.shape
        text = np.concatenate([x, drawn.ids, np.zeros((count, 1), np.int64)], 1)
        ends = asked + drawn.lengths  # where the stop stands
        text[np.arange(count), ends] = self.policy.stop
        logits = self.policy.model(text)[np.arange(count), ends]  # (B, V)
        return F.log_softmax(logits[:, self.labels])

    def log_joint(self, x: Array, drawn: Drawn, y: Array) -> Tensor:
        """log p(z, y | x), (B,), on the tape."""
        answers = self.log_answers(x, drawn)
        return self.policy.log_q(x, drawn) + answers[np.arange(len(y)), np.asarray(y)]

    def predict(self, x: Array, texts: Texts) -> Array:
        """p(y | x), (B, Y): the sum over every chain on a list."""
        ids = self.policy.allowed[texts.ids]
        found = np.zeros((len(x), len(self.labels)))
        for row, one in zip(found, x, strict=True):
            many = Drawn(ids, texts.lengths)
            with no_grad():
                answers = self.log_answers(np.repeat(one[None], len(ids), 0), many).data
            row[:] = np.exp(self.policy.table(one, texts)) @ np.exp(answers.astype(np.float64))
        return found

    def reward(self, prompts: Array, ids: Array, lengths: Array) -> Array:
        """log R(z) = log p(z, y | x) for prompts (B, P): x, the label in its first place."""
        y = (prompts[:, :1] == self.labels).argmax(1)
        x = prompts.copy()
        x[:, 0] = self.first
        with no_grad():
            return self.log_joint(x, Drawn(ids, lengths), y).data.astype(np.float64)


def fit_by_em(
    chains: Chains,
    sampler: TextPolicy,
    x: Array,
    y: Array,
    optimizers: tuple[Optimizer, Optimizer],
    rounds: int,
    e_steps: int,
    m_steps: int,
    batch: int,
    seed: int,
    behaviour: Behaviour | None = None,
    after_round: Callable[[int], Any] | None = None,
) -> None:
    """E-step, M-step, and again.

    Args:
        chains: the model, whose first id of x is `chains.first`.
        sampler: q(z | x, y), which reads the label's id in that place.
        x: (N, P) labelled questions.
        y: (N,) places of their answers.
        optimizers: of the model and of the sampler.
        rounds: how often.
        e_steps, m_steps: steps of the sampler and of the model in a round.
        batch: texts a step.
        seed: of all draws.
        behaviour: how the sampler explores; None: as `Behaviour()`.
        after_round: called with the round's number, from 0.

    Raises:
        InputError: questions that do not begin with `chains.first`.
    """
    if not (x[:, 0] == chains.first).all():
        raise InputError(f"x begins with {x[0, 0]}; every row must begin with {chains.first}")
    prompts = x.copy()
    prompts[:, 0] = chains.labels[y]
    of_model, of_sampler = optimizers
    objective, behaviour = subtb_objective(sampler), behaviour or Behaviour()

    def likelihood(model: Any, rows: tuple[Array, Array, Array, Array]) -> Tensor:
        asked, ids, lengths, answers = rows
        return -chains.log_joint(asked, Drawn(ids, lengths), answers).mean()

    def posterior(round_: int) -> Iterator[tuple[Array, Array, Array, Array]]:
        rng = backend.rng(seed, "chains", round_)
        while True:
            rows = rng.integers(len(x), size=batch)
            yield (x[rows], *sampler.draw(prompts[rows], rng), y[rows])

    for round_ in range(rounds):
        tried = tries(
            sampler, chains.reward, prompts, batch, seed, behaviour, first=round_ * e_steps
        )
        quiet = {"progress": False, "schedule": lambda step: 1.0}
        train(sampler.model, tried, e_steps, loss=objective, optimizer=of_sampler, **quiet)
        train(
            chains.policy.model, posterior(round_), m_steps, loss=likelihood,
            optimizer=of_model, **quiet,
        )  # fmt: skip
        if after_round is not None:
            after_round(round_)
