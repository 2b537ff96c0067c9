"""S_t = S_(t-1) + k_t v_t^T and y_t = S_t^T q_t (arXiv 2006.16236, eq. 18 to 20), chunk by chunk.

Without the softmax, (q k^T) v is q (k^T v), and k^T v is a state of fixed size. Token by token that
is many small steps; all at once it is T^2 products. Chunks of 32 tokens are both: inside a chunk
the masked products of attention, from chunk to chunk the state, and all of it matrix products.

The kernel takes features that are ready: a feature map, and the division by the sum of the weights,
are the layer's. A column of ones in v gives that sum as one more column of y.
"""

from collections.abc import Callable

from minilm.backend import Array, xp_of

CHUNK = 32  # tokens at a time


def linear_attention(q: Array, k: Array, v: Array, state: Array) -> tuple[Array, Array]:
    """Sums over all keys so far, weighed by q k, and the state after the last token.

    Args:
        q, k: (B, H, T, D).
        v: (B, H, T, M).
        state: (B, H, D, M), that before the first token.

    Returns:
        (B, H, T, M), and the last state (B, H, D, M).
    """
    xp = xp_of(v)
    y = xp.empty_like(v)
    for first in range(0, v.shape[2], CHUNK):
        part = (..., slice(first, first + CHUNK), slice(None))
        keys = k[part].swapaxes(-1, -2)  # (B, H, D, S)
        inside = xp.tril(q[part] @ keys)  # (B, H, S, S), 0 where the key comes later
        y[part] = inside @ v[part] + q[part] @ state  # (B, H, S, M)
        state = state + keys @ v[part]  # (B, H, D, M)
    return y, state


def linear_attention_backward(
    g: Array, q: Array, k: Array, v: Array, state: Array
) -> tuple[Array, Array, Array, Array]:
    """Gradients of q, k, v and the state from that of y, (B, H, T, M).

    Each is such a sum again. The weight of key s at query t is q_t k_s, and its gradient g_t v_s.
    So dq reads the past with g as its query, v as its key and k as its value; dk and dv read the
    future, which is the past of everything turned round.
    """
    return backward_by(linear_attention, g, q, k, v, state)


def backward_by(
    forward: Callable, g: Array, q: Array, k: Array, v: Array, state: Array
) -> tuple[Array, Array, Array, Array]:
    """`linear_attention_backward` by three calls of `linear_attention`, which is `forward`."""
    zeros = xp_of(q).zeros_like(state)
    last = [part[..., ::-1, :] for part in (g, q, k, v)]  # from the last token to the first
    dq, _ = forward(g, v, k, state.swapaxes(-1, -2))
    dk, _ = forward(last[3], last[0], last[1], zeros.swapaxes(-1, -2))
    dv, dstate = forward(last[2], last[1], last[0], zeros)
    return dq, dk[..., ::-1, :], dv[..., ::-1, :], dstate
