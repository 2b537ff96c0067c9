"""Checkpoints of which each rank writes its share, and that any number of ranks can resume.

    shards.json                      what is where: the manifest
    step-00000040/rank-002.safetensors   the pieces of rank 2: weights and optimizer

A layout cuts a model into parts, such as a stage of a pipeline or some of its experts, and the
ranks that have the same part share it out among them.

A unit is one flat array in an order that its parameters' names fix, so another number of ranks
cuts it elsewhere and reads what it needs from the files that overlap its pieces. The manifest is
replaced in one step once all files are there: a job that is killed leaves this checkpoint or the
one before.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from minilm.backend import Array
from minilm.errors import InputError
from minilm.files import make_folder, parse_json, write_atomically
from minilm.parallel.communicator import Communicator
from minilm.parallel.units import Unit
from minilm.parallel.zero import Zero

MANIFEST, FORMAT = "shards.json", "minilm shards 2"


def _described(unit: Unit) -> dict[str, Any]:
    """What must be the same to resume a unit."""
    return {"names": unit.names, "shapes": [list(shape) for shape in unit.shapes]}


def save_shards(
    comm: Communicator, folder: str | Path, kept: dict[str, Zero], facts: dict[str, Any]
) -> None:
    """Write what the ranks keep, together.

    Args:
        comm: all ranks.
        folder: where; the same on all ranks, which see the same files.
        kept: name of a part of the model -> what this rank keeps of it; {"all": zero} where no
            layout cuts the model. Every rank has as many parts.
        facts: JSON, the same on all ranks: the step, and whatever else resuming needs.

    Raises:
        InputError: the folder cannot be written; the checkpoint before is whole.
    """
    from safetensors.numpy import save

    folder = Path(folder)
    inside = f"step-{facts['step']:08d}"
    if comm.rank == 0:
        make_folder(folder / inside, "folder")
    comm.barrier()
    name = f"{inside}/rank-{comm.rank:03d}.safetensors"
    entries, arrays = [], {}
    for part, zero in kept.items():
        if zero.stage == 0 and zero.comm.rank > 0:  # on stage 0 all keep the same
            continue
        entry: dict[str, Any] = {"file": name, "part": part}
        entry |= {"low": [u.low for u in zero.all], "high": [u.high for u in zero.all]}
        entry["taken"] = [u.optimizer.steps for u in zero.all]
        entry["units"] = [_described(unit) for unit in zero.all]
        entries.append(entry)
        for i, unit in enumerate(zero.all):
            for kind, array in unit.state().items():
                arrays[_key(part, i, kind)] = np.ascontiguousarray(array)
    if entries:
        write_atomically(folder / name, save(arrays, {"format": FORMAT}))
    said = np.frombuffer(json.dumps(entries).encode(), np.uint8).copy()
    files = [entry for text in comm.all_gather(said) for entry in json.loads(bytes(text))]
    if comm.rank == 0:
        manifest = {"format": FORMAT, "facts": facts, "ranks": comm.size, "files": files}
        write_atomically(folder / MANIFEST, json.dumps(manifest, indent=1).encode())
        for old in folder.glob("step-*"):
            if old.name != inside:
                shutil.rmtree(old, ignore_errors=True)
    comm.barrier()


def _key(part: str, number: int, kind: str) -> str:
    """What an array of a unit is called in a file."""
    return f"{part}.{number}.{kind}"


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest of a sharded checkpoint: its facts, the ranks that wrote it, and its files.

    Raises:
        InputError: there is none, or not one of ours.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise InputError(f"{str(folder)!r} holds no sharded checkpoint: {MANIFEST} is missing")
    try:
        manifest = parse_json(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} {error}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"{path} was not written by minilm")
    return manifest


def load_shards(folder: str | Path, kept: dict[str, Zero]) -> dict[str, Any]:
    """Bring a rank to where `save_shards` left the job; returns the facts.

    Args:
        folder: what `save_shards` wrote, on any number of ranks.
        kept: as in `save_shards`; the pieces of this rank are filled.

    Raises:
        InputError: no such checkpoint, one of another model or layout, or a file is missing.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    for part, zero in kept.items():
        files = [entry for entry in manifest["files"] if entry["part"] == part]
        if not files:
            parts = ", ".join(sorted({entry["part"] for entry in manifest["files"]}))
            raise InputError(
                f"{folder / MANIFEST} has the parts {parts} and not {part}; only the number of "
                "data parallel ranks may change"
            )
        if files[0]["units"] != [_described(unit) for unit in zero.all]:
            raise InputError(f"{folder / MANIFEST} is of another model, or of one cut otherwise")
        for i, unit in enumerate(zero.all):
            arrays = {
                kind: _stretch(folder, files, i, kind, unit) for kind in unit.state()
            }  # (piece,) each
            unit.load(arrays, files[0]["taken"][i])
        if zero.stage == 3:
            for unit in zero.rest:
                unit.let_go()
                unit.gather()
    return manifest["facts"]


def _stretch(folder: Path, files: list[dict], number: int, kind: str, unit: Unit) -> Array:
    """The numbers of a unit's own piece, from the files that overlap it."""
    from safetensors import SafetensorError, safe_open

    found, at = [], unit.low
    for entry in sorted(files, key=lambda entry: entry["low"][number]):
        low, high = entry["low"][number], entry["high"][number]
        end, key = min(high, unit.high), _key(entry["part"], number, kind)
        if low <= at < end:
            try:
                with safe_open(folder / entry["file"], framework="numpy") as file:
                    found.append(file.get_slice(key)[at - low : end - low])
            except (SafetensorError, OSError) as error:
                raise InputError(f"{folder / entry['file']} cannot be read: {error}") from None
            at = end
    if at < unit.high:
        raise InputError(f"{folder / MANIFEST} lacks numbers {at} to {unit.high} of unit {number}")
    return np.concatenate(found) if found else np.empty(0, unit.dtype)
