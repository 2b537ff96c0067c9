"""Matrix products. On a GPU those of 16-bit numbers run on tensor cores and add up in float32.

CuPy's `@` does that for two axes only: with more it casts float16 to float32 and sends bfloat16
to a kernel for integers. So products of 16-bit numbers go straight to cuBLAS (`cublasGemmEx`,
`cublasGemmStridedBatchedEx`), which can also keep the float32 sums unrounded and add them to the
output.
"""

from __future__ import annotations

import math

import numpy as np

from minilm.backend.arrays import Array, xp_of
from minilm.backend.precision import is_half
from minilm.errors import InputError

# cublas_api.h and library_types.h
_NORMAL, _TRANSPOSED = 0, 1
_TYPES = {"float32": 0, "float16": 2, "bfloat16": 14}
_SUM_IN_FLOAT32 = 68  # CUBLAS_COMPUTE_32F
_ANY_ALGORITHM = -1
_FACTORS = np.array([0, 1], np.float32)  # alpha and beta are read from host memory


def matmul(a: Array, b: Array, out: Array | None = None, add: bool = False) -> Array:
    """a @ b: (..., n, k) and (..., k, m) -> (..., n, m), leading axes broadcast.

    Args:
        a, b: at least one axis each, of one type, on one device.
        out: receives the result. Where a and b are 16-bit it may be float32, and then holds the
            sums before rounding.
        add: add to what `out` holds.

    Returns:
        `out`, or a new array of the operands' type.

    Raises:
        InputError: `add` without `out`, operands that do not fit together, or an `out` of another
            shape or type.
    """
    if add and out is None:
        raise InputError("matmul: add is True and out is None; out must be the array to add to")
    if not is_half(a) or isinstance(a, np.ndarray):
        if out is None:
            return a @ b
        if not add:
            return xp_of(a).matmul(a, b, out=out)
        out += a @ b
        return out
    return _half(a, b, out, add)


def _half(a: Array, b: Array, out: Array | None, add: bool) -> Array:
    xp = xp_of(a)
    rows, columns = a.ndim > 1, b.ndim > 1
    left = a if rows else a[None]
    right = b if columns else b[:, None]
    (n, k), (depth, m) = left.shape[-2:], right.shape[-2:]
    if a.dtype != b.dtype or depth != k:
        raise InputError(
            f"matmul: a is {a.dtype} {a.shape}, b is {b.dtype} {b.shape}; their types and inner "
            "sizes must be equal"
        )
    lead = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    shape = (*lead, *((n,) if rows else ()), *((m,) if columns else ()))
    if out is None:
        result = xp.empty(shape, a.dtype)
    elif out.shape != shape or str(out.dtype) not in ("float32", str(a.dtype)):
        raise InputError(
            f"matmul: out is {out.dtype} {out.shape}; it must be {a.dtype} or float32, {shape}"
        )
    else:
        result = out if out.flags.c_contiguous else xp.empty(shape, out.dtype)
    if result.size:
        if k == 0:
            if not (add and result is out):
                result.fill(0)
        else:
            whole = result.reshape(math.prod(lead), n, m)
            _multiply(_stack(left, lead), _stack(right, lead), whole, add and result is out)
    if out is None or result is out:
        return result
    if add:
        out += result
    else:
        out[...] = result
    return out


def _stack(array: Array, lead: tuple[int, ...]) -> tuple[Array, int, int, int]:
    """Matrices as cuBLAS takes them: the array, its step from matrix to matrix, whether each is
    transposed (as seen by columns), and its leading dimension; copied only where they must be."""
    xp = xp_of(array)
    rows, columns = array.shape[-2:]
    wide = xp.broadcast_to(array, (*lead, rows, columns))
    steps = [s // array.itemsize for s in wide.strides]
    step = _one_step(lead, steps[:-2])
    down, right = steps[-2:]
    by_rows = (right == 1 or columns == 1) and (down >= columns or rows == 1)
    by_columns = (down == 1 or rows == 1) and (right >= rows or columns == 1)
    if step is None or step < 0 or not (by_rows or by_columns):
        array = xp.ascontiguousarray(wide)
        return array, rows * columns, _NORMAL, columns
    if by_rows:
        return array, step, _NORMAL, down if rows > 1 else columns
    return array, step, _TRANSPOSED, right if columns > 1 else rows


def _one_step(shape: tuple[int, ...], steps: list[int]) -> int | None:
    """The single step that visits all leading axes in order; None where there is none."""
    step, length = None, 1  # of the axes seen so far, from the last to the first
    for count, own in zip(reversed(shape), reversed(steps)):
        if count == 1:
            continue
        if step is None:
            step = own
        elif own != step * length:
            return None
        length *= count
    return 0 if step is None else step


def _multiply(left: tuple, right: tuple, out: Array, add: bool) -> None:
    """out (P, n, m) = left @ right (+ out). cuBLAS stores matrices by columns, and takes one stored
    by rows for its transpose, so it is asked for out^T = right^T left^T."""
    from cupy.cuda import get_cublas_handle
    from cupy_backends.cuda.libs import cublas

    (a, a_step, a_turned, a_lead), (b, b_step, b_turned, b_lead) = left, right
    count, n, m = out.shape
    depth = a.shape[-1]
    kind, to = _TYPES[str(a.dtype)], _TYPES[str(out.dtype)]
    zero, one = _FACTORS.ctypes.data, _FACTORS.ctypes.data + 4
    beta = one if add else zero
    head = (get_cublas_handle(), b_turned, a_turned, m, n, depth, one)
    if count == 1:
        cublas.gemmEx(
            *head, b.data.ptr, kind, b_lead, a.data.ptr, kind, a_lead, beta,
            out.data.ptr, to, m, _SUM_IN_FLOAT32, _ANY_ALGORITHM,
        )  # fmt: skip
        return
    cublas.gemmStridedBatchedEx(
        *head, b.data.ptr, kind, b_lead, b_step, a.data.ptr, kind, a_lead, a_step, beta,
        out.data.ptr, to, m, n * m, count, _SUM_IN_FLOAT32, _ANY_ALGORITHM,
    )  # fmt: skip
