# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Attention by hand: write the weights yourself"
# ---

# %% [markdown]
# # Write the weights yourself
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function to work**.
#
# The first takes two minutes. The stars say how hard a question is, from ★ to ★★★, and the hints
# below it are folded away: open the next one only when you are stuck.
#
# Arrays are NumPy's. Leave your arguments as they are. Everything asked for here stands in
# [the lesson](../lessons/00c_attention_by_hand.ipynb). Where a question speaks of *columns*, they
# are those of the lesson: the words, then the places, then the word before.

# %%
import numpy as np

from minilm.course import bars, check, heatmap, lines, payoff

# %% [markdown]
# ## 1. Scores (★, 2 minutes)
#
# `match(q, k)`: how well each query fits each key. `q` is (T, D), `k` is (S, D); the scores are (T,
# S): dot products, divided by √D. float32 in gives float32 out. About 1 line.
#
# *By hand.* q = (0, 2, 2, 0), k = (0, 2, 0, 1): the dot product is 4, D = 4, so the score is 4 / 2 =
# 2.
#
# <details><summary>Hint 1</summary>All dot products at once are one matrix product.</details>
# <details><summary>Hint 2</summary><code>q @ k.T</code> has shape (T, S).</details>
# <details><summary>Hint 3</summary>Divide by <code>q.shape[-1] ** 0.5</code>, a plain number, which
# leaves float32 alone.</details>


# %%
def match(q, k):
    """Scores (T, S)."""
    ### BEGIN SOLUTION
    return q @ k.T / q.shape[-1] ** 0.5
    ### END SOLUTION


# %%
check("match")


# %% tags=["payoff"]
@payoff("match")
def who_asks_for_whom():
    """Your scores for *the river bank* of lesson 01."""
    words = ["the", "river", "bank"]
    queries = np.array([[0.0, 0, 0, 0], [0, 0, 0, 2], [0, 2, 2, 0]])
    keys = np.array([[2.0, 0, 0, 0], [0, 2, 0, 1], [0, 0, 0, 2]])
    heatmap(
        match(queries, keys),
        xlabels=words,
        ylabels=words,
        alt="Bank asks for river with a score of 2; the asks for nothing.",
    )


# %% [markdown]
# ## 2. Look back (★, 5 minutes)
#
# `look_back(places, n)`: the matrix (places, places), float64, that turns the one-hot row of place p
# into that of place p − n. Whoever stands too near the start looks at place 0. So `look_back(places,
# n) @ one_hot(p)` is `one_hot(max(p - n, 0))`; n = 0 leaves everything as it is. About 3 lines.
#
# *By hand.* 3 places, n = 1: place 0 goes to 0, 1 to 0, 2 to 1. Column p of the matrix is the answer
# for place p, so the matrix is ((1, 1, 0), (0, 0, 1), (0, 0, 0)).
#
# <details><summary>Hint 1</summary>Column p has a single 1. In which row?</details>
# <details><summary>Hint 2</summary>In row max(p − n, 0); <code>np.maximum(np.arange(places) - n,
# 0)</code> gives the rows of all columns.</details>
# <details><summary>Hint 3</summary>Start with zeros, and set <code>W[rows, np.arange(places)] =
# 1</code>.</details>


# %%
def look_back(places, n):
    """The matrix that moves a place back."""
    ### BEGIN SOLUTION
    W = np.zeros((places, places))
    W[np.maximum(np.arange(places) - n, 0), np.arange(places)] = 1
    return W
    ### END SOLUTION


# %%
check("look_back")


# %% tags=["payoff"]
@payoff("look_back")
def a_word_two_places_back():
    """Your matrix as the query of a head: what each word of a text finds two places back."""
    text = "the cat sat on the old red mat".split()
    place = np.eye(len(text))
    asked = place @ look_back(len(text), 2).T
    found = (asked @ place.T).argmax(1)
    print("\n".join(f"{word:4} finds {text[at]}" for word, at in zip(text, found)))


# %% [markdown]
# ## 3. Shares (★★, 10 minutes)
#
# `shares(scores)`: a table of scores (T, T) becomes shares (T, T). Row i may see columns 0 to i
# only: what comes later gets exactly 0. Each row is the softmax of what it may see and adds up to
# 1. Scores of 1,000 or −1,000 must not overflow. float32 in gives float32 out. About 4 lines.
#
# *By hand.* Scores ((5, 9), (0, log 3)): the first row sees only itself, so (1, 0). The second: 1
# and 3, together 4, so (0.25, 0.75).
#
# <details><summary>Hint 1</summary>First hide, then take the softmax: a hidden score is
# −∞.</details>
# <details><summary>Hint 2</summary><code>np.triu(np.ones((T, T), bool), k=1)</code> is True where the
# column comes later.</details>
# <details><summary>Hint 3</summary>Subtract the largest score of the row *that may be seen* before
# <code>np.exp</code>; <code>np.where(later, -np.inf, scores)</code> keeps float32.</details>


# %%
def shares(scores):
    """Causal softmax of each row."""
    ### BEGIN SOLUTION
    later = np.triu(np.ones(scores.shape, bool), k=1)
    seen = np.where(later, -np.inf, scores)
    e = np.exp(seen - seen.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
    ### END SOLUTION


# %%
check("shares")


# %% tags=["payoff"]
@payoff("shares")
def how_sharp_is_a_look():
    """Your shares for one match against seven others, as the query grows louder."""
    sharpness = np.arange(0, 9)
    scores = np.zeros((8, 8))
    scores[7, 3] = 1.0
    got = [shares(beta * scores)[7, 3] for beta in sharpness]
    lines(
        sharpness,
        {"your shares": got},
        xlabel="sharpness",
        ylabel="share of the match",
        ylim=(0, 1.02),
        alt="The share of the match rises from an eighth to nearly one.",
    )


# %% [markdown]
# ## 4. A head (★★, 10 minutes)
#
# `head(x, Wq, Wk, Wv, Wo)`: one causal head, and the residual around it. `x` is (T, C); `Wq` and `Wk`
# are (D, C), `Wv` is (E, C), `Wo` is (C, E). Make queries, keys and values; score; hide the future;
# take shares; mix the values; map them back with `Wo`; add to `x`. The result is (T, C). You may call
# your functions from above. About 4 lines.
#
# *By hand.* One word, x = ((1, 2)), all four matrices the identity: it sees only itself, so the
# mixed value is (1, 2), and the result is ((2, 4)).
#
# <details><summary>Hint 1</summary>A matrix that maps C numbers to D is (D, C); for rows it is
# <code>x @ W.T</code>.</details>
# <details><summary>Hint 2</summary>The division is by √D, with D the length of a query, not
# C.</details>
# <details><summary>Hint 3</summary><code>x + shares(match(q, k)) @ v @ Wo.T</code></details>


# %%
def head(x, Wq, Wk, Wv, Wo):
    """x, and what it fetched."""
    ### BEGIN SOLUTION
    q, k, v = x @ Wq.T, x @ Wk.T, x @ Wv.T
    return x + shares(match(q, k)) @ v @ Wo.T
    ### END SOLUTION


# %%
check("head")


# %% tags=["payoff"]
@payoff("head")
def a_layer_of_the_package():
    """Your head with the weights of a layer that the package made, beside that layer."""
    from minilm import backend, nn
    from minilm.tensor import Tensor

    layer = nn.Attention(16, heads=1, bias=False, dtype=np.float64)
    x = backend.rng(0, "a head").normal(size=(10, 16))
    Wq, Wk, Wv = layer.qkv.weight.data.reshape(3, 16, 16)
    yours = head(x, Wq, Wk, Wv, layer.out.weight.data) - x
    theirs = layer(Tensor(x[None]), nn.Sight(causal=True)).data[0]
    print("largest difference from minilm.nn.Attention:", np.abs(yours - theirs).max())


# %% [markdown]
# ## 5. Layer one: take a note (★★, 15 minutes)
#
# `layer_one(words, places, sharp)`: the four matrices `(Wq, Wk, Wv, Wo)`, float64, of the head that
# writes the word before into the last columns. A row has C = 2·words + places columns: word, place,
# note. `Wq` and `Wk` are (places, C), `Wv` is (words, C), `Wo` is (C, words). A match must score
# `sharp` *after* the division by √D, where D = places; everything else scores 0. The word at place
# 0 notes itself. The note is as loud as the word: a 1. About 8 lines.
#
# *By hand.* 1 word, 2 places, sharp = 3: C = 4 and √D = √2. Place 0 asks for 0 and place 1 for 0, so
# the columns "place" of `Wq` are 3√2 · ((1, 1), (0, 0)), and those of `Wk` ((1, 0), (0, 1)). `Wv` is
# ((1, 0, 0, 0)), and `Wo` is 1 in its last row.
#
# <details><summary>Hint 1</summary>Four arrays of zeros, and one assignment each.</details>
# <details><summary>Hint 2</summary>The query is <code>sharp * places ** 0.5 * look_back(places,
# 1)</code> in the columns of the place.</details>
# <details><summary>Hint 3</summary>The columns: words are <code>[:words]</code>, places
# <code>[words : words + places]</code>, notes <code>[words + places :]</code>.</details>


# %%
def layer_one(words, places, sharp):
    """(Wq, Wk, Wv, Wo) of the head that notes who stood before."""
    ### BEGIN SOLUTION
    C = 2 * words + places
    place = slice(words, words + places)
    Wq, Wk = np.zeros((places, C)), np.zeros((places, C))
    Wv, Wo = np.zeros((words, C)), np.zeros((C, words))
    Wq[:, place] = sharp * places**0.5 * look_back(places, 1)
    Wk[:, place] = np.eye(places)
    Wv[:, :words] = np.eye(words)
    Wo[words + places :] = np.eye(words)
    return Wq, Wk, Wv, Wo
    ### END SOLUTION


# %%
check("layer_one")


# %% tags=["payoff"]
@payoff("layer_one")
def the_notice_board():
    """The rows of a text after your layer: the last columns hold the word before."""
    vocabulary = ["·", "ann", "met", "bob"]
    text = [0, 1, 2, 3, 1]
    x = np.zeros((5, 13))
    x[:, :4], x[:, 4:9] = np.eye(4)[text], np.eye(5)
    after = head(x, *layer_one(4, 5, 8.0))
    heatmap(
        after,
        xlabels=[*vocabulary, *"01234", *vocabulary],
        ylabels=[vocabulary[i] for i in text],
        numbers="{:.1f}",
        alt="Each row has a 1 at its word, its place, and the word before.",
    )


# %% [markdown]
# ## 6. Layer two: read the notes (★★★, 15 minutes)
#
# `layer_two(words, places, sharp, loud)`: `(Wq, Wk, Wv, Wo)`, float64, of the head that asks *whose
# note is me?* and adds the word that it finds, `loud` times, to the columns of the word. The columns
# are those of question 5. `Wq`, `Wk`, `Wv` are (words, C), `Wo` is (C, words); a match scores `sharp`
# after the division by √D, with D = words. About 7 lines.
#
# *By hand.* 1 word, 1 place, sharp = 3, loud = 4: C = 3, √D = 1; `Wq` = ((3, 0, 0)), `Wk` = ((0, 0,
# 1)), `Wv` = ((1, 0, 0)), and `Wo` has 4 in its first row.
#
# <details><summary>Hint 1</summary>Who asks? The word itself. By what is it found? By its
# note.</details>
# <details><summary>Hint 2</summary>What is handed over is the word, not the note.</details>
# <details><summary>Hint 3</summary><code>Wo[:words] = loud * np.eye(words)</code>; the query is
# <code>sharp * words ** 0.5 * np.eye(words)</code> in the columns of the word.</details>


# %%
def layer_two(words, places, sharp, loud):
    """(Wq, Wk, Wv, Wo) of the head that goes on as the text did before."""
    ### BEGIN SOLUTION
    C = 2 * words + places
    Wq, Wk, Wv = (np.zeros((words, C)) for _ in range(3))
    Wo = np.zeros((C, words))
    Wq[:, :words] = sharp * words**0.5 * np.eye(words)
    Wk[:, words + places :] = np.eye(words)
    Wv[:, :words] = np.eye(words)
    Wo[:words] = loud * np.eye(words)
    return Wq, Wk, Wv, Wo
    ### END SOLUTION


# %%
check("layer_two")


# %% tags=["payoff"]
@payoff("layer_two")
def your_transformer_goes_on():
    """Both layers of yours go on with a text, word after word."""
    vocabulary = "· the king of france met queen england".split()
    words, places = len(vocabulary), 20
    one, two = layer_one(words, places, 8.0), layer_two(words, places, 8.0, 4.0)
    text = [vocabulary.index(w) for w in "· the king of france met the".split()]
    for _ in range(8):
        x = np.zeros((len(text), 2 * words + places))
        x[:, :words] = np.eye(words)[text]
        x[:, words : words + places] = np.eye(places)[: len(text)]
        text.append(int(head(head(x, *one), *two)[-1, :words].argmax()))
    print(" ".join(vocabulary[i] for i in text[1:]))


# %% [markdown]
# ## 7. Rules in a feed-forward net (★★, 10 minutes)
#
# `rules(facts, words)`: `(up, bias, down)`, float64, so that the net `gelu(x @ up.T + bias) @ down.T`
# knows some facts by heart. `facts` is a list of pairs (a, b), "after a comes b", at most one for each
# a. Each fact has one unit: `up` is (F, words), `bias` is (F,), `down` is (words, F), with F facts. For
# the one-hot row of a, b must get 0.9 to 1.1, and nothing else more than 0.1 in size; a row without
# a fact must get nothing above 0.1 in size. The GELU is the lesson's: 1.95 at 2, −0.05 at −2. About
# 5 lines.
#
# *By hand.* 3 words, the fact (0, 2), with 4 in and −2 as the bias: for word 0 the unit gets 2, and
# GELU(2) = 1.95; with 1 / 1.95 in `down` word 2 gets 1. For the others it gets −2, and −0.05 / 1.95 =
# −0.02.
#
# <details><summary>Hint 1</summary><code>up</code> has a 4 in row f at column a; <code>bias</code> is
# −2 everywhere.</details>
# <details><summary>Hint 2</summary><code>down</code> has one number per fact: in row b, column
# f.</details>
# <details><summary>Hint 3</summary>Many facts may have the same b, and then −0.02 of each adds up.
# Make the bend sharper: with 12 in and −6 as the bias GELU(−6) is 0 to eight digits, and GELU(6) is
# 6.</details>


# %%
def rules(facts, words):
    """(up, bias, down) that know the facts."""
    ### BEGIN SOLUTION
    up, bias = np.zeros((len(facts), words)), np.full(len(facts), -6.0)
    down = np.zeros((words, len(facts)))
    for f, (a, b) in enumerate(facts):
        up[f, a], down[b, f] = 12.0, 1 / 6.0
    return up, bias, down
    ### END SOLUTION


# %%
check("rules")


# %% tags=["payoff"]
@payoff("rules")
def capitals_by_heart():
    """Your net knows capitals that no text mentions."""
    from minilm.models import gpt

    names = "france paris japan tokyo kenya nairobi peru lima".split()
    facts = [(i, i + 1) for i in range(0, len(names), 2)]
    up, bias, down = rules(facts, len(names))
    added = gpt.gelu(np.eye(len(names)) @ up.T + bias) @ down.T
    heatmap(
        added,
        xlabels=names,
        ylabels=names,
        numbers="{:.1f}",
        alt="Each country's row has a 1 at its capital; a capital's row has nothing.",
    )


# %% [markdown]
# ## 8. Which way to move (★★, 10 minutes)
#
# `slope(logits, came)`: the gradient of the *mean* loss. `logits` is (N, V), `came` is (N,), whole
# numbers: the word that came in each row. The loss is the mean over the rows of −log p of that word,
# with p the softmax of the row; the gradient is (N, V). Logits of 1,000 must not overflow. float32
# in gives float32 out. About 5 lines.
#
# *By hand.* One row of logits (0, log 3), and word 0 came: p = (0.25, 0.75), so the gradient is
# (−0.75, 0.75). With two rows everything is halved.
#
# <details><summary>Hint 1</summary>For one row: the probabilities, less 1 at the word that
# came.</details>
# <details><summary>Hint 2</summary><code>p[np.arange(N), came] -= 1</code> changes one entry of each
# row.</details>
# <details><summary>Hint 3</summary>The mean divides by N. An integer N leaves float32
# alone.</details>


# %%
def slope(logits, came):
    """d mean loss / d logits."""
    ### BEGIN SOLUTION
    e = np.exp(logits - logits.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    p[np.arange(len(logits)), came] -= 1
    return p / len(logits)
    ### END SOLUTION


# %%
check("slope")


# %% tags=["payoff"]
@payoff("slope")
def a_table_that_learns():
    """A table of logits, one row per word, learns from your gradient what follows what."""
    text = np.array([0, 1, 2, 3, 1, 2, 0, 1, 2, 3, 1, 2, 0] * 8)
    before, came = text[:-1], text[1:]
    table, losses = np.zeros((4, 4)), []
    for _ in range(60):
        rows = table[before]
        e = np.exp(rows - rows.max(-1, keepdims=True))
        p = e / e.sum(-1, keepdims=True)
        losses.append(-np.log(p[np.arange(len(came)), came]).mean())
        np.add.at(table, before, -20 * slope(rows, came))
    bars(
        ["first", "last"],
        [losses[0], losses[-1]],
        ylabel="loss, nats per word",
        numbers="{:.2f}",
        alt="The loss falls from log 4 to what the text leaves open.",
    )
