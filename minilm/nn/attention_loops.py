"""Attention as plain loops: what each variant means, one multiplication at a time.

Slow and exact (float64). The tests hold the fast versions to these.

Shapes: q (B, H, T, D); k and v (B, G, S, D); the result (B, H, T, D). `may_look(i, j)` and
`bias(h, i, j)` get the query's and the key's place among the keys: query t stands at
S - T + t, so the last query stands at the last key.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np


def attention(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    may_look: Callable[[int, int], bool] = lambda i, j: True,
    bias: Callable[[int, int, int], float] = lambda h, i, j: 0.0,
    scale: float | None = None,
) -> np.ndarray:
    """Grouped-query attention, of which all others are cases: head h reads group h * G // H."""
    batch, heads, queries, size = q.shape
    groups, keys = k.shape[1], k.shape[2]
    scale = 1.0 / math.sqrt(size) if scale is None else scale
    out = np.zeros(q.shape)
    for b in range(batch):
        for h in range(heads):
            g = h * groups // heads
            for t in range(queries):
                i = keys - queries + t
                seen = [j for j in range(keys) if may_look(i, j)]
                scores = []
                for j in seen:
                    dot = 0.0
                    for d in range(size):
                        dot += float(q[b, h, t, d]) * float(k[b, g, j, d])
                    scores.append(dot * scale + bias(h, i, j))
                top = max(scores)
                weights = [math.exp(score - top) for score in scores]
                total = sum(weights)
                for weight, j in zip(weights, seen, strict=True):
                    for d in range(size):
                        out[b, h, t, d] += weight / total * float(v[b, g, j, d])
    return out


def multi_head(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Every head has its own keys and values: G = H (arXiv 1706.03762)."""
    assert k.shape[1] == q.shape[1]
    return attention(q, k, v)


def multi_query(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """All heads share one set of keys and values: G = 1 (arXiv 1911.02150)."""
    assert k.shape[1] == 1
    return attention(q, k, v)


def cross(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Queries of one sequence, keys and values of another, any lengths; all are seen."""
    return attention(q, k, v)


def causal(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A query sees itself and what came before."""
    return attention(q, k, v, lambda i, j: j <= i)


def sliding_window(q: np.ndarray, k: np.ndarray, v: np.ndarray, window: int) -> np.ndarray:
    """A query sees itself and the window - 1 positions before."""
    return attention(q, k, v, lambda i, j: i - window < j <= i)


def prefix(q: np.ndarray, k: np.ndarray, v: np.ndarray, length: int) -> np.ndarray:
    """A query sees the prefix, itself, and what came before."""
    return attention(q, k, v, lambda i, j: j < length or j <= i)


def alibi(q: np.ndarray, k: np.ndarray, v: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Causal, each score lowered by the head's slope times the distance (arXiv 2108.12409)."""
    return attention(q, k, v, lambda i, j: j <= i, lambda h, i, j: -float(slopes[h]) * (i - j))
