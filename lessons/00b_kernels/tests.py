"""Tests of exercise set 0b: seven CUDA kernels, in the emulator.

What a kernel computes is compared with float64 formulas under every schedule of the emulator; what
it costs is counted under the first, at sizes where the least possible is known.
"""

import numpy as np

from minilm.course.checking.expect import close
from minilm.course.checking.kernel_answers import launch
from minilm.course.checking.questions import Question
from minilm.emulator import SCHEDULES

TITLE = "Kernels: seven programs for a graphics card"
LIBRARIES = ("numba",)

scaled = Question("scaled", title="which number is mine?", lines=3)
transpose_tiles = Question(
    "transpose_tiles",
    title="a transpose without bank conflicts",
    lines=10,
    hint="Read rows of x into a shared tile, wait, write rows of y; guard both with the sizes.",
)
row_sums = Question("row_sums", title="a sum by shuffles", lines=12)
running_sums = Question("running_sums", title="a kernel to repair", lines=18)
online_softmax = Question("online_softmax", title="softmax in two passes", lines=18)
tiled_matmul = Question("tiled_matmul", title="a tiled matrix product", lines=18)
flash_forward = Question("flash_forward", title="FlashAttention, forward", lines=35)

COUNT = SCHEDULES[:1]
ONCE = [{}]  # a count does not depend on the numbers, so hidden cases would repeat it
NEAR = {"rtol": 1e-4, "atol": 1e-5, "dtype": np.float32}


def normal(rng, *shape):
    return rng.standard_normal(shape, dtype=np.float32)


def empty(*shape):
    """Not a number anywhere, so that what nobody writes shows."""
    return np.full(shape, np.nan, np.float32)


def blocks(count, each):
    return -(-count // each)


def untouched(run, *inputs):
    """The arrays that a kernel only reads are as they were."""
    for number, (after, before) in enumerate(zip(run.arrays, inputs)):
        close(after, before, rtol=0, atol=0, what=f"argument {number} afterwards")


# ------------------------------------------------------------------------------- scaled


def multiplied_by(student, rng, count, **how):
    x, factor = normal(rng, count), float(rng.uniform(2, 9))
    run = launch(student, "scaled", blocks(count, 64), 64, x, empty(count), factor, **how)
    untouched(run, x)
    close(run.arrays[1], x * np.float64(factor), dtype=np.float32, what="y")
    return run


def any_counts(rng, level):
    yield {"count": 100}
    if level == "hidden":
        yield {"count": 1}
        yield {"count": int(rng.integers(65, 200))}


@scaled.test(
    points=2,
    hint="The last block has more threads than numbers: if i < x.size.",
    cases=any_counts,
)
def every_number_scaled(student, rng, count):
    "y is factor * x at any length, and no thread touches what is not there"
    multiplied_by(student, rng, count)


@scaled.test(points=1, hint="One number per thread: i = cuda.grid(1).", cases=ONCE)
def neighbours_side_by_side(student, rng):
    "moves every sector of x and of y once"
    multiplied_by(student, rng, 128, schedules=COUNT).check_costs(sectors=2 * 128 // 8)


# ---------------------------------------------------------------------- transpose_tiles


def transposed(student, rng, rows, columns, **how):
    x = normal(rng, rows, columns)
    grid = (blocks(columns, 32), blocks(rows, 32))
    run = launch(student, "transpose_tiles", grid, (32, 8), x, empty(columns, rows), **how)
    untouched(run, x)
    close(run.arrays[1], x.T, rtol=0, atol=0, dtype=np.float32, what="y")
    return run


def pictures(rng, level):
    yield {"rows": 33, "columns": 7}
    if level == "hidden":
        yield {"rows": int(rng.integers(1, 32)), "columns": int(rng.integers(33, 50))}


@transpose_tiles.test(points=2, cases=pictures)
def any_picture_turned(student, rng, rows, columns):
    "y is x transposed, at sizes that no tile fits, in every order of the threads"
    transposed(student, rng, rows, columns)


def whole_tiles(rng, level):
    yield {"rows": 32, "columns": 32}
    if level == "hidden":
        yield {"rows": 32, "columns": 64}


@transpose_tiles.test(
    points=1,
    hint="Let threadIdx.x run along the row, for x as for y: 32 lanes, 4 sectors.",
    cases=whole_tiles,
)
def whole_sectors(student, rng, rows, columns):
    "moves every sector of device memory once"
    run = transposed(student, rng, rows, columns, schedules=COUNT)
    run.check_costs(sectors=2 * rows * columns // 8)


@transpose_tiles.test(
    points=2,
    hint="Give the tile 33 columns: then neighbours in a column lie in neighbouring banks.",
    cases=ONCE,
)
def no_conflicts(student, rng):
    "turns the tile in shared memory without a bank conflict"
    run = transposed(student, rng, 32, 32, schedules=COUNT)
    run.check_costs(sectors=2 * 32 * 32 // 8, bank_conflicts=0)


# ----------------------------------------------------------------------------- row_sums


def summed(student, rng, rows, columns, **how):
    x = normal(rng, rows, columns)
    run = launch(student, "row_sums", rows, 128, x, empty(rows), **how)
    untouched(run, x)
    close(run.arrays[1], x.sum(1, dtype=np.float64), **NEAR, what="out")
    return run


def tables(rng, level):
    yield {"rows": 2, "columns": 200}
    yield {"rows": 1, "columns": 3}
    if level == "hidden":
        yield {"rows": 1, "columns": 1}
        yield {"rows": 2, "columns": int(rng.integers(129, 300))}


@row_sums.test(
    points=2,
    hint="Add in a loop `for j in range(t, x.shape[1], 128)`; one thread writes out[row].",
    cases=tables,
)
def sums_of_any_row(student, rng, rows, columns):
    "out holds the sum of every row, of any length, in every order of the threads"
    summed(student, rng, rows, columns)


def even_tables(rng, level):
    yield {"rows": 1, "columns": 256}
    if level == "hidden":
        yield {"rows": 2, "columns": 8 * int(rng.integers(17, 40))}


@row_sums.test(
    points=1,
    hint="Neighbouring lanes read neighbouring columns, and one thread writes the sum.",
    cases=even_tables,
)
def every_number_once(student, rng, rows, columns):
    "moves every sector of x once, and one for each sum"
    run = summed(student, rng, rows, columns, schedules=COUNT)
    run.check_costs(sectors=rows * (columns // 8 + 1))


@row_sums.test(
    points=2,
    hint="Five shuffles bring a warp to one number; shared memory holds four, behind one barrier.",
    cases=even_tables,
)
def one_barrier(student, rng, rows, columns):
    "needs one barrier for a row, and shared memory for no more than a number of each warp"
    run = summed(student, rng, rows, columns, schedules=COUNT)
    run.check_costs(sectors=rows * (columns // 8 + 1), barriers=rows, shared_requests=rows * 12)


# ------------------------------------------------------------------------- running_sums


def scanned(student, rng, rows, columns, **how):
    x = normal(rng, rows, columns)
    run = launch(student, "running_sums", rows, 64, x, empty(rows, columns), **how)
    untouched(run, x)
    close(run.arrays[1], np.cumsum(x, 1, dtype=np.float64), **NEAR, what="y")
    return run


def short_rows(rng, level):
    yield {"rows": 1, "columns": 50}
    yield {"rows": 2, "columns": 64}
    if level == "hidden":
        yield {"rows": 1, "columns": int(rng.integers(1, 64))}


@running_sums.test(
    points=2,
    hint="Read the left neighbour into a variable, wait, then add it: two barriers a step, both "
    "outside of any `if`.",
    cases=short_rows,
)
def one_tile(student, rng, rows, columns):
    "is right in rows of one tile, in every order of the threads"
    scanned(student, rng, rows, columns)


def long_rows(rng, level):
    yield {"rows": 1, "columns": 100}
    if level == "hidden":
        yield {"rows": 1, "columns": int(rng.integers(129, 180))}


@running_sums.test(
    points=2,
    hint="A fast thread must not bring the next tile while a slow one still reads s[63].",
    cases=long_rows,
)
def several_tiles(student, rng, rows, columns):
    "is right in rows longer than a tile, in every order of the threads"
    scanned(student, rng, rows, columns)


@running_sums.test(
    points=2,
    hint="All 64 threads add at the same time, in 6 steps; two barriers a step are enough.",
    cases=long_rows,
)
def cheap_cure(student, rng, rows, columns):
    "takes at most 14 barriers and 60 requests to shared memory for a tile"
    run = scanned(student, rng, rows, columns, schedules=COUNT)
    tiles = rows * blocks(columns, 64)
    run.check_costs(barriers=14 * tiles, shared_requests=60 * tiles)


# ----------------------------------------------------------------------- online_softmax


def shared_out(student, x, **how):
    run = launch(student, "online_softmax", len(x), 32, x, empty(*x.shape), **how)
    untouched(run, x)
    wide = x.astype(np.float64)
    e = np.exp(wide - wide.max(1, keepdims=True))
    close(run.arrays[1], e / e.sum(1, keepdims=True), rtol=1e-4, atol=1e-7, dtype=np.float32,
          what="y")  # fmt: skip
    return run


def wide_rows(rng, level):
    yield {"rows": 2, "columns": 77}
    if level == "hidden":
        yield {"rows": 1, "columns": 32}
        yield {"rows": 2, "columns": int(rng.integers(33, 150))}


@online_softmax.test(
    points=2,
    hint="Lane t takes the columns t, t + 32, ...; the pairs of the lanes are joined by shuffles.",
    cases=wide_rows,
)
def shares_of_any_row(student, rng, rows, columns):
    "y holds the softmax of every row, in every order of the threads"
    shared_out(student, 3 * normal(rng, rows, columns))


@online_softmax.test(
    points=2,
    hint="exp(m - M) with both -inf is no number: join two pairs only if M is larger than -inf.",
    cases=ONCE,
)
def hard_rows(student, rng):
    "survives rows shorter than a warp, masked numbers, and numbers of any size"
    x = np.full((4, 9), -np.inf, np.float32)
    x[3] = -3e9 - 1e3 * rng.integers(1, 9, size=9)
    x[0, int(rng.integers(9))] = 1
    x[1] = 1e4 * np.sign(normal(rng, 9))
    x[2, 3:8] = normal(rng, 5)
    shared_out(student, x)


def even_rows(rng, level):
    yield {"rows": 2, "columns": 128}
    if level == "hidden":
        yield {"rows": 1, "columns": 8 * int(rng.integers(9, 30))}


@online_softmax.test(
    points=2,
    hint="Maximum and sum in one pass: when the maximum rises, what was summed shrinks.",
    cases=even_rows,
)
def two_passes(student, rng, rows, columns):
    "reads every sector twice and writes it once"
    run = shared_out(student, normal(rng, rows, columns), schedules=COUNT)
    run.check_costs(sectors=3 * rows * columns // 8)


@online_softmax.test(
    points=1, hint="A warp that talks by shuffles needs no barrier.", cases=even_rows
)
def no_barrier(student, rng, rows, columns):
    "needs no barrier and no shared memory"
    run = shared_out(student, normal(rng, rows, columns), schedules=COUNT)
    run.check_costs(barriers=0, shared_requests=0)


# ------------------------------------------------------------------------- tiled_matmul


def multiplied(student, rng, m, k, n, **how):
    a, b = normal(rng, m, k), normal(rng, k, n)
    grid = (blocks(n, 8), blocks(m, 8))
    run = launch(student, "tiled_matmul", grid, (8, 8), a, b, empty(m, n), **how)
    untouched(run, a, b)
    close(run.arrays[2], a.astype(np.float64) @ b, **NEAR, what="c")
    return run


def odd_matrices(rng, level):
    yield {"m": 5, "k": 19, "n": 9}
    if level == "hidden":
        yield {"m": 17, "k": 3, "n": 5}
        yield {"m": int(rng.integers(1, 9)), "k": int(rng.integers(5, 20)), "n": 11}


@tiled_matmul.test(
    points=3,
    hint="Past the edge a tile holds zeros; c is written only inside; barriers are for everyone.",
    cases=odd_matrices,
)
def any_product(student, rng, m, k, n):
    "c is a @ b at sizes that no tile fits, in every order of the threads"
    multiplied(student, rng, m, k, n)


def even_matrices(rng, level):
    yield {"m": 16, "k": 16, "n": 8}
    if level == "hidden":
        yield {"m": 8, "k": 8 * int(rng.integers(3, 5)), "n": 16}


def least(m, k, n):
    """Sectors with tiles of 8 x 8: a row of 8 numbers is one."""
    tiles = blocks(m, 8) * blocks(n, 8)
    return tiles * (2 * 8 * blocks(k, 8) + 8)


@tiled_matmul.test(
    points=2,
    hint="Every thread brings one number of each tile; threadIdx.x runs along the rows of a and b.",
    cases=even_matrices,
)
def tiles_save_reads(student, rng, m, k, n):
    "reads every number once for each tile, not once for each thread"
    run = multiplied(student, rng, m, k, n, schedules=COUNT)
    run.check_costs(sectors=least(m, k, n))


@tiled_matmul.test(
    points=2,
    hint="In the inner loop lanes of a row share one number of a and read neighbours of b.",
    cases=ONCE,
)
def cheap_tiles(student, rng):
    "uses the tiles without bank conflicts, with two barriers for each pair"
    run = multiplied(student, rng, 8, 24, 8, schedules=COUNT)
    run.check_costs(sectors=least(8, 24, 8), bank_conflicts=0, barriers=2 * 3)


# ------------------------------------------------------------------------ flash_forward


def attended(student, rng, n, t, causal=False, size=1.0, **how):
    q, k, v = normal(rng, n, t, 4), normal(rng, n, t, 4), normal(rng, n, t, 4)
    scale, grid = size * float(rng.uniform(0.3, 0.45)), (blocks(t, 32), n)
    run = launch(student, "flash_forward", grid, 32, q, k, v, empty(n, t, 4), scale, causal, **how)
    untouched(run, q, k, v)
    scores = scale * np.einsum("ntd,nsd->nts", q, k, dtype=np.float64)
    if causal:
        scores = np.where(np.tril(np.ones((t, t), bool)), scores, -np.inf)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    expected = np.einsum("nts,nsd->ntd", e / e.sum(-1, keepdims=True), v)
    close(run.arrays[3], expected, rtol=1e-3, atol=1e-5, dtype=np.float32, what="out")
    return run


def lengths(rng, level):
    yield {"n": 1, "t": 35}
    if level == "hidden":
        yield {"n": 2, "t": int(rng.integers(1, 16))}


@flash_forward.test(
    points=3,
    hint="Divide by the sum at the end, once; a thread whose query lies past the end loads its "
    "part of the tiles all the same.",
    cases=lengths,
)
def any_length(student, rng, n, t):
    "out is attention over all keys, at any length, in every order of the threads"
    attended(student, rng, n, t)


def short_lengths(rng, level):
    yield {"n": 2, "t": 9}
    if level == "hidden":
        yield {"n": 1, "t": int(rng.integers(10, 20))}


@flash_forward.test(
    points=2, hint="Query i sees the keys 0 to i: itself too, nothing later.", cases=short_lengths
)
def never_the_future(student, rng, n, t):
    "with causal, no query sees a later key"
    attended(student, rng, n, t, causal=True)


@flash_forward.test(
    points=1,
    hint="Subtract the running maximum, and shrink the sum and the 4 sums when it rises.",
    cases=ONCE,
)
def large_scores(student, rng):
    "survives scores of any size"
    attended(student, rng, 1, 12, size=1e3)
    attended(student, rng, 1, 12, causal=True, size=1e10)


def tile_sectors(t, pairs):
    """Each pair of tiles once, in whole sectors; q and out one row per lane, 16 for a request."""
    return pairs * 2 * 16 + blocks(t, 32) * 2 * 4 * 16


@flash_forward.test(
    points=2,
    hint="Element e of a tile is row e // 4, column e % 4; lanes take neighbours.",
    cases=ONCE,
)
def tiles_of_keys(student, rng):
    "reads keys and values once for each block of queries, in whole sectors"
    attended(student, rng, 1, 32, schedules=COUNT).check_costs(
        sectors=tile_sectors(32, 1), bank_conflicts=0, barriers=2
    )


@flash_forward.test(
    points=2,
    hint="The last key that block b may see is 32 b + 31: end the loop over tiles there.",
    cases=ONCE,
)
def no_future_tiles(student, rng):
    "with causal, does not read the tiles that no query of the block may see"
    run = attended(student, rng, 1, 64, causal=True, schedules=COUNT)
    run.check_costs(sectors=tile_sectors(64, 3), barriers=2 * 3)
