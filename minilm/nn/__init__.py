"""Layers: a `Module` tree of named `Parameter`s, and the parts that transformers are made of."""

from minilm.nn.attention import Attention, CrossAttention, Sight
from minilm.nn.dropout import Dropout, dropout_seed
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
from minilm.nn.positions import (
    alibi_bias,
    alibi_slopes,
    relative_bucket,
    rope_frequencies,
    rope_relayout,
    rope_table,
    sinusoidal,
)
from minilm.nn.recurrent import LSTM, RNN

__all__ = [
    "GLU",
    "LSTM",
    "MLP",
    "RNN",
    "Attention",
    "CrossAttention",
    "Dropout",
    "Embedding",
    "LayerNorm",
    "Linear",
    "Module",
    "ModuleList",
    "Parameter",
    "RMSNorm",
    "Sequential",
    "Sight",
    "alibi_bias",
    "alibi_slopes",
    "dropout_seed",
    "manual_seed",
    "relative_bucket",
    "rope_frequencies",
    "rope_relayout",
    "rope_table",
    "shapes_only",
    "sinusoidal",
]
