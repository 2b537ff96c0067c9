# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "History: blanks, positions, norms"
# ---

# %% [markdown]
# # Blanks, positions, norms
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function to work**. Before you run that
# cell, say what you expect to see.
#
# The first takes two minutes. The stars say how hard a question is, from ★ to ★★★, and the hints
# below it are folded away: open the next one only when you are stuck.
#
# Arrays are NumPy's, and everything may be computed in float64. Leave your arguments as they are.
# All that is asked for here stands in [the lesson](../lessons/07a_history.ipynb).

# %%
import numpy as np

from minilm.course import bars, check, heatmap, lines, payoff

# %% [markdown]
# ## 1. A norm without a mean (★, 2 minutes)
#
# `rmsnorm(x, g, eps)`: each row of `x` divided by its root mean square √(mean(x²) + eps), then times `g`,
# number by number. `x` is (..., C), `g` is (C,), `eps` a number; the result has the shape of `x`. About
# 1 line.
#
# *By hand.* x = (3, 4), g = (1, 2), eps = 0: the mean of the squares is 12.5, its root 3.536, so the
# result is (0.849, 2 · 1.131) = (0.849, 2.263).
#
# <details><summary>Hint 1</summary>The mean runs over the last axis.</details>
# <details><summary>Hint 2</summary><code>keepdims=True</code> keeps a place for it.</details>
# <details><summary>Hint 3</summary><code>x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * g</code>
# </details>


# %%
def rmsnorm(x, g, eps):
    """(..., C) -> (..., C)."""
    ### BEGIN SOLUTION
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * g
    ### END SOLUTION


# %%
check("rmsnorm")


# %% tags=["payoff"]
@payoff("rmsnorm")
def a_llama_on_your_norm():
    """A small Llama, every norm of it yours: how much do its logits change?"""
    import minilm
    from minilm.models import Transformer, llama

    sizes = {"vocab_size": 64, "context": 16, "layers": 2, "heads": 2, "kv_heads": 2}
    model = Transformer(llama(**sizes, channels=32, ff=64))
    ids = np.arange(6)[None]
    theirs = model(ids).data

    def yours(x, w, eps=1e-5):
        return rmsnorm(x, w, np.float32(eps)).astype(x.dtype)

    with minilm.use(rms_norm=yours):
        change = np.abs(model(ids).data - theirs).max()
    print(f"five norms of a Llama are yours; the largest change of a logit is {change:.1e}")


# %% [markdown]
# ## 2. How long is a turn? (★, 5 minutes)
#
# Rotary positions turn pair i of a head of size D by θᵢ = base^(−2i / D) at each step. `wavelengths(D,
# base)`: for every pair the number of positions until it has turned once, 2π / θᵢ. Returns (D / 2,) of
# floats, pair 0 first. D is even. About 2 lines.
#
# *By hand.* D = 4 and base 100: θ = (1, 100^(−1/2)) = (1, 0.1), so (6.283, 62.83).
#
# <details><summary>Hint 1</summary><code>np.arange(D // 2)</code> are the pairs.</details>
# <details><summary>Hint 2</summary>The last pair has 2i = D − 2, and not D.</details>
# <details><summary>Hint 3</summary><code>2 * np.pi * base ** (2 * np.arange(D // 2) / D)</code></details>


# %%
def wavelengths(D, base):
    """(D / 2,)."""
    ### BEGIN SOLUTION
    theta = base ** (-2.0 * np.arange(D // 2) / D)
    return 2 * np.pi / theta
    ### END SOLUTION


# %%
check("wavelengths")


# %% tags=["payoff"]
@payoff("wavelengths")
def slow_and_fast_hands():
    """Your wavelengths for a head of 128, with three bases that models use."""
    lines(
        np.arange(64),
        {f"{base:,}": wavelengths(128, base) for base in (10_000, 500_000, 1_000_000)},
        yscale="log",
        xlabel="pair",
        ylabel="positions for one turn",
        alt="From 6 positions for the first pair to 54,000 for the last; larger bases, longer turns.",
    )


# %% [markdown]
# ## 3. Turn by place (★★, 15 minutes)
#
# `rope(x, pos, base)`: `x` is (T, D), one vector a row, `pos` (T,) whole numbers, its places. Pair i are
# the numbers i and i + D/2 of a row. With the angle a = pos · base^(−2i / D) they become
#
# (u, v) → (u cos a − v sin a, u sin a + v cos a).
#
# Returns (T, D). About 5 lines.
#
# *By hand.* D = 2, x = (1, 0), pos = 1, base = 10,000: θ₀ = 1, so (cos 1, sin 1) = (0.540, 0.841).
#
# <details><summary>Hint 1</summary>The angles are (T, D/2): <code>pos[:, None] * theta</code>.</details>
# <details><summary>Hint 2</summary><code>u, v = x[:, : D // 2], x[:, D // 2 :]</code></details>
# <details><summary>Hint 3</summary>Put the two halves side by side with <code>np.concatenate(..., axis=1)
# </code>.</details>


# %%
def rope(x, pos, base):
    """(T, D) -> (T, D)."""
    ### BEGIN SOLUTION
    D = x.shape[1]
    a = pos[:, None] * base ** (-2.0 * np.arange(D // 2) / D)
    u, v = x[:, : D // 2], x[:, D // 2 :]
    return np.concatenate([u * np.cos(a) - v * np.sin(a), u * np.sin(a) + v * np.cos(a)], axis=1)
    ### END SOLUTION


# %%
check("rope")


# %% tags=["payoff"]
@payoff("rope")
def only_the_distance_counts():
    """One query and one key, turned by you to 24 places each: their product for every pair."""
    rng = np.random.default_rng(0)
    q, k = (np.repeat(rng.normal(size=(1, 16)), 24, axis=0) for _ in range(2))
    places = np.arange(24)
    heatmap(
        rope(q, places, 10000.0) @ rope(k, places, 10000.0).T,
        xlabel="place of the key",
        ylabel="place of the query",
        unit="product",
        centre=0.0,
        alt="Every diagonal has one colour: the product depends on the distance alone.",
    )


# %% [markdown]
# ## 4. Who sees whom in GLM (★, 5 minutes)
#
# `glm_mask(nA, nB)`: the square array of bools of nA + nB rows, True where the row may look at the
# column. The first nA places are part A, the others part B. Everybody sees all of A. In B a place also
# sees itself and what stands before it in B. nB may be 0. About 3 lines.
#
# *By hand.* nA = 2, nB = 2: rows 1100, 1100, 1110, 1111.
#
# <details><summary>Hint 1</summary>Begin with the triangle <code>np.tri(n, dtype=bool)</code>.</details>
# <details><summary>Hint 2</summary>Then open the columns of A to everybody.</details>
# <details><summary>Hint 3</summary><code>mask[:, :nA] = True</code></details>


# %%
def glm_mask(nA, nB):
    """(nA + nB, nA + nB) of bools."""
    ### BEGIN SOLUTION
    mask = np.tri(nA + nB, dtype=bool)
    mask[:, :nA] = True
    return mask
    ### END SOLUTION


# %%
check("glm_mask")


# %% tags=["payoff"]
@payoff("glm_mask")
def from_reading_to_writing():
    """How many pairs may look at each other, from all of the text in A to all of it in B."""
    parts = np.arange(0, 33)
    lines(
        parts,
        {"pairs": [int(glm_mask(32 - b, b).sum()) for b in parts]},
        expected={"all": 32 * 32, "half": 32 * 33 / 2},
        xlabel="places in part B, of 32",
        ylabel="pairs that see",
        alt="With all in A every pair sees; with all in B it is the triangle of a GPT.",
    )


# %% [markdown]
# ## 5. Where to cut (★★, 20 minutes)
#
# `sample_spans(n, ratio, lam, seed)`: spans of a text of `n` words, as a list of pairs (first, past the
# last), in order. Draw lengths `max(1, rng.poisson(lam))` until they add up to `max(1, round(ratio * n))`
# or more; shorten the last one so that they add up exactly. Then place the spans, in the order in which
# they were drawn, at random places, so that between two of them at least **one** word stays. `rng` is
# `np.random.default_rng(seed)`; draw from it alone. The spans always fit. About 15 lines.
#
# *By hand.* n = 6, ratio = 0.5, and rng.poisson gives 2, then 4: lengths 2 and 1 (3 words in all). Three
# words stay, one of them between the spans. One answer is [(2, 4), (5, 6)].
#
# <details><summary>Hint 1</summary>Lengths first, all of them; then only the gaps are random.</details>
# <details><summary>Hint 2</summary>With k spans, <code>free = n - wanted - (k - 1)</code> words may
# stand anywhere: <code>np.sort(rng.integers(0, free + 1, k))</code> says how many of them stand before
# each span.</details>
# <details><summary>Hint 3</summary>Span i begins at <code>cuts[i] + i + (sum of the lengths before it)
# </code>.</details>


# %%
def sample_spans(n, ratio, lam, seed):
    """[(first, past the last), ...] in order."""
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    wanted = max(1, round(ratio * n))
    lengths = []
    while sum(lengths) < wanted:
        lengths.append(min(max(1, int(rng.poisson(lam))), wanted - sum(lengths)))
    free = n - wanted - (len(lengths) - 1)
    cuts = np.sort(rng.integers(0, free + 1, len(lengths)))
    spans, used = [], 0
    for i, (cut, length) in enumerate(zip(cuts, lengths)):
        first = int(cut) + i + used
        spans.append((first, first + length))
        used += length
    return spans
    ### END SOLUTION


# %%
check("sample_spans")


# %% tags=["payoff"]
@payoff("sample_spans")
def sixteen_texts_with_holes():
    """What you cut out of sixteen texts of 64 words."""
    shown = np.zeros((16, 64))
    for seed, row in enumerate(shown):
        for first, past in sample_spans(64, 0.15, 3, seed):
            row[first:past] = 1
    heatmap(
        shown,
        xlabel="word",
        ylabel="text",
        unit="cut out",
        low=0,
        high=1,
        alt="In each row a few short spans, never touching, about a seventh of the words.",
    )


# %% [markdown]
# ## 6. GLM's training text (★★★, 25 minutes)
#
# `glm_batch(ids, spans, order, M, S, E)`: the five rows that GLM reads and is asked, for one text.
# `ids` is (n,), `spans` a list of pairs (first, past the last) in order of place, never touching, and
# `order` a permutation of their numbers. M, S and E are the ids of mask, start and end.
#
# - **Part A** is the text with each span replaced by one M. **Part B** follows: the spans in the order
#   `order`, each as S and then its words.
# - `inp` are A and B. `tgt` is −100 in A; in B it is the next word of the span, and E after its last one.
# - `pos1` counts A from 1; in B it is, for the whole span, the number of its M. `pos2` is 0 in A, and counts
#   each span of B from 1.
# - `loss` is True where a word is asked for.
#
# Return (inp, tgt, pos1, pos2, loss), five arrays of one length, the last of bools. About 22 lines.
#
# *By hand.* ids 1 2 3 4 5 6, spans {3} and {5, 6}, order (1, 0): inp 1 2 M 4 M S 5 6 S 3, tgt (five times
# −100) 5 6 E 3 E, pos1 1 2 3 4 5 5 5 5 3 3, pos2 0 0 0 0 0 1 2 3 1 2.
#
# <details><summary>Hint 1</summary>Build A first, and note at which place of A each span's M stands.
# </details>
# <details><summary>Hint 2</summary>A span of k words takes k + 1 places in B: S and its words as input,
# its words and E as target.</details>
# <details><summary>Hint 3</summary>For span s at place p: <code>pos1 += [p] * (k + 1)</code>, <code>pos2
# += range(1, k + 2)</code>.</details>


# %%
def glm_batch(ids, spans, order, M, S, E):
    """(inp, tgt, pos1, pos2, loss)."""
    ### BEGIN SOLUTION
    inp, where, done = [], [], 0
    for first, past in spans:
        inp += list(ids[done:first]) + [M]
        where.append(len(inp))
        done = past
    inp += list(ids[done:])
    n = len(inp)
    tgt, pos1, pos2 = [-100] * n, list(range(1, n + 1)), [0] * n
    for i in order:
        words = list(ids[spans[i][0] : spans[i][1]])
        inp += [S, *words]
        tgt += [*words, E]
        pos1 += [where[i]] * (len(words) + 1)
        pos2 += list(range(1, len(words) + 2))
    tgt = np.array(tgt)
    return np.array(inp), tgt, np.array(pos1), np.array(pos2), tgt != -100
    ### END SOLUTION


# %%
check("glm_batch")


# %% tags=["payoff"]
@payoff("glm_batch")
def a_glm_on_your_texts():
    """A GLM learns for some seconds on texts that your function has cut."""
    from minilm.course import lesson_folder
    from minilm.models import Transformer
    from minilm.optim import AdamW

    objectives, texts = (lesson_folder("07a").module(m) for m in ("objectives", "texts"))
    model, rng = Transformer(objectives.config_of("GLM"), seed=0), np.random.default_rng(0)
    optimizer, losses = AdamW(model.parameters(), lr=5e-3), []
    for rows in texts.stream(150 * 16 * 32, 5).reshape(150, 16, 32):
        cut = [[(first, first + 5)] for first in rng.integers(0, 26, len(rows)).tolist()]
        made = [glm_batch(row, s, [0], *objectives.SPECIAL.values()) for row, s in zip(rows, cut)]
        inp, tgt, pos1, pos2 = (np.stack([m[i] for m in made]) for i in range(4))
        loss = model.loss(inp, tgt, positions=np.stack([pos1, pos2]), prefix=28)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    lines(
        np.arange(10, 151, 10),
        {"your GLM": np.reshape(losses, (15, 10)).mean(1)},
        expected={"even bets": np.log(texts.WORDS)},
        xlabel="step",
        ylabel="nats per hidden word",
        alt="The loss falls from four nats to about two.",
    )


# %% [markdown]
# ## 7. Before or behind (★★, 10 minutes)
#
# `block(x, W1, W2, mode)`: one sub-layer with its shortcut. Let N(z) be z over its root mean square, z /
# √(mean(z²) + 1e-6), by rows and without weights, and f(z) = max(z W1ᵀ, 0) W2ᵀ. With mode "pre" the
# result is x + f(N(x)), with mode "post" it is N(x + f(x)). `x` is (T, C), `W1` (F, C), `W2` (C, F). Any
# other mode raises a `ValueError`. About 8 lines.
#
# *By hand.* x = (3, 4), W2 = 0: "pre" gives (3, 4), untouched. "post" gives (0.849, 1.131): even a block
# that does nothing rescales.
#
# <details><summary>Hint 1</summary>Write N and f as small functions inside.</details>
# <details><summary>Hint 2</summary>In "post" f sees x as it is.</details>
# <details><summary>Hint 3</summary><code>x + f(norm(x))</code> and <code>norm(x + f(x))</code></details>


# %%
def block(x, W1, W2, mode):
    """(T, C) -> (T, C)."""

    ### BEGIN SOLUTION
    def norm(z):
        return z / np.sqrt((z * z).mean(-1, keepdims=True) + 1e-6)

    def f(z):
        return np.maximum(z @ W1.T, 0) @ W2.T

    if mode == "pre":
        return x + f(norm(x))
    if mode == "post":
        return norm(x + f(x))
    raise ValueError(f"mode is {mode!r}; it must be 'pre' or 'post'")
    ### END SOLUTION


# %%
check("block")


# %% tags=["payoff"]
@payoff("block")
def how_far_a_nudge_comes():
    """Nudge what enters 1 to 24 of your blocks by a millionth: how large is it at the end?"""
    rng = np.random.default_rng(0)
    weights = [(rng.normal(0, 0.1, (128, 32)), rng.normal(0, 0.1, (32, 128))) for _ in range(24)]
    start, nudge = rng.normal(size=(16, 32)), 1e-6 * rng.normal(size=(16, 32))
    sizes = {}
    for mode in ("pre", "post"):
        x, y, sizes[mode] = start, start + nudge, []
        for W1, W2 in weights:
            x, y = block(x, W1, W2, mode), block(y, W1, W2, mode)
            sizes[mode].append(np.linalg.norm(y - x) / np.linalg.norm(nudge))
    lines(
        np.arange(1, 25),
        sizes,
        expected={"the nudge": 1.0},
        xlabel="blocks",
        ylabel="size at the end, nudge = 1",
        alt="With norms before, what the blocks add makes the nudge grow; behind, each norm rescales it.",
    )


# %% [markdown]
# ## 8. The norm's way back (★★★, 25 minutes)
#
# `rmsnorm_backward(dy, x, g, eps)`: given the derivative `dy` of a loss by the output of `rmsnorm(x, g,
# eps)`, return (dx, dg), its derivatives by `x` and `g`. `x` and `dy` are (N, C), `g` is (C,); dx is (N, C)
# and dg (C,), summed over the rows. With r = 1 / √(mean(x²) + eps) of a row and h = x · r:
#
# dg = Σ over rows of dy · h, and dx = r · (u − h · mean(u · h)) with u = dy · g.
#
# About 5 lines.
#
# *By hand.* x = (3, 4), g = (1, 1), eps = 0, dy = (1, 0): r = 0.2828, h = (0.849, 1.131), mean(u h) = 0.424,
# so dx = 0.2828 · (1 − 0.36, 0 − 0.48) = (0.181, −0.136). Along x nothing is left: 3 · 0.181 − 4 · 0.136 = 0.
#
# <details><summary>Hint 1</summary>r is (N, 1): keep the axis.</details>
# <details><summary>Hint 2</summary>The mean runs over the channels of one row.</details>
# <details><summary>Hint 3</summary><code>r * (u - h * (u * h).mean(-1, keepdims=True))</code></details>


# %%
def rmsnorm_backward(dy, x, g, eps):
    """(dx, dg)."""
    ### BEGIN SOLUTION
    r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    h, u = x * r, dy * g
    return r * (u - h * (u * h).mean(-1, keepdims=True)), (dy * h).sum(0)
    ### END SOLUTION


# %%
check("rmsnorm_backward")


# %% tags=["payoff"]
@payoff("rmsnorm_backward")
def no_push_along_x():
    """How much of your gradient points along x, for norms with a small and a large eps."""
    rng = np.random.default_rng(0)
    x, dy, along = rng.normal(size=(500, 32)), rng.normal(size=(500, 32)), []
    sizes = (1e-8, 1e-4, 1e-2, 1.0)
    for eps in sizes:
        dx, _ = rmsnorm_backward(dy, x, np.ones(32), eps)
        cosine = (dx * x).sum(1) / np.linalg.norm(dx, axis=1) / np.linalg.norm(x, axis=1)
        along.append(float(np.abs(cosine).mean()))
    bars(
        [f"eps {eps:g}" for eps in sizes],
        along,
        ylabel="cosine with x",
        numbers="{:.1e}",
        alt="With a small eps the gradient stands at a right angle to x; with 1 it does not.",
    )
