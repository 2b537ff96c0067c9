"""AdamW: Adam's step (arXiv 1412.6980, algorithm 1) with decay decoupled (arXiv 1711.05101)."""

from minilm.backend import Array, xp_of


def adamw(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    step: int,
) -> None:
    """Update p, m and v in place; all four are arrays of one shape; ``step`` counts from 1."""
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * g * g
    m_hat = m / (1 - beta1**step)
    v_hat = v / (1 - beta2**step)
    p *= 1 - lr * weight_decay
    p -= lr * m_hat / (xp_of(p).sqrt(v_hat) + eps)


def adamw_many(
    ps: list[Array],
    gs: list[Array],
    ms: list[Array],
    vs: list[Array],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    step: int,
) -> None:
    """``adamw`` for each of several parameters."""
    for p, g, m, v in zip(ps, gs, ms, vs, strict=True):
        adamw(p, g, m, v, lr, beta1, beta2, eps, weight_decay, step)
