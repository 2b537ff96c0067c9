"""Dropout whose random numbers depend on names, not on the order of calls."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minilm import backend
from minilm import functional as F
from minilm.errors import InputError
from minilm.nn.module import Module
from minilm.tensor import Tensor


class _Key(threading.local):
    """What this thread's dropout draws depend on."""

    words: tuple[int | str, ...] | None = None
    calls: int = 0


_key = _Key()


@contextlib.contextmanager
def dropout_seed(seed: int, *stream: int | str) -> Iterator[None]:
    """Inside, in this thread, every Dropout draws from (seed, stream, its own name).

    So a training step can be run again (after a resume, or by `checkpoint` in backward) and drop
    the same numbers; a loop names the step and the shard: `with dropout_seed(seed, step, shard):`.
    """
    before, _key.words = _key.words, (seed, *stream)
    try:
        yield
    finally:
        _key.words = before


def same_draws(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with the dropout of every call drawing what it would draw now.

    `checkpoint` calls a function again in backward, which may be after `dropout_seed` has ended.
    """
    words, calls = _key.words, _key.calls

    def again(*args: Any, **kwargs: Any) -> Any:
        before = _key.words, _key.calls
        _key.words, _key.calls = words, calls
        try:
            return function(*args, **kwargs)
        finally:
            _key.words, _key.calls = before[0], max(before[1], _key.calls)

    return again


def draws(kind: str, name: str) -> np.random.Generator:
    """The generator of one layer in one forward pass: it depends on `dropout_seed` and the name.

    Args:
        kind: what the numbers are for, "dropout" or another word.
        name: tells this layer's draws from those of others of its kind.
    """
    if _key.words is None:
        _key.calls += 1
        return backend.rng(0, kind, _key.calls)
    return backend.rng(_key.words[0], kind, *_key.words[1:], name)


class Dropout(Module):
    """Sets numbers to 0 with probability p in training, and divides the rest by 1 - p.

    Args:
        p: from 0 to 1; 1 drops everything.
        name: tells this layer's draws from those of others (Srivastava et al. 2014).

    Raises:
        InputError: p out of range.
    """

    def __init__(self, p: float, name: str = "") -> None:
        if not 0 <= p <= 1:
            raise InputError(f"p is {p}; it must be a probability, from 0 to 1")
        self.p, self.name = p, name

    def forward(self, x: Tensor) -> Tensor:
        if self.p == 0 or not self.training:
            return x
        return F.dropout(x, self.p, draws("dropout", self.name), True)
