"""Answers to set 06 that are right and have another shape than the solution's: (question, code)."""

START = "import itertools\nimport math\nimport numpy as np\n"

RIGHT = [
    # an example at a time
    (
        "cooc",
        """
def cooc(X, Y):
    return sum(np.outer(x, y) for x, y in zip(X, Y))
""",
    ),
    # all of it, over the number of rows
    (
        "average_norm",
        """
def average_norm(X):
    return float(np.abs(X).sum() / len(X))
""",
    ),
    # sorted patterns of zeros and ones
    (
        "bit_cipher",
        """
def bit_cipher(counts, bits):
    rows = [row for row in itertools.product((1, 0), repeat=bits) if any(row)]
    rows.sort(key=sum)
    if len(counts) > len(rows):
        raise ValueError("too many tokens")
    order = sorted(range(len(counts)), key=lambda token: (-counts[token], token))
    cipher = np.empty((len(counts), bits))
    cipher[order] = [np.array(row) / sum(row) for row in rows[: len(counts)]]
    return cipher
""",
    ),
    # conditional probability plus a share of the prior
    (
        "explicit_solution",
        """
def explicit_solution(F, K, alpha):
    totals = F.sum(0)
    smooth = F + alpha * (totals / totals.sum())[None, :]
    sums = smooth.sum(0)
    inside = np.where(smooth > 0, smooth, 1e-300)
    return np.log(inside) - np.log(sums) + np.log(sums) / K
""",
    ),
    # slot by slot
    (
        "saffu_attend",
        """
def saffu_attend(block, W):
    k, pivot = len(block), block[-1]
    compared = [float(np.dot(row, pivot)) for row in block]
    scores = [sum(W[-k + i, -k + j] * compared[j] for j in range(k)) for i in range(k)]
    top = max(scores)
    e = np.array([math.exp(score - top) for score in scores])
    return e / np.sum(e)
""",
    ),
    # by Einstein's sum
    (
        "compare_table",
        """
def compare_table(C):
    return np.einsum("id,jd->ij", C, C)
""",
    ),
    # through a padded row, and logs
    (
        "attend_cached",
        """
def attend_cached(ids, table, W):
    compared = np.zeros(len(W))
    compared[-len(ids):] = [table[i][ids[-1]] for i in ids]
    scores = (W @ compared)[-len(ids):]
    return np.exp(scores - np.logaddexp.reduce(scores))
""",
    ),
    # a padded text, and running sums
    (
        "context_features",
        """
def context_features(ids, vectors, block, radius):
    x = np.asarray(vectors, float)[ids]
    T, d = x.shape
    padded = np.concatenate([np.zeros((radius - 1, d)), x])
    near = np.stack([padded[i : i + T] for i in range(radius)], axis=1)
    first = np.zeros((T, block, d))
    for p in range(T):
        end = min(T, p - p % block + block)
        first[p:end, p % block] = x[p]
    return np.concatenate([first.reshape(T, -1), near.reshape(T, -1), x.cumsum(0)], axis=1)
""",
    ),
    # the label is decided in steps
    (
        "prequential",
        """
def prequential(guess, learn, stream, window):
    said_so_far = []
    for i in range(len(stream)):
        text, meant, delay = stream[i]
        label = guess(text)
        said_so_far += [label]
        if label != meant:
            in_time = not delay > window
            if in_time:
                label = meant
        learn(text, label)
    return said_so_far
""",
    ),
    # whole rows of states at one time
    (
        "ctc_forward",
        """
def ctc_forward(logp, target):
    states = [0]
    for symbol in target:
        states += [int(symbol), 0]
    S = len(states)
    skip = np.array([s > 1 and states[s] != 0 and states[s] != states[s - 2] for s in range(S)])
    row = np.where(np.arange(S) < 2, logp[0, states], -np.inf)
    rows = [row]
    for frame in logp[1:]:
        one = np.concatenate([[-np.inf], row])[:S]
        two = np.where(skip, np.concatenate([[-np.inf, -np.inf], row])[:S], -np.inf)
        row = np.logaddexp(np.logaddexp(row, one), two) + frame[states]
        rows.append(row)
    return np.array(rows)
""",
    ),
]
RIGHT = [(question, START + code) for question, code in RIGHT]
