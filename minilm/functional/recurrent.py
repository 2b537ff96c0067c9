"""Recurrent layers as one primitive each: a whole sequence forward, backward through time behind.

The products with the input are one matrix product for all steps; what is left in the loop is the
product with the state, which has to wait for the step before it. No parallelism over time: that
is what attention was to remove.
"""

from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.functional.meeting import as_rows, meet
from minilm.tensor import primitive


@primitive
def rnn(x: Array, w: Array, u: Array, b: Array, h0: Array):
    """h_t = tanh(W x_t + U h_(t-1) + b), Elman 1990.

    Args:
        x: (B, T, I).
        w, u, b: (C, I), (C, C), (C,).
        h0: (B, C), the state before the first token.

    Returns:
        (B, T, C), every h_t.

    Raises:
        InputError: shapes that do not fit each other.
    """
    _check_shapes("rnn", 1, x, w, u, b, h0)
    x, w, u, b, h0 = meet(x, w, u, b, h0)
    xp = xp_of(x)
    pre = _inputs(x, w, b)  # (T, B, C)
    states = xp.empty((len(pre) + 1, *h0.shape), x.dtype)
    states[0] = h0
    for t, z in enumerate(pre):
        xp.tanh(z + states[t] @ u.T, out=states[t + 1])

    def pullback(g: Array):
        dz = xp.empty_like(pre)
        dh = xp.zeros_like(h0)
        for t in reversed(range(len(pre))):
            dh = dh + g[:, t]
            dz[t] = dh * (1 - states[t + 1] ** 2)
            dh = dz[t] @ u
        return (*_weight_gradients(x, w, u, states[:-1], dz), dh)

    return states[1:].swapaxes(0, 1), pullback  # (T, B, C) -> (B, T, C)


@primitive
def lstm(x: Array, w: Array, u: Array, b: Array, h0: Array, c0: Array):
    """The LSTM of Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000.

        i, f, o = sigmoid(W x_t + U h_(t-1) + b),  g = tanh(the same with rows of its own)
        c_t = f c_(t-1) + i g,  h_t = o tanh(c_t)

    The cell c is carried on by a sum, so its gradient is multiplied by f alone on the way back.

    Args:
        x: (B, T, I).
        w, u, b: (4C, I), (4C, C), (4C,); rows in the order i, f, g, o, as PyTorch keeps them.
        h0, c0: (B, C), state and cell before the first token.

    Returns:
        (B, T, 2C), h_t and c_t side by side.

    Raises:
        InputError: shapes that do not fit each other.
    """
    _check_shapes("lstm", 4, x, w, u, b, h0)
    if c0.shape != h0.shape:
        raise InputError(
            f"lstm: c0 has shape {c0.shape}; h0 has {h0.shape}, and they must be alike"
        )
    x, w, u, b, h0, c0 = meet(x, w, u, b, h0, c0)
    xp = xp_of(x)
    width = h0.shape[1]
    i, f, g, o = (slice(k * width, (k + 1) * width) for k in range(4))
    s = xp.full(4 * width, 0.5, x.dtype)  # sigmoid(z) = tanh(z / 2) / 2 + 1/2: one tanh for all
    s[g] = 1
    gates = _inputs(x, w, b)  # (T, B, 4C), turned into the gates in place
    h = xp.empty((len(gates) + 1, *h0.shape), x.dtype)
    c, squashed = xp.empty_like(h), xp.empty_like(h)
    h[0], c[0] = h0, c0
    for t, a in enumerate(gates):
        a += h[t] @ u.T
        a *= s
        xp.tanh(a, out=a)
        a *= s
        a += 1 - s
        c[t + 1] = a[:, f] * c[t] + a[:, i] * a[:, g]
        xp.tanh(c[t + 1], out=squashed[t + 1])
        xp.multiply(a[:, o], squashed[t + 1], out=h[t + 1])

    def pullback(grad: Array):
        dz = gates * (1 - gates)  # the slope of each gate; tanh's is another
        dz[..., g] = 1 - gates[..., g] ** 2
        dh, dc = xp.zeros_like(h0), xp.zeros_like(c0)
        for t in reversed(range(len(gates))):
            a, d = gates[t], dz[t]
            dh = dh + grad[:, t, :width]
            dc = dc + grad[:, t, width:] + dh * a[:, o] * (1 - squashed[t + 1] ** 2)
            d[:, i] *= dc * a[:, g]
            d[:, f] *= dc * c[t]
            d[:, g] *= dc * a[:, i]
            d[:, o] *= dh * squashed[t + 1]
            dh, dc = d @ u, dc * a[:, f]
        return (*_weight_gradients(x, w, u, h[:-1], dz), dh, dc)

    # (T, B, C) twice -> (T, B, 2C) -> (B, T, 2C)
    return xp.concatenate([h[1:], c[1:]], axis=2).swapaxes(0, 1), pullback


def _inputs(x: Array, w: Array, b: Array) -> Array:
    """W x_t + b for all steps at once: (B, T, I) -> (T, B, ...)."""
    steps = xp_of(x).ascontiguousarray(x.swapaxes(0, 1))  # (B, T, I) -> (T, B, I)
    return steps @ w.T + b


def _weight_gradients(x: Array, w: Array, u: Array, before: Array, dz: Array) -> tuple:
    """Gradients of x, w, u and b from those before the squashing, dz (T, B, ...)."""
    flat = as_rows(dz)  # (T, B, ...) -> (T B, ...)
    return (
        lambda: (dz @ w).swapaxes(0, 1),  # (T, B, I) -> (B, T, I)
        lambda: flat.T @ as_rows(x.swapaxes(0, 1)),  # (B, T, I) -> (T, B, I) -> (T B, I)
        lambda: flat.T @ as_rows(before),  # (T, B, C) -> (T B, C)
        lambda: flat.sum(axis=0),
    )


def _check_shapes(name: str, gates: int, x: Array, w: Array, u: Array, b: Array, h0: Array) -> None:
    if x.ndim != 3 or h0.ndim != 2:
        raise InputError(
            f"{name}: x has shape {x.shape} and h0 {h0.shape}; they must be "
            "(batch, time, features) and (batch, units)"
        )
    batch, _, features = x.shape
    width = h0.shape[-1]
    wanted = ((gates * width, features), (gates * width, width), (gates * width,), (batch, width))
    if (w.shape, u.shape, b.shape, h0.shape) != wanted:
        raise InputError(
            f"{name}: w, u, b and h0 have the shapes {w.shape}, {u.shape}, {b.shape}, {h0.shape}; "
            f"with x {x.shape} and {width} units they must be {', '.join(map(str, wanted))}"
        )
