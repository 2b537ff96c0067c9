"""A mixture of experts beside transformers' Mixtral block with the same weights, on PyTorch.

Theirs has two ways to multiply: expert by expert, and PyTorch's grouped product. Both are tried,
and the faster one is the opponent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minilm import Tensor, backend, nn, no_grad
from minilm.bench.peers import find_torch
from minilm.bench.rows import Row, seconds
from minilm.bench.timing import timed_row

EXPERTS, CHOSEN, GOAL = 8, 2, 2.0
# (C, F, tokens): the size of a course's model, and one with Mixtral's 3.5 between its widths
SIZES = ((64, 128, 512), (64, 128, 4096), (256, 896, 512), (256, 896, 4096))
WAYS = ("eager", "grouped_mm")
EQUAL = 1e-3  # of the largest number: what float32 sums in another order may differ by

Functions = dict[str, Callable[[], Any]]


def our_block(channels: int, ff: int) -> nn.Experts:
    """A block with weights that spread the tokens over all experts."""
    block = nn.Experts(channels, ff, EXPERTS, CHOSEN)
    rng = backend.rng(0, "bench", "experts")
    for parameter in block.parameters():
        parameter.data = rng.standard_normal(parameter.shape, np.float32) * channels**-0.5
    return block


def their_block(block: nn.Experts, way: str) -> Any:
    """transformers' MixtralSparseMoeBlock with a copy of our weights; None where there is none.

    Args:
        block: ours.
        way: how it multiplies, "eager" or "grouped_mm".
    """
    torch = find_torch()
    if torch is None:
        return None
    try:
        from transformers import MixtralConfig
        from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock
    except ImportError:
        return None
    count, ff, channels = block.gate.weight.shape
    config = MixtralConfig(
        hidden_size=channels, intermediate_size=ff, num_local_experts=count,
        num_experts_per_tok=block.router.chosen, num_attention_heads=1, num_key_value_heads=1,
    )  # fmt: skip
    config._experts_implementation = way
    other = MixtralSparseMoeBlock(config)
    both = np.concatenate([block.gate.weight.data, block.up.weight.data], axis=1)  # (E, 2 F, C)
    weights = {"gate.weight": block.router.weight.data, "experts.gate_up_proj": both}
    weights["experts.down_proj"] = block.down.weight.data
    other.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
    return other


def our_functions(block: nn.Experts, tokens: int) -> Functions:
    """Forward alone without a tape, and forward and backward; both return what they computed."""
    x, slope = _inputs(block, tokens)
    held = Tensor(x, requires_grad=True)
    block.requires_grad_(True)

    def forward() -> np.ndarray:
        with no_grad():
            return block(held).data

    def both() -> list[np.ndarray]:
        block(held).backward(slope)
        parameters = [held, block.router.weight, block.gate.weight, block.up.weight]
        found = [each.grad for each in (*parameters, block.down.weight)]
        block.zero_grad()
        held.grad = None
        return found

    return {"forward": forward, "forward and backward": both}


def their_functions(other: Any, block: nn.Experts, tokens: int) -> Functions:
    """The same of theirs."""
    import torch

    x, slope = (torch.from_numpy(array)[None] for array in _inputs(block, tokens))
    x.requires_grad_(True)

    def forward() -> np.ndarray:
        with torch.no_grad():
            return other(x)[0].numpy()

    def both() -> list[np.ndarray]:
        other(x).backward(slope)
        gate, up = other.experts.gate_up_proj.grad.chunk(2, 1)
        found = [x.grad[0], other.gate.weight.grad, gate, up, other.experts.down_proj.grad]
        other.zero_grad(set_to_none=True)
        x.grad = None
        return [each.numpy() for each in found]

    return {"forward": forward, "forward and backward": both}


def _inputs(block: nn.Experts, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    rng = backend.rng(1, "bench", "experts")
    shape = (tokens, block.gate.weight.shape[2])
    return rng.standard_normal(shape, np.float32), rng.standard_normal(shape, np.float32)


def difference(ours: Functions, theirs: Functions) -> float:
    """The largest difference of the output and of all gradients, by the largest number of each."""
    pairs = [(ours["forward"](), theirs["forward"]())]
    name = "forward and backward"
    pairs += zip(ours[name](), theirs[name](), strict=True)
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


def expert_rows(rounds: int, quick: bool = False) -> Iterator[Row]:
    """Both functions at every size, on one thread.

    Raises:
        AssertionError: theirs computes something else.
    """
    for channels, ff, tokens in SIZES[:1] if quick else SIZES:
        block = our_block(channels, ff)
        ours, candidates = our_functions(block, tokens), {}
        for way in WAYS:
            other = their_block(block, way)
            if other is not None:
                candidates[way] = their_functions(other, block, tokens)
                apart = difference(ours, candidates[way])
                assert apart < EQUAL, f"{way} differs from ours by {apart:.1e}"
        for name, function in ours.items():
            peers = {way: functions[name] for way, functions in candidates.items()}
            way = _faster(peers)
            yield timed_row(
                f"8 experts, top 2, {channels} x {ff}, {tokens} tokens, {name}", "ms", function,
                peers.get(way), f"transformers, {way}", GOAL, rounds,
            )  # fmt: skip


def _faster(functions: Functions) -> str:
    """The name of the faster function, each called five times; the first where there is none."""
    taken = {name: min(seconds(each) for _ in range(5)) for name, each in functions.items()}
    return min(taken, key=taken.__getitem__, default=WAYS[0])
