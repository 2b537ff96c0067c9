# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Kernels: from a loop nest to tensor cores"
#   talk: "The machine that the talks run on"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # From a loop nest to tensor cores
#
# Why is one program a hundred times faster than another that computes the same numbers? Because of
# what it moves. First on this processor, with a stopwatch. Then on a GPU, which need not be there:
# an emulator runs each thread and counts what it touches.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What is claimed, and what we do about it
#
# | claim | measured by |
# |---|---|
# | below a point, arithmetic is free | seconds, 1 to 64 operations each |
# | the order of loops decides the speed | one product, four programs |
# | neighbours should read neighbours | sectors moved |
# | results do not prove a kernel right | every barrier left out once |
# | shuffles beat shared memory; padding frees the banks | barriers, rounds |
# | tiles divide traffic by their side | numbers read |
# | softmax needs two readings, not three | sectors moved |
# | FlashAttention never writes the scores | numbers moved |
# | one instruction multiplies what 32 lanes hold | numbers touched |

# %% [markdown] slideshow={"slide_type": "notes"}
# Counts are exact: they are the same on every machine and in every run. Seconds are not: they are
# taken three times. Where this machine has a GPU, the end of the lesson times the same kernels on it.

# %% slideshow={"slide_type": "skip"}
import inspect
import linecache
import math
import textwrap
import time
import types

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Rectangle
from numba import cuda, float32, njit

import minilm
from minilm import backend, kernels
from minilm.course import bars, claim, figure, interact, lines, source
from minilm.course.show.style import BLUE, FAINT, GREEN, INK, SKY, VERMILION
from minilm.emulator import EmulatorError, emulate
from minilm.emulator.build import compiler

backend.blas_threads(1)  # one core against one core
backend.keep_freed_memory()
ONCE = ("lockstep",)  # one order of threads is enough where only counts are wanted


def seconds(function, *arguments, rounds=3):
    """The best of some rounds."""
    best = math.inf
    for _ in range(rounds):
        began = time.perf_counter()
        function(*arguments)
        best = min(best, time.perf_counter() - began)
    return best


# %% [markdown] slideshow={"slide_type": "slide"}
# ## Two ceilings
#
# A program that computes $F$ operations on $B$ bytes from memory cannot be done before both are:
#
# $$\text{seconds} \;\ge\; \max\left(\frac{B}{\text{bandwidth}},\; \frac{F}{\text{peak}}\right)$$
#
# So its speed has a **roof** that depends on one number, the *intensity* $I = F / B$:
#
# $$\text{speed} \;\le\; \min(\text{peak},\; I \cdot \text{bandwidth})$$
#
# Left of the ridge a faster calculation gains nothing. Only fewer bytes do.
#
# <small>Williams, Waterman, Patterson: Roofline, Communications of the ACM 52 (4), 2009</small>

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Measure yours
#
# **Claim.** Left of the ridge, arithmetic is free. Each number of a large array is read, put through
# $k$ multiply-adds, and written back.
#
# **What would prove it wrong.** Four multiply-adds take more than 1.5 times as long as one. Or 64
# take less than twice as long: then there is no ridge.


# %% slideshow={"slide_type": "-"}
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


# %% slideshow={"slide_type": "subslide"}
x = np.ones(1 << 25, np.float32)  # 128 MiB: more than the caches of most machines hold
depths = [1, 2, 4, 8, 16, 32, 64]
loops = {k: multiply_adds(k) for k in depths}
for loop in loops.values():
    loop(x[:64])  # compiles
rounds = [[seconds(loops[k], x, rounds=1) for k in depths] for _ in range(12)]
taken = np.reshape(rounds, (3, 4, -1)).min(axis=1)  # the best of four, three times

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
left = np.random.default_rng(0).standard_normal((1024, 1024), dtype=np.float32)
product_peak = 2 * 1024**3 / seconds(np.matmul, left, left, rounds=5)
work = 2 * np.array(depths) * x.size
peak = max(product_peak, (work / taken).max())
bandwidth = (2 * x.nbytes / taken).max()
ridge = peak / bandwidth
print(f"bandwidth {bandwidth / 1e9:.1f} GB/s, peak {peak / 1e9:.0f} GFLOP/s, one core")
print(f"the ridge: {ridge:.1f} operations per byte")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
bars(
    depths,
    taken * 1000,
    xlabel="multiply-adds per number",
    ylabel="milliseconds for 33 million numbers",
    numbers="{:.0f}",
    alt="Time is level for few multiply-adds per number and rises with many.",
)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
against_one = {k: taken[:, depths.index(k)] / taken[:, 0] for k in (4, 64)}
claim(
    "left of the ridge arithmetic is free",
    source="Williams et al., Roofline, 2009",
    measure="time of k multiply-adds per number / time of one, best of 4, three times",
    expected="k = 4 below 1.5, k = 64 above 2",
    measured={f"k = {k}": ratio for k, ratio in against_one.items()},
    holds=lambda r: r["k = 4"] < 1.5 and r["k = 64"] > 2,
    partly=lambda r: r["k = 64"] > 2 * r["k = 4"],
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## One product, four programs
#
# $c_{ij} = \sum_k a_{ik} b_{kj}$ is three loops. Any order of them gives the same numbers.
#
# **Claim.** The order alone decides whether the program is fast; and a library is still faster.
#
# **What would prove it wrong.** In any of three runs the swapped loops are less than three times as
# fast as the nest, or the library is less than 1.5 times as fast as the swapped loops.


# %% slideshow={"slide_type": "subslide"}
@njit(fastmath=True)
def nest(a, b, c):
    """As one writes it. b is read down a column: each number from another line of memory."""
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            total = np.float32(0)
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            c[i, j] = total


@njit(fastmath=True)
def swapped(a, b, c):
    """The loops over j and k change places: everything is read along rows, eight at a time."""
    c[:] = 0
    for i in range(c.shape[0]):
        for k in range(a.shape[1]):
            weight, row, into = a[i, k], b[k], c[i]
            for j in range(row.size):
                into[j] += weight * row[j]


# %% slideshow={"slide_type": "subslide"}
WIDE = 256


@njit(fastmath=True)
def blocked(a, b, c):
    """Four rows of b at once, in strips that stay in the cache: a quarter of the trips to c."""
    c[:] = 0
    for first in range(0, c.shape[1], WIDE):
        strip = slice(first, first + WIDE)
        for k in range(0, a.shape[1], 4):
            b0, b1, b2, b3 = b[k, strip], b[k + 1, strip], b[k + 2, strip], b[k + 3, strip]
            for i in range(c.shape[0]):
                into, w0, w1, w2, w3 = c[i, strip], a[i, k], a[i, k + 1], a[i, k + 2], a[i, k + 3]
                for j in range(WIDE):
                    into[j] += w0 * b0[j] + w1 * b1[j] + w2 * b2[j] + w3 * b3[j]


# %% slideshow={"slide_type": "subslide"}
n = 512
a, b = np.random.default_rng(1).standard_normal((2, n, n), dtype=np.float32)
c = np.empty_like(a)
programs = {
    "loop nest": nest,
    "loops swapped": swapped,
    "blocked": blocked,
    "library": lambda a, b, c: np.matmul(a, b, out=c),
}
for name, program in programs.items():
    program(a, b, c)  # compiles
    assert np.allclose(c, a.astype(np.float64) @ b, atol=1e-3), name
speed = {
    name: np.array([2 * n**3 / seconds(program, a, b, c, rounds=2) for _ in range(3)])
    for name, program in programs.items()
}

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
bars(
    list(speed),
    np.transpose(list(speed.values())) / 1e9,
    ylabel=f"GFLOP/s, {n} x {n}, one core",
    numbers="{:.3g}",
    horizontal=False,
    alt="The loop nest is slowest by far; swapped, blocked and the library follow, each faster.",
)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
claim(
    "the order of three loops decides the speed of a matrix product",
    source="this lesson",
    measure=f"GFLOP/s of one core, {n} x {n}: swapped / nest, and library / swapped",
    expected="library / swapped at least 1.5, swapped / nest at least 3",
    measured={
        "swapped / nest": speed["loops swapped"] / speed["loop nest"],
        "library / swapped": speed["library"] / speed["loops swapped"],
    },
    holds=lambda r: r["swapped / nest"] >= 3 and r["library / swapped"] >= 1.5,
    partly=lambda r: r["swapped / nest"] >= 3,
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Under the roof
#
# All four products do the same work on the same bytes: they stand above one another. So do a norm
# as a formula in NumPy and as one loop. The gap to the roof is what a better
# kernel could gain.
#
# The round dots leave the roof on the right: each multiply-add of a chain waits some cycles for the
# one before it. A peak needs many chains at once.

# %% slideshow={"slide_type": "skip"}
rows = np.random.default_rng(2).standard_normal((16384, 1024), dtype=np.float32)
weight = np.ones(1024, np.float32)
q, k, v = np.random.default_rng(3).standard_normal((3, 1, 4, 1024, 64), dtype=np.float32)
norms = {tier: kernels.rms_norm.tier(tier) for tier in ("reference", "cpu")}
attention = kernels.attention.tier("cpu")
settings = (None, None, False, None, 0.125)  # mask, bias, causal, window, scale
points = {}  # name -> intensity, operations per second
for tier, name in (("reference", "norm, NumPy"), ("cpu", "norm, one loop")):
    norms[tier](rows[:8], weight, 1e-5)
    taken_here = seconds(norms[tier], rows, weight, 1e-5)
    points[name] = 4 * rows.size / (2 * rows.nbytes), 4 * rows.size / taken_here
attention(q, k, v, *settings)
work = 4 * q.size * q.shape[2]
points["attention"] = work / (4 * q.nbytes), work / seconds(attention, q, k, v, *settings)
for name, speeds in speed.items():
    points[name] = n / 6, speeds.max()
peak = max(peak, *(measured for _, measured in points.values()))


# %% slideshow={"slide_type": "-"} tags=["hide-input"]
def draw_roof(ax, roofs, low, high):
    """Roofs as name -> (bandwidth, peak, colour) over intensities from low to high."""
    at = np.geomspace(low, high, 300)
    for name, (slope, top, colour) in roofs.items():
        ax.plot(at, np.minimum(top, at * slope) / 1e9, color=colour)
        ax.text(high, top / 1e9 * 1.1, name, ha="right", va="bottom", color=colour, fontsize=16)
    ax.set(xscale="log", yscale="log", xlim=(low, high))
    ax.set_xlabel("operations per byte of memory traffic")
    ax.set_ylabel("GFLOP/s")


with figure(
    alt="The roof of one core: a slope, then a level. The norm in one loop stands near the slope, "
    "in NumPy below it; four matrix products stand above one another, the library near the level."
) as ax:
    draw_roof(ax, {"one core of this machine": (bandwidth, peak, BLUE)}, 0.15, 1500)
    depth = np.array(depths)
    swept = 2 * depth * x.size / taken.min(0) / 1e9
    ax.plot(depth / 4, swept, "o", color=SKY)
    words = {"textcoords": "offset points", "fontsize": 16}
    ax.annotate("multiply-adds", (2, swept[3]), (-14, 22), ha="right", color=SKY, **words)
    for name, (intensity, measured) in points.items():
        colour = GREEN if "norm" in name else INK if name == "attention" else VERMILION
        before = name in ("loop nest", "loops swapped", "library")
        side, gap = ("right", -12) if before else ("left", 12)
        ax.plot(intensity, measured / 1e9, "s", color=colour)
        ax.annotate(
            name,
            (intensity, measured / 1e9),
            (gap, -24 if name == "library" else -6),
            ha=side,
            **words,
        )
    lowest = min(measured for _, measured in points.values())
    ax.set_ylim(lowest / 2e9, peak / 1e9 * 3)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The same two ceilings, a hundred times higher
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
#
# A **kernel** is what one thread does. 32 threads are a **warp** and go in step. A **block** of
# warps can meet at barriers. Blocks have no order.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A first kernel
#
# One thread per number of $c$. `cuda.grid(2)` says which. Numba compiles this for a GPU; here the
# emulator runs it, one thread after the other, and watches every access.


# %% slideshow={"slide_type": "-"}
@cuda.jit
def product(a, b, c):
    """Lanes of a warp stand side by side in a row of c."""
    column, row = cuda.grid(2)
    total = float32(0)
    for k in range(a.shape[1]):
        total += a[row, k] * b[k, column]
    c[row, column] = total


# %% slideshow={"slide_type": "subslide"}
side = 32
a, b = np.random.default_rng(4).standard_normal((2, side, side), dtype=np.float32)
c = np.empty_like(a)
good = emulate(product, (1, 8), (32, 4), a, b, c, schedules=ONCE, record=True)
print(good)
print(f"largest error: {np.abs(c - a.astype(np.float64) @ b).max():.1e}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Neighbours should read neighbours
#
# Device memory moves in **sectors** of 32 bytes, eight floats. Lanes that ask for the same sector
# in the same step share it.
#
# **Claim.** Swap two names in the first line, and a warp needs 33 sectors per step, not 5.
#
# **What would prove it wrong.** A ratio of sectors that is not within 2 % of 33 / 5.


# %% slideshow={"slide_type": "-"}
@cuda.jit
def product_swapped(a, b, c):
    """Lanes of a warp stand one below the other in a column of c."""
    row, column = cuda.grid(2)
    total = float32(0)
    for k in range(a.shape[1]):
        total += a[row, k] * b[k, column]
    c[row, column] = total


again = np.empty_like(c)
bad = emulate(product_swapped, (1, 8), (32, 4), a, b, again, schedules=ONCE, record=True)
assert (again == c).all()


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def by_lane(report):
    """Elements that warp 0 touches: argument -> array (steps, lanes)."""
    found = [{lane: [] for lane in range(32)} for _ in range(3)]
    for touch in report.touches:
        if touch.block == 0 and touch.thread < 32:
            found[touch.argument][touch.thread].append(touch.element)
    return [np.transpose(list(lanes.values())) for lanes in found]


warps = {"column, row = cuda.grid(2)": by_lane(good), "row, column = cuda.grid(2)": by_lane(bad)}


def what_a_warp_touches(step):
    """The three matrices, as one warp sees them in one step of its loop."""
    paint = ListedColormap(["#F3F5F9", "#F6C9A0", BLUE])
    with figure(
        2,
        3,
        alt="Side by side, the lanes share one sector of a and four of b; one below the other they "
        "need 32 sectors of a, of which most bytes are not used.",
    ) as axes:
        for line, (name, touched) in zip(axes, warps.items(), strict=True):
            for ax, letter, steps in zip(line, "abc", touched, strict=True):
                elements = steps[step % len(steps)]
                cells = np.zeros(side * side)
                sectors = np.unique(elements // 8)
                cells.reshape(-1, 8)[sectors] = 1
                cells[elements] = 2
                cells = cells.reshape(side, side)
                ax.imshow(cells, cmap=paint, vmin=0, vmax=2, aspect="auto")
                ax.set(xticks=[], yticks=[])
                ax.grid(visible=False)
                ax.spines[:].set_visible(False)
                plural = "sectors" if len(sectors) > 1 else "sector"
                ax.set_title(f"{letter}: {len(sectors)} {plural}", fontsize=17)
            line[0].set_ylabel(name.split(" =")[0])
        axes[1][1].set_xlabel("blue: asked for; orange: fetched with it, and not used")


interact(what_a_warp_touches, step=(0, side - 1, 1, 12))

# %% [markdown] slideshow={"slide_type": "notes"}
# Blue: what the 32 lanes of warp 0 ask for in one step. Orange: what is fetched with it and not
# used. Move the step: the upper warp walks along a row of a and down b, the lower one drags 32 rows
# of a behind it.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
claim(
    "lanes that stand side by side share the sectors they read",
    source="CUDA C++ Best Practices Guide, coalesced access",
    measure="sectors of device memory, names swapped / not swapped",
    expected="33 / 5 = 6.6 within 2 %",
    measured=[bad.sectors / good.sectors],
    holds=lambda ratio: abs(ratio / (33 / 5) - 1) < 0.02,
    exact=True,
    note=f"{bad.sectors:,} sectors against {good.sectors:,}; the results are equal to the last bit.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The same in CUDA C++
#
# What runs fast in this package is written so. The emulator compiles it as C++, with one fiber per
# CUDA thread. It needs a C++ compiler; where there is none, it says so and the lesson goes on.

# %% slideshow={"slide_type": "-"}
PRODUCT = """
extern "C" __global__ void product(const float *a, const float *b, float *c, int n) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    float total = 0;
    for (int k = 0; k < n; k++) total += a[row * n + k] * b[k * n + column];
    c[row * n + column] = total;
}
"""


try:
    compiler()
    sits_out = ""
except EmulatorError as why:
    sits_out = f"CUDA C++ sits this lesson out: {why}."


def in_cpp(run):
    """What run() gives; None, and a sentence, on a machine without a C++ compiler."""
    return print(sits_out) if sits_out else run()


counted = in_cpp(lambda: emulate((PRODUCT, "product"), (1, 8), (32, 4), a, b, c, side))
if counted:
    print(f"sectors in CUDA C++: {counted.sectors:,}; in Numba: {good.sectors:,}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Threads that meet
#
# Adding 256 numbers with 256 threads: a tree. In each round, half of the threads add what the other
# half has. `syncthreads` is the barrier: nobody goes on before all have come.


# %% slideshow={"slide_type": "-"}
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
# A helper copies a kernel without its $n$-th barrier. On a GPU such a kernel may well give right
# results, on the day it is tested. Here it gives a sentence.


# %% slideshow={"slide_type": "-"}
def without_barrier(kernel, number):
    """The kernel, one of its barriers taken out; None if it has no such barrier."""
    function = kernel.py_func
    parts = textwrap.dedent(inspect.getsource(function)).split("cuda.syncthreads()")
    if number + 1 >= len(parts):
        return None
    parts[number : number + 2] = [f"{parts[number]}pass{parts[number + 1]}"]
    text = "cuda.syncthreads()".join(parts)
    name = f"<{function.__name__} without barrier {number}>"
    linecache.cache[name] = len(text), None, text.splitlines(True), name
    names = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    exec(compile(text, name, "exec"), names)
    return names[function.__name__]


# %% slideshow={"slide_type": "subslide"}
broken = without_barrier(sum_tree, 1)
numbers = np.random.default_rng(5).standard_normal(512, dtype=np.float32)
sums = np.empty(2, np.float32)
try:
    emulate(broken, 2, 256, numbers, sums)
except EmulatorError as error:
    print(error, "\n")
    text, first = inspect.getsourcelines(broken.py_func)
    for at, line in enumerate(text, first):
        print("-->" if at == error.line else "   ", at, line, end="")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Shuffles: no memory at all
#
# The lanes of a warp can read each other's **registers**. Five rounds add 32 numbers, with no
# barrier and no shared memory. Only the warps have to meet, once.


# %% slideshow={"slide_type": "-"}
@cuda.jit
def sum_shuffle(x, out):
    """out[block] = sum of the block's 256 numbers."""
    partial = cuda.shared.array(8, float32)
    t = cuda.threadIdx.x
    value = x[cuda.grid(1)]
    lanes = 16
    while lanes > 0:
        value += cuda.shfl_xor_sync(0xFFFFFFFF, value, lanes)
        lanes //= 2
    if t % 32 == 0:
        partial[t // 32] = value
    cuda.syncthreads()
    if t == 0:
        total = float32(0)
        for warp in range(8):
            total += partial[warp]
        out[cuda.blockIdx.x] = total


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def whom_a_lane_hears(lane):
    """The butterfly: every lane's partners in five rounds, and those that reach one lane."""
    with figure(
        alt="Five rounds of exchange between 32 lanes; the lines that lead to one lane fan out to "
        "all 32 in the first round."
    ) as ax:
        heard = {lane}
        for level in range(5, 0, -1):
            partner = 16 >> (level - 1)
            for at in range(32):
                for other in (at, at ^ partner):
                    on = at in heard
                    colour, width = (BLUE, 3) if on else (FAINT, 1.2)
                    ax.plot(
                        [other, at], [level - 1, level], color=colour, linewidth=width, zorder=on
                    )
            heard |= {at ^ partner for at in heard}
        ax.set_xlabel("lane of the warp")
        ax.set_yticks(range(6), ["own number", *(f"exchange with ± {16 >> k}" for k in range(5))])
        ax.set_xticks(range(0, 32, 4))
        ax.grid(visible=False)
        ax.set_xlim(-0.7, 31.7)
        ax.plot([lane], [5], "o", color=VERMILION, markersize=14)
        ax.text(lane, 5.25, f"lane {lane} knows the sum of all", ha="center" if 5 < lane < 26 else "left" if lane <= 5 else "right", color=VERMILION)  # fmt: skip
        ax.set_ylim(-0.2, 5.7)


interact(whom_a_lane_hears, lane=(0, 31, 1, 11))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What it saves
#
# **Claim.** Shuffles leave one barrier of nine per block, and less than half of the trips to shared
# memory. **What would prove it wrong.** More barriers, more trips, or another sum.

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
tree = emulate(sum_tree, 2, 256, numbers, sums, schedules=ONCE)
by_tree = sums.copy()
shuffled = emulate(sum_shuffle, 2, 256, numbers, sums, schedules=ONCE)
assert np.allclose(by_tree, sums, atol=1e-4)
with figure(1, 2, alt="Barriers and shared-memory requests: fewer with shuffles.") as axes:
    ways = ["tree", "shuffles"]
    bars(ways, [tree.barriers / 2, shuffled.barriers / 2], ylabel="barriers per block", ax=axes[0])
    trips = [tree.shared_requests / 2, shuffled.shared_requests / 2]
    bars(ways, trips, ylabel="shared-memory requests per block", ax=axes[1])

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
claim(
    "shuffles replace barriers and shared memory in a reduction",
    source="this lesson",
    measure="per block of 256 threads: barriers, and shared-memory requests shuffles / tree",
    expected="barriers 9 with a tree, 1 with shuffles; requests below 0.5",
    measured={
        "barriers, tree": [tree.barriers // 2],
        "barriers, shuffles": [shuffled.barriers // 2],
        "requests": [shuffled.shared_requests / tree.shared_requests],
    },
    holds=lambda m: (
        (m["barriers, tree"], m["barriers, shuffles"]) == (9, 1) and m["requests"] < 0.5
    ),
    exact=True,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Thirty-two banks
#
# Shared memory has 32 **banks**, each four bytes wide. A warp is served in one round if its lanes
# want 32 different banks, and in 32 rounds if they all want one.
#
# To turn a matrix on its side, a block reads a tile along rows and writes it along rows: in between
# it must read the tile **down a column**.


# %% slideshow={"slide_type": "subslide"}
def transposer(pad):
    """A kernel whose tile has `pad` unused columns on its right."""
    width = 32 + pad

    @cuda.jit
    def transpose(x, y):
        """y = x^T by tiles of 32 x 32; block (32, 8)."""
        tile = cuda.shared.array((32, width), float32)
        i, j = cuda.threadIdx.x, cuda.threadIdx.y
        row, column = 32 * cuda.blockIdx.y, 32 * cuda.blockIdx.x
        for k in range(j, 32, 8):
            tile[k, i] = x[row + k, column + i]
        cuda.syncthreads()
        for k in range(j, 32, 8):
            y[column + k, row + i] = tile[i, k]

    return transpose


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
grid_of_numbers = np.random.default_rng(6).standard_normal((32, 32), dtype=np.float32)
turned = np.empty_like(grid_of_numbers)


def turn(pad):
    """The report of one tile turned on its side."""
    report = emulate(
        transposer(pad), 1, (32, 8), grid_of_numbers, turned, schedules=ONCE, record=True
    )
    assert (turned == grid_of_numbers.T).all()
    return report


def banks(pad):
    """The tile, coloured by bank; the column that one warp reads in one request."""
    report = turn(pad)
    asked = [t.element // 4 for t in report.touches if t.kind == "read" and t.argument < 0]
    asked = asked[: 32 * 4 : 4]  # the first request of warp 0: lanes read four numbers each
    width = 32 + pad
    hit = np.bincount(np.array(asked) % 32, minlength=32)
    with figure(
        1,
        2,
        alt="Left: a tile in shared memory coloured by bank, with the column a warp reads. Right: "
        "how many of its 32 lanes want each bank; with one column of padding each bank is "
        "wanted once.",
    ) as (left, right):
        tile = (np.arange(32)[:, None] * width + np.arange(width)) % 32
        left.imshow(tile, cmap="twilight", alpha=0.65, aspect="auto")
        down = np.array(asked)
        left.plot(down % width, down // width, "s", color=INK, markersize=7)
        if pad:
            left.axvspan(31.5, width - 0.5, facecolor="white", alpha=0.55, hatch="//")
        left.grid(visible=False)
        left.set_xlabel("column of the tile")
        left.set_ylabel("row")
        left.set_title("colour: bank")
        bars(range(32), hit, xlabel="bank", ylabel="lanes that want it", numbers=None, ax=right)
        right.set_xticks(range(0, 32, 8))
        right.set_ylim(0, 33)
        right.set_title(f"{report.bank_conflicts:,} extra rounds per tile")


interact(banks, pad=(0, 8, 1, 0))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## One unused column
#
# **Claim.** One column of padding removes every bank conflict of a transpose; two columns do not.
#
# **What would prove it wrong.** A round too many with one column, or none with two.

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
extra = {pad: turn(pad).bank_conflicts for pad in range(9)}
bars(
    list(extra),
    list(extra.values()),
    xlabel="columns of padding",
    ylabel="extra rounds for a tile of 32 x 32",
    numbers="{:.0f}",
    alt="Bank conflicts by padding: 992 without, none for odd paddings, some for even ones.",
)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
claim(
    "one unused column frees a transpose of bank conflicts",
    source="Harris, An Efficient Matrix Transpose in CUDA C/C++, 2013",
    measure="extra rounds of shared memory for one tile, by columns of padding",
    expected="31 for each of 32 requests without; none with 1; some with 2",
    measured={f"{pad} columns" if pad != 1 else "1 column": [extra[pad]] for pad in (0, 1, 2)},
    holds=lambda m: m["0 columns"] == 31 * 32 and m["1 column"] == 0 < m["2 columns"],
    exact=True,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Tiles: fetch once, use often
#
# In the first kernel every number of $a$ is fetched for every column of $c$. A block that works on
# a square of $c$ can fetch a square of $a$ and of $b$ **once**, keep it in shared memory, and let
# each number serve a whole row or column of threads.


# %% slideshow={"slide_type": "subslide"}
def tiled(side):
    """A kernel for blocks of side x side threads."""

    @cuda.jit
    def product_tiled(a, b, c):
        """c = a b; sizes are multiples of the side."""
        left = cuda.shared.array((side, side), float32)
        right = cuda.shared.array((side, side), float32)
        x, y = cuda.threadIdx.x, cuda.threadIdx.y
        column, row = cuda.grid(2)
        total = float32(0)
        for first in range(0, a.shape[1], side):
            left[y, x] = a[row, first + x]
            right[y, x] = b[first + y, column]
            cuda.syncthreads()
            for k in range(side):
                total += left[y, k] * right[k, x]
            cuda.syncthreads()
        c[row, column] = total

    return product_tiled


# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Counted
#
# **Claim.** Tiles of side $s$ divide the numbers fetched by $s$: $2 n^3$ become $2 n^3 / s$.
#
# **What would prove it wrong.** One number more or less, for any side.


# %% slideshow={"slide_type": "-"}
def fetched(report):
    """Numbers that all threads together read from device memory."""
    return sum(t.kind == "read" and t.argument >= 0 for t in report.touches)


reports = {"no tiles": good}
for s in (8, 16, 32):
    launch = (side // s, side // s), (s, s)
    reports[f"side {s}"] = emulate(tiled(s), *launch, a, b, again, schedules=ONCE, record=True)
    assert np.allclose(again, c, atol=1e-4)
reads = {name: fetched(report) for name, report in reports.items()}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
bars(
    list(reads),
    list(reads.values()),
    ylabel=f"numbers read, {side} x {side}",
    numbers="{:,.0f}",
    yscale="log",
    horizontal=False,
    alt="Numbers read from device memory fall in proportion to the side of the tile.",
)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
claim(
    "tiles of side s divide the traffic of a matrix product by s",
    source="Lam, Rothberg, Wolf, ASPLOS 1991",
    measure=f"numbers read from device memory, {side} x {side}",
    expected="2 n^3 / side = 65,536 / side",
    measured={name: [count] for name, count in list(reads.items())[1:]},
    holds=lambda m: all(count * int(name.split()[1]) == 2 * side**3 for name, count in m.items()),
    exact=True,
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What a block fetches
#
# One block of 8 x 8 threads, for one tile of $c$: in each phase, one tile of $a$ and one of $b$.


# %% slideshow={"slide_type": "-"} tags=["hide-input"]
def what_a_block_fetches(phase):
    """From the record: what block 6 reads of a and b until and in this phase, and writes of c."""
    paint = ListedColormap(["#F3F5F9", "#BBD9EE", BLUE])
    alt = "Of a row of tiles of a and a column of tiles of b, one after the other, one tile of c."
    with figure(1, 3, alt=alt) as axes:
        for argument, (ax, letter) in enumerate(zip(axes, "abc", strict=True)):
            cells = np.zeros(side * side)
            seen = {}
            for touch in reports["side 8"].touches:
                if touch.block == 6 and touch.argument == argument:
                    turn = seen[touch.thread] = seen.get(touch.thread, -1) + 1
                    cells[touch.element] = 1 + (turn == phase or letter == "c")
            ax.imshow(cells.reshape(side, side), cmap=paint, vmin=0, vmax=2)
            ax.set_xticks(np.arange(-0.5, side, 8), [])
            ax.set_yticks(np.arange(-0.5, side, 8), [])
            ax.grid(color="white", linewidth=2)
            ax.tick_params(length=0)
            ax.spines[:].set_visible(False)
            ax.set_title(letter)


interact(what_a_block_fetches, phase=(0, 3, 1, 1))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## How large must a tile be?
#
# Side $s$ gives $s / 4$ operations per byte in float32, $s / 2$ in bfloat16. Move the side until the
# dots reach the two ridges of an H100, and see what the tiles take of its 228 kB.


# %% slideshow={"slide_type": "-"} tags=["hide-input"]
H100 = {
    "tensor cores, bfloat16": (3.35e12, 989e12, VERMILION),
    "float32": (3.35e12, 67e12, BLUE),
}


def tile_on_an_h100(tile):
    """What a tile of this side allows, by the published ceilings."""
    with figure(
        alt="Two roofs of an H100; dots show what tiles of the chosen side allow: in float32 the "
        "level is reached at side 80, on tensor cores only beyond 590."
    ) as ax:
        draw_roof(ax, H100, 0.4, 1000)
        for (slope, top, colour), size in zip(H100.values(), (2, 4), strict=True):
            intensity = tile / size
            reached = min(top, intensity * slope)
            ax.plot(intensity, reached / 1e9, "o", color=colour, markersize=16)
            ax.annotate(
                f"{reached / top:.0%}, {2 * tile * tile * size / 1e3:,.0f} kB",
                (intensity, reached / 1e9),
                (16, -26),
                textcoords="offset points",
                color=colour,
                fontsize=17,
            )
        ax.set_title(f"tiles of side {tile}: share of the peak, shared memory for two tiles")
        ax.set_ylim(500, 4e6)


interact(tile_on_an_h100, tile=(8, 256, 8, 128))

# %% [markdown] slideshow={"slide_type": "notes"}
# Tiles of 128 x 128 in bfloat16 are what libraries use. They reach a fifth of the tensor cores' peak
# by this count alone; the rest comes from the L2 cache, where the tiles of neighbouring blocks are
# found again, and from a second level of tiles in registers.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Every barrier, once
#
# Six kernels of this lesson and of the package, each barrier left out in turn. Three orders of
# threads are tried without watching, as a test of results would; then one is watched.
#
# **Claim.** Right results do not prove a kernel right. Watching finds every missing barrier.
#
# **What would prove it wrong.** One barrier that can be left out without a word; or none whose
# absence leaves the results right.

# %% slideshow={"slide_type": "-"}
from minilm.kernels.attention import readable
from minilm.kernels.softmax import cuda as softmax_cuda

scores = np.random.default_rng(7).standard_normal((2, 96), dtype=np.float32)
small = np.random.default_rng(8).standard_normal((3, 16, 16), dtype=np.float32)
qkv = np.random.default_rng(9).standard_normal((3, 1, 32, 16), dtype=np.float32)
launches = [
    (sum_tree, 2, 256, numbers, sums),
    (sum_shuffle, 2, 256, numbers, sums),
    (transposer(1), 1, (32, 8), grid_of_numbers, turned),
    (tiled(8), (2, 2), (8, 8), *small),
    (softmax_cuda.softmax_rows, 2, softmax_cuda.THREADS, scores, np.empty_like(scores)),
    (readable.attention_rows, (2, 1), 16, *qkv, np.empty((1, 32, 16), np.float32),
     np.empty((1, 32), np.float32), 0.25, False),
]  # fmt: skip

# %% slideshow={"slide_type": "subslide"}
ORDERS = ("lockstep", "first warp ahead", "last warp ahead")
tried = []  # kernel, orders in which the results are right all the same, what watching says
for kernel, *launch in launches:
    emulate(kernel, *launch)  # as it is: not a word
    arrays = [array for array in launch if isinstance(array, np.ndarray)]
    right, number = [array.copy() for array in arrays], 0
    while (broken := without_barrier(kernel, number)) is not None:
        number, lucky, said = number + 1, 0, ""
        for order in ORDERS:
            emulate(broken, *launch, trace=False, schedules=(order,))
            lucky += all(np.allclose(x, y, atol=1e-6) for x, y in zip(arrays, right, strict=True))
        try:
            emulate(broken, *launch, schedules=ONCE)
        except EmulatorError as error:
            said = str(error).split(": ", 1)[1]
        tried.append((f"{kernel.py_func.__name__}, barrier {number}", lucky, said))

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
print("left out                    right in   watched")
for name, lucky, said in tried:
    print(f"{name:<28}{lucky} of 3     {textwrap.shorten(said, 54, placeholder=' ...')}")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
claim(
    "right results do not prove a kernel right; watching finds every missing barrier",
    source="this lesson",
    measure="barriers left out, found, and of those with right results in some order of threads",
    expected="all found; some right by luck",
    measured={
        "left out": [len(tried)],
        "found": [sum(said != "" for _, _, said in tried)],
        "right by luck": [sum(lucky > 0 for _, lucky, _ in tried)],
    },
    holds=lambda m: m["found"] == m["left out"] and m["right by luck"] > 0,
    partly=lambda m: m["found"] == m["left out"],
    exact=True,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Softmax in two readings
#
# $$y_j = \frac{e^{x_j - m}}{\sum_i e^{x_i - m}}, \qquad m = \max_i x_i$$
#
# The textbook reads a row three times: for $m$, for the sum, for the quotient. But a sum taken with
# an old maximum can be mended when a higher one turns up:
#
# $$s \leftarrow s \, e^{m - m'} + e^{x - m'}, \qquad m' = \max(m, x)$$
#
# <small>Milakov and Gimelshein, arXiv 1805.02867</small>

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
row = np.random.default_rng(11).standard_normal(48) + np.linspace(-2, 2, 48)
highest = np.maximum.accumulate(row)
online = [np.exp(row[: k + 1] - highest[k]).sum() for k in range(len(row))]
known = np.cumsum(np.exp(row - row.max()))
with figure(
    1,
    2,
    alt="Left: a row of numbers and its maximum so far, a staircase. Right: the running sum falls "
    "at each new maximum and ends where the sum with the final maximum ends.",
) as (left, right):
    left.bar(range(48), row, color=SKY)
    left.step(range(48), highest, where="post", color=VERMILION)
    left.set_xlabel("number read")
    left.set_title("the maximum so far")
    lines(
        None,
        {"online": online, "two readings": known},
        xlabel="number read",
        title="the sum so far",
        markers=False,
        ax=right,
    )

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The kernel
#
# One warp per row. Each lane carries a maximum and a sum; shuffles join them by the same rule.


# %% slideshow={"slide_type": "-"}
@cuda.jit
def softmax_online(x, y):
    row, lane = cuda.blockIdx.x, cuda.threadIdx.x
    top, total = float32(-math.inf), float32(0)
    for j in range(lane, x.shape[1], 32):
        value = x[row, j]
        higher = max(top, value)
        total = total * math.exp(top - higher) + math.exp(value - higher)
        top = higher
    lanes = 16
    while lanes > 0:
        other = cuda.shfl_xor_sync(0xFFFFFFFF, top, lanes)
        theirs = cuda.shfl_xor_sync(0xFFFFFFFF, total, lanes)
        higher = max(top, other)
        total = total * math.exp(top - higher) + theirs * math.exp(other - higher)
        top = higher
        lanes //= 2
    for j in range(lane, x.shape[1], 32):
        y[row, j] = math.exp(x[row, j] - top) / total


# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Three trips instead of four
#
# **Claim.** Online softmax moves three quarters of what the three readings move.
#
# **What would prove it wrong.** Another ratio than 3 / 4, or another result.

# %% slideshow={"slide_type": "-"}
wide = np.random.default_rng(10).standard_normal((4, 256), dtype=np.float32)
y = np.empty_like(wide)
right = kernels.softmax.tier("reference")(wide.astype(np.float64))
trips = {}
for kernel, threads in ((softmax_cuda.softmax_rows, softmax_cuda.THREADS), (softmax_online, 32)):
    report = emulate(kernel, 4, threads, wide, y, schedules=ONCE)
    trips[report.kernel] = report
    print(f"{report.kernel:<16}{report.sectors:>6} sectors, {report.barriers} barriers, "
          f"error {np.abs(y - right).max():.0e}")  # fmt: skip

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
claim(
    "online softmax moves three quarters of the bytes",
    source="Milakov and Gimelshein, arXiv 1805.02867",
    measure="sectors of device memory, online / three readings",
    expected="0.75",
    measured=[trips["softmax_online"].sectors / trips["softmax_rows"].sectors],
    holds=lambda ratio: ratio == 0.75,
    exact=True,
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The ladder of the package
#
# Three rungs in CUDA C++, `minilm/kernels/softmax/cuda.cu`: one thread per row; a tree; online, with
# shuffles and 16 bytes per request.

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
from minilm.kernels.cuda_tools.launch import HERE, emulation

ladder = np.random.default_rng(12).standard_normal((32, 256), dtype=np.float32)
rung_out = np.empty_like(ladder)


def climb():
    """The reports of the three rungs."""
    path, options = HERE / "softmax" / "cuda.cu", {"defines": {"DTYPE": "float"}}
    return {
        "one thread per row": emulate((path, "softmax_naive"), 1, 32, ladder, rung_out, 32, 256, **options),
        "tree": emulate((path, "softmax_shared"), 32, 128, ladder, rung_out, 256, shared=512, **options),
        "online": emulate((path, "softmax"), 32, 128, ladder, rung_out, 256, **options),
    }  # fmt: skip


rungs = in_cpp(climb)
if rungs:
    with figure(1, 2, alt="Sectors and requests of three softmax kernels fall by rung.") as axes:
        moved = {
            "moved": [r.sectors for r in rungs.values()],
            "needed": [r.ideal_sectors for r in rungs.values()],
        }
        bars(["thread", "tree", "online"], moved, ylabel="sectors", numbers=None, ax=axes[0])
        requests = [r.global_reads + r.global_writes for r in rungs.values()]
        bars(
            ["thread", "tree", "online"], requests, ylabel="requests", numbers="{:,.0f}", ax=axes[1]
        )

# %% [markdown] slideshow={"slide_type": "slide"}
# ## FlashAttention
#
# Attention in three kernels writes $T \times T$ scores, reads them for the softmax, writes the
# weights, reads them for the second product. All that traffic is for numbers nobody asked for.
#
# FlashAttention lets a block keep some queries on the chip. Keys and values stream past. The online
# softmax mends the **output** too whenever a higher score turns up. No score ever leaves the chip.
#
# <small>Dao et al., arXiv 2205.14135; Dao, arXiv 2307.08691</small>

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What is on the chip
#
# Four blocks of 16 queries, each with its own rows. Dark: on the chip at this moment. Pale: done
# and gone. The whole of the scores exists at no time.


# %% slideshow={"slide_type": "-"} tags=["hide-input"]
def on_the_chip(moment):
    """Queries, keys, scores and output of 64 tokens; moment 0 to 15 counts blocks, then tiles."""
    mine, tile = divmod(moment, 4)
    own, now = slice(16 * mine, 16 * mine + 16), slice(16 * tile, 16 * tile + 16)
    queries, keys, scores = np.zeros((64, 12)), np.zeros((12, 64)), np.zeros((64, 64))
    queries[: own.start], queries[own] = 1, 2
    keys[:, : now.start], keys[:, now] = 1, 2
    scores[: own.start], scores[own, : now.start], scores[own, now] = 1, 1, 2
    sheet = np.full((80, 104), np.nan)
    sheet[16:, 8:20] = sheet[16:, 92:] = queries  # the output has the queries' rows
    sheet[:12, 24:88], sheet[16:, 24:88] = keys, scores
    alt = "One tile of scores is on the chip, with its queries, its keys and its rows of output."
    with figure(alt=alt) as ax:
        ax.imshow(sheet, cmap=ListedColormap(["#EDF0F5", "#BBD9EE", BLUE]), vmin=0, vmax=2)
        ax.axis("off")
        ax.set_xlim(-40, 145)
        words = {"ha": "center", "va": "center"}
        ax.text(1, 48, "queries", rotation=90, **words)
        ax.text(111, 48, "output", rotation=270, **words)
        ax.text(22, 6, "keys, values", ha="right", va="center")
        ax.text(56, 77, "scores", **words)


interact(on_the_chip, moment=(0, 15, 1, 6))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## FlashAttention, to read

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
source(readable.attention_rows)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Count the traffic
#
# **Claim.** For $T$ queries of size $D$, with $r$ queries per block, FlashAttention moves
# $2TD + 2TD \cdot T / r$ numbers, and no $T^2$ stands alone. Three kernels move $8T^2 + TD$ here.
#
# **What would prove it wrong.** Any count that is not the formula's.


# %% slideshow={"slide_type": "-"}
def with_constants(kernel, **constants):
    """The same kernel, written for other sizes."""
    function = kernel.py_func
    return types.FunctionType(function.__code__, {**function.__globals__, **constants})


def moved(kernel, blocks, threads, *arguments):
    """Numbers that a launch reads from and writes to device memory."""
    report = emulate(kernel, blocks, threads, *arguments, schedules=ONCE, record=True)
    return sum(t.argument >= 0 for t in report.touches)


# %% slideshow={"slide_type": "subslide"}
T, D = 32, 8
q, k, v = np.random.default_rng(13).standard_normal((3, T, D), dtype=np.float32)
keys = np.ascontiguousarray(k.T) / np.float32(math.sqrt(D))
s, p, out = np.empty((T, T), np.float32), np.empty((T, T), np.float32), np.empty_like(q)
counts = {"three kernels": moved(tiled(8), (T // 8, T // 8), (8, 8), q, keys, s)}
counts["three kernels"] += moved(softmax_online, T, 32, s, p)
counts["three kernels"] += moved(tiled(8), (1, T // 8), (8, 8), p, v, out)
formulas = {"three kernels": 8 * T * T + T * D}
for r in (8, 16, 32):
    flash, again, lse = with_constants(readable.attention_rows, TILE=r, HEAD=D), out.copy(), s[:1]
    arguments = (q[None], k[None], v[None], again[None], lse, 1 / math.sqrt(D), False)
    counts[f"flash, r = {r}"] = moved(flash, (T // r, 1), r, *arguments) - T  # lse apart
    formulas[f"flash, r = {r}"] = 2 * T * D + 2 * T * D * T // r
    assert np.allclose(again, out, atol=1e-5)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
bars(
    list(counts),
    list(counts.values()),
    ylabel=f"numbers moved, T = {T}, D = {D}",
    numbers="{:,.0f}",
    horizontal=False,
    alt="Three kernels move most; FlashAttention moves less, and less with more rows per block.",
)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
claim(
    "FlashAttention's traffic falls with the queries that a block keeps; no score leaves the chip",
    source="Dao et al., arXiv 2205.14135, theorem 2",
    measure=f"numbers moved, T = {T}, D = {D}, by queries per block",
    expected="three kernels 8 T^2 + T D, flash 2 T D (1 + T / r)",
    measured={name.removeprefix("flash, "): [count] for name, count in counts.items()},
    holds=lambda m: list(m.values()) == list(formulas.values()),
    exact=True,
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The kernel that trains models
#
# `minilm/kernels/attention/cuda.cu`: 128 queries per block, head size 64, float16, tensor cores,
# keys and values fetched in the background. Counted in the same emulator:


# %% slideshow={"slide_type": "-"} tags=["hide-input"]
from minilm.kernels.attention import cuda as flash_cuda


def real_flash(length):
    """The report of the package's FlashAttention on one head."""
    shape = (3, 1, 1, length, 64)
    heads = np.random.default_rng(14).standard_normal(shape, dtype=np.float32).astype(np.float16)
    reports = []
    with emulation(trace=True, schedules=ONCE, reports=reports):
        flash_cuda.attention(*heads, *settings)
    return reports[0]


lengths = [128, 256, 384]
real = in_cpp(lambda: {length: real_flash(length) for length in lengths})
if real:
    by_formula = [2 * n * 64 * 2 * (1 + math.ceil(n / 128)) + 4 * n for n in lengths]
    kilobytes = {
        "moved": [32 * report.sectors / 1e3 for report in real.values()],
        "scores alone": [4 * n * n * 2 / 1e3 for n in lengths],
    }
    bars(
        lengths,
        kilobytes,
        xlabel="tokens",
        ylabel="kB of device memory",
        numbers="{:,.0f}",
        alt="What the kernel moves grows slowly; what scores alone would move grows fourfold from "
        "128 to 256 tokens.",
    )

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
if real:
    claim(
        "the package's FlashAttention moves what the formula says, and has no bank conflict",
        source="Dao, arXiv 2307.08691, algorithm 1",
        measure="bytes moved / formula, and bank conflicts, for 128, 256 and 384 tokens",
        expected="1 within 0.1 %, and 0",
        measured={
            "bytes / formula": [
                32 * report.sectors / bytes_moved
                for report, bytes_moved in zip(real.values(), by_formula, strict=True)
            ],
            "conflicts": [report.bank_conflicts for report in real.values()],
        },
        holds=lambda m: abs(m["bytes / formula"] - 1) < 1e-3 and m["conflicts"] == 0,
        exact=True,
    )

# %% [markdown] slideshow={"slide_type": "notes"}
# "Scores alone" is what writing and reading T x T scores and weights in float16 costs, before any
# query, key or value is read. Keys that several blocks fetch often come from the L2 cache, so on a
# GPU the gain is larger than these counts.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Tensor cores: a warp multiplies
#
# `mma.sync` multiplies a 16 x 16 tile by a 16 x 8 tile, **in registers**: 4,096 operations in one
# instruction. No thread owns a row. The numbers are dealt out over the 32 lanes in a fixed pattern:
# each lane holds 8 of $a$, 4 of $b$ and 4 of $c$.


# %% slideshow={"slide_type": "-"}
def fragment(lane):
    """(row, column) of the numbers that a lane holds of a, b and c; PTX ISA, mma.m16n8k16."""
    row, pair = lane // 4, lane % 4 * 2
    a = [(row + 8 * (i % 2), pair + 8 * (i // 2) + h) for i in range(4) for h in range(2)]
    b = [(pair + 8 * i + h, row) for i in range(2) for h in range(2)]
    c = [(row + 8 * i, pair + h) for i in range(2) for h in range(2)]
    return a, b, c


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def who_holds_what(lane):
    """The three tiles, coloured by which of four lanes; one lane's numbers by register."""
    pale = ListedColormap(["#DCEBF6", "#FBE3D0", "#D9F0E8", "#F3E1EE"])
    with figure(
        1,
        3,
        alt="Tiles a, b and c of a tensor-core product, coloured by lane; the numbers of one lane "
        "lie in pairs, eight in a, four in b, four in c.",
    ) as axes:
        for ax, name, shape, per in zip(
            axes, "abc", ((16, 16), (16, 8), (16, 8)), (2, 2, 1), strict=True
        ):
            cells, which = np.zeros(shape), "abc".index(name)
            for other in range(32):
                for place in fragment(other)[which]:
                    cells[place] = other % 4
            ax.imshow(cells, cmap=pale)
            for i, (row, column) in enumerate(fragment(lane)[which]):
                box = (column - 0.5, row - 0.5)
                ax.add_patch(Rectangle(box, 1, 1, color=BLUE))
                text = f"{i // per}"
                ax.text(column, row, text, ha="center", va="center", color="white", fontsize=13)
            ax.set_xticks(np.arange(-0.5, shape[1]), [])
            ax.set_yticks(np.arange(-0.5, shape[0]), [])
            ax.grid(color="white", linewidth=1.5)
            ax.tick_params(length=0)
            ax.spines[:].set_visible(False)
            ax.set_title(f"{name}: {shape[0]} x {shape[1]}")
        axes[0].set_xlabel(f"lane {lane}; number: its register")


interact(who_holds_what, lane=(0, 31, 1, 13))

# %% [markdown] slideshow={"slide_type": "notes"}
# Two float16 numbers share a register: a takes four registers, b two, c four floats. A lane's row of
# c is the row it holds of a: that is why FlashAttention can use the result of one product as the
# left side of the next without leaving the registers.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## One instruction, watched
#
# **Claim.** Loaded by this pattern, one instruction gives the product.
#
# **What would prove it wrong.** A lane that touches any other number; a result that is off by more
# than the rounding of float16 products in float32.

# %% slideshow={"slide_type": "-"}
ONE_MMA = """
#include "tensor_core.cuh"

extern "C" __global__ void one_mma(const T *a, const T *b, float *c) {
    int row = threadIdx.x / 4, pair = threadIdx.x % 4 * 2;
    unsigned left[4], right[2];
    for (int i = 0; i < 4; i++) {
        const T *at = a + (row + 8 * (i % 2)) * 16 + pair + 8 * (i / 2);
        left[i] = pack2(to_float(at[0]), to_float(at[1]));
    }
    for (int i = 0; i < 2; i++) {
        const T *at = b + (pair + 8 * i) * 8 + row;
        right[i] = pack2(to_float(at[0]), to_float(at[8]));
    }
    float sum[4] = {0, 0, 0, 0};
    mma(sum, left, right[0], right[1]);
    for (int i = 0; i < 4; i++) c[(row + 8 * (i / 2)) * 8 + pair + i % 2] = sum[i];
}
"""

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
ha = np.random.default_rng(15).standard_normal((16, 16)).astype(np.float16)
hb = np.random.default_rng(16).standard_normal((16, 8)).astype(np.float16)
hc = np.empty((16, 8), np.float32)
options = {"defines": {"DTYPE": "__half"}, "record": True}
watched = in_cpp(lambda: emulate((ONE_MMA, "one_mma"), 1, 32, ha, hb, hc, **options))
if watched:
    strays = 0
    for touch in watched.touches:
        width = (16, 8, 8)[touch.argument]
        strays += divmod(touch.element, width) not in fragment(touch.thread)[touch.argument]
    claim(
        "one tensor-core instruction multiplies what 32 lanes hold in the pattern of the PTX ISA",
        source="PTX ISA, mma.m16n8k16",
        measure="numbers touched outside the pattern; largest error against float64",
        expected="error below 1e-5, none outside",
        measured={
            "outside": [strays],
            "error": [np.abs(hc - ha.astype(np.float64) @ hb.astype(np.float64)).max()],
        },
        holds=lambda m: m["outside"] == 0 and m["error"] < 1e-5,
        exact=True,
        note=f"{len(watched.touches)} touches by 32 lanes.",
    )

# %% [markdown] slideshow={"slide_type": "slide"}
# ## And on a real GPU?
#
# Counts say what a kernel moves, not how long it takes. Where this machine has a GPU, the cell below
# runs the same kernels on it: those of this lesson, compiled by Numba, and those of the package.

# %% slideshow={"slide_type": "-"}
try:
    gpu = backend.cupy()
    print("GPU found:", gpu.cuda.runtime.getDeviceProperties(0)["name"].decode())
except minilm.InputError as why:
    gpu = None
    print(f"No kernel is timed here: {why}.")


# %% slideshow={"slide_type": "-"} tags=["hide-input"]
def time_on(gpu, n=2048, rounds=3):
    """TFLOP/s of matrix products and of attention, one number per round."""
    from minilm.bench.gpu import Bench

    bench = Bench(gpu, None, 1)
    a, b = bench.array(n, n, dtype=np.float32), bench.array(n, n, dtype=np.float32)
    half_a, half_b, out = bench.array(n, n), bench.array(n, n), gpu.empty_like(a)
    q, k, v = (bench.array(8, 16, n, 64) for _ in range(3))
    launch, by_tiles = ((n // 32, n // 32), (32, 32)), tiled(32)
    calls = {  # name -> operations, what is called
        "names swapped": (2 * n**3, lambda: product_swapped[launch](a, b, out)),
        "first kernel": (2 * n**3, lambda: product[launch](a, b, out)),
        "tiles of 32": (2 * n**3, lambda: by_tiles[launch](a, b, out)),
        "library, float32": (2 * n**3, lambda: a @ b),
        "library, bfloat16": (2 * n**3, lambda: half_a @ half_b),
        "FlashAttention": (4 * q.size * n, lambda: flash_cuda.attention(q, k, v, *settings)),
    }
    return {
        name: [work / bench.time(call, repeats=5) / 1e12 for _ in range(rounds)]
        for name, (work, call) in calls.items()
    }


if gpu is not None:
    on_gpu = time_on(gpu)
    bars(
        list(on_gpu),
        np.transpose(list(on_gpu.values())),
        ylabel="TFLOP/s",
        numbers="{:.3g}",
        alt="Speed of matrix products and attention on this GPU, from swapped names to libraries.",
    )
    claim(
        "what the emulator counts decides the order of kernels on a GPU",
        source="this lesson",
        measure="TFLOP/s: names swapped, first kernel, tiles of 32",
        expected="in this order",
        measured={name: on_gpu[name] for name in ("names swapped", "first kernel", "tiles of 32")},
        holds=lambda m: m["names swapped"] < m["first kernel"] < m["tiles of 32"],
    )

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What to keep
#
# 1. Two ceilings bound every program. Left of the ridge, only moving less makes it faster.
# 2. Let neighbours read neighbours, on the CPU and on a GPU.
# 3. Fetch once, use often: tiles, shared memory, registers.
# 4. What can be mended need not be known in advance: online softmax, FlashAttention.
# 5. A right result proves nothing about a parallel program. Watch it.
#
# Now write them yourself: `exercises/00b_kernels.ipynb`.
