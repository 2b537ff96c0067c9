"""Where Hugging Face keeps each of our arrays; GPT-2, GPT-BigCode, BERT and T5 are here.

Ours packs queries, keys and values into one weight; theirs keeps three (GPT-2: one, transposed;
GPT-BigCode: ours). Ours keeps the experts of a layer in one array of three axes; theirs keeps a
matrix for each.
"""

from __future__ import annotations

from minilm.errors import InputError
from minilm.interop.hf_config import ARCHITECTURES
from minilm.interop.hf_config_out import architecture_of
from minilm.interop.hf_entry import Entry, qkv_rows
from minilm.interop.hf_names_llama import LIKE_LLAMA, llama_names, neox_names
from minilm.models import Config, EncoderDecoderConfig

# What a file may hold beside the weights, by architecture: buffers, and a head that we do not have.
_ASIDE = {
    "gpt2": r"(transformer\.)?h\.\d+\.attn\.(bias|masked_bias)",
    "llama": r".*\.rotary_emb\.inv_freq",
    "gpt_neox": r".*\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)",
    "bert": r"(bert\.)?embeddings\.position_ids|cls\.seq_relationship\.(weight|bias)",
    # written by old T5s, read by none
    "t5": r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",
}


def name_map(config: Config, kind: str | None = None) -> dict[str, Entry]:
    """Our parameter name -> where Hugging Face keeps it.

    Args:
        config: the model's.
        kind: a "model_type" of theirs; None: the first that has this config.

    Raises:
        InputError: no Hugging Face architecture has this config, or there is no such kind.
    """
    kind = kind_of(config, kind)
    if kind in LIKE_LLAMA:
        return llama_names(config, kind)
    if kind in ("gpt2", "gpt_bigcode"):
        return _gpt2(config, kind)
    return {"bert": _bert, "t5": _t5, "gpt_neox": neox_names}[kind](config)


def kind_of(config: Config, kind: str | None = None) -> str:
    """The "model_type" that is meant.

    Raises:
        InputError: as `name_map`.
    """
    if kind is None:
        return architecture_of(config)
    if kind not in ARCHITECTURES:
        raise InputError(f"model_type is {kind!r}; it must be one of {', '.join(ARCHITECTURES)}")
    return kind


def _family(kind: str) -> str:
    if kind in LIKE_LLAMA:
        return "llama"
    return {"gpt_bigcode": "gpt2"}.get(kind, kind)


def left_aside(config: Config, kind: str | None = None) -> str:
    """The pattern of names that a file may hold and a model of this config does not read."""
    return _ASIDE[_family(kind_of(config, kind))]


def copies_of(config: Config, kind: str | None = None) -> dict[str, str]:
    """Names under which a file may hold an array once more -> the name it has first."""
    family = _family(kind_of(config, kind))
    copies: dict[str, str] = {}
    if config.head == "none":
        return copies
    if family == "bert":
        copies["cls.predictions.decoder.bias"] = "cls.predictions.bias"
    if family == "t5":
        copies = {f"{stack}.embed_tokens.weight": "shared.weight" for stack in _T5_STACKS}
    if config.tie:
        heads = {"bert": "cls.predictions.decoder.weight", "gpt_neox": "embed_out.weight"}
        first = name_map(config, kind)["tokens.weight"].names[0]
        copies[heads.get(family, "lm_head.weight")] = first
    return copies


def _pair(entries: dict[str, Entry], ours: str, theirs: str, transposed: bool = False) -> None:
    """Weight and bias."""
    entries[f"{ours}.weight"] = Entry((f"{theirs}.weight",), transposed=transposed)
    entries[f"{ours}.bias"] = Entry((f"{theirs}.bias",))


def _gpt2(config: Config, kind: str) -> dict[str, Entry]:
    turned = kind == "gpt2"  # its maps are (in, out); GPT-BigCode's are not
    entries = {
        "tokens.weight": Entry(("transformer.wte.weight",)),
        "positions.weight": Entry(("transformer.wpe.weight",)),
    }
    for i in range(config.layers):
        ours, theirs = f"stack.blocks.{i}", f"transformer.h.{i}"
        _pair(entries, f"{ours}.norm1", f"{theirs}.ln_1")
        _pair(entries, f"{ours}.attention.qkv", f"{theirs}.attn.c_attn", turned)
        _pair(entries, f"{ours}.attention.out", f"{theirs}.attn.c_proj", turned)
        _pair(entries, f"{ours}.norm2", f"{theirs}.ln_2")
        _pair(entries, f"{ours}.feed_forward.up", f"{theirs}.mlp.c_fc", turned)
        _pair(entries, f"{ours}.feed_forward.down", f"{theirs}.mlp.c_proj", turned)
    _pair(entries, "stack.norm", "transformer.ln_f")
    if not config.tie:
        entries["head.weight"] = Entry(("lm_head.weight",))
    return entries


def _bert(config: Config) -> dict[str, Entry]:
    embeddings = "bert.embeddings"
    entries = {
        "tokens.weight": Entry((f"{embeddings}.word_embeddings.weight",)),
        "positions.weight": Entry((f"{embeddings}.position_embeddings.weight",)),
        "segments.weight": Entry((f"{embeddings}.token_type_embeddings.weight",)),
    }
    _pair(entries, "embedding_norm", f"{embeddings}.LayerNorm")
    for i in range(config.layers):
        ours, theirs = f"stack.blocks.{i}", f"bert.encoder.layer.{i}"
        for what in ("weight", "bias"):
            parts = ("query", "key", "value")
            names = tuple(f"{theirs}.attention.self.{part}.{what}" for part in parts)
            entries[f"{ours}.attention.qkv.{what}"] = Entry(names, qkv_rows(config))
        _pair(entries, f"{ours}.attention.out", f"{theirs}.attention.output.dense")
        _pair(entries, f"{ours}.norm1", f"{theirs}.attention.output.LayerNorm")
        _pair(entries, f"{ours}.feed_forward.up", f"{theirs}.intermediate.dense")
        _pair(entries, f"{ours}.feed_forward.down", f"{theirs}.output.dense")
        _pair(entries, f"{ours}.norm2", f"{theirs}.output.LayerNorm")
    if config.pooler:
        _pair(entries, "pooler.dense", "bert.pooler.dense")
    if config.head == "none":
        return entries
    _pair(entries, "head.dense", "cls.predictions.transform.dense")
    _pair(entries, "head.norm", "cls.predictions.transform.LayerNorm")
    if not config.tie:
        entries["head.weight"] = Entry(("cls.predictions.decoder.weight",))
    entries["head.bias"] = Entry(("cls.predictions.bias",))
    return entries


_T5_STACKS = ("encoder", "decoder")


def _t5(config: EncoderDecoderConfig) -> dict[str, Entry]:
    entries = {"tokens.weight": Entry(("shared.weight",))}
    for stack, count in zip(_T5_STACKS, (config.layers, config.T_layers), strict=True):
        for i in range(count):
            ours, theirs = f"{stack}.blocks.{i}", f"{stack}.block.{i}.layer"
            _t5_attention(entries, config, f"{ours}.attention", f"{theirs}.0.SelfAttention")
            entries[f"{ours}.norm1.weight"] = Entry((f"{theirs}.0.layer_norm.weight",))
            if stack == "decoder":
                _t5_cross(entries, config, f"{ours}.cross", f"{theirs}.1.EncDecAttention")
                entries[f"{ours}.cross_norm.weight"] = Entry((f"{theirs}.1.layer_norm.weight",))
            last = f"{theirs}.{2 if stack == 'decoder' else 1}"
            entries[f"{ours}.norm2.weight"] = Entry((f"{last}.layer_norm.weight",))
            parts = {"up": "wi", "down": "wo"}
            if config.gated:
                parts = {"gate": "wi_0", "up": "wi_1", "down": "wo"}
            for part, name in parts.items():
                entry = Entry((f"{last}.DenseReluDense.{name}.weight",))
                entries[f"{ours}.feed_forward.{part}.weight"] = entry
        relative = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        entries[f"{stack}.relative.weight"] = Entry((relative,))
        entries[f"{stack}.norm.weight"] = Entry((f"{stack}.final_layer_norm.weight",))
    if not config.tie:
        entries["head.weight"] = Entry(("lm_head.weight",))
    return entries


def _t5_attention(entries: dict[str, Entry], config: Config, ours: str, theirs: str) -> None:
    parts = tuple(f"{theirs}.{part}.weight" for part in "qkv")
    entries[f"{ours}.qkv.weight"] = Entry(parts, qkv_rows(config))
    entries[f"{ours}.out.weight"] = Entry((f"{theirs}.o.weight",))


def _t5_cross(entries: dict[str, Entry], config: Config, ours: str, theirs: str) -> None:
    rows = qkv_rows(config)
    entries[f"{ours}.query.weight"] = Entry((f"{theirs}.q.weight",))
    names = (f"{theirs}.k.weight", f"{theirs}.v.weight")
    entries[f"{ours}.key_value.weight"] = Entry(names, rows[1:])
    entries[f"{ours}.out.weight"] = Entry((f"{theirs}.o.weight",))
