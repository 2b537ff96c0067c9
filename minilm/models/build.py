"""The model of a config, whatever its kind; for those who read the config from a file."""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm.models.config import Config, EncoderDecoderConfig
from minilm.models.encoder_decoder import EncoderDecoder
from minilm.models.transformer import Transformer


def model_of(
    config: Config, seed: int = 0, dtype: Any = np.float32, allocate: bool = True
) -> Transformer | EncoderDecoder:
    """An `EncoderDecoder` for an `EncoderDecoderConfig`, else a `Transformer`.

    Args:
        config: what to build.
        seed, dtype, allocate: as for both classes.

    Raises:
        InputError: another dtype.
    """
    if isinstance(config, EncoderDecoderConfig):
        return EncoderDecoder(config, seed, dtype, allocate)
    return Transformer(config, seed, dtype, allocate)


def count_parameters(config: Config) -> int:
    """How many parameters a model of this config has; nothing is allocated."""
    return model_of(config, allocate=False).num_parameters()
