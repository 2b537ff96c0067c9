"""Answers to set 00c that are right and have another shape than the solution's: (question, code)."""

START = "import math\nimport numpy as np\n"

RIGHT = [
    # the query is divided first
    (
        "match",
        """
def match(q, k):
    return np.einsum("td,sd->ts", q / math.sqrt(q.shape[1]), k)
""",
    ),
    # place by place
    (
        "look_back",
        """
def look_back(places, n):
    rows = [[float(max(p - n, 0) == row) for p in range(places)] for row in range(places)]
    return np.array(rows)
""",
    ),
    # row by row
    (
        "shares",
        """
def shares(scores):
    found = np.zeros_like(scores)
    for i in range(len(scores)):
        seen = scores[i, : i + 1]
        e = np.exp(seen - seen.max())
        found[i, : i + 1] = e / e.sum()
    return found
""",
    ),
    # a word at a time
    (
        "head",
        """
def head(x, Wq, Wk, Wv, Wo):
    rows = []
    for t in range(len(x)):
        seen = x[: t + 1]
        scores = (seen @ Wk.T) @ (Wq @ x[t]) / math.sqrt(len(Wq))
        e = np.exp(scores - scores.max())
        rows.append(x[t] + Wo @ (Wv @ (e / e.sum() @ seen)))
    return np.array(rows)
""",
    ),
    # the keys are loud, not the queries; numbers set one by one
    (
        "layer_one",
        """
def layer_one(words, places, sharp):
    C = words + places + words
    Wq, Wk = np.zeros((places, C)), np.zeros((places, C))
    Wv, Wo = np.eye(words, C), np.zeros((C, words))
    for p in range(places):
        Wq[max(p - 1, 0), words + p] = 1
        Wk[p, words + p] = sharp * math.sqrt(places)
    for i in range(words):
        Wo[words + places + i, i] = 1
    return Wq, Wk, Wv, Wo
""",
    ),
    # both share the loudness; identities shifted by a diagonal
    (
        "layer_two",
        """
def layer_two(words, places, sharp, loud):
    C = 2 * words + places
    root = math.sqrt(sharp * math.sqrt(words))
    Wq = root * np.eye(words, C)
    Wk = root * np.eye(words, C, k=words + places)
    return [Wq, Wk, np.eye(words, C), loud * np.eye(C, words)]
""",
    ),
    # sharper still, with a table of the facts
    (
        "rules",
        """
def rules(facts, words):
    asked, told = np.array(facts).T
    up = 40 * np.eye(words)[asked]
    return up, np.full(len(asked), -20.0), np.eye(words)[:, told] / 20
""",
    ),
    # by log-probabilities
    (
        "slope",
        """
def slope(logits, came):
    shifted = logits - logits.max(axis=1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    hot = (np.arange(logits.shape[1]) == np.asarray(came)[:, None]).astype(logits.dtype)
    return (np.exp(logp) - hot) / len(came)
""",
    ),
    # one step, n times over
    (
        "look_back",
        """
def look_back(places, n):
    one = np.eye(places, k=1)
    one[0, 0] = 1
    return np.linalg.matrix_power(one, n)
""",
    ),
    # a diagonal, and a row for all who stand too near the start
    (
        "look_back",
        """
def look_back(places, n):
    W = np.eye(places, k=n)
    W[0, : n + 1] = 1
    return W
""",
    ),
]
RIGHT = [(question, START + code) for question, code in RIGHT]
