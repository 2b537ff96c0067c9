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
# The first takes two minutes. The stars say how hard a question is, from ★ to ★★★, and the hints
# below it are folded away: open the next one only when you are stuck.
#
# Arrays are NumPy's. The dtype that comes in goes out: float32 for float32, float64 for float64.
# Leave your arguments as they are, unless a question says otherwise. Everything asked for here stands in
# [the lesson](../lessons/01_overview_of_transformers.ipynb).

# %%
import numpy as np

import minilm
from minilm.course import bars, check, heatmap, lines, payoff, scatter
from minilm.data import toys
from minilm.models import Config, Transformer, gpt2

# %% [markdown]
# ## 1. Count the parameters of a GPT-2 (★, 2 minutes)
#
# `count_params(vocab, context, layers, channels)`: an exact whole number. A GPT-2 has a row for each
# token and each position; per layer two layer norms (weight and bias), attention with maps C → 3C
# and C → C, a feed-forward net C → 4C → C, every map with a bias; one last layer norm. The head is
# the token embedding again and costs nothing. About 3 lines.
#
# *By hand.* 10 tokens, 5 positions, 1 layer, C = 2. Embeddings: 15 · 2 = 30. The layer: norms 8,
# attention 2·6 + 6 and 2·2 + 2, feed-forward 2·8 + 8 and 8·2 + 2: 8 + 24 + 42 = 74. Last norm: 4.
# Together 108.
#
# <details><summary>Hint 1</summary>Write down the shape of every array of one layer first; there
# are twelve.</details>
# <details><summary>Hint 2</summary>A map from a to b channels has a · b weights and b biases. A
# norm has a weight and a bias per channel.</details>
# <details><summary>Hint 3</summary>A layer is 12 C² + 13 C; multiply by the layers, add (vocab +
# context) · C and 2 C.</details>


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
# ## 2. Search (★, 5 minutes)
#
# `retrieve(q, db, k)`: the row numbers of the k rows of `db` (N, D) whose cosine with q (D,) is
# largest, best first, as an array of whole numbers (k,). The cosine of two vectors is their dot
# product over both their lengths. Of rows with equal cosine the one that stands first comes first.
# A row of zeros has cosine 0, and so has everything if q is zero. About 4 lines.
#
# *By hand.* q = (3, 4), `db` has the rows (6, 8), (4, −3), (0, 0), (5, 0). Cosines: 50 / (5·10) = 1;
# 0; 0 by our rule; 15 / (5·5) = 0.6. The best three are rows 0, 3 and 1.
#
# <details><summary>Hint 1</summary>All dot products at once: <code>db @ q</code>. All lengths:
# <code>np.linalg.norm(db, axis=1)</code>.</details>
# <details><summary>Hint 2</summary>Divide only where the length is above 0: <code>np.divide(a, b,
# out=zeros, where=b &gt; 0)</code>.</details>
# <details><summary>Hint 3</summary>Sort the negative cosines with <code>np.argsort(...,
# kind="stable")</code>, which keeps equal ones in order.</details>


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
# ## 3. Sinusoidal positions (★, 6 minutes)
#
# `sinusoid(n, d)` gives position p = 0 .. n-1 a row of d numbers (d even), (n, d) float64:
#
# $$PE(p, 2i) = \sin\frac{p}{10000^{2i/d}}, \qquad PE(p, 2i+1) = \cos\frac{p}{10000^{2i/d}}$$
#
# About 4 lines.
#
# *By hand.* n = 2, d = 4. Position 0 is (0, 1, 0, 1). Position 1: the first pair turns by 1, the
# second by 1 / 10000^(2/4) = 0.01, so its row is (sin 1, cos 1, sin 0.01, cos 0.01) = (0.841, 0.540,
# 0.010, 1.000).
#
# <details><summary>Hint 1</summary>First the angles, (n, d / 2): a column of positions divided by a
# row of wavelengths.</details>
# <details><summary>Hint 2</summary>The wavelengths are <code>10000 ** (np.arange(0, d, 2) /
# d)</code>.</details>
# <details><summary>Hint 3</summary><code>np.stack([np.sin(a), np.cos(a)], axis=-1)</code> is (n, d
# / 2, 2); reshaped to (n, d) the pairs lie side by side.</details>


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
# ## 4. Who keeps company with whom (★★, 8 minutes)
#
# `pmi(counts, negatives)`: `counts[a, b]` is how often word a stood beside word b, shape (V, V).
# Return, in float64, the pointwise mutual information shifted by the number of negatives $k$:
#
# $$\log\frac{P(a, b)}{P(a)\,P(b)} - \log k$$
#
# $P(a, b)$ is a share of all counts, $P(a)$ the share of row $a$, $P(b)$ the share of column $b$.
# Where a pair was never seen the answer is `-inf`, and without a warning, also for a word that was
# never seen at all. About 6 lines.
#
# *By hand.* `counts` = [[2, 6], [6, 6]], 20 in all. P(0, 1) = 0.3, P(0) = 0.4, P(1) = 0.6: the pair
# is log(0.3 / 0.24) = 0.223. With two negatives it is 0.223 − log 2 = −0.470.
#
# <details><summary>Hint 1</summary>What chance would give is row sums times column sums over the
# total: a (V, V) table.</details>
# <details><summary>Hint 2</summary>Divide only where counts are above 0, and put 1 elsewhere:
# <code>np.divide(..., where=...)</code>.</details>
# <details><summary>Hint 3</summary><code>np.where(seen, np.log(ratio) - np.log(negatives),
# -np.inf)</code>.</details>


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
# ## 5. Attention (★★, 10 minutes)
#
# `attention(q, k, v, mask=None)` with q (..., T, D), k (..., S, D), v (..., S, E):
#
# $$A = \mathrm{softmax}\!\left(\frac{q k^\top}{\sqrt D}\right), \qquad \text{out} = A v$$
#
# Return `(out, A)`, shapes (..., T, E) and (..., T, S), in q's dtype. `mask` is boolean and can be
# broadcast to A's shape, **True where a query may look**. Where it may not, the weight is exactly 0.
# Every query may look somewhere. About 7 lines.
#
# *By hand.* D = 4; one query (0, 2, 2, 0); keys (2, 0, 0, 0), (0, 2, 0, 1), (0, 0, 0, 2); values 0, 1
# and 0.5. Scores 0, 4, 0; over √4: 0, 2, 0; softmax 0.107, 0.787, 0.107; out = 0.787 + 0.053 = 0.840.
#
# <details><summary>Hint 1</summary><code>np.swapaxes(k, -1, -2)</code> turns the last two axes,
# however many stand before them.</details>
# <details><summary>Hint 2</summary>Put <code>-np.inf</code> where the mask is False, before the
# softmax; subtract each row's largest score before <code>np.exp</code>.</details>
# <details><summary>Hint 3</summary>A NumPy float64 such as <code>np.sqrt(D)</code> makes float32
# wide: scale with <code>q.dtype.type(D ** -0.5)</code>.</details>


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

    size = {"layers": 2, "heads": 2, "channels": 32, "init_std": 0.1}
    model = Transformer(Config(vocab_size=11, context=16, **size))
    optimizer, losses = minilm.optim.AdamW(model.parameters(), lr=1e-2), []
    with minilm.use(attention=looked):
        for step in range(120):
            pairs = toys.copy(32, 5, symbols=8, reverse=True, seed=step)
            loss = model.loss(*pairs.joined())
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
# ## 6. Several heads at once (★★★, 12 minutes)
#
# `multihead(x, Wq, Wk, Wv, Wo, h, causal=False)`: x is (B, T, C), each W is (C, C) and is applied
# as $x W^\top$ (rows are outputs). Queries, keys and values are split into h heads of C / h
# neighbouring channels; each head attends by itself, with the scale of its own size; the heads
# stand side by side again, in order, and $W_o$ maps them. With `causal`, token t sees tokens 0 to
# t. Return (B, T, C) in x's dtype. You may use your `attention`. About 9 lines.
#
# *By hand.* B = 1, T = 2, C = 2, h = 2, all four W the identity, causal. x = [[1, 0], [0, 2]]. Head 0
# has the numbers 1, 0: token 1 asks with 0, so it takes half of each: 0.5. Head 1 has 0, 2: token 1
# scores 2·0 and 2·2, weights 0.018 and 0.982: 1.964. The answer is [[1, 0], [0.5, 1.964]].
#
# <details><summary>Hint 1</summary>One linear map makes (B, T, C); a reshape makes (B, T, h, C /
# h); a transpose brings the heads before the tokens.</details>
# <details><summary>Hint 2</summary>The causal mask is <code>np.tril(np.ones((T, T), bool))</code>,
# the same for all heads.</details>
# <details><summary>Hint 3</summary>Back: transpose the heads behind the tokens, and only then
# reshape to (B, T, C).</details>


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
# ## 7. One step of skip-gram (★★★, 15 minutes)
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
#
# *By hand.* D = 1, one pair, one negative; u = 1, v = 0, v₁ = 0, lr = 1. Both scores are 0, σ(0) =
# 0.5, loss 2 · log 2 = 1.386. The slope by a score is σ − 1 = −0.5 for the context, σ = 0.5 for the
# negative. u moves by −(−0.5·0 + 0.5·0) = 0; v becomes 0 + 0.5·1 = 0.5; v₁ becomes −0.5.
#
# <details><summary>Hint 1</summary>Put the context beside its negatives, (B, 1 + K), and give the
# first a sign of +1 and the others of −1.</details>
# <details><summary>Hint 2</summary>The slope of the loss by a score is sign · (σ(sign · score) −
# 1). Compute both changes before you write either.</details>
# <details><summary>Hint 3</summary><code>words[center] -= ...</code> keeps one change for a word
# that stands there twice; <code>np.subtract.at(words, center, ...)</code> keeps all.</details>


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
# ## 8. Change one fact (★★, 8 minutes)
#
# A linear map is a memory: asked with a key k it answers W k. `rome_edit(W, C, k, v)` returns a
# new matrix W' that answers k with v, by a change of rank one:
#
# $$W' = W + \frac{(v - W k)\,d^\top}{d \cdot k}, \qquad d = C^{-1} k$$
#
# W is (O, I), k (I,), v (O,); C (I, I) is the mean of $k k^\top$ over the keys in use, symmetric and
# positive definite. It makes the change spare the directions that other keys use. W' has W's dtype;
# W stays as it is. About 3 lines.
#
# *By hand.* W is the identity, C = [[2, 1], [1, 1]], k = (1, 0), v = (0, 0). C⁻¹k = (1, −1), d · k = 1,
# v − Wk = (−1, 0). W' = [[1, 0], [0, 1]] + [[−1, 1], [0, 0]] = [[0, 1], [0, 1]]. It answers k with
# (0, 0), and the key (1, 1) with (1, 1) as before.
#
# <details><summary>Hint 1</summary><code>np.linalg.solve(C, k)</code> is C⁻¹k without the
# inverse.</details>
# <details><summary>Hint 2</summary>A column times a row is a matrix: <code>np.outer(column,
# row)</code>, here (O, I).</details>
# <details><summary>Hint 3</summary>W + np.outer((v − W k) / (d · k), d), and then
# <code>.astype(W.dtype)</code>; not <code>W += ...</code>.</details>


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
# ## All of it
#
# Run the check of the whole set; then hand in the notebook.

# %%
check(set="01_overview_of_transformers")
