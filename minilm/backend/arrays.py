"""NumPy or CuPy: which one an array belongs to, and what the user is told without a GPU."""

import sys
from types import ModuleType
from typing import Any

import numpy as np

from minilm.errors import InputError, install

Array = Any  # numpy.ndarray or cupy.ndarray


def xp_of(array: Array) -> ModuleType:
    """The module (numpy or cupy) whose functions take this array."""
    if isinstance(array, np.ndarray):
        return np
    return sys.modules["cupy"] if type(array).__module__.startswith("cupy") else np


def cupy() -> ModuleType:
    """CuPy, ready to use.

    Raises:
        InputError: CuPy is not installed, or it finds no GPU; each has a sentence of its own.
    """
    try:
        import cupy as cp
    except ImportError:
        raise InputError(
            "device 'cuda' needs CuPy, which is not installed: "
            f"{install('cuda12')}, or 'cuda13' for CUDA 13"
        ) from None
    if _count(cp) == 0:
        raise InputError("device 'cuda' needs an NVIDIA GPU and its driver; CuPy finds neither")
    return cp


def _count(cp: ModuleType) -> int:
    try:
        return cp.cuda.runtime.getDeviceCount()
    except cp.cuda.runtime.CUDARuntimeError:
        return 0


def on_gpu(device: str) -> bool:
    """Whether a device name means a GPU, present or not.

    Raises:
        InputError: the name of no device.
    """
    kind, colon, number = device.partition(":")
    if device == "cpu":
        return False
    if kind == "cuda" and (number.isdecimal() if colon else True):
        return True
    raise InputError(f"device is {device!r}; allowed are 'cpu', 'cuda' and 'cuda:1', 'cuda:2', ...")


def array_module(device: str) -> ModuleType:
    """numpy for `"cpu"`, cupy for `"cuda"`.

    `"cuda:1"` makes that GPU the current one of this thread, where new arrays then live.

    Raises:
        InputError: the name of no device, or of a GPU that this machine does not have.
    """
    if not on_gpu(device):
        return np
    cp = cupy()
    number = device.partition(":")[2]
    if number:
        count = _count(cp)
        if int(number) >= count:
            there = "only GPU is cuda:0" if count == 1 else f"GPUs are cuda:0 to cuda:{count - 1}"
            raise InputError(f"device is {device!r}; this machine's {there}")
        cp.cuda.Device(int(number)).use()
    return cp


def to_numpy(array: Array) -> np.ndarray:
    """The array in host memory: itself, or a copy of a GPU array."""
    return array if isinstance(array, np.ndarray) else xp_of(array).asnumpy(array)
