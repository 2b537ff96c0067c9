"""Dot products of rows with vectors, eight at a time, and a barrier for threads that share them.

Decoding reads every weight once per token, so it runs at the speed of memory if the loop keeps up.
With eight sums in registers it does: a multiply-add takes four cycles and two start in each. Rows
are as the model stores them, (out, in); at the end the eight vectors of partial sums are added
across. The loop also fetches memory that is needed soon, because the processor's own prediction
stops at every page.

int8 weights are multiplied by vectors of 16-bit codes: products of whole numbers, added in pairs to
32 bits, take half as many instructions as converting each weight to a float.
"""

import ctypes
import sys

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minilm.kernels.numba_tools.simd import even_and_odd, prefetch

_FEATURES = llvmlite.binding.get_host_cpu_features()
WIDTH = 16 if _FEATURES.get("avx512f") else 8 if _FEATURES.get("avx") else 4
WIDTH_INT8 = 2 * WIDTH  # codes per step
SUMS = 8
LINE = 64  # bytes of a cache line

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_F32 = ir.FloatType()


def _totals(builder, sums: list) -> list:
    """Eight vectors of partial sums to their eight totals, in one vector (two of four lanes)."""
    lanes = sums[0].type.count
    if lanes == 16:
        halves = [[ir.Constant(ir.VectorType(_I32, 8), list(range(s, s + 8)))] for s in (0, 8)]
        sums = [
            builder.fadd(*(builder.shuffle_vector(s, s, half[0]) for half in halves)) for s in sums
        ]
        lanes = 8
    run = 1
    while run < lanes:
        pairs = zip(sums[::2], sums[1::2])
        sums = [builder.fadd(*even_and_odd(builder, a, b, run)) for a, b in pairs]
        run *= 2
    return sums


def _float_step(builder, weights, seen, sums):
    """Sums plus products, a vector of floats each."""
    kind = ir.FunctionType(sums[0].type, [sums[0].type] * 3)
    fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{WIDTH}f32")
    pairs = [(w, x) for w in weights for x in seen]
    return [builder.call(fma, [*pair, total]) for pair, total in zip(pairs, sums, strict=True)]


def _int8_step(builder, weights, seen, sums):
    """Sums plus the sum of two neighbouring products, which compilers turn into one instruction."""
    wide = ir.VectorType(_I32, WIDTH_INT8)
    left, right = (
        ir.Constant(ir.VectorType(_I32, WIDTH), list(range(i, WIDTH_INT8, 2))) for i in (0, 1)
    )
    new = []
    for w in weights:
        w = builder.sext(builder.sext(w, ir.VectorType(_I16, WIDTH_INT8)), wide)
        for x in seen:
            product = builder.mul(w, builder.sext(x, wide), flags=("nsw",))
            pair = (builder.shuffle_vector(product, product, half) for half in (left, right))
            new.append(builder.add(sums[len(new)], builder.add(*pair)))
    return new


def _dots(rows: int, vectors: int, int8: bool):
    """An intrinsic: out[r * vectors + v] = sum over k of w[r, k] x[v, k], k below `k`.

    Its arguments are: k, a positive multiple of the numbers per step (WIDTH, or WIDTH_INT8 of int8
    codes); addresses of x, w and out; bytes from one x to the next, from one row of w to the next,
    and from a row's numbers of one step to those of the next; an address from which memory is
    fetched ahead, and by how many bytes it advances with each step. x is float32, or int16 where w
    is int8.
    """
    each = WIDTH_INT8 if int8 else WIDTH
    kept = ir.VectorType(_I32 if int8 else _F32, WIDTH)
    w_kind, x_kind = (ir.VectorType(t, each) for t in ((_I8, _I16) if int8 else (_F32, _F32)))
    w_size, x_size = (1, 2) if int8 else (4, 4)
    lines = max(1, rows * each * w_size // LINE) if vectors == 1 else 1

    @intrinsic
    def dots(typing, k, x, x_step, w, w_step, w_next, ahead, ahead_next, out):
        def build(context, builder, signature, args):
            k, x, x_step, w, w_step, w_next, ahead, ahead_next, out = args

            def starts(base, step, count):
                return [builder.add(base, builder.mul(step, _I64(i))) for i in range(count)]

            def load(base, offset, kind, align):
                at = builder.inttoptr(builder.add(base, offset), kind.as_pointer())
                return builder.load(at, align=align)

            xs, ws = starts(x, x_step, vectors), starts(w, w_step, rows)
            before = builder.block
            loop, after = (builder.append_basic_block(n) for n in ("dots", "totals"))
            builder.branch(loop)

            builder.position_at_end(loop)
            at, w_at, soon = (builder.phi(_I64) for _ in range(3))
            sums = [builder.phi(kept) for _ in range(rows * vectors)]
            for i in range(lines):
                prefetch(builder, builder.add(soon, _I64(LINE * i)))
            x_at = builder.mul(at, _I64(x_size))
            seen = [load(base, x_at, x_kind, x_size) for base in xs]
            weights = [load(base, w_at, w_kind, w_size) for base in ws]
            new = (_int8_step if int8 else _float_step)(builder, weights, seen, sums)
            following = builder.add(at, _I64(each))
            for phi, start, again in (
                (at, _I64(0), following),
                (w_at, _I64(0), builder.add(w_at, w_next)),
                (soon, ahead, builder.add(soon, ahead_next)),
                *((total, ir.Constant(kept, None), n) for total, n in zip(sums, new, strict=True)),
            ):
                phi.add_incoming(start, before)
                phi.add_incoming(again, loop)
            builder.cbranch(builder.icmp_signed("<", following, k), loop, after)

            builder.position_at_end(after)
            if int8:
                new = [builder.sitofp(total, ir.VectorType(_F32, WIDTH)) for total in new]
            for i, total in enumerate(_totals(builder, new)):
                place = builder.add(out, _I64(4 * i * total.type.count))
                builder.store(total, builder.inttoptr(place, total.type.as_pointer()), align=4)
            return context.get_dummy_value()

        i = types.int64
        return types.void(*[i] * 9), build

    return dots


dots8x1, dots2x4 = _dots(8, 1, False), _dots(2, 4, False)
dots8x1_int8, dots2x4_int8 = _dots(8, 1, True), _dots(2, 4, True)


# The system call that lets another thread run: where there are fewer cores than threads, a waiting
# thread must not keep the others from their work.
if sys.platform == "win32":
    _GIVE_WAY = ctypes.windll.kernel32.SwitchToThread
else:
    _GIVE_WAY = ctypes.CDLL(None).sched_yield
llvmlite.binding.add_symbol("minilm_give_way", ctypes.cast(_GIVE_WAY, ctypes.c_void_p).value)
give_way = types.ExternalFunction("minilm_give_way", types.int32())


@intrinsic
def arrive(typing, at):
    """Add 1 to the int64 at an address; whoever sees the new value sees all earlier writes too."""

    def build(context, builder, signature, args):
        place = builder.inttoptr(args[0], _I64.as_pointer())
        return builder.atomic_rmw("add", place, _I64(1), "seq_cst")

    return types.int64(types.int64), build


@intrinsic
def arrived(typing, at):
    """The int64 at an address; everything written before it had this value is visible."""

    def build(context, builder, signature, args):
        place = builder.inttoptr(args[0], _I64.as_pointer())
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(types.int64), build
