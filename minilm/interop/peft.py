"""Adapters in PEFT's format, in and out: adapter_config.json and adapter_model.safetensors.

Theirs adapt queries, keys and values one by one, ours the map that makes all three: its A has the
rows of all of theirs, its B has zeros where one does not reach. Names are those of the Hugging Face
architecture that has the model's config, or our own where none has.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from minilm import nn
from minilm.backend import rng, to_numpy, xp_of
from minilm.errors import InputError
from minilm.files import parse_json, write_atomically
from minilm.interop.hf_entry import Entry
from minilm.interop.hf_names import name_map
from minilm.interop.safetensors import read_safetensors

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_ROOT, _ROWS = "base_model.model.", "token_adapter.trainable_tokens_delta"
# What changes the formula, and is not read: anything but a false value is refused.
_FOREIGN = (
    *("use_dora", "lora_bias", "modules_to_save", "target_parameters", "layer_replication"),
    *("use_qalora", "use_bdlora", "alora_invocation_tokens", "arrow_config", "monteclora_config"),
)


def save_peft(model: Any, folder: str | Path) -> None:
    """Write a model's adapters, and the trained rows of its embedding, as PEFT reads them.

    Args:
        model: with adapters (`nn.add_lora`).
        folder: made if it is missing.

    Raises:
        InputError: a model without adapters, or a folder that cannot be written.
    """
    from safetensors.numpy import save

    adapted, entries = nn.adapters(model), _entries(model)
    if not adapted:
        raise InputError("the model has no adapters; nn.add_lora gives it some")
    arrays: dict[str, np.ndarray] = {}
    ranks: dict[str, int] = {}
    alphas: dict[str, float] = {}
    for name, each in adapted.items():
        for theirs, a, b in _apart(each, entries[f"{name}.weight"]):
            arrays[f"{_ROOT}{theirs}.lora_A.weight"] = a
            arrays[f"{_ROOT}{theirs}.lora_B.weight"] = b
            ranks[theirs], alphas[theirs] = len(a), each.scale * len(a)
    first = next(iter(ranks))
    settings: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "inference_mode": True,
        "bias": "none",
        "lora_dropout": 0.0,
        "fan_in_fan_out": any(entries[f"{name}.weight"].transposed for name in adapted),
        "r": ranks[first],
        "lora_alpha": alphas[first],
        "target_modules": list(ranks),
        "rank_pattern": {n: r for n, r in ranks.items() if r != ranks[first]},
        "alpha_pattern": {n: a for n, a in alphas.items() if a != alphas[first]},
    }
    if isinstance(model.tokens, nn.EmbeddingRows):
        table = entries["tokens.weight"].names[0].removesuffix(".weight")
        arrays[f"{_ROOT}{table}.{_ROWS}"] = to_numpy(model.tokens.rows.data)
        ids = to_numpy(model.tokens.ids.data).tolist()
        settings["trainable_token_indices"] = {table.rpartition(".")[2]: ids}
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"path {str(folder)!r} cannot be made: {error.strerror}") from None
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_atomically(folder / WEIGHTS, save(arrays, {"format": "pt"}))
    write_atomically(folder / CONFIG, (json.dumps(settings, indent=2) + "\n").encode())


def load_peft(model: Any, folder: str | Path) -> Any:
    """Give a model the adapters, and the trained rows of its embedding, that a folder holds.

    Args:
        model: the plain model that they were made for; it is frozen and adapted in place.
        folder: what PEFT's `save_pretrained` or our `save_peft` wrote.

    Returns:
        the model itself.

    Raises:
        InputError: a file is missing, foreign or of another model; nothing is changed then.
    """
    folder = Path(folder)
    settings = _read(folder / CONFIG)
    arrays = {n.removeprefix(_ROOT): a for n, a in read_safetensors(folder / WEIGHTS).items()}
    entries, used = _entries(model), set()
    maps = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    found_for: dict[str, tuple[np.ndarray, np.ndarray, float]] = {}
    for name, each in maps.items():
        entry = entries.get(f"{name}.weight")
        parts = [part.removesuffix(".weight") for part in entry.names] if entry else []
        found = {part: _pair(part, arrays) for part in parts if f"{part}.lora_A.weight" in arrays}
        if found:
            if type(each) is nn.LoRALinear:
                raise InputError(f"the model's {name} has an adapter already; it must be plain")
            found_for[name] = _joined(each, name, entry, found, settings)
            used |= {f"{part}.lora_{side}.weight" for part in found for side in "AB"}
    table = entries["tokens.weight"].names[0].removesuffix(".weight")
    rows = arrays.get(f"{table}.{_ROWS}")
    ids = settings.get("trainable_token_indices") or []
    ids = ids if isinstance(ids, list) else next(iter(ids.values()), [])
    if rows is not None:
        used.add(f"{table}.{_ROWS}")
        if rows.shape != (len(ids), model.config.channels):
            raise InputError(
                f"{table}.{_ROWS} has shape {rows.shape}; for the {len(ids)} tokens of "
                f"trainable_token_indices it must be {(len(ids), model.config.channels)}"
            )
    for name in sorted(arrays.keys() - used):
        raise InputError(f"{folder / WEIGHTS} holds {name!r}, for which the model has no place")
    if not used:
        raise InputError(f"{folder / WEIGHTS} holds no adapter")
    if rows is not None:
        nn.train_rows(model, ids)
        _fill(model.tokens.rows, rows)
    model.requires_grad_(False)
    for name, (a, b, scale) in found_for.items():
        adapter = nn.LoRALinear(maps[name], len(a), scale * len(a), rng(0, "peft"))
        _fill(adapter.A, a)
        _fill(adapter.B, b)
        model.replace_modules({name: adapter})
    if rows is not None:
        model.tokens.thaw()
    return model


def _entries(model: Any) -> dict[str, Entry]:
    """Where each array of the plain model is kept: by Hugging Face's names, or by our own."""
    try:
        return name_map(model.config)
    except InputError:
        return {name: Entry((name,)) for name in nn.plain_state(model)}


def _apart(layer: nn.LoRALinear, entry: Entry) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(their module, A, B) of each of their maps that ours adapts; zeros are left out."""
    a, b = to_numpy(layer.A.data), to_numpy(layer.B.data)  # (r, in), (out, r)
    b = b if entry.order is None else b[np.argsort(entry.order)]
    if len(entry.names) == 1:
        return [(entry.names[0].removesuffix(".weight"), a, b)]
    parts = np.split(b, np.cumsum(entry.rows)[:-1])
    found = []
    for name, part in zip(entry.names, parts, strict=True):
        heard = part.any(axis=0) if b.any() else np.ones(len(a), bool)  # (rows, r) -> (r,)
        if heard.any():
            found.append((name.removesuffix(".weight"), a[heard], part[:, heard]))
    return found


def _joined(
    base: nn.Linear,
    name: str,
    entry: Entry,
    found: dict[str, tuple[np.ndarray, np.ndarray]],
    settings: dict[str, Any],
) -> tuple[np.ndarray, np.ndarray, float]:
    """A (r, in), B (out, r) and the factor of one adapter, for a map that is several of theirs."""
    names = [part.removesuffix(".weight") for part in entry.names]
    rows = entry.rows or (base.out_features,)
    scales = {part: _scale(part, len(a), settings) for part, (a, _) in found.items()}
    scale = next(iter(scales.values()))
    shared = len(found) == len(names) and len({a.tobytes() for a, _ in found.values()}) == 1
    a = next(iter(found.values()))[0] if shared else np.concatenate([a for a, _ in found.values()])
    b = np.zeros((sum(rows), len(a)), a.dtype)
    top = left = 0
    for part, height in zip(names, rows, strict=True):
        if part in found:
            one, other = found[part]
            if one.shape[1] != base.in_features or other.shape != (height, len(one)):
                raise InputError(
                    f"the adapter of {part!r} has shapes {one.shape} and {other.shape}; with the "
                    f"model's {name} they must be (r, {base.in_features}) and ({height}, r)"
                )
            width = 0 if shared else left
            b[top : top + height, width : width + len(one)] = other * (scales[part] / scale)
            left += len(one)
        top += height
    return a, b if entry.order is None else b[entry.order], scale


def _pair(part: str, arrays: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    try:
        return arrays[f"{part}.lora_A.weight"], arrays[f"{part}.lora_B.weight"]
    except KeyError as error:
        raise InputError(f"the adapter of {part!r} lacks {error}") from None


def _fill(parameter: nn.Parameter, array: np.ndarray) -> None:
    parameter.data[...] = xp_of(parameter.data).asarray(array)


def _scale(part: str, rank: int, settings: dict[str, Any]) -> float:
    """The factor of an adapter: alpha / r, or alpha / sqrt(r) where "rslora" was chosen."""
    alpha = settings["lora_alpha"]
    for name, own in (settings.get("alpha_pattern") or {}).items():
        if re.fullmatch(rf"(.*\.)?({name})", part):
            alpha = own
            break
    return alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)


def _read(path: Path) -> dict[str, Any]:
    """The settings of an adapter that this package can run.

    Raises:
        InputError: missing, foreign, or with something that changes the formula.
    """
    try:
        settings = parse_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"path {str(path)!r} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"path {str(path)!r} {error}") from None
    if not isinstance(settings, dict) or settings.get("peft_type") != "LORA":
        kind = settings.get("peft_type") if isinstance(settings, dict) else None
        raise InputError(f"{path} has the peft_type {kind!r}; it must be 'LORA'")
    for name in _FOREIGN:
        if settings.get(name):
            raise InputError(f"{path} has {name} {settings[name]!r}; it must be off")
    if settings.get("bias", "none") != "none":
        raise InputError(f"{path} has bias {settings['bias']!r}; it must be 'none'")
    if not isinstance(settings.get("lora_alpha"), int | float):
        raise InputError(f"{path} lacks lora_alpha, a number")
    return settings
