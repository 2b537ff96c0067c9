# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Intuitions on language models: tasks, scaling laws, jumps and a U"
# ---

# %% [markdown]
# # Tasks, scaling laws, jumps and a U
#
# Ten functions with which one can look into a language model's loss: what it is made of, how it
# falls with size and data, and what a sudden jump means. Write one, run its cell, then run
# `check("...")`: it answers at once. When a check passes, the cell below it puts **your function to
# work**, on a model that trains while you wait or on a study that was recorded for the lesson.
#
# The first two take two minutes each. The stars say how hard a question is, from ★ to ★★★, and the
# hints below it are folded away: open the next one only when you are stuck. Leave your arguments as
# they are. Everything asked for here stands in
# [the lesson](../lessons/02_intuitions_on_language_models.ipynb); times like (04:17) are those of the
# talk.

# %%
import numpy as np

import minilm
from minilm.course import bars, check, lines, payoff, scatter

# %% [markdown]
# ## 1. All tokens right (★, 2 minutes)
#
# A whole answer counts only if all its tokens are right. If errors are independent and each token is
# right with probability p, what is the probability that all L tokens are? It stays near 0 for long and
# then rises steeply: the score jumps, the model does not (Schaeffer et al. 2023, arXiv 2304.15004;
# section 9 of the lesson).
#
# `exact_match(p, L)`: p is a number or an array of any shape, L a whole number from 1 on. Return the
# probability, float64, of p's shape. One line.
#
# *By hand.* p = 0.9 and L = 2 give 0.81. And half of the answers of 5, 10 or 20 tokens are right at
# p = 0.8706, 0.9330 and 0.9659.
#
# <details><summary>Hint 1</summary>Independent chances multiply.</details>
# <details><summary>Hint 2</summary>The same factor, L times: a power.</details>
# <details><summary>Hint 3</summary><code>np.asarray(p, np.float64) ** L</code> takes numbers and
# arrays, and makes a new array.</details>


# %%
def exact_match(p, L):
    """The probability that L tokens are all right, the shape of p."""
    ### BEGIN SOLUTION
    return np.asarray(p, np.float64) ** L
    ### END SOLUTION


# %%
check("exact_match")


# %% tags=["payoff"]
@payoff("exact_match")
def is_it_a_mirage():
    """Does the rate p of one right token predict whole answers, in the recorded study?"""
    from minilm.analysis import metrics
    from minilm.course import lesson_folder

    seen, groups = lesson_folder("02").recorded("scaling").points, {}
    print("mean error of the share all right    p^L    p1 ... pL, each place its own")
    for task, length in (("translation", 2), ("arithmetic", 3)):
        scores = [point["probes"][task] for point in seen]
        p, whole, product = (
            np.array([score[key] for score in scores])
            for key in ("accuracy", "exact_match", "if_independent")
        )
        with minilm.use(power_match=exact_match):
            predicted = metrics.power_match(p, length)
        errors = [np.abs(guess - whole).mean() for guess in (predicted, product)]
        print(f"{task:33s} {errors[0]:7.3f} {errors[1]:7.3f}")
        groups[f"{task}: p^{length}"] = (predicted, whole)
    scatter(
        groups,
        xlabel="answers all right, predicted by you",
        ylabel="measured",
        alt="Predicted against measured shares of whole answers: near the diagonal where the "
        "tokens are equally hard, right of it where they are not.",
    )


# %% [markdown]
# ## 2. Right, wrong, right again (★, 2 minutes)
#
# Asked to repeat a misquoted proverb word by word, an extra small model did it, a small one put the
# quote right, a large one obeyed (20:47; Wei et al. 2022, arXiv 2211.02011). Three skills that come one
# after another explain it (section 10):
#
# - who cannot **repeat** fails;
# - who can repeat succeeds, unless it knows the right quote and **fixes** the misquote;
# - who would fix it succeeds after all if it follows the **instruction**.
#
# `ushape(repeat, fix, instruction)`: the probabilities of the three skills, independent of each
# other; numbers or arrays of one shape. Return the probability that the misquote is repeated. One line.
#
# *By hand.* The three models have (1, 0, 0), (1, 1, 0) and (1, 1, 1): 1, 0, 1. And (1, ½, ½) gives ¾: it
# fails only where it fixes, ½, and does not follow, ½.
#
# <details><summary>Hint 1</summary>When does a model that can repeat fail? Both of two things must
# happen.</details>
# <details><summary>Hint 2</summary>It fixes and does not follow with probability <code>fix * (1 -
# instruction)</code>.</details>
# <details><summary>Hint 3</summary>Repeat, and not that: multiply <code>repeat</code> by 1 minus
# it.</details>


# %%
def ushape(repeat, fix, instruction):
    """The probability that the misquote is repeated literally."""
    ### BEGIN SOLUTION
    return repeat * (1 - fix * (1 - instruction))
    ### END SOLUTION


# %%
check("ushape")


# %% tags=["payoff"]
@payoff("ushape")
def the_u_of_the_recorded_study():
    """Three skills measured one by one; composed by you, do they give the task itself?"""
    from minilm.course import lesson_folder

    runs = lesson_folder("02").recorded("ushape").data["runs"]
    sizes = sorted({run["parameters"] for run in runs})
    measured, composed = [], []
    for size in sizes:
        ends = [run["points"][-1]["skills"] for run in runs if run["parameters"] == size]
        measured.append(np.mean([skills["literal"] for skills in ends]))
        yours = [
            # without an instruction to measure, none was followed
            ushape(skills["repeat"], skills["suppress"], skills["instruction"] or 0.0)
            for skills in ends
        ]
        composed.append(np.mean(yours))
    lines(
        sizes,
        {"measured": measured, "composed by you": composed},
        xlabel="parameters",
        ylabel="P(repeats the misquote)",
        xscale="log",
        ylim=(0, 1),
        alt="Two curves over model size: the misquote repeated, as measured and as composed from "
        "the three skills.",
    )


# %% [markdown]
# ## 3. One loss, split over its tasks (★, 8 minutes)
#
# With a label on each token the mean loss splits exactly (14:47; section 4). Task k has $n_k$ of the n
# tokens:
#
# $$L_k = -\frac{1}{n_k}\sum_{t \in k} \ln p_t, \qquad w_k = \frac{n_k}{n}, \qquad L = \sum_k w_k L_k$$
#
# `per_task_loss(logp, labels)`: `logp` holds the natural logarithm of the probability of each token
# that came, float32 or float64, any shape; `labels`, of the same shape, the task of each token, whole
# numbers. Return `(losses, weights, total)`: two dictionaries `{k: L_k}` and `{k: w_k}` with a key for
# each label that occurs, and L. The identity must hold to $10^{-12}$, for float32 input too. About 8
# lines.
#
# *By hand.* logp = (−1, −2, −6), labels = (0, 0, 1): losses 1.5 and 6, weights ⅔ and ⅓, total
# 1 + 2 = 3. The mean of the two losses, 3.75, is something else.
#
# <details><summary>Hint 1</summary><code>labels == k</code> picks the tokens of task k, in any
# shape.</details>
# <details><summary>Hint 2</summary><code>np.unique(labels).tolist()</code> tells which tasks
# occur.</details>
# <details><summary>Hint 3</summary>Turn <code>logp</code> into a new float64 array before you add
# it up.</details>


# %%
def per_task_loss(logp, labels):
    """Returns ({task: loss}, {task: weight}, total)."""
    ### BEGIN SOLUTION
    logp = np.asarray(logp, np.float64)
    losses, weights = {}, {}
    for task in np.unique(labels).tolist():
        mine = logp[labels == task]
        losses[task] = float(-mine.mean())
        weights[task] = mine.size / logp.size
    return losses, weights, float(-logp.mean())
    ### END SOLUTION


# %%
check("per_task_loss")


# %% tags=["payoff"]
@payoff("per_task_loss")
def the_loss_of_a_model_taken_apart():
    """A small model reads seven tasks at once; your function marks its exams."""
    from minilm.analysis.metrics import TaskLoss
    from minilm.course import lesson_folder
    from minilm.data.worlds.world import TaskWorld
    from minilm.studies.runs import SIZES, config_of, exam_steps, train_and_test

    def named(logp, labels, names):
        losses, weights, total = per_task_loss(logp, labels)
        return TaskLoss(*({names[k]: v[k] for k in v} for v in (losses, weights)), total)

    study, world = lesson_folder("02").study("scaling"), TaskWorld()
    with minilm.use(per_task_loss=named):
        exam = study.Exam(world, windows=64, prompts=1)
        tokens = world.sample(32 * study.CONTEXT * 300 + 1, seed=1).tokens
        run = train_and_test(
            config_of(SIZES["2x32"], world.vocab_size, study.CONTEXT),
            tokens,
            lambda model: {"split": exam.loss(model)},
            exam_steps(300, 8, first=10),
            steps=300,
            batch=32,
            lr=7e-3,
            seed=0,
        )
    splits = [point["split"] for point in run["points"]]
    tasks = ("grammar", "facts", "sentiment", "spatial", "arithmetic")
    curves = {task: [s.losses[f"{task} scored"] for s in splits] for task in tasks}
    curves["all tokens"] = [s.total for s in splits]
    lines(
        [point["step"] for point in run["points"]],
        curves,
        xlabel="step",
        ylabel="nats per token",
        xscale="log",
        alt="Below one total that falls smoothly, each task has a curve and a pace of its own.",
    )


# %% [markdown]
# ## 4. A score without a cliff (★, 8 minutes)
#
# A score that looks at all probabilities moves before the first answer is right (section 9). Brier's
# (1950) is the squared distance between the forecast and the truth, which has 1 at the true class $y$
# and 0 elsewhere:
#
# $$\text{Brier} = \text{mean over answers of}\ \sum_c \left(p_c - [c = y]\right)^2$$
#
# `brier(probabilities, target)`: probabilities (..., V), each row sums to 1; target (...), whole
# numbers from 0 to V − 1. Return one number. About 4 lines.
#
# *By hand.* (0.7, 0.2, 0.1) has 0.09 + 0.04 + 0.01 = 0.14 if class 0 is true, and 1.34 if class 2 is.
# Sure and right is 0, sure and wrong 2, a uniform guess 1 − 1/V.
#
# <details><summary>Hint 1</summary>Write the square out: only the true class has a term with −2p +
# 1.</details>
# <details><summary>Hint 2</summary>So it is the sum of all p², minus twice the p of the true
# class, plus 1.</details>
# <details><summary>Hint 3</summary><code>np.take_along_axis(p, target[..., None], -1)[...,
# 0]</code> finds the true classes in any shape.</details>


# %%
def brier(probabilities, target):
    """Mean squared distance to the truth, 0 to 2."""
    ### BEGIN SOLUTION
    right = np.take_along_axis(probabilities, np.asarray(target)[..., None], axis=-1)[..., 0]
    return float(((probabilities**2).sum(axis=-1) - 2 * right + 1).mean())
    ### END SOLUTION


# %%
check("brier")


# %% tags=["payoff"]
@payoff("brier")
def a_jump_and_a_slope():
    """One small model learns whether `is` or `are` follows; the same answers under two scores."""
    from minilm.analysis import probes
    from minilm.data.worlds.world import TaskWorld
    from minilm.studies.runs import SIZES, config_of, predictor, train_and_test

    world, steps, only = TaskWorld(), 140, {"grammar": 1.0}
    verbs = next(p for p in world.probes(256, mixture=only) if p.name == "grammar 0")
    with minilm.use(brier=brier):
        run = train_and_test(
            config_of(SIZES["1x32"], world.vocab_size, 32),
            world.sample(32 * 32 * steps + 1, 1, only).tokens,
            lambda model: probes.score(predictor(model), verbs),
            range(10, steps + 1, 10),
            steps=steps,
            batch=32,
            lr=1e-2,
            seed=0,
        )
    lines(
        [point["step"] for point in run["points"]],
        {
            "share right": [point["accuracy"] for point in run["points"]],
            "your Brier score": [point["brier"] for point in run["points"]],
        },
        expected={"a fair coin": 0.5},
        xlabel="step",
        ylim=(0, 1.02),
        alt="The share right leaps up and down between one half and 1; the Brier score falls slowly.",
    )


# %% [markdown]
# ## 5. The best model for a budget (★★, 8 minutes)
#
# Training costs about C = 6 N D FLOPs, for N parameters and D tokens. Hoffmann et al. (2022, arXiv
# 2203.15556) describe the loss by $\hat L = E + A / N^\alpha + B / D^\beta$ (section 5). Where is it least,
# if C is given? There a little more size gains as much as a little more data, $\alpha A / N^\alpha =
# \beta B / D^\beta$, and so (their equation 4)
#
# $$N^* = G \left(\frac{C}{6}\right)^{\frac{\beta}{\alpha+\beta}}, \qquad D^* = \frac{C}{6 N^*},
# \qquad G = \left(\frac{\alpha A}{\beta B}\right)^{\frac{1}{\alpha+\beta}}$$
#
# `optimal_ND(C, consts)`: a number of FLOPs and (E, A, B, alpha, beta). Return `(N, D)`, two numbers,
# not rounded. About 4 lines.
#
# *By hand.* With E = A = B = 1 and α = β = ½ size and data weigh the same; C = 600 gives N = D = 10.
# The printed constants, (1.69, 406.4, 410.7, 0.34, 0.28), and Chinchilla's budget, 5.88 · 10²³, give
# 32.5 · 10⁹ parameters and 3.02 · 10¹² tokens.
#
# <details><summary>Hint 1</summary>Take the five numbers apart first; E plays no part in where the
# minimum is.</details>
# <details><summary>Hint 2</summary>For the printed constants G is about 1.34. N's exponent has β
# on top, not α.</details>
# <details><summary>Hint 3</summary>Once N is known, D = C / (6 N): the two must spend the
# budget.</details>


# %%
def optimal_ND(C, consts):
    """The parameters and tokens of least loss, (N, D)."""
    ### BEGIN SOLUTION
    _, A, B, alpha, beta = consts
    G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    N = G * (C / 6) ** (beta / (alpha + beta))
    return N, C / 6 / N
    ### END SOLUTION


# %%
check("optimal_ND")


# %% tags=["payoff"]
@payoff("optimal_ND")
def tokens_for_each_parameter():
    """What three published fits and the recorded study say, each asked by your function."""
    from minilm.analysis import scaling
    from minilm.course import lesson_folder

    class Yours(scaling.Chinchilla):
        def optimal(self, compute):
            return optimal_ND(compute, (self.E, self.A, self.B, self.alpha, self.beta))

    seen = [
        p
        for p in lesson_folder("02").recorded("scaling").points
        if p["step"] >= 100 and not p["annealed"]
    ]
    columns = [[p[key] for p in seen] for key in ("parameters", "tokens", "loss")]
    with minilm.use(Chinchilla=Yours):
        ours = scaling.fit_chinchilla(*columns, tries=6)
    compute = 10 * max(p["compute"] for p in seen)
    size, tokens = ours.optimal(compute)
    print(f"ten times the study's largest budget, {compute:.1e} FLOPs:", end=" ")
    print(f"{size:,.0f} parameters, {tokens:,.0f} tokens")
    budgets, curves = np.geomspace(1e19, 1e26, 8), {}
    published = (scaling.HOFFMANN_ROUNDED, scaling.HOFFMANN, scaling.REFIT_2024)
    for name, law in zip(("as printed", "unrounded", "refit 2024"), published):
        best = [optimal_ND(C, (law.E, law.A, law.B, law.alpha, law.beta)) for C in budgets]
        curves[name] = [D / N for N, D in best]
    lines(
        budgets,
        curves,
        expected={"Chinchilla: 20": 20.0},
        xlabel="FLOPs",
        ylabel="tokens per parameter",
        xscale="log",
        yscale="log",
        alt="By the constants as printed the ratio grows with the budget; by the refit it stays "
        "near 20.",
    )


# %% [markdown]
# ## 6. A corpus whose tokens know their task (★★, 15 minutes)
#
# Predicting the next word of a large text is many tasks at once (04:17). To watch one of them we need a
# text in which each token carries the number of its task (section 3).
#
# `make_corpus(seed, length, shares, documents)`: `documents[k]` is a list of documents of task k,
# each a one-dimensional array of token ids. Return `(tokens, labels)`, both of shape (length,),
# tokens int32, labels whole numbers:
#
# - whole documents one after another, each drawn at random from its task (one may come twice); only
#   the last one may be cut;
# - in mixed order, not task after task;
# - task k has the share `shares[k]` **of the tokens**, within 1 % of the stream. Shares sum to 1; a
#   share may be 0;
# - all of it depends on the seed and on nothing else.
#
# About 10 lines.
#
# *By hand.* Documents of 2 and of 8 tokens, shares ½ and ½, length 80: 20 short ones and 5 long ones. To
# toss a fair coin per document would give the long ones 80 % of the tokens.
#
# <details><summary>Hint 1</summary>For each task, draw documents until they hold <code>shares[k] *
# length</code> tokens; keep a list of texts and one of labels, <code>np.full(len(text),
# k)</code>.</details>
# <details><summary>Hint 2</summary>Shuffle the order of the documents, never the tokens:
# <code>order = rng.permutation(len(texts))</code>.</details>
# <details><summary>Hint 3</summary>Draw with
# <code>documents[k][rng.integers(len(documents[k]))]</code>, from one <code>rng =
# np.random.default_rng(seed)</code>; join, cut to <code>length</code>, and convert to
# int32.</details>


# %%
def make_corpus(seed, length, shares, documents):
    """Returns tokens (length,) int32 and the task of each, (length,)."""
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    texts, tasks = [], []
    for task, share in enumerate(shares):
        left = share * length
        while left > 0:
            texts.append(documents[task][rng.integers(len(documents[task]))])
            tasks.append(np.full(len(texts[-1]), task))
            left -= len(texts[-1])
    order = rng.permutation(len(texts))
    tokens = np.concatenate([texts[i] for i in order])[:length].astype(np.int32)
    return tokens, np.concatenate([tasks[i] for i in order])[:length]
    ### END SOLUTION


# %%
check("make_corpus")


# %% tags=["payoff"]
@payoff("make_corpus")
def a_model_learns_what_it_is_fed():
    """One small model, two of your corpora of equal length: few facts in the first, many in the
    second."""
    from minilm.analysis import probes
    from minilm.data.worlds.tasks import GENERATORS
    from minilm.data.worlds.world import TaskWorld
    from minilm.models import Transformer
    from minilm.studies.runs import SIZES, config_of, predictor
    from minilm.train import train

    world, tasks = TaskWorld(facts=10), ("facts", "grammar", "sentiment")
    documents = []
    for task in tasks:
        made = GENERATORS[task](world, np.random.default_rng(1), 4000)
        documents.append([row[:size] for row, size in zip(made.rows, made.lengths)])
    even, names = dict.fromkeys(tasks, 1 / 3), ("facts 1-10", "grammar 0", "sentiment")
    exam = {p.name: p for p in world.probes(256, mixture=even)}
    right = {}
    for share in (0.04, 0.5):
        rest = (1 - share) / 2
        tokens, _ = make_corpus(0, 32 * 32 * 300 + 1, [share, rest, rest], documents)
        model = Transformer(config_of(SIZES["1x32"], world.vocab_size, 32))
        train(model, tokens, 300, batch=32, lr=1e-2, progress=False)
        scores = [probes.score(predictor(model), exam[name])["accuracy"] for name in names]
        right[f"{share:.0%} of the tokens are facts"] = scores
    bars(
        tasks,
        right,
        ylabel="share right",
        numbers="{:.2f}",
        alt="The model that was fed more facts knows more of them; the other tasks hardly differ.",
    )


# %% [markdown]
# ## 7. Almost right (★★, 15 minutes)
#
# Another smooth score for long answers: how many tokens would have to be put right? The edit distance
# (Levenshtein 1966) is the least number of insertions, removals and changes of one item that turn the
# first sequence into the second (section 9).
#
# Let $d_{ij}$ be the distance of the first i items of `first` from the first j of `second`. Then
# $d_{i0} = i$, $d_{0j} = j$, and
#
# $$d_{ij} = \min\left(d_{i-1,j} + 1,\; d_{i,j-1} + 1,\; d_{i-1,j-1} + [a_i \ne b_j]\right)$$
#
# `edit_distance(first, second)`: two lists of ids, or two texts. Return a whole number. Fill the table
# row by row (dynamic programming); a function that calls itself for all three neighbours needs years
# for a hundred tokens. About 8 lines.
#
# *By hand.* kitten → sitten → sittin → sitting: 3. From nothing to a text of four letters: 4.
#
# <details><summary>Hint 1</summary>The row above the first is 0, 1, 2, ... : from nothing, every
# item must be inserted.</details>
# <details><summary>Hint 2</summary>A row needs only the row above it. It begins with i.</details>
# <details><summary>Hint 3</summary><code>row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1]
# + (a != b)))</code> for j from 1 on.</details>


# %%
def edit_distance(first, second):
    """Fewest insertions, removals and changes, an int."""
    ### BEGIN SOLUTION
    above = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        row = [i]
        for j, b in enumerate(second, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b)))
        above = row
    return above[-1]
    ### END SOLUTION


# %%
check("edit_distance")


# %% tags=["payoff"]
@payoff("edit_distance")
def how_far_from_right():
    """A small model learns to reverse five letters; how many of them must be put right?"""
    from minilm.analysis import metrics
    from minilm.data import toys
    from minilm.models import EncoderDecoder, EncoderDecoderConfig
    from minilm.optim import AdamW

    shape = {"vocab_size": 11, "context": 16, "layers": 1, "heads": 2, "channels": 32}
    model = EncoderDecoder(EncoderDecoderConfig(**shape, init_std=0.1))
    exam = toys.copy(200, 5, symbols=8, reverse=True, seed=1000)
    optimizer, steps, edits, whole = AdamW(model.parameters(), lr=1e-2), [], [], []
    for step in range(151):
        if step % 10 == 0:
            predicted = model(exam.source, exam.fed).data.argmax(-1)
            with minilm.use(edit_distance=edit_distance):
                edits.append(metrics.mean_edit_distance(predicted, exam.target))
            steps.append(step)
            whole.append(metrics.exact_match(predicted, exam.target))
        pairs = toys.copy(32, 5, symbols=8, reverse=True, seed=step)
        model.loss(pairs.source, pairs.fed, pairs.target).backward()
        optimizer.step()
        optimizer.zero_grad()
    lines(
        steps,
        {"edits needed": edits, "share all right": whole},
        xlabel="step",
        ylim=(0, None),
        alt="The edits fall from the first steps on; whole answers stay wrong for long and then "
        "turn right at once.",
    )


# %% [markdown]
# ## 8. How sure is a slope? (★★, 15 minutes)
#
# Is it worth collecting more data? Only if the curve still falls (24:15), and a slope without its
# uncertainty decides nothing. The bootstrap (Efron 1979) asks how much the slope would change, had
# chance picked other runs (section 5).
#
# `bootstrap_fit(x, y, n, seed)`: points x, y (m,), all positive, near a power law $y = k x^p$. Repeat
# n times: draw m of the points with replacement, x and y of a point together, and fit the straight
# line $\ln y = \ln k + p \ln x$ by least squares. Return `(low, high)`, the 5 % and 95 % quantiles
# of the n exponents p (`np.quantile`). The seed decides all draws. The noise need not be the same
# everywhere, so draw points, not residuals. About 8 lines.
#
# *By hand.* Points exactly on $y = 3 x^{-0.3}$ give −0.3 at both ends, whichever are drawn. Of three
# points with slopes of −0.2 between the first two and −0.4 between the last two, a draw without the
# third has −0.2, one without the first −0.4.
#
# <details><summary>Hint 1</summary>One table of indices does all draws: <code>rng.integers(0, m,
# (n, m))</code>.</details>
# <details><summary>Hint 2</summary>Take logarithms, index both with the same table, subtract each
# row's mean from its x.</details>
# <details><summary>Hint 3</summary>The slope of a row is <code>(a * b).sum(1) / (a *
# a).sum(1)</code>, with a the centred ln x and b the ln y.</details>


# %%
def bootstrap_fit(x, y, n, seed):
    """The central 90 % interval of the exponent, (low, high)."""
    ### BEGIN SOLUTION
    rows = np.random.default_rng(seed).integers(0, len(x), (n, len(x)))
    a, b = np.log(x)[rows], np.log(y)[rows]
    a = a - a.mean(axis=1, keepdims=True)
    slopes = (a * b).sum(axis=1) / (a * a).sum(axis=1)
    low, high = np.quantile(slopes, [0.05, 0.95])
    return low, high
    ### END SOLUTION


# %%
check("bootstrap_fit")


# %% tags=["payoff"]
@payoff("bootstrap_fit")
def which_losses_still_fall():
    """The exponent of compute for each task of the recorded study, dots at both ends of yours."""
    from minilm.course import lesson_folder

    study = lesson_folder("02").recorded("scaling")
    seen = [p for p in study.points if p["step"] >= 100 and not p["annealed"]]
    compute = np.array([p["compute"] for p in seen])
    tasks = [name for name in study.settings["weights"] if name.endswith(" scored")]
    ends = [
        bootstrap_fit(compute, np.array([p["losses"][task] for p in seen]), 400, seed=0)
        for task in tasks
    ]
    bars(
        [task.removesuffix(" scored") for task in tasks],
        np.array(ends, float).T,
        ylabel="exponent of compute",
        numbers="{:.2f}",
        alt="Negative exponents: the task's loss falls with compute; those near 0 do not move.",
    )


# %% [markdown]
# ## 9. Five kinds of curve (★★★, 25 minutes)
#
# While the total loss falls smoothly, single tasks do what they like (16:58). Wei sorted 202 of them by
# eye into five kinds (arXiv 2206.07682). A rule that a program can follow (section 7):
#
# `classify_curve(compute, accuracy, chance=0.0, noise=0.03, jump=0.2)`: m ≥ 4 models, in any order;
# `chance` is the score of guessing, `noise` the standard error of a score. Sort by compute, then take
# the first rule that fits:
#
# 1. `"flat"`: the highest and the lowest score are at most 2 · noise apart;
# 2. `"emergent"`: the smallest models, at least two and at least a third of all, are at chance (their
#    scores are at most 2 · noise away from it); every later model is more than 2 · noise above
#    chance; and the **last** is at least `jump` above chance;
# 3. `"uncorrelated"`: the rank correlation ρ of compute and accuracy has |ρ| ≤ ½;
# 4. `"smooth"` if ρ > 0, `"inverse"` if ρ < 0.
#
# ρ is Spearman's: the ordinary correlation (`np.corrcoef`) of the two series of ranks. The smallest
# value has rank 1; equal values share the mean of their ranks: (5, 7, 7, 9) has (1, 2.5, 2.5, 4).
# About 18 lines.
#
# *By hand.* (0, .01, .02, .35, .62, .81) is emergent. With .12 in the place of .02 only two models of
# six are at chance, a third: emergent still. With .12 in the place of .01 it is smooth.
#
# <details><summary>Hint 1</summary>Sort first: <code>y =
# np.asarray(accuracy)[np.argsort(compute)]</code> is a new array.</details>
# <details><summary>Hint 2</summary>Count how many models from the left are within <code>2 *
# noise</code> of chance; all others are the later ones. There may be none.</details>
# <details><summary>Hint 3</summary>Ranks: <code>(y[:, None] &gt; y).sum(1) + ((y[:, None] ==
# y).sum(1) + 1) / 2</code>.</details>


# %%
def classify_curve(compute, accuracy, chance=0.0, noise=0.03, jump=0.2):
    """One of "smooth", "flat", "inverse", "uncorrelated", "emergent"."""
    ### BEGIN SOLUTION
    y = np.asarray(accuracy)[np.argsort(compute)]
    if y.max() - y.min() <= 2 * noise:
        return "flat"
    away = np.abs(y - chance) > 2 * noise
    start = int(np.argmax(away)) if away.any() else len(y)
    later = y[start:]
    if start >= max(2, len(y) / 3) and len(later) and later.min() > chance + 2 * noise:
        if later[-1] >= chance + jump:
            return "emergent"
    ranks = (y[:, None] > y).sum(1) + ((y[:, None] == y).sum(1) + 1) / 2
    rho = np.corrcoef(np.arange(len(y)), ranks)[0, 1]
    if abs(rho) <= 0.5:
        return "uncorrelated"
    return "smooth" if rho > 0 else "inverse"
    ### END SOLUTION


# %%
check("classify_curve")


# %% tags=["payoff"]
@payoff("classify_curve")
def the_tasks_of_the_recorded_study():
    """Every task of lesson 2's models, smallest to largest, sorted by your rule."""
    from minilm.analysis import curves
    from minilm.course import lesson_folder

    study = lesson_folder("02").recorded("scaling")
    sizes = sorted({run["parameters"] for run in study.data["runs"]})
    guess = {"grammar": 1 / 2, "sentiment": 1 / 2, "spatial": 1 / 8, "facts": 1 / 64}
    for name in study.data["runs"][0]["points"][-1]["probes"]:
        scores = []
        for size in sizes:
            ends = [run["points"][-1] for run in study.data["runs"] if run["parameters"] == size]
            scores.append(np.mean([end["probes"][name]["exact_match"] for end in ends]))
        with minilm.use(classify_curve=classify_curve):
            kind = curves.classify_curve(sizes, scores, chance=guess.get(name.split()[0], 0.0))
        drawn = "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * score))] for score in scores)
        print(f"{name:18s} {drawn}  {scores[0]:.2f} to {scores[-1]:.2f}  {kind}")


# %% [markdown]
# ## 10. Loss from size and data (★★★, 30 minutes)
#
# The law of five constants (Hoffmann et al. 2022, arXiv 2203.15556, approach 3; section 5), for N
# parameters and D training tokens:
#
# $$\hat L(N, D) = E + \frac{A}{N^\alpha} + \frac{B}{D^\beta}$$
#
# `fit_chinchilla(N, D, L)`: three arrays (n,) of runs. Return `(E, A, B, alpha, beta)` that make the
# sum of Huber losses, δ = 0.001, of the residuals $r = \ln\hat L - \ln L$ least. Huber's loss is $r^2/2$
# near 0 and a straight line of slope δ beyond δ, so that a few failed runs do not bend the law. The
# residuals are those of the **logarithms**: 1 % off weighs the same for a good run and for a bad one.
# SciPy may help: `scipy.optimize.least_squares(..., loss="huber", f_scale=1e-3)`, or `minimize`. About
# 14 lines.
#
# Three things that make it work: look for ln E, ln A and ln B, so that all stay positive; take
# $\ln N$ and $\ln D$ minus their means, so that A and α can be told apart; start from several
# exponents and keep the best end.
#
# *By hand.* With (1.69, 406.4, 410.7, 0.34, 0.28) Chinchilla, N = 70 · 10⁹ and D = 1.4 · 10¹², should
# have a loss of 1.93665. A residual of 0.0005 counts 1.25 · 10⁻⁷, one of 0.25 counts 2.5 · 10⁻⁴.
#
# <details><summary>Hint 1</summary>With <code>x = np.log(N) - np.log(N).mean()</code> the term A /
# N^α is <code>np.exp(a - alpha * x)</code>; a is ln A − α times that mean.</details>
# <details><summary>Hint 2</summary><code>np.logaddexp(e, np.logaddexp(a - alpha * x, b - beta *
# y)) - np.log(L)</code> is the residual; give it to <code>least_squares</code>, once plainly and
# then with Huber's loss from where that ended.</details>
# <details><summary>Hint 3</summary>If the losses fit but the constants are off, ask for finer
# tolerances (<code>ftol</code>, <code>xtol</code>, <code>gtol</code> = 1e-14). At the end undo the
# centring: A = exp(a + alpha * mean of ln N).</details>


# %%
def fit_chinchilla(N, D, L):
    """Returns (E, A, B, alpha, beta)."""
    ### BEGIN SOLUTION
    from scipy.optimize import least_squares

    n, d, loss = np.log(N), np.log(D), np.log(L)
    x, y = n - n.mean(), d - d.mean()

    def residual(theta):
        e, a, b, alpha, beta = theta
        return np.logaddexp(e, np.logaddexp(a - alpha * x, b - beta * y)) - loss

    best = None
    for power in (0.2, 0.4, 0.8):
        start = [loss.min() - 0.2, loss.mean() - 2, loss.mean() - 2, power, power]
        found = least_squares(residual, start, x_scale=0.1, max_nfev=400)
        found = least_squares(
            residual, found.x, loss="huber", f_scale=1e-3, ftol=1e-14, xtol=1e-14, gtol=1e-14
        )
        best = found if best is None or found.cost < best.cost else best
    e, a, b, alpha, beta = best.x
    return np.exp(e), np.exp(a + alpha * n.mean()), np.exp(b + beta * d.mean()), alpha, beta
    ### END SOLUTION


# %%
check("fit_chinchilla")


# %% tags=["payoff"]
@payoff("fit_chinchilla")
def the_law_of_the_recorded_study():
    """Your fit on lesson 2's models. In their world the least possible loss is known: is it E?

    A law that fits well between its points may still know nothing of what lies beyond them.
    """
    from minilm.analysis import scaling
    from minilm.course import lesson_folder

    study = lesson_folder("02").recorded("scaling")
    seen = [p for p in study.points if p["step"] >= 100 and not p["annealed"]]
    columns = [np.array([p[key] for p in seen]) for key in ("parameters", "tokens", "loss")]

    def yours(size, tokens, loss):
        return scaling.Chinchilla(*map(float, fit_chinchilla(size, tokens, loss)))

    with minilm.use(fit_chinchilla=yours):
        law = scaling.fit_chinchilla(*columns)
    print(f"L = {law.E:.3f} + {law.A:.3g} / N^{law.alpha:.2f} + {law.B:.3g} / D^{law.beta:.2f}")
    error = np.abs(law.loss(*columns[:2]) / columns[2] - 1).mean()
    floor = study.settings["floors"]["total"]["all"]
    verdict = "finds" if abs(law.E / floor - 1) < 0.1 else "does not find"
    print(f"It is {error:.1%} off on average, and {verdict} the least possible loss, {floor:.3f}.")
    scatter(
        law.loss(*columns[:2]),
        columns[2],
        xlabel="your law, nats per token",
        ylabel="measured",
        fit=True,
        alt="Measured losses against those of the law: the nearer to the diagonal, the better.",
    )


# %% [markdown]
# ## All of it
#
# Run the check of the whole set; then hand in the notebook.

# %%
check(set="02_intuitions_on_language_models")
