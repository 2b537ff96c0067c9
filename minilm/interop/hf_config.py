"""Hugging Face's config.json to a `Config`, and back."""

from __future__ import annotations

from typing import Any

from minilm.errors import InputError
from minilm.models import Config, EncoderDecoderConfig, Relative, Rope

ARCHITECTURES = {
    "gpt2": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "bert": "BertForPreTraining",
    "t5": "T5ForConditionalGeneration",
}
_ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "relu": "relu", "silu": "silu"}
_ACTIVATIONS["gelu_pytorch_tanh"] = "gelu_tanh"  # another name of the same; we write the first
_ROPE = {"linear": "linear", "yarn": "yarn", "llama3": "llama3"}
_ROPE_FIELDS = {
    "factor": "factor",
    "original_max_position_embeddings": "original_context",
    "beta_fast": "beta_fast",
    "beta_slow": "beta_slow",
    "attention_factor": "attention_factor",
    "low_freq_factor": "low_freq_factor",
    "high_freq_factor": "high_freq_factor",
}
# Of the rope settings, those that a Rope does not express, and the value that they must have.
_ROPE_ONLY = {
    "partial_rotary_factor": 1.0,
    "truncate": True,
    "mscale": None,
    "mscale_all_dim": None,
}


def config_from_hf(fields: dict[str, Any]) -> Config:
    """The Config of a Hugging Face config.json (its "model_type" gpt2, llama, mistral, bert, t5).

    Raises:
        InputError: another model type, or a setting that no Config expresses.
    """
    kind = fields.get("model_type")
    if kind not in ARCHITECTURES:
        raise InputError(f"model_type is {kind!r}; it must be one of {', '.join(ARCHITECTURES)}")
    read = {"gpt2": _gpt2, "llama": _llama, "mistral": _llama, "bert": _bert, "t5": _t5}[kind]
    _refuse_other(fields, quantization_config=None)
    try:
        return read(fields)
    except KeyError as error:
        raise InputError(f"config.json of a {kind} lacks {error.args[0]!r}") from None


def _activation(name: str) -> str:
    if name not in _ACTIVATIONS:
        raise InputError(f"activation is {name!r}; it must be one of {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]


def _refuse_other(fields: dict[str, Any], **normal: Any) -> None:
    """Refuse settings that change what a model computes and that no Config expresses."""
    for name, value in normal.items():
        if fields.get(name, value) != value:
            raise InputError(
                f"{name} is {fields[name]!r}; minilm reads models where it is {value!r}"
            )


def _gpt2(f: dict[str, Any]) -> Config:
    _refuse_other(f, scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False)
    _refuse_other(f, add_cross_attention=False)
    return Config(
        vocab_size=f["vocab_size"],
        context=f["n_positions"],
        layers=f["n_layer"],
        heads=f["n_head"],
        channels=f["n_embd"],
        ff=f.get("n_inner"),
        activation=_activation(f.get("activation_function", "gelu_new")),
        eps=f.get("layer_norm_epsilon", 1e-5),
        tie=f.get("tie_word_embeddings", True),
    )


def _llama(f: dict[str, Any]) -> Config:
    _refuse_other(f, hidden_act="silu", mlp_bias=False, attention_bias=False)
    _refuse_other(f, partial_rotary_factor=1.0)
    rope = f.get("rope_parameters") or {}
    scaling = f.get("rope_scaling") or rope
    theta = float(rope.get("rope_theta", f.get("rope_theta", 10000.0)))
    return Config(
        vocab_size=f["vocab_size"],
        context=f["max_position_embeddings"],
        layers=f["num_hidden_layers"],
        heads=f["num_attention_heads"],
        kv_heads=f.get("num_key_value_heads") or f["num_attention_heads"],
        head_size=f.get("head_dim"),
        channels=f["hidden_size"],
        ff=f["intermediate_size"],
        norm="rms",
        eps=f.get("rms_norm_eps", 1e-6),
        activation="swiglu",
        bias=False,
        tie=f.get("tie_word_embeddings", False),
        positions="rope",
        rope=Rope(theta, scaling=_rope_scaling(scaling, f["max_position_embeddings"])),
        window=f.get("sliding_window") if f["model_type"] == "mistral" else None,
    )


def _rope_scaling(given: dict[str, Any], context: int) -> dict[str, Any] | None:
    kind = given.get("rope_type", given.get("type", "default"))
    _refuse_other(given, **_ROPE_ONLY)
    known = {"rope_type", "type", "rope_theta", *_ROPE_ONLY, *_ROPE_FIELDS}
    for name in sorted(given.keys() - known):
        raise InputError(
            f"the rope settings have {name!r}; minilm knows {', '.join(sorted(known))}"
        )
    if kind == "default":
        return None
    if kind not in _ROPE:
        raise InputError(f"rope_type is {kind!r}; it must be one of default, {', '.join(_ROPE)}")
    ours = {ours: given[theirs] for theirs, ours in _ROPE_FIELDS.items() if given.get(theirs)}
    if kind != "linear":
        ours.setdefault("original_context", context)
    return {"kind": kind, **ours}


def _bert(f: dict[str, Any]) -> Config:
    _refuse_other(f, position_embedding_type="absolute", is_decoder=False)
    _refuse_other(f, add_cross_attention=False)
    return Config(
        vocab_size=f["vocab_size"],
        context=f["max_position_embeddings"],
        layers=f["num_hidden_layers"],
        heads=f["num_attention_heads"],
        channels=f["hidden_size"],
        ff=f["intermediate_size"],
        kind="encoder",
        head="mlm",
        pooler=True,
        token_types=f.get("type_vocab_size", 2),
        norm_position="post",
        embedding_norm=True,
        activation=_activation(f.get("hidden_act", "gelu")),
        eps=f.get("layer_norm_eps", 1e-12),
        tie=f.get("tie_word_embeddings", True),
    )


def _t5(f: dict[str, Any]) -> EncoderDecoderConfig:
    _refuse_other(f, tie_encoder_decoder=False)
    parts = f.get("feed_forward_proj", "relu").split("-")
    activation = parts[-1]
    if parts[0] == "gated" and activation == "gelu":
        activation = "geglu_tanh"
    elif parts[0] == "gated":
        raise InputError(
            f"feed_forward_proj is {f['feed_forward_proj']!r}; it must be gated-gelu or the name "
            "of an activation"
        )
    tie = f.get("tie_word_embeddings", True)
    scaled = f.get("scale_decoder_outputs", tie)
    return EncoderDecoderConfig(
        vocab_size=f["vocab_size"],
        context=f.get("n_positions", 512),
        layers=f["num_layers"],
        decoder_layers=f.get("num_decoder_layers"),
        heads=f["num_heads"],
        head_size=f["d_kv"],
        channels=f["d_model"],
        ff=f["d_ff"],
        norm="rms",
        eps=f.get("layer_norm_epsilon", 1e-6),
        activation=activation if activation == "geglu_tanh" else _activation(activation),
        bias=False,
        tie=tie,
        positions="relative",
        relative=Relative(
            f.get("relative_attention_num_buckets", 32),
            f.get("relative_attention_max_distance", 128),
        ),
        attention_scale=1.0,
        logit_scale=f["d_model"] ** -0.5 if scaled else 1.0,
    )


def architecture_of(config: Config) -> str:
    """Which of Hugging Face's architectures has this Config: "gpt2", "llama", "bert" or "t5".

    Raises:
        InputError: none of them has it.
    """
    for name, write in (
        ("gpt2", _to_gpt2),
        ("llama", _to_llama),
        ("bert", _to_bert),
        ("t5", _to_t5),
    ):
        if (name == "t5") != isinstance(config, EncoderDecoderConfig):
            continue
        try:
            back = config_from_hf({**write(config), "model_type": name})
        except InputError:
            continue
        # Whether and where dropout and the first weights were random is no part of the map.
        same = {"dropout": config.dropout, "init_std": config.init_std}
        if _resolved(back.replace(**same)) == _resolved(config):
            return "mistral" if name == "llama" and config.window else name
    raise InputError(
        f"config has kind {config.kind!r}, norm {config.norm!r}, positions {config.positions!r} "
        "and no Hugging Face counterpart: none of gpt2, llama, mistral, bert, t5 has all its fields"
    )


def _resolved(config: Config) -> dict[str, Any]:
    fields = config.to_dict()
    bias = config.bias if config.attention_bias is None else config.attention_bias
    fields |= {"kv_heads": config.G, "head_size": config.D, "ff": config.F, "attention_bias": bias}
    if isinstance(config, EncoderDecoderConfig):
        fields["decoder_layers"] = config.T_layers
    scale = config.D**-0.5 if config.attention_scale is None else config.attention_scale
    return {**fields, "attention_scale": scale, "window": None}


def config_to_hf(config: Config) -> dict[str, Any]:
    """What Hugging Face's config.json says of this Config.

    Raises:
        InputError: there is no counterpart.
    """
    kind = architecture_of(config)
    write = {"gpt2": _to_gpt2, "llama": _to_llama, "mistral": _to_llama, "bert": _to_bert}
    fields = write.get(kind, _to_t5)(config)
    if kind == "mistral":
        fields["sliding_window"] = config.window
    return {"model_type": kind, "architectures": [ARCHITECTURES[kind]], **fields}


def _theirs(activation: str) -> str:
    return next((theirs for theirs, ours in _ACTIVATIONS.items() if ours == activation), activation)


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
    if rope.scaling and rope.scaling["kind"] in _ROPE:
        back = {ours: theirs for theirs, ours in _ROPE_FIELDS.items()}
        scaling = {back[k]: v for k, v in rope.scaling.items() if k != "kind"}
        fields["rope_scaling"] = {"rope_type": rope.scaling["kind"], **scaling}
    return fields


def _to_bert(c: Config) -> dict[str, Any]:
    return {
        "vocab_size": c.vocab_size,
        "max_position_embeddings": c.context,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "hidden_size": c.channels,
        "intermediate_size": c.F,
        "hidden_act": _theirs(c.activation),
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
