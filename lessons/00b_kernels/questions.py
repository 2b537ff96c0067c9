# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Kernels: seven programs for a graphics card"
# ---

# %% [markdown]
# # Seven kernels for a graphics card
#
# Each question asks for one CUDA kernel, written in Python for Numba. The stars say how hard it is,
# from ★ to ★★★; the first takes two minutes. The hints below each are folded away: open the next
# one only when you are stuck. Everything asked for stands in [the
# lesson](../lessons/00b_kernels.ipynb). You need no graphics card: `check("...")` runs your kernel
# in the emulator, in several orders of the threads. It finds races, indices out of bounds and
# missing barriers, and names the thread and the line. And it **counts**: right answers earn a part
# of the points, cheap ones all.
#
# | count | what it is | source |
# |---|---|---|
# | sector | 32 bytes of device memory, the least that moves; 8 neighbouring float32 share one | CUDA C++ Best Practices Guide, "Coalesced Access to Global Memory" |
# | bank conflict | two lanes of a warp want different words of one of the 32 banks; word i lies in bank i mod 32 | the same, "Shared Memory" |
# | barrier | `cuda.syncthreads()`: all threads of the block wait for the last | CUDA C++ Programming Guide |
#
# All arrays are float32. Sizes are odd on purpose: guard every index.

# %%
import math

import numpy as np
from numba import cuda, float32

import minilm
from minilm.course import bars, check, heatmap, payoff
from minilm.emulator import emulate
from minilm.models import Transformer, gpt2, llama

ALL = 0xFFFFFFFF  # the mask of a shuffle in which all 32 lanes take part

# %% [markdown]
# ## 1. Which number is mine? (★, 2 minutes)
#
# `scaled(x, y, factor)`: y (N,) becomes factor times x (N,). Launched with ceil(N / 64) blocks of
# **64 threads**, one thread for each number; `cuda.grid(1)` tells a thread its number in the whole
# grid. The last block may have threads too many: they must do nothing. About 3 lines.
#
# By hand: N = 100 takes 2 blocks, 128 threads. Thread 63 of block 1 is number 64 + 63 = 127. There
# is no x[127]: threads 100 to 127 do nothing.
#
# <details><summary>Hint 1</summary><code>i = cuda.grid(1)</code> is the number of this thread.</details>
# <details><summary>Hint 2</summary>Guard it: <code>if i &lt; x.size:</code>.</details>
# <details><summary>Hint 3</summary>One line is left: <code>y[i]</code> from <code>x[i]</code>.</details>


# %%
@cuda.jit
def scaled(x, y, factor):
    """y (N,) = factor * x (N,); blocks of 64 threads, one number per thread."""
    ### BEGIN SOLUTION
    i = cuda.grid(1)
    if i < x.size:
        y[i] = factor * x[i]
    ### END SOLUTION


# %%
check("scaled")


# %% tags=["payoff"]
@payoff("scaled")
def who_wrote_what():
    """Each cell is a thread, its number the element that it wrote; white threads had none."""
    x = np.ones(100, np.float32)
    report = emulate(scaled, 2, 64, x, np.empty_like(x), 3.0, record=True)
    wrote = np.full((8, 16), np.nan)
    for touch in report.touches:
        if touch.argument == 1:
            wrote.flat[64 * touch.block + touch.thread] = touch.element
    heatmap(
        wrote,
        ylabels=[f"{16 * row} to {16 * row + 15}" for row in range(8)],
        ylabel="threads",
        numbers="{:.0f}",
        unit="element",
        alt="128 threads in rows of 16; each wrote the element of its own number, the last 28 none.",
    )
    print(report)


# %% [markdown]
# ## 2. A transpose without bank conflicts (★★, 15 minutes)
#
# `transpose_tiles(x, y)`: y (C, R) becomes x (R, C) transposed. Launched with a grid of (ceil(C /
# 32), ceil(R / 32)) blocks of **(32, 8) threads**: block (i, j) takes the tile whose first column
# is 32 i and whose first row is 32 j. A warp is one row of 32 threads.
#
# A warp that reads a row of x and writes a column of y moves 4 sectors in and 32 out. So pass the
# tile through shared memory: read rows, write rows, turn the tile in between. One turn is left to
# pay: in a tile of 32 columns, word (r, c) lies in bank (32 r + c) mod 32 = c, so a column lies in
# **one** bank and 32 lanes queue up for it.
#
# By hand, with 4 banks in place of 32: the column c = 1 of a 4 x 4 tile lies in the words 1, 5, 9,
# 13, all in bank 1. In a tile of 4 x **5** it lies in the words 1, 6, 11, 16: banks 1, 2, 3, 0.
#
# Source: Mark Harris, *An Efficient Matrix Transpose in CUDA C/C++*, NVIDIA blog, 2013. About 10
# lines.
#
# <details><summary>Hint 1</summary>Eight rows of threads take a tile of 32 rows in four rounds: <code>for r in range(cuda.threadIdx.y, 32, 8)</code>.</details>
# <details><summary>Hint 2</summary>Read <code>tile[r, lane]</code> from a row of x, wait, write a row of y from <code>tile[lane, r]</code>; guard both with the sizes of the array that is touched.</details>
# <details><summary>Hint 3</summary><code>cuda.shared.array((32, 33), float32)</code> has a column that nobody uses.</details>


# %%
@cuda.jit
def transpose_tiles(x, y):
    """y (C, R) = x (R, C) transposed; block (32, 8), one tile of 32 x 32."""
    ### BEGIN SOLUTION
    tile = cuda.shared.array((32, 33), float32)
    left, top = cuda.blockIdx.x * 32, cuda.blockIdx.y * 32
    lane, first = cuda.threadIdx.x, cuda.threadIdx.y
    for r in range(first, 32, 8):
        if top + r < x.shape[0] and left + lane < x.shape[1]:
            tile[r, lane] = x[top + r, left + lane]
    cuda.syncthreads()
    for r in range(first, 32, 8):
        if left + r < x.shape[1] and top + lane < x.shape[0]:
            y[left + r, top + lane] = tile[lane, r]
    ### END SOLUTION


# %%
check("transpose_tiles")


# %% tags=["payoff"]
@payoff("transpose_tiles")
def the_banks_your_warp_touches():
    """Each row: one look of the first warp at shared memory, lane by lane, coloured by bank."""
    x = np.arange(32 * 32, dtype=np.float32).reshape(32, 32)
    report = emulate(transpose_tiles, 1, (32, 8), x, np.empty_like(x), record=True)
    looks = [[] for _ in range(32)]
    for touch in report.touches:
        if touch.argument < 0 and touch.thread < 32:
            looks[touch.thread].append(touch.element // 4 % 32)
    banks = np.array(looks).T
    print(report)
    heatmap(
        banks,
        xlabel="lane",
        ylabel="look",
        unit="bank",
        alt="Eight rows of 32 lanes: in every row each lane has a bank of its own.",
    )


# %% [markdown]
# The same in CUDA C++, as a text, if this machine has a C++ compiler. Nothing here is graded: write
# the kernel, run both cells, and compare its counts with those above.


# %%
IN_CPP = """
extern "C" __global__ void transpose(const float *x, float *y, int rows, int columns) {
    // __shared__ float tile[32][33]; blockIdx.x, threadIdx.y, __syncthreads() ...
}
"""
### BEGIN SOLUTION
IN_CPP = """
extern "C" __global__ void transpose(const float *x, float *y, int rows, int columns) {
    __shared__ float tile[32][33];
    int left = blockIdx.x * 32, top = blockIdx.y * 32, lane = threadIdx.x;
    for (int r = threadIdx.y; r < 32; r += 8)
        if (top + r < rows && left + lane < columns)
            tile[r][lane] = x[(top + r) * columns + left + lane];
    __syncthreads();
    for (int r = threadIdx.y; r < 32; r += 8)
        if (left + r < columns && top + lane < rows)
            y[(left + r) * rows + top + lane] = tile[lane][r];
}
"""
### END SOLUTION


# %% tags=["payoff"]
@payoff("transpose_tiles")
def the_same_in_cpp():
    """Your C++ beside your Python: the same counts?"""
    x = np.arange(33 * 40, dtype=np.float32).reshape(33, 40)
    y = np.zeros((40, 33), np.float32)
    try:
        print(emulate((IN_CPP, "transpose"), (2, 2), (32, 8), x, y, 33, 40))
    except RuntimeError as error:
        print(error)
        return
    print("right" if (y == x.T).all() else "not the transpose yet")


# %% [markdown]
# ## 3. A sum by shuffles (★★, 12 minutes)
#
# `row_sums(x, out)`: out[i] becomes the sum of row i of x (N, C). Launched with N blocks of **128
# threads**, that is 4 warps; block i has row i, and C may be any size.
#
# Let thread t add the columns t, t + 128, t + 256, ...: then a warp reads neighbours. The 32 sums
# of a warp come together without memory: `cuda.shfl_down_sync(ALL, v, step)` gives each lane the v
# of the lane `step` above. Only the four sums of the warps need shared memory, and **one** barrier.
#
# By hand, with 4 lanes that hold 3, 1, 7, 0: after step 2 they hold 10, 1, ... and after step 1
# lane 0 holds 11.
#
# Source: Justin Luitjens, *Faster Parallel Reductions on Kepler*, NVIDIA blog, 2014. About 12
# lines.
#
# <details><summary>Hint 1</summary>First each thread adds its own columns: <code>for j in range(t, x.shape[1], 128)</code>.</details>
# <details><summary>Hint 2</summary>Then five shuffles, with steps 16, 8, 4, 2, 1; only lane 0 of each warp has the whole sum.</details>
# <details><summary>Hint 3</summary>The four lanes 0 write into shared memory, all wait, and one thread adds the four.</details>


# %%
@cuda.jit
def row_sums(x, out):
    """out (N,) = sums of the rows of x (N, C); one block of 128 threads per row."""
    ### BEGIN SOLUTION
    of_warp = cuda.shared.array(4, float32)
    row, t = cuda.blockIdx.x, cuda.threadIdx.x
    total = float32(0)
    for j in range(t, x.shape[1], 128):
        total += x[row, j]
    for step in (16, 8, 4, 2, 1):
        total += cuda.shfl_down_sync(ALL, total, step)
    if t % 32 == 0:
        of_warp[t // 32] = total
    cuda.syncthreads()
    if t == 0:
        out[row] = of_warp[0] + of_warp[1] + of_warp[2] + of_warp[3]
    ### END SOLUTION


# %%
check("row_sums")


# %% tags=["payoff"]
@payoff("row_sums")
def norms_that_stand_on_your_sums():
    """A small Llama, every RMS norm from your kernel; and what the sum costs beside a tree."""
    from minilm.kernels.softmax.cuda import THREADS, softmax_rows

    sizes = {"vocab_size": 64, "context": 16, "layers": 2, "heads": 2, "kv_heads": 2}
    model = Transformer(llama(**sizes, channels=32, ff=64))
    ids = np.arange(6)[None]
    theirs = model(ids).data

    def rms_norm(x, w, eps=1e-5):
        rows = x.reshape(-1, x.shape[-1])
        squares = np.empty(len(rows), np.float32)
        emulate(row_sums, len(rows), 128, rows * rows, squares)
        scale = 1 / np.sqrt(squares / np.float32(rows.shape[1]) + np.float32(eps))
        return (rows * scale[:, None] * w).reshape(x.shape)

    with minilm.use(rms_norm=rms_norm):
        yours = model(ids).data
    print(f"five norms; largest change of a logit {np.abs(yours - theirs).max():.1e}")
    x = np.ones((1, 256), np.float32)
    tree = emulate(softmax_rows, 1, THREADS, x, np.empty_like(x))
    mine = emulate(row_sums, 1, 128, x, np.empty(1, np.float32))
    bars(
        ["a tree of 64 (mean of two)", "your 128"],
        [tree.barriers / 2, mine.barriers],
        ylabel="barriers per reduction",
        alt="A tree in shared memory waits at seven barriers or more, your kernel at one.",
    )


# %% [markdown]
# ## 4. A kernel to repair (★★★, 15 minutes)
#
# `racy_sums(x, y)` below should write the running sums of every row: y[i, j] = x[i, 0] + ... + x[i,
# j]. One block of 64 threads has one row and takes it in tiles of 64; in each tile, every element
# adds its left neighbour, then the one 2 to the left, then 4, 8, ...
#
# By hand, 4 elements: 3 1 7 0, after step 1: 3 4 8 7, after step 2: 3 4 **11 11**.
#
# Often it comes out right. Not always: the emulator says why. Run the cell, read what it says, and
# write `running_sums(x, y)` without the fault. A second one hides behind the first and shows only
# in rows longer than a tile. Beware: `syncthreads` is for **all** threads of a block or for none,
# so it must not stand where only some of them pass.
#
# A cure must not cost more than the illness: at most 14 barriers and 60 requests to shared memory
# for each tile.
#
# Source: Hillis and Steele, *Data Parallel Algorithms*, Communications of the ACM 29(12), 1986.
#
# <details><summary>Hint 1</summary>Reading and adding in one line is the fault: a neighbour may have written in between.</details>
# <details><summary>Hint 2</summary>Read the left neighbour into a variable, wait, then add it: two barriers a step, both outside of any <code>if</code>.</details>
# <details><summary>Hint 3</summary>A fast thread must not bring the next tile while a slow one still reads <code>s[63]</code>.</details>


# %%
@cuda.jit
def racy_sums(x, y):
    """y = running sums of the rows of x (N, C), up to a race; block 64, one block per row."""
    s = cuda.shared.array(64, float32)
    row, t = cuda.blockIdx.x, cuda.threadIdx.x
    carry = float32(0)  # the sum of all tiles so far
    for first in range(0, x.shape[1], 64):
        s[t] = x[row, first + t] if first + t < x.shape[1] else float32(0)
        cuda.syncthreads()
        step = 1
        while step < 64:
            if t >= step:
                s[t] += s[t - step]
            cuda.syncthreads()
            step *= 2
        if first + t < x.shape[1]:
            y[row, first + t] = carry + s[t]
        carry += s[63]


try:
    emulate(racy_sums, 1, 64, np.ones((1, 64), np.float32), np.zeros((1, 64), np.float32))
except RuntimeError as error:
    print(error)


# %%
@cuda.jit
def running_sums(x, y):
    """y = running sums of the rows of x (N, C); one block of 64 threads per row."""
    ### BEGIN SOLUTION
    s = cuda.shared.array(64, float32)
    row, t = cuda.blockIdx.x, cuda.threadIdx.x
    carry = float32(0)
    for first in range(0, x.shape[1], 64):
        s[t] = x[row, first + t] if first + t < x.shape[1] else float32(0)
        cuda.syncthreads()
        step = 1
        while step < 64:
            left = s[t - step] if t >= step else float32(0)
            cuda.syncthreads()  # all have read before anyone writes
            s[t] += left
            cuda.syncthreads()
            step *= 2
        if first + t < x.shape[1]:
            y[row, first + t] = carry + s[t]
        carry += s[63]
        cuda.syncthreads()  # all have taken the carry before the next tile comes
    ### END SOLUTION


# %%
check("running_sums")


# %% tags=["payoff"]
@payoff("running_sums")
def nucleus_sampling_on_your_kernel():
    """Top-p sampling keeps tokens while a running sum is below p: here the sum is yours."""
    from minilm.inference import generate

    launches = []

    def top_p(logits, p):
        order = np.argsort(-logits, axis=-1).reshape(-1, logits.shape[-1])
        shares = np.take_along_axis(logits.reshape(order.shape), order, -1)
        shares = np.exp(shares - shares[:, :1])
        shares = np.float32(shares / shares.sum(-1, keepdims=True))
        sums = np.empty_like(shares)
        launches.append(emulate(running_sums, len(shares), 64, shares, sums))
        keep = np.empty(order.shape, bool)
        np.put_along_axis(keep, order, sums - shares < p, -1)
        return np.where(keep.reshape(logits.shape), logits, -np.inf).astype(logits.dtype)

    model = Transformer(gpt2(vocab_size=128, context=32, layers=1, heads=2, channels=32))
    with minilm.use(top_p=top_p):
        ids = generate(model, list(b"the "), 8, top_p=0.9)
    print(f"{len(ids)} tokens, {len(launches)} launches of your kernel")
    print(launches[0])


# %% [markdown]
# ## 5. Softmax in two passes (★★★, 20 minutes)
#
# `online_softmax(x, y)`: every row of y (N, C) becomes $e^{x_i - m} / \sum_j e^{x_j - m}$ with $m =
# \max_j x_j$. Launched with N blocks of **32 threads**, one warp per row; C may be any size. Finite
# x may be of any size, and some x may be `-inf` (masked), never a whole row.
#
# The plain way reads the row three times: for the maximum, for the sum, for the quotient. The
# online way keeps a pair (m, s), where s is the sum of $e^{x - m}$ so far, and needs one pass for
# both:
#
# $$(m, s) \oplus (m', s') = \left(M,\; s\,e^{m - M} + s'\,e^{m' - M}\right), \qquad M = \max(m, m')$$
#
# By hand: the row 0, ln 2, 0. Start (0, 1); then (ln 2, 1/2 + 1) = (ln 2, 3/2); then (ln 2, 3/2 +
# 1/2) = (ln 2, 2). The shares: 1/4, 1/2, 1/4.
#
# Each lane makes its own pair; `cuda.shfl_xor_sync(ALL, v, step)` joins them, first m, then s. Mind
# the lane that saw nothing: its m is `-inf`, and `-inf - -inf` is no number. A single warp needs no
# barrier. Full points: each x read twice, no barrier.
#
# Source: Milakov and Gimelshein, arXiv 1805.02867, algorithm 3. About 18 lines.
#
# <details><summary>Hint 1</summary>Each lane walks through its columns with a pair (m, s) that starts at (-inf, 0).</details>
# <details><summary>Hint 2</summary>When a larger x comes, s shrinks by exp(m - x) and grows by 1; else it grows by exp(x - m).</details>
# <details><summary>Hint 3</summary>Join two pairs only if the larger maximum is above -inf.</details>


# %%
@cuda.jit
def online_softmax(x, y):
    """y = softmax of the rows of x (N, C); one warp of 32 threads per row."""
    ### BEGIN SOLUTION
    row, lane = cuda.blockIdx.x, cuda.threadIdx.x
    top, total = float32(-math.inf), float32(0)
    for j in range(lane, x.shape[1], 32):
        v = x[row, j]
        if v > top:
            total = total * math.exp(top - v) + float32(1)
            top = v
        elif v > -math.inf:
            total += math.exp(v - top)
    for step in (16, 8, 4, 2, 1):
        other = cuda.shfl_xor_sync(ALL, top, step)
        more = cuda.shfl_xor_sync(ALL, total, step)
        highest = max(top, other)
        if highest > -math.inf:
            total = total * math.exp(top - highest) + more * math.exp(other - highest)
        top = highest
    for j in range(lane, x.shape[1], 32):
        y[row, j] = math.exp(x[row, j] - top) / total
    ### END SOLUTION


# %%
check("online_softmax")


# %% tags=["payoff"]
@payoff("online_softmax")
def attention_weights_from_your_kernel():
    """Every attention weight of a small GPT now comes from your kernel, in the emulator."""
    model = Transformer(gpt2(vocab_size=64, context=16, layers=2, heads=2, channels=32))
    ids, launches = np.arange(8)[None], []
    theirs = model(ids).data

    def softmax(x, axis=-1):
        rows = np.ascontiguousarray(x, np.float32).reshape(-1, x.shape[-1])
        y = np.empty_like(rows)
        launches.append(emulate(online_softmax, len(rows), 32, rows, y))
        return y.reshape(x.shape)

    with minilm.use(softmax=softmax):
        yours = model(ids).data
    print(f"{len(launches)} launches; largest change of a logit {np.abs(yours - theirs).max():.1e}")
    print(launches[0])


# %% [markdown]
# ## 6. A tiled matrix product (★★, 15 minutes)
#
# `tiled_matmul(a, b, c)`: c (M, N) becomes a (M, K) times b (K, N). Launched with a grid of (ceil(N
# / 8), ceil(M / 8)) blocks of **(8, 8) threads**; block (i, j) makes the tile of c whose first
# column is 8 i and whose first row is 8 j, each thread one number. (Real kernels take larger tiles;
# these keep the emulator quick.)
#
# If each thread reads its row of a and its column of b, every number is read again and again. So
# the block brings a tile of a and a tile of b (8 x 8 each) into shared memory, every thread one
# number of each, multiplies what is there, and goes on to the next pair of tiles along K. Past the
# edge a tile holds zeros. Two barriers a pair: one before the tiles are used, one before they are
# overwritten.
#
# By hand: M = N = K = 32. 16 blocks take 4 pairs of tiles each, and a tile row of 8 numbers is one
# sector: 16 x 4 x 16 = 1024 sectors read. Without tiles a warp (4 rows of 8 threads) reads 4
# sectors of a and one of b for each k: 16 blocks x 2 warps x 32 x 5 = 5120.
#
# Source: CUDA C++ Programming Guide, chapter on shared memory. About 18 lines.
#
# <details><summary>Hint 1</summary>The lesson has this kernel for sizes that tiles fit; what is missing is the edge.</details>
# <details><summary>Hint 2</summary>A thread whose number lies past the edge writes a 0 into the tile, and still comes to both barriers.</details>
# <details><summary>Hint 3</summary>Only the last line, the one that writes c, may stand in an <code>if</code>.</details>


# %%
@cuda.jit
def tiled_matmul(a, b, c):
    """c (M, N) = a (M, K) @ b (K, N); block (8, 8), one tile of c."""
    ### BEGIN SOLUTION
    of_a = cuda.shared.array((8, 8), float32)
    of_b = cuda.shared.array((8, 8), float32)
    column, row = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    total = float32(0)
    for first in range(0, a.shape[1], 8):
        inside = row < a.shape[0] and first + tx < a.shape[1]
        of_a[ty, tx] = a[row, first + tx] if inside else float32(0)
        inside = first + ty < b.shape[0] and column < b.shape[1]
        of_b[ty, tx] = b[first + ty, column] if inside else float32(0)
        cuda.syncthreads()
        for k in range(8):
            total += of_a[ty, k] * of_b[k, tx]
        cuda.syncthreads()
    if row < c.shape[0] and column < c.shape[1]:
        c[row, column] = total
    ### END SOLUTION


# %%
check("tiled_matmul")


# %% tags=["payoff"]
@payoff("tiled_matmul")
def a_layer_on_your_product():
    """The feed-forward layer of a small GPT, both its products from your kernel."""
    model = Transformer(gpt2(vocab_size=64, context=16, layers=1, heads=2, channels=16))
    ids, launches = np.arange(8)[None], []
    theirs = model(ids).data

    def linear(x, w, b=None):
        rows, turned = x.reshape(-1, x.shape[-1]), np.ascontiguousarray(w.T)
        y = np.empty((len(rows), len(w)), np.float32)
        grid = (-(-y.shape[1] // 8), -(-y.shape[0] // 8))
        report = emulate(tiled_matmul, grid, (8, 8), np.ascontiguousarray(rows), turned, y)
        launches.append(report)
        return (y if b is None else y + b).reshape(*x.shape[:-1], len(w))

    with minilm.use(linear=linear):
        yours = model(ids).data
    print(f"{len(launches)} launches; largest change of a logit {np.abs(yours - theirs).max():.1e}")
    print(launches[0])


# %% [markdown]
# ## 7. FlashAttention, forward (★★★, 40 minutes)
#
# `flash_forward(q, k, v, out, scale, causal)`: all arrays (N, T, 4), a head size of 4 to keep the
# emulator quick, and finite scores of any size; $\text{out} = \mathrm{softmax}(scale \cdot q
# k^\top)\,v$ for each of the N heads. With `causal`, query i sees the keys 0 to i. Launched with a
# grid of (ceil(T / 32), N) blocks of **32 threads**: thread t of block (b, n) has query 32 b + t of
# head n.
#
# The table of T x T scores is never written. Keys and values pass through shared memory in tiles of
# 32. Each thread keeps its query, the pair (m, s) of question 5 and a row of 4 sums
#     (`cuda.local.array(4, float32)`). When a score raises the maximum from m to M, what it has so
#     far shrinks by $e^{m - M}$: s and all the sums.
#
# By hand, one number per value: scores 0 and ln 2, values 4 and 7. After the first: m = 0, s = 1,
# sum = 4. Then M = ln 2, all shrinks by 1/2: s = 1/2 + 1, sum = 2 + 7 = 9. The answer is 9 / 1.5 =
# 6, and indeed 1/3 of 4 and 2/3 of 7 make 6.
#
# Full points: load a tile so that neighbouring lanes take neighbouring numbers (element e of the
# tile, e = t, t + 32, ..., is row e // 4, column e % 4), and with `causal` leave out the tiles that
# no query of the block may see. How q is read and out is written is up to you.
#
# Sources: FlashAttention, arXiv 2205.14135, and FlashAttention-2, arXiv 2307.08691. About 35 lines.
#
# <details><summary>Hint 1</summary>Begin with the lesson's <code>attention_rows</code>: one query per thread, keys and values through shared memory.</details>
# <details><summary>Hint 2</summary>A thread whose query lies past the end has nothing to write, but loads its part of every tile and comes to every barrier.</details>
# <details><summary>Hint 3</summary>With <code>causal</code>, block b needs no key beyond 32 b + 31: end the loop over tiles there. Divide by the sum once, at the end.</details>


# %%
@cuda.jit
def flash_forward(q, k, v, out, scale, causal):
    """out = attention over q, k, v (N, T, 4); block 32, one query per thread."""
    ### BEGIN SOLUTION
    keys = cuda.shared.array((32, 4), float32)
    values = cuda.shared.array((32, 4), float32)
    query = cuda.local.array(4, float32)
    sums = cuda.local.array(4, float32)
    n, t, length = cuda.blockIdx.y, cuda.threadIdx.x, q.shape[1]
    i = cuda.blockIdx.x * 32 + t
    for d in range(4):
        query[d] = q[n, i, d] if i < length else float32(0)
        sums[d] = float32(0)
    top, total = float32(-math.inf), float32(0)
    end = min(length, (cuda.blockIdx.x + 1) * 32) if causal else length
    for first in range(0, end, 32):
        for e in range(t, 128, 32):
            if first + e // 4 < length:
                keys[e // 4, e % 4] = k[n, first + e // 4, e % 4]
                values[e // 4, e % 4] = v[n, first + e // 4, e % 4]
        cuda.syncthreads()
        seen = min(32, length - first) if i < length else 0
        if causal:
            seen = min(seen, i + 1 - first)
        for j in range(seen):
            score = float32(0)
            for d in range(4):
                score += query[d] * keys[j, d]
            score *= scale
            highest = max(top, score)
            fade, weight = math.exp(top - highest), math.exp(score - highest)
            total = total * fade + weight
            for d in range(4):
                sums[d] = sums[d] * fade + weight * values[j, d]
            top = highest
        cuda.syncthreads()  # all are done with this tile before the next one comes
    if i < length:
        for d in range(4):
            out[n, i, d] = sums[d] / total
    ### END SOLUTION


# %%
check("flash_forward")


# %% tags=["payoff"]
@payoff("flash_forward")
def a_gpt_on_your_flash_attention():
    """A small GPT whose attention is your kernel: the same logits, and no table of scores."""
    model = Transformer(gpt2(vocab_size=64, context=16, layers=2, heads=2, channels=8))
    ids, launches = np.arange(12)[None], []
    theirs = model(ids).data

    def attention(q, k, v, mask=None, causal=False, window=None, bias=None, scale=None):
        heads = [np.ascontiguousarray(a, np.float32).reshape(-1, *a.shape[2:]) for a in (q, k, v)]
        out = np.empty_like(heads[0])
        grid = (-(-q.shape[2] // 32), len(out))
        scale = 4**-0.5 if scale is None else scale
        launches.append(emulate(flash_forward, grid, 32, *heads, out, scale, causal))
        return out.reshape(q.shape)

    with minilm.use(attention=attention):
        yours = model(ids).data
    print(f"{len(launches)} launches; largest change of a logit {np.abs(yours - theirs).max():.1e}")
    print(launches[0])


# %% [markdown]
# ## How you stand


# %%
check(set="00b_kernels")

# %% [markdown]
# ## On a real graphics card
#
# Counts are not seconds. If this machine has an NVIDIA card, the cell below runs your transpose on
# it, checks it once more and compares it with a plain copy: the same bytes in and out.


# %% tags=["payoff"]
@payoff("transpose_tiles")
def your_transpose_on_this_machine():
    """Median of ten launches, in GB per second of what is read and written."""
    if not cuda.is_available():
        print("No NVIDIA card here: the counts above are what this machine can tell.")
        return
    x = cuda.to_device(np.random.default_rng(0).random((4096, 4096), np.float32))
    y = cuda.device_array_like(x)

    def seconds(run):
        found = []
        for _ in range(12):
            begin, end = cuda.event(), cuda.event()
            begin.record()
            run()
            end.record()
            end.synchronize()
            found.append(begin.elapsed_time(end) / 1e3)
        return sorted(found[2:])[5]

    rates = [
        2 * x.nbytes / seconds(run) / 1e9
        for run in (
            lambda: y.copy_to_device(x),
            lambda: transpose_tiles[(128, 128), (32, 8)](x, y),
        )
    ]
    right = (y.copy_to_host() == x.copy_to_host().T).all()
    print("right" if right else "WRONG on the card: a race that the emulator did not see?")
    bars(
        ["copy", "your transpose"],
        rates,
        ylabel="GB/s",
        alt="The speed of a copy and of your transpose on this card.",
    )
