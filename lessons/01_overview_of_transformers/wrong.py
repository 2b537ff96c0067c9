"""Answers to set 1 that are wrong in the ways people are: (question, points earned, code)."""

from pathlib import Path

from minilm.course.checking.planted import Solution

changed = Solution(Path(__file__).with_name("questions.py")).changed

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
        0,
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
        3,
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
        0,
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
        4,
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
        0,
        START + ATTENTION.replace(" * q.dtype.type(q.shape[-1] ** -0.5)", ""),
    ),
    # overflows
    (
        "attention",
        7,
        START + ATTENTION.replace("scores - scores.max(-1, keepdims=True)", "scores"),
    ),
    # the mask the wrong way round
    (
        "attention",
        5,
        START
        + ATTENTION.replace("np.where(mask, scores, -np.inf)", "np.where(mask, -np.inf, scores)"),
    ),
    # heads cut out of the tokens: no transpose
    (
        "multihead",
        3,
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
        5,
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
        0,
        "def count_params(vocab, context, layers, channels):\n"
        "    block = 12 * channels**2 + 13 * channels\n"
        "    return 51281 * channels + layers * block + 2 * channels",
    ),
    # along k: other keys are not spared
    (
        "rome_edit",
        3,
        START + "def rome_edit(W, C, k, v):\n"
        "    return (W + np.outer((v - W @ k) / (k @ k), k)).astype(W.dtype)",
    ),
    # C in place of its inverse
    (
        "rome_edit",
        3,
        START + "def rome_edit(W, C, k, v):\n    d = C @ k\n"
        "    return (W + np.outer((v - W @ k) / (d @ k), d)).astype(W.dtype)",
    ),
    # in place
    (
        "rome_edit",
        4,
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
        3,
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
        2,
        START
        + """
def retrieve(q, db, k):
    lengths = np.linalg.norm(db, axis=1) * np.linalg.norm(q)
    cosine = np.divide(db @ q, lengths, out=np.zeros(len(db)), where=lengths > 0)
    return np.argsort(cosine, kind="stable")[::-1][:k]
""",
    ),
    # the argument overwritten
    (
        "pmi",
        3,
        START
        + """
def pmi(counts, negatives=1):
    counts = np.asarray(counts, np.float64)
    counts /= counts.sum()
    by_chance = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True)
    ratio = np.divide(counts, by_chance, out=np.ones_like(counts), where=counts > 0)
    return np.where(counts > 0, np.log(ratio) - np.log(negatives), -np.inf)
""",
    ),
    # nan for a word that was never seen
    (
        "pmi",
        3,
        START
        + """
def pmi(counts, negatives=1):
    by_chance = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / counts.sum()
    return np.log(counts / by_chance) - np.log(negatives)
""",
    ),
    # the published table of the text, whatever was asked
    ("pmi", 0, START + "def pmi(counts, negatives=1):\n    return np.full((2, 2), 0.223)"),
    # the argument handed back
    ("pmi", 0, "def pmi(counts, negatives=1):\n    return counts"),
    # the mean of the gradients in place of their sum
    (
        "sgns_step",
        1,
        START
        + STEP
        + """
    pull /= len(center)
    np.subtract.at(words, center, lr * np.einsum("bk,bkd->bd", pull, v))
    np.subtract.at(contexts, ids, lr * pull[:, :, None] * u[:, None])
    return float(-np.log(right).sum(axis=1).mean())
""",
    ),
    # pair after pair: later pairs see tables that have moved
    (
        "sgns_step",
        4,
        START
        + """
def sgns_step(words, contexts, center, context, negatives, lr):
    loss = 0.0
    for c, o, chance in zip(center, context, negatives):
        u, grad = words[c].copy(), 0
        for label, n in [(1, o), *((0, n) for n in chance)]:
            p = 1 / (1 + np.exp(-u @ contexts[n]))
            loss -= np.log(p if label else 1 - p)
            grad = grad + (p - label) * contexts[n]
            contexts[n] = contexts[n] - lr * (p - label) * u
        words[c] -= lr * grad
    return float(loss / len(center))
""",
    ),
    # changes copies of the tables
    (
        "sgns_step",
        1,
        START
        + STEP
        + """
    words, contexts = words.copy(), contexts.copy()
    np.subtract.at(words, center, lr * np.einsum("bk,bkd->bd", pull, v))
    np.subtract.at(contexts, ids, lr * pull[:, :, None] * u[:, None])
    return float(-np.log(right).sum(axis=1).mean())
""",
    ),
    # float64 for float32
    (
        "attention",
        7,
        START + ATTENTION.replace("* q.dtype.type(q.shape[-1] ** -0.5)", "/ np.sqrt(q.shape[-1])"),
    ),
    # -1e9 in place of -inf
    ("attention", 7, START + ATTENTION.replace("-np.inf", "q.dtype.type(-1e9)")),
    # an epsilon where none belongs
    (
        "attention",
        7,
        START
        + ATTENTION.replace(
            "weights.sum(-1, keepdims=True)", "weights.sum(-1, keepdims=True) + 1e-9"
        ),
    ),
    # the queries overwritten
    (
        "attention",
        7,
        START
        + ATTENTION.replace(
            "    scores = q", "    q *= q.dtype.type(q.shape[-1] ** -0.5)\n    scores = q"
        ).replace(" * q.dtype.type(q.shape[-1] ** -0.5)\n    if", "\n    if"),
    ),
    # the values handed back, with even weights
    (
        "attention",
        0,
        START + "def attention(q, k, v, mask=None):\n"
        "    return v, np.full((*q.shape[:-1], k.shape[-2]), 1 / k.shape[-2], q.dtype)",
    ),
    # scaled by the width of all heads together
    (
        "multihead",
        3,
        START
        + ATTENTION
        + HEADS
        + """
    q, k, v = ((x @ W.T).reshape(B, T, h, C // h).swapaxes(1, 2) for W in (Wq, Wk, Wv))
    q = q * q.dtype.type((C // h) ** 0.5 / C**0.5)
    return attention(q, k, v, mask)[0].swapaxes(1, 2).reshape(B, T, C) @ Wo.T
""",
    ),
    # float64 for float32
    (
        "multihead",
        5,
        START
        + ATTENTION
        + HEADS
        + """
    q, k, v = ((x @ W.T).reshape(B, T, h, C // h).swapaxes(1, 2) for W in (Wq, Wk, Wv))
    q = q * np.ones(1)
    return attention(q, k, v, mask)[0].swapaxes(1, 2).reshape(B, T, C) @ Wo.T
""",
    ),
    # the input handed back
    (
        "multihead",
        0,
        "def multihead(x, Wq, Wk, Wv, Wo, h, causal=False):\n    return x",
    ),
    # float32
    (
        "sinusoid",
        0,
        START
        + """
def sinusoid(n, d):
    angles = np.arange(n)[:, None] / 10000.0 ** (np.arange(0, d, 2) / d)
    return np.stack([np.sin(angles), np.cos(angles)], -1).reshape(n, d).astype(np.float32)
""",
    ),
    # the printed rows, whatever was asked
    (
        "sinusoid",
        0,
        START
        + """
def sinusoid(n, d):
    table = np.zeros((n, d))
    table[:2, :4] = [[0, 1, 0, 1], [0.84147098, 0.54030231, 0.00999983, 0.99995]][:n]
    return table
""",
    ),
    # the published numbers by heart
    (
        "count_params",
        0,
        "def count_params(vocab, context, layers, channels):\n"
        "    return {12: 124439808, 24: 354823168, 36: 774030080, 48: 1557611200}.get(layers, 108)",
    ),
    # a float for a count
    (
        "count_params",
        1,
        "def count_params(vocab, context, layers, channels):\n"
        "    block = 12 * channels**2.0 + 13 * channels\n"
        "    return (vocab + context) * channels + layers * block + 2 * channels",
    ),
    # float64 for float32
    (
        "rome_edit",
        4,
        START + "def rome_edit(W, C, k, v):\n    d = np.linalg.solve(C, k)\n"
        "    return W + np.outer((v - W @ k) / (d @ k), d)",
    ),
    # the old answer is not taken away
    (
        "rome_edit",
        2,
        START + "def rome_edit(W, C, k, v):\n    d = np.linalg.solve(C, k)\n"
        "    return (W + np.outer(v / (d @ k), d)).astype(W.dtype)",
    ),
    # C overwritten, so that the next edit sees another one
    (
        "rome_edit",
        4,
        START + "def rome_edit(W, C, k, v):\n    C += 1e-9 * np.eye(len(C))\n"
        "    d = np.linalg.solve(C, k)\n"
        "    return (W + np.outer((v - W @ k) / (d @ k), d)).astype(W.dtype)",
    ),
    # the store overwritten
    (
        "retrieve",
        3,
        START
        + """
def retrieve(q, db, k):
    length = np.linalg.norm(db, axis=1, keepdims=True)
    db /= np.where(length > 0, length, 1)
    return np.argsort(-(db @ q), kind="stable")[:k]
""",
    ),
    # the first k rows
    ("retrieve", 0, START + "def retrieve(q, db, k):\n    return np.arange(k)"),
    # euclidean distance
    (
        "retrieve",
        1,
        START + "def retrieve(q, db, k):\n"
        '    return np.argsort(np.linalg.norm(db - q, axis=1), kind="stable")[:k]',
    ),
    # the last norm is forgotten
    ("count_params", 0, changed("count_params", (" + 2 * channels", ""))),
    # an epsilon under the cosine: short rows lose
    (
        "retrieve",
        2,
        START
        + """
def retrieve(q, db, k):
    cosine = db @ q / (np.linalg.norm(db, axis=1) * np.linalg.norm(q) + 1e-8)
    return np.argsort(-cosine, kind="stable")[:k]
""",
    ),
    # the best k, in no order
    (
        "retrieve",
        3,
        changed(
            "retrieve",
            ("np.argsort(-cosine, kind='stable')[:k]", "np.argpartition(-cosine, k - 1)[:k]"),
        ),
    ),
    # the cosines, not the rows
    (
        "retrieve",
        0,
        changed("retrieve", ("np.argsort(-cosine, kind='stable')[:k]", "-np.sort(-cosine)[:k]")),
    ),
    # every second frequency only
    ("sinusoid", 0, changed("sinusoid", ("np.arange(0, d, 2)", "np.arange(0, d // 2)"))),
    # positions from 1
    ("sinusoid", 0, changed("sinusoid", ("np.arange(n)", "np.arange(1, n + 1)"))),
    # logarithms to base 2
    ("pmi", 0, changed("pmi", ("np.log(", "np.log2("))),
    # nothing below 0: the positive one
    (
        "pmi",
        0,
        changed(
            "pmi",
            (
                "np.log(ratio) - np.log(negatives)",
                "np.maximum(np.log(ratio) - np.log(negatives), 0)",
            ),
        ),
    ),
    # k times, not minus its logarithm
    ("pmi", 0, changed("pmi", ("np.log(ratio) - np.log(negatives)", "np.log(ratio * negatives)"))),
    # a little is added under the logarithm, so that nothing is -inf
    (
        "pmi",
        3,
        START
        + """
def pmi(counts, negatives=1):
    by_chance = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / counts.sum()
    return np.log(counts / np.maximum(by_chance, 1e-12) + 1e-12) - np.log(negatives)
""",
    ),
    # the scores where the mask is False are set by index: one mask for many heads fails
    (
        "attention",
        7,
        START
        + ATTENTION.replace("scores = np.where(mask, scores, -np.inf)", "scores[~mask] = -np.inf"),
    ),
    # weights are masked after the softmax
    (
        "attention",
        7,
        START
        + ATTENTION.replace("scores = np.where(mask, scores, -np.inf)", "pass").replace(
            "    weights /=",
            "    weights = weights if mask is None else weights * mask\n    weights /=",
        ),
    ),
    # shares over the queries
    ("attention", 0, START + ATTENTION.replace("sum(-1", "sum(-2")),
    # scaled by D, not by its root
    ("attention", 0, START + ATTENTION.replace("** -0.5", "** -1")),
    # scaled by the number of keys
    ("attention", 0, START + ATTENTION.replace("q.shape[-1] **", "k.shape[-2] **")),
    # heads of every h-th channel
    (
        "multihead",
        3,
        START
        + ATTENTION
        + HEADS
        + """
    q, k, v = ((x @ W.T).reshape(B, T, C // h, h).transpose(0, 3, 1, 2) for W in (Wq, Wk, Wv))
    return attention(q, k, v, mask)[0].transpose(0, 2, 3, 1).reshape(B, T, C) @ Wo.T
""",
    ),
    # the last map is forgotten
    ("multihead", 0, changed("multihead", (" @ Wo.T", ""), beside=("attention",))),
    # the heads are not turned back
    (
        "multihead",
        3,
        changed(
            "multihead", ("out.transpose(0, 2, 1, 3).reshape", "out.reshape"), beside=("attention",)
        ),
    ),
    # the input is scaled in place
    (
        "multihead",
        5,
        changed(
            "multihead",
            (
                "    mask = ",
                "    x *= x.dtype.type(1)\n    x += x.dtype.type(1e-3)\n    x -= x.dtype.type(1e-3)\n    mask = ",
            ),
            beside=("attention",),
        ),
    ),
    # words move first, contexts by the words that have moved
    (
        "sgns_step",
        1,
        changed("sgns_step", ("u[:, None]", "words[center][:, None]")),
    ),
    # negatives pull as contexts do
    ("sgns_step", 0, changed("sgns_step", ("== 0, 1, -1)", "== 0, 1, 1)"))),
    # the loss after the step
    (
        "sgns_step",
        4,
        changed(
            "sgns_step",
            (
                "return float",
                "score = np.einsum('bd,bkd->bk', words[center], contexts[ids])\n    right = (1 + np.tanh(sign * score / 2)) / 2\n    return float",
            ),
        ),
    ),
    # the loss of the contexts only
    ("sgns_step", 4, changed("sgns_step", ("np.log(right).sum(axis=1)", "np.log(right[:, 0])"))),
    # the ids are overwritten
    (
        "sgns_step",
        4,
        changed(
            "sgns_step",
            ("    return float", "    center += 0\n    negatives.sort()\n    return float"),
        ),
    ),
    # not divided by d . k
    ("rome_edit", 2, changed("rome_edit", (" / (d @ k)", ""))),
    # divided by the length of k
    ("rome_edit", 2, changed("rome_edit", ("(d @ k)", "(k @ k)"))),
    # a little is added to the memory's statistics
    (
        "rome_edit",
        3,
        changed(
            "rome_edit", ("np.linalg.solve(C, k)", "np.linalg.solve(C + 0.01 * np.eye(len(k)), k)")
        ),
    ),
    # how far, in whichever direction
    ("retrieve", 1, changed("retrieve", ("-cosine", "-np.abs(cosine)"))),
    # lengths of the columns
    ("retrieve", 2, changed("retrieve", ("np.linalg.norm(db, axis=1)", "np.linalg.norm(db)"))),
    # one more everywhere, so that nothing is 0
    (
        "pmi",
        0,
        changed("pmi", ("np.asarray(counts, np.float64)", "np.asarray(counts, np.float64) + 1")),
    ),
    # for two axes only
    ("attention", 5, START + ATTENTION.replace("np.swapaxes(k, -1, -2)", "k.T")),
    # the weights are float64, the values are not
    (
        "attention",
        7,
        START
        + ATTENTION.replace(
            "return weights @ v, weights", "return weights @ v, weights * np.ones(1)"
        ),
    ),
    # later tokens see earlier ones only, not themselves
    (
        "multihead",
        5,
        changed(
            "multihead",
            ("np.ones((T, T), bool)", "np.ones((T, T), bool), -1"),
            beside=("attention",),
        ),
    ),
    # only the centres move
    (
        "sgns_step",
        1,
        changed("sgns_step", ("np.subtract.at(contexts,", "np.subtract.at(contexts.copy(),")),
    ),
    # column and row change places
    (
        "rome_edit",
        0,
        changed(
            "rome_edit",
            (
                "np.outer((v - W @ k) / (d @ k), d)",
                "np.outer(d, (v - W @ k) / (d @ k)).reshape(W.shape)",
            ),
        ),
    ),
    # the largest score of all queries: where a row's are far below, nothing is left
    ("attention", 7, START + ATTENTION.replace("scores.max(-1, keepdims=True)", "scores.max()")),
    # d in float32
    (
        "rome_edit",
        3,
        changed(
            "rome_edit",
            (
                "np.linalg.solve(C, k)",
                "np.linalg.solve(C.astype(np.float32), k.astype(np.float32))",
            ),
        ),
    ),
]
