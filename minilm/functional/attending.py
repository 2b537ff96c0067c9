"""Rotary positions and attention."""

from minilm import kernels
from minilm.backend import Array
from minilm.errors import InputError
from minilm.functional.elementwise import unbroadcast
from minilm.tensor import primitive


@primitive
def rope(x: Array, cos: Array, sin: Array, layout: str = "half"):
    """Rotate pairs of coordinates by their position's angle (arXiv 2104.09864, eq. 34).

    Args:
        x: (..., T, D), D even.
        cos, sin: broadcastable to (..., T, D/2); constants, no gradient.
        layout: "half" pairs i with i + D/2 (Hugging Face), "interleaved" 2i with 2i + 1 (paper).
    """
    check_layout(layout)
    if x.shape[-1] != 2 * cos.shape[-1] or x.shape[-2] != cos.shape[-2] or sin.shape != cos.shape:
        raise InputError(
            f"rope of x (..., T, D) = {x.shape} needs cos and sin of (..., {x.shape[-2]}, "
            f"{x.shape[-1] // 2}), not {cos.shape} and {sin.shape}"
        )
    interleaved = layout == "interleaved"
    return kernels.rope(x, cos, sin, interleaved), lambda g: (
        kernels.rope(g, cos, -sin, interleaved),
    )


def check_layout(layout: str) -> None:
    """Refuse a layout of rotary pairs that does not exist."""
    if layout not in ("half", "interleaved"):
        raise InputError(f"layout is {layout!r}; allowed are 'half' and 'interleaved'")


@primitive
def attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    causal: bool = False,
    window: int | None = None,
    bias: Array | None = None,
    scale: float | None = None,
):
    """softmax(q k^T * scale + bias) v, where the mask lets a query look (arXiv 1706.03762, eq. 1).

    Args:
        q: (B, H, T, D) queries.
        k, v: (B, G, S, D) keys and values; G divides H, each group serves H / G heads.
        mask: bool, broadcastable to (B, H, T, S), True where a query may look.
        causal: the last query sees the last key, the one before it the key before, and so on.
        window: with ``causal``, how many keys a query sees, itself included.
        bias: float, broadcastable to (B, H, T, S), added to the scaled scores.
        scale: 1 / sqrt(D) where None.

    Returns:
        (B, H, T, D); zeros for a query that may look nowhere.

    Raises:
        InputError: shapes or dtypes that do not fit each other; heads of size 0.
    """
    _fits(q.shape, k.shape, v.shape)
    if q.dtype != k.dtype or q.dtype != v.dtype:
        raise InputError(f"attention: q is {q.dtype}, k {k.dtype}, v {v.dtype}; they must agree")
    check_sight((*q.shape[:3], k.shape[2]), mask, bias, causal, window)
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


def _fits(q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...]) -> None:
    if len(q) != 4 or len(k) != 4 or len(v) != 4:
        raise InputError(f"attention needs 4 axes (B, H, T, D); q {q}, k {k}, v {v}")
    if k[:3] != v[:3] or q[0] != k[0] or q[3] != k[3] or q[1] % k[1]:
        raise InputError(
            f"attention: q (B, H, T, D) is {q}, k (B, G, S, D) is {k}, v is {v}; "
            "B, D and S must agree and G must divide H"
        )
    if not q[3] or not v[3]:  # the compiled kernel would read past arrays without memory
        raise InputError(f"attention: heads must have a size of at least 1; q {q}, k {k}, v {v}")


def check_sight(
    scores: tuple[int, ...],
    mask: Array | None,
    bias: Array | None,
    causal: bool,
    window: int | None,
) -> None:
    """Refuse a mask, bias or window that does not fit scores of the shape (B, H, T, S)."""
    if mask is not None and mask.dtype != bool:
        raise InputError(f"attention mask must be bool, True where a query may look: {mask.dtype}")
    for name, given in (("mask", mask), ("bias", bias)):
        if given is not None and not _spreads(given.shape, scores):
            raise InputError(
                f"attention {name} has shape {given.shape}; it must broadcast to (B, H, T, S) = "
                f"{scores}"
            )
    if window is not None and (not causal or window < 1):
        raise InputError(f"attention window is {window}; it needs causal=True and at least 1")


def _spreads(shape: tuple[int, ...], wide: tuple[int, ...]) -> bool:
    """Whether broadcasting turns the one shape into the other."""
    return len(shape) <= len(wide) and all(
        n in (1, m) for n, m in zip(reversed(shape), reversed(wide), strict=False)
    )
