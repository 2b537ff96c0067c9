"""Primitives that multiply and add: matmul, einsum, linear, embedding."""

from typing import Any

import numpy as np

from minilm import kernels
from minilm.backend import Array, is_half, xp_of
from minilm.backend import matmul as product
from minilm.errors import InputError
from minilm.functional.meeting import array_like, as_rows, is_float, meet, pair, unbroadcast
from minilm.tensor import Tensor, primitive


@primitive
def matmul(a: Array, b: Array):
    """a @ b: (..., n, k) and (..., k, m) -> (..., n, m), leading axes broadcast.

    Raises:
        InputError: a number; inner sizes that differ; leading axes that do not broadcast.
    """
    a, b = pair(a, b)
    sa, sb = getattr(a, "shape", ()), getattr(b, "shape", ())
    if not sa or not sb or sa[-1] != sb[-2 if len(sb) > 1 else 0]:
        raise InputError(f"matmul of shapes {sa} and {sb}: inner sizes differ")
    if any(n != m and 1 not in (n, m) for n, m in zip(sa[-3::-1], sb[-3::-1], strict=False)):
        raise InputError(f"matmul of shapes {sa} and {sb}: leading axes do not broadcast")
    if a.ndim == 1 and b.ndim == 1:
        return product(a, b), lambda g: (g * b, g * a)
    if b.ndim == 1:
        return product(a, b), lambda g: (
            lambda: g[..., None] * b,  # (..., n) -> (..., n, 1)
            # (..., n, k) -> (N, k), summed over N
            lambda: (g[..., None] * a).reshape(-1, len(b)).sum(axis=0),
        )
    if a.ndim == 1:
        return product(a, b), lambda g: (
            # (..., k, m) @ (..., m, 1) -> (..., k)
            lambda: unbroadcast(product(b, g[..., None])[..., 0], sa),
            lambda: unbroadcast(a[:, None] * g[..., None, :], sb),  # (k, 1) * (..., 1, m)
        )
    return product(a, b), lambda g: (
        lambda: unbroadcast(product(g, b.swapaxes(-1, -2)), sa),  # (.., n, m) @ (.., m, k)
        lambda: unbroadcast(product(a.swapaxes(-1, -2), g), sb),  # (.., k, n) @ (.., n, m)
    )


def einsum(pattern: str, *operands: Any) -> Tensor:
    """Sum of products, as numpy.einsum with an explicit `->`.

    No letter twice in one operand, no ellipsis. The gradient of an operand is the einsum of the
    output's gradient with the other operands; letters that only it has are broadcast.

    Raises:
        InputError: another pattern; operands whose axes do not fit it.
    """
    left, arrow, out = pattern.replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow or "." in pattern or any(len(set(t)) < len(t) for t in [*terms, out]):
        raise InputError(
            f"einsum pattern is {pattern!r}; it needs '->', no '...', no letter twice in a term"
        )
    if not set(out) <= set(left) or not all(letter.isalpha() for letter in "".join([*terms, out])):
        raise InputError(f"einsum pattern is {pattern!r}; it makes letters that no operand has")
    if len(terms) != len(operands):
        raise InputError(f"einsum pattern {pattern!r} has {len(terms)} terms, not {len(operands)}")
    operands = tuple(o if hasattr(o, "dtype") else np.asarray(o) for o in operands)
    sizes: dict[str, int] = {}
    for term, operand in zip(terms, operands, strict=True):
        if len(term) != operand.ndim or any(
            sizes.setdefault(letter, n) != n for letter, n in zip(term, operand.shape, strict=True)
        ):
            shapes = ", ".join(str(o.shape) for o in operands)
            raise InputError(f"einsum pattern {pattern!r} does not fit the shapes {shapes}")
    return _einsum(*operands, terms=terms, out=out)


@primitive
def _einsum(*operands: Array, terms: list[str], out: str):
    if any(is_float(o) for o in operands):
        operands = meet(*operands)
    xp = xp_of(operands[0])
    value = xp.einsum(f"{','.join(terms)}->{out}", *operands, optimize=len(operands) > 2)

    def gradient(i: int, g: Array) -> Array:
        others = [t for j, t in enumerate(terms) if j != i]
        known = set(out).union(*others)
        reachable = "".join(letter for letter in terms[i] if letter in known)
        arrays = [o for j, o in enumerate(operands) if j != i]
        part = xp.einsum(f"{','.join([out, *others])}->{reachable}", g, *arrays)
        lost = tuple(j for j, letter in enumerate(terms[i]) if letter not in known)
        # the axes of letters that only this operand has: 1 -> their length
        return xp.broadcast_to(xp.expand_dims(part, lost), operands[i].shape)

    return value, lambda g: [lambda i=i: gradient(i, g) for i in range(len(operands))]


@primitive
def linear(x: Array, w: Array, b: Array | None = None):
    """x @ w.T + b: (..., I), (O, I), (O,) -> (..., O).

    Raises:
        InputError: shapes that do not fit each other.
    """
    check_map("linear", x, w)
    if b is not None and b.shape != w.shape[:1]:
        raise InputError(f"linear: b is {b.shape}; with w {w.shape} it must be {w.shape[:1]}")
    x, w, b = meet(x, w, b)
    rows = as_rows(x)  # (..., I) -> (N, I)
    y = rows @ w.T  # (N, I) @ (I, O)
    if b is not None:
        y += b

    def pullback(g: Array):
        flat = as_rows(g)  # (..., O) -> (N, O)
        return (
            lambda: (flat @ w).reshape(x.shape),  # (N, I) -> (..., I)
            lambda: flat.T @ rows,  # (O, N) @ (N, I)
            None if b is None else lambda: column_sum(flat),
        )

    return y.reshape(*x.shape[:-1], len(w)), pullback  # (N, O) -> (..., O)


def check_map(name: str, x: Array, w: Array) -> None:
    """Refuse x (..., I) and w that is not (O, I)."""
    if x.ndim == 0 or w.ndim != 2 or x.shape[-1] != w.shape[1]:
        raise InputError(
            f"{name}: x is {x.shape} and w {w.shape}; they must be (..., I) and (O, I)"
        )


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
        InputError: ids that are not integers, or outside 0 .. V - 1; w of other than two axes.
    """
    ids, w = array_like(ids, w), meet(w)[0]
    if ids.dtype.kind not in "iu":
        raise InputError(f"embedding ids are {ids.dtype}; they must be integers")
    if w.ndim != 2:
        raise InputError(f"embedding: w has shape {w.shape}; it must be (V, C)")
    if ids.size and xp_of(ids) is xp_of(w) and xp_of(ids).__name__ == "numpy":
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high >= len(w):
            raise InputError(
                f"token id {low if low < 0 else high} is outside the vocabulary 0 .. {len(w) - 1}"
            )

    rows = len(w)  # and not w itself, which backward does not need

    def pullback(g: Array):
        return None, lambda: kernels.embedding_backward(
            as_rows(g),  # (..., C) -> (N, C)
            ids.reshape(-1),  # (...) -> (N,)
            rows,
        )

    return w[ids], pullback
