"""The numbers of a config that every count of costs needs; see `minilm.analysis.accounting`."""

from dataclasses import dataclass
from typing import Any

from minilm.errors import InputError


@dataclass(frozen=True)
class Shape:
    """The numbers that every count needs, read from a config once."""

    c: int  # channels
    h: int  # query heads
    g: int  # key/value heads
    d: int  # head size
    f: int  # feed-forward width
    maps: int  # matrices in one feed-forward: 3 when gated
    stack: int  # layers of the (first) stack
    target: int  # layers of the target's stack, 0 unless encoder-decoder
    experts: int
    chosen: int

    @property
    def attention(self) -> int:
        """Weights of one attention."""
        return 2 * self.c * self.d * (self.h + self.g)


def get(config: Any, name: str, default: Any = None) -> Any:
    """A field of a config, or the default where it has none."""
    return getattr(config, name, default)


def shape_of(
    config: Any, experts: int | None = None, experts_per_token: int | None = None
) -> Shape:
    """Read the numbers from a config; experts and experts_per_token take precedence over it.

    Raises:
        InputError: one of the two without the other, or more experts chosen than there are.
    """
    experts = get(config, "experts") if experts is None else experts
    chosen = get(config, "experts_per_token") if experts_per_token is None else experts_per_token
    if (experts is None) != (chosen is None):
        raise InputError(
            f"experts is {experts} and experts_per_token is {chosen}; both must be given or neither"
        )
    if experts is not None and not 1 <= chosen <= experts:
        raise InputError(
            f"experts_per_token is {chosen}; it must be from 1 to {experts}, the number of experts"
        )
    gated = config.activation in ("swiglu", "geglu", "geglu_tanh")
    width = get(config, "ff") or get(config, "F")
    if not width:
        width = -(-8 * config.channels // (3 * 32)) * 32 if gated else 4 * config.channels
    two = config.kind == "encoder-decoder"
    return Shape(
        c=config.channels,
        h=config.heads,
        g=get(config, "kv_heads") or config.heads,
        d=get(config, "head_size") or config.channels // config.heads,
        f=width,
        maps=3 if gated else 2,
        stack=config.layers,
        target=(get(config, "decoder_layers") or config.layers) if two else 0,
        experts=experts or 1,
        chosen=chosen or 1,
    )
