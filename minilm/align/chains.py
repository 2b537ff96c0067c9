"""Answers through a chain of thought that nobody has written down: expectation-maximisation.

A language model writes question x, chain z, the stop, and answer y. Labels give x and y; z is
hidden, p(y | x) = sum over z of p(z | x) p(y | x, z). The E-step needs chains from the posterior
p(z | x, y), which a sampler q(z | x, y) learns with a GFlowNet objective; the M-step makes the
model likelier to write those chains and their answers (Hu et al. 2023, arXiv 2310.04363, section
3.4; Dempster, Laird and Rubin 1977).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm import functional as F
from minilm.align.gflownet import Behaviour, subtb_objective, tries
from minilm.align.policy import Drawn, TextPolicy
from minilm.analysis.enumerate import Texts, normalise
from minilm.errors import InputError
from minilm.optim import Optimizer
from minilm.tensor import Tensor, no_grad
from minilm.train import Run, train

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


Draw = Callable[[Array, np.random.Generator], Drawn]  # prompts -> chains


def exact_chains(chains: Chains, texts: Texts) -> Draw:
    """An E-step without a sampler: chains drawn from the posterior itself, by listing them all."""
    ids = chains.policy.allowed[texts.ids]

    def draw(prompts: Array, rng: np.random.Generator) -> Drawn:
        unique, which = np.unique(prompts, axis=0, return_inverse=True)
        found = np.zeros(len(prompts), np.int64)
        for number, prompt in enumerate(unique):
            many = np.repeat(prompt[None], len(texts), 0)
            p, _ = normalise(chains.reward(many, ids, texts.lengths))
            rows = np.flatnonzero(which.reshape(-1) == number)
            found[rows] = rng.choice(len(texts), len(rows), p=p)
        return Drawn(ids[found], texts.lengths[found])

    return draw


def fit_by_em(
    chains: Chains,
    sampler: TextPolicy | Draw,
    x: Array,
    y: Array,
    optimizers: tuple[Optimizer, Optimizer | None],
    rounds: int,
    e_steps: int,
    m_steps: int,
    batch: int,
    seed: int,
    behaviour: Behaviour | None = None,
    after_round: Callable[[int], Any] | None = None,
) -> None:
    """E-step, M-step, and again.

    A round's chains are drawn once, `m_steps` batches of them, before the model moves: the E-step
    belongs to the model of the round before.

    Args:
        chains: the model.
        sampler: q(z | x, y), which reads the label's id in the first place of x and is trained; or
            a function that draws chains by other means, such as `exact_chains`.
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
    trained = isinstance(sampler, TextPolicy)
    draw = sampler.draw if trained else sampler

    def likelihood(model: Any, rows: tuple[Array, Array, Array, Array]) -> Tensor:
        asked, ids, lengths, answers = rows
        return -chains.log_joint(asked, Drawn(ids, lengths), answers).mean()

    for round_ in range(rounds):
        if trained:
            explored = tries(
                sampler, chains.reward, prompts, batch, seed, behaviour or Behaviour(),
                first=round_ * e_steps,
            )  # fmt: skip
            _steps(sampler.model, explored, e_steps, subtb_objective(sampler), of_sampler)
        rng = backend.rng(seed, "chains", round_)
        rows = rng.integers(len(x), size=m_steps * batch)
        drawn = draw(prompts[rows], rng)
        parts = (x[rows], *drawn, y[rows])
        learnt = (tuple(p[i : i + batch] for p in parts) for i in range(0, len(rows), batch))
        _steps(chains.policy.model, learnt, m_steps, likelihood, of_model)
        if after_round is not None:
            after_round(round_)


def _steps(model: Any, batches: Any, steps: int, loss: Any, optimizer: Any) -> Run:
    """So many of the one training step, at a constant rate.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    run = train(
        model, batches, steps, loss=loss, optimizer=optimizer, schedule=lambda step: 1.0,
        progress=False,
    )  # fmt: skip
    if run.interrupted:
        raise KeyboardInterrupt
    return run
