"""Products with int8 and NF4 weights in Numba: a row of codes is expanded once, for all of x.

The expanded row stays in the first-level cache; the weight is read as it is stored, with a quarter
or an eighth of float32's bytes.
"""

import numpy as np

from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.quantized_matmul import reference


def quantized_matmul(x: np.ndarray, codes: np.ndarray, scales: np.ndarray, bits: int) -> np.ndarray:
    """See `reference.quantized_matmul`."""
    if x.dtype != np.float32:
        return reference.quantized_matmul(x, codes, scales, bits)
    y = np.empty((len(x), len(codes)), np.float32)
    codes, scales = np.ascontiguousarray(codes), np.ascontiguousarray(scales, dtype=np.float32)
    if bits == 8:
        _int8(np.ascontiguousarray(x), codes.view(np.int8), scales, y)
    else:
        _nf4(np.ascontiguousarray(x), codes, scales, reference.NF4, y)
    return y


@jit
def _dots(x, row, y, n):
    for m in range(x.shape[0]):
        total = np.float32(0)
        for k in range(row.size):
            total += x[m, k] * row[k]
        y[m, n] = total


@jit
def _int8(x, codes, scales, y):
    group = x.shape[1] // scales.shape[1]
    row = np.empty(x.shape[1], np.float32)
    for n in range(codes.shape[0]):
        for part in range(scales.shape[1]):
            scale = scales[n, part]
            for k in range(part * group, (part + 1) * group):
                row[k] = codes[n, k] * scale
        _dots(x, row, y, n)


@jit
def _nf4(x, codes, scales, levels, y):
    group = x.shape[1] // scales.shape[1]
    row = np.empty(x.shape[1], np.float32)
    for n in range(codes.shape[0]):
        for part in range(scales.shape[1]):
            scale = scales[n, part]
            for pair in range(part * group // 2, (part + 1) * group // 2):
                both = codes[n, pair]
                row[2 * pair] = levels[both & 15] * scale
                row[2 * pair + 1] = levels[both >> 4] * scale
        _dots(x, row, y, n)
