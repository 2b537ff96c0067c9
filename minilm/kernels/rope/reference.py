"""Rotate pairs of coordinates by an angle that grows with the position (arXiv 2104.09864, eq. 34).

Which coordinates form a pair is a convention: the paper takes neighbours (0, 1), (2, 3) ...
("interleaved"); Hugging Face takes i and i + D/2 ("half"). A permutation of the weights turns one
into the other.
"""

from minilm.backend import Array, xp_of


def rope(x: Array, cos: Array, sin: Array, interleaved: bool) -> Array:
    """x (..., T, D), cos and sin broadcastable to (..., T, D/2) -> (..., T, D).

    The gradient is the rotation back: `rope(g, cos, -sin, interleaved)`.
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


def rope_rows(
    rows: Array, out: Array, heads: int, cos: Array, sin: Array, interleaved: bool
) -> None:
    """Rotate the first `heads` heads of packed rows, written to the first columns of `out`.

    Args:
        rows: (N, W) with W >= heads * D: for each token its heads side by side.
        out: (N, W') with W' >= heads * D; may be `rows` itself.
        cos, sin: (T, D/2); row n is at position n % T.
    """
    n, (t, half) = len(rows), cos.shape
    width = 2 * half * heads
    x = rows[:, :width].reshape(n // t, t, heads, 2 * half).swapaxes(1, 2)
    out[:, :width] = rope(x, cos, sin, interleaved).swapaxes(1, 2).reshape(n, width)
