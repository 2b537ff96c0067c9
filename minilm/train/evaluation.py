"""Bits per byte: how well a model predicts text, comparable across tokenizers."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minilm import backend
from minilm.backend import IGNORE, xp_of
from minilm.errors import InputError
from minilm.tensor import no_grad


def bits_per_byte(
    model: Any,
    ids: np.ndarray,
    byte_lengths: np.ndarray,
    context: int | None = None,
    overlap: float = 0.5,
    batch: int = 16,
    limit: int | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> float:
    """The bits a model needs for a text, over its bytes; the first token is given, not scored.

    The text is read in windows of ``context`` tokens. Each overlaps the one before, and only what
    is new is scored, so a token is predicted from at least ``overlap * context`` before it.

    Args:
        model: a decoder.
        ids: (N,) the text's ids.
        byte_lengths: (V,) bytes that each id stands for, `tokenizer.byte_lengths`.
        context: tokens per window; None: the model's context.
        overlap: share of a window that was scored before, in [0, 1).
        batch: windows per forward.
        limit: score about this many tokens, windows evenly spread over the text; None: all.
        stopped: asked between forwards; once it says True the rest is left out.

    Returns:
        Bits per byte; 8 is what knowing nothing costs.

    Raises:
        InputError: fewer than two ids, a context beyond the model's, an overlap out of range.
    """
    context = model.config.context if context is None else context
    if not 1 <= context <= model.config.context:
        raise InputError(
            f"context is {context}; it must be from 1 to the model's, {model.config.context}"
        )
    if not 0 <= overlap < 1:
        raise InputError(f"overlap is {overlap}; it must be at least 0 and below 1")
    ids = np.asarray(ids)
    if len(ids) < 2:
        raise InputError(f"ids hold {len(ids)} tokens; to score any, at least 2 are needed")
    windows = list(_windows(len(ids) - 1, context, overlap))
    if limit is not None:
        count = max(1, min(len(windows), limit // max(1, int(context * (1 - overlap)))))
        windows = [windows[i] for i in np.linspace(0, len(windows) - 1, count).astype(int)]
    width = windows[0][1] - windows[0][0]
    batches = [windows[i : i + batch] for i in range(0, len(windows), batch)]

    def score(chosen: list[tuple[int, int, int]]) -> tuple[float, int]:
        if stopped():
            return 0.0, 0
        inputs = np.stack([ids[end - width : end] for _, end, _ in chosen])
        targets = np.stack([ids[end - width + 1 : end + 1] for _, end, _ in chosen])
        targets = targets.astype(np.int64)
        size = 0
        for row, (_, end, first) in zip(targets, chosen):
            row[: width - (end - first)] = IGNORE
            size += int(byte_lengths[ids[first + 1 : end + 1]].sum())
        xp = xp_of(model.tokens.weight.data)
        with no_grad():
            mean = model.loss(xp.asarray(inputs), xp.asarray(targets)).item()
        return mean * int((targets != IGNORE).sum()), size

    was_training = model.training
    model.eval()
    try:
        each = backend.parallel if xp_of(model.tokens.weight.data) is np else map  # a GPU is one
        scores = list(each(score, batches))
    finally:
        model.train(was_training)
    size = sum(s for _, s in scores)
    return sum(nats for nats, _ in scores) / math.log(2) / size if size else math.nan


def _windows(length: int, context: int, overlap: float) -> Iterator[tuple[int, int, int]]:
    """(first input, end, first input that is scored) until all ``length`` inputs are scored."""
    stride = max(1, context - int(context * overlap))
    scored = 0
    end = min(context, length)
    while True:
        yield max(0, end - context), end, scored
        if end == length:
            return
        scored = end
        end = min(end + stride, length)
