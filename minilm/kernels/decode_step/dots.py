"""Dot products of rows with vectors, eight at a time, and a barrier for threads that share them.

Decoding reads every weight once per token, so it runs at the speed of memory if the loop keeps up.
Eight sums in registers do: a multiply-add takes four cycles and two start in each. Rows lie as the
model keeps them, (out, in); at the end the eight vectors of partial sums are added across.
"""

import ctypes
import sys

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_FEATURES = llvmlite.binding.get_host_cpu_features()
WIDTH = 16 if _FEATURES.get("avx512f") else 8 if _FEATURES.get("avx") else 4
SUMS = 8

_I32, _I64, _F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()


def _join(builder, a, b, lanes: int, run: int):
    """Neighbouring runs of lanes added, of two vectors of partial sums, into one vector."""
    first, second = [], []
    for start in range(0, lanes, 2 * run):
        for source in (0, lanes):
            first += [source + start + i for i in range(run)]
            second += [source + start + run + i for i in range(run)]

    def pick(where):
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, lanes), where))

    return builder.fadd(pick(first), pick(second))


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
        sums = [_join(builder, a, b, lanes, run) for a, b in zip(sums[::2], sums[1::2])]
        run *= 2
    return sums


def _dots(rows: int, vectors: int, int8: bool):
    """An intrinsic: out[r * vectors + v] = sum over k of w[r, k] x[v, k], k below ``k``.

    Its arguments: k, a multiple of WIDTH above 0; addresses of x, w and out; bytes from one x to
    the next, from one row of w to the next, and from a row's WIDTH numbers to its next WIDTH.
    """
    wide = ir.VectorType(_F32, WIDTH)
    stored = ir.VectorType(ir.IntType(8), WIDTH) if int8 else wide
    size = 1 if int8 else 4

    @intrinsic
    def dots(typing, k, x, x_step, w, w_step, w_next, out):
        def build(context, builder, signature, args):
            k, x, x_step, w, w_step, w_next, out = args
            kind = ir.FunctionType(wide, [wide] * 3)
            name = f"llvm.fmuladd.v{WIDTH}f32"
            fma = cgutils.get_or_insert_function(builder.module, kind, name)

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
            at, w_at = builder.phi(_I64), builder.phi(_I64)
            at.add_incoming(_I64(0), before)
            w_at.add_incoming(_I64(0), before)
            sums = [builder.phi(wide) for _ in range(rows * vectors)]
            x_at = builder.mul(at, _I64(4))
            seen = [load(base, x_at, wide, 4) for base in xs]
            new = []
            for base in ws:
                value = load(base, w_at, stored, size)
                if int8:
                    value = builder.sext(value, ir.VectorType(_I32, WIDTH))
                    value = builder.sitofp(value, wide)
                for one in seen:
                    new.append(builder.call(fma, [value, one, sums[len(new)]]))
            following = builder.add(at, _I64(WIDTH))
            at.add_incoming(following, loop)
            w_at.add_incoming(builder.add(w_at, w_next), loop)
            for phi, value in zip(sums, new, strict=True):
                phi.add_incoming(ir.Constant(wide, None), before)
                phi.add_incoming(value, loop)
            builder.cbranch(builder.icmp_signed("<", following, k), loop, after)

            builder.position_at_end(after)
            for i, total in enumerate(_totals(builder, new)):
                place = builder.add(out, _I64(4 * i * total.type.count))
                builder.store(total, builder.inttoptr(place, total.type.as_pointer()), align=4)
            return context.get_dummy_value()

        i = types.int64
        return types.void(i, i, i, i, i, i, i), build

    return dots


dots8x1, dots2x4 = _dots(8, 1, False), _dots(2, 4, False)
dots8x1_int8, dots2x4_int8 = _dots(8, 1, True), _dots(2, 4, True)


# The system's call that lets another thread run: a waiting thread must not keep it from its work
# where there are fewer cores than threads.
if sys.platform == "win32":
    _GIVE_WAY = ctypes.windll.kernel32.SwitchToThread
else:
    _GIVE_WAY = ctypes.CDLL(None).sched_yield
llvmlite.binding.add_symbol("minilm_give_way", ctypes.cast(_GIVE_WAY, ctypes.c_void_p).value)
give_way = types.ExternalFunction("minilm_give_way", types.int32())


@intrinsic
def arrive(typing, at):
    """Add 1 to the int64 at an address; everything written before is visible to who sees it."""

    def build(context, builder, signature, args):
        place = builder.inttoptr(args[0], _I64.as_pointer())
        return builder.atomic_rmw("add", place, _I64(1), "seq_cst")

    return types.int64(types.int64), build


@intrinsic
def arrived(typing, at):
    """The int64 at an address, with everything that was written before it became this."""

    def build(context, builder, signature, args):
        place = builder.inttoptr(args[0], _I64.as_pointer())
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(types.int64), build
