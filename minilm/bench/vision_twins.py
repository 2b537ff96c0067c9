"""A language model that sees, as PyTorch users would write it, with a copy of our weights."""

from typing import Any

from minilm.vision.language import VisionLanguage


def vision_twin(model: VisionLanguage) -> Any:
    """A torch module that computes what ours does: `twin(pictures, ids, targets)` is the mean loss.

    Args:
        model: a `ViT`, an `Mlp2x` and a language model of `bench.peers.gpt`; experts or none.
    """
    import torch
    from torch import nn
    from torch.nn import functional as TF

    eye_config, config = model.eye.config, model.config
    c, skipped = config.channels, model.experts is not None

    class Attention(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    class Perceptron(nn.Module):
        def __init__(self, width: int, middle: int, out: int, approximate: str = "tanh") -> None:
            super().__init__()
            self.up, self.down = nn.Linear(width, middle), nn.Linear(middle, out)
            self.approximate = approximate

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.down(TF.gelu(self.up(x), approximate=self.approximate))

    def mix(packed: torch.Tensor, heads: int, causal: bool) -> torch.Tensor:
        b, t, width = packed.shape
        parts = packed.split(width // 3, 2)
        q, k, v = (part.view(b, t, heads, -1).transpose(1, 2) for part in parts)
        mixed = TF.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return mixed.transpose(1, 2).reshape(b, t, width // 3)

    class Expert(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.feed_forward = Attention(c), Perceptron(c, config.F, c)

    class Block(nn.Module):
        def __init__(self, width: int, middle: int, heads: int, causal: bool) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.attention = Attention(width)
            self.feed_forward = Perceptron(width, middle, width)
            self.heads, self.causal = heads, causal

        def forward(self, x: torch.Tensor, expert: Any = None, seen: int = 0) -> torch.Tensor:
            def each(rows: torch.Tensor, text: Any, picture: Any) -> torch.Tensor:
                if expert is None:
                    return text(rows)
                return torch.cat([picture(rows[:, :seen]), text(rows[:, seen:])], 1)

            own, other = self.attention, self.attention if expert is None else expert.attention
            packed = each(self.norm1(x), own.qkv, other.qkv)
            x = x + each(mix(packed, self.heads, self.causal), own.out, other.out)
            feed = self.feed_forward if expert is None else expert.feed_forward
            return x + each(self.norm2(x), self.feed_forward, feed)

    class Stack(nn.Module):
        def __init__(self, layers: int, *block: Any) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(Block(*block) for _ in range(layers))
            self.norm = nn.LayerNorm(block[0])

    class Eye(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width = eye_config.channels
            self.patch = nn.Linear(eye_config.numbers, width)
            self.places = nn.Parameter(torch.zeros(eye_config.tokens, width))
            self.stack = Stack(eye_config.layers, width, 4 * width, eye_config.heads, False)

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            x = TF.pixel_unshuffle(pictures, eye_config.patch).flatten(2).transpose(1, 2)
            x = self.patch(x) + self.places
            for block in self.stack.blocks:
                x = block(x)
            return self.stack.norm(x)

    class Language(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(config.vocab_size, c)
            self.positions = nn.Embedding(config.context, c)
            self.stack = Stack(config.layers, c, config.F, config.heads, True)
            self.head = nn.Linear(c, config.vocab_size, bias=False)

    class Twin(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.language, self.eye = Language(), Eye()
            self.projector = Perceptron(eye_config.channels, c, c, "none")
            self.marks, self.gain = nn.Parameter(torch.zeros(2, c)), nn.Parameter(torch.zeros(1))
            if skipped:
                self.experts = nn.ModuleList(Expert() for _ in range(config.layers))

        def forward(
            self, pictures: torch.Tensor, ids: torch.Tensor, targets: torch.Tensor
        ) -> torch.Tensor:
            tokens = self.projector(self.eye(pictures)) * self.gain
            begin, end = (mark.expand(len(ids), 1, c) for mark in self.marks)
            x = torch.cat([begin, tokens, end, self.language.tokens(ids)], 1)
            x = x + self.language.positions.weight[: x.shape[1]]
            seen = tokens.shape[1] + 2
            for i, block in enumerate(self.language.stack.blocks):
                x = block(x, self.experts[i] if skipped else None, seen)
            logits = self.language.head(self.language.stack.norm(x)[:, seen:])
            return TF.cross_entropy(logits.flatten(0, 1), targets.flatten())

    made = Twin()
    made.load_state_dict({name: torch.tensor(a) for name, a in model.state_dict().items()})
    return made
