"""From next word to assistant: what is minimised, and the optima that are known exactly.

    sft         supervised fine-tuning: conversations, and the loss on what an assistant said
    losses      reward models and preferences: Bradley-Terry, DPO and its kin, PPO
    rewards     advantages along a text
    optimal     what an ideal learner would reach: the tilted policy, best of n
    flows       GFlowNets: matching a reward in place of maximising it
    arena       ratings from wins: Bradley-Terry with intervals, Elo

Losses, optima and ratings work on log-probabilities and rewards alone.
"""

from minilm.align.arena import Ratings, elo, fit_ratings
from minilm.align.flows import Flow, flow_of, subtb_loss, tb_loss
from minilm.align.losses import (
    bradley_terry_loss,
    dpo_loss,
    ipo_loss,
    kto_loss,
    orpo_loss,
    ppo_loss,
)
from minilm.align.optimal import best_of_n, best_of_n_kl, optimal_policy, value_of
from minilm.align.rewards import gae, whiten
from minilm.align.sft import sft, sft_loss

__all__ = [
    "Flow",
    "Ratings",
    "best_of_n",
    "best_of_n_kl",
    "bradley_terry_loss",
    "dpo_loss",
    "elo",
    "fit_ratings",
    "flow_of",
    "gae",
    "ipo_loss",
    "kto_loss",
    "optimal_policy",
    "orpo_loss",
    "ppo_loss",
    "sft",
    "sft_loss",
    "subtb_loss",
    "tb_loss",
    "value_of",
    "whiten",
]
