"""A lamp in one file, replaced in one step: kill -9 leaves the old one or the new one, whole."""

import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from minilm.errors import InputError
from minilm.files import write_atomically
from minilm.lamp.listener import SIZE, SYMBOLS, Listener
from minilm.lamp.turns import WINDOW, Lamp, Turn

FORMAT = 1
TABLES = ("counts", "added", "squares")


def packed(lamp: Lamp) -> bytes:
    """All that a lamp with a `Listener` knows."""
    model = lamp.model
    rest = {
        "format": FORMAT, "seed": model.seed, "trains": model.trains, "norm": model.norm,
        "examples": model.examples, "memory": model.memory, "learnt": model.learnt,
        "lit": lamp.lit, "turns": [asdict(turn) for turn in lamp.turns], "heard": lamp.heard,
    }  # fmt: skip
    out = io.BytesIO()
    text = np.frombuffer(json.dumps(rest).encode(), np.uint8)
    np.savez_compressed(out, rest=text, **{name: getattr(model, name) for name in TABLES})
    return out.getvalue()


def save(lamp: Lamp, path: str | Path) -> None:
    """Write a lamp to a file, in one step.

    Raises:
        InputError: the file cannot be written.
    """
    write_atomically(path, packed(lamp))


def load(path: str | Path, window: float = WINDOW) -> Lamp:
    """The lamp that a file holds; a new one where there is no file.

    Raises:
        InputError: the file holds something else.
    """
    lamp = Lamp(Listener(), window)
    path = Path(path)
    if not path.exists():
        return lamp
    try:
        with np.load(path, allow_pickle=False) as stored:
            rest = json.loads(stored["rest"].tobytes())
            tables = {name: stored[name] for name in TABLES}
        fits = rest["format"] == FORMAT and all(
            t.shape == (SIZE, len(SYMBOLS)) for t in tables.values()
        )
        turns = [Turn(**turn) for turn in rest["turns"]]
        model = lamp.model
        for name in ("seed", "trains", "norm", "examples", "memory", "learnt"):
            setattr(model, name, rest[name])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        fits = False
    if not fits:
        raise InputError(f"state is {str(path)!r}; it must be a file that minilm lamp wrote")
    for name, table in tables.items():
        setattr(model, name, table.astype(np.float32))
    lamp.turns, lamp.heard, lamp.lit = turns, rest["heard"], rest["lit"]
    return lamp
