"""swiglu = silu(gate) * up and geglu = gelu(gate) * up (arXiv 2002.05202, eq. 6)."""

from minilm.backend import Array
from minilm.kernels.gelu.reference import gelu, gelu_backward, silu, silu_backward


def swiglu(gate: Array, up: Array) -> Array:
    """Two arrays of one shape -> one."""
    return silu(gate) * up


def swiglu_backward(g: Array, gate: Array, up: Array) -> tuple[Array, Array]:
    """Gradients of gate and of up."""
    return silu_backward(g * up, gate), g * silu(gate)


def geglu(gate: Array, up: Array) -> Array:
    """Two arrays of one shape -> one; the gate's GELU is the one by erf."""
    return gelu(gate, False) * up


def geglu_backward(g: Array, gate: Array, up: Array) -> tuple[Array, Array]:
    """Gradients of gate and of up."""
    return gelu_backward(g * up, gate, False), g * gelu(gate, False)
