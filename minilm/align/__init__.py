"""From next word to assistant: what is minimised, and the optima that are known exactly.

    sft         supervised fine-tuning: conversations, and the loss on what an assistant said
    answers     prompts with answers, in pairs, and how likely a model finds them
    reward_model    what people prefer, learnt from pairs
    preferences     DPO, IPO, KTO, ORPO; on given pairs or on one's own
    rollouts    answers that are drawn, scored, and learnt from in rounds
    ppo         PPO with a critic, RLOO without
    losses      reward models and preferences: Bradley-Terry, DPO and its kin, PPO
    rewards     advantages along a text
    optimal     what an ideal learner would reach: the tilted policy, best of n
    flows       GFlowNets: matching a reward in place of maximising it
    judging     judges that love length, and the correction
    policy      a model as a sampler of texts that end
    gflownet    texts to learn from, and what they cost: GFlowNets trained by `minilm.train.train`
    replay      the best texts so far, kept apart from each other
    chains      answers through a hidden chain of thought: expectation-maximisation
    arena       ratings from wins: Bradley-Terry with intervals, Elo
    voting      blind votes between models

Losses, optima, flows and ratings work on log-probabilities and rewards alone.
"""

from minilm.align.answers import Answers, Pairs, make_pairs
from minilm.align.arena import Board, Ratings, elo, fit_ratings, leaderboard, wins_of
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
from minilm.align.judging import length_controlled
from minilm.align.losses import (
    bradley_terry_loss,
    dpo_loss,
    ipo_loss,
    kto_loss,
    orpo_loss,
    ppo_loss,
)
from minilm.align.optimal import (
    best_of_n,
    best_of_n_kl,
    divergence_of,
    optimal_at,
    optimal_policy,
    value_of,
)
from minilm.align.policy import Drawn, TextPolicy
from minilm.align.ppo import Policing, train_ppo
from minilm.align.preferences import train_kto, train_online, train_orpo, train_preferences
from minilm.align.replay import Replay
from minilm.align.reward_model import RewardModel, train_reward
from minilm.align.rewards import gae, whiten
from minilm.align.rollouts import RewardFailed, roll_out
from minilm.align.sft import sft, sft_loss

__all__ = [
    "ON_POLICY",
    "Answers",
    "Behaviour",
    "Board",
    "Chains",
    "Drawn",
    "Flow",
    "Pairs",
    "Policing",
    "Ratings",
    "Replay",
    "RewardFailed",
    "RewardModel",
    "TextPolicy",
    "Tried",
    "best_of_n",
    "best_of_n_kl",
    "bradley_terry_loss",
    "divergence_of",
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
    "leaderboard",
    "length_controlled",
    "make_pairs",
    "optimal_at",
    "optimal_policy",
    "orpo_loss",
    "partition_from_root",
    "policy_gradient_loss",
    "ppo_loss",
    "roll_out",
    "sft",
    "sft_loss",
    "soft_objective",
    "subtb_loss",
    "subtb_objective",
    "tb_loss",
    "tb_objective",
    "train_kto",
    "train_online",
    "train_orpo",
    "train_ppo",
    "train_preferences",
    "train_reward",
    "tries",
    "value_of",
    "whiten",
    "wins_of",
]
