"""Moving numbers into the layout that tiles read, one register at a time."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from minilm.kernels.numba_tools.simd import even_and_odd
from minilm.kernels.numba_tools.tiles import VECTOR_BYTES

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
