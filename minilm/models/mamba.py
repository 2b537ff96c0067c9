"""Mamba: a language model of selective state spaces and nothing else (arXiv 2312.00752).

Each block is x + mixer(norm(x)); two of them cost about what one block of a transformer does. What
it remembers of a text has one size, however long the text.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from minilm import backend
from minilm.backend import Array
from minilm.models.block import make_norm
from minilm.models.state_model import StateConfig, StateModel
from minilm.nn import Mamba as Mixer
from minilm.nn import Module, States
from minilm.tensor import Tensor


@dataclass(frozen=True)
class MambaConfig(StateConfig):
    """The shape of a `Mamba`.

    vocab_size    V, number of token ids
    context       longest sequence, in tokens; the model itself has no limit
    layers        L, blocks
    channels      C, width of the residual stream
    inner         E, width of the scan; None: 2 C
    states        N, numbers of state of each channel
    conv          K, tokens of the short convolution
    rank          R, width between a token and its delta; None: C / 16, rounded up
    tie           the head uses the token embedding's weight
    eps           of the RMS norms
    init_std      standard deviation of the first embeddings

    Raises:
        InputError: a size that is no whole number of 1 or more.
    """

    kind: ClassVar[str] = "mamba"
    positions: ClassVar[str] = "none"

    vocab_size: int
    context: int
    layers: int
    channels: int
    inner: int | None = None
    states: int = 16
    conv: int = 4
    rank: int | None = None
    tie: bool = True
    eps: float = 1e-5
    init_std: float = 0.02

    def __post_init__(self) -> None:
        sizes = ("vocab_size", "context", "layers", "channels", "states", "conv")
        self.check_counts(*sizes, *(n for n in ("inner", "rank") if getattr(self, n) is not None))

    @property
    def E(self) -> int:
        """Width of the scan."""
        return 2 * self.channels if self.inner is None else self.inner

    @property
    def R(self) -> int:
        """Width between a token and its delta."""
        return -(-self.channels // 16) if self.rank is None else self.rank

    def replace(self, **changes: Any) -> MambaConfig:
        """A copy with some fields changed, checked again."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Every field and the kind, ready for JSON."""
        return {"kind": self.kind, **dataclasses.asdict(self)}


class MambaBlock(Module):
    """x + mixer(norm(x)).

    Args:
        config: sizes.
        dtype: of the parameters.
    """

    def __init__(self, config: MambaConfig, dtype: Any = np.float32) -> None:
        self.norm = make_norm(config, dtype)
        sizes = (config.channels, config.E, config.states, config.conv, config.R)
        self.mixer = Mixer(*sizes, dtype=dtype)

    def empty(self, like: Array, batch: int) -> tuple[Array, Array]:
        """What the block remembers before the first token; see `nn.Mamba`."""
        return self.mixer.empty(like, batch)

    def forward(
        self, x: Tensor, keep: Any = None, states: States | None = None, layer: int = 0
    ) -> Tensor:
        """(B, T, C) -> (B, T, C); the arguments are those of `nn.Mamba`."""
        return x + self.mixer(self.norm(x), keep, states, layer)


class Mamba(StateModel):
    """A Mamba language model.

    Args:
        config: what to build.
        seed: of the first weights.
        dtype: of the parameters, float32 or float64.
        allocate: False builds the shapes only, at any size; count them, or load weights.
    """

    config_class: ClassVar[type] = MambaConfig

    def __init__(
        self, config: MambaConfig, seed: int = 0, dtype: Any = np.float32, allocate: bool = True
    ) -> None:
        super().__init__(config, seed, dtype, allocate)
        if allocate:
            self._start(seed)

    def make_block(self, config: MambaConfig, dtype: Any) -> MambaBlock:
        return MambaBlock(config, dtype)

    def _start(self, seed: int) -> None:
        """First values as in the authors' code, where they are not those of every model here.

        The maps of a mixer have PyTorch's variance, 1 / (3 inputs); those that write to the
        residual stream are divided by the square root of how many there are.
        """
        for i, block in enumerate(self.blocks):
            mixer = block.mixer
            for name in ("in_proj", "x_proj", "out_proj"):
                weight = getattr(mixer, name).weight
                std = (3 * weight.shape[1]) ** -0.5
                std /= self.config.layers**0.5 if name == "out_proj" else 1
                weight.data *= weight.dtype.type(std / self.config.init_std)
            mixer.start(backend.rng(seed, "init", "mixer", i))
