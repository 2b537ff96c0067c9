"""Byte-pair encoding as GPT does it: words first, then merges inside words; special tokens.

Compared with `bpe_basic` it adds the word patterns of `pretokenize`, counts each distinct word
once, and stops at special tokens. It is still plain Python, which makes it slow: about 0.1 MB/s.
`fast_train` and `fast_encode` give the same merges and ids a thousand times faster.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from minilm.tokenizers.added import special_pattern
from minilm.tokenizers.bpe_basic import merge
from minilm.tokenizers.pretokenize import split


def byte_order() -> list[int]:
    """The byte that each of the ids 0 to 255 stands for, in GPT-2's order.

    The bytes that are printable in Latin-1 come first ("!" is id 0), then the others. Ties between
    equally frequent pairs go to the smaller ids, so merges depend on this order; Hugging Face's
    trainer uses it too.
    """
    printing = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return printing + [b for b in range(256) if b not in printing]


_ID_OF_BYTE = {byte: i for i, byte in enumerate(byte_order())}


def word_ids(word: str) -> list[int]:
    """The ids of a word's bytes before any merge."""
    return [_ID_OF_BYTE[b] for b in word.encode()]


def segments(text: str, special: Iterable[str]) -> list[str]:
    """The text cut at special tokens: text, special, text, special, ... text."""
    special = list(special)
    return special_pattern(special).split(text) if special else [text]


def train(
    text: str, merges: int, pattern: str = "gpt4", special: Iterable[str] = ()
) -> list[tuple[int, int]]:
    """The pairs to join; merge k makes id 256 + k.

    The most frequent pair comes first, ties going to the smaller pair. Fewer pairs are returned
    where the text has no more to join.
    """
    words = Counter(w for part in segments(text, special)[::2] for w in split(part, pattern))
    spelled = [(word_ids(word), count) for word, count in words.items()]
    pairs: list[tuple[int, int]] = []
    while len(pairs) < merges:
        counts: Counter[tuple[int, int]] = Counter()
        for ids, count in spelled:
            for pair in zip(ids, ids[1:]):
                counts[pair] += count
        if not counts:
            break
        pair = min(counts, key=lambda p: (-counts[p], p))
        spelled = [(merge(ids, pair, 256 + len(pairs)), count) for ids, count in spelled]
        pairs.append(pair)
    return pairs


def encode_word(ids: list[int], ranks: dict[tuple[int, int], int]) -> list[int]:
    """Join the pair of lowest rank, the leftmost first, until no pair can be joined."""
    while len(ids) > 1:
        pair = min(zip(ids, ids[1:]), key=lambda p: ranks.get(p, len(ranks)))
        if pair not in ranks:
            break
        ids = merge(ids, pair, 256 + ranks[pair])
    return ids


def encode(
    text: str,
    pairs: Sequence[tuple[int, int]],
    pattern: str = "gpt4",
    special: dict[str, int] | None = None,
) -> list[int]:
    """The ids of a text; special tokens that occur in it become their own ids."""
    special = special or {}
    ranks = {pair: k for k, pair in enumerate(pairs)}
    out: list[int] = []
    for i, part in enumerate(segments(text, special)):
        if i % 2:
            out.append(special[part])
        else:
            for word in split(part, pattern):
                out.extend(encode_word(word_ids(word), ranks))
    return out
