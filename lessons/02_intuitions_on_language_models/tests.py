"""Tests of exercise set 2: a labelled corpus, loss by task, scaling laws, curves, scores, the U."""

import itertools
import math

import numpy as np

from minilm.course.checking.expect import array, close, same, true
from minilm.course.checking.probes import leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "Intuitions on language models: tasks, scaling laws, jumps and a U"
LIBRARIES = ("scipy.optimize",)

exact_match = Question("exact_match", title="all tokens right", plugs="power_match")
ushape = Question("ushape", title="right, wrong, right again", plugs="ushape")
per_task_loss = Question(
    "per_task_loss", title="one loss, split over its tasks", lines=8, plugs="per_task_loss"
)
brier = Question("brier", title="a score without a cliff", lines=4, plugs="brier")
optimal_ND = Question("optimal_ND", title="the best model for a budget", lines=4)
make_corpus = Question("make_corpus", title="a corpus whose tokens know their task", lines=10)
edit_distance = Question("edit_distance", title="almost right", lines=8, plugs="edit_distance")
bootstrap_fit = Question(
    "bootstrap_fit",
    title="how sure is a slope?",
    lines=8,
)
classify_curve = Question(
    "classify_curve",
    title="five kinds of curve",
    lines=18,
    plugs="classify_curve",
)
fit_chinchilla = Question(
    "fit_chinchilla",
    title="loss from size and data",
    lines=14,
    plugs="fit_chinchilla",
)


def normal(rng, *shape):
    return rng.standard_normal(shape)


def parts(answer, count, what):
    """A tuple (or list) of so many things."""
    right = isinstance(answer, (tuple, list)) and len(answer) == count
    true(right, f"the answer should be a tuple of {count}: {what}", "type")
    return answer


def number(value, what):
    """One number, as a Python float."""
    return float(array(value, shape=(), what=what))


# ---------------------------------------------------------------------------------- make_corpus

FEW = 40  # documents of a task; the first token of document d of task k is 40 k + d


def mixtures(rng, level):
    yield {"length": 20_000, "shares": [0.5, 0.3, 0.2], "sizes": [(2, 4), (8, 16), (5, 9)]}
    if level == "hidden":
        yield {"length": 37, "shares": [1.0], "sizes": [(3, 8)]}
        yield {"length": 20_001, "shares": [0.02, 0, 0.98], "sizes": [(20, 30), (1, 2), (1, 3)]}
        shares = rng.dirichlet(np.ones(5)).tolist()
        lows = rng.integers(1, 12, 5).tolist()
        sizes = [(low, low + int(rng.integers(1, 12))) for low in lows]
        yield {"length": 20_000 + int(rng.integers(999)), "shares": shares, "sizes": sizes}


def draw_documents(rng, sizes):
    """FEW documents per task; a token says which task it is of, the first one which document."""
    documents = []
    for task, (low, high) in enumerate(sizes):
        documents.append([])
        for d in range(FEW):
            body = 1000 * (task + 1) + rng.integers(0, 100, int(rng.integers(low, high + 1)))
            body[0] = FEW * task + d
            documents[-1].append(body)
    return documents


def task_of(tokens):
    return np.where(tokens < 1000, tokens // FEW, tokens // 1000 - 1)


def written(student, seed, length, shares, documents):
    """The answer as two arrays of whole numbers."""
    answer = student.make_corpus(seed, length, shares, documents)
    answer = parts(answer, 2, "(tokens, labels)")
    tokens = array(answer[0], shape=(length,), dtype=np.int32, what="tokens")
    labels = array(answer[1], shape=(length,), what="labels")
    true(labels.dtype.kind in "iu", f"labels are {labels.dtype}, not whole numbers", "dtype")
    known = np.concatenate([text for texts in documents for text in texts])
    true(np.isin(tokens, known), "tokens holds numbers that are in no document")
    return tokens, labels


@make_corpus.test(
    points=1, hint="np.full(len(text), task) beside every document you take.", cases=mixtures
)
def labels_fit(student, rng, length, shares, sizes):
    "is as long as asked, and every token has the label of its task"
    documents = draw_documents(rng, sizes)
    tokens, labels = written(student, 3, length, shares, documents)
    same(labels, task_of(tokens), what="labels")
    asked = [task for task, share in enumerate(shares) if share > 0.01]
    true(np.isin(asked, labels), "a task that has a share never comes")


@make_corpus.test(
    points=2,
    hint="Shares are of tokens. Fill each task up to share * length tokens; a task with long "
    "documents needs fewer of them.",
    cases=mixtures,
)
def shares_of_tokens(student, rng, length, shares, sizes):
    "holds each task's share of the tokens, within 1 % of the stream"
    documents = draw_documents(rng, sizes)
    for seed in (0, 1):
        tokens, _ = written(student, seed, length, shares, documents)
        found = np.bincount(task_of(tokens), minlength=len(shares)) / length
        for task, (mine, asked) in enumerate(zip(found, shares)):
            said = f"task {task} has {mine:.3f} of the tokens, it should have {asked:.3f}"
            true(abs(mine - asked) <= 0.01, said)


@make_corpus.test(points=1, hint="rng = np.random.default_rng(seed), and draw from it alone.")
def same_seed_same_corpus(student, rng):
    "gives the same stream for the same seed, and another for another seed"
    documents = draw_documents(rng, [(2, 5), (3, 7)])
    seed = int(rng.integers(1000))
    streams = [written(student, s, 2000, [0.5, 0.5], documents)[0] for s in (seed, seed + 1, seed)]
    same(streams[2], streams[0], what="the second stream of one seed")
    true((streams[1] != streams[0]).mean() > 0.5, "another seed gave almost the same stream")
    one, other = (np.bincount(s[s < 1000], minlength=2 * FEW) for s in streams[:2])
    true((one != other).mean() > 0.2, "another seed drew almost the same documents")


@make_corpus.test(
    points=2,
    hint="Collect documents, shuffle the list of documents (never the tokens), then join them.",
    cases=mixtures,
)
def whole_documents_mixed(student, rng, length, shares, sizes):
    "is made of whole documents, in mixed order"
    documents = draw_documents(rng, sizes)
    tokens, _ = written(student, 5, length, shares, documents)
    place = 0
    while place < length:
        first = int(tokens[place])
        true(first < 1000, "a document starts in its middle")
        text = documents[first // FEW][first % FEW][: length - place]
        true(np.array_equal(tokens[place : place + len(text)], text), "a document is broken up")
        place += len(text)
    if length >= 20_000:
        tasks = task_of(tokens)
        counts = [np.bincount(part, minlength=len(shares)) for part in np.array_split(tasks, 4)]
        found = np.array(counts) / (length / 4)
        apart = np.abs(found - found.mean(axis=0)).max()
        true(apart < 0.1, "the tasks stand one after another, not mixed")


@make_corpus.test(
    points=2,
    hint="documents[task][rng.integers(len(documents[task]))], again and again; then shuffle.",
)
def drawn_at_random(student, rng):
    "draws whole documents at random, none for ever, none in turn, and mixes them"
    documents, seed = draw_documents(rng, [(3, 6), (9, 15)]), int(rng.integers(1000))
    tokens, labels = written(student, seed, 24_000, [0.4, 0.6], documents)
    first, texts = np.flatnonzero(tokens < 1000), [*documents[0], *documents[1]]
    counts = np.bincount(tokens[first], minlength=2 * FEW).reshape(2, FEW)
    true(counts.min() > 0, "some documents never come")
    for mine in counts:  # of random draws the variance is the mean, within a third or so
        ratio = mine.var() / mine.mean()
        true(ratio > 0.3, "the documents take turns; each draw should be at random")
        true(ratio < 2.5, "some documents come far too often")
    sizes = np.diff(first)
    true(sizes == [len(texts[d]) for d in tokens[first[:-1]]], "a document is broken up")
    for task, share in ((0, 0.4), (1, 0.6)):
        found = sizes[labels[first[:-1]] == task].sum() / 24_000
        true(abs(found - share) < 0.01, f"task {task} has {found:.3f} of the tokens")
    kinds, share = labels[first], (labels[first] == 0).mean()
    changes = (kinds[1:] != kinds[:-1]).mean() / (2 * share * (1 - share))  # 1 in random order
    true(changes > 0.8, "the tasks stand one after another, not mixed")


leaves_arguments(make_corpus, again=["labels_fit", "same_seed_same_corpus"])


# -------------------------------------------------------------------------------- per_task_loss


def streams(rng, level):
    yield {"shape": (7,), "tasks": [0, 1, 2]}
    yield {"shape": (4, 5), "tasks": [0, 1]}
    if level == "hidden":
        yield {"shape": (1,), "tasks": [4]}
        yield {"shape": (3, 4, 5), "tasks": [2, 11, 12, 40]}
        yield {"shape": (int(rng.integers(100, 300)),), "tasks": list(range(9))}


def split_of(answer):
    losses, weights, total = parts(answer, 3, "(losses, weights, total)")
    for value, name in ((losses, "losses"), (weights, "weights")):
        true(isinstance(value, dict), f"{name} should be a dictionary: task -> number", "type")
    return losses, weights, number(total, "total")


@per_task_loss.test(points=1, hint="A loss is minus a log probability; L_k is a mean over task k.")
def worked_example(student, rng):
    "splits the worked example"
    shift = float(rng.uniform(0, 2))  # every token harder by so much, and so is every task
    logp = np.array([-1.0, -2.0, -6.0]) - shift
    losses, weights, total = split_of(student.per_task_loss(logp, np.array([0, 0, 1])))
    true(set(losses) == {0, 1} == set(weights), "the keys should be the labels 0 and 1")
    for key, loss, weight in ((0, 1.5 + shift, 2 / 3), (1, 6 + shift, 1 / 3)):
        close(losses[key], loss, what=f"losses[{key}]")
        close(weights[key], weight, what=f"weights[{key}]")
    close(total, 3 + shift, what="total")


@per_task_loss.test(
    points=2,
    hint="np.unique(labels) tells which tasks occur; only those get a key.",
    cases=streams,
)
def losses_and_weights(student, rng, shape, tasks):
    "gives the mean loss and the share of every task that occurs"
    logp, labels = -rng.exponential(2, shape), rng.choice(tasks, shape)
    losses, weights, _ = split_of(student.per_task_loss(logp, labels))
    sums, counts = {}, {}
    for value, label in zip(logp.ravel().tolist(), labels.ravel().tolist()):
        sums[label] = sums.get(label, 0.0) - value
        counts[label] = counts.get(label, 0) + 1
    for found, name in ((losses, "losses"), (weights, "weights")):
        true(set(found) == set(counts), f"{name} should have one key for each label that occurs")
    for key, count in counts.items():
        close(losses[key], sums[key] / count, rtol=1e-12, what=f"losses[{key}]")
        close(weights[key], count / logp.size, rtol=1e-12, what=f"weights[{key}]")


@per_task_loss.test(
    points=2,
    hint="Turn logp into float64 before you add it up, and weigh tasks by their tokens.",
    cases=streams,
)
def identity(student, rng, shape, tasks):
    "the weighted sum of the task losses is the total, to 1e-12, for float32 too"
    logp = -rng.exponential(3, (*shape, 400)).astype(np.float32)
    labels = rng.choice(tasks, logp.shape, p=rng.dirichlet(np.ones(len(tasks))))
    losses, weights, total = split_of(student.per_task_loss(logp, labels))
    keys = set(losses) & set(weights)
    rebuilt = math.fsum(number(weights[k], "a weight") * number(losses[k], "a loss") for k in keys)
    exact = -math.fsum(logp.ravel().tolist()) / logp.size
    close(total, exact, rtol=0, atol=1e-12, what="total")
    close(rebuilt, exact, rtol=0, atol=1e-12, what="the sum of weights * losses")


leaves_arguments(per_task_loss)


# ------------------------------------------------------------------------------- fit_chinchilla

NAMES = ("E", "A", "B", "alpha", "beta")
PUBLISHED = (1.69, 406.4, 410.7, 0.34, 0.28)
LARGE, SMALL = ((5e7, 1.6e10), (3e8, 3e11)), ((1e4, 3e6), (1e5, 1e8))


def laws(rng, level):
    yield {"law": PUBLISHED, "ranges": LARGE, "runs": 40}
    if level == "hidden":
        e, a, b = rng.uniform(1, 2.2), np.exp(rng.uniform(5, 7)), np.exp(rng.uniform(5, 7.5))
        powers = rng.uniform(0.28, 0.42, 2).tolist()
        yield {"law": (float(e), float(a), float(b), *powers), "ranges": LARGE, "runs": 60}
        yield {"law": (1.6, 45.0, 120.0, 0.33, 0.36), "ranges": SMALL, "runs": 24}


def loss_of(law, size, tokens):
    e, a, b, alpha, beta = law
    return e + a / size**alpha + b / tokens**beta


def draw_runs(rng, ranges, runs):
    """Sizes and tokens, spread evenly in their logarithms."""
    return [np.exp(rng.uniform(*np.log(ends), runs)) for ends in ranges]


def law_of(answer):
    answer = parts(answer.tolist() if isinstance(answer, np.ndarray) else answer, 5, "E, A, B, ...")
    return [number(value, name) for name, value in zip(NAMES, answer)]


@fit_chinchilla.test(
    points=2, hint="Return (E, A, B, alpha, beta), in this order; A and B, not logs.", cases=laws
)
def fits_the_runs(student, rng, law, ranges, runs):
    "its law gives the losses that it was fitted to, within 0.1 %"
    size, tokens = draw_runs(rng, ranges, runs)
    loss = loss_of(law, size, tokens)
    found = law_of(student.fit_chinchilla(size, tokens, loss))
    close(loss_of(found, size, tokens), loss, rtol=1e-3, atol=0, what="the fitted losses")


@fit_chinchilla.test(
    points=3,
    hint="If the losses fit but the constants are off: centre log N and log D, ask for a finer "
    "tolerance (ftol, gtol), and start from several exponents.",
    cases=laws,
)
def finds_the_constants(student, rng, law, ranges, runs):
    "finds all five constants within 1 %, from runs without noise"
    size, tokens = draw_runs(rng, ranges, runs)
    found = law_of(student.fit_chinchilla(size, tokens, loss_of(law, size, tokens)))
    for mine, true_one, name in zip(found, law, NAMES):
        close(mine, true_one, rtol=0.01, atol=0, what=name)


def huber_of(law, size, tokens, loss):
    """Sum of the Huber losses of the residuals of log L."""
    r = np.abs(np.log(loss_of(law, size, tokens)) - np.log(loss))
    return float(np.where(r < 1e-3, r * r / 2, 1e-3 * (r - 5e-4)).sum())


def least_near(law, size, tokens, loss):
    """The least such sum near a law: two simplex walks in the logarithms of its constants."""
    from scipy.optimize import minimize

    theta = np.log(np.maximum(law, 1e-12))
    for step in (0.02, 0.002):
        simplex = np.vstack([theta, theta + step * np.eye(5)])
        how = {"maxiter": 1500, "maxfev": 1500, "xatol": 1e-9, "fatol": 1e-14}
        walk = minimize(
            lambda t: huber_of(np.exp(t), size, tokens, loss),
            theta,
            method="Nelder-Mead",
            options={**how, "initial_simplex": simplex},
        )
        theta = walk.x
    return float(walk.fun)


@fit_chinchilla.test(
    points=2, hint="The residual is log of your loss less log of the measured one; not L less L."
)
def residuals_of_logs(student, rng):
    "no law nearby has a smaller sum of Huber losses of the residuals of log L"
    mine, least = 0.0, 0.0
    for _ in range(3):  # low losses 2 % off, high ones 30 %: in nats the high ones are all
        size, tokens = draw_runs(rng, ((1e3, 3e6), (1e4, 1e8)), 40)
        loss = loss_of((0.5, 250.0, 900.0, 0.38, 0.42), size, tokens)
        noise = np.where(loss > np.median(loss), 0.3, 0.02)
        loss = loss * np.exp(noise * normal(rng, 40))
        found = law_of(student.fit_chinchilla(size, tokens, loss))
        mine += huber_of(found, size, tokens, loss)
        least += least_near(found, size, tokens, loss)
    true(mine < 1.004 * least, f"the sum is {mine / least:.3f} times that of a law nearby")


@fit_chinchilla.test(
    points=2,
    hint="Huber's loss is straight beyond delta: a wild run pulls no harder than a near one.",
)
def ignores_wild_runs(student, rng):
    "three wild runs among forty hardly move it"
    size, tokens = draw_runs(rng, LARGE, 40)
    law = (float(rng.uniform(1.2, 2.2)), float(rng.uniform(300, 600)), *PUBLISHED[2:])
    loss = loss_of(law, size, tokens)
    wild = loss.copy()
    wild[rng.permutation(40)[:3]] *= 1.25
    found = law_of(student.fit_chinchilla(size, tokens, wild))
    close(loss_of(found, size, tokens), loss, rtol=3e-3, atol=0, what="the losses of its law")


leaves_arguments(fit_chinchilla, again=["fits_the_runs"])


# ----------------------------------------------------------------------------------- optimal_ND

UNROUNDED = (*map(math.exp, (0.5267228, 6.0073404, 6.0179186)), 0.33917084, 0.2849083)
TABLE = (  # 2203.15556 as printed and unrounded, then the refit of 2404.10102; C = 5.88e23
    (PUBLISHED, 32.5e9, 3.02e12),
    (UNROUNDED, 40.7e9, 2.41e12),
    ((1.8172, 482.01, 2085.43, 0.3478, 0.3658), 73.0e9, 1.34e12),
)


def budgets(rng, level):
    yield {"law": (1.0, 1.0, 1.0, 0.5, 0.5), "compute": 600.0}
    yield {"law": PUBLISHED, "compute": 5.88e23}
    yield {"law": (1.0, 2.0, 1.0, 0.5, 0.5), "compute": 700.0}  # small enough to show rounding
    if level == "hidden":
        yield {"law": TABLE[2][0], "compute": float(10 ** rng.uniform(17, 26))}
        law = (2.0, *rng.uniform(5, 900, 2).tolist(), *rng.uniform(0.2, 0.9, 2).tolist())
        yield {"law": law, "compute": float(10 ** rng.uniform(12, 20))}


def best_size(law, compute):
    """Where alpha A / N**alpha falls below beta B / D**beta, by bisection in log N."""
    _, a, b, alpha, beta = law
    low, high = -20.0, math.log(compute) + 20
    for _ in range(200):
        middle = (low + high) / 2
        size = math.exp(middle)
        gain = alpha * a * size**-alpha - beta * b * (compute / 6 / size) ** -beta
        low, high = (middle, high) if gain > 0 else (low, middle)
    return math.exp(low)


def pair_of(answer):
    size, tokens = parts(answer, 2, "(N, D)")
    return number(size, "N"), number(tokens, "D")


@optimal_ND.test(points=1, hint="For the printed constants G is about 1.34.")
def published_table(student, rng):
    "gives the published optima for Chinchilla's budget"
    for row in rng.permutation(3).tolist():
        (_, a, b, *powers), n, d = TABLE[row]
        factor = float(rng.uniform(0.5, 2))  # of A and B alike, and any E: the same optimum
        law = (float(rng.uniform(1, 2)), factor * a, factor * b, *powers)
        size, tokens = pair_of(student.optimal_ND(5.88e23, law))
        close(size, n, rtol=2.5e-3, atol=0, what="N")
        close(tokens, d, rtol=2.5e-3, atol=0, what="D")


@optimal_ND.test(points=1, hint="Once N is known, D = C / (6 N).", cases=budgets)
def spends_the_budget(student, rng, law, compute):
    "spends the budget: 6 N D = C"
    size, tokens = pair_of(student.optimal_ND(compute, law))
    close(6 * size * tokens, compute, rtol=1e-9, atol=0, what="6 N D")


@optimal_ND.test(
    points=3,
    hint="At the optimum alpha A / N^alpha = beta B / D^beta. N's exponent has beta on top.",
    cases=budgets,
)
def nothing_is_better(student, rng, law, compute):
    "no other split gives a lower loss; right to four digits"
    size, tokens = pair_of(student.optimal_ND(compute, law))
    expected = best_size(law, compute)
    close(size, expected, rtol=5e-5, atol=0, what="N")
    close(tokens, compute / 6 / expected, rtol=5e-5, atol=0, what="D")


# -------------------------------------------------------------------------------- bootstrap_fit


def plans(rng, level):
    slope, noise = -0.3, 0.05
    if level == "hidden":  # in place of the public cases: a fit at a time takes seconds for these
        slope, noise = float(rng.uniform(-1, 1)), float(rng.uniform(0.02, 0.3))
    yield {"slope": slope, "noise": noise, "even": True}
    yield {"slope": slope, "noise": noise, "even": False}


def draw_line(rng, points, slope, noise, even=True):
    """y = 3 x**slope with noise in log y; x spread over five decades.

    The noise is the same everywhere, or grows towards both ends. Then residuals drawn anew, which
    land anywhere, give too narrow an interval; points drawn whole do not.
    """
    a = np.linspace(2, 14, points) + rng.uniform(-0.1, 0.1, points)
    size = np.ones(points) if even else (a - a.mean()) ** 2 / a.var()
    return np.exp(a), 3 * np.exp(slope * a + noise * size * normal(rng, points))


def ends_of(answer):
    answer = answer.tolist() if isinstance(answer, np.ndarray) else answer
    low, high = parts(answer, 2, "(low, high)")
    low, high = number(low, "low"), number(high, "high")
    true(low <= high, f"low is {low:.4g}, above high, {high:.4g}")
    return low, high


@bootstrap_fit.test(points=1, hint="The slope of log y over log x; x and y of a point stay paired.")
def exact_line(student, rng):
    "finds the exponent where there is no noise"
    slope = float(rng.uniform(-0.9, 0.9))
    x, y = draw_line(rng, 15, slope, 0)
    answer = student.bootstrap_fit(x, y, 50, 0)
    for end, name in zip(ends_of(answer), ("low", "high")):
        close(end, slope, rtol=0, atol=1e-9, what=name)


@bootstrap_fit.test(points=1, hint="np.random.default_rng(seed).integers(0, len(x), ...).")
def seeded(student, rng):
    "gives the same interval for the same seed, and another for another seed"
    x, y = draw_line(rng, 20, -0.3, 0.2)
    first, other, again = (ends_of(student.bootstrap_fit(x, y, 60, s)) for s in (1, 2, 1))
    true(again == first, "one seed gave two different intervals")
    true(first != other, "two seeds gave the same interval")
    true(first[0] < first[1], "the interval has no width")
    low, high = ends_of(student.bootstrap_fit(x, y, 1, 5))
    true(low == high, "of one draw both quantiles are its exponent: draw n times")


@bootstrap_fit.test(
    points=2,
    hint="From the 5 % to the 95 % quantile of the n exponents; each draw has as many points as x.",
    cases=plans,
)
def width(student, rng, slope, noise, even):
    "is as wide as 90 % of the chance variation, whether or not the noise is even"
    shares = []
    for seed in range(40):
        x, y = draw_line(rng, 60, slope, noise, even)
        low, high = ends_of(student.bootstrap_fit(x, y, 100, seed))
        a, b = np.log(x) - np.log(x).mean(), np.log(y)
        rest = b - np.polyval(np.polyfit(a, b, 1), a)
        error = math.sqrt(((a * rest) ** 2).sum()) / (a * a).sum()  # White 1980, equation 6
        shares.append((high - low) / (2 * 1.645 * error))
    mean = float(np.mean(shares))
    true(0.86 < mean < 1.12, f"the interval is {mean:.2f} times as wide as it should be")


@bootstrap_fit.test(
    points=2, hint="Fit every resample: the interval is of fitted exponents.", cases=plans
)
def coverage(student, rng, slope, noise, even):
    "holds the true exponent in about nine of ten experiments"
    held = 0
    for seed in range(40):
        x, y = draw_line(rng, 60, slope, noise, even)
        low, high = ends_of(student.bootstrap_fit(x, y, 100, seed))
        held += low <= slope <= high
    true(held >= 27, f"the true exponent lies inside in {held} of 40 experiments only")


@bootstrap_fit.test(points=1, hint="rng.integers(0, m) draws from 0 to m - 1: all m points.")
def every_point_counts(student, rng):
    "each point may be drawn, the first and the last too, and may be left out"
    slope = float(rng.uniform(-0.9, 0.9))
    x, line = draw_line(rng, 12, slope, 0)
    for place, tilt in ((0, -1), (11, 1), (int(rng.integers(1, 4)), -1)):
        y = line.copy()
        y[place] *= 1.5  # tilts the line one way, and draws without it have the old slope
        low, high = ends_of(student.bootstrap_fit(x, y, 400, 7))
        kept, moved = (low, high) if tilt > 0 else (high, low)
        close(kept, slope, rtol=0, atol=1e-9, what="the end without the point that is off")
        true((moved - slope) * tilt > 1e-3, f"point {place} seems never to be drawn")


leaves_arguments(bootstrap_fit, again=["exact_line"])


# ------------------------------------------------------------------------------- classify_curve

COMPUTE = 10.0 ** np.arange(14, 22)
SERIES = {
    "smooth": [0.10, 0.18, 0.30, 0.40, 0.52, 0.60, 0.70, 0.78],
    "flat": [0.50, 0.52, 0.49, 0.51, 0.50, 0.48, 0.51, 0.50],
    "inverse": [0.80, 0.74, 0.70, 0.61, 0.55, 0.46, 0.40, 0.33],
    "uncorrelated": [0.50, 0.20, 0.60, 0.30, 0.56, 0.25, 0.52, 0.34],
    "emergent": [0.00, 0.01, 0.02, 0.00, 0.01, 0.35, 0.62, 0.81],
}


def ranks_of(values):
    """1 for the smallest; equal values share their mean rank."""
    values = list(values)
    below = [sum(other < value for other in values) for value in values]
    equal = [sum(other == value for other in values) for value in values]
    return np.array([b + (e + 1) / 2 for b, e in zip(below, equal)])


def kind_of_curve(compute, accuracy, chance, noise, jump):
    """The four rules, one after another."""
    y = [score for _, score in sorted(zip(compute, accuracy))]
    if max(y) - min(y) <= 2 * noise:
        return "flat"
    start = 0
    while start < len(y) and abs(y[start] - chance) <= 2 * noise:
        start += 1
    later = y[start:]
    if start >= 2 and 3 * start >= len(y) and later:
        if min(later) > chance + 2 * noise and y[-1] >= chance + jump:
            return "emergent"
    a, b = ranks_of(range(len(y))), ranks_of(y)
    rho = np.corrcoef(a, b)[0, 1]
    if abs(rho) <= 0.5:
        return "uncorrelated"
    return "smooth" if rho > 0 else "inverse"


def ask_kind(student, compute, accuracy, expected, **rest):
    found = student.classify_curve(compute, accuracy, **rest)
    true(isinstance(found, str), "the answer should be one of five words", "type")
    shown = ", ".join(f"{value:.2f}" for value in np.asarray(accuracy)[np.argsort(compute)])
    true(found == expected, f"{shown} is {expected}, not {found[:20]!r}")


@classify_curve.test(points=2, hint="Apply the rules in their order: flat comes first.")
def five_kinds(student, rng):
    "tells the five kinds apart"
    for kind in rng.permutation(list(SERIES)).tolist():
        ask_kind(student, COMPUTE, np.array(SERIES[kind]) + rng.uniform(-0.008, 0.008, 8), kind)


@classify_curve.test(points=1, hint="order = np.argsort(compute), before anything else.")
def any_order(student, rng):
    "takes the points in any order"
    for kind in ("smooth", "inverse", "emergent"):
        order = rng.permutation(8)
        ask_kind(student, COMPUTE[order], np.array(SERIES[kind])[order], kind)


@classify_curve.test(
    points=1, hint="Compare with chance, and with 2 * noise, never with 0 or 0.06."
)
def chance_and_noise(student, rng):
    "measures from chance, in units of the noise"
    guess = float(rng.uniform(0.2, 0.4))
    y = np.array(SERIES["emergent"]) * 0.6 + guess
    ask_kind(student, COMPUTE, y, "emergent", chance=guess)
    ask_kind(student, COMPUTE, y, kind_of_curve(COMPUTE, y, 0, 0.03, 0.2))
    ask_kind(student, COMPUTE, y, "flat", chance=guess, noise=0.3)
    ask_kind(student, COMPUTE, np.array(SERIES["flat"]), "uncorrelated", noise=0.001)
    ask_kind(student, COMPUTE, y, "smooth", chance=guess, jump=0.9)


@classify_curve.test(points=1, hint="At most is <=, at least is >=, more than is >.")
def borders(student, rng):
    "a score on a border belongs where the rules say"
    base = float(rng.integers(1, 4)) / 8  # eighths and quarters are exact
    x = 10.0 ** np.arange(6)
    how = {"chance": base, "noise": 1 / 16, "jump": 1 / 4}
    for rise, kind in (
        ([0, 1, 0, 1, 0, 1], "flat"),  # exactly 2 noise apart
        ([0, 0, 0, 2, 2, 2], "emergent"),  # exactly the jump
        ([0, 1, -1, 2, 3, 4], "emergent"),  # exactly 2 noise from chance is at chance
        ([0, 0, 0, 3, 1, 4], "smooth"),  # and is not above it
    ):
        ask_kind(student, x, base + np.array(rise) / 8, kind, **how)


@classify_curve.test(
    points=1,
    hint="Emergent: at least two models and a third of all start at chance, no later one is there "
    "again, and the last has made the jump.",
)
def not_every_rise_emerges(student, rng):
    "calls a rise emergent only if all its conditions hold"
    tiny = rng.uniform(-0.01, 0.01, 9)
    x = 10.0 ** np.arange(9)
    for y, kind in (
        ([0, 0, 0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], "emergent"),
        ([0, 0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], "smooth"),  # two of nine
        ([0, 0, 0, 0.3, 0.4, 0.0, 0.6, 0.7, 0.8], "smooth"),  # back at chance
        ([0, 0, 0, 0.3, 0.4, 0.04, 0.6, 0.7, 0.8], "smooth"),  # as good as back
        ([0, 0, 0, 0.1, 0.18, 0.26, 0.34, 0.42, 0.5], "emergent"),  # in small steps
        ([-0.04, -0.04, -0.04, 0.1, 0.12, 0.14, 0.15, 0.16, 0.18], "smooth"),  # from chance, .18
        ([0, 0, 0, 0.10, 0.12, 0.14, 0.16, 0.17, 0.18], "smooth"),  # no jump
        ([0, 0, 0, 0.12, 0.3, 0.4, 0.3, 0.2, 0.15], "smooth"),  # a jump, but not at the last
        ([0.3, 0.3, 0.3, 0.25, 0.2, 0.2, 0.1, 0.1, 0.1], "inverse"),
    ):
        ask_kind(student, x, np.array(y) + tiny, kind)
    rise = np.array([0, 0, 0, 0, 0.25, 0.6, 0.5, 0.3, 0.14]) + tiny  # rho is 0.7, or a little more
    ask_kind(student, x, rise, kind_of_curve(x, rise, 0, 0.03, 0.2))
    ask_kind(student, x[:4], np.array([0, 0.5, 0.7, 0.9]) + tiny[:4], "smooth")  # one model
    two = np.array([0, 0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]) + tiny[:8]
    ask_kind(student, x[:8], two, "smooth")  # two of eight, less than a third
    ask_kind(student, x[:6], two[:6], "emergent")


def fields(rng, level):
    yield {"models": 6, "ties": False}
    yield {"models": 9, "ties": True}
    if level == "hidden":
        yield {"models": 4, "ties": False}
        yield {"models": 11, "ties": False}
        yield {"models": int(rng.integers(5, 9)), "ties": True}


@classify_curve.test(
    points=2,
    hint="Ranks: (y[:, None] > y).sum(1) + ((y[:, None] == y).sum(1) + 1) / 2; then np.corrcoef.",
    cases=fields,
)
def any_curve(student, rng, models, ties):
    "agrees with the rules on thirty curves, rank correlation and all"
    for _ in range(30):
        x = 10.0 ** rng.permutation(models)
        trend = rng.choice([-0.5, -0.1, 0, 0.1, 0.5]) * np.log10(x) / models
        y = np.clip(0.3 + trend + rng.choice([0.02, 0.1, 0.3]) * normal(rng, models), 0, 1)
        y = np.round(y, 1) if ties else y
        y[rng.random(models) < 0.2] = 0.25
        ask_kind(student, x, y, kind_of_curve(x, y, 0.25, 0.031, 0.2), chance=0.25, noise=0.031)


leaves_arguments(classify_curve)


# ---------------------------------------------------------------------------------- exact_match


@exact_match.test(points=1, hint="All L tokens must be right, each with probability p.")
def mirage_table(student, rng):
    "gives the published example of a mirage, and the square of any p for two tokens"
    p = float(rng.uniform(0.3, 0.9))
    close(student.exact_match(p, 2), p * p, rtol=1e-9, what=f"two tokens at p = {p:.4f}")
    table = {1e9: (0.0067, 4.5e-5), 1e10: (0.2057, 0.0423), 1e11: (0.6065, 0.3679)}
    for size in rng.permutation(list(table)).tolist():
        p = math.exp(-((size / 1e9) ** -0.5))
        for length, expected in zip((5, 10), table[size]):
            close(student.exact_match(p, length), expected, rtol=0.01, what=f"p = {p:.4f}")


def rates(rng, level):
    yield {"shape": ()}
    yield {"shape": (4,)}
    if level == "hidden":
        yield {"shape": (2, 3)}
        yield {"shape": (1,)}


@exact_match.test(points=2, hint="NumPy's powers take arrays; do not round.", cases=rates)
def arrays_of_rates(student, rng, shape):
    "takes an array of rates, and any length"
    p = rng.uniform(0, 1, shape) if shape else float(rng.uniform(0.2, 0.9))
    if shape:
        p.flat[0] = rng.integers(0, 2)
    for length in (1, 2, 7, int(rng.integers(8, 40))):
        expected = np.ones(shape)
        for _ in range(length):
            expected = expected * p
        close(student.exact_match(p, length), expected, rtol=1e-9, atol=0)


@exact_match.test(points=1, hint="np.asarray(p, np.float64) before the power.")
def rates_of_any_dtype(student, rng):
    "gives float64, for float32 rates and whole numbers too"
    narrow = rng.uniform(0.9, 1, 5).astype(np.float32)
    close(student.exact_match(narrow, 7), narrow.astype(float) ** 7, rtol=1e-12, dtype=np.float64)
    bits = rng.permutation([0, 1, 1])
    close(student.exact_match(bits, 3), bits, atol=0, dtype=np.float64)


leaves_arguments(exact_match, needs=["arrays_of_rates"])

# ---------------------------------------------------------------------------------------- brier


def forecasts(rng, level):
    yield {"lead": (5,), "classes": 3}
    yield {"lead": (), "classes": 4}
    if level == "hidden":
        yield {"lead": (1,), "classes": 2}
        yield {"lead": (3, 4), "classes": int(rng.integers(4, 30))}


@brier.test(points=1, hint="Sum over all classes, the wrong ones too; then the mean over answers.")
def forecast_example(student, rng):
    "gives the numbers of the worked example, whatever the order of the classes"
    order = rng.permutation(3)
    p = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])[:, order]
    right = np.argsort(order)  # where the old classes are now
    for row, target, expected in ((0, 0, 0.14), (0, 2, 1.34), (1, 1, 0.0), (2, 0, 2.0)):
        answer = student.brier(p[row : row + 1], right[[target]])
        close(answer, expected, atol=1e-12, what=f"the score of {p[row]}, true: {right[target]}")
    answer = student.brier(p, right[[0, 1, 0]])
    close(answer, (0.14 + 0 + 2) / 3, what="the score of all three")


@brier.test(
    points=2,
    hint="np.take_along_axis(p, target[..., None], -1) finds the true classes in any shape.",
    cases=forecasts,
)
def any_forecast(student, rng, lead, classes):
    "is right for any number of classes and any shape"
    p, target = rng.dirichlet(np.ones(classes), lead), rng.integers(0, classes, lead)
    total = 0.0
    for place in np.ndindex(*lead):
        for c in range(classes):
            total += (p[place][c] - (1.0 if c == target[place] else 0.0)) ** 2
    close(student.brier(p, target), total / math.prod(lead), rtol=1e-9)


leaves_arguments(brier, needs=["any_forecast"])


# -------------------------------------------------------------------------------- edit_distance


def steps_apart(first, second):
    """The definition itself: remove, insert or change the last item, whichever is cheapest."""
    known = {}

    def apart(i, j):
        if (i, j) not in known:
            if not i or not j:
                known[i, j] = i + j
            else:
                change = apart(i - 1, j - 1) + (first[i - 1] != second[j - 1])
                known[i, j] = min(change, apart(i - 1, j) + 1, apart(i, j - 1) + 1)
        return known[i, j]

    return apart(len(first), len(second))


def sequences(rng, level):
    yield {"longest": 6, "kinds": 3, "count": 20}
    if level == "hidden":
        yield {"longest": 9, "kinds": 2, "count": 20}
        yield {"longest": 80, "kinds": 6, "count": 3}


@edit_distance.test(points=1, hint="kitten, sitten, sittin, sitting: three steps.")
def famous_words(student, rng):
    "kitten and sitting are 3 apart"
    words = [("kitten", "sitting", 3), ("flaw", "lawn", 2), ("glib", "glitters", 5)]
    for row in rng.permutation(3).tolist():
        first, second, steps = words[row]
        more = "".join(rng.choice(list("aeiou"), 3))  # what both end with changes nothing
        first, second = first + more, second + more
        same(student.edit_distance(first, second), steps, what=f"{first} to {second}")
        same(student.edit_distance(second, first), steps, what=f"{second} to {first}")


@edit_distance.test(
    points=2,
    hint="row[j] = steps from the items so far to the first j of the other; each is the least of "
    "its left, upper and upper left neighbours plus their costs.",
    cases=sequences,
)
def any_lists(student, rng, longest, kinds, count):
    "is right for any two lists of ids, long ones too"
    for _ in range(count):
        sizes = rng.integers(longest // 2, longest + 1, 2)
        first, second = (rng.integers(0, kinds, size).tolist() for size in sizes)
        answer = student.edit_distance(first, second)
        same(answer, steps_apart(first, second))
        true(isinstance(answer, (int, np.integer)), "it should be a whole number, an int", "type")


@edit_distance.test(points=1, hint="From nothing, every item must be inserted.")
def nothing_at_all(student, rng):
    "takes empty lists, and gives 0 only for equal ones"
    some = rng.integers(0, 9, int(rng.integers(2, 9))).tolist()
    same(student.edit_distance([], some), len(some))
    same(student.edit_distance(some, []), len(some))
    same(student.edit_distance(some, list(some)), 0)
    same(student.edit_distance(some, [99, *some]), 1)


leaves_arguments(edit_distance)


# --------------------------------------------------------------------------------------- ushape


def repeats(can, knows, obeys):
    """The story: who can repeat does so, unless they know better and nobody holds them back."""
    if not can:
        return 0
    return 0 if knows and not obeys else 1


@ushape.test(points=1, hint="Knowing the quote spoils it, unless the instruction is followed too.")
def truth_table(student, rng):
    "is right where one can repeat more or less, and the other skills are there or not"
    corners = list(itertools.product((0.0, 1.0), repeat=2))
    for row in rng.permutation(4).tolist():
        can = float(rng.uniform(0.2, 0.9))
        for repeat in (0.0, 1.0, can):
            expected = repeat * repeats(1, *corners[row])
            what = f"ushape({repeat:.2f}, {corners[row][0]:g}, {corners[row][1]:g})"
            close(student.ushape(repeat, *corners[row]), expected, atol=1e-12, what=what)


def skills(rng, level):
    yield {"shape": ()}
    yield {"shape": (4,)}
    if level == "hidden":
        yield {"shape": (2, 3)}


@ushape.test(
    points=2,
    hint="Independent skills: chances multiply. When does a model that can repeat fail to?",
    cases=skills,
)
def in_between(student, rng, shape):
    "is the chance of the story, where each skill is a probability; arrays too"
    for _ in range(4):
        p = rng.uniform(0, 1, (3, *shape))
        expected = np.zeros(shape)
        for corner in itertools.product((0, 1), repeat=3):
            coins = [q if there else 1 - q for q, there in zip(p, corner)]
            expected = expected + repeats(*corner) * coins[0] * coins[1] * coins[2]
        given = [float(q) if shape == () else q for q in p]
        close(student.ushape(*given), expected, rtol=1e-9, atol=1e-12)


leaves_arguments(ushape, needs=["in_between"])
