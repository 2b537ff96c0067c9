"""Predictors of text that need no neural network: a compressor and an n-gram model, in one unit."""

import lzma

import numpy as np

from minilm.analysis.ngram import KneserNey
from minilm.errors import InputError


def xz_bits_per_byte(known: bytes, new: bytes) -> float:
    """What `new` adds to an xz archive that already holds `known`, in bits per byte of `new`.

    The window is 64 MB (preset 9), so every phrase of `known` can be referred to.

    Args:
        known: the text to learn from.
        new: the text to be scored, not empty.

    Raises:
        InputError: `new` is empty.
    """
    if not new:
        raise InputError("new is empty; bits per byte need at least one byte")
    preset = 9 | lzma.PRESET_EXTREME
    sizes = [len(lzma.compress(data, preset=preset)) for data in (known, known + new)]
    return 8 * (sizes[1] - sizes[0]) / len(new)


def ngram_bits_per_byte(known: bytes, new: bytes, order: int = 5) -> float:
    """A modified Kneser-Ney model over bytes, trained on `known`, scored on `new`.

    Args:
        known: the text to learn from, at least `order` bytes.
        new: the text to be scored, not empty.
        order: longest n-gram; with 5, a byte is predicted from the four before it.

    Raises:
        InputError: too little of either.
    """
    if not new:
        raise InputError("new is empty; bits per byte need at least one byte")
    model = KneserNey(np.frombuffer(known, np.uint8), order)
    return float(model.bits(np.frombuffer(new, np.uint8)).mean())
