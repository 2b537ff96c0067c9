# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Serving: pages, trees, guesses"
# ---

# %% [markdown]
# # Pages, trees, guesses
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function to work**.
#
# The first takes two minutes. The stars say how hard a question is, from ★ to ★★★, and the hints
# below it are folded away: open the next one only when you are stuck.
#
# Arrays are NumPy's. Leave your arguments as they are, unless a question says otherwise. Everything
# asked for here stands in [the lesson](../lessons/05b_serving.ipynb).

# %%
import numpy as np

from minilm.course import bars, check, lines, payoff

# %% [markdown]
# ## 1. What a token leaves behind (★, 2 minutes)
#
# `kv_bytes(layers, heads, size, number)`: bytes of keys and values that one token leaves in the cache.
# `heads` counts key heads, `size` is the head size, `number` the bytes of a number: four ints. Return
# an int. About 1 line.
#
# *By hand.* Mistral 7B has 32 layers, 8 key heads of 128, and 2 bytes: 131,072.
#
# <details><summary>Hint 1</summary>Every layer keeps one key and one value for each key head.</details>
# <details><summary>Hint 2</summary>A key has <code>size</code> numbers, and so has a value.</details>
# <details><summary>Hint 3</summary><code>2 * layers * heads * size * number</code></details>


# %%
def kv_bytes(layers, heads, size, number):
    """Bytes of a token."""
    ### BEGIN SOLUTION
    return 2 * layers * heads * size * number
    ### END SOLUTION


# %%
check("kv_bytes")


# %% tags=["payoff"]
@payoff("kv_bytes")
def what_fits():
    """How many texts of 4,096 tokens fit beside the weights of a model, on a chip of 80 GB."""
    shapes = {
        "Llama 2 7B": (6.74e9, 32, 32),
        "Mistral 7B": (7.24e9, 32, 8),
        "one key head": (7.24e9, 32, 1),
    }
    fits = [
        (80e9 - 2 * weights) / (4096 * kv_bytes(layers, heads, 128, 2))
        for weights, layers, heads in shapes.values()
    ]
    bars(list(shapes), fits, ylabel="texts", numbers="{:.0f}", alt="Fewer key heads, more texts.")


# %% [markdown]
# ## 2. Tokens in a round (★, 5 minutes)
#
# `tokens_per_round(a, k)`: how many tokens k guesses bring on average, if each is kept with
# probability `a`, and the first that is not ends the round: 1 + a + a² + … + aᵏ. `a` is a number from
# 0 to 1, both included; `k` is 0 or more. Returns a float. About 2 lines.
#
# *By hand.* a = 0.5, k = 2: 1 + 0.5 + 0.25 = 1.75. With a = 1 every guess is kept: k + 1.
#
# <details><summary>Hint 1</summary>The closed form divides by 1 − a, which may be 0.</details>
# <details><summary>Hint 2</summary>A sum of powers needs no closed form.</details>
# <details><summary>Hint 3</summary><code>sum(a**i for i in range(k + 1))</code>; mind the type for a = 1.</details>


# %%
def tokens_per_round(a, k):
    """The mean number of tokens."""
    ### BEGIN SOLUTION
    return float(sum(a**i for i in range(k + 1)))
    ### END SOLUTION


# %%
check("tokens_per_round")


# %% tags=["payoff"]
@payoff("tokens_per_round")
def how_many_guesses():
    """Times as fast as alone, for a guesser that costs a tenth of the model's step."""
    ks = np.arange(0, 13)
    found = {
        f"a = {a}": [tokens_per_round(a, int(k)) / (1 + 0.1 * k) for k in ks]
        for a in (0.5, 0.8, 0.95)
    }
    lines(
        ks,
        found,
        xlabel="guesses",
        ylabel="times as fast",
        alt="The better the guesses, the more of them pay.",
    )


# %% [markdown]
# ## 3. Read through a table (★, 5 minutes)
#
# `through_table(pages, table, length)`: a text's keys, in order. `pages` is (P, S, D): P pages of S
# places with D numbers each. `table` is a list of the text's page numbers, in order; `length` is how
# many tokens it has. Return (length, D), in the type of `pages`. About 1 line.
#
# *By hand.* S = 2, table [3, 0], length 3: the two places of page 3, then the first of page 0.
#
# <details><summary>Hint 1</summary>An array can be indexed with a list of numbers.</details>
# <details><summary>Hint 2</summary><code>pages[table]</code> is (pages of the text, S, D).</details>
# <details><summary>Hint 3</summary>Reshape to (−1, D), and cut at <code>length</code>.</details>


# %%
def through_table(pages, table, length):
    """(length, D)."""
    ### BEGIN SOLUTION
    return pages[table].reshape(-1, pages.shape[-1])[:length]
    ### END SOLUTION


# %%
check("through_table")


# %% tags=["payoff"]
@payoff("through_table")
def a_model_reads_your_pages():
    """The keys and values of a real model, shuffled over pages, brought back by you."""
    from minilm.inference import PagedCache
    from minilm.models import Config, Transformer
    from minilm.tensor import no_grad

    model = Transformer(Config(vocab_size=50, context=64, layers=1, heads=1, channels=16)).eval()
    ids = np.random.default_rng(0).integers(0, 50, (1, 41))
    cache = PagedCache.of(model.config, 1, 64, 8)
    with no_grad():
        model(ids, cache=cache)
    pages, table = cache.pages, cache.tables[0]
    keys = through_table(pages.keys[0, :, 0], table.numbers, 41)
    values = through_table(pages.values[0, :, 0], table.numbers, 41)
    query = np.random.default_rng(1).normal(size=16)
    weights = np.exp(keys @ query / 4 - (keys @ query / 4).max())
    found = weights @ values / weights.sum()
    print("a query over your 41 keys and values gives", np.round(found[:4], 3), "...")


# %% [markdown]
# ## 4. Eight bits (★★, 10 minutes)
#
# `to_levels(x)`: round each row of `x`, (..., n) floats, to 256 levels between its least and its
# greatest number. Return three arrays: `codes` uint8 in x's shape; `step` and `low`, (..., 1), in x's
# type. `low` is the least number, `step` a 255th of the distance to the greatest. `low + step * codes`
# is then at most half a step away from x. In a row whose numbers are all equal, step and codes are 0.
# About 4 lines.
#
# *By hand.* (−1, 0, 0.4, 4): step 5/255, codes (0, 51, 71, 255).
#
# <details><summary>Hint 1</summary><code>keepdims=True</code> gives (..., 1).</details>
# <details><summary>Hint 2</summary><code>np.rint</code> rounds; casting alone cuts off.</details>
# <details><summary>Hint 3</summary>Divide by <code>np.where(step > 0, step, 1)</code>: a number of x's
# type stays one.</details>


# %%
def to_levels(x):
    """codes, step, low."""
    ### BEGIN SOLUTION
    low = x.min(axis=-1, keepdims=True)
    step = (x.max(axis=-1, keepdims=True) - low) / 255
    codes = np.rint((x - low) / np.where(step > 0, step, 1)).astype(np.uint8)
    return codes, step.astype(x.dtype), low
    ### END SOLUTION


# %%
check("to_levels")


# %% tags=["payoff"]
@payoff("to_levels")
def one_loud_channel():
    """Your levels on keys with one loud channel: along tokens, and within a token."""
    rng = np.random.default_rng(0)
    keys = rng.normal(size=(64, 16))  # (T, D)
    keys[:, 3] += 40
    errors = {}
    for name, x in {"within a token": keys, "along tokens": keys.T}.items():
        codes, step, low = to_levels(x)
        errors[name] = float(np.abs(low + step * codes - x).mean())
    bars(
        list(errors),
        list(errors.values()),
        ylabel="mean error",
        numbers="{:.4f}",
        alt="Along tokens the error is much smaller.",
    )


# %% [markdown]
# ## 5. How far a text is known (★★, 15 minutes)
#
# `longest_known(tree, ids)`: how many of the first tokens of `ids`, a tuple of ints, does a prefix tree
# know? Return an int. The lesson's tree had one token in each branch; this one has runs. A tree is a
# dictionary: first token of a run → `(run, subtree)`. A run is a tuple of tokens and begins with
# that first one; what follows it stands in the subtree, another such dictionary. A text may end, or part
# from the tree, in the middle of a run: what agrees counts. About 10 lines.
#
# *By hand.* `{7: ((7, 3, 3), {9: ((9,), {}), 5: ((5, 1), {})})}` knows 3 of (7, 3, 3, 4), 5 of (7, 3,
# 3, 5, 1, 8), 2 of (7, 3), and 2 of (7, 3, 9), where the run goes on with 3.
#
# <details><summary>Hint 1</summary>Look up the next token; none there: done.</details>
# <details><summary>Hint 2</summary>Count how far the run agrees with what is left of the text. Less
# than all of it: done.</details>
# <details><summary>Hint 3</summary>All of it: go on below, after the run. A loop or a recursion does it.</details>


# %%
def longest_known(tree, ids):
    """How many tokens."""
    ### BEGIN SOLUTION
    known = 0
    while known < len(ids) and ids[known] in tree:
        run, tree = tree[ids[known]]
        for token in run:
            if known == len(ids) or ids[known] != token:
                return known
            known += 1
    return known
    ### END SOLUTION


# %%
check("longest_known")


# %% tags=["payoff"]
@payoff("longest_known")
def a_chat_program():
    """A tree that grows with a chat of six turns: tokens read with your look-up, and without."""
    rng, said, tree, read, whole = np.random.default_rng(0), (), {}, [0], [0]
    for _ in range(6):
        said += tuple(int(t) for t in rng.integers(0, 1000, 30))
        known = longest_known(tree, said)
        read.append(read[-1] + len(said) - known)
        whole.append(whole[-1] + len(said))
        said += tuple(int(t) for t in rng.integers(0, 1000, 30))
        tree = {said[0]: (said, {})}
        read[-1] += 30
        whole[-1] += 30
    lines(
        np.arange(7),
        {"all again": whole, "with your tree": read},
        xlabel="turn",
        ylabel="tokens read",
        alt="With the tree they grow in a line.",
    )


# %% [markdown]
# ## 6. Who feeds how many (★★, 15 minutes)
#
# `plan(unread, room)`: a step of the model has room for `room` tokens, 0 or more. `unread` is a list:
# how many tokens each text under way has not fed yet, in order of arrival, at least 1 each. A text that writes
# has 1; one whose prompt is being read has more. **Writers come first**, one token each; then prompts
# take what is left, in order of arrival, the first as much as it can. Within each kind earlier texts
# come first. Return a list of counts, in the order of `unread`. About 7 lines.
#
# *By hand.* unread [1, 10, 1, 5], room 8: the writers take 2, the first prompt the 6 that are left:
# [1, 6, 1, 0]. With room 1: [1, 0, 0, 0]. A prompt with one token left counts as a writer.
#
# <details><summary>Hint 1</summary>Two passes: writers, then prompts.</details>
# <details><summary>Hint 2</summary>Each takes <code>min(what it has, what is left)</code>.</details>
# <details><summary>Hint 3</summary><code>sorted(range(n), key=lambda i: unread[i] > 1)</code> keeps the
# order within each kind.</details>


# %%
def plan(unread, room):
    """Counts, in the order of unread."""
    ### BEGIN SOLUTION
    counts = [0] * len(unread)
    for i in sorted(range(len(unread)), key=lambda i: unread[i] > 1):
        counts[i] = min(unread[i], room)
        room -= counts[i]
    return counts
    ### END SOLUTION


# %%
check("plan")


# %% tags=["payoff"]
@payoff("plan")
def nobody_stops():
    """A prompt of 200 tokens arrives where three texts write: what each feeds, step by step."""
    unread, fed = [1, 1, 1, 200], []
    for _ in range(14):
        counts = plan(unread, 20)
        fed.append(counts)
        unread = [max(1, n - c) for n, c in zip(unread, counts)]
    table = np.array(fed)
    lines(
        np.arange(14),
        {"a writer": table[:, 0], "the long prompt": table[:, 3]},
        xlabel="step",
        ylabel="tokens fed",
        alt="Writers feed one token at every step while the prompt is read in chunks.",
    )


# %% [markdown]
# ## 7. Keep it or draw (★★★, 20 minutes)
#
# `accept(guessed, q, p, u)`: a round of speculation. `guessed` is a list of k tokens; `q` is (k, V), the
# distributions they were drawn from; `p` is (k + 1, V), the model's at these places and the next. `u` is
# (k + 1,): numbers from 0 up to 1, drawn by chance: one for each guess, and the last for the draw.
#
# Go through the guesses. Guess i is kept if u[i] · q[i, x] < p[i, x]. At the first that is not kept,
# draw from max(0, p[i] − q[i]) instead, and stop. If all are kept, draw one more from p[k]. To **draw**
# from weights w, not yet summing to 1: the first token whose cumulative sum is *above* u[k] times the
# sum of w. Return the list of tokens, 1 to k + 1 ints. About 10 lines.
#
# *By hand.* guessed [0], q [[0.9, 0.1]], p [[0.6, 0.4], [0.5, 0.5]]. With u = (0.5, 0.7): 0.45 < 0.6,
# kept; then p[1] has the sums 0.5 and 1, and 1 is the first above 0.7: [0, 1]. With u = (0.8, 0.7):
# 0.72 is not below 0.6; max(0, p − q) is (0, 0.3), its sums are 0 and 0.3, and 0.3 is the first above
# 0.7 · 0.3: [1].
#
# <details><summary>Hint 1</summary>No guess is kept after one that is not.</details>
# <details><summary>Hint 2</summary><code>np.searchsorted(w.cumsum(), u[-1] * w.sum(), side="right")</code></details>
# <details><summary>Hint 3</summary>Loop with <code>enumerate(guessed)</code>; return inside the loop at
# a refusal, after it otherwise.</details>


# %%
def accept(guessed, q, p, u):
    """Tokens of this round."""

    ### BEGIN SOLUTION
    def draw(weights):
        sums = np.cumsum(weights)
        return int(np.searchsorted(sums, u[-1] * sums[-1], side="right"))

    for i, x in enumerate(guessed):
        if not u[i] * q[i, x] < p[i, x]:
            return [*guessed[:i], draw(np.maximum(p[i] - q[i], 0))]
    return [*guessed, draw(p[-1])]
    ### END SOLUTION


# %%
check("accept")


# %% tags=["payoff"]
@payoff("accept")
def as_if_alone():
    """20,000 first tokens through your rounds, beside the model's own distribution."""
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(6), 2), rng.dirichlet(np.ones(6), 1)
    counts = np.zeros(6)
    for _ in range(20_000):
        guess = int(rng.choice(6, p=q[0]))
        counts[accept([guess], q, p, rng.random(2))[0]] += 1
    bars(
        list("abcdef"),
        {"drawn": counts / 20_000, "the model": p[0], "the guesser": q[0]},
        ylabel="share",
        numbers=None,
        alt="What is drawn follows the model and not the guesser.",
    )


# %% [markdown]
# ## 8. A place for a token (★★★, 25 minutes)
#
# `place_for(table, place, size, free, holders)`: the page into which a text may write its token number
# `place`, counted from 0, where pages have `size` places. `table` is the list of the text's pages, full
# up to this place; `free` a list of free pages; `holders` a dictionary: page → how many texts name it.
# **Change these three.** Return `(page, copied)`.
#
# - The place begins a new page: take the **last** of `free`, append it to the table, note one holder.
# - Its page is the text's alone: nothing changes.
# - Its page has other holders too: take a page from `free`, put it in the old one's place in the table,
#   note one holder for it and one fewer for the old page.
#
# `copied` is the old page in the third case, and None in the others. If a page is needed and none is
# free, raise `IndexError`. About 12 lines.
#
# *By hand.* table [0, 1], place 6, size 4, free [3, 2], holders {0: 2, 1: 2}: page 1 is shared, so page
# 2 replaces it: returns (2, 1), table [0, 2], free [3], holders {0: 2, 1: 1, 2: 1}.
#
# <details><summary>Hint 1</summary><code>place // size</code> is the page's place in the table;
# <code>place % size == 0</code> begins a new one.</details>
# <details><summary>Hint 2</summary><code>free.pop()</code> of an empty list raises IndexError by
# itself.</details>
# <details><summary>Hint 3</summary>In the third case: <code>new = free.pop()</code>, then
# <code>holders[old] -= 1</code>, <code>table[i] = new</code>, <code>holders[new] = 1</code>.</details>


# %%
def place_for(table, place, size, free, holders):
    """(page, what it was copied from)."""
    ### BEGIN SOLUTION
    i = place // size
    if place % size == 0:
        page = free.pop()
        table.append(page)
        holders[page] = 1
        return page, None
    old = table[i]
    if holders[old] == 1:
        return old, None
    page = free.pop()
    holders[old] -= 1
    holders[page] = 1
    table[i] = page
    return page, old
    ### END SOLUTION


# %%
check("place_for")


# %% tags=["payoff"]
@payoff("place_for")
def a_tree_of_stories():
    """Four stories that part from one beginning: pages with your allocator, and with copies."""
    free, holders, tables = list(range(40)), {}, [[]]
    for place in range(18):
        place_for(tables[0], place, 4, free, holders)
    for _ in range(3):
        tables.append(list(tables[0]))
        for page in tables[0]:
            holders[page] += 1
    for table in tables:
        for place in range(18, 24):
            place_for(table, place, 4, free, holders)
    for table in tables:
        print(table)
    print(f"{40 - len(free)} pages; {4 * 6} if each story had its own")
