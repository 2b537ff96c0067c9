"""Published models as configs: each function returns the config of one size, changed as asked.

Rung 4 of this folder's ladder: gpt -> transformer -> encoder_decoder -> presets. The same blocks
with the choices that became GPT, Llama, BERT and T5. `model_of(config)` builds them; no weights
come with them (`minilm.interop` reads those of others).
"""

from __future__ import annotations

from typing import Any

from minilm.errors import InputError
from minilm.models.config import Config, EncoderDecoderConfig
from minilm.models.groups import Rope


def _sized(model: str, sizes: dict[str, tuple], size: str) -> tuple:
    if size not in sizes:
        raise InputError(f"{model} size is {size!r}; it must be one of {', '.join(sizes)}")
    return sizes[size]


def _config(fields: dict[str, Any], changes: dict[str, Any]) -> Config:
    return Config.from_dict({**fields, **changes})


def gpt2(size: str = "small", **changes: Any) -> Config:
    """GPT-2 (Radford et al. 2019): "small", "medium", "large" or "xl"."""
    sizes = {"small": (12, 12, 768), "medium": (24, 16, 1024), "large": (36, 20, 1280)}
    sizes["xl"] = (48, 25, 1600)
    layers, heads, channels = _sized("gpt2", sizes, size)
    fields = {"vocab_size": 50257, "context": 1024, "activation": "gelu_tanh"}
    return _config({**fields, "layers": layers, "heads": heads, "channels": channels}, changes)


def gpt3(**changes: Any) -> Config:
    """GPT-3 175B (arXiv 2005.14165), with dense attention in every layer."""
    fields = {"vocab_size": 50257, "context": 2048, "activation": "gelu_tanh"}
    return _config({**fields, "layers": 96, "heads": 96, "channels": 12288}, changes)


def starcoder(size: str = "15b", **changes: Any) -> Config:
    """StarCoder (arXiv 2305.06161), "15b", and SantaCoder (2301.03988), "santa": multi-query."""
    sizes = {"15b": (49152, 8192, 40, 48, 6144), "santa": (49280, 2048, 24, 16, 2048)}
    vocab, context, layers, heads, channels = _sized("starcoder", sizes, size)
    fields = {"vocab_size": vocab, "context": context, "layers": layers, "heads": heads}
    fields |= {"channels": channels, "kv_heads": 1, "activation": "gelu_tanh"}
    return _config(fields, changes)


def llama(size: str = "7b", **changes: Any) -> Config:
    """Llama (arXiv 2302.13971, 2307.09288, 2407.21783): "7b", "13b", "2-70b" or "3-8b"."""
    sizes = {
        "7b": (32000, 2048, 32, 32, 32, 4096, 11008, 1e4),
        "13b": (32000, 2048, 40, 40, 40, 5120, 13824, 1e4),
        "2-70b": (32000, 4096, 80, 64, 8, 8192, 28672, 1e4),
        "3-8b": (128256, 8192, 32, 32, 8, 4096, 14336, 5e5),
    }
    vocab, context, layers, heads, groups, channels, ff, theta = _sized("llama", sizes, size)
    fields = {"vocab_size": vocab, "context": context, "layers": layers, "heads": heads}
    fields |= {"kv_heads": groups, "channels": channels, "ff": ff, "rope": Rope(theta)}
    fields |= {"norm": "rms", "activation": "swiglu", "positions": "rope"}
    return _config({**fields, "bias": False, "tie": False}, changes)


def mistral(**changes: Any) -> Config:
    """Mistral 7B (arXiv 2310.06825): grouped-query attention, a sliding window of 4096 tokens."""
    fields = {"vocab_size": 32000, "context": 8192, "kv_heads": 8, "ff": 14336, "window": 4096}
    return llama("7b", **{**fields, **changes})


def mixtral(size: str = "8x7b", **changes: Any) -> Config:
    """Mixtral (arXiv 2401.04088), "8x7b" or "8x22b": eight experts, of which a token uses two."""
    sizes = {
        "8x7b": (32000, 32768, 32, 32, 4096, 14336),
        "8x22b": (32000, 65536, 56, 48, 6144, 16384),
    }
    vocab, context, layers, heads, channels, ff = _sized("mixtral", sizes, size)
    fields = {"vocab_size": vocab, "context": context, "layers": layers, "heads": heads}
    fields |= {"channels": channels, "ff": ff, "rope": Rope(1e6), "window": None}
    fields |= {"experts": 8, "experts_per_token": 2}
    return mistral(**{**fields, **changes})


def bert(size: str = "base", **changes: Any) -> Config:
    """BERT (arXiv 1810.04805): "base" or "large"; post-norm encoder, pooler, masked-token head."""
    sizes = {"base": (12, 12, 768), "large": (24, 16, 1024)}
    layers, heads, channels = _sized("bert", sizes, size)
    fields = {"vocab_size": 30522, "context": 512, "layers": layers, "heads": heads}
    fields |= {"channels": channels, "kind": "encoder", "head": "mlm", "pooler": True}
    fields |= {"token_types": 2, "norm_position": "post", "embedding_norm": True, "eps": 1e-12}
    return _config(fields, changes)


def vaswani(size: str = "base", **changes: Any) -> EncoderDecoderConfig:
    """The Transformer of 2017 (arXiv 1706.03762), "base" or "big": post-norm, sinusoids."""
    sizes = {"base": (8, 512, 2048), "big": (16, 1024, 4096)}
    heads, channels, ff = _sized("vaswani", sizes, size)
    channels = changes.get("channels", channels)
    fields = {"vocab_size": 37000, "context": 1024, "layers": 6, "heads": heads, "ff": ff}
    fields |= {"channels": channels, "kind": "encoder-decoder", "norm_position": "post"}
    fields |= {"activation": "relu", "positions": "sinusoidal", "attention_bias": False}
    return _config({**fields, "embedding_scale": channels**0.5}, changes)


def t5(size: str = "small", **changes: Any) -> EncoderDecoderConfig:
    """T5 1.0 (arXiv 1910.10683), "small", "base" or "large": relative positions, plain scores."""
    sizes = {"small": (6, 8, 512, 2048), "base": (12, 12, 768, 3072), "large": (24, 16, 1024, 4096)}
    layers, heads, channels, ff = _sized("t5", sizes, size)
    channels = changes.get("channels", channels)
    fields = {"vocab_size": 32128, "context": 512, "layers": layers, "heads": heads, "ff": ff}
    fields |= {"channels": channels, "kind": "encoder-decoder", "norm": "rms", "eps": 1e-6}
    fields |= {"activation": "relu", "positions": "relative", "bias": False}
    return _config({**fields, "attention_scale": 1.0, "logit_scale": channels**-0.5}, changes)


def prefix_lm(size: str = "small", **changes: Any) -> Config:
    """GPT-2's shape with a bidirectional prefix (arXiv 1910.10683, section 3.2.1)."""
    return gpt2(size, **{"kind": "prefix-lm", **changes})


def glm(size: str = "base", **changes: Any) -> Config:
    """GLM (arXiv 2103.10360), "base" or "large": blank filling, two position numbers a token."""
    sizes = {"base": (12, 12, 768), "large": (24, 16, 1024)}
    layers, heads, channels = _sized("glm", sizes, size)
    fields = {"vocab_size": 30522, "context": 512, "layers": layers, "heads": heads}
    fields |= {"channels": channels, "kind": "glm", "positions": "2d"}
    return _config(fields, changes)
