"""Learning from a reward by drawing answers: PPO with a value head, and RLOO without one.

The objective is E[reward] - beta KL(policy || reference), per answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilm import functional as F
from minilm.align.answers import Answers, known_logp, next_tokens
from minilm.align.losses import ppo_loss
from minilm.align.rewards import gae, whiten
from minilm.align.rollouts import Reward, cut_batches, roll_out, score, seed_of, train_rounds
from minilm.backend import rng, to_numpy
from minilm.errors import InputError
from minilm.models.heads import ScalarHead
from minilm.nn import Module
from minilm.tensor import Tensor, no_grad
from minilm.train import Run

Array = np.ndarray


@dataclass(frozen=True)
class Policing:
    """The details of PPO, each a switch (Huang et al. 2024, arXiv 2403.17031, list many more).

    Attributes:
        beta: strength of the tie to the reference.
        epochs: how often the answers of a round are used.
        minibatches: steps for each time.
        clip: e of `ppo_loss`; None: ratios are not clipped.
        smoothing: lambda of `gae`; only with a value head.
        whitened: advantages are given mean 0 and variance 1.
        values: a value head is the baseline. Otherwise it is the mean of the *other* answers to the
            same prompt: RLOO (Ahmadian et al. 2024, arXiv 2402.14740).
        samples: answers for each prompt of a round.
        in_reward: the divergence is paid token by token, as part of the reward; otherwise it is a
            term of the loss, estimated by ratio - 1 - log ratio.

    Raises:
        InputError: a number out of range; no value head and one sample only.
    """

    beta: float = 0.1
    epochs: int = 2
    minibatches: int = 2
    clip: float | None = 0.2
    smoothing: float = 0.95
    whitened: bool = True
    values: bool = True
    samples: int = 1
    in_reward: bool = True

    def __post_init__(self) -> None:
        for name in ("epochs", "minibatches", "samples"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if not self.beta >= 0:
            raise InputError(f"beta is {self.beta}; it must be 0 or more")
        if not self.values and self.samples < 2:
            raise InputError(
                f"samples is {self.samples}; without a value head each prompt needs 2 or more "
                "answers, for each is compared with the others"
            )


class Actor(Module):
    """A policy, and where wanted a head that guesses the reward to come; its first guesses are 0.

    Args:
        lm: the decoder that is trained.
        values: whether there is a head.
    """

    def __init__(self, lm: Any, values: bool) -> None:
        self.lm = lm
        dtype = lm.head_weight.dtype
        self.value = ScalarHead(lm.config.channels, std=0.0, dtype=dtype) if values else None

    def forward(self, ids: Array, targets: Array) -> tuple[Tensor, Tensor | None]:
        """(N, L - 1) log-probabilities of the targets, and values of the states before them."""
        hidden = self.lm.hidden(ids)  # (N, L - 1) -> (N, L - 1, C)
        logp = -self.lm.score(hidden, targets, reduction="none")
        return logp, None if self.value is None else self.value(hidden)


def token_rewards(rewards: Array, penalty: Array, said: Array) -> Array:
    """What each token earns, (N, L - 1): the penalty, and at the last one the answer's reward."""
    each = -penalty * said
    last = said.shape[1] - 1 - said[:, ::-1].argmax(1)
    each[np.arange(len(each)), last] += rewards
    return each


def advantages(
    rewards: Array, penalty: Array, said: Array, values: Array | None, how: Policing
) -> tuple[Array, Array]:
    """How much better each token went than expected, and what was to be expected.

    Args:
        rewards: (N,) of whole answers.
        penalty: (N, T) taken off token by token.
        said: (N, T) bool.
        values: (N, T) of the states before each token; None: leave one out.
        how: the details.

    Returns:
        (N, T) advantages, 0 where nothing was said, and (N, T) returns.
    """
    each = token_rewards(rewards, penalty, said)
    if values is not None:
        values = np.pad(values * said, ((0, 0), (0, 1)))  # after the end nothing is to come
        found = gae(each, values, 1.0, how.smoothing) * said
        returns = found + values[:, :-1]
    else:
        total = each.sum(1).reshape(-1, how.samples)  # (prompts, samples)
        others = (total.sum(1, keepdims=True) - total) / (how.samples - 1)
        found = (total - others).reshape(-1, 1) * said  # (N, 1) -> (N, T)
        returns = np.zeros_like(each)
    return (whiten(found, said) * said if how.whitened else found), returns


def actor_loss(how: Policing) -> Callable[[Actor, dict[str, Array]], Tensor]:
    """What is minimised on a batch of a round."""

    def loss(actor: Actor, batch: dict[str, Array]) -> Tensor:
        answers = Answers(batch["ids"], batch["said"])
        logp, values = actor(answers.ids[:, :-1], next_tokens(answers))
        place = np.nonzero(answers.said[:, 1:])
        logp, old, gain = logp[place], batch["old"][place], batch["advantage"][place]
        if how.clip is None:
            total = -(F.exp(logp - old) * gain).mean()
        else:
            total = ppo_loss(logp, old, gain, how.clip)
        if not how.in_reward:
            apart = batch["ref"][place] - logp
            total = total + how.beta * (F.exp(apart) - apart - 1).mean()
        if values is not None:
            total = total + 0.5 * ((values[place] - batch["returns"][place]) ** 2).mean()
        return total

    return loss


def train_ppo(
    policy: Any,
    ref: Any,
    reward: Reward,
    prompts: Callable[[np.random.Generator], Sequence[Array]],
    tokens: int,
    rounds: int,
    end: int | None = None,
    how: Policing | None = None,
    seed: int = 0,
    watch: Callable[[int, dict[str, float]], Any] | None = None,
    **settings: Any,
) -> Run:
    """Train a policy on a reward (Ziegler et al. 2019, arXiv 1909.08593; arXiv 1707.06347).

    Args:
        policy: a decoder, changed in place.
        ref: the reference, a copy that does not move.
        reward: `Answers` -> (N,) finite numbers.
        prompts: a generator of random numbers -> the prompts of a round.
        tokens, end: as of `roll_out`.
        rounds: how many; each draws answers and takes epochs x minibatches steps.
        how: the details; None: `Policing()`.
        seed: of prompts, answers and the order of steps.
        watch: called with the number of each round and the mean reward, divergence and length of
            its answers.
        settings: as of `train_rounds`.

    Raises:
        InputError: the policy is its own reference; as `train_rounds`.
    """
    if policy is ref:
        raise InputError("ref is the policy itself; it must be a copy, which does not move")
    how = how or Policing()
    actor = Actor(policy, how.values)

    def draw(number: int) -> list[dict[str, Array]]:
        asked = prompts(rng(seed, "prompts", number))
        drawn = roll_out(policy, asked, tokens, end, seed_of(seed, "answers", number), how.samples)
        rewards, said = score(reward, drawn), drawn.said[:, 1:]
        old, base = known_logp(policy, drawn), known_logp(ref, drawn)
        with no_grad():
            values = None
            if actor.value is not None:
                values = to_numpy(actor.value(policy.hidden(drawn.ids[:, :-1])).data)
        penalty = how.beta * (old - base) if how.in_reward else np.zeros_like(old)
        gain, returns = advantages(rewards, penalty, said, values, how)
        if watch is not None:
            watch(
                number,
                {
                    "reward": float(rewards.mean()),
                    "divergence": float((old - base).sum(1).mean()),
                    "length": float(drawn.lengths.mean()),
                },
            )
        batch = {
            "ids": drawn.ids,
            "said": drawn.said,
            "old": old,
            "ref": base,
            "advantage": gain.astype(old.dtype),
            "returns": returns.astype(old.dtype),
        }
        r = rng(seed, "order", number)
        orders = [r.permutation(len(old)) for _ in range(how.epochs)]
        return [part for order in orders for part in cut_batches(batch, how.minibatches, order)]

    settings = {"lr": 3e-4, "seed": seed, **settings}
    each = how.epochs * how.minibatches
    return train_rounds(actor, draw, rounds, each, actor_loss(how), **settings)
