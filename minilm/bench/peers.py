"""PyTorch as the opponent: the same GPT with the same weights, and a check that it is the same."""

from typing import Any

import numpy as np

from minilm.models import Config, Transformer

TWIN = {
    "kind": "decoder",
    "norm": "layer",
    "norm_position": "pre",
    "activation": "gelu_tanh",
    "positions": "learned",
    "bias": True,
    "tie": False,
}


def find_torch() -> Any:
    """The torch module, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    return torch


def gpt(vocab_size: int, context: int, layers: int, heads: int, channels: int) -> Config:
    """The config of a GPT that `twin` can build too."""
    sizes = {"vocab_size": vocab_size, "context": context, "layers": layers, "heads": heads}
    return Config(**sizes, channels=channels, **TWIN)


def twin(model: Transformer) -> Any:
    """A torch module that computes what `model` computes, from a copy of its weights.

    It is written as PyTorch users would write it: `nn.Linear`, `nn.LayerNorm`, the fused
    `scaled_dot_product_attention` and `cross_entropy`. `twin(ids, targets)` is the mean loss.

    Args:
        model: one whose config `gpt` made.
    """
    import torch
    from torch import nn
    from torch.nn import functional as TF

    config = model.config

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(config.channels, 3 * config.channels)
            self.out = nn.Linear(config.channels, config.channels)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            b, t, c = x.shape
            parts = self.qkv(x).split(c, 2)
            q, k, v = (p.view(b, t, config.heads, -1).transpose(1, 2) for p in parts)
            y = TF.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.out(y.transpose(1, 2).contiguous().view(b, t, c))

    class FeedForward(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up = nn.Linear(config.channels, config.F)
            self.down = nn.Linear(config.F, config.channels)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.down(TF.gelu(self.up(x), approximate="tanh"))

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1 = nn.LayerNorm(config.channels, config.eps)
            self.attention = Attention()
            self.norm2 = nn.LayerNorm(config.channels, config.eps)
            self.feed_forward = FeedForward()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x + self.attention(self.norm1(x))
            return x + self.feed_forward(self.norm2(x))

    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(Block() for _ in range(config.layers))
            self.norm = nn.LayerNorm(config.channels, config.eps)

    class Twin(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(config.vocab_size, config.channels)
            self.positions = nn.Embedding(config.context, config.channels)
            self.stack = Stack()
            self.head = nn.Linear(config.channels, config.vocab_size, bias=False)
            if config.tie:
                self.head.weight = self.tokens.weight

        def forward(self, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
            for block in self.stack.blocks:
                x = block(x)
            logits = self.head(self.stack.norm(x))
            return TF.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))

    made = Twin()
    weights = {name: torch.tensor(array) for name, array in model.state_dict().items()}
    if config.tie:
        weights["head.weight"] = weights["tokens.weight"]
    made.load_state_dict(weights)
    return made


def gradient_difference(
    model: Transformer, other: Any, ids: np.ndarray, targets: np.ndarray
) -> float:
    """The largest relative difference of any parameter's gradient, by the norm of each.

    Args:
        model: ours.
        other: its `twin`.
        ids, targets: (B, T) int64.
    """
    import torch

    model.zero_grad()
    model.loss(ids, targets).backward()
    other.zero_grad(set_to_none=True)
    other(torch.from_numpy(ids), torch.from_numpy(targets)).backward()
    theirs = {name: p.grad.numpy() for name, p in other.named_parameters()}
    worst = 0.0
    for name, parameter in model.named_parameters():
        size = float(np.linalg.norm(theirs[name]))
        worst = max(worst, float(np.linalg.norm(parameter.grad - theirs[name])) / size)
    model.zero_grad()
    other.zero_grad(set_to_none=True)
    return worst
