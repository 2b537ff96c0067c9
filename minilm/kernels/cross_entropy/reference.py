"""loss = logsumexp(x) - x[target], per row, and its gradient softmax(x) - onehot(target).

With label smoothing e the target is (1 - e) onehot + e / V (Szegedy et al. 2016, arXiv
1512.00567); the z-loss adds z * logsumexp(x)**2, which keeps logits near zero (PaLM, arXiv
2204.02311, section 5). A negative target is ignored: loss 0, gradient 0.
"""

from minilm.backend import Array, xp_of


def cross_entropy(
    logits: Array, targets: Array, smoothing: float = 0.0, z_loss: float = 0.0
) -> tuple[Array, Array]:
    """Losses, and the two parts of the logsumexp that the gradient needs.

    Everything is taken from the row's largest logit before it is added up: at logits around 1e8 a
    float32 logsumexp has no digits left for the loss.

    Args:
        logits: (N, V) float.
        targets: (N,) integers below V; negative ones are ignored.

    Returns:
        (N,) losses in nats, and (2, N): each row's largest logit and log(sum(exp(x - largest))),
        which add up to its logsumexp.
    """
    xp = xp_of(logits)
    top = logits.max(axis=-1)
    z = logits - top[:, None]
    log_total = xp.log(xp.exp(z).sum(axis=-1))
    kept = targets >= 0
    rows = xp.arange(len(targets))
    losses = log_total - (1 - smoothing) * z[rows, xp.where(kept, targets, 0)]
    if smoothing:
        losses = losses - smoothing * z.mean(axis=-1)
    if z_loss:
        lse = log_total + top
        losses = losses + z_loss * lse * lse
    return xp.where(kept, losses, 0).astype(logits.dtype), xp.stack([top, log_total])


def cross_entropy_backward(
    g: Array,
    logits: Array,
    targets: Array,
    lse: Array,
    smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> Array:
    """dL/dlogits (N, V) from the gradient g (N,) of the losses; `lse` (2, N) as forward gave it."""
    xp = xp_of(logits)
    kept = targets >= 0
    rows = xp.arange(len(targets))
    scale = xp.where(kept, g, 0).astype(logits.dtype)[:, None]
    top, log_total = lse
    gradient = xp.exp(logits - top[:, None] - log_total[:, None])
    if z_loss:
        gradient = gradient * (1 + 2 * z_loss * (top + log_total))[:, None]
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
