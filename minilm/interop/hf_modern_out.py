"""A `Config` to config.json of the families of 2022 to 2025; `hf_modern` is the way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minilm.interop.hf_fields import scaling_to_hf, theirs
from minilm.interop.hf_modern import Fields, types_of
from minilm.models import Config, Rope


def _written(c: Config, act: str = "hidden_act", eps: str = "rms_norm_eps") -> Fields:
    """The fields that all of these families name alike."""
    rope = c.rope or Rope()
    scaling = scaling_to_hf(rope.scaling)
    return {
        "vocab_size": c.vocab_size,
        "max_position_embeddings": c.context,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.G,
        "head_dim": c.D,
        "hidden_size": c.channels,
        "intermediate_size": c.F,
        act: theirs(c.activation),
        eps: c.eps,
        "tie_word_embeddings": c.tie,
        "rope_theta": rope.theta,
        **({"rope_scaling": scaling} if scaling else {}),
        # These families' own ids may lie outside another vocabulary.
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def _attention_bias(c: Config) -> Any:
    return c.bias if c.attention_bias is None else c.attention_bias


def _to_gpt_neox(c: Config) -> Fields:
    parallel = c.norm_position == "parallel"
    fields = _written(c, eps="layer_norm_eps")
    rope = c.rope or Rope()
    fields |= {"rotary_pct": rope.fraction, "rotary_emb_base": rope.theta}
    fields |= {"use_parallel_residual": parallel, "attention_bias": _attention_bias(c)}
    return {name: value for name, value in fields.items() if name not in _NOT_NEOX}


_NOT_NEOX = ("head_dim", "num_key_value_heads", "rope_theta")


def _to_starcoder2(c: Config) -> Fields:
    return {**_written(c, eps="norm_epsilon"), "use_bias": c.bias, "sliding_window": c.window}


def _to_qwen2(c: Config) -> Fields:
    every = c.global_every or c.layers + 1
    used = c.window is not None
    types = types_of(c.layers, every) if used else ["full_attention"] * c.layers
    sight = {"use_sliding_window": used, "sliding_window": c.window, "layer_types": types}
    return {**_written(c), **sight, "max_window_layers": 0 if used else c.layers}


def _to_qwen3(c: Config) -> Fields:
    return {**_to_qwen2(c), "attention_bias": _attention_bias(c)}


def _to_olmo2(c: Config) -> Fields:
    return {**_written(c), "attention_bias": _attention_bias(c)}


def _to_phi3(c: Config) -> Fields:
    part = 1.0 if c.rope is None else c.rope.fraction
    return {**_written(c), "sliding_window": c.window, "partial_rotary_factor": part}


def _to_gemma2(c: Config) -> Fields:
    scale = c.D**-0.5 if c.attention_scale is None else c.attention_scale
    scalar = round(scale**-2, 6)
    types = ["full_attention"] * c.layers
    if c.window is not None:
        types = types_of(c.layers, c.global_every or c.layers + 1)
    return {
        **_written(c, act="hidden_activation"),
        "attention_bias": _attention_bias(c),
        "query_pre_attn_scalar": int(scalar) if scalar == int(scalar) else scalar,
        "attn_logit_softcapping": c.attention_cap,
        "final_logit_softcapping": c.logit_cap,
        "sliding_window": c.window,
        "layer_types": types,
    }


def _to_gemma3(c: Config) -> Fields:
    rope = c.rope or Rope()
    fields = {**_to_gemma2(c), "rope_local_base_freq": rope.local_theta or rope.theta}
    return {**fields, "sliding_window_pattern": c.global_every or 6}


WRITERS: dict[str, Callable[[Config], Fields]] = {
    "gpt_neox": _to_gpt_neox,
    "starcoder2": _to_starcoder2,
    "qwen2": _to_qwen2,
    "qwen3": _to_qwen3,
    "olmo2": _to_olmo2,
    "phi3": _to_phi3,
    "gemma2": _to_gemma2,
    "gemma3_text": _to_gemma3,
}
