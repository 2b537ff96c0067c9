"""Texts that tests train on."""

import numpy as np


def sentences(count, seed):
    """Text of a small grammar, so that there is something to learn and little that repeats."""
    rng = np.random.default_rng(seed)
    who = ["the cat", "a dog", "my aunt", "the old sailor", "a student"]
    does = ["saw", "wrote to", "forgot", "painted", "listened to"]
    whom = ["the sea", "a small bird", "the king", "her teacher", "nobody at all"]
    picks = rng.integers(0, 5, (count, 3))
    return " ".join(
        f"{who[a]} {does[b]} {whom[c]} {rng.integers(1000)} times." for a, b, c in picks
    )
