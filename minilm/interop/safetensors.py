"""Reading safetensors files into NumPy, bfloat16 included."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from minilm.errors import InputError

READ = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL")


def read_safetensors(path: str | Path) -> dict[str, np.ndarray]:
    """Every array of a safetensors file; bfloat16 becomes float32, which holds it exactly.

    Raises:
        InputError: the file is missing, cut off, or not a safetensors file; or it holds numbers
            of another kind, such as float8, whose scale lies in another array.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise InputError(f"path is {path}; there must be a safetensors file")
    arrays: dict[str, np.ndarray] = {}
    try:
        with safe_open(str(path), framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118 - a safe_open is not a mapping
                kind = file.get_slice(name).get_dtype()
                if kind not in READ:
                    raise InputError(
                        f"{path} holds {name!r} as {kind}; it must be one of {', '.join(READ)}"
                    )
                arrays[name] = _bfloat16(path, name) if kind == "BF16" else file.get_tensor(name)
    except SafetensorError as error:
        raise InputError(f"{path} is not a whole safetensors file: {error}") from None
    return arrays


_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}


def map_safetensors(path: str | Path) -> dict[str, np.ndarray]:
    """Every array of a safetensors file as a view of the file: read when it is looked at.

    Raises:
        InputError: as `read_safetensors`; numbers that have no NumPy type (bfloat16) too.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise InputError(f"path is {path}; there must be a safetensors file")
    try:
        with safe_open(str(path), framework="numpy"):
            pass  # its header and its length are as they should be
    except SafetensorError as error:
        raise InputError(f"{path} is not a whole safetensors file: {error}") from None
    start, entries = _header(path)
    arrays: dict[str, np.ndarray] = {}
    for name, entry in entries.items():
        if name == "__metadata__":
            continue
        kind = entry["dtype"]
        if kind not in _TYPES:
            raise InputError(f"{path} holds {name!r} as {kind}; it must be {', '.join(_TYPES)}")
        where = {"offset": start + entry["data_offsets"][0], "shape": tuple(entry["shape"])}
        arrays[name] = np.memmap(path, _TYPES[kind], "r", **where)
    return arrays


def _header(path: Path) -> tuple[int, dict]:
    """Where the numbers of a safetensors file begin, and what it says of each array."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return 8 + length, json.loads(file.read(length))


def _bfloat16(path: Path, name: str) -> np.ndarray:
    """One bfloat16 array as float32: its 16 bits are the upper half of a float32's."""
    start, entries = _header(path)
    entry = entries[name]
    first, last = entry["data_offsets"]
    with path.open("rb") as file:
        file.seek(start + first)
        bits = np.frombuffer(file.read(last - first), "<u2")
    values = (bits.astype(np.uint32) << 16).view(np.float32)
    return values.reshape(entry["shape"])  # (n,) -> the array's own shape
