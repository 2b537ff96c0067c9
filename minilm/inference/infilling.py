"""A model that learnt on texts with holes fills one: what stands between a prefix and a suffix?"""

from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.inference.generate import generate
from minilm.tokenizers.infill import FIM_TOKENS, ORDERS, fim_prompt

MARKS = len(FIM_TOKENS)


def infill(
    model: Any,
    tokenizer: Any,
    prefix: str,
    suffix: str,
    tokens: int = 48,
    temperature: float = 0.0,
    order: str = "psm",
    seed: int = 0,
) -> str:
    """The text that a model writes into a hole.

    Of the two sides the model gets what its context has room for, the nearest to the hole; where
    one side is short, the other gets more. Blanks before the hole are not shown to it, and as many
    at the start of what it writes are taken away: "    x" is other tokens than "    " and "x".

    Args:
        model: a decoder that was trained on texts with holes.
        tokenizer: the model's.
        prefix, suffix: what stands before and behind the hole; not both empty.
        tokens: to write at most.
        temperature: 0 is greedy.
        order: "psm" or "spm", see `tokenizers.fim_permute`.
        seed: of the sampling.

    Raises:
        InputError: a tokenizer without the markers, no room, or an argument out of range.
    """
    missing = [name for name in FIM_TOKENS if name not in tokenizer.special]
    if missing:
        raise InputError(
            f"model has no {missing[0]}, so it never saw a hole; train one with --fim 0.5"
        )
    if order not in ORDERS:
        raise InputError(f"order is {order!r}; it must be {' or '.join(ORDERS)}")
    room = model.config.context - MARKS - tokens
    if tokens < 1 or room < 2:
        most = model.config.context - MARKS - 2
        raise InputError(f"tokens is {tokens}; with this model's context it must be 1 to {most}")
    # a word and the blank before it are one token: blanks at the cursor are the model's to write
    bare = prefix.rstrip(" ")
    blanks = len(prefix) - len(bare)
    before, after = nearest(tokenizer, bare, suffix, room)
    prompt = fim_prompt(tokenizer, before, after, order)[-(room + MARKS) :]
    ends = list(tokenizer.special.values())
    row = generate(model, prompt, tokens, temperature=temperature, stop=ends, seed=seed)
    text = tokenizer.decode([i for i in row if i not in ends])
    return text[min(blanks, len(text) - len(text.lstrip(" "))) :]


def nearest(tokenizer: Any, prefix: str, suffix: str, room: int) -> tuple[str, str]:
    """The end of a prefix and the start of a suffix that together are about `room` ids long."""

    def ids(text: str) -> np.ndarray:
        return tokenizer.encode_array(text, (), (), add_special_tokens=False)

    # a token has a character at least, so what lies further off cannot come in
    longest = room * 16
    before, after = ids(prefix[-longest:]), ids(suffix[:longest])
    half = room // 2
    left = min(len(before), max(half, room - len(after)))
    right = min(len(after), room - left)
    if left == len(before) and len(prefix) <= longest:
        head = prefix
    else:
        head = tokenizer.decode(before[len(before) - left :].tolist()).lstrip("\ufffd")
    if right == len(after) and len(suffix) <= longest:
        return head, suffix
    return head, tokenizer.decode(after[:right].tolist()).rstrip("\ufffd")
