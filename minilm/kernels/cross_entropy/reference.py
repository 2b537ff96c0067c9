"""loss = logsumexp(x) - x[target], per row, and its gradient softmax(x) - onehot(target).

With label smoothing e the target is (1 - e) onehot + e / V (Szegedy et al. 2016, arXiv
1512.00567); the z-loss adds z * logsumexp(x)**2, which keeps logits near zero (PaLM, arXiv
2204.02311, section 5). A negative target is ignored: loss 0, gradient 0.
"""

from minilm.backend import Array, xp_of


def cross_entropy(
    logits: Array, targets: Array, smoothing: float = 0.0, z_loss: float = 0.0
) -> tuple[Array, Array]:
    """Losses and the logsumexp that the gradient needs.

    Args:
        logits: (N, V) float.
        targets: (N,) integers below V; negative ones are ignored.

    Returns:
        (N,) losses in nats, and (N,) logsumexp of each row.
    """
    xp = xp_of(logits)
    top = logits.max(axis=-1)
    lse = xp.log(xp.exp(logits - top[:, None]).sum(axis=-1)) + top
    kept = targets >= 0
    rows = xp.arange(len(targets))
    picked = logits[rows, xp.where(kept, targets, 0)]
    losses = lse - (1 - smoothing) * picked
    if smoothing:
        losses = losses - smoothing * logits.mean(axis=-1)
    if z_loss:
        losses = losses + z_loss * lse * lse
    return xp.where(kept, losses, 0).astype(logits.dtype), lse


def cross_entropy_backward(
    g: Array,
    logits: Array,
    targets: Array,
    lse: Array,
    smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> Array:
    """dL/dlogits (N, V) from the gradient g (N,) of the losses."""
    xp = xp_of(logits)
    kept = targets >= 0
    rows = xp.arange(len(targets))
    scale = xp.where(kept, g, 0).astype(logits.dtype)[:, None]
    gradient = xp.exp(logits - lse[:, None])
    if z_loss:
        gradient = gradient * (1 + 2 * z_loss * lse)[:, None]
    gradient[rows, xp.where(kept, targets, 0)] -= 1 - smoothing
    if smoothing:
        gradient -= smoothing / logits.shape[1]
    return gradient * scale


def cross_entropy_with_gradient(
    logits: Array, targets: Array, smoothing: float, z_loss: float, scale: float
) -> Array:
    """Losses (N,); `logits` is overwritten with `scale` times its own gradient.

    Forward and backward in one visit: what a training step wants, since nobody else needs the
    logits.
    """
    losses, lse = cross_entropy(logits, targets, smoothing, z_loss)
    ones = xp_of(logits).full(len(targets), scale, dtype=logits.dtype)
    logits[...] = cross_entropy_backward(ones, logits, targets, lse, smoothing, z_loss)
    return losses
