# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Start here: eight pieces of a language model"
# ---

# %% [markdown]
# # Eight pieces of a language model
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function into the real model**.
#
# Arrays are NumPy's. float32 in must mean float32 out. Do not change your arguments unless asked.

# %%
import math

import numpy as np

import minilm
from minilm.course import check, heatmap, lines, payoff
from minilm.models import Transformer, gpt2

# %% [markdown]
# ## 1. Multiplication that knows its derivative
#
# A primitive takes arrays and returns `(value, pullback)`. The pullback takes `g`, the gradient of
# the loss with respect to the value, and returns one gradient per argument, each of that
# argument's shape.
#
# `mul(a, b)`: the shapes may differ as NumPy's broadcasting allows, such as (3, 4) and (4,), or
# (2, 3, 4) and (3, 1). Where an argument was repeated, its gradient is a **sum**. About 10 lines.


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
# ## 2. Softmax
#
# `softmax(x)`: x of shape (..., N); every row becomes $e^{x_i} / \sum_j e^{x_j}$. It must survive
# logits of 10,000. About 3 lines.


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
# ## 3. The loss of a language model
#
# `cross_entropy(logits, targets)`: logits (N, V), targets (N,) whole numbers. The value is the mean
# over the rows of $-\log \mathrm{softmax}(\text{logits})_\text{target}$, in nats. Return
# `(value, pullback)` as in question 1; targets have no gradient, so the pullback returns
# `(gradient of logits, None)`. About 9 lines.


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
# ## 4. Layer norm
#
# `layer_norm(x, w, b=None, eps=1e-5)`: x (..., C), w and b (C,). Subtract each row's mean, divide
# by the square root of (its variance + eps), then scale by w and shift by b. The variance is the
# plain mean of squares (divide by C, not C - 1). Beware: `np.sqrt(1e-5)` is a float64. About 4
# lines.


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
    """A GPT with your layer norm and with the package's: the same logits?"""
    model = Transformer(gpt2(vocab_size=256, context=32, layers=4, heads=4, channels=64))
    ids = np.arange(32)[None]
    theirs = model(ids).data
    with minilm.use(layer_norm=layer_norm):
        yours = model(ids).data
    print(f"nine calls in one forward; largest difference {np.abs(yours - theirs).max():.1e}")


# %% [markdown]
# ## 5. GELU
#
# `gelu(x)`: $x\,\Phi(x)$, where $\Phi(x) = \frac12\left(1 + \mathrm{erf}(x/\sqrt2)\right)$ is the
# normal distribution function. Return `(value, pullback)`; the pullback returns one gradient in a
# tuple, `(... ,)`. The derivative is $\Phi(x) + x\,\varphi(x)$ with
# $\varphi(x) = e^{-x^2/2} / \sqrt{2\pi}$. `math.erf` takes one number; `np.vectorize` makes it take
# an array. About 6 lines.


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


# %% [markdown]
# ## 6. A step of AdamW
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
# ## 7. Nucleus sampling
#
# `top_p(logits, p)`: logits (..., V), 0 < p <= 1. Keep the fewest likeliest tokens whose
# probabilities reach p together; every other logit becomes `-inf`. The likeliest token always
# stays. Return a new array of the same dtype. About 7 lines.


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
        for share in (0.1, 0.5, 0.8, 1.0):
            new = generate(model, list(b"the "), 50, top_p=share)
            print(f"p = {share:.1f}: the {bytes(new).decode(errors='replace')!r}")


# %% [markdown]
# ## 8. One merge of byte-pair encoding
#
# `merge(ids, pair, new)`: ids is a list of whole numbers, pair a tuple of two of them. Return a new
# list in which every occurrence of the pair, read from the left, is replaced by `new`. In
# `[1, 1, 1]` the pair `(1, 1)` occurs once. About 8 lines.


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
# ## How you stand


# %%
check(set="00_start_here")
