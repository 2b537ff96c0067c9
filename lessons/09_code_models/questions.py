# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Code models: filters, copies, holes, scores"
# ---

# %% [markdown]
# # Filters, copies, holes, scores
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function to work**.
#
# The first takes two minutes. The stars say how hard a question is, from ★ to ★★★, and the hints
# below it are folded away: open the next one only when you are stuck.
#
# Plain Python is enough for most of it. Leave your arguments as they are. Everything asked for here
# stands in [the lesson](../lessons/09_code_models.ipynb). Running strangers' programs is not asked for:
# a wall is no exercise.

# %%
import numpy as np

from minilm.course import bars, check, lines, payoff

# %% [markdown]
# ## 1. How alike are two sets? (★, 2 minutes)
#
# `jaccard(a, b)`, with two Python sets: the number of elements that both have, over the number of all
# that either has, as a float. Two empty sets are alike: 1.0. About 2 lines.
#
# *By hand.* {a, b, c} and {b, c, d} share 2 of 4: 0.5.
#
# <details><summary>Hint 1</summary>Python's sets know <code>&amp;</code> and <code>|</code>.</details>
# <details><summary>Hint 2</summary>Nothing over nothing needs a line of its own.</details>
# <details><summary>Hint 3</summary><code>len(a &amp; b) / len(a | b) if a | b else 1.0</code></details>


# %%
def jaccard(a, b):
    """The Jaccard similarity."""
    ### BEGIN SOLUTION
    return len(a & b) / len(a | b) if a | b else 1.0
    ### END SOLUTION


# %%
check("jaccard")


# %% tags=["payoff"]
@payoff("jaccard")
def who_is_like_whom():
    """Your similarity between the tables of alphabets in the standard library."""
    from minilm.data.clean.near_duplicates import shingles
    from minilm.data.corpora import sources

    names = ["cp1250", "cp1251", "cp1252", "cp437", "koi8_r"]
    files = {name: shingles(sources()[f"encodings/{name}.py"]) for name in names}
    for name in names:
        row = "  ".join(f"{jaccard(files[name], files[other]):.2f}" for other in names)
        print(f"{name:8} {row}")


# %% [markdown]
# ## 2. At least one of k (★, 5 minutes)
#
# `pass_at_k(n, c, k)`: n programs were written, c of them are right. The chance that k drawn without
# putting any back hold at least one right one: 1 − C(n−c, k) / C(n, k), as a float. Where fewer than k are
# wrong it is 1.0. n goes up to 2,000: do not let a number overflow. About 3 lines.
#
# *By hand.* (5, 1, 2): ten pairs, six without the right one: 0.4. (10, 3, 1) is 0.3.
#
# <details><summary>Hint 1</summary>The quotient of binomials is a product of k simple fractions, or of
# c of them.</details>
# <details><summary>Hint 2</summary>The product of 1 − k / i for i from n − c + 1 to n.</details>
# <details><summary>Hint 3</summary><code>1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1))</code>, or
# <code>math.comb</code>: Python's whole numbers do not overflow.</details>


# %%
def pass_at_k(n, c, k):
    """The chance that k of n programs hold a right one."""
    ### BEGIN SOLUTION
    if n - c < k:
        return 1.0
    return 1.0 - float(np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))
    ### END SOLUTION


# %%
check("pass_at_k")


# %% tags=["payoff"]
@payoff("pass_at_k")
def more_tries():
    """Your chance for problems of three kinds: one program in 200 right, ten, and a hundred."""
    ks = np.array([1, 2, 5, 10, 20, 50, 100])
    lines(
        ks,
        {f"{c} of 200": [pass_at_k(200, c, int(k)) for k in ks] for c in (1, 10, 100)},
        xlabel="k",
        ylabel="pass@k",
        xscale="log",
        alt="With one right program of 200 the chance grows slowly, with a hundred it is 1 at once.",
    )


# %% [markdown]
# ## 3. The published filters (★★, 10 minutes)
#
# `basic_filters(text)`: True if the text, a `str`, passes all three rules of The Stack, else False. No line is longer than 1,000
# characters; lines have at most 100 characters on average; at least a quarter of **all** characters
# (line ends included) are letters or digits (`str.isalnum`). Lines are those of `text.splitlines()`,
# without their ends. An empty text does not pass. About 6 lines.
#
# *By hand.* `"ab\n--"`: lines of 2 and 2, and 2 of 5 characters are letters: True. `"a---"`: a quarter,
# exactly: True. `"a----"`: 1 of 5: False.
#
# <details><summary>Hint 1</summary>"At most" and "at least" let the number itself pass.</details>
# <details><summary>Hint 2</summary>Ask for an empty text first, or you divide by zero.</details>
# <details><summary>Hint 3</summary><code>sum(map(str.isalnum, text)) >= len(text) / 4</code></details>


# %%
def basic_filters(text):
    """Whether a text passes."""
    ### BEGIN SOLUTION
    lengths = [len(line) for line in text.splitlines()]
    if not lengths:
        return False
    alike = sum(c.isalnum() for c in text)
    return max(lengths) <= 1000 and sum(lengths) / len(lengths) <= 100 and alike >= 0.25 * len(text)
    ### END SOLUTION


# %%
check("basic_filters")


# %% tags=["payoff"]
@payoff("basic_filters")
def what_does_not_pass():
    """The files of the standard library that your filter drops."""
    from minilm.data.corpora import sources

    dropped = [name for name, text in sources().items() if not basic_filters(text)]
    print(f"{len(dropped)} of {len(sources())} files:", *dropped[:8])


# %% [markdown]
# ## 4. A hole in the middle (★★, 10 minutes)
#
# `fim_permute(document, u, rate, spm_rate)`: the document, a `str`, with its middle moved to its end. `u` is
# a list of four floats from 0 up to, but not including, 1, that decide:
#
# 1. if `u[0] >= rate` the document comes back as it is;
# 2. the cuts are `int(u[1] * (n + 1))` and `int(u[2] * (n + 1))` for a document of n characters, the
#    smaller one first: P before it, M between, S behind;
# 3. if `u[3] < spm_rate`: `<fim_prefix><fim_suffix>S<fim_middle>PM`, else
#    `<fim_prefix>P<fim_suffix>S<fim_middle>M`.
#
# About 8 lines.
#
# *By hand.* `"abcd"` with u = (0, 0.7, 0.2, 0.9) and rates of 0.5: cuts at 3 and 1, so P = a, M = bc, S = d:
# `<fim_prefix>a<fim_suffix>d<fim_middle>bc`.
#
# <details><summary>Hint 1</summary><code>sorted</code> puts two cuts in order.</details>
# <details><summary>Hint 2</summary>Any part may be empty; no case of its own is needed.</details>
# <details><summary>Hint 3</summary><code>P, M, S = document[:a], document[a:b], document[b:]</code></details>


# %%
def fim_permute(document, u, rate, spm_rate):
    """The document, or its parts in another order."""
    ### BEGIN SOLUTION
    if u[0] >= rate:
        return document
    a, b = sorted(int(x * (len(document) + 1)) for x in u[1:3])
    P, M, S = document[:a], document[a:b], document[b:]
    if u[3] < spm_rate:
        return f"<fim_prefix><fim_suffix>{S}<fim_middle>{P}{M}"
    return f"<fim_prefix>{P}<fim_suffix>{S}<fim_middle>{M}"
    ### END SOLUTION


# %%
check("fim_permute")


# %% tags=["payoff"]
@payoff("fim_permute")
def holes_in_a_poem():
    """Your holes in a line of the Zen of Python, five times."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        print(fim_permute("Simple is better than complex.", list(rng.random(4)), 0.8, 0.5))


# %% [markdown]
# ## 5. And back (★★, 10 minutes)
#
# `fim_restore(text)`: the document that `fim_permute` of question 4 was given. A text without markers comes
# back as it is. Documents hold no marker themselves. About 5 lines.
#
# *By hand.* `<fim_prefix>a<fim_suffix>d<fim_middle>bc` → `abcd`;
# `<fim_prefix><fim_suffix>d<fim_middle>abc` → `abcd`.
#
# <details><summary>Hint 1</summary>Both orders are undone by the same line.</details>
# <details><summary>Hint 2</summary>In SPM nothing stands between the first two markers.</details>
# <details><summary>Hint 3</summary>What stands behind ⟨middle⟩ goes between the other two.</details>


# %%
def fim_restore(text):
    """The document."""
    ### BEGIN SOLUTION
    if not text.startswith("<fim_prefix>"):
        return text
    prefix, rest = text.removeprefix("<fim_prefix>").split("<fim_suffix>")
    suffix, end = rest.split("<fim_middle>")
    return prefix + end + suffix
    ### END SOLUTION


# %%
check("fim_restore")


# %% tags=["payoff"]
@payoff("fim_restore")
def there_and_back():
    """A hundred functions through the package's holes and back through yours."""
    from minilm.data.worlds.katas import katas
    from minilm.tokenizers import fim_permute as cut

    rng = np.random.default_rng(0)
    texts = [one.text for one in katas(100, seed=3)]
    whole = sum(fim_restore(cut(text, rng, 0.9)) == text for text in texts)
    print(f"{whole} of {len(texts)} came back whole")


# %% [markdown]
# ## 6. The smallest numbers (★★, 10 minutes)
#
# `minhash(hashes, a, b)`: a list of whole numbers, one for each pair of `a` and `b`: the smallest of
# `((a * h + b) % (2**61 - 1)) % 2**32` over all h in `hashes`. `hashes`, `a` and `b` are lists of Python
# integers, not empty; a and b are as long as each other, and their products do not fit into 64 bits.
# About 3 lines.
#
# *By hand.* hashes = [5, 1], a = [2, 1], b = [3, 7]: 2·5 + 3 = 13 and 2·1 + 3 = 5, so 5; then 12 and 8, so 8:
# [5, 8].
#
# <details><summary>Hint 1</summary>Python's own integers never overflow; NumPy's do.</details>
# <details><summary>Hint 2</summary><code>zip(a, b)</code> gives the pairs.</details>
# <details><summary>Hint 3</summary><code>[min(((x * h + y) % p) % 2**32 for h in hashes) for x, y in zip(a,
# b)]</code></details>


# %%
def minhash(hashes, a, b):
    """The signature."""
    ### BEGIN SOLUTION
    prime = 2**61 - 1
    return [min(((x * h + y) % prime) % 2**32 for h in hashes) for x, y in zip(a, b)]
    ### END SOLUTION


# %%
check("minhash")


# %% tags=["payoff"]
@payoff("minhash")
def as_good_as_comparing():
    """How near your 256 numbers come to the true similarity."""
    rng = np.random.default_rng(0)
    a, b = ([int(x) for x in rng.integers(1, 2**60, 256)] for _ in range(2))
    true, found = [], []
    for shared in range(0, 101, 10):
        one = [int(x) for x in rng.integers(0, 2**32, 100)]
        other = one[:shared] + [int(x) for x in rng.integers(0, 2**32, 100 - shared)]
        pair = minhash(one, a, b), minhash(other, a, b)
        true.append(shared / (200 - shared))
        found.append(np.mean([x == y for x, y in zip(*pair)]))
    lines(
        true,
        {"your estimate": found, "truth": true},
        xlabel="similarity",
        ylabel="share of equal numbers",
        alt="The estimate follows the diagonal.",
    )


# %% [markdown]
# ## 7. Bands and rows (★★, 15 minutes)
#
# `optimal_br(threshold, count)`: the pair (b, r) with b · r ≤ count that makes the sum of two areas
# smallest: from 0 to the threshold that of 1 − (1 − s^r)^b, which is compared for nothing, and from the
# threshold to 1 that of (1 − s^r)^b, which is missed. Take both with the trapezoid rule on 501 evenly
# spaced points, ends included. b and r are at least 1. About 9 lines.
#
# *By hand.* count = 1 leaves (1, 1). With a threshold of 0.7 and 256 numbers it is (25, 10).
#
# <details><summary>Hint 1</summary>Two loops: over b, and over r up to count // b.</details>
# <details><summary>Hint 2</summary><code>np.trapezoid(y, x)</code> is the area.</details>
# <details><summary>Hint 3</summary><code>s = np.linspace(0, threshold, 501)</code> for the first area.</details>


# %%
def optimal_br(threshold, count):
    """(bands, rows)."""
    ### BEGIN SOLUTION
    low, high = np.linspace(0, threshold, 501), np.linspace(threshold, 1, 501)
    best = None
    for b in range(1, count + 1):
        for r in range(1, count // b + 1):
            area = np.trapezoid(1 - (1 - low**r) ** b, low)
            area += np.trapezoid((1 - high**r) ** b, high)
            if best is None or area < best[0]:
                best = (area, b, r)
    return best[1], best[2]
    ### END SOLUTION


# %%
check("optimal_br")


# %% tags=["payoff"]
@payoff("optimal_br")
def bands_by_threshold():
    """Your bands and rows for 128 numbers, and where the curve is steepest."""
    for threshold in (0.3, 0.5, 0.7, 0.9):
        b, r = optimal_br(threshold, 128)
        print(f"{threshold}: {b:3} bands of {r:2} rows, knee at {(1 / b) ** (1 / r):.2f}")


# %% [markdown]
# ## 8. One of each kind (★★★, 20 minutes)
#
# `dedup(texts, threshold)`: what is left of a list of texts, as a list of `str`. Two texts are alike if the Jaccard similarity
# of their sets of words (`text.split()`) is `threshold` or more. Texts that hang together over a chain of
# alike ones are a **group**, even if its ends are not alike. Of each group the longest text survives, of
# equally long ones the first in the alphabet, and of equal ones one. Survivors come back in the order in
# which their texts first stood in the list. About 14 lines; comparing all pairs is fine.
#
# *By hand.* threshold = 0.5: `"a b"`, `"a b c"`, `"b c d"`, `"x"`: the first two share 2 of 3, the second and
# third 2 of 4: one group, though the ends share 1 of 4. Left: `["a b c", "x"]` (`"a b c"` and `"b c d"` are
# equally long, and a comes first).
#
# <details><summary>Hint 1</summary>Give each text the number of its group, its own place at first; when two
# are alike, all of one group get the other's number.</details>
# <details><summary>Hint 2</summary><code>min(group, key=lambda t: (-len(t), t))</code> is the
# survivor.</details>
# <details><summary>Hint 3</summary>Equal texts are alike, so they are in one group already: look out for
# the same survivor twice.</details>


# %%
def dedup(texts, threshold):
    """The survivors."""
    ### BEGIN SOLUTION
    words = [set(text.split()) for text in texts]
    group = list(range(len(texts)))
    for i in range(len(texts)):
        for j in range(i):
            both = words[i] | words[j]
            alike = len(words[i] & words[j]) / len(both) if both else 1.0
            if alike >= threshold:
                old, new = group[i], group[j]
                group = [new if g == old else g for g in group]
    left = []
    for number in set(group):
        mine = [text for text, g in zip(texts, group) if g == number]
        left.append(min(mine, key=lambda text: (-len(text), text)))
    return sorted(left, key=texts.index)
    ### END SOLUTION


# %%
check("dedup")


# %% tags=["payoff"]
@payoff("dedup")
def one_alphabet_of_each_kind():
    """Your survivors among the tables of alphabets in the standard library."""
    from minilm.data.corpora import sources

    texts = [text for name, text in sources().items() if name.startswith("encodings/cp")]
    counts = {t: len(dedup(texts, t)) for t in (0.5, 0.7, 0.9)}
    bars(
        ["all", *map(str, counts)],
        [len(texts), *counts.values()],
        ylabel="files left",
        numbers="{:.0f}",
        alt="The lower the threshold, the fewer tables are left.",
    )


# %% [markdown]
# ## 9. Take the exam out (★★, 15 minutes)
#
# `decontaminate(documents, tests, run)`, with two lists of `str`: the list of those documents, in order,
# that share **no** run of `run` words with any test. Words are those of `text.lower().split()`. A test with fewer words than `run` gives nothing
# away. About 7 lines, and fast: 2,000 documents must not be compared with 200 tests one by one.
#
# *By hand.* run = 2, tests = `["the cat sat"]`: `"a CAT sat"` goes, since *cat sat* is in both; `"the dog
# sat"` stays.
#
# <details><summary>Hint 1</summary>Put the runs of all tests into one set.</details>
# <details><summary>Hint 2</summary>A run as a tuple: <code>tuple(words[i : i + run])</code>.</details>
# <details><summary>Hint 3</summary><code>known.isdisjoint(runs(document))</code></details>


# %%
def decontaminate(documents, tests, run):
    """The documents that give no test away."""

    ### BEGIN SOLUTION
    def runs(text):
        words = text.lower().split()
        return {tuple(words[i : i + run]) for i in range(len(words) - run + 1)}

    known = set().union(*map(runs, tests))
    return [text for text in documents if known.isdisjoint(runs(text))]
    ### END SOLUTION


# %%
check("decontaminate")


# %% tags=["payoff"]
@payoff("decontaminate")
def a_leak_is_found():
    """Twenty functions slip into 500 others; yours takes them out again."""
    from minilm.data.worlds.katas import katas

    leak = [one.prompt for one in katas(20, seed=1)]
    clean = [one.text for one in katas(500, seed=2)]
    left = decontaminate(clean + [f"# found on the web\n{text}" for text in leak], leak, 8)
    print(f"{sum('web' in text for text in left)} leaks left, {len(left)} documents of 520")


# %% [markdown]
# ## 10. Small and long (★★★, 20 minutes)
#
# `overhead(N, D, law)`: how much more it costs to train N parameters on D tokens than the cheapest model
# of the same loss, as a share of what that one costs; a float. `law` is a tuple of floats (E, A, B, alpha,
# beta), and the loss E + A / N^alpha + B
# / D^beta. Cost is proportional to N · D. Use what is known of the cheapest one: with ℓ = loss − E, its first
# term is A / N*^alpha = ℓ · beta / (alpha + beta), its second B / D*^beta = ℓ · alpha / (alpha + beta). About 6
# lines.
#
# *By hand.* law = (0, 1, 1, 1, 1), N = 1, D = 1/3: ℓ = 1 + 3 = 4, each term is 2, so N* = D* = 1/2. The costs are
# 1/3 and 1/4: a third more, 0.333.
#
# <details><summary>Hint 1</summary>First ℓ: E cancels.</details>
# <details><summary>Hint 2</summary>From A / N*^alpha = x follows N* = (A / x)^(1/alpha).</details>
# <details><summary>Hint 3</summary>The result is N · D / (N* · D*) − 1.</details>


# %%
def overhead(N, D, law):
    """Extra compute, a share."""
    ### BEGIN SOLUTION
    _, A, B, alpha, beta = law
    above = A / N**alpha + B / D**beta
    best_N = (A / (above * beta / (alpha + beta))) ** (1 / alpha)
    best_D = (B / (above * alpha / (alpha + beta))) ** (1 / beta)
    return N * D / (best_N * best_D) - 1
    ### END SOLUTION


# %%
check("overhead")


# %% tags=["payoff"]
@payoff("overhead")
def three_fits():
    """Your overhead of 7B parameters on a trillion tokens, by three published sets of constants."""
    fits = {
        "as printed": (1.69, 406.4, 410.7, 0.34, 0.28),
        "unrounded": (1.69337368, 406.401018, 410.722827, 0.33917084, 0.2849083),
        "refitted": (1.8172, 482.01, 2085.43, 0.3478, 0.3658),
    }
    bars(
        list(fits),
        [100 * overhead(7e9, 1e12, law) for law in fits.values()],
        ylabel="extra training compute, %",
        numbers="{:.1f}",
        alt="3.7, 10.2 and 40.8 per cent: one model, three fits.",
    )
