"""Memory in which a worker gets the arrays of a call, and in which they are seen from outside.

Whether an argument was left alone is then read off the argument itself, whatever the worker says.
"""

import mmap
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.sandbox.inside import wire

SIZE = 32 << 20  # bytes
ALIGNED = 64


class Shared:
    """A piece of memory that a worker inherits; filled from its start, emptied by `forget`."""

    def __init__(self, file: int) -> None:
        self.file, self.size = file, SIZE
        os.ftruncate(file, SIZE)
        self.memory = np.frombuffer(mmap.mmap(file, SIZE), np.uint8)
        self.used = 0

    @classmethod
    def made(cls) -> "Shared | None":
        """A new one, or None where the system has none to give."""
        if not hasattr(os, "memfd_create"):
            return None
        try:
            return cls(os.memfd_create("minilm", os.MFD_CLOEXEC))
        except OSError:
            return None

    def close(self) -> None:
        """Close the file; the memory stays as long as it is used."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def forget(self) -> None:
        """Let go of all arrays."""
        self.used = 0

    def put(self, array: np.ndarray) -> list | None:
        """Copy an array in; where it lies, as the wire says it, or None where there is no room."""
        start = -(-self.used // ALIGNED) * ALIGNED
        if start + array.nbytes > SIZE:
            return None
        self.used = start + array.nbytes
        place = [array.dtype.str, list(array.shape), start]
        wire.shared_array(self.memory, place)[...] = array
        return place


class SharedPack(wire.Pack):
    """Packs the arguments of a call; arrays lie in shared memory where they fit."""

    def __init__(self, other: Any, shared: Shared) -> None:
        super().__init__(other)
        self.shared = shared
        self.placed: dict[int, tuple[np.ndarray, list]] = {}  # by id: the array sent, its place

    def array(self, value: np.ndarray, mark: str, original: Any = None) -> dict[str, Any]:
        if mark != "a" or value.dtype.str not in wire.DTYPES:
            return super().array(value, mark, original)
        if id(original) not in self.placed:
            place = self.shared.put(value)
            if place is None:
                return super().array(value, mark, original)
            self.placed[id(original)] = original, place
        return {"m": self.placed[id(original)][1]}

    def truth(self, given: Any, said: Any, top: bool = True) -> Any:
        """What an argument is afterwards: what lies there, and only else what the worker says.

        An array by itself is what its memory holds. In a list or a dictionary, where it may have
        been replaced by another one, its memory counts if that has changed.
        """
        if isinstance(given, np.ndarray):
            if id(given) not in self.placed:
                return said
            now = wire.shared_array(self.shared.memory, self.placed[id(given)][1]).copy()
            return now if top or now.tobytes() != given.tobytes() else said
        if type(given) is not type(said) or not isinstance(given, (list, tuple, dict)):
            return said
        if len(given) != len(said):
            return said
        if isinstance(given, dict):
            return {key: self._inner(given, said, key) for key in said}
        pairs: Sequence = list(zip(given, said))
        return type(given)(self.truth(mine, theirs, False) for mine, theirs in pairs)

    def _inner(self, given: dict, said: dict, key: Any) -> Any:
        return self.truth(given[key], said[key], False) if key in given else said[key]
