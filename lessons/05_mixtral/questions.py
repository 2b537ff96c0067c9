# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Mixtral: routing, experts, windows"
# ---

# %% [markdown]
# # Routing, experts, windows
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function to work**.
#
# The first takes two minutes. The stars say how hard a question is, from ★ to ★★★, and the hints
# below it are folded away: open the next one only when you are stuck.
#
# Arrays are NumPy's, and everything may be computed in float64. Leave your arguments as they are.
# All that is asked for here stands in [the lesson](../lessons/05_mixtral.ipynb). Linear maps are kept
# as (out, in): a row of `x` is mapped by `x @ W.T`.

# %%
import numpy as np

from minilm.course import bars, check, lines, payoff

# %% [markdown]
# ## 1. A gated feed-forward (★, 2 minutes)
#
# `swiglu(x, w1, w2, w3)`: what one expert computes, w2 (silu(w1 x) · w3 x), with silu(z) = z / (1 +
# e^(−z)) and a product number by number. `x` is (N, C), `w1` and `w3` are (F, C), `w2` is (C, F), all of
# floats; the result is (N, C). Where z is −1,000, silu must give 0, and not nan. About 2 lines.
#
# *By hand.* C = F = 1, all weights 1, x = 2: silu(2) = 2 / (1 + e^(−2)) = 1.762, times 2 is 3.523.
#
# <details><summary>Hint 1</summary>The gate is <code>x @ w1.T</code>, (N, F).</details>
# <details><summary>Hint 2</summary>e^1000 overflows to infinity, and −1000 / infinity is −0: that is
# right, NumPy only warns. <code>with np.errstate(over="ignore"):</code> keeps it quiet.</details>
# <details><summary>Hint 3</summary><code>(gate / (1 + np.exp(-gate)) * (x @ w3.T)) @ w2.T</code></details>


# %%
def swiglu(x, w1, w2, w3):
    """(N, C) -> (N, C)."""
    ### BEGIN SOLUTION
    gate = x @ w1.T
    with np.errstate(over="ignore"):
        return (gate / (1 + np.exp(-gate)) * (x @ w3.T)) @ w2.T
    ### END SOLUTION


# %%
check("swiglu")


# %% tags=["payoff"]
@payoff("swiglu")
def the_gate_opens():
    """What your expert makes of one number, for four strengths of its gate."""
    x = np.linspace(-4, 4, 81)[:, None]
    one = np.ones((1, 1))
    lines(
        x[:, 0],
        {f"w1 = {g:g}": swiglu(x, g * one, one, one)[:, 0] for g in (0.5, 1.0, 2.0, 4.0)},
        xlabel="x",
        ylabel="your swiglu(x)",
        alt="Below 0 the output stays near 0; above it rises like a square.",
    )


# %% [markdown]
# ## 2. Total and active (★, 10 minutes)
#
# `count_params_moe(cfg)`: the pair (total, active) of a model like Mixtral. `cfg` is a dictionary of
# whole numbers: `vocab`, `dim`, `layers`, `heads`, `kv_heads`, `head_dim`, `ff`, `experts`, `chosen`.
# There are no biases. The model has
#
# - an embedding of vocab × dim, a head of the same size, and one norm of dim at the end;
# - per layer: queries dim × heads·head_dim, keys and values dim × kv_heads·head_dim each, output
#   heads·head_dim × dim; two norms of dim; a router dim × experts; and `experts` feed-forwards with
#   three matrices of dim × ff each.
#
# A token uses `chosen` experts of each layer, and everything else. Python's integers, exactly. About
# 8 lines.
#
# *By hand.* All nine numbers 1: ends 1 + 1 + 1 = 3; the layer 1 + 2 + 1 + 2 + 1 + 3 = 10. Both are 13.
# With 2 experts the layer has one more for the router and 3 more for the expert: total 17, active 14.
#
# <details><summary>Hint 1</summary>Count what is shared in a layer, then one expert.</details>
# <details><summary>Hint 2</summary>An expert has <code>3 * dim * ff</code> weights.</details>
# <details><summary>Hint 3</summary>total and active differ only in how often the expert counts in
# each layer.</details>


# %%
def count_params_moe(cfg):
    """(total, active)."""
    ### BEGIN SOLUTION
    d, q = cfg["dim"], cfg["heads"] * cfg["head_dim"]
    kv = cfg["kv_heads"] * cfg["head_dim"]
    shared = 2 * d * q + 2 * d * kv + 2 * d + d * cfg["experts"]
    expert = 3 * d * cfg["ff"]
    ends = 2 * cfg["vocab"] * d + d
    total = ends + cfg["layers"] * (shared + cfg["experts"] * expert)
    return total, ends + cfg["layers"] * (shared + cfg["chosen"] * expert)
    ### END SOLUTION


# %%
check("count_params_moe")


# %% tags=["payoff"]
@payoff("count_params_moe")
def more_experts():
    """Your counts for Mixtral's sizes with 1 to 64 experts, of which a token uses two."""
    cfg = {"vocab": 32000, "dim": 4096, "layers": 32, "heads": 32, "kv_heads": 8}
    cfg |= {"head_dim": 128, "ff": 14336, "chosen": 2}
    experts = [2, 4, 8, 16, 32, 64]
    counts = np.array([count_params_moe({**cfg, "experts": e}) for e in experts]) / 1e9
    lines(
        experts,
        {"total": counts[:, 0], "active": counts[:, 1]},
        xscale="log",
        yscale="log",
        xlabel="experts in each layer",
        ylabel="billions of weights",
        alt="The total grows with the number of experts; what a token uses stays where it is.",
    )


# %% [markdown]
# ## 3. Choose k of E (★★, 10 minutes)
#
# `topk_gate(x, Wg, k)`: the pair (idx, w). `x` is (N, C), the router `Wg` is (E, C), the logits are `x @
# Wg.T`. `idx` is (N, k), whole numbers: for each token the experts with the k largest logits, the largest first (and
# of equal ones the smaller number). `w` is (N, k): the softmax over those k logits alone. Logits of
# 1,000 must not overflow. About 5 lines.
#
# *By hand.* Logits 1, 2, 0.5, 3 and k = 2: experts 3 and 1, with weights 1 / (1 + e^(−1)) = 0.7311 and
# 0.2689.
#
# <details><summary>Hint 1</summary><code>np.argsort(-logits, axis=1, kind="stable")</code> gives the
# largest first.</details>
# <details><summary>Hint 2</summary><code>np.take_along_axis(logits, idx, 1)</code> picks the chosen
# logits, (N, k).</details>
# <details><summary>Hint 3</summary>Subtract the first chosen logit of each row, then e to the power,
# then divide by the sum.</details>


# %%
def topk_gate(x, Wg, k):
    """(idx, w), each (N, k)."""
    ### BEGIN SOLUTION
    logits = x @ Wg.T
    idx = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    chosen = np.take_along_axis(logits, idx, 1)
    e = np.exp(chosen - chosen[:, :1])
    return idx, e / e.sum(1, keepdims=True)
    ### END SOLUTION


# %%
check("topk_gate")


# %% tags=["payoff"]
@payoff("topk_gate")
def who_gets_what():
    """Your gate on 4,000 random tokens: how often each of eight experts is chosen."""
    rng = np.random.default_rng(0)
    idx, w = topk_gate(rng.normal(size=(4000, 16)), rng.normal(size=(8, 16)), 2)
    share = np.bincount(idx.ravel(), minlength=8) / idx.size
    bars(
        [str(e) for e in range(8)],
        share,
        xlabel="expert",
        ylabel="share of all choices",
        expected={"even": 1 / 8},
        numbers="{:.2f}",
        alt="A router that has learnt nothing is not even: some experts are chosen more often.",
    )


# %% [markdown]
# ## 4. The balance loss (★, 5 minutes)
#
# `load_balance_loss(probs, idx, k)`: E · Σ f_e · P_e over the E experts. `probs` is (N, E), the router's
# softmax over all experts; P_e is its mean over the tokens. `idx` is (N, k), the chosen ones; f_e is the
# share of all N · k choices that fell on expert e. Returns one float. About 3 lines.
#
# *By hand.* Two experts, two tokens, k = 1, both chose expert 0; probabilities (0.8, 0.2) and (0.6, 0.4):
# f = (1, 0), P = (0.7, 0.3), so the loss is 2 · 0.7 = 1.4. Even shares and probabilities give 1.
#
# <details><summary>Hint 1</summary>f adds up to 1, and so does P.</details>
# <details><summary>Hint 2</summary><code>np.bincount(idx.ravel(), minlength=E)</code> counts the
# choices.</details>
# <details><summary>Hint 3</summary><code>E * (f * probs.mean(0)).sum()</code></details>


# %%
def load_balance_loss(probs, idx, k):
    """A number; 1 where all is even."""
    ### BEGIN SOLUTION
    E = probs.shape[1]
    f = np.bincount(idx.ravel(), minlength=E) / (len(probs) * k)
    return float(E * (f * probs.mean(0)).sum())
    ### END SOLUTION


# %%
check("load_balance_loss")


# %% tags=["payoff"]
@payoff("load_balance_loss")
def a_router_that_tips():
    """Your loss while one expert of eight becomes more and more popular."""
    rng = np.random.default_rng(0)
    pulls = np.linspace(0, 8, 33)
    losses = []
    for pull in pulls:
        logits = rng.normal(size=(2000, 8)) + pull * np.eye(8)[0]
        probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        losses.append(load_balance_loss(probs, np.argsort(-probs, 1)[:, :1], 1))
    lines(
        pulls,
        {"your loss": losses},
        expected={"even": 1.0},
        xlabel="logit added to expert 0",
        ylabel="balance loss",
        alt="The loss is 1 while all is even, and rises to 8 where one expert has all.",
    )


# %% [markdown]
# ## 5. A layer of experts (★★, 20 minutes)
#
# `moe_forward(x, Wg, w1, w2, w3, k)`: for each token the sum over its k chosen experts of weight times
# what the expert computes. `x` is (N, C), `Wg` (E, C), `w1` and `w3` (E, F, C), `w2` (E, C, F): expert e is
# the feed-forward of question 1 with `w1[e]`, `w2[e]`, `w3[e]`, and choice and weights are those of
# question 3. The result is (N, C). A loop over the experts is fine. About 12 lines.
#
# *By hand.* C = F = 1, x = 1, router rows 1, 2, 0.5, 3 and k = 2, all `w1` and `w3` 1, `w2` of expert e
# equal to e: silu(1) = 0.731, so the result is (0.7311 · 3 + 0.2689 · 1) · 0.731 = 1.800.
#
# <details><summary>Hint 1</summary>Call your <code>topk_gate</code> and your <code>swiglu</code>.
# </details>
# <details><summary>Hint 2</summary>For expert e: <code>token, place = np.nonzero(idx == e)</code> tells
# which tokens chose it, and as which choice.</details>
# <details><summary>Hint 3</summary><code>y[token] += w[token, place][:, None] * swiglu(x[token], w1[e],
# w2[e], w3[e])</code>. No token has the same expert twice, so <code>+=</code> is safe.</details>


# %%
def moe_forward(x, Wg, w1, w2, w3, k):
    """(N, C) -> (N, C)."""
    ### BEGIN SOLUTION
    idx, w = topk_gate(x, Wg, k)
    y = np.zeros(x.shape)
    for e in range(len(Wg)):
        token, place = np.nonzero(idx == e)
        y[token] += w[token, place][:, None] * swiglu(x[token], w1[e], w2[e], w3[e])
    return y
    ### END SOLUTION


# %%
check("moe_forward")


# %% tags=["payoff"]
@payoff("moe_forward")
def a_model_on_your_experts():
    """A small language model is trained for some seconds, then its experts are yours."""
    from minilm.course import lesson_folder
    from minilm.tensor import Tensor

    knowledge, own = lesson_folder("05").study("knowledge"), lesson_folder("05").module("mixture")
    model = knowledge.train_one("mixture", 0, 5e-3, 60, lambda *_: None)
    held = knowledge.WORLD.sample(2049, 4242, knowledge.MIXTURE).tokens
    ids, targets = held[:-1].reshape(64, 32), held[1:].reshape(64, 32)
    before = float(own.losses(model, ids, targets).mean())
    for layer in own.experts_of(model):

        def yours(x, layer=layer):
            flat = x.data.reshape(-1, x.shape[-1])
            parts = (layer.router, layer.gate, layer.down, layer.up)
            y = moe_forward(flat, *(part.weight.data for part in parts), 2)
            return Tensor(y.reshape(x.shape).astype(np.float32))

        layer.forward = yours
    print(f"the package's experts: {before:.5f} nats per word")
    print(f"yours:                 {float(own.losses(model, ids, targets).mean()):.5f}")


# %% [markdown]
# ## 6. Grouped queries (★★, 20 minutes)
#
# `gqa(x, Wq, Wk, Wv, Wo, h, h_kv)`: causal attention of one text with `h` query heads and `h_kv` heads of
# keys and values; h is a multiple of h_kv. `x` is (T, C), `Wq` (h·D, C), `Wk` and `Wv` (h_kv·D, C), `Wo`
# (C, h·D). Query head i, rows i·D to (i + 1)·D of `Wq`, reads key and value head i // (h / h_kv). Scores
# are divided by √D; place t sees places 0 to t. The heads' outputs stand side by side, in order, and
# go through `Wo`. Returns (T, C). About 12 lines.
#
# *By hand.* T = 1: whatever the queries are, the one place sees itself alone with weight 1. With h = 2,
# h_kv = 1 and D = 1 the two heads both give v, so the result is Wo (v, v).
#
# <details><summary>Hint 1</summary><code>(x @ Wk.T).reshape(T, h_kv, D)</code> separates the heads.
# </details>
# <details><summary>Hint 2</summary><code>np.repeat(k, h // h_kv, axis=1)</code> gives each query head
# its keys, in the right order.</details>
# <details><summary>Hint 3</summary><code>scores = np.einsum("thd,shd->hts", q, k) / np.sqrt(D)</code>;
# then −infinity where s is larger than t: <code>np.triu(np.ones((T, T), bool), 1)</code>.</details>


# %%
def gqa(x, Wq, Wk, Wv, Wo, h, h_kv):
    """(T, C) -> (T, C)."""
    ### BEGIN SOLUTION
    T, D = len(x), len(Wq) // h
    q = (x @ Wq.T).reshape(T, h, D)
    k = np.repeat((x @ Wk.T).reshape(T, h_kv, D), h // h_kv, axis=1)
    v = np.repeat((x @ Wv.T).reshape(T, h_kv, D), h // h_kv, axis=1)
    scores = np.einsum("thd,shd->hts", q, k) / np.sqrt(D)
    scores = np.where(np.triu(np.ones((T, T), bool), 1), -np.inf, scores)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = np.einsum("hts,shd->thd", e / e.sum(-1, keepdims=True), v)
    return mixed.reshape(T, h * D) @ Wo.T
    ### END SOLUTION


# %%
check("gqa")


# %% tags=["payoff"]
@payoff("gqa")
def how_far_sharing_goes():
    """Merge the keys and values of a random layer's heads, group by group: how far is it off?"""
    rng = np.random.default_rng(0)
    x, h, D = rng.normal(size=(24, 64)), 8, 8
    Wq, Wk, Wv = (rng.normal(size=(64, 64)) / 8 for _ in range(3))
    whole = gqa(x, Wq, Wk, Wv, np.eye(64), h, h)
    sizes, off = [8, 4, 2, 1], []
    for h_kv in sizes:
        k, v = (W.reshape(h_kv, h // h_kv, D, 64).mean(1).reshape(-1, 64) for W in (Wk, Wv))
        shared = gqa(x, Wq, k, v, np.eye(64), h, h_kv)
        off.append(float(np.sqrt(((shared - whole) ** 2).mean() / (whole**2).mean())))
    bars(
        [f"{n} key heads" for n in sizes],
        off,
        ylabel="error, of the output's size",
        numbers="{:.2f}",
        alt="The fewer key heads are left, the larger the error: sharing must be trained.",
    )


# %% [markdown]
# ## 7. A cache that rolls (★★, 15 minutes)
#
# `rolling_cache_attend(keys, values, q, k, v, t)`: one step of writing with a window of W. `keys` and
# `values` are (W, D); position p lies in slot p mod W, and slots of positions that have not come yet
# hold zeros. `q`, `k`, `v` are (D,), those of position `t` (from 0). Put k and v into their slot of **new**
# arrays; let q look, with softmax and 1/√D, at the positions t − W + 1 to t that exist. Return (out,
# keys, values). About 8 lines.
#
# *By hand.* W = 2, t = 2: slot 0 held position 0, which the window has left, and now gets position 2.
# Slot 1 holds position 1. q sees both. At t = 0 q sees itself alone, so out = v.
#
# <details><summary>Hint 1</summary><code>keys = keys.copy()</code>, then <code>keys[t % W] = k</code>.
# </details>
# <details><summary>Hint 2</summary>Softmax does not care in which order the keys stand. After W
# positions all slots count; before, the first t + 1.</details>
# <details><summary>Hint 3</summary><code>n = min(t + 1, W)</code>, then attention over
# <code>keys[:n]</code> and <code>values[:n]</code>.</details>


# %%
def rolling_cache_attend(keys, values, q, k, v, t):
    """(out, keys, values)."""
    ### BEGIN SOLUTION
    W, D = keys.shape
    keys, values = keys.copy(), values.copy()
    keys[t % W], values[t % W] = k, v
    n = min(t + 1, W)
    scores = keys[:n] @ q / np.sqrt(D)
    e = np.exp(scores - scores.max())
    return (e / e.sum()) @ values[:n], keys, values
    ### END SOLUTION


# %%
check("rolling_cache_attend")


# %% tags=["payoff"]
@payoff("rolling_cache_attend")
def what_lies_in_the_slots():
    """Twelve steps through your four slots: which position lies where."""
    from minilm.course import heatmap

    held = np.full((4, 12), np.nan)
    keys = values = np.full((4, 1), -1.0)
    for t in range(12):
        _, keys, values = rolling_cache_attend(
            keys, values, np.zeros(1), np.array([float(t)]), np.zeros(1), t
        )
        held[:, t] = np.where(keys[:, 0] < 0, np.nan, keys[:, 0])
    heatmap(
        held,
        numbers="{:.0f}",
        xlabels=range(12),
        ylabels=range(4),
        xlabel="step",
        ylabel="slot",
        unit="position",
        alt="Each slot keeps a position for four steps; then the one four later takes its place.",
    )


# %% [markdown]
# ## 8. What a router's choices say (★★★, 25 minutes)
#
# `routing_stats(chosen, domain, token)`: four measures of a text of T tokens. `chosen` is (T, 2), the
# experts of each token, first choice first; `domain` and `token` are (T,). All three hold whole numbers
# from 0. Return a tuple of four floats:
#
# 1. the share of the T − 1 neighbouring pairs that have the same first choice;
# 2. the share of pairs that have an expert in common;
# 3. I(first choice; domain) and
# 4. I(first choice; token), both in nats from the counts:
#    I(a; b) = Σ p(a, b) · log(p(a, b) / (p(a) p(b))), over the pairs that occur. No null is subtracted.
#
# About 16 lines.
#
# *By hand.* chosen = (0, 1), (0, 2), (1, 2), (1, 2) in domains 0, 0, 1, 1: the first choice repeats in 2 of
# 3 pairs, all 3 have one in common, and the first choice tells the domain: log 2 = 0.693.
#
# <details><summary>Hint 1</summary>Neighbours are <code>chosen[1:]</code> and <code>chosen[:-1]</code>.
# </details>
# <details><summary>Hint 2</summary>In common: <code>(a[:, :, None] == b[:, None, :]).any((1, 2))</code>.
# </details>
# <details><summary>Hint 3</summary>Counts of pairs: a table of zeros, then <code>np.add.at(table, (a, b),
# 1)</code>. Leave out the cells that are 0 before you take logarithms.</details>


# %%
def routing_stats(chosen, domain, token):
    """(same first, one in common, I(expert; domain), I(expert; token))."""
    ### BEGIN SOLUTION

    def information(a, b):
        joint = np.zeros((a.max() + 1, b.max() + 1))
        np.add.at(joint, (a, b), 1)
        joint /= joint.sum()
        apart = joint.sum(1, keepdims=True) * joint.sum(0)
        some = joint > 0
        return float((joint[some] * np.log(joint[some] / apart[some])).sum())

    later, earlier = chosen[1:], chosen[:-1]
    repeat = (later[:, 0] == earlier[:, 0]).mean()
    common = (later[:, :, None] == earlier[:, None, :]).any((1, 2)).mean()
    first = chosen[:, 0]
    return float(repeat), float(common), information(first, domain), information(first, token)
    ### END SOLUTION


# %%
check("routing_stats")


# %% tags=["payoff"]
@payoff("routing_stats")
def nobody_home():
    """Your numbers for a router that draws at random: the yardsticks 1/8 and 13/28."""
    rng = np.random.default_rng(0)
    chosen = rng.random((20_000, 8)).argsort(1)[:, :2]
    found = routing_stats(chosen, rng.integers(0, 3, 20_000), rng.integers(0, 500, 20_000))
    print(f"the same first choice {found[0]:.4f}, by chance 1/8 = 0.1250")
    print(f"one in common {found[1]:.4f}, by chance 13/28 = {13 / 28:.4f}")
    print(f"information: domain {found[2]:.4f}, token {found[3]:.4f} nats, both by chance alone")
