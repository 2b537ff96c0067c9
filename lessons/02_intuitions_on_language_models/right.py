"""Answers to set 2 that are right and have another shape than the solution's: (question, code)."""

START = "import math\nimport numpy as np\n"

RIGHT = [
    # one factor after another
    (
        "exact_match",
        """
def exact_match(p, L):
    out = np.ones(np.shape(p))
    for _ in range(L):
        out = out * p
    return out
""",
    ),
    # the two ways to succeed, added up
    (
        "ushape",
        """
def ushape(repeat, fix, instruction):
    return repeat * (1 - fix) + repeat * fix * instruction
""",
    ),
    # token after token, exact sums
    (
        "per_task_loss",
        """
def per_task_loss(logp, labels):
    tasks = {}
    for value, task in zip(np.ravel(logp).tolist(), np.ravel(labels).tolist()):
        tasks.setdefault(task, []).append(-value)
    n = np.size(logp)
    losses = {task: math.fsum(values) / len(values) for task, values in tasks.items()}
    weights = {task: len(values) / n for task, values in tasks.items()}
    return losses, weights, sum(weights[k] * losses[k] for k in tasks)
""",
    ),
    # the squared distance to rows of zeros and a one
    (
        "brier",
        """
def brier(probabilities, target):
    truth = np.arange(probabilities.shape[-1]) == np.asarray(target)[..., None]
    return np.square(probabilities - truth).sum(axis=-1).mean()
""",
    ),
    # where both terms fall alike, in logarithms, and D from its own formula
    (
        "optimal_ND",
        """
def optimal_ND(C, consts):
    E, A, B, alpha, beta = consts
    budget = math.log(C / 6)
    gap = math.log(alpha * A) - math.log(beta * B)
    return (
        math.exp((gap + beta * budget) / (alpha + beta)),
        math.exp((alpha * budget - gap) / (alpha + beta)),
    )
""",
    ),
    # each document from the task that is furthest behind its share
    (
        "make_corpus",
        """
import random

def make_corpus(seed, length, shares, documents):
    rng, sizes, tokens, labels = random.Random(seed), [0] * len(shares), [], []
    while len(tokens) < length:
        behind = [share * (len(tokens) + 1) - size for share, size in zip(shares, sizes)]
        task = max((t for t, s in enumerate(shares) if s > 0), key=lambda t: behind[t])
        text = rng.choice(documents[task]).tolist()
        tokens += text
        labels += [task] * len(text)
        sizes[task] += len(text)
    return np.array(tokens[:length], np.int32), np.array(labels[:length])
""",
    ),
    # the whole table
    (
        "edit_distance",
        """
def edit_distance(first, second):
    table = [[i + j for j in range(len(second) + 1)] for i in range(len(first) + 1)]
    for i in range(1, len(first) + 1):
        for j in range(1, len(second) + 1):
            same = first[i - 1] == second[j - 1]
            table[i][j] = 1 + min(table[i - 1][j], table[i][j - 1], table[i - 1][j - 1] - same)
    return table[len(first)][len(second)]
""",
    ),
    # a draw and a fit at a time
    (
        "bootstrap_fit",
        """
def bootstrap_fit(x, y, n, seed):
    rng, slopes = np.random.default_rng(seed), []
    pairs = np.log(np.stack([x, y], axis=1))
    for _ in range(n):
        drawn = rng.choice(pairs, size=len(pairs))
        slopes.append(np.polyfit(drawn[:, 0], drawn[:, 1], 1)[0])
    return np.percentile(slopes, [5, 95])
""",
    ),
    # lists and rules, one after another
    (
        "classify_curve",
        """
def classify_curve(compute, accuracy, chance=0.0, noise=0.03, jump=0.2):
    scores = [s for _, s in sorted(zip(list(compute), list(accuracy)))]
    if max(scores) - min(scores) <= 2 * noise:
        return "flat"
    small = 0
    while small < len(scores) and abs(scores[small] - chance) <= 2 * noise:
        small += 1
    rest = scores[small:]
    enough = small >= 2 and 3 * small >= len(scores)
    if enough and rest and all(s - chance > 2 * noise for s in rest) and rest[-1] - chance >= jump:
        return "emergent"
    ordered = sorted(scores)
    rank = lambda s: ordered.index(s) + (ordered.count(s) + 1) / 2
    rho = np.corrcoef(range(len(scores)), [rank(s) for s in scores])[1, 0]
    return "uncorrelated" if -0.5 <= rho <= 0.5 else "smooth" if rho > 0 else "inverse"
""",
    ),
    # L-BFGS with the slope worked out by hand
    (
        "fit_chinchilla",
        """
def fit_chinchilla(N, D, L):
    from scipy.optimize import minimize

    n, d, target = np.log(N), np.log(D), np.log(L)
    x, y, delta = n - n.mean(), d - d.mean(), 1e-3

    def total(theta):
        e, a, b, alpha, beta = theta
        parts = np.stack([np.full_like(x, e), a - alpha * x, b - beta * y])
        whole = np.logaddexp.reduce(parts)
        share, r = np.exp(parts - whole), whole - target
        size = np.abs(r)
        loss = np.where(size <= delta, r * r / 2, delta * (size - delta / 2)).sum()
        pull = np.clip(r, -delta, delta) * share
        slope = [*pull.sum(1), -(pull[1] * x).sum(), -(pull[2] * y).sum()]
        return loss * 1e6, np.array(slope) * 1e6

    best = None
    for power in (0.2, 0.35, 0.5, 0.8):
        start = [target.min() - 0.2, target.mean() - 2, target.mean() - 2, power, power]
        for _ in range(6):
            how = {"maxiter": 20000, "maxfun": 20000, "ftol": 1e-16, "gtol": 1e-12, "maxcor": 30}
            found = minimize(total, start, jac=True, method="L-BFGS-B", options=how)
            start = found.x
        best = found if best is None or found.fun < best.fun else best
    e, a, b, alpha, beta = best.x
    return math.exp(e), math.exp(a + alpha * n.mean()), math.exp(b + beta * d.mean()), alpha, beta
""",
    ),
]
RIGHT = [(question, START + code) for question, code in RIGHT]
