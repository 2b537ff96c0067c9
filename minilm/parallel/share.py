"""What one rank keeps of a Transformer under a layout: its layers, its heads, its tokens' part."""

from typing import Any

import numpy as np

from minilm import functional as F
from minilm.errors import InputError
from minilm.models import Transformer
from minilm.models.embed import embed
from minilm.models.turning import turning
from minilm.nn import Module, ModuleList, Parameter, Sight
from minilm.parallel.experts import SplitExperts
from minilm.parallel.layout import Here
from minilm.parallel.moves import copy_to, gather_tokens, scatter_tokens
from minilm.parallel.ring import ContextAttention
from minilm.parallel.tensor import (
    SharedNorm,
    VocabularyEmbedding,
    is_cut,
    plain_name,
    split_cross_entropy,
    split_tensors,
)
from minilm.tensor import Tensor, checkpoint, is_grad_enabled

RECOMPUTE = ("none", "selective", "full")


class Share(Module):
    """A rank's share of a model, in one or more stretches of layers.

    Args:
        here: the rank's place in a layout.
        model: the whole model, which is taken apart.
        recompute: "none" keeps all that backward needs; "selective" computes the attention
            sub-layers again, "full" whole layers.

    Attributes:
        here: the place.
        blocks: this rank's layers, stretch after stretch.
        numbers: which layers of the model they are.

    Raises:
        InputError: another way to recompute.
    """

    def __init__(self, here: Here, model: Transformer, recompute: str = "none") -> None:
        if recompute not in RECOMPUTE:
            raise InputError(f"recompute is {recompute!r}; it must be {', '.join(RECOMPUTE)}")
        layout, self.config = here.layout, model.config
        self.here, self._recompute, self._sequence = here, recompute, layout.sequence
        count = layout.pp * layout.pieces
        stretches = np.array_split(np.arange(model.config.layers), count)
        own = [stretches[piece * layout.pp + here.at.pp] for piece in range(layout.pieces)]
        self.numbers = [int(i) for stretch in own for i in stretch]
        ends = np.cumsum([len(stretch) for stretch in own]).tolist()
        self._stretches = [range(a, b) for a, b in zip([0, *ends], ends)]
        self.first, self.last = here.at.pp == 0, here.at.pp == layout.pp - 1
        routed = [hasattr(block.feed_forward, "router") for block in model.stack.blocks]
        if layout.ep > 1 and not any(routed):
            raise InputError(f"ep is {layout.ep}; the model has no experts to share")
        if layout.tp > 1 and any(routed):
            raise InputError(f"tp is {layout.tp}; a model with experts is cut by ep, and tp is 1")
        if layout.tp > 1:
            split_tensors(here.tp, model, layout.sequence)
        self.blocks = ModuleList(model.stack.blocks[i] for i in self.numbers)
        if layout.cp > 1:
            for block in self.blocks:
                self._cut_text(block)
        if layout.ep > 1:
            self._cut_experts()
        tied = model.config.tie
        if self.first or (self.last and tied):
            tokens = model.tokens
            self.tokens = VocabularyEmbedding(here.tp, tokens) if layout.tp > 1 else tokens
        if self.first:
            if hasattr(model, "positions"):
                self.positions = model.positions
            if hasattr(model, "embedding_norm"):
                self.embedding_norm = model.embedding_norm
            self.drop = model.drop
        if self.last:
            if hasattr(model.stack, "norm"):
                norm = model.stack.norm
                self.norm = SharedNorm(here.tp, norm) if layout.sequence else norm
            if not tied:
                self.head = model.head
                if layout.tp > 1:
                    whole = model.head.weight.data
                    self.head.weight = Parameter(
                        np.ascontiguousarray(np.split(whole, layout.tp)[here.at.tp])
                    )

    def _cut_text(self, block: Module) -> None:
        here, tp = self.here, self.here.layout.tp

        def places(size: int) -> list[np.ndarray]:
            return here.ring_places(size)

        whole = block.attention.inside if tp > 1 else block.attention
        cut = ContextAttention(whole, here.ring, here.ulysses, places)
        if tp > 1:
            block.attention.inside = cut
        else:
            block.attention = cut

    def _cut_experts(self) -> None:
        for block in self.blocks:
            if hasattr(block.feed_forward, "router"):
                block.feed_forward = SplitExperts(self.here.ep, block.feed_forward)

    def experts(self) -> list[Parameter]:
        """Parameters of which each rank of `ep` has other ones."""
        layers = [m for m in self.modules() if isinstance(m, SplitExperts)]
        return [p for layer in layers for each in layer.maps() for p in each.parameters()]

    def is_first(self, piece: int) -> bool:
        """Whether a stretch begins the model."""
        return self.first and piece == 0

    def is_last(self, piece: int) -> bool:
        """Whether a stretch ends the model."""
        return self.last and piece == self.here.layout.pieces - 1

    def forward(self, given: Any, where: np.ndarray, piece: int = 0) -> Tensor:
        """One stretch of layers.

        Args:
            given: ids (B, T) where the model begins, else what the stretch before gave.
            where: (T,) places of the tokens in the text.
            piece: which stretch.

        Returns:
            (B, T, C), or (B, T / tp, C) between layers that are cut by tokens.
        """
        tp = self.here.tp
        x = given
        if self.is_first(piece):
            x, *_ = embed(self, given, 0, positions=where)
            if self._sequence:
                x = scatter_tokens(x, tp)
        sight = self._sight(where, x)
        for i in self._stretches[piece]:
            far = self.config.global_every and self.config.sees_all(self.numbers[i])
            x = self._layer(self.blocks[i], x, sight.far if far else sight)
        if self.is_last(piece):
            x = self.norm(x) if hasattr(self, "norm") else x
            if self._sequence:
                x = gather_tokens(x, tp)
        return x

    def _layer(self, block: Module, x: Tensor, sight: Sight) -> Tensor:
        if not is_grad_enabled() or self._recompute == "none":
            return block(x, sight)
        if self._recompute == "full":
            return checkpoint(block, x, sight)
        again = _Again(block.attention)
        inside, block.attention = block.attention, again
        try:
            return block(x, sight)
        finally:
            block.attention = inside

    def _sight(self, where: np.ndarray, x: Tensor) -> Sight:
        config, time = self.config, len(where)
        window = config.window if time > (config.window or time) else None
        rope = near = None
        if config.positions == "rope":
            rope, near = (turning(config, where, x.dtype, narrow) for narrow in (False, True))
        causal = time > 1 or self.here.cp.size > 1
        far = None if config.global_every is None else Sight(causal=causal, rope=rope)
        return Sight(causal=causal, window=window, rope=near, far=far)

    def loss(self, hidden: Tensor, targets: np.ndarray) -> Tensor:
        """Mean cross-entropy in nats of the tokens of this rank, where the model ends."""
        scale, tp = self.config.logit_scale, self.here.tp
        x = hidden if scale == 1.0 else F.mul(hidden, hidden.dtype.type(scale))
        weight = self.tokens.weight if self.config.tie else self.head.weight
        cap = self.config.logit_cap
        if tp.size == 1 and cap is not None:
            return F.cross_entropy(F.soft_cap(F.linear(x, weight), cap), targets)
        if tp.size == 1:
            return F.linear_cross_entropy(x, weight, targets)
        x = x if self._sequence else copy_to(x, tp)
        rows = F.linear(x, weight).reshape(-1, len(weight))  # (B, T, C) -> (B T, V / P)
        rows = rows if cap is None else F.soft_cap(rows, cap)
        return split_cross_entropy(rows, targets.reshape(-1), tp)

    def whole_names(self) -> dict[str, str]:
        """Parameter of this share -> its name in the whole model."""
        names = {}
        for name, _ in self.named_parameters():
            plain = plain_name(name)
            if plain.startswith("blocks."):
                _, number, rest = plain.split(".", 2)
                plain = f"stack.blocks.{self.numbers[int(number)]}.{rest}"
            elif plain.startswith("norm."):
                plain = f"stack.{plain}"
            names[name] = plain
        return names

    def is_cut(self, whole: str) -> bool:
        """Whether the tensor parallel ranks have shares of a parameter, by its whole name."""
        if self.here.tp.size == 1:
            return False
        return is_cut(whole) or whole in ("tokens.weight", "head.weight")


class _Again(Module):
    """An attention sub-layer that is computed again in backward."""

    def __init__(self, inside: Module) -> None:
        self._held = (inside,)  # in a tuple: its parameters stay where they are

    def forward(self, x: Tensor, sight: Sight, cache: Any = None, layer: int = 0) -> Tensor:
        return checkpoint(self._held[0], x, sight)
