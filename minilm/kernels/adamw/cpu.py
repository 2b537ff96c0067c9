"""The AdamW step in Numba: one visit to p, g, m and v where NumPy makes a dozen, and one call
for all parameters: a small model has many small ones."""

import numpy as np
from numba import carray

from minilm import backend
from minilm.kernels.adamw import reference
from minilm.kernels.jit import jit
from minilm.kernels.simd import pointer

_WORTH = 1 << 19  # numbers below which one thread is faster than two
_VECTORS = 64  # numbers: a multiple of what any processor computes in one turn of the loop


def adamw(
    p: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    step: int,
) -> None:
    """See ``reference.adamw``."""
    adamw_many([p], [g], [m], [v], lr, beta1, beta2, eps, weight_decay, step)


def adamw_many(
    ps: list[np.ndarray],
    gs: list[np.ndarray],
    ms: list[np.ndarray],
    vs: list[np.ndarray],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    step: int,
    copies: list[np.ndarray] | None = None,
    factor: float = 1.0,
) -> None:
    """See ``reference.adamw_many``; what the parameters share is computed once."""
    if copies is not None or factor != 1.0:  # for a GPU's sake
        settings = (lr, beta1, beta2, eps, weight_decay, step)
        reference.adamw_many(ps, gs, ms, vs, *settings, copies, factor)
        return
    kind = ps[0].dtype.type
    first, second = 1 - beta1**step, 1 - beta2**step
    numbers = (lr / first, beta1, beta2, 1 - beta1, 1 - beta2, eps, second**-0.5)
    shared = tuple(kind(x) for x in (*numbers, 1 - lr * weight_decay))
    rows = []
    held = []  # copies of gradients, which must live until the kernel has run
    for p, g, m, v in zip(ps, gs, ms, vs, strict=True):
        solid = p.flags.c_contiguous and m.flags.c_contiguous and v.flags.c_contiguous
        if not solid or not p.dtype == m.dtype == v.dtype == ps[0].dtype:
            reference.adamw(p, g, m, v, lr, beta1, beta2, eps, weight_decay, step)
            continue
        if not g.flags.c_contiguous or g.dtype != p.dtype:
            g = np.ascontiguousarray(g, dtype=p.dtype)
            held.append(g)
        rows.append((*(a.__array_interface__["data"][0] for a in (p, g, m, v)), p.size))
    if not rows:
        return
    ways = backend.threads() if sum(row[-1] for row in rows) >= _WORTH else 1
    if ways == 1:
        _step(np.array(rows, np.int64), *shared)
    else:
        shares = _split(rows, ways, ps[0].itemsize)
        backend.parallel(lambda share: _step(np.array(share, np.int64), *shared), shares)


def _split(rows: list[tuple[int, ...]], ways: int, size: int) -> list[list[tuple[int, ...]]]:
    """Rows of (addresses of p, g, m, v; count) in shares of about as many numbers each.

    A parameter is cut where a whole number of vectors has been, so that every number is computed
    as it would be uncut. ``size``: bytes of a number.
    """
    each = -(-sum(row[-1] for row in rows) // ways)
    shares, left = [[]], each
    for *places, count in rows:
        done = 0
        while done < count:
            if left <= 0:
                shares.append([])
                left = each
            take = count - done
            if take > left:
                take = min(take, -(-left // _VECTORS) * _VECTORS)
            shares[-1].append((*(at + done * size for at in places), take))
            done += take
            left -= take
    return shares


@jit
def _step(table, lr, beta1, beta2, rest1, rest2, eps, root, keep):
    """One row of ``table`` per parameter: the addresses of p, g, m and v, and their size."""
    for row in range(table.shape[0]):
        n = table[row, 4]
        p, g = carray(pointer(table[row, 0], lr), n), carray(pointer(table[row, 1], lr), n)
        m, v = carray(pointer(table[row, 2], lr), n), carray(pointer(table[row, 3], lr), n)
        for i in range(n):
            m1 = beta1 * m[i] + rest1 * g[i]
            v1 = beta2 * v[i] + rest2 * g[i] * g[i]
            m[i] = m1
            v[i] = v1
            p[i] = p[i] * keep - lr * m1 / (np.sqrt(v1) * root + eps)
