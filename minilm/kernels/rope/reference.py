"""Rotate pairs of coordinates by an angle that grows with the position (arXiv 2104.09864, eq. 34).

Which coordinates pair up is a convention: the paper takes neighbours (0, 1), (2, 3) ...
("interleaved"); Hugging Face takes i and i + D/2 ("half"). A permutation of the weights turns one
into the other.
"""

from minilm.backend import Array, xp_of


def rope(x: Array, cos: Array, sin: Array, interleaved: bool) -> Array:
    """x (..., T, D), cos and sin broadcastable to (..., T, D/2) -> (..., T, D).

    The gradient is the rotation back: ``rope(g, cos, -sin, interleaved)``.
    """
    half = x.shape[-1] // 2
    if interleaved:
        a, b = x[..., 0::2], x[..., 1::2]
    else:
        a, b = x[..., :half], x[..., half:]
    out = xp_of(x).empty_like(x)
    first, second = a * cos - b * sin, a * sin + b * cos
    if interleaved:
        out[..., 0::2], out[..., 1::2] = first, second
    else:
        out[..., :half], out[..., half:] = first, second
    return out
