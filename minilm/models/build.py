"""The model of a config, whatever its kind; for those who read the config from a file."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.models.config import Config, EncoderDecoderConfig
from minilm.models.encoder_decoder import EncoderDecoder
from minilm.models.linear_transformer import LinearConfig, LinearTransformer
from minilm.models.mamba import Mamba, MambaConfig
from minilm.models.state_model import StateConfig, StateModel
from minilm.models.transformer import Transformer

_OF_STATE = {MambaConfig: Mamba, LinearConfig: LinearTransformer}


def model_of(
    config: Config | StateConfig, seed: int = 0, dtype: Any = np.float32, allocate: bool = True
) -> Transformer | EncoderDecoder | StateModel:
    """The model that a config describes.

    Args:
        config: a `Config`, an `EncoderDecoderConfig`, a `MambaConfig` or a `LinearConfig`.
        seed, dtype, allocate: as for all classes of models.

    Raises:
        InputError: another dtype.
    """
    if isinstance(config, EncoderDecoderConfig):
        return EncoderDecoder(config, seed, dtype, allocate)
    kind = _OF_STATE.get(type(config), Transformer)
    return kind(config, seed, dtype, allocate)


def config_of(fields: dict[str, Any]) -> Config | StateConfig:
    """The config that some `to_dict` wrote.

    Raises:
        InputError: a field that does not exist, is missing or has a value it cannot have.
    """
    for made in _OF_STATE:
        if fields.get("kind") != made.kind:
            continue
        known = {field.name: field for field in dataclasses.fields(made)}
        given = {name: value for name, value in fields.items() if name != "kind"}
        for name in given.keys() - known.keys():
            raise InputError(f"config has {name!r}; its fields are {', '.join(known)}")
        for name, field in known.items():
            if field.default is dataclasses.MISSING and name not in given:
                raise InputError(f"config lacks the field {name!r}, which has no default")
        return made(**given)
    return Config.from_dict(fields)


def count_parameters(config: Config | StateConfig) -> int:
    """How many parameters a model of this config has; nothing is allocated."""
    return model_of(config, allocate=False).num_parameters()
