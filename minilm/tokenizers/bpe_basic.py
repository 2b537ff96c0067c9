"""Byte-pair encoding in twenty lines: join the most frequent pair of neighbours, again and again.

Source: Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with Subword Units",
arXiv 1508.07909. It counts everything anew for every merge, so its cost is text length times
merges; it merges across words ("dog." and "dog!" become tokens of their own); it has no special
tokens. `bpe_regex` does away with the last two limits, `fast_train` and `fast_encode` with the
first.
"""

from collections import Counter


def train(ids: list[int], merges: int, first: int = 256) -> list[tuple[int, int]]:
    """The pairs to join, most frequent first, then the smaller pair; merge k makes first + k."""
    pairs = []
    while len(pairs) < merges and len(ids) > 1:
        counts = Counter(zip(ids, ids[1:]))
        pair = min(counts, key=lambda p: (-counts[p], p))
        ids = merge(ids, pair, first + len(pairs))
        pairs.append(pair)
    return pairs


def merge(ids: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """Every occurrence of the pair, from the left, replaced by the new id."""
    out: list[int] = []
    for i in ids:
        if out and (out[-1], i) == pair:
            out[-1] = new
        else:
            out.append(i)
    return out


def encode(ids: list[int], pairs: list[tuple[int, int]], first: int = 256) -> list[int]:
    """The ids after all merges, in the order in which they were learnt."""
    for k, pair in enumerate(pairs):
        ids = merge(ids, pair, first + k)
    return ids
