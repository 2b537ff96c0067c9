"""The AdamW step in Numba: one visit to p, g, m and v where NumPy makes a dozen."""

import numpy as np

from minilm.kernels.adamw import reference
from minilm.kernels.jit import jit


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
) -> None:
    """See ``reference.adamw_many``; what the parameters share is computed once."""
    kind = ps[0].dtype.type
    first, second = 1 - beta1**step, 1 - beta2**step
    numbers = (lr / first, beta1, beta2, 1 - beta1, 1 - beta2, eps, second**-0.5)
    shared = tuple(kind(x) for x in (*numbers, 1 - lr * weight_decay))
    for p, g, m, v in zip(ps, gs, ms, vs, strict=True):
        if not (p.flags.c_contiguous and m.flags.c_contiguous and v.flags.c_contiguous):
            # reshape would copy, and the step would be taken by the copy
            reference.adamw(p, g, m, v, lr, beta1, beta2, eps, weight_decay, step)
            continue
        if not g.flags.c_contiguous:
            g = np.ascontiguousarray(g)
        _step(p.reshape(-1), g.reshape(-1), m.reshape(-1), v.reshape(-1), *shared)


@jit
def _step(p, g, m, v, lr, beta1, beta2, rest1, rest2, eps, root, keep):
    for i in range(p.size):
        m1 = beta1 * m[i] + rest1 * g[i]
        v1 = beta2 * v[i] + rest2 * g[i] * g[i]
        m[i] = m1
        v[i] = v1
        p[i] = p[i] * keep - lr * m1 / (np.sqrt(v1) * root + eps)
