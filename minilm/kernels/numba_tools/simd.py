"""What Numba's loops need to run at the machine's speed: exp, erf and max that vectorise, and
arrays accessed through their addresses.

PyPI's llvmlite has no vector maths library, so `np.exp` in a loop is one scalar call per
element; the polynomial here vectorises.
"""

import math

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from minilm.kernels.numba_tools.jit import jit


@intrinsic
def address(typing, array):
    """The address of the first element, as an integer."""

    def build(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.intp(array), build


@intrinsic
def pointer(typing, at, kind):
    """An address as a pointer to numbers of the type of `kind`, for `numba.carray`."""

    def build(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(kind)(types.int64, kind), build


def prefetch(builder, at):
    """In an intrinsic: fetch the cache line of an address, which need not exist."""
    byte, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    reading, keep, data = i32(0), i32(3), i32(1)
    builder.call(function, [builder.inttoptr(at, byte), reading, keep, data])


def even_and_odd(builder, a, b, run: int):
    """In an intrinsic: the even runs of lanes of both vectors, side by side, and the odd ones."""
    lanes = a.type.count
    even, odd = [], []
    for start in range(0, lanes, 2 * run):
        for source in (0, lanes):
            even += [source + start + i for i in range(run)]
            odd += [source + start + run + i for i in range(run)]

    def pick(where):
        return builder.shuffle_vector(
            a, b, ir.Constant(ir.VectorType(ir.IntType(32), lanes), where)
        )

    return pick(even), pick(odd)


@intrinsic(prefer_literal=True)
def ask(typing, at, size):
    """`prefetch` for a number of bytes that is known when this is compiled."""

    def build(context, builder, signature, args):
        for byte in range(0, size.literal_value, 64):
            prefetch(builder, builder.add(args[0], ir.IntType(64)(byte)))
        return context.get_dummy_value()

    return types.void(types.int64, size), build


@intrinsic
def nearest_int16(typing, x):
    """A float32 in the range of int16, rounded to even, as int16."""

    def build(context, builder, signature, args):
        whole = builder.fptosi(_round(builder, args[0]), ir.IntType(32))
        return builder.trunc(whole, ir.IntType(16))

    return types.int16(types.float32), build


@intrinsic
def minus(typing, x, y):
    """x - y of one type of float, where it stands: fast maths makes x - (y + z) of (x - y) - z."""

    def build(context, builder, signature, args):
        return builder.fsub(*args, flags=("nsz",))  # Numba leaves alone what has a flag of its own

    return x(x, y), build


def _unary(name: str, result: types.Type, argument: types.Type, body):
    @intrinsic
    def operation(typing, x):
        return result(argument), lambda context, builder, signature, args: body(builder, args[0])

    operation.__name__ = name
    return operation


def _round(builder, x):
    kind = ir.FloatType()
    return builder.call(builder.module.declare_intrinsic("llvm.roundeven", [kind]), [x])


def _between(builder, x):
    """x limited to the two bounds; both comparisons are false for NaN, which stays."""
    low, high = (ir.Constant(ir.FloatType(), v) for v in (_LOW, _HIGH))
    x = builder.select(builder.fcmp_ordered("<", x, low), low, x)
    return builder.select(builder.fcmp_ordered(">", x, high), high, x)


_LOG2E, _LOW, _HIGH = 1.4426950408889634, -87.33, 88.02  # results between are normal numbers


@intrinsic
def _signed(typing, x, sign):
    """x with the sign of the other argument."""

    def build(context, builder, signature, args):
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType()] * 2)
        function = builder.module.declare_intrinsic("llvm.copysign", [ir.FloatType()], kind)
        return builder.call(function, args)

    return types.float32(types.float32, types.float32), build


@intrinsic
def _times_two_to_the(typing, p, n):
    """p * 2**n, both float32 and n whole: n is added to the bits of p's exponent."""

    def build(context, builder, signature, args):
        p, n = args
        i32 = ir.IntType(32)
        exponent = builder.shl(builder.fptosi(n, i32), ir.Constant(i32, 23))
        return builder.bitcast(builder.add(builder.bitcast(p, i32), exponent), ir.FloatType())

    return types.float32(types.float32, types.float32), build


@intrinsic
def _multiply_add(typing, x, y, z):
    """x * y + z of float32, rounded once where the processor can, even if x * y has other uses."""

    def build(context, builder, signature, args):
        number = ir.FloatType()
        kind = ir.FunctionType(number, [number] * 3)
        return builder.call(builder.module.declare_intrinsic("llvm.fmuladd", [number], kind), args)

    f = types.float32
    return f(f, f, f), build


_clamp = _unary("_clamp", types.float32, types.float32, _between)
_nearest = _unary("_nearest", types.float32, types.float32, _round)

_f = types.float32
# 1 + C1 r + .. + C5 r**5 is 2**r on |r| <= 1/2 to within 1.1e-7, the least error found for a
# polynomial of this degree with float32 coefficients of which the first is 1 (weighted least
# squares, reweighted until all errors at the peaks are equal: Lawson's algorithm).
_C1, _C2, _C3 = 0.6931470036506653, 0.24022242426872253, 0.05550733581185341
_C4, _C5 = 0.009671512991189957, 0.0013264729641377926


@jit(inline="always")
def expf(x):
    """exp of a float32 to 2.5e-7 + 1.4e-8 |x| of its value; exactly 1 at 0.

    NaN stays NaN, below -87.33 it is 1.2e-38, above 88.02 it is 1.7e38. The polynomial is taken in
    pairs (Estrin): three multiply-adds wait for each other, not five.
    """
    x = _clamp(x)
    n = _nearest(x * _f(_LOG2E))
    r = _multiply_add(x, _f(_LOG2E), -n)
    square = r * r
    high = _f(_C5) * r + _f(_C4)
    middle = _f(_C3) * r + _f(_C2)
    low = _f(_C1) * r + _f(1)
    return _times_two_to_the((high * square + middle) * square + low, n)


def exp(x):
    """exp for a kernel of either precision: the polynomial in float32, the library's in float64."""


@overload(exp, inline="always")
def _exp_of_type(x):
    return (lambda x: expf(x)) if x == types.float32 else (lambda x: math.exp(x))


@jit(inline="always")
def _erff(x):
    """erf to 5.3e-7 (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26)."""
    z = abs(x)
    t = _f(1) / (_f(1) + _f(0.3275911) * z)
    p = _f(1.061405429)
    p = p * t + _f(-1.453152027)
    p = p * t + _f(1.421413741)
    p = p * t + _f(-0.284496736)
    p = p * t + _f(0.254829592)
    return _signed(_f(1) - p * t * expf(-z * z), x)


def erf(x):
    """erf for a kernel of either precision."""


@overload(erf, inline="always")
def _erf_of_type(x):
    return (lambda x: _erff(x)) if x == types.float32 else (lambda x: math.erf(x))


def _larger(number: types.Float, llvm: ir.Type):
    @intrinsic
    def larger(typing, x, y):
        def build(context, builder, signature, args):
            kind = ir.FunctionType(llvm, [llvm, llvm])
            function = builder.module.declare_intrinsic("llvm.maxnum", [llvm], kind)
            # Without these two flags LLVM does not vectorise a maximum. With them, on every
            # processor that Numba supports, NaN gives one of the two numbers.
            return builder.call(function, args, fastmath=("nnan", "nsz"))

        return number(number, number), build

    return larger


_fmaxf = _larger(types.float32, ir.FloatType())
_fmax = _larger(types.float64, ir.DoubleType())


def fmax(x, y):
    """The larger of two floats, as one instruction: loops over it vectorise, unlike those over max.

    Where one is NaN the result is either of them: a caller that must not lose a NaN has to look for
    it separately.
    """


@overload(fmax, inline="always")
def _fmax_of_type(x, y):
    return (lambda x, y: _fmaxf(x, y)) if x == types.float32 else (lambda x, y: _fmax(x, y))
