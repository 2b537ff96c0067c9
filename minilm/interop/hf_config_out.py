"""A `Config` to Hugging Face's config.json, where one of their architectures has all its fields."""

from __future__ import annotations

from typing import Any

from minilm.errors import InputError
from minilm.interop.hf_config import (
    ACTIVATIONS,
    ARCHITECTURES,
    ROPE_FIELDS,
    ROPE_KINDS,
    config_from_hf,
)
from minilm.models import Config, EncoderDecoderConfig, Relative, Rope


def architecture_of(config: Config) -> str:
    """Which of Hugging Face's architectures has this Config: "gpt2", "gpt_bigcode", "llama", ...

    Raises:
        InputError: none of them has it.
    """
    for name, write in (
        ("gpt2", _to_gpt2),
        ("gpt_bigcode", _to_gpt_bigcode),
        ("llama", _to_llama),
        ("mixtral", _to_mixtral),
        ("bert", _to_bert),
        ("t5", _to_t5),
    ):
        if (name == "t5") != isinstance(config, EncoderDecoderConfig):
            continue
        try:
            back = config_from_hf({**write(config), "model_type": name})
        except InputError:
            continue
        # Not part of the map: where dropout and the first weights are random; a window, which
        # makes a Llama a Mistral.
        same = {"dropout": config.dropout, "init_std": config.init_std}
        same["window"] = config.window if name in ("llama", "mixtral") else None
        if _resolved(back.replace(**same)) == _resolved(config):
            return "mistral" if name == "llama" and config.window else name
    raise InputError(
        f"config has kind {config.kind!r}, norm {config.norm!r}, positions {config.positions!r}, "
        f"kv_heads {config.kv_heads} and no Hugging Face counterpart: none of "
        f"{', '.join(ARCHITECTURES)} has all its fields"
    )


def _resolved(config: Config) -> dict[str, Any]:
    fields = config.to_dict()
    bias = config.bias if config.attention_bias is None else config.attention_bias
    fields |= {"kv_heads": config.G, "head_size": config.D, "ff": config.F, "attention_bias": bias}
    if isinstance(config, EncoderDecoderConfig):
        fields["decoder_layers"] = config.T_layers
    scale = config.D**-0.5 if config.attention_scale is None else config.attention_scale
    return {**fields, "attention_scale": scale}


def config_to_hf(config: Config) -> dict[str, Any]:
    """What Hugging Face's config.json says of this Config.

    Raises:
        InputError: there is no counterpart.
    """
    kind = architecture_of(config)
    write = {"gpt2": _to_gpt2, "gpt_bigcode": _to_gpt_bigcode, "bert": _to_bert, "t5": _to_t5}
    fields = write.get(kind, _to_mixtral if kind == "mixtral" else _to_llama)(config)
    if kind in ("mistral", "mixtral"):
        fields["sliding_window"] = config.window
    return {"model_type": kind, "architectures": [ARCHITECTURES[kind]], **fields}


def _theirs(activation: str) -> str:
    return next((theirs for theirs, ours in ACTIVATIONS.items() if ours == activation), activation)


def _as_torch(activation: str) -> str:
    """As `_theirs`, with the newer of two names of GELU's approximation: PyTorch computes it."""
    return "gelu_pytorch_tanh" if activation == "gelu_tanh" else _theirs(activation)


def _to_gpt2(c: Config) -> dict[str, Any]:
    return {
        "vocab_size": c.vocab_size,
        "n_positions": c.context,
        "n_layer": c.layers,
        "n_head": c.heads,
        "n_embd": c.channels,
        "n_inner": c.F,
        "activation_function": _theirs(c.activation),
        "layer_norm_epsilon": c.eps,
        "tie_word_embeddings": c.tie,
    }


def _to_gpt_bigcode(c: Config) -> dict[str, Any]:
    return {**_to_gpt2(c), "activation_function": _as_torch(c.activation), "multi_query": True}


def _to_llama(c: Config) -> dict[str, Any]:
    rope = c.rope or Rope()
    fields = {
        "vocab_size": c.vocab_size,
        "max_position_embeddings": c.context,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.G,
        "head_dim": c.D,
        "hidden_size": c.channels,
        "intermediate_size": c.F,
        "hidden_act": "silu",
        "rms_norm_eps": c.eps,
        "tie_word_embeddings": c.tie,
        "rope_theta": rope.theta,
    }
    if rope.scaling and rope.scaling["kind"] in ROPE_KINDS:
        back = {ours: theirs for theirs, ours in ROPE_FIELDS.items()}
        scaling = {back[k]: v for k, v in rope.scaling.items() if k != "kind"}
        fields["rope_scaling"] = {"rope_type": rope.scaling["kind"], **scaling}
    return fields


def _to_mixtral(c: Config) -> dict[str, Any]:
    experts = {"num_local_experts": c.experts, "num_experts_per_tok": c.experts_per_token}
    return {**_to_llama(c), **experts}


def _to_bert(c: Config) -> dict[str, Any]:
    name = "BertModel" if c.head == "none" else "BertForPreTraining"
    if c.head == "mlm" and not c.pooler:
        name = "BertForMaskedLM"
    pooler = {} if c.pooler or c.head == "mlm" else {"add_pooling_layer": False}
    return {
        "architectures": [name],
        **pooler,
        "vocab_size": c.vocab_size,
        "max_position_embeddings": c.context,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "hidden_size": c.channels,
        "intermediate_size": c.F,
        "hidden_act": _as_torch(c.activation),
        "layer_norm_eps": c.eps,
        "type_vocab_size": c.token_types,
        "tie_word_embeddings": c.tie,
    }


def _to_t5(c: EncoderDecoderConfig) -> dict[str, Any]:
    relative = c.relative or Relative()
    return {
        "vocab_size": c.vocab_size,
        "n_positions": c.context,
        "num_layers": c.layers,
        "num_decoder_layers": c.T_layers,
        "num_heads": c.heads,
        "d_kv": c.D,
        "d_model": c.channels,
        "d_ff": c.F,
        "layer_norm_epsilon": c.eps,
        "feed_forward_proj": "gated-gelu" if c.gated else _theirs(c.activation),
        "tie_word_embeddings": c.tie,
        "scale_decoder_outputs": c.logit_scale != 1.0,
        "relative_attention_num_buckets": relative.buckets,
        "relative_attention_max_distance": relative.distance,
        "is_encoder_decoder": True,
        "decoder_start_token_id": 0,
    }
