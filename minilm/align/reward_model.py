"""A model of which answers people prefer: one number for an answer, learnt from pairs."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from minilm.align.answers import Answers, Pairs
from minilm.align.losses import bradley_terry_loss
from minilm.align.pair_batches import batches_of
from minilm.backend import to_numpy
from minilm.errors import InputError
from minilm.models.heads import ScalarHead
from minilm.nn import Module
from minilm.nn.module import Buffer
from minilm.tensor import Tensor, no_grad
from minilm.train import Run, examples, train

_AT_ONCE = 256


class RewardModel(Module):
    """r(x, y): a sum of one number for each token of the answer.

    Each token is judged by the state after it and by its *fit*: the state before it times its
    embedding, place by place, which is what a language model's own head adds up to a logit. So the
    reward can see whether the model expected the token. Without it a small scalar head learns
    little about what is true.

    The bare reward is known only up to a number for each prompt (Bradley and Terry 1952);
    `calibrate` gives it mean 0 and standard deviation 1 over the answers of a reference. At first
    all rewards are 0.

    Args:
        lm: a decoder, of which the reward model gets a copy.
        fit: whether the second part is there.
    """

    def __init__(self, lm: Any, fit: bool = True) -> None:
        self.lm = copy.deepcopy(lm)
        channels, dtype = lm.config.channels, lm.head_weight.dtype
        self.state = ScalarHead(channels, std=0.0, dtype=dtype)
        self.fit = ScalarHead(channels, std=0.0, dtype=dtype) if fit else None
        self.mean = Buffer(np.zeros((), dtype), requires_grad=False)
        self.deviation = Buffer(np.ones((), dtype), requires_grad=False)

    def forward(self, answers: Answers) -> Tensor:  # N answers -> (N,)
        ids, said = np.asarray(answers.ids), answers.said[:, 1:]
        hidden = self.lm.hidden(ids)  # (N, L) -> (N, L, C)
        each = self.state(hidden[:, 1:])  # (N, L - 1)
        if self.fit is not None:
            each = each + self.fit(hidden[:, :-1] * self.lm.tokens(ids[:, 1:]))
        return (each * said.astype(each.dtype)).sum(1)

    def reward(self, answers: Answers) -> np.ndarray:
        """(N,) float64 rewards in the units of `calibrate`, without a tape."""

        def part(first: int) -> np.ndarray:
            return to_numpy(self(answers.rows(slice(first, first + _AT_ONCE))).data)

        with no_grad():
            raw = np.concatenate([part(i) for i in range(0, len(answers.ids), _AT_ONCE)])
        return (raw.astype(np.float64) - self.mean.data) / self.deviation.data

    def calibrate(self, answers: Answers) -> None:
        """Let rewards have mean 0 and standard deviation 1 over these answers.

        Raises:
            InputError: all have the same reward.
        """
        raw = self.reward(answers) * self.deviation.data + self.mean.data
        if not raw.std() > 0:
            raise InputError("all answers have the same reward; it has no unit then")
        self.mean.data[...], self.deviation.data[...] = raw.mean(), raw.std()


def pair_loss(model: Any, pairs: Pairs) -> Tensor:
    """Bradley and Terry's loss of a reward model; both answers are read in one batch."""
    both = Answers(*map(np.concatenate, zip(pairs.better, pairs.worse, strict=True)))
    rewards, n = model(both), len(pairs.better.ids)
    return bradley_terry_loss(rewards[:n], rewards[n:])


def train_reward(model: RewardModel, pairs: Pairs, steps: int, **settings: Any) -> Run:
    """Fit a reward model to pairs (Ouyang et al. 2022, arXiv 2203.02155, eq. 1).

    Args:
        model: changed in place.
        pairs: from `make_pairs`.
        steps: how many.
        settings: as of `minilm.train.train`; `batch` counts pairs.

    Raises:
        InputError: as `train`.
    """
    settings = {"batch": 64, "lr": 3e-3, "weight_decay": 0.0, **settings}
    source = batches_of(pairs, settings["batch"], settings.get("seed", 0))
    return train(model, source, steps, loss=pair_loss, weigh=examples, **settings)


def accuracy_within_prompts(scores: np.ndarray, gold: np.ndarray, prompts: np.ndarray) -> float:
    """How often, of two answers to one prompt, the better one has the higher score.

    A Bradley-Terry reward is fixed only up to a number for each prompt, so answers to different
    prompts are not compared. Pairs whose gold rewards are equal are left out; equal scores are half
    right.

    Args:
        scores, gold: (N,).
        prompts: (N,) which prompt each answers.

    Raises:
        InputError: no pair that can be compared.
    """
    scores, gold, prompts = (np.asarray(x) for x in (scores, gold, prompts))
    right, count = 0.0, 0
    for prompt in np.unique(prompts):
        s, g = scores[prompts == prompt], gold[prompts == prompt]
        better = g[:, None] > g  # (n, n)
        ahead = np.sign(s[:, None] - s)
        right += ((1 + ahead[better]) / 2).sum()
        count += int(better.sum())
    if not count:
        raise InputError("no two answers to one prompt differ in gold reward; nothing can be told")
    return right / count
