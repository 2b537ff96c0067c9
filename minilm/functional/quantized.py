"""A linear map whose weight is stored in 8 or 4 bits (QLoRA, arXiv 2305.14314, section 3)."""

from minilm import kernels
from minilm.backend import Array, matmul
from minilm.errors import InputError
from minilm.tensor import primitive


@primitive
def quantized_linear(x: Array, codes: Array, scales: Array, bits: int):
    """x times the transpose of the weight that ``kernels.quantize`` made codes of.

    The weight has no gradient; x has.

    Args:
        x: (..., I).
        codes: uint8, (O, I) for 8 bits, (O, I / 2) for 4.
        scales: (O, groups) float32.
        bits: 8 (int8) or 4 (NF4).

    Returns:
        (..., O).
    """
    if bits not in (4, 8):
        raise InputError(f"bits is {bits}; allowed are 8 (int8) and 4 (NF4)")
    width = codes.shape[1] * (8 // bits)
    if x.shape[-1] != width:
        raise InputError(f"quantized_linear of x with {x.shape[-1]} features: codes are of {width}")
    rows = x.reshape(-1, width)
    y = kernels.quantized_matmul(rows, codes, scales, bits)

    def pullback(g: Array):
        w = kernels.dequantize(codes, scales, bits).astype(x.dtype)
        return (lambda: matmul(g.reshape(-1, len(codes)), w).reshape(x.shape),)

    return y.reshape(*x.shape[:-1], len(codes)), pullback
