"""Cross-entropy in Numba; with its gradient it visits each logit three times and keeps nothing."""

import numpy as np

from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import exp, fmax, minus


def cross_entropy(
    logits: np.ndarray, targets: np.ndarray, smoothing: float = 0.0, z_loss: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """See `reference.cross_entropy`."""
    kind = logits.dtype.type
    losses, lse = np.empty(len(logits), logits.dtype), np.empty((2, len(logits)), logits.dtype)
    _forward(np.ascontiguousarray(logits), targets, kind(smoothing), kind(z_loss), losses, lse)
    return losses, lse


def cross_entropy_backward(
    g: np.ndarray,
    logits: np.ndarray,
    targets: np.ndarray,
    lse: np.ndarray,
    smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> np.ndarray:
    """See `reference.cross_entropy_backward`."""
    kind = logits.dtype.type
    gradient = np.empty(logits.shape, logits.dtype)
    logits = np.ascontiguousarray(logits)
    _backward(g, logits, targets, lse, kind(smoothing), kind(z_loss), gradient)
    return gradient


def cross_entropy_with_gradient(
    logits: np.ndarray, targets: np.ndarray, smoothing: float, z_loss: float, scale: float
) -> np.ndarray:
    """See `reference.cross_entropy_with_gradient`; `logits` must be one block of memory."""
    kind = logits.dtype.type
    losses = np.empty(len(logits), logits.dtype)
    _both(logits, targets, kind(smoothing), kind(z_loss), kind(scale), losses)
    return losses


@jit(inline="always")
def _loss(row, target, top, log_total, smoothing, z_loss):
    """Taken from `top` first, added up after: so large logits leave the loss its digits."""
    one = row.dtype.type(1)
    lse = top + log_total
    loss = log_total - (one - smoothing) * minus(row[target], top)
    if z_loss != 0:  # where the square overflows, 0 times it is NaN
        loss += z_loss * lse * lse
    if smoothing > 0:
        total = row.dtype.type(0)
        for j in range(row.size):
            total += minus(row[j], top)
        loss -= smoothing * total / row.dtype.type(row.size)
    return loss


@jit
def _forward(logits, targets, smoothing, z_loss, losses, lse):
    zero = logits.dtype.type(0)
    for i in range(logits.shape[0]):
        row = logits[i]
        top = row[0]
        for j in range(row.size):
            top = fmax(top, row[j])
        total = zero
        for j in range(row.size):
            total += exp(row[j] - top)
        log_total = np.log(total)
        lse[0, i], lse[1, i] = top, log_total
        losses[i] = zero
        if targets[i] >= 0:
            losses[i] = _loss(row, targets[i], top, log_total, smoothing, z_loss)


@jit
def _backward(g, logits, targets, lse, smoothing, z_loss, gradient):
    zero, one, two = logits.dtype.type(0), logits.dtype.type(1), logits.dtype.type(2)
    for i in range(logits.shape[0]):
        row, out = logits[i], gradient[i]
        if targets[i] < 0:
            for j in range(row.size):
                out[j] = zero
            continue
        top, log_total = lse[0, i], lse[1, i]
        scale = g[i] * (one + two * z_loss * (top + log_total))
        spread = g[i] * smoothing / logits.dtype.type(row.size)
        for j in range(row.size):
            out[j] = exp(minus(minus(row[j], top), log_total)) * scale - spread
        out[targets[i]] -= g[i] * (one - smoothing)


@jit
def _both(logits, targets, smoothing, z_loss, scale, losses):
    zero, one, two = logits.dtype.type(0), logits.dtype.type(1), logits.dtype.type(2)
    for i in range(logits.shape[0]):
        row, target = logits[i], targets[i]
        if target < 0:
            losses[i] = zero
            for j in range(row.size):
                row[j] = zero
            continue
        top = row[0]
        for j in range(row.size):
            top = fmax(top, row[j])
        picked, summed = minus(row[target], top), zero
        if smoothing > 0:
            for j in range(row.size):
                summed += minus(row[j], top)
        total = zero
        for j in range(row.size):
            e = exp(row[j] - top)
            row[j] = e
            total += e
        log_total = np.log(total)
        lse = top + log_total
        mean = summed / logits.dtype.type(row.size)
        losses[i] = log_total - (one - smoothing) * picked - smoothing * mean
        if z_loss != 0:
            losses[i] += z_loss * lse * lse
        factor = scale * (one + two * z_loss * lse) / total
        spread = scale * smoothing / logits.dtype.type(row.size)
        for j in range(row.size):
            row[j] = row[j] * factor - spread
        row[target] -= scale * (one - smoothing)
