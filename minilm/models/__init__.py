"""One config-driven Transformer, its presets, and what goes around it."""

from minilm.models.config import Config
from minilm.models.presets import (
    bert,
    glm,
    gpt2,
    gpt3,
    llama,
    mistral,
    prefix_lm,
    starcoder,
    t5,
    vaswani,
)
from minilm.models.transformer import Transformer, count_parameters

__all__ = [
    "Config",
    "Transformer",
    "bert",
    "count_parameters",
    "glm",
    "gpt2",
    "gpt3",
    "llama",
    "mistral",
    "prefix_lm",
    "starcoder",
    "t5",
    "vaswani",
]
