"""From next word to assistant: what is minimised, and the optima that are known exactly.

    losses      reward models and preferences: Bradley-Terry, DPO and its kin, PPO
    rewards     advantages along a text
    optimal     what an ideal learner would reach: the tilted policy, best of n
    flows       GFlowNets: matching a reward in place of maximising it
    policy      a model as a sampler of texts that end
    gflownet    texts to learn from, and what they cost: GFlowNets trained by `minilm.train.train`
    replay      the best texts so far, kept apart from each other
    chains      answers through a hidden chain of thought: expectation-maximisation
    arena       ratings from wins: Bradley-Terry with intervals, Elo

losses, rewards, optimal, flows and arena work on log-probabilities and rewards alone.
"""

from minilm.align.arena import Ratings, elo, fit_ratings
from minilm.align.chains import Chains, exact_chains, fit_by_em
from minilm.align.flows import (
    Flow,
    flow_of,
    partition_from_root,
    policy_gradient_loss,
    subtb_loss,
    tb_loss,
)
from minilm.align.gflownet import (
    ON_POLICY,
    Behaviour,
    Tried,
    greedy_objective,
    soft_objective,
    subtb_objective,
    tb_objective,
    tries,
)
from minilm.align.losses import (
    bradley_terry_loss,
    dpo_loss,
    ipo_loss,
    kto_loss,
    orpo_loss,
    ppo_loss,
)
from minilm.align.optimal import best_of_n, best_of_n_kl, optimal_policy, value_of
from minilm.align.policy import Drawn, TextPolicy
from minilm.align.replay import Replay
from minilm.align.rewards import gae, whiten

__all__ = [
    "ON_POLICY",
    "Behaviour",
    "Chains",
    "Drawn",
    "Flow",
    "Ratings",
    "Replay",
    "TextPolicy",
    "Tried",
    "best_of_n",
    "best_of_n_kl",
    "bradley_terry_loss",
    "dpo_loss",
    "elo",
    "exact_chains",
    "fit_by_em",
    "fit_ratings",
    "flow_of",
    "gae",
    "greedy_objective",
    "ipo_loss",
    "kto_loss",
    "optimal_policy",
    "orpo_loss",
    "partition_from_root",
    "policy_gradient_loss",
    "ppo_loss",
    "soft_objective",
    "subtb_loss",
    "subtb_objective",
    "tb_loss",
    "tb_objective",
    "tries",
    "value_of",
    "whiten",
]
