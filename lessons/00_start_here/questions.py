# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Start here: ten pieces of a language model"
# ---

# %% [markdown]
# # Ten pieces of a language model
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function into the real model**.
#
# The first two take two minutes each. The stars say how hard a question is, from ★ to ★★★, and the
# hints below it are folded away: open the next one only when you are stuck.
#
# Arrays are NumPy's. The dtype that comes in goes out: float32 for float32, float64 for float64.
# Leave your arguments as they are, unless a question says otherwise. Everything asked for here stands in [the
# lesson](../lessons/00_start_here.ipynb).

# %%
import math

import numpy as np

import minilm
from minilm.course import bars, check, heatmap, lines, payoff
from minilm.models import Transformer, gpt2

# %% [markdown]
# ## 1. The price of a guess (★, 2 minutes)
#
# `bits_per_byte(shares, lengths)`: `shares` (N,) is what a model had bet on each token that came,
# `lengths` (N,) how many bytes that token stands for. A share $p$ costs $-\log_2 p$ bits. Return
# one number: all the bits, divided by all the bytes. About 1 line.
#
# *By hand.* Shares 1/4, 1/2, 1 cost 2 + 1 + 0 = 3 bits. If the tokens have 1, 1 and 2 bytes, that
# is 3 bits for 4 bytes: 0.75.
#
# <details><summary>Hint 1</summary>NumPy has the logarithm to base 2: <code>np.log2</code>.</details>
# <details><summary>Hint 2</summary>Sum first, divide once: a long token weighs more than a short
# one.</details>
# <details><summary>Hint 3</summary>A sum of <code>-np.log2(shares)</code> over a sum of
# <code>lengths</code>.</details>


# %%
def bits_per_byte(shares, lengths):
    """Bits that the guesses cost, per byte of the text; one number."""
    ### BEGIN SOLUTION
    return -np.log2(shares).sum() / lengths.sum()
    ### END SOLUTION


# %%
check("bits_per_byte")


# %% tags=["payoff"]
@payoff("bits_per_byte")
def four_guessers_of_one_sentence():
    """A sentence, byte by byte, guessed by ever better counters; your function names the price."""
    from minilm.analysis.ngram import KneserNey

    said = "to be or not to be, that is the question: whether it is nobler to be or not to be. "
    known, asked = (np.frombuffer(text.encode(), np.uint8) for text in (said * 3, said))
    prices = {"knows nothing": bits_per_byte(np.full(len(asked), 1 / 256), np.ones(len(asked)))}
    for order, name in ((1, "counts letters"), (2, "counts pairs"), (4, "counts fours")):
        shares = 2.0 ** -KneserNey(known, order, 256).bits(asked)
        prices[name] = bits_per_byte(shares, np.ones(len(asked)))
    bars(
        list(prices),
        list(prices.values()),
        ylabel="bits per byte",
        numbers="{:.2f}",
        alt="The price falls from 8 bits per byte with no knowledge to less than 1 by fours.",
    )


# %% [markdown]
# ## 2. A derivative with no tape (★, 2 minutes)
#
# `slope(f, x, h)`: `f` takes one number and returns one. Move `x` up by `h` and down by `h`, see
# how far `f` rose in between, and divide by the distance:
#
# $$\frac{f(x + h) - f(x - h)}{2h}$$
#
# About 1 line. With this the lesson checked the tape of a whole GPT.
#
# *By hand.* $f(w) = (2w - 5)^2$ at $w = 3$ with $h = 1$: $f(4) = 9$, $f(2) = 1$, so the slope is
# $(9 - 1) / 2 = 4$. The rule for squares gives $2 \cdot (2 \cdot 3 - 5) \cdot 2 = 4$ too.
#
# <details><summary>Hint 1</summary>Call <code>f</code> twice, at two places.</details>
# <details><summary>Hint 2</summary>The two places are 2 h apart, not h.</details>
# <details><summary>Hint 3</summary>Mind the brackets: <code>a / 2 * h</code> multiplies by
# h.</details>


# %%
def slope(f, x, h):
    """(f(x + h) - f(x - h)) / 2h: the central difference of f at x."""
    ### BEGIN SOLUTION
    return (f(x + h) - f(x - h)) / (2 * h)
    ### END SOLUTION


# %%
check("slope")


# %% tags=["payoff"]
@payoff("slope")
def one_weight_of_a_gpt_moved_by_a_hair():
    """The tape's derivative of a GPT's loss, and yours, for six of its weights."""
    model = Transformer(
        gpt2(vocab_size=16, context=8, layers=1, heads=2, channels=8), dtype=np.float64
    )
    ids, wanted = np.arange(8)[None], np.arange(1, 9)[None]
    model.loss(ids, wanted).backward()
    weight = model.tokens.weight
    by_tape, by_you = [], []
    for place in range(6):
        start = weight.data.flat[place]

        def loss_at(value, place=place):
            weight.data.flat[place] = value
            return model.loss(ids, wanted).item()

        by_you.append(slope(loss_at, start, 1e-5))
        by_tape.append(weight.grad.flat[place])
        weight.data.flat[place] = start
    bars(
        [f"weight {k}" for k in range(6)],
        {"the tape": by_tape, "your slope": by_you},
        ylabel="derivative of the loss",
        numbers=None,
        alt="Two bars for each of six weights, the tape's derivative and yours, equally long.",
    )


# %% [markdown]
# ## 3. One merge of byte-pair encoding (★, 8 minutes)
#
# `merge(ids, pair, new)`: `ids` is a list of whole numbers, `pair` a tuple of two of them. Return a
# **new list** in which every occurrence of the pair, read from the left, is replaced by `new`.
# About 8 lines.
#
# *By hand.* `[1, 2, 3, 1, 2]` with the pair `(1, 2)` and `new` 9 becomes `[9, 3, 9]`. In `[1, 1,
# 1]` the pair `(1, 1)` occurs once, and the third 1 is left over: `[9, 1]`.
#
# <details><summary>Hint 1</summary>Walk through the list with an index that you move
# yourself.</details>
# <details><summary>Hint 2</summary>A match moves the index by 2, anything else by 1.</details>
# <details><summary>Hint 3</summary>The last id has no right neighbour: ask whether
# <code>at + 1 &lt; len(ids)</code> before you look there.</details>


# %%
def merge(ids, pair, new):
    """A new list: every pair, from the left, replaced by the one id `new`."""
    ### BEGIN SOLUTION
    out, at = [], 0
    while at < len(ids):
        if at + 1 < len(ids) and (ids[at], ids[at + 1]) == tuple(pair):
            out.append(new)
            at += 2
        else:
            out.append(ids[at])
            at += 1
    return out
    ### END SOLUTION


# %%
check("merge")


# %% tags=["payoff"]
@payoff("merge")
def a_vocabulary_from_your_merges():
    """Learn twelve tokens from a little text, each with your function."""
    from minilm.tokenizers import bpe_basic

    text = "she sells sea shells by the sea shore; the shells she sells are sea shells. " * 3
    with minilm.use(merge=merge):
        pairs = bpe_basic.train(list(text.encode()), 12)
        ids = bpe_basic.encode(list(text.encode()), pairs)
    words = [bytes([b]) for b in range(256)]
    for left, right in pairs:
        words.append(words[left] + words[right])
    print("learnt:", *[repr(word.decode()) for word in words[256:]])
    print(f"{len(text)} bytes became {len(ids)} tokens")


# %% [markdown]
# ## 4. Softmax (★, 5 minutes)
#
# `softmax(x)`: x of shape (..., N); every row becomes $e^{x_i} / \sum_j e^{x_j}$. It must survive
# logits of 10,000, and an x of `-inf` (a token that is ruled out) gets a share of 0; never is a
# whole row `-inf`. Same shape and dtype as x, and x stays as it was. About 3 lines.
#
# *By hand.* The row 0, ln 2, ln 5: the exponentials are 1, 2 and 5, their sum is 8, so the shares
# are 1/8, 2/8 and 5/8.
#
# <details><summary>Hint 1</summary>Adding the same number to a whole row does not change its
# shares.</details>
# <details><summary>Hint 2</summary>Subtract each row's largest number first: then no exponential is
# above 1.</details>
# <details><summary>Hint 3</summary><code>keepdims=True</code> keeps the row axis, so that (2, 3) can
# be divided by (2, 1).</details>


# %%
def softmax(x):
    """exp(x) / sum(exp(x)) over the last axis; same shape and dtype as x."""
    ### BEGIN SOLUTION
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
    ### END SOLUTION


# %%
check("softmax")


# %% tags=["payoff"]
@payoff("softmax")
def attention_through_your_softmax():
    """Every attention weight of a small GPT now comes from your function."""
    model = Transformer(gpt2(vocab_size=64, context=16, layers=1, heads=1, channels=32))
    seen = []

    def watched(x):
        seen.append(softmax(x))
        return seen[-1]

    with minilm.use(softmax=watched):
        model(np.arange(8)[None])
    heatmap(
        seen[0][0, 0],
        xlabel="looked at",
        ylabel="looking",
        unit="weight",
        alt="A lower triangle: each position spreads a weight of 1 over itself and the past.",
    )


# %% [markdown]
# ## 5. Layer norm (★★, 8 minutes)
#
# `layer_norm(x, w, b=None, eps=1e-5)`: x (..., C), w and b (C,). Subtract each row's mean, divide
# by the square root of (its variance + eps), then scale by w and shift by b. The variance is the
# mean of the squared distances from the mean (divide by C, not C - 1). Beware: `np.sqrt(1e-5)` is a
# float64. About 4 lines.
#
# *By hand.* The row 1, 3 has mean 2 and variance 1, and becomes -1, 1 (up to eps). With w = (2, 2)
# and b = (0, 1) that is -2, 3.
#
# <details><summary>Hint 1</summary>Mean and variance are taken over the last axis, with
# <code>keepdims=True</code>.</details>
# <details><summary>Hint 2</summary>Centre first, then square: mean(x²) - mean(x)² loses most of its
# digits where the mean is large.</details>
# <details><summary>Hint 3</summary>eps stands inside the root, beside the variance; <code>b</code>
# may be None.</details>


# %%
def layer_norm(x, w, b=None, eps=1e-5):
    """(x - mean) / sqrt(variance + eps) * w + b over the last axis; dtype of x."""
    ### BEGIN SOLUTION
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    y = centred / np.sqrt(variance + x.dtype.type(eps)) * w
    return y if b is None else y + b
    ### END SOLUTION


# %%
check("layer_norm")


# %% tags=["payoff"]
@payoff("layer_norm")
def the_model_on_your_norm():
    """The size of the numbers in a GPT, block by block, before and after your norm."""
    model = Transformer(gpt2(vocab_size=256, context=32, layers=4, heads=4, channels=64))
    ids, sizes = np.arange(32)[None], {"before": [], "after": []}
    theirs = model(ids).data

    def watched(x, w, b=None, eps=1e-5):
        y = layer_norm(x, w, b, eps)
        sizes["before"].append(np.sqrt((x * x).mean()))
        sizes["after"].append(np.sqrt((y * y).mean()))
        return y

    with minilm.use(layer_norm=watched):
        yours = model(ids).data
    print(f"nine calls in one forward; largest difference {np.abs(yours - theirs).max():.1e}")
    bars(
        range(1, 10),
        sizes,
        xlabel="norm",
        ylabel="size of a number",
        numbers=None,
        alt="Before each norm the numbers have another size; after it, always 1.",
    )


# %% [markdown]
# ## 6. GELU and its derivative (★★, 12 minutes)
#
# `gelu(x)`: $x\,\Phi(x)$, where $\Phi(x) = \frac12\left(1 + \mathrm{erf}(x/\sqrt2)\right)$ is the
# share of a normal distribution that lies below x. Return `(value, pullback)`; the pullback takes
# `g`, the gradient of the loss with respect to the value, and returns one gradient in a tuple,
# `(... ,)`. The derivative is $\Phi(x) + x\,\varphi(x)$ with $\varphi(x) = e^{-x^2/2} /
# \sqrt{2\pi}$. `math.erf` takes one number; `np.vectorize` makes it take an array. About 6 lines.
#
# *By hand.* $\Phi(1) = 0.841$, so gelu(1) = 0.841 and gelu(-1) = -0.159. At 0 the value is 0 and
# the derivative 1/2.
#
# <details><summary>Hint 1</summary><code>np.vectorize(math.erf, otypes=[float])</code> is a function
# of arrays.</details>
# <details><summary>Hint 2</summary>It returns float64: bring value and slope back with
# <code>.astype(x.dtype)</code>.</details>
# <details><summary>Hint 3</summary>Compute the slope once, outside of the pullback; the pullback is
# <code>lambda g: (g * slope,)</code>.</details>


# %%
def gelu(x):
    """x * Phi(x), the exact form with erf, and its pullback; dtype of x."""
    ### BEGIN SOLUTION
    wide = x.astype(np.float64)
    cdf = 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(wide / math.sqrt(2)))
    pdf = np.exp(-wide * wide / 2) / math.sqrt(2 * math.pi)
    slope = (cdf + wide * pdf).astype(x.dtype)
    return (wide * cdf).astype(x.dtype), lambda g: (g * slope,)
    ### END SOLUTION


# %%
check("gelu")


# %% tags=["payoff"]
@payoff("gelu")
def your_activation_in_the_model():
    """The gradient of a GPT's loss through your activation, weight by weight."""
    sizes = {"vocab_size": 64, "context": 16, "layers": 2, "heads": 2, "channels": 32}
    model = Transformer(gpt2(**sizes, activation="gelu"))
    ids, wanted = np.arange(16)[None], np.arange(1, 17)[None]
    gradients = []
    for functions in ({}, {"gelu": gelu}):
        with minilm.use(**functions):
            model.loss(ids, wanted).backward()
        gradients.append(np.concatenate([p.grad.ravel() for p in model.parameters()]))
        model.zero_grad()
    gap = np.abs(gradients[1] - gradients[0]).max() / np.abs(gradients[0]).max()
    print(f"{gradients[0].size:,} gradients; largest difference {gap:.1e} of the largest gradient")
    x = np.linspace(-4, 4, 81, dtype=np.float32)
    value, pullback = gelu(x)
    lines(
        x,
        {"your gelu": value, "its slope": pullback(np.ones_like(x))[0]},
        markers=False,
        xlabel="x",
        alt="GELU leaves large numbers as they are and sends small ones to 0; its slope is a step.",
    )


# %% [markdown]
# ## 7. Multiplication that knows its derivative (★★, 12 minutes)
#
# `mul(a, b)` returns `(value, pullback)`. The pullback takes `g`, of the value's shape, and returns
# one gradient per argument, each of **that argument's shape**.
#
# The shapes may differ as NumPy's broadcasting allows, such as (3, 4) and (4,), or (2, 3, 4) and
# (3, 1). Where an argument was repeated, its gradient is a **sum**. A pullback may be called more
# than once. About 10 lines.
#
# *By hand.* a = (2, 3), b = (10,), g = (1, 1). The value is (20, 30). The gradient of a is g b =
# (10, 10). b was used twice: its gradient is 2 + 3, the array (5,).
#
# <details><summary>Hint 1</summary>d(a b)/da is b, so the gradient of a is <code>g * b</code>; then
# it may have too many axes.</details>
# <details><summary>Hint 2</summary>While it has more axes than the argument, sum over axis
# 0.</details>
# <details><summary>Hint 3</summary>Then, where the argument's size is 1, sum over that axis with
# <code>keepdims=True</code>.</details>


# %%
def mul(a, b):
    """a * b and its pullback: g -> (gradient of a, gradient of b)."""
    ### BEGIN SOLUTION

    def reduced(g, shape):
        while g.ndim > len(shape):
            g = g.sum(axis=0)
        for axis, size in enumerate(shape):
            if size == 1:
                g = g.sum(axis=axis, keepdims=True)
        return g

    return a * b, lambda g: (reduced(g * b, a.shape), reduced(g * a, b.shape))
    ### END SOLUTION


# %%
check("mul")


# %% tags=["payoff"]
@payoff("mul")
def a_curve_that_your_derivative_finds():
    """Fit y = w x to three points by gradient descent, with your `mul` on the tape."""
    from minilm import functional as F

    x, y = np.float32([1, 2, 3]), np.float32([2, 4, 6])
    w, found = minilm.tensor(np.float32([0.0]), requires_grad=True), []
    with minilm.use(mul=mul):
        for _ in range(25):
            error = F.mul(w, x) - y
            F.mul(error, error).sum().backward()
            w.data -= np.float32(0.02) * w.grad
            w.grad = None
            found.append(w.item())
    lines(
        range(1, 26),
        {"w": found},
        expected={"the answer": 2.0},
        xlabel="step",
        alt="The weight climbs from 0 to 2 in about ten steps.",
    )


# %% [markdown]
# ## 8. The loss of a language model (★★★, 15 minutes)
#
# `cross_entropy(logits, targets)`: logits (N, V), targets (N,) whole numbers. The value is the mean
# over the rows of $-\log \mathrm{softmax}(\text{logits})_\text{target}$, in nats. Return `(value,
# pullback)` as in question 7; targets have no gradient, so the pullback returns `(gradient of
# logits, None)`. About 9 lines.
#
# The gradient of one row is softmax(logits), minus 1 at the target; the mean divides it by N, and
# the pullback multiplies it by g.
#
# *By hand.* One row, logits 0 and ln 3, target 1: the shares are 1/4 and 3/4, the loss is -ln(3/4)
# = 0.288, and the gradient for g = 1 is (1/4, 3/4 - 1) = (1/4, -1/4).
#
# <details><summary>Hint 1</summary>log softmax(x) is x - max - log(sum(exp(x - max))): never take
# the logarithm of a share, which may have become 0.</details>
# <details><summary>Hint 2</summary><code>logp[np.arange(N), targets]</code> picks one number from
# each row.</details>
# <details><summary>Hint 3</summary>The pullback makes its own array each time: one that it changes
# and keeps is wrong at the second call.</details>


# %%
def cross_entropy(logits, targets):
    """Mean of -log softmax(logits)[target], and its pullback."""
    ### BEGIN SOLUTION
    rows = np.arange(len(logits))
    shifted = logits - logits.max(axis=-1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))

    def pullback(g):
        d = np.exp(logp)
        d[rows, targets] -= 1
        return d * (g / logits.dtype.type(len(logits))), None

    return -logp[rows, targets].mean(), pullback
    ### END SOLUTION


# %%
check("cross_entropy")


# %% tags=["payoff"]
@payoff("cross_entropy")
def training_on_your_loss():
    """A small GPT learns a sentence by heart; your pullback is the first step back."""
    from minilm import functional as F
    from minilm.train import default_optimizer

    ids = np.frombuffer(b"the loss is the first step of the way back. ", np.uint8).astype(np.int32)
    model = Transformer(gpt2(vocab_size=128, context=64, layers=1, heads=2, channels=32))
    optimizer, losses = default_optimizer(model, lr=1e-2), []
    with minilm.use(cross_entropy=cross_entropy):
        for _ in range(60):
            logits = model(ids[None, :-1])
            loss = F.cross_entropy(logits.reshape(-1, 128), ids[1:])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    lines(
        None,
        {"your loss": losses},
        xlabel="step",
        ylabel="nats per byte",
        expected={"ln 128": math.log(128)},
        alt="The loss falls from about 4.9 nats, the logarithm of 128, to almost 0.",
    )


# %% [markdown]
# ## 9. A step of AdamW (★★, 10 minutes)
#
# `adamw(p, g, m, v, lr, b1, b2, eps, decay, step)`: arrays p (weights), g (gradient), m and v
# (running means), all of one shape; the rest are numbers, `step` counts from 1. Change **p, m and v
# in place** and return nothing:
#
# 1. decay: $p \leftarrow p - lr \cdot decay \cdot p$
# 2. $m \leftarrow b_1 m + (1 - b_1) g$ and $v \leftarrow b_2 v + (1 - b_2) g^2$
# 3. $p \leftarrow p - lr \cdot \hat m / (\sqrt{\hat v} + eps)$ with $\hat m = m / (1 - b_1^{step})$
#    and $\hat v = v / (1 - b_2^{step})$
#
# About 5 lines.
#
# *By hand.* p = 1, g = 2, m = v = 0, lr = 0.1, b1 = 0.9, b2 = 0.99, eps = decay = 0, step 1. Then m
# = 0.2 and v = 0.04, corrected to 2 and 4. The step is 0.1 · 2 / 2 = 0.1, and p = 0.9. The first
# step always has the size lr.
#
# <details><summary>Hint 1</summary><code>m[...] = </code> writes into the array that was given;
# <code>m = </code> gives the name to a new one.</details>
# <details><summary>Hint 2</summary>The decay takes its share of p before the step, and never enters
# g, m or v.</details>
# <details><summary>Hint 3</summary>eps is added to the root, not under it.</details>


# %%
def adamw(p, g, m, v, lr, b1, b2, eps, decay, step):
    """One step of AdamW on one array; p, m and v are changed in place."""
    ### BEGIN SOLUTION
    p -= lr * decay * p
    m[...] = b1 * m + (1 - b1) * g
    v[...] = b2 * v + (1 - b2) * g * g
    p -= lr * (m / (1 - b1**step)) / (np.sqrt(v / (1 - b2**step)) + eps)
    ### END SOLUTION


# %%
check("adamw")


# %% tags=["payoff"]
@payoff("adamw")
def a_model_trained_by_your_optimizer():
    """The package's training loop, each step taken by your function."""
    from minilm.train import train

    text = "pack my box with five dozen liquor jugs. the quick brown fox jumps. " * 40
    ids = np.frombuffer(text.encode(), np.uint8).astype(np.int32)
    losses = {}
    for name, functions in {"package": {}, "you": {"adamw": adamw}}.items():
        model = Transformer(gpt2(vocab_size=128, context=32, layers=1, heads=2, channels=32))
        with minilm.use(**functions):
            losses[name] = train(model, ids, 60, batch=8, lr=1e-2, progress=False).losses
    lines(
        None,
        losses,
        xlabel="step",
        ylabel="nats per byte",
        alt="Two loss curves, the package's and yours, lie on top of each other and fall.",
    )


# %% [markdown]
# ## 10. Nucleus sampling (★★★, 15 minutes)
#
# `top_p(logits, p)`: logits (..., V), 0 < p < 1. Keep the fewest likeliest tokens whose shares
# reach p together; every other logit becomes `-inf`. The likeliest token always stays. Return a new
# array of the same dtype. About 7 lines.
#
# *By hand.* Shares 0.15, 0.5, 0.05, 0.3 and p = 0.7. From the likeliest: 0.5 is not enough, with
# 0.3 it is 0.8, enough. So the tokens 1 and 3 keep their logits, and 0 and 2 get `-inf`.
#
# <details><summary>Hint 1</summary>Sort by falling logit: <code>np.argsort(-logits, axis=-1)</code>,
# then <code>np.take_along_axis</code>.</details>
# <details><summary>Hint 2</summary>Keep a token if less than p was held by those <em>before</em> it:
# <code>np.cumsum(shares) - shares &lt; p</code>.</details>
# <details><summary>Hint 3</summary><code>np.put_along_axis(keep, order, ...)</code> brings the answer
# back into the order of the logits.</details>


# %%
def top_p(logits, p):
    """The logits, -inf for all but the fewest likeliest tokens that hold a share p."""
    ### BEGIN SOLUTION
    order = np.argsort(-logits, axis=-1)
    ranked = np.take_along_axis(logits, order, axis=-1).astype(np.float64)
    shares = np.exp(ranked - ranked[..., :1])
    shares /= shares.sum(axis=-1, keepdims=True)
    keep = np.empty(logits.shape, bool)
    np.put_along_axis(keep, order, np.cumsum(shares, axis=-1) - shares < p, axis=-1)
    return np.where(keep, logits, -np.inf).astype(logits.dtype)
    ### END SOLUTION


# %%
check("top_p")


# %% tags=["payoff"]
@payoff("top_p")
def text_under_your_rule():
    """A model that half knows a text: a small p goes in circles, a large one dares to err."""
    from minilm.inference import generate
    from minilm.train import train

    text = "the cat sat on the mat. the dog ate the hat. a cat and a dog had a chat. " * 30
    ids = np.frombuffer(text.encode(), np.uint8).astype(np.int32)
    model = Transformer(gpt2(vocab_size=128, context=64, layers=1, heads=2, channels=32))
    train(model, ids, 160, batch=8, lr=1e-2, progress=False)
    with minilm.use(top_p=top_p):
        for share in (0.1, 0.5, 0.8, 0.99):
            new = generate(model, list(b"the "), 50, top_p=share)
            print(f"p = {share:.2f}: the {bytes(new).decode(errors='replace')!r}")


# %% [markdown]
# ## How you stand


# %%
check(set="00_start_here")
