# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Overview of transformers: from word vectors to edited facts"
# ---

# %% [markdown]
# # From word vectors to edited facts
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function into the real package**.
#
# Arrays are NumPy's. float32 in must mean float32 out. Do not change your arguments unless asked.

# %%
import numpy as np

import minilm
from minilm.course import bars, check, heatmap, lines, payoff, scatter
from minilm.data import toys
from minilm.models import EncoderDecoder, EncoderDecoderConfig, Transformer, gpt2

# %% [markdown]
# ## 1. Who keeps company with whom
#
# `pmi(counts, negatives)`: `counts[a, b]` is how often word a stood beside word b, shape (V, V).
# Return, in float64, the pointwise mutual information shifted by the number of negatives $k$:
#
# $$\log\frac{P(a, b)}{P(a)\,P(b)} - \log k$$
#
# $P(a, b)$ is a share of all counts, $P(a)$ the share of row $a$, $P(b)$ the share of column $b$.
# Where a pair was never seen the answer is `-inf`, without a warning. About 6 lines.


# %%
def pmi(counts, negatives=1):
    """log P(a, b) / (P(a) P(b)) - log k, (V, V) float64."""
    ### BEGIN SOLUTION
    counts = np.asarray(counts, np.float64)
    by_chance = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / counts.sum()
    seen = counts > 0
    ratio = np.divide(counts, by_chance, out=np.ones_like(counts), where=seen)
    return np.where(seen, np.log(ratio) - np.log(negatives), -np.inf)
    ### END SOLUTION


# %%
check("pmi")


# %% tags=["payoff"]
@payoff("pmi")
def company_in_a_text_with_topics():
    """The table of a text whose words belong to 4 topics, words sorted by nothing at all."""
    from minilm.analysis import skipgram
    from minilm.data.toys.topics import topic_words

    counts = skipgram.cooccurrences(topic_words(20_000, words=24, topics=4, seed=2), 3, 24)
    with minilm.use(pmi=pmi):
        table = skipgram.pmi(counts)
    heatmap(
        table,
        centre=0,
        unit="pmi",
        xlabel="word",
        ylabel="word",
        alt="A symmetric table: some pairs of words meet more often than by chance, some less.",
    )


# %% [markdown]
# ## 2. One step of skip-gram
#
# A pair is a centre $c$, a context $o$ and $K$ negatives. With $u$ = `words[c]`, $v$ =
# `contexts[o]` and $v_k$ the rows of the negatives, its loss is
#
# $$-\log\sigma(u \cdot v) - \sum_k \log\sigma(-u \cdot v_k)$$
#
# `sgns_step(words, contexts, center, context, negatives, lr)` makes one step of gradient descent
# on the **sum** of the losses of B pairs, **in place** in both tables (V, D), and returns the
# **mean** loss before the step. `center` and `context` are (B,), `negatives` is (B, K). All
# gradients are those at the tables as given. A word may stand in the batch twice. About 12 lines.


# %%
def sgns_step(words, contexts, center, context, negatives, lr):
    """Changes both tables in place; returns the mean loss of a pair."""
    ### BEGIN SOLUTION
    u = words[center]  # (B, D)
    ids = np.concatenate([context[:, None], negatives], axis=1)  # (B, 1 + K)
    v = contexts[ids]
    score = np.einsum("bd,bkd->bk", u, v)
    sign = np.where(np.arange(ids.shape[1]) == 0, 1, -1).astype(u.dtype)
    right = (1 + np.tanh(sign * score / 2)) / 2
    pull = sign * (right - 1)
    rate = u.dtype.type(lr)
    np.subtract.at(words, center, rate * np.einsum("bk,bkd->bd", pull, v))
    np.subtract.at(contexts, ids, rate * pull[:, :, None] * u[:, None])
    return float(-np.log(right).sum(axis=1).mean())
    ### END SOLUTION


# %%
check("sgns_step")


# %% tags=["payoff"]
@payoff("sgns_step")
def vectors_from_your_steps():
    """The package's skip-gram training, on your step: do the vectors find the table of counts?"""
    from minilm.analysis import skipgram
    from minilm.data.toys.topics import topic_words

    counts = skipgram.cooccurrences(topic_words(30_000, words=60, topics=8), 3, 60)
    with minilm.use(sgns_step=sgns_step):
        u, v = skipgram.skip_gram(counts, channels=24, steps=600)
    often = counts >= 50
    seen = counts[often]
    chance = np.outer(counts.sum(1), counts.sum(0))[often] / counts.sum()
    scatter(
        np.log(seen / chance) - np.log(5),
        (u @ v.T)[often],
        xlabel="pmi − log 5, counted",
        ylabel="u · v, learned",
        dot=20,
        fit=True,
        alt="Your vectors' dot products rise along the diagonal of the shifted pmi.",
    )


# %% [markdown]
# ## 3. Attention
#
# `attention(q, k, v, mask=None)` with q (..., T, D), k (..., S, D), v (..., S, E):
#
# $$A = \mathrm{softmax}\!\left(\frac{q k^\top}{\sqrt D}\right), \qquad \text{out} = A v$$
#
# Return `(out, A)`, shapes (..., T, E) and (..., T, S). `mask` is boolean, broadcastable to A's
# shape, **True where a query may look**; every query may look somewhere. About 7 lines.


# %%
def attention(q, k, v, mask=None):
    """Returns the mixed values and the weights."""
    ### BEGIN SOLUTION
    scores = q @ np.swapaxes(k, -1, -2) * q.dtype.type(q.shape[-1] ** -0.5)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return weights @ v, weights
    ### END SOLUTION


# %%
check("attention")


# %% tags=["payoff"]
@payoff("attention")
def a_transformer_on_your_attention():
    """Train a small model to reverse strings; every look in it is yours."""

    def looked(q, k, v, mask=None, causal=False, window=None, bias=None, scale=None):
        if causal:
            past = np.tril(np.ones((q.shape[-2], k.shape[-2]), bool))
            mask = past if mask is None else mask & past
        return attention(q, k, v, mask)[0]

    model = EncoderDecoder(
        EncoderDecoderConfig(
            vocab_size=11,
            context=16,
            layers=1,
            heads=2,
            channels=32,
            init_std=0.1,
        )
    )
    optimizer, losses = minilm.optim.AdamW(model.parameters(), lr=1e-2), []
    with minilm.use(attention=looked):
        for step in range(120):
            pairs = toys.copy(32, 5, symbols=8, reverse=True, seed=step)
            loss = model.loss(pairs.source, pairs.fed, pairs.target)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    lines(
        None,
        {"loss": losses},
        xlabel="step",
        ylabel="nats per letter",
        ylim=(0, None),
        alt="The loss of the string-reversing model falls towards zero.",
    )


# %% [markdown]
# ## 4. Several heads at once
#
# `multihead(x, Wq, Wk, Wv, Wo, h, causal=False)`: x is (B, T, C), each W is (C, C) and is applied
# as $x W^\top$ (rows are outputs). Queries, keys and values are split into h heads of C / h
# neighbouring channels; each head attends by itself, with the scale of its own size; the heads
# stand side by side again, in order, and $W_o$ maps them. With `causal`, token t sees tokens 0 to
# t. Return (B, T, C). You may use your `attention`. About 9 lines.


# %%
def multihead(x, Wq, Wk, Wv, Wo, h, causal=False):
    """Multi-head self-attention, (B, T, C) -> (B, T, C)."""
    ### BEGIN SOLUTION
    B, T, C = x.shape

    def heads(W):  # (B, T, C) -> (B, h, T, C / h)
        return (x @ W.T).reshape(B, T, h, C // h).transpose(0, 2, 1, 3)

    mask = np.tril(np.ones((T, T), bool)) if causal else None
    out, _ = attention(heads(Wq), heads(Wk), heads(Wv), mask)
    return out.transpose(0, 2, 1, 3).reshape(B, T, C) @ Wo.T
    ### END SOLUTION


# %%
check("multihead")


# %% tags=["payoff"]
@payoff("multihead")
def your_heads_in_a_gpt():
    """A small GPT whose attention layers run on your function; the logits should not change."""
    model = Transformer(gpt2(layers=4, heads=4, channels=64, vocab_size=50, context=32, bias=False))
    ids = np.arange(32)[None] % 50
    before = model(ids).data

    def on_yours(packed, heads, kv_heads, **rest):  # queries, keys and values side by side
        one = np.eye(packed.shape[-1] // 3, dtype=packed.dtype)
        none = np.zeros_like(one)
        picks = (
            np.hstack(row) for row in ((one, none, none), (none, one, none), (none, none, one))
        )
        Wq, Wk, Wv = (np.vstack([pick, np.zeros((2 * len(one), 3 * len(one)))]) for pick in picks)
        Wo = np.eye(3 * len(one))
        wide = multihead(packed, Wq, Wk, Wv, Wo, 3 * heads, rest["causal"])
        return wide[..., : len(one)].astype(packed.dtype)

    with minilm.use(self_attention=on_yours):
        after = model(ids).data
    bars(
        ["largest logit", "largest change"],
        [float(np.abs(before).max()), float(np.abs(after - before).max())],
        numbers="{:.1e}",
        alt="The logits stay what they were: the change is some millionths of the largest.",
    )


# %% [markdown]
# ## 5. Sinusoidal positions
#
# `sinusoid(n, d)` gives position p = 0 .. n-1 a row of d numbers (d even), float64:
#
# $$PE(p, 2i) = \sin\frac{p}{10000^{2i/d}}, \qquad PE(p, 2i+1) = \cos\frac{p}{10000^{2i/d}}$$
#
# About 4 lines.


# %%
def sinusoid(n, d):
    """(n, d) float64."""
    ### BEGIN SOLUTION
    angles = np.arange(n)[:, None] / 10000.0 ** (np.arange(0, d, 2) / d)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(n, d)
    ### END SOLUTION


# %%
check("sinusoid")


# %% tags=["payoff"]
@payoff("sinusoid")
def the_clock_in_the_model():
    """The 2017 model's positions, from your function: how alike are two places?"""

    def placed(positions, channels, dtype=np.float32):
        positions = np.arange(positions) if np.ndim(positions) == 0 else np.asarray(positions)
        return sinusoid(int(positions.max()) + 1, channels)[positions].astype(dtype)

    with minilm.use(sinusoidal=placed):
        table = minilm.nn.sinusoidal(64, 128)
    heatmap(
        table @ table.T / 64,
        xlabel="position",
        ylabel="position",
        unit="likeness",
        alt="Two positions are alike when they are near: a bright diagonal that fades evenly.",
    )


# %% [markdown]
# ## 6. Count the parameters of a GPT-2
#
# `count_params(vocab, context, layers, channels)`: an exact whole number. A GPT-2 has a token and a
# position embedding; per layer two layer norms (weight and bias), attention with maps C → 3C and
# C → C, a feed-forward net C → 4C → C, every map with a bias; one last layer norm. The head is the
# token embedding again and costs nothing. About 3 lines.


# %%
def count_params(vocab, context, layers, channels):
    """How many numbers a GPT-2 of this size holds."""
    ### BEGIN SOLUTION
    norms, attention, feed = 4 * channels, 4 * channels**2, 8 * channels**2
    block = norms + attention + 4 * channels + feed + 5 * channels
    return (vocab + context) * channels + layers * block + 2 * channels
    ### END SOLUTION


# %%
check("count_params")


# %% tags=["payoff"]
@payoff("count_params")
def four_sizes_of_gpt2():
    """Your count in place of the package's, for the four published sizes."""
    from minilm import models

    sizes = ["small", "medium", "large", "xl"]
    counted = lambda c: count_params(c.vocab_size, c.context, c.layers, c.channels)  # noqa: E731
    with minilm.use(count_parameters=counted):
        numbers = [models.count_parameters(gpt2(size)) / 1e6 for size in sizes]
    bars(
        sizes,
        numbers,
        ylabel="parameters, million",
        numbers="{:,.1f}",
        alt="The four GPT-2 sizes hold 124, 355, 774 and 1,558 million parameters.",
    )


# %% [markdown]
# ## 7. Change one fact
#
# A linear map is a memory: asked with a key k it answers W k. `rome_edit(W, C, k, v)` returns a
# new matrix W' that answers k with v, by a change of rank one:
#
# $$W' = W + \frac{(v - W k)\,d^\top}{d \cdot k}, \qquad d = C^{-1} k$$
#
# W is (O, I), k (I,), v (O,); C (I, I) is the mean of $k k^\top$ over the keys in use, symmetric and
# positive definite. It makes the change spare the directions that other keys use. W' has W's dtype;
# W stays as it is. About 3 lines.


# %%
def rome_edit(W, C, k, v):
    """The edited matrix, (O, I)."""
    ### BEGIN SOLUTION
    d = np.linalg.solve(C, k)
    return (W + np.outer((v - W @ k) / (d @ k), d)).astype(W.dtype)
    ### END SOLUTION


# %%
check("rome_edit")


# %% tags=["payoff"]
@payoff("rome_edit")
def one_fact_rewritten():
    """Edit one of 60 facts in a layer of the package: who else changes their answer?"""
    from minilm.analysis import editing

    r = np.random.default_rng(0)
    keys = (r.normal(size=(60, 32)) @ np.diag(np.linspace(0.2, 2, 32))).astype(np.float32)
    layer = minilm.nn.Linear(32, 16, bias=False)
    before = keys @ layer.weight.data.T
    with minilm.use(rome_edit=rome_edit):
        editing.rewrite(layer, keys, keys[7], np.ones(16, np.float32))
    moved = np.linalg.norm(keys @ layer.weight.data.T - before, axis=1)
    lines(
        None,
        {"": moved},
        xlabel="fact",
        ylabel="change of its answer",
        alt="The answer to fact 7 changes most; the others change far less.",
    )


# %% [markdown]
# ## 8. Search
#
# `retrieve(q, db, k)`: the row numbers of the k rows of `db` (N, D) whose cosine with q (D,) is
# largest, best first, as an array (k,). Of rows with equal cosine the one that stands first comes
# first. A row of zeros has cosine 0. About 4 lines.


# %%
def retrieve(q, db, k):
    """Row numbers, best first."""
    ### BEGIN SOLUTION
    lengths = np.linalg.norm(db, axis=1) * np.linalg.norm(q)
    cosine = np.divide(db @ q, lengths, out=np.zeros(len(db)), where=lengths > 0)
    return np.argsort(-cosine, kind="stable")[:k]
    ### END SOLUTION


# %%
check("retrieve")


# %% tags=["payoff"]
@payoff("retrieve")
def ask_the_documentation():
    """Your search in Python's own documentation."""
    from minilm.data import documents
    from minilm.inference.retrieval import Index

    index = Index([text[:2000] for text in documents("python-docs")])
    with minilm.use(retrieve=retrieve):
        for text in index.search("how do I compress a file with gzip?", 3):
            print("-", " ".join(text.split())[:100])


# %% [markdown]
# ## All of it
#
# Run the check of the whole set; then hand in the notebook.

# %%
check(set="01_overview_of_transformers")
