"""Answers to set 00c that are wrong in the ways people are: (question, points earned, code)."""

START = "import numpy as np\n"
SHARES = """
def shares(scores):
    later = np.triu(np.ones(scores.shape, bool), k=1)
    seen = np.where(later, -np.inf, scores)
    e = np.exp(seen - seen.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
"""
HEAD = """
def head(x, Wq, Wk, Wv, Wo):
    q, k, v = x @ Wq.T, x @ Wk.T, x @ Wv.T
    return x + shares(q @ k.T / q.shape[-1] ** 0.5) @ v @ Wo.T
"""
BACK = """
def look_back(places, n):
    W = np.zeros((places, places))
    W[np.maximum(np.arange(places) - n, 0), np.arange(places)] = 1
    return W
"""
ONE = """
def layer_one(words, places, sharp):
    C = 2 * words + places
    place = slice(words, words + places)
    Wq, Wk = np.zeros((places, C)), np.zeros((places, C))
    Wv, Wo = np.zeros((words, C)), np.zeros((C, words))
"""
TWO = """
def layer_two(words, places, sharp, loud):
    C = 2 * words + places
    Wq, Wk, Wv = (np.zeros((words, C)) for _ in range(3))
    Wo = np.zeros((C, words))
"""

WRONG = [
    # not divided
    ("match", 0, START + "def match(q, k):\n    return q @ k.T\n"),
    # divided by D
    ("match", 0, START + "def match(q, k):\n    return q @ k.T / q.shape[-1]\n"),
    # np.sqrt gives a float64, which lifts float32
    ("match", 2, START + "def match(q, k):\n    return q @ k.T / np.array([q.shape[-1] ** 0.5])\n"),
    # the query itself is scaled, in place
    (
        "match",
        2,
        START + "def match(q, k):\n    q /= q.dtype.type(q.shape[-1] ** 0.5)\n    return q @ k.T\n",
    ),
    # whoever stands too near the start finds nobody
    ("look_back", 0, START + "def look_back(places, n):\n    return np.eye(places, k=n)\n"),
    # rows for columns
    (
        "look_back",
        1,
        START + BACK.replace("def look_back", "def upright") + "\n"
        "def look_back(places, n):\n    return upright(places, n).T\n",
    ),
    # round the corner
    (
        "look_back",
        0,
        START + "def look_back(places, n):\n    return np.roll(np.eye(places), -n - 1, axis=0)\n",
    ),
    # the future is seen
    (
        "shares",
        0,
        START
        + """
def shares(scores):
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
""",
    ),
    # hidden after the softmax: rows no longer add up to 1
    (
        "shares",
        0,
        START
        + """
def shares(scores):
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return np.tril(e / e.sum(-1, keepdims=True))
""",
    ),
    # the largest of the whole row, hidden or not
    (
        "shares",
        4,
        START
        + """
def shares(scores):
    later = np.triu(np.ones(scores.shape, bool), k=1)
    e = np.where(later, 0, np.exp(scores - scores.max(-1, keepdims=True)))
    return e / e.sum(-1, keepdims=True)
""",
    ),
    # float64, whatever came
    (
        "shares",
        4,
        START + SHARES.replace("later = ", "scores = scores.astype(np.float64)\n    later = "),
    ),
    # -inf written into the argument
    (
        "shares",
        4,
        START
        + """
def shares(scores):
    scores[np.triu(np.ones(scores.shape, bool), k=1)] = -np.inf
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
""",
    ),
    # the residual is forgotten
    (
        "head",
        0,
        START
        + SHARES
        + """
def head(x, Wq, Wk, Wv, Wo):
    q, k, v = x @ Wq.T, x @ Wk.T, x @ Wv.T
    return shares(q @ k.T / q.shape[-1] ** 0.5) @ v @ Wo.T
""",
    ),
    # divided by the root of C
    (
        "head",
        0,
        START
        + SHARES
        + """
def head(x, Wq, Wk, Wv, Wo):
    q, k, v = x @ Wq.T, x @ Wk.T, x @ Wv.T
    return x + shares(q @ k.T / x.shape[-1] ** 0.5) @ v @ Wo.T
""",
    ),
    # the future is seen
    (
        "head",
        0,
        START
        + """
def head(x, Wq, Wk, Wv, Wo):
    q, k, v = x @ Wq.T, x @ Wk.T, x @ Wv.T
    e = np.exp(q @ k.T / q.shape[-1] ** 0.5)
    return x + e / e.sum(-1, keepdims=True) @ v @ Wo.T
""",
    ),
    # x itself is changed
    (
        "head",
        4,
        START
        + SHARES
        + """
def head(x, Wq, Wk, Wv, Wo):
    q, k, v = x @ Wq.T, x @ Wk.T, x @ Wv.T
    x += shares(q @ k.T / q.shape[-1] ** 0.5) @ v @ Wo.T
    return x.copy()
""",
    ),
    # sharp before the division
    (
        "layer_one",
        2,
        START
        + BACK
        + ONE
        + """
    Wq[:, place], Wk[:, place] = sharp * look_back(places, 1), np.eye(places)
    Wv[:, :words], Wo[words + places:] = np.eye(words), np.eye(words)
    return Wq, Wk, Wv, Wo
""",
    ),
    # the word after, not before
    (
        "layer_one",
        0,
        START
        + BACK
        + ONE
        + """
    Wq[:, place], Wk[:, place] = sharp * places**0.5 * look_back(places, 1).T, np.eye(places)
    Wv[:, :words], Wo[words + places:] = np.eye(words), np.eye(words)
    return Wq, Wk, Wv, Wo
""",
    ),
    # written over the word
    (
        "layer_one",
        2,
        START
        + BACK
        + ONE
        + """
    Wq[:, place], Wk[:, place] = sharp * places**0.5 * look_back(places, 1), np.eye(places)
    Wv[:, :words], Wo[:words] = np.eye(words), np.eye(words)
    return Wq, Wk, Wv, Wo
""",
    ),
    # np.eye(places, k=1): the first word asks for nobody
    (
        "layer_one",
        2,
        START
        + ONE
        + """
    Wq[:, place], Wk[:, place] = sharp * places**0.5 * np.eye(places, k=1), np.eye(places)
    Wv[:, :words], Wo[words + places:] = np.eye(words), np.eye(words)
    return Wq, Wk, Wv, Wo
""",
    ),
    # asks with the note, is found by the word
    (
        "layer_two",
        0,
        START
        + TWO
        + """
    Wq[:, words + places:], Wk[:, :words] = sharp * words**0.5 * np.eye(words), np.eye(words)
    Wv[:, :words], Wo[:words] = np.eye(words), loud * np.eye(words)
    return Wq, Wk, Wv, Wo
""",
    ),
    # hands over the note
    (
        "layer_two",
        2,
        START
        + TWO
        + """
    Wq[:, :words], Wk[:, words + places:] = sharp * words**0.5 * np.eye(words), np.eye(words)
    Wv[:, words + places:], Wo[:words] = np.eye(words), loud * np.eye(words)
    return Wq, Wk, Wv, Wo
""",
    ),
    # not loud
    (
        "layer_two",
        2,
        START
        + TWO
        + """
    Wq[:, :words], Wk[:, words + places:] = sharp * words**0.5 * np.eye(words), np.eye(words)
    Wv[:, :words], Wo[:words] = np.eye(words), np.eye(words)
    return Wq, Wk, Wv, Wo
""",
    ),
    # sharp before the division
    (
        "layer_two",
        2,
        START
        + TWO
        + """
    Wq[:, :words], Wk[:, words + places:] = sharp * np.eye(words), np.eye(words)
    Wv[:, :words], Wo[:words] = np.eye(words), loud * np.eye(words)
    return Wq, Wk, Wv, Wo
""",
    ),
    # the lesson's numbers: small leaks add up
    (
        "rules",
        2,
        START
        + """
def rules(facts, words):
    up, bias = np.zeros((len(facts), words)), np.full(len(facts), -2.0)
    down = np.zeros((words, len(facts)))
    for f, (a, b) in enumerate(facts):
        up[f, a], down[b, f] = 4.0, 1 / 1.95
    return up, bias, down
""",
    ),
    # no bias: every unit is linear enough, but GELU(4) is not 1
    (
        "rules",
        0,
        START
        + """
def rules(facts, words):
    up, bias = np.zeros((len(facts), words)), np.zeros(len(facts))
    down = np.zeros((words, len(facts)))
    for f, (a, b) in enumerate(facts):
        up[f, a], down[b, f] = 4.0, 1.0
    return up, bias, down
""",
    ),
    # down is upside down
    (
        "rules",
        0,
        START
        + """
def rules(facts, words):
    up, bias = np.zeros((len(facts), words)), np.full(len(facts), -6.0)
    down = np.zeros((words, len(facts)))
    for f, (a, b) in enumerate(facts):
        up[f, b], down[a, f] = 12.0, 1 / 6
    return up, bias, down
""",
    ),
    # the sum over the rows, not the mean
    (
        "slope",
        0,
        START
        + """
def slope(logits, came):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    p[np.arange(len(logits)), came] -= 1
    return p
""",
    ),
    # overflows
    (
        "slope",
        4,
        START
        + """
def slope(logits, came):
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    p[np.arange(len(logits)), came] -= 1
    return p / len(logits)
""",
    ),
    # uphill
    (
        "slope",
        0,
        START
        + """
def slope(logits, came):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    p[np.arange(len(logits)), came] -= 1
    return -p / len(logits)
""",
    ),
    # every row where the word came in any of them
    (
        "slope",
        0,
        START
        + """
def slope(logits, came):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    p[:, came] -= 1
    return p / len(logits)
""",
    ),
    # a number in place of -inf, and scores that lie below it
    ("shares", 4, START + SHARES.replace("-np.inf", "scores.dtype.type(-1e9)")),
    # the largest of all rows: far below it nothing is left of a row
    ("shares", 4, START + SHARES.replace("seen.max(-1, keepdims=True)", "seen.max()")),
    # a number in place of -inf, in a head
    ("head", 1, START + SHARES.replace("-np.inf", "-1e4") + HEAD),
    # a softmax of its own, without the largest score
    ("head", 1, START + SHARES.replace("seen - seen.max(-1, keepdims=True)", "seen") + HEAD),
    # keys ask and queries answer
    ("head", 0, START + SHARES + HEAD.replace("x @ Wq.T, x @ Wk.T", "x @ Wk.T, x @ Wq.T")),
    # the root in float32, in a product of float64
    (
        "match",
        1,
        START + "def match(q, k):\n"
        "    return q @ k.T / np.float32(q.shape[-1]) ** np.float32(0.5)\n",
    ),
    # as if one step were the only one: only place 0 is caught at the start
    (
        "look_back",
        1,
        START + "def look_back(places, n):\n"
        "    W = np.eye(places, k=n)\n    W[0, 0] = 1\n    return W\n",
    ),
    # sharp on both sides
    (
        "layer_one",
        2,
        START
        + BACK
        + ONE
        + """
    Wq[:, place] = sharp * places**0.5 * look_back(places, 1)
    Wk[:, place] = sharp * np.eye(places)
    Wv[:, :words], Wo[words + places:] = np.eye(words), np.eye(words)
    return Wq, Wk, Wv, Wo
""",
    ),
    # the root of places, as in layer one
    (
        "layer_two",
        2,
        START
        + TWO
        + """
    Wq[:, :words], Wk[:, words + places:] = sharp * places**0.5 * np.eye(words), np.eye(words)
    Wv[:, :words], Wo[:words] = np.eye(words), loud * np.eye(words)
    return Wq, Wk, Wv, Wo
""",
    ),
    # the last fact with an answer wipes out the others
    (
        "rules",
        0,
        START
        + """
def rules(facts, words):
    up, bias = np.zeros((len(facts), words)), np.full(len(facts), -20.0)
    down = np.zeros((words, len(facts)))
    for f, (a, b) in enumerate(facts):
        up[f, a], down[b] = 40.0, 0
        down[b, f] = 1 / 20
    return up, bias, down
""",
    ),
    # over all the numbers, not over the rows
    (
        "slope",
        0,
        START
        + """
def slope(logits, came):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    p[np.arange(len(logits)), came] -= 1
    return p / p.size
""",
    ),
    # an epsilon in the sum
    (
        "slope",
        4,
        START
        + """
def slope(logits, came):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    p = e / (e.sum(-1, keepdims=True) + logits.dtype.type(1e-8))
    p[np.arange(len(logits)), came] -= 1
    return p / len(logits)
""",
    ),
]
