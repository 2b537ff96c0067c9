"""AdamW: Adam's step (arXiv 1412.6980, algorithm 1) with decay decoupled (arXiv 1711.05101)."""

from collections.abc import Callable

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
    """Update p, m and v in place; all four are arrays of one shape; `step` counts from 1."""
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
    copies: list[Array] | None = None,
    factor: float = 1.0,
    one: Callable[..., None] = adamw,
) -> None:
    """`adamw` for each of several parameters.

    Args:
        ps, ms, vs: float32 (or wider), changed in place.
        gs: gradients; those of 16 bits are widened first.
        copies: the parameters in 16 bits, written again; None where there are none.
        factor: what the gradients are multiplied by (1 / loss scale, clipping).
        one: the step of one parameter.
    """
    for p, g, m, v in zip(ps, gs, ms, vs, strict=True):
        g = g if g.dtype == p.dtype else g.astype(p.dtype)
        g = g if factor == 1.0 else g * factor
        one(p, g, m, v, lr, beta1, beta2, eps, weight_decay, step)
    for p, copy in zip(ps, copies or ()):
        copy[...] = p.astype(copy.dtype)


def sum_squares(arrays: list[Array]) -> float:
    """The sum of the squares of all numbers; inf or nan if any is."""
    return sum(float(xp_of(g).vdot(g, g).real) for g in arrays)
