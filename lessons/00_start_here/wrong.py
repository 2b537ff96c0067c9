"""Answers to set 0 that are wrong in the ways people are: (question, points earned, code)."""

WRONG = [
    # nats, not bits
    (
        "bits_per_byte",
        0,
        """
import numpy as np
def bits_per_byte(shares, lengths):
    return -np.log(shares).sum() / lengths.sum()
""",
    ),
    # bits per token
    (
        "bits_per_byte",
        2,
        """
import numpy as np
def bits_per_byte(shares, lengths):
    return -np.log2(shares).mean()
""",
    ),
    # the mean of the ratios: a short token weighs as much as a long one
    (
        "bits_per_byte",
        2,
        """
import numpy as np
def bits_per_byte(shares, lengths):
    return (-np.log2(shares) / lengths).mean()
""",
    ),
    # a little is added, so that nothing is ever a great surprise
    (
        "bits_per_byte",
        2,
        """
import numpy as np
def bits_per_byte(shares, lengths):
    return -np.log2(shares + 1e-9).sum() / lengths.sum()
""",
    ),
    # the caller's shares are overwritten
    (
        "bits_per_byte",
        2,
        """
import numpy as np
def bits_per_byte(shares, lengths):
    np.log2(shares, out=shares)
    return -shares.sum() / lengths.sum()
""",
    ),
    # from x upwards only
    (
        "slope",
        0,
        """
def slope(f, x, h):
    return (f(x + h) - f(x)) / h
""",
    ),
    # the distance is 2 h
    (
        "slope",
        0,
        """
def slope(f, x, h):
    return (f(x + h) - f(x - h)) / h
""",
    ),
    # divides by 2 and multiplies by h
    (
        "slope",
        0,
        """
def slope(f, x, h):
    return (f(x + h) - f(x - h)) / 2 * h
""",
    ),
    # an h of its own
    (
        "slope",
        2,
        """
def slope(f, x, h):
    h = 1e-5
    return (f(x + h) - f(x - h)) / (2 * h)
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
    # the caller's list is changed
    (
        "merge",
        3,
        """
def merge(ids, pair, new):
    at = 0
    while at < len(ids) - 1:
        if (ids[at], ids[at + 1]) == tuple(pair):
            ids[at : at + 2] = [new]
        at += 1
    return ids
""",
    ),
    # overflows
    (
        "softmax",
        4,
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
        1,
        """
import numpy as np
def softmax(x):
    e = np.exp(x.astype(float) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
""",
    ),
    # a little is added to the sum
    (
        "softmax",
        5,
        """
import numpy as np
def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / (e.sum(-1, keepdims=True) + x.dtype.type(1e-9))
""",
    ),
    # the caller's scores are overwritten
    (
        "softmax",
        5,
        """
import numpy as np
def softmax(x):
    x -= x.max(-1, keepdims=True)
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)
""",
    ),
    # float32 whatever comes in, and no -inf
    (
        "softmax",
        3,
        """
import numpy as np
def softmax(x):
    x = np.nan_to_num(x.astype(np.float32), neginf=0)
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
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
        3,
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
        4,
        """
import numpy as np
def layer_norm(x, w, b=None, eps=1e-5):
    x = x.astype(float)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps) * w
""",
    ),
    # the mean of squares minus the square of the mean: no digits are left
    (
        "layer_norm",
        6,
        """
import numpy as np
def layer_norm(x, w, b=None, eps=1e-5):
    mean = x.mean(-1, keepdims=True)
    var = (x * x).mean(-1, keepdims=True) - mean * mean
    y = (x - mean) / np.sqrt(var + x.dtype.type(eps)) * w
    return y if b is None else y + b
""",
    ),
    # the caller's rows are overwritten
    (
        "layer_norm",
        6,
        """
import numpy as np
def layer_norm(x, w, b=None, eps=1e-5):
    x -= x.mean(-1, keepdims=True)
    y = x / np.sqrt((x * x).mean(-1, keepdims=True) + x.dtype.type(eps)) * w
    return y if b is None else y + b
""",
    ),
    # the eps of its own
    (
        "layer_norm",
        6,
        """
import numpy as np
def layer_norm(x, w, b=None, eps=1e-5):
    y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + x.dtype.type(1e-5))
    return y * w if b is None else y * w + b
""",
    ),
    # eps added to the root
    (
        "layer_norm",
        5,
        """
import numpy as np
def layer_norm(x, w, b=None, eps=1e-5):
    y = (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + x.dtype.type(eps)) * w
    return y if b is None else y + b
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
        3,
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
        3,
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
    # float64, because np.vectorize gives it
    (
        "gelu",
        2,
        """
import math
import numpy as np
def gelu(x):
    cdf = 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))
    slope = cdf + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return x * cdf, lambda g: (g * slope,)
""",
    ),
    # the second call of the pullback starts from what the first one left
    (
        "gelu",
        5,
        """
import math
import numpy as np
def gelu(x):
    cdf = 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))
    slope = cdf + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    slope = slope.astype(x.dtype)
    value = (x * cdf).astype(x.dtype)
    def pullback(g):
        nonlocal slope
        slope *= g
        return (slope,)
    return value, pullback
""",
    ),
    # the caller's x is overwritten
    (
        "gelu",
        5,
        """
import math
import numpy as np
def gelu(x):
    cdf = 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))
    slope = cdf + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    slope = slope.astype(x.dtype)
    x *= cdf.astype(x.dtype)
    return x, lambda g: (g * slope,)
""",
    ),
    # the gradients are not summed over the axes along which an argument was repeated
    ("mul", 3, "def mul(a, b):\n    return a * b, lambda g: (g * b, g * a)"),
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
    # the pullback uses up what it keeps
    (
        "mul",
        4,
        """
def down(g, shape):
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)

def mul(a, b):
    kept = [a, b]
    def pullback(g):
        right, left = (kept.pop() if kept else 0 * g for _ in range(2))
        return down(g * right, a.shape), down(g * left, b.shape)
    return a * b, pullback
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
        5,
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
        6,
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
    # the shares are changed by the first call of the pullback
    (
        "cross_entropy",
        6,
        """
import numpy as np
def cross_entropy(logits, targets):
    rows = np.arange(len(logits))
    z = logits - logits.max(-1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(-1, keepdims=True))
    d = np.exp(logp)
    def pullback(g):
        d[rows, targets] -= 1
        return d * (g / np.float32(len(rows))), None
    return -logp[rows, targets].mean(), pullback
""",
    ),
    # the caller's logits are overwritten
    (
        "cross_entropy",
        6,
        """
import numpy as np
def cross_entropy(logits, targets):
    rows = np.arange(len(logits))
    logits -= logits.max(-1, keepdims=True)
    logp = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    def pullback(g):
        d = np.exp(logp)
        d[rows, targets] -= 1
        return d * (g / np.float32(len(rows))), None
    return -logp[rows, targets].mean(), pullback
""",
    ),
    # float64, because np.eye gives it
    (
        "cross_entropy",
        5,
        """
import numpy as np
def cross_entropy(logits, targets):
    rows = np.arange(len(logits))
    z = logits - logits.max(-1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(-1, keepdims=True))
    one = np.eye(logits.shape[-1])[targets]
    return -logp[rows, targets].mean(), lambda g: ((np.exp(logp) - one) * (g / len(rows)), None)
""",
    ),
    # a little is added, so that no loss is large
    (
        "cross_entropy",
        6,
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
    return -np.log(p[rows, targets] + np.float32(1e-9)).mean(), pullback
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
        4,
        """
import numpy as np
def adamw(p, g, m, v, lr, b1, b2, eps, decay, step):
    g = g + decay * p
    m[...] = b1 * m + (1 - b1) * g
    v[...] = b2 * v + (1 - b2) * g * g
    p -= lr * m / (1 - b1**step) / (np.sqrt(v / (1 - b2**step)) + eps)
""",
    ),
    # eps under the root
    (
        "adamw",
        4,
        """
import numpy as np
def adamw(p, g, m, v, lr, b1, b2, eps, decay, step):
    p -= lr * decay * p
    m[...] = b1 * m + (1 - b1) * g
    v[...] = b2 * v + (1 - b2) * g * g
    p -= lr * m / (1 - b1**step) / np.sqrt(v / (1 - b2**step) + eps)
""",
    ),
    # an eps of its own
    (
        "adamw",
        4,
        """
import numpy as np
def adamw(p, g, m, v, lr, b1, b2, eps, decay, step):
    p -= lr * decay * p
    m[...] = b1 * m + (1 - b1) * g
    v[...] = b2 * v + (1 - b2) * g * g
    p -= lr * m / (1 - b1**step) / (np.sqrt(v / (1 - b2**step)) + 1e-8)
""",
    ),
    # eps before the correction
    (
        "adamw",
        4,
        """
import numpy as np
def adamw(p, g, m, v, lr, b1, b2, eps, decay, step):
    p -= lr * decay * p
    m[...] = b1 * m + (1 - b1) * g
    v[...] = b2 * v + (1 - b2) * g * g
    p -= lr * m / (1 - b1**step) / ((np.sqrt(v) + eps) / np.sqrt(1 - b2**step))
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
    # -1e9 in place of -inf
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
    return np.where(keep, logits, -1e9).astype(logits.dtype)
""",
    ),
    # float64
    (
        "top_p",
        2,
        """
import numpy as np
def top_p(logits, p):
    order = np.argsort(-logits, -1)
    e = np.exp(np.take_along_axis(logits, order, -1) - logits.max(-1, keepdims=True))
    e /= e.sum(-1, keepdims=True)
    keep = np.empty(logits.shape, bool)
    np.put_along_axis(keep, order, np.cumsum(e, -1) - e < p, -1)
    return np.where(keep, logits.astype(float), -np.inf)
""",
    ),
    # in the order of likelihood, not in that of the tokens
    (
        "top_p",
        0,
        """
import numpy as np
def top_p(logits, p):
    ranked = -np.sort(-logits, -1)
    e = np.exp(ranked - ranked[..., :1])
    e /= e.sum(-1, keepdims=True)
    return np.where(np.cumsum(e, -1) - e < p, ranked, -np.inf).astype(logits.dtype)
""",
    ),
]
