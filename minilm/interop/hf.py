"""Hugging Face checkpoints in and out, array by array; `hf_names` says where each lies."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from minilm.backend import to_numpy
from minilm.errors import InputError
from minilm.files import atomic_file, parse_json, write_atomically
from minilm.interop.hf_config import config_from_hf
from minilm.interop.hf_config_out import config_to_hf
from minilm.interop.hf_experts import check_experts, one_by_one
from minilm.interop.hf_mamba import (
    mamba_config_from_hf,
    mamba_config_to_hf,
    mamba_from_hf,
    mamba_to_hf,
)
from minilm.interop.hf_names import copies_of, kind_of, left_aside, name_map
from minilm.interop.hf_together import gates_apart, gates_together, renamed
from minilm.interop.safetensors import read_safetensors
from minilm.models import Config, MambaConfig, model_of
from minilm.models.language_model import LanguageModel


def from_hf(
    state: dict[str, Any], config: Config | MambaConfig, model_type: str | None = None
) -> dict[str, np.ndarray]:
    """Our state dict out of theirs.

    Args:
        state: Hugging Face name -> array (anything NumPy can read). Names without the model's
            own prefix ("transformer.", "bert."), BERT's old gamma / beta and Mixtral's experts in
            one array (as `transformers` holds them in memory) are understood; buffers, equal
            copies of tied weights and BERT's next-sentence head are left aside.
        config: what the arrays are for.
        model_type: whose names these are, such as "phi3"; None: the first that has this config.

    Raises:
        InputError: an array is missing, has another shape than the config asks for, or is not
            asked for; a copy differs from what the config ties it to.
    """
    if _is_mamba(config, model_type):
        return mamba_from_hf(state, config)
    kind = kind_of(config, model_type)
    theirs = {renamed(name, kind): value for name, value in state.items()}
    if kind == "phi3":
        theirs = gates_apart(theirs)
    if config.experts is not None:
        theirs = one_by_one(theirs)
        check_experts(theirs, config)
    shapes = {n: p.shape for n, p in model_of(config, allocate=False).named_parameters()}
    ours, read = {}, set()
    for name, entry in name_map(config, kind).items():
        found = [_find(theirs, part) for part in entry.names]
        read.update(found)
        parts = [np.asarray(theirs[part]) for part in found]
        value = entry.ours(parts)
        if value.shape != shapes[name]:
            raise InputError(
                f"state has {entry.names[0]!r} of shape {parts[0].shape}; the config asks for "
                f"{name} of shape {shapes[name]}"
            )
        ours[name] = value
    _refuse_unread(theirs, read, config, kind)
    return ours


def _is_mamba(config: Config | MambaConfig, model_type: str | None) -> bool:
    """Whether `hf_mamba` has the names, which no other model type shares."""
    if not isinstance(config, MambaConfig):
        return False
    if model_type not in (None, "mamba"):
        raise InputError(f"model_type is {model_type!r}; for a Mamba it must be None or 'mamba'")
    return True


def _refuse_unread(theirs: dict[str, Any], read: set[str], config: Config, kind: str) -> None:
    """Refuse arrays that the model would go without, and copies that are none."""
    copies, aside = copies_of(config, kind), re.compile(left_aside(config, kind))
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


_PREFIXES = ("transformer.", "bert.", "model.", "gpt_neox.")


def _find(theirs: dict[str, Any], name: str) -> str:
    """What an array is called here: its name, or that without the model's own prefix."""
    if name in theirs:
        return name
    _, _, bare = name.partition(".")
    if bare in theirs and name.startswith(_PREFIXES):
        return bare
    raise InputError(f"state lacks {name!r}, which a model of this config needs")


def to_hf(
    state: dict[str, Any], config: Config | MambaConfig, model_type: str | None = None
) -> dict[str, np.ndarray]:
    """Their state dict out of ours (`model.state_dict()`).

    Args:
        state: our name -> array.
        config: what the arrays are of.
        model_type: as in `from_hf`.

    Raises:
        InputError: an array is missing or not asked for, or no architecture has this config.
    """
    if _is_mamba(config, model_type):
        return mamba_to_hf(state, config)
    theirs: dict[str, np.ndarray] = {}
    kind = kind_of(config, model_type)
    entries = name_map(config, kind)
    for name in state.keys() - entries.keys():
        raise InputError(f"state has {name!r}, which a model of this config lacks")
    for name, entry in entries.items():
        if name not in state:
            raise InputError(f"state lacks {name!r}, which a model of this config has")
        parts = entry.theirs(to_numpy(state[name]))
        theirs |= zip(entry.names, parts, strict=True)
    if not config.tie:  # their untied BERT does not tie the two biases either, and reads the copy
        for name, original in copies_of(config, kind).items():
            if name.startswith("cls."):
                theirs[name] = theirs[original].copy()
    return gates_together(theirs) if kind == "phi3" else theirs


def load_hf(folder: str | Path, dtype: Any = np.float32) -> LanguageModel:
    """The model in a Hugging Face folder: config.json and model.safetensors (or its shards).

    Args:
        folder: what their `save_pretrained` or our `save_hf` wrote.
        dtype: of the parameters, float32 or float64.

    Returns:
        A `Transformer`, an `EncoderDecoder` or a `Mamba`.

    Raises:
        InputError: a file is missing, foreign, or holds an array or a setting that the model
            would not use.
    """
    folder = Path(folder)
    fields = _read_json(folder / "config.json")
    mamba = fields.get("model_type") == "mamba"
    config = mamba_config_from_hf(fields) if mamba else config_from_hf(fields)
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
    if isinstance(config, Config):
        config = _with_pooler_of(config, fields, state)
    model = model_of(config, dtype=dtype, allocate=False)
    model.load_state_dict(from_hf(state, config, fields["model_type"]))
    return model


def _with_pooler_of(config: Config, fields: dict[str, Any], state: dict[str, Any]) -> Config:
    """The config, with a pooler where the file has one and config.json does not say whether.

    Both classes are saved with and without it: bert-base-uncased calls itself a BertForMaskedLM.
    """
    named = (fields.get("architectures") or [None])[0] in ("BertForMaskedLM", "BertModel")
    if not named or "add_pooling_layer" in fields:
        return config
    return config.replace(pooler=any(name.endswith("pooler.dense.weight") for name in state))


def save_hf(model: LanguageModel, folder: str | Path, model_type: str | None = None) -> None:
    """Write config.json and model.safetensors as Hugging Face's `from_pretrained` reads them.

    Args:
        model: what to save.
        folder: where to; made if it is not there.
        model_type: of theirs, for configs that several have: a Phi-3 saved as "phi3" keeps its
            arrays in one piece, and is a "llama" or "mistral" otherwise.

    Raises:
        InputError: the config has no Hugging Face counterpart, or the disk refuses.
    """
    from safetensors.numpy import save

    folder = Path(folder)
    if _is_mamba(model.config, model_type):
        fields = mamba_config_to_hf(model.config)
    else:
        fields = config_to_hf(model.config, model_type)
    arrays = to_hf(model.state_dict(), model.config, fields["model_type"])
    content = save(arrays, metadata={"format": "pt"})
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / "model.safetensors") as file:
        file.write(content)
    write_atomically(folder / "config.json", (json.dumps(fields, indent=2) + "\n").encode())


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"folder is {path.parent}; it must hold {path.name}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path} {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}; it must hold a JSON object")
    return content
