"""Token files: ids on disk, mapped into memory, so that a corpus larger than memory can be read.

Layout: 8 bytes `MINILMTK`, then JSON padded with spaces to 248 bytes, then the ids,
little-endian, uint16 where the vocabulary fits and uint32 otherwise. The file gets its name once
it is whole.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from minilm.errors import InputError
from minilm.files import atomic_file, parse_json

_MAGIC = b"MINILMTK"
_HEADER = 256


class TokenFile:
    """Ids on disk, read as an array.

    Args:
        path: a file written by `TokenFile.write`.

    Attributes:
        tokens: the ids, uint16 or uint32 (T,), read-only and mapped: only what is used is read.
        vocab_size: one more than the largest id that may occur.

    Raises:
        InputError: no such file, not a token file, or one that was cut off.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        try:
            with open(self.path, "rb") as file:
                head = file.read(_HEADER)
                size = os.fstat(file.fileno()).st_size
        except OSError as error:
            raise InputError(f"path {str(path)!r} cannot be read: {error.strerror}") from None
        if not head.startswith(_MAGIC):
            raise InputError(f"path {str(path)!r} is not a token file of minilm")
        try:
            about = parse_json(head[len(_MAGIC) :])
            dtype = np.dtype({2: "<u2", 4: "<u4"}[about["bytes"]])
            count, self.vocab_size = int(about["count"]), int(about["vocab_size"])
        except (ValueError, KeyError, TypeError):
            raise InputError(f"path {str(path)!r} has a damaged header; write it again") from None
        if len(head) < _HEADER or size != _HEADER + count * dtype.itemsize:
            raise InputError(
                f"path {str(path)!r} holds {max(0, size - _HEADER)} bytes of ids instead of "
                f"{count * dtype.itemsize}; write it again"
            )
        self.tokens = np.memmap(self.path, dtype, "r", offset=_HEADER, shape=(count,))

    def __len__(self) -> int:
        return self.tokens.size

    @staticmethod
    def write(
        path: str | os.PathLike, ids: np.ndarray | Iterable[np.ndarray], vocab_size: int
    ) -> "TokenFile":
        """Write ids, or several arrays of them one after the other, and open the file.

        Args:
            path: the file; an old one stays whole until the new one is.
            ids: whole numbers (T,), or several such arrays.
            vocab_size: one more than the largest id that may occur.

        Raises:
            InputError: no ids, ids out of range, or a file that cannot be written.
        """
        dtype = np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")
        count = 0
        with atomic_file(path) as file:
            file.write(b" " * _HEADER)
            for part in [ids] if isinstance(ids, np.ndarray) else ids:
                part = np.asarray(part)
                if part.size and not 0 <= int(part.min()) <= int(part.max()) < vocab_size:
                    raise InputError(
                        f"ids holds {part.min()} to {part.max()}; "
                        f"with vocab_size {vocab_size} they must be 0 to {vocab_size - 1}"
                    )
                file.write(part.astype(dtype).tobytes())
                count += part.size
            if count == 0:
                raise InputError("ids is empty; a token file holds at least one")
            about = {"bytes": dtype.itemsize, "count": count, "vocab_size": int(vocab_size)}
            file.seek(0)
            file.write(_MAGIC + json.dumps(about).encode().ljust(_HEADER - len(_MAGIC)))
        return TokenFile(path)
