"""Word vectors from neighbours: skip-gram with negative sampling, and the counts it factorises.

Mikolov et al. 2013, arXiv 1310.4546; Levy & Goldberg 2014: with k negatives and vectors long
enough, the best u . v is the pointwise mutual information of the two words minus log k.
"""

import numpy as np

from minilm import kernels
from minilm.backend import rng
from minilm.errors import InputError

# The greatest sum of learning rates that one word's vector may get in a step. The curvature of a
# pair's loss is at most |v|^2 / 4, so descent overshoots where this sum passes 8 / |v|^2, and |v|
# grows past 1. At a sum of 13 some texts already diverge; at 8 none of those tried does.
REACH = 8.0


def cooccurrences(tokens: np.ndarray, window: int, vocab_size: int) -> np.ndarray:
    """How often each word occurs within `window` places of each other word.

    Args:
        tokens: (N,) ids in [0, vocab_size), one running text.
        window: places to either side.
        vocab_size: V.

    Returns:
        (V, V) float64, symmetric.

    Raises:
        InputError: a window below 1, or a token out of range.
    """
    if window < 1:
        raise InputError(f"window is {window}; it must be 1 or more")
    tokens = np.asarray(tokens, np.int64)
    if tokens.size and not 0 <= tokens.min() <= tokens.max() < vocab_size:
        odd = tokens.min() if tokens.min() < 0 else tokens.max()
        raise InputError(
            f"tokens holds {odd}; ids must be from 0 to vocab_size - 1, {vocab_size - 1}"
        )
    counts = np.zeros(vocab_size * vocab_size)
    for distance in range(1, min(window, len(tokens) - 1) + 1):
        pairs = tokens[:-distance] * vocab_size + tokens[distance:]
        counts += np.bincount(pairs, minlength=counts.size)
    counts = counts.reshape(vocab_size, vocab_size)  # (V V,) -> (V, V)
    return counts + counts.T


def pmi(counts: np.ndarray, negatives: int = 1) -> np.ndarray:
    """log P(a, b) / (P(a) P(b)) - log k for every pair; -inf where a pair was never seen.

    Args:
        counts: (V, V), how often a occurs beside b.
        negatives: k of the skip-gram model whose optimum this is.

    Returns:
        (V, V) float64.
    """
    counts = np.asarray(counts, np.float64)
    by_chance = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / counts.sum()
    seen = counts > 0
    ratio = np.divide(counts, by_chance, out=np.ones_like(counts), where=seen)
    return np.where(seen, np.log(ratio) - np.log(negatives), -np.inf)


def sgns_step(
    words: np.ndarray,
    contexts: np.ndarray,
    center: np.ndarray,
    context: np.ndarray,
    negatives: np.ndarray,
    lr: float,
) -> float:
    """One step of gradient descent; both tables change in place.

    A pair's loss is -log s(u . v) - sum_k log s(-u . v_k), with u the centre's vector, v the
    context's, v_k those of k words drawn at random, and s the sigmoid. The step sums over the
    pairs.

    Args:
        words, contexts: (V, D) tables of u and v.
        center, context: (B,) ids.
        negatives: (B, K) ids.
        lr: learning rate.

    Returns:
        The mean loss of a pair, before the step.
    """
    u = words[center]  # (B, D)
    ids = np.concatenate([context[:, None], negatives], axis=1)  # (B, 1 + K)
    v = contexts[ids]
    score = np.einsum("bd,bkd->bk", u, v)
    sign = np.where(np.arange(ids.shape[1]) == 0, 1, -1).astype(u.dtype)
    told = (1 + np.tanh(sign * score / 2)) / 2  # s(+-score): probability of the right verdict
    loss = -np.log(np.maximum(told, np.finfo(u.dtype).tiny)).sum(axis=1).mean()
    pull = sign * (told - 1)  # d loss / d score
    change_u = np.einsum("bk,bkd->bd", pull, v)
    change_v = pull[:, :, None] * u[:, None]
    rate = u.dtype.type(lr)
    words -= rate * _sum_by_word(change_u, center, len(words))
    contexts -= rate * _sum_by_word(change_v, ids, len(contexts))
    return float(loss)


def _sum_by_word(changes: np.ndarray, ids: np.ndarray, size: int) -> np.ndarray:
    """(..., D) and (...) -> (V, D): a word may occur in the batch more than once."""
    rows = changes.reshape(-1, changes.shape[-1])  # (..., D) -> (N, D)
    return kernels.embedding_backward(rows, ids.ravel(), size)


def skip_gram(
    counts: np.ndarray,
    channels: int = 32,
    negatives: int = 5,
    steps: int = 1000,
    batch: int | None = None,
    lr: float | None = None,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Train both tables on pairs drawn in proportion to their counts; negatives by frequency.

    A step sums over its pairs, so a word moves as many times as it stands in the batch. What
    bounds the rate is therefore the commonest word: the default gives it `REACH` at most.

    Args:
        counts: (V, V) from `cooccurrences`.
        channels: D.
        negatives: how many are drawn per pair.
        steps: of the descent; the rate falls linearly to 0.
        batch: pairs in a step; None means 30 vectors for each word.
        lr: rate of the first step; None means 0.05, or less where one word is very common.
        seed: of the initial vectors and of the draws.

    Returns:
        Tables (V, D) float32, of words and of contexts.

    Raises:
        InputError: the descent diverges at this rate.
    """
    r, size = rng(seed, "skip-gram"), len(counts)
    batch = 30 * size // (1 + negatives) if batch is None else batch
    if lr is None:
        commonest = counts.sum(1).max() / counts.sum() * batch * (1 + negatives)  # vectors a step
        lr = min(0.05, REACH / commonest)
    worst = 2 * (1 + negatives) * np.log(2)  # twice the loss of vectors that know nothing
    words = r.normal(0, 0.1, (size, channels)).astype(np.float32)
    contexts = np.zeros_like(words)
    pairs = np.cumsum(counts.ravel() / counts.sum())
    alone = np.cumsum(counts.sum(1) / counts.sum())
    for step in range(steps):
        pair = np.minimum(np.searchsorted(pairs, r.random(batch)), pairs.size - 1)
        noise = np.minimum(np.searchsorted(alone, r.random((batch, negatives))), size - 1)
        rate = lr * (1 - step / steps)
        loss = sgns_step(words, contexts, pair // size, pair % size, noise, rate)
        if not loss < worst:
            raise InputError(
                f"lr is {lr:.3g}, with which the loss is {loss:.3g} nats at step {step}; "
                f"it must be smaller for these counts"
            )
    return words, contexts
