"""What models with a state of fixed size cost, counted exactly: parameters, FLOPs, bytes of state.

`costs_of` gives the same three of any model, so that a comparison can be made at equal FLOPs. As in
`accounting`, 2 FLOPs are a multiply-add, forward; lookups, norms, exponentials and activations are
left out. A scan's share is written out below: it is no matrix product, and at small widths it is no
small part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minilm.analysis import accounting
from minilm.analysis.accounting import Flops, Parameters
from minilm.models.linear_transformer import LinearConfig
from minilm.models.mamba import MambaConfig


@dataclass(frozen=True)
class Costs:
    """What one model costs.

    parameters        all of them
    training_flops    of one step per token, backward counted as two forward passes
    state_bytes       of what one sequence leaves behind, float32, after `length` tokens
    """

    parameters: int
    training_flops: float
    state_bytes: int


def costs_of(config: Any, length: int) -> Costs:
    """The costs of any decoder at sequences of this length.

    Args:
        config: a `MambaConfig`, a `LinearConfig` or a `Config`.
        length: tokens of a sequence.
    """
    if isinstance(config, (MambaConfig, LinearConfig)):
        flops = forward_flops(config, length).total
        return Costs(count_parameters(config).total, 3 * flops / length, state_bytes(config))
    return Costs(
        accounting.count_parameters(config).total,
        accounting.training_flops(config, length) / length,
        accounting.kv_cache_bytes(config, length, element=4),
    )


def count_parameters(config: MambaConfig | LinearConfig) -> Parameters:
    """Every trainable number, by part; mixers count as attention."""
    c = config.channels
    if isinstance(config, MambaConfig):
        e, n, r = config.E, config.states, config.R
        maps = 2 * e * c + (r + 2 * n) * e + r * e + c * e  # in, x, dt and out
        mixer = maps + e * config.conv + e + e + e * n + e  # window and bias, bias of dt, A, D
        feed_forward, norms = 0, c * (config.layers + 1)
    else:
        mixer, feed_forward = 4 * c * c, 3 * c * config.F
        norms = c * (2 * config.layers + 1)
    table = config.vocab_size * c
    return Parameters(
        embedding=table,
        positions=config.context * c if config.positions == "learned" else 0,
        attention=mixer * config.layers,
        feed_forward=feed_forward * config.layers,
        router=0,
        norms=norms,
        head=0 if config.tie else table,
        idle=0,
    )


def forward_flops(config: MambaConfig | LinearConfig, length: int, batch: int = 1) -> Flops:
    """FLOPs of one forward pass; `scores` is what the state takes.

    A scan: for each number of state delta A (1), B times delta x (1), the decay and the sum (2), C
    and the sum (2); for each channel delta x (1) and the way past the scan (2). The short
    convolution is 2 K a channel. Linear attention: the state is added to and read, 2 D (D + 1) each
    for a head.
    """
    c, tokens = config.channels, length * batch
    if isinstance(config, MambaConfig):
        e, n, r = config.E, config.states, config.R
        maps = 2 * (2 * e * c + (r + 2 * n) * e + r * e + c * e)
        state = 6 * e * n + 3 * e + 2 * config.conv * e
        feed_forward = 0
    else:
        maps, feed_forward = 8 * c * c, 6 * c * config.F
        state = 4 * config.heads * config.D * (config.D + 1)
    return Flops(
        projections=maps * config.layers * tokens,
        scores=state * config.layers * tokens,
        feed_forward=feed_forward * config.layers * tokens,
        router=0,
        head=2 * c * config.vocab_size * tokens,
    )


def state_bytes(config: MambaConfig | LinearConfig, element: int = 4, batch: int = 1) -> int:
    """Bytes that sequences leave behind, after one token or after a million.

    Args:
        config: the model's.
        element: bytes of a number.
        batch: sequences.
    """
    if isinstance(config, MambaConfig):
        each = config.E * (config.states + config.conv - 1)
    else:
        each = config.heads * config.D * (config.D + 1)
    return each * config.layers * element * batch
