"""A larger vocabulary for a model that has learnt a smaller one."""

from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.models.build import model_of


def grow_vocabulary(model: Any, vocab_size: int) -> Any:
    """A copy of the model with more tokens, each of which begins as the mean of the old ones.

    So a new token is at first as likely as an average one, and moves no other's share by much
    (Hewitt 2021, "Initializing new word embeddings for pretrained language models").

    Args:
        model: a plain language model, without adapters.
        vocab_size: of the copy, at least the model's own.

    Returns:
        the copy; the model itself where the size is its own.

    Raises:
        InputError: a size below the model's.
    """
    old = model.config.vocab_size
    if vocab_size < old:
        raise InputError(f"vocab_size is {vocab_size}; it must be at least the model's, {old}")
    if vocab_size == old:
        return model
    dtype = model.tokens.weight.dtype
    grown = model_of(model.config.replace(vocab_size=vocab_size), dtype=dtype, allocate=False)
    shapes = {name: p.shape for name, p in grown.named_parameters()}
    state = {}
    for name, array in model.state_dict().items():
        more = shapes[name][0] - len(array)
        new = np.repeat(array.mean(axis=0, keepdims=True), more, axis=0)
        state[name] = np.concatenate([array, new]) if more else array
    grown.load_state_dict(state)
    return grown
