"""gelu(x) = x * Phi(x), by erf or by GPT-2's tanh formula; silu(x) = x * sigmoid(x).

arXiv 1606.08415, section 2: the tanh formula is 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x**3))).
"""

import math

from minilm.backend import Array, xp_of

_SQRT_2 = math.sqrt(2)
_SQRT_2_PI = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def _erf(x: Array) -> Array:
    if xp_of(x).__name__ == "cupy":
        from cupyx.scipy.special import erf
    else:
        from scipy.special import erf
    return erf(x)


def gelu(x: Array, tanh: bool) -> Array:
    """Any shape; `tanh` picks the approximation that GPT-2 was trained with."""
    if tanh:
        return 0.5 * x * (1 + xp_of(x).tanh(_SQRT_2_PI * (x + _CUBIC * x * x * x)))
    return 0.5 * x * (1 + _erf(x / _SQRT_2))


def gelu_backward(g: Array, x: Array, tanh: bool) -> Array:
    """g times the derivative of gelu at x."""
    xp = xp_of(x)
    if tanh:
        t = xp.tanh(_SQRT_2_PI * (x + _CUBIC * x * x * x))
        inner = _SQRT_2_PI * (1 + 3 * _CUBIC * x * x)
        return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner)
    density = xp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return g * (0.5 * (1 + _erf(x / _SQRT_2)) + x * density)


def silu(x: Array) -> Array:
    """x / (1 + exp(-x)), any shape (Elfwing et al. 2017, arXiv 1702.03118)."""
    return x * _sigmoid(x)


def silu_backward(g: Array, x: Array) -> Array:
    """g times the derivative of silu at x."""
    s = _sigmoid(x)
    return g * s * (1 + x * (1 - s))


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + xp_of(x).tanh(0.5 * x))  # the form of 1 / (1 + exp(-x)) that never overflows
