"""The AdamW step in Numba: one visit to p, g, m and v where NumPy makes a dozen."""

import numpy as np

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
    """See ``reference.adamw``; p, m and v must each be one block of memory."""
    kind = p.dtype.type
    _step(
        p.reshape(-1),
        np.ascontiguousarray(g).reshape(-1),
        m.reshape(-1),
        v.reshape(-1),
        kind(lr / (1 - beta1**step)),
        kind(beta1),
        kind(beta2),
        kind(1 - beta1),
        kind(1 - beta2),
        kind(eps),
        kind(1 / np.sqrt(1 - beta2**step)),
        kind(1 - lr * weight_decay),
    )


@jit
def _step(p, g, m, v, lr, beta1, beta2, rest1, rest2, eps, root, keep):
    for i in range(p.size):
        m1 = beta1 * m[i] + rest1 * g[i]
        v1 = beta2 * v[i] + rest2 * g[i] * g[i]
        m[i] = m1
        v[i] = v1
        p[i] = p[i] * keep - lr * m1 / (np.sqrt(v1) * root + eps)
