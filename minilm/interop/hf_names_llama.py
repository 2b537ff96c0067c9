"""Where Hugging Face keeps the arrays of the families that grew from Llama, and of GPT-NeoX."""

from __future__ import annotations

import numpy as np

from minilm.interop.hf_entry import Entry, qkv_order, qkv_rows
from minilm.models import Config

MIXTURE = "block_sparse_moe"  # what Mixtral's files call a feed-forward of experts
LIKE_LLAMA = ("llama", "mistral", "mixtral", "starcoder2", "qwen2", "qwen3", "olmo2", "phi3")
LIKE_LLAMA += ("gemma2", "gemma3_text")
_NORMS = {  # by norm_position: our norm -> theirs
    "pre": {"norm1": "input_layernorm", "norm2": "post_attention_layernorm"},
    "inside": {"norm1": "post_attention_layernorm", "norm2": "post_feedforward_layernorm"},
    "both": {
        "norm1": "input_layernorm",
        "after_norm1": "post_attention_layernorm",
        "norm2": "pre_feedforward_layernorm",
        "after_norm2": "post_feedforward_layernorm",
    },
}


def llama_names(config: Config, kind: str) -> dict[str, Entry]:
    """Our parameter name -> where a model of a family like Llama keeps it."""
    plus = 1.0 if kind.startswith("gemma") else 0.0
    entries = {"tokens.weight": Entry(("model.embed_tokens.weight",))}
    for i in range(config.layers):
        ours, theirs = f"stack.blocks.{i}", f"model.layers.{i}"
        for own, name in _NORMS[config.norm_position].items():
            _norm(entries, config, f"{ours}.{own}", f"{theirs}.{name}", plus)
        _attention(entries, config, kind, f"{ours}.attention", f"{theirs}.self_attn")
        if config.qk_norm is not None:
            for part in "qk":
                name = f"{theirs}.self_attn.{part}_norm.weight"
                entries[f"{ours}.attention.{part}_norm.weight"] = Entry((name,), added=plus)
        if config.experts is not None:
            _experts(entries, config, f"{ours}.feed_forward", f"{theirs}.{MIXTURE}")
            continue
        parts = {"gate": "gate_proj", "up": "up_proj", "down": "down_proj"}
        if not config.gated:
            parts = {"up": "c_fc", "down": "c_proj"}
        for part, name in parts.items():
            _map(entries, f"{ours}.feed_forward.{part}", f"{theirs}.mlp.{name}", config.bias)
    _norm(entries, config, "stack.norm", "model.norm", plus)
    if not config.tie:
        entries["head.weight"] = Entry(("lm_head.weight",))
    return entries


def neox_names(config: Config) -> dict[str, Entry]:
    """Our parameter name -> where a GPT-NeoX keeps it."""
    entries = {"tokens.weight": Entry(("gpt_neox.embed_in.weight",))}
    biased = config.bias if config.attention_bias is None else bool(config.attention_bias)
    order = qkv_order(config, by_head=True)
    for i in range(config.layers):
        ours, theirs = f"stack.blocks.{i}", f"gpt_neox.layers.{i}"
        _norm(entries, config, f"{ours}.norm1", f"{theirs}.input_layernorm")
        _norm(entries, config, f"{ours}.norm2", f"{theirs}.post_attention_layernorm")
        packed = f"{theirs}.attention.query_key_value"
        _map(entries, f"{ours}.attention.qkv", packed, biased, order)
        _map(entries, f"{ours}.attention.out", f"{theirs}.attention.dense", biased)
        _map(entries, f"{ours}.feed_forward.up", f"{theirs}.mlp.dense_h_to_4h")
        _map(entries, f"{ours}.feed_forward.down", f"{theirs}.mlp.dense_4h_to_h")
    _norm(entries, config, "stack.norm", "gpt_neox.final_layer_norm")
    if not config.tie:
        entries["head.weight"] = Entry(("embed_out.weight",))
    return entries


def _norm(
    entries: dict[str, Entry], config: Config, ours: str, theirs: str, plus: float = 0.0
) -> None:
    entries[f"{ours}.weight"] = Entry((f"{theirs}.weight",), added=plus)
    if config.norm == "layer":
        entries[f"{ours}.bias"] = Entry((f"{theirs}.bias",))


def _map(
    entries: dict[str, Entry],
    ours: str,
    theirs: str,
    biased: bool = True,
    order: np.ndarray | None = None,
) -> None:
    for what in ("weight", "bias") if biased else ("weight",):
        entries[f"{ours}.{what}"] = Entry((f"{theirs}.{what}",), order=order)


def _attention(
    entries: dict[str, Entry], config: Config, kind: str, ours: str, theirs: str
) -> None:
    biased = config.bias if config.attention_bias is None else config.attention_bias
    order = qkv_order(config)
    if kind == "phi3":
        _map(entries, f"{ours}.qkv", f"{theirs}.qkv_proj", False, order)
    else:
        for what in ("weight", "bias") if biased else ("weight",):
            parts = tuple(f"{theirs}.{part}_proj.{what}" for part in "qkv")
            entries[f"{ours}.qkv.{what}"] = Entry(parts, qkv_rows(config), order=order)
    _map(entries, f"{ours}.out", f"{theirs}.o_proj", biased is True)


def _experts(entries: dict[str, Entry], config: Config, ours: str, theirs: str) -> None:
    entries[f"{ours}.router.weight"] = Entry((f"{theirs}.gate.weight",))
    for part, name in (("gate", "w1"), ("up", "w3"), ("down", "w2")):
        names = tuple(f"{theirs}.experts.{e}.{name}.weight" for e in range(config.experts or 0))
        entries[f"{ours}.{part}.weight"] = Entry(names, stacked=True)
