"""Fused activations: GELU, SiLU, the gated linear units, and the soft cap."""

from minilm import kernels
from minilm.backend import Array, xp_of
from minilm.errors import InputError
from minilm.functional.meeting import floats, meet
from minilm.tensor import primitive


@primitive
def gelu(x: Array, approximate: str = "none"):
    """x * Phi(x) (arXiv 1606.08415): exact by erf, or `approximate="tanh"` as in GPT-2."""
    if approximate not in ("none", "tanh"):
        raise InputError(f"approximate is {approximate!r}; allowed are 'none' and 'tanh'")
    x, tanh = floats(x), approximate == "tanh"
    return kernels.gelu(x, tanh), lambda g: (kernels.gelu_backward(g, x, tanh),)


@primitive
def silu(x: Array):
    """x * sigmoid(x), also called swish."""
    x = floats(x)
    return kernels.silu(x), lambda g: (kernels.silu_backward(g, x),)


@primitive
def swiglu(gate: Array, up: Array):
    """silu(gate) * up (arXiv 2002.05202)."""
    _check_alike("swiglu", gate, up)
    gate, up = meet(gate, up)
    return kernels.swiglu(gate, up), lambda g: kernels.swiglu_backward(g, gate, up)


@primitive
def geglu(gate: Array, up: Array):
    """gelu(gate) * up (arXiv 2002.05202)."""
    _check_alike("geglu", gate, up)
    gate, up = meet(gate, up)
    return kernels.geglu(gate, up), lambda g: kernels.geglu_backward(g, gate, up)


@primitive
def soft_cap(x: Array, cap: float):
    """cap * tanh(x / cap): nearly x where it is small, never beyond the cap (arXiv 2408.00118).

    Args:
        x: any shape.
        cap: above 0; logits keep their order, and none is larger than this.

    Raises:
        InputError: a cap that is not a finite number above 0.
    """
    if not 0 < cap < float("inf"):
        raise InputError(f"cap is {cap!r}; it must be a finite number above 0")
    x = floats(x)
    cap = x.dtype.type(cap)
    share = xp_of(x).tanh(x / cap)
    return share * cap, lambda g: (g * (1 - share * share),)


def _check_alike(name: str, gate: Array, up: Array) -> None:
    if gate.shape != up.shape:
        raise InputError(f"{name}: gate is {gate.shape} and up {up.shape}; they must be alike")
