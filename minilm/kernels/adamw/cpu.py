"""The AdamW step in Numba: one pass over p, g, m and v where NumPy takes a dozen, and one call
for all parameters, because a small model has many small ones."""

import weakref

import numpy as np
from numba import carray

from minilm import backend
from minilm.kernels.adamw import reference
from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import pointer

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
    """See `reference.adamw`."""
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
    """See `reference.adamw_many`; what the parameters share is computed once."""
    if copies is not None or factor != 1.0:  # for a GPU's sake
        settings = (lr, beta1, beta2, eps, weight_decay, step)
        reference.adamw_many(ps, gs, ms, vs, *settings, copies, factor)
        return
    kind = ps[0].dtype.type
    first, second = 1 - beta1**step, 1 - beta2**step
    numbers = (lr / first, beta1, beta2, 1 - beta1, 1 - beta2, eps, second**-0.5)
    shared = tuple(kind(x) for x in (*numbers, 1 - lr * weight_decay))
    solid, loose, table = _places(ps, ms, vs)
    for i in loose:
        reference.adamw(ps[i], gs[i], ms[i], vs[i], lr, beta1, beta2, eps, weight_decay, step)
    if not solid:
        return
    # The list keeps copies alive until the kernel has run. A gradient of one number may be a NumPy
    # scalar, whose address is that of a temporary array.
    held = [
        g
        if type(g) is np.ndarray and g.flags.c_contiguous and g.dtype == kind
        else np.ascontiguousarray(g, kind)
        for g in (gs[i] for i in solid)
    ]
    table = table.copy()
    table[:, 1] = [_address(g) for g in held]
    ways = backend.threads() if table[:, 4].sum() >= _WORTH else 1
    if ways == 1:
        _step(table, *shared)
    else:
        shares = _split(table.tolist(), ways, ps[0].itemsize)
        backend.parallel(lambda share: _step(np.array(share, np.int64), *shared), shares)


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


_known: dict[int, tuple[list[weakref.ref], tuple[list[int], list[int], np.ndarray]]] = {}


def _places(
    ps: list[np.ndarray], ms: list[np.ndarray], vs: list[np.ndarray]
) -> tuple[list[int], list[int], np.ndarray]:
    """Which parameters the kernel takes, which not, and a row (p, 0, m, v, count) for each taken.

    Asking NumPy for an address takes as long as updating a thousand weights, so the rows are kept
    for as long as the arrays live: every step updates the same ones.
    """
    arrays, key = [*ps, *ms, *vs], id(ps[0])
    refs, kept = _known.get(key, ((), None))
    if len(refs) == len(arrays) and all(map(_is_of, refs, arrays)):
        return kept
    solid, loose, rows = [], [], []
    for i, (p, m, v) in enumerate(zip(ps, ms, vs, strict=True)):
        # What is left to NumPy and cannot be updated, NumPy refuses itself.
        whole = all(
            type(a) is np.ndarray
            and a.flags.c_contiguous
            and a.flags.writeable
            and a.dtype == ps[0].dtype
            and a.shape == p.shape
            for a in (p, m, v)
        )
        (solid if whole else loose).append(i)
        if whole:
            rows.append((_address(p), 0, _address(m), _address(v), p.size))
    kept = solid, loose, np.array(rows, np.int64)
    first = weakref.ref(ps[0], lambda _: _known.pop(key, None))
    _known[key] = [first, *map(weakref.ref, arrays[1:])], kept
    return kept


def _is_of(ref: weakref.ref, array: np.ndarray) -> bool:
    return ref() is array


def _split(rows: list[list[int]], ways: int, size: int) -> list[list[tuple[int, ...]]]:
    """Rows of (addresses of p, g, m, v; count) in shares of about equally many numbers.

    A parameter is cut after a whole number of vectors, so that every number is computed as it would
    be in one piece. `size`: bytes of a number.
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
    """One row of `table` per parameter: the addresses of p, g, m and v, and their size."""
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
