"""Answers to set 07a that are right and have another shape than the solution's: (question, code)."""

START = "import math\nimport numpy as np\n"

RIGHT = [
    # by einsum and a power
    (
        "rmsnorm",
        """
def rmsnorm(x, g, eps):
    squares = np.einsum("...c,...c->...", x, x) / x.shape[-1]
    return x * (squares + eps)[..., None] ** -0.5 * g
""",
    ),
    # a list
    (
        "wavelengths",
        """
def wavelengths(D, base):
    return np.array([2 * math.pi * math.pow(base, 2 * i / D) for i in range(D // 2)])
""",
    ),
    # a matrix that turns, pair by pair
    (
        "rope",
        """
def rope(x, pos, base):
    out = np.array(x, float)
    half = x.shape[1] // 2
    for t, p in enumerate(pos):
        for i in range(half):
            a = float(p) / base ** (2 * i / x.shape[1])
            turn = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
            out[t, [i, i + half]] = turn @ x[t, [i, i + half]]
    return out
""",
    ),
    # by comparing places
    (
        "glm_mask",
        """
def glm_mask(nA, nB):
    at = np.arange(nA + nB)
    return (at[None] < nA) | (at[None] <= at[:, None])
""",
    ),
    # by throwing spans and gaps into one row: which of the free words or spans comes next
    (
        "sample_spans",
        """
def sample_spans(n, ratio, lam, seed):
    rng = np.random.default_rng(seed)
    left, lengths = max(1, round(ratio * n)), []
    words = n - left
    while left:
        lengths.append(min(left, max(1, int(rng.poisson(lam)))))
        left -= lengths[-1]
    free = words - len(lengths) + 1
    row = rng.permutation(np.array([1] * len(lengths) + [0] * free))
    spans, at = [], 0
    for is_span in row:
        if is_span:
            if spans:
                at += 1
            spans.append((at, at + lengths[len(spans)]))
            at = spans[-1][1]
        else:
            at += 1
    return spans
""",
    ),
    # numpy pieces, spans of B first
    (
        "glm_batch",
        """
def glm_batch(ids, spans, order, M, S, E):
    ids = np.asarray(ids)
    inside = np.zeros(len(ids), bool)
    heads = np.zeros(len(ids), bool)
    for first, past in spans:
        inside[first:past] = True
        heads[first] = True
    a = np.where(heads, M, ids)[~inside | heads]
    at = np.cumsum(~inside | heads)
    pieces = [(a, np.full(len(a), -100), np.arange(1, len(a) + 1), np.zeros(len(a), int))]
    for i in order:
        words = ids[spans[i][0] : spans[i][1]]
        k = len(words) + 1
        pieces.append((
            np.append(S, words), np.append(words, E), np.full(k, at[spans[i][0]]),
            np.arange(1, k + 1),
        ))
    inp, tgt, pos1, pos2 = (np.concatenate(c) for c in zip(*pieces))
    return [inp, tgt, pos1, pos2, tgt >= 0]
""",
    ),
    # one formula for both
    (
        "block",
        """
def block(x, W1, W2, mode):
    if mode not in ("pre", "post"):
        raise ValueError("mode")
    size = lambda z: np.sqrt(np.square(z).mean(axis=1, keepdims=True) + 1e-6)
    enter = x / size(x) if mode == "pre" else x
    z = enter @ W1.T
    out = x + np.where(z > 0, z, 0) @ W2.T
    return out if mode == "pre" else out / size(out)
""",
    ),
    # by the derivative of the product
    (
        "rmsnorm_backward",
        """
def rmsnorm_backward(dy, x, g, eps):
    C = x.shape[1]
    m = (x**2).mean(1) + eps
    dx = np.zeros(x.shape)
    for row in range(len(x)):
        jacobian = np.eye(C) / np.sqrt(m[row]) - np.outer(x[row], x[row]) / (C * m[row] ** 1.5)
        dx[row] = jacobian @ (dy[row] * g)
    return [dx, np.einsum("nc,nc,n->c", dy, x, m**-0.5)]
""",
    ),
]
RIGHT = [(question, START + code) for question, code in RIGHT]
