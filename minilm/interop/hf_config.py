"""Hugging Face's config.json to a `Config`; `hf_config_out` is the way back."""

from __future__ import annotations

from typing import Any

from minilm.errors import InputError
from minilm.interop.hf_fields import activation_of, refuse_other, rope_scaling
from minilm.interop.hf_modern import READERS
from minilm.models import Config, EncoderDecoderConfig, Relative, Rope

ARCHITECTURES = {
    "gpt2": "GPT2LMHeadModel",
    "gpt_bigcode": "GPTBigCodeForCausalLM",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "bert": "BertForPreTraining",
    "t5": "T5ForConditionalGeneration",
    "gpt_neox": "GPTNeoXForCausalLM",
    "starcoder2": "Starcoder2ForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "olmo2": "Olmo2ForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
}
# What BERT's classes put on the encoder: a head, and the pooler unless the file goes without.
BERT_HEADS = {"BertForPreTraining": "mlm", "BertForMaskedLM": "mlm", "BertModel": "none"}


def config_from_hf(fields: dict[str, Any]) -> Config:
    """The Config of a Hugging Face config.json ("model_type" gpt2, gpt_bigcode, llama, ...).

    Raises:
        InputError: another model type, or a setting that no Config expresses.
    """
    kind = fields.get("model_type")
    if kind not in ARCHITECTURES:
        raise InputError(
            f"model_type is {kind!r}; it must be one of {', '.join(ARCHITECTURES)}, or for weights "
            "mamba"
        )
    read = {
        "gpt2": _gpt2,
        "gpt_bigcode": _gpt_bigcode,
        "bert": _bert,
        "t5": _t5,
        "mixtral": _mixtral,
        **READERS,
    }.get(kind, _llama)
    refuse_other(fields, quantization_config=None)
    try:
        return read(fields)
    except KeyError as error:
        raise InputError(f"config.json of a {kind} lacks {error.args[0]!r}") from None


def _gpt2(f: dict[str, Any]) -> Config:
    refuse_other(f, scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False)
    refuse_other(f, add_cross_attention=False)
    return Config(
        vocab_size=f["vocab_size"],
        context=f["n_positions"],
        layers=f["n_layer"],
        heads=f["n_head"],
        channels=f["n_embd"],
        ff=f.get("n_inner"),
        activation=activation_of(f.get("activation_function", "gelu_new")),
        eps=f.get("layer_norm_epsilon", 1e-5),
        tie=f.get("tie_word_embeddings", True),
    )


def _gpt_bigcode(f: dict[str, Any]) -> Config:
    """GPT-2 with one head of keys and values for all queries (StarCoder)."""
    refuse_other(f, multi_query=True)
    config = _gpt2({"activation_function": "gelu_pytorch_tanh", **f})
    return config.replace(kv_heads=1)


def _llama(f: dict[str, Any]) -> Config:
    refuse_other(f, hidden_act="silu", mlp_bias=False, attention_bias=False)
    refuse_other(f, partial_rotary_factor=1.0)
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
        rope=Rope(theta, scaling=rope_scaling(scaling, f["max_position_embeddings"])),
        window=f.get("sliding_window") if f["model_type"] in ("mistral", "mixtral") else None,
    )


def _mixtral(f: dict[str, Any]) -> Config:
    """Mistral with experts; the noise and the loss that train its router are not of the model."""
    experts, chosen = f["num_local_experts"], f["num_experts_per_tok"]
    return _llama(f).replace(experts=experts, experts_per_token=chosen)


def _bert(f: dict[str, Any]) -> Config:
    refuse_other(f, position_embedding_type="absolute", is_decoder=False)
    refuse_other(f, add_cross_attention=False)
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
        activation=activation_of(f.get("hidden_act", "gelu")),
        eps=f.get("layer_norm_eps", 1e-12),
        tie=f.get("tie_word_embeddings", True),
    )


def _t5(f: dict[str, Any]) -> EncoderDecoderConfig:
    refuse_other(f, tie_encoder_decoder=False)
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
        activation=activation if activation == "geglu_tanh" else activation_of(activation),
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
