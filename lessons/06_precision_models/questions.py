# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Precision models: count, solve, listen"
# ---

# %% [markdown]
# # Count, solve, listen
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function to work**.
#
# The first takes two minutes. The stars say how hard a question is, from ★ to ★★★, and the hints
# below it are folded away: open the next one only when you are stuck.
#
# Arrays are NumPy's, of float64 where nothing else is said. Leave your arguments as they are.
# Everything asked for here stands in [the lesson](../lessons/06_precision_models.ipynb).

# %%
import numpy as np

from minilm.course import bars, check, heatmap, lines, payoff

# %% [markdown]
# ## 1. Co-occurrences (★, 2 minutes)
#
# `cooc(X, Y)`: how often features and targets occur together. `X` is (N, D), `Y` is (N, V), a row for
# each example; the answer is (D, V): the sum over the examples of the outer products $x y^T$. About 1
# line.
#
# *By hand.* X = ((1, 0), (1, 1)), Y = ((0, 1), (1, 0)). The first example adds 1 at row 0, column 1.
# The second adds 1 at rows 0 and 1, column 0. So the answer is ((1, 1), (1, 0)).
#
# <details><summary>Hint 1</summary>Entry (j, i) is a sum over the examples of x_j times
# y_i.</details>
# <details><summary>Hint 2</summary>A matrix product sums over the axis that both share: here the
# examples.</details>
# <details><summary>Hint 3</summary><code>X.T @ Y</code></details>


# %%
def cooc(X, Y):
    """(D, V): the sum of outer products."""
    ### BEGIN SOLUTION
    return X.T @ Y
    ### END SOLUTION


# %%
check("cooc")


# %% tags=["payoff"]
@payoff("cooc")
def which_letter_follows_which():
    """Your counts of the letters of a sentence, and of its two halves, which add up to them."""
    text = "the cat sat on the mat and the rat sat on the cat "
    letters = sorted(set(text))
    rows = np.eye(len(letters))[[letters.index(letter) for letter in text]]
    whole = cooc(rows[:-1], rows[1:])
    halves = cooc(rows[:25], rows[1:26]) + cooc(rows[25:-1], rows[26:])
    print("two halves add up to the whole:", np.array_equal(whole, halves))
    heatmap(
        whole,
        xlabels=letters,
        ylabels=letters,
        xlabel="what came next",
        alt="After t comes h or a space; after a comes t.",
    )


# %% [markdown]
# ## 2. How many features? (★, 3 minutes)
#
# `average_norm(X)`: the K of the explicit solution where it varies. `X` is (N, D) and holds no number
# below 0. The answer is one number: the mean over the rows of their sums. About 1 line.
#
# *By hand.* X = ((1, 0), (1, 2)): the rows sum to 1 and 3, so K = 2.
#
# <details><summary>Hint 1</summary>First a sum in each row, then the mean of the sums.</details>
# <details><summary>Hint 2</summary>It is not <code>X.mean()</code>, which also divides by
# D.</details>
# <details><summary>Hint 3</summary><code>X.sum(axis=1).mean()</code></details>


# %%
def average_norm(X):
    """K, one number."""
    ### BEGIN SOLUTION
    return X.sum(axis=1).mean()
    ### END SOLUTION


# %%
check("average_norm")


# %% tags=["payoff"]
@payoff("average_norm")
def slots_that_are_still_empty():
    """Your K of contexts of eight slots, in texts of different lengths."""
    from minilm import explicit

    lengths = [2, 4, 8, 16, 32, 64]
    found = []
    for length in lengths:
        ids = np.arange(length) % 3
        found.append(average_norm(explicit.context_features(ids, np.eye(3), radius=8)))
    lines(
        lengths,
        {"your K": found},
        expected={"slots": 8},
        xlabel="tokens in the text",
        ylabel="K",
        xscale="log",
        alt="In long texts K nears the number of slots, since few of them are empty.",
    )


# %% [markdown]
# ## 3. Bit-ciphers (★★, 15 minutes)
#
# `bit_cipher(counts, bits)`: a row for each token, by its frequency. `counts` is (V,); the answer is
# (V, bits). The most frequent token comes first, and of equal ones the smaller id. They get, in this
# order: the rows with a single one, from the left; then those with two ones, in the order of
# `itertools.combinations`: places 01, 02, ..., 12, ...; then three, and so on. Each row is divided by
# its number of ones. Raise a `ValueError` where there are more tokens than $2^{bits} - 1$ rows. About
# 8 lines.
#
# *By hand.* counts = (2, 9, 5), 2 bits. Token 1 is the most frequent: (1, 0). Token 2: (0, 1). Token
# 0: (½, ½). A fourth token would be one too many.
#
# <details><summary>Hint 1</summary>Make the list of places first: all combinations of one place, then
# of two, ...</details>
# <details><summary>Hint 2</summary><code>np.argsort(-counts, kind="stable")</code> gives the tokens,
# most frequent first.</details>
# <details><summary>Hint 3</summary><code>cipher[token, list(places)] = 1 / len(places)</code>, for
# token and places side by side.</details>


# %%
def bit_cipher(counts, bits):
    """(V, bits), rows that sum to 1."""
    ### BEGIN SOLUTION
    from itertools import combinations

    if len(counts) > 2**bits - 1:
        raise ValueError(f"{len(counts)} tokens; {bits} bits tell {2**bits - 1} apart")
    patterns = [p for ones in range(1, bits + 1) for p in combinations(range(bits), ones)]
    cipher = np.zeros((len(counts), bits))
    for token, places in zip(np.argsort(-np.asarray(counts), kind="stable"), patterns):
        cipher[token, list(places)] = 1 / len(places)
    return cipher
    ### END SOLUTION


# %%
check("bit_cipher")


# %% tags=["payoff"]
@payoff("bit_cipher")
def your_cipher_of_real_text():
    """Your rows for the fifteen most frequent characters of a text."""
    text = (
        "Beautiful is better than ugly. Explicit is better than implicit. "
        "Simple is better than complex. Complex is better than complicated."
    )
    letters = sorted(set(text), key=lambda letter: (-text.count(letter), letter))[:15]
    heatmap(
        bit_cipher(np.array([text.count(letter) for letter in letters]), 4),
        ylabels=[f"“{letter}” {text.count(letter)}" for letter in letters],
        xlabel="bit",
        numbers="{:.2f}",
        alt="The four most frequent characters have a single one, the next six two, and so on.",
    )


# %% [markdown]
# ## 4. The explicit solution (★★, 15 minutes)
#
# `explicit_solution(F, K, alpha)`: the weights of a softmax layer without a gradient. `F` is (D, V),
# co-occurrences of features and targets, every target seen at least once; `K` is the L1 norm of the
# features; `alpha` is the strength of smoothing, 0 or more.
#
# First smooth: add `alpha` times the share of target i (its column's sum, divided by the sum of all)
# to every entry of column i. Then
#
# $$U_{ji} = \log F_{ji} - \frac{K-1}{K} \log \sum_d F_{di}$$
#
# Where an entry is 0 even then, take the log of 1e-300, so that nothing is infinite. About 4 lines.
#
# *By hand.* F = ((1, 2), (1, 2)), K = 2, alpha = 0. Column 0 sums to 2 and column 1 to 4. U = ((0 − ½
# log 2, log 2 − ½ log 4), the same again) = ((−0.35, 0), (−0.35, 0)).
#
# <details><summary>Hint 1</summary>Column sums are <code>F.sum(axis=0)</code>; they have shape (V,)
# and fit the columns.</details>
# <details><summary>Hint 2</summary>The sum in the formula is that of the *smoothed* table.</details>
# <details><summary>Hint 3</summary><code>np.log(np.maximum(F, 1e-300)) - (K - 1) / K *
# np.log(F.sum(axis=0))</code></details>


# %%
def explicit_solution(F, K, alpha):
    """U, (D, V)."""
    ### BEGIN SOLUTION
    F = F + alpha * F.sum(axis=0) / F.sum()
    return np.log(np.maximum(F, 1e-300)) - (K - 1) / K * np.log(F.sum(axis=0))
    ### END SOLUTION


# %%
check("explicit_solution")


# %% tags=["payoff"]
@payoff("explicit_solution")
def a_spam_filter():
    """Your weights sort messages that they have never seen."""
    letters = ["win money now", "cheap money win", "win win now", "meet me now", "lunch at noon",
               "meet at lunch"]  # fmt: skip
    words = sorted({word for letter in letters for word in letter.split()})
    X = np.array([[letter.split().count(word) for word in words] for letter in letters], float)
    Y = np.eye(2)[[0, 0, 0, 1, 1, 1]]
    U = explicit_solution(X.T @ Y, 3, 1.0)
    for text in ("cheap lunch", "win lunch money", "meet me at noon"):
        logits = np.array([text.split().count(word) for word in words]) @ U
        p = np.exp(logits - logits.max())
        print(f"{text:16} spam with {p[0] / p.sum():.2f}")


# %% [markdown]
# ## 5. Weights of a block (★★, 10 minutes)
#
# `saffu_attend(block, W)`: `block` is (k, d), the last row is the pivot; `W` is (K, K) with K at least
# k. Compare every row with the pivot by a dot product, map the comparisons with the lower right (k,
# k) of `W`, take the softmax. The answer is (k,). Scores of 1,000 must not overflow. About 4 lines.
#
# *By hand.* block = ((1, 0), (½, ½)), W = ((2, 0), (1, 4)): the comparisons are (½, ½), the scores (1,
# 2.5), the weights (0.18, 0.82). For a block of one row the answer is (1,).
#
# <details><summary>Hint 1</summary><code>block @ block[-1]</code> is all comparisons at
# once.</details>
# <details><summary>Hint 2</summary>The lower right corner is <code>W[len(W) - k:, len(W) -
# k:]</code>.</details>
# <details><summary>Hint 3</summary>Subtract the largest score before <code>np.exp</code>.</details>


# %%
def saffu_attend(block, W):
    """(k,), summing to 1."""
    ### BEGIN SOLUTION
    k = len(block)
    scores = W[len(W) - k :, len(W) - k :] @ (block @ block[-1])
    e = np.exp(scores - scores.max())
    return e / e.sum()
    ### END SOLUTION


# %%
check("saffu_attend")


# %% tags=["payoff"]
@payoff("saffu_attend")
def a_look_for_the_same_word():
    """With a large W your weights find where the last word stood before."""
    words = "the cat saw the dog and the bird saw the cat".split()
    kinds = sorted(set(words))
    block = np.eye(len(kinds))[[kinds.index(word) for word in words]]
    weights = saffu_attend(block, 3 * np.eye(len(words)))
    bars(
        [f"{i} {word}" for i, word in enumerate(words)],
        weights,
        ylabel="weight",
        numbers="{:.2f}",
        horizontal=False,
        alt="The two places of cat have the largest weights.",
    )


# %% [markdown]
# ## 6. A table of comparisons (★, 3 minutes)
#
# `compare_table(C)`: every vector's dot product with every other. `C` is (V, d); the answer is (V, V).
# About 1 line.
#
# *By hand.* C = ((1, 0), (½, ½)): the products are 1, ½, ½ and ¼ + ¼ = ½, so the answer is ((1, ½), (½,
# ½)).
#
# <details><summary>Hint 1</summary>It is one matrix product.</details>
# <details><summary>Hint 2</summary>Rows with rows: the second factor is turned.</details>
# <details><summary>Hint 3</summary><code>C @ C.T</code></details>


# %%
def compare_table(C):
    """(V, V)."""
    ### BEGIN SOLUTION
    return C @ C.T
    ### END SOLUTION


# %%
check("compare_table")


# %% tags=["payoff"]
@payoff("compare_table")
def what_ciphers_have_in_common():
    """Your table of the fifteen ciphers of four bits."""
    from minilm import explicit

    heatmap(
        compare_table(explicit.bit_cipher(np.arange(15, 0, -1), 4)),
        xlabel="token, most frequent first",
        numbers="{:.1f}",
        alt="Only the four most frequent tokens have nothing in common with each other.",
    )


# %% [markdown]
# ## 7. Look it up (★★, 10 minutes)
#
# `attend_cached(ids, table, W)`: the weights of question 5, with the comparisons read from a table.
# `ids` is (k,), whole numbers, the pivot last; `table` is (V, V); `W` is (K, K). The answer is (k,),
# and equals `saffu_attend(C[ids], W)` where `table` is that of `C`. No vectors, no dot products with
# them. About 4 lines.
#
# *By hand.* table = ((1, ½), (½, ½)), ids = (0, 1), W = ((2, 0), (1, 4)): the comparisons with the
# pivot 1 are ½ and ½, so the weights are (0.18, 0.82), as before.
#
# <details><summary>Hint 1</summary>The comparisons of all ids with the last are one line of the
# table, at some places.</details>
# <details><summary>Hint 2</summary><code>table[ids, ids[-1]]</code></details>
# <details><summary>Hint 3</summary>From there on it is <code>saffu_attend</code>.</details>


# %%
def attend_cached(ids, table, W):
    """(k,), summing to 1."""
    ### BEGIN SOLUTION
    k = len(ids)
    scores = W[len(W) - k :, len(W) - k :] @ table[ids, ids[-1]]
    e = np.exp(scores - scores.max())
    return e / e.sum()
    ### END SOLUTION


# %%
check("attend_cached")


# %% tags=["payoff"]
@payoff("attend_cached")
def how_much_work_is_saved():
    """Operations of a query with your table and without, as vectors grow longer."""
    from minilm import explicit

    rng = np.random.default_rng(0)
    C = explicit.bit_cipher(rng.integers(1, 99, 40), 8)
    ids, W = rng.integers(0, 40, 6), rng.standard_normal((6, 6))
    apart = np.abs(attend_cached(ids, C @ C.T, W) - explicit.saffu_attend(C[ids], W).data).max()
    print(f"largest difference from the uncached weights: {apart:.0e}")
    widths = np.array([8, 16, 32, 64, 128])
    lines(
        widths,
        {"products": 16 * widths + 256, "your table": np.full(5, 16 + 256)},
        xlabel="numbers in a vector",
        ylabel="operations, 16 slots",
        alt="With products the operations grow with the vectors; with a table they stay level.",
    )


# %% [markdown]
# ## 8. Block, radius, document (★★★, 20 minutes)
#
# `context_features(ids, vectors, block, radius)`: what is known after each token. `ids` is (T,),
# `vectors` is (V, d), `block` and `radius` are at least 1. The answer is (T, (block + radius + 1) d):
# row t holds, side by side,
#
# - the **block**: `block` slots. The text is cut into blocks of that length, and the token at position
#   p stands in slot p % block of its block. Slots that are still to come are 0;
# - the **radius**: `radius` slots, the token at t in the last one, the one before it in the slot before,
#   and so on. Slots before the text are 0;
# - the **document**: the sum of the vectors of all tokens from 0 to t.
#
# About 10 lines.
#
# *By hand.* d = 1, vectors ((1), (2), (3)), ids = (0, 1, 2), block = 2, radius = 2. Row 0: block (1, 0),
# radius (0, 1), document 1. Row 1: (1, 2), (1, 2), 3. Row 2 begins a block: (3, 0), (2, 3), 6.
#
# <details><summary>Hint 1</summary>Go through the positions t, and fill a row of zeros, shaped
# (block + radius + 1, d).</details>
# <details><summary>Hint 2</summary>The block of t starts at <code>t - t % block</code>; the tokens of
# the radius start at <code>max(0, t + 1 - radius)</code>.</details>
# <details><summary>Hint 3</summary>With <code>x = vectors[ids]</code>: the block is <code>x[start : t +
# 1]</code> at the front of its slots, the radius <code>x[max(0, t + 1 - radius) : t + 1]</code> at the
# end of its own.</details>


# %%
def context_features(ids, vectors, block, radius):
    """(T, (block + radius + 1) d)."""
    ### BEGIN SOLUTION
    x = vectors[ids]
    rows = np.zeros((len(ids), block + radius + 1, vectors.shape[1]))
    for t in range(len(ids)):
        here = x[t - t % block : t + 1]
        near = x[max(0, t + 1 - radius) : t + 1]
        rows[t, : len(here)] = here
        rows[t, block + radius - len(near) : block + radius] = near
        rows[t, -1] = x[: t + 1].sum(axis=0)
    return rows.reshape(len(ids), -1)
    ### END SOLUTION


# %%
check("context_features")


# %% tags=["payoff"]
@payoff("context_features")
def three_views_of_a_text():
    """Your features along a text of three words: one block begins, the radius forgets, the bag grows."""
    heatmap(
        context_features(np.array([0, 1, 2, 0, 1, 2, 0, 1]), np.eye(3), 3, 2),
        xlabel="block of 3 · radius of 2 · document",
        ylabel="position",
        numbers="{:.0f}",
        alt="Blocks start anew every three tokens; the last three columns only grow.",
    )


# %% [markdown]
# ## 9. Tested before it is taught (★★, 15 minutes)
#
# `prequential(guess, learn, stream, window)`: what a model guesses along a stream, each guess made
# before its sentence is learnt. `guess(text)` gives a symbol; `learn(text, symbol)` teaches one.
# `stream` is a list of `(text, meant, delay)` in the order of time. A wrong guess is corrected after
# `delay` seconds: if that is at most `window`, the sentence is learnt as what was meant. In every
# other case it is learnt as what was guessed, for nobody objected. Return the list of guesses. About 7
# lines.
#
# *By hand.* A model guesses "dark" for everything. The stream is ("on", "lit", 3), ("off", "dark", 1),
# ("shine", "lit", 30), with a window of 10. The guesses are all "dark"; "on" is learnt as "lit", "off"
# as "dark", and "shine" as "dark": its correction came too late.
#
# <details><summary>Hint 1</summary>One loop over the stream; first guess, then learn, once for each
# sentence.</details>
# <details><summary>Hint 2</summary>The symbol to learn is <code>meant</code> if the guess was wrong
# and the delay fits; otherwise the guess.</details>
# <details><summary>Hint 3</summary><code>learn(text, meant if delay <= window else said)</code>: where
# the guess was right, both are the same.</details>


# %%
def prequential(guess, learn, stream, window):
    """The guesses, in order."""
    ### BEGIN SOLUTION
    guesses = []
    for text, meant, delay in stream:
        said = guess(text)
        learn(text, meant if delay <= window else said)
        guesses.append(said)
    return guesses
    ### END SOLUTION


# %%
check("prequential")


# %% tags=["payoff"]
@payoff("prequential")
def your_lamp_learns():
    """The lamp of the package in your loop, for twenty minutes, with three windows."""
    from minilm.lamp import Listener, household

    stream = [(said.text, said.meant, said.delay) for said in household(3, 20)]
    at = np.arange(40, len(stream), 10)
    curves = {}
    for window in (1, 4, 10):
        model = Listener(0)
        guesses = prequential(model.guess, model.learn, stream, window)
        right = np.array([one == meant for one, (_, meant, _) in zip(guesses, stream)])
        curves[f"window {window} s"] = [100 * right[i - 40 : i].mean() for i in at]
    lines(
        at,
        curves,
        xlabel="sentences",
        ylabel="right, last 40, %",
        ylim=(0, 103),
        alt="With a window of one second the lamp hardly learns; with ten seconds it does.",
    )


# %% [markdown]
# ## 10. All the ways to say it (★★★, 25 minutes)
#
# `ctc_forward(logp, target)`: the probability of a text, whichever frames say it. `logp` is (T, V),
# log-probabilities of the symbols in each frame; symbol 0 is the blank. `target` is (L,), symbols other
# than 0, and fits into T frames. Put blanks around all symbols: the states are blank, first symbol,
# blank, second, ..., blank, S = 2 L + 1 of them. The answer is (T, S): entry (t, s) is the log of the
# sum, over all paths that are in state s at frame t, of the probabilities of frames 0 to t.
#
# A path starts in one of the first two states. From frame to frame it stays, goes on by one, or by two
# where it skips a blank between two *different* symbols. Log 0 is −∞, without a warning. Hundreds of
# frames must not underflow. About 12 lines.
#
# *By hand.* Two frames with (0.4, 0.6) each, target (1): S = 3. Frame 0: (0.4, 0.6, 0). Frame 1: blank
# 0.4 · 0.4 = 0.16; symbol (0.4 + 0.6) · 0.6 = 0.6; last blank 0.6 · 0.4 = 0.24. The answer is the logs of
# these. The text has the probability 0.6 + 0.24 = 0.84.
#
# <details><summary>Hint 1</summary>Write the states as a list of symbols: zeros, with
# <code>target</code> in every second place. Then <code>logp[:, states]</code> is what each state
# emits.</details>
# <details><summary>Hint 2</summary><code>np.logaddexp(a, b)</code> adds two probabilities given as
# logs, and takes −∞.</details>
# <details><summary>Hint 3</summary>The skip into s is allowed where <code>states[s] != 0</code> and
# <code>states[s] != states[s - 2]</code>.</details>


# %%
def ctc_forward(logp, target):
    """(T, 2 L + 1), in logs."""
    ### BEGIN SOLUTION
    states = np.zeros(2 * len(target) + 1, int)
    states[1::2] = target
    emitted = logp[:, states]
    alpha = np.full(emitted.shape, -np.inf)
    alpha[0, :2] = emitted[0, :2]
    for t in range(1, len(logp)):
        for s in range(len(states)):
            ways = alpha[t - 1, s]
            if s > 0:
                ways = np.logaddexp(ways, alpha[t - 1, s - 1])
            if s > 1 and states[s] != 0 and states[s] != states[s - 2]:
                ways = np.logaddexp(ways, alpha[t - 1, s - 2])
            alpha[t, s] = ways + emitted[t, s]
    return alpha
    ### END SOLUTION


# %%
check("ctc_forward")


# %% tags=["payoff"]
@payoff("ctc_forward")
def which_word_was_it():
    """Your probabilities of four words, of a sound that a trained recogniser heard."""
    from minilm.lamp.hearing import Recogniser, symbols, train
    from minilm.lamp.speech import bands, speak
    from minilm.tensor import no_grad

    words = ["on", "off", "lamp", "dark"]
    model = Recogniser(0)
    for _ in train(model, words, 80, seed=0, lr=0.02):
        pass
    with no_grad():
        logp = model(bands(speak("lamp", np.random.default_rng(5)))[None]).data[0].astype(float)
    found = [ctc_forward(logp, np.array(symbols(word)))[-1, -2:] for word in words]
    for word, ends in zip(words, found):
        print(f"{word:5} log-probability {np.logaddexp(*ends):8.1f}")
