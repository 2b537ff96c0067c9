"""Primitives that multiply and add: matmul, einsum, linear, embedding."""

from typing import Any

import numpy as np

from minilm import kernels
from minilm.backend import Array, is_half, xp_of
from minilm.backend import matmul as product
from minilm.errors import InputError
from minilm.functional.elementwise import array_like, pair, unbroadcast
from minilm.tensor import Tensor, primitive


@primitive
def matmul(a: Array, b: Array):
    """a @ b: (..., n, k) and (..., k, m) -> (..., n, m), leading axes broadcast."""
    a, b = pair(a, b)
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise InputError(f"matmul of shapes {a.shape} and {b.shape}: inner sizes differ")
    if a.ndim == 1 and b.ndim == 1:
        return product(a, b), lambda g: (g * b, g * a)
    if b.ndim == 1:
        return product(a, b), lambda g: (
            lambda: g[..., None] * b,
            lambda: (g[..., None] * a).reshape(-1, len(b)).sum(axis=0),
        )
    if a.ndim == 1:
        return product(a, b), lambda g: (
            lambda: unbroadcast(product(b, g[..., None])[..., 0], a.shape),
            lambda: unbroadcast(a[:, None] * g[..., None, :], b.shape),
        )
    return product(a, b), lambda g: (
        lambda: unbroadcast(product(g, b.swapaxes(-1, -2)), a.shape),
        lambda: unbroadcast(product(a.swapaxes(-1, -2), g), b.shape),
    )


def einsum(pattern: str, *operands: Any) -> Tensor:
    """Sum of products, as numpy.einsum with an explicit ``->``.

    No letter twice in one operand, no ellipsis. The gradient of an operand is the einsum of the
    output's gradient with the other operands; letters that only it has are broadcast.
    """
    left, arrow, out = pattern.replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow or "." in pattern or any(len(set(t)) < len(t) for t in [*terms, out]):
        raise InputError(
            f"einsum pattern is {pattern!r}; it needs '->', no '...', no letter twice in a term"
        )
    if len(terms) != len(operands):
        raise InputError(f"einsum pattern {pattern!r} has {len(terms)} terms, not {len(operands)}")
    return _einsum(*operands, terms=terms, out=out)


@primitive
def _einsum(*operands: Array, terms: list[str], out: str):
    xp = xp_of(operands[0])
    value = xp.einsum(f"{','.join(terms)}->{out}", *operands, optimize=len(operands) > 2)

    def gradient(i: int, g: Array) -> Array:
        others = [t for j, t in enumerate(terms) if j != i]
        known = set(out).union(*others)
        reachable = "".join(letter for letter in terms[i] if letter in known)
        arrays = [o for j, o in enumerate(operands) if j != i]
        part = xp.einsum(f"{','.join([out, *others])}->{reachable}", g, *arrays)
        lost = tuple(j for j, letter in enumerate(terms[i]) if letter not in known)
        return xp.broadcast_to(xp.expand_dims(part, lost), operands[i].shape)

    return value, lambda g: [lambda i=i: gradient(i, g) for i in range(len(operands))]


@primitive
def linear(x: Array, w: Array, b: Array | None = None):
    """x @ w.T + b: (..., I), (O, I), (O,) -> (..., O)."""
    if x.shape[-1] != w.shape[1]:
        raise InputError(
            f"linear of x with {x.shape[-1]} features and w of shape {w.shape}: "
            f"w takes {w.shape[1]}"
        )
    if b is not None and b.shape != w.shape[:1]:
        raise InputError(
            f"linear with w of shape {w.shape} takes b of {w.shape[:1]}, not {b.shape}"
        )
    rows = x.reshape(-1, x.shape[-1])  # (N, I)
    y = rows @ w.T
    if b is not None:
        y += b

    def pullback(g: Array):
        flat = g.reshape(-1, g.shape[-1])  # (N, O)
        return (
            lambda: (flat @ w).reshape(x.shape),
            lambda: flat.T @ rows,
            None if b is None else lambda: column_sum(flat),
        )

    return y.reshape(*x.shape[:-1], len(w)), pullback


def column_sum(x: Array) -> Array:
    """(N, C) -> (C,), as a product with ones: BLAS sums columns faster than NumPy."""
    if type(x) is np.ndarray:
        return np.ones(len(x), x.dtype) @ x
    kind = np.float32 if is_half(x) else x.dtype
    return product(xp_of(x).ones(len(x), dtype=kind).astype(x.dtype, copy=False), x)


@primitive
def embedding(ids: Array, w: Array):
    """Rows of a table: ids (...) integers, w (V, C) -> (..., C).

    Raises:
        InputError: ids that are not integers, or outside 0 .. V - 1.
    """
    ids = array_like(ids, w)
    if ids.dtype.kind not in "iu":
        raise InputError(f"embedding ids must be integers, not {ids.dtype}")
    if ids.size and xp_of(ids) is xp_of(w) and xp_of(ids).__name__ == "numpy":
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high >= len(w):
            raise InputError(
                f"token id {low if low < 0 else high} is outside the vocabulary 0 .. {len(w) - 1}"
            )

    def pullback(g: Array):
        return None, lambda: kernels.embedding_backward(
            g.reshape(-1, w.shape[1]), ids.reshape(-1), len(w)
        )

    return w[ids], pullback
