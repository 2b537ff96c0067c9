"""Checkpoints: a folder whose files are each replaced in one step, so that one is always whole.

`config.json`          what the model is; `tokenizer.json`: how text becomes ids
`model.safetensors`    the weights to use: the averages, where a run keeps them
`state.safetensors`    the weights and all else that training needs, to go on
`recipe.json`          how it is trained

The two safetensors files do not need each other: whoever resumes reads only the second, whoever
generates only the first. So there is no moment at which killing the process can leave a mixture.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minilm import tokenizers
from minilm.backend import is_half, to_numpy
from minilm.errors import InputError
from minilm.files import parse_json, write_atomically
from minilm.models import Config, config_of, model_of
from minilm.models.language_model import LanguageModel
from minilm.nn import Module, is_adapted, plain_state
from minilm.tokenizers import Tokenizer
from minilm.train.ema import EMA

CONFIG, TOKENIZER, MODEL = "config.json", "tokenizer.json", "model.safetensors"
STATE, RECIPE = "state.safetensors", "recipe.json"
FORMAT = "minilm 1"


def save_arrays(path: Path, arrays: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write named arrays and a few JSON facts as one safetensors file, atomically.

    Args:
        path: the file.
        arrays: name -> array, of any device.
        facts: what else belongs to them; anything JSON can hold.

    Raises:
        InputError: the file cannot be written; the old one is untouched.
    """
    from safetensors.numpy import save

    host = {name: np.asarray(to_numpy(array), order="C") for name, array in arrays.items()}
    write_atomically(path, save(host, {"format": FORMAT, "facts": json.dumps(facts)}))


def load_arrays(
    path: Path, only_facts: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What `save_arrays` wrote: (arrays, facts); facts are empty in other programs' files.

    Args:
        path: the file.
        only_facts: leave the arrays unread.

    Raises:
        InputError: the file is missing, cut off, or not in the safetensors format.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise InputError(f"{path} is missing")
    try:
        with safe_open(path, framework="numpy") as file:
            facts = parse_json((file.metadata() or {}).get("facts", "{}").encode())
            names = [] if only_facts else file.keys()
            arrays = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, ValueError, OSError):
        raise InputError(f"{path} is half-written or not in the safetensors format") from None
    except (TypeError, AttributeError) as error:  # bfloat16 and float8, which others write
        raise InputError(f"{path} holds numbers that NumPy lacks: {error}") from None
    for name, array in arrays.items():
        if (
            array.dtype.kind not in "fiub" or "float8" in array.dtype.name
        ):  # with ml_dtypes loaded, bfloat16 can be read
            raise InputError(f"{path} holds numbers that NumPy lacks: {name!r} is {array.dtype}")
    return arrays, facts


def save_json(path: Path, content: dict[str, Any]) -> None:
    """Write a small JSON file atomically."""
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def load_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        InputError: missing, unreadable or not a JSON object.
    """
    try:
        content = parse_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} is missing") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path} {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}; it must hold a JSON object")
    return content


def refuse_taken(folder: Path) -> None:
    """Raise InputError if the folder already holds a checkpoint: nothing saved is overwritten."""
    if (folder / MODEL).exists() or (folder / STATE).exists():
        raise InputError(
            f"out is {str(folder)!r}, which already holds a checkpoint; resume it or choose "
            "another folder"
        )


def begin(folder: Path, config: Any, tokenizer: Tokenizer | None, recipe: dict) -> None:
    """Make the folder and write what does not change during training.

    Args:
        folder: where.
        config: written if it has a `to_dict`; a model of your own need not have one.
        tokenizer: written if there is one.
        recipe: JSON.

    Raises:
        InputError: the folder already holds a checkpoint, or cannot be written.
    """
    refuse_taken(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"out is {str(folder)!r}, which cannot be made: {error.strerror}"
        ) from None
    if hasattr(config, "to_dict"):
        save_json(folder / CONFIG, {"format": FORMAT, **config.to_dict()})
    save_json(folder / RECIPE, recipe)
    if tokenizer is not None:
        tokenizer.save(folder / TOKENIZER)


def save(
    folder: Path,
    model: LanguageModel,
    optimizers: list[Any],
    facts: dict[str, Any],
    ema: EMA | None = None,
) -> None:
    """Replace the checkpoint in a folder made by `begin`.

    `load` builds a plain model, so where there are adapters, rows that train or weights in fewer
    bits, it finds the sums. Weights of 16 bits are saved as the optimizers' float32 masters, so a
    checkpoint is the same kind of file whatever the run computed in.

    Args:
        folder: where.
        model: its weights are saved twice, see the top of this file.
        optimizers: their states are saved in order.
        facts: JSON: the step, the seconds spent and whatever else resuming needs.
        ema: averaged weights; `load` finds these.

    Raises:
        InputError: the disk is full or the folder is not writable; the old checkpoint is whole.
    """
    masters = {id(p): state["master"] for p, state in _states(optimizers) if "master" in state}
    weights = {name: _wide(array) for name, array in model.state_dict().items()}
    for name, p in model.named_parameters():
        if id(p) in masters:
            weights[name] = masters[id(p)]
    arrays = {f"model.{name}": array for name, array in weights.items()}
    for number, optimizer in enumerate(optimizers):
        for name, array in optimizer.state_dict().items():
            if not name.endswith(".master"):  # they are the model's own numbers
                arrays[f"optimizer.{number}.{name}"] = array
    if ema is not None:
        arrays |= {f"ema.{name}": array for name, array in ema.state_dict().items()}
    save_arrays(folder / STATE, arrays, facts)
    if isinstance(model, Module) and is_adapted(model):
        with contextlib.nullcontext() if ema is None else ema.applied():
            save_arrays(folder / MODEL, plain_state(model), facts)
    else:
        save_arrays(folder / MODEL, weights if ema is None else weights | ema.averages, facts)


def read_facts(folder: Path) -> dict[str, Any]:
    """The facts of the last `save`, without its arrays.

    Raises:
        InputError: no whole state there.
    """
    return load_arrays(folder / STATE, only_facts=True)[1]


def restore(
    folder: Path, model: LanguageModel, optimizers: list[Any], ema: EMA | None = None
) -> dict[str, Any]:
    """Bring model, optimizers and averages back to where `save` left them; returns its facts.

    Raises:
        InputError: no whole state there, or one of another model; the model is unchanged then.
    """
    arrays, facts = load_arrays(folder / STATE)
    if "step" not in facts:
        raise InputError(f"{folder / STATE} was not written by minilm")
    averages = _below("ema.", arrays)
    _check_kinds(folder, arrays, len(optimizers), averages, ema)
    before = {name: array.copy() for name, array in model.state_dict().items()}
    names = {id(p): name for name, p in model.named_parameters()}
    weights = _below("model.", arrays)
    try:
        model.load_state_dict(weights)
        for number, optimizer in enumerate(optimizers):
            own = _below(f"optimizer.{number}.", arrays)
            for index, (p, state) in enumerate(zip(optimizer.params, optimizer.state)):
                if "master" in state:
                    own[f"{index}.master"] = weights[names[id(p)]]
            optimizer.load_state_dict(own)
        if ema is not None:
            ema.load_state_dict(averages)
    except InputError as error:
        model.load_state_dict(before)
        raise InputError(f"{folder / STATE} does not fit the model: {error}") from None
    return facts


def _check_kinds(folder: Path, arrays: dict, optimizers: int, averages: dict, ema: Any) -> None:
    """Refuse a state that was saved with other optimizers, or with averages and is resumed without.

    Raises:
        InputError: it is such a state.
    """
    saved = len({name.split(".")[1] for name in arrays if name.startswith("optimizer.")})
    if saved != optimizers:
        raise InputError(
            f"{folder / STATE} holds the state of {saved} optimizers; this run has {optimizers}"
        )
    if (ema is not None) != bool(averages):
        held, wanted = ("averaged", "a number") if averages else ("no averaged", "None")
        raise InputError(
            f"{folder / STATE} holds {held} weights; ema must be {wanted} to resume it"
        )


def _states(optimizers: list[Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """(parameter, its state) of all optimizers."""
    for optimizer in optimizers:
        yield from zip(optimizer.params, optimizer.state)


def _wide(array: Any) -> Any:
    """The array as safetensors and NumPy know it: 16-bit numbers in float32."""
    return array.astype(np.float32) if is_half(array) else array


def _below(prefix: str, arrays: dict[str, Any]) -> dict[str, Any]:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def load_config(folder: str | Path) -> Config:
    """The model's config from a checkpoint folder.

    Raises:
        InputError: no such folder, no checkpoint in it, or another program's.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            f"{str(folder)!r} is not a folder; it must be one that minilm train has written"
        )
    if not (folder / CONFIG).is_file():
        raise InputError(f"{str(folder)!r} holds no checkpoint: {CONFIG} is missing")
    fields = load_json(folder / CONFIG)
    if fields.pop("format", None) != FORMAT:
        raise InputError(
            f"{folder / CONFIG} was not written by minilm; minilm.interop reads other formats"
        )
    return config_of(fields)


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """The tokenizer beside a checkpoint.

    Raises:
        InputError: it is missing or damaged.
    """
    path = Path(folder) / TOKENIZER
    if not path.is_file():
        raise InputError(f"{path} is missing: without its tokenizer the model cannot read text")
    return tokenizers.load(path)


def load(folder: str | Path) -> tuple[LanguageModel, Tokenizer]:
    """A trained model, ready to use, and its tokenizer.

    Args:
        folder: what `minilm train --out` or `train(out=...)` wrote.

    Raises:
        InputError: the folder holds no checkpoint, half of one, or another program's.
    """
    folder = Path(folder)
    config = load_config(folder)
    if not (folder / MODEL).is_file():
        raise InputError(
            f"{str(folder)!r} holds no whole checkpoint: {MODEL} is missing, so training stopped "
            "before its first save"
        )
    tokenizer = load_tokenizer(folder)
    if tokenizer.vocab_size > config.vocab_size:
        raise InputError(
            f"{folder / TOKENIZER} has {tokenizer.vocab_size} ids, the model {config.vocab_size}: "
            "they do not belong together"
        )
    model = model_of(config, allocate=False)
    weights, _ = load_arrays(folder / MODEL)
    try:
        model.load_state_dict(weights)
    except InputError as error:
        raise InputError(f"{folder / MODEL} does not fit {CONFIG}: {error}") from None
    return model.eval(), tokenizer
