"""Rotary positions and attention."""

from typing import Any

import numpy as np

from minilm import kernels
from minilm.backend import Array
from minilm.errors import InputError
from minilm.functional.attention_checks import check_heads, check_layout, check_sight
from minilm.functional.meeting import as_table, fits, floats, meet, unbroadcast
from minilm.tensor import Tensor, primitive


@primitive
def rope(x: Array, cos: Array, sin: Array, layout: str = "half"):
    """Rotate pairs of coordinates by their position's angle (arXiv 2104.09864, eq. 34).

    Args:
        x: (..., T, D), D even.
        cos, sin: broadcastable to (..., T, D/2); constants, no gradient.
        layout: "half" pairs i with i + D/2 (Hugging Face), "interleaved" 2i with 2i + 1 (paper).

    Raises:
        InputError: another layout; tables that do not fit x.
    """
    check_layout(layout)
    whole = (*x.shape[:-1], x.shape[-1] // 2) if x.ndim > 1 else ()
    if (
        cos.ndim < 2
        or sin.shape != cos.shape
        or x.shape[-1:] != (2 * cos.shape[-1],)
        or cos.shape[-2:] != whole[-2:]
        or not fits(cos.shape, whole)
    ):
        raise InputError(
            f"rope: cos is {cos.shape} and sin {sin.shape}; with x (..., T, D) of {x.shape} both "
            "must be (..., T, D/2)"
        )
    x = floats(x)
    cos, sin = as_table(cos, x), as_table(sin, x)
    interleaved = layout == "interleaved"
    return kernels.rope(x, cos, sin, interleaved), lambda g: (
        kernels.rope(g, cos, -sin, interleaved),
    )


def attention(
    q: Any,
    k: Any,
    v: Any,
    mask: Any = None,
    causal: bool = False,
    window: int | None = None,
    bias: Any = None,
    scale: float | None = None,
    dropout: float = 0.0,
    rng: np.random.Generator | None = None,
    return_weights: bool = False,
    cap: float | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """softmax(q k^T * scale + bias) v, where the mask lets a query look (arXiv 1706.03762, eq. 1).

    Args:
        q: (B, H, T, D) queries.
        k, v: (B, G, S, D) keys and values; G divides H, each group serves H / G heads.
        mask: bool, broadcastable to (B, H, T, S), True where a query may look.
        causal: the last query sees the last key, the one before it the key before, and so on.
        window: with `causal`, how many keys a query sees, itself included.
        bias: float, broadcastable to (B, H, T, S), added to the scaled scores.
        scale: 1 / sqrt(D) where None.
        dropout: share of the weights that is set to 0, the rest divided by 1 - dropout.
        rng: where the randomness of `dropout` comes from.
        return_weights: also return the weights, as they were used.
        cap: of the scaled scores, before the bias: cap * tanh(score / cap) (arXiv 2408.00118); None
            leaves them as they are. This, `dropout` and `return_weights` run the formula step by
            step, which holds all B H T S weights; the fused kernel never does.

    Returns:
        (B, H, T, D); zeros for a query that may look nowhere. With `return_weights` also the
        (B, H, T, S) weights, on the tape.

    Raises:
        InputError: shapes or dtypes that do not fit each other; heads of size 0; `dropout` without
            `rng`; a cap that is not a finite number above 0.
    """
    if dropout or return_weights or cap is not None:
        from minilm.functional.by_parts import attention_by_parts

        return attention_by_parts(
            *(q, k, v, mask, causal, window, bias, scale), dropout, rng, return_weights, cap
        )
    return _attention(q, k, v, mask, causal, window, bias, scale)


@primitive
def _attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    causal: bool = False,
    window: int | None = None,
    bias: Array | None = None,
    scale: float | None = None,
):
    check_heads(q.shape, k.shape, v.shape)
    check_sight((*q.shape[:3], k.shape[2]), mask, bias, causal, window)
    q, k, v, bias = meet(q, k, v, bias)
    if q.dtype != k.dtype or q.dtype != v.dtype:
        raise InputError(f"attention: q is {q.dtype}, k {k.dtype}, v {v.dtype}; they must agree")
    bias = None if bias is None else bias.astype(q.dtype, copy=False)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    out, lse = kernels.attention(q, k, v, mask, bias, causal, window, scale)

    def pullback(g: Array):
        dq, dk, dv, dbias = kernels.attention_backward(
            g, q, k, v, out, lse, mask, bias, causal, window, scale
        )
        slope = None if bias is None else unbroadcast(dbias, bias.shape)
        return dq, dk, dv, None, None, None, slope

    return out, pullback


attention.arrays = _attention.arrays  # what `minilm.use` puts a student's function in place of
