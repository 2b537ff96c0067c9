"""How one training step is cut over devices.

Devices are numbered with tensor ranks innermost, then context, data and pipeline ranks (Megatron's
order), so that those who talk most share a node. Experts are spread over data ranks.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from minilm.analysis.cluster.formulas import STAGES
from minilm.analysis.cluster.models import Sizes, sizes_of
from minilm.errors import InputError

# Bytes that a token's channel keeps for the backward in one layer: all; all but the scores of
# attention, which are computed again (FlashAttention does); the layer's input alone.
RECOMPUTE = ("none", "selective", "full")


@dataclass(frozen=True)
class Layout:
    """One way to cut a step.

    Attributes:
        dp: data ranks, each with its share of the batch.
        tp: tensor ranks, among which every layer's matrices are cut.
        pp: pipeline ranks, each with its share of the layers.
        cp: context ranks, each with its share of every text.
        ep: expert ranks; it divides dp.
        stage: of ZeRO, over dp * cp ranks: 0 to 3.
        recompute: one of `RECOMPUTE`.
        micro: texts of a micro-batch.
        pieces: of the model on a pipeline rank; above 1: interleaved.
    """

    dp: int = 1
    tp: int = 1
    pp: int = 1
    cp: int = 1
    ep: int = 1
    stage: int = 1
    recompute: str = "selective"
    micro: int = 1
    pieces: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "recompute":
                if value not in RECOMPUTE:
                    raise InputError(f"recompute is {value!r}; it must be {', '.join(RECOMPUTE)}")
            elif field.name == "stage":
                if value not in STAGES:
                    raise InputError(f"stage is {value}; it must be 0, 1, 2 or 3")
            elif value < 1:
                raise InputError(f"{field.name} is {value}; it must be at least 1")
        if self.dp % self.ep:
            raise InputError(f"ep is {self.ep}; it must divide dp, {self.dp}")

    @property
    def devices(self) -> int:
        """How many it takes."""
        return self.dp * self.tp * self.pp * self.cp

    def __str__(self) -> str:
        parts = [f"{name}{getattr(self, name)}" for name in ("dp", "tp", "pp", "cp", "ep")]
        ones = [part for part in parts[1:] if not part.endswith("p1")]
        pieces = [f"v{self.pieces}"] if self.pieces > 1 else []
        return " ".join([parts[0], *ones, *pieces])


@dataclass(frozen=True)
class Job:
    """What one step must do, whatever the layout.

    Attributes:
        config: of a decoder.
        length: tokens of a text.
        batch: texts of a step, over all devices.
        experts: feed-forward nets of a layer.
        chosen: how many of them a token meets.
    """

    config: Any
    length: int
    batch: int
    experts: int = 1
    chosen: int = 1

    def __post_init__(self) -> None:
        for name in ("length", "batch", "experts", "chosen"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.chosen > self.experts:
            raise InputError(f"chosen is {self.chosen}; there are {self.experts} experts")

    @cached_property
    def sizes(self) -> Sizes:
        """The model's numbers."""
        return sizes_of(self.config, self.experts, self.chosen)

    @property
    def tokens(self) -> int:
        """Of a step."""
        return self.length * self.batch

    def flops(self) -> float:
        """Of a step without anything computed twice: 6 a parameter and token, and attention.

        Scores and mixtures take 4 T C operations a token and layer, half of them behind the causal
        mask; backward takes twice the forward.
        """
        s = self.sizes
        output = s.vocabulary * s.channels
        attention = 2 * self.length * s.heads * s.head  # half of 4 T C
        return 3 * self.tokens * (s.layers * (2 * s.active + attention) + 2 * output)

    def check_layout(self, layout: Layout) -> None:
        """Say why this job cannot be cut so.

        Raises:
            InputError: heads, layers, experts, texts or tokens do not divide.
        """
        s = self.sizes
        parts = layout.dp * layout.micro
        for name, value, given, by in (
            ("heads", s.heads, "tp", layout.tp),
            ("kv_heads", s.kv_heads, "tp", layout.tp),
            ("the feed-forward's width", s.width, "tp", layout.tp),
            ("layers", s.layers, "pp * pieces", layout.pp * layout.pieces),
            ("experts", s.experts, "ep", layout.ep),
            ("batch", self.batch, "dp * micro", parts),
            ("length", self.length, "2 * cp", 2 * layout.cp if layout.cp > 1 else 1),
        ):
            if value % by:
                raise InputError(f"{name} is {value}; it must be a multiple of {given}, {by}")
        if layout.pieces > 1 and (self.batch // parts) % layout.pp:
            raise InputError(
                f"there are {self.batch // parts} micro-batches; interleaving needs a multiple of "
                f"{layout.pp} stages"
            )
