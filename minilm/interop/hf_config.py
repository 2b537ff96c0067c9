"""Hugging Face's config.json to a `Config`; `hf_config_out` is the way back."""

from __future__ import annotations

from typing import Any

from minilm.errors import InputError
from minilm.models import Config, EncoderDecoderConfig, Relative, Rope

ARCHITECTURES = {
    "gpt2": "GPT2LMHeadModel",
    "gpt_bigcode": "GPTBigCodeForCausalLM",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "bert": "BertForPreTraining",
    "t5": "T5ForConditionalGeneration",
}
ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "relu": "relu", "silu": "silu"}
# Other names of the same; we write the first.
ACTIVATIONS |= {"gelu_pytorch_tanh": "gelu_tanh", "gelu_fast": "gelu_tanh", "gelu_python": "gelu"}
ACTIVATIONS |= {"swish": "silu"}
# What BERT's classes put on the encoder: a head, and the pooler unless the file goes without.
BERT_HEADS = {"BertForPreTraining": "mlm", "BertForMaskedLM": "mlm", "BertModel": "none"}
ROPE_KINDS = ("linear", "yarn", "llama3")
ROPE_FIELDS = {
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
    """The Config of a Hugging Face config.json ("model_type" gpt2, gpt_bigcode, llama, ...).

    Raises:
        InputError: another model type, or a setting that no Config expresses.
    """
    kind = fields.get("model_type")
    if kind not in ARCHITECTURES:
        raise InputError(f"model_type is {kind!r}; it must be one of {', '.join(ARCHITECTURES)}")
    read = {
        "gpt2": _gpt2,
        "gpt_bigcode": _gpt_bigcode,
        "bert": _bert,
        "t5": _t5,
        "mixtral": _mixtral,
    }.get(kind, _llama)
    _refuse_other(fields, quantization_config=None)
    try:
        return read(fields)
    except KeyError as error:
        raise InputError(f"config.json of a {kind} lacks {error.args[0]!r}") from None


def _activation(name: str) -> str:
    if name not in ACTIVATIONS:
        raise InputError(f"activation is {name!r}; it must be one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


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


def _gpt_bigcode(f: dict[str, Any]) -> Config:
    """GPT-2 with one head of keys and values for all queries (StarCoder)."""
    _refuse_other(f, multi_query=True)
    config = _gpt2({"activation_function": "gelu_pytorch_tanh", **f})
    return config.replace(kv_heads=1)


def _llama(f: dict[str, Any]) -> Config:
    _refuse_other(f, hidden_act="silu", mlp_bias=False, attention_bias=False)
    _refuse_other(f, partial_rotary_factor=1.0)
    rope = f.get("rope_parameters") or {}
    scaling = f.get("rope_scaling") or rope
    usual = 1e6 if f["model_type"] == "mixtral" else 1e4
    theta = float(rope.get("rope_theta", f.get("rope_theta", usual)))
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
        window=f.get("sliding_window") if f["model_type"] in ("mistral", "mixtral") else None,
    )


def _mixtral(f: dict[str, Any]) -> Config:
    """Mistral with experts; the noise and the loss that train its router are not of the model."""
    experts, chosen = f["num_local_experts"], f["num_experts_per_tok"]
    return _llama(f).replace(experts=experts, experts_per_token=chosen)


def _rope_scaling(given: dict[str, Any], context: int) -> dict[str, Any] | None:
    kind = given.get("rope_type", given.get("type", "default"))
    _refuse_other(given, **_ROPE_ONLY)
    known = {"rope_type", "type", "rope_theta", *_ROPE_ONLY, *ROPE_FIELDS}
    for name in sorted(given.keys() - known):
        raise InputError(
            f"the rope settings have {name!r}; minilm knows {', '.join(sorted(known))}"
        )
    if kind == "default":
        return None
    if kind not in ROPE_KINDS:
        raise InputError(
            f"rope_type is {kind!r}; it must be one of default, {', '.join(ROPE_KINDS)}"
        )
    ours = {ours: given[theirs] for theirs, ours in ROPE_FIELDS.items() if given.get(theirs)}
    if kind != "linear":
        ours.setdefault("original_context", context)
    return {"kind": kind, **ours}


def _bert(f: dict[str, Any]) -> Config:
    _refuse_other(f, position_embedding_type="absolute", is_decoder=False)
    _refuse_other(f, add_cross_attention=False)
    architecture = (f.get("architectures") or ["BertForPreTraining"])[0]
    return Config(
        vocab_size=f["vocab_size"],
        context=f["max_position_embeddings"],
        layers=f["num_hidden_layers"],
        heads=f["num_attention_heads"],
        channels=f["hidden_size"],
        ff=f["intermediate_size"],
        kind="encoder",
        head=BERT_HEADS.get(architecture, "mlm"),
        pooler=f.get("add_pooling_layer", architecture != "BertForMaskedLM"),
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
