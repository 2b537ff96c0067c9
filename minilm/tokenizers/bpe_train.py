"""Learning a byte-pair vocabulary from text, over the compiled trainer."""

from collections.abc import Iterable

import numpy as np

from minilm.backend import MOST_IDS
from minilm.errors import InputError
from minilm.tokenizers.added import special_pattern
from minilm.tokenizers.bpe import BPE
from minilm.tokenizers.bpe_regex import byte_order
from minilm.tokenizers.checks import check_text, check_training_text, numbered_specials
from minilm.tokenizers.pretokenize import PATTERNS, check_pattern, table_of


def train_bpe(
    text: str | Iterable[str],
    vocab_size: int,
    pattern: str = "gpt4",
    special: Iterable[str] = (),
    fewer: bool = False,
    min_frequency: int = 0,
) -> BPE:
    """Learn a vocabulary: 256 bytes, then merges, then special tokens.

    The merges are those of Hugging Face's trainer: the most frequent pair first, ties going to the
    smaller pair of ids.

    Args:
        text: plain text, or several texts; no word spans two of them.
        vocab_size: number of ids wanted, special tokens included.
        pattern: how text is cut into words, see `pretokenize`.
        special: names of special tokens; where one occurs in the text, words end.
        fewer: where the text does not allow so many ids, give it those that it does.
        min_frequency: pairs that occur less often are not joined; from 2 on it ends the learning
            where that comes first, with fewer ids than wanted.

    Raises:
        InputError: empty or binary text, or a vocabulary smaller than its fixed part or larger
            than the text allows.
    """
    code = PATTERNS[check_pattern(pattern)]
    special = [special] if isinstance(special, str) else list(special)
    texts = [text] if isinstance(text, (str, bytes)) else list(text)
    for item in texts:
        check_text(item)
    fixed = 256 + len(special)
    if not isinstance(vocab_size, (int, np.integer)) or not fixed <= vocab_size <= MOST_IDS:
        raise InputError(
            f"vocab_size is {vocab_size!r}; it must be a whole number from {fixed} (256 bytes and "
            f"{len(special)} special tokens) to {MOST_IDS}"
        )
    if not isinstance(min_frequency, (int, np.integer)) or min_frequency < 0:
        raise InputError(
            f"min_frequency is {min_frequency!r}; it must be a whole number of at least 0"
        )
    texts = [check_training_text(item) for item in texts if item]
    if not texts:
        check_training_text("")
    if special:
        cut = special_pattern(special)
        texts = [part for item in texts for part in cut.split(item)[::2] if part]
    wanted = int(vocab_size) - fixed
    left = right = np.zeros(0, np.int32)
    if wanted and texts:
        from minilm.tokenizers.fast_train import train  # loads Numba

        order = byte_order()
        byte_ids = np.empty(256, np.int32)
        byte_ids[order] = np.arange(256, dtype=np.int32)
        parts = [item.encode() for item in texts]
        least = int(min_frequency)
        left, right = train(parts, wanted, code, table_of(pattern), byte_ids, least)
    if len(left) < wanted and not fewer and min_frequency < 2:
        raise InputError(
            f"vocab_size is {vocab_size}; this text allows at most {fixed + len(left)} (256 bytes, "
            f"{len(left)} merges, {len(special)} special tokens)"
        )
    tokens = [bytes([b]) for b in byte_order()]
    for a, b in zip(left.tolist(), right.tolist()):
        tokens.append(tokens[a] + tokens[b])
    merges = np.stack([left, right, 256 + np.arange(len(left), dtype=np.int32)], axis=1)
    numbered = numbered_specials(special, len(tokens))
    return BPE(tokens + [None] * len(special), merges, pattern, numbered)
