"""Layers: a `Module` tree of named `Parameter`s, and the parts that transformers are made of."""

from minilm.nn.activations import GELU, Identity, SiLU
from minilm.nn.attention import Attention, CrossAttention, Sight
from minilm.nn.convolution import Conv2d, ConvTranspose2d
from minilm.nn.convolution3d import CausalConv3d
from minilm.nn.dropout import Dropout, dropout_seed
from minilm.nn.embedding import Embedding
from minilm.nn.experts import ExpertChoice, Experts, Routing, balance, watch_routing
from minilm.nn.feedforward import GLU, MLP
from minilm.nn.linear import Linear
from minilm.nn.linear_attention import LinearAttention
from minilm.nn.lora import (
    EmbeddingRows,
    LoRALinear,
    adapters,
    add_lora,
    is_adapted,
    merge_lora,
    plain_state,
    train_rows,
    unmerge_lora,
)
from minilm.nn.mamba import CausalConv, Mamba
from minilm.nn.module import (
    Buffer,
    Module,
    ModuleList,
    Parameter,
    Sequential,
    manual_seed,
    shapes_only,
)
from minilm.nn.norms import GroupNorm, LayerNorm, RMSNorm
from minilm.nn.positions import (
    alibi_bias,
    alibi_slopes,
    relative_bucket,
    rope_frequencies,
    rope_relayout,
    rope_table,
    sinusoidal,
    sinusoidal_time,
)
from minilm.nn.quantized import QuantizedLinear, quantize_maps
from minilm.nn.recurrent import LSTM, RNN
from minilm.nn.states import States

__all__ = [
    "GELU",
    "GLU",
    "LSTM",
    "MLP",
    "RNN",
    "Attention",
    "Buffer",
    "CausalConv",
    "CausalConv3d",
    "Conv2d",
    "ConvTranspose2d",
    "CrossAttention",
    "Dropout",
    "Embedding",
    "EmbeddingRows",
    "ExpertChoice",
    "Experts",
    "GroupNorm",
    "Identity",
    "LayerNorm",
    "Linear",
    "LinearAttention",
    "LoRALinear",
    "Mamba",
    "Module",
    "ModuleList",
    "Parameter",
    "QuantizedLinear",
    "RMSNorm",
    "Routing",
    "Sequential",
    "SiLU",
    "Sight",
    "States",
    "adapters",
    "add_lora",
    "alibi_bias",
    "alibi_slopes",
    "balance",
    "dropout_seed",
    "is_adapted",
    "manual_seed",
    "merge_lora",
    "plain_state",
    "quantize_maps",
    "relative_bucket",
    "rope_frequencies",
    "rope_relayout",
    "rope_table",
    "shapes_only",
    "sinusoidal",
    "sinusoidal_time",
    "train_rows",
    "unmerge_lora",
    "watch_routing",
]
