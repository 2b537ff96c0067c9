"""Answers to set 07f that are wrong in the ways people are: (question, points earned, code)."""

START = "import numpy as np\n"
VQ = """
def vq(z, codes, grad_code, beta):
    ids = ((z[:, None] - codes) ** 2).sum(-1).argmin(1)
    e = codes[ids]
    loss = (1 + beta) * ((z - e) ** 2).mean()
    return ids, e, loss, grad_code + 2 * beta * (z - e) / z.size
"""
EMA = """
def vq_ema(N, m, ids, z, gamma):
    chose = np.eye(len(N))[ids]
    return gamma * N + (1 - gamma) * chose.sum(0), gamma * m + (1 - gamma) * chose.T @ z
"""
REVIVE = """
def revive(N, m, z, least):
    N, m = N.copy(), m.copy()
    dead = np.flatnonzero(N < least)
    m[dead], N[dead] = z[np.arange(len(dead)) % len(z)], 1
    return N, m
"""
USAGE = """
def usage(ids, size):
    p = np.bincount(ids.ravel(), minlength=size) / ids.size
    p = p[p > 0]
    return len(p), np.exp(-(p * np.log(p)).sum())
"""
SEQUENCE = """
def sequence(words, codes, size, vocabulary):
    start = np.full((len(words), 1), size + vocabulary)
    return np.concatenate([start, words + size, codes], axis=1).astype(np.int64)
"""
MASK = """
def coglm_mask(kind, nt, ni, covered=None):
    hidden = np.zeros(1 + nt + ni, bool)
    if kind == "draw":
        hidden[1 + nt :] = True
    elif kind == "tell":
        hidden[1 : 1 + nt] = True
    else:
        hidden[1 + nt :] = covered
    both = hidden[:, None] & hidden[None, :]
    return ~hidden[None, :] | (both & np.tri(len(hidden), dtype=bool))
"""
PICK = """
def pick(logits, u, temperature):
    if temperature == 0:
        return logits.argmax(1)
    scaled = logits.astype(np.float64) / temperature
    sums = np.cumsum(np.exp(scaled - scaled.max(1, keepdims=True)), axis=1)
    return (sums > u[:, None] * sums[:, -1:]).argmax(1)
"""

WRONG = [
    # cut off, not rounded
    (
        "grey",
        0,
        "def grey(picture, levels):\n"
        "    return (picture * (levels - 1)).astype(np.int64).reshape(-1)\n",
    ),
    # times levels
    (
        "grey",
        0,
        "def grey(picture, levels):\n"
        "    return np.rint(picture * levels).astype(np.int64).reshape(-1)\n",
    ),
    # not one row
    (
        "grey",
        0,
        "def grey(picture, levels):\n    return np.rint(picture * (levels - 1)).astype(np.int64)\n",
    ),
    # the picture is changed
    (
        "grey",
        1,
        "def grey(picture, levels):\n    picture *= levels - 1\n"
        "    return np.rint(picture).astype(np.int64).reshape(-1)\n",
    ),
    # the largest dot product
    (
        "vq",
        0,
        VQ.replace("((z[:, None] - codes) ** 2).sum(-1).argmin(1)", "(z @ codes.T).argmax(1)"),
    ),
    # nothing goes through
    ("vq", 3, VQ.replace("grad_code + 2", "2")),
    # the pull is divided by N, not by N D
    ("vq", 3, VQ.replace("/ z.size", "/ len(z)")),
    # the pull is left out
    ("vq", 3, VQ.replace("grad_code + 2 * beta * (z - e) / z.size", "grad_code.copy()")),
    # one pull only in the loss
    ("vq", 5, VQ.replace("(1 + beta) * ", "beta * ")),
    # float64 whatever came
    ("vq", 5, VQ.replace("    ids =", "    z = z.astype(np.float64)\n    ids =")),
    # only the last of equal ids counts
    (
        "vq_ema",
        0,
        """
def vq_ema(N, m, ids, z, gamma):
    n, s = np.zeros(len(N)), np.zeros(m.shape)
    n[ids] += 1
    s[ids] += z
    return gamma * N + (1 - gamma) * n, gamma * m + (1 - gamma) * s
""",
    ),
    # gamma and 1 - gamma exchanged
    (
        "vq_ema",
        1,
        EMA.replace(
            "gamma * N + (1 - gamma) * chose.sum(0)", "(1 - gamma) * N + gamma * chose.sum(0)"
        ),
    ),
    # the batch is added whole
    ("vq_ema", 0, EMA.replace("(1 - gamma) * ", "")),
    # the mean, not the sum
    (
        "vq_ema",
        0,
        EMA.replace("chose.T @ z", "(chose.T @ z) / np.maximum(chose.sum(0), 1)[:, None]"),
    ),
    # one vector for all
    ("revive", 0, REVIVE.replace("z[np.arange(len(dead)) % len(z)]", "z[0]")),
    # the count stays
    (
        "revive",
        0,
        REVIVE.replace(
            "m[dead], N[dead] = z[np.arange(len(dead)) % len(z)], 1",
            "m[dead] = z[np.arange(len(dead)) % len(z)]",
        ),
    ),
    # equal to least is dead
    ("revive", 3, REVIVE.replace("N < least", "N <= least")),
    # the arguments are changed
    ("revive", 3, REVIVE.replace("    N, m = N.copy(), m.copy()\n", "")),
    # the entropy, not e to it
    ("usage", 0, USAGE.replace("np.exp(-(p * np.log(p)).sum())", "-(p * np.log(p)).sum()")),
    # 2 to an entropy in nats
    ("usage", 0, USAGE.replace("np.exp(-(", "2 ** (-(")),
    # all codes count as used
    ("usage", 0, USAGE.replace("return len(p)", "return size")),
    # words keep their ids
    ("sequence", 0, SEQUENCE.replace("words + size", "words")),
    # the start is 0
    ("sequence", 0, SEQUENCE.replace("size + vocabulary)", "0)")),
    # the picture first
    ("sequence", 0, SEQUENCE.replace("words + size, codes", "codes, words + size")),
    # shown tokens are causal as well
    (
        "coglm_mask",
        0,
        MASK.replace("~hidden[None, :] |", "~hidden[None, :] & np.tri(len(hidden), dtype=bool) |"),
    ),
    # everyone sees hidden tokens before it
    ("coglm_mask", 0, MASK.replace("(both &", "(hidden[None, :] &")),
    # a hidden token does not see itself
    (
        "coglm_mask",
        0,
        MASK.replace("np.tri(len(hidden), dtype=bool)", "np.tri(len(hidden), k=-1, dtype=bool)"),
    ),
    # hidden tokens see each other in both directions
    ("coglm_mask", 0, MASK.replace("(both & np.tri(len(hidden), dtype=bool))", "both")),
    # the wrong way round
    (
        "coglm_mask",
        0,
        MASK.replace("return ~hidden", "return (~hidden").replace(
            "dtype=bool))", "dtype=bool))).T"
        ),
    ),
    # overflows
    ("pick", 4, PICK.replace("scaled - scaled.max(1, keepdims=True)", "scaled")),
    # the temperature multiplies
    ("pick", 2, PICK.replace("/ temperature", "* temperature")),
    # no temperature 0
    (
        "pick",
        4,
        PICK.replace("    if temperature == 0:\n        return logits.argmax(1)\n", "").replace(
            "/ temperature", "/ (temperature or 1)"
        ),
    ),
    # always the likeliest
    ("pick", 2, "def pick(logits, u, temperature):\n    return logits.argmax(1)\n"),
]
WRONG = [(question, earned, START + code) for question, earned, code in WRONG]
