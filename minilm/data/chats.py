"""Conversations as batches for supervised fine-tuning: what is read, and which of it is learnt."""

from collections.abc import Sequence

import numpy as np

from minilm.backend import IGNORE
from minilm.errors import InputError
from minilm.tokenizers.base import Tokenizer
from minilm.tokenizers.chat import CHATML, Form, Message, encode_chat


def chat_batch(
    tokenizer: Tokenizer,
    conversations: Sequence[Sequence[Message]],
    form: Form = CHATML,
    context: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Ids and the tokens that follow them, of which only an assistant's are scored.

    Shorter conversations are filled up on the right, where no earlier token can see it.

    Args:
        tokenizer: one whose special tokens include the markers of the format.
        conversations: lists of messages, dicts with "role" and "content".
        form: the format.
        context: longest row; what a conversation has beyond it is cut off. None: no limit.

    Returns:
        ids (B, T) int64, 0 after a conversation's end; targets (B, T) int64, shifted by one:
        targets[b, t] follows ids[b, t]. They are `minilm.backend.IGNORE` (-100) wherever that is
        not an answer or the end of one, so `model.loss(ids, targets)` learns to answer.

    Raises:
        InputError: no conversation; one in which nothing is scored, or nothing within the context;
            as `encode_chat`.
    """
    if not len(conversations):
        raise InputError("conversations is empty; a batch has at least one")
    if context is not None and context < 1:
        raise InputError(f"context is {context}; it must be 1 or more, or None")
    rows = [encode_chat(tokenizer, messages, form) for messages in conversations]
    longest = max(len(ids) for ids, _ in rows) - 1
    longest = longest if context is None else min(longest, context)
    ids = np.zeros((len(rows), max(longest, 0)), np.int64)
    targets = np.full(ids.shape, IGNORE, np.int64)
    for i, (own, said) in enumerate(rows):
        length = min(len(own) - 1, longest)
        ids[i, :length] = own[:length]
        targets[i, :length] = np.where(said[1:], own[1:], IGNORE)[:length]
        if not (targets[i] != IGNORE).any():
            within = "" if context is None else f" among its first {context + 1} tokens"
            raise InputError(f"conversations[{i}] has no answer of an assistant{within} to learn")
    return ids, targets
