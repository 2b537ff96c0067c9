# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Kernels: from a loop nest to tensor cores"
#   talk: "The machine that the talks run on"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # From a loop nest to tensor cores
#
# ![A row of 32 numbers fills 4 sectors of memory, a column touches 32](00b_kernels/opening.png)
#
# **Bet first.** Two programs multiply the same matrices with the same 268 million operations, on
# one processor core. How many times as fast is the better one? Write down a number.
#
# <small>30 minutes to read, half a minute to run; no GPU is needed. You need lesson 00, and to have
# seen a loop in Python. C++ helps in two places and is asked for in none.</small>

# %% [markdown] slideshow={"slide_type": "notes"}
# Three minutes. Collect the bets on the board. Most rooms say 2 or 3. The answer comes in section
# 2, and the reason is in the picture: a number is never fetched alone, and what is fetched and not
# used has been paid for all the same. Everything else in this lesson is a variation on that
# sentence.

# %% slideshow={"slide_type": "skip"}
from functools import partial

import numpy as np
from numba import cuda, float32, njit

from minilm import backend, kernels
from minilm.course import claim, interact, lesson_folder, seeds, source
from minilm.emulator import emulate
from minilm.kernels.attention import cuda_readable
from minilm.kernels.softmax.cuda import THREADS, softmax_rows

here = lesson_folder("00b")
pictures, measures, more = (here.module(m) for m in ("pictures", "measures", "more_kernels"))
SEEDS = seeds()
exact, timed = partial(claim, exact=True, kind="paper"), partial(claim, over="repeats")
ONCE = measures.ONCE  # one order of the threads is enough where only counts are wanted
rng = backend.rng(SEEDS[0], "lesson 00b")
backend.blas_threads(1)  # one core against one core
backend.keep_freed_memory()

# %% [markdown] slideshow={"slide_type": "skip"}
# A kernel is the innermost loop of a program: what is done to one number, or to one tile of
# numbers. Lesson 00 took kernels as given. This one writes them. Half of it runs on your processor,
# with a stopwatch. The other half runs on a GPU that need not be there: an **emulator** runs each
# thread of a CUDA kernel in turn, watches every access, and counts what it touches.
#
# So there are two kinds of numbers on this page. Counts are exact, the same on every machine and in
# every run, whatever numbers the matrices hold. Seconds are not, and are taken three times. A
# verdict says which of the two it rests on.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. Two ceilings
#
# A program that does $F$ operations on $B$ bytes from memory is not done before both are:
#
# $$\text{seconds} \;\ge\; \max\left(\frac{B}{\text{bandwidth}},\; \frac{F}{\text{peak}}\right)$$
#
# Divide $F$ by these seconds: the program's speed has a **roof** that depends on one number, the
# *intensity* $I = F / B$:
#
# $$\text{speed} \;\le\; \min(\text{peak},\; I \cdot \text{bandwidth})$$
#
# <small>Williams, Waterman, Patterson: Roofline, Communications of the ACM 52 (4), 2009</small>

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## By hand
#
# A core moves 10 GB/s and does 50 GFLOP/s. A million numbers x become x / 2 + 1.
#
# - Bytes: 4 in and 4 out for each, 8 MB in all. At 10 GB/s that is **0.8 ms**.
# - Operations: 2 for each, 2 million in all. At 50 GFLOP/s that is **0.04 ms**.
#
# Twenty times as long is spent on moving. With k such multiply-adds per number, $I = 2k / 8 = k /
# 4$, and the two are equal at $I = 50 / 10 = 5$, that is at **k = 20**. That point is the *ridge*.
# Left of it, a faster calculation gains nothing; only fewer bytes do.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Measure yours
#
# **Claim.** Left of the ridge, arithmetic is free. **What would prove it wrong.** Four
# multiply-adds take more than 1.5 times as long as one. Or 64 take less than twice as long: then
# there is no ridge.


# %%
def multiply_adds(k):
    """A loop that Numba compiles: k multiply-adds on each number of x, in place."""

    @njit(fastmath={"contract"})
    def run(x):
        for i in range(x.size):
            value = x[i]
            for _ in range(k):  # k is known when this is compiled: no loop is left
                value = value * np.float32(0.5) + np.float32(1)
            x[i] = value

    return run


# %% slideshow={"slide_type": "skip"}
x = np.ones(1 << 25, np.float32)  # 128 MiB: more than the caches of most machines hold
depths = [1, 2, 4, 8, 16, 32, 64]
loops = {k: multiply_adds(k) for k in depths}
for loop in loops.values():
    loop(x[:64])  # compiles
rounds = [[measures.seconds(loops[k], x, rounds=1) for k in depths] for _ in range(9)]
taken = np.reshape(rounds, (3, 3, -1)).min(axis=1)  # (3, depths): the best of three, three times

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.by_depth(depths, taken)
four, many = (taken[:, depths.index(k)] / taken[:, 0] for k in (4, 64))
timed(
    "left of the ridge arithmetic is free",
    source="Williams et al., Roofline, 2009",
    measure="time of k multiply-adds per number / time of one, best of 3",
    expected="k = 4 below 1.5, k = 64 above 2",
    measured={"k = 4": four, "k = 64": many},
    holds=lambda r: r["k = 4"] < 1.5 and r["k = 64"] > 2,
    says=f"4 multiply-adds take {four.mean():.2f} times as long as one, 64 take {many.mean():.0f} times",
    kind="paper",
)

# %% [markdown] slideshow={"slide_type": "notes"}
# Four minutes. Ask for the prediction first: a level, then a slope; where is the bend? *Count the
# bytes before you count the operations.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. One product, three programs
#
# $c_{ij} = \sum_k a_{ik} b_{kj}$ is three loops. Any order of them gives the same numbers.
#
# *By hand.* Memory comes in lines of 64 bytes, 16 floats. The nest below walks **down a column** of
# b: each step needs another line and uses one number of it, 1/16 of what was fetched. With the last
# two loops swapped, everything is read **along rows**, and all 16 are used.
#
# **Claim.** The order decides the speed, and a library is faster still. **What would prove it
# wrong.** In one of three runs, swapped loops less than 3 times as fast as the nest, or a library
# less than 1.5 times as fast as those.


# %% slideshow={"slide_type": "subslide"}
@njit(fastmath=True)
def nest(a, b, c):
    """As one writes it: b is read down a column."""
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            total = np.float32(0)
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            c[i, j] = total


# %%
@njit(fastmath=True)
def swapped(a, b, c):
    """The loops over j and k change places: rows only, eight numbers at a time."""
    c[:] = 0
    for i in range(c.shape[0]):
        for k in range(a.shape[1]):
            weight, row, into = a[i, k], b[k], c[i]
            for j in range(row.size):
                into[j] += weight * row[j]


# %% slideshow={"slide_type": "skip"}
n = 512
a, b = rng.standard_normal((2, n, n), dtype=np.float32)
c = np.empty_like(a)
programs = {"loop nest": nest, "loops swapped": swapped, "library": np.matmul}
speed = {}
for name, program in programs.items():
    program(a, b, c)  # compiles
    assert np.allclose(c, a.astype(np.float64) @ b, atol=1e-3), name
    taken_by = [measures.seconds(program, a, b, c, rounds=2) for _ in range(3)]
    speed[name] = 2 * n**3 / np.array(taken_by)  # operations per second, three times

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.speeds(speed)
order = speed["loops swapped"] / speed["loop nest"]
library = speed["library"] / speed["loops swapped"]
timed(
    "the order of three loops decides the speed of a matrix product",
    source="this lesson",
    measure=f"speed of one core, {n} x {n}: swapped / nest, and library / swapped",
    expected="library / swapped at least 1.5, swapped / nest at least 3",
    measured={"swapped / nest": order, "library / swapped": library},
    holds=lambda r: r["swapped / nest"] >= 3 and r["library / swapped"] >= 1.5,
    says=f"swapping two loops makes the product {order.mean():.0f} times as fast, and the library is "
    f"{library.mean():.1f} times as fast again",
    kind="package",
)

# %% [markdown] slideshow={"slide_type": "skip"}
# So the answer to the bet is not 2 or 3. Two things happen at once. Along rows, whole lines are
# used, not a sixteenth. And neighbours that are used together can be computed together: the
# compiler turns the innermost loop into vector instructions. The nest denies it both, by the order
# of three words. The library adds a third thing, which section 4 is about: it keeps a small tile of
# c in registers and uses each number it fetches many times before it lets go of it.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Under the roof
#
# All three products do the same work on the same bytes, so they stand above one another. The gap to
# the roof is what a better kernel could gain. Predict: where does a norm stand that is written in
# NumPy?

# %% tags=["hide-input"]
pictures.under_the_roof(depths, taken, x.size, speed, n)

# %% [markdown] slideshow={"slide_type": "notes"}
# Four minutes. The norm in NumPy and the norm as one loop have the same intensity on paper, but
# NumPy reads and writes the whole array for each of its steps, so it stands below. The round dots
# leave the roof on the right: each multiply-add of a chain waits some cycles for the one before it,
# and a peak needs many chains at once. *Same numbers, same operations: what differs is how often
# they are fetched.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. The same ceilings on a GPU
#
# | where numbers live | who shares it | H100 |
# |---|---|---|
# | registers | one thread | 256 kB per multiprocessor |
# | shared memory | one block, up to 1024 threads | 228 kB per multiprocessor |
# | L2 cache | all | 50 MB |
# | device memory | all | 80 GB at 3.35 TB/s |
#
# 132 multiprocessors give 67 TFLOP/s in float32, and 989 in bfloat16 on tensor cores: ridges at 20
# and at 295 operations per byte. <small>NVIDIA, H100 SXM data sheet and white paper</small>

# %% [markdown]
# A GPU hides the slowness of its memory by having something else to do. A **kernel** says what
# *one* thread does, and is launched for thousands. 32 threads form a **warp** and go in step: one
# instruction, 32 lanes. Some warps form a **block**, which shares a small fast memory and can meet
# at barriers. Blocks form the grid. They run in any order, and cannot wait for each other.
#
# *On a GPU one writes the program of a single thread, and thinks about its 31 neighbours.*

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A first kernel
#
# One thread per number of c; `cuda.grid(2)` says which. Numba compiles this for a GPU. Here the
# emulator runs it, one thread after the other, and watches every access.


# %%
@cuda.jit
def product(a, b, c):
    """Lanes of a warp stand side by side in a row of c."""
    column, row = cuda.grid(2)
    total = float32(0)
    for k in range(a.shape[1]):
        total += a[row, k] * b[k, column]
    c[row, column] = total


# %%
side = 32
a, b = rng.standard_normal((2, side, side), dtype=np.float32)
c = np.empty_like(a)
good = emulate(product, (1, 8), (32, 4), a, b, c, schedules=ONCE, record=True)
print(f"{good.sectors:,} sectors moved, {good.ideal_sectors:,} needed, {good.barriers} barriers")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Neighbours should read neighbours
#
# Device memory moves in **sectors** of 32 bytes, eight floats. Lanes that ask for the same sector
# in the same step share it. *By hand*, one step of the loop for one warp:
#
# - *Side by side* in a row of c: all want the same number of a, **1** sector, and 32 neighbours of
#   b, which are 128 bytes, **4** sectors. Together 5.
# - *One below the other*: 32 numbers of a column of a, in **32** sectors, and the same number of b,
#   **1** sector. Together 33. Seven eighths of the bytes are thrown away.
#
# **Claim.** Swap two names in the first line, and the kernel moves 33 / 5 times as much. **What
# would prove it wrong.** A ratio that is more than 2 % from 33 / 5.

# %% tags=["hide-input"]
source(more.product_swapped)

# %% slideshow={"slide_type": "skip"}
again = np.empty_like(c)
bad = emulate(more.product_swapped, (1, 8), (32, 4), a, b, again, schedules=ONCE, record=True)
assert (again == c).all()  # to the last bit

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
interact(pictures.warp_viewer(column_row=good, row_column=bad), step=(0, side - 1, 1, 12))

# %% [markdown] slideshow={"slide_type": "notes"}
# Three minutes. Blue is what the 32 lanes of warp 0 ask for in one step, orange what is fetched with
# it and not used. Move the step: the upper warp walks along a row of a and down b; the lower one
# drags 32 rows of a behind it. *Threads that are neighbours should want numbers that are
# neighbours.*

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
ratio = bad.sectors / good.sectors
exact(
    "lanes that stand side by side share the sectors they read",
    source="CUDA C++ Best Practices Guide, coalesced access",
    measure="sectors of device memory, names swapped / not swapped",
    expected="33 / 5 = 6.6 within 2 %",
    measured=[ratio],
    holds=lambda ratio: abs(ratio / (33 / 5) - 1) < 0.02,
    says=f"with two names swapped the same product moves {bad.sectors:,} sectors in place of "
    f"{good.sectors:,}, {ratio:.2f} times as many",
)

# %% [markdown] slideshow={"slide_type": "skip"}
# The whole count can be checked by hand. There are 32 warps, one per row of c, and 32 steps: 32 ·
# 32 · 5 = 5,120 sectors are read. Each warp writes 32 neighbours of c, 4 sectors, 128 in all:
# together 5,248, as printed. With the names swapped it is 32 · 32 · 33 = 33,792 to read, and 32 ·
# 32 = 1,024 to write, since the lanes stand below one another in c too: 34,816. The arithmetic is
# the same to the last bit.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. Threads that meet
#
# 256 threads add 256 numbers: a tree. In each round half of the threads add what the other half
# has. `syncthreads` is the **barrier**: nobody goes on before all have come.
#
# *By hand*, with 8 numbers: 3 1 7 0 4 1 6 3. Four threads add the second half to the first: **7 2
# 13 3**. Two threads: **20 5**. One: **25**. Three rounds in place of seven additions in a row.


# %%
@cuda.jit
def sum_tree(x, out):
    """out[block] = sum of the block's 256 numbers."""
    tree = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    tree[t] = x[cuda.grid(1)]
    cuda.syncthreads()
    half = 128
    while half > 0:
        if t < half:
            tree[t] += tree[t + half]
        cuda.syncthreads()
        half //= 2
    if t == 0:
        out[cuda.blockIdx.x] = tree[0]


# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Leave one barrier out
#
# On a GPU a kernel that lacks a barrier may well give right results, on the day it is tested. The
# emulator watches instead: two threads touched the same number, one of them wrote, and nothing kept
# them apart.

# %%
numbers, sums = rng.standard_normal(512, dtype=np.float32), np.empty(2, np.float32)
broken = measures.without_barrier(sum_tree, 1)  # a copy that lacks its second barrier
measures.say_what_is_wrong(broken, 2, 256, numbers, sums)

# %% [markdown] slideshow={"slide_type": "skip"}
# Read the sentence slowly, for it is what a debugger for parallel programs should say. Thread 1
# writes an element that thread 0 reads, and between the two there is no barrier: so the order is
# anybody's guess. Whether the result was right today does not enter. A kernel with such a race can
# pass its tests for a year, and fail on the day a driver schedules warps in another way.

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## Shuffles: no memory at all
#
# The lanes of a warp can read each other's **registers**. Five rounds add 32 numbers, with no
# barrier and no shared memory. Only the eight warps have to meet, once. Predict: how many barriers
# of nine are left, and what share of the requests to shared memory?

# %% tags=["hide-input"]
source(more.sum_shuffle)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
interact(pictures.whom_a_lane_hears, lane=(0, 31, 1, 11))

# %% slideshow={"slide_type": "subslide"}
counts = {}
for kernel in (sum_tree, more.sum_shuffle):
    report = emulate(kernel, 2, 256, numbers, sums, schedules=ONCE)
    assert np.allclose(sums, numbers.reshape(2, 256).sum(1), atol=1e-4)
    counts[report.kernel] = report.barriers // 2, report.shared_requests // 2  # per block
print("per block, barriers and requests to shared memory:", counts)
assert counts["sum_tree"][0] == 9 and counts["sum_shuffle"][0] == 1

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## Thirty-two banks
#
# Shared memory has 32 **banks**, each four bytes wide: word i lies in bank i mod 32. A warp is
# served in one round if its lanes want 32 different banks, and in 32 rounds if they all want one.
#
# *By hand.* In a tile of 32 columns, word (r, c) lies in bank (32 r + c) mod 32 = **c**: a whole
# column lies in one bank. With one unused column it lies in bank (33 r + c) mod 32 = **r + c**: all
# different.
#
# **Claim.** One column of padding removes every conflict of a transpose; two do not. **What would
# prove it wrong.** A round too many with one, or none with two.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
source(more.transposer)

# %% slideshow={"slide_type": "skip"}
extra, turned = {}, np.empty_like(a)
for pad in range(9):
    report = emulate(more.transposer(pad), 1, (32, 8), a, turned, schedules=ONCE)
    assert (turned == a.T).all()
    extra[pad] = report.bank_conflicts

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
interact(pictures.bank_viewer(more.transposer), pad=(0, 8, 1, 0))

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.padded(extra)
exact(
    "one unused column frees a transpose of bank conflicts",
    source="Harris, An Efficient Matrix Transpose in CUDA C/C++, 2013",
    measure="extra rounds of shared memory for one tile, by columns of padding",
    expected="31 for each of 32 requests without; none with 1; some with 2",
    measured={"none": [extra[0]], "1 column": [extra[1]], "2 columns": [extra[2]]},
    holds=lambda m: m["none"] == 31 * 32 and m["1 column"] == 0 < m["2 columns"],
    says=f"a tile needs {extra[0]} extra rounds with no padding, {extra[1]} with one column and "
    f"{extra[2]} with two",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Tiles: fetch once, use often
#
# In the first kernel every number of a is fetched again for every column of c. A block that works
# on a square of c can fetch a square of a and of b **once**, keep both in shared memory, and let
# each number serve a whole row or column of threads.
#
# *By hand.* n = 32: the first kernel reads 2 n³ = 65,536 numbers. With tiles of side 8, each number
# that is fetched serves 8 threads, and 65,536 / 8 = **8,192** are read.
#
# **Claim.** Tiles of side s divide what is read by s. **What would prove it wrong.** One number
# more or less.


# %% slideshow={"slide_type": "subslide"}
def tiled(side):
    @cuda.jit
    def product_tiled(a, b, c):
        """c = a b by blocks of side x side threads; sizes are multiples of the side."""
        left = cuda.shared.array((side, side), float32)
        right = cuda.shared.array((side, side), float32)
        x, y = cuda.threadIdx.x, cuda.threadIdx.y
        column, row = cuda.grid(2)
        total = float32(0)
        for first in range(0, a.shape[1], side):
            left[y, x] = a[row, first + x]
            right[y, x] = b[first + y, column]
            cuda.syncthreads()  # the tiles are there before anyone uses them
            for k in range(side):
                total += left[y, k] * right[k, x]
            cuda.syncthreads()  # and used before anyone overwrites them
        c[row, column] = total

    return product_tiled


# %% slideshow={"slide_type": "skip"}
reads = {"no tiles": measures.numbers_read(good)}
for s in (8, 16, 32):
    launch = (side // s, side // s), (s, s)
    report = emulate(tiled(s), *launch, a, b, again, schedules=ONCE, record=True)
    assert np.allclose(again, c, atol=1e-4)
    reads[f"side {s}"] = measures.numbers_read(report)  # by all threads, from device memory

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.numbers_read(reads)
exact(
    "tiles of side s divide the traffic of a matrix product by s",
    source="Lam, Rothberg, Wolf, ASPLOS 1991",
    measure=f"numbers read from device memory, {side} x {side}",
    expected="2 n^3 / side = 65,536 / side",
    measured={name: [count] for name, count in list(reads.items())[1:]},
    holds=lambda m: all(count * int(name.split()[1]) == 2 * side**3 for name, count in m.items()),
    says=f"without tiles {reads['no tiles']:,} numbers are read, with sides 8, 16 and 32 "
    + ", ".join(f"{count:,}" for count in list(reads.values())[1:]),
)

# %% [markdown] slideshow={"slide_type": "notes"}
# Three minutes. How large must a tile be? Side s gives s / 4 operations per byte in float32 and s /
# 2 in bfloat16. So an H100's ridge of 20 is reached at side 80, and the tensor cores' 295 only at
# 590, for which shared memory has no room. Libraries take 128 and get the rest from the L2 cache,
# where tiles of neighbouring blocks are found again, and from a second level of tiles in registers.
# *Fetch once, use often.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Every barrier, once
#
# Six kernels of this lesson and of the package; each barrier left out in turn. Three orders of the
# threads are tried without watching, as a test of results would. Then one is watched.
#
# **Claim.** Right results do not prove a kernel right; watching finds every missing barrier. **What
# would prove it wrong.** A barrier that can be left out without a word; or none whose absence
# leaves results right.

# %%
tried = measures.every_barrier(measures.launches(sum_tree, tiled(8), rng))

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
measures.print_barriers(tried)
found, lucky = (sum(bool(one[k]) for one in tried) for k in (2, 1))
exact(
    "right results do not prove a kernel right; watching finds every missing barrier",
    source="this lesson",
    measure="barriers left out, found, and of those with right results in some order of threads",
    expected="all found; some right by luck",
    measured={"left out": [len(tried)], "found": [found], "right by luck": [lucky]},
    holds=lambda m: m["found"] == m["left out"] and m["right by luck"] > 0,
    says=f"of {len(tried)} missing barriers {lucky} leave the results right in some order of the "
    f"threads, and watching finds {found}",
    kind="package",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Softmax in two readings
#
# $$y_j = \frac{e^{x_j - m}}{\sum_i e^{x_i - m}}, \qquad m = \max_i x_i$$
#
# The textbook reads a row three times: for m, for the sum, for the quotient. But a sum that was
# taken with an old maximum can be **corrected** when a higher one turns up:
# $s \leftarrow s \, e^{m - m'} + e^{x - m'}$.
#
# *By hand*, the row 0, ln 3, ln 2. Start with m = 0, s = 1. Then m = ln 3, s = 1/3 + 1 = 4/3. Then
# ln 2 is lower: s = 4/3 + 2/3 = **2**. The shares are (1/3) / 2, 1 / 2, (2/3) / 2: **1/6, 1/2,
# 1/3**. Right: 1, 3, 2 of 6.
#
# <small>Milakov and Gimelshein, arXiv 1805.02867</small>

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.running_softmax(SEEDS[0])

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
source(more.softmax_online)

# %% [markdown] slideshow={"slide_type": "notes"}
# Three minutes: the rule, then the kernel. A pair (m, s) stands for a set of numbers that has been
# read: its maximum, and the sum of exponentials below it. Two pairs are joined by the same rule by
# which one number is added, and the order does not matter. So 32 lanes can each read a part of the
# row, and a butterfly of shuffles joins their pairs. That a sum can be taken apart and joined in
# any order is what makes it parallel; this rule says that softmax is such a sum.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Three trips instead of four
#
# **Claim.** Online softmax moves three quarters of what three readings move: two readings and one
# writing. **What would prove it wrong.** Another ratio than 3 / 4, or another result.

# %%
wide = rng.standard_normal((4, 256), dtype=np.float32)
y, right = np.empty_like(wide), kernels.softmax.tier("reference")(wide.astype(np.float64))
moved = {}
for kernel, threads in ((softmax_rows, THREADS), (more.softmax_online, 32)):
    report = emulate(kernel, 4, threads, wide, y, schedules=ONCE)
    assert np.abs(y - right).max() < 1e-6
    moved[report.kernel] = report.sectors
    print(f"{report.kernel:<16}{report.sectors:>6} sectors, {report.barriers} barriers")

# %% tags=["hide-input"]
three, two = moved.values()
exact(
    "online softmax moves three quarters of the bytes",
    source="Milakov and Gimelshein, arXiv 1805.02867",
    measure="sectors of device memory, online / three readings",
    expected="0.75",
    measured=[two / three],
    holds=lambda ratio: ratio == 0.75,
    says=f"online softmax moves {two} sectors and the textbook's {three}, {two / three:.2f} of them",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## FlashAttention
#
# Attention in three kernels writes T x T scores, reads them for the softmax, writes the shares,
# reads them for the second product. All that traffic is for numbers nobody asked for.
# FlashAttention lets a block keep some queries on the chip while keys and values stream past, and
# corrects the **output** too whenever a higher score turns up. No score ever leaves the chip.
#
# *By hand*: scores 0 and ln 3, values 8 and 4. After the first: m = 0, s = 1, sum 8. Then m = ln 3,
# all shrinks by 1/3: s = 1/3 + 1 = 4/3, sum 8/3 + 4 = 20/3. The output is 20/3 : 4/3 = **5**.
# Right: 1/4 of 8 and 3/4 of 4.
#
# <small>Dao et al., arXiv 2205.14135; Dao, arXiv 2307.08691</small>

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
interact(pictures.on_the_chip, moment=(0, 15, 1, 6))

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
source(cuda_readable.attention_rows)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Count the traffic
#
# **Claim.** For T queries of size D, with r queries per block, FlashAttention moves $2TD + 2TD
# \cdot T / r$ numbers, and no $T^2$ stands alone. Three kernels move $8T^2 + TD$ here (D = 8).
# **What would prove it wrong.** Any count that is not the formula's.

# %%
T, D = 32, 8
counts = measures.attention_traffic(tiled(8), rng, T, D)
formulas = [8 * T * T + T * D, *(2 * T * D + 2 * T * D * T // r for r in (8, 16, 32))]
print(counts, "by formula:", formulas)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.numbers_moved(counts)
exact(
    "FlashAttention's traffic falls with the queries that a block keeps; no score leaves the chip",
    source="Dao et al., arXiv 2205.14135, theorem 2",
    measure=f"numbers moved, T = {T}, D = {D}, by queries per block",
    expected="three kernels 8 T^2 + T D, flash 2 T D (1 + T / r)",
    measured={name: [count] for name, count in counts.items()},
    holds=lambda m: list(m.values()) == formulas,
    says=f"three kernels move {counts['three kernels']:,} numbers, FlashAttention with 32 queries per "
    f"block {counts['r = 32']:,}; every count is the formula's",
)

# %% [markdown] slideshow={"slide_type": "skip"}
# Where does the formula come from? There are T / r blocks. Each reads its r queries, r D numbers,
# reads all keys and all values, 2 T D, and writes its output, r D. That is T / r times (2 r D + 2 T
# D), or 2 T D + 2 T D · T / r. For T = 32, D = 8 and r = 8: 512 + 512 · 4 = 2,560. Twice the
# queries per block halve the second part. What sets r is how many queries, with their outputs, fit
# into the registers and the shared memory of one multiprocessor: the same question as for the side
# of a tile.

# %% [markdown] slideshow={"slide_type": "notes"}
# Four minutes. The kernel that trains models in this package, `minilm/kernels/attention/cuda.cu`,
# is this one with 128 queries per block, float16, tensor cores, and keys fetched in the background;
# the emulator counts the same formula there. *What can be corrected need not be known in advance.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Tensor cores: a warp multiplies
#
# `mma.sync` multiplies a 16 x 16 tile by a 16 x 8 tile, **in registers**: 4,096 operations in one
# instruction. No thread owns a row. The numbers are dealt out over the 32 lanes in a fixed pattern:
# each lane holds 8 of a, 4 of b and 4 of c. *By hand*, lane 13: 13 // 4 = 3 and 13 % 4 · 2 = 2, so
# of c it holds row 3, columns 2 and 3, and row 11, the same.


# %%
def fragment(lane):
    """(row, column) of the numbers that a lane holds of a, b and c; PTX ISA, mma.m16n8k16."""
    row, pair = lane // 4, lane % 4 * 2
    a = [(row + 8 * (i % 2), pair + 8 * (i // 2) + h) for i in range(4) for h in range(2)]
    b = [(pair + 8 * i + h, row) for i in range(2) for h in range(2)]
    c = [(row + 8 * i, pair + h) for i in range(2) for h in range(2)]
    return a, b, c


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
interact(pictures.fragment_viewer(fragment), lane=(0, 31, 1, 13))

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## One instruction, watched
#
# Loaded by this pattern, one instruction must give the product. The emulator runs it (in CUDA C++,
# if there is a compiler) and notes which lane touched which number; the cell fails if a lane
# touches any other, or if the result is off by more than float16 products rounded in float32.

# %%
if watched := measures.in_cpp(lambda: measures.one_mma(fragment, rng)):
    touched, strays, error = watched
    assert strays == 0 and error < 1e-5
    print(f"32 lanes touch {touched} numbers, {strays} outside the pattern; error {error:.0e}")

# %% [markdown] slideshow={"slide_type": "notes"}
# Three minutes. Move the lane. Two float16 numbers share a register, so a takes four registers, b
# two, and c four floats. Each number of a is held by one lane and needed by all that hold its row:
# the instruction passes them around inside the warp, which no program could do as fast. A lane's
# rows of c are the rows it holds of a. So the result of one product can be the left side of the
# next without leaving the registers, and this is how FlashAttention multiplies twice in a row.
#
# *The fastest memory is the one that no address points to.*

# %% [markdown] slideshow={"slide_type": "slide"} tags=["extra"]
# ## And on a real GPU?
#
# Counts say what a kernel moves, not how long it takes. Where this machine has a GPU, the same
# kernels run on it here, compiled by Numba, beside its library.

# %%
measures.on_a_gpu(product, tiled(32))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What came out
#
# - **As claimed:** every count is what its formula says, to the last sector and the last barrier.
# - **As claimed, by the stopwatch:** left of the ridge arithmetic is free, and the order of loops
#   decides the speed. Seconds are only as good as a machine is quiet: if a card says otherwise on
#   yours, close what else is running and try again.
# - **Not measured** without a GPU: how long its kernels take. Counts say what must be moved, not
#   how soon.
#
# **One more question.** The first kernel moves as many sectors as it needs by the emulator's count,
# and is still slow. What does "needs" leave out?
#
# Now write them yourself: the [exercise set](../exercises/00b_kernels.ipynb).
