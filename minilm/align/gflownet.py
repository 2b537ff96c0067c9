"""Training a sampler to draw texts as often as their reward says, by `minilm.train.train`.

    policy = TextPolicy(model, stop=6, longest=4)
    batches = tries(policy, reward, prompts, batch=64, seed=0)
    train(model, batches, 1200, loss=subtb_objective(policy), lr=1e-2)

`tries` draws texts from the sampler itself, hotter now and then, some of them from a replay buffer,
and asks the reward of every prefix; an objective says what a batch of them costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minilm import backend
from minilm.align.flows import policy_gradient_loss, subtb_loss, tb_loss
from minilm.align.policy import Drawn, TextPolicy, check_drawing
from minilm.align.replay import Replay
from minilm.errors import InputError
from minilm.nn import Parameter
from minilm.tensor import Tensor

Array = np.ndarray
Reward = Callable[[Array, Array, Array], Any]  # prompts, ids, lengths -> (B,) log R
Loss = Callable[[Any, "Tried"], Tensor]


class Tried(NamedTuple):
    """Texts that were tried.

    Attributes:
        prompts: (B, P) ids.
        ids: (B, L), 0 after the end.
        lengths: (B,).
        log_reward: (B, L + 1), of every prefix as a text of its own; behind the end that of the
            whole text.
    """

    prompts: Array
    ids: Array
    lengths: Array
    log_reward: Array

    @property
    def drawn(self) -> Drawn:
        """The texts alone."""
        return Drawn(self.ids, self.lengths)

    @property
    def whole(self) -> Array:
        """(B,) log R of the texts themselves."""
        return np.take_along_axis(self.log_reward, self.lengths[:, None], 1)[:, 0]


@dataclass(frozen=True)
class Behaviour:
    """How the texts to learn from are drawn: a balance holds for any text, not only for q's own.

    Attributes:
        hot: share of the batches drawn at a temperature above 1.
        hottest: theirs is even between 1 and this.
        wander: probability that a token is drawn evenly from all that is allowed.
        shortest: tokens before a text may stop.
        replayed: share of a batch that comes from the replay buffer.

    Raises:
        InputError: a number out of range.
    """

    hot: float = 0.5
    hottest: float = 2.0
    wander: float = 0.0
    shortest: int = 0
    replayed: float = 0.0

    def __post_init__(self) -> None:
        check_drawing(self.hottest, self.wander, 0, 0)
        for name in ("hot", "replayed"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")


ON_POLICY = Behaviour(hot=0.0)


def tries(
    policy: TextPolicy,
    reward: Reward,
    prompts: Array,
    batch: int,
    seed: int,
    behaviour: Behaviour = Behaviour(),
    replay: Replay | None = None,
    cooling: Callable[[int], float] | None = None,
    first: int = 0,
) -> Iterator[Tried]:
    """Batches without end for `train`, each drawn when it is asked for, from q as it then is.

    Args:
        policy: q.
        reward: prompts (N, P), ids (N, L) and lengths (N,) -> (N,) log R of the texts, finite.
        prompts: (K, P) ids; each batch has so many drawn evenly, each as often as the others.
        batch: texts a step.
        seed: of the draws; together with the weights and the step it decides them.
        behaviour: how texts are drawn.
        replay: the buffer, which every text is offered to; keyed by the prompt's ids.
        cooling: step -> temperature of the reward: R^(1 / T) is matched. None: 1.
        first: number of the first step, where a run is resumed.

    Raises:
        InputError: a reward that raises, is not finite or has another shape; no buffer where
            texts are to be replayed.
    """
    prompts = np.asarray(prompts)
    if prompts.ndim != 2 or 0 in prompts.shape:
        raise InputError(f"prompts have shape {prompts.shape}; they must be (K, P), P at least 1")
    if behaviour.replayed and replay is None:
        raise InputError("replay is None; with a share replayed it must be a Replay")
    step = first
    while True:
        rng = backend.rng(seed, "tries", step)
        here = prompts[rng.integers(len(prompts), size=batch)]
        temperature = rng.uniform(1, behaviour.hottest) if rng.random() < behaviour.hot else 1.0
        drawn = policy.draw(here, rng, temperature, behaviour.wander, behaviour.shortest)
        if replay is not None:
            _recall(policy, replay, here, drawn, round(behaviour.replayed * batch), rng)
        found = prefix_rewards(reward, here, drawn) / (1.0 if cooling is None else cooling(step))
        tried = Tried(here, *drawn, found)
        if replay is not None:
            for prompt, ids, n, gain in zip(here, *drawn, tried.whole, strict=True):
                replay.add(tuple(prompt.tolist()), ids[:n].tolist(), float(gain))
        yield tried
        step += 1


def _recall(
    policy: TextPolicy, replay: Replay, prompts: Array, drawn: Drawn, count: int,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Put texts of the buffer in the place of the first rows' own."""
    for row in range(count):
        for text in replay.draw(tuple(prompts[row].tolist()), 1, rng):
            drawn.ids[row] = 0
            drawn.ids[row, : len(text)] = text
            drawn.lengths[row] = len(text)


def prefix_rewards(reward: Reward, prompts: Array, drawn: Drawn) -> Array:
    """log R of every prefix of every text, (B, L + 1); behind a text's end that of the whole.

    Raises:
        InputError: the reward raises, is not finite, or has another shape.
    """
    count, longest = drawn.ids.shape
    upto = np.minimum(np.arange(longest + 1), drawn.lengths[:, None])  # (B, L + 1)
    # (B, L + 1, ...) -> (B (L + 1), ...)
    ids = np.repeat(drawn.ids, longest + 1, 0)
    lengths = upto.reshape(-1)
    ids = np.where(np.arange(longest) < lengths[:, None], ids, 0)
    found = ask(reward, np.repeat(prompts, longest + 1, 0), ids, lengths)
    return found.reshape(count, longest + 1)  # (B (L + 1),) -> (B, L + 1)


def ask(reward: Reward, prompts: Array, ids: Array, lengths: Array) -> Array:
    """The log-rewards of texts, (N,) float64, refused where nothing can be learnt from them.

    Raises:
        InputError: the reward raises, is not finite, or has another shape.
    """
    try:
        found = np.asarray(reward(prompts, ids, lengths), np.float64)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"reward raised {type(error).__name__}: {error}; the model is as it was after the "
            "last step"
        ) from error
    if found.shape != lengths.shape:
        raise InputError(f"reward gave shape {found.shape}; it must give {lengths.shape}")
    bad = np.flatnonzero(~np.isfinite(found))
    if len(bad):
        row = int(bad[0])
        raise InputError(
            f"reward gave {found[row]} for the text {ids[row, : lengths[row]].tolist()}; a "
            "log-reward must be finite (give what is never wanted a low one, such as -20)"
        )
    return found


def subtb_objective(policy: TextPolicy, decay: float = 1.0) -> Loss:
    """Modified subtrajectory balance, for `train`: no Z, all prefixes at once."""

    def loss(model: Any, tried: Tried) -> Tensor:
        steps, ends = policy.log_probabilities(tried.prompts, tried.ids)
        return subtb_loss(tried.log_reward, steps, ends, decay, normed=True, lengths=tried.lengths)

    return loss


def tb_objective(policy: TextPolicy, log_z: Parameter) -> Loss:
    """Trajectory balance, for `train`: of whole texts, with log Z learned beside.

    Args:
        policy: q.
        log_z: (1,), one of the trained model's parameters.
    """

    def loss(model: Any, tried: Tried) -> Tensor:
        log_q = policy.log_q(tried.prompts, tried.drawn)
        return tb_loss(log_z, log_q, tried.whole.astype(log_q.dtype))

    return loss


def soft_objective(policy: TextPolicy, entropy: float = 1.0) -> Loss:
    """REINFORCE on log R with an entropy bonus, for `train`; at 1 its optimum is R / Z.

    It needs texts that q itself has drawn: `behaviour=ON_POLICY`.
    """

    def loss(model: Any, tried: Tried) -> Tensor:
        log_q = policy.log_q(tried.prompts, tried.drawn)
        return policy_gradient_loss(log_q, tried.whole, entropy)

    return loss


def greedy_objective(policy: TextPolicy) -> Loss:
    """REINFORCE on R itself, no entropy, for `train`: its optimum is the best text alone.

    It needs texts that q itself has drawn: `behaviour=ON_POLICY`.
    """

    def loss(model: Any, tried: Tried) -> Tensor:
        log_q = policy.log_q(tried.prompts, tried.drawn)
        best = tried.whole.max()
        return policy_gradient_loss(log_q, np.exp(tried.whole - best), whitened=True)

    return loss
