# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Start here: from an array to a model that writes"
#   talk: "The house that the talks are held in"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # From an array to a model that writes
#
# One lesson, one idea per step, each standing on the one before:
#
# **array → tape → primitive → kernel → a GPT, trained here, on text this machine already has**
#
# Nothing is downloaded and no GPU is needed. Run the cells from top to bottom; it takes about a
# minute. Two of the pictures have controls: move them.

# %% slideshow={"slide_type": "skip"}
import time

import numpy as np

import minilm
from minilm import backend, data, kernels
from minilm import functional as F
from minilm.course import (
    TapeView,
    bars,
    claim,
    figure,
    heatmap,
    interact,
    lines,
    source,
    tape_bytes,
    tape_steps,
)
from minilm.data.held_out import hold_out
from minilm.inference import generate
from minilm.models import Transformer, gpt2
from minilm.optim import AdamW, clip_grad_norm
from minilm.tokenizers import train_bpe
from minilm.train import bits_per_byte, train

backend.keep_freed_memory()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. An array
#
# A language model is arithmetic on arrays of numbers. Two letters say most of it: a batch of texts
# has shape **(B, T)**, and every token becomes a row of C numbers: **(B, T, C)**.

# %%
ids = np.array([[3, 1, 4, 1, 5]])  # (B, T): one text of five tokens
table = backend.rng(0, "table").standard_normal((10, 4), dtype=np.float32)  # (V, C)
x = table[ids]  # (B, T, C): looking up is indexing
w = backend.rng(0, "w").standard_normal((6, 4), dtype=np.float32)  # (out, in)
print(ids.shape, "->", x.shape, "->", (x @ w.T).shape)

# %% [markdown] slideshow={"slide_type": "fragment"}
# One trap at the door. NumPy widens numbers quietly, and a float64 array costs twice the memory and
# time. Nothing in this package does what the second line does:

# %%
print((x / np.float32(2)).dtype, (x / np.sqrt(np.int64(4))).dtype)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. A tape
#
# To learn, a model must know how its loss changes with each of its numbers. So every operation
# leaves a note behind: how to send a gradient **back** to its inputs. The notes are the *tape*.
#
# The note is called a **pullback**. Multiplication, as the package has it:

# %% tags=["hide-input"]
source(F.mul)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Step through the tape
#
# A neuron with one input, and its squared error. Blue: values, as the expression runs. Orange:
# gradients, as `backward` walks the tape from its end. Drag the slider.

# %% tags=["hide-input"]
w0, b0 = (minilm.tensor(v, requires_grad=True) for v in (0.5, -0.4))
x0, y0 = minilm.tensor(2.0), minilm.tensor(1.0)
error = F.tanh(w0 * x0 + b0) - y0
view = TapeView(error * error, w=w0, x=x0, b=b0, y=y0)
interact(view.draw, step=(0, view.steps, 1, view.steps))

# %% [markdown] slideshow={"slide_type": "notes"}
# Go through it from step 0. Ask before step 7: why is the gradient at the minus sign twice the
# error? Because the error was read twice, and gradients that meet are added.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Can the tape be trusted?
#
# Move one weight by a hair, run the whole model again, see how the loss moved. That is the
# derivative with no tape at all.
#
# **Claim.** For every weight array of a whole GPT the tape's gradient is the derivative.
#
# **What would prove it wrong.** A relative difference above one in a million, in float64, for any
# array of any of three models.


# %% slideshow={"slide_type": "subslide"}
def worst_gradient(seed, hair=1e-5):
    """Largest relative difference between the tape and finite differences."""
    config = gpt2(vocab_size=31, context=12, layers=2, heads=2, channels=16)
    model = Transformer(config, seed=seed, dtype=np.float64)
    rng = backend.rng(seed, "gradient check")
    text, wanted = rng.integers(0, 31, size=(2, 3, 12))
    model.loss(text, wanted).backward()
    gaps = []
    for array in model.parameters():
        way = rng.standard_normal(array.shape)
        way *= hair / np.linalg.norm(way)
        array.data += way
        rise = model.loss(text, wanted).item()
        array.data -= 2 * way
        rise -= model.loss(text, wanted).item()
        array.data += way
        gap = rise / 2 - (array.grad * way).sum()
        gaps.append(abs(gap) / (hair * np.linalg.norm(array.grad)))
    return max(gaps)


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
claim(
    "the tape's gradient of a whole GPT is its derivative",
    source="Baydin et al., arXiv 1502.05767",
    measure="largest relative difference from central differences over all weight arrays, float64",
    expected="below 1e-6",
    measured=[worst_gradient(seed) for seed in range(3)],
    holds=lambda gap: gap < 1e-6,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. A primitive
#
# The tape does not care how large a step is. Softmax could be four small steps: maximum,
# exponential, sum, quotient. Written as **one** step, the maths of both directions fits on a
# screen, and nothing in between has to be kept.

# %% tags=["hide-input"]
source(F.softmax)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Small steps or large ones?
#
# The package has its large primitives once more, taken apart. It uses the parts as soon as somebody
# replaces one of them, even with itself.
#
# **Claim.** Large steps halve the tape and save time.
#
# **What would prove it wrong.** A tape more than half as long, or one run of three in which the
# parts are as fast.

# %% slideshow={"slide_type": "subslide"}
PARTS = {name: getattr(F, name) for name in ("softmax", "log_softmax", "linear", "rope")}
config = gpt2(vocab_size=1024, context=128, layers=4, heads=4, channels=64)
model = Transformer(config)
rng = backend.rng(0, "texts")
text, wanted = rng.integers(0, 1024, size=(2, 4, 128))


def one_step(**replaced):
    """Steps on the tape, and seconds, of a loss and its gradient; the best of five."""
    with minilm.use(**replaced):
        steps, best = tape_steps(model.loss(text, wanted)), np.inf
        for _ in range(5):
            began = time.perf_counter()
            model.loss(text, wanted).backward()
            best = min(best, time.perf_counter() - began)
            model.zero_grad()
    return steps, best


one_step(), one_step(**PARTS)  # once for nothing: kernels are loaded on first use
raced = [(one_step(), one_step(**PARTS)) for _ in range(3)]

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
with figure(1, 2, alt="Large primitives: a shorter tape and less time than small ones.") as axes:
    names = ["small steps", "large steps"]
    bars(names, [raced[0][1][0], raced[0][0][0]], ylabel="steps on the tape", ax=axes[0])
    times = [[1000 * parts[1], 1000 * fused[1]] for fused, parts in raced]
    bars(names, times, ylabel="milliseconds, forward and back", ax=axes[1])

# %% tags=["hide-input"]
claim(
    "large primitives make the tape shorter and training faster",
    source="this lesson",
    measure="small steps / large steps: tape length and seconds of a GPT's loss and gradient",
    expected="length at least 2, time above 1",
    measured={
        "length": [parts[0] / fused[0] for fused, parts in raced],
        "time": [parts[1] / fused[1] for fused, parts in raced],
    },
    holds=lambda r: r["length"] >= 2 and r["time"] > 1,
    partly=lambda r: r["length"] >= 2,
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Attention is where it matters most
#
# Attention compares every token with every other: T x T weights. Small steps keep them all for the
# way back. The large primitive keeps its inputs, its output and one number per row, and computes
# the weights again.
#
# **Claim.** What attention keeps grows with the square of the text's length in small steps, and in
# proportion to it as one primitive. **What would prove it wrong.** From 512 to 1024 tokens, a
# growth that is not within 5 % of 4 times and 2 times.

# %%
lengths = [128, 256, 512, 1024]
kept = {"small steps": [], "one primitive": []}
for T in lengths:
    q, k, v = (minilm.tensor(backend.rng(i, T).standard_normal((1, 4, T, 16))) for i in range(3))
    for t in (q, k, v):
        t.data, t.requires_grad = t.data.astype(np.float32), True
    for name, replaced in (("small steps", {"softmax": F.softmax}), ("one primitive", {})):
        with minilm.use(**replaced):
            kept[name].append(tape_bytes(F.attention(q, k, v, causal=True)) / 1e6)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
lines(
    lengths,
    kept,
    xscale="log",
    yscale="log",
    xlabel="tokens of text",
    ylabel="MB kept for the way back",
    alt="Kept memory: quadratic in the length of the text in small steps, linear as one primitive.",
)

# %% tags=["hide-input"]
claim(
    "as one primitive, attention keeps memory in proportion to the text, not to its square",
    source="Dao et al., arXiv 2205.14135",
    measure="growth of the kept bytes from 512 to 1024 tokens",
    expected="4 ± 5 % in small steps, 2 ± 5 % as one",
    measured={name: [values[-1] / values[-2]] for name, values in kept.items()},
    holds=lambda r: abs(r["small steps"] - 4) < 0.2 and abs(r["one primitive"] - 2) < 0.1,
    exact=True,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. A kernel, three ways
#
# A primitive says *what*; a kernel says *how*. Each hot operation is told several times under one
# signature. First the formula, which everything else is tested against:

# %% tags=["hide-input"]
source(kernels.softmax.tier("reference"))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The loop that Numba compiles for this CPU
#
# Three visits to a row that stays in the cache, no arrays in between.

# %% tags=["hide-input"]
from minilm.kernels.softmax import cpu as softmax_cpu

source(softmax_cpu._softmax)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The kernel that a GPU runs
#
# One block of threads per row. They find the maximum together, in a tree; then the sum.

# %% tags=["hide-input"]
from minilm.kernels.softmax import cuda as softmax_cuda

source(softmax_cuda.softmax_rows)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The race
#
# The same scores for every tier that this machine has, three times.
#
# **Claim.** The compiled loop is at least twice as fast as the formula in NumPy.
#
# **What would prove it wrong.** One repetition of three in which it is not.

# %%
try:
    cupy = backend.cupy()
    print("GPU found:", cupy.cuda.runtime.getDeviceProperties(0)["name"].decode())
except minilm.InputError as why:
    cupy = None
    print(f"The CUDA tier sits this one out: {why}.")

# %% slideshow={"slide_type": "subslide"}
scores = backend.rng(0, "scores").standard_normal((2048, 512), dtype=np.float32)


def milliseconds(tier, x, rounds=15):
    """The best of some rounds of one softmax."""
    softmax, best = kernels.softmax.tier(tier), np.inf
    softmax(x)
    for _ in range(rounds):
        began = time.perf_counter()
        softmax(x)
        if tier == "cuda":
            cupy.cuda.Device().synchronize()
        best = min(best, time.perf_counter() - began)
    return 1000 * best


runners = {"reference": scores, "cpu": scores} | ({"cuda": cupy.asarray(scores)} if cupy else {})
rounds = [{tier: milliseconds(tier, x) for tier, x in runners.items()} for _ in range(3)]
race = {tier: [one[tier] for one in rounds] for tier in runners}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
called = {"reference": "NumPy formula", "cpu": "Numba on the CPU", "cuda": "CUDA C++ on the GPU"}
bars(
    [called[tier] for tier in race],
    np.transpose(list(race.values())),
    ylabel="ms for softmax of 2048 x 512",
    horizontal=False,
    alt="Milliseconds of each tier for the same softmax; the compiled ones are faster.",
)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
claim(
    "a compiled loop runs softmax at least twice as fast as NumPy's formula",
    source="this lesson",
    measure="time of the formula / time of the loop, 2048 x 512, best of 15, three times",
    expected="at least 2",
    measured=[slow / fast for slow, fast in zip(race["reference"], race["cpu"])],
    holds=lambda ratio: ratio >= 2,
    partly=lambda ratio: ratio > 1,
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The GPU's kernel, with no GPU
#
# The emulator runs it thread by thread, watches every access, and would say where two threads get
# into each other's way:

# %%
from minilm.emulator import emulate

few = scores[:4, :96].copy()
out = np.zeros_like(few)
report = emulate(softmax_cuda.softmax_rows, 4, softmax_cuda.THREADS, few, out)
print(f"largest difference from the formula: {np.abs(out - kernels.softmax(few)).max():.1e}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. A text, in tokens
#
# Every Python brings two megabytes of English: its own documentation. Some documents are held out,
# so that what the model knows of them it has not read. Byte-pair encoding joins the most frequent
# neighbours until there are 1024 tokens.

# %%
known, unseen = hold_out(data.documents("python-docs"))
tokenizer = train_bpe(known, 1024, special=["<|endoftext|>"])
train_ids, test_ids = (data.encode_documents(tokenizer, texts) for texts in (known, unseen))
print(f"{len(train_ids):,} tokens to learn from, {len(test_ids):,} to be tested on")
print(
    "|".join(tokenizer.decode([i]) for i in tokenizer.encode("Return the number of items in it."))
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A model that knows nothing
#
# Loss is measured in **bits per byte**: how many bits the model needs to write down the next byte
# of a text it has not seen. 8 is no knowledge at all. Counting what follows what gets far:

# %%
from minilm.analysis.ngram import KneserNey

sizes = tokenizer.byte_lengths[test_ids]
bits_of = {  # per token of the held-out text
    f"counting {name}": KneserNey(train_ids, order, 1024).bits(test_ids)
    for order, name in ((1, "tokens"), (2, "pairs"), (3, "triples"))
}
counted = {name: bits.sum() / sizes.sum() for name, bits in bits_of.items()}
for name, bits in counted.items():
    print(f"{bits:5.2f} bits per byte by {name}")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **Claim.** A GPT before its first step spreads its bets evenly: it pays $\ln V$ nats per token.
# **What would prove it wrong.** A fresh model, of three, that is 2 % away.

# %%
config = gpt2(vocab_size=1024, context=128, layers=2, heads=4, channels=128)
config = config.replace(positions="rope", norm="rms", bias=False)
x, y = next(data.batches(train_ids, batch=16, context=128))
fresh = [Transformer(config, seed=seed).loss(x, y).item() / np.log(1024) for seed in range(3)]

# %% tags=["hide-input"]
claim(
    "a fresh GPT bets evenly on all tokens",
    source="this lesson",
    measure="first loss / ln V",
    expected="1 ± 2 %",
    measured=fresh,
    holds=lambda ratio: abs(ratio - 1) < 0.02,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Training
#
# All there is to it, five lines: a batch, a loss, a gradient, a step, forget.

# %%
model = Transformer(config)
optimizer = AdamW(model.parameters(), lr=1e-3)
stream = data.batches(train_ids, batch=8, context=128)
for _ in range(3):
    x, y = next(stream)
    loss = model.loss(x, y)
    loss.backward()
    clip_grad_norm(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    print(f"{loss.item():.3f} nats per token")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What it writes as it learns
#
# The same loop from the package: it shares each batch between the cores and lowers the learning
# rate towards the end. Now and then the model goes on from "Return the".

# %%
model = Transformer(config)
opening = tokenizer.encode("Return the")


def watch(step, log):
    """Score the held-out text and let the model write."""
    bits = bits_per_byte(model, test_ids, tokenizer.byte_lengths, overlap=0, limit=16_000)
    log.add(step=step, bits_per_byte=bits)
    new = generate(model, opening, 40, temperature=0.5, top_k=20, seed=1)
    line = " ".join(tokenizer.decode([*opening, *new]).split())
    return [f"{step:5d}  {bits:.2f} bits  {line[:54]}"]


run = train(model, train_ids, steps=800, batch=8, lr=5e-3, report=watch)
print(f"{model.num_parameters():,} parameters, {run.seconds:.0f} s of training")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
steps, bits = run.log.column("bits_per_byte")
lines(
    steps,
    {"this GPT": bits},
    expected=counted,
    xlabel="step of training",
    ylabel="bits per byte, held-out text",
    alt="Held-out bits per byte fall below counting single tokens, then below counting pairs.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Is it better than counting yet?
#
# **Claim.** Half a minute of training beats counting. **What would prove it wrong.** A third of the
# held-out text that triples predict better than the GPT. If only pairs are beaten: partly.

# %%
thirds = np.array_split(np.arange(len(test_ids)), 3)
against = {name: [] for name in ("this GPT", "counting pairs", "counting triples")}
for part in thirds:
    scored = bits_per_byte(model, test_ids[part], tokenizer.byte_lengths)
    against["this GPT"].append(scored)
    for name in list(against)[1:]:
        against[name].append(bits_of[name][part].sum() / sizes[part].sum())

# %% tags=["hide-input"]
claim(
    "half a minute of training beats counting",
    source="this lesson",
    measure="bits per byte on three thirds of the held-out text",
    expected="the GPT below triples",
    measured=against,
    holds=lambda r: r["this GPT"] < r["counting triples"],
    partly=lambda r: r["this GPT"] < r["counting pairs"],
    note="One model; the three values are three parts of the text. Train it longer: minilm train.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. How far does it look back?
#
# The trained model, unchanged, but each token may look at no more than the last w tokens.
#
# **Claim.** It has learnt to use what lies far behind, not only the neighbour. **What would prove
# it wrong.** In any third of the held-out text, 32 tokens of sight are not at least 3 % better than 2.

# %%
windows = [1, 2, 4, 8, 16, 32, 128]
seen = np.zeros((3, len(windows)))
for column, window in enumerate(windows):
    model.config = config.replace(window=window)
    for row, part in enumerate(thirds):
        seen[row, column] = bits_per_byte(
            model, test_ids[part], tokenizer.byte_lengths, overlap=0, limit=6_000
        )
model.config = config

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
lines(
    windows,
    {"this GPT": seen},
    xscale="log",
    xlabel="tokens that attention may look back at",
    ylabel="bits per byte",
    alt="The farther attention may look back, the fewer bits per byte the same model needs.",
)

# %% tags=["hide-input"]
claim(
    "the trained GPT uses tokens far behind, not only its neighbour",
    source="this lesson",
    measure="bits per byte with sight of 2 tokens / of 32, on three parts of the held-out text",
    expected="at least 1.03",
    measured=seen[:, windows.index(2)] / seen[:, windows.index(32)],
    holds=lambda ratio: ratio >= 1.03,
    partly=lambda ratio: ratio > 1,
    note="One model; the three values are three parts of the text.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. See where it looks
#
# Any function of the package can be replaced for the length of a block. A softmax of our own, which
# keeps a copy of what it returns, is all it takes to look inside:


# %%
def attention_of(text):
    """Tokens (T,) and attention weights (layers, heads, T, T) of the model above for a text."""
    maps = []

    def softmax(scores):
        maps.append(kernels.softmax(scores))
        return maps[-1]

    ids = tokenizer.encode(text, disallowed_special=())[:16]
    with minilm.use(softmax=softmax), minilm.no_grad():
        model(np.array([ids]))
    return [tokenizer.decode([i]).replace(" ", "·") for i in ids], np.stack(maps)[:, 0]


# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Type a sentence
#
# A row is a token that looks, a column one that it looks at. The first 16 tokens are shown.


# %% tags=["hide-input"]
def look(sentence, layer, head):
    """The attention map of one head for a sentence."""
    tokens, maps = attention_of(sentence or " ")
    heatmap(
        np.where(np.tri(len(tokens), dtype=bool), maps[layer - 1, head - 1], np.nan),
        xlabels=tokens,
        ylabels=tokens,
        numbers=None,
        low=0.0,
        high=1.0,
        unit="weight",
        title=f"layer {layer}, head {head}",
        alt=f"Attention of layer {layer}, head {head}: which token each token looks at.",
    )


interact(
    look,
    sentence="Return the number of items in the list.",
    layer=(1, config.layers, 1, 2),
    head=(1, config.heads, 1, 1),
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What to keep
#
# 1. A model is arrays; a **tape** of pullbacks turns a loss into a gradient, and it can be checked.
# 2. **Large primitives** keep the tape short. For attention that is the difference between T and T².
# 3. A **kernel** is told as a formula, as a loop, and for a GPU, and all three must agree.
# 4. Every function can be **yours**: `with minilm.use(softmax=mine): ...`
#
# Next: `exercises/00_start_here.ipynb`, where you write eight of these functions, and lesson 01.
