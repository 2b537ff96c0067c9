"""Checkpoints of which each rank writes its share, and that any number of ranks can resume.

    shards.json                      what is where: the manifest
    step-00000040/rank-002.safetensors   the pieces of rank 2: weights and optimizer

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

MANIFEST, FORMAT = "shards.json", "minilm shards 1"


def _described(unit: Unit) -> dict[str, Any]:
    """What must be the same to resume a unit."""
    return {"names": unit.names, "shapes": [list(shape) for shape in unit.shapes]}


def save_shards(
    comm: Communicator,
    folder: str | Path,
    zero: Zero,
    facts: dict[str, Any],
    part: str = "all",
) -> None:
    """Write what the ranks keep, together.

    Args:
        comm: all ranks.
        folder: where; the same on all ranks, which see the same files.
        zero: what this rank keeps.
        facts: JSON, the same on all ranks: the step, and whatever else resuming needs.
        part: which part of a model `zero` is about, where a layout cuts it.

    Raises:
        InputError: the folder cannot be written; the checkpoint before is whole.
    """
    from safetensors.numpy import save

    folder = Path(folder)
    inside = f"step-{facts['step']:08d}"
    if comm.rank == 0:
        make_folder(folder / inside, "folder")
    comm.barrier()
    own = zero.stage > 0 or zero.comm.rank == 0  # on stage 0 all keep the same
    name = f"{inside}/rank-{comm.rank:03d}.safetensors"
    entry = {"file": name, "part": part, "low": [u.low for u in zero.all]}
    entry |= {"high": [u.high for u in zero.all], "taken": [u.optimizer.steps for u in zero.all]}
    entry["units"] = [_described(unit) for unit in zero.all]
    if own:
        arrays = {
            f"{i}.{kind}": np.ascontiguousarray(array)
            for i, unit in enumerate(zero.all)
            for kind, array in unit.state().items()
        }
        write_atomically(folder / name, save(arrays, {"format": FORMAT}))
    said = json.dumps(entry if own else None).encode()
    entries = [
        json.loads(bytes(text)) for text in comm.all_gather(np.frombuffer(said, np.uint8).copy())
    ]
    if comm.rank == 0:
        manifest = {"format": FORMAT, "facts": facts, "ranks": comm.size}
        manifest["files"] = [e for e in entries if e is not None]
        write_atomically(folder / MANIFEST, json.dumps(manifest, indent=1).encode())
        for old in folder.glob("step-*"):
            if old.name != inside:
                shutil.rmtree(old, ignore_errors=True)
    comm.barrier()


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


def load_shards(folder: str | Path, zero: Zero, part: str = "all") -> dict[str, Any]:
    """Bring a rank to where `save_shards` left the job; returns the facts.

    Args:
        folder: what `save_shards` wrote, on any number of ranks.
        zero: this rank's; its pieces are filled.
        part: as in `save_shards`.

    Raises:
        InputError: no such checkpoint, one of another model or layout, or a file is missing.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    files = [entry for entry in manifest["files"] if entry["part"] == part]
    if not files:
        parts = ", ".join(sorted({entry["part"] for entry in manifest["files"]}))
        raise InputError(
            f"{folder / MANIFEST} has the parts {parts} and not {part}; only the number of data "
            "parallel ranks may change"
        )
    wanted = [_described(unit) for unit in zero.all]
    if files[0]["units"] != wanted:
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
        end = min(high, unit.high)
        if low <= at < end:
            try:
                with safe_open(folder / entry["file"], framework="numpy") as file:
                    found.append(file.get_slice(f"{number}.{kind}")[at - low : end - low])
            except (SafetensorError, OSError) as error:
                raise InputError(f"{folder / entry['file']} cannot be read: {error}") from None
            at = end
    if at < unit.high:
        raise InputError(f"{folder / MANIFEST} lacks numbers {at} to {unit.high} of unit {number}")
    return np.concatenate(found) if found else np.empty(0, unit.dtype)
