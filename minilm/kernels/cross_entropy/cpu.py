"""Cross-entropy in Numba; with its gradient it visits each logit three times and keeps nothing."""

import numpy as np

from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import exp, fmax


def cross_entropy(
    logits: np.ndarray, targets: np.ndarray, smoothing: float = 0.0, z_loss: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """See `reference.cross_entropy`."""
    kind = logits.dtype.type
    losses, lse = np.empty(len(logits), logits.dtype), np.empty(len(logits), logits.dtype)
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
def _loss(row, target, lse, smoothing, z_loss):
    one = row.dtype.type(1)
    loss = lse - (one - smoothing) * row[target] + z_loss * lse * lse
    if smoothing > 0:
        total = row.dtype.type(0)
        for j in range(row.size):
            total += row[j]
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
        lse[i] = top + np.log(total)
        losses[i] = _loss(row, targets[i], lse[i], smoothing, z_loss) if targets[i] >= 0 else zero


@jit
def _backward(g, logits, targets, lse, smoothing, z_loss, gradient):
    zero, one, two = logits.dtype.type(0), logits.dtype.type(1), logits.dtype.type(2)
    for i in range(logits.shape[0]):
        row, out = logits[i], gradient[i]
        if targets[i] < 0:
            for j in range(row.size):
                out[j] = zero
            continue
        scale, shift = g[i] * (one + two * z_loss * lse[i]), lse[i]
        spread = g[i] * smoothing / logits.dtype.type(row.size)
        for j in range(row.size):
            out[j] = exp(row[j] - shift) * scale - spread
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
        picked, summed = row[target], zero
        if smoothing > 0:
            for j in range(row.size):
                summed += row[j]
        total = zero
        for j in range(row.size):
            e = exp(row[j] - top)
            row[j] = e
            total += e
        lse = top + np.log(total)
        mean = summed / logits.dtype.type(row.size)
        losses[i] = lse - (one - smoothing) * picked - smoothing * mean + z_loss * lse * lse
        factor = scale * (one + two * z_loss * lse) / total
        spread = scale * smoothing / logits.dtype.type(row.size)
        for j in range(row.size):
            row[j] = row[j] * factor - spread
        row[target] -= scale * (one - smoothing)
