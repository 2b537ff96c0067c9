"""Answers to set 0 that are wrong in the ways people are: (question, points earned, code)."""

WRONG = [
    # the gradients are not summed over the axes along which an argument was repeated
    ("mul", 2, "def mul(a, b):\n    return a * b, lambda g: (g * b, g * a)"),
    # the two gradients are swapped
    (
        "mul",
        1,
        """
def down(g, shape):
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)

def mul(a, b):
    return a * b, lambda g: (down(g * a, a.shape), down(g * b, b.shape))
""",
    ),
    # float64 all the way
    (
        "mul",
        1,
        """
def down(g, shape):
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)

def mul(a, b):
    a, b = a.astype(float), b.astype(float)
    return a * b, lambda g: (down(g * b, a.shape), down(g * a, b.shape))
""",
    ),
    # overflows
    (
        "softmax",
        2,
        """
import numpy as np
def softmax(x):
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)
""",
    ),
    # over the whole array
    (
        "softmax",
        0,
        "import numpy as np\ndef softmax(x):\n    e = np.exp(x - x.max())\n    return e / e.sum()",
    ),
    # float64
    (
        "softmax",
        0,
        """
import numpy as np
def softmax(x):
    e = np.exp(x.astype(float) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
""",
    ),
    # the sum in place of the mean
    (
        "cross_entropy",
        1,
        """
import numpy as np
def cross_entropy(logits, targets):
    rows = np.arange(len(logits))
    z = logits - logits.max(-1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(-1, keepdims=True))
    def pullback(g):
        d = np.exp(logp)
        d[rows, targets] -= 1
        return d * g, None
    return -logp[rows, targets].sum(), pullback
""",
    ),
    # the gradient ignores g
    (
        "cross_entropy",
        3,
        """
import numpy as np
def cross_entropy(logits, targets):
    rows = np.arange(len(logits))
    z = logits - logits.max(-1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(-1, keepdims=True))
    def pullback(g):
        d = np.exp(logp)
        d[rows, targets] -= 1
        return d / np.float32(len(rows)), None
    return -logp[rows, targets].mean(), pullback
""",
    ),
    # log of a softmax that has underflowed to 0
    (
        "cross_entropy",
        4,
        """
import numpy as np
def cross_entropy(logits, targets):
    rows = np.arange(len(logits))
    e = np.exp(logits - logits.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    def pullback(g):
        d = p.copy()
        d[rows, targets] -= 1
        return d * (g / np.float32(len(rows))), None
    return -np.log(p[rows, targets]).mean(), pullback
""",
    ),
    # the variance with C - 1
    (
        "layer_norm",
        0,
        """
import numpy as np
def layer_norm(x, w, b=None, eps=1e-5):
    y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True, ddof=1) + eps) * w
    return (y if b is None else y + b).astype(x.dtype)
""",
    ),
    # no eps: a row of equal numbers becomes NaN
    (
        "layer_norm",
        1,
        """
import numpy as np
def layer_norm(x, w, b=None, eps=1e-5):
    y = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True) * w
    return y if b is None else y + b
""",
    ),
    # float64, and b is forgotten
    (
        "layer_norm",
        3,
        """
import numpy as np
def layer_norm(x, w, b=None, eps=1e-5):
    x = x.astype(float)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps) * w
""",
    ),
    # the form with tanh
    (
        "gelu",
        0,
        """
import numpy as np
def gelu(x):
    t = np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x**3))
    s = (1 - t * t) * np.float32(0.7978845608) * (1 + np.float32(0.134145) * x * x)
    return x * (1 + t) / 2, lambda g: (g * ((1 + t) / 2 + x * s / 2),)
""",
    ),
    # the derivative without the product rule
    (
        "gelu",
        2,
        """
import math
import numpy as np
def gelu(x):
    cdf = (0.5 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))).astype(x.dtype)
    return x * cdf, lambda g: (g * cdf,)
""",
    ),
    # the gradient is not in a tuple
    (
        "gelu",
        2,
        """
import math
import numpy as np
def gelu(x):
    wide = x.astype(float)
    cdf = 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(wide / math.sqrt(2)))
    slope = cdf + wide * np.exp(-wide * wide / 2) / math.sqrt(2 * math.pi)
    return (wide * cdf).astype(x.dtype), lambda g: g * slope.astype(x.dtype)
""",
    ),
    # new arrays, the arguments stay as they were
    (
        "adamw",
        0,
        """
import numpy as np
def adamw(p, g, m, v, lr, b1, b2, eps, decay, step):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g * g
    p = p - lr * decay * p - lr * m / (1 - b1**step) / (np.sqrt(v / (1 - b2**step)) + eps)
""",
    ),
    # no correction for the start at 0
    (
        "adamw",
        1,
        """
import numpy as np
def adamw(p, g, m, v, lr, b1, b2, eps, decay, step):
    m[...] = b1 * m + (1 - b1) * g
    v[...] = b2 * v + (1 - b2) * g * g
    p -= lr * decay * p + lr * m / (np.sqrt(v) + eps)
""",
    ),
    # Adam's decay: through the gradient
    (
        "adamw",
        3,
        """
import numpy as np
def adamw(p, g, m, v, lr, b1, b2, eps, decay, step):
    g = g + decay * p
    m[...] = b1 * m + (1 - b1) * g
    v[...] = b2 * v + (1 - b2) * g * g
    p -= lr * m / (1 - b1**step) / (np.sqrt(v / (1 - b2**step)) + eps)
""",
    ),
    # drops the token that crosses p
    (
        "top_p",
        0,
        """
import numpy as np
def top_p(logits, p):
    order = np.argsort(-logits, -1)
    e = np.exp(np.take_along_axis(logits, order, -1) - logits.max(-1, keepdims=True))
    keep = np.empty(logits.shape, bool)
    np.put_along_axis(keep, order, np.cumsum(e / e.sum(-1, keepdims=True), -1) <= p, -1)
    return np.where(keep, logits, -np.inf).astype(logits.dtype)
""",
    ),
    # overwrites its argument
    (
        "top_p",
        3,
        """
import numpy as np
def top_p(logits, p):
    order = np.argsort(-logits, -1)
    e = np.exp(np.take_along_axis(logits, order, -1) - logits.max(-1, keepdims=True))
    e /= e.sum(-1, keepdims=True)
    keep = np.empty(logits.shape, bool)
    np.put_along_axis(keep, order, np.cumsum(e, -1) - e < p, -1)
    logits[~keep] = -np.inf
    return logits
""",
    ),
    # zeros in place of -inf
    (
        "top_p",
        0,
        """
import numpy as np
def top_p(logits, p):
    order = np.argsort(-logits, -1)
    e = np.exp(np.take_along_axis(logits, order, -1) - logits.max(-1, keepdims=True))
    e /= e.sum(-1, keepdims=True)
    keep = np.empty(logits.shape, bool)
    np.put_along_axis(keep, order, np.cumsum(e, -1) - e < p, -1)
    return np.where(keep, logits, 0).astype(logits.dtype)
""",
    ),
    # the pair overlaps itself
    (
        "merge",
        3,
        """
def merge(ids, pair, new):
    out = []
    for at, i in enumerate(ids):
        if at and (ids[at - 1], i) == tuple(pair):
            out[-1] = new
        else:
            out.append(i)
    return out
""",
    ),
    # loses the last id
    (
        "merge",
        0,
        """
def merge(ids, pair, new):
    out, at = [], 0
    while at < len(ids) - 1:
        match = (ids[at], ids[at + 1]) == tuple(pair)
        out.append(new if match else ids[at])
        at += 1 + match
    return out
""",
    ),
    # only the first one
    (
        "merge",
        1,
        """
def merge(ids, pair, new):
    for at in range(len(ids) - 1):
        if (ids[at], ids[at + 1]) == tuple(pair):
            return ids[:at] + [new] + ids[at + 2:]
    return list(ids)
""",
    ),
]
