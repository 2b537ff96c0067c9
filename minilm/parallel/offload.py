"""Where a rank keeps what it needs once a step: beside the weights, in host memory, or in a file.

ZeRO-Offload (Ren et al. 2021, arXiv 2101.06840) leaves the optimizer's 12 bytes a parameter in the
host's memory, where the step is then computed; ZeRO-Infinity (2104.07857) in files. A file here is
mapped into memory: the system reads what the step touches, and writes it back when it likes.
"""

from pathlib import Path
from typing import Any

import numpy as np

from minilm.backend import Array, to_numpy
from minilm.errors import InputError
from minilm.files import make_folder

PLACES = ("device", "host")


class Shelf:
    """A place for arrays that are used once a step.

    Args:
        where: "device" (beside the weights), "host" or a folder for mapped files.
        rank: whose; part of the files' names.

    Attributes:
        kind: what the ledger calls the place: "device", "host" or "file".

    Raises:
        InputError: a folder that cannot be written to.
    """

    def __init__(self, where: str | Path | None, rank: int) -> None:
        where = "device" if where is None else where
        self.folder = None if where in PLACES else make_folder(where, "offload")
        self.kind = "file" if self.folder is not None else str(where)
        self._rank, self._count = rank, 0

    @property
    def away(self) -> bool:
        """Whether the step is computed by the host."""
        return self.kind != "device"

    def put(self, x: Array) -> Array:
        """The array as this place keeps it; itself, where it is there already."""
        if not self.away:
            return x
        x = to_numpy(x)
        if self.folder is None:
            return np.array(x)
        self._count += 1
        file = self.folder / f"rank-{self._rank:03d}-{self._count:04d}.bin"
        if x.size == 0:  # nothing can be mapped
            return np.array(x)
        try:
            kept: Any = np.memmap(file, x.dtype, "w+", shape=x.shape)
        except OSError as error:
            raise InputError(f"offload {str(file)!r} cannot be written: {error.strerror}") from None
        kept[...] = x
        return np.asarray(kept)  # a plain array that looks into the file
