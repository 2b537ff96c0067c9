"""Answers to set 06 that are wrong in the ways people are: (question, points earned, code)."""

START = "import itertools\nimport numpy as np\n"
SOFT = """
def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()
"""
CIPHER = """
def patterns(bits):
    return [p for n in range(1, bits + 1) for p in itertools.combinations(range(bits), n)]
"""
VIEWS = """
def views(ids, vectors, block, radius):
    x = vectors[ids]
    T, d = x.shape
    first, near = np.zeros((T, block, d)), np.zeros((T, radius, d))
    for t in range(T):
        here = x[t - t % block : t + 1]
        first[t, : len(here)] = here
        last = x[max(0, t + 1 - radius) : t + 1]
        near[t, radius - len(last) :] = last
    return x, first.reshape(T, -1), near.reshape(T, -1)
"""
CTC = """
def ctc_forward(logp, target):
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
"""

WRONG = [
    # a mean over the examples
    ("cooc", 0, START + "def cooc(X, Y):\n    return X.T @ Y / len(X)\n"),
    # targets first
    ("cooc", 0, START + "def cooc(X, Y):\n    return Y.T @ X\n"),
    # whether, not how often
    ("cooc", 0, START + "def cooc(X, Y):\n    return ((X.T @ Y) > 0).astype(float)\n"),
    # written into X
    ("cooc", 3, START + "def cooc(X, Y):\n    A = X.T @ Y\n    X *= 0\n    return A\n"),
    # the mean of all numbers
    ("average_norm", 0, START + "def average_norm(X):\n    return X.mean()\n"),
    # Euclid's norm
    (
        "average_norm",
        0,
        START + "def average_norm(X):\n    return np.sqrt((X**2).sum(1)).mean()\n",
    ),
    # how many features are not 0
    ("average_norm", 0, START + "def average_norm(X):\n    return (X > 0).sum(1).mean()\n"),
    # the first row speaks for all: right where all rows sum to the same
    ("average_norm", 1, START + "def average_norm(X):\n    return X[0].sum()\n"),
    # by id, not by frequency
    (
        "bit_cipher",
        0,
        START
        + CIPHER
        + """
def bit_cipher(counts, bits):
    if len(counts) > 2**bits - 1:
        raise ValueError("too many")
    cipher = np.zeros((len(counts), bits))
    for token, places in zip(range(len(counts)), patterns(bits)):
        cipher[token, list(places)] = 1 / len(places)
    return cipher
""",
    ),
    # ones are not divided
    (
        "bit_cipher",
        0,
        START
        + CIPHER
        + """
def bit_cipher(counts, bits):
    if len(counts) > 2**bits - 1:
        raise ValueError("too many")
    cipher = np.zeros((len(counts), bits))
    for token, places in zip(np.argsort(-counts, kind="stable"), patterns(bits)):
        cipher[token, list(places)] = 1
    return cipher
""",
    ),
    # of equal counts the larger id first
    (
        "bit_cipher",
        5,
        START
        + CIPHER
        + """
def bit_cipher(counts, bits):
    if len(counts) > 2**bits - 1:
        raise ValueError("too many")
    cipher = np.zeros((len(counts), bits))
    for token, places in zip(np.argsort(counts, kind="stable")[::-1], patterns(bits)):
        cipher[token, list(places)] = 1 / len(places)
    return cipher
""",
    ),
    # too many tokens get rows of zeros
    (
        "bit_cipher",
        5,
        START
        + CIPHER
        + """
def bit_cipher(counts, bits):
    cipher = np.zeros((len(counts), bits))
    for token, places in zip(np.argsort(-counts, kind="stable"), patterns(bits)):
        cipher[token, list(places)] = 1 / len(places)
    return cipher
""",
    ),
    # only the log: right for one feature
    (
        "explicit_solution",
        3,
        START
        + """
def explicit_solution(F, K, alpha):
    F = F + alpha * F.sum(axis=0) / F.sum()
    return np.log(np.maximum(F, 1e-300))
""",
    ),
    # the whole log of the sum, at every K: the prior is lost
    (
        "explicit_solution",
        0,
        START
        + """
def explicit_solution(F, K, alpha):
    F = F + alpha * F.sum(axis=0) / F.sum()
    return np.log(np.maximum(F, 1e-300)) - np.log(F.sum(axis=0))
""",
    ),
    # sums along the wrong axis
    (
        "explicit_solution",
        3,
        START
        + """
def explicit_solution(F, K, alpha):
    F = F + alpha * F.sum(axis=0) / F.sum()
    return np.log(np.maximum(F, 1e-300)) - (K - 1) / K * np.log(F.sum(axis=1, keepdims=True))
""",
    ),
    # the same amount for every target
    (
        "explicit_solution",
        7,
        START
        + """
def explicit_solution(F, K, alpha):
    F = F + alpha / F.shape[1]
    return np.log(np.maximum(F, 1e-300)) - (K - 1) / K * np.log(F.sum(axis=0))
""",
    ),
    # log 0 is minus infinity
    (
        "explicit_solution",
        8,
        START
        + """
def explicit_solution(F, K, alpha):
    F = F + alpha * F.sum(axis=0) / F.sum()
    with np.errstate(divide="ignore"):
        return np.log(F) - (K - 1) / K * np.log(F.sum(axis=0))
""",
    ),
    # smoothed in place
    (
        "explicit_solution",
        8,
        START
        + """
def explicit_solution(F, K, alpha):
    F += alpha * F.sum(axis=0) / F.sum() + 1e-300
    return np.log(F) - (K - 1) / K * np.log(F.sum(axis=0))
""",
    ),
    # the upper left corner
    (
        "saffu_attend",
        4,
        START
        + SOFT
        + """
def saffu_attend(block, W):
    k = len(block)
    return softmax(W[:k, :k] @ (block @ block[-1]))
""",
    ),
    # the pivot is the first row
    (
        "saffu_attend",
        0,
        START
        + SOFT
        + """
def saffu_attend(block, W):
    k = len(block)
    return softmax(W[len(W) - k:, len(W) - k:] @ (block @ block[0]))
""",
    ),
    # W is turned
    (
        "saffu_attend",
        0,
        START
        + SOFT
        + """
def saffu_attend(block, W):
    k = len(block)
    return softmax((block @ block[-1]) @ W[len(W) - k:, len(W) - k:])
""",
    ),
    # overflows
    (
        "saffu_attend",
        5,
        START
        + """
def saffu_attend(block, W):
    k = len(block)
    with np.errstate(all="ignore"):
        e = np.exp(W[len(W) - k:, len(W) - k:] @ (block @ block[-1]))
        return e / e.sum()
""",
    ),
    # columns with columns
    ("compare_table", 0, START + "def compare_table(C):\n    return C.T @ C\n"),
    # place by place
    ("compare_table", 0, START + "def compare_table(C):\n    return C * C\n"),
    # cosines
    (
        "compare_table",
        0,
        START
        + "def compare_table(C):\n    n = np.linalg.norm(C, axis=1)\n"
        + "    return C @ C.T / np.outer(n, n)\n",
    ),
    # the row of the pivot: right where the table is symmetric
    (
        "attend_cached",
        3,
        START
        + SOFT
        + """
def attend_cached(ids, table, W):
    k = len(ids)
    return softmax(W[len(W) - k:, len(W) - k:] @ table[ids[-1], ids])
""",
    ),
    # all pairs of the block
    (
        "attend_cached",
        0,
        START
        + SOFT
        + """
def attend_cached(ids, table, W):
    k = len(ids)
    return softmax(W[len(W) - k:, len(W) - k:] @ table[np.ix_(ids, ids)].sum(1))
""",
    ),
    # without W
    (
        "attend_cached",
        0,
        START
        + SOFT
        + "def attend_cached(ids, table, W):\n    return softmax(table[ids, ids[-1]])\n",
    ),
    # the upper left corner
    (
        "attend_cached",
        0,
        START
        + SOFT
        + """
def attend_cached(ids, table, W):
    k = len(ids)
    return softmax(W[:k, :k] @ table[ids, ids[-1]])
""",
    ),
    # the last tokens for the block
    (
        "context_features",
        4,
        START
        + VIEWS
        + """
def context_features(ids, vectors, block, radius):
    x, _, near = views(ids, vectors, block, radius)
    _, _, wrong = views(ids, vectors, block, block)
    return np.concatenate([wrong, near, np.cumsum(x, axis=0)], axis=1)
""",
    ),
    # the radius begins at the left
    (
        "context_features",
        5,
        START
        + VIEWS
        + """
def context_features(ids, vectors, block, radius):
    x, first, _ = views(ids, vectors, block, radius)
    near = np.zeros((len(ids), radius, x.shape[1]))
    for t in range(len(ids)):
        last = x[max(0, t + 1 - radius) : t + 1]
        near[t, : len(last)] = last
    return np.concatenate([first, near.reshape(len(ids), -1), np.cumsum(x, axis=0)], axis=1)
""",
    ),
    # the mean of the document
    (
        "context_features",
        5,
        START
        + VIEWS
        + """
def context_features(ids, vectors, block, radius):
    x, first, near = views(ids, vectors, block, radius)
    bag = np.cumsum(x, axis=0) / np.arange(1, len(x) + 1)[:, None]
    return np.concatenate([first, near, bag], axis=1)
""",
    ),
    # the whole document at every place: the future is seen
    (
        "context_features",
        5,
        START
        + VIEWS
        + """
def context_features(ids, vectors, block, radius):
    x, first, near = views(ids, vectors, block, radius)
    return np.concatenate([first, near, np.tile(x.sum(0), (len(x), 1))], axis=1)
""",
    ),
    # learns before it guesses
    (
        "prequential",
        0,
        START
        + """
def prequential(guess, learn, stream, window):
    guesses = []
    for text, meant, delay in stream:
        if delay <= window:
            learn(text, meant)
        guesses.append(guess(text))
    return guesses
""",
    ),
    # every correction counts
    (
        "prequential",
        4,
        START
        + """
def prequential(guess, learn, stream, window):
    guesses = []
    for text, meant, delay in stream:
        guesses.append(guess(text))
        learn(text, meant)
    return guesses
""",
    ),
    # uncorrected sentences are not learnt
    (
        "prequential",
        0,
        START
        + """
def prequential(guess, learn, stream, window):
    guesses = []
    for text, meant, delay in stream:
        said = guess(text)
        guesses.append(said)
        if said != meant and delay <= window:
            learn(text, meant)
    return guesses
""",
    ),
    # the labels are returned
    (
        "prequential",
        0,
        START
        + """
def prequential(guess, learn, stream, window):
    labels = []
    for text, meant, delay in stream:
        said = guess(text)
        label = meant if delay <= window else said
        learn(text, label)
        labels.append(label)
    return labels
""",
    ),
    # all guesses first
    (
        "prequential",
        0,
        START
        + """
def prequential(guess, learn, stream, window):
    guesses = [guess(text) for text, _, _ in stream]
    for said, (text, meant, delay) in zip(guesses, stream):
        learn(text, meant if delay <= window else said)
    return guesses
""",
    ),
    # a blank between equal symbols may be skipped
    (
        "ctc_forward",
        5,
        START + CTC.replace("states[s] != 0 and states[s] != states[s - 2]", "states[s] != 0"),
    ),
    # no skips at all
    ("ctc_forward", 1, START + CTC.replace("if s > 1 and", "if False and")),
    # starts with a blank only
    (
        "ctc_forward",
        0,
        START + CTC.replace("alpha[0, :2] = emitted[0, :2]", "alpha[0, 0] = emitted[0, 0]"),
    ),
    # products, not logs
    (
        "ctc_forward",
        6,
        START
        + CTC.replace("def ctc_forward", "def slow")
        + """
def ctc_forward(logp, target):
    states = np.zeros(2 * len(target) + 1, int)
    states[1::2] = target
    p = np.exp(logp)[:, states]
    alpha = np.zeros(p.shape)
    alpha[0, :2] = p[0, :2]
    for t in range(1, len(p)):
        for s in range(len(states)):
            ways = alpha[t - 1, s] + (alpha[t - 1, s - 1] if s else 0)
            if s > 1 and states[s] != 0 and states[s] != states[s - 2]:
                ways += alpha[t - 1, s - 2]
            alpha[t, s] = ways * p[t, s]
    with np.errstate(divide="ignore"):
        return np.log(alpha)
""",
    ),
    # the best path, not all of them
    ("ctc_forward", 0, START + CTC.replace("np.logaddexp", "max")),
]
