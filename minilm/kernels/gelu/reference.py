"""gelu(x) = x * Phi(x), by erf or by GPT-2's tanh formula; silu(x) = x * sigmoid(x).

arXiv 1606.08415, section 2: the tanh formula is 0.5 x (1 + tanh(s)) = x sigmoid(2 s) with
s = sqrt(2/pi) (x + 0.044715 x**3). The second form keeps its digits where x is far below 0.
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
        return x * sigmoid(2 * _SQRT_2_PI * (x + _CUBIC * x * x * x))
    return 0.5 * x * (1 + _erf(x / _SQRT_2))


def gelu_backward(g: Array, x: Array, tanh: bool) -> Array:
    """g times the derivative of gelu at x."""
    xp = xp_of(x)
    if tanh:
        s = sigmoid(2 * _SQRT_2_PI * (x + _CUBIC * x * x * x))
        inner = 2 * _SQRT_2_PI * (1 + 3 * _CUBIC * x * x)
        return g * (s + x * s * (1 - s) * inner)
    density = xp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return g * (0.5 * (1 + _erf(x / _SQRT_2)) + x * density)


def silu(x: Array) -> Array:
    """x / (1 + exp(-x)), any shape (Elfwing et al. 2017, arXiv 1702.03118)."""
    return x * sigmoid(x)


def silu_backward(g: Array, x: Array) -> Array:
    """g times the derivative of silu at x."""
    s = sigmoid(x)
    return g * s * (1 + x * (1 - s))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), any shape, by exp(-|x|): it never overflows and loses no digits.

    0.5 (1 + tanh(x / 2)) would: in float32 it is 0 at -17, for 4.1e-8.
    """
    xp = xp_of(x)
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, e.dtype.type(1), e) / (1 + e)
