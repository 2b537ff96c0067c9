# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Training systems: many ranks, one model"
# ---

# %% [markdown]
# # Many ranks, one model
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function to work**.
#
# The ranks of a cluster are lists here: `arrays[r]` is what rank r holds. What goes from rank to rank
# goes through functions that you are given, and they **count**: several points are for bytes that you
# did *not* send and arrays that you did *not* keep. The stars say how hard a question is, from ★ to
# ★★★, and the hints are folded away: open the next one only when you are stuck.
#
# Arrays are NumPy's. Leave your arguments as they are, but where a question says otherwise.
# Everything asked for here stands in [the lesson](../lessons/07b_training_systems.ipynb).

# %%
import numpy as np

from minilm.course import bars, check, figure, lines, payoff

# %% [markdown]
# ## 1. What a rank holds (★, 2 minutes)
#
# `zero_memory(psi, N, stage, K=12)`: bytes of weights, gradients and optimizer on each of `N` ranks, for
# `psi` parameters. Weights and gradients have 2 bytes each, the optimizer `K`. Stage 0 shares nothing
# out, stage 1 the optimizer, stage 2 the gradients as well, stage 3 the weights as well. About 3
# lines.
#
# *By hand.* 100 parameters on 4 ranks, stage 1: 100 · (2 + 2 + 12 / 4) = 700.
#
# <details><summary>Hint 1</summary>Three numbers of bytes; each is divided by N or not.</details>
# <details><summary>Hint 2</summary>The optimizer is divided if <code>stage >= 1</code>, gradients if
# <code>stage >= 2</code>.</details>
# <details><summary>Hint 3</summary><code>2 / N if stage >= 3 else 2</code> is the weights'
# part.</details>


# %%
def zero_memory(psi, N, stage, K=12):
    """Bytes on each rank."""
    ### BEGIN SOLUTION
    weights = 2 / N if stage >= 3 else 2
    gradients = 2 / N if stage >= 2 else 2
    optimizer = K / N if stage >= 1 else K
    return psi * (weights + gradients + optimizer)
    ### END SOLUTION


# %%
check("zero_memory")


# %% tags=["payoff"]
@payoff("zero_memory")
def from_which_size_on():
    """How many ranks your formula asks for until a model fits into 80 GB."""
    ranks = [2**k for k in range(11)]
    rows = {
        f"stage {stage}": [zero_memory(70e9, N, stage) / 1e9 for N in ranks] for stage in range(4)
    }
    lines(
        ranks,
        rows,
        xscale="log",
        yscale="log",
        xlabel="ranks",
        ylabel="GB on each, 70 billion parameters",
        expected={"80 GB": 80.0},
        alt="Only stage 3 falls below 80 GB, from 16 ranks on; the others come to rest above it.",
    )


# %% [markdown]
# ## 2. How many segments (★, 4 minutes)
#
# `best_segments(L)`: `(k, peak)`. With `L` layers in k segments, k inputs are kept and the layers of the
# longest segment: k + ⌈L / k⌉ arrays. Give the smallest k, from 1 to L, with the smallest sum, and that
# sum. About 2 lines.
#
# *By hand.* L = 6: k = 1 gives 7, k = 2 gives 2 + 3 = 5, k = 3 gives 5. So (2, 5).
#
# <details><summary>Hint 1</summary>Try all k.</details>
# <details><summary>Hint 2</summary>⌈L / k⌉ is <code>-(-L // k)</code>.</details>
# <details><summary>Hint 3</summary><code>min</code> of pairs (sum, k) looks at the sum first, then at
# k.</details>


# %%
def best_segments(L):
    """(k, arrays kept at most)."""
    ### BEGIN SOLUTION
    peak, k = min((k - (-L // k), k) for k in range(1, L + 1))
    return k, peak
    ### END SOLUTION


# %%
check("best_segments")


# %% tags=["payoff"]
@payoff("best_segments")
def near_the_root():
    """Your peak beside 2 √L, and beside keeping everything."""
    layers = list(range(1, 101))
    lines(
        layers,
        {"your segments": [best_segments(L)[1] for L in layers], "keep all": layers},
        xlabel="layers",
        ylabel="arrays kept, at most",
        expected={"2 √L": 2 * np.sqrt(layers)},
        alt="The best number of kept arrays follows two times the root of the layers.",
    )


# %% [markdown]
# ## 3. Round and round (★★, 12 minutes)
#
# `ring_allreduce(bufs, send)`: `bufs` is a list of N vectors, (n,) each, one a rank; n is a multiple of
# N. Give the list of N vectors that all hold the sum, new arrays. Nothing may go from rank to rank
# but through `send(source, target, x)`, which returns a copy of x as it arrives at `target`. Only
# neighbours talk: `target` is `(source + 1) % N`.
#
# A rank may send at most 2 (N − 1) / N · n numbers. A sum that is right but sends more earns half. With
# one rank nothing is sent. About 12 lines.
#
# *By hand.* Two ranks, (1, 2) and (10, 20). Rank 0 sends its first piece, rank 1 its second. Now rank 0
# holds (1, 22) and rank 1 (11, 20). Then the finished sums travel on: both hold (11, 22).
#
# <details><summary>Hint 1</summary>Cut each vector into N pieces. First, N − 1 rounds in which partial
# sums travel; then N − 1 rounds in which finished pieces do.</details>
# <details><summary>Hint 2</summary>In round t rank r sends piece (r − t) mod N to r + 1, which adds
# it. All sends of a round happen at once: collect what arrives before anybody adds.</details>
# <details><summary>Hint 3</summary>After the first N − 1 rounds, rank r has the finished piece r + 1. In
# round t of the second part it sends piece (r + 1 − t) mod N.</details>


# %%
def ring_allreduce(bufs, send):
    """The sum on every rank."""
    ### BEGIN SOLUTION
    N = len(bufs)
    parts = [[piece.copy() for piece in np.split(x, N)] for x in bufs]
    for t in range(N - 1):
        came = [send(r, (r + 1) % N, parts[r][(r - t) % N]) for r in range(N)]
        for r in range(N):
            parts[(r + 1) % N][(r - t) % N] += came[r]
    for t in range(N - 1):
        came = [send(r, (r + 1) % N, parts[r][(r + 1 - t) % N]) for r in range(N)]
        for r in range(N):
            parts[(r + 1) % N][(r + 1 - t) % N] = came[r]
    return [np.concatenate(pieces) for pieces in parts]
    ### END SOLUTION


# %%
check("ring_allreduce")


# %% tags=["payoff"]
@payoff("ring_allreduce")
def what_a_rank_sends():
    """What your ring sends, beside sending every vector to everybody."""
    ranks = [2, 4, 8, 16, 32, 64]

    def sent(N):
        count = [0] * N

        def send(source, target, x):
            count[source] += x.size
            return x.copy()

        ring_allreduce([np.ones(64)] * N, send)
        return max(count) / 64

    lines(
        ranks,
        {"your ring": [sent(N) for N in ranks], "to everybody": [N - 1 for N in ranks]},
        xscale="log",
        yscale="log",
        xlabel="ranks",
        ylabel="vectors that a rank sends",
        alt="The ring stays below two vectors; sending to everybody grows with the ranks.",
    )


# %% [markdown]
# ## 4. Columns, then rows (★★, 8 minutes)
#
# `tp_mlp(x, W1, W2, k, all_reduce)`: relu(x W₁) W₂ on `k` ranks. `x` is (B, C), `W1` (C, F), `W2` (F, C),
# and k divides F. Rank r computes with its F / k hidden channels only, in order: its columns of W₁
# and its rows of W₂. That makes a part (B, C) of the sum. Hand the list of k parts to
# `all_reduce(parts)`, **once**; it returns a list of k equal sums. Return the first. About 6 lines.
#
# *By hand.* x = (1, 2), W₁ = [[1, −1], [1, 1]], W₂ = [[2], [5]] on 2 ranks: parts 6 and 5, sum 11.
#
# <details><summary>Hint 1</summary><code>np.split(W1, k, axis=1)</code> are the columns.</details>
# <details><summary>Hint 2</summary>The rows of W₂ are split along axis 0.</details>
# <details><summary>Hint 3</summary>Each part is <code>np.maximum(x @ A, 0) @ B</code>.</details>


# %%
def tp_mlp(x, W1, W2, k, all_reduce):
    """The whole net's answer."""
    ### BEGIN SOLUTION
    columns, rows = np.split(W1, k, axis=1), np.split(W2, k, axis=0)
    parts = [np.maximum(x @ A, 0) @ B for A, B in zip(columns, rows)]
    return all_reduce(parts)[0]
    ### END SOLUTION


# %%
check("tp_mlp")


# %% tags=["payoff"]
@payoff("tp_mlp")
def a_digit_reader_on_four_ranks():
    """A net of random features reads digits; your cut gives the same answers on 1, 2, 4, 8 ranks."""
    from minilm.data.images import digits

    pictures, names = digits()
    x, rng = pictures.reshape(-1, 64).astype(np.float64), np.random.default_rng(0)
    W1 = rng.standard_normal((64, 256)) / 8
    hidden = np.maximum(x @ W1, 0)
    W2 = np.linalg.lstsq(hidden, np.eye(10)[names], rcond=None)[0]

    def add(parts):
        return [sum(parts)] * len(parts)

    right = [float((tp_mlp(x, W1, W2, k, add).argmax(1) == names).mean()) for k in (1, 2, 4, 8)]
    bars(
        ["1 rank", "2 ranks", "4 ranks", "8 ranks"],
        [100 * share for share in right],
        ylabel="digits read, %",
        alt="The share of digits that are read is the same on every number of ranks.",
    )


# %% [markdown]
# ## 5. Skip, halve, double (★★, 10 minutes)
#
# `loss_scaled_step(weights, gradients, scale, good, rate=0.1, patience=4)`: gradients were computed in
# 16 bits from a loss that was multiplied by `scale`. `weights` and `gradients` are float32 arrays of one
# shape, `scale` a number, `good` how many steps went well in a row. Give `(weights, scale, good)`:
#
# - if any gradient is infinite or not a number: the weights as they are, half the scale, good = 0;
# - else: weights − rate · gradients / scale, and good one larger. When it reaches `patience` the scale
#   doubles and good is 0 again.
#
# The new weights are float32. About 7 lines.
#
# *By hand.* weights (1), gradients (8), scale 16, good 0: 1 − 0.1 · 0.5 = 0.95, 16, 1.
#
# <details><summary>Hint 1</summary><code>np.isfinite(gradients).all()</code></details>
# <details><summary>Hint 2</summary>Divide by the scale with which the gradients were made, before it
# changes.</details>
# <details><summary>Hint 3</summary>Nothing but finite numbers may reach the weights: test
# first.</details>


# %%
def loss_scaled_step(weights, gradients, scale, good, rate=0.1, patience=4):
    """(weights, scale, good) after the step."""
    ### BEGIN SOLUTION
    if not np.isfinite(gradients).all():
        return weights.copy(), scale / 2, 0
    weights = (weights - rate * (gradients / scale)).astype(np.float32)
    good += 1
    if good == patience:
        return weights, scale * 2, 0
    return weights, scale, good
    ### END SOLUTION


# %%
check("loss_scaled_step")


# %% tags=["payoff"]
@payoff("loss_scaled_step")
def the_scale_finds_its_height():
    """A regression with tiny gradients in float16: your scale climbs, overflows and settles."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((64, 8)) * 1e-3).astype(np.float32)
    y = x @ np.linspace(-1, 1, 8, dtype=np.float32)
    w, scale, good, heights = np.zeros(8, np.float32), 1.0, 0, []
    for _ in range(200):
        with np.errstate(over="ignore", invalid="ignore"):
            slope = ((x @ w - y) * np.float32(scale)).astype(np.float16)
            g = (x.T.astype(np.float16) * slope).sum(1).astype(np.float32)
        w, scale, good = loss_scaled_step(w, g, scale, good, rate=100.0)
        heights.append(np.log2(scale))
    lines(
        None,
        {"your scale": heights},
        xlabel="steps",
        ylabel="log2 of the scale",
        alt="The scale doubles until gradients overflow, and then keeps stepping back from there.",
    )


# %% [markdown]
# ## 6. ZeRO (★★★, 20 minutes)
#
# `zero_train(params, N, stage, steps, forward, backward, reduce_scatter, all_gather)`: train on `N` ranks
# with plain gradient descent, **params − 0.1 · mean gradient**, and give the new parameters, (n,). N
# divides n. `stage` is 1 or 3. Rank r owns piece r of `np.split(params, N)`.
#
# - `forward(r, step, params)` runs rank r's forward with whole parameters; it gives nothing back.
# - `backward(r, step, params)` gives the gradient (n,) of rank r's share of the batch.
# - `reduce_scatter(arrays)` takes a list of N arrays (n,) and gives a list of N pieces (n / N,) of their
#   **sum**; each rank sends (N − 1) / N · n numbers.
# - `all_gather(pieces)` takes a list of N pieces and gives a list of N whole arrays (n,); each rank sends
#   as many.
#
# In each step (counted from 0) all ranks run forward, all run backward, gradients are reduced, and each
# rank updates its piece. At stage 1 the new parameters are gathered once, and every rank keeps them. At
# stage 3 a rank keeps only its piece: gather before forward, **let go**, gather again before backward.
# At the end gather once more to answer, at stage 3. About 14 lines.
#
# The price is part of the task: 2 n (N − 1) / N numbers a rank and step at stage 1, 3 n (N − 1) / N at
# stage 3, and n (N − 1) / N for the last gathering.
#
# *By hand.* n = 2, N = 2, one step, stage 1: gradients (1, 2) and (3, 4), sum (4, 6), mean (2, 3). Rank 0
# updates the first number by −0.2, rank 1 the second by −0.3.
#
# <details><summary>Hint 1</summary>Start with <code>pieces = np.split(params, N)</code> and, at stage 1,
# <code>whole = [params] * N</code>.</details>
# <details><summary>Hint 2</summary>The sum comes back: divide by N for the mean.</details>
# <details><summary>Hint 3</summary>At stage 1 the whole parameters after a step come from
# <code>all_gather(pieces)</code>, and the next step needs no other gathering.</details>


# %%
def zero_train(params, N, stage, steps, forward, backward, reduce_scatter, all_gather):
    """The parameters after the training."""
    ### BEGIN SOLUTION
    pieces = [piece.copy() for piece in np.split(params, N)]
    whole = [params] * N
    for step in range(steps):
        if stage == 3:
            whole = all_gather(pieces)
        for r in range(N):
            forward(r, step, whole[r])
        if stage == 3:
            whole = all_gather(pieces)
        gradients = reduce_scatter([backward(r, step, whole[r]) for r in range(N)])
        pieces = [piece - 0.1 * g / N for piece, g in zip(pieces, gradients)]
        if stage == 1:
            whole = all_gather(pieces)
    return (all_gather(pieces) if stage == 3 else whole)[0]
    ### END SOLUTION


# %%
check("zero_train")


# %% tags=["payoff"]
@payoff("zero_train")
def digits_on_eight_ranks():
    """Logistic regression on real digits, trained by your ZeRO on eight ranks."""
    from minilm.data.images import digits

    pictures, names = digits()
    x, y, N = pictures.reshape(-1, 64)[:1600].astype(np.float64), np.eye(10)[names[:1600]], 8
    seen = []

    def probabilities(params, rows):
        z = rows @ params.reshape(64, 10)
        e = np.exp(z - z.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def forward(r, step, params):
        if r == 0:
            seen.append(100 * float((probabilities(params, x).argmax(1) == names[:1600]).mean()))

    def backward(r, step, params):
        rows, wanted = x[r::N], y[r::N]
        return (rows.T @ (probabilities(params, rows) - wanted) / len(rows)).ravel() * 5

    def reduce_scatter(arrays):
        return np.split(sum(arrays), N)

    def all_gather(pieces):
        return [np.concatenate(pieces)] * N

    zero_train(np.zeros(640), N, 3, 60, forward, backward, reduce_scatter, all_gather)
    lines(
        None,
        {"your ZeRO-3": seen},
        xlabel="steps",
        ylabel="digits read, %",
        alt="The share of digits that are read climbs above 90 per cent.",
    )


# %% [markdown]
# ## 7. One forward, one backward (★★★, 20 minutes)
#
# `simulate_pipeline(p, m, schedule, tf=1.0, tb=2.0)`: a list of tasks `(stage, kind, batch, start)`. There
# are `p` stages and `m` micro-batches, counted from 0; `kind` is "F", which takes `tf`, or "B", which takes
# `tb`. A stage does one task at a time. F of a batch starts after its F on the stage before; B after its F
# on the same stage and its B on the next stage. Each task starts as soon as both its stage and what it
# needs are ready, in the order of the schedule:
#
# - "gpipe": on every stage all F by batch, then all B by batch;
# - "1f1b": stage s does min(p − s, m) F, then B and F in turns, each by batch, then the rest of the B.
#
# The whole takes (m + p − 1)(tf + tb). In "1f1b" stage s has at most p − s batches whose F was started and
# whose B has not ended. The order of the list is up to you. About 20 lines.
#
# *By hand.* p = 2, m = 1, any schedule: (0, "F", 0, 0), (1, "F", 0, 1), (1, "B", 0, 2), (0, "B", 0, 4).
#
# <details><summary>Hint 1</summary>First write down each stage's order. Then go round the stages, and let
# each do its next tasks while what they need has ended.</details>
# <details><summary>Hint 2</summary>Keep a dictionary <code>end[stage, kind, batch]</code> and a list
# <code>free[stage]</code>; a start is the largest of all that must be over.</details>
# <details><summary>Hint 3</summary>A task whose needs are not in the dictionary waits: go to the next
# stage, and come back.</details>


# %%
def simulate_pipeline(p, m, schedule, tf=1.0, tb=2.0):
    """[(stage, kind, batch, start), ...]"""
    ### BEGIN SOLUTION
    orders = []
    for s in range(p):
        ahead = m if schedule == "gpipe" else min(p - s, m)
        order = [("F", i) for i in range(ahead)]
        for i in range(m):
            order += [("B", i)] + [("F", i + ahead)] * (i + ahead < m)
        orders.append(order)
    tasks, end, free = [], {}, [0.0] * p
    while any(orders):
        for s in range(p):
            while orders[s]:
                kind, i = orders[s][0]
                needs = [(s - 1, "F", i)] if kind == "F" else [(s, "F", i), (s + 1, "B", i)]
                needs = [task for task in needs if 0 <= task[0] < p]
                if any(task not in end for task in needs):
                    break
                start = max([free[s]] + [end[task] for task in needs])
                free[s] = end[s, kind, i] = start + (tf if kind == "F" else tb)
                tasks.append((s, kind, i, start))
                orders[s].pop(0)
    return tasks
    ### END SOLUTION


# %%
check("simulate_pipeline")


# %% tags=["payoff"]
@payoff("simulate_pipeline")
def two_schedules():
    """Both of your schedules as charts: equally long, and very different in what they hold."""
    with figure(
        2, 1, alt="Two charts of four stages; both end at 33, one by turns, one in two blocks."
    ) as axes:
        for ax, schedule in zip(axes, ("gpipe", "1f1b")):
            for stage, kind, _, start in simulate_pipeline(4, 8, schedule):
                ax.barh(
                    stage,
                    1 if kind == "F" else 2,
                    left=start,
                    color="#0072B2" if kind == "F" else "#D55E00",
                    edgecolor="white",
                )
            ax.invert_yaxis()
            ax.set_title(schedule)
            ax.grid(visible=False)


# %% [markdown]
# ## 8. Forget and run again (★★★, 20 minutes)
#
# `checkpointed_backward(L, k, run, pull, drop)`: a backward through `L` layers that keeps about k + ⌈L / k⌉
# arrays at most. You never see the arrays, you only give orders, and what is kept is counted.
#
# At the start array 0, the input, is there. `run(i)` runs layer i, for i from 0 to L − 1: it reads array i,
# which must be there, and adds array i + 1. `drop(i)` takes array i away. `pull(i)` is the backward of layer
# i: array i must be there, and L − 1 comes first, then L − 2, down to 0. Array L, the output, is not needed
# for anything.
#
# A first forward must reach array L. Then pull all layers. At no time may more than k + ⌈L / k⌉ + 1 arrays be
# there (one more than the formula, because `run` holds both its sides), and no layer may run more than
# twice. k is from 1 to L. What is left at the end does not matter. About 14 lines.
#
# *By hand.* L = 2, k = 1: run(0), run(1), drop(2), pull(1), drop(1), pull(0) keeps at most 3 arrays.
#
# <details><summary>Hint 1</summary>Segments start at <code>range(0, L, size)</code> with size ⌈L / k⌉. In the
# first forward drop every array that is no start of a segment as soon as the next one is there.</details>
# <details><summary>Hint 2</summary>Then take the segments from the last to the first: run from the start to
# the last layer but one of the segment, and pull its layers from the back.</details>
# <details><summary>Hint 3</summary>Drop array i right after <code>pull(i)</code>.</details>


# %%
def checkpointed_backward(L, k, run, pull, drop):
    """Orders for a backward in segments."""
    ### BEGIN SOLUTION
    size = -(-L // k)
    for i in range(L):
        run(i)
        if i % size:
            drop(i)
    drop(L)
    for start in reversed(range(0, L, size)):
        end = min(start + size, L)
        for i in range(start, end - 1):
            run(i)
        for i in reversed(range(start, end)):
            pull(i)
            drop(i)
    ### END SOLUTION


# %%
check("checkpointed_backward")


# %% tags=["payoff"]
@payoff("checkpointed_backward")
def memory_over_time():
    """How many arrays are there after each of your orders, for 24 layers."""

    def counted(k):
        there, counts = {0}, []

        def run(i):
            there.add(i + 1)
            counts.append(len(there))

        def drop(i):
            there.discard(i)
            counts.append(len(there))

        checkpointed_backward(24, k, run, lambda i: counts.append(len(there)), drop)
        return np.arange(len(counts)), counts

    lines(
        None,
        {f"k = {k}": counted(k) for k in (1, 5, 24)},
        xlabel="orders",
        ylabel="arrays there",
        markers=False,
        alt="Five segments never need more than ten arrays; one or twenty-four need about 25.",
    )
