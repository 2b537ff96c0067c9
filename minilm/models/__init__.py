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

__all__ = [
    "Config",
    "bert",
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
