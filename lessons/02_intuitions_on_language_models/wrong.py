"""Answers to set 2 that are wrong in the ways people are: (question, points earned, code)."""

from pathlib import Path

from minilm.course.checking.planted import Solution

changed = Solution(Path(__file__).with_name("questions.py")).changed

START = "import numpy as np\n"
CORPUS = """
def make_corpus(seed, length, shares, documents):
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
"""
SPLIT = """
def per_task_loss(logp, labels):
    logp = np.asarray(logp, np.float64)
    losses, weights = {}, {}
    for task in np.unique(labels).tolist():
        mine = logp[labels == task]
        losses[task] = float(-mine.mean())
        weights[task] = mine.size / logp.size
    return losses, weights, float(-logp.mean())
"""
FIT = """
from scipy.optimize import least_squares

def fit_chinchilla(N, D, L):
    n, d, loss = np.log(N), np.log(D), np.log(L)
    x, y = n - n.mean(), d - d.mean()

    def residual(theta):
        e, a, b, alpha, beta = theta
        return np.logaddexp(e, np.logaddexp(a - alpha * x, b - beta * y)) - loss

    start = [loss.min() - 0.2, loss.mean() - 2, loss.mean() - 2, 0.4, 0.4]
    found = least_squares(residual, start, ftol=1e-14, xtol=1e-14, gtol=1e-14)
    e, a, b, alpha, beta = found.x
"""
ROBUST = (
    FIT.replace("gtol=1e-14)", 'gtol=1e-14, loss="huber", f_scale=1e-3)')
    + "    return np.exp(e), np.exp(a + alpha * n.mean()), np.exp(b + beta * d.mean()), alpha, beta\n"
)
OPTIMUM = """
def optimal_ND(C, consts):
    _, A, B, alpha, beta = consts
    G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    N = G * (C / 6) ** (beta / (alpha + beta))
    return N, C / 6 / N
"""
BOOTSTRAP = """
def bootstrap_fit(x, y, n, seed):
    rows = np.random.default_rng(seed).integers(0, len(x), (n, len(x)))
    a, b = np.log(x)[rows], np.log(y)[rows]
    a = a - a.mean(axis=1, keepdims=True)
    slopes = (a * b).sum(axis=1) / (a * a).sum(axis=1)
    low, high = np.quantile(slopes, [0.05, 0.95])
    return low, high
"""
CURVE = """
def classify_curve(compute, accuracy, chance=0.0, noise=0.03, jump=0.2):
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
"""
DISTANCE = """
def edit_distance(first, second):
    above = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        row = [i]
        for j, b in enumerate(second, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b)))
        above = row
    return above[-1]
"""

WRONG = [
    # a coin per document: long documents get more than their share
    (
        "make_corpus",
        5,
        START
        + """
def make_corpus(seed, length, shares, documents):
    rng = np.random.default_rng(seed)
    texts, tasks, size = [], [], 0
    while size < length:
        task = int(rng.choice(len(shares), p=shares))
        texts.append(documents[task][rng.integers(len(documents[task]))])
        tasks.append(np.full(len(texts[-1]), task))
        size += len(texts[-1])
    return np.concatenate(texts)[:length].astype(np.int32), np.concatenate(tasks)[:length]
""",
    ),
    # tokens shuffled in place of documents
    (
        "make_corpus",
        5,
        START
        + CORPUS.replace(
            "order = rng.permutation(len(texts))", "order = range(len(texts))"
        ).replace(
            "    return tokens, np.concatenate([tasks[i] for i in order])[:length]",
            "    labels = np.concatenate(tasks)[:length]\n"
            "    order = rng.permutation(length)\n"
            "    return tokens[order], labels[order]",
        ),
    ),
    # the seed is forgotten, and the tasks stand one after another
    (
        "make_corpus",
        4,
        START
        + CORPUS.replace("default_rng(seed)", "default_rng()").replace(
            "rng.permutation(len(texts))", "range(len(texts))"
        ),
    ),
    # the mean of the task losses for a total
    (
        "per_task_loss",
        2,
        START + SPLIT.replace("float(-logp.mean())\n", "float(np.mean(list(losses.values())))\n"),
    ),
    # float32 is added up as it comes
    (
        "per_task_loss",
        4,
        START + SPLIT.replace("np.asarray(logp, np.float64)", "np.asarray(logp)"),
    ),
    # tasks 0, 1, 2 ... whether they occur or not
    (
        "per_task_loss",
        4,
        START
        + SPLIT.replace("np.unique(labels).tolist()", "range(int(np.max(labels)) + 1)").replace(
            "float(-mine.mean())\n        w", "float(-mine.mean()) if mine.size else 0.0\n        w"
        ),
    ),
    # squares in place of Huber: wild runs bend the law
    (
        "fit_chinchilla",
        6,
        START
        + FIT
        + "    return np.exp(e), np.exp(a + alpha * n.mean()), np.exp(b + beta * d.mean()), "
        "alpha, beta\n",
    ),
    # the constants of the centred logs are handed out as they are
    (
        "fit_chinchilla",
        0,
        START + FIT + "    return np.exp(e), np.exp(a), np.exp(b), alpha, beta\n",
    ),
    # one start, no centring, numerical derivatives and the standard tolerance: it stops early
    (
        "fit_chinchilla",
        0,
        START
        + """
from scipy.optimize import minimize

def fit_chinchilla(N, D, L):
    def total(theta):
        e, a, b, alpha, beta = theta
        r = np.log(np.exp(e) + np.exp(a) / N**alpha + np.exp(b) / D**beta) - np.log(L)
        size = np.abs(r)
        return np.where(size < 1e-3, r * r / 2, 1e-3 * (size - 5e-4)).sum()

    e, a, b, alpha, beta = minimize(total, [0, 5, 5, 0.5, 0.5], method="L-BFGS-B").x
    return np.exp(e), np.exp(a), np.exp(b), alpha, beta
""",
    ),
    # N gets alpha's exponent
    (
        "optimal_ND",
        1,
        START + OPTIMUM.replace("(beta / (alpha + beta))", "(alpha / (alpha + beta))"),
    ),
    # the six is forgotten
    ("optimal_ND", 0, START + OPTIMUM.replace("C / 6", "C")),
    # G upside down
    (
        "optimal_ND",
        1,
        START + OPTIMUM.replace("alpha * A / (beta * B)", "beta * B / (alpha * A)"),
    ),
    # x and y drawn apart
    (
        "bootstrap_fit",
        1,
        START
        + """
def bootstrap_fit(x, y, n, seed):
    rng = np.random.default_rng(seed)
    slopes = [
        np.polyfit(np.log(rng.choice(x, len(x))), np.log(rng.choice(y, len(y))), 1)[0]
        for _ in range(n)
    ]
    return tuple(np.quantile(slopes, [0.05, 0.95]))
""",
    ),
    # 80 % in place of 90 %
    ("bootstrap_fit", 4, START + BOOTSTRAP.replace("[0.05, 0.95]", "[0.1, 0.9]")),
    # the standard error of the mean of the slopes
    (
        "bootstrap_fit",
        3,
        START
        + BOOTSTRAP.replace(
            "    low, high = np.quantile(slopes, [0.05, 0.95])\n    return low, high",
            "    error = 1.645 * slopes.std() / np.sqrt(n)\n"
            "    return slopes.mean() - error, slopes.mean() + error",
        ),
    ),
    # taken as sorted
    (
        "classify_curve",
        6,
        START + CURVE.replace("[np.argsort(compute)]", ""),
    ),
    # chance is always 0
    (
        "classify_curve",
        5,
        START + CURVE.replace("np.abs(y - chance)", "np.abs(y)").replace("chance + ", ""),
    ),
    # any steep rise at the end is called emergent
    (
        "classify_curve",
        5,
        START
        + CURVE.replace(
            "if start >= max(2, len(y) / 3) and len(later) and later.min() > chance + 2 * noise:",
            "if start and len(later):",
        ),
    ),
    # one of the tokens is right
    ("exact_match", 0, "def exact_match(p, L):\n    return 1 - (1 - p) ** L"),
    # one token is given away
    ("exact_match", 0, "def exact_match(p, L):\n    return p ** (L - 1)"),
    # for a single number only
    (
        "exact_match",
        1,
        "import math\ndef exact_match(p, L):\n    return math.exp(L * math.log(p))",
    ),
    # the true class alone
    (
        "brier",
        0,
        START
        + """
def brier(probabilities, target):
    right = np.take_along_axis(probabilities, target[..., None], axis=-1)
    return float(((1 - right) ** 2).mean())
""",
    ),
    # a mean over the classes too
    (
        "brier",
        0,
        START
        + """
def brier(probabilities, target):
    truth = np.eye(probabilities.shape[-1])[target]
    return float(((probabilities - truth) ** 2).mean())
""",
    ),
    # rows of one table only, and the table is changed
    (
        "brier",
        1,
        START
        + """
def brier(probabilities, target):
    probabilities[np.arange(len(target)), target] -= 1
    return float((probabilities**2).sum(axis=-1).mean())
""",
    ),
    # a change costs a removal and an insertion
    (
        "edit_distance",
        1,
        DISTANCE.replace("(a != b)", "2 * (a != b)"),
    ),
    # the first column stays 0
    ("edit_distance", 0, DISTANCE.replace("row = [i]", "row = [0]")),
    # place by place, and the rest of the longer one
    (
        "edit_distance",
        0,
        "def edit_distance(first, second):\n"
        "    differ = sum(a != b for a, b in zip(first, second))\n"
        "    return differ + abs(len(first) - len(second))",
    ),
    # the instruction adds to what is left: more than certain
    (
        "ushape",
        0,
        "def ushape(repeat, fix, instruction):\n    return repeat * (1 - fix) + instruction",
    ),
    # right at the corners, not between them
    (
        "ushape",
        1,
        "def ushape(repeat, fix, instruction):\n    return min(repeat, max(1 - fix, instruction))",
    ),
    # the instruction works only for those who fix nothing
    (
        "ushape",
        0,
        "def ushape(repeat, fix, instruction):\n    return repeat * (1 - fix) * instruction",
    ),
    # the first document of a task for ever
    (
        "make_corpus",
        6,
        START + CORPUS.replace("[rng.integers(len(documents[task]))]", "[0]"),
    ),
    # the documents of a task in their order, again and again
    (
        "make_corpus",
        6,
        START
        + CORPUS.replace(
            "texts.append(documents[task][rng.integers(len(documents[task]))])",
            "texts.append(documents[task][len(texts) % len(documents[task])])",
        ),
    ),
    # the lists that were given are shuffled
    (
        "make_corpus",
        8,
        START
        + CORPUS.replace(
            "        left = share * length",
            "        rng.shuffle(documents[task])\n        left = share * length",
        ),
    ),
    # the argument becomes a loss
    (
        "per_task_loss",
        5,
        START
        + SPLIT.replace(
            "    logp = np.asarray(logp, np.float64)\n",
            "    logp *= 1.0 + 1e-9\n    logp = np.asarray(logp, np.float64)\n",
        ),
    ),
    # Huber's loss of L, not of log L
    (
        "fit_chinchilla",
        8,
        START
        + ROBUST.replace(
            "return np.logaddexp(e, np.logaddexp(a - alpha * x, b - beta * y)) - loss",
            "return np.exp(np.logaddexp(e, np.logaddexp(a - alpha * x, b - beta * y))) - np.exp(loss)",
        ),
    ),
    # the printed constants, whatever the runs
    (
        "fit_chinchilla",
        0,
        "def fit_chinchilla(N, D, L):\n    return 1.69, 406.4, 410.7, 0.34, 0.28",
    ),
    # tokens first
    ("optimal_ND", 1, START + OPTIMUM.replace("return N, C / 6 / N", "return C / 6 / N, N")),
    # Chinchilla itself, whatever the budget
    ("optimal_ND", 0, "def optimal_ND(C, consts):\n    return 32.5e9, 3.02e12"),
    # residuals drawn anew, as if the noise were even
    (
        "bootstrap_fit",
        3,
        START
        + """
def bootstrap_fit(x, y, n, seed):
    rng = np.random.default_rng(seed)
    a, b = np.log(x), np.log(y)
    p, k = np.polyfit(a, b, 1)
    rest = b - k - p * a
    slopes = [np.polyfit(a, k + p * a + rng.choice(rest, len(a)), 1)[0] for _ in range(n)]
    return tuple(np.quantile(slopes, [0.05, 0.95]))
""",
    ),
    # no bootstrap: the textbook's interval
    (
        "bootstrap_fit",
        2,
        START
        + """
def bootstrap_fit(x, y, n, seed):
    a, b = np.log(x) - np.log(x).mean(), np.log(y)
    p = (a * b).sum() / (a * a).sum()
    rest = b - b.mean() - p * a
    error = 1.645 * np.sqrt((rest**2).sum() / (len(a) - 2) / (a * a).sum())
    return p - error, p + error
""",
    ),
    # the arguments become logarithms
    (
        "bootstrap_fit",
        7,
        START
        + BOOTSTRAP.replace(
            "    a, b = np.log(x)[rows], np.log(y)[rows]\n",
            "    np.log(x, out=x), np.log(y, out=y)\n    a, b = x[rows], y[rows]\n",
        ),
    ),
    # the jump up to the best, not to the last
    ("classify_curve", 8, START + CURVE.replace("later[-1] >=", "later.max() >=")),
    # equal values get different ranks
    (
        "classify_curve",
        7,
        START
        + CURVE.replace(
            "(y[:, None] > y).sum(1) + ((y[:, None] == y).sum(1) + 1) / 2", "y.argsort().argsort()"
        ),
    ),
    # the argument is sorted
    (
        "classify_curve",
        8,
        START
        + CURVE.replace(
            "    y = np.asarray(accuracy)[np.argsort(compute)]\n",
            "    y = np.array(accuracy)[np.argsort(compute)]\n    accuracy.sort()\n",
        ),
    ),
    # in place
    ("exact_match", 3, "def exact_match(p, L):\n    p **= L\n    return p"),
    # the root of the mean square
    (
        "brier",
        0,
        START
        + """
def brier(probabilities, target):
    truth = np.eye(probabilities.shape[-1])[target]
    return float(np.sqrt(((probabilities - truth) ** 2).sum(-1).mean()))
""",
    ),
    # a table of floats
    (
        "edit_distance",
        3,
        START
        + """
def edit_distance(first, second):
    table = np.zeros((len(first) + 1, len(second) + 1))
    table[:, 0], table[0] = range(len(first) + 1), range(len(second) + 1)
    for i, a in enumerate(first, 1):
        for j, b in enumerate(second, 1):
            above, left = table[i - 1, j] + 1, table[i, j - 1] + 1
            table[i, j] = min(above, left, table[i - 1, j - 1] + (a != b))
    return table[-1, -1]
""",
    ),
    # the lists are used up
    (
        "edit_distance",
        4,
        DISTANCE.replace(
            "        above = row\n    return", "        above = row\n    del first[:]\n    return"
        )
        .replace("enumerate(first, 1)", "enumerate(list(first), 1)")
        .replace("    del first[:]", "    first.clear() if isinstance(first, list) else None"),
    ),
    # the second skill is changed on the way
    (
        "ushape",
        3,
        "def ushape(repeat, fix, instruction):\n    fix *= 1 - instruction\n    return repeat * (1 - fix)",
    ),
    # float32 rates stay float32
    ("exact_match", 4, "def exact_match(p, L):\n    return p**L"),
    # a sum of chances
    ("exact_match", 0, changed("exact_match", ("** L", "* L"))),
    # who follows the instruction needs no repeating
    (
        "ushape",
        0,
        "def ushape(repeat, fix, instruction):\n    return repeat * (1 - fix) + fix * instruction",
    ),
    # the instruction helps whom it does not reach
    ("ushape", 0, changed("ushape", ("1 - instruction", "instruction"))),
    # bits, not nats
    (
        "per_task_loss",
        0,
        changed("per_task_loss", ("float(-mine.mean())", "float(-mine.mean() / np.log(2))")),
    ),
    # counts for weights
    ("per_task_loss", 0, changed("per_task_loss", ("mine.size / logp.size", "mine.size"))),
    # every task weighs the same
    (
        "per_task_loss",
        0,
        changed("per_task_loss", ("mine.size / logp.size", "1 / len(np.unique(labels))")),
    ),
    # rows of one table, one after another
    (
        "brier",
        1,
        START
        + """
def brier(probabilities, target):
    return float(np.mean([((row - np.eye(len(row))[t]) ** 2).sum() for row, t in zip(probabilities, target)]))
""",
    ),
    # the sum over the answers
    ("brier", 0, changed("brier", (".mean()", ".sum()"))),
    # the true class is counted twice
    ("brier", 0, changed("brier", ("- 2 * right", "- right"))),
    # whole parameters
    (
        "optimal_ND",
        2,
        changed(
            "optimal_ND",
            (
                "N = G * (C / 6) ** (beta / (alpha + beta))",
                "N = round(G * (C / 6) ** (beta / (alpha + beta)))",
            ),
        ),
    ),
    # alpha and beta by themselves
    ("optimal_ND", 1, changed("optimal_ND", ("(alpha * A / (beta * B))", "(A / B)"))),
    # as much of the budget for size as for data
    ("optimal_ND", 1, "def optimal_ND(C, consts):\n    return (C / 6) ** 0.5, (C / 6) ** 0.5"),
    # tokens as they come, int64
    ("make_corpus", 0, changed("make_corpus", (".astype(np.int32)", ""))),
    # shares of documents, not of tokens
    (
        "make_corpus",
        0,
        START
        + CORPUS.replace("left = share * length", "left = share * length / 8").replace(
            "left -= len(texts[-1])", "left -= 1"
        ),
    ),
    # one draw for each task, and then that document again and again
    (
        "make_corpus",
        6,
        START
        + CORPUS.replace(
            "        left = share * length",
            "        one = rng.integers(len(documents[task]))\n        left = share * length",
        ).replace("[rng.integers(len(documents[task]))]", "[one]"),
    ),
    # the labels are those of the documents before they were mixed
    (
        "make_corpus",
        5,
        START
        + CORPUS.replace("np.concatenate([tasks[i] for i in order])", "np.concatenate(tasks)"),
    ),
    # insertions and removals only: the longest common subsequence
    (
        "edit_distance",
        1,
        DISTANCE.replace("above[j - 1] + (a != b)", "above[j - 1] if a == b else above[j] + 1"),
    ),
    # the places of the last row, not the corner
    ("edit_distance", 0, DISTANCE.replace("return above[-1]", "return min(above)")),
    # 95 % in place of 90 %
    ("bootstrap_fit", 6, START + BOOTSTRAP.replace("[0.05, 0.95]", "[0.025, 0.975]")),
    # the last point is never drawn
    (
        "bootstrap_fit",
        7,
        START + BOOTSTRAP.replace("integers(0, len(x), (", "integers(0, len(x) - 1, ("),
    ),
    # a number of draws of its own
    ("bootstrap_fit", 7, START + BOOTSTRAP.replace("(n, len(x))", "(1000, len(x))")),
    # half of the points for each draw
    ("bootstrap_fit", 6, START + BOOTSTRAP.replace("(n, len(x))", "(n, len(x) // 2)")),
    # drawn without replacement, one left out
    (
        "bootstrap_fit",
        3,
        START
        + BOOTSTRAP.replace(
            "rows = np.random.default_rng(seed).integers(0, len(x), (n, len(x)))",
            "rng = np.random.default_rng(seed)\n"
            "    rows = np.array([rng.permutation(len(x))[:-1] for _ in range(n)])",
        ),
    ),
    # every seed draws the same
    ("bootstrap_fit", 7, START + BOOTSTRAP.replace("default_rng(seed)", "default_rng(0)")),
    # a line through the origin
    (
        "bootstrap_fit",
        1,
        START + BOOTSTRAP.replace("a = a - a.mean(axis=1, keepdims=True)", "pass"),
    ),
    # the correlation of the values, not of their ranks
    (
        "classify_curve",
        7,
        START
        + CURVE.replace(
            "np.corrcoef(np.arange(len(y)), ranks)", "np.corrcoef(np.arange(len(y)), y)"
        ),
    ),
    # below for at most
    ("classify_curve", 8, START + CURVE.replace("y.min() <= 2", "y.min() < 2")),
    # above for at least
    ("classify_curve", 8, START + CURVE.replace("later[-1] >=", "later[-1] >")),
    # once the noise, not twice
    ("classify_curve", 1, START + CURVE.replace("2 * noise", "noise")),
    # a third, rounded down
    ("classify_curve", 8, START + CURVE.replace("len(y) / 3", "len(y) // 3")),
    # half of all
    ("classify_curve", 6, START + CURVE.replace("len(y) / 3", "len(y) / 2")),
    # flat is asked last
    (
        "classify_curve",
        6,
        START
        + CURVE.replace(
            '    if y.max() - y.min() <= 2 * noise:\n        return "flat"\n', ""
        ).replace(
            '        return "uncorrelated"',
            '        return "flat" if np.ptp(y) <= 2 * noise else "uncorrelated"',
        ),
    ),
    # Huber's delta of 1: squares, for all that it matters
    ("fit_chinchilla", 6, START + ROBUST.replace("f_scale=1e-3", "f_scale=1.0")),
    # A and B change places
    (
        "fit_chinchilla",
        0,
        START
        + ROBUST.replace(
            "np.exp(a + alpha * n.mean()), np.exp(b + beta * d.mean())",
            "np.exp(b + beta * d.mean()), np.exp(a + alpha * n.mean())",
        ),
    ),
    # no least possible loss
    (
        "fit_chinchilla",
        0,
        START
        + ROBUST.replace(
            "np.logaddexp(e, np.logaddexp(a - alpha * x, b - beta * y))",
            "np.logaddexp(a - alpha * x, b - beta * y)",
        ),
    ),
    # what cannot be told from chance counts as above it
    (
        "classify_curve",
        7,
        START + CURVE.replace("later.min() > chance + 2 * noise", "later.min() > chance"),
    ),
    # the jump from the first score, not from chance
    (
        "classify_curve",
        8,
        START + CURVE.replace("later[-1] >= chance + jump", "later[-1] >= y[0] + jump"),
    ),
    # the jump is the largest step
    (
        "classify_curve",
        6,
        START + CURVE.replace("later[-1] >= chance + jump", "np.diff(y).max() >= jump"),
    ),
    # a bell in place of quantiles
    (
        "bootstrap_fit",
        7,
        START
        + BOOTSTRAP.replace(
            "low, high = np.quantile(slopes, [0.05, 0.95])",
            "low, high = slopes.mean() - 1.645 * slopes.std(), slopes.mean() + 1.645 * slopes.std()",
        ),
    ),
    # turned round the estimate
    (
        "bootstrap_fit",
        7,
        START
        + BOOTSTRAP.replace(
            "return low, high",
            "p = np.polyfit(np.log(x), np.log(y), 1)[0]\n    return 2 * p - high, 2 * p - low",
        ),
    ),
    # Huber's delta of a tenth
    ("fit_chinchilla", 6, START + ROBUST.replace("f_scale=1e-3", "f_scale=0.1")),
    # two neighbours that change places count once
    (
        "edit_distance",
        3,
        """
def edit_distance(first, second):
    n, m = len(first), len(second)
    table = [[i + j for j in range(m + 1)] for i in range(n + 1)]
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            change = table[i - 1][j - 1] + (first[i - 1] != second[j - 1])
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, change)
            if i > 1 and j > 1 and first[i - 1] == second[j - 2] and first[i - 2] == second[j - 1]:
                table[i][j] = min(table[i][j], table[i - 2][j - 2] + 1)
    return table[n][m]
""",
    ),
    # every epoch in a new order: none comes twice before all have come
    (
        "make_corpus",
        6,
        START
        + CORPUS.replace(
            "        left = share * length", "        left, pile = share * length, []"
        ).replace(
            "texts.append(documents[task][rng.integers(len(documents[task]))])",
            "pile = pile or list(rng.permutation(len(documents[task])))\n            texts.append(documents[task][pile.pop()])",
        ),
    ),
    # the seed decides the order only, not the draws
    (
        "make_corpus",
        8,
        START
        + CORPUS.replace(
            "    texts, tasks = [], []",
            "    draw = np.random.default_rng(0)\n    texts, tasks = [], []",
        ).replace("[rng.integers(", "[draw.integers("),
    ),
    # Spearman's bound of another taste
    ("classify_curve", 7, START + CURVE.replace("<= 0.5", "<= 0.3")),
    # what lies below chance is at chance
    (
        "classify_curve",
        7,
        START + CURVE.replace("np.abs(y - chance) > 2 * noise", "y - chance > 2 * noise"),
    ),
    # each document is cut
    (
        "make_corpus",
        5,
        START
        + CORPUS.replace(
            "[rng.integers(len(documents[task]))])", "[rng.integers(len(documents[task]))][:8])"
        ),
    ),
]
