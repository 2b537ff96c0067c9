"""Moving numbers into the layout that tiles read, one register at a time."""

from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic, overload

from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import address, ask, even_and_odd, pointer
from minilm.kernels.numba_tools.tiles import VECTOR_BYTES, width

AHEAD = 8  # rows fetched ahead: each is in another page, so the processor does not predict them
ROW = 256  # bytes to fetch: heads of 64 numbers

_I64 = ir.IntType(64)


def _moves(number: types.Float, llvm: ir.Type, size: int):
    lanes = VECTOR_BYTES // size
    vector = ir.VectorType(llvm, lanes)

    def load(builder, at):
        return builder.load(builder.inttoptr(at, vector.as_pointer()), align=size)

    def store(builder, value, at):
        builder.store(value, builder.inttoptr(at, vector.as_pointer()), align=size)

    @intrinsic
    def copy(typing, at, out):
        def build(context, builder, signature, args):
            at, out = args
            values = [load(builder, builder.add(at, _I64(i * VECTOR_BYTES))) for i in range(2)]
            for i, value in enumerate(values):
                store(builder, value, builder.add(out, _I64(i * VECTOR_BYTES)))
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), build

    @intrinsic
    def turn(typing, at, step, out):
        def build(context, builder, signature, args):
            at, step, out = args
            v = [load(builder, builder.add(at, builder.mul(step, _I64(i)))) for i in range(lanes)]
            run = 1
            while run < lanes:
                for i in range(lanes):
                    if not i & run:
                        v[i], v[i | run] = even_and_odd(builder, v[i], v[i | run], run)
                run *= 2
            for i, value in enumerate(v):
                store(builder, value, builder.add(out, _I64(2 * i * VECTOR_BYTES)))
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64), build

    return copy, turn


@intrinsic
def copy_vector(typing, at, out):
    """PAD float32 numbers, a register of them, from one address to another."""

    def build(context, builder, signature, args):
        kind = ir.VectorType(ir.FloatType(), VECTOR_BYTES // 4).as_pointer()
        at, out = (builder.inttoptr(place, kind) for place in args)
        builder.store(builder.load(at, align=4), out, align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), build


_copy4, _turn4 = _moves(types.float32, ir.FloatType(), 4)
_copy8, _turn8 = _moves(types.float64, ir.DoubleType(), 8)


def copy_strip(kind, at, out):
    """W numbers from one address to another, where W is `tiles.width(kind)`."""


def turn_block(kind, at, step, out):
    """Transpose a square of W / 2 by W / 2 numbers into a panel of columns.

    Args:
        at, step: address of the square, and bytes from row to row.
        out: address in the panel, whose rows are W numbers.
    """


@overload(copy_strip)
def _copy_of_type(kind, at, out):
    if kind == types.float32:
        return lambda kind, at, out: _copy4(at, out)
    return lambda kind, at, out: _copy8(at, out)


@overload(turn_block)
def _turn_of_type(kind, at, step, out):
    if kind == types.float32:
        return lambda kind, at, step, out: _turn4(at, step, out)
    return lambda kind, at, step, out: _turn8(at, step, out)


@jit
def up(n, step):
    return (n + step - 1) // step * step


@jit
def row_of(x, b, h, t):
    """Row x[b, h, t, :] of an array with a contiguous last axis, as an array that is contiguous."""
    at = address(x) + b * x.strides[0] + h * x.strides[1] + t * x.strides[2]
    return carray(pointer(at, x.dtype.type(0)), x.shape[3])


@jit
def panels(x, b, h, to):
    """x[b, h] (N, D) to panels of its columns: to (panels, N, W)."""
    kind, size, w = to.dtype.type(0), to.itemsize, width(to.dtype.type(0))
    whole = x.shape[3] // w
    for n in range(x.shape[2]):
        row = row_of(x, b, h, n)
        at, out = address(row), address(to) + n * w * size
        ask(at + AHEAD * x.strides[2], ROW)
        for p in range(whole):
            copy_strip(kind, at + p * w * size, out + p * to.strides[0])
        for j in range(whole * w, row.size):
            to[whole, n, j - whole * w] = row[j]


@jit
def panels_transposed(x, b, h, to):
    """x[b, h] (N, D) to panels of the columns of its transpose: to (panels, D, W)."""
    kind, size, w = to.dtype.type(0), to.itemsize, width(to.dtype.type(0))
    N, D = x.shape[2:]
    lanes = w // 2
    for first in range(0, N, lanes):
        done = D // lanes * lanes if first + lanes <= N else 0
        at, step = address(row_of(x, b, h, first)), x.strides[2]
        out = address(to[first // w]) + first % w * size
        for d in range(0, done, lanes):
            turn_block(kind, at + d * size, step, out + d * w * size)
        for n in range(first, min(N, first + lanes)):
            row, panel = row_of(x, b, h, n), to[n // w]
            ask(address(row) + lanes * step, ROW)
            for d in range(done, D):
                panel[d, n % w] = row[d]
