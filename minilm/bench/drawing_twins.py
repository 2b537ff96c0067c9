"""The DiT and the U-Net as PyTorch users would write them, with copies of our weights."""

from typing import Any

from minilm.diffusion.conditioning import WAVES
from minilm.diffusion.dit import DiT
from minilm.diffusion.unet import GROUPS, UNet


def _waves(t: Any) -> Any:
    import torch

    rates = 10000 ** (-torch.arange(WAVES // 2, dtype=torch.float64) / (WAVES // 2))
    angles = 1000 * t.double()[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], -1).float()


def _time(width: int) -> Any:
    import torch
    from torch import nn

    class Time(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(WAVES, width), nn.Linear(width, width)

        def forward(self, t: torch.Tensor) -> torch.Tensor:
            return self.second(nn.functional.silu(self.first(_waves(t))))

    return Time()


def _with_weights(made: Any, model: Any) -> Any:
    import torch

    made.load_state_dict({name: torch.tensor(a) for name, a in model.state_dict().items()})
    return made


def ada_parts(c: int, heads: int) -> tuple[Any, Any, Any]:
    """What a DiT is made of, in torch: the map of a condition, a block, and the norm it steers."""
    import torch
    from torch import nn
    from torch.nn import functional as TF

    class Map(nn.Module):
        def __init__(self, count: int) -> None:
            super().__init__()
            self.map, self.count = nn.Linear(c, count * c), count

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return self.map(x)[:, None].chunk(self.count, -1)

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(c, 3 * c), nn.Linear(c, c)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            b, t, _ = x.shape
            parts = self.qkv(x).split(c, 2)
            q, k, v = (p.view(b, t, heads, -1).transpose(1, 2) for p in parts)
            mixed = TF.scaled_dot_product_attention(q, k, v)
            return self.out(mixed.transpose(1, 2).reshape(b, t, c))

    class Perceptron(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Linear(c, 4 * c), nn.Linear(4 * c, c)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.down(TF.gelu(self.up(x), approximate="tanh"))

    def norm(x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return TF.layer_norm(x, (c,)) * (1 + scale) + shift

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.feed_forward = Attention(), Perceptron()
            self.modulation = Map(6)

        def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
            shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(condition)
            x = x + gate1 * self.attention(norm(x, shift1, scale1))
            return x + gate2 * self.feed_forward(norm(x, shift2, scale2))

    return Map, Block, norm


def dit_twin(model: DiT) -> Any:
    """A torch module that computes what an adaLN-Zero DiT does, from a copy of its weights."""
    import torch
    from torch import nn
    from torch.nn import functional as TF

    config, c = model.config, model.config.width
    Map, Block, norm = ada_parts(c, config.heads)  # noqa: N806, classes

    class Twin(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            numbers = config.channels * config.patch**2
            self.patch, self.out = nn.Linear(numbers, c), nn.Linear(c, numbers)
            self.place, self.label = (
                nn.Embedding(config.tokens, c),
                nn.Embedding(config.classes + 1, c),
            )
            self.time, self.last = _time(c), Map(2)
            self.blocks = nn.ModuleList(Block() for _ in range(config.layers))

        def forward(self, x: torch.Tensor, t: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            x = TF.pixel_unshuffle(x, config.patch).flatten(2).transpose(1, 2)
            x = self.patch(x) + self.place.weight
            condition = TF.silu(self.time(t) + self.label(labels))
            for block in self.blocks:
                x = block(x, condition)
            x = self.out(norm(x, *self.last(condition))).transpose(1, 2)
            side = config.side // config.patch
            return TF.pixel_shuffle(x.reshape(len(x), -1, side, side), config.patch)

    return _with_weights(Twin(), model)


def unet_twin(model: UNet) -> Any:
    """A torch module that computes what a U-Net computes, from a copy of its weights."""
    import torch
    from torch import nn
    from torch.nn import functional as TF

    config, told = model.config, 2 * model.config.width
    sizes = [config.width * 2**i for i in range(config.levels)]
    pairs = list(zip(sizes, sizes[1:]))

    class Block(nn.Module):
        def __init__(self, ins: int, outs: int) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.GroupNorm(GROUPS, ins), nn.GroupNorm(GROUPS, outs)
            self.conv1 = nn.Conv2d(ins, outs, 3, padding=1)
            self.conv2 = nn.Conv2d(outs, outs, 3, padding=1)
            self.told = nn.Linear(told, 2 * outs)
            self.skip = nn.Identity() if ins == outs else nn.Conv2d(ins, outs, 1)

        def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
            h = self.norm2(self.conv1(TF.silu(self.norm1(x))))
            shift, scale = self.told(condition)[..., None, None].chunk(2, 1)
            return self.skip(x) + self.conv2(TF.silu(h * (1 + scale) + shift))

    class Twin(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.time, self.label = _time(told), nn.Embedding(config.classes + 1, told)
            self.enter = nn.Conv2d(config.channels, config.width, 3, padding=1)
            self.down = nn.ModuleList(Block(c, c) for c in sizes)
            self.shrink = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairs)
            self.middle = Block(sizes[-1], sizes[-1])
            self.up = nn.ModuleList(Block(2 * c, c) for c in reversed(sizes))
            self.grow = nn.ModuleList(nn.ConvTranspose2d(b, a, 4, 2, 1) for a, b in reversed(pairs))
            self.norm = nn.GroupNorm(GROUPS, config.width)
            self.out = nn.Conv2d(config.width, config.channels, 3, padding=1)

        def forward(self, x: torch.Tensor, t: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            condition = TF.silu(self.time(t) + self.label(labels))
            x, seen = self.enter(x), []
            for level, block in enumerate(self.down):
                x = block(x, condition)
                seen.append(x)
                x = self.shrink[level](x) if level < len(pairs) else x
            x = self.middle(x, condition)
            for level, block in enumerate(self.up):
                x = block(torch.cat([x, seen.pop()], 1), condition)
                x = self.grow[level](x) if level < len(pairs) else x
            return self.out(TF.silu(self.norm(x)))

    return _with_weights(Twin(), model)
