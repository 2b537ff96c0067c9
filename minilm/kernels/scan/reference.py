"""h_t = exp(delta_t A) h_(t-1) + delta_t B_t x_t and y_t = C_t h_t (arXiv 2312.00752, eq. 2 and 4).

Each of E channels has N numbers of state. A says how fast each of them fades, delta how much time a
token takes, B what enters and C what is read. A is the layer's; delta, B and C are the token's own,
which is what makes the scan *selective*.

A state lies with its channels last, (B, N, E), as everything else does. Backward needs every state;
kept are those at every 16th token, `marks`, and the 15 between are computed again.
"""

from minilm.backend import Array, xp_of

SPAN = 16  # tokens between two states that are kept


def spans(time: int) -> int:
    """How many states are kept of a sequence."""
    return -(-time // SPAN)


def scan(
    x: Array, delta: Array, a: Array, b: Array, c: Array, h0: Array
) -> tuple[Array, Array, Array]:
    """The outputs, the last state, and the states that backward goes on from.

    Args:
        x, delta: (B, T, E), what enters and how long it takes.
        a: (E, N), the rates; below 0, or the state grows.
        b, c: (B, T, N).
        h0: (B, N, E), the state before the first token.

    Returns:
        y (B, T, E); the state after the last token (B, N, E); marks (B, spans(T), N, E), the states
        before tokens 0, 16, 32 ...
    """
    xp = xp_of(x)
    batch, time, _ = x.shape
    y, marks = xp.empty_like(x), xp.empty((batch, spans(time), *h0.shape[1:]), x.dtype)
    h = h0
    for t in range(time):
        if t % SPAN == 0:
            marks[:, t // SPAN] = h
        h = _decay(delta, a, t) * h + b[:, t, :, None] * (delta[:, t] * x[:, t])[:, None]
        y[:, t] = (c[:, t, :, None] * h).sum(axis=1)  # (B, N, E) -> (B, E)
    return y, h, marks


def scan_backward(
    g: Array, x: Array, delta: Array, a: Array, b: Array, c: Array, marks: Array
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Gradients of x, delta, a, b, c and h0 from that of y, (B, T, E)."""
    xp = xp_of(x)
    dx, ddelta = xp.empty_like(x), xp.empty_like(x)
    da, db, dc = xp.zeros_like(a), xp.empty_like(b), xp.empty_like(c)
    dh = xp.zeros_like(marks[:, 0])  # (B, N, E), of the state after the token at hand
    for span in reversed(range(marks.shape[1])):
        first, past = span * SPAN, min(x.shape[1], (span + 1) * SPAN)
        states = [marks[:, span]]
        for t in range(first, past):
            new = b[:, t, :, None] * (delta[:, t] * x[:, t])[:, None]
            states.append(_decay(delta, a, t) * states[-1] + new)
        for t in reversed(range(first, past)):
            before, after, decay = states[t - first], states[t - first + 1], _decay(delta, a, t)
            dh = dh + c[:, t, :, None] * g[:, t, None]
            dc[:, t] = (after * g[:, t, None]).sum(axis=2)
            db[:, t] = (dh * (delta[:, t] * x[:, t])[:, None]).sum(axis=2)
            entered = (dh * b[:, t, :, None]).sum(axis=1)  # (B, E), of delta x
            slope = decay * dh * before  # (B, N, E), of delta a
            dx[:, t] = entered * delta[:, t]
            ddelta[:, t] = entered * x[:, t] + (slope * a.T).sum(axis=1)
            da += (slope * delta[:, t, None]).sum(axis=0).T
            dh = decay * dh
    return dx, ddelta, da, db, dc, dh


def _decay(delta: Array, a: Array, t: int) -> Array:
    """exp(delta_t A): what each number of the state is multiplied by, (B, N, E)."""
    return xp_of(delta).exp(delta[:, t, None] * a.T)
