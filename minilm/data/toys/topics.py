"""A text whose statistics are known: words drawn from topics that change now and then."""

import numpy as np

from minilm.backend import rng
from minilm.data.pairs import refuse_below


def topic_words(
    n: int, words: int = 200, topics: int = 20, stay: float = 0.9, seed: int = 0
) -> np.ndarray:
    """Words that keep company: each topic likes some words, and lasts 1 / (1 - stay) words.

    Args:
        n: length of the text.
        words: size of the vocabulary; word k is used in proportion to about k**-0.5.
        topics: how many there are.
        stay: probability that the next word has the same topic.
        seed: of the topics and of the text.

    Returns:
        (n,) int64 ids.

    Raises:
        InputError: a number out of range.
    """
    refuse_below(1, n=n, words=words, topics=topics)
    r = rng(seed, "toys", "topics")
    liking = np.exp(r.normal(0, 1.5, (topics, words))) * np.arange(1, words + 1) ** -0.5
    cumulative = np.cumsum(liking / liking.sum(1, keepdims=True), axis=1)
    change = np.where(r.random(n) < stay, 0, np.arange(n))
    topic = r.integers(0, topics, n)[np.maximum.accumulate(change)]
    below = r.random((n, 1)) > cumulative[topic]
    return np.minimum(below.sum(1), words - 1)
