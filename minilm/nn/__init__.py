"""Layers: a `Module` tree of named `Parameter`s, and the parts that transformers are made of."""

from minilm.nn.attention import Attention, CrossAttention, Sight
from minilm.nn.embedding import Embedding
from minilm.nn.feedforward import GLU, MLP
from minilm.nn.linear import Linear
from minilm.nn.module import (
    Module,
    ModuleList,
    Parameter,
    Sequential,
    manual_seed,
    shapes_only,
)
from minilm.nn.norms import LayerNorm, RMSNorm

__all__ = [
    "GLU",
    "MLP",
    "Attention",
    "CrossAttention",
    "Embedding",
    "LayerNorm",
    "Linear",
    "Module",
    "ModuleList",
    "Parameter",
    "RMSNorm",
    "Sequential",
    "Sight",
    "manual_seed",
    "shapes_only",
]
