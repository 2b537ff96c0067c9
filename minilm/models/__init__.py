"""One config-driven Transformer, its presets, and what goes around it."""

from minilm.models.blank import batch_blanks, blank_out, sample_spans
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
from minilm.models.walk import single_stack, walk_step

__all__ = [
    "Config",
    "Transformer",
    "batch_blanks",
    "bert",
    "blank_out",
    "count_parameters",
    "glm",
    "gpt2",
    "gpt3",
    "llama",
    "mistral",
    "prefix_lm",
    "sample_spans",
    "single_stack",
    "starcoder",
    "walk_step",
    "t5",
    "vaswani",
]
