"""Eight families of 2022 to 2025 as configs: Llama's blocks with the small changes that each made.

Each function returns the config of one size, changed as asked; `minilm.interop` reads and writes
their weights. `family_tree` lists what every preset changed since 2017.
"""

from __future__ import annotations

from typing import Any

from minilm.models.config import Config
from minilm.models.groups import Rope
from minilm.models.presets import _config, _sized, llama


def gpt_neox(size: str = "20b", **changes: Any) -> Config:
    """GPT-NeoX (arXiv 2204.06745), "20b", and Pythia (2304.01373), "pythia-70m" to "pythia-12b".

    Both sub-layers read the same input side by side; a quarter of each head turns.
    """
    sizes = {
        "20b": (50432, 44, 64, 6144),
        "pythia-70m": (50304, 6, 8, 512),
        "pythia-160m": (50304, 12, 12, 768),
        "pythia-410m": (50304, 24, 16, 1024),
        "pythia-1b": (50304, 16, 8, 2048),
        "pythia-1.4b": (50304, 24, 16, 2048),
        "pythia-2.8b": (50304, 32, 32, 2560),
        "pythia-6.9b": (50432, 32, 32, 4096),
        "pythia-12b": (50688, 36, 40, 5120),
    }
    vocab, layers, heads, channels = _sized("gpt_neox", sizes, size)
    fields = {"vocab_size": vocab, "context": 2048, "layers": layers, "heads": heads}
    fields |= {"channels": channels, "activation": "gelu_tanh" if size == "20b" else "gelu"}
    fields |= {"positions": "rope", "rope": Rope(fraction=0.25), "norm_position": "parallel"}
    return _config({**fields, "tie": False}, changes)


def starcoder2(size: str = "3b", **changes: Any) -> Config:
    """StarCoder2 (arXiv 2402.19173), "3b", "7b" or "15b": GPT's blocks, RoPE, groups, a window."""
    sizes = {
        "3b": (30, 24, 2, 3072, 999999.4420358813, True),
        "7b": (32, 36, 4, 4608, 1e6, True),
        "15b": (40, 48, 4, 6144, 1e5, False),
    }
    layers, heads, groups, channels, theta, tie = _sized("starcoder2", sizes, size)
    fields = {"vocab_size": 49152, "context": 16384, "layers": layers, "heads": heads}
    fields |= {"kv_heads": groups, "channels": channels, "activation": "gelu_tanh"}
    fields |= {"positions": "rope", "rope": Rope(theta), "window": 4096, "tie": tie}
    return _config(fields, changes)


def qwen2(size: str = "0.5b", **changes: Any) -> Config:
    """Qwen2 (arXiv 2407.10671), "0.5b", "1.5b", "7b" or "72b": biases on q, k and v only."""
    sizes = {
        "0.5b": (151936, 24, 14, 2, 896, 4864, True),
        "1.5b": (151936, 28, 12, 2, 1536, 8960, True),
        "7b": (152064, 28, 28, 4, 3584, 18944, False),
        "72b": (152064, 80, 64, 8, 8192, 29568, False),
    }
    vocab, layers, heads, groups, channels, ff, tie = _sized("qwen2", sizes, size)
    fields = {"vocab_size": vocab, "context": 131072, "layers": layers, "heads": heads}
    fields |= {"kv_heads": groups, "channels": channels, "ff": ff, "tie": tie, "eps": 1e-6}
    return llama(**{**fields, "rope": Rope(1e6), "attention_bias": "qkv", **changes})


def qwen3(size: str = "0.6b", **changes: Any) -> Config:
    """Qwen3 (arXiv 2505.09388), "0.6b" to "32b": a norm on each head of queries and keys."""
    sizes = {
        "0.6b": (28, 16, 1024, 3072, True),
        "1.7b": (28, 16, 2048, 6144, True),
        "4b": (36, 32, 2560, 9728, True),
        "8b": (36, 32, 4096, 12288, False),
        "14b": (40, 40, 5120, 17408, False),
        "32b": (64, 64, 5120, 25600, False),
    }
    layers, heads, channels, ff, tie = _sized("qwen3", sizes, size)
    fields = {"vocab_size": 151936, "context": 40960, "layers": layers, "heads": heads}
    fields |= {"kv_heads": 8, "head_size": 128, "channels": channels, "ff": ff, "tie": tie}
    return llama(**{**fields, "eps": 1e-6, "rope": Rope(1e6), "qk_norm": "head", **changes})


def olmo2(size: str = "7b", **changes: Any) -> Config:
    """OLMo 2 (arXiv 2501.00656), "1b", "7b" or "13b": norms behind sub-layers, and on q and k."""
    sizes = {"1b": (16, 16, 2048, 8192), "7b": (32, 32, 4096, 11008), "13b": (40, 40, 5120, 13824)}
    layers, heads, channels, ff = _sized("olmo2", sizes, size)
    fields = {"vocab_size": 100352, "context": 4096, "layers": layers, "heads": heads}
    fields |= {"kv_heads": heads, "channels": channels, "ff": ff, "eps": 1e-6, "rope": Rope(5e5)}
    return llama(**{**fields, "norm_position": "inside", "qk_norm": "all", **changes})


def phi3(size: str = "mini", **changes: Any) -> Config:
    """Phi-3 (arXiv 2404.14219), "mini" or "medium", of 4k tokens: a Llama, stored in one piece."""
    sizes = {"mini": (32, 32, 32, 3072, 8192), "medium": (40, 40, 10, 5120, 17920)}
    layers, heads, groups, channels, ff = _sized("phi3", sizes, size)
    fields = {"vocab_size": 32064, "context": 4096, "layers": layers, "heads": heads}
    fields |= {"kv_heads": groups, "channels": channels, "ff": ff, "window": 2047}
    return llama(**{**fields, **changes})


def gemma2(size: str = "2b", **changes: Any) -> Config:
    """Gemma 2 (arXiv 2408.00118), "2b", "9b" or "27b".

    Norms before and behind each sub-layer, caps on scores and logits, every second layer local.
    """
    sizes = {
        "2b": (26, 8, 4, 256, 2304, 9216, 256),
        "9b": (42, 16, 8, 256, 3584, 14336, 256),
        "27b": (46, 32, 16, 128, 4608, 36864, 144),
    }
    layers, heads, groups, size_, channels, ff, scale = _sized("gemma2", sizes, size)
    fields = {"vocab_size": 256000, "context": 8192, "layers": layers, "heads": heads}
    fields |= {"kv_heads": groups, "head_size": size_, "channels": channels, "ff": ff}
    fields |= {"attention_scale": scale**-0.5, "attention_cap": 50.0, "logit_cap": 30.0}
    return _gemma({**fields, "window": 4096, "global_every": 2, "rope": Rope()}, changes)


def gemma3(size: str = "1b", **changes: Any) -> Config:
    """Gemma 3 (arXiv 2503.19786), the text models "270m", "1b", "4b", "12b" and "27b".

    Gemma 2 with norms on queries and keys in place of caps, five local layers to a global one, and
    a base of the rotation for each of the two.
    """
    sizes = {
        "270m": (262144, 32768, 18, 4, 1, 256, 640, 2048, 256, 512),
        "1b": (262144, 32768, 26, 4, 1, 256, 1152, 6912, 256, 512),
        "4b": (262208, 131072, 34, 8, 4, 256, 2560, 10240, 256, 1024),
        "12b": (262208, 131072, 48, 16, 8, 256, 3840, 15360, 256, 1024),
        "27b": (262208, 131072, 62, 32, 16, 128, 5376, 21504, 168, 1024),
    }
    vocab, context, layers, heads, groups, size_, channels, ff, scale, window = _sized(
        "gemma3", sizes, size
    )
    stretched = {"kind": "linear", "factor": 8.0} if context > 32768 else None
    fields = {"vocab_size": vocab, "context": context, "layers": layers, "heads": heads}
    fields |= {"kv_heads": groups, "head_size": size_, "channels": channels, "ff": ff}
    fields |= {"attention_scale": scale**-0.5, "window": window, "global_every": 6}
    fields |= {"rope": Rope(1e6, scaling=stretched, local_theta=1e4), "qk_norm": "head"}
    return _gemma(fields, changes)


def _gemma(fields: dict[str, Any], changes: dict[str, Any]) -> Config:
    channels = changes.get("channels", fields["channels"])
    fields |= {"activation": "geglu_tanh", "norm_position": "both", "eps": 1e-6, "tie": True}
    return llama(**{**fields, "embedding_scale": channels**0.5, **changes})
