"""Answers to set 07f that are right and have another shape than the solution's: (question, code)."""

START = "import math\nimport numpy as np\n"

RIGHT = [
    # the nearest of a list of levels
    (
        "grey",
        """
def grey(picture, levels):
    steps = np.linspace(0, 1, levels)
    return np.array([np.abs(steps - x).argmin() for x in picture.ravel()], dtype=np.int64)
""",
    ),
    # |z|^2 left out of the distance
    (
        "vq",
        """
def vq(z, codes, grad_code, beta):
    ids = ((codes**2).sum(1) - 2 * z @ codes.T).argmin(axis=1)
    away = z - codes[ids]
    n = away.shape[0] * away.shape[1]
    return [ids, np.take(codes, ids, axis=0), (away**2).sum() / n * (1 + beta),
            grad_code + away * (2 * beta / n)]
""",
    ),
    # added up one vector at a time
    (
        "vq_ema",
        """
def vq_ema(N, m, ids, z, gamma):
    count, total = np.bincount(ids, minlength=len(N)), np.zeros(m.shape)
    np.add.at(total, ids, z)
    return N + (1 - gamma) * (count - N), m + (1 - gamma) * (total - m)
""",
    ),
    # a loop over the codes
    (
        "revive",
        """
def revive(N, m, z, least):
    counts, sums, turn = list(N), [row for row in m], 0
    for k, count in enumerate(N):
        if count < least:
            counts[k], sums[k] = 1.0, z[turn % len(z)]
            turn += 1
    return np.array(counts), np.array(sums)
""",
    ),
    # by np.unique
    (
        "usage",
        """
def usage(ids, size):
    _, count = np.unique(ids, return_counts=True)
    p = count / count.sum()
    return count.size, float(np.prod(p**-p))
""",
    ),
    # written into a table
    (
        "sequence",
        """
def sequence(words, codes, size, vocabulary):
    B, n = words.shape
    rows = np.empty((B, 1 + n + codes.shape[1]), np.int64)
    rows[:, 0] = size + vocabulary
    rows[:, 1 : n + 1] = words + size
    rows[:, n + 1 :] = codes
    return rows
""",
    ),
    # place by place
    (
        "coglm_mask",
        """
def coglm_mask(kind, nt, ni, covered=None):
    shown = [kind == "tell"] * ni if kind != "fill" else [not c for c in covered]
    shown = [True] + [kind != "tell"] * nt + shown
    T = len(shown)
    return np.array([[shown[j] or (not shown[i] and j <= i) for j in range(T)] for i in range(T)])
""",
    ),
    # a row at a time, with searchsorted
    (
        "pick",
        """
def pick(logits, u, temperature):
    if not temperature:
        return np.argmax(logits, axis=-1)
    ids = []
    for row, at in zip(np.asarray(logits, float), u):
        p = np.exp((row - row.max()) / temperature)
        ids.append(np.searchsorted(np.cumsum(p / p.sum()), at, side="right"))
    return np.minimum(np.array(ids), logits.shape[1] - 1)
""",
    ),
]
RIGHT = [(question, START + code) for question, code in RIGHT]
