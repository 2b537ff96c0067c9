"""Learning from pairs without a reward model: DPO and its kin, on given pairs or on one's own."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilm.align.answers import (
    Answers,
    Pairs,
    answer_logp,
    check_answers,
    known_logp,
    make_pairs,
    same_answers,
)
from minilm.align.losses import dpo_loss, kto_loss, orpo_loss
from minilm.align.pair_batches import batches_of
from minilm.align.rollouts import Reward, RewardFailed, roll_out, score, seed_of, train_rounds
from minilm.backend import rng
from minilm.errors import InputError
from minilm.tensor import Tensor
from minilm.train import Run, examples, train

Loss = Callable[..., Tensor]


class Referred(NamedTuple):
    """Pairs with what the reference says of them: (N,) log-probabilities of whole answers."""

    pairs: Pairs
    better: np.ndarray
    worse: np.ndarray

    def rows(self, which: Any) -> "Referred":
        """Some of them."""
        return Referred(self.pairs.rows(which), self.better[which], self.worse[which])


class Judged(NamedTuple):
    """Answers that are good or bad by themselves, with what the reference says of them."""

    answers: Answers
    good: np.ndarray
    ref: np.ndarray

    def rows(self, which: Any) -> "Judged":
        """Some of them."""
        return Judged(self.answers.rows(which), self.good[which], self.ref[which])


def refer(pairs: Pairs, ref: Any) -> Referred:
    """Ask the reference once for all."""
    return Referred(pairs, *(known_logp(ref, side).sum(1) for side in (pairs.better, pairs.worse)))


def both_logp(model: Any, pairs: Pairs) -> tuple[Tensor, Tensor]:
    """log-probabilities of the better and of the worse answers, (N,) each, from one batch."""
    both = Answers(*map(np.concatenate, zip(pairs.better, pairs.worse, strict=True)))
    logp, n = answer_logp(model, both), len(pairs.better.ids)
    return logp[:n], logp[n:]


def preference_objective(loss: Loss) -> Callable[[Any, Referred], Tensor]:
    """What `train` minimises: a loss of pairs, such as `partial(ipo_loss, beta=0.1)`.

    Where a pair's label may be wrong, the loss gets the doubt as its `smoothing`.
    """

    def objective(model: Any, batch: Referred) -> Tensor:
        better, worse = both_logp(model, batch.pairs)
        doubt = batch.pairs.doubt
        how = {"smoothing": doubt} if doubt.any() else {}
        return loss(better, worse, batch.better, batch.worse, **how)

    return objective


def train_preferences(
    policy: Any, ref: Any, pairs: Pairs, steps: int, loss: Loss = dpo_loss, **settings: Any
) -> Run:
    """DPO, or another loss of pairs against a reference (arXiv 2305.18290).

    The rate that is good lies far below that of supervised fine-tuning; above it even the better
    answers lose probability.

    Args:
        policy: a decoder, changed in place.
        ref: the reference, another model: often a copy of the policy as it starts.
        pairs: from `make_pairs`.
        steps: how many.
        loss: of (better, worse, ref_better, ref_worse): `dpo_loss`, `ipo_loss`, or either with
            other settings through `functools.partial`.
        settings: as of `minilm.train.train`; `batch` counts pairs.

    Raises:
        InputError: the policy is its own reference; as `train`.
    """
    if policy is ref:
        raise InputError("ref is the policy itself; it must be a copy, which does not move")
    settings = {"batch": 64, "lr": 3e-5, "weight_decay": 0.0, **settings}
    source = batches_of(refer(pairs, ref), settings["batch"], settings.get("seed", 0))
    objective = preference_objective(loss)
    return train(policy, source, steps, loss=objective, weigh=examples, **settings)


def train_orpo(
    policy: Any, pairs: Pairs, steps: int, strength: float = 0.1, **settings: Any
) -> Run:
    """Fine-tuning and preference in one, without a reference (arXiv 2403.07691).

    Args:
        policy, pairs, steps, settings: as of `train_preferences`.
        strength: as of `orpo_loss`.

    Raises:
        InputError: as `train`.
    """

    def objective(model: Any, batch: Pairs) -> Tensor:
        better, worse = both_logp(model, batch)
        sides = zip((better, worse), (batch.better, batch.worse), strict=True)
        means = [logp / side.lengths.astype(logp.dtype) for logp, side in sides]
        return orpo_loss(*means, strength=strength)

    settings = {"batch": 64, "lr": 1e-4, "weight_decay": 0.0, **settings}
    source = batches_of(pairs, settings["batch"], settings.get("seed", 0))
    return train(policy, source, steps, loss=objective, weigh=examples, **settings)


def train_kto(
    policy: Any,
    ref: Any,
    answers: Answers,
    good: np.ndarray,
    steps: int,
    beta: float = 0.1,
    **settings: Any,
) -> Run:
    """Learn from answers that are good or bad by themselves (arXiv 2402.01306).

    The divergence that `kto_loss` compares with is that of the batch, and at least 0.

    Args:
        policy, ref, steps, settings: as of `train_preferences`; `batch` counts answers.
        answers: N of them.
        good: (N,) bool.
        beta: as of `kto_loss`.

    Raises:
        InputError: as `check_answers`; another number of labels; as `train`.
    """
    answers, good = check_answers(answers), np.asarray(good, bool)
    if good.shape != (len(answers.ids),):
        raise InputError(f"good has shape {good.shape}; it must have {(len(answers.ids),)}")

    def objective(model: Any, batch: Judged) -> Tensor:
        logp = answer_logp(model, batch.answers)
        apart = max(0.0, float((logp.data - batch.ref).mean()))
        return kto_loss(logp, batch.ref, batch.good, apart, beta)

    settings = {"batch": 64, "lr": 1e-4, "weight_decay": 0.0, **settings}
    data = Judged(answers, good, known_logp(ref, answers).sum(1))
    source = batches_of(data, settings["batch"], settings.get("seed", 0))
    return train(policy, source, steps, loss=objective, **settings)


def label_pairs(first: Answers, second: Answers, chance: np.ndarray, seed: int) -> Pairs:
    """Pairs as a judge labels them; those of two equal answers are left out.

    Args:
        first, second: N answers each, to the same prompts.
        chance: (N,) how likely the judge prefers the first.
        seed: of the judge's choices.

    Raises:
        InputError: as `make_pairs`; no pair is left.
    """
    kept = ~same_answers(first, second)
    if not kept.any():
        raise InputError("all pairs hold the same answer twice; a label needs two different ones")
    wins = (rng(seed, "labels").random(len(kept)) < chance)[kept, None]
    first, second = first.rows(kept), second.rows(kept)
    better = Answers(*(np.where(wins, a, b) for a, b in zip(first, second, strict=True)))
    worse = Answers(*(np.where(wins, b, a) for a, b in zip(first, second, strict=True)))
    return make_pairs(better, worse)


def train_online(
    policy: Any,
    ref: Any,
    reward: Reward,
    prompts: Callable[[np.random.Generator], Sequence[np.ndarray]],
    tokens: int,
    rounds: int,
    end: int | None = None,
    loss: Loss = dpo_loss,
    seed: int = 0,
    **settings: Any,
) -> Run:
    """DPO on answers that the policy itself has just drawn, labelled by a reward (a judge).

    Each round draws two answers for each prompt, prefers the first with probability
    sigmoid(r_1 - r_2), and takes one step.

    Args:
        policy, ref, loss: as of `train_preferences`.
        reward: `Answers` -> (N,) numbers.
        prompts: a generator of random numbers -> the prompts of a round.
        tokens, end: as of `roll_out`.
        rounds: how many.
        seed: of prompts, answers and labels.
        settings: as of `train_rounds`.

    Raises:
        InputError: as `train_rounds`.
    """

    def draw(number: int) -> list[Referred]:
        asked = prompts(rng(seed, "prompts", number))
        drawn = roll_out(policy, asked, tokens, end, seed_of(seed, "answers", number), samples=2)
        rewards = score(reward, drawn)
        first, second = (drawn.rows(slice(i, None, 2)) for i in (0, 1))
        chance = 1 / (1 + np.exp(rewards[1::2] - rewards[::2]))
        try:
            pairs = label_pairs(first, second, chance, seed_of(seed, "labels", number))
        except InputError as error:  # the policy says one thing only
            raise RewardFailed(str(error)) from error
        return [refer(pairs, ref)]

    settings = {"lr": 3e-5, "seed": seed, **settings}
    return train_rounds(policy, draw, rounds, 1, preference_objective(loss), **settings)
