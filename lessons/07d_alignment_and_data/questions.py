# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Alignment and data: gaps, filters, hops, chains"
# ---

# %% [markdown]
# # Gaps, filters, hops, chains
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function to work**.
#
# The first takes two minutes. The stars say how hard a question is, from ★ to ★★★, and the hints
# below it are folded away: open the next one only when you are stuck.
#
# Plain Python is enough for most of it, NumPy for the last. Leave your arguments as they are.
# Everything asked for here stands in [the lesson](../lessons/07d_alignment_and_data.ipynb).

# %%
import math

import numpy as np

from minilm.course import bars, check, lines, payoff

# %% [markdown]
# ## 1. How much of the gap? (★, 2 minutes)
#
# `pgr(weak, between, strong)`: the share of the gap from `weak` to `strong` that `between` has closed,
# three floats, `strong` above `weak`. It is 0 at weak, 1 at strong, and may lie outside. 1 line.
#
# *By hand.* A teacher is right in 0.8, the student that it taught in 0.85, the same student with true
# labels in 0.9: half of the gap, 0.5.
#
# <details><summary>Hint 1</summary>The gap is strong − weak.</details>
# <details><summary>Hint 2</summary>What was won is between − weak.</details>
# <details><summary>Hint 3</summary><code>(between - weak) / (strong - weak)</code></details>


# %%
def pgr(weak, between, strong):
    """The performance gap recovered."""
    ### BEGIN SOLUTION
    return (between - weak) / (strong - weak)
    ### END SOLUTION


# %%
check("pgr")


# %% tags=["payoff"]
@payoff("pgr")
def what_teachers_pass_on():
    """Your PGR on students of lesson 04 that have read for 500 steps, by what of them learns."""
    from minilm.course import lesson_folder

    for run in lesson_folder("04").recorded("weak", whole=True).data["runs"]:
        point = run["points"][-1]
        if run["amount"] == 500 and point["true"] > run["teacher"]:
            found = pgr(run["teacher"], point["weak"], point["true"])
            print(f"{run['model']:10} seed {run['seed']}: PGR {found:+.2f}")


# %% [markdown]
# ## 2. The least surprising ones (★★, 10 minutes)
#
# `ppl_filter(docs, lm, q)`: the `math.ceil(q * n)` of n documents with the lowest **perplexity**, as a list
# of `str`, in the order in which they stood. Of two with the same perplexity the earlier one is kept.
#
# `lm` is a dictionary of natural logarithms of probabilities. A document's words are those of
# `doc.split()`, and there is at least one. The word w behind the word v has `lm["v w"]`, or `lm["?"]` where that is
# not in it; for the first word v is `^`. The perplexity is exp(−mean of these logarithms over all words).
# `q` is from 0 to 1. About 8 lines.
#
# *By hand.* With `lm = {"^ a": -1, "a b": -1, "?": -3}`: `"a b"` has exp(1), `"b a"` exp(3), `"a a"`
# exp(2). Two thirds of `["b a", "a b", "a a"]`: `["a b", "a a"]`.
#
# <details><summary>Hint 1</summary>Pairs of neighbours: <code>zip(["^", *words], words)</code>.</details>
# <details><summary>Hint 2</summary>exp does not change the order, so it may be left out. The mean may
# not: a sum would punish long documents.</details>
# <details><summary>Hint 3</summary><code>sorted(range(n), key=...)</code> gives the best places first, and
# leaves equal ones in order; sort the first of them once more by place.</details>


# %%
def ppl_filter(docs, lm, q):
    """The documents that are kept."""

    ### BEGIN SOLUTION
    def loss(doc):
        words = doc.split()
        total = sum(lm.get(f"{v} {w}", lm["?"]) for v, w in zip(["^", *words], words))
        return -total / len(words)

    losses = [loss(doc) for doc in docs]
    best = sorted(range(len(docs)), key=losses.__getitem__)[: math.ceil(q * len(docs))]
    return [docs[i] for i in sorted(best)]
    ### END SOLUTION


# %%
check("ppl_filter")


# %% tags=["payoff"]
@payoff("ppl_filter")
def sense_from_nonsense():
    """Your filter on a pool of Python's reference in which every second document is shuffled."""
    from collections import Counter

    from minilm.course import lesson_folder

    E = lesson_folder("07d").module("experiments")
    pairs, firsts = Counter(), Counter()
    for doc in E.library(0).trusted:
        words = doc.split()
        pairs.update(f"{v} {w}" for v, w in zip(["^", *words], words))
        firsts.update(["^", *words[:-1]])
    lm = {pair: math.log(n / firsts[pair.split()[0]]) for pair, n in pairs.items()}
    lm["?"] = -12.0
    pool = E.crawl(0, "shuffled", 0.5, 200)
    kept = set(ppl_filter(pool.texts, lm, 0.5))
    good = sum(text in kept for text, fine in zip(pool.texts, pool.good) if fine)
    print(f"{good} of 200 good documents are kept, {len(kept) - good} shuffled ones")


# %% [markdown]
# ## 3. In the same order (★★, 10 minutes)
#
# `rouge_l(a, b)`: how alike two texts are, a float from 0 to 1: 2 L / (m + n). Words are those of
# `text.lower().split()`, m and n their numbers, and L is the length of the **longest common subsequence**:
# the most words that stand in both in the same order, with gaps allowed. Where one text has no word it is 0.0.
# About 10 lines; texts have up to 200 words.
#
# *By hand.* `"the cat sat down"` and `"The dog sat"`: *the, sat* is in both, L = 2: 4 / 7 = 0.571.
#
# <details><summary>Hint 1</summary>A table: row i, column j for the first i words of a and the first j of
# b.</details>
# <details><summary>Hint 2</summary>Equal words: the entry up and left, plus 1. Others: the larger of the
# entry above and the one on the left.</details>
# <details><summary>Hint 3</summary>One row is enough: <code>row[j] = max(row[j], row[j - 1])</code> or
# <code>old[j - 1] + 1</code>.</details>


# %%
def rouge_l(a, b):
    """The F score of the longest common subsequence."""
    ### BEGIN SOLUTION
    first, second = a.lower().split(), b.lower().split()
    if not first or not second:
        return 0.0
    row = [0] * (len(second) + 1)
    for word in first:
        old = list(row)
        for j, other in enumerate(second, 1):
            row[j] = old[j - 1] + 1 if word == other else max(old[j], row[j - 1])
    return 2 * row[-1] / (len(first) + len(second))
    ### END SOLUTION


# %%
check("rouge_l")


# %% tags=["payoff"]
@payoff("rouge_l")
def the_nearest_question():
    """The pairs of answers about Python's library that you find most alike."""
    from minilm.data.questions import python_questions

    texts = [answer["content"] for _, answer in python_questions()[:300:3]]
    pairs = [(rouge_l(a, b), a, b) for i, a in enumerate(texts) for b in texts[:i] if a != b]
    for score, a, b in sorted(pairs)[-3:]:
        print(f"{score:.2f}\n  {a}\n  {b}")


# %% [markdown]
# ## 4. Nothing twice (★★, 10 minutes)
#
# `self_instruct_filter(texts, pool, threshold)`: the texts that are new, a list of `str`, in order. Go through
# `texts` once. A text is taken if its ROUGE-L, as in question 3, is **below** `threshold` with every text of
# `pool` and with every text taken before it. About 6 lines; you may call your `rouge_l`.
#
# *By hand.* pool = `["a b"]`, threshold = 0.7, texts = `["a b c", "c d", "c d", "a d"]`: the first has 4 / 5
# with *a b* and goes; *c d* is new; once more it is not; *a d* has 2 / 4 with both: `["c d", "a d"]`.
#
# <details><summary>Hint 1</summary>Keep one list of all that is known: the pool, then what was
# taken.</details>
# <details><summary>Hint 2</summary>Do not append to the pool itself: it is your argument.</details>
# <details><summary>Hint 3</summary><code>if all(rouge_l(text, old) < threshold for old in known):</code></details>


# %%
def self_instruct_filter(texts, pool, threshold):
    """The texts that are unlike all before."""
    ### BEGIN SOLUTION
    known, taken = list(pool), []
    for text in texts:
        if all(rouge_l(text, old) < threshold for old in known):
            known.append(text)
            taken.append(text)
    return taken
    ### END SOLUTION


# %%
check("self_instruct_filter")


# %% tags=["payoff"]
@payoff("self_instruct_filter")
def how_soon_ideas_run_out():
    """What your filter takes of 200 instructions that four moulds have made, by its threshold."""
    from minilm.course import lesson_folder

    made = lesson_folder("07d").module("experiments").instructions(200, 0)
    thresholds = (0.3, 0.5, 0.7, 0.9)
    bars(
        [str(t) for t in thresholds],
        [len(self_instruct_filter(made, [], t)) for t in thresholds],
        xlabel="threshold",
        ylabel="taken of 200",
        numbers="{:.0f}",
        alt="The higher the threshold, the more instructions are taken for new.",
    )


# %% [markdown]
# ## 5. Two hops (★★, 10 minutes)
#
# `two_hop_search(graph, question)`: everybody whom two hops lead to, a sorted list of `str` without repeats.
# `graph` is a dictionary: person → list of pairs `(relation, person)`. A person may have the same
# relation to several people; who is not in the graph leads nowhere. `question` is a tuple `(start,
# first, second)`: take every edge named `first` from the start, then every edge named `second`. About 5
# lines.
#
# *By hand.* graph = `{"ann": [("boss", "bob"), ("boss", "cy"), ("pal", "di")], "bob": [("pal", "ann")],
# "cy": [("pal", "di")]}` and the question `("ann", "boss", "pal")`: over bob to ann, over cy to di:
# `["ann", "di"]`.
#
# <details><summary>Hint 1</summary>Keep the set of people who are reached; a hop makes a new one of
# it.</details>
# <details><summary>Hint 2</summary><code>graph.get(person, [])</code> knows those who lead
# nowhere.</details>
# <details><summary>Hint 3</summary><code>here = {to for p in here for kind, to in graph.get(p, []) if
# kind == hop}</code>, once for each hop.</details>


# %%
def two_hop_search(graph, question):
    """Everybody whom the two hops lead to."""
    ### BEGIN SOLUTION
    start, *hops = question
    here = {start}
    for hop in hops:
        here = {to for person in here for kind, to in graph.get(person, []) if kind == hop}
    return sorted(here)
    ### END SOLUTION


# %%
check("two_hop_search")


# %% tags=["payoff"]
@payoff("two_hop_search")
def the_lesson_s_sixty_people():
    """Your answers to all 960 questions of two hops in the lesson's world."""
    from minilm.data.worlds.relations import WORDINGS, RelationWorld

    world = RelationWorld()
    edges = {str(p): [(str(r), str(to)) for r, to in out] for p, out in world.graph().items()}
    questions = [q for q in world.questions() if not (q[1:] % WORDINGS).any()]
    asked = [(str(q[0]), str(q[1] // WORDINGS), str(q[2] // WORDINGS)) for q in questions]
    truth = world.answers(np.array(questions))
    right = sum(two_hop_search(edges, q) == [str(a)] for q, a in zip(asked, truth))
    print(f"{right} of {len(questions)} right")


# %% [markdown]
# ## 6. Show your work (★★, 10 minutes)
#
# `make_cot(question, graph)`: the worked chain of a question, a `str`. `graph` is a dictionary: person →
# dictionary of relation → person. `question` is a tuple: a person, then one relation for each hop, one or
# more. For each hop the chain has `person relation person .`, then it ends with `so person .`, all with single spaces
# between. Where a person or a relation is missing there is no chain: return `None`. About 8 lines.
#
# *By hand.* graph = `{"ann": {"boss": "bob"}, "bob": {"pal": "cy"}}` and `("ann", "boss", "pal")`:
# `"ann boss bob . bob pal cy . so cy ."`. For `("bob", "boss")`: `None`.
#
# <details><summary>Hint 1</summary>Keep the person where the chain stands.</details>
# <details><summary>Hint 2</summary><code>graph.get(here, {}).get(relation)</code> is None where something is
# missing.</details>
# <details><summary>Hint 3</summary>Collect sentences in a list and join them with spaces.</details>


# %%
def make_cot(question, graph):
    """The chain, or None."""
    ### BEGIN SOLUTION
    here, *relations = question
    said = []
    for relation in relations:
        there = graph.get(here, {}).get(relation)
        if there is None:
            return None
        said.append(f"{here} {relation} {there} .")
        here = there
    return " ".join([*said, f"so {here} ."])
    ### END SOLUTION


# %%
check("make_cot")


# %% tags=["payoff"]
@payoff("make_cot")
def the_verifier_reads_yours():
    """Your chains for 500 questions, read by the verifier of the lesson's world."""
    from minilm.data.worlds.relations import WORDINGS, RelationWorld

    world = RelationWorld()
    index = {word: i for i, word in enumerate(world.words)}
    people, kinds = world.words[world.first_person :], world.words[4 : 4 + world.relations]
    graph = {people[p]: {kinds[r]: people[to] for r, to in out} for p, out in world.graph().items()}
    questions = world.split(500)[1]
    texts = [
        make_cot((people[p], *(kinds[w // WORDINGS] for w in ws)), graph) for p, *ws in questions
    ]
    ids = np.array([[index[word] for word in text.split()] for text in texts])
    print(f"{int(world.verify(questions, ids).sum())} of {len(texts)} chains are proofs")


# %% [markdown]
# ## 7. Good or not? (★★★, 25 minutes)
#
# `quality_clf(X, y)`: logistic regression. `X` is a float64 array (N, D) of features, `y` (N,) of labels 0.0
# and 1.0. Return `w`, a float64 array (D,), and `b`, a float, that make
#
# mean over documents of $-\log p(\text{its label})$ + 0.005 · |w|², with $p(1) = \frac{1}{1 + e^{-(Xw +
# b)}}$,
#
# as small as it can be; b costs nothing. Every entry of the gradient must end below 0.001 in size. N is up to
# 400, D up to 20, and features are about 1 in size. About 10 lines.
#
# The gradient, with p the probabilities: $X^T(p - y) / N + 0.01\,w$ for w, and the mean of p − y for b.
#
# *By hand.* X = [[1], [−1]], y = [1, 0]: b = 0 by symmetry, and w solves 1 / (1 + e^w) = 0.01 w: w =
# 3.36.
#
# <details><summary>Hint 1</summary>Go down the gradient in steps of about 1, several thousand
# times.</details>
# <details><summary>Hint 2</summary>1 / (1 + exp(−z)) overflows for z far below 0;
# <code>0.5 * (1 + np.tanh(z / 2))</code> does not.</details>
# <details><summary>Hint 3</summary>Newton's method needs ten steps: the matrix is Xᵀ diag(p (1 − p)) X / N + 0.01,
# with a column of ones in X for b, which is not held back.</details>


# %%
def quality_clf(X, y):
    """(w, b)."""
    ### BEGIN SOLUTION
    ones = np.column_stack([X, np.ones(len(X))])
    held = 0.01 * np.append(np.ones(X.shape[1]), 0.0)
    wb = np.zeros(ones.shape[1])
    for _ in range(50):
        p = 0.5 * (1 + np.tanh(ones @ wb / 2))
        gradient = ones.T @ (p - y) / len(y) + held * wb
        curve = (ones * (p * (1 - p))[:, None]).T @ ones / len(y) + np.diag(held + 1e-9)
        wb = wb - np.linalg.solve(curve, gradient)
    return wb[:-1], float(wb[-1])
    ### END SOLUTION


# %%
check("quality_clf")


# %% tags=["payoff"]
@payoff("quality_clf")
def yours_in_the_filter():
    """How well your classifier tells shuffled documents from good ones, by how many it has seen."""
    from minilm.course import lesson_folder
    from minilm.data.clean.classifier import auc, hashed_words

    E = lesson_folder("07d").module("experiments")
    pool = E.crawl(0, "shuffled", 0.5, 300)
    X = np.stack([hashed_words(text, 64) for text in pool.texts]).astype(np.float64) * 8
    y, counts, found = pool.good.astype(float), (20, 60, 150, 300), []
    for n in counts:
        w, b = quality_clf(X[:n], y[:n])
        found.append(auc(X[300:] @ w + b, y[300:]))
    lines(
        counts,
        {"area under the curve": found},
        xlabel="documents seen",
        ylabel="AUC",
        xscale="log",
        alt="The more documents the classifier has seen, the better it tells the two kinds apart.",
    )
