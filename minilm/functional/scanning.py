"""What reads a text with a state of fixed size: scan, short convolution, linear attention."""

from minilm import kernels
from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.functional.meeting import floats, meet
from minilm.tensor import primitive


@primitive
def selective_scan(x: Array, delta: Array, a: Array, b: Array, c: Array, h0: Array | None = None):
    """h_t = exp(delta_t A) h_(t-1) + delta_t B_t x_t, and y_t = C_t h_t (arXiv 2312.00752).

    Args:
        x, delta: (B, T, E), what enters each channel, and how long the token takes.
        a: (E, N), how fast each number of the state fades: negative.
        b, c: (B, T, N), what is written of x into the state, and what is read of it.
        h0: (B, N, E), the state before the first token; None: zeros.

    Returns:
        (B, T, E).

    Raises:
        InputError: shapes that do not fit each other.
    """
    check_scan(x, delta, a, b, c, h0)
    x, delta, a, b, c, h0 = meet(x, delta, a, b, c, h0)
    start = h0 if h0 is not None else no_state(x, a)
    y, _, marks = kernels.scan(x, delta, a, b, c, start)

    def pullback(g: Array):
        *gradients, dh0 = kernels.scan_backward(g, x, delta, a, b, c, marks)
        return *gradients, None if h0 is None else dh0

    return y, pullback


def no_state(x: Array, a: Array) -> Array:
    """The state before the first token of x (B, T, E) where there was none: zeros (B, N, E)."""
    return xp_of(x).zeros((x.shape[0], a.shape[1], x.shape[2]), x.dtype)


def check_scan(x: Array, delta: Array, a: Array, b: Array, c: Array, h0: Array | None) -> None:
    """Refuse shapes that a scan cannot read.

    Raises:
        InputError: it names the first that does not fit x and a.
    """
    if x.ndim != 3 or a.ndim != 2 or a.shape[0] != x.shape[2]:
        raise InputError(
            f"selective_scan: x is {x.shape} and a {a.shape}; they must be (batch, time, channels) "
            "and (channels, states)"
        )
    batch, time, channels = x.shape
    each = (batch, time, a.shape[1])
    wanted = {"delta": (delta, x.shape), "b": (b, each), "c": (c, each)}
    if h0 is not None:
        wanted["h0"] = h0, (batch, a.shape[1], channels)
    for name, (array, shape) in wanted.items():
        if array.shape != shape:
            raise InputError(
                f"selective_scan: {name} is {array.shape}; with x {x.shape} and a {a.shape} it "
                f"must be {shape}"
            )


@primitive
def causal_conv(x: Array, w: Array, b: Array, before: Array | None = None):
    """y_t = b + sum over k of w_k x_(t - K + 1 + k): each channel alone, and no look ahead.

    torch.nn.functional.conv1d with groups = channels, of a sequence with K - 1 zeros in front.

    Args:
        x: (B, T, E).
        w: (E, K); the last weight meets the token itself.
        b: (E,).
        before: (B, K - 1, E), the tokens before the first; None: zeros.

    Returns:
        (B, T, E).

    Raises:
        InputError: shapes that do not fit each other.
    """
    check_conv(x, w, b, before)
    x, w, b, before = meet(x, w, b, before)
    start = before
    if start is None:
        start = xp_of(x).zeros((x.shape[0], w.shape[1] - 1, x.shape[2]), x.dtype)

    def pullback(g: Array):
        *gradients, dbefore = kernels.causal_conv_backward(g, x, w, start)
        return *gradients, None if before is None else dbefore

    return kernels.causal_conv(x, w, b, start), pullback


def check_conv(x: Array, w: Array, b: Array, before: Array | None) -> None:
    """Refuse shapes that `causal_conv` cannot read.

    Raises:
        InputError: it says what they are and what they must be.
    """
    good = x.ndim == 3 and w.ndim == 2 and w.shape[0] == x.shape[2] and w.shape[1] > 0
    if not good or b.shape != w.shape[:1]:
        raise InputError(
            f"causal_conv: x is {x.shape}, w {w.shape} and b {b.shape}; they must be (batch, time, "
            "channels), (channels, window) and (channels,)"
        )
    wanted = (x.shape[0], w.shape[1] - 1, x.shape[2])
    if before is not None and before.shape != wanted:
        raise InputError(
            f"causal_conv: before is {before.shape}; with x {x.shape} and w {w.shape} it must be "
            f"{wanted}"
        )


@primitive
def linear_attention(q: Array, k: Array, v: Array, state: Array | None = None):
    """y_t = sum over s <= t of (q_t k_s) v_s, and what q_t reads of a state (arXiv 2006.16236).

    Neither a feature map nor the division by the sum of the weights: `nn.LinearAttention` has both.

    Args:
        q, k: (B, H, T, D).
        v: (B, H, T, M).
        state: (B, H, D, M), the sum of k v^T over earlier tokens; None: zeros.

    Returns:
        (B, H, T, M).

    Raises:
        InputError: shapes that do not fit each other.
    """
    if q.ndim != 4 or k.shape != q.shape or v.ndim != 4 or v.shape[:3] != q.shape[:3]:
        raise InputError(
            f"linear_attention: q is {q.shape}, k {k.shape} and v {v.shape}; they must be "
            "(batch, heads, time, size), q and k alike and v of the same batch, heads and time"
        )
    wanted = (*q.shape[:2], q.shape[3], v.shape[3])
    if state is not None and state.shape != wanted:
        raise InputError(
            f"linear_attention: state is {state.shape}; with q {q.shape} and v {v.shape} it must "
            f"be {wanted}"
        )
    q, k, v, state = meet(q, k, v, state)
    start = xp_of(q).zeros(wanted, q.dtype) if state is None else state

    def pullback(g: Array):
        *gradients, dstate = kernels.linear_attention_backward(g, q, k, v, start)
        return *gradients, None if state is None else dstate

    return kernels.linear_attention(q, k, v, start)[0], pullback


@primitive
def elu_plus_one(x: Array):
    """x + 1 above 0 and exp(x) below: positive, as weights must be (arXiv 2006.16236, eq. 7)."""
    x = floats(x)
    xp = xp_of(x)
    below = xp.exp(xp.minimum(x, 0))  # 1 where x is above 0: the slope everywhere
    return below + xp.maximum(x, 0), lambda g: (g * below,)
