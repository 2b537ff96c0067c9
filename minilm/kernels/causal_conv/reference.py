"""y_t = b + sum over k of w_k x_(t - K + 1 + k), each channel alone; `before` comes before x_0.

The last weight meets the token itself, as in torch.nn.Conv1d with groups = channels.
"""

from minilm.backend import Array, xp_of


def causal_conv(x: Array, w: Array, b: Array, before: Array) -> Array:
    """x (B, T, E), w (E, K), b (E,), before (B, K - 1, E) -> (B, T, E)."""
    whole, time = xp_of(x).concatenate([before, x], axis=1), x.shape[1]
    y = xp_of(x).empty_like(x)
    y[...] = b
    for k in range(w.shape[1]):
        y += w[:, k] * whole[:, k : k + time]
    return y


def causal_conv_backward(
    g: Array, x: Array, w: Array, before: Array
) -> tuple[Array, Array, Array, Array]:
    """Gradients of x, w, b and before from that of y, (B, T, E)."""
    xp = xp_of(x)
    whole, time = xp.concatenate([before, x], axis=1), x.shape[1]
    dwhole, dw = xp.zeros_like(whole), xp.empty_like(w)
    for k in range(w.shape[1]):
        dwhole[:, k : k + time] += w[:, k] * g
        dw[:, k] = (g * whole[:, k : k + time]).sum(axis=(0, 1))
    first = before.shape[1]
    return dwhole[:, first:], dw, g.sum(axis=(0, 1)), dwhole[:, :first]
