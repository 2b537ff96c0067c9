"""Finding texts that are almost the same: MinHash and locality-sensitive hashing.

The share of five-word runs that two texts have in common (their Jaccard similarity) is estimated
from signatures: the smallest value of each of 256 hash functions is the same for both texts with
exactly that probability (Broder 1997). Signatures are cut into bands; texts that agree in a whole
band are compared. The numbers are those of The Stack (arXiv 2211.15533).
"""

import hashlib
import re
from collections.abc import Iterable, Sequence

import numpy as np

from minilm import backend
from minilm.data.clean.bands import collision_probability, optimal_bands
from minilm.errors import InputError

__all__ = [
    "clusters",
    "collision_probability",
    "dedup",
    "jaccard",
    "minhash",
    "optimal_bands",
    "permutations",
    "shingles",
]

_PRIME = (1 << 61) - 1
_WORD = re.compile(r"\W+")


def shingles(text: str, n: int = 5) -> set[str]:
    """All runs of n words, ignoring case and punctuation; a shorter text is one run."""
    words = [word for word in _WORD.split(text.lower()) if word]
    return {" ".join(words[i : i + n]) for i in range(max(1, len(words) - n + 1))}


def jaccard(a: set[str], b: set[str]) -> float:
    """The number of shared elements over that of all elements; 1 for two empty sets."""
    return len(a & b) / len(a | b) if a or b else 1.0


def permutations(count: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The factors (at least 1) and summands of `count` hash functions, uint64 (count,) each."""
    rng = backend.rng(seed, "minhash")
    return (
        rng.integers(1, _PRIME, count, dtype=np.uint64),
        rng.integers(0, _PRIME, count, dtype=np.uint64),
    )


def minhash(runs: Iterable[str], a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The signature of a set: the smallest of `(a h + b) mod (2**61 - 1)`, low 32 bits.

    Args:
        runs: the set's elements; h is the first 32 bits of an element's SHA-1.
        a, b: factors and summands, uint64 (P,).

    Returns:
        uint32 (P,). The share of places in which two signatures agree estimates the similarity.
    """
    digests = [hashlib.sha1(run.encode("utf-8", "replace")).digest()[:4] for run in set(runs)]
    h = np.frombuffer(b"".join(digests), "<u4").astype(np.uint64)  # (N,)
    if h.size == 0:
        return np.full(a.size, 0xFFFFFFFF, np.uint32)
    # 61 x 32 bits do not fit into 64: multiply in halves; 2**61 is 1 modulo this prime.
    prime = np.uint64(_PRIME)
    high, low = a >> np.uint64(32), a & np.uint64(0xFFFFFFFF)
    upper = np.multiply.outer(h, high)  # below 2**61
    upper = ((upper & np.uint64((1 << 29) - 1)) << np.uint64(32)) + (upper >> np.uint64(29))
    total = _reduce(_reduce(np.multiply.outer(h, low)) + _reduce(upper))
    total = _reduce(total + b[None])
    total[total == prime] = 0
    return (total & np.uint64(0xFFFFFFFF)).min(axis=0).astype(np.uint32)


def _reduce(x: np.ndarray) -> np.ndarray:
    """The same modulo 2**61 - 1, at most a little above it."""
    x = (x & np.uint64(_PRIME)) + (x >> np.uint64(61))
    return np.where(x >= np.uint64(_PRIME), x - np.uint64(_PRIME), x)


def clusters(texts: Sequence[str], threshold: float = 0.7, seed: int = 0) -> list[list[int]]:
    """Groups of near duplicates, as places in the list; a text without any is a group of its own.

    Pairs that agree in a band are kept if their runs of words really are that similar.
    """
    from minilm.data.clean.fast_minhash import run_hashes, signature
    from minilm.data.clean.groups import groups_of

    if not 0 < threshold < 1:
        raise InputError(f"threshold is {threshold}; it must be above 0 and below 1")
    if not texts:
        return []
    a, b = permutations(256, seed)
    sets = [run_hashes(text) for text in texts]
    signatures = np.stack([signature(hashes, a, b) for hashes in sets])  # (D, P)
    offsets = np.cumsum([0, *map(len, sets)])
    roots = groups_of(signatures, np.concatenate(sets), offsets, threshold)
    groups: dict[int, list[int]] = {}
    for i, root in enumerate(roots.tolist()):
        groups.setdefault(root, []).append(i)
    return list(groups.values())


def dedup(texts: Sequence[str], threshold: float = 0.7, seed: int = 0) -> list[str]:
    """One text of each group: the longest; among equally long ones, the first in the alphabet.

    Which texts survive does not depend on their order; they are returned in the order given.
    """
    chosen = [
        min(group, key=lambda i: (-len(texts[i]), texts[i]))
        for group in clusters(texts, threshold, seed)
    ]
    return [texts[i] for i in sorted(chosen)]
