"""Where Hugging Face keeps each of our arrays: GPT-2, GPT-BigCode, Llama, Mi(s|x)tral, BERT, T5.

Ours packs queries, keys and values into one weight; theirs keeps three (GPT-2: one, transposed;
GPT-BigCode: ours). Ours keeps the experts of a layer in one array of three axes; theirs keeps a
matrix for each.
"""

from __future__ import annotations

from dataclasses import dataclass

from minilm.interop.hf_config_out import architecture_of
from minilm.models import Config, EncoderDecoderConfig


@dataclass(frozen=True)
class Entry:
    """Where one of our arrays is kept: their names, joined row by row, each perhaps transposed.

    Stacked ones are joined along a new first axis.
    """

    names: tuple[str, ...]
    rows: tuple[int, ...] = ()
    transposed: bool = False
    stacked: bool = False


# What a file may hold beside the weights, by architecture: buffers, and a head that we do not have.
_ASIDE = {
    "gpt2": r"(transformer\.)?h\.\d+\.attn\.(bias|masked_bias)",
    "llama": r".*\.rotary_emb\.inv_freq",
    "bert": r"(bert\.)?embeddings\.position_ids|cls\.seq_relationship\.(weight|bias)",
    # written by old T5s, read by none
    "t5": r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",
}


def name_map(config: Config) -> dict[str, Entry]:
    """Our parameter name -> where Hugging Face keeps it.

    Raises:
        InputError: no Hugging Face architecture has this config.
    """
    return {"gpt2": _gpt2, "llama": _llama, "bert": _bert, "t5": _t5}[_family(config)](config)


def _family(config: Config) -> str:
    kind = architecture_of(config)
    return {"mistral": "llama", "mixtral": "llama", "gpt_bigcode": "gpt2"}.get(kind, kind)


def left_aside(config: Config) -> str:
    """The pattern of names that a file may hold and a model of this config does not read."""
    return _ASIDE[_family(config)]


def copies_of(config: Config) -> dict[str, str]:
    """Names under which a file may hold an array once more -> the name it has first."""
    family = _family(config)
    copies = {}
    if config.head == "none":
        return copies
    if family == "bert":
        copies["cls.predictions.decoder.bias"] = "cls.predictions.bias"
    if family == "t5":
        copies = {f"{stack}.embed_tokens.weight": "shared.weight" for stack in _T5_STACKS}
    if config.tie:
        head = "cls.predictions.decoder.weight" if family == "bert" else "lm_head.weight"
        copies[head] = name_map(config)["tokens.weight"].names[0]
    return copies


def _pair(entries: dict[str, Entry], ours: str, theirs: str, transposed: bool = False) -> None:
    """Weight and bias."""
    entries[f"{ours}.weight"] = Entry((f"{theirs}.weight",), transposed=transposed)
    entries[f"{ours}.bias"] = Entry((f"{theirs}.bias",))


def _qkv_rows(config: Config) -> tuple[int, int, int]:
    return config.heads * config.D, config.G * config.D, config.G * config.D


def _gpt2(config: Config) -> dict[str, Entry]:
    turned = config.G == config.heads  # GPT-2's maps are (in, out); GPT-BigCode's are not
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


def _llama(config: Config) -> dict[str, Entry]:
    entries = {"tokens.weight": Entry(("model.embed_tokens.weight",))}
    for i in range(config.layers):
        ours, theirs = f"stack.blocks.{i}", f"model.layers.{i}"
        entries[f"{ours}.norm1.weight"] = Entry((f"{theirs}.input_layernorm.weight",))
        entries[f"{ours}.norm2.weight"] = Entry((f"{theirs}.post_attention_layernorm.weight",))
        parts = tuple(f"{theirs}.self_attn.{part}_proj.weight" for part in "qkv")
        entries[f"{ours}.attention.qkv.weight"] = Entry(parts, _qkv_rows(config))
        entries[f"{ours}.attention.out.weight"] = Entry((f"{theirs}.self_attn.o_proj.weight",))
        if config.experts is not None:
            _experts(entries, config, f"{ours}.feed_forward", f"{theirs}.{MIXTURE}")
            continue
        for part in ("gate", "up", "down"):
            name = f"{theirs}.mlp.{part}_proj.weight"
            entries[f"{ours}.feed_forward.{part}.weight"] = Entry((name,))
    entries["stack.norm.weight"] = Entry(("model.norm.weight",))
    if not config.tie:
        entries["head.weight"] = Entry(("lm_head.weight",))
    return entries


MIXTURE = "block_sparse_moe"  # what Mixtral's files call a feed-forward of experts


def _experts(entries: dict[str, Entry], config: Config, ours: str, theirs: str) -> None:
    entries[f"{ours}.router.weight"] = Entry((f"{theirs}.gate.weight",))
    for part, name in (("gate", "w1"), ("up", "w3"), ("down", "w2")):
        names = tuple(f"{theirs}.experts.{e}.{name}.weight" for e in range(config.experts or 0))
        entries[f"{ours}.{part}.weight"] = Entry(names, stacked=True)


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
            entries[f"{ours}.attention.qkv.{what}"] = Entry(names, _qkv_rows(config))
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
    entries[f"{ours}.qkv.weight"] = Entry(parts, _qkv_rows(config))
    entries[f"{ours}.out.weight"] = Entry((f"{theirs}.o.weight",))


def _t5_cross(entries: dict[str, Entry], config: Config, ours: str, theirs: str) -> None:
    rows = _qkv_rows(config)
    entries[f"{ours}.query.weight"] = Entry((f"{theirs}.q.weight",))
    names = (f"{theirs}.k.weight", f"{theirs}.v.weight")
    entries[f"{ours}.key_value.weight"] = Entry(names, rows[1:])
    entries[f"{ours}.out.weight"] = Entry((f"{theirs}.o.weight",))
