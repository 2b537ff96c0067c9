"""Hugging Face checkpoints in and out: GPT-2, Llama, Mistral, BERT, T5.

Ours packs queries, keys and values into one weight; theirs keeps three (GPT-2: one, transposed).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minilm.backend import to_numpy
from minilm.errors import InputError
from minilm.files import atomic_file, write_atomically
from minilm.interop.hf_config import architecture_of, config_from_hf, config_to_hf
from minilm.interop.safetensors import read_safetensors
from minilm.models import Config, EncoderDecoderConfig, model_of
from minilm.models.language_model import LanguageModel


@dataclass(frozen=True)
class Entry:
    """Where one of our arrays is kept: their names, joined row by row, each perhaps transposed."""

    names: tuple[str, ...]
    rows: tuple[int, ...] = ()
    transposed: bool = False


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
    return "llama" if kind == "mistral" else kind


def _copies(config: Config) -> dict[str, str]:
    """Names under which a file may hold an array once more -> the name it has first."""
    family = _family(config)
    copies = {}
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
    entries = {
        "tokens.weight": Entry(("transformer.wte.weight",)),
        "positions.weight": Entry(("transformer.wpe.weight",)),
    }
    for i in range(config.layers):
        ours, theirs = f"stack.blocks.{i}", f"transformer.h.{i}"
        _pair(entries, f"{ours}.norm1", f"{theirs}.ln_1")
        _pair(entries, f"{ours}.attention.qkv", f"{theirs}.attn.c_attn", transposed=True)
        _pair(entries, f"{ours}.attention.out", f"{theirs}.attn.c_proj", transposed=True)
        _pair(entries, f"{ours}.norm2", f"{theirs}.ln_2")
        _pair(entries, f"{ours}.feed_forward.up", f"{theirs}.mlp.c_fc", transposed=True)
        _pair(entries, f"{ours}.feed_forward.down", f"{theirs}.mlp.c_proj", transposed=True)
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
        for part in ("gate", "up", "down"):
            name = f"{theirs}.mlp.{part}_proj.weight"
            entries[f"{ours}.feed_forward.{part}.weight"] = Entry((name,))
    entries["stack.norm.weight"] = Entry(("model.norm.weight",))
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
            entries[f"{ours}.attention.qkv.{what}"] = Entry(names, _qkv_rows(config))
        _pair(entries, f"{ours}.attention.out", f"{theirs}.attention.output.dense")
        _pair(entries, f"{ours}.norm1", f"{theirs}.attention.output.LayerNorm")
        _pair(entries, f"{ours}.feed_forward.up", f"{theirs}.intermediate.dense")
        _pair(entries, f"{ours}.feed_forward.down", f"{theirs}.output.dense")
        _pair(entries, f"{ours}.norm2", f"{theirs}.output.LayerNorm")
    _pair(entries, "pooler.dense", "bert.pooler.dense")
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


def from_hf(state: dict[str, Any], config: Config) -> dict[str, np.ndarray]:
    """Our state dict out of theirs.

    Args:
        state: Hugging Face name -> array (anything NumPy can read). Names without the model's
            own prefix ("transformer.", "bert.") and BERT's old gamma / beta are understood;
            buffers, equal copies of tied weights and BERT's next-sentence head are left aside.
        config: what the arrays are for.

    Raises:
        InputError: an array is missing, has another shape than the config asks for, or is not
            asked for; a copy differs from what the config ties it to.
    """
    theirs = {_renamed(name): value for name, value in state.items()}
    shapes = {n: p.shape for n, p in model_of(config, allocate=False).named_parameters()}
    ours, read = {}, set()
    for name, entry in name_map(config).items():
        found = [_find(theirs, part) for part in entry.names]
        read.update(found)
        parts = [np.asarray(theirs[part]) for part in found]
        value = np.concatenate([part.T if entry.transposed else part for part in parts])
        if value.shape != shapes[name]:
            raise InputError(
                f"state has {entry.names[0]!r} of shape {parts[0].shape}; the config asks for "
                f"{name} of shape {shapes[name]}"
            )
        ours[name] = value
    _refuse_unread(theirs, read, config)
    return ours


def _refuse_unread(theirs: dict[str, Any], read: set[str], config: Config) -> None:
    """Refuse arrays that the model would go without, and copies that are none."""
    copies, aside = _copies(config), re.compile(_ASIDE[_family(config)])
    for name in sorted(theirs.keys() - read):
        if name in copies:
            original = _find(theirs, copies[name])
            if not np.array_equal(theirs[name], theirs[original]):
                raise InputError(
                    f"state has {name!r} and {original!r}, which differ; the config makes them one"
                )
        elif not aside.fullmatch(name):
            raise InputError(
                f"state has {name!r}; a model of this config, of {config.layers} layers, does not "
                "ask for it"
            )


def _renamed(name: str) -> str:
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
        "LayerNorm.beta", "LayerNorm.bias"
    )


def _find(theirs: dict[str, Any], name: str) -> str:
    """What an array is called here: its name, or that without the model's own prefix."""
    if name in theirs:
        return name
    _, _, bare = name.partition(".")
    if bare in theirs and name.startswith(("transformer.", "bert.", "model.")):
        return bare
    raise InputError(f"state lacks {name!r}, which a model of this config needs")


def to_hf(state: dict[str, Any], config: Config) -> dict[str, np.ndarray]:
    """Their state dict out of ours (`model.state_dict()`).

    Raises:
        InputError: an array is missing or not asked for, or no architecture has this config.
    """
    theirs: dict[str, np.ndarray] = {}
    entries = name_map(config)
    for name in state.keys() - entries.keys():
        raise InputError(f"state has {name!r}, which a model of this config lacks")
    for name, entry in entries.items():
        if name not in state:
            raise InputError(f"state lacks {name!r}, which a model of this config has")
        value = to_numpy(state[name])
        parts = np.split(value, np.cumsum(entry.rows)[:-1]) if len(entry.names) > 1 else [value]
        for part_name, part in zip(entry.names, parts, strict=True):
            theirs[part_name] = np.ascontiguousarray(part.T if entry.transposed else part)
    if not config.tie:  # their untied BERT does not tie the two biases either, and reads the copy
        for name, original in _copies(config).items():
            if name.startswith("cls."):
                theirs[name] = theirs[original].copy()
    return theirs


def load_hf(folder: str | Path, dtype: Any = np.float32) -> LanguageModel:
    """The model in a Hugging Face folder: config.json and model.safetensors (or its shards).

    Args:
        folder: what their `save_pretrained` or our `save_hf` wrote.
        dtype: of the parameters, float32 or float64.

    Raises:
        InputError: a file is missing, foreign, or holds an array or a setting that the model
            would not use.
    """
    folder = Path(folder)
    config = config_from_hf(_read_json(folder / "config.json"))
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = sorted(set(_read_json(index).get("weight_map", {}).values()))
        for shard in shards:
            if Path(shard).name != shard:
                raise InputError(f"{index} names {shard!r}; a shard outside its folder is not read")
    else:
        shards = ["model.safetensors"]
    state: dict[str, np.ndarray] = {}
    for shard in shards:
        state |= read_safetensors(folder / shard)
    model = model_of(config, dtype=dtype, allocate=False)
    model.load_state_dict(from_hf(state, config))
    return model


def save_hf(model: LanguageModel, folder: str | Path) -> None:
    """Write config.json and model.safetensors as Hugging Face's `from_pretrained` reads them.

    Raises:
        InputError: the config has no Hugging Face counterpart, or the disk refuses.
    """
    from safetensors.numpy import save

    folder = Path(folder)
    fields = config_to_hf(model.config)
    content = save(to_hf(model.state_dict(), model.config), metadata={"format": "pt"})
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / "model.safetensors") as file:
        file.write(content)
    write_atomically(folder / "config.json", (json.dumps(fields, indent=2) + "\n").encode())


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"folder is {path.parent}; it must hold {path.name}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}; it must hold a JSON object")
    return content
