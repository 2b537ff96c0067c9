# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Long context: merge, turn, balance, search and count"
# ---

# %% [markdown]
# # Split a text over machines, and count what it costs
#
# Each question asks for one function, one of them for two that belong together. Write it, run its cell, then run
# `check("...")`: it answers at once. When a check passes, the cell below it puts **your function to
# work**.
#
# The first takes two minutes. The stars say how hard a question is, from ★ to ★★★, and the hints
# below it are folded away: open the next one only when you are stuck.
#
# Arrays are NumPy's. Leave your arguments as they are. Everything asked for here stands in
# [the lesson](../lessons/07c_long_context.ipynb).

# %%
import numpy as np

from minilm.course import bars, check, lines, payoff

# %% [markdown]
# ## 1. A fair cut (★, 2 minutes)
#
# `zigzag_partition(n, P)`: cut n tokens into 2P equal chunks; rank r gets the chunks r and 2P − 1 − r. Return a list
# of P integer arrays (n / P,), which tokens each rank gets, in rising order. You may rely on n being a multiple of
# 2P. About 2 lines.
#
# *By hand.* n = 8, P = 2: chunks (0, 1), (2, 3), (4, 5), (6, 7). Rank 0 gets 0, 1, 6, 7 and rank 1 gets 2,
# 3, 4, 5.
#
# <details><summary>Hint 1</summary><code>np.split(np.arange(n), 2 * P)</code> makes the
# chunks.</details>
# <details><summary>Hint 2</summary>One rank's are <code>chunks[r]</code> and <code>chunks[2 * P - 1 -
# r]</code>.</details>
# <details><summary>Hint 3</summary><code>np.concatenate</code> joins the two.</details>


# %%
def zigzag_partition(n, P):
    """P arrays of tokens."""
    ### BEGIN SOLUTION
    chunks = np.split(np.arange(n), 2 * P)
    return [np.concatenate([chunks[r], chunks[2 * P - 1 - r]]) for r in range(P)]
    ### END SOLUTION


# %%
check("zigzag_partition")


# %% tags=["payoff"]
@payoff("zigzag_partition")
def who_reads_what():
    """A sentence of sixteen words, dealt out to four ranks."""
    text = "the queries stay and the keys go round until every query has met each earlier key"
    words = np.array(text.split())
    for rank, own in enumerate(zigzag_partition(16, 4)):
        print(f"rank {rank}:", " ".join(words[own]))


# %% [markdown]
# ## 2. And back (★, 5 minutes)
#
# `unpartition(parts)`: the way back. `parts` is a list of P arrays (n / P, ...): what the ranks hold of their tokens,
# cut as in question 1. Return one array (n, ...) in the order of the text. About 3 lines.
#
# *By hand.* The parts (a, b, g, h) and (c, d, e, f) give (a, b, c, d, e, f, g, h).
#
# <details><summary>Hint 1</summary>Ask <code>zigzag_partition</code> where everything came from.</details>
# <details><summary>Hint 2</summary><code>np.argsort(places)</code> is the inverse of a permutation.</details>
# <details><summary>Hint 3</summary>Or fill an empty array: <code>out[places] = part</code>, for each
# rank.</details>


# %%
def unpartition(parts):
    """One array, in the order of the text."""
    ### BEGIN SOLUTION
    together = np.concatenate(parts)
    places = np.concatenate(zigzag_partition(len(together), len(parts)))
    return together[np.argsort(places)]
    ### END SOLUTION


# %%
check("unpartition")


# %% tags=["payoff"]
@payoff("unpartition")
def there_and_back():
    """The same sentence, taken apart and put together again."""
    words = np.array(
        "every query meets each earlier key and nothing is left out of it".split()[:12]
    )
    parts = [words[own] for own in zigzag_partition(12, 3)]
    print(" | ".join(" ".join(part) for part in parts))
    print(" ".join(unpartition(parts)))


# %% [markdown]
# ## 3. Who works how much? (★, 5 minutes)
#
# `work_per_rank(n, P, plan)`: how many pairs each rank computes under a causal mask, a list of P whole numbers.
# A query at place i (from 0) has i + 1 keys, itself among them. `plan` is `"contiguous"`, where rank r
# has piece r of P equal pieces, counted from 0, or `"zigzag"`. n is a multiple of 2P. About 3 lines.
#
# *By hand.* n = 4, P = 2. Contiguous: rank 0 has the places 0 and 1, so 1 + 2 = 3 pairs; rank 1 has 3 + 4 =
# 7. Zigzag: rank 0 has 0 and 3, 1 + 4 = 5; rank 1 has 2 + 3 = 5.
#
# <details><summary>Hint 1</summary>Which places a rank has, you know already.</details>
# <details><summary>Hint 2</summary><code>np.split(np.arange(n), P)</code> for the plain
# cut.</details>
# <details><summary>Hint 3</summary><code>int((places + 1).sum())</code></details>


# %%
def work_per_rank(n, P, plan):
    """P whole numbers."""
    ### BEGIN SOLUTION
    places = zigzag_partition(n, P) if plan == "zigzag" else np.split(np.arange(n), P)
    return [int((own + 1).sum()) for own in places]
    ### END SOLUTION


# %%
check("work_per_rank")


# %% tags=["payoff"]
@payoff("work_per_rank")
def the_price_of_a_plain_cut():
    """How much longer the slowest rank works than the mean, with more and more ranks."""
    ranks = [2, 4, 8, 16, 32, 64]
    slow = {}
    for plan in ("contiguous", "zigzag"):
        work = [work_per_rank(4096, P, plan) for P in ranks]
        slow[plan] = [max(w) / np.mean(w) for w in work]
    lines(ranks, slow, xlabel="ranks", ylabel="slowest over mean", xscale="log",
          alt="The plain cut nears twice the mean; zigzag stays at one.")  # fmt: skip


# %% [markdown]
# ## 4. Two halves of a softmax (★★, 10 minutes)
#
# `merge(o1, l1, o2, l2)`: attention over some keys gave the means `o1` (..., T, D) and the logs of the total
# weights `l1` (..., T); over some others it gave `o2` and `l2`. Return `(o, l)` for all of them together. Scores
# of ten thousand must not overflow, and a log of −∞ (nothing was seen) must count as nothing; not both are
# −∞. About 3 lines.
#
# *By hand.* Mean 5 with total 4, mean 1 with total 4: o = 3, l = ln 8. With totals 4 and 12: o = 5 − 0.75 · 4 =
# 2, l = ln 16.
#
# <details><summary>Hint 1</summary>The second has the share e^l2 / (e^l1 + e^l2).</details>
# <details><summary>Hint 2</summary><code>np.logaddexp(l1, l2)</code> is the new log total, and never
# overflows.</details>
# <details><summary>Hint 3</summary>The share is <code>np.exp(l2 - both)</code>; it needs
# <code>[..., None]</code> to meet (..., T, D).</details>


# %%
def merge(o1, l1, o2, l2):
    """(o, l) over both."""
    ### BEGIN SOLUTION
    both = np.logaddexp(l1, l2)
    share = np.exp(l2 - both)[..., None]
    return o1 + share * (o2 - o1), both
    ### END SOLUTION


# %%
check("merge")


# %% tags=["payoff"]
@payoff("merge")
def your_merge_reads_a_long_row():
    """8,192 keys read in pieces of any size, joined by your merge, against all at once."""
    q, k, v = np.random.default_rng(0).standard_normal((3, 8192, 8))

    def attend(q, k, v):
        scores = q @ k.T / np.sqrt(8)
        top = scores.max(1, keepdims=True)
        e = np.exp(scores - top)
        return e @ v / e.sum(1, keepdims=True), top[:, 0] + np.log(e.sum(1))

    whole, _ = attend(q[:4], k, v)
    for size in (1, 64, 1000):
        parts = [attend(q[:4], k[i : i + size], v[i : i + size]) for i in range(0, 8192, size)]
        found = parts[0]
        for part in parts[1:]:
            found = merge(*found, *part)
        print(f"pieces of {size:4}: largest difference {np.abs(found[0] - whole).max():.1e}")


# %% [markdown]
# ## 5. The ring (★★★, 20 minutes)
#
# `ring_attention(qs, ks, vs, causal, turn)`: the attention of P ranks at once. Each of `qs`, `ks` and `vs` is a
# list of P arrays (t, D), the ranks' parts in the order of the text. Return the list of P outputs (t, D), float64.
# Scores are q · k / √D; with `causal`, no query sees a later key.
#
# Rank r may use its own queries and what has come to it, nothing else. `turn(blocks)` moves a list of P blocks on by
# one: afterwards rank r has what rank r − 1 had, and rank 0 what the last one had. It counts its calls: keys and
# values may be turned **P − 1 times** each, no more. About 15 lines.
#
# *By hand.* Two ranks, one token each, causal, D = 1. Rank 0's query sees key 0 alone: its output is value 0.
# Rank 1's sees key 1 at once and key 0 after one turn.
#
# <details><summary>Hint 1</summary>Keep (o, l) for each rank. In each step, attention to the keys at hand, then
# <code>merge</code>.</details>
# <details><summary>Hint 2</summary>After s turns rank r has the keys of rank (r − s) mod P. Those are all earlier,
# all later, or its own: only then is a triangle needed. Places do: <code>owner * t +
# np.arange(t)</code>.</details>
# <details><summary>Hint 3</summary>Where nothing is seen, leave o and l alone. Otherwise l is the largest score plus
# the log of the sum of <code>np.exp(scores - largest)</code>.</details>


# %%
def ring_attention(qs, ks, vs, causal, turn):
    """P outputs (t, D)."""
    ### BEGIN SOLUTION
    P, t = len(qs), len(qs[0])
    found = [None] * P
    for step in range(P):
        if step:
            ks, vs = turn(ks), turn(vs)
        for r in range(P):
            owner = (r - step) % P
            seen = owner * t + np.arange(t) <= (r * t + np.arange(t))[:, None]
            if causal and owner > r:
                continue
            scores = qs[r] @ ks[r].T / np.sqrt(qs[r].shape[1])
            if causal:
                scores = np.where(seen, scores, -np.inf)
            top = scores.max(1, keepdims=True)
            e = np.exp(scores - top)
            new = e @ vs[r] / e.sum(1, keepdims=True), top[:, 0] + np.log(e.sum(1))
            found[r] = new if found[r] is None else merge(*found[r], *new)
    return [o for o, _ in found]
    ### END SOLUTION


# %%
check("ring_attention")


# %% tags=["payoff"]
@payoff("ring_attention")
def memory_of_your_ring():
    """The scores that one rank of yours holds at a time, beside the whole table."""
    n, ranks, sizes = 2048, [1, 2, 4, 8, 16], []
    x = np.random.default_rng(0).standard_normal((n, 8))
    for P in ranks:
        parts = np.split(x, P)
        out = ring_attention(parts, parts, parts, True, lambda b: [*b[-1:], *b[:-1]])
        sizes.append((n // P) ** 2 / 1e6)
    print("sum of the last outputs:", np.concatenate(out).sum().round(6))
    bars([str(P) for P in ranks], sizes, xlabel="ranks", ylabel="million scores", numbers="{:.3g}",
         alt="The scores of a rank fall with the square of the number of ranks.")  # fmt: skip


# %% [markdown]
# ## 6. Text for heads (★★, 15 minutes)
#
# Ulysses. Two functions:
#
# - `to_heads(shards, exchange)`: `shards` is a list of P arrays (t, H, D), each rank's part of the text with all H
#   heads. (The lesson puts heads before tokens; here tokens come first.) Return a list of P arrays (P t, H / P, D):
#   all of the text with piece r of the heads, in P equal pieces. If P does not divide H, raise a `ValueError`.
# - `to_text(parts, exchange)`: the way back, from P arrays (P t, H / P, D) to P arrays (t, H, D).
#
# `exchange(table)` is the all-to-all: `table[r][s]` is what rank r sends to rank s; you get a table whose
# `[r][s]` is what rank r got from rank s. Call it **once** in each function. About 5 lines and 2.
#
# *By hand.* P = 2, t = 1, H = 2: rank 0 has (a0, a1), rank 1 has (b0, b1). It ends with rank 0 holding a0
# and b0, one below the other, and rank 1 holding a1 and b1.
#
# <details><summary>Hint 1</summary><code>np.split(x, P, axis=1)</code> cuts the heads of one
# rank.</details>
# <details><summary>Hint 2</summary>What rank r got, in the order of ranks, is the text:
# <code>np.concatenate(row)</code> along axis 0.</details>
# <details><summary>Hint 3</summary>On the way back cut along axis 0 and join along axis
# 1.</details>


# %%
def to_heads(shards, exchange):
    """P arrays (P t, H / P, D)."""
    ### BEGIN SOLUTION
    P = len(shards)
    if shards[0].shape[1] % P:
        raise ValueError(f"{shards[0].shape[1]} heads cannot be shared by {P} ranks")
    got = exchange([np.split(x, P, axis=1) for x in shards])
    return [np.concatenate(row) for row in got]
    ### END SOLUTION


def to_text(parts, exchange):
    """P arrays (t, H, D)."""
    ### BEGIN SOLUTION
    got = exchange([np.split(x, len(parts)) for x in parts])
    return [np.concatenate(row, axis=1) for row in got]
    ### END SOLUTION


# %%
check("ulysses")


# %% tags=["payoff"]
@payoff("ulysses")
def what_yours_sends():
    """The numbers that leave a rank in your exchange, with more and more ranks."""
    sent = []
    for P in (2, 4, 8):
        shards = np.split(np.random.default_rng(0).standard_normal((64, 8, 4)), P)

        def exchange(table):
            sent.append(sum(part.size for part in table[0][1:]))
            return [list(column) for column in zip(*table)]

        to_heads(shards, exchange)
    bars(["2", "4", "8"], sent, xlabel="ranks", ylabel="numbers sent by rank 0",
         alt="With each doubling of the ranks each of them sends less.")  # fmt: skip


# %% [markdown]
# ## 7. A search by words (★★, 10 minutes)
#
# `bm25(q, docs, k1=1.2, b=0.75)`: `q` is a list of words and `docs` a list of N such lists. The score of each
# document is the sum, over the words w of q, of
#
# $$\ln\!\Big(1 + \frac{N - n + 0.5}{n + 0.5}\Big)\cdot\frac{f\,(k_1 + 1)}{f + k_1\,(1 - b + b\,|d| /
# \text{mean}|d|)}$$
#
# where n documents hold w, and f is how often it is in this one. A word that comes twice in q counts twice.
# Return an array of N numbers, float64. About 8 lines.
#
# *By hand.* docs ((a, b), (b, b)), q = (a): mean length 2, so both fractions have $k_1 \cdot 1$ below. n = 1: ln(1 +
# 1.5 / 1.5) = ln 2 = 0.693. The first document: f = 1, 0.693 · 2.2 / 2.2 = 0.693. The second: 0.
#
# <details><summary>Hint 1</summary><code>doc.count(w)</code> is f.</details>
# <details><summary>Hint 2</summary>n is <code>sum(w in doc for doc in docs)</code>; the documents' lengths and their
# mean come first.</details>
# <details><summary>Hint 3</summary>With f = 0 the fraction is 0 by itself.</details>


# %%
def bm25(q, docs, k1=1.2, b=0.75):
    """N scores."""
    ### BEGIN SOLUTION
    lengths = np.array([len(doc) for doc in docs], float)
    below = k1 * (1 - b + b * lengths / lengths.mean())
    total = np.zeros(len(docs))
    for w in q:
        f = np.array([doc.count(w) for doc in docs], float)
        n = (f > 0).sum()
        total += np.log(1 + (len(docs) - n + 0.5) / (n + 0.5)) * f * (k1 + 1) / (f + below)
    return total
    ### END SOLUTION


# %%
check("bm25")


# %% tags=["payoff"]
@payoff("bm25")
def one_look_and_two():
    """Your search on 200 texts of 66 sentences: does it find both hops, looking once or twice?"""
    from minilm.data.worlds.hops import draw_hops

    asked = draw_hops(200, 64).ask(np.zeros(200, int), np.zeros(200, int))
    found = [0, 0]
    for question, documents, needed in zip(asked.question, asked.documents, asked.needed):
        docs, query = documents.tolist(), question[1:2].tolist()
        for look in range(2):
            scores = bm25(query, docs)
            best = np.argsort(-scores, kind="stable")[:4]
            found[look] += needed[best].all() / 2
            query = query + docs[best[0]]
    bars(["one look", "two"], found, ylabel="both hops found, %", numbers="{:.0f}",
         alt="One look hardly ever finds both hops, two always do.")  # fmt: skip


# %% [markdown]
# ## 8. Read long, write short (★★, 10 minutes)
#
# `prefill_decode_cost(n, m, cfg)`: read n tokens at once, then write m more, one by one. `cfg` is a dict with
# `"weights"`, `"layers"`, `"channels"` and `"kv_channels"`, whole numbers. Return three whole numbers:
#
# - the operations of reading: 2 · weights for each token, and 4 · layers · channels for each pair of a query and a key at or
#   before it;
# - the operations of writing, counted the same way: the first token written has n + 1 keys, itself among them;
# - the bytes that writing reads: for each token all weights, 2 bytes each, and for each of its keys 2 · layers ·
#   kv_channels numbers (key and value), 2 bytes each.
#
# About 5 lines.
#
# *By hand.* n = 2, m = 2, 12 weights, 1 layer, 4 channels, 2 kv_channels. Reading: 2 · 12 · 2 + 16 · (1 + 2) =
# **96**. Writing has 3 + 4 = 7 pairs: 48 + 16 · 7 = **160** operations, 2 · 2 · 12 + 8 · 7 = **104**
# bytes.
#
# <details><summary>Hint 1</summary>Reading has n (n + 1) / 2 pairs.</details>
# <details><summary>Hint 2</summary>Writing has (n + 1) + ... + (n + m) = n m + m (m + 1) / 2.</details>
# <details><summary>Hint 3</summary>Use <code>//</code>, so that the numbers stay whole.</details>


# %%
def prefill_decode_cost(n, m, cfg):
    """(operations of reading, operations of writing, bytes of writing)."""
    ### BEGIN SOLUTION
    a_pair = 4 * cfg["layers"] * cfg["channels"]
    written = n * m + m * (m + 1) // 2
    reading = 2 * cfg["weights"] * n + a_pair * (n * (n + 1) // 2)
    writing = 2 * cfg["weights"] * m + a_pair * written
    return (
        reading,
        writing,
        2 * cfg["weights"] * m + 4 * cfg["layers"] * cfg["kv_channels"] * written,
    )
    ### END SOLUTION


# %%
check("prefill_decode_cost")


# %% tags=["payoff"]
@payoff("prefill_decode_cost")
def before_the_first_word():
    """Seconds of reading and of writing 200 tokens, 7 billion weights on one A100 at its peaks."""
    cfg = {"weights": 6_476_005_376, "layers": 32, "channels": 4096, "kv_channels": 4096}
    lengths, read, write = [1_000, 4_000, 16_000, 64_000], [], []
    for n in lengths:
        first, _, moved = prefill_decode_cost(n, 200, cfg)
        read.append(first / 312e12)
        write.append(moved / 2e12)
    lines(lengths, {"reading": read, "writing 200": write}, xlabel="tokens read", ylabel="seconds",
          xscale="log", yscale="log",
          alt="Reading grows faster than the text and passes writing.")  # fmt: skip
