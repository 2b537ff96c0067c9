"""A linear map whose weight is stored in 8 or 4 bits (QLoRA, arXiv 2305.14314, section 3)."""

import numpy as np

from minilm import kernels
from minilm.backend import Array, matmul
from minilm.errors import InputError
from minilm.functional.meeting import as_rows, floats
from minilm.tensor import primitive


@primitive
def quantized_linear(x: Array, codes: Array, scales: Array, bits: int):
    """x times the transpose of the weight that `kernels.quantize` made codes of.

    The weight has no gradient; x has.

    Args:
        x: (..., I).
        codes: uint8, (O, I) for 8 bits, (O, I / 2) for 4.
        scales: (O, groups) float32; groups divides I.
        bits: 8 (int8) or 4 (NF4).

    Returns:
        (..., O).

    Raises:
        InputError: other bits; codes or scales of another shape.
    """
    if bits not in (4, 8):
        raise InputError(f"bits is {bits}; allowed are 8 (int8) and 4 (NF4)")
    if codes.ndim != 2 or codes.dtype != np.uint8:
        raise InputError(
            f"quantized_linear: codes are {codes.dtype} {codes.shape}, not uint8 (O, I)"
        )
    x, width = floats(x), codes.shape[1] * (8 // bits)
    if x.ndim == 0 or x.shape[-1] != width:
        raise InputError(f"quantized_linear: x is {x.shape}; codes are of {width} features")
    groups = scales.shape[1] if scales.ndim == 2 else 0
    if not groups or scales.shape[0] != len(codes) or width % groups:
        raise InputError(
            f"quantized_linear: scales are {scales.shape}; with codes of {codes.shape} they must "
            f"be ({len(codes)}, groups), groups dividing {width}"
        )
    shape, dtype, rows = x.shape, x.dtype, as_rows(x)  # (..., I) -> (N, I)
    y = kernels.quantized_matmul(rows, codes, scales, bits)

    def pullback(g: Array):
        w = kernels.dequantize(codes, scales, bits).astype(dtype)
        return (lambda: matmul(as_rows(g), w).reshape(shape),)  # (N, I) -> (..., I)

    return y.reshape(*shape[:-1], len(codes)), pullback  # (N, O) -> (..., O)
