"""A transformer of a wanted size, and what a planner has to know of one."""

import math
from dataclasses import dataclass
from typing import Any

from minilm.analysis.accounting import count_parameters
from minilm.analysis.shape import shape_of
from minilm.errors import InputError
from minilm.models import Config

SMALLEST, LARGEST = 1e7, 1e14
HEAD = 128  # channels of a head
WIDTH_TO_DEPTH = 100  # channels for each layer: 8192 and 80 in Llama 65B
WIDENING = 8 / 3  # of a gated feed-forward net
VOCABULARY = 32000


def transformer_of(
    parameters: float, context: int = 4096, vocabulary: int = VOCABULARY, experts: int = 1
) -> Config:
    """A Llama-shaped decoder of about this many parameters.

    Heads have 128 channels, layers come in multiples of 8 (of 4 below 24), and there are about 100
    channels for each layer; the width of the feed-forward net makes the number right.

    Args:
        parameters: how many, 1e7 to 1e14; the answer is within 2 %.
        context: tokens of a text.
        vocabulary: tokens it knows.
        experts: feed-forward nets of a layer; all of them count.

    Raises:
        InputError: the number is out of range, or too small for the vocabulary.
    """
    if not SMALLEST <= parameters <= LARGEST:
        raise InputError(
            f"parameters is {parameters:g}; it must lie between {SMALLEST:g} and {LARGEST:g}"
        )
    found: list[tuple[float, int, int, int]] = []
    for layers in [*range(4, 24, 4), *range(24, 400, 8)]:
        step = HEAD if layers < 24 else 4 * HEAD if layers < 80 else 8 * HEAD
        near = WIDTH_TO_DEPTH * layers
        for channels in {max(1, round(near * f / step)) * step for f in (0.6, 0.8, 1, 1.25, 1.6)}:
            left = parameters - 2 * vocabulary * channels - 4 * layers * channels**2
            width = round(left / (3 * layers * channels * experts) / HEAD) * HEAD
            if width >= HEAD:
                shape = abs(math.log(channels / near)) + abs(math.log(width / channels / WIDENING))
                found.append((shape, layers, channels, width))
    if not found:
        raise InputError(
            f"parameters is {parameters:g}; a vocabulary of {vocabulary:,} leaves none for layers"
        )
    _, layers, channels, width = min(found)
    return Config(
        vocab_size=vocabulary,
        context=context,
        layers=layers,
        heads=channels // HEAD,
        channels=channels,
        ff=width,
        activation="swiglu",
        norm="rms",
        positions="rope",
        bias=False,
        tie=False,
    )


@dataclass(frozen=True)
class Sizes:
    """Parameters of one layer and of both ends, and the widths that traffic depends on."""

    layers: int
    channels: int
    heads: int
    kv_heads: int
    head: int  # channels of a head
    width: int  # of the feed-forward net
    maps: int  # matrices of it
    vocabulary: int
    experts: int
    chosen: int
    total: int
    attention: int  # with norms and router: what tensor parallelism cuts and experts do not
    expert: int  # one of them; the whole feed-forward net where there is one
    ends: int  # embedding, last norm and output together

    @property
    def active(self) -> float:
        """Parameters of a layer that one token meets."""
        return self.attention + self.chosen * self.expert


def sizes_of(config: Any, experts: int = 1, chosen: int = 1) -> Sizes:
    """Read them from a decoder's config."""
    s = shape_of(config, *((experts, chosen) if experts > 1 else (None, None)))
    if s.target:
        raise InputError("config has two stacks; a plan needs a decoder")
    expert = s.maps * s.c * s.f
    count = count_parameters(config, *((experts, chosen) if experts > 1 else (None, None)))
    ends = count.embedding + count.positions + count.head
    attention = (count.total - ends) // s.stack - s.experts * expert
    ends = count.total - s.stack * (attention + s.experts * expert)  # with the last norm
    return Sizes(
        s.stack, s.c, s.h, s.g, s.d, s.f, s.maps, config.vocab_size, s.experts, s.chosen,
        count.total, attention, expert, ends,
    )  # fmt: skip
