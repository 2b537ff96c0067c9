"""Answers to set 1 that are wrong in the ways people are: (question, points earned, code)."""

START = "import numpy as np\n"
ATTENTION = """
def attention(q, k, v, mask=None):
    scores = q @ np.swapaxes(k, -1, -2) * q.dtype.type(q.shape[-1] ** -0.5)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return weights @ v, weights
"""
STEP = """
def sgns_step(words, contexts, center, context, negatives, lr):
    u = words[center]
    ids = np.concatenate([context[:, None], negatives], axis=1)
    v = contexts[ids]
    sign = np.where(np.arange(ids.shape[1]) == 0, 1, -1)
    right = 1 / (1 + np.exp(-sign * np.einsum("bd,bkd->bk", u, v)))
    pull = sign * (right - 1)
"""
HEADS = """
def multihead(x, Wq, Wk, Wv, Wo, h, causal=False):
    B, T, C = x.shape
    mask = np.tril(np.ones((T, T), bool)) if causal else None
"""

WRONG = [
    # the shift is forgotten
    (
        "pmi",
        1,
        START
        + """
def pmi(counts, negatives=1):
    total = counts.sum()
    by_chance = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / total
    return np.log(counts / by_chance)
""",
    ),
    # unseen pairs count as 0
    (
        "pmi",
        2,
        START
        + """
def pmi(counts, negatives=1):
    by_chance = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / counts.sum()
    ratio = counts / by_chance
    return np.where(counts > 0, np.log(np.maximum(ratio, 1e-9)) - np.log(negatives), 0.0)
""",
    ),
    # rows taken for columns: right for symmetric counts only
    (
        "pmi",
        1,
        START
        + """
def pmi(counts, negatives=1):
    p = counts.sum(1) / counts.sum()
    return np.log(counts / counts.sum() / np.outer(p, p)) - np.log(negatives)
""",
    ),
    # the change of a repeated word is written once
    (
        "sgns_step",
        3,
        START
        + STEP
        + """
    words[center] -= lr * np.einsum("bk,bkd->bd", pull, v)
    contexts[ids] -= lr * pull[:, :, None] * u[:, None]
    return float(-np.log(right).sum(axis=1).mean())
""",
    ),
    # uphill
    (
        "sgns_step",
        1,
        START
        + STEP
        + """
    np.add.at(words, center, lr * np.einsum("bk,bkd->bd", pull, v))
    np.add.at(contexts, ids, lr * pull[:, :, None] * u[:, None])
    return float(-np.log(right).sum(axis=1).mean())
""",
    ),
    # contexts move by the words that have moved already, and the loss is a sum
    (
        "sgns_step",
        0,
        START
        + STEP
        + """
    np.subtract.at(words, center, lr * np.einsum("bk,bkd->bd", pull, v))
    np.subtract.at(contexts, ids, lr * pull[:, :, None] * words[center][:, None])
    return float(-np.log(right).mean())
""",
    ),
    # not scaled
    (
        "attention",
        1,
        START + ATTENTION.replace(" * q.dtype.type(q.shape[-1] ** -0.5)", ""),
    ),
    # overflows
    (
        "attention",
        4,
        START + ATTENTION.replace("scores - scores.max(-1, keepdims=True)", "scores"),
    ),
    # the mask the wrong way round
    (
        "attention",
        4,
        START
        + ATTENTION.replace("np.where(mask, scores, -np.inf)", "np.where(mask, -np.inf, scores)"),
    ),
    # heads cut out of the tokens: no transpose
    (
        "multihead",
        1,
        START
        + ATTENTION
        + HEADS
        + """
    q, k, v = ((x @ W.T).reshape(B, h, T, C // h) for W in (Wq, Wk, Wv))
    return attention(q, k, v, mask)[0].reshape(B, T, C) @ Wo.T
""",
    ),
    # x W in place of x W^T
    (
        "multihead",
        0,
        START
        + ATTENTION
        + HEADS
        + """
    q, k, v = ((x @ W).reshape(B, T, h, C // h).swapaxes(1, 2) for W in (Wq, Wk, Wv))
    return attention(q, k, v, mask)[0].swapaxes(1, 2).reshape(B, T, C) @ Wo
""",
    ),
    # causal is forgotten
    (
        "multihead",
        3,
        START
        + ATTENTION
        + HEADS
        + """
    q, k, v = ((x @ W.T).reshape(B, T, h, C // h).swapaxes(1, 2) for W in (Wq, Wk, Wv))
    return attention(q, k, v)[0].swapaxes(1, 2).reshape(B, T, C) @ Wo.T
""",
    ),
    # all sines, then all cosines
    (
        "sinusoid",
        0,
        START
        + """
def sinusoid(n, d):
    angles = np.arange(n)[:, None] / 10000.0 ** (np.arange(0, d, 2) / d)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
""",
    ),
    # the frequency of the odd places goes on
    (
        "sinusoid",
        0,
        START
        + """
def sinusoid(n, d):
    angles = np.arange(n)[:, None] / 10000.0 ** (np.arange(d) / d)
    return np.where(np.arange(d) % 2, np.cos(angles), np.sin(angles))
""",
    ),
    # right for d = 4 only
    (
        "sinusoid",
        1,
        START
        + """
def sinusoid(n, d):
    angles = np.arange(n)[:, None] / 10000.0 ** (np.arange(0, d, 2) / 4)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(n, d)
""",
    ),
    # no biases
    (
        "count_params",
        0,
        "def count_params(vocab, context, layers, channels):\n"
        "    return (vocab + context) * channels + layers * 12 * channels**2 + 2 * channels",
    ),
    # the head counted a second time
    (
        "count_params",
        0,
        "def count_params(vocab, context, layers, channels):\n"
        "    block = 12 * channels**2 + 13 * channels\n"
        "    return (2 * vocab + context) * channels + layers * block + 2 * channels",
    ),
    # made for GPT-2's vocabulary and context
    (
        "count_params",
        1,
        "def count_params(vocab, context, layers, channels):\n"
        "    block = 12 * channels**2 + 13 * channels\n"
        "    return 51281 * channels + layers * block + 2 * channels",
    ),
    # along k: other keys are not spared
    (
        "rome_edit",
        1,
        START + "def rome_edit(W, C, k, v):\n    return W + np.outer((v - W @ k) / (k @ k), k)",
    ),
    # C in place of its inverse
    (
        "rome_edit",
        1,
        START + "def rome_edit(W, C, k, v):\n    d = C @ k\n"
        "    return W + np.outer((v - W @ k) / (d @ k), d)",
    ),
    # in place
    (
        "rome_edit",
        1,
        START + "def rome_edit(W, C, k, v):\n    d = np.linalg.solve(C, k)\n"
        "    W += np.outer((v - W @ k) / (d @ k), d)\n    return W",
    ),
    # dot products
    (
        "retrieve",
        2,
        START + 'def retrieve(q, db, k):\n    return np.argsort(-(db @ q), kind="stable")[:k]',
    ),
    # rows of zeros become nan, which sorts last
    (
        "retrieve",
        2,
        START
        + """
def retrieve(q, db, k):
    cosine = db @ q / (np.linalg.norm(db, axis=1) * np.linalg.norm(q))
    return np.argsort(-cosine, kind="stable")[:k]
""",
    ),
    # turned round: of equals, the last comes first
    (
        "retrieve",
        1,
        START
        + """
def retrieve(q, db, k):
    lengths = np.linalg.norm(db, axis=1) * np.linalg.norm(q)
    cosine = np.divide(db @ q, lengths, out=np.zeros(len(db)), where=lengths > 0)
    return np.argsort(cosine, kind="stable")[::-1][:k]
""",
    ),
]
