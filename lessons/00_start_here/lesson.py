# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Start here: from an array to a model that writes"
#   talk: "The house that the talks are held in"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # From an array to a model that writes
#
# ![The price of an unseen text falls while a GPT is trained](00_start_here/opening.png)
#
# **Bet first.** After half a minute of training, how often will a GPT's *first* guess, one of 1,024
# tokens, be the right one? Chance is 0.1 %. Write down your number.

# %% [markdown] slideshow={"slide_type": "skip"}
# **25 minutes to read, one minute to run**, on two processor cores and offline. You need Python,
# NumPy's arrays, and an idea of what a derivative is.

# %% [markdown] slideshow={"slide_type": "notes"}
# Three minutes. Everyone writes down a percentage, and one reason for it. The picture shows the run
# that is made live in section 3; the dashed lines only count. Promise the room that by the end
# nothing in that curve will be magic: each part is built in the open, and then built again by the
# students in the exercises.

# %% slideshow={"slide_type": "skip"}
import itertools

import numpy as np
from numba import njit

import minilm
from minilm import backend, data, kernels
from minilm import functional as F
from minilm.analysis.ngram import KneserNey
from minilm.course import budget, claim, interact, lesson_folder, seeds, source, tape_bytes
from minilm.data.held_out import hold_out
from minilm.models import Transformer, gpt2
from minilm.models import gpt as screen
from minilm.optim import AdamW, clip_grad_norm
from minilm.tokenizers import bpe_basic, train_bpe
from minilm.train import bits_per_byte, train

here = lesson_folder("00")
pictures, longer, ours = here.pictures, here.study("longer"), here.module("turned_gpt")
SEEDS = seeds()
backend.keep_freed_memory()

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The way through
#
# 1. A **price** for a guess, so that models can be compared
# 2. **Tokens**: the pieces that are guessed
# 3. A GPT, **trained** here in one cell, beside tables that count
# 4. All of it on **one screen**: fifty lines of NumPy
# 5. How it learns: a **tape** of derivatives, then one **step**
# 6. How it **writes**, and why it is **fast**

# %% [markdown] slideshow={"slide_type": "skip"}
# This is the front door of the course. Later lessons each take a talk of Stanford's CS25 and
# measure what it claims. This one has no talk. It builds the house that they all live in: a small
# library called `minilm`, written in NumPy, in which nothing is hidden. Its first resident is a
# GPT, a *generative pre-trained transformer*: a function that was trained on text, and now bets on
# how a text goes on.
#
# The page is an article that runs. Read a paragraph, run the cell below it, change a number, run it
# again. Where a figure is coming, stop and say aloud what you expect: a wrong guess teaches more
# than a right answer that was only read. A coloured card is a **verdict**: a claim that was written
# down before the run, with what the run made of it. Some of them fail, and stay on the page.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. A price for a guess
#
# A language model plays one game. It sees the beginning of a text, and bets on everything that may
# come next. Then the next piece is uncovered, and the model pays for the share $p$ it had put on
# it:
#
# $$\text{price} = -\log_2 p \;\text{ bits}$$
#
# *By hand.* The text is `the`. The model had bet 1/4 on **t**, then 1/2 on **h**, then everything
# on **e**. It pays 2 + 1 + 0 = 3 bits, for three bytes of text: **1 bit per byte**.

# %%
shares = np.array([1 / 4, 1 / 2, 1])  # what had been bet on t, on h, on e
bits = np.log2(1 / shares)  # the same as -log2
print(bits, "->", bits.sum() / len("the"), "bit per byte")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.price()

# %% [markdown] slideshow={"slide_type": "skip"}
# Why a logarithm? Because bets multiply and prices should add. The share of the whole word is 1/4
# times 1/2 times 1, which is 1/8, and three bits are just what it takes to name one of eight
# things. A model that pays 1 bit per byte could pack a text into an eighth of its size. So the
# price is not a convention: it is the length of the shortest message the model can write.
#
# A model that knows nothing bets evenly on all 256 bytes and pays 8 bits for each. English is
# predictable, and a good model needs less than 1. You will also meet **nats**, the same price with
# the natural logarithm; one bit is 0.693 nats. Training uses nats because their derivative is
# simpler. We compare models in bits *per byte*, since a model with larger tokens guesses less
# often.
#
# *A model that bets well pays little, and one that is sure and wrong pays without limit.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. Text becomes tokens
#
# Bytes are too small to guess one by one, and words are too many. **Byte-pair encoding** sits in
# between: find the two neighbours that occur together most often, join them, and repeat.
#
# *By hand.* In `banana`, **an** occurs twice, **na** twice, **ba** once. Join **an** (a tie goes to
# the smaller pair): b·an·an·a. Six bytes have become four tokens.

# %%
[pair] = bpe_basic.train(list(b"banana"), merges=1)
print(bytes(pair), "becomes token 256:", bpe_basic.encode(list(b"banana"), [pair]))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A text that every machine has
#
# Every Python brings some megabytes of English: its own documentation. A twentieth is **held out**:
# whole documents that share hardly a phrase with the rest. The model never reads them, and is
# tested on nothing else.

# %%
known, unseen = hold_out(data.documents("python-docs"), seed=SEEDS[0])
tokenizer = train_bpe(known, 1024, special=["<|endoftext|>"])
train_ids, test_ids = (data.encode_documents(tokenizer, texts) for texts in (known, unseen))
sizes = tokenizer.byte_lengths[test_ids]  # bytes that each held-out token stands for
print(f"{len(train_ids):,} tokens to learn from, {len(test_ids):,} to be tested on")
print("|".join(tokenizer.decode([i]) for i in tokenizer.encode("Return the number of items.")))

# %% [markdown] slideshow={"slide_type": "notes"}
# Two minutes. Ask which words of the last line became one token, and why: those that documentation
# is full of. From here on a text is an array of numbers below 1,024, and two letters name its
# shape: B texts of T tokens are an array (B, T). The model's targets are the same array, one place
# later.
#
# *A model never sees letters: it sees which of 1,024 pieces came, and bets on the next.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. A GPT beside a table
#
# The cheapest opponent only counts. It asks which token was frequent, which followed the one
# before, which followed the two before (with Kneser-Ney's rule for what was never seen). No
# training, no layers. Anything that calls itself a model has to beat it.

# %%
counters = {name: KneserNey(train_ids, order, 1024) for name, order in longer.ORDERS.items()}
bits_of = {f"counting {name}": one.bits(test_ids) for name, one in counters.items()}  # per token
counted = {name: bits.sum() / sizes.sum() for name, bits in bits_of.items()}
print({name: f"{price:.2f} bits per byte" for name, price in counted.items()})

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The one cell
#
# A GPT of half a million numbers, at first all drawn at random. So it bets almost evenly on 1,024
# tokens, and pays about 10 bits for each that comes. Then come 800 steps. Now and then the model is
# scored on held-out text, and goes on from "Return the". At which step will it pass the table of
# pairs? Of triples?

# %%
config = gpt2(vocab_size=1024, context=128, layers=2, heads=4, channels=128, positions="rope")
model = Transformer(config, seed=SEEDS[0])
watch = pictures.watcher(model, tokenizer, test_ids, "Return the")
run = train(model, train_ids, steps=budget(800), batch=8, lr=5e-3, seed=SEEDS[0], report=watch)
if run.interrupted:
    raise minilm.InputError("training was interrupted; run this cell again before you go on")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.learning(*run.log.column("price"), counted)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Is it better than counting?
#
# **Claim.** Half a minute of training beats counting. **What would prove it wrong.** A third of the
# held-out text on which triples are cheaper. If it beats pairs and not triples: partly.

# %%
thirds = np.array_split(np.arange(len(test_ids)), 3)
against = {"this GPT": [bits_per_byte(model, test_ids[t], tokenizer.byte_lengths) for t in thirds]}
for name in ("counting pairs", "counting triples"):
    against[name] = [bits_of[name][t].sum() / sizes[t].sum() for t in thirds]
guesses = [longer.first_guesses(model, counters["triples"], test_ids[t]) for t in thirds]
against["first guess right, GPT"], against["first guess right, triples"] = zip(*guesses)

# %% tags=["hide-input"]
claim(
    "half a minute of training beats counting",
    source="this lesson",
    measure="bits per byte, and how often the first guess is right, on thirds of the held-out text",
    expected="the GPT's bits below those of triples",
    measured=against,
    holds=lambda r: r["this GPT"] < r["counting triples"],
    partly=lambda r: r["this GPT"] < r["counting pairs"],
    over="parts of the text",
    says=pictures.paid(against),
    kind="package",
)

# %% [markdown] slideshow={"slide_type": "notes"}
# Two minutes. Two things are worth saying. Counting is a strong opponent, and
# a model that has not been compared with it has not been tested. And a table of triples is finished
# on the day it is made: it cannot be trained for longer.
#
# Read the lines that the model wrote under the cell of the training from top to bottom. First it
# learns which tokens are frequent, then how words are spelt, then what a sentence of documentation
# looks like. Nobody told it any of this. It was only ever asked to pay less.
#
# Why is the table so good so early? It reads the text once and has a million facts. The GPT starts
# with half a million random numbers and moves each a little, 800 times. But its numbers are shared:
# what it learns about `the number of` helps with `the number in`, which a table files as something
# else. So a table is better at what it has seen, and a model, given time, at what it has not.
#
# *Before you admire a model, ask what a table would have done.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. All of it on one screen
#
# What was trained? A function from T tokens to T bets. Each token becomes a row of C = 128 numbers,
# and two blocks rewrite the rows. In a block, tokens first **look** at earlier ones, then each
# **thinks** for itself. The last rows are compared with every token of the vocabulary.

# %% tags=["hide-input"]
pictures.flow()

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## Looking, by hand
#
# To look is to take a mean of what others offer, weighted by how well each fits. Fits are any
# numbers; **softmax** turns them into shares: exponentials, divided by their sum.
#
# Three tokens fit with scores 0, ln 2 and ln 5. Their exponentials are 1, 2 and 5, which add up to
# 8: the shares are 1/8, 2/8, 5/8. If the tokens offer 8, 4 and 0, what is taken up is 1 + 1 + 0 =
# **2**.

# %%
scores, offered = np.log([1.0, 2.0, 5.0]), np.array([8.0, 4.0, 0.0])
shares = np.exp(scores) / np.exp(scores).sum()
print(shares, "->", round(shares @ offered, 6))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The small parts
#
# Before each step a row is brought to mean 0 and variance 1: **layer norm**. By hand: the row 1, 3
# has mean 2 and variance 1, and becomes −1, 1.

# %% tags=["hide-input"]
source(screen.embed, screen.layer_norm, screen.softmax)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Attention
#
# Every token makes a query (what it seeks), a key (what it answers to) and a value (what it
# offers). Scores are products of queries and keys. Nobody may look into the future.

# %% tags=["hide-input"]
source(screen.attention)

# %% [markdown] slideshow={"slide_type": "notes"}
# Four minutes: go through the shapes, line by line. One product makes queries, keys and values at
# once, (T, 3 C). They are cut into H = 4 **heads** of D = 32 channels, and each head looks for
# something of its own. The division by √D keeps the scores from growing with D, for a sum of D
# products is about √D in size. −∞ before the softmax is a share of exactly 0 after it: that is all
# that "nobody looks into the future" means. Lesson 01 works a whole head by hand.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Thinking
#
# Two linear maps with a bend between them; without it both would be one map. The bend is **GELU**:
# x times the share of a normal distribution below x, $x\,\Phi(x)$. By hand: 84 % lie below 1, so
# gelu(1) = 0.84; 16 % lie below −1, so gelu(−1) = −0.16. Its slope is $\Phi(x) + x\,\varphi(x)$, by
# the rule for products: the share grows as fast as the bell curve φ is high. At 0 that is ½. The
# code uses a close formula with tanh, as GPT-2 does.

# %% tags=["hide-input"]
source(screen.gelu, screen.feed_forward)

# %% [markdown] slideshow={"slide_type": "notes"}
# Ask why both lines of `block` say `x + ...`. Each step only adds to the rows, so what an early
# token said is still there at the end, and a gradient can walk back along the sum without being
# weakened. The arrow in the picture is this sum. It is what makes deep stacks of blocks trainable
# at all.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
source(screen.block, screen.gpt, screen.part)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Ours differs in one place
#
# That was GPT-2. The package's `Transformer` computes the same, with gradients and for many texts
# at a time. GPT-2 *adds* a learnt row for each place in the text. Ours **turns** queries and keys
# by an angle that grows with the place, so that a score depends on the distance (RoPE, lesson 01).
# It learns sooner.

# %%
shape = gpt2(vocab_size=50, context=12, layers=3, heads=4, channels=32)
small, pi = Transformer(shape, dtype=np.float64), [3, 1, 4, 1, 5, 9, 2, 6]
on_screen, packed = screen.gpt(pi, small.state_dict(), heads=4), small(np.array([pi])).data[0]
assert np.abs(on_screen - packed).max() < 1e-12

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
source(ours.turned, ours.attention)

# %% slideshow={"slide_type": "subslide"}
ids = tokenizer.encode("Return the number of items in the")
logits = ours.gpt(ids, model.state_dict(), heads=4)  # (T, V), with no package behind it
gap = np.abs(logits - model(np.array([ids])).data).max()
assert gap < 1e-3
print(f"the model that was trained, and its one screen: largest difference {gap:.0e}")
likeliest = logits[-1].argsort()[:-6:-1]  # (V,) -> the five of highest score
print("after 'in the':", [tokenizer.decode([i]) for i in likeliest])

# %% [markdown] slideshow={"slide_type": "skip"}
# One trap, since you will write these functions yourself. NumPy widens numbers quietly, and a
# float64 array costs twice the memory and time: `x / np.sqrt(np.int64(4))` is float64 even where x
# is float32. No function of the package does that, and the exercises ask the same of yours.
#
# *A GPT is a few matrix products, a weighted mean and a bend, twice over.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How far does it look back?
#
# The trained model, unchanged, but each token may look at no more than the last w tokens.
#
# **Claim.** It has learnt to use what lies far behind, not only the neighbour. **What would prove
# it wrong.** A third of the text on which 32 tokens of sight are not at least 3 % cheaper than 2.

# %%
windows = [1, 2, 4, 8, 16, 32, 128]
seen, right = np.zeros((2, 3, len(windows)))  # bits per byte, share right: thirds x windows
for column, window in enumerate(windows):
    model.config = config.replace(window=window)
    for row, part in enumerate(test_ids[t] for t in thirds):
        seen[row, column] = bits_per_byte(model, part, tokenizer.byte_lengths, limit=6_000)
        right[row, column] = longer.first_guesses(model, None, part)[0]  # of the first guesses
model.config = config

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.sight(windows, seen)
gain = seen[:, windows.index(2)] / seen[:, windows.index(32)]
claim(
    "the trained GPT uses tokens far behind, not only its neighbour",
    source="this lesson",
    measure="bits per byte with sight of 2 tokens / of 32",
    expected="at least 1.03",
    measured=gain,
    holds=lambda ratio: ratio >= 1.03,
    over="parts of the text",
    says=f"with a sight of 2 tokens the same GPT pays {np.mean(gain) - 1:.0%} more than with 32",
    note=f"Its first guess is right {right[:, windows.index(2)].mean():.0%} and "
    f"{right[:, windows.index(32)].mean():.0%} of the time.",
    kind="package",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## See where it looks
#
# Any function of the package can be replaced for the length of a block. A softmax that keeps a copy
# of what it returns is all it takes to look inside.


# %%
def attention_of(text):
    """Tokens, and the shares (layers, heads, T, T) of the trained model's attention."""
    maps = []

    def softmax(scores):
        maps.append(kernels.softmax(scores))  # (1, H, T, T)
        return maps[-1]

    ids = tokenizer.encode(text or " ", disallowed_special=())[:16]
    with minilm.use(softmax=softmax), minilm.no_grad():
        model(np.array([ids]))
    return [tokenizer.decode([i]) for i in ids], np.stack(maps)[:, 0]


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
look = pictures.looker(attention_of)
interact(
    look, sentence="Return the number of items in the list.", layer=(1, 2, 1, 2), head=(1, 4, 1, 1)
)

# %% [markdown] slideshow={"slide_type": "notes"}
# Three minutes. A row is a token that looks, a column one that it looks at; each row adds up to 1.
# Try layer 1 first: some head nearly always looks one token back. Then let the room suggest a
# sentence in which one word occurs twice. *Replace one function, and the model shows you what it
# does.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. How it learns: a tape
#
# To learn, a model must know how the price changes with each of its numbers. So each operation
# leaves a note: how to send a gradient **back** to what it was made of. The notes are the *tape*;
# one note is called a **pullback**.
#
# *By hand.* error = w x + b − y, with w = 3, x = 2, b = −2, y = 3. Forward: w x is 6, with b it is
# 4, less y it is **1**, and the square is 1 too. Back: the square sends 2 · 1 = 2 to the error,
# addition passes it on to b, and multiplication gives w the 2 times x: **4**.
#
# *Check.* With w = 3.001 the error is 1.002 and its square 1.004: 4 times as far as w moved.


# %% slideshow={"slide_type": "subslide"}
class Number:
    """A number that knows what it was made of, and how to send a gradient back to it."""

    def __init__(self, value, inputs=(), pullback=lambda g: ()):
        self.value, self.inputs, self.pullback, self.grad = value, inputs, pullback, 0.0

    def __add__(self, other):
        return Number(self.value + other.value, (self, other), lambda g: (g, g))

    def __sub__(self, other):
        return Number(self.value - other.value, (self, other), lambda g: (g, -g))

    def __mul__(self, other):
        back = lambda g: (g * other.value, g * self.value)  # noqa: E731
        return Number(self.value * other.value, (self, other), back)


# %% slideshow={"slide_type": "subslide"}
def backward(loss):
    """Walk the tape from its end; where gradients meet, they are added."""
    tape = []

    def lay_out(number):  # what a number was made of comes before it
        if number not in tape:
            for made_of in number.inputs:
                lay_out(made_of)
            tape.append(number)

    lay_out(loss)
    loss.grad = 1.0
    for number in reversed(tape):
        for made_of, g in zip(number.inputs, number.pullback(number.grad)):
            made_of.grad += g


w, x, b, y = map(Number, (3.0, 2.0, -2.0, 3.0))
error = w * x + b - y
backward(error * error)
print("gradient of w:", w.grad, "  of b:", b.grad)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Step through it
#
# The package's tape does the same with arrays. Blue: values, as the expression runs. Orange:
# gradients, as `backward` walks back. Before you drag: which number will be read twice?

# %% tags=["hide-input"]
view, theirs = pictures.tape_of({"w": w.value, "x": x.value, "b": b.value, "y": y.value})
interact(view.draw, step=(0, view.steps, 1, view.steps))

# %% slideshow={"slide_type": "skip"}
assert (theirs["w"].grad.item(), theirs["b"].grad.item()) == (w.grad, b.grad)  # as ours

# %% [markdown] slideshow={"slide_type": "skip"}
# Step through it once, slowly. Four operations run forward. Then 1 arrives at the end, for the
# price changes as fast as itself. The square is a product of the error with itself, so the error is
# read twice, gets a gradient of 1 from each side, and 1 + 1 = 2. That sum is the one rule that a
# tape needs beyond the pullbacks.
#
# With arrays there is a second kind of sum. If an argument was *repeated*, as a row that is added
# to each row of a matrix, then it was read many times, and its gradient is the sum over the
# repetitions. This is question 7 of the exercises.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Can a tape be trusted?
#
# Move one array of weights by a hair, up and down, and see how the loss moves. That is the
# derivative, with no tape at all. **Claim.** For every weight array of a whole GPT the tape gives
# the same. **What would prove it wrong.** A relative difference above one in a million, in float64,
# in one of three models.


# %% slideshow={"slide_type": "subslide"}
def worst_gradient(seed, hair=1e-5):
    """Largest relative difference between the tape and central differences."""
    config = gpt2(vocab_size=31, context=12, layers=2, heads=2, channels=16)
    model, gaps = Transformer(config, seed=seed, dtype=np.float64), []
    rng = backend.rng(seed, "hair")
    text, wanted = rng.integers(0, 31, size=(2, 3, 12))  # (B, T) each
    model.loss(text, wanted).backward()
    for array in model.parameters():
        start, way, prices = array.data.copy(), rng.standard_normal(array.shape), []
        for side in (hair, -hair, 0.0):
            array.data[...] = start + side * way
            prices.append(model.loss(text, wanted).item())
        gap = (prices[0] - prices[1]) / (2 * hair) - (array.grad * way).sum()
        gaps.append(abs(gap) / (np.linalg.norm(array.grad) * np.linalg.norm(way)))
    return max(gaps)


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
gaps = [worst_gradient(seed) for seed in SEEDS]
claim(
    "the tape's gradient of a whole GPT is its derivative",
    source="Baydin et al., arXiv 1502.05767",
    measure="largest relative difference from central differences over all weight arrays, float64",
    expected="below 1e-6",
    measured=gaps,
    holds=lambda gap: gap < 1e-6,
    seeds=SEEDS,
    says=f"over all weight arrays of three GPTs the largest relative difference is {max(gaps):.0e}",
    kind="identity",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. One step
#
# A batch, a price, a gradient, a step, forget: the whole of training.
#
# **AdamW** makes the step. It keeps two running means per weight, of the gradient (m) and of its
# square (v), and moves the weight by lr · m / (√v + ε). *By hand.* The first gradient is 2. Both
# means start at 0 and are corrected for that, so m = 2, √v = 2, and the step is lr · 2/2 = **lr**.
# A gradient of 200 gives the same first step: only signs and steadiness count. The W: each step
# also takes a small share off the weight itself.

# %% slideshow={"slide_type": "subslide"}
pupil, losses = Transformer(config, seed=SEEDS[0]), []
optimizer = AdamW(pupil.parameters(), lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
stream = data.batches(train_ids, batch=8, context=128, seed=SEEDS[0])
for x, y in itertools.islice(stream, 6):  # (B, T) and the same, one place later
    loss = pupil.loss(x, y)  # the mean price in nats: softmax, then -log of what came
    loss.backward()  # the tape, walked back
    clip_grad_norm(pupil.parameters(), 1.0)  # no batch may shout
    optimizer.step()
    optimizer.zero_grad()
    losses.append(round(loss.item(), 3))
print("nats per token:", losses)

# %% [markdown] slideshow={"slide_type": "skip"}
# The first gradient of all is the simplest. For a softmax followed by −log, the derivative with
# respect to the scores is *shares minus truth*. If the shares were 1/4 and 3/4 and the second token
# came, it is (1/4, 3/4 − 1) = (1/4, −1/4): push the first score down, the second up, each as far as
# it was wrong. From there the tape carries it back through the screen of section 4.
#
# *Learning is betting, paying, and moving every number a little to where paying would have been
# less.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. How it writes
#
# The model bets, one token is drawn, and the longer text goes in again. Drawing from all 1,024
# tokens now and then picks a silly one. **Nucleus sampling** keeps only the fewest likeliest tokens
# that together hold a share p. The others get a score of −∞, and so a share of 0.
#
# *By hand.* Shares 0.5, 0.3, 0.15, 0.05 and p = 0.7: 0.5 alone is too little, 0.5 + 0.3 is enough.
# **Two tokens stay.** Predict: will p = 0.9 keep more tokens after "Return the" or after "number
# of"?

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
interact(pictures.writer(model, tokenizer), text="Return the", p=(0.05, 1.0, 0.05, 0.5))

# %% [markdown] slideshow={"slide_type": "notes"}
# Three minutes. Two blunter tools do a similar job: **top-k** keeps the k likeliest tokens whatever
# they hold, and a **temperature** below 1 makes all shares more unequal. The samples of section 3
# used both. Now move p. Small p: the text is safe and soon goes round in circles. p = 1: every so
# often one token of a thousand rare ones is drawn, and the sentence never recovers. *A model gives
# shares; what is written is a choice that we make.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. Why it is fast
#
# The tape does not care how large a step is. Softmax could be four small ones: maximum,
# exponential, sum, quotient. Written as **one**, with its own pullback, it leaves one note. We call
# such a step a **primitive**. The package has its large primitives once more, taken apart, and uses
# the parts as soon as somebody replaces one of them, even with itself.
#
# **Claim.** Large steps halve the tape and save time. **What would prove it wrong.** A tape more
# than half as long, or one race of three that the parts win.

# %% slideshow={"slide_type": "skip"}
raced = pictures.steps_raced(SEEDS[0])  # way -> (steps on the tape, seconds), three times
small, large = np.array(raced["small steps"]), np.array(raced["large steps"])  # (3, 2) each
ratio = dict(zip(("length", "time"), (small / large).T))

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.small_and_large(raced)
claim(
    "large primitives make the tape shorter and training faster",
    source="this lesson",
    measure="small steps / large steps: tape length and seconds of a GPT's loss and gradient",
    expected="length at least 2, time above 1",
    measured=ratio,
    holds=lambda r: r["length"] >= 2 and r["time"] > 1,
    over="repeats",
    says=f"in small steps the tape is {ratio['length'][0]:.1f} times as long and a step takes "
    f"{np.mean(ratio['time']):.1f} times the time",
    kind="package",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Attention is where it matters most
#
# Every token is compared with every other: T × T shares. Small steps keep them all for the way
# back. The large primitive keeps one number per row and computes the shares again. **Claim.** What
# is kept grows with the square of the text in small steps, and in proportion to it as one. **What
# would prove it wrong.** From 512 to 1,024 tokens, a growth that is not within 5 % of 4 and of 2.

# %%
lengths, kept = [128, 256, 512, 1024], {"small steps": [], "one primitive": []}
for T in lengths:
    arrays = backend.rng(T, "q, k, v").standard_normal((3, 1, 4, T, 16), dtype=np.float32)
    q, k, v = (minilm.tensor(array, requires_grad=True) for array in arrays)  # (B, H, T, D)
    for name, replaced in (("small steps", {"softmax": F.softmax}), ("one primitive", {})):
        with minilm.use(**replaced):
            kept[name].append(tape_bytes(F.attention(q, k, v, causal=True)) / 1e6)
growth = {name: [values[-1] / values[-2]] for name, values in kept.items()}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.memory(lengths, kept)
claim(
    "as one primitive, attention keeps memory in proportion to the text, not to its square",
    source="Dao et al., arXiv 2205.14135",
    measure="growth of the kept bytes from 512 to 1024 tokens",
    expected="4 ± 5 % in small steps, 2 ± 5 % as one",
    measured=growth,
    holds=lambda r: abs(r["small steps"] - 4) < 0.2 and abs(r["one primitive"] - 2) < 0.1,
    exact=True,
    says=f"twice the text keeps {growth['small steps'][0]:.2f} times the memory in small steps and "
    f"{growth['one primitive'][0]:.2f} times as one primitive",
    kind="paper",
)

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## A kernel, told three ways
#
# A primitive says *what*; a **kernel** says *how*. Each is told as a formula (`screen.softmax`
# above), as a loop that Numba compiles for this processor, and as a program for a GPU. All must
# agree. The loop:


# %%
@njit(fastmath=True)
def softmax_loop(x, y):
    """y = softmax of the rows of x (N, C): each row stays in the cache for three visits."""
    for i in range(x.shape[0]):
        top, total = x[i].max(), np.float32(0)
        for j in range(x.shape[1]):
            y[i, j] = np.exp(x[i, j] - top)
            total += y[i, j]
        for j in range(x.shape[1]):
            y[i, j] /= total


scores = backend.rng(SEEDS[0], "scores").standard_normal((2048, 512), dtype=np.float32)
softmax_loop(scores, out := np.empty_like(scores))  # compiles
assert np.allclose(out, screen.softmax(scores), atol=1e-6)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.race(scores, screen.softmax, softmax_loop)

# %% [markdown] slideshow={"slide_type": "skip"}
# Two things tell them apart. Each NumPy call reads a whole array and writes a whole array, while a
# loop reads a row once and keeps it near: a saving that counts when arrays outgrow the caches. The
# package's loop also computes eight exponentials at a time, where ours asks for one after another.
# Lesson 00b is about the first; there the third telling runs too: on a GPU, or in an emulator of one.
#
# *The same arithmetic can be slow or fast; what decides is how it is laid out for the machine.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What came out
#
# - **As claimed:** the tape is the derivative, large primitives are shorter and faster, attention
#   need not keep T × T numbers, the model looks far back.
# - **Not as claimed:** half a minute does not beat a table of triples, in bits or in first guesses.
# - **Not measured:** how much longer it takes to overtake triples (`minilm study run 00/longer
#   --out longer.json` asks that, and takes its time), whether a larger model would do it sooner
#   (lesson 02), other texts, and what a GPU would make of it (lesson 00b).
#
# **One more question.** The table of triples knows a million tokens by heart. What would the race
# look like with ten times the text: who gains more?
#
# Now write it yourself: the [exercise set](../exercises/00_start_here.ipynb) begins with two
# functions that take two minutes each, and your functions then run the real model.
