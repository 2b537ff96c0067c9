"""Losses of numbers and of yes and no; those of tokens are in `probability`."""

from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.functional.meeting import array_like, meet
from minilm.kernels.gelu.reference import sigmoid
from minilm.tensor import primitive


def _check(name: str, x: Array, target: Array, reduction: str) -> tuple[Array, Array, float]:
    """Both as floats of one shape, and what each element's loss is multiplied by.

    Raises:
        InputError: other shapes; an unknown reduction; a mean of nothing.
    """
    target = array_like(target, x)
    if x.shape != target.shape:
        raise InputError(f"{name}: x is {x.shape} and target {target.shape}; they must be alike")
    if reduction not in ("mean", "sum", "none"):
        raise InputError(f"reduction is {reduction!r}; allowed are 'mean', 'sum' and 'none'")
    if reduction == "mean" and not x.size:
        raise InputError(f"{name}: x is {x.shape}; a mean needs at least one element")
    return *meet(x, target), 1 / x.size if reduction == "mean" else 1.0


def _reduced(losses: Array, share: float, reduction: str) -> Array:
    return losses if reduction == "none" else losses.sum() * losses.dtype.type(share)


@primitive
def mse(x: Array, target: Array, reduction: str = "mean"):
    """(x - target)^2.

    Args:
        x, target: of one shape.
        reduction: "mean" over all elements, "sum", or "none" for one loss each.

    Raises:
        InputError: other shapes; an unknown reduction; a mean of nothing.
    """
    x, target, share = _check("mse", x, target, reduction)
    away = x - target

    def pullback(g: Array):
        slope = away * (g * g.dtype.type(2 * share))
        return slope, lambda: -slope

    return _reduced(away * away, share, reduction), pullback


@primitive
def l1(x: Array, target: Array, reduction: str = "mean"):
    """|x - target|; the gradient where they are equal is 0.

    Args:
        x, target, reduction: as for `mse`.

    Raises:
        InputError: as `mse`.
    """
    x, target, share = _check("l1", x, target, reduction)
    away, xp = x - target, xp_of(x)

    def pullback(g: Array):
        slope = xp.sign(away) * (g * g.dtype.type(share))
        return slope, lambda: -slope

    return _reduced(xp.abs(away), share, reduction), pullback


@primitive
def bce(logits: Array, target: Array, reduction: str = "mean"):
    """-target log sigmoid(logits) - (1 - target) log sigmoid(-logits), without overflow, in nats.

    As torch.nn.functional.binary_cross_entropy_with_logits.

    Args:
        logits, target: of one shape; targets are probabilities, from 0 to 1.
        reduction: as for `mse`.

    Raises:
        InputError: as `mse`; a target outside 0 to 1.
    """
    x, target, share = _check("bce", logits, target, reduction)
    xp = xp_of(x)
    if xp.__name__ == "numpy" and target.size and not 0 <= target.min() <= target.max() <= 1:
        raise InputError(
            f"bce: targets go from {target.min():g} to {target.max():g}; they must be from 0 to 1"
        )
    losses = xp.maximum(x, 0) - x * target + xp.log1p(xp.exp(-xp.abs(x)))

    def pullback(g: Array):
        scaled = g * g.dtype.type(share)
        return lambda: (sigmoid(x) - target) * scaled, lambda: -x * scaled

    return _reduced(losses, share, reduction), pullback
