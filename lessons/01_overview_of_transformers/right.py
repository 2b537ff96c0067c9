"""Answers to set 1 that are right and have another shape than the solution's: (question, code)."""

START = "import math\nimport numpy as np\n"
LOOK = """
def attention(q, k, v, mask=None):
    scores = np.einsum("...td,...sd->...ts", q, k) / math.sqrt(q.shape[-1])
    if mask is None:
        mask = np.array(True)
    top = np.max(scores, axis=-1, keepdims=True, where=mask, initial=-np.inf)
    e = np.exp(np.where(mask, scores - top, q.dtype.type(-np.inf)))
    A = e / np.sum(e, axis=-1, keepdims=True)
    return np.einsum("...ts,...se->...te", A, v), A
"""

RIGHT = [
    # array by array
    (
        "count_params",
        """
def count_params(vocab, context, layers, channels):
    C = channels
    linear = lambda a, b: a * b + b
    block = 2 * 2 * C + linear(C, 3 * C) + linear(C, C) + linear(C, 4 * C) + linear(4 * C, C)
    return vocab * C + context * C + sum(block for _ in range(layers)) + 2 * C
""",
    ),
    # rows of length 1 first, then a sort of pairs
    (
        "retrieve",
        """
def retrieve(q, db, k):
    def unit(row):
        size = math.sqrt(float(row @ row))
        return row / size if size > 0 else row * 0

    found = [float(unit(row) @ unit(q)) for row in db]
    order = sorted(range(len(db)), key=lambda i: (-round(found[i], 14), i))
    return np.array(order[:k])
""",
    ),
    # real and imaginary parts of a turning number
    (
        "sinusoid",
        """
def sinusoid(n, d):
    out = np.empty((n, d))
    for i in range(d // 2):
        turn = np.exp(1j * np.arange(n) * 10000 ** (-2 * i / d))
        out[:, 2 * i], out[:, 2 * i + 1] = turn.imag, turn.real
    return out
""",
    ),
    # a difference of logarithms
    (
        "pmi",
        """
def pmi(counts, negatives=1):
    table = np.array(counts, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        rows, columns = np.log(table.sum(1)), np.log(table.sum(0))
        out = np.log(table) + math.log(table.sum()) - rows[:, None] - columns - math.log(negatives)
    out[table == 0] = -np.inf
    return out
""",
    ),
    # with einsum, the largest score of what may be seen
    ("attention", LOOK),
    # head after head
    (
        "multihead",
        LOOK
        + """
def multihead(x, Wq, Wk, Wv, Wo, h, causal=False):
    T, C = x.shape[1:]
    mask = np.arange(T)[:, None] >= np.arange(T) if causal else None
    parts = []
    for rows in np.split(np.arange(C), h):
        q, k, v = (np.einsum("btc,dc->btd", x, W[rows]) for W in (Wq, Wk, Wv))
        parts.append(attention(q, k, v, mask)[0])
    return np.concatenate(parts, axis=-1) @ Wo.T
""",
    ),
    # pair after pair, the changes kept apart until the end
    (
        "sgns_step",
        """
def sgns_step(words, contexts, center, context, negatives, lr):
    up, across, loss = np.zeros_like(words), np.zeros_like(contexts), 0.0
    for c, o, others in zip(center, context, negatives):
        for n, sign in [(o, 1), *((n, -1) for n in others)]:
            right = 1 / (1 + math.exp(-sign * float(words[c] @ contexts[n])))
            loss -= math.log(right)
            up[c] += sign * (1 - right) * contexts[n]
            across[n] += sign * (1 - right) * words[c]
    words += lr * up
    contexts += lr * across
    return loss / len(center)
""",
    ),
    # by the inverse, column times row
    (
        "rome_edit",
        """
def rome_edit(W, C, k, v):
    d = np.linalg.inv(C).T @ k
    return np.asarray(W + ((v - W @ k)[:, None] @ d[None]) / np.dot(k, d), dtype=W.dtype)
""",
    ),
]
RIGHT = [(question, START + code) for question, code in RIGHT]
