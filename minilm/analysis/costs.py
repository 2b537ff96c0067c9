"""Costs in closed form: the walk to decoder-only, chats with and without a cache, experts.

Sources: Hyung Won Chung, CS25 V4 (54:36-56:57 the walk, 64:14-65:37 the chat); Mixtral of
Experts, arXiv 2401.04088; DeepSeek-V2, arXiv 2405.04434.
"""

from math import comb
from typing import NamedTuple

from minilm.errors import InputError


def walk_parameters(layers: int, channels: int, step: int) -> int:
    """Weights inside the layers (no biases, ff = 4 C) after a step of the walk.

    Args:
        layers: L of each stack.
        channels: C.
        step: 0 full encoder-decoder, 28 L C^2; 1 cross-attention shares the self-attention's
            weights, 24; 2 encoder and decoder share theirs, 12; 3 each target layer reads the
            same source layer, 12; 4 the source is causal, 12.

    Raises:
        InputError: another step.
    """
    if step not in range(5):
        raise InputError(f"step is {step}; it must be 0, 1, 2, 3 or 4")
    return (28, 24, 12, 12, 12)[step] * layers * channels**2


class ChatCost(NamedTuple):
    """What the model computes over a whole chat."""

    tokens: int  # token forwards
    pairs: int  # (query, key) pairs of one attention layer


def chat_cost(turns: int, user: int, answer: int, mode: str) -> ChatCost:
    """Work of a chat with a cache (causal) or with the history encoded again (bidirectional).

    A causal model computes each token once. A bidirectional input changes with every new
    message, so each turn encodes the whole history again, then generates its answer causally.
    The ratio of token forwards is exactly (turns + 1) / 2.

    Args:
        turns: question-and-answer rounds.
        user, answer: new tokens of each per turn.
        mode: "causal" or "bidirectional".

    Raises:
        InputError: a number out of range, or another mode.
    """
    if turns < 1 or user < 0 or answer < 0:
        raise InputError(
            f"turns is {turns}, user {user}, answer {answer}; they must be at least 1, 0 and 0"
        )
    new = user + answer
    if mode == "causal":
        n = turns * new
        return ChatCost(n, n * (n + 1) // 2)
    if mode != "bidirectional":
        raise InputError(f"mode is {mode!r}; allowed are 'causal' and 'bidirectional'")
    pairs = 0
    for turn in range(turns):
        read = turn * new + user
        pairs += read * read + answer * read + answer * (answer + 1) // 2
    return ChatCost(new * turns * (turns + 1) // 2, pairs)


def score_crossover(channels: int) -> int:
    """The sequence length at which attention scores cost as much as a layer's matrices: 6 C.

    2 n^2 C multiply-adds of scores against 12 n C^2 of projections and feed-forward.
    """
    return 6 * channels


def latent_kv_bytes(latent: int, rope: int, layers: int, element: int = 2) -> int:
    """KV bytes per token of multi-head latent attention: a latent and a rotary key per layer."""
    return (latent + rope) * layers * element


def same_first_expert(experts: int) -> float:
    """The chance that two independent uniform routers name the same first expert."""
    return 1 / experts


def shared_expert(experts: int, chosen: int) -> float:
    """The chance that two independent uniform choices of `chosen` experts have one in common.

    Raises:
        InputError: more experts chosen than there are, or none.
    """
    if not 1 <= chosen <= experts:
        raise InputError(f"chosen is {chosen}; it must be from 1 to {experts}")
    return 1 - comb(experts - chosen, chosen) / comb(experts, chosen)


def distinct_experts(experts: int, chosen: int, tokens: int) -> float:
    """The expected number of experts that a batch of tokens touches under uniform routing.

    Raises:
        InputError: more experts chosen than there are, or none, or a negative number of tokens.
    """
    if not 1 <= chosen <= experts:
        raise InputError(f"chosen is {chosen}; it must be from 1 to {experts}")
    if tokens < 0:
        raise InputError(f"tokens is {tokens}; it must be 0 or more")
    return experts * (1 - (1 - chosen / experts) ** tokens)
