"""Small matrix products on addresses, written in LLVM's vector types: the core of attention.

BLAS packs its operands and is at its best from some hundred rows on. Attention multiplies blocks of
32 rows that are already in cache; a tile of the result held in vector registers does that at the
machine's speed, with nothing copied. Sizes are padded by the caller, so there are no tails here.
"""

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from minilm.kernels.numba_tools.jit import jit
from minilm.kernels.numba_tools.simd import prefetch

_FEATURES = llvmlite.binding.get_host_cpu_features()
_WIDE = bool(_FEATURES.get("avx512f"))
VECTOR_BYTES = 64 if _WIDE else 32 if _FEATURES.get("avx") else 16
_MANY = _WIDE or not _FEATURES.get("sse2")  # 32 vector registers: AVX-512 and ARM; else 16

# A tile has ROWS x 2 vectors of sums: at least eight, because a multiply-add takes four cycles and
# two start in each, and more where there are registers for them.
ROWS = 8 if _MANY else 4
PAD = VECTOR_BYTES // 4  # columns are padded to this many floats (twice what doubles need)


def _tile(vectors: int, number: types.Float, llvm: ir.Type, width: int, streamed: bool = False):
    """An intrinsic: C (ROWS, vectors * width) = A B, or C += A B, kept in registers throughout.

    Where A is `streamed` from memory, each inner step also fetches as many bytes of the next ROWS
    rows, which follow these in memory.
    """
    vector = ir.VectorType(llvm, width)
    i32, i64 = ir.IntType(32), ir.IntType(64)
    size = {types.float32: 4, types.float64: 8}[number]
    name = f"llvm.fmuladd.v{width}f{8 * size}"

    def load(builder, address):
        return builder.load(builder.inttoptr(address, vector.as_pointer()), align=size)

    def spread(builder, address):
        one = builder.load(builder.inttoptr(address, llvm.as_pointer()))
        lane = builder.insert_element(ir.Constant(vector, ir.Undefined), one, i32(0))
        lanes = ir.Constant(ir.VectorType(i32, width), [0] * width)
        return builder.shuffle_vector(lane, ir.Constant(vector, ir.Undefined), lanes)

    @intrinsic
    def tile(typing, k, a, row, column, b, ldb, c, ldc, keep):
        def build(context, builder, signature, args):
            k, a, row, column, b, ldb, c, ldc, keep = args
            kind = ir.FunctionType(vector, [vector] * 3)
            fma = cgutils.get_or_insert_function(builder.module, kind, name)

            def step(x, y):  # elements to bytes
                return builder.mul(builder.mul(x, y), i64(size))

            before = builder.block
            loop = builder.append_basic_block("tile")
            after = builder.append_basic_block("done")
            row_bytes = [step(row, i64(i)) for i in range(ROWS)]
            next_a, next_b = step(column, i64(1)), step(ldb, i64(1))
            after_a = builder.add(a, step(row, i64(ROWS)))
            builder.branch(loop)

            builder.position_at_end(loop)
            left, at, bt, soon = (builder.phi(i64) for _ in range(4))
            sums = [builder.phi(vector) for _ in range(ROWS * vectors)]
            if streamed:
                prefetch(builder, soon)
            bs = [load(builder, builder.add(bt, i64(j * width * size))) for j in range(vectors)]
            new = []
            for i in range(ROWS):
                x = spread(builder, builder.add(at, row_bytes[i]))
                new += [
                    builder.call(fma, [x, bs[j], sums[i * vectors + j]]) for j in range(vectors)
                ]
            rest = builder.sub(left, i64(1))
            for phi, start, again in (
                (left, k, rest),
                (at, a, builder.add(at, next_a)),
                (bt, b, builder.add(bt, next_b)),
                (soon, after_a, builder.add(soon, i64(ROWS * size))),
                *((s, ir.Constant(vector, None), n) for s, n in zip(sums, new, strict=True)),
            ):
                phi.add_incoming(start, before)
                phi.add_incoming(again, loop)
            builder.cbranch(builder.icmp_signed(">", rest, i64(0)), loop, after)

            builder.position_at_end(after)
            places = [
                builder.add(builder.add(c, step(ldc, i64(i))), i64(j * width * size))
                for i in range(ROWS)
                for j in range(vectors)
            ]

            def store(value, place):
                builder.store(value, builder.inttoptr(place, vector.as_pointer()), align=size)

            with builder.if_else(keep) as (add, write):
                with add:
                    for value, place in zip(new, places, strict=True):
                        store(builder.fadd(value, load(builder, place)), place)
                with write:
                    for value, place in zip(new, places, strict=True):
                        store(value, place)
            return context.get_dummy_value()

        i = types.int64
        return types.void(i, i, i, i, i, i, i, i, types.boolean), build

    return tile


_f2, _f1 = (_tile(n, types.float32, ir.FloatType(), VECTOR_BYTES // 4) for n in (2, 1))
_d2, _d1 = (_tile(n, types.float64, ir.DoubleType(), VECTOR_BYTES // 8) for n in (2, 1))
_WIDTH = VECTOR_BYTES // 4
_WIDTH2 = VECTOR_BYTES // 8

# Eight sums per tile suffice for a stream of rows, which are multiplied with this many columns at
# once.
STREAM = (1 if _MANY else 2) * _WIDTH
stream_tile = _tile(STREAM // _WIDTH, types.float32, ir.FloatType(), _WIDTH, streamed=True)


def _products(size: int, wide, narrow):
    """The body of `add_product` and `write_product`, for numbers of `size` bytes."""
    w = VECTOR_BYTES // size

    @jit
    def by_steps(m, n, k, a, row, column, b, ldb, panel, c, ldc, keep, low, high):
        for j in range(0, n, 2 * w):
            strip, left = b + size * (j // (2 * w)) * panel, n - j
            for i in range(0, m, ROWS):
                first, last = max(0, i + low), min(k, i + high + ROWS - 1)
                if first >= last:
                    continue
                x, y = a + size * (i * row + first * column), c + size * (i * ldc + j)
                z = strip + size * first * ldb
                if left > w:
                    wide(last - first, x, row, column, z, ldb, y, ldc, keep)
                else:
                    narrow(last - first, x, row, column, z, ldb, y, ldc, keep)

    @jit
    def by_columns(m, n, k, a, row, column, b, ldb, panel, c, ldc, keep, low, high):
        for j in range(0, n, 2 * w):
            strip, left = b + size * (j // (2 * w)) * panel, n - j
            for i in range(0, m, ROWS):
                if j >= i + high + ROWS - 1 or j + 2 * w <= i + low:
                    continue
                x, y = a + size * i * row, c + size * (i * ldc + j)
                if left > w:
                    wide(k, x, row, column, strip, ldb, y, ldc, keep)
                else:
                    narrow(k, x, row, column, strip, ldb, y, ldc, keep)

    return by_steps, by_columns


_sums4, _cells4 = _products(4, _f2, _f1)
_sums8, _cells8 = _products(8, _d2, _d1)


def add_product(kind, m, n, k, a, row, column, b, ldb, panel, c, ldc, low, high):
    """C += A B, of whose inner steps row i needs those from i + low to i + high - 1.

    The others may hold anything; they are left out as far as whole tiles allow (a tile takes the
    steps that its first row needs and ROWS - 1 more). The type of `kind` selects the precision. B
    is stored in panels: columns 0 to W - 1 row by row, then the next W, and so on, where W is
    `width(kind)`, so that a strip of B as wide as a tile is contiguous.

    Args:
        m, n: size of C, multiples of ROWS and of PAD (C and B's last panel are that large).
        k: inner size.
        a, row, column: address of A, and elements from row to row and from column to column.
        b, ldb, panel: address of B (k, n); elements from row to row and from panel to panel.
        c, ldc: address of C, and elements from row to row.
        low, high: the band; any numbers, even outside the matrix.
    """


def write_product(kind, m, n, k, a, row, column, b, ldb, panel, c, ldc, low, high):
    """C = A B, of whose columns row i needs those from i + low to i + high - 1.

    The others keep what they held, or hold the product. The arguments are those of `add_product`;
    k is at least 1.
    """


@overload(add_product)
def _add_of_type(kind, m, n, k, a, row, column, b, ldb, panel, c, ldc, low, high):
    if kind == types.float32:
        return lambda kind, m, n, k, a, row, column, b, ldb, panel, c, ldc, low, high: _sums4(
            m, n, k, a, row, column, b, ldb, panel, c, ldc, True, low, high
        )
    return lambda kind, m, n, k, a, row, column, b, ldb, panel, c, ldc, low, high: _sums8(
        m, n, k, a, row, column, b, ldb, panel, c, ldc, True, low, high
    )


@overload(write_product)
def _write_of_type(kind, m, n, k, a, row, column, b, ldb, panel, c, ldc, low, high):
    if kind == types.float32:
        return lambda kind, m, n, k, a, row, column, b, ldb, panel, c, ldc, low, high: _cells4(
            m, n, k, a, row, column, b, ldb, panel, c, ldc, False, low, high
        )
    return lambda kind, m, n, k, a, row, column, b, ldb, panel, c, ldc, low, high: _cells8(
        m, n, k, a, row, column, b, ldb, panel, c, ldc, False, low, high
    )


def width(kind):
    """W, the columns of a panel: two vectors of the type of `kind`."""


@overload(width)
def _width_of_type(kind):
    w = 2 * (_WIDTH if kind == types.float32 else _WIDTH2)
    return lambda kind: w
