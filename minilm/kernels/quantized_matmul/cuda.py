"""Products with int8 and NF4 weights on a GPU: a Numba CUDA kernel to read, and the launcher."""

from numba import cuda, float32

from minilm.backend import Array
from minilm.kernels.cuda_tools.arrays import blocks, dense, empty, floats, or_reference
from minilm.kernels.cuda_tools.launch import c_type, launch
from minilm.kernels.quantized_matmul import reference


@cuda.jit
def quantized_matmul_int8(x, codes, scales, y):
    """One thread per element of y (M, N): x (M, K) times int8 codes (N, K) times their scales.

    The codes are expanded in a register; neighbouring threads share the row of x.
    """
    n, m = cuda.grid(2)
    if m < y.shape[0] and n < y.shape[1]:
        group = x.shape[1] // scales.shape[1]
        total = float32(0)
        for part in range(scales.shape[1]):
            s = float32(0)
            for k in range(part * group, (part + 1) * group):
                s += x[m, k] * codes[n, k]
            total += s * scales[n, part]
        y[m, n] = total


@or_reference(reference)
def quantized_matmul(x: Array, codes: Array, scales: Array, bits: int) -> Array:
    """See `reference.quantized_matmul`; float16 and bfloat16, K and groups multiples of 64."""
    m, depth = x.shape
    n, group = len(codes), depth // scales.shape[1]
    if str(x.dtype) == "float32" or depth % 64 or group % 64:
        return reference.quantized_matmul(x, codes, scales, bits)
    x, y = dense(x), empty(x, (m, n))
    kernel, grid = "quantized_matmul", (blocks(n, 64), blocks(m, 64))
    if m <= 8:
        kernel, grid = "quantized_few", (blocks(n, 4),)
    launch(
        "quantized_matmul/cuda", kernel, grid, (128,), x, dense(codes), floats(scales), y, m, n,
        depth, group, DTYPE=c_type(x, "x"), BITS=bits,
    )  # fmt: skip
    return y
