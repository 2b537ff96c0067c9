"""y[n, o, i, j] = sum over c, a, b of w[o, c, a, b] x[n, c, i s + a - p, j s + b - p].

One product per place (a, b) of the window: the picture, shifted by (a, b), times w[:, :, a, b].
x is 0 outside the picture; the stride s and the padding p are pairs, for rows and columns.
"""

import itertools

from minilm.backend import Array, xp_of

Pair = tuple[int, int]


def out_size(size: Pair, window: Pair, stride: Pair, padding: Pair) -> Pair:
    """Height and width of the output, those of the input being `size`."""
    pairs = zip(size, window, stride, padding, strict=True)
    return tuple((n + 2 * p - k) // s + 1 for n, k, s, p in pairs)


def _places(window: Pair, stride: Pair, size: Pair):
    """Each place of the window, and where the padded picture meets it."""
    for a, b in itertools.product(*map(range, window)):
        down = slice(a, a + stride[0] * size[0], stride[0])
        yield a, b, (slice(None), slice(None), down, slice(b, b + stride[1] * size[1], stride[1]))


def _padded(x: Array, stride: Pair, padding: Pair) -> Array:
    """x with its border of 0, and one stride more, so that every slice is as long as it says."""
    (s, t), (p, q) = stride, padding
    return xp_of(x).pad(x, ((0, 0), (0, 0), (p, p + s), (q, q + t)))


def conv2d(x: Array, w: Array, stride: Pair, padding: Pair) -> Array:
    """x (N, I, H, W), w (O, I, A, B) -> (N, O, H', W')."""
    size = out_size(x.shape[2:], w.shape[2:], stride, padding)
    wide = _padded(x, stride, padding)
    y = xp_of(x).zeros((len(x), len(w), *size), x.dtype)
    for a, b, place in _places(w.shape[2:], stride, size):
        y += xp_of(x).einsum("oi,nihw->nohw", w[:, :, a, b], wide[place], optimize=True)
    return y


def conv2d_input_gradient(g: Array, w: Array, size: Pair, stride: Pair, padding: Pair) -> Array:
    """dx (N, I, H, W) from the gradient g (N, O, H', W'); `size` is (H, W)."""
    (h, v), (p, q) = size, padding
    dx = xp_of(g).zeros((len(g), w.shape[1], h, v), g.dtype)
    wide = _padded(dx, stride, padding)
    for a, b, place in _places(w.shape[2:], stride, g.shape[2:]):
        wide[place] += xp_of(g).einsum("oi,nohw->nihw", w[:, :, a, b], g, optimize=True)
    return wide[:, :, p : p + h, q : q + v]


def conv2d_weight_gradient(g: Array, x: Array, window: Pair, stride: Pair, padding: Pair) -> Array:
    """dw (O, I, A, B) from the gradient g (N, O, H', W'); `window` is (A, B)."""
    wide = _padded(x, stride, padding)
    dw = xp_of(x).zeros((g.shape[1], x.shape[1], *window), x.dtype)
    for a, b, place in _places(window, stride, g.shape[2:]):
        dw[:, :, a, b] = xp_of(x).einsum("nohw,nihw->oi", g, wide[place], optimize=True)
    return dw
