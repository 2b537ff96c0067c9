"""Chats with the real cache: tokens and seconds of whole talks, and keys that move."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from minilm.inference import ContiguousCache
from minilm.models import Transformer
from minilm.tensor import no_grad

Array = np.ndarray


def chat(model: Transformer, talk: Sequence[tuple[Array, Array]]) -> list[int]:
    """Hold a chat with the real cache; returns the tokens computed so far, turn by turn."""
    both_ways = model.config.kind == "prefix-lm"
    cache = ContiguousCache(model.config, 1, sum(len(asked) + len(said) for asked, said in talk))
    history, counted = np.zeros(0, int), [0]

    def read(ids: Array, **how: int) -> None:
        model(ids[None], cache=cache, **how)  # (1, T)
        counted[-1] += len(ids)

    with no_grad():
        for asked, said in talk:
            if both_ways:  # all of it is the input, and the input is read again
                cache.reset()
                read(np.concatenate([history, asked]), prefix=len(history) + len(asked))
            else:
                read(asked)
            for word in said:  # one after the other, as a model writes
                read(word[None])
            history = np.concatenate([history, asked, said])
            counted.append(counted[-1])
    return counted[:-1]


def clock(models: Sequence[Transformer], talks: Sequence[Any]) -> Array:
    """(talks, models): seconds of whole chats."""
    seconds = []
    for talk in talks:
        for model in models:
            began = time.perf_counter()
            chat(model, talk)
            seconds.append(time.perf_counter() - began)
    return np.array(seconds).reshape(len(talks), len(models))


def moved(model: Transformer, first: Array, second: Array) -> list[float]:
    """Per layer: how far the keys of a message move when a second one follows, relative."""
    config, keys = model.config, []
    for ids in (first, np.concatenate([first, second])):
        cache = ContiguousCache(config, 1, len(ids))
        how = {"prefix": len(ids)} if config.kind == "prefix-lm" else {}
        with no_grad():
            model(ids[None], cache=cache, **how)
        cache.truncate(len(first))
        nothing = np.zeros((1, config.G, 0, config.D), np.float32)
        keys.append([cache.append(layer, nothing, nothing)[0] for layer in range(config.layers)])
    return [float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(*keys, strict=True)]
