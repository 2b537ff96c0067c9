"""Answers to set 0 that are right and have another shape than the solution's: (question, code)."""

START = "import math\nimport numpy as np\n"

RIGHT = [
    # plain Python, token by token
    (
        "bits_per_byte",
        """
def bits_per_byte(shares, lengths):
    bits = 0.0
    for share in shares:
        bits -= math.log2(share)
    return bits / sum(int(n) for n in lengths)
""",
    ),
    # two one-sided differences and their mean
    (
        "slope",
        """
def slope(f, x, h):
    here = f(x)
    return ((f(x + h) - here) / h + (here - f(x - h)) / h) / 2
""",
    ),
    # the list turned round is a stack
    (
        "merge",
        """
def merge(ids, pair, new):
    left, out = list(reversed(ids)), []
    while left:
        one = left.pop()
        if left and one == pair[0] and left[-1] == pair[1]:
            left.pop()
            one = new
        out.append(one)
    return out
""",
    ),
    # through the logarithm of the sum
    (
        "softmax",
        """
def softmax(x):
    top = np.amax(x, axis=-1, keepdims=True)
    total = np.log(np.sum(np.exp(x - top), axis=-1, keepdims=True))
    return np.exp(x - top - total)
""",
    ),
    # in float64, and back
    (
        "layer_norm",
        """
def layer_norm(x, w, b=None, eps=1e-5):
    wide = np.asarray(x, np.float64)
    mean, var = wide.mean(-1)[..., None], wide.var(-1)[..., None]
    out = w * (wide - mean) * (var + eps) ** -0.5
    if b is not None:
        out = out + b
    return out.astype(x.dtype)
""",
    ),
    # number by number, the slope worked out when it is asked for
    (
        "gelu",
        """
def gelu(x):
    share = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x.ravel().tolist()])
    share = share.reshape(x.shape)

    def pullback(g):
        bell = np.exp(-0.5 * x.astype(float) ** 2) * (2 * math.pi) ** -0.5
        return (np.asarray(g * (share + x * bell), x.dtype),)

    return np.asarray(x * share, x.dtype), pullback
""",
    ),
    # the axes to sum over are found first
    (
        "mul",
        """
def mul(a, b):
    def back(g, like):
        missing = g.ndim - like.ndim
        one = tuple(i + missing for i, n in enumerate(like.shape) if n == 1)
        return g.sum(axis=tuple(range(missing)) + one).reshape(like.shape)

    def pullback(g):
        return back(np.multiply(g, b), a), back(np.multiply(g, a), b)

    return np.multiply(a, b), pullback
""",
    ),
    # a table of ones, and log-sum-exp by logaddexp
    (
        "cross_entropy",
        """
def cross_entropy(logits, targets):
    count, size = logits.shape
    truth = (np.arange(size) == np.asarray(targets)[:, None]).astype(logits.dtype)
    total = np.logaddexp.reduce(logits, axis=1)
    value = np.mean(total - (logits * truth).sum(1))

    def pullback(g):
        shares = np.exp(logits - total[:, None])
        return ((shares - truth) * g / count).astype(logits.dtype), None

    return value, pullback
""",
    ),
    # with in-place operations, the decay last but of the old weights
    (
        "adamw",
        """
def adamw(p, g, m, v, lr, b1, b2, eps, decay, step):
    m *= b1
    m += (1 - b1) * g
    v *= b2
    v += (1 - b2) * g**2
    size = lr * math.sqrt(1 - b2**step) / (1 - b1**step)
    move = size * m / (np.sqrt(v) + eps * math.sqrt(1 - b2**step))
    p[:] = p * (1 - lr * decay) - move
""",
    ),
    # row by row, token by token
    (
        "top_p",
        """
def top_p(logits, p):
    out = np.full(logits.shape, -np.inf, logits.dtype)
    for place in np.ndindex(logits.shape[:-1]):
        row = logits[place].astype(float)
        shares = np.exp(row - row.max())
        shares, held = shares / shares.sum(), 0.0
        for token in sorted(range(len(row)), key=lambda i: -row[i]):
            if held >= p:
                break
            out[place][token] = logits[place][token]
            held += shares[token]
    return out
""",
    ),
]
RIGHT = [(question, START + code) for question, code in RIGHT]
