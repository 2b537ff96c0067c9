"""Which keys a query may look at: boolean arrays, True where it may.

All align the last query with the last key, so that T queries over S >= T keys mean "the last T of
S positions", as with a cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilm.errors import InputError


def bidirectional(queries: int, keys: int | None = None) -> np.ndarray:
    """Everything. (T, S) bool with T * S ones."""
    return np.ones((queries, _keys(queries, keys)), bool)


def causal(queries: int, keys: int | None = None) -> np.ndarray:
    """Itself and what came before. (T, S) bool; T (T + 1) / 2 ones when S = T."""
    keys = _keys(queries, keys)
    return np.tri(queries, keys, keys - queries, dtype=bool)


def sliding_window(queries: int, window: int, keys: int | None = None) -> np.ndarray:
    """Itself and the window - 1 positions before (Mistral, arXiv 2310.06825). (T, S) bool.

    Ones when S = T: W (W + 1) / 2 + (T - W) W for T >= W.

    Raises:
        InputError: window below 1, or fewer keys than queries.
    """
    if window < 1:
        raise InputError(f"window is {window}; it must be at least 1")
    keys = _keys(queries, keys)
    near = np.tri(queries, keys, keys - queries, dtype=bool)
    return near & ~np.tri(queries, keys, keys - queries - window, dtype=bool)


def prefix(queries: int, length: int | Any, keys: int | None = None) -> np.ndarray:
    """Causal, except that everyone sees the first `length` positions.

    Args:
        length: of the prefix, an int, or an array (B,) of one per sequence.

    Returns:
        (T, S), or (B, 1, T, S). When S = T, n in the prefix and m after it:
        n^2 + n m + m (m + 1) / 2 ones.

    Raises:
        InputError: a length that is no whole number from 0 to S, or fewer keys than queries.
    """
    keys = _keys(queries, keys)
    ahead = np.asarray(length)
    if ahead.ndim > 1 or ahead.dtype.kind not in "iu" or (ahead < 0).any() or (ahead > keys).any():
        raise InputError(f"length is {length}; it must be from 0 to {keys}, one or one a sequence")
    ahead = ahead.reshape(-1, 1, 1, 1) if ahead.ndim else ahead  # (B,) -> (B, 1, 1, 1)
    return causal(queries, keys) | (np.arange(keys) < ahead)  # (T, S) or (B, 1, T, S)


def joint(kind: str, n_in: int, n_tgt: int) -> np.ndarray:
    """The mask over [input; target] that an architecture stands for.

    Args:
        kind: "causal" (decoder-only); "prefix" (input bidirectional, target causal), which is
            also what an "encdec" sees, its cross-attention written beside its self-attentions.
        n_in, n_tgt: lengths.

    Returns:
        (n, n) bool, n = n_in + n_tgt.

    Raises:
        InputError: another kind.
    """
    if kind == "causal":
        return causal(n_in + n_tgt)
    if kind in ("prefix", "encdec"):
        return prefix(n_in + n_tgt, n_in)
    raise InputError(f"kind is {kind!r}; it must be one of causal, prefix, encdec")


def popcount(kind: str, n_in: int, n_tgt: int) -> int:
    """How many (query, key) pairs `joint` allows, by formula.

    Raises:
        InputError: another kind.
    """
    if kind == "causal":
        return (n_in + n_tgt) * (n_in + n_tgt + 1) // 2
    if kind in ("prefix", "encdec"):
        return n_in * n_in + n_in * n_tgt + n_tgt * (n_tgt + 1) // 2
    raise InputError(f"kind is {kind!r}; it must be one of causal, prefix, encdec")


def _keys(queries: int, keys: int | None) -> int:
    if keys is None:
        return queries
    if keys < queries:
        raise InputError(f"keys is {keys}; it must be at least queries, which is {queries}")
    return keys
