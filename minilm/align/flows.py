"""GFlowNets over texts: draw each text as often as its reward says, not only the best.

A text grows token by token and may end after any of them, so every prefix is an answer with a
reward of its own, R(s). With the flow F(s) = R(s) + sum over children F(sa), the policy that ends
with probability R(s) / F(s) and goes on to sa with F(sa) / F(s) draws texts in proportion to R, and
the root's flow is Z, the sum of all rewards (Hu et al. 2023, arXiv 2310.04363; Malkin et al. 2022,
arXiv 2201.13259).
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.tensor import Tensor


def tb_loss(log_z: Any, steps: Tensor, log_reward: Any) -> Tensor:
    """(log Z + log q(text) - log R(text))^2, mean over texts: trajectory balance.

    Args:
        log_z: a number, learned.
        steps: (N,) log-probability of each text with its end.
        log_reward: (N,).
    """
    return ((log_z + steps - log_reward) ** 2).mean()


def subtb_loss(
    log_reward: Any,
    steps: Tensor,
    ends: Tensor,
    decay: float = 1.0,
    normed: bool = False,
    lengths: Any = None,
) -> Tensor:
    """Subtrajectory balance without Z, for texts of up to n tokens (arXiv 2310.04363, eq. 3).

    For every i < j the flow at prefix i, carried on to prefix j, must be the flow there, where the
    flow of a prefix is R / q(end):

        (log R_i + sum of steps i+1 .. j + ends_j - log R_j - ends_i)^2, weighted decay^(j - i - 1)

    Args:
        log_reward: (n + 1,) or (B, n + 1), of every prefix, the empty one first.
        steps: (n,) or (B, n), log-probability of each token.
        ends: (n + 1,) or (B, n + 1), log-probability of ending at each prefix.
        decay: lambda.
        normed: divided by the sum of the weights; otherwise the sum of a text, and its mean over
            texts.
        lengths: (B,) tokens of each text; what lies behind them does not count. None: all n.

    Raises:
        InputError: shapes that do not fit, or a reward that is nan or infinite.
    """
    log_reward = np.asarray(getattr(log_reward, "data", log_reward), np.float64)
    *rows, n = steps.shape
    if log_reward.shape != (*rows, n + 1) or ends.shape != (*rows, n + 1):
        raise InputError(
            f"log_reward has shape {log_reward.shape} and ends {ends.shape}; with steps of shape "
            f"{steps.shape} both must have {(*rows, n + 1)}"
        )
    if not np.isfinite(log_reward).all():
        raise InputError("a log-reward is nan or infinite; every prefix needs a reward above 0")
    if len(rows) > 1:
        raise InputError(f"steps has shape {steps.shape}; it must be (n,) or (B, n)")
    # The balance of one token; a longer stretch is the sum of its tokens'.
    rewarded = (log_reward[..., :-1] - log_reward[..., 1:]).astype(steps.dtype)
    each = steps + ends[..., 1:] - ends[..., :-1] + rewarded
    start = Tensor(np.zeros((*rows, 1), each.dtype))
    total = F.concatenate([start, F.cumsum(each, axis=-1)], axis=-1)  # (..., n + 1)
    apart = F.expand_dims(total, -2) - F.expand_dims(total, -1)  # (..., i, j): from i to j
    i, j = np.indices((n + 1, n + 1))
    weight = np.where(j > i, float(decay) ** np.maximum(j - i - 1, 0), 0.0)
    if lengths is not None:
        weight = weight * (j <= np.asarray(lengths)[..., None, None])
    loss = (weight.astype(steps.dtype) * apart**2).sum()
    if normed:
        return loss / max(float(np.broadcast_to(weight, apart.shape).sum()), 1.0)
    return loss / (rows[0] if rows else 1)


def policy_gradient_loss(
    log_q: Tensor, reward: Any, entropy: float = 0.0, whitened: bool = False
) -> Tensor:
    """REINFORCE: -log q(text) (reward - entropy log q(text) - their mean), mean over texts.

    It climbs E[reward] + `entropy` H(q). With the *log* of R as the reward and an entropy weight of
    1 the best q is R / Z, what a flow has as well; with weight a it is R^(1/a) / Z_a, and towards 0
    the single best text. With R itself and no entropy it is the best text, too (Williams 1992;
    Levine 2018, arXiv 1805.00909).

    Args:
        log_q: (N,) of texts drawn from q.
        reward: (N,).
        entropy: weight of the entropy, at least 0.
        whitened: advantages are divided by their standard deviation.

    Raises:
        InputError: shapes that differ, a reward that is not finite, or an entropy below 0.
    """
    reward = np.asarray(reward, np.float64)
    if reward.shape != log_q.shape:
        raise InputError(f"reward has shape {reward.shape}; it must have {log_q.shape}")
    if not np.isfinite(reward).all():
        raise InputError("a reward is nan or infinite; rewards must be finite")
    if not entropy >= 0:
        raise InputError(f"entropy is {entropy}; it must be at least 0")
    gain = reward - entropy * log_q.data
    gain = gain - gain.mean()
    if whitened:
        gain = gain / (gain.std() + 1e-6)
    return -(log_q * gain.astype(log_q.dtype)).mean()


def partition_from_root(log_reward: float, log_end: float) -> float:
    """log Z read off the root: log R(empty) - log q(stop | empty), no list needed."""
    return float(log_reward) - float(log_end)


class Flow(NamedTuple):
    """The exact solution on a tree that can be listed.

    Attributes:
        log_flow: prefix -> log F.
        log_end: prefix -> log-probability of ending there.
        log_step: prefix -> log-probability of its last token, given the prefix before.
        log_z: log of the sum of all rewards, the root's flow.
    """

    log_flow: dict[Hashable, float]
    log_end: dict[Hashable, float]
    log_step: dict[Hashable, float]
    log_z: float


def flow_of(log_reward: Mapping[tuple, float]) -> Flow:
    """The policy whose texts come in proportion to their rewards.

    Args:
        log_reward: tuple of tokens -> log R, for every prefix, the empty tuple among them.

    Raises:
        InputError: a text is there whose prefix is not.
    """
    parts: dict[tuple, list[float]] = {text: [r] for text, r in log_reward.items()}
    if () not in parts:
        raise InputError("the empty text is missing; every prefix of a text must have a reward")
    flow: dict[Hashable, float] = {}
    for text in sorted(parts, key=len, reverse=True):  # children before parents
        flow[text] = float(np.logaddexp.reduce(parts[text]))
        if text:
            if text[:-1] not in parts:
                raise InputError(f"text {text[:-1]} is missing; it is a prefix of {text}")
            parts[text[:-1]].append(flow[text])
    ends = {text: log_reward[text] - flow[text] for text in parts}
    steps = {text: flow[text] - flow[text[:-1]] for text in parts if text}
    return Flow(flow, ends, steps, flow[()])


def log_probabilities(flow: Flow, texts: Sequence[tuple]) -> np.ndarray:
    """log-probability of each text, its end included, under a flow's policy; (N,) float64."""
    return np.array(
        [
            sum(flow.log_step[text[: i + 1]] for i in range(len(text))) + flow.log_end[text]
            for text in texts
        ]
    )
