"""y = x w^T with w in 8 or 4 bits and one scale per group of numbers in a row, by the formula.

int8: symmetric, code * scale. NF4 (QLoRA, arXiv 2305.14314, appendix E): 16 levels that hold equal
shares of a normal distribution; two codes to a byte, the first in the low half.
"""

import numpy as np

from minilm.backend import Array, xp_of
from minilm.errors import InputError

NF4 = np.array(
    [
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
        -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
        0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ],
    dtype=np.float32,
)  # fmt: skip


def quantize(w: Array, bits: int, group: int = 64) -> tuple[Array, Array]:
    """Codes and scales of a weight.

    Args:
        w: (N, K) float.
        bits: 8 (int8) or 4 (NF4).
        group: numbers of a row that share a scale, their largest magnitude; divides K.

    Returns:
        Codes, uint8, (N, K) (two's complement) or (N, K / 2), and scales, float32 (N, K / group).

    Raises:
        InputError: other bits, or a group that is odd or does not divide K.
    """
    xp = xp_of(w)
    if bits not in (4, 8):
        raise InputError(f"bits is {bits}; allowed are 8 (int8) and 4 (NF4)")
    n, k = w.shape
    if group < 2 or group % 2 or k % group:
        raise InputError(f"group is {group}; it must be even and divide the row length {k}")
    parts = w.reshape(n, k // group, group).astype(xp.float32)
    top = xp.abs(parts).max(axis=-1)
    parts = parts / xp.where(top == 0, xp.float32(1), top)[..., None]
    if bits == 8:
        codes = xp.rint(parts * 127).astype(xp.int8).reshape(n, k).view(xp.uint8)
        return codes, top / xp.float32(127)
    middles = xp.asarray((NF4[1:] + NF4[:-1]) / 2)
    codes = xp.searchsorted(middles, parts.reshape(-1)).astype(xp.uint8).reshape(n, k)
    return codes[:, 0::2] | (codes[:, 1::2] << 4), top


def dequantize(codes: Array, scales: Array, bits: int) -> Array:
    """The float32 weight (N, K) that codes and scales stand for."""
    xp = xp_of(codes)
    if bits == 8:
        values = codes.view(xp.int8).astype(xp.float32)
    else:
        pair = xp.stack([codes & 15, codes >> 4], axis=-1).reshape(len(codes), -1)
        values = xp.asarray(NF4)[pair]
    n, k = values.shape
    return (values.reshape(n, scales.shape[1], -1) * scales[..., None]).reshape(n, k)


def quantized_matmul(x: Array, codes: Array, scales: Array, bits: int) -> Array:
    """x (M, K) times the transpose of the weight (N, K) -> (M, N), in x's type."""
    return x @ dequantize(codes, scales, bits).T.astype(x.dtype)
