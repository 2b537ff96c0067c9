# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Training systems: how many machines train one model"
#   talk: "Ming Ding: from language models to multimodal models"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Training systems: how many machines train one model
#
# ![Four stacked bars for 7.5 billion parameters on 64 GPUs. Plain copies need 120 GB each, and only 15 of them are weights. With Adam's numbers shared out 31 GB, with gradients shared out too 17 GB, with everything shared out 1.9 GB. A line marks the 80 GB of a GPU.](07b_training_systems/opening.png)
#
# A model of 7.5 billion parameters is a file of 15 GB: 2 bytes for each. A GPU has 80 GB of memory. Yet
# one GPU is too small to train that model. **What fills the memory, and how do 64 GPUs help, when each of
# them is no larger than the first?**

# %% [markdown] slideshow={"slide_type": "skip"}
# *30 minutes to read, one to run. You need a training loop with Adam, as in [lesson 00](00_start_here.ipynb).
# The talk is of 9 May 2024; 17:43 means minutes and seconds of its recording. Long texts: lesson 07c.*

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Take the bets on the next slide and write them on the board. For 50 minutes leave out
# sections 4 and 8; for 80 show everything and let the room turn the ledger and the pipelines.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Your bet
#
# There is a way of training in which no GPU holds the whole model. Each keeps a 64th of the weights,
# and asks the others for the rest, layer by layer, just when it needs them.
#
# How many bytes must each GPU send in a step, compared with 64 plain copies that only add up their
# gradients? Twice as many? Sixty-four times? Will it learn the same weights? Bet now; section 3 counts.

# %% slideshow={"slide_type": "skip"}
import time

import numpy as np

from minilm import backend
from minilm.analysis import cluster
from minilm.course import interact, lesson_folder, seeds
from minilm.parallel import simulate, simulate_pipeline

SEEDS = seeds()  # 0, 1, 2, or those that `minilm run 07b --seeds 3,4,5` asks for
here = lesson_folder("07b")
backend.blas_threads(1)  # arrays are small here, and the ranks take turns
pictures, verdicts, experiments = here.pictures, here.module("verdicts"), here.module("experiments")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. Sixteen bytes a parameter
#
# What must be there while Adam trains one parameter? Nearly everybody trains in **mixed precision**
# (17:24): most numbers have 16 bits (2 bytes), those that must be exact have 32 (4 bytes, **float32**).
#
# | what | bytes |
# |---|---|
# | the weight, in 16 bits: what forward and backward compute with | 2 |
# | its gradient, in 16 bits | 2 |
# | Adam: a second copy of the weight, in 32 bits | 4 |
# | Adam: the running mean of its gradients, in 32 bits | 4 |
# | Adam: the running mean of their squares, in 32 bits | 4 |
#
# Together **16**. By hand: 7.5 billion parameters take 7.5 · 16 = 120 GB, and only 7.5 · 2 = 15 of
# them are the file on the disk. Three quarters, 12 bytes of 16, belong to Adam.
#
# Now take N GPUs; each of them is called a **rank**. In **data parallel** training each has a copy of all
# of this and reads its own texts. All add up their gradients, and all do the same Adam step. So Adam's
# 12 bytes are held N times, and the same step is computed N times. Nobody needs that.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Share it out
#
# **ZeRO** (Rajbhandari et al. 2019) shares out what is there N times. It comes in three **stages**:
#
# 1. each GPU keeps Adam's 12 bytes for its N-th of the parameters only (17:43);
# 2. and the gradients of its N-th (18:38);
# 3. and the weights of its N-th (18:59); the rest it borrows. PyTorch calls this stage **FSDP**.
#
# *Before you run it: 64 GPUs, stage 1. How many of the 120 GB are left on each?*


# %%
def zero_memory(psi, N, stage, K=12):
    """Bytes on each of N ranks; psi parameters."""
    bytes_of = [2, 2, K]  # weights, gradients, Adam
    return psi * sum(b / N if stage > 2 - i else b for i, b in enumerate(bytes_of))


cases = [(7.5e9, 64), (7.5e9, 4), (7.5e9, 1024), (128e9, 64), (1e12, 64)]
print("parameters  GPUs      plain    stage 1    stage 2    stage 3   (GB)")
for psi, N in cases:
    row = [zero_memory(psi, N, stage) / 1e9 for stage in range(4)]
    print(f"{psi:10.3g} {N:5}", *(f"{gb:10.4g}" for gb in row))

# %% [markdown] slideshow={"slide_type": "fragment"}
# **Claim:** the more ranks share Adam's numbers, the less memory each of them needs (17:43). This is
# arithmetic; section 3 measures it. **Would prove it wrong:** a row of the paper's table that our few
# lines do not give, or twice as many ranks and no less memory on each.

# %%
verdicts.memory_table(zero_memory)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The ledger of one GPU
#
# *Offload* hands Adam's numbers to the memory of the computer around the GPU, which is larger and
# slower (18:38). Each step, gradients then cross over and new weights come back.

# %%
sizes, counts = [7.5, 1.5, 30, 70, 175], [64, 1, 8, 512]
interact(pictures.ledger, billions=sizes, ranks=counts, stage=(0, 3, 1, 1), offload=False)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Is it really Adam?
#
# Memory also holds **activations**: what forward leaves behind for backward. They grow with the length
# of a text, and ZeRO does not share them out. So the claim that most of the memory is Adam's state and
# the float32 weights (16:11 to 17:24), our 12 bytes, is not true by definition.
#
# **Would prove it wrong:** a model of 1, 7, 70 or 175 billion parameters with one text of 4,096 tokens at a
# time, for which Adam's share is not above one half. Attention's scores, one for each pair of tokens, are
# computed again and not kept. That choice is ours, and it matters.

# %%
sizes = (1e9, 7e9, 70e9, 175e9)
verdicts.mostly_adam(sizes, experiments.adams_share(sizes))
kept = ", ".join(f"{share:.0%}" for share in experiments.adams_share(sizes, again="none"))
print(f"Adam's share with the scores kept, for 1, 7, 70 and 175 billion parameters: {kept}")

# %% [markdown] slideshow={"slide_type": "fragment"}
# So the claim needs scores that are not kept, or a very large model. DeepSpeed, the library that ZeRO
# comes with, has estimates that are higher: it also keeps float32 gradients. For 7.5 billion parameters:

# %%
for stage in (2, 3):
    paper = cluster.zero_memory(7.5e9, 64, stage) / 1e9
    gpu, cpu = cluster.deepspeed_memory(7.5e9, 64, stage, largest=0.2e9)
    print(f"stage {stage}, 64 GPUs: paper {paper:6.2f} GB, DeepSpeed {gpu / 1e9:6.2f} GB")
gpu, cpu = cluster.deepspeed_memory(7.5e9, 8, 2, offload=True)
print(f"stage 2, offload, 8 GPUs: {gpu / 1e9:.0f} GB on each GPU, {cpu / 1e9:.0f} GB in the host")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** a parameter is 2 bytes on the disk and 16 while it learns; 12 of them are Adam's.

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Let the room add up the 16 bytes before the number appears. The answer to the question: 7.5
# · (4 + 12/64) = 31.4 GB. In the ledger, go to 175 and 512 and ask for the stage that fits.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. Adding up in a ring
#
# Every rank has a vector of n numbers, and all want the sum of the vectors. That is an **all-reduce**,
# and plain data parallel training sends nothing else. How should it be done? If everybody sends
# everything to rank 0, rank 0 receives N − 1 vectors while the others wait.
#
# Better: stand in a circle, cut each vector into N pieces, and only ever talk to your right neighbour.
# By hand, with three ranks that hold (1, 2, 3), (10, 20, 30) and (100, 200, 300):
#
# | | rank 0 | rank 1 | rank 2 |
# |---|---|---|---|
# | start | 1 · 2 · 3 | 10 · 20 · 30 | 100 · 200 · 300 |
# | everybody sends one piece on, and adds | 1 · 2 · **303** | **11** · 20 · 30 | 100 · **220** · 300 |
# | the sum goes on | 1 · **222** · 303 | 11 · 20 · **333** | **111** · 220 · 300 |
#
# After N − 1 = 2 rounds each rank has one piece of the full sum: that much is a **reduce-scatter**. Two
# more rounds hand the finished pieces round: an **all-gather**. Each rank has sent 2 (N − 1) pieces of
# n / N numbers. *How much more does each of 1,000 ranks send than each of 10?*


# %% slideshow={"slide_type": "subslide"}
def ring_all_reduce(comm, x):  # (n,) on every rank -> their sum, (n,) on every rank
    N, r = comm.size, comm.rank
    right, left = (r + 1) % N, (r - 1) % N
    parts = [part.copy() for part in np.array_split(x, N)]  # N pieces of n / N
    for step in range(N - 1):  # sums travel and grow
        comm.send(parts[(r - step) % N], right)
        parts[(r - step - 1) % N] += comm.recv(left)
    for step in range(N - 1):  # finished sums travel
        comm.send(parts[(r + 1 - step) % N], right)
        parts[(r - step) % N] = comm.recv(left)
    return np.concatenate(parts)


run = simulate(lambda comm: ring_all_reduce(comm, 10.0**comm.rank * np.array([1, 2, 3])), 3)
print("sums:", *run.values, "  numbers sent:", [sent // 8 for sent in run.sent()])  # 8 bytes each
for N in (2, 10, 60):
    run = simulate(lambda comm: ring_all_reduce(comm, np.ones(600)), N)
    package = simulate(lambda comm: comm.all_reduce(np.ones(600)), N)
    assert run.sent() == package.sent()
    print(f"{N:3} ranks: each sends {run.sent()[0] / 8 / 600:.3f} vectors")

# %% [markdown] slideshow={"slide_type": "fragment"}
# `simulate` runs the function for each rank in this process; under MPI it runs on a cluster.
#
# **To remember:** adding up costs each rank 2 (N − 1) / N of the data, less than twice at any N.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. Play the table with three people and slips of paper. The answer: 1.998 vectors against
# 1.8, a tenth more.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. ZeRO on one page
#
# An all-reduce is a reduce-scatter and an all-gather. ZeRO's whole trick is to **do something between
# the two**. After the reduce-scatter, rank r holds the summed gradient of its N-th. It updates this
# N-th with its N-th of Adam. Then the all-gather hands out *new weights*, and not gradients. The same
# number of bytes, and Adam is shared out.
#
# Below is all of it for a net of L layers, tanh(x W) each. First the plain parts. A forward and a
# backward ask `weights_of(l)` for a layer's weights, and hand its gradient (`slope` in the code) to
# `keep(l, slope)` as soon as it is there. `n` is the size of the whole batch. Then a step of Adam.


# %% slideshow={"slide_type": "subslide"}
def forward_backward(L, weights_of, keep, x, y, n):  # x, y (B, C)
    kept = [x]
    for l in range(L):
        kept.append(np.tanh(kept[l] @ weights_of(l)))
    g = 2 * (kept[-1] - y) / n
    for l in reversed(range(L)):
        g = g * (1 - kept[l + 1] ** 2)
        keep(l, kept[l].T @ g)  # (C, C)
        g = g @ weights_of(l).T


def adam(w, s, m, v, t, rate=1e-2):  # all in place, and all of one shape
    m += 0.1 * (s - m)
    v += 0.001 * (s * s - v)
    w -= rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


def pieces(comm, weights, stage):  # this rank's part of every layer: (C C / N,) each
    N = comm.size if stage else 1
    return [np.array_split(W.ravel(), N)[comm.rank % N].copy() for W in weights]


# %% [markdown] slideshow={"slide_type": "skip"}
# Now the ranks. `own` is this rank's piece of every layer, with Adam's m and v. At stage 3 `full` stays
# empty: a layer's weights are gathered when it runs, in forward, and again in backward, because in between
# they were let go. `experiments.note` writes down how many bytes are there.


# %% slideshow={"slide_type": "subslide"}
def zero_train(comm, weights, batches, stage):  # weights: L of (C, C)
    own = pieces(comm, weights, stage)
    m, v, slopes = [0 * w for w in own], [0 * w for w in own], [None] * len(own)
    full = [None if stage == 3 else W.copy() for W in weights]

    def gather(l):  # everybody's pieces of layer l -> (C, C)
        return np.concatenate(comm.all_gather(own[l])).reshape(weights[l].shape)

    def keep(l, slope):  # (C, C), of this rank's texts
        slopes[l] = slope
        experiments.note(comm, stage, weights[l], full, slopes, own + m + v)
        slopes[l] = comm.reduce_scatter(slope) if stage >= 2 else slope  # our piece of the sum

    for t, (x, y) in enumerate(batches, 1):
        mine, n = [np.split(a, comm.size)[comm.rank] for a in (x, y)], len(x)
        forward_backward(len(own), gather if stage == 3 else full.__getitem__, keep, *mine, n)
        for l, s in enumerate(slopes):
            s = s if stage >= 2 else comm.reduce_scatter(s)
            adam(own[l], s if stage else np.concatenate(comm.all_gather(s)), m[l], v[l], t)
            if stage < 3:
                full[l] = gather(l) if stage else own[l].reshape(weights[l].shape).copy()
    return [gather(l) if stage else full[l] for l in range(len(own))]


# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Is it the same training?
#
# Twenty steps on 2, 4 and 8 ranks, at every stage, in float64. Beside them one process with plain Adam
# on the whole batch, and the package's `Zero`, which does the same to any model.
#
# **Claim:** ZeRO changes where numbers lie, and not what is learnt. The talk says where they lie (17:43 to
# 18:59); that learning stays the same is implied. **Would prove it wrong:** a weight that is more than
# 10⁻¹² from the single process's.

# %%
found = {}
for seed in SEEDS:
    weights, batches = experiments.net(seed), experiments.texts(seed)
    alone = experiments.alone(seed)
    for stage in range(4):
        package = simulate(experiments.by_the_package, 4, seed, stage)
        for N in (2, 4, 8):
            run = simulate(zero_train, N, weights, batches, stage)
            gaps = [experiments.apart(run.values[0], ws) for ws in (alone, package.values[0])]
            found[seed, stage, N] = max(gaps), run
verdicts.same_weights(found, SEEDS)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Your bet is due
#
# What did a rank send? We count it in multiples of Ψ, the number of parameters, and leave out the factor
# (N − 1) / N of every ring and the last gathering, which is for us. **Claim** of the paper: stages 1 and 2
# send 2Ψ numbers a step, as plain copies do; stage 3 sends 3Ψ. **Would prove it wrong:** another count.

# %%
verdicts.traffic(found, SEEDS)
pictures.measured(found, SEEDS[0])

# %% [markdown] slideshow={"slide_type": "fragment"}
# The answer to the bet: one and a half times, and the same weights. The figure shows the most bytes of
# each kind that rank 0 held. Every array is float64, so a parameter is 8 + 8 + 24 bytes and not 2 + 2 +
# 12. Stages 2 and 3 hold one whole layer while it runs: of four layers that is much, of eighty little.
#
# **To remember:** between adding up and handing out there is a place for Adam. Seven eighths of the
# memory, Adam and gradients, are shared out for no extra traffic; weights cost half as much again.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. Read `zero_train` from the bottom: the update, then where its arguments come from. Collect
# the bets before the card of the traffic. The answer: one and a half times.

# %% [markdown] slideshow={"slide_type": "slide"} tags=["extra"]
# ## 4. When does sending cost nothing?
#
# A message takes **α + size / β**: a time α to set off, then its bytes at β a second. Measure both for
# the fastest link of your own machine, a copy in memory. Below it are links that vendors sell: NVLink
# joins the GPUs of one node (one computer with eight of them), InfiniBand joins nodes.

# %%
sizes_sent, taken = [2**k for k in range(12, 25, 3)], []
for size in sizes_sent:
    a, b, times = np.zeros(size, np.uint8), np.ones(size, np.uint8), []
    for _ in range(15):
        began = time.perf_counter()
        np.copyto(b, a)
        times.append(time.perf_counter() - began)
    taken.append(np.median(times))
link = cluster.fit_link(sizes_sent, taken)
print(f"this machine: alpha {link.latency * 1e6:.2f} µs, beta {link.bandwidth / 1e9:.0f} GB/s")
for name in ("a100", "h100"):
    m = cluster.machine(name)
    print(f"{name}: NVLink {m.inside.bandwidth / 1e9:.0f} GB/s, InfiniBand "
          f"{m.between.bandwidth / 1e9:.0f} GB/s a GPU, {m.flops / 1e12:.0f} TFLOP/s")  # fmt: skip

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## By hand: tokens that hide a gather
#
# Stage 3 fetches 2Ψ bytes of weights while the layers before are computing. A forward pass over T
# tokens takes 2ΨT operations: for each parameter and token one product and one sum. With F operations
# and β bytes a second the fetching is hidden if
#
# $$\frac{2 \Psi T}{F} \ge \frac{2 \Psi}{\beta}, \qquad\text{so}\qquad T \ge \frac{F}{\beta}.$$
#
# Ψ is gone! How large the model is does not matter, only how many **tokens a rank has at hand**. An H100
# that reaches half its speed does 495 · 10¹² operations a second; eight of them in a node leave it at
# 400 GB/s together. So T ≥ 495,000 / 400 ≈ 1,240 tokens: one text of usual length. Through one cable
# for all eight, at 50 GB/s, it would be 9,900. Backward computes twice as much and sends twice as much
# (weights in, gradients out), so T is the same.
#
# Stage 3 is cheap while every GPU has a text of its own. With fewer than T tokens it waits.

# %%
interact(pictures.against, machine=["h100", "a100"], ranks=[64, 8, 512, 4096])

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** what counts is operations per byte. With enough tokens on each GPU sending hides.

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. In the figure turn to 4,096 ranks: setting off 4,095 times a layer starts to cost.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Cut the matrices
#
# Beyond 100 billion parameters, a single layer is large, and the talk turns to **Megatron** (19:48):
# cut every layer across GPUs, by its hidden size and its heads. That is **tensor parallelism**.
#
# A feed-forward net is y = relu(x W₁) W₂. Cut W₁ by its columns and W₂ by its rows. Then rank r has
# some hidden channels *whole*: it can take their ReLU without asking, and multiply by its rows of W₂.
# What comes out is a part of the sum that y is. One all-reduce, and everybody has y.
#
# By hand with x = (1, 2), W₁ = [[1, −1], [1, 1]], so x W₁ = (3, 1), and W₂ = [[2], [5]]. Rank 0 has
# the first hidden channel: relu(3) · 2 = 6. Rank 1 has the second: relu(1) · 5 = 5. Together 11.
#
# *What goes wrong if W₁ is cut by its rows instead?*


# %%
def tp_mlp(comm, x, W1, W2):  # x (B, C), W1 (C, F), W2 (F, C)
    A = np.split(W1, comm.size, axis=1)[comm.rank]  # (C, F / N): columns
    B = np.split(W2, comm.size, axis=0)[comm.rank]  # (F / N, C): rows
    h = np.maximum(x @ A, 0)  # (B, F / N): channels are whole, so relu may be taken
    return comm.all_reduce(h @ B)  # (B, C): the only message


x, W1, W2 = np.array([[1.0, 2]]), np.array([[1.0, -1], [1, 1]]), np.array([[2.0], [5]])
run = simulate(tp_mlp, 2, x, W1, W2)
print(*(y.item() for y in run.values), "  whole:", (np.maximum(x @ W1, 0) @ W2).item())

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Two and two
#
# Attention is cut the same way: each rank has some heads, from queries to their rows of the output
# matrix, and the sum comes at the end. Every rank read x, so backward adds up its gradient there. The
# talk names an extra all-reduce for attention and for the feed-forward net (20:16). By Megatron's paper it
# is two a layer in forward and two in backward, each of B · T · C numbers (texts, tokens, channels).
#
# We cut a real decoder of three layers with the package and count. **Would prove it wrong:** any other
# count, or a loss more than 10⁻¹² from the whole model's.

# %%
split = {N: [experiments.split_transformer(N, seed) for seed in SEEDS] for N in (2, 4)}
verdicts.two_and_two(split, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# These messages are hard to hide: the next matrix needs the sum *now*. A model of 8,192 channels with a
# text of 4,096 tokens adds up 67 MB four times a layer. So tensor ranks stay inside one node, where
# links are nine times as fast (450 and 50 GB/s for an H100).
#
# **To remember:** columns, then rows: one sum. It comes four times a layer, and the next matrix waits.

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. The answer to the question: with rows each rank has a part of every hidden channel, and
# relu(a) + relu(b) is not relu(a + b); a sum would be needed before it.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Cut the layers: the pipeline and its bubble
#
# Or give each GPU some of the layers (20:16). The batch goes through in m **micro-batches**: while
# stage 1 works on the first, stage 0 begins the second. At the start the last stage has nothing to do
# yet; at the end only the first still works. Such idle time is the **bubble**. (Not ZeRO's stages!)
#
# By hand: p = 2 stages, m = 2 micro-batches. A forward F takes 1, a backward B takes 2. B waits for the B
# of the same micro-batch on the next stage.
#
# | time | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 |
# |---|---|---|---|---|---|---|---|---|---|
# | stage 0 | F0 | F1 | · | · | B0 | B0 | · | B1 | B1 |
# | stage 1 | · | F0 | B0 | B0 | F1 | B1 | B1 | · | · |
#
# Each stage works 6 of 9; in general 3m of 3(m + p − 1), so the bubble is **(p − 1) / (m + p − 1)**.


# %% slideshow={"slide_type": "subslide"}
def one_f_one_b(p, m):  # what each stage does, in order
    orders = []
    for s in range(p):
        ahead = min(p - s, m)  # forwards before the first backward
        order = [("F", i) for i in range(ahead)]
        for i in range(m):
            order += [("B", i)] + [("F", i + ahead)] * (i + ahead < m)
        orders.append(order)
    return orders


def run_pipeline(orders, seconds):  # -> when each task ends
    end, free = {}, [0.0] * len(orders)
    while any(orders):
        for s, order in enumerate(orders):
            while order:
                kind, i = order[0]
                needs = [(kind, s - 1, i)] if kind == "F" else [("F", s, i), (kind, s + 1, i)]
                needs = [(k, at, i) for k, at, i in needs if 0 <= at < len(orders)]
                if any(task not in end for task in needs):
                    break  # another stage must go on first
                free[s] = max([free[s], *(end[task] for task in needs)]) + seconds[kind]
                end[kind, s, i] = free[s]
                order.pop(0)
    return end


for p, m in ((2, 2), (4, 4), (4, 8), (8, 32)):
    took = max(run_pipeline(one_f_one_b(p, m), {"F": 1, "B": 2}).values())
    assert took == simulate_pipeline(p, m, "1f1b").makespan
    print(f"{p} stages, {m:2} micro-batches: {took:5.0f}, of which idle {1 - 3 * m / took:.3f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Four schedules
#
# - **GPipe**: all forwards, then all backwards. All m micro-batches are held at once.
# - **1F1B**: forward and backward in turns. The same bubble, but stage s holds p − s of them at most.
# - **Interleaved**: each GPU has v short pieces of the model, not one long one. The pipe fills sooner.
# - **Zero bubble** (ZB-H1): a backward is two jobs. The next stage waits for the gradient of the *input*
#   only; that of the *weights* can wait, and fills the bubble.
#
# Choose a schedule, and move the clock.

# %%
interact(pictures.gantt, schedule=["1f1b", "gpipe", "interleaved", "zb-h1"], clock=(0, 33, 1, 33))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Does it shrink?
#
# **Claim:** pipelines have bubbles, and interleaving and zero-bubble schedules reduce them (20:16 to
# 20:41). **Would prove it wrong:** for 4 stages with 8 micro-batches or 8 with 32, 1F1B does not idle 3 (p
# − 1), or two pieces leave more than half of that, or ZB-H1 more than a third: the papers' numbers. (The
# rule first spoke of shares of a step; ZB-H1 missed it by a hair, and we read the papers again.)

# %%
verdicts.bubbles(simulate_pipeline)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The price of v pieces is v times as many messages between stages, and more to hold: 5.5 micro-batches
# against 4 here. ZB-H1 sends no more, and no stage holds more than 1F1B's fullest. A bubble of zero exists
# as well: let the first stages run further ahead, and pay with memory (Qi et al. 2023).
#
# **To remember:** the bubble is (p − 1) / (m + p − 1). Many micro-batches shrink it, clever orders shrink
# it further.

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Play p = 2, m = 2 with two rows of people who pass sheets of paper. In the widget let the
# clock run for 1F1B, then switch to zb-h1 at the same time: the green boxes stand where the gaps were.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Forget, and compute again
#
# Activations remain. **Activation checkpointing** (18:24) keeps one hidden state a layer, and in
# backward computes the rest of that layer again. It costs one more forward. A forward is a third of
# the work of a step, a backward two thirds, so the work grows to 4/3.
#
# More generally, cut L layers into k segments and keep the k inputs. Backward takes the last segment,
# runs it again, keeps everything inside it, and walks back through it. At the fullest moment there are
# k inputs and the L / k layers of one segment: **k + L / k**. By hand with L = 16: k = 1 gives 17, k =
# 2 gives 10, k = 4 gives 8, k = 8 gives 10. The best k is near √L.


# %% slideshow={"slide_type": "subslide"}
def in_segments(weights, x, g, k):
    """The gradient of x, the most arrays kept at one time, how often a layer ran."""
    L, starts, peak, runs = len(weights), [], 0, 0
    cuts = [round(i * L / k) for i in range(k + 1)]
    for a, b in zip(cuts, cuts[1:]):
        starts.append(x)  # the input of the segment, and nothing inside it
        for W in weights[a:b]:
            x, runs = np.tanh(x @ W), runs + 1
    for a, b in list(zip(cuts, cuts[1:]))[::-1]:
        kept = [starts.pop()]
        for W in weights[a:b]:  # once more, and now everything stays
            kept, runs = [*kept, np.tanh(kept[-1] @ W)], runs + 1
        peak = max(peak, len(starts) + len(kept))
        for W in weights[a:b][::-1]:
            g = (g * (1 - kept.pop() ** 2)) @ W.T
    return g, peak, runs


rng = np.random.default_rng(0)
deep, x0, g0 = rng.normal(0, 0.3, (16, 8, 8)), rng.normal(size=(4, 8)), rng.normal(size=(4, 8))
counted = {k: in_segments(deep, x0, g0, k) for k in (1, 2, 4, 8, 16)}

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The same in a real decoder
#
# Sixteen blocks, and the bytes at the fullest moment beside the weights. *Is k = 4 the best here, too?*

# %%
measured = experiments.measured_segments((1, 2, 4, 8, 16), seed=SEEDS[0])
pictures.segments(measured, counted)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## One hidden state a layer
#
# It is not: one segment for each layer is best. The rule k + L / k counts a layer and its input as
# equally large. But the input of a block is *one* hidden state; queries, keys, scores and the wide net
# inside are r times as large. Then the sum is k + r L / k, and the best k is √(rL). Korthikanti et al.
# (2022) count r = 17 for a block without its scores. With L = 16 that gives 16.5: every layer.
#
# **Claim:** keep one hidden state per layer and compute the rest again in backward (18:24). **Would prove
# it wrong:** with k = 16 the peak is above half of what it is without, a gradient differs, or a block
# does not run exactly twice. For the plain layers: a count other than k + L / k.

# %%
verdicts.segments(measured, counted)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** keep what is small, compute again what is large. Here it left a fifth of the memory
# beside the weights, for a third more work.

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. The famous √L is about layers as large as their inputs. FlashAttention is the same idea for
# the scores alone.

# %% [markdown] slideshow={"slide_type": "slide"} tags=["extra"]
# ## 8. Why keep a second copy?
#
# The float32 copy is a third of Adam's 12 bytes. Why does everybody pay for it? (17:24)
#
# Numbers in 16 bits are coarse. **bfloat16** has 8 bits of precision: between 1 and 2 it knows 128
# values, 0.0078 apart. By hand: the weight is 1, the step 0.003. The sum 1.003 lies between 1 and 1.0078,
# nearer to 1, so it *is* 1. A hundred such steps, and the weight has not moved.
#
# **float16** is eight times as fine, but ends at 65,504, and its smallest number is 0.00000006: what is
# below half of that becomes 0. Small gradients vanish. So the loss is multiplied by a large **scale**,
# gradients grow with it, and before the step they are divided again. When one overflows, the step is
# skipped and the scale halved: that is **loss scaling**, and a question of the set.

# %%
precision = here.study("precision")
weight = np.float32([1.0])
for _ in range(100):
    weight = precision.brain(weight + np.float32(0.003))
slopes = np.random.default_rng(0).normal(0, 1e-7, 10000).astype(np.float32)
lost = [(precision.half(slopes * scale) == 0).mean() for scale in (1, 1024)]
print(f"after 100 steps of 0.003: {weight[0]}")
print(f"gradients near 1e-7 that are 0 in float16: {lost[0]:.0%}; scaled by 1,024: {lost[1]:.0%}")

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## With the copy and without
#
# A recorded study: a small net learns real digits. Weights, activations and gradients are rounded to 16
# bits, with a float32 copy of the weights and without. Each way has its own rate, tuned at 1,000 steps.
#
# **Claim** (ours, from 17:24): the copy is worth its 4 bytes. **Would prove it wrong:** in bfloat16
# without it the loss ends less than 1.2 times as high as with it, after 1,000 or after 4,000 steps.

# %% tags=["hide-input"]
record = here.recorded("precision")
pictures.copies(record)
verdicts.copy_is_worth_it(record)

# %% [markdown] slideshow={"slide_type": "skip"}
# After 1,000 steps seeds differ more than the two ways do. After 4,000 the copy wins on all three seeds,
# by 3 to 12 times. A likely reason: more steps are now smaller than half the gap to the next number, and
# are lost. In float16, eight times as fine, the copy gains nothing after 1,000 steps.
#
# All this is small. A picture read wrongly costs at least ln 2 = 0.69 nats, so a loss of 0.002 is at most
# 3 wrong in 1,000. Every way has learnt its digits. That large models need the copy is not shown here.

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** forward and backward may be coarse. Where small steps add up, coarse numbers lose them.

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Rounding at random is the other way out: then small steps count on average. Not measured.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. All of it at once
#
# A real run takes a *product* of these cuts: **dp** copies of the model, matrices cut in **tp**, layers
# cut into **pp** stages of **v** pieces, and texts cut in **cp** (lesson 07c): dp · tp · pp · cp GPUs. With
# ZeRO's stages, what is computed again, and the size of a micro-batch there are a thousand ways for 1,024
# GPUs. The package works out the memory and the seconds of each, and takes the quickest that fits.
# (In a terminal: `minilm plan --params 70e9 --gpus 1024 --machine h100`.)

# %%
job = cluster.Job(cluster.transformer_of(70e9), length=4096, batch=1024)
for gpus in (8, 64, 1024, 16384):
    best, _, leanest = cluster.search(job, cluster.machine("h100"), gpus, most=1)
    if not best:
        print(f"{gpus:6} GPUs: nothing fits; {leanest.held / 1e9:.0f} GB would be needed on each")
    for p in best:
        shares = ", ".join(f"{k} {v:.0%}" for k, v in p.shares.items() if v >= 0.01)
        how = f"{p.layout!s:20} ZeRO {p.layout.stage}"
        print(f"{gpus:6} GPUs: {how}, {p.step:6.2f} s a step: {shares}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What bounds it
#
# The same batch on more and more GPUs. *From where on do more GPUs hardly pay?*

# %%
interact(pictures.plan, billions=[70, 7, 400], machine=["h100", "a100"])

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## May it be believed?
#
# MosaicML has published the speed of training MPT models under stage 3. Our formulas have three numbers,
# the share of full speed that products reach on each machine and that of attention. We set them with
# these tables in sight: no run is predicted blind. **Would prove it wrong** (ours): a run of 2,048 tokens
# more than 20 % away. **Yardstick:** 6 operations a parameter and token, at one share of full speed.

# %% tags=["hide-input"]
runs = experiments.predicted()
pictures.published(runs)
verdicts.plan_against_published(runs, experiments.yardstick())

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** what fits is arithmetic. Work it out before you rent the machines.

# %% [markdown] slideshow={"slide_type": "skip"}
# Shown is every run of that length but those of 7 billion parameters, on which two of the numbers were
# set. The yardstick taken from those is farther off than the formulas; fitted to the runs shown it is
# nearer. So here the formulas gain nothing in seconds that a constant would not. They are for what it
# cannot tell: what fits, and when links and bubbles count. Of the longer texts we tried one is off by a
# third: 30 billion on 8 A100s, 8,192 tokens, memory nearly full.

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. The answer: beyond 2,048 GPUs. Then take a model and a cluster that the room cares about.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What came out, and what did not
#
# **As claimed.** Adam's memory, shared out, falls as ranks are added. All stages learn the weights of one
# process, to the last few bits. Megatron's cut costs two all-reduces a layer each way. The bubble is what
# the formula says, and better orders shrink it. One hidden state per layer is enough.
#
# **With a footnote.** Most of the memory is Adam's if attention's scores are not kept. The best number
# of segments is not √L in our decoder: there one per layer is best. The float32 copy pays after 4,000
# steps and not after 1,000, in losses that are all small. Whether stage 3 waits depends on the tokens a
# GPU has, and not on the size of the model.
#
# **Not measured.** A real network. Our ranks run in one process, one at a time; their bytes are exact,
# their seconds are a model's. Offload was counted, and not timed. That training is systems work, as the
# talk says (20:54 to 21:04), also means broken cables and restarts at night (ours), all missing here.
#
# **One further question.** At stage 3 weights travel out twice and come back as gradients. Which of the
# three could be left out with a little more memory?
#
# Now write the parts yourself: [exercise set](../exercises/07b_training_systems.ipynb).
