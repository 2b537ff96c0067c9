"""A `Config` to Hugging Face's config.json, where one of their architectures has all its fields."""

from __future__ import annotations

from typing import Any

from minilm.errors import InputError
from minilm.interop.hf_config import ARCHITECTURES, config_from_hf
from minilm.interop.hf_fields import ACTIVATIONS, scaling_to_hf
from minilm.interop.hf_fields import theirs as _as_torch
from minilm.interop.hf_modern_out import WRITERS
from minilm.models import Config, EncoderDecoderConfig, Relative, Rope


def architecture_of(config: Config, model_type: str | None = None) -> str:
    """Which of Hugging Face's architectures has this Config: "gpt2", "gpt_bigcode", "llama", ...

    Args:
        config: what is to be written.
        model_type: the one that is wanted, for configs that several have: "phi3" is a "llama" in
            other arrays. None takes the first that has it.

    Raises:
        InputError: none of them has it, or the one that is wanted has not.
    """
    if model_type is not None:
        if model_type not in ARCHITECTURES or not _has(model_type, config):
            raise InputError(
                f"model_type is {model_type!r}, which cannot say all of this config; it must be "
                f"None, or one of {', '.join(ARCHITECTURES)} that can"
            )
        return model_type
    for name in _WRITERS:
        if _has(name, config):
            return name
    raise InputError(
        f"config has kind {config.kind!r}, norm {config.norm!r}, positions {config.positions!r}, "
        f"kv_heads {config.kv_heads} and no Hugging Face counterpart: none of "
        f"{', '.join(ARCHITECTURES)} has all its fields"
    )


def _has(name: str, config: Config) -> bool:
    """Whether what an architecture's config.json says of a Config gives that Config back."""
    if (name == "t5") != isinstance(config, EncoderDecoderConfig):
        return False
    try:
        back = config_from_hf({**_WRITERS[name](config), "model_type": name})
    except InputError:
        return False
    # Not part of the map: where dropout and the first weights are random.
    back = back.replace(dropout=config.dropout, init_std=config.init_std)
    return _resolved(back) == _resolved(config)


def _resolved(config: Config) -> dict[str, Any]:
    fields = config.to_dict()
    bias = config.bias if config.attention_bias is None else config.attention_bias
    fields |= {"kv_heads": config.G, "head_size": config.D, "ff": config.F, "attention_bias": bias}
    if isinstance(config, EncoderDecoderConfig):
        fields["decoder_layers"] = config.T_layers
    scale = config.D**-0.5 if config.attention_scale is None else config.attention_scale
    return {**fields, "attention_scale": scale}


def config_to_hf(config: Config, model_type: str | None = None) -> dict[str, Any]:
    """What Hugging Face's config.json says of this Config.

    Args:
        config: what is to be written.
        model_type: as in `architecture_of`.

    Raises:
        InputError: there is no counterpart.
    """
    kind = architecture_of(config, model_type)
    fields = _WRITERS[kind](config)
    return {"model_type": kind, "architectures": [ARCHITECTURES[kind]], **fields}


def _theirs(activation: str) -> str:
    return next((theirs for theirs, ours in ACTIVATIONS.items() if ours == activation), activation)


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
    if scaling := scaling_to_hf(rope.scaling):
        fields["rope_scaling"] = scaling
    return fields


def _to_mistral(c: Config) -> dict[str, Any]:
    return {**_to_llama(c), "sliding_window": c.window}


def _to_mixtral(c: Config) -> dict[str, Any]:
    experts = {"num_local_experts": c.experts, "num_experts_per_tok": c.experts_per_token}
    return {**_to_mistral(c), **experts}


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


_WRITERS = {
    "gpt2": _to_gpt2,
    "gpt_bigcode": _to_gpt_bigcode,
    "llama": _to_llama,
    "mistral": _to_mistral,
    "mixtral": _to_mixtral,
    "bert": _to_bert,
    "t5": _to_t5,
    **WRITERS,
}
