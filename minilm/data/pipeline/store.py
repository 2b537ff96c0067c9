"""What the stages hand on, on disk: a folder for each stage, files for each part.

A file gets its name once it is whole, and a part counts as done once its tally is there, which is
written last. So after kill -9 a part is either done or done again, and nothing depends on which.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.files import atomic_file, write_atomically


class Store:
    """The working folder of one run.

    Args:
        root: the folder that `minilm data --out` names.
    """

    def __init__(self, root: str | os.PathLike) -> None:
        self.root = Path(root)
        self.work = self.root / "work"

    def folder(self, stage: str) -> Path:
        """A stage's folder, made where it is missing."""
        path = self.work / stage
        path.mkdir(parents=True, exist_ok=True)
        return path

    def path(self, stage: str, part: int | str, end: str) -> Path:
        """A file of a stage: `work/filter/00003.json`."""
        name = f"{part:05}" if isinstance(part, int) else part
        return self.folder(stage) / f"{name}{end}"

    def write_json(self, stage: str, part: int | str, value: Any) -> None:
        """Write what JSON can hold."""
        content = json.dumps(value, ensure_ascii=False, sort_keys=True)
        write_atomically(self.path(stage, part, ".json"), content.encode("utf-8", "replace"))

    def read_json(self, stage: str, part: int | str) -> Any:
        """Read it back."""
        return json.loads(self.path(stage, part, ".json").read_bytes())

    def write_array(self, stage: str, part: int | str, array: np.ndarray) -> None:
        """Write an array."""
        with atomic_file(self.path(stage, part, ".npy")) as file:
            np.save(file, array, allow_pickle=False)

    def read_array(self, stage: str, part: int | str, mapped: bool = False) -> np.ndarray:
        """Read it back; `mapped` reads only what is used."""
        path = self.path(stage, part, ".npy")
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)

    def write_lines(self, stage: str, part: int | str, rows: Iterable[dict[str, Any]]) -> None:
        """Write one JSON value a line."""
        write_lines(self.path(stage, part, ".jsonl"), rows)

    def read_lines(self, stage: str, part: int | str) -> Iterator[dict[str, Any]]:
        """Read them back one by one."""
        return read_lines(self.path(stage, part, ".jsonl"))

    def is_done(self, stage: str, part: int | str = "done") -> bool:
        """Whether a part is done, or the whole stage."""
        return (self.work / stage / f"{part:05}.json" if isinstance(part, int)
                else self.work / stage / f"{part}.json").is_file()  # fmt: skip

    def sweep(self) -> None:
        """Remove what a killed process left half written."""
        for folder in (self.root, *(p for p in self.work.glob("*") if p.is_dir())):
            for path in folder.glob(".*.*"):  # the names that `atomic_file` gives before the last
                with contextlib.suppress(OSError):
                    if path.is_file():
                        path.unlink()


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON value a line, in one step."""
    with atomic_file(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON values of a file's lines.

    Raises:
        InputError: the file is missing or was changed by somebody else.
    """
    try:
        with open(path, "rb") as file:
            for line in file:
                yield json.loads(line)
    except OSError as error:
        raise InputError(f"path {str(path)!r} cannot be read: {error.strerror}") from None
    except ValueError:
        raise InputError(f"path {str(path)!r} is damaged; prepare the corpus again") from None
