"""The visual expert: weights of their own for the tokens of pictures, in every block.

CogVLM (Wang et al. 2023, arXiv 2311.03079). A language model that is trained to see forgets how to
write. So its weights stay as they are, and beside each block's attention maps and feed-forward
stands a copy that serves picture tokens only and is trained. All tokens still meet in one
attention. A text without a picture never touches a copy: what the model does with it cannot change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.models.block import Block, make_attention, make_feed_forward
from minilm.models.config import Config
from minilm.nn import Attention, Module, ModuleList, Sight, shapes_only
from minilm.tensor import Tensor

Runs = list[tuple[int, int, bool]]  # of tokens of one sort: first, end, whether of a picture


class Expert(Module):
    """One block's second set of weights, of the same shapes; the norms are shared.

    Args:
        config: of the language model.
        dtype: of the parameters.
    """

    def __init__(self, config: Config, dtype: Any = np.float32) -> None:
        self.attention = make_attention(Attention, config, dtype)
        self.feed_forward = make_feed_forward(config, dtype)


class Experts(ModuleList):
    """An `Expert` for every block of a language model.

    Args:
        config: of the language model; pre-norm.
        dtype: of the parameters.

    With `nn.shapes_only` it can be counted at any size: beside Vicuna-7B it has 6,476,005,376
    weights, as many as all of its blocks' matrices.

    Raises:
        InputError: a post-norm model.
    """

    def __init__(self, config: Config, dtype: Any = np.float32) -> None:
        if config.norm_position != "pre":
            raise InputError(
                f"norm_position is {config.norm_position!r}; a visual expert needs 'pre'"
            )
        super().__init__(Expert(config, dtype) for _ in range(config.layers))


def expert_parameters(config: Config) -> int:
    """How many weights a visual expert adds to a model of this config; nothing is allocated."""
    with shapes_only():
        return Experts(config).num_parameters()


def experts_of(language: Any) -> Experts:
    """Experts that start as copies of a language model's blocks: at first nothing changes."""
    made = Experts(language.config, language.tokens.weight.dtype)
    for block, expert in zip(language.blocks, made, strict=True):
        expert.attention.load_state_dict(block.attention.state_dict())
        expert.feed_forward.load_state_dict(block.feed_forward.state_dict())
    return made


def runs_of(of_picture: np.ndarray) -> Runs:
    """Tokens of one sort that stand together: bool (T,) -> [(first, end, of a picture), ...]."""
    edges = np.flatnonzero(np.diff(of_picture)) + 1
    ends = [0, *edges.tolist(), len(of_picture)]
    return [(a, b, bool(of_picture[a])) for a, b in zip(ends, ends[1:])]


def routed(
    x: Tensor,
    runs: Runs,
    of_text: Callable[[Tensor], Tensor],
    of_picture: Callable[[Tensor], Tensor],
) -> Tensor:
    """Each token through the map of its sort: (B, T, I) -> (B, T, O)."""
    if len(runs) == 1:
        return (of_picture if runs[0][2] else of_text)(x)
    parts = [(of_picture if seen else of_text)(x[:, a:b]) for a, b, seen in runs]
    return F.concatenate(parts, axis=1)


def block_with_expert(
    block: Block,
    expert: Expert | None,
    x: Tensor,
    runs: Runs,
    sight: Sight,
    cache: Any = None,
    layer: int = 0,
    watch: list | None = None,
) -> Tensor:
    """`Block.forward` with the picture's tokens on the expert's weights: (B, T, C) -> (B, T, C).

    Args:
        block: of the language model.
        expert: None uses the block's weights for all.
        x, sight, cache, layer: as for the block.
        runs: which tokens are of a picture.
        watch: gets what the last token looks at: (B, H, T) float32, rows that sum to 1.
    """
    own = block.attention
    other = own if expert is None else expert.attention
    packed = routed(block.norm1(x), runs, own.qkv, other.qkv)  # (B, T, (H + 2 G) D)
    if watch is not None:
        watch.append(_last_looks(own, packed, sight))
    mixed = own.mix(packed, sight, cache, layer)  # (B, T, H D)
    x = x + block.drop1(routed(mixed, runs, own.out, other.out))  # (B, T, C)
    between = getattr(block, "between", None)  # a narrow branch, which serves all tokens
    x = x if between is None else between(x)
    feed = block.feed_forward if expert is None else expert.feed_forward
    return x + block.drop2(routed(block.norm2(x), runs, block.feed_forward, feed))  # (B, T, C)


def _last_looks(attention: Attention, packed: Tensor, sight: Sight) -> np.ndarray:
    """Attention of the last query over all keys: (B, H, T)."""
    q, k, _ = attention.unpack(packed, sight.rope)  # (B, H, T, D), (B, G, T, D)
    q, k = q.numpy()[:, :, -1], k.numpy()
    k = np.repeat(k, attention.heads // attention.kv_heads, axis=1)  # (B, H, T, D)
    scale = attention.head_size**-0.5 if attention.scale is None else attention.scale
    scores = np.einsum("bhd,bhtd->bht", q, k) * np.float32(scale)
    if sight.bias is not None:
        scores = scores + np.asarray(getattr(sight.bias, "data", sight.bias))[..., -1, :]
    if sight.window is not None:
        scores[..., : -sight.window] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)
