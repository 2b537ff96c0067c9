"""Optimizer state in a file that the system pages in and out (QLoRA, arXiv 2305.14314, section 3).

Two moments take twice the memory of what trains, and are looked at once a step. In a mapped file
they take memory only while the system has some to spare.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.optim.optimizer import Optimizer

_ALIGNED = 64  # bytes: what the kernels read at once


def page_state(optimizer: Any, path: str | os.PathLike) -> Any:
    """Move an optimizer's arrays into a mapped file; its steps are the same, bit for bit.

    Args:
        optimizer: on the CPU; its state is copied as it is.
        path: the file, made anew; it is of use to this process only, a checkpoint saves the state
            as ever.

    Returns:
        the optimizer itself.

    Raises:
        InputError: no optimizer, state on a GPU, or a file that cannot be made.
    """
    if not isinstance(optimizer, Optimizer):
        raise InputError(f"optimizer is a {type(optimizer).__name__}; it must be an Optimizer")
    places = [(state, name) for state in optimizer.state for name in state]
    sizes = []
    for state, name in places:
        if not isinstance(state[name], np.ndarray):
            raise InputError("optimizer has its state on a GPU; only what is on the CPU is paged")
        sizes.append(-(-state[name].nbytes // _ALIGNED) * _ALIGNED)
    try:
        with open(path, "wb") as file:
            file.truncate(max(1, sum(sizes)))
        mapped = np.memmap(Path(path), np.uint8, "r+")
    except OSError as error:
        raise InputError(f"path {str(path)!r} cannot be written: {error.strerror}") from None
    start = 0
    for (state, name), size in zip(places, sizes, strict=True):
        old = state[name]
        part = mapped[start : start + old.nbytes].view(np.ndarray)  # the kernels know plain arrays
        new = part.view(old.dtype).reshape(old.shape)
        if old.any():  # zeros are in the file already, where they take no room
            new[...] = old
        state[name] = new
        start += size
    return optimizer
